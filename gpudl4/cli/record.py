"""The record of a fit, ``result.json``: which files went in, with which versions, what came out, and why it stopped."""

import importlib.metadata
import json
import math
import platform
import sys
from datetime import UTC, datetime

from .. import __version__
from ..io.files import atomic_open, expand_path, file_digest, read_yaml
from .reading import YAML_SUFFIXES

__all__ = ["input_files", "versions", "write_json"]

LIBRARIES = ("numpy", "scipy", "astropy", "iminuit", "numba")
FILE_KEYS = ("filename", "covariance")


def versions():
    """Versions of gpudl4, Python and the libraries that decide numbers, as a dict; CuPy's too where it is loaded."""
    cupy = sys.modules.get("cupy")
    return {
        "gpudl4": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
        **({} if cupy is None else {"cupy": cupy.__version__}),
    }


def _named_files(path):
    """File names that a file refers to: a datasets or models file at any depth, a PHA file in its header."""
    if path.suffix.lower() in YAML_SUFFIXES:
        return _named_in(read_yaml(path, checksum=False))
    from astropy.io import fits

    from ..io.ogip import LINKS

    try:
        header = fits.getheader(path, "SPECTRUM")
    except (OSError, KeyError, ValueError):
        return []
    names = [str(header.get(key, "")).strip() for key in LINKS]
    return [name for name in names if name and name.lower() != "none"]


def _named_in(data):
    """File names in the content of a YAML file; the spectra among them name further ones."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key in FILE_KEYS and isinstance(value, str):
                yield value
            else:
                yield from _named_in(value)
    elif isinstance(data, list):
        for item in data:
            yield from _named_in(item)


def input_files(*files):
    """The given files and every file they name (FITS data, templates, covariance, responses), with size and SHA-256.

    Parameters
    ----------
    *files : str or pathlib.Path
        Files of datasets and models.

    Returns
    -------
    list of dict
        ``path`` (absolute), ``bytes``, ``sha256``. A named file that does not exist is left out: its reader says so where it matters.
    """
    paths = {}
    for name in files:
        _add_with_named(expand_path(name).resolve(), paths)
    return [{"path": str(path), "bytes": path.stat().st_size, "sha256": file_digest(path)} for path in paths]


def _add_with_named(path, paths):
    """Add a file, and those that it names, unless it is there."""
    if path in paths:
        return
    paths[path] = None
    for named in map(expand_path, _named_files(path)):
        found = next((candidate for candidate in (path.parent / named, named) if candidate.is_file()), None)
        if found is not None:
            _add_with_named(found.resolve(), paths)


def _finite(value):
    """The value with NaN and infinities, which JSON does not know, replaced by None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(record, path):
    """Write a record, with the time of writing and the versions in front.

    Parameters
    ----------
    record : dict
        Plain Python values; NaN and infinities become null.
    path : pathlib.Path
        File to write; it is replaced when the new one is complete.
    """
    head = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "versions": versions()}
    text = json.dumps(_finite({**head, **record}), indent=2, allow_nan=False, ensure_ascii=False)
    with atomic_open(path, "wb", overwrite=True) as file:
        file.write((text + "\n").encode("utf-8", "backslashreplace"))  # names of files need not be Unicode; the escapes are JSON's
