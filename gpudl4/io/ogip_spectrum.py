"""SPECTRUM tables of OGIP files (PHA and background): one table to a `Spectrum` of plain arrays and back.

Here is checked what a likelihood of counts cannot use: rates, subtracted background, errors that are not Poissonian, several spectra in one
table. `gpudl4.io.ogip` joins spectra and responses; use that. Format: OGIP/92-007,
https://heasarc.gsfc.nasa.gov/docs/heasarc/ofwg/docs/spectra/ogip_92_007
"""

import warnings
from dataclasses import dataclass

import numpy as np

from gpudl4.core.errors import DataFileError
from gpudl4.maps import RegionGeom
from gpudl4.maps.ogip_read import column, energy_axis, find_table
from gpudl4.maps.ogip_tables import channels, ogip_cards, ogip_hdu
from gpudl4.maps.region_files import read_region_table

__all__ = ["Spectrum", "read_spectrum", "spectrum_hdu"]


@dataclass
class Spectrum:
    """What a SPECTRUM table holds: arrays with one value per channel, the header, the axis (None without EBOUNDS) and the region."""

    where: str
    counts: np.ndarray
    backscal: np.ndarray
    areascal: np.ndarray
    good: np.ndarray
    header: object
    axis: object
    image: object

    @property
    def exposure(self):
        """Exposure time in seconds, or None if the header has none."""
        value = self.header.get("EXPOSURE")
        return float(value) if isinstance(value, int | float) and 0 < value < np.inf else None


def _card(header, key, default):
    """Number in a header; texts that are no numbers count as not given."""
    value = header.get(key, default)
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def _per_channel(hdu, name, default, size, where):
    """A column or, where there is none, the header keyword repeated for each channel."""
    if name in hdu.columns.names:
        return column(hdu, name, where)[0]
    return np.full(size, _card(hdu.header, name, default), dtype=np.float64)


def read_spectrum(hdulist, where, stacklevel=4):
    """Spectrum of an open PHA or background file.

    Parameters
    ----------
    hdulist : `~astropy.io.fits.HDUList`
        With SPECTRUM and, if the file has them, EBOUNDS and REGION.
    where : str
        Name of the file, for messages.

    Returns
    -------
    spectrum : Spectrum

    Raises
    ------
    DataFileError
        If the table holds several spectra, rates, subtracted counts or errors that are not Poissonian, or its rows and keywords disagree.
    """
    hdu = find_table(hdulist, "SPECTRUM", where)
    header, names = hdu.header, hdu.columns.names
    _check_counts(hdu, where)
    counts = column(hdu, "COUNTS", where)[0]
    size, given = len(counts), header.get("DETCHANS", len(counts))
    if given != size:
        raise DataFileError(f"{where}: DETCHANS says {given} channels, but the table SPECTRUM has {size} rows; each channel needs one row")
    if "CHANNEL" in names and (np.diff(column(hdu, "CHANNEL", where)[0].astype(int)) != 1).any():
        raise DataFileError(f"{where}: the column CHANNEL must count up by one from row to row")
    axis = None
    if "EBOUNDS" in hdulist:
        axis = energy_axis(find_table(hdulist, "EBOUNDS", where), "energy", where)
        if axis.nbin != size:
            raise DataFileError(f"{where}: EBOUNDS has {axis.nbin} channels, SPECTRUM has {size}")
    if "GROUPING" in names and (column(hdu, "GROUPING", where)[0] == -1).any():
        warnings.warn(
            f"{where}: the grouping of channels is not applied; a Poisson likelihood needs none", UserWarning, stacklevel=stacklevel
        )
    if "BACKSCAL" not in names and "BACKSCAL" not in header:
        raise DataFileError(f"{where}: there is no BACKSCAL, neither as a column nor as a keyword; the size of the region was wanted")
    backscal = _per_channel(hdu, "BACKSCAL", 1.0, size, where)
    backscal = backscal if backscal.dtype.kind == "f" else backscal.astype(np.float64)
    areascal = _per_channel(hdu, "AREASCAL", 1.0, size, where).astype(np.float64)
    quality = _per_channel(hdu, "QUALITY", 0, size, where)
    _check_scales(backscal, areascal, quality == 0, where)
    region, wcs = read_region_table(hdulist, "REGION")
    return Spectrum(where, counts, backscal, areascal, ~quality.astype(bool), header, axis, RegionGeom(region, wcs=wcs))


def _check_scales(backscal, areascal, good, where):
    """BACKSCAL of channels of bad quality may be anything."""
    bad = ~(np.isfinite(backscal) & (backscal >= 0)) & good
    if bad.any():
        raise DataFileError(
            f"{where}: BACKSCAL is negative or not finite in {int(bad.sum())} of {bad.size} channels, the first {_first(bad)}"
        )
    bad = ~(np.isfinite(areascal) & (areascal > 0))
    if bad.any():
        raise DataFileError(
            f"{where}: AREASCAL must be positive and finite, it is not in {int(bad.sum())} channels, the first {_first(bad)}"
        )


def _first(bad):
    return f"in row {int(np.argmax(bad))}"


def _check_counts(hdu, where):
    """Refuse what a Poisson likelihood cannot use."""
    header, names = hdu.header, hdu.columns.names
    kinds = {str(header.get(f"HDUCLAS{n}", "")).strip().upper() for n in (2, 3, 4)}
    if kinds & {"TYPE:II", "TYPEII"} or "SPEC_NUM" in names or ("COUNTS" in names and np.ndim(hdu.data["COUNTS"]) > 1):
        raise DataFileError(f"{where}: this is a file of several spectra (type II); write each of them to a file of type I")
    if "COUNTS" not in names:
        given = "RATE: it holds rates, whose" if "RATE" in names else "no COUNTS: their"
        raise DataFileError(f"{where}: the spectrum has the column {given} errors are not Poissonian; a column COUNTS was wanted")
    if "NET" in kinds:
        raise DataFileError(f"{where}: the background is subtracted already (HDUCLAS2 = 'NET'), so that the errors are not Poissonian")
    poisson = header.get("POISSERR")
    if isinstance(poisson, str):
        poisson = {"T": True, "TRUE": True, "F": False, "FALSE": False}.get(poisson.strip().upper())
    if poisson is None and "STAT_ERR" in names:
        counts = np.asarray(hdu.data["COUNTS"], dtype=np.float64)
        poisson = bool(np.allclose(hdu.data["STAT_ERR"], np.sqrt(np.abs(counts)), rtol=1e-3))
    if poisson is False:
        given = "POISSERR is false" if "POISSERR" in header else "STAT_ERR is not the root of the counts"
        raise DataFileError(
            f"{where}: the errors are not Poissonian ({given}); the likelihood of counts (wstat, cash) cannot be used for them"
        )
    if "SYS_ERR" in names and np.any(hdu.data["SYS_ERR"] != 0):
        warnings.warn(f"{where}: systematic errors (SYS_ERR) are not part of the likelihood and are ignored", UserWarning, stacklevel=5)


def spectrum_hdu(counts, backscal, good, cards):
    """SPECTRUM table of type I.

    Parameters
    ----------
    counts, backscal : array[K]
        Counts, written as 4-byte integers if they are integers, else as they are; region sizes.
    good : bool array[K]
        False gives QUALITY 1.
    cards : dict
        Header cards beside those every such table has.
    """
    counts = np.nan_to_num(np.asarray(counts))
    whole = np.all(np.rint(counts) == counts) and np.all(np.abs(counts) < 2**31)
    columns = {
        "CHANNEL": channels(counts.size),
        "COUNTS": counts.astype(np.int32 if whole else np.float64),
        "QUALITY": np.where(good, 0, 1).astype(np.int16),
        "BACKSCAL": backscal if backscal.dtype == np.float32 else backscal.astype(np.float64),
    }
    return ogip_hdu("SPECTRUM", columns, ogip_cards("SPECTRUM", counts.size) | cards)
