"""`FluxPointsDataset` against gammapy: prediction, masks, statistics, files; and its rules at the door."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table

from gpudl4.core.errors import DataFileError, DatasetError, OutputError
from gpudl4.datasets import DATASET_REGISTRY, Datasets, FluxPointsDataset
from gpudl4.datasets.fields import field_table
from gpudl4.estimators import FluxPoints
from gpudl4.maps import Map
from gpudl4.models import FoVBackgroundModel, LogParabolaSpectralModel, Models, PowerLawSpectralModel, SkyModel
from tests.factory import get_library, make_dataset
from tests.fluxes.sed import make_table
from tests.paths import shared_data

STAT_TYPES = ("chi2", "distrib", "profile")


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no reference_model given")
        yield


def make(library="gpudl4", table=None, stat_type="chi2", path=None, **kwargs):
    """Dataset "points" with two models, in either library."""
    lib = get_library(library)
    if library == "gpudl4":
        points, kind = FluxPoints, FluxPointsDataset
    else:
        from gammapy.datasets import FluxPointsDataset as kind
        from gammapy.estimators import FluxPoints as points
    data = points.read(path) if path else points.from_table(make_table() if table is None else table)
    amplitude = "2e-11 cm-2 s-1 TeV-1" if path else "2.3e-12 cm-2 s-1 TeV-1"
    first = lib.models.SkyModel(
        lib.models.LogParabolaSpectralModel(alpha=2.3, beta=0.05, amplitude=amplitude, reference="1 TeV"), name="first"
    )
    second = lib.models.SkyModel(lib.models.PowerLawSpectralModel(amplitude="2e-13 cm-2 s-1 TeV-1"), name="second")
    return kind([first, second], data, name="points", stat_type=stat_type, **kwargs)


def real():
    return shared_data("flux-points", "crab_hess_fp.fits")


def test_prediction_is_the_flux_at_the_reference_energy():
    ours, theirs = make(), make("gammapy")
    flux = ours.flux_pred()
    assert flux.shape == ours.data_shape == (6, 1, 1)
    np.testing.assert_allclose(flux.to_value("cm-2 s-1 TeV-1"), theirs.flux_pred().to_value("cm-2 s-1 TeV-1"), rtol=1e-12)
    expected = sum(model.spectral_model(ours.data.energy_ref) for model in ours.models)
    np.testing.assert_allclose(flux[:, 0, 0].to_value(expected.unit), expected.value, rtol=1e-12)
    ours.models["first"].spectral_model.alpha.value = 4
    flux, edges = ours.flux_pred(), ours.data.energy_axis.edges
    mean = ours.models["first"].spectral_model.integral(edges[:-1], edges[1:]) / np.diff(edges)
    assert abs(flux[0, 0, 0] / mean[0] - 1) > 0.05  # it is no mean over the bin
    assert (FluxPointsDataset(None, ours.data).flux_pred().value == 0).all()


@pytest.mark.parametrize("stat_type", STAT_TYPES)
@pytest.mark.parametrize("source", ["table", "file"])
def test_statistics_are_gammapys(stat_type, source):
    if source == "table" and stat_type == "profile":
        pytest.skip("the table has no profiles")
    path = real() if source == "file" else None
    ours, theirs = make(stat_type=stat_type, path=path), make("gammapy", stat_type=stat_type, path=path)
    np.testing.assert_array_equal(ours.mask_valid, theirs.mask_valid)
    np.testing.assert_array_equal(ours.mask_safe, theirs.mask_safe)
    np.testing.assert_array_equal(ours.mask, theirs.mask)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*extrapolated")
        assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-10)
        assert ours.stat_sum_likelihood() == ours.stat_sum()
    np.testing.assert_allclose(ours.stat_array()[ours.mask], theirs.stat_array()[ours.mask], rtol=1e-9)
    assert ours.stat_array().shape == ours.data_shape


@pytest.mark.parametrize("errors", ["both", "symmetric", "asymmetric"])
@pytest.mark.parametrize("stat_type", ["chi2", "distrib"])
def test_errors_of_all_kinds(errors, stat_type):
    table = make_table(errors=errors)
    ours = make(table=table, stat_type=stat_type)
    if stat_type == "distrib" and errors == "asymmetric":  # where gammapy asks for symmetric errors that it does not use
        table = make_table(errors="both")
    assert ours.stat_sum() == pytest.approx(make("gammapy", table=table, stat_type=stat_type).stat_sum(), rel=1e-10)


def test_chi2_leaves_limits_and_nan_out():
    table = make_table(limits=(0, 5), errors="symmetric")
    table["dnde"][2] = np.nan
    ours = make(table=table)
    assert ours.mask.ravel().tolist() == [False, True, False, True, True, False]
    assert make("gammapy", table=table).mask.ravel().tolist() == ours.mask.ravel().tolist()
    with_error = make(table=table)
    table["dnde_err"][3] = np.nan
    broken = make(table=table)
    assert not broken.mask[3, 0, 0]
    assert np.isfinite(broken.stat_sum())
    assert np.isnan(make("gammapy", table=table).stat_sum())  # what we do not follow
    assert broken.stat_sum() < with_error.stat_sum()


def test_a_column_is_ul_wins():
    table = make_table(limits=(5,))
    table["is_ul"] = [True, False, False, False, False, False]
    ours = make(table=table)
    assert ours.mask.ravel().tolist() == [False, True, True, True, True, True]
    assert ours.stat_sum() == pytest.approx(make("gammapy", table=table).stat_sum(), rel=1e-10)


def test_light_curves_are_compared_with_one_spectrum():
    path = shared_data("flux-points", "pks2155_hess_lc_3bins.fits")
    for stat_type in STAT_TYPES:
        ours, theirs = (make(library, path=path, stat_type=stat_type) for library in ("gpudl4", "gammapy"))
        assert ours.data_shape == (34, 3, 1, 1)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*extrapolated")
            expected = theirs.stat_sum()
            if stat_type == "distrib":  # gammapy takes six limits below zero for limits
                assert expected == -np.inf
                assert (ours.mask != theirs.mask).sum() == 6
                expected = theirs.stat_array()[ours.mask].sum()
            assert ours.stat_sum() == pytest.approx(expected, rel=1e-9)
        from gpudl4 import compile

        likelihood = compile(ours)
        assert likelihood.value(likelihood.theta0) == pytest.approx(expected, rel=1e-9)
        assert likelihood.n_bins == ours.mask.sum()


@pytest.mark.parametrize("method", ["diff", "diff/model"])
def test_residuals_are_gammapys(method):
    ours, theirs = make(), make("gammapy")
    mine, other = ours.residuals(method), theirs.residuals(method)
    np.testing.assert_allclose(mine.to_value(other.unit), other.value, rtol=1e-11)
    assert np.isnan(mine[5, 0, 0])
    with pytest.raises(DatasetError, match="unknown residuals method 'x'"):
        ours.residuals("x")


def test_an_extrapolated_profile_is_flagged():
    ours = make(stat_type="profile", path=real())
    ours.models["first"].spectral_model.amplitude.value = 1e-9
    assert ours.is_extrapolated.sum() == ours.mask.sum() == 4
    with pytest.warns(UserWarning, match="profiles of 4 flux points, which are extrapolated there: see dataset.is_extrapolated"):
        total = ours.stat_sum()
    assert np.isfinite(total)
    ours.stat_kwargs = {"extrapolate": False}
    with pytest.warns(UserWarning, match="extrapolated"):
        assert ours.stat_sum() == np.inf
    ours.stat_type = "chi2"
    assert not ours.is_extrapolated.any()


def test_linear_profiles():
    ours = make(stat_type="profile", path=real(), stat_kwargs={"interp_scale": "lin"})
    theirs = make("gammapy", stat_type="profile", path=real(), stat_kwargs={"interp_scale": "lin"})
    assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-10)
    with pytest.raises(DatasetError, match="stat_kwargs may set interp_scale to 'sqrt' or 'lin'"):
        ours.stat_kwargs = {"interp_scale": "log"}
    with pytest.raises(DatasetError, match="stat_kwargs may set"):
        make(stat_kwargs={"bounds": 1})
    ours.stat_kwargs["interp_scale"] = "sqrt"
    assert ours.stat_sum() == make(stat_type="profile", path=real()).stat_sum()
    ours.stat_kwargs["interp_scale"] = "log"
    with pytest.raises(DatasetError, match="stat_kwargs may set"):
        ours.stat_sum()


def test_distrib_is_no_likelihood_of_a_limit():
    ours = make(table=make_table(limits=tuple(range(6))), stat_type="distrib")
    ours.models["first"].spectral_model.amplitude.value = 1e-3
    bound = 2 * np.log(2 / 0.15729920705028513)  # erfc(1)
    np.testing.assert_allclose(ours.stat_array(), bound)  # a billion times above the limits, and no worse than this


# ------------------------------------------------------------------------------------------------------------------- masks and options


def test_masks_of_all_shapes():
    keep = np.array([True, False, True, True, False, True])
    ours = make(mask_fit=keep, mask_safe=keep.reshape(6, 1, 1))
    assert ours.mask_fit.shape == ours.mask_safe.shape == (6, 1, 1)
    assert ours.mask.ravel().tolist() == [True, False, True, True, False, False]  # the last one is a limit
    ours.mask_fit = Map.from_geom(ours.data.geom, data=keep.reshape(6, 1, 1))
    assert ours.mask_fit.ravel().tolist() == keep.tolist()
    ours.mask_fit = None
    assert ours.mask_fit is None
    whole = make(mask_fit=keep)
    rest = make(mask_fit=~keep)
    assert whole.stat_sum() + rest.stat_sum() == pytest.approx(make().stat_sum())
    for mask in (keep[:3], np.ones(6), keep.reshape(1, 6)):
        with pytest.raises(DatasetError, match=r"mask_fit must be a boolean array of the shape \(6,\) or \(6, 1, 1\)"):
            make(mask_fit=mask)
    ours.mask_fit = np.zeros(6, dtype=bool)
    assert ours.stat_sum() == 0


def test_statistics_can_be_changed():
    ours = make()
    assert ours.available_stat_type == ["chi2", "distrib", "profile"]
    before = ours.mask.sum()
    ours.stat_type = "distrib"
    assert ours.mask.sum() == before + 1
    with pytest.raises(DatasetError, match="'points': Invalid stat_type 'cash': possible options are chi2, distrib, profile"):
        ours.stat_type = "cash"
    with pytest.raises(DatasetError, match="Invalid stat_type"):
        make(stat_type="wstat")


def test_what_is_no_data():
    with pytest.raises(DatasetError, match="'x' needs data=, the flux points"):
        FluxPointsDataset(name="x")
    with pytest.raises(DatasetError, match="field data: FluxMaps was wanted, got Table"):
        FluxPointsDataset(data=make_table(), name="x")
    with pytest.raises(TypeError, match="unexpected keyword"):
        FluxPointsDataset(data=make().data, unknown=1)
    with pytest.raises(DatasetError, match="have no errors: give the flux points errors"):
        make(table=make_table(errors=None)).stat_sum()
    with pytest.raises(DatasetError, match="no profiles"):
        make(stat_type="profile").stat_sum()
    assert make(table=make_table(limits=tuple(range(6)))).stat_sum() == 0


def test_models_are_selected_and_backgrounds_do_not_count():
    ours = make()
    other = SkyModel(PowerLawSpectralModel(), name="other", datasets_names=["elsewhere"])
    ours.models = [*ours.models, other]
    assert ours.models.names == ["first", "second"]
    before = ours.flux_pred()
    ours.models = Models([*ours.models, FoVBackgroundModel(dataset_name="points", name="bkg")])
    np.testing.assert_array_equal(ours.flux_pred().value, before.value)


def test_copies_are_independent():
    ours = make(stat_type="distrib", mask_fit=np.array([True] * 5 + [False]), meta_table=Table({"OBS_ID": [1]}))
    copy = ours.copy(name="copy")
    assert (copy.name, copy.stat_type, copy.models) == ("copy", "distrib", None)
    copy.data._data["norm"].data *= 2
    copy.mask_fit = None
    assert ours.mask_fit.sum() == 5
    np.testing.assert_allclose(copy.data.norm.data, 2 * ours.data.norm.data)
    assert copy.meta_table["OBS_ID"][0] == 1


def test_text_and_summary():
    ours = make()
    text = str(ours)
    for part in (
        "Number of total flux points     : 6",
        "Number of fit bins              : 5",
        "chi2",
        "Number of free parameters       : 5",
    ):
        assert part in text
    assert "nan" in str(FluxPointsDataset(data=ours.data))
    info = ours.info_dict()
    assert (info["n_points"], info["n_upper_limits"], info["n_fit_points"]) == (6, 1, 5)
    assert info["stat_sum"] == ours.stat_sum()
    assert "<pre>" in ours._repr_html_()


def test_they_cannot_be_stacked():
    with pytest.raises(DatasetError, match="datasets of type FluxPointsDataset cannot be stacked: fit them together"):
        Datasets([make()]).stack_reduce()


def test_it_has_a_table_of_fields_and_is_registered():
    assert [field.name for field in field_table("FluxPointsDataset")] == ["data", "mask_safe", "mask_fit", "meta_table"]
    assert DATASET_REGISTRY.get_cls("FluxPointsDataset") is FluxPointsDataset


def test_it_stays_on_the_host(device):
    ours = make()
    assert ours.to_device(device) is ours
    assert ours.backend.name == "numpy"
    datasets = Datasets([ours, make_dataset(models=None)]).to_device(device)
    assert [one.backend.name for one in datasets] == ["numpy", "cupy"]


# --------------------------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".ecsv"])
@pytest.mark.parametrize("source", ["table", "file"])
def test_files_go_both_ways(tmp_path, suffix, source):
    from gammapy.datasets import FluxPointsDataset as Peer

    path = real() if source == "file" else None
    keep = np.array([True, False, True, True, True, True][: 5 if path else 6])
    ours, theirs = make(path=path, mask_fit=keep), make("gammapy", path=path, mask_fit=keep.reshape(-1, 1, 1))
    ours.write(tmp_path / f"ours{suffix}")
    theirs.write(tmp_path / f"theirs{suffix}")
    for back in (FluxPointsDataset.read(tmp_path / f"ours{suffix}", name="points"), FluxPointsDataset.read(tmp_path / f"theirs{suffix}"),
                 Peer.read(tmp_path / f"ours{suffix}", name="points")):  # fmt: skip
        np.testing.assert_array_equal(back.mask_fit, ours.mask_fit)
        np.testing.assert_array_equal(back.mask_safe, ours.mask_safe)
        np.testing.assert_allclose(back.data.dnde.data, ours.data.dnde.data, rtol=1e-12)
    with pytest.raises(OutputError, match="exists"):
        ours.write(tmp_path / f"ours{suffix}")


def test_the_statistic_is_remembered(tmp_path):
    ours = make(stat_type="profile", path=real())
    ours.write(tmp_path / "points.fits")
    back = FluxPointsDataset.read(tmp_path / "points.fits")
    assert back.stat_type == "profile"
    back.models = ours.models
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*extrapolated")
        assert back.stat_sum() == pytest.approx(ours.stat_sum(), rel=1e-12)
    assert back.gti.time_sum == ours.gti.time_sum


def test_the_table_of_observations_is_kept(tmp_path):
    from gammapy.datasets import FluxPointsDataset as Peer

    make(meta_table=Table({"OBS_ID": [1, 2]})).write(tmp_path / "points.fits")
    assert FluxPointsDataset.read(tmp_path / "points.fits").meta_table["OBS_ID"].tolist() == [1, 2]
    assert Peer.read(tmp_path / "points.fits").data.geom.data_shape == (6, 1, 1)


def test_tables_of_several(tmp_path):
    datasets = Datasets([make(), FluxPointsDataset(data=make().data, name="other")])
    table = datasets.info_table()
    assert list(table["name"]) == ["points", "other"]
    assert list(table["n_fit_points"]) == [5, 5]
    assert datasets.is_all_same_type
    assert datasets.is_all_same_shape


def test_light_curves_in_files(tmp_path):
    ours = make(path=shared_data("flux-points", "pks2155_hess_lc_3bins.fits"))
    ours.write(tmp_path / "lc.fits")
    back = FluxPointsDataset.read(tmp_path / "lc.fits")
    assert back.data_shape == (34, 3, 1, 1)
    np.testing.assert_array_equal(back.mask, ours.mask)


def test_a_mix_of_datasets_in_one_yaml(tmp_path):
    points, cube = make(), make_dataset()
    for one in (points, cube):
        for model in one.models:
            model.datasets_names = [one.name]
    datasets = Datasets([cube, points])
    datasets.write(tmp_path / "mix.yaml", filename_models=tmp_path / "models.yaml")
    back = Datasets.read(tmp_path / "mix.yaml", filename_models=tmp_path / "models.yaml")
    assert [type(one).__name__ for one in back] == ["MapDataset", "FluxPointsDataset"]
    assert back.names == datasets.names
    assert back["points"].stat_sum() == pytest.approx(points.stat_sum(), rel=1e-12)
    assert back.stat_sum() == pytest.approx(datasets.stat_sum(), rel=1e-9)
    assert not back.is_all_same_type
    assert back.contributes_to_stat.tolist() == [True, True]
    assert len(back.energy_ranges[0]) == 2


def test_yaml_goes_both_ways(tmp_path):
    from gammapy.datasets import Datasets as Peer

    ours, theirs = Datasets([make()]), Peer([make("gammapy")])
    ours.write(tmp_path / "ours.yaml", filename_models=tmp_path / "ours_models.yaml")
    theirs.write(tmp_path / "theirs.yaml", filename_models=tmp_path / "theirs_models.yaml", overwrite=True)
    peer = Peer.read(tmp_path / "ours.yaml", filename_models=tmp_path / "ours_models.yaml")
    assert peer.stat_sum() == pytest.approx(ours.stat_sum(), rel=1e-9)
    back = Datasets.read(tmp_path / "theirs.yaml", filename_models=tmp_path / "theirs_models.yaml")
    assert back.stat_sum() == pytest.approx(ours.stat_sum(), rel=1e-9)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataFileError, match="does not exist"):
        FluxPointsDataset.read(tmp_path / "none.fits")
    table = make_table()
    table["mask_fit"] = np.ones(6)
    table.write(tmp_path / "mask.fits")
    with pytest.raises(DataFileError, match="'mask_fit' must hold truth values"):
        FluxPointsDataset.read(tmp_path / "mask.fits")
    table.remove_columns(["mask_fit", "dnde"])
    table.write(tmp_path / "nothing.fits")
    with pytest.raises(DatasetError, match=r"nothing.fits': Missing data"):
        FluxPointsDataset.read(tmp_path / "nothing.fits")


def test_a_plain_file_of_flux_points_is_a_dataset():
    ours = FluxPointsDataset.read(real(), name="crab")
    ours.models = SkyModel(LogParabolaSpectralModel(amplitude="4e-11 cm-2 s-1 TeV-1", reference=1 * u.TeV), name="crab")
    assert ours.mask_fit is None
    assert np.isfinite(ours.stat_sum())


def test_asimov_points_fit_to_the_truth_and_fakes_around_it():
    dataset = make()
    truth = {p.name: p.value for p in dataset.models.parameters}
    asimov = dataset.to_asimov()
    assert asimov.name == dataset.name
    assert asimov.stat_sum() == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_array_equal(asimov.data.is_ul.data, dataset.data.is_ul.data)
    np.testing.assert_allclose(asimov.data.dnde_err.data, dataset.data.dnde_err.data)
    use = dataset.mask
    pulls = []
    for seed in range(60):
        fake = dataset.to_asimov()
        fake.fake(random_state=seed)
        pulls.append(((fake.data.dnde.quantity - dataset.flux_pred()) / dataset.data.dnde_err.quantity).to_value("")[use])
    pulls = np.concatenate(pulls)
    assert abs(pulls.mean()) < 4 / np.sqrt(pulls.size)
    assert abs(pulls.std() - 1) < 4 / np.sqrt(2 * pulls.size)
    assert {p.name: p.value for p in dataset.models.parameters} == truth


def test_profiles_cannot_be_made_up():
    dataset = make(path=real(), stat_type="profile")
    with pytest.raises(DatasetError, match="profiles of the fit statistic cannot be made up"):
        dataset.to_asimov()
