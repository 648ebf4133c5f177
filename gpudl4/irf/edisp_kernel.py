"""`EDispKernel`: the energy-dispersion matrix at one position, and how it follows from densities in migra = E / E_true.

Rows are true energies, columns reconstructed ones: ``pdf_matrix[l, k]`` is the probability that an event of true bin l is found in
reconstructed bin k. Rows sum to less than 1 where events leave the reconstructed range.
"""

import html

import astropy.units as u
import numpy as np

from gpudl4.core.backend import backend_of, require_backend, to_device
from gpudl4.core.errors import GeometryError
from gpudl4.core.units import conversion_factor
from gpudl4.maps import MapAxes, MapAxis
from gpudl4.maps.interpolation import scale_values

from .verbs import EDispKernelPlotVerbs

__all__ = ["MATRIX_THRESHOLD", "EDispKernel", "migra_to_matrix", "overlap_fraction"]

# Smaller probabilities are rounding left over from differences of cumulative sums; gammapy's threshold in EDispMap.to_edisp_kernel_map
MATRIX_THRESHOLD = 1e-8
# Migra bins behind `EDispKernel.from_gauss`; gammapy's choice
GAUSS_MIGRA = {"lo_bnd": 1.0 / 3, "hi_bnd": 3, "nbin": 200}


def overlap_fraction(energy_axis, energy_axis_true):
    """Matrix of a detector without energy dispersion.

    Fraction of each true bin that lies inside each reconstructed bin, linear in energy; shape (true, reco).
    """
    factor = conversion_factor(energy_axis.unit, energy_axis_true.unit, "the reconstructed energy axis")
    reco = energy_axis.edges.value * factor
    true = energy_axis_true.edges.value[:, np.newaxis]
    overlap = np.minimum(reco[1:], true[1:]) - np.maximum(reco[:-1], true[:-1])
    return np.clip(overlap, 0, None) / (true[1:] - true[:-1])


def migra_to_matrix(density, migra_axis, energy_axis, energy_axis_true, threshold=MATRIX_THRESHOLD):
    """Probabilities per reconstructed bin from probability densities in migra.

    The cumulative sum of ``density x bin width``, interpolated linearly between migra edges and constant beyond them, is read at
    ``E_reco edge / E_true centre``; differences below the threshold are set to 0. Rows are not renormalised.

    Parameters
    ----------
    density : array[L, M, ...]
        Density per unit of migra, on any backend.
    migra_axis, energy_axis, energy_axis_true : `~gpudl4.maps.MapAxis`
        Axes with M, K and L bins.
    threshold : float
        Smallest probability that is kept.

    Returns
    -------
    matrix : float64 array[L, K, ...]
    """
    backend = backend_of(density)
    xp = backend.xp
    tail = (1,) * (density.ndim - 2)
    width = to_device(np.diff(migra_axis.edges.value).reshape(1, -1, *tail), backend)
    density = xp.nan_to_num(density.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    cumulative = xp.cumsum(density * width, axis=1)
    cumulative = xp.concatenate([xp.zeros((density.shape[0], 1, *density.shape[2:])), cumulative], axis=1)

    factor = conversion_factor(energy_axis.unit, energy_axis_true.unit, "the reconstructed energy axis")
    migra = energy_axis.edges.value * factor / energy_axis_true.center.value[:, np.newaxis]
    nodes = scale_values(migra_axis.edges.value, migra_axis.interp)
    x = np.clip(scale_values(migra, migra_axis.interp), nodes[0], nodes[-1])
    low = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, nodes.size - 2)
    weight = (x - nodes[low]) / (nodes[low + 1] - nodes[low])

    row = to_device(np.arange(low.shape[0])[:, np.newaxis], backend)
    low, weight = to_device(low, backend), to_device(weight.reshape(*weight.shape, *tail), backend)
    values = cumulative[row, low] * (1 - weight) + cumulative[row, low + 1] * weight
    matrix = xp.clip(xp.diff(values, axis=1), 0, None)
    matrix[matrix < threshold] = 0
    return matrix


class EDispKernel(EDispKernelPlotVerbs):
    """Energy-dispersion matrix.

    Parameters
    ----------
    axes : list of `~gpudl4.maps.MapAxis`
        Axes named "energy_true" and "energy", in this order.
    data : `~numpy.ndarray` or float
        Probabilities, shape (true, reco), on the host; a number fills the matrix.

    Raises
    ------
    GeometryError
        If the axes are others or the shape does not fit them.
    BackendError
        If the data are on a device.
    """

    tag = "edisp_kernel"
    required_axes = ["energy_true", "energy"]

    def __init__(self, axes, data=0.0):
        axes = MapAxes(axes)
        if list(axes.names) != self.required_axes:
            raise GeometryError(f"EDispKernel needs the axes {self.required_axes}, in this order, got: {list(axes.names)}")
        shape = tuple(axis.nbin for axis in axes)
        if np.isscalar(data):
            data = np.full(shape, float(data))
        require_backend(data, "numpy", "the matrix of an EDispKernel")
        if tuple(data.shape) != shape:
            raise GeometryError(f"EDispKernel needs data of shape {shape} (energy_true, energy), got: {tuple(data.shape)}")
        self._axes, self._data = axes, data

    @property
    def axes(self):
        """Axes "energy_true" and "energy"."""
        return self._axes

    @property
    def data(self):
        """Probabilities, array[L, K]."""
        return self._data

    @property
    def pdf_matrix(self):
        """Probabilities, array[L, K]: rows are true energies, columns reconstructed ones."""
        return self._data

    @classmethod
    def from_diagonal_response(cls, energy_axis_true, energy_axis=None):
        """Matrix of a detector without energy dispersion; see `overlap_fraction`.

        Parameters
        ----------
        energy_axis_true : `~gpudl4.maps.MapAxis`
            True energies, name "energy_true".
        energy_axis : `~gpudl4.maps.MapAxis`, optional
            Reconstructed energies; by default the same bins.
        """
        if energy_axis is None:
            energy_axis = energy_axis_true.copy(name="energy")
        return cls([energy_axis_true, energy_axis], data=overlap_fraction(energy_axis, energy_axis_true))

    @classmethod
    def from_gauss(cls, energy_axis_true, energy_axis, sigma, bias, pdf_threshold=1e-6):
        """Matrix of a Gaussian in E / E_true.

        Parameters
        ----------
        energy_axis_true, energy_axis : `~gpudl4.maps.MapAxis`
            True and reconstructed energies.
        sigma : float or array[L]
            Width.
        bias : float or array[L]
            Mean minus 1.
        pdf_threshold : float
            Smaller densities are set to 0 before each row is normalised.
        """
        from scipy.special import erf

        migra_axis = MapAxis.from_bounds(**GAUSS_MIGRA, name="migra")
        edges = migra_axis.edges.value
        sigma, bias = (np.broadcast_to(np.asarray(v, dtype=float), (energy_axis_true.nbin,))[:, np.newaxis] for v in (sigma, bias))
        cumulative = erf((edges - 1 - bias) / (np.sqrt(2) * sigma)) / 2
        density = np.diff(cumulative, axis=1) / np.diff(edges)
        density[density < pdf_threshold] = 0
        total = (density * np.diff(edges)).sum(axis=1, keepdims=True)
        density = np.divide(density, total, out=np.zeros_like(density), where=total > 0)
        return cls([energy_axis_true, energy_axis], data=migra_to_matrix(density, migra_axis, energy_axis, energy_axis_true))

    @classmethod
    def from_hdulist(cls, hdulist, hdu1="MATRIX", hdu2="EBOUNDS"):
        """Matrix of an open RMF file; see `gpudl4.io.ogip_response.read_rmf`."""
        from gpudl4.io.ogip_response import read_rmf

        return read_rmf(hdulist, hdu1=hdu1, hdu2=hdu2)

    @classmethod
    def read(cls, filename, hdu1="MATRIX", hdu2="EBOUNDS", checksum=False, format="gadf"):
        """Read a matrix from a FITS file.

        Parameters
        ----------
        filename : str or `~pathlib.Path`
            File; environment variables are expanded.
        hdu1, hdu2 : str
            Names of the tables of the matrix and of the reconstructed energies in an RMF file.
        checksum : bool
            Verify the checksums in the file, with a warning for each that does not match.
        format : {"gadf", "ogip", "gtdrm"}
            The first two are RMF files, the third is that of the Fermi tools.

        Raises
        ------
        DataFileError
            If the file is missing, damaged, or holds no such matrix.
        GeometryError
            If the format is unknown.
        """
        from gpudl4.io.fermi import read_drm
        from gpudl4.io.files import open_fits
        from gpudl4.io.ogip_response import read_rmf

        if format not in ("gadf", "ogip", "gtdrm"):
            raise GeometryError(f"unknown format {format!r} of an energy dispersion; known: gadf, ogip, gtdrm")
        with open_fits(filename, checksum=checksum) as hdulist:
            if format == "gtdrm":
                return read_drm(hdulist, f"'{filename}'")
            return read_rmf(hdulist, f"'{filename}'", hdu1=hdu1, hdu2=hdu2)

    def to_hdulist(self, format="ogip", creation=None):
        """HDUs of an RMF file, format "ogip" or "ogip-sherpa" (keV); see `gpudl4.io.ogip_response.rmf_hdulist`.

        `creation`, an object whose ``to_header()`` gives cards (as of `CreatorMetaData`), says in all headers who made it.
        """
        from gpudl4.io.ogip_response import rmf_hdulist

        return rmf_hdulist(self, format=format, cards=None if creation is None else creation.to_header())

    def write(self, filename, format="ogip", overwrite=False, checksum=False, creation=None):
        """Write an RMF file, with checksums if wanted; see `to_hdulist`."""
        from gpudl4.io.files import write_fits

        write_fits(self.to_hdulist(format=format, creation=creation), filename, overwrite=overwrite, checksum=checksum)

    def copy(self):
        """Independent copy."""
        return self.__class__(self._axes, self._data.copy())

    def pdf_in_safe_range(self, lo_threshold, hi_threshold):
        """Matrix with the reconstructed bins outside of a range set to 0; None leaves a side open."""
        edges = self._axes["energy"].edges
        keep = np.ones(edges.size - 1, dtype=bool)
        if lo_threshold is not None:
            keep &= edges[:-1] >= lo_threshold
        if hi_threshold is not None:
            keep &= edges[1:] <= hi_threshold
        return self._data * keep

    def to_image(self, lo_threshold=None, hi_threshold=None):
        """Kernel with one reconstructed bin: the sum over those inside the thresholds.

        Parameters
        ----------
        lo_threshold, hi_threshold : `~astropy.units.Quantity`, optional
            Range of reconstructed energies; open by default.
        """
        data = self.pdf_in_safe_range(lo_threshold, hi_threshold).sum(axis=1, keepdims=True)
        return self.__class__(self._axes.squash("energy"), data)

    def get_mean(self, energy_true):
        """Mean reconstructed energy of the true bins that hold `energy_true`; 0 where the row is empty."""
        pdf = self._rows(energy_true)
        center = self._axes["energy"].center
        norm = pdf.sum(axis=-1)
        return np.divide(pdf @ center.value, norm, out=np.zeros_like(norm), where=norm > 0) * center.unit

    def get_bias(self, energy_true):
        """Relative bias (mean reconstructed energy - centre) / centre of the true bins that hold `energy_true`."""
        center = self._centers(energy_true)
        return ((self.get_mean(energy_true) - center) / center).to("")

    def get_resolution(self, energy_true):
        """Standard deviation of the reconstructed energy, relative to the centre of the true bins that hold `energy_true`."""
        pdf = self._rows(energy_true)
        energy = self._axes["energy"].center
        deviation2 = (energy - self.get_mean(energy_true)[..., np.newaxis]).value ** 2
        norm = pdf.sum(axis=-1)
        variance = np.divide((pdf * deviation2).sum(axis=-1), norm, out=np.full_like(norm, np.nan), where=norm > 0)
        return (np.sqrt(variance) * energy.unit / self._centers(energy_true)).to("")

    def _rows(self, energy_true):
        return self._data[self._index(energy_true)].astype(np.float64)

    def _centers(self, energy_true):
        return self._axes["energy_true"].center[self._index(energy_true)]

    def _index(self, energy_true):
        index = self._axes["energy_true"].coord_to_idx(u.Quantity(energy_true))
        if np.any(index < 0):
            raise GeometryError(f"true energies outside of {self._axes['energy_true'].edges[[0, -1]]} were asked for: {energy_true}")
        return index

    def __str__(self):
        return (
            f"EDispKernel\n-----------\n\n  axes  : {list(self._axes.names)}\n  shape : {self._data.shape}\n  dtype : {self._data.dtype}\n"
        )

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"
