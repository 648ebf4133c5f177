import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import ModelError, UnitMismatchError
from gpudl4.models import (
    MODEL_REGISTRY,
    SPECTRAL_MODEL_REGISTRY,
    LogParabolaSpectralModel,
    Model,
    Parameter,
    PointSpatialModel,
    PowerLaw2SpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SpectralModel,
)


def test_parameters_are_copies_of_the_class_defaults():
    a, b = PowerLawSpectralModel(), PowerLawSpectralModel(index=3)
    a.index.value = 1.5
    assert (a.index.value, b.index.value, PowerLawSpectralModel.index.value) == (1.5, 3, 2)
    assert a.parameters.names == ["index", "amplitude", "reference"]
    assert a.index.type == "spectral"
    a.parameters["index"].value = 4
    assert a.index.value == 4


def test_arguments():
    parameter = Parameter("amplitude", "1e-9 TeV-1")
    assert PowerLawSpectralModel(amplitude=parameter).amplitude is parameter
    with pytest.raises(ModelError, match="PowerLawSpectralModel has no parameter 'indx'; it has: index, amplitude, reference"):
        PowerLawSpectralModel(indx=2)
    with pytest.raises(ModelError, match="parameter 'norm' was given for 'index'"):
        PowerLawSpectralModel(index=Parameter("norm", 1))
    with pytest.raises(UnitMismatchError, match="parameter 'amplitude' needs a unit that converts"):
        PowerLawSpectralModel(amplitude="1e-12 cm-2 s-1")
    with pytest.raises(UnitMismatchError, match="got none"):
        PointSpatialModel(lon_0=83.6)


def test_declaration_must_use_one_name():
    # Python 3.11 wraps what a descriptor raises at class creation
    with pytest.raises((ModelError, RuntimeError)) as caught:

        class Wrong(SpectralModel):
            first = Parameter("second", 1)

    text = f"{caught.value} {caught.value.__cause__}"
    assert "parameter 'second' is declared as class attribute 'first'" in text


def test_subclass_inherits_parameters():
    class Child(PowerLawSpectralModel):
        tag = "child"
        extra = Parameter("extra", 1)

    assert Child().parameters.names == ["index", "amplitude", "reference", "extra"]


def test_link_by_assignment():
    a, b = PowerLawSpectralModel(), PowerLawSpectralModel()
    b.index = a.index
    a.index.value = 3.3
    assert b.index.value == 3.3
    assert b(1 * u.TeV) == a(1 * u.TeV)


def test_freeze_and_copy():
    model = PowerLawSpectralModel()
    model.freeze()
    assert model.frozen
    model.unfreeze()
    assert [p.frozen for p in model.parameters] == [False, False, True]
    twin = model.copy(index=5)
    assert (twin.index.value, model.index.value) == (5, 2)
    with pytest.raises(ModelError, match="has no parameter 'x'"):
        model.copy(x=1)


def test_dict_leaves_out_defaults():
    model = PowerLawSpectralModel(index=2.5)
    data = model.to_dict()["spectral"]
    assert data["type"] == "PowerLawSpectralModel"
    assert data["parameters"][0] == {"name": "index", "value": 2.5}
    assert data["parameters"][2] == {"name": "reference", "value": 1.0, "unit": "TeV"}
    full = model.to_dict(full_output=True)["spectral"]["parameters"][0]
    assert set(full) == {"name", "value", "unit", "error", "min", "max", "frozen", "interp", "scale_method", "scale_transform"}
    model.index.min, model.index.error, model.index.frozen = 0, 0.1, True
    assert model.to_dict()["spectral"]["parameters"][0] == {"name": "index", "value": 2.5, "error": 0.1, "min": 0.0, "frozen": True}


def test_from_dict_uses_defaults_and_checks():
    model = PowerLawSpectralModel.from_dict({"type": "pl", "parameters": [{"name": "index", "value": 3}]})
    assert model.amplitude.value == 1e-12
    assert model.reference.frozen

    def read(*entries):
        return PowerLawSpectralModel.from_dict({"spectral": {"type": "pl", "parameters": list(entries)}})

    with pytest.raises(ModelError, match="type 'lp' does not belong to PowerLawSpectralModel"):
        PowerLawSpectralModel.from_dict({"type": "lp"})
    with pytest.raises(ModelError, match="unknown parameter 'indx' of PowerLawSpectralModel; known: index, amplitude, reference"):
        read({"name": "indx", "value": 1})
    with pytest.raises(ModelError, match="parameter 'index' of PowerLawSpectralModel is given twice"):
        read({"name": "index", "value": 1}, {"name": "index", "value": 1})
    with pytest.raises(ModelError, match="has the value nan: a finite number was wanted"):
        read({"name": "index", "value": np.nan})
    with pytest.raises(ModelError, match=r"min 3.0 above max 2.0"):
        read({"name": "index", "value": 1, "min": 3, "max": 2})
    with pytest.raises(ModelError, match="'furlong per fortnight' did not parse"):
        read({"name": "reference", "value": 1, "unit": "furlong per fortnight"})
    with pytest.raises(UnitMismatchError, match="parameter 'reference' of PowerLawSpectralModel has unit 'deg'"):
        read({"name": "reference", "value": 1, "unit": "deg"})
    with pytest.raises(ModelError, match="needs a 'name', got 3"):
        read(3)


def test_create_by_tag_and_registries():
    assert isinstance(Model.create("point", "spatial"), PointSpatialModel)
    assert isinstance(Model.create("sky-model", spectral_model=PowerLawSpectralModel()), SkyModel)
    assert Model.from_dict(PowerLawSpectralModel(index=3).to_dict()).index.value == 3
    with pytest.raises(ModelError, match=r"unknown spectral model 'nope'; known: .*PowerLawSpectralModel"):
        Model.create("nope", "spectral")
    with pytest.raises(ModelError, match="unknown model_type 'spectrall'"):
        Model.create("pl", "spectrall")
    with pytest.raises(ModelError, match="no 'type' found"):
        Model.from_dict({"name": "x"})
    assert "SkyModel" in str(MODEL_REGISTRY)


def test_registered_user_model_is_created_and_read():
    class FlatSpectralModel(SpectralModel):
        tag = ["FlatSpectralModel", "flat"]
        level = Parameter("level", "1e-11 cm-2 s-1 TeV-1")

        @staticmethod
        def evaluate(energy, level):
            return level * np.ones(energy.shape)

    SPECTRAL_MODEL_REGISTRY.append(FlatSpectralModel)
    try:
        model = SkyModel.create("flat", name="flat")
        model.spectral_model.level.value = 3e-11
        again = SkyModel.from_dict(model.to_dict())
    finally:
        SPECTRAL_MODEL_REGISTRY.remove(FlatSpectralModel)
    assert again.spectral_model.level.value == 3e-11


def test_text():
    model = PowerLawSpectralModel()
    assert "amplitude" in str(model)
    assert repr(model).startswith("PowerLawSpectralModel(index=2, amplitude=1e-12")
    assert "<table>" in model._repr_html_()
    assert "frame='icrs'" in repr(PointSpatialModel())


def test_a_link_to_a_parameter_of_another_name_keeps_the_name_of_its_place():
    """The YAML used to say 'index' among the parameters of a log parabola, which could not be read back."""
    pl, lp = PowerLawSpectralModel(index=2.7), LogParabolaSpectralModel()
    lp.alpha = pl.index
    assert lp.parameters.names == ["amplitude", "reference", "alpha", "beta"]
    assert lp.parameters["alpha"] is pl.parameters["index"] is lp.alpha
    assert lp.parameters.free_parameters.names == ["amplitude", "alpha", "beta"]
    assert lp.parameters.select(name="alpha").names == lp.parameters[2:3].names == ["alpha"]
    assert [p["name"] for p in lp.to_dict()["spectral"]["parameters"]] == lp.parameters.names
    assert "alpha=2.7" in repr(lp)
    assert "alpha" in str(lp)
    again = LogParabolaSpectralModel.from_parameters(lp.parameters)
    assert again.alpha is pl.index
    assert lp.copy().parameters.names == lp.parameters.names
    assert lp(3 * u.TeV).value == pytest.approx(1e-12 * (3 / 10) ** (-2.7 - 1 * np.log(3 / 10) * lp.beta.value))


@pytest.mark.parametrize(
    ("place", "other", "message"),
    [
        ("index", "reference", "parameter 'reference' with unit 'TeV' cannot stand for 'index', whose unit is ''"),
        ("reference", "index", "parameter 'index' with unit '' cannot stand for 'reference', whose unit is 'TeV'"),
        ("amplitude", "index", "cannot stand for 'amplitude'"),
    ],
)
def test_links_with_units_that_do_not_convert_are_refused_at_once(place, other, message):
    model, second = PowerLawSpectralModel(), PowerLawSpectralModel()
    before = getattr(model, place)
    with pytest.raises(UnitMismatchError, match=message):
        setattr(model, place, getattr(second, other))
    assert getattr(model, place) is before
    with pytest.raises(UnitMismatchError, match=r"parameter 'amplitude' with unit '1 / .* cannot stand for 'amplitude'"):
        PowerLaw2SpectralModel().amplitude = model.amplitude
    with pytest.raises(UnitMismatchError, match="parameter 'index' with unit 'TeV' cannot stand for 'index'"):
        PowerLawSpectralModel(index=Parameter("index", "2 TeV"))


def test_linked_parameters_may_have_units_that_convert():
    first, second = PowerLawSpectralModel(reference="1 TeV"), PowerLawSpectralModel(reference="500 GeV")
    first.reference = second.reference
    assert first(2 * u.TeV).to_value("cm-2 s-1 TeV-1") == pytest.approx(1e-12 * (2 / 0.5) ** -2)
