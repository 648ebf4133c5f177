"""Closed sums over the bins that no source reaches.

Outside the reach of every source the prediction is ``mu = g_k B[k, p]``. There the Cash statistic needs three sums per energy only::

    stat_k = 2 (g_k sum B - sum n ln B - ln g_k sum n)

which `outside_sums` makes once when a likelihood is compiled.
"""

import math

import numpy as np

from ._compiled import compiled, prange
from ._sized import sized

TEMPLATE_FLOOR = (
    1e-12  # background values below this (or negative) are evaluated bin by bin, so that the closed sums hold for any norm > 1e-13
)

SUM_TEMPLATE, SUM_COUNTS, SUM_COUNTS_LOG, EMPTY_BINS, EMPTY_COUNTS, N_BINS, BAD_COUNTS, BAD_TEMPLATE = range(8)
N_SUMS = 8


@sized(lambda counts, *_: counts.size)
def outside_sums(counts, template, static, mask, active, sums, special):
    """Sort the bins outside the active region into closed sums and special bins.

    Parameters
    ----------
    counts, template : array[K, Y, X]
    static : array[K, Y, X] or array[K, 0, 0]
        Counts of frozen components; without pixels it counts as zero.
    mask : bool array[K, Y, X]
    active : bool array[Y, X]
        Pixels inside the active region; their bins are only checked here.
    sums : float64 array[K, N_SUMS]
        Output. Template, counts and counts times log template summed over ordinary bins; number and counts of bins with neither
        template nor static counts; number of masked-in bins; number of bins with bad counts and with bad template values.
    special : int64 array[K]
        Output, number of bins to be evaluated one by one (`special_bins` lists them).
    """
    has_static = static.shape[1] == counts.shape[1] and static.shape[2] == counts.shape[2]
    for k in prange(counts.shape[0]):
        sum_b = sum_n = sum_nlogb = 0.0
        n_empty = counts_empty = n_bins = bad_n = bad_b = 0.0
        n_special = 0
        for y in range(counts.shape[1]):
            for x in range(counts.shape[2]):
                if not mask[k, y, x]:
                    continue
                n_bins += 1.0
                n = np.float64(counts[k, y, x])
                t = np.float64(template[k, y, x])
                if not (n >= 0.0 and n < np.inf):
                    bad_n += 1.0
                    continue
                if not math.isfinite(t):
                    bad_b += 1.0
                    continue
                if active[y, x]:
                    continue
                s = static[k, y, x] if has_static else 0.0
                if s != 0.0 or (t != 0.0 and t < TEMPLATE_FLOOR):
                    n_special += 1
                elif t == 0.0:
                    n_empty += 1.0
                    counts_empty += n
                else:
                    sum_b += t
                    if n > 0.0:
                        sum_n += n
                        sum_nlogb += n * math.log(t)
        sums[k, SUM_TEMPLATE] = sum_b
        sums[k, SUM_COUNTS] = sum_n
        sums[k, SUM_COUNTS_LOG] = sum_nlogb
        sums[k, EMPTY_BINS] = n_empty
        sums[k, EMPTY_COUNTS] = counts_empty
        sums[k, N_BINS] = n_bins
        sums[k, BAD_COUNTS] = bad_n
        sums[k, BAD_TEMPLATE] = bad_b
        special[k] = n_special


@compiled
def special_bins(counts, template, static, mask, active, bins, values):
    """List the bins that `outside_sums` counted as special: energy index in ``bins[S]``; counts, template, static in ``values[S, 3]``."""
    has_static = static.shape[1] == counts.shape[1] and static.shape[2] == counts.shape[2]
    i = 0
    for k in range(counts.shape[0]):
        for y in range(counts.shape[1]):
            for x in range(counts.shape[2]):
                if not mask[k, y, x] or active[y, x]:
                    continue
                t = np.float64(template[k, y, x])
                s = static[k, y, x] if has_static else 0.0
                if s != 0.0 or (t != 0.0 and t < TEMPLATE_FLOOR):
                    bins[i] = k
                    values[i, 0] = float(counts[k, y, x])
                    values[i, 1] = t
                    values[i, 2] = s
                    i += 1
