"""`ImageSource`: one shape with extent in one dataset, which goes through the PSF by Fourier transforms. Other sources: `source.py`."""

import numpy as np

from gpudl4.core.backend import NUMPY

from .lowrank import choose_basis
from .source import Source, second_differences
from .transforms import WORKERS, padded_shape, rung

__all__ = ["ImageSource"]

LARGE_BOX = 150**2  # pixels; such a shape hardly feels the PSF, so cheap metrics leave it out
COARSE_STRIDE = 3  # of its rows and columns in a cheap metric
EDGE_FRACTION = 1e-3  # of its peak that a shape may have at the edge of its cutout while a fit moves it; the end of a fit compiles anew


def _transfer(psf, shape, modes):
    """First columns of the Fourier transform of a small kernel in a large plane; rows that hold nothing are not transformed along x."""
    fft = NUMPY.fft
    return fft.fft(fft.rfft(psf, n=shape[1], axis=-1, workers=WORKERS)[..., :modes], n=shape[0], axis=-2, workers=WORKERS)


class ImageSource(Source):
    """A shape with extent: pixel image, convolved with the PSF by FFT, times exposure.

    A large Gaussian meets few of the Fourier modes in which the PSFs of different energies differ, so fewer planes than energies go
    through the transforms (`lowrank.py`). ``with_transfer=False`` leaves the transfer functions out: for an estimate of memory. `backend`
    is where it will be evaluated.
    """

    kind = "image"

    def __init__(self, *args, dtype=np.float64, with_transfer=True, backend=NUMPY):
        super().__init__(*args)
        self._backend = backend
        psf, (ny, nx) = self.response.psf, self.box.shape
        self.has_psf = psf.shape[1:] != (1, 1)
        self.is_large = ny * nx > LARGE_BOX
        # Cropped to the box, a circular convolution is exact once half a kernel fits beside it: what wraps around lands outside the crop.
        self.padded = padded_shape([max(n + m // 2, m) for n, m in zip((ny, nx), psf.shape[1:], strict=True)], backend)
        self.basis = self._choose_basis() if self.may_be_mixed else None
        kernels = psf if self.basis is None else self.basis.kernels
        self.transfer = _transfer(kernels.astype(dtype), self.padded, self.modes) if self.has_psf and with_transfer else None

    @property
    def may_be_mixed(self):
        """Whether it is worth while to look for a basis."""
        acts_first = self.has_psf and not self.response.psf_last
        return acts_first and self.is_large and self.spatial_pack.is_free and self.is_gaussian

    def _choose_basis(self):
        """Few kernels that stand for those of all true energies, see `lowrank`; None where that does not pay."""
        values = self.spatial_pack.base[np.newaxis]
        slopes = self.spatial.gradient(values, self.spatial_pack.slots)[0]
        return choose_basis(self.response.psf, self.spatial.image(values)[0], slopes, self.padded)

    @property
    def is_mixed(self):
        """Whether fewer planes than energies go through the PSF; it has no templates then."""
        return self.basis is not None

    @property
    def rank(self):
        """Planes behind the PSF."""
        return self.basis.mixing.shape[1] if self.is_mixed else self.n_planes

    @property
    def modes(self):
        """Columns of its spectra, of all in half a plane, that are not negligible; on a device a rung of the ladder, for few groups."""
        half = self.padded[1] // 2 + 1
        if not self.is_mixed:
            return half
        return self.basis.modes if self._backend.name == "numpy" else min(rung(self.basis.modes), half)

    @property
    def is_gaussian(self):
        """Whether the kernels make its image; else the model does, on the host."""
        return hasattr(self.spatial, "vectors")

    @property
    def nbytes(self):
        """Bytes of arrays that are its own."""
        own = self.response.edisp.nbytes + (0 if self.transfer is None else self.transfer.nbytes)
        return own + (self.spatial.vectors.nbytes if self.is_gaussian else 0)

    def begin(self, thetas, cells=None, known=None):
        """Spectrum, and the spatial model's own-unit values."""
        state = super().begin(thetas, known=known)
        state.values = self.spatial_pack.values(thetas)
        return state

    def fill(self, state, slots, params):
        """Write the state to ``params[B, n_params]`` at the offsets of `slots`."""
        super().fill(state, slots, params)
        if self.is_gaussian:
            params[:, slots.shape : slots.shape + 5] = self.spatial.radians(state.values)
            params[:, slots.shape + 5 : slots.shape + 10] = self.spatial.factors

    def curvature(self, theta, cells, pulled, steps):
        """``sum slope d2 mu / d i d j``, array[P, P], at fixed slope.

        The statistic is linear in flux and in image then: ``pulled.by_flux[L]`` and ``pulled.by_image[ny, nx]`` give the pure second
        derivatives, ``pulled.mixed`` (slot -> array[L], the derivative by the flux of the derivative images) the others.
        """
        out = self.second_flux(theta, pulled.by_flux, steps)
        if not self.spatial_pack.is_free:
            return out
        by_image = pulled.by_image[np.newaxis]

        def gradient(points):
            total = np.zeros(points.shape)
            for b, values in enumerate(self.spatial_pack.values(points)):  # one by one: images are large
                self.spatial_pack.scatter(self.spatial.pullback(values[np.newaxis], by_image), total[b : b + 1])
            return total

        out += second_differences(gradient, theta, steps, set(self.spatial_pack.indices))
        state = self.begin(theta[np.newaxis])
        for slot, i in zip(self.spatial_pack.slots, self.spatial_pack.indices, strict=True):
            mixed = np.zeros((1, len(theta)))
            self.pull_flux(state, pulled.mixed[slot][np.newaxis], mixed)
            out[i] += mixed[0]
            out[:, i] += mixed[0]
        return out

    def is_valid(self, theta):
        """False when the image needs another sampling or another basis, or has come to an edge of the cutout where the map goes on."""
        values = self.spatial_pack.values(theta[np.newaxis])
        if not self.spatial.is_valid(values):
            return False
        image, box, (ny, nx) = self.spatial.image(values)[0], self.box, self.map_shape
        if self.basis is not None and not self.basis.serves(image):
            return False
        edges = [
            image[0] if box.y0 > 0 else 0.0,
            image[-1] if box.y0 + box.ny < ny else 0.0,
            image[:, 0] if box.x0 > 0 else 0.0,
            image[:, -1] if box.x0 + box.nx < nx else 0.0,
        ]
        return bool(max(np.max(edge) for edge in edges) <= EDGE_FRACTION * image.max())
