"""Derivatives of a function of a few parameters by differences, for models whose author gave none."""

import numpy as np

__all__ = ["central_differences"]

RELATIVE_STEP = 6.0e-6  # cube root of the rounding error: balances it against the third derivative


def central_differences(function, point, bounds, value, steps=None):
    """Derivatives array[P, ...] of ``function(point[P])``, inside the bounds.

    Parameters
    ----------
    function : callable
        Returns an array.
    point : array[P]
    bounds : array[P, 2]
        Lower and upper bounds, NaN where there is none; next to a bound a one-sided formula of second order is used.
    value : array
        ``function(point)``.
    steps : array[P], optional
        Steps to take; NaN, as None for all, means a step in proportion to the value.
    """
    derivatives = np.empty((len(point), *np.shape(value)))
    for i, centre in enumerate(point):
        step = np.nan if steps is None else steps[i]
        if np.isnan(step):
            step = RELATIVE_STEP * (abs(centre) if centre != 0 else 1.0)
        offsets = (-step, step)
        if centre + step > bounds[i, 1]:
            offsets = (-step, -2 * step)
        elif centre - step < bounds[i, 0]:
            offsets = (step, 2 * step)
        shifted = []
        for offset in offsets:
            moved = np.array(point, dtype=np.float64)
            moved[i] = centre + offset
            shifted.append((moved[i] - centre, function(moved)))
        (h1, f1), (h2, f2) = shifted
        # slope at 0 of the parabola through 0, h1 and h2
        derivatives[i] = ((f1 - value) * h2 / h1 - (f2 - value) * h1 / h2) / (h2 - h1)
    return derivatives
