"""A point source in one dataset: bilinear placement of the PSF on four pixels, with its kinks at pixel centres."""

from types import SimpleNamespace

import numpy as np

from gpudl4 import kernels

from .component import Component, second_differences

__all__ = ["PointComponent"]


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

    def jacobian(self, theta, cells=None, exact=True, workspace=None):
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
