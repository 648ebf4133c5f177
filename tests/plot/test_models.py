"""Positions and spectra of models."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest

from gpudl4.core.errors import ModelError
from gpudl4.maps import MapAxis
from gpudl4.models import PowerLawSpectralModel
from gpudl4.plot import plot_counts, plot_source_spectra, plot_spatial_model, plot_spectral_model
from gpudl4.plot.models import _outline
from tests.factory import make_dataset, make_models


def test_positions_are_marked_where_the_models_are():
    dataset = make_dataset()
    ax = plot_counts(dataset)
    crosses = [line for line in ax.lines if line.get_marker() == "+"]
    x, y = dataset.counts.geom.to_image().wcs.world_to_pixel(dataset.models["point"].position)
    assert any(np.allclose([line.get_xdata()[0], line.get_ydata()[0]], [x, y]) for line in crosses)
    assert len(crosses) == 2


def test_outline_has_the_axes_of_the_ellipse():
    model = make_models()["gauss"]  # sigma 0.18 deg, e 0.5, 30 deg from north to east
    outline = _outline(model)
    distance = model.position.separation(outline).deg
    assert distance.max() == pytest.approx(0.18, rel=1e-6)
    assert distance.min() == pytest.approx(0.18 * np.sqrt(0.75), rel=1e-3)
    angle = model.position.position_angle(outline[np.argmax(distance)]).deg % 180
    assert angle == pytest.approx(30, abs=4)
    assert _outline(make_models()["point"]) is None


def test_source_outside_the_image_is_not_marked():
    dataset = make_dataset()
    dataset.models["point"].spatial_model.lon_0.value = 20
    assert {text.get_text() for text in plot_counts(dataset).texts} == {"gauss"}


def test_error_band_of_a_power_law():
    model = PowerLawSpectralModel(index=2.0, amplitude="1e-12 cm-2 s-1 TeV-1", reference="1 TeV")
    model.amplitude.error = 1e-13
    model.index.error = 0.1
    ax = plot_spectral_model(model, ("0.1 TeV", "10 TeV"), n_points=3, error_band=True)
    upper = ax.collections[0].get_paths()[0].vertices
    energies = np.array([0.1, 1, 10])
    relative = np.hypot(0.1, 0.1 * np.log(energies))
    for energy, error in zip(energies, relative, strict=True):
        band = upper[np.isclose(upper[:, 0], energy), 1]
        assert band.max() == pytest.approx(1e-12 * energy**-2 * np.exp(error), rel=1e-3)
        assert band.min() == pytest.approx(1e-12 * energy**-2 * np.exp(-error), rel=1e-3)
    assert "cm⁻²" in ax.get_ylabel()
    assert model.plot(("0.1 TeV", "10 TeV"), sed_type="e2dnde").lines[0].get_ydata()[0] == pytest.approx((1e-12 * u.TeV).to_value("erg"))
    with pytest.raises(ModelError, match="sed_type 'flux' cannot be plotted; known: 'dnde', 'e2dnde'"):
        plot_spectral_model(model, ("0.1 TeV", "10 TeV"), sed_type="flux")


def test_error_band_alone_is_that_of_the_model():
    model = PowerLawSpectralModel(index=2.0, amplitude="1e-12 cm-2 s-1 TeV-1", reference="1 TeV")
    model.amplitude.error = 1e-13
    ax = model.plot((100, 10000) * u.GeV, energy_power=1, n_points=3)
    assert model.plot_error((100, 10000) * u.GeV, energy_power=1, n_points=3, n_samples=10, color="red") is ax
    assert ax.get_xlabel() == "Energy [GeV]"
    assert ax.get_ylabel() == "E dN/dE [s⁻¹ cm⁻²]"
    x, y = ax.lines[0].get_data()
    assert np.allclose(x, [100, 1000, 10000])
    assert np.allclose(y, 1e-12 / np.array([0.1, 1, 10]), rtol=1e-6, atol=0)
    band = ax.collections[0].get_paths()[0].vertices
    for energy, flux in zip(x, y, strict=True):
        ends = band[np.isclose(band[:, 0], energy), 1]
        assert np.allclose([ends.min(), ends.max()], flux * np.exp([-0.1, 0.1]), rtol=1e-3, atol=0)
    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=4)
    assert np.allclose(model.plot(axis, ax=plt.figure().add_subplot()).lines[0].get_xdata(), axis.center.value)


def test_plotting_changes_no_parameter():
    models = make_models()
    before = [parameter.value for parameter in models.parameters]
    plot_source_spectra(models, (1 * u.TeV, 10 * u.TeV))
    assert [parameter.value for parameter in models.parameters] == before


def test_source_spectra_have_one_line_each():
    ax = plot_source_spectra(make_models(), ("1 TeV", "10 TeV"), ax=plt.figure().add_subplot())
    assert [line.get_label() for line in ax.lines] == ["point", "gauss"]
    assert len({line.get_color() for line in ax.lines}) == 2
    assert ax.get_ylabel().startswith("E$^{2}$ dN/dE [erg")


def test_spatial_model_image():
    model = make_models()["gauss"].spatial_model
    ax = plot_spatial_model(model)
    assert float(ax.images[0].get_array().sum()) == pytest.approx(1, abs=1e-3)
    geom = make_dataset().counts.geom
    ax = model.plot(geom=geom, add_cbar=False)
    assert np.allclose(ax.images[0].get_array(), model.integrate_geom(geom.to_image()).data)
