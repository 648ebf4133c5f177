"""Rows of one array added to rows of another, in place: what stacking does with cubes of which one is a cutout of the other.

Arrays come as flat memory and the offset of each row in it, so a cutout needs no copy. Host matters only: on a device the same is done by
array operations (`gpudl4.maps.accumulate`).
"""

import math

import numba as nb

from ._sized import sized


@sized(lambda target, at, *args: at.shape[0] * args[-1])
def add_rows(target, at, source, first, weights, weight_at, width):
    """``target += source * weights`` row by row; values of the source that are not finite count as 0, whatever their weight.

    Parameters
    ----------
    target, source : real[...]
    at, first : int64[R]
        Offset of each row in them.
    weights : uint8[...] or real[...]
        A mask of bytes, or factors.
    weight_at : int64[R]
    width : int
        Elements of a row.
    """
    kind = target.dtype.type
    for j in nb.prange(at.shape[0]):
        out = target[at[j] : at[j] + width]
        values = source[first[j] : first[j] + width]
        own = weights[weight_at[j] : weight_at[j] + width]
        for x in range(width):
            value = kind(values[x])
            product = kind(value * own[x]) if own[x] != 0 else kind(0)
            out[x] += product if math.isfinite(value) else kind(0)


@sized(lambda target, at, *args: at.shape[0] * args[-1])
def multiply_rows(target, at, factor, factor_at, width):
    """``target *= factor`` row by row; arguments as for `add_rows`."""
    kind = target.dtype.type
    for j in nb.prange(at.shape[0]):
        out = target[at[j] : at[j] + width]
        own = factor[factor_at[j] : factor_at[j] + width]
        for x in range(width):
            out[x] *= kind(own[x])


@sized(lambda target, at, *args: at.shape[0] * args[-1])
def divide_rows(target, at, divisor, divisor_at, width):
    """``target /= divisor`` row by row, 0 where the divisor is 0; arguments as for `add_rows`."""
    kind = target.dtype.type
    for j in nb.prange(at.shape[0]):
        out = target[at[j] : at[j] + width]
        own = divisor[divisor_at[j] : divisor_at[j] + width]
        for x in range(width):
            d = kind(own[x])
            out[x] = out[x] / d if d != 0 else kind(0)
