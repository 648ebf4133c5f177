"""The device's likelihood on real data: equal to the host's in double precision, and near enough in single."""

import numpy as np
import pytest

import gpudl4
from benchmarks.cases import CASES, attach
from tests import emulator
from tests.paths import shared_data

pytestmark = pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))


def _datasets(name):
    case, folder = CASES[name], shared_data()
    for file in case.files:
        shared_data(*file.split("/"))
    datasets = case.read("gpudl4", folder)
    attach("gpudl4", datasets, case.models("gpudl4", folder))
    return datasets


def _thetas(likelihood, number):
    rng = np.random.default_rng(11)
    sigma = np.sqrt(2 / np.diag(likelihood.fisher(likelihood.theta0)))
    return likelihood.theta0 + 2 * sigma * rng.normal(size=(number, len(sigma))), sigma


@pytest.mark.parametrize(("name", "number"), [("cta-point", 20), ("hawc", 20), ("fermi-gc", 5)])
def test_value_and_gradient_equal_the_host(name, number):
    datasets = _datasets(name)
    host = gpudl4.compile(datasets, backend="numpy")
    thetas, sigma = _thetas(host, number)
    with emulator.installed():
        device = gpudl4.compile(datasets, backend="cupy")
        for theta in thetas:
            want, slope = host.value_and_gradient(theta)
            value, gradient = device.value_and_gradient(theta)
            terms = sum(2 * np.abs(term.counts).sum() for term in host.plan.terms)  # far less than the sum of |terms|, so stricter
            assert abs(value - want) < 1e-11 * terms
            assert np.all(np.abs(gradient - slope) * sigma < 1e-11 * terms)


@pytest.mark.parametrize("name", ["cta-point", "hawc"])
@pytest.mark.parametrize("where", ["numpy", "cupy"])
def test_single_precision_keeps_differences_of_the_statistic(name, where):
    """Hypotheses a few sigma apart: how far single precision changes the difference between two of them."""
    datasets = _datasets(name)
    with emulator.installed():
        double = gpudl4.compile(datasets, backend="numpy")
        single = gpudl4.compile(datasets, backend=where, dtype="float32")
        thetas, _ = _thetas(double, 6)
        want = np.array([double.value(theta) for theta in thetas])
        got = np.array([single.value(theta) for theta in thetas])
    assert np.ptp(want) > 1
    assert np.abs((got - got[0]) - (want - want[0])).max() < 0.05


def test_a_whole_fit_ends_where_the_host_ends():
    here, there = _datasets("cta-point"), _datasets("cta-point")
    want = gpudl4.Fit().run(here)
    with emulator.installed():
        result = gpudl4.Fit().run([dataset.to_device("cupy") for dataset in there])
    assert result.success
    assert result.total_stat == pytest.approx(want.total_stat, abs=1e-3)
    assert np.abs((result.values - want.values) / want.errors).max() < 0.01
