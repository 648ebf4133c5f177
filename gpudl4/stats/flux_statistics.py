r"""Statistics of flux points: measured fluxes with errors, upper limits or likelihood profiles against predicted fluxes.

`chi2` is for points with errors, `distrib` adds asymmetric errors and upper limits, `profile` is for points that keep the likelihood
as a function of their norm. Each has its slope beside it, for minimisers. All arrays have the shape of the points; fluxes share one unit.
"""

import numpy as np

from gpudl4.core.backend import array_namespace

__all__ = ["ProfileInterpolator", "chi2", "chi2_slope", "distrib", "distrib_slope", "interpolate_profile", "profile"]

_DEGREE = {"sqrt": 2, "lin": 1}  # of the spline between the values of a profile


def chi2(flux, flux_pred, error):
    """``((flux - prediction) / error)^2`` of each point.

    Parameters
    ----------
    flux, flux_pred : array
        Measured and predicted flux.
    error : array
        Symmetric error; of asymmetric ones take the mean.

    Returns
    -------
    stat : array
        float64.
    """
    xp = array_namespace(flux, flux_pred, error)
    return ((xp.asarray(flux, dtype=float) - flux_pred) / error) ** 2


def chi2_slope(flux, flux_pred, error):
    """Derivative of `chi2` by the prediction; its second derivative is ``2 / error^2``."""
    xp = array_namespace(flux, flux_pred, error)
    return 2 * (flux_pred - xp.asarray(flux, dtype=float)) / xp.asarray(error, dtype=float) ** 2


def _distrib(flux, flux_pred, error, error_n, error_p, is_ul, flux_ul):
    """Library, prediction, standardised distance and scale of points, which of them are limits, and the limits."""
    xp = array_namespace(flux, flux_pred)
    flux, pred = xp.asarray(flux, dtype=float), xp.asarray(flux_pred, dtype=float) + xp.zeros(flux.shape)
    if error_n is None or error_p is None:
        scale = xp.asarray(error, dtype=float)
    else:
        scale = xp.where(pred >= flux, xp.asarray(error_p, dtype=float), xp.asarray(error_n, dtype=float))
        if error is not None:
            scale = xp.where(xp.isnan(scale), xp.asarray(error, dtype=float), scale)
    is_ul = xp.zeros(flux.shape, dtype=bool) if is_ul is None else xp.asarray(is_ul, dtype=bool)
    limit = xp.full(flux.shape, xp.nan) if flux_ul is None else xp.asarray(flux_ul, dtype=float)
    return xp, pred, (pred - flux) / scale, scale, is_ul, limit


def distrib(flux, flux_pred, error=None, error_n=None, error_p=None, is_ul=None, flux_ul=None):
    r"""Distance of each point in its own error, and a penalty for predictions above upper limits.

    A point contributes ``((prediction - flux) / error)^2`` with the error of the side on which the prediction lies. An upper limit u
    contributes

    .. math:: 2 \ln \frac{\mathrm{erfc}((u - f) / u)}{\mathrm{erfc}(1)}

    for a predicted flux f, whose sign is that of gammapy: the statistic *rises* with f and is 0 for f = 0. This is kept for parity; it is
    no likelihood of a limit (its width is the limit itself, whatever the confidence level). Use profiles where there are some.

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
    from scipy.special import erfc

    xp, pred, distance, _, is_ul, limit = _distrib(flux, flux_pred, error, error_n, error_p, is_ul, flux_ul)
    stat = xp.where(xp.isnan(distance), 0.0, distance**2)
    of_limit = 2 * xp.log(_special(xp, "erfc", erfc)((limit - pred) / limit) / float(erfc(1.0)))
    stat = xp.where(is_ul, of_limit, stat)
    return xp.where(xp.isnan(stat), 0.0, stat)


def distrib_slope(flux, flux_pred, error=None, error_n=None, error_p=None, is_ul=None, flux_ul=None):
    """Derivative of `distrib` by the prediction."""
    from scipy.special import erfc

    xp, pred, distance, scale, is_ul, limit = _distrib(flux, flux_pred, error, error_n, error_p, is_ul, flux_ul)
    slope = 2 * distance / scale
    z = (limit - pred) / limit
    of_limit = 4 / np.sqrt(np.pi) / limit * xp.exp(-z * z) / _special(xp, "erfc", erfc)(z)
    slope = xp.where(is_ul, of_limit, slope)
    return xp.where(xp.isnan(slope), 0.0, slope)


def _special(xp, name, host):
    """A special function of SciPy for arrays of a library."""
    if xp is np:
        return host
    from gpudl4.core.backend import backend_of

    return getattr(backend_of(xp.zeros(1)).special, name)


class ProfileInterpolator:
    """Statistic of one point as a function of its norm, between the values of a scan; on the host.

    Parameters
    ----------
    norm : array[n]
        Norms of the scan, ascending.
    stat : array[n]
        Statistic at each of them above its minimum; its absolute value counts.
    interp_scale : {"sqrt", "lin"}
        "sqrt" is a quadratic spline of the statistic, exact for a parabola; "lin" joins the values by straight lines.
    extrapolate : bool
        Whether norms beyond the scan have a value, that of the last piece, which `is_extrapolated` tells; else NaN.

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
        from scipy.interpolate import make_interp_spline

        self.norm, stat = np.asarray(norm, dtype=float), np.abs(np.asarray(stat, dtype=float))
        if interp_scale not in _DEGREE:
            raise ValueError(f"interp_scale must be 'sqrt' or 'lin', got {interp_scale!r}")
        wanted = _DEGREE[interp_scale] + 1
        if self.norm.ndim != 1 or self.norm.shape != stat.shape or self.norm.size < wanted or not (np.diff(self.norm) > 0).all():
            raise ValueError(
                f"a profile needs at least {wanted} ascending norms and a value for each, got shapes {self.norm.shape} and {stat.shape}"
            )
        self.extrapolate, self.is_valid = extrapolate, bool(np.isfinite(stat).all())
        if self.is_valid:
            self._spline = make_interp_spline(self.norm, stat, k=_DEGREE[interp_scale])

    def is_extrapolated(self, norm):
        """Whether norms lie beyond the scan, bool array."""
        norm = np.asarray(norm, dtype=float)
        return (norm < self.norm[0]) | (norm > self.norm[-1])

    def __call__(self, norm):
        """Statistic at norms, float64 array."""
        return self._evaluated(norm, 0)

    def slope(self, norm):
        """Its derivative by the norm."""
        return self._evaluated(norm, 1)

    def _evaluated(self, norm, derivative):
        norm = np.asarray(norm, dtype=float)
        out = self._spline(norm, nu=derivative) if self.is_valid else np.full(norm.shape, np.nan)
        return out if self.extrapolate else np.where(self.is_extrapolated(norm), np.nan, out)


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
        As for `ProfileInterpolator`.

    Returns
    -------
    stat, slope : array[...]
        Statistic and its derivative by the norm; NaN where a scan is not finite.
    is_extrapolated : bool array[...]
        Where the norm lies beyond the scan.
    """
    norm, minima = np.asarray(norm, dtype=float), np.asarray(stat, dtype=float)
    scans = np.asarray(scan_stat, dtype=float) - minima[..., np.newaxis]
    value, slope, beyond = np.empty(norm.shape), np.empty(norm.shape), np.empty(norm.shape, dtype=bool)
    for at in np.ndindex(norm.shape):
        one = ProfileInterpolator(scan_norm, scans[at], interp_scale, extrapolate)
        value[at], slope[at], beyond[at] = one(norm[at]), one.slope(norm[at]), one.is_extrapolated(norm[at])
    return value, slope, beyond
