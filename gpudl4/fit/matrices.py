"""Matrices of second derivatives: inverses, conditions and convex stand-ins that bear any units, zeros, and what overflowed.

Rows are scaled to a diagonal of 1 before LAPACK sees them, so that units of very different size do no harm. LAPACK is never shown a
number that is not finite: it answers with errors that tell nobody anything.
"""

import numpy as np

__all__ = ["condition_number", "convex", "flattest", "inverse", "inverse_alive", "is_positive", "scaled", "seen"]

UNSEEN = 1e-10  # of the statistic
FLATTEST = 1e-10  # least eigenvalue of a convex stand-in, of rows scaled to a diagonal of 1


def scaled(matrix, diagonal=None):
    """The matrix with rows and columns scaled such that a positive diagonal becomes 1, and the scale.

    Parameters
    ----------
    matrix : array[P, P]
    diagonal : array[P], optional
        That it is scaled by instead of its own; where it is not positive and finite, rows and columns are 0.

    Returns
    -------
    array[P, P], array[P]
    """
    diagonal = np.diag(matrix) if diagonal is None else diagonal
    alive = (diagonal > 0) & np.isfinite(diagonal)
    scale = np.where(alive, 1.0 / np.sqrt(np.where(alive, diagonal, 1.0)), 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(np.outer(alive, alive), matrix * scale * scale[:, np.newaxis], 0.0), scale


def seen(matrix, theta):
    """Second derivatives with rows and columns 0 for parameters of which the data say nothing but rounding.

    Such are those that may double, or move by 1 if they are smaller, while the statistic changes by less than `UNSEEN`.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        nothing = np.abs(np.diag(matrix)) * np.maximum(np.abs(theta), 1.0) ** 2 < UNSEEN
    return np.where(nothing | nothing[:, np.newaxis], 0.0, matrix)


def is_positive(matrix, least=0.0):
    """Whether a matrix is finite and positive definite: its eigenvalues, with rows scaled to a diagonal of 1, exceed `least`."""
    if not np.all(np.isfinite(matrix)) or np.any(np.diag(matrix) <= 0):
        return False
    unit, _ = scaled(matrix)
    return not len(matrix) or (bool(np.all(np.isfinite(unit))) and bool(np.linalg.eigvalsh(unit)[0] > least))


def inverse(matrix):
    """Inverse of a positive matrix; a pseudo-inverse where directions are flat, NaN where it is not finite."""
    unit, scale = scaled(matrix)
    if not len(matrix):
        return matrix
    if not np.all(np.isfinite(unit)) or not np.all(scale > 0):
        return np.full(matrix.shape, np.nan)
    return np.linalg.pinv(unit, hermitian=True, rcond=1e-14) * np.outer(scale, scale)


def inverse_alive(matrix):
    """Inverse over the parameters that have any curvature, NaN elsewhere."""
    alive = (np.diag(matrix) > 0) & np.isfinite(np.diag(matrix))
    out = np.full(matrix.shape, np.nan)
    out[np.ix_(alive, alive)] = inverse(matrix[np.ix_(alive, alive)])
    return out


def condition_number(matrix):
    """Ratio of the largest and smallest eigenvalue, rows scaled to a diagonal of 1; NaN without any, infinite where it is not positive."""
    unit, scale = scaled(matrix)
    alive = scale > 0
    unit = unit[np.ix_(alive, alive)]
    if not len(unit) or not np.all(np.isfinite(unit)):
        return np.nan
    values = np.linalg.eigvalsh(unit)
    return float(values[-1] / values[0]) if values[0] > 0 else np.inf


def flattest(matrix):
    """The least positive eigenvalue of a finite matrix with rows scaled to a diagonal of 1; 1 for none."""
    unit, scale = scaled(matrix)
    unit = unit[np.ix_(scale > 0, scale > 0)]
    if not len(unit) or not np.all(np.isfinite(unit)):
        return 1.0
    values = np.linalg.eigvalsh(unit)
    return float(values[values > FLATTEST].min(initial=1.0))


def convex(hessian, diagonal):
    """A positive matrix with the curvatures of a Hessian, downward ones turned upward: for steps that leave saddles.

    Parameters
    ----------
    hessian : array[P, P]
    diagonal : array[P]
        Of a positive metric, such as the Fisher matrix, that it is scaled by. A parameter without any has none in the result.

    Returns
    -------
    array[P, P] or None
        None where the Hessian is not finite.
    """
    unit, scale = scaled(hessian, diagonal)
    if not np.all(np.isfinite(unit)) or not np.all(np.isfinite(hessian)):
        return None
    values, vectors = np.linalg.eigh(unit)
    size = np.where(scale > 0, 1.0 / np.where(scale > 0, scale, 1.0), 0.0)
    return (vectors * np.maximum(np.abs(values), FLATTEST)) @ vectors.T * np.outer(size, size)
