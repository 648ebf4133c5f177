"""Responses on a device: columns come to the host by a few small explicit copies, stacking stays where the arrays are."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import BackendError
from gpudl4.irf import EDispKernelMap, EDispMap, PSFMap, RecoPSFMap
from gpudl4.maps import Map, MapAxis, RegionGeom, WcsGeom
from tests.arrays import assert_close, assert_same

TRUE = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", nbin=4, name="energy_true")
RECO = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3)
RAD = MapAxis.from_bounds(0, 0.6, nbin=30, unit="deg", name="rad")
MIGRA = MapAxis.from_bounds(0.2, 3, nbin=70, name="migra")
IMAGE = WcsGeom.create(npix=(5, 4), binsz=0.5, skydir=(10, 5), frame="galactic")
GEOM = WcsGeom.create(npix=(40, 30), binsz=0.05, skydir=(10, 5), frame="galactic", axes=[TRUE])
POSITION = SkyCoord(10.3, 5.2, unit="deg", frame="galactic")
POSITIONS = SkyCoord([9.8, 10.3], [5.1, 4.8], unit="deg", frame="galactic")


def psf(sigma=0.1):
    return PSFMap.from_gauss(TRUE, RAD, sigma * u.deg, geom=IMAGE)


def migra(sigma=0.2):
    density = np.exp(-0.5 * ((MIGRA.center.value - 1) / sigma) ** 2).reshape(1, -1, 1, 1)
    geom = IMAGE.to_cube([MIGRA, TRUE])
    exposure = Map.from_geom(geom.squash("migra"), data=1.0, unit="m2 s")
    return EDispMap(Map.from_geom(geom, data=np.broadcast_to(density, geom.data_shape).copy()), exposure)


def kernels(sigma=0.2):
    edisp = EDispKernelMap.from_gauss(RECO, TRUE, sigma=sigma, bias=0, geom=IMAGE)
    edisp.exposure_map.data += 1
    return edisp


MAKERS = {"psf": psf, "migra": migra, "kernels": kernels}

# A column at one position: a question (is it known here?) and the pixels around it.
COLUMNS = {
    "psf kernel": (psf, lambda irf: irf.get_psf_kernel(GEOM, POSITION).data),
    "containment": (psf, lambda irf: irf.containment([0.1, 0.2] * u.deg, 2 * u.TeV, POSITION).value),
    "containment radius": (psf, lambda irf: irf.containment_radius(0.68, TRUE.center, POSITION).to_value("deg")),
    "migra kernel": (migra, lambda irf: irf.get_edisp_kernel(RECO, POSITION).data),
    "edisp kernel": (kernels, lambda irf: irf.get_edisp_kernel(POSITION).data),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_host_objects(device, limits, name):
    make, look = COLUMNS[name]
    there = make().to_device(device)
    with limits(downloads=2, synchronisations=2):
        got = look(there)
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, look(make()))


def test_one_copy_serves_many_positions(device, limits):
    there = psf().to_device(device)
    with limits(downloads=2, synchronisations=2):  # the map and its exposure
        radii = there.containment_radius(0.68, 2 * u.TeV, POSITIONS)
        assert u.allclose(radii, psf().containment_radius(0.68, 2 * u.TeV, POSITIONS))
    with limits(downloads=2, synchronisations=2):
        image = there.containment_radius_map(2 * u.TeV)
    assert image.backend.name == "numpy"
    assert_same(image, psf().containment_radius_map(2 * u.TeV))


@pytest.mark.filterwarnings("ignore:PSFMap has no values")
def test_nearest_valid_position(device):
    holes = psf()
    holes.psf_map.data[..., :3] = 0
    there = holes.to_device(device)
    found, wanted = there.nearest_valid_position(POSITION), holes.nearest_valid_position(POSITION)
    assert found.separation(wanted).deg == 0
    assert_same(there.mask_safe_image, holes.mask_safe_image)
    assert there.mask_safe_image.backend == device


def test_migra_to_kernel_map_stays_on_the_device(device):
    got = migra().to_device(device).to_edisp_kernel_map(RECO)
    wanted = migra().to_edisp_kernel_map(RECO)
    assert got.backend == got.exposure_map.backend == device
    assert_close(got.edisp_map, wanted.edisp_map, rtol=1e-12)
    assert_same(got.exposure_map, wanted.exposure_map)


@pytest.mark.parametrize("name", MAKERS)
def test_stacking_stays_on_the_device(device, limits, name):
    total, other = MAKERS[name](), MAKERS[name](0.3).cutout(POSITION, 1.2 * u.deg)
    other.exposure_map.data[..., 0] = 0
    weights = Map.from_geom(
        other._irf_map.geom.to_image().to_cube([RECO]) if name == "kernels" else other._irf_map.geom.to_image(), data=True
    )
    weights.data[..., 0, :] = False
    there, part, mask = (value.to_device(device) for value in (total.copy(), other, weights))
    with limits():
        there.stack(part, weights=mask)
    total.stack(other, weights=weights)
    assert there.backend == there.exposure_map.backend == device
    assert_close(there._irf_map, total._irf_map, rtol=1e-12)
    assert_same(there.exposure_map, total.exposure_map)


@pytest.mark.parametrize("name", MAKERS)
def test_parts_and_copies_stay_on_the_device(device, limits, name):
    irf = MAKERS[name]()
    there = irf.to_device(device)
    for change in (
        lambda m: m.copy(),
        lambda m: m.cutout(POSITION, 1 * u.deg),
        lambda m: m.slice_by_idx({"energy_true": slice(1, 3)}),
        lambda m: m.downsample(2, axis_name="energy_true"),
    ):
        with limits():
            got = change(there)
        wanted = change(irf)
        assert got.backend == got.exposure_map.backend == device
        assert_same(got._irf_map, wanted._irf_map)
        assert_same(got.exposure_map, wanted.exposure_map)
    assert there.to_device(device)._irf_map.data is there._irf_map.data
    assert there.to_host().backend.name == "numpy"


@pytest.mark.parametrize("name", MAKERS)
def test_files_and_text(device, tmp_path, name):
    irf = MAKERS[name]()
    there = irf.to_device(device)
    there.write(tmp_path / "irf.fits")
    back = type(irf).read(tmp_path / "irf.fits", backend="cupy")
    assert back.backend == back.exposure_map.backend == device
    assert_same(back._irf_map, irf._irf_map)
    assert type(irf).read(tmp_path / "irf.fits").backend.name == "numpy"
    assert "device   : cuda:0" in str(there)
    assert "cuda:0" in there._repr_html_()
    assert "device" not in str(irf)


def test_kernels_of_a_device_map(device):
    """A kernel from the host convolves a map on a device, and a map on a device makes a kernel there."""
    image = Map.from_geom(GEOM.to_image(), data=np.random.default_rng(0).uniform(size=(30, 40)))
    kernel = psf().to_device(device).get_psf_kernel(GEOM, POSITION)
    got = image.to_device(device).convolve(kernel)
    assert got.backend == device
    assert_close(got, image.convolve(kernel), rtol=1e-12)
    there = type(kernel)(kernel.psf_kernel_map.to_device(device))
    assert_close(there.to_image().data, kernel.to_image().data, rtol=1e-12)
    assert_close(there.data, kernel.data, rtol=1e-12)
    assert_close(image.to_device(device).convolve(there), image.convolve(kernel), rtol=1e-12)


def test_single_pixel(device):
    region = RecoPSFMap.from_gauss(RECO, RAD, 0.1 * u.deg, geom=RegionGeom.create(None))
    geom = GEOM.to_image().to_cube([RECO])
    np.testing.assert_array_equal(region.to_device(device).get_psf_kernel(geom).data, region.get_psf_kernel(geom).data)


def test_mixing_backends_is_refused(device):
    host = psf()
    there = host.to_device(device)
    with pytest.raises(BackendError, match=r"the map of PSFMap is on cuda:0, its exposure on cpu: use to_device\(\) or to_host\(\)"):
        PSFMap(there.psf_map, host.exposure_map)
    with pytest.raises(BackendError, match="were mixed"):
        there.stack(host)
    with pytest.raises(BackendError, match="were mixed"):
        host.stack(there)
