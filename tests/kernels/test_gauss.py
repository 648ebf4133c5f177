"""Gaussian on the sphere: both twins against the formulas with angles, and their derivatives against differences of high order."""

import functools
import math
from dataclasses import dataclass

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.kernels import _sized
from gpudl4.kernels import tables as t
from gpudl4.kernels._numba import dispatcher

PRECISIONS = ["float64", "float32"]
BATCH, GAP, N_PARAMETERS = 3, 4, 5
UNITS = np.array([0.5, 2.0, 0.25, 1.0, 3.0])  # own units in radian


@dataclass(frozen=True)
class Shape:
    """A box (ny, nx), its window (row, column, height, width), subpixels per pixel, distance of the pixels from the centre, rows of an
    item of work, and longitude, latitude, sigma, e, phi for each of the batch."""

    box: tuple
    window: tuple
    n_sub: int
    spread: float
    rows: int
    parameters: tuple


SHAPES = (
    Shape((9, 11), (2, 3, 5, 6), 4, 0.05, 4, ((2.1, -0.9, 0.05, 0, 0.3), (2.1, -0.9, 0.05, 0.6, 0.7), (2.11, -0.9, 0.8, 0.95, -2.0))),
    # all of the box, in items of more pixels than a block has threads; one Gaussian without extent
    Shape((17, 19), (0, 0, 17, 19), 1, 0.4, 17, ((0, 0, 2.8, 0.4, 1.0), (0, 0, 1.2, 0, 0), (0, 0, 0.1, 1.0, 0.2))),
    # small; and without extent
    Shape((6, 7), (1, 0, 5, 3), 9, 2e-4, 2, ((5.9, 0.4, 2e-4, 0.3, 0.5), (5.9, 0.4, 0, 0, 0.5), (5.9, 0.4, 3e-4, 0, 0))),
)


# ---- the oracle ------------------------------------------------------------------------------------------------------------------------
def axes(lon, lat):
    """Unit vectors to a place, and east and north there."""
    n0 = np.array([math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)])
    east = np.array([-math.sin(lon), math.cos(lon), 0])
    return n0, east, np.cross(n0, east)


def density(n, parameters):
    """Density at unit vectors n[..., 3], with angles and inverse functions throughout."""
    lon, lat, sigma, e, phi = parameters
    if not (sigma > 0 and e < 1):
        return np.zeros(n.shape[:-1])
    n0, east, north = axes(lon, lat)
    separation = np.arctan2(np.linalg.norm(np.cross(n, n0), axis=-1), n @ n0)
    if e == 0:
        a = 2 * math.sin(sigma / 2) ** 2
        norm = 1 / (4 * math.pi * a * (1 - math.exp(-1 / a)))
    else:
        angle = np.arctan2(n @ east, n @ north) - phi
        minor = sigma * math.sqrt(1 - e * e)
        a = 2 * np.sin(sigma * minor / np.hypot(sigma * np.sin(angle), minor * np.cos(angle)) / 2) ** 2
        norm = 1 / (2 * math.pi * sigma * minor)
    return norm * np.exp(-(np.sin(separation / 2) ** 2) / a)


def integrals(vectors, weight, parameters):
    """Per pixel."""
    return weight * density(vectors, parameters).sum(axis=-1)


def differences(vectors, weight, parameters, k, scale):
    """Derivative of `integrals` by one angle, by central differences of eighth order; e and phi have none at e == 0.

    At the centre of an ellipse the density is not analytic: steps are small against the distance `scale` of pixels from there.
    """
    sigma, e = parameters[2:4]
    if not (sigma > 0 and e < 1) or (e == 0 and k > 2):
        return np.zeros(len(weight))
    length = 0.01 * min(sigma, scale)
    step = (length, length, length, 0.01 * e * (1 - e), 0.01)[k]
    total = 0
    for i, factor in enumerate((4 / 5, -1 / 5, 4 / 105, -1 / 280), 1):
        up, down = np.array(parameters, float), np.array(parameters, float)
        up[k] += i * step
        down[k] -= i * step
        total = total + factor * (integrals(vectors, weight, up) - integrals(vectors, weight, down))
    return total / step


# ---- the tables ------------------------------------------------------------------------------------------------------------------------
class World:
    """Tables and flat arrays of `SHAPES`, with NaN between their pieces."""

    def __init__(self):
        rng = np.random.default_rng(2)
        self.pixels, rows, vectors, weights, params = [], [], [[np.nan]], [[np.nan]], [np.full((BATCH, 1), np.nan)]
        self.n_image = GAP
        for shape in SHAPES:
            (ny, nx), (row, column, height, width) = shape.box, shape.window
            centre, east, north = axes(*shape.parameters[0][:2])
            size = height * width, shape.n_sub, 1
            r, angle = shape.spread * rng.uniform(0.3, 2, size), rng.uniform(0, 2 * math.pi, size)
            n = centre + r * (np.cos(angle) * east + np.sin(angle) * north)
            n /= np.linalg.norm(n, axis=-1, keepdims=True)
            n[-1, 0] = centre
            self.pixels.append((n, rng.uniform(1, 2, height * width)))
            offsets = [sum(np.size(piece) for piece in pieces) for pieces in (vectors, weights)]
            rows.append([self.n_image, nx, ny, row, column, height, width, shape.n_sub, *offsets, sum(p.shape[1] for p in params)])
            self.n_image += ny * nx + GAP
            vectors += [n.ravel(), [np.nan] * 3]
            weights += [self.pixels[-1][1], [np.nan]]
            params += [np.array(shape.parameters, float), np.tile(UNITS, (BATCH, 1)), np.full((BATCH, 2), np.nan)]
        self.shapes, self.params = np.array(rows), np.concatenate(params, axis=1)
        self.vectors, self.weight = np.concatenate(vectors), np.concatenate(weights)

    @staticmethod
    def items(what):
        """Rows of boxes, and an empty item; `what` has pairs of a row of the table and a shape."""
        items = [[0, 0, 2, 2, -1, 1]]
        for i, s in what:
            ny, rows = SHAPES[s].box[0], SHAPES[s].rows
            items += [[i, 0, y, min(y + rows, ny), -1, 1] for y in range(0, ny, rows)]
        return np.array(items)

    @staticmethod
    def placed(shape, window):
        """An image of the box from the pixels of its window."""
        row, column, height, width = shape.window
        box = np.zeros(shape.box)
        box[row : row + height, column : column + width] = window.reshape(height, width)
        return box.ravel()


@functools.cache
def world():
    return World()


@functools.cache
def gradients(s, b):
    """Differences of all pixels of a shape, array[5, pixels]."""
    return np.array([differences(*world().pixels[s], SHAPES[s].parameters[b], k, SHAPES[s].spread) for k in range(N_PARAMETERS)])


def assert_image(value, want, rtol):
    assert np.isnan(want).any()
    rtol = rtol if value.dtype == "float64" else 1e-6
    np.testing.assert_allclose(value, want, rtol=rtol, atol=rtol * 1e-2 * np.nanmax(np.abs(want)))


# ---- each kernel -----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("real", PRECISIONS)
def test_image(twins, real):
    w = world()
    image, want = np.full((BATCH, w.n_image), np.nan, real), np.full((BATCH, w.n_image), np.nan)
    items = w.items((s, s) for s in range(len(SHAPES)))
    twins("gauss", real=real).gauss_image(w.shapes, items, w.vectors, w.weight, w.params, image)
    for shape, pixels, row in zip(SHAPES, w.pixels, w.shapes, strict=True):
        for b, parameters in enumerate(shape.parameters):
            box = w.placed(shape, integrals(*pixels, parameters))
            want[b, row[t.G_IMAGE] : row[t.G_IMAGE] + box.size] = box
    assert_image(image, want, rtol=1e-11)


@pytest.mark.parametrize("real", PRECISIONS)
def test_gradient(twins, real):
    w = world()
    wanted = [(0, 0), (0, 4), (1, 3), (1, 1), (2, 2), (0, 2), (2, 0), (0, 3)]
    slopes, size = [], GAP
    for s, k in wanted:
        slopes.append([s, k, size])
        size += math.prod(SHAPES[s].box) + GAP
    image, want = np.full((BATCH, size), np.nan, real), np.full((BATCH, size), np.nan)
    items = w.items((i, s) for i, (s, _) in enumerate(wanted))
    items = items[items[:, t.W_WHAT] != 1]  # the second goes along with the first, which is of the same Gaussian
    items[items[:, t.W_WHAT] == 0, t.W_PLANE] = 1
    twins("gauss", real=real).gauss_gradient(w.shapes, np.array(slopes), items, w.vectors, w.weight, w.params, image)
    for s, k, begin in slopes:
        for b in range(BATCH):
            box = w.placed(SHAPES[s], UNITS[k] * gradients(s, b)[k])
            want[b, begin : begin + box.size] = box
            part = image[b, begin : begin + box.size]
            np.testing.assert_allclose(part, box, rtol=0, atol=(1e-9 if real == "float64" else 1e-6) * np.abs(box).max())
    assert np.array_equal(np.isnan(image), np.isnan(want))


@pytest.mark.parametrize("real", PRECISIONS)
def test_pullback(twins, real):
    w = world()
    adjoint = np.random.default_rng(4).normal(size=(BATCH, w.n_image)).astype(real)
    adjoint[:, w.shapes[0, t.G_IMAGE] + 30] = 0
    items, sums, part = [], [], 2
    for s, shape in enumerate(SHAPES):
        row, column, height, width = shape.window
        starts = range(0, height, shape.rows)
        for c, y in enumerate(starts):
            items.append([s, 0, y, min(y + shape.rows, height), part + c, len(starts)])
            inside = np.zeros((height, width), bool)
            inside[y : y + shape.rows] = True
            sums.append((s, inside.ravel(), range(part + c, part + c + N_PARAMETERS * len(starts), len(starts))))
        part += N_PARAMETERS * len(starts)
    items.append([0, 0, 3, 3, part, 1])
    parts = np.full((BATCH, part + N_PARAMETERS + 2), np.nan)
    twins("gauss", real=real).gauss_pullback(w.shapes, np.array(items), w.vectors, w.weight, w.params, adjoint, parts)
    for s, inside, places in sums:
        (ny, nx), (row, column, height, width), begin = SHAPES[s].box, SHAPES[s].window, w.shapes[s, t.G_IMAGE]
        for b in range(BATCH):
            slope = adjoint[b, begin : begin + ny * nx].reshape(ny, nx)[row : row + height, column : column + width].astype(float)
            terms = gradients(s, b) * np.where(inside, slope.ravel(), 0)
            for k, place in enumerate(places):
                assert parts[b, place] == pytest.approx(terms[k].sum(), abs=1e-9 * np.abs(terms[k]).sum())
    np.testing.assert_array_equal(parts[:, part : part + N_PARAMETERS], 0)
    assert np.isnan(parts[:, [0, 1, -2, -1]]).all()


def test_pullback_is_the_transpose_of_the_gradient(twins):
    """To rounding, where differences are good to 1e-9 only."""
    w, kernel = world(), twins("gauss")
    ny, nx = SHAPES[1].box
    slopes = np.array([[1, k, ny * nx * k] for k in range(N_PARAMETERS)])
    images, adjoint = np.empty((BATCH, N_PARAMETERS * ny * nx)), np.random.default_rng(6).normal(size=(BATCH, w.n_image))
    items = np.array([[k, 0, 0, ny, -1, 1] for k in range(N_PARAMETERS)])
    params = w.params.copy()
    begin = w.shapes[1, t.G_PARAMETERS] + 5
    params[:, begin : begin + 5] = 1
    kernel.gauss_gradient(w.shapes, slopes, items, w.vectors, w.weight, params, images)
    parts = np.empty((BATCH, N_PARAMETERS))
    kernel.gauss_pullback(w.shapes, np.array([[1, 0, 0, ny, 0, 1]]), w.vectors, w.weight, params, adjoint, parts)
    box = adjoint[:, np.newaxis, w.shapes[1, t.G_IMAGE] : w.shapes[1, t.G_IMAGE] + ny * nx]
    terms = images.reshape(BATCH, N_PARAMETERS, -1) * box
    np.testing.assert_allclose(parts, terms.sum(axis=-1), atol=1e-13 * np.abs(terms).sum(axis=-1).max())


# ---- limits ----------------------------------------------------------------------------------------------------------------------------
def one_row(twins, vectors, parameters):
    """Image[B, pixels] and gradient[B, 5, pixels] of single samples of weight 1, by angles in radian."""
    vectors, parameters = np.atleast_2d(vectors).astype(float), np.atleast_2d(parameters).astype(float)
    n, batch = len(vectors), len(parameters)
    shapes, weight = np.array([[0, n, 1, 0, 0, 1, n, 1, 0, 0, 0]]), np.ones(n)
    params = np.concatenate([parameters, np.ones((batch, 5))], axis=1)
    image, gradient = np.empty((batch, n)), np.empty((batch, N_PARAMETERS * n))
    kernel = twins("gauss")
    kernel.gauss_image(shapes, np.array([[0, 0, 0, 1, -1, 1]]), vectors.ravel(), weight, params, image)
    slopes = np.array([[0, k, k * n] for k in range(N_PARAMETERS)])
    items = np.array([[k, 0, 0, 1, -1, 1] for k in range(N_PARAMETERS)])
    kernel.gauss_gradient(shapes, slopes, items, vectors.ravel(), weight, params, gradient)
    return image, gradient.reshape(batch, N_PARAMETERS, n)


def test_derivative_by_eccentricity_goes_to_its_limit(twins):
    n = np.array([1.0, 0, 0]) + 0.05 * np.random.default_rng(3).normal(size=(9, 3))
    n /= np.linalg.norm(n, axis=-1, keepdims=True)
    _, gradient = one_row(twins, n, [[0, 0, 0.05, 0, 0.4], [0, 0, 0.05, 1e-6, 0.4]])
    scale = np.abs(gradient[0, 2]).max() * 0.05
    assert np.all(gradient[0, 3:] == 0)
    assert 0 < np.abs(gradient[1, 3:]).max() < 1e-5 * scale
    np.testing.assert_allclose(gradient[1, :3], gradient[0, :3], atol=1e-3 * np.abs(gradient[0, :3]).max())


@pytest.mark.parametrize("e", [0, 0.5])
def test_much_smaller_than_the_distance_of_pixels(twins, e):
    """All of the density in the pixel at the centre, and exactly nothing in the others."""
    sigma = 1e-9
    image, gradient = one_row(twins, [[1, 0, 0], [math.cos(1e-6), math.sin(1e-6), 0]], [[0, 0, sigma, e, 0.4]])
    norm = 1 / (2 * math.pi * sigma**2 * math.sqrt(1 - e * e))
    assert image[0].tolist() == [pytest.approx(norm, rel=1e-12), 0]
    assert gradient[0, :, 0].tolist() == pytest.approx([0, 0, -2 * norm / sigma, e / (1 - e * e) * norm, 0], rel=1e-12)
    assert np.all(gradient[0, :, 1] == 0)


NO_EXTENT = [(0, 0), (-0.1, 0), (0, 0.5), (1e-21, 0), (1e-200, 0.5), (0.1, 1), (0.1, 1.5), (np.nan, 0), (0.1, np.nan)]


@pytest.mark.parametrize(("sigma", "e"), NO_EXTENT)
def test_without_extent(twins, sigma, e):
    image, gradient = one_row(twins, [[1, 0, 0], [0, 1, 0]], [0, 0, sigma, e, 0.4])
    assert np.all(image == 0)
    assert np.all(gradient == 0)


@pytest.mark.parametrize("e", [0.999999, 1 - 2**-53])
def test_almost_a_line(twins, e):
    n = np.array([[1.0, 0, 0], [math.cos(0.01), 0, math.sin(0.01)], [math.cos(0.01), math.sin(0.01), 0]])
    image, gradient = one_row(twins, n, [0, 0, 0.05, e, 0])
    norm = 1 / (2 * math.pi * 0.05**2 * math.sqrt((1 - e) * (1 + e)))
    np.testing.assert_allclose(image[0], [norm, norm * math.exp(-(math.sin(0.005) ** 2) / (2 * math.sin(0.025) ** 2)), 0], rtol=1e-9)
    assert np.isfinite(gradient).all()


def test_pixels_without_sky_give_nothing(twins):
    """They have weight 0 and no direction."""
    for e in (0, 0.5):
        shapes, params = np.array([[0, 2, 1, 0, 0, 1, 2, 1, 0, 0, 0]]), np.array([[0, 0, 0.3, e, 0.2, 1, 1, 1, 1, 1.0]])
        vectors, weight, parts = np.array([0, 0, 0, 1.0, 0, 0]), np.array([0, 1.0]), np.empty((1, 5))
        twins("gauss").gauss_pullback(shapes, np.array([[0, 0, 0, 1, 0, 1]]), vectors, weight, params, np.ones((1, 2)), parts)
        _, gradient = one_row(twins, vectors[3:], params[:, :5])
        np.testing.assert_allclose(parts, gradient[:, :, 0], rtol=1e-14)


def test_no_items(twins):
    w, image = world(), np.full((BATCH, 3), np.nan)
    twins("gauss").gauss_image(w.shapes, np.empty((0, 6), np.int64), w.vectors, w.weight, w.params, image)
    assert np.isnan(image).all()


def test_series_are_exact_where_they_are_used():
    kernel = kernels.cpu("gauss")
    one_minus_cos, angle_times_sine = dispatcher(kernel._one_minus_cos_of_square), dispatcher(kernel._angle_times_sine)
    for x in (1e-12, 0.01, 0.2, 0.2999, 0.3001, 1.0, 9.0):
        root = math.sqrt(x)
        assert one_minus_cos(x) == pytest.approx(2 * math.sin(root / 2) ** 2, rel=4e-16)
        assert angle_times_sine(x) == pytest.approx(root * math.sin(root), rel=1e-15)


@pytest.mark.parametrize("test", [test_image, test_gradient, test_pullback])
def test_numba_with_threads(test, monkeypatch):
    """The variants that large inputs get."""
    monkeypatch.setattr(_sized, "LARGE", 0)
    test(lambda stem, **_: kernels.cpu(stem), "float64")
