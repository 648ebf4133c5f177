"""Free parameters as one flat vector theta, and the way from theta back to the values of each model.

theta holds the unique free parameters of all models in the models' order, in the parameters' own units; a linked parameter appears once. A
`Pack` is made at compile time and copies what it needs: later edits of a parameter do not reach it.
"""

import copy
from dataclasses import dataclass

import numpy as np

__all__ = ["Pack", "SubPack", "frozen_priors"]


@dataclass(frozen=True)
class SubPack:
    """How the parameter values of one bound model derive from theta.

    Attributes
    ----------
    base : float64 array[P_model]
        Values at compile time; frozen ones stay.
    slots, indices : tuple of int
        ``values[slots[i]] = theta[indices[i]]``.
    """

    base: np.ndarray
    slots: tuple
    indices: tuple

    @property
    def is_free(self):
        """Whether anything depends on theta."""
        return bool(self.slots)

    def values(self, thetas):
        """Parameter values array[B, P_model] for thetas[B, P]."""
        out = np.repeat(self.base[np.newaxis], thetas.shape[0], axis=0)
        for slot, index in zip(self.slots, self.indices, strict=True):
            out[:, slot] = thetas[:, index]
        return out

    def scatter(self, by_value, gradient):
        """Add derivatives with respect to the model's values[B, P_model] to ``gradient[B, P]``."""
        for slot, index in zip(self.slots, self.indices, strict=True):
            gradient[:, index] += by_value[:, slot]


class Pack:
    """The free parameters of a set of models.

    Parameters
    ----------
    models : sequence of models
        In the order that decides theta's order.

    Attributes
    ----------
    parameters : tuple of Parameter
        The unique free parameters. Kept to write results back, never read again by the likelihood.
    names : tuple of str
        ``model.parameter``; a linked parameter carries the name of the first model that holds it.
    theta0 : float64 array[P]
    bounds : float64 array[P, 2]
        Lower and upper bound, infinite where there is none.
    """

    def __init__(self, models):
        found, names = {}, []
        for model in models:
            for name, parameter in zip(model.parameters.names, model.parameters, strict=True):
                if not parameter.frozen and id(parameter) not in found:
                    found[id(parameter)] = parameter
                    names.append(f"{model.name}.{name}")
        self.parameters = tuple(found.values())
        self.names = tuple(names)
        self._index = {key: i for i, key in enumerate(found)}
        self.theta0 = np.array([p.value for p in self.parameters], dtype=np.float64)
        self.bounds = np.array([_bounds(p) for p in self.parameters], dtype=np.float64).reshape(-1, 2)
        self._frozen = tuple((id(p), p.value) for model in models for p in model.parameters if p.frozen)
        self.priors = tuple((i, copy.deepcopy(p.prior)) for i, p in enumerate(self.parameters) if p.prior is not None)

    def is_like(self, other):
        """Whether the same parameters are free, and the others have the same values."""
        return self._index == other._index and self._frozen == other._frozen

    def sub(self, parameters):
        """`SubPack` for the parameters of one model."""
        base = np.array([p.value for p in parameters], dtype=np.float64)
        free = [(slot, self._index[id(p)]) for slot, p in enumerate(parameters) if id(p) in self._index]
        return SubPack(base, tuple(s for s, _ in free), tuple(i for _, i in free))


def frozen_priors(models):
    """Priors of frozen parameters, each once: a constant of the statistic."""
    frozen = {id(p): p for model in models for p in model.parameters if p.frozen}
    return float(sum(p.prior_stat_sum() for p in frozen.values()))


def _bounds(parameter):
    low, high = float(parameter.min), float(parameter.max)
    return (-np.inf if np.isnan(low) else low), (np.inf if np.isnan(high) else high)
