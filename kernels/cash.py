"""Cash statistic: value and slope per bin, summed in double precision in a fixed order.

For counts n and prediction mu (Cash 1979, ApJ 228, 939)::

    stat = 2 sum [mu - n ln mu]          slope = d stat / d mu = 2 (1 - n / mu)

Edge cases, as gammapy treats them: mu <= FLOOR counts as FLOOR; n <= 0 contributes 2 mu (no logarithm). Where the floor acts the
statistic does not depend on mu and the slope is 0, except at n <= 0 and mu == 0, where it is the derivative from above, 2.

Bins are cut into items, runs of bins of one row; each item is one partial sum.
"""

import math

import numpy as np

from ._compiled import prange
from ._sized import sized
from .tables import C_BEGIN, C_END

FLOOR = 1e-25  # smallest prediction; keeps the logarithm finite, same number as gammapy's cash


@sized(lambda counts, mask, mu, *_: mu.size)
def cash(counts, mask, mu, template, items, slope, parts):
    """Statistic, slope, and the derivative of the statistic by the norm of a template.

    Parameters
    ----------
    counts : cube[N]
        Observed counts.
    mask : uint8[N]
        1 where a bin takes part.
    mu : real[B, N]
        Predicted counts.
    template : cube[N]
        Background before its norm.
    items : int64[n_items, 2]
        Runs of bins.
    slope : real[B, N]
        Output, d stat / d mu; 0 in masked bins.
    parts : float64[B, n_parts]
        Output: the statistic of item i in column i, the sum of slope times template in column n_items + i.
    """
    n_items = items.shape[0]
    for j in prange(mu.shape[0] * n_items):
        b, i = j // n_items, j % n_items
        total, by_norm = 0.0, 0.0
        for a in range(items[i, C_BEGIN], items[i, C_END]):
            if mask[a] == 0:
                slope[b, a] = 0.0
                continue
            n = np.float64(counts[a])
            m = np.float64(mu[b, a])
            r = 2.0
            if n > 0.0:
                if m <= FLOOR:
                    total += FLOOR - n * math.log(FLOOR)
                    r = 0.0
                else:
                    total += m - n * math.log(m)
                    r = 2.0 - 2.0 * n / m
            elif m <= FLOOR:
                total += FLOOR
                r = 0.0 if m < 0.0 else 2.0
            else:
                total += m
            slope[b, a] = r
            by_norm += r * template[a]
        parts[b, i] = 2.0 * total
        parts[b, n_items + i] = by_norm


@sized(lambda counts, mask, mu, *_: mu.size)
def cash_value(counts, mask, mu, items, parts):
    """Statistic only; same arguments and order of summation as `cash`."""
    n_items = items.shape[0]
    for j in prange(mu.shape[0] * n_items):
        b, i = j // n_items, j % n_items
        total = 0.0
        for a in range(items[i, C_BEGIN], items[i, C_END]):
            if mask[a] != 0:
                n = np.float64(counts[a])
                m = max(np.float64(mu[b, a]), FLOOR)
                if n > 0.0:
                    total += m - n * math.log(m)
                else:
                    total += m
        parts[b, i] = 2.0 * total


@sized(lambda counts, *_: counts.size)
def weights(counts, mask, mu, expected, observed):
    """Second derivatives of the statistic by the prediction.

    Parameters
    ----------
    counts, mask, mu
        As for `cash`, for one parameter vector: mu is real[1, N].
    expected : float64[N]
        Output, 2 / mu: the weight of the Fisher matrix; 0 in masked bins and at the floor.
    observed : float64[N]
        Output, 2 n / mu^2: the weight of the Hessian.
    """
    for a in prange(counts.shape[0]):
        m = np.float64(mu[0, a])
        if mask[a] == 0 or m <= FLOOR:
            expected[a] = 0.0
            observed[a] = 0.0
        else:
            expected[a] = 2.0 / m
            observed[a] = 2.0 * np.float64(counts[a]) / (m * m)
