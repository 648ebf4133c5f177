"""Maps of the energy dispersion: the matrix at a position, files, stacking and wrong input, on each backend."""

import copy

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import DatasetError, GeometryError, UnitMismatchError
from gpudl4.irf import EDispKernel, EDispKernelMap, EDispMap
from gpudl4.maps import Map, MapAxis, RegionGeom, WcsGeom
from tests.arrays import host

TRUE = MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", nbin=12, name="energy_true")
RECO = MapAxis.from_energy_bounds("0.3 TeV", "30 TeV", nbin=6)
MIGRA = MapAxis.from_bounds(0.2, 5, nbin=160, name="migra")
IMAGE = WcsGeom.create(npix=(4, 3), binsz=0.5, skydir=(10, 5), frame="galactic")


def at(x, y):
    lon, lat = IMAGE.pix_to_lonlat(x, y)
    return SkyCoord(lon, lat, unit="deg", frame="galactic")


@pytest.fixture
def kernel_map(backend):
    """A different width in every pixel."""
    edisp = EDispKernelMap.from_gauss(RECO, TRUE, sigma=0.1, bias=0, geom=IMAGE)
    for number, (y, x) in enumerate(np.ndindex(3, 4)):
        edisp.edisp_map.data[..., y, x] = EDispKernel.from_gauss(TRUE, RECO, sigma=0.05 + 0.02 * number, bias=0).data
    return edisp.to_device(backend)


@pytest.fixture
def migra_map(backend):
    """The same as densities, with a bias that grows with x."""
    centre = MIGRA.center.value.reshape(1, -1, 1, 1)
    bias = 0.1 * np.arange(4)
    density = np.exp(-0.5 * ((centre - 1 - bias) / 0.2) ** 2) / (np.sqrt(2 * np.pi) * 0.2)
    geom = IMAGE.to_cube([MIGRA, TRUE])
    exposure = Map.from_geom(geom.squash("migra"), data=np.ones((12, 1, 3, 4)), unit="m2 s")
    return EDispMap(Map.from_geom(geom, data=np.broadcast_to(density, geom.data_shape).copy()), exposure).to_device(backend)


def test_nearest_pixel(kernel_map):
    for x, y in ((0, 0), (3, 2), (1.4, 0.6), (-0.4, 2.4)):
        column, row = round(x), round(y)
        kernel = kernel_map.get_edisp_kernel(position=at(x, y).icrs)
        assert np.array_equal(kernel.data, host(kernel_map.edisp_map)[..., row, column])
    assert kernel.axes["energy"] == RECO
    assert kernel.data.dtype == np.float32


def test_default_position_is_the_centre(kernel_map):
    """The centre of an even number of pixels lies between two of them and belongs to the lower one."""
    assert np.array_equal(kernel_map.get_edisp_kernel().data, host(kernel_map.edisp_map)[..., 1, 1])


def test_nearest_valid_position(kernel_map):
    kernel_map.edisp_map.data[..., :2] = 0
    with pytest.warns(UserWarning, match="EDispKernelMap has no values at the position asked for"):
        kernel = kernel_map.get_edisp_kernel(position=at(0, 2))
    assert np.array_equal(kernel.data, host(kernel_map.edisp_map)[..., 2, 2])
    with pytest.warns(UserWarning, match="nearest valid position"):
        kernel_map.get_edisp_kernel(position=SkyCoord(180, 0, unit="deg", frame="galactic"))
    kernel_map.edisp_map.data[...] = 0
    with pytest.raises(DatasetError, match="EDispKernelMap has no positive value anywhere"):
        kernel_map.get_edisp_kernel()


def test_energy_axis_is_checked(kernel_map):
    assert kernel_map.get_edisp_kernel(energy_axis=RECO.copy()).data.shape == (12, 6)
    with pytest.raises(GeometryError, match="both must be the same"):
        kernel_map.get_edisp_kernel(energy_axis=MapAxis.from_energy_bounds("0.3 TeV", "40 TeV", nbin=6))


def test_migra(migra_map):
    kernel = migra_map.get_edisp_kernel(RECO, position=at(2, 1))
    assert kernel.data.shape == (12, 6)
    inside = (TRUE.center > 0.6 * u.TeV) & (TRUE.center < 10 * u.TeV)
    assert kernel.data[inside].sum(axis=1) == pytest.approx(1, abs=1e-3)
    fine = migra_map.get_edisp_kernel(MapAxis.from_energy_bounds("0.01 TeV", "1000 TeV", nbin=500), position=at(2, 1))
    assert fine.get_bias([1, 5] * u.TeV).value == pytest.approx(0.2, abs=5e-3)
    with pytest.raises(GeometryError, match="'energy' is needed"):
        migra_map.get_edisp_kernel(TRUE)


def test_migra_to_kernel_map(migra_map):
    kernel_map = migra_map.to_edisp_kernel_map(RECO)
    assert kernel_map.edisp_map.geom.axes.names == ["energy", "energy_true"]
    assert kernel_map.exposure_map.geom.axes.names == ["energy", "energy_true"]
    assert kernel_map.exposure_map.data.shape == (12, 1, 3, 4)
    for x, y in ((0, 0), (3, 1)):
        expected = migra_map.get_edisp_kernel(RECO, position=at(x, y)).data
        assert kernel_map.get_edisp_kernel(position=at(x, y)).data == pytest.approx(expected, abs=1e-14)
    kernel_map.exposure_map.data[...] = 0
    assert migra_map.exposure_map.data.min() == 1


def test_diagonal_responses():
    everywhere = EDispKernelMap.from_diagonal_response(RECO, TRUE)
    position = SkyCoord(33, 44, unit="deg")
    expected = EDispKernel.from_diagonal_response(TRUE, RECO).data
    assert everywhere.get_edisp_kernel(position=position).data == pytest.approx(expected, abs=1e-7)
    here = EDispKernelMap.from_diagonal_response(RECO, TRUE, geom=IMAGE.to_cube([TRUE]))
    assert here.edisp_map.data.shape == (12, 6, 3, 4)
    assert here.exposure_map.unit == "m2 s"
    migra = EDispMap.from_diagonal_response(TRUE)
    assert migra.get_edisp_kernel(TRUE.copy(name="energy"), position=position).data == pytest.approx(np.eye(12))


def test_single_pixel_holds_everywhere(backend):
    edisp = EDispKernelMap.from_gauss(RECO, TRUE, sigma=0.2, bias=0, geom=RegionGeom.create(None)).to_device(backend)
    assert edisp.has_single_spatial_bin
    kernel = edisp.get_edisp_kernel(position=SkyCoord(1, 2, unit="deg"))
    assert np.array_equal(kernel.data, host(edisp.edisp_map)[..., 0, 0])


def test_file_decides_the_class(kernel_map, migra_map, tmp_path):
    region = EDispKernelMap.from_gauss(RECO, TRUE, sigma=0.2, bias=0, geom=RegionGeom.create(None))
    for number, edisp in enumerate((kernel_map, migra_map, region, EDispKernelMap(kernel_map.edisp_map))):
        path = tmp_path / f"{number}.fits"
        edisp.write(path)
        for reader in (EDispMap, EDispKernelMap):
            back = reader.read(path)
            assert type(back) is type(edisp)
            assert np.array_equal(back.edisp_map.data, host(edisp.edisp_map))
            assert (back.exposure_map is None) == (edisp.exposure_map is None)


def test_wrong_axes_and_units(kernel_map):
    with pytest.raises(
        GeometryError, match=r"EDispKernelMap needs a map with the axes \['energy', 'energy_true'\].*\['energy_true', 'energy'\]"
    ):
        EDispKernelMap(Map.from_geom(IMAGE.to_cube([TRUE, RECO])))
    with pytest.raises(GeometryError, match=r"EDispMap needs a map with the axes \['migra', 'energy_true'\]"):
        EDispMap(kernel_map.edisp_map)
    with pytest.raises(UnitMismatchError, match="map of EDispKernelMap has unit 'TeV'"):
        EDispKernelMap(Map.from_geom(IMAGE.to_cube([RECO, TRUE]), unit="TeV"))
    hdulist = EDispKernelMap.from_diagonal_response(RECO, TRUE).to_hdulist(hdu="EDISP")
    hdulist["EDISP_BANDS"].columns.change_name("E_MIN", "THETA_MIN")
    hdulist["EDISP_BANDS"].columns.change_name("E_MAX", "THETA_MAX")
    hdulist["EDISP"].header["AXCOLS1"] = "THETA_MIN,THETA_MAX"
    hdulist["EDISP_BANDS"].header["AXCOLS1"] = "THETA_MIN,THETA_MAX"
    with pytest.raises(GeometryError, match=r"HDU EDISP has the axes .*wanted, in this order: .*EDispMap.*EDispKernelMap"):
        EDispMap.from_hdulist(hdulist)


def test_parts(kernel_map):
    part = kernel_map.slice_by_idx({"energy": slice(1, 3), "energy_true": slice(2, 7)})
    assert part.edisp_map.data.shape == (5, 2, 3, 4)
    assert part.exposure_map.data.shape == (5, 1, 3, 4)
    assert kernel_map.slice_by_idx({"energy": slice(1, 3)}).exposure_map.data.shape == (12, 1, 3, 4)
    merged = kernel_map.downsample(2, axis_name="energy")
    before = host(kernel_map.edisp_map)
    assert host(merged.edisp_map) == pytest.approx(before[:, ::2] + before[:, 1::2])
    assert merged.exposure_map.data.shape == (12, 1, 3, 4)


def test_stack_of_a_cutout(backend):
    """What the other map covers is averaged with the exposures, the rest stays; where there is no exposure all becomes 0."""
    first = EDispKernelMap.from_gauss(RECO, TRUE, sigma=0.1, bias=0, geom=IMAGE)
    before = first.edisp_map.data.copy()
    first.exposure_map.data[...] = 1
    first.exposure_map.data[..., 2, 2] = 0
    other = EDispKernelMap.from_gauss(RECO, TRUE, sigma=0.3, bias=0, geom=IMAGE).cutout(at(2, 1), 1 * u.deg, min_npix=2)
    assert other.edisp_map.data.shape[-2:] == (2, 2)
    other.exposure_map.data[...] = 3
    other.exposure_map.data[..., -1, 0] = 0
    rows, columns = IMAGE.cutout_slices(at(2, 1), 1 * u.deg)["parent-slices"]
    mask = Map.from_geom(other.edisp_map.geom.to_image().to_cube([RECO]), data=np.ones((6, 2, 2), dtype=bool))
    mask.data[0] = False
    expected = 0.25 * before[..., rows, columns] + 0.75 * other.edisp_map.data * mask.data
    own, others = first.exposure_map.data[..., rows, columns].copy(), other.exposure_map.data
    there = first.to_device(backend)
    there.stack(other.to_device(backend), weights=mask.to_device(backend))
    first, total = there.to_host(), own + others
    expected = np.where(
        total > 0, (before[..., rows, columns] * own + other.edisp_map.data * mask.data * others) / np.where(total > 0, total, 1), 0
    )
    assert first.edisp_map.data[..., rows, columns] == pytest.approx(expected, abs=1e-6)
    assert first.exposure_map.data[..., rows, columns] == pytest.approx(total)
    outside = np.ones((3, 4), dtype=bool)
    outside[rows, columns] = False
    known = first.exposure_map.data[..., outside] > 0
    assert np.array_equal(first.edisp_map.data[..., outside], before[..., outside] * known)
    assert not known.all()


def test_nothing_is_recorded(kernel_map, migra_map):
    for edisp, arguments in ((kernel_map, ()), (migra_map, (RECO,))):
        before = copy.copy(vars(edisp))
        edisp.get_edisp_kernel(*arguments)
        _ = edisp.mask_safe_image, edisp.has_single_spatial_bin, edisp.edisp_map, str(edisp)
        assert vars(edisp) == before
