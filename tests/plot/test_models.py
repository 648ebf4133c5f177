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
    axis = MapAxis.from_nodes([0.1, 1, 10], unit="TeV", name="energy", interp="log")
    ax = plot_spectral_model(model, axis, error_band=True)
    upper = ax.collections[0].get_paths()[0].vertices
    energies = np.array([0.1, 1, 10])
    relative = np.hypot(0.1, 0.1 * np.log(energies))
    for energy, error in zip(energies, relative, strict=True):
        band = upper[np.isclose(upper[:, 0], energy), 1]
        assert band.max() == pytest.approx(1e-12 * energy**-2 * np.exp(error), rel=1e-3)
        assert band.min() == pytest.approx(1e-12 * energy**-2 * np.exp(-error), rel=1e-3)
    assert "cm⁻²" in ax.get_ylabel()
    assert model.plot(("0.1 TeV", "10 TeV"), sed_type="e2dnde").lines[0].get_ydata()[0] == pytest.approx((1e-12 * u.TeV).to_value("erg"))
    with pytest.raises(ModelError, match="sed_type 'likelihood' cannot be plotted; known: 'dnde', 'e2dnde', 'flux', 'eflux'"):
        plot_spectral_model(model, ("0.1 TeV", "10 TeV"), sed_type="likelihood")


def test_error_band_alone_is_that_of_the_model():
    model = PowerLawSpectralModel(index=2.0, amplitude="1e-12 cm-2 s-1 TeV-1", reference="1 TeV")
    model.amplitude.error = 1e-13
    axis = MapAxis.from_nodes([100, 1000, 10000], unit="GeV", name="energy", interp="log")
    ax = model.plot(axis, energy_power=1)
    assert model.plot_error(axis, energy_power=1, n_samples=10, color="red") is ax
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


SPECTRA = {
    "power law": ("PowerLawSpectralModel", {"index": 2.3, "amplitude": "3e-12 cm-2 s-1 TeV-1", "reference": "0.8 TeV"}),
    "cutoff": ("ExpCutoffPowerLawSpectralModel", {"index": 1.7, "amplitude": "3e-12 cm-2 s-1 TeV-1", "lambda_": "0.15 TeV-1"}),
    "log parabola": ("LogParabolaSpectralModel", {"alpha": 2.1, "beta": 0.15, "amplitude": "3e-12 cm-2 s-1 TeV-1"}),
    "factor": ("PowerLawNormSpectralModel", {"norm": 1.2, "tilt": 0.1}),
}


def _both(spectrum):
    """The same model in gpudl4 and in gammapy."""
    peer = pytest.importorskip("gammapy.modeling.models")
    import gpudl4.modeling.models as own

    name, arguments = SPECTRA[spectrum]
    return getattr(own, name)(**arguments), getattr(peer, name)(**arguments)


@pytest.mark.parametrize("bounds", ["quantity", "strings", "axis"])
@pytest.mark.parametrize("sed_type", ["dnde", "e2dnde", "flux", "eflux"])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_lines_are_those_of_gammapy(spectrum, sed_type, bounds):
    own, peer = _both(spectrum)
    axes = plt.figure().subplots(1, 2)
    edges = np.geomspace(200, 50000, 13)
    for model, ax, library in ((own, axes[0], "gpudl4"), (peer, axes[1], "gammapy")):
        axis = pytest.importorskip(f"{library}.maps").MapAxis
        given = {
            "quantity": [0.2, 50] * u.TeV,
            "strings": [u.Quantity("200 GeV"), u.Quantity("50 TeV")],
            "axis": axis.from_energy_edges(edges * u.GeV),
        }[bounds]
        model.plot(given, ax=ax, sed_type=sed_type, energy_power=1 if bounds == "strings" else 0, n_points=40)
    (line,), (other,) = (ax.lines for ax in axes)
    # what matplotlib draws: numbers in the unit of the axes
    assert axes[0].xaxis.units == axes[1].xaxis.units
    if not (bounds == "strings" and sed_type in ("e2dnde", "eflux")):  # times TeV: erg2 here, TeV erg in gammapy
        assert axes[0].yaxis.units == axes[1].yaxis.units
    unit = axes[1].yaxis.units.to(axes[0].yaxis.units)
    assert len(line.get_xdata()) == (12 if bounds == "axis" else 40)
    assert np.allclose(line.get_xdata(orig=False), other.get_xdata(orig=False), rtol=1e-12, atol=0)
    assert np.allclose(line.get_ydata(orig=False), other.get_ydata(orig=False) * unit, rtol=1e-6, atol=0)


@pytest.mark.parametrize("sed_type", ["dnde", "e2dnde", "flux", "eflux"])
@pytest.mark.parametrize("spectrum", ["power law", "cutoff", "log parabola"])
def test_bands_are_those_of_gammapy_but_for_its_samples(spectrum, sed_type):
    own, peer = _both(spectrum)
    errors = {"index": 0.03, "alpha": 0.03, "amplitude": 4e-14, "lambda_": 0.004, "beta": 0.004}
    bands = []
    for model in (own, peer):
        for parameter in model.parameters:
            parameter.error = errors.get(parameter.name, 0)
        ax = model.plot_error([0.5, 5] * u.TeV, ax=plt.figure().add_subplot(), sed_type=sed_type, n_points=6)
        vertices = ax.collections[0].get_paths()[0].vertices
        ends = [vertices[np.isclose(vertices[:, 0], x, rtol=1e-9), 1] for x in np.unique(np.round(vertices[:, 0], 9))]
        bands.append([(np.min(part), np.max(part)) for part in ends])
    middle, other = (np.mean(band, axis=1) for band in bands)
    width, wide = (np.diff(band, axis=1)[:, 0] for band in bands)
    assert len(middle) == 6
    assert np.allclose(middle, other, rtol=2e-3, atol=0)
    assert np.allclose(width, wide, rtol=0.05, atol=0)  # gammapy's 7000 samples and more scatter by 1 to 2 %


def test_errors_of_integrals_follow_the_covariance():
    model = PowerLawSpectralModel(index=2.0, amplitude="1e-12 cm-2 s-1 TeV-1", reference="1 TeV")
    model.amplitude.error, model.index.error = 1e-13, 0.1
    low, high = [1, 10] * u.TeV, [10, 100] * u.TeV
    value, errn, errp = model.energy_flux_error(low, high)
    assert np.allclose(value.to_value("TeV cm-2 s-1"), 1e-12 * np.log(10), rtol=1e-8, atol=0)
    # d/d index of the integral of E^(1 - index) is minus that of ln(E) / E
    slope = 1e-12 * 0.5 * np.diff(np.log([1.0, 10, 100]) ** 2)
    assert np.allclose(errn.to_value("TeV cm-2 s-1"), np.hypot(0.1 * value.value, 0.1 * slope), rtol=1e-3, atol=0)
    assert np.array_equal(errn, errp)
    assert np.array_equal(model.energy_flux_error(low, high, n_samples=10, random_state=1)[1], errn)


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


def test_correlations_of_models():
    model = make_models()["gauss"]
    covariance = np.diag(np.linspace(0.1, 1, len(model.parameters)))
    covariance[0, 1] = covariance[1, 0] = -0.9 * np.sqrt(covariance[0, 0] * covariance[1, 1])
    model.covariance = covariance
    ax = model.covariance.plot_correlation(cmap="RdBu")
    np.testing.assert_allclose(ax.images[0].get_array(), model.covariance.correlation)
    assert ax.images[0].get_clim() == (-1, 1)
    assert ax.images[0].cmap.name == "RdBu"
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == [text.get_text() for text in ax.get_xticklabels()] == model.parameters.names
    assert sum(text.get_text() == "-0.90" for text in ax.texts) == 2
    assert tuple(model.covariance.plot_correlation(figsize=(5, 4)).figure.get_size_inches()) == (5, 4)
    with pytest.raises(ModelError, match="no parameters"):
        model.covariance.get_subcovariance([]).plot_correlation()
