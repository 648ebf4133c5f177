"""The plugin fails a session in which CuPy was called as CuPy cannot be called, though every test passed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEST = """
import numpy as np
from tests import emulator
from tests.emulator.calls import record

def test_good():
    with emulator.installed() as cp:
        assert int(cp.sum(cp.asarray(np.ones(3)))) == 3

def test_bad():
    record("cupy.sum", 1, {keywords!r})
"""


def run(folder, keywords):
    """A session of its own with two tests that pass."""
    (folder / "test_calls.py").write_text(TEST.format(keywords=keywords))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.emulator.plugin", "--rootdir", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False, cwd=folder, env=environment)


def test_sessions(tmp_path):
    pytest.importorskip("cupy", reason="needs a CuPy wheel (no GPU): pip install cupy-cuda13x")
    good, bad = run(tmp_path, ["axis"]), run(tmp_path, ["where"])
    assert "2 passed" in good.stdout
    assert "2 passed" in bad.stdout
    assert good.returncode == 0
    assert "were recorded, 0 do not fit the installed CuPy" in good.stdout
    assert bad.returncode == 1
    assert "were recorded, 1 do not fit the installed CuPy" in bad.stdout
    assert "cupy.sum with 1 positional arguments and keywords where" in bad.stdout
    assert "first called by test_calls.py::test_bad" in bad.stdout
