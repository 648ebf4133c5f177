"""Compares the double with an installed CuPy, which imports and shows its signatures without a GPU or a driver.

`missing_names` finds functions that the double has and CuPy lacks; `unbindable` finds recorded calls that CuPy would refuse. Both want
the real CuPy under ``import cupy``, so they are used outside of `installed`.
"""

import importlib
import inspect
import re

from . import fft, functions
from .array import ndarray

__all__ = ["missing_names", "resolve", "signature", "unbindable"]

# Python's own names that CuPy's C types do not list, and NumPy's protocol hooks.
_OWN_METHODS = frozenset(("__module__", "__slots__", "__weakref__", "__doc__", "__array_priority__", "__qualname__"))
_C_TYPES = re.compile(r"\b(?:str|tuple|bool|int|size_t|list|dict|intptr_t)\s+(?=\w)")


def resolve(name):
    """The real object of a full name such as ``"cupy.ndarray.sum"``.

    Raises
    ------
    AttributeError
        If CuPy lacks it.
    ImportError
        If the name lies in a module that needs a CUDA library to be imported (``cupy.cuda.cufft``).
    """
    parts = name.split(".")
    found, depth = None, 0
    for depth in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:depth]))
            break
        except ModuleNotFoundError:
            continue
    for part in parts[depth:]:
        found = getattr(found, part)
    return found


def signature(function):
    """Signature of a CuPy function, from the first lines of its docstring if it is compiled; None if neither tells."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        pass
    # Cython writes a line of its own above the one that CuPy's authors wrote; the latter also names what hides in **kwargs.
    lines = [line for line in (getattr(function, "__doc__", None) or "").splitlines() if line.strip()][:2]
    stated = [found for found in map(_stated_signature, lines) if found is not None]
    return next((found for found in stated if not _takes_anything(found)), stated[0] if stated else None)


def _stated_signature(line):
    """Signature that a line of a docstring states, or None."""
    match = re.match(r"[\w.]*\((.*?)\)\s*(->.*)?$", line.strip())
    if match is None:
        return None
    arguments = _C_TYPES.sub("", match.group(1).replace("\\*", "*"))
    namespace = {}
    try:
        exec(f"def stated({arguments}): pass", {"NULL": None}, namespace)
    except (NameError, SyntaxError):
        return None
    return inspect.signature(namespace["stated"])


def _takes_anything(found):
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in found.parameters.values())


def unbindable(calls):
    """Recorded calls that do not fit the installed CuPy.

    Parameters
    ----------
    calls : iterable of Call
        From `recorded_calls`.

    Returns
    -------
    list of (Call, str)
        The call and what is wrong with it.
    """
    problems = []
    for call in calls:
        try:
            real = resolve(call.name)
        except ImportError:
            continue  # the module cannot be imported without the CUDA library
        except AttributeError:
            problems.append((call, "CuPy has no such name"))
            continue
        stated = signature(real)
        if stated is None:
            continue
        has_self = next(iter(stated.parameters), "") == "self"
        try:
            stated.bind(*[None] * (call.positional + has_self), **dict.fromkeys(call.keywords))
        except TypeError as error:
            problems.append((call, str(error)))
    return problems


def missing_names():
    """Names that the double offers and the installed CuPy does not.

    Returns
    -------
    list of str
    """
    offered = [
        *(f"cupy.{name}" for name in (*functions.FUNCTIONS, *functions.CONSTANTS)),
        *(f"cupy.linalg.{name}" for name in functions.LINALG),
        *(f"cupyx.scipy.special.{name}" for name in functions.SPECIAL),
        *(f"cupyx.scipy.ndimage.{name}" for name in functions.NDIMAGE),
        *(f"cupyx.scipy.fft.{name}" for name in fft.FFT),
        *(f"cupy.ndarray.{name}" for name in vars(ndarray) if name not in _OWN_METHODS and not re.match(r"_[^_]", name)),
    ]
    return [name for name in offered if not _exists(name)]


def _exists(name):
    try:
        resolve(name)
    except AttributeError:
        return False
    return True
