"""Claims on functions that several processes want to compile."""

import subprocess
import sys

import pytest

from gpudl4.kernels._claims import Claims

pytest.importorskip("fcntl")

HOLD = """
import sys
from pathlib import Path
from gpudl4.kernels._claims import Claims
claims = Claims()
claims.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds a claim until it is told a line or killed, and the path."""
    path = tmp_path / "function.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process, path
        process.kill()


def test_others_wait_until_it_is_dropped(tmp_path):
    path, first, second, said = tmp_path / "function.lock", Claims(), Claims(wait=30), []

    def let_go():
        said.append("waiting")
        first.drop(path)

    first.take(path)
    second.take(path, waiting=let_go)
    assert said == ["waiting"]
    assert list(second._held) == [path]
    second.drop(path)
    assert not first._held
    assert not second._held


def test_nothing_is_left_behind(tmp_path):
    path, claims = tmp_path / "function.lock", Claims()
    claims.take(path)
    assert path.exists()
    claims.take(path)  # its own: no waiting
    claims.drop(path)
    claims.drop(path)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_dies_holds_nothing(holder):
    process, path = holder
    claims, said = Claims(wait=30), []

    def kill():
        said.append("waiting")
        process.kill()

    claims.take(path, waiting=kill)
    assert said == ["waiting"]
    assert path in claims._held
    claims.drop(path)


def test_waiting_ends(holder):
    _, path = holder
    claims, said = Claims(wait=0.05), []
    claims.take(path, waiting=lambda: said.append("waiting"))
    assert said == ["waiting"]
    assert not claims._held


def test_where_no_file_can_be_made_nothing_is_claimed(tmp_path):
    claims = Claims()
    claims.take(tmp_path / "missing" / "function.lock")
    assert not claims._held
