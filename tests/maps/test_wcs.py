"""WcsGeom: construction, plain-number transforms, cutouts, errors."""

import time

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata.utils import NoOverlapError
from astropy.wcs import WCS

from gpudl4.core.errors import DataFileError, GeometryError
from gpudl4.maps import MapAxis, WcsGeom

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)


@pytest.fixture
def geom():
    return WcsGeom.create(skydir=(0.3, -0.1), npix=(50, 40), binsz=0.1, frame="galactic", axes=[ENERGY])


def test_create_centres_the_map(geom):
    assert geom.data_shape == (3, 40, 50)
    assert geom.projection == "CAR"
    assert geom.axes_names == ["lon", "lat", "energy"]
    assert geom.center_skydir.separation(SkyCoord(0.3, -0.1, unit="deg", frame="galactic")).deg < 1e-12
    np.testing.assert_allclose(geom.lonlat_to_pix(0.3, -0.1), (24.5, 19.5))
    np.testing.assert_allclose(geom.width.value, [[5], [4]])
    assert geom.npix[0] == 50
    assert geom.data_shape_image == (1, 40, 50)
    assert geom.data_shape_axes == (3, 1, 1)
    assert geom.footprint.shape == (4,)
    assert "galactic" in str(geom)
    assert geom.data_nbytes("float64").to_value("byte") == 3 * 40 * 50 * 8


def test_sizes_as_text_and_quantities():
    geom = WcsGeom.create(width=("2 deg", 60 * u.arcmin), binsz="6 arcmin")
    assert geom.data_shape == (10, 20)
    assert WcsGeom.create(width=[2, 1], binsz=0.1) == geom
    assert WcsGeom.create(width=2 * u.deg, binsz=(0.1, 0.2)).data_shape == (10, 20)
    for binsz in ((0.1 * u.deg, 12 * u.arcmin), [0.1 * u.deg, 0.2 * u.deg], [0.1, 0.2] * u.deg, ("0.1 deg", "12 arcmin")):
        assert WcsGeom.create(width=2 * u.deg, binsz=binsz).data_shape == (10, 20)


def test_skycoord_is_turned_into_the_frame_of_the_map():
    position = SkyCoord(83.63, 22.01, unit="deg")
    geom = WcsGeom.create(skydir=position, npix=3, frame="galactic")
    assert geom.center_skydir.separation(position).deg < 1e-10


@pytest.mark.parametrize("frame", ["icrs", "galactic", "fk5"])
def test_plain_numbers_agree_with_astropy(frame):
    geom = WcsGeom.create(skydir=(10, 20), npix=30, binsz=0.1, frame=frame, proj="TAN")
    assert geom.frame == frame
    sky = SkyCoord([10.1, 9.7], [20.3, 19], unit="deg", frame=frame)
    np.testing.assert_allclose(geom.lonlat_to_pix(sky.icrs.ra.deg, sky.icrs.dec.deg, frame="icrs"), sky.to_pixel(geom.wcs), atol=1e-9)
    np.testing.assert_allclose(
        geom.pix_to_lonlat(*sky.to_pixel(geom.wcs), frame="galactic"), [sky.galactic.l.deg, sky.galactic.b.deg], atol=1e-10
    )
    assert geom.lonlat_to_pix(10.0, [19.0, 20.0, 21.0])[0].shape == (3,)
    assert geom.lonlat_to_pix([], [])[0].shape == (0,)


def test_no_pixel_behind_a_tangential_map():
    geom = WcsGeom.create(skydir=(0, 0), npix=10, binsz=0.1, proj="TAN")
    assert np.isnan(geom.lonlat_to_pix(180.0, 0.0)).all()
    assert geom.coord_to_idx((180.0, 0.0))[0] == -1
    assert not geom.contains((180.0, 0.0))


def test_coordinates(geom):
    coords = geom.get_coord()
    assert coords.shape == geom.data_shape
    sparse = geom.get_coord(sparse=True)
    assert sparse.lon.shape == (1, 40, 50)
    assert sparse["energy"].shape == (3, 1, 1)
    np.testing.assert_array_equal(sparse.broadcasted["energy"], coords["energy"])
    assert geom.get_coord(mode="edges").lon.shape == (3, 41, 51)
    assert geom.get_coord(mode="edges", axis_name="energy").shape == (4, 40, 50)
    assert geom.get_coord(idx=(1,)).shape == (1, 40, 50)
    pix = geom.coord_to_pix(coords)
    for got, wanted in zip(pix, geom.get_pix(), strict=True):
        np.testing.assert_allclose(np.broadcast_to(got, geom.data_shape), wanted, atol=1e-9)
    assert u.allclose(geom.pix_to_coord((24.5, 19.5, 0))[2], ENERGY.center[0])
    assert geom.get_idx()[2].dtype == np.int64
    np.testing.assert_array_equal(
        geom.pix_to_idx((np.array([-3, 60]), np.array([0, 5]), np.array([9, 1])), clip=True), [[0, 49], [0, 5], [2, 1]]
    )
    assert geom.coord_to_pix({"lon": [], "lat": [], "energy": [] * u.TeV})[0].size == 0


def test_center(geom):
    assert geom.center_pix == (24.5, 19.5, 1.0)
    assert u.allclose(geom.center_coord[2], ENERGY.center[1])
    assert geom.separation(geom.center_skydir).shape == (40, 50)
    assert geom.separation((0.3, -0.1)).deg.min() < 0.1


def test_cutout_slices_are_cheap_and_right(geom):
    position, data = SkyCoord(0.9, 0.5, unit="deg", frame="galactic"), np.arange(2000).reshape(40, 50)
    part = geom.cutout(position, 1.1)
    slices = geom.cutout_slices((0.9, 0.5), 1.1)["parent-slices"]
    y, x = part.get_idx()[1][0], part.get_idx()[0][0]
    sky = part.pix_to_lonlat(x, y)
    pix = np.round(geom.lonlat_to_pix(*sky)).astype(int)
    np.testing.assert_array_equal(data[slices], data[pix[1], pix[0]])
    times = []
    for _ in range(50):
        start = time.perf_counter()
        geom.cutout_slices((0.9, 0.5), 1.1, odd_npix=True)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.3e-3


def test_cutouts_at_the_border(geom):
    corner = SkyCoord(*geom.pix_to_lonlat(1, 38), unit="deg", frame="galactic")
    assert geom.cutout(corner, 1.0, odd_npix=True).data_shape == (3, 7, 7)
    partial = geom.cutout_slices(corner, 1.0, mode="partial", odd_npix=True)
    assert partial["cutout-slices"] == (slice(0, 7), slice(4, 11))
    assert partial["parent-slices"] == (slice(33, 40), slice(0, 7))
    assert geom.cutout(corner, 1.0, mode="partial", odd_npix=True).data_shape == (3, 11, 11)
    with pytest.raises(GeometryError, match="partly outside"):
        geom.cutout(corner, 1.0, mode="strict")
    with pytest.raises(NoOverlapError, match="outside a map of 50 pixels"):
        geom.cutout((90, 0), 1.0)
    with pytest.raises(GeometryError, match="has no pixel"):
        WcsGeom.create(npix=10, binsz=0.1, proj="TAN").cutout((180, 0), 1.0)
    with pytest.raises(GeometryError, match="unknown cutout mode 'cut'"):
        geom.cutout(corner, 1.0, mode="cut")


def test_aligned_and_equal(geom):
    part = geom.cutout((0.2, 0.1), 1.0)
    assert geom.is_aligned(part)
    assert geom != part
    assert geom == geom.copy()
    assert geom == WcsGeom.create(skydir=(0.3, -0.1), npix=(50, 40), binsz=0.1, frame="galactic", axes=[ENERGY])
    assert hash(geom) == hash(geom.copy())
    assert not geom.is_aligned(WcsGeom.create(skydir=(0.33, -0.1), npix=10, binsz=0.1, frame="galactic", axes=[ENERGY]))
    assert not geom.is_aligned(geom.replace_axis(ENERGY.upsample(2)))
    assert geom.__eq__("x") is NotImplemented
    with pytest.raises(TypeError, match="cannot compare"):
        geom.is_allclose("x")


def test_axes_of_a_geometry(geom):
    assert geom.to_image().is_image
    assert geom.to_image().to_cube([ENERGY]) == geom
    assert geom.squash("energy").is_flat
    assert geom.drop("energy").is_image
    assert geom.slice_by_idx({"energy": slice(1, 3)}).axes[0].nbin == 2
    assert geom.as_energy_true.axes.names == ["energy_true"]
    assert geom.upsample(2, axis_name="energy").data_shape == (6, 40, 50)
    assert geom.downsample(3, axis_name="energy").data_shape == (1, 40, 50)
    assert geom.pad((0, 2), axis_name="energy").data_shape == (5, 40, 50)
    assert geom.resample_axis(MapAxis.from_energy_edges([1, 10] * u.TeV)).data_shape == (1, 40, 50)
    assert geom.has_energy_axis
    assert not geom.to_image().has_energy_axis


def test_resizing(geom):
    fine = geom.upsample(4)
    assert fine.data_shape == (3, 160, 200)
    np.testing.assert_allclose(fine.lonlat_to_pix(0.3, -0.1), (99.5, 79.5))
    np.testing.assert_allclose(fine.solid_angle().sum().value, geom.solid_angle().sum().value, rtol=1e-6)
    assert fine.downsample(4) == geom
    assert geom.pad((2, 3)).crop((2, 3)) == geom
    assert geom.is_aligned(geom.pad(3))
    assert geom.to_odd_npix(0.55).data_shape == (3, 11, 11)
    with pytest.raises(GeometryError, match="not divisible by 3"):
        geom.downsample(3)
    with pytest.raises(GeometryError, match="nothing is left"):
        geom.crop(30)


def test_a_rotated_map_with_a_cd_matrix():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [10, 20], [5.5, 5.5]
    wcs.wcs.cd = 0.1 * np.array([[-np.cos(0.3), np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    geom = WcsGeom(wcs, (10, 10))
    np.testing.assert_allclose(geom.pixel_scales.deg, 0.1)
    np.testing.assert_allclose(geom.width.value, 1)
    fine = geom.upsample(2)
    np.testing.assert_allclose(fine.pixel_scales.deg, 0.05)
    np.testing.assert_allclose(fine.lonlat_to_pix(10, 20), (9.5, 9.5))


def test_bin_volume(geom):
    volume = geom.bin_volume()
    assert volume.shape == (3, 40, 50)
    np.testing.assert_allclose(volume.to_value("TeV sr")[1], geom.solid_angle().value[0] * ENERGY.bin_width.value[1])
    assert geom.to_image().bin_volume().unit == "sr"


def test_no_property_changes_anything(geom):
    before = dict(vars(geom))
    for _ in range(2):
        for name in dir(type(geom)):
            if isinstance(getattr(type(geom), name, None), property):
                getattr(geom, name)
        geom.solid_angle()
    assert vars(geom) == before


def test_energy_mask_counts_bins_between_edges_whatever_the_rounding():
    axis = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", 10)
    geom = WcsGeom.create(npix=2, axes=[axis])
    assert geom.energy_mask().data.all()
    assert geom.energy_mask(0.1 * u.TeV, 10 * u.TeV).data.all()
    for low in range(10):
        for high in range(low + 1, 11):
            mask = geom.energy_mask(axis.edges[low] * (1 + 1e-15), axis.edges[high].to("GeV")).data[:, 0, 0]
            assert mask.sum() == high - low
            assert mask[low:high].all()
    assert geom.energy_mask(energy_min="0.11 TeV").data[:, 0, 0].tolist() == [False] + [True] * 9
    assert geom.energy_mask(energy_min=0.11 * u.TeV, round_to_edge=True).data.all()
    assert geom.create_mask("energy", edge_max=1 * u.TeV).data[:, 1, 1].sum() == 5
    with pytest.raises(KeyError, match="no axis 'energy'"):
        geom.to_image().energy_mask()


def test_header_round_trip(geom):
    header = geom.to_header()
    assert header["WCSSHAPE"] == "(50,40,3)"
    assert WcsGeom.from_header(header, geom.to_bands_hdu()) == geom
    header["WCSSHAPE"] = "import os"
    with pytest.raises(DataFileError, match="no valid image size"):
        WcsGeom.from_header(header)
    del header["WCSSHAPE"]
    with pytest.raises(DataFileError, match="NAXIS1"):
        WcsGeom.from_header(header)
    hdu = fits.BinTableHDU.from_columns([fits.Column("NPIX", "2I", array=[[1, 2]])], name="BANDS")
    with pytest.raises(DataFileError, match="column NPIX"):
        WcsGeom.from_header(geom.to_header(), hdu)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"proj": "XYZ"}, "projection 'XYZ' cannot be used"),
        ({"frame": "nowhere"}, "frame 'nowhere' cannot be used"),
        ({"skydir": "Crab"}, "skydir must be a SkyCoord or a tuple"),
        ({"npix": [10, 20]}, "per image plane are not supported"),
        ({"npix": (10, 20, 3)}, r"one value or a tuple \(lon, lat\)"),
        ({"npix": 0}, "at least one pixel"),
        ({"binsz": -1}, "binsz must be positive and finite, got: -1"),
        ({"binsz": 0}, "binsz must be positive and finite, got: 0"),
        ({"binsz": (0.1, np.nan)}, "binsz must be positive and finite"),
        ({"binsz": "wide"}, "binsz is an angle or two .*got: 'wide'"),
        ({"binsz": 1 * u.m}, "binsz is an angle or two .*got: <Quantity 1. m>"),
        ({"binsz": [0.1, 0.2]}, "different values per image plane are not supported"),
        ({"width": (1, 2, 3)}, r"width is an angle or two \(lon, lat\), degrees if a number, got: \(1, 2, 3\)"),
        ({"width": np.inf}, "width must be positive and finite, got: inf"),
        (
            {"frame": "galactocentric"},
            r"frame 'galactocentric' cannot be used for a sky map: choose 'icrs' or 'galactic' \(or 'fk5', 'fk4'\)",
        ),
        ({"frame": 5}, "frame 5 cannot be used"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(GeometryError, match=message):
        WcsGeom.create(**kwargs)


def test_other_bad_input():
    with pytest.raises(TypeError, match="unexpected keyword argument 'coordsys'"):
        WcsGeom.create(coordsys="GAL")
    with pytest.raises(GeometryError, match="longitude and latitude as its first two axes"):
        WcsGeom(WCS(naxis=2))
    with pytest.raises(GeometryError, match="npix differs between image planes"):
        WcsGeom(WcsGeom.create(npix=3).wcs, npix=([3, 4], [3, 4]))


def _turned(**header):
    wcs = WcsGeom.create(npix=(30, 20), binsz=2.0, frame="galactic").wcs.deepcopy()
    for name, value in header.items():
        setattr(wcs.wcs, name, value)
    wcs.wcs.set()
    return WcsGeom(wcs, npix=(30, 20))


@pytest.mark.parametrize(
    "geom",
    [
        WcsGeom.create(npix=(50, 40), binsz=0.02, frame="galactic", skydir=(0.3, 0.0)),
        WcsGeom.create(npix=(200, 100), binsz=2.0, frame="icrs"),  # more than the sky
        WcsGeom.create(npix=(80, 60), binsz=3.0, proj="CEA"),
        WcsGeom.create(npix=(80, 60), binsz=3.0, proj="MER", frame="galactic"),
        WcsGeom.create(npix=(50, 40), binsz=0.2, skydir=(83.6, 22.0)),
        WcsGeom.create(npix=(50, 40), binsz=0.2, skydir=(83.6, 22.0), proj="TAN"),
        _turned(lonpole=30.0),
        _turned(pc=np.array([[0.8, -0.6], [0.6, 0.8]])),
        _turned(crval=np.array([10.0, 40.0])),
    ],
    ids=["CAR", "all-sky", "CEA", "MER", "off the equator", "TAN", "other pole", "rotated", "tilted"],
)
def test_a_grid_is_looked_up_as_its_pixels_are(geom):
    """On unrotated cylindrical maps a row of longitudes and a column of latitudes are enough, bit by bit."""
    columns = np.arange(geom.data_shape[-1] + 1) - 0.5
    rows = (np.arange(geom.data_shape[-2] + 1) - 0.5)[:, np.newaxis]
    each = geom.pix_to_lonlat(*np.broadcast_arrays(columns, rows))
    for x in (columns, columns[np.newaxis]):
        found = geom.pix_to_lonlat(x, rows)
        np.testing.assert_array_equal(found, each)
        assert all(part.flags.writeable for part in found)
    turned = geom.pix_to_lonlat(columns, rows, frame="fk5")
    np.testing.assert_array_equal(turned, geom.pix_to_lonlat(*np.broadcast_arrays(columns, rows), frame="fk5"))
    assert geom.pix_to_lonlat(columns[:0], rows)[0].shape == (len(rows), 0)
    assert geom.pix_to_lonlat(2.0, rows)[0].shape == rows.shape
