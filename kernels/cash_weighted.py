"""Cash statistic with a weight per bin, ``2 sum w [mu - n ln mu]``: for likelihoods in which bins count less (systematics, overlaps).

As `cash`, with the same floor and edge cases. A weight takes the place of the mask: bins whose weight is not positive take no part.
Only datasets that have weights come here.
"""

import math

import numpy as np

from ._compiled import prange
from ._sized import sized
from .cash import FLOOR
from .tables import O_BEGIN, O_BESIDE, O_END, O_NORM, O_PART


@sized(lambda counts, weight, *_: weight.size)
def cash(counts, weight, mu, template, items, slope, parts):
    """Statistic, slope, and the derivative of the statistic by the norm of a template.

    Parameters
    ----------
    counts : cube[N]
        Observed counts of all bins of all datasets.
    weight : cube[M]
        Of the bins of datasets with weights only.
    mu : real[B, N]
        Predicted counts.
    template : cube[N]
        Background before its norm.
    items : int64[n_items, 5]
        Runs of bins, see `tables`.
    slope : real[B, N]
        Output, d stat / d mu; 0 where there is no weight. Bins of no item stay as they are.
    parts : float64[B, n_parts]
        Output: of each item the statistic, and the sum of slope times template, at their places.
    """
    n_items = items.shape[0]
    for j in prange(mu.shape[0] * n_items):
        b, i = j // n_items, j % n_items
        begin, total, by_norm = items[i, O_BEGIN], 0.0, 0.0
        beside = items[i, O_BESIDE] - begin
        for a in range(begin, items[i, O_END]):
            w = np.float64(weight[beside + a])
            if not w > 0.0:
                slope[b, a] = 0.0
                continue
            n, m = np.float64(counts[a]), np.float64(mu[b, a])
            floored = FLOOR if m <= FLOOR else m
            r = 2.0 * w
            if n > 0.0:
                total += w * (floored - n * math.log(floored))
                r = 0.0 if m <= FLOOR else 2.0 * w * (1.0 - n / m)
            else:
                total += w * floored
                if m < 0.0:
                    r = 0.0
            slope[b, a] = r
            by_norm += r * template[a]
        parts[b, items[i, O_PART]] = 2.0 * total
        parts[b, items[i, O_NORM]] = by_norm


@sized(lambda counts, weight, *_: weight.size)
def cash_value(counts, weight, mu, items, parts):
    """Statistic only; same arguments and order of summation as `cash`."""
    n_items = items.shape[0]
    for j in prange(mu.shape[0] * n_items):
        b, i = j // n_items, j % n_items
        begin, total = items[i, O_BEGIN], 0.0
        beside = items[i, O_BESIDE] - begin
        for a in range(begin, items[i, O_END]):
            w = np.float64(weight[beside + a])
            if w > 0.0:
                n, m = np.float64(counts[a]), np.float64(mu[b, a])
                floored = FLOOR if m <= FLOOR else m
                if n > 0.0:
                    total += w * (floored - n * math.log(floored))
                else:
                    total += w * floored
        parts[b, items[i, O_PART]] = 2.0 * total


@sized(lambda counts, weight, *_: weight.size)
def weights(counts, weight, mu, items, expected, observed):
    """Second derivatives of the statistic by the prediction, as in `cash`, times the weight; bins of no item stay as they are.

    Parameters
    ----------
    counts, weight, mu, items
        As for `cash`, for one parameter vector: mu is real[1, N].
    expected, observed : float64[N]
        Output, 2 w / mu and 2 w n / mu^2; 0 where there is no weight and at the floor.
    """
    for i in prange(items.shape[0]):
        begin = items[i, O_BEGIN]
        beside = items[i, O_BESIDE] - begin
        for a in range(begin, items[i, O_END]):
            w, m = np.float64(weight[beside + a]), np.float64(mu[0, a])
            if w > 0.0 and m > FLOOR:
                expected[a] = 2.0 * w / m
                observed[a] = 2.0 * w * np.float64(counts[a]) / (m * m)
            else:
                expected[a], observed[a] = 0.0, 0.0
