"""Look into the neighbouring pixel cells of point sources, and move there while that is better.

A point is placed bilinearly on four pixels, so the statistic has a minimum of its own in every cell. A neighbouring cell is first judged
with a stand-in for the likelihood, `Beside`: a function of the source's own parameters alone, exact in these, which takes the source's own
pixels only, while all others follow as the second derivatives at the minimum say. What it predicts is close to what a fit of all
parameters in that cell would find, and costs the same however many others there are; only where it promises something are all parameters
fitted.
"""

from dataclasses import dataclass

import numpy as np

from .cells import is_inside, kinks, moving_points, neighbours
from .degenerate import degenerate
from .matrices import is_positive
from .scoring import LONGEST_STEP, RIDGE, Counter, descend

__all__ = ["Beside", "Look", "Others", "OwnPoint", "explore"]

SLACK = 0.1  # a neighbouring cell is fitted in full if it seems to come this close to the best statistic
SLACK_OF_MOVE = 0.1  # and this part of what the other parameters are expected to give is not relied on
FAR = 1.0  # a cell that seems to lie this far above is not looked at any closer
STILL = 1 / 16  # part of the distance to the nearest cell by which a minimum may have moved for a look around a source to hold


class Beside:
    """The likelihood as a function of one source's own parameters x, all others being where they are best for these.

    Around a minimum the statistic is quadratic in the others. Where they follow x, what they add is quadratic in x (a Schur complement):
    H_xy H_yy^-1 H_yx is what they give back of the second derivatives, H_yy^-1 H_yx how far they go.

    Parameters
    ----------
    likelihood : Likelihood
    minimum : Minimum
    name : str
        Model name of the source.
    others : Others, optional
        Of the minimum, which all its sources share.

    Attributes
    ----------
    names, bounds : of the own parameters
    x : array[Q]
        Own parameters at the minimum.
    here : Cells
        Pixel cells of the minimum. On a border they are not those of its theta alone.
    curvature : array[Q, Q]
        Second derivatives by x at the minimum.
    points : list of OwnPoint
    """

    def __init__(self, likelihood, minimum, name, others=None):
        self.local, self._minimum = likelihood.local(minimum.theta, name, minimum.cells), minimum
        self._others = Others(likelihood, minimum) if others is None else others
        own = self.own = np.array(sorted({i for term in self.local.plan.terms for i in term.sources[0].indices}))
        self.names, self.bounds, self.noise = [likelihood.names[i] for i in own], self._others.bounds[own], self.local.noise
        self.x = minimum.theta[own]
        self.here = self.local.cells(minimum.theta, minimum.cells)
        self.points = [OwnPoint(self, point) for point in moving_points(self.local)]
        self._follow = self._others.following(own)
        follow = self._follow.copy()
        follow[own] = 0.0
        self._slope = follow.T @ minimum.gradient
        added = minimum.metric[own] @ follow
        self._added = (added + added.T) / 2
        self.curvature = minimum.metric[np.ix_(own, own)] + self._added

    def full(self, x):
        """theta with the source's own parameters at x, and all others as they are at the minimum."""
        theta = self._minimum.theta.copy()
        theta[self.own] = x
        return theta

    def followed(self, x):
        """theta with all others where they follow to, inside the bounds and no farther than one step of the minimiser goes."""
        start = self._minimum.theta
        reach = np.where(start != 0, LONGEST_STEP * np.abs(start), 1.0)
        theta = np.clip(start + np.clip(self._follow @ (x - self.x), -reach, reach), *self._others.bounds.T)
        theta[self.own] = x
        return theta

    def cells(self, x):
        """Pixel cells of the source in each dataset."""
        return self.local.cells(self.full(x))

    def is_valid(self, x):
        """Whether what is compiled of the source serves at x."""
        return self.local.is_valid(self.full(x))

    def value(self, x, cells=None):
        """Statistic up to a constant."""
        return self.local.value(self.full(x), cells) + self.by_others(x)

    def value_and_gradient(self, x, cells=None):
        """Statistic up to a constant, and gradient array[Q]."""
        value, gradient = self.local.value_and_gradient(self.full(x), cells)
        return value + self.by_others(x), gradient[self.own] + self._slope + self._added @ (x - self.x)

    def by_others(self, x):
        """What the other parameters, which follow, add to the statistic."""
        move = x - self.x
        return (self._slope + 0.5 * (self._added @ move)) @ move

    def metric(self, x, cells=None):
        """Second derivatives of the source's own part at x, less what the others give back; array[Q, Q]."""
        metric = self._with_others(self.local.metric(self.full(x), cells))
        return metric if is_positive(metric) else self.curvature

    def second_derivatives(self, x, cells=None):
        """Fisher matrix and Hessian of the source's own part at x, less what the others give back; two arrays[Q, Q]."""
        return tuple(map(self._with_others, self.local.second_derivatives(self.full(x), cells)))

    def _with_others(self, local):
        return local[np.ix_(self.own, self.own)] + self._added


@dataclass(frozen=True)
class OwnPoint:
    """A `MovingPoint` as a function of its source's own parameters."""

    beside: Beside
    point: object

    @property
    def component(self):
        return self.point.component

    def cell(self, x, cells):
        """Its pixel cell, int array[2]."""
        return self.point.cell(self.beside.full(x), cells)

    def pixel(self, x):
        """Pixel coordinates array[2] and their derivatives array[2, Q]."""
        xy, jacobian = self.point.pixel(self.beside.full(x))
        return xy, jacobian[:, self.beside.own]


class Others:
    """What parameters do when some of them are moved away from a minimum: the others go where they are best then.

    Parameters
    ----------
    likelihood : Likelihood
    minimum : Minimum
    bounds : array[P, 2], optional
        By default the likelihood's. Parameters that they hold stay where they are, and so do those of points at the border of their cell.
    """

    def __init__(self, likelihood, minimum, bounds=None):
        self.bounds = likelihood.bounds if bounds is None else bounds
        self._metric, n = minimum.metric, len(minimum.theta)
        self._held = minimum.at_bound | (self.bounds[:, 0] == self.bounds[:, 1]) | ~(np.diag(minimum.metric) > 0)
        if minimum.at_border:
            self._held[kinks(moving_points(likelihood), minimum.theta, minimum.cells)] = True
        free = ~self._held
        scale = 1.0 / np.sqrt(np.diag(minimum.metric)[free])
        white = minimum.metric[np.ix_(free, free)] * np.outer(scale, scale) + RIDGE * np.eye(len(scale))
        self._covariance = np.zeros((n, n))  # one inverse serves all sources
        self._covariance[np.ix_(free, free)] = np.linalg.inv(white) * np.outer(scale, scale)

    def following(self, own):
        """How far all parameters go when some are moved, array[P, Q]; the own rows are the unit matrix."""
        out = np.zeros((len(self._held), len(own)))
        c, loose, tied = self._covariance, own[~self._held[own]], own[self._held[own]]
        by_loose = np.linalg.solve(c[np.ix_(loose, loose)], c[loose]).T  # C_yx C_xx^-1 = -H_yy^-1 H_yx
        out[:, ~self._held[own]] = by_loose
        if len(tied):  # their columns are not in C; H_yy^-1 = C_yy - C_yx C_xx^-1 C_xy
            column = self._metric[:, tied].copy()
            column[own] = 0.0
            out[:, self._held[own]] = by_loose @ (c[loose] @ column) - c @ column
        out[own] = np.eye(len(own))
        return out


@dataclass
class Look:
    """What a look around one source has found.

    Attributes
    ----------
    theta : array[P]
        Where it was made.
    nearest : float
        How far above the minimum the nearest other cell seems to lie; infinite without one.
    promising : list of (float, array[P], list)
        Cells worth a fit of all parameters: how far above, the move of all parameters that leads there, and what tells the cells.
    """

    theta: np.ndarray
    nearest: float
    promising: list

    def holds(self, minimum, own):
        """Whether it holds at a minimum that has moved since, as other sources were put elsewhere.

        A slope that changes by dg may be worth ``dg H^-1 dg / 2`` within a cell, and the root of that times what the next cell lies above
        on the way to it.
        """
        change = minimum.metric[own] @ (minimum.theta - self.theta)
        curvature = minimum.metric[np.ix_(own, own)]
        return is_positive(curvature) and bool(change @ np.linalg.solve(curvature, change) / 2 < STILL * self.nearest)


def explore(likelihood, minimum, counter, watch=None, bounds=None):
    """Go to the best of the neighbouring cells of each point source, and on from there, until none is better.

    Returns
    -------
    Minimum
        The one given if no cell is better.
    margin : float
        How far above it the nearest other cell seems to lie; infinite without one.
    """
    points, own = moving_points(likelihood), {}
    for point in points:
        own.setdefault(point.component.name, set()).update(point.component.indices)
    if degenerate(minimum.metric).any():  # neither is the place of a source determined then, nor its cell
        return minimum, np.inf
    bounds = likelihood.bounds if bounds is None else bounds
    visited, looks = {minimum.cells}, {}
    while True:
        others = None
        for name in own:
            if name not in looks or not looks[name].holds(minimum, sorted(own[name])):
                others = Others(likelihood, minimum, bounds) if others is None else others
                looks[name] = _look_around(likelihood, minimum, name, points, visited, others)
        better, name = _try_each(likelihood, minimum, looks, visited, counter, bounds)
        if better is None:
            return minimum, min((look.nearest for look in looks.values()), default=np.inf)
        minimum = better
        del looks[name]
        if watch is not None:
            watch(minimum.theta, minimum.stat)


def _try_each(likelihood, minimum, looks, visited, counter, bounds):
    """The best minimum in the promising cells around the first source for which it beats the one given, and that source; None without."""
    for name, look in looks.items():
        best = None
        for _, move, moved in look.promising:
            cells = minimum.cells.updated(moved)
            if cells in visited:
                continue
            visited.add(cells)
            limit = minimum.stat if best is None else best.stat
            theta = np.clip(minimum.theta + move, *bounds.T)
            found = descend(likelihood, theta, cells, counter, metric=minimum.metric, give_up_above=limit, bounds=bounds)
            if found is not None:
                look.nearest = min(look.nearest, found.stat - minimum.stat) if found.stat > minimum.stat else look.nearest
                if found.stat < limit - 1e-6:
                    best = found
        if best is not None:
            return best, name
    return None, None


def _look_around(likelihood, minimum, name, points, visited, others):
    """Judge the cells around one source; gives a `Look`."""
    beside = Beside(likelihood, minimum, name, others)
    moved = [point for point in points if not set(point.component.spatial_pack.indices).isdisjoint(beside.own)]
    base = beside.value(beside.x, beside.here)
    inside = any(is_inside(moved, minimum.theta).values())
    look = Look(minimum.theta, np.inf, [])
    for start in neighbours(beside.points, beside.x, beside.here):
        start = np.clip(start, *beside.bounds.T)
        theta = beside.full(start)[np.newaxis]
        found = [(point.term, point.component, point.component.cell(theta)[0]) for point in moved]
        is_lost = inside and not any(is_inside(moved, theta[0]).values())
        if minimum.cells.updated(found) in visited or is_lost or not beside.is_valid(start):
            continue
        options = {"metric": beside.curvature, "give_up_above": base + FAR, "points": beside.points}
        tried = descend(beside, start, beside.cells(start), Counter(), tolerance=1e-2, **options)
        if tried is None:
            look.nearest = min(look.nearest, FAR)
            continue
        above = tried.stat - base
        look.nearest = min(look.nearest, above)
        if above <= SLACK + SLACK_OF_MOVE * abs(beside.by_others(tried.theta)):
            look.promising.append((above, beside.followed(tried.theta) - minimum.theta, found))
    return look
