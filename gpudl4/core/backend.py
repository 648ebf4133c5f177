"""Where arrays live: a `Backend` names the array library and the matching FFT, special functions and device.

Array code infers its backend from the arrays it is given (`backend_of`, `array_namespace`); there is no current backend. A user
chooses one at a door: `dataset.to_device("cupy")`, ``MapDataset.read(..., backend="cupy")``, ``compile(..., backend=...)``. Code that
expects arrays on a certain device says so with `require_backend`; code that works on a device does so inside `Backend.entered`, for CuPy
makes new arrays on the current device, whichever that is; code that needs much device memory runs inside `device_memory`.
"""

import contextlib
import importlib
import os
import re
import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from .errors import BackendError, DeviceMemoryError

__all__ = [
    "BACKEND_VARIABLE",
    "Backend",
    "array_namespace",
    "backend_of",
    "bytes_free",
    "device_memory",
    "get_backend",
    "require_backend",
    "to_device",
    "to_host",
]

NAMES = ("auto", "numpy", "cupy")
RMM = re.compile(r"std::bad_alloc|RMM failure|out_of_memory")
RMM_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
BACKEND_VARIABLE = "GPUDL4_BACKEND"
AFTER_FORK = (
    "CUDA does not start in this process (cudaErrorInitializationError). A process that was forked from one which has used the GPU "
    "cannot use it: start processes with multiprocessing.get_context('spawn'), fork before the GPU is used first, or stay on the host "
    "(backend='numpy')"
)
INSTALL = "pip install 'gpudl4[gpu]' (CUDA 13) or 'gpudl4[gpu12]' (CUDA 12)"


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

    def entered(self):
        """Context in which the device is CuPy's current one; of no effect for NumPy.

        Raises
        ------
        BackendError
            Inside the context, if this process was forked from one that had used CUDA already.
        """
        return _HOST if self.name == "numpy" else _entered(self.xp, int(self.device.removeprefix("cuda:")))

    def _companion(self, part):
        root = "scipy" if self.name == "numpy" else "cupyx.scipy"
        return importlib.import_module(f"{root}.{part}")


NUMPY = Backend("numpy", np)
_HOST = contextlib.nullcontext()


@contextlib.contextmanager
def _entered(cupy, number):
    """A device as the current one."""
    try:
        with cupy.cuda.Device(number):
            yield
    except cupy.cuda.runtime.CUDARuntimeError as error:
        if not _is_forked(error):
            raise
        raise BackendError(AFTER_FORK) from error


def _is_forked(error):
    """Whether an error is what every call of CUDA raises in a process that was forked after CUDA had been used."""
    return "cudaErrorInitializationError" in str(error)


def get_backend(name="auto"):
    """Backend by name.

    Parameters
    ----------
    name : {"auto", "numpy", "cupy"} or Backend
        "auto" means the environment variable ``GPUDL4_BACKEND`` if set, else a GPU that can allocate, else NumPy.

    Raises
    ------
    BackendError
        If the name is unknown or the wanted backend cannot be used here; the message says why and what to do.
    """
    if isinstance(name, Backend):
        return name
    label = f"backend {name!r}"
    if name == "auto" and os.environ.get(BACKEND_VARIABLE):
        name = os.environ[BACKEND_VARIABLE]
        label = f"backend {name!r} of the environment variable {BACKEND_VARIABLE}"
    if name not in NAMES:
        raise BackendError(f"unknown {label}: choose one of {', '.join(NAMES)}")
    if name == "numpy":
        return NUMPY
    backend, reason = _usable_cupy(label)
    if backend is None and name == "cupy":
        raise BackendError(f"{label} cannot be used: {reason}")
    return NUMPY if backend is None else backend


def _usable_cupy(label):
    """CuPy's backend if a GPU really works, else None and the reason. Importing CuPy proves nothing: it imports without a driver.

    Where a GPU works that a fork has locked out, there is no other answer than an error, even if the host would do.
    """
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
            return None, f"CuPy is not installed: {INSTALL}"
        return None, f"CuPy cannot be imported ({error}): remove all packages named cupy*, then {INSTALL}"
    try:
        cupy.zeros(1)
        number = int(cupy.cuda.Device().id)
    except Exception as error:  # CuPy raises a different class for each way in which a device can be unusable
        if _is_forked(error):
            raise BackendError(f"{label} cannot be used: {AFTER_FORK}") from error
        return None, f"CuPy is installed and no GPU can be used: {_why_unusable(cupy, error)}"
    return Backend("cupy", cupy, f"cuda:{number}"), ""


def _why_unusable(cupy, error):
    """Sentence about a first allocation that failed, with what to do."""
    if _is_out_of_memory(error):
        return f"its memory is full, not even one number could be allocated ({error}): end the other programs on it (nvidia-smi lists them)"
    if "cudaErrorNoDevice" in str(error):
        return f"the driver finds none ({error}): look at nvidia-smi and at the environment variable CUDA_VISIBLE_DEVICES"
    if "cudaErrorInsufficientDriver" not in str(error):
        return str(error)
    driver, runtime = cupy.cuda.runtime.driverGetVersion(), cupy.cuda.runtime.runtimeGetVersion()
    if driver == 0:
        return (
            f"there is no NVIDIA driver ({error}): install one for CUDA {_version(runtime)} or newer, or stay on the host (backend='numpy')"
        )
    other = ", or install 'gpudl4[gpu12]' in place of 'gpudl4[gpu]'" if driver // 1000 == 12 and runtime // 1000 > 12 else ""
    return (
        f"the NVIDIA driver is too old, it serves CUDA {_version(driver)} and this CuPy needs CUDA {_version(runtime)}: "
        f"update the driver{other}"
    )


def _version(number):
    """CUDA's version numbers as people write them: 12040 is 12.4."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _home(array):
    """Device of an array, "cpu" or "cuda:N"; None for what is no array."""
    if isinstance(array, np.ndarray):
        return "cpu"
    cupy = sys.modules.get("cupy")  # an array can only be CuPy's if CuPy has been imported
    return f"cuda:{int(array.device.id)}" if cupy is not None and isinstance(array, cupy.ndarray) else None


def backend_of(*arrays):
    """The backend that holds the arrays; scalars and None have no say.

    Raises
    ------
    BackendError
        If the arrays live on different devices.
    """
    homes = {home for array in arrays if (home := _home(array)) is not None}
    if len(homes) > 1:
        raise BackendError(
            f"arrays on different devices were mixed ({', '.join(sorted(homes))}): bring them together with to_device() or to_host()"
        )
    home = homes.pop() if homes else "cpu"
    return NUMPY if home == "cpu" else Backend("cupy", sys.modules["cupy"], home)


def array_namespace(*arrays):
    """The array module (NumPy or CuPy) that holds the arrays."""
    return backend_of(*arrays).xp


def require_backend(array, backend, what):
    """Check that an array lives where it is expected, and return it. Use it where CuPy itself would read a wild pointer or copy silently.

    Parameters
    ----------
    array : array
    backend : {"auto", "numpy", "cupy"} or Backend
        Where it must live.
    what : str
        Name of the array, for the message.

    Raises
    ------
    BackendError
        If it lives elsewhere or is no array.
    """
    backend, home = get_backend(backend), _home(array)
    if home == backend.device:
        return array
    if home is None:
        raise BackendError(f"{what}: an array on {backend.device} was wanted, got {type(array).__name__}")
    advice = "use to_host()" if backend.name == "numpy" else "use to_device('cupy')"
    library = "NumPy" if home == "cpu" else "CuPy"
    raise BackendError(f"{what}: an array on {backend.device} was wanted, got a {library} array on {home}: {advice}")


def to_device(array, backend):
    """Copy an array to a backend; returned as it is when it lives there already.

    Raises
    ------
    DeviceMemoryError
        If the device has no room for it.
    """
    backend = get_backend(backend)
    if backend_of(array).device == backend.device:
        return array
    if backend.name == "numpy":
        return to_host(array)
    with backend.entered(), device_memory(f"an array of shape {array.shape} and type {array.dtype}"):
        if not isinstance(array, np.ndarray):  # on another device
            return backend.xp.asarray(array)
        # Not by asarray(): it would stage the array in pinned host memory of the same size, which CuPy keeps.
        out = backend.xp.empty(array.shape, dtype=array.dtype.newbyteorder("="))
        if array.size:
            out.set(np.ascontiguousarray(array, dtype=out.dtype).reshape(array.shape))
        return out


def to_host(array):
    """NumPy array with the same values; the array itself if it is on the host already."""
    return array.get() if backend_of(array).name == "cupy" else array


@contextlib.contextmanager
def device_memory(what):
    """Turn CuPy's errors about full device memory into `DeviceMemoryError`; everything else passes.

    Parameters
    ----------
    what : str
        What needs the memory, for the message: ``"dataset 'crab', field background"``. Blocks nest; the message names all of them.
    """
    try:
        yield
    except DeviceMemoryError as error:
        raise DeviceMemoryError(f"{what}: {error.what}", error.wanted, error.free) from error.__cause__
    except Exception as error:
        cupy = sys.modules.get("cupy")
        if cupy is None or not _is_out_of_memory(error):
            raise
        raise DeviceMemoryError(what, _bytes_wanted(error), _bytes_free(cupy)) from error


def bytes_free(backend):
    """Bytes that can still be allocated on a device; None if it does not answer, or if memory comes from a pool that is not CuPy's own."""
    with backend.entered():
        return _bytes_free(backend.xp)


def _is_out_of_memory(error):
    """Whether an error is the way of the pool, the runtime, cuFFT or RMM to say that device memory is used up.

    RMM, which may serve CuPy as its allocator, raises a plain MemoryError with the words of the C++ library.
    """
    if isinstance(error, MemoryError) and (type(error).__name__ == "OutOfMemoryError" or RMM.search(str(error))):
        return True
    return any(code in str(error) for code in ("cudaErrorMemoryAllocation", "CUDA_ERROR_OUT_OF_MEMORY", "CUFFT_ALLOC_FAILED"))


def _bytes_wanted(error):
    """Bytes that could not be allocated, from the message of CuPy or RMM; None if it does not say."""
    found = re.search(r"allocating ([\d,]+) bytes", str(error))
    if found:
        return int(found[1].replace(",", ""))
    found = re.search(r"failed to allocate ([\d.]+) ([KMGT]?i?B)", str(error))
    return int(float(found[1]) * RMM_UNITS[found[2]]) if found and found[2] in RMM_UNITS else None


def _bytes_free(cupy):
    """Bytes that can still be allocated, kept blocks of CuPy's pool and its limit included; None if they are not known.

    What another allocator than the pool (RMM, CuPy's asynchronous pool) holds back looks used and may be free.
    """
    pool = cupy.get_default_memory_pool()
    if getattr(cupy.cuda.get_allocator(), "__self__", None) is not pool:
        return None
    try:
        free = cupy.cuda.runtime.memGetInfo()[0]
    except cupy.cuda.runtime.CUDARuntimeError:
        return None
    free += pool.free_bytes()
    limit = pool.get_limit()
    return int(min(free, limit - pool.used_bytes()) if limit else free)
