"""`RegionNDMap`: a map on a `RegionGeom`, such as a spectrum or an IRF kept for one position; and its table form in FITS."""

import numpy as np
from astropy import units as u
from astropy.io import fits

from ..core.backend import array_namespace, to_device, to_host
from ..core.errors import DataFileError, GeometryError
from .axes import MapAxes
from .map import Map
from .map_axes import factors_of, reduce_array
from .region import RegionGeom, as_regions, union_of
from .wcs import WcsGeom

__all__ = ["RegionNDMap", "region_map_from_hdulist", "region_map_of", "region_map_to_hdulist"]


class RegionNDMap(Map):
    """Map with one sky region. Parameters as for `Map`; data may leave out the two sky dimensions of length one."""

    @staticmethod
    def create(region, axes=None, dtype="float32", meta=None, unit="", wcs=None, binsz_wcs="0.1 deg", data=None):
        """Make a map.

        Parameters
        ----------
        region : `~regions.SkyRegion`, str, `~astropy.coordinates.SkyCoord` or None
            Region, or DS9 text.
        axes, wcs, binsz_wcs
            As for `RegionGeom`.
        dtype, meta, unit, data
            As for `Map`.

        Returns
        -------
        map : `RegionNDMap`
            Map.
        """
        geom = RegionGeom.create(region, axes=axes, wcs=wcs, binsz_wcs=binsz_wcs)
        return RegionNDMap(geom, data=data, dtype=dtype, meta=meta, unit=unit)

    def _fitting(self, value):
        shape = self.geom.data_shape
        if getattr(value, "shape", None) == shape[:-2] and not isinstance(value, u.Quantity):
            value = value.reshape(shape)
        value = super()._fitting(value)
        return value

    def stack(self, other, weights=None, nan_to_num=True):
        """Add another region map, in place; its region is not looked at. Parameters as for `WcsNDMap.stack`."""
        xp = array_namespace(self.data, other.data)
        data = (other.data * other._factor_to(self.unit, "map to stack")).astype(self.data.dtype)
        if nan_to_num and data.dtype.kind == "f":
            data = xp.where(xp.isfinite(data), data, xp.zeros((), dtype=data.dtype))
        if weights is not None:
            data = data * factors_of(weights, data)
        if data.shape != self.data.shape:
            raise GeometryError(f"a region map of shape {data.shape} cannot be stacked on one of shape {self.data.shape}")
        self.data += data.astype(self.data.dtype)

    def downsample(self, factor, preserve_counts=True, axis_name=None, weights=None):
        """Merge bins of an axis, by default the first.

        Parameters
        ----------
        factor : int
            Number of bins to merge.
        preserve_counts : bool
            True sums, False takes the mean; NaN is left out. A mask is True where all bins are.
        axis_name : str, optional
            Axis.
        weights : `RegionNDMap`, optional
            Factors.

        Returns
        -------
        map : `RegionNDMap`
            Map.
        """
        if factor is None or factor == 1:
            return self
        axis_name = axis_name or self.geom.axes[0].name
        geom, dim = self.geom.downsample(factor, axis_name), self.geom.axes.index_data(axis_name)
        xp = array_namespace(self.data)
        data = self.data if weights is None else self.data * factors_of(weights, self.data)
        blocks = data.reshape(data.shape[:dim] + (data.shape[dim] // factor, factor) + data.shape[dim + 1 :])
        if self.is_mask:
            data = blocks.all(axis=dim + 1)
        elif preserve_counts:
            data = reduce_array(blocks, np.add, dim + 1).reshape(geom.data_shape)
        else:
            data = xp.nanmean(blocks, axis=dim + 1)
        return self._with(geom=geom, data=data)

    def upsample(self, factor, order=0, preserve_counts=True, axis_name=None):
        """Split bins of an axis, by default the first, with linear interpolation; `preserve_counts` divides by the factor.

        `order` is accepted for the signature of `WcsNDMap.upsample` and must be 0 or 1: both interpolate linearly, as in gammapy.
        """
        if order not in (0, 1):
            raise GeometryError(f"a region map is upsampled linearly, order must be 0 or 1, got: {order}")
        geom = self.geom.upsample(factor, axis_name or self.geom.axes[0].name)
        data = self.interp_by_coord({axis.name: geom.get_coord(sparse=True)[axis.name] for axis in geom.axes})
        return self._with(geom=geom, data=(data / factor if preserve_counts else data).reshape(geom.data_shape))

    def pad(self, pad_width, axis_name=None, mode="constant", cval=0):
        """Add bins at the ends of an axis; parameters as for `WcsNDMap.pad`."""
        if axis_name is None:
            raise GeometryError("a region has no pixels to pad: name an axis")
        return self._pad_axis(pad_width, axis_name, mode, cval)

    def interp_by_pix(self, pix, method="linear", fill_value=None, values_scale="lin"):
        """Interpolate at pixel coordinates; NaN for the sky means outside the region and gives NaN."""
        values = super().interp_by_pix(pix, method=method, fill_value=fill_value, values_scale=values_scale)
        outside = np.broadcast_to(np.isnan(pix[0]), values.shape)
        if fill_value is None and outside.any():
            values[to_device(outside, self.backend)] = np.nan
        return values

    def iter_by_axis_data(self, axis_name):
        """Iterator over (index in the data array, quantity along an axis)."""
        dim = self.geom.axes.index_data(axis_name)
        for idx in np.ndindex(*(1 if number == dim else size for number, size in enumerate(self.data.shape))):
            index = tuple(slice(None) if number == dim else i for number, i in enumerate(idx))
            yield index, self.quantity[index]

    def get_spectrum(self, region=None, func=None, weights=None):
        """The map itself: it is a spectrum already."""
        return self

    def to_region_nd_map(self, region=None, func=None, weights=None, method=None):
        """The map itself."""
        return self

    def cutout(self, position=None, width=None, mode=None, odd_npix=None, min_npix=None):
        """The map itself: a region is not cut."""
        return self

    def plot(self, ax=None, **kwargs):
        """Draw along an axis; see `gpudl4.plot.maps.plot_region_map`."""
        from ..plot.maps import plot_region_map

        return plot_region_map(self, ax=ax, **kwargs)


def region_map_of(map_, region=None, func=np.nansum, weights=None, method="nearest"):
    """Values of a sky map in a region, along its non-spatial axes.

    Parameters
    ----------
    map_ : `~gpudl4.maps.WcsNDMap`
        Map.
    region : `~regions.Region`, str or `~astropy.coordinates.SkyCoord`, optional
        Region; by default the rectangle of the map. For a position the map is interpolated, else pixels count whose centre lies inside.
    func : callable
        How pixels are joined: a function of a one-dimensional array such as `numpy.nansum`, `numpy.mean`, `numpy.any`.
    weights : `~gpudl4.maps.WcsNDMap`, optional
        A mask of the pixels to take, or factors; same geometry.
    method : {"nearest", "linear"}
        How to interpolate at a position.

    Returns
    -------
    map : `RegionNDMap`
        Map with data of the type of `map_`.

    Raises
    ------
    GeometryError
        If the geometry of the weights differs.
    """
    if weights is not None and map_.geom != weights.geom:
        raise GeometryError("Incompatible spatial geoms between map and weights")
    region = map_.geom.footprint_rectangle_sky_region if region is None else region
    geom = RegionGeom.from_regions(region, axes=map_.geom.axes, wcs=map_.geom.wcs)
    backend = map_.backend
    factors = None if weights is None else factors_of(weights, map_.data)
    if geom.is_all_point_sky_regions:
        coords = geom.get_coord(sparse=True)
        data = map_.interp_by_coord(coords, method=method)
        if weights is not None:
            data = data * weights.interp_by_coord(coords, method=method)
        return RegionNDMap(geom, data=data.astype(map_.data.dtype), unit=map_.unit, meta=dict(map_.meta))
    slices, inside = _region_pixels(map_.geom, geom)
    values = map_.data[(Ellipsis, *slices)]
    weight = None if weights is None else factors[(Ellipsis, *slices)]
    if weight is not None and weight.dtype != bool:
        values, weight = values * weight, None
    inside = to_device(inside, backend)
    function = getattr(backend.xp, getattr(func, "__name__", ""), func)
    data = backend.xp.empty(values.shape[:-2], dtype=map_.data.dtype)
    for idx in np.ndindex(*data.shape):
        data[idx] = function(values[idx][inside if weight is None else inside & weight[idx]])
    return RegionNDMap(geom, data=data, unit=map_.unit, meta=dict(map_.meta))


def _region_pixels(geom, region_geom):
    """Slices (lat, lon) of the box around a region, and which of its pixels have their centre inside."""
    slices = geom.cutout_slices(region_geom.center_skydir, tuple(region_geom.width.value.tolist()))["parent-slices"]
    y, x = np.meshgrid(*(np.arange(part.start, part.stop) for part in slices), indexing="ij")
    return slices, np.asarray(region_geom.contains_wcs_pix((x, y)), dtype=bool)


def region_map_from_hdulist(hdulist, data_hdu, hdu_bands=None):
    """Region map from its table in FITS; see `~gpudl4.maps.map_files.map_from_hdulist`."""
    from .map_files import MASK_NAMES, find_named_hdu, parse_meta, parse_unit

    if not isinstance(data_hdu, fits.BinTableHDU) or "DATA" not in data_hdu.columns.names:
        raise DataFileError(f"HDU '{data_hdu.name}' is neither a sky image nor a region map: it has no column DATA")
    bands = find_named_hdu(hdulist, hdu_bands or f"{data_hdu.name}_BANDS")
    geom = RegionGeom(*_read_region(hdulist, f"{data_hdu.name}_REGION"))._with_axes(MapAxes.from_table_hdu(bands))
    data = np.asarray(data_hdu.data["DATA"])
    data = data.astype(data.dtype.newbyteorder("="))
    if data.size != int(np.prod(geom.data_shape)):
        raise DataFileError(f"HDU '{data_hdu.name}' holds {data.size} values, but its bands describe the shape {geom.data_shape}")
    if any(name in data_hdu.name.lower() for name in MASK_NAMES):
        data = data.astype(bool)
    unit = parse_unit({"BUNIT": data_hdu.columns["DATA"].unit or ""})
    return RegionNDMap(geom, data=data.reshape(geom.data_shape), unit=unit, meta=parse_meta(data_hdu.header))


def _read_region(hdulist, name):
    """Region (and None for axes, and its projection) from a FITS region table; three times None if there is none."""
    if name not in hdulist:
        return None, None, None
    from astropy.table import QTable
    from astropy.wcs import WCS
    from regions import Regions

    table = QTable.read(hdulist[name])
    wcs = WCS(hdulist[name].header, naxis=2).sub(2)
    regions = []
    for region in Regions.parse(table, format="fits"):
        region.meta["include"] = True  # the package regions drops the flag when it reads FITS
        regions.append(region.to_sky(wcs))
    return union_of(regions), None, wcs


def region_map_to_hdulist(map_, hdu="SKYMAP", hdu_bands=None, format="gadf"):
    """Table form of a region map; see `~gpudl4.maps.map_files.map_to_hdulist`."""
    if format != "gadf":
        raise GeometryError(f"region maps are written in format 'gadf', got: {format!r}")
    from .map_files import meta_to_json

    hdu = hdu.upper()
    data = to_host(map_.data)
    data = data.astype(int) if map_.is_mask else data
    kind = {"i8": "K", "i4": "J", "i2": "I", "f4": "E"}.get(data.dtype.str[1:], "D")
    columns = [
        fits.Column("CHANNEL", "J", array=np.arange(data.size)),
        fits.Column("DATA", kind, array=data.ravel(), unit=map_.unit.to_string("fits")),
    ]
    header = map_.geom.axes.to_header()
    header["META"] = meta_to_json(map_.meta)
    out = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, header=header, name=hdu)]
    if map_.geom.axes:
        out.append(map_.geom.axes.to_table_hdu(hdu_bands=hdu_bands or f"{hdu}_BANDS"))
    if map_.geom.region is not None:
        from regions import Regions

        table = Regions([region.to_pixel(map_.geom.wcs) for region in as_regions(map_.geom.region)]).serialize(format="fits")
        header = WcsGeom(map_.geom.wcs).to_header()  # with WCSSHAPE, which gammapy needs
        table.meta.update(header)
        out.append(fits.BinTableHDU(table, name=f"{hdu}_REGION"))
    return fits.HDUList(out)
