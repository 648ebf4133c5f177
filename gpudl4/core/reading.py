"""The door of every reader: whatever goes wrong while something is read becomes an error of this library that names what was read.

Readers stand inside ``with reading("'file.fits'"):``, and may nest: ``with reading("HDU PSF"):`` inside. The file's content is shown in
messages as `excerpt` alone, and errors of other libraries as `brief`, because either may hold anything.
"""

import contextlib

from .errors import DataFileError, DatasetError, GeometryError, GPUDL4Error, MissingFileError, ModelError, UnitMismatchError

__all__ = ["brief", "excerpt", "reading"]

EXCERPT = 60  # characters
LINE = 160
MESSAGE = 1000  # an error of ours may list what a file has
OF_DATA = (DataFileError, MissingFileError, DatasetError, GeometryError, ModelError, UnitMismatchError)
"""Errors that say what is wrong with data, but not where the data came from."""


def _shortened(text, length):
    return text if len(text) <= length else f"{text[: length - 3]}..."


def excerpt(value, length=EXCERPT):
    """The beginning of a value as it may stand in a message: one line, printable, short.

    Parameters
    ----------
    value : object
        A text or a number is shown, of anything else its type and size.
    length : int
        Most characters.
    """
    if isinstance(value, str | bytes):
        return _shortened(repr(value[:length]), length)
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() <= 64):
        return repr(value)
    size = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"a {type(value).__name__}{size}"


def brief(error):
    """Kind and first line of an error of another library."""
    lines = str(error).strip().splitlines()
    text = " ".join(lines[0].split()) if lines else ""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return _shortened(f"{type(error).__name__}: {text}" if text else type(error).__name__, LINE)


@contextlib.contextmanager
def reading(what):
    """Context in which something is read.

    Errors of this library about data keep their class and get `what` in front, unless they name it; errors of other libraries become a
    `DataFileError`. Warnings that were made errors, errors of devices and exhausted memory pass as they are.

    Parameters
    ----------
    what : str
        Name of the file in quotes, or of a part of it.

    Raises
    ------
    DataFileError
        For whatever another library raises inside.
    """
    try:
        yield
    except OF_DATA as error:
        text = str(error) if what in str(error) else f"{what}: {error}"
        if type(error) not in OF_DATA or (text == str(error) and len(text) <= MESSAGE):
            raise
        raise type(error)(_shortened(text, MESSAGE)) from error
    except (GPUDL4Error, Warning, MemoryError):
        raise
    except Exception as error:
        raise DataFileError(f"{what} cannot be read, it may be damaged ({brief(error)})") from error
