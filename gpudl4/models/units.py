"""From the numbers and units people write to the engine's: TeV, cm-2 s-1, cm-2 s-1 TeV-1, rad.

A bound model works in these units; only the factors it needs are kept, one per parameter.
"""

import functools

import astropy.units as u
import numpy as np

from ..core.errors import ModelError, UnitMismatchError
from ..core.units import ENERGY, conversion_factor

__all__ = ["as_tev", "dimensionless", "engine_factor", "engine_unit", "parse_number", "parse_quantity", "plain_number"]

_ENGINE_UNITS = ("", "TeV", "TeV-1", "cm-2 s-1 TeV-1", "cm-2 s-1", "TeV cm-2 s-1", "rad", "sr-1", "s")


@functools.lru_cache(maxsize=1024)
def _engine_unit(text):
    unit = u.Unit(text)
    for candidate in _ENGINE_UNITS:
        if unit.is_equivalent(u.Unit(candidate)):
            return u.Unit(candidate)
    return unit


def engine_unit(unit):
    """The engine's unit of the same kind; a unit the engine has no use for is returned as it is."""
    return _engine_unit(str(u.Unit(unit)))


def engine_factor(unit):
    """Factor that turns numbers in `unit` into numbers in `engine_unit(unit)`."""
    return conversion_factor(unit, engine_unit(unit))


def as_tev(energy, what="energy"):
    """Float64 array of energies in TeV.

    Parameters
    ----------
    energy : float, array or `~astropy.units.Quantity`
        Plain numbers are taken as TeV.
    what : str
        How an error message calls it.

    Raises
    ------
    UnitMismatchError
        If a quantity is not an energy.
    """
    if isinstance(energy, u.Quantity):
        return np.asarray(energy.value, dtype=np.float64) * conversion_factor(energy.unit, ENERGY, what)
    if isinstance(energy, str):
        return as_tev(u.Quantity(energy), what)
    return np.asarray(energy, dtype=np.float64)


def dimensionless(value):
    """Plain numbers from a dimensionless quantity; plain numbers pass.

    Raises
    ------
    UnitMismatchError
        If the quantity has a dimension.
    """
    if isinstance(value, u.Quantity):
        if not value.unit.is_equivalent(u.dimensionless_unscaled):
            raise UnitMismatchError(f"a number without unit was wanted, got '{value.unit}': check the units of the model's parameters")
        return value.to_value("")
    return value


def parse_number(value, unit, what):
    """Float in `unit` from a number, a quantity or text such as "1 TeV"; None and masked entries of a table are NaN."""
    if value is None or value is np.ma.masked:
        return np.nan
    if isinstance(value, str):
        value = plain_number(value)
    if isinstance(value, (u.Quantity, str)):
        quantity = parse_quantity(value, what)
        if not quantity.unit.is_equivalent(unit):
            raise UnitMismatchError(f"{what} has unit '{quantity.unit}', which does not convert to '{unit}'")
        return float(quantity.to_value(unit))
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{what} must be a number, a quantity or text like '1 TeV', got {value!r}") from error


def plain_number(text):
    """Float from text without a unit (YAML reads 1e-12 as text); other text as it is."""
    try:
        return float(text)
    except ValueError:
        return text


def parse_quantity(value, what):
    """Scalar quantity from a quantity, number or text.

    Raises
    ------
    ModelError
        If there is no number in it, or more than one; `what` says in the message what it should have been.
    """
    try:
        quantity = u.Quantity(value)
        if quantity.shape != ():
            raise ModelError(f"{what} must be a single number, got an array of shape {quantity.shape}")
        return quantity
    except TypeError as error:
        raise ModelError(f"{what} must be a number, a quantity or text like '1 TeV', got {value!r}") from error
