"""Gaussian on the sphere: integrals over pixels and their exact derivatives.

A pixel is a group of unit vectors (its subpixel centres, or its own centre) in the frame of the model and one weight (solid angle of the
pixel divided by the number of subpixels); its integral is the weight times the sum of the density over the group. The parameters are
longitude, latitude, sigma, eccentricity e and position angle phi, all angles in radian. Outside its window an image is 0.

With n0 the centre, D = 1 - cos(separation) = |n - n0|^2 / 2, u and v the components of n along east and north at n0, the density is

    N exp(-D / (2 a)),    a = 1 - cos(sigma_eff)
    e == 0:  sigma_eff = sigma,                                  N = 1 / (4 pi a (1 - exp(-1 / a)))
    e > 0:   sigma_eff = sigma sqrt((1 - e^2) / (1 - e^2 c^2)),   N = 1 / (2 pi sigma^2 sqrt(1 - e^2))

where c = (v cos(phi) + u sin(phi)) / sqrt(u^2 + v^2). These are the formulas of gammapy's GaussianSpatialModel, whose norm changes by a
relative sigma^2 / 12 where e leaves 0. Derivatives for e and phi at e == 0 are their limits from above, 0. A Gaussian without extent
(sigma < SMALLEST or e >= 1) misses all pixel centres: its image and derivatives are 0.
"""

import math
from collections import namedtuple

from ._compiled import compiled, prange
from ._sized import sized
from .tables import (
    G_COLUMN,
    G_HEIGHT,
    G_IMAGE,
    G_NX,
    G_PARAMETERS,
    G_ROW,
    G_SUBPIXELS,
    G_VECTORS,
    G_WEIGHTS,
    G_WIDTH,
    SLOPE_IMAGE,
    SLOPE_PARAMETER,
    SLOPE_SHAPE,
    W_CHUNKS,
    W_PART,
    W_PLANE,
    W_WHAT,
    W_Y,
    W_Y_END,
)

PI = math.pi
SMALLEST = 1e-20  # radian; keeps everything that is divided by sigma^4 finite
SAME_PLACE = 1e-40  # squared distance from the centre below which there is no direction
SERIES_BELOW = 0.3  # square of the angle below which seven terms of a series are exact to rounding
C2, C3, C4, C5, C6, C7 = (1.0 / math.factorial(2 * k) for k in range(2, 8))  # of the series of the cosine; no division per pixel
LOWEST_EXPONENT = -745.0  # exp() is 0 below

# What all pixels share. x0, y0, z0 is the centre, ex, ey (and 0) east, nx, ny, nz north; `circular` says that e == 0.
# Circular: half = 1 / (2 a), and d ln(density) / d sigma = by_sigma + by_sigma_d D. Elongated: q = 1 - e^2, minor2 = sigma^2 q.
Gaussian = namedtuple(
    "Gaussian",
    "exists circular norm x0 y0 z0 ex ey nx ny nz sin_lat cos_lat half by_sigma by_sigma_d"
    " e q inverse_q inverse_sigma minor2 sin_phi cos_phi",
)


@compiled(inline="always")
def _one_minus_cos(angle):
    half = math.sin(0.5 * angle)
    return 2.0 * half * half


@compiled
def _gaussian(lon, lat, sigma, e, phi):
    """Everything that does not depend on the pixel."""
    exists = sigma >= SMALLEST and e < 1.0
    circular = e == 0.0
    norm = half = by_sigma = by_sigma_d = inverse_q = inverse_sigma = minor2 = 0.0
    q = 1.0 - e * e
    if exists and circular:
        a = _one_minus_cos(sigma)
        lost = math.exp(-1.0 / a)
        norm = 1.0 / (4.0 * PI * a * (1.0 - lost))
        half = 0.5 / a
        by_sigma = math.sin(sigma) * (lost / (a * a * (1.0 - lost)) - 1.0 / a)  # d ln(norm) / d sigma
        by_sigma_d = math.sin(sigma) * half / a
    elif exists:
        inverse_q, inverse_sigma, minor2 = 1.0 / q, 1.0 / sigma, sigma * sigma * q
        norm = 1.0 / (2.0 * PI * sigma * math.sqrt(minor2))
    sin_lon, cos_lon, sin_lat, cos_lat = math.sin(lon), math.cos(lon), math.sin(lat), math.cos(lat)
    return Gaussian(
        exists,
        circular,
        norm,
        cos_lat * cos_lon,
        cos_lat * sin_lon,
        sin_lat,
        -sin_lon,
        cos_lon,
        -sin_lat * cos_lon,
        -sin_lat * sin_lon,
        cos_lat,
        sin_lat,
        cos_lat,
        half,
        by_sigma,
        by_sigma_d,
        e,
        q,
        inverse_q,
        inverse_sigma,
        minor2,
        math.sin(phi),
        math.cos(phi),
    )


@compiled(inline="always")
def _one_minus_cos_of_square(x):
    """1 - cos(sqrt(x)); a series without root and sine where it has all digits."""
    if x < SERIES_BELOW:
        s = C3 - x * (C4 - x * (C5 - x * (C6 - x * C7)))
        return x * (0.5 - x * (C2 - x * s))
    return _one_minus_cos(math.sqrt(x))


@compiled(inline="always")
def _angle_times_sine(x):
    """sqrt(x) sin(sqrt(x)); a series where it has all digits."""
    if x < SERIES_BELOW:
        s = 6.0 * C3 - x * (8.0 * C4 - x * (10.0 * C5 - x * (12.0 * C6 - x * (14.0 * C7))))
        return x * (1.0 - x * (4.0 * C2 - x * s))
    root = math.sqrt(x)
    return root * math.sin(root)


@compiled(inline="always")
def _from_centre(g, vectors, i):
    """D, u and v of a direction."""
    dx, dy, dz = vectors[i] - g.x0, vectors[i + 1] - g.y0, vectors[i + 2] - g.z0
    return 0.5 * (dx * dx + dy * dy + dz * dz), dx * g.ex + dy * g.ey, dx * g.nx + dy * g.ny + dz * g.nz


@compiled(inline="always")
def _ellipse(g, u, v):
    """For a direction: its parts w along and t across the major axis, rho^2 = w^2 + t^2, 1 / (rho^2 - e^2 w^2), and sigma_eff^2."""
    w, t = g.cos_phi * v + g.sin_phi * u, g.cos_phi * u - g.sin_phi * v
    rho2 = w * w + t * t
    below = t * t + g.q * w * w
    if rho2 < SAME_PLACE:  # the centre, where D = 0 and the direction does not matter
        rho2 = below = 1.0
    inverse = 1.0 / below
    return w, t, rho2, inverse, g.minor2 * rho2 * inverse


@compiled(inline="always")
def _density(g, vectors, first, n_sub):
    """Sum over the subpixels of a pixel of the density without its norm."""
    total = 0.0
    if g.circular:
        for i in range(n_sub):
            d, _, _ = _from_centre(g, vectors, first + 3 * i)
            exponent = -d * g.half
            if exponent > LOWEST_EXPONENT:
                total += math.exp(exponent)
    else:
        for i in range(n_sub):
            d, u, v = _from_centre(g, vectors, first + 3 * i)
            exponent = -0.5 * d / _one_minus_cos_of_square(_ellipse(g, u, v)[4])
            if exponent > LOWEST_EXPONENT:
                total += math.exp(exponent)
    return total


@compiled(inline="always")
def _slopes(g, vectors, first, n_sub):
    """Sums over the subpixels of a pixel of the derivatives of the density by longitude, latitude, sigma, e and phi, without the norm."""
    by_lon = by_lat = by_sigma = by_e = by_phi = 0.0
    if g.circular:
        for i in range(n_sub):
            d, u, v = _from_centre(g, vectors, first + 3 * i)
            exponent = -d * g.half
            if exponent > LOWEST_EXPONENT:
                f = math.exp(exponent)
                by_lon += f * (g.half * g.cos_lat * u)
                by_lat += f * (g.half * v)
                by_sigma += f * (g.by_sigma + g.by_sigma_d * d)
    else:
        for i in range(n_sub):
            d, u, v = _from_centre(g, vectors, first + 3 * i)
            w, t, rho2, inverse, sigma2 = _ellipse(g, u, v)
            half = 0.5 / _one_minus_cos_of_square(sigma2)
            exponent = -d * half
            if exponent > LOWEST_EXPONENT:
                f = math.exp(exponent)
                stretch = 2.0 * d * half * half * _angle_times_sine(sigma2)  # d(exponent) / d ln(sigma_eff)
                along = w * inverse
                # d(exponent) / d(position angle of the direction), minus that for phi, is -turn
                turn = stretch * g.e * g.e * along * t
                tangent = (1.0 - d) / rho2
                by_lon += f * (half * g.cos_lat * u - turn * (g.sin_lat - g.cos_lat * tangent * v))
                by_lat += f * (half * v - turn * tangent * u)
                by_sigma += f * (stretch - 2.0) * g.inverse_sigma
                by_e += f * g.e * (stretch * (along * w - g.inverse_q) + g.inverse_q)
                by_phi += f * turn
    return by_lon, by_lat, by_sigma, by_e, by_phi


@sized(lambda shapes, items, vectors, *_: vectors.size * 8)
def gauss_image(shapes, items, vectors, weight, params, image):
    """Integrals over pixels.

    Parameters
    ----------
    shapes : int64[n, 11]
        Table of Gaussians.
    items : int64[n, 6]
        Rows of their boxes.
    vectors : float64[...]
        Unit vectors of subpixels, [pixels, subpixels, 3] for each window.
    weight : float64[...]
        Per pixel of each window.
    params : float64[B, n_params]
    image : real[B, ...]
        Output.
    """
    n_items = items.shape[0]
    for j in prange(image.shape[0] * n_items):
        b, item = j // n_items, items[j % n_items]
        shape = shapes[item[W_WHAT]]
        n_sub, width = shape[G_SUBPIXELS], shape[G_WIDTH]
        lon, lat, sigma, e, phi = params[b, shape[G_PARAMETERS] : shape[G_PARAMETERS] + 5]
        g = _gaussian(lon, lat, sigma, e, phi)
        for y in range(item[W_Y], item[W_Y_END]):
            begin = shape[G_IMAGE] + y * shape[G_NX]
            out = image[b, begin : begin + shape[G_NX]]
            out[:] = 0.0
            i = y - shape[G_ROW]
            if g.exists and 0 <= i < shape[G_HEIGHT]:
                for x in range(width):
                    p = i * width + x
                    total = _density(g, vectors, shape[G_VECTORS] + 3 * n_sub * p, n_sub)
                    out[shape[G_COLUMN] + x] = g.norm * weight[shape[G_WEIGHTS] + p] * total


@sized(lambda shapes, slopes, items, vectors, *_: vectors.size * 8)
def gauss_gradient(shapes, slopes, items, vectors, weight, params, image):
    """Derivative images, by parameters in their own units.

    Parameters
    ----------
    shapes, vectors, weight, params
        As for `gauss_image`.
    slopes : int64[n, 3]
        Wanted derivatives: Gaussian, parameter, offset in image.
    items : int64[n, 6]
        Rows of the box of a Gaussian: for a row of `slopes` and W_PLANE more rows behind it, all of the same Gaussian, so that what they
        share is computed once.
    image : real[B, ...]
        Output.
    """
    n_items = items.shape[0]
    for j in prange(image.shape[0] * n_items):
        b, item = j // n_items, items[j % n_items]
        wanted = slopes[item[W_WHAT] : item[W_WHAT] + item[W_PLANE] + 1]
        shape = shapes[wanted[0, SLOPE_SHAPE]]
        n_sub, width = shape[G_SUBPIXELS], shape[G_WIDTH]
        parameters = params[b, shape[G_PARAMETERS] : shape[G_PARAMETERS] + 10]
        g = _gaussian(parameters[0], parameters[1], parameters[2], parameters[3], parameters[4])
        for y in range(item[W_Y], item[W_Y_END]):
            for s in range(wanted.shape[0]):
                begin = wanted[s, SLOPE_IMAGE] + y * shape[G_NX]
                image[b, begin : begin + shape[G_NX]] = 0.0
            i = y - shape[G_ROW]
            if not g.exists or i < 0 or i >= shape[G_HEIGHT]:
                continue
            for x in range(width):
                p = i * width + x
                by = _slopes(g, vectors, shape[G_VECTORS] + 3 * n_sub * p, n_sub)
                scale = g.norm * weight[shape[G_WEIGHTS] + p]
                for s in range(wanted.shape[0]):
                    k = wanted[s, SLOPE_PARAMETER]
                    image[b, wanted[s, SLOPE_IMAGE] + y * shape[G_NX] + shape[G_COLUMN] + x] = scale * parameters[5 + k] * by[k]


@sized(lambda shapes, items, vectors, *_: vectors.size * 8)
def gauss_pullback(shapes, items, vectors, weight, params, adjoint, parts):
    """Sums over pixels of a slope times the derivatives of the integrals by angles in radian.

    Parameters
    ----------
    shapes, vectors, weight, params
        As for `gauss_image`.
    items : int64[n, 6]
        Rows of the windows; the sum for parameter i goes to ``part + i chunks``.
    adjoint : real[B, ...]
        The slope, in the layout of the images.
    parts : float64[B, n_parts]
        Output.
    """
    n_items = items.shape[0]
    for j in prange(adjoint.shape[0] * n_items):
        b, item = j // n_items, items[j % n_items]
        shape = shapes[item[W_WHAT]]
        n_sub, width = shape[G_SUBPIXELS], shape[G_WIDTH]
        lon, lat, sigma, e, phi = params[b, shape[G_PARAMETERS] : shape[G_PARAMETERS] + 5]
        g = _gaussian(lon, lat, sigma, e, phi)
        t0 = t1 = t2 = t3 = t4 = 0.0
        for i in range(item[W_Y], item[W_Y_END] if g.exists else item[W_Y]):
            begin = shape[G_IMAGE] + (shape[G_ROW] + i) * shape[G_NX] + shape[G_COLUMN]
            for x in range(width):
                p = i * width + x
                scale = adjoint[b, begin + x] * weight[shape[G_WEIGHTS] + p]
                if scale != 0.0:
                    by = _slopes(g, vectors, shape[G_VECTORS] + 3 * n_sub * p, n_sub)
                    t0 += scale * by[0]
                    t1 += scale * by[1]
                    t2 += scale * by[2]
                    t3 += scale * by[3]
                    t4 += scale * by[4]
        out, step = item[W_PART], item[W_CHUNKS]
        parts[b, out] = g.norm * t0
        parts[b, out + step] = g.norm * t1
        parts[b, out + 2 * step] = g.norm * t2
        parts[b, out + 3 * step] = g.norm * t3
        parts[b, out + 4 * step] = g.norm * t4
