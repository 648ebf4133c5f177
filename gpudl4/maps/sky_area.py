"""Solid angles far from the centre of a projection, where pixels are sheared, and at its end, where a part of them lies on the sky.

The solid angle per area of the map varies slowly, however long and crooked a pixel is on the sky. Pixels are cut into squares; the area of
each, or of the polygon that is left of it where the sky ends, is multiplied by the density in its middle.
"""

import numpy as np

from .sphere import directions

__all__ = ["integrated_solid_angle"]

STEP = 1e-3  # pixels; of the differences that give the density
HALVINGS = 20  # of the part of a side on which the sky ends
CORNERS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float)  # x, y


def integrated_solid_angle(pix_to_lonlat, rows, columns, parts):
    """Solid angle of the parts of pixels that lie on the sky.

    Parameters
    ----------
    pix_to_lonlat : callable
        Longitude and latitude in degrees of pixel coordinates x, y; NaN where there is no sky.
    rows, columns : int array[N]
        Pixels.
    parts : int
        Squares of a pixel, in each direction.

    Returns
    -------
    solid_angle : array[N]
        Steradian.
    """
    first = np.arange(parts) / parts - 0.5
    x = columns[:, np.newaxis, np.newaxis] + np.broadcast_to(first, (parts, parts))
    y = rows[:, np.newaxis, np.newaxis] + np.broadcast_to(first[:, np.newaxis], (parts, parts))
    squares = np.stack([x, y], axis=-1).reshape(-1, 2)
    corners = squares[:, np.newaxis] + CORNERS / parts  # [squares, corners, xy]
    inside = np.isfinite(pix_to_lonlat(corners[..., 0], corners[..., 1])[0])
    middle, size = squares + 0.5 / parts, np.where(inside.all(axis=1), parts**-2.0, 0.0)
    cut = inside.any(axis=1) & ~inside.all(axis=1)
    if cut.any():
        middle[cut], size[cut] = _on_sky(pix_to_lonlat, corners[cut], inside[cut])
    used = size > 0
    area = np.zeros(len(squares))
    area[used] = size[used] * _density(pix_to_lonlat, *middle[used].T)
    return area.reshape(len(rows), -1).sum(axis=1)


def _density(pix_to_lonlat, x, y):
    """Solid angle per area of the map, sr per pixel, at places on the sky."""
    centre = directions(*np.deg2rad(pix_to_lonlat(x, y)))
    slopes = []
    for dx, dy in ((STEP, 0), (0, STEP)):
        ends, length = [], np.zeros(len(x))
        for sign in (1, -1):
            end = directions(*np.deg2rad(pix_to_lonlat(x + sign * dx, y + sign * dy)))
            beyond = np.isnan(end[:, 0])
            ends.append(np.where(beyond[:, np.newaxis], centre, end))
            length += np.where(beyond, 0, STEP)
        slopes.append((ends[0] - ends[1]) / np.maximum(length, STEP)[:, np.newaxis])
    return np.linalg.norm(np.cross(*slopes), axis=-1)


def _on_sky(pix_to_lonlat, squares, inside):
    """Middle and area, in pixels, of the polygons that are left of squares of which some corners lie on the sky."""
    points = np.empty((len(squares), 8, 2))
    points[:, ::2] = squares
    missing = np.ones((len(squares), 8), dtype=bool)
    missing[:, ::2] = ~inside
    following = np.roll(squares, -1, axis=1)
    number, side = np.nonzero(inside != np.roll(inside, -1, axis=1))
    starts_inside = inside[number, side][:, np.newaxis]
    here = np.where(starts_inside, squares[number, side], following[number, side])
    beyond = np.where(starts_inside, following[number, side], squares[number, side])
    for _ in range(HALVINGS):
        middle = 0.5 * (here + beyond)
        on_sky = np.isfinite(pix_to_lonlat(middle[:, 0], middle[:, 1])[0])[:, np.newaxis]
        here, beyond = np.where(on_sky, middle, here), np.where(on_sky, beyond, middle)
    points[number, 2 * side + 1] = here
    missing[number, 2 * side + 1] = False
    for slot in range(16):  # what is missing stands where the point before it does; twice around, as the first may be missing
        now, before = slot % 8, (slot - 1) % 8
        fill = missing[:, now] & ~missing[:, before]
        points[fill, now] = points[fill, before]
        missing[fill, now] = False
    apex, (a, b) = points[:, :1], (points[:, 1:-1] - points[:, :1], points[:, 2:] - points[:, :1])
    triangles = 0.5 * np.abs(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])
    area = triangles.sum(axis=1)
    weights = np.where(area[:, np.newaxis] > 0, triangles, 1.0)
    middles = apex + (a + b) / 3
    return (middles * weights[..., np.newaxis]).sum(axis=1) / weights.sum(axis=1)[:, np.newaxis], area
