"""Pictures of a map dataset: counts, model and residual images, counts spectrum, residual histogram, and an overview of all of them.

Functions that draw one thing take axes and return them; `plot_images`, `plot_spectrum` and `plot_overview` make a figure. Everything they
show is summed inside the mask of the dataset (``mask_safe`` and ``mask_fit``). Spectra come from `gpudl4.plot.spectra`; the three
``plot_residuals*`` functions behind the methods of the same names of a dataset are in `gpudl4.plot.residuals`, `peek` in
`gpudl4.plot.quicklook`.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from ..maps import Map
from .images import bins_in_mask, check_counts, correlation_radius, display_energy, mask_image, residual_significance, summed_image
from .irf import plot_containment_radius
from .maps import plot_map
from .models import plot_source_positions
from .quicklook import peek
from .region_datasets import peek_region
from .residuals import plot_residuals, plot_residuals_spatial, plot_residuals_spectral
from .spectra import plot_counts_spectrum, plot_residual_spectrum, plot_spectrum, spectrum_column
from .style import COUNTS_CMAP, SIGNIFICANCE_CMAP, SIGNIFICANCE_RANGE, TOTAL_COLOR, figure_style

__all__ = [
    "peek",
    "plot_counts",
    "plot_counts_spectrum",
    "plot_images",
    "plot_npred",
    "plot_overview",
    "plot_residual_histogram",
    "plot_residual_significance",
    "plot_residual_spectrum",
    "plot_residuals",
    "plot_residuals_spatial",
    "plot_residuals_spectral",
    "plot_spectrum",
]

OUTSIDE_COLOR = "#E8E8E8"


def _sky_axes(dataset, width=6.4):
    return plt.figure(figsize=(width, 5.2), layout="compressed").add_subplot(projection=dataset.counts.geom.to_image().wcs)


def _energy_label(dataset):
    """Energy range of the bins inside the mask, as text."""
    axis = dataset.counts.geom.axes["energy"]
    used = np.flatnonzero(bins_in_mask(dataset))
    if not used.size:
        return "no energy in the mask"
    edges = display_energy(axis.edges[[used[0], used[-1] + 1]])
    return f"{edges[0].value:.3g} – {edges[1].value:.3g} {edges.unit}"


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
    check_counts(dataset)
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
            label=f"Counts per pixel, smoothed by {width:.2g}°",
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
    check_counts(dataset)
    return _plot_events(dataset.counts, dataset, ax, "Counts", width, vmin, vmax, sources)


def plot_npred(dataset, ax=None, width=None, vmin=None, vmax=None, sources=True, npred=None):
    """Image of the predicted counts, energies summed inside the mask.

    Parameters
    ----------
    dataset, ax, width, vmin, vmax, sources
        See `plot_counts`.
    npred : Map, optional
        Predicted counts, if they are known already.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes.
    """
    check_counts(dataset)
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
    check_counts(dataset)
    with figure_style():
        ax = _sky_axes(dataset) if ax is None else ax
        plot_map(
            residual_significance(dataset, radius, npred),
            ax=ax,
            add_cbar=True,
            cmap=SIGNIFICANCE_CMAP,
            vmin=-SIGNIFICANCE_RANGE,
            vmax=SIGNIFICANCE_RANGE,
            label=f"Significance in {correlation_radius(dataset, radius):.2g}° disks [σ]",
            title=f"Counts − model, {_energy_label(dataset)}",
        )
        _decorate(ax, dataset, sources, "black")
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
    check_counts(dataset)
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


def _image_height(dataset):
    """Height in inches of a row of three images that is 17 inches wide."""
    height, width = dataset.counts.geom.data_shape[-2:]
    return float(np.clip(4.2 * height / width, 2, 8)) + 0.8


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
    check_counts(dataset)
    with figure_style():
        figure = plt.figure(figsize=(17, _image_height(dataset)), layout="compressed")
        axes = [figure.add_subplot(1, 3, number, projection=dataset.counts.geom.to_image().wcs) for number in (1, 2, 3)]
        _image_row(dataset, axes, dataset.npred() if npred is None else npred)
    return figure


def plot_overview(dataset, figsize=None):
    """How well the models fit, in one figure: counts, model, residuals, counts spectrum, residual histogram, size of the PSF.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts; on a region the figure is that of `gpudl4.plot.peek_region`.
    figsize : pair of float, optional
        Width and height in inches; by default 17 by what the shape of the map needs.

    Returns
    -------
    `matplotlib.figure.Figure`
        The figure.
    """
    check_counts(dataset)
    if dataset.counts.geom.is_region:
        return peek_region(dataset, figsize or (16, 4))
    with figure_style():
        top, bottom = _image_height(dataset), 4.8
        figure = plt.figure(figsize=figsize or (17, top + bottom))
        figure.get_layout_engine().set(rect=(0, 0, 0.985, 1))
        grid = figure.add_gridspec(2, 3, height_ratios=[top, bottom])
        projection = dataset.counts.geom.to_image().wcs
        npred = dataset.npred()
        _image_row(dataset, [figure.add_subplot(grid[0, column], projection=projection) for column in range(3)], npred)
        spectrum_column(dataset, figure, grid[1, 0].subgridspec(2, 1, height_ratios=[3, 1]), npred)
        plot_residual_histogram(dataset, figure.add_subplot(grid[1, 1]), npred=npred)
        if dataset.psf is not None:
            plot_containment_radius(dataset.psf, figure.add_subplot(grid[1, 2]), position=dataset.counts.geom.center_skydir)
        figure.suptitle(f"Dataset {dataset.name}", fontsize=14)
    return figure
