"""`PSFMap` and `RecoPSFMap`: point spread functions on the sky, in true or in reconstructed energy.

A PSF map holds dP/dOmega as a function of the offset from the source (axis "rad") and of energy. From it come the kernel for a
position (`PSFMap.get_psf_kernel`), containment fractions and containment radii. A PSF in true energy acts before the energy dispersion,
one in reconstructed energy (HAWC) after it. ``PSFMap.from_hdulist`` and ``PSFMap.read`` return the class that fits the axes of the file.
"""

import astropy.units as u
import numpy as np

from gpudl4.core.errors import GeometryError
from gpudl4.core.units import conversion_factor
from gpudl4.maps import Map, MapAxis, WcsGeom

from .core import IRFMap
from .psf_column import PSFColumn
from .psf_kernel import PRECISION_FACTOR, KernelMaker, PSFKernel
from .verbs import ENERGIES, PSFPlotVerbs

__all__ = ["PSFMap", "RecoPSFMap"]

# Rad axis of PSF maps made without one; gammapy's RAD_AXIS_DEFAULT
RAD_MAX_DEFAULT, RAD_NBIN_DEFAULT = 0.66, 66
# One image for the whole sky, in two pixels so that it can be interpolated in longitude
ALL_SKY = {"npix": (2, 1), "proj": "CAR", "binsz": 180}


class PSFMap(IRFMap, PSFPlotVerbs):
    """PSF in true energy.

    Parameters
    ----------
    psf_map : `~gpudl4.maps.Map`
        Map with the axes "rad" and "energy_true", in this order, and a unit per solid angle.
    exposure_map : `~gpudl4.maps.Map`, optional
        Exposure, needed for stacking.

    Raises
    ------
    GeometryError
        If the axes are others.
    UnitMismatchError
        If the unit does not convert to 1 / sr.
    """

    tag = "psf_map"
    hdu_name = "PSF"
    required_axes = ["rad", "energy_true"]
    required_unit = "sr-1"

    def __init__(self, psf_map, exposure_map=None):
        super().__init__(psf_map, exposure_map)

    @property
    def psf_map(self):
        """Map of the PSF."""
        return self._irf_map

    @psf_map.setter
    def psf_map(self, value):
        self._irf_map = self._checked(value)

    @property
    def energy_name(self):
        """Name of the energy axis, "energy_true" or "energy"."""
        return self.required_axes[1]

    @property
    def _energy_axis(self):
        return self._irf_map.geom.axes[self.energy_name]

    @classmethod
    def from_geom(cls, geom):
        """PSF map of zeros, with an exposure map of zeros.

        Parameters
        ----------
        geom : `~gpudl4.maps.Geom`
            Geometry with the axes "rad" and the energy.
        """
        exposure_map = Map.from_geom(geom.squash("rad"), unit="m2 s")
        return cls(Map.from_geom(geom, unit="sr-1"), exposure_map)

    @classmethod
    def from_gauss(cls, energy_axis_true, rad_axis=None, sigma=0.1 * u.deg, geom=None):
        """Gaussian PSF that does not depend on position, with an exposure map of ones.

        ``exp(-rad^2 / (2 sigma^2)) / (2 pi sigma^2)`` at the centres of the rad bins, not renormalised.

        Parameters
        ----------
        energy_axis_true : `~gpudl4.maps.MapAxis`
            Energies.
        rad_axis : `~gpudl4.maps.MapAxis`, optional
            Offsets; by default 66 bins up to 0.66 deg.
        sigma : `~astropy.units.Quantity`
            Width, one for all energies or one per energy.
        geom : `~gpudl4.maps.Geom`, optional
            Image plane; by default the whole sky.

        Raises
        ------
        GeometryError
            If the number of widths is neither 1 nor that of the energies.
        """
        if rad_axis is None:
            rad_axis = MapAxis.from_bounds(0, RAD_MAX_DEFAULT, nbin=RAD_NBIN_DEFAULT, unit="deg", name="rad")
        geom = (WcsGeom.create(**ALL_SKY) if geom is None else geom.to_image()).to_cube([rad_axis, energy_axis_true])
        sigma = u.Quantity(sigma).to_value("rad").reshape(-1, 1, 1, 1)
        if sigma.size not in (1, energy_axis_true.nbin):
            raise GeometryError(f"{sigma.size} widths were given for {energy_axis_true.nbin} energies: give one, or one per energy")
        rad = rad_axis.center.to_value("rad").reshape(1, -1, 1, 1)
        data = np.exp(-0.5 * (rad / sigma) ** 2) / (2 * np.pi * sigma**2)
        psf_map = Map.from_geom(geom, data=np.broadcast_to(data, geom.data_shape).copy(), unit="sr-1")
        geom_exposure = geom.squash("rad")
        return cls(psf_map, Map.from_geom(geom_exposure, data=np.ones(geom_exposure.data_shape), unit="m2 s"))

    def _column(self, position):
        """PSF around a position, as it is in the map."""
        return PSFColumn.from_map(self._irf_map, self.energy_name, *self._pixel(position))

    def _per_position(self, compute, position, *others):
        """Apply ``compute(column, *arrays)``, on the host, where others and position broadcast; position may hold many."""
        single = position is None or position.isscalar or self.has_single_spatial_bin
        shape = np.broadcast_shapes((1,), *(np.shape(other) for other in others), () if single else position.shape)
        flat = [u.Quantity(np.broadcast_to(other, shape, subok=True)).ravel() for other in others]
        if single:
            return compute(self._column(position), *flat).reshape(shape)
        psf = self.to_host()  # one copy instead of one per position
        index = np.broadcast_to(np.arange(position.size).reshape(position.shape), shape).ravel()
        result = np.empty(index.size)
        positions = position.ravel()
        for number in range(positions.size):
            here = index == number
            result[here] = compute(psf._column(positions[number]), *(other[here] for other in flat))
        return result.reshape(shape)

    def containment(self, rad, energy_true, position=None):
        """Fraction of the events of a point source within a radius.

        The cumulative sum of ``psf x 2 pi rad x bin width`` (flat sky), interpolated linearly.

        Parameters
        ----------
        rad, energy_true : `~astropy.units.Quantity`
            Radius and energy; arrays broadcast.
        position : `~astropy.coordinates.SkyCoord`, optional
            Position or positions; by default the centre of the map.

        Returns
        -------
        containment : `~astropy.units.Quantity`
            Dimensionless; on the host, wherever the PSF lives.
        """
        rad, energy = u.Quantity(rad, "deg"), self._energies(energy_true)
        values = self._per_position(lambda column, r, e: column.containment(r, e), position, rad, energy)
        return u.Quantity(values, "")

    def containment_radius(self, fraction, energy_true, position=None):
        """Radius that contains a fraction of the events of a point source.

        The answer is quantised, as in gammapy: the one of 20 fine radii per rad bin whose containment is nearest to the fraction.

        Parameters
        ----------
        fraction : float or array
            Fraction between 0 and 1.
        energy_true : `~astropy.units.Quantity`
            Energy; arrays broadcast. Outside of the energy axis the answer is the first fine radius.
        position : `~astropy.coordinates.SkyCoord`, optional
            Position or positions; by default the centre of the map.

        Returns
        -------
        radius : `~astropy.units.Quantity`
            In the unit of the rad axis; on the host, wherever the PSF lives.
        """

        def radius(column, fraction, energy):
            fraction = fraction.value
            result = np.empty(fraction.size)
            for value in np.unique(fraction):
                here = fraction == value
                result[here] = column.containment_radius([value], energy[here])[0]
            return result

        values = self._per_position(radius, position, u.Quantity(fraction, ""), self._energies(energy_true))
        return u.Quantity(values, self._irf_map.geom.axes["rad"].unit)

    def _energies(self, energy):
        energy = u.Quantity(energy)
        conversion_factor(energy.unit, self._energy_axis.unit, "the energy asked for")
        return energy

    def containment_radius_map(self, energy_true, fraction=0.68):
        """Image of the containment radius at one energy.

        Parameters
        ----------
        energy_true : `~astropy.units.Quantity`
            Energy.
        fraction : float
            Fraction between 0 and 1.

        Returns
        -------
        radius : `~gpudl4.maps.Map`
            Image; on the host, wherever the PSF lives.
        """
        geom = self._irf_map.geom.to_image()
        position = None if self.has_single_spatial_bin else geom.get_coord().skycoord
        radius = self.containment_radius(fraction, energy_true, position).reshape(geom.data_shape)
        return Map.from_geom(geom, data=radius.value, unit=radius.unit)

    def get_psf_kernel(self, geom, position=None, max_radius=None, containment=0.999, precision_factor=PRECISION_FACTOR):
        """PSF on the pixels of a map, at one position.

        See `~gpudl4.irf.psf_kernel.psf_kernel_array` for the formula. The kernel is made on the host in double precision:
        of a PSF on a device, the pixels around the position are copied there.

        Parameters
        ----------
        geom : `~gpudl4.maps.WcsGeom` or `~gpudl4.maps.RegionGeom`
            Geometry of the map to convolve, with the energy axis of the PSF (its bins may be others).
        position : `~astropy.coordinates.SkyCoord`, optional
            Position; by default the centre of the PSF map. Where the PSF is not known, that of the nearest valid position is taken.
        max_radius : `~astropy.units.Quantity`, optional
            Half the size of the kernel; by default the largest containment radius.
        containment : float
            Fraction of the PSF inside the kernel; the rest is put back by normalisation.
        precision_factor : float
            Least number of sub-pixels in a 68 % containment diameter, up to 4 per pixel.

        Returns
        -------
        kernel : `~gpudl4.irf.PSFKernel`
            On the host; `~gpudl4.maps.WcsNDMap.convolve` takes it to the device of a map.

        Raises
        ------
        GeometryError
            If the geometry lacks the energy axis.
        DatasetError
            If the PSF map is zero everywhere.
        """
        if geom.is_region and self.energy_name in geom.axes.names:
            geom = geom.to_wcs_geom()
        maker = self.kernel_maker(geom, max_radius=max_radius, containment=containment, precision_factor=precision_factor)
        data = self.kernel_at(maker, position)
        return PSFKernel.from_array(data, geom)

    def kernel_maker(self, geom, max_radius=None, containment=0.999, precision_factor=PRECISION_FACTOR):
        """What makes the arrays of `get_psf_kernel` for one geometry, with that done once which no position changes.

        Parameters
        ----------
        geom, max_radius, containment, precision_factor
            See `get_psf_kernel`; the geometry is not a region.

        Returns
        -------
        maker : `~gpudl4.irf.psf_kernel.KernelMaker`

        Raises
        ------
        GeometryError
            If the geometry lacks the energy axis.
        """
        if self.energy_name not in geom.axes.names:
            raise GeometryError(
                f"the kernel of a {type(self).__name__} needs a geometry with the axis '{self.energy_name}', got: {list(geom.axes.names)}"
            )
        return KernelMaker(
            self._irf_map.geom.axes["rad"],
            self._energy_axis,
            self._irf_map.unit,
            geom.axes[self.energy_name].center,
            geom.largest_pixel_scale,
            projection=geom.projection,
            max_radius=max_radius,
            containment=containment,
            precision_factor=precision_factor,
        )

    def kernel_at(self, maker, position=None, separations=None):
        """Array of `get_psf_kernel` at a position, float64 array[L, n, n].

        Parameters
        ----------
        maker : `~gpudl4.irf.psf_kernel.KernelMaker`
            From `kernel_maker` of this map.
        position
            See `get_psf_kernel`; a tuple is (lon, lat) in degrees in the frame of the map.
        separations : dict, optional
            See `KernelMaker.kernel`.
        """
        return maker.kernel(PSFColumn.from_map(self._irf_map, self.energy_name, *self._valid_pixel(position)), separations)


class RecoPSFMap(PSFMap):
    """PSF in reconstructed energy; it acts after the energy dispersion.

    Parameters
    ----------
    psf_map : `~gpudl4.maps.Map`
        Map with the axes "rad" and "energy", in this order, and a unit per solid angle.
    exposure_map : `~gpudl4.maps.Map`, optional
        Exposure.
    """

    tag = "psf_map_reco"
    required_axes = ["rad", "energy"]

    @classmethod
    def from_gauss(cls, energy_axis, rad_axis=None, sigma=0.1 * u.deg, geom=None):
        """Gaussian PSF; see `PSFMap.from_gauss`."""
        return super().from_gauss(energy_axis, rad_axis, sigma, geom)

    def containment(self, rad, energy, position=None):
        """Fraction of the events within a radius; see `PSFMap.containment`."""
        return super().containment(rad, energy, position)

    def containment_radius(self, fraction, energy, position=None):
        """Radius that contains a fraction of the events; see `PSFMap.containment_radius`."""
        return super().containment_radius(fraction, energy, position)

    def containment_radius_map(self, energy, fraction=0.68):
        """Image of the containment radius; see `PSFMap.containment_radius_map`."""
        return super().containment_radius_map(energy, fraction)

    def plot_psf_vs_rad(self, ax=None, energy=ENERGIES, **kwargs):
        """See `PSFMap.plot_psf_vs_rad`."""
        return super().plot_psf_vs_rad(ax, energy, **kwargs)

    def stack(self, other, weights=None, nan_to_num=True):
        """Not possible: the exposure depends on true energy, which this PSF does not know.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError("a PSF in reconstructed energy cannot be stacked: its exposure weights depend on true energy")
