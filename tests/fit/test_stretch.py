"""The minimiser's coordinates of amplitudes, and what they are for."""

from types import SimpleNamespace

import numpy as np
import pytest

from gpudl4.fit.scoring import Counter, approach, descend
from gpudl4.fit.stretch import Stretch

NAMES = ("crab.amplitude", "crab.index", "bkg.norm", "crab.amplitude_2")
METRIC = np.diag([2e24, 200.0, 0.0, 8.0])


def test_only_constrained_amplitudes_and_norms_are_stretched():
    theta = np.array([3e-11, 2.3, 1.1, 5.0])
    stretch = Stretch(NAMES, METRIC)
    u = stretch.to_u(theta)
    assert u[0] == pytest.approx(np.arcsinh(3e-11 / 1e-12))
    np.testing.assert_array_equal(u[1:], theta[1:])
    np.testing.assert_array_equal(stretch.slope(theta)[1:], 1.0)


@pytest.mark.parametrize("amplitude", [4e-11, 1e-13, 0.0, -2e-12])
def test_back_and_slope(amplitude):
    theta = np.array([amplitude, 2.3, 1.1, 5.0])
    stretch = Stretch(NAMES, METRIC)
    u = stretch.to_u(theta)
    np.testing.assert_allclose(stretch.to_theta(u), theta, rtol=1e-13, atol=1e-26)
    step = np.array([1e-6, 0, 0, 0])
    numeric = (stretch.to_theta(u + step) - stretch.to_theta(u - step))[0] / 2e-6
    assert stretch.slope(theta)[0] == pytest.approx(numeric, rel=1e-8)


def test_infinite_bounds_stay_infinite():
    stretch = Stretch(NAMES, METRIC)
    np.testing.assert_array_equal(stretch.to_u(np.full(4, np.inf)), np.inf)
    np.testing.assert_array_equal(stretch.to_u(np.full(4, -np.inf)), -np.inf)


class FarFromPivot:
    """Counts ``A x ** -(index + curvature ln x)`` at x from 200 to 40000: A is strongly correlated with both other parameters."""

    names = ("s.amplitude", "s.index", "s.curvature")
    bounds = np.array([[-np.inf, np.inf]] * 3)
    noise = 0.0
    plan = SimpleNamespace(terms=())
    x = np.geomspace(200, 40000, 12)
    truth = np.array([8e7, 1.65, 0.04])

    def __init__(self, seed):
        self.counts = np.random.default_rng(seed).poisson(self._mu(self.truth))

    def _mu(self, theta):
        return theta[0] * self.x ** -(theta[1] + theta[2] * np.log(self.x))

    def _jacobian(self, theta):
        mu, log = self._mu(theta), np.log(self.x)
        return mu, np.array([mu / theta[0], -mu * log, -mu * log**2])

    def value_and_gradient(self, theta, cells=None):
        mu, jacobian = self._jacobian(theta)
        safe = np.maximum(mu, 1e-25)
        return 2 * np.sum(safe - self.counts * np.log(safe)), 2 * jacobian @ (1 - self.counts / safe)

    def metric(self, theta, cells=None):
        mu, jacobian = self._jacobian(theta)
        return 2 * (jacobian / np.maximum(mu, 1e-25)) @ jacobian.T

    def cells(self, theta):
        return []

    def is_valid(self, theta):
        return True


@pytest.mark.parametrize("seed", range(5))
def test_reference_energy_far_from_the_pivot(seed):
    """Steps in the amplitude itself took more than a hundred evaluations here and stopped before the minimum."""
    problem, counter = FarFromPivot(seed), Counter()
    _, theta, _, metric = approach(problem, problem.truth * [0.5, 0.97, 1.1], counter)
    found = descend(problem, theta, [], counter, metric=metric)
    assert found.converged
    assert counter.gradients < 25
    curvature = problem.metric(found.theta)
    assert found.gradient @ np.linalg.solve(curvature, found.gradient) / 2 < 1e-5
