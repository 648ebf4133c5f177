"""Axes with units: which axes a picture goes to, in which unit numbers are drawn there, and how map axes are written along them.

The unit of an axis of a picture is kept by matplotlib (``ax.xaxis.units``), so that what is drawn later on the same axes converts to it,
and a user chooses it with ``ax.yaxis.set_units("TeV cm-2 s-1")`` before drawing.
"""

import astropy.units as u
import matplotlib.dates
import matplotlib.pyplot as plt
import numpy as np
from astropy.visualization.wcsaxes import WCSAxes

from ..core.errors import DatasetError, UnitMismatchError
from ..maps import LabelMapAxis, TimeMapAxis
from .images import display_energy
from .style import empty_figure, figure_style, plain_numbers

__all__ = [
    "axis_unit",
    "current_axes",
    "energy_unit",
    "format_x",
    "format_y",
    "label_axis",
    "range_text",
    "set_range",
    "two_axes",
    "x_positions",
]

NAMES = {"energy": "Energy", "energy_true": "True energy", "time": "Time"}
TIME_FORMATS = ("iso", "mjd")


def current_axes(ax=None, x=None, y=None):
    """The axes given, else matplotlib's current ones as in gammapy.

    Where the current ones show the sky, or count in units that `x` or `y` does not convert to, those of a new figure.
    """
    if ax is not None:
        return ax
    with figure_style():
        if plt.get_fignums() and plt.gcf().axes:
            ax = plt.gca()
            if isinstance(ax, WCSAxes) or not (_fits(ax.xaxis, x) and _fits(ax.yaxis, y)):
                plt.figure()
        return plt.gca()


def _fits(axis, unit):
    return unit is None or axis.units is None or (isinstance(axis.units, u.UnitBase) and axis.units.is_equivalent(unit))


def two_axes(upper, lower, figsize):
    """Two axes above each other that share energies: both given, or those of the current figure if it is empty, else of a new one.

    Raises
    ------
    DatasetError
        If only one is given.
    """
    if upper is not None and lower is not None:
        return upper, lower
    if upper is not None or lower is not None:
        raise DatasetError("give both axes, ax_spectrum and ax_residuals, or none of them")
    with figure_style():
        figure = empty_figure(figsize)
        grid = figure.add_gridspec(2, 1, height_ratios=[5, 2])
        upper = figure.add_subplot(grid[0])
        lower = figure.add_subplot(grid[1], sharex=upper)
        upper.tick_params(labelbottom=False, which="both")
    return upper, lower


def axis_unit(axis, default):
    """Unit to draw in: that of the axis of the picture, which becomes `default` if it has none yet.

    Parameters
    ----------
    axis : `matplotlib.axis.Axis`
        ``ax.xaxis`` or ``ax.yaxis``.
    default : `~astropy.units.Unit`
        Unit for axes that have none.

    Raises
    ------
    UnitMismatchError
        If the axis has a unit that does not convert.
    """
    default = u.Unit(default)
    if axis.units is None:
        axis.set_units(default)
        return default
    try:
        unit = u.Unit(axis.units)
    except (TypeError, ValueError) as error:
        raise UnitMismatchError(f"the axes count '{axis.units}', which is no unit: pass other axes to draw '{default}' on") from error
    if not unit.is_equivalent(default):
        raise UnitMismatchError(f"the axes are in '{unit}', which '{default}' does not convert to: pass other axes, or ax.clear() these")
    return unit


def energy_unit(axis, energy):
    """Unit to draw energies in: that of the picture, else that of the energies.

    Energies in keV, the unit of the OGIP format and nobody's choice, are drawn in the largest unit that keeps the highest above 1.
    """
    return axis_unit(axis, display_energy(energy).unit if energy.unit == u.keV else energy.unit)


def range_text(axis, index):
    """Range of one bin of a map axis as short text, for legends."""
    if isinstance(axis, LabelMapAxis):
        return str(axis.center[index])
    if isinstance(axis, TimeMapAxis):
        return f"MJD {axis.time_min[index].mjd:.2f} – {axis.time_max[index].mjd:.2f}"
    edges = axis.edges[index : index + 2]
    edges = display_energy(edges) if axis.is_energy_axis else edges
    return f"{edges[0].value:.3g} – {edges[1].value:.3g} {edges.unit}".rstrip()


def x_positions(axis, ax, time_format=None):
    """Where the bins of a map axis lie along the x axis of a picture.

    Parameters
    ----------
    axis : MapAxis, TimeMapAxis or LabelMapAxis
        Axis of a map.
    ax : `matplotlib.axes.Axes`
        Axes; they get the unit of the map axis if they have none.
    time_format : {"iso", "mjd"}, optional
        Times as dates or as modified Julian days; by default the format of the axis.

    Returns
    -------
    center, edges_min, edges_max : array
        Numbers, each of shape (nbin,): in the unit of the picture, days, or numbers of labels.
    """
    if isinstance(axis, LabelMapAxis):
        return np.arange(axis.nbin), np.arange(axis.nbin) - 0.5, np.arange(axis.nbin) + 0.5
    if isinstance(axis, TimeMapAxis):
        time_format = axis.time_format if time_format is None else time_format
        if time_format not in TIME_FORMATS:
            raise DatasetError(f"unknown time_format {time_format!r}; known: {', '.join(TIME_FORMATS)}")
        times = axis.time_mid, axis.time_min, axis.time_max
        if time_format == "mjd":
            return tuple(time.mjd for time in times)
        ax.xaxis_date()
        return tuple(matplotlib.dates.date2num(time.datetime) for time in times)
    unit = energy_unit(ax.xaxis, axis.edges) if axis.is_energy_axis else axis_unit(ax.xaxis, axis.unit)
    edges = axis.edges.to_value(unit)
    return axis.center.to_value(unit), edges[:-1], edges[1:]


def label_axis(axis, ax, time_format=None):
    """Scale, ticks and name of a map axis along the x axis of a picture; call it when the data are drawn and limits are set."""
    if isinstance(axis, LabelMapAxis):
        ax.set_xticks(np.arange(axis.nbin), axis.as_plot_labels, rotation=30, ha="right", rotation_mode="anchor")
        ax.set_xlabel(axis.name.replace("_", " ").capitalize())
    elif isinstance(axis, TimeMapAxis):
        scale = axis.reference_time.scale.upper()
        time_format = axis.time_format if time_format is None else time_format
        if time_format == "iso":
            locator = matplotlib.dates.AutoDateLocator()
            ax.xaxis.set_major_locator(locator)
            ax.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(locator))
        else:
            ax.ticklabel_format(axis="x", useOffset=False, style="plain")
        ax.set_xlabel(f"Time [{scale}]" if time_format == "iso" else f"Time [MJD, {scale}]")
    else:
        ax.set_xscale(axis.as_plot_scale)
        if axis.as_plot_scale == "log":
            plain_numbers(ax.xaxis)
        ax.set_xlabel(_named(axis, ax.xaxis.units))


def format_x(axis, ax):
    """Scale, ticks, name and, but for times, range of a map axis along x; what ``axis.format_plot_xaxis(ax)`` does."""
    with figure_style():
        _, low, high = x_positions(axis, ax)
        if not isinstance(axis, TimeMapAxis):
            set_range(ax, "x", low[0], high[-1], fresh=True)
        label_axis(axis, ax)
    return ax


def format_y(axis, ax):
    """Scale, ticks, name and range of an axis of numbers along y; what ``axis.format_plot_yaxis(ax)`` does."""
    with figure_style():
        unit = energy_unit(ax.yaxis, axis.edges) if axis.is_energy_axis else axis_unit(ax.yaxis, axis.unit)
        ax.set_yscale(axis.as_plot_scale)
        set_range(ax, "y", *axis.bounds.to_value(unit), fresh=True)
        if axis.as_plot_scale == "log":
            plain_numbers(ax.yaxis)
        ax.set_ylabel(_named(axis, unit))
    return ax


def _named(axis, unit):
    name = NAMES.get(axis.name, axis.name.replace("_", " ").replace("-", " ").capitalize())
    return f"{name} [{unit}]" if str(unit) else name


def set_range(ax, which, low, high, fresh):
    """Limits of the axes "x" or "y"; where something was drawn before (`fresh` is False) they only grow."""
    if not (np.isfinite(low) and np.isfinite(high) and high > low):
        return
    if not fresh:
        limits = getattr(ax, f"get_{which}lim")()
        low, high = min(low, limits[0]), max(high, limits[1])
    getattr(ax, f"set_{which}lim")(low, high)
