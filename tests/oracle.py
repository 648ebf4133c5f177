"""The slow oracle: the forward folding of one source written as plainly as possible, in NumPy with loops.

Nothing here shares code with the engine. Conventions: docs/dataflow.md; formula: docs/architecture.md.
"""

import numpy as np


def convolve_same(image, kernel):
    """Linear convolution of image[ny, nx] with an odd kernel, cropped to the image."""
    ny, nx = image.shape
    h, w = kernel.shape
    out = np.zeros_like(image, dtype=float)
    for y in range(ny):
        for x in range(nx):
            total = 0.0
            for i in range(h):
                for j in range(w):
                    yy, xx = y - (i - h // 2), x - (j - w // 2)
                    if 0 <= yy < ny and 0 <= xx < nx:
                        total += image[yy, xx] * kernel[i, j]
            out[y, x] = total
    return out


def point_image(x, y, shape):
    """Bilinear image of a point at pixel coordinates (x, y); weight outside is lost."""
    out = np.zeros(shape)
    for yy in range(shape[0]):
        for xx in range(shape[1]):
            wx, wy = 1 - abs(xx - x), 1 - abs(yy - y)
            if wx > 0 and wy > 0:
                out[yy, xx] = wx * wy
    return out


def fold(image, flux, exposure, edisp, psf, psf_last):
    """Predicted counts[K, ny, nx] of image[ny, nx] with flux[L], exposure[L, ny, nx], edisp[L, K] and psf[L or K, h, w]."""
    n_true, n_reco = edisp.shape
    out = np.zeros((n_reco, *image.shape))
    for k in range(n_reco):
        plane = np.zeros(image.shape)
        for true in range(n_true):
            seen = image if psf_last else convolve_same(image, psf[true])
            plane += edisp[true, k] * flux[true] * exposure[true] * seen
        out[k] = convolve_same(plane, psf[k]) if psf_last else plane
    return out


def cash(counts, npred, mask):
    """Cash statistic with gammapy's floor, one bin at a time."""
    total = 0.0
    for n, mu, use in zip(counts.ravel(), npred.ravel(), mask.ravel(), strict=True):
        if use:
            m = max(mu, 1e-25)
            total += 2 * m - (2 * n * np.log(m) if n > 0 else 0.0)
    return total
