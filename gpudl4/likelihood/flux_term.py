"""What a dataset of flux points brings to a likelihood.

It gives `compile` its numbers by the method ``flux_data()``; nothing else of it is looked at. `fluxes.py` predicts the points of all
datasets together.
"""

from dataclasses import dataclass

import numpy as np

from gpudl4.core.errors import ModelError

from .build import is_background

__all__ = ["FluxData", "FluxTerm", "has_fluxes", "predicted_fluxes"]


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
    statistic : PointStatistic
        For fluxes in cm-2 s-1 TeV-1, see `gpudl4.stats.flux_statistics`.
    """

    name: str
    energy: np.ndarray
    where: np.ndarray
    mask: np.ndarray
    statistic: object  # a PointStatistic


def has_fluxes(dataset):
    """Whether a dataset holds fluxes, so that it becomes a `FluxTerm`."""
    return hasattr(dataset, "flux_data")


def predicted_fluxes(models, energy, pack):
    """Sum of the spectra of models at energies in TeV with their present parameters, array[K] in cm-2 s-1 TeV-1."""
    out = np.zeros(len(energy))
    for model in models:
        if not is_background(model):
            spectral, values = model.spectral_model.bind_evaluate(energy), pack.sub(model.spectral_model.parameters).base
            out += spectral.value(values[np.newaxis])[0]
    return out


class FluxTerm:
    """The points of one dataset that are fitted, and the models that predict them; `fluxes.py` does the rest.

    Parameters
    ----------
    dataset : dataset with ``flux_data()``
    models : list of models
        Those that act on it.

    Attributes
    ----------
    name : str
    energy : float64[K]
        Reference energies of these points in TeV.
    where : int64[N]
        Energy of each point.
    statistic : PointStatistic
        Of them.
    models : list of models
    n_bins : int
        Number of points that are fitted.

    Raises
    ------
    DatasetError
        If the points cannot be fitted as they are.
    ModelError
        If a model has no spectrum.
    """

    def __init__(self, dataset, models):
        data = dataset.flux_data()
        self.name = data.name
        used = np.flatnonzero(data.mask)
        energies, self.where = np.unique(data.where[used], return_inverse=True)
        self.energy, self.statistic, self.n_bins = data.energy[energies], data.statistic.take(used), len(used)
        self.models = [model for model in models if not is_background(model)]
        for model in self.models:
            if getattr(model, "spectral_model", None) is None:
                raise ModelError(f"model '{model.name}' has no spectrum, which the flux points '{data.name}' need")
