"""Datasets whose exposure reaches farther than their counts: a source beside the counts map leaks in through its PSF.

Fermi-LAT exposures are often made this way. Models are folded on the pixels of the exposure and cropped to those of the counts. For that
`widened` makes a stand-in whose counts, background and mask have the pixels of the exposure; the mask is False where there are no counts,
so no bin is added to the statistic.
"""

from types import SimpleNamespace

import numpy as np

from gpudl4.core.backend import array_namespace
from gpudl4.maps import Map

from .response import reco_geom
from .statistic import CASH_WEIGHTED, EXTRAS, WSTAT, statistic_of

__all__ = ["offset_within", "slices_within", "widened"]


def offset_within(geom, outer):
    """Row and column of an image geometry's first pixel in a larger one.

    Parameters
    ----------
    geom, outer : `~gpudl4.maps.WcsGeom`

    Returns
    -------
    (int, int) or None
        None if the projections differ, pixels do not fall on pixels, or the image reaches out of the other.
    """
    geom, outer = geom.to_image(), outer.to_image()
    if geom.is_region or outer.is_region or not geom.is_aligned(outer):
        return None
    column, row = np.rint(outer.wcs.wcs.crpix - geom.wcs.wcs.crpix).astype(int).tolist()
    (ny, nx), (height, width) = geom.data_shape[-2:], outer.data_shape[-2:]
    inside = 0 <= row <= height - ny and 0 <= column <= width - nx
    return (int(row), int(column)) if inside else None


def slices_within(dataset):
    """Slices of rows and columns of the counts in the exposure where that is larger, else None."""
    exposure = getattr(dataset, "exposure", None)  # flux points have none
    if exposure is None:
        return None
    geom, outer = reco_geom(dataset), exposure.geom
    if geom.is_region or tuple(geom.data_shape[-2:]) == tuple(outer.data_shape[-2:]):
        return None
    offset = offset_within(geom, outer)
    if offset is None:
        return None
    return tuple(slice(int(first), int(first + n)) for first, n in zip(offset, geom.data_shape[-2:], strict=True))


def widened(dataset):
    """A dataset, or a stand-in for it on the pixels of its exposure where those are more.

    Parameters
    ----------
    dataset : dataset-like
        Whose exposure has the pixels of its counts, or contains them.
    """
    where = slices_within(dataset)
    if where is None:
        return dataset
    image, mask = dataset.exposure.geom.to_image(), dataset.mask
    axes = reco_geom(dataset).axes
    xp = array_namespace(dataset.exposure.data)
    geom = image.to_cube(axes)

    def on_exposure(field):
        if field is None:
            return None
        data = xp.zeros(geom.data_shape, dtype=field.data.dtype)
        data[(..., *where)] = field.data
        return Map.from_geom(geom, data=data, unit=field.unit)

    beside = {} if statistic_of(dataset) != WSTAT else {name: on_exposure(getattr(dataset, name)) for name in EXTRAS[WSTAT]}
    inside = xp.zeros(geom.data_shape, dtype=bool)
    inside[(..., *where)] = True if mask is None else mask.data
    wide = Map.from_geom(geom, data=inside)
    return SimpleNamespace(
        name=dataset.name,
        models=dataset.models,
        counts=on_exposure(dataset.counts),
        background=None if beside else on_exposure(dataset.background),
        exposure=dataset.exposure,
        psf=dataset.psf,
        edisp=dataset.edisp,
        mask=wide,
        mask_safe=wide,
        mask_fit=None if statistic_of(dataset) != CASH_WEIGHTED else on_exposure(dataset.mask_fit),
        stat_type=statistic_of(dataset),
        **beside,
    )
