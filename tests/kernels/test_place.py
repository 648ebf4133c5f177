"""Placing a PSF at a point: both twins against loops over template pixels, and as transposes of each other."""

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.kernels import _sized
from gpudl4.kernels import tables as t
from tests import oracle

from . import scene as scenes
from .scene import Scene, full


def on_cpu(stem, **types):
    """The Numba twins alone."""
    return kernels.cpu(stem)


POINTS = ["point", "last point", "bare point", "bare last point"]
UNUSED = 3  # places in parts in front of everything


class Place:
    """A place: a source with weights, fluxes and templates of its own.

    Attributes
    ----------
    source : Source
    weights, flux : array[B, 4], array[B, L]
    row : tuple
        Of the table of places.
    """

    def __init__(self, scene, name, own, part, unfolds):
        self.source, self.index = scene.named[name], scene.index(name)
        source = self.source
        self.weights, self.flux = source.weights, source.flux
        row = scene.sources_table[self.index]
        templates, flux = row[t.S_TEMPLATES], row[t.S_FLUX]
        if own:
            self.weights, self.flux = scene.random_weights(source), scene.random(*source.flux.shape, dtype="float64")
            templates, flux = scene.add_templates(source.templates), scene.add_params(self.flux)
        self.part, n_true = part, len(source.edisp)
        self.unfolded = part + 4 * source.n_planes + 1 if unfolds else -1
        self.end = part + 4 * source.n_planes + 1 + (4 * n_true + 1 if unfolds else 0)
        self.row = (self.index, scene.add_params(self.weights), flux, templates, part, self.unfolded)


class Placed:
    """A scene, the table of places, the items, and how many sums there are."""

    def __init__(self, scene):
        self.scene, self.places, part = scene, [], UNUSED
        for name in POINTS:
            for own in (False, True):
                self.places.append(Place(scene, name, own, part, unfolds=scene.named[name].last and not own))
                part = self.places[-1].end
        self.table, self.n_parts = np.array([place.row for place in self.places]), part + 2
        items = [(i, plane, 0, 0, -1, 1) for i, place in enumerate(self.places) for plane in range(place.source.n_planes)]
        self.items = np.array(items[::-1])  # any order


@pytest.fixture(params=scenes.TYPES, ids=lambda types: "-".join(types), scope="module")
def placed(request):
    return Placed(Scene(*request.param))


@pytest.fixture(scope="module")
def double():
    return Placed(Scene())


def run_place(twins, placed, *, params=None):
    """templates[B, n]: what no place writes is NaN."""
    scene = placed.scene
    templates = full(scene.templates.shape, scene.real)
    twins("place", **scene.types).place(
        scene.sources_table,
        placed.table,
        placed.items,
        scene.starts,
        scene.psf,
        scene.exposure,
        scene.edisp,
        scene.reach,
        scene.params if params is None else params,
        templates,
    )
    return templates


def run_pull(twins, placed, slope):
    """parts[B, n]: the sums of `place_pull`, and what `place_unfold` makes of them."""
    scene = placed.scene
    parts = full((scene.batch, placed.n_parts))
    place = twins("place", **scene.types)
    place.place_pull(
        scene.sources_table,
        scene.datasets_table,
        placed.table,
        placed.items,
        scene.rows,
        scene.starts,
        scene.psf,
        scene.exposure,
        scene.edisp,
        scene.reach,
        scene.params,
        slope,
        parts,
    )
    place.place_unfold(scene.sources_table, placed.table, scene.starts, scene.exposure, scene.edisp, scene.reach, scene.params, parts)
    return parts


def copy(source, plane, c, i, j):
    """The PSF moved to pixel c of the four, at template pixel (i, j)."""
    y, x = i - c // 2, j - c % 2
    height, width = source.psf.shape[1:]
    return source.psf[plane, y, x] if 0 <= y < height and 0 <= x < width else 0.0


def exposure_of(scene, source, true, y, x):
    """Exposure at a pixel of the map."""
    return scene.datasets[source.dataset].exposure[true, y, x] if source.exposed else 1.0


def exposure_below(scene, source, b, true, c):
    """Exposure at pixel c of the four, or at the pixel of the box that is nearest to it."""
    (y, x), (y0, x0, ny, nx) = source.cells[b], source.box
    return exposure_of(scene, source, true, y0 + np.clip(y + c // 2, 0, ny - 1), x0 + np.clip(x + c % 2, 0, nx - 1))


def expected_templates(scene, place, b):
    """T[planes, height, width] of a place."""
    source = place.source
    out = np.zeros((source.n_planes, *source.support))
    for i, j, y, x in scene.pixels_of(source, b):
        for plane in range(source.n_planes):
            for c in range(4):
                value = place.weights[b, c] * copy(source, plane, c, i, j)
                if source.last:
                    n_true = len(source.edisp)
                    value *= sum(source.edisp[l, plane] * place.flux[b, l] * exposure_below(scene, source, b, l, c) for l in range(n_true))
                else:
                    value *= exposure_of(scene, source, plane, y, x)
                out[plane, i, j] += value
    return out


@pytest.fixture(scope="module")
def templates(placed):
    """What `place` shall write."""
    scene = placed.scene
    out = full(scene.templates.shape)
    for place in placed.places:
        for b in range(scene.batch):
            values = expected_templates(scene, place, b).ravel()
            out[b, place.row[t.P_TEMPLATES] : place.row[t.P_TEMPLATES] + values.size] = values
    return out


@pytest.fixture(scope="module")
def pulled(placed):
    """slope, and what `place_pull` and `place_unfold` shall write."""
    scene = placed.scene
    slope = scene.random(scene.batch, scene.n_bins).astype(scene.real)
    parts = full((scene.batch, placed.n_parts))
    for b in range(scene.batch):
        slopes = [scene.on_map(d, slope[b]) for d in range(2)]
        for place in placed.places:
            source = place.source
            sums = np.zeros((4, source.n_planes))
            for i, j, y, x in scene.pixels_of(source, b):
                for plane in range(source.n_planes):
                    r = slopes[source.dataset][:, y, x]
                    q = r[plane] if source.last else source.edisp[plane] @ r * exposure_of(scene, source, plane, y, x)
                    sums[:, plane] += [copy(source, plane, c, i, j) * q for c in range(4)]
            parts[b, place.part : place.part + sums.size] = sums.ravel()
            if place.unfolded >= 0:
                n_true = len(source.edisp)
                seen = np.array([[exposure_below(scene, source, b, l, c) for l in range(n_true)] for c in range(4)])
                parts[b, place.unfolded : place.unfolded + 4 * n_true] = (sums @ source.edisp.T * seen).ravel()
    return slope, parts


def test_place(twins, placed, templates):
    np.testing.assert_allclose(run_place(twins, placed), templates, rtol=1e-12 if placed.scene.real == "float64" else 1e-7)


def test_place_pull_and_unfold(twins, placed, pulled):
    slope, parts = pulled
    np.testing.assert_allclose(run_pull(twins, placed, slope), parts, rtol=1e-12)


def test_numba_threads_give_the_same_bits(monkeypatch, double):
    slope = double.scene.random(double.scene.batch, double.scene.n_bins)
    alone = run_place(on_cpu, double), run_pull(on_cpu, double, slope)
    monkeypatch.setattr(_sized, "LARGE", 0)
    for threaded, serial in zip((run_place(on_cpu, double), run_pull(on_cpu, double, slope)), alone, strict=True):
        np.testing.assert_array_equal(threaded, serial)


def test_place_pull_is_the_transpose(twins, double):
    """<fold(place(w, F)), r> = sum over c, l of w[c] F[l] parts[c, l]."""
    scene = double.scene
    slope = scene.random(scene.batch, scene.n_bins) - 0.5
    templates = run_place(twins, double)
    parts = run_pull(twins, double, slope)
    for b in range(scene.batch):
        slopes = [scene.on_map(d, slope[b]) for d in range(2)]
        for place in double.places:
            source, n_true = place.source, len(place.source.edisp)
            if source.last and place.unfolded < 0:
                continue
            size = source.n_planes * source.support[0] * source.support[1]
            values = templates[b, place.row[t.P_TEMPLATES] :][:size].reshape(-1, *source.support)
            counts = np.zeros((source.edisp.shape[1], *scene.datasets[source.dataset].shape))
            for i, j, y, x in scene.pixels_of(source, b):
                counts[:, y, x] = values[:, i, j] if source.last else (values[:, i, j] * place.flux[b]) @ source.edisp
            products = (counts * slopes[source.dataset])[counts != 0]
            begin = place.unfolded if source.last else place.part
            by_corner = parts[b, begin : begin + 4 * n_true].reshape(4, n_true)
            assert abs(place.weights[b] @ by_corner @ place.flux[b] - products.sum()) < 1e-13 * (np.abs(products).sum() + 1)


@pytest.mark.parametrize("name", ["point", "last point"])
def test_points_are_what_the_slow_oracle_convolves(twins, double, name):
    """With bilinear weights, placing and folding is: put the point on the pixels, convolve, multiply by exposure and energy dispersion."""
    scene, params = double.scene, double.scene.params
    place = next(place for place in double.places if place.source is scene.named[name])
    source, (fx, fy) = place.source, (0.3, 0.85)
    w = place.row[t.P_WEIGHT]
    params[:, w : w + 4] = np.where(source.weights > 0, [(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], 0)
    templates = run_place(twins, double, params=params)
    y0, x0, ny, nx = source.box
    exposure = scene.datasets[0].exposure[:, y0 : y0 + ny, x0 : x0 + nx]
    for b, (y, x) in enumerate(source.cells):
        image = oracle.point_image(x + fx, y + fy, (ny, nx))
        want = oracle.fold(image, place.flux[b], exposure, source.edisp, source.psf, psf_last=source.last)
        values = templates[b, place.row[t.P_TEMPLATES] :][: source.n_planes * source.support[0] * source.support[1]]
        values = values.reshape(-1, *source.support)
        counts = np.zeros_like(want)
        for i, j, row, column in scene.pixels_of(source, b):
            counts[:, row - y0, column - x0] = values[:, i, j] if source.last else (values[:, i, j] * place.flux[b]) @ source.edisp
        np.testing.assert_allclose(counts, want, rtol=1e-12, atol=1e-14)


def test_four_copies_make_the_bilinear_image(twins, double):
    """All weight on one pixel: the template is the PSF moved there, times the exposure."""
    scene, params = double.scene, double.scene.params
    place = double.places[0]
    source, b = place.source, 2  # where nothing leaves the box
    for c in range(4):
        params[:, place.row[t.P_WEIGHT] : place.row[t.P_WEIGHT] + 4] = np.eye(4)[c]
        templates = run_place(twins, double, params=params)
        height, width = source.support
        values = templates[b, place.row[t.P_TEMPLATES] :][: source.n_planes * height * width].reshape(-1, height, width)
        (row, column), (y0, x0, _, _) = source.corner(b), source.box
        exposure = scene.datasets[0].exposure[:, y0 + row : y0 + row + height, x0 + column : x0 + column + width]
        moved = np.pad(source.psf, ((0, 0), (c // 2, 1 - c // 2), (c % 2, 1 - c % 2)))
        np.testing.assert_allclose(values, moved * exposure, rtol=1e-14)
