"""Output folders that appear whole or not at all."""

import contextlib
import json
import os
import secrets
import shutil
from pathlib import Path

from ..core.errors import OutputError
from ..io.files import expand_path

__all__ = ["MANIFEST", "staged_folder"]

MANIFEST = "result.json"
"""File whose entry ``files`` names what a run has written."""


def _existing_ancestor(path):
    """The path itself or the nearest folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _written_before(target):
    """Files in a folder that an earlier run says it has written; nothing outside the folder."""
    try:
        names = json.loads((target / MANIFEST).read_text(encoding="utf-8"))["files"]
        paths = [target / name for name in names if Path(name).name == name]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [path for path in paths if path.is_file()]


def _publish(stage, target):
    """Move everything from the stage to its place."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(stage, target)
        return
    for path in _written_before(target):
        path.unlink()
    for path in sorted(stage.iterdir()):
        os.replace(path, target / path.name)


@contextlib.contextmanager
def staged_folder(folder, overwrite=False):
    """A hidden folder to write into, which becomes `folder` when the block ends without an error and vanishes otherwise.

    Parameters
    ----------
    folder : str or pathlib.Path
        The wanted folder; environment variables are expanded.
    overwrite : bool
        Let the folder exist. Files of the same names are replaced, and so are those that its ``result.json`` lists as written by an
        earlier run; all others stay.

    Yields
    ------
    stage : pathlib.Path
        Folder to write plain files into.

    Raises
    ------
    OutputError
        If the folder exists and `overwrite` is False, is a file, or cannot be written.
    """
    target = expand_path(folder)
    if target.exists() and not target.is_dir():
        raise OutputError(f"'{target}' is a file; the output needs a folder")
    if target.exists() and not overwrite:
        raise OutputError(f"the output folder '{target}' exists already; choose another one or pass --overwrite")
    base = _existing_ancestor(target)
    stage = base / f".{target.name or 'gpudl4'}.{secrets.token_hex(4)}.part"
    try:  # from here on: a signal may come right behind `mkdir`
        try:
            stage.mkdir()
        except OSError as error:
            raise OutputError(f"the output folder '{target}' cannot be written: {error.strerror or error} ('{base}')") from error
        yield stage
        try:
            _publish(stage, target)
        except OSError as error:
            raise OutputError(f"the output folder '{target}' cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
