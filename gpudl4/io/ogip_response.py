"""Energy-dispersion matrices in OGIP RMF files, compressed by groups of channels.

`gpudl4.irf.EDispKernel.read` and ``write`` are the usual way in. Format: CAL/GEN/92-002,
https://heasarc.gsfc.nasa.gov/docs/heasarc/caldb/docs/memos/cal_gen_92_002/cal_gen_92_002.html
"""

import numpy as np

from gpudl4.core.errors import DataFileError
from gpudl4.irf import EDispKernel
from gpudl4.maps.ogip_read import column, energy_axis, find_table
from gpudl4.maps.ogip_tables import bounds_columns, energy_columns, ogip_cards, ogip_hdu

__all__ = ["read_rmf", "rmf_hdulist"]


def read_rmf(hdulist, where="the file", hdu1="MATRIX", hdu2="EBOUNDS"):
    """Matrix of an open RMF file.

    Parameters
    ----------
    hdulist : `~astropy.io.fits.HDUList`
        File with the tables of the matrix and of the reconstructed energies.
    where : str
        Name of the file, for messages.
    hdu1, hdu2 : str
        Names of the two tables. "SPECRESP MATRIX" is taken where there is no MATRIX, if it says that it holds no effective area.

    Returns
    -------
    kernel : `~gpudl4.irf.EDispKernel`
        Float64 array[L, K].

    Raises
    ------
    DataFileError
        If tables or columns are missing, or the groups do not fit the channels.
    """
    if hdu1 == "MATRIX" and hdu1 not in hdulist and "SPECRESP MATRIX" in hdulist:
        hdu1 = "SPECRESP MATRIX"
        if str(hdulist[hdu1].header.get("HDUCLAS3", "FULL")).strip().upper() != "REDIST":
            raise DataFileError(
                f"{where}: the matrix includes the effective area (SPECRESP MATRIX); separate RMF and ARF files were wanted"
            )
    hdu, bounds = find_table(hdulist, hdu1, where), find_table(hdulist, hdu2, where)
    axis, axis_true = energy_axis(bounds, "energy", where), energy_axis(hdu, "energy_true", where)
    channels = hdu.header.get("DETCHANS", axis.nbin)
    if channels != axis.nbin:
        raise DataFileError(f"{where}: DETCHANS says {channels} channels, but {hdu2} has {axis.nbin}")
    matrix = _expand(hdu, axis.nbin, _first_channel(hdu, bounds), where)
    bad = ~(np.isfinite(matrix) & (matrix >= 0))
    if bad.any():
        rows = int(bad.any(axis=1).sum())
        raise DataFileError(f"{where}: MATRIX holds negative or not finite values in {rows} of {len(matrix)} rows, the energy dispersion")
    return EDispKernel([axis_true, axis], matrix)


def _first_channel(hdu, bounds):
    """Number of the first channel, to which F_CHAN refers."""
    card = f"TLMIN{hdu.columns.names.index('F_CHAN') + 1}" if "F_CHAN" in hdu.columns.names else ""
    if card in hdu.header:
        return int(hdu.header[card])
    return int(bounds.data["CHANNEL"][0]) if "CHANNEL" in bounds.columns.names else 0


def _expand(hdu, channels, first, where):
    """Full matrix from the groups of channels."""
    n_grp, f_chan, n_chan, values = (_rows(hdu, name, where) for name in ("N_GRP", "F_CHAN", "N_CHAN", "MATRIX"))
    matrix = np.zeros((len(n_grp), channels))
    for row, out in enumerate(matrix):
        taken, packed = 0, np.atleast_1d(values[row])
        starts, sizes = np.atleast_1d(f_chan[row]), np.atleast_1d(n_chan[row])
        groups = int(n_grp[row])
        if groups > min(len(starts), len(sizes)):
            raise DataFileError(
                f"{where}: row {row} of the matrix names {groups} groups, but F_CHAN and N_CHAN have {len(starts)}, {len(sizes)}"
            )
        for start, size in zip(starts[:groups].astype(int) - first, sizes[:groups].astype(int), strict=True):
            if size == 0:
                continue
            if start < 0 or start + size > channels or taken + size > len(packed):
                raise DataFileError(
                    f"{where}: row {row} of the matrix has {size} channels from {start + first} and {len(packed)} values, "
                    f"but the channels are {first} to {first + channels - 1}"
                )
            out[start : start + size] = packed[taken : taken + size]
            taken += size
    return matrix


def _rows(hdu, name, where):
    return column(hdu, name, where)[0]


def rmf_hdulist(kernel, format="ogip", cards=None):
    """HDUs of an RMF file: PRIMARY, MATRIX, EBOUNDS.

    Parameters
    ----------
    kernel : `~gpudl4.irf.EDispKernel`
        Matrix. It is written in single precision where that loses nothing.
    format : {"ogip", "ogip-sherpa"}
        The second in keV.
    cards : dict, optional
        Cards for all headers.
    """
    from astropy.io import fits

    axis_true, axis = kernel.axes["energy_true"], kernel.axes["energy"]
    data = np.nan_to_num(kernel.pdf_matrix)
    single = np.array_equal(data.astype(np.float32).astype(data.dtype), data)
    groups = [_groups(row) for row in data]
    starts, sizes = ([group[i] for group in groups] for i in (0, 1))
    packed = [row[row != 0].astype(np.float32 if single else np.float64) for row in data]
    columns = energy_columns(axis_true, format) | {"N_GRP": np.array([len(start) for start in starts], dtype=np.int16)}
    columns |= {"F_CHAN": _ragged(starts), "N_CHAN": _ragged(sizes), "MATRIX": _ragged(packed)}
    counts = {"NUMGRP": sum(map(len, starts)), "NUMELT": sum(map(len, packed)), "TLMIN4": 0, "LO_THRES": 0.0}
    matrix = ogip_hdu("MATRIX", columns, ogip_cards("MATRIX", axis.nbin) | counts)
    bounds = ogip_hdu("EBOUNDS", bounds_columns(axis, format), ogip_cards("EBOUNDS", axis.nbin))
    hdulist = fits.HDUList([fits.PrimaryHDU(), matrix, bounds])
    for each in hdulist:
        each.header.update(cards or {})
    return hdulist


def _groups(row):
    """First channels and lengths of the runs of values that are not 0; one run of length 0 for a row of zeros, as in gammapy."""
    filled = np.concatenate([[False], row != 0, [False]])
    starts, stops = np.flatnonzero(filled[1:] & ~filled[:-1]), np.flatnonzero(~filled[1:] & filled[:-1])
    if not len(starts):
        return np.zeros(1, dtype=np.int16), np.zeros(1, dtype=np.int16)
    return starts.astype(np.int16), (stops - starts).astype(np.int16)


def _ragged(rows):
    out = np.empty(len(rows), dtype=object)
    out[:] = rows
    return out
