"""`MapDatasetOnOff`: counts whose background is measured elsewhere, in off counts. Use it for ring or reflected-region background.

The background in a bin is alpha times its off counts, alpha the ratio of acceptances. Both counts are Poisson numbers, so the fit
statistic is wstat: the unknown background is profiled out bin by bin.
"""

import numpy as np

from gpudl4.core.backend import array_namespace, require_backend, to_device
from gpudl4.core.errors import DatasetError
from gpudl4.stats import get_wstat_mu_bkg, wstat

from .base import FieldValue, make_name
from .map import MapDataset
from .onoff_statistics import excess_and_significance
from .simulate import get_random_state, poisson_counts

__all__ = ["MapDatasetOnOff"]


class OnOff:
    """What datasets with off counts do differently from those with a background map."""

    _stat_types = ("wstat",)

    counts_off = FieldValue()
    acceptance = FieldValue()
    acceptance_off = FieldValue()

    def _need(self, what, *names):
        missing = [name for name in names if self._values[name] is None]
        if missing:
            raise DatasetError(f"dataset '{self.name}' has no {' and no '.join(missing)}, which {what} needs: set dataset.{missing[0]}")

    @property
    def alpha(self):
        """Ratio of the acceptances, ON over OFF, a map.

        0 where both are 0; where only the off acceptance is 0, the largest number of the data type, as in gammapy.

        Raises
        ------
        DatasetError
            If an acceptance is missing.
        """
        self._need("alpha", "acceptance", "acceptance_off")
        acceptance, off = self.acceptance, self.acceptance_off
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = acceptance.data / off.data
        return self._map(array_namespace(ratio).nan_to_num(ratio))

    @property
    def background(self):
        """Measured background, alpha times the off counts; None without off counts. It cannot be set."""
        if self.counts_off is None:
            return None
        with np.errstate(over="ignore"):  # alpha is the largest float where no off acceptance is
            return self._map(self.alpha.data * self.counts_off.data)

    def npred_background(self):
        """Predicted background in the ON region: what makes ON and OFF counts most likely, given the signal that the models predict.

        Returns
        -------
        npred : Map or None
            None without off counts.
        """
        if self.counts_off is None:
            return None
        self._need("npred_background()", "counts")
        alpha = self.alpha.data
        mu = get_wstat_mu_bkg(self.counts.data, self.counts_off.data, alpha, self.npred_signal().data)
        return self._map(array_namespace(mu).nan_to_num(alpha * mu))

    def npred_off(self):
        """Predicted off counts, `npred_background` over alpha; NaN where alpha is 0."""
        self._need("npred_off()", "counts_off")
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.npred_background() / self.alpha

    def check_for_fit(self):
        """Check that ON and OFF counts and acceptances can be fitted; values outside the mask are not looked at.

        Raises
        ------
        DatasetError
            If one of them is missing, or inside the mask off counts or acceptances are negative or not finite, or an off acceptance is 0.
        """
        self._need("the fit statistic", "counts", "counts_off", "acceptance", "acceptance_off")
        mask = self.mask
        for name, bad_value, wanted in (
            ("counts_off", lambda values: ~(values >= 0), "be zero or positive"),
            ("acceptance", lambda values: ~(values >= 0), "be zero or positive"),
            ("acceptance_off", lambda values: ~(values > 0), "be positive"),
        ):
            values = self._values[name].data
            bad = bad_value(values) | ~array_namespace(values).isfinite(values)
            number = int((bad if mask is None else bad & mask.data).sum())
            if number:
                raise DatasetError(
                    f"dataset '{self.name}': {name} must {wanted} and finite inside the mask, but {number} of the bins to fit are not: "
                    "leave them out with mask_fit or correct them"
                )

    def stat_array(self):
        """Fit statistic wstat of every bin, masked or not; 0 where alpha is 0.

        Returns
        -------
        stat : array
            float64, of the shape of the counts, where the dataset lives.
        """
        self.check_for_fit()
        stat = wstat(self.counts.data, self.counts_off.data, self.alpha.data, self.npred_signal().data)
        return array_namespace(stat).nan_to_num(stat)

    def _excess_and_significance(self, select):
        alpha, off = self.alpha.data[select], self.counts_off.data[select]
        return excess_and_significance(self.counts.data[select], off, alpha)

    def fake(self, npred_background, random_state="random-seed"):
        """Replace counts and off counts by Poisson random numbers: signal, then background, then off counts, in this order.

        Parameters
        ----------
        npred_background : Map
            Expected background in the ON region.
        random_state : int, "random-seed", "global-rng", `numpy.random.RandomState` or `numpy.random.Generator`
            Source of random numbers; see `MapDataset.fake`. An int gives the counts that gammapy draws from it; a Generator is faster.
        """
        alpha = self.alpha
        rng = get_random_state(random_state)
        background = require_backend(npred_background.data, self.backend, "npred_background")
        signal = poisson_counts(self.npred_signal().data, rng)
        on = signal + poisson_counts(background, rng)
        with np.errstate(invalid="ignore", divide="ignore"):
            off = poisson_counts(background / alpha.data, rng)
        self.counts, self.counts_off = (self._map(to_device(values, self.backend)) for values in (on, off))

    def to_map_dataset(self, name=None):
        """Dataset with a background map, alpha times the off counts, and the Cash statistic; without models.

        Parameters
        ----------
        name : str, optional
            A random one if None.

        Returns
        -------
        dataset : MapDataset
            It shares all other arrays with this one.
        """
        return self._with_background(MapDataset, name)

    def _with_background(self, kind, name, without=()):
        """Dataset of another kind, which has a background where this one has off counts; it shares all other fields but some."""
        left_out = {"counts_off", "acceptance", "acceptance_off", *without}
        shared = {key: value for key, value in self._values.items() if key not in left_out}
        return kind(**shared, background=self.background, name=make_name(name))

    @classmethod
    def from_map_dataset(cls, dataset, acceptance, acceptance_off, counts_off=None, name=None):
        """Dataset with off counts from one with a background map.

        Parameters
        ----------
        dataset : MapDataset
            Counts, exposure, responses, masks, intervals, models; they are shared.
        acceptance, acceptance_off : Map, array or float
            Acceptances of the ON and the OFF region.
        counts_off : Map, optional
            Off counts; by default those that the predicted background of `dataset` stands for, background / alpha.
        name : str, optional
            A random one if None.

        Returns
        -------
        dataset : dataset of this kind
        """
        acceptance, acceptance_off = (_as_map(value, dataset) for value in (acceptance, acceptance_off))
        if counts_off is None and dataset.background is not None and acceptance is not None and acceptance_off is not None:
            with np.errstate(invalid="ignore", divide="ignore"):
                counts_off = dataset.npred_background() / (acceptance / acceptance_off)
        values = {key: value for key, value in dataset._values.items() if key in cls._table()}
        off = {"counts_off": counts_off, "acceptance": acceptance, "acceptance_off": acceptance_off}
        return cls(models=dataset.models, **{**values, **off}, name=make_name(name))


def _as_map(value, dataset):
    from gpudl4.maps import Map

    if value is None or isinstance(value, Map):
        return value
    if isinstance(value, int):
        value = float(value)
    return Map.from_geom(dataset._geom, data=value).to_device(dataset.backend)


class MapDatasetOnOff(OnOff, MapDataset):
    """Binned ON and OFF counts with everything that is needed to predict the signal.

    Parameters
    ----------
    models : Models or list of models, optional
        Sky models.
    counts, counts_off : Map, optional
        ON counts, and the OFF counts that tell the background of each bin.
    acceptance, acceptance_off : Map, optional
        Acceptance for background of the ON and the OFF region; only their ratio, `alpha`, matters.
    exposure, mask_fit, psf, edisp, name, mask_safe, gti, meta_table, meta
        As for `MapDataset`.
    stat_type : {"wstat"}
        Fit statistic.

    Raises
    ------
    DatasetError, GeometryError, UnitMismatchError
        As for `MapDataset`.
    """

    tag = "MapDatasetOnOff"

    def __init__(
        self,
        models=None,
        counts=None,
        counts_off=None,
        acceptance=None,
        acceptance_off=None,
        exposure=None,
        mask_fit=None,
        psf=None,
        edisp=None,
        name=None,
        mask_safe=None,
        gti=None,
        meta_table=None,
        meta=None,
        stat_type="wstat",
    ):
        self._construct(locals())
