"""`MapDataset`: a counts cube with its exposure, background, responses, masks and models. Use it for every 3D analysis of DL4 data.

Predicted counts and statistic are compiled anew at every call and nothing is kept, so they always follow the present state of the dataset
and its models. To evaluate many parameter values, compile once: `gpudl4.compile`.
"""

import numpy as np

from gpudl4.core.backend import array_namespace, to_device
from gpudl4.core.errors import DatasetError, ModelError

from .base import Dataset, FieldValue
from .fields import has_weights
from .mapcreate import MapCreation
from .mapfiles import MapFiles
from .mapviews import MapViews
from .metadata import MapDatasetMetaData
from .simulate import poisson_counts
from .transform import MapTransforms
from .verbs import PlotVerbs

__all__ = ["MapDataset"]


class MapDataset(MapCreation, MapViews, MapTransforms, MapFiles, PlotVerbs, Dataset):
    """Binned counts with everything that is needed to predict them.

    Parameters
    ----------
    models : Models or list of models, optional
        See `models`.
    counts, background : Map, optional
        Counts and expected background, axes (energy); dimensionless.
    exposure : Map, optional
        Exposure, axes (energy_true), in cm2 s or a unit that converts.
    psf : PSFMap or RecoPSFMap, optional
        Point spread function.
    edisp : EDispMap or EDispKernelMap, optional
        Energy dispersion.
    mask_safe, mask_fit : Map, optional
        True where data can be trusted, and where they shall be fitted; axes (energy).
    gti : GTI, optional
        Good time intervals.
    meta_table : astropy.table.Table, optional
        One row about each observation.
    name : str, optional
        A random one if None. Models refer to datasets by name.
    meta : MapDatasetMetaData, optional
        Who made it and when.
    stat_type : {"cash", "cash_weighted"}
        Fit statistic.

    Raises
    ------
    DatasetError, GeometryError, UnitMismatchError
        If a field is of the wrong class, axes, geometry or unit, or fields do not fit together. The message names dataset and field.

    Examples
    --------
    >>> from gpudl4.datasets import MapDataset
    >>> dataset = MapDataset.read("$GAMMAPY_DATA/cta-1dc-gc/cta-1dc-gc.fits.gz")  # doctest: +SKIP
    """

    tag = "MapDataset"
    _stat_types = ("cash", "cash_weighted")

    counts = FieldValue()
    exposure = FieldValue()
    background = FieldValue()
    psf = FieldValue()
    edisp = FieldValue()
    mask_safe = FieldValue()
    mask_fit = FieldValue()
    gti = FieldValue()
    meta_table = FieldValue()

    def __init__(
        self,
        models=None,
        counts=None,
        exposure=None,
        background=None,
        psf=None,
        edisp=None,
        mask_safe=None,
        mask_fit=None,
        gti=None,
        meta_table=None,
        name=None,
        meta=None,
        stat_type="cash",
    ):
        self._construct(locals())

    def _construct(self, given):
        """Set everything from the arguments of a constructor."""
        self._stat_type = given["stat_type"]
        Dataset.__init__(self, given["name"], {name: given[name] for name in self._table()})
        self.meta = MapDatasetMetaData() if given["meta"] is None else given["meta"]
        self.stat_type = given["stat_type"]
        self.models = given["models"]

    @property
    def stat_type(self):
        """Name of the fit statistic."""
        return self._stat_type

    @stat_type.setter
    def stat_type(self, stat_type):
        if stat_type not in self._stat_types:
            raise DatasetError(f"dataset '{self.name}': unknown stat_type {stat_type!r}; known: {', '.join(self._stat_types)}")
        self._stat_type = stat_type
        self._check(self._values)

    def _check(self, values):
        super()._check(values)
        if self._stat_type != "cash_weighted" and has_weights(values["mask_fit"]):
            raise DatasetError(
                f"dataset '{self.name}': mask_fit holds numbers other than 0 and 1, which only the statistic 'cash_weighted' takes as "
                "weights: make it boolean, or give stat_type='cash_weighted' to the constructor"
            )

    # ------------------------------------------------------------------------------------------------------------------ predictions

    def _map(self, data):
        from gpudl4.maps import Map

        return Map.from_geom(self._geom, data=data, unit="")

    def _zeros(self):
        return self._map(self.backend.xp.zeros(self._geom.data_shape))

    def npred_signal(self, model_names=None, stack=True):
        """Predicted counts of the sky models.

        Parameters
        ----------
        model_names : str or list of str, optional
            Names of the models; all if None.
        stack : bool
            True gives the sum. False gives a map with an additional `~gpudl4.maps.LabelMapAxis` ``models``, with one label for each model
            that contributes.

        Returns
        -------
        npred : Map
            float64, where the dataset lives; not clipped, a negative flux gives negative counts.

        Raises
        ------
        DatasetError
            If a name is not that of a sky model of this dataset.
        """
        models = self._selected(model_names)
        if not models:
            return self._zeros()
        from gpudl4.likelihood import predict

        if stack:
            return self._map(predict.npred_signal(self, models))
        from gpudl4.maps import LabelMapAxis, Map

        parts = predict.npred_by_model(self, models)
        if not parts:
            return self._zeros()
        axis = LabelMapAxis(list(parts), name="models")
        geom = self._geom.to_image().to_cube([*self._geom.axes, axis])
        data = array_namespace(*parts.values()).stack(list(parts.values()))
        return Map.from_geom(geom, data=data, unit="")

    def _selected(self, names):
        """Sky models by name; background models are no signal."""
        found = {model.name: model for model in self.models or () if not _is_background(model)}
        if names is None:
            return list(found.values())
        names = [names] if isinstance(names, str) else list(names)
        unknown = [name for name in names if name not in found]
        if unknown:
            known = ", ".join(found) or "none"
            raise DatasetError(f"dataset '{self.name}' has no sky model named {', '.join(map(repr, unknown))}; it has {known}")
        return [found[name] for name in names]

    def npred_background(self):
        """Predicted background: the background map times the background model of this dataset, if it has one; None without a map.

        Returns
        -------
        npred : Map or None
        """
        if self.background is None:
            return None
        if self.background_model is None:
            return self.background.copy()
        from gpudl4.likelihood import predict

        return self._map(predict.background(self))

    def npred(self):
        """Predicted counts of all models and the background, not below zero.

        Computed anew at every call: for scans and samplers compile once, `gpudl4.compile`, and call ``likelihood.npred(theta)``.

        Returns
        -------
        npred : Map
            float64.
        """
        with self.backend.entered():
            npred = self.npred_signal()
            background = self.npred_background()
            if background is not None:
                npred = self._map(npred.data + background.data)
            return npred.copy(data=npred.data.clip(0))

    # -------------------------------------------------------------------------------------------------------------------- statistic

    def _need_counts(self, what):
        if self.counts is None:
            raise DatasetError(f"dataset '{self.name}' has no counts, which {what} needs: set dataset.counts or call dataset.fake()")
        return self.counts

    def stat_sum(self):
        """Fit statistic summed over the bins of `mask` (all bins without one), without priors; compiled anew at every call.

        It is computed where the dataset lives. For scans and samplers compile once, ``likelihood = gpudl4.compile(dataset)``, and call
        ``likelihood.value(theta)``, which is many times faster; or use `Fit.stat_profile`.

        Returns
        -------
        stat : float

        Raises
        ------
        DatasetError
            If the dataset has no counts, or lacks what its models need.
        """
        self._need_counts("stat_sum()")
        with self.backend.entered():
            return self._stat_sum()

    def _stat_sum(self):
        from gpudl4.likelihood import compile, predict

        mask = self.mask
        if mask is not None and not bool(mask.data.any()):
            return 0.0
        try:
            likelihood = compile([self], priors=False)
        except ModelError:
            # A fit needs a model that contributes; a statistic does not: models outside of the map predict nothing.
            if self.background_model is not None or predict.npred_by_model(self):
                raise
            likelihood = compile([self], models=[], priors=False)
        return float(likelihood.value(likelihood.theta0))

    def stat_array(self):
        """Cash statistic of every bin, masked or not; times the weights for "cash_weighted".

        Returns
        -------
        stat : array
            float64, of the shape of the counts, where the dataset lives.
        """
        from gpudl4.stats import cash

        counts = self._need_counts("stat_array()")
        stat = cash(counts.data, self.npred().data)
        return stat if self.stat_type == "cash" or self.mask_fit is None else stat * self.mask_fit.data

    def residuals(self, method="diff", **kwargs):
        """Residual counts, NaN outside the mask.

        Parameters
        ----------
        method : {"diff", "diff/model", "diff/sqrt(model)"}
            Counts minus prediction, as it is or divided by the prediction or its square root.
        **kwargs
            Arguments of `Map.smooth` (``width`` "0.1 deg", ``kernel`` "gauss", ``mode`` "constant"); nothing is smoothed without any.
            Smoothed maps are divided by the smoothed mask.

        Returns
        -------
        residuals : Map
        """
        counts = self._need_counts("residuals()")
        npred, mask = self.npred(), self.mask
        if mask is not None:
            npred, counts = npred * mask, counts * mask
        if kwargs:
            kwargs = {"mode": "constant", "width": "0.1 deg", "kernel": "gauss", **kwargs}
            npred, counts = npred.smooth(**kwargs), counts.smooth(**kwargs)
            if mask is not None:
                with np.errstate(invalid="ignore", divide="ignore"):
                    smoothed = mask.smooth(**kwargs)
                    npred, counts = npred / smoothed, counts / smoothed
        residuals = self._residuals(counts, npred, method)
        if mask is not None:
            residuals.data[~mask.data] = np.nan
        return residuals

    def to_asimov(self, name=None):
        """Dataset whose counts are its prediction, with the same models: the median experiment, without fluctuations.

        With off counts the prediction includes the background profiled from them (as in gammapy 2.1), and they stay as they are.

        Parameters
        ----------
        name : str, optional
            The same name if None, to which models refer.

        Returns
        -------
        dataset : dataset of the same kind
            It shares all other arrays with this one.
        """
        npred = self.npred()
        xp = npred.backend.xp
        counts = npred.copy(data=xp.nan_to_num(npred.data, nan=0.0, posinf=0.0, neginf=0.0))
        name = self.name if name is None else name
        return type(self)(**{**self._values, "counts": counts}, models=self.models, name=name, meta=self.meta, stat_type=self.stat_type)

    def _excess_and_significance(self, select):
        """Excess over the predicted background and its significance, of the sum of selected bins."""
        from gpudl4.stats import CashCountsStatistic

        counts, background = (float(m.data[select].sum(dtype=float)) for m in (self.counts, self.npred_background()))
        statistic = CashCountsStatistic(counts, background)
        return float(statistic.n_sig), float(statistic.sqrt_ts)

    def fake(self, random_state="random-seed"):
        """Replace the counts by Poisson random numbers around `npred`.

        Parameters
        ----------
        random_state : int, "random-seed", "global-rng", `numpy.random.RandomState` or `numpy.random.Generator`
            Source of random numbers. An int seeds a RandomState and gives the counts that gammapy draws from it: they are drawn on the
            host, for which the prediction of a dataset on a device is copied there and the counts back.
        """
        self.counts = self._map(to_device(poisson_counts(self.npred().data, random_state), self.backend))


def _is_background(model):
    from gpudl4.models import FoVBackgroundModel

    return isinstance(model, FoVBackgroundModel)
