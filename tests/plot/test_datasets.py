"""Pictures of datasets: what they show is what the dataset holds."""

import numpy as np
import pytest

from gpudl4 import plot
from gpudl4.core.errors import DatasetError
from gpudl4.plot.images import residual_significance
from gpudl4.plot.spectra import MAX_SOURCES, _components
from tests.factory import make_dataset


@pytest.fixture(scope="module")
def dataset():
    return make_dataset()


def stairs(ax):
    """Values of the step lines by label."""
    return {patch.get_label(): patch.get_data().values for patch in ax.patches if hasattr(patch, "get_data")}


def test_images_share_colours_and_mark_sources(dataset):
    figure = plot.plot_images(dataset)
    counts, model, residuals = (ax for ax in figure.axes if ax.images)
    assert counts.images[0].norm.vmax == model.images[0].norm.vmax
    assert (residuals.images[0].norm.vmin, residuals.images[0].norm.vmax) == (-5, 5)
    assert residuals.images[0].get_cmap().name == "RdBu_r"
    for ax in (counts, model, residuals):
        assert {text.get_text() for text in ax.texts} == {"point", "gauss"}
    assert "1 – 10 TeV" in counts.get_title()


def test_residual_image_is_the_significance(dataset):
    ax = plot.plot_residual_significance(dataset)
    assert np.allclose(ax.images[0].get_array().filled(np.nan), residual_significance(dataset).data, equal_nan=True)
    assert "0.2°" in ax.images[0].colorbar.ax.get_ylabel()


def test_counts_outside_the_mask_are_blank(dataset):
    ax = plot.plot_counts(dataset, sources=False)
    shown = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert np.array_equal(np.isfinite(shown), (dataset.mask_safe.data & dataset.mask_fit.data).any(axis=0))
    assert not ax.texts


def test_smoothing_keeps_the_mean(dataset):
    flat = make_dataset(counts=2, models=None)
    ax = plot.plot_counts(flat, sources=False)
    shown = ax.images[0].get_array()
    mask = flat.mask_safe.data & flat.mask_fit.data
    assert np.ma.max(shown) <= 2 * 3 + 1e-9
    assert float(np.ma.max(shown)) == pytest.approx(2 * mask.sum(axis=0).max(), rel=0.02)


def test_counts_spectrum_adds_up(dataset):
    ax = plot.plot_counts_spectrum(dataset)
    parts = stairs(ax)
    assert set(parts) == {"background", "point", "gauss", "model, total"}
    assert np.allclose(parts["background"] + parts["point"] + parts["gauss"], parts["model, total"], rtol=1e-6)
    mask = dataset.mask_safe.data & dataset.mask_fit.data
    assert np.allclose(parts["model, total"], np.where(mask, dataset.npred().data, 0).sum(axis=(1, 2)))
    assert ax.get_xlabel() == "Energy [TeV]"
    assert ax.get_yscale() == "log"


def test_many_sources_are_joined(dataset):
    crowded = make_dataset()
    crowded.models = [model.copy(name=f"{model.name}-{number}") for number in range(5) for model in dataset.models[:2]]
    used = np.ones(3, dtype=bool)
    parts = _components(crowded, used)
    assert len(parts) == MAX_SOURCES
    assert "5 other sources" in parts
    mask = crowded.mask_safe.data & crowded.mask_fit.data
    assert np.allclose(sum(parts.values()), np.where(mask, crowded.npred_signal().data, 0).sum(axis=(1, 2)))


def test_energies_without_a_pixel_are_left_out():
    dataset = make_dataset()
    dataset.mask_safe.data[2] = False
    parts = stairs(plot.plot_counts_spectrum(dataset))
    assert np.isnan(parts["model, total"][2])
    assert "1 – 4.64 TeV" in plot.plot_counts(dataset).get_title()


def test_histogram_holds_every_pixel(dataset):
    ax = plot.plot_residual_histogram(dataset)
    heights, edges, _ = ax.patches[0].get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(1)
    values = residual_significance(dataset).data
    assert f"width {np.nanstd(values):.2f}" in ax.get_title()


def test_overview_has_all_panels(dataset):
    figure = plot.plot_overview(dataset, figsize=(12, 8))
    assert len([ax for ax in figure.axes if ax.images]) == 3
    labels = {ax.get_ylabel() for ax in figure.axes}
    assert {"Counts per bin", "Residual [σ]", "Density", "Containment radius [deg]"} <= labels
    assert "test" in figure.get_suptitle()


def test_dataset_without_models_or_mask_can_be_shown():
    dataset = make_dataset(models=None, mask=False)
    for draw in (plot.peek, plot.plot_overview):
        assert draw(dataset).axes


def test_dataset_without_counts_is_refused():
    dataset = make_dataset()
    dataset.counts = None
    for function in (plot.peek, plot.plot_overview, plot.plot_counts, plot.plot_images, plot.plot_spectrum, plot.plot_residual_histogram):
        with pytest.raises(DatasetError, match="'test' has no counts"):
            function(dataset)


def test_everything_in_the_mask_excluded_is_no_error():
    dataset = make_dataset()
    dataset.mask_safe.data[...] = False
    ax = plot.plot_counts(dataset)
    assert "no energy in the mask" in ax.get_title()
    plot.plot_spectrum(dataset)
    plot.plot_residual_histogram(dataset)


def test_save_writes_and_closes(dataset, tmp_path):
    import matplotlib.pyplot as plt

    plot.save(plot.plot_spectrum(dataset), tmp_path / "spectrum.png")
    assert (tmp_path / "spectrum.png").read_bytes()[:4] == b"\x89PNG"
    assert not plt.get_fignums()
