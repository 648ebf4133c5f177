"""Random positions from maps."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion

from gpudl4.core.errors import GeometryError
from gpudl4.maps import Map, MapAxis, RegionNDMap
from gpudl4.maps.map_sampling import sample_pix
from tests.arrays import host

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)


def test_pixels_are_drawn_in_proportion():
    weights = np.array([[0, 1.0, 3], [2, 0, 4]])
    pix = sample_pix(weights, 40000, random_state=1)
    assert pix.shape == (2, 40000)
    index = np.floor(pix + 0.5).astype(int)
    counts = np.bincount(np.ravel_multi_index(index, weights.shape), minlength=6)
    expected = 4000 * weights.ravel()
    assert (np.abs(counts - expected) <= 4 * np.sqrt(expected)).all()
    assert (counts[weights.ravel() == 0] == 0).all()
    offset = pix - index
    np.testing.assert_allclose(offset.mean(axis=1), 0, atol=0.01)  # uniform in the pixel
    np.testing.assert_allclose(offset.std(axis=1), 12**-0.5, rtol=0.02)


def test_what_is_no_weight_counts_as_zero():
    pix = sample_pix(np.array([np.nan, -1e-9, 1, np.inf]), 50)
    assert (np.round(pix) == 2).all()
    many = np.full(10**6, 0.1, dtype=np.float32)  # whose sum in float32 is far from that in float64
    assert sample_pix(many, 1000).max() < 10**6 - 0.5
    assert sample_pix(np.zeros(3), 0).shape == (1, 0)
    with pytest.raises(GeometryError, match="no value above 0"):
        sample_pix(np.zeros(3), 1)


def test_sky_map(backend):
    m = Map.create(skydir=(10, 20), npix=(12, 8), binsz=0.1, axes=[ENERGY], frame="galactic", dtype=float)
    m.data[1, 3, 5] = 2
    coords = m.to_device(backend).sample_coord(100, random_state=3)
    assert coords.axis_names == ["lon", "lat", "energy"]
    assert coords.frame == "galactic"
    filled = Map.from_geom(m.geom)
    filled.fill_by_coord(coords)
    assert filled.data[1, 3, 5] == filled.data.sum() == 100
    again = m.sample_coord(100, random_state=3)
    np.testing.assert_array_equal(again["energy"], coords["energy"])


def test_region_map(backend):
    circle = CircleSkyRegion(SkyCoord(10, 20, unit="deg"), 0.3 * u.deg)
    m = RegionNDMap.create(circle, axes=[ENERGY], data=np.array([1.0, 0, 2])).to_device(backend)
    coords = m.sample_coord(300, random_state=3)
    assert u.allclose(coords["lon"], m.geom.center_skydir.ra, atol=1e-6 * u.deg)
    counts = np.histogram(coords["energy"].to_value("TeV"), ENERGY.edges.value)[0]
    assert counts[1] == 0
    assert abs(counts[0] - 100) < 40
    assert host(m).sum() == 3
