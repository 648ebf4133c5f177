"""Good time intervals (GTI): when the instrument really observed. Use it through `gpudl4.data.GTI`.

All operations are vectorised (HAWC products hold tens of thousands of intervals), and an empty set of intervals is legal everywhere.
Comparisons are exact: two instants are compared by their integer day and the fraction of a day, never after rounding to seconds. The
operations on sets of intervals are in `intervals`, the FITS tables in `gti_tables`.
"""

import html

import numpy as np

from . import intervals
from .errors import DataFileError, UnitMismatchError
from .gti_tables import gti_hdu_columns, gti_table_hdu

__all__ = ["GTI"]

# Reference of GTIs that name none; gammapy uses the same instant, so files written by either agree.
REFERENCE_DEFAULT = ("2000-01-01T00:00:00", "tt")


def _as_reference(reference_time):
    from astropy.time import Time

    if reference_time is None:
        reference_time = Time(REFERENCE_DEFAULT[0], scale=REFERENCE_DEFAULT[1])
    # a new object: the format is a display property of Time and setting it on the caller's own would be seen there
    return Time(reference_time, copy=True, format="mjd") if not isinstance(reference_time, str) else _mjd(Time(reference_time))


def _mjd(time):
    time.format = "mjd"
    return time


def _as_times(values, reference, what):
    """1D Time array from a Time or from a duration since `reference`."""
    import astropy.units as u
    from astropy.time import Time

    if isinstance(values, Time):
        return values.reshape(-1) if values.shape != () else values.reshape(1)
    values = u.Quantity(values)
    if not values.unit.is_equivalent("s"):
        raise UnitMismatchError(
            f"{what} of the GTI has unit '{values.unit}': give times (astropy Time) or durations since the reference time"
        )
    return reference + np.atleast_1d(values)


def _check_order(start, stop):
    """Intervals must be finite and not stop before they start; an interval without duration is legal."""
    if start.size == 0:
        return
    bad = ~((stop - start).to_value("s") >= 0)
    if np.any(bad):
        row = int(np.argmax(bad))
        raise DataFileError(
            f"{int(np.sum(bad))} of {start.size} good time intervals stop before they start or have no finite times, the first in row {row}"
        )


class GTI:
    """Good time intervals.

    Parameters
    ----------
    table : `astropy.table.Table`
        Table with the columns ``START`` and ``STOP``, both `~astropy.time.Time`. An empty table is legal.
    reference_time : `astropy.time.Time` or str, optional
        Instant from which mission elapsed times are counted. Default is 2000-01-01T00:00:00 (TT).

    Raises
    ------
    DataFileError
        If a column is missing or does not hold times, or an interval stops before it starts.
    """

    def __init__(self, table, reference_time=None):
        from astropy.time import Time

        missing = {"START", "STOP"}.difference(getattr(table, "colnames", ()))
        if missing:
            raise DataFileError(f"a GTI table needs the columns START and STOP; missing: {', '.join(sorted(missing))}")
        reference = _as_reference(reference_time)
        if len(table) == 0:
            empty = reference + np.zeros(0) * _second()
            self._set(empty, empty, reference)
            return
        for name in ("START", "STOP"):
            if not isinstance(table[name], Time):
                raise DataFileError(
                    f"column {name} of the GTI table holds {type(table[name]).__name__}, not astropy Time: use GTI.create()"
                )
        self._set(table["START"], table["STOP"], reference)
        _check_order(self._start, self._stop)

    def _set(self, start, stop, reference):
        if start.shape != stop.shape:
            raise DataFileError(f"a GTI needs as many stop times as start times; got {start.size} starts and {stop.size} stops")
        self._start, self._stop, self._reference = start, stop, reference

    @classmethod
    def _from_times(cls, start, stop, reference):
        gti = cls.__new__(cls)
        gti._set(start, stop, reference)
        return gti

    @classmethod
    def create(cls, start, stop, reference_time=None):
        """Make a GTI from start and stop times.

        Parameters
        ----------
        start, stop : `astropy.time.Time` or `astropy.units.Quantity`
            Times, or durations since `reference_time`; scalars or 1D, of equal length. Empty arrays are legal.
        reference_time : `astropy.time.Time` or str, optional
            Default is 2000-01-01T00:00:00 (TT).

        Raises
        ------
        UnitMismatchError
            If a quantity is not a time.
        DataFileError
            If the lengths differ, or an interval stops before it starts.
        """
        reference = _as_reference(reference_time)
        gti = cls._from_times(_as_times(start, reference, "start"), _as_times(stop, reference, "stop"), reference)
        _check_order(gti.time_start, gti.time_stop)
        return gti

    @classmethod
    def from_time_intervals(cls, time_intervals, reference_time=None):
        """Make a GTI from a list of (start, stop) pairs of `astropy.time.Time`."""
        from astropy.time import Time

        pairs = list(time_intervals)
        if not pairs:
            return cls.create([] * _second(), [] * _second(), reference_time)
        return cls.create(Time([pair[0] for pair in pairs]), Time([pair[1] for pair in pairs]), reference_time)

    @classmethod
    def from_stack(cls, gtis):
        """Concatenate several GTIs; reference time and time scale are those of the first. No interval is merged."""
        gtis = list(gtis)
        if not gtis:
            return cls.create([] * _second(), [] * _second())
        out = gtis[0].copy()
        for gti in gtis[1:]:
            out.stack(gti)
        return out

    @classmethod
    def read(cls, filename, hdu="GTI", format="gadf", checksum=False):
        """Read from a FITS file.

        Parameters
        ----------
        filename : str or `pathlib.Path`
            Environment variables are expanded.
        hdu : str or int
            Name or number of the table HDU.
        format : {"gadf"}
            File format.
        checksum : bool
            Verify the checksums in the file, with a warning for each that does not match.

        Raises
        ------
        DataFileError
            If the file is not FITS, has no such HDU, or the HDU is not a GTI table.
        """
        from gpudl4.io.files import open_fits

        with open_fits(filename, checksum=checksum) as hdulist:
            try:
                table_hdu = hdulist[hdu]
            except (KeyError, IndexError) as error:
                names = ", ".join(h.name for h in hdulist if h.name)
                raise DataFileError(f"{hdulist.where} has no HDU {hdu!r}; it has: {names}") from error
            return cls.from_table_hdu(table_hdu, format=format)

    @classmethod
    def from_table_hdu(cls, table_hdu, format="gadf"):
        """Make a GTI from a FITS table HDU.

        Parameters
        ----------
        table_hdu : `astropy.io.fits.BinTableHDU`
            Columns START and STOP, durations in their own unit or in ``TIMEUNIT`` (default s) since MJDREFI + MJDREFF on the time scale
            ``TIMESYS`` (default TT). A table without rows is legal.
        format : {"gadf"}
            File format.

        Raises
        ------
        DataFileError
            If a column or the reference time is missing, or an interval stops before it starts.
        """
        return cls.create(*gti_hdu_columns(table_hdu, format))

    def to_table_hdu(self, format="gadf"):
        """FITS table HDU "GTI" with durations in seconds since the reference time; the time scale is that of the reference time.

        Parameters
        ----------
        format : {"gadf"}
            File format.
        """
        return gti_table_hdu(self.met_start, self.met_stop, self._reference, format)

    def write(self, filename, overwrite=False):
        """Write to a FITS file with the one table "GTI"; the file appears complete or not at all.

        Raises
        ------
        OutputError
            If the file exists and `overwrite` is False, or the place is not writable.
        """
        from astropy.io import fits

        from gpudl4.io.files import write_fits

        write_fits(fits.HDUList([fits.PrimaryHDU(), self.to_table_hdu()]), filename, overwrite=overwrite)

    @property
    def table(self):
        """`astropy.table.Table` with the columns START and STOP (`~astropy.time.Time`); a new table at each call."""
        from astropy.table import Table

        return Table({"START": self._start.copy(), "STOP": self._stop.copy()})

    @property
    def time_ref(self):
        """Reference time as `astropy.time.Time`."""
        return self._reference

    @property
    def time_start(self):
        """Start times as a 1D `astropy.time.Time`."""
        return self._start

    @property
    def time_stop(self):
        """Stop times as a 1D `astropy.time.Time`."""
        return self._stop

    @property
    def met_start(self):
        """Start times in seconds since the reference time, `astropy.units.Quantity`."""
        return (self._start - self._reference).to("s")

    @property
    def met_stop(self):
        """Stop times in seconds since the reference time, `astropy.units.Quantity`."""
        return (self._stop - self._reference).to("s")

    @property
    def time_delta(self):
        """Durations of the intervals in seconds, `astropy.units.Quantity`."""
        return (self._stop - self._start).to("s")

    @property
    def time_sum(self):
        """Sum of the durations in seconds, `astropy.units.Quantity`."""
        return self.time_delta.sum()

    @property
    def time_intervals(self):
        """List of (start, stop) pairs of `astropy.time.Time`."""
        return list(zip(self._start, self._stop, strict=True))

    def __len__(self):
        return self._start.size

    def __bool__(self):
        # an empty GTI is still a GTI: `if dataset.gti:` asks whether there is one at all
        return True

    def copy(self):
        """Independent copy."""
        return self._from_times(self._start.copy(), self._stop.copy(), self._reference.copy())

    def stack(self, other):
        """Append the intervals of another GTI in place, converted to this one's time scale. No interval is merged."""
        pairs = (self._start, other.time_start), (self._stop, other.time_stop)
        self._set(*(intervals.append(*pair) for pair in pairs), self._reference)

    def union(self, overlap_ok=True, merge_equal=True):
        """Merge overlapping intervals; sorted by start time.

        Parameters
        ----------
        overlap_ok : bool
            False makes intervals that would be merged an error.
        merge_equal : bool
            Whether intervals that only touch, like (1, 2) and (2, 3), are merged.

        Returns
        -------
        gti : GTI
            New object.

        Raises
        ------
        ValueError
            If intervals overlap and `overlap_ok` is False.
        """
        return self._from_times(*intervals.merge(self._start, self._stop, overlap_ok, merge_equal), self._reference.copy())

    def select_time(self, time_interval, inverted=False):
        """Crop to a time interval.

        Parameters
        ----------
        time_interval : sequence of two `astropy.time.Time`
            Start and stop.
        inverted : bool
            Keep what lies outside of the interval instead; same as `delete_interval`.

        Returns
        -------
        gti : GTI
            New object; empty if nothing is left.
        """
        if inverted:
            return self.delete_interval(time_interval)
        return self._from_times(*intervals.crop(self._start, self._stop, time_interval), self._reference.copy())

    def delete_interval(self, time_interval):
        """Cut a time interval out; intervals that straddle it are split in two.

        Parameters
        ----------
        time_interval : sequence of two `astropy.time.Time`
            Start and stop.

        Returns
        -------
        gti : GTI
            New object, sorted as before (second halves of split intervals follow their first halves).
        """
        return self._from_times(*intervals.cut_out(self._start, self._stop, time_interval), self._reference.copy())

    def __str__(self):
        lines = ["GTI info:", f"- Number of GTIs: {len(self)}", f"- Duration: {self.time_sum}"]
        if len(self):
            scale = self._start.scale.upper()
            lines += [
                f"- Start: {self.met_start[0]} MET",
                f"- Start: {self._start[0].fits} (time standard: {scale})",
                f"- Stop: {self.met_stop[-1]} MET",
                f"- Stop: {self._stop[-1].fits} (time standard: {scale})",
            ]
        return "\n".join(lines) + "\n"

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"


def _second():
    import astropy.units as u

    return u.s
