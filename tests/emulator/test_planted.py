"""Bugs planted in correct kernels: the checking mode finds every one and says where. Some pass unnoticed without it."""

import numpy as np
import pytest

from tests import emulator

from .samples import module, needs_compiler, source

pytestmark = needs_compiler
N = 1003


def run_sum(cp, compiled, kernel="sum_shared"):
    total = cp.zeros(1)
    x = np.random.default_rng(1).normal(size=N)
    compiled.get_function(kernel)((8,), (128,), (cp.asarray(x), total, np.int32(N)))
    return float(total[0]), x.sum()


def run_fold(cp, compiled):
    rng = np.random.default_rng(1)
    edisp, spec, tmpl = rng.random((11, 40)), rng.random(40), rng.random((40, 203))
    out = cp.zeros((11, 203))
    arrays = [cp.asarray(a) for a in (edisp, spec, tmpl)]
    compiled.get_function("fold")((2, 2), (128,), (*arrays, out, np.int32(11), np.int32(40), np.int32(203)), shared_mem=8 * 16 * 8)
    return out.get()


def run_window(cp, compiled):
    image, out = cp.ones((20, 27)), cp.empty((20, 27))
    compiled.get_function("window_sum")((2, 3), (16, 8), (image, out, np.int32(20), np.int32(27), np.int32(2)))


def run_last_block(cp, compiled, mode="check"):
    with emulator.mode(mode):
        arguments = (cp.ones(N), cp.empty(8), cp.zeros(1), cp.zeros(1, np.uint32), np.int32(N))
        compiled.get_function("sum_last_block")((8,), (128,), arguments)


def run_axpy(cp, compiled, n=N):
    compiled.get_function("axpy")((8,), (128,), (cp.ones(n), cp.ones(n), np.float64(1), np.int32(n)))


def run_block_sums(cp, compiled):
    compiled.get_function("block_sums<double>")((16,), (64,), (cp.ones(N), cp.empty(16), np.float64(1), np.int32(N)))


def line_of(name, text, *replacements):
    """Number of the line that holds a text."""
    lines = source(name, *replacements).splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


PLANTED = {
    "missing barrier after filling": (
        run_sum,
        "reduce",
        ("__syncthreads();  // FILLED", ""),
        r"DATA RACE in shared memory .*\[kernel\.cu:\d+\] vs block \d+ thread \d+ \[kernel\.cu:\d+\]",
    ),
    "missing barrier between halvings": (run_sum, "reduce", ("__syncthreads();  // HALVED", ""), "DATA RACE in shared memory"),
    "missing barrier after filling a tile": (
        run_fold,
        "fold",
        ("__syncthreads();  // FILLED", ""),
        r"DATA RACE in dynamic shared memory .*kernel\.cu:\d+",
    ),
    "missing barrier before refilling a tile": (run_fold, "fold", ("__syncthreads();  // USED", ""), "DATA RACE in dynamic shared memory"),
    "plain add instead of an atomic": (
        run_sum,
        "reduce",
        ("atomicAdd(total, part[0])", "total[0] += part[0]"),
        r"DATA RACE in global memory \(write/read\)",
    ),
    "barrier inside a branch": (
        run_sum,
        "reduce",
        ("__syncthreads();  // FILLED", "if (t < 64) __syncthreads();"),
        r"barrier divergence: __syncthreads at line \d+ while another thread waits at line \d+",
    ),
    "exit before a barrier": (
        run_sum,
        "reduce",
        (
            "    part[t] = i < n ? x[i] : 0.0;\n    __syncthreads();  // FILLED",
            "    if (i >= n) return;\n    part[t] = x[i];\n    __syncthreads();",
        ),
        r"barrier divergence: \d+ of 128 threads exited before __syncthreads at line \d+",
    ),
    "write beyond the end": (
        run_axpy,
        "axpy",
        ("if (i < n) y[i] +=", "if (i <= n) y[i] +="),
        r"OUT OF BOUNDS read of 8 bytes \[kernel\.cu:4\]",
    ),
    "loop bound <=": (
        run_window,
        "window",
        ("yy < y1; ++yy", "yy <= y1; ++yy"),
        r"OUT OF BOUNDS read .* byte offset 4\d\d\d of array argument 0 \(4320 bytes\)",
    ),
    "missing guard on a load": (
        run_fold,
        "fold",
        ("        if (p < P)\n            for", "            for"),
        r"OUT OF BOUNDS read .*kernel\.cu:\d+.* array argument 2 \(64960 bytes\)",
    ),
    "dynamic shared overrun": (
        run_fold,
        "fold",
        ("j < 8 * TILE", "j < 9 * TILE"),
        r"DYNAMIC SHARED MEMORY overrun \[kernel\.cu:\d+\]: byte offset 1\d\d\d of 1024",
    ),
    "window row below zero": (
        run_window,
        "window",
        ("max(0, y - r)", "y - r"),
        r"OUT OF BOUNDS read .* byte offset -\d+ of array argument 0",
    ),
    "overflow of int32": (
        run_window,
        "window",
        ("const int i = yy * nx + xx;", "const int i = yy * nx + xx + ((yy + 70000) * (nx + 70000) == 12345);"),
        r"UNDEFINED BEHAVIOUR: signed overflow in \* \[kernel\.cu:\d+\]",
    ),
    "index beyond a fixed array": (
        run_block_sums,
        "templates",
        ("j < 64; ++j", "j <= 64; ++j"),
        r"UNDEFINED BEHAVIOUR: index outside an array of fixed size \[kernel\.cu:\d+\]",
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_found_by_the_checking_mode(cp, bug):
    run, name, replacement, message = PLANTED[bug]
    with emulator.mode("check"), pytest.raises(emulator.KernelError, match=message):
        run(cp, module(name, replacement, name_expressions=("block_sums<double>",) if name == "templates" else ()))


@pytest.mark.parametrize("bug", ["plain add instead of an atomic", "overflow of int32"])
def test_not_seen_without_it(cp, bug):
    """Why the checking mode exists: these give the right answer in every order of threads."""
    run, name, replacement, _ = PLANTED[bug]
    for order in emulator.ORDERS:
        with emulator.mode(order):
            answer = run(cp, module(name, replacement))
        if run is run_sum:
            assert answer[0] == pytest.approx(answer[1], rel=1e-12)


def test_messages_name_the_line(cp):
    replacement = ("__syncthreads();  // FILLED", "")
    reader = line_of("reduce", "if (t < half) part[t] += part[t + half];", replacement)
    writer = line_of("reduce", "part[t] = i < n", replacement)
    with (
        emulator.mode("check"),
        pytest.raises(emulator.KernelError, match=rf"kernel\.cu:({reader}|{writer})\b.*kernel\.cu:({reader}|{writer})\b"),
    ):
        run_sum(cp, module("reduce", replacement))


def test_missing_barrier_gives_wrong_values_in_some_order(cp):
    compiled = module("reduce", ("__syncthreads();  // WARPS", ""))
    wrong = []
    for order in emulator.ORDERS:
        with emulator.mode(order):
            found, expected = run_sum(cp, compiled, "sum_shuffle")
        wrong.append(not np.isclose(found, expected, rtol=1e-12))
    assert any(wrong)
    with emulator.mode("check"), pytest.raises(emulator.KernelError, match="DATA RACE in shared memory"):
        run_sum(cp, compiled, "sum_shuffle")


@pytest.mark.parametrize("mode", ["forward", "check"])
def test_shuffle_under_divergence(cp, mode):
    compiled = module(
        "reduce",
        ("    v = warp_sum(v);\n    if (lane == 0) part", "    if (threadIdx.x % 2 == 0) v = warp_sum(v);\n    if (lane == 0) part"),
    )
    with emulator.mode(mode), pytest.raises(emulator.KernelError, match=r"warp-sync (deadlock|divergence)"):
        run_sum(cp, compiled, "sum_shuffle")


def test_shuffle_from_a_lane_that_the_block_does_not_have(cp):
    total = cp.zeros(1)
    kernel = module("reduce").get_function("sum_shuffle")
    with (
        emulator.mode("check"),
        pytest.raises(emulator.KernelError, match=r"reads lane .* which the last warp of this block does not have"),
    ):
        kernel((1,), (40,), (cp.ones(40), total, np.int32(40)))


@pytest.mark.parametrize("mode", ["forward", "check"])
def test_unset_shared_memory_is_nan(cp, mode):
    compiled = module("reduce", ("lane < (int)((blockDim.x + 31) >> 5) ? part[lane] : 0.0", "part[lane]"))
    with emulator.mode(mode):
        assert np.isnan(run_sum(cp, compiled, "sum_shuffle")[0])


IN_A_FUNCTION = """
HEAD double shifted(double value) {
    __shared__ double part[64];
    part[threadIdx.x] = value;
    BARRIER
    return part[(threadIdx.x + 1) % 64];
}
extern "C" __global__ void f(double* x) {
    __shared__ double own[64];
    own[threadIdx.x] = 2 * x[threadIdx.x];
    x[threadIdx.x] = CALL(own[threadIdx.x]);
}
"""


@pytest.mark.parametrize(
    ("head", "call"),
    [("__device__ __forceinline__", "shifted"), ("__device__", "shifted"), ("template <int N> __device__ __forceinline__", "shifted<3>")],
)
def test_shared_memory_of_a_device_function(cp, head, call):
    code = IN_A_FUNCTION.replace("HEAD", head).replace("CALL", call)
    for mode in emulator.MODES:
        x = cp.arange(64.0)
        with emulator.mode(mode):
            cp.RawModule(code=code.replace("BARRIER", "__syncthreads();")).get_function("f")((1,), (64,), (x,))
        np.testing.assert_array_equal(x.get(), 2 * np.roll(np.arange(64.0), -1))
    with emulator.mode("check"), pytest.raises(emulator.KernelError, match=r"DATA RACE in shared memory .*kernel\.cu:4.*"):
        cp.RawModule(code=code.replace("BARRIER", "")).get_function("f")((1,), (64,), (cp.arange(64.0),))
    x = cp.arange(64.0)
    cp.RawModule(code=code.replace("BARRIER", "").replace("part[threadIdx.x] = value;", "")).get_function("f")((1,), (64,), (x,))
    assert np.isnan(x.get()).all()


def test_warp_synchronous_code_without_syncwarp(cp):
    code = source("reduce").replace("__syncwarp();", "")
    kernel = cp.RawModule(code=code).get_function("sum_one_warp")
    with emulator.mode("check"), pytest.raises(emulator.KernelError, match="DATA RACE in shared memory"):
        kernel((1,), (32,), (cp.ones(32), cp.empty(1)))


def test_last_block_needs_a_fence(cp):
    run_last_block(cp, module("reduce"))
    with pytest.raises(emulator.KernelError, match=r"DATA RACE in global memory \(write/read\)"):
        run_last_block(cp, module("reduce", ("        __threadfence();\n", "")))


def test_fence_before_the_write_does_not_help(cp):
    late = (
        "        block_sums[blockIdx.x] = part[0];\n        __threadfence();",
        "        __threadfence();\n        block_sums[blockIdx.x] = part[0];",
    )
    with pytest.raises(emulator.KernelError, match="DATA RACE in global memory"):
        run_last_block(cp, module("reduce", late))


def test_neighbouring_bytes_do_not_race(cp):
    code = 'extern "C" __global__ void f(char* x) { __shared__ char s[64]; s[threadIdx.x] = 1; x[threadIdx.x] = s[threadIdx.x]; }'
    out = cp.zeros(64, np.int8)
    with emulator.mode("check"):
        cp.RawModule(code=code).get_function("f")((1,), (64,), (out,))
    assert int(out.sum()) == 64


def test_misaligned_vector_load(cp):
    code = 'extern "C" __global__ void f(const double* x, double* y) { double2 v = *(const double2*)(x + 1); y[0] = v.x + v.y; }'
    with emulator.mode("check"), pytest.raises(emulator.KernelError, match=r"MISALIGNED access.*kernel\.cu:1"):
        cp.RawModule(code=code).get_function("f")((1,), (1,), (cp.ones(4), cp.ones(1)))


def test_fast_mode_notices_writes_next_to_an_array(cp):
    code = 'extern "C" __global__ void f(double* x, int i) { x[i] = 1; }'
    kernel, x = cp.RawModule(code=code).get_function("f"), cp.zeros(10)
    kernel((1,), (1,), (x, np.int32(9)))
    with pytest.raises(emulator.KernelError, match=r"OUT OF BOUNDS write of 8 bytes after an array of 80 bytes \(red zone\)"):
        kernel((1,), (1,), (x, np.int32(10)))
    with pytest.raises(emulator.KernelError, match="before an array"):
        kernel((1,), (1,), (x, np.int32(-1)))


def test_fast_mode_notices_dynamic_shared_overrun(cp):
    with pytest.raises(emulator.KernelError, match="dynamic shared-memory overrun: byte 1024 of 1024"):
        run_fold(cp, module("fold", ("j < 8 * TILE", "j < 9 * TILE")))


def test_assert_and_trap(cp):
    code = 'extern "C" __global__ void f(int n) { assert(n > 0); if (n > 5) __trap(); }'
    kernel = cp.RawModule(code=code).get_function("f")
    kernel((1,), (1,), (np.int32(1),))
    with pytest.raises(emulator.KernelError, match="assertion failed: n > 0"):
        kernel((1,), (1,), (np.int32(0),))
    with pytest.raises(emulator.KernelError, match=r"__trap\(\) was called"):
        kernel((1,), (1,), (np.int32(6),))


def test_a_failed_launch_leaves_the_module_usable(cp):
    compiled = module(
        "reduce", ("lane < (int)((blockDim.x + 31) >> 5) ? part[lane] : 0.0", "part[lane]"), ("__syncthreads();  // FILLED", "")
    )
    with emulator.mode("check"):
        with pytest.raises(emulator.KernelError, match="DATA RACE"):
            run_sum(cp, compiled)
        run_last_block(cp, compiled)
