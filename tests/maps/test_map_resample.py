"""Maps on other pixels by counting."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion

from gpudl4.core.errors import GeometryError
from gpudl4.maps import Map, MapAxis, RegionGeom, RegionNDMap, WcsGeom
from tests.arrays import assert_close, host

# Solid angles of 0.1 deg pixels and of their parts agree to this precision, see `gpudl4.maps.sphere.pixel_solid_angle`.
AREA = 1e-6
ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 4)
CENTER = SkyCoord(10, 20, unit="deg")


@pytest.fixture
def cube(backend):
    m = Map.create(skydir=CENTER, npix=(24, 20), binsz=0.1, axes=[ENERGY], dtype=float, unit="s", proj="TAN")
    m.data = np.random.default_rng(0).uniform(1, 2, m.data.shape)
    return m.to_device(backend)


def test_blocks(cube):
    """Onto pixels that are blocks of the old ones, counting is downsampling."""
    geom = cube.geom.downsample(4)
    assert_close(cube.resample(geom), cube.downsample(4))
    assert_close(cube.resample(geom, preserve_counts=False), cube.downsample(4, preserve_counts=False))
    assert_close(cube.resample(geom, weights=cube > 1.5 * u.s), cube.downsample(4, weights=cube > 1.5 * u.s))
    coarse = geom.downsample(2, axis_name="energy")
    assert_close(cube.resample(coarse), cube.downsample(4).downsample(2, axis_name="energy"))
    assert cube.resample(geom).unit == "s"


def test_pixels_outside_are_left_out(cube):
    part = cube.geom.crop(3)
    assert_close(cube.resample(part), cube.crop(3))
    wide = cube.geom.pad(2)
    assert_close(cube.resample(wide), cube.pad(2))
    assert host(cube.resample(wide, preserve_counts=False))[0, 0, 0] == 0
    assert_close(cube.resample(WcsGeom.create(skydir=(200, 0), npix=3, axes=[ENERGY])), np.zeros((4, 3, 3)))


def test_types(cube):
    geom = cube.geom.downsample(4)
    assert cube.copy(dtype="float32").resample(geom).data.dtype == np.float32
    fraction = (cube > 1.5 * u.s).resample(geom, preserve_counts=False)
    assert fraction.data.dtype == np.float32
    assert 0 < host(fraction).min() < host(fraction).max() < 1


def test_region(cube):
    circle = CircleSkyRegion(CENTER, 0.33 * u.deg)
    geom = RegionGeom.create(circle, axes=[ENERGY], wcs=cube.geom.wcs)
    assert_close(cube.resample(geom), cube.to_region_nd_map(circle))
    mean = cube.reproject_to_geom(geom.to_image())
    assert isinstance(mean, RegionNDMap)
    assert_close(mean, cube.to_region_nd_map(circle, func=np.mean), rtol=0.02)


def test_reprojection_preserves(cube):
    geom = WcsGeom.create(skydir=CENTER, npix=(60, 50), binsz=0.07, frame="galactic")
    counts = cube.reproject_to_geom(geom, preserve_counts=True, precision_factor=5)
    assert counts.geom.axes == cube.geom.axes
    assert_close(host(counts).sum(), host(cube).sum(), rtol=AREA)
    planes = cube.reproject_by_image(geom, preserve_counts=True, precision_factor=5)
    assert_close(host(planes).sum(axis=(1, 2)), host(cube).sum(axis=(1, 2)), rtol=AREA)  # in every plane, not only together
    values = cube.copy(data=3.0).reproject_to_geom(geom, precision_factor=5)
    inside = host(values) > 0
    assert_close(host(values)[inside], 3)
    area = inside.mean() * 60 * 50 * 0.07**2  # with pixels that are covered in part
    assert 2.4 * 2.0 < area < (2.4 + 0.14) * (2.0 + 0.14)


def test_reprojection_along_axes(cube):
    coarse = MapAxis.from_energy_edges([1, 3, 20] * u.TeV)
    out = cube.reproject_to_geom(cube.geom.to_image().to_cube([coarse]), preserve_counts=True, precision_factor=20)
    assert out.geom.axes[0] == coarse
    assert_close(host(out).sum(), host(cube).sum(), rtol=AREA)
    # 1 to 3 TeV are 1.9 of 4 bins in log(E)
    assert host(out)[0].sum() / host(cube).sum() == pytest.approx(np.log10(3), rel=0.03)


def test_what_cannot_be_reprojected(cube):
    with pytest.raises(GeometryError, match="has no pixels"):
        cube.to_region_nd_map().reproject_to_geom(cube.geom)
    with pytest.raises(GeometryError, match="names of the axes"):
        cube.reproject_to_geom(cube.geom.rename_axes("energy", "energy_true"))
    with pytest.raises(GeometryError, match="an image geometry is needed"):
        cube.reproject_by_image(cube.geom)
