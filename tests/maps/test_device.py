"""Maps whose data are on a device: every operation gives what it gives on the host, there, without a hidden transfer."""

import copy
import pickle

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion

from gpudl4.core.backend import to_device, to_host
from gpudl4.core.errors import BackendError
from gpudl4.maps import Map, MapAxis, RegionNDMap, WcsGeom

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 4)
RAD = MapAxis.from_bounds(0, 0.3, 3, name="rad", unit="deg")
CENTER = SkyCoord(0, 0, unit="deg")
CIRCLE = CircleSkyRegion(CENTER, 0.3 * u.deg)
COARSE = WcsGeom.create(npix=(5, 3), binsz=0.25, axes=[RAD, ENERGY])


@pytest.fixture
def host():
    m = Map.create(npix=(12, 8), binsz=0.1, axes=[RAD, ENERGY], dtype=float, unit="m2")
    m.data = np.random.default_rng(0).uniform(1, 2, m.data.shape)
    m.data[0, 0, 0, 0] = np.nan
    return m


POINTS = {"lon": np.array([0.1, 3]), "lat": np.array([0.2, 0]), "rad": 0.1 * u.deg, "energy": 2 * u.TeV}

# Nothing is transferred in these: they run where the map is.
IN_PLACE = {
    "add": lambda m: m + m.to_unit("cm2"),
    "scalar": lambda m: m * (2 * u.s) + 1 * u.m**2 * u.s,
    "subtract": lambda m: m - m / 3,
    "reflected": lambda m: 2 * m,
    "float32": lambda m: m.copy(dtype="float32") * 1.1,
    "integers": lambda m: (m > 1.5 * u.m**2).copy(dtype=int) * 2,
    "counts": lambda m: (m > 1.5 * u.m**2).copy(dtype=int) + (m > 1.2 * u.m**2).copy(dtype=int),
    "compare32": lambda m: m.copy(dtype="float32") > 1.5 * u.m**2,
    "compare": lambda m: (m > 1.5 * u.m**2) & ~(m > 1.8 * u.m**2) | (m < 0 * u.m**2),
    "logic": lambda m: (m >= 1.5 * u.m**2) ^ (m <= 1.8 * u.m**2) | (m == m) & (m != m),
    "mask": lambda m: m * (m > 1.5 * u.m**2),
    "power": lambda m: m**2,
    "copy": lambda m: m.copy(),
    "deep-copy": copy.deepcopy,
    "fill": lambda m: m.copy(data=3.0),
    "unit": lambda m: m.to_unit("cm2"),
    "sum": lambda m: m.sum_over_axes(),
    "sum-weights": lambda m: m.sum_over_axes(weights=m > 1.5 * u.m**2),
    "sum32": lambda m: m.copy(dtype="float32").sum_over_axes(["rad"], keepdims=False),
    "product": lambda m: m.reduce("rad", func=np.multiply),
    "max": lambda m: m.reduce("rad", func=np.maximum),
    "min": lambda m: m.reduce_over_axes(func=np.minimum),
    "any": lambda m: (m > 1.9 * u.m**2).reduce_over_axes(func=np.logical_or),
    "all": lambda m: (m > 1.1 * u.m**2).reduce("energy", func=np.logical_and, keepdims=True),
    "slice": lambda m: m.slice_by_idx({"energy": slice(1, 3), "rad": 0}),
    "image": lambda m: m.get_image_by_idx((1, 2)),
    "image-coord": lambda m: m.get_image_by_coord((0.1 * u.deg, 3 * u.TeV)),
    "images": lambda m: list(m.iter_by_image(keepdims=True))[-1],
    "resample": lambda m: m.resample_axis(MapAxis.from_energy_edges([1, 3.1, 10] * u.TeV)),
    "resample-mask": lambda m: (m > 1.9 * u.m**2).resample_axis(MapAxis.from_energy_edges([1, 10] * u.TeV), ufunc=np.logical_or),
    "reorder": lambda m: m.reorder_axes(["energy", "rad"]),
    "rename": lambda m: m.rename_axes("energy", "energy_true"),
    "to_cube": lambda m: m.sum_over_axes(keepdims=False).to_cube([RAD.squash()]),
    "cutout": lambda m: m.cutout(CENTER, 0.5),
    "partial": lambda m: m.cutout((0.5, 0.3), 0.5, mode="partial"),
    "downsample": lambda m: m.downsample(2, preserve_counts=False, weights=m > 1.5 * u.m**2),
    "downsample-axis": lambda m: m.downsample(2, axis_name="energy"),
    "upsample-values": lambda m: m.upsample(2, preserve_counts=False),
    "pad": lambda m: m.pad(2, mode="edge"),
    "pad-value": lambda m: m.pad((2, 1), cval=7),
    "pad-axis": lambda m: m.pad((1, 0), axis_name="rad"),
    "crop": lambda m: m.crop(1),
    "gauss": lambda m: (m > 1.5 * u.m**2).smooth("0.15 deg"),
    "box": lambda m: (m > 1.5 * u.m**2).smooth(3, kernel="box", mode="constant"),
    "from_stack": lambda m: Map.from_stack(m.split_by_axis("energy"), axis=ENERGY),
    "from_stack-axis": lambda m: Map.from_stack([m.slice_by_idx({"energy": part}) for part in (slice(0, 1), slice(1, 4))]),
}

# Positions, widths of bins and kernels are worked out on the host and uploaded; nothing comes back but a truth value.
WITH_UPLOADS = {
    "cumsum": lambda m: m.cumsum("rad"),
    "upsample": lambda m: m.upsample(2),
    "upsample-spline": lambda m: m.get_image_by_idx((1, 2)).upsample(2, order=1),
    "pad-interp": lambda m: m.get_image_by_idx((1, 2)).pad(1, mode="interp"),
    "convolve": lambda m: m.get_image_by_idx((1, 2)).convolve(np.ones((3, 3))),
    "convolve-direct": lambda m: m.get_image_by_idx((1, 2)).convolve(np.ones((3, 4)), method="direct"),
    "disk": lambda m: (m > 1.5 * u.m**2).smooth(1.5, kernel="disk"),
    "erode": lambda m: (m > 1.1 * u.m**2).binary_erode(0.1 * u.deg),
    "dilate": lambda m: (m > 1.9 * u.m**2).binary_dilate(0.1 * u.deg, use_fft=False),
    "to_geom": lambda m: m.interp_to_geom(m.geom.upsample(2), preserve_counts=True),
    "to_coarse": lambda m: m.interp_to_geom(COARSE, fill_value=None),
    "mask-to_geom": lambda m: (m > 1.5 * u.m**2).interp_to_geom(m.geom.upsample(2)),
    "mask-to_coarse": lambda m: (m > 1.5 * u.m**2).interp_to_geom(COARSE, fill_value=None),
    "region": lambda m: m.to_region_nd_map(CIRCLE),
    "region-mask": lambda m: m.to_region_nd_map(CIRCLE, weights=m > 1.5 * u.m**2, func=np.sum),
    "spectrum": lambda m: m.slice_by_idx({"rad": 1}).get_spectrum(CIRCLE),
    "point": lambda m: m.to_region_nd_map(CENTER, method="linear"),
    "count": lambda m: m.resample(COARSE),
    "count-mean": lambda m: m.resample(COARSE, preserve_counts=False, weights=m > 1.5 * u.m**2),
    "reproject": lambda m: m.get_image_by_idx((1, 2)).reproject_to_geom(COARSE.to_image(), precision_factor=4),
    "reproject-planes": lambda m: m.reproject_by_image(COARSE.to_image(), preserve_counts=True, precision_factor=2),
    "cutout-region": lambda m: m.cutout_and_mask_region(CIRCLE)[0],
    "mask-region": lambda m: m.cutout_and_mask_region(CIRCLE)[1],
    "histogram": lambda m: m.to_region_nd_map_histogram(CIRCLE, nbin=5),
}


# Region maps along their axes: nothing is transferred.
REGION_IN_PLACE = {
    "downsample": lambda m: m.downsample(2, axis_name="energy"),
    "downsample-mean": lambda m: m.downsample(2, axis_name="energy", preserve_counts=False, weights=m > 1.5 * u.m**2),
    "resample": lambda m: m.resample_axis(MapAxis.from_energy_edges([1, 3.1, 10] * u.TeV)),
    "pad": lambda m: m.pad(1, axis_name="energy", mode="edge"),
    "sum": lambda m: m.sum_over_axes(["rad"]),
    "slice": lambda m: m.slice_by_idx({"energy": slice(1, 3), "rad": 0}),
    "dot": lambda m: m.dot(m.slice_by_idx({"energy": 0})),
    "dot-axes": lambda m: m.dot(m.rename_axes("energy", "energy_true")),
    "arithmetic": lambda m: (m + m.to_unit("cm2")) * m / 2,
    "itself": lambda m: m.cutout().get_spectrum(),
}


def agree(got, wanted, device):
    """Same map as on the host, in the same type, on the device."""
    assert isinstance(got.data, device.xp.ndarray)
    assert got.geom == wanted.geom
    assert got.unit == wanted.unit
    assert got.data.dtype == wanted.data.dtype
    np.testing.assert_allclose(got.to_host().data, wanted.data, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", IN_PLACE)
def test_operations_on_the_device(host, device, limits, name):
    there = host.to_device(device)
    with limits():
        got = IN_PLACE[name](there)
    agree(got, IN_PLACE[name](host), device)


@pytest.mark.parametrize("name", REGION_IN_PLACE)
def test_region_maps_stay_on_the_device(host, device, limits, name):
    region = host.to_region_nd_map(CIRCLE)
    there = region.to_device(device)
    with limits():
        got = REGION_IN_PLACE[name](there)
    agree(got, REGION_IN_PLACE[name](region), device)


def test_products_stay_on_the_device(host, device, limits):
    matrix = RegionNDMap.create(None, axes=[RAD, ENERGY.rename("energy_true")], dtype=float, unit="s")
    matrix.data += np.arange(12).reshape(4, 3, 1, 1)
    host.data = np.nan_to_num(host.data)
    there, matrix_there = host.to_device(device), matrix.to_device(device)
    with limits():
        got = there @ matrix_there
    agree(got, host @ matrix, device)


@pytest.mark.parametrize("name", WITH_UPLOADS)
def test_operations_with_uploads(host, device, limits, name):
    there = host.to_device(device)
    with limits(uploads=None, downloads=None, synchronisations=None):
        got = WITH_UPLOADS[name](there)
    agree(got, WITH_UPLOADS[name](host), device)


@pytest.mark.parametrize("method", ["linear", "nearest"])
@pytest.mark.parametrize("values_scale", ["lin", "log", "sqrt"])
def test_interpolation(host, device, method, values_scale):
    there = host.to_device(device)
    for fill_value in (None, 0.0):
        options = {"method": method, "values_scale": values_scale, "fill_value": fill_value}
        got = there.interp_by_coord(POINTS, **options)
        np.testing.assert_allclose(to_host(got), host.interp_by_coord(POINTS, **options), rtol=1e-12)


def test_values(host, device):
    there = host.to_device(device)
    np.testing.assert_array_equal(to_host(there.get_by_coord(POINTS)), host.get_by_coord(POINTS))
    for m in (host, there):
        m.set_by_idx(([1, 2], [3, 3], [0, 0], [1, 1]), 7)
        m.set_by_coord({"lon": 0, "lat": 0, "rad": 0.1 * u.deg, "energy": 2 * u.TeV}, 8)
        m.fill_by_coord(POINTS, weights=np.array([2.0, 3.0]))
        m.fill_by_idx(([1, 1], [3, 3], [0, 0], [1, 1]))
    np.testing.assert_array_equal(to_host(there.data), host.data)
    np.testing.assert_allclose(to_host(there.integral("rad", POINTS)), host.integral("rad", POINTS).value)


def test_changes_in_place(host, device):
    there = host.to_device(device)
    kept = there.data
    for m in (host, there):
        m += 1 * u.m**2
        m *= 2.0
        m.normalize("rad")
        part = m.cutout((0.2, 0.1), 0.4)
        m.stack(part, weights=part > 0.2 / u.sr)
        m.coadd(part.sum_over_axes(), weights=part.sum_over_axes() > 0.2 / u.sr)
    agree(there, host, device)
    assert kept is not there.data


def test_stacking_stays_on_the_device(host, device, limits):
    wide = Map.from_geom(host.geom.pad(2), unit="cm2", dtype="float32")
    weights = host.sum_over_axes() > 14 * u.m**2
    there, part, part_weights = (m.to_device(device) for m in (wide, host, weights))
    with limits():
        there.stack(part, weights=part_weights)
        there.stack(part, nan_to_num=False)
    wide.stack(host, weights=weights)
    wide.stack(host, nan_to_num=False)
    agree(there, wide, device)
    masks = [m.to_device(device) for m in (host > 1.5 * u.m**2, host > 1.8 * u.m**2)]
    with limits():
        masks[0].stack(masks[1])
    agree(masks[0], host > 1.5 * u.m**2, device)


def test_region_maps(device, tmp_path):
    host = RegionNDMap.create(None, axes=[ENERGY], data=np.arange(4.0), unit="s")
    there = host.to_device(device)
    changes = (
        lambda m: m.downsample(2),
        lambda m: m.downsample(2, preserve_counts=False),
        lambda m: (m > 2 * u.s).downsample(2),
        lambda m: m.upsample(2),
        lambda m: m.pad(1, axis_name="energy"),
        lambda m: m + m,
        lambda m: m.cumsum("energy"),
    )
    for change in changes:
        agree(change(there), change(host), device)
    there.stack(there.copy(), weights=there > 1 * u.s)
    host.stack(host.copy(), weights=host > 1 * u.s)
    agree(there, host, device)
    there.write(tmp_path / "r.fits")
    np.testing.assert_array_equal(Map.read(tmp_path / "r.fits").data, host.data)


def test_what_needs_the_host(host, device):
    there = host.to_device(device)
    with pytest.raises(BackendError, match=r"quantity needs data on the host, but they are on cuda:0: call .to_host\(\) first"):
        there.quantity  # noqa: B018
    with pytest.raises(BackendError, match=r"quantity needs data on the host, .* call .to_host\(\) first"):
        there.quantity = host.quantity
    with pytest.raises(BackendError, match="conversion to a NumPy array needs data on the host"):
        np.asarray(there)
    assert there.to_host().quantity.unit == "m2"


@pytest.mark.parametrize(
    "mix",
    [
        lambda there, host: there + host,
        lambda there, host: host * there,
        lambda there, host: (there > 1 * u.m**2) & (host > 1 * u.m**2),
        lambda there, host: there * host.data,
        lambda there, host: there * host.quantity,
        lambda there, host: there.stack(host),
        lambda there, host: host.stack(there),
        lambda there, host: host.coadd(there),
        lambda there, host: there.set_by_idx(([0], [0], [0], [0]), np.array([1.0])),
        lambda there, host: there.sum_over_axes(weights=host),
        lambda there, host: there.downsample(2, weights=host),
        lambda there, host: there.is_allclose(host),
        lambda there, host: Map.from_stack([there, host], axis=MapAxis.from_edges([0, 1, 2], name="n")),
        lambda there, host: host.get_image_by_idx((0, 0)).convolve(there.get_image_by_idx((0, 0))),
    ],
)
def test_mixing_backends_is_refused(host, device, mix):
    with pytest.raises(BackendError, match=r"arrays on different devices were mixed \(cpu, cuda:0\)"):
        mix(host.to_device(device), host)


def test_maps_are_filled_from_the_host(host, device):
    there = host.to_device(device)
    with pytest.raises(BackendError, match=r"filled from the host, but the weights are on a device: use to_host\(weights\)"):
        there.fill_by_coord(POINTS, weights=to_device(np.ones(2), device))


def test_nearest_position_in_a_mask(host, device):
    mask = host.get_image_by_idx((1, 2)) > 1.9 * u.m**2
    found, wanted = mask.to_device(device).mask_nearest_position(CENTER), mask.mask_nearest_position(CENTER)
    assert found.separation(wanted).deg == 0


def test_text_says_where(host, device):
    there = host.to_device(device)
    assert "device : cuda:0" in str(there)
    assert "<td>cuda:0</td>" in there._repr_html_()
    assert "device" not in str(host)


def test_files_come_from_the_host_explicitly(host, device, tmp_path):
    host.to_device(device).write(tmp_path / "m.fits")
    np.testing.assert_array_equal(Map.read(tmp_path / "m.fits").data, host.data)
    host.to_device(device).write(tmp_path / "s.fits", sparse=True, hdu="SKYMAP")
    agree(Map.read(tmp_path / "s.fits", backend="cupy"), host, device)
    agree(Map.read(tmp_path / "m.fits", backend=device), host, device)
    with pytest.raises(BackendError, match="unknown backend 'tpu'"):
        Map.read(tmp_path / "no-such-file.fits", backend="tpu")


def test_data_of_a_device_map(host, device, limits):
    there = host.to_device(device)
    assert there.backend == device
    assert there.to_device("cupy").data is there.data
    there.data = to_device(np.ones((8, 12)), device)
    assert there.data.shape == (4, 3, 8, 12)
    assert there.is_allclose(host.copy(data=1.0).to_device(device))
    with limits():
        there.data = 2.0
        there.data[0] = 3.0
    assert there.backend == device
    assert to_host(there.data).sum() == (3 * 2 + 3) * 288
    there.data = np.ones((8, 12))
    assert there.backend.name == "numpy"


def test_maps_that_travel(host, device):
    agree(pickle.loads(pickle.dumps(host.to_device(device))), host, device)
    assert host.to_device(device).to_host().meta == host.meta
