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
        self._around = around = _around(boxes)
        if all(box == around for box in boxes):
            rows, columns = np.arange(around.y0, around.y0 + around.ny), np.arange(around.x0, around.x0 + around.nx)
            self.pixels = (rows[:, np.newaxis] * shape[1] + columns).ravel()
        else:
            inside = np.zeros(around.shape, dtype=bool)
            for box in boxes:
                inside[box.within(around)] = True
            rows, columns = np.nonzero(inside)
            self.pixels = (rows + around.y0) * shape[1] + columns + around.x0
        self.size = self.pixels.size

    @classmethod
    def whole(cls, shape):
        """The region that is the whole map."""
        return cls([Box(0, 0, *shape)], shape)

    def starts(self, box):
        """First column of each row of `box`, int64 array[ny]; the box must be one of the region's or lie inside one."""
        return np.searchsorted(self.pixels, np.arange(box.y0, box.y0 + box.ny) * self.shape[1] + box.x0)

    def image(self):
        """Boolean image, True inside."""
        out = np.zeros(self.shape, dtype=bool)
        out.reshape(-1)[self.pixels] = True
        return out

    def take(self, cube, borrow=False):
        """Values of ``cube[..., ny, nx]`` in the region, contiguous array[..., A], on the backend of the cube.

        A new array, unless one may `borrow` the cube itself where the region is the whole map.
        """
        backend = backend_of(cube)
        if self.size == self.shape[0] * self.shape[1]:
            whole = backend.xp.ascontiguousarray(cube) if borrow else backend.xp.array(cube)
            return whole.reshape(*cube.shape[:-2], -1)
        if backend.name != "numpy":  # one gather on a device, runs of columns on the host
            return cube.reshape(*cube.shape[:-2], -1)[..., to_device(self.pixels, backend)]
        if self.size == self._around.ny * self._around.nx:
            return np.array(cube[(..., *self._around.slices)], order="C").reshape(*cube.shape[:-2], -1)
        out = np.empty((*cube.shape[:-2], self.size), dtype=cube.dtype)
        gaps = np.diff(self.pixels) != 1
        gaps |= self.pixels[1:] % self.shape[1] == 0
        firsts = np.concatenate([[0], np.flatnonzero(gaps) + 1, [self.size]])
        for begin, end in zip(firsts[:-1].tolist(), firsts[1:].tolist(), strict=True):
            y, x = divmod(int(self.pixels[begin]), self.shape[1])
            out[..., begin:end] = cube[..., y, x : x + end - begin]
        return out


def _around(boxes):
    """Smallest box around all; an empty one where there are none."""
    if not boxes:
        return Box(0, 0, 0, 0)
    y0, x0 = min(box.y0 for box in boxes), min(box.x0 for box in boxes)
    return Box(y0, x0, max(box.y0 + box.ny for box in boxes) - y0, max(box.x0 + box.nx for box in boxes) - x0)
