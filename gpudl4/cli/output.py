"""Output folders that appear whole or not at all, and clearing up behind runs that were killed."""

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from ..core.errors import OutputError
from ..io.files import expand_path
from .publish import MANIFEST, check_places, publish, recover

try:
    import fcntl
except ImportError:  # no such locks on Windows: nothing is known about other runs
    fcntl = None

__all__ = ["MANIFEST", "staged_folder"]

PREFIX, SUFFIX = ".gpudl4.", ".part"


@contextlib.contextmanager
def staged_folder(folder, overwrite=False, names=()):
    """A hidden folder to write into, which becomes `folder` when the block ends without an error and vanishes otherwise.

    What an earlier run was killed over is cleared up before.

    Parameters
    ----------
    folder : str or pathlib.Path
        The wanted folder; environment variables are expanded.
    overwrite : bool
        Let the folder exist. Files of the same names are replaced, and so are those that its ``result.json`` lists as written by an
        earlier run; all others stay.
    names : sequence of str
        Files that will be written for certain: what stands in their way is found before the block.

    Yields
    ------
    stage : pathlib.Path
        Folder to write plain files into.

    Raises
    ------
    OutputError
        If the folder exists and `overwrite` is False, is a file, cannot be written, or another run is about to write it. If this is found
        at the end only, the results stay in another folder, which the message names.
    """
    target = _target(folder)
    work, made = None, []
    try:  # all of it: a signal may come right behind `mkdir`
        _make_parents(target, made)
        bases = _bases(target)
        _clear(bases, target, overwrite)
        if target.exists() and not target.is_dir():
            raise OutputError(f"'{target}' is a file; the output needs a folder")
        if target.exists() and not overwrite:
            raise OutputError(f"the output folder '{target}' exists already; choose another one or pass --overwrite")
        check_places(target, names)
        for work in _candidates(2 * bases):
            try:
                lock = _begin(work, target)
                break
            except OSError as error:
                reason = error.strerror or error
                shutil.rmtree(work, ignore_errors=True)
        else:
            raise OutputError(f"the output folder '{target}' cannot be written: {reason} ('{bases[0]}')")
        with contextlib.closing(lock):
            try:
                yield work / "new"
            except OutputError as error:
                raise OutputError(str(error).replace(str(work / "new"), str(target))) from error
            try:
                publish(work, target, overwrite)
            except OSError as error:
                kept = _keep(work, target)
                work = None if kept.parent == work else work
                reason = error if isinstance(error, OutputError) else f"'{target}' cannot be written: {error.strerror or error}"
                raise OutputError(f"{reason}. The results are in '{kept}'") from error
            _clear_up(work)
    finally:
        if work is not None:  # again, where a signal has come in between
            _clear_up(work)
        for folder in reversed(made):
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()


def _make_parents(target, made):
    """Make the folders above the wanted one; each goes into the list before it is made."""
    missing = [folder for folder in target.parents if not folder.exists()]
    for folder in reversed(missing):
        made.append(folder)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"the output folder '{target}' cannot be written: {error.strerror or error} ('{folder}')") from error


def _target(folder):
    """The wanted folder, links followed."""
    path = expand_path(folder)
    try:
        os.lstat(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # a name that is too long, or a file in place of a folder above
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"the output folder '{_shortened(path)}' cannot be written: {reason}") from error
    return Path(os.path.realpath(path))


def _shortened(path, length=60):
    text = str(path)
    return text if len(text) <= 2 * length else f"{text[:length]}...{text[-length:]}"


def _bases(target):
    """Folders where a run may work: beside the wanted folder, or inside where it can only be written there or is another disk's."""
    beside = target.parent
    if not target.is_dir():
        return [beside]
    return [beside, target] if target.stat().st_dev == beside.stat().st_dev and not os.path.ismount(target) else [target]


def _clear_up(work):
    with contextlib.suppress(OSError):
        recover(work)


def _candidates(bases):
    return [base / f"{PREFIX}{secrets.token_hex(4)}{SUFFIX}" for base in bases]


# ----------------------------------------------------- runs and their locks


def _begin(work, target):
    """Make the hidden folder of this run; the lock that says it lives."""
    work.mkdir()
    lock = (work / "target").open("wb")
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
    lock.write(os.fsencode(target))
    lock.flush()
    (work / "new").mkdir()
    return lock


def _clear(bases, target, overwrite):
    """Clear up behind runs that were killed, and refuse a folder that another run is about to write."""
    for base in bases:
        for work in _works(base):
            if _lives(work) and not overwrite and (work / "target").read_bytes() == os.fsencode(target):
                raise OutputError(f"another run is about to write the output folder '{target}': wait for it, or choose another one")


def _lives(work):
    """Whether the run of a hidden folder lives; if it certainly does not, the folder is cleared up."""
    try:
        with (work / "target").open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            recover(work)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # killed behind `mkdir`; a run that is there just now tries again
        with contextlib.suppress(OSError):
            work.rmdir()
    except OSError:  # a file system without locks, or a folder of somebody else: nothing is known
        pass
    return False


def _works(base):
    """Hidden folders of runs."""
    if fcntl is None:
        return []
    try:
        return sorted(path for path in base.iterdir() if path.name.startswith(PREFIX) and path.name.endswith(SUFFIX))
    except OSError:
        return []


def _keep(work, target):
    """Move the new folder to a name that nothing has; its path."""
    token = work.name.removeprefix(PREFIX).removesuffix(SUFFIX)
    for kept in (target.with_name(f"{target.name}-{token}"), work.with_name(f"{target.name}-{token}"), work.with_name(f"gpudl4-{token}")):
        with contextlib.suppress(OSError):
            os.rename(work / "new", kept)
            return kept
    return work / "new"
