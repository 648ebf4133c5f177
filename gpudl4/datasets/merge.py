"""What becomes of one field of a dataset when bins, pixels or a whole region are merged: the rules that the table of fields names."""

import numpy as np

from gpudl4.core.backend import array_namespace
from gpudl4.core.errors import DatasetError

from .fields import main_map

__all__ = ["merge_along_axis", "merge_bins", "merge_region", "with_ratio"]


def merge_bins(dataset, field, factor, axis_name):
    """Field after downsampling; None for one that `with_ratio` works out."""
    value = dataset._values[field.name]
    rule, mask = field.downsample, dataset.mask_safe
    if rule == "keep" or (axis_name is None and rule == "bins"):
        return value.copy()
    if axis_name is not None and axis_name not in main_map(field, value).geom.axes.names:
        return value.copy()
    if rule == "sum":
        return value.downsample(factor, preserve_counts=True, axis_name=axis_name, weights=mask)
    if rule in ("mean", "any"):
        return value.downsample(factor, preserve_counts=False, axis_name=axis_name)
    if rule == "bins":
        return value.downsample(factor, axis_name=axis_name, weights=dataset.mask_safe_edisp if axis_name == "energy" else None)
    return None


def merge_along_axis(dataset, field, energy_axis):
    """Field after grouping reconstructed energies; None for one that `with_ratio` works out."""
    value, rule = dataset._values[field.name], field.resample
    if rule == "keep":
        return value.copy()
    if rule == "sum":
        return value.resample_axis(energy_axis, weights=dataset.mask_safe)
    if rule == "any":
        return value.resample_axis(energy_axis, ufunc=np.logical_or)
    if rule == "bins":
        if "energy" not in value.edisp_map.geom.axes.names:
            return value.copy()
        return value.resample_energy_axis(energy_axis, weights=dataset.mask_safe_edisp)
    return None


def merge_region(dataset, field, region):
    """Field in a region; None for one that `with_ratio` works out."""
    value, rule, mask = dataset._values[field.name], field.region, dataset.mask_safe
    if rule == "keep":
        return value.copy()
    if rule == "centre":
        return value.to_region_nd_map(_centre(region))
    if rule == "sum":
        value = dataset.npred_background() if field.name == "background" else value
        return value.to_region_nd_map(region, func=np.sum, weights=mask).copy()
    if rule == "mean":
        return value.to_region_nd_map(region, func=np.mean).copy()
    if rule == "safe mean":
        if mask is None or value.geom.is_region:
            return value.to_region_nd_map(region, func=np.mean).copy()
        total = value.to_region_nd_map(region, func=np.sum, weights=mask)
        number = mask.copy(data=mask.data.astype(value.data.dtype)).to_region_nd_map(region, func=np.sum).data
        xp = array_namespace(number)
        return total.copy(data=xp.where(number > 0, total.data / xp.maximum(number, 1), xp.zeros((), dtype=number.dtype)))
    if rule == "any":
        return value.to_region_nd_map(region, func=np.any).copy()
    return None


def _centre(region):
    if region is None:
        return None
    centre = getattr(region, "center", None)
    if centre is not None:
        return centre
    from gpudl4.maps import RegionGeom

    return RegionGeom.from_regions(region).center_skydir


def with_ratio(dataset, values, merge_sum):
    """Fields with the off acceptance, if the kind has one.

    It is chosen so that the background, alpha times off counts, is the sum of the backgrounds that were merged:
    ``acceptance x off / sum(alpha off)``. Where no off counts are left, alpha is the ratio of the merged acceptances.

    Parameters
    ----------
    dataset : dataset
        Before merging.
    values : dict
        Merged fields by name.
    merge_sum : callable
        Merges a map of the dataset by summing inside mask_safe.
    """
    if "acceptance_off" not in values:
        return values
    missing = [name for name in ("acceptance", "counts_off") if values.get(name) is None]
    if missing:
        raise DatasetError(f"dataset '{dataset.name}' has an acceptance_off, but no {' and no '.join(missing)}: bins cannot be merged")
    acceptance, off = values["acceptance"], values["counts_off"]
    background = merge_sum(dataset.background).data
    both = [merge_sum(getattr(dataset, name)).data for name in ("acceptance", "acceptance_off")]
    xp = array_namespace(background)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        plain = xp.nan_to_num(acceptance.data * both[1] / both[0], nan=0.0, posinf=0.0, neginf=0.0)
        data = xp.where((off.data > 0) & (background > 0), acceptance.data * off.data / background, plain)
    return {**values, "acceptance_off": acceptance.copy(data=data)}
