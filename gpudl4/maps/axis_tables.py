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
from .bin_tables import cycle, joined_edges
from .label_axis import LabelMapAxis
from .ogip_tables import ENERGY_COLUMNS, OGIP_FORMATS, bounds_columns, energy_columns, ogip_cards
from .time_axis import TimeMapAxis

__all__ = [
    "axes_from_table",
    "axes_to_header",
    "axes_to_table_hdu",
    "axis_from_table",
    "axis_to_header",
    "axis_to_table",
    "axis_to_table_hdu",
]

# Files of older versions call the offset axis of a PSF "theta".
_OLD_NAMES = {"theta": "rad"}
# Formats of one energy axis with columns of edges, and its name; what is read tells its own unit.
_ENERGY_AXES = {"fgst-ccube": "energy"} | {format: "energy_true" if "arf" in format else "energy" for format in OGIP_FORMATS}
# Prefixes of the columns of DL3 response tables (GADF 0.2), in their order in a file; the axis and its scale.
_DL3_AXES = {
    "THETA": ("offset", "lin"),
    "ENERG": ("energy_true", "log"),
    "ETRUE": ("energy_true", "log"),
    "RAD": ("rad", "lin"),
    "DETX": ("fov_lon", "lin"),
    "DETY": ("fov_lat", "lin"),
    "MIGRA": ("migra", "lin"),
}
_BANDS_NAMES = {"fgst-ccube": "EBOUNDS", "ogip": "EBOUNDS", "ogip-sherpa": "EBOUNDS", "fgst-template": "ENERGIES"}
_GADF_FORMATS = ("gadf", "fgst-ccube", "fgst-template")


class _Columns:
    """Columns and keywords of a FITS table HDU or an astropy table, seen alike."""

    def __init__(self, table):
        is_hdu = isinstance(table, fits.BinTableHDU)
        self.label = f"table HDU '{table.name}'" if is_hdu else "table"
        self.meta = table.header if is_hdu else table.meta
        self.names = table.columns.names if is_hdu else table.colnames
        self._table, self._is_hdu = table, is_hdu

    @property
    def rows(self):
        """Number of rows."""
        return len(self._table.data if self._is_hdu else self._table)

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


def axis_to_header(axis, format="ogip", idx=0):
    """FITS cards of one axis.

    Parameters
    ----------
    axis : `~gpudl4.maps.MapAxis`
        Axis.
    format : {"ogip", "ogip-sherpa", "gadf", "fgst-ccube", "fgst-template"}
        "ogip": those of an EBOUNDS table (OGIP CAL/GEN/92-002); else AXCOLSn and INTERPn.
    idx : int
        The n.

    Returns
    -------
    header : `~astropy.io.fits.Header`
        Cards.
    """
    header = fits.Header()
    if format in ("ogip", "ogip-sherpa"):
        # an axis knows no telescope; gammapy writes the same
        header.update({"EXTNAME": "EBOUNDS"} | ogip_cards("EBOUNDS", axis.nbin) | {"TELESCOP": "DUMMY", "INSTRUME": "DUMMY"})
        return header
    if format not in _GADF_FORMATS:
        raise GeometryError(f"unknown format {format!r} for the header of an axis: choose 'ogip', 'ogip-sherpa' or {_GADF_FORMATS}")
    center, low, high = _columns_of(axis)
    header[f"AXCOLS{idx}"] = f"{low},{high}" if axis.node_type == "edges" else center
    header[f"INTERP{idx}"] = axis.interp
    return header


def axes_to_header(axes, format="gadf"):
    """FITS cards of all axes, numbered from 1; see `axis_to_header`."""
    header = fits.Header()
    for number, axis in enumerate(axes, start=1):
        header.update(axis_to_header(axis, format, number) if isinstance(axis, MapAxis) else axis.to_header(idx=number))
    return header


def axes_to_table_hdu(axes, format="gadf", hdu_bands=None):
    """Bands table.

    Parameters
    ----------
    axes : `~gpudl4.maps.MapAxes`
        Axes.
    format : {"gadf", "fgst-ccube", "fgst-template", "ogip", "ogip-sherpa"}
        Format.
    hdu_bands : str, optional
        Name of the HDU, "BANDS" by default. The other formats have fixed names; "fgst-template" holds the centres in MeV, "ogip" the
        one axis "energy".

    Returns
    -------
    hdu : `~astropy.io.fits.BinTableHDU`
        Table with one row per image plane.
    """
    header = axes_to_header(axes, format)
    name = _BANDS_NAMES.get(format, hdu_bands or "BANDS")
    if format in ("ogip", "ogip-sherpa"):
        if len(axes) != 1:
            raise GeometryError(f"format {format!r} holds one energy axis, got: {axes.names}")
        return axis_to_table_hdu(axes[0], format)
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
    format : {"gadf", "gadf-dl3", "gadf-sed", "profile", "fgst-ccube", "fgst-template", "fgst-bexpcube", "ogip", "ogip-arf"}
        Format. "gadf-dl3" holds the axes of a response table. "gadf-sed" holds "norm" (if there is a column norm_scan), "energy" and
        "dataset" (if there is a column counts); "profile" has "projected-distance" besides. The others hold one energy axis.

    Returns
    -------
    axes : `~gpudl4.maps.MapAxes`
        Axes.

    Raises
    ------
    DataFileError
        If a column is missing or its unit is unknown, or a GADF table names no axis.
    """
    columns, axes = _Columns(table), []
    if format in ("gadf-sed", "profile"):
        kinds = {"gadf-sed-norm": "norm_scan", "gadf-sed-energy": None, "gadf-sed-counts": "counts"}
        axes = [axis_from_table(table, kind) for kind, needed in kinds.items() if needed is None or needed in columns.names]
        return MapAxes([*axes, axis_from_table(table, "profile")] if format == "profile" else axes)
    if format == "gadf-dl3":
        return MapAxes([_dl3_axis(columns, prefix) for prefix in _DL3_AXES if f"{prefix}_LO" in columns.names])
    if format != "gadf":
        return MapAxes([axis_from_table(table, format)])
    while f"AXCOLS{len(axes) + 1}" in columns.meta:
        axes.append(_other_axis(table, columns, len(axes) + 1) or _gadf_axis(columns, len(axes) + 1))
    if not axes:
        raise DataFileError(f"{columns.label} names no axes: keyword AXCOLS1 is missing")
    if (planes := int(np.prod([axis.nbin for axis in axes]))) != columns.rows:
        sizes = " x ".join(f"{axis.nbin} ({axis.name})" for axis in axes)
        raise DataFileError(f"{columns.label} has {columns.rows} rows, but its axes {sizes} make {planes} image planes")
    return MapAxes(axes)


def _other_axis(table, columns, number):
    """Axis of labels or of times, told by texts in its column or by the keyword of a reference time; None for any other."""
    names = _names(columns, number)
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


def _names(columns, number):
    """Names of the columns of an axis: one of centres, or two of edges."""
    names = [name.strip() for name in str(columns.meta[f"AXCOLS{number}"]).split(",")]
    if len(names) > 2:
        raise DataFileError(f"{columns.label}: AXCOLS{number} names {len(names)} columns; one or two were wanted")
    return names


def _gadf_axis(columns, number):
    names = _names(columns, number)
    name = "energy" if names[0] == "E_MIN" else names[0].removesuffix("_MIN").lower()
    values, unit = columns.get(names[0])
    nodes, pattern = cycle(values, f"{columns.label}, column {names[0]}")
    if len(names) == 2:
        upper, upper_unit = columns.get(names[1])
        upper, other = cycle(upper, f"{columns.label}, column {names[1]}")
        if other != pattern:
            raise DataFileError(f"{columns.label}: the columns {names[0]} and {names[1]} do not describe the same bins")
        nodes = joined_edges(nodes, upper * upper_unit.to(unit), f"{columns.label}, axis '{_OLD_NAMES.get(name, name)}'")
    interp = columns.meta.get(f"INTERP{number}", "lin")
    node_type = "edges" if len(names) == 2 else "center"
    try:
        return MapAxis(nodes, interp=interp, name=_OLD_NAMES.get(name, name), node_type=node_type, unit=unit)
    except GeometryError as error:
        raise DataFileError(f"{columns.label}: {error}") from error


def _dl3_axis(columns, prefix):
    if prefix not in _DL3_AXES:
        raise GeometryError(f"unknown column prefix {prefix!r} of a response table: choose one of {', '.join(_DL3_AXES)}")
    name, interp = _DL3_AXES[prefix]
    if prefix == "ENERG" and columns.meta.get("HDUCLAS2") in ("BKG", "RAD_MAX"):
        name = "energy"  # these two are functions of the reconstructed energy
    (low, unit), (high, high_unit) = columns.get(f"{prefix}_LO"), columns.get(f"{prefix}_HI")
    low, high = np.atleast_1d(low[0]), np.atleast_1d(high[0]) * high_unit.to(unit)
    if np.allclose(low, high):
        return MapAxis.from_nodes(high, interp=interp, name=name, unit=unit)
    return MapAxis.from_edges(joined_edges(low, high, f"{columns.label}, axis '{name}'"), interp=interp, name=name, unit=unit)


def _same_rows(values, what):
    """The one row that all rows of a column repeat; a column of numbers as it is."""
    if values.ndim < 2:
        return values
    if not (values == values[0]).all():
        raise DataFileError(f"the rows of column '{what}' differ: they do not define one axis")
    return values[0]


def _sed_energy(columns):
    if "e_min" in columns.names and "e_max" in columns.names:
        (low, unit), (high, high_unit) = columns.get("e_min"), columns.get("e_max")
        low, high = _same_rows(low, "e_min"), _same_rows(high, "e_max")
        return MapAxis.from_energy_edges(np.append(low, high[-1] * high_unit.to(unit)), unit=unit)
    values, unit = columns.get("e_ref")
    return MapAxis.from_nodes(_same_rows(values, "e_ref"), unit=unit, name="energy", interp="log")


def _sed_dataset(columns):
    number = columns.get("counts")[0].shape[-1]
    return MapAxis.from_edges(np.arange(number + 1) - 0.5, name="dataset")


def _gtpsf_axis(columns):
    if "Energy" in columns.names:
        return MapAxis.from_nodes(columns.get("Energy")[0], unit="MeV", name="energy_true", interp="log")
    return MapAxis.from_nodes(columns.get("Theta")[0], unit="deg", name="rad")


def _profile_axis(columns):
    values, unit = columns.get("x_ref")
    return MapAxis.from_nodes(values, unit=unit, name="projected-distance")


# Formats of one axis that need nothing but the columns.
_READERS = {
    "gtpsf": _gtpsf_axis,
    "gadf-sed-energy": _sed_energy,
    "gadf-sed-norm": lambda columns: MapAxis.from_nodes(columns.get("norm_scan")[0][0], name="norm"),
    "gadf-sed-counts": _sed_dataset,
    "profile": _profile_axis,
}


def axis_from_table(table, format="ogip", idx=0, column_prefix=""):
    """One axis from a table.

    Parameters
    ----------
    table : `~astropy.io.fits.BinTableHDU` or `~astropy.table.Table`
        Table.
    format : {"ogip", "ogip-arf", "fgst-ccube", "fgst-template", "fgst-bexpcube", "gadf", "gadf-dl3", "gtpsf", ...}
        "ogip" and "fgst-ccube": E_MIN and E_MAX, axis "energy". "ogip-arf": ENERG_LO and ENERG_HI, axis "energy_true".
        "fgst-template" and "fgst-bexpcube": centres in MeV in a column Energy, axis "energy_true". "gtpsf": the same, or Theta in deg,
        axis "rad". Tables of flux points: "gadf-sed-energy" (e_min and e_max, or e_ref), "gadf-sed-norm" (norm_scan),
        "gadf-sed-counts" (axis "dataset"), "profile" (x_ref, axis "projected-distance").
    idx : int
        For "gadf", the number of the axis, from 0.
    column_prefix : {"THETA", "ENERG", "ETRUE", "RAD", "DETX", "DETY", "MIGRA"}
        For "gadf-dl3", the axis: its edges are in the columns ``{prefix}_LO`` and ``{prefix}_HI``.

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
    if format == "gadf-dl3":
        return _dl3_axis(columns, column_prefix)
    if format in _READERS:
        return _READERS[format](columns)
    if format in _ENERGY_AXES:
        name = _ENERGY_AXES[format]
        (low, unit), (high, high_unit) = (columns.get(column) for column in ENERGY_COLUMNS[name])
        edges = joined_edges(low, high * high_unit.to(unit), f"{columns.label}, axis '{name}'")
        return MapAxis.from_edges(edges, unit=unit, name=name, interp="log")
    if format in ("fgst-template", "fgst-bexpcube"):
        column = next((name for name in columns.names if name.lower() == "energy"), "Energy")
        return MapAxis.from_nodes(columns.get(column)[0], unit="MeV", name="energy_true", interp="log")
    raise GeometryError(f"unknown table format {format!r} for an axis")


def axis_to_table(axis, format="ogip"):
    """Table of one axis.

    Parameters
    ----------
    axis : `~gpudl4.maps.MapAxis`
        Axis: "energy" for "ogip", "energy_true" for "ogip-arf", "energy_true" or "rad" for "gtpsf".
    format : {"ogip", "ogip-sherpa", "ogip-arf", "ogip-arf-sherpa", "gadf-sed", "gadf-dl3", "gtpsf"}
        Format; the sherpa ones are in keV.

    Returns
    -------
    table : `~astropy.table.Table`
        "ogip": CHANNEL, E_MIN, E_MAX. "ogip-arf": ENERG_LO, ENERG_HI. "gadf-sed": e_ref, e_min, e_max of an energy axis, else no columns.
        "gadf-dl3": ``{prefix}_LO`` and ``{prefix}_HI`` in one row. "gtpsf": Energy in MeV or Theta in deg.
    """
    from astropy.table import Table

    if format in OGIP_FORMATS:
        axis.assert_name(_ENERGY_AXES[format])
        return Table((energy_columns if "arf" in format else bounds_columns)(axis, format))
    if format == "gadf-sed":
        return Table({"e_ref": axis.center, "e_min": axis.edges_min, "e_max": axis.edges_max} if axis.is_energy_axis else {})
    if format == "gadf-dl3":
        prefix = "ENERG" if axis.name == "energy" else next((key for key, spec in _DL3_AXES.items() if spec[0] == axis.name), None)
        if prefix is None:
            raise GeometryError(f"response tables know no axis '{axis.name}'")
        low, high = (axis.edges_min, axis.edges_max) if axis.node_type == "edges" else (axis.center, axis.center)
        return Table({f"{prefix}_LO": low[np.newaxis], f"{prefix}_HI": high[np.newaxis]})
    if format == "gtpsf" and axis.name in ("energy_true", "rad"):
        return Table({"Energy": axis.center.to("MeV")} if axis.name == "energy_true" else {"Theta": axis.center.to("deg")})
    raise GeometryError(f"unknown table format {format!r} for axis '{axis.name}'")


def axis_to_table_hdu(axis, format="ogip"):
    """Table HDU of one axis, with the cards of an EBOUNDS table for "ogip" and the name THETA for "gtpsf"; see `axis_to_table`."""
    header = axis_to_header(axis, format) if format in ("ogip", "ogip-sherpa") else None
    return fits.BinTableHDU(axis_to_table(axis, format), header=header, name="THETA" if format == "gtpsf" else None)
