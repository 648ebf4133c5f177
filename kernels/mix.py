"""The slope carried back to shapes whose planes are combinations of few: the adjoint of `fold` and of the mixing in `fourier.unload`.

With ``T[l] = E[l] sum_n V[l, n] g[n]`` for the planes g behind the kernels of a basis, and q[l] = sum_k R[l, k] r[k] for the slope r::

    d stat / d F[l] = sum_p T[l, p] q[l, p]            d stat / d g[n, p] = sum_l V[l, n] F[l] E[l, p] q[l, p]

The first are sums, the second the planes that go back through the transforms. Only for shapes whose PSF acts first.
"""

import numba as nb
import numpy as np

from ._compiled import compiled
from ._sized import sized
from .tables import (
    D_ROW,
    F_NX,
    F_NY,
    F_OUT,
    F_OUT_PLANES,
    I_FIRST_OUT,
    I_FLUX,
    I_GROUP,
    I_MIXING,
    I_RANK,
    I_SOURCE,
    I_TEMPLATES,
    R_BEGIN,
    S_AREA,
    S_DATASET,
    S_EDISP,
    S_EXPOSURE,
    S_NX,
    S_NY,
    S_REACH,
    S_RECO,
    S_STARTS,
    S_TRUE,
    W_CHUNKS,
    W_PART,
    W_WHAT,
    W_Y,
    W_Y_END,
)

RANKS = 8  # planes that the CUDA twin makes at once: slope and exposure are read once for all of them


@compiled
def _folded_back(source, l, first_row, rows, column, edisp, reach, slope, q):
    """One row of q[l]."""
    q[:] = 0.0
    for k in range(reach[source[S_REACH] + l], reach[source[S_REACH] + source[S_TRUE] + l]):
        c = edisp[source[S_EDISP] + l * source[S_RECO] + k]
        begin = rows[first_row + k, R_BEGIN] + column
        r = slope[begin : begin + q.shape[0]]
        for x in range(q.shape[0]):
            q[x] += c * r[x]


@compiled
def _combine(fields, mixing, out):
    """``out[n] = sum_l V[l, n] fields[l]``, one row each; four at a time, as memory is what limits."""
    n_true, width, rank = fields.shape[0], fields.shape[1], out.shape[0]
    for n in range(rank):
        plane = out[n]
        plane[:] = 0.0
        for l in range(0, n_true, 4):
            m1, m2, m3 = min(l + 1, n_true - 1), min(l + 2, n_true - 1), min(l + 3, n_true - 1)
            v0 = mixing[l * rank + n]
            v1 = mixing[m1 * rank + n] if l + 1 < n_true else 0.0
            v2 = mixing[m2 * rank + n] if l + 2 < n_true else 0.0
            v3 = mixing[m3 * rank + n] if l + 3 < n_true else 0.0
            h0, h1, h2, h3 = fields[l], fields[m1], fields[m2], fields[m3]
            for x in range(width):
                plane[x] += v0 * h0[x] + v1 * h1[x] + v2 * h2[x] + v3 * h3[x]


@sized(lambda *args: args[-4].size)
def mix_pull(sources, datasets, rows, images, groups, items, starts, exposure, edisp, reach, params, templates, slope, field, parts):
    """Adjoint of `fold` in the flux, and in the planes of a basis.

    Parameters
    ----------
    sources, datasets, rows, images, groups : int64 tables
    items : int64[n, 6]
        Rows of the padded planes of images that are mixed; the sum of T q for true bin l goes to ``part + l chunks``.
    starts, exposure, edisp, reach, params, templates
        As for `fold_pull`.
    slope : real[B, N]
    field : real[...]
        Output, planes behind the PSF of each group of transforms, zero beyond the templates.
    parts : float64[B, n_parts]
        Output.
    """
    batch, n_items = slope.shape[0], items.shape[0]
    for j in nb.prange(batch * n_items):
        b, item = j // n_items, items[j % n_items]
        row = images[item[W_WHAT]]
        source, group, rank = sources[row[I_SOURCE]], groups[row[I_GROUP]], row[I_RANK]
        width, height, n_true = source[S_NX], source[S_NY], source[S_TRUE]
        ny, nx = group[F_NY], group[F_NX]
        first_row = datasets[source[S_DATASET], D_ROW]
        first = batch * group[F_OUT] + (b * group[F_OUT_PLANES] + row[I_FIRST_OUT]) * ny * nx
        fields, out, acc = np.empty((n_true, width)), np.zeros((rank, width)), np.zeros((n_true, width))
        mixing = edisp[row[I_MIXING] : row[I_MIXING] + n_true * rank]
        for y in range(item[W_Y], item[W_Y_END]):
            if y < height:
                column = starts[source[S_STARTS] + y]
                for l in range(n_true):
                    q = fields[l]
                    _folded_back(source, l, first_row, rows, column, edisp, reach, slope[b], q)
                    t = row[I_TEMPLATES] + (l * height + y) * width
                    values, own = templates[b, t : t + width], acc[l]
                    for x in range(width):
                        own[x] += values[x] * q[x]
                    flux = params[b, row[I_FLUX] + l]
                    if source[S_EXPOSURE] < 0:
                        for x in range(width):
                            q[x] *= flux
                    else:
                        e = source[S_EXPOSURE] + l * source[S_AREA] + column
                        e_row = exposure[e : e + width]
                        for x in range(width):
                            q[x] *= flux * e_row[x]
                _combine(fields, mixing, out)
            else:
                out[:] = 0.0
            for n in range(rank):
                begin = first + (n * ny + y) * nx
                field[begin : begin + width] = out[n]
                field[begin + width : begin + nx] = 0.0
        for l in range(n_true):
            total = 0.0
            for x in range(width):
                total += acc[l, x]
            parts[b, item[W_PART] + l * item[W_CHUNKS]] = total
