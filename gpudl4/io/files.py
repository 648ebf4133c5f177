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
import stat
import warnings
from datetime import UTC, datetime
from pathlib import Path

import yaml

from gpudl4.core.errors import DataFileError, MissingFileError, OutputError
from gpudl4.core.reading import excerpt, reading

from .yaml_input import parse_yaml

__all__ = [
    "atomic_open",
    "check_output",
    "existing_file",
    "expand_path",
    "file_digest",
    "open_fits",
    "read_bytes",
    "read_text",
    "read_yaml",
    "write_fits",
    "write_yaml",
]

GZIP_MAGIC = b"\x1f\x8b"
FITS_MAGIC = b"SIMPLE  ="
MAX_YAML = 16 * 2**20  # bytes; models of a thousand sources have one MB
MAX_TEXT = 2**30  # bytes; the covariance of 5000 parameters
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


def existing_file(filename, kind):
    """Path of a file that is there and is a file.

    Parameters
    ----------
    filename : str or pathlib.Path
        Path; environment variables are expanded.
    kind : str
        What it shall hold, for messages.

    Raises
    ------
    DataFileError
        If it is missing (`MissingFileError`), a folder, or a pipe or device, whose end nobody knows.
    """
    path = expand_path(filename)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(f"file '{path}' does not exist") from error
    except (OSError, ValueError) as error:  # names that are too long, or hold a zero byte
        raise DataFileError(f"file {excerpt(str(path), 200)} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if stat.S_ISDIR(mode):
        raise DataFileError(f"'{path}' is a folder; a {kind} file was wanted")
    if not stat.S_ISREG(mode):
        raise DataFileError(f"'{path}' is a pipe or a device; a {kind} file was wanted")
    return path


def read_bytes(filename, kind, limit=None):
    """Content of a file.

    Parameters
    ----------
    filename, kind
        As for `existing_file`.
    limit : int, optional
        Most bytes.

    Raises
    ------
    DataFileError
        If there is no such file, it cannot be read, or it is larger.
    """
    path = existing_file(filename, kind)
    try:
        with path.open("rb") as file:
            data = file.read(-1 if limit is None else limit + 1)
    except OSError as error:
        raise DataFileError(f"file '{path}' cannot be read: {error.strerror or error}") from error
    if limit is not None and len(data) > limit:
        raise DataFileError(f"'{path}' has more than {limit:,} bytes, too many for a {kind} file")
    return data


def read_text(filename, kind, limit=MAX_TEXT):
    """Content of a file in UTF-8; see `read_bytes`."""
    data = read_bytes(filename, kind, limit)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataFileError(f"'{expand_path(filename)}' is no text in UTF-8 (byte {error.start}); a {kind} file was wanted") from error


def file_digest(filename):
    """SHA-256 of a file as a hexadecimal string, to name in a result which inputs it came from.

    Raises
    ------
    DataFileError
        If the file cannot be read.
    """
    path = existing_file(filename, "data")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataFileError(f"file '{path}' cannot be read: {error.strerror or error}") from error


# ----------------------------------------------------------------------------------------------------------------------------------- FITS


def open_fits(filename, checksum=False):
    """Open a FITS file, compressed by gzip or not, after checking that it is one and that it is complete.

    A gzip file is decompressed once into memory: astropy reads it through a stream that starts again at every backward seek, which takes
    about eight times longer on a typical dataset. What goes wrong inside the context, whoever raises it, is an error that names the file.

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
    from .fits_input import opened

    return opened(existing_file(filename, "FITS"), checksum)


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


def _dumped(data, path):
    with reading(f"'{path}'"):
        return yaml.safe_dump(data, **YAML_STYLE)


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
    path = expand_path(filename)
    raw = read_bytes(path, "YAML", MAX_YAML)
    if raw.startswith((GZIP_MAGIC, FITS_MAGIC)):
        raise DataFileError(f"'{path}' is a {'gzip' if raw.startswith(GZIP_MAGIC) else 'FITS'} file; a YAML file was wanted")
    with reading(f"'{path}'"):
        data = parse_yaml(raw, f"'{path}'")
    if data is None:
        raise DataFileError(f"'{path}' is empty; a YAML mapping was wanted")
    if not isinstance(data, dict):
        raise DataFileError(f"'{path}' holds a {type(data).__name__}; a YAML mapping (lines of 'key: value') was wanted")
    given = data.pop("checksum", None)
    if checksum and given is not None and given != _checksum(_dumped(data, path)):
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
