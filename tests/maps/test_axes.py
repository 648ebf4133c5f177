"""MapAxes: order, look-up, changes."""

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import GeometryError
from gpudl4.maps import MapAxes, MapAxis


@pytest.fixture
def axes():
    return MapAxes(
        [MapAxis.from_bounds(0, 1, 5, name="rad", unit="deg"), MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)], n_spatial_axes=2
    )


def test_lookup(axes):
    assert axes["rad"] is axes[0]
    assert axes[["energy"]].names == ["energy"]
    assert axes[1:].names == ["energy"]
    assert axes.reverse.names == ["energy", "rad"]
    assert "rad" in axes
    assert axes.index("energy") == 1
    assert axes.index_data("rad") == 1
    assert axes.shape == (5, 3)
    with pytest.raises(KeyError, match="no axis 'time'"):
        axes["time"]


def test_names_must_differ():
    axis = MapAxis([1, 2], name="x")
    with pytest.raises(GeometryError, match="must be unique"):
        MapAxes([axis, axis])


def test_default_names():
    axes = MapAxes.from_default([MapAxis([1, 2]), np.array([1, 2, 3])])
    assert axes.names == ["axis0", "axis1"]
    assert len(MapAxes.from_default(None)) == 0


def test_coordinates_broadcast_in_data_order(axes):
    coord = axes.get_coord(mode="edges", axis_name="rad")
    assert coord["rad"].shape == (1, 6, 1, 1)
    assert coord["energy"].shape == (3, 1, 1, 1)
    volume = axes.bin_volume()
    assert volume.shape == (3, 5, 1, 1)
    np.testing.assert_allclose(volume.to_value("deg TeV")[:, 0, 0, 0], 0.2 * axes["energy"].bin_width.value)


def test_transforms(axes):
    coord = {"rad": 0.5 * u.deg, "energy": [0.1, 2] * u.TeV}
    assert [p.tolist() for p in axes.coord_to_idx(coord, clip=False)] == [[2], [-1, 0]]
    pix = axes.coord_to_pix(coord)
    for got, wanted in zip(axes.pix_to_coord(pix), coord.values(), strict=True):
        assert u.allclose(got, wanted)
    assert axes.pix_to_idx((np.array([7]), np.array([1])))[0] == -1
    assert u.allclose(axes.center_coord[0], 0.5 * u.deg)


def test_changes(axes):
    assert axes.squash("rad").shape == (1, 3)
    assert axes.drop("rad").names == ["energy"]
    assert axes.upsample(2, "rad").shape == (10, 3)
    assert axes.downsample(3, "energy").shape == (5, 1)
    assert axes.pad("energy", (1, 0)).shape == (5, 4)
    assert axes.rename_axes("energy", "energy_true").names == ["rad", "energy_true"]
    assert axes.names == ["rad", "energy"]
    assert axes.slice_by_idx({"energy": slice(0, 2), "rad": 3}).names == ["energy"]
    assert axes.replace(MapAxis([1, 2], name="rad")).shape == (1, 3)
    assert (axes + [MapAxis([1, 2], name="x")]).names == ["rad", "energy", "x"]


def test_unknown_names_are_errors(axes):
    for change in (
        lambda: axes.squash("x"),
        lambda: axes.drop("x"),
        lambda: axes.pad("x", 1),
        lambda: axes.replace(MapAxis([1, 2], name="x")),
    ):
        with pytest.raises(KeyError, match="no axis 'x'"):
            change()
    with pytest.raises(GeometryError, match=r"unknown axes \['x'\]"):
        axes.slice_by_idx({"x": 0})
    with pytest.raises(GeometryError, match=r"unknown axes \['x'\]"):
        axes.rename_axes("x", "y")


def test_comparison(axes):
    assert axes == axes.copy()
    assert axes != axes[:1]
    assert axes != axes.reverse
    assert hash(axes) == hash(axes.copy())
    axes.assert_names(["rad", "energy"])
    axes.assert_names(["rad"], allow_extra=True)
    with pytest.raises(GeometryError, match="Expected axis order"):
        axes.assert_names(["energy", "rad"])
    with pytest.raises(GeometryError, match="Expected axis order"):
        axes.assert_names(["rad"])


def test_shape_questions(axes):
    assert axes.primary_axis.name == "rad"
    assert not axes.is_flat
    assert not axes.is_unidimensional
    assert axes.squash("rad").is_unidimensional
    assert "energy" in repr(axes)
