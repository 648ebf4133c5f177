"""Files of tables with a GTI beside them."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from gpudl4.core.errors import DataFileError, OutputError
from gpudl4.core.gti import GTI
from gpudl4.io.sed import read_further, read_table, write_table

TABLE = Table(
    {"e_ref": [1.0, 2.0] * u.TeV, "norm": [1.0, np.nan], "is_ul": [True, False]}, meta={"SED_TYPE": "likelihood", "UL_CONF": 0.95}
)


@pytest.mark.parametrize("name", ["t.fits", "t.fits.gz", "t.ecsv", "folder/t.fits"])
def test_round_trip(tmp_path, name):
    gti = GTI.create([0] * u.s, [10] * u.s)
    write_table(TABLE, tmp_path / name, gti=gti)
    table, back = read_table(tmp_path / name)
    assert table.colnames == TABLE.colnames
    assert table["e_ref"].unit == u.TeV
    np.testing.assert_array_equal(np.asarray(table["norm"]), np.asarray(TABLE["norm"]))
    assert np.asarray(table["is_ul"]).tolist() == [True, False]
    assert dict(table.meta) == dict(TABLE.meta)
    assert back is None if name.endswith("ecsv") else back.time_sum == gti.time_sum


def test_nothing_is_overwritten_or_left_half(tmp_path):
    write_table(TABLE, tmp_path / "t.fits")
    with pytest.raises(OutputError, match="exists"):
        write_table(TABLE, tmp_path / "t.fits")
    write_table(TABLE[:1], tmp_path / "t.fits", overwrite=True)
    assert len(read_table(tmp_path / "t.fits")[0]) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["t.fits"]


def test_the_right_table_is_found(tmp_path):
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(Table({"x": [1]}), name="OTHER"), fits.BinTableHDU(TABLE, name="FLUXPOINTS")]
    fits.HDUList(hdus).writeto(tmp_path / "t.fits")
    assert read_table(tmp_path / "t.fits")[0].colnames == TABLE.colnames
    fits.HDUList(hdus[:2]).writeto(tmp_path / "other.fits")
    assert read_table(tmp_path / "other.fits")[0].colnames == ["x"]


def test_further_tables(tmp_path):
    meta = Table({"OBS_ID": [1, 2], "TELESCOP": ["HESS", "HESS"]})
    write_table(TABLE, tmp_path / "t.fits", further={"META_TABLE": meta})
    assert read_table(tmp_path / "t.fits")[0].colnames == TABLE.colnames
    back = read_further(tmp_path / "t.fits", "META_TABLE")
    assert back["OBS_ID"].tolist() == [1, 2]
    assert read_further(tmp_path / "t.fits", "NOTHING") is None
    write_table(TABLE, tmp_path / "t.ecsv", further={"META_TABLE": meta})
    assert read_further(tmp_path / "t.ecsv", "META_TABLE") is None


def test_checksums(tmp_path):
    write_table(TABLE, tmp_path / "t.fits", checksum=True)
    raw = bytearray((tmp_path / "t.fits").read_bytes())
    raw[-2880] ^= 1
    (tmp_path / "t.fits").write_bytes(raw)
    with pytest.warns(UserWarning, match="[Cc]hecksum|Datasum"):
        read_table(tmp_path / "t.fits", checksum=True)


def test_files_without_a_table(tmp_path):
    with pytest.raises(DataFileError, match="does not exist"):
        read_table(tmp_path / "none.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(DataFileError, match="holds no table"):
        read_table(tmp_path / "empty.fits")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert read_table(tmp_path / "t.csv", table_format="ascii.csv")[0].colnames == ["a", "b"]
    (tmp_path / "t.txt").write_text("no table\n")
    with pytest.raises(DataFileError, match="give table_format="):
        read_table(tmp_path / "t.txt")
    write_table(TABLE, tmp_path / "t.fits")
    raw = (tmp_path / "t.fits").read_bytes()
    (tmp_path / "cut.fits").write_bytes(raw[: len(raw) - 2870])
    with pytest.raises(DataFileError, match="truncated"):
        read_table(tmp_path / "cut.fits")
