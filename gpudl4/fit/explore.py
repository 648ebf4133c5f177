"""Look into the neighbouring pixel cells of point sources, and move there while that is better.

A point is placed bilinearly on four pixels, so the statistic has a minimum of its own in every cell. A neighbouring cell is first judged
with a stand-in for the likelihood, `Beside`: exact in the source's own parameters, which takes the source's own pixels only, quadratic in
all others. What it predicts is close to what a fit of all parameters in that cell would find, at a fraction of the cost; only where it
promises something are all parameters fitted.
"""

import numpy as np

from gpudl4.likelihood.cells import Cells

from .cells import moving_points, neighbours
from .scoring import Counter, descend

__all__ = ["Beside", "explore"]

SLACK = 0.1  # a neighbouring cell is fitted in full if it seems to come this close to the best statistic
SLACK_OF_MOVE = 0.1  # and this part of what the other parameters are expected to give is not relied on
FAR = 1.0  # a cell that seems to lie this far above is not looked at any closer


class Beside:
    """One source's exact likelihood, and the quadratic model of everything else around a minimum.

    Parameters
    ----------
    likelihood : Likelihood
    minimum : Minimum
    name : str
        Model name of the source.

    Attributes
    ----------
    here : Cells
        Pixel cells of the minimum. On a border they are not those of its theta alone.
    """

    def __init__(self, likelihood, minimum, name):
        self.local = likelihood.local(minimum.theta, name, minimum.cells)
        self.plan, self.names, self.bounds, self.noise = self.local.plan, likelihood.names, likelihood.bounds, self.local.noise
        self._own = np.zeros(len(minimum.theta), dtype=bool)
        for term in self.plan.terms:
            self._own[list(term.sources[0].indices)] = True
        self.theta, self._others = minimum.theta, minimum.metric.copy()
        self._others[np.ix_(self._own, self._own)] = 0.0
        self.here = self.local.cells(minimum.theta, minimum.cells)
        self._slope = np.where(self._own, 0.0, minimum.gradient)

    def cells(self, theta):
        """Pixel cells of the source in each dataset."""
        return self.local.cells(theta)

    def value(self, theta, cells=None):
        """Statistic up to a constant."""
        return self.local.value(theta, cells) + self.by_others(theta)

    def value_and_gradient(self, theta, cells=None):
        """Statistic up to a constant, and gradient."""
        value, gradient = self.local.value_and_gradient(theta, cells)
        move = theta - self.theta
        by_others = self._others @ move
        return value + (self._slope + 0.5 * by_others) @ move, gradient + self._slope + by_others

    def by_others(self, theta):
        """What the other parameters add to the statistic, and how they meet the source's own."""
        move = theta - self.theta
        return (self._slope + 0.5 * (self._others @ move)) @ move

    def metric(self, theta, cells=None):
        """Second derivatives of the source's own part at theta, with the others' model."""
        own = np.where(np.outer(self._own, self._own), self.local.metric(theta, cells), 0.0)
        return own + self._others


def explore(likelihood, minimum, counter, watch=None, bounds=None):
    """Go to the best of the neighbouring cells of each point source, and on from there, until none is better.

    Returns
    -------
    Minimum
        The one given if no cell is better.
    margin : float
        How far above it the nearest other cell seems to lie; infinite without one.
    """
    bounds = likelihood.bounds if bounds is None else bounds
    visited = {minimum.cells}
    improved, margin = True, np.inf
    while improved:
        improved, margin = False, np.inf
        for name in dict.fromkeys(point.component.name for point in moving_points(likelihood)):
            other, nearest = _look_around(likelihood, minimum, name, visited, counter, bounds)
            margin = min(margin, nearest)
            if other is not None:
                minimum, improved = other, True
                if watch is not None:
                    watch(minimum.theta, minimum.stat)
    return minimum, margin


def _cells_at(theta, likelihood, minimum):
    """Cells of a likelihood at theta: those of the minimum for what has not moved from there, which may be held at a border."""
    points = moving_points(likelihood)
    stay = [point for point in points if all(theta[i] == minimum.theta[i] for i in point.component.spatial_pack.indices)]
    return likelihood.cells(theta, Cells((p.term, p.component, p.cell(theta, minimum.cells)) for p in stay))


def _look_around(likelihood, minimum, name, visited, counter, bounds):
    """The best minimum in the cells around one source if it beats the one given, else None; and how near the nearest of the others is."""
    beside = Beside(likelihood, minimum, name)
    base = beside.value(minimum.theta, beside.here)
    best, margin = None, np.inf
    for start in neighbours(moving_points(beside), minimum.theta, beside.here):
        start = np.clip(start, *bounds.T)
        cells = _cells_at(start, likelihood, minimum)
        if cells in visited or not beside.local.is_valid(start):
            continue
        visited.add(cells)
        tried = descend(
            beside, start, beside.cells(start), Counter(), tolerance=1e-2, metric=minimum.metric, give_up_above=base + FAR, bounds=bounds
        )
        if tried is None:
            continue
        above = tried.stat - base
        margin = min(margin, above)
        if above > SLACK + SLACK_OF_MOVE * abs(beside.by_others(tried.theta)):
            continue
        limit = minimum.stat if best is None else best.stat
        found = descend(likelihood, tried.theta, cells, counter, metric=minimum.metric, give_up_above=limit, bounds=bounds)
        if found is not None:
            margin = min(margin, found.stat - minimum.stat) if found.stat > minimum.stat else margin
            if found.stat < limit - 1e-6:
                best = found
    return best, margin
