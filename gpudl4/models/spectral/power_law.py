"""Power laws: by amplitude, by norm, by integral flux, and broken."""

import astropy.units as u
import numpy as np

from ..parameter import Parameter
from ..units import dimensionless
from .base import SpectralModel

__all__ = ["BrokenPowerLawSpectralModel", "PowerLaw2SpectralModel", "PowerLawNormSpectralModel", "PowerLawSpectralModel"]

SERIES_BELOW = 1e-2  # abs(t) below which the derivative of (exp(t) - 1) / t is taken from its series


def growth(t):
    """``(exp(t) - 1) / t`` and its derivative; 1 and 1/2 at t = 0.

    With t = (1 - index) ln(Emax / Emin) this is the integral of a power law in units of its value at Emin, Emin ln(Emax / Emin). It has no
    singularity at index 1, where the closed form with 1 - index in the denominator loses its digits.
    """
    small = np.abs(t) < SERIES_BELOW
    if not small.any():
        value = np.expm1(t) / t
        return value, (t * value + 1 - value) / t
    safe = np.where(small, 1.0, t)
    value, slope = growth(safe)
    series = 1 + t * (1 / 2 + t * (1 / 6 + t * (1 / 24 + t * (1 / 120 + t / 720))))
    series_slope = 1 / 2 + t * (1 / 3 + t * (1 / 8 + t * (1 / 30 + t * (1 / 144 + t / 840))))
    return np.where(small, series, value), np.where(small, series_slope, slope)


def _power_law(energy, index, amplitude, reference):
    """Value and derivatives for index, amplitude, reference."""
    log_x = np.log(energy / reference)
    shape = np.exp(-index * log_x)
    value = amplitude * shape
    return value, (-value * log_x, shape, value * (index / reference))


def _power_law_integral(energy_min, energy_max, index, amplitude, reference):
    """Integral and derivatives for index, amplitude, reference."""
    size = np.log(energy_max / energy_min)
    log_x = np.log(energy_min / reference)
    phi, slope = growth((1 - index) * size)
    start = np.exp(-index * log_x) * energy_min * size
    shape = start * phi
    value = amplitude * shape
    return value, (-value * log_x - amplitude * start * slope * size, shape, value * (index / reference))


class PowerLawSpectralModel(SpectralModel):
    """Power law, ``amplitude * (E / reference)^(-index)``.

    Parameters
    ----------
    index : number
        Default 2.
    amplitude : `~astropy.units.Quantity`
        Differential flux at the reference energy, default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        Default 1 TeV, frozen.
    """

    tag = ["PowerLawSpectralModel", "pl"]
    index = Parameter("index", 2.0)
    amplitude = Parameter("amplitude", "1e-12 cm-2 s-1 TeV-1", interp="log")
    reference = Parameter("reference", "1 TeV", frozen=True)

    @staticmethod
    def evaluate(energy, index, amplitude, reference):
        """Differential flux."""
        return amplitude * dimensionless(energy / reference) ** (-dimensionless(index))

    @staticmethod
    def evaluate_gradient(energy, index, amplitude, reference):
        """Differential flux and derivatives, on plain arrays."""
        return _power_law(energy, index, amplitude, reference)

    @staticmethod
    def integral_gradient(energy_min, energy_max, index, amplitude, reference):
        """Analytic integral and derivatives, on plain arrays."""
        return _power_law_integral(energy_min, energy_max, index, amplitude, reference)

    def inverse(self, value):
        """Energy at which the model has a value."""
        ratio = (u.Quantity(value) / self.amplitude.quantity).to_value("")
        return self.reference.quantity * ratio ** (-1 / self.index.value)

    @property
    def pivot_energy(self):
        """Decorrelation energy, ``reference * exp(cov(amplitude, index) / (amplitude * var(index)))``.

        Equation 1 of Abdo et al. 2009, ApJS 183, 46.
        """
        covariance = self.covariance.expanded
        if covariance[0, 0] == 0:
            return np.nan * self.reference.unit
        return self.reference.quantity * np.exp(covariance[0, 1] / (self.amplitude.value * covariance[0, 0]))


class PowerLawNormSpectralModel(SpectralModel):
    """Power law without unit, ``norm * (E / reference)^(-tilt)``, to scale another spectrum or a background.

    Parameters
    ----------
    tilt : number
        Default 0, frozen.
    norm : number
        Default 1.
    reference : `~astropy.units.Quantity`
        Default 1 TeV, frozen.
    """

    tag = ["PowerLawNormSpectralModel", "pl-norm"]
    tilt = Parameter("tilt", 0, frozen=True)
    norm = Parameter("norm", 1, interp="log")
    reference = Parameter("reference", "1 TeV", frozen=True)

    @staticmethod
    def evaluate(energy, tilt, norm, reference):
        """Value."""
        return u.Quantity(norm * dimensionless(energy / reference) ** (-dimensionless(tilt)))

    @staticmethod
    def evaluate_gradient(energy, tilt, norm, reference):
        """Value and derivatives, on plain arrays."""
        return _power_law(energy, tilt, norm, reference)

    @staticmethod
    def integral_gradient(energy_min, energy_max, tilt, norm, reference):
        """Analytic integral and derivatives, on plain arrays."""
        return _power_law_integral(energy_min, energy_max, tilt, norm, reference)

    def inverse(self, value):
        """Energy at which the model has a value."""
        ratio = (u.Quantity(value) / self.norm.quantity).to_value("")
        return self.reference.quantity * ratio ** (-1 / self.tilt.value)

    @property
    def pivot_energy(self):
        """Decorrelation energy, ``reference * exp(cov(norm, tilt) / (norm * var(tilt)))``."""
        covariance = self.covariance.expanded
        if covariance[0, 0] == 0:
            return np.nan * self.reference.unit
        return self.reference.quantity * np.exp(covariance[0, 1] / (self.norm.value * covariance[0, 0]))


class PowerLaw2SpectralModel(SpectralModel):
    """Power law whose amplitude is its integral flux from `emin` to `emax`.

    Parameters
    ----------
    amplitude : `~astropy.units.Quantity`
        Integral flux, default 1e-12 cm-2 s-1.
    index : number
        Default 2.
    emin, emax : `~astropy.units.Quantity`
        Default 0.1 TeV and 100 TeV, frozen.
    """

    tag = ["PowerLaw2SpectralModel", "pl-2"]
    amplitude = Parameter("amplitude", "1e-12 cm-2 s-1", interp="log")
    index = Parameter("index", 2)
    emin = Parameter("emin", "0.1 TeV", frozen=True)
    emax = Parameter("emax", "100 TeV", frozen=True)

    @staticmethod
    def evaluate(energy, amplitude, index, emin, emax):
        """Differential flux."""
        index = dimensionless(index)
        size = np.log(dimensionless(emax / emin))
        return amplitude * dimensionless(energy / emin) ** (-index) / (emin * size * growth((1 - index) * size)[0])

    @staticmethod
    def evaluate_gradient(energy, amplitude, index, emin, emax):
        """Differential flux and derivatives, on plain arrays."""
        norm, (d_index, _, d_emin, d_emax) = _unit_integral(index, emin, emax)
        log_x = np.log(energy / emin)
        shape = np.exp(-index * log_x)
        value = amplitude * shape / norm
        return value, (shape / norm, value * (-log_x - d_index / norm), value * (index / emin - d_emin / norm), -value * d_emax / norm)

    @staticmethod
    def integral_gradient(energy_min, energy_max, amplitude, index, emin, emax):
        """Analytic integral and derivatives, on plain arrays."""
        norm, (d_index, _, d_emin, d_emax) = _unit_integral(index, emin, emax)
        part, (p_index, _, p_emin) = _power_law_integral(energy_min, energy_max, index, 1.0, emin)
        value = amplitude * part / norm
        return value, (
            part / norm,
            amplitude * p_index / norm - value * d_index / norm,
            amplitude * p_emin / norm - value * d_emin / norm,
            -value * d_emax / norm,
        )

    def inverse(self, value):
        """Energy at which the model has a value."""
        ratio = (u.Quantity(value) / self(self.emin.quantity)).to_value("")
        return self.emin.quantity * ratio ** (-1 / self.index.value)


def _unit_integral(index, emin, emax):
    """Integral from emin to emax of (E / emin)^(-index), and derivatives for index, amplitude (None), emin, emax."""
    size = np.log(emax / emin)
    phi, slope = growth((1 - index) * size)
    value = emin * size * phi
    d_size = emin * (phi + size * slope * (1 - index))
    return value, (-emin * size * slope * size, None, value / emin - d_size / emin, d_size / emax)


class BrokenPowerLawSpectralModel(SpectralModel):
    """Two power laws that meet at the break energy.

    Parameters
    ----------
    index1, index2 : number
        Indices below and above the break, default 2.
    amplitude : `~astropy.units.Quantity`
        Differential flux at the break, default 1e-12 cm-2 s-1 TeV-1.
    ebreak : `~astropy.units.Quantity`
        Default 1 TeV.
    """

    tag = ["BrokenPowerLawSpectralModel", "bpl"]
    index1 = Parameter("index1", 2.0)
    index2 = Parameter("index2", 2.0)
    amplitude = Parameter("amplitude", "1e-12 cm-2 s-1 TeV-1", interp="log")
    ebreak = Parameter("ebreak", "1 TeV")

    @staticmethod
    def evaluate(energy, index1, index2, amplitude, ebreak):
        """Differential flux."""
        x = dimensionless(energy / ebreak)
        return amplitude * np.where(x < 1, x ** (-dimensionless(index1)), x ** (-dimensionless(index2)))

    @staticmethod
    def evaluate_gradient(energy, index1, index2, amplitude, ebreak):
        """Differential flux and derivatives, on plain arrays."""
        below = energy < ebreak
        value, (d_index, d_amplitude, d_break) = _power_law(energy, np.where(below, index1, index2), amplitude, ebreak)
        return value, (np.where(below, d_index, 0.0), np.where(below, 0.0, d_index), d_amplitude, d_break)
