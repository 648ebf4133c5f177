"""Verbs of axes that belong to a higher floor: how they are written along the axes of a picture."""

__all__ = ["AxisPlotVerbs", "NumberAxisPlotVerbs"]


class AxisPlotVerbs:
    """Plotting methods that all kinds of axes have."""

    __slots__ = ()

    def format_plot_xaxis(self, ax):
        """Set scale, ticks and name of the x axis of a picture; see `gpudl4.plot.axes.format_x`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`
            Axes with data.

        Returns
        -------
        ax : `matplotlib.axes.Axes`
        """
        from ..plot.axes import format_x

        return format_x(self, ax)


class NumberAxisPlotVerbs:
    """Plotting methods of axes of numbers."""

    __slots__ = ()

    def format_plot_yaxis(self, ax):
        """Set scale, ticks, name and range of the y axis of a picture; see `gpudl4.plot.axes.format_y`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`
            Axes.

        Returns
        -------
        ax : `matplotlib.axes.Axes`
        """
        from ..plot.axes import format_y

        return format_y(self, ax)
