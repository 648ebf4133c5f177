"""Images through PSFs: both twins against loops over planes and direct convolution, and the way back as the transpose of the way there."""

import numpy as np
import pytest
import scipy.signal

from gpudl4 import kernels
from gpudl4.kernels import _sized
from gpudl4.kernels import tables as t

from .builder_images import BATCH, World

TYPES = [("float64", "float64"), ("float32", "float64"), ("float32", "float32")]
SOURCES = ("sources", "images", "groups")
FOLDED = ("starts", "exposure", "edisp", "reach", "params", "image")


@pytest.fixture(params=TYPES, ids=lambda types: "-".join(types))
def world(request):
    return World(*request.param)


def kernels_of(twins, world):
    return twins("fourier", cube=world.cube, real=world.real)


def arrays(world, *names):
    return [getattr(world, name) for name in names]


def assert_equal(value, want):
    """Equal to rounding of the type in which both are stored; NaN where nothing is to be written."""
    assert np.isnan(want).any()
    assert not np.isnan(want).all()
    rtol = 1e-12 if value.dtype in ("float64", "complex128") else 2e-7
    np.testing.assert_allclose(value, want, rtol=rtol, atol=rtol * np.nanmax(np.abs(want)))


# ---- the oracle: image by image, plane by plane ----------------------------------------------------------------------------------------
def seen(one, b, k):
    """W[k]: exposure folded through the energy dispersion."""
    return sum(one.edisp[l, k] * one.flux[b, l] * one.exposure[l] for l in range(len(one.flux[b])))


def into_psf(one, b, plane):
    """What enters the PSF."""
    return one.image[b] * seen(one, b, plane) if one.kind.last else one.image[b].astype(float)


def template(one, b, plane, convolve):
    """T of a plane."""
    out = into_psf(one, b, plane)
    if one.kind.psf is not None:
        out = convolve(out)
    if not one.kind.last:
        out = out * one.exposure[plane]
    return out[np.ix_(one.rows, one.template_columns)]


def rows_of(items):
    """Pairs of an item's (image, plane, rows) and the vector b, for all items."""
    for item in items:
        for b in range(BATCH):
            yield item[t.W_WHAT], item[t.W_PLANE], slice(item[t.W_Y], item[t.W_Y_END]), b


# ---- each kernel -----------------------------------------------------------------------------------------------------------------------
def test_load(twins, world):
    items = world.items(world.convolved, lambda one: one.kind.padded[0], lambda one: one.planes_in)
    planes = world.empty("in")
    kernels_of(twins, world).load(*arrays(world, *SOURCES), items, *arrays(world, *FOLDED), planes)
    want = world.empty("in")
    for i, plane, rows, b in rows_of(items):
        one = world.each[i]
        padded = np.zeros(one.kind.padded)
        padded[: one.ny, : one.nx] = into_psf(one, b, plane)
        world.plane(want, "in", i, b, plane)[rows] = padded[rows]
    assert_equal(planes, want)


@pytest.mark.parametrize("left_out", [0, 2])
def test_spread(twins, world, left_out):
    world.leave_out(left_out)
    items = world.items(world.convolved, lambda one: one.kind.padded[0], lambda one: one.rank)
    spectrum_in, spectrum_out, want = world.noise("spectrum_in"), world.empty("spectrum_out"), world.empty("spectrum_out")
    kernels_of(twins, world).spread(*arrays(world, *SOURCES), items, BATCH, world.transfer, spectrum_in, spectrum_out)
    for i, plane, rows, b in rows_of(items):
        one = world.each[i]
        before = world.plane(spectrum_in, "spectrum_in", i, b, plane if one.kind.last else 0).astype(complex)
        world.plane(want, "spectrum_out", i, b, plane)[rows] = (before * one.transfer[plane])[rows]
    assert_equal(spectrum_out, want)


def test_unload(twins, world):
    items = world.items(world.unmixed, lambda one: len(one.rows), lambda one: one.planes)
    planes, templates, want = world.noise("out"), np.full_like(world.templates, np.nan), np.full_like(world.templates, np.nan)
    kernels_of(twins, world).unload(*arrays(world, *SOURCES), items, *arrays(world, *FOLDED), planes, templates)
    for i, plane, rows, b in rows_of(items):
        one = world.each[i]

        def crop(_, i=i, b=b, plane=plane, one=one):
            full, (y, x) = world.plane(planes, "out", i, b, plane).astype(float), one.offset
            return full[y : y + one.ny, x : x + one.nx] / full.size

        world.template(want, i, b, plane)[rows] = template(one, b, plane, crop)[rows]
    assert_equal(templates, want)


@pytest.mark.parametrize("left_out", [0, 2])
def test_gather(twins, world, left_out):
    world.leave_out(left_out)
    items = world.items(world.convolved, lambda one: one.kind.padded[0], lambda one: one.planes_in)
    spectrum_out, spectrum_in, want = world.noise("spectrum_out"), world.empty("spectrum_in"), world.empty("spectrum_in")
    kernels_of(twins, world).gather(*arrays(world, *SOURCES), items, BATCH, world.transfer, spectrum_out, spectrum_in)
    for i, plane, rows, b in rows_of(items):
        one = world.each[i]
        total = 0
        for l in [plane] if one.kind.last else range(one.rank):
            total = total + np.conj(one.transfer[l]) * world.plane(spectrum_out, "spectrum_out", i, b, l).astype(complex)
        world.plane(want, "spectrum_in", i, b, plane)[rows] = total[rows]
    assert_equal(spectrum_in, want)


def back_items(world):
    """Items of `back` on all images, and the number of places for their sums; images with the PSF last, and one without, want sums."""
    items = world.items(range(len(world.each)), lambda one: one.ny, lambda one: 1)
    n_parts = 2
    for item in items:
        one = world.each[item[t.W_WHAT]]
        if one.kind.last or one.kind.stride > 1:
            item[t.W_PART], item[t.W_CHUNKS] = n_parts, 2
            n_parts += 2 * len(one.flux[0])
    return items, n_parts


def test_back(twins, world):
    items, n_parts = back_items(world)
    planes, adjoint, parts = world.noise("in"), np.full_like(world.image, np.nan), np.full((BATCH, n_parts), np.nan)
    tables = arrays(world, "sources", "datasets", "rows", "images", "groups")
    kernels_of(twins, world).back(*tables, items, *arrays(world, *FOLDED), world.slope, planes, adjoint, parts)
    want, want_parts = np.full_like(adjoint, np.nan), np.full_like(parts, np.nan)
    for (i, _, rows, b), item in zip(rows_of(items), np.repeat(items, BATCH, axis=0), strict=True):
        one = world.each[i]
        q = [carried_back(world, planes, i, b, k) for k in range(one.planes_in if one.kind.psf else one.edisp.shape[1])]
        field = [one.exposure[l] * sum(one.edisp[l, k] * q[k] for k in range(len(q))) for l in range(len(one.flux[b]))]
        by_image = q[0] if one.kind.psf and not one.kind.last else sum(f * h for f, h in zip(one.flux[b], field, strict=True))
        world.box(want, i, b)[rows] = by_image[rows]
        if item[t.W_PART] >= 0:
            for l, h in enumerate(field):
                want_parts[b, item[t.W_PART] + 2 * l] = (one.image[b].astype(float) * h)[rows].sum()
    assert_equal(adjoint, want)
    np.testing.assert_allclose(parts, want_parts, rtol=1e-11, atol=1e-12)


def carried_back(world, planes, i, b, k):
    """q[k] on the box of an image: its plane before the PSF, shifted back, or the slope itself."""
    one = world.each[i]
    if one.kind.psf is None:
        begin = world.rows[world.datasets[one.kind.dataset, t.D_ROW] + k, t.R_BEGIN]
        return world.slope[b, begin + one.columns].astype(float)
    plane = world.plane(planes, "in", i, b, k).astype(float)
    return np.roll(plane, one.offset, axis=(0, 1))[: one.ny, : one.nx] / plane.size


def test_dot(twins, world):
    rng = np.random.default_rng(8)
    gradients, adjoint = rng.normal(size=(3, 1100)).astype(world.real), rng.normal(size=(3, 1003)).astype(world.real)
    items = np.array([[0, 5, 0, 700, 3], [0, 5, 700, 1003, 1], [20, 11, 30, 30, 0], [20, 11, 3, 44, 4]])
    parts = np.full((3, 6), np.nan)
    kernels_of(twins, world).dot(gradients, items, adjoint, parts)
    want = np.full_like(parts, np.nan)
    for image, gradient, begin, end, part in items:
        terms = adjoint[:, image + begin : image + end].astype(float) * gradients[:, gradient + begin : gradient + end].astype(float)
        want[:, part] = terms.sum(axis=1)
    np.testing.assert_allclose(parts, want, rtol=1e-11, atol=1e-12)


def test_no_items(twins):
    world, none = World(), np.empty((0, 6), np.int64)
    spectrum = world.empty("spectrum_in")
    kernels_of(twins, world).gather(*arrays(world, *SOURCES), none, BATCH, world.transfer, world.noise("spectrum_out"), spectrum)
    parts = np.full((2, 1), np.nan)
    kernels_of(twins, world).dot(np.ones((2, 4)), none[:, :5], np.ones((2, 4)), parts)
    assert np.isnan(spectrum).all()
    assert np.isnan(parts).all()


# ---- the whole chain -------------------------------------------------------------------------------------------------------------------
def all_items(world, images, rows, planes):
    """One item for each plane."""
    return np.array([[i, plane, 0, rows(world.each[i]), -1, 1] for i in images for plane in range(planes(world.each[i]))])


def transformed(world, array, side, out):
    """Real planes to spectra or back, not normalised, with NumPy."""
    result = world.empty(out)
    for before, after, row in zip(world.by_group(array, side), world.by_group(result, out), world.groups, strict=True):
        shape = row[t.F_NY], row[t.F_NX]
        after[:] = np.fft.irfft2(before, s=shape) * np.prod(shape) if "spectrum" in side else np.fft.rfft2(before)
    return result


def forward(twins, world):
    """Templates of all images."""
    kernel, tables, folded = kernels_of(twins, world), arrays(world, *SOURCES), arrays(world, *FOLDED)
    padded = lambda one: one.kind.padded[0]  # noqa: E731
    planes_in, spectrum_out, templates = world.empty("in"), world.empty("spectrum_out"), np.full_like(world.templates, np.nan)
    kernel.load(*tables, all_items(world, world.convolved, padded, lambda one: one.planes_in), *folded, planes_in)
    spectrum_in = transformed(world, planes_in, "in", "spectrum_in")
    items = all_items(world, world.convolved, padded, lambda one: one.rank)
    kernel.spread(*tables, items, BATCH, world.transfer, spectrum_in, spectrum_out)
    planes_out = transformed(world, spectrum_out, "spectrum_out", "out")
    items = all_items(world, world.unmixed, lambda one: len(one.rows), lambda one: one.planes)
    kernel.unload(*tables, items, *folded, planes_out, templates)
    for i in world.mixed:
        for b in range(BATCH):
            for plane in range(world.each[i].planes):  # these are never stored
                world.template(templates, i, b, plane)[:] = world.mixture(planes_out, i, b, plane)
    return templates


def test_chain_is_the_convolution(twins, world):
    templates, want = forward(twins, world), np.full_like(world.templates, np.nan)
    for i, one in enumerate(world.each):
        for b in range(BATCH):
            for plane in range(one.planes):

                def convolve(x, one=one, plane=plane):
                    (oy, ox), full = one.offset, scipy.signal.convolve2d(x, one.psf[plane])
                    return full[oy : oy + one.ny, ox : ox + one.nx]

                world.template(want, i, b, plane)[:] = template(one, b, plane, convolve)
    rtol = 1e-12 if world.real == "float64" else 2e-6
    np.testing.assert_allclose(templates, want, rtol=rtol, atol=rtol * np.nanmax(want))


def test_the_way_back_is_the_transpose(twins):
    """<r, T> is the sum over pixels of s times its derivative, and where the PSF acts last also the sum of F times its derivative."""
    world = World()
    templates = forward(twins, world)
    kernel, tables, folded = kernels_of(twins, world), arrays(world, *SOURCES), arrays(world, *FOLDED)
    padded = lambda one: one.kind.padded[0]  # noqa: E731
    slopes = np.random.default_rng(9).normal(size=templates.shape)
    field, spectrum_in = np.zeros_like(world.empty("out")), world.empty("spectrum_in")
    for i in world.convolved:
        one = world.each[i]
        for b in range(BATCH):
            for n in range(one.rank):
                world.plane(field, "out", i, b, n)[:] = 0
            for plane in range(one.planes):  # what `fold_pull` and `mix_pull` do with the slope, for F = 1
                slope = world.template(slopes, i, b, plane)
                slope = slope if one.kind.last else slope * one.exposure[plane]
                for n in np.flatnonzero(one.mixing[plane]):
                    world.plane(field, "out", i, b, n)[: one.ny, : one.nx] += one.mixing[plane, n] * slope
    items = all_items(world, world.convolved, padded, lambda one: one.planes_in)
    kernel.gather(*tables, items, BATCH, world.transfer, transformed(world, field, "out", "spectrum_out"), spectrum_in)
    planes_in = transformed(world, spectrum_in, "spectrum_in", "in")
    items = all_items(world, world.convolved, lambda one: one.ny, lambda one: 1)
    for n, item in enumerate(items):
        item[t.W_PART] = 4 * n if world.each[item[t.W_WHAT]].kind.last else -1
    adjoint, parts = np.full_like(world.image, np.nan), np.zeros((BATCH, 4 * len(items)))
    back = arrays(world, "sources", "datasets", "rows", "images", "groups")
    kernel.back(*back, items, *folded, world.slope, planes_in, adjoint, parts)
    for n, i in enumerate(world.convolved):
        one = world.each[i]
        for b in range(BATCH):
            pairs = [world.template(slopes, i, b, plane) * world.template(templates, i, b, plane) for plane in range(one.planes)]
            want, scale = np.sum(pairs), 1e-13 * np.abs(pairs).sum()
            assert (world.box(adjoint, i, b) * one.image[b]).sum() == pytest.approx(want, abs=scale)
            if one.kind.last:
                assert (parts[b, 4 * n : 4 * n + len(one.flux[b])] * one.flux[b]).sum() == pytest.approx(want, abs=scale)


@pytest.mark.parametrize("test", [test_load, test_spread, test_unload, test_gather, test_back, test_dot])
def test_numba_with_threads(test, monkeypatch):
    """The variants that large inputs get."""
    monkeypatch.setattr(_sized, "LARGE", 0)
    more = {"left_out": 2} if test in (test_spread, test_gather) else {}
    test(lambda stem, **_: kernels.cpu(stem), World(), **more)
