"""Amplitudes and norms fitted roughly: near the minimum of a convex problem, positive, and with all else held."""

import numpy as np
import pytest

from benchmarks.fields import background, make_dataset, point
from gpudl4.fit.fluxes import fit_fluxes, is_flux
from gpudl4.fit.scoring import Counter, descend
from gpudl4.likelihood import compile
from gpudl4.models import Models


def _likelihood(times):
    models = Models([point("a", 0.31, 0.113, amplitude=2e-12), point("b", -0.277, -0.19, amplitude=1e-12), background()])
    dataset = make_dataset(n_pixels=80, n_energy=4, n_true=6, models=models, seed=4)
    for model, factor in zip(models, times, strict=False):
        model.spectral_model.amplitude.value *= factor
    return compile(dataset)


@pytest.mark.parametrize(("name", "expected"), [("a.amplitude", True), ("bkg.norm", True), ("a.index", False), ("norm.lon_0", False)])
def test_is_flux(name, expected):
    assert is_flux(name) is expected


@pytest.mark.parametrize("times", [(5.0, 0.2), (0.2, 5.0), (50.0, 1.0)])
def test_near_the_minimum_with_all_else_held(times):
    likelihood, counter = _likelihood(times), Counter()
    theta, metric = fit_fluxes(likelihood, likelihood.theta0, counter)
    flux = np.array([is_flux(name) for name in likelihood.names])
    assert np.array_equal(theta[~flux], likelihood.theta0[~flux])
    bounds = np.repeat(theta[:, np.newaxis], 2, axis=1)
    bounds[flux] = likelihood.bounds[flux]
    best = descend(likelihood, theta, likelihood.cells(theta), Counter(), bounds=bounds)
    assert likelihood.value(theta) < best.stat + 3.0
    assert metric.shape == 2 * (len(theta),)
    assert counter.gradients < 12


def test_a_source_without_counts_stays_positive():
    models = Models([point("a", 0.31, 0.113, amplitude=2e-12), background()])
    dataset = make_dataset(n_pixels=80, n_energy=4, n_true=6, models=models, seed=4)
    models[0].spatial_model.lon_0.value -= 0.6  # nothing is there
    likelihood = compile(dataset)
    theta, _ = fit_fluxes(likelihood, likelihood.theta0, Counter())
    found = theta[likelihood.names.index("a.amplitude")]
    assert 0 < found < 0.1 * 2e-12


def test_nothing_to_fit_is_no_work():
    likelihood = _likelihood((1.0, 1.0))
    for parameter in likelihood.parameters:
        parameter.frozen = is_flux(f"model.{parameter.name}")
    likelihood = compile(likelihood.plan.datasets)
    counter = Counter()
    theta, _ = fit_fluxes(likelihood, likelihood.theta0, counter)
    assert np.array_equal(theta, likelihood.theta0)
    assert counter.gradients == 1
