"""W statistic: Poisson counts over a Poisson background that was measured beside them; value and slope per bin, summed in a fixed order.

Counts n in the on region and m in the off region, alpha times less exposed, and a predicted signal s. The background b expected in the
off region is profiled: it is the b >= 0 with s + alpha b >= 0 that makes the statistic smallest (XSPEC manual, appendix B)::

    stat = 2 [on + b - n ln on - m ln b] - 2 n (1 - ln n) - 2 m (1 - ln m)          on = s + alpha b

The last two terms do not depend on the model; with them the statistic measures the goodness of fit, as in gammapy. A logarithm times
zero counts is 0. With w = alpha / (1 + alpha), ``C = w (n + m) - s``, ``E = w (n + m) + s`` and ``D^2 = C^2 + 4 w m s = E^2 - 4 w n s``::

    b = (C + D) / (2 alpha) = 2 m s / ((1 + alpha) (D - C))          on = (E + D) / 2 = 2 w n s / (E - D)

of which the form without a difference of like numbers is taken. As b is where the statistic is stationary, or at its border, the slope is
that at fixed b, ``2 (1 - n / on)``. Where no counts were seen and a negative signal drives `on` to its border 0, b follows the signal and
the slope is ``(2 / alpha) (m / b - 1)``.

The signal is not clipped: it may be negative. Where alpha is not positive there is no measurement, and statistic and slope are 0.
"""

import math

import numpy as np

from ._compiled import compiled, prange
from ._sized import sized
from .tables import O_BEGIN, O_BESIDE, O_END, O_PART

FLOOR = 1e-25  # expected counts at which a bin has no weight, as for the Cash statistic
TINY = 1e-300  # smallest expected counts a logarithm is taken of


@compiled(inline="always")
def _profiled(n_on, n_off, alpha, signal):
    """Expected counts in the on region and in the off region, for alpha > 0."""
    w = alpha / (1.0 + alpha)
    c, e = w * (n_on + n_off) - signal, w * (n_on + n_off) + signal
    d = math.sqrt(c * c + 4.0 * w * n_off * signal) if signal >= 0.0 else math.sqrt(e * e - 4.0 * w * n_on * signal)
    on = 0.5 * (e + d) if e >= 0.0 else 2.0 * w * n_on * signal / (e - d)
    off = 0.5 * (c + d) / alpha if c >= 0.0 else 2.0 * n_off * signal / ((1.0 + alpha) * (d - c))
    return on, off


@compiled(inline="always")
def _half_stat(n_on, n_off, on, off):
    """Half of the statistic of one bin."""
    total = on + off
    if n_on > 0.0:
        total += n_on * (math.log(n_on / max(on, TINY)) - 1.0)
    if n_off > 0.0:
        total += n_off * (math.log(n_off / max(off, TINY)) - 1.0)
    return total


@compiled(inline="always")
def _slope(n_on, n_off, alpha, on, off):
    """Derivative of the statistic of one bin by the signal."""
    if n_on > 0.0:
        return 2.0 - 2.0 * n_on / max(on, TINY)
    if on <= 0.0 and off > 0.0:
        return 2.0 / alpha * (n_off / off - 1.0)
    return 2.0


@sized(lambda counts, counts_off, *_: counts_off.size)
def wstat(counts, counts_off, alpha, mask, mu, items, slope, parts):
    """Statistic and slope.

    Parameters
    ----------
    counts : cube[N]
        Observed counts of all bins of all datasets.
    counts_off, alpha : cube[M]
        Counts in the off region, and exposure of the on region by that of the off region, of the bins of ON-OFF datasets only.
    mask : uint8[N]
        1 where a bin takes part.
    mu : real[B, N]
        Predicted signal.
    items : int64[n_items, 5]
        Runs of bins, see `tables`.
    slope : real[B, N]
        Output, d stat / d mu; 0 in masked bins. Bins of no item stay as they are.
    parts : float64[B, n_parts]
        Output: the statistic of each item at its place.
    """
    n_items = items.shape[0]
    for j in prange(mu.shape[0] * n_items):
        b, i = j // n_items, j % n_items
        begin, total = items[i, O_BEGIN], 0.0
        beside = items[i, O_BESIDE] - begin
        for a in range(begin, items[i, O_END]):
            ratio = np.float64(alpha[beside + a])
            if mask[a] == 0 or not ratio > 0.0:
                slope[b, a] = 0.0
                continue
            n_on, n_off = np.float64(counts[a]), np.float64(counts_off[beside + a])
            on, off = _profiled(n_on, n_off, ratio, np.float64(mu[b, a]))
            total += _half_stat(n_on, n_off, on, off)
            slope[b, a] = _slope(n_on, n_off, ratio, on, off)
        parts[b, items[i, O_PART]] = 2.0 * total


@sized(lambda counts, counts_off, *_: counts_off.size)
def wstat_value(counts, counts_off, alpha, mask, mu, items, parts):
    """Statistic only; same arguments and order of summation as `wstat`."""
    n_items = items.shape[0]
    for j in prange(mu.shape[0] * n_items):
        b, i = j // n_items, j % n_items
        begin, total = items[i, O_BEGIN], 0.0
        beside = items[i, O_BESIDE] - begin
        for a in range(begin, items[i, O_END]):
            ratio = np.float64(alpha[beside + a])
            if mask[a] != 0 and ratio > 0.0:
                n_on, n_off = np.float64(counts[a]), np.float64(counts_off[beside + a])
                on, off = _profiled(n_on, n_off, ratio, np.float64(mu[b, a]))
                total += _half_stat(n_on, n_off, on, off)
        parts[b, items[i, O_PART]] = 2.0 * total


@sized(lambda counts, counts_off, *_: counts_off.size)
def wstat_weights(counts, counts_off, alpha, mask, mu, items, expected, observed):
    """Second derivatives of the statistic by the signal; bins of no item stay as they are.

    With curvatures h = n / on^2 and g = m / b^2 of the two Poisson terms, a statistic whose background is profiled has 2 h g /
    (alpha^2 h + g). The counts expected for the profiled background are n = on and m = b.

    Parameters
    ----------
    counts, counts_off, alpha, mask, mu, items
        As for `wstat`, for one parameter vector: mu is real[1, N].
    expected : float64[N]
        Output, 2 / (on + alpha^2 b): the weight of the Fisher matrix; 0 in masked bins and at the floor.
    observed : float64[N]
        Output, 2 n m / (n (alpha b)^2 + m on^2), the second derivative: the weight of the Hessian. At the borders b = 0 and on = 0 it is
        that of the term which is left.
    """
    for i in prange(items.shape[0]):
        begin = items[i, O_BEGIN]
        beside = items[i, O_BESIDE] - begin
        for a in range(begin, items[i, O_END]):
            ratio = np.float64(alpha[beside + a])
            expected[a], observed[a] = 0.0, 0.0
            if mask[a] == 0 or not ratio > 0.0:
                continue
            n_on, n_off = np.float64(counts[a]), np.float64(counts_off[beside + a])
            on, off = _profiled(n_on, n_off, ratio, np.float64(mu[0, a]))
            background = ratio * off
            variance = on + ratio * background
            if not variance > FLOOR:
                continue
            expected[a] = 2.0 / variance
            if n_on > 0.0:
                if off <= 0.0:
                    observed[a] = 2.0 * n_on / (on * on)
                else:
                    observed[a] = 2.0 * n_on * n_off / (n_on * background * background + n_off * on * on)
            elif on <= 0.0:
                observed[a] = 2.0 * n_off / (background * background)
