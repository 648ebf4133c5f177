"""Excess, significance and errors over a known background, on each backend."""

import numpy as np
import pytest

from gpudl4.core.backend import to_device
from gpudl4.core.errors import BackendError
from gpudl4.stats import CashCountsStatistic, cash
from tests.arrays import assert_close


@pytest.fixture
def statistic(backend):
    """`CashCountsStatistic` of counts and background on each backend."""
    return lambda n_on, mu_bkg: CashCountsStatistic(*(to_device(np.asarray(values), backend) for values in (n_on, mu_bkg)))


def test_excess_and_significance():
    stat = CashCountsStatistic(13, 5.5)
    assert stat.n_sig == 7.5
    assert stat.sqrt_ts == pytest.approx(2.7138962573762653, rel=1e-10)
    assert stat.p_value == pytest.approx(0.0033251, rel=1e-3)
    assert stat.error == pytest.approx(np.sqrt(13))


def test_deficit_has_negative_significance():
    assert CashCountsStatistic(1, 5.5).sqrt_ts < 0


def test_errors_lie_where_the_statistic_has_risen(statistic):
    n_on = np.array([1, 7, 200])
    stat = statistic(n_on, [0.5, 9.0, 120.0])
    best = cash(n_on, n_on)
    assert_close(stat.stat_max, best)
    for n_sigma in (1, 2):
        down, up = stat.compute_errn(n_sigma), stat.compute_errp(n_sigma)
        np.testing.assert_allclose(cash(n_on, n_on - down) - best, n_sigma**2, rtol=1e-8)
        np.testing.assert_allclose(cash(n_on, n_on + up) - best, n_sigma**2, rtol=1e-8)


def test_no_counts(statistic):
    stat = statistic([0], [2.0])
    assert stat.compute_errn() == 0
    assert stat.compute_errp() == 0.5
    assert stat.compute_upper_limit(2) == 2


def test_excess_of_wanted_significance(statistic):
    background = np.array([0.3, 12.0, 0.0])
    for significance in (5, -0.5):
        n_sig = statistic(background, background).n_sig_matching_significance(significance)
        assert np.isnan(n_sig[2])
        reached = statistic(background + n_sig, background).sqrt_ts[:2]
        assert_close(reached, significance, rtol=1e-7)


def test_sum_and_selection(statistic):
    stat = statistic(np.arange(6).reshape(2, 3), np.ones((2, 3)))
    assert stat.sum().n_on == 15
    assert stat.sum(axis=0).n_bkg.tolist() == [2, 2, 2]
    assert stat[1].n_sig.tolist() == [2, 3, 4]


def test_text_shows_the_totals(statistic):
    text = str(statistic([3, 4], [1.0, 1.0]))
    assert "Total excess counts             : 5.00" in text
    assert "Total number of bins            : 2" in text
    assert "&" not in text
    assert CashCountsStatistic(1, 1)._repr_html_().startswith("<pre>CashCountsStatistic")


def test_mixed_backends_are_refused(device):
    with pytest.raises(BackendError, match="were mixed"):
        CashCountsStatistic(np.ones(2), to_device(np.ones(2), device))


@pytest.mark.peer
def test_agrees_with_gammapy(statistic):
    peer = pytest.importorskip("gammapy.stats")
    n, b = np.array([0, 1, 5, 100]), np.array([0.5, 2.0, 1.0, 130.0])
    ours, theirs = statistic(n, b), peer.CashCountsStatistic(n, b)
    for name in ("n_sig", "error", "ts", "sqrt_ts", "p_value"):
        assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-12)
    for name in ("compute_errn", "compute_errp", "compute_upper_limit"):
        np.testing.assert_allclose(getattr(ours, name)(), getattr(theirs, name)(), rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(ours.n_sig_matching_significance(5), theirs.n_sig_matching_significance(5), rtol=1e-9)
