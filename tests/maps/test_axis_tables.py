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
