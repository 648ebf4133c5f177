"""A small convex quadratic programme: the step of a constrained Newton method.

Minimise ``g d + d H d / 2`` subject to ``A d <= b`` with H positive definite and d = 0 feasible. It is rewritten as a least-distance
problem and solved by non-negative least squares (Lawson & Hanson 1974, chapter 23), which is finite, needs no tuning and is fast for
tens of parameters. SciPy has the same algorithm as `scipy.optimize.nnls`; importing it would cost every fit 0.1 s and 16 MB.
"""

import numpy as np

__all__ = ["constrained_step", "nonnegative_least_squares"]

ROUNDING = 1e-13  # of numbers of order one; what is smaller is zero


def nonnegative_least_squares(matrix, target):
    """Minimise ``|matrix @ x - target|`` subject to ``x >= 0``, by Lawson and Hanson's active sets.

    Parameters
    ----------
    matrix : array[M, N]
    target : array[M]

    Returns
    -------
    x : array[N]
    """
    largest = np.abs(matrix).max(axis=0, initial=0.0)  # far off, where models all but overflow, so would the squares
    norm = largest * np.linalg.norm(matrix / np.where(largest > 0, largest, 1.0), axis=0)
    usable = norm > 0
    unit = matrix / np.where(usable, norm, 1.0)
    x = np.zeros(matrix.shape[1])
    chosen = np.zeros(len(x), dtype=bool)  # columns whose coefficient is positive
    for _ in range(3 * len(x)):
        descent = np.where(usable & ~chosen, unit.T @ (target - unit @ x), -np.inf)
        best = int(np.argmax(descent))
        if descent[best] <= ROUNDING * np.linalg.norm(target):
            break
        chosen[best] = True
        while True:
            trial = np.zeros_like(x)
            trial[chosen] = np.linalg.lstsq(unit[:, chosen], target, rcond=None)[0]
            bad = chosen & (trial <= 0)
            if not bad.any():
                x, usable = trial, norm > 0
                break
            if bad[best] and x[best] == 0:  # its descent is rounding: leave it alone until something else has changed
                chosen[best] = usable[best] = False
                break
            ratio = np.where(bad, x / np.where(bad, x - trial, 1.0), np.inf)
            x = x + ratio.min() * (trial - x)  # as far towards the trial as all stay positive
            x[ratio <= ratio.min()] = 0.0
            chosen &= x > 0
    return x / np.where(norm > 0, norm, 1.0)


def constrained_step(gradient, hessian, matrix, limit):
    """Solve the programme.

    Parameters
    ----------
    gradient : array[P]
    hessian : array[P, P]
        Positive definite.
    matrix, limit : array[M, P], array[M]
        Constraints ``matrix @ d <= limit`` with ``limit >= 0``.

    Returns
    -------
    step : array[P]
    active : bool array[M]
        Constraints that hold the step back.
    """
    from scipy.linalg.lapack import dtrtrs

    lower = np.linalg.cholesky(hessian)
    white_gradient = dtrtrs(lower.T, gradient, trans=1)[0]
    step, active = -dtrtrs(lower.T, white_gradient)[0], np.zeros(len(limit), dtype=bool)
    chosen = np.flatnonzero(matrix @ step > limit) if len(limit) else ()
    while len(chosen):  # of hundreds of constraints few hold a step back: the others are looked at when the step is known
        rows, most = matrix[chosen], limit[chosen]
        step, held = _held_back(lower, white_gradient, rows, most)
        active[:] = False
        active[chosen[held]] = True
        broken = matrix @ step > limit
        broken[chosen] = False
        if not broken.any():
            break
        chosen = np.union1d(chosen, np.flatnonzero(broken))
    return step, active


def _held_back(lower, white_gradient, matrix, limit):
    """The step with all constraints looked at, and which of them hold it back; `lower` is the Cholesky factor of the Hessian."""
    from scipy.linalg.lapack import dtrtrs

    # With H = L L' and z = L' d + L^-1 g the objective is |z|^2 / 2 and the constraints read G z >= h.
    g = -dtrtrs(lower.T, matrix.T, trans=1)[0].T
    h = -limit + g @ white_gradient
    norm = np.linalg.norm(g, axis=1)
    keep = norm > 0
    system = np.vstack([(g[keep] / norm[keep, np.newaxis]).T, h[keep] / norm[keep]])
    target = np.zeros(len(system))
    target[-1] = 1.0
    multiplier = nonnegative_least_squares(system, target)
    residual = system @ multiplier - target
    active = np.zeros(len(limit), dtype=bool)
    if residual[-1] == 0:  # infeasible by rounding only: d = 0 is always allowed
        return np.zeros_like(white_gradient), active
    z = -residual[:-1] / residual[-1]
    active[np.flatnonzero(keep)[multiplier > 0]] = True
    return dtrtrs(lower.T, z - white_gradient)[0], active
