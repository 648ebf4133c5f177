"""Parts of sky maps inside regions: the cutout around a region, histograms of its pixels, and whether a mask reaches into it.

For sums and means over a region see `~gpudl4.maps.region_map.region_map_of`.
"""

import numpy as np

from ..core.backend import to_device, to_host
from ..core.errors import GeometryError, UnitMismatchError
from .axis import MapAxis
from .region import RegionGeom

__all__ = ["cutout_and_mask_region", "mask_contains_region", "region_histogram"]


def cutout_and_mask_region(map_, region=None):
    """Smallest cutout of a map that holds a region, and the mask of the pixels whose centre lies in it.

    Parameters
    ----------
    map_ : `~gpudl4.maps.WcsNDMap`
        Map.
    region : `~regions.Region`, str or list of them, optional
        Region; the rectangle of the map by default.

    Returns
    -------
    cutout : `~gpudl4.maps.WcsNDMap`
        Part of the map.
    mask : `~gpudl4.maps.WcsNDMap`
        Boolean image with the pixels of the cutout, where the map is.
    """
    region = map_.geom.footprint_rectangle_sky_region if region is None else region
    geom = RegionGeom.from_regions(region, wcs=map_.geom.wcs)
    cutout = map_.cutout(geom.center_skydir, tuple(geom.width.value.tolist()))
    mask = cutout.geom.to_image().region_mask([geom.region])
    return cutout._with(meta={}), mask.to_device(map_.backend)


def mask_contains_region(map_, region):
    """Whether any pixel of an image mask that is True lies in a region.

    Parameters
    ----------
    map_ : `~gpudl4.maps.WcsNDMap`
        Boolean image; on a device it is copied to the host.
    region : `~regions.Region`, str or list of them
        Sky or pixel regions. A pixel lies in a region if its centre does; a point lies in the pixel around it.

    Returns
    -------
    contained : bool
        Result; False outside the map.

    Raises
    ------
    GeometryError
        If the map is no boolean image.
    """
    if not map_.is_mask or not map_.geom.is_image:
        raise GeometryError(f"a boolean image is needed, got data of type {map_.data.dtype} and shape {map_.data.shape}")
    from regions import PixCoord, PixelRegion, PointPixelRegion

    from .region_shapes import as_regions

    mask = to_host(map_.data)
    y, x = np.nonzero(mask)
    for part in as_regions(region):
        part = part if isinstance(part, PixelRegion) else part.to_pixel(map_.geom.wcs)
        if isinstance(part, PointPixelRegion):
            column, row = (int(i[0]) for i in map_.geom.pix_to_idx((part.center.x, part.center.y)))
            inside = column >= 0 and row >= 0 and mask[row, column]
        else:
            inside = np.any(part.contains(PixCoord(x, y)))
        if inside:
            return True
    return False


def region_histogram(map_, region=None, bins_axis=None, nbin=100, density=False):
    """Histogram of the pixel values in a region, for every image plane.

    Parameters
    ----------
    map_ : `~gpudl4.maps.WcsNDMap`
        Map; values that are NaN are left out.
    region : `~regions.SkyRegion`, optional
        Region with an extension; the rectangle of the map by default.
    bins_axis : `~gpudl4.maps.MapAxis`, optional
        Bins; by default `nbin` equal ones, named "bins", from minus to plus the largest absolute value.
    nbin : int
        Number of bins if no axis is given.
    density : bool
        Whether the integral of each histogram shall be 1.

    Returns
    -------
    map : `~gpudl4.maps.RegionNDMap`
        Numbers of pixels, int64, or densities, with the bins as first axis. The last bin includes its upper edge.

    Raises
    ------
    GeometryError
        If the region is a point.
    UnitMismatchError
        If the unit of the bins does not convert to that of the map.
    """
    from .region_map import RegionNDMap

    if region is not None and RegionGeom.from_regions(region, wcs=map_.geom.wcs).is_all_point_sky_regions:
        raise GeometryError("a point holds no pixels to make a histogram of: give a region with an extension")
    cutout, mask = cutout_and_mask_region(map_, region)
    backend, xp = map_.backend, map_.backend.xp
    values = cutout.data[..., mask.data].astype(float)
    if bins_axis is None:
        largest = float(xp.nanmax(xp.abs(values)))
        bins_axis = MapAxis.from_bounds(-largest, largest, nbin, unit=map_.unit, name="bins")
    if not bins_axis.unit.is_equivalent(map_.unit):
        raise UnitMismatchError(f"the bins are in '{bins_axis.unit}', which does not convert to the unit of the map, '{map_.unit}'")
    values, edges = values * float(map_.unit.to(bins_axis.unit)), to_device(bins_axis.edges.value, backend)
    last = bins_axis.nbin
    index = xp.searchsorted(edges, values.ravel(), side="right").reshape(values.shape) - 1
    index = xp.where(values == edges[-1], last - 1, index)
    index = xp.where((index < 0) | (index >= last) | xp.isnan(values), last, index)  # one bin more for what lies outside
    planes = int(np.prod(values.shape[:-1], dtype=int))
    first = to_device(np.arange(planes)[:, np.newaxis] * (last + 1), backend)
    counts = xp.bincount((index.reshape(planes, -1) + first).ravel(), minlength=planes * (last + 1)).reshape(planes, last + 1)[:, :last]
    if density:
        counts = counts / counts.sum(axis=1, keepdims=True) / to_device(bins_axis.bin_width.value, backend)
    region = None if region is None else RegionGeom.from_regions(region, wcs=map_.geom.wcs).region
    geom = RegionGeom(region, axes=[bins_axis, *map_.geom.axes], wcs=map_.geom.wcs)
    return RegionNDMap(geom, data=counts.reshape(geom.data_shape), unit=1 / bins_axis.unit if density else "")
