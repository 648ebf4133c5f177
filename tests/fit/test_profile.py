"""Profiles, contours and confidence limits against brute force: every point is a fit of its own, with what is held frozen."""

import numpy as np
import pytest

from benchmarks.cases import library
from benchmarks.pull_cases import CASES
from benchmarks.pulls import draw
from gpudl4 import Fit, compile
from gpudl4.core.errors import FitError
from gpudl4.fit.profile import Profiler
from tests.factory import make_dataset

CUBE_PAIRS = [("point.amplitude", "point.index"), ("point.lon_0", "point.lat_0"), ("point.amplitude", "gauss.amplitude")]


def _cube(linked=False, dim=1.0):
    dataset = make_dataset()
    dataset.models["gauss"].spatial_model.freeze()
    if linked:
        dataset.models["gauss"].spectral_model.index = dataset.models["point"].spectral_model.index
    if dim != 1.0:  # so that the position is known to more than a pixel only
        point = dataset.models["point"]
        point.spectral_model.amplitude.value *= dim
        dataset.counts.data = np.random.default_rng(4).poisson(np.clip(dataset.npred().data, 0, None)).astype(np.float32)
    return dataset


def _spectrum(name):
    drawn, _ = next(draw(CASES[name], library("gpudl4"), np.random.default_rng(11)))
    dataset = drawn.copy(name=name)
    dataset.models = drawn.models.reassign(drawn.name, name)
    return dataset


def _free(dataset, name):
    model, parameter = name.split(".")
    return dataset.models[model].parameters[parameter]


def _refitted(dataset, held):
    """Statistic of a fit with some parameters frozen at values; the models are left as they were."""
    before = [(p, p.value, p.frozen, p.error) for p in dataset.models.parameters.unique_parameters]
    for p, value in held:
        p.value, p.frozen = float(value), True
    is_free = any(not p.frozen for p, *_ in before)
    likelihood = compile(dataset)
    stat = Fit(search_radius="0 deg").optimize(dataset).total_stat if is_free else likelihood.value(likelihood.theta0)
    for p, value, frozen, error in before:
        p.value, p.frozen, p.error = value, frozen, error
    return stat


def _around(result, name, n, sigmas=2.0):
    i = result.names.index(name)
    return result.values[i] + result.errors[i] * np.linspace(-sigmas, sigmas, n)


@pytest.fixture(scope="module")
def cube():
    dataset = _cube()
    return dataset, Fit().run(dataset)


@pytest.mark.parametrize("name", ["point.index", "point.amplitude", "point.lon_0", "gauss.amplitude", "test-bkg.norm"])
def test_profile_of_a_cube(cube, name):
    dataset, result = cube
    parameter = _free(dataset, name)
    parameter.scan_values = _around(result, name, 7, 3.0)
    profile = Fit().stat_profile(dataset, name, reoptimize=True)
    wanted = [_refitted(dataset, [(parameter, value)]) for value in parameter.scan_values]
    np.testing.assert_allclose(profile["stat_scan"], wanted, atol=2e-4)
    assert [p.value for p in result.parameters.free_unique_parameters] == list(result.values)
    results = profile["fit_results"]
    assert all(one.success for one in results)
    assert [one.total_stat for one in results] == list(profile["stat_scan"])
    np.testing.assert_array_equal([one.values[result.names.index(name)] for one in results], parameter.scan_values)
    likelihood = compile(dataset)
    at = [likelihood.value(one.values) for one in results]
    np.testing.assert_allclose(at, profile["stat_scan"], atol=2e-4)
    fixed = Fit().stat_profile(dataset, name)
    theta = np.tile(result.values, (7, 1))
    theta[:, result.names.index(name)] = parameter.scan_values
    np.testing.assert_allclose(fixed["stat_scan"], [likelihood.value(one) for one in theta], atol=1e-6)
    assert fixed["fit_results"] == []


@pytest.mark.parametrize("kind", ["spectrum", "wstat", "fluxes"])
def test_profile_of_a_spectrum(kind):
    dataset = _spectrum(kind)
    result = Fit().run(dataset)
    assert result.success
    for name in result.names[:2]:
        parameter = _free(dataset, name)
        parameter.scan_values = _around(result, name, 5)
        profile = Fit().stat_profile(dataset, name, reoptimize=True)
        wanted = [_refitted(dataset, [(parameter, value)]) for value in parameter.scan_values]
        np.testing.assert_allclose(profile["stat_scan"], wanted, atol=2e-4)


def test_on_a_device(kernel_device, cube):
    dataset, result = cube
    parameter = _free(dataset, "point.index")
    parameter.scan_values = _around(result, "point.index", 5)
    there = dataset.to_device("cupy")
    own, other = (Fit().stat_profile(one, parameter, reoptimize=True)["stat_scan"] for one in (dataset, there))
    np.testing.assert_allclose(own, other, atol=1e-6)
    own, other = (Fit().confidence(one, parameter) for one in (dataset, there))
    assert (own["errp"], own["errn"]) == pytest.approx((other["errp"], other["errn"]), rel=1e-5)


@pytest.mark.parametrize("pair", CUBE_PAIRS)
def test_surface_and_contour_of_a_cube(cube, pair):
    """The contour used to be a line, or no positive matrix, where one of the two is an amplitude."""
    dataset, result = cube
    first, second = (_free(dataset, name) for name in pair)
    first.scan_values, second.scan_values = _around(result, pair[0], 3), _around(result, pair[1], 3)
    surface = Fit().stat_surface(dataset, first, second, reoptimize=True)
    wanted = [[_refitted(dataset, [(first, a), (second, b)]) for b in second.scan_values] for a in first.scan_values]
    np.testing.assert_allclose(surface["stat_scan"], wanted, atol=2e-4)
    assert surface["fit_results"].shape == (3, 3)
    contour = Fit().stat_contour(dataset, *pair, numpoints=6, sigma=1.5)
    assert contour["success"]
    assert not contour["bounded"].any()
    xs, ys = list(contour.values())[:2]
    rises = [_refitted(dataset, [(first, a), (second, b)]) - result.total_stat for a, b in zip(xs, ys, strict=True)]
    np.testing.assert_allclose(rises, 1.5**2, atol=0.01)
    for name, values in zip(pair, (xs, ys), strict=True):
        i = result.names.index(name)
        assert np.ptp(values) == pytest.approx(2 * 1.5 * result.errors[i], rel=0.2)


@pytest.mark.parametrize("kind", ["spectrum", "wstat"])
def test_contour_of_a_spectrum(kind):
    dataset = _spectrum(kind)
    result = Fit().run(dataset)
    pair = [next(n for n in result.names if n.endswith(end)) for end in (".amplitude", ".index")]
    contour = Fit().stat_contour(dataset, *pair, numpoints=8)
    assert contour["success"]
    first, second = (_free(dataset, name) for name in pair)
    xs, ys = list(contour.values())[:2]
    rises = [_refitted(dataset, [(first, a), (second, b)]) - result.total_stat for a, b in zip(xs, ys, strict=True)]
    np.testing.assert_allclose(rises, 1.0, atol=0.01)


def test_linked_parameters():
    dataset = _cube(linked=True)
    result = Fit().run(dataset)
    assert len(result.names) == 6
    index, amplitude = dataset.models["gauss"].spectral_model.index, dataset.models["gauss"].spectral_model.amplitude
    contour = Fit().stat_contour(dataset, index, amplitude, numpoints=5)
    assert list(contour)[:2] == ["point.spectral.index", "gauss.spectral.amplitude"]
    rises = [_refitted(dataset, [(index, a), (amplitude, b)]) - result.total_stat for a, b in zip(*list(contour.values())[:2], strict=True)]
    np.testing.assert_allclose(rises, 1.0, atol=0.01)
    interval = Fit().confidence(dataset, index)
    for value in (index.value + interval["errp"], index.value - interval["errn"]):
        assert _refitted(dataset, [(index, value)]) - result.total_stat == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("sigma", [1, 3])
@pytest.mark.parametrize("name", ["point.amplitude", "point.lat_0"])
def test_confidence_is_where_a_refit_has_risen(cube, name, sigma):
    dataset, result = cube
    parameter = _free(dataset, name)
    interval = Fit().confidence(dataset, name, sigma=sigma)
    assert interval["success"]
    assert interval["bounded"] == ()
    assert interval["nfev"] < 30
    for value in (parameter.value + interval["errp"], parameter.value - interval["errn"]):
        assert _refitted(dataset, [(parameter, value)]) - result.total_stat == pytest.approx(sigma**2, rel=2e-3)
    likelihood, theta = compile(dataset), result.values.copy()
    fixed = Fit().confidence(dataset, name, sigma=sigma, reoptimize=False)
    theta[result.names.index(name)] += fixed["errp"]
    assert likelihood.value(theta) - result.total_stat == pytest.approx(sigma**2, rel=5e-3)


def test_positions_across_many_pixels_are_the_lowest_of_all_cells():
    """A dim point is known to more than a pixel: at each longitude its best latitude may lie in another cell.

    The reference holds latitudes on a fine grid as well, where nothing has a kink.
    """
    dataset = _cube(dim=0.12)
    dataset.models["gauss"].freeze()
    result = Fit().run(dataset)
    lon, lat = _free(dataset, "point.lon_0"), _free(dataset, "point.lat_0")
    assert result.errors[result.names.index("point.lon_0")] > 0.02
    lon.scan_values = lon.value + np.linspace(-0.15, 0.15, 7)
    profile = Fit().stat_profile(dataset, lon, reoptimize=True)
    profiler = Profiler(dataset)
    i, j = profiler.index(lon), profiler.index(lat)
    cells = {profiler.likelihood.cells(one.values) for one in profile["fit_results"]}
    assert len(cells) > 3
    for value, stat in zip(lon.scan_values, profile["stat_scan"], strict=True):
        lats = lat.value + np.linspace(-0.12, 0.12, 25)
        grid = min(one.stat for one in profiler.refit([i, j], np.stack([np.full(25, value), lats], axis=1)))
        assert grid - 0.05 < stat < grid + 1e-3


def test_a_scan_that_leaves_what_was_compiled():
    """A source is compiled anew where its cutout does not serve; the models stay as they are."""
    dataset = _cube(dim=0.12)
    dataset.models["gauss"].freeze()
    result = Fit().run(dataset)
    lat = _free(dataset, "point.lat_0")
    lat.scan_values = [lat.value, lat.value - 0.9]
    profile = Fit().stat_profile(dataset, lat, reoptimize=True)
    lat.value, before = lat.scan_values[1], lat.value
    there = compile(dataset)
    lat.value = before
    assert profile["stat_scan"][1] == pytest.approx(there.value(profile["fit_results"][1].values), abs=1e-3)
    assert lat.value == result.values[result.names.index("point.lat_0")]


def test_a_best_fit_on_a_bound():
    dataset = _cube()
    index = dataset.models["point"].spectral_model.index
    index.min = index.value + 0.1
    index.value = index.min + 0.1
    result = Fit().run(dataset)
    assert result.at_bounds == ("point.index",)
    interval = Fit().confidence(dataset, "point.index")
    assert interval["success"]
    assert interval["bounded"] == ("errn",)
    assert np.isnan(interval["errn"])
    assert _refitted(dataset, [(index, index.value + interval["errp"])]) - result.total_stat == pytest.approx(1.0, abs=2e-3)
    contour = Fit().stat_contour(dataset, "point.index", "point.amplitude", numpoints=6)
    assert contour["success"]
    assert 1 < contour["bounded"].sum() < 6
    np.testing.assert_allclose(contour["point.spectral.index"][contour["bounded"]], index.min)


def test_a_bound_near_the_best_fit_cuts_one_side_off(cube):
    dataset, result = cube
    norm = _free(dataset, "test-bkg.norm")
    norm.max = norm.value + 0.5 * result.errors[-1]
    try:
        interval = Fit().confidence(dataset, norm)
        assert interval["success"]
        assert interval["bounded"] == ("errp",)
        assert interval["errn"] == pytest.approx(result.errors[-1], rel=0.1)
    finally:
        norm.max = np.nan


def test_keys_tell_parameters_of_one_name_apart_as_gammapy_does(cube):
    dataset, _ = cube
    peer = pytest.importorskip("gammapy.modeling.models").Models.from_dict(dataset.models.to_dict())
    pair = [dataset.models[name].spectral_model.amplitude for name in ("point", "gauss")]
    for p in pair:
        p.scan_values = [0.9 * p.value, p.value]
    surface = Fit().stat_surface(dataset, *pair)
    keys = ["point.spectral.amplitude", "gauss.spectral.amplitude"]
    assert list(surface) == [f"{keys[0]}_scan", f"{keys[1]}_scan", "stat_scan", "fit_results"]
    assert set(keys) < set(peer.parameters_unique_names)
    assert list(Fit().stat_profile(dataset, pair[1])) == [f"{keys[1]}_scan", "stat_scan", "fit_results"]
    assert list(Fit().stat_contour(dataset, *keys, numpoints=3))[:2] == keys
    with pytest.raises(FitError, match=r"x and y are one parameter, point\.amplitude"):
        Fit().stat_surface(dataset, pair[0], keys[0])


def test_a_batch_with_its_cells_has_the_numbers_of_single_evaluations(kernel_backend, cube):
    dataset, result = cube
    likelihood = compile(dataset.to_device(kernel_backend))
    step = np.zeros(len(result.values))
    step[result.names.index("point.lon_0")] = 0.07  # pixels are 0.1 deg wide
    thetas = np.array([result.values + k * step for k in range(-2, 3)])
    cells = [likelihood.cells(theta) for theta in thetas][::-1]
    assert len(set(cells)) > 2
    stats, gradients = likelihood.evaluate(thetas, cells=cells)
    for theta, own, stat, gradient in zip(thetas, cells, stats, gradients, strict=True):
        wanted = likelihood.value_and_gradient(theta, own)
        assert stat == pytest.approx(wanted[0], rel=1e-13)
        np.testing.assert_allclose(gradient, wanted[1], rtol=1e-9, atol=1e-9 * np.abs(wanted[1]).max())


def test_a_parameter_that_no_data_constrain_has_no_profile(cube):
    dataset, _ = cube
    far = dataset.models["point"].copy(name="far")
    far.spatial_model.freeze()
    far.spatial_model.lat_0.value += 30
    far.spectral_model.index.frozen = True
    models = [*dataset.models, far]
    twin = dataset.copy(name="test")
    twin.models = models
    with pytest.warns(UserWarning, match="contributes nothing"), pytest.raises(FitError, match=r"no data constrain far\.amplitude"):
        Fit().confidence(twin, "far.amplitude")
