"""Transformations of parameter values, by name, and the check of such names."""

import numpy as np

from ..core.errors import ModelError

__all__ = ["TRANSFORMS", "checked"]

# name: (transform, inverse), used for the spacing of scans and for the factor the optimiser sees
TRANSFORMS = {
    "lin": (lambda x: x, lambda y: y),
    "log": (np.log, np.exp),
    "sqrt": (lambda x: np.sign(x) * np.sqrt(np.abs(x)), lambda y: np.sign(y) * np.square(y)),
}


def checked(value, allowed, what):
    """The value, if it is one of those allowed; else ModelError with the choices."""
    if value not in allowed:
        names = ", ".join(repr(name) for name in allowed)
        raise ModelError(f"unknown {what} {value!r}: choose one of {names}")
    return value
