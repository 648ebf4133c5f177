"""Maps in FITS: the GADF format in both directions, the cubes of the Fermi tools for reading.

A WCS map is an image HDU with the table ``{HDU}_BANDS`` beside it, or a sparse table (PIX, VALUE, CHANNEL). A region map is a table
(CHANNEL, DATA) with ``{HDU}_BANDS`` and, if the region is known, ``{HDU}_REGION``. Masks are written as integers and recognised by the
name of their HDU. https://gamma-astro-data-formats.readthedocs.io/en/latest/skymaps/
"""

import json
import math
import warnings

import numpy as np
from astropy import units as u
from astropy.io import fits

from ..core.backend import to_host
from ..core.errors import DataFileError, GeometryError
from ..core.units import unit_of_words
from .ogip_tables import OGIP_FORMATS

__all__ = ["map_from_hdulist", "map_to_hdulist"]

# An HDU whose name contains one of these holds a mask, whatever integer type it has.
MASK_NAMES = ("mask", "is_ul", "success")
MOST_SPARSE = 2**29  # pixels of a sparse map, as its array has them all
FORMATS = ("gadf", "fgst-ccube", "fgst-template", "fgst-bexpcube")
_FORMAT_OF_BANDS = {"ENERGIES": "fgst-template", "EBOUNDS": "fgst-ccube"}


def map_from_hdulist(hdulist, hdu=None, hdu_bands=None, map_type="auto", format=None, unit=None):
    """Map from open FITS data.

    Parameters
    ----------
    hdulist : `~astropy.io.fits.HDUList`
        HDUs.
    hdu : str or int, optional
        HDU of the data, by default the first that is not empty.
    hdu_bands : str or int, optional
        HDU of the bands table; by default what the header names, or the usual names.
    map_type : {"auto", "wcs", "region"}
        Kind of map.
    format : {"gadf", "fgst-ccube", "fgst-template", "fgst-bexpcube", "ogip", "ogip-arf"}, optional
        Format, by default told from the name of the bands table. The last two are those of region maps, see
        `~gpudl4.maps.region_files.region_map_from_hdulist`.
    unit : str or `~astropy.units.Unit`, optional
        Unit of the data, whatever the file says.

    Returns
    -------
    map : `~gpudl4.maps.Map`
        Map in NumPy memory, of the type of the file (native byte order); boolean if the name of the HDU tells a mask.

    Raises
    ------
    DataFileError
        If an HDU is missing or its content does not fit together.
    """
    if format is not None and format not in FORMATS + OGIP_FORMATS:
        raise GeometryError(f"unknown map format {format!r}: choose one of {', '.join(FORMATS + OGIP_FORMATS)}")
    if format in OGIP_FORMATS:
        from .region_files import region_map_from_hdulist

        return region_map_from_hdulist(hdulist, format=format, hdu=hdu, hdu_bands=hdu_bands, unit=unit)
    data_hdu = find_map_hdu(hdulist, hdu)
    header = data_hdu.header
    if header.get("PIXTYPE") == "HEALPIX":
        raise DataFileError(f"HDU '{data_hdu.name}' holds a HEALPix map, which cannot be read")
    kind = map_type if map_type != "auto" else "wcs" if "CTYPE1" in header else "region"
    if kind not in ("wcs", "region"):
        raise GeometryError(f"unknown map_type {map_type!r}: choose 'auto', 'wcs' or 'region'")
    try:
        if kind == "region":
            from .region_files import region_map_from_hdulist

            number = next(idx for idx, candidate in enumerate(hdulist) if candidate is data_hdu)
            return region_map_from_hdulist(hdulist, hdu=number, hdu_bands=hdu_bands, unit=unit)
        return _wcs_map(hdulist, data_hdu, hdu_bands, format, unit)
    except GeometryError as error:
        raise DataFileError(f"HDU '{data_hdu.name}': {error}") from error


def find_named_hdu(hdulist, name):
    """HDU by name or number; DataFileError with the list of names if it is missing."""
    try:
        return hdulist[name]
    except (KeyError, IndexError):
        raise DataFileError(f"there is no HDU '{name}'; the file has: {', '.join(h.name or '(no name)' for h in hdulist)}") from None


def find_map_hdu(hdulist, hdu):
    """HDU by name or number, or the first that is not empty."""
    if hdu is not None:
        return find_named_hdu(hdulist, hdu)
    for candidate in hdulist:
        if candidate.header.get("NAXIS", 0) > 0:
            return candidate
    raise DataFileError("the file holds no data, only empty HDUs")


def find_bands_hdu(hdulist, data_hdu, hdu_bands):
    """Bands table of a map: the one that is named, that its header names, or that has one of the usual names; None if there is none."""
    name = hdu_bands if hdu_bands is not None else data_hdu.header.get("BANDSHDU")
    if name is not None:
        return find_named_hdu(hdulist, name)
    if data_hdu.header.get("NAXIS") == 3 or (isinstance(data_hdu, fits.BinTableHDU) and "CHANNEL" in data_hdu.columns.names):
        for candidate in _FORMAT_OF_BANDS:
            if candidate in hdulist:
                return hdulist[candidate]
    return None


def parse_unit(header):
    """Unit of an image from BUNIT; counts and photons are dropped, as in gammapy. Other words for numbers give a warning."""
    text = header.get("BUNIT", "")
    if not isinstance(text, str):
        raise DataFileError(
            f"the keyword BUNIT must be the text of a unit, got {text!r}: say what it is, Map.read(..., unit=...), or correct the file"
        )
    try:
        unit = u.Unit(text)
    except ValueError as error:
        try:
            unit = unit_of_words(text)
        except ValueError:
            raise DataFileError(
                f"the unit BUNIT = '{text}' is unknown: say what it is, Map.read(..., unit=...), or correct the keyword in the file"
            ) from error
        warnings.warn(f"BUNIT = '{text}' is no unit of the FITS standard; it is read as that of plain numbers", UserWarning, stacklevel=2)
    kept = [(base, power) for base, power in zip(unit.bases, unit.powers, strict=True) if str(base) not in ("ph", "ct")]
    if len(kept) == len(unit.bases):
        return unit
    return u.CompositeUnit(unit.scale, [base for base, _ in kept], [power for _, power in kept])


def parse_meta(header):
    """Metadata from the JSON in META; texts that are quantities become quantities."""
    try:
        meta = json.loads(header.get("META", "{}"))
    except json.JSONDecodeError as error:
        raise DataFileError(f"keyword META is not valid JSON: {error}") from error
    return {key: _as_quantity(value) for key, value in meta.items()} if isinstance(meta, dict) else {}


def _as_quantity(value):
    if not isinstance(value, str):
        return value
    try:
        return u.Quantity(value)
    except (TypeError, ValueError):
        return value


def meta_to_json(meta):
    """Metadata as JSON; quantities and other objects become texts."""
    return json.dumps(meta, default=lambda value: value.to_string() if isinstance(value, u.Quantity) else str(value))


def _wcs_map(hdulist, data_hdu, hdu_bands, format, given):
    from .wcs import WcsGeom
    from .wcs_map import WcsNDMap

    bands = find_bands_hdu(hdulist, data_hdu, hdu_bands)
    format = format or (_FORMAT_OF_BANDS.get(bands.name, "gadf") if bands is not None else "gadf")
    geom = WcsGeom.from_header(data_hdu.header, bands, format=format)
    unit, meta = parse_unit(data_hdu.header) if given is None else u.Unit(given), parse_meta(data_hdu.header)
    if isinstance(data_hdu, fits.BinTableHDU):
        data = _sparse_data(data_hdu, geom)
    else:
        data = _image_data(data_hdu, geom)
    if any(name in data_hdu.name.lower() for name in MASK_NAMES):
        data = as_mask(data, data_hdu.name)
    if format == "fgst-template" and given is None and unit.is_equivalent(""):
        # Fermi templates carry no unit; an exposure cube in the same format has a GTI table beside it.
        unit = u.Unit("cm2 s") if "GTI" in hdulist else u.Unit("cm-2 s-1 MeV-1 sr-1")
    return WcsNDMap(geom, data=data, unit=unit, meta=meta)


def as_mask(data, name):
    """Truth values of the numbers of a mask."""
    if data.dtype.kind not in "biuf" or (data.dtype.kind == "f" and not np.isfinite(data).all()):
        raise DataFileError(f"HDU '{name}' shall be a mask, but holds values that are not finite numbers")
    return data.astype(bool)


def _image_data(hdu, geom):
    try:
        data = hdu.data
    except (OSError, ValueError, TypeError) as error:
        raise DataFileError(f"the data of HDU '{hdu.name}' cannot be read: {error}") from error
    if data is None:
        raise DataFileError(f"HDU '{hdu.name}' holds no data")
    if data.shape != geom.data_shape:
        raise DataFileError(f"HDU '{hdu.name}' holds data of shape {data.shape}, but its bands and header describe {geom.data_shape}")
    return data if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))


def _sparse_data(hdu, geom):
    names = hdu.columns.names
    if "PIX" not in names or "VALUE" not in names:
        raise DataFileError(f"table HDU '{hdu.name}' is not a sparse map: columns PIX and VALUE are needed, it has: {', '.join(names)}")
    values, shape = hdu.data["VALUE"], geom.data_shape
    planes, pixels = math.prod(shape[:-2]), math.prod(shape[-2:])
    if planes * pixels > MOST_SPARSE:
        raise DataFileError(f"sparse map HDU '{hdu.name}': the shape {shape} is too large for an array, at most {MOST_SPARSE} pixels")
    channel = _indices(hdu, "CHANNEL", planes) if "CHANNEL" in names else np.zeros(len(values), dtype=int)
    place = channel * pixels + _indices(hdu, "PIX", pixels)
    if values.shape != place.shape or len(np.unique(place)) != len(place):
        raise DataFileError(f"sparse map HDU '{hdu.name}': one VALUE for each pixel was wanted, some have several or none")
    data = np.zeros(planes * pixels, dtype=values.dtype.newbyteorder("="))
    data[place] = values
    return data.reshape(shape)


def _indices(hdu, name, number):
    """Column of whole numbers from 0 to below a number."""
    values = np.asarray(hdu.data[name])
    if values.dtype.kind not in "iu" or ((values < 0) | (values >= number)).any():
        raise DataFileError(
            f"sparse map HDU '{hdu.name}': a pixel lies outside the shape: {name} must hold whole numbers from 0 to {number - 1}"
        )
    return values.astype(int)


def map_to_hdulist(map_, hdu=None, hdu_bands=None, sparse=False, format="gadf"):
    """FITS HDUs of a map.

    Parameters
    ----------
    map_ : `~gpudl4.maps.Map`
        Map; data on a device are copied to the host for writing.
    hdu : str, optional
        Name of the HDU: "PRIMARY" by default, "SKYMAP" for sparse and region maps.
    hdu_bands : str, optional
        Name of the bands table, ``{HDU}_BANDS`` by default.
    sparse : bool
        Whether to write a table of the pixels that are not 0.
    format : {"gadf", "fgst-ccube", "fgst-template"}
        Format.

    Returns
    -------
    hdulist : `~astropy.io.fits.HDUList`
        HDUs, beginning with a primary one.
    """
    if map_.geom.is_region:
        from .region_files import region_map_to_hdulist

        return region_map_to_hdulist(map_, format=format, hdu=hdu or "SKYMAP", hdu_bands=hdu_bands)
    hdu = (hdu or ("SKYMAP" if sparse else "PRIMARY")).upper()
    if sparse and hdu == "PRIMARY":
        raise GeometryError("a sparse map is a table and cannot be the PRIMARY HDU: give another name")
    if format not in ("gadf", "fgst-ccube", "fgst-template"):
        raise GeometryError(f"maps cannot be written in format {format!r}: choose 'gadf', 'fgst-ccube' or 'fgst-template'")
    if format != "gadf" and map_.geom.axes.names not in (["energy"], ["energy_true"] if format == "fgst-template" else ["energy"]):
        raise GeometryError(f"format {format!r} needs one energy axis, got: {map_.geom.axes.names}")
    header, bands = map_.geom.to_header(), []
    if map_.geom.axes:
        bands = [map_.geom.axes.to_table_hdu(format=format, hdu_bands=hdu_bands or f"{hdu}_BANDS")]
        header["BANDSHDU"] = bands[0].name
    header["META"] = meta_to_json(map_.meta)
    header["BUNIT"] = map_.unit.to_string("fits")
    data = to_host(map_.data)
    data = data.astype(int) if map_.is_mask else data
    if sparse:
        out = _sparse_hdu(data, hdu, header)
    elif hdu == "PRIMARY":
        out = fits.PrimaryHDU(data, header=header)
    else:
        out = fits.ImageHDU(data, header=header, name=hdu)
    lead = [out] if hdu == "PRIMARY" else [fits.PrimaryHDU(), out]
    return fits.HDUList([*lead, *bands])


def _sparse_hdu(data, name, header):
    flat = data.reshape(-1, data.shape[-1] * data.shape[-2])
    channel, pixel = np.nonzero(flat)
    kind = "E" if data.dtype == np.float32 else "D"
    columns = [fits.Column("PIX", "J", array=pixel), fits.Column("VALUE", kind, array=flat[channel, pixel])]
    if data.ndim > 2:
        columns.insert(1, fits.Column("CHANNEL", "J", array=channel))
    return fits.BinTableHDU.from_columns(columns, header=header, name=name)
