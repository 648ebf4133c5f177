"""MIGRAD as an independent judge of a minimum, with the exact gradient.

MIGRAD (James & Roos 1975, via iminuit) runs in coordinates in which amplitudes act as their logarithm (`stretch.py`) and the second
derivative is the unit matrix, so its own step sizes and metric are right from the first call. It starts a tenth of an error away from
the minimum, farther where single precision would hide so small a rise, and has to find it again. Directions held back by a bound or a
cell border are left out, and so are positions that may be anywhere in their cell.
"""

from dataclasses import dataclass

import numpy as np

from .cells import BORDER, moving_points
from .matrices import inverse_alive, scaled
from .stretch import Stretch

__all__ = ["NOTHING", "Verdict", "certify"]

OFFSET = 0.1  # start, in standard deviations from the minimum; the statistic is higher by its square there
NOTHING = 2e-3  # lower by less is not lower
SURELY, FLAT = 1e-8, 1e-4  # least curvature against the largest that is surely upward; others are taken for no less than that
PARTS = (-1.0, -0.3, -0.1, 0.1, 0.3, 1.0)  # of the length of a direction that is not curved upward, at which the statistic is looked at
NARROW = 0.3  # a cell that ends nearer than so many errors of a position holds it: beyond its borders the formula means nothing
CALLS = 20  # that MIGRAD may make, per direction and once more
NEAR = 0.3  # standard deviations from the minimum within which MIGRAD has come back to it
FLATTEST = 4  # directions that are looked along where it has not
ABOVE_NOISE = 3.0  # and its square times the rounding of the statistic is the least that this has to be


@dataclass(frozen=True)
class Verdict:
    """What MIGRAD says."""

    valid: bool
    edm: float
    theta: np.ndarray
    stat: float
    n_calls: int
    message: str


def _blocked(likelihood, minimum, covariance):
    """Rows of directions by theta in which the minimum is not free: bounds, borders of cells, parameters without curvature."""
    rows = [row for row, at in zip(np.eye(len(minimum.theta)), minimum.at_bound | ~(np.diag(minimum.metric) > 0), strict=True) if at]
    for point in moving_points(likelihood):
        xy, jacobian = point.pixel(minimum.theta)
        offset = xy - point.cell(minimum.theta, minimum.cells)
        for row, room in zip(jacobian, np.minimum(abs(offset), abs(1 - offset)), strict=True):
            error = np.sqrt(max(row @ covariance @ row, 0.0))
            if (minimum.at_border and room < BORDER) or room < NARROW * error:
                rows.append(row)
    return rows


def _free_directions(likelihood, minimum, hessian, stretch):
    """Directions by u in which the minimum is free: those curved upward, whitened, and those that are not, each as long as looks far.

    Returns
    -------
    array[P, Q], array[P, R]
    """
    from scipy.linalg import null_space

    slope, (_, scale) = stretch.slope(minimum.theta), scaled(minimum.metric)
    by_u = hessian * np.outer(slope, slope) + np.diag(minimum.gradient * stretch.bend(minimum.theta))
    covariance = np.nan_to_num(inverse_alive(np.where(np.isfinite(hessian), hessian, 0.0) / 2.0), nan=0.0)
    blocked = _blocked(likelihood, minimum, covariance)
    basis = null_space(np.array(blocked) * scale) if blocked else np.eye(len(scale))
    unit, _ = scaled(by_u, np.diag(minimum.metric) * slope**2)
    if not basis.shape[1] or not np.all(np.isfinite(unit)):
        return np.zeros((len(scale), 0)), np.zeros((len(scale), 0))
    values, vectors = np.linalg.eigh(basis.T @ unit @ basis / 2.0)
    is_up = values > SURELY * max(values.max(), 0.0)
    lengths = 1.0 / np.sqrt(np.where(is_up, values, np.maximum(np.abs(values), FLAT)))
    directions = (scale / slope)[:, np.newaxis] * basis @ (vectors * lengths)
    return directions[:, is_up], directions[:, ~is_up]


def _lowest_along(likelihood, minimum, stretch, directions, counter):
    """The lowest statistic found to both sides along directions that are not curved upward, and its theta."""
    best = minimum.stat, minimum.theta
    for direction in directions.T:
        for part in PARTS:
            theta = np.clip(stretch.to_theta(stretch.to_u(minimum.theta) + part * direction), *likelihood.bounds.T)
            counter.values += 1
            with np.errstate(all="ignore"):
                stat = likelihood.value(theta)
            best = (stat, theta) if stat < best[0] else best
    return best


def certify(likelihood, minimum, counter, hessian=None, tol=0.1, strategy=0, print_level=0):
    """Run MIGRAD from a minimum in its cell.

    Parameters
    ----------
    likelihood : Likelihood
    minimum : Minimum
    counter : Counter
    hessian : array[P, P], optional
        Second derivative at the minimum; by default the minimiser's metric.
    tol, strategy, print_level
        As in `iminuit.Minuit`.

    Returns
    -------
    Verdict
    """
    from iminuit import Minuit

    stretch = Stretch(likelihood.names, minimum.metric)
    centre = stretch.to_u(minimum.theta)
    directions, flat = _free_directions(likelihood, minimum, minimum.metric if hessian is None else hessian, stretch)
    stat, theta = _lowest_along(likelihood, minimum, stretch, flat, counter)
    if stat < minimum.stat - NOTHING:
        return Verdict(False, minimum.edm, theta, stat, 0, "it is lower along a direction in which it is not curved upward")
    if directions.shape[1] == 0:
        return Verdict(True, 0.0, minimum.theta, minimum.stat, 0, "no free direction is left")
    size = directions.shape[1]
    start, unit = np.full(size, max(OFFSET, ABOVE_NOISE * np.sqrt(likelihood.noise)) / np.sqrt(size)), 2.0 * np.eye(size)

    known = {}

    def place(y):
        return stretch.to_theta(centre + directions @ y)

    def both(y):  # MIGRAD asks for the value and then for the gradient, nearly always at the same place
        if (key := np.asarray(y).tobytes()) not in known:
            counter.gradients += 1
            theta = place(y)
            stat, gradient = likelihood.value_and_gradient(theta, minimum.cells)
            known.clear()
            known[key] = stat - minimum.stat, directions.T @ (gradient * stretch.slope(theta))  # the difference keeps digits
        return known[key]

    def value(y):
        return both(y)[0]

    def gradient(y):
        return both(y)[1]

    minuit = Minuit(value, start, grad=gradient, hessian=lambda _: unit)
    minuit.errordef, minuit.strategy, minuit.tol, minuit.print_level = 1.0, strategy, tol, print_level
    minuit.errors = np.ones(size)
    minuit.migrad(ncall=CALLS * (1 + size), iterate=1)
    y = np.array(minuit.values)
    theta = place(y)
    fmin = minuit.fmin
    reasons = [
        text
        for flag, text in (
            (fmin.has_reached_call_limit, "the call limit was reached"),
            (fmin.is_above_max_edm, "the estimated distance to the minimum is too large"),
            (not fmin.has_valid_parameters, "MIGRAD's parameters are not valid"),
        )
        if flag
    ]
    # With its cells held the formula means nothing beyond their borders.
    stat = minimum.stat + float(minuit.fval)
    stat = stat if stat > minimum.stat - NOTHING else likelihood.value(theta)
    valid = bool(fmin.is_valid)
    if not valid and stat > minimum.stat - NOTHING:
        # Where an error is so large that the second derivative changes within it, MIGRAD's own criterion may fail at a true minimum. It
        # is one if MIGRAD came back to it, or if nothing is lower along the directions in which it is least sure.
        valid = bool(np.linalg.norm(y) < NEAR)
        if not valid:
            lowest, there = _lowest_along(likelihood, minimum, stretch, directions[:, :FLATTEST], counter)
            valid = lowest > minimum.stat - NOTHING - likelihood.noise
            stat, theta = (stat, theta) if valid else (lowest, there)
    return Verdict(valid, float(fmin.edm), theta, stat, int(fmin.nfcn), "; ".join(reasons))
