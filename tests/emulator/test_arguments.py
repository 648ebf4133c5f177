"""What a launch is given is compared with what the kernel takes; CuPy would pass wrong bytes or a wild pointer in each case."""

import numpy as np
import pytest

from tests import emulator

from .samples import module, needs_compiler

pytestmark = needs_compiler


@pytest.fixture
def axpy(cp):
    return module("axpy").get_function("axpy")


def arguments(cp, **changes):
    given = {"x": cp.ones(64), "y": cp.ones(64), "a": np.float64(2), "n": np.int32(64)}
    return tuple({**given, **changes}.values())


def test_signature_is_read_from_the_kernel(axpy):
    assert axpy.signature() == ["cPd", "Pd", "d", "i"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda cp: {"x": cp.ones(64, np.float32)}, TypeError, r"axpy argument 0: the kernel takes float64\*, the array is float32"),
        (lambda cp: {"x": np.ones(64)}, TypeError, r"argument 0: expects a device array for float64\*, .*BY VALUE"),
        (lambda cp: {"x": [1.0] * 64}, TypeError, "argument 0: expects a device array"),
        (lambda cp: {"n": 64}, TypeError, r"argument 3: the kernel takes int32, got int64 \(a Python int\).*np\.int32"),
        (lambda cp: {"n": 64.0}, TypeError, r"argument 3: the kernel takes int32, got float64 \(a Python float\)"),
        (lambda cp: {"n": np.int64(64)}, TypeError, "argument 3: the kernel takes int32, got int64; the launch would pass the wrong bytes"),
        (lambda cp: {"a": np.float32(1)}, TypeError, "argument 2: the kernel takes float64, got float32"),
        (lambda cp: {"a": cp.ones(1)}, TypeError, "argument 2: expects a scalar float64, got an array"),
        (lambda cp: {"x": cp.zeros(128)[::2]}, ValueError, "argument 0: the array is not C-contiguous"),
        (lambda cp: {"y": cp.broadcast_to(cp.ones(1), (1,)).T}, ValueError, "argument 1: a read-only"),
    ],
)
def test_refused(cp, axpy, change, error, message):
    with pytest.raises(error, match=message):
        axpy((1,), (64,), arguments(cp, **change(cp)))


def test_missing_argument(cp, axpy):
    with pytest.raises(emulator.KernelError, match="axpy: 3 arguments for 4 parameters"):
        axpy((1,), (64,), arguments(cp)[:-1])


def test_grid_and_block(cp, axpy):
    with pytest.raises(TypeError, match="grid must be a tuple of ints"):
        axpy([1], (64,), arguments(cp))
    with pytest.raises(TypeError, match="block must be a tuple of ints"):
        axpy((1,), 64, arguments(cp))
    for grid, block in (((1,), (2048,)), ((0,), (64,)), ((1, 70000), (64,)), ((1,), (1, 1, 128))):
        with pytest.raises(emulator.KernelError, match="CUDA_ERROR_INVALID_VALUE: axpy with grid"):
            axpy(grid, block, arguments(cp))


def test_launch_bounds(cp):
    kernel = module("axpy").get_function("axpy_stride")
    with pytest.raises(emulator.KernelError, match=r"512 threads per block, __launch_bounds__\(256\)"):
        kernel((1,), (512,), arguments(cp, n=np.int64(64)))


def test_shared_memory_limit(cp, axpy):
    with pytest.raises(emulator.KernelError, match="49160 bytes of dynamic shared memory > 49152"):
        axpy((1,), (64,), arguments(cp), shared_mem=49160)


def test_python_numbers_that_have_the_right_size(cp):
    y = cp.zeros(4)
    module("axpy").get_function("axpy_stride")((1,), (32,), (cp.ones(4), y, 2.0, 4))
    np.testing.assert_array_equal(y.get(), 2)


def test_null_pointer_and_mask(cp):
    code = 'extern "C" __global__ void f(const unsigned char* mask, const double* extra, int* out) { out[0] = mask[1] + (extra ? 10 : 0); }'
    kernel, out = cp.RawModule(code=code).get_function("f"), cp.zeros(1, np.int32)
    kernel((1,), (1,), (cp.asarray(np.array([False, True])), None, out))
    assert int(out[0]) == 1


def test_complex_arrays(cp):
    code = 'extern "C" __global__ void f(const double2* z, float2* c) { c[0].x = (float)z[0].y; c[0].y = (float)z[0].x; }'
    kernel = cp.RawModule(code=code).get_function("f")
    z, c = cp.asarray(np.array([1 + 2j])), cp.zeros(1, np.complex64)
    kernel((1,), (1,), (z, c))
    assert complex(c[0]) == 2 + 1j
    with pytest.raises(TypeError, match=r"the kernel takes complex128\*, the array is complex64"):
        kernel((1,), (1,), (c, c))


def test_pointer_to_an_own_type(cp):
    kernel = cp.RawModule(code='struct pair { double a, b; }; extern "C" __global__ void f(pair* p) { p[0].a = 1; }').get_function("f")
    with pytest.raises(emulator.KernelError, match=r"pointer to a type that no array has; complex arrays are double2\* or float2\*"):
        kernel((1,), (1,), (cp.zeros(2),))


def test_module_arguments(cp):
    with pytest.raises(TypeError, match="options must be a tuple"):
        cp.RawModule(code="", options=["-DX"])
    with pytest.raises(emulator.EmulatorError, match="needs CUDA C in `code`"):
        cp.RawModule(path="kernel.cubin")
    with pytest.raises(emulator.EmulatorError, match="cooperative groups"):
        cp.RawModule(code="", enable_cooperative_groups=True)
    with pytest.raises(emulator.KernelError, match="declare the dynamic shared memory 'buffer' inside the kernel"):
        cp.RawModule(code="extern __shared__ double buffer[];").compile()
