"""Bands of map rows, in which derivative images are made and multiplied one after another.

All derivative images of a few large shapes are far larger than the datasets themselves. Their products are sums over pixels, so a band of
rows at a time does as well: it stays in the cache, and no memory is touched for the first time. On a device, where launches count, bands
are much larger.
"""

import itertools
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from gpudl4.kernels import tables as t

__all__ = ["Band", "bands_of", "whole"]

BAND = 1_500_000  # elements of the derivative images of a band, about
DEVICE_BAND = 32_000_000  # the same on a device, 256 MB


@dataclass(frozen=True)
class Band:
    """One band.

    Attributes
    ----------
    blocks : int64 table
        Of derivative images.
    passes : list of SimpleNamespace
        Per pass the tables that depend on the band: ``rows``, ``fold_items``, ``added_items``.
    n_jacobian : int
        Elements of the derivative images.
    """

    blocks: np.ndarray
    passes: list
    n_jacobian: int


def whole(blocks, passes, n_jacobian):
    """All rows as one band."""
    return Band(blocks, [SimpleNamespace(rows=p.rows, fold_items=p.fold_items, added_items=p.added_items) for p in passes], n_jacobian)


def bands_of(blocks, passes, n_jacobian, n_reco, band):
    """Cut derivative images into bands; what would be less than two bands stays whole.

    Parameters
    ----------
    blocks : int64 table
        On whole boxes, none of them thinned out.
    passes : list of SimpleNamespace
        Tables of the passes on whole boxes. ``row_blocks`` and ``row_planes`` tell of each row of bins which block it belongs to, and which
        of the block's planes ``[parameter, K]`` it is; ``dataset_blocks`` is the block of each pseudo-dataset.
    n_jacobian : int
    n_reco : int64[n_blocks]
        Reconstructed bins, K.
    band : int
        Elements of a band, about.

    Returns
    -------
    list of Band
    """
    number = -(-n_jacobian // band)
    if number <= 2:
        return [whole(blocks, passes, n_jacobian)]
    top, bottom = blocks[:, t.J_ROW].min(), (blocks[:, t.J_ROW] + blocks[:, t.J_NY]).max()
    edges = np.unique(np.linspace(top, bottom, number + 1).astype(np.int64))
    return [_band(blocks, passes, n_reco, begin, end) for begin, end in itertools.pairwise(edges)]


def _band(blocks, passes, n_reco, begin, end):
    """The rows ``begin .. end`` of the map."""
    row, height, width = blocks[:, t.J_ROW], blocks[:, t.J_NY], blocks[:, t.J_NX]
    low, high = np.clip(begin - row, 0, height), np.clip(end - row, 0, height)
    size = (high - low) * width
    total = blocks[:, t.J_COUNT] * n_reco * size
    own = blocks.copy()
    own[:, t.J_FIRST], own[:, t.J_ROW], own[:, t.J_NY] = np.cumsum(total) - total, row + low, high - low
    columns = np.stack([low * width, high * width], axis=1)  # of the boxes, which begin and end where the band does
    cut = []
    for one in passes:
        block = one.row_blocks
        rows = np.stack([own[block, t.J_FIRST] + one.row_planes * size[block] - columns[block, 0], columns[block, 1]], axis=1)
        limits = columns[one.dataset_blocks]
        cut.append(SimpleNamespace(rows=rows, fold_items=_clipped(one.fold_items, limits), added_items=_clipped(one.added_items, limits)))
    return Band(own, cut, int(total.sum()))


def _clipped(items, limits):
    """Items of `fold` without the columns that lie beyond the limits[n_datasets, 2] of their dataset."""
    out = items.copy()
    low, high = limits[items[:, t.FOLD_DATASET]].T
    out[:, t.FOLD_BEGIN] = np.maximum(items[:, t.FOLD_BEGIN], low)
    out[:, t.FOLD_END] = np.minimum(items[:, t.FOLD_END], high)
    return out[out[:, t.FOLD_BEGIN] < out[:, t.FOLD_END]]
