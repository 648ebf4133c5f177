"""Axes with units, and map axes along them."""

import astropy.units as u
import matplotlib.dates
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.time import Time
from astropy.wcs import WCS

from gpudl4.core.errors import DatasetError, UnitMismatchError
from gpudl4.maps import LabelMapAxis, MapAxis, RegionNDMap, TimeMapAxis
from gpudl4.plot.axes import axis_unit, current_axes, energy_unit, label_axis, range_text, set_range, two_axes, x_positions


def test_the_first_unit_stays():
    ax = plt.figure().add_subplot()
    assert axis_unit(ax.xaxis, "TeV") == u.TeV
    assert axis_unit(ax.xaxis, "GeV") == u.TeV
    ax.yaxis.set_units("erg cm-2 s-1")
    assert axis_unit(ax.yaxis, "TeV cm-2 s-1") == u.Unit("erg cm-2 s-1")
    with pytest.raises(UnitMismatchError, match="the axes are in 'TeV', which 's' does not convert to"):
        axis_unit(ax.xaxis, "s")
    ax.yaxis.set_units("apples")
    with pytest.raises(UnitMismatchError, match="'apples', which is no unit"):
        axis_unit(ax.yaxis, "TeV")


def test_a_unit_is_shared_with_the_panel_below():
    upper, lower = two_axes(None, None, (5, 5))
    assert energy_unit(lower.xaxis, [10, 1000] * u.GeV) == u.GeV
    assert energy_unit(upper.xaxis, [1, 2] * u.TeV) == u.GeV
    with pytest.raises(DatasetError, match="give both axes"):
        two_axes(upper, None, (5, 5))
    assert two_axes(upper, lower, (5, 5)) == (upper, lower)


@pytest.mark.parametrize(("energies", "unit"), [([1e8, 1e10] * u.keV, "TeV"), ([3e7, 2e8] * u.keV, "GeV"), ([10, 2000] * u.GeV, "GeV")])
def test_energies_keep_their_unit_but_for_that_of_ogip(energies, unit):
    assert energy_unit(plt.figure().add_subplot().xaxis, energies) == u.Unit(unit)


def test_current_axes():
    figure = plt.figure()
    ax = figure.add_subplot()
    assert current_axes() is ax
    other = plt.figure().add_subplot()
    assert current_axes(ax) is ax
    ax.xaxis.set_units(u.TeV)
    plt.figure(figure.number)
    assert current_axes(x=u.GeV) is ax
    assert current_axes(x=u.s) not in (ax, other)
    sky = plt.figure().add_subplot(projection=WCS(naxis=2))
    assert current_axes() is not sky


def test_positions_along_energy_time_and_labels():
    ax = plt.figure().add_subplot()
    center, low, high = x_positions(MapAxis.from_energy_edges([1, 10, 100] * u.GeV), ax)
    assert np.allclose(low, [1, 10])
    assert np.allclose(high, [10, 100])
    assert np.allclose(center, np.sqrt(low * high))

    start = Time(["2020-01-01", "2020-01-05"])
    axis = TimeMapAxis(edges_min=[0, 4] * u.d, edges_max=[1, 6] * u.d, reference_time=start[0])
    _, low, high = x_positions(axis, plt.figure().add_subplot(), "mjd")
    assert np.allclose(low, start.mjd)
    assert np.allclose(high, start.mjd + [1, 2])
    ax = plt.figure().add_subplot()
    center, low, _ = x_positions(axis, ax)
    assert np.allclose(low, matplotlib.dates.date2num(start.datetime))
    assert np.allclose(center - low, [0.5, 1])
    label_axis(axis, ax)
    assert ax.get_xlabel() == "Time [UTC]"
    with pytest.raises(DatasetError, match="unknown time_format 'jd'; known: iso, mjd"):
        x_positions(axis, ax, "jd")

    axis, ax = LabelMapAxis(["a", "b"], name="run"), plt.figure().add_subplot()
    assert np.allclose(x_positions(axis, ax)[0], [0, 1])
    label_axis(axis, ax)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a", "b"]
    assert ax.get_xlabel() == "Run"


def test_labels_of_bins():
    assert range_text(MapAxis.from_energy_edges([0.1, 1, 10] * u.TeV), 0) == "0.1 – 1 TeV"
    assert range_text(MapAxis.from_edges([0, 1, 2], name="x"), 1) == "1 – 2"
    assert range_text(LabelMapAxis(["a", "b"], name="run"), 1) == "b"
    axis = TimeMapAxis(edges_min=[0] * u.d, edges_max=[1] * u.d, reference_time=Time(55000, format="mjd"))
    assert range_text(axis, 0) == "MJD 55000.00 – 55001.00"


def test_ranges_only_grow():
    ax = plt.figure().add_subplot()
    set_range(ax, "x", 1, 2, fresh=True)
    assert ax.get_xlim() == (1, 2)
    set_range(ax, "x", 1.5, 3, fresh=False)
    assert ax.get_xlim() == (1, 3)
    set_range(ax, "x", np.nan, 3, fresh=True)
    assert ax.get_xlim() == (1, 3)


def test_axes_format_a_picture():
    ax = plt.figure().add_subplot()
    ax.plot([1, 2], [1, 2])
    axis = MapAxis.from_energy_bounds("1 GeV", "100 GeV", nbin=3, name="energy_true")
    assert axis.format_plot_xaxis(ax) is ax
    assert (ax.get_xlabel(), ax.get_xscale()) == ("True energy [GeV]", "log")
    assert np.allclose(ax.get_xlim(), [1, 100])
    assert LabelMapAxis(["a", "b"], name="run").format_plot_xaxis(plt.figure().add_subplot()).get_xlim() == (-0.5, 1.5)
    axis = TimeMapAxis(edges_min=[0] * u.d, edges_max=[1] * u.d, reference_time=Time(55000, format="mjd"))
    assert axis.format_plot_xaxis(ax=plt.figure().add_subplot()).get_xlabel() == "Time [UTC]"
    assert MapAxis.from_edges([0, 1, 2], name="x").format_plot_xaxis(plt.figure().add_subplot()).get_xlabel() == "X"


def test_axes_of_numbers_format_y():
    ax = plt.figure().add_subplot()
    axis = MapAxis.from_energy_bounds("1 GeV", "100 GeV", nbin=3)
    assert axis.format_plot_yaxis(ax=ax) is ax
    assert (ax.get_ylabel(), ax.get_yscale()) == ("Energy [GeV]", "log")
    assert np.allclose(ax.get_ylim(), [1, 100])
    ax = MapAxis.from_edges([0, 0.5, 2], name="rad", unit="deg").format_plot_yaxis(plt.figure().add_subplot())
    assert (ax.get_ylabel(), ax.get_yscale(), ax.get_ylim()) == ("Rad [deg]", "linear", (0, 2))


def test_the_format_of_a_time_axis_is_used_where_none_is_given():
    axis = TimeMapAxis(edges_min=[0, 4] * u.d, edges_max=[1, 6] * u.d, reference_time=Time(55000, format="mjd"))
    axis.time_format = "mjd"
    assert np.allclose(x_positions(axis, plt.figure().add_subplot())[1], [55000, 55004])
    assert axis.format_plot_xaxis(plt.figure().add_subplot()).get_xlabel() == "Time [MJD, UTC]"
    assert x_positions(axis, plt.figure().add_subplot(), "iso")[1][0] < 50000  # days of matplotlib
    curve = RegionNDMap.create(region=None, axes=[axis], unit="cm-2 s-1", data=np.array([1.0, 2]).reshape(2, 1, 1))
    ax = curve.plot(ax=plt.figure().add_subplot(), axis_name="time")
    assert np.allclose(ax.containers[0].lines[0].get_xdata(), [55000.5, 55005])
    assert ax.get_xlabel() == "Time [MJD, UTC]"
