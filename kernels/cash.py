"""Cash statistic: value and slope per bin, summed in double precision in a fixed order.

For counts n and prediction mu (Cash 1979, ApJ 228, 939)::

    stat = 2 sum [mu - n ln mu]          slope = d stat / d mu = 2 (1 - n / mu)

Edge cases, as gammapy treats them: mu <= FLOOR counts as FLOOR; n <= 0 contributes 2 mu (no logarithm). Where the floor acts the
statistic does not depend on mu and the slope is 0, except at n <= 0 and mu == 0, where it is the derivative from above, 2.
"""

import math

import numba as nb
import numpy as np

from ._sized import sized

FLOOR = 1e-25  # smallest prediction; keeps the logarithm finite, same number as gammapy's cash


@nb.njit(cache=True, nogil=True)
def _total(planes, value):
    """Twice the sum over energies, in their order."""
    for b in range(planes.shape[0]):
        total = 0.0
        for k in range(planes.shape[1]):
            total += planes[b, k]
        value[b] = 2.0 * total


@sized(lambda counts, mask, mu, *_: mu.size)
def cash(counts, mask, mu, value, slope):
    """Statistic and slope.

    Parameters
    ----------
    counts, mask : array[K, A]
        Observed counts, and 1 where a bin takes part.
    mu : array[B, K, A]
        Predicted counts.
    value : array[B]
        Output, the statistic summed over the bins.
    slope : array[B, K, A]
        Output, d stat / d mu; 0 in masked bins.
    """
    planes = np.empty((mu.shape[0], mu.shape[1]))
    for k in nb.prange(mu.shape[1]):
        for b in range(mu.shape[0]):
            plane = 0.0
            for a in range(mu.shape[2]):
                if mask[k, a] == 0:
                    slope[b, k, a] = 0.0
                    continue
                n = np.float64(counts[k, a])
                m = mu[b, k, a]
                if n > 0.0:
                    if m <= FLOOR:
                        plane += FLOOR - n * math.log(FLOOR)
                        slope[b, k, a] = 0.0
                    else:
                        plane += m - n * math.log(m)
                        slope[b, k, a] = 2.0 - 2.0 * n / m
                elif m <= FLOOR:
                    plane += FLOOR
                    slope[b, k, a] = 0.0 if m < 0.0 else 2.0
                else:
                    plane += m
                    slope[b, k, a] = 2.0
            planes[b, k] = plane
    _total(planes, value)


@sized(lambda counts, mask, mu, *_: mu.size)
def cash_value(counts, mask, mu, value):
    """Statistic only; same arguments and order of summation as `cash`."""
    planes = np.empty((mu.shape[0], mu.shape[1]))
    for k in nb.prange(mu.shape[1]):
        for b in range(mu.shape[0]):
            plane = 0.0
            for a in range(mu.shape[2]):
                if mask[k, a] != 0:
                    n = np.float64(counts[k, a])
                    m = max(mu[b, k, a], FLOOR)
                    plane += m
                    if n > 0.0:
                        plane -= n * math.log(m)
            planes[b, k] = plane
    _total(planes, value)
