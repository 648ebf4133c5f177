"""Pixels at the end of a projection: the solid angle of the part that lies on the sky.

A pixel is cut into smaller squares; of each the corners on the sky, and the places on its sides where the sky ends, make a polygon.
"""

import numpy as np

from .sphere import directions, spherical_triangle

__all__ = ["border_solid_angle"]

PARTS = 4  # squares of a pixel, in each direction
HALVINGS = 24  # of the part of a side on which the sky ends
CORNERS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float)  # x, y


def border_solid_angle(pix_to_lonlat, rows, columns):
    """Solid angle of the parts of pixels that lie on the sky.

    Parameters
    ----------
    pix_to_lonlat : callable
        Longitude and latitude in degrees of pixel coordinates x, y; NaN where there is no sky.
    rows, columns : int array[N]
        Pixels.

    Returns
    -------
    solid_angle : array[N]
        Steradian.
    """
    first = np.arange(PARTS) / PARTS - 0.5
    x = columns[:, np.newaxis, np.newaxis] + np.broadcast_to(first, (PARTS, PARTS))
    y = rows[:, np.newaxis, np.newaxis] + np.broadcast_to(first[:, np.newaxis], (PARTS, PARTS))
    squares = np.stack([x, y], axis=-1).reshape(-1, 1, 2) + CORNERS / PARTS  # [squares, corners, xy]
    inside = np.isfinite(pix_to_lonlat(squares[..., 0], squares[..., 1])[0])
    some = inside.any(axis=1)
    area = np.zeros(len(squares))
    area[some] = _area(pix_to_lonlat, squares[some], inside[some])
    return area.reshape(len(rows), -1).sum(axis=1)


def _area(pix_to_lonlat, squares, inside):
    """Solid angle of the polygons on the sky, for squares of which at least one corner lies on it."""
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
    vertices = directions(*np.deg2rad(pix_to_lonlat(points[..., 0], points[..., 1])))
    triangles = spherical_triangle(vertices[:, :1], vertices[:, 1:-1], vertices[:, 2:])
    return np.abs(triangles.sum(axis=1))
