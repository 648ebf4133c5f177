"""Gaussian on the sphere: integrals over pixels and their exact derivatives.

A pixel is a group of unit vectors (its subpixel centres, or its own centre) in the frame of the model and one weight (solid angle of the
pixel divided by the number of subpixels); its integral is the weight times the sum of the density over the group. ``parameters[b]`` is
longitude, latitude, sigma, eccentricity e and position angle phi, all angles in radian.

With n0 the centre, D = 1 - cos(separation) = |n - n0|^2 / 2, u and v the components of n along east and north at n0, the density is

    N exp(-D / (2 a)),    a = 1 - cos(sigma_eff)
    e == 0:  sigma_eff = sigma,                                  N = 1 / (4 pi a (1 - exp(-1 / a)))
    e > 0:   sigma_eff = sigma sqrt((1 - e^2) / (1 - e^2 c^2)),   N = 1 / (2 pi sigma^2 sqrt(1 - e^2))

where c = (v cos(phi) + u sin(phi)) / sqrt(u^2 + v^2). These are the formulas of gammapy's GaussianSpatialModel, whose norm changes by a
relative sigma^2 / 12 where e leaves 0. Derivatives for e and phi at e == 0 are their limits from above, 0. A Gaussian without extent
(sigma <= 0 or e >= 1) misses all pixel centres: its image and derivatives are 0.
"""

import math

import numba as nb

LOWEST_EXPONENT = -745.0  # exp() is 0 below
SERIES_BELOW = 0.3  # square of the angle below which seven terms of a series are exact to rounding
C2, C3, C4, C5, C6, C7 = (1.0 / math.factorial(2 * k) for k in range(2, 8))  # of the series of the cosine; no division per pixel
N_PARAMETERS = 5


@nb.njit(cache=True, nogil=True, inline="always")
def _centre(lon, lat):
    """Unit vectors: centre, east, north."""
    sl, cl, sb, cb = math.sin(lon), math.cos(lon), math.sin(lat), math.cos(lat)
    return cb * cl, cb * sl, sb, -sl, cl, -sb * cl, -sb * sl, cb


@nb.njit(cache=True, nogil=True, inline="always")
def _one_minus_cos(angle):
    half = math.sin(0.5 * angle)
    return 2.0 * half * half


@nb.njit(cache=True, nogil=True, inline="always")
def _norm(sigma):
    """Norm of the circular density, and d ln(norm) / da."""
    a = _one_minus_cos(sigma)
    lost = math.exp(-1.0 / a)
    return 1.0 / (4.0 * math.pi * a * (1.0 - lost)), -1.0 / a + lost / (a * a * (1.0 - lost))


@nb.njit(cache=True, nogil=True, inline="always")
def _one_minus_cos_of_square(x):
    """1 - cos(sqrt(x)); a series without root and sine where it has all digits."""
    if x < SERIES_BELOW:
        s = C3 - x * (C4 - x * (C5 - x * (C6 - x * C7)))
        return x * (0.5 - x * (C2 - x * s))
    return _one_minus_cos(math.sqrt(x))


@nb.njit(cache=True, nogil=True, inline="always")
def _angle_times_sine(x):
    """sqrt(x) sin(sqrt(x)); a series where it has all digits."""
    if x < SERIES_BELOW:
        s = 6 * C3 - x * (8 * C4 - x * (10 * C5 - x * (12 * C6 - x * (14 * C7))))
        return x * (1.0 - x * (4 * C2 - x * s))
    root = math.sqrt(x)
    return root * math.sin(root)


@nb.njit(cache=True, nogil=True, inline="always")
def _elongated(x, y, z, centre, minor2, e2, sin_phi, cos_phi):
    """What an elongated Gaussian needs at one direction.

    Returns D, u, v, the components w and t along and across the major axis, rho^2 = u^2 + v^2, 1 / (rho^2 - e^2 w^2), and sigma_eff^2,
    which is ``minor2 * rho^2 / (rho^2 - e^2 w^2)`` with minor2 = sigma^2 (1 - e^2).
    """
    x0, y0, z0, ex, ey, nx, ny, nz = centre
    dx, dy, dz = x - x0, y - y0, z - z0
    d = 0.5 * (dx * dx + dy * dy + dz * dz)
    u = dx * ex + dy * ey
    v = dx * nx + dy * ny + dz * nz
    w, t = cos_phi * v + sin_phi * u, cos_phi * u - sin_phi * v
    rho2 = u * u + v * v
    if rho2 < 1e-40:  # the centre, where D = 0 and the direction does not matter
        rho2 = 1.0
    below = rho2 - e2 * w * w
    inverse = 1.0 / below
    return d, u, v, w, t, rho2, inverse, minor2 * rho2 * inverse


@nb.njit(cache=True, nogil=True, error_model="numpy")
def gauss_image(vectors, weight, parameters, image):
    """Integrals over pixels.

    Parameters
    ----------
    vectors : array[Q, S, 3]
        Unit vectors of the S subpixels of Q pixels.
    weight : array[Q]
    parameters : array[B, 5]
    image : array[B, Q]
        Output.
    """
    n_sub = vectors.shape[1]
    for b in range(parameters.shape[0]):
        lon, lat, sigma, e, phi = parameters[b]
        if not (sigma > 0.0 and e < 1.0):
            for p in range(vectors.shape[0]):
                image[b, p] = 0.0
            continue
        centre = _centre(lon, lat)
        if e == 0.0:
            x0, y0, z0 = centre[0], centre[1], centre[2]
            norm = _norm(sigma)[0]
            factor = -0.25 / _one_minus_cos(sigma)
            for p in range(vectors.shape[0]):
                total = 0.0
                for i in range(n_sub):
                    dx, dy, dz = vectors[p, i, 0] - x0, vectors[p, i, 1] - y0, vectors[p, i, 2] - z0
                    exponent = factor * (dx * dx + dy * dy + dz * dz)
                    if exponent > LOWEST_EXPONENT:
                        total += math.exp(exponent)
                image[b, p] = norm * weight[p] * total
        else:
            e2 = e * e
            minor2 = sigma * sigma * (1.0 - e2)
            sin_phi, cos_phi = math.sin(phi), math.cos(phi)
            norm = 1.0 / (2.0 * math.pi * sigma * math.sqrt(minor2))
            for p in range(vectors.shape[0]):
                total = 0.0
                for i in range(n_sub):
                    g = _elongated(vectors[p, i, 0], vectors[p, i, 1], vectors[p, i, 2], centre, minor2, e2, sin_phi, cos_phi)
                    exponent = -0.5 * g[0] / _one_minus_cos_of_square(g[7])
                    if exponent > LOWEST_EXPONENT:
                        total += math.exp(exponent)
                image[b, p] = norm * weight[p] * total


@nb.njit(cache=True, nogil=True, inline="always")
def _circular_sums(vectors, p, centre, factor):
    """Sums over the subpixels of a pixel of f, f u, f v, f D, where f is the density without its norm."""
    x0, y0, z0, ex, ey, nx, ny, nz = centre
    s0 = s1 = s2 = s3 = 0.0
    for i in range(vectors.shape[1]):
        dx, dy, dz = vectors[p, i, 0] - x0, vectors[p, i, 1] - y0, vectors[p, i, 2] - z0
        d = dx * dx + dy * dy + dz * dz
        exponent = factor * d
        if exponent > LOWEST_EXPONENT:
            f = math.exp(exponent)
            s0 += f
            s1 += f * (dx * ex + dy * ey)
            s2 += f * (dx * nx + dy * ny + dz * nz)
            s3 += f * (0.5 * d)
    return s0, s1, s2, s3


@nb.njit(cache=True, nogil=True, inline="always")
def _elongated_sums(vectors, p, centre, sigma, e, sin_phi, cos_phi, sin_lat, cos_lat):
    """Sums over the subpixels of a pixel of the derivatives, without the norm."""
    e2 = e * e
    q = 1.0 - e2
    minor2, inverse_sigma, inverse_q = sigma * sigma * q, 1.0 / sigma, 1.0 / q
    g0 = g1 = g2 = g3 = g4 = 0.0
    for i in range(vectors.shape[1]):
        d, u, v, w, t, rho2, inverse, sigma2 = _elongated(
            vectors[p, i, 0], vectors[p, i, 1], vectors[p, i, 2], centre, minor2, e2, sin_phi, cos_phi
        )
        a = _one_minus_cos_of_square(sigma2)
        half = 0.5 / a
        exponent = -d * half
        if exponent < LOWEST_EXPONENT:
            continue
        f = math.exp(exponent)
        stretch = 2.0 * d * half * half * _angle_times_sine(sigma2)  # d(exponent) / d ln(sigma_eff)
        along = w * inverse
        # d(exponent) / d(position angle of the direction), minus that for phi, is -turn
        turn = stretch * e2 * along * t
        tangent = (1.0 - d) / rho2
        g0 += f * (half * cos_lat * u - turn * (sin_lat - cos_lat * tangent * v))
        g1 += f * (half * v - turn * tangent * u)
        g2 += f * (stretch - 2.0) * inverse_sigma
        g3 += f * e * (stretch * (along * w - inverse_q) + inverse_q)
        g4 += f * turn
    return g0, g1, g2, g3, g4


@nb.njit(cache=True, nogil=True, error_model="numpy")
def gauss_gradient(vectors, weight, parameters, gradient):
    """Derivatives of the integrals.

    Parameters
    ----------
    vectors, weight, parameters
        As for `gauss_image`.
    gradient : array[B, 5, Q]
        Output, for longitude, latitude, sigma, e, phi in radian.
    """
    for b in range(parameters.shape[0]):
        lon, lat, sigma, e, phi = parameters[b]
        if not (sigma > 0.0 and e < 1.0):
            for k in range(N_PARAMETERS):
                for p in range(vectors.shape[0]):
                    gradient[b, k, p] = 0.0
            continue
        centre = _centre(lon, lat)
        sin_lat, cos_lat = math.sin(lat), math.cos(lat)
        if e == 0.0:
            a = _one_minus_cos(sigma)
            norm, slope_norm = _norm(sigma)
            slope_a = math.sin(sigma)
            for p in range(vectors.shape[0]):
                s0, s1, s2, s3 = _circular_sums(vectors, p, centre, -0.25 / a)
                scale = norm * weight[p]
                gradient[b, 0, p] = scale * 0.5 / a * cos_lat * s1
                gradient[b, 1, p] = scale * 0.5 / a * s2
                gradient[b, 2, p] = scale * slope_a * (slope_norm * s0 + 0.5 / (a * a) * s3)
                gradient[b, 3, p] = 0.0
                gradient[b, 4, p] = 0.0
        else:
            sin_phi, cos_phi = math.sin(phi), math.cos(phi)
            norm = 1.0 / (2.0 * math.pi * sigma * sigma * math.sqrt(1.0 - e * e))
            for p in range(vectors.shape[0]):
                g = _elongated_sums(vectors, p, centre, sigma, e, sin_phi, cos_phi, sin_lat, cos_lat)
                scale = norm * weight[p]
                for k in range(N_PARAMETERS):
                    gradient[b, k, p] = scale * g[k]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def gauss_pullback(vectors, weight, parameters, slope, result):
    """Sums over pixels of a slope times the derivatives of the integrals.

    Parameters
    ----------
    vectors, weight, parameters
        As for `gauss_image`.
    slope : array[B, Q]
    result : array[B, 5]
        Output, for longitude, latitude, sigma, e, phi in radian.
    """
    for b in range(parameters.shape[0]):
        lon, lat, sigma, e, phi = parameters[b]
        for k in range(N_PARAMETERS):
            result[b, k] = 0.0
        if not (sigma > 0.0 and e < 1.0):
            continue
        centre = _centre(lon, lat)
        sin_lat, cos_lat = math.sin(lat), math.cos(lat)
        if e == 0.0:
            a = _one_minus_cos(sigma)
            norm, slope_norm = _norm(sigma)
            t0 = t1 = t2 = t3 = 0.0
            for p in range(vectors.shape[0]):
                scale = slope[b, p] * weight[p]
                if scale == 0.0:
                    continue
                s0, s1, s2, s3 = _circular_sums(vectors, p, centre, -0.25 / a)
                t0 += scale * s0
                t1 += scale * s1
                t2 += scale * s2
                t3 += scale * s3
            result[b, 0] = norm * 0.5 / a * cos_lat * t1
            result[b, 1] = norm * 0.5 / a * t2
            result[b, 2] = norm * math.sin(sigma) * (slope_norm * t0 + 0.5 / (a * a) * t3)
        else:
            sin_phi, cos_phi = math.sin(phi), math.cos(phi)
            norm = 1.0 / (2.0 * math.pi * sigma * sigma * math.sqrt(1.0 - e * e))
            for p in range(vectors.shape[0]):
                scale = slope[b, p] * weight[p]
                if scale == 0.0:
                    continue
                g0, g1, g2, g3, g4 = _elongated_sums(vectors, p, centre, sigma, e, sin_phi, cos_phi, sin_lat, cos_lat)
                result[b, 0] += norm * scale * g0
                result[b, 1] += norm * scale * g1
                result[b, 2] += norm * scale * g2
                result[b, 3] += norm * scale * g3
                result[b, 4] += norm * scale * g4


@nb.njit(cache=True, nogil=True)
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


@nb.njit(cache=True, nogil=True)
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
