"""The simulated array and field behind the demo."""

import numpy as np
import pytest
from scipy.integrate import quad

from gpudl4.cli.field import (
    background_rate,
    effective_area,
    energy_resolution,
    psf_sigma,
    simulate_field,
    start_models,
    true_models,
)


def test_array_formulas():
    assert effective_area(1.5, 0.0) == pytest.approx(1.25e6)
    assert effective_area(1.0, 2.5) == pytest.approx(effective_area(1.0, 0.0) * np.exp(-0.5))
    energy = np.geomspace(0.05, 100, 30)
    assert (np.diff(effective_area(energy, 0.0)) > 0).all()
    assert (np.diff(psf_sigma(energy, 0.0)) < 0).all()
    assert (np.diff(energy_resolution(energy)) < 0).all()
    assert background_rate(0.2, 3.0, 0.0) == pytest.approx(quad(lambda e: 20 * e**-2.7, 0.2, 3.0)[0])


def test_start_is_off_the_truth_in_every_free_parameter():
    for true, start in zip(true_models().parameters, start_models().parameters, strict=True):
        assert true.frozen == start.frozen
        assert (true.value != start.value) == (not true.frozen), true.name


def test_simulation():
    dataset = simulate_field(seed=3, n_pixels=60)
    assert dataset.counts.data.shape == (10, 60, 60)
    assert dataset.exposure.data.shape == (20, 60, 60)
    assert dataset.counts.data.sum() == simulate_field(seed=3, n_pixels=60).counts.data.sum()
    npred = dataset.npred().data
    assert abs(dataset.counts.data.sum() - npred.sum()) < 5 * np.sqrt(npred.sum())
    # background per pixel at the pointing, integrated by hand: 1.1 is its norm, and the tilt acts at the centre of the bin
    edges = dataset.background.geom.axes["energy"].edges.value
    pixel = np.deg2rad(0.02) ** 2
    expected = background_rate(edges[0], edges[1], np.hypot(0.01, 0.01)) * pixel * 180000
    assert dataset.background.data[0, 29, 29] == pytest.approx(expected, rel=1e-4)
    assert dataset.npred_background().data[0, 29, 29] == pytest.approx(1.1 * expected * np.sqrt(edges[0] * edges[1]) ** -0.05, rel=1e-4)


def test_psf_widens_with_the_offset():
    dataset = simulate_field(n_pixels=60)
    geom = dataset.psf.psf_map.geom
    rad = geom.axes["rad"].center.to_value("deg")
    values = dataset.psf.psf_map.data[10]  # energy_true, then rad, lat, lon
    second = (values * rad[:, None, None] ** 3).sum(axis=0) / (values * rad[:, None, None]).sum(axis=0)
    energy = geom.axes["energy_true"].center.to_value("TeV")[10]
    offset = geom.to_image().separation(geom.center_skydir).deg
    assert np.allclose(np.sqrt(second / 2), psf_sigma(energy, offset), rtol=2e-3)
