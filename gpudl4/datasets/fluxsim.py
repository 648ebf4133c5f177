"""Simulated flux points: the same errors around the fluxes that the models predict, with and without fluctuations."""

import numpy as np

from gpudl4.core.errors import DatasetError

from .base import make_name
from .simulate import get_random_state

__all__ = ["FluxSimulation"]

KEPT = ("norm_err", "norm_errn", "norm_errp", "norm_ul", "is_ul", "success")  # what does not follow from counts that were seen


class FluxSimulation:
    """Verbs of a `FluxPointsDataset` that replace its fluxes by predicted ones."""

    def to_asimov(self, name=None):
        """Dataset whose fluxes are the prediction of the models, with the errors of this one: the median experiment.

        Points that are upper limits stay what they are.

        Parameters
        ----------
        name : str, optional
            The same name if None, to which models refer.

        Returns
        -------
        dataset : FluxPointsDataset
        """
        new = self.copy(name=make_name(self.name if name is None else name))
        new.data = self._points(self.flux_pred())
        new.models = self.models
        return new

    def fake(self, random_state="random-seed"):
        """Replace the fluxes by normal random numbers around the prediction, with the errors of the points (asymmetric ones on their side).

        Points that are upper limits stay what they are.

        Parameters
        ----------
        random_state : int, "random-seed", "global-rng", `numpy.random.RandomState` or `numpy.random.Generator`
            Source of random numbers.
        """
        values, errn, errp, _ = self._fluxes()
        drawn = get_random_state(random_state).normal(size=values.shape)
        prediction = self.flux_pred()
        width = np.where(drawn < 0, errn, errp)
        self.data = self._points(prediction + drawn * width * prediction.unit)

    def _points(self, flux):
        """The flux points with other fluxes."""
        if self.stat_type == "profile":
            raise DatasetError(
                f"dataset '{self.name}': profiles of the fit statistic cannot be made up; simulate with stat_type='chi2' or 'distrib'"
            )
        points = self.data
        maps = {key: points._data[key].copy() for key in KEPT if key in points._data}
        norm = (flux / points.dnde_ref).to_value("")
        limits = points.is_ul.data
        maps["norm"] = points.norm.copy(data=np.where(limits, points.norm.data, norm))
        maps["is_ul"] = points.is_ul.copy()
        return type(points)(maps, points.reference_model, meta=dict(points.meta), gti=points.gti)
