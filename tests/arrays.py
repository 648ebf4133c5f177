"""Comparing maps and arrays wherever they live: tests under the fixture `backend` compare with NumPy values in one line."""

import numpy as np

from gpudl4.core.backend import to_host
from gpudl4.maps import Map

__all__ = ["assert_close", "assert_same", "host"]


def host(value):
    """Values of a map or an array as a NumPy array; anything else as it is."""
    return to_host(value.data if isinstance(value, Map) else value)


def assert_same(got, wanted):
    """Both maps or arrays have equal values, on whatever backend."""
    np.testing.assert_array_equal(host(got), host(wanted))


def assert_close(got, wanted, rtol=1e-7, atol=0):
    """Both maps or arrays have equal values within tolerances, on whatever backend."""
    np.testing.assert_allclose(host(got), host(wanted), rtol=rtol, atol=atol)
