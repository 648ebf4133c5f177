"""Every kernel compiles for every GPU generation, without warnings, spills or stack, within its registers. Needs wheels, no GPU."""

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from . import cuda_source, nvrtc

pytestmark = pytest.mark.skipif(nvrtc.missing_requirement() is not None, reason=str(nvrtc.missing_requirement()))

REGISTERS = 80  # three blocks of 256 threads fit on a multiprocessor
# Kernels that may have more, and why.
MORE_REGISTERS = {
    "gauss.gauss_image": (128, "the constants of an elongated Gaussian stay in registers; two blocks fit"),
    "gauss.gauss_gradient": (128, "the constants of an elongated Gaussian and five sums stay in registers; two blocks fit"),
    "gauss.gauss_pullback": (128, "the constants of an elongated Gaussian and five sums stay in registers; two blocks fit"),
}

STEMS = cuda_source.cuda_stems()
EVERYTHING = list(product(STEMS, nvrtc.TYPES, nvrtc.ARCHITECTURES))


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """Compile everything in threads: the compiler does not hold Python's lock."""
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(nvrtc.compile_stem, stem, *types, architecture) for stem, types, architecture in EVERYTHING]:
            done.exception()  # a failure shows again, with its log, in the test of its stem


@pytest.mark.parametrize("stem", STEMS)
def test_compiles_without_warnings(stem):
    kernels = set(cuda_source.kernels_of(cuda_source.read(f"{stem}.cu")))
    for types, architecture in product(nvrtc.TYPES, nvrtc.ARCHITECTURES):
        found, warnings = nvrtc.compile_stem(stem, *types, architecture)
        assert warnings == []
        assert set(found) == kernels


@pytest.mark.parametrize("stem", STEMS)
def test_resources(stem):
    for types, architecture in product(nvrtc.TYPES, nvrtc.ARCHITECTURES):
        for name, needs in nvrtc.compile_stem(stem, *types, architecture)[0].items():
            kernel, where = f"{stem}.{name}", f"{stem}.{name} cube/real {types} sm_{architecture}: {needs}"
            assert needs.spills == 0, where
            assert needs.stack == 0, where
            assert needs.registers <= MORE_REGISTERS.get(kernel, (REGISTERS, ""))[0], where
            assert needs.shared <= 48 * 1024, where


def test_exceptions_are_kernels_with_a_reason():
    kernels = {f"{stem}.{name}" for stem in STEMS for name in cuda_source.kernels_of(cuda_source.read(f"{stem}.cu"))}
    assert set(MORE_REGISTERS) <= kernels
    assert all(registers > REGISTERS and len(reason) > 20 for registers, reason in MORE_REGISTERS.values())


def test_table_in_the_documentation():
    text = nvrtc.TABLE.read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+\.\w+)`", text, re.MULTILINE)
    assert named == [f"{stem}.{name}" for stem in STEMS for name in cuda_source.kernels_of(cuda_source.read(f"{stem}.cu"))]
    if f"NVRTC {nvrtc.version()}" in text:  # another version counts registers differently
        assert text == nvrtc.table(), "run `make kernels-table`"


# ---- the check itself ------------------------------------------------------------------------------------------------------------------
def compiled_kernel(body, architecture=80, head='extern "C" __global__ void f(double* x, int n)'):
    return nvrtc.compile_code(f"{head} {{ {body} }}", ("--std=c++17",), architecture)


def test_warnings_are_found():
    _, warnings = compiled_kernel("int unused = n; x[0] = 1;")
    assert any('variable "unused"' in line for line in warnings)


def test_stack_is_found():
    kernels, _ = compiled_kernel("double a[64]; for (int i = 0; i < 64; ++i) a[i] = x[i]; x[0] = a[n] + a[n + 1];")
    assert kernels["f"].stack >= 64 * 8


def test_spills_are_found():
    many = "".join(f"double a{i} = x[{i}];" for i in range(100)) + "for (int j = 0; j < n; ++j) {"
    many += "".join(f"a{i} = sin(a{i}) * a{(i + 7) % 100};" for i in range(100)) + "}" + "".join(f"x[{i}] = a{i};" for i in range(100))
    kernels, _ = compiled_kernel(many, head='extern "C" __global__ void __launch_bounds__(1024) f(double* x, int n)')
    assert kernels["f"].spills > 0


def test_errors_show_the_log():
    with pytest.raises(nvrtc.CompileError, match=r"sm_80:\n.*identifier \"nothing\" is undefined"):
        compiled_kernel("x[0] = nothing;")


@pytest.mark.parametrize(
    ("registers", "shared", "architecture", "expected"),
    [
        (32, 0, 80, 1.0),
        (40, 0, 80, 0.75),
        (64, 0, 75, 1.0),
        (128, 0, 80, 0.25),
        (40, 0, 86, 1.0),
        (32, 40000, 80, 0.5),
        (255, 0, 90, 0.125),
    ],
)
def test_occupancy(registers, shared, architecture, expected):
    """Blocks of 256 threads; the expected numbers follow from 65536 registers and the resident threads of each generation."""
    assert nvrtc.Resources(registers, 0, 0, shared).occupancy(architecture, 256) == expected
