"""The door to the compiled kernels: `of` gives the twin for a backend, `cpu` and `cuda` a particular one, `stems` lists them.

A kernel is one stem with twins side by side: ``cash.py`` for Numba, ``cash.cu`` for CUDA, with the same function names and argument
order. Arrays go in and are changed in place; nothing is returned. Importing this package compiles nothing: Numba compiles at the first
call of a function, CUDA at the first launch. docs/kernels.md shows how to add a twin.
"""

if __name__ != "gpudl4.kernels":
    raise ImportError("the kernels/ folder is installed as 'gpudl4.kernels'; run `pip install -e .` and import it by that name")

import functools
import importlib
import importlib.resources

__all__ = ["cpu", "cuda", "of", "stems"]

_MACHINERY = ("launches", "tables")  # modules beside the kernels that are none


def stems():
    """Sorted names of the kernels that exist."""
    names = (f.name for f in importlib.resources.files(__name__).iterdir())
    return sorted(n[:-3] for n in names if n.endswith(".py") and not n.startswith("_") and n[:-3] not in _MACHINERY)


@functools.cache
def cpu(stem):
    """Module with the Numba twin of a kernel; imported (and compiled, at the first call of its functions) on demand.

    Raises
    ------
    ValueError
        If there is no such stem.
    """
    if stem not in stems():
        raise ValueError(f"unknown kernel {stem!r}; known: {', '.join(stems())}")
    return importlib.import_module(f"{__name__}.{stem}")


def cuda(stem, *, cube="float64", real="float64"):
    """The CUDA twin of a kernel: an object whose attributes are called like the Numba functions, on CuPy arrays.

    Parameters
    ----------
    stem : str
        Name of the kernel.
    cube : {"float64", "float32"}
        Type of counts, background and exposure: the precision of the files.
    real : {"float64", "float32"}
        Type of the working arrays. Parameters and sums are float64 always.

    Raises
    ------
    ValueError
        If the stem has no CUDA twin, or a type is neither of the two.
    BackendError
        If CuPy is not installed, or cannot compile here.
    """
    from ._cuda import twin

    return twin(stem, str(cube), str(real))


def of(backend, stem, *, cube="float64", real="float64"):
    """The twin of a kernel for a backend: `cpu` for NumPy, `cuda` for CuPy.

    Parameters
    ----------
    backend : Backend
        From `gpudl4.core.backend`.
    stem, cube, real :
        As for `cuda`; the Numba twin takes arrays of either type.
    """
    return cpu(stem) if backend.name == "numpy" else cuda(stem, cube=cube, real=real)
