"""Derivative images made in bands of rows: the matrices of whole maps, for mixed shapes, points and several datasets."""

import tracemalloc

import numpy as np
import pytest

from gpudl4.likelihood import bands, compile
from tests.factory import make_dataset


@pytest.fixture
def datasets():
    """A large Gaussian that goes through few planes and a point, seen by two instruments with maps of different size."""
    out = [make_dataset(name="first", npix=(170, 160), n_true=12), make_dataset(name="second", npix=(90, 80), n_true=12)]
    models = [model for model in out[0].models if model.name in ("point", "gauss")]
    models[1].spatial_model.sigma.value, models[1].spatial_model.e.value = 1.9, 0.3
    for dataset in out:
        dataset.models = [*models, next(model for model in dataset.models if model.name.endswith("-bkg"))]
    return out


def matrices(datasets):
    likelihood = compile(datasets, backend="numpy")
    assert any(source.is_mixed for source in likelihood.plan.terms[0].sources)
    made = likelihood._second_order(True)._made
    return len(made.bands), made.n_jacobian, *likelihood.second_derivatives(likelihood.theta0)


def test_bands_add_up(monkeypatch, datasets):
    monkeypatch.setattr(bands, "BAND", 10**9)
    number, size, *whole = matrices(datasets)
    assert number == 1
    for elements in (size // 3, size // 7, 2000):  # the last: less than one row
        monkeypatch.setattr(bands, "BAND", elements)
        number, largest, *cut = matrices(datasets)
        assert number > 2
        assert largest < size / 2
        for ours, want in zip(cut, whole, strict=True):
            scale = np.sqrt(np.diag(whole[0]))
            np.testing.assert_allclose(ours / np.outer(scale, scale), want / np.outer(scale, scale), rtol=0, atol=1e-12)


def test_every_row_is_in_one_band(monkeypatch, datasets):
    likelihood = compile(datasets, backend="numpy")
    monkeypatch.setattr(bands, "BAND", 30_000)
    made = compile(datasets, backend="numpy")._second_order(True)._made
    blocks = likelihood._second_order(True)._made.tables.blocks
    assert len(made.bands) > 2
    heights = sum(band.blocks[:, 5] for band in made.bands)
    np.testing.assert_array_equal(heights, blocks[:, 5])
    for i, first in enumerate(blocks[:, 3]):
        rows = [np.arange(band.blocks[i, 3], band.blocks[i, 3] + band.blocks[i, 5]) for band in made.bands]
        np.testing.assert_array_equal(np.concatenate(rows), first + np.arange(blocks[i, 5]))


def test_little_is_not_cut(datasets):
    likelihood = compile(make_dataset(), backend="numpy")
    assert len(likelihood._second_order(True)._made.bands) == 1


def test_evaluation_goes_on_behind_second_derivatives(monkeypatch, datasets):
    """They take the planes of the prediction away."""
    monkeypatch.setattr(bands, "BAND", 30_000)
    likelihood = compile(datasets, backend="numpy")
    theta = likelihood.theta0
    stat, gradient = likelihood.value_and_gradient(theta)
    fisher, hessian = likelihood.second_derivatives(theta)
    for _ in range(2):
        again, slopes = likelihood.value_and_gradient(theta)
        assert again == stat
        np.testing.assert_array_equal(slopes, gradient)
        for ours, before in zip(likelihood.second_derivatives(theta), (fisher, hessian), strict=True):
            np.testing.assert_array_equal(ours, before)
    np.testing.assert_array_equal(likelihood.fisher(theta), fisher)
    assert likelihood.value(theta) == pytest.approx(stat, rel=1e-14)


def test_memory_is_what_was_said(monkeypatch, datasets):
    monkeypatch.setattr(bands, "BAND", 30_000)
    tracemalloc.start()
    try:
        likelihood = compile(datasets[0], backend="numpy")
        likelihood.hessian(likelihood.theta0)  # tables are made
        likelihood.value_and_gradient(likelihood.theta0)
        items = likelihood.memory["second derivatives"]
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        likelihood.hessian(likelihood.theta0)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak == pytest.approx(sum(items.values()) - items["tables"], rel=0.1)
