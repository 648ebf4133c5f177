"""The constrained Newton step against SciPy's general solver."""

import numpy as np
import pytest
from scipy.optimize import minimize, nnls

from gpudl4.fit.qp import constrained_step, nonnegative_least_squares


def _problem(seed, size, rows):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    return rng.normal(size=size), root @ root.T + 0.1 * np.eye(size), rng.normal(size=(rows, size)), rng.uniform(0, 0.3, size=rows)


@pytest.mark.parametrize("seed", range(12))
def test_step_is_the_minimum(seed):
    gradient, hessian, matrix, limit = _problem(seed, 4, 6)
    step, active = constrained_step(gradient, hessian, matrix, limit)
    assert np.all(matrix @ step <= limit + 1e-9)
    want = minimize(
        lambda d: gradient @ d + d @ hessian @ d / 2,
        np.zeros(4),
        jac=lambda d: gradient + hessian @ d,
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda d: limit - matrix @ d, "jac": lambda d: -matrix},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(step, want.x, atol=2e-5)
    np.testing.assert_allclose((matrix @ step)[active], limit[active], atol=1e-9)


def test_free_step_is_newtons():
    gradient, hessian, _, _ = _problem(1, 3, 1)
    step, active = constrained_step(gradient, hessian, np.zeros((0, 3)), np.zeros(0))
    np.testing.assert_allclose(hessian @ step, -gradient)
    assert active.shape == (0,)


def test_blocked_at_the_origin_stays_there():
    step, active = constrained_step(np.array([-1.0, 0.0]), np.eye(2), np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(step, 0.0, atol=1e-12)
    assert active.tolist() == [True, False]


def test_equal_constraints_given_twice():
    """Several datasets of one geometry give the same border more than once."""
    matrix = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    step, active = constrained_step(np.array([-2.0, -1.0]), np.eye(2), matrix, np.full(3, 0.5))
    np.testing.assert_allclose(step, [0.5, 1.0], atol=1e-12)
    assert active.any()


@pytest.mark.parametrize("seed", range(20))
def test_nonnegative_least_squares_is_scipys(seed):
    rng = np.random.default_rng(seed)
    rows, columns = [(5, 3), (4, 12), (11, 40), (3, 3)][seed % 4]
    matrix, target = rng.normal(size=(rows, columns)) * 10.0 ** rng.uniform(-3, 5, size=columns), rng.normal(size=rows)
    x = nonnegative_least_squares(matrix, target)
    want, residual = nnls(matrix, target)
    assert np.all(x >= 0)
    np.testing.assert_allclose(matrix @ x, matrix @ want, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(matrix @ x - target), residual, atol=1e-9)


def test_nonnegative_least_squares_of_columns_that_repeat_or_vanish():
    matrix = np.array([[1.0, 1.0, 0.0, -1.0], [0.0, 1e-17, 0.0, 0.0]])
    np.testing.assert_allclose(matrix @ nonnegative_least_squares(matrix, np.array([2.0, 1.0])), [2.0, 0.0], atol=1e-12)
