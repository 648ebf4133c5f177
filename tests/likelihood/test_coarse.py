"""Datasets with merged pixels: sums, masks, and when they are used."""

import numpy as np
import pytest

from benchmarks.fields import background, gaussian, make_dataset, point
from gpudl4 import Fit
from gpudl4.core.backend import to_host
from gpudl4.likelihood import Likelihood, compile
from gpudl4.likelihood.coarse import drafted, original
from gpudl4.models import Models


def _field(n_pixels=121, sigma=0.3, **options):
    models = Models([gaussian("blob", 0.1, -0.05, sigma=sigma), point("point", -0.3, 0.2), background()])
    return make_dataset(n_pixels=n_pixels, n_energy=3, n_true=4, models=models, seed=5, **options)


def _draft(dataset):
    return drafted(dataset, list(dataset.models))


def test_counts_inside_whole_blocks_are_kept(backend):
    dataset = _field(n_pixels=124)
    dataset.mask_safe.data[:, :9] = False  # the third row of blocks is half in
    dataset.mask_safe.data[0] = False
    small = _draft(dataset.to_device(backend.name) if backend.name != "numpy" else dataset)
    mask = to_host(small.mask.data)
    assert mask.shape == (3, 31, 31)
    assert not mask[0].any()
    assert not mask[1:, :3].any()
    assert mask[1:, 3:].all()
    kept = dataset.counts.data[1:, 12:].sum()
    assert to_host(small.counts.data)[mask].sum() == pytest.approx(kept, rel=1e-6)
    assert small.counts.geom.pixel_scales.deg == pytest.approx(0.08, rel=1e-3)
    exposure = dataset.exposure.data.reshape(-1, 31, 4, 31, 4).mean(axis=(2, 4))
    assert to_host(small.exposure.data) == pytest.approx(exposure, rel=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_merged_counts_of_small_integers_do_not_wrap(dtype):
    dataset = _field(n_pixels=124)
    largest = int(np.iinfo(dtype).max)
    dataset.counts.data = np.full(dataset.counts.data.shape, largest, dtype=dtype)
    small = _draft(dataset)
    assert (small.counts.data[small.mask.data] == 16 * largest).all()


def test_sizes_that_cannot_be_divided_lose_pixels_at_the_border():
    small = _draft(_field(n_pixels=121))
    assert small.counts.data.shape == (3, 39, 39)
    centre = small.counts.geom.center_skydir
    assert centre.separation(_field(n_pixels=121).counts.geom.center_skydir).deg < 1e-6


def test_only_where_it_pays():
    small, large = _field(sigma=0.05), _field(sigma=0.3)
    assert _draft(small) is small
    assert original(_draft(large)) is large
    for p in large.models["blob"].spatial_model.parameters:
        p.frozen = True
    assert _draft(large) is large  # a shape that never changes is convolved once


def test_a_stand_in_is_used_again_while_it_is_wanted():
    dataset = _field(n_pixels=124, sigma=0.3)
    first = _draft(dataset)
    assert drafted(first, list(dataset.models)) is first
    dataset.models["blob"].spatial_model.sigma.value = 0.05
    assert drafted(first, list(dataset.models)) is dataset


def test_nothing_left_means_no_draft():
    dataset = _field(n_pixels=124)
    dataset.mask_safe.data[:, ::2] = False
    assert _draft(dataset) is dataset


def test_drafts_predict_what_the_dataset_predicts():
    dataset = _field(n_pixels=124)
    draft, full = compile(dataset, draft=True), compile(dataset)
    assert draft.is_draft
    assert not full.is_draft
    theta = full.theta0
    predicted = [sum(float(mu.sum()) for mu, _ in one.npred(theta)) for one in (draft, full)]
    assert predicted[0] == pytest.approx(predicted[1], rel=1e-3)
    shares = np.diag(draft.fisher(theta)) / np.diag(full.fisher(theta))
    for name, share in zip(full.names, shares, strict=True):
        if name.startswith(("blob.", "field-bkg.")):  # nothing is lost where nothing is small
            assert 0.95 < share < 1.001
        else:  # a point is blurred by its pixels
            assert 0.4 < share < 1.001


def test_the_result_does_not_rest_on_it(monkeypatch):
    dataset = _field(n_pixels=124)
    start = np.array([p.value for p in dataset.models.parameters.free_unique_parameters])
    with_draft = Fit().run(dataset)
    for p, value in zip(dataset.models.parameters.free_unique_parameters, start, strict=True):
        p.value = value
    monkeypatch.setattr("gpudl4.likelihood.compiler.drafted", lambda dataset, models: dataset)
    without = Fit().run(dataset)
    assert with_draft.total_stat == pytest.approx(without.total_stat, abs=1e-3)
    assert np.abs((with_draft.values - without.values) / without.errors).max() < 1e-2
    assert isinstance(compile(dataset), Likelihood)
