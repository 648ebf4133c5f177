"""A point source."""

import astropy.units as u
import numpy as np

from ...core.errors import ModelError
from ..parameter import Parameter
from .base import SpatialModel
from .binding import PointBinding

__all__ = ["PointSpatialModel"]


class PointSpatialModel(SpatialModel):
    """Point source. On a map it is shared bilinearly among the four pixels around it; what falls off the map's edge is lost.

    Parameters
    ----------
    lon_0, lat_0 : `~astropy.units.Quantity`
        Position, default 0 deg, 0 deg.
    frame : {"icrs", "galactic"}
        Frame of the position.
    """

    tag = ["PointSpatialModel", "point"]
    lon_0 = Parameter("lon_0", "0 deg")
    lat_0 = Parameter("lat_0", "0 deg", min=-90, max=90)
    is_energy_dependent = False

    @property
    def evaluation_radius(self):
        """0 deg."""
        return 0 * u.deg

    @property
    def evaluation_bin_size_min(self):
        """0 deg."""
        return 0 * u.deg

    def bind_point(self, geom):
        """Snapshot of the position on a map, for the engine.

        Parameters
        ----------
        geom : `~gpudl4.maps.WcsGeom`

        Returns
        -------
        bound : PointBinding
            ``position(values[B, 2]) -> xy[B, 2], dxy[B, 2, 2]`` in pixels.
        """
        return PointBinding(geom, self.frame, [p.unit for p in self.parameters])

    def bind_image(self, geom):
        """A point has no image that could be bound.

        Raises
        ------
        ModelError
            Always; it names `bind_point`.
        """
        raise ModelError("a point source has no image to bind: use bind_point")

    def integrate_geom(self, geom, oversampling_factor=None):
        """Share of the flux in each pixel.

        Parameters
        ----------
        geom : `~gpudl4.maps.WcsGeom`
        oversampling_factor : int, optional
            Has no effect; it is there because all spatial models take it.

        Returns
        -------
        map : `~gpudl4.maps.WcsNDMap`
            Float64 image broadcast over the other axes of `geom`; its sum is 1 unless the source lies at the border or outside.
        """
        from ...maps import Map

        ny, nx = geom.data_shape[-2:]
        data = np.zeros((ny, nx))
        (x, y), _ = (part[0] for part in self.bind_point(geom).position(self.parameters.value[np.newaxis]))
        if np.isfinite(x) and np.isfinite(y):
            column, row = int(np.floor(x)), int(np.floor(y))
            for j, wy in ((row, 1 - (y - row)), (row + 1, y - row)):
                for i, wx in ((column, 1 - (x - column)), (column + 1, x - column)):
                    if 0 <= j < ny and 0 <= i < nx:
                        data[j, i] = wx * wy
        return Map.from_geom(geom, data=np.broadcast_to(data, geom.data_shape).copy(), unit="")

    def evaluate_geom(self, geom):
        """Share of the flux per solid angle in each pixel, a `~astropy.units.Quantity` in sr-1."""
        image = geom.to_image()
        return self.integrate_geom(image).data / image.solid_angle()

    def to_region(self, size_factor=None, **kwargs):
        """`~regions.PointSkyRegion` at the position.

        Parameters
        ----------
        size_factor : float, optional
            Without influence: a point has no size.
        **kwargs
            Arguments of the region.
        """
        from regions import PointSkyRegion

        return PointSkyRegion(self.position, **kwargs)
