"""`MapCoord`: coordinates of points in a map, sky position and axes together, by name or by order.

Every method that takes ``coords`` accepts what `MapCoord.create` accepts: a tuple, a dictionary, a SkyCoord or a MapCoord.
"""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from ..core.errors import GeometryError
from .frames import degrees, lonlat_of, rotate_lonlat

__all__ = ["MapCoord"]


def _from_text(text):
    """A quantity if the text is one, such as "1 TeV"; else the text itself, a label."""
    try:
        return u.Quantity(text)
    except TypeError:
        return text


class MapCoord:
    """Sequence of coordinate arrays that broadcast against each other.

    Parameters
    ----------
    data : dict of str to array-like or `~astropy.units.Quantity`
        Coordinate arrays by name; ``"lon"`` and ``"lat"`` (degrees) are required, axis names follow.
    frame : {"icrs", "galactic", None}
        Frame of lon and lat. None means that of the geometry it is used with.
    match_by_name : bool
        Whether axes are looked up by name or by position.

    Raises
    ------
    GeometryError
        If lon or lat is missing.
    """

    def __init__(self, data, frame=None, match_by_name=True):
        if "lon" not in data or "lat" not in data:
            raise GeometryError(f"coordinates need 'lon' and 'lat', got: {list(data)}")
        self._data = {name: np.atleast_1d(_from_text(v) if isinstance(v, str) else v) for name, v in data.items()}
        self._frame = frame
        self._match_by_name = match_by_name

    @classmethod
    def create(cls, data, frame=None, axis_names=None):
        """Make coordinates from whatever a user has.

        Parameters
        ----------
        data : tuple, dict, `MapCoord` or `~astropy.coordinates.SkyCoord`
            ``(lon, lat, x0, ...)`` or ``(skycoord, x0, ...)`` in the order of the axes; or a dictionary with ``lon`` and ``lat``
            or ``skycoord`` and the axes by name.
        frame : {"icrs", "galactic", None}
            Frame the result is wanted in; bare lon and lat are taken to be in this frame already.
        axis_names : list of str, optional
            Names of the axes for tuple input.

        Returns
        -------
        coord : `MapCoord`
            Coordinates.

        Raises
        ------
        GeometryError
            If the type is not one of the above.
        """
        if isinstance(data, cls):
            return data if data.frame is None or frame is None or frame == data.frame else data.to_frame(frame)
        if isinstance(data, dict):
            return cls._from_dict(data, frame)
        if isinstance(data, SkyCoord):
            data = (data,)
        if not isinstance(data, (list, tuple)) or len(data) == 0:
            raise GeometryError(f"coordinates must be a tuple, dict, SkyCoord or MapCoord, got: {type(data).__name__}")
        if isinstance(data[0], SkyCoord):
            frame = frame or data[0].frame.name
            data = (*lonlat_of(data[0], frame), *data[1:])
        if len(data) < 2:
            raise GeometryError("coordinates need longitude and latitude")
        names = axis_names if axis_names is not None else [f"axis{idx}" for idx in range(len(data) - 2)]
        return cls(dict(zip(["lon", "lat", *names], data, strict=False)), frame=frame, match_by_name=False)

    @classmethod
    def _from_dict(cls, data, frame):
        if "lon" in data and "lat" in data:
            return cls(data, frame=frame)
        if "skycoord" not in data:
            raise GeometryError(f"coordinates need 'lon' and 'lat', or 'skycoord', got: {list(data)}")
        sky = data["skycoord"]
        frame = frame or sky.frame.name
        lon, lat = lonlat_of(sky, frame)
        return cls({"lon": lon, "lat": lat} | {k: v for k, v in data.items() if k != "skycoord"}, frame=frame)

    def __getitem__(self, key):
        if not isinstance(key, str):
            return list(self._data.values())[key]
        try:
            return self._data[key]
        except KeyError:
            raise GeometryError(f"no coordinate for axis '{key}'; given: {self.axis_names}") from None

    def __contains__(self, name):
        return name in self._data

    def __iter__(self):
        return iter(self._data.values())

    @property
    def ndim(self):
        """Number of dimensions."""
        return len(self._data)

    @property
    def axis_names(self):
        """Names of the coordinates, lon and lat first."""
        return list(self._data)

    @property
    def shape(self):
        """Shape the arrays broadcast to."""
        return np.broadcast_shapes(*(np.shape(values) for values in self._data.values()))

    @property
    def size(self):
        """Number of points."""
        return int(np.prod(self.shape))

    @property
    def lon(self):
        """Longitude, in degrees."""
        return self._data["lon"]

    @property
    def lat(self):
        """Latitude, in degrees."""
        return self._data["lat"]

    @property
    def phi(self):
        """Longitude, in radians."""
        return np.deg2rad(degrees(self.lon))

    @property
    def theta(self):
        """Co-latitude, in radians."""
        return np.pi / 2 - np.deg2rad(degrees(self.lat))

    @property
    def frame(self):
        """Name of the frame."""
        return self._frame

    @property
    def match_by_name(self):
        """Whether axes are looked up by name."""
        return self._match_by_name

    @property
    def skycoord(self):
        """Sky position as a `~astropy.coordinates.SkyCoord`."""
        return SkyCoord(self.lon, self.lat, unit="deg", frame=self.frame or "icrs")

    @property
    def broadcasted(self):
        """Copy in which all arrays have the full shape."""
        arrays = np.broadcast_arrays(*self._data.values(), subok=True)
        return MapCoord(dict(zip(self._data, arrays, strict=True)), self.frame, self.match_by_name)

    @property
    def flat(self):
        """Flattened copy without the points that have no sky position."""
        coords = self.broadcasted
        return coords.apply_mask(np.isfinite(coords.lon))

    def to_frame(self, frame):
        """Coordinates in another sky frame.

        Parameters
        ----------
        frame : {"icrs", "galactic"}
            Wanted frame.

        Returns
        -------
        coords : `MapCoord`
            Coordinates; axes are unchanged.
        """
        if frame == self.frame:
            return self.copy()
        lon, lat = rotate_lonlat(degrees(self.lon), degrees(self.lat), self.frame or frame, frame)
        if isinstance(self.lon, u.Quantity):
            lon, lat = u.Quantity(lon, "deg", copy=None), u.Quantity(lat, "deg", copy=None)
        return MapCoord(self._data | {"lon": lon, "lat": lat}, frame, self.match_by_name)

    def apply_mask(self, mask):
        """Selected points.

        Parameters
        ----------
        mask : `~numpy.ndarray`
            Boolean array of the shape of the coordinates.

        Returns
        -------
        coords : `MapCoord`
            Coordinates of the selected points.
        """
        data = {name: np.broadcast_to(values, self.shape, subok=True)[mask] for name, values in self._data.items()}
        return MapCoord(data, self.frame, self.match_by_name)

    def copy(self):
        """Copy of the object; the arrays are shared."""
        return MapCoord(dict(self._data), self.frame, self.match_by_name)

    def __str__(self):
        return f"MapCoord\n\n\taxes  : {self.axis_names}\n\tshape : {self.shape[::-1]}\n\tndim  : {self.ndim}\n\tframe : {self.frame}\n"

    __repr__ = __str__
