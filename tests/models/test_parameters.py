import numpy as np
import pytest

from gpudl4.core.errors import ModelError
from gpudl4.models import GaussianPrior, Parameter, Parameters, PowerLawSpectralModel, SkyModel
from gpudl4.models.parameters import link_labels, parameter_from_dict


@pytest.fixture
def parameters():
    return Parameters([Parameter("a", 1), Parameter("b", 2, frozen=True), Parameter("c", 3, "TeV", min=0, max=5)])


def test_lookup(parameters):
    assert parameters["b"] is parameters[1]
    assert parameters[parameters["c"]].name == "c"
    assert parameters[-1].name == "c"
    assert parameters[:2].names == ["a", "b"]
    assert parameters[np.array([True, False, True])].names == ["a", "c"]
    assert "a" in parameters
    assert parameters[0] in parameters
    assert Parameter("a", 1) not in parameters
    with pytest.raises(IndexError, match="no parameter named 'x'; there are: a, b, c"):
        parameters["x"]
    with pytest.raises(IndexError, match="parameter 'a' is not in this list"):
        parameters.index(Parameter("a", 1))
    with pytest.raises(ModelError, match="a mask for 3 parameters was wanted"):
        parameters[np.array([True])]
    with pytest.raises(ModelError, match="looked up by name, number or Parameter"):
        parameters.index(2.5)
    with pytest.raises(ModelError, match="holds Parameter objects, got 3"):
        Parameters([3])


def test_columns(parameters):
    np.testing.assert_array_equal(parameters.value, [1, 2, 3])
    parameters.value = [4, 5, 6]
    parameters.min = [0, 0, 1]
    parameters.max = [9, 9, 9]
    assert [p.value for p in parameters] == [4, 5, 6]
    np.testing.assert_array_equal(parameters.min, [0, 0, 1])
    np.testing.assert_array_equal(parameters.max, [9, 9, 9])
    with pytest.raises(ModelError, match="3 parameters need as many numbers for 'value', got 2"):
        parameters.value = [1, 2]


def test_free_and_unique(parameters):
    twice = parameters + Parameters([parameters["a"]])
    assert len(twice) == 4
    assert twice.unique_parameters.names == ["a", "b", "c"]
    assert twice.free_parameters.names == ["a", "c", "a"]
    assert twice.free_unique_parameters.names == ["a", "c"]
    assert twice != parameters
    assert twice[:3] == parameters
    parameters.freeze_all()
    assert not parameters.free_parameters
    parameters.unfreeze_all()
    assert parameters.free_parameters == parameters


def test_select():
    model = SkyModel.create("pl", "gauss")
    assert model.parameters.select(type="spatial", frozen=True).names == ["e", "phi"]
    assert model.parameters.select(name="index").names == ["index"]
    assert model.parameters.select(name=["index", "e"], frozen=False).names == ["index"]


def test_restore_status(parameters):
    with parameters.restore_status():
        parameters["a"].value = 9
        parameters.freeze_all()
    assert parameters["a"].value == 1
    assert [p.frozen for p in parameters] == [False, True, False]
    with parameters.restore_status(restore_values=False):
        parameters["a"].value = 9
    assert parameters["a"].value == 9


def test_copy_keeps_links_inside(parameters):
    twice = (parameters + Parameters([parameters["a"]])).copy()
    assert twice[0] is twice[3]
    assert twice[0] is not parameters[0]


def test_prior_sum_counts_a_linked_parameter_once(parameters):
    parameters["a"].prior = GaussianPrior(mu=0, sigma=1)
    one = parameters.prior_stat_sum()
    assert one == pytest.approx(1 + np.log(2 * np.pi))
    assert (parameters + parameters).prior_stat_sum() == one


def test_autoscale(parameters):
    parameters["c"].value = 3e7
    parameters.autoscale()
    assert [p.scale for p in parameters] == [1, 1, 1e7]


def test_link_labels_are_unique(parameters):
    twice = parameters + parameters
    labels = link_labels(twice, ["m"] * 3 + ["n"] * 3)
    assert [labels[id(p)] for p in parameters] == ["a@m", "b@m", "c@m"]
    other = Parameters([Parameter("a", 1), Parameter("a", 2)])
    labels = link_labels(other + other, ["m"] * 4)
    assert sorted(labels.values()) == ["a@m", "a@m-2"]
    assert link_labels(parameters) == {}


def test_table_and_text(parameters):
    parameters["a"].prior = GaussianPrior()
    table = parameters.to_table()
    assert list(table["name"]) == ["a", "b", "c"]
    assert list(table["prior"]) == ["GaussianPrior", "", ""]
    assert "TeV" in str(parameters)
    assert "<table>" in parameters._repr_html_()
    assert len(Parameters().to_table()) == 0


def test_html_escapes():
    assert "&lt;b&gt;" in Parameters([Parameter("<b>", 1)])._repr_html_()


def test_dict_round_trip(parameters):
    again = Parameters.from_dict(parameters.to_dict())
    assert again.names == parameters.names
    np.testing.assert_array_equal(again.value, parameters.value)
    assert again["b"].frozen


def test_dict_with_old_and_unknown_keys():
    assert parameter_from_dict({"name": "a", "value": 1, "is_norm": True}).value == 1
    with pytest.raises(ModelError, match="unknown key 'colour' of parameter 'a'; known: error, frozen"):
        parameter_from_dict({"name": "a", "value": 1, "colour": 2})
    with pytest.raises(ModelError, match="has no 'value'"):
        parameter_from_dict({"name": "a"})


def test_assigning_a_number_to_a_model_parameter_is_refused():
    model = PowerLawSpectralModel()
    with pytest.raises(ModelError, match=r"cannot assign 2 to parameter 'index': set `.index.value`"):
        model.index = 2
