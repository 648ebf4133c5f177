import astropy.units as u
import numpy as np
import pytest

from gpudl4.maps import MapAxis
from gpudl4.models import (
    BrokenPowerLawSpectralModel,
    ConstantSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    Parameter,
    PowerLaw2SpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SpectralModel,
)

ENERGY = [0.3, 1, 20] * u.TeV


def test_values():
    power_law = PowerLawSpectralModel(index=2.3, amplitude="3e-12 cm-2 s-1 TeV-1", reference="2 TeV")
    np.testing.assert_allclose(power_law(ENERGY).to_value("cm-2 s-1 TeV-1"), 3e-12 * (ENERGY.value / 2) ** -2.3)
    cutoff = ExpCutoffPowerLawSpectralModel(index=2, lambda_="0.5 TeV-1", alpha=1.5)
    np.testing.assert_allclose(cutoff(ENERGY).value, 1e-12 * ENERGY.value**-2.0 * np.exp(-((0.5 * ENERGY.value) ** 1.5)))
    parabola = LogParabolaSpectralModel(reference="1 TeV", alpha=2, beta=0.1)
    np.testing.assert_allclose(parabola(ENERGY).value, 1e-12 * ENERGY.value ** (-2 - 0.1 * np.log(ENERGY.value)))
    norm = PowerLawNormSpectralModel(norm=1.3, tilt=0.2)
    np.testing.assert_allclose(norm(ENERGY).to_value(""), 1.3 * ENERGY.value**-0.2)
    broken = BrokenPowerLawSpectralModel(index1=1.5, index2=3, ebreak="1 TeV")
    np.testing.assert_allclose(broken(ENERGY).value, 1e-12 * np.array([0.3**-1.5, 1, 20**-3.0]))
    np.testing.assert_allclose(ConstantSpectralModel()(ENERGY).value, 1e-12)
    assert LogParabolaSpectralModel.from_log10("1e-12 cm-2 s-1 TeV-1", "1 TeV", 2, 1).beta.value == pytest.approx(1 / np.log(10))


def test_power_law_2_has_its_integral_flux():
    for index in (0.5, 1, 2.2):
        model = PowerLaw2SpectralModel(amplitude="5e-12 cm-2 s-1", index=index, emin="1 TeV", emax="10 TeV")
        assert model.integral(1 * u.TeV, 10 * u.TeV).to_value("cm-2 s-1") == pytest.approx(5e-12)
        nodes = np.linspace(1, 10, 20001) * u.TeV
        assert np.trapezoid(model(nodes).to_value("cm-2 s-1 TeV-1"), nodes.value) == pytest.approx(5e-12, rel=1e-6)


@pytest.mark.parametrize("index", [1, 1 + 1e-9, 1 - 1e-6, 0, 3])
def test_integral_of_power_laws(index):
    model = PowerLawSpectralModel(index=index, reference="0.7 TeV")
    x = 0.3, 20.0
    p = 1 - index
    closed = np.log(x[1] / x[0]) if p == 0 else np.expm1(p * np.log(x[1] / x[0])) / p * x[0] ** p
    assert model.integral(*(x * u.TeV)).to_value("cm-2 s-1") == pytest.approx(1e-12 * 0.7**index * closed, rel=1e-12)
    p = 2 - index
    closed = (x[1] ** p - x[0] ** p) / p
    assert model.energy_flux(*(x * u.TeV)).to_value("TeV cm-2 s-1") == pytest.approx(1e-12 * 0.7**index * closed, rel=1e-12)


def test_integral_keeps_shapes_and_units():
    model = PowerLawSpectralModel(amplitude="1e-18 cm-2 s-1 MeV-1", reference="1 GeV")
    low, high = [[1, 2], [3, 4]] * u.TeV, 10 * u.TeV
    flux = model.integral(low, high)
    assert flux.shape == (2, 2)
    assert flux.unit == u.Unit("cm-2 s-1")
    assert flux[1, 0] == model.integral("3 TeV", "10000 GeV")
    assert PowerLawNormSpectralModel().integral(1 * u.TeV, 3 * u.TeV).to_value("TeV") == pytest.approx(2)
    plain = PowerLawSpectralModel(amplitude=Parameter("amplitude", "1 TeV-1"))
    assert plain.integral(1 * u.TeV, 2 * u.TeV).unit == u.dimensionless_unscaled


def test_units_do_not_matter():
    a = ExpCutoffPowerLawSpectralModel(index=2, amplitude="1e-12 cm-2 s-1 TeV-1", reference="1 TeV", lambda_="0.1 TeV-1")
    b = ExpCutoffPowerLawSpectralModel(index=2, amplitude="1e-8 m-2 s-1 TeV-1", reference="1e9 keV", lambda_="1e-4 GeV-1")
    c = ExpCutoffPowerLawSpectralModel(index=2, amplitude=1e-12 / 1.602176634 * u.Unit("cm-2 s-1 erg-1"), lambda_="1e-7 MeV-1")
    for other in (b, c):
        np.testing.assert_allclose(other(ENERGY).to_value("cm-2 s-1 TeV-1"), a(ENERGY).value, rtol=1e-12)
        np.testing.assert_allclose(other.integral(ENERGY[:-1], ENERGY[1:]), a.integral(ENERGY[:-1], ENERGY[1:]), rtol=1e-12)


def test_norm_models_by_class_name():
    class MyNormSpectralModel(PowerLawSpectralModel):
        tag = "my-norm"

    assert MyNormSpectralModel.is_norm_spectral_model
    assert PowerLawNormSpectralModel().is_norm_spectral_model
    assert not PowerLawSpectralModel.is_norm_spectral_model


def test_errors_by_linear_propagation():
    model = PowerLawSpectralModel(index=2, amplitude="1e-12 cm-2 s-1 TeV-1")
    model.index.error, model.amplitude.error = 0.1, 1e-13
    value, errn, errp = model.evaluate_error([0.1, 1, 10] * u.TeV)
    np.testing.assert_allclose((errn / value).to_value(""), np.hypot(0.1, 0.1 * np.log([0.1, 1, 10])))
    np.testing.assert_array_equal(errn, errp)
    assert value.unit == u.Unit("cm-2 s-1 TeV-1")
    assert model.evaluate_error(1 * u.TeV).shape == (3,)
    flux, error, _ = model.integral_error(1 * u.TeV, 10 * u.TeV)
    model.index.error = 0
    assert error > flux * 0.1
    assert (model.integral_error(1 * u.TeV, 10 * u.TeV)[1] / flux).to_value("") == pytest.approx(0.1)


def test_pivot_energy():
    power_law = PowerLawSpectralModel(index=2, amplitude="1e-12 cm-2 s-1 TeV-1", reference="1 TeV")
    assert np.isnan(power_law.pivot_energy)
    power_law.covariance = [[0.01, 4e-15, 0], [4e-15, 1e-26, 0], [0, 0, 0]]
    pivot = power_law.pivot_energy
    assert pivot == np.exp(4e-15 / (1e-12 * 0.01)) * u.TeV
    assert SpectralModel.pivot_energy.fget(power_law).value == pytest.approx(pivot.value, rel=5e-3)
    _, error, _ = power_law.evaluate_error([0.9, 1, 1.1] * pivot)
    relative = error / power_law([0.9, 1, 1.1] * pivot)
    assert np.argmin(relative) == 1
    parabola = LogParabolaSpectralModel()
    parabola.amplitude.error = 1e-13
    assert np.isnan(parabola.pivot_energy)


def test_peaks_and_inverse():
    assert ExpCutoffPowerLawSpectralModel(index=1.5, lambda_="0.1 TeV-1").e_peak == 5 * u.TeV
    assert np.isnan(ExpCutoffPowerLawSpectralModel(index=2.5).e_peak)
    assert LogParabolaSpectralModel(alpha=1, beta=0.5, reference="1 TeV").e_peak == np.e * u.TeV
    for model in (PowerLawSpectralModel(index=2.2), PowerLaw2SpectralModel(), PowerLawNormSpectralModel(tilt=0.4)):
        assert model.inverse(model(3 * u.TeV)).to_value("TeV") == pytest.approx(3)


def test_reference_fluxes():
    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3)
    model = PowerLawSpectralModel()
    fluxes = model.reference_fluxes(axis)
    assert set(fluxes) == {"e_ref", "e_min", "e_max", "ref_dnde", "ref_flux", "ref_eflux", "ref_e2dnde"}
    assert fluxes["ref_flux"].sum().to_value("cm-2 s-1") == pytest.approx(model.integral(1 * u.TeV, 10 * u.TeV).value)


def test_negative_cutoff_is_a_rise_or_nothing():
    rising = ExpCutoffPowerLawSpectralModel(index=2, lambda_="-0.1 TeV-1")
    assert rising(10 * u.TeV).value == pytest.approx(1e-14 * np.e)
    bent = ExpCutoffPowerLawSpectralModel(index=2, lambda_="-0.1 TeV-1", alpha=0.7)
    assert bent(10 * u.TeV).value == pytest.approx(1e-14)


def test_index_at_an_energy_and_its_error():
    model = LogParabolaSpectralModel(alpha=2.1, beta=0.2, amplitude="3e-12 cm-2 s-1 TeV-1", reference="2 TeV")
    model.alpha.error, model.beta.error, model.amplitude.error = 0.05, 0.02, 1e-13
    energy = [0.5, 2, 30] * u.TeV
    logarithm = np.log(energy.value / 2)
    np.testing.assert_allclose(model.spectral_index(energy), 2.1 + 2 * 0.2 * logarithm, atol=1e-5)
    index, errn, errp = model.spectral_index_error(energy)
    np.testing.assert_allclose(index, model.spectral_index(energy))
    np.testing.assert_allclose(errn, np.hypot(0.05, 2 * 0.02 * logarithm), rtol=1e-4)
    assert np.array_equal(errn, errp)
    peer = pytest.importorskip("gammapy.modeling.models").LogParabolaSpectralModel
    theirs = peer(alpha=2.1, beta=0.2, amplitude="3e-12 cm-2 s-1 TeV-1", reference="2 TeV")
    np.testing.assert_allclose(model.spectral_index(energy), theirs.spectral_index(energy), rtol=1e-9)
    assert np.shape(model.spectral_index_error(1 * u.TeV)) == (3,)
