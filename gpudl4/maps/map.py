"""`Map`: an array with a geometry and a unit. Base class of `WcsNDMap` and `RegionNDMap`, and the door to make or read either.

Data are in C order, ``(..., energy, lat, lon)``. The array is NumPy or CuPy; nothing moves between the two unless `to_device` or `to_host`
is called. The unit is kept beside the array, so astropy quantities exist on the host only. Arithmetic lives in `map_arithmetic`, sums
and other work along axes in `map_axes`, files in `map_files`.
"""

import copy

import numpy as np
from astropy import units as u

from ..core.backend import array_namespace, backend_of, get_backend, to_device, to_host
from ..core.errors import BackendError, DataFileError, GeometryError, UnitMismatchError
from .map_arithmetic import MapArithmetic
from .map_axes import MapAxesOperations
from .map_values import MapValues
from .promotion import sum_type

__all__ = ["Map"]


class Map(MapArithmetic, MapAxesOperations, MapValues):
    """Data on the pixels of a geometry.

    Parameters
    ----------
    geom : `~gpudl4.maps.WcsGeom` or `~gpudl4.maps.RegionGeom`
        Geometry.
    data : array or scalar, optional
        Data, of the shape of the geometry or broadcasting to it; zeros by default.
    dtype : str
        Type of the default data.
    meta : dict, optional
        Metadata.
    unit : str or `~astropy.units.Unit`
        Unit of the data.

    Raises
    ------
    GeometryError
        If the data do not fit the geometry.
    TypeError
        If the data are a quantity.
    """

    tag = "map"

    def __init__(self, geom, data=None, dtype="float32", meta=None, unit=""):
        self._geom = geom
        self._unit = u.Unit(unit)
        self.meta = {} if meta is None else meta
        self.data = self._default_data(geom, dtype) if data is None else data

    @staticmethod
    def _default_data(geom, dtype):
        data = np.zeros(geom.data_shape, dtype=dtype)
        if geom.is_allsky and data.dtype.kind == "f":
            data[np.broadcast_to(np.isnan(geom.to_image().get_coord(sparse=True).lon.value), data.shape)] = np.nan
        return data

    @staticmethod
    def create(
        map_type="wcs",
        npix=None,
        binsz=0.1,
        width=None,
        proj="CAR",
        frame="icrs",
        refpix=None,
        axes=None,
        skydir=None,
        dtype="float32",
        meta=None,
        unit="",
        region=None,
        binsz_wcs="0.1 deg",
    ):
        """Make an empty map.

        Parameters
        ----------
        map_type : {"wcs", "region"}
            Kind of map.
        npix, binsz, width, proj, frame, refpix, axes, skydir
            As for `WcsGeom.create`; the default pixel size is 0.1 deg.
        dtype : str
            Type of the data.
        meta : dict, optional
            Metadata.
        unit : str or `~astropy.units.Unit`
            Unit.
        region, binsz_wcs
            For "region", as for `RegionGeom.create`.

        Returns
        -------
        map : `Map`
            Map of zeros.
        """
        if map_type == "region":
            from .region import RegionGeom

            return Map.from_geom(RegionGeom.create(region, axes=axes, binsz_wcs=binsz_wcs), dtype=dtype, meta=meta, unit=unit)
        if map_type != "wcs":
            raise GeometryError(f"unknown map_type {map_type!r}: choose 'wcs' or 'region'")
        from .wcs import WcsGeom

        geom = WcsGeom.create(npix=npix, binsz=binsz, proj=proj, frame=frame, refpix=refpix, axes=axes, skydir=skydir, width=width)
        return Map.from_geom(geom, dtype=dtype, meta=meta, unit=unit)

    @staticmethod
    def from_geom(geom, meta=None, data=None, unit="", dtype="float32"):
        """Map with the given geometry.

        Parameters
        ----------
        geom : `~gpudl4.maps.WcsGeom` or `~gpudl4.maps.RegionGeom`
            Geometry; it decides the class of the map.
        meta, data, unit, dtype
            As for the class.

        Returns
        -------
        map : `Map`
            Map.
        """
        from .region_map import RegionNDMap
        from .wcs_map import WcsNDMap

        return (RegionNDMap if geom.is_region else WcsNDMap)(geom, data=data, dtype=dtype, meta=meta, unit=unit)

    @staticmethod
    def read(filename, hdu=None, hdu_bands=None, map_type="auto", format=None, checksum=False, backend="numpy", unit=None):
        """Read a map from a FITS file, plain or gzip.

        Parameters
        ----------
        filename : str or `~pathlib.Path`
            File; environment variables are expanded.
        hdu, hdu_bands, map_type, format
            As for `~gpudl4.maps.map_files.map_from_hdulist`.
        checksum : bool
            Whether to verify CHECKSUM and DATASUM, with a warning where they do not match.
        backend : {"numpy", "cupy", "auto"} or `~gpudl4.core.backend.Backend`
            Where the data shall live.
        unit : str or `~astropy.units.Unit`, optional
            Unit of the data, whatever the file says.

        Returns
        -------
        map : `Map`
            Map.

        Raises
        ------
        DataFileError
            If the file is missing, damaged or not FITS, or has no such map; the message names the file.
        BackendError
            If the backend is unknown or cannot be used here.
        """
        from ..io.files import open_fits
        from .map_files import map_from_hdulist

        backend = get_backend(backend)
        with open_fits(filename, checksum=checksum) as hdulist:
            try:
                data_map = map_from_hdulist(hdulist, hdu=hdu, hdu_bands=hdu_bands, map_type=map_type, format=format, unit=unit)
                return data_map.to_device(backend)
            except DataFileError as error:
                raise DataFileError(f"'{filename}': {error}") from error

    @staticmethod
    def from_hdulist(hdulist, hdu=None, hdu_bands=None, map_type="auto", format=None, unit=None):
        """Map from open FITS data; see `~gpudl4.maps.map_files.map_from_hdulist`."""
        from .map_files import map_from_hdulist

        return map_from_hdulist(hdulist, hdu=hdu, hdu_bands=hdu_bands, map_type=map_type, format=format, unit=unit)

    def to_hdulist(self, hdu=None, hdu_bands=None, sparse=False, format="gadf"):
        """FITS HDUs of the map; see `~gpudl4.maps.map_files.map_to_hdulist`."""
        from .map_files import map_to_hdulist

        return map_to_hdulist(self, hdu=hdu, hdu_bands=hdu_bands, sparse=sparse, format=format)

    def write(self, filename, overwrite=False, hdu=None, hdu_bands=None, sparse=False, format="gadf", checksum=False):
        """Write to a FITS file; see `~gpudl4.maps.map_files.map_to_hdulist` and `~gpudl4.io.files.write_fits`."""
        from ..io.files import write_fits

        write_fits(self.to_hdulist(hdu=hdu, hdu_bands=hdu_bands, sparse=sparse, format=format), filename, overwrite, checksum)

    @property
    def geom(self):
        """Geometry."""
        return self._geom

    @property
    def unit(self):
        """Unit of the data, a `~astropy.units.Unit`; it is set with the map, by `to_unit` or through `quantity`."""
        return self._unit

    @property
    def data(self):
        """Data, a NumPy or CuPy array. An array that is set decides where the map lives; a number fills the map where it is."""
        return self._data

    @data.setter
    def data(self, value):
        self._data = self._fitting(value)

    def _fitting(self, value):
        """Data as an array of the shape of the geometry, in native byte order."""
        if isinstance(value, u.Quantity):
            raise TypeError("the data of a map are a plain array; give the unit separately, or set .quantity")
        shape = self.geom.data_shape
        value = _filled(value, shape, self.backend.xp if hasattr(self, "_data") else np)
        if backend_of(value).name == "numpy":
            value = np.asarray(value)
            if not value.dtype.isnative:
                value = value.astype(value.dtype.newbyteorder("="))
        if value.shape == shape:
            return value
        try:
            return array_namespace(value).broadcast_to(value, shape).copy()
        except ValueError as error:
            raise GeometryError(f"data of shape {value.shape} do not fit the geometry, whose shape is {shape}") from error

    def _make_room(self, *dtypes):
        """Give data of integers a type that holds sums with values of these types; floats and masks keep theirs."""
        if self.data.dtype.kind in "iu":
            self._data = self._data.astype(sum_type(self._data.dtype, *dtypes), copy=False)

    @property
    def quantity(self):
        """Data with unit, an `~astropy.units.Quantity` that shares memory with `data`. Setting it sets data and unit.

        Raises
        ------
        BackendError
            If the data are on a device: astropy's quantities live on the host.
        """
        self._require_host("quantity")
        return u.Quantity(self.data, self.unit, copy=None)

    @quantity.setter
    def quantity(self, value):
        self._require_host("quantity")
        value = u.Quantity(value)
        self.data, self._unit = value.value, value.unit

    @property
    def backend(self):
        """The `~gpudl4.core.backend.Backend` that holds the data."""
        return backend_of(self.data)

    def _require_host(self, what):
        if self.backend.name != "numpy":
            raise BackendError(f"{what} needs data on the host, but they are on {self.backend.device}: call .to_host() first")

    def to_device(self, backend="cupy"):
        """Map with its data on another backend.

        Parameters
        ----------
        backend : {"cupy", "numpy", "auto"} or `~gpudl4.core.backend.Backend`
            Where to; data that are there already are shared.

        Returns
        -------
        map : `Map`
            Map with the same geometry and unit.
        """
        return self._with(data=to_device(self.data, get_backend(backend)))

    def to_host(self):
        """Map with its data in NumPy memory; data that are there already are shared."""
        return self._with(data=to_host(self.data))

    def _with(self, data=None, geom=None, unit=None, meta=None):
        """Map of the same class; what is not given is shared, metadata are copied."""
        geom = self.geom if geom is None else geom
        return type(self)(
            geom,
            data=self.data if data is None else _filled(data, geom.data_shape, self.backend.xp),
            unit=self.unit if unit is None else unit,
            meta=copy.deepcopy(self.meta) if meta is None else meta,
        )

    def copy(self, data=None, geom=None, unit=None, meta=None, dtype=None):
        """Copy, with some parts replaced.

        Parameters
        ----------
        data : array or scalar, optional
            Other data, not copied.
        geom : `Geom`, optional
            Other geometry of the same shape.
        unit : str or `~astropy.units.Unit`, optional
            Other unit; the data are not converted.
        meta : dict, optional
            Other metadata.
        dtype : str, optional
            Other type of the data.

        Returns
        -------
        map : `Map`
            New map.

        Raises
        ------
        GeometryError
            If the geometry has another shape.
        """
        if geom is not None and geom.data_shape != self.geom.data_shape:
            raise GeometryError(f"a copy cannot change the shape of a map from {self.geom.data_shape} to {geom.data_shape}")
        out = self._with(data=self.data.copy() if data is None else data, geom=geom, unit=unit, meta=meta)
        if dtype is not None:
            out.data = out.data.astype(dtype)
        return out

    def to_unit(self, unit):
        """Map converted to another unit.

        Parameters
        ----------
        unit : str or `~astropy.units.Unit`
            Wanted unit.

        Returns
        -------
        map : `Map`
            New map.

        Raises
        ------
        UnitMismatchError
            If the unit does not convert.
        """
        return self._with(data=self.data * self._factor_to(unit), unit=unit)

    def _factor_to(self, unit, what="map"):
        """Python float that turns the data into another unit."""
        try:
            return float(self.unit.to(unit))
        except u.UnitConversionError as error:
            raise UnitMismatchError(f"{what} has unit '{self.unit}', which does not convert to '{unit}'") from error

    @property
    def is_mask(self):
        """Whether the data are boolean."""
        return self.data.dtype == bool

    def is_allclose(self, other, rtol_axes=1e-3, atol_axes=1e-6, rtol=1e-5, atol=1e-8, equal_nan=False):
        """Whether shape, axes and data (in the unit of this map) agree within tolerances.

        Returns
        -------
        same : bool
            Result.
        """
        if type(self) is not type(other):
            raise TypeError(f"cannot compare a {type(self).__name__} with {type(other).__name__}")
        if self.data.shape != other.data.shape or not self.geom.axes.is_allclose(other.geom.axes, rtol=rtol_axes, atol=atol_axes):
            return False
        if not self.unit.is_equivalent(other.unit):
            return False
        xp = array_namespace(self.data, other.data)
        scaled = other.data if other.is_mask else other.data * float(other.unit.to(self.unit))
        return bool(xp.allclose(self.data, scaled, rtol=rtol, atol=atol, equal_nan=equal_nan))

    def __array__(self, dtype=None, copy=None):
        self._require_host("conversion to a NumPy array")
        return np.array(self.data, dtype=dtype, copy=copy)

    def __str__(self):
        where = "" if self.backend.name == "numpy" else f"\tdevice : {self.backend.device}\n"
        return (
            f"{type(self).__name__}\n\n\tgeom  : {type(self.geom).__name__}\n\taxes  : {self.geom.axes_names}\n"
            f"\tshape : {self.geom.data_shape[::-1]}\n\tndim  : {self.geom.ndim}\n"
            f"\tunit  : {self.unit}\n\tdtype : {self.data.dtype}\n{where}"
        )

    __repr__ = __str__

    def _repr_html_(self):
        rows = [line.strip().split(":", 1) for line in str(self).splitlines()[2:]]
        body = "".join(f"<tr><th style='text-align:left'>{key.strip()}</th><td>{value.strip()}</td></tr>" for key, value in rows)
        return f"<b>{type(self).__name__}</b><table>{body}</table>"


def _filled(value, shape, xp):
    """For a number, an array full of it; anything else as it is."""
    return xp.full(shape, value, dtype=type(value)) if isinstance(value, (bool, int, float)) else value
