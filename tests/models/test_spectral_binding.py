"""The engine's view of spectra: values against the models, derivatives against differences, quadratures against closed forms."""

import astropy.units as u
import numpy as np
import pytest
from scipy.special import gamma, gammaincc

from gpudl4.core.errors import ModelError, UnitMismatchError
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
from gpudl4.models.spectral.binding import energy_bins, quadrature_nodes

from .numeric import derivative, relative_error

EDGES = np.geomspace(0.05, 100, 21)
MODELS = [
    PowerLawSpectralModel(index=2.3),
    PowerLawSpectralModel(index=1),
    PowerLawSpectralModel(index=1 + 3e-5, reference="300 GeV", amplitude="1e-18 cm-2 s-1 MeV-1"),
    PowerLawSpectralModel(index=0.4, amplitude="3e-9 m-2 s-1 erg-1"),
    PowerLawNormSpectralModel(norm=1.2, tilt=0.1),
    PowerLawNormSpectralModel(norm=0.8, tilt=1, reference="2e9 keV"),
    ExpCutoffPowerLawSpectralModel(index=1.8, lambda_="0.05 TeV-1"),
    ExpCutoffPowerLawSpectralModel(index=1.2, lambda_="2e-4 GeV-1", alpha=0.6, reference="500 GeV", amplitude="1e-21 cm-2 s-1 keV-1"),
    LogParabolaSpectralModel(alpha=2.2, beta=0.15, reference="3 TeV"),
    LogParabolaSpectralModel(alpha=1.7, beta=-0.05, reference="100 GeV", amplitude="1e-17 cm-2 s-1 MeV-1"),
    PowerLaw2SpectralModel(index=2.4),
    PowerLaw2SpectralModel(index=1, emin="200 GeV"),
    ConstantSpectralModel(),
]
IDS = [f"{type(m).__name__}-{i}" for i, m in enumerate(MODELS)]


def values_of(model, n_row=3):
    rng = np.random.default_rng(5)
    values = np.repeat(model.parameters.value[np.newaxis], n_row, axis=0)
    values[1:] *= rng.uniform(0.8, 1.2, values[1:].shape)
    return values


def steps(values):
    return 1e-3 * np.where(values == 0, 1.0, np.abs(values))


def assert_derivatives(bound, values):
    value, gradient = bound.value_and_gradient(values)
    np.testing.assert_allclose(value, bound.value(values), rtol=1e-14)
    assert gradient.shape == (len(values), values.shape[1], value.shape[1])
    for row, (point, step) in enumerate(zip(values, steps(values), strict=True)):
        for p in range(len(point)):
            numeric = derivative(lambda x: bound.value(x[np.newaxis])[0], point, p, step[p])
            assert relative_error(gradient[row, p], numeric) < 1e-7


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_evaluate(model):
    energy = np.geomspace(0.06, 90, 7)
    bound = model.bind_evaluate(energy)
    values = values_of(model)
    np.testing.assert_allclose(bound.value(values[:1])[0], u.Quantity(model(energy * u.TeV)).to_value(model._flux_unit), rtol=1e-12)
    assert_derivatives(bound, values)


@pytest.mark.parametrize("quadrature", ["gammapy", "exact"])
@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_integral(model, quadrature):
    bound = model.bind_integral(EDGES[:-1], EDGES[1:], quadrature=quadrature)
    values = values_of(model)
    if quadrature == "gammapy":
        np.testing.assert_allclose(bound.value(values[:1])[0], model.integral(EDGES[:-1] * u.TeV, EDGES[1:] * u.TeV).value, rtol=1e-12)
    assert_derivatives(bound, values)


def test_broken_power_law_away_from_its_break():
    model = BrokenPowerLawSpectralModel(index1=1.6, index2=2.7, ebreak="3.3 TeV")
    values = model.parameters.value[np.newaxis]
    assert_derivatives(model.bind_evaluate(np.array([1.0, 2.0, 5.0, 20.0])), values)
    bound = model.bind_integral([0.5, 4], [3, 20])
    assert_derivatives(bound, values)
    np.testing.assert_allclose(bound.value(values)[0], model.integral([0.5, 4] * u.TeV, [3, 20] * u.TeV).value)


def test_cutoff_integral_is_the_incomplete_gamma_function():
    index, lam = 0.2, 0.3
    model = ExpCutoffPowerLawSpectralModel(index=index, lambda_=lam / u.TeV)
    low, high = EDGES[:-1], EDGES[1:]
    exact = model.bind_integral(low, high, quadrature="exact").value(model.parameters.value[np.newaxis])[0]
    s = 1 - index
    upper = gamma(s) * gammaincc(s, lam * np.append(low, high[-1]))
    closed = -1e-12 * lam ** (index - 1) * np.diff(upper)
    keep = lam * low < 5  # beyond, the difference of gamma functions loses the digits
    np.testing.assert_allclose(exact[keep], closed[keep], rtol=1e-10)
    one = model.bind_integral([low[0]], [10.0], quadrature="exact").value(model.parameters.value[np.newaxis])[0, 0]
    closed = 1e-12 * lam ** (index - 1) * gamma(s) * (gammaincc(s, lam * low[0]) - gammaincc(s, lam * 10))
    assert one == pytest.approx(closed, rel=1e-12)


def test_exact_quadrature_is_exact_for_curved_spectra():
    model = LogParabolaSpectralModel(reference="1 TeV", alpha=2, beta=0.3)
    fine = model.bind_integral(EDGES[:-1], EDGES[1:], quadrature="gammapy", ndecade=20000).value(model.parameters.value[np.newaxis])
    exact = model.bind_integral(EDGES[:-1], EDGES[1:], quadrature="exact").value(model.parameters.value[np.newaxis])
    np.testing.assert_allclose(exact, fine, rtol=2e-9)


def test_power_law_through_index_one_is_smooth():
    model = PowerLawSpectralModel()
    bound = model.bind_integral(EDGES[:-1], EDGES[1:])
    for offset in (0, 1e-12, 1e-9, 1e-8, 1e-6, 1e-4, 1e-2, 0.3):
        for index in (1 + offset, 1 - offset):
            values = np.array([[index, 1e-12, 1.0]])
            value, gradient = bound.value_and_gradient(values)
            x0, size, p = EDGES[:-1], np.diff(np.log(EDGES)), 1 - index
            nodes, weights = np.polynomial.legendre.leggauss(40)
            t = 0.5 * (nodes + 1)[:, np.newaxis] * size
            density = np.exp(np.log(x0) * p + p * t) * 0.5 * weights[:, np.newaxis] * size
            np.testing.assert_allclose(value[0], 1e-12 * density.sum(axis=0), rtol=1e-13)
            slope = -1e-12 * (density * (np.log(x0) + t)).sum(axis=0)
            np.testing.assert_allclose(gradient[0, 0], slope, rtol=1e-10, atol=1e-12 * np.abs(slope).max())


def test_node_count_comes_from_the_widest_bin():
    low, high = np.array([1.0, 2.0]), np.array([2.0, 200.0])
    low, high, decades = energy_bins(low, high)
    assert decades == pytest.approx(2)
    assert quadrature_nodes(low, high, decades).shape == (2, int(100 * decades))
    assert quadrature_nodes(low, high, 1e-3).shape == (2, 2)


def test_node_count_is_counted_in_the_given_unit():
    edges = np.geomspace(10, 2000, 24)
    for unit in ("GeV", "MeV", "keV", "erg"):
        scaled = (edges * u.GeV).to(unit)
        ratio = np.max(np.log10((scaled[1:] / scaled[:-1]).value))
        assert energy_bins(scaled[:-1], scaled[1:])[2] == ratio


def test_bad_bins_and_values():
    model = PowerLawSpectralModel()
    with pytest.raises(ModelError, match="positive and increasing"):
        model.bind_integral([1, 2], [2, 2])
    with pytest.raises(ModelError, match="positive and increasing"):
        model.bind_integral([0.0], [1.0])
    with pytest.raises(ModelError, match=r"arrays of one shape \[L\], got \(2,\) and \(1,\)"):
        model.bind_integral([1, 2], [3])
    with pytest.raises(UnitMismatchError, match="energy_min has unit 's'"):
        model.bind_integral([1] * u.s, [2] * u.s)
    with pytest.raises(ModelError, match="unknown quadrature 'simpson'"):
        model.bind_integral([1], [2], quadrature="simpson")
    bound = model.bind_integral([1], [2])
    with pytest.raises(ModelError, match=r"values of shape \[B, 3\] were wanted, got \(3,\)"):
        bound.value(np.ones(3))


def test_bound_model_is_a_snapshot():
    model = LogParabolaSpectralModel()
    values = model.parameters.value[np.newaxis]
    bound = model.bind_integral(EDGES[:-1], EDGES[1:])
    before = bound.value(values)
    model.amplitude.quantity = "1 m-2 s-1 MeV-1"
    model.alpha = Parameter("alpha", 7)
    np.testing.assert_array_equal(bound.value(values), before)


def test_zero_amplitude_has_a_derivative():
    for model in (PowerLawSpectralModel(), LogParabolaSpectralModel(), ExpCutoffPowerLawSpectralModel()):
        bound = model.bind_integral(EDGES[:-1], EDGES[1:])
        values = np.repeat(model.parameters.value[np.newaxis], 2, axis=0)
        position = model.parameters.names.index("amplitude")
        values[1, position] = 0
        value, gradient = bound.value_and_gradient(values)
        assert np.all(value[1] == 0)
        if isinstance(model, PowerLawSpectralModel):
            np.testing.assert_allclose(gradient[1, position], gradient[0, position], rtol=1e-12)
        assert np.all(np.isfinite(gradient))


class BumpSpectralModel(SpectralModel):
    """A power law with a Gaussian bump: only `evaluate`, and a bound method at that."""

    tag = "bump"
    amplitude = Parameter("amplitude", "1e-12 cm-2 s-1 TeV-1")
    index = Parameter("index", 2)
    height = Parameter("height", 0.5, min=0)
    energy_0 = Parameter("energy_0", "2000 GeV")

    def evaluate(self, energy, amplitude, index, height, energy_0):
        x = (energy / energy_0).to_value("")
        return amplitude * x ** (-index.value) * (1 + height * np.exp(-(np.log(x) ** 2)))


def test_users_model_with_evaluate_only():
    model = BumpSpectralModel()
    bound = model.bind_integral(EDGES[:-1], EDGES[1:])
    values = values_of(model)
    np.testing.assert_allclose(bound.value(values[:1])[0], model.integral(EDGES[:-1] * u.TeV, EDGES[1:] * u.TeV).value, rtol=1e-12)
    assert_derivatives(bound, values)
    assert_derivatives(model.bind_evaluate(EDGES), values)
    values[:, 2] = 0  # at its lower bound: one-sided differences
    _, gradient = bound.value_and_gradient(values)
    numeric = derivative(lambda x: bound.value(x[np.newaxis])[0], values[0], 2, 1e-3)
    assert relative_error(gradient[0, 2], numeric) < 1e-7


def test_subclass_that_replaces_evaluate_loses_the_old_derivatives():
    class Doubled(PowerLawSpectralModel):
        tag = "doubled"

        @staticmethod
        def evaluate(energy, index, amplitude, reference):
            return 2 * PowerLawSpectralModel.evaluate(energy, index, amplitude, reference)

    class Renamed(PowerLawSpectralModel):
        tag = "renamed"

    values = PowerLawSpectralModel().parameters.value[np.newaxis]
    one = PowerLawSpectralModel().bind_integral(EDGES[:-1], EDGES[1:]).value(values)
    bound = Doubled().bind_integral(EDGES[:-1], EDGES[1:])
    np.testing.assert_allclose(bound.value(values), 2 * one, rtol=1e-12)
    assert_derivatives(bound, values)
    np.testing.assert_allclose(Doubled().bind_evaluate(EDGES).value(values), 2 * PowerLawSpectralModel().bind_evaluate(EDGES).value(values))
    np.testing.assert_array_equal(Renamed().bind_integral(EDGES[:-1], EDGES[1:]).value(values), one)


def test_users_model_with_analytic_parts():
    class Line(SpectralModel):
        tag = "line"
        slope = Parameter("slope", "2e-12 cm-2 s-1 TeV-2")

        @staticmethod
        def evaluate(energy, slope):
            return slope * energy

        @staticmethod
        def evaluate_gradient(energy, slope):
            return slope * energy, [energy]

    class LineWithIntegral(Line):
        tag = "line-2"

        @staticmethod
        def evaluate_integral(energy_min, energy_max, slope):
            return 0.5 * slope * (energy_max**2 - energy_min**2)

    values = np.array([[2e-12]])
    closed = 1e-12 * np.diff(EDGES**2)
    for cls in (Line, LineWithIntegral):
        bound = cls().bind_integral(EDGES[:-1], EDGES[1:])
        value, gradient = bound.value_and_gradient(values)
        np.testing.assert_allclose(value[0], closed, rtol=1e-12)
        np.testing.assert_allclose(gradient[0, 0], closed / 2e-12, rtol=1e-9)
