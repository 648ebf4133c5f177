"""PSF kernels of many energies as combinations of few, as far as one smooth image can tell.

A smooth image meets only those Fourier modes of the kernels P[l] in which its own spectrum s is not negligible, and there kernels of
different energies look much alike. With an orthonormal basis V of the eigenvectors of the weighted Gram matrix

    G[l, m] = sum over modes of w^2 P[l] conj(P[m])

the convolved planes are ``PSF[l] * s = sum_n V[l, n] (Q[n] * s)`` with ``Q[n] = sum_l V[l, n] PSF[l]``: N planes go through Fourier
transforms instead of L. What is left out, R[l] = P[l] - sum_n V[l, n] Q[n], changes no pixel by more than ``sum over modes of |R[l] s| /
pixels``. The weight w is |s| in units of what may be left out: a basis serves an image, and its derivatives, where ``sum w |R[l]| <= 1``
for every l.

A smooth image has next to nothing in the fastest modes, so these need not be transformed at all: the last columns of the spectra are left
out, with ``R[l] = P[l]`` there, as long as they use up no more than `CUT` of what may be left out.

Kernels are small, so their transforms are smooth: they are sampled in *cells* of modes twice as fine as the kernel needs, and the
spectra of images are summed over cells.
"""

from dataclasses import dataclass

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import NUMPY

from .transforms import WORKERS

__all__ = ["Basis", "choose_basis"]

VALUE_ERROR = 6e-7  # of the largest value of a plane, by the bound; what is found is three to ten times smaller
SLOPE_ERROR = 3e-6  # of the largest value of a plane of a derivative, by the bound
WORTH = 0.6  # kernels of a basis over planes, above which it saves too little
CUT = 0.25  # of what is allowed, for columns of modes that are left out altogether
NEGLIGIBLE = 0.05  # of what is allowed, left to all cells together that the choice does not look into
CHUNK = 1024  # cells at once: arrays that the allocator has at hand
SLACK = 2.0  # by how much the bound may be exceeded when the image changes, before another basis is chosen


@dataclass(frozen=True)
class Basis:
    """Few kernels in place of many, for images as smooth as one.

    Attributes
    ----------
    mixing : float64 array[L, N]
        V.
    kernels : float64 array[N, h, w]
        Q.
    modes : int
        Columns of half a plane's spectrum that are used.
    """

    mixing: np.ndarray
    kernels: np.ndarray
    modes: int
    _padded: tuple
    _left: np.ndarray  # max over l of |R[l]|, per cell
    _spread: float  # of the widest kernel, see `_spread`

    def serves(self, image):
        """Whether the planes of an ``image[ny, nx]`` of the same box are still as good."""
        weights = _Cells(self._padded, self.kernels.shape[1:]).weights(image[np.newaxis], VALUE_ERROR, self._spread)
        return weights is not None and float(self._left @ weights[:, 0]) <= SLACK


class _Cells:
    """Modes of a padded plane, gathered into the modes of a smaller one that a kernel's transform needs."""

    def __init__(self, padded, kernel):
        self.padded = padded
        self.shape = tuple(min(2 * k, n) for k, n in zip(kernel, padded, strict=True))
        (ny, nx), (my, mx) = padded, self.shape
        self.width = mx // 2 + 1
        fy, fx = np.fft.fftfreq(ny), np.fft.rfftfreq(nx)
        self._rows, self._columns = np.rint(fy * my).astype(np.int64) % my, np.minimum(np.rint(fx * mx).astype(np.int64), self.width - 1)
        self._times = np.where((fx == 0) | (fx == 0.5), 1.0, 2.0) / (ny * nx)  # a half plane stands for the whole one
        self._order = np.argsort(self._rows, kind="stable")
        self._first = np.searchsorted(self._rows[self._order], np.arange(my + 1))

    def weights(self, images, error, spread):
        """w per cell for images[n, ny, nx], array[cells, n]; `error` is what may be left out of the largest value.

        None if one of them has no scale of its own.
        """
        kernel, fft, (ny, nx) = kernels.cpu("smooth"), NUMPY.fft, self.padded
        images = np.ascontiguousarray(images, dtype=np.float64)
        extremes, cells = np.empty((*images.shape[:2], 2)), np.empty((len(images), self.shape[0], self.width))
        kernel.extremes(images, extremes)
        largest, bend = extremes.max(axis=1).T
        if not (np.all(largest > 0) and np.all(bend > 0)):
            return None
        shrink = 1.0 / (1.0 + spread * bend / (2.0 * largest))  # what the widest kernel leaves of a Gaussian's maximum
        spectra = fft.fft(fft.rfft(images, n=nx, axis=2, workers=WORKERS), n=ny, axis=1, workers=WORKERS)
        kernel.gather_cells(spectra, self._order, self._first, self._columns, self._times, cells)
        weights = cells.reshape(len(images), -1).T / (error * largest * shrink)
        return weights if np.all(np.isfinite(weights)) else None

    def columns_left_out(self, most, weights):
        """First column of cells from which on all may be left out; `most` is the largest ``|P[l]|`` per cell, `weights` array[cells, n]."""
        shares = (most[:, np.newaxis] * weights).reshape(self.shape[0], self.width, -1).sum(axis=0)
        beyond = np.cumsum(shares[::-1], axis=0)[::-1].max(axis=1)
        return int(np.count_nonzero(beyond > CUT))

    def modes(self, column):
        """Columns of a half plane that lie before a column of cells."""
        return int(np.count_nonzero(self._columns < column))

    def transfer(self, kernels):
        """Transforms at the cells, real and imaginary parts array[n, 2, cells]; where the kernels' origin lies does not matter."""
        out = NUMPY.fft.rfft2(kernels, s=self.shape, workers=WORKERS).reshape(len(kernels), -1)
        return np.stack([out.real, out.imag], axis=1)


def _spread(psf):
    """Largest mean square of a coordinate in any kernel, pixels^2."""
    y, x = (np.arange(n) - n // 2 for n in psf.shape[1:])
    total = psf.sum(axis=(1, 2))
    moment = psf.sum(axis=2) @ y**2.0 + psf.sum(axis=1) @ x**2.0
    return float(np.max(moment / np.where(total > 0, 2.0 * total, np.inf)))


def choose_basis(psf, image, slopes, padded):
    """Smallest basis that serves an image, or None where none is worth while.

    Parameters
    ----------
    psf : float64 array[L, h, w]
    image : float64 array[ny, nx]
    slopes : sequence of float64 array[ny, nx]
        Its derivatives by free parameters.
    padded : (int, int)
        Shape of the planes that are transformed.

    Returns
    -------
    Basis or None
    """
    cells, spread = _Cells(padded, psf.shape[1:]), _spread(psf)
    weights = [cells.weights(np.asarray(image)[np.newaxis], VALUE_ERROR, spread)]
    if moving := [slope for slope in slopes if slope.any()]:
        weights.append(cells.weights(np.stack(moving), SLOPE_ERROR, spread))
    if any(some is None for some in weights):
        return None
    weights = np.concatenate(weights, axis=1)
    transfer = cells.transfer(psf)
    most = _magnitude(transfer).max(axis=0)
    column = cells.columns_left_out(most, weights)
    is_cut = np.tile(np.arange(cells.width) >= column, cells.shape[0])
    given = _magnitude(transfer[:, :, is_cut]) @ weights[is_cut]  # what is left out in any case, array[L, images]
    heavy = np.flatnonzero(((weights * most[:, np.newaxis]).max(axis=1) > NEGLIGIBLE / len(weights)) & ~is_cut)
    seen, weights = transfer[:, :, heavy], weights[heavy]
    weighted = (seen * np.sqrt((weights**2).sum(axis=1))).reshape(len(psf), -1)
    values, vectors = np.linalg.eigh(weighted @ weighted.T)
    vectors = vectors[:, ::-1]
    # The root of a sum of squares is a lower limit of a sum: fewer kernels need not be tried.
    first = int(np.searchsorted(-np.cumsum(np.maximum(values, 0.0))[::-1], -float(len(psf) * weights.shape[1])))
    for n in range(max(first, 1), int(WORTH * len(psf)) + 1):
        mixing = np.ascontiguousarray(vectors[:, :n])
        if (given + _magnitude(_left(seen, mixing)) @ weights).max() <= 1.0:
            cuts = range(CHUNK, transfer.shape[2], CHUNK)
            missing = np.concatenate([_magnitude(_left(some, mixing)).max(axis=0) for some in np.split(transfer, cuts, axis=2)])
            missing = np.where(is_cut, most, missing)
            kernels = np.tensordot(mixing, psf, (0, 0))
            return Basis(mixing, kernels, cells.modes(column), tuple(padded), missing, spread)
    return None


def _left(transfer, mixing):
    """R: what a basis leaves out of transforms[L, 2, cells]."""
    flat = transfer.reshape(len(transfer), -1)
    return (flat - mixing @ (mixing.T @ flat)).reshape(transfer.shape)


def _magnitude(transfer):
    """Absolute values of transforms[L, 2, cells], array[L, cells]."""
    return np.sqrt(transfer[:, 0] ** 2 + transfer[:, 1] ** 2)
