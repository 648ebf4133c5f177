"""Running all benchmarks: what is kept, and what a failure does."""

import pytest

from benchmarks import all as every
from tests.paths import ROOT


@pytest.fixture
def runners(tmp_path, monkeypatch):
    """Two runners, of which the first fails, in place of the real ones."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "bad.py").write_text("print('half a table')\nraise SystemExit(3)\n")
    (tmp_path / "benchmarks" / "good.py").write_text("import sys\nprint('table', sys.argv[1])\n")
    monkeypatch.setattr(every, "ROOT", tmp_path)
    monkeypatch.setattr(every, "RUNNERS", {"bad": ("bad.py",), "good": ("good.py", "{json}")})
    return tmp_path / "kept"


def test_output_is_kept_and_a_failure_told(runners, capfd):
    assert every.main(["--folder", str(runners)]) == 1
    out, err = capfd.readouterr()
    assert (runners / "bad.txt").read_text() == "$ python benchmarks/bad.py\nhalf a table\n"
    json = runners / "good.json"
    assert (runners / "good.txt").read_text() == f"$ python benchmarks/good.py {json}\ntable {json}\n"
    assert f"table {json}\n" in out
    assert err == "failed: bad (exit status 3)\n"


def test_some_of_them(runners):
    assert every.main(["--folder", str(runners), "--only", "good"]) == 0
    assert sorted(path.name for path in runners.iterdir()) == ["good.txt"]


def test_all_runners_exist():
    programs = [words[0] for words in (every.RUNNERS | every.LONG).values()]
    assert [name for name in programs if not (ROOT / "benchmarks" / name).is_file()] == []
