"""The same predicted counts and the same statistic as gammapy at the same parameters, on real data."""

import pytest

pytest.importorskip("gammapy")

import numpy as np

from .cases import POINTS, cash_terms, fresh, gammapy_radii, predictions

pytestmark = pytest.mark.peer

PLANE_TOLERANCE = 1e-6  # of a plane's maximum; gammapy convolves in float32
STAT_TOLERANCE = 5e-9  # of the sum of the absolute terms


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point.case}: {point.name}")
def test_counts_and_statistic(point):
    ours, _ = fresh("gpudl4", point)
    with gammapy_radii():
        theirs, _ = fresh("gammapy", point)
        expected, expected_stat = predictions(theirs), theirs.stat_sum()
    found = predictions(ours)
    assert found.keys() == expected.keys()
    for dataset, parts in expected.items():
        assert found[dataset].keys() == parts.keys()
        for part, cube in parts.items():
            peak = np.abs(cube).max(axis=(1, 2))
            deviation = np.abs(found[dataset][part] - cube).max(axis=(1, 2))
            assert peak.max() > 0 or part == "far outside", f"{dataset}: '{part}' is seen nowhere, which compares nothing"
            assert np.all(deviation <= PLANE_TOLERANCE * peak), f"{dataset}, {part}: deviation/peak {deviation / peak}"
    stat = ours.stat_sum()
    assert abs(stat - expected_stat) <= STAT_TOLERANCE * cash_terms(ours)
