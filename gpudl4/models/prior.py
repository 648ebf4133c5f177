"""Priors on parameters: each adds ``weight * -2 ln(density)`` to the statistic, normalisation included.

A prior's numbers are in the unit of the parameter it is set on. Set one by ``model.index.prior = GaussianPrior(mu=2, sigma=0.1)``.
"""

import math

import numpy as np

from ..core.errors import ModelError
from .base import ModelBase
from .parameter import Parameter
from .parameters import PriorParameters, parameter_from_dict
from .registries import PRIOR_REGISTRY

__all__ = ["GaussianPrior", "Prior", "PriorParameter", "UniformPrior"]


class PriorParameter(Parameter):
    """Parameter of a prior, e.g. the mean of a Gaussian. It is never fitted and carries no prior of its own.

    Parameters
    ----------
    name, value, unit, scale, min, max, error, scale_method, scale_transform
        As for `Parameter`.
    """

    def __init__(
        self,
        name,
        value,
        unit="",
        scale=1,
        min=np.nan,
        max=np.nan,
        error=0,
        scale_method="scale10",
        scale_transform="lin",
    ):
        super().__init__(
            name,
            value,
            unit=unit,
            scale=scale,
            min=min,
            max=max,
            error=error,
            frozen=True,
            scale_method=scale_method,
            scale_transform=scale_transform,
        )
        self._type = "prior"

    def to_dict(self):
        """Dict as models files hold it."""
        data = super().to_dict()
        return {key: data[key] for key in ("name", "value", "unit", "error", "min", "max")}


class Prior(ModelBase):
    """Base class. A prior defines ``evaluate(value, **parameters)``, the value of -2 ln(density).

    A user's prior without `gradient` and `curvature` of its own gets them by central differences.

    Parameters
    ----------
    weight : float
        Factor of the term.
    **kwargs
        The prior's parameters.
    """

    _type = "prior"

    def __init__(self, weight=1, **kwargs):
        super().__init__(**kwargs)
        self.weight = weight

    @property
    def parameters(self):
        """Parameters of the prior itself."""
        names = self.default_parameters.names
        return PriorParameters([getattr(self, name) for name in names], names)

    @property
    def bounds(self):
        """Lower and upper bound the prior puts on a parameter, NaN where there is none."""
        return math.nan, math.nan

    def _kwargs(self):
        return dict(zip(self.default_parameters.names, self.parameters.value, strict=True))

    def __call__(self, parameter):
        """Term of the statistic for a parameter (anything with a ``value``)."""
        return self.weight * self.evaluate(parameter.value, **self._kwargs())

    def gradient(self, value, **kwargs):
        """Derivative of `evaluate` with respect to the value."""
        step = 6e-6 * max(abs(value), 1e-3 * self._scale())
        return (self.evaluate(value + step, **kwargs) - self.evaluate(value - step, **kwargs)) / (2 * step)

    def curvature(self, value, **kwargs):
        """Second derivative of `evaluate` with respect to the value."""
        step = 1e-4 * max(abs(value), 1e-3 * self._scale())
        high, low = self.evaluate(value + step, **kwargs), self.evaluate(value - step, **kwargs)
        return (high - 2 * self.evaluate(value, **kwargs) + low) / step**2

    def _scale(self):
        return max([abs(p.value) for p in self.parameters if p.value != 0], default=1.0)

    def value_and_gradient(self, value):
        """Term of the statistic and its derivative with respect to the parameter's value, weight included.

        Parameters
        ----------
        value : float
            Value of the parameter in its own unit.

        Returns
        -------
        stat, gradient : float
        """
        kwargs = self._kwargs()
        return float(self.weight * self.evaluate(value, **kwargs)), float(self.weight * self.gradient(value, **kwargs))

    def second_derivative(self, value):
        """Second derivative of the term with respect to the parameter's value, weight included: its share of a Fisher matrix."""
        return float(self.weight * self.curvature(value, **self._kwargs()))

    def to_dict(self, full_output=False):
        """Dict as models files hold it, under the key ``prior``."""
        data = super().to_dict(full_output=full_output)
        data["prior"]["weight"] = float(self.weight)
        return data

    @classmethod
    def from_dict(cls, data, **kwargs):
        """Prior from its dict, with or without the key ``prior`` around it. On `Prior` itself the class follows from ``type``."""
        data = data.get("prior", data)
        if "type" not in data:
            raise ModelError(f"a prior needs a 'type', got {data}")
        if cls is Prior:
            return PRIOR_REGISTRY.get_cls(data["type"]).from_dict(data)
        unknown = set(data) - {"type", "parameters", "weight"}
        if unknown:
            raise ModelError(f"unknown key '{sorted(unknown)[0]}' of prior '{data['type']}'; known: parameters, type, weight")
        return super().from_dict({"type": data["type"], "parameters": data.get("parameters", [])}, weight=data.get("weight", 1), **kwargs)

    @staticmethod
    def _parameter_from_dict(entry):
        return parameter_from_dict(entry, cls=PriorParameter)


class GaussianPrior(Prior):
    """Gaussian: ``((x - mu) / sigma)^2 + ln(2 pi sigma^2)``.

    Parameters
    ----------
    mu : float
        Mean.
    sigma : float
        Standard deviation.
    """

    tag = ["GaussianPrior"]
    mu = PriorParameter("mu", 0)
    sigma = PriorParameter("sigma", 1)

    @staticmethod
    def evaluate(value, mu, sigma):
        """-2 ln(density)."""
        return ((value - mu) / sigma) ** 2 + math.log(2 * math.pi * sigma**2)

    def gradient(self, value, mu, sigma):
        """2 (x - mu) / sigma^2."""
        return 2 * (value - mu) / sigma**2

    def curvature(self, value, mu, sigma):
        """2 / sigma^2."""
        return 2 / sigma**2


class UniformPrior(Prior):
    """Uniform between two bounds: ``2 ln(max - min)`` inside, infinite outside. It also bounds the parameter in a fit.

    Parameters
    ----------
    min, max : float
        Bounds, both finite.
    """

    tag = ["UniformPrior"]
    min = PriorParameter("min", 0)
    max = PriorParameter("max", 1)

    @property
    def bounds(self):
        """Its bounds."""
        return self.min.value, self.max.value

    @staticmethod
    def evaluate(value, min, max):
        """-2 ln(density)."""
        inside = (value >= min) & (value <= max)
        return np.where(inside, 2 * math.log(max - min), np.inf)[()]

    def gradient(self, value, min, max):
        """Zero."""
        return 0.0

    def curvature(self, value, min, max):
        """Zero."""
        return 0.0


PRIOR_REGISTRY.extend([UniformPrior, GaussianPrior])
