"""The door to the compiled kernels: ``cpu(stem)`` gives the Numba twin, ``stems()`` lists them. Nothing compiles at import.

A kernel is one stem with twins side by side: ``cash.py`` for Numba, later ``cash.cu`` for CUDA, with the same function names and
argument order.
"""

if __name__ != "gpudl4.kernels":
    raise ImportError("the kernels/ folder is installed as 'gpudl4.kernels'; run `pip install -e .` and import it by that name")

import functools
import importlib
import importlib.resources

__all__ = ["cpu", "stems"]


def stems():
    """Sorted names of the kernels that exist."""
    files = importlib.resources.files(__name__).iterdir()
    return sorted(f.name[:-3] for f in files if f.name.endswith(".py") and not f.name.startswith("_"))


@functools.cache
def cpu(stem):
    """Module with the Numba twin of a kernel; imported (and compiled, at the first call of its functions) on demand."""
    if stem not in stems():
        raise ValueError(f"unknown kernel {stem!r}; known: {', '.join(stems())}")
    return importlib.import_module(f"{__name__}.{stem}")
