"""Units as plain factors. astropy parses and converts at the doors; inside, numbers are in the engine's base units.

Base units: TeV, cm, s, deg (sr counts as a plain solid angle and is converted to sr where needed).
"""

import functools
import re

import astropy.units as u

from .errors import UnitMismatchError

__all__ = ["DNDE", "ENERGY", "FLUX", "conversion_factor", "unit_of_words"]

ENERGY = u.TeV
FLUX = u.Unit("cm-2 s-1")
DNDE = u.Unit("cm-2 s-1 TeV-1")
# Words that files have in the place of a unit, for numbers without one.
_NUMBERS = re.compile(r"\b(none|counts?|cts|photons?|events?|significance|sigmas?|dimensionless|unitless)\b", re.IGNORECASE)


def unit_of_words(text):
    """Unit of a text in which numbers are named by a word astropy does not know, such as "Counts" or "photons / cm2 / s".

    Returns
    -------
    unit : `~astropy.units.Unit`
        With "ct" for the words.

    Raises
    ------
    ValueError
        If there is no such word, or the rest is no unit.
    """
    replaced, number = _NUMBERS.subn("ct", text)
    if not number:
        raise ValueError(f"{text!r} is no unit")
    return u.Unit(replaced)


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
