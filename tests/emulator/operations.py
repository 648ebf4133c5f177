"""How a function of NumPy or SciPy becomes a function on device arrays: `DeviceFunction`.

Arguments may be device arrays and scalars, nothing else; results are new device arrays. Each call is recorded, counted as a
launch, and its memory counted as an allocation unless ``out=`` was given or the result is a view.
"""

import warnings

import numpy as np

from .calls import record
from .counters import active_counters
from .devices import require_here
from .errors import EmulatorError
from .guard import capture, spend
from .memory import Buffer

__all__ = ["SCALARS", "DeviceFunction", "DeviceHandle", "execute", "host_values", "unwrap", "wrap"]

SCALARS = (int, float, complex, bool, np.generic)
_PLAIN = (str, type, np.dtype, slice, type(None), type(Ellipsis))


class DeviceHandle:
    """A NumPy array that plays the part of device memory, and the allocation it belongs to. `array.ndarray` is built on it."""

    __slots__ = ("__weakref__", "_array", "_buffer")


def unwrap(value, where, number_lists=False):
    """The NumPy array behind one operand. `number_lists`: lists of numbers (axes, pad widths) are fine here.

    Raises
    ------
    TypeError
        For everything that CuPy would not take, above all host arrays.
    """
    if isinstance(value, DeviceHandle):
        return value._array
    if isinstance(value, (*SCALARS, *_PLAIN)):
        return value
    if isinstance(value, tuple):
        return tuple(unwrap(item, where, number_lists) for item in value)
    if isinstance(value, list) and (number_lists or any(isinstance(item, DeviceHandle) for item in value)):
        return [unwrap(item, where, number_lists) for item in value]
    hint = " (a host array in a device operation: use asarray() or .get())" if isinstance(value, np.ndarray) else ""
    raise TypeError(f"Unsupported type {type(value)} in {where}{hint}")


def host_values(value):
    """All NumPy arrays in a nested result or argument list."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from host_values(item)


def wrap(value, why, operands=()):
    """Device array for a NumPy result, and the same for each item of a tuple or list. New memory is counted; views are not."""
    from .array import ndarray

    if isinstance(value, (tuple, list)):
        return type(value)(wrap(item, why, operands) for item in value)
    if not isinstance(value, (np.ndarray, np.generic)):
        return value
    array = np.asarray(value)
    for operand in operands:
        if array.size and np.may_share_memory(array, operand._array):
            return ndarray._of(array, operand._buffer)
    return ndarray._of(array, Buffer(array.nbytes, why))


def execute(name, function, args, kwargs, launches=1, view=False, number_lists=False):
    """Run a host function on device operands.

    Parameters
    ----------
    name : str
        Full name for the record and messages, such as ``"cupy.add"``.
    function : callable
        Takes the unwrapped arguments.
    args, kwargs : tuple, dict
    launches : int
        Kernels that CuPy launches for it.
    view : bool
        The result is a view wherever that is possible; it then costs nothing.
    number_lists : bool
        Arguments may be lists of numbers.
    """
    short = name.split(".", 1)[1]
    operands = [value for value in _flat((*args, *kwargs.values())) if isinstance(value, DeviceHandle)]
    host_args = [unwrap(value, short, number_lists) for value in args]
    host_kwargs = {key: unwrap(value, short, number_lists) for key, value in kwargs.items()}

    if not view:
        require_here((operand._buffer for operand in operands), short)

    def run():
        with np.errstate(all="ignore"), warnings.catch_warnings():  # a GPU reports no floating-point exceptions
            warnings.simplefilter("ignore", RuntimeWarning)
            return function(*host_args, **host_kwargs)

    out = kwargs.get("out")
    if capture.active and not view:
        if out is None:
            raise EmulatorError(f"{short} allocates its result during graph capture; give out= a buffer")
        spend("launches", short, number=launches)
        capture.nodes.append(run)
        return out
    result = run()
    if out is not None:
        _count_launch(host_args, out._array, launches, short)
        return out
    wrapped = wrap(result, short, operands if view else ())
    buffers = {id(operand._buffer): operand._buffer for operand in operands}
    results = [item for item in _flat((wrapped,)) if isinstance(item, DeviceHandle)]
    if not (view and all(id(item._buffer) in buffers for item in results)):
        require_here(buffers.values(), short)
        _count_launch(host_args, [item._array for item in results], launches, short)
    return wrapped


def _flat(values):
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _flat(value)
        else:
            yield value


def _count_launch(read, written, launches, name):
    spend("launches", name, number=launches)
    n_read = sum(array.nbytes for array in host_values(read))
    n_written = sum(array.nbytes for array in host_values(written))
    for counters in active_counters:
        counters.bytes_read += n_read
        counters.bytes_written += n_written


class DeviceFunction:
    """A callable of the double, made from a host function.

    Parameters
    ----------
    name : str
        Full name, as in CuPy.
    function : callable
    launches, view, number_lists
        See `execute`.
    keywords : frozenset of str or None
        Keywords that CuPy knows; others are refused even if NumPy would take them. None: as the host function.
    synchronises : bool
        The size of the result depends on the values, so the host waits for the device.
    """

    def __init__(self, name, function, launches=1, view=False, keywords=None, synchronises=False, number_lists=False):
        self.__name__ = name.rsplit(".", 1)[1]
        self.__qualname__ = self.full_name = name
        self._function, self._launches, self._view = function, launches, view
        self._keywords, self._synchronises, self._number_lists = keywords, synchronises, number_lists

    def __repr__(self):
        return f"<emulated {self.full_name}>"

    def __call__(self, *args, **kwargs):
        if self._keywords is not None and not self._keywords.issuperset(kwargs):
            unknown = sorted(set(kwargs) - self._keywords)
            raise TypeError(
                f"{self.full_name}() of CuPy has no argument {', '.join(unknown)}; it knows {', '.join(sorted(self._keywords))}"
            )
        record(self.full_name, len(args), kwargs)
        if self._synchronises:
            spend("synchronisations", self.full_name)
        return execute(self.full_name, self._function, args, kwargs, self._launches, self._view, self._number_lists)
