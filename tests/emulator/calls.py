"""The log of every CuPy call: name, number of positional arguments, keywords.

A double accepts what its author thought of. `recorded_calls` lets a test bind what was really called to the signatures of the
installed CuPy, which imports without a GPU: see `parity.unbindable`. `all_calls` is for the end of a session: see `plugin`.
"""

import os
from dataclasses import dataclass

__all__ = ["Call", "all_calls", "clear_recorded_calls", "record", "recorded_calls"]


@dataclass(frozen=True, order=True)
class Call:
    """One way in which a function was called.

    Attributes
    ----------
    name : str
        Full name, such as ``"cupy.zeros"``, ``"cupy.ndarray.sum"``, ``"cupyx.scipy.fft.rfft2"``.
    positional : int
        Number of positional arguments; a method's ``self`` is not counted.
    keywords : tuple of str
        Sorted names of the keyword arguments.
    """

    name: str
    positional: int
    keywords: tuple


_log = set()
_first_test = {}


def record(name, positional, keywords=()):
    """Remember a call; `keywords` is any iterable of names."""
    call = Call(name, positional, tuple(sorted(keywords)))
    _log.add(call)
    if call not in _first_test:
        _first_test[call] = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]


def all_calls():
    """The different calls since the process began, each with the id of the test that made it first ("" outside of tests).

    Returns
    -------
    dict
        `Call` to str.
    """
    return dict(_first_test)


def recorded_calls():
    """The different calls since the process began or since `clear_recorded_calls`, sorted.

    Returns
    -------
    list of Call
    """
    return sorted(_log)


def clear_recorded_calls():
    """Forget the log."""
    _log.clear()
