"""Adding arrays in place, block by block, against one NumPy line; on each backend."""

import numpy as np
import pytest

from gpudl4.core.backend import to_device
from gpudl4.maps.accumulate import LARGE, add_into, blocks, divide_into, mean_into, multiply_into
from tests.arrays import assert_close, assert_same


@pytest.mark.parametrize("shape", [(), (7,), (5, 3, 4), (6, 2, 3, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_sums(backend, shape, dtype):
    rng = np.random.RandomState(0)
    target, source = (rng.uniform(1, 9, shape).astype(dtype) for _ in range(2))
    mask = rng.uniform(size=shape) > 0.5
    there = to_device(np.array(target), backend)
    add_into(there, to_device(np.array(source), backend), to_device(np.array(mask), backend), factor=2.0)
    assert there.dtype == dtype
    assert_close(there, target + (source * 2).astype(dtype) * mask, rtol=1e-6)


def test_what_is_not_finite_counts_as_zero_or_stays(backend):
    source = np.array([[1.0, np.nan], [np.inf, 4.0]])
    for nan_to_num, wanted in ((True, [[1, 0], [0, 4]]), (False, source)):
        target = to_device(np.zeros((2, 2)), backend)
        add_into(target, to_device(source.copy(), backend), nan_to_num=nan_to_num)
        assert_same(target, wanted)
    target = to_device(np.zeros((2, 2)), backend)
    add_into(target, to_device(source.copy(), backend), to_device(np.array([[True, True], [False, False]]), backend))
    assert_same(target, [[1, 0], [0, 0]])


def test_large_values_do_not_count_as_infinite(backend):
    source = np.full((4, 4), 2e38, dtype="float32")  # their sum overflows, they do not
    target = to_device(np.zeros((4, 4), dtype="float32"), backend)
    add_into(target, to_device(source, backend))
    assert_same(target, source)


def test_weights_broadcast(backend):
    source, image = np.arange(24.0).reshape(2, 3, 4), np.arange(12.0).reshape(3, 4)
    for weights in (image, image[np.newaxis], np.array([0.0, 1.0]).reshape(2, 1, 1)):
        target = to_device(np.ones((2, 3, 4)), backend)
        add_into(target, to_device(source.copy(), backend), to_device(np.array(weights), backend))
        assert_same(target, 1 + source * weights)


def test_blocks_cover_all_once():
    array = np.zeros((10, 100))
    parts = list(blocks(array, size=250))
    assert len(parts) == 5
    for part in parts:
        array[part] += 1
    assert (array == 1).all()
    assert list(blocks(np.zeros((0, 3)))) == []


def _by_hand(target, source, weights):
    finite = np.where(np.isfinite(source), source, 0)
    with np.errstate(invalid="ignore"):
        return target + (finite * weights).astype(target.dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weights", ["none", "mask", "image", "factors", "per plane", "one"])
def test_large_arrays_take_the_kernel_and_give_the_same(dtype, weights):
    """A cutout of a larger cube, as in stacking: rows in one piece, planes with gaps."""
    rng = np.random.default_rng(3)
    cube = rng.uniform(size=(6, 330, 420)).astype(dtype)
    whole, target = cube.copy(), cube[:, 10:310, 20:420]
    source = rng.uniform(-1, 1, size=target.shape).astype(dtype)
    source[0, 5, 7], source[3, 0, 0] = np.nan, np.inf
    assert target.size > LARGE
    value = {
        "none": None,
        "mask": rng.uniform(size=target.shape) > 0.3,
        "image": rng.uniform(size=target.shape[1:]) > 0.3,
        "factors": rng.uniform(size=target.shape).astype(dtype),
        "per plane": np.array([1, 0, 1, 1, 0, 1], dtype=bool).reshape(-1, 1, 1),
        "one": np.full((1, 1, 1), 0.5, dtype=dtype),
    }[weights]
    expected = _by_hand(target, source, 1 if value is None else value)
    add_into(target, source, value)
    np.testing.assert_array_equal(target, expected)
    outside = np.ones(cube.shape, dtype=bool)
    outside[:, 10:310, 20:420] = False
    np.testing.assert_array_equal(cube[outside], whole[outside])


@pytest.mark.parametrize("shape", [(5, 6, 40, 50), (6, 300, 400)])
def test_products_and_quotients(backend, shape):
    rng = np.random.default_rng(4)
    values = rng.uniform(1, 2, size=shape)
    factor = np.where(rng.uniform(size=(shape[0], *(1,) * (len(shape) - 3), *shape[-2:])) > 0.3, 2.5, 0.0)
    target = to_device(values.copy(), backend)
    multiply_into(target, to_device(factor.copy(), backend))
    assert_same(target, values * factor)
    target = to_device(values.copy(), backend)
    divide_into(target, to_device(factor.copy(), backend))
    assert_same(target, np.where(factor != 0, values / np.where(factor != 0, factor, 1), 0.0))


@pytest.mark.parametrize("shape", [(5, 6, 40, 50), (6, 300, 400)])
def test_means_are_products_sums_and_quotients(backend, shape):
    rng = np.random.default_rng(6)
    image = (shape[0], *(1,) * (len(shape) - 3), *shape[-2:])
    target, source = rng.uniform(1, 2, size=(2, *shape))
    own, weights = rng.uniform(0, 3, size=(2, *image))
    own[0, ..., 3, 4] = weights[0, ..., 3, 4] = 0
    source[1, ..., 2, 2] = np.nan
    total = own + weights
    expected = target * own + np.where(np.isfinite(source), source, 0) * weights
    expected = np.where(total > 0, expected / np.where(total > 0, total, 1), 0.0)
    there = to_device(target.copy(), backend)
    mean_into(there, *(to_device(array.copy(), backend) for array in (own, source, weights, total)))
    assert_close(there, expected, rtol=1e-14)


def test_arrays_whose_rows_are_not_in_one_piece():
    values = np.arange(2.0 * 700 * 800).reshape(2, 800, 700).transpose(0, 2, 1)
    target = np.zeros((2, 700, 800))
    assert target.size > LARGE
    add_into(target, values)
    np.testing.assert_array_equal(target, values)
    add_into(target[:, :, ::-1], values)
    np.testing.assert_array_equal(target, values + values[:, :, ::-1])
