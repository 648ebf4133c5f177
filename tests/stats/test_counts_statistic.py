"""Excess, significance and errors over a known background, on each backend."""

import numpy as np
import pytest

from gpudl4.core.backend import to_device, to_host
from gpudl4.core.errors import BackendError
from gpudl4.stats import CashCountsStatistic, WStatCountsStatistic, cash, wstat
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


# ---- background measured beside ------------------------------------------------------------------------------------------------------
N_ON, N_OFF = np.array([0, 1, 5, 100, 3, 13, 0, 7]), np.array([4.0, 2, 0, 130, 60, 11, 0, 40])
ALPHA = np.array([0.5, 1, 0.2, 1.1, 0.2, 0.5, 0.3, 0.1])


@pytest.fixture
def on_off(backend):
    """`WStatCountsStatistic` on each backend."""
    return lambda *values: WStatCountsStatistic(*(to_device(np.asarray(x, dtype=float), backend) for x in values))


def test_on_off_excess_and_significance():
    stat = WStatCountsStatistic(13, 11, 0.5)
    assert stat.n_sig == 7.5
    assert stat.n_bkg == 5.5
    assert stat.error == pytest.approx(np.sqrt(13 + 0.25 * 11))
    tau = 0.5  # Li & Ma (1983), formula 17
    li_ma = np.sqrt(2 * (13 * np.log((1 + tau) / tau * 13 / 24) + 11 * np.log((1 + tau) * 11 / 24)))
    assert stat.sqrt_ts == pytest.approx(li_ma, rel=1e-12)
    assert WStatCountsStatistic(1, 11, 0.5).sqrt_ts < 0
    assert WStatCountsStatistic(13, 11, 0.5, 7.5).n_sig == 0
    assert WStatCountsStatistic(13, 11, 0.5, 7.5).sqrt_ts == 0
    assert set(stat.info_dict()) == {"n_on", "background", "excess", "significance", "p_value", "n_off", "alpha", "mu_sig"}


def test_on_off_errors_lie_where_the_statistic_has_risen(on_off):
    stat = on_off([1, 7, 200], [0, 9.0, 120.0], [0.5, 0.5, 1])
    excess = to_host(stat.n_sig)
    for n_sigma in (1, 2):
        up = excess + stat.compute_errp(n_sigma)
        np.testing.assert_allclose(wstat([1, 7, 200], [0, 9, 120], [0.5, 0.5, 1], up) - to_host(stat.stat_max), n_sigma**2, rtol=1e-8)
        np.testing.assert_allclose(stat.compute_upper_limit(n_sigma), up, rtol=1e-12)
    down = excess - stat.compute_errn()
    np.testing.assert_allclose(wstat([7, 200], [9, 120], [0.5, 1], down[1:]) - to_host(stat.stat_max)[1:], 1, rtol=1e-8)


def test_on_off_excess_of_wanted_significance(on_off):
    off, alpha = np.array([3.0, 12, 0, 400]), np.array([0.1, 0.5, 0.2, 1])
    for significance in (5, 0.5, -0.5):
        n_sig = on_off(off, off, alpha).n_sig_matching_significance(significance)
        found = np.isfinite(n_sig)
        assert found.tolist() == ([True] * 4 if significance > 0 else [True, True, False, True])
        reached = to_host(on_off((alpha * off + n_sig)[found], off[found], alpha[found]).sqrt_ts)
        np.testing.assert_allclose(reached, significance, rtol=1e-7)
    assert (on_off(off, off, alpha).n_sig_matching_significance(0) == 0).all()


def test_on_off_sum_and_selection(on_off):
    stat = on_off(np.arange(6).reshape(2, 3), np.ones((2, 3)), np.array([[0.5, 0.1, 0.2], [0.3, 0.1, 0.2]]))
    assert stat.sum().n_on == 15
    assert_close(stat.sum(axis=0).n_bkg, [0.8, 0.2, 0.4])
    assert_close(stat.sum(axis=0).alpha, [0.4, 0.1, 0.2])
    assert_close(stat[1].n_sig, [2.7, 3.9, 4.8])
    text = str(stat)
    assert "Total excess counts             : 13.60" in text
    assert "Off counts                      : 6.00" in text
    assert text.startswith("WStatCountsStatistic")


@pytest.mark.peer
@pytest.mark.parametrize("mu_sig", [None, 0.5])
def test_on_off_agrees_with_gammapy(on_off, mu_sig):
    peer = pytest.importorskip("gammapy.stats")
    extra = [] if mu_sig is None else [np.full(len(N_ON), mu_sig)]
    ours, theirs = on_off(N_ON, N_OFF, ALPHA, *extra), peer.WStatCountsStatistic(N_ON, N_OFF, ALPHA, *extra)
    for name in ("n_sig", "n_bkg", "error", "stat_null", "stat_max", "ts", "sqrt_ts", "p_value"):
        assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=1e-7 if "ts" in name else 1e-9)
    for name in ("compute_errn", "compute_errp", "compute_upper_limit"):
        np.testing.assert_allclose(getattr(ours, name)(), getattr(theirs, name)(), rtol=1e-6, atol=1e-6, err_msg=name)
    ours, theirs = ours.n_sig_matching_significance(5), theirs.n_sig_matching_significance(5)
    np.testing.assert_allclose(ours[np.isfinite(theirs)], theirs[np.isfinite(theirs)], rtol=1e-6)
    for name, value in peer.WStatCountsStatistic(N_ON, N_OFF, ALPHA).sum().info_dict().items():
        assert_close(on_off(N_ON, N_OFF, ALPHA).sum().info_dict()[name], value, rtol=1e-9)
