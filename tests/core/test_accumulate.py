"""Adding arrays in place, block by block, against one NumPy line; on each backend."""

import numpy as np
import pytest

from gpudl4.core.accumulate import add_into, blocks
from gpudl4.core.backend import to_device
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
