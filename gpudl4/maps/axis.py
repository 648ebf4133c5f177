"""`MapAxis`: one non-spatial axis of a map, such as energy, offset or migra.

An axis is defined by nodes, which are bin edges ("edges") or bin centres ("center"), and by the scale ("lin", "log", "sqrt") in
which bins are equally placed between them. Bin i covers the pixel coordinates i - 0.5 to i + 0.5. An axis never changes: every method
that looks like a change returns a new axis. How axes are made and changed is in `axis_build`, coordinates and bin numbers in
`axis_coords`, tables and FITS headers in `axis_tables`.
"""

import numpy as np
from astropy import units as u

from ..core.errors import GeometryError
from .axis_build import AxisConstruction
from .axis_coords import AxisCoordinates
from .axis_scales import PLOT_SCALES, SCALES, scaled
from .axis_verbs import NumberAxisPlotVerbs

__all__ = ["MapAxis"]


class MapAxis(AxisConstruction, AxisCoordinates, NumberAxisPlotVerbs):
    """Axis of a map.

    Parameters
    ----------
    nodes : array-like or `~astropy.units.Quantity`
        Increasing node values, shape (N,).
    interp : {"lin", "log", "sqrt"}
        Scale in which bins are placed between the nodes. The centre of a bin of a "log" axis is the geometric mean of its edges.
    name : str
        Name; "energy" (reconstructed) and "energy_true" carry their meaning.
    node_type : {"edges", "center"}
        What the nodes are. "center" is for values defined at a point, "edges" for values integrated over a bin.
    unit : str or `~astropy.units.Unit`
        Unit of the nodes; ignored when they are a quantity.
    boundary_type : {"monotonic", "periodic"}
        A "periodic" axis wraps coordinates into its range; "lin" only.

    Raises
    ------
    GeometryError
        If the nodes do not increase strictly, are not finite, or an option is unknown.
    """

    __slots__ = ("_boundary_type", "_center", "_edges", "_interp", "_name", "_node_type", "_nodes", "_scaled", "_unit")

    def __init__(self, nodes, interp="lin", name="", node_type="edges", unit="", boundary_type="monotonic"):
        if not isinstance(name, str):
            raise TypeError(f"the name of an axis must be a string, got: {name!r}")
        if isinstance(nodes, u.Quantity) or (len(nodes) and isinstance(nodes[0], (u.Quantity, str))):
            nodes = nodes if isinstance(nodes, u.Quantity) else u.Quantity([u.Quantity(node) for node in nodes])
            unit, nodes = nodes.unit, nodes.value
        nodes = np.array(nodes, dtype=float, ndmin=1)
        label = f"axis '{name}'"
        if interp not in SCALES:
            raise GeometryError(f"{label}: unknown interp {interp!r}: choose one of {', '.join(SCALES)}")
        if node_type not in ("edges", "center"):
            raise GeometryError(f"{label}: unknown node_type {node_type!r}: choose 'edges' or 'center'")
        if boundary_type not in ("monotonic", "periodic") or (boundary_type == "periodic" and interp != "lin"):
            raise GeometryError(f"{label}: boundary_type must be 'monotonic', or 'periodic' with interp 'lin', got: {boundary_type!r}")
        if nodes.ndim != 1 or nodes.size < (2 if node_type == "edges" else 1):
            raise GeometryError(f"{label}: at least two edges or one centre are needed, got nodes of shape {nodes.shape}")
        if not np.isfinite(nodes).all() or (np.diff(nodes) <= 0).any():
            raise GeometryError(f"{label}: nodes must be finite and increase strictly, got: {nodes}")
        if interp != "lin" and nodes[0] < 0:
            raise GeometryError(f"{label}: interp {interp!r} needs nodes that are not negative, got: {nodes}")
        self._nodes, self._interp, self._name, self._node_type = nodes, interp, name, node_type
        self._unit, self._boundary_type = u.Unit(unit), boundary_type
        self._scaled = scaled(nodes, interp)
        pix = np.arange(self.nbin, dtype=float)
        self._center = nodes if node_type == "center" else self._pix_to_value(pix)
        self._edges = nodes if node_type == "edges" else self._pix_to_value(np.append(pix, self.nbin) - 0.5)
        for array in (self._nodes, self._scaled, self._center, self._edges):
            array.flags.writeable = False

    @property
    def unit(self):
        """Unit of the coordinates."""
        return self._unit

    @property
    def interp(self):
        """Scale: "lin", "log" or "sqrt"."""
        return self._interp

    @property
    def node_type(self):
        """What the nodes are: "edges" or "center"."""
        return self._node_type

    @property
    def boundary_type(self):
        """Either "monotonic" or "periodic"."""
        return self._boundary_type

    @property
    def nbin(self):
        """Number of bins."""
        return len(self._nodes) - (self._node_type == "edges")

    @property
    def nbin_per_decade(self):
        """Number of bins per decade of a "log" axis."""
        if self.interp != "log":
            raise GeometryError(f"axis '{self.name}' has interp {self.interp!r}; bins per decade need 'log'")
        return self.nbin / np.log10(self._nodes[-1] / self._nodes[0])

    @property
    def edges(self):
        """Bin edges, a quantity of shape (nbin + 1,)."""
        return u.Quantity(self._edges, self._unit, copy=None)

    @property
    def edges_min(self):
        """Lower edge of every bin, a quantity of shape (nbin,)."""
        return self.edges[:-1]

    @property
    def edges_max(self):
        """Upper edge of every bin, a quantity of shape (nbin,)."""
        return self.edges[1:]

    @property
    def center(self):
        """Bin centres, a quantity of shape (nbin,)."""
        return u.Quantity(self._center, self._unit, copy=None)

    @property
    def bin_width(self):
        """Widths of the bins, a quantity of shape (nbin,)."""
        return u.Quantity(np.diff(self._edges), self._unit, copy=None)

    @property
    def bounds(self):
        """First and last node, a quantity of shape (2,)."""
        return u.Quantity(self._nodes[[0, -1]], self._unit, copy=None)

    @property
    def iter_by_edges(self):
        """Iterator over pairs of lower and upper edge."""
        yield from zip(self.edges_min, self.edges_max, strict=True)

    @property
    def is_energy_axis(self):
        """Whether the name is "energy" or "energy_true"."""
        return self._name in ("energy", "energy_true")

    @property
    def as_plot_xerr(self):
        """Distances from the centre to the lower and upper edge, as error bars are drawn."""
        return self.center - self.edges_min, self.edges_max - self.center

    @property
    def use_center_as_plot_labels(self):
        """Whether plots are labelled with centres instead of edges; told by the node type."""
        return self._node_type == "center"

    @property
    def as_plot_labels(self):
        """One text per bin."""
        if self._node_type == "center":
            return [f"{value:.2e}" for value in self.center]
        return [f"{low:.2e} - {high:.2e}" for low, high in self.iter_by_edges]

    @property
    def as_plot_edges(self):
        """Edges to draw."""
        return self.edges

    @property
    def as_plot_center(self):
        """Centres to draw."""
        return self.center

    @property
    def as_plot_scale(self):
        """Scale of a plotted axis: "linear" or "log"."""
        return PLOT_SCALES[self._interp]

    def copy(self, nodes=None, interp=None, name=None, node_type=None, unit=None, boundary_type=None):
        """Copy with some constructor arguments replaced.

        Returns
        -------
        axis : `MapAxis`
            New axis.
        """
        return MapAxis(
            self._nodes if nodes is None else nodes,
            interp=self._interp if interp is None else interp,
            name=self._name if name is None else name,
            node_type=self._node_type if node_type is None else node_type,
            unit=self._unit if unit is None else unit,
            boundary_type=self._boundary_type if boundary_type is None else boundary_type,
        )

    def is_aligned(self, other, atol=2e-2):
        """Whether bin centres of each axis lie at whole pixels of the other, within `atol` pixels."""
        pix = np.append(self.coord_to_pix(other.center), other.coord_to_pix(self.center))
        return bool(np.allclose(np.round(pix) - pix, 0, atol=atol)) and self.interp == other.interp

    def is_allclose(self, other, rtol=1e-5, atol=1e-8):
        """Whether edges agree and name, node type, interp and boundary type are the same.

        Parameters
        ----------
        other : `MapAxis`
            Axis to compare with; its unit may differ.
        rtol, atol : float
            Tolerances, `atol` in the unit of this axis.

        Returns
        -------
        same : bool
            Result.
        """
        if self is other:
            return True
        if not isinstance(other, MapAxis):
            raise TypeError(f"cannot compare a MapAxis with {type(other).__name__}")
        mine = (self.nbin, self._node_type, self._interp, self._name.upper(), self._boundary_type)
        if mine != (other.nbin, other._node_type, other._interp, other._name.upper(), other._boundary_type):
            return False
        edges = other._edges
        if self._unit != other._unit:
            if not self._unit.is_equivalent(other._unit):
                return False
            edges = other.edges.to_value(self._unit)
        return np.array_equal(self._edges, edges) or bool(np.allclose(self._edges, edges, rtol=rtol, atol=atol))

    def __eq__(self, other):
        if not isinstance(other, MapAxis):
            return NotImplemented
        return self.is_allclose(other, rtol=1e-6, atol=1e-6)

    def __hash__(self):
        return hash((self._name.upper(), self._node_type, self._interp, self.nbin))

    def __reduce__(self):
        return MapAxis, (self._nodes, self._interp, self._name, self._node_type, self._unit, self._boundary_type)

    def __repr__(self):
        values = self._edges if self._node_type == "edges" else self._center
        return (
            f"MapAxis\n\n\tname       : {self.name}\n\tunit       : '{self.unit}'\n\tnbins      : {self.nbin}\n"
            f"\tnode type  : {self.node_type}\n\t{self.node_type} min  : {values[0]:.1e} {self.unit}\n"
            f"\t{self.node_type} max  : {values[-1]:.1e} {self.unit}\n\tinterp     : {self.interp}\n"
        )

    def to_table(self, format="ogip"):
        """Table of the axis; see `gpudl4.maps.axis_tables.axis_to_table` for the formats."""
        from .axis_tables import axis_to_table

        return axis_to_table(self, format)

    def to_table_hdu(self, format="ogip"):
        """Table HDU of the axis; see `gpudl4.maps.axis_tables.axis_to_table_hdu`."""
        from .axis_tables import axis_to_table_hdu

        return axis_to_table_hdu(self, format)

    def to_header(self, format="ogip", idx=0):
        """FITS cards of the axis; see `gpudl4.maps.axis_tables.axis_to_header`."""
        from .axis_tables import axis_to_header

        return axis_to_header(self, format, idx)

    @classmethod
    def from_table(cls, table, format="ogip", idx=0, column_prefix=""):
        """Axis from a table; see `gpudl4.maps.axis_tables.axis_from_table` for the formats."""
        from .axis_tables import axis_from_table

        return axis_from_table(table, format, idx, column_prefix)

    @classmethod
    def from_table_hdu(cls, hdu, format="ogip", idx=0, column_prefix=""):
        """Axis from a table HDU; see `gpudl4.maps.axis_tables.axis_from_table` for the formats."""
        from .axis_tables import axis_from_table

        return axis_from_table(hdu, format, idx, column_prefix)
