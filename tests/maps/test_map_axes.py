"""Sums, integrals, slices and other work along axes, on each backend."""

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.backend import to_device, to_host
from gpudl4.core.errors import GeometryError
from gpudl4.maps import Map, MapAxis, RegionNDMap
from gpudl4.maps.map_axes import reduce_array
from tests.arrays import assert_close, assert_same, host

ENERGY = MapAxis.from_energy_bounds("1 TeV", "100 TeV", 4)
RAD = MapAxis.from_bounds(0, 0.5, 5, name="rad", unit="deg")


@pytest.fixture
def cube(backend):
    m = Map.create(npix=(3, 2), axes=[RAD, ENERGY], dtype=float, unit="sr-1")
    m.data = np.random.default_rng(0).uniform(1, 2, m.data.shape)
    return m.to_device(backend)


def test_sums(cube):
    cube.data[0, 0, 0, 0] = np.nan
    assert cube.sum_over_axes().data.shape == (1, 1, 2, 3)
    assert cube.sum_over_axes(keepdims=False).geom.is_image
    one = cube.sum_over_axes(["rad"])
    assert_close(one.data[:, 0], np.nansum(host(cube), axis=1))
    assert one.geom.axes.names == ["rad", "energy"]
    assert cube.sum_over_axes("rad", keepdims=False).geom.axes.names == ["energy"]
    weights = cube.copy(data=0.5)
    assert_close(cube.sum_over_axes(weights=weights).data, 0.5 * cube.sum_over_axes().data)
    assert cube.sum_over_axes([]).is_allclose(cube, equal_nan=True)


def test_reductions(cube):
    cube.data[1, 2] = np.nan
    assert_close(cube.reduce("rad", func=np.maximum).data, np.nanmax(host(cube), axis=1))
    assert_close(cube.reduce_over_axes(func=np.minimum).data, np.nanmin(host(cube), axis=(0, 1)))
    mask = cube > 1.5 / u.sr
    assert_same(mask.reduce_over_axes(func=np.logical_and).data, mask.data.all(axis=(0, 1)))
    counts = mask.copy(data=mask.data.astype(int))
    assert_same(counts.reduce("rad", func=np.maximum).data, counts.data.max(axis=1))
    assert_close(cube.reduce("rad", func=np.multiply), np.nanprod(host(cube), axis=1))
    with pytest.raises(GeometryError, match="cannot be reduced by 'power'"):
        cube.reduce("rad", func=np.power)


def test_float32_sums_do_not_lose_counts(backend):
    data = np.full((20000, 1, 1), 16777216.0, dtype=np.float32)
    data[1:] = 1.0
    total = reduce_array(to_device(data, backend), np.add, 0)
    assert total.dtype == np.float32
    assert total == np.float32(16777216.0 + 19999)


def test_integral_over_rad_is_an_area(cube):
    cube.data[:] = 1
    area = cube.integral("rad", {"rad": 0.5 * u.deg, "energy": 2 * u.TeV, "lon": 0, "lat": 0})
    beyond = cube.integral("rad", {"rad": [0.2, 0.5, 0.9] * u.deg, "energy": 2 * u.TeV, "lon": 0, "lat": 0})
    if cube.backend.name == "numpy":
        assert area.unit == "deg2 / sr"
        area, beyond = area.value, beyond.value
    assert_close(area, np.pi * 0.25)
    assert_close(to_host(beyond) / to_host(area), [0.16, 1, 1])
    assert cube.cumsum("energy").geom.axes["energy"].nbin == 5
    assert_close(cube.cumsum("energy").data[-1], 99)


def test_normalize(cube):
    cube.data[2] = 0
    cube.normalize("rad")
    total = cube.cumsum("rad").data.max(axis=1)
    assert_close(total[[0, 1, 3]], 1)
    assert_same(total[2], 0)
    with pytest.raises(GeometryError, match="needs the name of an axis"):
        cube.normalize()


def test_slices_are_views(cube):
    part = cube.slice_by_idx({"energy": slice(1, 3), "rad": 0})
    assert part.data.shape == (2, 2, 3)
    assert cube.backend.xp.shares_memory(part.data, cube.data)
    assert_same(part.data, cube.data[1:3, 0])
    assert part.geom.axes[0] == ENERGY.slice(slice(1, 3))
    with pytest.raises(GeometryError, match="unknown axes"):
        cube.slice_by_idx({"time": 0})


def test_images(cube):
    assert_same(cube.get_image_by_idx((2, 1)).data, cube.data[1, 2])
    assert_same(cube.get_image_by_pix((2.4, 0.6)).data, cube.data[1, 2])
    assert_same(cube.get_image_by_coord((0.25 * u.deg, "4 TeV")).data, cube.data[1, 2])
    images = list(cube.iter_by_image())
    assert len(images) == 20
    assert_same(images[2 * 4 + 1].data, cube.data[1, 2])
    kept = list(cube.iter_by_image(keepdims=True))
    assert kept[9].geom.axes["rad"] == RAD.slice(slice(2, 3))
    assert_same(kept[9].data[0, 0], cube.data[1, 2])
    for data, idx in cube.iter_by_image_data():
        assert_same(data, cube.data[idx])
    with pytest.raises(GeometryError, match="one bin number per axis"):
        cube.get_image_by_idx((1,))


def test_split_and_stack(cube):
    parts = cube.split_by_axis("energy")
    assert Map.from_stack(parts, axis=ENERGY).is_allclose(cube)
    halves = [cube.slice_by_idx({"energy": slice(0, 1)}), cube.slice_by_idx({"energy": slice(1, None)})]
    assert Map.from_stack(halves, axis_name="energy").is_allclose(cube)
    assert Map.from_stack(halves).is_allclose(cube)
    assert [m.geom.axes["rad"].nbin for m in cube.iter_by_axis("rad", keepdims=True)] == [1] * 5
    with pytest.raises(GeometryError, match="new axis"):
        Map.from_stack([m.slice_by_idx({"rad": 0}) for m in parts])
    with pytest.raises(GeometryError, match="must have the same pixels"):
        Map.from_stack([parts[0], parts[1].crop((1, 0))], axis=ENERGY)


def test_resample_axis(cube):
    coarse = cube.resample_axis(MapAxis.from_energy_edges([1, 10, 100] * u.TeV))
    assert_close(coarse.data, cube.data.reshape(2, 2, 5, 2, 3).sum(axis=1))
    weights = cube.copy(data=0.0)
    assert cube.resample_axis(MapAxis.from_energy_edges([1, 100] * u.TeV), weights=weights).data.max() == 0
    mask = (cube > 1.9 / u.sr).resample_axis(MapAxis.from_energy_edges([1, 100] * u.TeV), ufunc=np.logical_or)
    assert_same(mask.data[0], (cube.data > 1.9).any(axis=0))


def test_axes_order_and_names(cube):
    turned = cube.reorder_axes(["energy", "rad"])
    assert_same(turned.data, cube.data.swapaxes(0, 1))
    assert turned.unit == cube.unit
    assert cube.rename_axes("energy", "energy_true").geom.axes.names == ["rad", "energy_true"]
    one = cube.sum_over_axes(keepdims=False).to_cube([ENERGY.squash()])
    assert one.data.shape == (1, 2, 3)
    with pytest.raises(GeometryError, match="all axes must be named once"):
        cube.reorder_axes(["energy"])
    with pytest.raises(GeometryError, match="axes of one bin"):
        one.to_cube([RAD])


def test_pad_axis(cube):
    padded = cube.pad((1, 2), axis_name="energy", mode="edge")
    assert padded.data.shape == (7, 5, 2, 3)
    assert_same(padded.data[-1], cube.data[-1])
    assert cube.pad(1, axis_name="energy", cval=9).data[0].max() == 9
    with pytest.raises(GeometryError, match="unknown pad mode 'wrap'"):
        cube.pad(1, axis_name="energy", mode="wrap")


def test_region_maps_have_the_same_methods(backend):
    m = RegionNDMap.create(region=None, axes=[RAD, ENERGY], data=np.ones((4, 5, 1, 1)), unit="sr-1").to_device(backend)
    assert_close(m.sum_over_axes().data, 20)
    assert m.slice_by_idx({"rad": 0}).geom.axes.names == ["energy"]
    assert m.pad(1, axis_name="rad").data.shape == (4, 7, 1, 1)
