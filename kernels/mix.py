"""Shapes whose planes behind the PSF are combinations of few: from these planes to predicted counts, and the slope carried back to them.

With the planes g of a basis (`gpudl4/likelihood/lowrank.py`), ``T[l] = E[l] sum_n V[l, n] g[n]`` would be the templates. They are not
stored: 20 of them would be made of 7 planes, written once and read twice. `mix` adds them to what `fold` has made of everything else::

    mu[k, p] += sum_l R[l, k] F[l] T[l, p]

and with q[l] = sum_k R[l, k] r[k] for the slope r, `mix_pull` is its adjoint::

    d stat / d F[l] = sum_p T[l, p] q[l, p]            d stat / d g[n, p] = sum_l V[l, n] F[l] E[l, p] q[l, p]

The first are sums, the second the planes that go back through the transforms. Only for shapes whose PSF acts first.
"""

import numpy as np

from ._compiled import compiled, prange
from ._sized import sized
from .tables import (
    D_ROW,
    F_NX,
    F_NY,
    F_OUT,
    F_OUT_PLANES,
    FOLD_BEGIN,
    FOLD_DATASET,
    FOLD_END,
    FOLD_K,
    FOLD_K_END,
    FOLD_MEMBERS,
    FOLD_MEMBERS_END,
    I_FIRST_OUT,
    I_FLUX,
    I_GROUP,
    I_MIXING,
    I_OFFSET_X,
    I_OFFSET_Y,
    I_RANK,
    I_SOURCE,
    I_STARTS,
    R_BEGIN,
    S_AREA,
    S_DATASET,
    S_EDISP,
    S_EXPOSURE,
    S_FLUX,
    S_MIXED,
    S_NX,
    S_NY,
    S_REACH,
    S_RECO,
    S_STARTS,
    S_TRUE,
    W_CHUNKS,
    W_PART,
    W_PLANE,
    W_SUMS_ONLY,
    W_WHAT,
    W_Y,
    W_Y_END,
)

RANKS = 8  # planes that the CUDA twin makes at once: slope and exposure are read once for all of them
BINS = 4  # reconstructed bins of an item of `mix`, at most, for the CUDA twin


@compiled(inline="always")
def _first(batch, b, row, group):
    """First element of an image's planes behind the PSF."""
    return batch * group[F_OUT] + (b * group[F_OUT_PLANES] + row[I_FIRST_OUT]) * group[F_NY] * group[F_NX]


@compiled
def _mixed(planes, mixing, size, out):
    """One row of a combination of planes that are not normalised and `size` elements apart; four at a time, as memory is what limits."""
    rank, width = mixing.shape[0], out.shape[0]
    out[:] = 0.0
    for n in range(0, rank, 4):
        m1, m2, m3 = min(n + 1, rank - 1), min(n + 2, rank - 1), min(n + 3, rank - 1)
        v0 = mixing[n] / size
        v1 = mixing[m1] / size if n + 1 < rank else 0.0
        v2 = mixing[m2] / size if n + 2 < rank else 0.0
        v3 = mixing[m3] / size if n + 3 < rank else 0.0
        p0, p1 = planes[n * size : n * size + width], planes[m1 * size : m1 * size + width]
        p2, p3 = planes[m2 * size : m2 * size + width], planes[m3 * size : m3 * size + width]
        for x in range(width):
            out[x] += v0 * p0[x] + v1 * p1[x] + v2 * p2[x] + v3 * p3[x]


@compiled
def _add(item, first_row, source, row, group, rows, starts, exposure, edisp, reach, params, planes, mu):
    """What one source adds to the bins of an item; `planes` begin at the image's own."""
    pitch, size = group[F_NX], group[F_NY] * group[F_NX]
    rank, reach_of, n_true = row[I_RANK], source[S_REACH], source[S_TRUE]
    whole = np.empty(source[S_NX])
    for y in range(source[S_NY]):
        s = starts[source[S_STARTS] + y]  # column of the item's dataset where the row of the box begins
        x0 = max(0, item[FOLD_BEGIN] - s)
        n = min(source[S_NX], item[FOLD_END] - s) - x0
        if n <= 0:
            continue
        values = whole[:n]
        place = (y + row[I_OFFSET_Y]) * pitch + row[I_OFFSET_X] + x0
        for l in range(n_true):
            low, high = max(item[FOLD_K], reach[reach_of + l]), min(item[FOLD_K_END], reach[reach_of + n_true + l])
            if low >= high:
                continue
            _mixed(planes[place:], edisp[row[I_MIXING] + l * rank : row[I_MIXING] + (l + 1) * rank], size, values)
            if source[S_EXPOSURE] >= 0:
                e = source[S_EXPOSURE] + l * source[S_AREA] + starts[row[I_STARTS] + y] + x0
                e_row = exposure[e : e + n]
                for x in range(n):
                    values[x] *= e_row[x]
            flux = params[source[S_FLUX] + l]
            for k in range(low, high):
                c_lk = edisp[source[S_EDISP] + l * source[S_RECO] + k] * flux
                begin = rows[first_row + k, R_BEGIN] + s + x0
                out = mu[begin : begin + n]
                for x in range(n):
                    out[x] += c_lk * values[x]


@sized(lambda *args: args[-1].size)
def mix(sources, datasets, rows, images, groups, items, members, pixels, starts, exposure, edisp, reach, params, planes, mu):
    """Add mixed shapes to predicted counts.

    Parameters
    ----------
    sources, datasets, rows, images, groups : int64 tables
    items, members, pixels, starts
        As for `fold`, with the mixed sources only.
    exposure : cube[...]
    edisp : float64[...]
    reach : int64[...]
    params : float64[B, n_params]
    planes : real[...]
        Planes behind the PSF, not normalised.
    mu : real[B, N]
        Predicted counts that are added to.
    """
    batch, n_items = mu.shape[0], items.shape[0]
    for j in prange(batch * n_items):
        b, item = j // n_items, items[j % n_items]
        first_row = datasets[item[FOLD_DATASET], D_ROW]
        for m in range(item[FOLD_MEMBERS], item[FOLD_MEMBERS_END]):
            source = sources[members[m]]
            row = images[source[S_MIXED]]
            group = groups[row[I_GROUP]]
            own = planes[_first(batch, b, row, group) :]
            _add(item, first_row, source, row, group, rows, starts, exposure, edisp, reach, params[b], own, mu[b])


@compiled
def _not_zero(first_row, n_reco, rows, column, width, slope):
    """Between which pixels of a row the slope is not 0, begin and end; masks leave it 0 where nothing is to be done."""
    begin, end = width, 0
    for k in range(n_reco):
        first = rows[first_row + k, R_BEGIN] + column
        x = 0
        while x < begin and slope[first + x] == 0.0:
            x += 1
        begin = x
        x = width
        while x > end and slope[first + x - 1] == 0.0:
            x -= 1
        end = x
    return begin, end


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
def _combine(fields, width, mixing, out):
    """``out[n] = sum_l V[l, n] fields[l]``, `width` pixels of one row each; four at a time, as memory is what limits."""
    n_true, rank = fields.shape[0], out.shape[0]
    for n in range(rank):
        plane = out[n][:width]
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
def mix_pull(sources, datasets, rows, images, groups, items, starts, exposure, edisp, reach, params, slope, planes, field, parts):
    """Adjoint of `mix` in the flux, and in the planes.

    Parameters
    ----------
    sources, datasets, rows, images, groups : int64 tables
    items : int64[n, 6]
        Rows of the padded planes of images that are mixed; the sum of T q for true bin l goes to ``part + l chunks``. Where the plane is
        `W_SUMS_ONLY`, no field is written.
    starts, exposure, edisp, reach, params, planes
        As for `mix`; starts are those of the sources.
    slope : real[B, N]
    field : real[...]
        Output, in the layout of `planes`: rows and columns of each begin where those of the box do; zero beyond it.
    parts : float64[B, n_parts]
        Output.
    """
    batch, n_items = slope.shape[0], items.shape[0]
    for j in prange(batch * n_items):
        b, item = j // n_items, items[j % n_items]
        row = images[item[W_WHAT]]
        source, group, rank = sources[row[I_SOURCE]], groups[row[I_GROUP]], row[I_RANK]
        width, height, n_true = source[S_NX], source[S_NY], source[S_TRUE]
        ny, nx, writes = group[F_NY], group[F_NX], item[W_PLANE] != W_SUMS_ONLY
        first_row = datasets[source[S_DATASET], D_ROW]
        first = _first(batch, b, row, group)
        fields, out, acc = np.empty((n_true, width)), np.zeros((rank, width)), np.zeros((n_true, width))
        whole = np.empty(width)
        mixing = edisp[row[I_MIXING] : row[I_MIXING] + n_true * rank]
        for y in range(item[W_Y], item[W_Y_END]):
            x0, x1 = 0, 0
            if y < height:
                x0, x1 = _not_zero(first_row, source[S_RECO], rows, starts[source[S_STARTS] + y], width, slope[b])
            n = max(x1 - x0, 0)
            column, place = starts[source[S_STARTS] + min(y, height - 1)] + x0, first + (y + row[I_OFFSET_Y]) * nx + row[I_OFFSET_X] + x0
            values = whole[:n]
            for l in range(n_true if n else 0):
                q, own = fields[l][:n], acc[l][x0 : x0 + n]
                _folded_back(source, l, first_row, rows, column, edisp, reach, slope[b], q)
                if source[S_EXPOSURE] >= 0:
                    e = source[S_EXPOSURE] + l * source[S_AREA] + column
                    e_row = exposure[e : e + n]
                    for x in range(n):
                        q[x] *= e_row[x]
                _mixed(planes[place:], mixing[l * rank : (l + 1) * rank], ny * nx, values)
                flux = params[b, row[I_FLUX] + l]
                for x in range(n):
                    own[x] += values[x] * q[x]
                    q[x] *= flux
            if not writes:
                continue
            if n:
                _combine(fields, n, mixing, out)
            for m in range(rank):
                begin = first + (m * ny + y) * nx
                field[begin : begin + x0] = 0.0
                field[begin + x0 : begin + x0 + n] = out[m][:n]
                field[begin + x0 + n : begin + nx] = 0.0
        for l in range(n_true):
            total = 0.0
            for x in range(width):
                total += acc[l, x]
            parts[b, item[W_PART] + l * item[W_CHUNKS]] = total
