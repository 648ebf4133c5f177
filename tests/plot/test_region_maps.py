"""Maps of a region along an axis."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.time import Time

from gpudl4.core.errors import GeometryError, UnitMismatchError
from gpudl4.maps import Map, MapAxis, RegionGeom, TimeMapAxis
from gpudl4.plot import plot_region_hist, plot_region_map, plot_region_mask
from tests.factory import make_geom
from tests.plot.test_region_datasets import bars, spans

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=4)
TIME = TimeMapAxis(edges_min=[0, 2] * u.d, edges_max=[1, 3] * u.d, reference_time=Time(55000, format="mjd", scale="tt"))


def make_map(axes=(ENERGY,), unit=""):
    geom = RegionGeom.create(None, axes=list(axes))
    return Map.from_geom(geom, data=np.arange(1.0, np.prod(geom.data_shape) + 1).reshape(geom.data_shape), unit=unit)


def test_along_its_axis():
    geom = make_geom()
    spectrum = Map.from_geom(geom, data=np.arange(3.0)[:, None, None] + np.ones(geom.data_shape)).get_spectrum()
    ax = plot_region_map(spectrum)
    assert np.allclose(ax.containers[0].lines[0].get_ydata(), 480 * np.array([1, 2, 3]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Energy [TeV]", "Value")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert np.allclose(ax.get_xlim(), [1, 10])


def test_units_errors_and_arguments():
    values = make_map(unit="m2 s")
    ax = plt.figure().add_subplot()
    ax.yaxis.set_units("cm2 s")
    values.plot(ax, yerr=0.1 * values.quantity, xerr=None, ls="-", color="red")
    _, y, low, high = bars(ax)
    assert np.allclose(y, 1e4 * np.arange(1, 5))
    assert np.allclose(y - low, 0.1 * y)
    assert np.allclose(high - y, 0.1 * y)
    line = ax.containers[0].lines[0]
    assert (line.get_linestyle(), line.get_color()) == ("-", "red")
    assert not ax.containers[0].has_xerr
    assert ax.get_ylabel() == "Value [cm² s]"
    with pytest.raises(UnitMismatchError, match="does not convert"):
        make_map(unit="TeV").plot(ax=ax)
    pair = (0.1 * values.data, 0.2 * values.data)
    _, y, low, high = bars(values.plot(ax=plt.figure().add_subplot(), yerr=pair))
    assert np.allclose([y - low, high - y], [0.1 * y, 0.2 * y])


def test_several_axes_are_several_lines():
    values = make_map((ENERGY, TIME))
    ax = values.plot(axis_name="time", yerr=0.5 * values.data)
    assert len(ax.containers) == 4
    for number in range(4):
        _, y, low, _ = bars(ax, number)
        assert np.allclose(y, values.data[:, number, 0, 0])
        assert np.allclose(low, 0.5 * y)
    assert (ax.get_xlabel(), ax.get_yscale()) == ("Time [TT]", "linear")
    assert ax.containers[1].get_label() == "1.78 – 3.16 TeV"
    with pytest.raises(GeometryError, match="the map has several axes, name the one to follow with axis_name: energy, time"):
        values.plot()
    with pytest.raises(GeometryError, match="several axes"):
        values.plot_hist()


def test_steps():
    values = make_map(unit="TeV")
    ax = values.plot_hist(color="red")
    assert np.allclose(ax.patches[0].get_xy()[1:-1:2, 1], [1, 2, 3, 4])
    assert np.allclose(ax.patches[0].get_xy()[[1, -2], 0], [1, 10])
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("Energy [TeV]", "Value [TeV]", "log")
    assert plot_region_hist(values) is ax


def test_mask():
    mask = make_map() > 2
    mask.data[3] = False
    mask.data[0] = True
    ax = plot_region_mask(mask, color="green")
    edges = ENERGY.edges.value
    found = spans(ax)
    assert [label for label, *_ in found] == ["mask", "_nolegend_"]
    assert np.allclose([rest for _, *rest in found], [edges[[0, 1]], edges[[2, 3]]])
    assert mask.plot_mask(ax=ax) is ax
    with pytest.raises(GeometryError, match="a mask has boolean values, these are float64"):
        make_map().plot_mask()


def test_same_on_a_device(device):
    from tests.plot.test_device import same_picture

    for host in (make_map(), make_map() > 2):
        draw = (lambda m: m.plot_mask()) if host.is_mask else (lambda m: m.plot_hist())
        same_picture(draw, host.to_device(device), host)
