"""Standard output and error that are full, closed, or of another encoding; surroundings that lack something."""

import io
import json
import os
import subprocess
import sys

import pytest

from gpudl4.cli.streams import Stream
from gpudl4.kernels._compiled import NOTICE, UNKEPT
from tests.paths import ROOT

LINUX = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")


class Full(io.StringIO):
    """A stream on a disk that is full."""

    def write(self, text):
        raise OSError(28, "No space left on device")


def test_stream_keeps_its_first_error():
    stream = Stream(Full())
    assert stream.write("abc") == 3
    stream.flush()
    assert stream.reason == "No space left on device"
    closed = io.StringIO()
    closed.close()
    for broken in (closed, None):
        stream = Stream(broken)
        stream.write("abc")
        stream.flush()
        assert stream.isatty() is False
        assert "closed" in stream.reason
    with pytest.raises(TypeError):
        Stream(io.StringIO()).write(b"")


def test_stream_writes_what_its_encoding_lacks_as_escapes():
    raw = io.BytesIO()
    stream = Stream(io.TextIOWrapper(raw, encoding="ascii"))
    stream.write("bär")
    stream.flush()
    assert raw.getvalue() == b"b\\xe4r"
    assert stream.reason == ""


def run(*words, program="from gpudl4.cli.main import main; main()", **options):
    """A process of its own; stderr as lines."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], stderr=subprocess.PIPE, check=False, env=environment, **options
    )
    lines = done.stderr.decode(errors="replace").splitlines()
    return done.returncode, [line for line in lines if line not in (NOTICE, UNKEPT)]


@LINUX
def test_full_output_of_a_fit_leaves_the_results(field, tmp_path):
    with open("/dev/full", "w") as full:
        words = ("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--no-plots")
        code, err = run(*words, stdout=full)
    assert code == 2
    assert err == [f"gpudl4: standard output cannot be written (No space left on device); the results are in '{tmp_path / 'out'}'"]
    assert json.loads((tmp_path / "out" / "result.json").read_text())["success"] is True
    assert (tmp_path / "out" / "models.yaml").exists()


@LINUX
@pytest.mark.parametrize("words", [("info", "models.yaml"), ("--help",)])
def test_full_output(field, words):
    with open("/dev/full", "w") as full:
        code, err = run(*words, stdout=full, cwd=field)
    assert (code, err) == (2, ["gpudl4: standard output cannot be written (No space left on device)"])
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "gpudl4", "info", "nothing.yaml"], stderr=full, cwd=ROOT, check=False)
    assert done.returncode == 2


CLOSED = "import os, sys; os.close({number}); os.execv(sys.executable, [sys.executable, '-m', 'gpudl4', *sys.argv[1:]])"


@pytest.mark.skipif(os.name != "posix", reason="another way to start programs")
@pytest.mark.parametrize("number", [1, 2])
def test_closed_stream(field, tmp_path, number):
    words = ("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--no-plots")
    code, err = run(*words, program=CLOSED.format(number=number), stdout=subprocess.DEVNULL)
    if number == 1:
        assert (code, len(err)) == (2, 1)
        assert err[0].endswith(f"; the results are in '{tmp_path / 'out'}'")
    else:
        assert (code, err) == (0, [])
    names = {"models.yaml", "models_covariance.dat", "result.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert "Fit" not in (tmp_path / "out" / "models.yaml").read_text()  # no message has gone into a file


def test_reader_that_has_seen_enough(field):
    process = subprocess.Popen(
        [sys.executable, "-m", "gpudl4", "info", str(field / "models.yaml")], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0


NO_HOME = """
import os, pwd
def nobody(*_):
    raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = nobody
os.environ.pop("HOME", None)
from gpudl4.cli.main import main
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="no passwd file")
def test_user_without_a_home(field):
    code, err = run("info", field / "models.yaml", program=NO_HOME, stdout=subprocess.DEVNULL)
    assert (code, len(err)) == (2, 1)
    assert err[0].startswith("gpudl4: this user has no home folder, and astropy wants one: set the environment variable HOME")
    assert run("--version", program=NO_HOME, stdout=subprocess.DEVNULL) == (0, [])


LIMITED = "import resource; resource.setrlimit(resource.{name}, ({value}, {value})); from gpudl4.cli.main import main; main()"


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another kind")
def test_too_little_memory_and_too_small_files(field, tmp_path):
    few = LIMITED.format(name="RLIMIT_AS", value=700 << 20)
    code, err = run("info", field / "models.yaml", program=few, stdout=subprocess.DEVNULL)
    assert (code, len(err)) == (2, 1)
    assert "there is not enough memory (the limit for a process, ulimit -v, is 700 MiB; at least 1024 are needed)" in err[0]
    small = LIMITED.format(name="RLIMIT_FSIZE", value=3000)
    words = ("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out")
    code, err = run(*words, program=small, stdout=subprocess.DEVNULL)
    assert code == 2
    assert err[-1] == f"gpudl4: cannot write '{tmp_path / 'out' / 'models.yaml'}': File too large"
    assert list(tmp_path.iterdir()) == []


def test_memory_that_runs_out_is_one_line(command, field, monkeypatch):
    def greedy(*_):
        raise MemoryError

    monkeypatch.setattr("gpudl4.cli.info.kind_of", greedy)
    code, _, err = command("info", field / "models.yaml")
    assert (code, len(err)) == (2, 1)
    assert err[0].startswith("gpudl4: there is not enough memory (MemoryError). A smaller region")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_names_that_are_no_unicode(field, tmp_path):
    folder = os.path.join(os.fsencode(tmp_path), b"b\xe9d \xc3\xa4")
    os.mkdir(folder)
    for name in ("datasets.yaml", "models.yaml", "test.fits"):
        with open(os.path.join(folder, os.fsencode(name)), "wb") as file:
            file.write((field / name).read_bytes())
    for number, env in enumerate(({}, {"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"})):
        out = os.path.join(folder, b"out%d" % number)
        words = [b"fit", folder + b"/datasets.yaml", folder + b"/models.yaml", b"-o", out, b"--no-plots"]
        done = subprocess.run(
            [sys.executable, "-m", "gpudl4", *words], cwd=ROOT, env={**os.environ, **env}, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
        with open(out + b"/result.json", encoding="utf-8") as file:
            path = json.load(file)["inputs"][0]["path"]
        if number < 3:
            assert path.encode("utf-8", "surrogateescape") == os.path.realpath(folder) + b"/datasets.yaml"
