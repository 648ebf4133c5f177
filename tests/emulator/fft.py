"""``cupyx.scipy.fft`` with cuFFT plan objects, computed by `scipy.fft`.

A plan costs one library call and one allocation (its work area) when it is made; executing it costs one library call and no memory
if the output is given. As with cuFFT, ``plan.fft`` does not normalise, and a complex-to-real transform destroys its input: the
double fills that input with NaN, so that a program that goes on using it is found out.
"""

import math

import numpy as np
import scipy.fft

from .array import ndarray
from .calls import record
from .devices import require_here
from .errors import CuFFTError, EmulatorError
from .guard import capture, spend
from .memory import Buffer, allocate
from .operations import DeviceFunction, execute

__all__ = ["CUFFT", "FFT", "Plan1d", "PlanNd", "clear_plan_cache", "get_fft_plan"]

FORWARD, INVERSE = -1, 1
# cuFFT's own numbers for the types of transform, by (value type, is single precision).
_TYPES = {
    ("C2C", True): 0x29,
    ("R2C", True): 0x2A,
    ("C2R", True): 0x2C,
    ("C2C", False): 0x69,
    ("R2C", False): 0x6A,
    ("C2R", False): 0x6C,
}
_current_plan = []
_plan_cache = {}


class _Plan:
    """A transform of arrays of one shape.

    Parameters
    ----------
    shape : tuple of int
        Shape of the input.
    axes : tuple of int
        Transformed axes, not negative; the last one is halved for real data.
    value_type : {"C2C", "R2C", "C2R"}
    single : bool
        Single precision.
    out_size : int or None
        Length of the output along the last transformed axis (R2C, C2R).
    """

    def __init__(self, shape, axes, value_type, single, out_size):
        self.in_shape, self.axes, self.value_type, self.single = shape, axes, value_type, single
        self.fft_type = _TYPES[value_type, single]
        self.last_axis, self.last_size = axes[-1], out_size
        self.out_shape = tuple(out_size if out_size is not None and axis == axes[-1] else n for axis, n in enumerate(shape))
        real, comp = (np.float32, np.complex64) if single else (np.float64, np.complex128)
        self.in_dtype = np.dtype(real if value_type == "R2C" else comp)
        self.out_dtype = np.dtype(real if value_type == "C2R" else comp)
        largest = max(math.prod(self.in_shape), math.prod(self.out_shape))
        spend("api_calls", "cufftMakePlan")
        self.work_area = Buffer(largest * np.dtype(comp).itemsize, "the work area of a cuFFT plan")
        self.gpus = None
        self.order = "C"

    def __enter__(self):
        _current_plan.append(self)
        return self

    def __exit__(self, *exception):
        _current_plan.pop()

    def get_output_array(self, a, order="C"):
        record(f"cupy.cuda.cufft.{type(self).__name__}.get_output_array", 1)
        return ndarray._of(*allocate(self.out_shape, self.out_dtype, order, "plan.get_output_array"))

    def check_output_array(self, a, out):
        record(f"cupy.cuda.cufft.{type(self).__name__}.check_output_array", 2)
        self._check(out, self.out_shape, self.out_dtype, "output")

    def _check(self, array, shape, dtype, what):
        if not isinstance(array, ndarray):
            raise TypeError(f"the {what} of a cuFFT plan must be a device array, got {type(array)}")
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(f"the plan's {what} is {dtype}{shape}, got {array.dtype}{array.shape}")
        if not array.flags.c_contiguous:
            raise ValueError(f"the {what} of a cuFFT plan must be C-contiguous: cuFFT would read the memory as if it were")

    def fft(self, a, out, direction):
        """Execute, unnormalised: one library call, no allocation."""
        record(f"cupy.cuda.cufft.{type(self).__name__}.fft", 3)
        self._check(a, self.in_shape, self.in_dtype, "input")
        self._check(out, self.out_shape, self.out_dtype, "output")
        if self.value_type != "C2C" and np.may_share_memory(a._array, out._array):
            raise EmulatorError("a real transform in place needs padded rows, which the double does not know: give another output")
        if self.value_type != "C2C" and (direction == FORWARD) != (self.value_type == "R2C"):
            raise ValueError(f"a {self.value_type} plan cannot transform in direction {direction}")
        alignment = 8 if self.single else 16  # bytes of a complex element, also for the real side: cuFFT asks for it
        if a.data.ptr % alignment or out.data.ptr % alignment:
            raise CuFFTError(4)
        require_here((self.work_area, a._buffer, out._buffer), "cufftExec", is_kernel=True)
        spend("api_calls", "cufftExec")

        def run():
            self._execute(a._array, out._array, direction)

        if capture.active:
            capture.nodes.append(run)
        else:
            run()

    def _execute(self, source, target, direction):
        if self.value_type == "R2C":
            target[...] = scipy.fft.rfftn(source, axes=self.axes)
        elif self.value_type == "C2R":
            lengths = [self.out_shape[axis] for axis in self.axes]
            target[...] = scipy.fft.irfftn(source, s=lengths, axes=self.axes, norm="forward")
            source.fill(np.nan)
        elif direction == FORWARD:
            target[...] = scipy.fft.fftn(source, axes=self.axes)
        else:
            target[...] = scipy.fft.ifftn(source, axes=self.axes, norm="forward")


class PlanNd(_Plan):
    """``cupy.cuda.cufft.PlanNd``: two or three adjacent axes."""

    def __init__(self, *args):
        super().__init__(*args)
        shape = self.out_shape if self.value_type == "C2R" else self.in_shape
        self.shape = tuple(shape[axis] for axis in self.axes)


class Plan1d(_Plan):
    """``cupy.cuda.cufft.Plan1d``: one axis."""

    def __init__(self, *args):
        super().__init__(*args)
        self.nx = self.out_shape[self.axes[0]] if self.value_type == "C2R" else self.in_shape[self.axes[0]]
        self.batch = math.prod(self.in_shape) // self.in_shape[self.axes[0]]


def _plan_arguments(in_shape, lengths, axes, value_type, dtype):
    """Arguments of `_Plan`; `in_shape` is that of the array after padding or cropping to `lengths`."""
    axes = tuple(axis % len(in_shape) for axis in axes)
    if list(axes) != list(range(axes[0], axes[0] + len(axes))) or len(axes) > 3 or (axes[0] != 0 and axes[-1] != len(in_shape) - 1):
        raise ValueError("cuFFT plans transform one to three adjacent axes in ascending order that include the first or the last")
    out_size = None
    if value_type == "R2C":
        out_size = in_shape[axes[-1]] // 2 + 1
    elif value_type == "C2R":
        out_size = lengths[-1] if lengths is not None else 2 * (in_shape[axes[-1]] - 1)
    return in_shape, axes, value_type, np.dtype(dtype) in (np.dtype(np.float32), np.dtype(np.complex64)), out_size


def _cut_shape(shape, lengths, axes, value_type):
    shape = list(shape)
    for position, (axis, n) in enumerate(zip(axes, lengths or (), strict=False)):
        shape[axis] = n // 2 + 1 if value_type == "C2R" and position == len(axes) - 1 else n
    return tuple(shape)


def get_fft_plan(a, shape=None, axes=None, value_type="C2C"):
    """A new plan for arrays like `a`.

    Parameters
    ----------
    a : ndarray
    shape : int or tuple of int or None
        Lengths of the transformed axes (of the real array for C2R); other lengths than those of `a` mean that `a` is to be padded.
    axes : int or tuple of int or None
    value_type : {"C2C", "R2C", "C2R"}
    """
    given = [name for name, value in (("shape", shape), ("axes", axes)) if value is not None]
    record("cupyx.scipy.fft.get_fft_plan", 1, [*given, "value_type"])
    if not isinstance(a, ndarray):
        raise TypeError("The input array a must be a cupy.ndarray")
    if not a.flags.c_contiguous:
        raise ValueError("Input array a must be contiguous")
    shape = (shape,) if isinstance(shape, int) else shape
    axes = (axes,) if isinstance(axes, int) else axes
    if axes is None:
        axes = tuple(range(-(a.ndim if shape is None else len(shape)), 0))
    if shape is not None and len(shape) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    arguments = _plan_arguments(_cut_shape(a.shape, shape, axes, value_type), shape, axes, value_type, a.dtype)
    return (Plan1d if len(axes) == 1 else PlanNd)(*arguments)


def clear_plan_cache():
    """Forget the plans that the functions made for themselves."""
    _plan_cache.clear()


def _cut(a, shape):
    """`a` padded with zeros or cropped to a shape: the copy that CuPy makes."""
    if a.shape == shape:
        return a
    padded = ndarray._of(*allocate(shape, a.dtype, "C", "fft (padding its input)"))
    padded[...] = 0
    window = tuple(slice(0, min(n, m)) for n, m in zip(a.shape, shape, strict=True))
    padded[window] = a[window]
    return padded


def _converted(a, value_type):
    single = a.dtype in (np.dtype(np.float32), np.dtype(np.complex64))
    if value_type == "R2C":
        if a.dtype.kind == "c":
            raise TypeError("a real transform was given complex data")
        wanted = np.float32 if single else np.float64
    else:
        wanted = np.complex64 if single else np.complex128
    return a if a.dtype == wanted else execute("cupyx.scipy.fft (conversion)", np.ndarray.astype, (a, np.dtype(wanted)), {})


def _transform(x, lengths, axes, norm, overwrite_x, plan, value_type, direction):
    """What all functions of the module have in common; every copy that CuPy makes is made and counted."""
    if not isinstance(x, ndarray):
        raise TypeError("The input array a must be a cupy.ndarray")
    if norm not in (None, "backward", "ortho", "forward"):
        raise ValueError(f'Invalid norm value {norm}, should be "backward", "ortho", or "forward".')
    if axes is None:
        axes = tuple(range(-(x.ndim if lengths is None else len(lengths)), 0))
    a = _cut(_converted(x, value_type), _cut_shape(x.shape, lengths, axes, value_type))
    if not a.flags.c_contiguous or (value_type == "C2R" and a is x and not overwrite_x):
        a = a.copy()
    arguments = _plan_arguments(a.shape, lengths, axes, value_type, a.dtype)
    plan = plan or (_current_plan[-1] if _current_plan else None)
    if plan is None:
        if arguments not in _plan_cache:
            _plan_cache[arguments] = (Plan1d if len(axes) == 1 else PlanNd)(*arguments)
        plan = _plan_cache[arguments]
    elif (plan.in_shape, plan.axes, plan.value_type, plan.single, plan.last_size) != arguments:
        raise ValueError(
            f"The cuFFT plan and a.shape do not match: the plan is for {plan.in_shape}, axes {plan.axes}; a is {a.shape}, axes {axes}"
        )
    in_place = value_type == "C2C" and overwrite_x
    out = a if in_place else ndarray._of(*allocate(plan.out_shape, plan.out_dtype, "C", "fft"))
    plan.fft(a, out, direction)
    _normalise(out, plan, norm or "backward", direction)
    if overwrite_x and not np.may_share_memory(out._array, x._array) and x.dtype.kind in "fc":
        x._array.fill(np.nan)  # the caller said that it may be destroyed
    return out


def _normalise(out, plan, norm, direction):
    shape = plan.out_shape if plan.value_type == "C2R" else plan.in_shape
    number = math.prod(shape[axis] for axis in plan.axes)
    if norm == "ortho":
        out *= 1 / math.sqrt(number)
    elif (norm == "backward") == (direction == INVERSE):
        out *= 1 / number


def _one_axis(name, value_type, direction):
    def function(x, n=None, axis=-1, norm=None, overwrite_x=False, *, plan=None):
        _record(name, n=n, norm=norm, overwrite_x=overwrite_x or None, plan=plan)
        return _transform(x, None if n is None else (n,), (axis,), norm, overwrite_x, plan, value_type, direction)

    function.__name__ = name
    return function


def _many_axes(name, value_type, direction, default_axes):
    def function(x, s=None, axes=default_axes, norm=None, overwrite_x=False, *, plan=None):
        _record(name, s=s, axes=None if axes == default_axes else axes, norm=norm, overwrite_x=overwrite_x or None, plan=plan)
        return _transform(x, s, axes, norm, overwrite_x, plan, value_type, direction)

    function.__name__ = name
    return function


def _record(name, **keywords):
    record(f"cupyx.scipy.fft.{name}", 1, [key for key, value in keywords.items() if value is not None])


def _frequencies(name):
    host = getattr(np.fft, name)

    def function(n, d=1.0):
        record(f"cupyx.scipy.fft.{name}", 1, ["d"])
        spend("launches", name)
        array = host(n, d)
        return ndarray._of(array, Buffer(array.nbytes, name))

    function.__name__ = name
    return function


def next_fast_len(target, real=False):
    """``cupyx.scipy.fft.next_fast_len``: a host function."""
    record("cupyx.scipy.fft.next_fast_len", 1, ["real"] if real else [])
    return scipy.fft.next_fast_len(target, real)


def _table():
    table = {"get_fft_plan": get_fft_plan, "next_fast_len": next_fast_len}
    for prefix, value_type, direction in (("", "C2C", FORWARD), ("i", "C2C", INVERSE), ("r", "R2C", FORWARD), ("ir", "C2R", INVERSE)):
        table[f"{prefix}fft"] = _one_axis(f"{prefix}fft", value_type, direction)
        table[f"{prefix}fft2"] = _many_axes(f"{prefix}fft2", value_type, direction, (-2, -1))
        table[f"{prefix}fftn"] = _many_axes(f"{prefix}fftn", value_type, direction, None)
    for name in ("fftshift", "ifftshift"):
        table[name] = DeviceFunction(f"cupyx.scipy.fft.{name}", getattr(scipy.fft, name))
    for name in ("fftfreq", "rfftfreq"):
        table[name] = _frequencies(name)
    return table


FFT = _table()
CUFFT = {
    "CUFFT_FORWARD": FORWARD,
    "CUFFT_INVERSE": INVERSE,
    "CUFFT_C2C": 0x29,
    "CUFFT_R2C": 0x2A,
    "CUFFT_C2R": 0x2C,
    "CUFFT_Z2Z": 0x69,
    "CUFFT_D2Z": 0x6A,
    "CUFFT_Z2D": 0x6C,
    "CuFFTError": CuFFTError,
    "Plan1d": Plan1d,
    "PlanNd": PlanNd,
}
