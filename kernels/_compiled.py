"""`compiled`: the decorator of every function here that runs as machine code on the CPU, and `prange`, the loop that threads share.

A `Kernel` is compiled when it is called for the first time with arrays of some types, once per machine: the code is kept on disk
(`_files`). Later processes put it into memory by themselves (`_machine`), where they can, and never import Numba, which takes half a second
and 120 MB; else Numba and LLVM do it (`_numba`). Both ways end in the same code, called in the same way.
"""

import contextlib
import ctypes
import functools
import os
import re
import sys
import threading
from contextvars import ContextVar
from pathlib import Path

# Threads that wait shall sleep. GNU's OpenMP lets them spin instead, and where another process wants the processor, a region of a
# millisecond then takes ten. It reads this when threads are first started; who has chosen otherwise is left alone.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from ._arrays import ARRAY, ITEMS, Form
from ._files import Files
from ._machine import CannotLoad, load

__all__ = ["NOTICE", "OTHER", "UNKEPT", "Kernel", "KernelError", "compiled", "prange", "quiet", "watched"]

NOTICE = "gpudl4: compiling kernels for this machine, once; this takes up to a minute (`gpudl4 warmup` does it beforehand)"
UNKEPT = (
    "gpudl4: compiling kernels, which takes up to a minute at every start: the code cannot be kept, as neither the package's folder nor a "
    "cache folder of the user is writable; set NUMBA_CACHE_DIR to a folder that is"
)
OTHER = 1 << 30  # status of an entry whose arguments are of other forms; Numba's are small
ENTRY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t)  # takes where the addresses of the arguments are, and ARRAY
_silent = ContextVar("silent", default=False)
_watcher = ContextVar("watcher", default=None)


class KernelError(RuntimeError):
    """A kernel stopped: it divided by zero, or there is no memory."""


def prange(*args):
    """`range` of a loop that threads may share, where a kernel is compiled with ``parallel=True``."""
    return range(*args)


def compiled(function=None, **options):
    """Decorator: run as machine code, without the interpreter's lock.

    Parameters
    ----------
    function : callable
        Of arrays and numbers, that writes into arrays. What other kernels call may return something.
    **options
        Of `numba.njit`: ``inline``, ``error_model``, ``parallel``.
    """
    if function is None:
        return functools.partial(compiled, **options)
    return Kernel(function, options)


@contextlib.contextmanager
def quiet():
    """Say nothing about compiling while the block runs: for a caller that shows its progress."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


@contextlib.contextmanager
def watched(watcher):
    """Call ``watcher(kernel)`` whenever a kernel has been compiled while the block runs."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


@functools.cache
def _say_once(line):
    print(line, file=sys.stderr, flush=True)


def _announce(line):
    if not _silent.get():
        _say_once(line)


class Kernel:
    """A function that runs as machine code.

    Parameters
    ----------
    function : callable
        The Python function.
    options : dict
        Of `numba.njit`.

    Attributes
    ----------
    function : callable
    options : dict
    name : str
        ``stem.function``.
    forms : dict
        Entry by forms of the arguments, for all that it was called with.
    n_compiled : int
        How many of these were compiled in this process.
    """

    def __init__(self, function, options):
        functools.update_wrapper(self, function)
        self.function, self.options = function, options
        source = Path(function.__code__.co_filename)
        self.name = f"{source.stem}.{function.__qualname__}"
        self.forms, self.n_compiled = {}, 0
        self._n_arguments = function.__code__.co_argcount
        self._entries, self._alive, self._lock = (), [], threading.Lock()

    @functools.cached_property
    def files(self):
        """Where its code is kept."""
        source = Path(self.function.__code__.co_filename)
        return Files(source, f"{source.stem}.{re.sub(r'[^A-Za-z0-9_]', '_', self.function.__qualname__)}.{sys.implementation.cache_tag}")

    def __repr__(self):
        return f"<kernel {self.name}>"

    def __call__(self, *args):
        """Run on arrays and numbers; whatever is no array is made one.

        Raises
        ------
        TypeError
            If the number of arguments is wrong, or it cannot be compiled for these.
        KernelError
            If it stops.
        """
        if len(args) != self._n_arguments:
            raise TypeError(f"{self.name} takes {self._n_arguments} arguments, got {len(args)}")
        status = self._run(args)
        if status == OTHER:
            args = tuple(a if type(a) is np.ndarray else np.asarray(a) for a in args)
            status = self._run(args)
        if status == OTHER:
            status = self.prepare(tuple(map(Form.of, args)))(id(args) + ITEMS, ARRAY)
        if status:
            raise KernelError(f"{self.name} stopped (status {status}): a division by zero, or there is no memory left")

    def _run(self, args):
        """Status of the first entry that knows arguments of these forms, else OTHER."""
        for entry in self._entries:
            status = entry(id(args) + ITEMS, ARRAY)
            if status != OTHER:
                return status
        return OTHER

    def prepare(self, forms):
        """Find or compile the code for arguments of given forms; gives its entry.

        Parameters
        ----------
        forms : tuple of Form
        """
        with self._lock:
            if forms not in self.forms:
                self.forms[forms] = ENTRY(self._find(forms))
                self._entries = tuple(self.forms.values())
            return self.forms[forms]

    def _find(self, forms):
        """Address of the code, which is loaded or compiled."""
        found = self.files.load(forms, waiting=lambda: _announce(NOTICE))
        # LLVM wants names that are unique in a process.
        symbol = f"{self.name}.{'.'.join(''.join(map(str, (f.char, f.ndim, *map(int, f[2:])))) for f in forms)}"
        if found is None:
            return self._compile(forms, symbol)
        try:
            code = load(found, symbol)
        except CannotLoad:
            from . import _numba

            return _numba.load(found, symbol)
        self._alive.append(code)
        return code.address

    def _compile(self, forms, symbol):
        _announce(UNKEPT if self.files.folder is None else NOTICE)
        from . import _numba

        try:
            code, address = _numba.build(self, forms, symbol)
        except BaseException:
            self.files.give_up(forms)
            raise
        self.files.save(forms, code)
        self.n_compiled += 1
        watcher = _watcher.get()
        if watcher is not None:
            watcher(self)
        return address
