"""The bias of wstat without fits: against plain formulas, simulations, and the gradient of the compiled likelihood."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import gpudl4
from benchmarks.cases import library
from benchmarks.pull_cases import CASES, grouped
from benchmarks.pulls import draw
from benchmarks.wstat_bias import derivatives, main, predict, weak_signal

RIGHT = ["wstat", "sparse", "weak-grouped", "cube-ring", "cube-clear", "cube-wstat-grouped", "cube-sparse-grouped"]


def _half_wstat(signal, on, off, alpha):
    """Half of wstat with the background found by a search."""

    def stat(log_background):
        background = np.exp(log_background)
        logs = on * np.log(signal + background) + (off * np.log(background / alpha) if off else 0)
        return signal + background + background / alpha - logs

    return min(minimize_scalar(stat, bounds=bounds, method="bounded", options={"xatol": 1e-9}).fun for bounds in ((-25, 0), (0, 5)))


@pytest.mark.parametrize(("signal", "background", "alpha"), [(0.1, 0.3, 0.2), (2.0, 0.4, 0.25), (0.7, 3.0, 0.5)])
def test_the_mean_derivative_is_that_of_the_mean_statistic(signal, background, alpha):
    rng, step = np.random.default_rng(7), 1e-3
    pairs = np.column_stack((rng.poisson(signal + background, 1500), rng.poisson(background / alpha, 1500)))
    unique, number = np.unique(pairs, axis=0, return_counts=True)
    slopes = [(_half_wstat(signal + step, *pair, alpha) - _half_wstat(signal - step, *pair, alpha)) / (2 * step) for pair in unique]
    mean = np.average(slopes, weights=number)
    variance = np.average((slopes - mean) ** 2, weights=number)
    own = derivatives(signal, background, alpha)
    assert own[0] == pytest.approx(mean, abs=4 * np.sqrt(variance / 1500))
    assert own[1] == pytest.approx(variance, rel=0.15)


def test_limits():
    mean, variance, second = derivatives(50.0, 200.0, 0.1)  # many off counts: the errors of on and off counts add up
    assert abs(mean) * np.sqrt(1 / second) < 0.01
    assert variance == pytest.approx(second, rel=0.01)
    assert 1 / second == pytest.approx(250 + 0.1 * 200, rel=0.02)
    mean, variance, second = derivatives(30.0, 1e-9, 0.2)  # no background: that of a known one
    assert mean == pytest.approx(0, abs=1e-6)
    assert variance == pytest.approx(1 / 30, rel=1e-5)
    assert derivatives(1e-3, 1e-9, 0.2)[0] == pytest.approx(1 - 1e-3 * 6, rel=1e-2)  # a count is a sixth of one to it


@pytest.mark.parametrize(("name", "number"), [("weak", 100), ("cube-sparse-double", 25), ("cube-clear-double", 60)])
def test_the_gradient_of_the_likelihood_has_the_predicted_mean(name, number):
    """In the direction of the amplitude, with the metric of the likelihood itself."""
    lib, case = library("gpudl4"), CASES[name]
    drawn, pulls = draw(case, lib, np.random.default_rng(11)), []
    for _ in range(number):
        likelihood = gpudl4.compile(case.datasets(lib, *next(drawn)))
        theta, amplitude = likelihood.theta0, likelihood.names.index("source.amplitude")
        covariance = np.linalg.inv(likelihood.fisher(theta) / 2)[amplitude]
        pulls.append(-covariance @ likelihood.value_and_gradient(theta)[1] / 2 / np.sqrt(covariance[amplitude]))
    predicted = predict(case, lib)
    assert set(predicted) == {"source.index", "source.amplitude"} == set(likelihood.names)
    mean, width = predicted["source.amplitude"]
    assert np.mean(pulls) == pytest.approx(mean, abs=3.5 * width / np.sqrt(number))


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right(name):
    lib = library("gpudl4")
    for mean, width in predict(CASES[name], lib).values():
        assert abs(mean) < 0.015
        assert width == pytest.approx(1, abs=0.01)
    signal = weak_signal(CASES[name], lib)
    assert signal["weak"] < 0.015 * np.sqrt(signal["all"])


def test_what_is_not():
    lib = library("gpudl4")
    for name, least in (("weak", 0.5), ("cube-wstat", 0.2), ("cube-sparse", 0.6)):
        numbers = predict(CASES[name], lib)
        assert numbers["source.amplitude"][0] < -least
        assert numbers["source.index"][0] > least
        signal = weak_signal(CASES[name], lib)
        assert signal["weak"] > 0.1 * np.sqrt(signal["all"])
    assert predict(CASES["weak-model"], lib) == {} == predict(CASES["spectrum"], lib)


def test_merged_pixels_have_to_be_much_wider_than_the_psf():
    """A point between four small pixels is shared among them; the sum of their predictions is wider than that of one merged pixel."""
    lib = library("gpudl4")
    means = {}
    for factor in (6, 10, 15):
        case = replace(CASES["cube-sparse"], prepare=partial(grouped, factor=factor))
        means[factor] = predict(case, lib)["source.amplitude"][0]
    assert means[6] == pytest.approx(-0.345, abs=0.02)
    assert means[6] < means[10] < -0.05
    assert abs(means[15]) < 0.005


def test_table(capsys):
    main()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    numbers = {row[0]: row[1:] for row in rows}
    assert {CASES[name].text.removesuffix(", float32") for name in (*RIGHT, "weak", "cube-wstat", "cube-sparse")} <= numbers.keys()
    assert numbers["MapDatasetOnOff, strong source"][:2] == ["54", "85"]
    assert float(numbers["weak source, wstat, 60 bins"][-1]) < -0.5


def test_counts_and_what_is_lost_of_them_add_up():
    signal = weak_signal(CASES["cube-sparse"], library("gpudl4"))
    assert signal["bins"] == 30 * 30 * 6
    assert signal["all"] == pytest.approx(1165.5, abs=0.5)
    assert 10 < signal["weak"] < 20
