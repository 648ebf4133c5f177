"""Residuals under gammapy's names and arguments: the functions behind ``dataset.plot_residuals()`` and its two halves.

They show differences or ratios of smoothed counts and prediction. For an image whose noise is one standard deviation everywhere, see
`gpudl4.plot.plot_residual_significance`.
"""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from ..core.backend import to_host
from ..core.errors import DatasetError
from ..maps import Map
from ..stats import CashCountsStatistic
from .images import check_counts, display_energy, mask_image, masked_cube, summed_image
from .maps import plot_map
from .style import SIGNIFICANCE_CMAP, TOTAL_COLOR, figure_style, plain_numbers

__all__ = ["plot_residuals", "plot_residuals_spatial", "plot_residuals_spectral"]

LABELS = {"diff": "counts − model", "diff/model": "(counts − model) / model", "diff/sqrt(model)": "(counts − model) / √model"}
SMOOTHING = {"gauss": ndimage.gaussian_filter, "box": ndimage.uniform_filter}


def _scale(model, method):
    """What a difference is divided by."""
    if method not in LABELS:
        raise DatasetError(f"unknown method {method!r} of residuals; known: {', '.join(LABELS)}")
    return {"diff": np.ones_like(model), "diff/model": model, "diff/sqrt(model)": np.sqrt(np.clip(model, 0, None))}[method]


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
        If the dataset has no counts, or the method or the kernel is unknown.
    """
    check_counts(dataset)
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


def _shade_bins(ax, edges, outside, style):
    for index in np.flatnonzero(outside):
        ax.axvspan(edges[index], edges[index + 1], **{"color": "0.9", "linewidth": 0, "zorder": 0, **style})


def plot_residuals_spectral(dataset, ax=None, method="diff", region=None, kwargs_fit=None, kwargs_safe=None, **kwargs):
    """Residuals per energy bin, summed over a region inside the mask.

    The bars are the standard deviation of the excess counts. Bins that ``mask_safe`` or ``mask_fit`` leave out are shaded.

    Parameters
    ----------
    dataset : MapDataset
        Dataset with counts.
    ax : `matplotlib.axes.Axes`, optional
        Axes; a new figure is made without them.
    method : {"diff", "diff/model", "diff/sqrt(model)"}
        What is shown.
    region : `regions.SkyRegion`, optional
        Pixels whose centre lies inside are summed; the whole map by default.
    kwargs_fit, kwargs_safe : dict, optional
        Arguments of `matplotlib.axes.Axes.axvspan` for the bins outside ``mask_fit`` and ``mask_safe``.
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
    edges = display_energy(geom.axes["energy"].edges)
    inside = _region_image(geom, region)
    counts = masked_cube(dataset.counts, dataset.mask)[..., inside].sum(axis=-1).ravel()
    model = masked_cube(dataset.npred(), dataset.mask)[..., inside].sum(axis=-1).ravel()
    error = np.asarray(CashCountsStatistic(counts, model).error)
    with figure_style():
        ax = plt.figure(figsize=(6.4, 4.4)).add_subplot() if ax is None else ax
        for mask, style in ((dataset.mask_safe, kwargs_safe), (dataset.mask_fit, kwargs_fit)):
            if mask is not None:
                _shade_bins(ax, edges.value, ~masked_cube(mask)[..., inside].any(axis=-1).ravel(), style or {})
        ax.axhline(0, color="0.4", linewidth=0.8)
        style = {"fmt": "o", "markersize": 4, "color": TOTAL_COLOR, "elinewidth": 1, **kwargs}
        y, y_error = _divided(counts - model, model, method), _divided(error, model, method)
        x, low, high = geom.axes["energy"].center.to_value(edges.unit), edges.value[:-1], edges.value[1:]
        ax.errorbar(x, y, yerr=y_error, xerr=[x - low, high - x], **style)
        ax.set_xscale("log")
        ax.set_xlim(low[0], high[-1])
        plain_numbers(ax.xaxis)
        ax.set_xlabel(f"Energy [{edges.unit}]")
        ax.set_ylabel(f"Residual, {LABELS[method]}")
        limit = np.nanmax(np.abs(y) + y_error, initial=0.0) * 1.15 or 1.0
        ax.set_ylim(-limit, limit)
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
    kwargs_spectral = kwargs_spectral or {}
    wcs = dataset.counts.geom.to_image().wcs
    with figure_style():
        if ax_spatial is None and ax_spectral is None:
            figure = plt.figure(figsize=(11.5, 4.6))
            ax_spatial, ax_spectral = figure.add_subplot(1, 2, 1, projection=wcs), figure.add_subplot(1, 2, 2)
        ax_spatial = plot_residuals_spatial(dataset, ax_spatial, **(kwargs_spatial or {}))
        ax_spectral = plot_residuals_spectral(dataset, ax_spectral, **kwargs_spectral)
        region = kwargs_spectral.get("region")
        if region is not None:
            ax_spatial.add_artist(region.to_pixel(wcs).as_artist(fill=False, edgecolor="black", linewidth=1.2))
    return ax_spatial, ax_spectral
