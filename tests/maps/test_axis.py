"""MapAxis: construction, bins, changes, errors."""

import pickle

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import GeometryError, UnitMismatchError
from gpudl4.maps import MapAxis


@pytest.fixture
def energy():
    return MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", 4)


def test_log_centers_are_geometric_means(energy):
    np.testing.assert_allclose(energy.center.value, np.sqrt(energy.edges.value[1:] * energy.edges.value[:-1]), rtol=1e-14)
    assert energy.edges.unit == "TeV"
    assert energy.is_energy_axis
    np.testing.assert_allclose(energy.nbin_per_decade, 2)


def test_edges_are_the_nodes_exactly():
    nodes = np.array([0.1, 0.3, 1.7, 9.9])
    assert (MapAxis.from_edges(nodes, interp="log", name="x").edges.value == nodes).all()


def test_center_nodes_have_edges_half_a_pixel_away():
    axis = MapAxis.from_nodes([1, 3, 5], name="x", unit="deg")
    np.testing.assert_allclose(axis.edges.value, [0, 2, 4, 6])
    axis = MapAxis.from_nodes([1, 100], name="x", interp="log")
    np.testing.assert_allclose(axis.edges.value, [0.1, 10, 1000])
    np.testing.assert_allclose(axis.coord_to_pix(10), 0.5)


def test_single_node():
    axis = MapAxis.from_nodes([2.0], name="x", unit="deg")
    assert axis.nbin == 1
    np.testing.assert_allclose(axis.coord_to_pix([0, 2, 9]), 0)
    np.testing.assert_allclose(axis.edges.value, [2, 2])


def test_arrays_cannot_be_changed(energy):
    with pytest.raises(ValueError, match="read-only"):
        energy.edges.value[0] = 3
    with pytest.raises(AttributeError, match="name"):
        energy.name = "x"


def test_coord_to_idx():
    axis = MapAxis.from_edges([0, 1, 2], name="x")
    np.testing.assert_array_equal(axis.coord_to_idx([-0.1, 0, 0.99, 1, 2, np.nan]), [-1, 0, 0, 1, -1, -1])
    np.testing.assert_array_equal(axis.coord_to_idx([-5, 7], clip=True), [0, 1])
    np.testing.assert_array_equal(axis.pix_to_idx(np.array([-1, 0, 1, 2])), [-1, 0, 1, -1])
    np.testing.assert_array_equal(axis.pix_to_idx(np.array([-1, 0, 1, 2]), clip=True), [0, 0, 1, 1])


def test_units_and_text_as_coordinates(energy):
    np.testing.assert_allclose(energy.coord_to_pix("1000 GeV"), energy.coord_to_pix(1.0))
    np.testing.assert_allclose(energy.coord_to_pix([1, 2] * u.TeV), energy.coord_to_pix(np.array([1, 2])))
    with pytest.raises(UnitMismatchError, match="axis 'energy' does not convert"):
        energy.coord_to_pix(1 * u.deg)


def test_quantities_in_a_list():
    axis = MapAxis.from_edges([100 * u.GeV, 1 * u.TeV], name="energy", interp="log")
    assert axis.unit == "GeV"
    np.testing.assert_allclose(axis.edges.value, [100, 1000])
    assert MapAxis.from_edges(["1 TeV", "10 TeV"]).unit == "TeV"


def test_periodic():
    axis = MapAxis.from_bounds(0, 360, 4, name="phase", unit="deg", boundary_type="periodic")
    np.testing.assert_array_equal(axis.coord_to_idx([-10, 370, 360]), [3, 0, 0])
    np.testing.assert_allclose(axis.wrap_coord(-10 * u.deg).value, 350)


def test_changes_keep_the_unit_and_name(energy):
    for axis in (energy.upsample(2), energy.downsample(2), energy.pad(1), energy.slice(slice(1, 3)), energy.squash(), energy.rename("b")):
        assert axis.unit == "TeV"
        assert axis.interp == "log"
    assert energy.upsample(3).downsample(3) == energy
    assert energy.to_node_type("center").to_node_type("edges").is_allclose(energy)
    assert energy.to_node_type("edges") is energy


def test_concatenate(energy):
    both = energy.slice(slice(0, 2)).concatenate(energy.slice(slice(2, None)))
    assert both == energy
    assert MapAxis.from_stack([energy.slice(slice(i, i + 1)) for i in range(4)]) == energy
    with pytest.raises(GeometryError, match="the next begins at"):
        energy.slice(slice(0, 1)).concatenate(energy.slice(slice(2, None)))
    with pytest.raises(GeometryError, match="differ in name"):
        energy.concatenate(energy.rename("other"))
    centers = MapAxis.from_nodes([1, 2], name="x", unit="m").concatenate(MapAxis.from_nodes([300, 400], name="x", unit="cm"))
    np.testing.assert_allclose(centers.center.value, [1, 2, 3, 4])


def test_equality(energy):
    in_gev = MapAxis.from_energy_edges(energy.edges.to("GeV"))
    assert energy == in_gev
    assert hash(energy) == hash(in_gev)
    assert energy != energy.rename("energy_true")
    assert energy != MapAxis.from_edges(energy.edges.value, unit="m", name="energy", interp="log")
    assert energy != energy.copy(interp="lin")
    assert energy.__eq__(3) is NotImplemented
    with pytest.raises(TypeError, match="cannot compare a MapAxis with str"):
        energy.is_allclose("energy")


def test_is_aligned(energy):
    assert energy.is_aligned(energy.pad(2))
    assert not energy.is_aligned(energy.upsample(2))


def test_pickle(energy):
    again = pickle.loads(pickle.dumps(energy))
    assert (again.edges == energy.edges).all()
    assert repr(again) == repr(energy)


def test_group_table(energy):
    groups = energy.group_table([0.35, 4] * u.TeV)
    assert list(groups["bin_type"]) == ["underflow", "normal   ", "overflow"]
    assert list(groups["idx_min"]) == [0, 1, 3]
    assert list(groups["idx_max"]) == [0, 2, 3]
    with pytest.raises(GeometryError, match="No overlap"):
        energy.group_table([20, 30] * u.TeV)
    with pytest.raises(GeometryError, match="node type 'center'"):
        energy.to_node_type("center").group_table([1, 2] * u.TeV)


def test_plot_properties(energy):
    low, high = energy.as_plot_xerr
    np.testing.assert_allclose((low + high).value, energy.bin_width.value)
    assert energy.as_plot_scale == "log"
    assert len(energy.as_plot_labels) == 4
    assert next(energy.iter_by_edges)[1] == energy.edges[1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MapAxis([1, 1, 2], name="x"), "axis 'x': nodes must be finite and increase strictly"),
        (lambda: MapAxis([2, 1], name="x"), "increase strictly"),
        (lambda: MapAxis([1, np.nan], name="x"), "finite"),
        (lambda: MapAxis([1], name="x"), "at least two edges"),
        (lambda: MapAxis([1, 2], interp="cubic"), "unknown interp 'cubic'"),
        (lambda: MapAxis([1, 2], node_type="middle"), "unknown node_type 'middle'"),
        (lambda: MapAxis([-1, 2], interp="log"), "not negative"),
        (lambda: MapAxis([1, 2], boundary_type="odd"), "boundary_type"),
        (lambda: MapAxis.from_bounds(0, 2, 3, interp="log", name="x"), "log bounds must be positive"),
        (lambda: MapAxis.from_bounds(1, 2, 3, interp="cubic"), "unknown interp"),
        (lambda: MapAxis.from_energy_bounds("1 TeV", "2 TeV", 2, name="offset"), "named 'energy' or 'energy_true'"),
        (lambda: MapAxis([1, 2, 3], name="x").slice(slice(5, 7)), "selects none of the 2 bins"),
        (lambda: MapAxis([1, 2, 3, 4], name="x").downsample(2), "cannot be grouped by 2"),
        (lambda: MapAxis([1, 2], name="x").assert_name("y"), "named 'y' is needed"),
        (lambda: MapAxis([1, 2]).nbin_per_decade, "need 'log'"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(GeometryError, match=message):
        make()


def test_bad_energy_unit_and_name():
    with pytest.raises(UnitMismatchError, match="needs an energy unit, got: 'm'"):
        MapAxis.from_energy_edges([1, 2] * u.m)
    with pytest.raises(UnitMismatchError, match="energy unit"):
        MapAxis.from_energy_bounds("1 m", "2 m", 2)
    with pytest.raises(TypeError, match="must be a string"):
        MapAxis([1, 2], name=3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        MapAxis([1, 2], colour="red")
