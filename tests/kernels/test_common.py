"""What all kernels share, in common.cuh: sums over a block, complex numbers, the types."""

import numpy as np
import pytest

from gpudl4.kernels import _cuda
from tests import emulator

pytestmark = pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))

CODE = """
#include "common.cuh"

// Sums over the block, one after another: x[B, n], y[B, n] -> out[B, 5] = sum x, sum y, sum x y, sum x x, sum of x / 2
extern "C" __global__ void __launch_bounds__(256)
sums(const real* __restrict__ x, const real* __restrict__ y, double* __restrict__ out, long long n) {
    const long long b = blockIdx.x;
    double part = 0.0, next[3] = {0.0, 0.0, 0.0};
    for (long long i = threadIdx.x; i < n; i += blockDim.x) {
        const double u = x[b * n + i], v = y[b * n + i];
        part += u;
        next[0] += v;
        next[1] += u * v;
        next[2] += u * u;
    }
    const double first = block_sum(part), half = block_sum(0.5 * part);
    block_sums(next);
    if (threadIdx.x == 0) {
        out[5 * b] = first;
        for (int i = 0; i < 3; ++i) out[5 * b + 1 + i] = next[i];
        out[5 * b + 4] = half;
    }
}

extern "C" __global__ void __launch_bounds__(256) turn(const complex_t* __restrict__ z, complex_t* __restrict__ out, long long n) {
    const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < n) out[i] = complex_t{-z[i].y, z[i].x};
}
"""
COMPLEX = {"float64": np.complex128, "float32": np.complex64}


@pytest.fixture(params=emulator.MODES)
def cp(request):
    with emulator.installed() as cupy, emulator.mode(request.param):
        yield cupy


@pytest.fixture(params=["float64", "float32"])
def real(request):
    return request.param


def kernel(cp, name, real):
    return cp.RawModule(code=CODE, options=_cuda.options("float64", real)).get_function(name)


@pytest.mark.parametrize("threads", [32, 64, 96, 256])
@pytest.mark.parametrize("n", [1, 31, 700])
def test_block_sums(cp, real, threads, n):
    x, y = np.random.default_rng(n).normal(size=(2, 3, n)).astype(real)
    arrays, launch = (cp.asarray(x), cp.asarray(y)), kernel(cp, "sums", real)
    answers = [cp.empty((3, 5)), cp.empty((3, 5))]
    for out in answers:
        launch((3,), (threads,), (*arrays, out, n))
    x, y = x.astype(float), y.astype(float)
    wanted = np.stack([x.sum(1), y.sum(1), (x * y).sum(1), (x * x).sum(1), 0.5 * x.sum(1)], axis=1)
    np.testing.assert_allclose(answers[0].get(), wanted, rtol=1e-12, atol=1e-15 * n)
    np.testing.assert_array_equal(answers[0].get(), answers[1].get())


def test_complex_numbers_are_those_of_arrays(cp, real):
    z = (np.arange(300) + 1j * np.arange(300, 600)).astype(COMPLEX[real])
    out = cp.empty(300, COMPLEX[real])
    kernel(cp, "turn", real)((2,), (256,), (cp.asarray(z), out, 300))
    np.testing.assert_array_equal(out.get(), 1j * z)
