"""Pictures of a map dataset: counts, model and residual images, counts spectrum, residual histogram, and an overview of all of them.

The three ``plot_residuals*`` functions are those behind the methods of the same names of a dataset; see `gpudl4.plot.residuals`.

Functions that draw one thing take axes and return them; `plot_images`, `plot_spectrum` and `peek` make a figure. Everything they show is
summed inside the mask of the dataset (``mask_safe`` and ``mask_fit``).
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from ..core.errors import DatasetError
from ..maps import Map
from ..models import SkyModel
from .images import cash_significance, correlation_radius, display_energy, mask_image, masked_cube, residual_significance, summed_image
from .irf import plot_containment_radius
from .maps import plot_map
from .models import plot_source_positions
from .residuals import plot_residuals, plot_residuals_spatial, plot_residuals_spectral
from .style import (
    BACKGROUND_COLOR,
    BAND_COLOR,
    COUNTS_CMAP,
    SIGNIFICANCE_CMAP,
    SIGNIFICANCE_RANGE,
    TOTAL_COLOR,
    figure_style,
    source_colors,
)

__all__ = [
    "peek",
    "plot_counts",
    "plot_counts_spectrum",
    "plot_images",
    "plot_npred",
    "plot_residual_histogram",
    "plot_residual_significance",
    "plot_residual_spectrum",
    "plot_residuals",
    "plot_residuals_spatial",
    "plot_residuals_spectral",
    "plot_spectrum",
]

MAX_SOURCES = 6
OUTSIDE_COLOR = "#E8E8E8"


def _check_counts(dataset):
    if dataset.counts is None:
        raise DatasetError(f"dataset {dataset.name!r} has no counts to plot")


def _sky_axes(dataset, width=6.4):
    return plt.figure(figsize=(width, 5.2), layout="compressed").add_subplot(projection=dataset.counts.geom.to_image().wcs)


def _energy_label(dataset):
    """Energy range of the bins inside the mask, as text."""
    axis = dataset.counts.geom.axes["energy"]
    used = np.flatnonzero(_bins_in_mask(dataset))
    if not used.size:
        return "no energy in the mask"
    edges = display_energy(axis.edges[[used[0], used[-1] + 1]])
    return f"{edges[0].value:.3g} – {edges[1].value:.3g} {edges.unit}"


def _bins_in_mask(dataset):
    """Energy bins with at least one pixel inside the mask; bool, shape (energy,)."""
    inside = masked_cube(dataset.mask) > 0 if dataset.mask is not None else np.ones(dataset.counts.geom.data_shape, dtype=bool)
    return inside.any(axis=(-2, -1)).reshape(-1)


def _smoothed(map_, dataset, width):
    """Image summed over energy and smoothed by a Gaussian inside the mask; NaN outside."""
    inside = mask_image(dataset)
    pixels = width / float(np.mean(dataset.counts.geom.pixel_scales.to_value("deg")))
    image = ndimage.gaussian_filter(summed_image(map_, dataset.mask), pixels, mode="constant")
    weight = ndimage.gaussian_filter(inside.astype(float), pixels, mode="constant")
    values = np.divide(image, weight, out=np.full_like(image, np.nan), where=inside)
    return Map.from_geom(dataset.counts.geom.to_image(), data=values)


def _decorate(ax, dataset, sources, color):
    """Outline of the mask, and the sources."""
    ax.set_facecolor(OUTSIDE_COLOR)
    inside = mask_image(dataset)
    if not inside.all():
        ax.contour(inside.astype(float), levels=[0.5], colors="0.35", linewidths=0.8)
    if sources and dataset.models is not None:
        plot_source_positions(dataset.models, ax, color=color)


def _plot_events(map_, dataset, ax, title, width, vmin, vmax, sources):
    _check_counts(dataset)
    width = correlation_radius(dataset) / 2 if width is None else width
    with figure_style():
        ax = _sky_axes(dataset) if ax is None else ax
        plot_map(
            _smoothed(map_, dataset, width),
            ax=ax,
            add_cbar=True,
            stretch="sqrt",
            cmap=COUNTS_CMAP,
            vmin=vmin,
            vmax=vmax,
            label=f"Counts per pixel (smoothed, σ = {width:.2g}°)",
            title=f"{title}, {_energy_label(dataset)}",
        )
        _decorate(ax, dataset, sources, "white")
    return ax


def plot_counts(dataset, ax=None, width=None, vmin=None, vmax=None, sources=True):
    """Image of the observed counts, energies summed inside the mask.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes with the projection of the counts; a new figure is made without them.
    width : float, optional
        Width (sigma) of the Gaussian that smooths the image, in deg; by default half the radius that residuals are summed in.
    vmin, vmax : float, optional
        Limits of the colours.
    sources : bool
        Mark the positions of the models.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes.
    """
    _check_counts(dataset)
    return _plot_events(dataset.counts, dataset, ax, "Counts", width, vmin, vmax, sources)


def plot_npred(dataset, ax=None, width=None, vmin=None, vmax=None, sources=True, npred=None):
    """Image of the predicted counts; parameters as in `plot_counts`, and `npred` if the prediction is known already."""
    _check_counts(dataset)
    npred = dataset.npred() if npred is None else npred
    return _plot_events(npred, dataset, ax, "Model", width, vmin, vmax, sources)


def plot_residual_significance(dataset, ax=None, radius=None, sources=True, npred=None):
    """Image of the residual significance in a disk around each pixel, colours from -5 to 5 standard deviations.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes with the projection of the counts; a new figure is made without them.
    radius : Quantity or str, optional
        Radius of the disk, see `gpudl4.plot.images.correlation_radius`.
    sources : bool
        Mark the positions of the models.
    npred : Map, optional
        Predicted counts, if they are known already.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes.
    """
    _check_counts(dataset)
    with figure_style():
        ax = _sky_axes(dataset) if ax is None else ax
        plot_map(
            residual_significance(dataset, radius, npred),
            ax=ax,
            add_cbar=True,
            cmap=SIGNIFICANCE_CMAP,
            vmin=-SIGNIFICANCE_RANGE,
            vmax=SIGNIFICANCE_RANGE,
            label=f"Significance in disks of {correlation_radius(dataset, radius):.2g}° [σ]",
            title=f"Counts − model, {_energy_label(dataset)}",
        )
        _decorate(ax, dataset, sources, "black")
    return ax


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
    _check_counts(dataset)
    with figure_style():
        ax = plt.figure(figsize=(7, 5)).add_subplot() if ax is None else ax
        edges, centers = _edges_and_centers(dataset)
        used = _bins_in_mask(dataset)
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
    """Significance of counts minus prediction per energy bin, with bands of one and two standard deviations; parameters as above."""
    _check_counts(dataset)
    with figure_style():
        ax = plt.figure(figsize=(7, 2.6)).add_subplot() if ax is None else ax
        edges, centers = _edges_and_centers(dataset)
        used = _bins_in_mask(dataset)
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


def plot_residual_histogram(dataset, ax=None, radius=None, npred=None):
    """Histogram of the residual significance of all pixels, with the normal distribution that pure noise would give.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts.
    ax : `matplotlib.axes.Axes`, optional
        Axes; a new figure is made without them.
    radius : Quantity or str, optional
        Radius of the disk each pixel's significance is computed in.
    npred : Map, optional
        Predicted counts, if they are known already.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.
    """
    _check_counts(dataset)
    with figure_style():
        ax = plt.figure(figsize=(6, 4.4)).add_subplot() if ax is None else ax
        values = residual_significance(dataset, radius, npred).data
        values = values[np.isfinite(values)]
        limit = max(SIGNIFICANCE_RANGE, float(np.abs(values).max(initial=0)) * 1.05)
        edges = np.linspace(-limit, limit, 61)
        heights = np.histogram(values, edges)[0] / max(values.size, 1) / np.diff(edges)
        ax.stairs(heights, edges, fill=True, color="#56B4E9", label="pixels")
        x = np.linspace(-limit, limit, 400)
        ax.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color=TOTAL_COLOR, linewidth=1.5, label="N(0, 1)")
        ax.set_yscale("log")
        ax.set_ylim(0.3 / max(values.size, 10), 2)
        ax.set_xlim(-limit, limit)
        ax.set_xlabel("Significance [σ]")
        ax.set_ylabel("Density")
        if values.size:
            ax.set_title(f"Pixels: mean {round(values.mean(), 2) + 0.0:.2f}, width {values.std():.2f}")
        ax.legend(loc="upper left")
    return ax


def _image_row(dataset, axes, npred):
    """Counts, model on the same colour scale, and residuals."""
    plot_counts(dataset, axes[0], vmin=0)
    plot_npred(dataset, axes[1], npred=npred, vmin=0, vmax=axes[0].images[-1].norm.vmax)
    plot_residual_significance(dataset, axes[2], npred=npred)
    for ax in axes[1:]:
        ax.coords[1].set_axislabel(" ")


def plot_images(dataset, npred=None):
    """Figure with the images of counts, model and residual significance side by side.

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
    _check_counts(dataset)
    with figure_style():
        height, width = dataset.counts.geom.data_shape[-2:]
        figure = plt.figure(figsize=(17, float(np.clip(4.2 * height / width, 2, 8)) + 0.8), layout="compressed")
        axes = [figure.add_subplot(1, 3, number, projection=dataset.counts.geom.to_image().wcs) for number in (1, 2, 3)]
        _image_row(dataset, axes, dataset.npred() if npred is None else npred)
    return figure


def plot_spectrum(dataset, npred=None):
    """Figure with the counts spectrum and its residuals below; parameters as in `plot_images`."""
    _check_counts(dataset)
    with figure_style():
        figure = plt.figure(figsize=(7.2, 6.2))
        _spectrum_column(dataset, figure, figure.add_gridspec(2, 1, height_ratios=[3, 1]), dataset.npred() if npred is None else npred)
    return figure


def _spectrum_column(dataset, figure, grid, npred):
    """Counts spectrum above its residuals."""
    ax = figure.add_subplot(grid[0])
    plot_counts_spectrum(dataset, ax, npred)
    plot_residual_spectrum(dataset, figure.add_subplot(grid[1], sharex=ax), npred)
    ax.set_xlabel("")
    ax.tick_params(labelbottom=False)


def peek(dataset, figsize=(17, 10)):
    """Overview figure: counts, model, residuals, counts spectrum, residual histogram, size of the point spread function.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts.
    figsize : pair of float
        Width and height in inches.

    Returns
    -------
    `matplotlib.figure.Figure`
        The figure.
    """
    _check_counts(dataset)
    with figure_style():
        figure = plt.figure(figsize=figsize)
        grid = figure.add_gridspec(2, 3)
        projection = dataset.counts.geom.to_image().wcs
        npred = dataset.npred()
        _image_row(dataset, [figure.add_subplot(grid[0, column], projection=projection) for column in range(3)], npred)
        _spectrum_column(dataset, figure, grid[1, 0].subgridspec(2, 1, height_ratios=[3, 1]), npred)
        plot_residual_histogram(dataset, figure.add_subplot(grid[1, 1]), npred=npred)
        if dataset.psf is not None:
            plot_containment_radius(dataset.psf, figure.add_subplot(grid[1, 2]), position=dataset.counts.geom.center_skydir)
        figure.suptitle(f"Dataset {dataset.name}", fontsize=14)
    return figure
