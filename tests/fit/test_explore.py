"""Neighbouring pixel cells are judged by a stand-in that has to agree with a fit of all parameters there."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.fields import background, gaussian, make_dataset, point
from gpudl4.fit.cells import moving_points, neighbours
from gpudl4.fit.explore import Beside, Others, explore
from gpudl4.fit.scoring import Counter, descend
from gpudl4.likelihood import compile
from gpudl4.models import Models


@pytest.fixture(scope="module")
def crowded():
    """A point on a Gaussian: what the one explains, the other cannot. The likelihood, and its minimum with the Hessian as metric."""
    models = Models([point("point", 0.031, -0.043, amplitude=4e-13), gaussian("blob", 0.05, 0.02, sigma=0.1), background()])
    dataset = make_dataset(n_pixels=80, n_energy=4, n_true=6, models=models, seed=11)
    likelihood = compile(dataset)
    minimum = descend(likelihood, likelihood.theta0, likelihood.cells(likelihood.theta0), Counter())
    return likelihood, _with_hessian(likelihood, minimum)


def _with_hessian(likelihood, minimum):
    return replace(minimum, metric=likelihood.hessian(minimum.theta, minimum.cells))


def test_the_stand_in_is_the_likelihood_where_all_others_follow(crowded):
    likelihood, minimum = crowded
    beside = Beside(likelihood, minimum, "point")
    assert [likelihood.names[i] for i in beside.own] == [name for name in likelihood.names if name.startswith("point.")]
    base, here = likelihood.value(minimum.theta, minimum.cells), beside.value(beside.x, beside.here)
    error = np.sqrt(2 / np.diag(minimum.metric))
    for i, index in enumerate(beside.own):
        x = beside.x.copy()
        x[i] += 0.5 * error[index]
        rise = beside.value(x, beside.here) - here
        exact = likelihood.value(beside.followed(x), minimum.cells) - base
        assert rise == pytest.approx(exact, abs=5e-3)
        others = np.delete(np.arange(len(error)), beside.own)
        for j in others:  # and there they are best
            moved = beside.followed(x)
            moved[j] += 0.05 * error[j]
            assert likelihood.value(moved, minimum.cells) - base > exact - 1e-4
        assert likelihood.value(beside.full(x), minimum.cells) - base >= exact - 1e-6
        quadratic = 0.5 * (x - beside.x) @ beside.curvature @ (x - beside.x)
        assert rise == pytest.approx(quadratic, abs=0.05)


def test_parameters_that_are_held_do_not_follow(crowded):
    likelihood, minimum = crowded
    own = np.array([likelihood.names.index(f"point.{name}") for name in ("index", "amplitude", "lon_0", "lat_0")])
    stay = np.zeros(len(minimum.theta), dtype=bool)
    stay[[likelihood.names.index("blob.sigma"), own[0]]] = True
    follow = Others(likelihood, replace(minimum, at_bound=stay)).following(own)
    y = np.flatnonzero(~stay & ~np.isin(np.arange(len(stay)), own))
    want = -np.linalg.solve(minimum.metric[np.ix_(y, y)], minimum.metric[np.ix_(y, own)])
    size = np.sqrt(np.diag(minimum.metric))
    np.testing.assert_allclose(follow[y] * size[y, np.newaxis] / size[own], want * size[y, np.newaxis] / size[own], atol=1e-6)
    np.testing.assert_array_equal(follow[own], np.eye(4))
    np.testing.assert_array_equal(follow[likelihood.names.index("blob.sigma")], 0)


def test_its_gradient_and_metric_belong_to_its_value(crowded):
    likelihood, minimum = crowded
    beside = Beside(likelihood, minimum, "point")
    error = np.sqrt(2 / np.diag(minimum.metric))[beside.own]
    x = beside.x + 0.3 * error * np.random.default_rng(2).normal(size=len(error))
    value, gradient = beside.value_and_gradient(x, beside.here)
    assert value == pytest.approx(beside.value(x, beside.here), abs=1e-9)
    for i in range(len(x)):
        up, down = x.copy(), x.copy()
        up[i] += 1e-3 * error[i]
        down[i] -= 1e-3 * error[i]
        slope = (beside.value(up, beside.here) - beside.value(down, beside.here)) / (up[i] - down[i])
        assert gradient[i] * error[i] == pytest.approx(slope * error[i], abs=1e-4)
    assert np.linalg.eigvalsh(beside.metric(x, beside.here) * np.outer(error, error))[0] > 0


def test_it_foretells_what_a_fit_finds_in_each_cell(crowded):
    likelihood, minimum = crowded
    beside = Beside(likelihood, minimum, "point")
    base = beside.value(beside.x, beside.here)
    held, seen = [], 0
    for start in neighbours(beside.points, beside.x, beside.here):
        tried = descend(beside, start, beside.cells(start), Counter(), tolerance=1e-4, metric=beside.curvature, points=beside.points)
        theta = beside.full(start)
        found = descend(likelihood, theta, likelihood.cells(theta), Counter(), metric=minimum.metric)
        rise = found.stat - minimum.stat
        if rise < 30:
            assert tried.stat - base == pytest.approx(rise, abs=0.05 + 0.05 * rise)
            held.append(abs(beside.by_others(tried.theta)))
            seen += 1
    assert seen >= 3
    assert max(held) > 0.05  # without the other parameters the answer would be another


def test_the_best_cell_is_found_from_each_of_its_neighbours(crowded):
    likelihood, minimum = crowded
    best, _ = explore(likelihood, minimum, Counter())
    for start in neighbours(moving_points(likelihood), best.theta, best.cells):
        other = _with_hessian(likelihood, descend(likelihood, start, likelihood.cells(start), Counter(), metric=minimum.metric))
        found, _ = explore(likelihood, other, Counter())
        assert found.stat == pytest.approx(best.stat, abs=1e-3)


def test_a_source_held_at_a_border_is_taken_back_over_it(crowded):
    """On a border theta alone does not tell the cell: the one on the other side must not be taken for the minimum's own."""
    likelihood, minimum = crowded
    best, _ = explore(likelihood, minimum, Counter())
    across = [
        other
        for start in neighbours(moving_points(likelihood), best.theta, best.cells)
        if (other := descend(likelihood, start, likelihood.cells(start), Counter(), metric=minimum.metric)).at_border
    ]
    assert across
    for other in across:
        found, margin = explore(likelihood, _with_hessian(likelihood, other), Counter())
        assert found.stat == pytest.approx(best.stat, abs=1e-3)
        assert found.cells == best.cells
        assert margin > 0
