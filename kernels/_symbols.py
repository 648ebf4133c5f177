"""Addresses of what compiled kernels call: functions of C, and of two of Numba's C extensions, threads and memory.

The extensions are loaded by their files, without importing Numba, which would cost half a second and 50 MB: threads share loops by the
same code as in any Numba program (``NUMBA_NUM_THREADS`` and ``NUMBA_THREADING_LAYER`` count, and where the program itself uses Numba, so
does `numba.set_num_threads`).
"""

import ctypes
import functools
import importlib.machinery
import importlib.util
import os
from pathlib import Path

__all__ = ["address", "extension"]

THREADS = {"numba_parallel_for": "parallel_for"} | {
    name: name
    for name in ("get_num_threads", "set_num_threads", "get_thread_id", "get_parallel_chunksize", "set_parallel_chunksize",
                 "get_sched_size", "allocate_sched", "deallocate_sched", "do_scheduling_signed", "do_scheduling_unsigned")
}  # fmt: skip
LAYERS = {"workqueue": "workqueue", "tbb": "tbbpool", "forksafe": "workqueue"}  # by NUMBA_THREADING_LAYER; else OpenMP
OTHERS = {"NRT_": "core/runtime/_nrt_python", "numba_": "_helperlib"}  # extensions by how their functions' names begin


@functools.cache
def address(name):
    """Address of a function.

    Parameters
    ----------
    name : str

    Raises
    ------
    LookupError
        If nobody has it.
    """
    if name in THREADS:
        return getattr(_threads(), THREADS[name])
    for prefix, path in OTHERS.items():
        if name.startswith(prefix):
            return extension(path).c_helpers[name.removeprefix(prefix)]
    try:
        return ctypes.cast(ctypes.CDLL(None)[name], ctypes.c_void_p).value
    except AttributeError:
        raise LookupError(f"kernels call {name}, which is unknown here") from None


@functools.cache
def _threads():
    """Numba's extension for threads, which have been started."""
    layer = LAYERS.get(os.environ.get("NUMBA_THREADING_LAYER", "").lower(), "omppool")
    found = extension(f"np/ufunc/{layer}")
    ctypes.CFUNCTYPE(None, ctypes.c_int)(found.launch_threads)(_number_of_threads())
    return found


def _number_of_threads():
    """As Numba chooses it."""
    if "NUMBA_NUM_THREADS" in os.environ:
        return int(os.environ["NUMBA_NUM_THREADS"])
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def extension(path):
    """Load a C extension of Numba's without its package.

    Parameters
    ----------
    path : str
        Below the package, without suffix.

    Raises
    ------
    LookupError
        If there is none.
    """
    (folder,) = importlib.util.find_spec("numba").submodule_search_locations
    files = [Path(folder, path + suffix) for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    for file in files:
        if file.is_file():
            # Another name than under Numba, which may come later and wants to find its own; the C code is one and the same.
            loader = importlib.machinery.ExtensionFileLoader(f"{__name__}.{file.name.split('.')[0]}", str(file))
            spec = importlib.util.spec_from_loader(loader.name, loader, origin=str(file))
            module = importlib.util.module_from_spec(spec)
            loader.exec_module(module)
            return module
    raise LookupError(f"this Numba has no {path}")
