"""`TimeMapAxis` against gammapy, and its own rules at the door."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from astropy.time import Time

from gpudl4.core.errors import DataFileError, GeometryError, UnitMismatchError
from gpudl4.core.gti import GTI
from gpudl4.maps import Map, MapAxes, MapAxis, RegionNDMap, TimeMapAxis
from tests.factory import get_library

REFERENCE = "2020-03-19"
EDGES = [1, 5, 10, 15] * u.day, [2, 7, 13, 18] * u.day


def make(library="gpudl4", **kwargs):
    return get_library(library).maps.TimeMapAxis(*EDGES, reference_time=Time(REFERENCE), **kwargs)


@pytest.fixture
def axes():
    return make(), make("gammapy")


def test_properties_are_gammapys(axes):
    ours, theirs = axes
    assert (ours.nbin, ours.name, ours.unit, ours.node_type, ours.interp) == (4, "time", u.day, theirs.node_type, theirs.interp)
    for name in ("time_min", "time_max", "time_mid", "time_delta"):
        assert np.all(getattr(ours, name) == getattr(theirs, name)), name
    for name in ("edges_min", "edges_max", "center", "bin_width"):
        np.testing.assert_allclose(getattr(ours, name).to_value("s"), getattr(theirs, name).to_value("s"), rtol=1e-14)
    assert [t.mjd for t in ours.time_bounds] == [t.mjd for t in theirs.time_bounds]
    assert ours.is_contiguous is False
    assert ours.as_plot_labels == theirs.as_plot_labels
    assert len(list(ours.iter_by_time_edges)) == len(list(ours.iter_by_edges)) == 4


def test_bins_hold_their_stop_and_not_their_start(axes):
    ours, theirs = axes
    times = Time(REFERENCE) + [0, 1, 1.5, 2, 2.0001, 6, 7, 13, 18, 18.1] * u.day
    expected = [-1, -1, 0, 0, -1, 1, 1, 2, 3, -1]
    assert ours.coord_to_idx(times).tolist() == expected
    theirs_idx = theirs.coord_to_idx(times)
    assert np.where(theirs_idx < 0, -1, theirs_idx).tolist() == expected
    assert ours.coord_to_idx(times - Time(REFERENCE)).tolist() == expected
    assert ours.coord_to_idx(times[2]).shape == ()
    grid = times[2:8].reshape((2, 3))
    assert ours.coord_to_idx(grid).tolist() == [expected[2:5], expected[5:8]]


def test_a_nanosecond_decides():
    ours = make()
    edge = ours.time_max[0]
    assert ours.coord_to_idx(edge) == 0
    assert ours.coord_to_idx(edge + 1 * u.ns) == -1


def test_pixels_round_trip(axes):
    ours, theirs = axes
    times = Time(REFERENCE) + [1.5, 6, 10.5, 17] * u.day
    np.testing.assert_allclose(ours.coord_to_pix(times), theirs.coord_to_pix(times), atol=1e-12)
    assert np.isnan(ours.coord_to_pix(Time(REFERENCE) + [3] * u.day)).all()
    back, peer = ours.pix_to_coord([0.25, 1.5]), theirs.pix_to_coord(np.array([0.25, 1.5]))
    assert abs((back - peer).to_value("s")).max() < 1e-5
    assert ours.pix_to_coord([-1.0]).mjd[0] == pytest.approx(0, abs=1e-6)


def test_time_scales_are_converted():
    utc = TimeMapAxis([0] * u.s, [100] * u.s, Time("2020-01-01", scale="utc"))
    tt = Time("2020-01-01", scale="utc").tt + 50 * u.s
    assert utc.coord_to_idx(tt) == 0
    assert utc.coord_to_idx(Time("2020-01-01", scale="tt") + 50 * u.s) == -1


def test_constructors_agree_with_gammapy():
    start = Time(["2020-01-01", "2020-01-03"])
    stop = Time(["2020-01-02", "2020-01-05"])
    from gammapy.data import GTI as PeerGTI
    from gammapy.maps import TimeMapAxis as Peer

    gti, peer_gti = (kind.create([0, 2000] * u.s, [1800, 3800] * u.s, reference_time="2020-01-01") for kind in (GTI, PeerGTI))
    pairs = [
        (TimeMapAxis.from_time_edges(start, stop), Peer.from_time_edges(start, stop)),
        (TimeMapAxis.from_time_bounds(start[0], stop[1], 7), Peer.from_time_bounds(start[0], stop[1], 7)),
        (TimeMapAxis.from_gti(gti), Peer.from_gti(peer_gti)),
        (TimeMapAxis.from_gti_bounds(gti, 900 * u.s), Peer.from_gti_bounds(peer_gti, 900 * u.s)),
        (make().squash(), make("gammapy").squash()),
        (make().slice(slice(1, 3)), make("gammapy").slice(slice(1, 3))),
        (make().to_contiguous(), make("gammapy").to_contiguous()),
    ]
    for ours, theirs in pairs:
        assert ours.nbin == theirs.nbin
        assert ours.unit == theirs.unit
        for name in ("time_min", "time_max"):
            assert abs((getattr(ours, name) - getattr(theirs, name)).to_value("s")).max() < 1e-6
        assert ours.reference_time == theirs.reference_time


def test_gti_round_trip():
    ours = make()
    gti = ours.to_gti()
    assert np.all(gti.time_start == ours.time_min)
    assert ours.to_table().colnames == ["START", "STOP"]
    assert TimeMapAxis.from_gti(gti) == ours


def test_group_table_is_gammapys(axes):
    ours, theirs = axes
    edges = [Time(REFERENCE) + d * u.day for d in (0, 8, 9.5, 14, 20, 30, 2.2, 3)]
    mine, peer = ours.group_table(edges), theirs.group_table(list(edges))
    for name in ("idx_min", "idx_max", "time_min", "time_max"):
        np.testing.assert_allclose(mine[name], peer[name])
    assert list(mine["bin_type"]) == [kind if isinstance(kind, str) else kind.decode() for kind in peer["bin_type"]]
    assert len(ours.group_table([0 * u.d, 8 * u.d])) == 1


@pytest.mark.parametrize(
    ("low", "high", "error", "text"),
    [
        ([1, 2] * u.d, [3, 4] * u.d, GeometryError, "must not overlap"),
        ([1, 2] * u.d, [1, 4] * u.d, GeometryError, "stop after it starts; bin 0"),
        ([3, 1] * u.d, [4, 2] * u.d, GeometryError, "in the order of time"),
        ([1, 2] * u.d, [3] * u.d, GeometryError, "as many starts as stops"),
        ([1, np.nan] * u.d, [2, 3] * u.d, GeometryError, "finite"),
        ([1, 2] * u.m, [3, 4] * u.d, UnitMismatchError, "edges_min"),
        ([1, 2] * u.d, [3, 4] * u.TeV, UnitMismatchError, "edges_max"),
    ],
)
def test_bad_edges_are_refused(low, high, error, text):
    with pytest.raises(error, match=text):
        TimeMapAxis(low, high, Time(REFERENCE))


def test_what_time_does_not_do_is_said(axes):
    ours = axes[0]
    for name in ("upsample", "downsample", "pad"):
        with pytest.raises(GeometryError, match="time axis 'time' cannot be"):
            getattr(ours, name)()
    with pytest.raises(GeometryError, match="not contiguous"):
        ours.edges  # noqa: B018
    with pytest.raises(GeometryError, match="interp"):
        make(interp="log")
    with pytest.raises(GeometryError, match="selects none"):
        ours.slice(slice(7, 9))


def test_equality():
    assert make() == make()
    assert make() != make(name="other")
    assert make() != make().slice(slice(0, 3))
    assert make() != MapAxis.from_edges([0, 1], name="time")
    assert make() == make().copy(edges_min=EDGES[0].to("h"), edges_max=EDGES[1].to("h"))
    assert make() != make().copy(edges_max=EDGES[1] + 1 * u.s)
    assert hash(make()) == hash(make())


def test_joining_maps_in_time():
    axis = make()
    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)
    full = RegionNDMap.create(None, axes=[energy, axis], data=np.arange(8.0).reshape((4, 2, 1, 1)))
    parts = [full.slice_by_idx({"time": slice(i, i + 1)}) for i in range(4)]
    joined = Map.from_stack(parts, axis_name="time")
    assert joined.geom.axes["time"] == axis
    np.testing.assert_array_equal(joined.data, full.data)
    assert "time" in repr(full.geom.axes)
    assert full.geom.axes == MapAxes([energy, axis])
    assert full.geom.axes != MapAxes([energy, MapAxis.from_edges([0, 1, 2, 3, 4], name="time")])


@pytest.mark.parametrize("writer", ["gpudl4", "gammapy"])
def test_bands_tables_go_both_ways(tmp_path, writer):
    reader = "gammapy" if writer == "gpudl4" else "gpudl4"
    libs = {name: get_library(name) for name in (writer, reader)}
    energy = libs[writer].maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=1)
    cube = libs[writer].maps.RegionNDMap.create("icrs;circle(83, 22, 1)", axes=[energy, make(writer)])
    cube.data += np.arange(4.0).reshape((4, 1, 1, 1))
    cube.write(tmp_path / "map.fits")
    back = libs[reader].maps.Map.read(tmp_path / "map.fits", hdu="SKYMAP", format="gadf")
    np.testing.assert_array_equal(back.data, cube.data)
    theirs = back.geom.axes["time"]
    assert abs((theirs.time_min - make().time_min).to_value("s")).max() < 1e-4  # the header holds the reference time only as a double
    assert abs((theirs.time_max - make().time_max).to_value("s")).max() < 1e-4


def test_lightcurve_table():
    table = Table({"time_min": [53945.1, 53945.3], "time_max": [53945.2, 53945.4]}, meta={"TIMESYS": "tt", "TIMEUNIT": "d"})
    from gammapy.maps import TimeMapAxis as Peer

    ours, theirs = TimeMapAxis.from_table(table, "lightcurve"), Peer.from_table(table, "lightcurve")
    assert ours.reference_time == theirs.reference_time
    np.testing.assert_allclose(ours.edges_min.to_value("s"), theirs.edges_min.to_value("s"), rtol=1e-15)
    assert ours.reference_time.scale == "tt"
    with pytest.raises(DataFileError, match="column 'time_max'"):
        TimeMapAxis.from_table(table["time_min",], "lightcurve")
    with pytest.raises(GeometryError, match="unknown table format"):
        TimeMapAxis.from_table(table, "nonsense")
    with pytest.raises(DataFileError, match="MJDREFI"):
        TimeMapAxis.from_table(Table({"Hist_Start": [1.0, 2.0] * u.s}), "fermi-fgl")
    table = Table({"Hist_Start": [1.0, 2.0, 4.0] * u.s}, meta={"MJDREFI": 51910, "MJDREFF": "7.428703703703703D-4"})
    assert TimeMapAxis.from_table(table, "fermi-fgl").nbin == 2


@pytest.mark.parametrize("time_format", ["iso", "mjd"])
def test_times_are_drawn_as_gammapy_draws_them(axes, time_format):
    for axis in axes:
        assert axis.time_format == "iso"
        axis.time_format = time_format
    ours, theirs = axes
    assert ours.as_plot_labels == theirs.as_plot_labels
    assert np.all(ours.as_plot_center == theirs.as_plot_center)
    assert type(ours.as_plot_center) is type(theirs.as_plot_center)
    for mine, other in zip(ours.as_plot_xerr, theirs.as_plot_xerr, strict=True):
        assert np.all(mine == other)
    closed = [axis.to_contiguous() for axis in axes]
    closed[1].time_format = time_format  # gammapy's new axes are in "iso"
    assert np.all(closed[0].as_plot_edges == closed[1].as_plot_edges)


def test_the_format_of_times_changes_nothing_but_pictures():
    one, other = make(), make()
    one.time_format = "mjd"
    assert one == other
    assert hash(one) == hash(other)
    assert str(one) == str(other)
    assert (one.slice(slice(0, 2)).time_format, one.copy().time_format, other.copy().time_format) == ("mjd", "mjd", "iso")
    with pytest.raises(GeometryError, match="unknown time_format 'jd'; known: iso, mjd"):
        one.time_format = "jd"
    assert one.time_format == "mjd"
