"""Maps of a region along an axis: points with errors, steps, and the shade of a mask; the functions behind the methods of `RegionNDMap`."""

import numpy as np
from matplotlib.cbook import normalize_kwargs
from matplotlib.lines import Line2D

from ..core.backend import to_host
from ..core.errors import GeometryError
from .axes import axis_unit, current_axes, energy_unit, label_axis, range_text, set_range, x_positions
from .style import figure_style

__all__ = ["plot_region_hist", "plot_region_map", "plot_region_mask", "shade_runs"]


def shade_runs(ax, edges, bins, style):
    """Shade each run of True bins once; a legend names the first one.

    Parameters
    ----------
    ax : `matplotlib.axes.Axes`
        Axes.
    edges : array
        Edges of the bins along x, shape (nbin + 1,).
    bins : bool array
        Bins to shade, shape (nbin,).
    style : dict
        Arguments of `matplotlib.axes.Axes.axvspan`.
    """
    steps = np.diff(np.concatenate([[False], bins, [False]]).astype(int))
    label = style.get("label")
    for first, end in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True):
        ax.axvspan(edges[first], edges[end], **{**style, "label": label})
        label = "_nolegend_"


def lines_along(axes, axis, shape):
    """(Index into the data, label) of each series of values along an axis; the label names the bins of the other axes."""
    dim = axes.index_data(axis.name)
    others = [other for other in axes if other.name != axis.name]
    for number in np.ndindex(*(1 if i == dim else size for i, size in enumerate(shape))):
        index = tuple(slice(None) if i == dim else n for i, n in enumerate(number))
        yield index, ", ".join(range_text(other, number[axes.index_data(other.name)]) for other in others)


def axis_to_follow(axes, axis_name, what="map", error=GeometryError):
    """The axis named, else the only one with several bins.

    Raises
    ------
    GPUDL4Error
        Of the class `error`, if it is open which one to follow.
    """
    if axis_name is not None:
        return axes[axis_name]
    if not axes.is_unidimensional:
        raise error(f"the {what} several axes, name the one to follow with axis_name: {', '.join(axes.names)}")
    return axes.primary_axis


def _part(value, index, shape):
    """Part of errors that belongs to a series: a number, an array of the shape of the map, or a pair of those."""
    if isinstance(value, tuple):
        return tuple(_part(one, index, shape) for one in value)
    value = getattr(value, "value", value)
    return value[index] if np.shape(value) == shape else value


def _unit_label(name, unit):
    return f"{name} [{unit.to_string('unicode')}]" if str(unit) else name


def plot_region_map(map_, ax=None, axis_name=None, **kwargs):
    """Values of a region along an axis; the bins of the other axes are lines of their own.

    Parameters
    ----------
    map_ : RegionNDMap
        Map of a region.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None. Units that they have already are used.
    axis_name : str, optional
        Axis to follow; needed where more than one has several bins.
    **kwargs
        Arguments of `matplotlib.axes.Axes.errorbar`; ``yerr`` and ``uplims`` may have the shape of the map.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    GeometryError
        If it is open which axis to follow.
    UnitMismatchError
        If the axes have a unit that does not convert.
    """
    axes = map_.geom.axes
    axis = axis_to_follow(axes, axis_name, "map has")
    ax = current_axes(ax, y=map_.unit)
    with figure_style():
        fresh = not ax.has_data()
        unit = axis_unit(ax.yaxis, map_.unit)
        factor = map_.unit.to(unit)
        values = np.asarray(to_host(map_.data), dtype=float) * factor
        x, low, high = x_positions(axis, ax)
        style = {"xerr": [x - low, high - x], "marker": "o", "linestyle": "none", "markersize": 4, "elinewidth": 1}
        style |= normalize_kwargs(kwargs, Line2D)
        shaped = {name: style.pop(name) for name in ("yerr", "uplims", "lolims") if style.get(name) is not None}
        for index, label in lines_along(axes, axis, values.shape):
            mine = {name: _part(value, index, values.shape) for name, value in shaped.items()}
            if "yerr" in mine:
                mine["yerr"] = np.multiply(mine["yerr"], factor)
            ax.errorbar(x, values[index], **{"label": label or None, **style, **mine})
        if axis.is_energy_axis:
            set_range(ax, "x", low[0], high[-1], fresh)
            if (values > 0).any():
                ax.set_yscale("log", nonpositive="clip")
        label_axis(axis, ax)
        ax.set_ylabel(_unit_label("Value", unit))
    return ax


def plot_region_hist(map_, ax=None, **kwargs):
    """Values of a region along its axis as steps.

    Parameters
    ----------
    map_ : RegionNDMap
        Map of a region with one axis of several bins.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None.
    **kwargs
        Arguments of `matplotlib.axes.Axes.hist`.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    GeometryError
        If more than one axis has several bins.
    """
    axis = axis_to_follow(map_.geom.axes, None, "map has")
    ax = current_axes(ax, y=map_.unit)
    with figure_style():
        fresh = not ax.has_data()
        unit = axis_unit(ax.yaxis, map_.unit)
        center, low, high = x_positions(axis, ax)
        values = np.nan_to_num(np.asarray(to_host(map_.data), dtype=float).reshape(-1) * map_.unit.to(unit))
        style = {"histtype": "step", "linewidth": 1.2, **normalize_kwargs(kwargs, Line2D)}
        ax.hist(center, bins=np.append(low, high[-1]), weights=values, **style)
        set_range(ax, "x", low[0], high[-1], fresh)
        label_axis(axis, ax)
        ax.set_yscale("log", nonpositive="clip")
        ax.set_ylabel(_unit_label("Value", unit))
    return ax


def plot_region_mask(map_, ax=None, **kwargs):
    """Shade the energies at which the mask of a region is True.

    Parameters
    ----------
    map_ : RegionNDMap
        Mask with an energy axis.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None.
    **kwargs
        Arguments of `matplotlib.axes.Axes.axvspan`.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    GeometryError
        If the map is no mask.
    """
    if not map_.is_mask:
        raise GeometryError(f"a mask has boolean values, these are {map_.data.dtype}; plot them with map.plot()")
    axis = axis_to_follow(map_.geom.axes, None, "mask has")
    ax = current_axes(ax)
    with figure_style():
        edges = axis.edges.to_value(energy_unit(ax.xaxis, axis.edges))
        style = {"color": "black", "alpha": 0.08, "linewidth": 0, "zorder": 0, "label": "mask", **kwargs}
        shade_runs(ax, edges, np.asarray(to_host(map_.data)).reshape(-1), style)
    return ax
