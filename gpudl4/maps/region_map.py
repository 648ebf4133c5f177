"""`RegionNDMap`: a map on a `RegionGeom`, such as a spectrum or an IRF kept for one position. Its files are in `region_files`."""

import numpy as np
from astropy import units as u

from ..core.backend import array_namespace, get_backend, to_device
from ..core.errors import GeometryError
from .interpolation import interpolate_pixels, profile_root
from .map import Map
from .map_axes import added_data, block_sums, factors_of, mean_of_blocks
from .promotion import product, settled, wide
from .region import RegionGeom

__all__ = ["RegionNDMap", "region_map_of"]

# How many pixels beyond a bin centre still count as at the centre: the rounding of coordinates.
EDGE = 1e-9
# Functions that take all image planes in one call.
_ALONG_AN_AXIS = (np.nansum, np.sum, np.nanmean, np.mean, np.nanmax, np.max, np.nanmin, np.min, np.any, np.all, np.median)


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

    @staticmethod
    def read(filename, format="gadf", ogip_column=None, hdu=None, checksum=False, backend="numpy", unit=None):
        """Read a region map from a FITS file, plain or gzip.

        Parameters
        ----------
        filename : str or `~pathlib.Path`
            File; environment variables are expanded.
        format, ogip_column, hdu
            As for `~gpudl4.maps.region_files.region_map_from_hdulist`.
        checksum, backend, unit
            As for `Map.read`.

        Returns
        -------
        map : `RegionNDMap`
            Map.

        Raises
        ------
        DataFileError
            If the file is missing, damaged or not FITS, or has no such map; the message names the file.
        """
        from ..io.files import open_fits
        from .region_files import region_map_from_hdulist

        backend = get_backend(backend)
        with open_fits(filename, checksum=checksum) as hdulist:
            return region_map_from_hdulist(hdulist, format=format, ogip_column=ogip_column, hdu=hdu, unit=unit).to_device(backend)

    def write(self, filename, overwrite=False, format="gadf", hdu="SKYMAP", checksum=False):
        """Write to a FITS file; see `~gpudl4.maps.region_files.region_map_to_hdulist` and `~gpudl4.io.files.write_fits`."""
        from ..io.files import write_fits

        write_fits(self.to_hdulist(format=format, hdu=hdu), filename, overwrite, checksum)

    @staticmethod
    def from_hdulist(hdulist, format="gadf", ogip_column=None, hdu=None, hdu_bands=None, unit=None):
        """Region map from open FITS data; see `~gpudl4.maps.region_files.region_map_from_hdulist`."""
        from .region_files import region_map_from_hdulist

        return region_map_from_hdulist(hdulist, format=format, ogip_column=ogip_column, hdu=hdu, hdu_bands=hdu_bands, unit=unit)

    def to_hdulist(self, format="gadf", hdu="SKYMAP", hdu_bands=None, hdu_region=None):
        """FITS HDUs of the map; see `~gpudl4.maps.region_files.region_map_to_hdulist`."""
        from .region_files import region_map_to_hdulist

        return region_map_to_hdulist(self, format=format, hdu=hdu or "SKYMAP", hdu_bands=hdu_bands, hdu_region=hdu_region)

    def to_table(self, format="gadf"):
        """Table of the map; see `~gpudl4.maps.region_tables.region_map_to_table`."""
        from .region_tables import region_map_to_table

        return region_map_to_table(self, format)

    @staticmethod
    def from_table(table, format="", colname=None):
        """Region map from a column of a table of flux points; see `~gpudl4.maps.region_tables.region_map_from_table`."""
        from .region_tables import region_map_from_table

        return region_map_from_table(table, format, colname)

    def _fitting(self, value):
        shape = self.geom.data_shape
        if getattr(value, "shape", None) == shape[:-2] and not isinstance(value, u.Quantity):
            value = value.reshape(shape)
        value = super()._fitting(value)
        return value

    def stack(self, other, weights=None, nan_to_num=True):
        """Add another region map, in place; its region is not looked at. Parameters as for `WcsNDMap.stack`."""
        array_namespace(self.data, other.data)  # refuses to mix backends
        if other.data.shape != self.data.shape:
            raise GeometryError(f"a region map of shape {other.data.shape} cannot be stacked on one of shape {self.data.shape}")
        factors = None if weights is None else factors_of(weights, other.data)
        data = added_data(self, other, other.data, factors, nan_to_num)
        self.data += data

    def downsample(self, factor, preserve_counts=True, axis_name=None, weights=None):
        """Merge bins of an axis, by default the first.

        Parameters
        ----------
        factor : int
            Number of bins to merge.
        preserve_counts : bool
            True sums, False takes the mean weighted with `weights` (0 where they sum to 0, NaN where all values are NaN); NaN is left out.
            A mask is True where all bins are.
        axis_name : str, optional
            Axis.
        weights : `RegionNDMap`, optional
            Factors.

        Returns
        -------
        map : `RegionNDMap`
            Map with data of the same type; of integers, sums are int64 and means float64.
        """
        if factor is None or factor == 1:
            return self
        axis_name = axis_name or self.geom.axes[0].name
        geom, dim = self.geom.downsample(factor, axis_name), self.geom.axes.index_data(axis_name)
        factors = None if weights is None else factors_of(weights, self.data)
        blocks = [factor if number == dim else 1 for number in range(self.data.ndim)]
        if self.is_mask:
            data = block_sums(self.data if factors is None else self.data & (factors != 0), blocks) == factor
        elif preserve_counts:
            data = block_sums(self.data if factors is None else product(self.data, factors), blocks)
        else:
            data = mean_of_blocks(self.data, factors, blocks)
        return self._with(geom=geom, data=settled(data, self.data.dtype))

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
        """Interpolate at pixel coordinates along the axes; the sky position has no influence. Parameters as for `interp_by_coord`.

        The `values_scale` "stat-profile" interpolates statistic profiles along an axis "norm", see
        `~gpudl4.maps.interpolation.profile_root`. A `fill_value` stands outside the centres of the first and the last bin, where a sky map
        has it outside their edges; as in gammapy.
        """
        if values_scale == "stat-profile":
            root = profile_root(self.data, self.geom.axes.index_data("norm"))
            values = interpolate_pixels(root, pix[::-1], method=method) ** 2
        else:
            values = super().interp_by_pix(pix, method=method, values_scale=values_scale)
        if fill_value is not None:
            outside = False
            for position, size in zip(pix, self.data.shape[::-1], strict=True):
                if size > 1:
                    outside = outside | (np.asarray(position) < -EDGE) | (np.asarray(position) > size - 1 + EDGE)
            values[to_device(np.broadcast_to(outside, values.shape), self.backend)] = fill_value
        return values

    def crop(self, crop_width=None):
        """Not possible: a region has no pixels to remove."""
        return self.geom.crop(crop_width)

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

    def plot(self, ax=None, axis_name=None, **kwargs):
        """Draw along an axis; see `gpudl4.plot.region_maps.plot_region_map`."""
        from ..plot.region_maps import plot_region_map

        return plot_region_map(self, ax, axis_name, **kwargs)

    def plot_region(self, ax=None, kwargs_point=None, path_effect=None, **kwargs):
        """Draw the region on the sky; see `gpudl4.plot.regions.plot_region`."""
        return self.geom.plot_region(ax, kwargs_point, path_effect, **kwargs)

    def plot_hist(self, ax=None, **kwargs):
        """Draw as steps along the axis; see `gpudl4.plot.region_maps.plot_region_hist`."""
        from ..plot.region_maps import plot_region_hist

        return plot_region_hist(self, ax=ax, **kwargs)

    def plot_mask(self, ax=None, **kwargs):
        """Shade the energies inside a mask; see `gpudl4.plot.region_maps.plot_region_mask`."""
        from ..plot.region_maps import plot_region_mask

        return plot_region_mask(self, ax=ax, **kwargs)


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
        A mask of the pixels to take, or factors; same geometry. With factors a mean is the weighted one, without NaN (0 where they
        sum to 0).
    method : {"nearest", "linear"}
        How to interpolate at a position.

    Returns
    -------
    map : `RegionNDMap`
        Map with data of the type of `map_`; those of integers have the type that the function gives, int64 for sums. A sum over no pixel
        is 0, a mean NaN.

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
        return RegionNDMap(geom, data=settled(data, map_.data.dtype), unit=map_.unit, meta=dict(map_.meta))
    slices, inside = _region_pixels(map_.geom, geom)
    inside = to_device(inside, backend)
    values = wide(map_.data[(Ellipsis, *slices)])
    weight = None if weights is None else factors[(Ellipsis, *slices)]
    if weight is not None and weight.dtype != bool:
        if getattr(func, "__name__", "") in ("mean", "nanmean") and bool(inside.any()):
            data = mean_of_blocks(values[..., inside], weight[..., inside], (1,) * (values.ndim - 2) + (int(inside.sum()),))[..., 0]
            return RegionNDMap(geom, data=settled(data, map_.data.dtype), unit=map_.unit, meta=dict(map_.meta))
        values, weight = product(values, weight), None
    function = getattr(backend.xp, getattr(func, "__name__", ""), func)
    if weight is None and func in _ALONG_AN_AXIS:
        data = function(values[..., inside], axis=-1)
    else:
        shape = values.shape[:-2]
        pixels = [inside if weight is None else inside & weight[idx] for idx in np.ndindex(*shape)]
        planes = [backend.xp.asarray(function(values[idx][use])) for idx, use in zip(np.ndindex(*shape), pixels, strict=True)]
        data = backend.xp.stack(planes).reshape(shape)
    return RegionNDMap(geom, data=settled(data, map_.data.dtype), unit=map_.unit, meta=dict(map_.meta))


def _region_pixels(geom, region_geom):
    """Slices (lat, lon) of the box around a region, and which of its pixels have their centre inside."""
    slices = geom.cutout_slices(region_geom.center_skydir, tuple(region_geom.width.value.tolist()))["parent-slices"]
    y, x = np.meshgrid(*(np.arange(part.start, part.stop) for part in slices), indexing="ij")
    return slices, np.asarray(region_geom.contains_wcs_pix((x, y)), dtype=bool)
