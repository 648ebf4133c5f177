"""Cash statistic with the term in n that makes it comparable to a chi-square; value and slope per bin, summed in a fixed order.

For counts n and prediction mu (Cash 1979; XSPEC manual, appendix B)::

    stat = 2 sum [mu - n + n (ln n - ln mu)]          slope = d stat / d mu = 2 (1 - n / mu)

Both n and mu are floored, at gammapy's 1e-25 unless the caller wants another number. Where the floor acts on mu the slope is 0, except at
n <= 0 and mu >= 0, where it is the derivative of the unfloored statistic, 2, as for `cash`. A bin whose counts are as predicted counts
exactly 0, and close to that the difference of like numbers is avoided: with d = (mu - n) / n the term is 2 n (d - ln(1 + d)).

A fit does not need the term, and uses `cash`; this is for the goodness of fit. An item is a run of bins, as for `cash`.
"""

import math

import numpy as np

from ._compiled import compiled, prange
from ._sized import sized
from .tables import C_BEGIN, C_END

NEAR = 0.5  # relative distance of prediction and counts up to which the form without a difference is taken


@compiled(inline="always")
def _half_stat(n, mu):
    """Half of the statistic of one bin, for floored numbers."""
    d = (mu - n) / n
    return n * (d - math.log1p(d)) if abs(d) < NEAR else mu - n + n * (math.log(n) - math.log(mu))


@sized(lambda counts, mask, mu, *_: mu.size)
def cstat(counts, mask, mu, floor, items, slope, parts):
    """Statistic and slope.

    Parameters
    ----------
    counts : cube[N]
        Observed counts.
    mask : uint8[N]
        1 where a bin takes part.
    mu : real[B, N]
        Predicted counts.
    floor : float
        Smallest counts and prediction a logarithm is taken of.
    items : int64[n_items, 2]
        Runs of bins.
    slope : real[B, N]
        Output, d stat / d mu; 0 in masked bins. Bins of no item stay as they are.
    parts : float64[B, n_parts]
        Output: the statistic of item i in column i.
    """
    n_items = items.shape[0]
    for j in prange(mu.shape[0] * n_items):
        b, i = j // n_items, j % n_items
        total = 0.0
        for a in range(items[i, C_BEGIN], items[i, C_END]):
            r = 0.0
            if mask[a] != 0:
                given, m = np.float64(counts[a]), np.float64(mu[b, a])
                n = floor if given <= floor else given
                total += _half_stat(n, floor if m <= floor else m)
                if m > floor:
                    r = 2.0 - 2.0 * n / m
                elif given <= 0.0 and m >= 0.0:
                    r = 2.0
            slope[b, a] = r
        parts[b, i] = 2.0 * total


@sized(lambda counts, mask, mu, *_: mu.size)
def cstat_value(counts, mask, mu, floor, items, parts):
    """Statistic only; same arguments and order of summation as `cstat`."""
    n_items = items.shape[0]
    for j in prange(mu.shape[0] * n_items):
        b, i = j // n_items, j % n_items
        total = 0.0
        for a in range(items[i, C_BEGIN], items[i, C_END]):
            if mask[a] != 0:
                n, m = np.float64(counts[a]), np.float64(mu[b, a])
                total += _half_stat(floor if n <= floor else n, floor if m <= floor else m)
        parts[b, i] = 2.0 * total
