"""``gpudl4 demo``: its files, its table and its verdict. The whole of it is what ``make demo`` runs."""

import json

import numpy as np
import pytest

from gpudl4.cli import demo
from gpudl4.cli.field import true_models
from gpudl4.datasets import Datasets
from gpudl4.models import Models


def rows_of(shift):
    """Parameters of a result.json that lie `shift` errors from the truth."""
    return [
        {"name": f"{model.name}.{parameter.name}", "value": parameter.value + shift * 0.1, "error": 0.1, "unit": str(parameter.unit)}
        for model in true_models()
        for parameter in model.parameters
        if not parameter.frozen
    ]


def test_files_can_be_read(tmp_path):
    written = demo.write_field(tmp_path, seed=1, n_pixels=40)
    (read,) = Datasets.read(tmp_path / "datasets.yaml")
    assert np.array_equal(read.counts.data, written.counts.data)
    assert len(Models.read(tmp_path / "models-start.yaml")) == 3
    truth = Models.read(tmp_path / "models-truth.yaml")
    assert [parameter.value for parameter in truth.parameters] == pytest.approx([p.value for p in true_models().parameters])


def test_compare():
    table = demo.compare(true_models(), rows_of(2.0))
    assert len(table) == 12
    assert all(pull == pytest.approx(2.0) for *_, pull, _ in table)
    broken = rows_of(0.0)
    broken[0]["error"] = None
    assert np.isnan(demo.compare(true_models(), broken)[0][4])


@pytest.mark.parametrize(("shift", "code"), [(2.9, 0), (3.1, 1), (float("nan"), 1)])
def test_verdict(tmp_path, capsys, shift, code):
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / "result.json").write_text(json.dumps({"parameters": rows_of(shift)}))
    assert demo._verdict(tmp_path, true_models(), 1.0) == code
    captured = capsys.readouterr()
    assert "extended-source.sigma" in captured.out
    assert ("FAILED: more than 3" in captured.err) == bool(code)
    assert ("All 12 parameters" in captured.out) == (not code)


def test_existing_folder_is_refused(command, tmp_path):
    code, _, err = command("demo", "--output", tmp_path)
    assert (code, len(err)) == (2, 1)
    assert "pass --overwrite" in err[0]


def test_failed_fit_fails_the_demo(command, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "write_field", lambda folder, seed: _small(folder, seed))
    monkeypatch.setattr(demo, "_run_fit", lambda folder, overwrite: 3)
    code, _, err = command("demo", "--output", tmp_path / "out")
    assert code == 1
    assert err == ["The fit ended with exit code 3."]


_write_field = demo.write_field


def _small(folder, seed):
    return _write_field(folder, seed, n_pixels=40)
