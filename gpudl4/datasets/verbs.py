"""Verbs of a dataset that belong to a higher floor: pictures. Each calls a function of `gpudl4.plot`, which says what its arguments are."""

__all__ = ["FluxPlotVerbs", "PlotVerbs", "SpectrumPlotVerbs"]


class PlotVerbs:
    """Plotting methods of map datasets; further arguments are those of the functions of the same names in `gpudl4.plot.datasets`."""

    def peek(self, figsize=None):
        """What the dataset holds, in one figure: exposure, counts, predicted counts, PSF and energy dispersion."""
        from gpudl4.plot.datasets import peek

        return peek(self, figsize=figsize)

    def plot_overview(self, figsize=None):
        """How well the models fit, in one figure: counts, model and residuals as images, spectrum and histogram."""
        from gpudl4.plot.datasets import plot_overview

        return plot_overview(self, figsize=figsize)

    def plot_residuals(self, ax_spatial=None, ax_spectral=None, kwargs_spatial=None, kwargs_spectral=None):
        """Residuals on the sky and in energy, in two panels."""
        from gpudl4.plot.datasets import plot_residuals

        return plot_residuals(self, ax_spatial, ax_spectral, kwargs_spatial, kwargs_spectral)

    def plot_residuals_spatial(self, ax=None, method="diff", smooth_kernel="gauss", smooth_radius="0.1 deg", **kwargs):
        """Residuals on the sky, summed over energy."""
        from gpudl4.plot.datasets import plot_residuals_spatial

        return plot_residuals_spatial(self, ax, method, smooth_kernel, smooth_radius, **kwargs)

    def plot_residuals_spectral(self, ax=None, method="diff", region=None, kwargs_fit=None, kwargs_safe=None, **kwargs):
        """Residuals in energy, summed over the map or a region."""
        from gpudl4.plot.datasets import plot_residuals_spectral

        return plot_residuals_spectral(self, ax, method, region, kwargs_fit, kwargs_safe, **kwargs)


class SpectrumPlotVerbs:
    """Plotting methods of spectrum datasets, in place of those that need pixels; see `gpudl4.plot.region_datasets`."""

    def plot_fit(self, ax_spectrum=None, ax_residuals=None, kwargs_spectrum=None, kwargs_residuals=None):
        """Excess with the prediction of the models and residuals, in two panels."""
        from gpudl4.plot.region_datasets import plot_region_fit

        return plot_region_fit(self, ax_spectrum, ax_residuals, kwargs_spectrum, kwargs_residuals)

    def plot_counts(self, ax=None, kwargs_counts=None, kwargs_background=None, **kwargs):
        """Counts and background per energy bin."""
        from gpudl4.plot.region_datasets import plot_region_counts

        return plot_region_counts(self, ax, kwargs_counts, kwargs_background, **kwargs)

    def plot_masks(self, ax=None, kwargs_fit=None, kwargs_safe=None):
        """Shade the energies inside mask_fit and mask_safe."""
        from gpudl4.plot.region_datasets import plot_masks

        return plot_masks(self, ax, kwargs_fit, kwargs_safe)

    def plot_excess(self, ax=None, kwargs_excess=None, kwargs_npred_signal=None, **kwargs):
        """Excess counts and the prediction of the models per energy bin."""
        from gpudl4.plot.region_datasets import plot_region_excess

        return plot_region_excess(self, ax, kwargs_excess, kwargs_npred_signal, **kwargs)

    def plot_residuals(self, ax=None, method="diff", **kwargs):
        """Residuals per energy bin; the same as `plot_residuals_spectral`, as a spectrum has no others."""
        return self.plot_residuals_spectral(ax=ax, method=method, **kwargs)

    def plot_residuals_spatial(self, *args, **kwargs):
        """Not possible: a spectrum has no pixels."""
        raise NotImplementedError(f"dataset '{self.name}' is a {self.tag}, which has no pixels: use plot_residuals()")

    def peek(self, figsize=(16, 4)):
        """Overview of the dataset in one figure."""
        from gpudl4.plot.region_datasets import peek_region

        return peek_region(self, figsize)


class FluxPlotVerbs:
    """Plotting methods of `FluxPointsDataset`; see `gpudl4.plot.flux_datasets`."""

    def plot_fit(self, ax_spectrum=None, ax_residuals=None, kwargs_spectrum=None, kwargs_residuals=None):
        """Flux points with the models, and residuals, in two panels."""
        from gpudl4.plot.flux_datasets import plot_flux_fit

        return plot_flux_fit(self, ax_spectrum, ax_residuals, kwargs_spectrum, kwargs_residuals)

    def plot_residuals(self, ax=None, method="diff", **kwargs):
        """Residuals of the flux points."""
        from gpudl4.plot.flux_datasets import plot_flux_residuals

        return plot_flux_residuals(self, ax, method, **kwargs)

    def plot_spectrum(self, ax=None, kwargs_fp=None, kwargs_model=None, axis_name="energy"):
        """Flux points with the models and their error bands."""
        from gpudl4.plot.flux_datasets import plot_flux_spectrum

        return plot_flux_spectrum(self, ax, kwargs_fp, kwargs_model, axis_name)
