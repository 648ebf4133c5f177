"""Sky regions as geometries use them: lists of regions from whatever a user has, their union, and a point to project around.

The package `regions` is loaded only when a function is called.
"""

import numpy as np
from astropy.coordinates import SkyCoord

from ..core.errors import GeometryError

__all__ = ["as_regions", "region_center", "sky_regions", "union_of"]


def as_regions(regions):
    """List of sky regions.

    Parameters
    ----------
    regions : str, `~regions.Region`, `~astropy.coordinates.SkyCoord` or list of them
        DS9 text, regions or positions. Compound regions are taken apart if they are unions.

    Returns
    -------
    regions : list of `~regions.Region`
        Regions.

    Raises
    ------
    GeometryError
        If a text cannot be read or names no region, a compound region is no union, or it is nothing of all this.
    """
    from regions import CompoundPixelRegion, CompoundSkyRegion, PointSkyRegion, Region, Regions

    if isinstance(regions, str):
        regions = _parse(regions)
    if isinstance(regions, SkyCoord):
        return [PointSkyRegion(position) for position in np.atleast_1d(regions)]
    if isinstance(regions, (CompoundSkyRegion, CompoundPixelRegion)):
        if regions.operator.__name__ != "or_":
            raise GeometryError("of compound regions only unions are supported")
        return as_regions(regions.region1) + as_regions(regions.region2)
    if isinstance(regions, Region):
        return [regions]
    if isinstance(regions, (list, tuple, Regions)):
        return [single for region in regions for single in as_regions(region)]
    raise GeometryError(f"regions must be DS9 text, regions or positions, got: {type(regions).__name__}")


def _parse(text):
    """The regions of a DS9 text, at least one."""
    from regions import Regions

    try:
        regions = Regions.parse(text, format="ds9")
    except (IndexError, TypeError, ValueError) as error:
        raise GeometryError(f"the DS9 text {text!r} cannot be read: {error}") from error
    if not len(regions):
        raise GeometryError(f"no region in the DS9 text {text!r}: write for instance 'icrs;circle(83.63, 22.01, 0.1)', in degrees")
    return regions


def sky_regions(regions, wcs=None):
    """As `as_regions`, with pixel regions turned into sky regions.

    Parameters
    ----------
    regions : str, `~regions.Region`, `~astropy.coordinates.SkyCoord` or list of them
        Regions.
    wcs : `~astropy.wcs.WCS`, optional
        Projection that pixel regions refer to.

    Returns
    -------
    regions : list of `~regions.SkyRegion`
        Sky regions.

    Raises
    ------
    GeometryError
        If there are pixel regions and no projection.
    """
    from regions import PixelRegion

    out = []
    for region in as_regions(regions):
        if isinstance(region, PixelRegion):
            if wcs is None:
                raise GeometryError(f"a sky region is needed, got the pixel region {region!r}: use its method to_sky(wcs)")
            region = region.to_sky(wcs)
        out.append(region)
    return out


def union_of(regions):
    """Union of a list of sky regions, a region; None for an empty list."""
    union = None
    for region in regions:
        union = region if union is None else union.union(region)
    return union


def region_center(region):
    """Centre of a region; of a polygon, the mean of its vertices; of a union, the geometric median of the centres of its parts."""
    if getattr(region, "center", None) is not None:
        return region.center
    if hasattr(region, "vertices"):
        return _direction(region.vertices.cartesian.xyz.value.mean(axis=1), region.vertices.frame.name)
    points = np.array([region_center(part).icrs.cartesian.xyz.value for part in as_regions(region)])
    point = points.mean(axis=0)
    for _ in range(200):  # Weiszfeld's iteration for the point with the smallest sum of distances
        distance = np.maximum(np.linalg.norm(points - point, axis=1), 1e-12)
        moved = (points / distance[:, np.newaxis]).sum(axis=0) / (1 / distance).sum()
        if np.linalg.norm(moved - point) < 1e-12:
            break
        point = moved
    return _direction(point, "icrs")


def _direction(point, frame):
    lon, lat = np.arctan2(point[1], point[0]), np.arctan2(point[2], np.hypot(point[0], point[1]))
    return SkyCoord(lon % (2 * np.pi), lat, unit="rad", frame=frame)
