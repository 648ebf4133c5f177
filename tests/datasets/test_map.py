import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import DataFileError, DatasetError, GeometryError, ModelError, OutputError
from gpudl4.datasets import Datasets, MapDataset, create_map_dataset_geoms
from gpudl4.irf import EDispKernelMap, EDispMap, PSFMap, RecoPSFMap
from gpudl4.maps import Map, MapAxis
from gpudl4.stats import cash
from tests.datasets.makers import make_kind
from tests.factory import make_dataset, make_geom, make_models
from tests.paths import shared_data


@pytest.fixture
def dataset():
    return make_dataset()


# making


def test_names():
    assert MapDataset(name="a b").name == "a b"
    first, second = MapDataset().name, MapDataset().name
    assert first != second
    assert len(first) == 8
    assert first.isalnum()
    with pytest.raises(DatasetError, match="must be a string, got 23523 of type int"):
        MapDataset(name=23523)


def test_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match="likelihood"):
        MapDataset(likelihood="cash")
    with pytest.raises(TypeError, match="binszirf"):
        MapDataset.create(make_geom(), binszirf=1)


def test_unknown_statistic():
    with pytest.raises(DatasetError, match="dataset 'a': unknown stat_type 'chi2'; known: cash"):
        MapDataset(name="a", stat_type="chi2")


def test_create():
    axis_true = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", nbin=5, name="energy_true")
    dataset = MapDataset.create(make_geom(), energy_axis_true=axis_true, name="empty")
    assert dataset.counts.data.shape == dataset.background.data.shape == (3, 20, 24)
    assert dataset.exposure.data.shape == (5, 20, 24)
    assert dataset.exposure.unit == "m2 s"
    assert isinstance(dataset.psf, PSFMap)
    assert dataset.psf.psf_map.geom.axes["rad"].nbin == 66
    assert dataset.psf.psf_map.geom.pixel_scales[0] == 0.2 * u.deg
    assert isinstance(dataset.edisp, EDispKernelMap)
    assert not dataset.mask_safe.data.any()
    assert len(dataset.gti) == 0
    assert dataset.mask_fit is None
    assert dataset.models is None


def test_create_with_migration_and_reco_psf():
    dataset = MapDataset.create(
        make_geom(), migra_axis=MapAxis.from_bounds(0.2, 5, nbin=48, name="migra", node_type="edges"), reco_psf=True
    )
    assert isinstance(dataset.edisp, EDispMap)
    assert isinstance(dataset.psf, RecoPSFMap)
    assert dataset.exposure.geom.axes["energy_true"].nbin == 3


def test_create_needs_the_right_axes():
    with pytest.raises(GeometryError, match="energy_axis_true must be named 'energy_true', got 'energy'"):
        create_map_dataset_geoms(make_geom(), energy_axis_true=make_geom().axes["energy"])
    with pytest.raises(GeometryError, match="needs an axis 'energy', got axes"):
        MapDataset.create(make_geom().to_image())


def test_geometry_comes_from_what_is_there():
    dataset = make_dataset(models=None)
    assert MapDataset(background=dataset.background).data_shape == (3, 20, 24)
    assert set(dataset.geoms) == {"geom", "geom_exposure", "geom_psf", "geom_edisp"}
    with pytest.raises(DatasetError, match="dataset 'a' has no counts, background, mask_safe or mask_fit"):
        MapDataset(name="a", exposure=dataset.exposure).data_shape  # noqa: B018


# models


def test_models_are_those_of_the_dataset(dataset):
    models = make_models("test")
    other = make_models("other")["other-bkg"]
    models["gauss"].datasets_names = ["elsewhere"]
    dataset.models = [*models, other]
    assert dataset.models.names == ["point", "test-bkg"]
    assert dataset.models["point"] is models["point"]
    assert dataset.background_model is models["test-bkg"]
    dataset.models = models["point"]
    assert dataset.models.names == ["point"]
    assert dataset.background_model is None
    dataset.models = None
    assert dataset.models is None


# masks


def test_mask_is_both_masks(dataset):
    np.testing.assert_array_equal(dataset.mask.data, dataset.mask_safe.data & dataset.mask_fit.data)
    assert dataset.mask.data.dtype == bool
    safe, dataset.mask_fit = dataset.mask_safe, None
    assert dataset.mask is safe
    dataset.mask_safe = None
    assert dataset.mask is None
    assert dataset.mask_image.data.all()
    assert dataset.mask_safe_image is dataset.mask_fit_image is dataset.mask_safe_psf is dataset.mask_safe_edisp is None


def test_mask_images(dataset):
    np.testing.assert_array_equal(dataset.mask_safe_image.data, dataset.mask_safe.data.any(axis=0))
    np.testing.assert_array_equal(dataset.mask_fit_image.data, dataset.mask_fit.data.any(axis=0))
    np.testing.assert_array_equal(dataset.mask_image.data, dataset.mask.data.any(axis=0))
    assert dataset.mask_image.geom == dataset.counts.geom.to_image()


def test_energy_ranges(dataset):
    low, high = dataset.energy_range_safe
    edges = dataset.counts.geom.axes["energy"].edges.value
    assert np.isnan(low.data[0, 0])
    assert low.data[10, 4] == edges[1]
    assert low.data[10, 15] == edges[0]
    assert high.data[10, 15] == edges[-1]
    low, high = dataset.energy_range_total
    assert (low.to_value("TeV"), high.to_value("TeV")) == pytest.approx((1, 10))
    dataset.mask_fit = Map.from_geom(dataset.counts.geom, dtype=bool)
    assert np.isnan(dataset.energy_range_total[0])
    dataset.mask_fit = dataset.mask_safe = None
    assert (dataset.energy_range[1].data == edges[-1]).all()


def test_excess(dataset):
    np.testing.assert_allclose(dataset.excess.data, dataset.counts.data - dataset.background.data)
    dataset.background = None
    with pytest.raises(DatasetError, match="the excess needs counts and background"):
        dataset.excess  # noqa: B018


# copies


def test_copy_is_deep_and_has_no_models(dataset):
    new = dataset.copy(name="new")
    assert new.name == "new"
    assert new.models is None
    assert dataset.models is not None
    new.counts.data[...] = 0
    new.psf.psf_map.data[...] = 0
    assert dataset.counts.data.sum() > 0
    assert dataset.psf.psf_map.data.sum() > 0
    assert dataset.copy().name != dataset.name


def test_to_host_keeps_name_models_and_values(dataset):
    host = dataset.to_host()
    assert host.name == dataset.name
    assert host.models is dataset.models
    np.testing.assert_array_equal(host.psf.psf_map.data, dataset.psf.psf_map.data)
    assert dataset.to_device("numpy").counts.data is dataset.counts.data


def test_cutout(dataset):
    position = SkyCoord(0.4, -0.2, unit="deg", frame="galactic")
    part = dataset.cutout(position, width=1 * u.deg, name="part")
    assert part.name == "part"
    assert part.models is None
    assert part.counts.data.shape == (3, 10, 10)
    np.testing.assert_array_equal(part.counts.data, dataset.counts.data[:, 5:15, 7:17])
    assert part.exposure.data.shape == (5, 10, 10)
    assert part.mask_safe.data.dtype == bool
    assert len(part.gti) == 2
    part.counts.data[...] = 0
    assert dataset.counts.data[:, 5:15, 7:17].any()


# predictions


def test_no_property_writes(dataset):
    def state():
        return dict(vars(dataset))

    before, values = state(), dict(dataset._values)
    for name in ("mask", "mask_image", "excess", "energy_range", "energy_range_total", "geoms", "data_shape", "background_model"):
        getattr(dataset, name)
        getattr(dataset, name)
    dataset.npred(), dataset.stat_sum(), str(dataset)
    after = state()
    assert before.keys() == after.keys()
    assert all(before[key] is after[key] for key in before)
    assert all(values[key] is dataset._values[key] for key in values)


def test_npred_is_signal_plus_background(dataset):
    signal, background, npred = dataset.npred_signal(), dataset.npred_background(), dataset.npred()
    assert signal.data.dtype == npred.data.dtype == np.float64
    np.testing.assert_allclose(npred.data, signal.data + background.data, rtol=1e-12, atol=1e-12)
    assert signal.data.sum() == pytest.approx(1806.6, rel=1e-3)
    tilt = (dataset.counts.geom.axes["energy"].center.to_value("TeV")) ** -0.05
    np.testing.assert_allclose(background.data, 1.1 * tilt[:, None, None] * dataset.background.data, rtol=1e-6)


def test_npred_follows_the_models(dataset):
    before = dataset.npred_signal(["point"]).data
    dataset.models["point"].spectral_model.amplitude.value *= 2
    np.testing.assert_allclose(dataset.npred_signal("point").data, 2 * before, rtol=1e-12)
    dataset.models["test-bkg"].spectral_model.norm.value = 0
    assert dataset.npred_background().data.sum() == 0


def test_npred_by_model(dataset):
    cube = dataset.npred_signal(stack=False)
    assert cube.data.shape == (2, 3, 20, 24)
    assert cube.geom.axes.names == ["energy", "models"]
    assert cube.geom.axes["models"].center.tolist() == ["point", "gauss"]
    np.testing.assert_allclose(cube.data.sum(axis=0), dataset.npred_signal().data, rtol=1e-12)
    np.testing.assert_allclose(cube.data[1], dataset.npred_signal("gauss").data, rtol=1e-12)


def test_npred_of_an_unknown_model(dataset):
    with pytest.raises(DatasetError, match="dataset 'test' has no sky model named 'crab', 'test-bkg'; it has point, gauss"):
        dataset.npred_signal(["crab", "test-bkg"])


def test_npred_is_not_negative(dataset):
    dataset.models["gauss"].spectral_model.amplitude.value = -1e-9
    assert dataset.npred_signal().data.min() < 0
    assert dataset.npred().data.min() == 0


def test_npred_without_models_or_background():
    dataset = make_dataset(models=None)
    np.testing.assert_array_equal(dataset.npred().data, dataset.background.data)
    assert dataset.npred_background().data is not dataset.background.data
    dataset.background = None
    assert dataset.npred_background() is None
    assert not dataset.npred().data.any()


# statistic


def test_stat_sum_is_the_sum_over_the_mask(dataset):
    stat = cash(dataset.counts.data, dataset.npred().data)
    np.testing.assert_allclose(dataset.stat_array(), stat, rtol=1e-12)
    assert dataset.stat_sum() == pytest.approx(stat[dataset.mask.data].sum(), rel=1e-10)
    assert dataset.stat_sum_likelihood() == dataset.stat_sum()
    dataset.mask_safe = dataset.mask_fit = None
    assert dataset.stat_sum() == pytest.approx(stat.sum(), rel=1e-10)


def test_stat_sum_without_models():
    dataset = make_dataset(models=None)
    stat = cash(dataset.counts.data, dataset.background.data)[dataset.mask.data].sum()
    assert dataset.stat_sum() == pytest.approx(stat, rel=1e-12)


def test_all_false_mask_is_legal(dataset):
    dataset.mask_fit = Map.from_geom(dataset.counts.geom, dtype=bool)
    assert dataset.stat_sum() == 0
    assert "Number of fit bins              : 0" in str(dataset)


@pytest.mark.filterwarnings("ignore:model 'point' lies outside", "ignore:PSFMap has no values")
def test_models_outside_of_the_map_predict_nothing():
    dataset, empty = make_dataset(), make_dataset(models=None)
    dataset.models = dataset.models["point"]
    dataset.models["point"].spatial_model.lon_0.value = 50
    assert dataset.stat_sum() == empty.stat_sum()
    assert Datasets([dataset]).stat_sum() == empty.stat_sum()
    assert not dataset.npred_signal().data.any()
    assert dataset.npred_signal(stack=False).geom.axes.names == ["energy"]
    assert "Predicted excess counts         : 0.00" in str(dataset)


def test_faults_of_models_are_not_hidden(dataset):
    dataset.models["gauss"].spatial_model = None
    for stat_sum in (dataset.stat_sum, Datasets([dataset]).stat_sum):
        with pytest.raises(ModelError, match="model 'gauss' has no spatial model"):
            stat_sum()


def test_nan_outside_the_mask_is_legal(dataset):
    stat = dataset.stat_sum()
    for field in (dataset.counts, dataset.background):
        field.data[~dataset.mask.data] = np.nan
    dataset.exposure.data[:, :2, :] = np.nan
    assert dataset.stat_sum() == pytest.approx(stat, rel=1e-3)
    assert np.isfinite(dataset.stat_sum())


@pytest.mark.parametrize("verb", ["stat_sum", "stat_array", "residuals"])
def test_missing_counts(dataset, verb):
    dataset.counts = None
    with pytest.raises(
        DatasetError, match=rf"dataset 'test' has no counts, which {verb}\(\) needs: set dataset.counts or call dataset.fake"
    ):
        getattr(dataset, verb)()


def test_missing_exposure(dataset):
    dataset.exposure = None
    with pytest.raises(DatasetError, match="dataset 'test' has no exposure"):
        dataset.stat_sum()


def test_residuals(dataset):
    residuals, npred = dataset.residuals(), dataset.npred().data
    inside = dataset.mask.data
    assert np.isnan(residuals.data[~inside]).all()
    np.testing.assert_allclose(residuals.data[inside], (dataset.counts.data - npred)[inside], rtol=1e-6, atol=1e-6)
    relative = dataset.residuals("diff/sqrt(model)").data[inside]
    np.testing.assert_allclose(relative, ((dataset.counts.data - npred) / np.sqrt(npred))[inside], rtol=1e-6, atol=1e-6)
    with pytest.raises(DatasetError, match="unknown residuals method 'ratio'; known: diff, diff/model"):
        dataset.residuals("ratio")


def test_smoothed_residuals_are_smoother(dataset):
    assert np.nanstd(dataset.residuals(width="0.2 deg").data) < 0.5 * np.nanstd(dataset.residuals().data)


def test_fake(dataset):
    npred = dataset.npred().data
    dataset.fake(42)
    assert dataset.counts.data.dtype == np.float64
    np.testing.assert_array_equal(dataset.counts.data, np.random.RandomState(42).poisson(npred))
    dataset.fake(np.random.default_rng(1))
    np.testing.assert_array_equal(dataset.counts.data, np.random.default_rng(1).poisson(npred))
    first = dataset.counts
    dataset.fake()
    assert dataset.counts is not first
    with pytest.raises(DatasetError, match=r"random_state must be an int, .* got 'seed'"):
        dataset.fake("seed")


def test_fake_needs_no_counts(dataset):
    dataset.counts = None
    dataset.fake(0)
    assert dataset.counts.data.sum() == pytest.approx(dataset.npred().data.sum(), rel=0.1)


# summary


def test_info_dict(dataset):
    info, inside = dataset.info_dict(), dataset.mask_safe.data
    assert info["name"] == "test"
    assert info["counts"] == dataset.counts.data[inside].sum()
    assert info["background"] == pytest.approx(dataset.background.data[inside].sum(), rel=1e-6)
    assert info["excess"] == pytest.approx(info["counts"] - info["npred_background"], rel=1e-6)
    assert info["npred"] == pytest.approx(info["npred_signal"] + info["npred_background"], rel=1e-6)
    assert info["sqrt_ts"] > 10
    assert info["n_bins"] == 1440
    assert info["n_fit_bins"] == dataset.mask.data.sum()
    assert info["stat_sum"] == dataset.stat_sum()
    assert info["ontime"].to_value("s") == pytest.approx(3600)
    assert info["livetime"] == 3600 * u.s
    assert info["counts_rate"].to_value("s-1") == pytest.approx(info["counts"] / 3600)
    assert dataset.info_dict(in_safe_data_range=False)["counts"] == dataset.counts.data.sum()


def test_info_dict_of_little():
    info = MapDataset(counts=make_dataset(models=None).counts).info_dict()
    assert info["counts"] > 0
    for name in ("excess", "background", "npred", "npred_signal", "stat_sum", "exposure_min", "livetime", "ontime"):
        assert np.isnan(info[name]), name


def test_info_dict_with_nan_counts(dataset):
    dataset.counts.data[0, 0, 0] = np.nan
    assert dataset.info_dict()["counts"] > 0
    assert np.isnan(dataset.info_dict(in_safe_data_range=False)["counts"])


def test_text(dataset):
    text = str(dataset)
    for line in (
        "MapDataset\n----------",
        "  Name                            : test",
        "  Number of total bins            : 1440",
        "  Number of fit bins              : 840",
        "  Fit statistic type              : cash",
        "  Number of models                : 3",
        "  Number of parameters            : 18",
        "  Number of free parameters       : 10",
        "point",
    ):
        assert line in text
    html = dataset._repr_html_()
    assert "<td" in html
    assert "Number of fit bins" in html


def test_text_of_an_incomplete_dataset(dataset):
    dataset.exposure = None
    assert "The summary is incomplete: dataset 'test' has no exposure" in str(dataset)
    assert "Name" in str(MapDataset())


def test_text_of_a_dataset_without_a_statistic_still_has_its_counts():
    dataset = make_kind("MapDatasetOnOff")
    dataset.acceptance_off.data[...] = 0
    text = str(dataset)
    assert "The summary is incomplete: dataset 'test': acceptance_off must be positive" in text
    inside = dataset.mask_safe.data
    assert f"{'Total counts':32}: {dataset.counts.data[inside].sum():.0f}" in text
    assert f"{'Total counts_off':32}: {dataset.counts_off.data[inside].sum():.0f}" in text
    assert f"{'Number of total bins':32}: {dataset.counts.data.size}" in text
    assert "Exposure max" in dataset._repr_html_()


# files


def test_read_and_write(dataset, tmp_path):
    dataset.write(tmp_path / "a.fits.gz")
    again = MapDataset.read(tmp_path / "a.fits.gz")
    assert again.name == "test"
    assert again.models is None
    assert again.meta.creation.creator.startswith("gpudl4")
    again.models = dataset.models
    assert again.stat_sum() == pytest.approx(dataset.stat_sum(), rel=1e-12)
    assert MapDataset.read(tmp_path / "a.fits.gz", name="other").name == "other"


def test_a_file_without_a_name_gets_a_random_one(dataset, tmp_path):
    hdulist = dataset.to_hdulist()
    del hdulist[0].header["NAME"]
    hdulist.writeto(tmp_path / "a.fits")
    assert len(MapDataset.read(tmp_path / "a.fits").name) == 8


def test_environment_variable(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_SKY", str(tmp_path))
    dataset.write("$SOME_SKY/new/a.fits")
    assert MapDataset.read("$SOME_SKY/new/a.fits").name == "test"


def test_existing_file_is_kept(dataset, tmp_path):
    (tmp_path / "a.fits").write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        dataset.write(tmp_path / "a.fits")
    assert (tmp_path / "a.fits").read_text() == "precious"
    dataset.write(tmp_path / "a.fits", overwrite=True)
    assert MapDataset.read(tmp_path / "a.fits").counts is not None


def test_missing_file(tmp_path):
    with pytest.raises(DataFileError, match=r"file '.*a\.fits' does not exist"):
        MapDataset.read(tmp_path / "a.fits")


def test_unknown_format(dataset, tmp_path):
    dataset.write(tmp_path / "a.fits")
    with pytest.raises(DatasetError, match=r"a\.fits.*unknown format 'ogip'"):
        MapDataset.read(tmp_path / "a.fits", format="ogip")


def test_dict_for_yaml():
    assert MapDataset(name="a b").to_dict() == {"name": "a b", "type": "MapDataset", "filename": "a_b.fits"}


# gammapy as the oracle


@pytest.mark.peer
@pytest.mark.parametrize(
    "options", [{}, {"reco_psf": True, "frame": "icrs", "proj": "TAN"}, {"edisp": "migra"}, {"edisp": None, "mask": False}]
)
def test_predictions_agree_with_gammapy(options):
    pytest.importorskip("gammapy")
    ours, theirs = make_dataset(**options), make_dataset(library="gammapy", **options)
    for verb in ("npred", "npred_signal", "npred_background"):
        mine, other = getattr(ours, verb)().data, getattr(theirs, verb)().data
        assert abs(mine - other).max() < 1e-6 * other.max(), verb
    terms = abs(theirs.stat_array())
    terms = terms.sum() if theirs.mask is None else terms[theirs.mask.data].sum()
    assert abs(ours.stat_sum() - theirs.stat_sum()) < 5e-9 * terms


@pytest.mark.peer
def test_summary_agrees_with_gammapy():
    pytest.importorskip("gammapy")
    ours, theirs = make_dataset().info_dict(), make_dataset(library="gammapy").info_dict()
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        if isinstance(value, str):
            assert ours[key] == value
        else:
            a, b = u.Quantity(ours[key]), u.Quantity(value)
            assert a.to_value(b.unit) == pytest.approx(b.value, rel=1e-6, nan_ok=True), key


@pytest.mark.peer
def test_fake_draws_the_counts_of_gammapy():
    pytest.importorskip("gammapy")
    ours, theirs = make_dataset(), make_dataset(library="gammapy")
    ours.fake(42)
    theirs.fake(42)
    assert (ours.counts.data != theirs.counts.data).mean() < 0.002  # a prediction that differs by 1e-7 may flip a draw
    assert ours.counts.data.sum() == pytest.approx(theirs.counts.data.sum(), abs=3)


@pytest.mark.peer
@pytest.mark.parametrize("method", ["diff", "diff/model", "diff/sqrt(model)"])
def test_residuals_agree_with_gammapy(method):
    pytest.importorskip("gammapy")
    ours, theirs = make_dataset(), make_dataset(library="gammapy")
    for smooth in ({}, {"width": "0.15 deg"}):
        mine, other = ours.residuals(method, **smooth).data, theirs.residuals(method, **smooth).data
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.peer
def test_create_agrees_with_gammapy():
    peer = pytest.importorskip("gammapy.datasets")
    ours, theirs = MapDataset.create(make_geom()), peer.MapDataset.create(make_geom(library="gammapy"))
    for name in ("counts", "background", "exposure", "mask_safe"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert (mine.data.dtype, mine.data.shape, mine.unit) == (other.data.dtype, other.data.shape, other.unit), name
    np.testing.assert_array_equal(ours.edisp.edisp_map.data, theirs.edisp.edisp_map.data)
    assert ours.psf.psf_map.data.shape == theirs.psf.psf_map.data.shape


def test_real_file_is_summarised():
    text = str(MapDataset.read(shared_data("fermi-3fhl-gc", "fermi-3fhl-gc.fits.gz"), name="fermi"))
    assert "Number of total bins            : 880000" in text
    assert "Exposure max" in text
