"""What a source at one position meets: exposure on its cutout, the PSF kernel and the energy-dispersion matrix there.

A `Response` is made when a likelihood is compiled and never changes. The cutout follows gammapy's rule: wide enough for the PSF kernel
plus twice the model's radius and margin, an odd number of pixels, trimmed at the map's edge.
"""

from dataclasses import dataclass

import numpy as np

from gpudl4.core.errors import DatasetError
from gpudl4.maps.frames import lonlat_of

from .region import Box

__all__ = ["CUTOUT_MARGIN", "PSF_CONTAINMENT", "Response", "cutout_box", "reach_of", "reco_geom"]

CUTOUT_MARGIN = 0.1  # deg, added around a model's radius; gammapy's CUTOUT_MARGIN
PSF_CONTAINMENT = 0.999  # PSF kernels end at this containment; gammapy's PSF_CONTAINMENT


@dataclass(frozen=True)
class Response:
    """The instrument as one source sees it.

    Attributes
    ----------
    box : Box
        Cutout in map pixels.
    has_exposure : bool
        False for a model that does not want it: exposure 1 then.
    scale : float
        Factor from the stored exposure to cm2 s.
    edisp : float64 array[L, K]
    reach : int64 array[2 L + 2 K]
        first[L], last[L]: range of reconstructed bins that true bin l reaches; low[K], high[K]: range of true bins that reach k.
    psf : float64 array[L or K, h, w]
        Kernel with odd sizes; a single 1 where there is no PSF.
    psf_last : bool
        True if the PSF is in reconstructed energy and acts after the energy dispersion.
    position : `~astropy.coordinates.SkyCoord` or tuple of float or None
        Where PSF and energy dispersion were taken; a tuple is (lon, lat) in degrees in the frame of the exposure.
    width : float or None
        Width of the cutout in degrees; None for the whole map.
    """

    box: Box
    has_exposure: bool
    scale: float
    edisp: np.ndarray
    reach: np.ndarray
    psf: np.ndarray
    psf_last: bool
    position: object
    width: float | None


def cutout_box(geom, position, width_deg, odd_npix=True):
    """Box of gammapy's trimmed cutout around a position; GeometryError outside the map.

    It holds the four pixels that a point is shared by, and is grown where the projection puts pixels of the source elsewhere.
    """
    slices = geom.cutout_slices(position, width_deg, odd_npix=odd_npix, min_npix=3)["parent-slices"]
    rows, columns = geom.grown_slices(slices, lonlat_of(position, geom.frame), 0.5 * width_deg)
    return Box(int(rows.start), int(columns.start), int(rows.stop - rows.start), int(columns.stop - columns.start))


def reco_geom(dataset):
    """Geometry in reconstructed energy: that of counts, background or mask_safe, whichever is there."""
    for name in ("counts", "background", "mask_safe"):
        field = getattr(dataset, name, None)
        if field is not None:
            return field.geom
    raise DatasetError(f"dataset '{dataset.name}' has neither counts nor background nor mask_safe: its energy axis is unknown")


def reach_of(edisp):
    """Range of reconstructed bins that each true bin reaches and of true bins that reach each reconstructed one, int64[2 L + 2 K]."""
    return np.concatenate([*_reach(edisp), *_reach(edisp.T)])


def _reach(edisp):
    """First and one-past-last reconstructed bin with a non-zero entry, per true bin."""
    nonzero = edisp != 0
    any_ = nonzero.any(axis=1)
    first = np.where(any_, nonzero.argmax(axis=1), 0)
    last = np.where(any_, edisp.shape[1] - nonzero[:, ::-1].argmax(axis=1), 0)
    return first.astype(np.int64), last.astype(np.int64)
