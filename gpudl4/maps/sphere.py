"""Geometry of the sphere on plain arrays: separations, position angles and the solid angle of pixels from their corners."""

import numpy as np

__all__ = ["pixel_solid_angle", "position_angle", "separation"]


def separation(lon1, lat1, lon2, lat2):
    """Great-circle distance by Vincenty's formula, all in radians; arrays broadcast."""
    delta = lon2 - lon1
    sin1, cos1, sin2, cos2 = np.sin(lat1), np.cos(lat1), np.sin(lat2), np.cos(lat2)
    across = np.hypot(cos2 * np.sin(delta), cos1 * sin2 - sin1 * cos2 * np.cos(delta))
    return np.arctan2(across, sin1 * sin2 + cos1 * cos2 * np.cos(delta))


def position_angle(lon1, lat1, lon2, lat2):
    """Angle of the direction to the second point, east of north, all in radians; arrays broadcast."""
    delta = lon2 - lon1
    x = np.sin(lat2) * np.cos(lat1) - np.cos(lat2) * np.sin(lat1) * np.cos(delta)
    return np.arctan2(np.sin(delta) * np.cos(lat2), x)


def pixel_solid_angle(lon, lat):
    """Solid angle of pixels, each taken as two plane triangles whose sides are great-circle distances between its corners.

    This is the convention of gammapy's maps, kept for parity; it differs from the exact value by a relative 1e-7 for pixels of
    0.02 deg and by 1e-3 for pixels of a degree.

    Parameters
    ----------
    lon, lat : `~numpy.ndarray`
        Corners in degrees, shape (ny + 1, nx + 1).

    Returns
    -------
    solid_angle : `~numpy.ndarray`
        Steradian, shape (ny, nx).
    """
    lon, lat = np.deg2rad(lon), np.deg2rad(lat)
    number = lon.shape[1] - 1
    if _columns_alike(lon, lat):
        lon, lat = lon[:, :2], lat[:, :2]
    a, b, c, d = (
        (lon[rows, columns], lat[rows, columns])
        for columns in (slice(None, -1), slice(1, None))
        for rows in (slice(None, -1), slice(1, None))
    )
    angle_b = position_angle(*b, *d) - position_angle(*b, *a)
    angle_c = position_angle(*c, *d) - position_angle(*a, *c)
    area = separation(*a, *b) * separation(*b, *d) * np.sin(angle_b) + separation(*c, *d) * separation(*a, *c) * np.sin(angle_c)
    return np.broadcast_to(np.abs(0.5 * area), (area.shape[0], number)).copy()


def _columns_alike(lon, lat):
    """Whether every column of corners is the first one shifted in longitude, as in an unrotated cylindrical projection."""
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return False
    if np.abs(lat - lat[:, :1]).max() > 1e-13 or np.abs(lon - lon[:1]).max() > 1e-13:
        return False
    steps = np.diff(lon[0])
    steps = (steps + np.pi) % (2 * np.pi) - np.pi
    return bool(np.abs(steps - steps[0]).max() < 1e-13)
