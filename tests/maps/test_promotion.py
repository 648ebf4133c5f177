"""Integers never wrap: arithmetic, sums, stacking and resampling of maps of integers, against whole numbers of any size."""

import operator

import astropy.units as u
import numpy as np
import pytest
from regions import CircleSkyRegion

from gpudl4.core.backend import to_device, to_host
from gpudl4.maps import Map, MapAxis, RegionNDMap
from gpudl4.maps.promotion import product, settled, sum_type, wide
from tests.arrays import assert_close, assert_same

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=4)
TYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64"]


def counts(backend, dtype, npix=4):
    """Map full of the largest number of a type (of 62 bits at most), and that number."""
    largest = min(int(np.iinfo(dtype).max), 2**40)
    cube = Map.create(npix=npix, binsz=0.5, skydir=(83.6, 22.0), axes=[ENERGY], dtype=dtype)
    cube.data = np.full(cube.geom.data_shape, largest, dtype=dtype)
    return cube.to_device(backend), largest


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("function", [operator.add, operator.sub, operator.mul])
def test_arithmetic_of_two_maps(backend, dtype, function):
    cube, largest = counts(backend, dtype)
    other = cube.copy(data=cube.data // 2)
    for first, second, a, b in ((cube, other, largest, largest // 2), (other, cube, largest // 2, largest)):
        result = function(first, second)
        assert result.data.dtype == np.int64
        if abs(function(a, b)) < 2**63:
            assert set(to_host(result.data).ravel().tolist()) == {function(a, b)}
    same = cube.copy()
    same += cube
    assert set(to_host(same.data).ravel().tolist()) == {2 * largest}
    same = cube.copy()
    same -= cube.copy(data=1)
    same -= cube
    assert set(to_host(same.data).ravel().tolist()) == {-1}


@pytest.mark.parametrize("dtype", TYPES)
def test_arithmetic_with_numbers_and_floats_is_in_double_precision(backend, dtype):
    cube, largest = counts(backend, dtype)
    single = cube.copy(data=cube.backend.xp.ones(cube.data.shape, dtype="float32"))
    for result, wanted in (
        (cube + 1, largest + 1),
        (cube * 3, 3 * largest),
        (cube - 2 * largest, -largest),
        (cube**2, largest**2),
        (cube / 2, largest / 2),
        (cube + single, largest + 1),
        (single - cube, 1 - largest),
    ):
        assert result.data.dtype == float
        assert_close(result.data, float(wanted), rtol=1e-15)


def test_masks_count_when_they_are_added(backend):
    mask = counts(backend, "int16")[0] > 0
    assert_same((mask + mask).data, 2)
    assert_same((mask - mask).data, 0)
    assert (mask * mask).is_mask


@pytest.mark.parametrize("dtype", TYPES)
def test_reductions(backend, dtype):
    cube, largest = counts(backend, dtype)
    assert_same(cube.sum_over_axes(keepdims=False).data, 4 * largest)
    assert cube.sum_over_axes().data.dtype == np.int64
    factors = cube.copy(data=to_device(np.full(cube.data.shape, 100, dtype="uint8"), backend))
    assert_same(cube.sum_over_axes(keepdims=False, weights=factors).data, 400 * largest)
    assert_same(cube.resample_axis(ENERGY.squash(), weights=factors).data, 400 * largest)
    pairs = cube.slice_by_idx({"energy": slice(0, 2)})
    if largest**2 < 2**63:
        assert_same(pairs.reduce("energy", func=np.multiply).data, largest**2)
    assert_close(cube.cumsum("energy").data[-1], 9.0 * largest, rtol=1e-14)
    assert_same(cube.reduce("energy", func=np.maximum).data, largest)


@pytest.mark.parametrize("dtype", TYPES)
def test_resampling(backend, dtype):
    cube, largest = counts(backend, dtype)
    assert_same(cube.downsample(2).data, 4 * largest)
    assert_same(cube.downsample(4, axis_name="energy").data, 4 * largest)
    assert_same(cube.downsample(2, preserve_counts=False).data, largest)
    assert_close(cube.resample(cube.geom.downsample(4)).data, 16 * largest, rtol=1e-15)
    assert_close(cube.upsample(3).data.sum(), 64 * largest, rtol=1e-12)
    assert_same(cube.upsample(3, preserve_counts=False).data, largest)
    assert_close(cube.convolve(np.ones((3, 3))).data[0, 2, 2], 9 * largest, rtol=1e-12)
    assert_close(cube.smooth(1).data, largest, rtol=1e-12)
    half = cube.copy(data=cube.data // 2)
    mean = (cube + half).downsample(2, preserve_counts=False)
    assert_close(mean.data, largest + largest // 2, rtol=1e-15)
    padded = cube.pad(1, cval=-1)
    assert padded.data.min() == -1
    assert padded.data.max() == largest
    assert np.isnan(cube.pad(1, cval=np.nan).data).any()
    assert_close(cube.pad(1, mode="interp").data, largest, rtol=1e-12)


def test_the_mean_of_integers_is_not_cut(backend):
    cube = Map.create(npix=2, dtype="int16")
    cube.data = np.array([[0, 1], [0, 0]], dtype="int16")
    cube = cube.to_device(backend)
    assert_same(cube.downsample(2, preserve_counts=False).data, 0.25)
    assert_same(cube.to_region_nd_map(func=np.mean).data, 0.25)
    assert_same(cube.resample(cube.geom.downsample(2), preserve_counts=False).data, 0.25)


@pytest.mark.parametrize("dtype", TYPES)
def test_regions(backend, dtype):
    cube, largest = counts(backend, dtype)
    region = CircleSkyRegion(cube.geom.center_skydir, 5 * u.deg)
    for func in (np.sum, np.nansum, lambda values: values.sum()):
        total = cube.to_region_nd_map(region, func=func)
        assert total.data.dtype == np.int64
        assert_same(total.data, 16 * largest)
    factors = cube.copy(data=to_device(np.full(cube.data.shape, 3, dtype="uint8"), backend))
    assert_same(cube.to_region_nd_map(region, weights=factors).data, 48 * largest)
    assert_same(cube.to_region_nd_map(region, weights=cube > 0).data, 16 * largest)
    assert_same(cube.to_region_nd_map(region, func=np.mean, weights=factors).data, largest)
    spectrum = cube.to_region_nd_map(region, func=np.max)
    assert_same(spectrum.downsample(2).data, 2 * largest)
    assert_same(spectrum.sum_over_axes().data, 4 * largest)
    spectrum.stack(spectrum.copy())
    assert_same(spectrum.data, 2 * largest)


@pytest.mark.parametrize("dtype", TYPES)
def test_stacking_and_filling(backend, dtype):
    cube, largest = counts(backend, dtype)
    total = cube.copy()
    for _ in range(3):
        total.stack(cube)
    assert total.data.dtype == np.int64
    assert_same(total.data, 4 * largest)
    total.stack(cube, weights=cube > 0)
    assert_same(total.data, 5 * largest)
    total.stack(cube.copy(data=cube.data.astype("float32")), weights=cube.copy(data=0.5))
    assert total.data.dtype == float
    assert_close(total.data, 5.5 * largest, rtol=1e-7)
    filled = cube.copy()
    filled.fill_by_idx((np.zeros(300, int), np.zeros(300, int), np.zeros(300, int)))
    assert filled.data[0, 0, 0] == largest + 300
    filled.fill_by_idx(([0], [0], [0]), weights=np.array([0.5]))
    assert_close(filled.data[0, 0, 0], largest + 300.5, rtol=1e-15)
    filled = cube.copy()
    filled.coadd(cube)
    assert_same(filled.data, 2 * largest)


def test_products_with_a_matrix(backend):
    cube, largest = counts(backend, "int16")
    other = RegionNDMap.create(None, axes=[ENERGY], data=np.full(4, 30000, dtype="int16")).to_device(backend)
    assert_same(cube.dot(other).data, 4 * 30000 * largest)


def test_types():
    assert sum_type("int16") == np.int64
    assert sum_type("int16", "float32") == np.float64
    assert sum_type("uint64") == np.float64
    assert sum_type("float32") == np.float32
    assert sum_type(bool).kind == "b"
    assert wide(np.ones(1, "float32")).dtype == np.float32
    assert product(np.full(1, 200, "uint8"), np.full(1, 200, "uint8"))[0] == 40000
    assert product(np.full(1, 200, "uint8"), np.ones(1, bool)).dtype == np.uint8
    assert settled(np.ones(1), np.int16).dtype == float
    assert settled(np.ones(1), np.float32).dtype == np.float32
