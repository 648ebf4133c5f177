"""Backends: chosen at a door, inferred from arrays, never guessed from an import; and what is said when a GPU cannot be used."""

import gc
import importlib.util
import os
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from gpudl4.core.backend import (
    BACKEND_VARIABLE,
    INSTALL,
    Backend,
    array_namespace,
    backend_of,
    bytes_free,
    device_memory,
    get_backend,
    require_backend,
    to_device,
    to_host,
)
from gpudl4.core.errors import BackendError, DeviceMemoryError, GPUDL4Error
from tests import emulator


@pytest.fixture
def cp(monkeypatch):
    """The emulated CuPy, with the choice of the backend left open."""
    monkeypatch.delenv("GPUDL4_BACKEND", raising=False)
    with emulator.installed() as cupy:
        yield cupy


def broken(monkeypatch, cp, message, driver=13020, runtime=13020, error=emulator.CUDARuntimeError):
    """Let every allocation of the emulated device fail as CuPy's does on such a machine."""

    def zeros(shape):
        raise error(message)

    monkeypatch.setattr(cp, "zeros", zeros)
    monkeypatch.setattr(cp.cuda.runtime, "driverGetVersion", lambda: driver)
    monkeypatch.setattr(cp.cuda.runtime, "runtimeGetVersion", lambda: runtime)


def test_numpy_is_always_there():
    backend = get_backend("numpy")
    assert backend.xp is np
    assert backend.fft.__name__ == "scipy.fft"
    assert backend.special.__name__ == "scipy.special"
    assert backend.ndimage.__name__ == "scipy.ndimage"
    assert get_backend(backend) is backend


def test_a_gpu_that_allocates_is_used(cp):
    assert get_backend("auto") == get_backend("cupy") == Backend("cupy", cp, "cuda:0")
    with emulator.counting() as count:
        get_backend("cupy")
    assert count.allocations == 1


def test_environment_decides_what_auto_means(cp, monkeypatch):
    monkeypatch.setenv("GPUDL4_BACKEND", "numpy")
    assert get_backend("auto").name == "numpy"
    assert get_backend("cupy").name == "cupy"
    monkeypatch.setenv("GPUDL4_BACKEND", "cupy")
    assert get_backend("auto").name == "cupy"
    for value in ("auto", ""):
        monkeypatch.setenv("GPUDL4_BACKEND", value)
        assert get_backend("auto").name == "cupy"


def test_unknown_names(monkeypatch):
    for name in ("torch", None, 3):
        with pytest.raises(BackendError, match=f"unknown backend {name!r}: choose one of auto, numpy, cupy"):
            get_backend(name)
    monkeypatch.setenv("GPUDL4_BACKEND", "gpu")
    with pytest.raises(BackendError, match="unknown backend 'gpu' of the environment variable GPUDL4_BACKEND: choose one of"):
        get_backend("auto")


def test_extras_that_messages_name_exist():
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    extras = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert re.findall(r"gpudl4\[(\w+)\]' \(CUDA (\d+)\)", INSTALL) == [("gpu", "13"), ("gpu12", "12")]
    assert extras["gpu"][0].startswith("cupy-cuda13x[ctk]")
    assert extras["gpu12"][0].startswith("cupy-cuda12x[ctk]")


# ---- no usable GPU: "auto" stays on the host, "cupy" says what is wrong and what to do ---------------------------------------------


def refusal():
    """What "cupy" says; and "auto" must have taken NumPy."""
    assert get_backend("auto").name == "numpy"
    with pytest.raises(BackendError) as caught:
        get_backend("cupy")
    return str(caught.value)


def test_cupy_missing(monkeypatch):
    monkeypatch.delenv("GPUDL4_BACKEND", raising=False)
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert refusal().startswith("backend 'cupy' cannot be used: CuPy is not installed: pip install 'gpudl4[gpu]' (CUDA 13)")
    monkeypatch.setenv("GPUDL4_BACKEND", "cupy")
    with pytest.raises(BackendError, match="backend 'cupy' of the environment variable GPUDL4_BACKEND cannot be used: CuPy is not"):
        get_backend("auto")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("raise ImportError('libcudart.so.13: not found')", "libcudart.so.13: not found"),
        ("import no_such_part", "No module named 'no_such_part'"),
    ],
)
def test_cupy_that_does_not_import(monkeypatch, tmp_path, line, reason):
    monkeypatch.delenv("GPUDL4_BACKEND", raising=False)
    (tmp_path / "cupy.py").write_text(line)
    for name in [name for name in sys.modules if name.split(".")[0] in ("cupy", "cupyx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    assert f"CuPy cannot be imported ({reason}): remove all packages named cupy*" in refusal()


INSUFFICIENT = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"


def test_cupy_without_driver(cp, monkeypatch):
    broken(monkeypatch, cp, INSUFFICIENT, driver=0)
    text = refusal()
    assert "CuPy is installed and no GPU can be used: there is no NVIDIA driver" in text
    assert "install one for CUDA 13.2 or newer, or stay on the host (backend='numpy')" in text


def test_driver_too_old(cp, monkeypatch):
    broken(monkeypatch, cp, INSUFFICIENT, driver=12040)
    assert refusal().endswith(
        "the NVIDIA driver is too old, it serves CUDA 12.4 and this CuPy needs CUDA 13.2: "
        "update the driver, or install 'gpudl4[gpu12]' in place of 'gpudl4[gpu]'"
    )
    broken(monkeypatch, cp, INSUFFICIENT, driver=11080, runtime=12090)
    assert refusal().endswith("it serves CUDA 11.8 and this CuPy needs CUDA 12.9: update the driver")


def test_no_device(cp, monkeypatch):
    broken(monkeypatch, cp, "cudaErrorNoDevice: no CUDA-capable device is detected")
    assert "the driver finds none (cudaErrorNoDevice: no CUDA-capable device is detected): look at nvidia-smi" in refusal()


def test_full_device(cp):
    with emulator.configure(memory_bytes=0):
        assert "its memory is full, not even one number could be allocated" in refusal()


def test_any_other_fault_is_passed_on(cp, monkeypatch):
    broken(monkeypatch, cp, "cudaErrorECCUncorrectable: uncorrectable ECC error encountered")
    assert refusal().endswith("no GPU can be used: cudaErrorECCUncorrectable: uncorrectable ECC error encountered")


REAL_CUPY = """
import cupy, sys
if cupy.cuda.is_available():
    sys.exit(77)
from gpudl4.core.backend import get_backend
assert get_backend("auto").name == "numpy"
get_backend("cupy")
"""


def test_the_installed_cupy_without_a_gpu():
    """That the stubs above fail as the real CuPy does."""
    if importlib.util.find_spec("cupy") is None:
        pytest.skip("CuPy is not installed")
    environment = {key: value for key, value in os.environ.items() if key != "GPUDL4_BACKEND"}
    done = subprocess.run([sys.executable, "-c", REAL_CUPY], capture_output=True, text=True, check=False, env=environment)
    if done.returncode == 77:
        pytest.skip("there is a usable GPU")
    assert "BackendError: backend 'cupy' cannot be used: CuPy is installed and no GPU can be used: " in done.stderr
    assert any(text in done.stderr for text in ("there is no NVIDIA driver", "the driver finds none", "the NVIDIA driver is too old"))


# ---- arrays ------------------------------------------------------------------------------------------------------------------------


def test_arrays_tell_their_backend(cp):
    host, device = np.arange(3.0), cp.arange(3.0)
    assert backend_of(host, 1.0, None).name == "numpy"
    assert backend_of().name == "numpy"
    assert backend_of(device, 2, None) == get_backend("cupy")
    assert array_namespace(host) is np
    assert array_namespace(device) is cp
    with pytest.raises(BackendError, match=r"arrays on different devices were mixed \(cpu, cuda:0\): bring them together"):
        backend_of(host, device)


def test_arrays_are_moved_once(cp):
    host, device = np.arange(3.0), cp.arange(3.0)
    with emulator.guard():
        assert to_host(host) is host
        assert to_device(host, "numpy") is host
        assert to_device(device, get_backend("cupy")) is device
    with emulator.guard(uploads=1):
        moved = to_device(host, "cupy")
    assert isinstance(moved, cp.ndarray)
    with emulator.guard(downloads=2, synchronisations=2):
        np.testing.assert_array_equal(to_host(moved), host)
        np.testing.assert_array_equal(to_device(device, "numpy"), host)


def test_require_backend(cp):
    host, device = np.arange(3.0), cp.arange(3.0)
    assert require_backend(host, "numpy", "counts") is host
    assert require_backend(device, "cupy", "counts") is device
    with pytest.raises(BackendError, match=r"^counts: an array on cuda:0 was wanted, got a NumPy array on cpu: use to_device\('cupy'\)$"):
        require_backend(host, get_backend("cupy"), "counts")
    with pytest.raises(BackendError, match=r"^theta: an array on cpu was wanted, got a CuPy array on cuda:0: use to_host\(\)$"):
        require_backend(device, "numpy", "theta")
    with pytest.raises(BackendError, match="theta: an array on cuda:0 was wanted, got list"):
        require_backend([1.0], "cupy", "theta")


# ---- memory ------------------------------------------------------------------------------------------------------------------------


def room(cp, nbytes):
    """The emulated device with so many bytes left."""
    gc.collect()  # arrays that a traceback of an earlier test holds
    return emulator.configure(memory_bytes=cp.get_default_memory_pool().used_bytes() + nbytes)


def test_out_of_memory_names_bytes_and_what_helps(cp):
    kept = cp.zeros(25)
    with room(cp, 1000), pytest.raises(DeviceMemoryError) as caught:
        to_device(np.zeros((20, 50)), "cupy")
    error = caught.value
    assert (error.wanted, error.free) == (8000, 1000)
    assert str(error) == (
        "out of memory on the GPU for an array of shape (20, 50) and type float64: 8,000 bytes wanted, 1,000 bytes are free. What helps: "
        "dtype='float32', a smaller region (dataset.cutout), fewer free components on the device, or the host (backend='numpy')"
    )
    assert isinstance(error, GPUDL4Error)
    assert isinstance(error, MemoryError)
    assert isinstance(error.__cause__, cp.cuda.memory.OutOfMemoryError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert kept.size == 25


def test_nested_blocks_are_all_named(cp):
    with (
        room(cp, 16),
        pytest.raises(DeviceMemoryError, match="out of memory on the GPU for dataset 'a': an array of shape"),
        device_memory("dataset 'a'"),
    ):
        to_device(np.zeros(3), "cupy")


@pytest.mark.parametrize("message", ["cudaErrorMemoryAllocation: out of memory", "CUFFT_ALLOC_FAILED"])
def test_out_of_memory_of_the_libraries(cp, message):
    with (
        pytest.raises(DeviceMemoryError, match=r"for a plan: more memory than there is wanted, [\d,]+ bytes are free") as caught,
        device_memory("a plan"),
    ):
        raise emulator.CUDARuntimeError(message)
    assert caught.value.wanted is None


def test_other_errors_pass(cp):
    for error in (ZeroDivisionError("1 / 0"), MemoryError("the host is full"), emulator.CUDARuntimeError("cudaErrorLaunchFailure")):
        with pytest.raises(type(error)) as caught, device_memory("anything"):
            raise error
        assert caught.value is error


def test_memory_on_the_host_is_not_meant(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with pytest.raises(MemoryError, match="the host is full"), device_memory("anything"):
        raise MemoryError("the host is full")


def test_memory_of_another_allocator(cp, monkeypatch):
    """RMM raises a plain MemoryError with its own words, and what it holds back is nobody's to count."""
    words = "std::bad_alloc: out_of_memory: RMM failure at: pool_memory_resource.hpp:196: Maximum pool size exceeded"
    monkeypatch.setattr(cp.cuda, "get_allocator", lambda: lambda size: None)
    for text, wanted in ((words, None), (f"{words} (failed to allocate 1.5 GiB): no space", 3 * 2**29)):
        with pytest.raises(DeviceMemoryError) as caught, device_memory("a plan"):
            raise MemoryError(text)
        assert (caught.value.wanted, caught.value.free) == (wanted, None)
    assert bytes_free(get_backend("cupy")) is None


def test_uploads_take_no_pinned_memory(cp):
    before = emulator.pinned_bytes()
    for host in (np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3).T, np.arange(4, dtype=">i4"), np.zeros((0, 3)), np.array(2.5)):
        there = to_device(host, "cupy")
        assert there.flags.c_contiguous
        assert there.dtype == host.dtype.newbyteorder("=")
        np.testing.assert_array_equal(to_host(there), host)
    assert emulator.pinned_bytes() == before


# ---- several devices ----------------------------------------------------------------------------------------------------------------


def test_a_backend_enters_its_device(cp):
    with cp.cuda.Device(1):
        second = get_backend("cupy")
    assert second.device == "cuda:1"
    with second.entered():
        assert cp.zeros(1).device.id == 1
    assert cp.zeros(1).device.id == 0
    with get_backend("numpy").entered():
        assert cp.zeros(1).device.id == 0


def test_transfers_to_a_device_that_is_not_current(cp):
    with cp.cuda.Device(1):
        second = get_backend("cupy")
    there = to_device(np.arange(3.0), second)
    assert backend_of(there) == second
    here = to_device(there, "cupy")
    assert backend_of(here).device == "cuda:0"
    for array in (there, here):
        np.testing.assert_array_equal(to_host(array), np.arange(3))
    assert bytes_free(second) == cp.cuda.Device(1).mem_info[0]


def test_after_a_fork(cp):
    """CUDA is lost there: an error for each way to it, and no way around it on the host that nobody asked for."""
    there = to_device(np.ones(3), "cupy")
    second = get_backend("cupy")
    environment = {key: value for key, value in os.environ.items() if key != BACKEND_VARIABLE}

    def enter():
        with second.entered():
            there.sum()

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.environ.clear()
        os.environ.update(environment)
        said = []
        for call in (lambda: get_backend("auto"), lambda: get_backend("cupy"), lambda: to_device(np.ones(2), second), enter):
            try:
                call()
                said.append("nothing")
            except BackendError as error:
                said.append(str(error))
        os.write(writer, "\n".join(said).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read().splitlines()
    assert len(said) == 4
    assert all("multiprocessing.get_context('spawn')" in text for text in said)
    assert [text.split(" cannot be used")[0] for text in said[:2]] == ["backend 'auto'", "backend 'cupy'"]
