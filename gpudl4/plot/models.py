"""Models in pictures: where the sources are on the sky, their shapes, and spectra with error bands."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import normalize_kwargs
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D

from ..core.errors import ModelError
from ..maps import MapAxis, WcsGeom
from ..models import SkyModel
from .axes import axis_unit, current_axes, energy_unit
from .flux_points import UNITS, flux_label, power_unit
from .maps import plot_map
from .style import figure_style, outlined, plain_numbers, source_colors

__all__ = [
    "plot_correlation",
    "plot_source_positions",
    "plot_source_spectra",
    "plot_spatial_model",
    "plot_spectral_error",
    "plot_spectral_model",
]

MAX_NAMES = 15
SED_TYPES = ("dnde", "e2dnde", "flux", "eflux")
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


class _Drawing:
    """What lines and bands of a spectrum share: the bins of the drawn axis, the axes of the picture, and the units along them.

    Differential fluxes are those at the centres of the bins, integral ones those of the bins, drawn at their centres; as in gammapy.
    """

    def __init__(self, spectral_model, energy_bounds, ax, sed_type, energy_power, n_points):
        if sed_type not in SED_TYPES:
            raise ModelError(f"sed_type {sed_type!r} cannot be plotted; known: {', '.join(map(repr, SED_TYPES))}")
        self.model, self.axis = spectral_model, _drawn_axis(energy_bounds, n_points)
        energy = self.axis.center
        own = spectral_model(energy[:1]).unit
        if own.is_equivalent(UNITS["dnde"]):
            self.sed_type, natural = sed_type, power_unit(sed_type, energy_power, energy.unit)
        else:  # a factor, which has no fluxes
            self.sed_type, natural = "norm", own * energy.unit**energy_power
        self.ax = current_axes(ax, x=energy.unit, y=natural)
        self.x, self.unit = energy.to_value(energy_unit(self.ax.xaxis, energy)), axis_unit(self.ax.yaxis, natural)
        self.power, self.label = energy_power, flux_label(self.sed_type, energy_power, self.unit)

    def _scaled(self, flux):
        power = self.power + 2 * (self.sed_type == "e2dnde")
        return (flux * self.axis.center**power).to_value(self.unit)

    def values(self):
        """Numbers along y, shape (nbin,)."""
        if self.sed_type == "flux":
            return self._scaled(self.model.integral(self.axis.edges_min, self.axis.edges_max))
        if self.sed_type == "eflux":
            return self._scaled(self.model.energy_flux(self.axis.edges_min, self.axis.edges_max))
        return self._scaled(self.model(self.axis.center))

    def band(self):
        """Lower and upper ends of one standard deviation, each of shape (nbin,)."""
        if self.sed_type == "flux":
            value, error, _ = self.model.integral_error(self.axis.edges_min, self.axis.edges_max)
        elif self.sed_type == "eflux":
            value, error, _ = self.model.energy_flux_error(self.axis.edges_min, self.axis.edges_max)
        else:
            value, error, _ = self.model.evaluate_error(self.axis.center)
        relative = np.divide(error.value, value.value, out=np.zeros(value.size), where=value.value > 0)
        return self._scaled(value * np.exp(-relative)), self._scaled(value * np.exp(relative))

    def finish(self):
        """Scales and names of the axes."""
        self.ax.set_xscale("log")
        self.ax.set_yscale("log", nonpositive="clip")
        plain_numbers(self.ax.xaxis)
        self.ax.set_xlabel(f"Energy [{self.ax.xaxis.units}]")
        self.ax.set_ylabel(self.label)
        return self.ax


def _drawn_axis(energy_bounds, n_points):
    """Axis along which a spectrum is drawn: the one given, else `n_points` bins between the bounds, evenly in the logarithm."""
    if isinstance(energy_bounds, MapAxis):
        return energy_bounds
    low, high = (u.Quantity(bound) for bound in energy_bounds)
    return MapAxis.from_energy_bounds(low, high, nbin=n_points)


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
    """Flux against energy.

    Parameters
    ----------
    spectral_model : SpectralModel
        Spectral model; its covariance gives the band.
    energy_bounds : pair of Quantity or of str, or MapAxis
        Energy range, which is cut into `n_points` bins; or the bins. The line joins their centres.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None. Units that they have already are used.
    sed_type : {"dnde", "e2dnde", "flux", "eflux"}
        Differential flux in cm-2 s-1 TeV-1, or the same times energy squared in erg cm-2 s-1; integral of the flux over each bin in
        cm-2 s-1, or of energy times flux in erg cm-2 s-1, which are as large as the bins are wide. Without influence on a factor (norm).
    energy_power : int
        Power of the energy that the flux is multiplied with.
    n_points : int
        Number of bins, evenly in the logarithm.
    error_band : bool
        Draw a band of one standard deviation, flux times ``exp(±s)`` with the relative error s of ``spectral_model.evaluate_error``,
        ``integral_error`` or ``energy_flux_error``.
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
    UnitMismatchError
        If the axes have a unit that does not convert.
    """
    with figure_style():
        drawing = _Drawing(spectral_model, energy_bounds, ax, sed_type, energy_power, n_points)
        (line,) = drawing.ax.plot(drawing.x, drawing.values(), **{"linewidth": 1.8, **normalize_kwargs(kwargs, Line2D)})
        if error_band:
            look = {"color": line.get_color(), "alpha": 0.25, "linewidth": 0, "zorder": line.get_zorder() - 1}
            drawing.ax.fill_between(drawing.x, *drawing.band(), **look)
        return drawing.finish()


def plot_spectral_error(
    spectral_model,
    energy_bounds,
    ax=None,
    sed_type="dnde",
    energy_power=0,
    n_points=100,
    n_samples=None,
    random_state=None,
    samples=None,
    **kwargs,
):
    """Band of one standard deviation around the flux.

    Parameters
    ----------
    spectral_model, energy_bounds, ax, sed_type, energy_power, n_points
        See `plot_spectral_model`.
    n_samples, random_state, samples
        Accepted so that scripts for gammapy run: errors are propagated with exact derivatives, not from samples.
    **kwargs
        Arguments of `matplotlib.axes.Axes.fill_between`.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.
    """
    with figure_style():
        drawing = _Drawing(spectral_model, energy_bounds, ax, sed_type, energy_power, n_points)
        style = normalize_kwargs(kwargs, PolyCollection)
        if "color" not in style:
            style = {"facecolor": "black", **style}
        drawing.ax.fill_between(drawing.x, *drawing.band(), **{"alpha": 0.2, "linewidth": 0, **style})
        return drawing.finish()


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


def plot_correlation(covariance, figsize=None, **kwargs):
    """Correlation matrix of parameters, with its numbers written into the cells.

    Parameters
    ----------
    covariance : Covariance
        Covariance, such as that of ``models`` or of a part of their parameters.
    figsize : pair of float, optional
        Width and height in inches; by default 0.9 by 0.7 for each parameter, and room for their names.
    **kwargs
        Arguments of `matplotlib.axes.Axes.imshow`.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes; the matrix is ``ax.images[0]``. Parameters without an error have correlation 0.

    Raises
    ------
    ModelError
        If there are no parameters.
    """
    correlation, names = covariance.correlation, covariance.parameters.names
    if not names:
        raise ModelError("there are no parameters whose correlation can be drawn")
    with figure_style():
        ax = plt.figure(figsize=figsize or (1.6 + 0.9 * len(names), 1.2 + 0.7 * len(names))).add_subplot()
        image = ax.imshow(correlation, **{"cmap": "coolwarm", "vmin": -1, "vmax": 1, "aspect": "auto", **kwargs})
        ax.set_xticks(range(len(names)), names, rotation=30, ha="left", rotation_mode="anchor")
        ax.set_yticks(range(len(names)), names)
        ax.tick_params(top=True, bottom=False, labeltop=True, labelbottom=False, length=0)
        for (row, column), value in np.ndenumerate(correlation):
            ax.text(column, row, f"{round(value, 2) + 0.0:.2f}", ha="center", va="center", color="white" if abs(value) > 0.7 else "black")
        ax.figure.colorbar(image, label="Correlation")
    return ax
