"""Good time intervals: exact set operations, vectorised, and the FITS table as gammapy writes it."""

import time

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from gpudl4.core.errors import DataFileError, OutputError, UnitMismatchError
from gpudl4.data import GTI
from tests.paths import shared_data


def make(*pairs, unit="s", reference_time="2010-01-01"):
    start, stop = zip(*pairs, strict=True) if pairs else ([], [])
    return GTI.create(start * u.Unit(unit), stop * u.Unit(unit), reference_time)


def pairs(gti):
    return [(round(a, 6), round(b, 6)) for a, b in zip(gti.met_start.value, gti.met_stop.value, strict=True)]


def test_create_from_quantity():
    gti = GTI.create([0, 20] * u.min, [10, 35] * u.min, Time("2010-01-01", scale="tai"))
    assert pairs(gti) == [(0, 600), (1200, 2100)]
    assert gti.time_sum.to_value("s") == pytest.approx(1500, abs=1e-9)
    assert gti.time_delta.to_value("min") == pytest.approx([10, 15])
    assert gti.time_start.scale == gti.time_ref.scale == "tai"
    assert len(gti.time_intervals) == len(gti) == 2
    assert gti.time_intervals[1][0].isot == "2010-01-01T00:20:00.000"


def test_create_scalar_and_default_reference():
    gti = GTI.create(0 * u.s, 1 * u.h)
    assert (gti.time_ref.scale, gti.time_ref.isot) == ("tt", "2000-01-01T00:00:00.000")
    assert pairs(gti) == [(0, 3600)]


def test_create_does_not_touch_reference():
    reference = Time("2010-01-01")
    GTI.create(0 * u.s, 1 * u.s, reference)
    assert reference.format == "iso"


def test_table_and_back():
    gti = make((0, 10), (20, 30))
    assert gti.table.colnames == ["START", "STOP"]
    assert pairs(GTI(gti.table, gti.time_ref)) == pairs(gti)


def test_from_time_intervals():
    times = Time(["2010-01-01T00:00:00", "2010-01-01T01:00:00", "2010-01-01T02:00:00", "2010-01-01T04:00:00"])
    gti = GTI.from_time_intervals([times[:2], times[2:]], "2010-01-01")
    assert pairs(gti) == [(0, 3600), (7200, 14400)]


@pytest.mark.parametrize(
    "gti",
    [make(), GTI.from_time_intervals([]), GTI(Table({"START": [], "STOP": []})), GTI.from_stack([])],
    ids=["q", "pairs", "table", "stack"],
)
def test_empty_is_legal(gti):
    assert len(gti) == 0
    assert bool(gti)
    assert gti.time_sum == 0 * u.s
    assert str(gti) == "GTI info:\n- Number of GTIs: 0\n- Duration: 0.0 s\n"
    assert gti.union().time_intervals == []
    assert len(gti.select_time(Time(["2010-01-01", "2011-01-01"]))) == 0
    back = GTI.from_table_hdu(gti.to_table_hdu())
    assert len(back) == 0
    assert back.time_ref == gti.time_ref
    other = make((0, 10))
    gti = gti.copy()
    gti.stack(other)
    other.stack(make())
    assert len(gti) == len(other) == 1


def test_str_and_html():
    gti = GTI.create([0, 20] * u.s, [10, 30] * u.s, Time("2010-01-01", scale="tt"))
    assert "Number of GTIs: 2" in str(gti)
    assert "Start: 2010-01-01T00:00:00.000 (time standard: TT)" in str(gti)
    assert gti._repr_html_().startswith("<pre>GTI info")


def test_copy_and_stack_are_independent():
    gti = make((0, 10))
    clone = gti.copy()
    clone.stack(make((5, 15)))
    assert pairs(gti) == [(0, 10)]
    assert pairs(clone) == [(0, 10), (5, 15)]


def test_stack_converts_scale():
    utc = GTI.create(Time("2010-01-01", scale="utc"), Time("2010-01-02", scale="utc"), Time("2010-01-01", scale="tai"))
    tai = GTI.create(0 * u.s, 10 * u.s, Time("2010-01-01", scale="tai"))
    tai.stack(utc)
    assert tai.time_start.scale == "tai"
    assert pairs(tai)[1] == pytest.approx((34.0, 86434.0))


def test_union():
    gti = make((20, 30), (0, 10), (5, 8), (9, 12), (30, 31), (100, 101))
    assert pairs(gti.union()) == [(0, 12), (20, 31), (100, 101)]
    assert pairs(gti.union(merge_equal=False)) == [(0, 12), (20, 30), (30, 31), (100, 101)]
    assert len(gti) == 6
    with pytest.raises(ValueError, match=r"3 time intervals overlap.*overlap_ok=True"):
        gti.union(overlap_ok=False)
    apart = make((0, 1), (1, 2))
    assert pairs(apart.union(overlap_ok=False, merge_equal=False)) == [(0, 1), (1, 2)]
    with pytest.raises(ValueError, match="overlap"):
        apart.union(overlap_ok=False)


def test_union_is_exact_at_midnight():
    """Midnight has two representations as day and fraction; they are the same instant."""
    midnight = Time([2455197.5, 2455198.0], [0.0, -0.5], format="jd", scale="tt")
    gti = GTI.create(Time([midnight[0] - 1 * u.h, midnight[1]]), Time([midnight[0], midnight[1] + 1 * u.h]))
    assert len(gti.union()) == 1
    assert len(gti.union(merge_equal=False)) == 2


def test_union_does_not_round():
    """A gap of a nanosecond decades after the reference stays a gap."""
    start = Time("2020-01-01", scale="tt") + [0, 1 + 1e-9] * u.s
    assert len(GTI.create(start, start + 1 * u.s).union()) == 2


def test_select_time():
    gti = make((0, 10), (20, 30), (40, 50))
    zero = gti.time_ref
    assert pairs(gti.select_time([zero + 5 * u.s, zero + 45 * u.s])) == [(5, 10), (20, 30), (40, 45)]
    assert pairs(gti.select_time([zero + 22 * u.s, zero + 23 * u.s])) == [(22, 23)]
    assert len(gti.select_time([zero + 12 * u.s, zero + 13 * u.s])) == 0
    assert pairs(gti) == [(0, 10), (20, 30), (40, 50)]


def test_delete_interval_splits():
    gti = make((0, 10), (20, 30), (40, 50))
    zero = gti.time_ref
    expected = [(0, 5), (28, 30), (40, 50)]
    assert pairs(gti.delete_interval([zero + 5 * u.s, zero + 28 * u.s])) == expected
    assert pairs(gti.select_time([zero + 5 * u.s, zero + 28 * u.s], inverted=True)) == expected
    assert pairs(gti.delete_interval([zero + 22 * u.s, zero + 23 * u.s])) == [(0, 10), (20, 22), (23, 30), (40, 50)]
    assert gti.delete_interval([zero, zero + 60 * u.s]).time_sum == 0 * u.s


def test_file_round_trip(tmp_path):
    gti = make((0, 10), (20, 30))
    path = tmp_path / "gti.fits"
    gti.write(path)
    back = GTI.read(path)
    assert pairs(back) == pairs(gti)
    assert back.time_ref.scale == gti.time_ref.scale
    with pytest.raises(OutputError, match="overwrite=True"):
        gti.write(path)
    gti.union().write(path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["gti.fits"]


def test_header_unit_and_string_reference():
    columns = [fits.Column(name=n, format="D", array=np.array([v])) for n, v in (("START", 1.0), ("STOP", 2.0))]
    hdu = fits.BinTableHDU.from_columns(columns, name="GTI")
    hdu.header.update({"MJDREFI": 51910, "MJDREFF": "7.428703703703703D-4".replace("D", "E"), "TIMEUNIT": "d", "TIMESYS": "TT"})
    gti = GTI.from_table_hdu(hdu)
    assert gti.time_sum == 86400 * u.s
    assert gti.time_ref.mjd == pytest.approx(51910.00074287037)


def test_bad_input(tmp_path):
    with pytest.raises(UnitMismatchError, match="unit 'm'"):
        GTI.create([0] * u.m, [1] * u.s)
    with pytest.raises(DataFileError, match="2 starts and 1 stops"):
        GTI.create([0, 1] * u.s, [1] * u.s)
    with pytest.raises(DataFileError, match="missing: STOP"):
        GTI(Table({"START": [1.0]}))
    with pytest.raises(DataFileError, match="not astropy Time"):
        GTI(Table({"START": [1.0], "STOP": [2.0]}))
    hdu = make((0, 1)).to_table_hdu()
    del hdu.header["MJDREFI"]
    with pytest.raises(DataFileError, match="MJDREFI and MJDREFF"):
        GTI.from_table_hdu(hdu)
    with pytest.raises(DataFileError, match="missing column START and STOP"):
        GTI.from_table_hdu(fits.ImageHDU(np.zeros(2), name="GTI"))
    with pytest.raises(ValueError, match="only 'gadf'"):
        make((0, 1)).to_table_hdu(format="xml")
    path = tmp_path / "no-gti.fits"
    fits.PrimaryHDU(np.zeros(3)).writeto(path)
    with pytest.raises(DataFileError, match="no HDU 'GTI'"):
        GTI.read(path)


def test_union_is_fast():
    rng = np.random.default_rng(0)
    start = np.sort(rng.uniform(0, 1e7, 39250))
    gti = GTI.create(start * u.s, (start + rng.exponential(200, start.size)) * u.s, Time("2015-01-01", scale="tai"))
    best = min(timed(gti.union) for _ in range(3))
    assert best < 0.05
    assert len(gti.union()) < len(gti)


def timed(function):
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


# -- against gammapy and real files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("hawc-crab/nHit-5.fits.gz", 39250),
        ("cta-1dc-gc/cta-gc-stacked.fits.gz", 3),
        ("fermi-3fhl-crab/Fermi-LAT-3FHL_data_Fermi-LAT.fits", 0),
    ],
)
@pytest.mark.peer
def test_real_files_as_gammapy(name, number, tmp_path):
    peer = pytest.importorskip("gammapy.data").GTI
    path = shared_data(*name.split("/"))
    gti, expected = GTI.read(path), peer.read(path)
    assert len(gti) == number
    assert gti.time_ref == expected.time_ref
    assert gti.time_ref.scale == expected.time_ref.scale
    gti.write(tmp_path / "ours.fits")
    back = peer.read(tmp_path / "ours.fits")
    if number:
        assert np.all(gti.met_start == expected.met_start)
        assert np.all(gti.met_stop == expected.met_stop)
        assert gti.time_sum == expected.time_sum
        assert str(gti) == str(expected)
        assert np.abs(back.met_stop - expected.met_stop).max() < 1e-6 * u.s
        small = slice(0, 2000)
        ours = GTI(gti.table[small], gti.time_ref).union()
        theirs = peer(expected.table[small], expected.time_ref).union()
        assert np.all(ours.met_start == theirs.met_start)
        assert np.all(ours.met_stop == theirs.met_stop)
    else:
        assert len(back.table) == 0


@pytest.mark.peer
def test_reads_what_gammapy_writes(tmp_path):
    peer = pytest.importorskip("gammapy.data").GTI
    theirs = peer.create([0, 7] * u.h, [1, 8] * u.h, Time("2012-07-01", scale="utc"))
    theirs.write(tmp_path / "theirs.fits")
    ours = GTI.read(tmp_path / "theirs.fits")
    assert np.all(ours.met_start == theirs.met_start)
    assert ours.time_ref.scale == "utc"


def test_checksums_of_a_file_are_verified_on_request(tmp_path):
    gti = GTI.create([0, 7] * u.h, [1, 8] * u.h)
    hdu = gti.to_table_hdu()
    hdu.add_checksum()
    hdu.header["DATASUM"] = "12345"
    hdu.writeto(tmp_path / "gti.fits")
    assert GTI.read(tmp_path / "gti.fits").time_sum == gti.time_sum
    with pytest.warns(UserWarning, match="[Dd]atasum"):
        GTI.read(tmp_path / "gti.fits", checksum=True)


@pytest.mark.parametrize(("start", "stop"), [([0, 30], [10, 20]), ([0, np.nan], [10, 20]), ([0, 5], [10, np.nan])])
def test_intervals_do_not_stop_before_they_start(start, stop, tmp_path):
    with pytest.raises(DataFileError, match=r"1 of 2 good time intervals stop before they start .* the first in row 1"):
        GTI.create(start * u.s, stop * u.s)
    reference = Time("2020-01-01", scale="tt")
    table = Table({"START": reference + [0, 30] * u.s, "STOP": reference + [10, 20] * u.s})
    with pytest.raises(DataFileError, match="1 of 2 good time intervals"):
        GTI(table)
    hdu = GTI.create([0, 0] * u.s, [10, 20] * u.s).to_table_hdu()
    hdu.data["START"], hdu.data["STOP"] = start, stop
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "gti.fits")
    with pytest.raises(DataFileError, match=r"gti\.fits': 1 of 2 good time intervals"):
        GTI.read(tmp_path / "gti.fits")


def test_an_interval_without_duration_is_legal():
    assert GTI.create([5] * u.s, [5] * u.s).time_sum == 0 * u.s
