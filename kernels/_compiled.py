"""`compiled`: the decorator of every Numba function here. It compiles at the first call and keeps the machine code on disk.

Numba's own cache does both too, with three weaknesses that `KernelCache` does not have:

* it notices a change in the file of a function, but not in the files that one imports constants from (the columns of `tables`);
* all signatures of a function share an index file. Processes that start together and compile different ones can each write the index
  between another's index and data; what is then found under a signature is the code of another, for good;
* where neither the package's folder nor a folder of the user is writable, importing fails.

Here every signature has a file of its own, which appears whole or not at all. Its name is a hash of all that the code depends on: the
sources, the types of the arguments, the versions of Numba and Python, the processor. So any number of processes may start at once: one
compiles and the others wait for its file (`_claims.py`); where that is not possible, several compile the same. The folder is the one
that Numba chooses: ``NUMBA_CACHE_DIR`` if that is set, else ``__pycache__`` beside the sources, else a folder of the user.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import re
import secrets
import sys
from contextvars import ContextVar
from pathlib import Path

# Threads that wait shall sleep. GNU's OpenMP lets them spin instead, and where another process wants the processor, a region of a
# millisecond then takes ten. It reads this when Numba first starts threads; who has chosen otherwise is left alone.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numba as nb
from numba.core.caching import FunctionCache, NullCache
from numba.core.serialize import dumps

from ._claims import Claims

__all__ = ["NOTICE", "UNKEPT", "KernelCache", "compiled", "quiet"]

IMPORT = re.compile(rb"^from \.(\w+) import", re.MULTILINE)
DIGEST = 32  # bytes of a SHA-256, which stand before the code in each file
NOTICE = "gpudl4: compiling kernels for this machine, once; this takes up to a minute (`gpudl4 warmup` does it beforehand)"
UNKEPT = (
    "gpudl4: compiling kernels, which takes up to a minute at every start: the code cannot be kept, as neither the package's folder nor a "
    "cache folder of the user is writable; set NUMBA_CACHE_DIR to a folder that is"
)
_silent = ContextVar("silent", default=False)


def compiled(function=None, **options):
    """Decorator: compile for the CPU, without the interpreter's lock.

    Parameters
    ----------
    function : callable
    **options
        Of `numba.njit`: ``inline``, ``error_model``, ``parallel``.
    """
    if function is None:
        return functools.partial(compiled, **options)
    dispatcher = nb.njit(nogil=True, **options)(function)
    try:
        dispatcher._cache = KernelCache(function)
    except RuntimeError:  # no folder is writable
        dispatcher._cache = _NoCache()
    return dispatcher


@contextlib.contextmanager
def quiet():
    """Say nothing about compiling while the block runs: for a caller that shows its progress."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


@functools.cache
def _say_once(line):
    print(line, file=sys.stderr, flush=True)


def _announce(line):
    if not _silent.get():
        _say_once(line)


class _NoCache(NullCache):
    """Keeps nothing, and says so."""

    def load_overload(self, sig, target_context):
        _announce(UNKEPT)


class KernelCache(FunctionCache):
    """The machine code of one function on disk, one file per signature.

    Parameters
    ----------
    function : callable
        The Python function.

    Raises
    ------
    RuntimeError
        If no folder is writable.
    """

    def __init__(self, function):
        super().__init__(function)
        path = Path(function.__code__.co_filename)
        name = re.sub(r"\W", "_", function.__qualname__)
        prefix = f"{path.stem}.{name}.{sys.implementation.cache_tag}"
        self._cache_file = _Files(Path(self.cache_path), prefix, f"{_stamp(path)} numba {nb.__version__}")

    def load_overload(self, sig, target_context):
        """Code for a signature, or None; says so if it has to be compiled."""
        found = super().load_overload(sig, target_context)
        if found is None:
            _announce(NOTICE)
        return found

    def save_overload(self, sig, data):
        """Keep code. A disk that is full or read-only costs the next process time, not this one its result."""
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)


class _Files:
    """Files ``<prefix>.<stamp>.<key>.nbc``: a digest of the content, then the content.

    Parameters
    ----------
    folder : pathlib.Path
    prefix : str
        Of the function.
    stamp : str
        What all its signatures depend on.
    """

    def __init__(self, folder, prefix, stamp):
        self._folder, self._prefix, self._claims = folder, prefix, Claims()
        self._stamp = hashlib.sha256(stamp.encode()).hexdigest()[:12]

    def _path(self, key):
        return self._folder / f"{self._prefix}.{self._stamp}.{hashlib.sha256(repr(key).encode()).hexdigest()[:20]}.nbc"

    def load(self, key):
        """What was saved; None if the caller has to compile, which others wait for until it saves."""
        found = self._read(key)
        if found is None:
            claim = self._claim(key)
            self._claims.take(claim, waiting=lambda: _announce(NOTICE))
            found = self._read(key)
            if found is not None:
                self._claims.drop(claim)
        return found

    def _claim(self, key):
        return self._path(key).with_suffix(".lock")

    def _read(self, key):
        """What was saved, or None if there is nothing or not all of it."""
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        data = content[DIGEST:]
        return pickle.loads(data) if hashlib.sha256(data).digest() == content[:DIGEST] else None

    def save(self, key, data):
        """Save under a key, and remove what older sources left behind."""
        try:
            self._write(self._path(key), dumps(data))
        finally:
            self._claims.drop(self._claim(key))
        self._remove(keep=f"{self._prefix}.{self._stamp}.")

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

    def flush(self):
        """Remove everything of this function."""
        self._remove()

    def _remove(self, keep=None):
        for path in self._folder.glob(f"{self._prefix}.*.nbc"):
            if keep is None or not path.name.startswith(keep):
                path.unlink(missing_ok=True)


@functools.cache
def _stamp(path):
    """Hash of a source file and of those beside it that it imports, with what they import."""
    wanted, seen = [path], {}
    while wanted:
        path = wanted.pop()
        if path not in seen and path.is_file():
            seen[path] = path.read_bytes()
            wanted += [path.with_name(f"{name.decode()}.py") for name in IMPORT.findall(seen[path])]
    return hashlib.sha256(b"".join(hashlib.sha256(seen[path]).digest() for path in sorted(seen))).hexdigest()
