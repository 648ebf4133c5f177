"""One parameter of a model: a value with unit, bounds, error and prior. Declare it as a class attribute of a model.

The scale that an optimiser sees is in `parameter_scale`, where scans go in `parameter_scan`.

Example
-------
>>> from gpudl4.models import Parameter
>>> index = Parameter("index", 2.3, min=1, max=4)
>>> index.value
2.3
"""

import copy

import astropy.units as u
import numpy as np

from ..core.errors import ModelError, UnitMismatchError
from ..core.sealed import Sealed
from .parameter_scale import SCALE_METHODS, ParameterScale
from .parameter_scan import ParameterScan
from .transforms import TRANSFORMS, checked
from .units import parse_number, parse_quantity, plain_number

__all__ = ["SCALED_BY_FLUX", "Parameter"]

SCALED_BY_FLUX = (u.Unit("cm-2 s-1 TeV-1"), u.Unit("cm-2 s-1"))


class Parameter(ParameterScale, ParameterScan, Sealed):
    """A model parameter.

    `value` is in the parameter's own `unit`. The optimiser may work with ``factor = value / scale``, which is of order one.

    Parameters
    ----------
    name : str
        Name; as a class attribute it must equal the attribute's name.
    value : float, str or `~astropy.units.Quantity`
        Value; text may carry a unit, ``"1e-12 cm-2 s-1 TeV-1"``.
    unit : str or `~astropy.units.Unit`
        Unit of a plain number. A quantity or text brings its own.
    scale : float
        Scale, see `autoscale`.
    min, max : float, str or `~astropy.units.Quantity`
        Bounds, NaN or None where there is none.
    frozen : bool
        A frozen parameter is not fitted.
    error : float, str or `~astropy.units.Quantity`
        One standard deviation.
    scan_min, scan_max, scan_n_values, scan_n_sigma, scan_values
        Where a scan of the statistic is evaluated: from `scan_min` to `scan_max` (by default `scan_n_sigma` errors to both sides) in
        `scan_n_values` steps, spaced as `interp` says; or at `scan_values` exactly.
    scale_method : {"scale10", "factor1", None}
        What `autoscale` does.
    interp : {"lin", "log", "sqrt"}
        Spacing of scans.
    prior : `~gpudl4.models.Prior`, dict or None
        Adds ``-2 log(density)`` to the statistic.
    scale_transform : {"lin", "log", "sqrt"}
        Applied before the scale.

    Raises
    ------
    ModelError
        If an argument is of the wrong kind.
    UnitMismatchError
        If a bound or error does not convert to the parameter's unit.
    """

    def __init__(
        self,
        name,
        value,
        unit="",
        scale=1,
        min=np.nan,
        max=np.nan,
        frozen=False,
        error=0,
        scan_min=None,
        scan_max=None,
        scan_n_values=11,
        scan_n_sigma=2,
        scan_values=None,
        scale_method="scale10",
        interp="lin",
        prior=None,
        scale_transform="lin",
    ):
        if not isinstance(name, str):
            raise ModelError(f"the name of a parameter must be a string, got {name!r}")
        self._name = name
        self._type = None
        self._link = None
        self._share = None  # in a covariance with other parameters, see `covariance`
        self._scale = float(scale)
        self._scale_method = checked(scale_method, SCALE_METHODS, f"scale_method of parameter '{name}'")
        self._scale_transform = checked(scale_transform, TRANSFORMS, f"scale_transform of parameter '{name}'")
        self.interp = interp
        if isinstance(value, str):
            value = plain_number(value)
        if isinstance(value, (u.Quantity, str)):
            quantity = parse_quantity(value, f"value of parameter '{name}'")
            self._value, self._unit = float(quantity.value), quantity.unit
        else:
            self._unit = u.Unit(unit)
            self._value = parse_number(value, self._unit, f"value of parameter '{name}'")
        self.frozen = frozen
        self.error = error
        self._min = self._max = np.nan
        self._prior = None
        self.set_lim(min, max)
        self.scan_min = scan_min
        self.scan_max = scan_max
        self.scan_values = scan_values
        self.scan_n_values = scan_n_values
        self.scan_n_sigma = scan_n_sigma
        self.prior = prior

    # class attribute of a model

    def __set_name__(self, owner, name):
        if self._name != name:
            raise ModelError(f"parameter '{self._name}' is declared as class attribute '{name}' of {owner.__name__}: use one name for both")

    def __get__(self, instance, owner=None):
        return self if instance is None else instance.__dict__[self._name]

    def __set__(self, instance, value):
        if not isinstance(value, Parameter):
            raise ModelError(
                f"cannot assign {value!r} to parameter '{self._name}': set `.{self._name}.value` or `.{self._name}.quantity`, "
                "or assign another Parameter to link the two"
            )
        self._check_unit(value, instance.__dict__.get(self._name, self))
        if value._type is None:
            value._type = getattr(instance, "type", None)
        instance.__dict__[self._name] = value

    def _check_unit(self, other, present):
        """Refuse another parameter in this place if its unit does not convert to that of the present one."""
        # the unit of an amplitude depends on which IRFs apply, so the sky model checks that of a new model
        is_new = present is self
        if not other.unit.is_equivalent(present.unit) and not (is_new and self._unit in SCALED_BY_FLUX):
            raise UnitMismatchError(
                f"parameter '{other.name}' with unit '{other.unit}' cannot stand for '{self._name}', whose unit is '{present.unit}': "
                "the two do not convert"
            )

    # value and unit

    @property
    def name(self):
        """Name."""
        return self._name

    @property
    def type(self):
        """Kind of model it belongs to: "spectral", "spatial", "temporal", "prior" or None."""
        return self._type

    @property
    def value(self):
        """Value in the own unit."""
        return self._value

    @value.setter
    def value(self, value):
        self._value = parse_number(value, self._unit, f"value of parameter '{self._name}'")

    @property
    def unit(self):
        """Unit. Setting it changes the unit and keeps the number."""
        return self._unit

    @unit.setter
    def unit(self, unit):
        self._unit = u.Unit(unit)

    @property
    def quantity(self):
        """Value times unit. Setting it changes value and unit; bounds and error are converted with it.

        Raises
        ------
        UnitMismatchError
            If the new unit does not convert to the old one.
        """
        return self._value * self._unit

    @quantity.setter
    def quantity(self, value):
        quantity = parse_quantity(value, f"value of parameter '{self._name}'")
        if not quantity.unit.is_equivalent(self._unit):
            given = f"'{quantity.unit}'" if str(quantity.unit) else "none"
            raise UnitMismatchError(
                f"parameter '{self._name}' needs a unit that converts to '{self._unit}', got {given}: "
                f"write a quantity or text like '{self._value:g} {self._unit}'"
            )
        factor = self._unit.to(quantity.unit)
        if factor != 1:
            self._min, self._max, self._error = self._min * factor, self._max * factor, self._error * abs(factor)
            self._share = None if self._share is None else self._share.scaled(factor)
        self._value, self._unit = float(quantity.value), quantity.unit

    @property
    def error(self):
        """One standard deviation in the own unit."""
        return self._error

    @error.setter
    def error(self, value):
        self._error = parse_number(value, self._unit, f"error of parameter '{self._name}'")

    @property
    def min(self):
        """Lower bound in the own unit, NaN where there is none. A uniform prior bounds too."""
        return self._min if self.prior is None else float(np.fmax(self._min, self.prior.bounds[0]))

    @min.setter
    def min(self, value):
        self._min = parse_number(value, self._unit, f"min of parameter '{self._name}'")

    @property
    def max(self):
        """Upper bound in the own unit, NaN where there is none. A uniform prior bounds too."""
        return self._max if self.prior is None else float(np.fmin(self._max, self.prior.bounds[1]))

    @max.setter
    def max(self, value):
        self._max = parse_number(value, self._unit, f"max of parameter '{self._name}'")

    @property
    def frozen(self):
        """Whether it stays fixed in a fit."""
        return self._frozen

    @frozen.setter
    def frozen(self, value):
        if value in ("True", "False"):  # the way a table column of text spells it
            value = value == "True"
        if not isinstance(value, (bool, np.bool_)):
            raise ModelError(f"frozen of parameter '{self._name}' must be True or False, got {value!r}")
        self._frozen = bool(value)

    @property
    def prior(self):
        """Prior, or None."""
        return self._prior

    @prior.setter
    def prior(self, value):
        if value is None:
            self._prior = None
            return
        from .prior import Prior

        if isinstance(value, dict):
            value = Prior.from_dict(value)
        if not isinstance(value, Prior):
            raise ModelError(f"prior of parameter '{self._name}' must be a Prior, a dict or None, got {value!r}")
        self._prior = value

    def prior_stat_sum(self):
        """What the prior adds to the statistic, 0 without one."""
        return 0.0 if self._prior is None else self._prior(self)

    # copies and text

    def set_lim(self, min=None, max=None):
        """Set one or both bounds; None leaves a bound as it is."""
        before = self._min, self._max
        if min is not None:
            self.min = min
        if max is not None:
            self.max = max
        if self._min > self._max:
            low, high = self._min, self._max
            self._min, self._max = before
            raise ModelError(f"parameter '{self._name}' cannot have min {low} above max {high}: exchange or widen them")

    def copy(self):
        """Independent copy."""
        return copy.deepcopy(self)

    def update_from_dict(self, data):
        """Take value, unit, bounds, frozen and prior from a dict or table row; an empty prior means none."""
        for key in ("unit", "value", "min", "max", "frozen", "prior"):
            if key in data:
                setattr(self, key, None if key == "prior" and isinstance(data[key], str) else data[key])

    def to_dict(self):
        """Dict as models files hold it."""
        data = {
            "name": self._name,
            "value": self._value,
            "unit": self._unit.to_string("fits"),
            "error": self._error,
            "min": self.min,
            "max": self.max,
            "frozen": self._frozen,
            "interp": self._interp,
            "scale_method": self._scale_method,
            "scale_transform": self._scale_transform,
        }
        if self._prior is not None:
            data["prior"] = self._prior.to_dict()["prior"]
        return data

    def __repr__(self):
        return (
            f"{type(self).__name__}(name={self._name!r}, value={self._value!r}, unit='{self._unit}', error={self._error!r}, "
            f"min={self.min!r}, max={self.max!r}, frozen={self._frozen!r})"
        )
