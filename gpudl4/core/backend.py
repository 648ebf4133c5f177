"""Where arrays live: a `Backend` names the array library and the matching FFT, special functions and device.

Array code infers its backend from the arrays it is given (`backend_of`, `array_namespace`); there is no current backend. A user
chooses one at a door: `dataset.to_device("cupy")`, ``MapDataset.read(..., backend="cupy")``, ``compile(..., backend=...)``.
"""

import importlib
import os
import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from .errors import BackendError

__all__ = ["Backend", "array_namespace", "backend_of", "get_backend", "to_device", "to_host"]

NAMES = ("auto", "numpy", "cupy")


@dataclass(frozen=True)
class Backend:
    """An array library together with its companions.

    Attributes
    ----------
    name : {"numpy", "cupy"}
        Name of the array library.
    xp : module
        The array namespace.
    device : str
        ``"cpu"`` or ``"cuda:N"``.
    """

    name: str
    xp: ModuleType
    device: str = "cpu"

    @property
    def fft(self):
        """FFT module: `scipy.fft` on the host, `cupyx.scipy.fft` on a GPU."""
        return self._companion("fft")

    @property
    def special(self):
        """Special functions: `scipy.special` or `cupyx.scipy.special`."""
        return self._companion("special")

    @property
    def ndimage(self):
        """Image functions: `scipy.ndimage` or `cupyx.scipy.ndimage`."""
        return self._companion("ndimage")

    def _companion(self, part):
        root = "scipy" if self.name == "numpy" else "cupyx.scipy"
        return importlib.import_module(f"{root}.{part}")


NUMPY = Backend("numpy", np)


def _usable_cupy():
    """CuPy's backend if a GPU really works, else None and the reason. Importing CuPy proves nothing: it imports without a driver."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        return None, "CuPy is not installed: pip install 'gpudl4[gpu]' (CUDA 13) or 'gpudl4[gpu12]' (CUDA 12)"
    try:
        cupy.zeros(1)
        number = int(cupy.cuda.Device().id)
    except Exception as error:  # CuPy raises a different class for each way a driver can be unusable
        return None, f"CuPy is installed but no GPU can be used: {error}"
    return Backend("cupy", cupy, f"cuda:{number}"), ""


def get_backend(name="auto"):
    """Backend by name.

    Parameters
    ----------
    name : {"auto", "numpy", "cupy"} or Backend
        "auto" means the environment variable ``GPUDL4_BACKEND`` if set, else a GPU that can allocate, else NumPy.

    Raises
    ------
    BackendError
        If the name is unknown or the wanted backend cannot be used here.
    """
    if isinstance(name, Backend):
        return name
    if name == "auto":
        name = os.environ.get("GPUDL4_BACKEND", "auto")
    if name not in NAMES:
        raise BackendError(f"unknown backend {name!r}: choose one of {', '.join(NAMES)}")
    if name == "numpy":
        return NUMPY
    backend, reason = _usable_cupy()
    if backend is None:
        if name == "cupy":
            raise BackendError(f"backend 'cupy' was asked for. {reason}")
        return NUMPY
    return backend


def backend_of(*arrays):
    """The backend that holds the arrays; scalars and None have no say.

    Raises
    ------
    BackendError
        If the arrays live on different devices.
    """
    cupy = sys.modules.get("cupy")  # an array can only be CuPy's if CuPy has been imported
    kinds = set()
    for array in arrays:
        if cupy is not None and isinstance(array, cupy.ndarray):
            kinds.add("cupy")
        elif isinstance(array, np.ndarray):
            kinds.add("numpy")
    if len(kinds) > 1:
        raise BackendError("arrays of NumPy and CuPy were mixed: move them with to_device() or to_host() first")
    if kinds == {"cupy"}:
        return Backend("cupy", cupy, f"cuda:{int(cupy.cuda.Device().id)}")
    return NUMPY


def array_namespace(*arrays):
    """The array module (NumPy or CuPy) that holds the arrays."""
    return backend_of(*arrays).xp


def to_device(array, backend):
    """Copy an array to a backend; returned as it is when it lives there already."""
    backend = get_backend(backend)
    if backend_of(array).name == backend.name:
        return array
    if backend.name == "numpy":
        return to_host(array)
    return backend.xp.asarray(array)


def to_host(array):
    """NumPy array with the same values; the array itself if it is on the host already."""
    return array.get() if backend_of(array).name == "cupy" else array
