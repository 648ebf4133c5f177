"""Statistics of flux points: values against plain formulas, derivatives against differences."""

import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.special import erfc

from gpudl4.stats.flux_statistics import Chi2, Distrib, Profile

DATA = np.array([3.0, 1.0, 0.4, 0.2, np.nan])
ERRN, ERRP = np.array([0.3, 0.1, 0.1, 0.15, np.nan]), np.array([0.4, 0.2, 0.1, 0.3, np.nan])
LIMIT = np.array([4.0, 1.5, 0.7, 0.9, 0.5])
IS_UL = np.array([False, False, False, True, True])
MODELS = np.array([[2.5, 1.4, 0.41, 0.31, 0.1], [3.3, 0.8, 0.2, 2.5, 0.6], [0.1, 0.1, 0.1, 0.0, 30.0]])
NORMS = np.array([0.2, 0.5, 0.8, 1.0, 1.4, 2.0, 5.0])
SCANS = np.array([((NORMS - m) / s) ** 2 * (1 + 0.05 * NORMS) for m, s in ((1.0, 0.2), (0.7, 0.3), (1.3, 0.1), (0.4, 0.5), (1, 1))])
REFERENCE = np.array([2.5, 1.1, 0.5, 0.25, 0.2])
STATISTICS = {
    "chi2": Chi2(DATA[:4], ERRN[:4]),
    "distrib": Distrib(DATA, ERRN, ERRP, LIMIT, IS_UL),
    "profile": Profile(NORMS, SCANS, REFERENCE),
}


def plain(name, model):
    """The statistic of one point after the other."""
    out = []
    for i, m in enumerate(model):
        if name == "chi2":
            out.append(((DATA[i] - m) / ERRN[i]) ** 2)
        elif name == "profile":
            curve = interp1d(NORMS, SCANS[i], kind="quadratic", bounds_error=False, fill_value="extrapolate")
            out.append(float(curve(m / REFERENCE[i])))
        elif IS_UL[i]:
            out.append(2 * np.log(erfc((LIMIT[i] - m) / LIMIT[i]) / erfc(1.0)))
        else:
            out.append(((m - DATA[i]) / (ERRP[i] if m >= DATA[i] else ERRN[i])) ** 2)
    return np.array(out)


@pytest.mark.parametrize("name", STATISTICS)
def test_values_are_the_formulas(name):
    models = MODELS[:, :4] if name == "chi2" else MODELS
    found = STATISTICS[name].of(models).value
    np.testing.assert_allclose(found, [plain(name, model) for model in models], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", STATISTICS)
def test_derivatives_are_differences(name):
    models, step = (MODELS[:, :4] if name == "chi2" else MODELS), 1e-5
    statistic = STATISTICS[name]
    found, up, down = statistic.of(models), statistic.of(models + step), statistic.of(models - step)
    np.testing.assert_allclose(found.slope, (up.value - down.value) / (2 * step), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.curvature, (up.slope - down.slope) / (2 * step), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", STATISTICS)
def test_weights_of_steps_are_not_negative(name):
    models = np.repeat(np.linspace(-3, 40, 200)[:, np.newaxis], 4 if name == "chi2" else 5, axis=1)
    found = STATISTICS[name].of(models)
    assert np.isfinite(found.value).all()
    assert np.isfinite(found.slope).all()
    assert (found.weight >= 0).all()
    positive = found.curvature > 0
    np.testing.assert_array_equal(found.weight[positive], found.curvature[positive])


@pytest.mark.parametrize("name", STATISTICS)
def test_some_points_alone_are_the_same(name):
    models, index = (MODELS[:, :4] if name == "chi2" else MODELS), np.array([2, 0])
    whole, part = STATISTICS[name].of(models), STATISTICS[name].take(index).of(models[:, index])
    np.testing.assert_array_equal(part.value, whole.value[:, index])
    np.testing.assert_array_equal(part.slope, whole.slope[:, index])


def test_a_limit_is_bounded_and_starts_at_zero():
    statistic = Distrib(np.full(2, np.nan), np.full(2, np.nan), np.full(2, np.nan), np.array([1.0, 1.0]), np.array([True, True]))
    found = statistic.of(np.array([[0.0, 1e6]]))
    np.testing.assert_allclose(found.value, [[0, 2 * np.log(2 / erfc(1))]], atol=1e-14)
    assert found.slope[0, 1] == 0
    far_below = statistic.of(np.array([[-100.0, -1e4]]))  # erfc itself is 0 there
    assert np.isfinite(far_below.value).all()
    assert (far_below.slope > 0).all()


def test_nothing_known_counts_nothing():
    nothing = Distrib(*np.full((4, 1), np.nan), np.array([False]))
    found = nothing.of(np.array([[1.0]]))
    assert found.value == found.slope == found.curvature == found.weight == 0


def test_profiles_beyond_their_scan():
    assert Profile(NORMS, SCANS, REFERENCE).is_outside(MODELS)[2].tolist() == [True, True, False, True, True]
    closed = Profile(NORMS, SCANS, REFERENCE, extrapolate=False)
    found = closed.of(MODELS)
    assert np.isinf(found.value[closed.is_outside(MODELS)]).all()
    assert np.isfinite(found.value[~closed.is_outside(MODELS)]).all()


def test_linear_profiles_and_profiles_with_nan():
    scans = SCANS.copy()
    scans[1, 2] = np.nan
    found = Profile(NORMS, scans, REFERENCE, interp_scale="lin").of(MODELS)
    assert np.isnan(found.value[:, 1]).all()
    np.testing.assert_allclose(found.value[0, 0], np.interp(MODELS[0, 0] / REFERENCE[0], NORMS, SCANS[0]))
