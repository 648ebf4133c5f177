"""What reading a PSF at given energies takes and no sky position changes: intervals and weights on its axes, for all positions."""

from dataclasses import dataclass

import numpy as np

from gpudl4.core.units import conversion_factor
from gpudl4.maps.axis import MapAxis
from gpudl4.maps.interpolation import scale_values, unscale_values

__all__ = ["RAD_UPSAMPLING", "ProfileSampling", "RadiusSampling", "fraction_factor", "interval", "ring"]

# Fine radii per rad bin among which a containment radius is chosen; gammapy's default factor in PSF.containment_radius
RAD_UPSAMPLING = 20


def interval(nodes, values):
    """Lower node and weight of the upper one, extrapolating beyond the ends; a single node has weight 0."""
    values = np.asarray(values, dtype=np.float64)
    if nodes.size == 1:
        return np.zeros(values.shape, dtype=np.int64), np.zeros(values.shape)
    low = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, nodes.size - 2)
    return low, (values - nodes[low]) / (nodes[low + 1] - nodes[low])


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


def ring(axis):
    """Circumference at the centre and width of each rad bin, two arrays[R]."""
    return 2 * np.pi * axis.center.value, axis.bin_width.value


def fraction_factor(unit, rad_unit):
    """Factor to 1 of a PSF in `unit`, integrated over radii in `rad_unit`."""
    return conversion_factor(unit * rad_unit**2, "", "PSF times solid angle")


@dataclass(frozen=True)
class RadiusSampling:
    """Where containment radii are looked for: fine radii and energies between the nodes of the axes.

    Attributes
    ----------
    fine : float64 array[M]
        Fine radii, in the unit of the rad axis.
    rad_low, rad_weight : array[M]
        Lower rad node of each, -1 outside of the axis, and weight of the upper one.
    energy_low, energy_weight : array[P]
        The same for energies.
    ring : pair of float64 array[R]
        See `ring`.
    to_fraction : float
        See `fraction_factor`.
    """

    fine: np.ndarray
    rad_low: np.ndarray
    rad_weight: np.ndarray
    energy_low: np.ndarray
    energy_weight: np.ndarray
    ring: tuple
    to_fraction: float

    @classmethod
    def of(cls, axis, energy_axis, unit, energy):
        """For the rad axis, the energy axis and the unit of a PSF, and energies, a Quantity of shape (P,)."""
        fine = _fine_radii(axis)
        upper = MapAxis.from_nodes(axis.edges.value[1:], interp=axis.interp)
        rad_low, rad_weight = interval(scale_values(upper.center.value, axis.interp), scale_values(fine, axis.interp))
        edges = upper.edges.value
        rad_low[(fine < edges[0]) | (fine > edges[-1])] = -1

        value = energy.to_value(energy_axis.unit)
        energy_low, energy_weight = interval(
            scale_values(energy_axis.center.value, energy_axis.interp), scale_values(np.asarray(value), energy_axis.interp)
        )
        edges = energy_axis.edges.value
        energy_low[~((value >= edges[0]) & (value <= edges[-1]))] = -1
        return cls(fine, rad_low, rad_weight, energy_low, energy_weight, ring(axis), fraction_factor(unit, axis.unit))


@dataclass(frozen=True)
class ProfileSampling:
    """Radial profiles at energies: nodes along the rad axis, and energies between the pixels of the energy axis.

    Attributes
    ----------
    nodes : float64 array[N]
        Radii on the scale of the rad axis.
    bends : bool
        Whether bin edges between the centres are nodes too.
    low : int64 array[L] or None
        Lower energy of each row; None for a PSF with a single energy, which serves all.
    weight : float64 array[L, 1]
        Weight of the upper energy.
    """

    nodes: np.ndarray
    bends: bool
    low: np.ndarray | None
    weight: np.ndarray

    @classmethod
    def of(cls, axis, energy_axis, energy):
        """For the rad axis and the energy axis of a PSF, and energies, a Quantity of shape (L,)."""
        nodes = scale_values(axis.center.value, axis.interp)
        bends = axis.node_type != "center" and axis.nbin > 1
        if bends:
            centers, nodes = nodes, np.empty(2 * axis.nbin - 1)
            nodes[::2], nodes[1::2] = centers, scale_values(axis.edges.value[1:-1], axis.interp)
        if energy_axis.nbin == 1:
            return cls(nodes, bends, None, np.zeros((np.size(energy), 1)))
        pixel = energy_axis.coord_to_pix(energy).ravel()
        low = np.clip(np.floor(pixel), 0, energy_axis.nbin - 2).astype(np.int64)
        return cls(nodes, bends, low, (pixel - low)[:, np.newaxis])

    def rows(self, values):
        """Rows of array[E, N] interpolated to the energies, array[L, N]."""
        if self.low is None:
            return np.repeat(values, len(self.weight), axis=0)
        return values[self.low] * (1.0 - self.weight) + values[self.low + 1] * self.weight
