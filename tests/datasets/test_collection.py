import numpy as np
import pytest
import yaml
from astropy.table import Table

from gpudl4.core.errors import DataFileError, DatasetError, OutputError
from gpudl4.datasets import DATASET_REGISTRY, Datasets, MapDataset
from gpudl4.maps import Map
from tests.factory import make_dataset, make_models
from tests.paths import shared_data


@pytest.fixture
def datasets():
    return Datasets([make_dataset(name="a", models=None), make_dataset(name="b", models=None, random_state=1)])


def with_models(datasets):
    models = make_models("a")
    datasets.models = [*models, make_models("b")["b-bkg"]]
    return datasets


# a sequence


def test_items(datasets):
    a, b = datasets
    assert datasets.names == ["a", "b"]
    assert datasets[0] is datasets["a"] is datasets[a] is a
    assert datasets[-1] is b
    assert datasets[:1].names == ["a"]
    assert "b" in datasets
    assert a in datasets
    assert "c" not in datasets
    assert datasets.index("b") == 1
    del datasets["a"]
    assert datasets.names == ["b"]
    datasets.insert(0, a)
    datasets["b"] = MapDataset(name="b")
    assert datasets[1] is not b
    assert Datasets(a).names == ["a"]
    assert len(Datasets()) == 0
    assert Datasets(datasets).names == ["a", "b"]


def test_adding(datasets):
    c = MapDataset(name="c")
    assert (datasets + c).names == ["a", "b", "c"]
    assert (datasets + [c]).names == ["a", "b", "c"]
    assert (c + datasets).names == ["c", "a", "b"]
    assert (c + MapDataset(name="d")).names == ["c", "d"]
    with pytest.raises(TypeError, match="unsupported operand"):
        datasets + 1


def test_names_are_unique(datasets):
    with pytest.raises(DatasetError, match="two datasets are named 'a': names must be unique"):
        Datasets([MapDataset(name="a"), MapDataset(name="a")])
    with pytest.raises(DatasetError, match="two datasets are named 'b'"):
        datasets.append(MapDataset(name="b"))
    with pytest.raises(DatasetError, match="two datasets are named 'b'"):
        datasets["a"] = MapDataset(name="b")


def test_wrong_items(datasets):
    with pytest.raises(DatasetError, match="no dataset is named 'c'; there are 'a', 'b'"):
        datasets["c"]
    with pytest.raises(DatasetError, match="neither the number nor the name"):
        datasets[1.5]
    with pytest.raises(DatasetError, match="a dataset was wanted, got str"):
        Datasets(["a"])
    with pytest.raises(DatasetError, match="a dataset or a list of datasets was wanted, got str"):
        Datasets("a.yaml")


# models


def test_models_are_distributed_and_collected(datasets):
    with_models(datasets)
    assert datasets["a"].models.names == ["point", "gauss", "a-bkg"]
    assert datasets["b"].models.names == ["point", "gauss", "b-bkg"]
    assert datasets["a"].models["point"] is datasets["b"].models["point"]
    assert sorted(datasets.models.names) == ["a-bkg", "b-bkg", "gauss", "point"]
    assert datasets.models is datasets.models
    assert len(datasets.parameters.free_parameters) == 11
    datasets.models = None
    assert len(datasets.models) == 0


def test_models_set_on_one_dataset_are_seen(datasets):
    datasets["a"].models = make_models("a")
    assert datasets.models.names == ["point", "gauss", "a-bkg"]
    datasets["b"].models = make_models("b")["b-bkg"]
    assert datasets.models.names == ["point", "gauss", "a-bkg", "b-bkg"]


def test_models_of_other_datasets_are_not_collected(datasets):
    datasets.models = [*make_models("a"), make_models("c")["c-bkg"]]
    assert datasets.models.names == ["point", "gauss", "a-bkg"]


def test_copy_shares_nothing_but_keeps_sharing(datasets):
    with_models(datasets)
    new = datasets.copy()
    assert new.names == ["a", "b"]
    assert new["a"].models["point"] is new["b"].models["point"]
    assert new["a"].models["point"] is not datasets["a"].models["point"]
    new["a"].counts.data[...] = 0
    assert datasets["a"].counts.data.any()


# statistic


def test_stat_sum_is_the_sum(datasets):
    with_models(datasets)
    total = datasets["a"].stat_sum() + datasets["b"].stat_sum()
    assert datasets.stat_sum() == pytest.approx(total, rel=1e-10)
    assert datasets.stat_sum_likelihood() == pytest.approx(total, rel=1e-14)


def test_priors_are_added_once(datasets):
    from gpudl4.models import GaussianPrior

    with_models(datasets)
    before, single = datasets.stat_sum(), datasets["a"].stat_sum()
    index = datasets.models["point"].spectral_model.index
    index.prior = GaussianPrior(mu=2.0, sigma=0.1)
    assert datasets.stat_sum() == pytest.approx(before + index.prior_stat_sum(), rel=1e-10)
    assert datasets["a"].stat_sum() == pytest.approx(single, rel=1e-12)
    assert datasets.stat_sum_likelihood() == pytest.approx(before, rel=1e-10)


def test_all_false_mask_in_one_dataset(datasets):
    with_models(datasets)
    datasets["b"].mask_fit = Map.from_geom(datasets["b"].counts.geom, dtype=bool)
    assert datasets.contributes_to_stat.tolist() == [True, False]
    assert datasets.stat_sum() == pytest.approx(datasets["a"].stat_sum(), rel=1e-12)
    datasets["a"].mask_fit = Map.from_geom(datasets["a"].counts.geom, dtype=bool)
    assert datasets.stat_sum() == 0


# properties and tables


def test_comparisons(datasets):
    assert datasets.is_all_same_type
    assert datasets.is_all_same_shape
    assert datasets.is_all_same_geom
    assert datasets.is_all_same_energy_shape
    assert datasets.energy_axes_are_aligned
    low, high = datasets.energy_ranges
    assert low.to_value("TeV") == pytest.approx([1, 1])
    assert high.to_value("TeV") == pytest.approx([10, 10])
    datasets.append(make_dataset(name="c", models=None, npix=(26, 20)))
    assert not datasets.is_all_same_shape
    assert not datasets.is_all_same_geom
    assert datasets.is_all_same_energy_shape


def test_gti(datasets):
    assert len(datasets.gti) == 2
    assert datasets.gti.time_sum.to_value("s") == pytest.approx(2 * 3800)
    assert Datasets([MapDataset(name="c")]).gti is None


def test_meta_table(datasets):
    datasets["a"].meta_table = Table({"OBS_ID": [7]})
    table = datasets.meta_table
    assert table["NAME"].tolist() == ["a", "b"]
    assert table["TYPE"].tolist() == ["MapDataset", "MapDataset"]
    assert table["OBS_ID"][0] == 7
    assert Datasets().meta_table.colnames == ["NAME", "TYPE"]


def test_info_table(datasets):
    table = datasets.info_table()
    assert table["name"].tolist() == ["a", "b"]
    assert table["counts"][0] == datasets["a"].info_dict()["counts"]
    cumulative = datasets.info_table(cumulative=True)
    assert cumulative["name"].tolist() == ["stacked", "stacked"]
    assert cumulative["counts"][1] == table["counts"].sum()
    assert cumulative["livetime"].quantity[1].to_value("s") == 7200
    assert len(Datasets().info_table()) == 0


def test_stack_reduce(datasets):
    stacked = datasets.stack_reduce(name="both")
    assert stacked.name == "both"
    expected = sum(d.counts.data * d.mask_safe.data for d in datasets)
    np.testing.assert_array_equal(stacked.counts.data, expected)
    with pytest.raises(DatasetError, match="at least one dataset"):
        Datasets().stack_reduce()


def test_text(datasets):
    datasets["a"].meta_table = Table({"TELESCOP": ["CTA"]})
    with_models(datasets)
    text = str(datasets)
    assert "Dataset 1:" in text
    assert "Instrument : CTA" in text
    assert "Models     : ['point', 'gauss', 'b-bkg']" in text
    assert datasets._repr_html_().startswith("<pre>Datasets")


# files


def test_round_trip(datasets, tmp_path):
    with_models(datasets)
    datasets.write(tmp_path / "x_datasets.yaml", filename_models=tmp_path / "x_models.yaml")
    again = Datasets.read(tmp_path / "x_datasets.yaml", filename_models=tmp_path / "x_models.yaml")
    assert again.names == ["a", "b"]
    assert again["b"].models.names == ["point", "gauss", "b-bkg"]
    assert again.stat_sum() == pytest.approx(datasets.stat_sum(), rel=1e-12)


def test_nothing_is_written_if_one_file_exists(datasets, tmp_path):
    (tmp_path / "b.fits").write_text("precious")
    with pytest.raises(OutputError, match=r"b\.fits' exists already"):
        datasets.write(tmp_path / "x_datasets.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["b.fits"]
    datasets.write(tmp_path / "x_datasets.yaml", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.fits", "b.fits", "x_datasets.yaml"]


def test_two_datasets_in_one_file(tmp_path):
    datasets = Datasets([make_dataset(name="a b", models=None), make_dataset(name="a_b", models=None)])
    with pytest.raises(OutputError, match=r"'a b' and 'a_b' would both be written to 'a_b\.fits': rename one"):
        datasets.write(tmp_path / "x_datasets.yaml")


@pytest.mark.parametrize("kind", ["CountsDataset", "SpectrumDatasets"])
def test_types_that_do_not_exist(kind, tmp_path):
    rows = [{"name": "pha", "type": kind, "filename": "pha_obs1.fits"}]
    (tmp_path / "x.yaml").write_text(yaml.safe_dump({"datasets": rows}))
    with pytest.raises(DataFileError, match=rf"type '{kind}' of 'pha_obs1\.fits' is unknown; types that can be read: MapDataset"):
        Datasets.read(tmp_path / "x.yaml")


def test_registry():
    assert DATASET_REGISTRY.get_cls("MapDataset") is MapDataset


def test_real_files():
    datasets = Datasets.read(shared_data("fermi-3fhl-crab", "Fermi-LAT-3FHL_datasets.yaml"))
    assert datasets.names == ["Fermi-LAT"]
    assert datasets["Fermi-LAT"].psf.psf_map.geom.axes["energy_true"].nbin == 17


@pytest.mark.peer
def test_gammapy_reads_what_we_write_and_computes_the_same(datasets, tmp_path):
    peer = pytest.importorskip("gammapy.datasets")
    with_models(datasets)
    datasets.write(tmp_path / "x_datasets.yaml", filename_models=tmp_path / "x_models.yaml")
    theirs = peer.Datasets.read(tmp_path / "x_datasets.yaml", filename_models=tmp_path / "x_models.yaml")
    assert theirs.names == ["a", "b"]
    assert theirs.stat_sum() == pytest.approx(datasets.stat_sum(), rel=1e-7)


@pytest.mark.peer
def test_we_read_what_gammapy_writes_and_compute_the_same(tmp_path):
    peer = pytest.importorskip("gammapy.datasets")
    theirs = peer.Datasets([make_dataset(name="a", library="gammapy")])
    theirs.write(tmp_path / "x_datasets.yaml", filename_models=tmp_path / "x_models.yaml")
    ours = Datasets.read(tmp_path / "x_datasets.yaml", filename_models=tmp_path / "x_models.yaml")
    assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-7)


def test_reverse(datasets):
    datasets.reverse()
    assert datasets.names == ["b", "a"]


def test_nothing_is_written_if_the_covariance_exists_already(tmp_path):
    dataset = make_dataset()
    (tmp_path / "models_covariance.dat").write_text("precious")
    with pytest.raises(OutputError, match=r"models_covariance.dat' exists already"):
        Datasets([dataset]).write(tmp_path / "datasets.yaml", tmp_path / "models.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["models_covariance.dat"]
    Datasets([dataset]).write(tmp_path / "datasets.yaml", tmp_path / "models.yaml", write_covariance=False)
    assert (tmp_path / "models_covariance.dat").read_text() == "precious"
