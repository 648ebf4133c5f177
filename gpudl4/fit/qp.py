"""A small convex quadratic programme: the step of a constrained Newton method.

Minimise ``g d + d H d / 2`` subject to ``A d <= b`` with H positive definite and d = 0 feasible. It is rewritten as a least-distance
problem and solved by non-negative least squares (Lawson & Hanson 1974, chapter 23), which is finite, needs no tuning and is fast for
tens of parameters.
"""

import numpy as np

__all__ = ["constrained_step"]


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
    from scipy.linalg.lapack import dtrtri
    from scipy.optimize import nnls

    inverse, _ = dtrtri(np.linalg.cholesky(hessian), lower=1)
    white_gradient = inverse @ gradient
    free = -inverse.T @ white_gradient
    inactive = np.zeros(len(limit), dtype=bool)
    if not len(limit) or np.all(matrix @ free <= limit):
        return free, inactive
    # With H = L L' and z = L' d + L^-1 g the objective is |z|^2 / 2 and the constraints read G z >= h.
    g = -matrix @ inverse.T
    h = -limit + g @ white_gradient
    norm = np.linalg.norm(g, axis=1)
    keep = norm > 0
    system = np.vstack([(g[keep] / norm[keep, np.newaxis]).T, h[keep] / norm[keep]])
    target = np.zeros(len(system))
    target[-1] = 1.0
    multiplier, _ = nnls(system, target, maxiter=50 * system.shape[1])
    residual = system @ multiplier - target
    if residual[-1] == 0:  # infeasible by rounding only: d = 0 is always allowed
        return np.zeros_like(free), inactive
    z = -residual[:-1] / residual[-1]
    step = inverse.T @ (z - white_gradient)
    active = inactive.copy()
    active[np.flatnonzero(keep)[multiplier > 0]] = True
    return step, active
