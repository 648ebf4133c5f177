"""Geometry of the sphere on plain arrays: separations, circles, and the solid angle of pixels from their corners."""

import numpy as np

__all__ = ["circle", "directions", "pixel_solid_angle", "separation", "spherical_triangle"]

CONVENTION = 1e-4  # relative; where gammapy's areas are further off, they are not taken


def separation(lon1, lat1, lon2, lat2):
    """Great-circle distance by Vincenty's formula, all in radians; arrays broadcast."""
    delta = lon2 - lon1
    sin1, cos1, sin2, cos2 = np.sin(lat1), np.cos(lat1), np.sin(lat2), np.cos(lat2)
    across = np.hypot(cos2 * np.sin(delta), cos1 * sin2 - sin1 * cos2 * np.cos(delta))
    return np.arctan2(across, sin1 * sin2 + cos1 * cos2 * np.cos(delta))


def directions(lon, lat):
    """Unit vectors of positions in radians, array[..., 3]."""
    cos = np.cos(lat)
    return np.stack(np.broadcast_arrays(cos * np.cos(lon), cos * np.sin(lon), np.sin(lat)), axis=-1)


def circle(lon, lat, radius, number):
    """Positions on a circle around a position, all in degrees; two arrays[number]."""
    lon, lat, radius = np.deg2rad([lon, lat, radius])
    angle = np.linspace(0, 2 * np.pi, number, endpoint=False)
    centre, north = directions(lon, lat), directions(lon, lat + np.pi / 2)
    around = np.cos(angle)[:, np.newaxis] * north + np.sin(angle)[:, np.newaxis] * np.cross(north, centre)
    x, y, z = (np.cos(radius) * centre + np.sin(radius) * around).T
    return np.rad2deg(np.arctan2(y, x)), np.rad2deg(np.arctan2(z, np.hypot(x, y)))


def pixel_solid_angle(lon, lat):
    """Solid angle of pixels with great circles between their corners; where meridians and parallels are straight, between these.

    Where it is right to 1e-4, gammapy's convention is kept: two plane triangles whose sides are great-circle distances between corners.
    That holds for pixels up to about 1 deg that are not sheared. For plate carree pixels up to 70 deg from the equator it differs from
    the exact value by a relative 3e-8 if they are 0.02 deg wide, and by less than 1e-6 up to 0.1 deg.

    Parameters
    ----------
    lon, lat : `~numpy.ndarray`
        Corners in degrees, shape (ny + 1, nx + 1).

    Returns
    -------
    solid_angle : `~numpy.ndarray`
        Steradian, shape (ny, nx); NaN where a corner is.
    """
    lon, lat = np.deg2rad(lon), np.deg2rad(lat)
    number, straight = lon.shape[1] - 1, _columns_alike(lon, lat)
    if straight:
        lon, lat = lon[:, :2], lat[:, :2]
    area = _plane_triangles(lon, lat)
    if straight:
        width = np.abs((lon[:, 1] - lon[:, 0] + np.pi) % (2 * np.pi) - np.pi)[:-1]
        exact = (np.where(width == 0, 2 * np.pi, width) * np.abs(np.diff(np.sin(lat[:, 0]))))[:, np.newaxis]
        area = np.where(np.abs(area - exact) <= CONVENTION * exact, area, exact)
    else:
        corners = directions(lon, lat)
        a, b, c, d = corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]
        flat = 0.5 * np.linalg.norm(np.cross(c - a, d - b), axis=-1)  # of the quadrilateral through the sphere: a quick check
        other = ~(np.abs(area - flat) <= CONVENTION * flat) & np.isfinite(flat)
        a, b, c, d = (corner[other] for corner in (a, b, c, d))
        area[other] = np.abs(spherical_triangle(a, b, c) + spherical_triangle(a, c, d))
    return np.broadcast_to(area, (area.shape[0], number)).copy()


def spherical_triangle(a, b, c):
    """Signed solid angle of the triangle between unit vectors (Van Oosterom and Strackee 1983)."""

    def dot(p, q):
        return np.einsum("...i,...i->...", p, q)

    return 2 * np.arctan2(dot(a, np.cross(b, c)), 1 + dot(a, b) + dot(b, c) + dot(c, a))


def _plane_triangles(lon, lat):
    """Areas of pixels by gammapy's convention, from corners in radians."""
    sin, cos = np.sin(lat), np.cos(lat)
    right_n, right_e, _, _, right_s = _arcs(lon, sin, cos, (slice(None), slice(None, -1)), (slice(None), slice(1, None)))
    up_n, up_e, down_n, down_e, up_s = _arcs(lon, sin, cos, (slice(None, -1), slice(None)), (slice(1, None), slice(None)))
    # Each triangle is half the product of two sides and the sine of the angle between them. At the upper left corner these are the
    # sides to the right and down; for the lower right triangle, the side up and the lower side with its direction at its left end.
    upper_left = (right_e[1:] * down_n[:, :-1] - right_n[1:] * down_e[:, :-1]) * right_s[1:] * up_s[:, :-1]
    lower_right = (up_e[:, 1:] * right_n[:-1] - up_n[:, 1:] * right_e[:-1]) * up_s[:, 1:] * right_s[:-1]
    return 0.5 * np.abs(upper_left + lower_right)


def _arcs(lon, sin, cos, start, end):
    """Great-circle arcs between corners.

    Returns the vectors (north, east) towards the end at the start, and towards the start at the end, both of length sin(distance), and
    the factor distance / sin(distance).
    """
    delta = lon[end] - lon[start]
    sin_delta, cos_delta = np.sin(delta), np.cos(delta)
    s1, c1, s2, c2 = sin[start], cos[start], sin[end], cos[end]
    north, east = s2 * c1 - c2 * s1 * cos_delta, sin_delta * c2
    north_back, east_back = s1 * c2 - c1 * s2 * cos_delta, -sin_delta * c1
    length = np.hypot(north, east)
    distance = np.arctan2(length, s1 * s2 + c1 * c2 * cos_delta)
    return north, east, north_back, east_back, distance / np.where(length > 0, length, 1.0)


def _columns_alike(lon, lat):
    """Whether every column of corners is the first one shifted in longitude, as in an unrotated cylindrical projection."""
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return False
    if np.abs(lat - lat[:, :1]).max() > 1e-13 or np.abs(lon - lon[:1]).max() > 1e-13:
        return False
    steps = np.diff(lon[0])
    steps = (steps + np.pi) % (2 * np.pi) - np.pi
    return bool(np.abs(steps - steps[0]).max() < 1e-13)
