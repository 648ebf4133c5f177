"""Operators of maps: arithmetic with units, comparisons and logic. Both maps must have equal geometries and live on one backend."""

import operator

import numpy as np
from astropy import units as u

from ..core.backend import array_namespace, backend_of
from ..core.errors import GeometryError, UnitMismatchError
from .promotion import wide

__all__ = ["MapArithmetic"]


def _wide(data):
    return wide(data) if hasattr(data, "dtype") else data


class MapArithmetic:
    """Operators shared by all maps.

    ``+ -`` and comparisons convert the other operand to the unit of the map, ``* /`` combine units, ``& | ^ ~`` act on truth values. An
    operand is a map of equal geometry, a quantity, a number or an array that broadcasts to the data. Numbers count as float64: a float32
    map becomes float64, as in gammapy. Sums, differences and products of two maps of integers are int64, quotients and powers float64, so
    that counts never wrap; masks that are added or subtracted count as 0 and 1. In-place operators replace the data, also their type.
    """

    def _other(self, other):
        """Data and unit of an operand."""
        if isinstance(other, MapArithmetic):
            if self.geom != other.geom:
                raise GeometryError(f"Map Arithmetic: Inconsistent geometries.\n{self.geom}\n{other.geom}")
            return other.data, other.unit
        if isinstance(other, u.Quantity):
            return other.value, other.unit
        if isinstance(other, u.UnitBase):
            return 1.0, other
        if backend_of(other).name != "numpy":
            return other, u.dimensionless_unscaled
        other = np.asarray(other)
        other = other if other.dtype.kind == "f" else other.astype(float)
        return (other if other.ndim else other[()]), u.dimensionless_unscaled

    def _converted(self, other):
        data, unit = self._other(other)
        if unit == self.unit:
            return data
        try:
            return data * float(unit.to(self.unit))
        except u.UnitConversionError as error:
            raise UnitMismatchError(f"a map in '{self.unit}' cannot be combined with a value in '{unit}'") from error

    def _apply(self, function, data, in_place, unit=None, own=None):
        array_namespace(self.data, data)  # refuses to mix backends
        own = self.data if own is None else own
        if isinstance(data, np.generic) and backend_of(own).name != "numpy":  # CuPy would not let a number decide on the type
            own, data = own.astype(np.result_type(own.dtype, data.dtype)), data.item()
        result = function(own, data)
        if not in_place:
            return self._with(data=result, unit=unit)
        self.data = result
        self._unit = self._unit if unit is None else unit
        return self

    def _add(self, function, other, in_place=False):
        data = _wide(self._converted(other))
        own = self.data.astype(np.int64) if self.is_mask else wide(self.data)
        return self._apply(function, data, in_place, own=own)

    def _multiply(self, function, other, in_place=False):
        data, unit = self._other(other)
        return self._apply(function, _wide(data), in_place, unit=function(self.unit, unit), own=wide(self.data))

    def _compare(self, function, other):
        return self._apply(function, self._converted(other), in_place=False, unit=u.dimensionless_unscaled)

    def _logical(self, name, other, in_place=False):
        if isinstance(other, MapArithmetic):
            other = self._other(other)[0]
        return self._apply(getattr(array_namespace(self.data), name), other, in_place)

    def __add__(self, other):
        return self._add(operator.add, other)

    def __iadd__(self, other):
        return self._add(operator.add, other, in_place=True)

    def __sub__(self, other):
        return self._add(operator.sub, other)

    def __isub__(self, other):
        return self._add(operator.sub, other, in_place=True)

    def __mul__(self, other):
        return self._multiply(operator.mul, other)

    def __imul__(self, other):
        return self._multiply(operator.mul, other, in_place=True)

    def __rmul__(self, other):
        return self._multiply(operator.mul, other)

    def __truediv__(self, other):
        return self._multiply(operator.truediv, other)

    def __itruediv__(self, other):
        return self._multiply(operator.truediv, other, in_place=True)

    def __pow__(self, power):
        own = self.data if self.data.dtype.kind == "f" else self.data.astype(float)
        return self._apply(operator.pow, power, in_place=False, unit=self.unit**power, own=own)

    def __lt__(self, other):
        return self._compare(operator.lt, other)

    def __le__(self, other):
        return self._compare(operator.le, other)

    def __gt__(self, other):
        return self._compare(operator.gt, other)

    def __ge__(self, other):
        return self._compare(operator.ge, other)

    def __eq__(self, other):
        return self._compare(operator.eq, other)

    def __ne__(self, other):
        return self._compare(operator.ne, other)

    __hash__ = None

    def __and__(self, other):
        return self._logical("logical_and", other)

    def __iand__(self, other):
        return self._logical("logical_and", other, in_place=True)

    def __or__(self, other):
        return self._logical("logical_or", other)

    def __ior__(self, other):
        return self._logical("logical_or", other, in_place=True)

    def __xor__(self, other):
        return self._logical("logical_xor", other)

    def __ixor__(self, other):
        return self._logical("logical_xor", other, in_place=True)

    def __invert__(self):
        return self._with(data=array_namespace(self.data).logical_not(self.data))
