"""Arrays of `astropy.time.Time` as instants: their exact order, without loops and without rounding to seconds."""

import numpy as np

__all__ = ["concatenate", "ranks", "replace_where"]


def _days(time):
    """Integer day and fraction of a day in (-0.5, 0.5]: the canonical pair, so that equal instants have equal pairs."""
    day, fraction = np.array(time.jd1, dtype=float, ndmin=1), np.array(time.jd2, dtype=float, ndmin=1)
    low = fraction == -0.5
    day[low] -= 1
    fraction[low] = 0.5
    return day, fraction


def ranks(*times):
    """One integer array per time array: the place of each instant in the exact order of all; equal instants have equal places."""
    pairs = [_days(time) for time in times]
    day, fraction = np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])
    order = np.lexsort((fraction, day))
    is_new = np.zeros(order.size, dtype=np.int64)
    is_new[1:] = (np.diff(day[order]) != 0) | (np.diff(fraction[order]) != 0)
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.cumsum(is_new)
    return np.split(rank, np.cumsum([p[0].size for p in pairs])[:-1])


def concatenate(first, second):
    """Two Time arrays in one, on the time scale and in the format of the first."""
    from astropy.time import Time

    second = getattr(second, first.scale)
    parts = [np.concatenate([np.atleast_1d(getattr(t, name)) for t in (first, second)]) for name in ("jd1", "jd2")]
    out = Time(*parts, format="jd", scale=first.scale)
    out.format = first.format
    return out


def replace_where(mask, value, times):
    """`times` with `value` (a Time of length 1) where the mask is True; `times` itself if it is nowhere."""
    if not mask.any():
        return times
    times = times.copy()
    times[mask] = value[0]
    return times
