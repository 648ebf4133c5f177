"""Pictures of spectrum datasets, those of one region with or without off counts: the functions behind their ``plot_...`` methods.

Names and arguments of the methods are gammapy's. `plot_region_fit` is the one to start with: excess, prediction, and residuals below.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import normalize_kwargs
from matplotlib.lines import Line2D

from ..core.backend import to_host
from .axes import current_axes, energy_unit, label_axis, set_range, two_axes, x_positions
from .images import check_counts
from .irf import plot_edisp_kernel
from .region_maps import plot_region_map
from .residuals import LABELS, excess_variance, plot_residuals_spectral, shade_masks
from .style import TOTAL_COLOR, figure_style, plain_numbers

__all__ = ["peek_region", "plot_masks", "plot_region_counts", "plot_region_excess", "plot_region_fit"]

SIGNAL_COLOR = "#D55E00"
MEASURED_COLOR = "#0072B2"


def _values(map_):
    """Values of a map of a region on the host, one per energy."""
    return np.asarray(to_host(map_.data), dtype=float).reshape(-1)


def _excess_and_error(dataset):
    """Excess counts and their standard deviation per energy; DatasetError if there is no background."""
    return _values(dataset.excess), np.sqrt(excess_variance(dataset).reshape(-1))


def _finish(ax, axis, values, fresh, name):
    """Energies over all bins, and counts on a logarithmic axis from a third of the smallest positive one, but at most six decades."""
    _, low, high = x_positions(axis, ax)
    set_range(ax, "x", low[0], high[-1], fresh)
    label_axis(axis, ax)
    ax.set_yscale("log", nonpositive="clip")
    positive = np.concatenate([part[np.isfinite(part) & (part > 0)] for part in values])
    if positive.size:
        set_range(ax, "y", max(positive.min() / 3, positive.max() * 1e-6, 0.05), positive.max() * 3, fresh)
        plain_numbers(ax.yaxis)
    ax.set_ylabel(name)


def _color(fresh, color):
    """Colour of the first thing drawn on axes; what comes later takes its colour from matplotlib's cycle."""
    return {"color": color} if fresh else {}


def _steps(ax, axis, values, style, label):
    center, low, high = x_positions(axis, ax)
    kwargs = {"histtype": "step", "linewidth": 1.2, "label": label, **normalize_kwargs(style, Line2D)}
    ax.hist(center, bins=np.append(low, high[-1]), weights=np.nan_to_num(values), **kwargs)


def plot_region_counts(dataset, ax=None, kwargs_counts=None, kwargs_background=None, **kwargs):
    """Counts and background per energy bin, all bins whatever the masks say.

    Parameters
    ----------
    dataset : SpectrumDataset or SpectrumDatasetOnOff
        Dataset with counts; the background is left out where there is none.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None.
    kwargs_counts, kwargs_background : dict, optional
        Arguments of `matplotlib.axes.Axes.hist` for counts and background.
    **kwargs
        Arguments for both.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    DatasetError
        If the dataset has no counts.
    """
    check_counts(dataset)
    axis = dataset.counts.geom.axes["energy"]
    ax = current_axes(ax)
    with figure_style():
        fresh = not ax.has_data()
        drawn = [_values(dataset.counts)]
        _steps(ax, axis, drawn[0], {**_color(fresh, TOTAL_COLOR), **kwargs, **(kwargs_counts or {})}, "Counts")
        background = dataset.background
        if background is not None:
            drawn.append(_values(background))
            _steps(ax, axis, drawn[1], {**_color(fresh, MEASURED_COLOR), **kwargs, **(kwargs_background or {})}, "Background")
        _finish(ax, axis, drawn, fresh, "Counts per bin")
        ax.legend()
    return ax


def plot_masks(dataset, ax=None, kwargs_fit=None, kwargs_safe=None):
    """Shade the energies inside ``mask_fit`` and ``mask_safe``.

    Parameters
    ----------
    dataset : SpectrumDataset or SpectrumDatasetOnOff
        Dataset; a mask that it does not have is left out.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None.
    kwargs_fit, kwargs_safe : dict, optional
        Arguments of `matplotlib.axes.Axes.axvspan` for each of the masks.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.
    """
    ax = current_axes(ax)
    with figure_style():
        energy_unit(ax.xaxis, dataset._geom.axes["energy"].edges)
        shade_masks(ax, dataset, kwargs_fit, kwargs_safe)
        if ax.get_legend_handles_labels()[0]:
            ax.legend()
    return ax


def plot_region_excess(dataset, ax=None, kwargs_excess=None, kwargs_npred_signal=None, **kwargs):
    """Excess counts per energy bin, with the prediction of the models.

    The bars are the standard deviation of the excess, ``sqrt(n_on + alpha^2 n_off)``, or ``sqrt(n)`` with a known background.

    Parameters
    ----------
    dataset : SpectrumDataset or SpectrumDatasetOnOff
        Dataset with counts and background. Without models only the excess is drawn.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None. Their counts are logarithmic, so that a negative excess shows the upper end of its bar only.
    kwargs_excess : dict, optional
        Arguments of `matplotlib.axes.Axes.errorbar` for the excess.
    kwargs_npred_signal : dict, optional
        Arguments of `matplotlib.axes.Axes.hist` for the prediction.
    **kwargs
        Arguments for both.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    DatasetError
        If the dataset has no counts, or no background or off counts.
    """
    check_counts(dataset)
    excess, error = _excess_and_error(dataset)
    axis = dataset.counts.geom.axes["energy"]
    ax = current_axes(ax)
    with figure_style():
        fresh = not ax.has_data()
        center, low, high = x_positions(axis, ax)
        style = normalize_kwargs({**kwargs, **(kwargs_excess or {})}, Line2D)
        bars = {"yerr": error, "xerr": [center - low, high - center], "label": "Excess counts"}
        look = {"marker": "o", "linestyle": "none", "markersize": 4, "elinewidth": 1}
        points = ax.errorbar(center, excess, **{**bars, **look, **_color(fresh, TOTAL_COLOR), **style})
        drawn = [excess]
        if dataset.models:
            drawn.append(_values(dataset.npred_signal()))
            style = {"color": SIGNAL_COLOR if fresh else points.lines[0].get_color(), **kwargs, **(kwargs_npred_signal or {})}
            _steps(ax, axis, drawn[1], style, "Predicted signal counts")
        _finish(ax, axis, drawn, fresh, "Excess counts per bin")
        ax.legend()
    return ax


def plot_region_fit(dataset, ax_spectrum=None, ax_residuals=None, kwargs_spectrum=None, kwargs_residuals=None):
    """Excess with the prediction of the models, and the residuals below.

    Parameters
    ----------
    dataset : SpectrumDataset or SpectrumDatasetOnOff
        Dataset with counts and background, as a rule with models.
    ax_spectrum, ax_residuals : `matplotlib.axes.Axes`, optional
        Axes, both or none; a new figure is made without them.
    kwargs_spectrum : dict, optional
        Arguments of `plot_region_excess`.
    kwargs_residuals : dict, optional
        Arguments of `gpudl4.plot.plot_residuals_spectral`.

    Returns
    -------
    ax_spectrum, ax_residuals : `matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    DatasetError
        If the dataset lacks counts or a background, or one of the axes is missing.
    """
    check_counts(dataset)
    _excess_and_error(dataset)  # raises before there is a figure
    new = ax_spectrum is None
    ax_spectrum, ax_residuals = two_axes(ax_spectrum, ax_residuals, (8, 7))
    kwargs_residuals = kwargs_residuals or {}
    plot_region_excess(dataset, ax_spectrum, **(kwargs_spectrum or {}))
    plot_residuals_spectral(dataset, ax_residuals, **kwargs_residuals)
    ax_residuals.set_ylabel(f"Residuals\n{LABELS[kwargs_residuals.get('method', 'diff')]}", fontsize="small")
    if ax_residuals.get_legend() is not None:
        ax_residuals.get_legend().remove()  # the masks stand in the other one
    if new:
        ax_spectrum.set_xlabel("")
    plot_masks(dataset, ax_spectrum)
    return ax_spectrum, ax_residuals


def peek_region(dataset, figsize=(16, 4)):
    """Overview figure of a region: counts with the masks, exposure, energy dispersion.

    Parameters
    ----------
    dataset : SpectrumDataset, SpectrumDatasetOnOff, or MapDataset on a region
        Dataset with counts.
    figsize : pair of float
        Width and height in inches.

    Returns
    -------
    `matplotlib.figure.Figure`
        The figure; the panel of what the dataset does not have is empty.
    """
    check_counts(dataset)
    with figure_style():
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=figsize)
        figure.get_layout_engine().set(rect=(0, 0, 0.99, 1), wspace=0.06)
        plot_region_counts(dataset, left)
        plot_masks(dataset, left)
        left.set_title("Counts")
        middle.set_title("Exposure")
        if dataset.exposure is not None:
            plot_region_map(dataset.exposure, middle, axis_name="energy_true", linestyle="-", markersize=0, xerr=None, color=TOTAL_COLOR)
            middle.set_ylabel(middle.get_ylabel().replace("Value", "Exposure"))
        right.set_title("Energy dispersion")
        if dataset.edisp is not None:
            plot_edisp_kernel(dataset.edisp.get_edisp_kernel(), right)
    for ax, there in ((middle, dataset.exposure), (right, dataset.edisp)):
        if there is None:
            ax.set_axis_off()
            ax.text(0.5, 0.5, "none", ha="center", va="center", color="0.5", transform=ax.transAxes)
    return figure
