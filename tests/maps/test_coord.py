"""MapCoord and the frames on plain numbers."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import GeometryError
from gpudl4.maps import MapCoord
from gpudl4.maps.frames import ICRS_TO_GALACTIC, lonlat_of, rotate_lonlat


@pytest.mark.parametrize(("frame", "target"), [("icrs", "galactic"), ("galactic", "icrs")])
def test_rotation_agrees_with_astropy(frame, target):
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(0, 360, 1000), np.rad2deg(np.arcsin(rng.uniform(-1, 1, 1000)))
    wanted = SkyCoord(lon, lat, unit="deg", frame=frame).transform_to(target).data
    got = rotate_lonlat(lon, lat, frame, target)
    delta = np.abs(got[0] - wanted.lon.deg)
    assert (np.minimum(delta, 360 - delta) * np.cos(np.deg2rad(got[1]))).max() < 1e-12
    np.testing.assert_allclose(got[1], wanted.lat.deg, rtol=0, atol=1e-12)
    back = rotate_lonlat(*got, target, frame)
    np.testing.assert_allclose(back[1], lat, atol=1e-11)


def test_rotation_matrix_is_orthogonal_and_fixed():
    np.testing.assert_allclose(ICRS_TO_GALACTIC @ ICRS_TO_GALACTIC.T, np.eye(3), atol=1e-15)
    with pytest.raises(ValueError, match="read-only"):
        ICRS_TO_GALACTIC[0, 0] = 1


def test_other_frames_go_through_astropy():
    lon, lat = rotate_lonlat(83.63, 22.01, "icrs", "fk5")
    assert abs(lon - 83.63) < 1e-4
    lon, lat = lonlat_of(SkyCoord(83.63, 22.01, unit="deg", frame="fk5"), "icrs")
    assert abs(lat - 22.01) < 1e-4
    assert lonlat_of(SkyCoord(1, 2, unit="deg", frame="fk5"), "fk5") == pytest.approx((1, 2))
    assert lonlat_of((1, 2), "icrs") == (1, 2)
    assert lonlat_of((60 * u.arcmin, 2 * u.deg), "icrs") == (1, 2)


def test_what_create_takes():
    sky = SkyCoord([1, 2], [3, 4], unit="deg", frame="galactic")
    for data in (([1, 2], [3, 4]), (sky,), sky, {"lon": [1, 2], "lat": [3, 4]}, {"skycoord": sky}):
        coord = MapCoord.create(data, frame="galactic")
        np.testing.assert_allclose(coord.lon, [1, 2])
        assert coord.frame == "galactic"
        assert coord.ndim == 2
    coord = MapCoord.create((sky, [1, 2] * u.TeV), axis_names=["energy"])
    assert coord.axis_names == ["lon", "lat", "energy"]
    assert coord["energy"].unit == "TeV"
    assert not coord.match_by_name
    assert MapCoord.create(coord) is coord


def test_frames_are_converted():
    sky = SkyCoord([1, 2], [3, 4], unit="deg", frame="galactic")
    coord = MapCoord.create({"skycoord": sky, "energy": 1 * u.TeV}, frame="icrs")
    assert coord.skycoord.separation(sky).max().deg < 1e-10
    back = MapCoord.create(coord, frame="galactic")
    np.testing.assert_allclose(back.lat, [3, 4])
    assert back["energy"] == 1 * u.TeV
    quantities = MapCoord({"lon": [1] * u.deg, "lat": [3] * u.deg}, frame="galactic").to_frame("icrs")
    assert quantities.lon.unit == "deg"


def test_broadcasting_and_masks():
    coord = MapCoord({"lon": np.ones((1, 3)), "lat": np.zeros((1, 3)), "energy": np.array([[1], [2]]) * u.TeV})
    assert coord.shape == (2, 3)
    assert coord.size == 6
    assert coord.broadcasted["energy"].shape == (2, 3)
    mask = np.array([[True, False, False], [True, True, False]])
    np.testing.assert_allclose(coord.apply_mask(mask)["energy"].value, [1, 2, 2])
    coord["lon"][0, 0] = np.nan
    assert coord.flat.size == 4
    np.testing.assert_allclose(coord.theta, np.pi / 2)
    np.testing.assert_allclose(coord.phi[0, 1], np.deg2rad(1))
    assert "energy" in coord
    assert [np.shape(c) for c in coord] == [(1, 3), (1, 3), (2, 1)]
    assert np.shape(coord[2]) == (2, 1)
    assert "axes" in str(coord)


def test_bad_input():
    with pytest.raises(GeometryError, match="need 'lon' and 'lat'"):
        MapCoord({"energy": 1})
    with pytest.raises(GeometryError, match="or 'skycoord'"):
        MapCoord.create({"energy": 1})
    with pytest.raises(GeometryError, match="must be a tuple, dict, SkyCoord or MapCoord, got: str"):
        MapCoord.create("1 deg")
    with pytest.raises(GeometryError, match="longitude and latitude"):
        MapCoord.create((1,))
    with pytest.raises(GeometryError, match="no coordinate for axis 'energy'"):
        MapCoord.create((1, 2))["energy"]


def test_a_text_is_a_quantity_or_a_label():
    coord = MapCoord({"lon": "1 deg", "lat": 2 * u.deg, "energy": "3 TeV", "run": "first"})
    assert coord.lon == [1] * u.deg
    assert coord["energy"] == [3] * u.TeV
    assert list(coord["run"]) == ["first"]
