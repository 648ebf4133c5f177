"""Interpolation on the pixel grid against scipy and by hand, on each backend."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from gpudl4.core.backend import backend_of, to_device
from gpudl4.core.errors import GeometryError
from gpudl4.maps.interpolation import interpolate_1d, interpolate_pixels, scale_values, unscale_values
from tests.arrays import assert_close, assert_same, host


@pytest.fixture
def data(backend):
    return to_device(np.random.default_rng(0).uniform(1, 5, (4, 3, 5)), backend)


@pytest.mark.parametrize("number", [3, 400])  # few points take corners first, many scale the grid first
@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_against_scipy(data, method, number):
    pix = np.random.default_rng(1).uniform(-2, 6, (3, number))
    grid = [np.arange(size) for size in data.shape]
    wanted = RegularGridInterpolator(grid, host(data), method=method, bounds_error=False, fill_value=None)(pix.T)
    assert_close(interpolate_pixels(data, pix, method=method), wanted, rtol=1e-12)


@pytest.mark.parametrize("number", [3, 400])
@pytest.mark.parametrize("scale", ["log", "sqrt"])
def test_scales(data, scale, number):
    pix = np.random.default_rng(2).uniform(0, 2, (3, number))
    wanted = unscale_values(interpolate_pixels(scale_values(data, scale), pix), scale)
    assert_close(interpolate_pixels(data, pix, values_scale=scale), wanted, rtol=1e-12)


def test_log_scale_of_zero_is_zero(backend):
    assert interpolate_pixels(backend.xp.zeros(3), [np.array(1.0)], values_scale="log") == 0
    assert_same(unscale_values(scale_values(to_device(np.array([0.0, 1.0]), backend), "log"), "log"), [0, 1])


def test_length_one_is_ignored_and_shapes_broadcast(data):
    pix = [np.zeros((1, 1)), np.array([[0.5], [1.5]]), np.array([[0.0, 1.0, 2.5]])]
    got = interpolate_pixels(data[:1], pix)
    assert got.shape == (2, 3)
    assert_close(got[0, 0], data[0, :2, 0].mean())
    assert_close(interpolate_pixels(data[:1], [np.full((1, 1), 9.0), *pix[1:]]), got)
    assert interpolate_pixels(data[:1, :1, :1], [np.array(3.0)] * 3) == data[0, 0, 0]


def test_not_finite(data):
    data[0, 0, 0] = np.inf
    assert interpolate_pixels(data, [np.array(0.0)] * 3) == 0
    assert np.isnan(host(interpolate_pixels(data, [np.array(0.0), np.array(np.nan), np.array(0.0)])))
    nothing = to_device(np.full((2, 2), np.nan), backend_of(data))
    assert np.isnan(host(interpolate_pixels(nothing, [np.array(0.5)] * 2)))


def test_types(backend):
    single = backend.xp.arange(3, dtype=np.float32)
    assert interpolate_pixels(single > 1, [np.array([0.0])]).dtype == float
    assert interpolate_pixels(single, [np.array([0.5])]).dtype == float
    assert interpolate_pixels(single, [np.array([0.5])], method="nearest").dtype == np.float32


def test_ties_take_the_lower_pixel(backend):
    assert interpolate_pixels(to_device(np.array([1.0, 2.0]), backend), [np.array(0.5)], method="nearest") == 1


def test_1d():
    x, y = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 4.0])
    assert_close(interpolate_1d(x, y, np.array([-1, 0.5, 2, 4])), [-2, 1, 3, 5])
    assert_close(interpolate_1d(x[:1], y[:1], np.array([1.0, 7.0])), 0)


def test_bad_input(data):
    with pytest.raises(GeometryError, match="unknown interpolation method 'cubic'"):
        interpolate_pixels(data, [0, 0, 0], method="cubic")
    with pytest.raises(GeometryError, match="unknown scale 'exp'"):
        interpolate_pixels(data, [0, 0, 0], values_scale="exp")
    with pytest.raises(GeometryError, match="2 pixel coordinates were given for data with 3 dimensions"):
        interpolate_pixels(data, [0, 0])
