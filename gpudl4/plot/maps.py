"""Sky images: `plot_map` for one image, `plot_grid` for a cube, plane by plane."""

import matplotlib.pyplot as plt
import numpy as np
from astropy.visualization import AsinhStretch, ImageNormalize, LinearStretch, LogStretch, SqrtStretch
from astropy.visualization.wcsaxes import WCSAxes

from ..core.backend import to_host
from ..core.errors import GeometryError
from .style import figure_style

__all__ = ["plot_grid", "plot_map"]

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


def plot_map(map_, ax=None, add_cbar=False, stretch="linear", cmap="viridis", vmin=None, vmax=None, label=None, title=None):
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
    shape = map_.geom.data_shape
    if np.prod(shape[:-2], dtype=int) != 1:
        raise GeometryError(f"plot_map needs an image, the map has the shape {shape}; use map.sum_over_axes() or plot_grid")
    with figure_style():
        if ax is None:
            ax = plt.figure(figsize=(6.4, 5.2), layout="compressed").add_subplot(projection=map_.geom.to_image().wcs)
        if not isinstance(ax, WCSAxes):
            raise GeometryError("the axes have no sky projection; make them with projection=map.geom.wcs")
        values = np.asarray(to_host(map_.data), dtype=float).reshape(shape[-2:])
        norm = image_norm(values, stretch, vmin, vmax)
        image = ax.imshow(values, origin="lower", cmap=cmap, norm=norm, interpolation="nearest")
        label_sky_axes(ax, map_.geom.frame)
        if add_cbar:
            ax.figure.colorbar(image, ax=ax, label=str(map_.unit) if label is None else label, pad=0.02)
        if title is not None:
            ax.set_title(title)
    return ax


def plot_grid(map_, n_columns=4, stretch="linear", cmap="viridis", label=None):
    """Plot every energy plane of a cube on its own colour scale.

    Parameters
    ----------
    map_ : Map
        Map with one axis beside the sky.
    n_columns : int
        Number of images in a row.
    stretch, cmap, label
        See `plot_map`.

    Returns
    -------
    `matplotlib.figure.Figure`
        The figure, one image per plane; the range of the axis is the title of each.
    """
    if len(map_.geom.axes) != 1:
        raise GeometryError(f"plot_grid needs a map with one axis, this one has {len(map_.geom.axes)}: {map_.geom.axes.names}")
    axis = map_.geom.axes[0]
    rows = -(-axis.nbin // n_columns)
    with figure_style():
        figure = plt.figure(figsize=(3.6 * n_columns, 3.3 * rows), layout="compressed")
        for index in range(axis.nbin):
            ax = figure.add_subplot(rows, n_columns, index + 1, projection=map_.geom.to_image().wcs)
            edges = axis.edges[index : index + 2]
            title = f"{edges[0].value:.3g} – {edges[1].value:.3g} {axis.unit}"
            plane = map_.slice_by_idx({axis.name: index})
            plot_map(plane, ax=ax, add_cbar=True, stretch=stretch, cmap=cmap, label=label, title=title)
            if index % n_columns:
                ax.coords[1].set_axislabel(" ")
            if index < axis.nbin - n_columns:
                ax.coords[0].set_axislabel(" ")
    return figure
