"""Pictures of flux points with models: residuals and panels, as gammapy draws them."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest

from gpudl4.core.errors import DatasetError
from gpudl4.datasets import FluxPointsDataset
from gpudl4.fluxes import FluxPoints
from gpudl4.maps import MapAxis
from gpudl4.models import PowerLawSpectralModel, SkyModel
from tests.paths import shared_data
from tests.plot.test_flux_points import close, make_light_curve, make_points
from tests.plot.test_region_datasets import bars


def make_dataset(n_models=1, **kwargs):
    spectrum = PowerLawSpectralModel(index=2.5, amplitude="2.5e-12 cm-2 s-1 TeV-1")
    models = [SkyModel(spectrum.copy(), name=f"source-{number}") for number in range(n_models)]
    return FluxPointsDataset(models=models, data=make_points(**kwargs), name="points")


@pytest.mark.parametrize("method", ["diff", "diff/model"])
def test_residuals_and_their_errors(method):
    dataset = make_dataset(limits=(5,))
    ax = dataset.plot_residuals(method=method, color="red")
    model = dataset.flux_pred().value.ravel()
    points = dataset.data
    scale = model if method == "diff/model" else 1.0
    value, errn, errp = (points[name].data.ravel() for name in ("dnde", "dnde_errn", "dnde_errp"))
    _, y, low, high = bars(ax)
    assert close(y[:5], ((value - model) / scale)[:5])
    assert close(high[:5] - y[:5], (errp / scale)[:5])
    assert close(y[:5] - low[:5], (errn / scale)[:5])
    assert np.isnan(y[5])
    assert ax.get_xlabel() == "Energy [TeV]"
    assert ("[TeV⁻¹ s⁻¹ cm⁻²]" in ax.get_ylabel()) == (method == "diff")
    assert "(data − model) / model" in ax.get_ylabel() or method == "diff"
    bottom, top = ax.get_ylim()
    assert bottom == -top
    assert top > np.nanmax(high)


def test_spectrum_with_models():
    dataset = make_dataset(n_models=2, limits=())
    ax = dataset.plot_spectrum(kwargs_fp={"color": "green", "marker": "s"}, kwargs_model={"ls": "--", "n_points": 5})
    assert close(bars(ax)[1], dataset.data.e2dnde.quantity.to_value("erg cm-2 s-1").ravel())
    lines = [line for line in ax.lines if line.get_label().startswith("Best fit model")]
    assert [line.get_label() for line in lines] == ["Best fit model, source-0", "Best fit model, source-1"]
    energy = MapAxis.from_energy_bounds("0.5 TeV", "50 TeV", nbin=5).center
    assert close(lines[0].get_xdata(), energy.value)
    model = dataset.models[0].spectral_model
    assert close(lines[0].get_ydata(), (model(energy) * energy**2).to_value("erg cm-2 s-1"))
    assert lines[0].get_linestyle() == "--"
    dataset.models = None
    ax = dataset.plot_spectrum(ax=plt.figure().add_subplot(), kwargs_fp={"sed_type": "dnde"})
    assert close(bars(ax)[1], dataset.data.dnde.data.ravel())


@pytest.mark.parametrize("sed_type", ["flux", "eflux"])
def test_integral_fluxes_of_models_are_those_of_the_bins_of_the_points(sed_type):
    dataset = make_dataset(limits=())
    ax = dataset.plot_spectrum(kwargs_fp={"sed_type": sed_type})
    axis = dataset.data.geom.axes["energy"]
    model = dataset.models[0].spectral_model
    (line,) = (line for line in ax.lines if line.get_label() == "Best fit model")
    expected = (model.integral if sed_type == "flux" else model.energy_flux)(axis.edges_min, axis.edges_max)
    assert close(line.get_xdata(), axis.center.to_value("TeV"))
    assert close(line.get_ydata(), expected.to_value("cm-2 s-1" if sed_type == "flux" else "erg cm-2 s-1"))


def test_fit_panels():
    dataset = make_dataset()
    kwargs = {"kwargs_fp": {"sed_type": "dnde"}}
    upper, lower = dataset.plot_fit(kwargs_spectrum=kwargs, kwargs_residuals={"markersize": 9})
    assert kwargs == {"kwargs_fp": {"sed_type": "dnde"}}
    assert upper.get_xlim() == lower.get_xlim()
    assert (upper.get_xlabel(), lower.get_xlabel()) == ("", "Energy [TeV]")
    assert "/ model" in lower.get_ylabel()
    assert lower.containers[0].lines[0].get_markersize() == 9
    axes = plt.figure().subplots(2, 1)
    assert dataset.plot_fit(*axes) == tuple(axes)
    upper, lower = dataset.plot_fit(ax_residuals=plt.figure().add_subplot())
    assert upper.figure is not lower.figure


def test_what_cannot_be_drawn():
    dataset = make_dataset()
    with pytest.raises(DatasetError, match=r"unknown method 'diff/sqrt\(model\)' of residuals; known: diff, diff/model"):
        dataset.plot_residuals(method="diff/sqrt(model)")
    with pytest.raises(DatasetError, match="along 'energy' or 'time', got axis_name='norm'"):
        dataset.plot_spectrum(axis_name="norm")
    dataset.models = None
    for verb in ("plot_fit", "plot_residuals"):
        with pytest.raises(DatasetError, match="'points' has no models to compare with"):
            getattr(dataset, verb)()
    curve = FluxPointsDataset(data=make_light_curve(), name="curve")
    for verb in ("plot_fit", "plot_residuals"):
        with pytest.raises(DatasetError, match="only flux points along energy can be drawn with residuals"):
            getattr(curve, verb)()
    assert not plt.get_fignums()
    ax = curve.plot_spectrum(axis_name="time", kwargs_fp={"time_format": "mjd"})
    assert close(bars(ax)[1], curve.data.norm.data[:, 0, 0, 0])


def test_all_limits_have_no_residuals():
    dataset = make_dataset(limits=range(6))
    _, lower = dataset.plot_fit()
    assert np.isnan(bars(lower)[1]).all()


@pytest.mark.parametrize("method", ["diff", "diff/model"])
def test_real_points_are_drawn_as_gammapy_draws_them(method):
    estimators, datasets = pytest.importorskip("gammapy.estimators"), pytest.importorskip("gammapy.datasets")
    models = pytest.importorskip("gammapy.modeling.models")
    path = shared_data("flux-points", "crab_hess_fp.fits")
    values = {"index": 2.5, "amplitude": 3.8e-11 / u.Unit("cm2 s TeV"), "reference": 1 * u.TeV}
    ours = FluxPointsDataset(models=[SkyModel(PowerLawSpectralModel(**values), name="crab")], data=FluxPoints.read(path))
    crab = models.SkyModel(models.PowerLawSpectralModel(**values), name="crab")
    theirs = datasets.FluxPointsDataset(models=[crab], data=estimators.FluxPoints.read(path))
    kwargs = {"kwargs_residuals": {"method": method}}
    for mine, other in zip(ours.plot_fit(**kwargs), theirs.plot_fit(**kwargs), strict=True):
        for found, wanted in zip(bars(mine), bars(other), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.nanmax(np.abs(wanted)))
