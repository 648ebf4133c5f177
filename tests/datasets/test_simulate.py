import numpy as np
import pytest

from gpudl4.core.errors import DatasetError
from gpudl4.datasets.simulate import get_random_state, poisson_counts


def test_seeds_are_those_of_the_legacy_generator():
    assert get_random_state(7).randint(10**6) == np.random.RandomState(7).randint(10**6)
    assert get_random_state(np.int64(7)).randint(10**6) == np.random.RandomState(7).randint(10**6)
    for generator in (np.random.RandomState(1), np.random.default_rng(1)):
        assert get_random_state(generator) is generator
    assert get_random_state("random-seed") is not get_random_state("random-seed")
    assert get_random_state("global-rng") is get_random_state("global-rng")


@pytest.mark.parametrize("init", ["seed", None, 1.5])
def test_other_sources_are_refused(init):
    with pytest.raises(DatasetError, match=r"random_state must be an int, 'random-seed', 'global-rng', a RandomState or a Generator, got"):
        get_random_state(init)


def test_counts_are_poisson():
    counts = poisson_counts(np.full(20000, 3.0), 0)
    assert counts.dtype == np.float64
    assert counts.mean() == pytest.approx(3, abs=0.05)
    assert counts.var() == pytest.approx(3, abs=0.15)


def test_what_is_not_finite_gives_no_counts():
    assert poisson_counts(np.array([np.nan, np.inf, 0.0]), 0).tolist() == [0, 0, 0]


def test_what_is_below_zero_by_rounding_gives_no_counts():
    assert poisson_counts(np.array([-1e-15, 7.0, -1e-17]), 0)[[0, 2]].tolist() == [0, 0]
    with pytest.raises(ValueError, match="lam < 0"):
        poisson_counts(np.array([-0.1, 7.0]), 0)
