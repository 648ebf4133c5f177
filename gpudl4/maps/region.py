"""`RegionGeom`: the geometry of a map with a single sky pixel of any shape, or none (``region=None``), and any number of other axes.

The package `regions` is loaded only when there is a region.
"""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from ..core.errors import GeometryError
from .coord import MapCoord
from .frames import degrees
from .geom import Geom, image_axes, pix_tuple_to_idx, width_in_degrees
from .region_shapes import as_regions, region_center, sky_regions, union_of
from .wcs import WcsGeom
from .wcs_build import frame_of

__all__ = ["RegionGeom"]


class RegionGeom(Geom):
    """One sky region and non-spatial axes.

    Parameters
    ----------
    region : `~regions.SkyRegion` or None
        Region.
    axes : list of `~gpudl4.maps.MapAxis`, optional
        Non-spatial axes, fastest first.
    wcs : `~astropy.wcs.WCS`, optional
        Projection in which the region is evaluated; by default a tangential one at its centre.
    binsz_wcs : `~astropy.units.Quantity`, str or float
        Pixel size of the default projection.
    """

    is_region = True
    is_allsky = False
    projection = "TAN"

    def __init__(self, region, axes=None, wcs=None, binsz_wcs="0.1 deg"):
        self._region = region
        self._axes = image_axes(axes)
        if wcs is None and region is not None:
            wcs = _tangential_wcs(region, binsz_wcs)
        self._wcs = wcs
        self._rectangle = None  # made when it is first asked for

    @classmethod
    def create(cls, region, axes=None, wcs=None, binsz_wcs="0.1 deg"):
        """Geometry from a region, a DS9 text, a position, a list of them (their union) or None; parameters as for the class.

        Pixel regions are taken to be pixels of `wcs`.
        """
        return cls.from_regions(region, axes=axes, wcs=wcs, binsz_wcs=binsz_wcs)

    @classmethod
    def from_regions(cls, regions, axes=None, wcs=None, binsz_wcs="0.1 deg"):
        """Geometry from the union of regions; see `create`."""
        region = None if regions is None else union_of(sky_regions(regions, wcs))
        return cls(region, axes=axes, wcs=wcs, binsz_wcs=binsz_wcs)

    @classmethod
    def from_hdulist(cls, hdulist, format="ogip", hdu=None):
        """Geometry from FITS tables; see `~gpudl4.maps.region_files.region_geom_from_hdulist`."""
        from .region_files import region_geom_from_hdulist

        return region_geom_from_hdulist(hdulist, format=format, hdu=hdu)

    def to_hdulist(self, format="ogip", hdu_bands=None, hdu_region=None):
        """FITS tables of the axes and the region; see `~gpudl4.maps.region_files.region_geom_to_hdulist`."""
        from .region_files import region_geom_to_hdulist

        return region_geom_to_hdulist(self, format=format, hdu_bands=hdu_bands, hdu_region=hdu_region)

    def to_bands_hdu(self, hdu_bands=None, format="gadf"):
        """Bands table of the axes; see `MapAxes.to_table_hdu`."""
        return self.axes.to_table_hdu(format=format, hdu_bands=hdu_bands)

    def _with_axes(self, axes):
        geom = RegionGeom(self._region, axes=axes, wcs=self._wcs)
        geom._rectangle = self._rectangle
        return geom

    @property
    def region(self):
        """Region, a `~regions.SkyRegion` or None."""
        return self._region

    @property
    def wcs(self):
        """Projection in which the region is evaluated, or None."""
        return self._wcs

    @property
    def binsz_wcs(self):
        """Pixel size of the projection, an `~astropy.coordinates.Angle` of shape (2,)."""
        return WcsGeom(self._require()._wcs).pixel_scales

    def _require(self):
        if self._region is None:
            raise GeometryError("Region definition required: this geometry has region=None")
        return self

    @property
    def frame(self):
        """Name of the sky frame, that of the region's centre; "icrs" without a region."""
        if self._region is None:
            return "icrs"
        center = getattr(self._region, "center", None)
        return center.frame.name if center is not None else frame_of(self._wcs)

    @property
    def data_shape(self):
        """Shape of the data, (..., energy, 1, 1)."""
        return (*self._axes.shape[::-1], 1, 1)

    @property
    def npix(self):
        """Number of pixels along lon and lat, ([1], [1])."""
        return [1], [1]

    @property
    def is_all_point_sky_regions(self):
        """Whether the region consists of points only."""
        from regions import PointSkyRegion

        return all(isinstance(region, PointSkyRegion) for region in as_regions(self._require().region))

    def _bounding_rectangle(self):
        """Rectangle region around the pixels of the projection that the region touches; kept, as a geometry never changes."""
        if self._rectangle is None:
            self._rectangle = self._require()._make_rectangle()
        return self._rectangle

    def _make_rectangle(self):
        from regions import PixCoord, RectanglePixelRegion

        boxes = [region.to_pixel(self._wcs).bounding_box for region in as_regions(self._region)]
        box = boxes[0]
        for other in boxes[1:]:
            box = box.union(other)
        try:
            rectangle = box.to_region()
        except ValueError:  # the box of a point has no size
            rectangle = RectanglePixelRegion(center=PixCoord(*box.center[::-1]), width=1, height=1)
        return rectangle.to_sky(self._wcs)

    @property
    def width(self):
        """Width of the box around the region along lon and lat, a quantity in deg of shape (2,)."""
        rectangle = self._bounding_rectangle()
        return u.Quantity([rectangle.width, rectangle.height]).to("deg")

    @property
    def center_skydir(self):
        """Centre of the box around the region, a `~astropy.coordinates.SkyCoord`; NaN without a region."""
        if self._region is None:
            return SkyCoord(np.nan, np.nan, unit="deg")
        return self._bounding_rectangle().center

    def contains(self, coords):
        """Whether coordinates lie in the region, a boolean array; always True for points.

        Raises
        ------
        GeometryError
            If there is no region.
        """
        coords = MapCoord.create(coords, frame=self._require().frame, axis_names=self.axes.names)
        sky = SkyCoord(*np.broadcast_arrays(degrees(coords.lon), degrees(coords.lat)), unit="deg", frame=coords.frame)
        if self.is_all_point_sky_regions:
            return np.ones(sky.shape, dtype=bool)
        return self._region.contains(sky, self._wcs)

    def contains_wcs_pix(self, pix):
        """Whether pixel coordinates of the projection lie in the region, a boolean array; always True for points."""
        from regions import PixCoord

        if self.is_all_point_sky_regions:
            return np.ones(np.shape(pix[0]), dtype=bool)
        return self._region.to_pixel(self._wcs).contains(PixCoord(pix[0], pix[1]))

    def separation(self, position):
        """Distance of the centre from a position, an `~astropy.coordinates.Angle`."""
        return self.center_skydir.separation(position)

    def coord_to_pix(self, coords):
        """Pixel coordinates; 0 along lon and lat inside the region, NaN outside. Left out, sky coordinates are inside, whatever its shape.

        Parameters
        ----------
        coords : tuple, dict, `~gpudl4.maps.MapCoord` or `~astropy.coordinates.SkyCoord`
            Coordinates, see `MapCoord.create`; or those of the axes alone.

        Returns
        -------
        pix : tuple of `~numpy.ndarray`
            Pixel coordinates, lon first.
        """
        if isinstance(coords, tuple) and len(coords) == len(self.axes):
            coords = dict(zip(self.axes.names, coords, strict=True))
        if isinstance(coords, dict) and not {"lon", "lat", "skycoord"} & set(coords):
            return (np.zeros(1), np.zeros(1)) + self.axes.coord_to_pix(coords)
        coords = MapCoord.create(coords, frame=self.frame, axis_names=self.axes.names)
        if self._region is None:
            sky = np.zeros(1)
        else:
            sky = np.where(self.contains(coords), 0.0, np.nan)
        return (sky, sky) + self.axes.coord_to_pix(coords)

    def pix_to_coord(self, pix):
        """Coordinates of pixel positions, a tuple of quantities; the sky position is that of the centre."""
        center = self.center_skydir.data
        sky = [np.where(np.abs(p) < 0.5, value, np.nan) * u.deg for p, value in zip(pix, (center.lon.deg, center.lat.deg), strict=False)]
        return (*sky, *self.axes.pix_to_coord(pix[2:]))

    def pix_to_idx(self, pix, clip=False):
        """Pixel numbers of pixel coordinates, rounded; -1 outside the axes, or the nearest bin if `clip`."""
        idx = pix_tuple_to_idx(pix)
        return (*idx[:2], *self.axes.pix_to_idx(idx[2:], clip=clip))

    def get_idx(self):
        """Pixel numbers of all pixels, a tuple of integer arrays of the shape of the data."""
        return tuple(np.indices(self.data_shape)[::-1])

    def get_coord(self, mode="center", frame=None, sparse=False, axis_name=None):
        """Coordinates of all bins; parameters as for `WcsGeom.get_coord`, "edges" needs an axis."""
        if mode == "edges" and axis_name is None:
            raise GeometryError("mode 'edges' needs axis_name for a region geometry")
        center = self.center_skydir
        data = {"skycoord": center.reshape((1, 1))} | self.axes.get_coord(mode=mode, axis_name=axis_name)
        coords = MapCoord.create(data, frame=frame or self.frame)
        lead = (1,) * len(self.axes)
        shaped = {name: coords[name].reshape((*lead, 1, 1)) * u.deg for name in ("lon", "lat")}
        coords = MapCoord(shaped | {name: coords[name] for name in self.axes.names}, frame=coords.frame)
        return coords if sparse else coords.broadcasted

    def solid_angle(self):
        """Solid angle of the region, a quantity in sr: its area in pixels times the pixel area at the reference point."""
        from regions import CompoundSkyRegion

        self._require()
        geom = WcsGeom(self._wcs)
        if isinstance(self._region, CompoundSkyRegion):
            fine = self.to_binsz_wcs(self.binsz_wcs[0] / 10)
            area = np.count_nonzero(self._region.to_pixel(fine.wcs).to_mask()) / 100
        else:
            area = self._region.to_pixel(self._wcs).area
        scales = geom.pixel_scales.deg
        return (area * scales[0] * scales[1] * u.deg**2).to("sr")

    def bin_volume(self):
        """Solid angle times the widths of all bins, a quantity of the shape of the data."""
        return self.solid_angle() * np.ones(self.data_shape) * self.axes.bin_volume()

    def to_wcs_geom(self, width_min=None, mode="partial"):
        """Sky geometry, in the projection of the region, that just contains it.

        Parameters
        ----------
        width_min : float, str, `~astropy.units.Quantity` or tuple of them, optional
            Smallest width.
        mode : {"partial", "trim"}
            Whether the geometry may reach beyond the image that the projection was made for, which is the box around the region or the map
            that the region was taken from. gammapy trims, so that `width_min` has no effect there on a region with its own projection.

        Returns
        -------
        geom : `WcsGeom`
            Geometry with the same axes.
        """
        width = self.width.value
        if width_min is not None:
            width = np.maximum(width, width_in_degrees(width_min))
        return WcsGeom(self._wcs).cutout(self.center_skydir, tuple(width.tolist()), mode=mode).to_cube(self.axes)

    def get_wcs_coord_and_weights(self, factor=10):
        """Pixels of the projection that the region touches, and how much of each lies inside.

        Parameters
        ----------
        factor : int
            Number of sub-pixels along each side of a pixel, by which fractions are counted.

        Returns
        -------
        coords : `~gpudl4.maps.MapCoord`
            Centres of the N pixels: lon and lat of shape (N,); axes of shape (..., 1), fastest axis last, to broadcast against them.
        weights : `~numpy.ndarray`
            Fractions, larger than 0, shape (N,).

        Raises
        ------
        GeometryError
            If there is no region.
        """
        geom = self._require().to_wcs_geom()
        fraction = geom.to_image().region_weights([self._region], oversampling_factor=factor).data
        inside = fraction > 0
        coords = geom.get_coord(sparse=True)
        sky = {name: coords[name].reshape(inside.shape)[inside] for name in ("lon", "lat")}
        axes = {name: coords[name][..., 0] for name in self.axes.names}
        return MapCoord(sky | axes, frame=coords.frame), fraction[inside]

    def union(self, other):
        """Geometry of the union of two regions; this one stays as it is.

        Parameters
        ----------
        other : `RegionGeom`
            Geometry with equal axes. Where one has no region, the region of the other is taken.

        Returns
        -------
        geom : `RegionGeom`
            Geometry in the projection of this one, or of the other if this one has none.

        Raises
        ------
        GeometryError
            If the axes differ.
        """
        if self != other:
            raise GeometryError(f"only geometries with equal axes can be united, got:\n{self}\n{other}")
        region = union_of([geom.region for geom in (self, other) if geom.region is not None])
        return RegionGeom(region, axes=self._axes, wcs=other._wcs if self._wcs is None else self._wcs)

    def crop(self, crop_width=None):
        """Not possible: a region has no pixels to remove."""
        raise GeometryError("a region has no pixels to crop: use slice_by_idx to remove bins")

    def to_binsz(self, binsz):
        """The geometry itself: its one pixel is the region. See `to_binsz_wcs` for the projection."""
        return self

    def to_binsz_wcs(self, binsz):
        """Geometry evaluated in a projection with another pixel size."""
        return RegionGeom(self._region, axes=self.axes, binsz_wcs=binsz)

    def plot_region(self, ax=None, kwargs_point=None, path_effect=None, **kwargs):
        """Draw the region on the sky; see `gpudl4.plot.regions.plot_region`."""
        from ..plot.regions import plot_region

        return plot_region(self, ax, kwargs_point, path_effect, **kwargs)

    def to_image(self):
        """Geometry without the non-spatial axes."""
        return self._with_axes(None)

    def upsample(self, factor, axis_name=None):
        """Geometry with the bins of an axis split; see `MapAxis.upsample`."""
        return self._with_axes(self.axes.upsample(factor, axis_name))

    def downsample(self, factor, axis_name=None):
        """Geometry with the bins of an axis merged; see `MapAxis.downsample`."""
        return self._with_axes(self.axes.downsample(factor, axis_name))

    def pad(self, pad_width, axis_name=None):
        """Geometry with bins added at the ends of an axis; see `MapAxis.pad`."""
        if axis_name is None:
            raise GeometryError("a region has no pixels to pad: name an axis")
        return self._with_axes(self.axes.pad(axis_name, pad_width))

    def is_allclose(self, other, rtol_axes=1e-6, atol_axes=1e-6):
        """Whether shape and axes agree within tolerances; regions are not compared."""
        if not isinstance(other, RegionGeom):
            raise TypeError(f"cannot compare a RegionGeom with {type(other).__name__}")
        return self.data_shape == other.data_shape and self.axes.is_allclose(other.axes, rtol=rtol_axes, atol=atol_axes)

    def __eq__(self, other):
        return self.is_allclose(other) if isinstance(other, RegionGeom) else NotImplemented

    __hash__ = Geom.__hash__

    def copy(self, axes=None):
        """Copy, with other axes if given."""
        return self._with_axes(self._axes if axes is None else axes)

    def __str__(self):
        center = self.center_skydir
        return (
            f"RegionGeom\n\n\tregion     : {type(self.region).__name__}\n\taxes       : {self.axes_names}\n"
            f"\tshape      : {self.data_shape[::-1]}\n\tndim       : {self.ndim}\n\tframe      : {self.frame}\n"
            f"\tcenter     : {center.data.lon.deg:.1f} deg, {center.data.lat.deg:.1f} deg\n"
        )


def _tangential_wcs(region, binsz):
    """Tangential projection at the centre of a region, with an image that covers it."""
    center = region_center(region)
    options = {"binsz": binsz, "skydir": center, "proj": "TAN", "frame": center.frame.name}
    wide = RegionGeom(region, wcs=WcsGeom.create(**options).wcs)
    return WcsGeom.create(**options, width=tuple(wide.width.value.tolist())).wcs
