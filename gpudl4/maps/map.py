"""`Map`: an array with a geometry and a unit. Base class of `WcsNDMap` and `RegionNDMap`, and the door to make or read either.

Data are in C order, ``(..., energy, lat, lon)``. The array is NumPy or CuPy; nothing moves between the two unless `to_device` or `to_host`
is called. The unit is kept beside the array, so astropy quantities exist on the host only. Arithmetic lives in `map_arithmetic`, sums
and other work along axes in `map_axes`, files in `map_files`.
"""

import copy

import numpy as np
from astropy import units as u

from ..core.backend import array_namespace, backend_of, get_backend, to_device, to_host
from ..core.errors import BackendError, GeometryError, UnitMismatchError
from .geom import pix_tuple_to_idx
from .map_arithmetic import MapArithmetic
from .map_axes import MapAxesOperations

__all__ = ["Map"]


class Map(MapArithmetic, MapAxesOperations):
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
    def read(filename, hdu=None, hdu_bands=None, map_type="auto", format=None):
        """Read a map from a FITS file; see `~gpudl4.maps.map_files.read_map`."""
        from .map_files import read_map

        return read_map(filename, hdu=hdu, hdu_bands=hdu_bands, map_type=map_type, format=format)

    @staticmethod
    def from_hdulist(hdulist, hdu=None, hdu_bands=None, map_type="auto", format=None):
        """Map from open FITS data; see `~gpudl4.maps.map_files.map_from_hdulist`."""
        from .map_files import map_from_hdulist

        return map_from_hdulist(hdulist, hdu=hdu, hdu_bands=hdu_bands, map_type=map_type, format=format)

    def to_hdulist(self, hdu=None, hdu_bands=None, sparse=False, format="gadf"):
        """FITS HDUs of the map; see `~gpudl4.maps.map_files.map_to_hdulist`."""
        from .map_files import map_to_hdulist

        return map_to_hdulist(self, hdu=hdu, hdu_bands=hdu_bands, sparse=sparse, format=format)

    def write(self, filename, overwrite=False, hdu=None, hdu_bands=None, sparse=False, format="gadf", checksum=False):
        """Write to a FITS file; see `~gpudl4.maps.map_files.map_to_hdulist` and `~gpudl4.maps.fits_files.write_fits`."""
        from .fits_files import write_fits

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
        """Data, a NumPy or CuPy array."""
        return self._data

    @data.setter
    def data(self, value):
        self._data = self._fitting(value)

    def _fitting(self, value):
        """Data as an array of the shape of the geometry, in native byte order."""
        if isinstance(value, u.Quantity):
            raise TypeError("the data of a map are a plain array; give the unit separately, or set .quantity")
        shape = self.geom.data_shape
        if isinstance(value, (bool, int, float)):
            return np.full(shape, value, dtype=type(value))
        if not hasattr(value, "__cuda_array_interface__"):
            value = np.asarray(value)
            if not value.dtype.isnative:
                value = value.astype(value.dtype.newbyteorder("="))
        if value.shape == shape:
            return value
        try:
            return array_namespace(value).broadcast_to(value, shape).copy()
        except ValueError as error:
            raise GeometryError(f"data of shape {value.shape} do not fit the geometry, whose shape is {shape}") from error

    @property
    def quantity(self):
        """Data with unit, an `~astropy.units.Quantity` that shares memory with `data`. Setting it sets data and unit.

        Raises
        ------
        BackendError
            If the data are on a device.
        """
        self._require_host("quantity")
        return u.Quantity(self.data, self.unit, copy=None)

    @quantity.setter
    def quantity(self, value):
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
        return type(self)(
            self.geom if geom is None else geom,
            data=self.data if data is None else data,
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

    def get_by_idx(self, idx):
        """Values of pixels.

        Parameters
        ----------
        idx : tuple of array-like of int
            Pixel numbers, lon first.

        Returns
        -------
        values : array
            Values.
        """
        idx = pix_tuple_to_idx(idx)
        return self.data[tuple(to_device(i, self.backend) for i in idx[::-1])]

    def get_by_pix(self, pix, fill_value=np.nan):
        """Values of the pixels at pixel coordinates, rounded.

        Parameters
        ----------
        pix : tuple of array-like
            Pixel coordinates, lon first.
        fill_value : float
            Value outside the map.

        Returns
        -------
        values : array
            Values; of the type of `fill_value` if some positions lie outside, else of the map.
        """
        pix = np.broadcast_arrays(*pix)
        inside = self.geom.contains_pix(pix)
        values = self.get_by_idx(self.geom.pix_to_idx(pix))
        if not inside.all():
            values = values.astype(type(fill_value))
            values[to_device(~inside, self.backend)] = fill_value
        return values

    def get_by_coord(self, coords, fill_value=np.nan):
        """Values of the pixels at coordinates; see `MapCoord.create` for the coordinates and `get_by_pix` for the rest."""
        return self.get_by_pix(self.geom.coord_to_pix(coords), fill_value=fill_value)

    def set_by_idx(self, idx, vals):
        """Set pixels, by pixel numbers (lon first), in place."""
        self.data[tuple(to_device(i, self.backend) for i in pix_tuple_to_idx(idx)[::-1])] = vals

    def set_by_pix(self, pix, vals):
        """Set the pixels at pixel coordinates, rounded, in place."""
        self.set_by_idx(pix_tuple_to_idx(pix), vals)

    def set_by_coord(self, coords, vals):
        """Set the pixels at coordinates, in place."""
        self.set_by_pix(self.geom.coord_to_pix(coords), vals)

    def fill_by_idx(self, idx, weights=None):
        """Add to pixels, in place; pixels that occur several times accumulate, pixels numbered -1 are left out.

        Parameters
        ----------
        idx : tuple of array-like of int
            Pixel numbers, lon first.
        weights : `~numpy.ndarray` or `~astropy.units.Quantity`, optional
            What to add, one by default; on the host.
        """
        idx = np.broadcast_arrays(*pix_tuple_to_idx(idx))
        inside = np.logical_and.reduce([i != -1 for i in idx])
        if weights is not None:
            weights = weights.to_value(self.unit) if isinstance(weights, u.Quantity) else np.asarray(weights)
            weights = np.broadcast_to(weights, inside.shape)[inside]
        flat = np.ravel_multi_index(tuple(i[inside] for i in idx[::-1]), self.data.shape)
        pixels, inverse = np.unique(flat, return_inverse=True)
        total = np.bincount(inverse, weights=weights, minlength=len(pixels)).astype(self.data.dtype)
        where = tuple(to_device(i, self.backend) for i in np.unravel_index(pixels, self.data.shape))
        self.data[where] += to_device(total, self.backend)

    def fill_by_pix(self, pix, weights=None):
        """Add to the pixels at pixel coordinates, rounded; see `fill_by_idx`."""
        self.fill_by_idx(self.geom.pix_to_idx(np.broadcast_arrays(*pix)), weights=weights)

    def fill_by_coord(self, coords, weights=None):
        """Add to the pixels at coordinates; see `fill_by_idx`."""
        self.fill_by_idx(self.geom.coord_to_idx(coords), weights=weights)

    def interp_by_pix(self, pix, method="linear", fill_value=None, values_scale="lin"):
        """Interpolate at pixel coordinates; see `interp_by_coord`."""
        from .interpolation import interpolate_pixels

        xp = self.backend.xp
        data = self.data
        finite = xp.isfinite(data)
        if not bool(finite.all()) and bool(finite.any()):
            data = xp.where(finite, data, xp.zeros((), dtype=data.dtype))
        values = interpolate_pixels(data, pix[::-1], method=method, values_scale=values_scale)
        if fill_value is not None:
            outside = ~self.geom.contains_pix(np.broadcast_arrays(*pix))
            values[to_device(outside.reshape(values.shape), self.backend)] = fill_value
            values[~xp.isfinite(values)] = fill_value
        return values

    def interp_by_coord(self, coords, method="linear", fill_value=None, values_scale="lin"):
        """Interpolate between pixel centres.

        Values that are not finite count as 0, unless all are. Dimensions of length one are ignored.

        Parameters
        ----------
        coords : tuple, dict or `~gpudl4.maps.MapCoord`
            Coordinates, see `MapCoord.create`.
        method : {"linear", "nearest"}
            Method, in pixel space.
        fill_value : float, optional
            Value outside the map; None extrapolates.
        values_scale : {"lin", "log", "sqrt"}
            Scale on which values are interpolated.

        Returns
        -------
        values : array
            Values, in the unit of the map, of the broadcast shape of the coordinates.
        """
        return self.interp_by_pix(self.geom.coord_to_pix(coords), method=method, fill_value=fill_value, values_scale=values_scale)

    def interp_to_geom(self, geom, preserve_counts=False, fill_value=0, method="linear", values_scale="lin"):
        """Interpolate to the pixels of another geometry.

        Parameters
        ----------
        geom : `Geom`
            Wanted geometry.
        preserve_counts : bool
            Whether values are per pixel (counts) and must be scaled with the solid angle.
        fill_value : float, optional
            Value outside the map; None extrapolates. A mask takes the nearest pixel, unless this is None.
        method, values_scale
            As for `interp_by_coord`.

        Returns
        -------
        map : `Map`
            Map with the wanted geometry.

        Raises
        ------
        GeometryError
            If `preserve_counts` is set and the first axes differ.
        """
        source, xp = self, self.backend.xp
        coords = geom.get_coord(sparse=True)
        if preserve_counts:
            if geom.axes and (not self.geom.axes or geom.axes[0] != self.geom.axes[0]):
                raise GeometryError(f"to preserve counts the first axes must agree, got: {self.geom.axes} and {geom.axes}")
            source = self._with(data=self.data / to_device(self.geom.solid_angle().to_value("deg2"), self.backend))
        if self.is_mask and fill_value is not None:
            data = self.get_by_coord(coords.broadcasted)
            data = xp.where(xp.isnan(data), float(fill_value), data) if data.dtype.kind == "f" else data
        else:
            data = source.interp_by_coord(coords, fill_value=fill_value, method=method, values_scale=values_scale)
        data = data.astype(bool) if self.is_mask else data
        if preserve_counts:
            data = data * to_device(geom.solid_angle().to_value("deg2"), self.backend)
        return Map.from_geom(geom, data=data, unit=self.unit)

    def coadd(self, map_in, weights=None):
        """Add another map pixel by pixel, in place: every pixel goes to the pixel its centre lies in.

        Parameters
        ----------
        map_in : `Map`
            Map to add, on the host; its unit is converted.
        weights : `Map` or array, optional
            Factor of every pixel.
        """
        map_in = map_in if weights is None else map_in * weights
        map_in._require_host("coadd")
        self.fill_by_coord(map_in.geom.get_coord(), weights=map_in.data * map_in._factor_to(self.unit, "map to add"))

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
