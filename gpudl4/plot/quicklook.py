"""What a map dataset holds, at a glance: `peek`, in the layout of gammapy. For the quality of a fit see `gpudl4.plot.plot_overview`."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm, Normalize

from ..core.backend import to_host
from ..maps import Map
from .axes import label_axis, set_range, x_positions
from .images import check_counts, display_energy
from .irf import plot_containment_radius, plot_edisp_kernel
from .maps import plot_map
from .region_datasets import peek_region
from .style import COUNTS_CMAP, TOTAL_COLOR, figure_style

__all__ = ["peek"]

FAINTEST = 0.02  # of the largest counts, where the colours begin if nothing is predicted somewhere


def _image(map_):
    """Sum over all energies, whatever the masks say; a float64 map on the host."""
    geom = map_.geom.to_image()
    values = np.asarray(to_host(map_.data), dtype=float).reshape(-1, *geom.data_shape).sum(axis=0)
    return Map.from_geom(geom, data=values, unit=map_.unit)


def _counts_scale(counts, npred):
    """Logarithmic colours that counts and prediction share: those of the prediction if it is positive everywhere."""
    low, high = npred.min(), npred.max()
    if low <= 0:
        low = max(FAINTEST * counts.max(), counts.min())
    if high <= 0:
        high = counts.max()
    return _log_scale(low, high)


def _log_scale(low, high):
    return LogNorm(vmin=low, vmax=high, clip=True) if 0 < low < high else Normalize(vmin=0, vmax=max(high, 1))


def _shade(ax, mask, **style):
    """Shade what a mask leaves out, on axes of any projection."""
    if mask is not None and not to_host(mask.data).all():
        values = np.asarray(to_host(mask.data)).astype(float)
        with plt.rc_context({"hatch.color": style.pop("hatch_color", "white"), "hatch.linewidth": 0.6}):
            ax.contourf(values, levels=[-0.5, 0.5], transform=ax.get_transform(mask.geom.wcs), **style)


def _shade_masks(ax, dataset, fit=True):
    limits = ax.get_xlim(), ax.get_ylim()
    if fit:
        _shade(ax, dataset.mask_fit_image, colors="white", alpha=0.2)
    _shade(ax, dataset.mask_safe_image, colors="none", hatches=["///"])
    ax.set(xlim=limits[0], ylim=limits[1])


def _plot_events(ax, dataset, image, norm, title):
    plot_map(image, ax, add_cbar=True, cmap=COUNTS_CMAP, norm=norm, title=title, label="Counts per pixel")
    _shade_masks(ax, dataset)


def _plot_exposure(ax, dataset):
    """Exposure at the middle true energy."""
    exposure = dataset.exposure
    axis = exposure.geom.axes["energy_true"]
    index = axis.nbin // 2
    image = exposure.slice_by_idx({"energy_true": index})
    values = np.asarray(to_host(image.data), dtype=float)
    positive = values[values > 0]
    norm = _log_scale(positive.min(), positive.max()) if positive.size else None
    energy = display_energy(axis.center[[index]])[0]
    label = f"Exposure [{exposure.unit.to_string('unicode')}]"
    plot_map(image, ax, add_cbar=True, cmap=COUNTS_CMAP, norm=norm, title=f"Exposure at {energy:.3g}", label=label)
    _shade_masks(ax, dataset, fit=False)


def _plot_exposure_profile(ax, dataset, position):
    """Exposure at a position against true energy."""
    exposure = dataset.exposure
    axis = exposure.geom.axes["energy_true"]
    values = np.ravel(exposure.to_region_nd_map(position, method="linear").data)
    ax.xaxis.set_units(display_energy(axis.edges).unit)
    x, low, high = x_positions(axis, ax)
    ax.plot(x, to_host(values), color=TOTAL_COLOR, linewidth=1.5)
    set_range(ax, "x", low[0], high[-1], fresh=True)
    label_axis(axis, ax)
    ax.set_yscale("log", nonpositive="clip")
    ax.set_ylabel(f"Exposure [{exposure.unit.to_string('unicode')}]")
    ax.set_title("Exposure at the centre")
    return ax


def _nothing(ax, title):
    ax.set_axis_off()
    ax.set_title(title)
    ax.text(0.5, 0.5, "none", ha="center", va="center", color="0.5", transform=ax.transAxes)


def peek(dataset, figsize=None):
    """Overview of what a dataset holds: exposure, counts and predicted counts as images; exposure, PSF and energy dispersion at the centre.

    Images are sums over all energies. What ``mask_safe`` leaves out at every energy is hatched, what ``mask_fit`` leaves out is pale.
    How well the models fit is shown by `gpudl4.plot.plot_overview`.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts; on a region the figure is that of `gpudl4.plot.peek_region`.
    figsize : pair of float, optional
        Width and height in inches; by default 13 by 7, on a region 16 by 4.

    Returns
    -------
    `matplotlib.figure.Figure`
        The figure, with six panels; those of what the dataset does not have are empty.

    Raises
    ------
    DatasetError
        If the dataset has no counts.
    """
    check_counts(dataset)
    if dataset.counts.geom.is_region:
        return peek_region(dataset, figsize or (16, 4))
    center = dataset.counts.geom.center_skydir
    counts, npred = _image(dataset.counts), _image(dataset.npred())
    norm = _counts_scale(counts.data, npred.data)
    with figure_style():
        figure = plt.figure(figsize=figsize or (13, 7))
        figure.get_layout_engine().set(rect=(0, 0, 0.985, 1), wspace=0.03, hspace=0.03)
        height, width = counts.data.shape
        grid = figure.add_gridspec(2, 3, height_ratios=[min(1, 0.3 + 0.7 * height / width), 1])
        if dataset.exposure is None:
            _nothing(figure.add_subplot(grid[0, 0]), "Exposure")
            _nothing(figure.add_subplot(grid[1, 0]), "Exposure at the centre")
        else:
            _plot_exposure(figure.add_subplot(grid[0, 0], projection=dataset.exposure.geom.to_image().wcs), dataset)
            _plot_exposure_profile(figure.add_subplot(grid[1, 0]), dataset, center)
        for column, (image, title) in enumerate(((counts, "Counts"), (npred, "Predicted counts")), 1):
            ax = figure.add_subplot(grid[0, column], projection=image.geom.wcs)
            _plot_events(ax, dataset, image, norm, title)
            ax.coords[1].set_axislabel(" ")
        ax = figure.add_subplot(grid[1, 1])
        if dataset.psf is None:
            _nothing(ax, "Containment radius at the centre")
        else:
            plot_containment_radius(dataset.psf, ax, position=center)
            ax.set_title("Containment radius at the centre")
        ax = figure.add_subplot(grid[1, 2])
        if dataset.edisp is None:
            _nothing(ax, "Energy dispersion at the centre")
        else:
            kernel = dataset.edisp.get_edisp_kernel(position=center, energy_axis=dataset.counts.geom.axes["energy"])
            ax.xaxis.set_units(display_energy(kernel.axes["energy_true"].edges).unit)
            plot_edisp_kernel(kernel, ax)
            ax.set_title("Energy dispersion at the centre")
    return figure
