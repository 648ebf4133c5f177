"""A spectrum given as a table of energies and values. It has no parameters; flux points use it as the reference they were made with."""

import astropy.units as u
import numpy as np

from ...core.errors import ModelError
from ...maps.interpolation import interpolate_1d
from ..units import as_tev, engine_factor
from .base import SpectralModel
from .binding import FormulaBinding

__all__ = ["TemplateSpectralModel"]

TINY = np.finfo(np.float64).tiny
SCALES = ("log", "lin")


class TemplateSpectralModel(SpectralModel):
    """Spectrum interpolated in a table, log-log by default, extrapolated beyond its ends; one value alone is a constant.

    Parameters
    ----------
    energy : `~astropy.units.Quantity`
        Increasing energies, shape (N,).
    values : `~astropy.units.Quantity`
        Values there. Not negative; zeros count as the smallest number where the logarithm is interpolated, as in gammapy.
    interp_kwargs : dict, optional
        ``values_scale``: "log" (default) or "lin".
    meta : dict, optional
        Metadata.

    Raises
    ------
    ModelError
        If the table has no rows, its energies do not increase, or an option is unknown.
    """

    tag = ["TemplateSpectralModel", "template"]
    dict_keys = ("energy", "values")

    def __init__(self, energy, values, interp_kwargs=None, meta=None):
        energy, values = u.Quantity(energy, ndmin=1), u.Quantity(values, ndmin=1)
        options = dict(interp_kwargs or {})
        self._scale = options.pop("values_scale", "log")
        if options or self._scale not in SCALES:
            raise ModelError(f"interp_kwargs of TemplateSpectralModel may set values_scale to 'log' or 'lin', got {interp_kwargs}")
        if energy.shape != values.shape or energy.ndim != 1 or energy.size == 0:
            raise ModelError(f"TemplateSpectralModel needs one value per energy, got the shapes {energy.shape} and {values.shape}")
        tev = as_tev(energy)
        if not (np.all(tev > 0) and np.all(np.diff(tev) > 0)):
            raise ModelError("TemplateSpectralModel: energies must be positive and increase strictly: sort the table")
        self.energy, self.values, self.meta = energy, values, {} if meta is None else meta
        self._log_energy = np.log(tev)
        self._nodes = np.log(np.clip(values.value.astype(float), TINY, None)) if self._scale == "log" else values.value.astype(float)
        super().__init__()

    def _at(self, tev):
        """Plain values at plain energies in TeV."""
        found = interpolate_1d(self._log_energy, self._nodes, np.log(np.clip(tev, TINY, None)))
        if self._scale == "log":
            found = np.exp(found)
            found = np.where(found <= 2 * TINY, 0.0, found)
        return np.clip(found, 0, None)

    def evaluate(self, energy):
        """Value at energies."""
        return u.Quantity(self._at(u.Quantity(energy).to_value("TeV")), self.values.unit)

    def _bind_evaluate(self, energy):
        factor = engine_factor(self.values.unit)
        return FormulaBinding(lambda at: (factor * self._at(at), ()), (energy,), ())

    def to_dict(self, full_output=False, links=None):
        """Dict as models files hold it."""
        data = super().to_dict(full_output=full_output, links=links)
        for name in self.dict_keys:
            quantity = getattr(self, name)
            data["spectral"][name] = {"data": quantity.value.tolist(), "unit": str(quantity.unit)}
        return data

    @classmethod
    def from_dict(cls, data, **kwargs):
        """Model from its dict."""
        part = data.get("spectral", data)
        try:
            energy, values = (u.Quantity(part[name]["data"], part[name]["unit"]) for name in cls.dict_keys)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"TemplateSpectralModel needs 'energy' and 'values', each with 'data' and 'unit': {error}") from error
        return cls(energy, values, **kwargs)
