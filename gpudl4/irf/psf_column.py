"""`PSFColumn`: the PSF around one sky position, cut out of a PSF map, with everything that is read off it.

A column holds the (at most) 2 x 2 map pixels between which the position lies, for all energies and radii, on the host and in double
precision: containment, containment radii and radial profiles then cost microseconds. Two interpolation rules are in use, as in gammapy:
radial profiles and `PSFColumn.containment` interpolate in the pixel coordinates of the axes, and containment radii interpolate in the
axis scale between bin centres, with no containment outside of the axis.
"""

from dataclasses import dataclass

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import to_host
from gpudl4.maps.axis import MapAxis
from gpudl4.maps.interpolation import scale_values

from .psf_sampling import RAD_UPSAMPLING, ProfileSampling, RadiusSampling, fraction_factor, interval, ring

__all__ = ["RAD_UPSAMPLING", "PSFColumn"]


def _pixel_interval(size, pixel):
    """`psf_sampling.interval` for one coordinate on the pixel grid 0 ... size - 1: slice of the nodes, weight of the upper one."""
    if size == 1:
        return slice(0, 1), 0.0
    low = int(np.clip(np.floor(pixel), 0, size - 2))
    return slice(low, low + 2), float(pixel - low)


@dataclass(frozen=True)
class PSFColumn:
    """PSF between the map pixels around one position.

    Attributes
    ----------
    values : float64 array[E, R, ny, nx]
        PSF values on the host, non-finite ones replaced by 0; ny and nx are 2, or 1 where the map has one pixel.
    lat_weight, lon_weight : float
        Weight of the second row and column.
    energy_axis, rad_axis : `~gpudl4.maps.MapAxis`
        Axes of the PSF map.
    unit : `~astropy.units.Unit`
        Unit of the values, per solid angle.
    """

    values: np.ndarray
    lat_weight: float
    lon_weight: float
    energy_axis: MapAxis
    rad_axis: MapAxis
    unit: object

    @classmethod
    def from_map(cls, psf_map, energy_name, x, y):
        """Column of a PSF map at a pixel position.

        Parameters
        ----------
        psf_map : `~gpudl4.maps.Map`
            PSF map with the axes rad and energy; its data may live on a device.
        energy_name : str
            Name of the energy axis.
        x, y : float
            Position in pixels of the map; ignored along directions with one pixel.
        """
        ny, nx = psf_map.data.shape[-2:]
        rows, lat_weight = _pixel_interval(ny, y)
        columns, lon_weight = _pixel_interval(nx, x)
        values = to_host(psf_map.data[:, :, rows, columns]).astype(np.float64)
        values = np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        axes = psf_map.geom.axes
        return cls(values, lat_weight, lon_weight, axes[energy_name], axes["rad"], psf_map.unit)

    def _image(self, values):
        """Values interpolated to the position, array[E, ...]."""
        if values.shape[-1] == 2:
            values = values[..., 0] * (1.0 - self.lon_weight) + values[..., 1] * self.lon_weight
        else:
            values = values[..., 0]
        if values.shape[-1] == 2:
            return values[..., 0] * (1.0 - self.lat_weight) + values[..., 1] * self.lat_weight
        return values[..., 0]

    def _cumulative(self, values, rings=None):
        """Sum of value x 2 pi rad x bin width up to the outer edge of each rad bin (flat sky), along axis 1."""
        shape = (1, -1) + (1,) * (values.ndim - 2)
        circumference, width = (a.reshape(shape) for a in (ring(self.rad_axis) if rings is None else rings))
        return np.cumsum(circumference * (values * width), axis=1)

    def containment(self, rad, energy):
        """Fraction of events within a radius.

        Linear interpolation of the cumulative sum between rad edges; constant beyond the axis.

        Parameters
        ----------
        rad, energy : `~astropy.units.Quantity`
            Radii and energies, shape (P,).

        Returns
        -------
        containment : float64 array[P]
        """
        axis = self.rad_axis
        cumulative = self._cumulative(self._image(self.values))
        cumulative = np.concatenate([np.zeros((cumulative.shape[0], 1)), cumulative], axis=1)
        nodes = scale_values(axis.edges.value, axis.interp)
        x = np.clip(scale_values(rad.to_value(axis.unit), axis.interp), nodes[0], nodes[-1])
        low, weight = interval(nodes, x)
        rows = ProfileSampling.of(axis, self.energy_axis, energy).rows(cumulative)
        point = np.arange(rows.shape[0])
        return (rows[point, low] * (1.0 - weight) + rows[point, low + 1] * weight) * fraction_factor(self.unit, self.rad_axis.unit)

    def containment_radius(self, fractions, energy, sampling=None):
        """Radii that contain given fractions of the events.

        The answer is quantised: the fine radius (`RAD_UPSAMPLING` per bin) whose containment is nearest to the fraction. It is the first
        fine radius for energies outside of the axis and where the PSF is zero.

        Parameters
        ----------
        fractions : float64 array[F]
            Fractions between 0 and 1.
        energy : `~astropy.units.Quantity`
            Energies, shape (P,).
        sampling : RadiusSampling, optional
            What follows from axes and energies, where it is known already.

        Returns
        -------
        radius : float64 array[F, P]
            In the unit of the rad axis.
        """
        if sampling is None:
            sampling = RadiusSampling.of(self.rad_axis, self.energy_axis, self.unit, energy)
        fractions = np.asarray(fractions, dtype=np.float64)
        index = np.empty((fractions.size, sampling.energy_low.size), dtype=np.int64)
        kernels.cpu("psf_kernel").containment_radius_index(
            self._cumulative(self.values, sampling.ring),
            sampling.energy_low,
            sampling.energy_weight,
            self.lat_weight,
            self.lon_weight,
            sampling.rad_low,
            sampling.rad_weight,
            sampling.to_fraction,
            fractions,
            index,
        )
        return sampling.fine[index]

    def profiles(self, energy, sampling=None):
        """Radial profiles at energies, as piecewise linear functions on the scale of the rad axis.

        Interpolation is linear in the pixel coordinate of the rad axis, which bends at bin edges too where bins are unequal: the nodes are
        bin centres and the edges between them. Beyond the nodes the outer pieces continue.

        Parameters
        ----------
        energy : `~astropy.units.Quantity`
            Energies, shape (L,).
        sampling : ProfileSampling, optional
            What follows from axes and energies, where it is known already.

        Returns
        -------
        nodes : float64 array[N]
            Radii in the unit of the rad axis, on its scale (`rad_axis.interp`).
        profiles : float64 array[L, N]
            Values at the nodes; they may be negative where a linear extrapolation overshoots.
        """
        if sampling is None:
            sampling = ProfileSampling.of(self.rad_axis, self.energy_axis, energy)
        rows = sampling.rows(self._image(self.values))
        if not sampling.bends:
            return sampling.nodes, rows
        profiles = np.empty((rows.shape[0], sampling.nodes.size))
        profiles[:, ::2], profiles[:, 1::2] = rows, 0.5 * (rows[:, 1:] + rows[:, :-1])
        return sampling.nodes, profiles
