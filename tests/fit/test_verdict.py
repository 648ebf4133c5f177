"""What is a success: every free parameter constrained, every error finite; starts near zero, many sources, degenerate ones, no warnings."""

import warnings

import numpy as np
import pytest

from benchmarks.cases import library
from benchmarks.many_sources import degenerate as five
from benchmarks.many_sources import many
from benchmarks.pull_cases import CASES
from benchmarks.pulls import draw
from gpudl4 import Fit
from gpudl4.fit.degenerate import degenerate
from gpudl4.models import ExpCutoffPowerLawSpectralModel, FoVBackgroundModel, Models, PointSpatialModel, SkyModel


def _drawn(name, seed=1):
    return next(draw(CASES[name], library("gpudl4"), np.random.default_rng(seed)))[0]


@pytest.mark.parametrize(("name", "field"), [("spectrum", "exposure"), ("wstat", "acceptance")])
@pytest.mark.parametrize("with_covariance", [True, False])
def test_nothing_constrained_is_no_success(name, field, with_covariance):
    dataset = _drawn(name)
    getattr(dataset, field).data[:] = 0
    with pytest.warns(UserWarning, match="no data constrain"):
        result = Fit().run([dataset]) if with_covariance else Fit().optimize([dataset])
    assert not result.success
    assert result.message == "no data constrain source.index, source.amplitude: freeze them"


def test_one_parameter_without_an_error_is_no_success():
    dataset = _drawn("spectrum")
    dataset.exposure.data[:] = 0
    dataset.models = [*dataset.models, FoVBackgroundModel(dataset_name="data", name="background")]
    with pytest.warns(UserWarning, match="no data constrain"):
        result = Fit().run([dataset])
    assert not result.success
    assert result.unconstrained == ("source.index", "source.amplitude")
    assert np.isfinite(result.errors[result.names.index("background.norm")])


def test_an_ellipse_that_starts_as_a_line_is_no_silent_success():
    lib, dataset = library("gpudl4"), _drawn("cube")
    spatial = lib.GaussianSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg", sigma="0.2 deg", e=1.0, phi="10 deg", frame="icrs")
    spatial.e.frozen = False
    dataset.models["source"].spatial_model = spatial
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result = Fit().run([dataset])
    assert result.success == bool(np.all(np.isfinite(result.errors)))


@pytest.mark.parametrize("start", [1e-300, 1e-20, 1e-16, -1e-20, -1e-300])
def test_an_amplitude_that_starts_next_to_zero_starts_at_zero(start):
    results = []
    for value in (3e-12, 0.0, start):
        dataset = _drawn("spectrum")
        dataset.models["source"].spectral_model.amplitude.value = value
        results.append(Fit().run([dataset]))
    assert all(result.success for result in results)
    for result in results[1:]:
        assert result.total_stat == pytest.approx(results[0].total_stat, abs=1e-3)
        assert np.all(np.abs(result.values - results[0].values) < 0.03 * results[0].errors)


# ---- many sources, and too many ------------------------------------------------------------------------------------------------------
def test_a_hundred_parameters():
    dataset, truth = many(25, n_energy=4, n_true=6)
    result = Fit().run(dataset)
    assert len(result.names) == 101
    assert result.success
    assert result.total_stat < truth
    assert result.nfev < 150  # it took more than a thousand, most of them of all parameters


def test_five_sources_at_one_place_are_named():
    small = {"n_pixels": 40, "n_energy": 3, "n_true": 5}
    dataset, _ = five(**small)
    result = Fit().run(dataset)
    assert not result.success
    assert result.nfev < 60
    tied = tuple(f"s{i}.{name}" for i in range(5) for name in ("index", "amplitude", "lon_0", "lat_0"))
    assert result.unconstrained == tied
    assert f"the data determine only combinations of {', '.join(tied)}" in result.message
    assert np.all(np.isnan(result.errors[:-1]))
    alone, _ = five(**small)
    alone.models = Models([alone.models[0], alone.models[-1]])
    alone.models[0].spectral_model.amplitude.value *= 5
    want = Fit().run(alone)
    assert result.errors[-1] == pytest.approx(want.errors[-1], rel=0.01)  # what is determined is as well determined as ever
    assert result.total_stat == pytest.approx(want.total_stat, abs=0.1)


def test_degenerate_directions_have_members():
    rng = np.random.default_rng(1)
    jacobian = rng.normal(size=(30, 6)) * 10.0 ** np.arange(-9, 9, 3)
    assert not degenerate(jacobian.T @ jacobian).any()
    jacobian[:, 4] = 2e9 * jacobian[:, 1] - 3e-3 * jacobian[:, 5]
    assert degenerate(jacobian.T @ jacobian).tolist() == [False, True, False, False, True, True]
    jacobian[:, 2] = 0
    assert degenerate(jacobian.T @ jacobian).tolist() == [False, True, False, False, True, True]
    assert not degenerate(np.zeros((3, 3))).any()


# ---- warnings ------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("seed", "start"), [(0, 1.0), (2, 0.3), (4, 1e-3)])
def test_a_free_cutoff_and_a_linked_index_without_warnings(seed, start):
    dataset = _drawn("cube", seed)

    def cutoff():
        return ExpCutoffPowerLawSpectralModel(amplitude="3e-12 cm-2 s-1 TeV-1", index=2, lambda_=f"{start} TeV-1", reference="1 TeV")

    first, second = cutoff(), cutoff()
    second.index = first.index
    other = SkyModel(second, PointSpatialModel(lon_0="83.9 deg", lat_0="22.2 deg", frame="icrs"), name="other")
    dataset.models = [SkyModel(first, dataset.models["source"].spatial_model, name="source"), other, dataset.models[1]]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        result = Fit().run([dataset])
    assert np.all(np.isfinite(result.values))
