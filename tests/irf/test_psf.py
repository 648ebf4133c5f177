"""PSF maps: containment, kernels and what happens with odd or wrong input, on each backend."""

import copy
import time

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from gpudl4.core.errors import DataFileError, DatasetError, GeometryError, UnitMismatchError
from gpudl4.irf import EDispMap, PSFMap, RecoPSFMap
from gpudl4.maps import Map, MapAxis, RegionGeom, WcsGeom
from tests.arrays import host
from tests.irf.cases import ours

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3, name="energy_true")
RAD = MapAxis.from_bounds(0, 0.66, nbin=66, unit="deg", name="rad")
SIGMA = [0.1, 0.05, 0.08] * u.deg
IMAGE = WcsGeom.create(npix=(8, 6), binsz=0.5, skydir=(10, 5), frame="galactic")


@pytest.fixture
def psf(backend):
    return PSFMap.from_gauss(ENERGY, RAD, SIGMA, geom=IMAGE).to_device(backend)


@pytest.fixture
def geom():
    return WcsGeom.create(npix=(100, 80), binsz=0.02, skydir=(10, 5), frame="galactic", axes=[ENERGY])


def test_kernel_of_a_gaussian(psf, geom):
    kernel = psf.get_psf_kernel(geom)
    assert kernel.data.sum(axis=(1, 2)) == pytest.approx(1, abs=1e-12)
    # 99.9 % of a 2D Gaussian lie within 3.7 sigma; the largest sigma sets the size
    assert kernel.data.shape == (3, 37, 37)
    offset = (np.arange(37) - 18) * 0.02
    for plane, sigma in zip(kernel.data, SIGMA.value, strict=True):
        assert np.array_equal(plane, plane[::-1])
        assert np.array_equal(plane, plane[:, ::-1])
        width = np.sqrt((plane.sum(axis=0) * offset**2).sum())
        assert width == pytest.approx(sigma, rel=0.02)


def test_containment_of_a_gaussian(psf):
    rad = [0.05, 0.1, 0.2] * u.deg
    expected = 1 - np.exp(-0.5 * (rad.value[:, np.newaxis] / SIGMA.value) ** 2)
    containment = psf.containment(rad[:, np.newaxis], ENERGY.center)
    assert containment.value == pytest.approx(expected, abs=4e-3)
    radius = psf.containment_radius(0.68, ENERGY.center)
    assert radius.to_value("deg") == pytest.approx(np.sqrt(-2 * np.log(0.32)) * SIGMA.value, abs=2e-3)
    # quantised: the centre of one of 20 fine bins per rad bin
    steps = radius.to_value("deg") / (0.01 / 20) - 0.5
    assert steps == pytest.approx(np.round(steps), abs=1e-9)


def test_shapes_broadcast(psf):
    positions = SkyCoord([10, 10.3], [5, 5.1], unit="deg", frame="galactic")
    assert psf.containment(0.1 * u.deg, 2 * u.TeV).shape == (1,)
    assert psf.containment_radius(0.68, 2 * u.TeV, positions).shape == (2,)
    assert psf.containment_radius([[0.68], [0.95]], ENERGY.center).shape == (2, 3)
    radius = psf.containment_radius_map(2 * u.TeV)
    assert radius.geom == IMAGE
    assert np.ptp(radius.data) == 0


def test_energy_in_another_unit(psf, geom):
    assert psf.containment(0.1 * u.deg, 2000 * u.GeV).value == pytest.approx(psf.containment(0.1 * u.deg, 2 * u.TeV).value)
    with pytest.raises(UnitMismatchError, match="energy asked for has unit 'm'"):
        psf.containment(0.1 * u.deg, 2 * u.m)
    axis = MapAxis.from_energy_bounds("1000 GeV", "10000 GeV", nbin=3, name="energy_true")
    kernel = psf.get_psf_kernel(geom.to_image().to_cube([axis]))
    assert kernel.data == pytest.approx(psf.get_psf_kernel(geom).data, abs=1e-12)


def test_energies_beyond_the_psf_axis(psf, geom):
    """The cut of the nearest energy holds; gammapy would take a radius of zero there."""
    axis = MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", nbin=9, name="energy_true")
    sizes = [(plane > 0).any(axis=0).sum() for plane in psf.get_psf_kernel(geom.to_image().to_cube([axis])).data]
    assert min(sizes) > 9


def test_interpolates_between_positions(backend, geom):
    psf, narrow = (PSFMap.from_gauss(ENERGY, RAD, sigma * u.deg, geom=IMAGE).to_device(backend) for sigma in (0.1, 0.06))
    psf.psf_map.data[..., 4:] = narrow.psf_map.data[..., 4:]
    lon, lat = IMAGE.pix_to_lonlat(3.25, 2.0)
    between = SkyCoord(lon, lat, unit="deg", frame="galactic")
    rad = 0.08 * u.deg
    values = [1 - np.exp(-0.5 * (0.08 / s) ** 2) for s in (0.1, 0.06)]
    assert psf.containment(rad, 2 * u.TeV, between).value == pytest.approx(0.75 * values[0] + 0.25 * values[1], abs=3e-3)
    same = between.icrs
    assert psf.get_psf_kernel(geom, same).data == pytest.approx(psf.get_psf_kernel(geom, between).data, abs=1e-12)


def test_nearest_valid_position(psf, geom):
    psf.psf_map.data[..., :3] = 0
    psf.psf_map.data[..., 3] *= 0.5
    lon, lat = IMAGE.pix_to_lonlat(1, 4)
    hole = SkyCoord(lon, lat, unit="deg", frame="galactic")
    with pytest.warns(UserWarning, match=r"PSFMap has no values at the position asked for.*galactic"):
        position = psf.nearest_valid_position(hole)
    assert IMAGE.lonlat_to_pix(position.l.deg, position.b.deg) == pytest.approx((3, 4))
    with pytest.warns(UserWarning, match="nearest valid position"):
        kernel = psf.get_psf_kernel(geom, hole)
    assert kernel.data == pytest.approx(psf.get_psf_kernel(geom, position).data, abs=1e-12)
    centre = SkyCoord(10, 5, unit="deg", frame="galactic")
    assert psf.nearest_valid_position(centre) is centre


def test_warns_once(geom):
    import warnings

    psf = PSFMap.from_gauss(ENERGY, RAD, SIGMA, geom=IMAGE)  # on the host: the emulator's own filters make Python forget what it showed
    psf.psf_map.data[..., :3] = 0
    lon, lat = IMAGE.pix_to_lonlat(1, 4)
    hole = SkyCoord(lon, lat, unit="deg", frame="galactic")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            psf.get_psf_kernel(geom, hole)
    assert len(caught) == 1


def test_zero_map_is_an_error(backend, geom):
    psf = PSFMap.from_geom(IMAGE.to_cube([RAD, ENERGY])).to_device(backend)
    assert psf.exposure_map.data.shape == (3, 1, 6, 8)
    with pytest.raises(DatasetError, match="PSFMap has no positive value anywhere"):
        psf.get_psf_kernel(geom)


def test_single_pixel_holds_everywhere(backend, geom):
    region = PSFMap.from_gauss(ENERGY, RAD, SIGMA, geom=RegionGeom.create(None)).to_device(backend)
    assert region.has_single_spatial_bin
    somewhere = SkyCoord(200, -50, unit="deg")
    kernel = region.get_psf_kernel(geom, somewhere)
    everywhere = PSFMap.from_gauss(ENERGY, RAD, SIGMA).to_device(backend)
    assert not everywhere.has_single_spatial_bin
    assert kernel.data == pytest.approx(everywhere.get_psf_kernel(geom, somewhere).data, abs=1e-12)
    assert region.containment(0.1 * u.deg, 2 * u.TeV, somewhere).value > 0


def test_kernel_for_a_region_geometry(psf):
    region = RegionGeom.create("galactic;circle(10, 5, 0.3)", axes=[ENERGY])
    kernel = psf.get_psf_kernel(region)
    assert kernel.data.shape[0] == 3
    assert kernel.psf_kernel_map.geom.projection == "TAN"


def test_empty_planes_stay_empty(psf, geom):
    psf.psf_map.data[1] = 0
    psf.psf_map.data[2, 3] = np.nan
    data = psf.get_psf_kernel(geom).data
    assert not data[1].any()
    assert np.isfinite(data).all()
    assert data[2].sum() == pytest.approx(1)


def test_wrong_axes():
    with pytest.raises(GeometryError, match=r"PSFMap needs a map with the axes \['rad', 'energy_true'\].*\['energy_true', 'rad'\]"):
        PSFMap(Map.from_geom(IMAGE.to_cube([ENERGY, RAD]), unit="sr-1"))
    with pytest.raises(GeometryError, match=r"RecoPSFMap needs .* the map given has \['rad', 'energy_true'\]"):
        RecoPSFMap(Map.from_geom(IMAGE.to_cube([RAD, ENERGY]), unit="sr-1"))
    psf = PSFMap.from_gauss(ENERGY, RAD)
    with pytest.raises(GeometryError, match=r"axes \['rad', 'energy_true'\]"):
        psf.psf_map = Map.from_geom(IMAGE)
    with pytest.raises(GeometryError, match=r"axis 'energy_true', got: \['energy'\]"):
        psf.get_psf_kernel(IMAGE.to_cube([ENERGY.copy(name="energy")]))
    with pytest.raises(GeometryError, match="2 widths were given for 3 energies"):
        PSFMap.from_gauss(ENERGY, RAD, [0.1, 0.2] * u.deg)


def test_wrong_unit():
    with pytest.raises(UnitMismatchError, match="map of PSFMap has unit 'TeV'"):
        PSFMap(Map.from_geom(IMAGE.to_cube([RAD, ENERGY]), unit="TeV"))
    assert PSFMap(Map.from_geom(IMAGE.to_cube([RAD, ENERGY]), unit="deg-2")).psf_map.unit == "deg-2"


def test_file_decides_the_class(psf, tmp_path):
    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3)
    reco = RecoPSFMap.from_gauss(energy, RAD, SIGMA, geom=IMAGE)
    for number, written in enumerate((psf, reco, PSFMap.from_gauss(ENERGY, RAD, SIGMA, geom=RegionGeom.create(None)))):
        path = tmp_path / f"{number}.fits"
        written.write(path)
        for reader in (PSFMap, RecoPSFMap):
            back = reader.read(path)
            assert type(back) is type(written)
            assert np.array_equal(back.psf_map.data, host(written.psf_map))
            assert np.array_equal(back.exposure_map.data, host(written.exposure_map))
            assert back.psf_map.geom.axes == written.psf_map.geom.axes
    with pytest.raises(DataFileError, match=r"no HDU EDISP for EDispMap; the file has: .*PSF"):
        EDispMap.read(path)


def test_file_with_wrong_axes(psf):
    hdulist = EDispMap.from_diagonal_response(ENERGY).to_hdulist(hdu="PSF")
    with pytest.raises(GeometryError, match=r"HDU PSF has the axes \['migra', 'energy_true'\].*PSFMap.*RecoPSFMap"):
        PSFMap.from_hdulist(hdulist)
    with pytest.raises(DataFileError, match="no HDU PSF"):
        PSFMap.from_hdulist(fits.HDUList([fits.PrimaryHDU()]))


def test_without_exposure(psf):
    bare = PSFMap(psf.psf_map)
    assert PSFMap.from_hdulist(bare.to_hdulist()).exposure_map is None
    for changed in (bare.copy(), bare.slice_by_idx({"energy_true": slice(1, 2)}), bare.downsample(2), bare.to_host()):
        assert changed.exposure_map is None
    with pytest.raises(DatasetError, match="the other one has no exposure map"):
        psf.stack(bare)


def test_parts(psf):
    part = psf.slice_by_idx({"energy_true": slice(1, 3)})
    assert part.psf_map.data.shape == (2, 66, 6, 8)
    assert part.exposure_map.data.shape == (2, 1, 6, 8)
    assert psf.slice_by_idx({"rad": slice(0, 10)}).exposure_map.data.shape == (3, 1, 6, 8)
    with pytest.raises(GeometryError, match="the map given has"):
        psf.slice_by_idx({"rad": 3})
    cutout = psf.cutout(SkyCoord(10, 5, unit="deg", frame="galactic"), 0.1 * u.deg)
    assert cutout.psf_map.data.shape[-2:] == cutout.exposure_map.data.shape[-2:] == (3, 3)
    coarse = psf.downsample(2)
    assert coarse.psf_map.data.shape == (3, 66, 3, 4)
    assert host(coarse.psf_map) == pytest.approx(host(psf.psf_map)[..., ::2, ::2])


def test_copy_is_independent(psf):
    clone = psf.copy()
    clone.psf_map.data[...] = 0
    clone.exposure_map.data[...] = 0
    assert psf.psf_map.data.max() > 0
    assert psf.exposure_map.data.max() > 0


def test_stack_weights_with_exposure(backend):
    wide, narrow = (PSFMap.from_gauss(ENERGY, RAD, s * u.deg, geom=IMAGE).to_device(backend) for s in (0.1, 0.05))
    narrow.exposure_map.data *= 3
    expected = host(0.25 * wide.psf_map.data + 0.75 * narrow.psf_map.data)
    mask = Map.from_geom(IMAGE.to_cube([ENERGY.copy(name="energy").squash()]), data=True).to_device(backend)
    mask.data[..., :4] = False
    before = host(wide.psf_map).copy()
    wide.stack(narrow, weights=mask.reduce_over_axes(np.logical_or))
    assert host(wide.psf_map)[..., 4:] == pytest.approx(expected[..., 4:])
    assert host(wide.psf_map)[..., :4] == pytest.approx(before[..., :4])
    assert host(wide.exposure_map)[..., 4:] == pytest.approx(4)


def test_stack_converts_the_exposure_unit(backend):
    first, second = (PSFMap.from_gauss(ENERGY, RAD, s * u.deg, geom=IMAGE).to_device(backend) for s in (0.1, 0.05))
    expected = host(0.5 * (first.psf_map.data + second.psf_map.data))
    second.exposure_map = second.exposure_map.to_unit("cm2 s")
    first.stack(second)
    assert host(first.psf_map) == pytest.approx(expected)


def test_reco_psf_does_not_stack():
    reco = RecoPSFMap.from_gauss(ENERGY.copy(name="energy"), RAD)
    with pytest.raises(NotImplementedError, match="cannot be stacked"):
        reco.stack(reco)


def test_nothing_is_recorded(psf, geom):
    """Lookups leave no trace in the object."""
    before = copy.copy(vars(psf))
    psf.get_psf_kernel(geom)
    _ = psf.has_single_spatial_bin, psf.mask_safe_image, psf.psf_map, psf.containment_radius(0.5, 1 * u.TeV), str(psf), psf._repr_html_()
    assert vars(psf) == before


def test_str(psf):
    assert "axes     : ['rad', 'energy_true']" in str(psf)
    assert "exposure : yes" in str(psf)


def test_speed_on_a_real_map():
    case = ours("cta")
    position = case.geom.center_skydir.icrs
    case.psf.get_psf_kernel(case.geom, position)
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        case.psf.get_psf_kernel(case.geom, position)
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.005
