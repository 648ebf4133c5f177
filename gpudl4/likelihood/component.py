"""One source in one dataset, ready to be folded: value, transposed, and Jacobian.

A component is made at compile time from a `Response` and bound models, and never changes. Which class serves depends on what can change:

* `TemplateComponent`: shape fixed, spectrum free, true-energy PSF. The folded shape is kept as templates T[l, p].
* `PointComponent`: a point that moves (or a reconstructed-energy PSF, where four pixels are cheaper than templates).
* `ImageComponent`: any other shape, convolved with the PSF by FFT at every evaluation.

All share four verbs. ``begin(thetas)`` evaluates the models and gives a state; ``add(state, start, mu)`` adds predicted counts;
``pull(state, start, slope, gradient)`` adds the gradient; ``jacobian(theta)`` gives the derivative images of one theta for Fisher matrices.
"""

import os
from types import SimpleNamespace

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import NUMPY

__all__ = ["Component", "ImageComponent", "PointComponent", "TemplateComponent"]

WORKERS = min(4, os.cpu_count() or 1)
LARGE_BOX = 150**2  # pixels; from here on `jacobian(exact=False)` thins out and leaves the PSF out, which such a shape hardly feels
COARSE_STRIDE = 3
EDGE_FRACTION = 1e-3  # of its peak that a shape may have at the edge of its cutout while a fit moves it; the end of a fit compiles anew


def second_differences(gradient, theta, steps, indices):
    """Matrix of second derivatives, array[P, P], from central differences of ``gradient(theta) -> array[P]`` along some parameters."""
    out = np.zeros((len(theta), len(theta)))
    for i in indices:
        if not steps[i] > 0:
            continue
        up, down = theta.copy(), theta.copy()
        up[i] += steps[i]
        down[i] -= steps[i]
        out[i] = (gradient(up) - gradient(down)) / (up[i] - down[i])
    return (out + out.T) / 2


class Component:
    """What all components share: the spectrum, its place in theta, the response.

    Parameters
    ----------
    name : str
        Model name.
    response : Response
    spectral, spectral_pack : bound spectral model and its `SubPack`
    spatial, spatial_pack : bound spatial model and its `SubPack`
    map_shape : (int, int)
        Rows and columns of the map.
    """

    def __init__(self, name, response, spectral, spectral_pack, spatial, spatial_pack, map_shape):
        self.name, self.response, self.map_shape = name, response, map_shape
        self.spectral, self.spectral_pack = spectral, spectral_pack
        self.spatial, self.spatial_pack = spatial, spatial_pack
        self.box = response.box

    @property
    def indices(self):
        """Indices of theta this component depends on, sorted and unique."""
        return tuple(sorted(set(self.spectral_pack.indices) | set(self.spatial_pack.indices)))

    @property
    def nbytes(self):
        """Bytes the component keeps."""
        return self.response.nbytes

    def workspace(self, batch):
        """Buffers for `batch` parameter vectors."""
        return SimpleNamespace()

    def _flux(self, thetas):
        """Spectral integrals times exposure unit factor, array[B, L], and their derivatives, array[B, P_spectral, L]."""
        flux, derivative = self.spectral.value_and_gradient(self.spectral_pack.values(thetas))
        scale = self.response.scale
        return flux * scale, derivative * scale

    def _pull_flux(self, state, by_flux, gradient):
        self.spectral_pack.scatter(np.einsum("bpl,bl->bp", state.flux_gradient, by_flux), gradient)

    def _spectral_jacobian(self, theta):
        """Free derivatives of the flux by theta, array[P_free, L], one row per entry of `indices`."""
        flux, derivative = self._flux(theta[np.newaxis])
        rows = np.zeros((len(self.indices), flux.shape[1]))
        for slot, index in zip(self.spectral_pack.slots, self.spectral_pack.indices, strict=True):
            rows[self.indices.index(index)] += derivative[0, slot]
        return flux[0], rows

    def _second_flux(self, theta, weight, steps):
        """``sum_l weight[l] d2 F_l / d i d j`` over `indices`, by central differences of the exact first derivatives."""

        def gradient(point):
            out = np.zeros((1, len(point)))
            self.spectral_pack.scatter(np.einsum("bpl,l->bp", self._flux(point[np.newaxis])[1], weight), out)
            return out[0]

        return second_differences(gradient, theta, steps, set(self.spectral_pack.indices))

    def _box_start(self):
        return np.arange(self.box.ny, dtype=np.int64) * self.box.nx

    def _box_buffer(self, batch):
        return np.zeros((batch, self.response.edisp.shape[1], self.box.ny * self.box.nx))

    def is_valid(self, theta):
        """Whether the compile-time cutout and sampling still serve this theta."""
        return True


class TemplateComponent(Component):
    """A fixed shape with a spectrum; ``templates[1, L, ny, nx]`` hold image x PSF x exposure."""

    def __init__(self, source, state, workspace):
        super().__init__(
            source.name, source.response, source.spectral, source.spectral_pack, source.spatial, source.spatial_pack, source.map_shape
        )
        self.templates = source.templates(state, workspace)

    @property
    def nbytes(self):
        """Bytes the component keeps."""
        return self.templates.nbytes

    def begin(self, thetas, cells=None):
        """Evaluate the spectrum."""
        flux, derivative = self._flux(thetas)
        return SimpleNamespace(flux=flux, flux_gradient=derivative)

    def add(self, state, workspace, start, mu):
        """Add predicted counts."""
        r = self.response
        kernels.cpu("fold").fold(self.templates, state.flux, r.edisp, r.first, r.last, start, mu)

    def pull(self, state, workspace, start, slope, gradient):
        """Add the gradient."""
        r = self.response
        by_flux = np.zeros_like(state.flux)
        kernels.cpu("fold").fold_pull(self.templates, r.edisp, r.first, r.last, start, slope, by_flux)
        self._pull_flux(state, by_flux, gradient)

    def jacobian(self, theta, cells=None, exact=True):
        """Derivative images array[P_free, K, ny, nx], rows in the order of `indices`, and their stride."""
        r = self.response
        _, rows = self._spectral_jacobian(theta)
        out = self._box_buffer(len(rows))
        kernels.cpu("fold").fold(self.templates, rows, r.edisp, r.first, r.last, self._box_start(), out)
        return out.reshape(len(rows), -1, *self.box.shape), 1

    def curvature(self, theta, cells, start, slope, steps):
        """``sum slope d2 mu / d i d j``, array[P, P], at fixed slope."""
        r = self.response
        by_flux = np.zeros((1, len(r.edisp)))
        kernels.cpu("fold").fold_pull(self.templates, r.edisp, r.first, r.last, start, slope, by_flux)
        return self._second_flux(theta, by_flux[0], steps)


class PointComponent(Component):
    """A point source placed bilinearly on four pixels.

    The prediction is smooth while the source stays in its pixel cell ``floor(x), floor(y)``. ``cells`` given to `begin` hold the cell, so
    that the formula continues smoothly beyond the border; by default each theta's own cell is used.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self._psf = np.ascontiguousarray(np.pad(self.response.psf, ((0, 0), (1, 1), (1, 1))))
        self._half = (self.response.psf.shape[1] // 2, self.response.psf.shape[2] // 2)

    @property
    def nbytes(self):
        """Bytes the component keeps."""
        return self.response.exposure.nbytes + self.response.edisp.nbytes + self._psf.nbytes

    def position(self, thetas):
        """Pixel coordinates (x, y) in the map, array[B, 2], and their derivatives, array[B, 2, P_spatial]."""
        return self.spatial.position(self.spatial_pack.values(thetas))

    def cell(self, thetas):
        """Pixel cells (floor x, floor y), int array[B, 2]."""
        return np.floor(self.position(thetas)[0]).astype(np.int64)

    def begin(self, thetas, cells=None):
        """Evaluate spectrum and position; `cells` is int array[B, 2] or None."""
        flux, derivative = self._flux(thetas)
        xy, dxy = self.position(thetas)
        cells = np.floor(xy).astype(np.int64) if cells is None else cells
        fx, fy = (xy - cells).T
        weight = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], axis=1)
        by_x = np.stack([fy - 1, 1 - fy, -fy, fy], axis=1)
        by_y = np.stack([fx - 1, -fx, 1 - fx, fx], axis=1)
        x0, y0 = cells[:, 0] - self.box.x0, cells[:, 1] - self.box.y0
        inside = np.stack(
            [(y0 + j >= 0) & (y0 + j < self.box.ny) & (x0 + i >= 0) & (x0 + i < self.box.nx) for j in (0, 1) for i in (0, 1)], axis=1
        )  # weight on pixels outside the map is lost, as in gammapy
        corner = np.stack([y0 - self._half[0], x0 - self._half[1]], axis=1)
        state = SimpleNamespace(flux=flux, flux_gradient=derivative, dxy=dxy, corner=corner, pixel=(y0, x0), inside=inside)
        state.weight, state.by_x, state.by_y = weight * inside, by_x * inside, by_y * inside
        if self.response.psf_last:
            state.exposure = self._corner_exposure(state)
        return state

    def _corner_exposure(self, state):
        """Exposure on the four pixels, array[B, 4, L]; 0 outside the box."""
        y0, x0 = state.pixel
        rows = np.clip(y0[:, np.newaxis] + np.array([0, 0, 1, 1]), 0, self.box.ny - 1)
        columns = np.clip(x0[:, np.newaxis] + np.array([0, 1, 0, 1]), 0, self.box.nx - 1)
        return np.moveaxis(self.response.exposure[:, rows, columns], 0, -1).astype(np.float64) * state.inside[..., np.newaxis]

    def add(self, state, workspace, start, mu):
        """Add predicted counts."""
        self._add(state.corner, state.weight, state.flux, state, start, mu)

    def _add(self, corner, weight, flux, state, start, mu):
        r, place = self.response, kernels.cpu("place")
        if r.psf_last:
            amount = weight[:, np.newaxis, :] * np.einsum("lk,bl,bcl->bkc", r.edisp, flux, state.exposure)
            place.place_reco(self._psf, self.box.shape, corner, amount, start, mu)
        else:
            place.place(self._psf, r.exposure, corner, weight, flux, r.edisp, r.first, r.last, start, mu)

    def _by_corner(self, state, start, slope):
        """Derivative of the statistic by (weight of pixel c times F_l), array[B, 4, L]."""
        r, place = self.response, kernels.cpu("place")
        batch = len(state.flux)
        if r.psf_last:
            by_amount = np.zeros((batch, r.edisp.shape[1], 4))
            place.place_reco_pull(self._psf, self.box.shape, state.corner, start, slope, by_amount)
            return np.einsum("lk,bkc->bcl", r.edisp, by_amount) * state.exposure
        by_corner = np.zeros((batch, 4, r.edisp.shape[0]))
        place.place_pull(self._psf, r.exposure, state.corner, r.edisp, r.first, r.last, start, slope, by_corner)
        return by_corner

    def pull(self, state, workspace, start, slope, gradient):
        """Add the gradient."""
        by_corner = self._by_corner(state, start, slope)
        self._add_gradient(state, by_corner, gradient)

    def _add_gradient(self, state, by_corner, gradient):
        self._pull_flux(state, np.einsum("bc,bcl->bl", state.weight, by_corner), gradient)
        if self.spatial_pack.is_free:
            by_weight = np.einsum("bcl,bl->bc", by_corner, state.flux)
            by_xy = np.stack([(state.by_x * by_weight).sum(axis=1), (state.by_y * by_weight).sum(axis=1)], axis=1)
            self.spatial_pack.scatter(np.einsum("bi,bip->bp", by_xy, state.dxy), gradient)

    def jacobian(self, theta, cells=None, exact=True):
        """Derivative images array[P_free, K, ny, nx], rows in the order of `indices`, and their stride."""
        state = self.begin(theta[np.newaxis], None if cells is None else np.asarray(cells).reshape(1, 2))
        flux, rows = self._spectral_jacobian(theta)
        n = len(self.indices)
        # Rows of spectral parameters vary the flux at fixed weights; rows of positions vary the weights at fixed flux.
        weights, fluxes = [], []
        for i, index in enumerate(self.indices):
            if index in self.spectral_pack.indices:
                weights.append((i, state.weight[0]))
                fluxes.append(rows[i])
            for slot, j in zip(self.spatial_pack.slots, self.spatial_pack.indices, strict=True):
                if j == index:
                    weights.append((i, state.by_x[0] * state.dxy[0, 0, slot] + state.by_y[0] * state.dxy[0, 1, slot]))
                    fluxes.append(flux)
        weight, flux = np.array([w for _, w in weights]), np.array(fluxes)
        batch = len(weight)
        if self.response.psf_last:
            state.exposure = np.repeat(state.exposure, batch, axis=0)
        parts = self._box_buffer(batch)
        self._add(np.repeat(state.corner, batch, axis=0), weight, flux, state, self._box_start(), parts)
        out = np.zeros((n, *parts.shape[1:]))
        for (i, _), part in zip(weights, parts, strict=True):
            out[i] += part
        return out.reshape(n, -1, *self.box.shape), 1

    def curvature(self, theta, cells, start, slope, steps):
        """``sum slope d2 mu / d i d j``, array[P, P], at fixed slope: the four pixels' pulls are fixed, weights and fluxes vary."""
        cells = self.cell(theta[np.newaxis]) if cells is None else cells
        by_corner = self._by_corner(self.begin(theta[np.newaxis], cells), start, slope)

        def gradient(point):
            out = np.zeros((1, len(point)))
            self._add_gradient(self.begin(point[np.newaxis], cells), by_corner, out)
            return out[0]

        return second_differences(gradient, theta, steps, set(self.indices))

    def templates(self, state, workspace):
        """Image x PSF x exposure per true bin for a fixed position, array[1, L, ny, nx]."""
        r = self.response
        n_true = r.edisp.shape[0]
        out = np.zeros((1, n_true, self.box.ny * self.box.nx))
        each = np.arange(n_true)
        kernels.cpu("place").place(
            self._psf, r.exposure, state.corner, state.weight, np.ones((1, n_true)), np.eye(n_true), each, each + 1, self._box_start(), out
        )
        return out.reshape(1, n_true, *self.box.shape)

    def is_valid(self, theta):
        """False when the placed kernel would leave the cutout on a side where the map goes on."""
        y0, x0 = self.begin_corner(theta)
        height, width = self._psf.shape[1] - 1, self._psf.shape[2] - 1
        ny, nx = self.map_shape
        low = (y0 >= 0 or self.box.y0 == 0) and (x0 >= 0 or self.box.x0 == 0)
        high = (y0 + height <= self.box.ny or self.box.y0 + self.box.ny == ny) and (
            x0 + width <= self.box.nx or self.box.x0 + self.box.nx == nx
        )
        return bool(low and high)

    def begin_corner(self, theta):
        """First row and column of the placed kernel in the cutout."""
        x, y = self.cell(theta[np.newaxis])[0]
        return y - self.box.y0 - self._half[0], x - self.box.x0 - self._half[1]


class ImageComponent(Component):
    """A shape with extent: pixel image, convolved with the PSF by FFT, times exposure."""

    def __init__(self, *args, dtype=np.float64):
        super().__init__(*args)
        psf = self.response.psf
        ny, nx = self.box.shape
        # Cropped to the box, a circular convolution is exact once half a kernel fits beside it: what wraps around lands outside the crop.
        self._shape = tuple(NUMPY.fft.next_fast_len(max(n + m // 2, m), real=True) for n, m in zip((ny, nx), psf.shape[1:], strict=True))
        self._offset = psf.shape[1] // 2, psf.shape[2] // 2
        self._dtype = np.dtype(dtype)
        self._transfer = None
        if psf.shape[1:] != (1, 1):
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

    def jacobian(self, theta, cells=None, exact=True):
        """Derivative images array[P_free, K, ny, nx], rows in the order of `indices`, and their stride."""
        state = self.begin(theta[np.newaxis])
        flux, rows = self._spectral_jacobian(theta)
        coarse = not exact and self.box.ny * self.box.nx > LARGE_BOX
        stride = COARSE_STRIDE if coarse else 1
        shape = self.box.every(stride).shape
        out = np.zeros((len(self.indices), self.response.edisp.shape[1], *shape))
        spectral = [i for i, index in enumerate(self.indices) if index in self.spectral_pack.indices]
        if spectral:
            out[spectral] += self._fold_image(state.image, rows[spectral], stride)
        if self.spatial_pack.is_free:
            images = self.spatial.gradient(state.values)[0]
            for slot, index in zip(self.spatial_pack.slots, self.spatial_pack.indices, strict=True):
                out[self.indices.index(index)] += self._fold_image(images[slot][np.newaxis], flux[np.newaxis], stride)[0]
        return out, stride

    def _fold_image(self, image, flux, stride):
        """Counts[B, K, ny, nx] of ``image[1, ny, nx]`` with several spectra ``flux[B, L]``; a stride > 1 thins out and skips the PSF."""
        r = self.response
        rows, columns = self.box.sampled(stride)
        image, exposure = image[:, rows, columns], r.exposure[:, rows, columns]
        if r.psf_last:
            seen = image[:, np.newaxis] * np.einsum("lk,bl,lyx->bkyx", r.edisp, flux, exposure, optimize=True)
            return self._convolve(seen) if stride == 1 else seen
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
