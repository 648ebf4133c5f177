"""The active region holds every box as contiguous rows."""

import numpy as np

from gpudl4.likelihood.region import ActiveRegion, Box


def test_union_of_overlapping_boxes():
    boxes = [Box(1, 2, 3, 4), Box(2, 5, 4, 3), Box(0, 9, 2, 2)]
    shape = (8, 12)
    region = ActiveRegion(boxes, shape)
    want = np.zeros(shape, dtype=bool)
    for box in boxes:
        want[box.slices] = True
    np.testing.assert_array_equal(region.image(), want)
    assert region.size == want.sum()
    assert len(np.unique(region.pixels)) == region.size
    cube = np.arange(2 * 8 * 12).reshape(2, 8, 12)
    taken = region.take(cube)
    for box in boxes:
        columns = region.starts(box)[:, np.newaxis] + np.arange(box.nx)
        np.testing.assert_array_equal(taken[:, columns], cube[(slice(None), *box.slices)])


def test_no_box_is_an_empty_region():
    region = ActiveRegion([], (4, 5))
    assert region.size == 0
    assert not region.image().any()
    assert region.take(np.ones((3, 4, 5))).shape == (3, 0)


def test_intersection_and_frames():
    a, b = Box(0, 0, 4, 4), Box(2, 3, 5, 5)
    common = a.intersection(b)
    assert common == Box(2, 3, 2, 1)
    assert a.intersection(Box(4, 0, 2, 2)) is None
    image = np.arange(16).reshape(4, 4)
    np.testing.assert_array_equal(image[common.within(a)], image[2:4, 3:4])


def test_whole_map():
    region = ActiveRegion.whole((3, 4))
    np.testing.assert_array_equal(region.pixels, np.arange(12))
    np.testing.assert_array_equal(region.starts(Box(1, 2, 2, 2)), [6, 10])
    cube = np.arange(24.0).reshape(2, 3, 4)
    assert not np.shares_memory(region.take(cube), cube)
    assert np.shares_memory(region.take(cube, borrow=True), cube)
    np.testing.assert_array_equal(region.take(cube), region.take(cube, borrow=True))


def test_what_is_no_whole_map_is_never_borrowed():
    cube = np.arange(24.0).reshape(2, 3, 4)
    assert not np.shares_memory(ActiveRegion([Box(0, 0, 2, 4)], (3, 4)).take(cube, borrow=True), cube)
