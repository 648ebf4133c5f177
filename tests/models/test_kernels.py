"""The compiled kernels of models against plain loops."""

import math

import numpy as np
import pytest

from gpudl4 import kernels

from .numeric import relative_error


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


def gauss_oracle(n, n0, east, north, sigma, e, phi):
    separation = math.atan2(np.linalg.norm(np.cross(n, n0)), n @ n0)
    if e == 0:
        a = 1 - math.cos(sigma)
        norm = 1 / (4 * math.pi * a * (1 - math.exp(-1 / a)))
    else:
        angle = math.atan2(n @ east, n @ north) - phi
        minor = sigma * math.sqrt(1 - e * e)
        a = 1 - math.cos(sigma * minor / math.hypot(sigma * math.sin(angle), minor * math.cos(angle)))
        norm = 1 / (2 * math.pi * sigma * minor)
    return norm * math.exp(-0.5 * (1 - math.cos(separation)) / a)


@pytest.mark.parametrize(("e", "phi"), [(0, 0), (0.3, 0.7), (0.95, -2.0)])
@pytest.mark.parametrize("sigma", [0.05, 0.8])
def test_gauss_kernels(e, phi, sigma):
    rng = np.random.default_rng(2)
    lon, lat = 2.1, -0.9
    n0 = np.array([math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)])
    east = np.array([-math.sin(lon), math.cos(lon), 0])
    north = np.cross(n0, east)
    vectors = n0 + sigma * rng.normal(size=(7, 4, 3))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors[0, 0] = n0
    weight = rng.uniform(1, 2, 7)
    kernel = kernels.cpu("spatial")
    parameters = np.array([[lon, lat, sigma, e, phi], [lon + 0.01, lat, 0.0, e, phi], [lon, lat, sigma, 1.0, phi]])
    image = np.empty((3, 7))
    kernel.gauss_image(vectors, weight, parameters, image)
    want = [w * sum(gauss_oracle(n, n0, east, north, sigma, e, phi) for n in group) for w, group in zip(weight, vectors, strict=True)]
    np.testing.assert_allclose(image[0], want, rtol=1e-10)
    assert np.all(image[1:] == 0)  # no extent: no pixel centre is hit
    gradient, pulled = np.empty((3, 5, 7)), np.empty((3, 5))
    slope = rng.normal(size=(3, 7))
    slope[0, 2] = 0
    kernel.gauss_gradient(vectors, weight, parameters, gradient)
    kernel.gauss_pullback(vectors, weight, parameters, slope, pulled)
    np.testing.assert_allclose(pulled, np.einsum("bpq,bq->bp", gradient, slope), rtol=1e-11, atol=1e-12 * np.abs(pulled).max())
    for k in range(5):
        if e == 0 and k > 2:
            assert np.all(gradient[0, k] == 0)
            continue
        shifted = np.repeat(parameters[:1], 4, axis=0)
        step = 1e-3 * sigma if k < 3 else 1e-3 * (1 - e) if k == 3 else 1e-3
        shifted[:, k] += step * np.array([1, -1, 2, -2])
        f = np.empty((4, 7))
        kernel.gauss_image(vectors, weight, shifted, f)
        numeric = (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * step)
        assert relative_error(gradient[0, k], numeric) < 1e-7


def test_gauss_derivative_for_eccentricity_goes_to_its_limit():
    kernel = kernels.cpu("spatial")
    rng = np.random.default_rng(3)
    vectors = np.array([1.0, 0, 0]) + 0.05 * rng.normal(size=(9, 1, 3))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    gradient = np.empty((2, 5, 9))
    kernel.gauss_gradient(vectors, np.ones(9), np.array([[0, 0, 0.05, 0, 0.4], [0, 0, 0.05, 1e-6, 0.4]]), gradient)
    scale = np.abs(gradient[0, 2]).max() * 0.05
    assert np.all(gradient[0, 3:] == 0)
    assert np.abs(gradient[1, 3:]).max() < 1e-5 * scale
    np.testing.assert_allclose(gradient[1, :3], gradient[0, :3], atol=1e-3 * np.abs(gradient[0, :3]).max())
