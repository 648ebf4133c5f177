"""Statistics of flux points as functions of the predicted flux, with first and second derivatives: "chi2", "distrib" and "profile".

`Chi2`, `Distrib` and `Profile` hold N points in one unit, as rows and numbers for the kernels `flux_points`; the likelihood lays those of
all datasets behind each other (`gpudl4.likelihood.fluxes`). ``of(model[B, N])`` gives value, first and second derivative by the model, and
a second derivative that is never negative, for the steps of a minimiser. `chi2`, `distrib` and `profile` are the same numbers for a single
call, in arrays of any shape. All of them run where the arrays live.

* chi2: ``((data - model) / error)^2``.
* distrib: the same with the error of the side on which the model lies; for a limit U ``2 ln(erfc((U - model) / U) / erfc(1))``. That is the
  formula of gammapy 2.1, kept for parity. It is no likelihood of a limit: its width is the limit itself, it rises already far below the
  limit, and it is bounded by ``2 ln(2 / erfc(1))`` = 5.1 however far the model is above it. Use "profile" where profiles are known.
* profile: the profile of the fit statistic above its minimum, interpolated in the norm.
"""

from dataclasses import dataclass, fields

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import array_namespace, backend_of
from gpudl4.kernels.tables import POINT_CHI2, POINT_LIMIT, POINT_PROFILE, POINT_SIDED

__all__ = [
    "Chi2",
    "Derivatives",
    "Distrib",
    "PointStatistic",
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


class PointStatistic:
    """Points of any kind, as the kernels `flux_points` want them.

    Parameters
    ----------
    rows : int64[N, 4]
        Of each point its kind, where its numbers stand in `numbers`, where the pieces of its profile begin there, and how many they are:
        the columns Q_KIND, Q_NUMBERS, Q_BEGINS and Q_PIECES of `gpudl4.kernels.tables`.
    numbers : float64[...]
        On the same backend.

    Attributes
    ----------
    rows, numbers
        The same.
    """

    def __init__(self, rows, numbers):
        self.rows, self.numbers = rows, numbers

    def of(self, model):
        """`Derivatives` at ``model[B, N]``, which lives where the points do."""
        backend = backend_of(self.rows)
        xp, n = backend.xp, len(self.rows)
        model = xp.asarray(model, dtype=float)
        params = xp.ascontiguousarray(xp.broadcast_to(model, (len(model), n)))
        index = xp.arange(n)
        kind, first, begins, pieces = self.rows.T
        points = xp.stack([kind, index, first, begins, pieces, index, n + index], axis=1)
        parts, expected, observed = xp.empty((len(model), 2 * n)), xp.empty(params.shape), xp.empty(params.shape)
        twin = kernels.of(backend, "flux_points")
        twin.flux_points(points, self.numbers, params, parts)
        twin.flux_points_weights(points, self.numbers, params, expected, observed)
        return Derivatives(parts[:, :n], parts[:, n:], observed, expected)

    def take(self, index):
        """The statistic of some points."""
        return PointStatistic(self.rows[index], self.numbers)


def _rows(kind, first, begins=0, pieces=0):
    """Rows of points whose numbers begin at ``first[N]``."""
    xp = array_namespace(first)
    columns = [xp.zeros(first.shape, dtype=np.int64) + column for column in (kind, first, begins, pieces)]
    return xp.stack(columns, axis=1)


class Chi2(PointStatistic):
    """Gaussian errors.

    Parameters
    ----------
    data, error : array[N]
        In the unit of the model.
    """

    def __init__(self, data, error):
        xp, (data, error) = array_namespace(data, error), _floats(data, error)
        super().__init__(_rows(POINT_CHI2, 2 * xp.arange(len(data))), xp.stack([data, error], axis=1).ravel())


class Distrib(PointStatistic):
    """Asymmetric Gaussian errors, and the complementary error function for limits; see the module for what that is worth.

    Parameters
    ----------
    data, errn, errp, limit : array[N]
        In the unit of the model; NaN where unknown. A point without data and limit counts nothing.
    is_ul : bool array[N]
        Where the limit is used.
    """

    def __init__(self, data, errn, errp, limit, is_ul):
        parts = _floats(data, errn, errp, limit)
        xp = array_namespace(*parts)
        is_ul = xp.asarray(is_ul, dtype=bool)
        kind = xp.where(is_ul, POINT_LIMIT, POINT_SIDED)
        first = 4 * xp.arange(len(is_ul)) + xp.where(is_ul, 3, 0)  # of a limit the fourth number
        super().__init__(_rows(kind, first), xp.stack(parts, axis=1).ravel())


class Profile(PointStatistic):
    """Interpolated profiles of a fit statistic, from arrays on the host.

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

        norms, scans, self._reference = _floats(norms, scans, reference)
        if interp_scale not in SCALES:
            raise ValueError(f"interp_scale must be 'sqrt' or 'lin', got {interp_scale!r}")
        n, degree = norms.size, SCALES[interp_scale]
        if norms.ndim != 1 or scans.shape[1:] != (n,) or n <= degree or not (np.diff(norms) > 0).all():
            raise ValueError(
                f"a profile needs at least {degree + 1} ascending norms and a value for each, got shapes {norms.shape} and "
                f"{scans.shape[1:]}"
            )
        self._range = norms[0], norms[-1]
        known = np.isfinite(scans).all(axis=1)
        spline = make_interp_spline(norms, np.where(known[:, np.newaxis], scans, 0.0).T, k=degree)
        begins = np.unique(spline.t)[:-1]  # of the pieces; Taylor's coefficients there, that of the highest power first
        coefficients = np.zeros((3, len(begins), len(scans)))
        for order in range(degree + 1):
            coefficients[2 - order] = spline(begins, nu=order) / max(order, 1)
        coefficients[2, :, ~known] = np.nan
        low, high = (-np.inf, np.inf) if extrapolate else self._range
        own = np.empty((len(scans), 3 + 3 * len(begins)))
        own[:, 0], own[:, 1], own[:, 2] = self._reference, low, high
        own[:, 3:] = coefficients.transpose(2, 1, 0).reshape(len(scans), -1)
        first = len(begins) + own.shape[1] * np.arange(len(scans))
        super().__init__(_rows(POINT_PROFILE, first, 0, len(begins)), np.concatenate([begins, own.ravel()]))

    def is_outside(self, model):
        """Where ``model[B, N]`` lies beyond the scan, so that the profile is extrapolated."""
        norm = model / self._reference
        return (norm < self._range[0]) | (norm > self._range[1])


def _floats(*arrays):
    """Arrays in double precision, in one library."""
    xp = array_namespace(*arrays)
    return tuple(xp.asarray(array, dtype=float) for array in arrays)


# ---- a single call -------------------------------------------------------------------------------------------------------------------
def _single(kind, model, *given):
    """`Derivatives` of points of a kind, in the shape to which all arrays broadcast."""
    xp = array_namespace(model, *given)
    model, *given = xp.broadcast_arrays(*(xp.asarray(array) for array in (model, *given)))
    found = kind(*(array.ravel() for array in given)).of(model.reshape(1, -1))
    return Derivatives(*(getattr(found, field.name).reshape(model.shape) for field in fields(found)))


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
    return _single(Chi2, flux_pred, flux, error).value


def chi2_slope(flux, flux_pred, error):
    """Derivative of `chi2` by the prediction; its second derivative is ``2 / error^2``."""
    return _single(Chi2, flux_pred, flux, error).slope


def _distrib(flux, flux_pred, error, error_n, error_p, is_ul, flux_ul):
    """`Derivatives` of points of which not everything is given."""
    xp = array_namespace(flux, flux_pred)
    unknown = xp.full((), xp.nan)
    error, has_sides = unknown if error is None else error, error_n is not None and error_p is not None
    sides = [xp.where(xp.isnan(own), error, own) if has_sides else error for own in (error_n, error_p)]
    limit = unknown if flux_ul is None else flux_ul
    return _single(Distrib, flux_pred, flux, *sides, limit, xp.zeros((), dtype=bool) if is_ul is None else is_ul)


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
    return _distrib(flux, flux_pred, error, error_n, error_p, is_ul, flux_ul).value


def distrib_slope(flux, flux_pred, error=None, error_n=None, error_p=None, is_ul=None, flux_ul=None):
    """Derivative of `distrib` by the prediction."""
    return _distrib(flux, flux_pred, error, error_n, error_p, is_ul, flux_ul).slope


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
