"""Flux points as tables: SEDs ("gadf-sed"), light curves, profiles across the sky, and astropy's binned time series.

A "gadf-sed" table has one row per energy. A "lightcurve" has one row per time interval (``time_min``, ``time_max`` in MJD) and a
"profile" one per distance (``x_min``, ``x_max``, ``x_ref``); what is a number in an SED is a vector over energies there. Profiles of the
fit statistic have one more dimension, the norms in the column ``norm_scan``; counts one more, the datasets.
https://gamma-astro-data-formats.readthedocs.io/en/latest/spectra/flux_points/
"""

import warnings

import numpy as np
from astropy import units as u

from ..core.errors import DatasetError, UnitMismatchError
from ..maps import LabelMapAxis, MapAxis, Maps, RegionNDMap, TimeMapAxis
from .quantities import REQUIRED_COLUMNS, SED_UNITS, all_quantities, checked_sed_type, guess_sed_type, stored_name

__all__ = ["FORMATS", "guess_format", "maps_from_table", "meta_of_table", "table_of", "with_format"]

FORMATS = ("gadf-sed", "lightcurve", "profile", "binned-time-series")
OUTER = {"gadf-sed": None, "lightcurve": "time", "profile": "projected-distance"}
"""Axis along the rows of a table, beside energy."""

PER_DATASET = ("counts", "npred", "npred_excess")
LIKELIHOOD_COLUMNS = {"stat": "loglike", "stat_null": "loglike_null", "stat_scan": "dloglike_scan"}
"""Columns of the fit statistic, and those of half of it that other programs write."""

SMALLEST = 1e-100  # error of a flux in any unit; its square in a denominator must not overflow
ROUNDED = 0.01  # relative; published tables hold energies with three digits
FLUX_FORMAT, NUMBER_FORMAT = ".3e", ".3f"


def guess_format(names):
    """Format of a table with these columns."""
    return "lightcurve" if "time_min" in names else "profile" if "x_min" in names else "gadf-sed"


# ------------------------------------------------------------------------------------------------------------------------------- reading


def _values(table, name):
    """Plain native array of a column; masked entries are NaN (False for truth values)."""
    column = table[name]
    values = np.ma.asarray(getattr(column, "data", column)) if not isinstance(column, u.Quantity) else np.ma.asarray(column.value)
    if np.ma.is_masked(values):
        values = values.filled(False) if values.dtype.kind == "b" else values.astype(float).filled(np.nan)
    values = np.asarray(values)
    if values.dtype.kind not in "bifu":
        raise DatasetError(f"column '{name}' of the flux points must hold numbers, it holds {values.dtype}")
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _unit(table, name):
    """Unit of a column; counts and photons are dropped, as in gammapy."""
    unit = table[name].unit
    if unit is None:
        return u.dimensionless_unscaled
    try:
        unit = u.Unit(unit)
    except ValueError as error:
        raise UnitMismatchError(f"column '{name}' of the flux points has the unknown unit '{unit}'") from error
    bases = [(base, power) for base, power in zip(unit.bases, unit.powers, strict=True) if str(base) not in ("ph", "ct", "photon", "count")]
    return u.CompositeUnit(unit.scale, [base for base, _ in bases], [power for _, power in bases])


def _energies(table, name):
    """Energies of a column, the same in all rows of a table with vectors."""
    values, unit = _values(table, name), _unit(table, name)
    if not unit.is_equivalent("TeV"):
        raise UnitMismatchError(f"column '{name}' of the flux points has the unit '{unit}', an energy was wanted: set table['{name}'].unit")
    if values.ndim == 2:
        if not np.allclose(values, values[0], rtol=1e-9, atol=0):
            raise DatasetError(f"column '{name}' of the flux points: all rows must have the same energies")
        values = values[0]
    return values * unit


def _energy_axis(table):
    if "e_min" in table.colnames and "e_max" in table.colnames:
        low, high = _energies(table, "e_min"), _energies(table, "e_max")
        high = high.to(low.unit)
        if not np.all(np.diff(low.value) > 0):
            raise DatasetError("flux points must be in the order of their energies: call table.sort('e_min')")
        apart = ~np.isclose(low.value[1:], high.value[:-1], rtol=ROUNDED, atol=0)
        if apart.any():
            first = int(np.argmax(apart))
            warnings.warn(
                f"energy bins do not follow each other: bin {first} ends at {high[first]:.4g}, the next one starts at "
                f"{low[first + 1]:.4g}. Each bin is taken to end where the next one starts; without the columns e_min and e_max the points "
                "are read at e_ref",
                UserWarning,
                stacklevel=5,
            )
        return MapAxis.from_energy_edges(np.append(low.value, high.value[-1]) * low.unit)
    if "e_ref" in table.colnames:
        return MapAxis.from_nodes(_energies(table, "e_ref"), name="energy", interp="log")
    raise DatasetError(f"flux points need the column 'e_ref', or 'e_min' and 'e_max'; the table has: {', '.join(table.colnames)}")


def _norm_axis(table):
    nodes = _values(table, "norm_scan")
    nodes = nodes.reshape(-1, nodes.shape[-1])
    if not np.array_equal(nodes, np.broadcast_to(nodes[0], nodes.shape)):
        raise DatasetError("column 'norm_scan': all points must be scanned at the same norms, as a map has one axis for all")
    return MapAxis.from_nodes(nodes[0], name="norm")


def _dataset_axis(table, number):
    if "datasets" in table.colnames:
        names = np.asarray(table["datasets"]).reshape(-1)
        labels = names[np.sort(np.unique(names, return_index=True)[1])]
        if len(labels) == number:
            return LabelMapAxis(labels, name="dataset")
    return MapAxis.from_edges(np.arange(number + 1) - 0.5, name="dataset")


def _outer_axes(table, format):
    if format == "lightcurve":
        return [TimeMapAxis.from_table(table, format="lightcurve")]
    if format == "profile":
        return [MapAxis.from_nodes(_values(table, "x_ref") * _unit(table, "x_ref"), name="projected-distance")]
    return []


def maps_from_table(table, sed_type=None, format=None):
    """Maps of a table of flux points.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Table; columns that are no quantity of its SED type are left out.
    sed_type : str, optional
        SED type; by default what the keyword SED_TYPE says or follows from the columns.
    format : {"gadf-sed", "lightcurve", "profile"}, optional
        Format; by default told from the columns.

    Returns
    -------
    maps : `~gpudl4.maps.Maps`
        `RegionNDMap` without a region.
    sed_type : str

    Raises
    ------
    DatasetError
        If the SED type cannot be told, a column is missing or does not have the shape of the others.
    UnitMismatchError
        If an energy has no unit of an energy.
    """
    format = guess_format(table.colnames) if format is None else format
    if format not in OUTER:
        raise DatasetError(f"flux points cannot be read in the format {format!r}; known: {', '.join(OUTER)}")
    if len(table) == 0:
        raise DatasetError("the table of flux points has no rows")
    if sed_type is None:
        sed_type = table.meta.get("SED_TYPE") or guess_sed_type(table.colnames)
    if sed_type is None:
        raise DatasetError(
            "Specifying the SED type is required: it follows neither from a keyword SED_TYPE nor from the columns "
            f"{', '.join(table.colnames)}; give sed_type= one of {', '.join(REQUIRED_COLUMNS)}"
        )
    sed_type = checked_sed_type(str(sed_type).strip())
    if stored_name(sed_type) not in table.colnames:
        raise DatasetError(
            f"Missing data / column for SED type '{sed_type}': '{stored_name(sed_type)}'; the table has: {', '.join(table.colnames)}"
        )
    halves = LIKELIHOOD_COLUMNS if sed_type == "likelihood" else {}
    energy, outer, maps = _energy_axis(table), _outer_axes(table, format), Maps()
    for name in all_quantities(sed_type):
        factor, column = 1, name
        if name not in table.colnames:
            column, factor = halves.get(name), 2
        if column not in table.colnames or name == "dnde_scan_values":
            continue
        maps[name] = _map(table, name, column, factor, energy, outer)
    return maps, sed_type


def _map(table, name, column, factor, energy, outer):
    values = _values(table, column)
    axes = [energy, *outer]
    if name == "stat_scan":
        if "norm_scan" not in table.colnames:
            raise DatasetError(f"profiles of the fit statistic ('{column}') need the column 'norm_scan' with the norms they were made at")
        axes.insert(0, _norm_axis(table))
    elif name in PER_DATASET:
        number, rest = divmod(values.size, energy.nbin * (outer[0].nbin if outer else 1))
        if rest or number == 0:
            raise DatasetError(
                f"column '{column}' of the flux points has the shape {values.shape}, which does not fit {energy.nbin} energies"
            )
        axes.insert(0, _dataset_axis(table, number))
    if name.endswith(("_err", "_errn", "_errp")):
        values = _errors(values, column)
    if name in ("is_ul", "success"):
        values = values.astype(bool)
    shape = tuple(axis.nbin for axis in axes)[::-1] + (1, 1)
    if values.size != int(np.prod(shape)):
        wanted = " x ".join(f"{axis.nbin} ({axis.name})" for axis in axes[::-1])
        raise DatasetError(f"column '{column}' of the flux points has the shape {values.shape}, wanted {wanted}")
    values = values.reshape(shape)
    return RegionNDMap.create(None, axes=axes, data=values if factor == 1 else factor * values, unit=_unit(table, column))


def _errors(values, column):
    """Errors of fluxes; what is negative or vanishing is unknown, so that the point is not fitted."""
    bad = (values < SMALLEST) & (values != 0)  # an error of 0 has always meant that it is not known
    if not bad.any():
        return values
    what = f"are negative or below {SMALLEST:g} and count as unknown"
    warnings.warn(f"{int(bad.sum())} of {values.size} errors in column '{column}' of the flux points {what}", UserWarning, stacklevel=6)
    return np.where(bad, np.nan, values)


def meta_of_table(table, sed_type):
    """Metadata of flux points: the keywords of the table, and the significance of its limits."""
    from scipy.stats import norm

    meta = dict(table.meta)
    meta["SED_TYPE"] = meta["sed_type_init"] = sed_type
    confidence = table.meta.get("UL_CONF")
    if confidence:
        meta["n_sigma_ul"] = float(np.round(norm.isf(0.5 * (1 - float(confidence))), 1))
    return meta


# ------------------------------------------------------------------------------------------------------------------------------- writing


def _plain(data):
    """Data without the two sky dimensions."""
    return data[..., 0, 0]


def table_of(fluxes, sed_type, format):
    """Table of flux points in a format.

    Parameters
    ----------
    fluxes : `FluxPoints`
    sed_type : str
        SED type.
    format : {"gadf-sed", "lightcurve", "profile", "binned-time-series"}
        Format.

    Returns
    -------
    table : `~astropy.table.Table`

    Raises
    ------
    DatasetError
        If the format is unknown or does not fit the axes.
    """
    checked_sed_type(sed_type)
    if format not in FORMATS:
        raise DatasetError(f"Not a supported format {format!r}; known: {', '.join(FORMATS)}")
    names = fluxes.geom.axes.names
    if format == "binned-time-series":
        return _time_series(fluxes, sed_type)
    wanted = ["energy"] if OUTER[format] is None else ["energy", OUTER[format]]
    if names != wanted:
        hint = "Only flux points with a single energy axis can be converted to 'gadf-sed'. " if format == "gadf-sed" else ""
        raise DatasetError(f"{hint}Format '{format}' needs the axes {wanted}, these flux points have {names}")
    return _rows(fluxes, sed_type, format)


def _rows(fluxes, sed_type, format):
    from astropy.table import Table
    from scipy.stats import norm

    table, axis = Table(), fluxes.energy_axis
    outer = None if OUTER[format] is None else fluxes.geom.axes[OUTER[format]]
    lead = () if outer is None else (outer.nbin,)
    if isinstance(outer, TimeMapAxis):
        table["time_min"], table["time_max"] = outer.time_min.mjd, outer.time_max.mjd
    elif outer is not None:
        table["x_min"], table["x_max"] = outer.edges_min, outer.edges_max
        table["x_ref"] = (outer.edges_min + outer.edges_max) / 2
    along = {"e_ref": axis.center}
    if fluxes.is_convertible_to_flux_sed_type:
        along |= {"e_min": axis.edges_min, "e_max": axis.edges_max}
    if sed_type == "likelihood":
        for name in ("dnde", "flux", "eflux"):
            if name == "dnde" or fluxes.is_convertible_to_flux_sed_type:
                along[f"ref_{name}"] = getattr(fluxes, f"{name}_ref")[:, 0, 0].to(SED_UNITS[name])
    for name, values in along.items():
        table[name] = u.Quantity(np.broadcast_to(values.value, lead + values.shape), values.unit)
    for name in all_quantities(sed_type):
        found = getattr(fluxes, name, None)
        if found is None or (name == "is_ul" and not fluxes.has_ul):
            continue
        data, unit = _plain(found.data), found.unit
        if unit == u.dimensionless_unscaled:
            table[name] = data
        else:
            table[name] = u.Quantity(data, unit).to(SED_UNITS[sed_type] if sed_type != "likelihood" else unit)
    if fluxes.has_stat_profiles:
        norms = fluxes.stat_scan.geom.axes["norm"].center.value
        table["norm_scan"] = np.broadcast_to(norms, (*lead, axis.nbin, norms.size))
    table.meta["SED_TYPE"] = sed_type
    if fluxes.n_sigma_ul:
        table.meta["UL_CONF"] = float(np.round(1 - 2 * norm.sf(fluxes.n_sigma_ul), 7))
    if isinstance(outer, TimeMapAxis):
        table.meta.update({"MJDREFI": 0, "MJDREFF": 0.0, "TIMESYS": outer.reference_time.scale, "TIMEUNIT": "d"})
    return table


def _time_series(fluxes, sed_type):
    from astropy.table import Table

    axes = fluxes.geom.axes
    if not (axes.is_unidimensional and isinstance(axes.primary_axis, TimeMapAxis)):
        raise DatasetError(f"Format 'binned-time-series' supports a single time axis only. Got {axes.names} of {axes.shape} bins")
    axis, table = axes.primary_axis, Table()
    table["time_bin_start"], table["time_bin_size"] = axis.time_min, axis.time_delta
    for name in all_quantities(sed_type):
        found = getattr(fluxes, name, None)
        if found is not None:
            data = found.data.reshape((axis.nbin, -1))
            data = data[:, 0] if data.shape[1] == 1 else data
            table[name] = data if found.unit == u.dimensionless_unscaled else u.Quantity(data, found.unit)
    return table


def with_format(table):
    """The table with formats for printing: three digits."""
    for name in table.colnames:
        if name.startswith(("dnde", "eflux", "flux", "e2dnde", "ref")):
            table[name].format = FLUX_FORMAT
        elif name.startswith(("e_min", "e_max", "e_ref", "sqrt_ts", "norm", "ts", "stat")):
            table[name].format = NUMBER_FORMAT
    return table
