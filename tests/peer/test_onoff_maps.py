"""Real cubes with their background as off counts, and as images of one energy bin: prediction and statistic as in gammapy, and fits."""

import numpy as np
import pytest

pytest.importorskip("gammapy")

import astropy.units as u
from astropy.coordinates import SkyCoord

import gpudl4
from benchmarks.cases import library

from .cases import fresh, gammapy_radii
from .test_spectra import terms

pytestmark = pytest.mark.peer

PLANE_TOLERANCE, STAT_TOLERANCE = 1e-6, 5e-9
CENTRE = {"cta-point-off": SkyCoord(0, 0, unit="deg", frame="galactic"), "hawc": SkyCoord(83.63, 22.01, unit="deg")}


def cut(package, case):
    """The first dataset of a case around its source, and the model of the source."""
    datasets, models = fresh(package, case)
    dataset = datasets[0].cutout(CENTRE[case], width=2 * u.deg, name="cut")
    source = models["gc" if case == "cta-point-off" else "crab"]
    return dataset, source


def on_off(package, case):
    """An ON-OFF dataset whose off counts are five times the background, rounded."""
    lib = library(package)
    dataset, source = cut(package, case)
    ones = dataset.counts.copy(data=np.ones(dataset.counts.data.shape, dtype=np.float32))
    off = dataset.counts.copy(data=np.rint(5 * dataset.background.data).astype(np.float32))
    out = lib.MapDatasetOnOff.from_map_dataset(dataset, acceptance=ones, acceptance_off=ones * 5, counts_off=off, name="on-off")
    out.models = [source]
    return out


@pytest.mark.parametrize("case", CENTRE)
def test_on_off_cubes(case):
    ours = on_off("gpudl4", case)
    with gammapy_radii():
        theirs = on_off("gammapy", case)
        expected, background, stat = theirs.npred_signal().data, theirs.npred_background().data, theirs.stat_sum()
    found = ours.npred_signal().data
    peak = expected.max(axis=(1, 2))
    assert peak.max() > 0
    assert np.all(np.abs(found - expected).max(axis=(1, 2)) <= PLANE_TOLERANCE * np.maximum(peak, 1e-12))
    np.testing.assert_allclose(ours.npred_background().data, background, rtol=1e-5, atol=1e-6 * background.max())
    assert abs(ours.stat_sum() - stat) <= STAT_TOLERANCE * terms([ours])
    likelihood = gpudl4.compile([ours])
    assert likelihood.value(likelihood.theta0) == pytest.approx(ours.stat_sum(), rel=1e-12)


def test_gradient_of_an_on_off_cube():
    """With off counts in every bin: without them the slope of wstat has kinks, where differences are half right."""
    dataset = on_off("gpudl4", "cta-point-off")
    dataset.counts_off = dataset.counts_off.copy(data=dataset.counts_off.data + 1)
    likelihood = gpudl4.compile([dataset])
    gpudl4.likelihood.assert_gradient(likelihood, likelihood.theta0)


@pytest.mark.parametrize("case", CENTRE)
def test_on_off_cubes_are_fitted(case):
    ours = on_off("gpudl4", case)
    result = gpudl4.Fit().run([ours])
    assert result.success
    assert result.total_stat == pytest.approx(ours.stat_sum(), rel=1e-12)
    spatial = ours.models[0].spatial_model
    assert spatial.position.separation(CENTRE[case]) < 0.2 * u.deg
    assert 0 < spatial.lon_0.error < 0.1


def test_an_image_is_predicted_and_fitted():
    """All energies in one bin: a 2D analysis."""
    images = {}
    for package in ("gpudl4", "gammapy"):
        dataset, source = cut(package, "cta-point-off")
        images[package] = dataset.to_image(name="image")
        images[package].models = [source]
    ours, theirs = images["gpudl4"], images["gammapy"]
    assert ours.data_shape == theirs.data_shape
    assert ours.data_shape[0] == 1
    with gammapy_radii():
        expected, stat = theirs.npred().data, theirs.stat_sum()
    found = ours.npred().data
    assert np.abs(found - expected).max() <= PLANE_TOLERANCE * expected.max()
    assert ours.stat_sum() == pytest.approx(stat, rel=1e-7)
    for name in ("index", "lambda_"):  # one bin knows no spectrum
        ours.models[0].parameters[name].frozen = True
    result = gpudl4.Fit().run([ours])
    assert result.success
    assert result.total_stat <= stat
    assert ours.models[0].spatial_model.position.separation(CENTRE["cta-point-off"]) < 0.1 * u.deg
