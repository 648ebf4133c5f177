"""Statistics of flux points, one by one: value, slope and second derivatives by the predicted flux, in double precision.

With f the predicted flux, a point counts, by its kind::

    CHI2      ((f - data) / error)^2                                       numbers: data, error
    SIDED     the same with errn where f < data, and errp where it is not   numbers: data, errn, errp
    LIMIT     2 ln [erfc(x) / erfc(1)],  x = (limit - f) / limit            numbers: limit
    PROFILE   c2 t^2 + c1 t + c0,  t = f / reference - begin                numbers: reference, low, high, (c2, c1, c0) of each piece

The first three are those of gammapy 2.1. The last is an interpolated profile of the fit statistic: a piece of a spline begins at each of
`Q_PIECES` norms, which points may share. Beyond the first and the last piece these go on; where the norm is not in low .. high the value is
infinite (no extrapolation) and its derivatives are those of the piece.

Where something is not known: SIDED and LIMIT count 0, with no slope, if their value is NaN; CHI2 and PROFILE stay NaN.

With erfcx(x) = exp(x^2) erfc(x) and h = 2 / (sqrt(pi) erfcx(x)) = -d ln erfc / dx, a limit has the slope ``2 h / limit`` and the second
derivative ``2 h (2 x - h) / limit^2``. From x = FAR on, where erfc soon underflows, h = 2 (x + r) with r from Laplace's continued fraction
``erfcx(x) = 1 / (sqrt(pi) (x + r)),  r = (1/2) / (x + 1 / (x + (3/2) / (x + ...)))``, so that 2 x - h = -2 r needs no difference of like
numbers (Abramowitz and Stegun 7.1.14).
"""

import math

from ._compiled import compiled
from .tables import POINT_CHI2, POINT_LIMIT, POINT_PROFILE, POINT_SIDED, Q_BEGINS, Q_FLUX, Q_KIND, Q_NUMBERS, Q_PIECES, Q_SLOPE, Q_VALUE

FAR = 3.0  # x from which the continued fraction is used
TERMS = 30  # of the fraction: exact to double precision from FAR on
LOG_ERFC_ONE = -1.8496055099332482  # ln erfc(1)
LOG_SQRT_PI = 0.5723649429247001  # ln sqrt(pi)
SLOPE = 1.1283791670955126  # 2 / sqrt(pi)


@compiled(inline="always")
def _gauss(flux, data, error):
    """Value, slope and second derivative of a point with errors."""
    pull = (flux - data) / error
    return pull * pull, 2.0 * pull / error, 2.0 / (error * error)


@compiled(inline="always")
def _limit(flux, limit):
    """The same of a limit."""
    x = (limit - flux) / limit
    if x < FAR:
        tail = math.erfc(x)
        log, h = math.log(tail), SLOPE * math.exp(-x * x) / tail
        rest = h - 2.0 * x
    else:
        r = 0.0
        for k in range(TERMS, 0, -1):
            r = 0.5 * k / (x + r)
        log, h, rest = -x * x - math.log(x + r) - LOG_SQRT_PI, 2.0 * (x + r), 2.0 * r
    curvature = -2.0 * h * rest / (limit * limit) if h > 0.0 else 0.0
    return 2.0 * (log - LOG_ERFC_ONE), 2.0 * h / limit, curvature


@compiled(inline="always")
def _profile(flux, numbers, first, begins, pieces):
    """The same of a profile."""
    reference = numbers[first]
    norm = flux / reference
    low, high = 0, pieces
    while high - low > 1:
        middle = (low + high) // 2
        if norm >= numbers[begins + middle]:
            low = middle
        else:
            high = middle
    t, c = norm - numbers[begins + low], first + 3 + 3 * low
    value = (numbers[c] * t + numbers[c + 1]) * t + numbers[c + 2]
    if norm < numbers[first + 1] or norm > numbers[first + 2]:
        value = math.inf
    return value, (2.0 * numbers[c] * t + numbers[c + 1]) / reference, 2.0 * numbers[c] / (reference * reference)


@compiled(inline="always")
def _point(points, i, numbers, flux):
    """Value, slope and second derivative of point i."""
    kind, first = points[i, Q_KIND], points[i, Q_NUMBERS]
    if kind == POINT_PROFILE:
        return _profile(flux, numbers, first, points[i, Q_BEGINS], points[i, Q_PIECES])
    if kind == POINT_LIMIT:
        value, slope, curvature = _limit(flux, numbers[first])
    else:
        error = numbers[first + 2] if kind == POINT_SIDED and flux >= numbers[first] else numbers[first + 1]
        value, slope, curvature = _gauss(flux, numbers[first], error)
    if kind != POINT_CHI2 and math.isnan(value):
        return 0.0, 0.0, 0.0
    return value, slope, curvature


@compiled(error_model="numpy")
def flux_points(points, numbers, params, parts):
    """Statistic and slope of every point.

    Parameters
    ----------
    points : int64[n, 7]
        See `tables`.
    numbers : float64[...]
        What was measured.
    params : float64[B, n_params]
        The predicted fluxes at their places.
    parts : float64[B, n_parts]
        Output: the statistic of each point, and its derivative by the flux, at their places.
    """
    for b in range(params.shape[0]):
        for i in range(points.shape[0]):
            value, slope, _ = _point(points, i, numbers, params[b, points[i, Q_FLUX]])
            parts[b, points[i, Q_VALUE]] = value
            parts[b, points[i, Q_SLOPE]] = slope


@compiled(error_model="numpy")
def flux_points_value(points, numbers, params, parts):
    """Statistic only; same arguments as `flux_points`."""
    for b in range(params.shape[0]):
        for i in range(points.shape[0]):
            parts[b, points[i, Q_VALUE]] = _point(points, i, numbers, params[b, points[i, Q_FLUX]])[0]


@compiled(error_model="numpy")
def flux_points_weights(points, numbers, params, expected, observed):
    """Second derivatives by the predicted flux.

    Parameters
    ----------
    points, numbers, params
        As for `flux_points`.
    expected : float64[B, n]
        Output, never negative: the second derivative where it is positive, else that of the parabola with this value and slope and its
        minimum at 0. The weight of steps and of the Fisher matrix.
    observed : float64[B, n]
        Output, the second derivative: the weight of the Hessian.
    """
    for b in range(params.shape[0]):
        for i in range(points.shape[0]):
            value, slope, curvature = _point(points, i, numbers, params[b, points[i, Q_FLUX]])
            parabola = slope * slope / (2.0 * value) if value > 0.0 else 0.0
            expected[b, i] = curvature if curvature > 0.0 else parabola
            observed[b, i] = curvature
