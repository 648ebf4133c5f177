"""Scaling tables on tiny maps."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import scaling
from benchmarks.fields import make_dataset, points


def row(size, seconds, **parts):
    """A measured row without a likelihood."""
    return scaling.Row(size, None, 0.1, seconds=[2 * seconds, seconds], values=[seconds / 2], parts={"host": 0.0, **parts})


def test_tiny_run(tmp_path, capsys):
    path = tmp_path / "scaling.json"
    scaling.main(["--scale", "0.12", "--largest", "5", "--seconds", "0", "--cores", "0", "--json", str(path)])
    out, record = capsys.readouterr().out, json.loads(path.read_text(encoding="utf-8"))
    assert set(record["tables"]) == set(scaling.TABLES)
    assert [own["size"] for own in record["tables"]["area"]["rows"]] == [1, 4]
    assert [own["free"] for own in record["tables"]["parameters"]["rows"]] == [1, 5]
    assert [own["free"] for own in record["tables"]["sources"]["rows"]] == [5, 21]
    assert [own["free"] for own in record["tables"]["spectra"]["rows"]] == [3, 11]
    for table in record["tables"].values():
        for own in table["rows"]:
            assert 0 < own["minimum"] <= own["median"]
            assert {"host", "fold.fold", "cash.cash"} <= set(own["parts"])
    assert out.count("| ms, median (min) |") == len(scaling.TABLES)


def test_power_and_verdicts():
    rows = [row(1, 0.010), row(4, 0.011), row(16, 0.044)]
    assert scaling._power(rows[1], rows[2]) == pytest.approx(1.0)
    assert list(scaling._wants_flat(rows)) == [
        "4 times the area: 1.10 times the time (wanted: at most 1.1)",
        "4 times the area: 4.00 times the time (wanted: at most 1.1)",
    ]
    assert list(scaling._wants_cheap_gradients(rows)) == [
        "16 parameters: value and gradient take 2.00 times the value alone (wanted: at most 3)"
    ]


def test_slope_over_all_rows():
    rows = [row(size, 0.001 * size**0.5) for size in (1, 5, 20, 80)]
    (remark,) = scaling._wants_linear(rows)
    assert remark.endswith("slope of log time against log number 0.50 (wanted: at most 1)")


def test_what_is_superlinear_is_named():
    rows = [row(1, 0.001, fold=0.0005, cash=0.0005), row(10, 0.02, fold=0.005, cash=0.015)]
    remarks = list(scaling.superlinear(SimpleNamespace(what="sources"), rows))
    assert remarks == ["superlinear from 1 to 10 sources (power 1.30): cash takes 0.5 ms, then 15 ms"]
    assert list(scaling.superlinear(SimpleNamespace(what="sources"), [row(1, 0.001), row(10, 0.01)])) == []


def test_sources_stay_off_pixel_centres():
    models = points(8, radius=0.5)
    dataset = make_dataset(60, 2, 3, models=models)
    geom = dataset.counts.geom.to_image()
    for model in models[:8]:
        xy = np.array([float(np.ravel(c)[0]) for c in geom.coord_to_pix(model.position)])
        assert (np.abs(xy - np.rint(xy)) > 0.01).all(), model.name


def test_counts_follow_the_seed():
    models = points(1, radius=0.1)
    first, second, other = (make_dataset(20, 2, 3, models=models, seed=seed).counts.data for seed in (1, 1, 2))
    assert first.sum() > 0
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
