"""Bricks of the work tables: growing tables, offsets, flat arrays, and runs of rows as items of work."""

from dataclasses import dataclass, field

import numpy as np

from gpudl4.core.backend import NUMPY, backend_of

__all__ = ["Counter", "Flat", "Slots", "Table", "row_items"]

ITEM = 4096  # elements of an item of work: enough for a block of threads, small enough to keep many busy
MOST = 24  # items of a plane, about: a large plane needs no more, as there are many planes


class Counter:
    """Hands out consecutive offsets."""

    def __init__(self, size=0):
        self.size = size

    def take(self, number):
        """Offset of the next `number` places."""
        begin = self.size
        self.size += int(number)
        return begin


class Flat:
    """Arrays laid behind each other; the same array is laid down once.

    Attributes
    ----------
    size : int
        Elements of all of them.
    arrays : list
    """

    def __init__(self):
        self.size, self.arrays, self._offsets = 0, [], {}

    def add(self, array):
        """Offset of the array's first element."""
        if id(array) not in self._offsets:
            self._offsets[id(array)] = self.size
            self.arrays.append(array)
            self.size += array.size
        return self._offsets[id(array)]

    def array(self, backend, dtype):
        """All of them as one contiguous array on a backend, without a copy if they lie behind each other in memory already.

        On a device nothing is allocated beside the result: arrays of the host go straight to their place.
        """
        if backend.name == "numpy" and (whole := _span(self.arrays, dtype)) is not None:
            return whole
        if len(self.arrays) == 1 and backend_of(self.arrays[0]).device == backend.device:
            return backend.xp.ascontiguousarray(self.arrays[0].reshape(-1).astype(dtype, copy=False))
        out, end = backend.xp.empty(self.size, dtype=dtype), 0
        for array in self.arrays:
            begin, end = end, end + array.size
            _copy(array.reshape(-1), out[begin:end])
        return out

    def same_as(self, other):
        """Whether another one holds the very same arrays."""
        return len(self.arrays) == len(other.arrays) and all(a is b for a, b in zip(self.arrays, other.arrays, strict=True))

    def host(self):
        """All of them on the host, int64; for tables of offsets."""
        return self.array(NUMPY, np.int64)


def _copy(source, target):
    """Write an array of the host or of the same backend into a contiguous one."""
    if isinstance(source, np.ndarray) and not isinstance(target, np.ndarray):
        if source.size:
            target.set(np.ascontiguousarray(source, dtype=target.dtype))
    else:
        target[...] = source


def _span(arrays, dtype):
    """The part of a common base that arrays on the host fill without gaps and in order, or None if they do not."""
    first = arrays[0] if arrays else None
    base = getattr(first, "base", None)
    if not isinstance(base, np.ndarray) or base.dtype != dtype or not base.flags.c_contiguous:
        return None
    begin = end = (first.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // base.itemsize
    for array in arrays:
        at = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        if array.base is not base or array.dtype != dtype or not array.flags.c_contiguous or at != end * base.itemsize:
            return None
        end += array.size
    return base.reshape(-1)[begin:end]


class Table:
    """A growing int64 table with named columns."""

    def __init__(self, columns):
        self._columns, self.rows = columns, []

    def add(self, *values):
        """Index of the new row."""
        if len(values) != self._columns:
            raise ValueError(f"a row of {len(values)} values for a table of {self._columns} columns")
        self.rows.append(values)
        return len(self.rows) - 1

    def array(self):
        """int64[rows, columns]."""
        return np.array(self.rows, dtype=np.int64).reshape(-1, self._columns)


@dataclass
class Slots:
    """Where the numbers of one source stand in params and its sums in parts.

    Attributes
    ----------
    flux : int
        Offset in params of F[L].
    flux_slopes : dict
        Free spectral slot -> offset of dF[L].
    corner, weights : int
        Of a point: offset of its corner[4] and of w[4].
    weight_slopes : dict
        Free spatial slot of a point -> offset of dw[4].
    shape, shape_row : int
        Of a Gaussian: offset of five angles and five factors; its row in the table of shapes.
    image, slopes : int, dict
        Of an image: offset in images; of a user's model also free spatial slot -> offset in images of its derivative image.
    part, chunks : int
        Of the derivative by the flux, [L, chunks], or by weights times flux, [4, L], in parts.
    """

    flux: int
    flux_slopes: dict
    corner: int = -1
    weights: int = -1
    weight_slopes: dict = field(default_factory=dict)
    shape: int = -1
    shape_row: int = -1
    image: int = -1
    slopes: dict = field(default_factory=dict)
    part: int = -1
    chunks: int = 1


def row_items(rows, width):
    """Cut rows of pixels into items of about `ITEM` elements, or `MOST` items: list of (first row, end row)."""
    step = max(1, max(ITEM, rows * width // MOST) // max(width, 1))
    return [(y, min(y + step, rows)) for y in range(0, rows, step)]
