"""Excess, significance, errors and upper limits of counts over a background that is known, or was measured beside them.

Use `CashCountsStatistic` when the background is known (a model or a large off region), `WStatCountsStatistic` for counts in an on and an
off region. Both work bin by bin on arrays of any shape. Values are NumPy or CuPy arrays like the input; errors, limits and probabilities
are computed on the host.
"""

import html
from abc import ABC, abstractmethod

import numpy as np

from gpudl4.core.backend import array_namespace, to_host

from .fit_statistics import cash
from .roots import find_root
from .wstat import wstat

__all__ = ["CashCountsStatistic", "CountsStatistic", "WStatCountsStatistic"]


def _mu_over_n(n_on, n_sigma, branch):
    """Root x = mu / n of x - ln x - 1 = n_sigma^2 / (2 n), that is of cash(n, mu) = cash(n, n) + n_sigma^2, by Lambert's W."""
    from scipy.special import lambertw

    return -lambertw(-np.exp(-(n_sigma**2) / (2 * n_on) - 1), k=branch).real


class CountsStatistic(ABC):
    """What both kinds of background have in common.

    A kind names its quantities in `info_dict`, knows its excess, background, error and statistics, and how it is summed.
    """

    n_on = None

    @property
    @abstractmethod
    def n_bkg(self):
        """Background counts in the on region."""

    @property
    @abstractmethod
    def n_sig(self):
        """Excess, counts minus background."""

    @property
    @abstractmethod
    def error(self):
        """Approximate error of the excess."""

    @property
    @abstractmethod
    def stat_null(self):
        """Statistic without signal."""

    @property
    @abstractmethod
    def stat_max(self):
        """Statistic of the best fit."""

    @abstractmethod
    def sum(self, axis=None):
        """Statistic of everything summed over `axis` (all axes if None)."""

    @property
    def ts(self):
        """Test statistic of the measured excess against none, not negative."""
        return array_namespace(self.n_on).clip(self.stat_null - self.stat_max, 0, None)

    @property
    def sqrt_ts(self):
        """Significance: square root of `ts` with the sign of the excess (Li & Ma 1983, ApJ 272, 317)."""
        xp = array_namespace(self.n_on)
        return xp.sign(self.n_sig) * xp.sqrt(self.ts)

    @property
    def p_value(self):
        """One-sided probability of an excess at least this large, half the survival function of chi-square with one degree of freedom."""
        from scipy.stats import chi2

        return 0.5 * chi2.sf(to_host(self.ts), 1)

    def info_dict(self):
        """Quantities by name: n_on, background, excess, significance, p_value, and those of the kind of background."""
        return {
            "n_on": self.n_on,
            "background": self.n_bkg,
            "excess": self.n_sig,
            "significance": self.sqrt_ts,
            "p_value": self.p_value,
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
            *total._rows(),
        ]
        name = type(self).__name__
        return "\n".join([name, "-" * len(name), *(f"  {label:32}: {value}" for label, value in rows)])

    def _rows(self):
        """Lines of the text that only this kind has."""
        return []

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"


class CashCountsStatistic(CountsStatistic):
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

    def info_dict(self):
        """Quantities by name: n_on, background, excess, significance, p_value, mu_bkg."""
        return {**super().info_dict(), "mu_bkg": self.mu_bkg}

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


class WStatCountsStatistic(CountsStatistic):
    """Statistics of Poisson counts in an on region, with the background measured in an off region.

    Parameters
    ----------
    n_on, n_off : array
        Measured counts in the on and in the off region.
    alpha : array
        Exposure of the on region by that of the off region.
    mu_sig : array, optional
        Signal that is known to be there, 0 if None: the excess is what comes on top.
    """

    def __init__(self, n_on, n_off, alpha, mu_sig=None):
        xp = array_namespace(n_on, n_off, alpha) if mu_sig is None else array_namespace(n_on, n_off, alpha, mu_sig)
        self.n_on, self.n_off, self.alpha = xp.asarray(n_on), xp.asarray(n_off), xp.asarray(alpha)
        self.mu_sig = xp.zeros_like(self.n_on) if mu_sig is None else xp.asarray(mu_sig)

    @property
    def n_bkg(self):
        """Background counts in the on region, ``alpha n_off``."""
        return self.alpha * self.n_off

    @property
    def n_sig(self):
        """Excess, counts minus background and known signal."""
        return self.n_on - self.n_bkg - self.mu_sig

    @property
    def error(self):
        """Approximate error of the excess, ``sqrt(n_on + alpha^2 n_off)``."""
        return array_namespace(self.n_on).sqrt(self.n_on + self.alpha**2 * self.n_off)

    @property
    def stat_null(self):
        """W statistic without signal beyond the known one."""
        return wstat(self.n_on, self.n_off, self.alpha, self.mu_sig)

    @property
    def stat_max(self):
        """W statistic of the best fit, signal = n_on - alpha n_off."""
        return wstat(self.n_on, self.n_off, self.alpha, self.n_sig + self.mu_sig)

    def info_dict(self):
        """Quantities by name: n_on, background, excess, significance, p_value, n_off, alpha, mu_sig."""
        return {**super().info_dict(), "n_off": self.n_off, "alpha": self.alpha, "mu_sig": self.mu_sig}

    def _rows(self):
        values = ("Off counts", self.n_off), ("alpha", self.alpha), ("Predicted signal counts", self.mu_sig)
        return [(label, f"{float(value):.2f}") for label, value in values]

    def _on_host(self):
        """Counts, ratio, known signal, excess and its error, float64 arrays of one shape on the host."""
        values = self.n_on, self.n_off, self.alpha, self.mu_sig, self.n_sig, self.error
        return np.broadcast_arrays(*(np.asarray(to_host(value), dtype=float) for value in values))

    def _risen(self, n_sigma, direction):
        """Excess at which the statistic has risen by n_sigma^2, below (-1) or above (1) the best one; NaN where it never does."""
        n_on, n_off, alpha, mu_sig, n_sig, error = self._on_host()
        best = wstat(n_on, n_off, alpha, n_sig + mu_sig)

        def rise(excess):
            return wstat(n_on, n_off, alpha, excess + mu_sig) - best - n_sigma**2

        return find_root(rise, n_sig, n_sig + direction * 2 * n_sigma * (error + 1))

    def compute_errn(self, n_sigma=1.0):
        """Downward error of the excess: the distance at which the statistic has risen by n_sigma^2; n_on where it never does.

        Looked for down to ``2 n_sigma (error + 1)`` below the excess, as in gammapy.

        Parameters
        ----------
        n_sigma : float
            Confidence level in standard deviations.

        Returns
        -------
        errn : numpy.ndarray
        """
        found = self._risen(n_sigma, -1)
        n_on, *_, n_sig, _ = self._on_host()
        return np.where(np.isnan(found), n_on, n_sig - found)

    def compute_errp(self, n_sigma=1.0):
        """Upward error of the excess, see `compute_errn`; NaN where the statistic does not rise within ``2 n_sigma (error + 1)``."""
        return self._risen(n_sigma, 1) - self._on_host()[4]

    def compute_upper_limit(self, n_sigma=3):
        """Upper limit of the excess: where the statistic has risen by n_sigma^2 above that of the measured excess.

        Parameters
        ----------
        n_sigma : float
            Confidence level in standard deviations.

        Returns
        -------
        limit : numpy.ndarray
        """
        return self._risen(n_sigma, 1)

    def n_sig_matching_significance(self, significance):
        """Excess that would have the given significance over this background.

        Parameters
        ----------
        significance : float
            Wanted `sqrt_ts`; negative for a deficit.

        Returns
        -------
        n_sig : numpy.ndarray
            NaN where no excess does, as without background in the off region for a deficit.
        """
        _, n_off, alpha, *_ = self._on_host()
        background = alpha * n_off

        def missing(n_sig):
            n_on = np.maximum(background + n_sig, 0.0)
            ts = wstat(n_on, n_off, alpha, 0.0) - wstat(n_on, n_off, alpha, n_on - background)
            return np.sign(n_sig) * np.sqrt(np.clip(ts, 0, None)) - significance

        if significance == 0:
            return np.where(alpha > 0, 0.0, np.nan)
        # an excess x over a perfectly known background b has ts <= x^2 / b and <= 2 x ln(1 + 1 / alpha): double what is found too small
        far = abs(significance) * np.sqrt(background * (1 + alpha)) + significance**2 + 1
        for _ in range(60):
            short = missing(far) < significance
            if significance < 0 or not short.any():
                break
            far = np.where(short, 2 * far, far)
        return find_root(missing, np.zeros(far.shape), far if significance > 0 else -background)

    def sum(self, axis=None):
        """Statistic of counts summed over `axis` (all axes if None), with the average alpha; the known signal is not kept."""
        n_off = self.n_off.sum(axis=axis)
        with np.errstate(invalid="ignore", divide="ignore"):
            return WStatCountsStatistic(self.n_on.sum(axis=axis), n_off, self.n_bkg.sum(axis=axis) / n_off)

    def __getitem__(self, key):
        return WStatCountsStatistic(self.n_on[key], self.n_off[key], self.alpha[key], self.mu_sig[key])
