"""Good time intervals (GTI): when the instrument really observed. Use it through `gpudl4.data.GTI`.

All operations are vectorised (HAWC products hold tens of thousands of intervals), and an empty set of intervals is legal everywhere.
Comparisons are exact: two instants are compared by their integer day and the fraction of a day, never after rounding to seconds.
"""

import html

import numpy as np

from .errors import DataFileError, UnitMismatchError
from .instants import concatenate, ranks, replace_where

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
        If a column is missing or does not hold times.
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
            If the lengths differ.
        """
        reference = _as_reference(reference_time)
        return cls._from_times(_as_times(start, reference, "start"), _as_times(stop, reference, "stop"), reference)

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
    def read(cls, filename, hdu="GTI", format="gadf"):
        """Read from a FITS file.

        Parameters
        ----------
        filename : str or `pathlib.Path`
            Environment variables are expanded.
        hdu : str or int
            Name or number of the table HDU.
        format : {"gadf"}
            File format.

        Raises
        ------
        DataFileError
            If the file is not FITS, has no such HDU, or the HDU is not a GTI table.
        """
        from gpudl4.io.files import open_fits

        with open_fits(filename) as hdulist:
            try:
                table_hdu = hdulist[hdu]
            except (KeyError, IndexError) as error:
                names = ", ".join(h.name for h in hdulist if h.name)
                raise DataFileError(f"{filename} has no HDU {hdu!r}; it has: {names}") from error
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
            If a column or the reference time is missing.
        """
        import astropy.units as u
        from astropy.time import Time

        _check_format(format)
        header, columns, name = table_hdu.header, getattr(table_hdu, "columns", None), table_hdu.name or "GTI"
        missing = {"START", "STOP"}.difference(columns.names if columns is not None else ())
        if missing:
            raise DataFileError(f"HDU {name} is no GTI table: missing column {' and '.join(sorted(missing))}")
        if "MJDREFI" not in header or "MJDREFF" not in header:
            raise DataFileError(f"HDU {name} has no reference time: the keywords MJDREFI and MJDREFF are needed")
        time_unit = u.Unit(header.get("TIMEUNIT", "s"))
        values = {}
        for column in ("START", "STOP"):
            unit = columns[column].unit
            data = np.asarray(table_hdu.data[column], dtype=np.float64)
            values[column] = u.Quantity(data, u.Unit(unit) if unit else time_unit)
        # some files hold MJDREFF as a string
        reference = Time(
            float(header["MJDREFI"]), float(header["MJDREFF"]), format="mjd", scale=str(header.get("TIMESYS", "tt")).strip().lower()
        )
        return cls.create(values["START"], values["STOP"], reference)

    def to_table_hdu(self, format="gadf"):
        """FITS table HDU "GTI" with durations in seconds since the reference time; the time scale is that of the reference time.

        Parameters
        ----------
        format : {"gadf"}
            File format.
        """
        from astropy.io import fits

        _check_format(format)
        columns = [
            fits.Column(name="START", format="D", unit="s", array=self.met_start.value),
            fits.Column(name="STOP", format="D", unit="s", array=self.met_stop.value),
        ]
        hdu = fits.BinTableHDU.from_columns(columns, name="GTI")
        mjd = self._reference.mjd
        whole = int(np.floor(mjd))
        hdu.header["MJDREFI"] = whole
        hdu.header["MJDREFF"] = float(mjd - whole)
        hdu.header["TIMEUNIT"] = "s"
        hdu.header["TIMESYS"] = self._reference.scale
        return hdu

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
        if len(other) == 0:
            return
        if len(self) == 0:
            self._set(other.time_start.copy(), other.time_stop.copy(), self._reference)
            return
        self._set(concatenate(self._start, other.time_start), concatenate(self._stop, other.time_stop), self._reference)

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
        if len(self) == 0:
            return self.copy()
        start, stop = ranks(self._start, self._stop)
        order = np.argsort(start, kind="stable")
        start, stop = start[order], stop[order]
        reached = np.maximum.accumulate(stop)
        apart = reached[:-1] < start[1:] if merge_equal else reached[:-1] <= start[1:]
        if not overlap_ok and not apart.all():
            first = int(np.argmin(apart))
            when = self._start[order[first + 1]].isot
            raise ValueError(f"{int((~apart).sum())} time intervals overlap, the first at {when}; give overlap_ok=True to merge them")
        first = np.flatnonzero(np.concatenate(([True], apart)))
        last = np.concatenate((first[1:], [len(self)])) - 1
        # index of the interval that holds the running maximum of the stop times
        holder = np.maximum.accumulate(np.where(stop == reached, np.arange(len(self)), 0))
        return self._from_times(self._start[order[first]], self._stop[order[holder[last]]], self._reference.copy())

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
        begin, end = _interval(time_interval, self._start)
        start, stop, lower, upper = ranks(self._start, self._stop, begin, end)
        keep = (start <= upper) & (stop > lower)
        new_start, new_stop = self._start[keep], self._stop[keep]
        new_start = replace_where(start[keep] < lower, begin, new_start)
        new_stop = replace_where(stop[keep] > upper, end, new_stop)
        return self._from_times(new_start, new_stop, self._reference.copy())

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
        begin, end = _interval(time_interval, self._start)
        start, stop, lower, upper = ranks(self._start, self._stop, begin, end)
        before, after = start < lower, stop > upper
        left = self._from_times(self._start[before], replace_where(stop[before] > lower, begin, self._stop[before]), self._reference.copy())
        right = self._from_times(replace_where(start[after] < upper, end, self._start[after]), self._stop[after], self._reference.copy())
        order = np.argsort(np.concatenate([np.flatnonzero(before), np.flatnonzero(after)]), kind="stable")
        left.stack(right)
        return self._from_times(left.time_start[order], left.time_stop[order], self._reference.copy())

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


def _check_format(format):
    if format != "gadf":
        raise ValueError(f"GTI format {format!r} is unknown: only 'gadf' is supported")


def _interval(time_interval, like):
    """Start and stop of an interval as Time arrays of length 1 on the time scale of `like`."""
    begin, end = time_interval
    return getattr(begin, like.scale).reshape(1), getattr(end, like.scale).reshape(1)
