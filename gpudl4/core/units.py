"""Units as plain factors. astropy parses and converts at the doors; inside, numbers are in the engine's base units.

Base units: TeV, cm, s, deg (sr counts as a plain solid angle and is converted to sr where needed).
"""

import functools

import astropy.units as u

from .errors import UnitMismatchError

__all__ = ["DNDE", "ENERGY", "FLUX", "conversion_factor"]

ENERGY = u.TeV
FLUX = u.Unit("cm-2 s-1")
DNDE = u.Unit("cm-2 s-1 TeV-1")


@functools.lru_cache(maxsize=1024)
def _factor(given, wanted):
    return float(u.Unit(given).to(u.Unit(wanted)))


def conversion_factor(given, wanted, what="value"):
    """Factor that turns numbers in unit `given` into numbers in unit `wanted`.

    Raises
    ------
    UnitMismatchError
        If the units do not convert; the message names `what`.
    """
    try:
        return _factor(given, wanted)
    except u.UnitConversionError as error:
        raise UnitMismatchError(f"{what} has unit '{given}', which does not convert to '{wanted}'") from error
