"""Second derivatives: weighted products of derivative images, summed over the pixels that two sources share.

For derivative images J_i = d mu / d theta_i and weights w (2 / mu for the Fisher matrix, 2 n / mu^2 for the Hessian; `cash.weights`)::

    M[i, j] = sum_k,p w[k, p] J_i[k, p] J_j[k, p]

A *block* holds the derivative images of one source on its box. Images of large shapes may be thinned out to every few rows and columns,
each pixel then standing for stride^2 pixels. The derivative by the norm of a background in bin k is its template, on all pixels.
"""

import numpy as np

from ._compiled import compiled, prange
from ._sized import sized
from .tables import (
    D_RECO,
    D_ROW,
    J_COLUMN,
    J_COUNT,
    J_FIRST,
    J_NX,
    J_NY,
    J_ROW,
    J_SOURCE,
    J_STRIDE,
    PAIR_FIRST,
    PAIR_PART,
    PAIR_SECOND,
    R_BEGIN,
    R_LENGTH,
    S_COLUMN,
    S_DATASET,
    S_ROW,
    S_STARTS,
)

SPARSE = 6  # a row with fewer pixels than one in so many is gone through pixel by pixel; the sums have the same bits


@compiled(inline="always")
def _bin(source, first, row, column, stride, starts):
    """Bin, in a dataset's row that begins at `first`, of a pixel of a thinned out box."""
    y, x = row * stride - source[S_ROW], column * stride - source[S_COLUMN]
    return first + starts[source[S_STARTS] + y] + x


@compiled
def _seen(weights, first, stride, seen):
    """Number of pixels of a row whose weight is not zero, and their columns: with the weights of the Hessian those that have counts."""
    number = 0
    for x in range(seen.shape[0]):
        seen[number] = x
        number += weights[first + x * stride] != 0.0
    return number


@sized(lambda *args: args[-2].size)
def products(sources, datasets, rows, blocks, pairs, starts, weights, jacobian, parts):
    """Weighted products of blocks.

    Parameters
    ----------
    sources, datasets, rows, blocks : int64 tables
    pairs : int64[n, 3]
        Two blocks of one dataset and one stride (or one block twice), and where their products[n_first, n_second] go.
    starts : int64[...]
    weights : float64[N]
    jacobian : real[...]
    parts : float64[n_parts]
        Output.
    """
    for p in range(pairs.shape[0]):
        one, two = blocks[pairs[p, PAIR_FIRST]], blocks[pairs[p, PAIR_SECOND]]
        source = sources[one[J_SOURCE]]
        dataset = datasets[source[S_DATASET]]
        n1, n2, stride = one[J_COUNT], two[J_COUNT], one[J_STRIDE]
        y0, y1 = max(one[J_ROW], two[J_ROW]), min(one[J_ROW] + one[J_NY], two[J_ROW] + two[J_NY])
        x0, x1 = max(one[J_COLUMN], two[J_COLUMN]), min(one[J_COLUMN] + one[J_NX], two[J_COLUMN] + two[J_NX])
        n = max(0, x1 - x0)
        n_reco = dataset[D_RECO]
        once = pairs[p, PAIR_FIRST] == pairs[p, PAIR_SECOND]  # a block with itself is symmetric
        totals = np.zeros((n_reco, n1, n2))  # per bin k, added up in order
        for k in prange(n_reco):
            sums, weighted, seen = np.zeros((n1, n2, n)), np.empty(n), np.empty(n, np.int64)
            first = rows[dataset[D_ROW] + k, R_BEGIN]
            for y in range(y0, y1):
                bin_ = _bin(source, first, y, x0, stride, starts)
                number = _seen(weights, bin_, stride, seen)
                if number == 0:
                    continue
                left = one[J_FIRST] + (k * one[J_NY] + y - one[J_ROW]) * one[J_NX] + x0 - one[J_COLUMN]
                right = two[J_FIRST] + (k * two[J_NY] + y - two[J_ROW]) * two[J_NX] + x0 - two[J_COLUMN]
                for i in range(n1):
                    values = jacobian[left + i * n_reco * one[J_NY] * one[J_NX] :][:n]
                    if SPARSE * number > n:
                        for x in range(n):
                            weighted[x] = weights[bin_ + x * stride] * values[x]
                    for j in range(i if once else 0, n2):
                        others, own = jacobian[right + j * n_reco * two[J_NY] * two[J_NX] :][:n], sums[i, j]
                        if SPARSE * number > n:
                            for x in range(n):
                                own[x] += weighted[x] * others[x]
                        else:
                            for s in range(number):
                                x = seen[s]
                                own[x] += weights[bin_ + x * stride] * values[x] * others[x]
            for i in range(n1):
                for j in range(n2):
                    own, total = sums[j, i] if once and j < i else sums[i, j], 0.0
                    for x in range(n):
                        total += own[x]
                    totals[k, i, j] = total
        for i in range(n1):
            for j in range(n2):
                total_ij = 0.0
                for k in range(n_reco):
                    total_ij += totals[k, i, j]
                parts[pairs[p, PAIR_PART] + i * n2 + j] = stride * stride * total_ij


@sized(lambda *args: args[-2].size)
def crosses(sources, datasets, rows, blocks, ranges, starts, weights, template, jacobian, parts):
    """Weighted products of each block with the background template, per reconstructed bin.

    Parameters
    ----------
    sources, datasets, rows, blocks, starts, weights, jacobian
        As for `products`.
    ranges : int64[n_blocks + 1]
        Where the products[n, K] of each block go in parts.
    template : cube[N]
    parts : float64[n_parts]
        Output.
    """
    for j in range(blocks.shape[0]):
        block = blocks[j]
        source = sources[block[J_SOURCE]]
        dataset = datasets[source[S_DATASET]]
        stride, width, count, n_reco = block[J_STRIDE], block[J_NX], block[J_COUNT], dataset[D_RECO]
        for k in prange(n_reco):
            first = rows[dataset[D_ROW] + k, R_BEGIN]
            weighted, sums, seen = np.empty(width), np.zeros((count, width)), np.empty(width, np.int64)
            for y in range(block[J_NY]):
                bin_ = _bin(source, first, y + block[J_ROW], block[J_COLUMN], stride, starts)
                number = _seen(weights, bin_, stride, seen)
                if number == 0:
                    continue
                for x in range(width):
                    weighted[x] = weights[bin_ + x * stride] * template[bin_ + x * stride]
                for i in range(count):
                    begin = block[J_FIRST] + ((i * n_reco + k) * block[J_NY] + y) * width
                    values, own = jacobian[begin : begin + width], sums[i]
                    if SPARSE * number > width:
                        for x in range(width):
                            own[x] += weighted[x] * values[x]
                    else:
                        for s in range(number):
                            own[seen[s]] += weighted[seen[s]] * values[seen[s]]
            for i in range(count):
                total = 0.0
                for x in range(width):
                    total += sums[i, x]
                parts[ranges[j] + i * n_reco + k] = stride * stride * total


@compiled
def squares(rows, weights, template, parts):
    """Weighted square of the background template: ``parts[r] = sum w B^2`` over each row of bins."""
    for r in range(rows.shape[0]):
        total = 0.0
        for a in range(rows[r, R_BEGIN], rows[r, R_BEGIN] + rows[r, R_LENGTH]):
            t = np.float64(template[a])
            total += weights[a] * t * t
        parts[r] = total
