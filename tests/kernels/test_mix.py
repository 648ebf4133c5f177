"""The slope carried back to mixed planes: both twins against loops over planes, and against the mixing itself as its transpose."""

import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.kernels import _sized
from gpudl4.kernels import tables as t

from .builder_images import BATCH, World

TYPES = [("float64", "float64"), ("float32", "float64"), ("float32", "float32")]
CHUNKS = 3  # places from one sum of an item to the next


@pytest.fixture(params=TYPES, ids=lambda types: "-".join(types))
def world(request):
    return World(*request.param)


def mixed(world):
    return [i for i, one in enumerate(world.each) if one.kind.rank]


def items_of(world):
    """Items over the padded rows, and the number of places for their sums."""
    items, n_parts = world.items(mixed(world), lambda one: one.kind.padded[0], lambda one: 1), 2
    for item in items:
        item[t.W_PART], item[t.W_CHUNKS] = n_parts, CHUNKS
        n_parts += CHUNKS * world.each[item[t.W_WHAT]].planes
    return items, n_parts


def run(twins, world, templates, items, n_parts):
    field, parts = world.empty("out"), np.full((BATCH, n_parts), np.nan)
    tables = [getattr(world, name) for name in ("sources", "datasets", "rows", "images", "groups")]
    folded = [getattr(world, name) for name in ("starts", "exposure", "edisp", "reach", "params")]
    twins("mix", cube=world.cube, real=world.real).mix_pull(*tables, items, *folded, templates, world.slope, field, parts)
    return field, parts


def filled(world):
    return np.random.default_rng(3).normal(size=world.templates.shape).astype(world.real)


def carried_back(world, i, b):
    """q[L, ny, nx] of an image."""
    one = world.each[i]
    begins = world.rows[world.datasets[one.kind.dataset, t.D_ROW] + np.arange(one.edisp.shape[1]), t.R_BEGIN]
    return np.einsum("lk,kyx->lyx", one.edisp, world.slope[b].astype(float)[begins[:, np.newaxis, np.newaxis] + one.columns])


def test_mix_pull(twins, world):
    items, n_parts = items_of(world)
    templates = filled(world)
    field, parts = run(twins, world, templates, items, n_parts)
    want, want_parts = world.empty("out"), np.full_like(parts, np.nan)
    for item in items:
        i, rows = item[t.W_WHAT], slice(item[t.W_Y], item[t.W_Y_END])
        one = world.each[i]
        for b in range(BATCH):
            q = carried_back(world, i, b)
            padded = np.zeros((one.rank, *one.kind.padded))
            padded[:, : one.ny, : one.nx] = np.einsum("ln,l,lyx->nyx", one.mixing, one.flux[b], one.exposure * q)
            for n in range(one.rank):
                world.plane(want, "out", i, b, n)[rows] = padded[n, rows]
            for l in range(one.planes):
                own = world.template(templates, i, b, l).astype(float)
                want_parts[b, item[t.W_PART] + CHUNKS * l] = (own * q[l])[rows].sum()
    assert np.isnan(want).any()
    rtol = 1e-12 if world.real == "float64" else 3e-7
    np.testing.assert_allclose(field, want, rtol=rtol, atol=rtol * np.nanmax(np.abs(want)))
    np.testing.assert_allclose(parts, want_parts, rtol=1e-11, atol=1e-11)


def test_it_is_the_transpose_of_mixing(twins):
    """<q, T> with fluxes is <planes, field>, for T made of the planes by `unload`."""
    world = World()
    planes, templates = world.noise("out"), np.full_like(world.templates, np.nan)
    items = np.array([[i, l, 0, world.each[i].ny, -1, 1] for i in mixed(world) for l in range(world.each[i].planes)])
    tables = [getattr(world, name) for name in ("sources", "images", "groups")]
    folded = [getattr(world, name) for name in ("starts", "exposure", "edisp", "reach", "params", "image")]
    twins("fourier", cube=world.cube, real=world.real).unload(*tables, items, *folded, planes, templates)
    whole = np.array([[i, 0, 0, world.each[i].kind.padded[0], 40 * n, CHUNKS] for n, i in enumerate(mixed(world))])
    field, parts = run(twins, world, templates, whole, 80)
    for n, i in enumerate(mixed(world)):
        one, (y, x) = world.each[i], world.each[i].offset
        size = np.prod(one.kind.padded)
        for b in range(BATCH):
            by_flux = parts[b, 40 * n : 40 * n + CHUNKS * one.planes : CHUNKS]
            terms = [
                world.plane(planes, "out", i, b, m)[y : y + one.ny, x : x + one.nx]
                * world.plane(field, "out", i, b, m)[: one.ny, : one.nx]
                / size
                for m in range(one.rank)
            ]
            assert by_flux @ one.flux[b] == pytest.approx(np.sum(terms), abs=1e-13 * np.abs(terms).sum())


def test_threads_give_the_same_bits(monkeypatch):
    world = World()
    items, n_parts = items_of(world)
    alone = run(lambda stem, **_: kernels.cpu(stem), world, filled(world), items, n_parts)
    monkeypatch.setattr(_sized, "LARGE", 0)
    for threaded, serial in zip(run(lambda stem, **_: kernels.cpu(stem), world, filled(world), items, n_parts), alone, strict=True):
        np.testing.assert_array_equal(threaded, serial)


def test_no_items(twins):
    world = World()
    field, parts = run(twins, world, filled(world), np.empty((0, 6), np.int64), 1)
    assert np.isnan(field).all()
    assert np.isnan(parts).all()
