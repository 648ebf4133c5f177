"""The double is found under ``import cupy`` while installed, works as the library's backend, and leaves no trace."""

import sys
import types

import numpy as np
import pytest

from gpudl4.core.backend import array_namespace, backend_of, get_backend, to_device, to_host
from gpudl4.core.errors import BackendError
from tests import emulator


def cupy_modules():
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] in ("cupy", "cupyx")}


def test_backend(cp, monkeypatch):
    backend = get_backend("cupy")
    assert backend.xp is cp
    assert backend.device == "cuda:0"
    assert backend.fft is sys.modules["cupyx.scipy.fft"]
    assert backend.special is emulator.cupyx.scipy.special
    assert backend.ndimage is emulator.cupyx.scipy.ndimage
    monkeypatch.delenv("GPUDL4_BACKEND", raising=False)
    assert get_backend("auto").name == "cupy"
    host = np.arange(4.0)
    device = to_device(host, "cupy")
    assert backend_of(device).name == "cupy"
    assert array_namespace(device) is cp
    np.testing.assert_array_equal(to_host(device), host)
    with pytest.raises(BackendError, match="were mixed"):
        backend_of(device, host)


def spoil_and_fail():
    with emulator.installed() as cp:
        cp.get_default_memory_pool().set_limit(size=100)
        cp.cuda.Stream().begin_capture()
        raise ZeroDivisionError("on purpose")


def test_leaves_no_trace(monkeypatch):
    for name in cupy_modules():
        monkeypatch.delitem(sys.modules, name)
    real = types.ModuleType("cupy")
    monkeypatch.setitem(sys.modules, "cupy", real)
    before = cupy_modules()
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        spoil_and_fail()
    assert cupy_modules() == before
    with emulator.installed() as cp:
        assert sys.modules["cupy"] is cp
        assert cp.get_default_memory_pool().get_limit() > 1e9
        cp.zeros(10)


def test_not_twice(cp):
    with pytest.raises(emulator.EmulatorError, match="installed already"), emulator.installed():
        pass


def test_settings(cp):
    with pytest.raises(TypeError, match="unknown settings speed: there are check, order"), emulator.configure(speed=1):
        pass
    with pytest.raises(ValueError, match="order must be one of forward, reverse, random, got 'up'"), emulator.configure(order="up"):
        pass
    with pytest.raises(ValueError, match="mode must be one of forward, reverse, random, check"):
        emulator.mode("slow")


def test_calls_are_recorded(cp):
    emulator.clear_recorded_calls()
    x = cp.zeros((2, 3), dtype=np.float32)
    x.sum(axis=0, keepdims=True)
    cp.where(x > 0, x, x)
    np.exp(x)
    x.get()
    calls = emulator.recorded_calls()
    assert calls == sorted(calls)
    assert emulator.Call("cupy.ndarray.sum", 0, ("axis", "keepdims")) in calls
    assert {call.name for call in calls} == {"cupy.zeros", "cupy.ndarray.sum", "cupy.where", "cupy.greater", "cupy.exp", "cupy.ndarray.get"}


def test_missing_compiler(cp, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler" in emulator.missing_requirement()
    with pytest.raises(emulator.KernelError, match="there is no no-such-compiler here"):
        cp.RawModule(code='extern "C" __global__ void f() {}').compile()
