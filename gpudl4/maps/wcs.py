"""`WcsGeom`: the geometry of a sky map in a FITS projection, with any number of other axes.

Use `WcsGeom.create` to make one. A geometry never changes; methods that look like changes return a new one and share the axes. Methods
with SkyCoord or MapCoord arguments are for users; `lonlat_to_pix`, `pix_to_lonlat` and `cutout_slices` take plain numbers and are cheap.
Coordinates and pixels are in `wcs_coords`, derived geometries in `wcs_derived`.
"""

import ast

import numpy as np
from astropy import units as u
from astropy.coordinates import Angle, SkyCoord
from astropy.wcs import WCS

from ..core.errors import DataFileError, GeometryError
from .axes import MapAxes
from .frames import lonlat_of
from .geom import image_axes, sizes_in_degrees, width_in_degrees
from .sky_area import integrated_solid_angle
from .sphere import pixel_solid_angle, separation
from .wcs_build import frame_of, make_wcs, pair, shifted_wcs, single
from .wcs_coords import WcsCoordinates
from .wcs_derived import WcsDerived

__all__ = ["WcsGeom"]

FAR = 45.0  # deg from the reference position, where pixels of most projections are sheared
CHUNK = 1 << 18  # pixels that are integrated over at once
LARGEST = 1_000_000  # pixels in one direction that a file may announce: the whole sky in steps of an arc second


class WcsGeom(WcsDerived, WcsCoordinates):
    """Pixels of a sky map and its non-spatial axes.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        Celestial projection of two axes, longitude first.
    npix : tuple of int, optional
        Number of pixels (lon, lat); by default that of the WCS.
    cdelt : tuple of float, optional
        Nominal pixel size in degrees (lon, lat); by default that of the WCS.
    axes : list of `~gpudl4.maps.MapAxis`, optional
        Non-spatial axes, fastest first.

    Raises
    ------
    GeometryError
        If the WCS is not celestial or the pixels differ between image planes.
    """

    def __init__(self, wcs, npix=None, cdelt=None, axes=None):
        wcs.wcs.set()
        if npix is None:
            npix = wcs.array_shape[::-1] if wcs.array_shape is not None else (0, 0)
        self._wcs = wcs
        self._frame = frame_of(wcs)
        self._nx, self._ny = (int(single(n, "npix")) for n in npix)
        matrix = wcs.wcs.get_pc() * wcs.wcs.get_cdelt()[:, np.newaxis]
        self._scales = tuple(np.hypot(matrix[0], matrix[1]).tolist())
        if cdelt is None:
            cdelt = self._scales if wcs.wcs.has_cd() else np.abs(wcs.wcs.cdelt)
        self._cdelt = tuple(float(single(size, "cdelt")) for size in cdelt)
        self._axes = image_axes(axes)
        self._image = None  # made when it is first asked for

    def _with_axes(self, axes):
        return WcsGeom(self._wcs, (self._nx, self._ny), self._cdelt, axes)

    @classmethod
    def create(cls, npix=None, binsz=0.5, proj="CAR", frame="icrs", refpix=None, axes=None, skydir=None, width=None):
        """Geometry from the position, size and pixel size of a map.

        Parameters
        ----------
        npix : int or tuple of int, optional
            Number of pixels, the same or (lon, lat). Takes precedence over `width`; with neither, the map is all-sky.
        binsz : float, str, `~astropy.units.Quantity` or pair of them
            Pixel size, degrees if a number, the same or (lon, lat).
        proj : str
            FITS projection code: "CAR", "TAN", "AIT", ...
        frame : {"icrs", "galactic"}
            Frame of the map; also "fk5" or "fk4".
        refpix : tuple of float, optional
            Reference pixel (lon, lat), counted from 1; by default the centre.
        axes : list of `~gpudl4.maps.MapAxis`, optional
            Non-spatial axes.
        skydir : `~astropy.coordinates.SkyCoord` or tuple of float, optional
            Sky position of the reference pixel; a tuple is in degrees in `frame`.
        width : float, str, `~astropy.units.Quantity` or tuple of them, optional
            Width of the map, degrees if a number, the same or (lon, lat).

        Returns
        -------
        geom : `WcsGeom`
            Geometry.

        Raises
        ------
        GeometryError
            If an argument cannot be used; a list of pixel sizes per image plane is not supported.
        """
        if skydir is None:
            crval = (0.0, 0.0)
        elif isinstance(skydir, (SkyCoord, tuple)):
            crval = tuple(float(value) for value in lonlat_of(skydir, frame))
        else:
            raise GeometryError(f"skydir must be a SkyCoord or a tuple (lon, lat) in degrees, got: {skydir!r}")
        if isinstance(binsz, list) and len(binsz) > 1 and not hasattr(binsz[0], "unit"):
            raise GeometryError(f"binsz is one value or a tuple (lon, lat); different values per image plane are not supported: {binsz!r}")
        binsz = sizes_in_degrees(binsz, "binsz")
        if npix is None:
            width = (360.0, 180.0) if width is None else sizes_in_degrees(width, "width")
            npix = tuple(int(np.rint(size / step)) for size, step in zip(width, binsz, strict=True))
        else:
            npix = tuple(int(n) for n in pair(npix, "npix", int))
        if min(npix) < 1:
            raise GeometryError(f"a map needs at least one pixel, got npix={npix} for binsz={binsz}")
        if refpix is None:
            refpix = tuple((n + 1) / 2 for n in npix)
        wcs = make_wcs(npix, binsz, crval, tuple(float(r) for r in refpix), proj, frame)
        return cls(wcs, npix, binsz, axes)

    @classmethod
    def from_aligned(cls, geom, skydir, width):
        """Geometry around a position whose pixels coincide with those of another.

        Parameters
        ----------
        geom : `WcsGeom`
            Reference geometry; its axes are kept.
        skydir : `~astropy.coordinates.SkyCoord` or tuple of float
            Centre; a tuple is in degrees in the frame of `geom`.
        width : float, str, `~astropy.units.Quantity` or tuple of them
            Width.

        Returns
        -------
        geom : `WcsGeom`
            Geometry.
        """
        npix = tuple(int(np.round(w / s)) for w, s in zip(width_in_degrees(width), geom._scales, strict=True))
        pix = geom.lonlat_to_pix(*lonlat_of(skydir, geom.frame))
        shift = [np.floor(n / 2 - float(p)) for n, p in zip(npix, pix, strict=True)]
        wcs = shifted_wcs(geom.wcs, [-s for s in shift])
        wcs.array_shape = npix[::-1]
        return cls(wcs, npix, geom._scales, geom.axes)

    @classmethod
    def from_header(cls, header, hdu_bands=None, format="gadf"):
        """Geometry from a FITS header and a bands table.

        Parameters
        ----------
        header : `~astropy.io.fits.Header`
            Header of the map.
        hdu_bands : `~astropy.io.fits.BinTableHDU`, optional
            Bands table.
        format : {"gadf", "fgst-ccube", "fgst-template", "fgst-bexpcube"}
            Format of the bands table.

        Returns
        -------
        geom : `WcsGeom`
            Geometry.

        Raises
        ------
        DataFileError
            If the size is missing or image planes differ in their pixels.
        """
        wcs = WCS(header, naxis=2).sub(2)
        if hdu_bands is not None and "NPIX" in hdu_bands.columns.names:
            raise DataFileError(f"bands HDU '{hdu_bands.name}' has a column NPIX: maps whose image planes differ in pixels cannot be read")
        try:
            npix = ast.literal_eval(header["WCSSHAPE"])[:2] if "WCSSHAPE" in header else (header["NAXIS1"], header["NAXIS2"])
            npix = tuple(int(n) for n in npix)
        except (KeyError, ValueError, SyntaxError, TypeError) as error:
            raise DataFileError(f"the header of the map tells no valid image size (WCSSHAPE or NAXIS1, NAXIS2): {error}") from error
        if len(npix) != 2 or not all(0 < n <= LARGEST for n in npix):
            raise DataFileError(f"the header of the map tells an image of {npix} pixels; from 1 to {LARGEST} in each direction were wanted")
        wcs.array_shape = npix[::-1]
        return cls(wcs, npix, axes=MapAxes.from_table_hdu(hdu_bands, format=format))

    @classmethod
    def from_hdulist(cls, hdulist, hdu=None, hdu_bands=None):
        """Geometry of a map in open FITS data; arguments and errors as for `~gpudl4.maps.map_files.map_from_hdulist`."""
        from .map_files import find_bands_hdu, find_map_hdu

        data_hdu = find_map_hdu(hdulist, hdu)
        return cls.from_header(data_hdu.header, find_bands_hdu(hdulist, data_hdu, hdu_bands))

    @property
    def wcs(self):
        """Projection, a `~astropy.wcs.WCS`; not to be changed."""
        return self._wcs

    @property
    def frame(self):
        """Name of the sky frame."""
        return self._frame

    @property
    def projection(self):
        """Projection code, such as "CAR"."""
        return self._wcs.wcs.ctype[0][5:]

    @property
    def data_shape(self):
        """Shape of the data, (..., energy, lat, lon)."""
        return (*self._axes.shape[::-1], self._ny, self._nx)

    @property
    def npix(self):
        """Number of pixels along lon and lat, a tuple of two arrays of one element."""
        return np.array([self._nx]), np.array([self._ny])

    @property
    def width(self):
        """Nominal width along lon and lat, a quantity of shape (2, 1)."""
        return u.Quantity([[self._cdelt[0] * self._nx], [self._cdelt[1] * self._ny]], "deg")

    @property
    def pixel_area(self):
        """Nominal pixel area in deg2, an array of one element; `solid_angle` gives the area on the sky."""
        return np.array([self._cdelt[0] * self._cdelt[1]])

    @property
    def pixel_scales(self):
        """Pixel size along lon and lat at the reference pixel, an `~astropy.coordinates.Angle` of shape (2,)."""
        return Angle(list(self._scales), "deg")

    @property
    def largest_pixel_scale(self):
        """The larger of `pixel_scales`, a float in degrees."""
        return float(max(self._scales))

    @property
    def is_allsky(self):
        """Whether the nominal width is 360 by 180 deg."""
        return bool(np.isclose(self._cdelt[0] * self._nx, 360.0) and np.isclose(self._cdelt[1] * self._ny, 180.0))

    @property
    def center_skydir(self):
        """Sky position of the centre, a `~astropy.coordinates.SkyCoord`."""
        lon, lat = self.pix_to_lonlat(*self.center_pix[:2])
        return SkyCoord(lon, lat, unit="deg", frame=self.frame)

    @property
    def footprint(self):
        """Corners of the map as a `~astropy.coordinates.SkyCoord`, counter-clockwise from the lower left pixel centre."""
        x, y = np.array([0, 0, self._nx - 1, self._nx - 1]), np.array([0, self._ny - 1, self._ny - 1, 0])
        return SkyCoord(*self.pix_to_lonlat(x, y), unit="deg", frame=self.frame)

    @property
    def footprint_rectangle_sky_region(self):
        """Rectangle of the nominal width at the centre, a `~regions.RectangleSkyRegion`."""
        from regions import RectangleSkyRegion

        width, height = self.width[:, 0]
        return RectangleSkyRegion(center=self.center_skydir, width=width, height=height)

    def solid_angle(self):
        """Solid angle of the pixels, a quantity in sr of shape (1, ..., lat, lon); see `~gpudl4.maps.sphere.pixel_solid_angle`.

        Farther than 45 deg from the reference position it is integrated, unless meridians and parallels are straight. Where the projection
        ends inside a pixel, the part on the sky counts; pixels beyond it have none.
        It is computed at every call: keep the result when it is needed again.
        """
        x, y = np.arange(self._nx + 1) - 0.5, (np.arange(self._ny + 1) - 0.5)[:, np.newaxis]
        lon, lat = self.pix_to_lonlat(x, y)
        area = pixel_solid_angle(lon, lat)
        beyond = np.isnan(area)
        if self._is_rotated() and not (self._distance(lon[[0, -1]], lat[[0, -1]]).max() < FAR):  # the sides of the map first; or NaN
            distance = self._distance(lon, lat)[:-1, :-1]
            self._integrate(area, ~beyond & (distance > FAR), 1 if self.largest_pixel_scale < 1.5 else 3)
        if beyond.any():
            area[beyond] = 0
            on_sky = np.pad(np.isfinite(lon), 1)  # a corner, or one of a neighbour
            near = np.logical_or.reduce([on_sky[i : i + self._ny, j : j + self._nx] for i in range(4) for j in range(4)])
            self._integrate(area, beyond & near, 4)
        return u.Quantity(area.reshape(self.data_shape_image), "sr", copy=None)

    def _distance(self, lon, lat):
        """Distance of positions in degrees from the reference position, in degrees."""
        return np.rad2deg(separation(*np.deg2rad(self._wcs.wcs.crval), np.deg2rad(lon), np.deg2rad(lat)))

    def _integrate(self, area, which, parts):
        """Set the solid angle of some pixels by integration over parts of them."""
        rows, columns = np.nonzero(which)
        for first in range(0, rows.size, CHUNK):
            part = slice(first, first + CHUNK)
            area[rows[part], columns[part]] = integrated_solid_angle(self.pix_to_lonlat, rows[part], columns[part], parts)

    def bin_volume(self):
        """Solid angle times the widths of all bins, a quantity of the shape of the data (or broadcasting to it)."""
        value = self.solid_angle()
        return value if self.is_image else value * self.axes.bin_volume()

    def separation(self, center):
        """Distance of the pixel centres from a position, an `~astropy.coordinates.Angle` of shape (lat, lon)."""
        lon0, lat0 = np.deg2rad(lonlat_of(center, self.frame))
        lon, lat = self.pix_to_lonlat(np.arange(self._nx), np.arange(self._ny)[:, np.newaxis])
        return Angle(np.rad2deg(separation(lon0, lat0, np.deg2rad(lon), np.deg2rad(lat))), "deg")

    def is_aligned(self, other, tolerance=1e-6):
        """Whether the axes agree, as far as both have them, and pixels of one map are pixels of the other, to a relative tolerance."""
        same = all(axis == other_axis for axis, other_axis in zip(self.axes, other.axes, strict=False))
        return same and self.wcs.wcs.compare(other.wcs.wcs, cmp=2, tolerance=tolerance)

    def is_allclose(self, other, rtol_axes=1e-6, atol_axes=1e-6, rtol_wcs=1e-6):
        """Whether shape, axes and projection agree within tolerances."""
        if self is other:
            return True
        if not isinstance(other, WcsGeom):
            raise TypeError(f"cannot compare a WcsGeom with {type(other).__name__}")
        if self.data_shape != other.data_shape or not self.axes.is_allclose(other.axes, rtol=rtol_axes, atol=atol_axes):
            return False
        return self._wcs is other._wcs or self._wcs.wcs.compare(other._wcs.wcs, cmp=1, tolerance=rtol_wcs)

    def __eq__(self, other):
        return self.is_allclose(other) if isinstance(other, WcsGeom) else NotImplemented

    __hash__ = WcsDerived.__hash__

    def copy(self, axes=None):
        """Copy, with other axes if given."""
        return self._with_axes(self._axes if axes is None else axes)

    def to_header(self):
        """FITS header of the geometry, with AXCOLSn, INTERPn and WCSSHAPE."""
        header = self.wcs.to_header()
        header.update(self.axes.to_header())
        header["WCSSHAPE"] = f"({','.join(str(size) for size in self.data_shape[::-1])})"
        return header

    def to_bands_hdu(self, hdu_bands=None, format="gadf"):
        """Bands table of the axes; see `MapAxes.to_table_hdu`."""
        return self.axes.to_table_hdu(format=format, hdu_bands=hdu_bands)

    def __str__(self):
        lon, lat = self.pix_to_lonlat(*self.center_pix[:2])
        return (
            f"WcsGeom\n\n\taxes       : {self.axes_names}\n\tshape      : {self.data_shape[::-1]}\n\tndim       : {self.ndim}\n"
            f"\tframe      : {self.frame}\n\tprojection : {self.projection}\n\tcenter     : {lon:.1f} deg, {lat:.1f} deg\n"
            f"\twidth      : {self._cdelt[0] * self._nx:.1f} x {self._cdelt[1] * self._ny:.1f} deg\n"
            f"\twcs ref    : {self.wcs.wcs.crval[0]:.1f} deg, {self.wcs.wcs.crval[1]:.1f} deg\n"
        )
