"""`TimeMapAxis`: bins in time, with gaps between them allowed. Light curves and time-resolved maps use it.

Bins are kept as durations since a reference time, so that microseconds survive; instants are compared exactly. Bins are increasing and do
not overlap; a time belongs to a bin if it is later than its start and not later than its stop, as in gammapy.
"""

import numpy as np
from astropy import units as u
from astropy.time import Time, TimeDelta

from ..core.errors import GeometryError, UnitMismatchError
from ..core.instants import ranks, replace_where
from .axis_verbs import AxisPlotVerbs
from .time_tables import time_edges_of_table, time_reference_cards

__all__ = ["TimeMapAxis"]


def _durations(values, what):
    values = u.Quantity(values.to("s") if isinstance(values, TimeDelta) else values, ndmin=1)
    if not values.unit.is_equivalent("s"):
        raise UnitMismatchError(f"{what} of a time axis must be durations since its reference time, got the unit '{values.unit}'")
    return values


class TimeMapAxis(AxisPlotVerbs):
    """Axis of time intervals.

    Parameters
    ----------
    edges_min, edges_max : `~astropy.units.Quantity`
        Start and stop of each bin, shape (N,), durations since `reference_time`; increasing, without overlap.
    reference_time : `~astropy.time.Time` or str
        Reference time.
    name : str
        Name.
    interp : {"lin"}
        Scale; only "lin".

    Raises
    ------
    GeometryError
        If bins are empty, not increasing or overlap.
    UnitMismatchError
        If the edges are no durations.
    """

    node_type = "intervals"

    def __init__(self, edges_min, edges_max, reference_time, name="time", interp="lin"):
        low, high = _durations(edges_min, "edges_min"), _durations(edges_max, "edges_max")
        label = f"axis '{name}'"
        if low.shape != high.shape or low.ndim != 1 or low.size == 0:
            raise GeometryError(f"{label}: as many starts as stops are needed, at least one, got the shapes {low.shape} and {high.shape}")
        if not (np.isfinite(low.value).all() and np.isfinite(high.value).all()):
            raise GeometryError(f"{label}: edges must be finite")
        if not (high > low).all():
            raise GeometryError(f"{label}: every bin must stop after it starts; bin {int(np.argmin(high > low))} does not")
        if (np.diff(low.value) < 0).any() or (np.diff(high.value) < 0).any():
            raise GeometryError(f"{label}: bins must be in the order of time: sort them")
        if (low[1:] < high[:-1]).any():
            first = int(np.argmax(low[1:] < high[:-1]))
            raise GeometryError(f"{label}: time intervals must not overlap; bin {first + 1} starts before bin {first} stops")
        if interp != "lin":
            raise GeometryError(f"{label}: interp must be 'lin', got: {interp!r}")
        self._edges_min, self._edges_max, self._name = low, high, name
        self._reference_time = Time(reference_time)

    # ---- constructors ----------------------------------------------------------------------------------------------------------------
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

    # ---- what it is ------------------------------------------------------------------------------------------------------------------
    @property
    def name(self):
        """Name."""
        return self._name

    @property
    def interp(self):
        """Scale, always "lin"."""
        return "lin"

    @property
    def reference_time(self):
        """Reference time, `~astropy.time.Time`."""
        return self._reference_time

    @property
    def unit(self):
        """Unit of the durations."""
        return self._edges_max.unit

    @property
    def nbin(self):
        """Number of bins."""
        return self._edges_min.size

    @property
    def edges_min(self):
        """Starts as durations since the reference time, a quantity of shape (nbin,)."""
        return self._edges_min

    @property
    def edges_max(self):
        """Stops as durations since the reference time, a quantity of shape (nbin,)."""
        return self._edges_max

    @property
    def is_contiguous(self):
        """Whether there are no gaps between the bins."""
        return bool((self._edges_min[1:] == self._edges_max[:-1]).all())

    @property
    def edges(self):
        """Edges as durations since the reference time, a quantity of shape (nbin + 1,).

        Raises
        ------
        GeometryError
            If there are gaps.
        """
        if not self.is_contiguous:
            raise GeometryError(
                f"axis '{self.name}' is not contiguous, so it has no edges: use edges_min and edges_max, or to_contiguous()"
            )
        return np.append(self._edges_min, self._edges_max[-1])

    @property
    def bounds(self):
        """First start and last stop as durations, a tuple of quantities."""
        return self._edges_min[0], self._edges_max[-1]

    @property
    def time_bounds(self):
        """First start and last stop, a tuple of `~astropy.time.Time`."""
        return self.time_min[0], self.time_max[-1]

    @property
    def time_min(self):
        """Starts, `~astropy.time.Time` of shape (nbin,)."""
        return self._edges_min + self._reference_time

    @property
    def time_max(self):
        """Stops, `~astropy.time.Time` of shape (nbin,)."""
        return self._edges_max + self._reference_time

    @property
    def time_delta(self):
        """Lengths of the bins, `~astropy.time.TimeDelta`."""
        return self.time_max - self.time_min

    @property
    def time_mid(self):
        """Middles of the bins, `~astropy.time.Time`."""
        return self.time_min + 0.5 * self.time_delta

    @property
    def time_edges(self):
        """Edges, `~astropy.time.Time` of shape (nbin + 1,); GeometryError if there are gaps."""
        return self._reference_time + self.edges

    @property
    def center(self):
        """Middles of the bins as durations since the reference time, a quantity."""
        return self._edges_min + 0.5 * self.bin_width

    @property
    def bin_width(self):
        """Lengths of the bins in hours, a quantity."""
        return self.time_delta.to("h")

    @property
    def iter_by_edges(self):
        """Iterator over (start, stop) as durations."""
        yield from zip(self._edges_min, self._edges_max, strict=True)

    @property
    def iter_by_time_edges(self):
        """Iterator over (start, stop) as `~astropy.time.Time`."""
        yield from zip(self.time_min, self.time_max, strict=True)

    @property
    def is_energy_axis(self):
        """False."""
        return False

    @property
    def as_plot_labels(self):
        """One text per bin, in ISO format."""
        return [f"{low.iso} - {high.iso}" for low, high in self.iter_by_time_edges]

    @property
    def as_plot_center(self):
        """Middles of the bins as `datetime.datetime`."""
        return self.time_mid.datetime

    @property
    def as_plot_edges(self):
        """Edges as `datetime.datetime`; GeometryError if there are gaps."""
        return self.time_edges.to_datetime()

    @property
    def as_plot_xerr(self):
        """Distances from the middle to start and stop as `datetime.timedelta`."""
        return (self.time_mid - self.time_min).to_datetime(), (self.time_max - self.time_mid).to_datetime()

    # ---- coordinates -----------------------------------------------------------------------------------------------------------------
    def _time(self, coord):
        return coord if isinstance(coord, Time) else self._reference_time + _durations(coord, "coordinates").reshape(np.shape(coord))

    def coord_to_idx(self, coord, clip=False):
        """Bin number of each time; -1 in a gap or outside, also where `clip` is True, as in gammapy.

        Parameters
        ----------
        coord : `~astropy.time.Time` or `~astropy.units.Quantity`
            Times, or durations since the reference time.
        clip : bool
            Without effect; for the signature of `MapAxis.coord_to_idx`.

        Returns
        -------
        idx : `~numpy.ndarray` of int
            Of the shape of `coord`.
        """
        time = self._time(coord)
        start = self.time_min
        time = getattr(time, start.scale)
        rank, low, high = ranks(time.reshape(-1), start, self.time_max)
        idx = np.searchsorted(low, rank, side="left") - 1
        inside = (idx >= 0) & (rank <= high[np.maximum(idx, 0)])
        return np.where(inside, idx, -1).reshape(time.shape)

    def coord_to_pix(self, coord):
        """Pixel coordinates; bin i has its middle at i. NaN in gaps and outside. At least one-dimensional."""
        time = self._time(coord)
        time = time.reshape(1) if time.shape == () else time
        idx = self.coord_to_idx(time)
        since = (time - self._reference_time).to_value(self.unit)
        low, high = self._edges_min.value[idx], self._edges_max.to_value(self.unit)[idx]
        return np.where(idx < 0, np.nan, idx + (since - low) / (high - low) - 0.5)

    def pix_to_coord(self, pix):
        """Times of pixel coordinates counted from the start of the first bin, `~astropy.time.Time`; MJD 0 outside, as in gammapy."""
        pix = np.asarray(pix, dtype=float)
        idx = np.trunc(pix).astype(int)
        inside = (idx >= 0) & (idx < self.nbin) & (pix >= 0)
        idx = np.where(inside, idx, 0)
        since = self._edges_min[idx] + (pix - idx) * (self._edges_max - self._edges_min)[idx]
        time = self._reference_time + since
        return replace_where(~inside, Time([0.0], format="mjd", scale=time.scale), time)

    def pix_to_idx(self, pix, clip=False):
        """Bin number of integer pixel coordinates; -1 outside, or the nearest bin if `clip`."""
        pix = np.asarray(pix)
        return np.clip(pix, 0, self.nbin - 1) if clip else np.where((pix < 0) | (pix >= self.nbin), -1, pix)

    def group_table(self, interval_edges):
        """Which bins lie inside coarser intervals.

        Parameters
        ----------
        interval_edges : list of `~astropy.time.Time` or `~astropy.units.Quantity`
            Start, stop, start, stop, ...; durations count from the reference time.

        Returns
        -------
        groups : `~astropy.table.Table`
            Columns idx_min, idx_max (inclusive; -1 without a bin), time_min, time_max (MJD), and bin_type: "normal   " with three blanks,
            "underflow", "overflow" or "outflow".
        """
        from astropy.table import Table

        edges = [edge if isinstance(edge, Time) else self._reference_time + edge for edge in interval_edges]
        start, stop, rows = self.time_min, self.time_max, []
        for low, high in zip(edges[::2], edges[1::2], strict=True):
            later, earlier = start >= low, stop <= high
            inside = np.flatnonzero(later & earlier)
            if inside.size:
                first, last, kind = int(inside[0]), int(inside[-1]), "normal   "
            else:
                first = last = -1
                kind = "overflow" if later.any() else "underflow" if earlier.any() else "outflow"
            rows.append((first, last, start[first].mjd, stop[last].mjd, kind))
        names = ("idx_min", "idx_max", "time_min", "time_max", "bin_type")
        return Table(rows=rows, names=names) if rows else Table(names=names, dtype=("i8", "i8", "f8", "f8", "U10"))

    # ---- changed axes ----------------------------------------------------------------------------------------------------------------
    def copy(self, edges_min=None, edges_max=None, reference_time=None, name=None):
        """Copy with some constructor arguments replaced."""
        return TimeMapAxis(
            self._edges_min.copy() if edges_min is None else edges_min,
            self._edges_max.copy() if edges_max is None else edges_max,
            self._reference_time.copy() if reference_time is None else reference_time,
            name=self._name if name is None else name,
        )

    def rename(self, new_name):
        """Axis with another name."""
        return self.copy(name=new_name)

    def slice(self, idx):
        """Some bins of the axis, by a slice or a number."""
        bins = np.arange(self.nbin)[idx if isinstance(idx, slice) else slice(idx, idx + 1)]
        if bins.size == 0:
            raise GeometryError(f"slice {idx} selects none of the {self.nbin} bins of axis '{self.name}'")
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

    def is_aligned(self, other, atol=2e-2):
        """Refused: intervals with gaps have no common grid."""
        self._refuse("compared by alignment")

    # ---- comparison and tables -------------------------------------------------------------------------------------------------------
    def assert_name(self, required_name):
        """Raise GeometryError unless the axis has the given name."""
        if self._name != required_name:
            raise GeometryError(f"an axis named '{required_name}' is needed, got: '{self._name}'")

    def is_allclose(self, other, rtol=1e-5, atol=1e-8):
        """Whether starts and stops agree within `atol` seconds, and the names; `rtol` is for the signature of `MapAxis.is_allclose`."""
        if not isinstance(other, TimeMapAxis):
            raise TypeError(f"cannot compare a TimeMapAxis with {type(other).__name__}")
        if self.nbin != other.nbin or self._name.upper() != other._name.upper():
            return False
        differences = [(self.time_min - other.time_min).to_value("s"), (self.time_max - other.time_max).to_value("s")]
        return bool(np.abs(differences).max() <= atol)

    def __eq__(self, other):
        return self.is_allclose(other, atol=1e-6) if isinstance(other, TimeMapAxis) else NotImplemented

    def __hash__(self):
        return hash((self._name.upper(), self.node_type, self.nbin))

    def __repr__(self):
        return (
            f"TimeMapAxis\n-----------\n\n  name           : {self.name}\n  nbins          : {self.nbin}\n"
            f"  reference time : {self.reference_time.iso}\n  scale          : {self.reference_time.scale}\n"
            f"  time min.      : {self.time_min[0].iso}\n  time max.      : {self.time_max[-1].iso}\n"
            f"  total time     : {self.bin_width.sum()}\n"
        )

    def to_gti(self):
        """The bins as a `~gpudl4.data.GTI`."""
        from ..core.gti import GTI

        return GTI.create(self._edges_min, self._edges_max, reference_time=self._reference_time)

    def to_table(self):
        """`~astropy.table.Table` with the columns START and STOP (`~astropy.time.Time`)."""
        return self.to_gti().table

    def to_header(self, format="gadf", idx=0):
        """FITS cards of the axis as number `idx` of a bands table."""
        from astropy.io import fits

        if format != "gadf":
            raise GeometryError(f"unknown format {format!r} for a time axis: choose 'gadf'")
        name = self.name.upper()
        cards = {f"AXCOLS{idx}": f"{name}_MIN,{name}_MAX", f"INTERP{idx}": "lin", **time_reference_cards(self._reference_time)}
        return fits.Header(cards)
