"""Profiles of the fit statistic: their minimum, its error and limit, and flux points in coarser bins from sums of profiles."""

from dataclasses import dataclass

import numpy as np

from ..core.errors import DatasetError
from ..maps import Map, TimeMapAxis

__all__ = ["Minimum", "minimum_of", "resampled"]


@dataclass(frozen=True)
class Minimum:
    """Minimum of a profile that is interpolated quadratically.

    Attributes
    ----------
    norm, stat : float
        Where it is, and the statistic there; NaN if the profile holds NaN.
    error : float
        From the second derivative at the minimum, ``sqrt(2 / f'')``; NaN where that is not positive.
    limit : float
        Where the profile has risen by what was asked for, on the side of larger norms; NaN if nowhere within the scan.
    is_inside : bool
        Whether it lies within the scan and not at an end of it.
    """

    norm: float
    stat: float
    error: float
    limit: float
    is_inside: bool


def minimum_of(norms, scan, rise):
    """`Minimum` of a profile.

    Parameters
    ----------
    norms, scan : array[M]
        Norms, increasing, and the statistic there.
    rise : float
        Of the statistic at the limit.
    """
    from scipy.interpolate import make_interp_spline
    from scipy.optimize import brentq, minimize_scalar

    if not np.isfinite(scan).all():
        return Minimum(np.nan, np.nan, np.nan, np.nan, False)
    curve, lowest = make_interp_spline(norms, scan, k=2), int(np.argmin(scan))
    low, high = norms[max(lowest - 1, 0)], norms[min(lowest + 1, len(norms) - 1)]
    best = float(minimize_scalar(curve, bounds=(low, high), method="bounded", options={"xatol": 1e-10 * (high - low)}).x)
    best = best if curve(best) <= scan[lowest] else float(norms[lowest])
    stat, second = float(curve(best)), float(curve(best, nu=2))
    beyond = norms[(norms > best) & (scan > stat + rise)]
    limit = brentq(lambda x: float(curve(x)) - stat - rise, best, beyond[0]) if beyond.size else np.nan
    return Minimum(best, stat, np.sqrt(2 / second) if second > 0 else np.nan, float(limit), bool(norms[0] < best < norms[-1]))


def _groups(old, new):
    """For each new bin the slice of the old ones inside."""
    if isinstance(new, TimeMapAxis):
        rows = [old.group_table([low, high])[0] for low, high in new.iter_by_time_edges]
    else:
        rows = [row for row in old.group_table(new.edges) if row["bin_type"].startswith("normal")]
        if len(rows) != new.nbin:
            raise DatasetError(f"axis '{new.name}': {new.nbin} bins were wanted, but only {len(rows)} of them hold bins of the flux points")
    empty = [number for number, row in enumerate(rows) if row["idx_min"] < 0]
    if empty:
        raise DatasetError(f"axis '{new.name}': no bin of the flux points lies inside the new bin {empty[0]}")
    return [slice(int(row["idx_min"]), int(row["idx_max"]) + 1) for row in rows]


def resampled(fluxes, axis):
    """Flux points in coarser bins.

    The profiles of the old bins are summed, which is right where the bins are independent and share the reference model; norm, error, limit
    and TS are those of the sum.

    Parameters
    ----------
    fluxes : `~gpudl4.fluxes.FluxPoints`
        With profiles.
    axis : `~gpudl4.maps.MapAxis` or `~gpudl4.maps.TimeMapAxis`
        New bins.
    """
    if not fluxes.has_stat_profiles:
        raise DatasetError("Stat profiles not present, rebinning is not possible")
    if axis.name not in fluxes.geom.axes.names:
        raise DatasetError(f"the flux points have no axis '{axis.name}'; they have: {fluxes.geom.axes.names}")
    groups = _groups(fluxes.geom.axes[axis.name], axis)

    def summed(stored):
        dim = stored.geom.axes.index_data(axis.name)
        parts = [stored.data[(slice(None),) * dim + (group,)].sum(axis=dim, keepdims=True) for group in groups]
        geom = stored.geom.to_image().to_cube([axis if one.name == axis.name else one for one in stored.geom.axes])
        return Map.from_geom(geom, data=np.concatenate(parts, axis=dim).astype(float), unit=stored.unit)

    scan, data = summed(fluxes.stat_scan), {}
    geom, norms = scan.geom.drop("norm"), scan.geom.axes["norm"].center.value
    scans = np.moveaxis(scan.data, scan.geom.axes.index_data("norm"), -1).reshape(-1, norms.size)
    found = [minimum_of(norms, one, (fluxes.n_sigma_ul or 2) ** 2) for one in scans]

    def of(values, **kwargs):
        return Map.from_geom(geom, data=np.array(values, **kwargs).reshape(geom.data_shape))

    data["norm"], data["norm_err"] = of([one.norm for one in found]), of([one.error for one in found])
    dim = geom.axes.index_data(axis.name)
    shape = [1] * len(geom.data_shape)
    shape[dim] = -1
    number = np.array([group.stop - group.start for group in groups], dtype=float).reshape(shape)
    data["n_dof"] = of(np.broadcast_to(number, geom.data_shape))
    if fluxes.has_ul:
        data["norm_ul"] = of([one.limit for one in found])
    data["stat"], data["stat_scan"] = of([one.stat for one in found]), scan
    if "stat_null" in fluxes.available_quantities:
        data["stat_null"] = summed(fluxes.stat_null)
        data["ts"] = data["stat_null"] - data["stat"]
    data["success"] = of([one.is_inside for one in found], dtype=bool)
    return type(fluxes)(data, fluxes.reference_model, meta=dict(fluxes.meta), gti=fluxes.gti)
