"""The numbers behind the pictures."""

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import DatasetError
from gpudl4.plot.images import cash_significance, correlation_radius, display_energy, mask_image, residual_significance, summed_image
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


def test_correlation_radius():
    assert correlation_radius(make_dataset(), "0.3 deg") == pytest.approx(0.3)
    dense = make_dataset(counts=50)
    assert correlation_radius(dense) == pytest.approx(0.2)  # two pixels of 0.1 deg
    sparse = make_dataset(npix=(100, 90), counts=0)
    sparse.counts.data[1] = 0.2
    inside = mask_image(sparse)
    density = summed_image(sparse.counts, sparse.mask).sum() / inside.sum()
    radius = correlation_radius(sparse)
    assert np.pi * (radius / 0.1) ** 2 * density == pytest.approx(10, rel=0.05)
    assert correlation_radius(make_dataset(npix=(100, 90), counts=0)) == pytest.approx(0.9)  # a tenth of the map


@pytest.mark.parametrize(
    ("text", "shown"), [("5e8 keV", "500 GeV"), ("2e9 keV", "2 TeV"), ("1 GeV", "1 GeV"), ("0.5 GeV", "500 MeV"), ("0.2 MeV", "200 keV")]
)
def test_display_energy(text, shown):
    value = display_energy(u.Quantity([u.Quantity(text) / 10, u.Quantity(text)]))
    assert f"{value[1].value:g} {value.unit}" == shown


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
