"""Reading tables of the OGIP formats, one at a time, to plain values: columns, energies, effective areas. Each says what is wrong with it.

`gpudl4.io.ogip` joins them to the fields of a dataset; use that. How the tables look is in `ogip_tables`.
"""

import numpy as np
from astropy import units as u

from ..core.errors import DataFileError, GeometryError
from .axis import MapAxis
from .bin_tables import joined_edges
from .ogip_tables import ENERGY_COLUMNS

__all__ = ["column", "energy_axis", "find_table", "native", "read_area", "same_bounds"]

EDGE_TOLERANCE = 1e-4  # relative; responses store energies in single precision


def native(values):
    """Array in native byte order; columns of arrays of varying length stay as they are."""
    if not isinstance(values, np.ndarray) or values.dtype == object:
        return values
    return np.asarray(values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("=")))


def find_table(hdulist, name, where):
    """Table HDU by name; DataFileError with the names there are if it is missing."""
    if name not in hdulist:
        found = ", ".join(hdu.name for hdu in hdulist if hdu.name not in ("", "PRIMARY")) or "none"
        raise DataFileError(f"{where}: HDU {name} was wanted, the file has: {found}")
    hdu = hdulist[name]
    if getattr(hdu, "columns", None) is None or hdu.data is None or len(hdu.data) == 0:
        raise DataFileError(f"{where}: HDU {name} is no table with rows")
    return hdu


def column(hdu, name, where):
    """Values of a column in native byte order, and its unit as text or None."""
    if name not in hdu.columns.names:
        raise DataFileError(f"{where}: HDU {hdu.name} has no column {name}; it has: {', '.join(hdu.columns.names)}")
    return native(hdu.data[name]), hdu.columns[name].unit


def energy_axis(hdu, name, where, default_unit=None):
    """Energy axis of a table of bounds.

    Parameters
    ----------
    hdu : `~astropy.io.fits.BinTableHDU`
        Table with E_MIN and E_MAX, or ENERG_LO and ENERG_HI. The unit is that of the lower edges; upper edges are converted.
    name : {"energy", "energy_true"}
        Which of the two.
    where : str
        Name of the file, for messages.
    default_unit : str, optional
        Unit of columns that name none.

    Raises
    ------
    DataFileError
        If a unit is missing or no energy, or the bins are not ascending and adjacent.
    """
    label = f"{where}: HDU {hdu.name}"
    values = []
    for column_name in ENERGY_COLUMNS[name]:
        data, unit = column(hdu, column_name, where)
        try:
            unit = u.Unit(unit or default_unit or "")
            unit.to("TeV")
        except ValueError as error:
            raise DataFileError(
                f"{label}: column {column_name} has the unit '{unit}'; an energy unit such as keV or TeV was wanted (keyword TUNIT)"
            ) from error
        values.append((data, unit))
    (low, unit), (high, high_unit) = values
    if high_unit != unit:
        high = high * high_unit.to(unit)
    if not (np.isfinite(low).all() and np.isfinite(high).all() and low[0] > 0 and (high > low).all() and (np.diff(low) > 0).all()):
        raise DataFileError(
            f"{label}: energies must be positive and ascend, got {column_name} and lower edges from {low[0]:.6g} to {high[-1]:.6g} {unit}"
        )
    edges = joined_edges(low, high, f"{label}, {name} in {unit}")
    try:
        return MapAxis.from_edges(edges, unit=unit, name=name, interp="log")
    except GeometryError as error:
        raise DataFileError(f"{label}: {error}") from error


def same_bounds(axis, where, reference, reference_where):
    """Check that two tables of bounds describe the same bins; the axis in the unit of the reference comes back.

    Raises
    ------
    DataFileError
        With a hint where a power of ten lies between them, as it does when keV and TeV are mixed up.
    """
    if axis.nbin != reference.nbin:
        raise DataFileError(
            f"{where} has {axis.nbin} bins in {axis.name}, {reference_where} has {reference.nbin}; both must have the same bins"
        )
    edges, wanted = axis.edges.to_value(reference.unit), reference.edges.value
    if not np.allclose(edges, wanted, rtol=EDGE_TOLERANCE, atol=0):
        ratio = edges / wanted
        power = np.log10(np.median(ratio))
        hint = ""
        if np.ptp(ratio) < EDGE_TOLERANCE * np.median(ratio) and abs(power - round(power)) < EDGE_TOLERANCE:
            hint = f": they differ by a factor 1e{round(power)}, so one of the units is wrong (keV, MeV, GeV and TeV mixed up?)"
        raise DataFileError(
            f"{where} has energies from {edges[0]:.6g} to {edges[-1]:.6g} {reference.unit} in {axis.name}, "
            f"{reference_where} from {wanted[0]:.6g} to {wanted[-1]:.6g}{hint or '; both must have the same bins'}"
        )
    return axis if axis.unit == reference.unit else axis.copy(nodes=edges, unit=reference.unit)


def read_area(hdulist, where):
    """Effective area of an open ARF file: array[L], its unit, the true-energy axis and the header."""
    hdu = find_table(hdulist, "SPECRESP", where)
    area, unit = column(hdu, "SPECRESP", where)
    try:
        unit = u.Unit(unit or "")
        unit.to("cm2")
    except ValueError as error:
        raise DataFileError(f"{where}: the effective area has the unit '{unit}', an area such as cm2 or m2 was wanted") from error
    return area, unit, energy_axis(hdu, "energy_true", where), hdu.header
