"""The last step of an evaluation: both twins against sums written out."""

import numpy as np
import pytest

BATCH, N_PARAMS, N_PARTS = 2, 40, 5000

# Per output: entries (u, n_u, v, n_v, part, chunks).
OUTPUTS = [
    [(0, 1, 0, 1, 0, 1003)],  # the statistic: one sum of many
    [],  # a parameter that nothing depends on
    [(3, 4, 7, 20, 1003, 1)],  # the position of a point
    [(0, 1, 30, 9, 1100, 131), (0, 1, 2, 1, 2400, 3), (5, 2, 30, 5, 2403, 7)],  # a parameter of several sources
    [(1, 1, 39, 1, N_PARTS - 1, 1)],  # the last of everything
]


@pytest.fixture(scope="module")
def data():
    """entries, ranges, params, parts."""
    rng = np.random.default_rng(5)
    entries = np.array([entry for output in OUTPUTS for entry in output])
    ranges = np.concatenate([[0], np.cumsum([len(output) for output in OUTPUTS])])
    return entries, ranges, rng.normal(size=(BATCH, N_PARAMS)), rng.normal(size=(BATCH, N_PARTS))


def terms(output, params, parts):
    """Everything that is added for one output."""
    for u, n_u, v, n_v, part, chunks in output:
        for a in range(n_u):
            for l in range(n_v):
                for c in range(chunks):
                    yield params[u + a] * params[v + l] * parts[part + (a * n_v + l) * chunks + c]


def test_contract(twins, data):
    out = np.full((BATCH, len(OUTPUTS)), np.nan)
    twins("contract").contract(*data, out)
    _, _, params, parts = data
    for b in range(BATCH):
        for i, output in enumerate(OUTPUTS):
            added = list(terms(output, params[b], parts[b]))
            assert abs(out[b, i] - sum(added)) <= 1e-13 * sum(map(abs, added))


def test_the_statistic_alone(twins, data):
    entries, ranges, params, parts = data
    out = np.full((BATCH, 1), np.nan)
    twins("contract").contract(entries, ranges[:2], params, parts, out)
    np.testing.assert_allclose(out[:, 0], params[:, 0] ** 2 * parts[:, :1003].sum(axis=1), rtol=1e-11)


def test_the_same_bits_twice(twins, data):
    first, second = np.full((BATCH, len(OUTPUTS)), np.nan), np.full((BATCH, len(OUTPUTS)), np.nan)
    twins("contract").contract(*data, first)
    twins("contract").contract(*data, second)
    np.testing.assert_array_equal(first, second)
