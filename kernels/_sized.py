"""Threads where they pay: one function compiled twice, serial for small inputs and with threads for large ones.

A parallel region ends when its slowest thread does. For work of a millisecond that costs more than it gains, above all on a machine that
does other things as well, where a thread may have to wait for its turn.
"""

import functools
import types

from ._compiled import compiled

__all__ = ["LARGE", "sized"]

LARGE = 300_000  # elements; about a third of a millisecond of work


def sized(size):
    """Decorator: compile for one thread, and for many where ``size(*args)`` exceeds `LARGE`.

    The loop to be shared is written with ``numba.prange``; it must give the same numbers in any order.

    Parameters
    ----------
    size : callable
        Number of elements to be worked on, from the function's arguments.
    """

    def decorate(function):
        # The cache tells functions apart by name, not by options: the parallel variant needs a name of its own.
        twin = types.FunctionType(function.__code__, function.__globals__, function.__name__ + "_parallel")
        twin.__qualname__ = function.__qualname__ + "_parallel"
        twin.__module__, twin.__doc__ = function.__module__, function.__doc__
        serial, parallel = compiled(function), compiled(twin, parallel=True)

        @functools.wraps(function)
        def call(*args):
            return (parallel if size(*args) > LARGE else serial)(*args)

        call.serial, call.parallel = serial, parallel
        return call

    return decorate
