import copy
import pickle

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import ModelError
from gpudl4.models import (
    Covariance,
    DatasetModels,
    LogParabolaSpectralModel,
    Models,
    Parameter,
    Parameters,
    PowerLawSpectralModel,
    SkyModel,
)


@pytest.fixture
def models():
    return Models([SkyModel.create("pl", "point", name="a"), SkyModel.create("pl", "point", name="b")])


def random_covariance(n, seed=0):
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root @ root.T


def test_default_is_diagonal_from_errors():
    parameters = Parameters([Parameter("a", 1, error=2), Parameter("b", 1, error=3)])
    np.testing.assert_array_equal(Covariance(parameters).data, [[4, 0], [0, 9]])
    assert Covariance(Parameters()).shape == (0, 0)
    with pytest.raises(ModelError, match=r"covariance of shape \(2, 2\) was wanted for the parameters, got \(3, 3\)"):
        Covariance(parameters, np.eye(3))


def test_blocks_correlation_and_stack():
    a, b, c = (Parameter(name, 1) for name in "abc")
    covariance = Covariance(Parameters([a, b, c]), random_covariance(3))
    sub = covariance.get_subcovariance([c, a])
    assert sub.data[0, 1] == covariance.data[2, 0]
    assert covariance.get_subcovariance(["b"]).data[0, 0] == covariance.data[1, 1]
    assert np.diag(covariance.correlation) == pytest.approx(1)
    stacked = Covariance.from_stack([Covariance([a], [[2.0]]), Covariance([b, c], random_covariance(2))])
    assert stacked.data[0, 0] == 2
    assert stacked.data[0, 1] == 0
    assert Covariance([a, b], np.zeros((2, 2))).correlation.tolist() == [[0, 0], [0, 0]]
    np.testing.assert_array_equal(np.asarray(covariance), covariance.data)


def test_setting_on_models_reaches_every_level(models):
    matrix = random_covariance(len(models.parameters))
    models.covariance = matrix
    np.testing.assert_allclose(models.covariance.data, matrix)
    assert models["a"].spectral_model.index.error == pytest.approx(np.sqrt(matrix[0, 0]))
    np.testing.assert_allclose(models["b"].covariance.data, matrix[5:, 5:])
    np.testing.assert_allclose(models["b"].spectral_model.covariance.data, matrix[5:8, 5:8])
    np.testing.assert_allclose(models["a"].spatial_model.covariance.data, matrix[3:5, 3:5])


def test_changed_error_drops_its_correlations_only(models):
    matrix = random_covariance(len(models.parameters)) * 1e-26  # the size of amplitude variances
    models.covariance = matrix
    models["a"].spectral_model.index.error = 3e-13
    data = models.covariance.data
    assert data[0, 0] == pytest.approx(9e-26)
    assert np.all(data[0, 1:3] == 0)
    np.testing.assert_allclose(data[5:, 5:], matrix[5:, 5:])
    np.testing.assert_allclose(models["a"].spatial_model.covariance.data, matrix[3:5, 3:5])


def test_reading_covariance_records_nothing(models):
    models.covariance = random_covariance(len(models.parameters))
    models["a"].spectral_model.index.error = 5
    before = [dict(vars(p)) for p in models.parameters]
    first = models.covariance.data
    np.testing.assert_array_equal(models.covariance.data, first)
    assert [dict(vars(p)) for p in models.parameters] == before
    models.covariance.data[:] = 0
    np.testing.assert_array_equal(models.covariance.data, first)


def test_collections_of_the_same_models_know_the_same_covariance(models):
    """Correlations between models used to be known to the one list that they were set on."""
    models.append(SkyModel.create("pl", name="c"))
    matrix = random_covariance(len(models.parameters))
    models.covariance = matrix
    a, b, c = models
    order = [*range(10, 13), *range(5)]  # c, a
    for other in (Models([c, a]), c + a, Models(models)[np.array([True, False, True])][::-1], Models(DatasetModels([c, a]))):
        np.testing.assert_array_equal(other.covariance.data, matrix[np.ix_(order, order)])
    np.testing.assert_array_equal(models.select(name_substring="b").covariance.data, matrix[5:10, 5:10])
    np.testing.assert_array_equal(models[:2].covariance.data, matrix[:10, :10])
    models.remove("b")
    np.testing.assert_array_equal(models.covariance.data[5:, :5], matrix[10:, :5])
    np.testing.assert_array_equal(models.reassign("x", "y").covariance.data, models.covariance.data)
    again = Models([b, *models])
    np.testing.assert_array_equal(again.covariance.data[0, 5:], matrix[5, order[3:] + order[:3]])


@pytest.mark.parametrize("duplicate", [lambda x: x.copy(), copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_several_models_keep_their_correlations_and_share_none_with_the_originals(models, duplicate):
    matrix = random_covariance(len(models.parameters))
    models.covariance = matrix
    twin = duplicate(models)
    np.testing.assert_array_equal(twin.covariance.data, matrix)
    mixed = [models["a"], twin["b"]]
    np.testing.assert_array_equal(Models(mixed).covariance.data[:5, 5:], 0)
    twin.covariance = 2 * matrix
    np.testing.assert_array_equal(models.covariance.data, matrix)
    np.testing.assert_array_equal(models["a"].copy().covariance.data, matrix[:5, :5])


def test_a_part_that_is_set_again_keeps_correlations_only_if_nothing_changed(models):
    matrix = random_covariance(len(models.parameters))
    models.covariance = matrix
    models["a"].covariance = models["a"].covariance
    np.testing.assert_allclose(models.covariance.data, matrix)
    models["a"].covariance = 4 * matrix[:5, :5]
    assert np.all(models.covariance.data[:5, 5:] == 0)
    np.testing.assert_allclose(models.covariance.data[5:, 5:], matrix[5:, 5:])
    np.testing.assert_allclose(models.covariance.data[:5, :5], 4 * matrix[:5, :5])


def test_a_unit_that_changes_takes_the_correlations_along(models):
    matrix = random_covariance(len(models.parameters))
    models.covariance = matrix
    amplitude = models["b"].spectral_model.amplitude
    amplitude.quantity = amplitude.quantity.to("m-2 s-1 TeV-1")
    wanted = matrix.copy()
    wanted[6, :] *= 1e4
    wanted[:, 6] *= 1e4
    np.testing.assert_allclose(models.covariance.data, wanted)


def test_errors_of_a_spectrum_with_a_parameter_linked_to_itself():
    """F = A (E / E_0) ** (-alpha - beta ln (E / E_0)) with alpha = beta depends on it through both."""
    spectrum = LogParabolaSpectralModel(alpha=0.5, amplitude="2 cm-2 s-1 TeV-1", reference="1 TeV")
    spectrum.beta = spectrum.alpha
    spectrum.covariance = np.diag([0.0, 0.0, 0.1**2, 0.0])
    energy = 3.0
    value, error, _ = spectrum.evaluate_error(energy * u.TeV).value
    log = np.log(energy)
    assert error / value == pytest.approx(0.1 * (log + log**2))
    np.testing.assert_array_equal(spectrum.covariance.expanded[2:, 2:], 0.1**2)
    summed = spectrum.spectral_index_error(energy * u.TeV)[1]
    assert summed == pytest.approx(0.1 * (1 + 2 * log), rel=1e-4)


def test_appending_a_model_keeps_the_blocks(models):
    matrix = random_covariance(len(models.parameters))
    models.covariance = matrix
    models.append(SkyModel.create("pl", name="c"))
    np.testing.assert_allclose(models.covariance.data[:5, :5], matrix[:5, :5])
    assert models.covariance.shape == (13, 13)


def test_linked_parameter_uses_its_first_row(models):
    models["b"].spectral_model.index = models["a"].spectral_model.index
    free = models.parameters.free_unique_parameters
    covariance = Covariance.from_free(models.parameters, random_covariance(len(free)))
    assert np.all(covariance.data[5] == 0)
    models.covariance = covariance
    np.testing.assert_allclose(models.covariance.data, covariance.data)
    assert models["b"].spectral_model.index.error == pytest.approx(np.sqrt(covariance.data[0, 0]))
    assert models["b"].covariance.data[0, 1] == pytest.approx(covariance.data[0, 6])
    with pytest.raises(ModelError, match=r"7 free parameters need a matrix of shape \(7, 7\), got \(2, 2\)"):
        Covariance.from_free(models.parameters, np.eye(2))


def test_covariance_data_argument_and_copy():
    matrix = random_covariance(3)
    model = PowerLawSpectralModel(covariance_data=matrix)
    np.testing.assert_allclose(model.copy().covariance.data, matrix)
    sky = SkyModel(model, name="x")
    np.testing.assert_allclose(sky.copy().covariance.data, matrix)
    np.testing.assert_allclose(Models([sky]).copy().covariance.data, matrix)
