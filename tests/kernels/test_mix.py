"""Mixed planes folded into counts, and the slope carried back to them: both twins against loops, and one as the transpose of the other."""

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.kernels import _sized
from gpudl4.kernels import tables as t

from .builder_images import BATCH, World

TYPES = [("float64", "float64"), ("float32", "float64"), ("float32", "float32")]
CHUNKS = 3  # places from one sum of an item to the next
COLUMNS = 100  # of an item of `mix`, fewer than a block has threads


@pytest.fixture(params=TYPES, ids=lambda types: "-".join(types))
def world(request):
    return World(*request.param)


def on_cpu(stem, **_):
    return kernels.cpu(stem)


# ---- forward ---------------------------------------------------------------------------------------------------------------------------
def fold_items(world):
    """Items and members of `mix`: every source is a member of all items of its dataset, and one item has no columns."""
    items, members = [], []
    for d, dataset in enumerate(world.datasets):
        first = len(members)
        members += [world.each[i].source_index for i in world.mixed if world.each[i].kind.dataset == d]
        area, n_reco, bins = dataset[t.D_AREA], dataset[t.D_RECO], kernels.cpu("mix").BINS
        items += [
            (d, k, min(k + bins, n_reco), begin, min(begin + COLUMNS, area), first, len(members))
            for begin in range(0, area, COLUMNS)
            for k in range(0, n_reco, bins)
        ]
    items.append((0, 0, 1, 5, 5, 0, 0))
    return np.array(items), np.array(members)


def run_mix(twins, world, planes, mu):
    items, members = fold_items(world)
    tables = [getattr(world, name) for name in ("sources", "datasets", "rows", "images", "groups")]
    edisp = np.nan_to_num(world.edisp)  # the CUDA twin makes several bins of one template: R has to be 0 where it reaches nothing
    others = world.pixels, world.starts, world.exposure, edisp, world.reach, world.params
    twins("mix", cube=world.cube, real=world.real).mix(*tables, items, members, *others, planes, mu)
    return mu


def bins_of(world, i):
    """First bins of the rows of an image's dataset, array[K, 1, 1]."""
    rows = world.datasets[world.each[i].kind.dataset, t.D_ROW] + np.arange(world.each[i].edisp.shape[1])
    return world.rows[rows, t.R_BEGIN][:, np.newaxis, np.newaxis]


def test_mix(twins, world):
    planes = world.noise("out")
    before = np.random.default_rng(8).normal(size=world.slope.shape).astype(world.real)
    mu, want = run_mix(twins, world, planes, before.copy()), before.astype(float)
    for i in world.mixed:
        one = world.each[i]
        for b in range(BATCH):
            templates = np.array([world.mixture(planes, i, b, l) for l in range(one.planes)])
            want[b, bins_of(world, i) + one.columns] += np.einsum("lk,l,lyx->kyx", one.edisp, one.flux[b], templates)
    rtol = 1e-12 if world.real == "float64" else 3e-7
    np.testing.assert_allclose(mu, want, rtol=rtol, atol=rtol)
    assert (mu != before).any()


def test_bins_that_no_source_reaches_stay(twins):
    world = World()
    mu = run_mix(twins, world, world.noise("out"), np.full_like(world.slope, np.nan))
    zero = run_mix(twins, world, world.noise("out"), np.zeros_like(world.slope))
    reached = np.zeros(world.slope.shape[1], dtype=bool)
    for i in world.mixed:
        reached[bins_of(world, i) + world.each[i].columns] = True
    assert np.isnan(mu).all()
    assert not zero[:, ~reached].any()


# ---- back ------------------------------------------------------------------------------------------------------------------------------
def items_of(world):
    """Items over the padded rows, and the number of places for their sums."""
    items, n_parts = world.items(world.mixed, lambda one: one.kind.padded[0], lambda one: 1), 2
    for item in items:
        item[t.W_PART], item[t.W_CHUNKS] = n_parts, CHUNKS
        n_parts += CHUNKS * world.each[item[t.W_WHAT]].planes
    return items, n_parts


def run(twins, world, planes, items, n_parts):
    field, parts = world.empty("out"), np.full((BATCH, n_parts), np.nan)
    tables = [getattr(world, name) for name in ("sources", "datasets", "rows", "images", "groups")]
    folded = [getattr(world, name) for name in ("starts", "exposure", "edisp", "reach", "params")]
    twins("mix", cube=world.cube, real=world.real).mix_pull(*tables, items, *folded, world.slope, planes, field, parts)
    return field, parts


def carried_back(world, i, b):
    """q[L, ny, nx] of an image."""
    one = world.each[i]
    return np.einsum("lk,kyx->lyx", one.edisp, world.slope[b].astype(float)[bins_of(world, i) + one.columns])


def mask(slope):
    """Slopes of masked bins are 0: at both ends of rows, in whole rows, and for one row of the batch everywhere."""
    bins = np.arange(slope.shape[1])
    slope[:, (bins % 37 < 15) | (bins // 150 % 4 == 1)] = 0.0
    slope[-1] = 0.0


@pytest.mark.parametrize("masked", [False, True])
def test_mix_pull(twins, world, masked):
    if masked:
        mask(world.slope)
    items, n_parts = items_of(world)
    planes = world.noise("out")
    items[::5, t.W_PLANE] = t.W_SUMS_ONLY
    field, parts = run(twins, world, planes, items, n_parts)
    want, want_parts = world.empty("out"), np.full_like(parts, np.nan)
    for item in items:
        i, rows = item[t.W_WHAT], slice(item[t.W_Y], item[t.W_Y_END])
        one = world.each[i]
        for b in range(BATCH):
            q = carried_back(world, i, b)
            padded = np.zeros((one.rank, *one.kind.padded))
            padded[:, : one.ny, : one.nx] = np.einsum("ln,l,lyx->nyx", one.mixing, one.flux[b], one.exposure * q)
            for n in range(one.rank if item[t.W_PLANE] != t.W_SUMS_ONLY else 0):
                world.plane(want, "out", i, b, n)[rows] = padded[n, rows]
            for l in range(one.planes):
                own = world.mixture(planes, i, b, l)
                want_parts[b, item[t.W_PART] + CHUNKS * l] = (own * q[l])[rows].sum()
    assert np.isnan(want).any()
    rtol = 1e-12 if world.real == "float64" else 3e-7
    np.testing.assert_allclose(field, want, rtol=rtol, atol=rtol * np.nanmax(np.abs(want)))
    np.testing.assert_allclose(parts, want_parts, rtol=1e-11, atol=1e-11)


def test_it_is_the_transpose_of_mix(twins):
    """<slope, mix(planes)> is <planes, field>, and the sum of F times its derivative."""
    world = World()
    planes = world.noise("out")
    mu = run_mix(twins, world, planes, np.zeros_like(world.slope))
    items = np.array([[i, 0, 0, world.each[i].kind.padded[0], 40 * n, CHUNKS] for n, i in enumerate(world.mixed)])
    field, parts = run(twins, world, planes, items, 40 * len(items))
    for b in range(BATCH):
        terms, by_flux = [], 0.0
        for n, i in enumerate(world.mixed):
            one, (y, x) = world.each[i], world.each[i].offset
            by_flux += parts[b, 40 * n : 40 * n + CHUNKS * one.planes : CHUNKS] @ one.flux[b]
            for m in range(one.rank):
                own = world.plane(planes, "out", i, b, m)[y : y + one.ny, x : x + one.nx]
                terms.append(np.sum(own * world.plane(field, "out", i, b, m)[: one.ny, : one.nx]) / np.prod(one.kind.padded))
        scale = 1e-13 * np.abs(world.slope[b] * mu[b]).sum()
        assert world.slope[b] @ mu[b] == pytest.approx(np.sum(terms), abs=scale)
        assert world.slope[b] @ mu[b] == pytest.approx(by_flux, abs=scale)


def test_threads_give_the_same_bits(monkeypatch):
    world = World()
    items, n_parts = items_of(world)
    planes = world.noise("out")

    def all_of():
        return (*run(on_cpu, world, planes, items, n_parts), run_mix(on_cpu, world, planes, np.zeros_like(world.slope)))

    alone = all_of()
    monkeypatch.setattr(_sized, "LARGE", 0)
    for threaded, serial in zip(all_of(), alone, strict=True):
        np.testing.assert_array_equal(threaded, serial)


def test_no_items(twins):
    world = World()
    field, parts = run(twins, world, world.noise("out"), np.empty((0, 6), np.int64), 1)
    assert np.isnan(field).all()
    assert np.isnan(parts).all()
