"""Fold a source through exposure and energy dispersion, forward and transposed.

Forward, for templates T (source image x PSF x exposure) on a box of pixels::

    mu[b, k, p] += sum_l R[l, k] F[b, l] T[b, l, p]

Transposed, for the slope r = d stat / d mu, with q[l, p] = sum_k R[l, k] r[k, p]::

    d stat / d F[l] = sum_p T[l, p] q[l, p]            d stat / d image[l, p] = F[l] E[l, p] q[l, p]  (before the PSF)

The box lies in the active region as rows: pixel (y, x) of the box is column ``start[y] + x`` of `mu`. ``first[l]:last[l]`` are the
reconstructed bins that true bin l can reach, so that a narrow energy dispersion costs what it contains.
"""

import numba as nb
import numpy as np

from ._sized import sized


@sized(lambda templates, flux, *_: templates[0].size * len(flux))
def fold(templates, flux, edisp, first, last, start, mu):
    """Add the folded templates to `mu`.

    Parameters
    ----------
    templates : array[Bt, L, ny, nx]
        Bt is 1 (shared) or B.
    flux : array[B, L]
    edisp : array[L, K]
    first, last : int array[L]
    start : int array[ny]
    mu : array[B, K, A]
        Changed in place.
    """
    nx = templates.shape[3]
    for y in nb.prange(templates.shape[2]):  # rows are disjoint in mu
        s = start[y]
        for b in range(mu.shape[0]):
            bt = b if templates.shape[0] > 1 else 0
            for l in range(templates.shape[1]):
                row = templates[bt, l, y]
                for k in range(first[l], last[l]):
                    c = edisp[l, k] * flux[b, l]
                    out = mu[b, k, s : s + nx]
                    for x in range(nx):
                        out[x] += c * row[x]


@sized(lambda templates, edisp, first, last, start, slope, gradient: templates[0].size * len(slope))
def fold_pull(templates, edisp, first, last, start, slope, gradient):
    """Adjoint of `fold` in the flux: adds d stat / d F to ``gradient[b, l]``."""
    nx = templates.shape[3]
    for l in nb.prange(templates.shape[1]):
        q = np.empty(nx)
        acc = np.empty(nx)
        for b in range(slope.shape[0]):
            bt = b if templates.shape[0] > 1 else 0
            acc[:] = 0.0
            for y in range(templates.shape[2]):
                s = start[y]
                q[:] = 0.0
                for k in range(first[l], last[l]):
                    c = edisp[l, k]
                    r = slope[b, k, s : s + nx]
                    for x in range(nx):
                        q[x] += c * r[x]
                row = templates[bt, l, y]
                for x in range(nx):
                    acc[x] += row[x] * q[x]
            total = 0.0
            for x in range(nx):
                total += acc[x]
            gradient[b, l] += total


@sized(lambda templates, exposure, flux, *_: templates[0].size * len(flux))
def fold_pull_field(templates, exposure, flux, edisp, first, last, start, slope, gradient, field):
    """Adjoint of `fold` in the flux and in the image before exposure.

    Adds d stat / d F to ``gradient[b, l]`` and writes ``field[b, l, y, x] = flux[b, l] exposure[l, y, x] q[l, y, x]``.
    """
    nx = templates.shape[3]
    for l in nb.prange(templates.shape[1]):
        q = np.empty(nx)
        acc = np.empty(nx)
        for b in range(slope.shape[0]):
            bt = b if templates.shape[0] > 1 else 0
            acc[:] = 0.0
            for y in range(templates.shape[2]):
                s = start[y]
                q[:] = 0.0
                for k in range(first[l], last[l]):
                    c = edisp[l, k]
                    r = slope[b, k, s : s + nx]
                    for x in range(nx):
                        q[x] += c * r[x]
                row = templates[bt, l, y]
                e = exposure[l, y]
                out = field[b, l, y]
                f = flux[b, l]
                for x in range(nx):
                    acc[x] += row[x] * q[x]
                    out[x] = f * e[x] * q[x]
            total = 0.0
            for x in range(nx):
                total += acc[x]
            gradient[b, l] += total


@nb.njit(cache=True, nogil=True)
def add_box(image, start, mu):
    """Add ``image[b, k, ny, nx]`` to the rows of the box in `mu`."""
    nx = image.shape[3]
    for b in range(mu.shape[0]):
        for k in range(image.shape[1]):
            for y in range(image.shape[2]):
                out = mu[b, k, start[y] : start[y] + nx]
                row = image[b, k, y]
                for x in range(nx):
                    out[x] += row[x]


@nb.njit(cache=True, nogil=True)
def take_box(values, start, image):
    """Adjoint of `add_box`: copy the rows of the box out of ``values[b, k, a]`` into ``image[b, k, ny, nx]``."""
    nx = image.shape[3]
    for b in range(values.shape[0]):
        for k in range(image.shape[1]):
            for y in range(image.shape[2]):
                row = values[b, k, start[y] : start[y] + nx]
                out = image[b, k, y]
                for x in range(nx):
                    out[x] = row[x]
