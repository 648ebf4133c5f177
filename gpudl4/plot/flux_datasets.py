"""Pictures of a `FluxPointsDataset`: points with the models, and their residuals; the functions behind its ``plot_...`` methods."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import normalize_kwargs
from matplotlib.lines import Line2D

from ..core.errors import DatasetError
from .axes import axis_unit, current_axes, label_axis, set_range, x_positions
from .flux_points import UNITS, flux_errors, plot_flux_points
from .models import plot_spectral_model
from .style import TOTAL_COLOR, figure_style

__all__ = ["plot_flux_fit", "plot_flux_residuals", "plot_flux_spectrum"]

LABELS = {"diff": "data − model", "diff/model": "(data − model) / model"}


def _check_axes(dataset):
    if not dataset.data.geom.axes.is_unidimensional or dataset.data.energy_axis.nbin != dataset.data.geom.axes.primary_axis.nbin:
        raise DatasetError(
            f"dataset '{dataset.name}': only flux points along energy can be drawn with residuals, these have "
            f"{', '.join(dataset.data.geom.axes.names)}; use plot_spectrum(axis_name=...) or slice them"
        )


def _need_models(dataset):
    if not dataset.models:
        raise DatasetError(f"dataset '{dataset.name}' has no models to compare with: set dataset.models, or draw dataset.data.plot()")


def plot_flux_spectrum(dataset, ax=None, kwargs_fp=None, kwargs_model=None, axis_name="energy"):
    """Flux points with the spectra of the models and their error bands.

    Parameters
    ----------
    dataset : FluxPointsDataset
        Flux points; without models only they are drawn.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None.
    kwargs_fp : dict, optional
        Arguments of `gpudl4.plot.plot_flux_points`; ``sed_type`` is "e2dnde" by default.
    kwargs_model : dict, optional
        Arguments of `gpudl4.plot.plot_spectral_model`; ``sed_type`` as of the points, ``energy_bounds`` those of the points by default; for
        "flux" and "eflux" the bins of the points, so that the line runs through what the points are compared with.
    axis_name : {"energy", "time"}
        Axis to follow. Models are spectra and drawn along energy only; along time the norms of the points are drawn.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.
    """
    if axis_name not in ("energy", "time"):
        raise DatasetError(f"flux points can be drawn along 'energy' or 'time', got axis_name={axis_name!r}")
    along_energy = axis_name == "energy"
    style = {"sed_type": "e2dnde", **(kwargs_fp or {})}
    if along_energy and dataset.data.geom.axes.is_unidimensional:
        style = {"label": "Flux points", **style}
    if not along_energy:
        style["sed_type"] = "norm"
    ax = plot_flux_points(dataset.data, ax, axis_name=axis_name, **style)
    if not dataset.models or not along_energy:
        return ax
    bounds = u.Quantity([dataset.data.energy_min.min(), dataset.data.energy_max.max()])
    if style["sed_type"] in ("flux", "eflux"):
        bounds = dataset.data.geom.axes["energy"]
    several = len(dataset.models) > 1
    for model in dataset.models:
        label = f"Best fit model, {model.name}" if several else "Best fit model"
        options = {"sed_type": style["sed_type"], "energy_bounds": bounds, "label": label, "zorder": 10, **(kwargs_model or {})}
        plot_spectral_model(model.spectral_model, ax=ax, error_band=True, **options)
        drawn = ax.lines[-1].get_ydata()
        set_range(ax, "y", max(drawn.min(), drawn.max() * 1e-5) / 1.5, drawn.max() * 1.5, fresh=False)
    with figure_style():
        ax.legend()
    return ax


def plot_flux_residuals(dataset, ax=None, method="diff", **kwargs):
    """Residuals of the differential fluxes; upper limits have none.

    Parameters
    ----------
    dataset : FluxPointsDataset
        Flux points along energy, with models.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None.
    method : {"diff", "diff/model"}
        Data minus model, as it is or divided by the model.
    **kwargs
        Arguments of `matplotlib.axes.Axes.errorbar`.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    DatasetError
        If there are no models, the method is unknown, or the points do not lie along energy.
    """
    _check_axes(dataset)
    _need_models(dataset)
    if method not in LABELS:
        raise DatasetError(f"unknown method {method!r} of residuals; known: {', '.join(LABELS)}")
    points, unit = dataset.data, UNITS["dnde"]
    model = dataset.flux_pred().to_value(unit)
    residuals = dataset.residuals(method)
    errors = [np.full(model.shape, np.nan) if error is None else error for error in flux_errors(points, "dnde", unit)]
    ax = current_axes(ax, x=points.energy_ref.unit, y=unit if method == "diff" else "")
    with figure_style():
        fresh = not ax.has_data()
        if method == "diff":
            shown = axis_unit(ax.yaxis, unit)
            factor = unit.to(shown)
            label = f"{LABELS[method]}\n[{shown.to_string('unicode')}]"
            y, errors = residuals.to_value(shown), [error * factor for error in errors]
        else:
            y, errors = u.Quantity(residuals).to_value(""), [error / model for error in errors]
            label = LABELS[method]
        y, (errn, errp) = y.reshape(-1), (np.clip(error.reshape(-1), 0, None) for error in errors)
        x, low, high = x_positions(points.energy_axis, ax)
        look = {"color": TOTAL_COLOR, "marker": "+", "linestyle": "none", "elinewidth": 1.2, **normalize_kwargs(kwargs, Line2D)}
        ax.errorbar(x, y, **{"xerr": [x - low, high - x], "yerr": [errn, errp], **look})
        ax.axhline(0, color=look["color"], linewidth=0.5)
        if not ax.get_shared_x_axes().get_siblings(ax)[1:]:
            set_range(ax, "x", low[0], high[-1], fresh)
        label_axis(points.energy_axis, ax)
        ax.set_ylabel(f"Residuals\n{label}", fontsize="small")
        limit = 1.05 * np.nanmax(np.concatenate([np.abs(y), np.abs(y - errn), np.abs(y + errp)]), initial=0.0)
        set_range(ax, "y", -limit, limit, fresh)
    return ax


def plot_flux_fit(dataset, ax_spectrum=None, ax_residuals=None, kwargs_spectrum=None, kwargs_residuals=None):
    """Flux points with the models, and the residuals below.

    Parameters
    ----------
    dataset : FluxPointsDataset
        Flux points along energy, with models.
    ax_spectrum, ax_residuals : `matplotlib.axes.Axes`, optional
        Axes; those of a new figure for what is not given.
    kwargs_spectrum : dict, optional
        Arguments of `plot_flux_spectrum`.
    kwargs_residuals : dict, optional
        Arguments of `plot_flux_residuals`; ``method`` is "diff/model" by default.

    Returns
    -------
    ax_spectrum, ax_residuals : `matplotlib.axes.Axes`
        The axes.
    """
    _check_axes(dataset)
    _need_models(dataset)
    with figure_style():
        if ax_spectrum is None or ax_residuals is None:
            figure = plt.figure(figsize=(9, 7))
            grid = figure.add_gridspec(2, 1, height_ratios=[5, 2])
            both = ax_spectrum is None and ax_residuals is None
            ax_spectrum = figure.add_subplot(grid[0]) if ax_spectrum is None else ax_spectrum
            ax_residuals = figure.add_subplot(grid[1], sharex=ax_spectrum) if ax_residuals is None else ax_residuals
        else:
            both = False
    plot_flux_spectrum(dataset, ax_spectrum, **(kwargs_spectrum or {}))
    plot_flux_residuals(dataset, ax_residuals, **{"method": "diff/model", **(kwargs_residuals or {})})
    if both:
        ax_spectrum.set_xlabel("")
        ax_spectrum.tick_params(labelbottom=False, which="both")
    return ax_spectrum, ax_residuals
