"""A source's image slid over an excess: where it fits best, how well, and that single counts are no sources."""

from types import SimpleNamespace

import numpy as np
import pytest

from gpudl4.core.backend import to_device, to_host
from gpudl4.fit.matched_filter import compare, matched_filter
from gpudl4.likelihood.region import Box

SHAPE = (41, 47)


def _blob(row, column, counts, sigma=2.0):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / sigma**2)
    return counts * image / image.sum()


def _term(counts, others, backend, mask=None):
    """Three energies of one image each, as a local term holds them."""
    mask = np.ones((3, *SHAPE), dtype=bool) if mask is None else mask
    flat = [to_device(np.ascontiguousarray(a.reshape(3, -1)), backend) for a in (counts, others, mask)]
    return SimpleNamespace(counts=flat[0], static=flat[1], mask=flat[2], box=Box(5, 9, *SHAPE))


def _cube(image, weights=(5.0, 2.0, 0.5)):
    return np.stack([w * image for w in weights])


def _own(row, column, backend):
    return to_device(_cube(_blob(row, column, 10.0)).reshape(3, -1), backend)


def test_the_place_and_the_brightness_of_an_excess(backend):
    others = np.full((3, *SHAPE), 0.5)
    counts = others + _cube(_blob(14, 30, 40.0))  # without noise
    test, brightness, peak = matched_filter(_term(counts, others, backend), _own(20, 23, backend), reach=15)
    assert peak == (23, 20)
    there, at_here, at_there, times = compare(test, brightness, peak, np.array([123.4, 220.1]), reach=15)
    assert there - (123.4, 220.1) == pytest.approx([7, -6])
    assert at_there > 10 * at_here
    assert times == pytest.approx(4.0, rel=0.02)
    excess = _cube(_blob(14, 30, 40.0)).sum()
    assert 0.3 * excess < at_there < 2 * excess  # counts of the source make half of the variance: at most twice their number


def test_reach_ends_the_search(backend):
    others = np.full((3, *SHAPE), 0.5)
    counts = others + _cube(_blob(14, 30, 40.0))
    found = matched_filter(_term(counts, others, backend), _own(20, 23, backend), reach=5)
    there, *_ = compare(*found, np.array([23.0, 20.0]), reach=5)
    assert np.hypot(*(there - (23.0, 20.0))) <= 5


def test_masked_pixels_do_not_count(backend):
    others = np.full((3, *SHAPE), 0.5)
    counts, mask = others + _cube(_blob(14, 30, 40.0)), np.ones((3, *SHAPE), dtype=bool)
    mask[:, 4:25, 20:40] = False
    test, *_ = matched_filter(_term(counts, others, backend, mask), _own(20, 23, backend), reach=15)
    assert float(to_host(test).max()) < 1.0


def test_a_single_count_where_nothing_is_expected_is_no_source(backend):
    others = np.full((3, *SHAPE), 1e-4)
    counts = np.zeros((3, *SHAPE))
    counts[2, 12, 28] = 1.0
    test, *_ = matched_filter(_term(counts, others, backend), _own(20, 23, backend), reach=15)
    assert float(to_host(test).max()) < 4.0


def test_a_source_of_no_counts_is_nowhere(backend):
    others = np.full((3, *SHAPE), 0.5)
    nothing = to_device(np.zeros((3, SHAPE[0] * SHAPE[1])), backend)
    test, brightness, _ = matched_filter(_term(others, others, backend), nothing, reach=15)
    assert np.all(to_host(test) == 0)
    assert np.all(np.isfinite(to_host(brightness)))
