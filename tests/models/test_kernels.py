"""The compiled kernels of spectral models against plain loops; those of shapes are in tests/kernels/test_gauss.py."""

import math

import numpy as np
import pytest

from gpudl4 import kernels


def loglog_oracle(y, x):
    """Log-log trapezoid by the closed form of a power law per segment."""
    total = 0.0
    for x0, x1, y0, y1 in zip(x[:-1], x[1:], y[:-1], y[1:], strict=True):
        if y0 == 0 or y1 == 0:
            continue
        if (y0 > 0) != (y1 > 0):
            total += 0.5 * (y0 + y1) * (x1 - x0)
            continue
        p = 1 + math.log(y1 / y0) / math.log(x1 / x0)
        total += y0 * x0 * (math.log(x1 / x0) if abs(p) < 1e-12 else ((x1 / x0) ** p - 1) / p)
    return total


@pytest.mark.parametrize("case", ["positive", "with zeros", "negative", "mixed", "inverse"])
def test_loglog_integral(case):
    rng = np.random.default_rng(1)
    x = np.geomspace([1.0, 3.0], [3.0, 50.0], 9, axis=-1)
    y = rng.uniform(0.1, 1, (2, 2, 9))
    if case == "with zeros":
        y[0, 0, 3] = y[1, 1, 0] = y[1, 1, 1] = 0
    elif case == "negative":
        y *= -1
    elif case == "mixed":
        y[0, 1, 4] *= -1
    elif case == "inverse":
        y[:] = 2 / x
    kernel = kernels.cpu("spectral")
    length = np.log(x[:, 1:] / x[:, :-1])
    integral, again, gradient = np.empty((2, 2)), np.empty((2, 2)), np.empty((2, 3, 2))
    dy = rng.normal(size=(2, 3, 2, 9)) * (y != 0)[:, np.newaxis]
    kernel.loglog_integral(y, x, length, integral)
    kernel.loglog_integral_gradient(y, dy, x, length, again, gradient)
    want = [[loglog_oracle(y[b, k], x[k]) for k in range(2)] for b in range(2)]
    np.testing.assert_allclose(integral, want, rtol=1e-13)
    np.testing.assert_array_equal(again, integral)
    for p in range(3):
        step = 1e-4
        shifted = [np.empty((2, 2)) for _ in range(4)]
        for out, factor in zip(shifted, (1, -1, 2, -2), strict=True):
            kernel.loglog_integral(y + factor * step * dy[:, p], x, length, out)
        numeric = (8 * (shifted[0] - shifted[1]) - (shifted[2] - shifted[3])) / (12 * step)
        np.testing.assert_allclose(gradient[:, p], numeric, rtol=1e-8, atol=1e-9)


def test_loglog_of_a_power_law_is_exact_for_any_steepness():
    kernel = kernels.cpu("spectral")
    x = np.geomspace(1.0, 2.0, 3)[np.newaxis]
    for index in (-30, -2, 0, 0.999999, 1, 1.5, 4, 40):
        out = np.empty((1, 1))
        kernel.loglog_integral((x**-index)[np.newaxis], x, np.log(x[:, 1:] / x[:, :-1]), out)
        closed = math.log(2) if index == 1 else math.expm1((1 - index) * math.log(2)) / (1 - index)
        assert out[0, 0] == pytest.approx(closed, rel=1e-13)
