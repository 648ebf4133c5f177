"""Operators of maps, on each backend."""

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.backend import to_device
from gpudl4.core.errors import GeometryError, UnitMismatchError
from gpudl4.maps import Map
from tests.arrays import assert_close, assert_same


@pytest.fixture
def image(backend):
    return Map.create(npix=(3, 2), unit="m", dtype=float).copy(data=np.arange(6.0).reshape(2, 3)).to_device(backend)


def test_units_of_sums(image):
    total = image + image.to_unit("cm")
    assert_close(total.data, 2 * image.data)
    assert total.unit == "m"
    assert_close((image - 50 * u.cm).data, image.data - 0.5)
    with pytest.raises(UnitMismatchError, match="a map in 'm' cannot be combined with a value in 's'"):
        image + 1 * u.s
    with pytest.raises(UnitMismatchError, match="cannot be combined with a value in ''"):
        image + 1


def test_units_of_products(image):
    assert (image * image).unit == "m2"
    assert (image / (2 * u.s)).unit == "m / s"
    assert (image * u.s).unit == "m s"
    assert (image * 2).unit == "m"
    assert (2 * image).unit == "m"
    assert (image**2).unit == "m2"
    assert_close((image**2).data, image.data**2)
    factors = to_device(np.array([1, 2, 3]), image.backend)
    assert_close((image * factors).data, image.data * factors)


def test_the_operands_stay(image):
    before = image.data.copy()
    _ = (image + image, image * 2, -1 * image, image > 1 * u.m)
    assert_same(image.data, before)


def test_in_place(image):
    other = image
    image += 100 * u.cm
    assert image is other
    assert_close(image.data[0], [1, 2, 3])
    image *= 2 * u.s
    image -= 1 * u.m * u.s
    image /= 2 * u.s
    assert_close(image.data[0], [0.5, 1.5, 2.5])
    assert image.unit == "m"


def test_comparisons_are_masks_without_unit(image):
    mask = image > 250 * u.cm
    assert mask.is_mask
    assert mask.unit == ""
    assert_same(mask.data, image.data > 2.5)
    assert (image >= image).data.all()
    assert (image == image).data.all()
    assert not (image != image).data.any()
    assert (image <= 5 * u.m).data.all()
    assert not (image < 0 * u.m).data.any()


def test_logic(image):
    a, b = image > 1 * u.m, image < 4 * u.m
    assert_same((a & b).data, a.data & b.data)
    assert_same((a | ~b).data, a.data | ~b.data)
    assert_same((a ^ b).data, a.data ^ b.data)
    assert_same((a & b.data).data, a.data & b.data)
    c = a.copy()
    c &= b
    c |= ~a
    c ^= a
    assert_same(c.data, ((a.data & b.data) | ~a.data) ^ a.data)


def test_numbers_are_float64(image):
    small = image.copy(dtype="float32")
    assert (small * 2).data.dtype == float
    assert (small * small).data.dtype == np.float32
    counts = image.copy(data=image.data.astype(int), unit="")
    assert (counts * 2).data.dtype == float
    assert (counts + counts).data.dtype == np.int64


def test_geometries_must_be_equal(image):
    with pytest.raises(GeometryError, match="Inconsistent geometries"):
        image + image.cutout(image.geom.center_skydir, 0.1)
    with pytest.raises(GeometryError, match="Inconsistent geometries"):
        image & image.crop(0).pad(1)
    with pytest.raises(GeometryError, match="do not fit the geometry"):
        image * to_device(np.ones((5, 2, 3)), image.backend)


def test_maps_are_not_hashable(image):
    with pytest.raises(TypeError, match="unhashable"):
        hash(image)
