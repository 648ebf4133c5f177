"""Shapes of planes on a device: few, of lengths that cuFFT likes, at places that it accepts; and the same numbers as on the host."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.fft

import gpudl4
from gpudl4.core.backend import NUMPY, Backend
from gpudl4.kernels import tables as t
from gpudl4.likelihood import image_source
from gpudl4.likelihood.items import group_transforms
from gpudl4.likelihood.transforms import padded_shape, rung, sizes_of
from tests import emulator
from tests.factory import make_dataset

needs_emulator = pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))
DEVICE = Backend("cupy", None, "cuda:0")  # only its name matters here


def test_ladder():
    lengths = np.arange(1, 5000)
    found = np.array([rung(int(n)) for n in lengths])
    assert np.all(found >= lengths)
    assert np.all(np.diff(found) >= 0)
    assert np.all(found % 8 == 0)
    rungs = np.unique(found)
    assert len(rungs) < 32
    assert [rung(int(n)) for n in rungs] == rungs.tolist()
    for left in rungs:  # no other factors than 2, 3, 5 and 7, which cuFFT has fast code for
        for factor in (2, 3, 5, 7):
            while left % factor == 0:
                left //= factor
        assert left == 1
    assert np.all(found[lengths >= 129] < 1.25 * lengths[lengths >= 129] + 1)
    assert np.all(found[lengths >= 17] < 1.5 * lengths[lengths >= 17])


def test_small_planes_are_square():
    assert padded_shape((33, 20), DEVICE) == (48, 48)
    assert padded_shape((128, 20), DEVICE) == (128, 128)
    assert padded_shape((129, 20), DEVICE) == (160, 24)


def test_planes_on_the_host_are_the_smallest_fast_ones():
    for ny, nx in itertools.product(range(1, 200, 7), range(1, 200, 11)):
        assert padded_shape((ny, nx), NUMPY) == tuple(scipy.fft.next_fast_len(n, real=True) for n in (ny, nx))


def test_groups_begin_at_aligned_places():
    """For any shapes, odd ones too."""
    rng = np.random.default_rng(5)
    sources, images = [], []
    for i in range(40):
        ny, nx = (int(n) for n in rng.integers(3, 40, 2))
        last = bool(rng.random() < 0.5)
        sources.append(
            SimpleNamespace(has_psf=True, padded=(ny, nx), modes=nx // 2 + 1, n_planes=3, response=SimpleNamespace(psf_last=last))
        )
        image = [0] * 16
        image[t.I_SOURCE], image[t.I_GROUP], image[t.I_STRIDE], image[t.I_RANK] = i, -1, 1, int(rng.integers(1, 6))
        images.append(tuple(image))
    groups = group_transforms(images, sources)["groups"]
    assert len(groups) > 30
    offsets = groups[:, [t.F_IN, t.F_OUT, t.F_SPECTRUM_IN, t.F_SPECTRUM_OUT]]
    assert np.all(offsets * 4 % 32 == 0)  # bytes of the smallest type
    plane, half = groups[:, t.F_NY] * groups[:, t.F_NX], groups[:, t.F_NY] * (groups[:, t.F_NX] // 2 + 1)
    taken = np.stack([groups[:, t.F_IN_PLANES] * plane, groups[:, t.F_OUT_PLANES] * plane,
                      groups[:, t.F_IN_PLANES] * half, groups[:, t.F_OUT_PLANES] * half], axis=1)  # fmt: skip
    gaps = np.diff(offsets, axis=0) - taken[:-1]
    assert np.all((gaps >= 0) & (gaps < 8))
    np.testing.assert_array_equal(sizes_of(groups), offsets[-1] + taken[-1])


def scattered(number):
    """Datasets of many sizes that see the same two sources; one of them keeps its PSF in reconstructed energy."""
    rng, datasets = np.random.default_rng(1), []
    for i in range(number):
        npix = tuple(int(n) for n in rng.integers(15, 31, 2))
        datasets.append(make_dataset(name=f"d{i}", npix=npix, reco_psf=i == 1, mask=False, random_state=i))
    shared = datasets[0].models[:2]
    for dataset in datasets:
        dataset.models = [*shared, dataset.models[-1]]
    return datasets


def _same(device, host, theta):
    want, slope = host.value_and_gradient(theta)
    value, gradient = device.value_and_gradient(theta)
    scale = np.sqrt(np.diag(host.fisher(theta)))
    assert value == pytest.approx(want, rel=1e-11)
    np.testing.assert_allclose(gradient / scale, slope / scale, rtol=1e-8, atol=1e-8)


@needs_emulator
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_planes_of_any_shape_are_taken(monkeypatch, dtype):
    """Odd lengths on the device, as the host has them: cuFFT, which refuses what is not aligned, is asked and gives the right numbers."""
    monkeypatch.setattr(image_source, "padded_shape", lambda shape, backend: tuple(n | 1 for n in shape))
    datasets = scattered(5)
    host = gpudl4.compile(datasets, backend="numpy")
    with emulator.installed():
        device = gpudl4.compile(datasets, backend="cupy", dtype=dtype)
        groups = device.plan.evaluation.layout.tables.groups
        assert len(groups) >= 4
        assert np.all(groups[:, [t.F_NY, t.F_NX]] % 2 == 1)
        if dtype == "float64":
            _same(device, host, host.theta0)
            np.testing.assert_allclose(device.hessian(host.theta0), host.hessian(host.theta0), rtol=1e-6, atol=1e-3)
        else:
            assert abs(device.value(host.theta0) - host.value(host.theta0)) < device.noise + 0.01
        stat, gradient = device.evaluate(np.stack([host.theta0, 1.01 * host.theta0]))
        assert stat[0] == pytest.approx(device.value(host.theta0), rel=1e-12)
        assert np.all(np.isfinite(gradient))


@needs_emulator
def test_library_calls_do_not_grow_with_datasets():
    """Many datasets, nearly each of another size, in the shapes that a few have, and the numbers of the host."""
    found = {}
    for number in (9, 60):
        datasets = scattered(number)
        with emulator.installed():
            device = gpudl4.compile(datasets, backend="cupy")
            theta = device.theta0
            device.value_and_gradient(theta)
            device.value_and_gradient(1.001 * theta)
            with emulator.counting() as count:
                device.value_and_gradient(theta)
            host = gpudl4.compile(datasets, backend="numpy")
            _same(device, host, theta)
        shapes = {source.padded for term in host.plan.terms for source in term.sources if source.kind == "image"}
        found[number] = len(shapes), count.api_calls, count.launches
    assert found[60][0] > 20  # on the host, each of them fast
    assert found[60][1:] == found[9][1:]
    assert found[60][1] <= 4 * 3
