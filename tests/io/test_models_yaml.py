import warnings

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import DataFileError, ModelError, OutputError, UnitMismatchError
from gpudl4.io.files import read_yaml
from gpudl4.io.models_yaml import read_models, write_models
from gpudl4.models import (
    DatasetModels,
    ExpCutoffPowerLawSpectralModel,
    FoVBackgroundModel,
    GaussianPrior,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)
from tests.paths import shared_data

REAL_FILES = [
    ("fermi-3fhl-crab", "Fermi-LAT-3FHL_models.yaml"),
    ("flux-points", "models.yaml"),
    ("simulated", "simulated_map_dataset_model.yaml"),
    ("simulated", "simulated_spectrum_dataset_PL_model.yaml"),
    ("simulated", "simulated_spectrum_dataset_ECPL_model.yaml"),
]


@pytest.fixture
def models():
    cutoff = ExpCutoffPowerLawSpectralModel(index=2.2, amplitude="3e-18 cm-2 s-1 MeV-1", reference="500 GeV", lambda_="1e-4 GeV-1")
    cutoff.index.min, cutoff.index.max = 0, 5
    a = SkyModel(cutoff, PointSpatialModel(lon_0="0.1 deg", lat_0="-0.2 deg", frame="galactic"), name="source a", datasets_names=["cta"])
    gauss = GaussianSpatialModel(lon_0="0.3 rad", lat_0="2 arcmin", sigma="0.2 deg", e=0.3)
    gauss.e.frozen = False
    b = SkyModel(PowerLawSpectralModel(), gauss, name="b", apply_irf={"edisp": False})
    b.spectral_model.index = a.spectral_model.index
    b.spectral_model.amplitude.prior = GaussianPrior(mu=1e-12, sigma=1e-13, weight=2)
    background = FoVBackgroundModel(dataset_name="cta", spectral_model=PowerLawNormSpectralModel(norm=1.1))
    collection = Models([a, b, background])
    free = collection.parameters.free_unique_parameters
    root = np.random.default_rng(0).normal(size=(len(free), len(free))) * np.abs(free.value) * 1e-2
    full = np.zeros((len(collection.parameters),) * 2)
    index = [collection.parameters.index(p) for p in free]
    full[np.ix_(index, index)] = root.T @ root
    collection.covariance = full
    return collection


def described(models):
    """All that must survive a file, by plain values."""
    rows = []
    for model in models:
        for p in model.parameters:
            prior = None if p.prior is None else (type(p.prior).__name__, float(p.prior.weight), [q.value for q in p.prior.parameters])
            rows.append((model.name, p.name, p.value, str(u.Unit(p.unit)), p.error, p.min, p.max, p.frozen, p.interp, prior))
    return rows


def assert_same(ours, theirs, correlations=True):
    """Equal models. Without correlations only errors are compared: gammapy drops correlations of linked parameters when it reads them."""
    a, b = described(ours), described(theirs)
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one[:2] + one[7:] == other[:2] + other[7:]
        assert one[2] == other[2]
        assert u.Unit(one[3]) == u.Unit(other[3])
        np.testing.assert_allclose(one[4:7], other[4:7], rtol=1e-12)
    if correlations:
        np.testing.assert_allclose(ours.covariance.data, theirs.covariance.data, rtol=1e-12)


def test_round_trip(models, tmp_path):
    path = tmp_path / "new" / "models.yaml"
    models.write(path)
    assert sorted(p.name for p in path.parent.iterdir()) == ["models.yaml", "models_covariance.dat"]
    again = Models.read(path)
    assert_same(models, again)
    assert again["b"].spectral_model.index is again["source a"].spectral_model.index
    assert again["b"].apply_irf["edisp"] is False
    assert again["source a"].datasets_names == ["cta"]
    assert again["source a"].spatial_model.frame == "galactic"
    assert isinstance(DatasetModels.read(path), DatasetModels)


@pytest.mark.parametrize("full_output", [True, False])
def test_full_output_and_checksum(models, tmp_path, full_output):
    path = tmp_path / "models.yaml"
    models.write(path, full_output=full_output, checksum=True)
    assert ("scale_method" in path.read_text()) == full_output
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(models, Models.read(path, checksum=True))


def test_environment_variable(models, tmp_path, monkeypatch):
    monkeypatch.setenv("GPUDL4_TEST_FOLDER", str(tmp_path))
    models.write("$GPUDL4_TEST_FOLDER/m.yaml")
    assert_same(models, Models.read("$GPUDL4_TEST_FOLDER/m.yaml"))


def test_nothing_is_overwritten(models, tmp_path):
    path = tmp_path / "models.yaml"
    models.write(path)
    before = path.read_bytes(), (tmp_path / "models_covariance.dat").read_bytes()
    with pytest.raises(OutputError, match=r"models.yaml' exists already: pass overwrite=True"):
        models.write(path)
    path.unlink()
    with pytest.raises(OutputError, match=r"models_covariance.dat' exists already"):
        models.write(path)
    assert not path.exists()
    models.write(path, overwrite=True)
    assert (tmp_path / "models_covariance.dat").read_bytes() == before[1]


def test_without_covariance(models, tmp_path):
    path = tmp_path / "models.yaml"
    write_models(models, path, write_covariance=False)
    assert [p.name for p in tmp_path.iterdir()] == ["models.yaml"]
    again = read_models(path)
    np.testing.assert_allclose(np.diag(again.covariance.data), np.diag(models.covariance.data), rtol=1e-12, atol=0)


def test_failed_write_leaves_nothing(models, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("disk gone")

    monkeypatch.setattr("gpudl4.io.models_yaml.covariance_text", fail)
    with pytest.raises(RuntimeError, match="disk gone"):
        models.write(tmp_path / "models.yaml")
    assert list(tmp_path.iterdir()) == []


def test_covariance_that_cannot_be_read_is_a_warning(models, tmp_path):
    path, table = tmp_path / "models.yaml", tmp_path / "models_covariance.dat"
    models.write(path)
    good = table.read_text()
    cases = {"does not exist": None, "is no table for": "nonsense", "rows, the models have": "\n".join(good.splitlines()[:-1])}
    for message, text in cases.items():
        table.unlink() if text is None else table.write_text(text)
        with pytest.warns(UserWarning, match=f"covariance file '.*' .*{message}.*correlations are lost"):
            again = Models.read(path)
        assert again["source a"].spectral_model.index.error == models["source a"].spectral_model.index.error


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, DataFileError, "models.yaml' does not exist"),
        ("", DataFileError, "models.yaml' is empty"),
        ("components: [", DataFileError, "models.yaml' does not parse as YAML"),
        ("- a\n- b\n", DataFileError, "models.yaml' holds a list"),
        ("datasets: []\n", DataFileError, "it is a datasets file, a models file was wanted"),
        ("parts: []\n", ModelError, "models.yaml': a models file needs a list 'components'"),
        ("components: 3\n", ModelError, "a models file needs a list 'components'"),
        ("components: [{type: SkyModels, name: a}]", ModelError, "unknown model type 'SkyModels'; known: FoVBackgroundModel, SkyModel"),
        (
            "components: [{type: SkyModel, name: a, spectral: {type: pll}}]",
            ModelError,
            "model 'a': unknown spectral model 'pll'; known: .*Power",
        ),
        ("components: [{type: SkyModel, name: a, spectral: pl}]", ModelError, "model 'a': 'spectral' needs a 'type', got 'pl'"),
        (
            "components: [{type: SkyModel, name: a, spectral: {type: pl, parameters: [{name: gamma, value: 2}]}}]",
            ModelError,
            "models.yaml': model 'a': unknown parameter 'gamma' of PowerLawSpectralModel; known: index, amplitude, reference",
        ),
        (
            "components: [{type: SkyModel, name: a, spectral: {type: pl, parameters: [{name: index, value: .nan}]}}]",
            ModelError,
            "model 'a': parameter 'index' of PowerLawSpectralModel has the value nan",
        ),
        (
            "components: [{type: SkyModel, name: a, spectral: {type: pl, parameters: [{name: index, value: two}]}}]",
            ModelError,
            "model 'a': parameter 'index' of PowerLawSpectralModel: value of parameter 'index' must be a number",
        ),
        (
            "components: [{type: SkyModel, name: a, spectral: {type: pl, parameters: [{name: index, value: 2, sigma: 3}]}}]",
            ModelError,
            "unknown key 'sigma' of parameter 'index'",
        ),
        (
            "components: [{type: SkyModel, name: a, spectral: {type: pl, parameters: [{name: reference, value: 2, unit: deg}]}}]",
            UnitMismatchError,
            "parameter 'reference' of PowerLawSpectralModel has unit 'deg', which does not convert to 'TeV'",
        ),
        (
            "components: [{type: SkyModel, name: a, spectral: {type: pl, parameters: [{name: amplitude, value: 2, unit: TeV-1}]}}]",
            UnitMismatchError,
            "models.yaml': model 'a': its spectrum has unit '1 / TeV', which does not convert to",
        ),
        (
            "components: [{type: SkyModel, name: a, spectral: {type: pl}}, {type: SkyModel, name: a, spectral: {type: pl}}]",
            ModelError,
            "models.yaml': two models are named 'a'",
        ),
    ],
)
def test_bad_files(tmp_path, text, error, message):
    path = tmp_path / "models.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(error, match=message):
        Models.read(path)


def test_numbers_that_yaml_reads_as_text(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text(
        "components: [{type: SkyModel, name: a, spectral: {type: pl, parameters: "
        "[{name: amplitude, value: 1e-11, unit: cm-2 s-1 TeV-1, min: 1e-15}]}}]"
    )
    amplitude = Models.read(path)["a"].spectral_model.amplitude
    assert (amplitude.value, amplitude.min) == (1e-11, 1e-15)


@pytest.mark.parametrize("parts", REAL_FILES, ids=lambda parts: parts[-1])
def test_real_files_round_trip(parts, tmp_path):
    models = Models.read(shared_data(*parts))
    models.write(tmp_path / "models.yaml")
    assert_same(models, Models.read(tmp_path / "models.yaml"))


def test_older_file():
    models = Models.read(shared_data("fermi-3fhl-crab", "Fermi-LAT-3FHL_models.yaml"))
    assert models.names == ["Crab Nebula", "Fermi-LAT-bkg"]
    crab = models["Crab Nebula"]
    assert np.isnan(crab.spectral_model.alpha.min)
    assert crab.spectral_model.beta.error == pytest.approx(0.00521472221220211)
    assert crab.spatial_model.lon_0.frozen
    assert models[1].spectral_model.norm.min == 0


@pytest.mark.peer
@pytest.mark.parametrize("parts", REAL_FILES, ids=lambda parts: parts[-1])
def test_gammapy_reads_the_same_from_real_files(parts):
    peer = pytest.importorskip("gammapy.modeling.models")
    path = shared_data(*parts)
    assert_same(Models.read(path), peer.Models.read(path))


@pytest.mark.peer
@pytest.mark.parametrize("full_output", [True, False])
def test_gammapy_reads_ours(models, tmp_path, full_output):
    peer = pytest.importorskip("gammapy.modeling.models")
    path = tmp_path / "models.yaml"
    models.write(path, full_output=full_output, checksum=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        theirs = peer.Models.read(path, checksum=True)
    assert_same(models, theirs, correlations=False)
    assert theirs["b"].spectral_model.index is theirs["source a"].spectral_model.index
    assert theirs["b"].apply_irf["edisp"] is False


@pytest.mark.peer
@pytest.mark.parametrize("full_output", [True, False])
def test_we_read_gammapys(models, tmp_path, full_output):
    peer = pytest.importorskip("gammapy.modeling.models")
    models.write(tmp_path / "ours.yaml")
    theirs = peer.Models.read(tmp_path / "ours.yaml")
    path = tmp_path / "theirs.yaml"
    theirs.write(path, full_output=full_output)
    ours = Models.read(path)
    assert_same(ours, theirs, correlations=False)
    assert_same(ours, models, correlations=False)
    assert ours["b"].spectral_model.index is ours["source a"].spectral_model.index


@pytest.mark.peer
def test_full_covariance_both_ways(tmp_path):
    peer = pytest.importorskip("gammapy.modeling.models")
    models = Models([SkyModel.create("pl", "gauss", name=name) for name in ("a", "b c")])
    root = np.random.default_rng(1).normal(size=(16, 16)) * 10.0 ** np.arange(-8, 8)
    models.covariance = root.T @ root
    models.write(tmp_path / "ours.yaml")
    theirs = peer.Models.read(tmp_path / "ours.yaml")
    np.testing.assert_allclose(theirs.covariance.data, models.covariance.data, rtol=1e-14)
    theirs.write(tmp_path / "theirs.yaml")
    np.testing.assert_allclose(Models.read(tmp_path / "theirs.yaml").covariance.data, models.covariance.data, rtol=1e-14)


def test_covariance_of_a_text_or_dict_is_read_from_a_folder(models, tmp_path, monkeypatch):
    path = tmp_path / "models.yaml"
    models.write(path)
    text = path.read_text()
    for again in (Models.from_yaml(text, path=tmp_path), Models.from_dict(read_yaml(path), path=str(tmp_path))):
        np.testing.assert_array_equal(again.covariance.data, models.covariance.data)
    with pytest.warns(UserWarning, match=r"^covariance file 'models_covariance.dat' does not exist.*correlations are lost"):
        Models.from_yaml(text)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(Models.from_yaml(text).covariance.data, models.covariance.data)


def test_arguments_about_templates_are_accepted(models):
    assert models.to_dict(overwrite_templates=True) == models.to_dict()
    assert models.to_yaml(overwrite_templates=True) == models.to_yaml()


@pytest.mark.parametrize("first", ["pl", "lp"])
@pytest.mark.parametrize("full_output", [False, True])
def test_links_between_parameters_of_different_names(tmp_path, first, full_output):
    """Each model's own name stands in its place, whichever of the two comes first."""
    pl, lp = SkyModel.create("pl", "point", name="pl"), SkyModel.create("lp", "point", name="lp")
    lp.spectral_model.alpha = pl.spectral_model.index
    lp.spectral_model.beta = lp.spectral_model.alpha
    pl.spectral_model.index.value, pl.spectral_model.index.error = 2.7, 0.1
    models = Models([pl, lp] if first == "pl" else [lp, pl])
    models.write(tmp_path / "models.yaml", full_output=full_output)
    text = (tmp_path / "models.yaml").read_text()
    assert [text.count(f"name: {name}\n") for name in ("index", "alpha", "beta")] == [1, 1, 1]
    labels = (tmp_path / "models_covariance.dat").read_text()
    assert all(f" {name} " in labels for name in ("pl.spectral.index", "lp.spectral.alpha", "lp.spectral.beta"))
    again = Models.read(tmp_path / "models.yaml")
    index = again["pl"].spectral_model.index
    assert index is again["lp"].spectral_model.alpha is again["lp"].spectral_model.beta
    assert (index.value, again.parameters.free_unique_parameters.value.tolist().count(2.7)) == (2.7, 1)
    assert again["pl"].spectral_model.index.error == pytest.approx(0.1)
    assert again.names == models.names
    again.write(tmp_path / "again.yaml", full_output=full_output)
    third = Models.read(tmp_path / "again.yaml")
    assert third["lp"].spectral_model.alpha is third["pl"].spectral_model.index
