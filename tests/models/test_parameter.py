import copy

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import ModelError, UnitMismatchError
from gpudl4.models import GaussianPrior, Parameter, PriorParameter, UniformPrior


def test_value_as_text_quantity_or_number():
    assert Parameter("e", "2 TeV").quantity == 2 * u.TeV
    assert Parameter("e", 2 * u.GeV).unit == u.GeV
    parameter = Parameter("e", 3, unit="TeV")
    assert (parameter.value, parameter.unit) == (3.0, u.TeV)
    assert Parameter("a", "1e-12", unit="cm-2").quantity == 1e-12 / u.cm**2  # YAML reads 1e-12 as text


def test_wrong_arguments_are_named():
    with pytest.raises(ModelError, match="name of a parameter must be a string, got 3"):
        Parameter(3, 1)
    with pytest.raises(ModelError, match="value of parameter 'a' must be a number"):
        Parameter("a", "much")
    with pytest.raises(ModelError, match="value of parameter 'a' must be a number"):
        Parameter("a", object())
    with pytest.raises(ModelError, match=r"single number, got an array of shape \(2,\)"):
        Parameter("a", [1, 2] * u.TeV)
    with pytest.raises(ModelError, match="unknown interp of parameter 'a' 'cube': choose one of 'lin', 'log', 'sqrt'"):
        Parameter("a", 1, interp="cube")
    with pytest.raises(ModelError, match="unknown scale_method"):
        Parameter("a", 1, scale_method="scale2")
    with pytest.raises(ModelError, match="frozen of parameter 'a' must be True or False, got 1"):
        Parameter("a", 1, frozen=1)
    with pytest.raises(UnitMismatchError, match="min of parameter 'a' has unit 'deg', which does not convert to 'TeV'"):
        Parameter("a", "1 TeV", min="1 deg")
    with pytest.raises(ModelError, match="prior of parameter 'a' must be a Prior"):
        Parameter("a", 1, prior=3)


def test_quantity_keeps_bounds_in_step_with_the_unit():
    parameter = Parameter("lat_0", "10 deg", min=-90, max=90, error=0.1)
    parameter.quantity = 0.3 * u.rad
    assert parameter.value == 0.3
    assert parameter.max == pytest.approx(np.pi / 2)
    assert parameter.min == pytest.approx(-np.pi / 2)
    assert parameter.error == pytest.approx(np.deg2rad(0.1))
    with pytest.raises(UnitMismatchError, match="needs a unit that converts to 'rad', got 'TeV'"):
        parameter.quantity = "1 TeV"
    with pytest.raises(UnitMismatchError, match="got none: write a quantity"):
        parameter.quantity = 3


def test_bounds_accept_quantities_none_and_masked():
    parameter = Parameter("e", "1 TeV", min=100 * u.GeV, max=None)
    assert parameter.min == pytest.approx(0.1)
    assert np.isnan(parameter.max)
    parameter.max = np.ma.masked
    assert np.isnan(parameter.max)
    parameter.set_lim(max="5 TeV")
    assert (parameter.min, parameter.max) == (pytest.approx(0.1), 5)


def test_frozen_accepts_table_text():
    parameter = Parameter("a", 1)
    parameter.frozen = "True"
    assert parameter.frozen is True
    parameter.frozen = "False"
    assert parameter.frozen is False
    parameter.frozen = np.True_
    assert parameter.frozen is True


def test_scale_and_factor():
    parameter = Parameter("a", 3.4e-12, min=0, max=1e-10)
    parameter.autoscale()
    assert parameter.scale == pytest.approx(1e-12)
    assert parameter.factor == pytest.approx(3.4)
    assert parameter.factor_max == pytest.approx(100)
    parameter.factor = 2
    assert parameter.value == pytest.approx(2e-12)
    parameter.scale_method = "factor1"
    assert parameter.scale == 1
    parameter.autoscale()
    assert parameter.factor == pytest.approx(1)
    parameter.reset_autoscale()
    assert parameter.scale == 1


@pytest.mark.parametrize("value", [0, -5.0])
def test_autoscale_of_zero_and_negative(value):
    parameter = Parameter("a", value)
    parameter.autoscale()
    assert parameter.scale == 1
    assert parameter.factor == value


def test_log_transform_round_trip():
    parameter = Parameter("a", 2e-12, scale_transform="log")
    parameter.autoscale()
    factor = parameter.factor
    parameter.value = 5e-12
    parameter.factor = factor
    assert parameter.value == pytest.approx(2e-12, rel=1e-12)
    parameter.scale_transform = "sqrt"
    assert parameter.factor == pytest.approx(np.sqrt(2e-12))


def test_scans():
    parameter = Parameter("a", 10, error=1, scan_n_values=5)
    np.testing.assert_allclose(parameter.scan_values, [8, 9, 10, 11, 12])
    parameter.scan_min, parameter.scan_max, parameter.interp = 1, 16, "log"
    np.testing.assert_allclose(parameter.scan_values, [1, 2, 4, 8, 16])
    parameter.scan_values = [1, 2]
    np.testing.assert_array_equal(parameter.scan_values, [1, 2])
    assert (parameter.conf_min, parameter.conf_max) == (-1e6, 1e6)
    parameter.min = -3
    assert parameter.conf_min == -3


def test_priors_bound_and_add_to_the_statistic():
    parameter = Parameter("a", 1.5, min=0)
    assert parameter.prior_stat_sum() == 0
    parameter.prior = UniformPrior(min=1, max=2)
    assert (parameter.min, parameter.max) == (1, 2)
    parameter.prior = GaussianPrior(mu=1, sigma=0.5)
    assert parameter.min == 0
    assert parameter.prior_stat_sum() == pytest.approx(1 + np.log(2 * np.pi * 0.25))
    parameter.prior = {"type": "GaussianPrior", "parameters": [{"name": "mu", "value": 3}, {"name": "sigma", "value": 1}]}
    assert parameter.prior.mu.value == 3
    parameter.prior = None
    assert parameter.prior is None


def test_getters_do_not_record():
    parameter = Parameter("a", "3 TeV", min=1, error=0.2, prior=GaussianPrior())
    before = copy.deepcopy(vars(parameter))
    names = [n for n in dir(type(parameter)) if isinstance(getattr(type(parameter), n), property)]
    first = {n: repr(getattr(parameter, n)) for n in names}
    assert {n: repr(getattr(parameter, n)) for n in names} == first
    assert {k: repr(v) for k, v in vars(parameter).items()} == {k: repr(v) for k, v in before.items()}


def test_dict_and_copy():
    parameter = Parameter("index", 2, min=1, error=0.1, frozen=True)
    data = parameter.to_dict()
    assert data["frozen"] is True
    assert np.isnan(data["max"])
    other = Parameter(**data)
    assert other.to_dict().keys() == data.keys()
    twin = parameter.copy()
    twin.value = 3
    assert parameter.value == 2
    parameter.update_from_dict({"value": 5, "unit": "", "frozen": "False", "prior": ""})
    assert (parameter.value, parameter.frozen, parameter.prior) == (5, False, None)


def test_prior_parameter_is_never_free():
    parameter = PriorParameter("mu", 2)
    assert parameter.frozen
    assert parameter.type == "prior"
    assert set(parameter.to_dict()) == {"name", "value", "unit", "error", "min", "max"}


def test_a_scan_with_two_errors_beyond_zero_is_even():
    """The logarithm of a negative end made six of seven values NaN."""
    amplitude = Parameter("amplitude", 1e-12, error=0.8e-12, interp="log", scan_n_values=7)
    np.testing.assert_allclose(amplitude.scan_values, np.linspace(-0.6e-12, 2.6e-12, 7))
    amplitude.scan_min = 0
    assert np.all(np.isfinite(amplitude.scan_values))
    amplitude.scan_min = 0.5e-12
    np.testing.assert_allclose(np.diff(np.log(amplitude.scan_values)), np.log(2.6 / 0.5) / 6)
    root = Parameter("a", 1, error=2, interp="sqrt", scan_n_values=3)
    assert np.all(np.isfinite(root.scan_values))
