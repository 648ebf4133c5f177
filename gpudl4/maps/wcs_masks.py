"""Masks on a `WcsGeom`: regions, their pixel fractions, margins, and the structuring elements for erosion and dilation."""

import numpy as np
from astropy import units as u

from ..core.errors import GeometryError
from .frames import lonlat_of
from .wcs_build import round_up_to_odd

__all__ = ["binary_structure", "boundary_mask", "disk_kernel", "region_mask", "region_weights"]


def region_mask(geom, regions, inside=True):
    """Mask of the pixels whose centre lies in one of several regions.

    Parameters
    ----------
    geom : `~gpudl4.maps.WcsGeom`
        Geometry.
    regions : str, `~regions.Region`, `~astropy.coordinates.SkyCoord` or list of them
        Regions, sky or pixel, or DS9 text. A point selects the pixels among which it is shared by linear weights.
    inside : bool
        Value inside the regions.

    Returns
    -------
    mask : `~gpudl4.maps.WcsNDMap`
        Boolean map; the same for all image planes. No pixel beyond the end of the sky lies in a region of the sky.
    """
    from regions import PixCoord, PixelRegion, PointSkyRegion

    from .map import Map
    from .region_shapes import as_regions

    ny, nx = geom.data_shape[-2:]
    y, x = np.mgrid[:ny, :nx]
    image, on_sky = np.zeros((ny, nx), dtype=bool), None
    corners = geom.pix_to_lonlat(np.array([0, nx - 1, 0, nx - 1]), np.array([0, 0, ny - 1, ny - 1]))[0]
    if np.isnan(corners).any():  # what a projection shows of the sky is convex
        on_sky = np.isfinite(geom.pix_to_lonlat(x, y)[0])
    for region in as_regions(regions):
        if isinstance(region, PointSkyRegion):
            xp, yp = geom.lonlat_to_pix(*lonlat_of(region.center, geom.frame))
            image |= (np.abs(x - xp) < 1) & (np.abs(y - yp) < 1)
        else:
            is_of_pixels = isinstance(region, PixelRegion)
            found = np.asarray((region if is_of_pixels else region.to_pixel(geom.wcs)).contains(PixCoord(x, y)), dtype=bool)
            image |= found if is_of_pixels or on_sky is None else found & on_sky
    return Map.from_geom(geom, data=np.broadcast_to(image if inside else ~image, geom.data_shape).copy())


def region_weights(geom, regions, oversampling_factor=10):
    """Fraction of every pixel that lies in the regions.

    Parameters
    ----------
    geom : `~gpudl4.maps.WcsGeom`
        Geometry.
    regions
        As for `region_mask`.
    oversampling_factor : int
        Number of sub-pixels along each side.

    Returns
    -------
    map : `~gpudl4.maps.WcsNDMap`
        Fractions, float64.
    """
    mask = region_mask(geom.upsample(oversampling_factor), regions)
    return mask.copy(dtype=float).downsample(oversampling_factor, preserve_counts=False)


def boundary_mask(geom, width):
    """Mask that is False within a margin of the border.

    Parameters
    ----------
    geom : `~gpudl4.maps.WcsGeom`
        Geometry.
    width : `~astropy.units.Quantity`
        Margin, the same or (lon, lat).

    Returns
    -------
    mask : `~gpudl4.maps.WcsNDMap`
        Boolean map.
    """
    from .map import Map

    return Map.from_geom(geom, data=True).binary_erode(2 * u.Quantity(width), kernel="box")


def disk_kernel(radius):
    """Disk of ones in a square array of odd size that just holds it; a pixel belongs to it if its centre does.

    Parameters
    ----------
    radius : float
        Radius in pixels.

    Returns
    -------
    kernel : `~numpy.ndarray`
        Zeros and ones.
    """
    size = int(np.ceil(2 * radius))
    half = (size + 1 - size % 2) // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    return (x**2 + y**2 <= radius**2).astype(float)


def binary_structure(geom, width, kernel="disk"):
    """Structuring element for erosion and dilation.

    Parameters
    ----------
    geom : `~gpudl4.maps.WcsGeom`
        Geometry.
    width : `~astropy.units.Quantity`, str or float
        Angle or number of pixels; the radius of a "disk", the side of a "box" (the same or lon, lat). Rounded up to odd.
    kernel : {"disk", "box"}
        Shape.

    Returns
    -------
    structure : `~numpy.ndarray`
        Array of ones and zeros with the number of dimensions of the geometry.
    """
    width = u.Quantity(width)
    pixels = (width / geom.pixel_scales).to_value("") if width.unit.is_equivalent("deg") else np.broadcast_to(width.to_value(""), 2)
    x, y = (round_up_to_odd(value) for value in pixels)
    if kernel == "disk":
        structure = disk_kernel(x)
    elif kernel == "box":
        structure = np.ones((y, x))
    else:
        raise GeometryError(f"unknown kernel {kernel!r}: choose 'disk' or 'box'")
    return structure.reshape((1,) * len(geom.axes) + structure.shape)
