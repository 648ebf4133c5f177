"""Amplitudes and norms fitted roughly, with all else held: a convex problem that a few Newton steps solve.

Before sources are looked for (`seek.py`) and after they were put elsewhere, so that a source with far too many counts hides no other.
"""

import numpy as np

from .qp import constrained_step
from .scoring import RIDGE, evaluate, metric_of
from .stretch import STRETCHED

__all__ = ["fit_fluxes", "is_flux"]

DIMMEST = 1e-2  # of its value that an amplitude keeps at least, so that it stays positive while sources are looked for
STEPS, TOLERANCE = 5, 1.0  # Newton steps, and the decrease of the statistic that is not worth another


def is_flux(name):
    """Whether a parameter, named ``model.parameter``, multiplies a spectrum."""
    return name.rsplit(".", 1)[-1] in STRETCHED


def fit_fluxes(likelihood, theta, counter, watch=None):
    """Amplitudes and norms roughly fitted, amplitudes kept positive, all else held.

    The statistic is convex in them, so a few Newton steps do; the minimiser will go on from here.

    Returns
    -------
    theta : array[P]
    metric : array[P, P]
        Second derivatives of the statistic near it.
    """
    free = np.flatnonzero([is_flux(name) for name in likelihood.names])
    low, high = likelihood.bounds[free].T.copy()
    positive = theta[free] > 0
    low[positive] = np.maximum(low[positive], DIMMEST * theta[free][positive])
    cells = likelihood.cells(theta)
    stat, gradient = evaluate(likelihood, theta, cells, counter)
    metric = metric_of(likelihood, theta, cells, counter)
    for _ in range(STEPS if len(free) else 0):
        step, promised = _flux_step(metric[np.ix_(free, free)], gradient[free], low - theta[free], high - theta[free])
        if promised < TOLERANCE:
            break
        trial = theta.copy()
        trial[free] += step
        new_stat, new_gradient = evaluate(likelihood, trial, cells, counter)
        while not new_stat < stat and promised > TOLERANCE:
            trial[free], promised = 0.25 * trial[free] + 0.75 * theta[free], 0.25 * promised
            new_stat, new_gradient = evaluate(likelihood, trial, cells, counter)
        if not new_stat < stat:
            break
        as_promised = 0.8 * promised < stat - new_stat < 1.2 * promised
        theta, stat, gradient = trial, new_stat, new_gradient
        if watch is not None:
            watch(theta, stat)
        if as_promised:
            break
        metric = metric_of(likelihood, theta, cells, counter)
    return theta, metric


def _flux_step(curvature, gradient, low, high):
    """Newton step between limits, and the decrease it promises."""
    alive = np.diag(curvature) > 0
    scale = 1.0 / np.sqrt(np.diag(curvature)[alive])
    own = curvature[np.ix_(alive, alive)] * np.outer(scale, scale) + RIDGE * np.eye(len(scale))
    rows = np.vstack([-np.eye(len(scale)), np.eye(len(scale))]) * scale
    room = np.maximum(np.concatenate([-low[alive], high[alive]]), 0.0)
    limited = np.isfinite(room)
    white, _ = constrained_step(gradient[alive] * scale, own, rows[limited], room[limited])
    step = np.zeros(len(gradient))
    step[alive] = np.clip(white * scale, low[alive], high[alive])
    return step, float(-(gradient[alive] * scale) @ white - 0.5 * white @ own @ white)
