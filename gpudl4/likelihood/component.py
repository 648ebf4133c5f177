"""One source in one dataset, ready to be folded: value, transposed, and Jacobian.

A component is made at compile time from a `Response` and bound models, and never changes. Which class serves depends on what can change:

* `TemplateComponent`: shape fixed, spectrum free, true-energy PSF. The folded shape is kept as templates T[l, p].
* `PointComponent` (point.py): a point that moves, or one with a reconstructed-energy PSF, where four pixels are cheaper than templates.
* `ImageComponent` (image.py): any other shape, convolved with the PSF by FFT at every evaluation.

All share five verbs. ``begin`` evaluates the models and gives a state; ``add`` adds predicted counts; ``pull`` adds the gradient;
``jacobian`` gives the derivative images of one theta for Fisher matrices; ``curvature`` the second derivatives at fixed slope for Hessians.
"""

from types import SimpleNamespace

import numpy as np

from gpudl4 import kernels

__all__ = ["Component", "TemplateComponent", "second_differences"]


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

    def jacobian(self, theta, cells=None, exact=True, workspace=None):
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
