"""Exposure-weighted means of responses: `ResponseSum` adds any number of responses to one in place and divides once at the end.

``IRFMap.stack`` is the usual way in for one response; stacking of many datasets keeps one `ResponseSum` per response, so that the map of
the result is multiplied and divided by its exposure once and not at every step.
"""

from types import SimpleNamespace

import numpy as np

from gpudl4.core.backend import array_namespace
from gpudl4.core.errors import DatasetError, GeometryError
from gpudl4.core.units import conversion_factor
from gpudl4.maps.accumulate import add_into, blocks, divide_into, mean_into, multiply_into

__all__ = ["ResponseSum", "overlap"]


def overlap(map_, geom):
    """Indices of a map and of an array on another geometry where the two have the same pixels.

    Parameters
    ----------
    map_ : `~gpudl4.maps.Map`
    geom : `~gpudl4.maps.Geom`
        Equal to that of the map, or aligned with it.

    Raises
    ------
    GeometryError
        If the pixels of one are not pixels of the other, or they do not overlap.
    """
    mine = map_.geom
    if mine.is_region != geom.is_region or (mine.is_region and mine.data_shape != geom.data_shape):
        raise GeometryError(f"Can only stack equivalent maps or cutout of the same map.\n{mine}\n{geom}")
    if mine.is_region or mine == geom:
        return (Ellipsis,), (Ellipsis,)
    if not mine.is_aligned(geom):
        raise GeometryError(f"Can only stack equivalent maps or cutout of the same map.\n{mine}\n{geom}")
    return map_._overlap(geom)


class ResponseSum:
    """A response that is being averaged with others, weighted by exposure.

    Between the first `add` and `close` the map of the response holds the sum of response times exposure in all pixels that something was
    added to; the response must not be used then.

    Parameters
    ----------
    irf : IRFMap
        Response with an exposure map; it is changed in place.

    Raises
    ------
    DatasetError
        If it has no exposure map.
    """

    def __init__(self, irf):
        self.irf = _with_exposure(irf, "this")
        image = irf._irf_map.data.shape[-2:]
        self._covered, self._summed = np.zeros(image, dtype=bool), irf.backend.xp.zeros(image, dtype=bool)  # the same, on host and device

    def add(self, other, weights=None, nan_to_num=True):
        """Add a response.

        Parameters
        ----------
        other : IRFMap
            Response with an equal geometry or one that was cut out of this one's.
        weights : `~gpudl4.maps.Map`, optional
            Weights of `other`, for instance a mask; its exposure counts where any reconstructed energy has weight.
        nan_to_num : bool
            Whether values that are not finite count as 0.
        """
        p = self._parts(other, weights, nan_to_num)
        self._open(p.mine)
        target = self.irf._irf_map.data[p.mine]
        if p.weight is None or p.weight.ndim < 3 or p.weight.shape[-3] == 1:  # the same for all bins of the response: one factor
            add_into(target, p.source, p.factors(slice(None)), nan_to_num=nan_to_num)
        else:
            for part in blocks(target):
                add_into(target[part], p.source[part] * p.scaled[part], p.weight, nan_to_num=nan_to_num)
        self._add_exposure(p, nan_to_num)

    def mean_with(self, other, weights=None, nan_to_num=True):
        """Average with one response and nothing else, as `add` and `close` do, on the host in one pass; parameters as for `add`."""
        if self.irf.backend.name != "numpy" or not nan_to_num:
            self.add(other, weights, nan_to_num)
            self.close()
            return
        p = self._parts(other, weights, nan_to_num)
        exposure = self.irf.exposure_map.data
        before = exposure[p.mine].copy()
        self._add_exposure(p, nan_to_num)
        after = exposure[p.mine]
        mean_into(self.irf._irf_map.data[p.mine], before, p.source, p.factors(Ellipsis), np.where(after > 0, after, after.dtype.type(0)))
        elsewhere = ~(exposure > 0)
        elsewhere[p.mine] = False
        if elsewhere.any():  # without exposure a response is 0
            multiply_into(self.irf._irf_map.data, (~elsewhere).astype(exposure.dtype))

    def _parts(self, other, weights, nan_to_num):
        """What adding a response needs: indices of both, values, exposure, and weights."""
        _with_exposure(other, "the other")
        irf_map, exposure_map = self.irf._irf_map, self.irf.exposure_map
        factor = conversion_factor(other.exposure_map.unit, exposure_map.unit, "the exposure to stack")
        scale = conversion_factor(other._irf_map.unit, irf_map.unit, "the response to stack")
        mine, theirs = overlap(irf_map, other._irf_map.geom)
        exposure = other.exposure_map.data[theirs]
        weight = None if weights is None else weights.data[theirs]
        scaled, xp = exposure * (factor * scale), array_namespace(exposure)
        if nan_to_num:
            scaled = xp.where(xp.isfinite(scaled), scaled, xp.zeros((), dtype=scaled.dtype))
        seen = weight
        if weight is not None and "energy" in weights.geom.axes.names:
            seen = weight.any(axis=weights.geom.axes.index_data("energy"), keepdims=True)

        def factors(part):
            product = scaled[part] if weight is None else (scaled[part] * weight).astype(scaled.dtype, copy=False)
            return xp.ascontiguousarray(product)  # a product takes the order of its factors, which may be any

        return SimpleNamespace(
            mine=mine, source=other._irf_map.data[theirs], exposure=exposure, factor=factor, weight=weight, scaled=scaled, seen=seen,
            factors=factors,
        )  # fmt: skip

    def _add_exposure(self, p, nan_to_num):
        add_into(self.irf.exposure_map.data[p.mine], p.exposure, p.seen, p.factor, nan_to_num)

    def _open(self, mine):
        """Turn means into sums in the pixels that are met for the first time."""
        covered = self._covered[mine]
        if covered.all():
            return
        data, exposure = self.irf._irf_map.data[mine], self.irf.exposure_map.data[mine]
        if covered.any():
            xp = array_namespace(exposure)
            exposure = xp.where(self._summed[mine], xp.ones((), dtype=exposure.dtype), exposure)
        multiply_into(data, exposure)
        covered[...] = True
        self._summed[mine] = True

    def close(self):
        """Turn sums into means again; without exposure a response is 0, also in pixels that nothing was added to (as in gammapy)."""
        if not self._covered.any():
            return
        data, exposure = self.irf._irf_map.data, self.irf.exposure_map.data
        xp = array_namespace(data)
        known = exposure > 0
        # Pixels that nothing was added to hold means: they stay as they are where there is exposure.
        one, zero = (xp.full((), value, dtype=exposure.dtype) for value in (1, 0))
        divide_into(data, xp.where(known, xp.where(self._summed, exposure, one), zero))
        self._covered[...] = False
        self._summed[...] = False


def _with_exposure(irf, label):
    if irf.exposure_map is None:
        raise DatasetError(f"{type(irf).__name__} is stacked with exposure weights, but {label} one has no exposure map")
    return irf
