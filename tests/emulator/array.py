"""The double's ``cupy.ndarray``: a NumPy array that refuses to be taken for one.

Whatever moves data to the host or waits for the device (float(x), x.get(), a boolean mask as index, printing) is counted and can
be refused by a guard; whatever CuPy refuses (NumPy arrays as operands, np.asarray(x)) raises TypeError here too.
"""

import numpy as np

from .calls import record
from .counters import active_counters
from .devices import current, require_here
from .errors import EmulatorError
from .guard import capture, spend
from .memory import MemoryPointer, allocate, deliver_downloads, pin, postpone_download
from .operations import SCALARS, DeviceHandle, execute

__all__ = ["asarray", "download", "ndarray", "synchronise"]

UFUNC_KEYWORDS = frozenset(("out", "dtype", "casting"))


def synchronise(why):
    """The host waits for the device: counted, and postponed downloads arrive."""
    spend("synchronisations", why)
    deliver_downloads()


def download(nbytes, why):
    """A blocking copy to the host: a transfer and a synchronisation."""
    spend("downloads", why, nbytes)
    synchronise(why)


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    """``cupy.asarray``: an upload for host data, the array itself if it is on the device already."""
    record("cupy.asarray", 1, [] if dtype is None else ["dtype"])
    if isinstance(a, ndarray):
        a = _brought_here(a)
        wanted = a.dtype if dtype is None else np.dtype(dtype)
        same_layout = order in (None, "K", "A") or a.flags[f"{order}_CONTIGUOUS"]
        return (
            a
            if wanted == a.dtype and same_layout and not copy
            else execute("cupy.asarray", np.array, (a,), {"dtype": wanted, "order": order})
        )
    if isinstance(a, (tuple, list)) and any(isinstance(item, ndarray) for item in a):
        return execute("cupy.asarray", np.array, (a,), {"dtype": dtype})
    host = np.asarray(a, dtype=dtype)
    if host.dtype.kind in "OSUV":
        raise ValueError(f"Unsupported dtype {host.dtype}")
    spend("uploads", "asarray", host.nbytes)
    pin(host.nbytes)
    array, buffer = allocate(host.shape, host.dtype, order, "asarray")
    array[...] = host
    return ndarray._of(array, buffer)


def _brought_here(a):
    """The array itself, or a copy on the current device: `asarray` and `copy` are the functions that copy between devices."""
    if a._buffer.device == current.device:
        return a
    array, buffer = allocate(a.shape, a.dtype, "C", "copy between devices")
    array[...] = a._array
    return ndarray._of(array, buffer)


class ndarray(DeviceHandle):
    """Array on the emulated device; constructed as CuPy's, uninitialised (that is: full of NaN)."""

    __slots__ = ()
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        if memptr is not None or strides is not None:
            raise EmulatorError("the double makes no arrays from raw pointers or strides")
        self._array, self._buffer = allocate(shape, dtype, order, "ndarray")

    @classmethod
    def _of(cls, array, buffer):
        new = object.__new__(cls)
        new._array, new._buffer = array, buffer
        return new

    def _view(self, array):
        return ndarray._of(array, self._buffer)

    # ---- to the host ---------------------------------------------------------------------------------------------------
    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly.")

    def _scalar(self, why):
        if self._array.size != 1:
            raise TypeError("only length-1 arrays can be converted to Python scalars")
        download(self._array.nbytes, why)
        return self._array.reshape(())[()]

    def __float__(self):
        return float(self._scalar("float(x)"))

    def __int__(self):
        return int(self._scalar("int(x)"))

    def __complex__(self):
        return complex(self._scalar("complex(x)"))

    def __bool__(self):
        if self._array.size > 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()")
        return bool(self._scalar("bool(x)"))

    def item(self):
        record("cupy.ndarray.item", 0)
        return self._scalar(".item()").item()

    def get(self, stream=None, order="C", out=None, blocking=True):
        given = {"stream": stream is not None, "out": out is not None, "blocking": not blocking}
        record("cupy.ndarray.get", 0, [name for name, is_given in given.items() if is_given])
        if out is None:
            out = np.empty(self.shape, self.dtype, order="F" if order == "F" else "C")
        elif out.dtype != self.dtype or out.shape != self.shape:
            raise ValueError(f"out has {out.dtype}{out.shape}, the array {self.dtype}{self.shape}")
        if blocking:
            download(self.nbytes, ".get()")
            out[...] = self._array
        else:
            spend("downloads", ".get(blocking=False)", self.nbytes)
            postpone_download(out, self._array)
        return out

    def copy(self, order="C"):
        record("cupy.ndarray.copy", 0)
        here = _brought_here(self)
        return here if here is not self else execute("cupy.ndarray.copy", np.ndarray.copy, (self,), {"order": order})

    def tolist(self):
        return self.get().tolist()

    def tobytes(self, order="C"):
        return self.get().tobytes(order)

    def set(self, arr, stream=None):
        record("cupy.ndarray.set", 1, [] if stream is None else ["stream"])
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not (self.flags.c_contiguous or self.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        spend("uploads", ".set()", arr.nbytes)
        self._array[...] = arr

    def __repr__(self):
        download(self.nbytes, "repr(x)")
        return repr(self._array)

    def __str__(self):
        download(self.nbytes, "str(x)")
        return str(self._array)

    def __format__(self, spec):
        return format(self._scalar("format(x)"), spec) if self.size == 1 else str(self)

    def __copy__(self):
        return self.copy()  # on the device, as CuPy does

    def __deepcopy__(self, memo):
        return self.copy()

    def __reduce__(self):
        return asarray, (self.get(),)

    # ---- facts that the host knows -----------------------------------------------------------------------------------------
    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    nbytes = property(lambda self: self._array.nbytes)
    itemsize = property(lambda self: self._array.itemsize)
    strides = property(lambda self: self._array.strides)
    flags = property(lambda self: self._array.flags)
    data = property(lambda self: MemoryPointer(self._array, self._buffer.device))

    @property
    def base(self):
        return None if self._array.size == 0 or self._array.nbytes == self._buffer.nbytes else self._buffer

    @property
    def device(self):
        from .streams import Device

        return Device(self._buffer.device)

    T = property(lambda self: self._view(self._array.T))

    @property
    def real(self):
        return self._view(self._array.real)

    @property
    def imag(self):
        return self._view(self._array.imag)

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    # ---- indexing ----------------------------------------------------------------------------------------------------------
    def _index(self, key, masks_synchronise):
        """NumPy's form of an index, and whether it gathers (else it makes a view)."""
        parts, gathers = [], False
        for axis, part in enumerate(key if isinstance(key, tuple) else (key,)):
            if isinstance(part, ndarray):
                gathers = True
                if part.dtype.kind == "b" and masks_synchronise:
                    synchronise("indexing with a boolean mask")
                elif part.dtype.kind in "iu":
                    self._refuse_out_of_range(part._array, axis, isinstance(key, tuple))
                parts.append(part._array)
            elif isinstance(part, (np.ndarray, list)):
                gathers = True
                parts.append(np.asarray(part))
                spend("uploads", "an index array on the host", parts[-1].nbytes)
            else:
                parts.append(part)
        return tuple(parts), gathers

    def _refuse_out_of_range(self, index, axis, in_tuple):
        length = max(self.shape, default=0) if in_tuple else self.shape[axis]
        if index.size and (index.max() >= length or index.min() < -length):
            raise IndexError(f"index out of range for an axis of {length}: CuPy would wrap it around without a word")

    def __getitem__(self, key):
        index, gathers = self._index(key, masks_synchronise=True)
        if gathers:
            return execute("cupy.ndarray.__getitem__", lambda array: array[index], (self,), {})
        picked = self._array[index]
        return self._view(picked if isinstance(picked, np.ndarray) else self._array[(*index, Ellipsis)])

    def __setitem__(self, key, value):
        if isinstance(value, (np.ndarray, list, tuple)):
            raise TypeError(f"Unsupported type {type(value)}: assign a device array or a scalar, or use .set()")
        index, _ = self._index(key, masks_synchronise=isinstance(value, ndarray) and value.size > 1)
        host_value = value._array if isinstance(value, ndarray) else value

        require_here((item._buffer for item in (self, value) if isinstance(item, ndarray)), "ndarray.__setitem__")

        def run():
            self._array[index] = host_value

        spend("launches", "ndarray.__setitem__")
        nbytes = self._array[index].nbytes
        for counters in active_counters:
            counters.bytes_written += nbytes
        if capture.active:
            capture.nodes.append(run)
        else:
            run()

    def fill(self, value):
        record("cupy.ndarray.fill", 1)
        self[...] = value

    # ---- NumPy's protocols: np.exp(x) of a device array is cupy.exp(x) --------------------------------------------------------
    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__":
            return NotImplemented
        if isinstance(kwargs.get("out"), tuple):
            kwargs["out"] = kwargs["out"][0]
        record(f"cupy.{ufunc.__name__}", len(inputs), kwargs)
        return execute(f"cupy.{ufunc.__name__}", ufunc, inputs, kwargs)

    def __array_function__(self, function, types, args, kwargs):
        from .functions import FUNCTIONS

        device_function = FUNCTIONS.get(function.__name__)
        return NotImplemented if device_function is None else device_function(*args, **kwargs)


# ---- operators and methods ------------------------------------------------------------------------------------------------------
def _binary(ufunc, is_reflected):
    name = f"cupy.{ufunc.__name__}"

    def operator(self, other):
        if not isinstance(other, (ndarray, *SCALARS)):
            if getattr(other, "__array_ufunc__", ufunc) is None:
                return NotImplemented
            hint = "host array" if isinstance(other, np.ndarray) else "object"
            raise TypeError(f"Unsupported type {type(other)} ({hint} in device operation {ufunc.__name__})")
        record(name, 2)
        return execute(name, ufunc, (other, self) if is_reflected else (self, other), {})

    return operator


def _in_place(ufunc):
    name = f"cupy.{ufunc.__name__}"

    def operator(self, other):
        record(name, 2, ["out"])
        return execute(name, ufunc, (self, other), {"out": self})

    return operator


def _unary(ufunc):
    name = f"cupy.{ufunc.__name__}"

    def operator(self):
        record(name, 1)
        return execute(name, ufunc, (self,), {})

    return operator


def _method(name, view=False, keywords=None):
    def host_method(array, *args, **kwargs):
        return getattr(array, name)(*args, **kwargs)

    full_name = f"cupy.ndarray.{name}"

    def method(self, *args, **kwargs):
        if keywords is not None and not keywords.issuperset(kwargs):
            raise TypeError(f"{full_name}() has no argument {', '.join(sorted(set(kwargs) - keywords))}")
        record(full_name, len(args), kwargs)
        return execute(full_name, host_method, (self, *args), kwargs, view=view, number_lists=view)

    method.__name__ = name
    return method


_ARITHMETIC = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "lshift": np.left_shift,
    "rshift": np.right_shift,
    "matmul": np.matmul,
}
_COMPARISONS = {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal}
_REDUCTIONS = ["sum", "mean", "min", "max", "prod", "std", "var", "argmin", "argmax", "all", "any", "ptp"]
_REDUCTION_KEYWORDS = frozenset(("axis", "dtype", "out", "keepdims", "ddof"))
_COMPUTING = ["cumsum", "cumprod", "clip", "round", "conj", "take", "repeat", "sort", "argsort", "dot", "flatten", "searchsorted"]
_VIEWS = ["astype", "reshape", "ravel", "transpose", "squeeze", "view", "swapaxes", "diagonal"]

for _name, _ufunc in _ARITHMETIC.items():
    setattr(ndarray, f"__{_name}__", _binary(_ufunc, is_reflected=False))
    setattr(ndarray, f"__r{_name}__", _binary(_ufunc, is_reflected=True))
    if _name != "matmul":  # CuPy has no @=
        setattr(ndarray, f"__i{_name}__", _in_place(_ufunc))
for _name, _ufunc in _COMPARISONS.items():
    setattr(ndarray, f"__{_name}__", _binary(_ufunc, is_reflected=False))
for _name, _ufunc in {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}.items():
    setattr(ndarray, f"__{_name}__", _unary(_ufunc))
for _name in _REDUCTIONS:
    if hasattr(np.ndarray, _name):
        setattr(ndarray, _name, _method(_name, keywords=_REDUCTION_KEYWORDS))
for _name in _COMPUTING:
    setattr(ndarray, _name, _method(_name, keywords=None))
for _name in _VIEWS:
    setattr(ndarray, _name, _method(_name, view=True))


def _nonzero(self):
    record("cupy.ndarray.nonzero", 0)
    synchronise("ndarray.nonzero")
    return execute("cupy.ndarray.nonzero", np.nonzero, (self,), {}, launches=3)


ndarray.nonzero = _nonzero
