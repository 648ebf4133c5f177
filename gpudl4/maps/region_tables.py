"""Region maps as tables: the GADF table of any region map, spectra and effective areas as OGIP knows them, columns of flux point tables.

OGIP files are for XSPEC, Sherpa and 3ML. A spectrum (PHA) has the columns CHANNEL and COUNTS, an effective area (ARF) the columns ENERG_LO,
ENERG_HI and SPECRESP. The formats of Sherpa are the same in keV and cm2.
https://heasarc.gsfc.nasa.gov/docs/heasarc/ofwg/docs/spectra/ogip_92_007/ogip_92_007.html
"""

import numpy as np
from astropy import units as u

from ..core.backend import to_host
from ..core.errors import DataFileError, GeometryError
from .axes import MapAxes
from .ogip_tables import OGIP_FORMATS, area_columns, channels, ogip_cards
from .region import RegionGeom

__all__ = ["region_map_from_table", "region_map_to_table"]

# Keywords of a spectrum that stands for itself, without exposure and response; other values than `ogip_tables` has are those of gammapy.
_ALONE = {"EXPOSURE": 0, "CORRFILE": "", "CORRSCAL": "", "ANCRFILE": "", "QUALITY": 0, "BACKSCAL": 0, "AREASCAL": 1}
# Axes of the quantities in a table of flux points; "" stands for every other column. All have an axis "energy".
_COUNTS = ("counts", "npred", "npred_excess")
_SED_AXES = {"stat_scan": ["norm", "energy"], "": ["energy"]} | {name: ["dataset", "energy"] for name in _COUNTS}


def region_map_to_table(map_, format="gadf"):
    """Table of a region map; data on a device are copied to the host.

    Parameters
    ----------
    map_ : `~gpudl4.maps.RegionNDMap`
        Map; the OGIP formats need one axis, "energy" for spectra and "energy_true" for effective areas.
    format : {"gadf", "ogip", "ogip-sherpa", "ogip-arf", "ogip-arf-sherpa"}
        "gadf": CHANNEL and DATA, one row per bin of the last axis, masks as integers. "ogip": CHANNEL and COUNTS, integers.
        "ogip-arf": ENERG_LO, ENERG_HI and SPECRESP. What is NaN is 0 in the OGIP formats.

    Returns
    -------
    table : `~astropy.table.Table`
        Table; its metadata are the keywords of the format, with the values of the map's metadata where it has them.

    Raises
    ------
    GeometryError
        If the format is unknown or the axes are not those it needs.
    UnitMismatchError
        If an effective area has no unit of area.
    """
    from astropy.table import Table

    data = to_host(map_.data)
    if format == "gadf":
        rows = data.reshape((data.shape[0], *data.shape[1:]))
        is_mask = rows.dtype == bool  # truth values stay: gammapy takes a mask of integers for indices
        data = rows if is_mask else u.Quantity(rows, map_.unit, dtype=rows.dtype, copy=None)
        return Table({"CHANNEL": channels(len(rows)), "DATA": data})
    if format not in OGIP_FORMATS:
        raise GeometryError(f"unknown table format {format!r} for a region map: choose 'gadf' or one of {', '.join(OGIP_FORMATS)}")
    if len(map_.geom.axes) != 1:
        raise GeometryError(f"format {format!r} holds one energy axis, but the axes of the map are: {map_.geom.axes.names}")
    axis, values = map_.geom.axes[0], np.nan_to_num(data[:, 0, 0])
    if "arf" in format:
        axis.assert_name("energy_true")
        name, columns, cards = "SPECRESP", area_columns(axis, values, map_.unit, format), ogip_cards("SPECRESP")
    else:
        axis.assert_name("energy")
        name, columns = "SPECTRUM", {"CHANNEL": channels(axis.nbin), "COUNTS": np.asarray(values, dtype=np.int32)}
        cards = ogip_cards("SPECTRUM", axis.nbin) | _ALONE
    given = {key.upper(): value for key, value in map_.meta.items()}
    return Table(columns, meta={key: given.get(key, value) for key, value in ({"EXTNAME": name} | cards).items()})


def region_map_from_table(table, format="", colname=None):
    """Region map without a region from one column of a table of flux points.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Table with e_min and e_max, or e_ref; for a statistic profile also norm_scan; for "profile" also x_ref.
    format : {"gadf-sed", "profile"}
        Format.
    colname : str
        Column to take the data from. "stat_scan" gets an axis "norm", "counts", "npred" and "npred_excess" an axis "dataset".

    Returns
    -------
    map : `~gpudl4.maps.RegionNDMap`
        Map.

    Raises
    ------
    GeometryError
        If the format is unknown or no column is named.
    DataFileError
        If a column is missing.
    """
    from .region_map import RegionNDMap

    if format not in ("gadf-sed", "profile"):
        raise GeometryError(f"region maps cannot be made from tables in format {format!r}: choose 'gadf-sed' or 'profile'")
    if colname is None:
        raise GeometryError("name the column that holds the data: colname=")
    if colname not in table.colnames:
        raise DataFileError(f"the table has no column '{colname}'; it has: {', '.join(table.colnames)}")
    names = _SED_AXES.get(colname, _SED_AXES[""])
    axes = MapAxes.from_table(table, format=format)[[*names, "projected-distance"] if format == "profile" else names]
    geom = RegionGeom.create(None, axes=axes)
    column = table[colname]
    data = np.asarray(column)
    if data.size != int(np.prod(geom.data_shape)):
        raise DataFileError(f"column '{colname}' holds {data.size} values, but the axes of the table describe the shape {geom.data_shape}")
    return RegionNDMap(geom, data=data.reshape(geom.data_shape), unit=column.unit or "", meta=dict(table.meta))
