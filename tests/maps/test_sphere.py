"""Spherical geometry on plain arrays."""

import numpy as np
from astropy.coordinates import SkyCoord

from gpudl4.maps import WcsGeom
from gpudl4.maps.sphere import pixel_solid_angle, separation


def test_separation_agrees_with_astropy():
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-3, 3, (2, 100)), rng.uniform(-1.5, 1.5, (2, 100))
    a, b = (SkyCoord(x, y, unit="rad") for x, y in zip(lon, lat, strict=True))
    np.testing.assert_allclose(separation(lon[0], lat[0], lon[1], lat[1]), a.separation(b).rad, rtol=1e-12)
    assert separation(0.1, 0.2, 0.1, 0.2) == 0
    np.testing.assert_allclose(separation(0, 0, np.pi, 0), np.pi)


def test_solid_angle_near_the_exact_value():
    lon, lat = np.meshgrid(np.arange(5) * 0.1, 60 + np.arange(8) * 0.1)
    exact = np.deg2rad(0.1) * np.diff(np.sin(np.deg2rad(lat[:, 0])))
    np.testing.assert_allclose(pixel_solid_angle(lon, lat), np.repeat(exact[:, np.newaxis], 4, axis=1), rtol=1e-6)


def test_shortcut_for_equal_columns_changes_nothing():
    lon, lat = np.meshgrid(359.9 + np.arange(6) * 0.05, np.arange(4) * 0.05)
    lon = lon % 360
    shortcut = pixel_solid_angle(lon, lat)
    bent = lat.copy()
    bent[0, 0] += 1e-12
    np.testing.assert_allclose(pixel_solid_angle(lon, bent), shortcut, rtol=1e-8)


def test_whole_sky():
    total = WcsGeom.create(binsz=1, proj="CAR").solid_angle().value.sum()
    np.testing.assert_allclose(total, 4 * np.pi, rtol=1e-4)
    angle = WcsGeom.create(binsz=5, proj="AIT").solid_angle()
    assert np.isnan(angle[0, 0])
    assert angle.unit == "sr"
