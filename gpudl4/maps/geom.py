"""`Geom`: what sky and region geometries share, mostly the handling of their non-spatial axes. Geometries never change."""

import numpy as np
from astropy import units as u
from astropy.coordinates import Angle

from ..core.errors import GeometryError
from .axes import MapAxes
from .frames import degrees

__all__ = ["Geom", "pix_tuple_to_idx", "sizes_in_degrees", "width_in_degrees"]

# Edges that agree to this relative precision count as the same edge.
EDGE_RTOL = 1e-9


def pix_tuple_to_idx(pix):
    """Pixel coordinates rounded to the nearest pixel (halves up).

    Parameters
    ----------
    pix : tuple of array-like
        Pixel coordinates, one array per dimension.

    Returns
    -------
    idx : tuple of `~numpy.ndarray` of int
        Pixel numbers, at least one-dimensional; -1 where a coordinate is not finite.
    """
    idx = []
    for values in pix:
        values = np.atleast_1d(values)
        if values.dtype.kind not in "iu":
            finite = np.isfinite(values)
            values = np.where(finite, np.floor(np.where(finite, values, 0.0) + 0.5), -1).astype(np.int64)
        idx.append(values)
    return tuple(idx)


def width_in_degrees(width):
    """Width along lon and lat as two floats in degrees, from a number, string or quantity, or a pair of them."""
    if isinstance(width, (int, float)):
        return float(width), float(width)
    parts = width if isinstance(width, (tuple, list)) else [width]
    values = np.concatenate([np.ravel(Angle(w, "deg").deg if isinstance(w, str) else degrees(w)) for w in parts])
    if values.size not in (1, 2):
        raise GeometryError(f"a width is one number or two (lon, lat), got: {width!r}")
    return float(values[0]), float(values[-1])


def sizes_in_degrees(size, what):
    """Sizes along lon and lat as two floats in degrees, both positive; anything else is refused by the name of the argument."""
    try:
        sizes = width_in_degrees(size)
    except (TypeError, ValueError, u.UnitsError) as error:
        raise GeometryError(f"{what} is an angle or two (lon, lat), degrees if a number, got: {size!r}") from error
    if not all(np.isfinite(part) and part > 0 for part in sizes):
        raise GeometryError(f"{what} must be positive and finite, got: {size!r}")
    return sizes


class Geom:
    """Base class of `~gpudl4.maps.WcsGeom` and `~gpudl4.maps.RegionGeom`.

    Subclasses give ``axes``, ``data_shape``, ``coord_to_pix``, ``pix_to_coord``, ``pix_to_idx``, ``to_image`` and ``_with_axes``.
    """

    is_hpx = False
    is_region = False
    is_regular = True

    def _with_axes(self, axes):
        raise NotImplementedError

    @property
    def axes(self):
        """Non-spatial axes, a `MapAxes`."""
        return self._axes

    @property
    def axes_names(self):
        """Names of all axes, "lon" and "lat" first."""
        return ["lon", "lat", *self.axes.names]

    @property
    def ndim(self):
        """Number of dimensions of the data."""
        return len(self.data_shape)

    @property
    def shape_axes(self):
        """Numbers of bins of the non-spatial axes, fastest first."""
        return self.axes.shape

    @property
    def data_shape_axes(self):
        """Shape of an array that varies along the axes only."""
        return (*self.axes.shape[::-1], 1, 1)

    @property
    def data_shape_image(self):
        """Shape of an array that varies along the sky only."""
        return (1,) * len(self.axes) + self.data_shape[-2:]

    @property
    def is_image(self):
        """Whether there are no non-spatial axes."""
        return len(self.axes) == 0

    @property
    def is_flat(self):
        """Whether every non-spatial axis has one bin."""
        return self.axes.is_flat

    @property
    def has_energy_axis(self):
        """Whether there is one energy axis, "energy" or "energy_true"."""
        return ("energy" in self.axes.names) != ("energy_true" in self.axes.names)

    @property
    def center_pix(self):
        """Pixel coordinates of the centre, lon first."""
        return tuple((size - 1) / 2 for size in self.data_shape[::-1])

    @property
    def center_coord(self):
        """Coordinates of the centre, lon first."""
        return self.pix_to_coord(self.center_pix)

    def data_nbytes(self, dtype="float32"):
        """Memory of a map with this geometry, a quantity in MB."""
        return (np.dtype(dtype).itemsize * int(np.prod(self.data_shape)) * u.byte).to("MB")

    @property
    def as_energy_true(self):
        """Geometry in which the axis "energy" is called "energy_true"."""
        return self.rename_axes("energy", "energy_true")

    def to_cube(self, axes):
        """Geometry with more axes.

        Parameters
        ----------
        axes : list of `MapAxis`
            Axes to append.

        Returns
        -------
        geom : `Geom`
            New geometry.
        """
        return self._with_axes([*self.axes, *axes])

    def slice_by_idx(self, slices):
        """Geometry cut to some bins; see `MapAxes.slice_by_idx`."""
        return self._with_axes(self.axes.slice_by_idx(slices))

    def rename_axes(self, names, new_names):
        """Geometry with renamed axes; see `MapAxes.rename_axes`."""
        return self._with_axes(self.axes.rename_axes(names, new_names))

    def squash(self, axis_name):
        """Geometry with one axis squashed to a single bin."""
        return self._with_axes(self.axes.squash(axis_name))

    def drop(self, axis_name):
        """Geometry without one axis."""
        return self._with_axes(self.axes.drop(axis_name))

    def replace_axis(self, axis):
        """Geometry in which the axis of the same name is replaced."""
        return self._with_axes(self.axes.replace(axis))

    def resample_axis(self, axis):
        """Geometry with an axis grouped into coarser bins; see `MapAxes.resample`."""
        return self._with_axes(self.axes.resample(axis))

    def coord_to_idx(self, coords, clip=False):
        """Pixel numbers of coordinates.

        Parameters
        ----------
        coords : tuple, dict or `~gpudl4.maps.MapCoord`
            Coordinates.
        clip : bool
            True takes the nearest pixel outside the map, False gives -1.

        Returns
        -------
        idx : tuple of `~numpy.ndarray` of int
            Pixel numbers, lon first.
        """
        return self.pix_to_idx(self.coord_to_pix(coords), clip=clip)

    def contains_pix(self, pix):
        """Whether pixel coordinates lie in the map, a boolean array."""
        inside = [index != -1 for index in self.pix_to_idx(pix)]
        return np.logical_and.reduce(np.broadcast_arrays(*inside))

    def contains(self, coords):
        """Whether coordinates lie in the map, a boolean array."""
        return self.contains_pix(self.coord_to_pix(coords))

    def energy_mask(self, energy_min=None, energy_max=None, round_to_edge=False):
        """Mask of the bins of the axis "energy" that lie fully inside a range; see `create_mask`."""
        return self.create_mask("energy", edge_min=energy_min, edge_max=energy_max, round_to_edge=round_to_edge)

    def create_mask(self, axis_name, edge_min=None, edge_max=None, round_to_edge=False):
        """Mask of the bins of an axis that lie fully inside a range.

        Edges count as equal when they agree to a relative precision of 1e-9, so that a range given by edges selects the bins
        between them whatever the rounding.

        Parameters
        ----------
        axis_name : str
            Axis.
        edge_min, edge_max : `~astropy.units.Quantity` or str, optional
            Range; None means open.
        round_to_edge : bool
            Whether to round the range to the nearest edges first.

        Returns
        -------
        mask : `~gpudl4.maps.Map`
            Boolean map with this geometry.
        """
        from .map import Map

        axis = self.axes[axis_name]
        low, high = (None if edge is None else axis._value(edge) for edge in (edge_min, edge_max))
        if round_to_edge:
            low, high = (None if edge is None else axis.round(np.atleast_1d(edge)).value[0] for edge in (low, high))
        edges = axis.edges.value
        inside = np.ones(axis.nbin, dtype=bool)
        if low is not None:
            inside &= edges[:-1] >= low - EDGE_RTOL * abs(low)
        if high is not None:
            inside &= edges[1:] <= high + EDGE_RTOL * abs(high)
        shape = [1] * self.ndim
        shape[self.axes.index_data(axis_name)] = -1
        return Map.from_geom(self, data=np.broadcast_to(inside.reshape(shape), self.data_shape).copy())

    def __hash__(self):
        return hash((type(self).__name__, self.data_shape))

    def __repr__(self):
        return str(self)


def image_axes(axes):
    """Axes as a geometry keeps them, from a list, MapAxes or None."""
    return MapAxes.from_default(axes, n_spatial_axes=2)
