"""Excess, significance, errors and upper limits of counts measured over a known background.

Use `CashCountsStatistic` when the background is known (a model or a large off region); it works bin by bin on arrays of any shape.
Values are NumPy or CuPy arrays like the input; errors and limits need Lambert's W and are computed on the host.
"""

import html

import numpy as np

from gpudl4.core.backend import array_namespace, to_host

from .fit_statistics import cash

__all__ = ["CashCountsStatistic"]


def _mu_over_n(n_on, n_sigma, branch):
    """Root x = mu / n of x - ln x - 1 = n_sigma^2 / (2 n), that is of cash(n, mu) = cash(n, n) + n_sigma^2, by Lambert's W."""
    from scipy.special import lambertw

    return -lambertw(-np.exp(-(n_sigma**2) / (2 * n_on) - 1), k=branch).real


class CashCountsStatistic:
    """Statistics of Poisson counts with known expected background.

    Parameters
    ----------
    n_on : array
        Measured counts.
    mu_bkg : array
        Expected background counts, same shape.
    """

    def __init__(self, n_on, mu_bkg):
        xp = array_namespace(n_on, mu_bkg)
        self.n_on = xp.asarray(n_on)
        self.mu_bkg = xp.asarray(mu_bkg)

    @property
    def n_bkg(self):
        """Expected background counts."""
        return self.mu_bkg

    @property
    def n_sig(self):
        """Excess, counts minus background."""
        return self.n_on - self.mu_bkg

    @property
    def error(self):
        """Approximate error of the excess, sqrt(n_on)."""
        return array_namespace(self.n_on).sqrt(self.n_on)

    @property
    def stat_null(self):
        """Cash statistic without signal."""
        return cash(self.n_on, self.mu_bkg)

    @property
    def stat_max(self):
        """Cash statistic of the best fit, signal = n_on - mu_bkg."""
        return cash(self.n_on, self.n_on)

    @property
    def ts(self):
        """Test statistic of the measured excess against none, not negative."""
        return array_namespace(self.n_on).clip(self.stat_null - self.stat_max, 0, None)

    @property
    def sqrt_ts(self):
        """Significance: square root of `ts` with the sign of the excess (Li & Ma 1983, ApJ 272, 317, for a known background)."""
        xp = array_namespace(self.n_on)
        return xp.sign(self.n_sig) * xp.sqrt(self.ts)

    @property
    def p_value(self):
        """One-sided probability of an excess at least this large, half the survival function of chi-square with one degree of freedom."""
        from scipy.stats import chi2

        return 0.5 * chi2.sf(to_host(self.ts), 1)

    def info_dict(self):
        """Quantities by name: n_on, background, excess, significance, p_value, mu_bkg."""
        return {
            "n_on": self.n_on,
            "background": self.n_bkg,
            "excess": self.n_sig,
            "significance": self.sqrt_ts,
            "p_value": self.p_value,
            "mu_bkg": self.mu_bkg,
        }

    def __str__(self):
        total = self.sum() if self.n_on.ndim else self
        rows = [
            ("Total counts", f"{float(total.n_on):.2f}"),
            ("Total background counts", f"{float(total.n_bkg):.2f}"),
            ("Total excess counts", f"{float(total.n_sig):.2f}"),
            ("Total significance", f"{float(total.sqrt_ts):.2f}"),
            ("p - value", f"{float(total.p_value):.3f}"),
            ("Total number of bins", f"{self.n_on.size}"),
        ]
        name = type(self).__name__
        return "\n".join([name, "-" * len(name), *(f"  {label:32}: {value}" for label, value in rows)])

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"

    def compute_errn(self, n_sigma=1.0):
        """Downward error of the excess: the distance at which the statistic has risen by n_sigma^2; 0 where n_on = 0.

        Parameters
        ----------
        n_sigma : float
            Confidence level in standard deviations.

        Returns
        -------
        errn : numpy.ndarray
        """
        n_on = np.asarray(to_host(self.n_on), dtype=float)
        result = np.zeros_like(n_on)
        some = n_on > 0
        result[some] = n_on[some] * (1 - _mu_over_n(n_on[some], n_sigma, 0))
        return result

    def compute_errp(self, n_sigma=1.0):
        """Upward error of the excess, see `compute_errn`; n_sigma^2 / 2 where n_on = 0."""
        n_on = np.asarray(to_host(self.n_on), dtype=float)
        result = np.full_like(n_on, n_sigma**2 / 2)
        some = n_on > 0
        result[some] = n_on[some] * (_mu_over_n(n_on[some], n_sigma, -1) - 1)
        return result

    def compute_upper_limit(self, n_sigma=3):
        """Upper limit of the excess: `n_sig` plus the upward error; n_sigma^2 / 2 where n_on = 0 (the background is not subtracted there).

        Parameters
        ----------
        n_sigma : float
            Confidence level in standard deviations.

        Returns
        -------
        limit : numpy.ndarray
        """
        n_on = np.asarray(to_host(self.n_on), dtype=float)
        return self.compute_errp(n_sigma) + np.where(n_on > 0, to_host(self.n_sig), 0.0)

    def n_sig_matching_significance(self, significance):
        """Excess that would have the given significance over this background; NaN where the background is not positive.

        Parameters
        ----------
        significance : float
            Wanted `sqrt_ts`; negative for a deficit.

        Returns
        -------
        n_sig : numpy.ndarray
        """
        from scipy.special import lambertw

        background = np.asarray(to_host(self.mu_bkg), dtype=float)
        result = np.full_like(background, np.nan)
        some = background > 0
        b = background[some]
        branch = 0 if significance > 0 else -1
        result[some] = b * np.expm1(lambertw((significance**2 / (2 * b) - 1) / np.e, k=branch).real + 1)
        return result

    def sum(self, axis=None):
        """Statistic of counts and background summed over `axis` (all axes if None)."""
        return CashCountsStatistic(self.n_on.sum(axis=axis), self.mu_bkg.sum(axis=axis))

    def __getitem__(self, key):
        return CashCountsStatistic(self.n_on[key], self.mu_bkg[key])
