"""Cash: both twins against the formula, in all types, at the floor, with masks, and in fixed order."""

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.kernels import _sized

N = 1003
ITEMS = np.array([[0, 400], [400, 407], [407, 407], [410, N]])  # bins 407 to 409 belong to nobody
TYPES = [("float64", "float64"), ("float32", "float64"), ("float32", "float32")]


def formula(counts, mask, mu):
    """Statistic and slope of each bin."""
    floor = 1e-25
    counts, mu = counts.astype(float), mu.astype(float)
    m = np.maximum(mu, floor)
    stat = 2 * (m - np.where(counts > 0, counts * np.log(m), 0))
    slope = np.where(counts > 0, np.where(mu <= floor, 0, 2 - 2 * counts / m), np.where(mu < 0, 0, 2))
    return np.where(mask, stat, 0), np.where(mask, slope, 0)


@pytest.fixture(params=TYPES, ids=lambda types: "-".join(types))
def data(request):
    """Types, counts, mask, mu[2, N], template: with empty bins, negative counts, masked bins, and predictions below the floor."""
    cube, real = request.param
    rng = np.random.default_rng(3)
    counts = rng.poisson(1.0, N).astype(cube)
    mu = rng.uniform(0.1, 3, (2, N)).astype(real)
    mu[:, 11:31:5] = [[0.0], [-1.0]]
    counts[11:31:10] = 0
    counts[16:31:10] = 2
    mask = (rng.random(N) < 0.8).astype(np.uint8)
    counts[5] = -1
    mask[5:31] = 1
    return {"cube": cube, "real": real}, counts, mask, mu, rng.random(N).astype(cube)


def run(twins, data, items=ITEMS, spare=1):
    """Slope, partial sums of the statistic and of the derivative by the norm; `spare` columns of parts stay as they are."""
    types, counts, mask, mu, template = data
    slope, parts = np.full(mu.shape, np.nan, mu.dtype), np.full((len(mu), 2 * len(items) + spare), np.nan)
    twins("cash", **types).cash(counts, mask, mu, template, items, slope, parts)
    assert np.isnan(parts[:, 2 * len(items) :]).all()
    return slope, parts[:, : len(items)], parts[:, len(items) : 2 * len(items)]


def test_value_and_slope(twins, data):
    types, counts, mask, mu, template = data
    slope, value, by_norm = run(twins, data)
    want_stat, want_slope = formula(counts, mask, mu)
    inside = np.r_[0:407, 410:N]
    np.testing.assert_allclose(slope[:, inside], want_slope[:, inside], rtol=1e-12 if types["real"] == "float64" else 3e-7)
    assert np.isnan(slope[:, 407:410]).all()
    for i, (begin, end) in enumerate(ITEMS):
        scale = np.abs(want_stat[:, begin:end]).sum(axis=1)
        np.testing.assert_array_less(np.abs(value[:, i] - want_stat[:, begin:end].sum(axis=1)), 1e-13 * scale + 1e-300)
        np.testing.assert_allclose(by_norm[:, i], (want_slope * template.astype(float))[:, begin:end].sum(axis=1), rtol=1e-11)


def test_value_alone_gives_the_same_bits(twins, data):
    types, counts, mask, mu, _ = data
    _, value, _ = run(twins, data)
    parts = np.full((2, len(ITEMS) + 2), np.nan)
    twins("cash", **types).cash_value(counts, mask, mu, ITEMS, parts)
    np.testing.assert_array_equal(parts[:, : len(ITEMS)], value)
    assert np.isnan(parts[:, len(ITEMS) :]).all()


def test_the_same_bits_twice(twins, data):
    for first, second in zip(run(twins, data), run(twins, data), strict=True):
        np.testing.assert_array_equal(first, second)


def test_no_items(twins, data):
    slope, value, _ = run(twins, data, items=np.empty((0, 2), np.int64))
    assert np.isnan(slope).all()
    assert value.shape == (2, 0)


def test_weights(twins, data):
    types, counts, mask, mu, _ = data
    expected, observed = np.full(N, np.nan), np.full(N, np.nan)
    twins("cash", **types).weights(counts, mask, mu[1:], expected, observed)
    m, counts = mu[1].astype(float), counts.astype(float)
    counted = (mask > 0) & (m > 1e-25)
    np.testing.assert_allclose(expected, np.where(counted, 2 / m, 0), rtol=1e-14)
    np.testing.assert_allclose(observed, np.where(counted, 2 * counts / m**2, 0), rtol=1e-14)


def test_one_count_without_prediction_costs_115(twins):
    parts = np.full((1, 1), np.nan)
    twins("cash").cash_value(np.ones(1), np.ones(1, np.uint8), np.zeros((1, 1)), np.array([[0, 1]]), parts)
    np.testing.assert_allclose(parts, 115.12925, rtol=1e-7)


def test_slope_is_the_derivative(twins, data):
    types, counts, mask, mu, template = data
    bins = np.array([40, 500, 1002])
    mask, step = np.ones_like(mask), 1e-4
    slope, _, _ = run(twins, ({"cube": types["cube"]}, counts, mask, mu.astype(float), template))
    moved = np.repeat(mu[:1].astype(float), 2 * len(bins), axis=0)  # a step up and one down for each of the bins
    moved[np.arange(6), np.repeat(bins, 2)] += np.tile([step, -step], 3)
    parts = np.full((len(moved), 1), np.nan)
    twins("cash", cube=types["cube"]).cash_value(counts, mask, moved, np.array([[31, N]]), parts)
    np.testing.assert_allclose((parts[::2, 0] - parts[1::2, 0]) / (2 * step), slope[0, bins], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("data", TYPES[:1], indirect=True, ids=["double"])
def test_numba_threads_give_the_same_bits(monkeypatch, data):
    def on_cpu(stem, **types):
        return kernels.cpu(stem)

    alone = run(on_cpu, data)
    monkeypatch.setattr(_sized, "LARGE", 0)
    for threaded, serial in zip(run(on_cpu, data), alone, strict=True):
        np.testing.assert_array_equal(threaded, serial)


def test_floor_is_what_gammapy_uses():
    assert kernels.cpu("cash").FLOOR == 1e-25
