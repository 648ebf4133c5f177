"""Settings every test needs, and the fixture `backend` that runs a test once per array library.

`backend` gives a `gpudl4.core.backend.Backend`: NumPy, the emulated CuPy of `tests.emulator`, and under ``pytest --gpu`` the installed
CuPy on a real GPU. A test takes its inputs to the backend (`to_device`) and its results back (`to_host`), and asserts the same things
everywhere. `device` leaves NumPy out: for tests that compare a device with the host. Without ``--gpu`` a real CuPy is never used, even
where one is installed: "auto" then means NumPy, unless a test says otherwise.
"""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

import pytest

from gpudl4.core.backend import BACKEND_VARIABLE, get_backend
from tests import emulator

# Numba's cache stays out of the package folder: a leftover there would shadow a later install.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / "gpudl4-numba-cache"))
# Numba counts its threads anew whenever a test changes one of its variables, and refuses another number than the one it has started:
# an explicit number holds, whatever cores the process may use by then.
os.environ.setdefault("NUMBA_NUM_THREADS", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))
os.environ.setdefault("MPLBACKEND", "Agg")

pytest_plugins = ["tests.emulator.plugin"]  # every call of CuPy is compared with the installed one
DEVICES = ("emulated", pytest.param("cupy", marks=pytest.mark.gpu))


def pytest_addoption(parser):
    parser.addoption("--gpu", action="store_true", help="run the tests of device code on a real GPU too, with the installed CuPy")


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs a real GPU; runs under `pytest --gpu` only")
    if not config.getoption("--gpu"):
        os.environ[BACKEND_VARIABLE] = "numpy"


def pytest_collection_modifyitems(config, items):
    """Leave out what needs a real GPU, unless one was asked for."""
    if not config.getoption("--gpu"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("gpu")])
        items[:] = [item for item in items if not item.get_closest_marker("gpu")]


@pytest.fixture(autouse=True)
def no_figures_left():
    """Every test ends without open figures, whichever tests ran before it in the same process."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True)
def cores_left():
    """Every test leaves the process on the cores that it had."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    yield
    if before is not None and (after := os.sched_getaffinity(0)) != before:
        os.sched_setaffinity(0, before)
        pytest.fail(f"the test left the process on cores {sorted(after)} of {sorted(before)}")


def _opened(name):
    with emulator.installed() if name == "emulated" else contextlib.nullcontext():
        yield get_backend("cupy" if name == "emulated" else name)


@pytest.fixture(params=("numpy", *DEVICES))
def backend(request):
    """Each array library in turn. Arrays and their functions work everywhere; for kernels see `kernel_backend`."""
    yield from _opened(request.param)


@pytest.fixture(params=DEVICES)
def device(request):
    """As `backend` without NumPy."""
    yield from _opened(request.param)


def _skip_without_compiler(request, fixture):
    reason = emulator.missing_requirement() if request.node.callspec.params[fixture] == "emulated" else None
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def kernel_backend(request, backend):
    """As `backend`, for tests that launch CUDA kernels (npred, statistic, fit): skipped where the emulator cannot compile them."""
    _skip_without_compiler(request, "backend")
    return backend


@pytest.fixture
def kernel_device(request, device):
    """As `device`, for tests that launch CUDA kernels: skipped where the emulator cannot compile them."""
    _skip_without_compiler(request, "device")
    return device


@pytest.fixture
def limits(device):
    """Context manager that limits transfers and synchronisations (`tests.emulator.guard`); on a real GPU nothing is counted."""
    return emulator.guard if device.xp is emulator.cupy else lambda **_: contextlib.nullcontext()
