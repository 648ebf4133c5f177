"""Statistics of flux points as functions of the predicted flux, with first and second derivatives: "chi2", "distrib" and "profile".

`Chi2`, `Distrib` and `Profile` hold N points in one unit: ``of(model[B, N])`` gives value, first and second derivative by the model, and a
second derivative that is never negative, for the steps of a minimiser; the likelihood uses them. `chi2`, `distrib` and `profile` are the
same numbers for a single call, in arrays of any shape.

* chi2: ``((data - model) / error)^2``.
* distrib: the same with the error of the side on which the model lies; for a limit U ``2 ln(erfc((U - model) / U) / erfc(1))``. That is the
  formula of gammapy 2.1, kept for parity. It is no likelihood of a limit: its width is the limit itself, it rises already far below the
  limit, and it is bounded by ``2 ln(2 / erfc(1))`` = 5.1 however far the model is above it. Use "profile" where profiles are known.
* profile: the profile of the fit statistic above its minimum, interpolated in the norm; on the host.
"""

import math
from dataclasses import dataclass

import numpy as np

from gpudl4.core.backend import array_namespace, backend_of

__all__ = [
    "Chi2",
    "Derivatives",
    "Distrib",
    "Profile",
    "ProfileInterpolator",
    "chi2",
    "chi2_slope",
    "distrib",
    "distrib_slope",
    "interpolate_profile",
    "profile",
]

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
        self._data, self._error = _floats(data, error)

    def of(self, model):
        """`Derivatives` at ``model[B, N]``."""
        xp = array_namespace(self._data)
        with np.errstate(divide="ignore", invalid="ignore"):
            pull = (model - self._data) / self._error
            curvature = xp.broadcast_to(2 / self._error**2, pull.shape)
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
        self._parts = _floats(data, errn, errp, limit)
        self._is_ul = array_namespace(self._parts[0]).asarray(is_ul, dtype=bool)

    def of(self, model):
        """`Derivatives` at ``model[B, N]``."""
        data, errn, errp, limit = self._parts
        xp = array_namespace(data)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = xp.where(model >= data, errp, errn)
            pull = (model - data) / error
            point = pull**2, 2 * pull / error, xp.broadcast_to(2 / error**2, pull.shape)
            parts = [xp.where(self._is_ul, a, b) for a, b in zip(_limit(model, limit), point, strict=True)]
        value, slope, curvature = (xp.where(xp.isnan(parts[0]), 0.0, part) for part in parts)
        return Derivatives(value, slope, curvature, _positive(value, slope, curvature))

    def take(self, index):
        """The statistic of some points."""
        return Distrib(*(part[index] for part in self._parts), self._is_ul[index])


def _limit(model, limit):
    """Value and derivatives for limits; with x = (limit - model) / limit it is 2 ln erfc(x) up to a constant."""
    xp, special = array_namespace(limit), backend_of(limit).special
    x = (limit - model) / limit
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = special.erfcx(x)  # exp(x^2) erfc(x): infinite, and its inverse right, far below 0
        log = xp.where(x > 0, xp.log(xp.where(x > 0, scaled, 1.0)) - x**2, xp.log(special.erfc(xp.minimum(x, 0.0))))
        by_x = -2 / math.sqrt(math.pi) / scaled  # of ln erfc
        by_x_twice = by_x * (-2 * x - by_x)
    by_x_twice = xp.where(xp.isinf(scaled), 0.0, by_x_twice)
    return 2 * (log - math.log(math.erfc(1.0))), -2 * by_x / limit, 2 * by_x_twice / limit**2


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

    Raises
    ------
    ValueError
        If the scale is unknown, or norms and scans do not make profiles.
    """

    def __init__(self, norms, scans, reference, interp_scale="sqrt", extrapolate=True):
        from scipy.interpolate import make_interp_spline

        self._norms, self._scans, self._reference = np.asarray(norms, dtype=float), np.asarray(scans, dtype=float), np.asarray(reference)
        if interp_scale not in SCALES:
            raise ValueError(f"interp_scale must be 'sqrt' or 'lin', got {interp_scale!r}")
        n, wanted = self._norms.size, SCALES[interp_scale] + 1
        if self._norms.ndim != 1 or self._scans.shape[1:] != (n,) or n < wanted or not (np.diff(self._norms) > 0).all():
            raise ValueError(
                f"a profile needs at least {wanted} ascending norms and a value for each, got shapes {self._norms.shape} and "
                f"{self._scans.shape[1:]}"
            )
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


def _floats(*arrays):
    """Arrays in double precision, in the library of the first."""
    xp = array_namespace(*(array for array in arrays if not np.isscalar(array)))
    return tuple(xp.asarray(array, dtype=float) for array in arrays)


def _positive(value, slope, curvature):
    """A second derivative that is not negative: where it is, that of the parabola with this value and slope and its minimum at 0."""
    xp = array_namespace(value)
    with np.errstate(divide="ignore", invalid="ignore"):
        parabola = xp.where(value > 0, slope**2 / (2 * value), 0.0)
    return xp.where(curvature > 0, curvature, parabola)


# ---- a single call -------------------------------------------------------------------------------------------------------------------
def chi2(flux, flux_pred, error):
    """``((flux - prediction) / error)^2`` of each point.

    Parameters
    ----------
    flux, flux_pred : array
        Measured and predicted flux, in one unit.
    error : array
        Symmetric error; of asymmetric ones take the mean.

    Returns
    -------
    stat : array
        float64.
    """
    return Chi2(flux, error).of(flux_pred).value


def chi2_slope(flux, flux_pred, error):
    """Derivative of `chi2` by the prediction; its second derivative is ``2 / error^2``."""
    return Chi2(flux, error).of(flux_pred).slope


def _distrib(flux, error, error_n, error_p, is_ul, flux_ul):
    """`Distrib` of points of which not everything is given."""
    xp = array_namespace(flux)
    shape = flux.shape

    def side(own):
        if own is None or error_n is None or error_p is None:
            return error
        return own if error is None else xp.where(xp.isnan(own), error, own)

    limit = xp.full(shape, xp.nan) if flux_ul is None else flux_ul
    return Distrib(flux, side(error_n), side(error_p), limit, xp.zeros(shape, dtype=bool) if is_ul is None else is_ul)


def distrib(flux, flux_pred, error=None, error_n=None, error_p=None, is_ul=None, flux_ul=None):
    """Distance of each point in its own error, and a penalty for predictions above upper limits, see the module's description.

    Parameters
    ----------
    flux, flux_pred : array
        Measured and predicted flux; NaN for points without measurement.
    error, error_n, error_p : array, optional
        Symmetric error, downward and upward error. The symmetric one is taken where the others are missing or NaN.
    is_ul : bool array, optional
        Points that are upper limits.
    flux_ul : array, optional
        The limits.

    Returns
    -------
    stat : array
        float64; 0 where nothing is known.
    """
    return _distrib(flux, error, error_n, error_p, is_ul, flux_ul).of(flux_pred).value


def distrib_slope(flux, flux_pred, error=None, error_n=None, error_p=None, is_ul=None, flux_ul=None):
    """Derivative of `distrib` by the prediction."""
    return _distrib(flux, error, error_n, error_p, is_ul, flux_ul).of(flux_pred).slope


class ProfileInterpolator:
    """Statistic of one point as a function of its norm, between the values of a scan; on the host.

    Parameters
    ----------
    norm : array[n]
        Norms of the scan, ascending.
    stat : array[n]
        Statistic at each of them above its minimum; its absolute value counts.
    interp_scale, extrapolate
        As for `Profile`; without extrapolation results beyond the scan are NaN.

    Attributes
    ----------
    is_valid : bool
        Whether all values of the scan are finite; if not, every result is NaN.

    Raises
    ------
    ValueError
        If the scan is none, or the scale is unknown.
    """

    def __init__(self, norm, stat, interp_scale="sqrt", extrapolate=True):
        scan = np.abs(np.asarray(stat, dtype=float))
        self._profile, self.extrapolate = Profile(norm, scan[np.newaxis], np.ones(1), interp_scale), extrapolate
        self.is_valid = bool(np.isfinite(scan).all())

    def is_extrapolated(self, norm):
        """Whether norms lie beyond the scan, bool array."""
        return self._profile.is_outside(np.asarray(norm, dtype=float))

    def __call__(self, norm):
        """Statistic at norms, float64 array."""
        return self._evaluated(norm, "value")

    def slope(self, norm):
        """Its derivative by the norm."""
        return self._evaluated(norm, "slope")

    def _evaluated(self, norm, what):
        norm = np.asarray(norm, dtype=float)
        out = getattr(self._profile.of(norm.reshape(-1, 1)), what).reshape(norm.shape)
        known = self.is_valid & (self.extrapolate | ~self.is_extrapolated(norm))
        return np.where(known, out, np.nan)


def interpolate_profile(norm, stat, interp_scale="sqrt", extrapolate=False):
    """`ProfileInterpolator` by its name in gammapy, where norms beyond the scan have no value by default."""
    return ProfileInterpolator(norm, stat, interp_scale, extrapolate)


def profile(norm, scan_norm, scan_stat, stat, interp_scale="sqrt", extrapolate=True):
    """Statistic of each point by interpolation of its own likelihood profile, on the host.

    Parameters
    ----------
    norm : array[...]
        Predicted flux by the reference flux of each point.
    scan_norm : array[n]
        Norms of the scans, the same for all points.
    scan_stat : array[..., n]
        Statistic at each of them.
    stat : array[...]
        Its minimum, which is taken off.
    interp_scale, extrapolate
        As for `Profile`.

    Returns
    -------
    stat, slope : array[...]
        Statistic and its derivative by the norm; NaN where a scan is not finite.
    is_extrapolated : bool array[...]
        Where the norm lies beyond the scan.
    """
    norm, minima = np.asarray(norm, dtype=float), np.asarray(stat, dtype=float)
    scans = np.abs(np.asarray(scan_stat, dtype=float) - minima[..., np.newaxis]).reshape(norm.size, -1)
    points, flat = Profile(scan_norm, scans, np.ones(norm.size), interp_scale, extrapolate), norm.reshape(1, -1)
    found = points.of(flat)
    slope = np.where(np.isnan(found.value), np.nan, found.slope)
    return tuple(part.reshape(norm.shape) for part in (found.value, slope, points.is_outside(flat)))
