"""One source in one dataset: its bound models, its response, and the numbers that follow from theta on the host.

A source never changes after compile. What it needs on pixels is laid out by `tables.py` and computed by `engine.py`; here are the small
things that stay on the host: fluxes per true energy, the four weights of a point, angles of a shape, and their derivatives. Which class
serves depends on what can change:

* `FixedSource`: shape fixed, spectrum free, PSF in true energy. Its templates T[l, p] are made once.
* `RegionSource`: the same in a dataset of one sky region, where a shape that can change is part of the spectrum (`aperture.py`).
* `PointSource`: a point that moves, or one with a PSF in reconstructed energy.
* `ImageSource` (`image_source.py`): any other shape; goes through the PSF by FFT at every evaluation.
"""

from types import SimpleNamespace

import numpy as np

from .region import Box

__all__ = ["FixedSource", "PointSource", "RegionSource", "Source", "second_differences"]

ON_EDGE = 1e-6  # pixels; rounding of a place on the centre of a pixel
FAR = 10**6  # pixels; a point this far away, or without a place on the map, is nowhere


def second_differences(gradient, theta, steps, indices):
    """Matrix of second derivatives, array[P, P], from central differences along some parameters.

    ``gradient(thetas[B, P]) -> array[B, P]`` is called once, with all steps.
    """
    out = np.zeros((len(theta), len(theta)))
    moved = [i for i in indices if steps[i] > 0]
    if not moved:
        return out
    points, rows = np.repeat(theta[np.newaxis], 2 * len(moved), axis=0), np.arange(len(moved))
    points[rows, moved] += steps[moved]
    points[len(moved) + rows, moved] -= steps[moved]
    up, down = np.split(gradient(points), 2)
    out[moved] = (up - down) / (points[rows, moved] - points[len(moved) + rows, moved])[:, np.newaxis]
    return (out + out.T) / 2


class Source:
    """What all sources share: the spectrum, its place in theta, the response.

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

    is_mixed = False

    def __init__(self, name, response, spectral, spectral_pack, spatial, spatial_pack, map_shape):
        self.name, self.response, self.map_shape = name, response, map_shape
        self.spectral, self.spectral_pack = spectral, spectral_pack
        self.spatial, self.spatial_pack = spatial, spatial_pack
        self.box = response.box

    @property
    def indices(self):
        """Indices of theta this source depends on, sorted and unique."""
        return tuple(sorted(set(self.spectral_pack.indices) | set(self.spatial_pack.indices)))

    @property
    def moves(self):
        """Whether its shape depends on theta."""
        return self.spatial_pack.is_free

    @property
    def n_planes(self):
        """Planes of its templates: reconstructed bins where the PSF acts last, true ones else."""
        return self.response.edisp.shape[1 if self.response.psf_last else 0]

    def flux(self, thetas, known=None):
        """Spectral integrals times the exposure's unit factor, array[B, L], and their derivatives, array[B, P_spectral, L].

        ``known`` holds what bound models gave at these thetas, by id: sources in several datasets share bound models.
        """
        known = {} if known is None else known
        if id(self.spectral) not in known:
            known[id(self.spectral)] = self.spectral.value_and_gradient(self.spectral_pack.values(thetas))
        flux, derivative = known[id(self.spectral)]
        scale = self.response.scale
        return flux * scale, derivative * scale

    def pull_flux(self, state, by_flux, gradient):
        """Add what ``by_flux[B, L]`` means for theta to ``gradient[B, P]``."""
        self.spectral_pack.scatter(np.einsum("bpl,bl->bp", state.flux_gradient, by_flux), gradient)

    def begin(self, thetas, cells=None, known=None):
        """Everything that follows from theta on the host; see `flux` for `known`."""
        flux, derivative = self.flux(thetas, known)
        return SimpleNamespace(flux=flux, flux_gradient=derivative)

    def fill(self, state, slots, params):
        """Write the state to ``params[B, n_params]`` at the offsets of `slots`."""
        params[:, slots.flux : slots.flux + state.flux.shape[1]] = state.flux
        for slot, offset in slots.flux_slopes.items():
            params[:, offset : offset + state.flux.shape[1]] = state.flux_gradient[:, slot]

    def second_flux(self, theta, weight, steps):
        """``sum_l weight[l] d2 F_l / d i d j``, by central differences of the exact first derivatives."""

        def gradient(points):
            out = np.zeros(points.shape)
            self.spectral_pack.scatter(np.einsum("bpl,l->bp", self.flux(points)[1], weight), out)
            return out

        return second_differences(gradient, theta, steps, set(self.spectral_pack.indices))

    def is_valid(self, theta):
        """Whether the compile-time cutout and sampling still serve this theta."""
        return True


class FixedSource(Source):
    """A fixed shape with a free spectrum.

    Parameters
    ----------
    source : PointSource or ImageSource
        Where everything else comes from.
    templates : real[L, ny, nx]
        Image x PSF x exposure per true bin, on `box`.
    box : Box
    """

    kind, has_psf = "fixed", False

    def __init__(self, source, templates, box):
        super().__init__(
            source.name, source.response, source.spectral, source.spectral_pack, source.spatial, source.spatial_pack, source.map_shape
        )
        self.templates, self.box = templates, box

    @property
    def nbytes(self):
        """Bytes of arrays that are its own."""
        return self.templates.nbytes + self.response.edisp.nbytes

    def curvature(self, theta, cells, pulled, steps):
        """``sum slope d2 mu / d i d j``, array[P, P], at fixed slope; ``pulled.by_flux[L]`` is the derivative by the flux."""
        return self.second_flux(theta, pulled.by_flux, steps)


class RegionSource(FixedSource):
    """A source in a dataset of one sky region.

    Parameters
    ----------
    name : str
    response : Response
    spectral, spectral_pack : bound spectral model or `~gpudl4.likelihood.aperture.SeenSpectrum`, and its `SubPack`
    no_pack : SubPack
        Of no parameters.
    templates : real[L, 1, 1]
    """

    def __init__(self, name, response, spectral, spectral_pack, no_pack, templates):
        Source.__init__(self, name, response, spectral, spectral_pack, None, no_pack, (1, 1))
        self.templates = templates

    @property
    def moves(self):
        """Whether the share that the region sees depends on theta."""
        return hasattr(self.spectral, "is_valid") and self.spectral_pack.is_free

    def is_valid(self, theta):
        """False when the shape needs another sampling."""
        return not hasattr(self.spectral, "is_valid") or self.spectral.is_valid(self.spectral_pack.values(theta[np.newaxis]))


class PointSource(Source):
    """A point source placed bilinearly on four pixels.

    The prediction is smooth while the source stays in its pixel cell ``floor(x), floor(y)``. ``cells`` given to `begin` hold the cell, so
    that the formula continues smoothly beyond the border; by default each theta's own cell is used.
    """

    kind, has_psf = "point", False  # no PSF to be applied by transforms

    def __init__(self, *args):
        super().__init__(*args)
        planes, height, width = self.response.psf.shape
        self.psf = np.zeros((planes, height + 2, width + 2), dtype=self.response.psf.dtype)
        self.psf[:, 1:-1, 1:-1] = self.response.psf
        self._half = height // 2, width // 2

    @property
    def support(self):
        """Rows and columns that the four copies of the kernel cover together."""
        return self.psf.shape[1] - 1, self.psf.shape[2] - 1

    @property
    def nbytes(self):
        """Bytes of arrays that are its own."""
        return self.psf.nbytes + self.response.edisp.nbytes

    def position(self, thetas, known=None):
        """Pixel coordinates (x, y) in the map, array[B, 2], and their derivatives, array[B, 2, P_spatial]; see `flux` for `known`."""
        known = {} if known is None else known
        if id(self.spatial) not in known:
            known[id(self.spatial)] = self.spatial.position(self.spatial_pack.values(thetas))
        return known[id(self.spatial)]

    def cell(self, thetas):
        """Pixel cells (floor x, floor y), int array[B, 2]."""
        return self._cells(self.position(thetas)[0])

    def _cells(self, xy):
        """Integer cells of pixel coordinates; on the centre of a pixel at the edge of the map it is the cell inside."""
        cells, last = _cells(xy), np.array(self.map_shape[::-1]) - 1
        cells = np.where((cells == -1) & (xy > -ON_EDGE), 0, cells)
        return np.where((cells == last) & (xy < last + ON_EDGE) & (last > 0), last - 1, cells)

    def begin(self, thetas, cells=None, known=None):
        """Spectrum and position; `cells` is int array[B, 2] or None."""
        state = super().begin(thetas, known=known)
        xy, dxy = self.position(thetas, known)
        cells = self._cells(xy) if cells is None else cells
        fx, fy = (xy - cells).T
        gx, gy = 1 - fx, 1 - fy
        x0, y0 = cells[:, 0] - self.box.x0, cells[:, 1] - self.box.y0
        # rows: the weights of the four pixels, their derivatives by x and by y
        numbers = np.empty((len(thetas), 3, 4))
        for i, number in enumerate((gx * gy, fx * gy, gx * fy, fx * fy, -gy, gy, -fy, fy, -gx, -fx, gx, fx)):
            numbers[:, i // 4, i % 4] = number
        if x0.min() < 0 or y0.min() < 0 or x0.max() + 1 >= self.box.nx or y0.max() + 1 >= self.box.ny:
            for c, (x, y) in enumerate(((x0, y0), (x0 + 1, y0), (x0, y0 + 1), (x0 + 1, y0 + 1))):
                outside = (x < 0) | (y < 0) | (x >= self.box.nx) | (y >= self.box.ny)
                numbers[outside, :, c] = 0.0  # weight on pixels outside the map is lost, as in gammapy
        state.weight = numbers[:, 0]
        # derivatives of the weights by the own-unit values of the position, array[B, P_spatial, 4]
        by_x, by_y = numbers[:, 1:2], numbers[:, 2:3]
        state.weight_gradient = by_x * dxy[:, 0, :, np.newaxis] + by_y * dxy[:, 1, :, np.newaxis]
        state.corner = np.empty((len(thetas), 4), dtype=np.int64)
        for i, number in enumerate((y0 - self._half[0], x0 - self._half[1], y0, x0)):
            state.corner[:, i] = number
        return state

    def fill(self, state, slots, params):
        """Write the state to ``params[B, n_params]`` at the offsets of `slots`."""
        super().fill(state, slots, params)
        params[:, slots.corner : slots.corner + 4] = state.corner
        params[:, slots.weights : slots.weights + 4] = state.weight
        for slot, offset in slots.weight_slopes.items():
            params[:, offset : offset + 4] = state.weight_gradient[:, slot]

    def curvature(self, theta, cells, pulled, steps):
        """``sum slope d2 mu / d i d j``, array[P, P], at fixed slope.

        ``pulled.by_corner[4, L]``, the derivative by weight of pixel c times F_l, is fixed then; weights and fluxes vary.
        """
        cells = self.cell(theta[np.newaxis]) if cells is None else cells
        by_corner = pulled.by_corner

        def gradient(points):
            state, out = self.begin(points, np.repeat(cells, len(points), axis=0)), np.zeros(points.shape)
            self.pull_flux(state, np.einsum("bc,cl->bl", state.weight, by_corner), out)
            by_weight = np.einsum("cl,bl->bc", by_corner, state.flux)
            self.spatial_pack.scatter(np.einsum("bpc,bc->bp", state.weight_gradient, by_weight), out)
            return out

        return second_differences(gradient, theta, steps, set(self.indices))

    def placed_box(self, theta):
        """Box in the map that the placed kernel covers at theta, cut at the source's box; None if that is nothing."""
        row, column = self.begin(theta[np.newaxis]).corner[0, :2]
        height, width = self.support
        return Box(int(row) + self.box.y0, int(column) + self.box.x0, height, width).intersection(self.box)

    def is_valid(self, theta):
        """False when the placed kernel would leave the cutout on a side where the map goes on."""
        x, y = self.cell(theta[np.newaxis])[0]
        y0, x0 = y - self.box.y0 - self._half[0], x - self.box.x0 - self._half[1]
        (height, width), (ny, nx) = self.support, self.map_shape
        low = (y0 >= 0 or self.box.y0 == 0) and (x0 >= 0 or self.box.x0 == 0)
        high = (y0 + height <= self.box.ny or self.box.y0 + self.box.ny == ny) and (
            x0 + width <= self.box.nx or self.box.x0 + self.box.nx == nx
        )
        return bool(low and high)


def _cells(xy):
    """Integer cells of pixel coordinates; no place on the map counts as far away."""
    return np.clip(np.nan_to_num(np.floor(xy), nan=-FAR), -FAR, FAR).astype(np.int64)
