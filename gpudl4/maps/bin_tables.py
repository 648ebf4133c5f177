"""Columns of tables that define axes, read row by row: what is repeated must be repeated exactly, bins must follow each other and rise.

A table of image planes repeats the bins of each axis in a fixed pattern. Sorting such a column would hide a damaged value, and move all
bins behind it by one.
"""

import numpy as np

from ..core.errors import DataFileError

__all__ = ["EDGE_TOLERANCE", "cycle", "joined_edges"]

EDGE_TOLERANCE = 0.01
"""Part of the narrower bin by which the end of a bin and the start of the next may differ: files hold edges in single precision."""


def cycle(values, label):
    """One pass of a column in which every value is repeated k times, and all that over and over.

    Parameters
    ----------
    values : array[N]
        Column of a table with one row per image plane, the fastest axis first.
    label : str
        What it is, for messages.

    Returns
    -------
    values : array[n]
        Values of the axis, in their order.
    pattern : (int, int)
        Repetitions k of each value, and n.

    Raises
    ------
    DataFileError
        If a row breaks the pattern.
    """
    values = np.asarray(values)
    if values.ndim != 1 or values.size == 0:
        raise DataFileError(f"{label} must hold one value in each row, it has the shape {values.shape}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataFileError(f"{label}: nodes must be finite, the first that is not is in row {int(np.argmin(np.isfinite(values)))}")
    others = np.flatnonzero(values != values[0])
    each = int(others[0]) if others.size else values.size
    heads = values[::each]
    again = np.flatnonzero(heads[1:] == heads[0])
    number = int(again[0]) + 1 if again.size else heads.size
    wanted = np.resize(np.repeat(heads[:number], each), values.size)
    bad = wanted != values
    bad[0] |= len(np.unique(heads[:number])) != number
    if values.size % (each * number) or bad.any():
        row = int(np.argmax(bad)) if bad.any() else values.size - 1
        raise DataFileError(
            f"{label}: row {row} breaks the order of the rows, in which {number} values are repeated {each} times each: it is {values[row]}"
        )
    return heads[:number], (each, number)


def joined_edges(low, high, label):
    """Edges[N + 1] of N bins from their lower and upper edges, which must be finite, rise, and follow each other.

    Raises
    ------
    DataFileError
        If they do not, with the first bin that is wrong; see `EDGE_TOLERANCE`.
    """
    low, high = (np.asarray(edges, dtype=np.float64) for edges in (low, high))
    if low.ndim != 1 or low.shape != high.shape or low.size == 0:
        raise DataFileError(f"{label}: as many lower as upper edges were wanted, got the shapes {low.shape} and {high.shape}")
    width = high - low
    bad = ~(np.isfinite(low) & np.isfinite(high) & (width > 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataFileError(f"{label}: bin {row} goes from {low[row]:.6g} to {high[row]:.6g}; bins must be finite and rise")
    apart = np.abs(high[:-1] - low[1:]) > EDGE_TOLERANCE * np.minimum(width[:-1], width[1:])
    if apart.any():
        row = int(np.argmax(apart))
        raise DataFileError(
            f"{label}: bins must be adjacent, but bin {row} ends at {high[row]:.6g} and bin {row + 1} starts at {low[row + 1]:.6g}"
        )
    return np.append(low, high[-1])
