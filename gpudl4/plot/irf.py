"""Instrument responses in pictures: how wide the point spread function is, and where the energy dispersion puts events."""

import matplotlib.pyplot as plt
import numpy as np

from .axes import energy_unit
from .images import display_energy
from .style import SOURCE_COLORS, figure_style, plain_numbers

__all__ = ["plot_containment_radius", "plot_edisp_kernel"]


def plot_containment_radius(psf, ax=None, fraction=(0.68, 0.95), position=None):
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

    Returns
    -------
    `matplotlib.axes.Axes`
        The axes.
    """
    name = psf.energy_name
    axis = psf.psf_map.geom.axes[name]
    energy = display_energy(axis.center)
    radii = np.array([np.ravel(psf.containment_radius(value, axis.center, position).to_value("deg")) for value in fraction])
    if len(radii) > 1:
        radii[:, radii.max(axis=0) <= radii.min(axis=0)] = np.nan  # no PSF at these energies
    with figure_style():
        ax = plt.figure(figsize=(6, 4.4)).add_subplot() if ax is None else ax
        for value, radius, color in zip(fraction, radii, SOURCE_COLORS, strict=False):
            ax.plot(energy.value, radius, marker="o", markersize=4, color=color, label=f"{100 * value:.0f} %")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel(f"{'True energy' if name == 'energy_true' else 'Energy'} [{energy.unit}]")
        ax.set_ylabel("Containment radius [deg]")
        ax.set_title("Point spread function")
        plain_numbers(ax.xaxis)
        plain_numbers(ax.yaxis)
        ax.legend()
    return ax


def plot_edisp_kernel(edisp_kernel, ax=None):
    """Energy dispersion: probability of each reconstructed energy bin, per true energy.

    Parameters
    ----------
    edisp_kernel : EDispKernel
        Kernel with ``pdf_matrix`` of shape (energy_true, energy).
    ax : `matplotlib.axes.Axes`, optional
        Axes; a new figure is made without them.

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
        mesh = ax.pcolormesh(x, y, matrix.T, cmap="cividis", vmin=0)
        ax.plot(x[[0, -1]], (x[[0, -1]] * units[0]).to_value(units[1]), "w:")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlim(x[0], x[-1])
        ax.set_ylim(y[0], y[-1])
        plain_numbers(ax.xaxis)
        plain_numbers(ax.yaxis)
        ax.set_xlabel(f"True energy [{units[0]}]")
        ax.set_ylabel(f"Energy [{units[1]}]")
        ax.figure.colorbar(mesh, cax=ax.inset_axes([1.02, 0, 0.045, 1]), label="Probability per bin")
        ax.set_title("Energy dispersion")
    return ax
