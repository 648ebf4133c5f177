"""Sky images and grids of them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from gpudl4.core.errors import GeometryError
from gpudl4.maps import Map
from gpudl4.plot import plot_map, plot_map_grid, plot_map_mask
from gpudl4.plot.maps import image_norm
from tests.factory import make_geom


def test_plot_map_draws_the_image_and_labels():
    geom = make_geom().to_image()
    image = Map.from_geom(geom, data=np.arange(24 * 20, dtype=float).reshape(20, 24), unit="s")
    ax = plot_map(image, add_cbar=True, stretch="sqrt", vmin=0, title="numbers")
    assert np.array_equal(ax.images[-1].get_array(), image.data)
    assert ax.images[-1].norm.vmax == 479
    assert ax.coords[0].get_axislabel() == "Galactic longitude"
    assert ax.get_title() == "numbers"
    assert ax.images[-1].colorbar.ax.get_ylabel() == "s"


def test_plot_map_equatorial_labels():
    geom = make_geom(frame="icrs").to_image()
    ax = plot_map(Map.from_geom(geom))
    assert ax.coords[1].get_axislabel() == "Declination"


def test_plot_map_takes_one_plane_only():
    with pytest.raises(GeometryError, match=r"needs an image.*\(3, 20, 24\)"):
        plot_map(Map.from_geom(make_geom()))


def test_plot_map_refuses_plain_axes_and_unknown_options():
    image = Map.from_geom(make_geom().to_image())
    with pytest.raises(GeometryError, match="no sky projection"):
        plot_map(image, ax=plt.figure().add_subplot())
    with pytest.raises(GeometryError, match="unknown stretch 'cubic'; known: linear"):
        plot_map(image, stretch="cubic")
    with pytest.raises(TypeError, match="colour"):
        plot_map(image, colour="red")


def test_image_norm_survives_constant_and_empty_images():
    norm = image_norm(np.full((2, 2), 3.0))
    assert (norm.vmin, norm.vmax) == (3, 4)
    norm = image_norm(np.full((2, 2), np.nan))
    assert (norm.vmin, norm.vmax) == (0, 1)
    norm = image_norm(np.array([1.0, np.nan, 5.0]), vmin=0)
    assert (norm.vmin, norm.vmax) == (0, 5)


def test_grid_has_an_image_per_plane():
    axes = plot_map_grid(Map.from_geom(make_geom(), data=1.0), ncols=2)
    assert axes.shape == (2, 2)
    assert axes[1, 1] is None
    assert axes[0, 0].get_title() == "1 – 2.15 TeV"
    assert all(len(ax.images) == 1 for ax in axes.flat[:3])


def test_grid_needs_one_axis():
    with pytest.raises(GeometryError, match="one axis"):
        plot_map_grid(Map.from_geom(make_geom().to_image()))


def test_mask_is_shaded():
    geom = make_geom().to_image()
    mask = Map.from_geom(geom, data=np.zeros(geom.data_shape, dtype=bool))
    mask.data[:, :12] = True
    ax = plot_map_mask(mask)
    (path,) = ax.collections[0].get_paths()
    assert path.vertices[:, 0].max() == pytest.approx(11.5)
    with pytest.raises(GeometryError, match="boolean values, these are float"):
        plot_map_mask(Map.from_geom(geom))


def test_methods_of_the_maps():
    cube = Map.from_geom(make_geom(), data=1.0)
    assert cube.plot_grid().shape == (1, 3)
    assert cube.sum_over_axes().plot(add_cbar=True, vmax=5).images[-1].norm.vmax == 5
    assert (cube > 0).slice_by_idx({"energy": 0}).plot_mask().collections
    assert cube.get_spectrum().plot().containers
