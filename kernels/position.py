"""Points on a map: directions of a point and of small steps around it, and the slopes of a map projection from these.

Host matters only: the projection between the two functions is astropy's.
"""

import math

from ._compiled import compiled


@compiled(inline="always")
def _centre(lon, lat):
    """Unit vectors: centre, east, north."""
    sl, cl, sb, cb = math.sin(lon), math.cos(lon), math.sin(lat), math.cos(lat)
    return cb * cl, cb * sl, sb, -sl, cl, -sb * cl, -sb * sl, cb


@compiled
def point_steps(lonlat, rotation, turn, arc, points):
    """Directions of points and of small steps west, east, south and north of them, in the frame of a map.

    Parameters
    ----------
    lonlat : array[B, 2]
        Degrees, in the frame of the model.
    rotation : array[3, 3]
        From the frame of the model to that of the map.
    turn : bool
        False if the two are the same; the points then keep all their digits.
    arc : float
        Tangent of the step.
    points : array[2, B, 5]
        Output, longitudes in [0, 360) and latitudes in degrees.
    """
    degree = math.pi / 180.0
    for b in range(lonlat.shape[0]):
        x0, y0, z0, ex, ey, nx, ny, nz = _centre(lonlat[b, 0] * degree, lonlat[b, 1] * degree)
        for k in range(5):
            if k == 0 and not turn:
                points[0, b, 0], points[1, b, 0] = lonlat[b, 0] % 360.0, lonlat[b, 1]
                continue
            east = arc * ((k == 2) - (k == 1))
            north = arc * ((k == 4) - (k == 3))
            x, y, z = x0 + east * ex + north * nx, y0 + east * ey + north * ny, z0 + north * nz
            if turn:
                x, y, z = (
                    rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z,
                    rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z,
                    rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z,
                )
            points[0, b, k] = (math.atan2(y, x) / degree) % 360.0
            points[1, b, k] = math.atan2(z, math.hypot(x, y)) / degree


@compiled
def point_slopes(x, y, lonlat, arc, scale, xy, dxy):
    """Pixel coordinates and their derivatives from the projections of the directions of `point_steps`.

    Where one of two opposite steps crosses the seam of an all-sky map, the other one counts alone.

    Parameters
    ----------
    x, y : array[B, 5]
    lonlat, arc
        As for `point_steps`.
    scale : array[2]
        Radian per unit of the model's longitude and latitude.
    xy : array[B, 2]
        Output.
    dxy : array[B, 2, 2]
        Output, ``dxy[b, i, j]`` is the derivative of coordinate i with respect to value j.
    """
    for b in range(lonlat.shape[0]):
        cos_lat = math.cos(lonlat[b, 1] * math.pi / 180.0)
        for i in range(2):
            pix = x if i == 0 else y
            xy[b, i] = pix[b, 0]
            for j in range(2):
                back, forth = pix[b, 0] - pix[b, 2 * j + 1], pix[b, 2 * j + 2] - pix[b, 0]
                slope = 0.5 * (back + forth)
                if abs(back) > 3.0 * abs(forth) + 1.0:
                    slope = forth
                elif abs(forth) > 3.0 * abs(back) + 1.0:
                    slope = back
                dxy[b, i, j] = slope / arc * scale[j] * (cos_lat if j == 0 else 1.0)
