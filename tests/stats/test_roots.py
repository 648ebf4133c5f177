"""Roots of many functions at once."""

import numpy as np

from gpudl4.stats.roots import find_root


def test_roots():
    power, inner, outer = np.array([[1.0, 2, 3], [5, 0.5, 9]]), 0.0, np.array([[3.0, 4, 2], [7, 9, 2]])
    root = find_root(lambda x: x**power - 2, inner, outer)
    np.testing.assert_allclose(root, 2 ** (1 / power), rtol=1e-12)


def test_from_above_and_at_the_bound():
    np.testing.assert_allclose(find_root(lambda x: x**3 - 8, [5.0, 2.0, 1.0], [0.0, 9.0, 2.0]), 2, rtol=1e-12)


def test_none_to_be_found():
    assert np.isnan(find_root(lambda x: x**2 + 1, [-1.0, 0], [1.0, np.nan])).all()
