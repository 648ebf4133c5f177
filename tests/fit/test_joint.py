"""All kinds of datasets fitted together in one compiled likelihood: a cube, spectra, off counts and flux points of one source."""

import numpy as np
import pytest

import gpudl4
from benchmarks.cases import library
from benchmarks.pull_cases import CASES
from benchmarks.pulls import draw

KINDS = ("cube", "cube-wstat", "spectrum", "wstat", "fluxes")


@pytest.fixture
def datasets():
    """One of each kind with counts drawn from one model, which all of them share."""
    lib, rng, out = library("gpudl4"), np.random.default_rng(11), []
    for name in KINDS:
        dataset, _ = next(draw(CASES[name], lib, rng))
        new = dataset.copy(name=name)
        new.models = None
        out.append((new, dataset.models))
    source = out[0][1]["source"]  # with a place, which spectra and flux points do not look at
    background = lib.FoVBackgroundModel(dataset_name="cube")
    datasets = lib.Datasets([dataset for dataset, _ in out])
    datasets.models = [source, background]
    return datasets


def test_statistic_is_the_sum_of_all_parts(datasets):
    likelihood = gpudl4.compile(datasets)
    parts = [dataset.stat_sum() for dataset in datasets]
    assert all(part != 0 for part in parts)
    assert likelihood.value(likelihood.theta0) == pytest.approx(sum(parts), rel=1e-12)
    assert datasets.stat_sum() == pytest.approx(sum(parts), rel=1e-12)


def test_gradient_and_hessian(datasets):
    likelihood = gpudl4.compile(datasets)
    theta = likelihood.theta0 * 1.02
    _, gradient = likelihood.value_and_gradient(theta)
    hessian = likelihood.hessian(theta)
    for i, step in enumerate(1e-4 * np.abs(theta)):
        up, down = theta.copy(), theta.copy()
        up[i] += step
        down[i] -= step
        slope = (likelihood.value(up) - likelihood.value(down)) / (2 * step)
        np.testing.assert_allclose(gradient[i], slope, rtol=1e-5, atol=1e-4 * np.sqrt(hessian[i, i]))
        row = (likelihood.value_and_gradient(up)[1] - likelihood.value_and_gradient(down)[1]) / (2 * step)
        assert np.all(np.abs(hessian[i] - row) <= 2e-3 * np.abs(row) + 1e-4 * np.sqrt(hessian[i, i] * np.diag(hessian)))


def test_fit_and_files(datasets, tmp_path):
    result = gpudl4.Fit().run(datasets)
    assert result.success
    assert result.total_stat == pytest.approx(datasets.stat_sum(), rel=1e-12)
    source = datasets.models["source"].spectral_model
    assert abs(source.index.value - 2.3) < 4 * source.index.error
    assert abs(source.amplitude.value - 3e-12) < 4 * source.amplitude.error
    alone = datasets["wstat"].copy(name="alone")
    alone.models = [datasets.models["source"].copy(name="one")]
    gpudl4.Fit().run([alone])
    assert source.index.error < alone.models["one"].spectral_model.index.error  # five see more than one
    datasets.write(tmp_path / "mix_datasets.yaml", filename_models=tmp_path / "mix_models.yaml")
    again = gpudl4.Datasets.read(tmp_path / "mix_datasets.yaml", filename_models=tmp_path / "mix_models.yaml")
    assert again.names == datasets.names
    assert [type(one) for one in again] == [type(one) for one in datasets]
    assert again.stat_sum() == pytest.approx(datasets.stat_sum(), rel=1e-6)
    assert again.models["source"].spectral_model.index.error == pytest.approx(source.index.error, rel=1e-5)


@pytest.mark.peer
def test_fit_is_gammapys(datasets):
    """gammapy from our minimum, on the same datasets: it does not move."""
    pytest.importorskip("gammapy")
    from gammapy.modeling import Fit

    result = gpudl4.Fit().run(datasets)
    theirs = gpudl4.to_gammapy(datasets)
    assert theirs.stat_sum() == pytest.approx(result.total_stat, abs=1e-3)
    refit = Fit(optimize_opts={"tol": 1e-3}).run(theirs)
    assert result.total_stat <= refit.total_stat + 0.01
    ours = {p.name: p for p in datasets.models["source"].parameters if not p.frozen}
    for other in theirs.models["source"].parameters:
        if other.name in ours:
            assert abs(ours[other.name].value - other.value) < 0.03 * ours[other.name].error, other.name
            assert ours[other.name].error == pytest.approx(other.error, rel=0.05), other.name
