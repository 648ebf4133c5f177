"""`TimeMapAxis`: bins in time, with gaps between them allowed. Light curves and time-resolved maps use it.

Bins are kept as durations since a reference time, so that microseconds survive; instants are compared exactly. Bins are increasing and do
not overlap; a time belongs to a bin if it is later than its start and not later than its stop, as in gammapy. How axes are made and
changed is in `time_axis_build`, which time lies in which bin in `time_axis_coords`, how bins are drawn in `time_axis_plot`, tables are in
`time_tables`.
"""

import numpy as np
from astropy.time import Time

from ..core.errors import GeometryError
from .time_axis_build import TimeAxisConstruction
from .time_axis_coords import TimeAxisCoordinates, durations
from .time_axis_plot import TimeAxisPlotting
from .time_tables import time_reference_cards

__all__ = ["TimeMapAxis"]


class TimeMapAxis(TimeAxisConstruction, TimeAxisCoordinates, TimeAxisPlotting):
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
        low, high = durations(edges_min, "edges_min"), durations(edges_max, "edges_max")
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
        self._time_format = "iso"

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

    def copy(self, edges_min=None, edges_max=None, reference_time=None, name=None):
        """Copy with some constructor arguments replaced."""
        axis = TimeMapAxis(
            self._edges_min.copy() if edges_min is None else edges_min,
            self._edges_max.copy() if edges_max is None else edges_max,
            self._reference_time.copy() if reference_time is None else reference_time,
            name=self._name if name is None else name,
        )
        axis.time_format = self.time_format
        return axis

    def is_aligned(self, other, atol=2e-2):
        """Refused: intervals with gaps have no common grid."""
        self._refuse("compared by alignment")

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
