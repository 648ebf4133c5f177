"""``gpudl4 warmup``: all functions, for the types of real fits, with a count, a folder and an end."""

import subprocess
import sys

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.cli import small_fits, warmup
from gpudl4.cli.small_fits import THREADS, compile_threaded, functions
from gpudl4.kernels import launches
from tests.paths import ROOT

NEW_TYPES = """
import warnings
from gpudl4 import Fit
from gpudl4.cli.small_fits import functions, run_all
from tests.factory import make_dataset

run_all({cube!r}, "float64")
unused = [name for name in functions() if "threads" not in name and not functions()[name].forms]
before = {{name: set(f.forms) for name, f in functions().items()}}
for reco_psf in (False, True):
    dataset = make_dataset(reco_psf=reco_psf)
    for name in ("counts", "background", "exposure"):
        setattr(dataset, name, getattr(dataset, name).copy(data=getattr(dataset, name).data.astype({cube!r})))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Fit().run(dataset)
new = [f"{{name}}: {{', '.join(map(str, forms))}}" for name, f in functions().items() for forms in set(f.forms) - before[name]]
print("unused", unused)
print("new", new)
"""


@pytest.mark.parametrize("cube", ["float32", "float64"])
def test_small_fits_use_everything_that_fits_use(cube):
    program = NEW_TYPES.format(cube=cube)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    unused, new = done.stdout.splitlines()[-2:]
    assert unused == "unused []"
    assert new == "new []"


def test_no_fit_compiles_anything_after_it():
    done = subprocess.run([sys.executable, "-m", "tests.cli.every_fit"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *new, number = done.stdout.splitlines()
    assert new == []
    assert int(number) >= 11


def test_functions_are_those_of_all_stems():
    found = functions()
    assert {name.split(".")[0] for name in found} == set(kernels.stems())
    for stem in launches.RULES:
        assert {f"{stem}.{name}" for name in launches.RULES[stem] if hasattr(kernels.cpu(stem), name)} <= set(found)
    assert all(found[name.removesuffix(THREADS)] is not found[name] for name in found if name.endswith(THREADS))


def test_variants_with_threads_get_the_same_types(monkeypatch):
    weights = {name: function for name, function in functions().items() if name.startswith("cash.weights")}
    monkeypatch.setattr(small_fits, "functions", lambda: weights)
    out = np.zeros(3), np.zeros(3)
    kernels.cpu("cash").weights.serial(np.ones(3, np.float32), np.ones(3, np.uint8), np.ones((1, 3)), *out)
    compile_threaded()
    serial, threaded = weights["cash.weights"], weights["cash.weights" + THREADS]
    assert serial.forms
    assert set(serial.forms) <= set(threaded.forms)


# ---- the command ---------------------------------------------------------------------------------------------------------------------
class Bar:
    """Remembers how far it came."""

    def __init__(self):
        self.steps, self.notes = 0, []

    def update(self, note="", step=1):
        self.steps += step
        self.notes.append(note)


@pytest.fixture
def fake_work(monkeypatch, tmp_path):
    """Replaces the program that compiles by one that runs the given lines of Python."""

    popen = subprocess.Popen

    def start(command, **options):
        assert command[1:3] == ["-m", "gpudl4.cli.small_fits"]
        return popen([sys.executable, str(tmp_path / "work.py"), *command[3:]], **options)

    monkeypatch.setattr(warmup.subprocess, "Popen", start)
    return lambda *lines: (tmp_path / "work.py").write_text("\n".join(("import sys", *lines)))


def test_every_function_is_one_step(fake_work):
    fake_work("for word in ('compiled a.b', 'compiled a.b', 'compiled a.b, threads', 'some warning', 'found a.c'): print(word)")
    bar = Bar()
    assert warmup._compile_for_cpu(bar, jobs=2) == 3 * len(warmup.TYPES)
    assert bar.steps == 3 * len(warmup.TYPES)
    assert set(bar.notes) == {"a.b", "a.b, threads", "a.c"}


def test_every_pair_of_types_has_a_process(fake_work):
    fake_work("print('found', *sys.argv[1:])")
    bar = Bar()
    assert warmup._compile_for_cpu(bar, jobs=1) == 0
    assert sorted(bar.notes) == sorted(f"{cube} {real}" for cube in ("float32", "float64") for real in ("float32", "float64"))


def test_a_process_that_fails_is_reported(fake_work):
    fake_work("print('found a.b')", "sys.exit('no memory left')")
    with pytest.raises(RuntimeError, match=r"compiling for float32 and float64 failed:\nfound a\.b\nno memory left"):
        warmup._compile_for_cpu(Bar(), jobs=1)


def test_command(command, fake_work):
    folder = kernels.cpu("contract").contract.files.folder
    fake_work("print('compiled fold.fold')")
    code, out, err = command("warmup", "--backend", "numpy", "--jobs", "1")
    assert (code, err) == (0, [])
    first, last = out.splitlines()
    assert first == f"Compiling for the CPU; the code is kept in {folder}"
    assert last.startswith("CPU: 4 functions compiled (")
    fake_work("print('found fold.fold')")
    assert "CPU: nothing was left to do (" in command("warmup", "--backend", "numpy")[1]


def test_command_for_a_gpu(command, fake_work, monkeypatch, kernel_device):
    fake_work("print('found fold.fold')")
    asked = []
    monkeypatch.setattr(kernels, "cuda", lambda stem, *, cube, real: asked.append((stem, cube, real)))
    code, out, err = command("warmup", "--backend", "cupy")
    assert (code, err) == (0, [])
    assert len(asked) == len(set(asked)) == 4 * len(launches.RULES)
    assert {stem for stem, _, _ in asked} == set(launches.RULES)
    assert out.splitlines()[-1].startswith(f"GPU: {len(asked)} modules (")
    assert command("warmup", "--backend", "numpy")[1].count("\n") == 2
    assert len(asked) == 4 * len(launches.RULES)


def test_command_where_nothing_can_be_kept(command, monkeypatch):
    first = next(iter(functions().values()))
    monkeypatch.setattr(first.files, "folder", None)
    code, out, err = command("warmup", "--backend", "numpy")
    assert (code, out, len(err)) == (2, "", 1)
    assert "set the environment variable NUMBA_CACHE_DIR to a folder that is" in err[0]
