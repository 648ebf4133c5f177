"""The runner behind docs/coverage.md: its arithmetic, and that each of its cases can be simulated and fitted."""

import numpy as np
import pytest

from benchmarks.cases import library
from benchmarks.pull_cases import CASES, group_edges
from benchmarks.pulls import draw, free_parameters, main, simulate, summary, surprises, table


def test_normal_pulls_are_no_surprise_and_others_are():
    pulls = np.random.default_rng(5).normal(size=4000)
    numbers = summary(pulls)
    assert numbers["mean"][0] == pytest.approx(pulls.mean())
    assert numbers["within 1"][0] == pytest.approx(0.683, abs=0.03)
    assert surprises(numbers) == []
    assert "mean" in surprises(summary(pulls + 0.2))
    assert set(surprises(summary(1.3 * pulls))) == {"width", "within 1", "within 2"}


@pytest.mark.parametrize("name", CASES)
def test_cases(name):
    result = simulate(CASES[name], 4, seed=1, progress=False)
    assert result["failed"] == 0
    assert all(len(pulls) == 4 and np.all(np.abs(pulls) < 6) for pulls in result["pulls"].values())
    assert len({pull for pulls in result["pulls"].values() for pull in pulls}) == 4 * len(result["pulls"])  # drawn anew each time
    assert CASES[name].text in table({name: result})
    if name in ("sparse", "cube-sparse", "cube-clear", "cube-clear-double"):
        assert result["empty"] > 0.5


def test_single_precision_is_another_likelihood():
    single, double = (simulate(CASES[name], 3, progress=False) for name in ("cube", "cube-double"))
    for name, pulls in double["pulls"].items():
        assert single["pulls"][name] != pulls
        np.testing.assert_allclose(single["pulls"][name], pulls, atol=1e-4)


def test_groups_have_off_counts_enough():
    lib = library("gpudl4")
    drawn = draw(CASES["weak"], lib, np.random.default_rng(3))
    for _ in range(20):
        dataset, background = next(drawn)
        edges = group_edges(dataset)
        (grouped,) = CASES["weak-grouped"].datasets(lib, dataset, background)
        np.testing.assert_allclose(grouped.counts.geom.axes["energy"].edges, edges)
        np.testing.assert_array_equal(edges[[0, -1]], dataset.counts.geom.axes["energy"].edges[[0, -1]])
        assert grouped.counts_off.data.min() >= 5
        assert grouped.counts_off.data.sum() == dataset.counts_off.data.sum()
        assert grouped.counts.data.sum() == dataset.counts.data.sum()
    dataset.counts_off.data[:] = 0
    assert len(group_edges(dataset)) == 2  # one bin, where there is nothing to tell bins apart


@pytest.mark.parametrize(("name", "pixels"), [("cube-wstat", 30), ("cube-sparse", 2)])
def test_grouped_cubes_have_the_counts_of_the_same_sky(name, pixels):
    lib = library("gpudl4")
    drawn, grouped = (draw(CASES[key], lib, np.random.default_rng(3)) for key in (name, f"{name}-grouped"))
    for _ in range(3):
        dataset, (out,) = next(drawn)[0], CASES[f"{name}-grouped"].datasets(lib, *next(grouped))
        assert out.counts.data.shape[1:] == (pixels, pixels)
        for field in ("counts", "counts_off"):
            assert getattr(out, field).data.sum() == getattr(dataset, field).data.sum()
        assert out.counts_off.data.mean(axis=(1, 2)).min() >= 5
        np.testing.assert_allclose(out.alpha.data, 0.2)
        signal = out.npred_signal().data.sum(axis=(1, 2))
        edges, cuts = dataset.counts.geom.axes["energy"].edges, out.counts.geom.axes["energy"].edges
        starts = np.searchsorted(edges.value * (1 + 1e-9), cuts.value[:-1])
        np.testing.assert_allclose(signal, np.add.reduceat(dataset.npred_signal().data.sum(axis=(1, 2)), starts), rtol=1e-5)


def test_only_the_bins_that_are_fitted_count_as_empty():
    dataset = CASES["cube-clear"].build(library("gpudl4"))
    assert 0.05 < dataset.mask.data.mean() < 0.2
    result = simulate(CASES["cube-clear"], 2, seed=2, progress=False)
    assert 0.7 < result["empty"] < 0.97


@pytest.mark.parametrize("name", ["weak", "weak-grouped", "weak-model", "weak-known", "cube-clear", "cube-sparse", "cube-sparse-grouped"])
def test_gammapy_fits_the_same(name):
    """What is biased, is biased in gammapy as well; what helps, helps there."""
    peer, lib, case = library("gammapy"), library("gpudl4"), CASES[name]
    drawn, other = draw(case, lib, np.random.default_rng(5)), case.build(peer)
    background = case.background(peer).background if case.background else None
    start = [(p, p.value) for model in other.models for p in model.parameters]
    for _ in range(3):
        dataset, own_background = next(drawn)
        for field in ("counts", "counts_off"):
            if hasattr(dataset, field):
                setattr(other, field, type(other.counts).from_geom(other.counts.geom, data=getattr(dataset, field).data))
        for parameter, value in start:
            parameter.value = value
        datasets, others = case.datasets(lib, dataset, own_background), case.datasets(peer, other, background)
        result = lib.Fit(search_radius="0 deg").run(datasets)
        peer.Fit().run(peer.Datasets(others))
        assert result.success
        own, wanted = free_parameters(datasets), free_parameters(others)
        assert own.keys() == wanted.keys()
        for key, parameter in own.items():
            assert abs(parameter.value - wanted[key].value) < 0.01 * parameter.error
            assert parameter.error == pytest.approx(wanted[key].error, rel=0.02)


def test_same_seed_same_numbers(tmp_path, capsys):
    first, again = (main(["--cases", "spectrum", "--number", "3", "--json", str(tmp_path / "x.json")]) for _ in range(2))
    assert first["results"] == again["results"]
    assert "SpectrumDataset, cash" in capsys.readouterr().out
