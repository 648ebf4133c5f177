"""Statistics of ON and OFF counts as datasets show them: the profiled background, wstat per bin, excess and significance."""

import numpy as np

from gpudl4.core.backend import array_namespace

__all__ = ["excess_and_significance", "get_wstat_mu_bkg", "wstat"]


def _floats(*values):
    xp = array_namespace(*values)
    return [xp.asarray(value, dtype=float) for value in values], xp


def get_wstat_mu_bkg(n_on, n_off, alpha, mu_sig):
    """Background counts in the OFF region that make ON and OFF counts most likely, given the signal; NaN where alpha is 0.

    With C = alpha (n_on + n_off) - (1 + alpha) mu_sig and D^2 = C^2 + 4 alpha (1 + alpha) n_off mu_sig it is
    (C + D) / (2 alpha (1 + alpha)), taken as 2 n_off mu_sig / (D - C) where C < 0, which does not cancel.
    """
    (n_on, n_off, alpha, mu_sig), xp = _floats(n_on, n_off, alpha, mu_sig)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        c = alpha * (n_on + n_off) - (1 + alpha) * mu_sig
        d = xp.sqrt(c**2 + 4 * alpha * (1 + alpha) * n_off * mu_sig)
        return xp.where(c < 0, 2 * n_off * mu_sig / (d - c), (c + d) / (2 * alpha * (1 + alpha)))


def _xlogy(xp, x, y):
    return xp.where(x == 0, 0.0, x * xp.log(xp.where(x == 0, 1.0, y)))


def wstat(n_on, n_off, alpha, mu_sig):
    """Statistic of ON and OFF counts with the background profiled out, 0 where prediction and counts agree; NaN where alpha is 0.

    References
    ----------
    XSPEC manual, appendix B, "W statistic".
    """
    (n_on, n_off, alpha, mu_sig), xp = _floats(n_on, n_off, alpha, mu_sig)
    mu = get_wstat_mu_bkg(n_on, n_off, alpha, mu_sig)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        stat = mu_sig + (1 + alpha) * mu - _xlogy(xp, n_on, mu_sig + alpha * mu) - _xlogy(xp, n_off, mu)
        for counts in (n_on, n_off):
            stat = stat - counts + _xlogy(xp, counts, counts)
    return 2 * stat


def excess_and_significance(n_on, n_off, alpha):
    """Excess of the sum of bins, and its significance (Li & Ma 1983, ApJ 272, 317, equation 17); two floats.

    The alpha of the sum is the ratio of summed background and summed off counts.
    """
    (n_on, n_off, alpha), _ = _floats(n_on, n_off, alpha)
    on, off, background = (float(values.sum()) for values in (n_on, n_off, alpha * n_off))
    excess = on - background
    if off == 0:
        return excess, np.nan
    null, best = (float(wstat(np.float64(on), np.float64(off), np.float64(background / off), np.float64(mu))) for mu in (0.0, excess))
    return excess, float(np.sign(excess) * np.sqrt(max(null - best, 0.0)))
