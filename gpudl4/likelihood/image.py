"""A source with extent in one dataset: pixel image, PSF by FFT, exposure and energy dispersion, at every evaluation."""

import os
from types import SimpleNamespace

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import NUMPY

from .component import Component, second_differences

__all__ = ["ImageComponent"]

WORKERS = min(4, os.cpu_count() or 1)
LARGE_BOX = 150**2  # pixels; from here on `jacobian(exact=False)` thins out and leaves the PSF out, which such a shape hardly feels
COARSE_STRIDE = 3
EDGE_FRACTION = 1e-3  # of its peak that a shape may have at the edge of its cutout while a fit moves it; the end of a fit compiles anew


class ImageComponent(Component):
    """A shape with extent: pixel image, convolved with the PSF by FFT, times exposure.

    As a draft, a large one leaves the PSF out: cheap, and near enough for the first steps of a fit.
    """

    def __init__(self, *args, dtype=np.float64, draft=False):
        super().__init__(*args)
        psf = self.response.psf
        self.is_draft = draft and psf.shape[1:] != (1, 1) and self.box.ny * self.box.nx > LARGE_BOX
        ny, nx = self.box.shape
        # Cropped to the box, a circular convolution is exact once half a kernel fits beside it: what wraps around lands outside the crop.
        self._shape = tuple(NUMPY.fft.next_fast_len(max(n + m // 2, m), real=True) for n, m in zip((ny, nx), psf.shape[1:], strict=True))
        self._offset = psf.shape[1] // 2, psf.shape[2] // 2
        self._dtype = np.dtype(dtype)
        self._transfer = None
        if psf.shape[1:] != (1, 1) and not self.is_draft:
            self._transfer = NUMPY.fft.rfft2(psf.astype(self._dtype), s=self._shape, workers=WORKERS)

    @property
    def nbytes(self):
        """Bytes the component keeps."""
        return self.response.nbytes + (0 if self._transfer is None else self._transfer.nbytes)

    def workspace(self, batch):
        """Templates and field of `batch` parameter vectors."""
        n = self.response.edisp.shape[0]
        return SimpleNamespace(templates=np.empty((batch, n, *self.box.shape)), field=np.empty((batch, n, *self.box.shape)))

    def _convolve(self, image):
        """Convolve ``image[B, ny, nx]`` with every plane of the PSF, or ``image[B, planes, ny, nx]`` plane by plane."""
        image = image[:, np.newaxis] if image.ndim == 3 else image
        if self._transfer is None:
            return np.broadcast_to(image, (image.shape[0], self.response.psf.shape[0], *self.box.shape))
        fft, (oy, ox), (ny, nx) = NUMPY.fft, self._offset, self.box.shape
        spectrum = fft.rfft2(image.astype(self._dtype, copy=False), s=self._shape, workers=WORKERS)
        product = np.empty((len(spectrum), *self._transfer.shape), dtype=self._transfer.dtype)
        kernels.cpu("fourier").spread(spectrum, self._transfer, product)
        full = fft.irfft2(product, s=self._shape, workers=WORKERS, overwrite_x=True)
        return full[..., oy : oy + ny, ox : ox + nx]

    def _correlate(self, field, keep_planes=False):
        """Adjoint of `_convolve`: array[B, ny, nx] summed over planes, or array[B, planes, ny, nx]."""
        if self._transfer is None:
            return field if keep_planes else field.sum(axis=1)
        fft, (oy, ox), (ny, nx) = NUMPY.fft, self._offset, self.box.shape
        spectrum = fft.rfft2(field.astype(self._dtype, copy=False), s=self._shape, workers=WORKERS)
        product = np.empty((len(spectrum), spectrum.shape[1] if keep_planes else 1, *spectrum.shape[2:]), dtype=spectrum.dtype)
        kernels.cpu("fourier").gather(spectrum, self._transfer, product)
        full = np.roll(fft.irfft2(product, s=self._shape, workers=WORKERS), (oy, ox), axis=(-2, -1))[..., :ny, :nx]
        return full if keep_planes else full[:, 0]

    def begin(self, thetas, cells=None):
        """Evaluate spectrum and image."""
        flux, derivative = self._flux(thetas)
        values = self.spatial_pack.values(thetas)
        return SimpleNamespace(flux=flux, flux_gradient=derivative, values=values, image=self.spatial.image(values))

    def templates(self, state, workspace):
        """Image x PSF x exposure per true bin, array[B, L, ny, nx]."""
        return np.multiply(self._convolve(state.image), self.response.exposure)

    def add(self, state, workspace, start, mu):
        """Add predicted counts."""
        r, fold = self.response, kernels.cpu("fold")
        if r.psf_last:
            fold.add_box(np.ascontiguousarray(self._reco(state.image, state.flux)), start, mu)
        else:
            np.multiply(self._convolve(state.image), r.exposure, out=workspace.templates)
            fold.fold(workspace.templates, state.flux, r.edisp, r.first, r.last, start, mu)

    def _seen(self, flux):
        """Exposure folded through the energy dispersion, sum_l R[l, k] F_l E[l, p], array[B, K, ny, nx]."""
        return np.einsum("lk,bl,lyx->bkyx", self.response.edisp, flux, self.response.exposure, optimize=True)

    def _reco(self, image, flux):
        return self._convolve(image[:, np.newaxis] * self._seen(flux))

    def pull(self, state, workspace, start, slope, gradient):
        """Add the gradient."""
        r, fold = self.response, kernels.cpu("fold")
        by_flux = np.zeros_like(state.flux)
        if r.psf_last:
            q = np.empty((len(slope), slope.shape[1], *self.box.shape))
            fold.take_box(slope, start, q)
            q = self._correlate(q, keep_planes=True)
            by_flux += np.einsum("lk,lyx,byx,bkyx->bl", r.edisp, r.exposure, state.image, q, optimize=True)
            by_image = (q * self._seen(state.flux)).sum(axis=1)
        else:
            fold.fold_pull_field(
                workspace.templates, r.exposure, state.flux, r.edisp, r.first, r.last, start, slope, by_flux, workspace.field
            )
            by_image = self._correlate(workspace.field) if self.spatial_pack.is_free else None
        self._pull_flux(state, by_flux, gradient)
        if self.spatial_pack.is_free:
            self.spatial_pack.scatter(self.spatial.pullback(state.values, np.ascontiguousarray(by_image, dtype=np.float64)), gradient)

    def jacobian(self, theta, cells=None, exact=True, workspace=None):
        """Derivative images array[P_free, K, ny, nx], rows in the order of `indices`, and their stride.

        `workspace` may hold the templates of this theta, as `add` leaves them.
        """
        state = self.begin(theta[np.newaxis])
        flux, rows = self._spectral_jacobian(theta)
        coarse = not exact and self.box.ny * self.box.nx > LARGE_BOX
        stride = COARSE_STRIDE if coarse else 1
        shape = self.box.every(stride).shape
        out = np.zeros((len(self.indices), self.response.edisp.shape[1], *shape))
        spectral = [i for i, index in enumerate(self.indices) if index in self.spectral_pack.indices]
        if spectral:
            templates = None if stride > 1 or self.response.psf_last or workspace is None else workspace.templates
            out[spectral] += self._fold_image(state.image, rows[spectral], stride, templates)
        if self.spatial_pack.is_free:
            images = self.spatial.gradient(state.values)[0]
            for slot, index in zip(self.spatial_pack.slots, self.spatial_pack.indices, strict=True):
                out[self.indices.index(index)] += self._fold_image(images[slot][np.newaxis], flux[np.newaxis], stride)[0]
        return out, stride

    def _fold_image(self, image, flux, stride, templates=None):
        """Counts[B, K, ny, nx] of ``image[1, ny, nx]`` with several spectra ``flux[B, L]``; a stride > 1 thins out and skips the PSF."""
        r = self.response
        rows, columns = self.box.sampled(stride)
        image, exposure = image[:, rows, columns], r.exposure[:, rows, columns]
        if r.psf_last:
            seen = image[:, np.newaxis] * np.einsum("lk,bl,lyx->bkyx", r.edisp, flux, exposure, optimize=True)
            return self._convolve(seen) if stride == 1 else seen
        if templates is None:
            templates = np.ascontiguousarray((self._convolve(image) if stride == 1 else image[:, np.newaxis]) * exposure, dtype=np.float64)
        ny, nx = image.shape[1:]
        out = np.zeros((len(flux), r.edisp.shape[1], ny * nx))
        kernels.cpu("fold").fold(templates, flux, r.edisp, r.first, r.last, np.arange(ny) * nx, out)
        return out.reshape(len(flux), -1, ny, nx)

    def curvature(self, theta, cells, start, slope, steps):
        """``sum slope d2 mu / d i d j``, array[P, P], at fixed slope.

        The statistic is linear in flux and in image then, so mixed derivatives need the image derivatives folded with the slope, and the
        others only differences of the models' own first derivatives.
        """
        r, fold = self.response, kernels.cpu("fold")
        state = self.begin(theta[np.newaxis])
        field = np.empty((1, len(r.edisp), *self.box.shape))  # sum_k R r, then through exposure and PSF back to the sky, per true bin
        ones, nothing = np.ones((1, len(r.edisp))), np.zeros((1, len(r.edisp)))
        if r.psf_last:
            q = np.empty((1, slope.shape[1], *self.box.shape))
            fold.take_box(slope, start, q)
            q = self._correlate(q, keep_planes=True)
            field[0] = np.einsum("lk,kyx->lyx", r.edisp, q[0], optimize=True) * r.exposure
        else:
            fold.fold_pull_field(field, r.exposure, ones, r.edisp, r.first, r.last, start, slope, nothing, field)
            field = self._correlate(field, keep_planes=True)
        by_image = np.einsum("bl,blyx->byx", state.flux, field)
        by_flux = np.einsum("blyx,byx->bl", field, state.image)[0]
        out = self._second_flux(theta, by_flux, steps)
        if not self.spatial_pack.is_free:
            return out

        def gradient(point):
            pulled = np.zeros((1, len(point)))
            self.spatial_pack.scatter(self.spatial.pullback(self.spatial_pack.values(point[np.newaxis]), by_image), pulled)
            return pulled[0]

        out += second_differences(gradient, theta, steps, set(self.spatial_pack.indices))
        images = self.spatial.gradient(state.values)[0]
        for slot, i in zip(self.spatial_pack.slots, self.spatial_pack.indices, strict=True):
            mixed = np.zeros((1, len(theta)))
            per_true = np.einsum("lyx,yx->l", field[0], images[slot])
            self.spectral_pack.scatter(np.einsum("bpl,l->bp", state.flux_gradient, per_true), mixed)
            out[i] += mixed[0]
            out[:, i] += mixed[0]
        return out

    def is_valid(self, theta):
        """False when the image needs another sampling, or has grown or moved to an edge of the cutout where the map goes on."""
        values = self.spatial_pack.values(theta[np.newaxis])
        if not self.spatial.is_valid(values):
            return False
        image, box, (ny, nx) = self.spatial.image(values)[0], self.box, self.map_shape
        edges = [
            image[0] if box.y0 > 0 else 0.0,
            image[-1] if box.y0 + box.ny < ny else 0.0,
            image[:, 0] if box.x0 > 0 else 0.0,
            image[:, -1] if box.x0 + box.nx < nx else 0.0,
        ]
        return bool(max(np.max(edge) for edge in edges) <= EDGE_FRACTION * image.max())
