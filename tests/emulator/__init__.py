"""CUDA without a GPU: a test double of CuPy whose raw kernels really run, compiled by g++ and executed thread by thread.

For tests only. ``with emulator.installed():`` puts the double under ``import cupy``; `configure` chooses the order of threads and the
checking mode; `counting` counts launches, transfers, synchronisations, allocations and bytes; `guard` forbids them; `recorded_calls`
lists how CuPy was called. README.md beside this file says what is checked, what cannot be seen, and how to write a kernel test.
"""

from .build import missing_requirement
from .calls import Call, clear_recorded_calls, recorded_calls
from .counters import Counters, KernelRun, counting
from .errors import CUDARuntimeError, CuFFTError, EmulatorError, KernelError, OutOfMemoryError, TransferError
from .guard import guard
from .memory import measured_peak, pinned_bytes
from .namespace import cupy, cupyx, installed
from .settings import ORDERS, configure

__all__ = [
    "MODES",
    "ORDERS",
    "CUDARuntimeError",
    "Call",
    "Counters",
    "CuFFTError",
    "EmulatorError",
    "KernelError",
    "KernelRun",
    "OutOfMemoryError",
    "TransferError",
    "clear_recorded_calls",
    "configure",
    "counting",
    "cupy",
    "cupyx",
    "guard",
    "installed",
    "measured_peak",
    "missing_requirement",
    "mode",
    "pinned_bytes",
    "recorded_calls",
]

MODES = (*ORDERS, "check")


def mode(name):
    """Context manager that runs kernels in one of `MODES`: an order of threads, or the checking mode in random order."""
    if name not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {name!r}")
    return configure(check=True, order="random") if name == "check" else configure(check=False, order=name)
