"""Columns and keywords of OGIP tables."""

import numpy as np
import pytest
from astropy import units as u

from gpudl4.core.errors import UnitMismatchError
from gpudl4.maps import MapAxis
from gpudl4.maps.ogip_read import energy_axis
from gpudl4.maps.ogip_tables import area_columns, bounds_columns, channels, energy_columns, ogip_cards, ogip_hdu

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=4)
TRUE = ENERGY.rename("energy_true")


@pytest.mark.parametrize("axis", [ENERGY, TRUE])
@pytest.mark.parametrize(("format", "unit"), [("ogip", "TeV"), ("ogip-sherpa", "keV")])
def test_energies_come_back(axis, format, unit):
    hdu = ogip_hdu("EBOUNDS", energy_columns(axis, format), {})
    back = energy_axis(hdu, axis.name, "here")
    assert back.unit == unit
    assert u.allclose(back.edges, axis.edges, rtol=1e-14)
    assert (back.name, back.interp) == (axis.name, "log")


def test_channels_beyond_two_bytes():
    assert channels(32767).dtype == np.int16
    many = channels(40000)
    assert many[-1] == 39999
    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=40000)
    hdu = axis.to_table_hdu("ogip")
    assert hdu.data["CHANNEL"][-1] == 39999
    assert ogip_hdu("EBOUNDS", bounds_columns(axis), {}).data["CHANNEL"][-1] == 39999


def test_types_and_units_of_columns():
    rows = np.empty(2, dtype=object)
    rows[:] = [np.array([1.0, 2], dtype=np.float32), np.array([3], dtype=np.float32)]
    columns = {"A": np.array([1, 2], dtype=np.int16), "B": np.array([1, 2], dtype=np.int32), "C": [1.0, 2] * u.TeV, "D": rows}
    hdu = ogip_hdu("MATRIX", columns, {"FILTER": "None"})
    assert [c.format for c in hdu.columns] == ["I", "J", "D", "PE()"]
    assert [c.unit for c in hdu.columns] == [None, None, "TeV", None]
    assert [row.tolist() for row in hdu.data["D"]] == [[1, 2], [3]]
    assert (hdu.name, hdu.header["FILTER"]) == ("MATRIX", "None")


def test_areas():
    area = np.array([1, np.nan, 2, 3], dtype=np.float32)
    columns = area_columns(TRUE, area, u.m**2, "ogip-arf")
    assert columns["SPECRESP"].value.tolist() == [1, 0, 2, 3]
    assert (columns["SPECRESP"].unit, columns["SPECRESP"].dtype) == (u.m**2, np.float32)
    sherpa = area_columns(TRUE, area, u.m**2, "ogip-arf-sherpa")["SPECRESP"]
    assert (sherpa.unit, sherpa.dtype, sherpa[2].value) == (u.cm**2, np.float32, 2e4)
    with pytest.raises(UnitMismatchError, match="'s', not an area"):
        area_columns(TRUE, area, u.s, "ogip-sherpa")


def test_cards_are_new_each_time():
    first = ogip_cards("EBOUNDS", 3)
    first["FILTER"] = "changed"
    assert ogip_cards("EBOUNDS", 4) == first | {"FILTER": "None", "DETCHANS": 4}
    assert "DETCHANS" not in ogip_cards("SPECRESP")
