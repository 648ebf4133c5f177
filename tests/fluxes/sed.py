"""Tables of flux points for tests: the same six points in every SED type, as plain numbers."""

import astropy.units as u
import numpy as np
from astropy.table import Table

UNITS = {"dnde": "cm-2 s-1 TeV-1", "e2dnde": "erg cm-2 s-1", "flux": "cm-2 s-1", "eflux": "erg cm-2 s-1"}
EDGES = np.geomspace(0.5, 50, 7)


def make_table(sed_type="dnde", errors="both", limits=(5,), ts=True, seed=0):
    """Six points from 0.5 to 50 TeV of a power law of index 2.4, scattered by their errors; `limits` are upper limits.

    Parameters
    ----------
    sed_type : {"dnde", "e2dnde", "flux", "eflux"}
    errors : {"both", "symmetric", "asymmetric", None}
    limits : tuple of int
        Points that are upper limits.
    ts : bool
        With a column sqrt_ts.
    """
    energy, width = np.sqrt(EDGES[1:] * EDGES[:-1]), np.diff(EDGES)
    values = 3e-12 * energy**-2.4
    values = {
        "dnde": values,
        "e2dnde": values * energy**2 * u.TeV.to("erg"),
        "flux": values * width,
        "eflux": values * width * energy * u.TeV.to("erg"),
    }[sed_type]
    relative = np.array([0.05, 0.06, 0.08, 0.12, 0.2, 0.6])
    values = values * (1 + relative * np.random.default_rng(seed).normal(size=6))
    error = np.abs(values) * relative
    is_ul = np.isin(np.arange(6), limits)
    table = Table({"e_ref": energy * u.TeV, "e_min": EDGES[:-1] * u.TeV, "e_max": EDGES[1:] * u.TeV}, meta={"SED_TYPE": sed_type})
    columns = {"": values}
    if errors in ("both", "symmetric"):
        columns["_err"] = error
    if errors in ("both", "asymmetric"):
        columns |= {"_errn": 0.9 * error, "_errp": 1.2 * error}
    columns["_ul"] = np.abs(values) + 2 * error
    for suffix, column in columns.items():
        table[sed_type + suffix] = column * u.Unit(UNITS[sed_type])
    if ts:
        table["sqrt_ts"] = np.where(is_ul, 1.0, values / error)
    return table
