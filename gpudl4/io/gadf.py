"""Datasets in FITS files of the GADF map format: HDUs to plain fields and back.

`read_fields` and `write_fields` take a table of fields (rows with ``name``, ``kind`` and ``hdu``, see `gpudl4.datasets.fields`) and know no
dataset class. Files are those of gammapy: maps as images with a ``_BANDS`` table of axes, or as tables for regions, responses with their
exposure in a second map, good time intervals and a table of metadata.
"""

from gpudl4.core.errors import DataFileError, DatasetError, GPUDL4Error
from gpudl4.core.reading import brief

__all__ = ["read_fields", "write_fields"]


def _names(hdulist):
    return [hdu.name for hdu in hdulist if hdu.name not in ("", "PRIMARY")]


def read_fields(hdulist, table, filename="the file"):
    """Fields of a dataset from a list of HDUs.

    Parameters
    ----------
    hdulist : `astropy.io.fits.HDUList`
        As `gpudl4.io.files.open_fits` gives it.
    table : sequence of rows
        Rows with ``name``, ``kind`` and ``hdu``.
    filename : str
        For messages.

    Returns
    -------
    values : dict
        Field name to `Map`, IRF map, `GTI` or `astropy.table.Table`, for the fields whose HDU is present. Arrays are in native byte order;
        masks are boolean whatever integer type they were stored in.

    Raises
    ------
    DataFileError
        If none of the HDUs is there, if a table of axes is missing, or if an HDU does not hold what its name says.
    """
    present = [row for row in table if row.hdu in hdulist]
    if not present:
        wanted = ", ".join(row.hdu for row in table)
        found = ", ".join(_names(hdulist)) or "none"
        raise DataFileError(f"{filename} holds no part of a dataset: HDUs named {wanted} were wanted, it has {found}")
    values = {}
    for row in present:
        try:
            values[row.name] = _READERS[row.kind](hdulist, row.hdu, filename)
        except (GPUDL4Error, Warning, MemoryError):
            raise
        except Exception as error:  # astropy raises errors of many kinds
            raise DataFileError(f"{filename}: HDU {row.hdu} cannot be read as {_MEANING[row.kind]} ({brief(error)})") from error
    return values


def _check_bands(hdulist, name, filename):
    """The table of axes of a map HDU must be there: without it the third dimension has no meaning."""
    header = hdulist[name].header
    bands = header.get("BANDSHDU")
    if bands is not None and bands not in hdulist:
        found = ", ".join(_names(hdulist))
        raise DataFileError(f"{filename}: HDU {name} has its energies in HDU {bands}, which is missing; the file has {found}")
    is_image = header.get("XTENSION", "IMAGE").strip() == "IMAGE"
    if bands is None and is_image and header.get("NAXIS", 0) > 2 and not any(other in hdulist for other in ("EBOUNDS", "ENERGIES")):
        raise DataFileError(f"{filename}: HDU {name} is a cube but names no table of its energies (keyword BANDSHDU)")


def _native(data_map):
    data = data_map.data
    if data.dtype.isnative:
        return data_map
    return data_map.copy(data=data.astype(data.dtype.newbyteorder("=")))


def _read_map(hdulist, name, filename):
    from gpudl4.maps import Map

    _check_bands(hdulist, name, filename)
    return _native(Map.from_hdulist(hdulist, hdu=name, format="gadf"))


def _read_cube(hdulist, name, filename):
    data_map = _read_map(hdulist, name, filename)
    if name == "EXPOSURE" and data_map.geom.axes.names[:1] == ["energy"]:  # old files: the axis was called energy in any case
        axes = [data_map.geom.axes["energy"].copy(name="energy_true"), *list(data_map.geom.axes)[1:]]
        data_map = data_map.copy(geom=data_map.geom.to_image().to_cube(axes))
    return data_map


def _read_mask(hdulist, name, filename):
    data_map = _read_map(hdulist, name, filename)
    if data_map.data.dtype == bool:
        return data_map
    return data_map.copy(data=data_map.data.astype(bool))


def _read_psf(hdulist, name, filename):
    from gpudl4.irf import PSFMap

    for hdu in _present(hdulist, name, f"{name}_EXPOSURE"):
        _check_bands(hdulist, hdu, filename)
    return PSFMap.from_hdulist(hdulist, hdu=name, exposure_hdu=f"{name}_EXPOSURE", format="gadf")


def _read_edisp(hdulist, name, filename):
    from gpudl4.irf import EDispMap

    for hdu in _present(hdulist, name, f"{name}_EXPOSURE"):
        _check_bands(hdulist, hdu, filename)
    return EDispMap.from_hdulist(hdulist, hdu=name, exposure_hdu=f"{name}_EXPOSURE", format="gadf")


def _present(hdulist, *names):
    return [name for name in names if name in hdulist]


def _read_gti(hdulist, name, filename):
    from gpudl4.core.gti import GTI

    return GTI.from_table_hdu(hdulist[name])


def _read_table(hdulist, name, filename):
    from astropy.table import Table

    return Table.read(hdulist[name])


_READERS = {"map": _read_cube, "mask": _read_mask, "psf": _read_psf, "edisp": _read_edisp, "gti": _read_gti, "table": _read_table}

_MEANING = {
    "map": "a map",
    "mask": "a mask",
    "psf": "a PSF map",
    "edisp": "an energy dispersion map",
    "gti": "good time intervals",
    "table": "a table",
}


def write_fields(values, table, header=None):
    """List of HDUs of a dataset; the reverse of `read_fields`.

    Parameters
    ----------
    values : dict
        Field name to value or None. Device arrays are brought to the host.
    table : sequence of rows
        Rows with ``name``, ``kind`` and ``hdu``.
    header : dict, optional
        Cards of the primary header; ``CREATOR``, ``CREATED`` and ``ORIGIN`` go into every header.

    Returns
    -------
    hdulist : `astropy.io.fits.HDUList`
    """
    from astropy.io import fits

    hdulist = fits.HDUList([fits.PrimaryHDU()])
    for row in table:
        value = values.get(row.name)
        if value is not None:
            hdulist.extend(_hdus(fits, row, value))
    header = header or {}
    hdulist[0].header.update(header)
    common = {key: header[key] for key in ("CREATOR", "CREATED", "ORIGIN") if key in header}
    for hdu in hdulist[1:]:
        hdu.header.update(common)
    return hdulist


def _hdus(fits, row, value):
    if row.kind == "gti":
        return [value.to_table_hdu()]
    if row.kind == "table":
        try:
            return [fits.BinTableHDU(value, name=row.hdu)]
        except UnicodeEncodeError as error:
            raise DatasetError(
                f"{row.name} holds the text '{error.object}', but FITS tables hold ASCII only: spell it otherwise"
            ) from error
    value = value.to_host()
    if row.kind in ("psf", "edisp"):
        return value.to_hdulist(format="gadf")[1:]
    return value.to_hdulist(hdu=row.hdu, format="gadf")[1:]
