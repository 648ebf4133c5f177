"""Maps on axes; the methods of the maps (``map.plot()``) call these functions.

`plot_map` draws one image, `plot_map_grid` a cube plane by plane, `plot_map_mask` what a mask leaves out, over an image. Maps of a region
are drawn by `gpudl4.plot.region_maps`.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy.visualization import AsinhStretch, ImageNormalize, LinearStretch, LogStretch, SqrtStretch
from astropy.visualization.wcsaxes import WCSAxes

from ..core.backend import to_host
from ..core.errors import GeometryError
from .axes import range_text
from .style import empty_figure, figure_style

__all__ = ["plot_map", "plot_map_grid", "plot_map_mask"]

STRETCHES = {"linear": LinearStretch, "sqrt": SqrtStretch, "log": LogStretch, "asinh": AsinhStretch}
AXIS_LABELS = {"galactic": ("Galactic longitude", "Galactic latitude"), "icrs": ("Right ascension", "Declination")}


def image_norm(values, stretch="linear", vmin=None, vmax=None):
    """Colour scale over the finite values.

    Parameters
    ----------
    values : array
        Image; values that are not finite are left out.
    stretch : {"linear", "sqrt", "log", "asinh"}
        Scale of the colours.
    vmin, vmax : float, optional
        Limits; by default the smallest and the largest value.
    """
    if stretch not in STRETCHES:
        raise GeometryError(f"unknown stretch {stretch!r}; known: {', '.join(STRETCHES)}")
    finite = values[np.isfinite(values)]
    low = float(finite.min()) if vmin is None and finite.size else vmin or 0.0
    high = float(finite.max()) if vmax is None and finite.size else vmax or 1.0
    if not high > low:
        high = low + 1.0
    return ImageNormalize(vmin=low, vmax=high, stretch=STRETCHES[stretch]())


def label_sky_axes(ax, frame):
    """Write the names of the sky coordinates on axes with a celestial projection."""
    lon, lat = AXIS_LABELS.get(frame, ("Longitude", "Latitude"))
    ax.coords[0].set_axislabel(lon)
    ax.coords[1].set_axislabel(lat)
    if frame == "galactic":
        for coordinate in ax.coords:
            coordinate.set_format_unit("deg", decimal=True, show_decimal_unit=True)  # as many decimals as the ticks need


def _image_of(map_, verb):
    """Image array of a map with a single plane."""
    shape = map_.geom.data_shape
    if np.prod(shape[:-2], dtype=int) != 1:
        raise GeometryError(f"{verb} needs an image, the map has the shape {shape}; use map.sum_over_axes() or map.plot_grid()")
    return np.asarray(to_host(map_.data)).reshape(shape[-2:])


def new_sky_axes(geom, figure=None):
    """Axes with the projection of a sky geometry: in the figure given, else in the current one if it is empty, else in a new one."""
    figure = empty_figure((6.4, 5.2), layout="compressed") if figure is None else figure
    return figure.add_subplot(projection=geom.to_image().wcs)


def _sky_axes(map_, ax, figure=None):
    """The axes given, or new ones with the projection of the map."""
    ax = new_sky_axes(map_.geom, figure) if ax is None else ax
    if not isinstance(ax, WCSAxes):
        raise GeometryError("the axes have no sky projection; make them with projection=map.geom.wcs")
    return ax


def plot_map(
    map_,
    ax=None,
    add_cbar=False,
    stretch="linear",
    cmap="viridis",
    vmin=None,
    vmax=None,
    norm=None,
    interpolation="nearest",
    alpha=None,
    label=None,
    title=None,
    fig=None,
    axes_loc=None,
    kwargs_colorbar=None,
    **kwargs,
):
    """Plot an image on sky coordinates.

    Parameters
    ----------
    map_ : Map
        Map without an energy axis, or with axes of one bin only.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes with the map's projection; without them new ones in `fig`, in the current figure if it is empty, or in a new one.
    add_cbar : bool
        Draw a colour bar beside the image.
    stretch : {"linear", "sqrt", "log", "asinh"}
        Scale of the colours.
    cmap : str or Colormap
        Colour map.
    vmin, vmax : float, optional
        Limits of the colours.
    norm : `matplotlib.colors.Normalize`, optional
        Scale of the colours, instead of `stretch`, `vmin` and `vmax`.
    interpolation, alpha : str, float
        As for `matplotlib.axes.Axes.imshow`.
    label : str, optional
        Text along the colour bar; by default the unit of the map.
    title : str, optional
        Title of the axes.
    fig : `matplotlib.figure.Figure`, optional
        Figure to make axes in, if none are given.
    axes_loc : dict, optional
        Where the colour bar goes, arguments of ``AxesDivider.append_axes`` of `mpl_toolkits.axes_grid1` ("position", "size", "pad"); by
        default to the right, as high as the image.
    kwargs_colorbar : dict, optional
        Arguments of `matplotlib.figure.Figure.colorbar`.
    **kwargs
        Further arguments of `matplotlib.axes.Axes.imshow`.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes; the image is ``ax.images[-1]``.

    Raises
    ------
    GeometryError
        If the map has more than one plane, the axes have no celestial projection, or the stretch is unknown.
    """
    values = _image_of(map_, "plot_map").astype(float)
    with figure_style():
        ax = _sky_axes(map_, ax, fig)
        if map_.is_mask and norm is None:
            vmin, vmax = vmin or 0, 1 if vmax is None else vmax
        norm = image_norm(values, stretch, vmin, vmax) if norm is None else norm
        style = {"origin": "lower", "cmap": cmap, "norm": norm, "interpolation": interpolation, "alpha": alpha}
        try:
            image = ax.imshow(values, **{**style, **kwargs})
        except AttributeError as error:  # what matplotlib says of unknown arguments
            raise TypeError(f"plot_map passes its further arguments to matplotlib: {error}") from error
        label_sky_axes(ax, map_.geom.frame)
        if add_cbar:
            add_colorbar(image, ax, axes_loc, {"label": str(map_.unit) if label is None else label, **(kwargs_colorbar or {})})
        if title is not None:
            ax.set_title(title)
        ax.autoscale(False)  # what is drawn over the image leaves its limits
    return ax


def add_colorbar(image, ax, axes_loc, kwargs):
    """Colour bar beside an image: as high as the image, whatever its shape, or where the arguments of ``append_axes`` say."""
    if axes_loc is None:
        bar = ax.inset_axes([1.02, 0, 0.045, 1])
    else:
        from mpl_toolkits.axes_grid1 import make_axes_locatable

        place = {"position": "right", "size": "5%", "pad": 0.1, "axes_class": plt.Axes, **axes_loc}
        bar = make_axes_locatable(ax).append_axes(**place)
        if place["position"] in ("top", "bottom"):
            kwargs = {"orientation": "horizontal", **kwargs}
    ax.figure.colorbar(image, cax=bar, **kwargs)


def plot_map_mask(map_, ax=None, colors="0.5", alpha=0.5, **kwargs):
    """Shade what a mask leaves out: its False pixels.

    Parameters
    ----------
    map_ : Map
        Mask of one plane.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes with the map's projection, for instance those of an image; a new figure is made without them.
    colors : colour
        Colour of the shade.
    alpha : float
        Its opacity.
    **kwargs
        Arguments of `matplotlib.axes.Axes.contourf`, such as ``hatches=["///"]``.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes.
    """
    values = _image_of(map_, "plot_map_mask")
    if values.dtype.kind != "b":
        raise GeometryError(f"a mask has boolean values, these are {values.dtype}; plot them with map.plot()")
    with figure_style():
        ax = _sky_axes(map_, ax)
        colors = {} if "cmap" in kwargs else {"colors": colors}
        ax.contourf(values.astype(float), **{"levels": [-0.5, 0.5], "alpha": alpha, **colors, **kwargs})
        ax.set_aspect("equal")
        label_sky_axes(ax, map_.geom.frame)
        ax.autoscale(False)
    return ax


def plot_map_grid(map_, figsize=None, ncols=3, add_cbar=True, **kwargs):
    """Plot every plane of a cube on its own colour scale.

    Parameters
    ----------
    map_ : Map
        Map with one axis beside the sky.
    figsize : pair of float, optional
        Width and height in inches; by default 3.6 by 3.3 per image.
    ncols : int
        Number of images in a row.
    add_cbar, **kwargs
        See `plot_map`.

    Returns
    -------
    array of `~astropy.visualization.wcsaxes.WCSAxes`
        One per plane, shape (rows, ncols), None where a row ends early; the range of the axis is the title of each.
    """
    if len(map_.geom.axes) != 1:
        raise GeometryError(f"plot_map_grid needs a map with one axis, this one has {len(map_.geom.axes)}: {map_.geom.axes.names}")
    axis = map_.geom.axes[0]
    rows = -(-axis.nbin // ncols)
    grid = np.full((rows, ncols), None)
    with figure_style():
        figure = plt.figure(figsize=figsize or (3.6 * ncols, 3.3 * rows), layout="compressed")
        for index in range(axis.nbin):
            ax = figure.add_subplot(rows, ncols, index + 1, projection=map_.geom.to_image().wcs)
            plot_map(map_.slice_by_idx({axis.name: index}), ax, **{"add_cbar": add_cbar, "title": range_text(axis, index), **kwargs})
            if index % ncols:
                ax.coords[1].set_axislabel(" ")
            if index < axis.nbin - ncols:
                ax.coords[0].set_axislabel(" ")
            grid[divmod(index, ncols)] = ax
    return grid
