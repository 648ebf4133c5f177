"""The Cash statistic bin by bin and summed, on each backend."""

import math

import numpy as np
import pytest

from gpudl4.core.backend import to_device, to_host
from gpudl4.stats import TRUNCATION_VALUE, cash, cash_sum, cstat, cstat_slope, cstat_sum, weighted_cash_sum
from tests.arrays import assert_close


def test_cash_is_two_times_mu_minus_n_log_mu():
    assert cash(3, 2.0) == pytest.approx(2 * (2 - 3 * math.log(2)), rel=1e-15)
    assert cash(0, 2.5) == 5.0


def test_prediction_of_zero_costs_the_floor():
    assert cash(1, 0) == pytest.approx(115.129, abs=1e-3)
    assert cash(0, 0) == 2 * TRUNCATION_VALUE
    assert cash(1, -3.0) == cash(1, 0)
    assert cash(1, 0, truncation_value=1e-10) == pytest.approx(2 * math.log(1e10), rel=1e-9)


def test_cash_broadcasts_and_is_float64(backend):
    stat = cash(backend.xp.ones((2, 3), dtype="float32"), backend.xp.full(3, 2, dtype=int))
    assert stat.shape == (2, 3)
    assert stat.dtype == np.float64


def test_cash_sum_equals_the_sum_over_bins(backend):
    rng = np.random.default_rng(0)
    mu = rng.uniform(0, 3, (4, 50))
    mu[0, :5] = 0
    n = rng.poisson(mu + 0.1).astype("float32")
    total = cash_sum(to_device(n, backend), to_device(mu, backend))
    assert total == pytest.approx(cash(n, mu).sum(), rel=1e-13)
    assert isinstance(total, float)


def test_cash_sum_of_float32_is_accumulated_in_double():
    mu = np.full(10_000_000, 0.1, dtype="float32")
    assert cash_sum(np.zeros_like(mu), mu) == pytest.approx(2 * 1e7 * float(np.float32(0.1)), rel=1e-12)


def test_cstat_vanishes_where_counts_are_predicted_exactly():
    assert cstat(5, 5.0) == 0
    assert cstat(5, 4.0) == pytest.approx(cash(5, 4.0) - cash(5, 5.0), rel=1e-12)


def test_cstat_sum_and_slope(kernel_backend):
    """Over more than one run of bins, where one of the arrays is broadcast."""
    rng = np.random.default_rng(6)
    mu = rng.uniform(0.0, 3, (2, 1, 3000))
    mu[0, 0, :5] = 0
    n = rng.poisson(1.5, (3, 1)).astype("float32")
    ours = to_device(n, kernel_backend), to_device(mu, kernel_backend)
    total, slope, h = cstat_sum(*ours), cstat_slope(*ours), 1e-6
    assert isinstance(total, float)
    assert total == pytest.approx(cstat(n, mu).sum(), rel=1e-12)
    assert slope.shape == (2, 3, 3000)
    smooth = np.broadcast_to(mu > 0.1, slope.shape)
    assert_close(slope[..., 5:], np.where(n > 0, 2 - 2 * n / mu[..., 5:], 2), rtol=1e-13)
    numeric = (cstat(n, mu + h) - cstat(n, mu - h)) / (2 * h)
    np.testing.assert_allclose(to_host(slope)[smooth], numeric[smooth], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(to_host(slope)[0, :, :5], np.where(n > 0, 0, 2) * np.ones(5))
    assert cstat_sum(ours[0][:0], ours[1][0, :0]) == 0.0
    assert cstat_sum(3, 0.5, truncation_value=0.5) == pytest.approx(2 * (0.5 - 3 + 3 * math.log(6)))


@pytest.mark.parametrize("function", [cash, cash_sum, cstat, cstat_sum, cstat_slope])
def test_floor_must_be_positive(function):
    with pytest.raises(ValueError, match="truncation_value must be positive, got -1"):
        function(np.ones(2), np.ones(2), truncation_value=-1)


@pytest.mark.peer
def test_agrees_with_gammapy(backend):
    peer = pytest.importorskip("gammapy.stats")
    n, mu = np.meshgrid([0.0, 1, 5, 100], [-1.0, 0, 1e-26, 1e-3, 1, 99.5])
    ours = to_device(n, backend), to_device(mu, backend)
    rtol = 0 if backend.name == "numpy" else 1e-14  # the logarithm of another library
    assert_close(cash(*ours), peer.cash(n, mu), rtol=rtol)
    assert_close(cstat(*ours), peer.cstat(n, mu), rtol=rtol)


def test_weights(backend):
    rng = np.random.default_rng(1)
    n, mu, weight = rng.poisson(2.0, 40), rng.uniform(0.5, 3, 40), rng.uniform(-0.5, 2, 40)
    total = weighted_cash_sum(*(to_device(np.asarray(x, dtype=float), backend) for x in (n, mu, weight)))
    assert total == pytest.approx((cash(n, mu) * np.maximum(weight, 0)).sum(), rel=1e-13)
    assert weighted_cash_sum(n, mu, np.ones(40)) == pytest.approx(cash_sum(n, mu), rel=1e-13)
    assert cstat_sum(n, mu) == pytest.approx(cstat(n, mu).sum(), rel=1e-13)


@pytest.mark.peer
def test_weighted_sum_agrees_with_gammapy():
    peer = pytest.importorskip("gammapy.stats.fit_statistics_jit")
    n, mu, weight = np.array([0.0, 1, 5, 2]), np.array([1.0, 0, 4, 2]), np.array([0.5, 2, 0, -1])
    assert weighted_cash_sum(n, mu, weight) == pytest.approx(peer.weighted_cash_sum_jit(n, mu, weight), rel=1e-13)
