"""Adding arrays to others in place: stacking needs no temporary array of the size of a cube.

Large float arrays on the host go through the kernels of `gpudl4.kernels` ``rows``, in one pass over the memory; everything else is
done block by block in array operations.
"""

import math

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import array_namespace

__all__ = ["BLOCK", "LARGE", "add_into", "blocks", "divide_into", "mean_into", "multiply_into"]

BLOCK = {"numpy": 1 << 17, "cupy": 1 << 24}
"""Number of elements that are worked on at once: what fits into a processor's cache, or fills a GPU."""

LARGE = 1 << 18
"""Number of elements from which on kernels are worth being loaded."""


def blocks(array, size=None):
    """Slices of the first dimension of an array whose parts have about `size` elements (the default depends on where the array is)."""
    if size is None:
        size = BLOCK[array_namespace(array).__name__.split(".")[0] if isinstance(array, np.ndarray) else "cupy"]
    if array.ndim == 0 or array.shape[0] == 0:
        return
    step = max(1, size * array.shape[0] // max(array.size, 1))
    for first in range(0, array.shape[0], step):
        yield slice(first, first + step)


def add_into(target, source, weights=None, factor=1.0, nan_to_num=True):
    """``target += source * factor * weights`` in place.

    Parameters
    ----------
    target, source : array
        Of one shape, on one backend; what is added takes the type of `target`.
    weights : array, optional
        A mask or factors that broadcast to `source`.
    factor : float
        Of a unit.
    nan_to_num : bool
        Whether values of `source` that are not finite count as 0.
    """
    if nan_to_num and factor == 1.0 and _are_large_floats(target, source):
        mask = np.ones((), dtype=bool) if weights is None else weights
        if weights is None or weights.dtype == bool or weights.dtype == source.dtype:
            rows = [_rows(array, target.shape) for array in (target, source, mask.view(np.uint8) if mask.dtype == bool else mask)]
            if all(row is not None for row in rows):
                kernels.cpu("rows").add_rows(*rows[0], *rows[1], *rows[2], _four(target.shape))
                return
    _add_blocks(target, source, weights, factor, nan_to_num)


def _add_blocks(target, source, weights, factor, nan_to_num):
    xp = array_namespace(target, source, weights)
    if target.ndim == 0:
        target, source = target.reshape(1), source.reshape(1)
    along = weights is not None and weights.ndim == target.ndim and weights.shape[0] == target.shape[0]
    on_host = isinstance(target, np.ndarray)
    with np.errstate(over="ignore", invalid="ignore"):
        for part in blocks(target):
            values = source[part] if factor == 1.0 else source[part] * factor
            values = values.astype(target.dtype, copy=False)
            weight = weights[part] if along else weights
            # On a device it would take a synchronisation to know whether all are finite.
            if nan_to_num and values.dtype.kind == "f" and not (on_host and _all_finite(values)):
                keep = xp.isfinite(values)
                if weight is not None and weight.dtype == bool:
                    keep, weight = keep & weight, None
                values = xp.where(keep, values, xp.zeros((), dtype=values.dtype))
            if weight is not None:
                values = (values * weight).astype(target.dtype, copy=False)
            target[part] += values


def multiply_into(target, factor):
    """``target *= factor`` in place; the factor broadcasts to the target."""
    if not _by_rows("multiply_rows", target, factor):
        target *= factor


def divide_into(target, divisor):
    """``target /= divisor`` in place, 0 where the divisor is 0; the divisor broadcasts to the target."""
    if _by_rows("divide_rows", target, divisor):
        return
    xp = array_namespace(target)
    divisor = xp.broadcast_to(divisor, target.shape)
    for part in blocks(target):
        some = divisor[part]
        known = some != 0
        target[part] = xp.where(known, target[part] / xp.where(known, some, xp.ones((), some.dtype)), xp.zeros((), target.dtype))


def mean_into(target, own, source, weights, total):
    """``target = (target * own + source * weights) / total`` in place, 0 where the total is 0; all else broadcasts to the target.

    Values of the source that are not finite count as 0. This is `multiply_into`, `add_into` and `divide_into` in one pass.
    """
    if not _by_rows("mean_rows", target, own, source, weights, total):
        multiply_into(target, own)
        add_into(target, source, weights)
        divide_into(target, total)


def _by_rows(name, target, *others):
    """Whether a kernel could do it, and has."""
    if not _are_large_floats(target, *others):
        return False
    rows = [_rows(array, target.shape) for array in (target, *others)]
    if any(row is None for row in rows):
        return False
    getattr(kernels.cpu("rows"), name)(*(part for row in rows for part in row), _four(target.shape))
    return True


def _are_large_floats(target, *others):
    arrays = (target, *others)
    host = all(isinstance(array, np.ndarray) and array.dtype in (np.float32, np.float64) for array in arrays)
    return host and target.size >= LARGE and target.ndim <= 4 and all(array.dtype == target.dtype for array in others)


def _four(numbers):
    """Up to four numbers as int64[4], with ones before them."""
    return np.array((1,) * (4 - len(numbers)) + tuple(numbers), dtype=np.int64)


def _rows(array, shape):
    """The memory that an array is a view of, flat, and where its rows, broadcast to a shape, lie in it, see `kernels.rows`.

    None if a row is not in one piece.
    """
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if root.dtype.itemsize != array.itemsize or not root.flags.c_contiguous:
        return None
    if array.ndim == 0 or array.shape[-1] != shape[-1]:  # one value for a row: a row of each value
        if array.size > shape[0]:
            return None
        array = root = np.repeat(array[..., np.newaxis] if array.ndim == 0 else array, shape[-1], axis=-1)
    if array.strides[-1] != array.itemsize:
        return None
    begin = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    strides = np.broadcast_to(array, shape).strides[:-1]
    where = np.array((begin, *(0,) * (3 - len(strides)), *strides), dtype=np.int64) // array.itemsize
    return root.view(array.dtype).reshape(-1), where


def _all_finite(values):
    """Whether an array on the host is free of NaN and infinity. An overflow of the sum gives False, which only costs speed."""
    return math.isfinite(np.add.reduce(values, axis=None))
