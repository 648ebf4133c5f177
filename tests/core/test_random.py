"""Sources of random numbers."""

import numpy as np
import pytest

from gpudl4.core.errors import DatasetError
from gpudl4.core.random import get_random_state


def test_seeds_and_generators():
    assert get_random_state(3).uniform() == np.random.RandomState(3).uniform()
    assert get_random_state(np.int32(3)).uniform() == np.random.RandomState(3).uniform()
    for generator in (np.random.RandomState(1), np.random.default_rng(1)):
        assert get_random_state(generator) is generator
    assert get_random_state("global-rng") is np.random.mtrand._rand
    assert get_random_state("random-seed").uniform() != get_random_state("random-seed").uniform()
    for wrong in ("seed", 1.5, None):
        with pytest.raises(DatasetError, match="random_state must be an int"):
            get_random_state(wrong)
