"""The fixture `twins`: one test, run on the Numba twin and on the CUDA twin, in every mode of the emulator and, if asked for, on a GPU."""

import contextlib
import importlib

import numpy as np
import pytest

from gpudl4 import kernels
from tests import emulator

CUDA_IS_MISSING = emulator.missing_requirement()


class NumbaTwins:
    """The Numba twins, which take NumPy arrays as they are."""

    name = "numba"

    def __call__(self, stem, *, cube="float64", real="float64"):
        return kernels.cpu(stem)


class CudaTwins:
    """The CUDA twins, on NumPy arrays: these are uploaded for a kernel, and what can be written is copied back after it.

    Parameters
    ----------
    name : str
        Mode of the emulator, or "cupy".
    cupy : module
    """

    def __init__(self, name, cupy):
        self.name, self._cupy = name, cupy

    def __call__(self, stem, *, cube="float64", real="float64"):
        return _OnHostArrays(kernels.cuda(stem, cube=cube, real=real), self._cupy)


class _OnHostArrays:
    def __init__(self, twin, cupy):
        self._twin, self._cupy = twin, cupy

    def __getattr__(self, name):
        kernel = getattr(self._twin, name)

        def call(*args):
            on_device = [self._cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
            kernel(*on_device)
            for host, device in zip(args, on_device, strict=True):
                if isinstance(host, np.ndarray) and host.flags.writeable:
                    host[...] = device.get()

        return call


@pytest.fixture(params=["numba", *emulator.MODES, pytest.param("cupy", marks=pytest.mark.gpu)])
def twins(request):
    """Object with ``name`` and ``twins(stem, cube=..., real=...).kernel(*numpy_arrays)``; outputs are written in place."""
    if request.param == "numba":
        yield NumbaTwins()
    elif request.param == "cupy":
        yield CudaTwins("cupy", importlib.import_module("cupy"))
    elif CUDA_IS_MISSING:
        pytest.skip(CUDA_IS_MISSING)
    else:
        with contextlib.ExitStack() as stack:
            cupy = stack.enter_context(emulator.installed())
            stack.enter_context(emulator.mode(request.param))
            yield CudaTwins(request.param, cupy)
