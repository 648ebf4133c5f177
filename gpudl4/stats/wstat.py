r"""Poisson counts over a Poisson background that was measured beside them (ON-OFF measurements), bin by bin.

Use `wstat` for the statistic, `get_wstat_mu_bkg` for the background it assumes. With counts :math:`n_{on}, n_{off}`, the ratio
:math:`\alpha` of exposures and a signal :math:`\mu_{sig}`,

.. math:: W = 2 [\mu_{sig} + (1 + \alpha) \mu_{bkg} - n_{on} \ln(\mu_{sig} + \alpha \mu_{bkg}) - n_{off} \ln \mu_{bkg}]

where :math:`\mu_{bkg}`, if it is not given, is the background in the off region that makes W smallest (XSPEC manual, appendix B). The
formula is written without differences of like numbers, so that it is as good far from the background as near it.
"""

import numpy as np

from gpudl4.core.backend import array_namespace

__all__ = ["get_wstat_gof_terms", "get_wstat_mu_bkg", "wstat", "wstat_slope"]


def _arrays(*values):
    """Inputs as float64 arrays of one shape, and their library."""
    xp = array_namespace(*values)
    return xp, xp.broadcast_arrays(*(xp.asarray(value, dtype=float) for value in values))


def _profiled(xp, n_on, n_off, alpha, mu_sig):
    """Counts expected in the on and in the off region; NaN where alpha is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = xp.where(alpha > 0, alpha, xp.nan)
        w = alpha / (1 + alpha)
        c, e = w * (n_on + n_off) - mu_sig, w * (n_on + n_off) + mu_sig
        d = xp.sqrt(xp.where(mu_sig >= 0, c * c + 4 * w * n_off * mu_sig, e * e - 4 * w * n_on * mu_sig))
        on = xp.where(e >= 0, 0.5 * (e + d), 2 * w * n_on * mu_sig / (e - d))
        off = xp.where(c >= 0, 0.5 * (c + d) / alpha, 2 * n_off * mu_sig / ((1 + alpha) * (d - c)))
    return on, off


def _minus_n_log(xp, n, mu):
    """``-n ln mu``, 0 where n is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return xp.where(n == 0, 0.0, -n * xp.log(mu))


def get_wstat_mu_bkg(n_on, n_off, alpha, mu_sig):
    """Background counts in the off region that make `wstat` smallest.

    Parameters
    ----------
    n_on, n_off : array
        Counts in the on and in the off region.
    alpha : array
        Exposure of the on region by that of the off region.
    mu_sig : array
        Signal counts, maybe negative.

    Returns
    -------
    mu_bkg : array
        float64, of the broadcast shape, not negative. NaN where alpha is not positive.
    """
    xp, arrays = _arrays(n_on, n_off, alpha, mu_sig)
    return _profiled(xp, *arrays)[1]


def get_wstat_gof_terms(n_on, n_off):
    """Terms in counts alone that make `wstat` a measure of the goodness of fit, ``-2 n (1 - ln n)`` each, 0 where n is 0."""
    xp, arrays = _arrays(n_on, n_off)
    return -2 * sum(n + _minus_n_log(xp, n, n) for n in arrays)


def wstat(n_on, n_off, alpha, mu_sig, mu_bkg=None, extra_terms=True):
    """W statistic of each bin, see the module's description.

    Parameters
    ----------
    n_on, n_off : array
        Counts in the on and in the off region.
    alpha : array
        Exposure of the on region by that of the off region.
    mu_sig : array
        Signal counts, maybe negative.
    mu_bkg : array, optional
        Background counts in the off region; if None those of `get_wstat_mu_bkg`.
    extra_terms : bool
        Whether the terms of `get_wstat_gof_terms` are added.

    Returns
    -------
    stat : array
        float64, of the broadcast shape. NaN where alpha is not positive; a likelihood counts those bins as 0.

    References
    ----------
    XSPEC manual, appendix B, "Poisson data with Poisson background"; de Naurois (2012), habilitation thesis, p. 141.
    """
    if mu_bkg is None:
        xp, (n_on, n_off, alpha, mu_sig) = _arrays(n_on, n_off, alpha, mu_sig)
        on, off = _profiled(xp, n_on, n_off, alpha, mu_sig)
    else:
        xp, (n_on, n_off, alpha, mu_sig, off) = _arrays(n_on, n_off, alpha, mu_sig, mu_bkg)
        on = mu_sig + alpha * off
    stat = 2 * (on + off + _minus_n_log(xp, n_on, on) + _minus_n_log(xp, n_off, off))
    return stat + get_wstat_gof_terms(n_on, n_off) if extra_terms else stat


def wstat_slope(n_on, n_off, alpha, mu_sig):
    """Derivative of `wstat`, with its profiled background, by the signal of each bin; parameters as for `get_wstat_mu_bkg`."""
    xp, (n_on, n_off, alpha, mu_sig) = _arrays(n_on, n_off, alpha, mu_sig)
    on, off = _profiled(xp, n_on, n_off, alpha, mu_sig)
    with np.errstate(divide="ignore", invalid="ignore"):
        at_border = (n_on == 0) & (on <= 0) & (off > 0)
        slope = xp.where(at_border, 2 / alpha * (n_off / off - 1), 2.0)
        return xp.where(n_on > 0, 2 - 2 * n_on / on, xp.where(alpha > 0, slope, xp.nan))
