"""Geometries derived from a sky geometry: cutouts, larger and smaller maps, other pixel sizes, and masks. Part of `WcsGeom`."""

import numpy as np

from ..core.errors import GeometryError
from .frames import lonlat_of
from .geom import Geom, width_in_degrees
from .sphere import circle, separation
from .wcs_build import cutout_bounds, pair, resampled_wcs, round_up_to_odd, shifted_wcs

__all__ = ["WcsDerived"]

CIRCLE = 32  # points on the border of a disk
COARSE = 256  # rows and columns that are looked at to find the pixels of a disk
GROWTH = 0.05  # of a window, by which a disk may reach out of it: less than a quarter of a standard deviation of a Gaussian's 5


class WcsDerived(Geom):
    """Methods of `~gpudl4.maps.WcsGeom` that return other geometries, or masks on it."""

    def to_image(self):
        """Geometry without the non-spatial axes; the same object at every call, as a geometry never changes."""
        if self._image is None:
            self._image = self._with_axes(None)
        return self._image

    def _window_npix(self, width, odd_npix, min_npix):
        npix = [max(w / s, min_npix) for w, s in zip(width_in_degrees(width), self._scales, strict=True)]
        return [round_up_to_odd(n) if odd_npix else int(np.round(n)) for n in npix]

    def _window(self, position, width, mode, odd_npix, min_npix):
        if mode not in ("trim", "partial", "strict"):
            raise GeometryError(f"unknown cutout mode {mode!r}: choose 'trim', 'partial' or 'strict'")
        lon, lat = lonlat_of(position, self._frame)
        pix = self._wcs.wcs.s2p(np.array([[float(lon), float(lat)]]), 0)["pixcrd"][0]
        npix = self._window_npix(width, odd_npix, min_npix)
        return [cutout_bounds(float(p), n, size, mode) for p, n, size in zip(pix, npix, (self._nx, self._ny), strict=True)]

    def cutout_slices(self, position, width, mode="trim", odd_npix=False, min_npix=1):
        """Where a cutout lies in this map; cheap, as no geometry is made. Arguments as for `cutout`.

        Returns
        -------
        slices : dict
            "parent-slices": (lat, lon) slices of this map; "cutout-slices": where they go in the cutout.

        Raises
        ------
        GeometryError
            As for `cutout`.
        """
        (_, parent_x, inside_x), (_, parent_y, inside_y) = self._window(position, width, mode, odd_npix, min_npix)
        return {"parent-slices": (parent_y, parent_x), "cutout-slices": (inside_y, inside_x)}

    def grown_slices(self, slices, lonlat, radius):
        """Slices of a window around a position, grown where it leaves out pixels of a disk around it.

        A window is made as if every pixel had the size of the one in the middle of the map. Towards the border of a large map, at the
        poles, and where the projection is cut open, the pixels of a disk lie elsewhere.

        Parameters
        ----------
        slices : tuple of slice
            Window, (lat, lon).
        lonlat : tuple of float
            Centre of the disk, in degrees in the frame of the map.
        radius : float
            Radius of the disk in degrees.

        Returns
        -------
        slices : tuple of slice
            The same, unless the disk reaches out of it by more than a pixel and a twentieth of its size.
        """
        x, y = self.lonlat_to_pix(*circle(*lonlat, min(radius, 179.0), CIRCLE))
        on_map = np.isfinite(x) & np.isfinite(y)
        sizes = self._ny, self._nx
        if on_map.all():
            near = [np.clip([values.min(), values.max()], 0, size - 1) for values, size in zip((y, x), sizes, strict=True)]
            margins = [1 + GROWTH * (part.stop - part.start) for part in slices]
            if all(
                low >= part.start - margin and high <= part.stop - 1 + margin
                for (low, high), part, margin in zip(near, slices, margins, strict=True)
            ):
                return slices
        step = max(1, -(-max(sizes) // COARSE))
        rows, columns = (np.unique(np.append(np.arange(0, size, step), size - 1)) for size in sizes)
        lon, lat = self.pix_to_lonlat(columns, rows[:, np.newaxis])
        distance = separation(*np.deg2rad(lonlat), np.deg2rad(lon), np.deg2rad(lat))
        found = np.nonzero(distance <= np.deg2rad(radius + 2 * step * self.largest_pixel_scale))
        grown = []
        for part, size, hits, values in zip(slices, sizes, (rows[found[0]], columns[found[1]]), (y[on_map], x[on_map]), strict=True):
            low = min([part.start, *(hits - step), *np.floor(values).astype(int)])
            high = max([part.stop - 1, *(hits + step), *np.ceil(values).astype(int)])
            grown.append(slice(max(low, 0), min(high, size - 1) + 1))
        return tuple(grown)

    def part(self, rows, columns):
        """Geometry of a part of the map, from slices of its rows and columns."""
        return self._part((columns.start, rows.start), (columns.stop - columns.start, rows.stop - rows.start))

    def cutout(self, position, width, mode="trim", odd_npix=False, min_npix=1):
        """Geometry of a part of the map around a position.

        Parameters
        ----------
        position : `~astropy.coordinates.SkyCoord` or tuple of float
            Centre; a tuple is in degrees in the frame of the map.
        width : float, str, `~astropy.units.Quantity` or tuple of them
            Width, the same or (lon, lat).
        mode : {"trim", "partial", "strict"}
            At the border of the map the cutout is trimmed, reaches out, or is an error.
        odd_npix : bool
            Whether to round up to an odd number of pixels.
        min_npix : int
            Smallest number of pixels.

        Returns
        -------
        geom : `WcsGeom`
            Geometry aligned with this one.

        Raises
        ------
        GeometryError
            If the cutout lies outside the map (also an `~astropy.nddata.NoOverlapError`) or, with "strict", crosses its border.
        """
        window = self._window(position, width, mode, odd_npix, min_npix)
        if mode == "partial":
            npix = self._window_npix(width, odd_npix, min_npix)
        else:
            npix = [parent.stop - parent.start for _, parent, _ in window]
        return self._part([start for start, _, _ in window], npix)

    def _part(self, origin, npix):
        """Geometry of npix (lon, lat) pixels that begins at the pixel origin (lon, lat)."""
        if min(npix) < 1:
            raise GeometryError(f"nothing is left of the map: npix would be {tuple(npix)}")
        wcs = shifted_wcs(self._wcs, origin)
        wcs.array_shape = tuple(int(n) for n in npix[::-1])
        return type(self)(wcs, npix, self._cdelt, self._axes)

    def pad(self, pad_width, axis_name=None):
        """Geometry with pixels, or bins of an axis, added at its ends.

        Parameters
        ----------
        pad_width : int or tuple of int
            Number of pixels, the same or (lon, lat); for an axis, the same or (low, high).
        axis_name : str, optional
            Axis to pad instead of the sky.

        Returns
        -------
        geom : `WcsGeom`
            Padded geometry.
        """
        if axis_name is not None:
            return self._with_axes(self.axes.pad(axis_name, pad_width))
        x, y = pair(pad_width, "pad_width", int)
        return self._part((-x, -y), (self._nx + 2 * x, self._ny + 2 * y))

    def crop(self, crop_width):
        """Geometry with pixels removed at every side, the same number or (lon, lat)."""
        x, y = pair(crop_width, "crop_width", int)
        return self._part((x, y), (self._nx - 2 * x, self._ny - 2 * y))

    def downsample(self, factor, axis_name=None):
        """Geometry with `factor` times larger pixels, or merged bins of an axis.

        Raises
        ------
        GeometryError
            If the numbers of pixels are not divisible by the factor.
        """
        if axis_name is not None:
            return self._with_axes(self.axes.downsample(factor, axis_name))
        if self._nx % factor or self._ny % factor:
            raise GeometryError(f"{self._nx} x {self._ny} pixels are not divisible by {factor}: pad or crop the map first")
        return self._resampled(factor, (self._nx // factor, self._ny // factor))

    def upsample(self, factor, axis_name=None):
        """Geometry with `factor` times smaller pixels, or split bins of an axis."""
        if axis_name is not None:
            return self._with_axes(self.axes.upsample(factor, axis_name))
        return self._resampled(1 / factor, (self._nx * factor, self._ny * factor))

    def _resampled(self, factor, npix):
        wcs = resampled_wcs(self._wcs, factor)
        wcs.array_shape = tuple(int(n) for n in npix[::-1])
        return type(self)(wcs, npix, [size * factor for size in self._cdelt], self._axes)

    def to_binsz(self, binsz):
        """Geometry of the same centre and width with another pixel size; see `create`."""
        return type(self).create(
            skydir=self.center_skydir, binsz=binsz, width=tuple(self.width[:, 0]), proj=self.projection, frame=self.frame, axes=self.axes
        )

    def to_odd_npix(self, max_radius=None):
        """Square geometry of odd size around the centre, as PSF kernels need it.

        Parameters
        ----------
        max_radius : `~astropy.units.Quantity`, str or float, optional
            Half of the width; by default half of the larger width of the map.

        Returns
        -------
        geom : `WcsGeom`
            Geometry with pixels of the larger pixel scale, projected anew around the centre.
        """
        width = float(self.width.max().value) if max_radius is None else 2 * width_in_degrees(max_radius)[0]
        return self._square(round_up_to_odd(width / max(self._scales)))

    def to_even_npix(self):
        """Square geometry of even size around the centre; see `to_odd_npix`."""
        return self._square(int(np.ceil(float(self.width.max().value) / max(self._scales) + 1) // 2 * 2))

    def _square(self, npix):
        return type(self).create(
            skydir=self.center_skydir, binsz=max(self._scales), npix=npix, proj=self.projection, frame=self.frame, axes=self.axes
        )

    def region_mask(self, regions, inside=True):
        """Mask of the pixels whose centre lies in a region; see `~gpudl4.maps.wcs_masks.region_mask`."""
        from .wcs_masks import region_mask

        return region_mask(self, regions, inside)

    def region_weights(self, regions, oversampling_factor=10):
        """Fraction of every pixel that lies in a region; see `~gpudl4.maps.wcs_masks.region_weights`."""
        from .wcs_masks import region_weights

        return region_weights(self, regions, oversampling_factor)

    def boundary_mask(self, width):
        """Mask that leaves out a margin at the border; see `~gpudl4.maps.wcs_masks.boundary_mask`."""
        from .wcs_masks import boundary_mask

        return boundary_mask(self, width)

    def binary_structure(self, width, kernel="disk"):
        """Structuring element for `WcsNDMap.binary_erode`; see `~gpudl4.maps.wcs_masks.binary_structure`."""
        from .wcs_masks import binary_structure

        return binary_structure(self, width, kernel)
