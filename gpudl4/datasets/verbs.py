"""Verbs of a dataset that belong to a higher floor: pictures. Each calls the function of its name in `gpudl4.plot.datasets`."""

__all__ = ["PlotVerbs"]


class PlotVerbs:
    """Plotting methods of map datasets; further arguments are those of the functions of the same names in `gpudl4.plot.datasets`."""

    def peek(self, **kwargs):
        """Overview of the dataset in one figure."""
        from gpudl4.plot.datasets import peek

        return peek(self, **kwargs)

    def plot_residuals(self, ax_spatial=None, ax_spectral=None, **kwargs):
        """Residuals on the sky and in energy, in two panels."""
        from gpudl4.plot.datasets import plot_residuals

        return plot_residuals(self, ax_spatial=ax_spatial, ax_spectral=ax_spectral, **kwargs)

    def plot_residuals_spatial(self, ax=None, **kwargs):
        """Residuals on the sky, summed over energy."""
        from gpudl4.plot.datasets import plot_residuals_spatial

        return plot_residuals_spatial(self, ax=ax, **kwargs)

    def plot_residuals_spectral(self, ax=None, **kwargs):
        """Residuals in energy, summed over the map."""
        from gpudl4.plot.datasets import plot_residuals_spectral

        return plot_residuals_spectral(self, ax=ax, **kwargs)
