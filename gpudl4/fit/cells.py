"""Pixel cells of point sources, as constraints and as places to look next.

A point is placed bilinearly on four pixels, so the statistic is smooth only while the source stays between the same four pixel centres. The
minimiser works inside a cell, whose borders are linear constraints on theta, and looks into the neighbouring cells before it declares
success.
"""

from dataclasses import dataclass

import numpy as np

from .stretch import STRETCHED

__all__ = ["MovingPoint", "border_constraints", "is_inside", "kinks", "moving_points", "neighbours", "off_rim", "rim_constraints"]

NEWTON = 3  # steps to a place in pixels
BORDER = 1e-6  # pixels; closer than this to a border counts as on it


@dataclass(frozen=True)
class MovingPoint:
    """A point source in one dataset whose position depends on theta, and whether its flux does."""

    term: object
    component: object
    flux_is_free: bool = True

    def cell(self, theta, cells):
        """Its pixel cell (column, row) among `cells`; where it is at theta if they do not know it. int array[2]."""
        held = cells.held(self.term, self.component)
        return (self.component.cell(theta[np.newaxis]) if held is None else held)[0]

    def pixel(self, theta):
        """Pixel coordinates (x, y), array[2], and their derivatives by theta, array[2, P]."""
        xy, dxy = self.component.position(theta[np.newaxis])
        jacobian = np.zeros((2, len(theta)))
        pack = self.component.spatial_pack
        for slot, index in zip(pack.slots, pack.indices, strict=True):
            jacobian[:, index] += dxy[0, :, slot]
        return xy[0], jacobian


def moving_points(likelihood):
    """All `MovingPoint` of a likelihood."""
    return [
        MovingPoint(term, component, any(likelihood.names[i].rsplit(".", 1)[1] in STRETCHED for i in component.spectral_pack.indices))
        for term in likelihood.plan.terms
        for component in term.sources
        if hasattr(component, "cell") and component.spatial_pack.is_free
    ]


def border_constraints(points, theta, cells):
    """Rows ``matrix @ d <= limit`` that keep every moving point in its cell (two rows per axis), linearised at theta."""
    rows, limits = [np.zeros((0, len(theta)))], [np.zeros(0)]
    for point in points:
        xy, jacobian = point.pixel(theta)
        cell = point.cell(theta, cells)
        rows += [jacobian, -jacobian]
        limits += [cell + 1 - xy, xy - cell]
    return np.vstack(rows), np.maximum(np.concatenate(limits), 0.0)


def rim_constraints(points, theta):
    """Rows ``matrix @ d <= limit`` that keep every point on the map that holds it best, linearised at theta.

    Beyond the last pixel centres a part of a point falls on pixels that are not there: its image keeps its form and becomes fainter, so
    that the data tell nothing but a combination of flux and place. The best place there is as good as the one on the rim. A point that
    lies beside all maps goes no farther away.
    """
    rows, limits = [np.zeros((0, len(theta)))], [np.zeros(0)]
    for point in _best_placed(points, theta):
        xy, jacobian = point.pixel(theta)
        rows += [jacobian, -jacobian]
        limits += [_last(point) - xy, xy]
    return np.vstack(rows), np.maximum(np.concatenate(limits), 0.0)


def off_rim(points, theta):
    """theta with points that lie less than a pixel beyond the outermost pixel centres of the map that holds them best on these."""
    for point in _best_placed(points, theta):
        for _ in range(NEWTON):
            xy, jacobian = point.pixel(theta)
            move = np.clip(xy, 0, _last(point)) - xy
            if 0 < np.abs(move).max() < 1:
                theta = theta + np.linalg.lstsq(jacobian, move, rcond=None)[0]
    return theta


def _best_placed(points, theta):
    """Of each source the point in the dataset where it is farthest inside the map."""
    best = {}
    for point in points:
        if not point.flux_is_free:  # then what falls beyond the map tells its place
            continue
        xy, _ = point.pixel(theta)
        room, key = min(xy.min(), (_last(point) - xy).min()), point.component.spatial_pack.indices
        if np.isfinite(room) and room > best.get(key, (-np.inf,))[0]:
            best[key] = room, point
    return [point for _, point in best.values()]


def is_inside(points, theta):
    """Whether each point lies between the pixel centres of some map, bool by name; of points whose flux is free."""
    out = {}
    for point in points:
        if not point.flux_is_free:
            continue
        xy, last = point.pixel(theta)[0], _last(point)
        out[point.component.name] = out.get(point.component.name, False) or bool(np.all((xy >= -BORDER) & (xy <= last + BORDER)))
    return out


def _last(point):
    return np.array(point.component.map_shape[::-1]) - 1


def kinks(points, theta, cells):
    """Indices of theta whose source sits on a border of its cell, as a sorted list."""
    found = set()
    for point in points:
        xy, jacobian = point.pixel(theta)
        offset = xy - point.cell(theta, cells)
        for axis in range(2):
            if min(abs(offset[axis]), abs(offset[axis] - 1)) < BORDER:
                found.update(np.flatnonzero(np.abs(jacobian[axis]) > 1e-3 * np.abs(jacobian).max()))
    return sorted(found)


def neighbours(points, theta, cells, reach=1):
    """Starting points in the neighbouring cells, one moving source at a time.

    Sources that share their coordinates (the same source in several datasets) move together; the step is made in the pixels of the first
    dataset that holds the source.

    Yields
    ------
    array[P]
        theta with one source moved to just inside a neighbouring cell.
    """
    seen = set()
    for point in points:
        key = point.component.spatial_pack.indices
        if key in seen:
            continue
        seen.add(key)
        xy, jacobian = point.pixel(theta)
        cell = point.cell(theta, cells)
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                if dx == dy == 0:
                    continue
                # Just inside the neighbour where it is nearest, so that the move costs as little as possible.
                low = cell + np.array([dx, dy])
                target = np.clip(xy, low + 0.1, low + 0.9)
                move, *_ = np.linalg.lstsq(jacobian, target - xy, rcond=None)
                if np.abs(jacobian @ move - (target - xy)).max() < 0.05:
                    yield theta + move
