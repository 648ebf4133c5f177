"""Sky images and grids of them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from gpudl4.core.errors import GeometryError
from gpudl4.maps import Map
from gpudl4.plot import plot_grid, plot_map
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


def test_plot_grid_has_an_image_per_plane():
    figure = plot_grid(Map.from_geom(make_geom(), data=1.0), n_columns=2)
    images = [ax for ax in figure.axes if ax.images]
    assert len(images) == 3
    assert images[0].get_title() == "1 – 2.15 TeV"


def test_plot_grid_needs_one_axis():
    with pytest.raises(GeometryError, match="one axis"):
        plot_grid(Map.from_geom(make_geom().to_image()))
