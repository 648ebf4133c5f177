"""Work along the non-spatial axes of a map: sums, reductions, cumulative sums and integrals, slicing, regrouping, joining."""

from itertools import pairwise

import numpy as np
from astropy import units as u

from ..core.backend import array_namespace, backend_of, to_device
from ..core.errors import GeometryError
from .axis import MapAxis
from .promotion import product, sum_type

__all__ = ["MapAxesOperations", "added_data", "block_sums", "factors_of", "mean_of_blocks", "pad_array", "reduce_array"]

# NumPy's universal functions by the name of the reduction that every array library has.
_REDUCTIONS = {
    "add": "nansum",
    "multiply": "nanprod",
    "maximum": "nanmax",
    "minimum": "nanmin",
    "logical_and": "all",
    "logical_or": "any",
}


def reduce_array(data, func, axis):
    """Reduce an array along dimensions by a universal function, leaving out NaN.

    Sums of float32 are accumulated in float64; the result has the type of the data, int64 for sums and products of integers and masks.

    Parameters
    ----------
    data : array
        Data.
    func : `~numpy.ufunc`
        One of add, multiply, maximum, minimum, logical_and, logical_or.
    axis : int or tuple of int
        Dimensions; they are kept with length one.

    Returns
    -------
    data : array
        Reduced data.
    """
    name = getattr(func, "__name__", str(func))
    if name not in _REDUCTIONS:
        raise GeometryError(f"maps cannot be reduced by {name!r}: choose one of {', '.join(_REDUCTIONS)}")
    xp = array_namespace(data)
    reduction = getattr(xp, _REDUCTIONS[name])
    if name in ("logical_and", "logical_or"):
        return reduction(data, axis=axis, keepdims=True)
    if name in ("add", "multiply") and data.dtype == np.float32:
        return reduction(data, axis=axis, keepdims=True, dtype=np.float64).astype(np.float32)
    if name in ("add", "multiply") and data.dtype.kind in "biu":
        return reduction(data, axis=axis, keepdims=True, dtype=sum_type(data.dtype, np.int64))
    if name in ("maximum", "minimum") and data.dtype.kind != "f":
        return getattr(xp, _REDUCTIONS[name].removeprefix("nan"))(data, axis=axis, keepdims=True)
    return reduction(data, axis=axis, keepdims=True)


def factors_of(weights, data):
    """Array of the factors that `weights`, a map or an array, give to data; both must live on one backend."""
    factors = weights.data if isinstance(weights, MapAxesOperations) else weights
    array_namespace(data, factors)  # refuses to mix backends
    return factors


def added_data(map_, other, data, factors, nan_to_num):
    """Data of another map as they are to be added to a map, whose integers make room for them.

    Parameters
    ----------
    map_ : `~gpudl4.maps.Map`
        Map that will be added to; what is added gets its unit and type.
    other : `~gpudl4.maps.Map`
        Map that the data are from.
    data : array
        Data, or a part of them.
    factors : array or None
        Weights.
    nan_to_num : bool
        Whether what is not finite (in the type of the map, if it is one of floats) counts as 0.

    Returns
    -------
    data : array
        To be added.
    """
    factor = other._factor_to(map_.unit, "map to stack")
    data = data if factor == 1.0 else data * factor
    data = data.astype(map_.data.dtype) if map_.data.dtype.kind == "f" else data
    if nan_to_num and data.dtype.kind == "f":
        xp = array_namespace(data)
        data = xp.where(xp.isfinite(data), data, xp.zeros((), dtype=data.dtype))
    data = data if factors is None else product(data, factors)
    map_._make_room(data.dtype)
    return data.astype(map_.data.dtype)


def block_sums(data, blocks):
    """Sums over blocks that tile an array, one length for each dimension, without NaN; in float64 or int64."""
    shape = []
    for size, block in zip(data.shape, blocks, strict=True):
        shape += [size // block, block]
    dtype = np.float64 if data.dtype.kind == "f" else sum_type(data.dtype, np.int64)
    return array_namespace(data).nansum(data.reshape(shape), axis=tuple(range(1, 2 * data.ndim, 2)), dtype=dtype)


def mean_of_blocks(data, factors, blocks):
    """Means over blocks that tile an array, weighted with factors (None for equal ones) that broadcast to it.

    NaN is left out. A mean is 0 where the weights sum to 0, and NaN where there is nothing but NaN.
    """
    xp = array_namespace(data, factors)
    known = ~xp.isnan(data) if data.dtype.kind == "f" else xp.ones(data.shape, dtype=bool)
    weights = known if factors is None else xp.where(known, factors, xp.zeros((), dtype=factors.dtype))
    total = block_sums(data if factors is None else product(data, weights), blocks)
    norm = block_sums(weights, blocks)
    mean = xp.where(norm != 0, total / xp.where(norm != 0, norm, 1), 0.0)
    return xp.where(block_sums(known, blocks) > 0, mean, np.nan)


class MapAxesOperations:
    """Methods of maps that act along non-spatial axes."""

    def sum_over_axes(self, axes_names=None, keepdims=True, weights=None):
        """Sum over non-spatial axes; NaN counts as 0.

        Parameters
        ----------
        axes_names : list of str, optional
            Axes, all by default.
        keepdims : bool
            Whether the axes stay with one bin.
        weights : `Map`, optional
            Factors, broadcasting to the data.

        Returns
        -------
        map : `Map`
            Sum.
        """
        return self.reduce_over_axes(func=np.add, axes_names=axes_names, keepdims=keepdims, weights=weights)

    def reduce_over_axes(self, func=np.add, keepdims=False, axes_names=None, weights=None):
        """Reduce over non-spatial axes; see `reduce_array` for the functions and `sum_over_axes` for the rest."""
        names = self.geom.axes.names if axes_names is None else axes_names
        if isinstance(names, str):
            names = [names]
        out = self if names else self.copy()
        for number, name in enumerate(names):
            out = out.reduce(name, func=func, keepdims=keepdims, weights=weights if number == 0 else None)
        return out

    def reduce(self, axis_name, func=np.add, keepdims=False, weights=None):
        """Reduce over one axis; see `reduce_over_axes`."""
        geom = self.geom.squash(axis_name) if keepdims else self.geom.drop(axis_name)
        data = self.data if weights is None else product(self.data, factors_of(weights, self.data))
        data = reduce_array(data, func, self.geom.axes.index_data(axis_name))
        return self._with(geom=geom, data=data.reshape(geom.data_shape))

    def _along(self, values, axis_name):
        """Plain array along an axis, in the shape that broadcasts against the data, on the backend of the data."""
        shape = [1] * self.data.ndim
        shape[self.geom.axes.index_data(axis_name)] = -1
        return to_device(np.asarray(values).reshape(shape), backend_of(self.data))

    def cumsum(self, axis_name):
        """Integral from the first edge of an axis up to every edge.

        Every value counts with its bin width; along "rad", with the area of the ring, 2 pi rad d(rad).

        Parameters
        ----------
        axis_name : str
            Axis.

        Returns
        -------
        cumsum : `Map`
            Map whose axis has the edges as nodes; its unit is multiplied by that of the axis (squared for "rad").
        """
        axis = self.geom.axes[axis_name]
        xp = array_namespace(self.data)
        dim = self.geom.axes.index_data(axis_name)
        width, unit = axis.bin_width.value, self.unit * axis.unit
        if axis_name == "rad":
            width, unit = 2 * np.pi * axis.center.value * width, unit * axis.unit
        values = xp.cumsum(self.data * self._along(width, axis_name), axis=dim)
        start = xp.zeros_like(values[(slice(None),) * dim + (slice(0, 1),)])
        nodes = MapAxis.from_nodes(axis.edges, interp=axis.interp, name=axis_name)
        return self._with(geom=self.geom.replace_axis(nodes), data=xp.concatenate([start, values], axis=dim), unit=unit)

    def integral(self, axis_name, coords, method="linear", fill_value=None, values_scale="lin"):
        """Integral from the first edge of an axis up to given coordinates, by linear interpolation of `cumsum`.

        Parameters
        ----------
        axis_name : str
            Axis.
        coords : tuple, dict or `~gpudl4.maps.MapCoord`
            Coordinates; beyond the axis the integral is constant.
        method, fill_value, values_scale
            As for `interp_by_coord`.

        Returns
        -------
        integral : `~astropy.units.Quantity`, or a plain array in the unit of `cumsum` if the map is on a device
            Integral.
        """
        padded = self.cumsum(axis_name).pad(1, axis_name=axis_name, mode="edge")
        values = padded.interp_by_coord(coords, method=method, fill_value=fill_value, values_scale=values_scale)
        return u.Quantity(values, padded.unit, copy=None) if backend_of(values).name == "numpy" else values

    def normalize(self, axis_name=None):
        """Divide by the integral along an axis, in place; where it is 0 or not finite, values become 0.

        Parameters
        ----------
        axis_name : str, optional
            Axis; may be left out when there is only one.
        """
        if axis_name is None:
            if len(self.geom.axes) != 1:
                raise GeometryError(f"normalize needs the name of an axis; the axes are: {self.geom.axes.names}")
            axis_name = self.geom.axes.names[0]
        cumsum, xp = self.cumsum(axis_name), array_namespace(self.data)
        total = cumsum.data.max(axis=self.geom.axes.index_data(axis_name), keepdims=True)
        good = xp.isfinite(total) & (total != 0)
        data = xp.where(good, self.data / xp.where(good, total, 1), 0)
        self.data = xp.nan_to_num(data)
        self._unit = self.unit / cumsum.unit

    def dot(self, other):
        """Sum over the axis shared with a region map, such as an energy dispersion; see `~gpudl4.maps.map_dot.dot_maps`."""
        from .map_dot import dot_maps

        return dot_maps(self, other)

    def __matmul__(self, other):
        return self.dot(other)

    def slice_by_idx(self, slices):
        """Part of the map, along non-spatial axes.

        Parameters
        ----------
        slices : dict of str to slice or int
            Bins by axis name; an integer drops the axis.

        Returns
        -------
        map : `Map`
            Map whose data are a view of the data of this one.
        """
        geom = self.geom.slice_by_idx(slices)
        index = tuple(slices.get(axis.name, slice(None)) for axis in self.geom.axes)
        return self._with(geom=geom, data=self.data[index[::-1]])

    def get_image_by_idx(self, idx):
        """Image plane by bin numbers, one per axis, in the order of the axes; the data are a view."""
        if len(idx) != len(self.geom.axes):
            raise GeometryError(f"one bin number per axis is needed, the axes are: {self.geom.axes.names}")
        numbers = [int(np.asarray(i).item()) for i in idx]
        return self._with(geom=self.geom.to_image(), data=self.data[tuple(numbers[::-1])])

    def get_image_by_pix(self, pix):
        """Image plane by pixel coordinates along the axes, rounded."""
        return self.get_image_by_idx([np.floor(np.asarray(p) + 0.5).astype(int) for p in pix])

    def get_image_by_coord(self, coords):
        """Image plane by axis coordinates, a tuple in the order of the axes or a dictionary; the nearest bin outside the axis."""
        if isinstance(coords, tuple):
            coords = dict(zip(self.geom.axes.names, coords, strict=True))
        return self.get_image_by_idx(self.geom.axes.coord_to_idx(coords))

    def iter_by_image_index(self):
        """Iterator over the indices of the image planes in the data array; the last axis runs fastest, as in gammapy."""
        for idx in np.ndindex(*self.geom.axes.shape):
            yield idx[::-1]

    def iter_by_image_data(self):
        """Iterator over (image plane data, index in the data array)."""
        for idx in self.iter_by_image_index():
            yield self.data[idx], idx

    def iter_by_image(self, keepdims=False):
        """Iterator over the image planes as maps; with `keepdims` the axes stay with one bin."""
        names = self.geom.axes.names
        for idx in self.iter_by_image_index():
            if keepdims:
                yield self.slice_by_idx({name: slice(i, i + 1) for name, i in zip(names, idx[::-1], strict=True)})
            else:
                yield self.get_image_by_idx(idx[::-1])

    def iter_by_axis(self, axis_name, keepdims=False):
        """Iterator over the bins of an axis as maps; with `keepdims` the axis stays with one bin."""
        for idx in range(self.geom.axes[axis_name].nbin):
            yield self.slice_by_idx({axis_name: slice(idx, idx + 1) if keepdims else idx})

    def split_by_axis(self, axis_name):
        """List of maps, one per bin of an axis."""
        return list(self.iter_by_axis(axis_name))

    @classmethod
    def from_stack(cls, maps, axis=None, axis_name=None):
        """One map from several that differ in one axis.

        Parameters
        ----------
        maps : list of `Map`
            Maps.
        axis : `~gpudl4.maps.MapAxis`, optional
            New axis, one bin per map, appended to the axes.
        axis_name : str, optional
            Axis to join instead, by default the last one; see `MapAxis.concatenate`. It becomes the last axis.

        Returns
        -------
        map : `Map`
            Map in the unit of the first.

        Raises
        ------
        GeometryError
            If the maps do not fit together.
        """
        first = maps[0]
        xp = array_namespace(*(m.data for m in maps))
        if axis is None:
            axis_name = axis_name or (first.geom.axes.names[-1] if first.geom.axes else None)
            if axis_name is None:
                raise GeometryError("images can only be stacked along a new axis: give axis=")
            axis = type(first.geom.axes[axis_name]).from_stack([m.geom.axes[axis_name] for m in maps])
        base, parts = first.geom if axis_name is None else first.geom.drop(axis_name), []
        for m in maps:
            if (m.geom if axis_name is None else m.geom.drop(axis_name)) != base:
                raise GeometryError(f"maps to stack must have the same pixels and other axes, got:\n{m.geom}\n{first.geom}")
            data = m.data * m._factor_to(first.unit)
            parts.append(data[np.newaxis] if axis_name is None else xp.moveaxis(data, m.geom.axes.index_data(axis_name), 0))
        return first._with(geom=base.to_cube([axis]), data=xp.concatenate(parts), meta={})

    def resample_axis(self, axis, weights=None, ufunc=np.add):
        """Group the bins of an axis.

        Parameters
        ----------
        axis : `~gpudl4.maps.MapAxis`
            Wanted bins; their edges are rounded to those of the axis of the same name. Bins outside are left out.
        weights : `Map`, optional
            Factors, broadcasting to the data.
        ufunc : `~numpy.ufunc`
            How bins are joined: add, logical_and, logical_or, ... Sums are float64, whatever the type of the data, and NaN where a bin is.

        Returns
        -------
        map : `Map`
            Map with the grouped axis.
        """
        geom, dim = self.geom.resample_axis(axis), self.geom.axes.index_data(axis.name)
        cuts = self.geom.axes[axis.name].coord_to_pix(geom.axes[axis.name].edges)
        cuts = np.round(cuts + 0.5).astype(int)
        data = self.data if weights is None else product(self.data, factors_of(weights, self.data))
        lead = (slice(None),) * dim
        xp, parts = array_namespace(data), []
        for low, high in pairwise(cuts):
            part = data[(*lead, slice(low, high))]
            parts.append(part.sum(axis=dim, keepdims=True, dtype=float) if ufunc is np.add else reduce_array(part, ufunc, dim))
        return self._with(geom=geom, data=xp.concatenate(parts, axis=dim))

    def rename_axes(self, names, new_names):
        """Map with renamed axes; see `MapAxes.rename_axes`."""
        return self._with(geom=self.geom.rename_axes(names, new_names), data=self.data.copy())

    def reorder_axes(self, axes_names):
        """Map with its non-spatial axes in another order.

        Parameters
        ----------
        axes_names : list of str
            All axes, in the wanted order.

        Returns
        -------
        map : `Map`
            New map.
        """
        axes = self.geom.axes
        if sorted(axes.names) != sorted(axes_names):
            raise GeometryError(f"all axes must be named once, {axes.names}; got: {list(axes_names)}")
        geom = self.geom.to_image().to_cube([axes[name] for name in axes_names])
        old = [axes.index_data(name) for name in axes_names]
        data = array_namespace(self.data).moveaxis(self.data, old, [geom.axes.index_data(name) for name in axes_names])
        return self._with(geom=geom, data=data.copy())

    def to_cube(self, axes):
        """Map with more axes of one bin each."""
        if any(axis.nbin > 1 for axis in axes):
            raise GeometryError(f"only axes of one bin can be added to a map, got: {[axis.nbin for axis in axes]} bins")
        return self._with(geom=self.geom.to_cube(axes), data=self.data.reshape((1,) * len(axes) + self.data.shape))

    def _pad_axis(self, pad_width, axis_name, mode, cval):
        low, high = pad_width if isinstance(pad_width, tuple) else (pad_width, pad_width)
        geom = self.geom._with_axes(self.geom.axes.pad(axis_name, (low, high)))
        widths = [(0, 0)] * self.data.ndim
        widths[self.geom.axes.index_data(axis_name)] = (low, high)
        return self._with(geom=geom, data=pad_array(self.data, widths, mode, cval))


def pad_array(data, widths, mode, cval):
    """Array with elements added at the ends of its dimensions, constant ("constant") or the last element ("edge")."""
    if mode not in ("constant", "edge"):
        raise GeometryError(f"unknown pad mode {mode!r}: choose 'constant' or 'edge'")
    if mode == "constant" and data.dtype.kind in "iu":
        limits = np.iinfo(data.dtype)
        data = data if float(cval).is_integer() and limits.min <= cval <= limits.max else data.astype(float)
    options = {"constant_values": cval} if mode == "constant" else {}
    return array_namespace(data).pad(data, widths, mode=mode, **options)
