"""What can be known about a flux, as tables: SED types with their units and columns, and the quantities that stand beside the flux."""

import astropy.units as u

from ..core.errors import DatasetError

__all__ = ["COMMON", "REQUIRED_COLUMNS", "SED_UNITS", "SUFFIXES", "all_quantities", "checked_sed_type", "guess_sed_type", "stored_name"]

SED_UNITS = {
    "dnde": u.Unit("cm-2 s-1 TeV-1"),
    "e2dnde": u.Unit("erg cm-2 s-1"),
    "flux": u.Unit("cm-2 s-1"),
    "eflux": u.Unit("erg cm-2 s-1"),
    "likelihood": u.dimensionless_unscaled,
}
"""Units of the columns of a table by SED type."""

REQUIRED_COLUMNS = {
    "dnde": ("e_ref", "dnde"),
    "e2dnde": ("e_ref", "e2dnde"),
    "flux": ("e_min", "e_max", "flux"),
    "eflux": ("e_min", "e_max", "eflux"),
    "likelihood": ("e_min", "e_max", "e_ref", "ref_dnde", "ref_flux", "ref_eflux", "norm"),
}
"""Columns that a table of each SED type must have; a table without the name of its SED type is told by them, in this order."""

SUFFIXES = ("", "_err", "_errp", "_errn", "_ul", "_sensitivity")
"""What is known of a flux: itself, errors, upper limit, sensitivity; stored as norm, norm_err, ..."""

COMMON = (
    "ts",
    "sqrt_ts",
    "npred",
    "npred_excess",
    "stat",
    "stat_null",
    "stat_scan",
    "dnde_scan_values",
    "niter",
    "is_ul",
    "counts",
    "success",
    "n_dof",
)
"""Quantities that do not depend on the SED type."""


def checked_sed_type(sed_type):
    """The SED type if it is known.

    Raises
    ------
    DatasetError
        With the known ones.
    """
    if sed_type not in REQUIRED_COLUMNS:
        raise DatasetError(f"Unknown SED type: {sed_type!r}; known: {', '.join(REQUIRED_COLUMNS)}")
    return sed_type


def stored_name(sed_type):
    """Name of the flux among the maps of a SED type: the type itself, "norm" for "likelihood"."""
    return "norm" if sed_type == "likelihood" else sed_type


def all_quantities(sed_type):
    """Names of all quantities of a SED type, in the order of the columns of a table."""
    name = stored_name(checked_sed_type(sed_type))
    suffixes = ("", "_err", "_errn", "_errp", "_ul", "_sensitivity") if sed_type == "likelihood" else SUFFIXES
    return [name + suffix for suffix in suffixes] + list(COMMON)


def guess_sed_type(names):
    """SED type whose required columns are all there; None if there is none."""
    return next((sed_type for sed_type, columns in REQUIRED_COLUMNS.items() if set(columns) <= set(names)), None)
