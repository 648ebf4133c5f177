"""FITS files as a whole: open them fast and check that they are complete; write them atomically.

A compressed file is read and decompressed at once: astropy would seek in the compressed stream HDU by HDU, which is several times slower.
"""

import gzip
import io
import os
import tempfile
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path

from astropy.io import fits

from ..core.errors import DataFileError, OutputError

__all__ = ["expand_path", "open_fits", "write_fits"]

_GZIP_MAGIC = b"\x1f\x8b"


def expand_path(path):
    """Path with ``~`` and environment variables (``$GAMMAPY_DATA/...``) replaced."""
    return Path(os.path.expandvars(path)).expanduser()


def _read_bytes(path):
    if not path.is_file():
        raise DataFileError(f"{path}: there is no such file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataFileError(f"{path}: the file cannot be read: {error}") from error
    if content[:2] == _GZIP_MAGIC:
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise DataFileError(f"{path}: the gzip file is truncated or damaged: {error}") from error
    if not content:
        raise DataFileError(f"{path}: the file is empty")
    if not content.startswith(b"SIMPLE  ="):
        raise DataFileError(f"{path}: this is not a FITS file")
    return content


@contextmanager
def open_fits(path):
    """Open a FITS file, plain or compressed with gzip, and check that it is complete.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        File; environment variables are expanded.

    Yields
    ------
    hdulist : `~astropy.io.fits.HDUList`
        All HDUs; data are loaded when they are used and stay valid afterwards.

    Raises
    ------
    DataFileError
        If the file does not exist, is empty, not FITS or truncated; the message names the path.
    """
    path = expand_path(path)
    content = _read_bytes(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # truncation is told below, as an error
        try:
            hdulist = fits.open(io.BytesIO(content), memmap=False)
            count = len(hdulist)
        except Exception as error:  # astropy raises many classes for damaged headers
            raise DataFileError(f"{path}: the file is not valid FITS: {error}") from error
    with hdulist:
        info = hdulist[count - 1].fileinfo()
        end = info["datLoc"] + info["datSpan"]
        last = f"HDU {count - 1} ('{hdulist[count - 1].name}')"
        if end > len(content):
            raise DataFileError(f"{path}: the file is truncated: {last} ends at byte {end}, the file at {len(content)}")
        if content[end:].strip(b"\0 "):
            raise DataFileError(f"{path}: the file is truncated or damaged after {last}")
        yield hdulist


def write_fits(hdulist, path, overwrite=False, checksum=False):
    """Write a FITS file: first under a temporary name beside the target, then renamed, so that no half-written file is left.

    Parameters
    ----------
    hdulist : `~astropy.io.fits.HDUList`
        HDUs.
    path : str or `~pathlib.Path`
        File; compressed if the name ends in ``.gz``. Environment variables are expanded.
    overwrite : bool
        Whether an existing file may be replaced.
    checksum : bool
        Whether to write DATASUM and CHECKSUM.

    Raises
    ------
    OutputError
        If the file exists, or cannot be written.
    """
    path = expand_path(path)
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: the file exists already; give overwrite=True to replace it")
    buffer = io.BytesIO()
    hdulist.writeto(buffer, checksum=checksum)
    content = buffer.getbuffer()
    if path.suffix == ".gz":
        content = gzip.compress(content, compresslevel=6, mtime=0)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OutputError(f"{path}: the folder cannot be written to: {error}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise OutputError(f"{path}: the file cannot be written: {error}") from error


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
