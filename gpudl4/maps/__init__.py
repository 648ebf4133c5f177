"""Maps: arrays with axes, a sky geometry and a unit. Names and arguments are those of `gammapy.maps`."""

from .axes import MapAxes
from .axis import MapAxis
from .coord import MapCoord
from .geom import Geom
from .map import Map
from .region import RegionGeom
from .region_map import RegionNDMap
from .wcs import WcsGeom
from .wcs_map import WcsNDMap

__all__ = ["Geom", "Map", "MapAxes", "MapAxis", "MapCoord", "RegionGeom", "RegionNDMap", "WcsGeom", "WcsNDMap"]
