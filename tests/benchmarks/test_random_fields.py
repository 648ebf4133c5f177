"""Random fields are reproducible, of every kind, and fits of a sample of them are as they should be."""

import json

import numpy as np
import pytest

from benchmarks import random_fields
from benchmarks.random_cases import KINDS, make

SAMPLE = tuple(range(40))  # two of every kind


def test_a_field_depends_on_its_number_only():
    first, again, other = make(7), make(7), make(27)
    assert first.kind == again.kind == other.kind
    assert first.truth == again.truth != other.truth
    assert first.start == again.start
    for one, two in zip(first.datasets, again.datasets, strict=True):
        np.testing.assert_array_equal(one.counts.data, two.counts.data)
    assert first.datasets.stat_sum() == again.datasets.stat_sum()


def test_starts_are_off_and_on_the_map():
    for number in range(20):
        field = make(number)
        assert field.start.keys() == field.truth.keys()
        for name, value in field.truth.items():
            if name.endswith((".index", ".amplitude", ".sigma", ".norm")):
                assert abs(field.start[name] / value - 1) == pytest.approx(0.1)
        field.put(field.start)
        geom = field.datasets[0].counts.geom if field.size > 1 else None
        for model in field.datasets.models if geom else ():
            if getattr(model, "spatial_model", None) is not None:
                assert geom.to_image().contains(model.spatial_model.position)[()]


def test_every_kind_is_there():
    assert {one for kind in KINDS for one in kind} == {"map", "map on-off", "spectrum", "spectrum on-off", "flux points"}
    assert any(len(kind) == 2 for kind in KINDS)


def test_a_sample_of_fits():
    """No exception, none that converges above the truth, what fails names a parameter; nearly all converge."""
    quick = [number for number in SAMPLE if make(number).size < 35]
    fits = [random_fields.fit(number) for number in quick]
    assert [one["error"] for one in fits if one["error"]] == []
    assert [one["field"] for one in fits if random_fields.is_above(one)] == []
    assert [one["field"] for one in fits if not one["success"] and not one["blamed"]] == []
    assert sum(one["success"] for one in fits) >= 0.95 * len(fits)


def test_table_and_faults():
    base = {"kind": "map", "size": "8 to 19 pixels", "n_free": 3, "calls": 9, "message": "source-0.index", "blamed": [], "error": ""}
    fits = [
        {**base, "field": 0, "success": True, "stat": 10.0, "truth": 12.0, "seconds": 0.1},
        {**base, "field": 1, "success": True, "stat": 12.02, "truth": 12.0, "seconds": 0.1},
        {**base, "field": 2, "success": False, "stat": 11.0, "truth": 12.0, "seconds": 0.1},
        {**base, "field": 3, "success": False, "stat": np.inf, "truth": 12.0, "seconds": 0.1, "error": "ValueError: no"},
        {**base, "field": 4, "success": True, "stat": 11.0, "truth": 12.0, "seconds": 9.0},
    ]
    lines = list(random_fields.faults(fits))
    assert lines[0] == "60.0 % converge (wanted: 98 %, and none at fault): not met"
    assert [line.split(":")[1].split(",")[0].strip() for line in lines[1:]] == [
        "above the truth",
        "not converged",
        "ValueError",
        "took long",
    ]
    row = [cell.strip() for cell in random_fields.show(fits).splitlines()[-1].split("|")[1:-1]]
    assert row == ["all", "5", "1", "1", "1", "1", "100", "90.0"]


def test_a_single_field_is_replayed(tmp_path, capsys):
    path = tmp_path / "fields.json"
    record = random_fields.main(["--only", "1", "--cores", "0", "--json", str(path)])
    assert json.loads(path.read_text(encoding="utf-8"))["fits"]["gpudl4"] == record["fits"]["gpudl4"]
    assert record["fits"]["gpudl4"][0]["field"] == 1
    assert "100.0 % converge" in capsys.readouterr().out


@pytest.mark.peer
def test_gammapy_from_the_same_start():
    pytest.importorskip("gammapy")
    ours, theirs = (random_fields.fit(1, package) for package in ("gpudl4", "gammapy"))
    assert theirs["truth"] == ours["truth"]
    assert not theirs["error"]
    assert theirs["stat"] == pytest.approx(ours["stat"], abs=0.05)
