"""Axes in FITS tables: the ``*_BANDS`` tables of GADF maps, EBOUNDS and ENERGIES of Fermi cubes, OGIP energy bounds.

A bands table has one row per image plane (CHANNEL, fastest axis first) and three columns per axis: the centre under the upper case
name of the axis, and ``NAME_MIN``, ``NAME_MAX``; for the axis "energy" these two are called E_MIN and E_MAX. The header tells for axis
n which columns define it (``AXCOLSn``: two names mean edges, one means centres) and its scale (``INTERPn``). Format description:
https://gamma-astro-data-formats.readthedocs.io/en/latest/skymaps/
"""

import numpy as np
from astropy import units as u
from astropy.io import fits

from ..core.errors import DataFileError, GeometryError
from .axes import MapAxes
from .axis import MapAxis
from .label_axis import LabelMapAxis
from .time_axis import TimeMapAxis

__all__ = ["axes_from_table", "axes_to_header", "axes_to_table_hdu", "axis_from_table", "axis_to_table"]

# Files of older versions call the offset axis of a PSF "theta".
_OLD_NAMES = {"theta": "rad"}
# Pairs of columns that hold the edges of the one energy axis, and its name.
_EDGE_COLUMNS = {"ogip": ("E_MIN", "E_MAX", "energy"), "fgst-ccube": ("E_MIN", "E_MAX", "energy")}
_EDGE_COLUMNS["ogip-arf"] = ("ENERG_LO", "ENERG_HI", "energy_true")


class _Columns:
    """Columns and keywords of a FITS table HDU or an astropy table, seen alike."""

    def __init__(self, table):
        is_hdu = isinstance(table, fits.BinTableHDU)
        self.label = f"table HDU '{table.name}'" if is_hdu else "table"
        self.meta = table.header if is_hdu else table.meta
        self.names = table.columns.names if is_hdu else table.colnames
        self._table, self._is_hdu = table, is_hdu

    def get(self, name):
        """Values as native float64, and the unit."""
        if name not in self.names:
            raise DataFileError(f"{self.label} has no column '{name}'; it has: {', '.join(self.names)}")
        if self._is_hdu:
            values, unit = self._table.data[name], self._table.columns[name].unit
        else:
            values, unit = np.asarray(self._table[name]), self._table[name].unit
        try:
            return np.asarray(values, dtype=float), u.Unit(unit or "")
        except ValueError as error:
            raise DataFileError(f"{self.label}: column '{name}' has the unknown unit '{unit}'") from error

    def holds_texts(self, name):
        """Whether a column holds texts."""
        return np.asarray(self._table.data[name] if self._is_hdu else self._table[name]).dtype.kind in "SU"


def _columns_of(axis):
    name = axis.name.upper()
    return [name, "E_MIN", "E_MAX"] if name == "ENERGY" else [name, f"{name}_MIN", f"{name}_MAX"]


def axes_to_header(axes, format="gadf"):
    """FITS cards AXCOLSn and INTERPn.

    Parameters
    ----------
    axes : `~gpudl4.maps.MapAxes`
        Axes.
    format : {"gadf", "fgst-ccube", "fgst-template"}
        Format.

    Returns
    -------
    header : `~astropy.io.fits.Header`
        Cards.
    """
    if format not in ("gadf", "fgst-ccube", "fgst-template"):
        raise GeometryError(f"unknown format {format!r} for the axes of a map: choose 'gadf', 'fgst-ccube' or 'fgst-template'")
    header = fits.Header()
    for number, axis in enumerate(axes, start=1):
        if not isinstance(axis, MapAxis):
            header.update(axis.to_header(idx=number))
            continue
        center, low, high = _columns_of(axis)
        header[f"AXCOLS{number}"] = f"{low},{high}" if axis.node_type == "edges" else center
        header[f"INTERP{number}"] = axis.interp
    return header


def axes_to_table_hdu(axes, format="gadf", hdu_bands=None):
    """Bands table.

    Parameters
    ----------
    axes : `~gpudl4.maps.MapAxes`
        Axes.
    format : {"gadf", "fgst-ccube", "fgst-template"}
        Format.
    hdu_bands : str, optional
        Name of the HDU, "BANDS" by default. The Fermi formats have fixed names; "fgst-template" holds the centres in MeV.

    Returns
    -------
    hdu : `~astropy.io.fits.BinTableHDU`
        Table with one row per image plane.
    """
    header = axes_to_header(axes, format)
    name = {"fgst-ccube": "EBOUNDS", "fgst-template": "ENERGIES"}.get(format, hdu_bands or "BANDS")
    shape = axes.shape[::-1]
    columns = [fits.Column("CHANNEL", "K", array=np.arange(int(np.prod(shape))))]
    if format == "fgst-template":
        energy = axes[0].center.to_value("MeV")
        return fits.BinTableHDU.from_columns([fits.Column("Energy", "D", array=energy, unit="MeV")], name=name)
    for idx, axis in enumerate(axes):
        along = [1] * len(axes)
        along[-idx - 1] = -1
        if axis.node_type == "label":
            labels = np.broadcast_to(axis.center.reshape(along), shape).ravel()
            columns.append(fits.Column(axis.name.upper(), f"{max(map(len, labels))}A", array=labels))
            continue
        for label, values in zip(_columns_of(axis), (axis.center, axis.edges_min, axis.edges_max), strict=True):
            array = np.broadcast_to(values.to_value(axis.unit).reshape(along), shape).ravel()
            columns.append(fits.Column(label, "D", array=array, unit=axis.unit.to_string("fits")))
    return fits.BinTableHDU.from_columns(columns, header=header, name=name)


def axes_from_table(table, format="gadf"):
    """Axes from a bands table.

    Parameters
    ----------
    table : `~astropy.io.fits.BinTableHDU` or `~astropy.table.Table`
        Bands table.
    format : {"gadf", "fgst-ccube", "fgst-template", "fgst-bexpcube", "ogip", "ogip-arf"}
        Format; all but "gadf" hold one energy axis.

    Returns
    -------
    axes : `~gpudl4.maps.MapAxes`
        Axes.

    Raises
    ------
    DataFileError
        If a column is missing or its unit is unknown, or a GADF table names no axis.
    """
    if format != "gadf":
        return MapAxes([axis_from_table(table, format)])
    columns, axes = _Columns(table), []
    while f"AXCOLS{len(axes) + 1}" in columns.meta:
        axes.append(_other_axis(table, columns, len(axes) + 1) or _gadf_axis(columns, len(axes) + 1))
    if not axes:
        raise DataFileError(f"{columns.label} names no axes: keyword AXCOLS1 is missing")
    return MapAxes(axes)


def _other_axis(table, columns, number):
    """Axis of labels or of times, told by texts in its column or by the keyword of a reference time; None for any other."""
    names = [name.strip() for name in columns.meta[f"AXCOLS{number}"].split(",")]
    is_time = len(names) == 2 and "MJDREFI" in columns.meta and names[0] in columns.names and columns.get(names[0])[1].is_equivalent("s")
    is_label = len(names) == 1 and names[0] in columns.names and columns.holds_texts(names[0])
    if not is_time and not is_label:
        return None
    if isinstance(table, fits.BinTableHDU):
        from astropy.table import Table

        table = Table.read(table)
    try:
        return (TimeMapAxis if is_time else LabelMapAxis).from_table(table, idx=number - 1)
    except GeometryError as error:
        raise DataFileError(f"{columns.label}: {error}") from error


def _gadf_axis(columns, number):
    names = [name.strip() for name in columns.meta[f"AXCOLS{number}"].split(",")]
    name = "energy" if names[0] == "E_MIN" else names[0].removesuffix("_MIN").lower()
    values, unit = columns.get(names[0])
    nodes = np.unique(values)
    if len(names) == 2:
        upper, upper_unit = columns.get(names[1])
        nodes = np.append(nodes, upper.max() * upper_unit.to(unit))
    interp = columns.meta.get(f"INTERP{number}", "lin")
    node_type = "edges" if len(names) == 2 else "center"
    try:
        return MapAxis(nodes, interp=interp, name=_OLD_NAMES.get(name, name), node_type=node_type, unit=unit)
    except GeometryError as error:
        raise DataFileError(f"{columns.label}: {error}") from error


def axis_from_table(table, format="ogip", idx=0):
    """One axis from a table.

    Parameters
    ----------
    table : `~astropy.io.fits.BinTableHDU` or `~astropy.table.Table`
        Table.
    format : {"ogip", "ogip-arf", "fgst-ccube", "fgst-template", "fgst-bexpcube", "gadf"}
        "ogip" and "fgst-ccube": E_MIN and E_MAX, axis "energy". "ogip-arf": ENERG_LO and ENERG_HI, axis "energy_true".
        "fgst-template" and "fgst-bexpcube": centres in MeV in a column Energy, axis "energy_true".
    idx : int
        For "gadf", the number of the axis, from 0.

    Returns
    -------
    axis : `~gpudl4.maps.MapAxis`
        Axis.

    Raises
    ------
    DataFileError
        If a column is missing.
    GeometryError
        If the format is unknown.
    """
    columns = _Columns(table)
    if format == "gadf":
        if f"AXCOLS{idx + 1}" not in columns.meta:
            raise DataFileError(f"{columns.label}: keyword AXCOLS{idx + 1} is missing")
        return _gadf_axis(columns, idx + 1)
    if format in _EDGE_COLUMNS:
        low_name, high_name, name = _EDGE_COLUMNS[format]
        (low, unit), (high, high_unit) = columns.get(low_name), columns.get(high_name)
        return MapAxis.from_edges(np.append(low, high[-1] * high_unit.to(unit)), unit=unit, name=name, interp="log")
    if format in ("fgst-template", "fgst-bexpcube"):
        column = next((name for name in columns.names if name.lower() == "energy"), "Energy")
        return MapAxis.from_nodes(columns.get(column)[0], unit="MeV", name="energy_true", interp="log")
    raise GeometryError(f"unknown table format {format!r} for an axis")


def axis_to_table(axis, format="ogip"):
    """Table of one energy axis.

    Parameters
    ----------
    axis : `~gpudl4.maps.MapAxis`
        Axis "energy" for "ogip", "energy_true" for "ogip-arf".
    format : {"ogip", "ogip-sherpa", "ogip-arf", "ogip-arf-sherpa"}
        Format; the sherpa ones are in keV.

    Returns
    -------
    table : `~astropy.table.Table`
        CHANNEL, E_MIN, E_MAX; or ENERG_LO, ENERG_HI.
    """
    from astropy.table import Table

    if format not in ("ogip", "ogip-sherpa", "ogip-arf", "ogip-arf-sherpa"):
        raise GeometryError(f"unknown table format {format!r} for an axis")
    edges = axis.edges.to("keV") if format.endswith("sherpa") else axis.edges
    if format.startswith("ogip-arf"):
        axis.assert_name("energy_true")
        return Table({"ENERG_LO": edges[:-1], "ENERG_HI": edges[1:]})
    axis.assert_name("energy")
    return Table({"CHANNEL": np.arange(axis.nbin, dtype=np.int16), "E_MIN": edges[:-1], "E_MAX": edges[1:]})
