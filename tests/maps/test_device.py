"""Maps whose data are on a device, on a stand-in for CuPy that refuses implicit transfers: same results as on the host."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion

from gpudl4.core.errors import BackendError
from gpudl4.maps import Map, MapAxis, RegionNDMap
from tests.maps import fakecupy

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 4)
RAD = MapAxis.from_bounds(0, 0.3, 3, name="rad", unit="deg")
CENTER = SkyCoord(0, 0, unit="deg")
CIRCLE = CircleSkyRegion(CENTER, 0.3 * u.deg)


@pytest.fixture(autouse=True)
def cupy(monkeypatch):
    return fakecupy.install(monkeypatch)


@pytest.fixture
def host():
    m = Map.create(npix=(12, 8), binsz=0.1, axes=[RAD, ENERGY], dtype=float, unit="m2")
    m.data = np.random.default_rng(0).uniform(1, 2, m.data.shape)
    m.data[0, 0, 0, 0] = np.nan
    return m


POINTS = {"lon": np.array([0.1, 3]), "lat": np.array([0.2, 0]), "rad": 0.1 * u.deg, "energy": 2 * u.TeV}
OPERATIONS = {
    "add": lambda m: m + m.to_unit("cm2"),
    "scalar": lambda m: m * (2 * u.s) + 1 * u.m**2 * u.s,
    "float32": lambda m: m.copy(dtype="float32") * 1.1,
    "compare32": lambda m: m.copy(dtype="float32") > 1.5 * u.m**2,
    "compare": lambda m: (m > 1.5 * u.m**2) & ~(m > 1.8 * u.m**2) | (m < 0 * u.m**2),
    "power": lambda m: m**2,
    "copy": lambda m: m.copy(),
    "sum": lambda m: m.sum_over_axes(),
    "sum32": lambda m: m.copy(dtype="float32").sum_over_axes(["rad"], keepdims=False),
    "max": lambda m: m.reduce("rad", func=np.maximum),
    "any": lambda m: (m > 1.9 * u.m**2).reduce_over_axes(func=np.logical_or),
    "cumsum": lambda m: m.cumsum("rad"),
    "slice": lambda m: m.slice_by_idx({"energy": slice(1, 3), "rad": 0}),
    "image": lambda m: m.get_image_by_idx((1, 2)),
    "resample": lambda m: m.resample_axis(MapAxis.from_energy_edges([1, 3.1, 10] * u.TeV)),
    "reorder": lambda m: m.reorder_axes(["energy", "rad"]),
    "cutout": lambda m: m.cutout(CENTER, 0.5),
    "partial": lambda m: m.cutout((0.5, 0.3), 0.5, mode="partial"),
    "downsample": lambda m: m.downsample(2, preserve_counts=False, weights=m > 1.5 * u.m**2),
    "downsample-axis": lambda m: m.downsample(2, axis_name="energy"),
    "upsample": lambda m: m.upsample(2),
    "upsample-spline": lambda m: m.get_image_by_idx((1, 2)).upsample(2, order=1),
    "pad": lambda m: m.pad(2, mode="edge"),
    "pad-axis": lambda m: m.pad((1, 0), axis_name="rad"),
    "crop": lambda m: m.crop(1),
    "convolve": lambda m: m.get_image_by_idx((1, 2)).convolve(np.ones((3, 3))),
    "convolve-direct": lambda m: m.get_image_by_idx((1, 2)).convolve(np.ones((3, 4)), method="direct"),
    "gauss": lambda m: m.get_image_by_idx((1, 2)).smooth(1.5),
    "disk": lambda m: m.get_image_by_idx((1, 2)).smooth(1.5, kernel="disk"),
    "box": lambda m: m.get_image_by_idx((1, 2)).smooth(3, kernel="box"),
    "erode": lambda m: (m > 1.1 * u.m**2).binary_erode(0.1 * u.deg),
    "dilate": lambda m: (m > 1.9 * u.m**2).binary_dilate(0.1 * u.deg, use_fft=False),
    "to_geom": lambda m: m.interp_to_geom(m.geom.upsample(2), preserve_counts=True),
    "mask-to_geom": lambda m: (m > 1.5 * u.m**2).interp_to_geom(m.geom.upsample(2)),
    "region": lambda m: m.to_region_nd_map(CIRCLE),
    "region-mask": lambda m: m.to_region_nd_map(CIRCLE, weights=m > 1.5 * u.m**2, func=np.sum),
    "point": lambda m: m.to_region_nd_map(CENTER, method="linear"),
    "stack": lambda m: Map.from_stack(m.split_by_axis("energy"), axis=ENERGY),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_same_as_on_the_host(host, name):
    wanted = OPERATIONS[name](host)
    got = OPERATIONS[name](host.to_device("cupy"))
    assert isinstance(got.data, fakecupy.DeviceArray)
    assert got.unit == wanted.unit
    assert got.data.dtype == wanted.data.dtype
    np.testing.assert_allclose(got.to_host().data, wanted.data, rtol=1e-12)


@pytest.mark.parametrize("method", ["linear", "nearest"])
@pytest.mark.parametrize("values_scale", ["lin", "log", "sqrt"])
def test_interpolation(host, method, values_scale):
    device = host.to_device("cupy")
    for fill_value in (None, 0.0):
        options = {"method": method, "values_scale": values_scale, "fill_value": fill_value}
        got = device.interp_by_coord(POINTS, **options)
        np.testing.assert_allclose(got.get(), host.interp_by_coord(POINTS, **options), rtol=1e-12)


def test_values(host):
    device = host.to_device("cupy")
    np.testing.assert_array_equal(device.get_by_coord(POINTS).get(), host.get_by_coord(POINTS))
    for m in (host, device):
        m.set_by_idx(([1, 2], [3, 3], [0, 0], [1, 1]), 7)
        m.fill_by_coord(POINTS, weights=np.array([2.0, 3.0]))
        m.fill_by_idx(([1, 1], [3, 3], [0, 0], [1, 1]))
    np.testing.assert_array_equal(device.to_host().data, host.data)
    np.testing.assert_allclose(device.integral("rad", POINTS).get(), host.integral("rad", POINTS).value)


def test_changes_in_place(host):
    device = host.to_device("cupy")
    for m in (host, device):
        m += 1 * u.m**2
        m *= 2.0
        m.normalize("rad")
        part = m.cutout((0.2, 0.1), 0.4)
        m.stack(part, weights=part > 0.2 / u.sr)
    np.testing.assert_allclose(device.to_host().data, host.data, rtol=1e-12)
    assert device.unit == host.unit


def test_region_maps():
    host = RegionNDMap.create(None, axes=[ENERGY], data=np.arange(4.0))
    device = host.to_device("cupy")
    for change in (lambda m: m.downsample(2), lambda m: m.upsample(2), lambda m: m.pad(1, axis_name="energy"), lambda m: m + m):
        np.testing.assert_allclose(change(device).to_host().data, change(host).data)
    device.stack(device.copy())
    np.testing.assert_allclose(device.to_host().data, 2 * host.data)


def test_what_needs_the_host(host):
    device = host.to_device("cupy")
    with pytest.raises(BackendError, match=r"quantity needs data on the host, but they are on cuda:0: call .to_host\(\) first"):
        device.quantity  # noqa: B018
    with pytest.raises(BackendError, match="conversion to a NumPy array"):
        np.asarray(device)
    with pytest.raises(BackendError, match="were mixed"):
        device + host
    with pytest.raises(BackendError, match="were mixed"):
        device.stack(host)
    with pytest.raises(BackendError, match="coadd needs data on the host"):
        host.coadd(device)
    assert "cuda:0" in str(device)


def test_files_come_from_the_host_explicitly(host, tmp_path):
    host.to_device("cupy").write(tmp_path / "m.fits")
    back = Map.read(tmp_path / "m.fits")
    np.testing.assert_array_equal(back.data, host.data)
    region = RegionNDMap.create(None, axes=[ENERGY], data=np.arange(4.0))
    region.to_device("cupy").write(tmp_path / "r.fits")
    np.testing.assert_array_equal(Map.read(tmp_path / "r.fits").data, region.data)


def test_data_of_a_device_map(host, cupy):
    device = host.to_device("cupy")
    assert device.backend.name == "cupy"
    assert device.to_device("cupy").data is device.data
    device.data = cupy.asarray(np.ones((8, 12)))
    assert device.data.shape == (4, 3, 8, 12)
    assert device.is_allclose(host.copy(data=1.0).to_device("cupy"))
