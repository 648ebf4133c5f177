"""How a time axis is drawn: the part of `TimeMapAxis` with the numbers and texts of pictures, as dates or as modified Julian days."""

import astropy.units as u

from ..core.errors import GeometryError

__all__ = ["TimeAxisPlotting"]

TIME_FORMATS = ("iso", "mjd")


class TimeAxisPlotting:
    """Format of times, and bins in it; the class gives ``time_min``, ``time_mid``, ``time_max`` and ``_time_format``."""

    @property
    def time_format(self):
        """How times are drawn where a picture is not told otherwise: "iso", dates, or "mjd", modified Julian days.

        It may be set, and has no influence on anything but pictures: axes that differ in it are equal.
        """
        return self._time_format

    @time_format.setter
    def time_format(self, value):
        if value not in TIME_FORMATS:
            raise GeometryError(f"unknown time_format {value!r}; known: {', '.join(TIME_FORMATS)}")
        self._time_format = value

    def _drawn(self, times):
        return times.to_datetime() if self._time_format == "iso" else times.mjd * u.day

    @property
    def as_plot_labels(self):
        """One text per bin."""
        name = self._time_format
        return [f"{getattr(low, name)} - {getattr(high, name)}" for low, high in self.iter_by_time_edges]

    @property
    def as_plot_center(self):
        """Middles of the bins as `datetime.datetime`, or as a quantity in days."""
        return self._drawn(self.time_mid)

    @property
    def as_plot_edges(self):
        """Edges as `datetime.datetime`, or as a quantity in days; GeometryError if there are gaps."""
        return self._drawn(self.time_edges)

    @property
    def as_plot_xerr(self):
        """Distances from the middle to start and stop as `datetime.timedelta`, or as quantities in days."""
        parts = self.time_mid - self.time_min, self.time_max - self.time_mid
        return tuple(part.to_datetime() if self._time_format == "iso" else part.to("day") for part in parts)
