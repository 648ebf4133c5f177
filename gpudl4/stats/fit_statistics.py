"""Poisson likelihood of binned counts over a known background, bin by bin or summed.

Use `cash` for the statistic of each bin, `cash_sum` for the total, `weighted_cash_sum` where bins count less; `cstat_sum` says how good a
fit is, and `cstat_slope` is its derivative. For a background that was measured beside the source see `wstat`. A model that predicts nothing
where counts were seen gets a large but finite penalty: predicted counts are floored at `TRUNCATION_VALUE`.
"""

from gpudl4 import kernels
from gpudl4.core.backend import array_namespace, backend_of

__all__ = ["TRUNCATION_VALUE", "cash", "cash_sum", "cstat", "cstat_slope", "cstat_sum", "weighted_cash_sum"]

TRUNCATION_VALUE = 1e-25
"""Smallest predicted counts a logarithm is taken of; the same number as in gammapy 2.1, so that the statistics agree."""


RUN = 4096  # bins of a partial sum


def _floor(truncation_value):
    """The floor that was asked for, as a float."""
    if truncation_value is None:
        return TRUNCATION_VALUE
    if not truncation_value > 0:
        raise ValueError(f"truncation_value must be positive, got {truncation_value}")
    return float(truncation_value)


def _floored(values, truncation_value):
    xp, truncation_value = array_namespace(values), _floor(truncation_value)
    values = xp.asarray(values, dtype=float)
    return xp.where(values <= truncation_value, truncation_value, values)


def cash(n_on, mu_on, truncation_value=None):
    r"""Cash statistic of each bin, for Poisson counts.

    .. math:: C = 2 (\mu - n \ln \mu)

    with :math:`\mu` floored, so that n = 1 over a prediction of zero costs 115.129. Equal to -2 ln L up to a term in n alone.

    Parameters
    ----------
    n_on : array
        Observed counts.
    mu_on : array
        Predicted counts, of a shape that broadcasts with `n_on`.
    truncation_value : float, optional
        Floor of the predicted counts, `TRUNCATION_VALUE` if None.

    Returns
    -------
    stat : array
        float64, of the broadcast shape. NaN where an input is NaN.

    References
    ----------
    Cash (1979), ApJ 228, 939.
    """
    mu_on = _floored(mu_on, truncation_value)
    xp = array_namespace(mu_on)
    n_on = xp.asarray(n_on, dtype=float)
    return 2 * (mu_on - n_on * xp.log(mu_on))


def cash_sum(n_on, mu_on, truncation_value=None):
    """Total of the Cash statistic over all bins, see `cash`; bins without counts contribute 2 mu.

    Parameters
    ----------
    n_on, mu_on : array
        Observed and predicted counts, same shape.
    truncation_value : float, optional
        Floor of the predicted counts, `TRUNCATION_VALUE` if None.

    Returns
    -------
    stat : float
        Accumulated in float64.
    """
    mu_on = _floored(mu_on, truncation_value)
    xp = array_namespace(mu_on)
    n_on = xp.asarray(n_on, dtype=float)
    total = mu_on.sum(dtype=float)
    occupied = n_on > 0
    n_on = n_on[occupied]
    return 2 * float(total - (n_on * xp.log(mu_on[occupied])).sum(dtype=float))


def weighted_cash_sum(n_on, mu_on, weight, truncation_value=None):
    """Total of the Cash statistic with a weight per bin; bins whose weight is not positive take no part.

    Parameters
    ----------
    n_on, mu_on, weight : array
        Observed and predicted counts, and weights, same shape.
    truncation_value : float, optional
        Floor of the predicted counts, `TRUNCATION_VALUE` if None.

    Returns
    -------
    stat : float
        Accumulated in float64.
    """
    mu_on = _floored(mu_on, truncation_value)
    xp = array_namespace(mu_on, n_on, weight)
    n_on, weight = xp.asarray(n_on, dtype=float), xp.asarray(weight, dtype=float)
    logs = xp.where(n_on > 0, n_on, 0.0) * xp.log(mu_on)
    return 2 * float(xp.where(weight > 0, weight * (mu_on - logs), 0.0).sum(dtype=float))


def cstat(n_on, mu_on, truncation_value=None):
    r"""Cash statistic with the term in n that makes it comparable to a chi-square.

    .. math:: C = 2 [\mu - n + n (\ln n - \ln \mu)]

    Parameters
    ----------
    n_on, mu_on : array
        Observed and predicted counts; both are floored.
    truncation_value : float, optional
        Floor, `TRUNCATION_VALUE` if None.

    Returns
    -------
    stat : array
        float64, zero where counts and prediction agree.

    References
    ----------
    Cash (1979), ApJ 228, 939; XSPEC manual, appendix B.
    """
    n_on = _floored(n_on, truncation_value)
    mu_on = _floored(mu_on, truncation_value)
    xp = array_namespace(n_on)
    return 2 * (mu_on - n_on + n_on * (xp.log(n_on) - xp.log(mu_on)))


def cstat_sum(n_on, mu_on, truncation_value=None):
    """Total of `cstat` over all bins, the goodness of fit of counts.

    Parameters
    ----------
    n_on, mu_on : array
        Observed and predicted counts, of shapes that broadcast.
    truncation_value : float, optional
        Floor of both, `TRUNCATION_VALUE` if None.

    Returns
    -------
    stat : float
        Accumulated in float64; close to agreement it keeps the digits that a sum of `cstat` loses.
    """
    backend, _, counts, mask, mu, items = _for_kernel(n_on, mu_on)
    parts = backend.xp.empty((1, len(items)))
    kernels.of(backend, "cstat").cstat_value(counts, mask, mu, _floor(truncation_value), items, parts)
    return float(parts.sum())


def cstat_slope(n_on, mu_on, truncation_value=None):
    """Derivative of `cstat` by the predicted counts, ``2 (1 - n / mu)``; the parameters are those of `cstat_sum`.

    Returns
    -------
    slope : array
        float64, of the broadcast shape. 0 where the prediction is floored, but 2 at a prediction of 0 where nothing was seen.
    """
    backend, shape, counts, mask, mu, items = _for_kernel(n_on, mu_on)
    slope, parts = backend.xp.empty(mu.shape), backend.xp.empty((1, len(items)))
    kernels.of(backend, "cstat").cstat(counts, mask, mu, _floor(truncation_value), items, slope, parts)
    return slope.reshape(shape)


def _for_kernel(n_on, mu_on):
    """Backend, shape of the bins, and what the kernels want: counts[N], mask[N], mu[1, N] and items."""
    backend = backend_of(n_on, mu_on)
    xp = backend.xp
    n_on, mu_on = xp.broadcast_arrays(xp.asarray(n_on, dtype=float), xp.asarray(mu_on, dtype=float))
    counts, mu = xp.ascontiguousarray(n_on).ravel(), xp.ascontiguousarray(mu_on).reshape(1, -1)
    begins = xp.arange(0, counts.size, RUN)
    items = xp.stack([begins, xp.minimum(begins + RUN, counts.size)], axis=1)
    return backend, n_on.shape, counts, xp.ones(counts.shape, dtype=xp.uint8), mu, items
