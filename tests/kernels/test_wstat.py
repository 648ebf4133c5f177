"""W statistic: both twins against the textbook formula, at every border, in all types, with masks, and in fixed order."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.kernels import _sized

N, FIRST = 1003, 60  # bins; the first bins belong to a dataset of another statistic
# begin, end, place beside, place in parts, no norm; bins 407 to 409 belong to nobody, and parts are out of order
ITEMS = np.array([[FIRST, 400, 2, 1, -1], [400, 407, 342, 0, -1], [407, 407, 349, 3, -1], [410, N, 352, 5, -1]])
TYPES = [("float64", "float64"), ("float32", "float64"), ("float32", "float32")]
INSIDE = np.r_[FIRST:407, 410:N]


def beside(a):
    """Where bin a stands in counts_off and alpha."""
    return a - FIRST + 2


def textbook(n_on, n_off, alpha, signal):
    """Statistic and its profiled background, by the textbook's formula in long double."""
    n_on, n_off, alpha, signal = (np.asarray(x).astype(np.longdouble) for x in (n_on, n_off, alpha, signal))
    c = alpha * (n_on + n_off) - (1 + alpha) * signal
    d = np.sqrt(np.maximum(c**2 + 4 * alpha * (alpha + 1) * n_off * signal, 0))
    with np.errstate(all="ignore"):
        off = (c + d) / (2 * alpha * (alpha + 1))
        on = signal + alpha * off
        stat = on + off - np.where(n_on > 0, n_on * np.log(on), 0) - np.where(n_off > 0, n_off * np.log(off), 0)
        stat = stat - np.where(n_on > 0, n_on * (1 - np.log(n_on)), 0) - np.where(n_off > 0, n_off * (1 - np.log(n_off)), 0)
    return 2 * stat, off


@pytest.fixture(params=TYPES, ids=lambda types: "-".join(types))
def data(request):
    """Types, counts, counts_off, alpha, mask, mu[2, N]: with empty bins on either side, large alpha, alpha = 0 and masked bins."""
    cube, real = request.param
    rng = np.random.default_rng(5)
    counts = rng.poisson(1.2, N).astype(cube)
    off, alpha = rng.poisson(2.0, beside(N) + 3).astype(cube), rng.uniform(0.05, 0.9, beside(N) + 3).astype(cube)
    mu = rng.uniform(-0.2, 3, (2, N)).astype(real)
    alpha[beside(500) : beside(510)] = 0
    alpha[beside(510) : beside(520)] = 3.4028235e38  # where acceptance_off is 0
    mask = (rng.random(N) < 0.8).astype(np.uint8)
    mask[500:520] = 1
    mask[505] = 0
    return {"cube": cube, "real": real}, counts, off, alpha, mask, mu


def run(twins, data, items=ITEMS):
    types, counts, off, alpha, mask, mu = data
    slope, parts = np.full(mu.shape, np.nan, mu.dtype), np.full((len(mu), 7), np.nan)
    twins("wstat", **types).wstat(counts, off, alpha, mask, mu, items, slope, parts)
    return slope, parts


def per_bin(data):
    """Statistic of each bin, 0 where it takes no part."""
    _, counts, off, alpha, mask, mu = data
    own = beside(np.arange(FIRST, N))
    stat = np.zeros(mu.shape)
    stat[:, FIRST:] = np.where((mask[FIRST:] > 0) & (alpha[own] > 0), textbook(counts[FIRST:], off[own], alpha[own], mu[:, FIRST:])[0], 0)
    return stat


def test_value(twins, data):
    _, parts = run(twins, data)
    stat = per_bin(data)
    for begin, end, _, part, _ in ITEMS:
        np.testing.assert_allclose(parts[:, part], stat[:, begin:end].sum(axis=1), rtol=1e-12)
    assert np.isnan(parts[:, [2, 4, 6]]).all()


def test_slope(twins, data):
    """Against differences of the textbook's formula in long double."""
    _, counts, off, alpha, mask, mu = data
    slope, _ = run(twins, data)
    own, step = beside(np.arange(FIRST, N)), 1e-6
    up, down = (textbook(counts[FIRST:], off[own], alpha[own], mu[:, FIRST:].astype(np.longdouble) + h)[0] for h in (step, -step))
    want = np.where((mask[FIRST:] > 0) & (alpha[own] > 0), (up - down) / (2 * step), 0).astype(float)
    smooth = np.r_[FIRST:407, 410:N]
    np.testing.assert_allclose(slope[:, smooth], want[:, smooth - FIRST], rtol=1e-6, atol=2e-6)
    assert np.isnan(slope[:, :FIRST]).all()
    assert np.isnan(slope[:, 407:410]).all()


def test_value_alone_gives_the_same_bits(twins, data):
    types, counts, off, alpha, mask, mu = data
    _, want = run(twins, data)
    parts = np.full((2, 7), np.nan)
    twins("wstat", **types).wstat_value(counts, off, alpha, mask, mu, ITEMS, parts)
    np.testing.assert_array_equal(parts, want)


def test_the_same_bits_twice(twins, data):
    for first, second in zip(run(twins, data), run(twins, data), strict=True):
        np.testing.assert_array_equal(first, second)


def test_no_items(twins, data):
    slope, parts = run(twins, data, items=np.empty((0, 5), np.int64))
    assert np.isnan(slope).all()
    assert np.isnan(parts).all()


def test_weights(twins, data):
    """The observed one against second differences, the expected one against the error propagation it stands for."""
    types, counts, off, alpha, mask, mu = data
    own, step = beside(np.arange(FIRST, N)), 1e-4
    expected, observed = np.full(N, np.nan), np.full(N, np.nan)
    twins("wstat", **types).wstat_weights(counts, off, alpha, mask, mu[1:], ITEMS, expected, observed)
    given = counts[FIRST:], off[own], alpha[own]
    signal = mu[1, FIRST:].astype(np.longdouble)
    stat, background = textbook(*given, signal)
    second = (textbook(*given, signal + step)[0] + textbook(*given, signal - step)[0] - 2 * stat) / step**2
    ratio = np.where(given[2] > 0, given[2], 1).astype(np.longdouble)
    background = np.where(given[2] > 0, background, 0)
    variance = signal + ratio * background + ratio**2 * background
    counted = (mask[FIRST:] > 0) & (given[2] > 0)
    at = INSIDE - FIRST
    smooth = (np.abs(signal) > 0.01) & (np.abs(signal - ratio * given[0] / (1 + ratio)) > 0.01)  # away from the borders of the background
    smooth &= (ratio < 1e30) & (np.abs(signal + ratio * given[1] / (1 + ratio)) > 0.01)
    use = at[smooth[at]]
    np.testing.assert_allclose(observed[INSIDE][smooth[at]], np.where(counted, second, 0).astype(float)[use], rtol=2e-4, atol=1e-5)
    want = np.where(counted & (variance > 1e-25), 2 / np.where(variance > 0, variance, 1), 0).astype(float)
    np.testing.assert_allclose(expected[INSIDE], want[at], rtol=1e-9, atol=1e-30)
    assert np.isnan(expected[:FIRST]).all()
    assert np.isnan(observed[407:410]).all()


# ---- borders -----------------------------------------------------------------------------------------------------------------------------
def one(twins, n_on, n_off, alpha, signal):
    """Statistic, slope, expected and observed weight of a single bin."""
    arrays = [np.array([float(x)]) for x in (n_on, n_off, alpha)]
    mask, mu, items = np.ones(1, np.uint8), np.array([[float(signal)]]), np.array([[0, 1, 0, 0, -1]])
    slope, parts, expected, observed = np.full((1, 1), np.nan), np.full((1, 1), np.nan), np.full(1, np.nan), np.full(1, np.nan)
    kernel = twins("wstat")
    kernel.wstat(*arrays, mask, mu, items, slope, parts)
    kernel.wstat_weights(*arrays, mask, mu, items, expected, observed)
    return parts[0, 0], slope[0, 0], expected[0], observed[0]


def test_nothing_seen(twins):
    assert one(twins, 0, 0, 0.5, 0) == (0, 2, 0, 0)
    np.testing.assert_allclose(one(twins, 0, 0, 0.5, 1.5), (3, 2, 2 / 1.5, 0))
    np.testing.assert_allclose(one(twins, 0, 0, 0.5, -1.5), (6, -4, 2 / (0.5 * 1.5), 0))  # on = 0, b = 3


def test_no_counts_off(twins):
    np.testing.assert_allclose(one(twins, 5, 0, 0.1, 1)[0], 8.0944, atol=1e-4)  # b = 0 at its border
    stat, slope, expected, observed = one(twins, 5, 0, 0.1, 1)
    np.testing.assert_allclose((slope, expected, observed), (2 - 10 / 1, 2, 10))
    stat, slope, expected, observed = one(twins, 5, 0, 1.0, 1)  # b = 5 / 2 - 1
    np.testing.assert_allclose((stat, slope, observed), (2 * (5 * np.log(2) - 1), -2, 0), atol=1e-14)
    np.testing.assert_allclose(expected, 2 / (2.5 + 1.5))


def test_no_counts_on(twins):
    np.testing.assert_allclose(one(twins, 0, 3, 0.5, 1), (2 * (1 + 3 * np.log(1.5)), 2, 2 / (1 + 1 + 0.25 * 2), 0))
    stat, slope, expected, observed = one(twins, 0, 3, 0.5, -2)  # on = 0, b = 4
    np.testing.assert_allclose(stat, 2 * (4 - 3 + 3 * np.log(3 / 4)))
    np.testing.assert_allclose((slope, expected, observed), (4 * (3 / 4 - 1), 2, 2 * 3 / (0.5 * 4) ** 2))
    assert one(twins, 0, 3, 0.5, -1)[1] == 2  # where both forms meet


def test_alpha_that_is_none(twins):
    assert one(twins, 2, 3, 0, 1) == (0, 0, 0, 0)
    assert one(twins, 2, 3, np.nan, 1) == (0, 0, 0, 0)
    stat, slope, expected, observed = one(twins, 2, 3, 3.4028235e38, 1)
    np.testing.assert_allclose(stat, textbook(2, 3, 3.4028235e38, 1)[0].astype(float), rtol=1e-12)
    on = (6 + np.sqrt(36 - 8)) / 2  # w = 1: the background is free, but no smaller than what was seen asks for
    np.testing.assert_allclose((slope, observed), (2 - 4 / on, 12 / (2 * (on - 1) ** 2 + 3 * on**2)))
    assert 0 < expected < 1e-30
    assert np.isfinite(one(twins, 2, 3, 1e-310, 0)).all()
    assert np.isfinite(one(twins, 2, 3, 1.7e308, 1)).all()


FAR = [1e-3, 1.0, 1e3, 1e8, -1e-3, -1.0, -1e3, -1e8]
COUNTS = [(3, 2, 1e-8), (3, 2, 0.1), (3, 2, 1e8), (1e6, 1, 1e-3), (1, 1e6, 10), (1, 0, 0.2), (0, 1, 0.2), (0, 3, 1e-9)]
EVEN = [(1e16, 1, 1.0, 5e15), (1, 1e16, 1.0, -5e15)]  # half of all counts: D is small against both parts of the other form


@pytest.mark.parametrize(("n_on", "n_off", "alpha", "signal"), [(*counts, signal) for counts in COUNTS for signal in FAR] + EVEN)
def test_the_background_is_where_the_statistic_is_smallest(twins, n_on, n_off, alpha, signal):
    """No difference of like numbers: far from the background the statistic is that of a minimum found in hundred digits."""
    with localcontext(prec=100):
        n, m, a, s = (Decimal(float(x)) for x in (n_on, n_off, alpha, signal))
        c = a * (n + m) - (1 + a) * s
        off = (c + max(c**2 + 4 * a * (1 + a) * m * s, Decimal(0)).sqrt()) / (2 * a * (1 + a))
        on = s + a * off
        terms = [x - (k * (x / k).ln() + k if k > 0 else 0) for k, x in ((n, on), (m, off))]
        slope = 2 - 2 * n / on if n > 0 else (Decimal(2) if on > Decimal("1e-50") else 2 / a * (m / off - 1))
        want = float(2 * sum(terms)), float(slope)
    got = one(twins, n_on, n_off, alpha, signal)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-13, atol=1e-13 * (n_on + n_off + max(signal, -signal / min(alpha, 1))))
    np.testing.assert_allclose(got[1], want[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("data", TYPES[:1], indirect=True, ids=["double"])
def test_numba_threads_give_the_same_bits(monkeypatch, data):
    def on_cpu(stem, **types):
        return kernels.cpu(stem)

    alone = run(on_cpu, data)
    monkeypatch.setattr(_sized, "LARGE", 0)
    for threaded, serial in zip(run(on_cpu, data), alone, strict=True):
        np.testing.assert_array_equal(threaded, serial)


@pytest.mark.peer
def test_agrees_with_gammapy(twins):
    peer = pytest.importorskip("gammapy.stats")
    grid = np.meshgrid([0.0, 1, 5, 300], [0.0, 1, 7, 1000], [0.05, 0.3, 1, 3], [-0.02, 0.0, 1e-6, 0.4, 3, 200], indexing="ij")
    n_on, n_off, alpha, mu = (np.ascontiguousarray(x.ravel()) for x in grid)
    items = np.array([[i, i + 1, i, i, -1] for i in range(len(mu))])
    parts = np.zeros((1, len(mu)))
    twins("wstat").wstat_value(n_on, n_off, alpha, np.ones(len(mu), np.uint8), mu[np.newaxis], items, parts)
    np.testing.assert_allclose(parts[0], peer.wstat(n_on, n_off, alpha, mu), rtol=1e-10, atol=1e-9)
