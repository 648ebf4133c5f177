"""Closed sums over the bins that no source reaches, and the list of those that must be evaluated singly, on either backend.

The formula and the columns of the sums are in `gpudl4.kernels.background`. Runs once per compile.
"""

from types import SimpleNamespace

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import backend_of, to_device, to_host
from gpudl4.core.errors import DatasetError
from gpudl4.stats import wstat

__all__ = ["outside_sums", "outside_wstat"]


def outside_sums(name, counts, template, static, mask, active, weight=None):
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
    weight : array[K, ny, nx], optional
        Of each bin; the sums are then weighted.

    Returns
    -------
    SimpleNamespace
        ``sums``: float64[K, 8]; ``bins``: int64[S], reconstructed bins of special bins in ascending order; ``values``: float64[S, 3],
        their counts, template and static counts, and behind them their weights if there are any. All on the host.

    Raises
    ------
    DatasetError
        For NaN or negative counts, or NaN in the background, inside the mask.
    """
    if weight is None and backend_of(counts).name == "numpy":
        out = _host_sums(counts, template, static, mask, active)
    else:
        out = _array_sums(counts, template, static, mask, active, weight)
    _refuse_bad(name, out.sums)
    return out


def outside_wstat(name, counts, counts_off, alpha, static, mask, active):
    """Statistic of the bins of an ON-OFF dataset outside the active region, which no parameter changes.

    Parameters
    ----------
    name, counts, static, mask, active
        As for `outside_sums`.
    counts_off, alpha : array[K, ny, nx]

    Returns
    -------
    SimpleNamespace
        As from `outside_sums`, with no special bins and sums that count bins only, and ``constant``, a float.

    Raises
    ------
    DatasetError
        For NaN or negative counts inside the mask.
    """
    kernel, backend = kernels.cpu("background"), backend_of(counts)
    xp = backend.xp
    sums, constant = np.zeros((counts.shape[0], kernel.N_SUMS)), 0.0
    good = (counts >= 0) & (counts < xp.inf)
    sums[:, kernel.N_BINS], sums[:, kernel.BAD_COUNTS] = (to_host(a.sum(axis=(1, 2))) for a in (mask, mask & ~good))
    if not active.all():  # a spectrum has no other pixels
        use = mask & good & ~to_device(active, backend)
        for k in range(counts.shape[0]):  # energy by energy, so that temporaries stay the size of one plane
            here = use[k] & (alpha[k] > 0)
            signal = xp.zeros(()) if static is None else static[k][here]
            constant += float(wstat(counts[k][here], counts_off[k][here], alpha[k][here], signal).sum())
    _refuse_bad(name, sums)
    return SimpleNamespace(sums=sums, bins=np.zeros(0, dtype=np.int64), values=np.zeros((0, 3)), constant=constant)


def _refuse_bad(name, sums):
    kernel = kernels.cpu("background")
    for column, what, wish in (
        (kernel.BAD_COUNTS, "counts", "NaN, infinite or negative"),
        (kernel.BAD_TEMPLATE, "background", "NaN or infinite"),
    ):
        if bad := int(sums[:, column].sum()):
            raise DatasetError(
                f"dataset '{name}': {what} are {wish} in {bad} bins inside the fit mask; exclude them with mask_safe or mask_fit"
            )


def _host_sums(counts, template, static, mask, active):
    kernel = kernels.cpu("background")
    static = np.zeros((counts.shape[0], 0, 0)) if static is None else static
    mask = mask.view()
    mask.flags.writeable = False  # some masks are, some are not: kernels would be compiled for both
    sums, special = np.zeros((counts.shape[0], kernel.N_SUMS)), np.zeros(counts.shape[0], dtype=np.int64)
    kernel.outside_sums(counts, template, static, mask, active, sums, special)
    number = int(special.sum())
    bins, values = np.zeros(number, dtype=np.int64), np.zeros((number, 3))
    if number:
        kernel.special_bins(counts, template, static, mask, active, bins, values)
    return SimpleNamespace(sums=sums, bins=bins, values=values)


def _array_sums(counts, template, static, mask, active, weight):
    """The same in array operations, with weights if there are any, energy by energy, so that temporaries stay the size of one plane."""
    kernel, backend = kernels.cpu("background"), backend_of(counts)
    xp, active = backend.xp, to_device(active, backend)
    sums, bins, values = [], [], []
    for k in range(counts.shape[0]):
        n, b, use = counts[k].astype(xp.float64), template[k].astype(xp.float64), mask[k]
        s = xp.zeros(n.shape) if static is None else static[k]
        w = 1.0 if weight is None else weight[k].astype(xp.float64)
        good_n, good_b = (n >= 0) & (n < xp.inf), xp.isfinite(b)
        ordinary = use & good_n & good_b & ~active
        special = ordinary & ((s != 0) | ((b != 0) & (b < kernel.TEMPLATE_FLOOR)))
        empty = ordinary & ~special & (b == 0)
        closed = ordinary & ~special & ~empty
        row = [None] * kernel.N_SUMS
        row[kernel.SUM_TEMPLATE] = xp.where(closed, w * b, 0.0).sum()
        row[kernel.SUM_COUNTS] = xp.where(closed & (n > 0), w * n, 0.0).sum()
        row[kernel.SUM_COUNTS_LOG] = xp.where(closed & (n > 0), w * n * xp.log(xp.where(closed, b, 1.0)), 0.0).sum()
        row[kernel.EMPTY_BINS], row[kernel.EMPTY_COUNTS] = xp.where(empty, w, 0.0).sum(), xp.where(empty, w * n, 0.0).sum()
        row[kernel.N_BINS] = use.sum()
        row[kernel.BAD_COUNTS], row[kernel.BAD_TEMPLATE] = (use & ~good_n).sum(), (use & good_n & ~good_b).sum()
        sums.append(to_host(xp.stack([value.astype(xp.float64) for value in row])))
        at = xp.flatnonzero(special)
        bins.append(np.full(at.size, k, dtype=np.int64))
        columns = [n, b, s] if weight is None else [n, b, s, w]
        values.append(to_host(xp.stack([column.ravel()[at] for column in columns], axis=1)))
    return SimpleNamespace(sums=np.array(sums), bins=np.concatenate(bins), values=np.concatenate(values))
