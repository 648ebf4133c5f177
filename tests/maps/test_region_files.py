"""Region maps and geometries in FITS."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from regions import CircleAnnulusSkyRegion, CircleSkyRegion, EllipseSkyRegion, PointSkyRegion, PolygonSkyRegion, RectangleSkyRegion

from gpudl4.core.errors import DataFileError, GeometryError
from gpudl4.maps import Map, MapAxis, RegionGeom, RegionNDMap, WcsGeom

CENTER = SkyCoord(83.63, 22.01, unit="deg")
CIRCLE = CircleSkyRegion(CENTER, 0.3 * u.deg)
ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 4)
REGIONS = [
    CIRCLE,
    CircleSkyRegion(CENTER.galactic, 0.3 * u.deg),
    CircleAnnulusSkyRegion(CENTER, 0.3 * u.deg, 0.6 * u.deg),
    EllipseSkyRegion(CENTER, 0.3 * u.deg, 0.6 * u.deg, 20 * u.deg),
    RectangleSkyRegion(CENTER, 0.3 * u.deg, 0.6 * u.deg, 20 * u.deg),
    PolygonSkyRegion(SkyCoord([83, 84, 83.5], [22, 22, 23], unit="deg")),
    PointSkyRegion(CENTER),
    CIRCLE | CircleSkyRegion(SkyCoord(84.5, 22.3, unit="deg"), 0.2 * u.deg),
]


def spectrum(region=CIRCLE, **options):
    return RegionNDMap.create(region, axes=[ENERGY], data=np.array([0, 3.0, 2, 5]), **options)


@pytest.mark.parametrize("format", ["gadf", "ogip", "ogip-sherpa"])
@pytest.mark.parametrize("region", REGIONS, ids=lambda region: type(region).__name__)
def test_regions_come_back(region, format):
    m = spectrum(region)
    hdus = m.to_hdulist(format=format)
    back = RegionNDMap.from_hdulist(hdus, format=format)
    geom = back.geom
    assert type(geom.region) is type(region)
    assert geom == m.geom or format == "ogip-sherpa"
    assert u.allclose(geom.axes[0].edges, ENERGY.edges)
    assert geom.center_skydir.separation(m.geom.center_skydir).deg < 1e-9
    assert geom.wcs.array_shape == m.geom.wcs.array_shape
    points = SkyCoord(*np.random.default_rng(5).uniform([[83], [21]], [[85], [23]], (2, 300)), unit="deg")
    np.testing.assert_array_equal(geom.contains(points), m.geom.contains(points))
    assert RegionGeom.from_hdulist(hdus, format=format, hdu="SKYMAP").center_skydir.separation(m.geom.center_skydir).deg < 1e-9


def test_names(tmp_path):
    m = spectrum(meta={"livetime": 3 * u.h})
    assert [hdu.name for hdu in m.to_hdulist()] == ["PRIMARY", "SKYMAP", "SKYMAP_BANDS", "SKYMAP_REGION"]
    assert [hdu.name for hdu in m.to_hdulist(hdu="a", hdu_bands="b", hdu_region="c")] == ["PRIMARY", "A", "B", "C"]
    assert [hdu.name for hdu in m.to_hdulist(format="ogip", hdu="a")] == ["PRIMARY", "SPECTRUM", "EBOUNDS", "REGION"]
    assert [hdu.name for hdu in spectrum(None).to_hdulist()] == ["PRIMARY", "SKYMAP", "SKYMAP_BANDS"]
    assert [hdu.name for hdu in m.rename_axes("energy", "energy_true").to_hdulist("ogip-arf")] == ["PRIMARY", "SPECRESP"]
    assert [hdu.name for hdu in m.geom.to_image().to_hdulist("gadf")] == ["PRIMARY", "HDU_REGION"]
    m.write(tmp_path / "m.fits", hdu="counts")
    with pytest.raises(Exception, match="exists"):
        m.write(tmp_path / "m.fits", hdu="counts")
    back = RegionNDMap.read(tmp_path / "m.fits", hdu="COUNTS", checksum=True)
    assert back.meta == {"livetime": 3 * u.h}
    m.write(tmp_path / "m.fits", overwrite=True, checksum=True)
    assert Map.read(tmp_path / "m.fits").is_allclose(m)


def test_masks_and_integers(tmp_path):
    mask = spectrum() > 2
    mask.write(tmp_path / "m.fits", hdu="mask_safe")
    back = RegionNDMap.read(tmp_path / "m.fits", hdu="MASK_SAFE")
    assert back.is_mask
    assert back.data[:, 0, 0].tolist() == [False, True, False, True]
    counts = spectrum().copy(dtype="int64")
    assert RegionNDMap.from_hdulist(counts.to_hdulist()).data.dtype == np.int64


def test_spectrum_from_the_device(device, tmp_path):
    m = spectrum().to_device(device)
    for format in ("gadf", "ogip"):
        m.write(tmp_path / "m.fits", format=format, overwrite=True)
        back = RegionNDMap.read(tmp_path / "m.fits", format=format, backend=device)
        assert back.backend == device
        assert back.to_host().data[:, 0, 0].tolist() == [0, 3, 2, 5]


def test_columns_of_a_spectrum():
    hdus = spectrum().to_hdulist(format="ogip")
    # OGIP lets keywords stand for columns that are constant
    assert RegionNDMap.from_hdulist(hdus, format="ogip", ogip_column="QUALITY").data.tolist() == [[[True]]] * 4
    hdus["SPECTRUM"].header["BACKSCAL"] = 0.25
    assert RegionNDMap.from_hdulist(hdus, format="ogip", ogip_column="BACKSCAL").data.tolist() == [[[0.25]]] * 4
    quality = fits.ColDefs([fits.Column("QUALITY", "I", array=[0, 5, 1, 0])])
    hdus["SPECTRUM"] = fits.BinTableHDU.from_columns(hdus["SPECTRUM"].columns + quality, name="SPECTRUM")
    mask = RegionNDMap.from_hdulist(hdus, format="ogip", ogip_column="QUALITY")
    assert mask.data[:, 0, 0].tolist() == [True, False, False, True]
    with pytest.raises(DataFileError, match="has no column 'RATE'; it has: CHANNEL, COUNTS, QUALITY"):
        RegionNDMap.from_hdulist(hdus, format="ogip", ogip_column="RATE")
    assert Map.from_hdulist(hdus, format="ogip").data[:, 0, 0].tolist() == [0, 3, 2, 5]


def test_bad_files(tmp_path):
    hdus = spectrum().to_hdulist(format="ogip")
    with pytest.raises(DataFileError, match="no HDU 'EBOUNDS' with the energies of the channels"):
        RegionNDMap.from_hdulist(hdus[:2], format="ogip")
    hdus[:2].writeto(tmp_path / "pha.fits")
    with pytest.raises(DataFileError, match=r"pha\.fits.*'EBOUNDS'"):
        RegionNDMap.read(tmp_path / "pha.fits", format="ogip")
    with pytest.raises(DataFileError, match="no HDU 'SPECRESP'"):
        RegionNDMap.from_hdulist(hdus, format="ogip-arf")
    hdus["SPECTRUM"].data = hdus["SPECTRUM"].data[:3]
    with pytest.raises(DataFileError, match="holds 3 values, but its bands describe"):
        RegionNDMap.from_hdulist(hdus, format="ogip")
    with pytest.raises(GeometryError, match="unknown format 'pha' of a region map"):
        RegionNDMap.from_hdulist(hdus, format="pha")
    with pytest.raises(GeometryError, match="written in format 'gadf', 'ogip' or 'ogip-sherpa', got: 'ogip-arf'"):
        spectrum().geom.to_hdulist(format="ogip-arf")


def test_region_of_a_map_keeps_its_projection():
    wcs = WcsGeom.create(skydir=(83, 22), npix=(40, 30), binsz=0.1).wcs
    geom = RegionGeom.create(CIRCLE, axes=[ENERGY], wcs=wcs)
    back = RegionGeom.from_hdulist(geom.to_hdulist())
    assert back.wcs.wcs.compare(wcs.wcs, cmp=1, tolerance=1e-9)
    assert back.wcs.array_shape == (30, 40)
