"""Folding through energy dispersion: both twins against loops over pixels of whole maps, and against each other's transpose."""

from itertools import pairwise

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.kernels import _sized
from gpudl4.kernels import tables as t

from . import scene as scenes
from .scene import Scene, full


def on_cpu(stem, **types):
    """The Numba twins alone."""
    return kernels.cpu(stem)


TOLERANCE = {"float64": 1e-12, "float32": 3e-6}  # the second: one rounding to single precision for each of some twenty terms


@pytest.fixture(params=scenes.TYPES, ids=lambda types: "-".join(types), scope="module")
def scene(request):
    return Scene(*request.param)


@pytest.fixture(scope="module")
def counts(scene):
    """What `fold` shall write."""
    return expected_counts(scene)


@pytest.fixture(scope="module")
def double():
    return Scene()


# ---- forward -------------------------------------------------------------------------------------------------------------------------
def run_fold(twins, scene, *, template=None, static=None, datasets=None, templates=None):
    """mu[B, N] of both kinds of twins."""
    template = scene.template if template is None else template
    static = scene.static if static is None else static
    mu = full((scene.batch, scene.n_bins), scene.real)
    twins("fold", **scene.types).fold(
        scene.sources_table,
        scene.datasets_table if datasets is None else datasets,
        scene.rows,
        scene.fold_items,
        scene.members,
        scene.pixels,
        scene.starts,
        scene.edisp,
        scene.reach,
        scene.params,
        scene.fixed,
        scene.templates if templates is None else templates,
        template,
        static,
        mu,
    )
    return mu


def from_sources(scene, b, d):
    """Counts[K, ny, nx] of a dataset's sources."""
    dataset = scene.datasets[d]
    out = np.zeros((dataset.n_reco, *dataset.shape))
    for source in (s for s in scene.sources if s.dataset == d):
        fluxes = np.ones(source.n_planes) if source.last else source.flux[b]
        matrix = np.eye(dataset.n_reco) if source.last else source.edisp
        for i, j, y, x in scene.pixels_of(source, b):
            for plane in range(source.n_planes):
                out[:, y, x] += matrix[plane] * fluxes[plane] * source.templates[b, plane, i, j]
    return out


def expected_counts(scene, *, background=True, static=True):
    """mu[B, N] by loops."""
    out = np.zeros((scene.batch, scene.n_bins))
    for b in range(scene.batch):
        for d, dataset in enumerate(scene.datasets):
            sources = from_sources(scene, b, d).reshape(dataset.n_reco, -1)
            for k, (begin, area, length) in enumerate(scene.rows_of(d)):
                out[b, begin : begin + area] = sources[k, dataset.pixels]
                if background and dataset.has_background:
                    out[b, begin : begin + length] += dataset.norm[b, k] * scene.template[begin : begin + length].astype(float)
    return out + (scene.static.astype(float) if static else 0)


def without_background(scene):
    """The table of datasets of a scene without any background."""
    datasets = scene.datasets_table.copy()
    datasets[:, t.D_NORM] = -1
    return datasets


def test_fold(twins, scene, counts):
    np.testing.assert_allclose(run_fold(twins, scene), counts, rtol=TOLERANCE[scene.real])


@pytest.mark.parametrize("static", [False, True])
def test_fold_without_background(twins, double, static):
    mu = run_fold(twins, double, template=np.empty(0), static=double.static if static else np.empty(0), datasets=without_background(double))
    np.testing.assert_allclose(mu, expected_counts(double, background=False, static=static), rtol=1e-12)


def test_numba_fold_with_threads_gives_the_same_bits(monkeypatch, double):
    alone = run_fold(on_cpu, double)
    monkeypatch.setattr(_sized, "LARGE", 0)
    np.testing.assert_array_equal(run_fold(on_cpu, double), alone)


def test_the_scene_is_what_the_tests_need(double):
    """Every kind of pixel that a check in the kernel is about occurs: otherwise a missing check would go unnoticed."""
    covered = [(double.datasets_table[:, t.D_AREA] > 0).any(), (double.datasets_table[:, t.D_AREA] == 0).any()]
    point = double.named["point"]
    (y0, x0, ny, nx), (height, width) = point.box, point.support
    sides = set()
    for b in range(double.batch):
        row, column = point.corner(b)
        active = set(double.datasets[0].pixels)
        for i in range(height):
            for j in range(width):
                y, x = row + i, column + j
                if (y0 + y) * double.datasets[0].shape[1] + x0 + x in active:
                    sides |= {name for name, out in {"-y": y < 0, "+y": y >= ny, "-x": x < 0, "+x": x >= nx}.items() if out}
    assert all(covered)
    assert sides == {"-y", "+y", "-x", "+x"}
    assert len({tuple(item[t.FOLD_MEMBERS :]) for item in double.fold_items.tolist()}) > 3


def test_bins_of_an_item():
    assert kernels.cpu("fold").BINS == scenes.BINS


# ---- transposed ----------------------------------------------------------------------------------------------------------------------
GROUPS = np.array(
    [
        [0, 10, 0, 9, 9, 10, 0, 0, 6],  # planes of "image" and, behind them, of "bare image"
        [900, 7, 810, 7, 8, 7, 0, 0, 4],  # one plane that nobody uses, and "last image"
    ]
)
FIELD_SIZE = 810 + 7 * 56
IMAGES = {"image": (0, 0), "bare image": (0, 5), "last image": (1, 1)}  # group, first plane


def image_table(scene):
    rows = np.full((len(IMAGES), 16), -1)
    for row, (name, (group, first)) in zip(rows, IMAGES.items(), strict=True):
        row[[t.I_SOURCE, t.I_GROUP, t.I_FIRST_OUT]] = scene.index(name), group, first
    return rows


def pull_items(scene):
    """Items, and what each is about: (name, plane, first row, end row, place in parts, image or None)."""
    about, part = [], 3
    cuts = {"image": (0, 4, 8, 9), "bare image": (0, 9), "last image": (0, 3, 8), "wide": (0, 5, 14), "bare fixed": (0, 1, 4)}
    for name, rows in cuts.items():
        for plane in range(scene.named[name].n_planes):
            for y, y_end in pairwise(rows):
                sums = name != "last image"
                about.append((name, plane, y, y_end, part if sums else -1, name if name in IMAGES else None))
                part += sums
    about.append(("bare image", 2, 1, 4, part, None))  # a sum without a field
    images = list(IMAGES)
    items = [(scene.index(name), l, y, y_end, at, -1 if im is None else images.index(im)) for name, l, y, y_end, at, im in about]
    return np.array(items), about, part + 2


def run_pull(twins, scene, slope, items, n_parts, *, templates=None):
    field, parts = full(scene.batch * FIELD_SIZE + 5, scene.real), full((scene.batch, n_parts))
    twins("fold", **scene.types).fold_pull(
        scene.sources_table,
        scene.datasets_table,
        scene.rows,
        image_table(scene),
        GROUPS,
        items,
        scene.starts,
        scene.exposure,
        scene.edisp,
        scene.reach,
        scene.params,
        scene.fixed,
        scene.templates if templates is None else templates,
        slope,
        field,
        parts,
    )
    return field, parts


def field_of(scene, field, name, b):
    """View of the padded planes of an image in the field."""
    group, first = IMAGES[name]
    _, _, out, planes, ny, nx, *_ = GROUPS[group]
    begin = scene.batch * out + (b * planes + first) * ny * nx
    return field[begin : begin + scene.named[name].n_planes * ny * nx].reshape(-1, ny, nx)


def pulled_back(source, plane, slope, y, x):
    """q[l, p] for a slope on the map."""
    return slope[plane, y, x] if source.last else source.edisp[plane] @ slope[:, y, x]


@pytest.fixture(scope="module")
def pulled(scene):
    """slope, items, and what `fold_pull` shall write: field, parts."""
    slope = scene.random(scene.batch, scene.n_bins).astype(scene.real)
    items, about, n_parts = pull_items(scene)
    field, parts = full(scene.batch * FIELD_SIZE + 5), full((scene.batch, n_parts))
    for b in range(scene.batch):
        slopes = [scene.on_map(d, slope[b]) for d in range(2)]
        for name, plane, y_begin, y_end, part, image in about:
            source, total = scene.named[name], 0.0
            dataset = scene.datasets[source.dataset]
            if image is not None:
                field_of(scene, field, name, b)[plane, y_begin:y_end] = 0
            for i, j, y, x in scene.pixels_of(source, b):
                if y_begin <= i < y_end:
                    q = pulled_back(source, plane, slopes[source.dataset], y, x)
                    total += source.templates[b, plane, i, j] * q
                    if image is not None:
                        factor = 1 if source.last else source.flux[b, plane] * (dataset.exposure[plane, y, x] if source.exposed else 1)
                        field_of(scene, field, name, b)[plane, i, j] = factor * q
            if part >= 0:
                parts[b, part] = total
    return slope, items, field, parts


def test_fold_pull(twins, scene, pulled):
    slope, items, want_field, want_parts = pulled
    field, parts = run_pull(twins, scene, slope, items, want_parts.shape[1])
    np.testing.assert_allclose(parts, want_parts, rtol=1e-12)
    np.testing.assert_allclose(field, want_field, rtol=1e-12 if scene.real == "float64" else 3e-7)


def test_numba_fold_pull_with_threads_gives_the_same_bits(monkeypatch, double):
    slope, (items, _, n_parts) = double.random(double.batch, double.n_bins), pull_items(double)
    alone = run_pull(on_cpu, double, slope, items, n_parts)
    monkeypatch.setattr(_sized, "LARGE", 0)
    for threaded, serial in zip(run_pull(on_cpu, double, slope, items, n_parts), alone, strict=True):
        np.testing.assert_array_equal(threaded, serial)


def test_fold_pull_is_the_transpose(twins, double):
    """<fold(F), r> = sum F dF for sources with templates, and <fold(T = E image), r> = <image, field>."""
    scene = double
    slope = scene.random(scene.batch, scene.n_bins) - 0.5
    images = {name: scene.random(*scene.named[name].templates.shape) for name in ("image", "bare image", "last image")}
    templates, rows = full(scene.templates.shape), scene.sources_table
    for row, source in zip(rows, scene.sources, strict=True):
        size = source.templates[0].size
        templates[:, row[t.S_TEMPLATES] : row[t.S_TEMPLATES] + size] = 0 if not source.fixed else np.nan
    for name, image in images.items():
        source, row = scene.named[name], rows[scene.index(name)]
        (y0, x0, ny, nx), exposure = source.box, scene.datasets[source.dataset].exposure
        seen = 1.0 if source.last or not source.exposed else exposure[:, y0 : y0 + ny, x0 : x0 + nx]
        templates[:, row[t.S_TEMPLATES] : row[t.S_TEMPLATES] + image[0].size] = (image * seen).reshape(scene.batch, -1)
    mu = run_fold(twins, scene, template=np.empty(0), static=np.empty(0), datasets=without_background(scene), templates=templates)
    items, about, n_parts = pull_items(scene)
    field, parts = run_pull(twins, scene, slope, items[:-1], n_parts, templates=templates)
    for b in range(scene.batch):
        sums = dict.fromkeys(scene.named, 0.0)  # F dF of each source with a sum
        for name, plane, _, _, part, _ in about[:-1]:
            sums[name] += scene.named[name].flux[b, plane] * parts[b, part] if part >= 0 else 0.0
        products = {}
        for name, image in images.items():
            ny, nx = scene.named[name].box[2:]
            products[name] = (image[b] * field_of(scene, field, name, b)[:, :ny, :nx]).sum()
        want, scale = (mu[b] * slope[b]).sum(), np.abs(mu[b] * slope[b]).sum()
        assert abs(sum(sums.values()) + products["last image"] - want) < 1e-13 * scale
        assert abs(sum(products.values()) + sums["wide"] + sums["bare fixed"] - want) < 1e-13 * scale
