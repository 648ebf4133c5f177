"""Sky images and grids of them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from gpudl4.core.errors import GeometryError
from gpudl4.maps import LabelMapAxis, Map, WcsGeom
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


def test_a_mask_shades_what_it_leaves_out():
    geom = make_geom().to_image()
    mask = Map.from_geom(geom, data=np.zeros(geom.data_shape, dtype=bool))
    mask.data[:, :12] = True
    ax = plot_map_mask(mask)
    (path,) = ax.collections[0].get_paths()
    assert (path.vertices[:, 0].min(), path.vertices[:, 0].max()) == (pytest.approx(11.5), 23)
    with pytest.raises(GeometryError, match="boolean values, these are float"):
        plot_map_mask(Map.from_geom(geom))


def test_methods_of_the_maps():
    cube = Map.from_geom(make_geom(), data=1.0)
    assert cube.plot_grid().shape == (1, 3)
    assert cube.sum_over_axes().plot(add_cbar=True, vmax=5).images[-1].norm.vmax == 5
    assert (cube > 0).slice_by_idx({"energy": 0}).plot_mask().collections
    assert cube.get_spectrum().plot().containers


def both(shape=(20, 24)):
    """The same image and mask in gpudl4 and in gammapy."""
    values = np.random.default_rng(1).poisson(3, shape).astype(float)
    values[3, 4] = np.nan
    for library in ("gpudl4", "gammapy"):
        maps = pytest.importorskip(f"{library}.maps")
        geom = maps.WcsGeom.create(npix=shape[::-1], binsz=0.1, frame="galactic")
        inside = np.ones(shape, dtype=bool)
        inside[:, :7] = False
        yield maps.Map.from_geom(geom, data=values.copy(), unit="m2 s"), maps.Map.from_geom(geom, data=inside)


@pytest.mark.parametrize(
    "options", [{}, {"vmin": 1, "vmax": 4}, {"stretch": "sqrt", "vmax": 5}, {"cmap": "viridis", "alpha": 0.5, "zorder": 3}]
)
def test_images_are_those_of_gammapy(options):
    images = []
    for image, _ in both():
        plt.figure(figsize=(4, 3))
        number = plt.gcf().number
        ax = image.plot(add_cbar=True, kwargs_colorbar={"label": "sum"}, **options)
        assert ax.figure.number == number  # the empty figure of the user
        drawn = ax.images[-1]
        assert drawn.colorbar.ax.get_ylabel() == "sum"
        ax.scatter([100], [100])
        images.append(
            (np.ma.filled(drawn.get_array(), -1), drawn.norm.vmin, drawn.norm.vmax, drawn.norm(2.0), ax.get_xlim(), ax.get_ylim())
        )
    for mine, other in zip(*images, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)


def test_masks_are_those_of_gammapy():
    found = []
    for image, mask in both():
        ax = image.plot(ax=plt.figure().add_subplot(projection=image.geom.wcs))
        assert mask.plot_mask(ax=ax, hatches=["///"], colors="w", alpha=0.3) is ax
        vertices = np.concatenate([path.vertices for path in ax.collections[0].get_paths()])
        found.append((*vertices.min(axis=0), *vertices.max(axis=0), ax.collections[0].get_alpha(), *ax.get_xlim()))
        shown = mask.plot(ax=plt.figure().add_subplot(projection=image.geom.wcs)).images[-1]
        assert (shown.norm.vmin, shown.norm.vmax) == (0, 1)
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_where_a_color_bar_goes():
    image = next(both())[0]
    figure = plt.figure()
    ax = image.plot(fig=figure, add_cbar=True, axes_loc={"position": "bottom", "size": "8%", "pad": 0.4})
    assert ax.figure is figure
    assert ax.images[-1].colorbar.orientation == "horizontal"
    figure.canvas.draw()
    assert ax.images[-1].colorbar.ax.get_position().y1 < ax.get_position().y0


def test_grids_of_labels_and_options():
    geom = make_geom().to_image().to_cube([LabelMapAxis(["a", "b"], name="run")])
    axes = Map.from_geom(geom, data=1.0).plot_grid((6, 3), 2, vmin=0, vmax=4, cmap="magma", add_cbar=False)
    assert [ax.get_title() for ax in axes.flat] == ["a", "b"]
    assert {ax.images[-1].norm.vmax for ax in axes.flat} == {4}
    assert {ax.images[-1].cmap.name for ax in axes.flat} == {"magma"}
    assert tuple(axes[0, 0].figure.get_size_inches()) == (6, 3)


@pytest.mark.parametrize("binsz", [0.2, 0.01, 0.002])
def test_small_fields_have_ticks_too(binsz):
    geom = WcsGeom.create(npix=(20, 20), binsz=binsz, frame="galactic", skydir=(0.3, 0.2))
    ax = Map.from_geom(geom).plot()
    ax.figure.canvas.draw()
    for coordinate in ax.coords:
        labels = [text for texts in coordinate._ticklabels.text.values() for text in texts]
        assert len(set(labels)) >= 3, labels
