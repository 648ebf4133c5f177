import numpy as np
import pytest

from gpudl4.core.errors import ModelError
from gpudl4.models import DatasetModels, FoVBackgroundModel, GaussianPrior, Models, SkyModel


@pytest.fixture
def models():
    return Models(
        [
            SkyModel.create("pl", "point", name="a"),
            SkyModel.create("ecpl", "gauss", name="b", datasets_names=["cta"]),
            FoVBackgroundModel(dataset_name="cta"),
        ]
    )


def test_construction(models):
    assert len(Models()) == 0
    assert Models(models["a"]).names == ["a"]
    assert Models(models).names == models.names
    assert Models(DatasetModels(models)).names == ["a", "b", "cta-bkg"]
    with pytest.raises(ModelError, match="models must be a model, a list of models or Models, got 3"):
        Models(3)
    with pytest.raises(ModelError, match="holds SkyModel and FoVBackgroundModel objects, got 3"):
        Models([3])
    with pytest.raises(ModelError, match="two models are named 'a': give each its own name"):
        Models([SkyModel.create("pl", name="a"), SkyModel.create("pl", name="a")])
    with pytest.raises(ModelError, match="dataset 'cta' has two background models, 'cta-bkg' and 'x': keep one"):
        Models([FoVBackgroundModel(dataset_name="cta"), FoVBackgroundModel(dataset_name="cta", name="x")])


def test_lookup(models):
    assert models["b"] is models[1]
    assert models[models["b"]] is models[1]
    assert models[-1].name == "cta-bkg"
    assert models[:2].names == ["a", "b"]
    assert models[np.array([True, False, True])].names == ["a", "cta-bkg"]
    assert "a" in models
    assert models[0] in models
    assert "x" not in models
    assert models.background_models == {"cta": "cta-bkg"}
    with pytest.raises(ModelError, match="no model named 'x'; there are: a, b, cta-bkg"):
        models["x"]
    with pytest.raises(ModelError, match="is not one of the models"):
        models.index(SkyModel.create("pl", name="c"))


def test_editing(models):
    models.append(SkyModel.create("pl", name="c"))
    models.extend([SkyModel.create("pl", name="d")])
    models.insert(0, SkyModel.create("pl", name="first"))
    assert models.names == ["first", "a", "b", "cta-bkg", "c", "d"]
    models.remove("c")
    models.remove(models["d"])
    del models["first"]
    assert models.pop().name == "cta-bkg"
    models["b"] = SkyModel.create("lp", name="new")
    assert models.names == ["a", "new"]
    with pytest.raises(ModelError, match="two models are named 'a'"):
        models.append(SkyModel.create("pl", name="a"))
    with pytest.raises(ModelError, match="two models are named 'a'"):
        models["new"] = SkyModel.create("pl", name="a")
    assert models.names == ["a", "new"]
    assert not hasattr(DatasetModels(models), "append")


def test_list_is_not_shared(models):
    plain = [models["a"]]
    collection = Models(plain)
    collection.append(models["b"])
    assert len(plain) == 1


def test_parameters(models):
    assert len(models.parameters) == 5 + 10 + 3
    assert models.parameters_unique_names[0] == "a.spectral.index"
    models["b"].spectral_model.index = models["a"].spectral_model.index
    assert len(models.parameters.unique_parameters) == 17
    table = models.to_parameters_table()
    assert table.colnames == ["model", "type", "name", "value", "unit", "error", "min", "max", "frozen", "link", "prior"]
    assert list(table["link"][table["name"] == "index"]) == ["index@a", "index@a"]
    assert list(table["model"][-3:]) == ["cta-bkg"] * 3
    table["value"][0] = 3.3
    models.update_parameters_from_table(table)
    assert models["a"].spectral_model.index.value in (3.3, table["value"][5])
    with pytest.raises(ModelError, match="18 parameters need a table of as many rows, got 2"):
        models.update_parameters_from_table(table[:2])


def test_select(models):
    assert models.select(name_substring="bkg").names == ["cta-bkg"]
    assert models.select(datasets_names="cta").names == ["a", "b", "cta-bkg"]
    assert models.select(datasets_names="hess").names == ["a"]
    assert models.select(tag="sky-model").names == ["a", "b"]
    assert models.select(tag=["gauss", "ecpl"], model_type="spatial").names == ["b"]
    models["a"].freeze()
    assert models.select(frozen=True).names == ["a"]
    assert models.select(frozen=False).names == ["b", "cta-bkg"]


def test_freeze(models):
    models.freeze("spatial")
    assert models.parameters.free_parameters.names == ["index", "amplitude", "index", "amplitude", "lambda_", "norm"]
    models.freeze()
    assert models.frozen
    models.unfreeze()
    assert len(models.parameters.free_parameters) == 4 + 6 + 1


def test_restore_status(models):
    models["a"].spectral_model.index.error = 0.3
    with models.restore_status():
        models["a"].spectral_model.index.value = 7
        models["a"].spectral_model.index.error = 0.9
        models.freeze()
    assert (models["a"].spectral_model.index.value, models["a"].spectral_model.index.error) == (2, 0.3)
    assert not models.frozen


def test_copy_keeps_links_and_covariance(models):
    models["b"].spectral_model.index = models["a"].spectral_model.index
    models.covariance = np.diag(np.arange(18.0))
    twin = models.copy()
    assert twin.names == models.names
    assert twin["b"].spectral_model.index is twin["a"].spectral_model.index
    assert twin["b"].spectral_model.index is not models["b"].spectral_model.index
    np.testing.assert_array_equal(twin.covariance.data, models.covariance.data)


def test_dict_keeps_links_and_priors(models):
    models["b"].spectral_model.index = models["a"].spectral_model.index
    models["b"].spatial_model.lon_0 = models["a"].spatial_model.lon_0
    models.set_prior([models["a"].spectral_model.index], [GaussianPrior(mu=2, sigma=0.1, weight=3)])
    again = Models.from_dict(models.to_dict())
    a, b = again["a"], again["b"]
    assert a.spectral_model.index is b.spectral_model.index
    assert a.spatial_model.lon_0 is b.spatial_model.lon_0
    assert a.spectral_model.index.prior.weight == 3
    assert Models.from_yaml(models.to_yaml()).to_dict() == models.to_dict()
    assert again.to_dict(full_output=True) != again.to_dict()


def test_wrong_dicts():
    with pytest.raises(ModelError, match="needs a list 'components'; this one has none"):
        Models.from_dict({"datasets": []})
    with pytest.raises(ModelError, match="unknown key 'extra' beside 'components'"):
        Models.from_dict({"components": [], "extra": 1})
    with pytest.raises(ModelError, match=r"component 0 needs a 'type', got {'name': 'a'}"):
        Models.from_dict({"components": [{"name": "a"}]})
    with pytest.raises(ModelError, match="unknown model type 'TemplateNPredModel'; known: FoVBackgroundModel, SkyModel"):
        Models.from_dict({"components": [{"type": "TemplateNPredModel"}]})
    with pytest.raises(ModelError, match="do not parse as YAML"):
        Models.from_yaml("a: [")


def test_positions_and_text(models):
    assert len(models.positions) == 2
    with pytest.raises(ModelError, match="none of the models has a position"):
        _ = Models().positions
    pytest.importorskip("regions")
    assert len(models.to_regions()) == 2
    assert "Component 1: SkyModel" in str(models)
    page = models._repr_html_()
    assert page.count("<table>") == 2
    assert "lambda_" in page
    assert "Models([" in repr(models)
