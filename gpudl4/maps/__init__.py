"""Maps: arrays with axes, a sky geometry and a unit. Names and arguments are those of `gammapy.maps`."""

from .axes import MapAxes
from .axis import MapAxis
from .coord import MapCoord
from .geom import Geom
from .label_axis import LabelMapAxis
from .map import Map
from .maps_container import Maps
from .region import RegionGeom
from .region_map import RegionNDMap
from .time_axis import TimeMapAxis
from .wcs import WcsGeom
from .wcs_map import WcsNDMap

__all__ = [
    "Geom",
    "LabelMapAxis",
    "Map",
    "MapAxes",
    "MapAxis",
    "MapCoord",
    "Maps",
    "RegionGeom",
    "RegionNDMap",
    "TimeMapAxis",
    "WcsGeom",
    "WcsNDMap",
]
