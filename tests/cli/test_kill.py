"""Output folders when a run is killed, whenever that is: the old result or the new one stands, or comes back with the next run."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest

from gpudl4.cli.output import staged_folder
from gpudl4.core.errors import OutputError
from tests.paths import ROOT

OLD = {"models.yaml": "old", "old.png": "old", "result.json": json.dumps({"files": ["models.yaml", "old.png", "result.json"]})}
NAMES = ("models.yaml", "new.png", "result.json")
NEW = {"models.yaml": "new", "new.png": "new", "result.json": json.dumps({"files": list(NAMES)})}
MINE = {"mine.txt": "mine"}


def content(folder):
    """Names and texts of what is in a folder; folders as None."""
    return {path.name: None if path.is_dir() else path.read_text() for path in folder.iterdir()}


def fill(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def start(folder, step, how=signal.SIGKILL, cwd=ROOT):
    """The process that is killed at a step."""
    words = [sys.executable, "-m", "tests.cli.kill", str(step), str(int(how)), str(folder), *NAMES]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(words, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run_all(folders, how, **options):
    """Kill a run for each folder, at step 1, 2, ...; exit codes."""
    codes, waiting = [], []
    for step, folder in enumerate(folders, start=1):
        waiting.append(start(folder, step, how, **options))
        if len(waiting) == 4 or step == len(folders):
            for process in waiting:
                process.communicate()
                codes.append(process.returncode)
            waiting = []
    return codes


def steps(tmp_path, files, **options):
    """How many steps a run has that is not killed."""
    fill(tmp_path / "whole" / "out", files)
    process = start(tmp_path / "whole" / "out", 0, **options)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return int(out)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("own", [{}, MINE], ids=["results only", "own files beside"])
def test_killed_at_every_step(tmp_path, how, own):
    folders = [tmp_path / str(step) / "out" for step in range(steps(tmp_path, OLD | own))]
    assert len(folders) > 10
    for folder in folders:
        fill(folder, OLD | own)
    codes = run_all(folders, how)
    assert codes[0] == (-how if how == signal.SIGKILL else 143)
    kept, seen = set(), set()
    for folder in folders:
        parent = folder.parent
        if how == signal.SIGTERM:
            assert content(parent) == {"out": None}  # nothing is left beside
        elif folder.exists() and not own:
            assert content(folder) in (OLD, NEW)  # never a mixture
        elif folder.exists():
            now = content(folder)
            assert now["mine.txt"] == "mine"  # never moved
            if "result.json" in now:  # what has a record is whole
                assert {name for name in now if not name.startswith(".")} in (set(OLD | own), set(NEW | own))
        else:
            seen.add("out is away")
        # the next run, which need not be allowed to overwrite, brings back what was there and clears up
        with pytest.raises(OutputError, match="exists already"), staged_folder(folder):
            pass
        assert content(parent) == {"out": None}
        assert content(folder) in (OLD | own, NEW | own)
        kept.add(content(folder)["models.yaml"])
    assert kept == {"old", "new"}
    assert seen == ({"out is away"} if how == signal.SIGKILL and not own else set())


def test_killed_at_every_step_without_an_old_result(tmp_path):
    folders = [tmp_path / str(step) / "deep" / "out" for step in range(steps(tmp_path, {}))]
    for folder in folders:
        folder.parent.parent.mkdir()
    run_all(folders, signal.SIGKILL)
    for folder in folders:
        assert not folder.exists() or content(folder) == NEW
        with staged_folder(folder, overwrite=True) as stage:
            fill(stage, NEW)
        assert [path.name for path in folder.parent.parent.iterdir()] == ["deep"]
        assert content(folder.parent) == {"out": None}
        assert content(folder) == NEW


def test_working_folder_stays_where_it_is(tmp_path):
    fill(tmp_path / "out", OLD)
    before = (tmp_path / "out").stat().st_ino
    assert steps(tmp_path, OLD) != 0
    process = start(".", 0, cwd=tmp_path / "out")
    assert process.communicate()[1] == ""
    assert (tmp_path / "out").stat().st_ino == before
    assert content(tmp_path / "out") == NEW
    empty = tmp_path / "empty"
    empty.mkdir()
    before = empty.stat().st_ino
    assert start(".", 0, cwd=empty).communicate()[1] == ""
    assert empty.stat().st_ino == before
    assert content(empty) == NEW


def test_a_run_that_lives_is_left_alone(tmp_path):
    with staged_folder(tmp_path / "out") as stage:
        fill(stage, NEW)
        with pytest.raises(OutputError, match="another run is about to write the output folder"), staged_folder(tmp_path / "out"):
            pass
        with staged_folder(tmp_path / "other") as other:
            fill(other, OLD)
        assert content(stage) == NEW
    assert content(tmp_path / "out") == NEW
    assert content(tmp_path) == {"out": None, "other": None}


def test_the_slower_of_two_runs_is_refused_and_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("gpudl4.cli.output.fcntl", None)  # nothing is known about other runs
    out = tmp_path / "out"
    with contextlib.ExitStack() as slow:
        fill(slow.enter_context(staged_folder(out)), OLD)
        with staged_folder(out) as fast:
            fill(fast, NEW)
        with pytest.raises(OutputError, match=r"written by another run meanwhile. The results are in '.*out-\w{8}'"):
            slow.close()
    assert content(out) == NEW
    (kept,) = tmp_path.glob("out-*")
    assert content(kept) == OLD
    assert len(content(tmp_path)) == 2


@pytest.mark.parametrize("own", [{}, MINE], ids=["results only", "own files beside"])
def test_a_folder_in_the_place_of_a_file(tmp_path, own):
    out = tmp_path / "out"
    fill(out, OLD | own)
    (out / "new.png").mkdir()
    before = content(out)
    with pytest.raises(OutputError, match=r"new.png' is a folder, and a file of this name"), staged_folder(out, True, NAMES):
        raise AssertionError("known before")
    with pytest.raises(OutputError, match=r"The results are in '.*out-\w{8}'"), staged_folder(out, overwrite=True) as stage:
        fill(stage, NEW)
    assert content(out) == before
    (kept,) = tmp_path.glob("out-*")
    assert content(kept) == NEW


def test_an_error_in_between_puts_the_old_files_back(tmp_path, monkeypatch):
    out, rename = tmp_path / "out", os.rename
    fill(out, OLD | MINE)

    def fail(source, target):
        if str(target).endswith("out/new.png"):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OutputError, match=r"No space left on device. The results are in"), staged_folder(out, overwrite=True) as stage:
        fill(stage, NEW)
    assert content(out) == OLD | MINE
    (kept,) = tmp_path.glob("out-*")
    assert content(kept) == NEW
    assert len(content(tmp_path)) == 2


def test_links_are_followed_and_stay(tmp_path):
    fill(tmp_path / "real", OLD)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("later")
    for name, place in (("link", "real"), ("dangling", "later")):
        with staged_folder(tmp_path / name, overwrite=True) as stage:
            fill(stage, NEW)
        assert (tmp_path / name).is_symlink()
        assert content(tmp_path / place) == NEW


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(OutputError, match="cannot be written: File name too long"), staged_folder(tmp_path / ("a" * 300)):
        pass
    with staged_folder(tmp_path / ("a" * 255)) as stage:
        fill(stage, NEW)
    assert content(tmp_path / ("a" * 255)) == NEW
