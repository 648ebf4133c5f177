"""Counts spectra of a map dataset: counts per energy bin, the prediction of each component, and their residuals."""

import matplotlib.pyplot as plt
import numpy as np

from ..models import SkyModel
from .images import bins_in_mask, cash_significance, check_counts, display_energy, masked_cube
from .style import BACKGROUND_COLOR, BAND_COLOR, TOTAL_COLOR, figure_style, plain_numbers, source_colors

__all__ = ["plot_counts_spectrum", "plot_residual_spectrum", "plot_spectrum", "spectrum_column"]

MAX_SOURCES = 6


def _source_models(dataset):
    return [] if dataset.models is None else [model for model in dataset.models if isinstance(model, SkyModel)]


def _spectrum(map_, dataset, used):
    """Counts per energy bin inside the mask, NaN in bins that the mask leaves out."""
    cube = masked_cube(map_, dataset.mask)
    return np.where(used, cube.reshape(-1, *cube.shape[-2:]).sum(axis=(-2, -1)), np.nan)


def _components(dataset, used):
    """Predicted counts per energy bin of each source, the brightest `MAX_SOURCES` by name and the others together."""
    spectra = {model.name: _spectrum(dataset.npred_signal(model_names=[model.name]), dataset, used) for model in _source_models(dataset)}
    if len(spectra) <= MAX_SOURCES:
        return spectra
    order = sorted(spectra, key=lambda name: -np.nansum(spectra[name]))
    shown = {name: spectra[name] for name in order[: MAX_SOURCES - 1]}
    others = order[MAX_SOURCES - 1 :]
    shown[f"{len(others)} other sources"] = np.sum([spectra[name] for name in others], axis=0)
    return shown


def _finish_energy_axis(ax, edges, used):
    """Logarithmic energies, from one bin below the mask to one bin above it."""
    bins = np.flatnonzero(used)
    first, last = (max(bins[0] - 1, 0), min(bins[-1] + 2, used.size)) if bins.size else (0, -1)
    ax.set_xscale("log")
    ax.set_xlim(edges[first].value, edges[last].value)
    plain_numbers(ax.xaxis)
    ax.set_xlabel(f"Energy [{edges.unit}]")


def _edges_and_centers(dataset):
    """Edges in the unit that plots show, and centres of the energy bins."""
    axis = dataset.counts.geom.axes["energy"]
    edges = display_energy(axis.edges)
    return edges, axis.center.to_value(edges.unit)


def plot_counts_spectrum(dataset, ax=None, npred=None):
    """Counts per energy bin with the predictions of the background, of each source and of all together.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts.
    ax : `matplotlib.axes.Axes`, optional
        Axes; a new figure is made without them.
    npred : Map, optional
        Predicted counts, if they are known already.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.
    """
    check_counts(dataset)
    with figure_style():
        ax = plt.figure(figsize=(7, 5)).add_subplot() if ax is None else ax
        edges, centers = _edges_and_centers(dataset)
        used = bins_in_mask(dataset)
        counts = _spectrum(dataset.counts, dataset, used)
        total = _spectrum(dataset.npred() if npred is None else npred, dataset, used)
        sources = _components(dataset, used)
        colors = source_colors(sources)
        if dataset.background is not None:
            background = _spectrum(dataset.npred_background(), dataset, used)
            ax.stairs(background, edges.value, baseline=0, fill=True, color=BACKGROUND_COLOR, label="background")
        for name, values in sources.items():
            ax.stairs(values, edges.value, baseline=None, color=colors[name], linewidth=1.8, label=name)
        ax.stairs(total, edges.value, baseline=None, color=TOTAL_COLOR, linewidth=1.2, label="model, total")
        ax.errorbar(centers, counts, yerr=np.sqrt(counts), fmt="o", markersize=4, color=TOTAL_COLOR, elinewidth=1, label="counts")
        _finish_energy_axis(ax, edges, used)
        _set_log_range(ax, [counts, total, *sources.values()])
        ax.set_ylabel("Counts per bin")
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, borderaxespad=0, handlelength=1.6)
    return ax


def _set_log_range(ax, spectra):
    """Logarithmic counts axis from a little under the faintest component, but at most six decades, to over the brightest bin."""
    values = np.concatenate([np.asarray(spectrum)[np.isfinite(spectrum)] for spectrum in spectra])
    values = values[values > 0]
    if values.size:
        ax.set_yscale("log")
        ax.set_ylim(max(values.min() / 3, values.max() * 1e-6, 0.1), values.max() * 3)


def plot_residual_spectrum(dataset, ax=None, npred=None):
    """Significance of counts minus prediction per energy bin, with bands of one and two standard deviations.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts.
    ax : `matplotlib.axes.Axes`, optional
        Axes; a new figure is made without them.
    npred : Map, optional
        Predicted counts, if they are known already.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.
    """
    check_counts(dataset)
    with figure_style():
        ax = plt.figure(figsize=(7, 2.6)).add_subplot() if ax is None else ax
        edges, centers = _edges_and_centers(dataset)
        used = bins_in_mask(dataset)
        npred = dataset.npred() if npred is None else npred
        pulls = cash_significance(_spectrum(dataset.counts, dataset, used), _spectrum(npred, dataset, used))
        for level, alpha in ((2, 0.5), (1, 1.0)):
            ax.axhspan(-level, level, color=BAND_COLOR, alpha=alpha, linewidth=0)
        ax.axhline(0, color="0.4", linewidth=0.8)
        ax.errorbar(centers, pulls, yerr=np.where(np.isfinite(pulls), 1.0, np.nan), fmt="o", markersize=4, color=TOTAL_COLOR)
        _finish_energy_axis(ax, edges, used)
        limit = max(4.0, 1.2 * np.nanmax(np.abs(pulls), initial=0) + 1)
        ax.set_ylim(-limit, limit)
        ax.set_ylabel("Residual [σ]")
    return ax


def plot_spectrum(dataset, npred=None):
    """Figure with the counts spectrum and its residuals below.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts.
    npred : Map, optional
        Predicted counts, if they are known already.

    Returns
    -------
    `matplotlib.figure.Figure`
        The figure.
    """
    check_counts(dataset)
    with figure_style():
        figure = plt.figure(figsize=(7.2, 6.2))
        spectrum_column(dataset, figure, figure.add_gridspec(2, 1, height_ratios=[3, 1]), dataset.npred() if npred is None else npred)
    return figure


def spectrum_column(dataset, figure, grid, npred):
    """Counts spectrum above its residuals."""
    ax = figure.add_subplot(grid[0])
    plot_counts_spectrum(dataset, ax, npred)
    plot_residual_spectrum(dataset, figure.add_subplot(grid[1], sharex=ax), npred)
    ax.set_xlabel("")
    ax.tick_params(labelbottom=False, which="both")
