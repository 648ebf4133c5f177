"""``gpudl4 fit``: what it writes, and each way it can end."""

import dataclasses
import json
import re
import shutil
import sys

import numpy as np
import pytest

from gpudl4.core.errors import FitError, OutputError
from gpudl4.datasets import Datasets
from gpudl4.fit import Fit
from gpudl4.models import Models

PICTURES = {
    "counts.png",
    "model.png",
    "residual_significance.png",
    "images.png",
    "spectrum.png",
    "residual_histogram.png",
    "source_spectra.png",
}
NUMBERS = {"models.yaml", "models_covariance.dat", "result.json"}


@pytest.fixture(scope="module")
def fitted(field, tmp_path_factory):
    """Results of one fit with pictures."""
    pytest.importorskip("matplotlib")
    from gpudl4.cli.main import run

    out = tmp_path_factory.mktemp("results") / "out"
    assert run(["fit", str(field / "datasets.yaml"), str(field / "models.yaml"), "-o", str(out), "--plots"]) == 0
    return out


def test_files(fitted):
    names = {path.name for path in fitted.iterdir()}
    assert names == NUMBERS | PICTURES
    for name in PICTURES:
        assert (fitted / name).read_bytes()[:4] == b"\x89PNG"
    assert set(json.loads((fitted / "result.json").read_text())["files"]) == names
    assert [path.name for path in fitted.parent.iterdir()] == ["out"]


def test_record_agrees_with_a_fit_in_python(fitted, field):
    record = json.loads((fitted / "result.json").read_text())
    datasets = Datasets.read(field / "datasets.yaml")
    datasets.models = Models.read(field / "models.yaml")
    result = Fit().run(datasets)
    assert record["success"] is True
    assert record["total_stat"] == result.total_stat
    assert [row["name"] for row in record["parameters"]] == list(result.names) == record["covariance"]["names"]
    assert np.array_equal([row["value"] for row in record["parameters"]], result.values)
    assert np.allclose(np.sqrt(np.diag(record["covariance"]["matrix"])), result.errors)
    assert {row["name"]: row["unit"] for row in record["parameters"]}["point.lon_0"] == "deg"
    hashed = {row["path"].rpartition("/")[2] for row in record["inputs"]}
    assert hashed == {"datasets.yaml", "models.yaml", "test.fits"}
    assert {"read", "fit", "plots"} == set(record["seconds"])
    assert record["command"][:2] == ["gpudl4", "fit"]


def test_fitted_models_can_be_read_back(fitted, field):
    models = Models.read(fitted / "models.yaml")
    datasets = Datasets.read(field / "datasets.yaml")
    datasets.models = models
    record = json.loads((fitted / "result.json").read_text())
    assert datasets.stat_sum() == pytest.approx(record["total_stat"], abs=1e-3)
    errors = {f"{model.name}.{parameter.name}": parameter.error for model in models for parameter in model.parameters}
    for row in record["parameters"]:
        assert errors[row["name"]] == pytest.approx(row["error"], rel=1e-4)


def test_says_what_it_does(command, field, tmp_path):
    code, out, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--no-plots")
    assert (code, err) == (0, [])
    assert "Read 1 dataset from" in out
    assert "Read 3 models with 10 free parameters" in out
    assert "gauss.sigma" in out
    assert out.splitlines()[-1] == f"Wrote models.yaml, models_covariance.dat, result.json and 0 pictures to {tmp_path / 'out'}"
    assert {path.name for path in (tmp_path / "out").iterdir()} == NUMBERS


def test_several_datasets_have_their_own_pictures(command, field, tmp_path, monkeypatch):
    plot = pytest.importorskip("gpudl4.plot")
    monkeypatch.setattr(plot, "save", lambda figure, path: path.touch())
    one = Datasets.read(field / "datasets.yaml")[0]
    other = one.copy(name="my other")
    Datasets([one, other]).write(tmp_path / "datasets.yaml")
    code, _, err = command("fit", tmp_path / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out")
    assert (code, err) == (0, [])
    assert {path.name for path in tmp_path.joinpath("out").glob("counts*")} == {"counts_test.png", "counts_my_other.png"}


def test_not_converged_is_3_and_writes_results(command, field, tmp_path, monkeypatch):
    original = Fit.run

    def stopped(self, datasets, models=None):
        return dataclasses.replace(original(self, datasets, models), success=False, message="it was told to stop")

    monkeypatch.setattr(Fit, "run", stopped)
    code, out, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--no-plots")
    assert code == 3
    assert err == ["The fit did not converge: it was told to stop"]
    assert "Wrote models.yaml" in out
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["success"] is False
    assert record["message"] == "it was told to stop"


def bad_field(field, folder, case):
    """Copy of the field's files with one thing wrong; the paths of both YAML files."""
    for path in field.iterdir():
        shutil.copy(path, folder / path.name)
    datasets, models = folder / "datasets.yaml", folder / "models.yaml"
    text = models.read_text()
    if case == "no datasets file":
        datasets.unlink()
    elif case == "no FITS file":
        (folder / "test.fits").unlink()
    elif case == "truncated FITS":
        (folder / "test.fits").write_bytes((folder / "test.fits").read_bytes()[:20000])
    elif case == "FITS as YAML":
        shutil.copy(folder / "test.fits", datasets)
    elif case == "empty models":
        models.write_text("")
    elif case == "swapped files":
        datasets, models = models, datasets
    elif case == "unknown tag":
        models.write_text(text.replace("PowerLawSpectralModel", "PowerSawSpectralModel"))
    elif case == "nothing free":
        loaded = Models.read(models)
        loaded.freeze()
        loaded.write(models, overwrite=True)
    return datasets, models


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no datasets file", r"file '.*datasets.yaml' does not exist"),
        ("no FITS file", r"file 'test.fits' was not found"),
        ("truncated FITS", r"test.fits"),
        ("FITS as YAML", r"is a FITS file; a YAML file was wanted"),
        ("empty models", r"models.yaml' is empty"),
        ("swapped files", r"models file"),
        ("unknown tag", r"PowerSawSpectralModel"),
        ("nothing free", r"no parameter is free"),
    ],
)
def test_bad_input_is_2_with_one_line_and_no_output(command, field, tmp_path, case, message):
    folder = tmp_path / "input"
    folder.mkdir()
    datasets, models = bad_field(field, folder, case)
    code, _, err = command("fit", datasets, models, "-o", tmp_path / "out", "--no-plots")
    assert code == 2
    assert len(err) == 1, err
    assert re.search(message, err[0]), err[0]
    assert [path.name for path in tmp_path.iterdir()] == ["input"]


def test_existing_output_is_refused_before_any_work(command, field, tmp_path):
    (tmp_path / "out").mkdir()
    code, out, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out")
    assert (code, out, len(err)) == (2, "", 1)
    assert "exists already; choose another one or pass --overwrite" in err[0]


def test_overwrite_replaces_the_results(command, field, fitted, tmp_path):
    shutil.copytree(fitted, tmp_path / "out")
    words = ("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--no-plots", "--overwrite")
    assert command(*words)[0] == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == NUMBERS


def test_output_that_cannot_be_written(command, field, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "file" / "out")
    assert (code, out, len(err)) == (2, "", 1)
    assert "cannot be written: Not a directory" in err[0]


def test_missing_gpu_is_bad_input(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    code, out, err = command("fit", "no-such.yaml", "no-such.yaml", "-o", tmp_path / "out", "--backend", "cupy")
    assert (code, out, len(err)) == (2, "", 1)
    assert err[0].startswith("gpudl4: backend 'cupy' cannot be used: CuPy is not installed: pip install 'gpudl4[gpu]'")
    monkeypatch.setenv("GPUDL4_BACKEND", "gpu")
    code, out, err = command("fit", "no-such.yaml", "no-such.yaml", "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    assert "unknown backend 'gpu' of the environment variable GPUDL4_BACKEND: choose one of auto, numpy, cupy" in err[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("backend", "home"), [("auto", "cpu"), ("numpy", "cpu"), ("cupy", "cuda:0")])
def test_backend_decides_where_data_are_and_where_the_fit_runs(command, device, field, tmp_path, monkeypatch, backend, home):
    seen = []

    def look(self, datasets, models=None):
        seen.append((datasets[0].backend.device, self.device))
        raise FitError("seen enough")

    monkeypatch.setattr(Fit, "run", look)
    monkeypatch.delenv("GPUDL4_BACKEND", raising=False)
    code, _, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--backend", backend)
    assert (code, err) == (2, ["gpudl4: seen enough"])
    assert seen == [(home, backend)]


def test_a_fit_on_a_device_says_what_a_fit_on_the_host_says(command, kernel_device, field, fitted, tmp_path):
    words = ("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--backend", "cupy", "--plots")
    code, out, err = command(*words)
    assert (code, err) == (0, [])
    assert re.search(r"ran on +: cupy", out)
    assert {path.name for path in (tmp_path / "out").iterdir()} == NUMBERS | PICTURES
    mine, other = (json.loads((folder / "result.json").read_text()) for folder in (tmp_path / "out", fitted))
    assert (mine["backend"], other["backend"]) == ("cupy", "numpy")
    assert mine["total_stat"] == pytest.approx(other["total_stat"], abs=1e-3)
    for one, two in zip(mine["parameters"], other["parameters"], strict=True):
        assert abs(one["value"] - two["value"]) < 0.03 * two["error"]


@pytest.mark.parametrize("dtype", [None, "float64", "float32"])
def test_precision_decides_and_is_recorded(command, field, fitted, tmp_path, dtype):
    words = ("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--backend", "numpy", "--no-plots")
    code, out, err = command(*words, *(() if dtype is None else ("--dtype", dtype)))
    assert (code, err) == (0, [])
    expected = dtype or "float64"
    assert re.search(rf"precision +: {expected}\n", out)
    mine, double = (json.loads((folder / "result.json").read_text()) for folder in (tmp_path / "out", fitted))
    assert (mine["dtype"], double["dtype"]) == (expected, "float64")
    assert mine["command"][-2:] == ["--dtype", expected]
    assert (mine["total_stat"] == double["total_stat"]) is (expected == "float64")
    assert mine["total_stat"] == pytest.approx(double["total_stat"], abs=0.1)
    for one, two in zip(mine["parameters"], double["parameters"], strict=True):
        assert abs(one["value"] - two["value"]) < 0.03 * two["error"]


def test_unknown_precision_is_refused(command, field, tmp_path):
    code, _, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--dtype", "float16")
    assert code == 2
    assert "'float16' is not one of 'float64', 'float32'" in " ".join(err)
    assert not (tmp_path / "out").exists()


def test_pictures_without_matplotlib(command, field, tmp_path, monkeypatch):
    monkeypatch.setattr("gpudl4.cli.fit.can_plot", lambda: False)
    code, out, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "a", "--plots")
    assert (code, out, len(err)) == (2, "", 1)
    assert "pip install 'gpudl4[plot]'" in err[0]
    code, out, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "b")
    assert (code, err) == (0, [])
    assert "No pictures: matplotlib is not installed" in out


def test_unforeseen_error_leaves_nothing(command, field, tmp_path, monkeypatch):
    def broken(self, datasets, models=None):
        raise ZeroDivisionError("a mistake of the program")

    monkeypatch.setattr(Fit, "run", broken)
    with pytest.raises(ZeroDivisionError, match="a mistake of the program"):
        command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_warnings_come_as_single_lines(command, field, tmp_path, monkeypatch):
    import logging
    import warnings

    original = Fit.run

    def noisy(self, datasets, models=None):
        for _ in range(3):
            warnings.warn("look\n here", stacklevel=1)
            logging.getLogger("gpudl4.test").warning("and %s", "there")
        return original(self, datasets, models)

    monkeypatch.setattr(Fit, "run", noisy)
    code, _, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--no-plots")
    assert code == 0
    assert err == ["gpudl4: warning: look here", "gpudl4: warning: and there"]


# ---- models that take no part ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def misspelt(field, tmp_path):
    """Models file whose background model is for a dataset that does not exist."""
    text = (field / "models.yaml").read_text()
    assert text.count("datasets_names:\n    - test\n") == 1
    (tmp_path / "models.yaml").write_text(text.replace("datasets_names:\n    - test\n", "datasets_names:\n    - tset\n"))
    return tmp_path / "models.yaml"


def test_a_name_of_a_dataset_that_does_not_exist_is_an_error(command, field, misspelt, tmp_path):
    code, _, err = command("fit", field / "datasets.yaml", misspelt, "-o", tmp_path / "out", "--no-plots")
    assert (code, len(err)) == (2, 1)
    assert "model 'tset-bkg' acts on no dataset: its datasets_names are 'tset', the nearest known names 'test'" in err[0]
    assert err[0].endswith("Known datasets: test. Mend the names, or pass --allow-unused")
    assert not (tmp_path / "out").exists()


def test_unused_models_can_be_allowed(command, field, misspelt, tmp_path):
    code, _, err = command("fit", field / "datasets.yaml", misspelt, "-o", tmp_path / "out", "--no-plots", "--allow-unused")
    assert code in (0, 3)
    unused = [line for line in err if "its datasets_names are 'tset', the nearest known names 'test'" in line]
    assert len(unused) == 1
    assert unused[0].startswith("gpudl4: warning: model 'tset-bkg'")
    assert (tmp_path / "out" / "result.json").exists()


# ---- the fit is never lost to its dressing -----------------------------------------------------------------------------------------------


def test_a_picture_that_fails_is_a_warning(command, field, tmp_path, monkeypatch):
    plot = pytest.importorskip("gpudl4.plot")

    def broken(*_, **__):
        raise ZeroDivisionError("a mistake\nof a picture")

    monkeypatch.setattr(plot, "plot_images", broken)
    monkeypatch.setattr(plot, "save", lambda figure, path: path.touch())
    code, _, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out")
    assert (code, err) == (0, ["gpudl4: warning: no picture images.png: a mistake of a picture"])
    names = NUMBERS | PICTURES - {"images.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert set(json.loads((tmp_path / "out" / "result.json").read_text())["files"]) == names


def test_a_matplotlib_that_does_not_work_is_a_warning(command, field, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gpudl4.plot", None)
    monkeypatch.delattr("gpudl4.plot", raising=False)
    code, _, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out")
    assert (code, len(err)) == (0, 1)
    assert err[0].startswith("gpudl4: warning: no pictures: matplotlib does not work here (")
    assert {path.name for path in (tmp_path / "out").iterdir()} == NUMBERS


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt, 130), (SystemExit, None)])
def test_whoever_is_stopped_while_drawing_keeps_the_fit(command, field, tmp_path, monkeypatch, stop, code):
    def stopped(*_):
        raise stop(143)

    monkeypatch.setattr("gpudl4.cli.fit.write_pictures", stopped)
    words = ("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--plots")
    if code is None:
        with pytest.raises(SystemExit, match="143"):
            command(*words)
    else:
        assert command(*words)[0] == code
    assert {path.name for path in (tmp_path / "out").iterdir()} == NUMBERS
    assert json.loads((tmp_path / "out" / "result.json").read_text())["success"] is True


def test_a_disk_that_fills_while_drawing_keeps_the_fit(command, field, tmp_path, monkeypatch):
    from gpudl4.cli import fit

    written, original = [], fit.write_json

    def full(record, path):
        written.append(path)
        if len(written) > 1:
            raise OutputError("cannot write 'result.json': No space left on device")
        original(record, path)

    monkeypatch.setattr(fit, "write_pictures", lambda *_: None)
    monkeypatch.setattr(fit, "write_json", full)
    code, _, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--plots")
    assert (code, len(written)) == (0, 2)
    assert err == [
        "gpudl4: warning: the record does not name the pictures: cannot write 'result.json': No space left on device",
    ]
    assert set(json.loads((tmp_path / "out" / "result.json").read_text())["files"]) == NUMBERS


def test_what_cannot_be_written_is_known_before_the_fit(command, field, fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(Fit, "run", lambda *_: pytest.fail("too late"))
    shutil.copytree(fitted, tmp_path / "out")
    (tmp_path / "out" / "models.yaml").unlink()
    (tmp_path / "out" / "models.yaml").mkdir()
    words = ("fit", field / "datasets.yaml", field / "models.yaml")
    code, _, err = command(*words, "-o", tmp_path / "out", "--overwrite")
    assert (code, len(err)) == (2, 1)
    assert "models.yaml' is a folder, and a file of this name is to be written" in err[0]
    assert (tmp_path / "out" / "result.json").exists()
    code, _, err = command(*words, "-o", tmp_path / ("a" * 300))
    assert (code, len(err)) == (2, 1)
    assert "cannot be written: File name too long" in err[0]


def test_a_place_that_is_taken_meanwhile(command, field, tmp_path, monkeypatch):
    original = Fit.run

    def slow(self, datasets, models=None):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "other").touch()
        return original(self, datasets, models)

    monkeypatch.setattr(Fit, "run", slow)
    code, _, err = command("fit", field / "datasets.yaml", field / "models.yaml", "-o", tmp_path / "out", "--no-plots")
    assert (code, len(err)) == (2, 1)
    (kept,) = tmp_path.glob("out-*")
    assert err[0] == f"gpudl4: the output folder '{tmp_path / 'out'}' was written by another run meanwhile. The results are in '{kept}'"
    assert {path.name for path in kept.iterdir()} == NUMBERS
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["other"]


def test_names_of_pictures_are_unlike_and_short():
    from types import SimpleNamespace

    from gpudl4.cli.pictures import _file_ends

    ends = _file_ends([SimpleNamespace(name=name) for name in ("a b", "a_b", "x" * 300, "y")])
    assert ends[:2] == ["_a_b.png", "_a_b_2.png"]
    assert len(set(ends)) == 4
    assert max(map(len, ends)) < 100
