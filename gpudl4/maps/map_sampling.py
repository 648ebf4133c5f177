"""Random positions distributed as the values of a map: the first step of simulating events."""

import numpy as np

from ..core.backend import to_host
from ..core.errors import GeometryError
from ..core.random import get_random_state
from .coord import MapCoord

__all__ = ["sample_coord", "sample_pix"]


def sample_pix(values, number, random_state=0):
    """Pixel coordinates drawn from an array of weights.

    A pixel is drawn by inverting the cumulative sum of the sorted weights, then a position uniformly inside it. The order of the draws is
    gammapy's, so that equal seeds and equal float64 weights give equal positions.

    Parameters
    ----------
    values : `~numpy.ndarray`
        Weights; what is negative or not finite counts as 0.
    number : int
        Number of positions.
    random_state
        See `~gpudl4.core.random.get_random_state`.

    Returns
    -------
    pix : `~numpy.ndarray`
        Pixel coordinates in the order of the dimensions, shape (ndim, number).

    Raises
    ------
    GeometryError
        If there is something to draw and all weights are 0.
    """
    rng = get_random_state(random_state)
    weights = np.asarray(values, dtype=float)
    weights = np.where(np.isfinite(weights) & (weights > 0), weights, 0.0).ravel()
    total = weights.sum()
    if number > 0 and total <= 0:
        raise GeometryError("no positions can be drawn: the map has no value above 0")
    weights = weights / total if total > 0 else weights
    order = np.argsort(weights)
    index = np.searchsorted(np.cumsum(weights[order]), rng.uniform(size=number))
    # The sum of all weights is one minus rounding: a draw above it belongs to the last pixel.
    pixels = np.unravel_index(order[np.minimum(index, len(order) - 1)], np.shape(values))
    return np.array(pixels) + rng.uniform(-0.5, 0.5, size=(len(pixels), number))


def sample_coord(map_, n_events, random_state=0):
    """Coordinates drawn from the values of a map, each uniform inside its pixel; data on a device are copied to the host for it.

    Parameters
    ----------
    map_ : `~gpudl4.maps.Map`
        Map of predicted counts, or of anything proportional to them.
    n_events : int
        Number of positions.
    random_state
        See `~gpudl4.core.random.get_random_state`.

    Returns
    -------
    coords : `~gpudl4.maps.MapCoord`
        Coordinates, arrays of shape (n_events,), in the frame of the map.

    Raises
    ------
    GeometryError
        If the map has no value above 0.
    """
    pix = sample_pix(to_host(map_.data), n_events, random_state)
    coords = map_.geom.pix_to_coord(tuple(pix[::-1]))
    return MapCoord(dict(zip(map_.geom.axes_names, coords, strict=True)), frame=map_.geom.frame)
