"""The fit statistics a dataset can bring to a likelihood, and what each needs beside counts and prediction.

`cash` needs nothing, `cash_weighted` a weight per bin, `wstat` the counts of the off region and alpha. `statistic_of` reads which one a
dataset has, `extras_of` takes the arrays from it and checks them.
"""

import warnings

from gpudl4.core.backend import array_namespace
from gpudl4.core.errors import DatasetError, GeometryError

__all__ = ["CASH", "CASH_WEIGHTED", "EXTRAS", "WSTAT", "check_extras", "extras_of", "statistic_of", "weights_of"]

CASH, CASH_WEIGHTED, WSTAT = "cash", "cash_weighted", "wstat"
EXTRAS = {CASH: (), CASH_WEIGHTED: ("weight",), WSTAT: ("counts_off", "alpha")}
UNMEASURED = 1e30  # alpha above this is a division by an acceptance of 0 in the off region


def statistic_of(dataset):
    """Statistic of a dataset that compares counts; "cash" where it names none.

    Raises
    ------
    DatasetError
        If it is not one of `EXTRAS`.
    """
    kind = getattr(dataset, "stat_type", CASH)
    if kind not in EXTRAS:
        raise DatasetError(f"dataset '{dataset.name}': stat_type {kind!r} is not a statistic of counts; known: {', '.join(EXTRAS)}")
    return kind


def weights_of(dataset):
    """Product of mask_safe and mask_fit, whose values are the weights of "cash_weighted"; None if there is neither.

    Parameters
    ----------
    dataset : dataset-like

    Returns
    -------
    weight : array[K, ny, nx]
        Of the masks' type; NaN and negative values count as 0.
    """
    given = [mask.data for mask in (dataset.mask_safe, dataset.mask_fit) if mask is not None]
    if not given:
        if dataset.mask is None:
            return None
        given = [dataset.mask.data]
    xp, out = array_namespace(*given), given[0]
    for other in given[1:]:
        out = out * other
    return xp.where(out > 0, out, 0) if out.dtype.kind == "f" else out


def check_extras(dataset):
    """Check that a dataset has what its statistic needs, on the geometry of its counts.

    Raises
    ------
    DatasetError
        If a field is missing.
    GeometryError
        If it lies elsewhere.
    """
    if statistic_of(dataset) == WSTAT:
        for name, wish in (("counts_off", "counts_off"), ("alpha", "acceptance and acceptance_off")):
            field = getattr(dataset, name, None)
            if field is None:
                raise DatasetError(f"dataset '{dataset.name}' has no {name}, which its statistic wstat needs: set {wish}")
            if not field.geom == dataset.counts.geom:
                raise GeometryError(f"dataset '{dataset.name}': {name} and counts have different geometries")


def extras_of(dataset, kind, mask):
    """Arrays that the statistic of a dataset needs beside counts and prediction.

    Parameters
    ----------
    dataset : dataset-like
    kind : str
        See `statistic_of`; what it needs is there (`check_extras`).
    mask : bool array[K, ny, nx]
        Bins that take part.

    Returns
    -------
    dict
        Name -> array[K, ny, nx], on the backend of the mask.

    Raises
    ------
    DatasetError
        For NaN, infinite or negative values inside the mask.
    """
    xp = array_namespace(mask)
    if kind == CASH:
        return {}
    if kind == CASH_WEIGHTED:
        weight = weights_of(dataset)
        weight = xp.ones(mask.shape, dtype="float32") if weight is None else weight
        if weight.dtype.kind != "f":
            weight = weight.astype("float32")
        return {"weight": xp.ascontiguousarray(xp.broadcast_to(weight, mask.shape))}
    counts_off, alpha = (xp.ascontiguousarray(field.data) for field in (dataset.counts_off, dataset.alpha))
    for name, values in (("counts_off", counts_off), ("alpha", alpha)):
        if bad := int((mask & ~((values >= 0) & (values < xp.inf))).sum()):
            raise DatasetError(
                f"dataset '{dataset.name}': {name} is NaN, infinite or negative in {bad} bins inside the fit mask; exclude them with "
                "mask_safe or mask_fit"
            )
    if unknown := int((mask & (alpha > UNMEASURED)).sum()):
        warnings.warn(
            f"dataset '{dataset.name}': acceptance_off is 0 in {unknown} bins inside the fit mask, which say nothing about the background; "
            "exclude them with mask_safe or mask_fit",
            stacklevel=5,
        )
    return {"counts_off": counts_off, "alpha": alpha}
