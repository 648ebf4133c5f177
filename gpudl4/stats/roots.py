"""Roots of a function of many independent numbers at once, on the host: bisection that narrows by the secant where that is safe."""

import numpy as np

__all__ = ["find_root"]

STEPS = 200  # more than enough: each second step halves the interval


def find_root(function, inner, outer, rtol=1e-13):
    """Where a function changes its sign between two bounds, element by element.

    Parameters
    ----------
    function : callable
        Takes an array and gives one of the same shape, element by element.
    inner, outer : float array
        Bounds.
    rtol : float
        Wanted width of the interval, relative to the bounds' distance.

    Returns
    -------
    root : float64 array
        NaN where the function has one sign at both bounds, or is NaN there.
    """
    a, b = (np.array(x, dtype=float) for x in np.broadcast_arrays(inner, outer))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        f_a, f_b, width = function(a), function(b), np.abs(b - a)
        bracketed = np.sign(f_a) * np.sign(f_b) <= 0
        for step in range(STEPS):
            if not (bracketed & (np.abs(b - a) > rtol * width) & (f_a != 0) & (f_b != 0)).any():
                break
            middle = 0.5 * (a + b)
            if step % 2:  # regula falsi, every second time
                secant = b - f_b * (b - a) / (f_b - f_a)
                middle = np.where((secant - a) * (secant - b) < 0, secant, middle)
            f = function(middle)
            left = np.sign(f) == np.sign(f_a)
            a, f_a = np.where(left, middle, a), np.where(left, f, f_a)
            b, f_b = np.where(left, b, middle), np.where(left, f_b, f)
    root = np.where(np.abs(f_a) < np.abs(f_b), a, b)
    return np.where(bracketed, root, np.nan)
