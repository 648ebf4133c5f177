"""`MapAxes`: the ordered non-spatial axes of a map, found by number or by name. Listed fastest first; array dimensions are reversed.

`MapAxis` itself lives in `axis`; it can be imported from here too.
"""

from collections.abc import Sequence

import numpy as np
from astropy import units as u

from ..core.errors import GeometryError
from .axis import MapAxis

__all__ = ["MapAxes", "MapAxis"]


class MapAxes(Sequence):
    """Ordered axes with different names.

    Parameters
    ----------
    axes : iterable of `MapAxis`
        Axes, fastest first.
    n_spatial_axes : int
        Number of trailing array dimensions that coordinates leave room for: 2 in maps, 0 elsewhere.

    Raises
    ------
    GeometryError
        If a name occurs twice.
    """

    __slots__ = ("_axes", "_n_spatial_axes")

    def __init__(self, axes, n_spatial_axes=0):
        self._axes = tuple(axes)
        self._n_spatial_axes = n_spatial_axes or 0
        names = self.names
        if len(set(names)) != len(names):
            raise GeometryError(f"Axis names must be unique, got: {names}")

    @classmethod
    def from_default(cls, axes, n_spatial_axes=0):
        """Axes from a list; arrays are taken as edges and axes without a name are called "axis0", "axis1", ...

        Parameters
        ----------
        axes : iterable of `MapAxis` or array-like, or None
            Axes.
        n_spatial_axes : int
            As for the class.

        Returns
        -------
        axes : `MapAxes`
            Axes.
        """
        axes = [axis if isinstance(axis, MapAxis) or hasattr(axis, "nbin") else MapAxis(axis) for axis in axes or []]
        named = [axis if axis.name else axis.rename(f"axis{idx}") for idx, axis in enumerate(axes)]
        return cls(named, n_spatial_axes=n_spatial_axes)

    def _new(self, axes):
        return MapAxes(axes, n_spatial_axes=self._n_spatial_axes)

    def __len__(self):
        return len(self._axes)

    def __getitem__(self, key):
        if isinstance(key, str):
            for axis in self._axes:
                if axis.name == key:
                    return axis
            raise KeyError(f"there is no axis '{key}'; the axes are: {self.names}")
        if isinstance(key, slice):
            return self._new(self._axes[key])
        if isinstance(key, (list, tuple)):
            return self._new(self[name] for name in key)
        return self._axes[key]

    def __contains__(self, item):
        return item in self.names if isinstance(item, str) else item in self._axes

    def __add__(self, other):
        return self._new([*self, *other])

    def __eq__(self, other):
        return self.is_allclose(other, rtol=1e-6, atol=1e-6) if isinstance(other, MapAxes) else NotImplemented

    def __hash__(self):
        return hash(self._axes)

    def __repr__(self):
        lines = [f"\t{axis.name:<12s} : {axis.nbin} bins, {_bounds_text(axis)}" for axis in self]
        return "MapAxes\n\n" + "\n".join(lines) + "\n"

    @property
    def names(self):
        """Names of the axes."""
        return [axis.name for axis in self._axes]

    @property
    def shape(self):
        """Numbers of bins, fastest axis first (array shapes are reversed)."""
        return tuple(axis.nbin for axis in self._axes)

    @property
    def primary_axis(self):
        """The longest axis."""
        return self[int(np.argmax(self.shape))]

    @property
    def is_flat(self):
        """Whether every axis has one bin."""
        return all(nbin == 1 for nbin in self.shape)

    @property
    def is_unidimensional(self):
        """Whether at most one axis has more than one bin."""
        return sum(nbin > 1 for nbin in self.shape) <= 1

    @property
    def reverse(self):
        """Axes in reversed order."""
        return self._new(self._axes[::-1])

    @property
    def iter_with_reshape(self):
        """Iterator over (shape that broadcasts in the array, axis). Dimensions are reversed in maps, else in the order of the axes."""
        for idx, axis in enumerate(self):
            shape = [1] * len(self)
            shape[-idx - 1 if self._n_spatial_axes else idx] = -1
            yield (*shape, *[1] * self._n_spatial_axes), axis

    @property
    def center_coord(self):
        """Coordinates of the middle of every axis, a tuple of quantities."""
        return tuple(axis.pix_to_coord((axis.nbin - 1) / 2) for axis in self)

    def get_coord(self, mode="center", axis_name=None):
        """Coordinates that broadcast against the data.

        Parameters
        ----------
        mode : {"center", "edges"}
            "edges" gives the edges of the axis `axis_name`.
        axis_name : str, optional
            Axis that "edges" applies to.

        Returns
        -------
        coords : dict of str to `~astropy.units.Quantity`
            Coordinates by axis name.
        """
        return {
            axis.name: (axis.edges if mode == "edges" and axis.name == axis_name else axis.center).reshape(shape)
            for shape, axis in self.iter_with_reshape
        }

    def bin_volume(self):
        """Product of the bin widths, a quantity that broadcasts against the data."""
        volume = u.Quantity(1.0)
        for shape, axis in self.iter_with_reshape:
            volume = volume * axis.bin_width.reshape(shape)
        return volume

    def index(self, axis_name):
        """Position of an axis in the list."""
        return self.names.index(self[axis_name].name)

    def index_data(self, axis_name):
        """Dimension of the data array that belongs to an axis."""
        return len(self) - self.index(axis_name) - 1

    def coord_to_idx(self, coord, clip=True):
        """Bin numbers per axis, from a dictionary of coordinates; see `MapAxis.coord_to_idx`."""
        return tuple(axis.coord_to_idx(coord[axis.name], clip=clip) for axis in self)

    def coord_to_pix(self, coord):
        """Pixel coordinates per axis, from a dictionary of coordinates; see `MapAxis.coord_to_pix`."""
        return tuple(axis.coord_to_pix(coord[axis.name]) for axis in self)

    def pix_to_coord(self, pix):
        """Coordinates per axis, from a tuple of pixel coordinates."""
        return tuple(axis.pix_to_coord(p) for axis, p in zip(self, pix, strict=True))

    def pix_to_idx(self, pix, clip=False):
        """Bin numbers per axis, from a tuple of integer pixels; -1 outside unless clipped."""
        return tuple(axis.pix_to_idx(p, clip=clip) for axis, p in zip(self, pix, strict=True))

    def _map_axis(self, axis_name, change):
        self[axis_name]  # an unknown name is an error
        return self._new(change(axis) if axis.name == axis_name else axis for axis in self)

    def upsample(self, factor, axis_name):
        """Axes with one upsampled; see `MapAxis.upsample`."""
        return self._map_axis(axis_name, lambda axis: axis.upsample(factor))

    def downsample(self, factor, axis_name):
        """Axes with one downsampled; see `MapAxis.downsample`."""
        return self._map_axis(axis_name, lambda axis: axis.downsample(factor))

    def squash(self, axis_name):
        """Axes with one squashed to a single bin."""
        return self._map_axis(axis_name, lambda axis: axis.squash())

    def pad(self, axis_name, pad_width):
        """Axes with one padded; see `MapAxis.pad`."""
        return self._map_axis(axis_name, lambda axis: axis.pad(pad_width))

    def replace(self, axis):
        """Axes with the one of the same name replaced."""
        return self._map_axis(axis.name, lambda _: axis)

    def resample(self, axis):
        """Axes with one grouped into coarser bins.

        Parameters
        ----------
        axis : `MapAxis`
            Wanted bins; their edges are rounded to edges of the axis of the same name.

        Returns
        -------
        axes : `MapAxes`
            New axes.
        """
        groups = self[axis.name].group_table(axis.edges)
        groups = groups[[kind.strip() == "normal" for kind in groups["bin_type"]]]
        old = self[axis.name]
        edges = np.append(old.edges.value[groups["idx_min"]], old.edges.value[groups["idx_max"][-1] + 1])
        return self.replace(MapAxis.from_edges(edges, interp=axis.interp, name=axis.name, unit=old.unit))

    def drop(self, axis_name):
        """Axes without one."""
        self[axis_name]
        return self._new(axis for axis in self if axis.name != axis_name)

    def slice_by_idx(self, slices):
        """Axes cut to some bins.

        Parameters
        ----------
        slices : dict of str to slice or int
            Bins to keep by axis name; an integer drops the axis.

        Returns
        -------
        axes : `MapAxes`
            New axes.
        """
        self._check_names(slices)
        kept = []
        for axis in self:
            cut = slices.get(axis.name, slice(None))
            if isinstance(cut, slice):
                kept.append(axis if cut == slice(None) else axis.slice(cut))
        return self._new(kept)

    def _check_names(self, names):
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise GeometryError(f"unknown axes {unknown}; the axes are: {self.names}")

    def rename_axes(self, names, new_names):
        """Axes with other names.

        Parameters
        ----------
        names, new_names : str or list of str
            Present and new names, in the same order.

        Returns
        -------
        axes : `MapAxes`
            Renamed axes.
        """
        names = [names] if isinstance(names, str) else names
        new_names = [new_names] if isinstance(new_names, str) else new_names
        self._check_names(names)
        table = dict(zip(names, new_names, strict=True))
        return self._new(axis.rename(table[axis.name]) if axis.name in table else axis for axis in self)

    def assert_names(self, required_names, allow_extra=False):
        """Raise GeometryError unless the axes have the given names in this order (and more only if `allow_extra`)."""
        names = self.names[: len(required_names)] if allow_extra else self.names
        if names != list(required_names):
            raise GeometryError(f"Incorrect axis order or names. Expected axis order: {list(required_names)}, got: {self.names}.")

    def is_allclose(self, other, rtol=1e-5, atol=1e-8):
        """Whether both have the same number of axes and they agree in order; see `MapAxis.is_allclose`."""
        if self is other:
            return True
        if len(self) != len(other):
            return False
        return all(type(a) is type(b) and a.is_allclose(b, rtol, atol) for a, b in zip(self, other, strict=True))

    def copy(self):
        """Copy; the axes are shared, as they never change."""
        return self._new(self._axes)

    def to_header(self, format="gadf"):
        """FITS header cards of the axes; see `gpudl4.maps.axis_tables`."""
        from .axis_tables import axes_to_header

        return axes_to_header(self, format)

    def to_table_hdu(self, format="gadf", hdu_bands=None):
        """Bands table of the axes; see `gpudl4.maps.axis_tables.axes_to_table_hdu`."""
        from .axis_tables import axes_to_table_hdu

        return axes_to_table_hdu(self, format, hdu_bands)

    def to_table(self, format="gadf"):
        """Axes as `~astropy.table.Table`: the bands table, in "gadf-dl3" one row of edges, in the "ogip" formats the one energy axis.

        See `gpudl4.maps.axis_tables.axes_to_table_hdu` and `MapAxis.to_table`.
        """
        from astropy.table import Table, hstack

        if format == "gadf-dl3":
            return hstack([axis.to_table(format) for axis in self])
        if format.startswith("ogip"):
            return self["energy_true" if "arf" in format else "energy"].to_table(format)
        return Table.read(self.to_table_hdu(format))

    @classmethod
    def from_table_hdu(cls, hdu, format="gadf"):
        """Axes from a bands table HDU; None gives no axes; see `gpudl4.maps.axis_tables.axes_from_table`."""
        from .axis_tables import axes_from_table

        return cls([]) if hdu is None else axes_from_table(hdu, format)

    @classmethod
    def from_table(cls, table, format="gadf"):
        """Axes from a bands table; see `gpudl4.maps.axis_tables.axes_from_table`."""
        from .axis_tables import axes_from_table

        return axes_from_table(table, format)


def _bounds_text(axis):
    """First and last coordinate of an axis, whatever its kind."""
    low, high = axis.bounds
    if axis.node_type == "label":
        return f"{low} to {high}"
    return f"{low:.4g} to {high:.4g}, {axis.interp}"
