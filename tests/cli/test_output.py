"""Output folders appear whole or not at all."""

import json

import pytest

from gpudl4.cli.output import staged_folder
from gpudl4.core.errors import OutputError


def test_folder_appears_at_the_end(tmp_path):
    target = tmp_path / "a" / "b"
    with staged_folder(target) as stage:
        (stage / "x.txt").write_text("1")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["x.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def fail_half_way(folder):
    with staged_folder(folder) as stage:
        (stage / "x.txt").write_text("1")
        raise ValueError("stop")


def test_nothing_is_left_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="stop"):
        fail_half_way(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_refused_even_if_empty(tmp_path):
    with pytest.raises(OutputError, match="exists already; choose another one or pass --overwrite"), staged_folder(tmp_path):
        pass


def test_overwrite_replaces_what_an_earlier_run_wrote_and_nothing_else(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "result.json").write_text(json.dumps({"files": ["old.png", "kept/../../escape.txt", "result.json"]}))
    (target / "old.png").write_text("old")
    (target / "mine.txt").write_text("mine")
    (tmp_path / "escape.txt").write_text("outside")
    with staged_folder(target, overwrite=True) as stage:
        (stage / "new.png").write_text("new")
        (stage / "result.json").write_text("{}")
    assert sorted(path.name for path in target.iterdir()) == ["mine.txt", "new.png", "result.json"]
    assert (tmp_path / "escape.txt").exists()


def test_overwrite_keeps_the_old_results_after_an_error(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "result.json").write_text('{"files": ["result.json"]}')
    with pytest.raises(ValueError, match="stop"), staged_folder(target, overwrite=True):
        raise ValueError("stop")
    assert [path.name for path in target.iterdir()] == ["result.json"]


def test_damaged_manifest_does_no_harm(tmp_path):
    for text in ("", "[]", '{"files": 3}', '{"files": [7]}'):
        (tmp_path / "result.json").write_text(text)
        with staged_folder(tmp_path, overwrite=True) as stage:
            (stage / "x").write_text(text)
        assert (tmp_path / "x").read_text() == text


def test_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"), staged_folder(tmp_path / "file", overwrite=True):
        pass
    with pytest.raises(OutputError, match=r"cannot be written: Not a directory"), staged_folder(tmp_path / "file" / "out"):
        pass


def test_environment_variables_are_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("GPUDL4_TEST_FOLDER", str(tmp_path))
    with staged_folder("$GPUDL4_TEST_FOLDER/out") as stage:
        (stage / "x").touch()
    assert (tmp_path / "out" / "x").exists()
