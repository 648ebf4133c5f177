"""Compiled code on disk: found again, never mixed up, never out of date, and not needed."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from numba.core import types

from gpudl4 import kernels
from gpudl4.kernels import _compiled
from gpudl4.kernels._compiled import NOTICE, UNKEPT, KernelCache, compiled

KEYS = [("float32", ("triple", "cpu", "features"), ("code", "closure")), ("float64", ("triple", "cpu", "features"), ("code", "closure"))]
SOURCE = """
from gpudl4.kernels._compiled import compiled
from .{name} import FACTOR

@compiled
def scale(values, out):
    for i in range(values.shape[0]):
        out[i] = FACTOR * values[i]
"""


@pytest.fixture
def files(tmp_path):
    """As the processes of two users of one folder make them."""
    return [_compiled._Files(tmp_path, "stem.name.cpython", "stamp") for _ in range(2)]


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    """Where Numba keeps what this test compiles."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def said(capsys, monkeypatch):
    """Lines about compiling since the test began."""
    _compiled._say_once.cache_clear()
    yield lambda: [line for line in capsys.readouterr().err.splitlines() if line.startswith("gpudl4: compiling")]
    _compiled._say_once.cache_clear()


def load_module(folder, factor, monkeypatch):
    """Import a package with a compiled function that takes a constant from a module beside it, anew."""
    import importlib
    import sys

    package = folder / "made"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "constants.py").write_text(f"FACTOR = {factor}\n")
    (package / "kernel.py").write_text(SOURCE.format(name="constants"))
    monkeypatch.syspath_prepend(str(folder))
    for name in [n for n in sys.modules if n.split(".")[0] == "made"]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    _compiled._stamp.cache_clear()
    return importlib.import_module("made.kernel").scale


def call(function, dtype="float64"):
    out = np.zeros(3, dtype=dtype)
    function(np.ones(3, dtype=dtype), out)
    return out[0]


# ---- files ---------------------------------------------------------------------------------------------------------------------------
def test_files_give_back_what_was_saved(files):
    first, second = files
    assert first.load(KEYS[0]) is None
    first.save(KEYS[0], {"code": b"32"})
    assert second.load(KEYS[0]) == {"code": b"32"}
    assert second.load(KEYS[1]) is None


def test_two_processes_that_save_at_once_keep_both(files, monkeypatch):
    """The second one saves between every two steps of the first one."""
    first, second = files
    replace = os.replace

    def interrupted(part, path):
        monkeypatch.setattr(os, "replace", replace)
        second.save(KEYS[1], "64")
        replace(part, path)

    monkeypatch.setattr(os, "replace", interrupted)
    first.save(KEYS[0], "32")
    assert [one.load(key) for one in files for key in KEYS] == ["32", "64"] * 2


@pytest.mark.parametrize("length", [0, 10, 40, -1])
def test_a_file_that_is_not_whole_counts_as_missing(files, tmp_path, length):
    files[0].save(KEYS[0], "code")
    (path,) = tmp_path.glob("*.nbc")
    path.write_bytes(path.read_bytes()[:length])
    assert files[1].load(KEYS[0]) is None


def test_older_sources_are_removed_and_others_stay(files, tmp_path):
    other = _compiled._Files(tmp_path, "stem.name_parallel.cpython", "old")
    other.save(KEYS[0], "other function")
    _compiled._Files(tmp_path, "stem.name.cpython", "old").save(KEYS[0], "old")
    files[0].save(KEYS[1], "new")
    assert (files[0].load(KEYS[1]), other.load(KEYS[0])) == ("new", "other function")
    assert len(list(tmp_path.iterdir())) == 2
    assert files[0].load(KEYS[0]) is None
    files[0].flush()
    assert [path.name.split(".")[1] for path in tmp_path.glob("*.nbc")] == ["name_parallel"]


def test_who_finds_nothing_compiles_and_others_wait(files, tmp_path):
    assert files[0].load(KEYS[0]) is None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(files[1].load, KEYS[0])
        files[0].save(KEYS[0], "code")
        assert waiting.result() == "code"
    assert [path.suffix for path in tmp_path.iterdir()] == [".nbc"]


def test_a_disk_that_is_full_leaves_nothing_behind(files, tmp_path, monkeypatch):
    def full(part, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        files[0].save(KEYS[0], "code")
    assert list(tmp_path.iterdir()) == []


# ---- functions -----------------------------------------------------------------------------------------------------------------------
def test_compiled_once_and_found_again(tmp_path, cache_folder, monkeypatch, said):
    first = load_module(tmp_path, 2.0, monkeypatch)
    assert [call(first), call(first, "float32")] == [2.0, 2.0]
    assert said() == [NOTICE]
    assert (sum(first.stats.cache_misses.values()), sum(first.stats.cache_hits.values())) == (2, 0)
    assert len(list(cache_folder.rglob("kernel.scale.*.nbc"))) == 2
    _compiled._say_once.cache_clear()
    again = load_module(tmp_path, 2.0, monkeypatch)
    assert again is not first
    assert [call(again), call(again, "float32")] == [2.0, 2.0]
    assert (sum(again.stats.cache_misses.values()), sum(again.stats.cache_hits.values())) == (0, 2)
    assert said() == []


def test_a_constant_that_changes_in_another_file_is_noticed(tmp_path, cache_folder, monkeypatch):
    assert call(load_module(tmp_path, 2.0, monkeypatch)) == 2.0
    assert call(load_module(tmp_path, 3.0, monkeypatch)) == 3.0


def test_quiet(tmp_path, cache_folder, monkeypatch, said):
    with _compiled.quiet():
        assert call(load_module(tmp_path, 2.0, monkeypatch)) == 2.0
    assert said() == []


def test_a_disk_that_becomes_full_costs_no_result(tmp_path, cache_folder, monkeypatch):
    function = load_module(tmp_path, 2.0, monkeypatch)
    monkeypatch.setattr(function._cache._cache_file, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert call(function) == 2.0


def test_without_any_folder(tmp_path, monkeypatch, said):
    def nowhere(*_):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(_compiled.KernelCache, "__init__", nowhere)
    function = load_module(tmp_path, 2.0, monkeypatch)
    assert call(function) == 2.0
    assert said() == [UNKEPT]
    assert function.stats.cache_path is None


def test_the_key_is_the_same_in_every_process():
    """Files are found by the text of their key; no address may be part of it."""
    cache = KernelCache(kernels.cpu("contract").contract.py_func)
    array = types.Array(types.float64, 2, "C")
    key = cache._index_key((array, array.copy(readonly=True), types.int64), numba.core.registry.cpu_target.target_context.codegen())
    assert " at 0x" not in repr(key)
    assert repr(pickle.loads(pickle.dumps(key))) == repr(key)


@pytest.mark.parametrize("stem", kernels.stems())
def test_every_kernel_is_kept(stem):
    module = kernels.cpu(stem)
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__ and callable(value)]
    dispatchers = [d for value in own for d in ([value.serial, value.parallel] if hasattr(value, "serial") else [value])]
    dispatchers = [d for d in dispatchers if hasattr(d, "py_func")]
    assert dispatchers
    assert all(isinstance(d._cache, KernelCache) and d.targetoptions["nogil"] for d in dispatchers)


def test_options_reach_numba():
    assert compiled(lambda x: x, error_model="numpy").targetoptions["error_model"] == "numpy"
