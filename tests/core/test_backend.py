"""Backends: chosen at a door, inferred from arrays, never guessed from an import."""

import sys
import types

import numpy as np
import pytest

from gpudl4.core.backend import Backend, array_namespace, backend_of, get_backend, to_device, to_host
from gpudl4.core.errors import BackendError


class _Device:
    id = 0


def _fake_cupy(monkeypatch, works):
    """A CuPy that imports; it allocates only if `works`."""
    module = types.ModuleType("cupy")

    class ndarray:
        def __init__(self, host):
            self.host = host

        def get(self):
            return self.host

    def zeros(n):
        if not works:
            raise RuntimeError("cudaErrorInsufficientDriver")
        return ndarray(np.zeros(n))

    module.ndarray, module.zeros, module.asarray = ndarray, zeros, ndarray
    module.cuda = types.SimpleNamespace(Device=_Device)
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def test_numpy_is_always_there():
    backend = get_backend("numpy")
    assert backend.xp is np
    assert backend.fft.__name__ == "scipy.fft"
    assert backend.special.__name__ == "scipy.special"
    assert backend.ndimage.__name__ == "scipy.ndimage"
    assert get_backend(backend) is backend


def test_unknown_name(monkeypatch):
    with pytest.raises(BackendError, match="unknown backend 'torch': choose one of auto, numpy, cupy"):
        get_backend("torch")
    monkeypatch.setenv("GPUDL4_BACKEND", "gpu")
    with pytest.raises(BackendError, match="unknown backend 'gpu'"):
        get_backend("auto")


def test_cupy_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delenv("GPUDL4_BACKEND", raising=False)
    assert get_backend("auto").name == "numpy"
    with pytest.raises(BackendError, match=r"pip install 'gpudl4\[gpu\]'"):
        get_backend("cupy")


def test_cupy_without_driver_is_not_a_gpu(monkeypatch):
    _fake_cupy(monkeypatch, works=False)
    monkeypatch.delenv("GPUDL4_BACKEND", raising=False)
    assert get_backend("auto").name == "numpy"
    with pytest.raises(BackendError, match="no GPU can be used: cudaErrorInsufficientDriver"):
        get_backend("cupy")


def test_environment_decides_what_auto_means(monkeypatch):
    _fake_cupy(monkeypatch, works=True)
    monkeypatch.setenv("GPUDL4_BACKEND", "numpy")
    assert get_backend("auto").name == "numpy"
    monkeypatch.delenv("GPUDL4_BACKEND")
    assert get_backend("auto") == Backend("cupy", sys.modules["cupy"], "cuda:0")


def test_arrays_tell_their_backend(monkeypatch):
    cupy = _fake_cupy(monkeypatch, works=True)
    host, device = np.arange(3.0), cupy.asarray(np.arange(3.0))
    assert backend_of(host, 1.0, None).name == "numpy"
    assert backend_of(device).name == "cupy"
    assert array_namespace(host) is np
    with pytest.raises(BackendError, match="were mixed"):
        backend_of(host, device)
    assert to_host(device) is device.host
    assert to_host(host) is host
    assert to_device(host, "numpy") is host
    assert to_device(host, "cupy").host is host
    assert to_device(device, "numpy") is device.host
