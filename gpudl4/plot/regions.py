"""Regions on sky images: outlines of regions and the places of points; the functions behind ``geom.plot_region()`` and its kin."""

import matplotlib.pyplot as plt
from astropy.visualization.wcsaxes import WCSAxes

from ..core.errors import GeometryError, ModelError
from ..maps import RegionGeom
from ..maps.region_shapes import as_regions
from .maps import label_sky_axes, new_sky_axes
from .style import figure_style

__all__ = ["plot_model_positions", "plot_model_regions", "plot_region"]

MARGIN = 1.2  # width of new axes over that of the region
LINE_NAMES = {
    "color": "markeredgecolor",
    "edgecolor": "markeredgecolor",
    "ec": "markeredgecolor",
    "facecolor": "markerfacecolor",
    "fc": "markerfacecolor",
    "linewidth": "markeredgewidth",
    "lw": "markeredgewidth",
}
"""What a marker calls the properties of an outline."""


def _sky_axes(geom, ax):
    """The axes given, else the current ones if they show the sky, else new ones around the region."""
    if ax is None and plt.get_fignums() and plt.gcf().axes and isinstance(plt.gca(), WCSAxes):
        return plt.gca()
    if ax is None:
        sky = geom.to_image().to_wcs_geom(width_min=MARGIN * geom.width)
        ax = new_sky_axes(sky)
        height, width = sky.data_shape
        ax.set(xlim=(-0.5, width - 0.5), ylim=(-0.5, height - 0.5), aspect="equal")
        label_sky_axes(ax, sky.frame)
    if not isinstance(ax, WCSAxes):
        raise GeometryError("the axes have no sky projection; make them with projection=map.geom.wcs")
    return ax


def plot_region(geom, ax=None, kwargs_point=None, path_effect=None, **kwargs):
    """Draw the outline of a region on the sky, of each part of a union; points as markers.

    Parameters
    ----------
    geom : RegionGeom
        Geometry with a region.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes; by default the current ones if they show the sky, else new ones that just hold the region.
    kwargs_point : dict, optional
        Arguments of `matplotlib.lines.Line2D` for points. Colours and line widths of `kwargs` hold for points too where these do not say
        otherwise.
    path_effect : `matplotlib.patheffects.AbstractPathEffect`, optional
        Effect for all outlines and markers.
    **kwargs
        Arguments of `regions.PixelRegion.as_artist`; ``color`` is that of the outline.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes; outlines are in ``ax.patches``, points in ``ax.lines``.

    Raises
    ------
    GeometryError
        If there is no region, or the axes do not show the sky.
    """
    from regions import PointPixelRegion

    regions = as_regions(geom._require().region)
    with figure_style():
        ax = _sky_axes(geom, ax)
        color = kwargs.pop("color", kwargs.pop("c", None))
        if "ec" in kwargs:
            kwargs["edgecolor"] = kwargs.pop("ec")
        style = {"facecolor": "none", "edgecolor": "C0", **kwargs}
        if color is not None:
            style["edgecolor"] = color
        points = {"marker": "*", **{LINE_NAMES[key]: value for key, value in style.items() if key in LINE_NAMES}, **(kwargs_point or {})}
        if "color" in points:
            points["markeredgecolor"] = points["color"]
        elif color is not None:
            points["color"] = color
        for region in regions:
            pixels = region.to_pixel(ax.wcs)
            artist = pixels.as_artist(**(points if isinstance(pixels, PointPixelRegion) else style))
            if path_effect is not None:
                artist.set_path_effects([path_effect])
            ax.add_artist(artist)
    return ax


def _no_place(models):
    if not len(models):
        raise ModelError("none of the models has a region to draw")


def plot_model_regions(models, ax=None, kwargs_point=None, path_effect=None, size_factor=None, **kwargs):
    """Draw the outlines of all models with a place on the sky; arguments as of `plot_region`.

    Parameters
    ----------
    models : Models
        Models; those without a spatial model are left out.
    size_factor : float, optional
        Size of the outlines of extended models, in units of their own (1 sigma of a Gaussian).

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes.

    Raises
    ------
    ModelError
        If no model has a region.
    """
    regions = models.to_regions(size_factor=size_factor)
    _no_place(regions)
    return plot_region(RegionGeom.from_regions(regions), ax, kwargs_point, path_effect, **kwargs)


def plot_model_positions(models, ax=None, **kwargs):
    """Mark the positions of all models that have one.

    Parameters
    ----------
    models : Models
        Models.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes; by default the current ones if they show the sky, else new ones that just hold the models.
    **kwargs
        Arguments of `matplotlib.axes.Axes.scatter`.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes.

    Raises
    ------
    ModelError
        If no model has a position.
    """
    positions = models.positions
    with figure_style():
        ax = _sky_axes(RegionGeom.from_regions(positions), ax)
        x, y = ax.wcs.world_to_pixel(positions)
        color = {} if {"color", "c", "edgecolors", "facecolors"} & set(kwargs) else {"color": "tab:blue"}
        ax.scatter(x, y, **{"marker": "*", **color, **kwargs})
    return ax
