"""Statistics of flux points as functions of the predicted flux, with first and second derivatives: "chi2", "distrib" and "profile".

Every statistic works on plain arrays of N points in one unit: ``of(model[B, N])`` gives value, first and second derivative by the model,
and a second derivative that is never negative, for the steps of a minimiser.

* chi2: ``((data - model) / error)^2``.
* distrib: the same with the error of the side on which the model lies; for a limit U ``2 ln(erfc((U - model) / U) / erfc(1))``. That is the
  formula of gammapy 2.1, kept for parity. It is no likelihood of a limit: its width is the limit itself, it rises already far below the
  limit, and it is bounded by ``2 ln(2 / erfc(1))`` = 5.1 however far the model is above it. Use "profile" where profiles are known.
* profile: the profile of the fit statistic above its minimum, interpolated in the norm.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["STAT_TYPES", "Chi2", "Derivatives", "Distrib", "Profile"]

STAT_TYPES = ("chi2", "distrib", "profile")
SCALES = {"sqrt": 2, "lin": 1}
"""Degree of the interpolating spline by gammapy's name of the scale: "sqrt" is quadratic, for profiles that are nearly parabolas."""


@dataclass(frozen=True)
class Derivatives:
    """Value of a statistic per point and its derivatives by the model, arrays[B, N].

    Attributes
    ----------
    value, slope, curvature : array
        Statistic, its first and second derivative.
    weight : array
        Second derivative that is not negative, for steps.
    """

    value: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray
    weight: np.ndarray


class Chi2:
    """Gaussian errors.

    Parameters
    ----------
    data, error : array[N]
        In the unit of the model.
    """

    def __init__(self, data, error):
        self._data, self._error = np.asarray(data, dtype=float), np.asarray(error, dtype=float)

    def of(self, model):
        """`Derivatives` at ``model[B, N]``."""
        with np.errstate(divide="ignore", invalid="ignore"):
            pull = (model - self._data) / self._error
            curvature = np.broadcast_to(2 / self._error**2, pull.shape)
            return Derivatives(pull**2, 2 * pull / self._error, curvature, curvature)

    def take(self, index):
        """The statistic of some points."""
        return Chi2(self._data[index], self._error[index])


class Distrib:
    """Asymmetric Gaussian errors, and the complementary error function for limits; see the module for what that is worth.

    Parameters
    ----------
    data, errn, errp, limit : array[N]
        In the unit of the model; NaN where unknown. A point without data and limit counts nothing.
    is_ul : bool array[N]
        Where the limit is used.
    """

    def __init__(self, data, errn, errp, limit, is_ul):
        self._parts = tuple(np.asarray(a, dtype=float) for a in (data, errn, errp, limit))
        self._is_ul = np.asarray(is_ul, dtype=bool)

    def of(self, model):
        """`Derivatives` at ``model[B, N]``."""
        data, errn, errp, limit = self._parts
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(model >= data, errp, errn)
            pull = (model - data) / error
            point = pull**2, 2 * pull / error, np.broadcast_to(2 / error**2, pull.shape)
            parts = [np.where(self._is_ul, a, b) for a, b in zip(_limit(model, limit), point, strict=True)]
        value, slope, curvature = (np.where(np.isnan(parts[0]), 0.0, part) for part in parts)
        return Derivatives(value, slope, curvature, _positive(value, slope, curvature))

    def take(self, index):
        """The statistic of some points."""
        return Distrib(*(part[index] for part in self._parts), self._is_ul[index])


def _limit(model, limit):
    """Value and derivatives for limits; with x = (limit - model) / limit it is 2 ln erfc(x) up to a constant."""
    from scipy.special import erfc, erfcx

    x = (limit - model) / limit
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = erfcx(x)  # exp(x^2) erfc(x): infinite, and its inverse right, far below 0
        log = np.where(x > 0, np.log(np.where(x > 0, scaled, 1.0)) - x**2, np.log(erfc(np.minimum(x, 0))))
        by_x = -2 / np.sqrt(np.pi) / scaled  # of ln erfc
        by_x_twice = by_x * (-2 * x - by_x)
    by_x_twice = np.where(np.isinf(scaled), 0.0, by_x_twice)
    return 2 * (log - np.log(erfc(1.0))), -2 * by_x / limit, 2 * by_x_twice / limit**2


class Profile:
    """Interpolated profiles of a fit statistic.

    Parameters
    ----------
    norms : array[M]
        Norms at which the profiles are known, increasing.
    scans : array[N, M]
        Statistic above its minimum; gammapy's takes the absolute value of the difference, so that a scan below its minimum is mirrored.
    reference : array[N]
        Flux of norm 1, in the unit of the model.
    interp_scale : {"sqrt", "lin"}
        Quadratic or linear interpolation.
    extrapolate : bool
        Whether the spline goes on beyond the scan; else the statistic is infinite there.
    """

    def __init__(self, norms, scans, reference, interp_scale="sqrt", extrapolate=True):
        from scipy.interpolate import make_interp_spline

        self._norms, self._scans, self._reference = np.asarray(norms, dtype=float), np.asarray(scans, dtype=float), np.asarray(reference)
        self._options = interp_scale, extrapolate
        self._unknown = ~np.isfinite(self._scans).all(axis=1)
        known = np.where(self._unknown[:, np.newaxis], 0.0, self._scans)
        degree = SCALES[interp_scale]
        spline = make_interp_spline(self._norms, known.T, k=degree)
        self._begins = np.unique(spline.t)[:-1]  # of the pieces; Taylor's coefficients there, that of the highest power first
        self._coefficients = [spline(self._begins, nu=order) / max(order, 1) for order in range(degree, -1, -1)]

    def of(self, model):
        """`Derivatives` at ``model[B, N]``."""
        norm = model / self._reference
        piece = np.clip(np.searchsorted(self._begins, norm, side="right") - 1, 0, len(self._begins) - 1)
        x = norm - self._begins[piece]
        value = slope = curvature = np.zeros(norm.shape)
        for coefficients in self._coefficients:  # Horner's scheme for a polynomial and its derivatives
            curvature, slope = curvature * x + 2 * slope, slope * x + value
            value = value * x + coefficients[piece, np.arange(norm.shape[1])]
        value = np.where(self._unknown, np.nan, value)
        if not self._options[1]:
            value = np.where(self.is_outside(model), np.inf, value)
        slope, curvature = slope / self._reference, curvature / self._reference**2
        return Derivatives(value, slope, curvature, _positive(value, slope, curvature))

    def is_outside(self, model):
        """Where ``model[B, N]`` lies beyond the scan, so that the profile is extrapolated."""
        norm = model / self._reference
        return (norm < self._norms[0]) | (norm > self._norms[-1])

    def take(self, index):
        """The statistic of some points."""
        return Profile(self._norms, self._scans[index], self._reference[index], *self._options)


def _positive(value, slope, curvature):
    """A second derivative that is not negative: where it is, that of the parabola with this value and slope and its minimum at 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        parabola = np.where(value > 0, slope**2 / (2 * value), 0.0)
    return np.where(curvature > 0, curvature, parabola)
