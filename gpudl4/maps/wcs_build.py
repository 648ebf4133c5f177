"""Making and changing WCS objects and cutout bounds: the plain-number side of `WcsGeom`."""

import math

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import celestial_frame_to_wcs, wcs_to_celestial_frame

from ..core.errors import GeometryError

__all__ = ["cutout_bounds", "frame_of", "make_wcs", "pair", "resampled_wcs", "round_up_to_odd", "shifted_wcs", "single"]

FRAMES = ("icrs", "galactic", "fk5", "fk4")  # that a FITS projection and a SkyCoord can both name


def round_up_to_odd(value):
    """Smallest odd integer not below a number; even integers go up by one."""
    return int(math.ceil(value) // 2 * 2 + 1)


def frame_of(wcs):
    """Name of the sky frame of a WCS.

    Raises
    ------
    GeometryError
        If the WCS does not have longitude and latitude as its two axes, in this order.
    """
    if wcs.wcs.lng != 0 or wcs.wcs.lat != 1:
        raise GeometryError(f"a sky map needs longitude and latitude as its first two axes, got CTYPE: {list(wcs.wcs.ctype)}")
    if wcs.wcs.ctype[0].startswith("GLON"):
        return "galactic"
    if wcs.wcs.ctype[0].startswith("RA--") and wcs.wcs.radesys == "ICRS":
        return "icrs"
    return wcs_to_celestial_frame(wcs).name


def make_wcs(npix, binsz, crval, refpix, proj, frame):
    """Celestial WCS with longitude increasing to the left.

    Parameters
    ----------
    npix : tuple of int
        Number of pixels (lon, lat).
    binsz, crval, refpix : tuple of float
        Pixel size and reference position in degrees, and the reference pixel counted from 1, each (lon, lat).
    proj : str
        Projection code of three letters.
    frame : str
        Name of an astropy frame.

    Returns
    -------
    wcs : `~astropy.wcs.WCS`
        Projection.

    Raises
    ------
    GeometryError
        If the frame or the projection is unknown.
    """
    frame = "icrs" if frame is None else frame
    if not isinstance(frame, str) or frame not in FRAMES:
        raise GeometryError(f"frame {frame!r} cannot be used for a sky map: choose 'icrs' or 'galactic' (or 'fk5', 'fk4')")
    if frame in ("icrs", "galactic"):
        wcs = WCS(naxis=2)
        names = ("GLON", "GLAT") if frame == "galactic" else ("RA--", "DEC-")
        wcs.wcs.ctype = [f"{name}-{proj}" for name in names]
        if frame == "icrs":
            wcs.wcs.radesys = "ICRS"
    else:
        wcs = celestial_frame_to_wcs(SkyCoord(0, 0, unit="deg", frame=frame).frame, projection=proj)
    wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = refpix, crval, (-binsz[0], binsz[1])
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.array_shape = npix[::-1]
    try:
        wcs.wcs.set()
    except Exception as error:  # wcslib raises one class per kind of bad projection
        raise GeometryError(f"projection {proj!r} cannot be used for a sky map: {error}") from error
    return wcs


def resampled_wcs(wcs, factor):
    """WCS whose pixels are `factor` times as large."""
    wcs = wcs.deepcopy()
    if wcs.wcs.has_cd():
        wcs.wcs.cd = wcs.wcs.cd * factor
    else:
        wcs.wcs.cdelt = wcs.wcs.cdelt * factor
    wcs.wcs.crpix = (wcs.wcs.crpix - 0.5) / factor + 0.5
    return wcs


def shifted_wcs(wcs, origin):
    """WCS of a part of an image that begins at the pixel `origin` (lon, lat) of it."""
    wcs = wcs.deepcopy()
    wcs.wcs.crpix = wcs.wcs.crpix - np.asarray(origin)
    return wcs


def cutout_bounds(position, npix, shape, mode):
    """First and last pixel of a window around a position, along one dimension.

    The window begins at ceil(position - npix / 2), as in `astropy.nddata.Cutout2D`.

    Parameters
    ----------
    position : float
        Pixel coordinate of the centre.
    npix : int
        Size of the window.
    shape : int
        Size of the image.
    mode : {"trim", "partial", "strict"}
        What happens at the border: the window is cut, is kept with empty pixels, or must not be touched.

    Returns
    -------
    start, parent, inside : int, slice, slice
        First pixel of the window (may be negative), its part of the image, and where that part lies in the window.

    Raises
    ------
    GeometryError
        If the window lies outside (also an `~astropy.nddata.NoOverlapError`), or crosses the border with mode "strict".
    """
    if not math.isfinite(position):
        raise _no_overlap("the position of the cutout has no pixel in this projection")
    start = math.ceil(position - npix / 2)
    low, high = max(start, 0), min(start + npix, shape)
    if low >= high:
        raise _no_overlap(f"the cutout covers pixels {start} to {start + npix - 1}, outside a map of {shape} pixels")
    if mode == "strict" and high - low != npix:
        raise GeometryError(f"the cutout covers pixels {start} to {start + npix - 1}, partly outside a map of {shape} pixels")
    if mode == "trim":
        return low, slice(low, high), slice(0, high - low)
    return start, slice(low, high), slice(low - start, high - start)


def _no_overlap(message):
    """The error gammapy users know is astropy's; loading it is left to the moment it is needed."""
    from astropy.nddata.utils import NoOverlapError

    return type("NoOverlapError", (GeometryError, NoOverlapError), {})(message)


def single(value, what):
    """One number out of a number or an array of one element."""
    if np.size(value) != 1:
        raise GeometryError(f"{what} differs between image planes, which is not supported: {value}")
    return np.ravel(value)[0]


def pair(value, what, convert):
    """Two numbers (lon, lat) from one number or a tuple of two."""
    parts = value if isinstance(value, tuple) else (value, value)
    if len(parts) != 2:
        raise GeometryError(f"{what} is one value or a tuple (lon, lat), got: {value!r}")
    for part in parts:
        if np.size(part) != 1:
            raise GeometryError(f"{what} is one value or a tuple (lon, lat); different values per image plane are not supported: {value!r}")
    return tuple(convert(part) if isinstance(part, str) or np.ndim(part) == 0 else convert(np.ravel(part)[0]) for part in parts)
