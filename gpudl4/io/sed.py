"""Files of flux points and light curves: in FITS a table FLUXPOINTS with a GTI beside it, or a text file.

What the columns mean is the business of `gpudl4.fluxes`.
"""

from gpudl4.core.errors import DataFileError
from gpudl4.core.gti import GTI

from .files import atomic_open, existing_file, expand_path, open_fits, read_text, write_fits

__all__ = ["read_further", "read_table", "write_table"]

FITS_MAGIC = (b"SIMPLE  =", b"\x1f\x8b")
HDU = "FLUXPOINTS"


def read_table(filename, checksum=False, table_format="ascii.ecsv", **kwargs):
    """Table and GTI of a file.

    Parameters
    ----------
    filename : str or pathlib.Path
        FITS file, compressed or not, or text file.
    checksum : bool
        Verify checksums of a FITS file.
    table_format : str
        Format of a text file, as `astropy.table.Table.read` knows it.
    **kwargs
        Its further arguments.

    Returns
    -------
    table : astropy.table.Table
    gti : GTI or None

    Raises
    ------
    DataFileError
        If the file is missing or damaged, or holds no table.
    """
    from astropy.table import Table

    path = existing_file(filename, "table")
    if not _is_fits(path):
        # lines, because astropy takes a text of one line for the name of another file
        source = read_text(path, "table").splitlines() if table_format.startswith("ascii") else path
        try:
            return Table.read(source, format=table_format, **kwargs), None
        except Exception as error:  # readers of texts raise errors of many kinds, and show the text in them
            kind = type(error).__name__
            raise DataFileError(f"'{path}' does not read as a table in the format '{table_format}' ({kind}): give table_format=") from error
    with open_fits(path, checksum=checksum) as hdulist:
        tables = [hdu for hdu in hdulist if type(hdu).__name__ == "BinTableHDU" and hdu.name != "GTI"]
        if not tables:
            raise DataFileError(f"'{path}' holds no table of flux points; it has: {', '.join(h.name or '(no name)' for h in hdulist)}")
        hdu = next((hdu for hdu in tables if hdu.name == HDU), tables[0])
        table = Table.read(hdu)
        table.meta.pop("EXTNAME", None)
        return table, GTI.from_table_hdu(hdulist["GTI"]) if "GTI" in hdulist else None


def read_further(filename, name):
    """Another table of a FITS file by name; None if the file has none, or is a text file.

    Parameters
    ----------
    filename : str or pathlib.Path
    name : str
        Name of the HDU.
    """
    from astropy.table import Table

    if not _is_fits(existing_file(filename, "table")):
        return None
    with open_fits(filename) as hdulist:
        if name not in hdulist:
            return None
        table = Table.read(hdulist[name])
        table.meta.pop("EXTNAME", None)
        return table


def _is_fits(path):
    with path.open("rb") as file:
        return file.read(9).startswith(FITS_MAGIC)


def write_table(table, filename, gti=None, overwrite=False, checksum=False, hdu=HDU, further=None):
    """Write a table and a GTI to a FITS file, or the table alone to an ECSV file if the name does not contain ``.fits``.

    Parameters
    ----------
    table : astropy.table.Table
    filename : str or pathlib.Path
    gti : GTI, optional
        FITS only.
    overwrite : bool
        Replace a file that exists.
    checksum : bool
        Write checksums into a FITS file.
    hdu : str
        Name of the table.
    further : dict of str to astropy.table.Table, optional
        More tables by name; FITS only.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is False, or the place is not writable.
    """
    from astropy.io import fits

    path = expand_path(filename)
    if ".fits" not in path.suffixes:
        with atomic_open(path, "w", overwrite=overwrite) as file:
            table.write(file, format="ascii.ecsv")
        return
    hdulist = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name=hdu)])
    if gti is not None:
        hdulist.append(gti.to_table_hdu())
    for name, other in (further or {}).items():
        hdulist.append(fits.BinTableHDU(other, name=name))
    write_fits(hdulist, path, overwrite=overwrite, checksum=checksum)
