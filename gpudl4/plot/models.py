"""Models in pictures: where the sources are on the sky, and spectra with their error bands."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np

from ..models import SkyModel
from .style import figure_style, outlined, source_colors

__all__ = ["plot_source_positions", "plot_source_spectra", "plot_spectral_model"]

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
        Write the names of the sources.
    """
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


def _log_error(spectral_model, energy):
    """Relative error of dnde at energies[n] by linear propagation of the covariance; zeros when the model has no errors."""
    parameters = spectral_model.parameters
    values = {parameter.name: parameter.quantity for parameter in parameters}
    covariance = np.asarray(spectral_model.covariance.data, dtype=float)
    center = spectral_model.evaluate(energy, **values)
    slopes = np.zeros((len(parameters), energy.size))
    for row, parameter in enumerate(parameters):
        step = 1e-2 * np.sqrt(covariance[row, row])
        if step > 0:
            shift = step * u.Unit(parameter.unit)
            upper = spectral_model.evaluate(energy, **(values | {parameter.name: parameter.quantity + shift}))
            lower = spectral_model.evaluate(energy, **(values | {parameter.name: parameter.quantity - shift}))
            slopes[row] = ((upper - lower) / (2 * step * center)).to_value("")
    return np.sqrt(np.clip(np.einsum("in,ij,jn->n", slopes, covariance, slopes), 0, None))


def plot_spectral_model(
    spectral_model,
    energy_bounds,
    ax=None,
    energy_power=2,
    n_points=100,
    color="#0072B2",
    label=None,
    error_band=True,
):
    """Differential flux against energy, with a band of one standard deviation.

    The band is ``dnde * exp(±s)``, where s is the relative error by linear propagation of the model's covariance.

    Parameters
    ----------
    spectral_model : SpectralModel
        Spectral model; its covariance gives the band.
    energy_bounds : pair of Quantity or of str
        Energy range.
    ax : `matplotlib.axes.Axes`, optional
        Axes; a new figure is made without them.
    energy_power : int
        Power of the energy that the flux is multiplied with; 2 shows the energy flux per logarithm of energy.
    n_points : int
        Number of energies, evenly in the logarithm.
    color : colour
        Colour of line and band.
    label : str, optional
        Entry of the legend.
    error_band : bool
        Draw the band.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.
    """
    low, high = (u.Quantity(bound) for bound in energy_bounds)
    energy = np.geomspace(low.to_value("TeV"), high.to_value("TeV"), n_points) * u.TeV
    unit = u.Unit("TeV") ** (energy_power - 1) * u.Unit("cm-2 s-1") if energy_power != 2 else u.Unit("erg cm-2 s-1")
    flux = (spectral_model(energy) * energy**energy_power).to_value(unit)
    with figure_style():
        ax = plt.figure(figsize=(6.6, 4.8)).add_subplot() if ax is None else ax
        ax.plot(energy.value, flux, color=color, linewidth=1.8, label=label)
        if error_band:
            error = _log_error(spectral_model, energy)
            ax.fill_between(energy.value, flux * np.exp(-error), flux * np.exp(error), color=color, alpha=0.25, linewidth=0)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("Energy [TeV]")
        quantity = {0: "dN/dE", 1: "E dN/dE"}.get(energy_power, f"E$^{{{energy_power}}}$ dN/dE")
        ax.set_ylabel(f"{quantity} [{unit.to_string('unicode')}]")
    return ax


def plot_source_spectra(models, energy_bounds, ax=None, energy_power=2):
    """Spectra of all sources of a set of models with their error bands; parameters as in `plot_spectral_model`.

    The flux axis covers at most four decades below the brightest source.
    """
    sources = {model.name: model for model in models if isinstance(model, SkyModel)}
    colors = source_colors(sources)
    with figure_style():
        ax = plt.figure(figsize=(6.6, 4.8)).add_subplot() if ax is None else ax
        peak = 0.0
        for name, model in sources.items():
            plot_spectral_model(model.spectral_model, energy_bounds, ax, energy_power, color=colors[name], label=name)
            peak = max(peak, float(np.nanmax(ax.lines[-1].get_ydata())))
        if sources and peak > 0:
            low, high = ax.get_ylim()
            ax.set_ylim(max(low, peak * 1e-4), high)
            ax.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, borderaxespad=0, handlelength=1.6)
    return ax
