"""Adding arrays to others in place, a block at a time: stacking needs no temporary array of the size of a cube."""

import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .backend import array_namespace

__all__ = ["BLOCK", "add_into", "blocks", "each_block"]

WORKERS = min(4, os.cpu_count() or 1)
WORTH_THREADS = 4  # blocks, below which starting threads takes longer than they save

BLOCK = {"numpy": 1 << 17, "cupy": 1 << 24}
"""Number of elements that are worked on at once: what fits into a processor's cache, or fills a GPU."""


def blocks(array, size=None):
    """Slices of the first dimension of an array whose parts have about `size` elements (the default depends on where the array is)."""
    if size is None:
        size = BLOCK[array_namespace(array).__name__.split(".")[0] if isinstance(array, np.ndarray) else "cupy"]
    if array.ndim == 0 or array.shape[0] == 0:
        return
    step = max(1, size * array.shape[0] // max(array.size, 1))
    for first in range(0, array.shape[0], step):
        yield slice(first, first + step)


def each_block(work, array):
    """Call ``work(slice)`` for the blocks of an array, on the host with several threads: NumPy lets others run while it computes.

    Blocks do not overlap, so the result does not depend on the number of threads.
    """
    parts = list(blocks(array))
    if WORKERS == 1 or len(parts) < WORTH_THREADS or not isinstance(array, np.ndarray):
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(work, parts):
            pass


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
    xp = array_namespace(target, source, weights)
    if target.ndim == 0:
        target, source = target.reshape(1), source.reshape(1)
    along = weights is not None and weights.ndim == target.ndim and weights.shape[0] == target.shape[0]
    on_host = isinstance(target, np.ndarray)

    def work(part):
        with np.errstate(over="ignore", invalid="ignore"):
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

    each_block(work, target)


def _all_finite(values):
    """Whether an array on the host is free of NaN and infinity. An overflow of the sum gives False, which only costs speed."""
    return math.isfinite(np.add.reduce(values, axis=None))
