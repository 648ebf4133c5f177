"""Cash with weights: both twins against the plain kernel, in all types, and where there is no weight."""

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.kernels import _sized

N, FIRST = 803, 50
ITEMS = np.array([[FIRST, 400, 1, 4, 0], [400, 407, 351, 2, 6], [407, 407, 358, 1, 5], [410, N, 361, 3, 7]])
TYPES = [("float64", "float64"), ("float32", "float64"), ("float32", "float32")]
INSIDE = np.r_[FIRST:407, 410:N]


@pytest.fixture(params=TYPES, ids=lambda types: "-".join(types))
def data(request):
    """Types, counts, weight, mu[2, N], template: with bins without weight or counts, and predictions below the floor."""
    cube, real = request.param
    rng = np.random.default_rng(4)
    counts, mu = rng.poisson(1.0, N).astype(cube), rng.uniform(0.1, 3, (2, N)).astype(real)
    mu[:, 111:131:5] = [[0.0], [-1.0]]
    counts[111:131:10], counts[116:131:10] = 0, 2
    counts[200] = -1
    weight = rng.uniform(0.1, 2, N - FIRST + 4).astype(cube)
    weight[::7], weight[3::31], weight[5] = 0, -1, np.nan
    weight[111 - FIRST + 1 : 132 - FIRST] = 0.5
    return {"cube": cube, "real": real}, counts, weight, mu, rng.random(N).astype(cube)


def run(twins, data, items=ITEMS):
    types, counts, weight, mu, template = data
    slope, parts = np.full(mu.shape, np.nan, mu.dtype), np.full((2, 9), np.nan)
    twins("cash_weighted", **types).cash(counts, weight, mu, template, items, slope, parts)
    return slope, parts


def formula(data):
    """Statistic, slope, expected and observed weight of each bin of FIRST .. N."""
    _, counts, weight, mu, _ = data
    n, w, mu = counts[FIRST:].astype(float), weight[1 : 1 + N - FIRST].astype(float), mu[:, FIRST:].astype(float)
    w, m = np.where(w > 0, w, 0), np.maximum(mu, 1e-25)
    stat = 2 * w * (m - np.where(n > 0, n * np.log(m), 0))
    slope = 2 * w * np.where(n > 0, np.where(mu <= 1e-25, 0, 1 - n / m), np.where(mu < 0, 0, 1))
    counted = mu > 1e-25
    return stat, slope, np.where(counted, 2 * w / m, 0), np.where(counted, 2 * w * n / m**2, 0)


def test_value_and_slope(twins, data):
    slope, parts = run(twins, data)
    stat, want, _, _ = formula(data)
    np.testing.assert_allclose(slope[:, INSIDE], want[:, INSIDE - FIRST], rtol=1e-12 if data[0]["real"] == "float64" else 3e-7)
    assert np.isnan(slope[:, :FIRST]).all()
    assert np.isnan(slope[:, 407:410]).all()
    for begin, end, _, part, norm in ITEMS:
        own = slice(begin - FIRST, end - FIRST)
        np.testing.assert_allclose(parts[:, part], stat[:, own].sum(axis=1), rtol=1e-12)
        np.testing.assert_allclose(parts[:, norm], (want[:, own] * data[4][begin:end].astype(float)).sum(axis=1), rtol=1e-11)
    assert np.isnan(parts[:, 8]).all()


def test_value_alone_gives_the_same_bits(twins, data):
    types, counts, weight, mu, _ = data
    _, want = run(twins, data)
    parts = np.full((2, 9), np.nan)
    twins("cash_weighted", **types).cash_value(counts, weight, mu, ITEMS, parts)
    np.testing.assert_array_equal(parts[:, ITEMS[:, 3]], want[:, ITEMS[:, 3]])
    assert np.isnan(parts[:, [0, 5, 6, 7, 8]]).all()


def test_weights(twins, data):
    types, counts, weight, mu, _ = data
    expected, observed = np.full(N, np.nan), np.full(N, np.nan)
    twins("cash_weighted", **types).weights(counts, weight, mu[1:], ITEMS, expected, observed)
    _, _, want_expected, want_observed = formula(data)
    np.testing.assert_allclose(expected[INSIDE], want_expected[1, INSIDE - FIRST], rtol=1e-12)
    np.testing.assert_allclose(observed[INSIDE], want_observed[1, INSIDE - FIRST], rtol=1e-12)
    assert np.isnan(expected[np.r_[:FIRST, 407:410]]).all()
    assert np.isnan(observed[np.r_[:FIRST, 407:410]]).all()


def test_weights_of_one_are_the_plain_statistic(twins, data):
    types, counts, weight, mu, template = data
    ones = np.ones_like(weight)
    slope, parts = run(twins, (types, counts, ones, mu, template))
    plain, sums = np.zeros_like(mu), np.zeros((2, 8))
    twins("cash", **types).cash(counts, np.ones(N, np.uint8), mu, template, np.ascontiguousarray(ITEMS[:, :2]), plain, sums)
    np.testing.assert_array_equal(slope[:, INSIDE], plain[:, INSIDE])
    np.testing.assert_allclose(parts[:, ITEMS[:, 3]], sums[:, :4], rtol=1e-15)
    np.testing.assert_allclose(parts[:, ITEMS[:, 4]], sums[:, 4:], rtol=1e-15)


def test_no_items(twins, data):
    slope, parts = run(twins, data, items=np.empty((0, 5), np.int64))
    assert np.isnan(slope).all()
    assert np.isnan(parts).all()


@pytest.mark.parametrize("data", TYPES[:1], indirect=True, ids=["double"])
def test_numba_threads_give_the_same_bits(monkeypatch, data):
    def on_cpu(stem, **types):
        return kernels.cpu(stem)

    alone = run(on_cpu, data)
    monkeypatch.setattr(_sized, "LARGE", 0)
    for threaded, serial in zip(run(on_cpu, data), alone, strict=True):
        np.testing.assert_array_equal(threaded, serial)
