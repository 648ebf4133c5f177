"""Pictures of flux points: spectra and light curves with errors and upper limits, and profiles of the fit statistic as a density.

They are the functions behind ``FluxPoints.plot()`` and ``FluxPoints.plot_ts_profiles()``, whose arguments are gammapy's.
"""

import astropy.units as u
import numpy as np
from matplotlib.cbook import normalize_kwargs
from matplotlib.lines import Line2D

from ..core.errors import DatasetError
from ..fluxes.quantities import SED_UNITS
from .axes import axis_unit, current_axes, label_axis, set_range, x_positions
from .region_maps import axis_to_follow, lines_along
from .style import figure_style

__all__ = ["flux_arrays", "flux_label", "plot_flux_points", "plot_ts_profiles"]

UNITS = {**{name: unit for name, unit in SED_UNITS.items() if name != "likelihood"}, "norm": u.dimensionless_unscaled}
WORDS = {"dnde": "dN/dE", "e2dnde": "E$^{2}$ dN/dE", "flux": "Flux", "eflux": "Energy flux", "norm": "Norm"}
ARROW = 0.5  # length of the arrow of an upper limit, as a fraction of the limit, as in gammapy
N_FLUXES = 500  # rows of a density of profiles


def checked_sed_type(sed_type, default=None):
    """A SED type that can be drawn.

    Raises
    ------
    DatasetError
        With the known ones.
    """
    sed_type = default if sed_type is None else sed_type
    if sed_type not in UNITS:
        raise DatasetError(f"sed_type {sed_type!r} cannot be plotted; known: {', '.join(UNITS)}")
    return sed_type


def flux_label(sed_type, energy_power, unit):
    """Name and unit of a flux, times a power of the energy."""
    power = {0: "", 1: "E "}.get(energy_power, f"E$^{{{energy_power:g}}}$ ")
    name = WORDS[sed_type]
    if power and sed_type == "e2dnde":
        name = f"({name})"
    text = f"{power}{name}"
    return f"{text} [{unit.to_string('unicode')}]" if str(unit) else text


def power_unit(sed_type, energy_power, energy):
    """Unit of a flux times a power of the energy: the energies in the unit of the flux if it has one, else in their own."""
    unit = UNITS[sed_type]
    own = next((base for base in unit.bases if base.physical_type == "energy"), energy)
    return unit * own**energy_power


def _known(points, name, unit):
    """Values of a quantity of flux points in a unit, None if they do not have it."""
    found = getattr(points, name, None)
    return None if found is None else np.asarray(found.quantity.to_value(unit), dtype=float).copy()


def flux_errors(points, sed_type, unit):
    """Negative and positive error of all points, of their shape; None, None if there are none.

    Asymmetric ones if they are known, and the symmetric one where they are not.
    """
    error, errn, errp = (_known(points, sed_type + suffix, unit) for suffix in ("_err", "_errn", "_errp"))
    if error is not None:
        errn = error.copy() if errn is None else np.where(np.isnan(errn), error, errn)
        errp = error.copy() if errp is None else np.where(np.isnan(errp), error, errp)
    return (None, None) if errn is None or errp is None else (errn, errp)


def flux_arrays(points, sed_type):
    """What is drawn of flux points, in the default unit of the SED type.

    Parameters
    ----------
    points : FluxPoints
        Flux points.
    sed_type : {"dnde", "e2dnde", "flux", "eflux", "norm"}
        SED type.

    Returns
    -------
    values, errn, errp : array
        Of the shape of the points. An upper limit has the limit as its value, half of it as negative error (an arrow), and no positive one.
        Points without errors have NaN there.
    is_ul : bool array
        Points that are drawn as upper limits: those that are one and have a finite one.
    """
    unit = UNITS[sed_type]
    values = _known(points, sed_type, unit)
    errn, errp = flux_errors(points, sed_type, unit)
    errn, errp = (np.full_like(values, np.nan) if part is None else np.clip(part, 0, None) for part in (errn, errp))
    limits = _known(points, f"{sed_type}_ul", unit)
    if limits is None:
        return values, errn, errp, np.zeros(values.shape, dtype=bool)
    is_ul = points.is_ul.data.astype(bool) & np.isfinite(limits)
    values[is_ul], errn[is_ul], errp[is_ul] = limits[is_ul], ARROW * np.clip(limits[is_ul], 0, None), 0
    return values, errn, errp, is_ul


def _check_region(points):
    if not points.geom.is_region:
        raise DatasetError("only flux points of a region can be plotted; take those of a pixel with .get_flux_points(position)")


def _set_flux_range(ax, values, errn, fresh):
    """Logarithmic fluxes from below the lowest point or arrow, but at most five decades, to above the highest."""
    ax.set_yscale("log", nonpositive="clip")
    high = values[np.isfinite(values) & (values > 0)]
    if not high.size:
        return
    with np.errstate(invalid="ignore"):
        low = values - np.where(np.isfinite(errn), errn, 0)
    low = low[np.isfinite(low) & (low > 0)]
    lowest = min(high.min() / 3, low.min() / 1.5 if low.size else np.inf)
    set_range(ax, "y", max(lowest, high.max() * 1e-5), high.max() * 3, fresh)


def plot_flux_points(points, ax=None, sed_type=None, energy_power=0, time_format="iso", axis_name=None, **kwargs):
    """Flux points along energy, or a light curve along time, with errors; upper limits are arrows that begin at the limit.

    Parameters
    ----------
    points : FluxPoints
        Flux points of a region.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None. Units that they have already are used.
    sed_type : {"dnde", "e2dnde", "flux", "eflux", "norm"}, optional
        What to draw; by default what the points were made from.
    energy_power : float
        Power of the energy to multiply with.
    time_format : {"iso", "mjd"}
        How times are written.
    axis_name : str, optional
        Axis to follow; needed where several have more than one bin. The bins of the others are lines of their own.
    **kwargs
        Arguments of `matplotlib.axes.Axes.errorbar`.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    DatasetError
        If the fluxes are no region's, the SED type or time format is unknown, or it is open which axis to follow.
    UnitMismatchError
        If the axes have a unit that does not convert.
    """
    _check_region(points)
    sed_type = checked_sed_type(sed_type, points.sed_type_plot_default)
    axis = axis_to_follow(points.geom.axes, axis_name, "flux points have", DatasetError)
    values, errn, errp, is_ul = flux_arrays(points, sed_type)
    energy = points.energy_ref
    natural = power_unit(sed_type, energy_power, energy.unit)
    ax = current_axes(ax, y=natural)
    with figure_style():
        fresh = not ax.has_data()
        unit = axis_unit(ax.yaxis, natural)
        factor = (UNITS[sed_type] * energy**energy_power).to_value(unit).reshape((-1,) + (1,) * (points.geom.axes.index("energy") + 2))
        values, errn, errp = values * factor, errn * factor, errp * factor
        x, low, high = x_positions(axis, ax, time_format)
        style = {"marker": "o", "markersize": 4, "linestyle": "none", "elinewidth": 1.2, **normalize_kwargs(kwargs, Line2D)}
        for index, label in lines_along(points.geom.axes, axis, points.geom.data_shape):
            has_errors = np.isfinite(errn[index]).any()
            bars = {"xerr": [x - low, high - x], "label": label or None}
            if has_errors:
                bars |= {"yerr": [errn[index], errp[index]], "uplims": is_ul[index]}
            ax.errorbar(x, values[index], **{**bars, **style})
        _set_flux_range(ax, values, errn, fresh)
        label_axis(axis, ax, time_format)
        ax.set_ylabel(flux_label(sed_type, energy_power, unit))
        if len(points.geom.axes) > 1:
            ax.legend()
    return ax


def _profiles(points, axis, norms):
    """Profiles of the fit statistic above its minimum at norms of shape (nbin, n).

    NaN outside the scan, and all along for a profile that is unknown or flat.
    """
    scan = points.ts_scan
    scanned = scan.geom.axes["norm"].center.value
    coords = scan.geom.get_coord(sparse=True)
    coords = {name: coords[name].reshape(-1)[:1] for name in scan.geom.axes.names}
    center = axis.time_mid if hasattr(axis, "time_mid") else axis.center
    values = np.empty(norms.shape)
    for row in range(axis.nbin):
        where = {**coords, "norm": norms[row] * u.one, axis.name: center[row : row + 1]}
        values[row] = scan.interp_by_coord(where, values_scale="stat-profile")
    stored = np.moveaxis(scan.data, scan.geom.axes.index_data("norm"), -1).reshape(axis.nbin, -1)
    values[~(stored.max(axis=1) > stored.min(axis=1))] = np.nan
    return np.where((norms >= scanned[0]) & (norms <= scanned[-1]), values, np.nan)


def plot_ts_profiles(points, ax=None, sed_type=None, add_cbar=True, axis_name=None, **kwargs):
    """Profiles of the fit statistic of all points as a density: darker is more likely, white is worse than ``vmin``.

    Parameters
    ----------
    points : FluxPoints
        Flux points of a region with ``stat_scan``.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None.
    sed_type : {"dnde", "e2dnde", "flux", "eflux", "norm"}, optional
        Flux along the y axis; by default what the points were made from.
    add_cbar : bool
        Draw a colour bar.
    axis_name : str, optional
        Axis to follow; by default the one with more than one bin.
    **kwargs
        Arguments of `matplotlib.axes.Axes.pcolormesh`; ``vmin`` is -4 by default.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes; the density is ``ax.collections[-1]``.

    Raises
    ------
    DatasetError
        If there are no profiles, or more than one axis has several bins.
    """
    _check_region(points)
    sed_type = checked_sed_type(sed_type, points.sed_type_plot_default)
    if not points.has_stat_profiles:
        raise DatasetError("the flux points have no profiles of the fit statistic (stat_scan)")
    if not points.geom.axes.is_unidimensional:
        raise DatasetError(f"profiles can be drawn along one axis only, slice the others first: {', '.join(points.geom.axes.names)}")
    axis = axis_to_follow(points.geom.axes, axis_name, "flux points have", DatasetError)
    ax = current_axes(ax, y=UNITS[sed_type])
    with figure_style():
        fresh = not ax.has_data()
        unit = axis_unit(ax.yaxis, UNITS[sed_type])
        reference = u.Quantity(1.0 if sed_type == "norm" else getattr(points, f"{sed_type}_ref")).to_value(unit)
        reference = np.broadcast_to(reference, points.geom.data_shape).reshape(-1)
        scanned = points.stat_scan.geom.axes["norm"].center.value
        scanned = scanned[scanned > 0]
        edges = np.geomspace(scanned[0] * reference.min(), scanned[-1] * reference.max(), N_FLUXES + 1)
        center = np.sqrt(edges[1:] * edges[:-1])
        worse = -_profiles(points, axis, center / reference[:, np.newaxis])
        style = {"vmax": 0, "vmin": -4, "zorder": 0, "cmap": "Blues", "linewidths": 0, "shading": "flat", **kwargs}
        with np.errstate(invalid="ignore"):
            worse[worse < style["vmin"]] = np.nan
        _, low, high = x_positions(axis, ax)
        borders, worse = _with_gaps(low, high, worse)
        mesh = ax.pcolormesh(borders, edges, worse.T, **style)
        set_range(ax, "x", borders[0], borders[-1], fresh)
        label_axis(axis, ax)
        ax.set_yscale("log", nonpositive="clip")
        shown = np.isfinite(worse).any(axis=0)
        if shown.any():
            set_range(ax, "y", edges[:-1][shown].min() / 1.2, edges[1:][shown].max() * 1.2, fresh)
        ax.set_ylabel(flux_label(sed_type, 0, unit))
        if add_cbar:
            ax.figure.colorbar(mesh, ax=ax, label="Fit statistic difference")
    return ax


def _with_gaps(low, high, columns):
    """Borders that touch, for bins with gaps: a gap becomes a column of NaN."""
    borders, filled = [low[0]], []
    for start, stop, column in zip(low, high, columns, strict=True):
        if start > borders[-1]:
            borders.append(start)
            filled.append(np.full_like(column, np.nan))
        borders.append(stop)
        filled.append(column)
    return np.array(borders), np.array(filled)
