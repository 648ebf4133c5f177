"""What a user should know about a fit beside its numbers: correlations, bounds, sources that were moved. And inverses of matrices."""

import numpy as np

from .degenerate import degenerate
from .result import strong_correlations

__all__ = ["hints", "inverse", "inverse_alive", "is_positive", "moves"]

LOOSE = 3.0  # an error of that many times the value is called loose when a fit fails


def hints(names, minimum, at_bounds, parameters, success):
    """Advice: strong correlations, parameters at their bounds."""
    lines = []
    covariance = inverse_alive(minimum.metric)
    covariance[degenerate(minimum.metric)] = np.nan  # these are named elsewhere
    kinds = {n: p.name for n, p in zip(names, parameters, strict=True)}
    for first, second, value in strong_correlations(names, covariance):
        text = f"{first} and {second} are correlated by {value:.4f}"
        if {kinds[first], kinds[second]} & {"amplitude", "norm"} and first.rsplit(".", 1)[0] == second.rsplit(".", 1)[0]:
            text += ": set the reference energy near the pivot energy (spectral_model.pivot_energy) and fit again"
        lines.append(text)
    if not success:
        with np.errstate(invalid="ignore"):
            sigma = np.sqrt(2.0 * np.diag(covariance))
        loose = [n for n, value, error in zip(names, minimum.theta, sigma, strict=True) if error > LOOSE * max(abs(value), 1e-300)]
        lines += [f"the data hardly constrain {name}: freeze it, or give it bounds or a prior" for name in loose]
    lines += [f"{name} is at its bound: widen the bound or freeze the parameter" for name in at_bounds]
    return tuple(lines)


def moves(counter):
    """A line for each source that was put to another place."""
    return tuple(
        f"'{name}' was put {distance:.2g} deg from its start, where it explains far more counts (Fit(search_radius=...) says how far)"
        for name, distance in counter.moves.items()
    )


def inverse_alive(fisher):
    """Inverse over the parameters that have any curvature, NaN elsewhere."""
    alive = np.diag(fisher) > 0
    out = np.full(fisher.shape, np.nan)
    out[np.ix_(alive, alive)] = inverse(fisher[np.ix_(alive, alive)])
    return out


def is_positive(matrix, least=0.0):
    """Whether a matrix is finite and positive definite: its eigenvalues, with rows scaled to a diagonal of 1, exceed `least`."""
    diagonal = np.diag(matrix)
    if not np.all(np.isfinite(matrix)) or np.any(diagonal <= 0):
        return False
    scale = 1.0 / np.sqrt(diagonal)
    return not len(matrix) or bool(np.linalg.eigvalsh(matrix * np.outer(scale, scale))[0] > least)


def inverse(matrix):
    """Inverse of a positive matrix, scaled so that units of very different size do no harm."""
    if not len(matrix):
        return matrix
    scale = 1.0 / np.sqrt(np.diag(matrix))
    return np.linalg.pinv(matrix * np.outer(scale, scale), hermitian=True, rcond=1e-14) * np.outer(scale, scale)
