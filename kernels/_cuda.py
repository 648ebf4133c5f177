"""Compiles ``<stem>.cu`` with CuPy and launches its kernels. Used through `kernels.cuda`.

CuPy is imported when a twin is asked for, and compiles at the first launch on each device (it keeps the result on disk).
"""

import functools
import hashlib
import importlib
from pathlib import Path

import numpy as np

from ..core.errors import BackendError
from .launches import RULES

__all__ = ["FOLDER", "Kernel", "Twin", "options", "source", "twin"]

FOLDER = Path(__file__).parent  # holds the .cu files and common.cuh; also the compiler's include path
INSTALL = "pip install 'gpudl4[gpu]' (CUDA 13) or 'gpudl4[gpu12]' (CUDA 12)"  # as in core.backend, which lies beside this folder
_TYPES = {"float64": "double", "float32": "float"}


def source(stem):
    """Text of ``<stem>.cu``, and in its last line a hash of the headers.

    Raises
    ------
    ValueError
        If the stem has no CUDA twin.
    """
    path = FOLDER / f"{stem}.cu"
    if not path.is_file() or stem not in RULES:
        raise ValueError(f"kernel {stem!r} has no CUDA twin; there are: {', '.join(sorted(RULES))}")
    # CuPy keeps compiled modules on disk by the text of the source and does not look into included files: their hash makes it notice.
    headers = b"".join(header.read_bytes() for header in sorted(FOLDER.glob("*.cuh")))
    return f"{path.read_text(encoding='utf-8')}\n// headers: {hashlib.sha256(headers).hexdigest()}\n"


def options(cube, real):
    """Compiler options for a pair of types.

    Raises
    ------
    ValueError
        If a type is neither float64 nor float32.
    """
    for name, given in (("cube", cube), ("real", real)):
        if given not in _TYPES:
            raise ValueError(f"{name} must be one of {', '.join(_TYPES)}, got {given!r}")
    return ("--std=c++17", f"-DCUBE={_TYPES[cube]}", f"-DREAL={_TYPES[real]}", f"-I{FOLDER}")


class Kernel:
    """One CUDA kernel, called like its Numba twin; grid and sizes come from its rule in `launches`.

    Parameters
    ----------
    name : str
        ``stem.function``, for messages.
    launch : callable
        CuPy's raw kernel.
    rule : callable
        Its rule.
    """

    __slots__ = ("_launch", "_rule", "name")

    def __init__(self, name, launch, rule):
        self.name, self._launch, self._rule = name, launch, rule

    def __call__(self, *args):
        for i, value in enumerate(args):
            if isinstance(value, np.ndarray):  # CuPy would pass its bytes by value: a wild pointer on the device
                raise BackendError(
                    f"argument {i} of the CUDA kernel {self.name} is a NumPy array {value.shape}: "
                    "move it with to_device(array, 'cupy') first, or use the twin of the backend that holds the arrays"
                )
        grid, block, sizes, shared = self._rule(*args)
        if 0 not in grid:
            self._launch(grid, block, args + sizes, shared_mem=shared)

    def __repr__(self):
        return f"<CUDA kernel {self.name}>"


class Twin:
    """The kernels of one stem, as attributes."""

    def __init__(self, stem, module):
        for name, rule in RULES[stem].items():
            setattr(self, name, Kernel(f"{stem}.{name}", module.get_function(name), rule))


@functools.cache
def _compiled(cupy, stem, cube, real):
    code, given = source(stem), options(cube, real)
    try:
        return Twin(stem, cupy.RawModule(code=code, options=given))
    except Exception as error:  # no compiler, no driver, a compiler of another CUDA: each raises a class of its own
        raise BackendError(
            f"the CUDA kernel {stem!r} cannot be compiled: {error}\n"
            f"CuPy compiles with NVRTC, which {INSTALL} brings; a CuPy that was installed in another way may lack it"
        ) from error


def twin(stem, cube, real):
    """The CUDA twin of a stem; the same object for the same arguments.

    Raises
    ------
    BackendError
        If CuPy is not installed, or cannot compile here.
    ValueError
        If the stem has no CUDA twin, or a type is unknown.
    """
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        raise BackendError(f"the CUDA kernel {stem!r} needs CuPy: {INSTALL}") from None
    return _compiled(cupy, stem, cube, real)
