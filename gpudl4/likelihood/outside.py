"""Closed sums over the bins that no source reaches, and the list of those that must be evaluated singly, on either backend.

The formula and the columns of the sums are in `gpudl4.kernels.background`. Runs once per compile.
"""

from types import SimpleNamespace

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import backend_of, to_device, to_host
from gpudl4.core.errors import DatasetError

__all__ = ["outside_sums"]


def outside_sums(name, counts, template, static, mask, active):
    """Sort the bins outside the active region.

    Parameters
    ----------
    name : str
        Of the dataset, for errors.
    counts, template : array[K, ny, nx]
    static : array[K, ny, nx] or None
    mask : bool array[K, ny, nx]
    active : bool array[ny, nx]
        On the host: pixels of the active region, whose values are only checked.

    Returns
    -------
    SimpleNamespace
        ``sums``: float64[K, 8]; ``bins``: int64[S], reconstructed bins of special bins in ascending order; ``values``: float64[S, 3],
        their counts, template and static counts. All on the host.

    Raises
    ------
    DatasetError
        For NaN or negative counts, or NaN in the background, inside the mask.
    """
    on_host = backend_of(counts).name == "numpy"
    out = (_host_sums if on_host else _device_sums)(counts, template, static, mask, active)
    kernel = kernels.cpu("background")
    for column, what, wish in (
        (kernel.BAD_COUNTS, "counts", "NaN, infinite or negative"),
        (kernel.BAD_TEMPLATE, "background", "NaN or infinite"),
    ):
        if bad := int(out.sums[:, column].sum()):
            raise DatasetError(
                f"dataset '{name}': {what} are {wish} in {bad} bins inside the fit mask; exclude them with mask_safe or mask_fit"
            )
    return out


def _host_sums(counts, template, static, mask, active):
    kernel = kernels.cpu("background")
    static = np.zeros((counts.shape[0], 0, 0)) if static is None else static
    sums, special = np.zeros((counts.shape[0], kernel.N_SUMS)), np.zeros(counts.shape[0], dtype=np.int64)
    kernel.outside_sums(counts, template, static, mask, active, sums, special)
    number = int(special.sum())
    bins, values = np.zeros(number, dtype=np.int64), np.zeros((number, 3))
    if number:
        kernel.special_bins(counts, template, static, mask, active, bins, values)
    return SimpleNamespace(sums=sums, bins=bins, values=values)


def _device_sums(counts, template, static, mask, active):
    """The same in array operations, energy by energy, so that temporaries stay the size of one plane."""
    kernel, backend = kernels.cpu("background"), backend_of(counts)
    xp, active = backend.xp, to_device(active, backend)
    sums, bins, values = [], [], []
    for k in range(counts.shape[0]):
        n, b, use = counts[k].astype(xp.float64), template[k].astype(xp.float64), mask[k]
        s = xp.zeros(n.shape) if static is None else static[k]
        good_n, good_b = (n >= 0) & (n < xp.inf), xp.isfinite(b)
        ordinary = use & good_n & good_b & ~active
        special = ordinary & ((s != 0) | ((b != 0) & (b < kernel.TEMPLATE_FLOOR)))
        empty = ordinary & ~special & (b == 0)
        closed = ordinary & ~special & ~empty
        row = [None] * kernel.N_SUMS
        row[kernel.SUM_TEMPLATE] = xp.where(closed, b, 0.0).sum()
        row[kernel.SUM_COUNTS] = xp.where(closed & (n > 0), n, 0.0).sum()
        row[kernel.SUM_COUNTS_LOG] = xp.where(closed & (n > 0), n * xp.log(xp.where(closed, b, 1.0)), 0.0).sum()
        row[kernel.EMPTY_BINS], row[kernel.EMPTY_COUNTS] = empty.sum(), xp.where(empty, n, 0.0).sum()
        row[kernel.N_BINS] = use.sum()
        row[kernel.BAD_COUNTS], row[kernel.BAD_TEMPLATE] = (use & ~good_n).sum(), (use & good_n & ~good_b).sum()
        sums.append(to_host(xp.stack([value.astype(xp.float64) for value in row])))
        at = xp.flatnonzero(special)
        bins.append(np.full(at.size, k, dtype=np.int64))
        values.append(to_host(xp.stack([n.ravel()[at], b.ravel()[at], s.ravel()[at]], axis=1)))
    return SimpleNamespace(sums=np.array(sums), bins=np.concatenate(bins), values=np.concatenate(values))
