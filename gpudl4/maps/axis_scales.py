"""Scales of axes, "lin", "log" and "sqrt": in them bins are equally placed between nodes. Plain numbers, for `MapAxis`."""

import numpy as np

from .interpolation import interpolate_1d

__all__ = ["PLOT_SCALES", "SCALES", "index_of_value", "scaled", "value_of_index"]

_TINY = np.finfo(np.float64).tiny

# name: (scaled value of a value, value of a scaled value)
SCALES = {
    "lin": (lambda x: x, lambda x: x),
    "log": (lambda x: np.log(np.clip(x, _TINY, None)), lambda x: np.where(np.exp(x) <= 2 * _TINY, 0.0, np.exp(x))),
    "sqrt": (lambda x: np.sign(x) * np.sqrt(np.abs(x)), lambda x: x * x),
}
PLOT_SCALES = {"lin": "linear", "sqrt": "linear", "log": "log"}


def scaled(value, interp):
    """Values in a scale."""
    return SCALES[interp][0](value)


def value_of_index(index, scaled_nodes, interp):
    """Values at positions counted in nodes (0 is the first, 0.5 half way to the second), extrapolated beyond the ends."""
    return SCALES[interp][1](interpolate_1d(np.arange(len(scaled_nodes), dtype=float), scaled_nodes, index))


def index_of_value(value, scaled_nodes, interp):
    """Positions counted in nodes of values; the inverse of `value_of_index`."""
    return interpolate_1d(scaled_nodes, np.arange(len(scaled_nodes), dtype=float), scaled(value, interp))
