"""`EDispMap` and `EDispKernelMap`: energy dispersion on the sky, as densities in migra = E / E_true or as probabilities per bin.

`EDispKernelMap` is what datasets are fitted with; `EDispMap` does not know the reconstructed bins and is turned into matrices on demand.
``EDispMap.from_hdulist`` and ``EDispMap.read`` return the class that fits the axes of the file. At a position, the matrix of the nearest
pixel is taken, without interpolation.
"""

import numpy as np

from gpudl4.core.backend import to_host
from gpudl4.core.errors import GeometryError
from gpudl4.maps import Map, MapAxis, RegionGeom, WcsGeom

from .core import IRFMap
from .edisp_kernel import MATRIX_THRESHOLD, EDispKernel, migra_to_matrix, overlap_fraction
from .verbs import EDispPlotVerbs

__all__ = ["EDispKernelMap", "EDispMap"]

# One image for the whole sky, as gammapy makes it
ALL_SKY = {"npix": (2, 1), "proj": "CAR", "binsz": 180}
# Half width in migra of the axis behind `EDispMap.from_diagonal_response`; gammapy's migra_res
DIAGONAL_MIGRA_RESOLUTION = 1e-5


class _EDispBase(IRFMap, EDispPlotVerbs):
    hdu_name = "EDISP"

    def __init__(self, edisp_map, exposure_map=None):
        super().__init__(edisp_map, exposure_map)

    @property
    def edisp_map(self):
        """Map of the energy dispersion."""
        return self._irf_map

    @edisp_map.setter
    def edisp_map(self, value):
        self._irf_map = self._checked(value)

    def _values_at(self, position):
        """Values of the pixel nearest to the nearest valid position, on the host: array[L, M or K]."""
        data = self._irf_map.data
        x, y = (0.0, 0.0) if self.has_single_spatial_bin else self._valid_pixel(position)
        # a position right between two pixels belongs to the lower one
        row, column = (int(np.clip(np.ceil(p - 0.5), 0, n - 1)) for p, n in zip((y, x), data.shape[-2:], strict=True))
        return to_host(data[:, :, row, column])

    @property
    def _energy_axis_true(self):
        return self._irf_map.geom.axes["energy_true"]


class EDispMap(_EDispBase):
    """Energy dispersion as densities in migra.

    Parameters
    ----------
    edisp_map : `~gpudl4.maps.Map`
        Map with the axes "migra" and "energy_true", in this order, without unit.
    exposure_map : `~gpudl4.maps.Map`, optional
        Exposure, needed for stacking.

    Raises
    ------
    GeometryError
        If the axes are others.
    UnitMismatchError
        If the map has a unit.
    """

    tag = "edisp_map"
    required_axes = ["migra", "energy_true"]

    @classmethod
    def from_geom(cls, geom):
        """Map without energy dispersion: all density at migra = 1, shared by the two bins around it; exposure map of zeros.

        Parameters
        ----------
        geom : `~gpudl4.maps.Geom`
            Geometry with the axes "migra" and "energy_true".
        """
        axis = geom.axes["migra"]
        distance = np.abs(np.arange(axis.nbin) - float(np.squeeze(axis.coord_to_pix(1))))
        density = np.where(distance < 1, 1 - distance, 0) / axis.bin_width.value
        data = np.broadcast_to(density.reshape(1, -1, 1, 1), geom.data_shape).copy()
        return cls(Map.from_geom(geom, data=data, unit=""), Map.from_geom(geom.squash("migra"), unit="m2 s"))

    @classmethod
    def from_diagonal_response(cls, energy_axis_true, migra_axis=None):
        """Map without energy dispersion for the whole sky.

        Parameters
        ----------
        energy_axis_true : `~gpudl4.maps.MapAxis`
            True energies.
        migra_axis : `~gpudl4.maps.MapAxis`, optional
            Bins in migra; by default three narrow ones around 1.
        """
        if migra_axis is None:
            width = DIAGONAL_MIGRA_RESOLUTION
            migra_axis = MapAxis.from_bounds(1 - width, 1 + width, nbin=3, name="migra", node_type="edges")
        return cls.from_geom(WcsGeom.create(**ALL_SKY, axes=[migra_axis, energy_axis_true]))

    def get_edisp_kernel(self, energy_axis, position=None):
        """Energy-dispersion matrix at a position.

        Parameters
        ----------
        energy_axis : `~gpudl4.maps.MapAxis`
            Reconstructed energies.
        position : `~astropy.coordinates.SkyCoord`, optional
            Position; by default the centre of the map. Where nothing is known, the nearest valid position is taken.

        Returns
        -------
        kernel : `~gpudl4.irf.EDispKernel`
            On the host; of a map on a device, the column at the position is copied there.

        Raises
        ------
        DatasetError
            If the map is zero everywhere.
        """
        energy_axis.assert_name("energy")
        axes = self._irf_map.geom.axes
        matrix = migra_to_matrix(self._values_at(position), axes["migra"], energy_axis, axes["energy_true"])
        return EDispKernel([axes["energy_true"], energy_axis], matrix)

    def to_edisp_kernel_map(self, energy_axis, threshold=MATRIX_THRESHOLD):
        """Probabilities per reconstructed bin in every pixel, computed where the map is.

        See `~gpudl4.irf.edisp_kernel.migra_to_matrix`.

        Parameters
        ----------
        energy_axis : `~gpudl4.maps.MapAxis`
            Reconstructed energies.
        threshold : float
            Smallest probability that is kept.

        Returns
        -------
        edisp : EDispKernelMap
        """
        energy_axis.assert_name("energy")
        geom = self._irf_map.geom
        axes = geom.axes
        matrix = migra_to_matrix(self._irf_map.data, axes["migra"], energy_axis, axes["energy_true"], threshold)
        geom = geom.to_image().to_cube([energy_axis, axes["energy_true"]])
        exposure_map = self.exposure_map
        if exposure_map is not None:
            exposure_map = exposure_map.copy(geom=geom.squash("energy"), data=exposure_map.data.copy())
        return EDispKernelMap(Map.from_geom(geom, data=matrix, unit=""), exposure_map)


class EDispKernelMap(_EDispBase):
    """Energy dispersion as probabilities per reconstructed bin.

    Parameters
    ----------
    edisp_kernel_map : `~gpudl4.maps.Map`
        Map with the axes "energy" and "energy_true", in this order, without unit.
    exposure_map : `~gpudl4.maps.Map`, optional
        Exposure, needed for stacking.

    Raises
    ------
    GeometryError
        If the axes are others.
    UnitMismatchError
        If the map has a unit.
    """

    tag = "edisp_kernel_map"
    required_axes = ["energy", "energy_true"]

    def __init__(self, edisp_kernel_map, exposure_map=None):
        super().__init__(edisp_kernel_map, exposure_map)

    @classmethod
    def from_geom(cls, geom):
        """Map without energy dispersion, see `~gpudl4.irf.edisp_kernel.overlap_fraction`; exposure map of zeros.

        Parameters
        ----------
        geom : `~gpudl4.maps.Geom`
            Geometry with the axes "energy" and "energy_true".
        """
        matrix = overlap_fraction(geom.axes["energy"], geom.axes["energy_true"])
        return cls._uniform(matrix, geom)

    @classmethod
    def _uniform(cls, matrix, geom):
        """Map with the same matrix in every pixel."""
        data = np.broadcast_to(matrix[:, :, np.newaxis, np.newaxis], geom.data_shape).astype(np.float32)
        return cls(Map.from_geom(geom, data=data, unit=""), Map.from_geom(geom.squash("energy"), unit="m2 s"))

    @classmethod
    def from_diagonal_response(cls, energy_axis, energy_axis_true, geom=None):
        """Map without energy dispersion.

        Parameters
        ----------
        energy_axis, energy_axis_true : `~gpudl4.maps.MapAxis`
            Reconstructed and true energies.
        geom : `~gpudl4.maps.Geom`, optional
            Image plane; by default the whole sky.
        """
        return cls.from_geom(cls._geom(geom, energy_axis, energy_axis_true))

    @classmethod
    def from_edisp_kernel(cls, edisp, geom=None):
        """Map with the same matrix everywhere.

        Parameters
        ----------
        edisp : `~gpudl4.irf.EDispKernel`
            Matrix.
        geom : `~gpudl4.maps.Geom`, optional
            Image plane; by default the whole sky.
        """
        return cls._uniform(edisp.pdf_matrix, cls._geom(geom, edisp.axes["energy"], edisp.axes["energy_true"]))

    @classmethod
    def from_gauss(cls, energy_axis, energy_axis_true, sigma, bias, pdf_threshold=1e-6, geom=None):
        """Map with the same Gaussian energy dispersion everywhere; see `~gpudl4.irf.EDispKernel.from_gauss`.

        Parameters
        ----------
        energy_axis, energy_axis_true : `~gpudl4.maps.MapAxis`
            Reconstructed and true energies.
        sigma, bias : float or array[L]
            Width, and mean minus 1, of E / E_true.
        pdf_threshold : float
            Smallest density that is kept.
        geom : `~gpudl4.maps.Geom`, optional
            Image plane; by default the whole sky.
        """
        kernel = EDispKernel.from_gauss(energy_axis_true, energy_axis, sigma=sigma, bias=bias, pdf_threshold=pdf_threshold)
        return cls.from_edisp_kernel(kernel, geom=geom)

    @staticmethod
    def _geom(geom, energy_axis, energy_axis_true):
        image = WcsGeom.create(**ALL_SKY) if geom is None else geom.to_image()
        return image.to_cube([energy_axis, energy_axis_true])

    @classmethod
    def read(cls, filename, format="gadf", hdu=None, checksum=False, backend="numpy"):
        """Read from a FITS file; see `~gpudl4.irf.core.IRFMap.read`. Format "gtdrm": a matrix of the Fermi tools, without a region."""
        if format != "gtdrm":
            return super().read(filename, format=format, hdu=hdu, checksum=checksum, backend=backend)
        kernel = EDispKernel.read(filename, format="gtdrm", checksum=checksum)
        return cls.from_edisp_kernel(kernel, geom=RegionGeom(None)).to_device(backend)

    def get_edisp_kernel(self, position=None, energy_axis=None):
        """Energy-dispersion matrix at a position.

        Parameters
        ----------
        position : `~astropy.coordinates.SkyCoord`, optional
            Position; by default the centre of the map. Where nothing is known, the nearest valid position is taken.
        energy_axis : `~gpudl4.maps.MapAxis`, optional
            Reconstructed energies that are expected; only checked.

        Returns
        -------
        kernel : `~gpudl4.irf.EDispKernel`
            On the host; of a map on a device, the column at the position is copied there.

        Raises
        ------
        GeometryError
            If `energy_axis` is not that of the map.
        DatasetError
            If the map is zero everywhere.
        """
        axes = self._irf_map.geom.axes
        if energy_axis is not None and energy_axis != axes["energy"]:
            raise GeometryError(
                f"the energy dispersion has the reconstructed energies {axes['energy'].edges}, the data have {energy_axis.edges}: "
                "both must be the same"
            )
        return EDispKernel([axes["energy_true"], axes["energy"]], self._values_at(position))

    def resample_energy_axis(self, energy_axis, weights=None):
        """Map with grouped reconstructed energies.

        Parameters
        ----------
        energy_axis : `~gpudl4.maps.MapAxis`
            Wanted bins; their edges are rounded to those of the map.
        weights : `~gpudl4.maps.Map`, optional
            Factors, for instance a mask of the reconstructed energies.

        Returns
        -------
        edisp : EDispKernelMap
        """
        exposure_map = None if self.exposure_map is None else self.exposure_map.copy()
        return type(self)(self._irf_map.resample_axis(energy_axis, weights=weights), exposure_map)
