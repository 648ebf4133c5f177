"""Maps on other pixels by counting: every pixel goes as a whole to the pixel its centre lies in; small ones first make that exact.

`resample_map` does this once, `reproject_map` splits pixels before. To interpolate instead see `Map.interp_to_geom`. Pixels are matched on
the host, values are summed where the map is.
"""

import numpy as np

from ..core.backend import to_device
from ..core.errors import GeometryError
from .map_axes import factors_of
from .promotion import product

__all__ = ["reproject_by_image", "reproject_map", "resample_map"]


def resample_map(map_, geom, weights=None, preserve_counts=True, smooth=False):
    """Sum or mean of the pixels whose centre lies in each pixel of another geometry; 0 where there is none.

    Parameters
    ----------
    map_ : `~gpudl4.maps.Map`
        Map.
    geom : `~gpudl4.maps.WcsGeom` or `~gpudl4.maps.RegionGeom`
        Wanted geometry, with axes of the same names.
    weights : array or `~gpudl4.maps.Map`, optional
        Factors of the pixels, of the shape of the data.
    preserve_counts : bool
        True sums, False takes the mean, weighted with `weights` (0 where they sum to 0).
    smooth : bool
        With `preserve_counts` on a sky geometry: the mean, scaled so that the total is preserved. Without, where pixels are not much larger
        than those of the map, numbers of pixels per pixel show.

    Returns
    -------
    map : `~gpudl4.maps.Map`
        Map with data of the type of the map, float32 for masks, float64 for integers.
    """
    backend, xp = map_.backend, map_.backend.xp
    factors = None if weights is None else factors_of(weights, map_.data)
    data = map_.data if factors is None else product(map_.data, factors)
    flat, size = _target_pixels(map_.geom, geom, data.shape)
    flat = to_device(flat, backend)

    def sums(values):
        values = None if values is None else xp.broadcast_to(values, data.shape).astype(float).ravel()
        return xp.bincount(flat, weights=values, minlength=size + 1)[:size]

    total = sums(data)
    smooth = smooth and not geom.is_region
    if smooth or not preserve_counts:
        number = sums(factors)
        mean = xp.where(number != 0, total / xp.where(number != 0, number, 1), 0.0)
        if smooth and preserve_counts:
            norm = xp.nansum(mean)
            mean = mean * xp.where(norm != 0, xp.nansum(total) / xp.where(norm != 0, norm, 1.0), 0.0)
        total = mean
    dtype = {"b": np.float32, "i": np.float64, "u": np.float64}.get(map_.data.dtype.kind, map_.data.dtype)
    return map_.from_geom(geom, data=total.reshape(geom.data_shape).astype(dtype), unit=map_.unit, meta=dict(map_.meta))


def _target_pixels(source, geom, shape):
    """Number of the pixel of `geom` that holds each pixel of `source`, flattened, one beyond the last for none; and how many there are."""
    idx = geom.coord_to_idx(source.get_coord(sparse=True))
    idx = [np.reshape(i, (1,) * (len(shape) - np.ndim(i)) + np.shape(i)) for i in idx]
    size, flat, inside = int(np.prod(geom.data_shape)), 0, True
    for i, n in zip(idx[::-1], geom.data_shape, strict=True):
        flat, inside = flat * n + i, inside & (i != -1)
    return np.broadcast_to(np.where(inside, flat, size), shape).ravel(), size


def _factor(wanted, own, precision_factor):
    """Into how many parts bins of size `own` are split to be `precision_factor` times smaller than bins of size `wanted`."""
    ratio = float(wanted / own)
    return 1 if ratio >= precision_factor else int(np.ceil(precision_factor / ratio))


def reproject_map(map_, geom, preserve_counts=False, precision_factor=10):
    """Map on other pixels: pixels are split until they are small, then counted where their centres fall; then the same along the axes.

    On the sky counts are smoothed, see `resample_map`, so that pixels which the map covers in part get the counts of whole ones.

    Parameters
    ----------
    map_ : `~gpudl4.maps.WcsNDMap`
        Map.
    geom : `~gpudl4.maps.WcsGeom` or `~gpudl4.maps.RegionGeom`
        Wanted geometry. An image keeps the axes of the map; else its axes must have the same names in the same order.
    preserve_counts : bool
        Whether values are per pixel (counts) or densities.
    precision_factor : int
        How many times smaller than the wanted pixels the split ones are at least.

    Returns
    -------
    map : `~gpudl4.maps.Map`
        Map with the wanted pixels.

    Raises
    ------
    GeometryError
        If the map has no pixels or the axes differ in their names.
    """
    if map_.geom.is_region:
        raise GeometryError("a region map has no pixels and cannot be reprojected: use get_by_coord or interp_to_geom")
    if not geom.is_image and geom.axes.names != map_.geom.axes.names:
        raise GeometryError(f"the names of the axes and their order must agree, got: {map_.geom.axes.names} and {geom.axes.names}")
    target = geom._with_axes(map_.geom.axes)
    scales = (target.to_wcs_geom() if geom.is_region else target).pixel_scales
    factor = _factor(scales.min(), map_.geom.pixel_scales.min(), precision_factor)
    out = map_.upsample(factor, preserve_counts=preserve_counts)
    out = resample_map(out, target, preserve_counts=preserve_counts, smooth=True)
    if geom.is_image or geom.axes == target.axes:
        return out
    for own, wanted in zip(target.axes, geom.axes, strict=True):
        factor = _factor(wanted.bin_width.min(), own.bin_width.min(), precision_factor)
        out = out.upsample(factor, preserve_counts=preserve_counts, axis_name=own.name) if factor > 1 else out
    return resample_map(out, geom, preserve_counts=preserve_counts)  # bins may differ in width: smoothing would make their counts equal


def reproject_by_image(map_, geom, preserve_counts=False, precision_factor=10):
    """As `reproject_map`, one image plane after the other: less memory, and counts are preserved in every plane.

    Parameters
    ----------
    map_, preserve_counts, precision_factor
        As for `reproject_map`.
    geom : `~gpudl4.maps.WcsGeom` or `~gpudl4.maps.RegionGeom`
        Wanted image geometry.

    Returns
    -------
    map : `~gpudl4.maps.Map`
        Map with the axes of `map_`.
    """
    if not geom.is_image:
        raise GeometryError(f"an image geometry is needed, got the axes: {geom.axes.names}")
    out = None
    for index in map_.iter_by_image_index():
        image = reproject_map(map_.get_image_by_idx(index[::-1]), geom, preserve_counts, precision_factor)
        if out is None:
            target = geom.to_cube(map_.geom.axes)
            out = image._with(geom=target, data=map_.backend.xp.zeros(target.data_shape, dtype=image.data.dtype))
        out.data[index] = image.data
    return out
