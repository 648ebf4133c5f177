"""Regions on sky images: outlines of regions and the places of points; the functions behind ``geom.plot_region()`` and its kin."""

import matplotlib.pyplot as plt
from astropy.visualization.wcsaxes import WCSAxes

from ..core.errors import GeometryError, ModelError
from ..maps import RegionGeom
from ..maps.region_shapes import as_regions
from .maps import label_sky_axes, new_sky_axes
from .style import figure_style

__all__ = ["plot_model_positions", "plot_model_regions", "plot_position_error", "plot_region", "plot_spatial_error"]

ERRORS = ("position", "extension", "all")
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


def plot_position_error(model, ax=None, **kwargs):
    """Mark the position of a spatial model, with the ellipse that holds the true one with a probability of 95 %.

    Parameters
    ----------
    model : SpatialModel
        Model; without errors only its position is marked.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes; by default the current ones if they show the sky, else new ones that just hold the ellipse.
    **kwargs
        Arguments of `matplotlib.axes.Axes.scatter` for the mark; its ``color`` is also that of the ellipse.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes.
    """
    ellipse = model.position_error
    with figure_style():
        ax = _sky_axes(RegionGeom.from_regions(model.position if ellipse is None else ellipse, binsz_wcs=_pixel(ellipse)), ax)
        style = {"marker": "x", "color": "red", "label": "position", **kwargs}
        x, y = ax.wcs.world_to_pixel(model.position)
        ax.scatter(x, y, **style)
        if ellipse is not None:
            ax.add_artist(ellipse.to_pixel(ax.wcs).as_artist(facecolor="none", edgecolor=style["color"]))
    return ax


def _pixel(ellipse):
    """Pixels small enough for an ellipse."""
    return "0.1 deg" if ellipse is None else min(0.1, ellipse.height.to_value("deg") / 20)


def plot_spatial_error(model, ax=None, which="position", size_factor=1.0, kwargs_position=None, kwargs_extension=None):
    """Draw the errors of a spatial model on the sky.

    Parameters
    ----------
    model : SpatialModel
        Model.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes, as for `plot_region`.
    which : {"position", "extension", "all"} or list of them
        What to draw. A model without a size, or without an error of it, has no extension to draw.
    size_factor : float
        Outline around which the error of the size is shaded, in units of the size.
    kwargs_position : dict, optional
        Arguments of `plot_position_error`.
    kwargs_extension : dict, optional
        Arguments of `regions.PixelRegion.as_artist`.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes.

    Raises
    ------
    ModelError
        If `which` is unknown.
    """
    which = [which] if isinstance(which, str) else list(which)
    unknown = [name for name in which if name not in ERRORS]
    if unknown:
        raise ModelError(f"which={unknown} cannot be drawn; known: {', '.join(ERRORS)}")
    find = getattr(model, "region_of_size_error", None)
    ring = find(size_factor) if find is not None and {"all", "extension"} & set(which) else None
    with figure_style():
        if ring is not None:
            ax = _sky_axes(RegionGeom.from_regions(ring), ax)
            style = {"edgecolor": "red", "facecolor": "red", "alpha": 0.15, "fill": True, **(kwargs_extension or {})}
            ax.add_artist(ring.to_pixel(ax.wcs).as_artist(**style))
        if {"all", "position"} & set(which):
            ax = plot_position_error(model, ax, **(kwargs_position or {}))
    return _sky_axes(RegionGeom.from_regions(model.position), ax)
