"""Region maps and region geometries in FITS, in the GADF and the OGIP formats.

| format | data | axes | region |
|---|---|---|---|
| gadf | ``{HDU}``, column DATA | ``{HDU}_BANDS`` | ``{HDU}_REGION`` |
| ogip, ogip-sherpa | SPECTRUM, column COUNTS | EBOUNDS | REGION |
| ogip-arf, ogip-arf-sherpa | SPECRESP, column SPECRESP | SPECRESP | REGION, if there is one |

A region table (FITS region convention) holds pixel coordinates, and in its header the projection they refer to.
"""

import numpy as np
from astropy.io import fits

from ..core.errors import DataFileError, GeometryError
from ..core.reading import reading
from .axes import MapAxes
from .ogip_read import native
from .ogip_tables import OGIP_FORMATS
from .region import RegionGeom
from .region_shapes import as_regions, union_of
from .region_tables import region_map_to_table
from .wcs import WcsGeom

__all__ = [
    "read_region_table",
    "region_geom_from_hdulist",
    "region_geom_to_hdulist",
    "region_map_from_hdulist",
    "region_map_to_hdulist",
    "region_table_hdu",
    "table_keywords",
]

LARGEST = 10**9  # pixel of a region
FORMATS = ("gadf", *OGIP_FORMATS)
_OGIP_HDU = {"ogip": ("SPECTRUM", "COUNTS", "EBOUNDS"), "ogip-arf": ("SPECRESP", "SPECRESP", "SPECRESP")}


def _check(format):
    if format not in FORMATS:
        raise GeometryError(f"unknown format {format!r} of a region map: choose one of {', '.join(FORMATS)}")
    return format.removesuffix("-sherpa")


def region_geom_to_hdulist(geom, format="ogip", hdu_bands=None, hdu_region=None):
    """FITS tables of a region geometry.

    Parameters
    ----------
    geom : `~gpudl4.maps.RegionGeom`
        Geometry.
    format : {"ogip", "ogip-sherpa", "gadf"}
        Format; for "ogip" the names of the tables are fixed.
    hdu_bands, hdu_region : str, optional
        For "gadf", names of the tables, by default HDU_BANDS and HDU_REGION.

    Returns
    -------
    hdulist : `~astropy.io.fits.HDUList`
        An empty primary HDU, the axes, and the region if there is one.
    """
    if _check(format) == "ogip-arf":
        raise GeometryError(f"a geometry alone is written in format 'gadf', 'ogip' or 'ogip-sherpa', got: {format!r}")
    out = [fits.PrimaryHDU()]
    if geom.axes or format != "gadf":
        out.append(geom.axes.to_table_hdu(format=format, hdu_bands=hdu_bands or "HDU_BANDS"))
    if geom.region is not None:
        out.append(region_table_hdu(geom, (hdu_region or "HDU_REGION") if format == "gadf" else "REGION"))
    return fits.HDUList(out)


def region_table_hdu(geom, name):
    """Region table of a geometry that has a region."""
    from regions import Regions

    table = Regions([region.to_pixel(geom.wcs) for region in as_regions(geom.region)]).serialize(format="fits")
    table.meta.update(WcsGeom(geom.wcs).to_header())  # with WCSSHAPE, which gammapy needs
    return fits.BinTableHDU(table, name=name)


def region_geom_from_hdulist(hdulist, format="ogip", hdu=None, hdu_bands=None):
    """Region geometry from FITS tables.

    Parameters
    ----------
    hdulist : `~astropy.io.fits.HDUList`
        HDUs.
    format : {"ogip", "ogip-sherpa", "ogip-arf", "ogip-arf-sherpa", "gadf"}
        Format; units are read from the file, so that the formats of Sherpa need not be told.
    hdu : str, optional
        For "gadf", name of the map, from which those of the tables derive.
    hdu_bands : str, optional
        Name of the table of the axes.

    Returns
    -------
    geom : `~gpudl4.maps.RegionGeom`
        Geometry; without a region if there is no region table.

    Raises
    ------
    DataFileError
        If a table is missing or cannot be understood.
    """
    from .map_files import find_named_hdu

    format = _check(format)
    name = "REGION" if format != "gadf" else f"{hdu or 'SKYMAP'}_REGION"
    hdu_bands = hdu_bands or (f"{hdu or 'SKYMAP'}_BANDS" if format == "gadf" else _OGIP_HDU[format][2])
    if format == "ogip" and hdu_bands not in hdulist:
        raise DataFileError(f"there is no HDU '{hdu_bands}' with the energies of the channels; some files keep them in the response (RMF)")
    axes = MapAxes.from_table_hdu(find_named_hdu(hdulist, hdu_bands), format=format)
    region, wcs = read_region_table(hdulist, name)
    return RegionGeom(region, axes=axes, wcs=wcs)


def read_region_table(hdulist, name):
    """Region and projection from a FITS region table; None, None if there is none."""
    if name not in hdulist:
        return None, None
    with reading(f"HDU '{name}'"):
        return _read_region(hdulist[name], name)


def _read_region(hdu, name):
    from astropy.table import QTable, Table
    from astropy.wcs import WCS
    from regions import Regions

    header, regions = hdu.header, []
    geom = WcsGeom.from_header(header) if "WCSSHAPE" in header else WcsGeom(WCS(header, naxis=2).sub(2))
    try:
        table = QTable.read(hdu)
    except TypeError:  # columns whose unit is no unit of astropy
        table = Table.read(hdu)
    for region in Regions.parse(table, format="fits"):
        region.meta["include"] = True  # the package regions drops the flag when it reads FITS
        regions.append(_on_sky(region, geom.wcs, name))
    return union_of(regions), geom.wcs


def _on_sky(region, wcs, name):
    """Region on the sky, which must be finite in pixels and lie where the projection has a sky."""
    box, sky = region.bounding_box, region.to_sky(wcs)
    if max(map(abs, (box.ixmin, box.ixmax, box.iymin, box.iymax))) > LARGEST:
        raise DataFileError(f"HDU '{name}' describes a region that reaches beyond {LARGEST:,} pixels")
    place = getattr(sky, "center", None)
    place = getattr(sky, "vertices", None) if place is None else place
    if place is not None and not np.isfinite([place.spherical.lon.deg, place.spherical.lat.deg]).all():
        raise DataFileError(f"HDU '{name}' describes a region outside of the sky that its projection shows")
    return sky


def region_map_from_hdulist(hdulist, format="gadf", ogip_column=None, hdu=None, hdu_bands=None, unit=None):
    """Region map from open FITS data.

    Parameters
    ----------
    hdulist : `~astropy.io.fits.HDUList`
        HDUs.
    format : {"gadf", "ogip", "ogip-sherpa", "ogip-arf", "ogip-arf-sherpa"}
        Format.
    ogip_column : {"COUNTS", "QUALITY", "BACKSCAL", ...}, optional
        Column to read in the OGIP formats. QUALITY becomes a mask, True where it is 0. Where a spectrum gives one of QUALITY and BACKSCAL
        as a keyword, as OGIP allows, it counts for all channels.
    hdu : str or int, optional
        HDU; "SKYMAP", "SPECTRUM" or "SPECRESP" by default.
    hdu_bands : str, optional
        Name of the table of the axes, by default as in the table above.
    unit : str or `~astropy.units.Unit`, optional
        Unit of the data, whatever the file says.

    Returns
    -------
    map : `~gpudl4.maps.RegionNDMap`
        Map of the type of the column; boolean if the name of the HDU tells a mask. Metadata: of OGIP files the keywords.

    Raises
    ------
    DataFileError
        If an HDU or a column is missing, or their sizes do not fit together.
    """
    from .map_files import MASK_NAMES, as_mask, find_named_hdu, parse_meta, parse_unit
    from .region_map import RegionNDMap

    kind = _check(format)
    default_hdu, column = ("SKYMAP", "DATA") if kind == "gadf" else _OGIP_HDU[kind][:2]
    data_hdu = find_named_hdu(hdulist, hdu or default_hdu)
    column = ogip_column if ogip_column is not None and kind != "gadf" else column
    if kind == "gadf" and (not isinstance(data_hdu, fits.BinTableHDU) or column not in data_hdu.columns.names):
        raise DataFileError(f"HDU '{data_hdu.name}' is neither a sky image nor a region map: it has no column DATA")
    geom = region_geom_from_hdulist(hdulist, format=format, hdu=data_hdu.name, hdu_bands=hdu_bands)
    data, written = _column(data_hdu, column, geom)
    if column == "QUALITY" and kind == "ogip":
        data, written = data == 0, ""
    if data.size != int(np.prod(geom.data_shape)):
        raise DataFileError(f"HDU '{data_hdu.name}' holds {data.size} values, but its bands describe the shape {geom.data_shape}")
    if any(name in data_hdu.name.lower() for name in MASK_NAMES):
        data = as_mask(data, data_hdu.name)
    meta = parse_meta(data_hdu.header) if kind == "gadf" else table_keywords(data_hdu.header)
    return RegionNDMap(geom, data=data.reshape(geom.data_shape), unit=parse_unit({"BUNIT": written}) if unit is None else unit, meta=meta)


def _column(hdu, name, geom):
    """Values in native byte order, and unit, of a column, or of a keyword in its place."""
    if name in hdu.columns.names:
        return np.array(native(hdu.data[name])), hdu.columns[name].unit or ""
    if name in ("QUALITY", "BACKSCAL") and name in hdu.header:
        return np.full(geom.data_shape, hdu.header[name]), ""
    raise DataFileError(f"HDU '{hdu.name}' has no column '{name}'; it has: {', '.join(hdu.columns.names)}")


def table_keywords(header):
    """Keywords of a table that do not describe its columns; one that occurs several times (OBS_ID of stacked spectra) gives a list."""
    structure = fits.Header(header, copy=True)
    structure.strip()  # takes away the keywords of the table's layout
    skip = ("COMMENT", "HISTORY", "", "TDIM", "TNULL", "TZERO", "TSCAL", "TDISP", "CHECKSUM", "DATASUM")
    found = {}
    for key, value in structure.items():
        if key.rstrip("0123456789") not in skip:
            found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def region_map_to_hdulist(map_, format="gadf", hdu="SKYMAP", hdu_bands=None, hdu_region=None):
    """FITS HDUs of a region map; data on a device are copied to the host for writing.

    Parameters
    ----------
    map_ : `~gpudl4.maps.RegionNDMap`
        Map.
    format : {"gadf", "ogip", "ogip-sherpa", "ogip-arf", "ogip-arf-sherpa"}
        Format; see `~gpudl4.maps.region_tables.region_map_to_table`. Effective areas have no region table.
    hdu, hdu_bands, hdu_region : str, optional
        For "gadf", names of the HDUs; ``{HDU}_BANDS`` and ``{HDU}_REGION`` by default.

    Returns
    -------
    hdulist : `~astropy.io.fits.HDUList`
        HDUs, beginning with an empty primary one.
    """
    from .map_files import meta_to_json

    _check(format)
    table, hdu = region_map_to_table(map_, format), hdu.upper()
    if format == "gadf":
        table.meta.update(dict(map_.geom.axes.to_header()) | {"META": meta_to_json(map_.meta)})
        data_hdu = fits.BinTableHDU(table, name=hdu)
    else:
        data_hdu = fits.BinTableHDU(table)
    out = [fits.PrimaryHDU(), data_hdu]
    if "arf" not in format:
        names = {"hdu_bands": hdu_bands or f"{hdu}_BANDS", "hdu_region": hdu_region or f"{hdu}_REGION"}
        out += region_geom_to_hdulist(map_.geom, format=format, **names)[1:]
    return fits.HDUList(out)
