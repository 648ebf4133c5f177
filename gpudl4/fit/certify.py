"""MIGRAD as an independent judge of a minimum, with the exact gradient.

MIGRAD (James & Roos 1975, via iminuit) runs in coordinates in which amplitudes act as their logarithm (`stretch.py`) and the second
derivative is the unit matrix, so its own step sizes and metric are right from the first call. It starts a tenth of an error away from the minimum, farther where single precision would hide so
small a rise, and has to find it again. Directions held back by a bound or a cell border are left out, and so
are positions that may be anywhere in their cell.
"""

from dataclasses import dataclass

import numpy as np

from .cells import BORDER, moving_points
from .matrices import inverse_alive, is_positive, scaled
from .stretch import Stretch

__all__ = ["Verdict", "certify"]

OFFSET = 0.1  # start, in standard deviations from the minimum; the statistic is higher by its square there
NOTHING, SURELY = (
    2e-3,
    1e-8,
)  # lower by less is not lower; least eigenvalue of a Hessian, scaled to a diagonal of 1, that is surely positive
NARROW = 0.3  # a cell that ends nearer than so many errors of a position holds it: beyond its borders the formula means nothing
CALLS = 20  # that MIGRAD may make, per direction and once more
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


def _free_directions(likelihood, minimum, hessian, slope):
    """Columns span the directions by u in which the minimum is free, whitened by the second derivative: array[P, Q]."""
    from scipy.linalg import null_space

    n = len(minimum.theta)
    blocked = [row for row, at in zip(np.eye(n), minimum.at_bound | ~(np.diag(minimum.metric) > 0), strict=True) if at]
    covariance = np.nan_to_num(inverse_alive(hessian / 2.0), nan=0.0)
    for point in moving_points(likelihood):
        xy, jacobian = point.pixel(minimum.theta)
        offset = xy - point.cell(minimum.theta, minimum.cells)
        for row, room in zip(jacobian, np.minimum(abs(offset), abs(1 - offset)), strict=True):
            error = np.sqrt(max(row @ covariance @ row, 0.0))
            if (minimum.at_border and room < BORDER) or room < NARROW * error:
                blocked.append(row)
    metric, scale = scaled(minimum.metric)
    basis = null_space(np.array(blocked) * scale) if blocked else np.eye(n)
    if not basis.shape[1]:
        return basis
    for matrix in (scaled(hessian, np.diag(minimum.metric))[0], metric):  # where the first is not convex, the minimiser's, which is
        if not np.all(np.isfinite(matrix)):
            continue
        values, vectors = np.linalg.eigh(basis.T @ matrix @ basis / 2.0)
        if values[0] > 0:
            break
    keep = values > 1e-10 * values.max()
    return (scale / slope)[:, np.newaxis] * basis @ (vectors[:, keep] / np.sqrt(values[keep]))


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
    centre, slope = stretch.to_u(minimum.theta), stretch.slope(minimum.theta)
    directions = _free_directions(likelihood, minimum, minimum.metric if hessian is None else hessian, slope)
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
    # Where an error is so large that the second derivative changes within it, MIGRAD's own criterion may fail at a true minimum.
    stands = minuit.fval > -NOTHING and is_positive(hessian if hessian is not None else minimum.metric, SURELY)
    return Verdict(
        bool(fmin.is_valid or stands), float(fmin.edm), theta, minimum.stat + float(minuit.fval), int(fmin.nfcn), "; ".join(reasons)
    )
