"""`Plan`: what `compile` has made of datasets and models, everything that a likelihood needs and nothing that changes."""

import copy

import numpy as np

from .evaluate import Evaluation
from .terms import PriorTerm

__all__ = ["Plan"]


class Plan:
    """Everything a likelihood needs and nothing that changes; may be shared between threads and workspaces.

    Attributes
    ----------
    pack : Pack
        Free parameters.
    terms : tuple of DatasetTerm
    fluxes : Fluxes
        Flux points.
    priors : PriorTerm
        On the host.
    backend : Backend
        Where it is computed.
    dtype : dtype
        Of working arrays.
    evaluation : Evaluation
        All of it but the priors, laid out for the kernels.
    datasets, models
        What was compiled, kept only for `Likelihood.recompile`.
    """

    def __init__(self, datasets, models, pack, terms, fluxes, priors, backend, dtype, options, by_dataset, earlier=None):
        self.datasets, self.models, self.pack, self.by_dataset = tuple(datasets), models, pack, by_dataset
        self.terms, self.fluxes, self.priors, self.options = tuple(terms), fluxes, priors, options
        self.backend, self.dtype = backend, np.dtype(dtype)
        self.evaluation = Evaluation(self.terms, len(pack.names), backend, self.dtype, earlier, fluxes)

    @property
    def bounds(self):
        """Of the free parameters, array[P, 2]: their own, and those that a fit has put on them."""
        narrower = self.options.get("within")
        if narrower is None:
            return self.pack.bounds
        low, high = self.pack.bounds.T
        return np.column_stack([np.maximum(low, narrower[:, 0]), np.minimum(high, narrower[:, 1])])

    def with_terms(self, terms, fluxes):
        """The same parameters, without priors, for other terms and flux points."""
        what = self.datasets, self.models, self.pack, terms, fluxes, PriorTerm(())
        return Plan(*what, self.backend, self.dtype, self.options, {}, self.evaluation)

    def serves(self, datasets, pack, options):
        """Whether compiling with another pack of the same models would give this plan: nothing moves, and what is frozen has not changed.

        ``datasets`` are what is to be compiled, drafts or not.
        """
        if len(datasets) != len(self.datasets) or any(a is not b for a, b in zip(datasets, self.datasets, strict=True)):
            return False
        moves = any(source.moves for term in self.terms for source in term.sources)
        same = all(options[name] is self.options[name] for name in ("irf_positions", "priors"))
        return same and not moves and pack.is_like(self.pack)

    def at(self, pack, options):
        """The same plan for another start."""
        out = copy.copy(self)
        out.pack, out.options = pack, options
        return out

    def with_static(self, terms):
        """The same for terms that differ in nothing but their static counts."""
        out = copy.copy(self)
        out.terms, out.evaluation = tuple(terms), self.evaluation.with_static(terms)
        return out
