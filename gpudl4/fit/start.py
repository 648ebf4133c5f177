"""Where a fit begins: the parameters as they are, moved inside their bounds."""

import warnings

import numpy as np

__all__ = ["start_of"]


def start_of(likelihood):
    """Start values array[P] inside the bounds; a warning names those that had to be moved."""
    theta = np.clip(likelihood.theta0, *likelihood.bounds.T)
    moved = np.flatnonzero(theta != likelihood.theta0)
    if len(moved):
        names = ", ".join(f"{likelihood.names[i]} ({likelihood.theta0[i]:g} to {theta[i]:g})" for i in moved)
        warnings.warn(f"values outside their bounds are moved inside: {names}", UserWarning, stacklevel=5)
    return theta
