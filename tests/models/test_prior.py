import numpy as np
import pytest

from gpudl4.core.errors import ModelError
from gpudl4.models import PRIOR_REGISTRY, GaussianPrior, Model, Parameter, Prior, PriorParameter, UniformPrior

from .numeric import derivative


def test_gaussian_is_minus_two_log_density():
    prior = GaussianPrior(mu=1, sigma=0.5, weight=2)
    parameter = Parameter("a", 1.7)
    density = np.exp(-0.5 * (0.7 / 0.5) ** 2) / (0.5 * np.sqrt(2 * np.pi))
    assert prior(parameter) == pytest.approx(-4 * np.log(density))
    stat, gradient = prior.value_and_gradient(1.7)
    assert stat == pytest.approx(prior(parameter))
    assert gradient == pytest.approx(derivative(lambda x: prior.value_and_gradient(x[0])[0], [1.7], 0, 1e-3), rel=1e-9)
    assert prior.second_derivative(1.7) == pytest.approx(2 * 2 / 0.25)
    assert np.isnan(prior.bounds).all()


def test_uniform():
    prior = UniformPrior(min=1, max=4)
    assert prior.value_and_gradient(2) == (pytest.approx(2 * np.log(3)), 0)
    assert prior.value_and_gradient(5)[0] == np.inf
    assert prior.second_derivative(2) == 0
    assert prior.bounds == (1, 4)


def test_dict_round_trip():
    prior = GaussianPrior(mu=1, sigma=0.5, weight=2)
    data = prior.to_dict()
    assert data["prior"]["type"] == "GaussianPrior"
    assert data["prior"]["weight"] == 2
    for source in (data, data["prior"]):
        again = Prior.from_dict(source)
        assert (again.mu.value, again.sigma.value, again.weight) == (1, 0.5, 2)
    assert Model.from_dict(data).sigma.value == 0.5
    assert Prior.from_dict({"type": "UniformPrior"}).bounds == (0, 1)
    assert Model.create("UniformPrior", "prior", min=2, max=3).bounds == (2, 3)


def test_wrong_dicts():
    with pytest.raises(ModelError, match="a prior needs a 'type'"):
        Prior.from_dict({"weight": 1})
    with pytest.raises(ModelError, match="unknown prior 'Cauchy'; known: GaussianPrior, UniformPrior"):
        Prior.from_dict({"type": "Cauchy"})
    with pytest.raises(ModelError, match="unknown key 'wait' of prior 'GaussianPrior'"):
        Prior.from_dict({"type": "GaussianPrior", "wait": 1})


def test_users_prior_gets_numeric_derivatives():
    class CauchyPrior(Prior):
        tag = ["CauchyPrior"]
        width = PriorParameter("width", 1)

        @staticmethod
        def evaluate(value, width):
            return 2 * np.log(np.pi * width * (1 + (value / width) ** 2))

    PRIOR_REGISTRY.append(CauchyPrior)
    try:
        prior = Prior.from_dict({"type": "CauchyPrior", "parameters": [{"name": "width", "value": 0.5}]})
    finally:
        PRIOR_REGISTRY.remove(CauchyPrior)
    x, w = 0.8, 0.5
    assert prior.value_and_gradient(x)[1] == pytest.approx(4 * x / (w**2 + x**2), rel=1e-8)
    assert prior.second_derivative(x) == pytest.approx(4 * (w**2 - x**2) / (w**2 + x**2) ** 2, rel=1e-6)
