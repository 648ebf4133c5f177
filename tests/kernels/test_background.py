"""Closed sums over everything outside the active region, and the bins they do not hold for. Made once per compile, on the host."""

import numpy as np
import pytest

from gpudl4 import kernels


@pytest.fixture(scope="module")
def cube():
    """counts, template, static, mask [K, ny, nx] and active [ny, nx], with bins of every special kind outside the active region."""
    rng = np.random.default_rng(7)
    counts = rng.poisson(2.0, size=(2, 6, 7)).astype(np.float32)
    template, static = rng.uniform(0.5, 2.0, size=(2, 6, 7)), np.zeros((2, 6, 7))
    mask = rng.random((2, 6, 7)) < 0.8
    active = np.zeros((6, 7), dtype=bool)
    active[3:5, 3:6] = True
    mask[0, 0, :3] = mask[1, 5, 6] = mask[1, 2, 2] = True
    template[0, 0, 0], counts[0, 0, 0] = 0.0, 3  # counts where nothing is predicted
    counts[0, 0, 1] = np.nan
    template[0, 0, 2] = np.inf
    template[1, 5, 6] = -0.1
    static[1, 2, 2] = 0.3
    return counts, template, static, mask, active


def test_sums_outside(cube):
    counts, template, static, mask, active = cube
    kernel = kernels.cpu("background")
    sums, special = np.zeros((2, kernel.N_SUMS)), np.zeros(2, dtype=np.int64)
    kernel.outside_sums(*cube, sums, special)
    assert special.tolist() == [0, 2]
    assert sums[:, kernel.BAD_COUNTS].tolist() == [1, 0]
    assert sums[:, kernel.BAD_TEMPLATE].tolist() == [1, 0]
    assert sums[:, kernel.EMPTY_BINS].tolist() == [1, 0]
    assert sums[:, kernel.EMPTY_COUNTS].tolist() == [3, 0]
    assert sums[:, kernel.N_BINS].tolist() == mask.sum(axis=(1, 2)).tolist()
    ordinary = mask & ~active & (template > 0) & np.isfinite(template) & np.isfinite(counts) & (static == 0)
    for k in range(2):
        n, t = counts[k][ordinary[k]].astype(float), template[k][ordinary[k]]
        np.testing.assert_allclose(sums[k, kernel.SUM_TEMPLATE], t.sum(), rtol=1e-13)
        np.testing.assert_allclose(sums[k, kernel.SUM_COUNTS], n.sum(), rtol=1e-13)
        np.testing.assert_allclose(sums[k, kernel.SUM_COUNTS_LOG], (n * np.log(t)).sum(), rtol=1e-12)


def test_special_bins(cube):
    counts = cube[0]
    bins, values = np.zeros(2, dtype=np.int64), np.zeros((2, 3))
    kernels.cpu("background").special_bins(*cube, bins, values)
    assert bins.tolist() == [1, 1]
    np.testing.assert_array_equal(values, [[counts[1, 2, 2], cube[1][1, 2, 2], 0.3], [counts[1, 5, 6], -0.1, 0.0]])
