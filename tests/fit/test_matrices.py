"""Matrices of second derivatives that are badly scaled, singular or not finite."""

import numpy as np
import pytest

from gpudl4.fit.matrices import condition_number, convex, flattest, inverse, inverse_alive, is_positive, scaled

UNITS = 10.0 ** np.array([-140, -12, 0, 3, 140])


@pytest.fixture
def unit():
    """A positive matrix with a diagonal of 1."""
    rows = np.random.default_rng(2).normal(size=(5, 9))
    matrix = rows @ rows.T
    size = np.sqrt(np.diag(matrix))
    return matrix / np.outer(size, size)


def test_units_of_any_size_do_no_harm(unit):
    matrix = unit * UNITS * UNITS[:, np.newaxis]
    assert is_positive(matrix)
    np.testing.assert_allclose(scaled(matrix)[0], unit, rtol=1e-12)
    np.testing.assert_allclose(inverse(matrix) * UNITS * UNITS[:, np.newaxis], np.linalg.inv(unit), rtol=1e-9)
    assert condition_number(matrix) == pytest.approx(np.linalg.cond(unit), rel=1e-9)
    assert flattest(matrix) == pytest.approx(np.linalg.eigvalsh(unit)[0], rel=1e-9)
    np.testing.assert_allclose(convex(matrix, np.diag(matrix)), matrix, rtol=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [(1, 1), (0, 3)])
def test_what_is_not_finite_never_reaches_lapack(unit, bad, where):
    matrix = unit.copy()
    matrix[where] = matrix[where[::-1]] = bad
    assert not is_positive(matrix)
    assert convex(matrix, np.ones(5)) is None
    for make in (inverse, inverse_alive):
        assert np.isnan(make(matrix)).any()
    assert not condition_number(matrix) < np.inf or where == (1, 1)
    assert flattest(matrix) > 0


def test_parameters_without_curvature(unit):
    matrix = unit.copy()
    matrix[2] = matrix[:, 2] = 0.0
    alive = [0, 1, 3, 4]
    assert not is_positive(matrix)
    found = inverse_alive(matrix)
    assert np.isnan(found[2]).all()
    np.testing.assert_allclose(found[np.ix_(alive, alive)], np.linalg.inv(unit[np.ix_(alive, alive)]), rtol=1e-9)
    assert np.all(convex(matrix, np.diag(matrix))[2] == 0)
    assert np.isnan(condition_number(np.zeros((2, 2))))
    assert inverse(np.zeros((0, 0))).shape == (0, 0)


def test_downward_curvature_is_turned_upward():
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    saddle = turn @ np.diag([2.0, 0.5, -0.3]) @ turn.T
    np.testing.assert_allclose(convex(saddle, np.ones(3)), turn @ np.diag([2.0, 0.5, 0.3]) @ turn.T, rtol=1e-12)
    assert not is_positive(saddle)
    assert condition_number(np.array([[1.0, 2.0], [2.0, 1.0]])) == np.inf
