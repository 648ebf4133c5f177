"""Time axes in tables and headers: reference times, bands tables of maps, columns of light curves."""

import numpy as np
from astropy import units as u
from astropy.time import Time

from ..core.errors import DataFileError, GeometryError
from .bin_tables import cycle

__all__ = ["time_edges_of_table", "time_reference", "time_reference_cards"]

MJD_ZERO = 2400000.5
RECENT = "2001-01-01T00:00:00"  # reference of light curves whose file counts from MJD 0, as in gammapy


def time_reference(cards, scale="tt"):
    """Reference time of a FITS header or table, from MJDREFI, MJDREFF and TIMESYS.

    Raises
    ------
    DataFileError
        If a keyword is missing or not a number.
    """
    try:
        # some files hold MJDREFF as a string, with the exponent of Fortran
        whole, part = (float(str(cards[key]).replace("D", "e")) for key in ("MJDREFI", "MJDREFF"))
    except KeyError as error:
        raise DataFileError(f"a time axis needs the keywords MJDREFI and MJDREFF, {error} is missing") from error
    except ValueError as error:
        raise DataFileError(f"MJDREFI and MJDREFF must be numbers: {error}") from error
    return Time(whole, part, format="mjd", scale=str(cards.get("TIMESYS", scale)).strip().lower())


def time_reference_cards(time):
    """Keywords MJDREFI, MJDREFF and TIMESYS of a reference time; its own time scale is kept."""
    whole = int(np.floor(time.mjd))
    part = (time.jd1 - MJD_ZERO - whole) + time.jd2  # the difference of large numbers is exact, so that nanoseconds survive
    return {"MJDREFI": whole, "MJDREFF": float(part), "TIMESYS": time.scale}


def time_edges_of_table(table, format="gadf", idx=0):
    """Starts and stops as durations, reference time and name; see `TimeMapAxis.from_table` for the formats."""
    if format == "gadf":
        names = [name.strip() for name in str(table.meta.get(f"AXCOLS{idx + 1}", "")).split(",")]
        low, high = (_rows(table, name) for name in (names[0], names[-1]))
        return low, high, time_reference(table.meta), names[0].removesuffix("_MIN").lower()
    if format == "fermi-fgl":
        edges = _column(table, "Hist_Start")
        return edges[:-1], edges[1:], time_reference(table.meta), "time"
    if format != "lightcurve":
        raise GeometryError(f"unknown table format {format!r} for a time axis: choose 'gadf', 'lightcurve' or 'fermi-fgl'")
    cards = {"MJDREFI": 0, "MJDREFF": 0.0, "TIMESYS": "utc", "TIMEUNIT": "d", **table.meta}
    reference = time_reference(cards)
    low, high = (reference + np.asarray(_column(table, name).value) * u.Unit(cards["TIMEUNIT"]) for name in ("time_min", "time_max"))
    if reference.mjd == 0:
        reference = Time(RECENT, scale=reference.scale)
        reference.format = "mjd"
    return (low - reference).to("s"), (high - reference).to("s"), reference, "time"


def _rows(table, name):
    """A column of a table of image planes, without its repetitions."""
    values = _column(table, name)
    return u.Quantity(cycle(values.value, f"column '{name}' of a time axis")[0], values.unit)


def _column(table, name):
    """A column as a quantity; plain numbers without a unit."""
    if name not in table.colnames:
        raise DataFileError(f"a time axis needs the column '{name}'; the table has: {', '.join(table.colnames)}")
    return u.Quantity(table[name])
