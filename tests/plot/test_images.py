"""The numbers behind the pictures."""

import numpy as np
import pytest

from gpudl4.core.errors import DatasetError
from gpudl4.plot.images import cash_significance, correlation_radius, mask_image, residual_significance, summed_image
from tests.factory import make_dataset


def test_cash_significance_values():
    # 2 (n ln(n/m) - n + m) by hand: n=9, m=4 gives 2 (9 ln 2.25 - 5) = 4.5967
    assert cash_significance(9, 4) == pytest.approx(np.sqrt(4.59674), rel=1e-5)
    assert cash_significance(1, 4) == pytest.approx(-np.sqrt(2 * (np.log(0.25) + 3)))
    assert cash_significance(0, 2) == pytest.approx(-2.0)
    assert cash_significance(4, 4) == 0
    assert np.isnan(cash_significance(1, 0))
    assert np.isnan(cash_significance(0, np.nan))


def test_cash_significance_is_normal_for_poisson_noise():
    random = np.random.default_rng(1)
    values = cash_significance(random.poisson(50.0, 20000), np.full(20000, 50.0))
    assert abs(values.mean()) < 0.05
    assert values.std() == pytest.approx(1, abs=0.02)


def test_summed_image_keeps_to_the_mask():
    dataset = make_dataset()
    mask = dataset.mask_safe.data & dataset.mask_fit.data
    assert np.array_equal(summed_image(dataset.counts, dataset.mask), np.where(mask, dataset.counts.data, 0).sum(axis=0))
    assert np.array_equal(summed_image(dataset.counts), dataset.counts.data.sum(axis=0))
    assert np.array_equal(mask_image(dataset), mask.any(axis=0))
    assert mask_image(make_dataset(mask=False)).all()


def test_correlation_radius_default():
    dataset = make_dataset()  # pixels of 0.1 deg
    assert correlation_radius(dataset) == pytest.approx(0.2)
    assert correlation_radius(dataset, "0.3 deg") == pytest.approx(0.3)


def test_residual_significance_sums_disks():
    dataset = make_dataset(mask=False)
    npred = dataset.npred()
    image = residual_significance(dataset, radius="0.15 deg", npred=npred)  # nine pixels: the centre, four sides, four corners
    window = (slice(None), slice(9, 12), slice(4, 7))
    expected = cash_significance(dataset.counts.data[window].sum(), npred.data[window].sum())
    assert image.data[10, 5] == pytest.approx(float(expected), rel=1e-6)
    assert image.geom.is_image


def test_residual_significance_is_nan_outside_the_mask():
    dataset = make_dataset()
    image = residual_significance(dataset)
    assert np.array_equal(np.isfinite(image.data), mask_image(dataset))


def test_residual_significance_needs_counts():
    dataset = make_dataset()
    dataset.counts = None
    with pytest.raises(DatasetError, match="'test' has no counts"):
        residual_significance(dataset)
