"""Cash statistic with its term in n: both twins against the formula, in all types, at the floor, with masks, and in fixed order."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.kernels import _sized

N, FLOOR = 1003, 1e-25
ITEMS = np.array([[0, 400], [400, 407], [407, 407], [410, N]])  # bins 407 to 409 belong to nobody
TYPES = [("float64", "float64"), ("float32", "float64"), ("float32", "float32")]
INSIDE = np.r_[0:407, 410:N]


def formula(counts, mu, floor=FLOOR):
    """Statistic and slope of each bin, in long double."""
    given, m = counts.astype(np.longdouble), mu.astype(np.longdouble)
    n = np.where(given <= floor, floor, given)
    x = np.where(m <= floor, floor, m)
    stat = 2 * (x - n + n * (np.log(n) - np.log(x)))
    slope = np.where(m > floor, 2 - 2 * n / x, np.where((given <= 0) & (m >= 0), 2, 0))
    return stat.astype(float), slope.astype(float)


@pytest.fixture(params=TYPES, ids=lambda types: "-".join(types))
def data(request):
    """Types, counts, mask, mu[2, N]: with empty bins, negative counts, masked bins, and predictions at and below the floor."""
    cube, real = request.param
    rng = np.random.default_rng(3)
    counts = rng.poisson(1.5, N).astype(cube)
    mu = rng.uniform(0.1, 4, (2, N)).astype(real)
    mu[:, 11:31:5] = [[0.0], [-1.0]]
    mu[:, 100:140] = counts[100:140].astype(real) * real_type(real, [[1.0], [1.001]])
    counts[11:31:10], counts[16:31:10] = 0, 2
    mask = (rng.random(N) < 0.8).astype(np.uint8)
    counts[5] = -1
    mask[5:31] = 1
    return {"cube": cube, "real": real}, counts, mask, mu


def real_type(real, values):
    return np.array(values).astype(real)


def run(twins, data, items=ITEMS, floor=FLOOR):
    """Slope, partial sums, and those of the value alone; a spare column of parts stays as it is."""
    types, counts, mask, mu = data
    slope, parts, alone = np.full(mu.shape, np.nan, mu.dtype), *np.full((2, len(mu), len(items) + 1), np.nan)
    twins("cstat", **types).cstat(counts, mask, mu, floor, items, slope, parts)
    twins("cstat", **types).cstat_value(counts, mask, mu, floor, items, alone)
    np.testing.assert_array_equal(alone, parts)
    assert np.isnan(parts[:, -1]).all()
    return slope, parts[:, :-1]


@pytest.mark.parametrize("floor", [FLOOR, 0.7])
def test_value_and_slope(twins, data, floor):
    types, counts, mask, mu = data
    slope, value = run(twins, data, floor=floor)
    stat, want = (np.where(mask, x, 0) for x in formula(counts, mu, floor))
    np.testing.assert_allclose(slope[:, INSIDE], want[:, INSIDE], rtol=1e-12 if types["real"] == "float64" else 3e-7, atol=1e-15)
    assert np.isnan(slope[:, 407:410]).all()
    for i, (begin, end) in enumerate(ITEMS):
        np.testing.assert_allclose(value[:, i], stat[:, begin:end].sum(axis=1), rtol=1e-12)


def test_the_same_bits_twice(twins, data):
    for first, second in zip(run(twins, data), run(twins, data), strict=True):
        np.testing.assert_array_equal(first, second)


def test_no_items(twins, data):
    slope, value = run(twins, data, items=np.empty((0, 2), np.int64))
    assert np.isnan(slope).all()
    assert value.shape == (2, 0)


def one(twins, n, mu, floor=FLOOR):
    """Statistic and slope of one bin."""
    data = {}, np.array([float(n)]), np.ones(1, np.uint8), np.array([[float(mu)]])
    slope, value = run(twins, data, np.array([[0, 1]]), floor)
    return value[0, 0], slope[0, 0]


def test_borders(twins):
    assert one(twins, 5, 5) == (0, 0)
    assert one(twins, 0, 0) == (0, 2)  # the derivative from above
    assert one(twins, 0, -1) == (0, 0)
    np.testing.assert_allclose(one(twins, 0, 3), (6, 2))
    np.testing.assert_allclose(one(twins, 1, 0), (2 * (25 * np.log(10) - 1), 0))
    np.testing.assert_allclose(one(twins, 3, 0.5, floor=0.5), (2 * (0.5 - 3 + 3 * np.log(6)), 0))
    np.testing.assert_allclose(one(twins, 0, 2, floor=0.5), (2 * (1.5 + 0.5 * np.log(0.25)), 2 - 0.5))
    assert np.isnan(one(twins, np.nan, 1)[0])
    assert np.isnan(one(twins, 1, np.nan)[0])


@pytest.mark.parametrize("mu", [1e6 + 1e-3, 1e6 * (1 + 1e-7), 1e6 * 1.4999, 1e6 * 1.5001, 1e6 * 0.5001, 1e6 * 0.4999, 1.0, 1e9])
def test_no_difference_of_like_numbers(twins, mu):
    """In fifty digits."""
    with localcontext(prec=50):
        n, m = Decimal(1000000), Decimal(float(mu))
        want = float(2 * (m - n + n * (n.ln() - m.ln())))
    np.testing.assert_allclose(one(twins, 1e6, mu)[0], want, rtol=1e-12, atol=1e-15 * abs(mu - 1e6))


def test_slope_is_the_derivative(twins, data):
    types, counts, mask, mu = data
    bins, step = np.array([40, 500, 1002]), 1e-4
    mask = np.ones_like(mask)
    slope, _ = run(twins, ({"cube": types["cube"]}, counts, mask, mu.astype(float)))
    moved = np.repeat(mu[:1].astype(float), 6, axis=0)  # a step up and one down for each of the bins
    moved[np.arange(6), np.repeat(bins, 2)] += np.tile([step, -step], 3)
    _, parts = run(twins, ({"cube": types["cube"]}, counts, mask, moved), np.array([[31, N]]))
    np.testing.assert_allclose((parts[::2, 0] - parts[1::2, 0]) / (2 * step), slope[0, bins], rtol=1e-5, atol=1e-6)


def test_it_is_cash_and_a_constant(twins, data):
    types, counts, mask, mu = data
    counts = np.abs(counts)
    _, value = run(twins, (types, counts, mask, mu))
    parts = np.full((2, len(ITEMS)), np.nan)
    twins("cash", **types).cash_value(counts, mask, mu, ITEMS, parts)
    n = counts.astype(float)
    constant = np.where((mask > 0) & (n > 0), 2 * (np.where(n > 0, n * np.log(np.where(n > 0, n, 1)), 0) - n), 0)
    sums = np.array([constant[begin:end].sum() for begin, end in ITEMS])
    np.testing.assert_allclose(value, parts + sums, rtol=1e-11, atol=1e-10)


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
    n, mu = (x.ravel() for x in np.meshgrid([0.0, 1, 5, 100], [-1.0, 0, 1e-26, 1e-3, 1, 99.5]))
    items = np.array([[i, i + 1] for i in range(len(mu))])
    parts = np.zeros((1, len(mu)))
    twins("cstat").cstat_value(n, np.ones(len(mu), np.uint8), mu[np.newaxis], FLOOR, items, parts)
    np.testing.assert_allclose(parts[0], peer.cstat(n, mu), rtol=1e-12, atol=1e-12)
