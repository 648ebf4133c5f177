"""Two devices, of which one is current; processes that were forked; what cuFFT asks of pointers; pinned memory that CuPy keeps."""

import os

import numpy as np
import pytest

from tests import emulator

CODE = 'extern "C" __global__ void twice(double* x, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) x[i] *= 2; }'


def test_new_memory_lands_on_the_current_device(cp):
    assert cp.cuda.runtime.getDeviceCount() == 2
    first = cp.zeros(3)
    with cp.cuda.Device(1):
        second = cp.zeros(3)
        assert int(cp.cuda.Device().id) == 1
        with cp.cuda.Device(0):
            assert cp.zeros(1).device == cp.cuda.Device(0)
        assert (second + 1).device.id == 1
    assert (first.device.id, second.device.id, second[:2].device.id) == (0, 1, 1)
    assert cp.cuda.runtime.getDevice() == 0
    with pytest.raises(emulator.CUDARuntimeError, match="invalid device ordinal"):
        cp.cuda.Device(2)


def test_memory_is_counted_on_each_device(cp):
    used = cp.get_default_memory_pool().used_bytes()
    with cp.cuda.Device(1):
        before = cp.get_default_memory_pool().used_bytes()
        kept = cp.zeros(1000)
        assert cp.get_default_memory_pool().used_bytes() == before + kept.nbytes
        free = cp.cuda.runtime.memGetInfo()[0]
    assert cp.get_default_memory_pool().used_bytes() == used
    assert cp.cuda.Device(1).mem_info[0] == free


@pytest.mark.parametrize(
    "use",
    [
        lambda cp, x: x + 1,
        lambda cp, x: cp.exp(x),
        lambda cp, x: x.sum(),
        lambda cp, x: x.__setitem__(slice(None), 0),
        lambda cp, x: cp.zeros(3).__setitem__(slice(None), x),
        lambda cp, x: x[cp.asarray([0, 1])],
        lambda cp, x: cp.concatenate([x, cp.zeros(1)]),
        lambda cp, x: x.astype(np.float32),
    ],
)
def test_array_functions_refuse_the_other_device(cp, use):
    with cp.cuda.Device(1):
        x = cp.ones(3)
    with pytest.raises(ValueError, match="different from the current device"):
        use(cp, x)


def test_what_goes_between_devices(cp):
    with cp.cuda.Device(1):
        x = cp.asarray(np.arange(3.0))
    np.testing.assert_array_equal(x.get(), np.arange(3))
    x.set(np.ones(3))
    for here in (cp.asarray(x), x.copy()):
        assert here.device.id == 0
        np.testing.assert_array_equal(here.get(), np.ones(3))
    assert x.reshape(1, 3).device.id == 1


@pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))
def test_kernels_notice_foreign_pointers(cp):
    kernel = cp.RawModule(code=CODE, options=("--std=c++17",)).get_function("twice")
    with cp.cuda.Device(1):
        x = cp.ones(5)
        kernel((1,), (32,), (x, np.int32(5)))
    np.testing.assert_array_equal(x.get(), np.full(5, 2.0))
    with pytest.raises(emulator.KernelError, match="CUDA_ERROR_ILLEGAL_ADDRESS: twice was given a foreign pointer"):
        kernel((1,), (32,), (x, np.int32(5)))


def test_plans_belong_to_a_device(cp):
    from cupyx.scipy.fft import get_fft_plan

    with cp.cuda.Device(1):
        x, out = cp.ones((2, 4)), cp.empty((2, 3), complex)
        plan = get_fft_plan(x, axes=(0, 1), value_type="R2C")
        plan.fft(x, out, -1)
    with pytest.raises(emulator.KernelError, match="foreign pointer"):
        plan.fft(x, out, -1)
    with pytest.raises(emulator.KernelError, match="foreign pointer"):
        plan.fft(cp.ones((2, 4)), cp.empty((2, 3), complex), -1)


@pytest.mark.parametrize(("real", "complex_"), [(np.float64, np.complex128), (np.float32, np.complex64)])
def test_plans_refuse_pointers_that_are_not_aligned(cp, real, complex_):
    from cupyx.scipy.fft import get_fft_plan

    flat, spectrum = cp.ones(20, real), cp.empty(6, complex_).reshape(2, 3)
    plan = get_fft_plan(flat[:8].reshape(2, 4), axes=(0, 1), value_type="R2C")
    for begin in (0, 2, 8):
        plan.fft(flat[begin : begin + 8].reshape(2, 4), spectrum, -1)
    with pytest.raises(emulator.CuFFTError, match="CUFFT_INVALID_VALUE"):
        plan.fft(flat[1:9].reshape(2, 4), spectrum, -1)
    back = get_fft_plan(spectrum, shape=(2, 4), axes=(0, 1), value_type="C2R")
    with pytest.raises(emulator.CuFFTError, match="CUFFT_INVALID_VALUE"):
        back.fft(spectrum, flat[3:11].reshape(2, 4), 1)


def test_a_forked_process_cannot_use_cuda(cp):
    kept = cp.zeros(3)
    calls = (lambda: cp.zeros(1), lambda: kept + 1, kept.get, lambda: cp.cuda.Device(1).use(), lambda: cp.asarray(np.ones(2)))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = []
        for call in calls:
            try:
                call()
            except emulator.CUDARuntimeError as error:
                said.append(str(error))
        os.write(writer, "\n".join(said).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as file:
        assert file.read().splitlines() == ["cudaErrorInitializationError: initialization error"] * len(calls)


def test_uploads_pin_memory_that_stays(cp):
    pool = cp.get_default_pinned_memory_pool()

    def give_back():
        cp.cuda.alloc_pinned_memory(1)  # looks for copies that have ended
        pool.free_all_blocks()

    cp.cuda.get_current_stream().synchronize()
    give_back()
    assert emulator.pinned_bytes() == 0
    cp.asarray(np.zeros(100))
    cp.empty(100).set(np.zeros(100))  # needs none
    give_back()
    assert emulator.pinned_bytes() == 800  # the copy may not have ended
    cp.cuda.get_current_stream().synchronize()
    assert emulator.pinned_bytes() == 800
    give_back()
    assert emulator.pinned_bytes() == 0
