"""Coordinates in which amplitudes and norms act as their logarithm: what the minimiser steps in.

Counts depend on an amplitude and a spectral index through ``A (E / E_0) ** -index``. Far from the pivot energy the two are strongly
correlated, and the valley of the statistic is curved in A but straight in ln A. The coordinate ``u = arcsinh(A / s)``, s the error
of A alone, is a logarithm for a significant source, linear for one consistent with zero, and lets the sign change.
"""

import numpy as np

__all__ = ["STRETCHED", "Stretch"]

NEGLIGIBLE = 1e-2  # part of its own error; a value that is smaller counts as zero
STRETCHED = ("amplitude", "norm")  # names of parameters that multiply a spectrum


class Stretch:
    """Change of coordinates between theta and u.

    Parameters
    ----------
    names : sequence of str
        Names of the parameters, ``model.parameter``.
    metric : array[P, P]
        Second derivative of the statistic somewhere near; it sets the size s, which never changes afterwards.
    """

    def __init__(self, names, metric):
        named = np.array([name.rsplit(".", 1)[-1] in STRETCHED for name in names], dtype=bool)
        diagonal = np.diag(metric)
        self._where = named & (diagonal > 0)
        self._size = np.sqrt(2.0 / np.where(self._where, diagonal, 2.0))
        self._error = np.sqrt(2.0 / np.where(diagonal > 0, diagonal, np.inf))

    def is_zero(self, theta):
        """Which of ``theta[P]`` are as good as zero: their value says nothing about how large they can be."""
        return np.abs(theta) <= NEGLIGIBLE * self._error

    def to_u(self, theta):
        """Coordinates u of ``theta[P]``; infinite values stay infinite."""
        return np.where(self._where, np.arcsinh(theta / self._size), theta)

    def to_theta(self, u):
        """Parameters of ``u[P]``."""
        with np.errstate(over="ignore"):  # a value that overflows is refused by the minimiser
            return np.where(self._where, self._size * np.sinh(np.where(self._where, u, 0.0)), u)

    def bend(self, theta):
        """``d2 theta / d u2`` at ``theta[P]``, array[P]."""
        return np.where(self._where, theta, 0.0)

    def slope(self, theta):
        """``d theta / d u`` at ``theta[P]``, array[P]."""
        return np.where(self._where, np.hypot(theta, self._size), 1.0)
