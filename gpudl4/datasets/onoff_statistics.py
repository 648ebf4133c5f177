"""Excess and significance of ON and OFF counts, as the summary of a dataset shows them."""

import numpy as np

from gpudl4.core.backend import array_namespace
from gpudl4.stats import wstat

__all__ = ["excess_and_significance"]


def excess_and_significance(n_on, n_off, alpha):
    """Excess of the sum of bins, and its significance (Li & Ma 1983, ApJ 272, 317, equation 17); two floats.

    The alpha of the sum is the ratio of summed background and summed off counts.
    """
    xp = array_namespace(n_on, n_off, alpha)
    n_on, n_off, alpha = (xp.asarray(values, dtype=float) for values in (n_on, n_off, alpha))
    on, off, background = (float(values.sum()) for values in (n_on, n_off, alpha * n_off))
    excess = on - background
    if off == 0:
        return excess, np.nan
    null, best = (float(wstat(np.float64(on), np.float64(off), np.float64(background / off), np.float64(mu))) for mu in (0.0, excess))
    return excess, float(np.sign(excess) * np.sqrt(max(null - best, 0.0)))
