"""Opening FITS files for reading; use `gpudl4.io.files.open_fits`.

The structure of a file is checked before astropy sees it, and `InputHDUList`, as a context manager, gives the name of the file to whatever
goes wrong while somebody reads from it.
"""

import io
import warnings
import zlib

from astropy.io import fits

from gpudl4.core.errors import DataFileError
from gpudl4.core.reading import reading

from .fits_structure import BLOCK, check_structure, parts_of

__all__ = ["InputHDUList", "opened"]

GZIP_MAGIC = b"\x1f\x8b"
FITS_MAGIC = b"SIMPLE  ="
OTHERS = {b"%YAML": "YAML", b"\x89HDF": "HDF5", b"PK\x03\x04": "ZIP", b"# %ECSV": "ECSV", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
"""First bytes of files that somebody may give by mistake."""

FIRST = 256 * 2**20  # bytes that are decompressed before anybody looks
MOST = 2 * 2**30
MOST_PER_BYTE = 100
"""What may come out of a gzip file: so many bytes, or so many times its length."""


class InputHDUList(fits.HDUList):
    """HDUs of an input file. As a context manager it closes the file, and errors of the block name it (`gpudl4.core.reading`).

    Attributes
    ----------
    where : str
        Name of the file in quotes, for messages.
    """

    where = "the file"

    def __enter__(self):
        self._door = reading(self.where)
        self._door.__enter__()
        return self

    def __exit__(self, kind, error, trace):
        try:
            return self._door.__exit__(kind, error, trace)
        finally:
            self.close()


def opened(path, checksum=False):
    """Open a FITS file; see `gpudl4.io.files.open_fits`.

    Parameters
    ----------
    path : pathlib.Path
        An existing file.
    checksum : bool
        Verify checksums.
    """
    where = f"'{path}'"
    try:
        with path.open("rb") as file:
            source, size = file, path.stat().st_size
            if file.read(len(GZIP_MAGIC)) == GZIP_MAGIC:
                source, size = _decompressed(file, size, where)
            check_magic(source, where)
            check_structure(source, size, where)
    except OSError as error:
        raise DataFileError(f"file '{path}' cannot be read: {error.strerror or error}") from error
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with reading(where):
            if source.closed:
                source = str(path)
            else:
                source.seek(0)
            hdulist = InputHDUList.fromfile(source, mode="readonly", memmap=False, checksum=checksum)
            hdulist.where = where
            len(hdulist)  # reads all headers
    for warning in caught:
        if "truncated" not in str(warning.message):
            warnings.warn(f"{path}: {warning.message}", warning.category, stacklevel=3)
    return hdulist


def check_magic(stream, where):
    """Check that a file begins as FITS files do; of what it holds instead nothing is shown."""
    stream.seek(0)
    start = stream.read(BLOCK)
    if start.startswith(FITS_MAGIC):
        return
    if not start:
        raise DataFileError(f"{where} is empty (0 bytes); a FITS file was wanted")
    kind = next((name for magic, name in OTHERS.items() if start.startswith(magic)), None)
    if kind is None and b"\0" not in start:
        kind = "text"
    what = "" if kind is None else f", it looks like {kind}"
    raise DataFileError(f"{where} is not a FITS file{what}: it does not start with {FITS_MAGIC.decode()!r}")


def _decompressed(file, size, where):
    """Content of a gzip file as a stream, and its length."""
    file.seek(0)
    packed, pieces, length = file.read(), [], 0
    most = max(MOST, MOST_PER_BYTE * size)
    try:
        while packed.startswith(GZIP_MAGIC):
            unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            while not unpacker.eof:
                pieces.append(unpacker.decompress(packed, _room(pieces, length, most, where)))
                length += len(pieces[-1])
                packed = unpacker.unconsumed_tail
                if not packed and not unpacker.eof and not pieces[-1]:
                    raise DataFileError(f"{where} is truncated or damaged: its gzip data end early")
            packed = unpacker.unused_data
    except zlib.error as error:
        raise DataFileError(f"{where} is truncated or damaged: its gzip data do not decompress ({error})") from error
    return io.BytesIO(pieces[0] if len(pieces) == 1 else b"".join(pieces)), length


def _room(pieces, length, most, where):
    """Bytes to decompress next. Data that are no FITS file are not decompressed to their end."""
    if length < FIRST:
        return FIRST - length
    if length >= most:
        raise DataFileError(
            f"{where} becomes more than {most:,} bytes when it is decompressed, {MOST_PER_BYTE} times its length: if you trust it, "
            "unpack it with gunzip and read the unpacked file"
        )
    so_far = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    pieces[:] = [so_far]
    stream = io.BytesIO(so_far)
    check_magic(stream, where)
    for part in parts_of(stream, length, where):
        if part.end > length:
            return min(part.end, most) - length + BLOCK
    return FIRST
