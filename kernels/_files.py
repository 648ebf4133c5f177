"""Compiled code on disk: one file per function and forms of its arguments, which appears whole or not at all.

The name of a file holds a hash of all that the code depends on: the sources (with the files that constants are imported from), the forms
of the arguments, the versions of Numba, LLVM and Python, the processor, settings of Numba. So any number of processes may start at
once: one compiles and the others wait for its file (`_claims`); where that is not possible, several compile the same. A file that is
damaged counts as missing.

Code is written to the folder that ``NUMBA_CACHE_DIR`` names, if it is set; else to ``__pycache__`` beside the sources, if that is
writable; else to a cache folder of the user. It is read from all of them, so what was compiled before an installation became
read-only serves.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import platform
import re
import secrets
import sys
from pathlib import Path

from ._claims import Claims

__all__ = ["Files", "folders", "stamp"]

IMPORT = re.compile(rb"^from \.(\w+) import", re.MULTILINE)
DIGEST = 32  # bytes of a SHA-256, which stand before the code in each file
SUFFIX = ".nbc"
ENTRIES = ("_numba.py", "_arrays.py")  # what entries are written by
BESIDE = ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER")  # settings that no code depends on


class Files:
    """Files ``<prefix>.<stamp>.<key>.nbc``: a digest of the content, then the content.

    Parameters
    ----------
    source : pathlib.Path
        Of the function.
    prefix : str
        Of its files: no other function's may begin like it.
    candidates : list of pathlib.Path, optional
        Instead of `folders`.

    Attributes
    ----------
    folder : pathlib.Path or None
        That is written to, if any can be.
    """

    def __init__(self, source, prefix, candidates=None):
        self._candidates = folders(source) if candidates is None else candidates
        self.folder = next((folder for folder in self._candidates if _is_writable(folder)), None)
        self._prefix, self._stamp, self._claims = prefix, stamp(source)[:12], Claims()

    def _name(self, key):
        return f"{self._prefix}.{self._stamp}.{hashlib.sha256(repr(key).encode()).hexdigest()[:20]}"

    def load(self, key, waiting=lambda: None):
        """What was saved; None if the caller has to compile, which others wait for until it saves or gives up.

        Parameters
        ----------
        key : object
            With the same text in every process.
        waiting : callable
            Called once if another process is compiling it.
        """
        found = self._read(key)
        if found is None and self.folder is not None:
            claim = self._claim(key)
            self._claims.take(claim, waiting)
            found = self._read(key)
            if found is not None:
                self._claims.drop(claim)
        return found

    def _claim(self, key):
        return self.folder / (self._name(key) + ".lock")

    def _read(self, key):
        """What was saved, or None if there is nothing or not all of it."""
        for folder in self._candidates:
            try:
                content = (folder / (self._name(key) + SUFFIX)).read_bytes()
            except OSError:
                continue
            data = content[DIGEST:]
            if hashlib.sha256(data).digest() == content[:DIGEST]:
                return data
        return None

    def save(self, key, data):
        """Keep code, and remove what older sources left. A disk that is full costs the next process time, not this one its result."""
        if self.folder is None:
            return
        with contextlib.suppress(OSError):
            self._write(self.folder / (self._name(key) + SUFFIX), data)
        self.give_up(key)
        for path in self.folder.glob(f"{self._prefix}.*{SUFFIX}"):
            if not path.name.startswith(f"{self._prefix}.{self._stamp}."):
                path.unlink(missing_ok=True)

    def give_up(self, key):
        """Let others compile what `load` asked for."""
        if self.folder is not None:
            self._claims.drop(self._claim(key))

    @staticmethod
    def _write(path, data):
        """Write a file that appears whole or not at all."""
        part = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            part.write_bytes(hashlib.sha256(data).digest() + data)
            os.replace(part, path)
        except OSError:
            part.unlink(missing_ok=True)
            raise


def folders(source):
    """Where compiled code may be, in the order of preference."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache")).expanduser()
    return [*([Path(chosen, "gpudl4")] if chosen else []), source.parent / "__pycache__", user / "gpudl4"]


@functools.cache
def _is_writable(folder):
    """Whether files can be made there; tried, because permissions do not tell on every file system."""
    trial = folder / f".{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError:
        return False
    return True


@functools.cache
def stamp(source):
    """Hash of a source file, of those beside it that it imports with what they import, and of the machine and its software."""
    wanted, seen = [source, *(Path(__file__).with_name(name) for name in ENTRIES)], {}
    while wanted:
        path = wanted.pop()
        if path not in seen and path.is_file():
            seen[path] = path.read_bytes()
            wanted += [path.with_name(f"{name.decode()}.py") for name in IMPORT.findall(seen[path])]
    sources = b"".join(hashlib.sha256(seen[path]).digest() for path in sorted(seen))
    return hashlib.sha256(sources + _machine().encode()).hexdigest()


@functools.cache
def _machine():
    """Everything beside sources that machine code depends on."""
    versions = [importlib.metadata.version(name) for name in ("numba", "llvmlite")]
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("NUMBA_") and name not in BESIDE)
    return repr([sys.implementation.cache_tag, sys.platform, platform.machine(), _processor(), *versions, *settings])


def _processor():
    """Model and abilities of the processor."""
    try:
        first, *_ = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split("\n\n")
    except OSError:
        return platform.processor()
    wanted = ("vendor_id", "model name", "flags", "Features", "CPU ")
    return "".join(line for line in first.splitlines(keepends=True) if line.startswith(wanted))
