"""Region masks, their weights, margins."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from regions import CirclePixelRegion, CircleSkyRegion, PixCoord, PointSkyRegion, RectangleSkyRegion

from gpudl4.core.errors import GeometryError
from gpudl4.maps import MapAxis, WcsGeom

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
CENTER = SkyCoord(0, 0, unit="deg")


@pytest.fixture
def geom():
    return WcsGeom.create(npix=(21, 17), binsz=0.1, axes=[ENERGY])


def test_circle(geom):
    mask = geom.region_mask([CircleSkyRegion(CENTER, 0.35 * u.deg)])
    assert mask.is_mask
    distance = geom.separation(CENTER).deg
    np.testing.assert_array_equal(mask.data[1], distance < 0.35)
    np.testing.assert_array_equal((~mask).data, geom.region_mask(CircleSkyRegion(CENTER, 0.35 * u.deg), inside=False).data)


def test_what_counts_as_a_region(geom):
    circle = CircleSkyRegion(CENTER, 0.35 * u.deg)
    wanted = geom.region_mask(circle).data
    np.testing.assert_array_equal(geom.region_mask("icrs;circle(0, 0, 0.35)").data, wanted)
    np.testing.assert_array_equal(geom.region_mask(CirclePixelRegion(PixCoord(10, 8), 3.5)).data, wanted)
    far = CircleSkyRegion(SkyCoord(0.7, 0, unit="deg"), 0.2 * u.deg)
    both = geom.region_mask(circle.union(far)).data
    np.testing.assert_array_equal(both, wanted | geom.region_mask(far).data)
    with pytest.raises(GeometryError, match="only unions are supported"):
        geom.region_mask(circle.intersection(far))
    with pytest.raises(GeometryError, match="must be DS9 text, regions or positions, got: float"):
        geom.region_mask(3.0)


def test_points_mark_the_pixels_that_share_them(geom):
    point = SkyCoord(*geom.pix_to_lonlat(3.2, 4.0), unit="deg")
    mask = geom.region_mask(PointSkyRegion(point)).data[0]
    assert sorted(zip(*np.nonzero(mask), strict=True)) == [(4, 3), (4, 4)]
    np.testing.assert_array_equal(geom.region_mask(point).data[0], mask)


def test_weights_give_the_area(geom):
    region = RectangleSkyRegion(CENTER, 0.5 * u.deg, 0.4 * u.deg)
    weights = geom.to_image().region_weights(region)
    np.testing.assert_allclose((weights.data * geom.to_image().solid_angle()).sum().to_value("deg2"), 0.2, rtol=1e-3)
    assert weights.data.max() == 1


def test_margin(geom):
    mask = geom.boundary_mask(0.2 * u.deg)
    assert mask.data[:, 2:-2, 2:-2].all()
    assert mask.data.sum() == 2 * 17 * 13
    wide = geom.boundary_mask([0.1, 0.3] * u.deg)
    assert wide.data.sum() == 2 * 19 * 11


@pytest.mark.parametrize("proj", ["AIT", "MOL", "ZEA"])
@pytest.mark.parametrize("center", [(180, 10), (100, 88), (50, 40)])
def test_pixels_beyond_the_sky_lie_in_no_region(proj, center):
    geom = WcsGeom.create(binsz=4, proj=proj, frame="galactic")
    region = CircleSkyRegion(SkyCoord(*center, unit="deg", frame="galactic"), 12 * u.deg)
    on_sky = np.isfinite(geom.get_coord().lon.value)
    y, x = np.mgrid[: geom.data_shape[0], : geom.data_shape[1]]
    in_pixels = region.to_pixel(geom.wcs).contains(PixCoord(x, y))
    mask = geom.region_mask(region)
    np.testing.assert_array_equal(mask.data, in_pixels & on_sky)
    np.testing.assert_array_equal(geom.region_mask(region, inside=False).data, ~mask.data)
