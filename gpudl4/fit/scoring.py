"""Damped Fisher scoring inside bounds and pixel cells: the minimiser behind `Fit`.

Three stages. `approach` walks from any start towards the minimum and may cross cells. `descend` finds the minimum of one cell, where the
statistic is smooth. `explore` looks into the neighbouring cells of every point source and moves there while that is better. The Fisher
matrix stands for the second derivative: it is positive definite and close to it near the minimum, so a handful of steps is enough.
"""

from dataclasses import dataclass, field

import numpy as np

from .cells import border_constraints, moving_points, neighbours
from .qp import constrained_step

__all__ = ["Counter", "Minimum", "approach", "descend", "explore"]

MAX_STEPS = 60
DAMPING_START, DAMPING_MIN, DAMPING_MAX = 1e-3, 1e-10, 1e8
RIDGE = 1e-10  # relative; keeps degenerate Fisher matrices factorisable


@dataclass
class Counter:
    """How much work was done."""

    values: int = 0
    gradients: int = 0
    fishers: int = 0
    compiles: int = 0
    trace: list = field(default_factory=list)


@dataclass(frozen=True)
class Minimum:
    """The minimum of one cell.

    Attributes
    ----------
    theta : array[P]
    stat : float
    gradient : array[P]
    fisher : array[P, P]
    cells : list
    edm : float
        Decrease of the statistic that the quadratic model still promises.
    converged : bool
    at_bound : bool array[P]
        Parameters held back by their bounds.
    at_border : bool
        Whether a point source is held back by the border of its cell.
    """

    theta: np.ndarray
    stat: float
    gradient: np.ndarray
    fisher: np.ndarray
    cells: list
    edm: float
    converged: bool
    at_bound: np.ndarray
    at_border: bool


def _evaluate(likelihood, theta, cells, counter):
    counter.gradients += 1
    stat, gradient = likelihood.value_and_gradient(theta, cells)
    return stat, gradient


def _fisher(likelihood, theta, cells, counter):
    counter.fishers += 1
    return likelihood.fisher(theta, cells)


def _bound_constraints(theta, bounds):
    """Rows ``matrix @ d <= limit`` for the finite bounds."""
    n = len(theta)
    low, high = np.isfinite(bounds[:, 0]), np.isfinite(bounds[:, 1])
    matrix = np.vstack([-np.eye(n)[low], np.eye(n)[high]])
    limit = np.concatenate([theta[low] - bounds[low, 0], bounds[high, 1] - theta[high]])
    owner = np.concatenate([np.flatnonzero(low), np.flatnonzero(high)])
    return matrix, np.maximum(limit, 0.0), owner


def _step(gradient, fisher, damping, constraints):
    """Step of the damped quadratic model in units of the parameters' errors: step, promised decrease, active constraints.

    Parameters without any curvature get no step.
    """
    diagonal = np.diag(fisher).copy()
    dead = ~(diagonal > 0)
    scale = 1.0 / np.sqrt(np.where(dead, 1.0, diagonal))
    hessian = fisher * np.outer(scale, scale)
    hessian[dead, :] = 0.0
    hessian[:, dead] = 0.0
    hessian[np.diag_indices_from(hessian)] = 1.0 + damping + RIDGE
    white = np.where(dead, 0.0, gradient * scale)
    matrix, limit = constraints
    ridge = RIDGE
    while True:
        try:
            step, active = constrained_step(white, hessian, matrix * scale, limit)
            break
        except np.linalg.LinAlgError:
            ridge *= 100
            hessian[np.diag_indices_from(hessian)] += ridge
    undamped = hessian - np.diag(np.full(len(white), damping))
    promised = -(white @ step + 0.5 * step @ undamped @ step)
    return np.where(dead, 0.0, step * scale), promised, active


def approach(likelihood, theta, counter, watch=None, largest_move=3.0):
    """Walk towards the minimum, across cells, compiling anew whenever a source leaves what was compiled.

    Parameters
    ----------
    likelihood : Likelihood
    theta : array[P]
    counter : Counter
    watch : callable, optional
        Called with (theta, stat) after each accepted step.
    largest_move : float
        Pixels a point source may move in one step.

    Returns
    -------
    likelihood, theta
    """
    damping = DAMPING_START
    stat, gradient = _evaluate(likelihood, theta, None, counter)
    fisher = _fisher(likelihood, theta, None, counter)
    for _ in range(MAX_STEPS):
        points = moving_points(likelihood)
        matrix, limit, _ = _bound_constraints(theta, likelihood.bounds)
        jacobians = [point.pixel(theta)[1] for point in points]
        matrix = np.vstack([matrix, *jacobians, *(-j for j in jacobians)])
        limit = np.concatenate([limit, np.full(4 * len(points), largest_move)])
        step, promised, _ = _step(gradient, fisher, damping, (matrix, limit))
        if promised < 0.1:
            break
        trial = np.clip(theta + step, *likelihood.bounds.T)
        counter.gradients += 1
        new_stat, new_gradient = likelihood.value_and_gradient(trial)
        if np.isfinite(new_stat) and stat - new_stat > 1e-3 * promised:
            good = stat - new_stat > 0.5 * promised
            theta, stat, gradient = trial, new_stat, new_gradient
            damping = max(damping * (0.1 if good else 1.0), DAMPING_MIN)
            if not likelihood.is_valid(theta):
                likelihood = likelihood.recompile(theta)
                counter.compiles += 1
                stat, gradient = _evaluate(likelihood, theta, None, counter)
            fisher = _fisher(likelihood, theta, None, counter)
            if watch is not None:
                watch(theta, stat)
        else:
            damping = max(10.0 * damping, 1e-2)
            if damping > DAMPING_MAX:
                break
    return likelihood, theta


def descend(likelihood, theta, cells, counter, tolerance=1e-8, fisher=None, give_up_above=np.inf, watch=None, bounds=None):
    """Minimum of the statistic in one cell.

    Parameters
    ----------
    likelihood : Likelihood
    theta : array[P]
        Start, in the cell.
    cells : list
        As `Likelihood.cells` returns them.
    counter : Counter
    tolerance : float
        Converged when the quadratic model promises a smaller decrease than this.
    fisher : array[P, P], optional
        A Fisher matrix from nearby, for the first step.
    give_up_above : float
        Return early if the model, trusted generously, cannot get below this statistic.
    watch : callable, optional
        Called with (theta, stat) after each accepted step.
    bounds : array[P, 2], optional
        Instead of the likelihood's; equal bounds hold a parameter, as profiles need it.

    Returns
    -------
    Minimum or None
        None if given up.
    """
    points = moving_points(likelihood)
    bounds = likelihood.bounds if bounds is None else bounds
    damping, own = DAMPING_MIN, fisher is None
    stat, gradient = _evaluate(likelihood, theta, cells, counter)
    if own:
        fisher = _fisher(likelihood, theta, cells, counter)
    converged = False
    for _ in range(MAX_STEPS):
        matrix, limit, owner = _bound_constraints(theta, bounds)
        borders, border_limit = border_constraints(points, theta, cells)
        constraints = np.vstack([matrix, borders]), np.concatenate([limit, border_limit])
        step, promised, active = _step(gradient, fisher, damping, constraints)
        if stat - 2.0 * promised > give_up_above:
            return None
        if promised < tolerance and (own or promised < 0.01 * tolerance):
            converged = damping <= 1.0
            break
        if not own and promised < 1.0:  # close enough that this cell's own curvature pays
            fisher, own = _fisher(likelihood, theta, cells, counter), True
            continue
        trial = np.clip(theta + step, *bounds.T)
        new_stat, new_gradient = _evaluate(likelihood, trial, cells, counter)
        rounding = 1e-13 * abs(stat)
        if np.isfinite(new_stat) and stat - new_stat > 0.1 * promised - rounding:
            poor = stat - new_stat < 0.8 * promised
            theta, stat, gradient = trial, new_stat, new_gradient
            damping = max(0.1 * damping, DAMPING_MIN)
            if poor and promised > 100 * tolerance:
                fisher, own = _fisher(likelihood, theta, cells, counter), True
            if watch is not None:
                watch(theta, stat)
        elif promised < 100 * tolerance + rounding:
            converged = True  # what is left drowns in rounding
            break
        else:
            damping = max(10.0 * damping, 1e-2)
            if damping > DAMPING_MAX:
                break
    at_bound = np.zeros(len(theta), dtype=bool)
    at_bound[owner[active[: len(owner)]]] = True
    return Minimum(theta, stat, gradient, fisher, cells, promised, converged, at_bound, bool(active[len(owner) :].any()))


def explore(likelihood, minimum, counter, watch=None, bounds=None):
    """Look into the neighbouring cells of each point source and go on from the best, until none is better."""
    points = moving_points(likelihood)
    bounds = likelihood.bounds if bounds is None else bounds
    visited = {_key(minimum.cells)}
    improved = bool(points)
    while improved:
        improved = False
        for start in neighbours(points, minimum.theta, minimum.cells):
            start = np.clip(start, *bounds.T)
            cells = likelihood.cells(start)
            if _key(cells) in visited or not likelihood.is_valid(start):
                continue
            visited.add(_key(cells))
            other = descend(likelihood, start, cells, counter, fisher=minimum.fisher, give_up_above=minimum.stat, bounds=bounds)
            if other is not None and other.stat < minimum.stat - 1e-6:
                minimum, improved = other, True
                if watch is not None:
                    watch(minimum.theta, minimum.stat)
                break
    return minimum


def _key(cells):
    return tuple(-1 if c is None else tuple(c[0]) for term in cells for c in term)
