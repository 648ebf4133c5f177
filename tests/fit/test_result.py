"""Correlations that a result warns of."""

import numpy as np
import pytest

from gpudl4.fit.result import _value, strong_correlations


def test_strong_correlations_are_found():
    covariance = np.array([[1.0, 0.995, 0.1], [0.995, 1.0, 0.1], [0.1, 0.1, 4.0]])
    assert strong_correlations(("a", "b", "c"), covariance) == [("a", "b", pytest.approx(0.995))]


def test_missing_errors_do_not_matter():
    covariance = np.array([[1.0, np.nan], [np.nan, np.nan]])
    assert strong_correlations(("a", "b"), covariance) == []


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(359.94331, 0.00039, "359.94331"), (2.6e-12, 4e-14, "2.6e-12"), (1.10531, 0.0052, "1.1053"), (-0.3, np.nan, "-0.3"), (0.0, 1.0, "0")],
)
def test_values_show_the_digits_their_error_allows(value, error, text):
    assert _value(value, error) == text
