"""Counts are exact: launches, transfers, allocations, bytes; sectors and atomics of kernels; graphs."""

import numpy as np
import pytest

from tests import emulator

from .samples import module, needs_compiler


def test_totals(cp):
    with emulator.counting() as count:
        x = cp.asarray(np.ones(1000))
        y = cp.empty(1000)
        cp.multiply(x, 2.0, out=y)
        total = (x + y).sum()
        float(total)
    assert count.totals() == {
        "launches": 3,
        "api_calls": 0,
        "uploads": 1,
        "downloads": 1,
        "bytes_up": 8000,
        "bytes_down": 8,
        "synchronisations": 1,
        "allocations": 4,
        "bytes_allocated": 24008,
        "graph_launches": 0,
        "bytes_read": 8000 + 16000 + 8000,
        "bytes_written": 8000 + 8000 + 8,
    }
    assert count.launches_by_name == {"multiply": 1, "add": 1, "ndarray.sum": 1}


def test_blocks_nest_and_keep_their_numbers(cp):
    with emulator.counting() as outer:
        cp.zeros(3)
        with emulator.counting() as inner:
            cp.zeros(3)
        cp.zeros(3)
    assert (outer.launches, inner.launches) == (3, 1)
    cp.zeros(3)
    assert outer.launches == 3


def test_live_memory(cp):
    pool = cp.get_default_memory_pool()
    before = pool.used_bytes()
    x = cp.zeros(1000)
    view = x[:10]
    assert pool.used_bytes() - before == 8000
    del x
    assert pool.used_bytes() - before == 8000
    del view
    assert pool.used_bytes() == before


@needs_compiler
def test_kernel_traffic(cp):
    n = 1024
    x, y = cp.ones(n), cp.ones(n)
    with emulator.mode("check"), emulator.counting() as count:
        module("axpy").get_function("axpy")((8,), (128,), (x, y, np.float64(2), np.int32(n)))
    (run,) = count.runs_of("axpy")
    assert (run.threads, run.blocks, run.barriers) == (1024, 8, 0)
    assert (run.bytes_read, run.bytes_written, run.bytes_atomic) == (16 * n, 8 * n, 0)
    assert run.footprint == 16 * n
    assert run.coalescing == 1.0
    assert count.launches_by_name == {"raw:axpy": 1}
    assert (count.bytes_read, count.bytes_written) == (16 * n, 8 * n)


@needs_compiler
def test_coalescing_sees_a_stride(cp):
    code = 'extern "C" __global__ void f(const double* x, double* y) { y[threadIdx.x] = x[threadIdx.x * 8]; }'
    with emulator.mode("check"), emulator.counting() as count:
        cp.RawModule(code=code).get_function("f")((1,), (64,), (cp.ones(512), cp.ones(64)))
    (run,) = count.runs
    assert run.coalescing == pytest.approx((512 + 512) / (64 * 32 + 512))


@needs_compiler
def test_barriers_shuffles_and_atomics(cp):
    with emulator.mode("check"), emulator.counting() as count:
        module("reduce").get_function("sum_shuffle")((2,), (128,), (cp.ones(256), cp.zeros(1), np.int32(256)))
    (run,) = count.runs
    assert run.barriers == 2
    assert run.warp_syncs == 2 * (4 * 5 + 5)
    assert run.atomics == 2


@needs_compiler
def test_graph(cp):
    kernel = module("axpy").get_function("axpy")
    x, y, z = cp.ones(64), cp.zeros(64), cp.zeros(64)
    stream = cp.cuda.Stream()
    with stream, emulator.counting() as count:
        stream.begin_capture()
        kernel((1,), (64,), (x, y, np.float64(2), np.int32(64)))
        cp.add(x, y, out=z)
        z *= 10
        for refused in (lambda: float(x[0]), lambda: cp.asarray(np.ones(3)), lambda: cp.zeros(3)):
            with pytest.raises(emulator.EmulatorError, match="cudaErrorStreamCaptureUnsupported"):
                refused()
        with pytest.raises(emulator.EmulatorError, match="add allocates its result during graph capture; give out="):
            x + y
        graph = stream.end_capture()
        assert float(y.sum()) == 0
        graph.launch()
        graph.launch()
    assert count.graph_launches == 2
    np.testing.assert_array_equal(y.get(), 4)
    np.testing.assert_array_equal(z.get(), 50)
    with pytest.raises(emulator.EmulatorError, match="no capture is running"):
        stream.end_capture()
