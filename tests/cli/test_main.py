"""The frame of the command line: help, version, exit codes, one line per mistake."""

import os
import signal
import subprocess
import sys
import time

import pytest

from gpudl4 import __version__


def test_help_and_version(command):
    code, out, err = command()
    assert (code, err) == (0, [])
    assert "gpudl4 fit DATASETS MODELS.yaml -o OUT" in out
    assert command("--version") == (0, f"gpudl4 {__version__}\n", [])
    for name in ("fit", "info", "demo", "warmup"):
        code, out, err = command(name, "--help")
        assert (code, err) == (0, [])
        assert f"Usage: gpudl4 {name}" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fly"], "gpudl4: No such command 'fly'. See 'gpudl4 --help'."),
        (["fit"], "gpudl4 fit: Missing argument 'DATASETS'. See 'gpudl4 fit --help'."),
        (["fit", "a.yaml", "b.yaml"], "gpudl4 fit: Missing option '-o' / '--output'. See 'gpudl4 fit --help'."),
        (["fit", "a", "b", "-o", "c", "--backend", "abacus"], "is not one of 'auto', 'numpy', 'cupy'"),
        (["info", "a", "--loud"], "No such option"),
        (["info", "no-such-file.fits"], "gpudl4: file 'no-such-file.fits' does not exist"),
    ],
)
def test_mistakes_are_one_line(command, words, message):
    code, out, err = command(*words)
    assert (code, out, len(err)) == (2, "", 1)
    assert message in err[0]


def test_installed_command_and_module_agree(tmp_path):
    for words in ([sys.executable, "-m", "gpudl4"], [os.path.join(os.path.dirname(sys.executable), "gpudl4")]):
        done = subprocess.run([*words, "info", str(tmp_path / "none.yaml")], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr == f"gpudl4: file '{tmp_path / 'none.yaml'}' does not exist\n"


def test_unforeseen_errors_keep_their_traceback(command, monkeypatch):
    def broken(path):
        raise RuntimeError("a mistake of the program")

    monkeypatch.setattr("gpudl4.cli.info.kind_of", broken)
    with pytest.raises(RuntimeError, match="a mistake of the program"):
        command("info", "x")


def test_termination_removes_the_half_made_output(tmp_path):
    """What a batch system does to a job that takes too long."""
    words = [sys.executable, "-m", "gpudl4", "demo", "--output", str(tmp_path / "out")]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".gpudl4.*.part")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err == ""
    assert list(tmp_path.iterdir()) == []
