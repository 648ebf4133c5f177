import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import ModelError, UnitMismatchError
from gpudl4.models import make_name
from gpudl4.models.differences import central_differences
from gpudl4.models.units import as_tev, dimensionless, engine_factor, engine_unit


@pytest.mark.parametrize(
    ("unit", "engine", "factor"),
    [
        ("GeV", "TeV", 1e-3),
        ("MeV-1", "TeV-1", 1e6),
        ("m-2 s-1 MeV-1", "cm-2 s-1 TeV-1", 1e2),
        ("cm-2 s-1 erg-1", "cm-2 s-1 TeV-1", 1.602176634),
        ("deg", "rad", np.pi / 180),
        ("percent", "", 0.01),
        ("kg", "kg", 1),
    ],
)
def test_engine_units(unit, engine, factor):
    assert engine_unit(unit) == u.Unit(engine)
    assert engine_factor(unit) == pytest.approx(factor, rel=1e-12)


def test_energies():
    np.testing.assert_allclose(as_tev([100, 200] * u.GeV), [0.1, 0.2])
    np.testing.assert_array_equal(as_tev([1, 2]), [1, 2])
    assert as_tev("3 TeV") == 3
    with pytest.raises(UnitMismatchError, match="energy has unit 'deg', which does not convert to 'TeV'"):
        as_tev(3 * u.deg)


def test_dimensionless():
    assert dimensionless(1 * u.TeV / u.GeV) == pytest.approx(1000)
    assert dimensionless(3) == 3
    with pytest.raises(UnitMismatchError, match="a number without unit was wanted, got 'TeV'"):
        dimensionless(3 * u.TeV)


def test_names():
    names = {make_name() for _ in range(200)}
    assert len(names) == 200
    assert all(len(name) == 8 and name[0] not in "_-" for name in names)
    assert make_name("x") == "x"
    with pytest.raises(ModelError, match="a name must be a string, got 3 of type int"):
        make_name(3)


def test_differences_at_bounds():
    def function(x):
        assert 0 <= x[0] <= 2
        return np.array([np.exp(x[0]), x[0] * x[1]])

    bounds = np.array([[0, 2], [np.nan, np.nan]])
    for start in (0.0, 1.0, 2.0):
        point = np.array([start, 3.0])
        got = central_differences(function, point, bounds, function(point))
        np.testing.assert_allclose(got, [[np.exp(start), 3], [0, start]], rtol=1e-8, atol=1e-8)
