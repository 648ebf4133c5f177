"""Sets of time intervals against a slow oracle: membership of single instants."""

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time

from gpudl4.core.intervals import append, crop, cut_out, merge

ORIGIN = Time("2020-01-01", scale="tt")


def times(*hours):
    return ORIGIN + np.array(hours, dtype=float) * u.h


def covered(start, stop, hours):
    """Whether each instant, in hours, lies in any of the intervals."""
    low, high = ((t - ORIGIN).to_value("h") for t in (start, stop))
    return np.array([bool(np.any((low < hour) & (hour < high))) for hour in hours])


@pytest.mark.parametrize("seed", range(5))
def test_each_instant_stays_where_it_belongs(seed):
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 40, 12)
    start, stop = times(*low), times(*(low + rng.integers(1, 6, 12)))
    hours = np.arange(50) + 0.5
    inside = (hours > 10) & (hours < 25)
    before = covered(start, stop, hours)
    interval = times(10, 25)
    np.testing.assert_array_equal(covered(*merge(start, stop), hours), before)
    np.testing.assert_array_equal(covered(*crop(start, stop, interval), hours), before & inside)
    np.testing.assert_array_equal(covered(*cut_out(start, stop, interval), hours), before & ~inside)


def test_merged_intervals_are_sorted_and_apart():
    start, stop = merge(times(5, 0, 2, 9), times(6, 2, 3, 10))
    assert (start - ORIGIN).to_value("h").round(9).tolist() == [0, 5, 9]
    assert (stop - ORIGIN).to_value("h").round(9).tolist() == [3, 6, 10]
    assert merge(times(0, 2), times(2, 3), merge_equal=False)[0].size == 2
    with pytest.raises(ValueError, match="1 time intervals overlap, the first at 2020-01-01T01"):
        merge(times(0, 1), times(2, 3), overlap_ok=False)


def test_empty_sets():
    empty = times()
    for start, stop in (merge(empty, empty), crop(empty, empty, times(1, 2)), cut_out(empty, empty, times(1, 2))):
        assert start.size == stop.size == 0
    assert append(empty, times(1)).size == append(times(1), empty).size == 1
    assert append(times(1), times(2).utc).scale == "tt"
