"""`WcsNDMap`: a map on a `WcsGeom`. Cutouts, stacking, resampling and regions; filters are in `wcs_filters`."""

import numpy as np

from ..core.backend import array_namespace, to_device, to_host
from ..core.errors import GeometryError
from .geom import width_in_degrees
from .map import Map
from .map_axes import added_data, block_sums, factors_of, mean_of_blocks, pad_array
from .promotion import product, settled
from .wcs import WcsGeom

__all__ = ["WcsNDMap"]


class WcsNDMap(Map):
    """Map with sky pixels in a FITS projection. Parameters as for `Map`."""

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
    ):
        """Make an empty map; parameters as for `Map.create` and `WcsGeom.create`."""
        if map_type != "wcs":
            raise GeometryError(f"a WcsNDMap has map_type 'wcs', got: {map_type!r}")
        geom = WcsGeom.create(npix=npix, binsz=binsz, proj=proj, frame=frame, refpix=refpix, axes=axes, skydir=skydir, width=width)
        return WcsNDMap(geom, dtype=dtype, meta=meta, unit=unit)

    def cutout(self, position, width, mode="trim", odd_npix=False, min_npix=1):
        """Part of the map around a position; parameters and errors as for `WcsGeom.cutout`.

        Returns
        -------
        cutout : `WcsNDMap`
            Copy of the pixels; those outside the map (mode "partial") are 0.
        """
        slices = self.geom.cutout_slices(position, width, mode=mode, odd_npix=odd_npix, min_npix=min_npix)
        geom = self.geom.cutout(position, width, mode=mode, odd_npix=odd_npix, min_npix=min_npix)
        data = array_namespace(self.data).zeros(geom.data_shape, dtype=self.data.dtype)
        data[(Ellipsis, *slices["cutout-slices"])] = self.data[(Ellipsis, *slices["parent-slices"])]
        return self._with(geom=geom, data=data)

    def _overlap(self, geom):
        """Slices of this map and of a geometry aligned with it where the two overlap."""
        offset = self.geom.wcs.wcs.crpix - geom.wcs.wcs.crpix
        start = [int(s) for s in np.round(offset)][::-1]
        mine, theirs = [], []
        for first, size, total in zip(start, geom.data_shape[-2:], self.geom.data_shape[-2:], strict=True):
            low, high = max(first, 0), min(first + size, total)
            if low >= high:
                raise GeometryError("the maps to stack do not overlap")
            mine.append(slice(low, high))
            theirs.append(slice(low - first, high - first))
        return (Ellipsis, *mine), (Ellipsis, *theirs)

    def stack(self, other, weights=None, nan_to_num=True):
        """Add another map, or a cutout of this one, in place.

        Parameters
        ----------
        other : `WcsNDMap`
            Map to add; its unit is converted. The data keep their type, but integers become int64, or float64 if something else is added.
        weights : `WcsNDMap`, optional
            Factors with the pixels of `other`; axes broadcast.
        nan_to_num : bool
            Whether values that are not finite count as 0.

        Raises
        ------
        GeometryError
            If the pixels of `other` are not pixels of this map, or those of `weights` are not those of `other`.
        UnitMismatchError
            If the unit does not convert.
        """
        array_namespace(self.data, other.data)  # refuses to mix backends
        if self.geom == other.geom:
            mine = theirs = Ellipsis
        elif self.geom.is_aligned(other.geom):
            mine, theirs = self._overlap(other.geom)
        else:
            raise GeometryError(f"Can only stack equivalent maps or cutout of the same map.\n{self.geom}\n{other.geom}")
        factors = None
        if weights is not None:
            if other.geom.to_image() != weights.geom.to_image():
                raise GeometryError(f"Incompatible spatial geoms between map and weights.\n{other.geom}\n{weights.geom}")
            factors = factors_of(weights, other.data)[theirs]
        data = added_data(self, other, other.data[theirs], factors, nan_to_num)
        self.data[mine] += data

    def downsample(self, factor, preserve_counts=True, axis_name=None, weights=None):
        """Merge blocks of pixels, or bins of an axis; NaN is left out.

        Parameters
        ----------
        factor : int
            Number of pixels per block, along lon and lat or along the axis.
        preserve_counts : bool
            True sums, False takes the mean weighted with `weights` (0 where they sum to 0, NaN where all values are NaN).
        axis_name : str, optional
            Axis to downsample instead of the sky.
        weights : `WcsNDMap` or array, optional
            Factors.

        Returns
        -------
        map : `WcsNDMap`
            Map with data of the same type; of integers, sums are int64 and means float64. A mask is True where any pixel is.
        """
        if factor is None or factor == 1:
            return self
        geom, blocks = self.geom.downsample(factor, axis_name=axis_name), self._blocks(factor, axis_name)
        factors = None if weights is None else factors_of(weights, self.data)
        if preserve_counts:
            data = block_sums(self.data if factors is None else product(self.data, factors), blocks)
        else:
            data = mean_of_blocks(self.data, factors, blocks)
        return self._with(geom=geom, data=settled(data, self.data.dtype))

    def _volumes(self, geom, factor, axis_name):
        """Volumes of the pixels of a finer geometry, and their sums in the pixels of this one; equal where a pixel has none."""
        volume, blocks = np.broadcast_to(geom.bin_volume().value, geom.data_shape), self._blocks(factor, axis_name)
        whole = block_sums(volume, blocks)
        if not whole.all():
            empty = whole == 0
            whole = np.where(empty, np.prod(blocks), whole)
            for dim, block in enumerate(blocks):
                empty = np.repeat(empty, block, axis=dim)
            volume = np.where(empty, 1.0, volume)
        return volume, whole

    def _blocks(self, factor, axis_name):
        blocks = [1] * self.data.ndim
        if axis_name is None:
            blocks[-2:] = factor, factor
        else:
            blocks[self.geom.axes.index_data(axis_name)] = factor
        return blocks

    def upsample(self, factor, order=0, preserve_counts=True, axis_name=None):
        """Split pixels, or bins of an axis.

        Parameters
        ----------
        factor : int
            Number of new pixels per pixel, along lon and lat or along the axis.
        order : int
            Order of the spline interpolation; 0 repeats.
        preserve_counts : bool
            Whether the value of a pixel is divided among the new ones, by their volume; with order 0 it is conserved.
        axis_name : str, optional
            Axis to upsample instead of the sky.

        Returns
        -------
        map : `WcsNDMap`
            Map with data of the same type; integers become float64, unless they are repeated.
        """
        if factor is None or factor == 1:
            return self
        backend, geom = self.backend, self.geom.upsample(factor, axis_name=axis_name)
        data = self.data
        if preserve_counts:
            volume, whole = self._volumes(geom, factor, axis_name)
            data = data / to_device(whole, backend)
        dims = [data.ndim - 2, data.ndim - 1] if axis_name is None else [self.geom.axes.index_data(axis_name)]
        if order == 0:
            for dim in dims:
                data = backend.xp.repeat(data, geom.data_shape[dim] // self.data.shape[dim], axis=dim)
        else:
            vectors = [np.arange(size, dtype=float) for size in geom.data_shape]
            for dim in dims:
                vectors[dim] = (vectors[dim] - 0.5 * (factor - 1)) / factor
            grid = to_device(np.stack(np.meshgrid(*vectors, indexing="ij")), backend)
            data = backend.ndimage.map_coordinates(data.astype(float), grid, order=order, mode="nearest")
        if preserve_counts:
            data = data * to_device(volume, backend)
        return self._with(geom=geom, data=settled(data, self.data.dtype))

    def pad(self, pad_width, axis_name=None, mode="constant", cval=0, method="linear"):
        """Add pixels at the border, or bins at the ends of an axis.

        Parameters
        ----------
        pad_width : int or tuple of int
            Number of pixels, the same or (lon, lat); for an axis, the same or (low, high).
        axis_name : str, optional
            Axis to pad instead of the sky.
        mode : {"constant", "edge", "interp"}
            New values: `cval`, the nearest pixel, or extrapolated from the last pixels (sky only).
        cval : float
            Value for "constant".
        method : {"linear", "nearest"}
            How "interp" extrapolates.

        Returns
        -------
        map : `WcsNDMap`
            Padded map.
        """
        if axis_name is not None:
            return self._pad_axis(pad_width, axis_name, mode, cval)
        x, y = pad_width if isinstance(pad_width, tuple) else (pad_width, pad_width)
        geom = self.geom.pad((x, y))
        widths = [(0, 0)] * len(self.geom.axes) + [(y, y), (x, x)]
        if mode != "interp":
            return self._with(geom=geom, data=pad_array(self.data, widths, mode, cval))
        out = self.interp_to_geom(geom, fill_value=None, method=method)
        out.data = settled(out.data, self.data.dtype)
        out.data[..., y : y + self.data.shape[-2], x : x + self.data.shape[-1]] = self.data
        return out

    def crop(self, crop_width):
        """Remove pixels at every side.

        Parameters
        ----------
        crop_width : int, tuple of int, `~astropy.units.Quantity` or str
            Number of pixels or angle, the same or (lon, lat).

        Returns
        -------
        map : `WcsNDMap`
            Cropped copy.
        """
        if isinstance(crop_width, str) or hasattr(crop_width, "unit"):
            crop_width = tuple(int(np.round(w / s)) for w, s in zip(width_in_degrees(crop_width), self.geom.pixel_scales.deg, strict=True))
        x, y = crop_width if isinstance(crop_width, tuple) else (crop_width, crop_width)
        geom = self.geom.crop((int(x), int(y)))
        ny, nx = self.data.shape[-2:]
        return self._with(geom=geom, data=self.data[..., y : ny - y, x : nx - x].copy())

    def convolve(self, kernel, method="fft", mode="same"):
        """Convolve every image plane with a kernel; see `~gpudl4.maps.wcs_filters.convolve_map`."""
        from .wcs_filters import convolve_map

        return convolve_map(self, kernel, method=method, mode=mode)

    def smooth(self, width, kernel="gauss", **kwargs):
        """Smooth every image plane; see `~gpudl4.maps.wcs_filters.smooth_map`."""
        from .wcs_filters import smooth_map

        return smooth_map(self, width, kernel=kernel, **kwargs)

    def binary_erode(self, width, kernel="disk", use_fft=True):
        """Mask with its border moved in; see `~gpudl4.maps.wcs_filters.binary_map`."""
        from .wcs_filters import binary_map

        return binary_map(self, "erode", width, kernel=kernel, use_fft=use_fft)

    def binary_dilate(self, width, kernel="disk", use_fft=True):
        """Mask with its border moved out; see `~gpudl4.maps.wcs_filters.binary_map`."""
        from .wcs_filters import binary_map

        return binary_map(self, "dilate", width, kernel=kernel, use_fft=use_fft)

    def mask_nearest_position(self, position):
        """Centre of the pixel of an image mask that is nearest to a position.

        Parameters
        ----------
        position : `~astropy.coordinates.SkyCoord`
            Position.

        Returns
        -------
        position : `~astropy.coordinates.SkyCoord`
            Position of a pixel that is True; a mask on a device is copied to the host for it.
        """
        if not self.geom.is_image or not self.is_mask:
            raise GeometryError("the nearest position can be found in a boolean image only")
        mask = to_host(self.data)
        if not mask.any():
            raise GeometryError("the mask has no pixel that is True")
        distance = np.where(mask, self.geom.separation(position).deg, np.inf)
        y, x = np.unravel_index(np.argmin(distance), distance.shape)
        from astropy.coordinates import SkyCoord

        return SkyCoord(*self.geom.pix_to_lonlat(x, y), unit="deg", frame=self.geom.frame)

    def mask_contains_region(self, region):
        """Whether any pixel of a mask lies in a region; see `~gpudl4.maps.wcs_regions.mask_contains_region`."""
        from .wcs_regions import mask_contains_region

        return mask_contains_region(self, region)

    def cutout_and_mask_region(self, region=None):
        """Smallest cutout around a region, and its mask; see `~gpudl4.maps.wcs_regions.cutout_and_mask_region`."""
        from .wcs_regions import cutout_and_mask_region

        return cutout_and_mask_region(self, region)

    def to_region_nd_map_histogram(self, region=None, bins_axis=None, nbin=100, density=False):
        """Histograms of the pixel values in a region; see `~gpudl4.maps.wcs_regions.region_histogram`."""
        from .wcs_regions import region_histogram

        return region_histogram(self, region=region, bins_axis=bins_axis, nbin=nbin, density=density)

    def to_region_nd_map(self, region=None, func=np.nansum, weights=None, method="nearest"):
        """Values in a region, along the non-spatial axes; see `~gpudl4.maps.region_map.region_map_of`."""
        from .region_map import region_map_of

        return region_map_of(self, region=region, func=func, weights=weights, method=method)

    def get_spectrum(self, region=None, func=np.nansum, weights=None):
        """Sum over a region as a function of energy; see `to_region_nd_map`."""
        if not self.geom.has_energy_axis:
            raise GeometryError(f"a spectrum needs an energy axis; the axes are: {self.geom.axes.names}")
        return self.to_region_nd_map(region=region, func=func, weights=weights)

    def plot(self, ax=None, fig=None, add_cbar=False, stretch="linear", axes_loc=None, kwargs_colorbar=None, **kwargs):
        """Draw an image; see `gpudl4.plot.maps.plot_map`."""
        from ..plot.maps import plot_map

        return plot_map(self, ax, add_cbar, stretch, fig=fig, axes_loc=axes_loc, kwargs_colorbar=kwargs_colorbar, **kwargs)

    def plot_grid(self, figsize=None, ncols=3, **kwargs):
        """Draw all image planes; see `gpudl4.plot.maps.plot_map_grid`."""
        from ..plot.maps import plot_map_grid

        return plot_map_grid(self, figsize, ncols, **kwargs)

    def plot_mask(self, ax=None, **kwargs):
        """Shade what a mask leaves out; see `gpudl4.plot.maps.plot_map_mask`."""
        from ..plot.maps import plot_map_mask

        return plot_map_mask(self, ax=ax, **kwargs)
