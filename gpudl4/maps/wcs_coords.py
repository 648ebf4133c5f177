"""Sky positions, pixel coordinates and pixel numbers of a sky geometry: the part of `WcsGeom` that looks up."""

import numpy as np
from astropy import units as u

from .coord import MapCoord
from .frames import degrees, rotate_lonlat
from .geom import Geom, pix_tuple_to_idx

__all__ = ["WcsCoordinates"]

CYLINDRICAL = ("CAR", "CEA", "CYP", "MER")  # FITS codes of projections with parallels and meridians as straight lines


class WcsCoordinates(Geom):
    """Lookups of `~gpudl4.maps.WcsGeom`. The centre of the first pixel has the coordinate 0."""

    def lonlat_to_pix(self, lon, lat, frame=None):
        """Pixel coordinates of sky positions, on plain numbers.

        Parameters
        ----------
        lon, lat : float or `~numpy.ndarray`
            Degrees; arrays broadcast.
        frame : str, optional
            Frame of lon and lat, by default that of the map.

        Returns
        -------
        x, y : `~numpy.ndarray`
            Pixel coordinates, the first pixel centre at 0; NaN where the projection has none.
        """
        if frame is not None and frame != self._frame:
            lon, lat = rotate_lonlat(lon, lat, frame, self._frame)
        return self._transform(self._wcs.wcs.s2p, "pixcrd", lon, lat)

    def pix_to_lonlat(self, x, y, frame=None):
        """Sky positions of pixel coordinates, on plain numbers; the inverse of `lonlat_to_pix`.

        Parameters
        ----------
        x, y : float or `~numpy.ndarray`
            Pixel coordinates; arrays broadcast.
        frame : str, optional
            Wanted frame, by default that of the map.

        Returns
        -------
        lon, lat : `~numpy.ndarray`
            Degrees; NaN where the projection has no sky.
        """
        lonlat = self._lonlat_of_grid(x, y)
        lon, lat = self._transform(self._wcs.wcs.p2s, "world", x, y) if lonlat is None else lonlat
        return (lon, lat) if frame is None else rotate_lonlat(lon, lat, self._frame, frame)

    def _lonlat_of_grid(self, x, y):
        """`pix_to_lonlat` in the map's frame where lon follows from x and lat from y: a row of x and a column of y on an unrotated
        cylindrical projection. None for anything else."""
        is_grid = np.ndim(x) in (1, 2) and np.size(x) == np.shape(x)[-1] and np.ndim(y) == 2 and np.shape(y)[1] == 1
        if not is_grid or self._is_rotated():
            return None
        p2s, (x0, y0) = self._wcs.wcs.p2s, self._wcs.wcs.crpix - 1.0
        x, y = np.ravel(x), np.ravel(y)
        if x.size == 0 or y.size == 0:
            return None
        lon, lat = self._transform(p2s, "world", x, y0)[0], self._transform(p2s, "world", x0, y)[1]
        no_lon, no_lat = np.isnan(lon), np.isnan(lat)
        lon, lat = np.tile(lon, (y.size, 1)), np.repeat(lat, x.size).reshape(y.size, x.size)
        lon[no_lat], lat[:, no_lon] = np.nan, np.nan
        ends = np.ix_([0, -1], [0, -1])  # of the corners, which would tell a projection with another pole, everything is asked
        corners = self._transform(p2s, "world", x[[0, -1]], y[[0, -1], np.newaxis])
        same = all(np.array_equal(whole[ends], own, equal_nan=True) for whole, own in zip((lon, lat), corners, strict=True))
        return (lon, lat) if same else None

    def _is_rotated(self):
        """Whether longitude or latitude may follow from both pixel coordinates."""
        if self.projection not in CYLINDRICAL or self._wcs.wcs.crval[1] != 0.0:
            return True
        matrix = self._wcs.wcs.cd if self._wcs.wcs.has_cd() else self._wcs.wcs.get_pc()
        return bool(matrix[0, 1] or matrix[1, 0])

    @staticmethod
    def _transform(function, key, a, b):
        a, b = np.broadcast_arrays(a, b)
        points = np.empty((a.size, 2))
        points[:, 0], points[:, 1] = a.ravel(), b.ravel()
        if a.size == 0:
            return np.zeros(a.shape), np.zeros(a.shape)
        result = function(points, 0)[key]
        return result[:, 0].reshape(a.shape), result[:, 1].reshape(a.shape)

    def coord_to_pix(self, coords):
        """Pixel coordinates.

        Parameters
        ----------
        coords : tuple, dict, `~gpudl4.maps.MapCoord` or `~astropy.coordinates.SkyCoord`
            Coordinates, see `MapCoord.create`.

        Returns
        -------
        pix : tuple of `~numpy.ndarray`
            Pixel coordinates, lon first; each at least one-dimensional, broadcasting against the others.
        """
        coords = MapCoord.create(coords, frame=self.frame, axis_names=self.axes.names)
        if coords.size == 0:
            return tuple(np.array([]) for _ in range(coords.ndim))
        return self.lonlat_to_pix(degrees(coords.lon), degrees(coords.lat)) + self.axes.coord_to_pix(coords)

    def pix_to_coord(self, pix):
        """Coordinates of pixel positions.

        Parameters
        ----------
        pix : tuple of array-like
            Pixel coordinates, lon first.

        Returns
        -------
        coords : tuple of `~astropy.units.Quantity`
            Longitude, latitude and axis coordinates.
        """
        lon, lat = self.pix_to_lonlat(pix[0], pix[1])
        return (u.Quantity(lon, "deg", copy=None), u.Quantity(lat, "deg", copy=None), *self.axes.pix_to_coord(pix[2:]))

    def pix_to_idx(self, pix, clip=False):
        """Pixel numbers of pixel coordinates, rounded; outside the map -1, or the nearest pixel if `clip`."""
        idx = pix_tuple_to_idx(pix)
        sizes = zip(idx, (self._nx, self._ny), strict=False)
        sky = [np.clip(i, 0, n - 1) if clip else np.where((i < 0) | (i >= n), -1, i) for i, n in sizes]
        return (*sky, *self.axes.pix_to_idx(idx[2:], clip=clip))

    def _pix_vectors(self, idx, mode, axis_name):
        """Pixel coordinates along every dimension, lon first."""
        vectors = []
        for name, size in zip(self.axes_names, self.data_shape[::-1], strict=True):
            edges = mode == "edges" and name in axis_name
            vectors.append(np.arange(size + 1) - 0.5 if edges else np.arange(size, dtype=float))
        if idx is not None:
            vectors[2:] = [np.array([float(i)]) for i in idx]
        return vectors

    def get_coord(self, idx=None, mode="center", frame=None, sparse=False, axis_name=None):
        """Coordinates of all pixels.

        Parameters
        ----------
        idx : tuple of int, optional
            Image plane to take.
        mode : {"center", "edges"}
            Centres, or edges along the dimensions `axis_name`.
        frame : str, optional
            Frame of lon and lat, by default that of the map.
        sparse : bool
            Whether arrays keep length one along dimensions they do not depend on.
        axis_name : str or tuple of str, optional
            Dimensions that "edges" applies to, by default lon and lat.

        Returns
        -------
        coords : `~gpudl4.maps.MapCoord`
            Coordinates in data order; lon and lat are NaN where the projection has no sky. Arrays may be read-only views.
        """
        axis_name = ("lon", "lat") if axis_name is None else (axis_name,) if isinstance(axis_name, str) else axis_name
        vectors = self._pix_vectors(idx, mode, axis_name)
        lon, lat = self.pix_to_lonlat(vectors[0], vectors[1][:, np.newaxis], frame=frame)
        lead = (1,) * len(self.axes)
        data = {name: u.Quantity(v.reshape(lead + v.shape), "deg", copy=None) for name, v in (("lon", lon), ("lat", lat))}
        for (shape, axis), vector in zip(self.axes.iter_with_reshape, vectors[2:], strict=True):
            data[axis.name] = axis.pix_to_coord(vector).reshape(shape)
        coords = MapCoord(data, frame=frame or self.frame)
        return coords if sparse else coords.broadcasted

    def get_pix(self, idx=None, mode="center"):
        """Pixel coordinates of all pixels, a tuple of arrays of the shape of the data; NaN where the projection has no sky."""
        vectors = self._pix_vectors(idx, mode, ("lon", "lat"))
        lon, _ = self.pix_to_lonlat(vectors[0], vectors[1][:, np.newaxis])
        pix = np.meshgrid(*vectors[::-1], indexing="ij")[::-1]
        invalid = np.broadcast_to(np.isnan(lon), pix[0].shape)
        for values in pix:
            values[invalid] = np.nan
        return tuple(pix)

    def get_idx(self, idx=None, flat=False):
        """Pixel numbers of all pixels, a tuple of integer arrays; with `flat`, only those with a sky position, flattened."""
        pix = self.get_pix(idx=idx)
        if flat:
            pix = tuple(values[np.isfinite(values)] for values in pix)
        return pix_tuple_to_idx(pix)
