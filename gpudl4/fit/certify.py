"""MIGRAD as an independent judge of a minimum, with the exact gradient.

MIGRAD (James & Roos 1975, via iminuit) runs in coordinates in which the second derivative is the unit matrix, so its own step sizes and
metric are right from the first call. It starts a tenth of an error away from the minimum, farther where single precision would hide so
small a rise, and has to find it again. Directions held back by a bound or a cell border are left out.
"""

from dataclasses import dataclass

import numpy as np

from .cells import BORDER, moving_points

__all__ = ["Verdict", "certify"]

OFFSET = 0.1  # start, in standard deviations from the minimum; the statistic is higher by its square there
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


def _free_directions(likelihood, minimum, hessian):
    """Columns span the directions in which the minimum is free, whitened by the second derivative: array[P, Q]."""
    from scipy.linalg import null_space

    n = len(minimum.theta)
    blocked = [row for row, at in zip(np.eye(n), minimum.at_bound | ~(np.diag(minimum.metric) > 0), strict=True) if at]
    if minimum.at_border:
        for point in moving_points(likelihood):
            xy, jacobian = point.pixel(minimum.theta)
            offset = xy - point.cell(minimum.theta, minimum.cells)
            blocked += [jacobian[axis] for axis in range(2) if min(abs(offset[axis]), abs(offset[axis] - 1)) < BORDER]
    scale = np.sqrt(np.where(np.diag(minimum.metric) > 0, np.diag(minimum.metric), 1.0))
    basis = null_space(np.array(blocked) / scale) if blocked else np.eye(n)
    basis = basis / scale[:, np.newaxis]
    values, vectors = np.linalg.eigh(basis.T @ hessian @ basis / 2.0)
    if len(values) and values[0] <= 0:  # not convex: let the minimiser's metric, which is, set the scales
        values, vectors = np.linalg.eigh(basis.T @ minimum.metric @ basis / 2.0)
    keep = values > 1e-10 * values.max() if len(values) else []
    return basis @ (vectors[:, keep] / np.sqrt(values[keep])) if len(values) else basis


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

    directions = _free_directions(likelihood, minimum, minimum.metric if hessian is None else hessian)
    if directions.shape[1] == 0:
        return Verdict(True, 0.0, minimum.theta, minimum.stat, 0, "no free direction is left")
    size = directions.shape[1]
    start, unit = np.full(size, max(OFFSET, ABOVE_NOISE * np.sqrt(likelihood.noise)) / np.sqrt(size)), 2.0 * np.eye(size)

    known = {}

    def both(y):  # MIGRAD asks for the value and then for the gradient, nearly always at the same place
        if (key := np.asarray(y).tobytes()) not in known:
            counter.gradients += 1
            stat, gradient = likelihood.value_and_gradient(minimum.theta + directions @ y, minimum.cells)
            known.clear()
            known[key] = stat - minimum.stat, directions.T @ gradient  # the difference keeps digits
        return known[key]

    def value(y):
        return both(y)[0]

    def gradient(y):
        return both(y)[1]

    minuit = Minuit(value, start, grad=gradient, hessian=lambda _: unit)
    minuit.errordef, minuit.strategy, minuit.tol, minuit.print_level = 1.0, strategy, tol, print_level
    minuit.errors = np.ones(size)
    minuit.migrad()
    y = np.array(minuit.values)
    theta = minimum.theta + directions @ y
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
    return Verdict(bool(fmin.is_valid), float(fmin.edm), theta, minimum.stat + float(minuit.fval), int(fmin.nfcn), "; ".join(reasons))
