"""`FluxPoints` against gammapy: values in all SED types, tables, files both ways; and the rules at the door."""

import functools
import warnings

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import DataFileError, DatasetError, OutputError
from gpudl4.estimators import FluxPoints
from gpudl4.maps import TimeMapAxis
from gpudl4.models import LogParabolaSpectralModel, PowerLawSpectralModel
from tests.factory import get_library
from tests.fluxes.sed import make_table
from tests.paths import shared_data

FILES = ("crab_hess_fp", "pks2155_hess_lc", "pks2155_hess_lc_3bins")
SED_TYPES = ("likelihood", "dnde", "e2dnde", "flux", "eflux")
QUANTITIES = ("", "_err", "_errn", "_errp", "_ul", "_sensitivity")


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no reference_model given")
        yield


def peer():
    from gammapy.estimators import FluxPoints as Peer

    return Peer


def assert_tables(ours, theirs):
    assert ours.colnames == theirs.colnames
    for name in theirs.colnames:
        mine, other = (np.asarray(table[name]) for table in (ours, theirs))
        assert mine.shape == other.shape, name
        assert (mine.dtype.kind == "b") == (other.dtype.kind == "b"), name
        np.testing.assert_allclose(mine.astype(float), other.astype(float), rtol=1e-12, atol=0, err_msg=name)
        assert u.Unit(ours[name].unit or "") == u.Unit(theirs[name].unit or ""), name


@functools.cache
def read(name):
    """A file as both libraries read it; not to be changed."""
    path = shared_data("flux-points", f"{name}.fits")
    return FluxPoints.read(path), peer().read(path)


@pytest.fixture(params=FILES)
def both(request):
    return read(request.param)


@pytest.mark.parametrize("sed_type", SED_TYPES)
def test_tables_of_real_points_are_gammapys(both, sed_type):
    ours, theirs = both
    assert_tables(ours.to_table(sed_type=sed_type), theirs.to_table(sed_type=sed_type))


def test_attributes_of_real_points_are_gammapys(both):
    ours, theirs = both
    assert str(ours) == str(theirs)
    assert ours.available_quantities == theirs.available_quantities
    for name in ("energy_ref", "energy_min", "energy_max", "dnde_ref", "flux_ref", "eflux_ref", "e2dnde_ref"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine.to_value(other.unit), other.value, rtol=1e-12, err_msg=name)
    names = [kind + suffix for kind in ("norm", "dnde", "flux", "eflux", "e2dnde") for suffix in QUANTITIES]
    names += ["ts", "sqrt_ts", "stat", "stat_null", "stat_scan", "ts_scan", "npred", "npred_excess", "counts", "success", "is_ul"]
    names += ["npred_background", "npred_excess_ref", "npred_excess_err", "npred_excess_ul"]
    for name in names:
        other = getattr(theirs, name, None)
        mine = getattr(ours, name, None)
        assert (mine is None) == (other is None), name
        if mine is not None:
            np.testing.assert_allclose(mine.data, other.quantity.to_value(mine.unit), rtol=2e-7 if "npred" in name else 1e-12, err_msg=name)
            assert mine.geom.axes.names == other.geom.axes.names


@pytest.mark.parametrize(
    ("name", "sed_type", "suffix"),
    [
        *((FILES[0], sed_type, suffix) for sed_type in ("likelihood", "dnde", "eflux") for suffix in (".fits", ".ecsv")),
        (FILES[0], "flux", ".fits.gz"),
        (FILES[1], "likelihood", ".fits"),
        (FILES[1], "flux", ".ecsv"),
        (FILES[2], "likelihood", ".ecsv"),
        (FILES[2], "dnde", ".fits"),
    ],
)
def test_files_go_both_ways(name, sed_type, suffix, tmp_path):
    ours, theirs = read(name)
    mine, other = tmp_path / f"ours{suffix}", tmp_path / f"theirs{suffix}"
    ours.write(mine, sed_type=sed_type)
    theirs.write(other, sed_type=sed_type)
    reference = {} if sed_type == "likelihood" else {"reference_model": ours.reference_spectral_model}
    theirs_reference = {} if sed_type == "likelihood" else {"reference_model": theirs.reference_spectral_model}
    for back in (FluxPoints.read(mine, **reference), FluxPoints.read(other, **reference)):
        assert_tables(back.to_table(sed_type="dnde"), theirs.to_table(sed_type="dnde"))
        if suffix != ".ecsv" and ours.gti is not None:
            assert back.gti.time_sum == ours.gti.time_sum
    back = peer().read(mine, **theirs_reference)
    assert_tables(ours.to_table(sed_type="dnde"), back.to_table(sed_type="dnde"))


def test_limits_keep_their_significance(tmp_path):
    points = FluxPoints.read(shared_data("flux-points", "crab_hess_fp.fits"))
    assert points.n_sigma_ul == 3
    points.write(tmp_path / "points.fits", sed_type="flux")
    assert FluxPoints.read(tmp_path / "points.fits", reference_model=points.reference_model).n_sigma_ul == 3
    with pytest.raises(OutputError, match="exists"):
        points.write(tmp_path / "points.fits")


@pytest.mark.parametrize("sed_type", ["dnde", "e2dnde", "flux", "eflux"])
@pytest.mark.parametrize("errors", ["both", "symmetric", "asymmetric", None])
def test_conversions_are_gammapys(sed_type, errors):
    table = make_table(sed_type, errors)
    model = {name: get_library(name).models.LogParabolaSpectralModel(alpha=2.3, beta=0.1) for name in ("gpudl4", "gammapy")}
    ours = FluxPoints.from_table(table, reference_model=model["gpudl4"])
    theirs = peer().from_table(table, reference_model=model["gammapy"])
    assert ours.sed_type_init == theirs.sed_type_init == sed_type
    for wanted in ("dnde", "e2dnde", "flux", "eflux", "likelihood"):
        assert_tables(ours.to_table(sed_type=wanted), theirs.to_table(sed_type=wanted))


@pytest.mark.parametrize("sed_type", ["dnde", "flux"])
def test_default_reference_model_is_gammapys_and_said(sed_type):
    table = make_table(sed_type)
    with pytest.warns(UserWarning, match="power law of index 2"):
        ours = FluxPoints.from_table(table)
    assert_tables(ours.to_table(sed_type="eflux"), peer().from_table(table).to_table(sed_type="eflux"))


def test_conversion_there_and_back_changes_nothing():
    model = LogParabolaSpectralModel(alpha=2.3, beta=0.1)
    first = FluxPoints.from_table(make_table("dnde"), reference_model=model)
    for sed_type in ("flux", "eflux", "e2dnde", "likelihood"):
        again = FluxPoints.from_table(first.to_table(sed_type=sed_type), reference_model=model)
        np.testing.assert_allclose(again.dnde.data, first.dnde.data, rtol=1e-12)
        np.testing.assert_allclose(again.dnde_ul.data, first.dnde_ul.data, rtol=1e-12)


def test_points_without_bins_have_no_integral_flux():
    table = make_table("dnde")
    table.remove_columns(["e_min", "e_max"])
    ours, theirs = FluxPoints.from_table(table), peer().from_table(table)
    assert not ours.is_convertible_to_flux_sed_type
    assert_tables(ours.to_table(), theirs.to_table())
    with pytest.raises(DatasetError, match="Missing energy range definition, cannot convert to SED type 'flux'"):
        ours.to_table(sed_type="flux")


# ---------------------------------------------------------------------------------------------------------------------- upper limits


def test_significance_decides_on_limits():
    ours = FluxPoints.from_table(make_table(limits=(0, 5)))
    assert ours.is_ul.data.ravel().tolist() == [True, False, False, False, False, True]
    ours.sqrt_ts_threshold_ul = 10
    assert ours.is_ul.data.sum() == (ours.sqrt_ts.data < 10).sum() > 2


def test_a_column_is_ul_wins():
    table = make_table(limits=(0, 5))
    table["is_ul"] = [False, True, False, False, False, False]
    ours, theirs = FluxPoints.from_table(table), peer().from_table(table)
    assert ours.is_ul.data.ravel().tolist() == list(table["is_ul"]) == theirs.is_ul.data.ravel().tolist()
    table["is_ul"] = [0, 1, 0, 0, 0, 0]  # as some text files hold it
    assert FluxPoints.from_table(table).is_ul.data.ravel().tolist() == [False, True, False, False, False, False]


def test_limits_without_significance():
    table = make_table(ts=False)
    assert FluxPoints.from_table(table).is_ul.data.all()  # gammapy's rule: a finite limit is one
    table["dnde_ul"][:5] = np.nan
    assert FluxPoints.from_table(table).is_ul.data.ravel().tolist() == [False] * 5 + [True]
    table.remove_column("dnde_ul")
    table["dnde"][2] = np.nan
    assert np.flatnonzero(FluxPoints.from_table(table).is_ul.data.ravel()).tolist() == [2]
    with pytest.raises(DatasetError, match="Either ts or sqrt_ts"):
        FluxPoints.from_table(table).sqrt_ts_threshold_ul = 3


def test_sqrt_ts_has_the_sign_of_the_norm():
    table = make_table(ts=False)
    table["dnde"][0] *= -1
    table["ts"] = [9.0, 4, 16, 25, 36, -1]
    ours, theirs = FluxPoints.from_table(table), peer().from_table(table)
    np.testing.assert_allclose(ours.sqrt_ts.data.ravel(), [-3, 2, 4, 5, 6, 0])
    np.testing.assert_allclose(ours.sqrt_ts.data, theirs.sqrt_ts.data)


def test_failed_fits_are_nan():
    table = make_table()
    table["success"] = [True, False, True, True, True, True]
    ours, theirs = FluxPoints.from_table(table), peer().from_table(table)
    for name in ("norm", "norm_err", "norm_errn", "norm_ul"):
        np.testing.assert_allclose(getattr(ours, name).data, getattr(theirs, name).data)
    assert np.isnan(ours.dnde.data[1, 0, 0])
    ours.filter_success_nan = False
    assert np.isfinite(ours.dnde.data).all()


def test_recomputed_limits_are_gammapys():
    path = shared_data("flux-points", "crab_hess_fp.fits")
    ours, theirs = FluxPoints.read(path), peer().read(path)
    for n_sigma in (2, 3, 4):
        mine, other = ours.recompute_ul(n_sigma), theirs.recompute_ul(n_sigma_ul=n_sigma)
        assert mine.n_sigma_ul == n_sigma
        good = np.isfinite(other.norm_ul.data) & np.isfinite(mine.norm_ul.data)
        assert good.sum() >= 3
        np.testing.assert_allclose(mine.norm_ul.data[good], other.norm_ul.data[good], rtol=5e-3)
    np.testing.assert_array_equal(ours.norm_ul.data, FluxPoints.read(path).norm_ul.data)  # a new object
    with pytest.raises(DatasetError, match="Stat profiles not present"):
        FluxPoints.from_table(make_table()).recompute_ul()


# --------------------------------------------------------------------------------------------------------------- other formats, slices


def test_binned_time_series_is_gammapys():
    path = shared_data("flux-points", "pks2155_hess_lc.fits")
    ours, theirs = (kind.read(path).to_table(sed_type="flux", format="binned-time-series") for kind in (FluxPoints, peer()))
    assert ours.colnames == theirs.colnames
    for name in ("flux", "flux_err", "ts", "counts"):
        np.testing.assert_allclose(np.asarray(ours[name]), np.asarray(theirs[name]), rtol=1e-12)
    assert abs((ours["time_bin_start"] - theirs["time_bin_start"]).to_value("s")).max() < 1e-6
    with pytest.raises(DatasetError, match="single time axis only"):
        FluxPoints.from_table(make_table()).to_table(format="binned-time-series")


@pytest.mark.parametrize("library", ["gpudl4", "gammapy"])
def test_profiles_across_the_sky(library, tmp_path):
    maps = get_library(library).maps
    energy = maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)
    distance = maps.MapAxis.from_edges([0, 0.1, 0.2, 0.3], unit="deg", name="projected-distance")
    norm = maps.RegionNDMap.create(None, axes=[energy, distance], data=np.arange(6.0).reshape((3, 2, 1, 1)))
    model = get_library(library).models.PowerLawSpectralModel()
    kind = FluxPoints if library == "gpudl4" else peer()
    points = kind({"norm": norm, "norm_err": norm * 0.1}, model)
    points.write(tmp_path / "profile.fits", sed_type="flux")
    back = FluxPoints.read(tmp_path / "profile.fits", reference_model=PowerLawSpectralModel())
    assert back.geom.axes.names == ["energy", "projected-distance"]
    np.testing.assert_allclose(back.norm.data, norm.data, rtol=1e-12)
    assert "x_ref" in back.to_table().colnames


def test_slices_and_bins_of_real_points():
    path = shared_data("flux-points", "pks2155_hess_lc_3bins.fits")
    ours, theirs = FluxPoints.read(path), peer().read(path)
    axis = ours.geom.axes["time"]
    pairs = [
        (ours.slice_by_idx({"time": slice(2, 5)}), theirs.slice_by_idx({"time": slice(2, 5)})),
        (ours.slice_by_time(axis.time_min[3], axis.time_max[9]), theirs.slice_by_time(axis.time_min[3], axis.time_max[9])),
    ]
    first = ours.energy_axis.edges[0], ours.energy_axis.edges[2]
    pairs.append((ours.slice_by_energy(*first), theirs.slice_by_energy(*first)))
    for mine, other in pairs:
        assert mine.geom.data_shape == other.geom.data_shape
        np.testing.assert_allclose(mine.dnde.data, other.dnde.quantity.to_value(mine.dnde.unit), rtol=1e-12)
    parts = list(ours.iter_by_axis("time"))
    assert len(parts) == axis.nbin
    np.testing.assert_array_equal(parts[4].norm.data, ours.norm.data[4])
    joined = FluxPoints.from_stack(parts, axis=axis)
    np.testing.assert_array_equal(joined.norm.data, ours.norm.data)
    assert isinstance(joined.geom.axes["time"], TimeMapAxis)
    with pytest.raises(DatasetError, match="no bin of the axis 'time'"):
        ours.slice_by_time(axis.time_min[0] - 3 * u.d, axis.time_min[0] - 2 * u.d)


def test_copies_are_independent():
    first = FluxPoints.from_table(make_table(), reference_model=PowerLawSpectralModel(index=2.4))
    second = first.copy()
    second._data["norm"].data *= 2
    second.reference_spectral_model.index.value = 3
    second.meta["n_sigma_ul"] = 5
    assert first.reference_spectral_model.index.value == 2.4
    assert first.n_sigma_ul is None
    np.testing.assert_allclose(second.norm.data, 2 * first.norm.data)
    with pytest.warns(UserWarning, match="will change the fluxes"):
        assert first.copy(reference_model=PowerLawSpectralModel(index=3)).reference_spectral_model.index.value == 3


def test_formatted_tables():
    table = FluxPoints.from_table(make_table()).to_table(formatted=True)
    assert table["dnde"].format == ".3e"
    assert table["e_ref"].format == ".3f"


def test_what_is_missing_is_said():
    ours = FluxPoints.from_table(make_table(errors=None))
    with pytest.raises(AttributeError, match="Quantity 'norm_err' is not defined on current flux estimate; it has: norm"):
        ours.dnde_err  # noqa: B018


def test_files_that_hold_no_points(tmp_path):
    with pytest.raises(DataFileError, match="does not exist"):
        FluxPoints.read(tmp_path / "none.fits")
    (tmp_path / "text.txt").write_text("not a table\n")
    with pytest.raises(DataFileError, match=r"does not read as a table in the format 'ascii.ecsv'"):
        FluxPoints.read(tmp_path / "text.txt")
    from astropy.io import fits

    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(DataFileError, match="holds no table of flux points"):
        FluxPoints.read(tmp_path / "empty.fits")
    make_table()["e_ref", "e_min"].write(tmp_path / "other.fits")
    with pytest.raises(DatasetError, match=r"other.fits': Missing data"):
        FluxPoints.read(tmp_path / "other.fits")
