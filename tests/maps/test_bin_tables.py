"""Axes of tables are read row by row: nothing is sorted, nothing is guessed."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time

from gpudl4.core.errors import DataFileError
from gpudl4.maps import Map, MapAxes, MapAxis, RegionNDMap, TimeMapAxis, WcsGeom
from gpudl4.maps.axis_tables import axis_from_table
from gpudl4.maps.bin_tables import cycle, joined_edges

ENERGY = MapAxis.from_energy_bounds("1 TeV", "100 TeV", nbin=6, name="energy")
RAD = MapAxis.from_bounds(0, 0.6, 3, unit="deg", name="rad")


@pytest.mark.parametrize(("each", "number", "times"), [(1, 4, 1), (3, 4, 1), (1, 4, 5), (3, 4, 5), (5, 1, 1), (1, 1, 1)])
def test_cycle(each, number, times):
    nodes = np.array([3.0, 1.0, 4.0, 1.5])[:number]
    values, pattern = cycle(np.tile(np.repeat(nodes, each), times), "x")
    np.testing.assert_array_equal(values, nodes)
    assert pattern == ((each * times, 1) if number == 1 else (each, number))


@pytest.mark.parametrize("row", range(24))
def test_one_other_value_is_found_wherever_it_is(row):
    values = np.tile(np.repeat([1.0, 2.0, 3.0, 4.0], 3), 2)
    values[row] = 9.0
    with pytest.raises(DataFileError, match=r"x: row .* breaks the order"):
        cycle(values, "x")


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, np.nan], [np.inf, 1.0]])
def test_no_column_of_numbers(values):
    with pytest.raises(DataFileError, match="x"):
        cycle(np.array(values), "x")


def test_edges_of_single_precision_are_joined():
    edges = np.geomspace(1e-3, 1e3, 200)
    low, high = edges[:-1].astype("f4"), (edges[1:] * (1 + 1e-7)).astype("f4")
    np.testing.assert_array_equal(joined_edges(low, high, "x"), np.append(low, high[-1]).astype(float))
    np.testing.assert_array_equal(joined_edges([-1.0, 1e-17], [0.0, 1.0], "x"), [-1, 1e-17, 1])


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((0, 4), 1e-320, "bin 3 ends at .* and bin 4 starts at"),
        ((0, 4), -5.0, "bin 3 ends"),
        ((0, 0), np.nan, "bin 0 goes from nan"),
        ((1, 4), 1e308, "bin 4 ends"),
        ((1, 5), np.inf, "bin 5 goes from"),
        ((1, 4), -1.0, "bin 4 goes from .* to -1"),
        ((1, 2), 1.0, "bin 2 goes from"),
        ((1, 2), 21.0, "bin 2 ends at 21"),
    ],
)
def test_edges_that_do_not_follow_each_other(place, value, message):
    edges = np.array([ENERGY.edges.value[:-1], ENERGY.edges.value[1:]])
    edges[place] = value
    with pytest.raises(DataFileError, match=f"^x: (bins must be adjacent, but )?{message}"):
        joined_edges(*edges, "x")


# every format of a file


def damaged(hdu, name, row, value):
    hdu.data[name][row] = value
    return hdu


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("E_MIN", 4, 1e-320),
        ("E_MAX", 4, 1e308),
        ("E_MAX", 4, -1.0),
        ("E_MIN", 0, 0.5e-3),
        ("E_MIN", 17, 3.0),
        ("RAD_MIN", 5, 0.3),
        ("RAD_MAX", 2, 9),
    ],
)
def test_damaged_bands(name, row, value):
    """E_MIN[4] = 1e-320 moved all lower edges by a bin; E_MAX[4] = 1e308 gave an infinite bin; E_MAX[4] = -1 was not seen."""
    axes = MapAxes([RAD, ENERGY])
    assert MapAxes.from_table_hdu(axes.to_table_hdu()) == axes
    with pytest.raises(DataFileError, match="HDU 'BANDS'"):
        MapAxes.from_table_hdu(damaged(axes.to_table_hdu(), name, row, value))


@pytest.mark.parametrize("format", ["gadf", "ogip", "fgst-ccube"])
@pytest.mark.parametrize(("name", "row", "value"), [("E_MIN", 4, 1e-320), ("E_MAX", 4, 1e308), ("E_MAX", 4, -1.0), ("E_MAX", 2, np.nan)])
def test_damaged_energies_of_every_format(format, name, row, value):
    axes = MapAxes([ENERGY])
    hdu = axes.to_table_hdu(format="ogip" if format == "ogip" else "gadf")
    assert MapAxes.from_table_hdu(hdu, format=format)[0] == ENERGY
    with pytest.raises(DataFileError, match=r"HDU '(BANDS|EBOUNDS)'"):
        MapAxes.from_table_hdu(damaged(hdu, name, row, value), format=format)


def test_damaged_response_table():
    table = ENERGY.to_table(format="gadf-dl3")
    assert axis_from_table(table, "gadf-dl3", column_prefix="ENERG") == ENERGY.copy(name="energy_true")
    table["ENERG_HI"][0, 2] = 50.0
    with pytest.raises(DataFileError, match="bin 2 ends at 50"):
        axis_from_table(table, "gadf-dl3", column_prefix="ENERG")


def test_rows_that_are_missing():
    hdu = MapAxes([RAD, ENERGY]).to_table_hdu()
    del hdu.header["AXCOLS2"]
    with pytest.raises(DataFileError, match=r"has 18 rows, but its axes 3 \(rad\) make 3 image planes"):
        MapAxes.from_table_hdu(hdu)
    hdu = MapAxes([RAD, ENERGY]).to_table_hdu()
    with pytest.raises(DataFileError, match=r"breaks the order|rows"):
        MapAxes.from_table_hdu(fits.BinTableHDU(hdu.data[:-1], header=hdu.header, name="BANDS"))


def test_time_axes_keep_their_order():
    start = Time(["2020-01-01", "2020-01-03", "2020-01-07"])
    axis = TimeMapAxis.from_time_edges(start, start + [1, 2, 3] * (start[1] - start[0]) / 2)
    hdu = MapAxes([ENERGY, axis]).to_table_hdu()
    back = MapAxes.from_table_hdu(hdu)
    assert back.names == ["energy", "time"]
    np.testing.assert_allclose(back["time"].edges_min.to_value("s"), axis.edges_min.to_value("s"))
    hdu.data["TIME_MIN"][7] += 5
    with pytest.raises(DataFileError, match=r"TIME_MIN.*breaks the order"):
        MapAxes.from_table_hdu(hdu)


# other tables of maps


@pytest.fixture
def sparse():
    geom = WcsGeom.create(npix=(4, 3), binsz=1, axes=[MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)])
    data = np.zeros(geom.data_shape)
    data[0, 1, 1], data[1, 2, 3] = 3, 5
    return Map.from_geom(geom, data=data).to_hdulist(sparse=True)


@pytest.mark.parametrize(("name", "value"), [("PIX", -1), ("CHANNEL", -1), ("PIX", 12), ("CHANNEL", 2)])
def test_sparse_pixels_do_not_wrap_around(sparse, name, value):
    assert Map.from_hdulist(sparse, hdu="SKYMAP").data.sum() == 8
    sparse["SKYMAP"].data[name][0] = value
    with pytest.raises(DataFileError, match=f"a pixel lies outside the shape: {name} must hold whole numbers from 0 to"):
        Map.from_hdulist(sparse, hdu="SKYMAP")


def test_sparse_pixels_are_given_once_and_fit_into_memory(sparse):
    data = sparse["SKYMAP"].data
    data["PIX"][1], data["CHANNEL"][1] = data["PIX"][0], data["CHANNEL"][0]
    with pytest.raises(DataFileError, match="one VALUE for each pixel"):
        Map.from_hdulist(sparse, hdu="SKYMAP")
    sparse["SKYMAP"].header["WCSSHAPE"] = "(900000,900000,2)"
    with pytest.raises(DataFileError, match="too large for an array"):
        Map.from_hdulist(sparse, hdu="SKYMAP")
    sparse["SKYMAP"].header["WCSSHAPE"] = "(10**9, 10**4)"
    with pytest.raises(DataFileError, match="no valid image size"):
        Map.from_hdulist(sparse, hdu="SKYMAP")
    sparse["SKYMAP"].header["WCSSHAPE"] = "(9000000,9000000,2)"
    with pytest.raises(DataFileError, match="from 1 to 1000000 in each direction"):
        Map.from_hdulist(sparse, hdu="SKYMAP")


@pytest.mark.parametrize("value", [5, 1.5, True])
def test_unit_that_is_no_text(value):
    hdus = Map.create(npix=(3, 2), unit="s").to_hdulist()
    hdus[0].header["BUNIT"] = value
    with pytest.raises(DataFileError, match="BUNIT must be the text of a unit"):
        Map.from_hdulist(hdus)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_masks_are_numbers(value):
    image = Map.create(npix=(3, 2), dtype="float32")
    image.data[0, 0] = value
    with pytest.raises(DataFileError, match="HDU 'MASK_FIT' shall be a mask"):
        Map.from_hdulist(image.to_hdulist(hdu="MASK_FIT"), hdu="MASK_FIT")
    region = RegionNDMap.create(None, axes=[ENERGY], data=np.full((6, 1, 1), value))
    with pytest.raises(DataFileError, match="HDU 'MASK_SAFE' shall be a mask"):
        Map.from_hdulist(region.to_hdulist(hdu="MASK_SAFE"), hdu="MASK_SAFE")


@pytest.mark.parametrize(("name", "value"), [("X", np.nan), ("Y", -np.inf), ("R", np.nan), ("R", np.inf), ("R", 1e300), ("X", 1e300)])
def test_regions_are_on_the_sky(name, value):
    map_ = RegionNDMap.create("icrs;circle(83.63, 22.01, 0.5)", axes=[ENERGY])
    hdus = map_.to_hdulist()
    assert Map.from_hdulist(hdus).geom.region is not None
    hdus["SKYMAP_REGION"].data[name][...] = value
    with pytest.raises(DataFileError, match=r"HDU 'SKYMAP_REGION' (describes a region|cannot be read)"):
        Map.from_hdulist(hdus)
