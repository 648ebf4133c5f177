"""Sources of random numbers, chosen as in gammapy: by a seed, by a word, or by handing one in."""

import numpy as np

from .errors import DatasetError

__all__ = ["get_random_state"]


def get_random_state(init):
    """Source of random numbers.

    Parameters
    ----------
    init : int, "random-seed", "global-rng", `numpy.random.RandomState` or `numpy.random.Generator`
        A seed, fresh entropy, NumPy's global generator, or a generator, which is returned as it is.

    Raises
    ------
    DatasetError
        If it is none of these.
    """
    if isinstance(init, np.random.RandomState | np.random.Generator):
        return init
    if isinstance(init, str) and init == "global-rng":
        return np.random.mtrand._rand
    if isinstance(init, str) and init == "random-seed":
        return np.random.RandomState(None)
    if isinstance(init, int | np.integer):
        return np.random.RandomState(init)
    raise DatasetError(f"random_state must be an int, 'random-seed', 'global-rng', a RandomState or a Generator, got {init!r}")
