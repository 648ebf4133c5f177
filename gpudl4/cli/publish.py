"""A finished folder takes the place of an earlier one, so that a kill at any moment loses neither of the two.

A run works in a hidden folder beside its output, and what it finds there after a kill is enough to go back::

    .gpudl4.TOKEN.part/
        target    text: the folder that is wanted; locked while the run lives (`gpudl4.cli.staging`)
        new/      what the run has written
        old/      the earlier folder, while the two change places
        aside/    files of the earlier folder, while files are exchanged one by one
        fresh     text: names of new files that have no earlier one

Folders that hold nothing but results change places, by two renames. Where other files are in the folder, or where it cannot be renamed (a
mount point, the working folder), files are exchanged one by one; the record leaves first and comes last, so that no mixture has one.
"""

import contextlib
import json
import os
import shutil
from pathlib import Path

from ..core.errors import OutputError

__all__ = ["MANIFEST", "check_places", "publish", "recover"]

MANIFEST = "result.json"
"""File whose entry ``files`` names what a run has written."""


def publish(work, target, overwrite):
    """Move ``work/new`` to its place.

    Parameters
    ----------
    work : pathlib.Path
        Hidden folder of this run.
    target : pathlib.Path
        Where it shall be; no link.
    overwrite : bool
        Replace what an earlier run has written there, and files of the same names.

    Raises
    ------
    OutputError
        If the folder exists and `overwrite` is False, or a folder stands where a file shall be.
    OSError
        If the system refuses. What was there before is there afterwards.
    """
    new = work / "new"
    if not (overwrite and target.is_dir()):
        try:
            os.rename(new, target)  # succeeds only where nothing is, or an empty folder
            return
        except OSError as error:
            if not target.is_dir():
                raise
            if not overwrite:
                raise OutputError(f"the output folder '{target}' was written by another run meanwhile") from error
    names = sorted(path.name for path in new.iterdir())
    check_places(target, names)
    replaced = {*_written_before(target), *names}
    if not all(entry.name in replaced and not _is_folder(entry) for entry in target.iterdir()) or not _swap(work, target):
        _exchange(work, target, names, replaced)


def check_places(target, names):
    """Check that no folder stands where files of these names shall be.

    Raises
    ------
    OutputError
        If one does.
    """
    for name in names:
        if _is_folder(target / name):
            raise OutputError(
                f"'{target / name}' is a folder, and a file of this name is to be written: rename it, or choose another output"
            )


def recover(work):
    """Undo what a run has left half done, or finish it where only the clearing up is left; its hidden folder goes.

    Parameters
    ----------
    work : pathlib.Path
        Hidden folder of a run that has ended.
    """
    if (work / "target").exists():
        target = Path(os.fsdecode((work / "target").read_bytes()))
        if (work / "aside").is_dir():
            _put_back(work, target)
        elif (work / "old").is_dir() and not os.path.lexists(target):
            os.rename(work / "old", target)
    for name in ("aside", "old", "new"):
        shutil.rmtree(work / name, ignore_errors=True)
    for name in ("fresh", "target"):  # what says whose it is goes last
        (work / name).unlink(missing_ok=True)
    work.rmdir()


def _is_folder(path):
    return path.is_dir() and not path.is_symlink()


def _written_before(target):
    """Names of the files in a folder that an earlier run says it has written; nothing outside the folder."""
    try:
        names = json.loads((target / MANIFEST).read_text(encoding="utf-8"))["files"]
        return [name for name in names if Path(name).name == name and os.path.lexists(target / name) and not _is_folder(target / name)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _swap(work, target):
    """Let two folders change places; False if the system does not rename the earlier one."""
    new, old = work / "new", work / "old"
    with contextlib.suppress(FileNotFoundError):
        if Path.cwd().is_relative_to(target):
            return False
    shutil.copymode(target, new)
    try:
        os.rename(target, old)
    except OSError:
        return False
    try:
        os.rename(new, target)
    except BaseException:
        if not os.path.lexists(target):
            os.rename(old, target)
        raise
    return True


def _exchange(work, target, names, replaced):
    """Put earlier files aside and new ones in their places, one by one."""
    new, aside = work / "new", work / "aside"
    former = [name for name in replaced if os.path.lexists(target / name)]
    (work / "fresh").write_text(json.dumps([name for name in names if name not in former]), encoding="utf-8")
    aside.mkdir()
    try:
        for name in sorted(former, key=lambda name: name != MANIFEST):
            os.rename(target / name, aside / name)
        for name in sorted(names, key=lambda name: name == MANIFEST):
            os.rename(new / name, target / name)
    except BaseException:
        _put_back(work, target)
        raise


def _put_back(work, target):
    """Undo `_exchange`, unless all new files are in their places. To do it twice does no harm."""
    new, aside = work / "new", work / "aside"
    if not new.is_dir() or not any(new.iterdir()):
        return
    former = sorted((path.name for path in aside.iterdir()), key=lambda name: name == MANIFEST)
    for name in [*json.loads((work / "fresh").read_text(encoding="utf-8")), *former]:
        if not os.path.lexists(new / name) and os.path.lexists(target / name):
            os.rename(target / name, new / name)
    for name in former:
        os.replace(aside / name, target / name)
