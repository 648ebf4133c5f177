"""Instrument responses in pictures: how wide the point spread function is, and where the energy dispersion puts events.

They are the functions behind the plotting methods of the classes of `gpudl4.irf`.
"""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import normalize_kwargs
from matplotlib.lines import Line2D

from ..core.backend import to_host
from ..core.errors import GeometryError
from ..maps import MapAxis
from .axes import axis_unit, current_axes, energy_unit
from .images import display_energy
from .maps import add_colorbar, plot_map
from .region_maps import plot_region_map
from .style import SOURCE_COLORS, figure_style, plain_numbers

__all__ = [
    "central_kernel",
    "current_axes",
    "peek_edisp_kernel",
    "peek_psf",
    "peek_psf_kernel",
    "plot_containment_radius",
    "plot_edisp_bias",
    "plot_edisp_kernel",
    "plot_psf_kernel",
    "plot_psf_profile",
]

MIDDLE = 1 * u.TeV  # energy of the images
DECADES = 6  # of a PSF profile that are shown


def plot_containment_radius(psf, ax=None, fraction=(0.68, 0.95), position=None, **kwargs):
    """Radius that contains a fraction of the events of a point source, against energy.

    Parameters
    ----------
    psf : PSFMap or RecoPSFMap
        Point spread function.
    ax : `matplotlib.axes.Axes`, optional
        Axes; a new figure is made without them.
    fraction : sequence of float
        Fractions of the events. Energies at which two fractions have the same radius have no PSF and are left out.
    position : SkyCoord, optional
        Position on the sky; the centre of the map by default.
    **kwargs
        Arguments of `matplotlib.axes.Axes.plot`.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.
    """
    name = psf.energy_name
    axis = psf.psf_map.geom.axes[name]
    radii = np.array([np.ravel(psf.containment_radius(value, axis.center, position).to_value("deg")) for value in fraction])
    if len(radii) > 1:
        radii[:, radii.max(axis=0) <= radii.min(axis=0)] = np.nan  # no PSF at these energies
    with figure_style():
        ax = plt.figure(figsize=(6, 4.4)).add_subplot() if ax is None else ax
        unit = axis_unit(ax.xaxis, display_energy(axis.center).unit)
        for number, (value, radius) in enumerate(zip(fraction, radii, strict=True)):
            look = {"marker": "o", "markersize": 4, "color": SOURCE_COLORS[number % len(SOURCE_COLORS)], "label": f"{100 * value:.4g} %"}
            ax.plot(axis.center.to_value(unit), radius, **{**look, **normalize_kwargs(kwargs, Line2D)})
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel(f"{'True energy' if name == 'energy_true' else 'Energy'} [{unit}]")
        ax.set_ylabel("Containment radius [deg]")
        ax.set_title("Point spread function")
        plain_numbers(ax.xaxis)
        plain_numbers(ax.yaxis)
        ax.legend()
    return ax


def plot_psf_profile(psf, ax=None, energy_true=(0.1, 1, 10) * u.TeV, position=None, **kwargs):
    """Point spread function against the offset, at some energies.

    Parameters
    ----------
    psf : PSFMap or RecoPSFMap
        Point spread function.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None.
    energy_true : `~astropy.units.Quantity`
        Energies, one line each; reconstructed ones of a `RecoPSFMap`.
    position : SkyCoord, optional
        Position on the sky; the centre of the map by default.
    **kwargs
        Arguments of `matplotlib.axes.Axes.plot`.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes; at most six decades below the highest value are shown.
    """
    geom = psf.psf_map.geom
    rad = geom.axes["rad"].center
    position = geom.center_skydir if position is None else position
    ax = current_axes(ax, x=u.deg, y=psf.psf_map.unit)
    with figure_style():
        x = rad.to_value(axis_unit(ax.xaxis, u.deg))
        factor = psf.psf_map.unit.to(axis_unit(ax.yaxis, psf.psf_map.unit))
        highest = 0.0
        for energy in np.atleast_1d(u.Quantity(energy_true)):
            where = {"skycoord": position, psf.energy_name: energy, "rad": rad}
            values = factor * np.ravel(to_host(psf.psf_map.interp_by_coord(where)))
            shown = display_energy(energy)
            ax.plot(x, values, **{"linewidth": 1.5, "label": f"{shown.value:.3g} {shown.unit}", **normalize_kwargs(kwargs, Line2D)})
            highest = max(highest, np.nanmax(values))
        ax.set_yscale("log", nonpositive="clip")
        if highest > 0:
            ax.set_ylim(max(ax.get_ylim()[0], highest * 10.0**-DECADES), 2 * highest)
        ax.set_xlabel(f"Offset [{ax.xaxis.units}]")
        ax.set_ylabel(f"PSF [{ax.yaxis.units.to_string('unicode')}]")
        ax.legend()
    return ax


def peek_psf(psf, figsize=(12, 10)):
    """Overview of a PSF: containment radii and profiles at the centre, exposure, and a map of the 68 % containment radius at 1 TeV.

    Parameters
    ----------
    psf : PSFMap or RecoPSFMap
        Point spread function.
    figsize : pair of float
        Width and height in inches.

    Returns
    -------
    `matplotlib.figure.Figure`
        The figure. Where 1 TeV is not among the energies of the PSF, the map is that of its middle energy.
    """
    with figure_style():
        figure = plt.figure(figsize=figsize)
        figure.get_layout_engine().set(rect=(0, 0, 0.98, 1))
        grid = figure.add_gridspec(2, 2)
        axis = psf.psf_map.geom.axes[psf.energy_name]
        plot_containment_radius(psf, figure.add_subplot(grid[0, 0])).set_title("Containment radius at the centre")
        inside = [energy for energy in (0.1, 1, 10) * u.TeV if axis.edges[0] <= energy <= axis.edges[-1]]
        energies = u.Quantity(inside or axis.center[[0, axis.nbin // 2, -1]])
        plot_psf_profile(psf, figure.add_subplot(grid[0, 1]), energies).set_title("Point spread function at the centre")
        middle = MIDDLE if axis.edges[0] <= MIDDLE <= axis.edges[-1] else axis.center[axis.nbin // 2]
        radius = psf.to_host().containment_radius_map(middle)
        exposure = psf.exposure_map
        if exposure is None:
            _say(figure.add_subplot(grid[1, 0]), "none", "Exposure")
        elif exposure.geom.is_region:
            ax = plot_region_map(exposure, figure.add_subplot(grid[1, 0]), axis_name="energy_true", linestyle="-", markersize=0, xerr=None)
            ax.set(title="Exposure", ylabel=ax.get_ylabel().replace("Value", "Exposure"))
        else:
            ax = figure.add_subplot(grid[1, 0], projection=exposure.geom.to_image().wcs)
            label = f"Sum over energies [{exposure.unit.to_string('unicode')}]"
            plot_map(exposure.sum_over_axes(keepdims=False), ax, add_cbar=True, title="Exposure", label=label)
        title = f"68 % containment radius at {display_energy(middle):.3g}"
        if radius.geom.is_region:
            _say(figure.add_subplot(grid[1, 1]), f"{float(np.ravel(radius.data)[0]):.3g} {radius.unit}", title)
        else:
            ax = figure.add_subplot(grid[1, 1], projection=radius.geom.to_image().wcs)
            plot_map(radius, ax, add_cbar=True, title=title, label=f"Radius [{radius.unit}]")
    return figure


def _say(ax, text, title):
    """A panel with a text in place of a picture."""
    ax.set_axis_off()
    ax.set_title(title)
    ax.text(0.5, 0.5, text, ha="center", va="center", color="0.5", transform=ax.transAxes)


def central_kernel(edisp):
    """Energy-dispersion matrix at the centre of a map; over migra, with as many reconstructed energies as true ones."""
    if "migra" not in edisp.edisp_map.geom.axes.names:
        return edisp.get_edisp_kernel()
    true = edisp.edisp_map.geom.axes["energy_true"]
    energy = MapAxis.from_energy_bounds(true.edges[0], true.edges[-1], nbin=true.nbin)
    return edisp.get_edisp_kernel(energy_axis=energy)


def plot_edisp_bias(edisp_kernel, ax=None, **kwargs):
    """Relative bias of the mean reconstructed energy against true energy.

    Parameters
    ----------
    edisp_kernel : EDispKernel
        Kernel.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if None.
    **kwargs
        Arguments of `matplotlib.axes.Axes.plot`.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.
    """
    energy = edisp_kernel.axes["energy_true"].center
    ax = current_axes(ax, x=energy.unit)
    with figure_style():
        x = energy.to_value(energy_unit(ax.xaxis, energy))
        ax.plot(x, edisp_kernel.get_bias(energy), **{"linewidth": 1.5, **normalize_kwargs(kwargs, Line2D)})
        ax.set_xscale("log")
        plain_numbers(ax.xaxis)
        ax.set_xlabel(f"True energy [{ax.xaxis.units}]")
        ax.set_ylabel("(Energy − true energy) / true energy")
    return ax


def peek_edisp_kernel(edisp_kernel, figsize=(15, 5)):
    """Bias and matrix of an energy dispersion.

    Parameters
    ----------
    edisp_kernel : EDispKernel
        Kernel.
    figsize : pair of float
        Width and height in inches.

    Returns
    -------
    `matplotlib.figure.Figure`
        The figure.
    """
    with figure_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=figsize)
        for ax in (left, right):
            ax.xaxis.set_units(display_energy(edisp_kernel.axes["energy_true"].edges).unit)
        plot_edisp_bias(edisp_kernel, left).set_title("Bias")
        plot_edisp_kernel(edisp_kernel, right)
    return figure


def plot_psf_kernel(psf_kernel, ax=None, energy=None, add_cbar=False, **kwargs):
    """Image of a PSF on the pixels of a map.

    Parameters
    ----------
    psf_kernel : PSFKernel
        Kernel.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes with the kernel's projection; see `plot_map`.
    energy : `~astropy.units.Quantity`, optional
        The plane whose centre is nearest; by default the weighted sum of all that `PSFKernel.to_image` makes.
    add_cbar, **kwargs
        As for `plot_map`.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The axes.
    """
    if energy is None:
        image = psf_kernel.to_image().psf_kernel_map
    else:
        axis = next(axis for axis in psf_kernel.psf_kernel_map.geom.axes if axis.is_energy_axis)
        index = int(np.argmin(np.abs(axis.center - u.Quantity(energy))))
        image = psf_kernel.psf_kernel_map.slice_by_idx({axis.name: index})
    return plot_map(image, ax, add_cbar=add_cbar, **{"label": "Share per pixel", **kwargs})


def peek_psf_kernel(psf_kernel, figsize=(15, 5)):
    """A PSF kernel for all energies together, and at 1 TeV.

    Parameters
    ----------
    psf_kernel : PSFKernel
        Kernel with an energy axis.
    figsize : pair of float
        Width and height in inches.

    Returns
    -------
    `matplotlib.figure.Figure`
        The figure.

    Raises
    ------
    GeometryError
        If the kernel has no energies.
    """
    geom = psf_kernel.psf_kernel_map.geom
    if not any(axis.is_energy_axis for axis in geom.axes):
        raise GeometryError("the kernel has no energy axis: use plot_kernel()")
    with figure_style():
        figure = plt.figure(figsize=figsize)
        left, right = (figure.add_subplot(1, 2, number, projection=geom.to_image().wcs) for number in (1, 2))
        plot_psf_kernel(psf_kernel, left, add_cbar=True, title="All energies")
        plot_psf_kernel(psf_kernel, right, MIDDLE, add_cbar=True, title=f"At {MIDDLE:g}")
    return figure


def plot_edisp_kernel(edisp_kernel, ax=None, add_cbar=True, axes_loc=None, kwargs_colorbar=None, **kwargs):
    """Energy dispersion: probability of each reconstructed energy bin, per true energy.

    Parameters
    ----------
    edisp_kernel : EDispKernel
        Kernel with ``pdf_matrix`` of shape (energy_true, energy).
    ax : `matplotlib.axes.Axes`, optional
        Axes; a new figure is made without them.
    add_cbar : bool
        Draw a colour bar beside the matrix.
    axes_loc, kwargs_colorbar : dict, optional
        Where the colour bar goes and how it looks, see `plot_map`.
    **kwargs
        Arguments of `matplotlib.axes.Axes.pcolormesh`.

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.
    """
    true, reco = edisp_kernel.axes["energy_true"], edisp_kernel.axes["energy"]
    with figure_style():
        ax = plt.figure(figsize=(6, 4.8)).add_subplot() if ax is None else ax
        matrix = np.asarray(edisp_kernel.pdf_matrix, dtype=float)
        units = energy_unit(ax.xaxis, true.edges), energy_unit(ax.yaxis, reco.edges)
        x, y = true.edges.to_value(units[0]), reco.edges.to_value(units[1])
        scale = {} if "norm" in kwargs else {"vmin": 0}
        mesh = ax.pcolormesh(x, y, matrix.T, **{"cmap": "cividis", **scale, **kwargs})
        ax.plot(x[[0, -1]], (x[[0, -1]] * units[0]).to_value(units[1]), "w:")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlim(x[0], x[-1])
        ax.set_ylim(y[0], y[-1])
        plain_numbers(ax.xaxis)
        plain_numbers(ax.yaxis)
        ax.set_xlabel(f"True energy [{units[0]}]")
        ax.set_ylabel(f"Energy [{units[1]}]")
        if add_cbar:
            add_colorbar(mesh, ax, axes_loc, {"label": "Probability per bin", **(kwargs_colorbar or {})})
        ax.set_title("Energy dispersion")
    return ax
