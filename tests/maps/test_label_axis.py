"""`LabelMapAxis` against gammapy, and its own rules at the door."""

import numpy as np
import pytest
from astropy.table import Table

from gpudl4.core.errors import DataFileError, GeometryError
from gpudl4.maps import LabelMapAxis, Map, MapAxes, MapAxis, RegionNDMap
from tests.factory import get_library

LABELS = ["zeta", "alpha", "a longer label"]


def make(labels=LABELS, name="models", library="gpudl4"):
    return get_library(library).maps.LabelMapAxis(labels, name=name)


def test_properties_are_gammapys():
    ours, theirs = make(), make(library="gammapy")
    for name in ("nbin", "name", "node_type", "unit", "as_plot_labels"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("center", "edges_min", "edges_max", "bin_width", "as_plot_center", "as_plot_edges", "as_plot_xerr"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    assert ours.bounds == ("zeta", "a longer label")


def test_coordinates_are_gammapys():
    ours, theirs = make(), make(library="gammapy")
    for coord in (["alpha", "zeta"], [["zeta"], ["a longer label"]], "alpha", ["zeta", "zeta"]):
        np.testing.assert_array_equal(ours.coord_to_idx(coord), theirs.coord_to_idx(coord))
        np.testing.assert_array_equal(ours.coord_to_pix(coord), theirs.coord_to_pix(coord))
    np.testing.assert_array_equal(ours.pix_to_coord(np.array([0.2, 1.7])), theirs.pix_to_coord(np.array([0.2, 1.7])))
    np.testing.assert_array_equal(ours.pix_to_idx(np.array([-1, 1, 3])), [-1, 1, -1])
    np.testing.assert_array_equal(ours.pix_to_idx(np.array([-1, 1, 3]), clip=True), [0, 1, 2])


@pytest.mark.parametrize("coord", ["beta", ["alpha", "beta"], "zzz"])
def test_an_unknown_label_is_named(coord):
    with pytest.raises(GeometryError, match=r"Not a valid label of axis 'models': (beta|zzz); it has: zeta, alpha"):
        make().coord_to_idx(coord)


def test_joining_and_cutting():
    first, second = make(["b", "a"]), make(["c"])
    joined = LabelMapAxis.from_stack([first, second])
    assert joined.center.tolist() == ["b", "a", "c"]
    assert joined == first.concatenate(second)
    assert joined.slice(slice(1, 3)).center.tolist() == ["a", "c"]
    assert joined.squash().center.tolist() == ["b...c"]
    assert joined != first
    assert joined != joined.rename("other")
    assert joined != make(["a", "b", "c"])
    with pytest.raises(GeometryError, match="unique"):
        first.concatenate(first)
    with pytest.raises(GeometryError, match="Names must agree"):
        first.concatenate(second.rename("other"))
    with pytest.raises(TypeError, match="LabelMapAxis is needed"):
        first.concatenate(MapAxis.from_edges([0, 1], name="models"))


def test_bad_labels_are_refused():
    with pytest.raises(GeometryError, match="unique, got: a, a"):
        LabelMapAxis(["a", "a"])
    with pytest.raises(GeometryError, match="at least one label"):
        LabelMapAxis([])
    for name in ("upsample", "downsample", "resample", "pad"):
        with pytest.raises(GeometryError, match="LabelMapAxis is not supported"):
            getattr(make(), name)()
    with pytest.raises(GeometryError, match="does not define edges"):
        make().edges  # noqa: B018
    with pytest.raises(GeometryError, match="selects none"):
        make().slice(slice(5, 6))


def labelled(library="gpudl4", labels=LABELS):
    lib = get_library(library)
    energy = lib.maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)
    geom = lib.maps.WcsGeom.create(npix=(4, 3), binsz=0.5, axes=[energy, make(labels, library=library)])
    data = np.arange(np.prod(geom.data_shape), dtype=float).reshape(geom.data_shape)
    return lib.maps.Map.from_geom(geom, data=data, unit="s")


def test_maps_with_labels():
    cube = labelled()
    assert cube.geom.axes["models"].nbin == 3
    one = cube.slice_by_idx({"models": 1})
    np.testing.assert_array_equal(one.data, cube.data[1])
    assert cube.slice_by_idx({"models": slice(1, 3)}).geom.axes["models"].center.tolist() == LABELS[1:]
    assert cube.sum_over_axes(["models"]).geom.axes["models"].center.tolist() == ["zeta...a longer label"]
    np.testing.assert_allclose(cube.sum_over_axes(["models"]).data[0], cube.data.sum(axis=0))
    position = cube.geom.center_skydir
    value = cube.get_by_coord({"skycoord": position, "energy": "2 TeV", "models": np.array("alpha")})
    assert value == cube.data[1, 0][tuple(int(np.squeeze(p)) for p in cube.geom.to_image().coord_to_idx(position)[::-1])]
    parts = [cube.slice_by_idx({"models": slice(i, i + 1)}) for i in range(3)]
    joined = Map.from_stack(parts, axis_name="models")
    assert joined.geom == cube.geom
    np.testing.assert_array_equal(joined.data, cube.data)
    assert "zeta" in repr(cube.geom.axes)
    assert cube.geom.axes != MapAxes([cube.geom.axes["energy"], MapAxis.from_edges([0, 1, 2, 3], name="models")])
    assert cube.geom == cube.geom.copy() if hasattr(cube.geom, "copy") else True


@pytest.mark.parametrize("labels", [["alpha", "beta", "gamma"], LABELS])
def test_own_files_keep_the_order(tmp_path, labels):
    cube = labelled(labels=labels)
    cube.write(tmp_path / "map.fits")
    back = Map.read(tmp_path / "map.fits")
    assert back.geom == cube.geom
    np.testing.assert_array_equal(back.data, cube.data)


@pytest.mark.parametrize(("writer", "reader"), [("gpudl4", "gammapy"), ("gammapy", "gpudl4")])
def test_files_go_both_ways(tmp_path, writer, reader):
    labels = ["alpha", "beta", "gamma"]  # gammapy sorts the labels it reads
    lib, other = get_library(writer), get_library(reader)
    cube = lib.maps.RegionNDMap.create("icrs;circle(83, 22, 1)", axes=[make(labels, library=writer)])
    cube.data += np.arange(3.0).reshape((3, 1, 1))
    cube.write(tmp_path / "map.fits")
    back = other.maps.Map.read(tmp_path / "map.fits", hdu="SKYMAP", format="gadf")
    np.testing.assert_array_equal(back.data, cube.data)
    assert back.geom.axes["models"].center.tolist() == labels


def test_tables():
    table = Table({"CHANNEL": [0, 1], "MODELS": ["b", "a"]}, meta={"AXCOLS1": "MODELS"})
    assert LabelMapAxis.from_table(table).center.tolist() == ["b", "a"]
    table["MODELS"] = [1.0, 2.0]
    with pytest.raises(TypeError, match="dtype"):
        LabelMapAxis.from_table(table)
    table.meta["AXCOLS1"] = "NONE"
    with pytest.raises(DataFileError, match="column 'NONE'"):
        LabelMapAxis.from_table(table)
    with pytest.raises(GeometryError, match="unknown table format"):
        LabelMapAxis.from_table(table, format="x")
    assert isinstance(RegionNDMap.create(None, axes=[make()]), RegionNDMap)


def test_one_label_is_a_coordinate():
    axis = LabelMapAxis(["first", "second"], name="run")
    cube = Map.create(npix=3, binsz=1, skydir=(1, 1), axes=[axis])
    cube.data[1] = 5
    assert cube.get_by_coord((1, 1, "second")) == [5]
    assert cube.get_by_coord({"lon": 1, "lat": 1, "run": "first"}) == [0]
    cube.set_by_coord((1, 1, "first"), 7)
    assert cube.data[0, 1, 1] == 7
