"""``cupy.RawModule`` and ``cupy.RawKernel``: compile the shipped CUDA C with g++, check what a launch is given, run it.

The parameter types are read from the compiled kernel, so that every argument of every launch is compared with what the kernel
really takes. CuPy itself compares nothing: a float32 array for a ``double*`` or a NumPy array for a pointer is a wild pointer there.
"""

import ctypes
import threading

import numpy as np

from .array import ndarray
from .build import build, kernels_in
from .calls import record
from .counters import KernelRun, active_counters
from .errors import EmulatorError, KernelError
from .guard import capture, spend
from .settings import ORDERS, settings

__all__ = ["RawKernel", "RawModule"]

_DTYPES = {
    "d": np.dtype(np.float64),
    "f": np.dtype(np.float32),
    "i": np.dtype(np.int32),
    "I": np.dtype(np.uint32),
    "q": np.dtype(np.int64),
    "Q": np.dtype(np.uint64),
    "h": np.dtype(np.int16),
    "H": np.dtype(np.uint16),
    "b": np.dtype(np.int8),
    "B": np.dtype(np.uint8),
    "?": np.dtype(np.bool_),
    "D": np.dtype(np.complex128),
    "F": np.dtype(np.complex64),
}
_PYTHON_SCALARS = {bool: np.dtype(np.bool_), int: np.dtype(np.int64), float: np.dtype(np.float64), complex: np.dtype(np.complex128)}

_stream = threading.Lock()  # all threads launch into one stream, whose kernels run one after the other


# ---- structures of runtime/emulator.h ---------------------------------------------------------------------------------------------
class _Range(ctypes.Structure):
    _fields_ = [("base", ctypes.c_uint64), ("size", ctypes.c_uint64), ("item_size", ctypes.c_uint64)]


class _Options(ctypes.Structure):
    _fields_ = [("order", ctypes.c_int32), ("seed", ctypes.c_uint32), ("check", ctypes.c_int32), ("sampled_blocks", ctypes.c_int32)]


_COUNTED = [
    "threads",
    "blocks",
    "barriers",
    "warp_syncs",
    "bytes_read",
    "bytes_written",
    "bytes_atomic",
    "reads",
    "writes",
    "atomics",
    "shared_accesses",
    "sampled_bytes",
    "sampled_sector_bytes",
]


class _Result(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_int64) for name in _COUNTED), ("message", ctypes.c_char * 1024)]


# ---- arguments ---------------------------------------------------------------------------------------------------------------------
def _check_array(where, letters, value):
    """Refuse everything but a contiguous device array of the right type (or None, the null pointer)."""
    letter = letters.lstrip("c")[1:]
    wanted = _DTYPES.get(letter)
    if value is None:
        return
    if wanted is None and letter != "v":
        raise KernelError(f"{where}: the kernel takes a pointer to a type that no array has; complex arrays are double2* or float2*")
    if not isinstance(value, ndarray):
        hint = " (CuPy would pass the bytes of a host array BY VALUE)" if isinstance(value, np.ndarray) else ""
        raise TypeError(f"{where}: expects a device array for {wanted}*, got {type(value)}{hint}")
    is_mask = wanted == np.uint8 and value.dtype == np.bool_
    if wanted is not None and value.dtype != wanted and not is_mask:
        raise TypeError(f"{where}: the kernel takes {wanted}*, the array is {value.dtype}")
    if not value.flags.c_contiguous:
        raise ValueError(f"{where}: the array is not C-contiguous; the kernel would read the memory between its elements")
    if not letters.startswith("c") and not value.flags.writeable:
        raise ValueError(f"{where}: a read-only (broadcast) array is passed as output")


def _scalar(where, letter, value):
    """The bytes of a scalar argument."""
    wanted = _DTYPES.get(letter)
    if wanted is None:
        raise KernelError(f"{where}: the kernel takes a type by value that the launcher does not know")
    if isinstance(value, (ndarray, np.ndarray)):
        raise TypeError(f"{where}: expects a scalar {wanted}, got an array")
    given = value.dtype if isinstance(value, np.generic) else _PYTHON_SCALARS.get(type(value))
    if given != wanted:
        what = f"{given} (a Python {type(value).__name__})" if type(value) in _PYTHON_SCALARS else f"{given or type(value)}"
        raise TypeError(
            f"{where}: the kernel takes {wanted}, got {what}; the launch would pass the wrong bytes: wrap it in np.{wanted}(...)"
        )
    return np.array(value, wanted)


def _dimensions(what, value):
    if not isinstance(value, tuple) or not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in value):
        raise TypeError(f"{what} must be a tuple of ints, got {value!r}")
    if not 1 <= len(value) <= 3:
        raise ValueError(f"{what} must have 1 to 3 entries, got {value!r}")
    return tuple(int(n) for n in value) + (1,) * (3 - len(value))


# ---- the two classes ---------------------------------------------------------------------------------------------------------------
class RawModule:
    """CUDA C source, compiled when a function is asked for (once per mode)."""

    def __init__(
        self,
        code=None,
        *,
        path=None,
        options=(),
        backend="nvrtc",
        translate_cucomplex=False,
        enable_cooperative_groups=False,
        name_expressions=None,
        jitify=None,
    ):
        given = {"options": options, "name_expressions": name_expressions, "backend": backend != "nvrtc"}
        record("cupy.RawModule", 0, ["code", *(name for name, value in given.items() if value)])
        if code is None or path is not None:
            raise EmulatorError("the emulator needs CUDA C in `code`, not a compiled file")
        if not isinstance(options, tuple):
            raise TypeError("options must be a tuple of str")
        if enable_cooperative_groups or jitify or translate_cucomplex:
            raise EmulatorError("cooperative groups, jitify and translate_cucomplex are not emulated")
        self.code, self.options = code, options
        self._exports = tuple((f"instance_{i}", expression) for i, expression in enumerate(name_expressions or ()))
        self._bounds = kernels_in(code)[1]
        self._libraries = {}

    def library(self, check):
        """The compiled module of one mode."""
        if check not in self._libraries:
            self._libraries[check] = build(self.code, self.options, self._exports, check)
        return self._libraries[check]

    def compile(self, log_stream=None):
        self.library(settings.check)

    def get_function(self, name):
        record("cupy.RawModule.get_function", 1)
        identifiers = {expression: identifier for identifier, expression in self._exports}
        base_name = name.split("<")[0].split("::")[-1].strip()
        return RawKernel._of(self, identifiers.get(name, name), name, self._bounds.get(base_name))


class RawKernel:
    """A kernel that can be launched: ``kernel(grid, block, args, shared_mem=0)``."""

    def __init__(self, code, name, options=(), backend="nvrtc", translate_cucomplex=False, *, enable_cooperative_groups=False, jitify=None):
        self._become(RawModule(code=code, options=options).get_function(name))

    @classmethod
    def _of(cls, module, identifier, name, max_threads):
        new = object.__new__(cls)
        new._module, new._identifier, new.name = module, identifier, name
        new._bound = max_threads
        new.max_dynamic_shared_size_bytes = 48 * 1024
        new._signatures = {}
        new.signature()
        return new

    def _become(self, other):
        self.__dict__.update(other.__dict__)

    def signature(self):
        """Letters of the parameters: ``"cPd"`` is ``const double*``, ``"i"`` an int."""
        check = settings.check
        if check not in self._signatures:
            try:
                function = getattr(self._module.library(check).handle, f"emu_signature_{self._identifier}")
            except AttributeError:
                raise KernelError(
                    f'CUDA_ERROR_NOT_FOUND: named symbol not found: {self.name}; kernels need extern "C" or name_expressions'
                ) from None
            text = ctypes.create_string_buffer(4096)
            function(text)
            self._signatures[check] = [letters for letters in text.value.decode().split(",") if letters]
        return self._signatures[check]

    def __call__(self, grid, block, args, *, shared_mem=0, stream=None):
        record("cupy.RawKernel.__call__", 3, ["shared_mem"] if shared_mem else [])
        grid, block = _dimensions("grid", grid), _dimensions("block", block)
        self._check_launch(grid, block, shared_mem)
        signature = self.signature()
        if len(signature) != len(args):
            raise KernelError(f"{self.name}: {len(args)} arguments for {len(signature)} parameters ({', '.join(signature)})")
        arrays, held, pointers = [], [], (ctypes.c_void_p * max(1, len(args)))()
        for i, (value, letters) in enumerate(zip(args, signature, strict=True)):
            where = f"{self.name} argument {i}"
            if "P" in letters:
                _check_array(where, letters, value)
                held.append(ctypes.c_void_p(0 if value is None else value.data.ptr))
                pointers[i] = ctypes.addressof(held[-1])
                if value is not None:
                    arrays.append(value)
            else:
                held.append(_scalar(where, letters, value))
                pointers[i] = held[-1].ctypes.data

        def run():
            with _stream:
                self._run(grid, block, pointers, arrays, int(shared_mem), held)

        spend("launches", f"raw:{self.name}")
        if capture.active:
            capture.nodes.append(run)
        else:
            run()

    def _check_launch(self, grid, block, shared_mem):
        threads = block[0] * block[1] * block[2]
        too_large = threads > 1024 or block[2] > 64 or max(grid[1:]) > 65535 or grid[0] > 2**31 - 1
        if min(*grid, *block) < 1 or too_large:
            raise KernelError(f"CUDA_ERROR_INVALID_VALUE: {self.name} with grid {grid}, block {block} (at most 1024 threads per block)")
        if self._bound is not None and threads > self._bound:
            raise KernelError(f"CUDA_ERROR_INVALID_VALUE: {self.name} with {threads} threads per block, __launch_bounds__({self._bound})")
        if shared_mem > self.max_dynamic_shared_size_bytes:
            limit = self.max_dynamic_shared_size_bytes
            raise KernelError(f"CUDA_ERROR_INVALID_VALUE: {self.name} with {shared_mem} bytes of dynamic shared memory > {limit}")

    def _run(self, grid, block, pointers, arrays, shared_mem, held):
        library = self._module.library(settings.check)
        kernel = ctypes.cast(getattr(library.handle, f"emu_call_{self._identifier}"), ctypes.c_void_p)
        ranges = (_Range * max(1, len(arrays)))(*(_Range(a.data.ptr, max(1, a.nbytes), a.itemsize) for a in arrays))
        options = _Options(ORDERS.index(settings.order), settings.seed, settings.check, settings.sampled_blocks)
        result = _Result()
        failed = library.handle.emu_launch(
            kernel,
            pointers,
            (ctypes.c_uint * 6)(*grid, *block),
            ctypes.c_size_t(shared_mem),
            ranges,
            len(arrays),
            ctypes.byref(options),
            ctypes.byref(result),
        )
        footprint = sum({a.data.ptr: a.nbytes for a in arrays}.values())
        counts = {name: getattr(result, name) for name in _COUNTED}
        for counters in active_counters:
            counters.runs.append(KernelRun(self.name, grid, block, shared_mem, footprint, **counts))
            counters.bytes_read += result.bytes_read
            counters.bytes_written += result.bytes_written
        if failed:
            raise KernelError(f"{self.name}: {library.with_lines(result.message.decode(errors='replace'))}")
        if not settings.check:  # the checking mode has seen every access already
            for a in arrays:
                a._buffer.check_red_zones(self.name)
