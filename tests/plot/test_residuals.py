"""Residuals under gammapy's names."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from gpudl4.core.errors import DatasetError
from gpudl4.plot import plot_residuals, plot_residuals_spatial, plot_residuals_spectral
from tests.datasets.makers import make_kind
from tests.factory import make_dataset


@pytest.fixture(scope="module")
def dataset():
    return make_dataset()


def points(ax):
    return ax.containers[0].lines[0].get_ydata()


@pytest.mark.parametrize("method", ["diff", "diff/model", "diff/sqrt(model)"])
def test_spectral_values(dataset, method):
    mask = dataset.mask_safe.data & dataset.mask_fit.data
    n, m = (np.where(mask, map_.data, 0).sum(axis=(1, 2)) for map_ in (dataset.counts, dataset.npred()))
    scale = {"diff": 1, "diff/model": m, "diff/sqrt(model)": np.sqrt(m)}[method]
    assert np.allclose(points(plot_residuals_spectral(dataset, method=method)), (n - m) / scale)


def test_spectral_region(dataset):
    regions = pytest.importorskip("regions")
    center = dataset.models["point"].position
    region = regions.CircleSkyRegion(center, 0.25 * center.l.unit)
    mask = dataset.mask.data & (dataset.counts.geom.to_image().separation(center).deg < 0.25)
    assert 0 < mask.sum() < dataset.mask.data.sum()
    n, m = (np.where(mask, map_.data, 0).sum(axis=(1, 2)) for map_ in (dataset.counts, dataset.npred()))
    assert np.allclose(points(plot_residuals_spectral(dataset, region=region)), n - m)
    ax_spatial, _ = plot_residuals(dataset, kwargs_spectral={"region": region})
    assert len(ax_spatial.patches) == 1


def test_spatial_blank_outside_and_symmetric(dataset):
    ax = plot_residuals_spatial(dataset, method="diff/sqrt(model)", smooth_radius=1.5)
    shown = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert np.array_equal(np.isfinite(shown), dataset.mask.data.any(axis=0))
    norm = ax.images[0].norm
    assert norm.vmax == -norm.vmin == pytest.approx(np.nanmax(np.abs(shown)))
    assert plot_residuals_spatial(dataset, vmin=-1, vmax=2).images[0].norm.vmax == 2


def test_spatial_total_is_kept_by_smoothing(dataset):
    open_dataset = make_dataset(mask=False)
    shown = plot_residuals_spatial(open_dataset, smooth_kernel="box", smooth_radius="0.1 deg").images[0].get_array()
    assert np.allclose(shown, open_dataset.counts.data.sum(axis=0) - open_dataset.npred().data.sum(axis=0))


def test_unknown_options(dataset):
    with pytest.raises(DatasetError, match="unknown method 'ratio' of residuals; known: diff"):
        plot_residuals_spatial(dataset, method="ratio")
    with pytest.raises(DatasetError, match="unknown method 'ratio'"):
        plot_residuals_spectral(dataset, method="ratio")
    with pytest.raises(DatasetError, match="unknown smooth_kernel 'disk'"):
        plot_residuals_spatial(dataset, smooth_kernel="disk")
    with pytest.raises(TypeError, match="colour"):
        plot_residuals_spatial(dataset, colour="red")


def test_methods_of_the_dataset(dataset):
    ax_spatial, ax_spectral = dataset.plot_residuals()
    assert ax_spatial.images
    assert ax_spectral.containers
    assert dataset.plot_residuals_spatial(method="diff/model").images[0].colorbar.ax.get_ylabel() == "(counts − model) / model"
    assert np.allclose(points(dataset.plot_residuals_spectral()), points(ax_spectral))
    assert dataset.peek() is not None
    assert dataset.plot_overview() is not None


def test_off_counts_add_to_the_errors():
    dataset = make_kind("MapDatasetOnOff", seed=1)
    mask = dataset.mask.data
    variance = np.where(mask, dataset.counts.data + dataset.alpha.data**2 * dataset.counts_off.data, 0).sum(axis=(1, 2))
    ax = dataset.plot_residuals_spectral(ax=plt.figure().add_subplot())
    ends = np.array([segment[:, 1] for segment in ax.containers[0].lines[2][1].get_segments()])
    assert np.allclose(np.diff(ends, axis=1)[:, 0] / 2, np.sqrt(variance))
    assert dataset.plot_residuals()[0].images
    assert dataset.peek().axes
    assert dataset.plot_overview().axes


def test_energies_inside_the_masks_are_shaded():
    dataset = make_dataset()
    dataset.mask_safe.data[0] = False
    ax = dataset.plot_residuals_spectral(kwargs_safe={"color": "red"})
    edges = dataset.counts.geom.axes["energy"].edges.value
    spans = {patch.get_label(): (patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches}
    assert np.allclose(spans["Mask safe"], edges[[1, 3]])
    assert np.allclose(spans["Mask fit"], edges[[0, 3]])
    assert np.isnan(points(ax)[0])
    assert np.isfinite(points(ax)[1:]).all()
