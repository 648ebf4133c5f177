"""The active region: the union of the boxes that free components can reach, stored as one run of columns per map row.

Cost follows this region and not the map. Every box is a set of rows; row y of a box is contiguous in the region, so a kernel needs one
start column per row and no index per pixel.
"""

from dataclasses import dataclass

import numpy as np

from gpudl4.core.backend import backend_of, to_device

__all__ = ["ActiveRegion", "Box"]


@dataclass(frozen=True)
class Box:
    """A rectangle of map pixels: rows ``y0 .. y0 + ny``, columns ``x0 .. x0 + nx``."""

    y0: int
    x0: int
    ny: int
    nx: int

    @property
    def shape(self):
        """(ny, nx)."""
        return self.ny, self.nx

    @property
    def slices(self):
        """Slices of the last two axes of a map array."""
        return slice(self.y0, self.y0 + self.ny), slice(self.x0, self.x0 + self.nx)

    def sampled(self, stride):
        """Slices, in the box, of the rows and columns whose map index is a multiple of `stride`."""
        return slice(-self.y0 % stride, None, stride), slice(-self.x0 % stride, None, stride)

    def every(self, stride):
        """The box in the coarser grid that `sampled` picks."""
        y0, x0 = -(-self.y0 // stride), -(-self.x0 // stride)
        return Box(y0, x0, -(-(self.y0 + self.ny) // stride) - y0, -(-(self.x0 + self.nx) // stride) - x0)

    def intersection(self, other):
        """Common box, or None."""
        y0, x0 = max(self.y0, other.y0), max(self.x0, other.x0)
        y1, x1 = min(self.y0 + self.ny, other.y0 + other.ny), min(self.x0 + self.nx, other.x0 + other.nx)
        return Box(y0, x0, y1 - y0, x1 - x0) if y1 > y0 and x1 > x0 else None

    def within(self, outer):
        """Slices of this box in the frame of `outer`, which must contain it."""
        y, x = self.y0 - outer.y0, self.x0 - outer.x0
        return slice(y, y + self.ny), slice(x, x + self.nx)


def _merge(intervals):
    """Sorted, disjoint intervals that cover the given ones."""
    merged = []
    for begin, end in sorted(intervals):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    return merged


class ActiveRegion:
    """Union of boxes in a map of ``shape = (ny, nx)`` pixels.

    Attributes
    ----------
    size : int
        Number of pixels, the length A of the last axis of engine arrays.
    pixels : int array[A]
        Flat map index of each column.
    """

    def __init__(self, boxes, shape):
        self.shape = shape
        self._runs = {}  # map row -> [(begin, end, column of begin)]
        pieces, column = [], 0
        rows = sorted({y for box in boxes for y in range(box.y0, box.y0 + box.ny)})
        for y in rows:
            runs = []
            for begin, end in _merge([(b.x0, b.x0 + b.nx) for b in boxes if b.y0 <= y < b.y0 + b.ny]):
                runs.append((begin, end, column))
                pieces.append(np.arange(y * shape[1] + begin, y * shape[1] + end))
                column += end - begin
            self._runs[y] = runs
        self.size = column
        self.pixels = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)

    @classmethod
    def whole(cls, shape):
        """The region that is the whole map."""
        return cls([Box(0, 0, *shape)], shape)

    def starts(self, box):
        """First column of each row of `box`, int64 array[ny]; the box must be one of the region's or lie inside one."""
        out = np.empty(box.ny, dtype=np.int64)
        for i in range(box.ny):
            for begin, end, column in self._runs[box.y0 + i]:
                if begin <= box.x0 and box.x0 + box.nx <= end:
                    out[i] = column + box.x0 - begin
                    break
        return out

    def image(self):
        """Boolean image, True inside."""
        out = np.zeros(self.shape, dtype=bool)
        out.reshape(-1)[self.pixels] = True
        return out

    def take(self, cube):
        """Values of ``cube[..., ny, nx]`` in the region, contiguous array[..., A], on the backend of the cube."""
        backend = backend_of(cube)
        if self.size == self.shape[0] * self.shape[1]:
            return backend.xp.array(cube).reshape(*cube.shape[:-2], -1)
        if backend.name != "numpy":  # one gather on a device, runs of columns on the host
            return cube.reshape(*cube.shape[:-2], -1)[..., to_device(self.pixels, backend)]
        out = np.empty((*cube.shape[:-2], self.size), dtype=cube.dtype)
        for y, runs in self._runs.items():
            for begin, end, column in runs:
                out[..., column : column + end - begin] = cube[..., y, begin:end]
        return out
