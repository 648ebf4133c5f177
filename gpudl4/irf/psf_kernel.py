"""`PSFKernel`: a PSF on the pixels of a map, ready to be convolved with it; `psf_kernel_array` makes the bare array.

Kernels come from `PSFMap.get_psf_kernel`; for tests and simple studies there are `PSFKernel.from_gauss` and
`PSFKernel.from_spatial_model`.
"""

import functools
import html

import astropy.units as u
import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import array_namespace
from gpudl4.core.errors import GeometryError
from gpudl4.core.units import conversion_factor
from gpudl4.maps import Map
from gpudl4.maps.interpolation import scale_values

from .psf_sampling import ProfileSampling, RadiusSampling
from .verbs import PSFKernelPlotVerbs

__all__ = ["MAX_OVERSAMPLING", "KernelMaker", "PSFKernel", "psf_kernel_array"]

# Largest number of sub-pixels per pixel and direction; gammapy's PSF_MAX_OVERSAMPLING
MAX_OVERSAMPLING = 4
# A 68 % containment diameter is sampled with at least this many sub-pixels (below the maximum); gammapy's default precision_factor
PRECISION_FACTOR = 12
# Gaussians end at this many sigma; gammapy's GaussianSpatialModel.evaluation_radius
GAUSS_EVALUATION_SIGMA = 5


def odd_npix(radius, pixel_scale):
    """Smallest odd number of pixels that covers a radius (same unit as the pixel scale) to both sides; works on arrays."""
    return (np.ceil(2 * np.asarray(radius) / pixel_scale).astype(np.int64) // 2) * 2 + 1


def _separation(projection, pixel_scale, half, factor):
    """Separation of sub-pixel centres from the centre of a kernel, in radians, and whether only the upper right quadrant is given.

    The kernel's projection has its reference point at the kernel's centre. A rotation of the sphere changes no separation, so the
    result depends on the projection and the pixel scale (deg) only: Calabretta & Greisen (2002), A&A 395, 1077, sections 5.1.3 and 5.2.3.
    """
    if projection in ("CAR", "TAN"):
        offset = np.abs((np.arange((half + 1) * factor) + 0.5) / factor - 0.5) * np.deg2rad(pixel_scale)
        if projection == "TAN":
            return np.arctan(np.hypot(offset[:, np.newaxis], offset)), True
        haversine = np.sin(0.5 * offset) ** 2
        return 2 * np.arcsin(np.sqrt(haversine[:, np.newaxis] + np.cos(offset)[:, np.newaxis] * haversine)), True

    from astropy.wcs import WCS

    size = (2 * half + 1) * factor
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = f"GLON-{projection}", f"GLAT-{projection}"
    wcs.wcs.cdelt = -pixel_scale / factor, pixel_scale / factor
    wcs.wcs.crpix = (size + 1) / 2, (size + 1) / 2
    wcs.wcs.crval = 0.0, 0.0
    y, x = np.mgrid[:size, :size]
    lon, lat = np.deg2rad(wcs.all_pix2world(x.ravel(), y.ravel(), 0))
    haversine = np.sin(0.5 * lat) ** 2 + np.cos(lat) * np.sin(0.5 * lon) ** 2
    return 2 * np.arcsin(np.sqrt(haversine)).reshape(size, size), False


def psf_kernel_array(column, energy, pixel_scale, projection="CAR", max_radius=None, containment=0.999, precision_factor=PRECISION_FACTOR):
    """PSF kernel as a bare array.

    Each energy has its own cut, the containment radius, and its own oversampling, ``min(ceil(precision_factor / (2 r68 / pixel)), 4)``.
    The profile is interpolated linearly at the sub-pixel centres, negative values count as 0, sub-pixels are summed and each plane is
    divided by its sum, which puts the truncated part back.

    Parameters
    ----------
    column : `~gpudl4.irf.psf_column.PSFColumn`
        PSF around the position.
    energy : `~astropy.units.Quantity`
        Energies of the planes, shape (L,).
    pixel_scale : float
        Size of the (square) kernel pixels in deg.
    projection : str
        Projection of the kernel, a FITS code such as "CAR" or "TAN".
    max_radius : `~astropy.units.Quantity`, optional
        Half the size of the kernel; by default the largest containment radius.
    containment : float
        Fraction of the PSF inside the cut.
    precision_factor : float
        See the formula.

    Returns
    -------
    kernel : float64 array[L, n, n]
        Planes that sum to 1, or are 0 where the PSF is; n is odd.

    Notes
    -----
    Radii are evaluated at the energies of the planes, moved into the range of the PSF's energy axis. gammapy 2.1 evaluates the cut at the
    energies of the PSF map and pairs the two lists by index, which is right only if both have the same energies.
    """
    axes = column.rad_axis, column.energy_axis, column.unit
    return KernelMaker(*axes, energy, pixel_scale, projection, max_radius, containment, precision_factor).kernel(column)


class KernelMaker:
    """Makes the kernels of one PSF map for the same pixels and energies at any number of positions.

    It keeps what no position changes.

    Parameters
    ----------
    rad_axis, energy_axis : `~gpudl4.maps.MapAxis`
        Axes of the PSF map.
    unit : `~astropy.units.Unit`
        Unit of the PSF.
    energy, pixel_scale, projection, max_radius, containment, precision_factor
        See `psf_kernel_array`.
    """

    def __init__(
        self, rad_axis, energy_axis, unit, energy, pixel_scale, projection="CAR", max_radius=None, containment=0.999,
        precision_factor=PRECISION_FACTOR,
    ):  # fmt: skip
        self._energy, self._interp = energy, rad_axis.interp
        self._pixel_scale, self._projection, self._precision_factor = pixel_scale, projection, precision_factor
        self._to_deg = conversion_factor(rad_axis.unit, "deg", "the rad axis of the PSF")
        self._from_rad = conversion_factor("rad", rad_axis.unit)
        self._max_radius = None if max_radius is None else u.Quantity(max_radius).to_value(rad_axis.unit)
        self._fractions = [containment, 0.68]
        inside = np.clip(energy.to_value(energy_axis.unit), *energy_axis.edges.value[[0, -1]]) * energy_axis.unit
        self._radii = RadiusSampling.of(rad_axis, energy_axis, unit, inside)
        self._profiles = ProfileSampling.of(rad_axis, energy_axis, energy)

    def kernel(self, column, separations=None):
        """Kernel at one position.

        Parameters
        ----------
        column : `~gpudl4.irf.psf_column.PSFColumn`
            Of the map.
        separations : dict, optional
            Takes up separations of sub-pixels, which kernels of the same size share, for as long as the caller keeps it.

        Returns
        -------
        kernel : float64 array[L, n, n]
        """
        to_deg, pixel_scale = self._to_deg, self._pixel_scale
        radius, radius_68 = column.containment_radius(self._fractions, self._energy, self._radii)
        if self._max_radius is None:
            size = radius.max()
        else:
            size = self._max_radius
            radius = np.minimum(radius, size)

        half = odd_npix(radius * to_deg, pixel_scale) // 2
        with np.errstate(divide="ignore"):
            factor = np.ceil(self._precision_factor / (2 * radius_68 * to_deg / pixel_scale))
        factor = np.minimum(factor, MAX_OVERSAMPLING).astype(np.int64)

        npix = int(odd_npix(size * to_deg, pixel_scale))
        kernel = np.zeros((self._energy.size, npix, npix))
        nodes, profiles = column.profiles(self._energy, self._profiles)
        nodes = np.array(nodes)  # some axes hand out arrays that cannot be written, for which kernels would be compiled once more
        twin = kernels.cpu("psf_kernel")
        for step in np.unique(factor):
            planes = np.flatnonzero(factor == step)
            separation, quadrant = self._separation(int(half[planes].max()), int(step), {} if separations is None else separations)
            twin.profile_to_pixels(separation, nodes, profiles, planes, half, int(step), quadrant, kernel)
        twin.normalise_planes(kernel)
        return kernel

    def _separation(self, half, step, known):
        """`_separation` on the scale of the rad axis; `known` holds those of earlier calls."""
        if (half, step) not in known:
            separation, quadrant = _separation(self._projection, self._pixel_scale, half, step)
            known[half, step] = scale_values(separation * self._from_rad, self._interp), quadrant
        return known[half, step]


class PSFKernel(PSFKernelPlotVerbs):
    """PSF kernel for the convolution with a map.

    Parameters
    ----------
    psf_kernel_map : `~gpudl4.maps.WcsNDMap`
        Kernel, an image or one image per energy, with an odd number of pixels.
    normalize : bool
        Whether each image is divided by its sum; images that sum to 0 stay 0.
    """

    def __init__(self, psf_kernel_map, normalize=True):
        if psf_kernel_map.geom.is_region:
            raise GeometryError("a PSF kernel needs a map with a WCS geometry, got a region map")
        self._data, self._unit = psf_kernel_map.data, psf_kernel_map.unit
        self._make_geom = functools.partial(_same, psf_kernel_map.geom)
        self._pixel_scale = psf_kernel_map.geom.largest_pixel_scale
        if normalize:
            self.normalize()

    @classmethod
    def from_array(cls, data, geom):
        """Kernel from an array for the convolution with maps of a geometry.

        The kernel's own geometry, square pixels of the larger pixel scale around the centre of `geom`, is made when it is asked for.

        Parameters
        ----------
        data : array[L, n, n]
            Kernel, already normalised; n is odd.
        geom : `~gpudl4.maps.WcsGeom`
            Geometry of the map to convolve.
        """
        kernel = cls.__new__(cls)
        kernel._data, kernel._unit = data, u.Unit("")
        kernel._pixel_scale = geom.largest_pixel_scale
        # a quarter of a pixel less than half the size, so that rounding up gives this size whatever the last digits
        radius = (0.5 * data.shape[-1] - 0.25) * kernel._pixel_scale
        kernel._make_geom = functools.partial(geom.to_odd_npix, radius)
        return kernel

    @classmethod
    def from_gauss(cls, geom, sigma, max_radius=None, factor=4):
        """Gaussian kernel, the same for all energies.

        The Gaussian on the sphere is evaluated at the centres of ``factor`` x ``factor`` sub-pixels and multiplied by their solid angles.

        Parameters
        ----------
        geom : `~gpudl4.maps.WcsGeom`
            Geometry of the map to convolve.
        sigma : `~astropy.units.Quantity`
            Width.
        max_radius : `~astropy.units.Quantity`, optional
            Half the size of the kernel, by default 5 sigma.
        factor : int
            Sub-pixels per pixel and direction.
        """
        sigma = u.Quantity(sigma)
        geom = geom.to_odd_npix(max_radius=GAUSS_EVALUATION_SIGMA * sigma if max_radius is None else max_radius)
        fine = geom.to_image().upsample(factor)
        separation = fine.separation(geom.center_skydir).to_value("rad")
        # 1 - cos x without loss of digits at small x
        exponent = (np.sin(0.5 * separation) / np.sin(0.5 * sigma.to_value("rad"))) ** 2
        image = np.exp(-0.5 * exponent) * fine.solid_angle().to_value("sr")
        return cls(_downsampled(image, geom, factor))

    @classmethod
    def from_spatial_model(cls, model, geom, max_radius=None, factor=4):
        """Kernel with the shape of a spatial model, moved to the centre of the kernel.

        Parameters
        ----------
        model : `~gpudl4.models.SpatialModel`
            Model; it is copied, not changed.
        geom : `~gpudl4.maps.WcsGeom`
            Geometry of the map to convolve.
        max_radius : `~astropy.units.Quantity`, optional
            Half the size of the kernel, by default the model's evaluation radius.
        factor : int
            Sub-pixels per pixel and direction.
        """
        geom = geom.to_odd_npix(max_radius=model.evaluation_radius if max_radius is None else max_radius)
        model = model.copy()
        model.position = geom.center_skydir
        fine = model.integrate_geom(geom.upsample(factor), oversampling_factor=1)
        return cls(_downsampled(fine.data, geom, factor))

    @classmethod
    def read(cls, filename, hdu=None):
        """Read a kernel that `write` has written."""
        return cls(Map.read(filename, hdu=hdu))

    def write(self, filename, overwrite=False):
        """Write the kernel as a map in FITS format."""
        self.psf_kernel_map.write(filename, overwrite=overwrite)

    @property
    def data(self):
        """Kernel values, array[L, n, n] or [n, n]."""
        return self._data

    @property
    def width(self):
        """Width of the kernel along lon and lat, a quantity in deg; cheap, as no geometry is made."""
        return u.Quantity([self._data.shape[-1] * self._pixel_scale, self._data.shape[-2] * self._pixel_scale], "deg")

    @property
    def psf_kernel_map(self):
        """The kernel as a `~gpudl4.maps.WcsNDMap`; a new map at each call, which shares the data."""
        return Map.from_geom(self._make_geom(), data=self._data, unit=self._unit)

    def normalize(self):
        """Divide each image by its sum; images that sum to 0, or to no finite number, become 0."""
        xp = array_namespace(self._data)
        total = xp.asarray(self._data.sum(axis=(-2, -1), keepdims=True))
        good = xp.isfinite(total) & (total != 0)
        self._data = xp.where(good, self._data / xp.where(good, total, 1), 0)

    def to_image(self, spectral_model=None, exposure=None, keepdims=True):
        """Kernel summed over energy with the weights of a spectrum.

        Parameters
        ----------
        spectral_model : `~gpudl4.models.SpectralModel`, optional
            Spectrum; by default a power law with index 2.
        exposure : `~astropy.units.Quantity` or array, optional
            Exposure per energy, shape (L,); by default uniform.
        keepdims : bool
            Whether an energy axis with one bin is kept.

        Returns
        -------
        kernel : PSFKernel
            Image.

        Raises
        ------
        GeometryError
            If the exposure has another shape, or there is no energy axis.
        """
        kernel_map = self.psf_kernel_map
        axes = [axis for axis in kernel_map.geom.axes if axis.is_energy_axis]
        if not axes:
            raise GeometryError("this PSF kernel is an image already: it has no energy axis to sum over")
        edges = axes[0].edges
        if spectral_model is None:
            weights = 1 / edges.value[:-1] - 1 / edges.value[1:]
        else:
            weights = spectral_model.integral(edges[:-1], edges[1:])
            weights = (weights / weights.sum()).to_value("")
        if exposure is not None:
            exposure = u.Quantity(exposure).value
            if exposure.shape != weights.shape:
                raise GeometryError(f"the exposure has shape {exposure.shape}; one value per energy is wanted, {weights.shape}")
            weights = weights * exposure
        weights = array_namespace(self._data).asarray(weights / weights.sum())
        weighted = kernel_map.copy(data=self._data * weights[:, np.newaxis, np.newaxis])
        return self.__class__(weighted.sum_over_axes(keepdims=keepdims))

    def slice_by_idx(self, slices):
        """Some energies of the kernel; `slices` is a dictionary of axis name and slice or integer."""
        return self.__class__(self.psf_kernel_map.slice_by_idx(slices))

    def __str__(self):
        return f"PSFKernel\n---------\n\n  shape : {self._data.shape}\n  dtype : {self._data.dtype}\n"

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"


def _same(geom):
    return geom


def _downsampled(image, geom, factor):
    """Fine image or images summed to the pixels of `geom` and repeated along its axes, as a map."""
    ny, nx = geom.data_shape[-2:]
    image = image.reshape(*image.shape[:-2], ny, factor, nx, factor).sum(axis=(-3, -1))
    return Map.from_geom(geom, data=np.broadcast_to(image, geom.data_shape).copy())
