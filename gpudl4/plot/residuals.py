"""Residuals under gammapy's names and arguments: the functions behind ``dataset.plot_residuals()`` and its two halves.

They show differences or ratios of smoothed counts and prediction. For an image whose noise is one standard deviation everywhere, see
`gpudl4.plot.plot_residual_significance`.
"""

import astropy.units as u
import numpy as np
from matplotlib.cbook import normalize_kwargs
from matplotlib.lines import Line2D
from scipy import ndimage

from ..core.backend import to_host
from ..core.errors import DatasetError
from ..maps import Map
from .axes import current_axes, energy_unit, label_axis, set_range, x_positions
from .images import check_counts, mask_image, masked_cube, summed_image
from .maps import plot_map
from .region_maps import shade_runs
from .style import SIGNIFICANCE_CMAP, TOTAL_COLOR, empty_figure, figure_style

__all__ = ["excess_variance", "plot_residuals", "plot_residuals_spatial", "plot_residuals_spectral", "shade_masks"]

LABELS = {"diff": "counts − model", "diff/model": "(counts − model) / model", "diff/sqrt(model)": "(counts − model) / √model"}
SMOOTHING = {"gauss": ndimage.gaussian_filter, "box": ndimage.uniform_filter}


def _scale(model, method):
    """What a difference is divided by."""
    if method not in LABELS:
        raise DatasetError(f"unknown method {method!r} of residuals; known: {', '.join(LABELS)}")
    return {"diff": np.ones_like(model), "diff/model": model, "diff/sqrt(model)": np.sqrt(np.clip(model, 0, None))}[method]


def _need_pixels(dataset):
    if dataset.counts.geom.is_region:
        raise DatasetError(f"dataset {dataset.name!r} is of a region, which has no pixels: use plot_residuals_spectral()")


def _divided(difference, model, method):
    scale = _scale(model, method)
    return np.divide(difference, scale, out=np.full_like(model, np.nan), where=scale > 0)


def plot_residuals_spatial(dataset, ax=None, method="diff", smooth_kernel="gauss", smooth_radius="0.1 deg", **kwargs):
    """Smoothed residuals on the sky, summed over energy inside the mask.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes with the projection of the counts; a new figure is made without them.
    method : {"diff", "diff/model", "diff/sqrt(model)"}
        What is shown.
    smooth_kernel : {"gauss", "box"}
        Shape of the smoothing kernel.
    smooth_radius : Quantity, str or float
        Its width: sigma of the Gaussian, side of the box. A number is in pixels.
    **kwargs
        Arguments of `gpudl4.plot.plot_map`; the colours are symmetric around zero without ``vmin`` and ``vmax``.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes.

    Raises
    ------
    DatasetError
        If the dataset has no counts or no pixels, or the method or the kernel is unknown.
    """
    check_counts(dataset)
    _need_pixels(dataset)
    if smooth_kernel not in SMOOTHING:
        raise DatasetError(f"unknown smooth_kernel {smooth_kernel!r}; known: {', '.join(SMOOTHING)}")
    geom = dataset.counts.geom.to_image()
    width = u.Quantity(smooth_radius)
    pixels = float(width.value if width.unit == "" else (width / np.mean(u.Quantity(geom.pixel_scales))).to_value(""))
    size = pixels if smooth_kernel == "gauss" else max(round(pixels), 1)
    smooth = SMOOTHING[smooth_kernel]
    counts = smooth(summed_image(dataset.counts, dataset.mask), size, mode="constant")
    model = smooth(summed_image(dataset.npred(), dataset.mask), size, mode="constant")
    values = np.where(mask_image(dataset), _divided(counts - model, model, method), np.nan)
    limit = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    options = {"add_cbar": True, "cmap": SIGNIFICANCE_CMAP, "label": LABELS[method], "vmin": -limit, "vmax": limit, **kwargs}
    return plot_map(Map.from_geom(geom, data=values), ax=ax, **options)


def _region_image(geom, region):
    """Pixels whose centre lies inside a sky region; all of them without one."""
    if region is None:
        return np.ones(geom.data_shape[-2:], dtype=bool)
    return np.asarray(to_host(geom.to_image().region_mask(region).data))


def shade_masks(ax, dataset, kwargs_fit=None, kwargs_safe=None, inside=None):
    """Shade the energies of the bins that are in ``mask_fit`` and ``mask_safe``, each run of bins once; legends name a mask once.

    Parameters
    ----------
    ax : `matplotlib.axes.Axes`
        Axes with energies.
    dataset : MapDataset
        Dataset; a mask that it does not have is left out.
    kwargs_fit, kwargs_safe : dict, optional
        Arguments of `matplotlib.axes.Axes.axvspan`.
    inside : bool array, optional
        Pixels of which one has to be in the mask, shape (lat, lon); any by default.
    """
    edges = dataset._geom.axes["energy"].edges
    edges = edges.to_value(energy_unit(ax.xaxis, edges))
    masks = (
        (dataset.mask_fit, {"color": "tab:green", "label": "Mask fit", **(kwargs_fit or {})}),
        (dataset.mask_safe, {"color": "black", "label": "Mask safe", **(kwargs_safe or {})}),
    )
    for mask, style in masks:
        if mask is None:
            continue
        cube = masked_cube(mask) > 0
        bins = (cube.reshape(*cube.shape[:-2], -1) if inside is None else cube[..., inside]).any(axis=-1).reshape(-1)
        shade_runs(ax, edges, bins, {"alpha": 0.08, "linewidth": 0, "zorder": 0, **style})


def excess_variance(dataset):
    """Variance of the excess counts in each bin: ``n_on + alpha^2 n_off`` with off counts, else ``n``; on the host, as the counts.

    Of several bins together it is the sum, also where alpha differs between them.
    """
    counts = masked_cube(dataset.counts)
    if dataset.stat_type != "wstat":
        return counts
    return counts + masked_cube(dataset.alpha) ** 2 * masked_cube(dataset.counts_off)


def plot_residuals_spectral(dataset, ax=None, method="diff", region=None, kwargs_fit=None, kwargs_safe=None, **kwargs):
    """Residuals per energy bin, summed over a region inside the mask.

    The bars are the standard deviation of the excess counts. Energies inside ``mask_safe`` and ``mask_fit`` are shaded; in bins without any
    pixel inside both nothing is drawn.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None.
    method : {"diff", "diff/model", "diff/sqrt(model)"}
        What is shown.
    region : `regions.SkyRegion`, optional
        Pixels whose centre lies inside are summed; the whole map by default.
    kwargs_fit, kwargs_safe : dict, optional
        Arguments of `matplotlib.axes.Axes.axvspan` for the bins inside ``mask_fit`` and ``mask_safe``.
    **kwargs
        Arguments of `matplotlib.axes.Axes.errorbar`.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    DatasetError
        If the dataset has no counts or the method is unknown.
    """
    check_counts(dataset)
    geom = dataset.counts.geom
    inside = _region_image(geom, region)

    def spectrum(values):
        return np.where(mask, values, 0.0)[..., inside].sum(axis=-1).ravel()

    mask = np.ones(geom.data_shape, dtype=bool) if dataset.mask is None else np.asarray(to_host(dataset.mask.data))
    used = mask[..., inside].any(axis=-1).ravel()
    counts, model = spectrum(masked_cube(dataset.counts)), spectrum(masked_cube(dataset.npred()))
    error = np.sqrt(spectrum(excess_variance(dataset)))
    y, y_error = (np.where(used, _divided(part, model, method), np.nan) for part in (counts - model, error))
    ax = current_axes(ax)
    with figure_style():
        axis, fresh = geom.axes["energy"], not ax.has_data()
        x, low, high = x_positions(axis, ax)
        style = {
            "marker": "o",
            "linestyle": "none",
            "markersize": 4,
            "color": TOTAL_COLOR,
            "elinewidth": 1,
            **normalize_kwargs(kwargs, Line2D),
        }
        ax.errorbar(x, y, **{"yerr": y_error, "xerr": [x - low, high - x], **style})
        ax.axhline(0, color=style["color"], linewidth=0.5)
        shade_masks(ax, dataset, kwargs_fit, kwargs_safe, inside)
        set_range(ax, "x", low[0], high[-1], fresh)
        label_axis(axis, ax)
        ax.set_ylabel(f"Residual, {LABELS[method]}")
        limit = np.nanmax(np.abs(y) + y_error, initial=0.0) * 1.15 or 1.0
        set_range(ax, "y", -limit, limit, fresh)
        if ax.get_legend_handles_labels()[0]:
            ax.legend()
    return ax


def plot_residuals(dataset, ax_spatial=None, ax_spectral=None, kwargs_spatial=None, kwargs_spectral=None):
    """Residuals on the sky and per energy bin, in two panels.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts.
    ax_spatial : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes of the image.
    ax_spectral : `matplotlib.axes.Axes`, optional
        Axes of the spectrum. A new figure holds both if neither is given.
    kwargs_spatial, kwargs_spectral : dict, optional
        Arguments of `plot_residuals_spatial` and `plot_residuals_spectral`; a region among the latter is outlined in the image.

    Returns
    -------
    ax_spatial, ax_spectral
        The axes.
    """
    check_counts(dataset)
    _need_pixels(dataset)
    kwargs_spectral = kwargs_spectral or {}
    wcs = dataset.counts.geom.to_image().wcs
    with figure_style():
        if ax_spatial is None and ax_spectral is None:
            figure = empty_figure((11.5, 4.6))
            ax_spatial, ax_spectral = figure.add_subplot(1, 2, 1, projection=wcs), figure.add_subplot(1, 2, 2)
        ax_spatial = plot_residuals_spatial(dataset, ax_spatial, **(kwargs_spatial or {}))
        ax_spectral = plot_residuals_spectral(dataset, ax_spectral, **kwargs_spectral)
        region = kwargs_spectral.get("region")
        if region is not None:
            ax_spatial.add_artist(region.to_pixel(wcs).as_artist(fill=False, edgecolor="black", linewidth=1.2))
    return ax_spatial, ax_spectral
