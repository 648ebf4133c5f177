"""Base class of spectral models: differential flux as a function of energy.

A user's model declares its parameters and `evaluate`; everything else follows from them::

    class MySpectralModel(SpectralModel):
        tag = "my-spectral-model"
        index = Parameter("index", 2)
        amplitude = Parameter("amplitude", "1e-12 cm-2 s-1 TeV-1")

        @staticmethod
        def evaluate(energy, index, amplitude):
            return amplitude * (energy / (1 * u.TeV)) ** (-index)

To make a model as exact and fast as the built-in ones, give it also the static method ``evaluate_gradient(energy, *parameters)``: it gets
plain arrays (energy in TeV, the parameters in TeV, cm and s with shape [B, 1]) and returns the value and a list of derivatives, one per
parameter. ``integral_gradient(energy_min, energy_max, *parameters)`` does the same for an analytic integral.
"""

import copy

import astropy.units as u
import numpy as np

from ...core.errors import ModelError
from ..base import ModelBase
from ..units import as_tev, engine_unit
from .binding import NODES_PER_DECADE, FormulaBinding, GaussIntegral, LogLogIntegral, NumericBinding, energy_bins, quadrature_nodes

__all__ = ["SpectralModel"]


class SpectralModel(ModelBase):
    """Base class of spectral models."""

    _type = "spectral"
    is_norm_spectral_model = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # the class name decides, as users' models for gammapy rely on it
        cls.is_norm_spectral_model = "Norm" in cls.__name__

    def __call__(self, energy):
        """Value of the model.

        Parameters
        ----------
        energy : `~astropy.units.Quantity` or str

        Returns
        -------
        value : `~astropy.units.Quantity`
        """
        energy = u.Quantity(energy)
        kwargs = {}
        for name, parameter in zip(self.default_parameters.names, self.parameters, strict=True):
            quantity = parameter.quantity
            kwargs[name] = quantity.to(energy.unit) if quantity.unit.physical_type == "energy" else quantity
        return self.evaluate(energy, **kwargs)

    # the engine's view

    def _first_defined(self, *names):
        """Which of these names the most derived class defines: a subclass that replaces `evaluate` shall not keep the old derivatives."""
        for cls in type(self).__mro__:
            for name in names:
                if name in cls.__dict__:
                    return name
        return None

    def bind_evaluate(self, energy):
        """Snapshot of the model at given energies, for the engine.

        Parameters
        ----------
        energy : array[K] or Quantity
            Plain numbers are TeV.

        Returns
        -------
        bound : object
            ``value(values[B, P]) -> g[B, K]`` and ``value_and_gradient(values) -> g[B, K], dg[B, P, K]``, where values are those of all
            parameters, in their own units, and g is in the model's kind of unit with TeV, cm and s.
        """
        return self._bind_evaluate(np.atleast_1d(as_tev(energy)))

    def _bind_evaluate(self, energy):
        parameters = self.parameters
        if self._first_defined("evaluate_gradient", "evaluate") == "evaluate_gradient":
            return FormulaBinding(type(self).evaluate_gradient, (energy,), [p.unit for p in parameters])
        return NumericBinding(copy.deepcopy(self).evaluate, (energy,), parameters, self.default_parameters.names)

    def bind_integral(self, energy_min, energy_max, quadrature="gammapy", ndecade=NODES_PER_DECADE):
        """Snapshot of the model's integrals over energy bins, for the engine.

        Parameters
        ----------
        energy_min, energy_max : array[L] or Quantity
            Edges of the bins; plain numbers are TeV.
        quadrature : {"gammapy", "exact"}
            For models without an analytic integral. "gammapy": log-log trapezoid with `ndecade` nodes per decade, the node count taken from
            the widest bin of the call, as gammapy does. "exact": Gauss-Legendre, accurate to about 1e-13 for smooth spectra.
        ndecade : int
            Nodes per decade of "gammapy".

        Returns
        -------
        bound : object
            ``value(values[B, P]) -> F[B, L]`` in cm-2 s-1 (norm models: TeV) and ``value_and_gradient(values) -> F[B, L], dF[B, P, L]``.
            Derivatives are exact for the quadrature that is used.
        """
        low, high, decades = energy_bins(energy_min, energy_max)
        if quadrature not in ("gammapy", "exact"):
            raise ModelError(f"unknown quadrature {quadrature!r}: choose 'gammapy' or 'exact'")
        kind = self._first_defined("integral_gradient", "evaluate_integral", "evaluate_gradient", "evaluate")
        if kind == "integral_gradient":
            return FormulaBinding(type(self).integral_gradient, (low, high), [p.unit for p in self.parameters])
        if kind == "evaluate_integral":
            return NumericBinding(copy.deepcopy(self).evaluate_integral, (low, high), self.parameters, self.default_parameters.names)
        if quadrature == "exact":
            return GaussIntegral(self._bind_evaluate, low, high)
        return LogLogIntegral(self._bind_evaluate, quadrature_nodes(low, high, decades, ndecade))

    # integrals and errors for people

    @property
    def _flux_unit(self):
        return engine_unit(self(1 * u.TeV).unit)

    def _over_bins(self, energy_min, energy_max, bind, unit):
        low, high = np.broadcast_arrays(u.Quantity(energy_min), u.Quantity(energy_max), subok=True)
        bound = bind(low.ravel(), high.ravel())
        values = bound.value(self.parameters.value[np.newaxis])[0]
        return u.Quantity(values.reshape(low.shape), unit)

    def integral(self, energy_min, energy_max, ndecade=NODES_PER_DECADE):
        """Integral flux over energy bins.

        Analytic where the model has an analytic integral, else gammapy's log-log trapezoid.

        Parameters
        ----------
        energy_min, energy_max : `~astropy.units.Quantity`
        ndecade : int
            Nodes per decade.

        Returns
        -------
        integral : `~astropy.units.Quantity`
            In cm-2 s-1; TeV for norm models.
        """

        def bind(low, high):
            return self.bind_integral(low, high, ndecade=ndecade)

        return self._over_bins(energy_min, energy_max, bind, self._flux_unit * u.TeV)

    def energy_flux(self, energy_min, energy_max, ndecade=NODES_PER_DECADE):
        """Energy flux over energy bins: the integral of E times the spectrum, by the log-log trapezoid (exact for power laws).

        Parameters
        ----------
        energy_min, energy_max : `~astropy.units.Quantity`
        ndecade : int
            Nodes per decade.

        Returns
        -------
        energy_flux : `~astropy.units.Quantity`
            In TeV cm-2 s-1; TeV2 for norm models.
        """

        def bind(low, high):
            return self._bind_energy_flux(low, high, ndecade)

        return self._over_bins(energy_min, energy_max, bind, self._flux_unit * u.TeV**2)

    def _bind_energy_flux(self, low, high, ndecade=NODES_PER_DECADE):
        low, high, decades = energy_bins(low, high)
        return LogLogIntegral(self._bind_evaluate, quadrature_nodes(low, high, decades, ndecade), power=1)

    def _error(self, bound, shape, unit):
        value, gradient = bound.value_and_gradient(self.parameters.value[np.newaxis])
        covariance = self.covariance.expanded
        # the order of the products keeps amplitudes of 1e-13 squared away from underflow
        variance = np.einsum("pk,pq,qk->k", gradient[0], covariance, gradient[0])
        error = np.sqrt(np.clip(variance, 0, None))
        return u.Quantity([value[0].reshape(shape), error.reshape(shape), error.reshape(shape)], unit)

    def evaluate_error(self, energy, n_samples=None, random_state=None, samples=None):
        """Value and error, by linear propagation of the covariance with exact derivatives.

        Parameters
        ----------
        energy : `~astropy.units.Quantity`
        n_samples, random_state, samples
            Accepted so that scripts for gammapy run: there are no samples.

        Returns
        -------
        dnde, errn, errp : `~astropy.units.Quantity`
            One quantity of shape (3, ...); the errors are equal. gammapy draws samples here, its errors scatter by a per cent.
        """
        energy = u.Quantity(energy)
        return self._error(self.bind_evaluate(energy.ravel()), energy.shape, self._flux_unit)

    def integral_error(self, energy_min, energy_max, n_samples=None, random_state=None, samples=None):
        """Integral flux and its error, by linear propagation of the covariance; arguments and shape (3, ...) as `evaluate_error`."""
        low, high = np.broadcast_arrays(u.Quantity(energy_min), u.Quantity(energy_max), subok=True)
        return self._error(self.bind_integral(low.ravel(), high.ravel()), low.shape, self._flux_unit * u.TeV)

    def energy_flux_error(self, energy_min, energy_max, n_samples=None, random_state=None, samples=None):
        """Energy flux and its error, by linear propagation of the covariance; arguments and shape (3, ...) as `evaluate_error`."""
        low, high = np.broadcast_arrays(u.Quantity(energy_min), u.Quantity(energy_max), subok=True)
        return self._error(self._bind_energy_flux(low.ravel(), high.ravel()), low.shape, self._flux_unit * u.TeV**2)

    def spectral_index(self, energy, epsilon=1e-5):
        """Index of the power law that touches the spectrum at an energy, minus its slope in the logarithms.

        Parameters
        ----------
        energy : `~astropy.units.Quantity`
        epsilon : float
            Relative step of the energy by which the slope is taken.

        Returns
        -------
        index : float or array
        """
        low, high = self(energy), self(u.Quantity(energy) * (1 + epsilon))
        return np.log((low / high).to_value("")) / np.log1p(epsilon)

    def spectral_index_error(self, energy, epsilon=1e-5, n_samples=None, random_state=None, samples=None):
        """Index at an energy and its error, by linear propagation of the covariance.

        Parameters
        ----------
        energy : `~astropy.units.Quantity`
        epsilon : float
            As for `spectral_index`.
        n_samples, random_state, samples
            Accepted so that scripts for gammapy run: there are no samples.

        Returns
        -------
        index, errn, errp : array
            One array of shape (3, ...).
        """
        energy = u.Quantity(energy)
        parts = [
            self.bind_evaluate(one.ravel()).value_and_gradient(self.parameters.value[np.newaxis])
            for one in (energy, energy * (1 + epsilon))
        ]
        slopes = [gradient[0] / value[0] for value, gradient in parts]
        slope = (slopes[0] - slopes[1]) / np.log1p(epsilon)
        error = np.sqrt(np.clip(np.einsum("pk,pq,qk->k", slope, self.covariance.expanded, slope), 0, None)).reshape(energy.shape)
        return np.array([self.spectral_index(energy, epsilon), error, error])

    @property
    def pivot_energy(self):
        """Energy at which the relative error of the flux is smallest, NaN where it does not depend on energy."""
        reference = self.reference.quantity
        energies = reference * np.geomspace(np.exp(-3), np.exp(3), 2001)
        value, error, _ = self.evaluate_error(energies)
        relative = (error / value).to_value("")
        if not np.ptp(relative) > 1e-5 * np.max(relative):
            return np.nan * reference.unit
        return energies[np.argmin(relative)]

    def reference_fluxes(self, energy_axis):
        """Fluxes of the model on an energy axis.

        Parameters
        ----------
        energy_axis : `~gpudl4.maps.MapAxis`

        Returns
        -------
        fluxes : dict of `~astropy.units.Quantity`
            ``e_ref, e_min, e_max, ref_dnde, ref_flux, ref_eflux, ref_e2dnde``.
        """
        energy, edges = energy_axis.center, energy_axis.edges
        dnde = self(energy)
        return {
            "e_ref": energy,
            "e_min": edges[:-1],
            "e_max": edges[1:],
            "ref_dnde": dnde,
            "ref_flux": self.integral(edges[:-1], edges[1:]),
            "ref_eflux": self.energy_flux(edges[:-1], edges[1:]),
            "ref_e2dnde": dnde * energy**2,
        }

    def plot(self, energy_bounds, ax=None, sed_type="dnde", energy_power=0, n_points=100, **kwargs):
        """Plot the spectrum, see `gpudl4.plot.models.plot_spectral_model`."""
        from ...plot.models import plot_spectral_model

        return plot_spectral_model(self, energy_bounds, ax, sed_type, energy_power, n_points, **kwargs)

    def plot_error(self, energy_bounds, ax=None, sed_type="dnde", energy_power=0, n_points=100, **kwargs):
        """Draw the error band of the spectrum, see `gpudl4.plot.models.plot_spectral_error`."""
        from ...plot.models import plot_spectral_error

        return plot_spectral_error(self, energy_bounds, ax, sed_type, energy_power, n_points, **kwargs)
