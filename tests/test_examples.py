"""The scripts in docs/examples run, hold what they claim, and draw their figure."""

import os
import subprocess
import sys

import pytest

from .paths import ROOT

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))


def test_there_are_some():
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_runs_and_draws(path, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "figure.png"
    done = subprocess.run(
        [sys.executable, str(path), str(picture)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert picture.stat().st_size > 10_000
