"""What tables of flux points must hold, and what is said where they do not."""

import warnings

import numpy as np
import pytest
from astropy.table import Table

from gpudl4.core.errors import DatasetError, UnitMismatchError
from gpudl4.estimators import FluxPoints
from gpudl4.fluxes.tables import guess_format
from tests.fluxes.sed import make_table
from tests.paths import shared_data


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no reference_model given")
        yield


def test_unknown_sed_types():
    table = make_table()
    with pytest.raises(DatasetError, match="Unknown SED type: 'counts'; known: dnde, e2dnde, flux, eflux, likelihood"):
        FluxPoints.from_table(table, sed_type="counts")
    with pytest.raises(DatasetError, match="Missing data / column for SED type 'flux': 'flux'; the table has: e_ref"):
        FluxPoints.from_table(table, sed_type="flux")
    points = FluxPoints.from_table(table)
    with pytest.raises(DatasetError, match="Unknown SED type"):
        points.to_table(sed_type="x")
    with pytest.raises(DatasetError, match="Not a supported format 'x'; known: gadf-sed"):
        points.to_table(format="x")
    with pytest.raises(DatasetError, match=r"Format 'lightcurve' needs the axes \['energy', 'time'\]"):
        points.to_table(format="lightcurve")
    del table.meta["SED_TYPE"]
    assert FluxPoints.from_table(table).sed_type_init == "dnde"
    table.rename_column("dnde", "Flux")
    with pytest.raises(DatasetError, match="Specifying the SED type is required"):
        FluxPoints.from_table(table)


def test_wrong_units():
    table = make_table()
    table["dnde"].unit = "cm-2 s-1"
    with pytest.raises(DatasetError, match=r"'dnde' has the unit '1 / .*', but SED type 'dnde' needs one like"):
        FluxPoints.from_table(table)
    table = make_table()
    table["e_ref"].unit = table["e_min"].unit = "cm"
    with pytest.raises(UnitMismatchError, match=r"'e_min' .* an energy was wanted"):
        FluxPoints.from_table(table)
    table["e_min"].unit = None
    with pytest.raises(UnitMismatchError, match="set table"):
        FluxPoints.from_table(table)


def test_units_of_photons_are_understood():
    table = make_table()
    ours = FluxPoints.from_table(table).dnde.quantity
    for name in ("dnde", "dnde_err"):
        table[name].unit = "ph cm-2 s-1 TeV-1"
    np.testing.assert_allclose(FluxPoints.from_table(table).dnde.quantity.to_value(ours.unit), ours.value)
    table = make_table()
    for name in ("e_ref", "e_min", "e_max"):
        table[name] = table[name].quantity.to("GeV")
    np.testing.assert_allclose(FluxPoints.from_table(table).dnde.quantity.to_value(ours.unit), ours.value)


def test_tables_that_do_not_fit():
    with pytest.raises(DatasetError, match="no rows"):
        FluxPoints.from_table(make_table()[:0])
    table = make_table()
    table.reverse()
    with pytest.raises(DatasetError, match="in the order of their energies"):
        FluxPoints.from_table(table)
    table = make_table()
    table["e_max"][2] *= 0.8
    with pytest.warns(UserWarning, match="bin 2 ends at .* the next one starts at"):
        ours = FluxPoints.from_table(table)
    np.testing.assert_allclose(ours.energy_max[2], ours.energy_min[3])
    table = make_table()
    table.remove_columns(["e_ref", "e_min", "e_max"])
    with pytest.raises(DatasetError, match="need the column 'e_ref'"):
        FluxPoints.from_table(table)
    table = make_table()
    table["dnde"] = ["a"] * 6
    with pytest.raises(DatasetError, match="must hold numbers"):
        FluxPoints.from_table(table)


def test_masked_entries_are_nan():
    table = Table(make_table(), masked=True)
    table["dnde_ul"].mask = [True] * 5 + [False]
    ours = FluxPoints.from_table(table)
    assert np.isnan(ours.dnde_ul.data.ravel()[:5]).all()
    assert np.isfinite(ours.dnde_ul.data.ravel()[5])


def test_half_of_the_statistic_as_other_programs_write_it():
    path = shared_data("flux-points", "crab_hess_fp.fits")
    table = FluxPoints.read(path).to_table()
    expected = np.array(table["stat"]), np.array(table["stat_scan"])
    for new, old in (("loglike", "stat"), ("dloglike_scan", "stat_scan")):
        table[new] = np.array(table[old]) / 2
        table.remove_column(old)
    ours = FluxPoints.from_table(table)
    np.testing.assert_allclose(ours.stat.data.ravel(), expected[0])
    np.testing.assert_allclose(ours.stat_scan.data[..., 0, 0], expected[1])
    table.remove_column("norm_scan")
    with pytest.raises(DatasetError, match="need the column 'norm_scan'"):
        FluxPoints.from_table(table)
    table.remove_columns(["dloglike_scan", "ref_dnde"])
    with pytest.raises(DatasetError, match="need the column ref_dnde, or a reference_model"):
        FluxPoints.from_table(table)


def test_formats_are_told_from_the_columns():
    assert guess_format(["time_min", "e_ref"]) == "lightcurve"
    assert guess_format(["x_min", "e_ref"]) == "profile"
    assert guess_format(["e_ref"]) == "gadf-sed"
    with pytest.raises(DatasetError, match="cannot be read in the format 'binned-time-series'"):
        FluxPoints.from_table(make_table(), format="binned-time-series")


def test_names_of_datasets_become_labels():
    points = FluxPoints.read(shared_data("flux-points", "crab_hess_fp.fits"))
    table = points.to_table()
    table["counts"] = np.arange(10.0).reshape((5, 2))
    table["datasets"] = [["b", "a"]] * 5
    back = FluxPoints.from_table(table)
    assert back.counts.geom.axes["dataset"].center.tolist() == ["b", "a"]
    table["counts"] = np.arange(35.0).reshape((5, 7))
    assert FluxPoints.from_table(table).counts.geom.axes["dataset"].nbin == 7


@pytest.mark.parametrize("value", [-1e-13, -np.inf, 1e-320])
@pytest.mark.parametrize("column", ["dnde_err", "dnde_errn", "dnde_errp"])
def test_negative_errors_are_unknown(column, value):
    """Such a point used to be fitted, or to drop out without a word."""
    table = make_table()
    table[column] = np.abs(table["dnde"]) * 0.1
    table[column].unit = table["dnde"].unit
    table[column][1] = value
    with pytest.warns(UserWarning, match=f"1 of {len(table)} errors in column '{column}' of the flux points are negative or below 1e-100"):
        points = FluxPoints.from_table(table)
    errors = getattr(points, column).data.ravel()
    assert np.isnan(errors[1])
    assert np.isfinite(np.delete(errors, 1)).all()
