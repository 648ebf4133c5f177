"""`Maps`: a dictionary of maps and its FITS file."""

import numpy as np
import pytest

from gpudl4.core.errors import GeometryError
from gpudl4.maps import Map, MapAxis, Maps, RegionGeom, WcsGeom
from tests.factory import get_library


def geom(library="gpudl4"):
    maps = get_library(library).maps
    axis = maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2, name="energy")
    return maps.WcsGeom.create(npix=(4, 3), binsz=0.5, axes=[axis])


def test_it_is_a_dictionary():
    maps = Maps(counts=Map.from_geom(geom()), nothing=None)
    assert list(maps) == ["counts", "nothing"]
    assert len(maps) == 2
    assert maps.geom == geom()
    maps["other"] = maps["counts"] * 2
    del maps["nothing"]
    assert "other" in maps
    assert "unit" in str(maps)
    assert Maps().geom is None
    with pytest.raises(GeometryError, match="only contain Map objects, got ndarray for 'bad'"):
        maps["bad"] = np.zeros(3)
    with pytest.raises(GeometryError, match="int"):
        Maps(bad=1)


def test_from_geom():
    maps = Maps.from_geom(geom(), ["a", "b"], [{"unit": "s"}, {"dtype": bool}])
    assert str(maps["a"].unit) == "s"
    assert maps["b"].data.dtype == bool
    with pytest.raises(ValueError, match="zip"):
        Maps.from_geom(geom(), ["a", "b"], [{}])


@pytest.mark.parametrize(("writer", "reader"), [("gpudl4", "gammapy"), ("gammapy", "gpudl4"), ("gpudl4", "gpudl4")])
def test_files_go_both_ways(tmp_path, writer, reader):
    lib, other = get_library(writer).maps, get_library(reader).maps
    maps = lib.Maps.from_geom(geom(writer), ["flux", "ts"], [{"unit": "cm-2 s-1"}, {}])
    maps["flux"].data += 3
    maps.write(tmp_path / "maps.fits")
    back = other.Maps.read(tmp_path / "maps.fits")
    assert sorted(back) == ["flux", "ts"]
    np.testing.assert_array_equal(back["flux"].data, maps["flux"].data)
    assert back["flux"].unit == maps["flux"].unit
    assert back["flux"].geom.axes["energy"].nbin == 2


def test_region_maps_survive(tmp_path):
    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2, name="energy")
    maps = Maps.from_geom(RegionGeom.create("icrs;circle(83, 22, 1)", axes=[axis]), ["norm", "is_ul"], [{}, {"dtype": bool}])
    maps["norm"].data += 2
    maps.write(tmp_path / "maps.fits", hdu_bands=None)
    back = Maps.read(tmp_path / "maps.fits", hdu_bands=None)
    assert back["is_ul"].is_mask
    np.testing.assert_array_equal(back["norm"].data, maps["norm"].data)
    assert isinstance(back.geom, RegionGeom)
    assert not isinstance(back.geom, WcsGeom)
