"""Linear and nearest interpolation on a regular pixel grid, for NumPy and CuPy arrays, with scaled values and extrapolation.

The grid is always the pixel grid 0, 1, 2, ...: maps turn coordinates into pixels first. `interpolate_pixels` does N dimensions;
`interpolate_1d` follows one axis with arbitrary nodes.
"""

import numpy as np

from ..core.backend import array_namespace, backend_of, to_device
from ..core.errors import GeometryError

__all__ = ["VALUE_SCALES", "interpolate_1d", "interpolate_pixels", "profile_root", "scale_values", "unscale_values"]

VALUE_SCALES = ("lin", "log", "sqrt")


def _check_scale(scale):
    if scale not in VALUE_SCALES:
        raise GeometryError(f"unknown scale {scale!r}: choose one of {', '.join(VALUE_SCALES)}")


def _tiny(dtype):
    return np.finfo(dtype if np.issubdtype(dtype, np.floating) else np.float32).tiny


def scale_values(values, scale):
    """Values on the scale they are interpolated in.

    "log" clips at the smallest normal number of the array's dtype (float32 for integers); "sqrt" keeps the sign.
    """
    _check_scale(scale)
    xp = array_namespace(values)
    if scale == "log":
        return xp.log(xp.clip(values, _tiny(values.dtype), None))
    if scale == "sqrt":
        return xp.sign(values) * xp.sqrt(xp.abs(values))
    return values


def unscale_values(values, scale):
    """Inverse of `scale_values`. On the "log" scale values up to twice the smallest normal number become 0; "sqrt" squares."""
    _check_scale(scale)
    xp = array_namespace(values)
    if scale == "log":
        output = xp.exp(values)
        return xp.where(output <= 2 * _tiny(output.dtype), 0.0, output)
    if scale == "sqrt":
        return values * values
    return values


def profile_root(values, axis):
    """Signed square root of a statistic profile: negative where it falls, positive where it rises.

    A parabola becomes a straight line through its minimum, so that linear interpolation of the root, squared, is exact for it.

    Parameters
    ----------
    values : array
        Differences of a statistic, not negative; what is not finite counts as 0.
    axis : int
        Dimension along which the profile runs; at least two values.

    Returns
    -------
    root : array
        Roots, of the shape of `values`.
    """
    xp = array_namespace(values)
    values = xp.where(xp.isfinite(values), values, 0.0)
    last = values.shape[axis] - 1
    lower = xp.take(values, to_device(np.maximum(np.arange(last + 1) - 1, 0), backend_of(values)), axis=axis)
    upper = xp.take(values, to_device(np.minimum(np.arange(last + 1) + 1, last), backend_of(values)), axis=axis)
    return scale_values(xp.sign(upper - lower) * values, "sqrt")


def interpolate_pixels(data, pix, method="linear", values_scale="lin"):
    """Interpolate on the pixel grid.

    Values that are not finite count as 0, unless all are. Dimensions of length one are ignored. Outside the grid the last cell is
    extrapolated (linear) or the edge value is taken (nearest); a position exactly between two pixels takes the lower one. NaN positions
    give NaN.

    Parameters
    ----------
    data : array
        Values on the grid, N dimensions.
    pix : sequence of `~numpy.ndarray`
        N arrays of pixel coordinates in the order of the dimensions of `data`; they broadcast against each other.
    method : {"linear", "nearest"}
        Method.
    values_scale : {"lin", "log", "sqrt"}
        Scale on which values are interpolated.

    Returns
    -------
    values : array
        Interpolated values, of the broadcast shape of `pix`, on the backend of `data`; float64 for "linear".

    Raises
    ------
    GeometryError
        If the method or the scale is unknown, or the number of pixel arrays is not that of the dimensions.
    """
    if method not in ("linear", "nearest"):
        raise GeometryError(f"unknown interpolation method {method!r}: choose 'linear' or 'nearest'")
    if len(pix) != data.ndim:
        raise GeometryError(f"{len(pix)} pixel coordinates were given for data with {data.ndim} dimensions")
    _check_scale(values_scale)
    backend = backend_of(data)
    pix = [np.asarray(p, dtype=float) for p in pix]
    shape = np.broadcast_shapes(*(p.shape for p in pix))
    used = [axis for axis, size in enumerate(data.shape) if size > 1]
    grid = data.reshape([data.shape[axis] for axis in used])
    invalid, lower, weight = np.zeros((), dtype=bool), [], []
    for axis, size in zip(used, grid.shape, strict=True):
        finite = np.isfinite(pix[axis])
        if not finite.all():
            invalid = invalid | ~finite
        position = np.where(finite, pix[axis], 0.0)
        index = np.clip(np.floor(position), 0, size - 2).astype(np.int64)
        lower.append(index)
        weight.append(position - index)

    def take(source, index):
        return _prepared(source[index], data, values_scale)

    if int(np.prod(shape)) * 2 ** len(used) > grid.size:  # cheaper to scale the grid once than every corner
        grid, take = _prepared(grid, data, values_scale), lambda source, index: source[index]
    if method == "nearest":
        values = take(grid, tuple(to_device(i + (w > 0.5), backend) for i, w in zip(lower, weight, strict=True)))
    else:
        values = _linear(grid, [to_device(i, backend) for i in lower], [to_device(w, backend) for w in weight], take)
    values = backend.xp.broadcast_to(unscale_values(values, values_scale), shape).copy()
    if invalid.any():
        values[to_device(np.broadcast_to(invalid, shape), backend)] = np.nan
    return values


def _prepared(values, data, scale):
    """Values as floats, finite unless nothing in `data` is, on the scale they are interpolated in."""
    xp = array_namespace(values)
    if values.dtype.kind not in "fc":
        return scale_values(values.astype(float), scale)
    finite = xp.isfinite(values)
    if not bool(finite.all()) and bool(xp.isfinite(data).any()):
        values = xp.where(finite, values, xp.zeros((), dtype=values.dtype))
    return scale_values(values, scale)


def _linear(grid, lower, weight, take):
    """Weighted sum over the corners of the cells."""
    if not lower:
        return take(grid, ()).astype(float)
    total = 0.0
    for corner in range(2 ** len(lower)):
        index, factor = [], 1.0
        for axis, (i, w) in enumerate(zip(lower, weight, strict=True)):
            upper = corner >> axis & 1
            index.append(i + upper)
            factor = factor * (w if upper else 1.0 - w)
        total = total + factor * take(grid, tuple(index))
    return total


def interpolate_1d(x, y, x_new):
    """Piecewise linear interpolation with linear extrapolation; a single node gives a constant.

    Parameters
    ----------
    x, y : `~numpy.ndarray`
        Nodes, increasing, and the values there; shape (N,).
    x_new : `~numpy.ndarray`
        Positions, any shape.

    Returns
    -------
    values : `~numpy.ndarray`
        Values at `x_new`.
    """
    if len(x) == 1:
        return np.where(np.isnan(x_new), np.nan, y[0])
    upper = np.clip(np.searchsorted(x, x_new), 1, len(x) - 1)
    lower = upper - 1
    slope = (y[upper] - y[lower]) / (x[upper] - x[lower])
    return slope * (x_new - x[lower]) + y[lower]
