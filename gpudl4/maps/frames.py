"""Sky frames on plain float arrays: rotate longitude and latitude between ICRS and Galactic without building a SkyCoord.

The engine converts one position per source and per evaluation, where `astropy.coordinates` would cost a millisecond. Any other pair of
frames goes through astropy. `lonlat_of` reads a position given as SkyCoord or as a pair of numbers.
"""

import numpy as np
from astropy.coordinates import SkyCoord

__all__ = ["ICRS_TO_GALACTIC", "lonlat_of", "rotate_lonlat"]

# Cartesian rotation from ICRS to Galactic axes, as astropy composes it (ICRS to FK5 J2000 to the IAU 1958 Galactic system).
ICRS_TO_GALACTIC = np.array(
    [
        [-0.05487565771259163, -0.8734370519556159, -0.48383507361671546],
        [0.4941094371927268, -0.4448297212232952, 0.7469821839866676],
        [-0.8676661375596576, -0.19807633727300053, 0.4559838136873016],
    ]
)
ICRS_TO_GALACTIC.flags.writeable = False


def rotate_lonlat(lon, lat, frame, target):
    """Longitude and latitude in another frame.

    Parameters
    ----------
    lon, lat : float or `~numpy.ndarray`
        Coordinates in degrees, in `frame`.
    frame, target : str
        Names of astropy frames; ``"icrs"`` and ``"galactic"`` are fast.

    Returns
    -------
    lon, lat : `~numpy.ndarray`
        Coordinates in degrees, longitude in [0, 360). Returned as given when the frames are the same.
    """
    if frame == target:
        return lon, lat
    if {frame, target} != {"icrs", "galactic"}:
        sky = SkyCoord(lon, lat, unit="deg", frame=frame).transform_to(target)
        return sky.data.lon.deg, sky.data.lat.deg
    matrix = ICRS_TO_GALACTIC if target == "galactic" else ICRS_TO_GALACTIC.T
    lon, lat = np.deg2rad(lon), np.deg2rad(lat)
    cos_lat = np.cos(lat)
    x, y, z = cos_lat * np.cos(lon), cos_lat * np.sin(lon), np.sin(lat)
    x, y, z = (row[0] * x + row[1] * y + row[2] * z for row in matrix)
    return np.rad2deg(np.arctan2(y, x)) % 360.0, np.rad2deg(np.arctan2(z, np.hypot(x, y)))


def lonlat_of(position, frame):
    """Longitude and latitude of a position, in degrees.

    Parameters
    ----------
    position : `~astropy.coordinates.SkyCoord` or tuple
        A sky coordinate in any frame, or ``(lon, lat)`` as numbers in degrees or as quantities, in `frame`.
    frame : str
        Name of the wanted frame.

    Returns
    -------
    lon, lat : float or `~numpy.ndarray`
        Coordinates in degrees.
    """
    if isinstance(position, SkyCoord):
        name = position.frame.name
        if name in ("icrs", "galactic", frame) and (name == frame or frame in ("icrs", "galactic")):
            return rotate_lonlat(position.data.lon.deg, position.data.lat.deg, name, frame)
        position = position.transform_to(frame)
        return position.data.lon.deg, position.data.lat.deg
    return tuple(degrees(value) for value in position)


def degrees(value):
    """Plain number or array in degrees; quantities are converted, numbers are taken as degrees."""
    return value.to_value("deg") if hasattr(value, "to_value") else value
