"""From the units people write to the engine's: TeV, cm-2 s-1, cm-2 s-1 TeV-1, rad.

A bound model works in these units; only the factors it needs are kept, one per parameter.
"""

import functools

import astropy.units as u
import numpy as np

from ..core.errors import UnitMismatchError
from ..core.units import ENERGY, conversion_factor

__all__ = ["as_tev", "engine_factor", "engine_unit"]

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
