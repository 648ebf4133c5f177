"""Rows of one array added to rows of another, in place: what stacking does with cubes of which one is a cutout of the other.

Arrays come as flat memory and where their rows lie in it, so a cutout needs no copy. Host matters only: on a device the same is done by
array operations (`gpudl4.maps.accumulate`).
"""

import math

from ._compiled import compiled, prange
from ._sized import sized


@compiled(inline="always")
def _at(where, shape, j):
    """Offset of row j of an array."""
    rest = j // shape[2]
    return where[0] + (rest // shape[1]) * where[1] + (rest % shape[1]) * where[2] + (j % shape[2]) * where[3]


def _elements(target, at, *args):
    shape = args[-1]
    return shape[0] * shape[1] * shape[2] * shape[3]


@sized(_elements)
def add_rows(target, at, source, first, weights, weight_at, shape):
    """``target += source * weights`` row by row; values of the source that are not finite count as 0, whatever their weight.

    Parameters
    ----------
    target, source : real[...]
    at, first : int64[4]
        Offset of the first row in them, and from row to row along each of three dimensions; 0 repeats a row.
    weights : uint8[...] or real[...]
        A mask of bytes, or factors.
    weight_at : int64[4]
    shape : int64[4]
        Rows along each dimension, and elements of a row.
    """
    kind, width = target.dtype.type, shape[3]
    for j in prange(shape[0] * shape[1] * shape[2]):
        a, b, c = _at(at, shape, j), _at(first, shape, j), _at(weight_at, shape, j)
        out, values, own = target[a : a + width], source[b : b + width], weights[c : c + width]
        for x in range(width):
            value = kind(values[x])
            product = kind(value * own[x]) if own[x] != 0 else kind(0)
            out[x] += product if math.isfinite(value) else kind(0)


@sized(_elements)
def multiply_rows(target, at, factor, factor_at, shape):
    """``target *= factor`` row by row; arguments as for `add_rows`."""
    kind, width = target.dtype.type, shape[3]
    for j in prange(shape[0] * shape[1] * shape[2]):
        a, b = _at(at, shape, j), _at(factor_at, shape, j)
        out, own = target[a : a + width], factor[b : b + width]
        for x in range(width):
            out[x] *= kind(own[x])


@sized(_elements)
def divide_rows(target, at, divisor, divisor_at, shape):
    """``target /= divisor`` row by row, 0 where the divisor is 0; arguments as for `add_rows`."""
    kind, width = target.dtype.type, shape[3]
    for j in prange(shape[0] * shape[1] * shape[2]):
        a, b = _at(at, shape, j), _at(divisor_at, shape, j)
        out, own = target[a : a + width], divisor[b : b + width]
        for x in range(width):
            d = kind(own[x])
            out[x] = out[x] / d if d != 0 else kind(0)


@sized(_elements)
def mean_rows(target, at, own, own_at, source, first, weights, weight_at, total, total_at, shape):
    """``target = (target * own + source * weights) / total`` row by row, 0 where the total is 0; arguments as for `add_rows`."""
    kind, width = target.dtype.type, shape[3]
    for j in prange(shape[0] * shape[1] * shape[2]):
        a, b, c, d, e = _at(at, shape, j), _at(own_at, shape, j), _at(first, shape, j), _at(weight_at, shape, j), _at(total_at, shape, j)
        out, before, values = target[a : a + width], own[b : b + width], source[c : c + width]
        factors, divisors = weights[d : d + width], total[e : e + width]
        for x in range(width):
            value, divisor = kind(values[x]), kind(divisors[x])
            product = kind(value * factors[x]) if factors[x] != 0 and math.isfinite(value) else kind(0)
            out[x] = kind(kind(out[x] * before[x]) + product) / divisor if divisor != 0 else kind(0)
