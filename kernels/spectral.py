"""Log-log trapezoid: integrals of spectra over energy bins, and their exact derivatives.

Between two nodes the spectrum is a power law. With L = ln(x1/x0), a = x0 y0, b = x1 y1 and t = ln(b/a) the segment's integral is
L (b - a) / t, and its derivatives are L psi(t) for a and L psi(-t) for b, where psi(t) = (exp(t) - 1 - t) / t^2.

Where that formula does not exist: a segment with y = 0 at either end integrates to 0, as in gammapy (the power law through zero is
infinitely steep); a segment whose ends differ in sign is a plain trapezoid (gammapy returns numbers of order 1e300 there).
"""

import math

from ._compiled import compiled

SERIES_BELOW = 0.5  # abs(t) below which the series is used: the closed forms lose digits like 1/t^2


@compiled(inline="always")
def _phi(t):
    """(exp(t) - 1) / t."""
    if abs(t) < 1e-5:
        return 1.0 + t * (0.5 + t / 6.0)
    return math.expm1(t) / t


@compiled(inline="always")
def _psi(t):
    """(exp(t) - 1 - t) / t^2."""
    if abs(t) < SERIES_BELOW:
        # sum over k of t^k / (k + 2)!, error below 1e-16
        s = 1.0 + t / 13.0
        s = 1.0 + t / 12.0 * s
        s = 1.0 + t / 11.0 * s
        s = 1.0 + t / 10.0 * s
        s = 1.0 + t / 9.0 * s
        s = 1.0 + t / 8.0 * s
        s = 1.0 + t / 7.0 * s
        s = 1.0 + t / 6.0 * s
        s = 1.0 + t / 5.0 * s
        s = 1.0 + t / 4.0 * s
        s = 1.0 + t / 3.0 * s
        return 0.5 * s
    return (math.expm1(t) - t) / (t * t)


@compiled(error_model="numpy")
def loglog_integral(y, x, length, integral):
    """Integrals.

    Parameters
    ----------
    y : array[B, L, N]
        Values of the spectrum at the nodes.
    x : array[L, N]
        Nodes of each bin.
    length : array[L, N - 1]
        ln(x[i + 1] / x[i]).
    integral : array[B, L]
        Output.
    """
    for b in range(y.shape[0]):
        for k in range(y.shape[1]):
            total = 0.0
            for i in range(y.shape[2] - 1):
                y0, y1 = y[b, k, i], y[b, k, i + 1]
                if y0 != 0.0 and y1 != 0.0 and (y0 > 0.0) == (y1 > 0.0):
                    t = length[k, i] + math.log(y1 / y0)
                    total += length[k, i] * x[k, i] * y0 * _phi(t)
                elif y0 != 0.0 and y1 != 0.0:
                    total += 0.5 * (y0 + y1) * (x[k, i + 1] - x[k, i])
            integral[b, k] = total


@compiled(error_model="numpy")
def loglog_integral_gradient(y, dy, x, length, integral, gradient):
    """Integrals and their derivatives with respect to parameters of the spectrum.

    Parameters
    ----------
    y, x, length, integral
        As for `loglog_integral`.
    dy : array[B, P, L, N]
        Derivatives of the values at the nodes.
    gradient : array[B, P, L]
        Output.
    """
    n_par = dy.shape[1]
    for b in range(y.shape[0]):
        for k in range(y.shape[1]):
            total = 0.0
            for p in range(n_par):
                gradient[b, p, k] = 0.0
            for i in range(y.shape[2] - 1):
                y0, y1 = y[b, k, i], y[b, k, i + 1]
                w0 = w1 = 0.0
                if y0 != 0.0 and y1 != 0.0 and (y0 > 0.0) == (y1 > 0.0):
                    x0, x1, size = x[k, i], x[k, i + 1], length[k, i]
                    t = size + math.log(y1 / y0)
                    total += size * x0 * y0 * _phi(t)
                    w0 = size * x0 * _psi(t)
                    w1 = size * x1 * _psi(-t)
                elif y0 != 0.0 and y1 != 0.0:
                    w0 = w1 = 0.5 * (x[k, i + 1] - x[k, i])
                    total += w0 * (y0 + y1)
                for p in range(n_par):
                    gradient[b, p, k] += w0 * dy[b, p, k, i] + w1 * dy[b, p, k, i + 1]
            integral[b, k] = total
