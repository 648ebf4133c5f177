"""How axes are made from bounds, edges, nodes or energies, and changed: the part of `MapAxis` that gives new axes."""

from itertools import pairwise

import numpy as np
from astropy import units as u

from ..core.errors import GeometryError, UnitMismatchError
from .axis_base import AxisBase

__all__ = ["AxisConstruction"]


class AxisConstruction(AxisBase):
    """Constructors of `~gpudl4.maps.MapAxis`, and methods that return a changed axis."""

    __slots__ = ()

    @classmethod
    def from_edges(cls, edges, interp="lin", name="", unit="", boundary_type="monotonic"):
        """Axis from bin edges; parameters as for the class.

        Returns
        -------
        axis : `MapAxis`
            Axis of node type "edges", with one bin less than edges.
        """
        return cls(edges, interp=interp, name=name, node_type="edges", unit=unit, boundary_type=boundary_type)

    @classmethod
    def from_nodes(cls, nodes, interp="lin", name="", unit="", boundary_type="monotonic"):
        """Axis from bin centres; parameters as for the class.

        Returns
        -------
        axis : `MapAxis`
            Axis of node type "center"; its edges lie half a bin beside the nodes, in the scale of `interp`.
        """
        return cls(nodes, interp=interp, name=name, node_type="center", unit=unit, boundary_type=boundary_type)

    @classmethod
    def from_bounds(cls, lo_bnd, hi_bnd, nbin, interp="lin", name="", node_type="edges", unit="", boundary_type="monotonic"):
        """Axis with equal bins, in the scale of `interp`, between two bounds.

        Parameters
        ----------
        lo_bnd, hi_bnd : float
            First and last edge (or centre, for node type "center").
        nbin : int
            Number of bins.
        interp, name, node_type, unit, boundary_type
            As for the class.

        Returns
        -------
        axis : `MapAxis`
            Axis.
        """
        if interp not in ("lin", "log", "sqrt") or node_type not in ("edges", "center"):
            return cls([0, 1], interp=interp, node_type=node_type)  # raises with the list of choices
        number = int(nbin) + (node_type == "edges")
        if interp == "log":
            if not 0 < lo_bnd < hi_bnd:
                raise GeometryError(f"axis '{name}': log bounds must be positive and increase, got: {lo_bnd}, {hi_bnd}")
            nodes = np.geomspace(lo_bnd, hi_bnd, number)
        elif interp == "sqrt":
            nodes = np.linspace(lo_bnd**0.5, hi_bnd**0.5, number) ** 2.0
        else:
            nodes = np.linspace(lo_bnd, hi_bnd, number)
        return cls(nodes, interp=interp, name=name, node_type=node_type, unit=unit, boundary_type=boundary_type)

    @classmethod
    def from_energy_bounds(
        cls, energy_min, energy_max, nbin, unit=None, per_decade=False, name=None, node_type="edges", strict_bounds=True
    ):
        """Energy axis with equal logarithmic bins.

        Parameters
        ----------
        energy_min, energy_max : `~astropy.units.Quantity`, str or float
            Energy range; numbers are in `unit`.
        nbin : int
            Number of bins, in all or per decade.
        unit : str or `~astropy.units.Unit`, optional
            Unit; by default that of `energy_max`.
        per_decade : bool
            Whether `nbin` counts bins per decade.
        name : {"energy", "energy_true"}, optional
            Name, by default "energy".
        node_type : {"edges", "center"}
            What the nodes are.
        strict_bounds : bool
            With `per_decade`: True ends exactly at `energy_max` and rounds the number of bins up; False keeps the bins per
            decade exact, rounds down and may end below `energy_max`.

        Returns
        -------
        axis : `MapAxis`
            Axis with interp "log".

        Raises
        ------
        UnitMismatchError
            If the unit is not an energy.
        """
        energy_min, energy_max = u.Quantity(energy_min, unit), u.Quantity(energy_max, unit)
        unit = energy_max.unit if unit is None else u.Unit(unit)
        _require_energy(unit)
        _require_energy(energy_min.unit)
        low, high = energy_min.to_value(unit), energy_max.to_value(unit)
        if per_decade:
            decades = np.log10(high / low)
            if strict_bounds:
                nbin = np.ceil(decades * nbin)
            else:
                per, nbin = nbin, np.floor(decades * nbin)
                if decades % (1 / per) != 0:
                    high = low * 10 ** (nbin / per)
        return cls.from_bounds(low, high, nbin=nbin, unit=unit, interp="log", name=_energy_name(name), node_type=node_type)

    @classmethod
    def from_energy_edges(cls, energy_edges, unit=None, name=None, interp="log"):
        """Energy axis from edges.

        Parameters
        ----------
        energy_edges : `~astropy.units.Quantity` or array-like
            Edges.
        unit : str or `~astropy.units.Unit`, optional
            Unit to use.
        name : {"energy", "energy_true"}, optional
            Name, by default "energy".
        interp : {"lin", "log", "sqrt"}
            Scale.

        Returns
        -------
        axis : `MapAxis`
            Axis.

        Raises
        ------
        UnitMismatchError
            If the unit is not an energy.
        """
        edges = u.Quantity(energy_edges, unit)
        _require_energy(edges.unit)
        return cls.from_edges(edges, interp=interp, name=_energy_name(name))

    @classmethod
    def from_stack(cls, axes):
        """One axis from adjacent ones; see `concatenate`.

        Parameters
        ----------
        axes : list of `MapAxis`
            Axes in order.

        Returns
        -------
        axis : `MapAxis`
            Axis with all their bins.
        """
        axis = axes[0]
        for other in axes[1:]:
            axis = axis.concatenate(other)
        return axis

    def to_node_type(self, node_type):
        """Axis whose nodes are its present edges or centres.

        Parameters
        ----------
        node_type : {"edges", "center"}
            Wanted node type.

        Returns
        -------
        axis : `MapAxis`
            New axis, or the same if nothing changes.
        """
        if node_type == self._node_type:
            return self
        return self.copy(nodes=self._center if node_type == "center" else self._edges, node_type=node_type)

    def slice(self, idx):
        """Some bins of the axis.

        Parameters
        ----------
        idx : slice
            Bins to keep.

        Returns
        -------
        axis : `MapAxis`
            Axis with these bins.

        Raises
        ------
        GeometryError
            If no bin is selected.
        """
        bins = self._selected_bins(idx)
        if self._node_type == "edges":
            bins = np.append(bins, bins[-1] + 1)
        return self.copy(nodes=self._nodes[bins])

    def squash(self):
        """Axis with one bin from the first to the last edge."""
        return self.copy(nodes=self._edges[[0, -1]], node_type="edges")

    def pad(self, pad_width):
        """Axis with bins added at its ends, continuing the end bins.

        Parameters
        ----------
        pad_width : int or tuple of int
            Number of bins at the low and the high end.

        Returns
        -------
        axis : `MapAxis`
            Padded axis.
        """
        low, high = pad_width if isinstance(pad_width, tuple) else (pad_width, pad_width)
        before, after = np.arange(-low, 0), np.arange(1, high + 1) + len(self._nodes) - 1
        offset = 0.5 if self._node_type == "edges" else 0.0
        nodes = np.concatenate([self._pix_to_value(before - offset), self._nodes, self._pix_to_value(after - offset)])
        return self.copy(nodes=nodes)

    def upsample(self, factor):
        """Axis with every bin split into `factor` bins.

        For node type "center" the nodes are kept and there are (nbin - 1) * factor + 1 bins.

        Parameters
        ----------
        factor : int
            Number of new bins per bin.

        Returns
        -------
        axis : `MapAxis`
            Upsampled axis.
        """
        number = int((len(self._nodes) - 1) * factor) + 1
        start = -0.5 if self._node_type == "edges" else 0.0
        return self.copy(nodes=self._pix_to_value(np.linspace(start, start + len(self._nodes) - 1, number)))

    def downsample(self, factor, strict=True):
        """Axis with every `factor` bins merged.

        Parameters
        ----------
        factor : int
            Number of bins to merge.
        strict : bool
            Whether the number of bins (for node type "center", less one) must be divisible; else the last bin is smaller.

        Returns
        -------
        axis : `MapAxis`
            Downsampled axis.

        Raises
        ------
        GeometryError
            If the number of bins is not divisible and `strict` is set.
        """
        nodes = self._nodes[::factor]
        if nodes[-1] != self._nodes[-1]:
            if strict:
                raise GeometryError(f"axis '{self.name}': {len(self._nodes) - 1} intervals cannot be grouped by {factor}")
            nodes = np.append(nodes, self._nodes[-1])
        return self.copy(nodes=nodes)

    def concatenate(self, axis):
        """Axis followed by another one; for node type "edges" the other begins where this one ends.

        Parameters
        ----------
        axis : `MapAxis`
            Axis of the same name, interp and node type.

        Returns
        -------
        axis : `MapAxis`
            Axis with the bins of both.

        Raises
        ------
        GeometryError
            If the axes differ in kind or there is a gap between them.
        """
        for what in ("name", "interp", "node_type"):
            if getattr(self, what) != getattr(axis, what):
                raise GeometryError(f"axes to concatenate differ in {what}: {getattr(self, what)!r} and {getattr(axis, what)!r}")
        nodes = axis._in_unit(self)
        if self._node_type == "edges":
            if not np.isclose(nodes[0], self._nodes[-1], rtol=1e-6, atol=0):
                raise GeometryError(f"axis '{self.name}': the first axis ends at {self.edges[-1]}, the next begins at {axis.edges[0]}")
            nodes = nodes[1:]
        return self.copy(nodes=np.append(self._nodes, nodes))

    def _in_unit(self, other):
        """Nodes in the unit of another axis."""
        return u.Quantity(self._nodes, self._unit).to_value(other.unit)

    def group_table(self, edges):
        """Which bins fall between coarser edges; these are rounded to the nearest edges of the axis.

        Parameters
        ----------
        edges : `~astropy.units.Quantity`
            Edges of the groups.

        Returns
        -------
        groups : `~astropy.table.Table`
            Columns group_idx, bin_type ("normal   " with three blanks, "underflow", "overflow"), idx_min, idx_max (inclusive),
            and the lower and upper edge as ``{name}_min`` and ``{name}_max``.

        Raises
        ------
        GeometryError
            If the axis has no edges or the ranges do not overlap.
        """
        from astropy.table import Table

        if self._node_type != "edges":
            raise GeometryError(f"axis '{self.name}' has node type 'center'; only bins with edges can be grouped")
        pix = np.clip(self.coord_to_pix(edges), -0.5, self.nbin - 0.5)
        cuts = np.unique(np.round(pix + 0.5)).astype(int)
        if len(cuts) < 2:
            raise GeometryError(f"No overlap between axis '{self.name}' ({self.edges[0]} to {self.edges[-1]}) and the wanted edges")
        rows = [("normal   ", low, high) for low, high in pairwise(cuts)]
        if cuts[0] > 0:
            rows.insert(0, ("underflow", 0, cuts[0]))
        if cuts[-1] < self.nbin:
            rows.append(("overflow", cuts[-1], self.nbin))
        low, high = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
        return Table(
            {
                "group_idx": np.arange(len(rows)),
                f"{self.name}_min": self.edges[low],
                f"{self.name}_max": self.edges[high],
                "idx_min": low,
                "idx_max": high - 1,
                "bin_type": [row[0] for row in rows],
            }
        )


def _require_energy(unit):
    if not unit.is_equivalent("TeV"):
        raise UnitMismatchError(f"an energy axis needs an energy unit, got: '{unit}'")


def _energy_name(name):
    if name not in (None, "energy", "energy_true"):
        raise GeometryError(f"an energy axis is named 'energy' or 'energy_true', got: {name!r}")
    return name or "energy"
