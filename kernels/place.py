"""Put a PSF at a point: bilinear placement on four pixels, and its transpose.

A point at pixel coordinates (x, y) sits on the four pixels around it with weights w[c] (order: lower left, lower right, upper left, upper
right), so its image is four shifted copies of the PSF kernel. The kernel comes padded by one zero on every side: then the four copies
are the same array read at four offsets and no bound needs a branch. Pixels of the copies that fall outside the source's box (the map ends
there) are 0.

The templates are ``T[l, p] = E[l, p] sum_c w[c] PSF_c[l, p]``. Where the PSF acts last they are ``T[k, p] = sum_c a[k, c] PSF_c[k, p]``,
with the counts on each of the four pixels ``a[k, c] = w[c] sum_l R[l, k] F[l] E_c[l]``.
"""

import numpy as np

from ._compiled import compiled, prange
from ._sized import sized
from .tables import (
    D_ROW,
    P_FLUX,
    P_PARTS,
    P_SOURCE,
    P_TEMPLATES,
    P_UNFOLDED,
    P_WEIGHT,
    R_BEGIN,
    S_AREA,
    S_CORNER,
    S_DATASET,
    S_EDISP,
    S_EXPOSURE,
    S_HEIGHT,
    S_LAST,
    S_NX,
    S_NY,
    S_PLANES,
    S_PSF,
    S_REACH,
    S_RECO,
    S_STARTS,
    S_TRUE,
    S_WIDTH,
    W_PLANE,
    W_WHAT,
)


@compiled(inline="always")
def _corner_exposure(source, l, c, starts, exposure, params):
    """Exposure of true bin l on pixel c of the four; that of the nearest pixel of the box where it lies outside (its weight is 0 there)."""
    if source[S_EXPOSURE] < 0:
        return 1.0
    y = int(params[source[S_CORNER] + 2]) + c // 2
    x = int(params[source[S_CORNER] + 3]) + c % 2
    y, x = min(max(y, 0), source[S_NY] - 1), min(max(x, 0), source[S_NX] - 1)
    return np.float64(exposure[source[S_EXPOSURE] + l * source[S_AREA] + starts[source[S_STARTS] + y] + x])


@compiled(inline="always")
def _amount(source, place, plane, c, starts, exposure, edisp, reach, params):
    """Factor of one of the four copies in a plane: its weight, times the counts on its pixel where the PSF acts last."""
    weight = params[place[P_WEIGHT] + c]
    if not source[S_LAST]:
        return weight
    n_true, n_reco = source[S_TRUE], source[S_RECO]
    total = 0.0
    for l in range(reach[source[S_REACH] + 2 * n_true + plane], reach[source[S_REACH] + 2 * n_true + n_reco + plane]):
        folded = edisp[source[S_EDISP] + l * n_reco + plane] * params[place[P_FLUX] + l]
        total += folded * _corner_exposure(source, l, c, starts, exposure, params)
    return weight * total


@sized(lambda *args: args[1].shape[0] and args[2].shape[0] * 4096)
def place(sources, places, items, starts, psf, exposure, edisp, reach, params, templates):
    """Templates of points.

    Parameters
    ----------
    sources, places : int64 tables
    items : int64[n, 6]
        Planes of places.
    starts : int64[...]
    psf : real[...]
        Padded kernels.
    exposure : cube[...]
    edisp : float64[...]
    reach : int64[...]
    params : float64[B, n_params]
    templates : real[B, ...]
        Output.
    """
    n_items = items.shape[0]
    for j in prange(templates.shape[0] * n_items):
        b, item = j // n_items, items[j % n_items]
        row, plane = places[item[W_WHAT]], item[W_PLANE]
        source = sources[row[P_SOURCE]]
        height, width = source[S_HEIGHT], source[S_WIDTH]
        y0, x0 = int(params[b, source[S_CORNER]]), int(params[b, source[S_CORNER] + 1])
        j0 = min(max(0, -x0), width)  # columns j0 .. j0 + n lie in the box
        n = max(0, min(width, source[S_NX] - x0) - j0)
        w0 = _amount(source, row, plane, 0, starts, exposure, edisp, reach, params[b])
        w1 = _amount(source, row, plane, 1, starts, exposure, edisp, reach, params[b])
        w2 = _amount(source, row, plane, 2, starts, exposure, edisp, reach, params[b])
        w3 = _amount(source, row, plane, 3, starts, exposure, edisp, reach, params[b])
        kernel = source[S_PSF] + plane * (height + 1) * (width + 1) + j0
        for i in range(height):
            t = row[P_TEMPLATES] + (plane * height + i) * width
            y = y0 + i
            if n == 0 or y < 0 or y >= source[S_NY]:
                templates[b, t : t + width] = 0.0
                continue
            templates[b, t : t + j0] = 0.0
            templates[b, t + j0 + n : t + width] = 0.0
            out = templates[b, t + j0 : t + j0 + n]
            low = psf[kernel + i * (width + 1) : kernel + i * (width + 1) + n + 1]
            up = psf[kernel + (i + 1) * (width + 1) : kernel + (i + 1) * (width + 1) + n + 1]
            if source[S_LAST] or source[S_EXPOSURE] < 0:
                for x in range(n):
                    out[x] = w0 * up[x + 1] + w1 * up[x] + w2 * low[x + 1] + w3 * low[x]
            else:
                e = source[S_EXPOSURE] + plane * source[S_AREA] + starts[source[S_STARTS] + y] + x0 + j0
                seen = exposure[e : e + n]
                for x in range(n):
                    out[x] = seen[x] * (w0 * up[x + 1] + w1 * up[x] + w2 * low[x + 1] + w3 * low[x])


@sized(lambda *args: args[3].shape[0] * 4096)
def place_pull(sources, datasets, places, items, rows, starts, psf, exposure, edisp, reach, params, slope, parts):
    """Adjoint of `place` and of folding: per plane the four sums over pixels of PSF_c times exposure times q (see `fold`).

    Parameters
    ----------
    sources, datasets, places, items, rows, starts, psf, exposure, edisp, reach, params
        As for `place` and `fold`.
    slope : real[B, N]
    parts : float64[B, n_parts]
        Output: [4, planes] from the place's P_PARTS on.
    """
    n_items = items.shape[0]
    for j in prange(slope.shape[0] * n_items):
        b, item = j // n_items, items[j % n_items]
        row, plane = places[item[W_WHAT]], item[W_PLANE]
        source = sources[row[P_SOURCE]]
        height, width = source[S_HEIGHT], source[S_WIDTH]
        first_row = datasets[source[S_DATASET], D_ROW]
        y0, x0 = int(params[b, source[S_CORNER]]), int(params[b, source[S_CORNER] + 1])
        j0, j1 = max(0, -x0), min(width, source[S_NX] - x0)
        n = max(0, j1 - j0)
        q = np.zeros(n)
        acc = np.zeros((4, n))
        a0, a1, a2, a3 = acc[0], acc[1], acc[2], acc[3]
        kernel = source[S_PSF] + plane * (height + 1) * (width + 1) + j0
        for i in range(max(0, -y0), min(height, source[S_NY] - y0)):
            if n == 0:
                break
            s = starts[source[S_STARTS] + y0 + i] + x0 + j0
            if source[S_LAST]:
                begin = rows[first_row + plane, R_BEGIN] + s
                for x in range(n):
                    q[x] = slope[b, begin + x]
            else:
                q[:] = 0.0
                for k in range(reach[source[S_REACH] + plane], reach[source[S_REACH] + source[S_TRUE] + plane]):
                    c_lk = edisp[source[S_EDISP] + plane * source[S_RECO] + k]
                    begin = rows[first_row + k, R_BEGIN] + s
                    r = slope[b, begin : begin + n]
                    for x in range(n):
                        q[x] += c_lk * r[x]
                if source[S_EXPOSURE] >= 0:
                    e = source[S_EXPOSURE] + plane * source[S_AREA] + s
                    seen = exposure[e : e + n]
                    for x in range(n):
                        q[x] *= seen[x]
            low = psf[kernel + i * (width + 1) : kernel + i * (width + 1) + n + 1]
            up = psf[kernel + (i + 1) * (width + 1) : kernel + (i + 1) * (width + 1) + n + 1]
            for x in range(n):
                v = q[x]
                a0[x] += v * up[x + 1]
                a1[x] += v * up[x]
                a2[x] += v * low[x + 1]
                a3[x] += v * low[x]
        for c in range(4):
            total = 0.0
            for x in range(n):
                total += acc[c, x]
            parts[b, row[P_PARTS] + c * source[S_PLANES] + plane] = total


@compiled
def place_unfold(sources, places, starts, exposure, edisp, reach, params, parts):
    """Where the PSF acts last, the sums of `place_pull` carried back to true energy: ``E_c[l] sum_k R[l, k] parts[c, k]``.

    Parameters
    ----------
    sources, places, starts, exposure, edisp, reach, params
        As for `place`.
    parts : float64[B, n_parts]
        Input [4, K] from P_PARTS on; output [4, L] from P_UNFOLDED on.
    """
    for b in range(parts.shape[0]):
        for p in range(places.shape[0]):
            row = places[p]
            if row[P_UNFOLDED] < 0:
                continue
            source = sources[row[P_SOURCE]]
            n_true, n_reco = source[S_TRUE], source[S_RECO]
            for c in range(4):
                for l in range(n_true):
                    total = 0.0
                    for k in range(reach[source[S_REACH] + l], reach[source[S_REACH] + n_true + l]):
                        total += edisp[source[S_EDISP] + l * n_reco + k] * parts[b, row[P_PARTS] + c * n_reco + k]
                    seen = _corner_exposure(source, l, c, starts, exposure, params[b])
                    parts[b, row[P_UNFOLDED] + c * n_true + l] = seen * total
