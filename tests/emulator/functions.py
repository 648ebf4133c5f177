"""Tables of the array functions that the double knows. A name that is not here raises AttributeError: add it here first.

Kernel counts are CuPy's order of magnitude: one launch for elementwise functions, reductions and matrix products, more for what is
known to be composed. Keywords are limited to those of CuPy where NumPy knows more.
"""

import numpy as np
import scipy.ndimage
import scipy.special

from .array import UFUNC_KEYWORDS, asarray, ndarray
from .calls import record
from .guard import spend
from .memory import Buffer, allocate
from .operations import DeviceFunction, execute

__all__ = ["CONSTANTS", "FUNCTIONS", "LINALG", "NDIMAGE", "SPECIAL"]


def _names(text):
    return text.split()


_UFUNCS = _names(
    """
    add subtract multiply divide true_divide floor_divide remainder power sqrt exp expm1 exp2 log log10 log2 log1p sin cos tan
    arcsin arccos arctan arctan2 sinh cosh tanh hypot absolute fabs sign negative positive maximum minimum fmax fmin floor ceil
    rint trunc isfinite isnan isinf logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_xor invert
    left_shift right_shift less less_equal greater greater_equal equal not_equal square reciprocal cbrt deg2rad rad2deg copysign
    sinc
    """
)
_ELEMENTWISE = _names(
    "where clip nan_to_num roll tile repeat outer interp searchsorted digitize take take_along_axis diff tril triu angle conj"
)
_NUMBER_LISTS = _names("concatenate stack hstack vstack pad meshgrid unravel_index")
_REDUCTIONS = _names("sum mean min max prod amin amax std var argmin argmax all any nansum nanprod nanmean nanmin nanmax nanstd nanvar")
_SCANS = _names("count_nonzero cumsum cumprod bincount trapezoid average median percentile quantile sort argsort array_equal")
_REDUCTION_KEYWORDS = frozenset(("axis", "dtype", "out", "keepdims", "ddof"))
_VIEWS = _names(
    """
    reshape ravel transpose squeeze expand_dims broadcast_to moveaxis swapaxes flip atleast_1d atleast_2d atleast_3d broadcast_arrays
    split real imag diagonal
    """
)
_SYNCHRONISING = ["nonzero", "unique", "flatnonzero", "argwhere"]
_PRODUCTS = _names("matmul dot einsum tensordot vdot inner")

CONSTANTS = {
    name: getattr(np, name)
    for name in _names(
        """
    float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool_ complex64 complex128 generic floating integer
    number dtype newaxis pi e inf nan finfo iinfo result_type can_cast promote_types broadcast_shapes isscalar ndindex issubdtype
    """
    )
}


def _table():
    table = {}
    for name in _UFUNCS:
        keywords = UFUNC_KEYWORDS if isinstance(getattr(np, name), np.ufunc) else None
        table[name] = DeviceFunction(f"cupy.{name}", getattr(np, name), keywords=keywords)
    for name in _ELEMENTWISE:
        table[name] = DeviceFunction(f"cupy.{name}", getattr(np, name))
    for name in _NUMBER_LISTS:
        table[name] = DeviceFunction(f"cupy.{name}", getattr(np, name), number_lists=True)
    for name in _REDUCTIONS:
        table[name] = DeviceFunction(f"cupy.{name}", getattr(np, name), keywords=_REDUCTION_KEYWORDS)
    for name in _SCANS:
        if hasattr(np, name):
            table[name] = DeviceFunction(f"cupy.{name}", getattr(np, name))
    for name in _VIEWS:
        table[name] = DeviceFunction(f"cupy.{name}", getattr(np, name), view=True, number_lists=True)
    for name in _SYNCHRONISING:
        table[name] = DeviceFunction(f"cupy.{name}", getattr(np, name), launches=3, synchronises=True)
    for name in _PRODUCTS:
        table[name] = DeviceFunction(f"cupy.{name}", getattr(np, name), launches=2 if name in ("einsum", "tensordot") else 1)
    table["abs"] = table["absolute"]
    return table


FUNCTIONS = _table()
SPECIAL = {
    name: DeviceFunction(f"cupyx.scipy.special.{name}", getattr(scipy.special, name))
    for name in _names("gammaln gamma erf erfc erfcx erfinv xlogy digamma ndtr i0 i1 j0 j1 logsumexp")
}
NDIMAGE = {
    name: DeviceFunction(f"cupyx.scipy.ndimage.{name}", getattr(scipy.ndimage, name), launches=2)
    for name in _names(
        """
    gaussian_filter uniform_filter convolve correlate convolve1d map_coordinates binary_erosion binary_dilation label shift zoom
    maximum_filter minimum_filter median_filter distance_transform_edt
    """
    )
}
LINALG = {
    name: DeviceFunction(f"cupy.linalg.{name}", getattr(np.linalg, name), launches=4)
    for name in _names("solve inv cholesky eigh svd norm det")
}


# ---- functions that make arrays ---------------------------------------------------------------------------------------------------
def _filled(name, shape, dtype, order, value):
    array, buffer = allocate(shape, dtype, order, name)
    if value is not None:
        array.fill(value)
        spend("launches", name)
    return ndarray._of(array, buffer)


def empty(shape, dtype=float, order="C"):
    record("cupy.empty", 1, ["dtype"])
    return _filled("empty", shape, dtype, order, None)


def zeros(shape, dtype=float, order="C"):
    record("cupy.zeros", 1, ["dtype"])
    return _filled("zeros", shape, dtype, order, 0)


def ones(shape, dtype=float, order="C"):
    record("cupy.ones", 1, ["dtype"])
    return _filled("ones", shape, dtype, order, 1)


def full(shape, fill_value, dtype=None, order="C"):
    record("cupy.full", 2, ["dtype"])
    return _filled("full", shape, np.asarray(fill_value).dtype if dtype is None else dtype, order, fill_value)


def _like(name, value):
    def function(a, dtype=None, order="K", subok=None, shape=None):
        record(f"cupy.{name}", 1, [key for key, given in (("dtype", dtype), ("shape", shape)) if given is not None])
        if not isinstance(a, ndarray):
            raise TypeError(f"Unsupported type {type(a)} in {name}")
        return _filled(name, a.shape if shape is None else shape, dtype or a.dtype, "C", value)

    function.__name__ = name
    return function


def full_like(a, fill_value, dtype=None, order="K", subok=None, shape=None):
    record("cupy.full_like", 2, [key for key, given in (("dtype", dtype), ("shape", shape)) if given is not None])
    return _filled("full_like", a.shape if shape is None else shape, dtype or a.dtype, "C", fill_value)


def _made_on_device(name):
    host = getattr(np, name)

    def function(*args, **kwargs):
        record(f"cupy.{name}", len(args), kwargs)
        if any(isinstance(value, (ndarray, np.ndarray)) for value in (*args, *kwargs.values())):
            raise TypeError(f"{name} takes Python numbers on the device")
        spend("launches", name)
        array = host(*args, **kwargs)
        return ndarray._of(array, Buffer(array.nbytes, name))

    function.__name__ = name
    return function


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    """``cupy.array``: like `asarray`, but a new array."""
    if ndmin:
        raise TypeError("the double does not know ndmin")
    result = asarray(obj, dtype, None if order == "K" else order)
    return result.copy() if result is obj and copy else result


def ascontiguousarray(a, dtype=None):
    record("cupy.ascontiguousarray", 1, [] if dtype is None else ["dtype"])
    if isinstance(a, ndarray) and a.flags.c_contiguous and dtype in (None, a.dtype):
        return a
    return execute("cupy.ascontiguousarray", np.ascontiguousarray, (asarray(a, dtype),), {})


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    record("cupy.asnumpy", 1, [key for key, given in (("out", out is not None), ("blocking", not blocking)) if given])
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a, order=order)


def copyto(dst, src):
    record("cupy.copyto", 2)
    dst[...] = src


def shares_memory(a, b, max_work=None):
    record("cupy.shares_memory", 2)
    return np.shares_memory(a._array, b._array)


def may_share_memory(a, b, max_work=None):
    record("cupy.may_share_memory", 2)
    return np.may_share_memory(a._array, b._array)


def size(a, axis=None):
    return a.size if axis is None else a.shape[axis]


def ndim(a):
    return a.ndim if isinstance(a, ndarray) else np.ndim(a)


def shape(a):
    return a.shape if isinstance(a, ndarray) else np.shape(a)


def _allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    return np.asarray(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan))


FUNCTIONS["allclose"] = DeviceFunction("cupy.allclose", _allclose, launches=2)
FUNCTIONS["isclose"] = DeviceFunction("cupy.isclose", np.isclose, launches=2)
FUNCTIONS.update(
    {
        function.__name__: function
        for function in (
            *(asarray, array, ascontiguousarray, asnumpy, empty, zeros, ones, full, full_like, copyto, shares_memory, may_share_memory),
            *(size, ndim, shape),
            *(_like(name, value) for name, value in (("empty_like", None), ("zeros_like", 0), ("ones_like", 1))),
            *(_made_on_device(name) for name in ("arange", "linspace", "logspace", "eye", "identity", "indices")),
        )
    }
)
