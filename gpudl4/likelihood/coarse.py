"""Datasets with merged pixels, for the first steps of a fit with large shapes.

A shape that spans a hundred pixels looks the same on pixels four times as wide, and costs a sixteenth. `drafted` makes a stand-in for a
dataset that has the fields the likelihood reads; ``compile(..., draft=True)`` uses it where a shape that can change is large. The
result of a fit never rests on it.
"""

from functools import reduce
from operator import add, and_
from types import SimpleNamespace

from gpudl4.core.backend import array_namespace
from gpudl4.maps import Map
from gpudl4.maps.promotion import wide

from .response import CUTOUT_MARGIN
from .statistic import CASH

__all__ = ["drafted", "original"]

LARGE, SMALLEST_MAP = 55, 100  # pixels across the cutout of a shape, without its PSF, and across the map, from which on merging pays
FACTORS = (4, 3)  # pixels merged in each direction; four needs an even number of them


def drafted(dataset, models):
    """A dataset, or a stand-in for it, as the first steps of a fit of some models should see it.

    Parameters
    ----------
    dataset : dataset-like
        A dataset, or its stand-in, which is handed back where one is wanted.
    models : list of models
        Those that act on it.
    """
    full = original(dataset)
    if not _has_large_shapes(full, models):
        return full
    return dataset if dataset is not full else _coarse(full)


def _has_large_shapes(dataset, models):
    """Whether a shape that can change is large on the pixels of the dataset."""
    if getattr(dataset, "stat_type", CASH) != CASH:  # counts of the off region and weights have no merged pixels
        return False
    if getattr(dataset, "counts", None) is None or dataset.counts.geom.is_region or min(dataset.counts.data.shape[-2:]) < SMALLEST_MAP:
        return False
    size = dataset.counts.geom.largest_pixel_scale
    for model in models:
        spatial = getattr(model, "spatial_model", None)
        if spatial is None or hasattr(spatial, "bind_point") or "fov-bkg" in model.tag or all(p.frozen for p in spatial.parameters):
            continue
        radius = model.evaluation_radius
        if radius is None or 2 * (radius.to_value("deg") + CUTOUT_MARGIN) > LARGE * size:
            return True
    return False


def original(dataset):
    """The dataset that a stand-in was made of; a dataset itself."""
    return getattr(dataset, "original", dataset)


def _coarse(dataset):
    """Stand-in for a dataset with merged pixels.

    Counts and background are summed, exposure is averaged. A merged pixel is inside the mask if all its pixels are; up to two rows and
    columns of pixels at the borders of the map are left out.

    Returns
    -------
    dataset-like
        With the fields that the likelihood reads, and ``original``. The dataset itself if nothing inside the mask would be left.
    """
    geom = dataset.counts.geom
    factor, crop = _factor_and_crop(geom.data_shape[-2:])
    xp = array_namespace(dataset.counts.data)
    inside = xp.ones(geom.data_shape, dtype=bool) if dataset.mask is None else xp.broadcast_to(dataset.mask.data, geom.data_shape)
    kept = _merged(inside, factor, crop, and_)
    if not bool(kept.any()):
        return dataset
    target = geom.crop(crop[::-1]).downsample(factor)
    new_mask = Map.from_geom(target, data=kept)

    def summed(field):
        if field is None:
            return None
        return Map.from_geom(target, data=xp.where(kept, _merged(wide(field.data), factor, crop, add), 0), unit=field.unit)

    return SimpleNamespace(
        name=dataset.name,
        counts=summed(dataset.counts),
        background=summed(dataset.background),
        exposure=_averaged(dataset.exposure, target, factor, crop),
        psf=dataset.psf,
        edisp=dataset.edisp,
        mask=new_mask,
        mask_safe=None,
        mask_fit=new_mask,
        models=dataset.models,
        original=dataset,
    )


def _averaged(exposure, target, factor, crop):
    if exposure is None:
        return None
    xp = array_namespace(exposure.data)
    data = exposure.data if bool(exposure.data.min() >= 0) else xp.where(exposure.data >= 0, exposure.data, 0)  # neither NaN nor negative
    data = _merged(data, factor, crop, add) / factor**2
    geom = target.to_image().to_cube(list(exposure.geom.axes))
    return Map.from_geom(geom, data=data.astype(exposure.data.dtype), unit=exposure.unit)


def _factor_and_crop(shape):
    """How many pixels are merged, and how many rows and columns are left out at either side."""
    for factor in FACTORS:
        crop = [next((c for c in range(factor) if (n - 2 * c) % factor == 0), None) for n in shape]
        if None not in crop:
            return factor, tuple(crop)
    raise AssertionError("three pixels can always be merged")


def _merged(array, factor, crop, combine):
    """Blocks of factor x factor pixels made one by adding them up, or by another way to combine two; rows first, which are contiguous.

    Strided slices are added, for a sum along a short last axis takes ten times as long.
    """
    (y, x), (ny, nx) = crop, array.shape[-2:]
    rows = reduce(combine, (array[..., y + i : ny - y : factor, x : nx - x] for i in range(factor)))
    return reduce(combine, (rows[..., i::factor] for i in range(factor)))
