"""Pictures of flux points: values, errors, limits, units, and light curves."""

import astropy.units as u
import matplotlib.dates
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.time import Time

from gpudl4.core.errors import DatasetError, UnitMismatchError
from gpudl4.fluxes import FluxMaps, FluxPoints
from gpudl4.maps import Map, MapAxis, RegionGeom, TimeMapAxis
from gpudl4.models import PowerLawSpectralModel
from gpudl4.plot.flux_points import flux_arrays, flux_label
from tests.factory import make_geom
from tests.fluxes.sed import EDGES, make_table
from tests.paths import shared_data
from tests.plot.test_region_datasets import bars


def close(mine, other):
    """Equal to six digits however small the numbers are."""
    return np.allclose(mine, other, rtol=1e-6, atol=0)


MODEL = PowerLawSpectralModel(index=2.4, amplitude="3e-12 cm-2 s-1 TeV-1")


def make_points(sed_type="dnde", limits=(5,), **kwargs):
    """Six points; those of `limits` are upper limits, whatever their significance."""
    points = FluxPoints.from_table(make_table(sed_type, limits=limits, **kwargs), reference_model=MODEL)
    points.is_ul = np.isin(np.arange(6), limits).reshape(points.geom.data_shape)
    return points


def make_light_curve(n_energy=2, profiles=False):
    """Three nights with a gap after the second."""
    time = TimeMapAxis(edges_min=[0, 1, 4] * u.d, edges_max=[1, 2, 5] * u.d, reference_time=Time(55000, format="mjd", scale="tt"))
    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=n_energy)
    geom = RegionGeom.create(None, axes=[energy, time])
    data = np.arange(1.0, 3 * n_energy + 1).reshape(geom.data_shape)
    maps = {"norm": Map.from_geom(geom, data=data), "norm_err": Map.from_geom(geom, data=0.1 * data)}
    if profiles:
        norm = MapAxis.from_nodes(np.linspace(0.2, 5, 25), name="norm")
        scan = RegionGeom.create(None, axes=[norm, energy, time])
        maps["stat_scan"] = Map.from_geom(scan, data=((norm.center.value[:, None, None] - data[..., None, :, :]) / 0.5) ** 2)
        maps["stat"] = Map.from_geom(geom)
    return FluxPoints(maps, MODEL)


@pytest.mark.parametrize("sed_type", ["dnde", "e2dnde", "flux", "eflux", "norm"])
def test_values_errors_and_limits(sed_type):
    points = make_points(limits=(2, 5))
    ax = points.plot(sed_type=sed_type)
    x, y, low, high = bars(ax)
    value, errn, errp, limit = (getattr(points, sed_type + suffix).data.ravel() for suffix in ("", "_errn", "_errp", "_ul"))
    unit = {"dnde": "cm-2 s-1 TeV-1", "e2dnde": "erg cm-2 s-1", "flux": "cm-2 s-1", "eflux": "erg cm-2 s-1", "norm": ""}[sed_type]
    factor = points[sed_type].unit.to(unit)
    is_ul = np.isin(np.arange(6), (2, 5))
    assert close(x, np.sqrt(EDGES[1:] * EDGES[:-1]))
    assert close(y / factor, np.where(is_ul, limit, value))
    assert close(low / factor, np.where(is_ul, 0.5 * limit, value - errn))
    assert close(high / factor, np.where(is_ul, limit, value + errp))
    arrows = [np.ma.compressed(np.ma.masked_invalid(np.ma.asarray(line.get_ydata(), dtype=float))) for line in ax.containers[0].lines[1]]
    assert any(ends.size == 2 and close(ends, (0.5 * factor * limit)[is_ul]) for ends in arrows)
    assert ax.get_yscale() == "log"
    assert (f"[{u.Unit(unit).to_string('unicode')}]" in ax.get_ylabel()) == (sed_type != "norm")
    ends = np.array([segment[:, 0] for segment in ax.containers[0].lines[2][0].get_segments()])
    assert close(ends.T, [EDGES[:-1], EDGES[1:]])


def test_plotting_changes_nothing():
    points = make_points()
    before = {name: points[name].data.copy() for name in points.available_quantities}
    points.plot(sed_type="flux")
    for name, data in before.items():
        assert np.array_equal(points[name].data, data, equal_nan=True)


def test_all_limits():
    points = make_points(limits=range(6))
    ax = points.plot()
    _, y, low, high = bars(ax)
    assert points.is_ul.data.all()
    assert close(y, points.dnde_ul.data.ravel())
    assert close(low, 0.5 * y)
    assert close(high, y)
    bottom, top = ax.get_ylim()
    assert bottom < low.min()
    assert top > y.max()


def test_symmetric_errors_no_errors_and_unknown_limits():
    points = make_points(errors="symmetric", limits=())
    _, y, low, high = bars(points.plot(ax=plt.figure().add_subplot()))
    assert close(high - y, points.dnde_err.data.ravel())
    assert close(y - low, points.dnde_err.data.ravel())
    bare = make_points(errors=None)
    assert bare.is_ul.data.ravel().tolist() == [False] * 5 + [True]
    _, y, low, _ = bars(bare.plot(ax=plt.figure().add_subplot()))
    assert np.isnan(low[:5]).all()
    assert close([y[5], low[5]], bare.dnde_ul.data[5, 0, 0] * np.array([1, 0.5]))
    bare.is_ul = np.zeros(bare.geom.data_shape, dtype=bool)
    container = bare.plot(ax=plt.figure().add_subplot()).containers[0]
    assert container.has_xerr
    assert not container.has_yerr
    points.norm_ul.data[1] = np.nan
    points.is_ul = np.ones(points.geom.data_shape, dtype=bool)
    values, errn, _, is_ul = (part.ravel() for part in flux_arrays(points, "dnde"))
    assert is_ul.tolist() == [True, False, True, True, True, True]
    assert values[1] == points.dnde.data.ravel()[1]
    assert errn[1] == points.dnde_err.data.ravel()[1]


@pytest.mark.parametrize(("power", "label", "unit"), [(1, "E dN/dE", "cm-2 s-1"), (2, "E$^{2}$ dN/dE", "TeV cm-2 s-1")])
def test_powers_of_the_energy(power, label, unit):
    points = make_points(limits=())
    ax = points.plot(sed_type="dnde", energy_power=power)
    x, y, *_ = bars(ax)
    assert close(y, points.dnde.data.ravel() * x**power)
    assert ax.get_ylabel() == f"{label} [{u.Unit(unit).to_string('unicode')}]"
    assert flux_label("e2dnde", 2, u.Unit("erg")) == "E$^{2}$ (E$^{2}$ dN/dE) [erg]"


def test_units_of_the_axes_are_used():
    points = make_points(limits=())
    ax = plt.figure().add_subplot()
    ax.xaxis.set_units(u.GeV)
    ax.yaxis.set_units(u.Unit("TeV cm-2 s-1"))
    points.plot(ax=ax, sed_type="e2dnde", color="red")
    x, y, *_ = bars(ax)
    assert close(x, 1e3 * points.energy_ref.value)
    assert close(y, (points.dnde.quantity * points.energy_ref.reshape(-1, 1, 1) ** 2).to_value("TeV cm-2 s-1").ravel())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Energy [GeV]", "E$^{2}$ dN/dE [TeV s⁻¹ cm⁻²]")
    MODEL.plot(energy_bounds=(1, 10) * u.TeV, ax=ax, sed_type="e2dnde", n_points=2)
    assert close(ax.lines[-1].get_xdata(), 1000 * 10 ** np.array([0.25, 0.75]))  # centres of two bins
    assert close(ax.lines[-1].get_ydata(), 3e-12 * 10 ** np.array([-0.1, -0.3]))
    with pytest.raises(UnitMismatchError, match="does not convert to"):
        points.plot(ax=ax, sed_type="flux")


def test_energies_of_ogip_are_not_drawn_in_kev():
    table = make_table("dnde")
    for name in ("e_ref", "e_min", "e_max"):
        table[name] = table[name].to("keV")
    ax = FluxPoints.from_table(table, reference_model=MODEL).plot(energy_power=2)
    assert ax.get_xlabel() == "Energy [TeV]"
    assert close(bars(ax)[0], np.sqrt(EDGES[1:] * EDGES[:-1]))
    assert ax.get_ylabel() == "E$^{2}$ dN/dE [TeV s⁻¹ cm⁻²]"


def test_overlays_go_to_the_current_axes():
    first, second = make_points().plot(label="a"), make_points(seed=1).plot(label="b")
    assert first is second
    assert first.get_legend_handles_labels()[1] == ["a", "b"]
    assert len({container.lines[0].get_color() for container in first.containers}) == 2
    assert make_points().plot(sed_type="flux") is not first  # other units: a new figure


def test_light_curve():
    points = make_light_curve()
    ax = points.plot(sed_type="flux", axis_name="time", time_format="mjd")
    assert [container.get_label() for container in ax.containers] == ["1 – 3.16 TeV", "3.16 – 10 TeV"]
    for number in (0, 1):
        x, y, low, _ = bars(ax, number)
        assert close(x, [55000.5, 55001.5, 55004.5])
        assert close(y, points.flux.data[:, number, 0, 0])
        assert close(y - low, points.flux_err.data[:, number, 0, 0])
    assert ax.get_xlabel() == "Time [MJD, TT]"
    assert ax.get_legend() is not None

    ax = points.plot(ax=plt.figure().add_subplot(), sed_type="flux", axis_name="time")
    assert close(bars(ax)[0], matplotlib.dates.date2num(points.geom.axes["time"].time_mid.datetime))
    assert ax.get_xlabel() == "Time [TT]"
    ax = points.plot(ax=plt.figure().add_subplot(), axis_name="energy", color="red")
    assert len(ax.containers) == 3
    assert ax.containers[0].get_label() == "MJD 55000.00 – 55001.00"
    with pytest.raises(DatasetError, match="name the one to follow with axis_name: energy, time"):
        points.plot()
    with pytest.raises(DatasetError, match="unknown time_format 'jd'"):
        points.plot(axis_name="time", time_format="jd")


def test_what_cannot_be_drawn():
    with pytest.raises(DatasetError, match="sed_type 'likelihood' cannot be plotted; known: dnde, e2dnde"):
        make_points().plot(sed_type="likelihood")
    with pytest.raises(DatasetError, match="no profiles of the fit statistic"):
        make_points().plot_ts_profiles()
    maps = FluxMaps({"norm": Map.from_geom(make_geom(), data=1.0)}, MODEL)
    points = FluxPoints(maps._data, MODEL)
    with pytest.raises(DatasetError, match="only flux points of a region can be plotted"):
        points.plot()
    with pytest.raises(DatasetError, match="one axis only"):
        make_light_curve(2, profiles=True).plot_ts_profiles()
    assert not plt.get_fignums()


def test_profiles_along_time_leave_gaps_and_unknown_profiles_white():
    points = make_light_curve(1, profiles=True)
    points.stat_scan.data[1] = 7.0  # flat
    ax = points.plot_ts_profiles(sed_type="norm", vmin=-9)
    mesh = ax.collections[-1]
    values = np.ma.filled(mesh.get_array(), np.nan)
    assert values.shape == (500, 4)  # three nights and the gap
    assert np.isnan(values[:, 1:3]).all()
    edges = mesh.get_coordinates()[:, 0, 1]
    center = np.sqrt(edges[1:] * edges[:-1])
    for column, minimum in ((0, 1.0), (3, 3.0)):
        expected = -(((center - minimum) / 0.5) ** 2)
        shown = expected > -8.9
        np.testing.assert_allclose(values[shown, column], expected[shown], atol=1e-3)
        assert np.isnan(values[expected < -9.1, column]).all()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Time [TT]", "Norm")
    assert ax.figure.axes[-1].get_ylabel() == "Fit statistic difference"
    ax = points.plot_ts_profiles(ax=plt.figure().add_subplot(), add_cbar=False, cmap="Reds")
    assert len(ax.figure.axes) == 1
    assert ax.collections[-1].get_cmap().name == "Reds"


# ---- real flux points against gammapy ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("sed_type", "power"), [("dnde", 0), ("dnde", 2), ("e2dnde", 0), ("flux", 0), ("eflux", 0)])
@pytest.mark.parametrize("limits", [(), (2, 4), (1, 2, 3, 4)])
def test_real_spectrum_is_drawn_as_gammapy_draws_it(sed_type, power, limits):
    estimators = pytest.importorskip("gammapy.estimators")
    path = shared_data("flux-points", "crab_hess_fp.fits")
    axes = []
    for library in (FluxPoints, estimators.FluxPoints):
        points = library.read(path)
        points.is_ul = np.isin(np.arange(5), limits).reshape(5, 1, 1)
        axes.append(points.plot(ax=plt.figure().add_subplot(), sed_type=sed_type, energy_power=power))
    for mine, other in zip(bars(axes[0]), bars(axes[1]), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5)


def test_real_light_curve_is_drawn_as_gammapy_draws_it():
    estimators = pytest.importorskip("gammapy.estimators")
    path = shared_data("flux-points", "pks2155_hess_lc_3bins.fits")
    mine, other = (
        library.read(path, format="lightcurve").plot(ax=plt.figure().add_subplot(), axis_name="time", sed_type="flux", time_format="mjd")
        for library in (FluxPoints, estimators.FluxPoints)
    )
    assert len(mine.containers) == len(other.containers) == 3
    for number in range(3):
        for found, wanted in zip(bars(mine, number)[1:], bars(other, number)[1:], strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("sed_type", ["dnde", "e2dnde"])
def test_real_profiles_are_drawn_as_gammapy_draws_them(sed_type):
    estimators = pytest.importorskip("gammapy.estimators")
    path = shared_data("flux-points", "crab_hess_fp.fits")
    mine, other = (
        library.read(path).plot_ts_profiles(ax=plt.figure().add_subplot(), sed_type=sed_type)
        for library in (FluxPoints, estimators.FluxPoints)
    )
    found, wanted = (np.ma.filled(ax.collections[-1].get_array().astype(float), np.nan) for ax in (mine, other))
    assert np.isnan(found[:, 0]).all()  # its fit failed; gammapy fills the bin with the colour of the best flux
    edges, their_edges = (ax.collections[-1].get_coordinates()[:, 0, 1] for ax in (mine, other))
    center, their_center = np.sqrt(edges[1:] * edges[:-1]), np.sqrt(their_edges[1:] * their_edges[:-1])
    for column in range(1, 5):
        known = np.isfinite(wanted[:, column])
        again = np.interp(np.log(center), np.log(their_center[known]), wanted[known, column], left=np.nan, right=np.nan)
        both = np.isfinite(found[:, column]) & np.isfinite(again)
        assert both.sum() >= 10
        np.testing.assert_allclose(found[both, column], again[both], atol=0.02)
