"""Columns and keywords of the tables of the OGIP formats: EBOUNDS, SPECTRUM, SPECRESP, MATRIX. Whoever writes one takes them from here.

Region maps and axes make an `~astropy.table.Table` or an HDU of them; `gpudl4.io.ogip` writes whole spectra with their responses.
Formats ending in "sherpa" are the same in keV and cm2. Tables are read with `ogip_read`. Sources: OGIP/92-007 (spectra,
https://heasarc.gsfc.nasa.gov/docs/heasarc/ofwg/docs/spectra/ogip_92_007) and CAL/GEN/92-002 (responses,
https://heasarc.gsfc.nasa.gov/docs/heasarc/caldb/docs/memos/cal_gen_92_002/cal_gen_92_002.html).
"""

import numpy as np
from astropy import units as u

from ..core.errors import UnitMismatchError

__all__ = [
    "ENERGY_COLUMNS",
    "OGIP_FORMATS",
    "area_columns",
    "bounds_columns",
    "channels",
    "energy_columns",
    "ogip_cards",
    "ogip_hdu",
]

OGIP_FORMATS = ("ogip", "ogip-sherpa", "ogip-arf", "ogip-arf-sherpa")
# Pairs of columns that hold the lower and upper edges of an energy axis, by its name.
ENERGY_COLUMNS = {"energy": ("E_MIN", "E_MAX"), "energy_true": ("ENERG_LO", "ENERG_HI")}

_ORIGIN = {"TELESCOP": "unknown", "INSTRUME": "unknown", "FILTER": "None"}
_CHANNELS = {"CHANTYPE": "PHA", "DETCHANS": None}
# Keywords that every table has, by its name; DETCHANS is the number of channels.
_CARDS = {
    "EBOUNDS": _ORIGIN | _CHANNELS | {"HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": "EBOUNDS", "HDUVERS": "1.2.0"},
    "SPECRESP": _ORIGIN | {"HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": "SPECRESP", "HDUVERS": "1.1.0"},
    "MATRIX": _ORIGIN
    | _CHANNELS
    | {"HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": "RSP_MATRIX", "HDUCLAS3": "REDIST", "HDUVERS": "1.3.0"},
    "SPECTRUM": _ORIGIN
    | {"CORRFILE": "none", "CORRSCAL": 1.0, "HDUCLASS": "OGIP", "HDUCLAS1": "SPECTRUM", "HDUVERS": "1.2.1", "POISSERR": True}
    | _CHANNELS
    | {"GROUPING": 0, "AREASCAL": 1.0},
}
_FITS_TYPES = {"int16": "I", "int32": "J", "float32": "E", "float64": "D"}


def channels(number):
    """Numbers of the channels from 0, in two bytes as long as they fit."""
    return np.arange(number, dtype=np.int16 if number <= np.iinfo(np.int16).max else np.int32)


def energy_columns(axis, format="ogip"):
    """The two columns with the edges of an energy axis, quantities[K] by their names; in keV for the formats of Sherpa."""
    edges = axis.edges.to("keV") if format.endswith("sherpa") else axis.edges
    low, high = ENERGY_COLUMNS[axis.name]
    return {low: edges[:-1], high: edges[1:]}


def bounds_columns(axis, format="ogip"):
    """Columns of an EBOUNDS table: channels and reconstructed energies."""
    return {"CHANNEL": channels(axis.nbin), **energy_columns(axis, format)}


def area_columns(axis, area, unit, format="ogip"):
    """Columns of a SPECRESP table: true energies and effective area.

    Parameters
    ----------
    axis : `~gpudl4.maps.MapAxis`
        True energies.
    area : array[L]
        Effective area; NaN is written as 0.
    unit : `~astropy.units.Unit`
        Its unit.
    format : str
        Formats of Sherpa are in cm2.

    Raises
    ------
    UnitMismatchError
        If the format needs cm2 and the unit is no area.
    """
    area = np.nan_to_num(area)
    if format.endswith("sherpa"):
        try:
            area, unit = (area * unit.to("cm2")).astype(area.dtype), u.cm**2
        except u.UnitConversionError as error:
            raise UnitMismatchError(f"an effective area is needed, but the unit of the map is '{unit}', not an area") from error
    return {**energy_columns(axis, format), "SPECRESP": u.Quantity(area, unit, dtype=area.dtype, copy=None)}


def ogip_cards(table, number=None):
    """Keywords that every table of a kind has.

    Parameters
    ----------
    table : {"EBOUNDS", "SPECTRUM", "SPECRESP", "MATRIX"}
        Name of the table.
    number : int, optional
        Number of channels, for all but SPECRESP.
    """
    cards = dict(_CARDS[table])
    return cards | {"DETCHANS": number} if "DETCHANS" in cards else cards


def ogip_hdu(table, columns, cards):
    """Table HDU of columns.

    Parameters
    ----------
    table : str
        Name of the table.
    columns : dict
        By their names, in order: arrays, quantities, or object arrays of rows of varying length, all of one type.
    cards : dict
        Header cards, see `ogip_cards`.
    """
    from astropy.io import fits

    hdu = fits.BinTableHDU.from_columns([_fits_column(name, values) for name, values in columns.items()], name=table)
    hdu.header.update(cards)
    return hdu


def _fits_column(name, values):
    from astropy.io import fits

    unit = values.unit.to_string("fits") if isinstance(values, u.Quantity) else None
    values = getattr(values, "value", values)
    if values.dtype != object:
        return fits.Column(name, _FITS_TYPES[values.dtype.name], unit=unit, array=values)
    return fits.Column(name, f"P{_FITS_TYPES[values[0].dtype.name]}()", unit=unit, array=values)
