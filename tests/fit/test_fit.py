"""Whole fits on a small synthetic field: the same answer from everywhere, errors that mean something, results that say why."""

import json

import numpy as np
import pytest

from gpudl4 import Datasets, Fit
from gpudl4.core.errors import FitError
from gpudl4.datasets import MapDatasetOnOff
from gpudl4.likelihood import Likelihood, compile
from tests.factory import make_dataset, make_models


@pytest.fixture(scope="module")
def fitted():
    dataset = make_dataset()
    dataset.models["gauss"].spatial_model.freeze()
    result = Fit(store_trace=True).run(dataset)
    return dataset, result


def _start(dataset, rng):
    """Move the free parameters away from where they are."""
    for model in dataset.models:
        for p in model.parameters:
            if p.frozen:
                continue
            if p.name in ("lon_0", "lat_0"):
                p.value += rng.uniform(-0.15, 0.15)
            elif p.name == "index":
                p.value += rng.uniform(-0.3, 0.3)
            else:
                p.value *= rng.uniform(0.6, 1.5)


def test_result_is_what_the_datasets_say(fitted):
    dataset, result = fitted
    assert result.success
    assert result.message == "converged"
    assert result.total_stat == Datasets([dataset]).stat_sum()
    assert result.edm < 1e-4
    for name, value, error in zip(result.names, result.values, result.errors, strict=True):
        model, parameter = name.split(".")
        p = dataset.models[model].parameters[parameter]
        assert p.value == value
        assert p.error == pytest.approx(error)
    assert len(result.trace) > 1
    assert result.nfev >= result.ngrad > 3


def test_no_neighbouring_point_is_better(fitted):
    dataset, result = fitted
    likelihood = compile(dataset)
    rng = np.random.default_rng(1)
    for _ in range(200):
        theta = result.values + 0.3 * result.errors * rng.normal(size=len(result.values))
        assert likelihood.value(theta) > result.total_stat - 1e-6


@pytest.mark.parametrize("kind", [{}, {"reco_psf": True}], ids=["true-psf", "reco-psf"])
def test_random_starts_end_at_one_minimum(kind):
    dataset = make_dataset(**kind)
    dataset.models["gauss"].spatial_model.freeze()
    reference = Fit().run(dataset)
    best = reference.values
    rng = np.random.default_rng(5)
    for _ in range(6):
        for p, v in zip(reference.parameters.free_unique_parameters, best, strict=True):
            p.value = v
        _start(dataset, rng)
        result = Fit(covariance="fisher").run(dataset)
        assert result.success
        assert result.total_stat == pytest.approx(reference.total_stat, abs=1e-3)
        assert np.abs((result.values - best) / reference.errors).max() < 0.01


def test_extended_source_with_free_shape():
    dataset = make_dataset()
    for p in ("e", "phi"):
        dataset.models["gauss"].spatial_model.parameters[p].frozen = False
    dataset.models["gauss"].spatial_model.sigma.value = 0.12
    result = Fit().run(dataset)
    assert result.success
    theta = compile(dataset).theta0
    gradient = compile(dataset).value_and_gradient(theta)[1]
    free = [n not in result.at_kinks and n not in result.at_bounds for n in result.names]
    assert np.abs(gradient * result.errors)[free].max() < 2e-3


def test_a_circle_is_not_the_end_of_an_ellipse():
    """This used to stop at eccentricity 0, a bound and a saddle, 1.6 above the minimum."""
    stats = []
    for e in (0.0, 0.3, 0.9):
        dataset = make_dataset()
        spatial = dataset.models["gauss"].spatial_model
        spatial.e.frozen = spatial.phi.frozen = False
        spatial.e.value, spatial.sigma.value = e, 0.12
        result = Fit().run(dataset)
        assert result.success
        stats.append(result.total_stat)
        assert spatial.e.value == pytest.approx(0.56, abs=0.05)
    assert np.ptp(stats) < 1e-3


def test_errors_are_those_of_a_numerical_hessian(fitted):
    dataset, result = fitted
    likelihood = compile(dataset)
    cells, n = likelihood.cells(result.values), len(result.values)
    step = 0.05 * result.errors
    matrix = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            total = 0.0
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                theta = result.values.copy()
                theta[i] += a * step[i]
                theta[j] += b * step[j]
                total += a * b * likelihood.value(theta, cells)
            matrix[i, j] = total / (4 * step[i] * step[j])
    errors = np.sqrt(np.diag(2 * np.linalg.inv(matrix)))
    at_kink = [name in result.at_kinks for name in result.names]
    np.testing.assert_allclose(result.errors[~np.array(at_kink)], errors[~np.array(at_kink)], rtol=0.01)
    assert result.covariance_kind == "hessian"


def test_joint_fit_of_two_datasets():
    first, second = make_dataset(name="one"), make_dataset(name="two", random_state=7, reco_psf=True)
    shared = first.models["point"]
    datasets = Datasets([first, second])
    backgrounds = [next(m for m in d.models if "fov-bkg" in m.tag) for d in datasets]
    datasets.models = [shared, *backgrounds]
    result = Fit().run(datasets)
    assert result.success
    assert len(result.names) == 6
    assert result.total_stat == datasets.stat_sum()
    alone = Fit().run(Datasets([first]))
    assert result.errors[0] < alone.errors[0]


def test_profiles_and_confidence(fitted):
    dataset, result = fitted
    i = result.names.index("point.index")
    interval = Fit().confidence(dataset, "point.index")
    assert interval["success"]
    assert interval["errp"] == pytest.approx(result.errors[i], rel=0.15)
    assert interval["errn"] == pytest.approx(result.errors[i], rel=0.15)
    free = result.parameters.free_unique_parameters
    assert free[i].value == result.values[i]

    parameter = free[i]
    parameter.scan_values = result.values[i] + result.errors[i] * np.array([-1.0, 0.0, 1.0])
    profile = Fit().stat_profile(dataset, parameter, reoptimize=True)
    np.testing.assert_allclose(profile["stat_scan"] - result.total_stat, [1, 0, 1], atol=0.15)
    fixed = Fit().stat_profile(dataset, parameter)
    assert fixed["stat_scan"][2] > profile["stat_scan"][2]
    assert list(fixed) == ["point.spectral.index_scan", "stat_scan", "fit_results"]

    amplitude = next(p for p, n in zip(free, result.names, strict=True) if n == "point.amplitude")
    amplitude.scan_values = [0.9 * amplitude.value, amplitude.value]
    surface = Fit().stat_surface(dataset, parameter, amplitude)
    assert surface["stat_scan"].shape == (3, 2)
    assert surface["stat_scan"].min() == pytest.approx(result.total_stat, abs=1e-6)

    contour = Fit().stat_contour(dataset, parameter, amplitude, numpoints=4)
    assert contour["success"]
    likelihood = compile(dataset)
    assert np.all(np.abs(contour["point.spectral.index"] - parameter.value) < 2 * result.errors[i])
    assert likelihood.names == result.names
    with pytest.raises(FitError, match=r"'norms' is not a free parameter; free parameters: point\.index"):
        Fit().confidence(dataset, "norms")
    with pytest.raises(FitError, match="'amplitude' belongs to several models"):
        Fit().confidence(dataset, "amplitude")


def test_parameter_at_its_bound():
    dataset = make_dataset()
    dataset.models["gauss"].spatial_model.freeze()
    index = dataset.models["point"].spectral_model.index
    index.min = index.value + 0.5
    index.value = index.min + 0.2
    result = Fit().run(dataset)
    assert result.success
    assert result.at_bounds == ("point.index",)
    assert any("at its bound" in hint for hint in result.hints)
    assert index.value == index.min


def test_unconstrained_parameter_is_named():
    dataset = make_dataset()
    dataset.models["gauss"].spatial_model.freeze()
    far = make_models()[0].copy(name="far")
    far.spatial_model.lat_0.value += 30
    for p in far.parameters:
        p.frozen = p.name != "amplitude"
    dataset.models = list(dataset.models) + [far]
    with pytest.warns(UserWarning, match=r"no data constrain the free parameter\(s\) far.amplitude"):
        result = Fit().run(dataset)
    assert result.unconstrained == ("far.amplitude",)
    assert np.isnan(result.errors[result.names.index("far.amplitude")])


def test_a_source_the_data_hardly_see_fails_in_good_time():
    """This used to run to an index of -491: the PSF's tail of a source outside the mask has a flux and no spectrum."""
    dataset = make_dataset()
    dataset.models["gauss"].freeze()
    dim = make_models()[0].copy(name="dim")
    dim.spatial_model.freeze()
    lon, lat = dataset.counts.geom.pix_to_lonlat(np.array([-1.5]), np.array([10.0]), "galactic")
    dim.spatial_model.lon_0.value, dim.spatial_model.lat_0.value = float(lon[0]), float(lat[0])
    dim.spectral_model.amplitude.value = 1e-16
    dataset.models = [*dataset.models, dim]
    with pytest.warns(UserWarning, match="no data constrain"):
        result = Fit().run(dataset)
    assert np.all(np.isfinite(result.values))
    assert result.nfev < 400


def _with_off_counts(dataset):
    """ON-OFF data of the same sky and models."""
    flat = dataset.counts.copy(data=np.ones(dataset.counts.data.shape, dtype=np.float32))
    off = dataset.counts.copy(data=np.random.default_rng(2).poisson(4 * dataset.background.data).astype(np.float32))
    out = MapDatasetOnOff.from_map_dataset(dataset, acceptance=flat, acceptance_off=4 * flat, counts_off=off, name=dataset.name)
    out.models = [model for model in dataset.models if "fov-bkg" not in model.tag]
    return out


@pytest.mark.parametrize("kind", ["cube", "wstat"])
def test_single_precision_ends_at_the_same_minimum(kind, kernel_device):
    """On host and device: the likelihood is another one, its minimum, errors and scans the same far within the errors."""

    def fresh():
        dataset = make_dataset()
        dataset.models["gauss"].spatial_model.freeze()
        return dataset if kind == "cube" else _with_off_counts(dataset)

    dataset = fresh()
    double = Fit().run(dataset)
    assert double.success
    rng = np.random.default_rng(3)
    for _ in range(4):
        for p, v in zip(double.parameters.free_unique_parameters, double.values, strict=True):
            p.value = v
        _start(dataset, rng)
        single = Fit(dtype="float32").run(dataset)
        assert single.success
        assert np.abs((single.values - double.values) / double.errors).max() < 0.01
        np.testing.assert_allclose(single.errors, double.errors, rtol=1e-3)
        assert single.total_stat == pytest.approx(double.total_stat, abs=1e-3)
    assert single.total_stat == compile(dataset, dtype="float32").value(single.values) != compile(dataset).value(single.values)
    own, other = (Fit(dtype=dtype).confidence(dataset, "point.index") for dtype in ("float32", "float64"))
    assert own["errp"] == pytest.approx(other["errp"], rel=1e-3)
    assert own["stat"] == pytest.approx(single.total_stat, abs=1e-4)
    there = Fit(dtype="float32").run(fresh().to_device("cupy"))
    assert there.success
    assert there.backend == "cupy"
    assert np.abs((there.values - double.values) / double.errors).max() < 0.01


@pytest.mark.parametrize("many", [1e2, 1e5])
def test_single_precision_with_many_counts(many):
    """The statistic is rounded more than a minimiser may change it, up to 1e-2 here: gradients lead to the minimum in as many steps."""
    dataset = make_dataset()
    dataset.exposure.data *= many
    dataset.background.data *= many
    for name in ("point", "gauss"):
        dataset.models[name].spectral_model.amplitude.value *= 10 / np.sqrt(many)
    dataset.models["gauss"].spatial_model.freeze()
    dataset.fake(3)
    start = compile(dataset)
    double = Fit().run(dataset)
    for p, v in zip(start.parameters, start.theta0, strict=True):
        p.value = v
    single = Fit(dtype="float32").run(dataset)
    assert double.success
    assert single.success
    assert single.nfev <= 1.5 * double.nfev
    assert np.abs((single.values - double.values) / double.errors).max() < 0.01
    np.testing.assert_allclose(single.errors, double.errors, rtol=1e-3)
    noise = compile(dataset, dtype="float32").noise
    assert 0 < abs(single.total_stat - double.total_stat) < noise
    assert noise == pytest.approx(8 * 2**-23 * np.sqrt(dataset.counts.data[dataset.mask.data].sum()), rel=1e-3)
    assert compile(dataset).noise == 0


def test_wrong_options():
    with pytest.raises(FitError, match="dtype 'float16' is not known: choose one of float64, float32"):
        Fit(dtype="float16")
    with pytest.raises(FitError, match="fit backend 'sherpa' is not known"):
        Fit(backend="sherpa")
    with pytest.raises(FitError, match=r"unknown optimize_opts \['tolerance'\]: known are tol, strategy, print_level"):
        Fit(optimize_opts={"tolerance": 1})
    with pytest.raises(FitError, match="covariance 'minos' is not known"):
        Fit(covariance="minos")
    dataset = make_dataset()
    dataset.models.freeze()
    with pytest.raises(FitError, match="no parameter is free"):
        Fit().run(dataset)


def test_models_may_be_given_as_a_list():
    dataset = make_dataset(models=None)
    models = list(make_models())
    models[1].spatial_model.freeze()
    result = Fit().run(dataset, models=models)
    assert result.success
    assert [m.name for m in result.models] == [m.name for m in models]
    assert models[0].spectral_model.index.error > 0
    assert dataset.models is None or len(dataset.models) == 0


def test_optimize_only():
    dataset = make_dataset()
    dataset.models["gauss"].spatial_model.freeze()
    result = Fit().optimize(dataset)
    assert result.success
    assert result.covariance_matrix is None
    assert result.covariance_kind == "none"
    assert "not computed" in str(result)


def test_result_prints_itself(fitted):
    _, result = fitted
    text = str(result)
    for piece in ("success", "converged", "total stat", "point.amplitude", "observed Hessian"):
        assert piece in text
    html = result._repr_html_()
    assert html.count("<tr") == 10 + len(result.names)
    assert "<table>" in html
    data = json.loads(json.dumps(result.to_dict()))
    assert data["total_stat"] == result.total_stat
    assert [p["name"] for p in data["parameters"]] == list(result.names)


def test_the_fisher_matrix_is_made_where_it_is_wanted(monkeypatch):
    """A fit reports the Hessian, and makes no second matrix of all derivatives beside it."""
    asked = []
    fisher = Likelihood.fisher
    monkeypatch.setattr(Likelihood, "fisher", lambda self, *args: asked.append(1) or fisher(self, *args))
    dataset = make_dataset()
    dataset.models["gauss"].spatial_model.freeze()
    result = Fit().run(dataset)
    assert (result.covariance_kind, asked) == ("hessian", [])
    assert Fit(covariance="fisher").run(dataset).covariance_kind == "fisher"
    assert asked == [1]


def test_two_runs_are_bit_identical():
    results = []
    for _ in range(2):
        dataset = make_dataset()
        dataset.models["gauss"].spatial_model.freeze()
        results.append(Fit().run(dataset))
    np.testing.assert_array_equal(results[0].values, results[1].values)
    np.testing.assert_array_equal(results[0].covariance_matrix, results[1].covariance_matrix)
