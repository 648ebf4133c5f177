"""The record of a fit."""

import hashlib
import json
import sys

from gpudl4 import __version__
from gpudl4.cli.record import input_files, versions, write_json


def test_input_files_follow_names_at_any_depth(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("data/a.fits", "template.fits", "cov.dat"):
        (tmp_path / name).write_text(name)
    (tmp_path / "datasets.yaml").write_text("datasets:\n- {name: a, type: MapDataset, filename: data/a.fits}\n")
    (tmp_path / "models.yaml").write_text(
        "components:\n- name: m\n  spatial: {type: template, filename: template.fits}\n- {name: n, spatial: {filename: gone.fits}}\n"
        "covariance: cov.dat\n"
    )
    rows = input_files(tmp_path / "datasets.yaml", tmp_path / "models.yaml")
    assert [row["path"] for row in rows] == [
        str(tmp_path / name) for name in ("datasets.yaml", "data/a.fits", "models.yaml", "template.fits", "cov.dat")
    ]
    assert rows[1]["sha256"] == hashlib.sha256(b"data/a.fits").hexdigest()
    assert rows[1]["bytes"] == len("data/a.fits")


LIBRARIES = {"gpudl4", "python", "numpy", "scipy", "astropy", "iminuit", "numba"}


def test_versions_name_what_decides_numbers(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    found = versions()
    assert found["gpudl4"] == __version__
    assert set(found) == LIBRARIES


def test_version_of_cupy(device):
    assert set(versions()) == LIBRARIES | {"cupy"}
    assert versions()["cupy"] == device.xp.__version__


def test_json_is_strict(tmp_path):
    write_json({"a": float("nan"), "b": [1, float("inf")], "c": {"d": -float("inf")}, "e": "ä"}, tmp_path / "r.json")
    text = (tmp_path / "r.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    record = json.loads(text)
    assert (record["a"], record["b"], record["c"], record["e"]) == (None, [1, None], {"d": None}, "ä")
    assert list(record)[:2] == ["created", "versions"]
