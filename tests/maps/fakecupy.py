"""A stand-in for CuPy that refuses every implicit transfer: arrays do not convert to NumPy and do not mix with NumPy arrays."""

import operator
import sys
import types

import numpy as np
import scipy.fft
import scipy.ndimage


class DeviceArray:
    """Array that can be read on the host by ``get()`` only."""

    def __init__(self, values):
        self._values = values

    shape = property(lambda self: self._values.shape)
    dtype = property(lambda self: self._values.dtype)
    ndim = property(lambda self: self._values.ndim)
    size = property(lambda self: self._values.size)
    T = property(lambda self: DeviceArray(self._values.T))

    def get(self):
        return self._values.copy()

    def __array__(self, *args, **kwargs):
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def __bool__(self):
        return bool(self._values)

    def __float__(self):
        return float(self._values)

    def __len__(self):
        return len(self._values)

    def __getitem__(self, key):
        return wrap(self._values[unwrap(key)])

    def __setitem__(self, key, value):
        self._values[unwrap(key)] = unwrap(value)

    def __getattr__(self, name):
        method = getattr(self._values, name)
        if not callable(method):
            raise AttributeError(name)
        return lambda *args, **kwargs: wrap(method(*unwrap(args), **unwrap(kwargs)))


def _binary(function, reverse=False):
    def method(self, other):
        if isinstance(other, np.ndarray | list):
            raise TypeError("a device array cannot be combined with a host array")
        values = (unwrap(other), self._values) if reverse else (self._values, unwrap(other))
        return wrap(function(*values))

    return method


for _name in ("add", "sub", "mul", "truediv", "pow", "and", "or", "xor", "lt", "le", "gt", "ge", "eq", "ne"):
    _function = getattr(operator, f"{_name}_" if _name in ("and", "or") else _name)
    setattr(DeviceArray, f"__{_name}__", _binary(_function))
    if _name not in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(DeviceArray, f"__r{_name}__", _binary(_function, reverse=True))
DeviceArray.__invert__ = lambda self: wrap(~self._values)
DeviceArray.__neg__ = lambda self: wrap(-self._values)
DeviceArray.__array_ufunc__ = None


def unwrap(value):
    if isinstance(value, DeviceArray):
        return value._values
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("a host array was given to the device")
    if isinstance(value, tuple | list):
        return type(value)(unwrap(item) for item in value)
    return {key: unwrap(item) for key, item in value.items()} if isinstance(value, dict) else value


def wrap(value):
    if isinstance(value, tuple | list):
        return type(value)(wrap(item) for item in value)
    return DeviceArray(np.asarray(value)) if isinstance(value, np.ndarray | np.generic) else value


class FakeModule(types.ModuleType):
    """Functions of a host module, on device arrays."""

    def __init__(self, name, host):
        super().__init__(name)
        self._host = host

    def __getattr__(self, name):
        function = getattr(self._host, name)
        if isinstance(function, type) or not callable(function):
            return function
        return lambda *args, **kwargs: wrap(function(*unwrap(args), **unwrap(kwargs)))


def install(monkeypatch):
    """Put the stand-in where ``import cupy`` and ``import cupyx.scipy.*`` find it."""
    cupy = FakeModule("cupy", np)
    cupy.ndarray = DeviceArray
    cupy.asarray = lambda value, dtype=None: value if isinstance(value, DeviceArray) else DeviceArray(np.array(value, dtype=dtype))
    cupy.cuda = types.SimpleNamespace(Device=lambda: types.SimpleNamespace(id=0))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    for name, host in (("fft", scipy.fft), ("ndimage", scipy.ndimage)):
        monkeypatch.setitem(sys.modules, f"cupyx.scipy.{name}", FakeModule(f"cupyx.scipy.{name}", host))
    return cupy
