"""Random counts from predicted ones. Used by `MapDataset.fake`; the order of calls is gammapy's, so that equal seeds give equal counts."""

import numpy as np

from gpudl4.core.backend import to_host
from gpudl4.core.random import get_random_state

__all__ = ["get_random_state", "poisson_counts"]

ROUNDING = 1e-9  # of the largest number


def poisson_counts(npred, random_state="random-seed"):
    """Poisson random numbers around predicted counts, drawn in one call over the whole array in C order.

    Parameters
    ----------
    npred : array
        Predicted counts; values that are not finite count as 0, and so does what Fourier transforms leave below zero by rounding. Device
        arrays are brought to the host.
    random_state
        See `get_random_state`.

    Returns
    -------
    counts : numpy.ndarray
        float64, on the host.
    """
    rng = get_random_state(random_state)
    npred = np.nan_to_num(to_host(npred), nan=0.0, posinf=0.0, neginf=0.0)
    npred = np.where((npred < 0) & (npred > -ROUNDING * npred.max(initial=0.0)), 0.0, npred)
    return rng.poisson(npred).astype(float)
