"""The minimiser on a small Poisson problem whose answer a general solver knows."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize

from gpudl4.fit.certify import certify
from gpudl4.fit.scoring import Counter, approach, descend


class Decay:
    """Counts of an exponential decay on a flat background: mu = a exp(-b x) + c."""

    names = ("a", "b", "c")
    noise = 0.0

    def __init__(self, counts, x, bounds=None):
        self.counts, self.x = counts, x
        self.plan = SimpleNamespace(terms=())
        self.bounds = np.array([[-np.inf, np.inf]] * 3) if bounds is None else np.array(bounds, dtype=float)

    def _mu(self, theta):
        a, b, c = theta
        shape = np.exp(-b * self.x)
        return a * shape + c, np.array([shape, -a * self.x * shape, np.ones_like(self.x)])

    def value_and_gradient(self, theta, cells=None):
        mu, jacobian = self._mu(theta)
        mu = np.maximum(mu, 1e-25)
        return 2 * np.sum(mu - self.counts * np.log(mu)), 2 * jacobian @ (1 - self.counts / mu)

    def value(self, theta, cells=None):
        return self.value_and_gradient(theta)[0]

    def fisher(self, theta, cells=None):
        mu, jacobian = self._mu(theta)
        return 2 * (jacobian / np.maximum(mu, 1e-25)) @ jacobian.T

    def metric(self, theta, cells=None):
        return self.fisher(theta)

    def cells(self, theta):
        return []

    def is_valid(self, theta):
        return True


@pytest.fixture
def problem():
    rng = np.random.default_rng(3)
    x = np.linspace(0, 5, 60)
    return Decay(rng.poisson(80 * np.exp(-0.9 * x) + 4.0), x)


@pytest.mark.parametrize("start", [(80, 0.9, 4), (20, 0.2, 1), (300, 3.0, 20), (5, 0.01, 40)])
def test_minimum_from_anywhere(problem, start):
    counter = Counter()
    likelihood, theta, *_ = approach(problem, np.array(start, dtype=float), counter)
    found = descend(likelihood, theta, likelihood.cells(theta), counter)
    want = minimize(problem.value, (80, 0.9, 4), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4000})
    assert found.converged
    assert found.stat == pytest.approx(want.fun, abs=1e-7)
    sigma = np.sqrt(2 / np.diag(found.metric))
    assert np.abs((found.theta - want.x) / sigma).max() < 1e-3  # an edm of 1e-8 leaves 1e-4 sigma
    assert counter.gradients < 60


def test_bounds_hold_and_are_reported(problem):
    problem.bounds = np.array([[0, np.inf], [1.2, 3.0], [0, np.inf]])
    counter = Counter()
    likelihood, theta, *_ = approach(problem, np.array([50.0, 2.0, 3.0]), counter)
    found = descend(likelihood, theta, [], counter)
    assert found.converged
    assert found.theta[1] == pytest.approx(1.2)
    assert found.at_bound.tolist() == [False, True, False]
    want = minimize(lambda p: problem.value([p[0], 1.2, p[1]]), (80, 4), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11})
    assert found.stat == pytest.approx(want.fun, abs=1e-6)
    verdict = certify(likelihood, found, counter)
    assert verdict.valid
    assert verdict.theta[1] == pytest.approx(1.2)


def test_parameters_of_very_different_size(problem):
    """A reference energy far from the pivot must not decide convergence: scales may differ by ten orders of magnitude."""

    class Scaled(Decay):
        scale = np.array([1e-11, 1.0, 1e6])

        def value_and_gradient(self, theta, cells=None):
            stat, gradient = super().value_and_gradient(theta / self.scale)
            return stat, gradient / self.scale

        def fisher(self, theta, cells=None):
            return super().fisher(theta / self.scale) / np.outer(self.scale, self.scale)

    scaled, counter = Scaled(problem.counts, problem.x), Counter()
    theta = np.array([20.0, 0.2, 1.0]) * Scaled.scale
    likelihood, theta, *_ = approach(scaled, theta, counter)
    found = descend(likelihood, theta, [], counter)
    plain = descend(problem, found.theta / Scaled.scale, [], counter)
    assert found.converged
    assert found.stat == pytest.approx(plain.stat, abs=1e-7)


def test_migrad_agrees(problem):
    counter = Counter()
    _, theta, *_ = approach(problem, np.array([20.0, 0.2, 1.0]), counter)
    found = descend(problem, theta, [], counter)
    verdict = certify(problem, found, counter)
    assert verdict.valid
    assert found.stat - 1e-6 < verdict.stat < found.stat + 2e-4  # MIGRAD stops at an edm of 2e-4
    assert verdict.n_calls < 10


def test_last_step_may_be_left_unseen(problem):
    start = np.array([75.0, 0.85, 4.5])
    seen, unseen = Counter(), Counter()
    found = descend(problem, start, [], seen)
    left = descend(problem, start, [], unseen, leave=2e-3)
    assert 2 <= unseen.gradients < seen.gradients
    assert left.converged
    assert left.stat == pytest.approx(problem.value(left.theta), abs=5e-4)  # what the model promised is what is there
    sigma = np.sqrt(2 / np.diag(found.metric))
    assert np.abs((left.theta - found.theta) / sigma).max() < 0.05
    np.testing.assert_allclose(left.gradient * sigma, problem.value_and_gradient(left.theta)[1] * sigma, atol=0.05)
    first = descend(problem, found.theta, [], counter := Counter(), leave=1e9)  # the model has not shown yet that it is right
    assert counter.gradients == 1
    assert first.stat == pytest.approx(found.stat, abs=1e-7)


def test_parameter_without_data_stays(problem):
    class Extra(Decay):
        names = ("a", "b", "c", "nothing")

        def value_and_gradient(self, theta, cells=None):
            stat, gradient = super().value_and_gradient(theta[:3])
            return stat, np.append(gradient, 0.0)

        def fisher(self, theta, cells=None):
            out = np.zeros((4, 4))
            out[:3, :3] = super().fisher(theta[:3])
            return out

    extra, counter = Extra(problem.counts, problem.x, [[-np.inf, np.inf]] * 4), Counter()
    _, theta, *_ = approach(extra, np.array([20.0, 0.2, 1.0, 7.0]), counter)
    found = descend(extra, theta, [], counter)
    assert found.converged
    assert found.theta[3] == 7.0
    assert certify(extra, found, counter).valid
