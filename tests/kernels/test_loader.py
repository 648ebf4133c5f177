"""The door to the kernels, and that twins are twins: the same names, arguments, constants and table columns on both sides."""

import inspect
import re
import sys

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.core import backend
from gpudl4.core.backend import NUMPY, Backend
from gpudl4.core.errors import BackendError
from gpudl4.kernels import _cuda, launches, tables
from tests import emulator

from . import cuda_source, tables_header

needs_compiler = pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))
STEMS = cuda_source.cuda_stems()
FUNCTIONS = [(stem, name) for stem in STEMS for name in launches.RULES.get(stem, ())]


@pytest.fixture
def cp():
    with emulator.installed() as cupy:
        yield cupy


def cash_value_arguments(xp, n_items=2):
    counts, mask, mu = xp.ones(10), xp.ones(10, np.uint8), xp.ones((3, 10))
    items = xp.asarray(np.array([[0, 5], [5, 10]])[:n_items])
    return counts, mask, mu, items, xp.zeros((3, 2))


# ---- the door ------------------------------------------------------------------------------------------------------------------------
def test_stems_are_kernels_only():
    assert {"cash", "fold"} <= set(kernels.stems())
    assert not {"launches", "tables", "__init__", "_cuda", "_sized"} & set(kernels.stems())


def test_every_cuda_file_has_rules_and_a_numba_twin():
    assert set(STEMS) == set(launches.RULES)
    assert set(STEMS) <= set(kernels.stems())


def test_unknown_stem():
    with pytest.raises(ValueError, match=r"unknown kernel 'nothing'; known: .*cash"):
        kernels.cpu("nothing")


@pytest.mark.parametrize("stem", ["nothing", "psf_kernel"])
def test_no_cuda_twin(cp, stem):
    with pytest.raises(ValueError, match=rf"kernel '{stem}' has no CUDA twin; there are: .*cash"):
        kernels.cuda(stem)


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(BackendError, match=r"the CUDA kernel 'cash' needs CuPy: pip install 'gpudl4\[gpu\]'"):
        kernels.cuda("cash")


def test_without_a_compiler(cp, monkeypatch):
    def module(**_):
        raise RuntimeError("Failure finding libnvrtc.so.13")

    monkeypatch.setattr(cp, "RawModule", module)
    _cuda._compiled.cache_clear()
    with pytest.raises(
        BackendError, match=r"'cash' cannot be compiled: Failure finding libnvrtc\.so\.13\nCuPy compiles with NVRTC, which pip"
    ):
        kernels.cuda("cash")


def test_the_hint_is_that_of_the_backend():
    assert _cuda.INSTALL == backend.INSTALL


@pytest.mark.parametrize("wrong", [{"cube": "int32"}, {"real": "float16"}])
def test_unknown_type(cp, wrong):
    ((name, given),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name} must be one of float64, float32, got '{given}'"):
        kernels.cuda("cash", **wrong)


def test_of_chooses_by_the_backend(cp):
    assert kernels.of(NUMPY, "cash") is kernels.cpu("cash")
    assert kernels.of(Backend("cupy", cp, "cuda:0"), "cash", cube="float32") is kernels.cuda("cash", cube="float32")


@needs_compiler
def test_compiled_once_per_pair_of_types(cp):
    assert kernels.cuda("cash") is kernels.cuda("cash", cube=np.dtype("float64"))
    assert kernels.cuda("cash") is not kernels.cuda("cash", real="float32")


@needs_compiler
def test_a_numpy_array_is_refused(cp):
    arguments = list(cash_value_arguments(cp))
    arguments[2] = arguments[2].get()
    with pytest.raises(
        BackendError, match=r"argument 2 of the CUDA kernel cash\.cash_value is a NumPy array \(3, 10\): move it with to_device"
    ):
        kernels.cuda("cash").cash_value(*arguments)


@needs_compiler
def test_nothing_to_do_launches_nothing(cp):
    arguments = cash_value_arguments(cp, n_items=0)
    with emulator.counting() as count:
        kernels.cuda("cash").cash_value(*arguments)
    assert count.launches == 0


@needs_compiler
def test_a_launch_costs_nothing_else(cp):
    arguments = cash_value_arguments(cp)
    kernel = kernels.cuda("cash").cash_value
    with emulator.guard(allocations=0), emulator.counting() as count:
        kernel(*arguments)
    assert count.launches == 1
    assert str(kernel) == "<CUDA kernel cash.cash_value>"


def test_a_changed_header_changes_the_source(monkeypatch, tmp_path):
    """CuPy's cache on disk knows the source only: without this, an update of common.cuh would run old code."""
    for name in ("cash.cu", "common.cuh", "tables.cuh"):
        (tmp_path / name).write_text(cuda_source.read(name))
    monkeypatch.setattr(_cuda, "FOLDER", tmp_path)
    before = _cuda.source("cash")
    assert before.startswith(cuda_source.read("cash.cu"))
    (tmp_path / "common.cuh").write_text(cuda_source.read("common.cuh") + "// changed\n")
    assert _cuda.source("cash") != before


# ---- twins ---------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("stem", STEMS)
def test_kernels_are_those_of_the_rules(stem):
    assert sorted(cuda_source.kernels_of(cuda_source.read(f"{stem}.cu"))) == sorted(launches.RULES[stem])


@pytest.mark.parametrize(("stem", "name"), FUNCTIONS)
def test_arguments_are_those_of_the_numba_twin(stem, name):
    function = getattr(kernels.cpu(stem), name)
    wanted = list(inspect.signature(getattr(function, "py_func", function)).parameters)
    threads, parameters = cuda_source.kernels_of(cuda_source.read(f"{stem}.cu"))[name]
    assert [p.name.rstrip("_") for p in parameters[: len(wanted)]] == wanted  # `template_`: the plain word is a keyword of C++
    assert {p.type for p in parameters[len(wanted) :]} <= {"long long"}, "after the arguments come sizes"
    assert list(inspect.signature(launches.RULES[stem][name]).parameters) == wanted
    assert threads <= launches.THREADS


@pytest.mark.parametrize(("stem", "name"), FUNCTIONS)
def test_types_are_those_that_arrays_have(stem, name):
    arrays = {"real", "cube", "byte", "long long", "double", "complex_t"}
    allowed = {"long long", "double", *(f"{t}*" for t in arrays), *(f"const {t}*" for t in arrays)}
    _, parameters = cuda_source.kernels_of(cuda_source.read(f"{stem}.cu"))[name]
    assert {p.type for p in parameters} <= allowed
    assert any(p.type.endswith("*") and not p.type.startswith("const") for p in parameters), "a kernel without an output"


@pytest.mark.parametrize("stem", STEMS)
def test_constants_are_those_of_the_numba_twin(stem):
    here = cuda_source.constants(cuda_source.read(f"{stem}.cu"))
    assert here == {name: getattr(kernels.cpu(stem), name, "missing") for name in here}


def test_common_constants():
    assert cuda_source.constants(cuda_source.read("common.cuh"))["THREADS"] == launches.THREADS


def test_table_columns():
    python = {name: value for name, value in vars(tables).items() if name.isupper()}
    cuda = cuda_source.enumerators(cuda_source.read("tables.cuh"))
    assert {name: value for name, value in cuda.items() if not name.endswith("_SIZE")} == python, "run `make tables`"


def test_table_sizes():
    cuda = cuda_source.enumerators(cuda_source.read("tables.cuh"))
    sizes = {name: value for name, value in cuda.items() if name.endswith("_SIZE")}
    assert len(sizes) > 10
    for name, size in sizes.items():
        prefix = name.removesuffix("SIZE")
        assert size == 1 + max(value for other, value in cuda.items() if other.startswith(prefix) and other != name)


def test_table_header_is_as_made():
    assert cuda_source.read("tables.cuh") == tables_header.header(cuda_source.read("tables.py")), "run `make tables`"


@pytest.mark.parametrize("stem", STEMS)
def test_a_cuda_file_reads_alone(stem):
    text = cuda_source.read(f"{stem}.cu")
    assert text.startswith("//"), "the first lines say what the file computes"
    assert re.findall(r"^\s*#.*", text, re.MULTILINE) == ['#include "common.cuh"']


def test_sample_in_the_documentation_is_the_shipped_kernel():
    text = (cuda_source.FOLDER.parent / "docs" / "kernels.md").read_text(encoding="utf-8")
    (sample,) = re.findall(r'^extern "C".*?^\}', text, re.DOTALL | re.MULTILINE)
    assert sample in cuda_source.read("cash.cu")


# ---- the reader of sources itself ----------------------------------------------------------------------------------------------------
def test_kernel_heads_are_read():
    text = 'extern "C" __global__ void __launch_bounds__(256)\nf(const real* __restrict__ x, // in\n  long long* t, double a) { }'
    threads, parameters = cuda_source.kernels_of(text)["f"]
    assert threads == 256
    assert [(p.type, p.name) for p in parameters] == [("const real*", "x"), ("long long*", "t"), ("double", "a")]
    assert cuda_source.kernels_of('extern "C" __global__ void __launch_bounds__(128, 2) g(byte* m) {')["g"][0] == 128
    with pytest.raises(ValueError, match="2 kernels, but 1 are written as"):
        cuda_source.kernels_of(text + '\nextern "C" __global__ void g(int i) {}')


def test_numbers_are_read():
    assert cuda_source.constants("constexpr double A = 1e-25;  // B = 2\nconstexpr int C = 0x10;\n") == {"A": 1e-25, "C": 16}
    assert cuda_source.enumerators("enum T { A, B = 5, C };  // D") == {"A": 0, "B": 5, "C": 6}
