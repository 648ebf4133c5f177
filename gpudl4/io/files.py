"""Opening and writing files: paths with environment variables, FITS and YAML with clear errors, outputs that appear whole or not at all.

Use `open_fits` and `read_yaml` wherever a user names an input, and `atomic_open`, `write_fits` or `write_yaml` for every output. What a
file means is the business of the other modules of `gpudl4.io`.
"""

import contextlib
import gzip
import hashlib
import io
import os
import re
import secrets
import shutil
import warnings
import zlib
from datetime import UTC, datetime
from pathlib import Path

import yaml

from gpudl4.core.errors import DataFileError, MissingFileError, OutputError

__all__ = [
    "atomic_open",
    "check_output",
    "expand_path",
    "file_digest",
    "open_fits",
    "read_yaml",
    "write_fits",
    "write_yaml",
]

GZIP_MAGIC = b"\x1f\x8b"
FITS_MAGIC = b"SIMPLE  ="
GZIP_LEVEL = 6  # level 9, astropy's default, takes three times longer to save one percent
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
YAML_STYLE = {"sort_keys": False, "indent": 4, "width": 80, "default_flow_style": False}  # gammapy's, its checksums depend on it


def expand_path(filename):
    """Path with ``$VARIABLES`` and a leading ``~`` expanded.

    Parameters
    ----------
    filename : str or pathlib.Path
        For example ``$GAMMAPY_DATA/cta-1dc-gc/cta-1dc-gc.fits.gz``.

    Raises
    ------
    DataFileError
        If the name is empty or (`MissingFileError`) uses a variable that is not set.
    """
    if filename is None or not str(filename):
        raise DataFileError("no file name was given")
    text = os.path.expandvars(str(filename))
    missing = VARIABLE.search(text)
    if missing and (missing[1] or missing[2]) not in os.environ:
        name = missing[1] or missing[2]
        raise MissingFileError(f"'{filename}' uses the environment variable {name}, which is not set: set {name} or write the full path")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise MissingFileError(
            f"'{filename}' begins with a home folder, and whose that is is not known here: write the full path"
        ) from error


def _existing(filename, kind):
    path = expand_path(filename)
    if path.is_dir():
        raise DataFileError(f"'{path}' is a folder; a {kind} file was wanted")
    if not path.exists():
        raise MissingFileError(f"file '{path}' does not exist")
    return path


def _read(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataFileError(f"file '{path}' cannot be read: {error.strerror or error}") from error


def file_digest(filename):
    """SHA-256 of a file as a hexadecimal string, to name in a result which inputs it came from.

    Raises
    ------
    DataFileError
        If the file cannot be read.
    """
    path = _existing(filename, "data")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataFileError(f"file '{path}' cannot be read: {error.strerror or error}") from error


# ----------------------------------------------------------------------------------------------------------------------------------- FITS


def _decompressed(path, data):
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise DataFileError(f"'{path}' is truncated or damaged: its gzip data end early or do not decompress ({error})") from error


def _check_complete(path, hdulist, size):
    for index, hdu in enumerate(hdulist):
        info = hdu.fileinfo()
        if info["datLoc"] + hdu.size > size:
            missing = info["datLoc"] + hdu.size - size
            raise DataFileError(f"'{path}' is truncated: HDU {index} ({hdu.name or 'no name'}) lacks {missing} bytes: copy it again")


def open_fits(filename, checksum=False):
    """Open a FITS file, compressed by gzip or not, after checking that it is one and that it is complete.

    A gzip file is decompressed once into memory: astropy reads it through a stream that starts again at every backward seek, which takes
    about eight times longer on a typical dataset.

    Parameters
    ----------
    filename : str or pathlib.Path
        Path; environment variables are expanded.
    checksum : bool
        Verify CHECKSUM and DATASUM cards, with a warning for each HDU that does not match.

    Returns
    -------
    hdulist : `astropy.io.fits.HDUList`
        To be used as a context manager.

    Raises
    ------
    DataFileError
        If the file is missing, empty, truncated, damaged or not FITS.
    """
    from astropy.io import fits

    path = _existing(filename, "FITS")
    try:
        with path.open("rb") as file:
            start = file.read(len(FITS_MAGIC))
    except OSError as error:
        raise DataFileError(f"file '{path}' cannot be read: {error.strerror or error}") from error
    if not start:
        raise DataFileError(f"'{path}' is empty (0 bytes); a FITS file was wanted")
    source, size = path, path.stat().st_size
    if start.startswith(GZIP_MAGIC):
        data = _decompressed(path, _read(path))
        source, size, start = io.BytesIO(data), len(data), data[: len(FITS_MAGIC)]
    if start != FITS_MAGIC:
        raise DataFileError(f"'{path}' is not a FITS file: it starts with {start!r} instead of {FITS_MAGIC!r}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            hdulist = fits.open(source, memmap=False, checksum=checksum)
            len(hdulist)  # reads all headers
        except (OSError, TypeError, ValueError) as error:
            raise DataFileError(f"'{path}' cannot be read as FITS, it may be truncated: {error}") from error
    try:
        _check_complete(path, hdulist, size)
        for warning in caught:
            if "Error validating header" in str(warning.message):
                count = len(hdulist)
                raise DataFileError(f"'{path}' is truncated or damaged after HDU {count - 1}: what follows is not a FITS header")
    except DataFileError:
        hdulist.close()
        raise
    for warning in caught:
        if "truncated" not in str(warning.message):
            warnings.warn(f"{path}: {warning.message}", warning.category, stacklevel=2)
    return hdulist


def write_fits(hdulist, filename, overwrite=False, checksum=False):
    """Write a FITS file; it appears under its name only when it is complete.

    Parameters
    ----------
    hdulist : `astropy.io.fits.HDUList`
        What to write.
    filename : str or pathlib.Path
        Path; a name that ends in ``.gz`` is compressed. Missing folders are made.
    overwrite : bool
        Replace a file that exists.
    checksum : bool
        Write CHECKSUM and DATASUM cards.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is False, or the place is not writable.
    """
    with atomic_open(filename, "wb", overwrite=overwrite) as file:
        if str(filename).endswith(".gz"):
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=GZIP_LEVEL, mtime=0) as packed:
                packed.write(_fits_bytes(hdulist, checksum))
        else:
            hdulist.writeto(file, checksum=checksum)


def _fits_bytes(hdulist, checksum):
    buffer = io.BytesIO()
    hdulist.writeto(buffer, checksum=checksum)
    return buffer.getbuffer()


# -------------------------------------------------------------------------------------------------------------------------------- outputs


def check_output(filename, overwrite=False):
    """Path of an output, after checking that it may be written there.

    Raises
    ------
    OutputError
        If it exists and `overwrite` is False, or if it is a folder, a device or a pipe.
    """
    path = expand_path(filename)
    if os.path.isdir(path):
        raise OutputError(f"'{path}' is a folder; a file name was wanted")
    if os.path.exists(path) and not os.path.isfile(path):
        raise OutputError(f"'{path}' is no regular file (a device or a pipe); choose another name")
    if os.path.exists(path) and not overwrite:
        raise OutputError(f"file '{path}' exists already: pass overwrite=True to replace it, or choose another name")
    return path


@contextlib.contextmanager
def atomic_open(filename, mode="w", overwrite=False):
    """Open a file for writing that appears under its name only when the block ends without an error.

    The text goes to a hidden file in the same folder, which is renamed at the end and removed after an error. Links are followed. A file
    that is replaced hands on its permissions.

    Parameters
    ----------
    filename : str or pathlib.Path
        Path; environment variables are expanded and missing folders made.
    mode : {"w", "wb"}
        Text (UTF-8) or binary.
    overwrite : bool
        Replace a file that exists.

    Yields
    ------
    file : file object

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is False, or the place is not writable.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"mode must be 'w' or 'wb', got {mode!r}")
    path = check_output(filename, overwrite)
    if "\0" in str(path):
        raise OutputError(f"{str(path)!r} is no name of a file: it holds a null character")
    place = Path(os.path.realpath(path))
    part = place.with_name(f".{secrets.token_hex(8)}.part")  # the name itself may be as long as the system allows
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.lstat(place)  # raises if the system refuses the name
        file = part.open(mode, encoding=None if "b" in mode else "utf-8")
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error} ('{error.filename or path.parent}')") from error
    try:
        with file:
            yield file
        _put(part, place, overwrite)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, OutputError):
            raise OutputError(f"cannot write '{path}': {error.strerror or error}") from error
        raise


def _put(part, place, overwrite):
    """Give a finished file its name."""
    if overwrite:
        with contextlib.suppress(OSError):
            shutil.copymode(place, part)
        os.replace(part, place)
        return
    try:
        os.link(part, place)  # does not replace what another process has written meanwhile
    except FileExistsError as error:
        raise OutputError(f"file '{place}' exists already: another process has written it meanwhile") from error
    except OSError:  # a file system without links
        os.rename(part, check_output(place))
    else:
        part.unlink()


# ----------------------------------------------------------------------------------------------------------------------------------- YAML


def _checksum(text):
    return hashlib.md5(text.encode("utf-8"), usedforsecurity=False).hexdigest()


def read_yaml(filename, checksum=True):
    """Content of a YAML file as a dict, loaded safely.

    Parameters
    ----------
    filename : str or pathlib.Path
        Path; environment variables are expanded.
    checksum : bool
        Where the file carries a ``checksum`` line as gammapy writes it, warn if its content has been changed since. The line itself is
        not returned.

    Returns
    -------
    data : dict

    Raises
    ------
    DataFileError
        If the file is missing, empty, does not parse or is not a mapping.
    """
    path = _existing(filename, "YAML")
    raw = _read(path)
    if raw.startswith((GZIP_MAGIC, FITS_MAGIC)):
        raise DataFileError(f"'{path}' is a {'gzip' if raw.startswith(GZIP_MAGIC) else 'FITS'} file; a YAML file was wanted")
    try:
        data = yaml.load(raw.decode("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataFileError(f"'{path}' does not parse as YAML: {' '.join(str(error).split())}") from error
    if data is None:
        raise DataFileError(f"'{path}' is empty; a YAML mapping was wanted")
    if not isinstance(data, dict):
        raise DataFileError(f"'{path}' holds a {type(data).__name__}; a YAML mapping (lines of 'key: value') was wanted")
    given = data.pop("checksum", None)
    if checksum and given is not None and given != _checksum(yaml.safe_dump(data, **YAML_STYLE)):
        warnings.warn(f"Checksum verification failed: '{path}' was changed after it was written", UserWarning, stacklevel=2)
    return data


def write_yaml(data, filename, overwrite=False, checksum=True):
    """Write a dict as YAML, followed by who made it and when, and by a checksum of all that, as gammapy does.

    Parameters
    ----------
    data : dict
        Plain Python values only.
    filename : str or pathlib.Path
        Path; missing folders are made.
    overwrite : bool
        Replace a file that exists.
    checksum : bool
        Append the checksum line.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is False, or the place is not writable.
    """
    from gpudl4 import __version__

    now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    text = yaml.safe_dump({**data, "metadata": {"creator": f"gpudl4 {__version__}", "date": now, "origin": None}}, **YAML_STYLE)
    if checksum:
        text += yaml.safe_dump({"checksum": _checksum(text)}, **YAML_STYLE)
    with atomic_open(filename, "w", overwrite=overwrite) as file:
        file.write(text)
