"""Verbs of instrument responses that belong to a higher floor: pictures. Each calls a function of `gpudl4.plot.irf`."""

import astropy.units as u

__all__ = ["EDispKernelPlotVerbs", "EDispPlotVerbs", "PSFKernelPlotVerbs", "PSFPlotVerbs"]

ENERGIES = (0.1, 1, 10) * u.TeV


class PSFPlotVerbs:
    """Plotting methods of `PSFMap` and `RecoPSFMap`."""

    def plot_containment_radius_vs_energy(self, ax=None, fraction=(0.68, 0.95), **kwargs):
        """Containment radius against energy at the centre of the map."""
        from gpudl4.plot.irf import current_axes, plot_containment_radius

        return plot_containment_radius(self, current_axes(ax), fraction, **kwargs)

    def plot_psf_vs_rad(self, ax=None, energy_true=ENERGIES, **kwargs):
        """Profiles of the PSF at some energies, at the centre of the map."""
        from gpudl4.plot.irf import plot_psf_profile

        return plot_psf_profile(self, ax, energy_true, **kwargs)

    def peek(self, figsize=(12, 10)):
        """Overview of the PSF in one figure."""
        from gpudl4.plot.irf import peek_psf

        return peek_psf(self, figsize)


class EDispPlotVerbs:
    """Plotting methods of `EDispMap` and `EDispKernelMap`."""

    def peek(self, figsize=(15, 5)):
        """Bias and matrix at the centre of the map, in one figure."""
        from gpudl4.plot.irf import central_kernel, peek_edisp_kernel

        return peek_edisp_kernel(central_kernel(self), figsize)


class EDispKernelPlotVerbs:
    """Plotting methods of `EDispKernel`."""

    def plot_matrix(self, ax=None, add_cbar=False, axes_loc=None, kwargs_colorbar=None, **kwargs):
        """Probability of each reconstructed energy, per true energy."""
        from gpudl4.plot.irf import current_axes, plot_edisp_kernel

        return plot_edisp_kernel(self, current_axes(ax), add_cbar, axes_loc, kwargs_colorbar, **kwargs)

    def plot_bias(self, ax=None, **kwargs):
        """Relative bias of the reconstructed energy."""
        from gpudl4.plot.irf import plot_edisp_bias

        return plot_edisp_bias(self, ax, **kwargs)

    def peek(self, figsize=(15, 5)):
        """Bias and matrix in one figure."""
        from gpudl4.plot.irf import peek_edisp_kernel

        return peek_edisp_kernel(self, figsize)


class PSFKernelPlotVerbs:
    """Plotting methods of `PSFKernel`."""

    def plot_kernel(self, ax=None, energy=None, add_cbar=False, **kwargs):
        """Image of the kernel at an energy, or summed over energies."""
        from gpudl4.plot.irf import plot_psf_kernel

        return plot_psf_kernel(self, ax, energy, add_cbar, **kwargs)

    def peek(self, figsize=(15, 5)):
        """The sum over energies and the kernel at 1 TeV in one figure."""
        from gpudl4.plot.irf import peek_psf_kernel

        return peek_psf_kernel(self, figsize)
