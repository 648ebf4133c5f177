"""Lists of datasets in YAML files (``*_datasets.yaml``): one entry per dataset with its name, its type and its file.

`read_entries` checks all entries before any data file is opened, so that a mistake in the last line shows at once. Making datasets of the
entries is the business of `gpudl4.datasets`.
"""

import os
import warnings
from pathlib import Path

from gpudl4.core.errors import DataFileError, MissingFileError
from gpudl4.core.reading import excerpt, reading

from .files import expand_path, read_yaml, write_yaml

__all__ = ["read_entries", "write_entries"]

KEYS = ("name", "type", "filename")
PEER_TYPES = ("FluxPointsDataset", "MapDataset", "MapDatasetOnOff", "SpectrumDataset", "SpectrumDatasetOnOff")
"""Types that such a file can name in gammapy; those that are not known here get their own message."""


def read_entries(filename, types, checksum=True):
    """Entries of a datasets file.

    Parameters
    ----------
    filename : str or pathlib.Path
        Path of the YAML file; environment variables are expanded.
    types : sequence of str
        Dataset types that can be read.
    checksum : bool
        Warn if the file carries a checksum that its content does not match.

    Returns
    -------
    entries : list of dict
        ``name``, ``type`` and ``filename`` (a `~pathlib.Path` that exists). A relative file name is looked for beside the YAML file,
        then in the working folder.

    Raises
    ------
    DataFileError
        If the file is no list of datasets, or an entry lacks a key, names an unknown type, repeats a name or points to no file.
    """
    path = expand_path(filename)
    data = read_yaml(path, checksum=checksum)
    with reading(f"'{path}'"):
        return _entries(data, path, types)


def _entries(data, path, types):
    entries = data.get("datasets")
    if "datasets" not in data:
        hint = "; it has 'components', so it is a models file" if "components" in data else ", so it is no list of datasets"
        raise DataFileError(f"'{path}' has no key 'datasets'{hint}")
    if not isinstance(entries, list) or not entries:
        raise DataFileError(f"'{path}': 'datasets' must be a list of at least one entry with {', '.join(KEYS)}")
    result, seen = [], set()
    for number, entry in enumerate(entries, start=1):
        result.append(_checked(entry, number, path, types))
        name = result[-1]["name"]
        if name in seen:
            raise DataFileError(f"'{path}': the name '{name}' appears twice; names of datasets must be unique")
        seen.add(name)
    return result


def _checked(entry, number, path, types):
    where = f"'{path}', dataset {number}"
    if not isinstance(entry, dict):
        raise DataFileError(f"{where}: a mapping with {', '.join(KEYS)} was wanted, got {excerpt(entry)}")
    if isinstance(entry.get("name"), str):
        where += f" ({excerpt(entry['name'])})"
    for key in KEYS:
        if entry.get(key) in (None, ""):
            raise DataFileError(f"{where}: no {key} is given; an entry needs {', '.join(KEYS)}")
        if not isinstance(entry[key], str):
            raise DataFileError(f"{where}: {key} must be a string, got {excerpt(entry[key])}; put it in quotes")
    kind = entry["type"]
    if kind not in types:
        problem = "cannot be read by this version of gpudl4" if kind in PEER_TYPES else "is unknown"
        raise DataFileError(
            f"{where}: type {excerpt(kind)} of {excerpt(entry['filename'], 200)} {problem}; types that can be read: {', '.join(types)}"
        )
    unknown = sorted(set(map(str, entry)) - set(KEYS))
    if unknown:
        warnings.warn(
            f"{where}: keys without a meaning here are ignored: {excerpt(', '.join(unknown), 200)[1:-1]}", UserWarning, stacklevel=4
        )
    try:
        file = expand_path(entry["filename"])
    except DataFileError as error:
        raise type(error)(f"{where}: {error}") from error
    return {"name": entry["name"], "type": kind, "filename": _located(file, path.parent, where)}


def _located(file, folder, where):
    for candidate in (folder / file, file):
        if candidate.is_file():
            return candidate
    raise MissingFileError(
        f"{where}: file '{file}' was not found in '{folder}'" + ("" if file.is_absolute() else " nor in the working folder")
    )


def write_entries(entries, filename, overwrite=False, checksum=True):
    """Write a datasets file.

    Parameters
    ----------
    entries : list of dict
        ``name``, ``type`` and ``filename``; files below the folder of the YAML file are written relative to it.
    filename : str or pathlib.Path
        Path of the YAML file.
    overwrite : bool
        Replace a file that exists.
    checksum : bool
        Append a checksum of the content.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is False, or the place is not writable.
    """
    folder = expand_path(filename).parent
    rows = [{"name": e["name"], "type": e["type"], "filename": _relative(e["filename"], folder)} for e in entries]
    write_yaml({"datasets": rows}, filename, overwrite=overwrite, checksum=checksum)


def _relative(file, folder):
    file = Path(file)
    if file.is_absolute() and file.is_relative_to(os.path.abspath(folder)):
        file = file.relative_to(os.path.abspath(folder))
    return str(file)
