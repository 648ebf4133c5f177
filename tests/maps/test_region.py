"""RegionGeom and RegionNDMap; what is computed with the maps, on each backend."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from regions import CircleAnnulusSkyRegion, CircleSkyRegion, PointSkyRegion, PolygonSkyRegion

from gpudl4.core.errors import DataFileError, GeometryError, UnitMismatchError
from gpudl4.maps import Map, MapAxis, RegionGeom, RegionNDMap
from tests.arrays import assert_close, host

ENERGY = MapAxis.from_energy_bounds("1 TeV", "100 TeV", 4)
CENTER = SkyCoord(83.63, 22.01, unit="deg")
CIRCLE = CircleSkyRegion(CENTER, 0.3 * u.deg)


def test_no_region():
    geom = RegionGeom.create(None, axes=[ENERGY])
    assert geom.data_shape == (4, 1, 1)
    assert geom.frame == "icrs"
    assert geom.is_region
    assert np.isnan(geom.center_skydir.ra)
    with pytest.raises(GeometryError, match="Region definition required"):
        geom.solid_angle()
    m = RegionNDMap(geom, data=np.arange(4.0))
    np.testing.assert_allclose(m.interp_by_coord({"energy": ENERGY.center}), m.data[:, 0, 0], atol=1e-12)
    assert "NoneType" in str(geom)


def test_circle():
    geom = RegionGeom.create(CIRCLE, axes=[ENERGY])
    assert geom.center_skydir.separation(CENTER).deg < 0.05
    np.testing.assert_allclose(geom.solid_angle().to_value("deg2"), np.pi * 0.09, rtol=1e-4)
    assert geom.bin_volume().shape == (4, 1, 1)
    np.testing.assert_array_equal(geom.contains(SkyCoord([83.63, 84.5], [22.2, 22], unit="deg")), [True, False])
    assert geom.to_wcs_geom().axes[0] == ENERGY
    assert geom.to_wcs_geom(width_min=2).width.min().value >= 2
    np.testing.assert_allclose(geom.binsz_wcs.deg, 0.1)
    np.testing.assert_allclose(geom.to_binsz_wcs("0.02 deg").binsz_wcs.deg, 0.02)
    assert geom.separation(CENTER).deg < 0.05
    assert geom == RegionGeom.create("icrs;circle(83.63, 22.01, 0.3)", axes=[ENERGY])
    assert geom.to_image().is_image
    assert geom.get_coord().shape == (4, 1, 1)
    outside = geom.coord_to_pix({"skycoord": SkyCoord(90, 22, unit="deg"), "energy": 2 * u.TeV})
    assert [np.isnan(pix).any() for pix in outside] == [True, True, False]
    np.testing.assert_array_equal(geom.coord_to_idx({"energy": [0.1, 2] * u.TeV})[2], [-1, 0])
    assert u.allclose(geom.pix_to_coord((0, 0, 0))[2], ENERGY.center[0])


def test_other_regions():
    annulus = CircleAnnulusSkyRegion(CENTER, 0.2 * u.deg, 0.4 * u.deg)
    np.testing.assert_allclose(RegionGeom.create(annulus).solid_angle().to_value("deg2"), np.pi * 0.12, rtol=1e-3)
    point = RegionGeom.create(PointSkyRegion(CENTER), axes=[ENERGY])
    assert point.is_all_point_sky_regions
    assert point.center_skydir.separation(CENTER).deg < 1e-6
    far = CircleSkyRegion(SkyCoord(84.63, 22.01, unit="deg"), 0.2 * u.deg)
    both = RegionGeom.from_regions([CIRCLE, far])
    np.testing.assert_allclose(both.solid_angle().to_value("deg2"), np.pi * 0.13, rtol=0.05)
    assert both.contains(SkyCoord([83.63, 84.63, 84.2], [22.01] * 3, unit="deg")).tolist() == [True, True, False]
    square = PolygonSkyRegion(SkyCoord([83, 84, 84, 83], [21.5, 21.5, 22.5, 22.5], unit="deg"))
    np.testing.assert_allclose(RegionGeom.create(square).solid_angle().to_value("deg2"), np.cos(np.deg2rad(22)), rtol=1e-2)


def test_map_of_a_region():
    m = RegionNDMap.create(CIRCLE, axes=[ENERGY], unit="s", data=np.arange(4.0))
    assert m.data.shape == (4, 1, 1)
    assert m.get_spectrum() is m
    assert m.cutout(CENTER, 1) is m
    assert m.to_region_nd_map() is m
    outside = {"skycoord": SkyCoord(90, 0, unit="deg"), "energy": 2 * u.TeV}
    assert m.interp_by_coord(outside) == m.interp_by_coord({"energy": 2 * u.TeV})  # what a region map holds does not depend on the position
    assert len(list(m.iter_by_axis_data("energy"))) == 1
    m.fill_by_coord({"energy": [2, 2, 500] * u.TeV})
    assert m.data[:, 0, 0].tolist() == [2, 1, 2, 3]
    with pytest.raises(GeometryError, match="do not fit the geometry"):
        m.data = np.ones(3)


def test_annulus_without_a_position(backend):
    """The centre of an annulus lies outside of it; axis coordinates alone mean the region all the same."""
    annulus = CircleAnnulusSkyRegion(CENTER, 0.3 * u.deg, 0.6 * u.deg)
    m = RegionNDMap.create(annulus, axes=[ENERGY], data=np.arange(4.0)).to_device(backend)
    m.fill_by_coord({"energy": [2, 2, 500] * u.TeV})
    assert host(m)[:, 0, 0].tolist() == [2, 1, 2, 3]
    assert host(m.get_by_coord({"energy": [2, 7] * u.TeV})).tolist() == [2, 1]
    assert np.isnan(host(m.get_by_coord({"skycoord": CENTER, "energy": 2 * u.TeV}))).all()


def test_union():
    other = CircleSkyRegion(SkyCoord(84.5, 22.3, unit="deg"), 0.2 * u.deg)
    first, second = (RegionGeom.create(region, axes=[ENERGY]) for region in (CIRCLE, other))
    both = first.union(second)
    assert both.contains(SkyCoord([83.63, 84.5, 84.0], [22.01, 22.3, 22.5], unit="deg")).tolist() == [True, True, False]
    assert first.region is CIRCLE
    nothing = RegionGeom.create(None, axes=[ENERGY])
    assert nothing.union(nothing).region is None
    assert nothing.union(first).region is first.union(nothing).region is CIRCLE
    assert nothing.union(first).wcs is first.wcs
    with pytest.raises(GeometryError, match="equal axes"):
        first.union(second.to_image())


def test_weights_sum_to_the_area():
    geom = RegionGeom.create(CIRCLE, axes=[ENERGY], binsz_wcs="0.02 deg")
    coords, weights = geom.get_wcs_coord_and_weights()
    assert coords["energy"].shape == (4, 1)
    assert coords["lon"].shape == weights.shape
    np.testing.assert_allclose(weights.sum() * 0.02**2, np.pi * 0.3**2, rtol=1e-3)
    with pytest.raises(GeometryError, match="Region definition required"):
        RegionGeom.create(None).get_wcs_coord_and_weights()
    with pytest.raises(GeometryError, match="no pixels to crop"):
        geom.crop(1)
    assert geom.to_binsz("1 deg") is geom


def test_region_map_resampling(backend):
    m = RegionNDMap.create(None, axes=[ENERGY], data=np.arange(4.0)).to_device(backend)
    assert host(m.downsample(2))[:, 0, 0].tolist() == [1, 5]
    assert host(m.downsample(2, preserve_counts=False))[:, 0, 0].tolist() == [0.5, 2.5]
    mask = m < 3
    assert host(mask.downsample(2))[:, 0, 0].tolist() == [True, False]
    assert_close(m.upsample(2, preserve_counts=False).data[1:-1, 0, 0], np.linspace(0.25, 2.75, 6))
    assert m.downsample(1) is m
    with pytest.raises(GeometryError, match="name an axis"):
        m.pad(1)
    with pytest.raises(GeometryError, match="order must be 0 or 1"):
        m.upsample(2, order=3)


def test_region_map_stack(backend):
    m = RegionNDMap.create(None, axes=[ENERGY], data=np.arange(4.0), unit="s").to_device(backend)
    other = m.copy(data=1.0, unit="min")
    other.data[1] = np.nan
    weights = m != 2 * u.s
    m.stack(other, weights=weights)
    assert host(m)[:, 0, 0].tolist() == [60, 1, 2, 63]
    with pytest.raises(UnitMismatchError, match="does not convert to 's'"):
        m.stack(m.copy(unit="m"))
    with pytest.raises(GeometryError, match="cannot be stacked"):
        m.stack(m.slice_by_idx({"energy": slice(0, 2)}))


def test_from_a_sky_map(backend):
    sky = Map.create(skydir=CENTER, npix=20, binsz=0.1, axes=[ENERGY], dtype=float, unit="s")
    sky.data += np.arange(4)[:, np.newaxis, np.newaxis]
    sky = sky.to_device(backend)
    region = sky.to_region_nd_map(CIRCLE)
    inside = sky.geom.to_image().region_mask(CIRCLE).data.sum()
    assert_close(region.data[:, 0, 0], np.arange(4) * inside)
    assert_close(sky.to_region_nd_map(CIRCLE, func=np.mean).data[:, 0, 0], np.arange(4))
    assert_close(sky.to_region_nd_map().data[:, 0, 0], np.arange(4) * 400)
    assert_close(sky.to_region_nd_map(CENTER).data[:, 0, 0], np.arange(4))
    half = sky.copy(data=0.5, unit="")
    assert_close(sky.to_region_nd_map(CIRCLE, weights=half).data, region.data / 2)
    assert_close(sky.to_region_nd_map(CENTER, weights=half).data[:, 0, 0], np.arange(4) / 2)
    mask = sky.copy(data=False, unit="")
    assert sky.get_spectrum(CIRCLE, weights=mask).data.max() == 0
    assert host((sky > 2 * u.s).to_region_nd_map(CIRCLE, func=np.any))[:, 0, 0].tolist() == [False, False, False, True]
    with pytest.raises(GeometryError, match="Incompatible spatial geoms"):
        sky.to_region_nd_map(CIRCLE, weights=half.crop(1))
    with pytest.raises(GeometryError, match="needs an energy axis"):
        sky.sum_over_axes(keepdims=False).get_spectrum()


@pytest.mark.parametrize("region", [None, CIRCLE, PointSkyRegion(CENTER)], ids=["none", "circle", "point"])
def test_files(region, tmp_path):
    rad = MapAxis.from_nodes([0, 0.1, 0.2], name="rad", unit="deg")
    m = RegionNDMap.create(region, axes=[rad, ENERGY], unit="sr-1", data=np.arange(12.0).reshape(4, 3, 1, 1), meta={"livetime": 3 * u.s})
    m.write(tmp_path / "m.fits", hdu="PSF")
    back = Map.read(tmp_path / "m.fits", hdu="PSF")
    assert isinstance(back, RegionNDMap)
    assert back.is_allclose(m)
    assert back.meta == {"livetime": 3 * u.s}
    assert (back.geom.region is None) == (region is None)
    if region is not None:
        assert type(back.geom.region) is type(region)
        assert back.geom.region.center.separation(CENTER).deg < 1e-6


def test_bad_files(tmp_path):
    m = RegionNDMap.create(None, axes=[ENERGY], data=np.arange(4.0))
    hdus = m.to_hdulist(hdu="COUNTS")
    with pytest.raises(DataFileError, match="no HDU 'COUNTS_BANDS'"):
        Map.from_hdulist(hdus[:2], hdu="COUNTS")
    with pytest.raises(DataFileError, match="has no column DATA"):
        Map.from_hdulist(hdus, hdu="COUNTS_BANDS", map_type="region")
    hdus["COUNTS"].data = hdus["COUNTS"].data[:3]
    with pytest.raises(DataFileError, match="holds 3 values, but its bands describe"):
        Map.from_hdulist(hdus, hdu="COUNTS")
    with pytest.raises(GeometryError, match="unknown format 'fgst-ccube' of a region map"):
        m.to_hdulist(format="fgst-ccube")


def test_bad_geometry_arguments():
    geom = RegionGeom.create(CIRCLE, axes=[ENERGY])
    with pytest.raises(GeometryError, match="'edges' needs axis_name"):
        geom.get_coord(mode="edges")
    with pytest.raises(TypeError, match="cannot compare"):
        geom.is_allclose(3)
    with pytest.raises(GeometryError, match="no pixels to pad"):
        geom.pad(1)
