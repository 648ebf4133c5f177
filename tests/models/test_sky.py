import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import ModelError, UnitMismatchError
from gpudl4.maps import MapAxis, WcsGeom
from gpudl4.models import (
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    Parameter,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)


@pytest.fixture
def model():
    return SkyModel(
        PowerLawSpectralModel(index=2.3),
        GaussianSpatialModel(lon_0="0.2 deg", sigma="0.3 deg", frame="galactic"),
        name="source",
        datasets_names="cta",
    )


def test_parts_and_parameters(model):
    assert model.name == "source"
    assert model.datasets_names == ["cta"]
    assert model.parameters.names == ["index", "amplitude", "reference", "lon_0", "lat_0", "sigma", "e", "phi"]
    assert model.parameters_unique_names[:4] == ["spectral.index", "spectral.amplitude", "spectral.reference", "spatial.lon_0"]
    assert model.parameters.types == ["spectral"] * 3 + ["spatial"] * 5
    assert (model.frame, model.temporal_model) == ("galactic", None)
    assert model.evaluation_radius == 1.5 * u.deg
    assert model.evaluation_bin_size_min.to_value("deg") == pytest.approx(0.1)
    assert model.position.l.deg == pytest.approx(0.2)
    assert model.position_lonlat == (pytest.approx(np.deg2rad(0.2)), 0)
    bare = SkyModel(PowerLawSpectralModel())
    assert len(bare.name) == 8
    assert (bare.position, bare.position_lonlat, bare.frame, bare.evaluation_radius) == (None, None, None, None)


def test_wrong_parts():
    with pytest.raises(ModelError, match="spectral_model must be a SpectralModel, got 'pl'"):
        SkyModel("pl")
    with pytest.raises(ModelError, match="spatial_model must be a SpatialModel or None"):
        SkyModel(PowerLawSpectralModel(), PowerLawSpectralModel())
    with pytest.raises(ModelError, match="temporal models are not supported yet"):
        SkyModel(PowerLawSpectralModel(), temporal_model=3)
    with pytest.raises(ModelError, match="a name must be a string, got 3"):
        SkyModel(PowerLawSpectralModel(), name=3)
    with pytest.raises(ModelError, match="datasets_names must be names of datasets, got 3"):
        SkyModel(PowerLawSpectralModel(), datasets_names=[3])
    for wrong in ({"psff": True}, {"psf": 1}):
        with pytest.raises(ModelError, match="apply_irf must map exposure, psf, edisp to True or False"):
            SkyModel(PowerLawSpectralModel(), apply_irf=wrong)


def test_unit_is_checked():
    with pytest.raises(UnitMismatchError, match="model 'n': its spectrum has unit '', which does not convert to '1 / "):
        SkyModel(PowerLawNormSpectralModel(), name="n")
    plain = PowerLawSpectralModel(amplitude=Parameter("amplitude", "1 TeV-1"))
    with pytest.raises(UnitMismatchError, match="check the units of index, amplitude, reference"):
        SkyModel(plain)
    model = SkyModel(plain, apply_irf={"exposure": False})
    assert model.apply_irf == {"exposure": False, "psf": True, "edisp": True}


def test_evaluate(model):
    value = model(0.2 * u.deg, 0 * u.deg, 1 * u.TeV)
    assert value.unit.is_equivalent("cm-2 s-1 TeV-1 sr-1")
    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2, name="energy_true")
    geom = WcsGeom.create(skydir=(0.2, 0), npix=(41, 41), binsz=0.1, frame="galactic", axes=[axis])
    assert model.evaluate_geom(geom).shape == (2, 41, 41)
    flux = model.integrate_geom(geom)
    assert flux.unit == u.Unit("cm-2 s-1")
    np.testing.assert_allclose(flux.data.sum(axis=(1, 2)), model.spectral_model.integral(axis.edges[:-1], axis.edges[1:]).value, rtol=1e-5)
    bare = SkyModel(PowerLawSpectralModel())
    assert bare(0 * u.deg, 0 * u.deg, 1 * u.TeV) == bare.spectral_model(1 * u.TeV)
    assert bare.integrate_geom(geom).data[0, 3, 3] == bare.integrate_geom(geom).data[0, 0, 0]


def test_freeze_by_part(model):
    model.freeze("spatial")
    assert model.parameters.free_parameters.names == ["index", "amplitude"]
    assert not model.frozen
    model.freeze()
    assert model.frozen
    model.unfreeze("spatial")
    assert model.parameters.free_parameters.names == ["lon_0", "lat_0", "sigma"]
    model.unfreeze()
    assert len(model.parameters.free_parameters) == 5
    with pytest.raises(ModelError, match="unknown model_type 'shape'"):
        model.freeze("shape")


def test_copy_and_reassign(model):
    model.spectral_model.index.error = 0.2
    twin = model.copy()
    assert twin.name != model.name
    assert twin.spectral_model.index is not model.spectral_model.index
    assert twin.spectral_model.index.error == 0.2
    assert twin.datasets_names == ["cta"]
    named = model.copy(name="other", spatial_model=PointSpatialModel(), covariance_data=None)
    assert (named.name, type(named.spatial_model)) == ("other", PointSpatialModel)
    assert model.reassign("cta", "hess").datasets_names == ["hess"]
    assert model.reassign(["x"], ["y"]).datasets_names == ["cta"]
    with pytest.raises(ModelError, match="need as many new_datasets_names"):
        model.reassign(["x"], ["y", "z"])


def test_sums(model):
    background = FoVBackgroundModel(dataset_name="cta")
    assert isinstance(model + background, Models)
    assert (background + model).names == ["cta-bkg", "source"]
    assert ([background] + Models([model])).names == ["cta-bkg", "source"]
    assert (model + [background]).names == ["source", "cta-bkg"]
    with pytest.raises(TypeError, match="unsupported operand"):
        model + 3


def test_dict(model):
    model.apply_irf = {"psf": False}
    data = model.to_dict()
    assert list(data) == ["name", "type", "apply_irf", "datasets_names", "spectral", "spatial"]
    again = SkyModel.from_dict(data)
    assert again.apply_irf == model.apply_irf
    assert again.to_dict() == data
    assert "apply_irf" not in SkyModel(PowerLawSpectralModel()).to_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "a SkyModel needs a 'name'"),
        ({"spectral": None}, "model 'source': a 'spectral' part is missing"),
        ({"spectral": {"parameters": []}}, "model 'source': 'spectral' needs a 'type'"),
        ({"spectral": {"type": "PowerLaw"}}, "model 'source': unknown spectral model 'PowerLaw'; known: "),
        ({"spatial": {"type": "disc"}}, "model 'source': unknown spatial model 'disc'; known: "),
        ({"spatial": {"type": "point", "frames": "icrs"}}, "model 'source': unknown key 'frames' in 'spatial' of type 'point'"),
        ({"temporal": {"type": "exp-decay"}}, "model 'source': unknown temporal model 'exp-decay'"),
        ({"colour": "red"}, "unknown key 'colour' in model 'source'; known: apply_irf, "),
        ({"filename": "cube.fits"}, "model 'source' refers to the file 'cube.fits'"),
    ],
)
def test_wrong_dicts(model, change, message):
    with pytest.raises(ModelError, match=message):
        SkyModel.from_dict({**model.to_dict(), **change})


def test_text(model):
    text = str(model)
    assert "GaussianSpatialModel" in text
    assert "sigma" in text
    assert "(frozen)" in text
    assert "name='source'" in repr(model)
    assert model._repr_html_().startswith("<p>SkyModel")


def test_create():
    model = SkyModel.create("ecpl", "gauss", name="x")
    assert model.spectral_model.tag[1] == "ecpl"
    with pytest.raises(ModelError, match="unknown temporal model 'exp-decay'"):
        SkyModel.create("pl", temporal_model="exp-decay")


def test_irfs_are_switched_one_by_one():
    model = SkyModel(PowerLawSpectralModel(), GaussianSpatialModel(sigma="0.3 deg"), name="source")
    model.apply_irf["psf"] = False
    model.apply_irf.update(edisp=False)
    assert model.apply_irf == {"exposure": True, "psf": False, "edisp": False}
    assert model.to_dict()["apply_irf"] == {"exposure": True, "psf": False, "edisp": False}
    other = model.copy()
    other.apply_irf["psf"] = True
    assert model.apply_irf["psf"] is False
    with pytest.raises(ModelError, match="apply_irf must map exposure, psf, edisp to True or False"):
        model.apply_irf["pfs"] = False
    with pytest.raises(ModelError, match="always holds exposure, psf, edisp"):
        del model.apply_irf["psf"]
