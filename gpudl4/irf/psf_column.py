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
from gpudl4.core.units import conversion_factor
from gpudl4.maps.axis import MapAxis
from gpudl4.maps.interpolation import scale_values, unscale_values

__all__ = ["RAD_UPSAMPLING", "PSFColumn"]

# Fine radii per rad bin among which a containment radius is chosen; gammapy's default factor in PSF.containment_radius
RAD_UPSAMPLING = 20


def _interval(nodes, values):
    """Lower node and weight of the upper one, extrapolating beyond the ends; a single node has weight 0."""
    values = np.asarray(values, dtype=np.float64)
    if nodes.size == 1:
        return np.zeros(values.shape, dtype=np.int64), np.zeros(values.shape)
    low = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, nodes.size - 2)
    return low, (values - nodes[low]) / (nodes[low + 1] - nodes[low])


def _pixel_interval(size, pixel):
    """Same as `_interval` for one coordinate on the pixel grid 0 ... size - 1: the slice of the nodes and the weight of the upper one."""
    if size == 1:
        return slice(0, 1), 0.0
    low = int(np.clip(np.floor(pixel), 0, size - 2))
    return slice(low, low + 2), float(pixel - low)


def _between(values, pixel):
    """Linear interpolation on the grid 0, 1, ...; products in the order of a spline of degree 1, which gammapy's axes use."""
    low = np.clip(np.floor(pixel), 0, values.size - 2).astype(np.int64)
    return values[low] * (low + 1 - pixel) + values[low + 1] * (pixel - low)


def _fine_radii(axis):
    """Centres of the rad axis with every bin (or, for node type "center", every step) split into `RAD_UPSAMPLING`.

    Same as ``axis.upsample(RAD_UPSAMPLING).center`` but for the last digit, which decides on flat stretches of the containment.
    """
    nodes = scale_values((axis.edges if axis.node_type == "edges" else axis.center).value, axis.interp)
    pixel = np.linspace(0, nodes.size - 1, (nodes.size - 1) * RAD_UPSAMPLING + 1)
    fine = _between(nodes, pixel)
    if axis.node_type == "edges":
        fine = fine[:-1] * 0.5 + fine[1:] * 0.5
    return unscale_values(fine, axis.interp)


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

    def _at_energy(self, values, energy):
        """Rows of array[E, N] interpolated to energies, in pixels of the energy axis: array[P, N]."""
        if values.shape[0] == 1:
            return np.repeat(values, np.size(energy), axis=0)
        pixel = self.energy_axis.coord_to_pix(energy).ravel()
        low = np.clip(np.floor(pixel), 0, values.shape[0] - 2).astype(np.int64)
        weight = (pixel - low)[:, np.newaxis]
        return values[low] * (1.0 - weight) + values[low + 1] * weight

    def _cumulative(self, values):
        """Sum of value x 2 pi rad x bin width up to the outer edge of each rad bin (flat sky), along axis 1."""
        shape = (1, -1) + (1,) * (values.ndim - 2)
        width = self.rad_axis.bin_width.value.reshape(shape)
        center = self.rad_axis.center.value.reshape(shape)
        return np.cumsum(2 * np.pi * center * (values * width), axis=1)

    @property
    def _to_fraction(self):
        return conversion_factor(self.unit * self.rad_axis.unit**2, "", "PSF times solid angle")

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
        low, weight = _interval(nodes, x)
        rows = self._at_energy(cumulative, energy)
        point = np.arange(rows.shape[0])
        return (rows[point, low] * (1.0 - weight) + rows[point, low + 1] * weight) * self._to_fraction

    def containment_radius(self, fractions, energy):
        """Radii that contain given fractions of the events.

        The answer is quantised: the fine radius (`RAD_UPSAMPLING` per bin) whose containment is nearest to the fraction. It is the first
        fine radius for energies outside of the axis and where the PSF is zero.

        Parameters
        ----------
        fractions : float64 array[F]
            Fractions between 0 and 1.
        energy : `~astropy.units.Quantity`
            Energies, shape (P,).

        Returns
        -------
        radius : float64 array[F, P]
            In the unit of the rad axis.
        """
        axis, energy_axis = self.rad_axis, self.energy_axis
        fine = _fine_radii(axis)
        upper = MapAxis.from_nodes(axis.edges.value[1:], interp=axis.interp)
        rad_low, rad_weight = _interval(scale_values(upper.center.value, axis.interp), scale_values(fine, axis.interp))
        edges = upper.edges.value
        rad_low[(fine < edges[0]) | (fine > edges[-1])] = -1

        value = energy.to_value(energy_axis.unit)
        energy_low, energy_weight = _interval(
            scale_values(energy_axis.center.value, energy_axis.interp), scale_values(np.asarray(value), energy_axis.interp)
        )
        edges = energy_axis.edges.value
        energy_low[~((value >= edges[0]) & (value <= edges[-1]))] = -1

        fractions = np.asarray(fractions, dtype=np.float64)
        index = np.empty((fractions.size, energy_low.size), dtype=np.int64)
        kernels.cpu("psf_kernel").containment_radius_index(
            self._cumulative(self.values),
            energy_low,
            energy_weight,
            self.lat_weight,
            self.lon_weight,
            rad_low,
            rad_weight,
            self._to_fraction,
            fractions,
            index,
        )
        return fine[index]

    def profiles(self, energy):
        """Radial profiles at energies, as piecewise linear functions on the scale of the rad axis.

        Interpolation is linear in the pixel coordinate of the rad axis, which bends at bin edges too where bins are unequal: the nodes are
        bin centres and the edges between them. Beyond the nodes the outer pieces continue.

        Parameters
        ----------
        energy : `~astropy.units.Quantity`
            Energies, shape (L,).

        Returns
        -------
        nodes : float64 array[N]
            Radii in the unit of the rad axis, on its scale (`rad_axis.interp`).
        profiles : float64 array[L, N]
            Values at the nodes; they may be negative where a linear extrapolation overshoots.
        """
        axis = self.rad_axis
        centers = scale_values(axis.center.value, axis.interp)
        rows = self._at_energy(self._image(self.values), energy)
        if axis.node_type == "center" or axis.nbin == 1:
            return centers, rows
        nodes = np.empty(2 * axis.nbin - 1)
        nodes[::2], nodes[1::2] = centers, scale_values(axis.edges.value[1:-1], axis.interp)
        profiles = np.empty((rows.shape[0], nodes.size))
        profiles[:, ::2], profiles[:, 1::2] = rows, 0.5 * (rows[:, 1:] + rows[:, :-1])
        return nodes, profiles
