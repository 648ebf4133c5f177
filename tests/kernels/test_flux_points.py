"""Statistics of flux points: both twins against plain formulas, SciPy's functions and differences, at every border."""

from decimal import Decimal, localcontext
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline
from scipy.special import erfc, erfcx, log_ndtr

from gpudl4.kernels.tables import POINT_CHI2 as CHI2
from gpudl4.kernels.tables import POINT_LIMIT as LIMIT
from gpudl4.kernels.tables import POINT_PROFILE as PROFILE
from gpudl4.kernels.tables import POINT_SIDED as SIDED

NAN, INF = np.nan, np.inf


class Points:
    """A table of points that grows, with its numbers; the flux of point i stands in column 2 i of params."""

    def __init__(self):
        self.rows, self.numbers, self.stat = [], [7.0], []  # the first number belongs to nobody

    def add(self, kind, numbers, stat=None, begins=0, pieces=0):
        n = len(self.rows)
        self.rows.append((kind, 2 * n, self.put(numbers), begins, pieces, 3 * n + 1, 3 * n + 2))
        self.stat.append(stat)
        return self

    def put(self, numbers):
        first = len(self.numbers)
        self.numbers.extend(numbers)
        return first

    @property
    def arrays(self):
        return np.array(self.rows, dtype=np.int64).reshape(-1, 7), np.array(self.numbers)


def params_of(flux):
    """Params with the fluxes in every other column."""
    out = np.full((flux.shape[0], 2 * flux.shape[1] + 1), np.nan)
    out[:, : 2 * flux.shape[1] : 2] = flux
    return out


def run(twins, points, flux):
    """Value, slope, expected and observed weight, float64[4, B, n]; places that belong to nobody stay as they are."""
    table, numbers = points.arrays
    flux = np.asarray(flux, dtype=float)
    params, n = params_of(flux), len(table)
    parts, alone = np.full((2, len(flux), 3 * n + 2), np.nan)
    expected, observed = np.full((2, len(flux), n), np.nan)
    twin = twins("flux_points")
    parts[:, ::3] = alone[:] = -77.0
    twin.flux_points(table, numbers, params, parts)
    twin.flux_points_value(table, numbers, params, alone)
    twin.flux_points_weights(table, numbers, params, expected, observed)
    np.testing.assert_array_equal(alone[:, 1::3][:, :n], parts[:, 1::3][:, :n])
    assert (parts[:, ::3] == -77).all()
    assert (alone[:, ::3] == -77).all()
    assert (alone[:, 2::3] == -77).all()
    return np.array([parts[:, 1::3][:, :n], parts[:, 2::3][:, :n], expected, observed])


def spline(norms, scan, degree, points, low=-INF, high=INF, reference=1.0, begins=None):
    """Add the spline through a scan; returns SciPy's, and where its pieces begin."""
    curve = make_interp_spline(norms, scan, k=degree)
    at = np.unique(curve.t)[:-1]
    terms = [curve(at, nu=order) / max(order, 1) if order <= degree else np.zeros(len(at)) for order in (2, 1, 0)]
    begins = points.put(at) if begins is None else begins
    points.add(PROFILE, [reference, low, high, *np.stack(terms, axis=1).ravel()], curve, begins, len(at))
    return curve, begins


def many(n=517, seed=2):
    """Points of all kinds in turn: two blocks of threads and a rest."""
    rng, points = np.random.default_rng(seed), Points()
    norms, begins = np.array([0.2, 0.5, 0.8, 1.0, 1.4, 2.0, 5.0]), {}
    for i in range(n):
        data, errn, errp = rng.uniform(0.5, 2), rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.4)
        if i % 5 == 0:
            points.add(CHI2, [data, errn], lambda f, d=data, e=errn: ((f - d) / e) ** 2)
        elif i % 5 == 1:
            points.add(SIDED, [data, errn, errp], lambda f, d=data, n=errn, p=errp: ((f - d) / np.where(f.real >= d, p, n)) ** 2)
        elif i % 5 == 2:
            points.add(LIMIT, [data], lambda f, u=data: 2 * np.log(erfc((u - f) / u) / erfc(1.0)))
        else:
            degree = 1 + i % 2
            scan = ((norms - data) / errn) ** 2 * (1 + 0.05 * norms)
            curve, begins[degree] = spline(norms, scan, degree, points, reference=errp, begins=begins.get(degree))
            points.stat[-1] = lambda f, c=curve, r=errp: c(f / r)
    return points, rng.uniform(-0.2, 3, (2, n))


def test_values_are_the_formulas(twins):
    points, flux = many()
    value = run(twins, points, flux)[0]
    want = np.array([[stat(f) for stat, f in zip(points.stat, row, strict=True)] for row in flux])
    np.testing.assert_allclose(value, want, rtol=1e-11, atol=1e-12)


def test_slopes_and_second_derivatives_are_differences(twins):
    points, flux = many()
    h = 1e-6
    _, slope, expected, observed = run(twins, points, flux)
    up, down = run(twins, points, flux + h), run(twins, points, flux - h)
    np.testing.assert_allclose(slope, (up[0] - down[0]) / (2 * h), rtol=1e-7, atol=2e-6)
    np.testing.assert_allclose(observed, (up[1] - down[1]) / (2 * h), rtol=1e-6, atol=1e-5)
    value = run(twins, points, flux)[0]
    with np.errstate(all="ignore"):
        want = np.where(observed > 0, observed, np.where(value > 0, slope**2 / (2 * value), 0))
    np.testing.assert_allclose(expected, want, rtol=1e-14)
    assert (observed < 0).any()
    assert (expected >= 0).all()


def test_slopes_are_those_of_a_complex_step(twins):
    """Analytic formulas take an imaginary step of 1e-30, without a difference."""
    points, flux = many()
    analytic = [i for i in range(len(points.rows)) if i % 5 < 3]
    slope = run(twins, points, flux)[1][:, analytic]
    want = [[points.stat[i](np.array(row[i] + 1e-30j)).imag / 1e-30 for i in analytic] for row in flux]
    np.testing.assert_allclose(slope, want, rtol=1e-13)


def test_the_same_bits_twice(twins):
    points, flux = many(40)
    np.testing.assert_array_equal(run(twins, points, flux), run(twins, points, flux))


def test_no_points(twins):
    assert run(twins, Points(), np.zeros((2, 0))).shape == (4, 2, 0)


def second_of_far_limit(x):
    """Second derivative of 2 ln erfc(x) by x, in fifty digits."""
    with localcontext(prec=50):
        x, r = Decimal(float(x)), Decimal(0)
        for k in range(2000, 0, -1):
            r = Decimal(k) / 2 / (x + r)
        return float(-8 * r * (x + r))


# ---- limits --------------------------------------------------------------------------------------------------------------------------
def test_a_limit_far_below_and_far_above(twins):
    """On both sides of where the continued fraction takes over, and where erfc is 0 or 2."""
    x = np.concatenate([[-INF, -1e200, -1e3, -27, -6, -1, 0, 0.5, 1], np.nextafter(3.0, [0, 4]), [2.9, 3.5, 5, 26, 28, 1e3, 1e6]])
    points, limit = Points(), 0.25
    for _ in x:
        points.add(LIMIT, [limit])
    flux = limit - limit * x
    x = (limit - flux) / limit  # as it is after rounding
    value, slope, expected, observed = run(twins, points, flux[np.newaxis])[:, 0]
    log_erfc = np.log(2) + log_ndtr(-np.sqrt(2) * x)
    np.testing.assert_allclose(value, 2 * (log_erfc - np.log(erfc(1))), rtol=1e-12, atol=1e-14)
    with np.errstate(over="ignore"):
        h = 2 / np.sqrt(np.pi) / erfcx(x)
    np.testing.assert_allclose(slope, 2 * h / limit, rtol=1e-12, atol=1e-300)
    near = (x > -20) & (x < 5)
    np.testing.assert_allclose(observed[near], 2 * h[near] * (2 * x[near] - h[near]) / limit**2, rtol=1e-10, atol=1e-300)
    far = x >= 3
    np.testing.assert_allclose(observed[far], [second_of_far_limit(one) / limit**2 for one in x[far]], rtol=1e-12)
    assert (observed <= 0).all()
    assert np.isfinite(expected).all()
    assert (expected >= 0).all()


def test_a_limit_is_where_its_pieces_meet(twins):
    points = Points().add(LIMIT, [1.0]).add(LIMIT, [1.0])
    found = run(twins, points, 1 - np.array([np.nextafter(3.0, [0, 4])]))[:, 0]
    np.testing.assert_allclose(found[:, 0], found[:, 1], rtol=1e-12)


# ---- points with errors --------------------------------------------------------------------------------------------------------------
def test_the_error_is_that_of_the_side(twins):
    points = Points()
    for _ in range(3):
        points.add(SIDED, [2.0, 0.5, 0.25])
    value, slope, expected, observed = run(twins, points, [[1.0, 2.0, 3.0]])[:, 0]
    assert value.tolist() == [4, 0, 16]
    assert slope.tolist() == [-8, 0, 32]
    assert observed.tolist() == expected.tolist() == [8, 32, 32]  # at the point itself the upper error counts


def test_what_is_not_known(twins):
    points = Points()
    points.add(CHI2, [NAN, 1.0]).add(CHI2, [1.0, NAN]).add(CHI2, [1.0, 0.0])
    points.add(SIDED, [NAN, 1.0, 1.0]).add(SIDED, [1.0, 1.0, NAN]).add(SIDED, [1.0, NAN, 1.0]).add(LIMIT, [NAN]).add(LIMIT, [0.0])
    spline([0.0, 1, 2], [4.0, 1, 0], 2, points)
    points.numbers[-3:] = [0.0, 0.0, NAN]  # a profile that is not finite
    value, slope, expected, observed = run(twins, points, [[2.0, 2, 2, 2, 2, 2, 2, 0, 2]])[:, 0]
    assert np.isnan(value[[0, 1]]).all()
    assert value[2] == INF
    np.testing.assert_array_equal(value[3:8], [0, 0, 1, 0, 0])
    np.testing.assert_array_equal(slope[[3, 4, 6, 7]], 0)
    np.testing.assert_array_equal(expected[[3, 4, 6, 7]], 0)
    np.testing.assert_array_equal(observed[[3, 4, 6, 7]], 0)
    assert slope[5] == observed[5] == 2
    assert np.isnan(value[8])
    assert slope[8] == expected[8] == observed[8] == 0


# ---- profiles ------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("n", [2, 3, 4, 7, 30])
def test_every_piece_of_a_profile(twins, degree, n):
    """At its ends, between them, and beyond."""
    if n <= degree:
        n = degree + 1
    norms = np.cumsum(np.random.default_rng(n).uniform(0.1, 1, n))
    scan, points = (norms - norms.mean()) ** 2 + 0.1 * np.sin(norms), Points()
    at = np.concatenate([norms, (norms[1:] + norms[:-1]) / 2, [norms[0] - 1, norms[-1] + 2, -3.0]])
    _, begins = spline(norms, scan, degree, points, reference=0.5)
    for _ in at[1:]:
        curve, _ = spline(norms, scan, degree, points, reference=0.5, begins=begins)
    value, slope, _, observed = run(twins, points, 0.5 * at[np.newaxis])[:, 0]
    np.testing.assert_allclose(value, curve(at), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(slope, curve(at, nu=1) / 0.5, rtol=1e-10, atol=1e-11)
    second = curve(at, nu=2) / 0.25 if degree == 2 else np.zeros(len(at))
    np.testing.assert_allclose(observed, second, rtol=1e-9, atol=1e-10)


def test_a_profile_that_ends(twins):
    norms, points = np.array([0.5, 1.0, 1.5]), Points()
    _, begins = spline(norms, (norms - 1) ** 2, 2, points, 0.5, 1.5, 2.0)
    for _ in range(4):
        spline(norms, (norms - 1) ** 2, 2, points, 0.5, 1.5, 2.0, begins)
    flux = 2.0 * np.array([[0.5, 1.5, 1.0, 0.4999, 1.5001]])
    value, slope, _, observed = run(twins, points, flux)[:, 0]
    np.testing.assert_allclose(value, [0.25, 0.25, 0, INF, INF], atol=1e-15)
    np.testing.assert_allclose(slope, (flux[0] / 2 - 1), atol=1e-14)  # that of the piece goes on
    np.testing.assert_allclose(observed, 0.5)


# ---- gammapy -------------------------------------------------------------------------------------------------------------------------
@pytest.mark.peer
def test_agrees_with_gammapy(twins):
    """The statistics of gammapy 2.1, of a stand-in for its dataset."""
    peer = pytest.importorskip("gammapy.stats")
    import astropy.units as u
    from gammapy.utils.interpolation import interpolate_profile

    rng = np.random.default_rng(4)
    data, errn, errp, limit = rng.uniform(0.5, 2, (4, 60)) * [[1], [0.3], [0.3], [1.5]]
    is_ul, model = rng.random(60) < 0.3, rng.uniform(0.1, 3, 60)
    data[:3] = NAN

    def field(values):
        return SimpleNamespace(data=values, unit=u.Unit(""), quantity=values * u.Unit(""))

    quantities = {"dnde": data, "dnde_errn": errn, "dnde_errp": errp, "dnde_err": errn, "dnde_ul": limit}
    fields = SimpleNamespace(is_ul=SimpleNamespace(data=is_ul), **{name: field(values) for name, values in quantities.items()})
    theirs = SimpleNamespace(data=fields, flux_pred=lambda: model * u.Unit(""))
    chi2, sided = Points(), Points()
    for i in range(60):
        chi2.add(CHI2, [data[i], errn[i]])
        if is_ul[i]:
            sided.add(LIMIT, [limit[i]])
        else:
            sided.add(SIDED, [data[i], errn[i], errp[i]])
    np.testing.assert_allclose(run(twins, chi2, [model])[0, 0], peer.Chi2FitStatistic.stat_array_dataset(theirs), rtol=1e-12)
    want = peer.Chi2AsymmetricErrorFitStatistic.stat_array_dataset(theirs)
    np.testing.assert_allclose(run(twins, sided, [model])[0, 0], want, rtol=1e-11, atol=1e-13)
    norms, profiles = np.geomspace(0.2, 5, 11), Points()
    scans = [((norms - rng.uniform(0.5, 2)) / 0.3) ** 2 for _ in range(60)]
    for scan in scans:
        spline(norms, scan, 2, profiles)
    curves = [interpolate_profile(norms, scan, interp_scale="sqrt", extrapolate=True) for scan in scans]
    want = [float(curve(norm)) for curve, norm in zip(curves, model, strict=True)]
    np.testing.assert_allclose(run(twins, profiles, [model])[0, 0], want, rtol=1e-9, atol=1e-11)
