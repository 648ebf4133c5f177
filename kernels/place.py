"""Put a PSF at a point: bilinear placement on four pixels, folded forward and transposed.

A point at pixel coordinates (x, y) sits on the four pixels around it with weights w[c] (order: lower left, lower right, upper left, upper
right), so its image is four shifted copies of the PSF kernel. The kernel comes padded by one zero on every side: then the four copies
are the same array read at four offsets and no bound needs a branch. ``corner[b]`` is (row, column), in the box, of the support's first
pixel; rows and columns of the support that fall outside the box (the map ends there) are left out.

`place` and `place_pull` are for a PSF in true energy, `place_reco` and `place_reco_pull` for one in reconstructed energy, which acts last.
"""

import numba as nb
import numpy as np

from ._sized import sized


@sized(lambda psf, exposure, corner, *_: psf.size * len(corner))
def place(psf, exposure, corner, weight, flux, edisp, first, last, start, mu):
    """Add a point source seen through a true-energy PSF.

    Parameters
    ----------
    psf : array[L, h + 2, w + 2]
        Kernel, padded by zeros.
    exposure : array[L, ny, nx]
    corner : int array[B, 2]
    weight : array[B, 4]
    flux : array[B, L]
    edisp : array[L, K]
    first, last : int array[L]
    start : int array[ny]
    mu : array[B, K, A]
        Changed in place.
    """
    ny, nx = exposure.shape[1], exposure.shape[2]
    height, width = psf.shape[1] - 1, psf.shape[2] - 1
    for b in range(mu.shape[0]):
        y0, x0 = corner[b, 0], corner[b, 1]
        j0, j1 = max(0, -x0), min(width, nx - x0)
        if j1 <= j0:
            continue
        w0, w1, w2, w3 = weight[b, 0], weight[b, 1], weight[b, 2], weight[b, 3]
        for i in nb.prange(max(0, -y0), min(height, ny - y0)):  # rows are disjoint in mu
            t = np.empty(width)
            s = start[y0 + i] + x0
            for l in range(psf.shape[0]):
                up, low = psf[l, i + 1], psf[l, i]
                e = exposure[l, y0 + i]
                for j in range(j0, j1):
                    t[j] = e[x0 + j] * (w0 * up[j + 1] + w1 * up[j] + w2 * low[j + 1] + w3 * low[j])
                for k in range(first[l], last[l]):
                    c = edisp[l, k] * flux[b, l]
                    out = mu[b, k]
                    for j in range(j0, j1):
                        out[s + j] += c * t[j]


@sized(lambda psf, exposure, corner, *_: psf.size * len(corner))
def place_pull(psf, exposure, corner, edisp, first, last, start, slope, gradient):
    """Adjoint of `place`: adds ``sum_p exposure[l, p] q[l, p] psf_c[l, p]`` to ``gradient[b, c, l]`` for each of the four copies c."""
    ny, nx = exposure.shape[1], exposure.shape[2]
    height, width = psf.shape[1] - 1, psf.shape[2] - 1
    for b in range(slope.shape[0]):
        y0, x0 = corner[b, 0], corner[b, 1]
        j0, j1 = max(0, -x0), min(width, nx - x0)
        if j1 <= j0:
            continue
        for l in nb.prange(psf.shape[0]):
            q = np.empty(width)
            acc = np.zeros((4, width))
            a0, a1, a2, a3 = acc[0], acc[1], acc[2], acc[3]
            for i in range(max(0, -y0), min(height, ny - y0)):
                s = start[y0 + i] + x0
                q[:] = 0.0
                for k in range(first[l], last[l]):
                    c = edisp[l, k]
                    r = slope[b, k]
                    for j in range(j0, j1):
                        q[j] += c * r[s + j]
                up, low = psf[l, i + 1], psf[l, i]
                e = exposure[l, y0 + i]
                for j in range(j0, j1):
                    v = q[j] * e[x0 + j]
                    a0[j] += v * up[j + 1]
                    a1[j] += v * up[j]
                    a2[j] += v * low[j + 1]
                    a3[j] += v * low[j]
            for c in range(4):
                total = 0.0
                for j in range(j0, j1):
                    total += acc[c, j]
                gradient[b, c, l] += total


@nb.njit(cache=True, nogil=True)
def place_reco(psf, shape, corner, amount, start, mu):
    """Add a point source seen through a reconstructed-energy PSF.

    Parameters
    ----------
    psf : array[K, h + 2, w + 2]
        Kernel, padded by zeros.
    shape : (ny, nx)
        Size of the box.
    corner : int array[B, 2]
    amount : array[B, K, 4]
        Counts on each of the four pixels.
    start : int array[ny]
    mu : array[B, K, A]
        Changed in place.
    """
    ny, nx = shape
    height, width = psf.shape[1] - 1, psf.shape[2] - 1
    for b in range(mu.shape[0]):
        y0, x0 = corner[b, 0], corner[b, 1]
        j0, j1 = max(0, -x0), min(width, nx - x0)
        if j1 <= j0:
            continue
        for k in range(psf.shape[0]):
            w0, w1, w2, w3 = amount[b, k, 0], amount[b, k, 1], amount[b, k, 2], amount[b, k, 3]
            out = mu[b, k]
            for i in range(max(0, -y0), min(height, ny - y0)):
                s = start[y0 + i] + x0
                up, low = psf[k, i + 1], psf[k, i]
                for j in range(j0, j1):
                    out[s + j] += w0 * up[j + 1] + w1 * up[j] + w2 * low[j + 1] + w3 * low[j]


@nb.njit(cache=True, nogil=True)
def place_reco_pull(psf, shape, corner, start, slope, gradient):
    """Adjoint of `place_reco`: adds ``sum_p slope[k, p] psf_c[k, p]`` to ``gradient[b, k, c]``."""
    ny, nx = shape
    height, width = psf.shape[1] - 1, psf.shape[2] - 1
    acc = np.empty((4, width))
    for b in range(slope.shape[0]):
        y0, x0 = corner[b, 0], corner[b, 1]
        j0, j1 = max(0, -x0), min(width, nx - x0)
        if j1 <= j0:
            continue
        for k in range(psf.shape[0]):
            acc[:] = 0.0
            a0, a1, a2, a3 = acc[0], acc[1], acc[2], acc[3]
            r = slope[b, k]
            for i in range(max(0, -y0), min(height, ny - y0)):
                s = start[y0 + i] + x0
                up, low = psf[k, i + 1], psf[k, i]
                for j in range(j0, j1):
                    v = r[s + j]
                    a0[j] += v * up[j + 1]
                    a1[j] += v * up[j]
                    a2[j] += v * low[j + 1]
                    a3[j] += v * low[j]
            for c in range(4):
                total = 0.0
                for j in range(j0, j1):
                    total += acc[c, j]
                gradient[b, k, c] += total
