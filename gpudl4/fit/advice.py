"""What a user should know about a fit beside its numbers: correlations, bounds, sources that were moved."""

import numpy as np

from .degenerate import degenerate
from .matrices import inverse_alive, scaled
from .result import strong_correlations

__all__ = ["hints", "moves"]

SHARE = 0.5  # of the largest, from which on a parameter takes part in a direction
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
        lines.append(f"the fit is least sure of {', '.join(_weakest(names, minimum.metric))}: freeze one of them, or start elsewhere")
    for name, parameter, value in zip(names, parameters, minimum.theta, strict=True):
        if name in at_bounds:
            is_own = np.any(np.isclose(value, (parameter.min, parameter.max), rtol=1e-9, atol=0.0))
            lines.append(
                f"{name} is at {'its bound: widen the bound' if is_own else 'the edge of the data: use a larger map'} or freeze it"
            )
    return tuple(lines)


def _weakest(names, metric):
    """Names of the parameters that make up the direction of least curvature; all of them where nothing can be said."""
    unit, scale = scaled(metric)
    alive = np.flatnonzero(scale > 0)
    if not len(alive) or not np.all(np.isfinite(unit)):
        return names
    vector = np.abs(np.linalg.eigh(unit[np.ix_(alive, alive)])[1][:, 0])
    return tuple(names[i] for i, part in zip(alive, vector, strict=True) if part > SHARE * vector.max())


def moves(counter):
    """A line for each source that was put to another place."""
    return tuple(
        f"'{name}' was put {distance:.2g} deg from its start, where it explains far more counts (Fit(search_radius=...) says how far)"
        for name, distance in counter.moves.items()
    )
