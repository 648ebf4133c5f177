"""Parts of sky maps inside regions."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from regions import CirclePixelRegion, CircleSkyRegion, PixCoord, PointSkyRegion

from gpudl4.core.errors import GeometryError, UnitMismatchError
from gpudl4.maps import Map, MapAxis
from tests.arrays import assert_same, host

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
CENTER = SkyCoord(10, 20, unit="deg")
CIRCLE = CircleSkyRegion(CENTER, 0.32 * u.deg)


@pytest.fixture
def cube(backend):
    m = Map.create(skydir=CENTER, npix=(21, 15), binsz=0.1, axes=[ENERGY], dtype=float, unit="s", proj="TAN", meta={"a": 1})
    m.data += np.arange(21)
    m.data[1] *= 2
    return m.to_device(backend)


def test_cutout_and_mask(cube):
    cutout, mask = cube.cutout_and_mask_region(CIRCLE)
    assert mask.backend == cutout.backend == cube.backend
    assert cutout.data.shape == (2, 7, 7)
    assert_same(mask, cube.geom.to_image().region_mask(CIRCLE).data[4:11, 7:14])
    whole, everything = cube.cutout_and_mask_region()
    assert whole.geom == cube.geom
    assert host(everything).all()
    pixels = CirclePixelRegion(PixCoord(10, 7), 3.2)
    assert_same(cube.cutout_and_mask_region(pixels)[1], mask)


def test_mask_contains_region(backend):
    mask = Map.create(skydir=CENTER, npix=(21, 15), binsz=0.1, dtype=bool).to_device(backend)
    mask.data[7, 10] = True
    assert mask.mask_contains_region(CIRCLE)
    assert mask.mask_contains_region("icrs;circle(10, 20, 0.3)")
    assert mask.mask_contains_region(PointSkyRegion(CENTER))
    away = CENTER.directional_offset_by(30 * u.deg, 0.5 * u.deg)
    for region in (CircleSkyRegion(away, 0.3 * u.deg), PointSkyRegion(away), PointSkyRegion(SkyCoord(12, 20, unit="deg"))):
        assert not mask.mask_contains_region(region)
    assert mask.mask_contains_region([PointSkyRegion(away), CIRCLE])
    with pytest.raises(GeometryError, match="a boolean image is needed"):
        mask.copy(dtype=float).mask_contains_region(CIRCLE)
    with pytest.raises(GeometryError, match="a boolean image is needed"):
        mask.to_cube([ENERGY.squash()]).mask_contains_region(CIRCLE)


def test_histogram(cube):
    bins = MapAxis.from_edges([0, 5, 20, 30], unit="s", name="value")
    out = cube.to_region_nd_map_histogram(bins_axis=bins)
    assert out.backend == cube.backend
    assert out.geom.axes.names == ["value", "energy"]
    assert out.data.dtype == np.int64
    assert host(out)[:, :, 0, 0].tolist() == [[75, 225, 15], [45, 105, 90]]
    inside = host(cube.geom.to_image().region_mask(CIRCLE)).sum()
    assert host(cube.to_region_nd_map_histogram(CIRCLE, nbin=10)).sum(axis=1).tolist() == [[[inside]]] * 2
    density = cube.to_region_nd_map_histogram(CIRCLE, bins_axis=bins, density=True)
    assert density.unit == "s-1"
    np.testing.assert_allclose((host(density)[:, :, 0, 0] * [5, 15, 10]).sum(axis=1), 1)
    hours = cube.to_region_nd_map_histogram(bins_axis=bins.copy(nodes=bins.edges.to("h")))
    assert_same(hours, out)


def test_histogram_without_nan(cube):
    cube.data[0, 0, 0] = np.nan
    out = cube.to_region_nd_map_histogram(nbin=4)
    assert host(out).sum(axis=1).ravel().tolist() == [314, 315]
    image = cube.get_image_by_idx((1,)).to_region_nd_map_histogram(nbin=4)
    assert host(image).shape == (4, 1, 1)


def test_bad_histograms(cube):
    with pytest.raises(GeometryError, match="a point holds no pixels"):
        cube.to_region_nd_map_histogram(PointSkyRegion(CENTER))
    with pytest.raises(UnitMismatchError, match="the bins are in 'm'"):
        cube.to_region_nd_map_histogram(bins_axis=MapAxis.from_edges([0, 1], unit="m", name="x"))
