"""Maps on axes; the methods of the maps (``map.plot()``) call these functions.

`plot_map` draws one image, `plot_map_grid` a cube plane by plane, `plot_map_mask` a mask over an image. Maps of a region are drawn by
`gpudl4.plot.region_maps`.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy.visualization import AsinhStretch, ImageNormalize, LinearStretch, LogStretch, SqrtStretch
from astropy.visualization.wcsaxes import WCSAxes

from ..core.backend import to_host
from ..core.errors import GeometryError
from .images import display_energy
from .style import figure_style

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
            coordinate.set_major_formatter("d.d")
            coordinate.set_format_unit("deg", show_decimal_unit=True)


def _image_of(map_, verb):
    """Image array of a map with a single plane."""
    shape = map_.geom.data_shape
    if np.prod(shape[:-2], dtype=int) != 1:
        raise GeometryError(f"{verb} needs an image, the map has the shape {shape}; use map.sum_over_axes() or map.plot_grid()")
    return np.asarray(to_host(map_.data)).reshape(shape[-2:])


def _sky_axes(map_, ax):
    """The axes given, or those of a new figure with the projection of the map."""
    if ax is None:
        ax = plt.figure(figsize=(6.4, 5.2), layout="compressed").add_subplot(projection=map_.geom.to_image().wcs)
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
):
    """Plot an image on sky coordinates.

    Parameters
    ----------
    map_ : Map
        Map without an energy axis, or with axes of one bin only.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes with the map's projection; a new figure is made without them.
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
        ax = _sky_axes(map_, ax)
        norm = image_norm(values, stretch, vmin, vmax) if norm is None else norm
        image = ax.imshow(values, origin="lower", cmap=cmap, norm=norm, interpolation=interpolation, alpha=alpha)
        label_sky_axes(ax, map_.geom.frame)
        if add_cbar:
            bar = ax.inset_axes([1.02, 0, 0.045, 1])  # as high as the image, whatever its shape
            ax.figure.colorbar(image, cax=bar, label=str(map_.unit) if label is None else label)
        if title is not None:
            ax.set_title(title)
    return ax


def plot_map_mask(map_, ax=None, colors="0.5", alpha=0.5):
    """Shade the True pixels of a mask.

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
        ax.contourf(values.astype(float), levels=[0.5, 1.5], colors=[colors], alpha=alpha)
        ax.set_aspect("equal")
        label_sky_axes(ax, map_.geom.frame)
    return ax


def plot_map_grid(map_, figsize=None, ncols=3, add_cbar=True, stretch="linear", cmap="viridis", label=None):
    """Plot every plane of a cube on its own colour scale.

    Parameters
    ----------
    map_ : Map
        Map with one axis beside the sky.
    figsize : pair of float, optional
        Width and height in inches; by default 3.6 by 3.3 per image.
    ncols : int
        Number of images in a row.
    add_cbar, stretch, cmap, label
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
            edges = axis.edges[index : index + 2]
            edges = display_energy(edges) if axis.is_energy_axis else edges
            title = f"{edges[0].value:.3g} – {edges[1].value:.3g} {edges.unit}"
            plot_map(map_.slice_by_idx({axis.name: index}), ax, add_cbar, stretch, cmap, label=label, title=title)
            if index % ncols:
                ax.coords[1].set_axislabel(" ")
            if index < axis.nbin - ncols:
                ax.coords[0].set_axislabel(" ")
            grid[divmod(index, ncols)] = ax
    return grid
