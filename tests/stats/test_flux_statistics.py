"""Statistics of flux points, with their slopes, and gammapy's for the same points."""

from types import SimpleNamespace

import numpy as np
import pytest

from gpudl4.core.backend import to_device, to_host
from gpudl4.stats import (
    ProfileInterpolator,
    chi2,
    chi2_slope,
    distrib,
    distrib_slope,
    interpolate_profile,
    profile,
)
from tests.arrays import assert_close

FLUX = np.array([1.0, 2, 3, np.nan, 0.5, 2])
PRED = np.array([1.2, 1.5, 3, 1, 1.1, 0.3])
ERROR_N, ERROR_P = np.array([0.1, 0.2, 0.3, np.nan, np.nan, 0.2]), np.array([0.2, 0.3, 0.4, np.nan, np.nan, 0.5])
ERROR = np.array([0.15, 0.25, 0.35, np.nan, 0.3, 0.3])
IS_UL, UL = np.array([False] * 4 + [False, True]), np.array([2.0, 3, 4, np.nan, 1, 1.8])


def difference(function, pred, step=1e-6):
    return (to_host(function(pred + step)) - to_host(function(pred - step))) / (2 * step)


def test_chi2(kernel_backend):
    backend = kernel_backend
    flux, pred, error = (to_device(x, backend) for x in (FLUX[:3], PRED[:3], ERROR[:3]))
    assert_close(chi2(flux, pred, error), [(0.2 / 0.15) ** 2, 4, 0])
    assert_close(chi2_slope(flux, pred, error), difference(lambda p: chi2(flux, p, error), pred), rtol=1e-7, atol=1e-7)


def test_distrib(kernel_backend):
    backend = kernel_backend
    flux, pred, error, low, high, is_ul, limit = (to_device(x, backend) for x in (FLUX, PRED, ERROR, ERROR_N, ERROR_P, IS_UL, UL))
    stat = to_host(distrib(flux, pred, error, low, high, is_ul, limit))
    np.testing.assert_allclose(stat[:5], [1, 2.5**2, 0, 0, 4])
    assert stat[5] > 0
    assert to_host(distrib(flux, to_device(np.zeros(6), backend), error, low, high, is_ul, limit))[5] == pytest.approx(0, abs=1e-12)
    slope = to_host(distrib_slope(flux, pred, error, low, high, is_ul, limit))
    kink = np.array([True, True, False, True, True, True])
    np.testing.assert_allclose(slope[kink], difference(lambda p: distrib(flux, p, error, low, high, is_ul, limit), pred)[kink], rtol=1e-6)
    assert_close(distrib(flux, pred, error), chi2(FLUX, PRED, ERROR)[:3].tolist() + [0, 4, (1.7 / 0.3) ** 2])


def test_a_parabola_is_interpolated_exactly():
    norm = np.linspace(0, 3, 11)
    one = ProfileInterpolator(norm, ((norm - 1.2) / 0.3) ** 2)
    at = np.array([0.33, 1.2, 2.9, 4.5])
    np.testing.assert_allclose(one(at), ((at - 1.2) / 0.3) ** 2, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(one.slope(at), 2 * (at - 1.2) / 0.09, rtol=1e-9, atol=1e-9)
    assert one.is_extrapolated(at).tolist() == [False, False, False, True]
    assert np.isnan(interpolate_profile(norm, norm**2)(4.5))
    lines = ProfileInterpolator(norm, norm**2, "lin")
    assert lines(0.15) == pytest.approx(0.5 * 0.3**2)


def test_a_profile_that_is_none():
    with pytest.raises(ValueError, match="at least 3 ascending norms"):
        ProfileInterpolator([0, 1], [0, 1])
    with pytest.raises(ValueError, match="at least 3 ascending norms"):
        ProfileInterpolator([0, 2, 1], [0, 1, 2])
    with pytest.raises(ValueError, match="interp_scale must be 'sqrt' or 'lin', got 'log'"):
        ProfileInterpolator([0, 1, 2], [0, 1, 2], "log")
    one = ProfileInterpolator([0, 1, 2], [0, np.nan, 2])
    assert not one.is_valid
    assert np.isnan(one(1.0))


def test_profiles_of_points():
    norm = np.linspace(0.2, 5, 21)
    best = np.array([[[1.0]], [[1.4]]])
    scans = 7 + ((norm - best) / 0.2) ** 2
    value, slope, beyond = profile(np.array([[[1.1]], [[6.0]]])[..., 0], norm, scans, np.full((2, 1), 7.0))
    np.testing.assert_allclose(value[:, 0], [0.25, 23.0**2], rtol=1e-9)
    np.testing.assert_allclose(slope[:, 0], [5, 230], rtol=1e-9)
    assert beyond[:, 0].tolist() == [False, True]


@pytest.mark.peer
def test_agrees_with_gammapy():
    peer = pytest.importorskip("gammapy.stats")
    u = pytest.importorskip("astropy.units")
    values = {"dnde": FLUX, "dnde_err": ERROR, "dnde_errn": ERROR_N, "dnde_errp": ERROR_P, "dnde_ul": UL, "is_ul": IS_UL}
    data = SimpleNamespace(**{name: SimpleNamespace(data=x, quantity=x * u.one, unit=u.one) for name, x in values.items()})
    dataset = SimpleNamespace(data=data, flux_pred=lambda: PRED * u.one)
    assert_close(distrib(FLUX, PRED, ERROR, ERROR_N, ERROR_P, IS_UL, UL), peer.Chi2AsymmetricErrorFitStatistic.stat_array_dataset(dataset))
    assert_close(chi2(FLUX, PRED, ERROR), peer.Chi2FitStatistic.stat_array_dataset(dataset))
    from gammapy.utils.interpolation import interpolate_profile as theirs

    norm = np.linspace(0.2, 5, 21)
    stat, at = np.abs((norm - 1.1) / 0.2) ** 2.3, np.array([0.25, 1.0, 3.3, 6.0])
    for scale in ("sqrt", "lin"):
        assert_close(ProfileInterpolator(norm, stat, scale)(at), theirs(norm, stat, scale, extrapolate=True)(at), rtol=1e-9)
