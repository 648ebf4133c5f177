"""How smooth images are: largest values, Laplacians, and spectra in cells, against plain NumPy."""

import numpy as np
import pytest

from gpudl4 import kernels


def kernel(name, variant):
    """A function of the stem, for one thread or for many."""
    return getattr(getattr(kernels.cpu("smooth"), name), variant)


@pytest.fixture(params=["serial", "parallel"])
def variant(request):
    return request.param


@pytest.mark.parametrize("shape", [(2, 7, 9), (3, 1, 5), (1, 2, 2), (2, 3, 3)])
def test_extremes(variant, shape):
    images = np.random.default_rng(3).normal(size=shape)
    out = np.full((*shape[:2], 2), np.nan)
    kernel("extremes", variant)(images, out)
    np.testing.assert_array_equal(out[..., 0], np.abs(images).max(axis=2))
    want = np.zeros(shape[:2])
    for i, y in np.ndindex(*shape[:2]):
        for x in range(1, shape[2] - 1) if 0 < y < shape[1] - 1 else ():
            around = images[i, y, x - 1] + images[i, y, x + 1] + images[i, y - 1, x] + images[i, y + 1, x]
            want[i, y] = max(want[i, y], abs(around - 4 * images[i, y, x]))
    np.testing.assert_allclose(out[..., 1], want, rtol=1e-14)


def test_nan_is_left_out(variant):
    images = np.ones((1, 4, 4))
    images[0, 1, 1], images[0, 3, 3] = np.nan, -5.0
    out = np.empty((1, 4, 2))
    kernel("extremes", variant)(images, out)
    assert out[0, :, 0].tolist() == [1.0, 1.0, 1.0, 5.0]
    assert out[0, 2, 1] == 0.0  # of the four pixels that have a Laplacian three have one beside the NaN


def test_gather_cells(variant):
    rng = np.random.default_rng(4)
    spectra = rng.normal(size=(2, 6, 5)) + 1j * rng.normal(size=(2, 6, 5))
    cell_of_row, columns, times = np.array([0, 1, 3, 3, 1, 0]), np.array([0, 0, 1, 2, 2]), rng.uniform(1, 2, 5)
    order = np.argsort(cell_of_row, kind="stable")
    first = np.searchsorted(cell_of_row[order], np.arange(5))
    out = np.full((2, 4, 3), np.nan)
    kernel("gather_cells", variant)(spectra, order, first, columns, times, out)
    want = np.zeros((2, 4, 3))
    for i, y, x in np.ndindex(*spectra.shape):
        want[i, cell_of_row[y], columns[x]] += times[x] * abs(spectra[i, y, x])
    assert not want[:, 2].any()  # no row belongs there
    np.testing.assert_allclose(out, want, rtol=1e-13)
