"""`FluxPointsDataset`: flux points that somebody has estimated, compared with the spectra of models.

Use it for published spectra, alone or together with counts in a joint fit. The prediction is the differential flux of the models at the
reference energy of each point, not an integral over its bin.
"""

import warnings

import numpy as np

from gpudl4.core.backend import get_backend
from gpudl4.core.errors import DatasetError
from gpudl4.core.units import DNDE

from .base import Dataset, FieldValue
from .fluxfiles import FluxPointsFiles
from .fluxsim import FluxSimulation
from .verbs import FluxPlotVerbs

__all__ = ["FluxPointsDataset"]

HINTS = {
    "chi2": "give the flux points errors (dnde_err, or dnde_errn and dnde_errp), or use stat_type='profile' if they have profiles",
    "distrib": "give the flux points errors (dnde_err, or dnde_errn and dnde_errp) and, for limits, dnde_ul",
    "profile": "give the flux points profiles (stat_scan, norm_scan and stat), or use stat_type='chi2'",
}


class FluxPointsDataset(FluxSimulation, FluxPointsFiles, FluxPlotVerbs, Dataset):
    """Flux points with models.

    Parameters
    ----------
    models : Models, optional
        Models; only their spectra count.
    data : `~gpudl4.fluxes.FluxPoints`
        Flux points in increasing energies.
    mask_fit, mask_safe : bool array or `~gpudl4.maps.RegionNDMap`, optional
        Points to fit, of the shape of the flux points with or without the two sky dimensions. Default: all.
    name : str, optional
        A random one if None.
    meta_table : `astropy.table.Table`, optional
        One row about each observation.
    stat_type : {"chi2", "profile", "distrib"}
        chi2: Gaussian errors, the mean of negative and positive error where no symmetric one is known; upper limits are left out.
        profile: the profiles of the fit statistic that came with the points, the best choice where there are any. distrib: asymmetric
        errors, and a function for upper limits that is no likelihood of a limit (see `gpudl4.stats.flux_statistics`); kept for parity
        with gammapy.
    stat_kwargs : dict, optional
        For "profile": ``interp_scale`` ("sqrt", quadratic; or "lin", linear) and ``extrapolate`` (True).

    Raises
    ------
    DatasetError
        If there are no flux points, masks have another shape, or an option is unknown.
    """

    tag = "FluxPointsDataset"

    data = FieldValue()
    meta_table = FieldValue()

    def __init__(
        self, models=None, data=None, mask_fit=None, mask_safe=None, name=None, meta_table=None, stat_type="chi2", stat_kwargs=None
    ):
        super().__init__(name, {"data": data, "mask_fit": None, "mask_safe": None, "meta_table": meta_table})
        if data is None:
            raise DatasetError(f"dataset '{self.name}' needs data=, the flux points (gpudl4.estimators.FluxPoints)")
        self.stat_kwargs = stat_kwargs
        self.stat_type = stat_type
        self.mask_fit, self.mask_safe = mask_fit, mask_safe
        self.models = models

    # ---- options ---------------------------------------------------------------------------------------------------------------------
    @property
    def available_stat_type(self):
        """Names of the statistics."""
        return list(HINTS)

    @property
    def stat_type(self):
        """Name of the fit statistic."""
        return self._stat_type

    @stat_type.setter
    def stat_type(self, stat_type):
        if stat_type not in HINTS:
            raise DatasetError(f"dataset '{self.name}': Invalid stat_type {stat_type!r}: possible options are {', '.join(HINTS)}")
        self._stat_type = stat_type

    @property
    def stat_kwargs(self):
        """How profiles are interpolated: a dict, whose entries can be set."""
        return self._stat_kwargs

    @stat_kwargs.setter
    def stat_kwargs(self, value):
        options = {"interp_scale": "sqrt", "extrapolate": True, **(value or {})}
        if set(options) != {"interp_scale", "extrapolate"} or options["interp_scale"] not in ("sqrt", "lin"):
            raise DatasetError(
                f"dataset '{self.name}': stat_kwargs may set interp_scale to 'sqrt' or 'lin' and extrapolate to True or False, got {value}"
            )
        self._stat_kwargs = options

    # ---- shapes and masks ------------------------------------------------------------------------------------------------------------
    @property
    def _geom(self):
        return self.data.geom

    @property
    def data_shape(self):
        """Shape of the flux points, (..., energy, 1, 1)."""
        return self.data.geom.data_shape

    @property
    def gti(self):
        """Good time intervals of the flux points."""
        return self.data.gti

    @property
    def backend(self):
        """NumPy: a dataset of flux points is kept on the host; a likelihood takes what it needs of it to where it runs."""
        return get_backend("numpy")

    def to_device(self, backend="cupy"):
        """The dataset itself: flux points are few. A likelihood copies them to where the other datasets of a fit are."""
        get_backend(backend)
        return self

    def _mask_of(self, value, name):
        """A boolean map of the shape of the points from whatever a user gives."""
        if value is None:
            return None
        from gpudl4.maps import Map

        mask = np.asarray(value.data if isinstance(value, Map) else value)
        shape = self.data_shape
        if mask.shape == shape[:-2]:
            mask = mask.reshape(shape)
        if mask.shape != shape or mask.dtype.kind not in "bi":
            raise DatasetError(
                f"dataset '{self.name}': {name} must be a boolean array of the shape {shape[:-2]} or {shape}, got "
                f"{mask.dtype} of {mask.shape}"
            )
        return Map.from_geom(self._geom, data=mask.astype(bool))

    @property
    def mask_fit(self):
        """Points to fit, boolean array of the shape of the points; None if all are."""
        mask = self._values["mask_fit"]
        return None if mask is None else mask.data

    @mask_fit.setter
    def mask_fit(self, value):
        self._values["mask_fit"] = self._mask_of(value, "mask_fit")

    @property
    def mask_safe(self):
        """Points that can be trusted and that the statistic can use: the mask that was set, and `mask_valid`."""
        mask, valid = self._values["mask_safe"], self.mask_valid
        return valid if mask is None else mask.data & valid

    @mask_safe.setter
    def mask_safe(self, value):
        self._values["mask_safe"] = self._mask_of(value, "mask_safe")

    @property
    def mask_valid(self):
        """Points that the statistic can use, boolean array.

        chi2: a finite flux with a finite, positive error that is no upper limit. distrib: the same, or an upper limit that is finite and
        positive. profile: a profile without NaN. gammapy keeps points whose error is NaN, and its statistic becomes NaN.
        """
        points = self.data
        if self.stat_type == "profile":
            if not {"stat_scan", "stat"} <= set(points.available_quantities):
                return np.zeros(self.data_shape, dtype=bool)
            return np.isfinite(_along_last(points.stat_scan)).all(axis=-1) & np.isfinite(points.stat.data)
        values, errn, errp, limit = self._fluxes()
        is_ul = points.is_ul.data
        with np.errstate(invalid="ignore"):
            good = np.isfinite(values) & (errn > 0) & (errp > 0) & np.isfinite(errn) & np.isfinite(errp)
            has_limit = is_ul & np.isfinite(limit) & (limit > 0)
        return good & ~is_ul if self.stat_type == "chi2" else (good & ~is_ul) | has_limit

    @property
    def mask(self):
        """Points that are fitted: `mask_safe` and `mask_fit`, boolean array."""
        return self._masked(self.mask_valid)

    def _masked(self, valid):
        """Valid points that no mask leaves out."""
        for mask in (self._values["mask_safe"], self._values["mask_fit"]):
            valid = valid if mask is None else mask.data & valid
        return valid

    # ---- numbers for the statistic ---------------------------------------------------------------------------------------------------
    def _fluxes(self):
        """Flux, negative and positive error and limit of all points in cm-2 s-1 TeV-1; NaN where unknown."""
        points, nothing = self.data, np.full(self.data_shape, np.nan)
        reference = points.dnde_ref.to_value(DNDE)

        def known(name):
            found = getattr(points, name, None)
            return nothing if found is None else found.quantity.to_value("") * reference

        values, error, errn, errp, limit = (known(f"norm{suffix}") for suffix in ("", "_err", "_errn", "_errp", "_ul"))
        if self.stat_type == "chi2":
            error = np.where(np.isfinite(error), error, (errn + errp) / 2)
            return values, error, error, limit
        return values, np.where(np.isnan(errn), error, errn), np.where(np.isnan(errp), error, errp), limit

    def _statistic(self):
        """The statistic of all points, flat; DatasetError if what it needs is not there."""
        from gpudl4.stats.flux_statistics import Chi2, Distrib, Profile

        points, available = self.data, self.data.available_quantities
        if self.stat_type == "profile":
            if "stat_scan" not in available or "stat" not in available:
                self._refuse("the flux points have no profiles of the fit statistic")
            norms = points.stat_scan.geom.axes["norm"].center.value
            scans = np.abs(_along_last(points.stat_scan) - points.stat.data[..., np.newaxis])  # the absolute value as in gammapy
            reference = np.broadcast_to(points.dnde_ref.to_value(DNDE), self.data_shape)
            self.stat_kwargs = self._stat_kwargs  # checks what may have been set in the dict
            return Profile(norms, scans.reshape(-1, norms.size), reference.ravel(), **self._stat_kwargs)
        if "norm_err" not in available and not {"norm_errn", "norm_errp"} <= set(available):
            self._refuse("the flux points have no errors")
        values, errn, errp, limit = (part.ravel() for part in self._fluxes())
        if self.stat_type == "chi2":
            return Chi2(values, errn)
        return Distrib(values, errn, errp, limit, self.data.is_ul.data.ravel())

    def _refuse(self, what, hint=None):
        raise DatasetError(f"dataset '{self.name}', stat_type '{self.stat_type}': {what}: {hint or HINTS[self.stat_type]}")

    def flux_data(self):
        """What a likelihood needs (`gpudl4.likelihood.flux_term.FluxData`).

        Raises
        ------
        DatasetError
            If the flux points lack what the statistic needs, or it can use none of them. That mask_fit or mask_safe leave out all is legal.
        """
        from gpudl4.likelihood.flux_term import FluxData

        statistic, valid = self._statistic(), self.mask_valid
        if not valid.any():
            only_limits = self.data.is_ul.data.all()
            if only_limits and self.stat_type == "chi2":
                self._refuse(
                    "no flux point to fit, as all of them are upper limits (see data.is_ul)",
                    "use stat_type='distrib', which takes limits, or 'profile' if they have profiles",
                )
            self._refuse(f"no flux point to fit, as {'all are upper limits' if only_limits else 'none has a finite flux and error'}")
        return FluxData(self.name, self.data.energy_ref.to_value("TeV"), self._where(), self._masked(valid).ravel(), statistic)

    def _where(self):
        """Number of the energy of each point, flat."""
        axes = self.data.geom.axes
        shape = [1] * len(self.data_shape)
        shape[axes.index_data("energy")] = -1
        return np.broadcast_to(np.arange(axes["energy"].nbin).reshape(shape), self.data_shape).ravel()

    # ---- prediction and statistic ----------------------------------------------------------------------------------------------------
    def flux_pred(self):
        """Predicted differential flux: the sum of the spectra of the models at the reference energies.

        Returns
        -------
        flux : `~astropy.units.Quantity`
            Of the shape of the flux points, in cm-2 s-1 TeV-1.
        """
        import astropy.units as u

        from gpudl4.likelihood.flux_term import predicted_fluxes
        from gpudl4.likelihood.pack import Pack

        models = list(self.models or [])
        flux = predicted_fluxes(models, self.data.energy_ref.to_value("TeV"), Pack(models))
        return u.Quantity(flux[self._where()].reshape(self.data_shape), DNDE)

    def _stat_of_points(self):
        return self._statistic().of(self.flux_pred().value.reshape(1, -1)).value.reshape(self.data_shape)

    def stat_array(self):
        """Fit statistic of every point, fitted or not; NaN where it is not known, 0 there for "distrib"."""
        return self._stat_of_points()

    def stat_sum(self):
        """Fit statistic summed over the points of `mask`, without priors; 0 if there is none.

        A warning tells if a profile is extrapolated.
        """
        total = self._stat_of_points()[self.mask]
        if self.is_extrapolated.any():
            number = int(self.is_extrapolated.sum())
            warnings.warn(
                f"dataset '{self.name}': the models leave the scanned range of the profiles of {number} flux points, which are "
                "extrapolated there: see dataset.is_extrapolated, and scan a wider range",
                UserWarning,
                stacklevel=2,
            )
        return float(total.sum())

    @property
    def is_extrapolated(self):
        """Fitted points whose profile is used beyond its scan, boolean array; all False for other statistics than "profile"."""
        if self.stat_type != "profile" or not self.models:
            return np.zeros(self.data_shape, dtype=bool)
        outside = self._statistic().is_outside(self.flux_pred().value.reshape(1, -1))
        return outside.reshape(self.data_shape) & self.mask

    def residuals(self, method="diff"):
        """Residuals of the differential flux; NaN for upper limits.

        Parameters
        ----------
        method : {"diff", "diff/model", "diff/sqrt(model)"}
            Data minus model, as it is or divided by the model or its square root.

        Returns
        -------
        residuals : `~astropy.units.Quantity`
        """
        residuals = self._residuals(self.data.dnde.quantity, self.flux_pred(), method)
        residuals[self.data.is_ul.data] = np.nan
        return residuals

    def info_dict(self):
        """Summary: name, numbers of points, statistic."""
        has_models = bool(self.models)
        return {
            "name": self.name,
            "n_points": int(np.prod(self.data_shape)),
            "n_upper_limits": int(self.data.is_ul.data.sum()),
            "n_fit_points": int(self.mask.sum()),
            "energy_min": self.data.energy_ref[0],
            "energy_max": self.data.energy_ref[-1],
            "stat_type": self.stat_type,
            "stat_sum": self.stat_sum() if has_models else np.nan,
        }

    def copy(self, name=None):
        """Deep copy without models; see `Dataset.copy`."""
        new = super().copy(name)
        new._stat_kwargs = dict(self._stat_kwargs)
        return new

    def __str__(self):
        title, models = type(self).__name__, self.models
        stat = self.stat_sum() if models else np.nan
        rows = [
            ("Name", self.name),
            None,
            ("Number of total flux points", int(np.prod(self.data_shape))),
            ("Number of fit bins", int(self.mask.sum())),
            None,
            ("Fit statistic type", self.stat_type),
            ("Fit statistic value (-2 log(L))", f"{stat:.2f}"),
            None,
            ("Number of models", 0 if models is None else len(models)),
        ]
        if models is not None:
            rows.append(("Number of parameters", len(models.parameters)))
            rows.append(("Number of free parameters", len(models.parameters.free_unique_parameters)))
        lines = ["" if row is None else f"  {row[0]:32}: {row[1]}" for row in rows]
        return "\n".join([title, "-" * len(title), "", *lines, ""])


def _along_last(profiles):
    """Profiles with the norms as the last dimension, of the shape of the points before it."""
    return np.moveaxis(profiles.data, profiles.geom.axes.index_data("norm"), -1).astype(float)
