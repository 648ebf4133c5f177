"""Starts, what counts as reached, and a run on a small simulated field."""

import json

import numpy as np
import pytest

from benchmarks import robustness, starts
from benchmarks.cases import attach

CENTRE = {
    "a.lon_0": 0.5,
    "a.lat_0": 60.0,
    "a.sigma": 0.2,
    "a.amplitude": 2e-12,
    "a.index": 2.2,
    "a.lambda_": 0.1,
    "b.lon_0": -0.5,
    "b.lat_0": 0.0,
    "b.alpha": 2.0,
    "bkg.norm": 1.1,
}


def separation(start, source):
    """Degrees between a source's start and its place, for small angles."""
    lon, lat = (start[f"{source}.{name}"] - CENTRE[f"{source}.{name}"] for name in ("lon_0", "lat_0"))
    return np.hypot(lon * np.cos(np.deg2rad(CENTRE[f"{source}.lat_0"])), lat)


@pytest.fixture
def tiny(monkeypatch):
    """The field with one source on a small map, as a trial of the command line."""
    trial = starts.simulated("simulated-1", n_pixels=50)
    monkeypatch.setitem(starts.TRIALS, "tiny", trial)
    return trial


def test_starts_lie_on_the_limits():
    trial = starts.TRIALS["simulated-1"]
    for i in range(20):
        start = trial.start(i, CENTRE)
        assert separation(start, "a") == pytest.approx(0.3)
        assert separation(start, "b") == pytest.approx(0.3)
        assert abs(np.log(start["a.amplitude"] / 2e-12)) == pytest.approx(np.log(5))
        assert abs(np.log(start["a.sigma"] / 0.2)) == pytest.approx(np.log(3))
        assert abs(start["a.index"] - 2.2) == pytest.approx(0.5)
        assert abs(start["b.alpha"] - 2.0) == pytest.approx(0.5)
        assert (start["a.lambda_"], start["bkg.norm"]) == (0.1, 1.1)


def test_starts_inside_the_limits_spread():
    trial = starts.TRIALS["simulated-1"]
    distances = np.array([separation(trial.start(i, CENTRE, inside=True), "b") for i in range(200)])
    assert distances.max() < 0.3
    assert 0.15 < distances.mean() < 0.25  # evenly over a disk: 2 / 3 of its radius


def test_a_start_depends_on_its_number_only():
    trial = starts.TRIALS["simulated-3"]
    assert trial.start(7, CENTRE) == trial.start(7, CENTRE)
    assert trial.start(7, CENTRE) != trial.start(8, CENTRE)


def test_fits_are_sorted_and_failures_listed():
    fits = [
        {"start": i, "stat": stat, "success": success, "message": "why", "from": {"a.index": 2.0}, "values": {"a.index": 2.5}}
        for i, (stat, success) in enumerate([(10.0, True), (10.09, True), (10.05, False), (10.2, False), (99.0, True)])
    ]
    sure, unsure, failed, wrong = robustness.sort(fits, 10.0)
    assert [[one["start"] for one in group] for group in (sure, unsure, failed, wrong)] == [[0, 1], [2], [3], [4]]
    lines = list(robustness.failures("tiny", {"fits": {"gpudl4": fits}, "best": 10.0}, robustness.parse(["--inside"])))
    assert lines[0] == "gpudl4: 60 % reach the best (wanted: 95 %, the rest unsuccessful): not met"
    assert "* gpudl4, start 4, wrong and sure, +89.000: why" in lines
    assert "  replay: python benchmarks/robustness.py --trials tiny --only 4 --inside" in lines
    assert sum(line.startswith("* ") for line in lines) == 3


def test_tiny_run(tiny, tmp_path, capsys):
    path = tmp_path / "robustness.json"
    robustness.main(["--trials", "tiny", "--starts", "2", "--inside", "--cores", "0", "--json", str(path)])
    own = json.loads(path.read_text(encoding="utf-8"))["trials"]["tiny"]
    assert own["home"]["success"]
    assert own["home"]["stat"] == pytest.approx(own["home"]["own stat"], abs=1e-3)
    assert own["home"]["values"]["source-0.lon_0"] == pytest.approx(0.123, abs=0.01)
    assert [one["start"] for one in own["fits"]["gpudl4"]] == [0, 1]
    assert own["best"] <= own["home"]["stat"]
    assert "## tiny" in capsys.readouterr().out


def test_a_single_start_is_replayed(tiny):
    first = robustness.main(["--trials", "tiny", "--starts", "2", "--inside", "--cores", "0"])["trials"]["tiny"]["fits"]["gpudl4"][1]
    again = robustness.main(["--trials", "tiny", "--only", "1", "--inside", "--cores", "0"])["trials"]["tiny"]["fits"]["gpudl4"]
    assert [one["start"] for one in again] == [1]
    assert again[0]["from"] == first["from"]
    assert again[0]["stat"] == first["stat"]


def test_a_fit_that_dies_is_a_failure(tiny, monkeypatch):
    import gpudl4

    monkeypatch.setattr(gpudl4.Fit, "run", lambda *_: 1 / 0)
    one = robustness.fit(tiny, "gpudl4", {"gpudl4": tiny.reader("gpudl4", None)}, {})
    assert not one["success"]
    assert one["message"] == "ZeroDivisionError: division by zero"
    assert one["stat"] == float("inf")


@pytest.mark.peer
def test_gammapy_from_the_same_start(tiny):
    pytest.importorskip("gammapy")
    own = robustness.main(["--trials", "tiny", "--starts", "1", "--gammapy", "1", "--inside", "--cores", "0"])["trials"]["tiny"]
    ours, theirs = own["fits"]["gpudl4"][0], own["fits"]["gammapy"][0]
    assert theirs["from"] == ours["from"]
    assert theirs["calls"] > 0
    # gammapy's own statistic depends on what it evaluated before, so its values are evaluated anew, with models that remember nothing
    datasets = tiny.reader("gammapy", None)
    attach("gammapy", datasets, starts.new_models(tiny, "gammapy", theirs["values"]))
    assert theirs["stat"] == pytest.approx(datasets.stat_sum(), abs=0.01)


def test_missing_data_are_named(tmp_path, capsys):
    record = robustness.main(["--trials", "cta-point", "--starts", "1", "--cores", "0", "--data", str(tmp_path)])
    assert record["trials"] == {}
    assert "cta-point: left out, not found: cta-1dc-gc/" in capsys.readouterr().out
