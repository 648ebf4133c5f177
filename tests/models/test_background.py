import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import ModelError
from gpudl4.maps import MapAxis, WcsGeom
from gpudl4.models import FoVBackgroundModel, GaussianSpatialModel, PowerLawNormSpectralModel, PowerLawSpectralModel


def test_names():
    model = FoVBackgroundModel(dataset_name="cta")
    assert (model.name, model.datasets_names) == ("cta-bkg", ["cta"])
    assert FoVBackgroundModel(datasets_names=["cta"], name="b").name == "b"
    assert model.parameters.names == ["tilt", "norm", "reference"]
    assert model.parameters_unique_names == ["spectral.tilt", "spectral.norm", "spectral.reference"]
    for wrong in ({}, {"dataset_name": "a", "datasets_names": ["a"]}):
        with pytest.raises(ModelError, match="give either dataset_name or datasets_names"):
            FoVBackgroundModel(**wrong)
    with pytest.raises(ModelError, match="acts on exactly one dataset"):
        FoVBackgroundModel(datasets_names=["a", "b"])
    with pytest.raises(ModelError, match=r"a norm spectral model is needed, e.g. PowerLawNormSpectralModel, got PowerLawSpectralModel"):
        FoVBackgroundModel(dataset_name="cta", spectral_model=PowerLawSpectralModel())


def test_evaluate():
    model = FoVBackgroundModel(dataset_name="cta", spectral_model=PowerLawNormSpectralModel(norm=1.2, tilt=0.5))
    np.testing.assert_allclose(model.evaluate([1, 4] * u.TeV).value, [1.2, 0.6])
    geom = WcsGeom.create(npix=3, axes=[MapAxis.from_energy_bounds("1 TeV", "4 TeV", nbin=1)])
    assert model.evaluate_geom(geom).shape == (1, 1, 1)
    assert model.evaluate_geom(geom)[0, 0, 0].value == pytest.approx(1.2 * 2**-0.5)
    shaped = FoVBackgroundModel(dataset_name="cta", spatial_model=GaussianSpatialModel(sigma="2 deg"))
    assert shaped.evaluate_geom(geom).shape == (1, 3, 3)
    assert shaped.evaluate(1 * u.TeV, 0 * u.deg, 0 * u.deg).unit == ""
    with pytest.raises(ModelError, match="lon and lat are needed"):
        shaped.evaluate(1 * u.TeV)


def test_copy_and_reset():
    model = FoVBackgroundModel(dataset_name="cta")
    model.spectral_model.norm.value = 1.4
    model.spectral_model.norm.error = 0.1
    twin = model.copy()
    assert (twin.name, twin.spectral_model.norm.value, twin.spectral_model.norm.error) == ("cta-bkg", 1.4, 0.1)
    assert model.copy(dataset_name="hess").name == "hess-bkg"
    assert model.copy(name="x").name == "x"
    assert model.reassign("cta", "hess").datasets_names == ["hess"]
    twin.reset_to_default()
    assert twin.spectral_model.norm.value == 1
    assert model.spectral_model.norm.value == 1.4


def test_dict():
    model = FoVBackgroundModel(dataset_name="cta")
    data = model.to_dict()
    assert "name" not in data
    assert FoVBackgroundModel.from_dict(data).name == "cta-bkg"
    named = FoVBackgroundModel(dataset_name="cta", name="mine").to_dict()
    assert FoVBackgroundModel.from_dict(named).name == "mine"
    assert FoVBackgroundModel.from_dict({"datasets_names": ["a"]}).spectral_model.norm.value == 1
    with pytest.raises(ModelError, match="needs 'datasets_names'"):
        FoVBackgroundModel.from_dict({"type": "FoVBackgroundModel"})
    with pytest.raises(ModelError, match=r"background model of dataset \['a'\]: unknown spectral model 'x'"):
        FoVBackgroundModel.from_dict({"datasets_names": ["a"], "spectral": {"type": "x"}})
    with pytest.raises(ModelError, match="unknown key 'apply_irf' in background model"):
        FoVBackgroundModel.from_dict({"datasets_names": ["a"], "apply_irf": {}})
