"""Models that no dataset takes are a warning with the nearest known names, wherever models are given."""

import warnings

import pytest

from gpudl4 import Datasets, Fit, compile
from gpudl4.core.errors import ModelError
from gpudl4.models import FoVBackgroundModel, Models, SkyModel
from gpudl4.models.usage import unused_models, usage_problems
from tests.factory import make_dataset


def _datasets(*names):
    return Datasets([make_dataset(name=name, models=None) for name in names])


def _silent(function):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return function()


def test_unused_models_and_words_about_them():
    datasets = _datasets("nHit-8", "nHit-9")
    fine, everywhere = SkyModel.create("pl", "point", name="fine", datasets_names=["nHit-9"]), SkyModel.create("pl", "point", name="all")
    wrong = SkyModel.create("pl", "point", name="wrong", datasets_names=["nHit9"])
    nowhere = FoVBackgroundModel(dataset_name="qqqq")
    half = SkyModel.create("pl", "point", name="half", datasets_names=["nHit-8", "NHIT 9", "another"])
    models = Models([fine, everywhere, wrong, nowhere, half])
    assert unused_models(models, datasets) == [wrong, nowhere]
    assert usage_problems(models, datasets) == [
        "model 'wrong' acts on no dataset: its datasets_names are 'nHit9', the nearest known names 'nHit-9', 'nHit-8'",
        "model 'qqqq-bkg' acts on no dataset: its datasets_names are 'qqqq', the datasets are called 'nHit-8', 'nHit-9'",
        "model 'half' has 'NHIT 9' among its datasets_names: is 'nHit-9' meant?",
    ]
    assert usage_problems([fine, everywhere], datasets) == []
    assert usage_problems([fine, half], datasets, every_name=True) == [
        "model 'half' has 'NHIT 9' among its datasets_names: is 'nHit-9' meant?",
        "model 'half' has 'another' among its datasets_names, which does not exist",
    ]


@pytest.mark.parametrize("give", ["datasets", "fit", "compile"])
def test_a_misspelt_dataset_is_a_warning_where_models_are_given(give):
    datasets = _datasets("one", "two")
    models = [SkyModel.create("pl", "point", name="source"), FoVBackgroundModel(dataset_name="on")]
    models[0].spatial_model.lon_0.value, models[0].spatial_model.lat_0.value = 266.5, -28.9
    models[0].spatial_model.freeze()

    def call():
        if give == "datasets":
            datasets.models = models
        elif give == "fit":
            Fit().run(datasets, models=models)
        else:
            compile(datasets, models)

    with pytest.warns(UserWarning, match="model 'on-bkg' acts on no dataset: its datasets_names are 'on', the nearest known names 'one'"):
        call()


def test_a_background_model_on_a_copied_dataset_with_another_name():
    dataset = make_dataset(name="one")
    other = dataset.copy(name="other")
    with pytest.warns(UserWarning, match=r"none of the background models given \('one-bkg'\) acts on dataset 'other': they name 'one'"):
        other.models = dataset.models
    assert other.models.names == ["point", "gauss"]
    other.models = _silent(lambda: dataset.models.reassign("one", "other"))
    _silent(lambda: setattr(other, "models", dataset.models.reassign("one", "other")))
    assert len(other.models) == 3
    with pytest.warns(UserWarning, match=r"none of the models given \('one-bkg'\) acts on dataset 'other'"):
        other.models = [FoVBackgroundModel(dataset_name="one")]


def test_lists_that_are_handed_to_each_of_several_datasets_are_no_fault():
    datasets = _datasets("one", "two")
    models = Models([SkyModel.create("pl", "point", name="a", datasets_names=["one"]), SkyModel.create("pl", "point", name="b")])
    models = models + FoVBackgroundModel(dataset_name="one") + FoVBackgroundModel(dataset_name="two")
    for dataset in datasets:
        _silent(lambda dataset=dataset: setattr(dataset, "models", models))
    _silent(lambda: setattr(datasets, "models", models))
    assert [m.name for m in datasets["two"].models] == ["b", "two-bkg"]
    without = _datasets("one", "two")
    _silent(lambda: setattr(without, "models", models[:3]))  # a dataset may well go without a background model
    assert without.models.names == ["a", "b", "one-bkg"]


@pytest.mark.parametrize("models", ["abc", 3, [1], [None]])
def test_what_is_no_model(models):
    with pytest.raises(ModelError, match="models must be a model, a list of models or Models, got"):
        compile(make_dataset(), models)
