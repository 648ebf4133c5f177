"""Correct kernels give correct results in every order of threads and pass the checking mode."""

import numpy as np
import pytest

from tests import emulator

from .samples import module, needs_compiler

pytestmark = needs_compiler
N = 1003  # a partial last block


@pytest.fixture(params=emulator.MODES)
def run_mode(request):
    with emulator.mode(request.param):
        yield request.param


@pytest.mark.parametrize(("kernel", "grid", "size"), [("axpy", 8, np.int32), ("axpy_stride", 3, np.int64)])
def test_axpy(cp, run_mode, rng, kernel, grid, size):
    x, y = rng.normal(size=N), rng.normal(size=N)
    device_x, device_y = cp.asarray(x), cp.asarray(y)
    module("axpy").get_function(kernel)((grid,), (128,), (device_x, device_y, np.float64(1.5), size(N)))
    np.testing.assert_allclose(device_y.get(), y + 1.5 * x, rtol=1e-15)


@pytest.mark.parametrize("kernel", ["sum_shared", "sum_shuffle"])
def test_reductions(cp, run_mode, rng, kernel):
    x = rng.normal(size=N)
    total = cp.zeros(1)
    module("reduce").get_function(kernel)((8,), (128,), (cp.asarray(x), total, np.int32(N)))
    assert float(total[0]) == pytest.approx(x.sum(), rel=1e-12)


def test_last_block_adds_in_a_fixed_order(cp, rng):
    x = cp.asarray(rng.normal(size=N))
    kernel, answers = module("reduce").get_function("sum_last_block"), set()
    for mode in emulator.MODES:
        total = cp.zeros(1)
        with emulator.mode(mode):
            kernel((8,), (128,), (x, cp.empty(8), total, cp.zeros(1, np.uint32), np.int32(N)))
        answers.add(float(total[0]))
    assert len(answers) == 1
    assert answers.pop() == pytest.approx(x.get().sum(), rel=1e-12)


def test_one_warp(cp, run_mode):
    total = cp.empty(1)
    module("reduce").get_function("sum_one_warp")((1,), (32,), (cp.arange(32.0), total))
    assert float(total[0]) == 496


def test_atomics(cp, run_mode, rng):
    values = rng.integers(0, 16, 5000).astype(np.int32)
    counts = cp.zeros(16, np.uint32)
    module("atomics").get_function("histogram")((4,), (96,), (cp.asarray(values), counts, np.int32(5000)))
    np.testing.assert_array_equal(counts.get(), np.bincount(values, minlength=16))


def test_extremes_and_votes(cp, run_mode, rng):
    values = rng.integers(-100, 100, N).astype(np.int32)
    results = [cp.zeros(1, np.int32) for _ in range(3)]
    module("atomics").get_function("extremes")((16,), (64,), (cp.asarray(values), *results, np.int32(N)))
    assert [int(r[0]) for r in results] == [values.max(), values.min(), (values > 0).sum()]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_templates(cp, run_mode, rng, dtype):
    name = f"block_sums<{'double' if dtype is np.float64 else 'float'}>"
    kernel = module("templates", name_expressions=("block_sums<double>", "block_sums<float>")).get_function(name)
    x = rng.normal(size=N).astype(dtype)
    sums = cp.empty(16)
    kernel((16,), (64,), (cp.asarray(x), sums, dtype(2), np.int32(N)))
    padded = np.append(x.astype(float), np.zeros(16 * 64 - N)).reshape(16, 64)
    np.testing.assert_allclose(sums.get(), 2 * padded.sum(axis=1), rtol=1e-6 if dtype is np.float32 else 1e-12, atol=1e-6)


def test_dynamic_shared_memory(cp, run_mode, rng):
    edisp, spec, tmpl = rng.random((11, 40)), rng.random(40), rng.random((40, 203))
    out = cp.zeros((11, 203))
    kernel = module("fold").get_function("fold")
    arrays = [cp.asarray(a) for a in (edisp, spec, tmpl)]
    kernel((2, 2), (128,), (*arrays, out, np.int32(11), np.int32(40), np.int32(203)), shared_mem=8 * 16 * 8)
    np.testing.assert_allclose(out.get(), (edisp * spec) @ tmpl, rtol=1e-13)


def test_two_dimensional_blocks(cp, run_mode, rng):
    image = rng.random((20, 27))
    out = cp.empty((20, 27))
    module("window").get_function("window_sum")((2, 3), (16, 8), (cp.asarray(image), out, np.int32(20), np.int32(27), np.int32(2)))
    padded = np.pad(image, 2)
    expected = sum(padded[i : i + 20, j : j + 27] for i in range(5) for j in range(5))
    np.testing.assert_allclose(out.get(), expected, rtol=1e-13)


def test_preprocessor_options(cp):
    code = 'extern "C" __global__ void f(int* out) { out[0] = VALUE; }'
    out = cp.zeros(1, np.int32)
    cp.RawModule(code=code, options=("-DVALUE=7", "--use_fast_math")).get_function("f")((1,), (1,), (out,))
    assert int(out[0]) == 7
    with pytest.raises(emulator.KernelError, match="unknown compiler option '--no-such-thing'"):
        cp.RawModule(code=code, options=("--no-such-thing",)).compile()


def test_raw_kernel(cp):
    code = 'extern "C" { __global__ void twice(double* x) { x[threadIdx.x] *= 2; } }'
    x = cp.arange(4.0)
    cp.RawKernel(code, "twice")((1,), (4,), (x,))
    np.testing.assert_array_equal(x.get(), [0, 2, 4, 6])


def test_compile_error_has_the_line():
    code = 'extern "C" __global__ void f(double* x) {\n    x[0] = unknown;\n}'
    with pytest.raises(emulator.KernelError, match=r"kernel\.cu:2:.*unknown"):
        emulator.cupy.RawModule(code=code).compile()


def test_kernel_without_c_linkage_is_not_found():
    code = "__global__ void f(double* x) { x[0] = 1; }"
    with pytest.raises(emulator.KernelError, match=r"CUDA_ERROR_NOT_FOUND: named symbol not found: f; kernels need extern"):
        emulator.cupy.RawModule(code=code).get_function("f")
