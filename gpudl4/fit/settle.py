"""From the end of the walk to the minimum that a fit reports: descend in a cell, look around, compile at the minimum until it stays.

Responses and cutouts are fixed when a likelihood is compiled, so the minimum is where the likelihood that was compiled there has its
minimum. The exact second derivatives are made once, near it: with them as the metric one step lands on the minimum, and the fit reports
them as long as the minimum has not moved since. Where the way there was a draft on merged pixels, its second derivatives serve as the
metric, for they cost a sixteenth; they are never reported.
"""

from dataclasses import dataclass, replace

import numpy as np

from .cells import moving_points
from .explore import explore
from .matrices import is_positive, seen
from .scoring import Minimum, descend, evaluate, leave_saddles, metric_of

__all__ = ["RECOMPILE_TOLERANCE", "Curvature", "settle", "standing"]

RECOMPILE_TOLERANCE = 1e-3  # the statistic may move by this much when the IRFs are taken at the minimum
MAX_ROUNDS = 8  # of compiling at the minimum and descending again
ROUGH, FINE = 2e-4, 1e-5  # decrease of the statistic that is left undone before and after second derivatives are known
BEHIND_DRAFT = 1e-5  # and behind a draft, whose second derivatives are not for keeps: the steps left are taken where they count
UNSEEN = 5e-4  # decrease that is not looked at before the likelihood is compiled anew, where it is looked at
SURELY = 1e-8  # smallest eigenvalue of a metric against a diagonal of 1
SERVES = 1e-4  # squared distance in standard deviations over which second derivatives are taken as constant


@dataclass(frozen=True)
class Curvature:
    """Observed second derivatives of a likelihood, and where they were taken.

    Attributes
    ----------
    hessian : array[P, P]
    theta : array[P]
    cells : Cells
    is_draft : bool
        Whether they are those of a draft.
    """

    hessian: np.ndarray
    theta: np.ndarray
    cells: object
    is_draft: bool

    @classmethod
    def at(cls, likelihood, theta, cells, counter):
        """Of a likelihood in a cell."""
        counter.metrics += 1
        with np.errstate(all="ignore"):  # a failed fit may end where models overflow; what is not finite is not used
            return cls(seen(likelihood.hessian(theta, cells), theta), theta, cells, likelihood.is_draft)

    def serves(self, minimum):
        """Whether they hold at another minimum as well."""
        if self.is_draft:
            return False
        move = minimum.theta - self.theta
        return self.cells == minimum.cells and bool(move @ self.metric(minimum.metric) @ move / 2 < SERVES)

    def metric(self, otherwise):
        """The Hessian if it is positive, else another matrix."""
        return self.hessian if is_positive(self.hessian, SURELY) else otherwise


def _with_points(likelihood, theta, metric):
    """A draft's second derivatives with those of point sources by their own parameters made on the pixels as they are.

    Merged pixels blur a point, so a draft knows half of what the data say about its position, and steps in it would be twice too long.
    """
    out = metric.copy()
    for name in dict.fromkeys(point.component.name for point in moving_points(likelihood)):
        local = likelihood.local(theta, name, likelihood.cells(theta))  # held, so that the descent finds them predicted
        own = np.ix_(indices := list(local.plan.terms[0].sources[0].indices), indices)
        out[own] = local.metric(theta)[own]
    return out if is_positive(out, SURELY) else metric


def _sources(likelihood):
    """Datasets and the sources that act on them."""
    return {(term.name, source.name) for term in likelihood.plan.terms for source in term.sources}


def standing(likelihood, theta, counter):
    """A place as the end of a fit that has failed."""
    cells = likelihood.cells(theta)
    stat, gradient = evaluate(likelihood, theta, cells, counter)
    metric, nowhere = metric_of(likelihood, theta, cells, counter), np.zeros(len(theta), dtype=bool)
    return Minimum(theta, stat, stat, gradient, metric, cells, np.inf, False, nowhere, False)


def settle(likelihood, theta, metric, counter, watch=None):
    """The minimum near theta in the likelihood compiled there.

    Parameters
    ----------
    likelihood : Likelihood
    theta : array[P]
        Near a minimum.
    metric : array[P, P]
        Second derivatives as the minimiser knows them.
    counter : Counter
    watch : callable, optional
        Called with (theta, stat) after each accepted step.

    Returns
    -------
    likelihood : Likelihood
        Compiled at the minimum.
    minimum : Minimum
    settled : bool
        Whether it stays where it is when the likelihood is compiled there.
    curvature : Curvature
    """
    curvature, tolerance = None, BEHIND_DRAFT if likelihood.is_draft else ROUGH
    if likelihood.is_draft:
        curvature = Curvature.at(likelihood, theta, likelihood.cells(theta), counter)  # costs little there, and is near enough
        metric = curvature.metric(metric)
        likelihood = likelihood.recompile(theta, draft=False)
        counter.compiles += 1
        metric = _with_points(likelihood, theta, metric)
    options = {"tolerance": tolerance, "metric": metric, "watch": watch, "leave": UNSEEN}
    minimum = descend(likelihood, theta, likelihood.cells(theta), counter, **options)
    minimum = leave_saddles(likelihood, minimum, counter, watch)
    margin = None
    if curvature is None:
        curvature = Curvature.at(likelihood, minimum.theta, minimum.cells, counter)
        minimum = replace(minimum, metric=curvature.metric(minimum.metric))
        minimum, margin = explore(likelihood, minimum, counter, watch)
    settled = False  # behind a draft an evaluation is dear: looked around is where one has been made in any case
    for _ in range(MAX_ROUNDS):
        before, acted = minimum, likelihood
        likelihood = likelihood.recompile(minimum.theta, draft=False)
        counter.compiles += 1
        if _sources(acted) - _sources(likelihood):  # it has walked off the data: back to where it was compiled last
            likelihood = likelihood.recompile(acted.theta0, draft=False)
            counter.compiles += 1
            minimum = standing(likelihood, likelihood.theta0, counter)
            break
        cells = likelihood.cells(before.theta, before.cells)  # a source may have left the map, or come back
        minimum = descend(likelihood, before.theta, cells, counter, tolerance=FINE, metric=before.metric, watch=watch)
        moved = max(abs(minimum.start - before.stat), abs(minimum.stat - minimum.start))
        if not minimum.converged:
            break
        if margin is None or moved > 0.1 * margin:  # an earlier look around does not hold here any more
            here = minimum
            minimum, margin = explore(likelihood, minimum, counter, watch)
            moved = moved if minimum is here else np.inf
        settled = moved < RECOMPILE_TOLERANCE
        if settled:
            break
    return likelihood, replace(minimum, metric=seen(minimum.metric, minimum.theta)), settled, curvature
