"""Pictures of maps, responses and datasets on a device show what they show of the same things on the host."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest
from regions import CircleSkyRegion

from gpudl4 import plot
from gpudl4.plot.images import cash_significance, residual_significance
from tests.arrays import assert_close
from tests.factory import make_dataset


def drawn(figure):
    """Every number that a figure shows: images, lines, steps, filled areas."""
    for ax in figure.axes:
        for image in ax.images:
            yield np.ma.filled(image.get_array().astype(float), np.nan)
            yield np.array([image.norm.vmin, image.norm.vmax])
        for line in ax.lines:
            yield np.asarray(line.get_ydata(), dtype=float)
        for patch in ax.patches:
            if hasattr(patch, "get_data"):
                yield np.asarray(patch.get_data().values, dtype=float)
            elif hasattr(patch, "get_xy"):
                yield np.asarray(patch.get_xy(), dtype=float)
        for collection in ax.collections:
            if collection.get_array() is not None:
                yield np.ma.filled(np.asarray(collection.get_array(), dtype=float), np.nan)
            for path in collection.get_paths():
                yield path.vertices


def same_picture(draw, there, here):
    """Both objects give figures with equal numbers."""
    numbers = []
    for thing in (there, here):
        draw(thing)
        numbers.append(list(drawn(plt.gcf())))
        plt.close("all")
    assert len(numbers[0]) == len(numbers[1]) > 0
    for mine, other in zip(*numbers, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-9)


DATASETS = {
    "peek": lambda d: d.peek(),
    "overview": lambda d: d.plot_overview(),
    "residuals": lambda d: d.plot_residuals(kwargs_spectral={"region": CircleSkyRegion(d.counts.geom.center_skydir, 0.5 * u.deg)}),
}


@pytest.mark.parametrize("models", [None, "all"])
@pytest.mark.parametrize("name", DATASETS)
def test_datasets(kernel_device, name, models):
    host = make_dataset(models=models)
    same_picture(DATASETS[name], host.to_device(kernel_device), host)


MAPS = {
    "image": lambda d: d.counts.sum_over_axes().plot(add_cbar=True),
    "grid": lambda d: d.exposure.plot_grid(),
    "mask": lambda d: d.mask_image.plot_mask(),
    "region": lambda d: d.counts.get_spectrum().plot(),
    "psf": lambda d: plot.plot_containment_radius(d.psf),
    "edisp": lambda d: plot.plot_edisp_kernel(d.edisp.get_edisp_kernel()),
}


@pytest.mark.parametrize("name", MAPS)
def test_maps_and_responses(device, name):
    host = make_dataset(models=None)
    same_picture(MAPS[name], host.to_device(device), host)


def test_numbers_behind_the_pictures(kernel_device):
    host = make_dataset()
    there = host.to_device(kernel_device)
    image = residual_significance(there, npred=there.npred())
    assert image.backend.name == "numpy"
    assert_close(image, residual_significance(host))
    assert_close(cash_significance(there.counts.data, there.npred().data), cash_significance(host.counts.data, host.npred().data))
