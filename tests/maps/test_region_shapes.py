"""Lists, unions and centres of regions."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from regions import CirclePixelRegion, CircleSkyRegion, PixCoord, PointSkyRegion, PolygonSkyRegion, Regions

from gpudl4.core.errors import GeometryError
from gpudl4.maps import RegionGeom, WcsGeom
from gpudl4.maps.region_shapes import as_regions, region_center, sky_regions, union_of

CENTER = SkyCoord(10, 20, unit="deg")
CIRCLE = CircleSkyRegion(CENTER, 0.3 * u.deg)
OTHER = CircleSkyRegion(SkyCoord(12, 20, unit="deg"), 0.3 * u.deg)


def test_lists():
    assert as_regions(CIRCLE) == [CIRCLE]
    assert as_regions([CIRCLE, OTHER]) == as_regions(Regions([CIRCLE, OTHER])) == as_regions(CIRCLE | OTHER) == [CIRCLE, OTHER]
    assert [type(region) for region in as_regions(SkyCoord([1, 2], [3, 4], unit="deg"))] == [PointSkyRegion] * 2
    text = as_regions("icrs;circle(10, 20, 0.3)\nicrs;circle(12, 20, 0.3)")
    assert [region.center.ra.deg for region in text] == [10, 12]
    with pytest.raises(GeometryError, match="only unions"):
        as_regions(CIRCLE & OTHER)
    with pytest.raises(GeometryError, match="must be DS9 text, regions or positions, got: int"):
        as_regions(3)
    assert union_of([]) is None
    assert union_of([CIRCLE]) is CIRCLE


def test_pixel_regions():
    geom = WcsGeom.create(skydir=CENTER, npix=21, binsz=0.1)
    region = CirclePixelRegion(PixCoord(10, 10), 3)
    (sky,) = sky_regions(region, geom.wcs)
    assert sky.center.separation(CENTER).deg < 1e-9
    np.testing.assert_allclose(sky.radius.to_value("deg"), 0.3)
    assert RegionGeom.create(region, wcs=geom.wcs).region.center.separation(CENTER).deg < 1e-9
    with pytest.raises(GeometryError, match="a sky region is needed"):
        RegionGeom.create(region)


def test_centers():
    assert region_center(CIRCLE) is CENTER
    square = PolygonSkyRegion(SkyCoord([9.9, 10.1, 10.1, 9.9], [19.9, 19.9, 20.1, 20.1], unit="deg"))
    assert region_center(square).separation(CENTER).deg < 1e-3
    triple = CIRCLE | CircleSkyRegion(CENTER.directional_offset_by(0 * u.deg, 1 * u.deg), 1 * u.deg) | OTHER
    center = region_center(triple)
    points = [region.center for region in as_regions(triple)]

    def total(position):
        return sum(position.separation(point).deg for point in points)

    for angle in range(0, 360, 45):
        assert total(center) < total(center.directional_offset_by(angle * u.deg, 0.05 * u.deg))


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_texts_without_a_region_are_refused():
    for text in ("nonsense", ""):
        with pytest.raises(GeometryError, match="no region in the DS9 text"):
            RegionGeom.create(text)
    with pytest.raises(GeometryError, match="cannot be read"):
        RegionGeom.create("icrs;circle(83.63, 22.01)")
