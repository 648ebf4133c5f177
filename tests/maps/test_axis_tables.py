"""Axes in FITS tables."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from gpudl4.core.errors import DataFileError, GeometryError
from gpudl4.maps import MapAxes, MapAxis

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)
RAD = MapAxis.from_nodes([0, 0.1, 0.3], name="rad", unit="deg")
MIGRA = MapAxis.from_bounds(0.2, 5, 4, name="migra", node_type="edges")


@pytest.mark.parametrize("axes", [[ENERGY], [RAD, ENERGY], [MIGRA, ENERGY.rename("energy_true"), RAD]], ids=len)
def test_bands_round_trip(axes):
    hdu = MapAxes(axes).to_table_hdu(hdu_bands="X_BANDS")
    assert hdu.name == "X_BANDS"
    assert len(hdu.data) == np.prod([axis.nbin for axis in axes])
    back = MapAxes.from_table_hdu(hdu)
    assert back == MapAxes(axes)
    assert MapAxes.from_table(Table.read(hdu)) == back


def test_columns_and_keywords():
    hdu = MapAxes([RAD, ENERGY]).to_table_hdu()
    assert hdu.columns.names == ["CHANNEL", "RAD", "RAD_MIN", "RAD_MAX", "ENERGY", "E_MIN", "E_MAX"]
    assert hdu.header["AXCOLS1"] == "RAD"
    assert hdu.header["AXCOLS2"] == "E_MIN,E_MAX"
    assert hdu.header["INTERP2"] == "log"
    assert hdu.columns["E_MIN"].unit == "TeV"
    np.testing.assert_allclose(hdu.data["RAD"][:4], [0, 0.1, 0.3, 0])


def test_old_name_of_the_offset_axis():
    hdu = MapAxes([RAD.rename("theta")]).to_table_hdu()
    assert MapAxes.from_table_hdu(hdu).names == ["rad"]


def test_no_bands_no_axes():
    assert len(MapAxes.from_table_hdu(None)) == 0


@pytest.mark.parametrize("format", ["ogip", "ogip-sherpa", "ogip-arf", "ogip-arf-sherpa"])
def test_ogip(format):
    axis = ENERGY.rename("energy_true") if "arf" in format else ENERGY
    table = axis.to_table(format=format)
    back = MapAxis.from_table(table, format=format.removesuffix("-sherpa"))
    assert u.allclose(back.edges, axis.edges)
    assert back.name == axis.name
    assert back.unit == ("keV" if "sherpa" in format else "TeV")


def test_fermi_tables():
    hdu = MapAxes([ENERGY]).to_table_hdu(format="fgst-ccube")
    assert hdu.name == "EBOUNDS"
    assert MapAxes.from_table_hdu(hdu, format="fgst-ccube")[0] == ENERGY
    hdu = fits.BinTableHDU(Table({"Energy": [10.0, 100.0]}))
    axis = MapAxis.from_table_hdu(hdu, format="fgst-template")
    assert (axis.name, axis.node_type, axis.unit) == ("energy_true", "center", "MeV")


def test_bad_tables():
    hdu = MapAxes([ENERGY]).to_table_hdu(hdu_bands="X_BANDS")
    with pytest.raises(DataFileError, match="'X_BANDS' has no column 'ENERG_LO'"):
        MapAxis.from_table_hdu(hdu, format="ogip-arf")
    with pytest.raises(DataFileError, match="AXCOLS2 is missing"):
        MapAxis.from_table_hdu(hdu, format="gadf", idx=1)
    with pytest.raises(GeometryError, match="unknown table format 'x'"):
        MapAxis.from_table_hdu(hdu, format="x")
    with pytest.raises(GeometryError, match="unknown table format 'x'"):
        ENERGY.to_table(format="x")
    with pytest.raises(GeometryError, match="unknown format 'x'"):
        MapAxes([ENERGY]).to_header(format="x")
    hdu.header["AXCOLS1"] = "NOTHING"
    with pytest.raises(DataFileError, match="no column 'NOTHING'; it has: CHANNEL"):
        MapAxes.from_table_hdu(hdu)
    del hdu.header["AXCOLS1"]
    with pytest.raises(DataFileError, match="names no axes"):
        MapAxes.from_table_hdu(hdu)


def test_bad_values():
    table = MapAxes([ENERGY]).to_table()
    table["E_MIN"][0] = np.nan
    with pytest.raises(DataFileError, match="nodes must be finite"):
        MapAxes.from_table(table)
    hdu = MapAxes([ENERGY]).to_table_hdu()
    hdu.columns["E_MIN"].unit = "furlong"
    with pytest.raises(DataFileError, match="unknown unit 'furlong'"):
        MapAxes.from_table_hdu(hdu)


@pytest.mark.parametrize(
    ("axis", "format", "back"),
    [
        (ENERGY, "gadf-dl3", "ENERG"),
        (ENERGY.rename("energy_true"), "gadf-dl3", "ENERG"),
        (RAD, "gadf-dl3", "RAD"),
        (MIGRA, "gadf-dl3", "MIGRA"),
        (RAD.rename("offset"), "gadf-dl3", "THETA"),
        (RAD, "gtpsf", ""),
        (MapAxis.from_nodes([10, 100, 1000], name="energy_true", unit="MeV", interp="log"), "gtpsf", ""),
    ],
)
def test_response_tables(axis, format, back):
    table = axis.to_table(format)
    if axis.name == "energy":
        table.meta["HDUCLAS2"] = "BKG"
    assert MapAxis.from_table(table, format=format, column_prefix=back) == axis
    assert MapAxis.from_table_hdu(axis.to_table_hdu(format), format=format, column_prefix=back).nbin == axis.nbin


def test_axes_of_a_response():
    axes = MapAxes([ENERGY.rename("energy_true"), RAD.rename("offset")])
    table = axes.to_table("gadf-dl3")
    assert table.colnames == ["ENERG_LO", "ENERG_HI", "THETA_LO", "THETA_HI"]
    assert MapAxes.from_table(table, format="gadf-dl3").names == ["offset", "energy_true"]  # in the order of the format
    with pytest.raises(GeometryError, match="unknown column prefix 'X'"):
        MapAxis.from_table(table, format="gadf-dl3", column_prefix="X")
    with pytest.raises(GeometryError, match="know no axis 'x'"):
        MIGRA.rename("x").to_table("gadf-dl3")
    with pytest.raises(GeometryError, match="unknown table format 'gtpsf' for axis 'migra'"):
        MIGRA.to_table("gtpsf")


def test_flux_point_tables():
    assert MapAxis.from_table(ENERGY.to_table("gadf-sed"), format="gadf-sed-energy") == ENERGY
    assert RAD.to_table("gadf-sed").colnames == []
    table = ENERGY.to_table("gadf-sed")
    table["norm_scan"] = [[0.1, 1, 10]] * 3
    table["counts"] = [[1, 2]] * 3
    axes = MapAxes.from_table(table, format="gadf-sed")
    assert axes.names == ["norm", "energy", "dataset"]
    assert axes["dataset"].edges.value.tolist() == [-0.5, 0.5, 1.5]
    table["x_ref"] = [0, 1, 2] * u.deg
    assert MapAxes.from_table(table, format="profile").names == [*axes.names, "projected-distance"]


def test_ebounds():
    hdu = ENERGY.to_table_hdu("ogip-sherpa")
    assert hdu.name == "EBOUNDS"
    assert hdu.header["DETCHANS"] == 3
    assert MapAxes([ENERGY]).to_table_hdu("ogip").name == "EBOUNDS"
    assert MapAxes([ENERGY]).to_table("ogip").colnames == ["CHANNEL", "E_MIN", "E_MAX"]
    assert RAD.to_table_hdu("gtpsf").name == "THETA"
    with pytest.raises(GeometryError, match="holds one energy axis"):
        MapAxes([RAD, ENERGY]).to_table_hdu("ogip")


@pytest.mark.peer
@pytest.mark.parametrize("format", ["ogip", "ogip-sherpa", "ogip-arf", "ogip-arf-sherpa", "gadf-sed", "gadf-dl3", "gtpsf"])
def test_tables_of_gammapy(format):
    peer = pytest.importorskip("gammapy.maps")
    name = "energy_true" if "arf" in format or format == "gtpsf" else "energy"
    a, b = (p.from_energy_bounds("1 TeV", "10 TeV", 3, name=name) for p in (peer.MapAxis, MapAxis))
    x, y = a.to_table(format), b.to_table(format)
    assert x.colnames == y.colnames
    for column in x.colnames:
        assert x[column].unit == y[column].unit
        assert x[column].dtype == y[column].dtype
        np.testing.assert_allclose(np.asarray(x[column]), np.asarray(y[column]), rtol=1e-12)
    if format in ("ogip", "ogip-sherpa"):
        assert dict(a.to_table_hdu(format).header) == dict(b.to_table_hdu(format).header)
        assert dict(peer.MapAxes([a]).to_table_hdu(format).header) == dict(MapAxes([b]).to_table_hdu(format).header)
        assert dict(a.to_header(format)) == dict(b.to_header(format))
    for kind in ("gadf", "fgst-ccube"):
        assert dict(a.to_header(kind, idx=2)) == dict(b.to_header(kind, idx=2))
