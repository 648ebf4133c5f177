"""Spectra that are not power laws: exponential cut-off, log parabola, constant."""

import warnings

import numpy as np

from ..parameter import Parameter
from ..units import dimensionless
from .base import SpectralModel

__all__ = ["ConstantSpectralModel", "ExpCutoffPowerLawSpectralModel", "LogParabolaSpectralModel"]


def _cutoff_power(z, alpha):
    """(lambda_ * E)^alpha; for negative lambda_ continued linearly at alpha = 1, and 0 otherwise."""
    return np.where(z > 0, np.where(z > 0, z, 1.0) ** alpha, np.where(alpha == 1, z, 0.0))


class ExpCutoffPowerLawSpectralModel(SpectralModel):
    """Power law with exponential cut-off, ``amplitude * (E / reference)^(-index) * exp(-(lambda_ * E)^alpha)``.

    Parameters
    ----------
    index : number
        Default 1.5.
    amplitude : `~astropy.units.Quantity`
        Default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        Default 1 TeV, frozen.
    lambda_ : `~astropy.units.Quantity`
        Inverse of the cut-off energy, default 0.1 TeV-1. At values <= 0 the cut-off is absent where `alpha` is not 1.
    alpha : number
        Default 1, frozen.
    """

    tag = ["ExpCutoffPowerLawSpectralModel", "ecpl"]
    index = Parameter("index", 1.5)
    amplitude = Parameter("amplitude", "1e-12 cm-2 s-1 TeV-1", interp="log")
    reference = Parameter("reference", "1 TeV", frozen=True)
    lambda_ = Parameter("lambda_", "0.1 TeV-1")
    alpha = Parameter("alpha", 1.0, frozen=True)

    @staticmethod
    def evaluate(energy, index, amplitude, reference, lambda_, alpha):
        """Differential flux."""
        x = dimensionless(energy / reference)
        power = _cutoff_power(dimensionless(energy * lambda_), dimensionless(alpha))
        return amplitude * x ** (-dimensionless(index)) * np.exp(-power)

    @staticmethod
    def evaluate_gradient(energy, index, amplitude, reference, lambda_, alpha):
        """Differential flux and derivatives, on plain arrays. Those for lambda_ and alpha are 0 where the cut-off is absent."""
        log_x = np.log(energy / reference)
        z = energy * lambda_
        power = _cutoff_power(z, alpha)
        shape = np.exp(-index * log_x - power)
        value = amplitude * shape
        positive = z > 0
        safe = np.where(positive, z, 1.0)
        slope = np.where(positive, alpha * power / safe, alpha == 1) * energy
        return value, (-value * log_x, shape, value * (index / reference), -value * slope, -value * power * np.log(safe))

    @property
    def e_peak(self):
        """Energy of the peak of E^2 dN/dE, ``((2 - index) / alpha)^(1 / alpha) / lambda_``; NaN where there is none."""
        index, alpha, lambda_ = self.index.value, self.alpha.value, self.lambda_.quantity
        if index >= 2 or alpha <= 0 or lambda_.value <= 0:
            return np.nan * self.reference.unit
        return (((2 - index) / alpha) ** (1 / alpha) / lambda_).to(self.reference.unit)


class LogParabolaSpectralModel(SpectralModel):
    """Log parabola, ``amplitude * (E / reference)^(-alpha - beta * ln(E / reference))``.

    Parameters
    ----------
    amplitude : `~astropy.units.Quantity`
        Default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        Default 10 TeV, frozen.
    alpha : number
        Index at the reference energy, default 2.
    beta : number
        Curvature for the natural logarithm, default 1.
    """

    tag = ["LogParabolaSpectralModel", "lp"]
    amplitude = Parameter("amplitude", "1e-12 cm-2 s-1 TeV-1", interp="log")
    reference = Parameter("reference", "10 TeV", frozen=True)
    alpha = Parameter("alpha", 2)
    beta = Parameter("beta", 1)

    @classmethod
    def from_log10(cls, amplitude, reference, alpha, beta):
        """From a curvature for the decadic logarithm."""
        return cls(amplitude=amplitude, reference=reference, alpha=alpha, beta=beta / np.log(10))

    @staticmethod
    def evaluate(energy, amplitude, reference, alpha, beta):
        """Differential flux."""
        x = dimensionless(energy / reference)
        return amplitude * x ** (-dimensionless(alpha) - dimensionless(beta) * np.log(x))

    @staticmethod
    def evaluate_gradient(energy, amplitude, reference, alpha, beta):
        """Differential flux and derivatives, on plain arrays."""
        log_x = np.log(energy / reference)
        shape = np.exp(-log_x * (alpha + beta * log_x))
        value = amplitude * shape
        d_alpha = -value * log_x
        return value, (shape, value * (alpha + 2 * beta * log_x) / reference, d_alpha, d_alpha * log_x)

    @property
    def e_peak(self):
        """Energy of the peak of E^2 dN/dE, ``reference * exp((2 - alpha) / (2 beta))``."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return self.reference.quantity * np.exp(np.divide(2 - self.alpha.value, 2 * self.beta.value))


class ConstantSpectralModel(SpectralModel):
    """Constant differential flux.

    Parameters
    ----------
    const : `~astropy.units.Quantity`
        Default 1e-12 cm-2 s-1 TeV-1.
    """

    tag = ["ConstantSpectralModel", "const"]
    const = Parameter("const", "1e-12 cm-2 s-1 TeV-1")

    @staticmethod
    def evaluate(energy, const):
        """Differential flux."""
        return np.ones(np.shape(energy)) * const

    @staticmethod
    def evaluate_gradient(energy, const):
        """Differential flux and derivatives, on plain arrays."""
        one = np.ones_like(energy)
        return const * one, (one,)

    @staticmethod
    def integral_gradient(energy_min, energy_max, const):
        """Analytic integral and derivatives, on plain arrays."""
        size = energy_max - energy_min
        return const * size, (size,)
