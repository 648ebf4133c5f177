"""Sets of time intervals as two arrays of `astropy.time.Time`, starts and stops: merging, cropping, cutting out.

Use `gpudl4.data.GTI`; here are its operations as functions without a reference time. All are vectorised, compare instants exactly
(`gpudl4.core.instants`), and take empty arrays.
"""

import numpy as np

from .instants import concatenate, ranks, replace_where

__all__ = ["append", "crop", "cut_out", "merge"]


def merge(start, stop, overlap_ok=True, merge_equal=True):
    """Overlapping intervals merged, sorted by start; arguments as for `gpudl4.data.GTI.union`.

    Raises
    ------
    ValueError
        If intervals overlap and `overlap_ok` is False.
    """
    if start.size == 0:
        return start.copy(), stop.copy()
    first_rank, last_rank = ranks(start, stop)
    order = np.argsort(first_rank, kind="stable")
    first_rank, last_rank = first_rank[order], last_rank[order]
    reached = np.maximum.accumulate(last_rank)
    apart = reached[:-1] < first_rank[1:] if merge_equal else reached[:-1] <= first_rank[1:]
    if not overlap_ok and not apart.all():
        when = start[order[int(np.argmin(apart)) + 1]].isot
        raise ValueError(f"{int((~apart).sum())} time intervals overlap, the first at {when}; give overlap_ok=True to merge them")
    first = np.flatnonzero(np.concatenate(([True], apart)))
    last = np.concatenate((first[1:], [start.size])) - 1
    # index of the interval that holds the running maximum of the stop times
    holder = np.maximum.accumulate(np.where(last_rank == reached, np.arange(start.size), 0))
    return start[order[first]], stop[order[holder[last]]]


def crop(start, stop, interval):
    """What of the intervals lies inside one interval, a sequence of two `astropy.time.Time`."""
    begin, end = _ends(interval, start)
    first_rank, last_rank, lower, upper = ranks(start, stop, begin, end)
    keep = (first_rank <= upper) & (last_rank > lower)
    return replace_where(first_rank[keep] < lower, begin, start[keep]), replace_where(last_rank[keep] > upper, end, stop[keep])


def cut_out(start, stop, interval):
    """What of the intervals lies outside one interval; second halves of split intervals follow their first halves."""
    begin, end = _ends(interval, start)
    first_rank, last_rank, lower, upper = ranks(start, stop, begin, end)
    before, after = first_rank < lower, last_rank > upper
    left = start[before], replace_where(last_rank[before] > lower, begin, stop[before])
    right = replace_where(first_rank[after] < upper, end, start[after]), stop[after]
    order = np.argsort(np.concatenate([np.flatnonzero(before), np.flatnonzero(after)]), kind="stable")
    return tuple(append(times, later)[order] for times, later in zip(left, right, strict=True))


def append(times, later):
    """Two Time arrays in one, on the time scale of the first; where one is empty the other, as it is."""
    if later.size == 0:
        return times
    return later.copy() if times.size == 0 else concatenate(times, later)


def _ends(interval, like):
    """Start and stop of an interval as Time arrays of length 1 on the time scale of `like`."""
    begin, end = interval
    return getattr(begin, like.scale).reshape(1), getattr(end, like.scale).reshape(1)
