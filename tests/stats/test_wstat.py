"""The W statistic bin by bin, on each backend."""

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.core.backend import to_device, to_host
from gpudl4.stats import get_wstat_gof_terms, get_wstat_mu_bkg, wstat, wstat_slope
from tests.arrays import assert_close


def grid(*values):
    return [np.ascontiguousarray(x.ravel()) for x in np.meshgrid(*values, indexing="ij")]


GRID = grid([0.0, 1, 5, 300], [0.0, 1, 7, 1000], [0.05, 0.3, 1, 3], [-3.0, -0.02, 0.0, 1e-6, 0.4, 3, 200])


@pytest.fixture
def arrays(backend):
    """The grid of counts, ratios and signals on each backend."""
    return [to_device(values, backend) for values in GRID]


def test_no_counts_off():
    assert wstat(5, 0, 0.1, 1) == pytest.approx(8.0944, abs=1e-4)
    assert get_wstat_mu_bkg(5, 0, 0.1, 1) == 0
    assert get_wstat_mu_bkg(5, 0, 1, 1) == pytest.approx(5 / 2 - 1)


def test_nothing_seen():
    assert wstat(0, 0, 0.5, 0) == 0
    assert wstat(0, 0, 0.5, 2) == 4
    assert get_wstat_gof_terms(0, 0) == 0


def test_alpha_that_is_none():
    assert np.isnan(wstat(2, 3, 0, 1))
    assert wstat(2, 3, 3.4028235e38, 1) == pytest.approx(2 * (0 + 3 * np.log(3.4028235e38)), rel=0.05)


def test_the_background_is_a_minimum(arrays):
    _, _, alpha, mu_sig = GRID
    background = to_host(get_wstat_mu_bkg(*arrays))
    best = to_host(wstat(*arrays))
    assert (background >= 0).all()
    assert (mu_sig + alpha * background >= -1e-12).all()
    for other in (background * 1.01 + 1e-3, np.maximum(background * 0.99 - 1e-3, 1e-9)):
        with np.errstate(invalid="ignore"):
            elsewhere = wstat(*GRID, mu_bkg=other)
        allowed = mu_sig + alpha * other > 0
        assert (elsewhere[allowed] >= best[allowed] - 1e-9 * np.abs(best[allowed]) - 1e-11).all()


def test_functions_equal_the_kernels(arrays):
    n = len(GRID[0])
    items, slope, parts = np.array([[i, i + 1, i, i, -1] for i in range(n)]), np.zeros((1, n)), np.zeros((1, n))
    n_on, n_off, alpha, mu_sig = GRID
    kernels.cpu("wstat").wstat(n_on, n_off, alpha, np.ones(n, np.uint8), mu_sig[np.newaxis], items, slope, parts)
    assert_close(wstat(*arrays), parts[0], rtol=1e-12, atol=1e-11)
    assert_close(wstat_slope(*arrays), slope[0], rtol=1e-12, atol=1e-12)


def test_terms_and_given_background(backend):
    n_on, n_off = to_device(np.array([4.0, 0]), backend), to_device(np.array([2.0, 3]), backend)
    terms = get_wstat_gof_terms(n_on, n_off)
    assert_close(terms, [-2 * (4 * (1 - np.log(4)) + 2 * (1 - np.log(2))), -2 * 3 * (1 - np.log(3))])
    assert_close(wstat(n_on, n_off, 0.5, 1.0) - wstat(n_on, n_off, 0.5, 1.0, extra_terms=False), terms, rtol=1e-12)
    background = get_wstat_mu_bkg(n_on, n_off, 0.5, 1.0)
    assert_close(wstat(n_on, n_off, 0.5, 1.0, mu_bkg=background), wstat(n_on, n_off, 0.5, 1.0), rtol=1e-12)


def test_broadcasts_and_is_float64(backend):
    stat = wstat(backend.xp.ones((2, 3), dtype="float32"), 2, backend.xp.full(3, 0.5, dtype="float32"), 1)
    assert stat.shape == (2, 3)
    assert stat.dtype == np.float64


@pytest.mark.peer
def test_agrees_with_gammapy(arrays):
    peer = pytest.importorskip("gammapy.stats")
    n_on, n_off, _, _ = GRID
    with np.errstate(invalid="ignore"):
        usual = np.isfinite(peer.wstat(*GRID))  # rounding makes gammapy's root NaN where a negative signal meets no counts
        want = [f(*GRID) for f in (peer.wstat, peer.get_wstat_mu_bkg)]
    assert usual.mean() > 0.97
    inside = usual & (want[1] >= 0)
    assert_close(to_host(wstat(*arrays))[inside], want[0][inside], rtol=1e-9, atol=1e-9)
    assert_close(to_host(get_wstat_mu_bkg(*arrays))[usual], want[1][usual], rtol=1e-7, atol=1e-9)
    assert_close(get_wstat_gof_terms(*arrays[:2]), peer.get_wstat_gof_terms(n_on, n_off), rtol=1e-12)
    assert_close(wstat(*arrays, mu_bkg=2.5), peer.wstat(*GRID, mu_bkg=2.5), rtol=1e-12)
