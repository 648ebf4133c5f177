"""All kinds of datasets fitted together in one compiled likelihood: a cube, spectra, off counts and flux points of one source."""

import warnings
from itertools import combinations

import astropy.units as u
import numpy as np
import pytest
from scipy.special import xlogy

import gpudl4
from benchmarks.cases import library
from benchmarks.pull_cases import CASES
from benchmarks.pulls import draw

KINDS = ("cube", "cube-wstat", "spectrum", "wstat", "fluxes")
MAPS = {"cube", "cube-wstat"}
PAIRS = [*combinations(KINDS, 2), ("spectrum", "cube"), ("fluxes", "cube-wstat")]


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


# ---- every mix against sums of its own -----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def drawn():
    """One dataset of each kind without models."""
    lib, rng, out = library("gpudl4"), np.random.default_rng(11), {}
    for name in KINDS:
        out[name] = next(draw(CASES[name], lib, rng))[0].copy(name=name)
        out[name].models = None
    return out


def _models(names, shape, is_free):
    """The source, a little off, and backgrounds for cubes."""
    lib = library("gpudl4")
    place = {"lon_0": "83.633 deg", "lat_0": "22.006 deg", "frame": "icrs"}
    spatial = lib.PointSpatialModel(**place) if shape == "point" else lib.GaussianSpatialModel(sigma="0.03 deg", **place)
    spatial.lon_0.frozen = spatial.lat_0.frozen = not is_free
    if shape == "gauss":
        spatial.sigma.frozen = True  # the counts are those of a point
    spectrum = lib.PowerLawSpectralModel(index=2.3, amplitude="3e-12 cm-2 s-1 TeV-1", reference="1.5 TeV")
    backgrounds = [lib.FoVBackgroundModel(dataset_name=name) for name in names if name == "cube"]
    return [lib.SkyModel(spectral_model=spectrum, spatial_model=spatial, name="source"), *backgrounds]


def _brute(dataset):
    """Statistic of one dataset, written out."""
    if hasattr(dataset, "data"):
        points, model = dataset.data, dataset.models["source"].spectral_model
        pull = (points.dnde.quantity.squeeze() - model(points.energy_ref)) / points.dnde_err.quantity.squeeze()
        return float((pull.to_value("") ** 2).sum())
    mask = np.ones(dataset.counts.data.shape, bool) if dataset.mask is None else dataset.mask.data
    n = dataset.counts.data[mask].astype(float)
    if not hasattr(dataset, "counts_off"):
        mu = dataset.npred().data[mask].astype(float)
        return float(2 * (mu - xlogy(n, mu)).sum())
    off, alpha, mu = (field.data[mask].astype(float) for field in (dataset.counts_off, dataset.alpha, dataset.npred_signal()))
    c = alpha * (n + off) - (1 + alpha) * mu
    b = (c + np.sqrt(c**2 + 4 * alpha * (1 + alpha) * off * mu)) / (2 * alpha * (1 + alpha))
    logs = [np.where(k > 0, k * np.log(np.where(k > 0, k / np.where(k > 0, m, 1.0), 1.0)), 0.0) for k, m in ((n, mu + alpha * b), (off, b))]
    return float(2 * (mu + (1 + alpha) * b - n - off + sum(logs)).sum())


@pytest.mark.filterwarnings("ignore:dataset '.*' has a region and no PSF", "ignore:no data constrain")
@pytest.mark.parametrize("is_free", [True, False], ids=["free", "frozen"])
@pytest.mark.parametrize("shape", ["point", "gauss"])
@pytest.mark.parametrize("names", PAIRS, ids="+".join)
def test_every_pair_is_the_sum_of_its_parts(drawn, names, shape, is_free):
    datasets = gpudl4.Datasets([drawn[name].copy(name=name) for name in names])
    datasets.models = _models(names, shape, is_free)
    likelihood = gpudl4.compile(datasets)
    theta = likelihood.theta0 * 1.01
    for parameter, value in zip(likelihood.parameters, theta, strict=True):
        parameter.value = value if parameter.name not in ("lon_0", "lat_0") else parameter.value
    theta = np.array([p.value for p in likelihood.parameters])
    assert likelihood.value(theta) == pytest.approx(sum(_brute(dataset) for dataset in datasets), rel=1e-7)
    result = gpudl4.Fit().run(datasets)
    assert result.total_stat == pytest.approx(sum(_brute(dataset) for dataset in datasets), rel=1e-7)
    assert result.total_stat < likelihood.value(theta) + 1e-6
    if is_free and not MAPS & set(names):  # a spectrum without a PSF sees no shape: that is said, and no success
        assert not result.success
        assert {"source.lon_0", "source.lat_0"} <= set(result.unconstrained)
    else:
        assert result.success, result.message
        found = dict(zip(result.names, zip(result.values, result.errors, strict=True), strict=True))
        assert abs(found["source.index"][0] - 2.3) < 4.5 * found["source.index"][1]
        assert ("source.lon_0" in found) == is_free


@pytest.mark.filterwarnings("ignore:dataset '.*' has a region and no PSF")
def test_a_cube_ten_spectra_and_flux_points(drawn):
    names = ["cube", *(f"run-{i}" for i in range(10)), "fluxes"]
    kinds = ["cube", *(("spectrum", "wstat")[i % 2] for i in range(10)), "fluxes"]
    datasets = gpudl4.Datasets([drawn[kind].copy(name=name) for kind, name in zip(kinds, names, strict=True)])
    datasets.models = _models(names, "point", True)
    likelihood = gpudl4.compile(datasets)
    assert likelihood.value(likelihood.theta0) == pytest.approx(sum(_brute(dataset) for dataset in datasets), rel=1e-7)
    result = gpudl4.Fit().run(datasets)
    assert result.success, result.message
    assert result.total_stat == pytest.approx(sum(_brute(dataset) for dataset in datasets), rel=1e-7)


def test_a_run_that_is_wholly_masked_adds_nothing_whatever_it_lacks(drawn):
    good, bad = drawn["wstat"].copy(name="good"), drawn["wstat"].copy(name="bad")
    bad.mask_safe.data[:] = False
    bad.counts_off = None
    datasets = gpudl4.Datasets([good, bad])
    datasets.models = _models(["good", "bad"], "point", False)
    assert bad.stat_sum() == 0
    result = gpudl4.Fit().run(datasets)
    assert result.success
    assert gpudl4.likelihood.estimate_memory(datasets).total == gpudl4.compile(datasets).memory.total
    alone = gpudl4.Datasets([good.copy(name="alone")])
    alone.models = _models(["alone"], "point", False)
    assert result.total_stat == gpudl4.Fit().run(alone).total_stat


def test_a_shape_that_a_spectrum_does_not_look_at_is_said(drawn):
    datasets = gpudl4.Datasets([drawn["cube"].copy(name="cube"), drawn["spectrum"].copy(name="spectrum")])
    datasets.models = _models(["cube", "spectrum"], "gauss", True)
    datasets.models["source"].spatial_model.sigma.quantity = 0.3 * u.deg
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gpudl4.Fit().run(datasets)
    told = [str(one.message) for one in caught if "no PSF" in str(one.message)]
    assert len(told) == 1
    assert "'spectrum'" in told[0]
