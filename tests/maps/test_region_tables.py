"""Region maps as tables."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table

from gpudl4.core.errors import DataFileError, GeometryError, UnitMismatchError
from gpudl4.maps import MapAxis, RegionNDMap

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 4)
TRUE = ENERGY.rename("energy_true")
RAD = MapAxis.from_nodes([0, 0.1, 0.2], name="rad", unit="deg")
SED = Table({"e_min": [1.0, 3] * u.TeV, "e_max": [3.0, 9] * u.TeV, "dnde": [2.0, 1] * u.Unit("TeV-1"), "stat_scan": [[1.0, 2], [3, 4]]})


def spectrum(axis=ENERGY, backend=None, **options):
    m = RegionNDMap.create(None, axes=[axis], data=np.array([0, 3.0, np.nan, 5]), **options)
    return m if backend is None else m.to_device(backend)


def test_spectrum(backend):
    table = spectrum(backend=backend, meta={"telescop": "HESS", "other": 1}).to_table("ogip")
    assert table["COUNTS"].tolist() == [0, 3, 0, 5]
    assert table["CHANNEL"].tolist() == [0, 1, 2, 3]
    assert table["COUNTS"].dtype == np.int32
    assert table.meta["TELESCOP"] == "HESS"
    assert table.meta["DETCHANS"] == 4
    assert "OTHER" not in table.meta


def test_area(backend):
    m = spectrum(TRUE, backend=backend, unit="m2")
    table = m.to_table("ogip-arf")
    assert table.colnames == ["ENERG_LO", "ENERG_HI", "SPECRESP"]
    assert table["SPECRESP"].unit == "m2"
    assert table["SPECRESP"].tolist() == [0, 3, 0, 5]
    table = m.to_table("ogip-arf-sherpa")
    assert table["SPECRESP"].unit == "cm2"
    assert table["SPECRESP"][1] == 3e4
    assert table["ENERG_LO"].unit == "keV"
    assert table["ENERG_LO"][0] == pytest.approx(1e9)
    with pytest.raises(UnitMismatchError, match="unit of the map is 's', not an area"):
        spectrum(TRUE, unit="s").to_table("ogip-arf-sherpa")


def test_any_map(backend):
    m = RegionNDMap.create(None, axes=[RAD, ENERGY], data=np.arange(12.0).reshape(4, 3, 1, 1), unit="s").to_device(backend)
    table = m.to_table()
    assert table["DATA"].shape == (4, 3, 1, 1)
    assert table["DATA"].unit == "s"
    assert (m > 3 * u.s).to_table()["DATA"].dtype.kind == "b"
    for format in ("ogip", "ogip-arf"):
        with pytest.raises(GeometryError, match="holds one energy axis"):
            m.to_table(format)
    with pytest.raises(GeometryError, match="unknown table format 'fits'"):
        m.to_table("fits")
    with pytest.raises(GeometryError, match="'energy' is needed, got: 'energy_true'"):
        spectrum(TRUE).to_table("ogip")
    with pytest.raises(GeometryError, match="'energy_true' is needed, got: 'energy'"):
        spectrum().to_table("ogip-arf")


def test_columns_of_flux_points():
    m = RegionNDMap.from_table(SED, format="gadf-sed", colname="dnde")
    assert m.unit == "TeV-1"
    assert m.data[:, 0, 0].tolist() == [2, 1]
    assert u.allclose(m.geom.axes["energy"].edges, [1, 3, 9] * u.TeV)
    scan = SED.copy()
    scan["norm_scan"] = [[0.5, 2]] * 2
    m = RegionNDMap.from_table(scan, format="gadf-sed", colname="stat_scan")
    assert m.geom.axes.names == ["norm", "energy"]
    assert m.data[:, :, 0, 0].tolist() == [[1, 2], [3, 4]]
    profile = Table(
        {"x_ref": [0, 1, 2] * u.deg, "e_min": [[1.0, 3]] * 3 * u.TeV, "e_max": [[3.0, 9]] * 3 * u.TeV, "flux": np.arange(6.0).reshape(3, 2)}
    )
    m = RegionNDMap.from_table(profile, format="profile", colname="flux")
    assert m.geom.axes.names == ["energy", "projected-distance"]
    assert m.data.shape == (3, 2, 1, 1)


def test_bad_tables():
    with pytest.raises(GeometryError, match="format 'lightcurve'"):
        RegionNDMap.from_table(SED, format="lightcurve", colname="dnde")
    with pytest.raises(GeometryError, match="colname="):
        RegionNDMap.from_table(SED, format="gadf-sed")
    with pytest.raises(DataFileError, match="has no column 'flux'"):
        RegionNDMap.from_table(SED, format="gadf-sed", colname="flux")
    wide = SED.copy()
    wide["wide"] = [[1.0, 2], [3, 4]]
    with pytest.raises(DataFileError, match=r"holds 4 values, but the axes .* shape \(2, 1, 1\)"):
        RegionNDMap.from_table(wide, format="gadf-sed", colname="wide")
    rows = Table({"e_ref": [[1.0, 3], [1, 4]] * u.TeV, "norm": [[1.0, 2], [3, 4]]})
    with pytest.raises(DataFileError, match="rows of column 'e_ref' differ"):
        RegionNDMap.from_table(rows, format="gadf-sed", colname="norm")
