"""Flux points in a likelihood: a term on the host that stands beside the datasets with counts.

A dataset of flux points gives `compile` its numbers by the method ``flux_data()``; nothing else of it is looked at. The prediction is the
sum of the spectra at the reference energies, so a term costs a few evaluations of spectra, and no kernel.
"""

from dataclasses import dataclass

import numpy as np

from gpudl4.core.errors import ModelError

from .build import is_background
from .source import second_differences

__all__ = ["FluxData", "FluxTerm", "HostTerms", "NoBins", "has_fluxes", "predicted_fluxes"]


@dataclass(frozen=True)
class FluxData:
    """What a dataset of flux points brings to a likelihood.

    Attributes
    ----------
    name : str
    energy : array[K]
        Reference energies in TeV.
    where : int array[N]
        Energy of each point.
    mask : bool array[N]
        Points that are fitted.
    statistic : object
        One of `gpudl4.stats.flux_statistics`, for fluxes in cm-2 s-1 TeV-1.
    """

    name: str
    energy: np.ndarray
    where: np.ndarray
    mask: np.ndarray
    statistic: object


def has_fluxes(dataset):
    """Whether a dataset holds fluxes, so that it becomes a `FluxTerm`."""
    return hasattr(dataset, "flux_data")


class FluxSource:
    """Spectrum of one model at the energies of the points."""

    def __init__(self, model, energy, pack):
        self.name = model.name
        self.spectral, self.pack = model.spectral_model.bind_evaluate(energy), pack.sub(model.spectral_model.parameters)
        self.indices = sorted(set(self.pack.indices))

    def value(self, thetas):
        """Fluxes[B, K]."""
        return self.spectral.value(self.pack.values(thetas))

    def value_and_gradient(self, thetas):
        """Fluxes[B, K] and their derivatives by the model's own values, [B, P_model, K]."""
        return self.spectral.value_and_gradient(self.pack.values(thetas))


def predicted_fluxes(models, energy, pack):
    """Sum of the spectra of models at energies in TeV with their present parameters, array[K] in cm-2 s-1 TeV-1."""
    out = np.zeros(len(energy))
    for model in models:
        if not is_background(model):
            out += FluxSource(model, energy, pack).value(pack.theta0[np.newaxis])[0]
    return out


class FluxTerm:
    """Statistic of the flux points of one dataset.

    Parameters
    ----------
    dataset : dataset with ``flux_data()``
    models : list of models
        Those that act on it.
    pack : Pack

    Attributes
    ----------
    name : str
    n_bins : int
        Number of points that are fitted.

    Raises
    ------
    DatasetError
        If the points cannot be fitted as they are, or the prediction is not finite.
    ModelError
        If a model has no spectrum.
    """

    def __init__(self, dataset, models, pack):
        data = dataset.flux_data()
        self.name = data.name
        used = np.flatnonzero(data.mask)
        self._where, self._statistic, self.n_bins = data.where[used], data.statistic.take(used), len(used)
        self.sources = []
        for model in models:
            if is_background(model):
                continue
            if getattr(model, "spectral_model", None) is None:
                raise ModelError(f"model '{model.name}' has no spectrum, which the flux points '{data.name}' need")
            self.sources.append(FluxSource(model, data.energy, pack))
        self._static = np.zeros(len(data.energy))

    def alone(self, name, thetas):
        """The term as a function of one source, all others held at ``thetas[1, P]``; None if it does not have that source."""
        own = [source for source in self.sources if source.name == name]
        if not own:
            return None
        out = object.__new__(FluxTerm)
        out.__dict__.update(self.__dict__)
        out.sources = own
        out._static = self._static + sum((s.value(thetas)[0] for s in self.sources if s.name != name), np.zeros(len(self._static)))
        return out

    def _predict(self, thetas):
        """Fluxes of the points[B, N]."""
        flux = np.repeat(self._static[np.newaxis], len(thetas), axis=0)
        for source in self.sources:
            flux = flux + source.value(thetas)
        return flux[:, self._where]

    def evaluate(self, thetas, stat, gradient=None):
        """Add the statistic to ``stat[B]`` and, if given, the gradient to ``gradient[B, P]``."""
        found = self._statistic.of(self._predict(thetas))
        stat += found.value.sum(axis=1)
        if gradient is not None:
            self._scatter(thetas, self._by_energy(found.slope), gradient)

    def _by_energy(self, by_point):
        """Sums over the points of each energy, [B, K] from [B, N]."""
        out = np.zeros((len(by_point), len(self._static)))
        np.add.at(out, (slice(None), self._where), by_point)
        return out

    def _scatter(self, thetas, by_energy, gradient):
        """Add ``sum_k by_energy[B, K] dflux[k] / dtheta`` to ``gradient[B, P]``."""
        for source in self.sources:
            if source.pack.is_free:
                slopes = source.value_and_gradient(thetas)[1]
                source.pack.scatter(np.einsum("bpk,bk->bp", slopes, by_energy), gradient)

    def _jacobian(self, theta):
        """Derivatives of the fluxes by theta, array[P, K]."""
        out = np.zeros((1, len(theta), len(self._static)))
        for source in self.sources:
            if source.pack.is_free:
                slopes = source.value_and_gradient(theta[np.newaxis])[1]
                for slot, index in zip(source.pack.slots, source.pack.indices, strict=True):
                    out[0, index] += slopes[0, slot]
        return out[0]

    def fisher(self, theta, matrix):
        """Add second derivatives that are never negative, for steps and Fisher errors."""
        found, slopes = self._statistic.of(self._predict(theta[np.newaxis])), self._jacobian(theta)
        matrix += (slopes * self._by_energy(found.weight)[0]) @ slopes.T

    def hessian(self, theta, matrix, steps):
        """Add the second derivatives of the statistic; those of the spectra are differences of their first ones."""
        found, slopes = self._statistic.of(self._predict(theta[np.newaxis])), self._jacobian(theta)
        matrix += (slopes * self._by_energy(found.curvature)[0]) @ slopes.T
        by_energy = self._by_energy(found.slope)

        def gradient(points):
            out = np.zeros(points.shape)
            self._scatter(points, by_energy, out)
            return out

        matrix += second_differences(gradient, theta, steps, sorted({i for source in self.sources for i in source.indices}))


class HostTerms:
    """What a likelihood adds on the host: the flux points, and the priors.

    Parameters
    ----------
    priors : PriorTerm
    fluxes : sequence of FluxTerm
    """

    def __init__(self, priors, fluxes=()):
        self.priors, self.fluxes = priors, tuple(fluxes)

    @property
    def n_bins(self):
        """Number of flux points that are fitted."""
        return sum(term.n_bins for term in self.fluxes)

    def evaluate(self, thetas, stat, gradient=None):
        """Add value and gradient."""
        for term in self.fluxes:
            term.evaluate(thetas, stat, gradient)
        self.priors.evaluate(thetas, stat, gradient)

    def fisher(self, theta, matrix):
        """Add expected second derivatives."""
        for term in self.fluxes:
            term.fisher(theta, matrix)
        self.priors.fisher(theta, matrix)

    def hessian(self, theta, matrix, steps):
        """Add observed second derivatives; ``steps`` are those for differences of the models' own derivatives."""
        for term in self.fluxes:
            term.hessian(theta, matrix, steps)
        self.priors.fisher(theta, matrix)

    def alone(self, name, thetas):
        """Those of one source, with all others held and without priors, as `Likelihood.local` wants them."""
        found = [term.alone(name, thetas) for term in self.fluxes]
        return [term for term in found if term is not None]


class NoBins:
    """Stands for the evaluation of a likelihood, and for its second derivatives, where there are flux points only."""

    def buffers(self, batch, earlier=None):
        """Nothing to hold."""
        return None

    def predict(self, thetas, buffers, cells=None, with_gradient=True):
        """No states."""
        return []

    def rows(self, buffers):
        """No predicted counts."""
        return []

    def run(self, thetas, buffers, stat, gradient=None, cells=None):
        """Add nothing."""

    def fisher(self, theta, buffers, cells=None):
        """Zeros[P, P]."""
        return np.zeros((len(theta), len(theta)))

    def both(self, theta, buffers, steps_of, cells=None):
        """Zeros[P, P] twice; ``steps_of`` adds to the first what is known on the host."""
        fisher, hessian = np.zeros((2, len(theta), len(theta)))
        steps_of(fisher)
        return fisher, hessian
