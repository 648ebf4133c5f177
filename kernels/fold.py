"""Fold sources through energy dispersion into predicted counts, forward and transposed.

Forward, for the norm g and template B of the background and templates T of the sources (image x PSF x exposure)::

    mu[k, p] = g[k] B[k, p] + static[k, p] + sum_sources sum_l R[l, k] F[l] T[l, p]

Transposed, for the slope r = d stat / d mu, with q[l, p] = sum_k R[l, k] r[k, p]::

    d stat / d F[l] = sum_p T[l, p] q[l, p]            d stat / d image[l, p] = F[l] E[l, p] q[l, p]  (before the PSF)

A source whose PSF acts last has templates per reconstructed energy, which are added as they are.
"""

import numpy as np

from ._compiled import compiled, prange
from ._sized import sized
from .tables import (
    D_NORM,
    D_RECO,
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
    I_GROUP,
    R_BEGIN,
    R_LENGTH,
    S_AREA,
    S_CORNER,
    S_DATASET,
    S_EDISP,
    S_EXPOSURE,
    S_FIXED,
    S_FLUX,
    S_HEIGHT,
    S_LAST,
    S_NX,
    S_NY,
    S_PLANES,
    S_REACH,
    S_RECO,
    S_STARTS,
    S_TEMPLATES,
    S_TRUE,
    S_WIDTH,
    W_FIELD,
    W_PART,
    W_PLANE,
    W_WHAT,
    W_Y,
    W_Y_END,
)

BINS = 4  # reconstructed bins of an item of `fold`, at most: the CUDA twin reads a template once for all of them


@compiled(inline="always")
def _corner(source, params):
    """Row and column, in the box, of a template's first pixel."""
    if source[S_CORNER] < 0:
        return 0, 0
    return int(params[source[S_CORNER]]), int(params[source[S_CORNER] + 1])


@compiled
def _fill(item, dataset, rows, params, template, static, mu):
    """Background and static counts of the bins of an item."""
    for k in range(item[FOLD_K], item[FOLD_K_END]):
        row = rows[dataset[D_ROW] + k]
        begin, end = row[R_BEGIN] + item[FOLD_BEGIN], row[R_BEGIN] + min(item[FOLD_END], row[R_LENGTH])
        if dataset[D_NORM] >= 0:
            norm = params[dataset[D_NORM] + k]
            for a in range(begin, end):
                mu[a] = norm * template[a]
        else:
            mu[begin:end] = 0.0
        if static.shape[0]:
            for a in range(begin, end):
                mu[a] += static[a]


@compiled
def _add(item, dataset, source, rows, starts, edisp, reach, params, all_templates, mu):
    """What one source adds to the bins of an item."""
    height, width = source[S_HEIGHT], source[S_WIDTH]
    row, column = _corner(source, params)
    matrix, first, n_true = source[S_EDISP], source[S_REACH], source[S_TRUE]
    for i in range(max(0, -row), min(height, source[S_NY] - row)):
        s = starts[source[S_STARTS] + row + i] + column  # of the template's first column in the active region
        j0 = max(0, -column, item[FOLD_BEGIN] - s)
        n = min(width, source[S_NX] - column, item[FOLD_END] - s) - j0
        if n <= 0:
            continue
        for plane in range(source[S_PLANES]):
            t = source[S_TEMPLATES] + (plane * height + i) * width + j0
            values = all_templates[t : t + n]
            if source[S_LAST]:
                if item[FOLD_K] <= plane < item[FOLD_K_END]:
                    begin = rows[dataset[D_ROW] + plane, R_BEGIN] + s + j0
                    out = mu[begin : begin + n]
                    for x in range(n):
                        out[x] += values[x]
                continue
            flux = params[source[S_FLUX] + plane]
            for k in range(max(item[FOLD_K], reach[first + plane]), min(item[FOLD_K_END], reach[first + n_true + plane])):
                c_lk = edisp[matrix + plane * dataset[D_RECO] + k] * flux
                begin = rows[dataset[D_ROW] + k, R_BEGIN] + s + j0
                out = mu[begin : begin + n]
                for x in range(n):
                    out[x] += c_lk * values[x]


@sized(lambda *args: args[-1].size + args[11].size)
def fold(sources, datasets, rows, items, members, pixels, starts, edisp, reach, params, fixed, templates, template, static, mu):
    """Predicted counts.

    Parameters
    ----------
    sources, datasets, rows : int64 tables
    items : int64[n, 7]
        Blocks of rows and columns of a dataset that together hold every bin once; rows that end before an item's last column are left at
        their end. For the CUDA twin up to `BINS` rows, with a thread per column; here any number, best whole rows of map pixels.
    members : int64[...]
        The sources that can reach each item, in order.
    pixels : int64[...]
        Map index of each column, for the CUDA twin.
    starts : int64[...]
    edisp : float64[...]
    reach : int64[...]
    params : float64[B, n_params]
    fixed : real[...]
    templates : real[B, ...]
    template : cube[N] or [0]
        Background; without elements there is none.
    static : real[N] or [0]
        Counts of frozen sources.
    mu : real[B, N]
        Output.
    """
    n_items = items.shape[0]
    for j in prange(mu.shape[0] * n_items):
        b, item = j // n_items, items[j % n_items]
        dataset = datasets[item[FOLD_DATASET]]
        _fill(item, dataset, rows, params[b], template, static, mu[b])
        for m in range(item[FOLD_MEMBERS], item[FOLD_MEMBERS_END]):
            source = sources[members[m]]
            all_templates = fixed if source[S_FIXED] else templates[b]
            _add(item, dataset, source, rows, starts, edisp, reach, params[b], all_templates, mu[b])


@sized(lambda *args: args[-3].size)
def fold_pull(
    sources, datasets, rows, images, groups, items, starts, exposure, edisp, reach, params, fixed, templates, slope, field, parts
):
    """Adjoint of `fold` in the flux, and in the image before PSF and exposure.

    Parameters
    ----------
    sources, datasets, rows, images, groups : int64 tables
    items : int64[n, 6]
        Rows of a plane of a source's templates: where its sum of T q goes in parts (-1: nowhere), and for which image the field
        ``F[l] E[l, p] q[l, p]`` (r itself where the PSF acts last) is written, zero beyond the templates.
    starts, exposure, edisp, reach, params, fixed, templates
        As for `fold`; exposure is cube[...].
    slope : real[B, N]
    field : real[...]
        Output, planes behind the PSF of each group of transforms.
    parts : float64[B, n_parts]
        Output.
    """
    batch, n_items = slope.shape[0], items.shape[0]
    for j in prange(batch * n_items):
        b, item = j // n_items, items[j % n_items]
        source, plane = sources[item[W_WHAT]], item[W_PLANE]
        height, width = source[S_HEIGHT], source[S_WIDTH]
        first_row = datasets[source[S_DATASET], D_ROW]
        all_templates = fixed if source[S_FIXED] else templates[b]
        writes = item[W_FIELD] >= 0
        ny, nx, out_plane = height, width, 0
        if writes:
            image = images[item[W_FIELD]]
            group = groups[image[I_GROUP]]
            ny, nx = group[F_NY], group[F_NX]
            out_plane = batch * group[F_OUT] + (b * group[F_OUT_PLANES] + image[I_FIRST_OUT] + plane) * ny * nx
        flux = 1.0 if source[S_LAST] else params[b, source[S_FLUX] + plane]
        q, acc = np.zeros(width), np.zeros(width)
        for y in range(item[W_Y], item[W_Y_END]):
            if y < height:
                s = starts[source[S_STARTS] + y]
                if source[S_LAST]:
                    begin = rows[first_row + plane, R_BEGIN] + s
                    for x in range(width):
                        q[x] = slope[b, begin + x]
                else:
                    q[:] = 0.0
                    for k in range(reach[source[S_REACH] + plane], reach[source[S_REACH] + source[S_TRUE] + plane]):
                        c = edisp[source[S_EDISP] + plane * source[S_RECO] + k]
                        begin = rows[first_row + k, R_BEGIN] + s
                        r = slope[b, begin : begin + width]
                        for x in range(width):
                            q[x] += c * r[x]
                if item[W_PART] >= 0:
                    t = source[S_TEMPLATES] + (plane * height + y) * width
                    values = all_templates[t : t + width]
                    for x in range(width):
                        acc[x] += values[x] * q[x]
            if writes:
                out = field[out_plane + y * nx : out_plane + (y + 1) * nx]
                if y >= height:
                    out[:] = 0.0
                    continue
                if source[S_LAST] or source[S_EXPOSURE] < 0:
                    for x in range(width):
                        out[x] = flux * q[x]
                else:
                    e = source[S_EXPOSURE] + plane * source[S_AREA] + s
                    e_row = exposure[e : e + width]
                    for x in range(width):
                        out[x] = flux * e_row[x] * q[x]
                out[width:] = 0.0
        if item[W_PART] >= 0:
            total = 0.0
            for x in range(width):
                total += acc[x]
            parts[b, item[W_PART]] = total
