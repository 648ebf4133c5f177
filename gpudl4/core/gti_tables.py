"""Good time intervals in FITS tables (GADF): columns START and STOP since a reference time. Use `gpudl4.data.GTI`.

Format: https://gamma-astro-data-formats.readthedocs.io/en/latest/events/gti.html
"""

import numpy as np

from .errors import DataFileError

__all__ = ["gti_hdu_columns", "gti_table_hdu"]


def _check_format(format):
    if format != "gadf":
        raise ValueError(f"GTI format {format!r} is unknown: only 'gadf' is supported")


def gti_hdu_columns(table_hdu, format="gadf"):
    """Starts and stops as durations, and the reference time, of a FITS table; see `gpudl4.data.GTI.from_table_hdu`.

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
    values = []
    for column in ("START", "STOP"):
        unit = columns[column].unit
        data = np.asarray(table_hdu.data[column], dtype=np.float64)
        values.append(u.Quantity(data, u.Unit(unit) if unit else time_unit))
    # some files hold MJDREFF as a string
    scale = str(header.get("TIMESYS", "tt")).strip().lower()
    return *values, Time(float(header["MJDREFI"]), float(header["MJDREFF"]), format="mjd", scale=scale)


def gti_table_hdu(met_start, met_stop, reference, format="gadf"):
    """FITS table HDU "GTI" from starts and stops in seconds since the reference time."""
    from astropy.io import fits

    _check_format(format)
    columns = [
        fits.Column(name="START", format="D", unit="s", array=met_start.value),
        fits.Column(name="STOP", format="D", unit="s", array=met_stop.value),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="GTI")
    mjd = reference.mjd
    whole = int(np.floor(mjd))
    hdu.header.update({"MJDREFI": whole, "MJDREFF": float(mjd - whole), "TIMEUNIT": "s", "TIMESYS": reference.scale})
    return hdu
