"""Kernels: compiled once, found again without Numba, called with any arrays and numbers, and clear about what they cannot take."""

import importlib
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.kernels import _compiled, _files
from gpudl4.kernels._compiled import NOTICE, UNKEPT, Kernel, KernelError, compiled, prange
from tests.paths import ROOT

SOURCE = """
from gpudl4.kernels._compiled import compiled
from .{name} import FACTOR

@compiled
def scale(values, out):
    for i in range(values.shape[0]):
        out[i] = FACTOR * values[i]
"""


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    """Where code is kept that this test compiles."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def said(capsys):
    """Lines about compiling since the test began."""
    _compiled._say_once.cache_clear()
    yield lambda: [line for line in capsys.readouterr().err.splitlines() if line.startswith("gpudl4: compiling")]
    _compiled._say_once.cache_clear()


def load_module(folder, factor, monkeypatch):
    """Import a package with a compiled function that takes a constant from a module beside it, anew."""
    package = folder / "made"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "constants.py").write_text(f"FACTOR = {factor}\n")
    (package / "kernel.py").write_text(SOURCE.format(name="constants"))
    monkeypatch.syspath_prepend(str(folder))
    for name in [n for n in sys.modules if n.split(".")[0] == "made"]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    _files.stamp.cache_clear()
    return importlib.import_module("made.kernel").scale


def call(function, dtype="float64"):
    out = np.zeros(3, dtype=dtype)
    function(np.ones(3, dtype=dtype), out)
    return out[0]


@compiled
def add(a, b, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = a[i, j] + b


@compiled(parallel=True)
def squares(values, out):
    for i in prange(values.shape[0]):
        out[i] = values[i] ** 2


@compiled
def ratio(a, b, out):
    out[0] = a // b


@compiled
def inner(x):
    return x + 1.0


@compiled
def outer(values, out):
    scratch = np.empty(values.shape[0])
    for i in range(values.shape[0]):
        scratch[i] = inner(values[i])
    out[:] = scratch


# ---- compiling and finding -----------------------------------------------------------------------------------------------------------
def test_compiled_once_and_found_again(tmp_path, cache_folder, monkeypatch, said):
    first = load_module(tmp_path, 2.0, monkeypatch)
    assert [call(first), call(first, "float32"), call(first)] == [2.0, 2.0, 2.0]
    assert said() == [NOTICE]
    assert (first.n_compiled, len(first.forms)) == (2, 2)
    assert len(list(cache_folder.rglob("kernel.scale.*.nbc"))) == 2
    _compiled._say_once.cache_clear()
    again = load_module(tmp_path, 2.0, monkeypatch)
    assert again is not first
    assert [call(again), call(again, "float32")] == [2.0, 2.0]
    assert (again.n_compiled, len(again.forms)) == (0, 2)
    assert said() == []


def test_a_constant_that_changes_in_another_file_is_noticed(tmp_path, cache_folder, monkeypatch):
    assert call(load_module(tmp_path, 2.0, monkeypatch)) == 2.0
    assert call(load_module(tmp_path, 3.0, monkeypatch)) == 3.0


def test_quiet_and_watched(tmp_path, cache_folder, monkeypatch, said):
    seen = []
    function = load_module(tmp_path, 2.0, monkeypatch)
    with _compiled.quiet(), _compiled.watched(seen.append):
        assert call(function) == 2.0
        assert call(function) == 2.0
    assert seen == [function]
    assert said() == []


def test_without_any_folder(tmp_path, monkeypatch, said):
    (tmp_path / "file").touch()
    monkeypatch.setattr(_files, "folders", lambda source: [tmp_path / "file" / "below"])
    function = load_module(tmp_path, 2.0, monkeypatch)
    assert call(function) == 2.0
    assert said() == [UNKEPT]
    assert function.files.folder is None


def test_threads_that_call_first_at_once_compile_once(tmp_path, cache_folder, monkeypatch):
    function, found = load_module(tmp_path, 2.0, monkeypatch), []
    threads = [threading.Thread(target=lambda: found.append(call(function))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2.0] * 4
    assert function.n_compiled == 1


@pytest.mark.parametrize("stem", kernels.stems())
def test_every_kernel_is_one(stem):
    module = kernels.cpu(stem)
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__ and callable(value)]
    found = [k for value in own for k in ([value.serial, value.parallel] if hasattr(value, "serial") else [value]) if isinstance(k, Kernel)]
    assert found
    assert len({kernel.name for kernel in found}) == len(found)  # files go by names


# ---- calling -------------------------------------------------------------------------------------------------------------------------
def wanted(a, b):
    return np.asarray(a, dtype=float) + b


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "bool", "longlong"])
def test_every_type(dtype):
    a, out = np.array([[0, 1, 3], [2, 0, 1]]).astype(dtype), np.zeros((2, 3))
    add(a, 1.5, out)
    np.testing.assert_array_equal(out, wanted(a, 1.5))


@pytest.mark.parametrize("b", [2, 2.5, True, np.float32(0.5), np.int64(7), np.array(1.25)])
def test_every_number(b):
    a, out = np.arange(6.0).reshape(2, 3), np.zeros((2, 3))
    add(a, b, out)
    np.testing.assert_array_equal(out, wanted(a, b))


def layouts():
    big = np.arange(60.0)
    unaligned = np.frombuffer(b"\0" * 3 + big.tobytes(), dtype=np.uint8)[3:].view("float64")[:6].reshape(2, 3)
    frozen = np.arange(6.0).reshape(2, 3)
    frozen.flags.writeable = False
    return {
        "contiguous": big[:6].reshape(2, 3),
        "transposed": big[:6].reshape(3, 2).T,
        "reversed": big[:6].reshape(2, 3)[::-1, ::-1],
        "in steps": big.reshape(4, 15)[::2, 1:10:3],
        "broadcast": np.broadcast_to(big[:3], (2, 3)),
        "read-only": frozen,
        "unaligned": unaligned,
        "subclass": big[:6].reshape(2, 3).view(np.ma.MaskedArray),
        "list": big[:6].reshape(2, 3).tolist(),
    }


@pytest.mark.parametrize("name", layouts())
def test_every_layout(name):
    a, out = layouts()[name], np.zeros((2, 3))
    add(a, 1.0, out)
    np.testing.assert_array_equal(out, wanted(np.asarray(a), 1.0))


def test_into_a_view():
    out = np.zeros((4, 6))
    add(np.ones((2, 3)), 1.0, out[1:3, ::2])
    assert out.sum() == 12.0
    assert (out[1:3, ::2] == 2.0).all()


def test_empty():
    out = np.full((0, 3), np.nan)
    add(np.zeros((0, 3)), 1.0, out)
    assert out.shape == (0, 3)


def test_many_forms_one_after_the_other():
    """The first entry that was made is not taken for arrays of another form."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        a = rng.integers(0, 9, (2, 3)).astype(rng.choice(["float32", "float64", "int64"]))
        a = a[:, ::-1] if rng.random() < 0.5 else a
        out = np.zeros((2, 3), rng.choice(["float32", "float64"]))
        add(a, 1.0, out)
        np.testing.assert_array_equal(out, wanted(a, 1.0))


def test_kernels_that_call_others_and_need_memory():
    out = np.zeros(5)
    outer(np.arange(5.0), out)
    np.testing.assert_array_equal(out, np.arange(5.0) + 1.0)


def test_with_threads():
    out = np.zeros(1000)
    squares(np.arange(1000.0), out)
    np.testing.assert_array_equal(out, np.arange(1000.0) ** 2)


def test_threads_of_python_run_it_at_the_same_time():
    """The interpreter's lock is given back: a call in another thread does not wait."""
    values, out = np.arange(1e6), np.zeros((4, 1_000_000))
    threads = [threading.Thread(target=squares, args=(values + i, out[i])) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        np.testing.assert_array_equal(out[i], (values + i) ** 2)


# ---- what cannot be done -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("args", [(), (np.ones((2, 3)), 1.0), (np.ones((2, 3)), 1.0, np.ones((2, 3)), 1.0)])
def test_wrong_number_of_arguments(args):
    with pytest.raises(TypeError, match=rf"add takes 3 arguments, got {len(args)}"):
        add(*args)


def test_bytes_of_other_machines():
    with pytest.raises(TypeError, match=r"byte order of this machine, got dtype '>f4'"):
        add(np.ones((2, 3), ">f4"), 1.0, np.zeros((2, 3)))


def test_it_cannot_be_compiled_for_these():
    with pytest.raises(numba.core.errors.NumbaError):
        add(np.ones((2, 3)), 1.0, np.zeros(3))  # two indices into one dimension
    frozen = np.broadcast_to(np.zeros(3), (2, 3))  # read-only
    with pytest.raises(numba.core.errors.NumbaError):
        add(np.ones((2, 3)), 1.0, frozen)
    out = np.zeros((2, 3))
    add(np.ones((2, 3)), 1.0, out)  # nobody waits for what was given up
    assert out.sum() == 12.0


def test_functions_that_return_something_are_for_other_kernels_only():
    with pytest.raises(TypeError, match=r"inner returns float64: a kernel writes into its arguments"):
        inner(1.0)
    assert inner.function(1.0) == 2.0


def test_a_kernel_that_stops():
    out = np.zeros(1, dtype=int)
    ratio(7, 2, out)
    assert out[0] == 3
    with pytest.raises(KernelError, match=r"ratio stopped \(status \d+\): a division by zero"):
        ratio(7, 0, out)
    ratio(9, 2, out)
    assert out[0] == 4


# ---- processes -----------------------------------------------------------------------------------------------------------------------
BY_LLVM = """
import sys
import numpy as np
from gpudl4 import kernels
from gpudl4.kernels import _compiled

def cannot(code, symbol):
    raise _compiled.CannotLoad("not here")

_compiled.load = cannot
cash, out = kernels.cpu("cash"), np.zeros((2, 3))
for variant in (cash.weights.serial, cash.weights.parallel):
    out[:] = 0
    variant(np.ones(3), np.ones(3, np.uint8), np.full((1, 3), 2.0), *out)
    assert (out == [[1.0], [0.5]]).all(), out
    assert variant.n_compiled == 0
assert "numba" in sys.modules
"""


def run(program):
    """Output of a process that finds `cash.weights` compiled."""
    out = np.zeros((2, 3))
    for variant in (kernels.cpu("cash").weights.serial, kernels.cpu("cash").weights.parallel):
        variant(np.ones(3), np.ones(3, np.uint8), np.full((1, 3), 2.0), *out)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_llvm_loads_where_we_cannot():
    """As on systems that `_machine` does not know."""
    assert run(BY_LLVM) == ""


PROGRAM = """
import sys
import numpy as np
if {numba_first}:
    import numba
    numba.set_num_threads(1)
from gpudl4 import kernels
from gpudl4.kernels import _symbols
import ctypes
cash, out = kernels.cpu("cash"), np.zeros((2, 3))
arguments = np.ones(3), np.ones(3, np.uint8), np.full((1, 3), 2.0)
cash.weights.serial(*arguments, *out)
cash.weights.parallel(*arguments, *out)
assert (out == [[1.0], [0.5]]).all(), out
assert ("numba" in sys.modules) == {numba_first}
number = ctypes.CFUNCTYPE(ctypes.c_int)(_symbols.address("get_num_threads"))
import numba
print(number(), numba.get_num_threads())
@numba.njit(parallel=True)
def total(a):
    s = 0.0
    for i in numba.prange(len(a)):
        s += a[i]
    return s
assert total(np.ones(100)) == 100.0
numba.set_num_threads(1)
assert number() == 1
"""


@pytest.mark.parametrize("numba_first", [False, True])
def test_beside_numba_in_one_process(numba_first):
    """Threads are one and the same; `numba.set_num_threads` counts for kernels, too."""
    ours, theirs = map(int, run(PROGRAM.format(numba_first=numba_first)).split())
    assert ours == theirs
    assert ours == 1 or not numba_first
