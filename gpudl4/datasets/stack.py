"""Stacking: adding one dataset to another in place, field by field as the table of fields says.

Only the other dataset is masked, by its mask_safe; mask the first with `MapDataset.to_masked`. Counts and background are weighted bin by
bin, the exposure by pixels with any safe energy, responses by exposure and mask. Background models are baked into the stacked background.
The rules are gammapy's (its MapDataset.stack), with three differences: GTIs without intervals are legal, a background model that was baked
in is taken off the dataset (it would act twice), and what cannot be stacked is refused before anything is changed.
"""

import numpy as np

from gpudl4.core.errors import BackendError, DatasetError

from .fields import field_table

__all__ = ["hstack_columns", "stack_dataset"]


def stack_dataset(dataset, other, nan_to_num=True):
    """Add `other` to `dataset` in place.

    Parameters
    ----------
    dataset, other : MapDataset
        With the same geometry, or `other` a cutout of it.
    nan_to_num : bool
        Take values that are not finite as zero.

    Raises
    ------
    GeometryError
        If the geometries do not fit.
    DatasetError
        If the datasets are of different kinds.
    BackendError
        If they live on different devices.
    """
    if type(dataset) is not type(other):
        raise DatasetError(
            f"'{other.name}' is a {type(other).__name__} and cannot be stacked on '{dataset.name}', a {type(dataset).__name__}"
        )
    _check(dataset, other)
    weights = {name: getattr(other, name) for name in ("mask_safe", "mask_safe_image", "mask_safe_psf", "mask_safe_edisp")}
    background = dataset.npred_background()
    other_values = {**other._values, "background": other.npred_background()}
    if dataset.background is not None and other.background is not None:
        dataset.background = background
        if (model := dataset.background_model) is not None:
            dataset.models = [m for m in dataset.models if m is not model]
    for field in field_table(dataset.tag):
        mine, theirs = getattr(dataset, field.name), other_values[field.name]
        if theirs is None:
            continue
        if mine is None:
            if field.name == "meta_table":
                dataset.meta_table = theirs.copy()
            if field.name != "mask_fit":
                continue
            mine = dataset.mask_fit = _all_false(dataset)  # of the whole geometry: the other may be a cutout
        if field.stack == "or":
            mine.stack(theirs)
        elif field.stack == "union":
            mine = mine.copy()
            mine.stack(theirs)
            setattr(dataset, field.name, mine.union())
        elif field.stack == "columns":
            setattr(dataset, field.name, hstack_columns(mine, theirs))
        else:
            mine.stack(theirs, weights=weights[field.weights], nan_to_num=nan_to_num)
            if field.name == "exposure":
                _add_livetime(mine, theirs, weights["mask_safe_image"])


def _all_false(dataset):
    from gpudl4.maps import Map

    return Map.from_geom(dataset.geoms["geom"], dtype=bool).to_device(dataset.backend)


def _check(dataset, other):
    """Refuse what does not stack, before the first field is touched."""
    if dataset.backend != other.backend:
        raise BackendError(
            f"dataset '{other.name}' on {other.backend.device} cannot be stacked on '{dataset.name}' on {dataset.backend.device}: "
            "use to_device() or to_host() on one of them"
        )
    for field in field_table(dataset.tag):
        mine, theirs = getattr(dataset, field.name), getattr(other, field.name)
        if field.stack != "exposure-weighted" or mine is None or theirs is None:
            continue
        where = f"datasets '{dataset.name}' and '{other.name}' cannot be stacked: {field.name}"
        if type(mine) is not type(theirs):
            raise DatasetError(f"{where} is a {type(mine).__name__} in one and a {type(theirs).__name__} in the other")
        if getattr(mine, "energy_name", "energy_true") == "energy":
            raise DatasetError(f"{where} is in reconstructed energy, where the exposure that would weight it is not known; set it to None")
        if mine.exposure_map is None or theirs.exposure_map is None:
            raise DatasetError(f"{where} has no exposure map, which would weight it; set it to None")


def _add_livetime(mine, theirs, mask):
    """Sum the livetimes in the exposures' metadata, if any pixel of the other counts."""
    import astropy.units as u

    livetime = (theirs.meta or {}).get("livetime")
    if livetime is None or (mask is not None and not bool(mask.data.any())):
        return
    before = (mine.meta or {}).get("livetime", 0 * u.s)
    mine.meta["livetime"] = u.Quantity(before) + u.Quantity(livetime)


def hstack_columns(table, other):
    """One row with the values of both tables' first rows side by side in each column; columns that only one has are left out.

    Parameters
    ----------
    table, other : astropy.table.Table
    """
    from astropy.table import Table

    stacked = Table()
    for column in table.colnames:
        if column in other.colnames:
            stacked[column] = np.hstack([table[column].data[0], other[column].data[0]])[np.newaxis, :]
    return stacked
