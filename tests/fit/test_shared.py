"""What several models share: the covariance between them, and linked parameters with their priors."""

import numpy as np
import pytest

from gpudl4 import Datasets, Fit, compile
from gpudl4.models import GaussianPrior, Models
from tests.factory import make_dataset


def _two():
    first, second = make_dataset(name="one"), make_dataset(name="two", random_state=7)
    point = first.models["point"]
    point.spatial_model.freeze()
    datasets = Datasets([first, second])
    datasets.models = [point, first.models["one-bkg"], second.models["two-bkg"]]
    return datasets


def test_covariance_between_models_is_known_everywhere(tmp_path):
    datasets = _two()
    result = Fit().run(list(datasets))  # a plain list: no `Datasets` takes part in the fit
    wanted = result.models.covariance
    names = [f"{model.name}.{p.name}" for model in result.models for p in model.parameters]
    place = names.index
    assert wanted.correlation[place("point.amplitude"), place("one-bkg.norm")] < -0.1
    np.testing.assert_array_equal(datasets.models.covariance.data, wanted.data)
    for dataset in datasets:
        own = [place(f"{model.name}.{p.name}") for model in dataset.models for p in model.parameters]
        np.testing.assert_array_equal(dataset.models.covariance.data, wanted.data[np.ix_(own, own)])
    twin = datasets.copy()
    np.testing.assert_array_equal(twin[1].models.covariance.data, datasets[1].models.covariance.data)
    datasets.write(tmp_path / "datasets.yaml", filename_models=tmp_path / "models.yaml")
    np.testing.assert_allclose(Models.read(tmp_path / "models.yaml").covariance.data, wanted.data, rtol=1e-12, atol=0)
    datasets[1].models.write(tmp_path / "own.yaml")
    np.testing.assert_allclose(Models.read(tmp_path / "own.yaml").covariance.data, datasets[1].models.covariance.data, rtol=1e-12, atol=0)


@pytest.mark.parametrize("frozen", [False, True])
def test_the_prior_of_a_linked_parameter_counts_once(frozen):
    """-2 ln p = ((x - mu) / sigma)^2 + ln(2 pi sigma^2), its derivatives 2 (x - mu) / sigma^2 and 2 / sigma^2."""
    dataset = make_dataset()
    index = dataset.models["point"].spectral_model.index
    dataset.models["gauss"].spectral_model.index = index
    index.frozen = frozen
    plain, theta = compile(dataset), compile(dataset).theta0
    mu, sigma = index.value + 0.3, 0.1
    index.prior = GaussianPrior(mu=mu, sigma=sigma)
    likelihood = compile(dataset)
    term = (0.3 / sigma) ** 2 + np.log(2 * np.pi * sigma**2)
    assert dataset.models.parameters.prior_stat_sum() == pytest.approx(term, rel=1e-12)
    (value, gradient), (value0, gradient0) = likelihood.value_and_gradient(theta), plain.value_and_gradient(theta)
    assert value - value0 == pytest.approx(term, abs=1e-8)
    assert Datasets([dataset]).stat_sum() == pytest.approx(value)
    wanted, second = np.zeros(len(theta)), np.zeros((len(theta), len(theta)))
    if not frozen:
        place = likelihood.names.index("point.index")
        wanted[place], second[place, place] = -2 * 0.3 / sigma**2, 2 / sigma**2
    np.testing.assert_allclose(gradient - gradient0, wanted, atol=1e-6 * np.abs(gradient0).max())
    for kind in ("fisher", "hessian"):
        more, less = getattr(likelihood, kind)(theta), getattr(plain, kind)(theta)
        np.testing.assert_allclose(np.diag(more - less), np.diag(second), atol=1e-3, rtol=1e-6)


def test_a_prior_that_is_edited_after_compile_changes_nothing():
    dataset = make_dataset()
    prior = GaussianPrior(mu=2, sigma=0.1)
    dataset.models["point"].spectral_model.index.prior = prior
    likelihood = compile(dataset)
    before = likelihood.value(likelihood.theta0)
    prior.mu.value = 3
    assert likelihood.value(likelihood.theta0) == before


def test_the_error_of_a_linked_parameter_that_the_prior_alone_knows():
    """Counts are those of the background, so that an index of sources without flux is known from the prior alone: error sigma."""
    dataset = make_dataset()
    for name in ("point", "gauss"):
        dataset.models[name].freeze()
        dataset.models[name].spectral_model.amplitude.value = 1e-20
    index = dataset.models["point"].spectral_model.index
    dataset.models["gauss"].spectral_model.index = index
    index.frozen, index.prior = False, GaussianPrior(mu=2, sigma=0.1)
    Fit().run(dataset)
    assert index.value == pytest.approx(2, abs=1e-3)
    assert index.error == pytest.approx(0.1, rel=1e-3)
