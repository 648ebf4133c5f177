"""Correlations that a result warns of."""

import numpy as np
import pytest

from gpudl4.fit.result import strong_correlations


def test_strong_correlations_are_found():
    covariance = np.array([[1.0, 0.995, 0.1], [0.995, 1.0, 0.1], [0.1, 0.1, 4.0]])
    assert strong_correlations(("a", "b", "c"), covariance) == [("a", "b", pytest.approx(0.995))]


def test_missing_errors_do_not_matter():
    covariance = np.array([[1.0, np.nan], [np.nan, np.nan]])
    assert strong_correlations(("a", "b"), covariance) == []
