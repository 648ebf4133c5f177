"""The exact gradient on real data: against differences of the value inside a pixel cell, and from both sides at a kink."""

import pytest

pytest.importorskip("gammapy")

import numpy as np

from gpudl4.fit.cells import moving_points
from gpudl4.likelihood import assert_gradient

from .cases import POINTS, likelihood_of

pytestmark = pytest.mark.peer

WHERE = [point for point in POINTS if not point.whole_map]


def errors(likelihood, theta):
    """Error of every parameter alone, from the Fisher matrix."""
    return np.sqrt(2 / np.diag(likelihood.fisher(theta)))


@pytest.mark.parametrize("point", WHERE, ids=lambda point: f"{point.case}: {point.name}")
def test_inside_a_cell(point):
    likelihood = likelihood_of(point)
    assert not likelihood.unconstrained(likelihood.theta0)
    step = errors(likelihood, likelihood.theta0)
    rng = np.random.default_rng(1)
    for size in (0.0, 2.0) if point.name == "start" else (1.0,):
        theta = likelihood.theta0 + size * step * rng.uniform(-1, 1, len(step))
        assert_gradient(likelihood, np.clip(theta, *likelihood.bounds.T), rtol=1e-6)


def to_corner(likelihood, theta):
    """theta with the first moving source exactly on a corner of four pixel cells, and the moves along x and y by one pixel, array[2, P]."""
    point = moving_points(likelihood)[0]
    for _ in range(6):
        xy, jacobian = point.pixel(theta)
        theta = theta + np.linalg.pinv(jacobian) @ (np.round(xy) - xy)
    xy, jacobian = point.pixel(theta)
    assert np.abs(xy - np.round(xy)).max() < 1e-9
    return theta, np.linalg.pinv(jacobian).T


def side(likelihood, theta, move):
    """Cells of all sources a tenth of a pixel along `move` and, to stay off the other border, a little aside."""
    return likelihood.cells(theta + 0.1 * move)


@pytest.mark.parametrize("name", ["cta-point", "cta-extended", "hawc", "fermi-gc"])
def test_from_both_sides_of_a_kink(name):
    likelihood = likelihood_of(name)
    theta, moves = to_corner(likelihood, likelihood.theta0)
    weights = np.array([-25 / 12, 4, -3, 4 / 3, -1 / 4])  # one-sided difference of fourth order
    step = 0.005  # pixels
    slopes = {}
    for along in (0, 1):
        for sign in (1, -1):
            move = sign * moves[along]
            aside = 1e-3 * moves[1 - along]  # off the border of the other axis
            cells = side(likelihood, theta + aside, move)
            exact = likelihood.value_and_gradient(theta + aside, cells)[1]
            # The difference uses each point's own cell: nothing is held, apart from the border itself.
            values = [likelihood.value(theta + aside, cells)]
            values += [likelihood.value(theta + aside + i * step * move) for i in range(1, 5)]
            numeric = weights @ (np.array(values) - values[0]) / step
            norm = np.linalg.norm(exact * errors(likelihood, theta))
            scale = np.linalg.norm(move / errors(likelihood, theta))
            assert abs(exact @ move - numeric) <= 1e-6 * norm * scale
            slopes[along, sign] = sign * (exact @ move)
        assert abs(slopes[along, 1] - slopes[along, -1]) > 1e-3 * abs(slopes[along, 1]), "this is no kink"


@pytest.mark.parametrize("name", ["cta-point", "hawc"])
def test_value_is_continuous_at_a_kink(name):
    likelihood = likelihood_of(name)
    theta, moves = to_corner(likelihood, likelihood.theta0)
    values = [likelihood.value(theta, side(likelihood, theta, sx * moves[0] + sy * moves[1])) for sx in (-1, 1) for sy in (-1, 1)]
    np.testing.assert_allclose(values, values[0], rtol=1e-13)


@pytest.mark.parametrize("name", ["cta-point", "hawc"])
def test_at_a_kink_the_cell_of_floor_counts(name):
    likelihood = likelihood_of(name)
    theta, moves = to_corner(likelihood, likelihood.theta0)
    theta = theta + 1e-9 * (moves[0] + moves[1])  # the same corner, past what rounding can move
    upper = likelihood.value_and_gradient(theta, side(likelihood, theta, moves[0] + moves[1]))[1]
    np.testing.assert_array_equal(likelihood.value_and_gradient(theta)[1], upper)
