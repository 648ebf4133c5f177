"""Values of a map at pixels and coordinates: getting, setting, filling and interpolating. Coordinates are on the host, values where
the map is.
"""

import numpy as np
from astropy import units as u

from ..core.backend import array_namespace, backend_of, to_device, to_host
from ..core.errors import BackendError, GeometryError
from .geom import pix_tuple_to_idx
from .interpolation import interpolate_pixels

__all__ = ["MapValues"]


class MapValues:
    """Methods of maps that read or write values at positions."""

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
        """Set pixels, by pixel numbers (lon first), in place; an array of values must be on the backend of the map."""
        array_namespace(self.data, vals)  # refuses to mix backends
        self.data[tuple(to_device(i, self.backend) for i in pix_tuple_to_idx(idx)[::-1])] = vals

    def set_by_pix(self, pix, vals):
        """Set the pixels at pixel coordinates, rounded, in place."""
        self.set_by_idx(pix_tuple_to_idx(pix), vals)

    def set_by_coord(self, coords, vals):
        """Set the pixels at coordinates, in place."""
        self.set_by_pix(self.geom.coord_to_pix(coords), vals)

    def fill_by_idx(self, idx, weights=None):
        """Add to pixels, in place; pixels that occur several times accumulate, pixels numbered -1 are left out.

        Data of integers become int64, or float64 if the weights are no integers.

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
            if backend_of(weights).name != "numpy":
                raise BackendError("maps are filled from the host, but the weights are on a device: use to_host(weights)")
            weights = weights.to_value(self.unit) if isinstance(weights, u.Quantity) else np.asarray(weights)
            weights = np.broadcast_to(weights, inside.shape)[inside]
        flat = np.ravel_multi_index(tuple(i[inside] for i in idx[::-1]), self.data.shape)
        pixels, inverse = np.unique(flat, return_inverse=True)
        total = np.bincount(inverse, weights=weights, minlength=len(pixels))
        if weights is not None and weights.dtype.kind in "biu":
            total = total.astype(np.int64)
        self._make_room(total.dtype)
        where = tuple(to_device(i, self.backend) for i in np.unravel_index(pixels, self.data.shape))
        self.data[where] += to_device(total.astype(self.data.dtype), self.backend)

    def fill_by_pix(self, pix, weights=None):
        """Add to the pixels at pixel coordinates, rounded; see `fill_by_idx`."""
        self.fill_by_idx(self.geom.pix_to_idx(np.broadcast_arrays(*pix)), weights=weights)

    def fill_by_coord(self, coords, weights=None):
        """Add to the pixels at coordinates; see `fill_by_idx`."""
        self.fill_by_idx(self.geom.coord_to_idx(coords), weights=weights)

    def interp_by_pix(self, pix, method="linear", fill_value=None, values_scale="lin"):
        """Interpolate at pixel coordinates; see `interp_by_coord`."""
        xp = self.backend.xp
        values = interpolate_pixels(self.data, pix[::-1], method=method, values_scale=values_scale)
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
        return self.from_geom(geom, data=data, unit=self.unit)

    def sample_coord(self, n_events, random_state=0):
        """Coordinates drawn from the values of the map; see `~gpudl4.maps.map_sampling.sample_coord`."""
        from .map_sampling import sample_coord

        return sample_coord(self, n_events, random_state)

    def resample(self, geom, weights=None, preserve_counts=True, smooth=False):
        """Sum of the pixels whose centre lies in each pixel of another geometry; see `~gpudl4.maps.map_resample.resample_map`."""
        from .map_resample import resample_map

        return resample_map(self, geom, weights=weights, preserve_counts=preserve_counts, smooth=smooth)

    def reproject_to_geom(self, geom, preserve_counts=False, precision_factor=10):
        """Map on other pixels, by splitting and counting; see `~gpudl4.maps.map_resample.reproject_map`."""
        from .map_resample import reproject_map

        return reproject_map(self, geom, preserve_counts=preserve_counts, precision_factor=precision_factor)

    def reproject_by_image(self, geom, preserve_counts=False, precision_factor=10):
        """The same plane by plane; see `~gpudl4.maps.map_resample.reproject_by_image`."""
        from .map_resample import reproject_by_image

        return reproject_by_image(self, geom, preserve_counts=preserve_counts, precision_factor=precision_factor)

    def coadd(self, map_in, weights=None):
        """Add another map pixel by pixel, in place: every pixel goes to the pixel its centre lies in.

        Parameters
        ----------
        map_in : `Map`
            Map to add, on the same backend; its unit is converted. Pixels are matched on the host, to which its data are copied.
        weights : `Map` or array, optional
            Factor of every pixel, on the same backend.
        """
        map_in = map_in if weights is None else map_in * weights
        array_namespace(self.data, map_in.data)  # refuses to mix backends
        values = to_host(map_in.data) * map_in._factor_to(self.unit, "map to add")
        self.fill_by_coord(map_in.geom.get_coord(), weights=values)
