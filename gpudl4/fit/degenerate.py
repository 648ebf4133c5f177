"""Parameters that the data determine in combination only, such as those of two sources at one place."""

import numpy as np

__all__ = ["degenerate"]

FLAT = 1e-10  # curvature of a direction, in units in which that of every parameter alone is 1, below which it has none
SHARE = 0.05  # of a parameter in such directions, from which on it is one of those


def degenerate(metric):
    """Parameters of which only combinations are determined.

    Parameters
    ----------
    metric : array[P, P]
        Second derivatives of the statistic.

    Returns
    -------
    bool array[P]
        Parameters without any curvature are not among them: these are not constrained at all.
    """
    alive, out = np.diag(metric) > 0, np.zeros(len(metric), dtype=bool)
    if not alive.any() or not np.all(np.isfinite(metric)):
        return out
    scale = 1.0 / np.sqrt(np.diag(metric)[alive])
    values, vectors = np.linalg.eigh(metric[np.ix_(alive, alive)] * np.outer(scale, scale))
    out[alive] = (vectors[:, np.abs(values) < FLAT] ** 2).sum(axis=1) > SHARE
    return out
