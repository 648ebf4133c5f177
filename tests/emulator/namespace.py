"""The modules that a program finds under ``import cupy`` and ``import cupyx`` while the emulator is installed."""

import contextlib
import sys
import types

import numpy as np

from . import fft, functions, streams
from .array import ndarray
from .calls import record
from .devices import current
from .errors import EmulatorError, OutOfMemoryError
from .guard import capture
from .memory import MemoryPointer, MemoryPool, PinnedMemoryPool, release_pinned
from .module import RawKernel, RawModule
from .settings import settings

__all__ = ["cupy", "cupyx", "installed"]


class _Namespace(types.ModuleType):
    """A module that says what to do when a name is missing."""

    def __init__(self, name, members):
        super().__init__(name)
        self.__dict__.update(members)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"the emulator's {self.__name__} has no {name!r}: add it to tests/emulator before the library uses it")


def get_array_module(*args):
    record("cupy.get_array_module", len(args))
    return cupy if any(isinstance(value, ndarray) for value in args) else np


def _pinned(name, value):
    def function(shape, dtype=float, order="C"):
        record(f"cupyx.{name}", 1, ["dtype"])
        array = np.empty(shape, dtype, order=order)
        if value is not None:
            array.fill(value)
        return array

    function.__name__ = name
    return function


def _alloc_pinned_memory(size):
    record("cupy.cuda.alloc_pinned_memory", 1)
    release_pinned()
    return bytearray(size)


_pool, _pinned_pool = MemoryPool(), PinnedMemoryPool()
_fft = _Namespace("cupyx.scipy.fft", fft.FFT)
_runtime = _Namespace("cupy.cuda.runtime", streams.runtime_functions)
_cufft = _Namespace("cupy.cuda.cufft", fft.CUFFT)
_memory = _Namespace("cupy.cuda.memory", {"OutOfMemoryError": OutOfMemoryError, "MemoryPointer": MemoryPointer})
_cuda = _Namespace(
    "cupy.cuda",
    {
        "Device": streams.Device,
        "Event": streams.Event,
        "Graph": streams.Graph,
        "Stream": streams.Stream,
        "MemoryPool": MemoryPool,
        "alloc_pinned_memory": _alloc_pinned_memory,
        "cufft": _cufft,
        "get_allocator": lambda: _pool.malloc,
        "get_current_stream": streams.get_current_stream,
        "get_elapsed_time": streams.get_elapsed_time,
        "is_available": lambda: True,
        "memory": _memory,
        "runtime": _runtime,
    },
)
_plain_fft = {name: function for name, function in fft.FFT.items() if name not in ("get_fft_plan", "next_fast_len")}
_linalg = _Namespace("cupy.linalg", functions.LINALG)
_host_fft = _Namespace("cupy.fft", _plain_fft)

cupy = _Namespace(
    "cupy",
    {
        **functions.CONSTANTS,
        **functions.FUNCTIONS,
        "RawKernel": RawKernel,
        "RawModule": RawModule,
        "__path__": [],
        "__version__": "14.2.0+emulator",
        "cuda": _cuda,
        "fft": _host_fft,
        "get_array_module": get_array_module,
        "get_default_memory_pool": lambda: _pool,
        "get_default_pinned_memory_pool": lambda: _pinned_pool,
        "linalg": _linalg,
        "ndarray": ndarray,
    },
)
_special = _Namespace("cupyx.scipy.special", functions.SPECIAL)
_ndimage = _Namespace("cupyx.scipy.ndimage", functions.NDIMAGE)
_fftpack = _Namespace("cupyx.scipy.fftpack", {"get_fft_plan": fft.get_fft_plan})
_scipy = _Namespace("cupyx.scipy", {"fft": _fft, "fftpack": _fftpack, "ndimage": _ndimage, "special": _special, "__path__": []})
cupyx = _Namespace(
    "cupyx",
    {
        "empty_pinned": _pinned("empty_pinned", None),
        "scipy": _scipy,
        "zeros_pinned": _pinned("zeros_pinned", 0),
        "__path__": [],
    },
)

_MODULES = {
    module.__name__: module
    for module in (cupy, _cuda, _runtime, _cufft, _memory, _linalg, _host_fft, cupyx, _scipy, _fft, _fftpack, _ndimage, _special)
}


def _of_cupy(name):
    return name.split(".")[0] in ("cupy", "cupyx")


@contextlib.contextmanager
def installed():
    """Put the double where ``import cupy`` finds it, for the length of a ``with`` block.

    Afterwards `sys.modules` is as before (a real CuPy that was imported is back), settings are as before, no capture is running
    and no plan is cached. The log of calls stays: see `calls.recorded_calls`.

    Yields
    ------
    module
        The double's ``cupy``.

    Raises
    ------
    EmulatorError
        If it is installed already.
    """
    if sys.modules.get("cupy") is cupy:
        raise EmulatorError("the emulator is installed already")
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if _of_cupy(name)}
    before = dict(vars(settings))
    sys.modules.update(_MODULES)
    try:
        yield cupy
    finally:
        for name in [name for name in sys.modules if _of_cupy(name)]:
            del sys.modules[name]
        sys.modules.update(hidden)
        vars(settings).update(before)
        current.device = 0
        capture.nodes = None
        fft.clear_plan_cache()
