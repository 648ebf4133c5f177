"""Models in pictures: where the sources are on the sky, their shapes, and spectra with error bands."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np

from ..core.errors import ModelError
from ..maps import WcsGeom
from ..models import SkyModel
from .maps import plot_map
from .style import figure_style, outlined, plain_numbers, source_colors

__all__ = ["plot_source_positions", "plot_source_spectra", "plot_spatial_model", "plot_spectral_model"]

MAX_NAMES = 15
SIZE_PARAMETERS = ("sigma", "r_0", "radius")


def _outline(model, n_points=100):
    """Sky coordinates of the ellipse that shows the size of an extended model (1 sigma of a Gaussian), None for a point."""
    parameters = model.spatial_model.parameters
    size = next((parameters[name].quantity for name in SIZE_PARAMETERS if name in parameters.names), None)
    if size is None or size <= 0:
        return None
    eccentricity = parameters["e"].value if "e" in parameters.names else 0.0
    phi = parameters["phi"].quantity if "phi" in parameters.names else 0 * u.deg
    minor = size * np.sqrt(1 - eccentricity**2)
    angle = np.linspace(0, 2 * np.pi, n_points) * u.rad
    distance = size * minor / np.sqrt((minor * np.cos(angle)) ** 2 + (size * np.sin(angle)) ** 2)
    return model.position.directional_offset_by(angle + phi, distance)


def plot_source_positions(models, ax, color="white", names=True):
    """Mark sources on a sky image: a cross at the position, and an ellipse of the size of an extended source.

    Parameters
    ----------
    models : Models
        Models; those without a position are left out.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`
        Axes of the image.
    color : {"white", "black"}
        Colour of the marks; their rim has the other one.
    names : bool
        Write the names of the sources, unless there are more than 15.
    """
    names = names and len(models) <= MAX_NAMES
    rim = outlined("black" if color == "white" else "white", 2)
    for model in models:
        if not isinstance(model, SkyModel) or model.position is None:
            continue
        x, y = ax.wcs.world_to_pixel(model.position)
        if not (ax.viewLim.x0 <= x <= ax.viewLim.x1 and ax.viewLim.y0 <= y <= ax.viewLim.y1):
            continue
        ax.plot(x, y, marker="+", color=color, markersize=9, markeredgewidth=1.3, linestyle="none", path_effects=rim)
        top = y
        outline = _outline(model)
        if outline is not None:
            xs, ys = ax.wcs.world_to_pixel(outline)
            ax.plot(xs, ys, color=color, linewidth=1.1, path_effects=rim, scalex=False, scaley=False)
            top = max(top, float(np.max(ys)))
        if names:
            ax.annotate(
                model.name,
                (float(x), top),
                xytext=(0, 8),
                textcoords="offset points",
                ha="center",
                color=color,
                fontsize=10,
                path_effects=rim,
            )


def plot_spectral_model(
    spectral_model,
    energy_bounds,
    ax=None,
    sed_type="dnde",
    energy_power=0,
    n_points=100,
    error_band=False,
    **kwargs,
):
    """Differential flux against energy.

    Parameters
    ----------
    spectral_model : SpectralModel
        Spectral model; its covariance gives the band.
    energy_bounds : pair of Quantity or of str
        Energy range.
    ax : `matplotlib.axes.Axes`, optional
        Axes; a new figure is made without them.
    sed_type : {"dnde", "e2dnde"}
        Differential flux, or the same times energy squared in erg cm-2 s-1.
    energy_power : int
        Power of the energy that the differential flux is multiplied with.
    n_points : int
        Number of energies, evenly in the logarithm.
    error_band : bool
        Draw a band of one standard deviation, ``dnde * exp(±s)`` with the relative error s of ``spectral_model.evaluate_error``.
    **kwargs
        Arguments of `matplotlib.axes.Axes.plot`.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    ModelError
        If the type of the spectrum is unknown.
    """
    if sed_type not in ("dnde", "e2dnde"):
        raise ModelError(f"sed_type {sed_type!r} cannot be plotted; known: 'dnde', 'e2dnde'")
    power = 2 if sed_type == "e2dnde" else energy_power
    low, high = (u.Quantity(bound) for bound in energy_bounds)
    energy = np.geomspace(low.to_value("TeV"), high.to_value("TeV"), n_points) * u.TeV
    flux = spectral_model(energy) * energy**power
    unit = u.Unit("erg cm-2 s-1") if power == 2 and flux.unit.is_equivalent("erg cm-2 s-1") else flux.unit
    flux = flux.to_value(unit)
    with figure_style():
        ax = plt.figure(figsize=(6.6, 4.8)).add_subplot() if ax is None else ax
        (line,) = ax.plot(energy.value, flux, **{"linewidth": 1.8, **kwargs})
        if error_band:
            value, error, _ = spectral_model.evaluate_error(energy)
            relative = np.divide(error.value, value.value, out=np.zeros(n_points), where=value.value > 0)
            band = (flux * np.exp(-relative), flux * np.exp(relative))
            ax.fill_between(energy.value, *band, color=line.get_color(), alpha=0.25, linewidth=0)
        ax.set_xscale("log")
        ax.set_yscale("log")
        plain_numbers(ax.xaxis)
        ax.set_xlabel("Energy [TeV]")
        quantity = {0: "dN/dE", 1: "E dN/dE"}.get(power, f"E$^{{{power}}}$ dN/dE")
        ax.set_ylabel(f"{quantity} [{unit.to_string('unicode')}]")
    return ax


def plot_source_spectra(models, energy_bounds, ax=None):
    """Spectra (E2 dN/dE) of all sources of a set of models with their error bands.

    Parameters
    ----------
    models : Models
        Models; background models are left out.
    energy_bounds : pair of Quantity or of str
        Energy range.
    ax : `matplotlib.axes.Axes`, optional
        Axes; a new figure is made without them.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes; they cover at most four decades below the brightest source.
    """
    sources = {model.name: model for model in models if isinstance(model, SkyModel)}
    colors = source_colors(sources)
    with figure_style():
        ax = plt.figure(figsize=(6.6, 4.8)).add_subplot() if ax is None else ax
        for name, model in sources.items():
            plot_spectral_model(model.spectral_model, energy_bounds, ax, "e2dnde", error_band=True, color=colors[name], label=name)
        peak = max((float(np.nanmax(line.get_ydata())) for line in ax.lines), default=0.0)
        if peak > 0:
            low, high = ax.get_ylim()
            ax.set_ylim(max(low, peak * 1e-4), high)
            ax.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, borderaxespad=0, handlelength=1.6)
    return ax


def plot_spatial_model(spatial_model, ax=None, geom=None, **kwargs):
    """Image of a spatial model: its share of the flux per pixel.

    Parameters
    ----------
    spatial_model : SpatialModel
        The model.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes with the projection of `geom`; a new figure is made without them.
    geom : WcsGeom, optional
        Pixels; by default 200 x 200 around the model, four evaluation radii wide.
    **kwargs
        Arguments of `gpudl4.plot.plot_map`.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes.

    Raises
    ------
    ModelError
        If the model has no evaluation radius and no geometry is given.
    """
    if geom is None:
        if spatial_model.evaluation_radius is None:
            raise ModelError(f"{type(spatial_model).__name__} has no evaluation radius: pass geom to plot it")
        width = 4 * max(0.1, spatial_model.evaluation_radius.to_value("deg"))
        geom = WcsGeom.create(skydir=spatial_model.position, npix=200, binsz=width / 200, proj="TAN", frame=spatial_model.frame)
    image = spatial_model.integrate_geom(geom.to_image())
    return plot_map(image, ax=ax, **{"add_cbar": True, "label": "Share of the flux per pixel", **kwargs})
