"""Closed sums over everything outside the active region, and the bins they do not hold for."""

import numpy as np
import pytest

from gpudl4 import kernels


@pytest.fixture(scope="module")
def cube():
    """counts, template, static, mask [K, ny, nx] and active [ny, nx], with bins of every special kind outside the active region."""
    rng = np.random.default_rng(7)
    counts = rng.poisson(2.0, size=(2, 6, 7)).astype(np.float32)
    template, static = rng.uniform(0.5, 2.0, size=(2, 6, 7)), np.zeros((2, 6, 7))
    template[0, 0, 0] = 0.0  # counts or not, nothing is predicted here
    template[1, 5, 6] = -0.1
    counts[0, 0, 1] = np.nan
    static[1, 2, 2] = 0.3
    mask = rng.random((2, 6, 7)) < 0.8
    mask[0, 0, :2] = mask[1, 5, 6] = mask[1, 2, 2] = True
    counts[0, 0, 0] = 1
    active = np.zeros((6, 7), dtype=bool)
    active[3:5, 3:6] = True
    return counts, template, static, mask, active


def test_sums_outside_and_special_bins(cube):
    counts, template, static, mask, active = cube
    kernel = kernels.cpu("background")
    sums, special = np.zeros((2, kernel.N_SUMS)), np.zeros(2, dtype=np.int64)
    kernel.outside_sums(*cube, sums, special)
    assert sums[:, kernel.BAD_COUNTS].sum() == 1
    ordinary = mask & ~active & (template > 0) & np.isfinite(counts) & (static == 0)
    np.testing.assert_allclose(sums[:, kernel.SUM_TEMPLATE], [template[k][ordinary[k]].sum() for k in range(2)])
    n_log = [np.sum(counts[k][ordinary[k]] * np.log(template[k][ordinary[k]])) for k in range(2)]
    np.testing.assert_allclose(sums[:, kernel.SUM_COUNTS_LOG], n_log, rtol=1e-6)
    assert special.tolist() == [1, 2]
    bins, values = np.zeros(3, dtype=np.int64), np.zeros((3, 3))
    kernel.special_bins(*cube, bins, values)
    assert sorted(bins.tolist()) == [0, 1, 1]
    assert sorted(values[:, 2]) == [0.0, 0.0, pytest.approx(0.3)]
