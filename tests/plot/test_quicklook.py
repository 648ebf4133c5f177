"""The overview of what a dataset holds, beside gammapy's."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import LogNorm

from gpudl4.core.errors import DatasetError
from gpudl4.interchange import to_gammapy
from gpudl4.plot import peek
from gpudl4.plot.quicklook import _counts_scale
from tests.factory import make_dataset

EMPTY = {
    "exposure": ("Exposure", "Exposure at the centre"),
    "psf": ("Containment radius at the centre",),
    "edisp": ("Energy dispersion at the centre",),
}


def panels(figure):
    """Axes with a title, by its beginning."""
    return [ax for ax in figure.axes if ax.get_title()]


def test_panels_hold_what_gammapys_hold():
    pytest.importorskip("gammapy")
    dataset = make_dataset()
    figure = dataset.peek()
    (other,) = to_gammapy([dataset])
    plt.close("all")
    other.peek()
    peer = plt.gcf()
    assert tuple(figure.get_size_inches()) == tuple(peer.get_size_inches()) == (13, 7)
    mine = {ax.get_title(): ax for ax in panels(figure)}
    assert len(mine) == len(panels(peer)) == 6
    theirs = {ax.get_title().split(" at ")[0]: ax for ax in panels(peer)}
    for title, name in (("Counts", "Counts map"), ("Predicted counts", "Model npred")):
        image, wanted = mine[title].images[0], theirs[name].images[0]
        np.testing.assert_allclose(image.get_array(), wanted.get_array(), rtol=1e-5)
        assert (image.norm.vmin, image.norm.vmax) == pytest.approx((wanted.norm.vmin, wanted.norm.vmax), rel=1e-5)
        assert isinstance(image.norm, LogNorm)
    exposure = next(ax for title, ax in mine.items() if title.startswith("Exposure at ") and ax.images)
    np.testing.assert_allclose(exposure.images[0].get_array(), theirs["Exposure map"].images[0].get_array(), rtol=1e-6)
    profile = mine["Exposure at the centre"].lines[0]
    wanted = theirs["Exposure (at FoV center)"].lines[0]
    np.testing.assert_allclose(profile.get_ydata(), np.asarray(wanted.get_ydata(orig=False)), rtol=0.01)
    radius = mine["Containment radius at the centre"].lines
    wanted = theirs["Containment radius (at FoV center)"].lines
    for line, one in zip(radius, wanted, strict=True):
        np.testing.assert_allclose(line.get_ydata(), one.get_ydata(orig=False), rtol=0.02)
    matrix = mine["Energy dispersion at the centre"].collections[0].get_array()
    assert np.allclose(
        matrix, np.reshape(theirs["Energy Dispersion (at FoV center)"].collections[0].get_array(), matrix.shape), rtol=1e-4, atol=1e-6
    )


def test_masks_are_marked():
    dataset = make_dataset()
    dataset.mask_safe.data[...] = dataset.mask_fit.data[...] = True
    dataset.mask_safe.data[:, :, :5] = False
    dataset.mask_fit.data[:, :4] = False
    counts = next(ax for ax in peek(dataset).axes if ax.get_title() == "Counts")
    fit, safe = counts.collections
    assert safe.hatches == ["///"]
    assert safe.get_paths()[0].vertices[:, 0].max() == pytest.approx(4.5)
    assert fit.get_alpha() == 0.2
    assert fit.get_paths()[0].vertices[:, 1].max() == pytest.approx(3.5)
    height, width = dataset.counts.geom.data_shape[-2:]
    assert counts.get_xlim() == (-0.5, width - 0.5)
    assert counts.get_ylim() == (-0.5, height - 0.5)


@pytest.mark.parametrize("name", EMPTY)
def test_panels_of_what_is_missing_are_empty(name):
    dataset = make_dataset(models=None)
    setattr(dataset, name, None)
    figure = peek(dataset, figsize=(8, 5))
    assert tuple(figure.get_size_inches()) == (8, 5)
    empty = {ax.get_title() for ax in figure.axes if any(text.get_text() == "none" for text in ax.texts)}
    assert empty == set(EMPTY[name])
    assert len(panels(figure)) == 6


def test_colours_where_nothing_is_predicted_or_counted():
    counts = np.array([[0.0, 50], [20, 3]])
    zero = np.zeros_like(counts)
    norm = _counts_scale(counts, counts + 1)
    assert (norm.vmin, norm.vmax) == (1, 51)
    norm = _counts_scale(counts, zero)
    assert (norm.vmin, norm.vmax) == (1, 50)
    norm = _counts_scale(zero, zero)
    assert (norm.vmin, norm.vmax) == (0, 1)


def test_no_counts_are_refused():
    dataset = make_dataset(models=None)
    dataset.counts = None
    with pytest.raises(DatasetError, match="has no counts"):
        peek(dataset)
