"""Compiled code on disk: found again, never mixed up, never out of date, and in the folder that can be used."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpudl4.kernels import _files
from gpudl4.kernels._arrays import Form
from gpudl4.kernels._files import Files, folders, stamp

KEYS = [(Form(char, 1, True, True, True), Form("B", 2, True, True, False)) for char in "fd"]


@pytest.fixture
def source(tmp_path):
    """A source file, which takes a constant from one beside it."""
    path = tmp_path / "package" / "stem.py"
    path.parent.mkdir()
    path.write_text("from .tables import COLUMN\n")
    path.with_name("tables.py").write_text("COLUMN = 1\n")
    stamp.cache_clear()
    yield path
    stamp.cache_clear()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def files(source, folder):
    """As the processes of two users of one folder make them."""
    return [Files(source, "stem.name.cpython", [folder]) for _ in range(2)]


def test_what_was_saved_is_found(files):
    first, second = files
    assert first.load(KEYS[0]) is None
    first.save(KEYS[0], b"32")
    assert second.load(KEYS[0]) == b"32"
    assert second.load(KEYS[1]) is None


def test_two_processes_that_save_at_once_keep_both(files, monkeypatch):
    """The second one saves between every two steps of the first one."""
    first, second = files
    replace = os.replace

    def interrupted(part, path):
        monkeypatch.setattr(os, "replace", replace)
        second.save(KEYS[1], b"64")
        replace(part, path)

    monkeypatch.setattr(os, "replace", interrupted)
    first.save(KEYS[0], b"32")
    assert [one.load(key) for one in files for key in KEYS] == [b"32", b"64"] * 2


@pytest.mark.parametrize("length", [0, 10, 33, -1])
def test_a_file_that_is_not_whole_counts_as_missing(files, folder, length):
    files[0].save(KEYS[0], b"code")
    (path,) = folder.glob("*.nbc")
    path.write_bytes(path.read_bytes()[:length])
    assert files[1].load(KEYS[0]) is None


def test_a_file_that_was_changed_counts_as_missing(files, folder):
    files[0].save(KEYS[0], b"code")
    (path,) = folder.glob("*.nbc")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert files[1].load(KEYS[0]) is None


def test_who_finds_nothing_compiles_and_others_wait(files, folder):
    said = []
    assert files[0].load(KEYS[0], waiting=lambda: said.append("first")) is None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(files[1].load, KEYS[0], lambda: said.append("second"))
        while not said:
            pass
        files[0].save(KEYS[0], b"code")
        assert waiting.result() == b"code"
    assert said == ["second"]
    assert [path.suffix for path in folder.iterdir()] == [".nbc"]


def test_who_gives_up_lets_others_compile(files, folder):
    assert files[0].load(KEYS[0]) is None
    files[0].give_up(KEYS[0])
    assert files[1].load(KEYS[0], waiting=lambda: pytest.fail("nobody compiles it")) is None
    files[1].give_up(KEYS[0])
    assert list(folder.iterdir()) == []


def test_a_disk_that_is_full_leaves_nothing_behind_and_costs_no_result(files, folder, monkeypatch):
    def full(part, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    files[0].save(KEYS[0], b"code")
    assert list(folder.iterdir()) == []


# ---- what the code depends on --------------------------------------------------------------------------------------------------------
def test_sources_that_are_imported_count(source, folder):
    Files(source, "stem.name", [folder]).save(KEYS[0], b"old")
    source.with_name("tables.py").write_text("COLUMN = 2\n")
    stamp.cache_clear()
    changed = Files(source, "stem.name", [folder])
    assert changed.load(KEYS[0]) is None
    changed.save(KEYS[1], b"new")
    assert len(list(folder.glob("*.nbc"))) == 1  # the old one is removed


def test_files_of_others_stay(source, folder):
    other = Files(source, "stem.name_parallel.cpython", [folder])
    other.save(KEYS[0], b"other function")
    source.write_text("changed = True\n")
    stamp.cache_clear()
    Files(source, "stem.name.cpython", [folder]).save(KEYS[0], b"new")
    assert other.load(KEYS[0]) == b"other function"


def test_versions_processor_and_settings_count(source, monkeypatch):
    def now():
        stamp.cache_clear()
        _files._machine.cache_clear()
        return stamp(source)

    found = [now()]
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    assert now() == found[0]
    monkeypatch.setenv("NUMBA_OPT", "1")
    found.append(now())
    monkeypatch.setattr(_files, "_processor", lambda: "another one")
    found.append(now())
    monkeypatch.setattr(_files.importlib.metadata, "version", lambda name: "99")
    found.append(now())
    assert len(set(found)) == 4
    monkeypatch.undo()
    assert now() == found[0]


def test_the_processor_is_known():
    assert _files._processor().strip()


# ---- folders -------------------------------------------------------------------------------------------------------------------------
def test_folders_in_the_order_of_preference(source, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert folders(source) == [tmp_path / "chosen" / "gpudl4", source.parent / "__pycache__", tmp_path / "user" / "gpudl4"]
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert folders(source) == [source.parent / "__pycache__", tmp_path / "home" / ".cache" / "gpudl4"]


def test_code_of_an_installation_that_became_read_only_serves(source, tmp_path, monkeypatch):
    """It is read from the first folder, and new code is written to the second."""
    install, user = tmp_path / "install", tmp_path / "user"
    Files(source, "stem.name", [install, user]).save(KEYS[0], b"compiled by the administrator")
    monkeypatch.setattr(_files, "_is_writable", lambda folder: folder == user)
    user.mkdir()
    files = Files(source, "stem.name", [install, user])
    assert files.folder == user
    assert files.load(KEYS[0]) == b"compiled by the administrator"
    assert files.load(KEYS[1]) is None
    files.save(KEYS[1], b"compiled by a user")
    assert Files(source, "stem.name", [install, user]).load(KEYS[1]) == b"compiled by a user"
    assert [path.name.count(".nbc") for path in (*install.iterdir(), *user.iterdir())] == [1, 1]


def test_without_any_folder(source, tmp_path):
    (tmp_path / "file").touch()
    files = Files(source, "stem.name", [tmp_path / "file" / "below"])
    assert files.folder is None
    assert files.load(KEYS[0]) is None
    files.save(KEYS[0], b"code")
    files.give_up(KEYS[0])
    assert files.load(KEYS[0]) is None
