"""Values of estimated fluxes: what is stored, what follows from it, and the fluxes of all SED types as attributes.

`FluxValues` is what `FluxMaps` shows; it needs the stored maps (``_data``), the reference model and the metadata.
"""

import numpy as np

from ..core.errors import DatasetError
from ..maps import Map
from ..models import PowerLawSpectralModel, SkyModel
from .quantities import all_quantities

__all__ = ["FluxValues", "along_energy"]

PLAIN = ("counts", "npred", "npred_excess", "stat", "stat_null", "stat_scan", "dnde_scan_values", "niter", "n_dof", "ts", "success",
         "alpha", "acceptance_on", "acceptance_off")  # fmt: skip
THRESHOLD = 2  # sqrt(TS) below which a point counts as an upper limit, as in gammapy


class Quantity:
    """Attribute of `FluxMaps` that gives one stored map; AttributeError, which says what there is, if it is not stored."""

    def __init__(self, name, doc):
        self.name, self.__doc__ = name, doc

    def __get__(self, fluxes, owner=None):
        return self if fluxes is None else fluxes._stored(self.name)

    def __set__(self, fluxes, value):
        raise AttributeError(f"'{self.name}' cannot be set: make new fluxes of changed maps")


class Flux:
    """Attribute of `FluxMaps` that gives a stored norm times the reference flux of one SED type."""

    def __init__(self, sed_type, suffix, doc):
        self.sed_type, self.suffix, self.__doc__ = sed_type, suffix, doc

    def __get__(self, fluxes, owner=None):
        if fluxes is None:
            return self
        return getattr(fluxes, "norm" + self.suffix) * getattr(fluxes, self.sed_type + "_ref")

    def __set__(self, fluxes, value):
        raise AttributeError(f"'{self.sed_type}{self.suffix}' cannot be set: it follows from the norm")


class FluxValues:
    """Attributes of `FluxMaps`."""

    # ---- what there is ---------------------------------------------------------------------------------------------------------------
    @property
    def available_quantities(self):
        """Names of the stored maps."""
        return list(self._data)

    @staticmethod
    def all_quantities(sed_type):
        """Names of all quantities that a SED type can have."""
        return all_quantities(sed_type)

    def _stored(self, name):
        if name not in self._data:
            raise AttributeError(f"Quantity '{name}' is not defined on current flux estimate; it has: {', '.join(self._data)}")
        return self._data[name]

    @property
    def has_ul(self):
        """Whether there are upper limits."""
        return "norm_ul" in self._data

    @property
    def has_any_ts(self):
        """Whether there is TS or its square root."""
        return "ts" in self._data or "sqrt_ts" in self._data

    @property
    def has_stat_profiles(self):
        """Whether there are profiles of the fit statistic."""
        return "stat_scan" in self._data

    @property
    def has_success(self):
        """Whether it is known which fits converged."""
        return "success" in self._data

    @property
    def n_sigma(self):
        """Significance of the errors."""
        return self.meta.get("n_sigma", 1)

    @property
    def n_sigma_ul(self):
        """Significance of the upper limits; None if it is unknown."""
        return self.meta.get("n_sigma_ul")

    @property
    def sqrt_ts_threshold_ul(self):
        """Square root of TS below which a point counts as an upper limit. Setting it sets `is_ul`."""
        return self.meta.get("sqrt_ts_threshold_ul", THRESHOLD)

    @sqrt_ts_threshold_ul.setter
    def sqrt_ts_threshold_ul(self, value):
        if not self.has_any_ts:
            raise DatasetError("Either ts or sqrt_ts is required to set the threshold; set is_ul instead")
        self.meta["sqrt_ts_threshold_ul"] = value
        self.is_ul = self.sqrt_ts.data < value

    @property
    def sed_type_init(self):
        """SED type they were made from."""
        return self.meta.get("sed_type_init")

    @property
    def sed_type_plot_default(self):
        """SED type to plot."""
        return "dnde" if self.sed_type_init == "likelihood" else self.sed_type_init

    @property
    def is_convertible_to_flux_sed_type(self):
        """Whether integral fluxes can be had: not from differential ones at energies without bins."""
        return self.sed_type_init not in ("dnde", "e2dnde") or self.energy_axis.node_type == "edges"

    @property
    def geom(self):
        """Geometry."""
        return self._data["norm"].geom

    @property
    def energy_axis(self):
        """Energy axis."""
        return self.geom.axes["energy"]

    @property
    def energy_ref(self):
        """Reference energies, a quantity of shape (N,)."""
        return self.energy_axis.center

    @property
    def energy_min(self):
        """Lower edges, a quantity of shape (N,)."""
        return self.energy_axis.edges[:-1]

    @property
    def energy_max(self):
        """Upper edges, a quantity of shape (N,)."""
        return self.energy_axis.edges[1:]

    @property
    def reference_model(self):
        """Model that the norms multiply, a `~gpudl4.models.SkyModel`."""
        return self._reference_model

    @property
    def reference_spectral_model(self):
        """Spectrum of the reference model."""
        return self.reference_model.spectral_model

    @staticmethod
    def reference_model_default():
        """Reference model where none is given: a power law of index 2."""
        return SkyModel(PowerLawSpectralModel(index=2))

    # ---- norms -----------------------------------------------------------------------------------------------------------------------
    def _converged(self, stored):
        """A stored map with NaN where the fit did not succeed."""
        if not self.filter_success_nan or not self.has_success:
            return stored
        success = self.success.data.astype(bool)
        if success.all():
            return stored
        data = stored.data.astype(np.result_type(stored.data.dtype, np.float32))
        data[~success] = np.nan
        return stored.copy(data=data)

    @property
    def norm(self):
        """Norm of the reference model; NaN where a fit failed."""
        return self._converged(self._stored("norm"))

    @property
    def norm_err(self):
        """Symmetric error of the norm; NaN where a fit failed."""
        return self._converged(self._stored("norm_err"))

    @property
    def sqrt_ts(self):
        """Square root of TS with the sign of the norm."""
        if "sqrt_ts" in self._data:
            return self._data["sqrt_ts"]
        root = np.sqrt(np.clip(self.ts.data, 0, None))
        with np.errstate(invalid="ignore"):
            data = np.where(self.norm.data > 0, root, -root)
        return Map.from_geom(self.geom, data=data)

    @property
    def ts_scan(self):
        """Profile of the fit statistic above its value at the minimum."""
        axis = self.stat_scan.geom.axes.index_data("norm")
        return self.stat_scan.copy(data=self.stat_scan.data - np.expand_dims(self.stat.data, axis))

    @property
    def is_ul(self):
        """Whether a point is an upper limit, a boolean map.

        What was stored under that name wins (a column of the table, or what was assigned). Else, where limits and TS are known,
        ``sqrt_ts < sqrt_ts_threshold_ul``; with limits alone, where the limit is finite; without limits, where the norm is NaN.
        """
        if "is_ul" in self._data:
            stored = self._data["is_ul"]
            return stored if stored.is_mask else stored.copy(data=stored.data.astype(bool))
        if self.has_ul and self.has_any_ts:
            with np.errstate(invalid="ignore"):
                data = self.sqrt_ts.data < self.sqrt_ts_threshold_ul
        elif self.has_ul:
            data = np.isfinite(self.norm_ul.data)
        else:
            data = np.isnan(self.norm.data)
        return Map.from_geom(self.geom, data=data)

    @is_ul.setter
    def is_ul(self, value):
        self._data["is_ul"] = value if isinstance(value, Map) else Map.from_geom(self.geom, data=np.asarray(value, dtype=bool))

    @property
    def npred_background(self):
        """Predicted background counts."""
        return self.npred - self.npred_excess

    def _per_dataset(self, stored):
        """A norm in the shape that broadcasts against counts, which may have an axis "dataset"."""
        axes = self.npred_excess.geom.axes
        return np.expand_dims(stored.data, axes.index_data("dataset")) if "dataset" in axes.names else stored.data

    @property
    def npred_excess_ref(self):
        """Predicted excess counts of the reference model."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.npred_excess / self._per_dataset(self.norm)

    # ---- reference fluxes ------------------------------------------------------------------------------------------------------------
    def _along_energy(self, values):
        return along_energy(values, self.geom.axes)

    def _need_bins(self, sed_type):
        if not self.is_convertible_to_flux_sed_type:
            raise DatasetError(f"Missing energy range definition, cannot convert to SED type '{sed_type}': give e_min and e_max")

    @property
    def dnde_ref(self):
        """Differential flux of the reference model at the reference energies."""
        return self._along_energy(self.reference_spectral_model(self.energy_ref))

    @property
    def e2dnde_ref(self):
        """Differential flux of the reference model times the square of the energy."""
        return self._along_energy(self.reference_spectral_model(self.energy_ref) * self.energy_ref**2)

    @property
    def flux_ref(self):
        """Integral flux of the reference model; DatasetError if the points have no bins."""
        self._need_bins("flux")
        return self._along_energy(self.reference_spectral_model.integral(self.energy_min, self.energy_max))

    @property
    def eflux_ref(self):
        """Energy flux of the reference model; DatasetError if the points have no bins."""
        self._need_bins("eflux")
        return self._along_energy(self.reference_spectral_model.energy_flux(self.energy_min, self.energy_max))


def along_energy(values, axes):
    """Values per energy in the shape that broadcasts against the data."""
    return values.reshape((-1,) + (1,) * (axes.index("energy") + 2))


WORDS = {"": "", "_err": ", symmetric error", "_errn": ", negative error", "_errp": ", positive error", "_ul": ", upper limit"}
WORDS["_sensitivity"] = ", sensitivity"
KINDS = {"dnde": "Differential flux", "e2dnde": "Differential flux times energy squared", "flux": "Integral flux", "eflux": "Energy flux"}

for _suffix, _word in WORDS.items():
    for _sed_type, _kind in KINDS.items():
        setattr(FluxValues, _sed_type + _suffix, Flux(_sed_type, _suffix, f"{_kind}{_word}, a map."))
    if _suffix not in ("", "_err"):
        setattr(FluxValues, "norm" + _suffix, Quantity("norm" + _suffix, f"Norm of the reference model{_word}, a map."))
for _name in PLAIN:
    setattr(FluxValues, _name, Quantity(_name, f"Stored map '{_name}'."))


def _excess_of(suffix):
    def get(self):
        return self.npred_excess_ref * self._per_dataset(getattr(self, "norm" + suffix))

    get.__doc__ = f"Predicted excess counts{WORDS[suffix]}, a map."
    return property(get)


for _suffix in ("_err", "_errn", "_errp", "_ul"):
    setattr(FluxValues, "npred_excess" + _suffix, _excess_of(_suffix))
