"""How time axes are made from instants, intervals or tables, and changed: the part of `TimeMapAxis` that gives new axes."""

import numpy as np

from ..core.errors import GeometryError
from .axis_base import AxisBase
from .time_tables import time_edges_of_table

__all__ = ["TimeAxisConstruction"]


class TimeAxisConstruction(AxisBase):
    """Constructors of `~gpudl4.maps.TimeMapAxis`, and methods that return a changed axis."""

    @classmethod
    def from_time_edges(cls, time_min, time_max, unit="d", interp="lin", name="time"):
        """Axis from instants; the reference time is the first of them.

        Parameters
        ----------
        time_min, time_max : `~astropy.time.Time`
            Starts and stops, shape (N,).
        unit : str or `~astropy.units.Unit`
            Unit of the durations.
        interp, name
            As for the class.
        """
        reference = time_min[0]
        return cls((time_min - reference).to(unit), (time_max - reference).to(unit), reference, interp=interp, name=name)

    @classmethod
    def from_time_bounds(cls, time_min, time_max, nbin, unit="d", name="time"):
        """Axis of `nbin` equal bins without gaps between two instants."""
        edges = time_min + (time_max - time_min) * np.linspace(0, 1, nbin + 1)
        return cls.from_time_edges(edges[:-1], edges[1:], unit=unit, name=name)

    @classmethod
    def from_gti(cls, gti, name="time"):
        """Axis whose bins are the intervals of a `~gpudl4.data.GTI`."""
        reference = gti.time_ref
        return cls((gti.time_start - reference).to("s"), (gti.time_stop - reference).to("s"), reference, name=name)

    @classmethod
    def from_gti_bounds(cls, gti, t_delta, name="time"):
        """Axis of bins about as long as `t_delta`, in its unit, from the first start to the last stop of a `~gpudl4.data.GTI`."""
        first, last = gti.time_start[0], gti.time_stop[-1]
        nbin = max(int((last - first).to_value(t_delta.unit) / t_delta.value), 1)
        return cls.from_time_bounds(first, last, nbin, unit=t_delta.unit, name=name)

    @classmethod
    def from_table(cls, table, format="gadf", idx=0):
        """Axis from a table.

        Parameters
        ----------
        table : `~astropy.table.Table`
            Table with the keywords MJDREFI, MJDREFF and TIMESYS.
        format : {"gadf", "lightcurve", "fermi-fgl"}
            "gadf": bands table, axis number `idx` from 0. "lightcurve": columns time_min and time_max in TIMEUNIT (default d, UTC).
            "fermi-fgl": column Hist_Start with one more edge than bins.
        idx : int
            Number of the axis.

        Raises
        ------
        DataFileError
            If columns or keywords are missing.
        GeometryError
            If the format is unknown.
        """
        return cls(*time_edges_of_table(table, format, idx))

    def slice(self, idx):
        """Some bins of the axis, by a slice or a number."""
        bins = self._selected_bins(idx)
        return self.copy(self._edges_min[bins], self._edges_max[bins])

    def squash(self):
        """Axis with one bin from the first start to the last stop."""
        return self.copy(self._edges_min[:1], self._edges_max[-1:])

    def to_contiguous(self):
        """Axis without gaps: gaps become bins."""
        edges = np.unique(np.append(self._edges_min, self._edges_max))
        return self.copy(edges[:-1], edges[1:])

    @classmethod
    def from_stack(cls, axes):
        """One axis from several, in the order of time; the reference time is that of the first."""
        first = axes[0]
        reference, unit = first.reference_time, first.unit
        low = np.concatenate([(axis.time_min - reference).to_value(unit) for axis in axes]) * unit
        high = np.concatenate([(axis.time_max - reference).to_value(unit) for axis in axes]) * unit
        return first.copy(low, high)

    def concatenate(self, axis):
        """Axis followed by a later one."""
        return self.from_stack([self, axis])

    def _refuse(self, what):
        raise GeometryError(f"time axis '{self.name}' cannot be {what}: make a new axis, e.g. by TimeMapAxis.from_time_edges")

    def upsample(self, factor=None):
        """Refused: time intervals are not split."""
        self._refuse("upsampled")

    def downsample(self, factor=None):
        """Refused: time intervals are not merged."""
        self._refuse("downsampled")

    def pad(self, pad_width=None):
        """Refused: there is no time before the first interval to add."""
        self._refuse("padded")
