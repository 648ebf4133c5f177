"""Map: data, units, copies, values at positions, interpolation; what does not need the host, on each backend."""

import copy
import pickle

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import BackendError, GeometryError, UnitMismatchError
from gpudl4.maps import Map, MapAxis, RegionNDMap, WcsGeom, WcsNDMap
from tests.arrays import assert_close, assert_same, host

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)


@pytest.fixture
def cube():
    geom = WcsGeom.create(npix=(6, 4), binsz=0.5, axes=[ENERGY])
    return Map.from_geom(geom, data=np.arange(72.0).reshape(3, 4, 6), unit="m2", meta={"a": 1})


@pytest.fixture
def anywhere(cube, backend):
    """The cube on each backend."""
    return cube.to_device(backend)


def test_defaults():
    m = Map.create(npix=(6, 4), axes=[ENERGY])
    assert isinstance(m, WcsNDMap)
    assert m.data.dtype == np.float32
    assert (m.data == 0).all()
    assert m.unit == ""
    assert m.meta == {}
    np.testing.assert_allclose(m.geom.pixel_scales.deg, 0.1)
    assert Map.from_geom(m.geom, data=1).data.dtype == np.int64
    assert Map.from_geom(m.geom, data=False).is_mask
    assert Map.from_geom(m.geom, dtype=bool).is_mask
    assert isinstance(Map.create(map_type="region", region=None, axes=[ENERGY]), RegionNDMap)
    assert WcsNDMap.create(npix=3).data.shape == (3, 3)


def test_all_sky_maps_have_no_value_outside_the_sky():
    m = Map.create(binsz=10, proj="AIT")
    assert np.isnan(m.data[0, 0])
    assert m.data[9, 18] == 0
    assert not Map.create(binsz=10, proj="AIT", dtype=bool).data.any()


def test_data_keeps_its_type_but_not_a_foreign_byte_order(cube):
    for dtype in ("float32", "int16", "bool", "uint8"):
        assert Map.from_geom(cube.geom, data=np.ones(cube.geom.data_shape, dtype)).data.dtype == dtype
    m = Map.from_geom(cube.geom, data=cube.data.astype(">f4"))
    assert m.data.dtype == np.dtype("float32")
    assert m.data.dtype.isnative
    np.testing.assert_array_equal(m.data, cube.data)


def test_setting_data(anywhere):
    cube, xp = anywhere, anywhere.backend.xp
    given = xp.zeros(cube.data.shape)
    cube.data = given
    assert cube.data is given
    cube.data = xp.ones((4, 6))
    assert cube.data.shape == (3, 4, 6)
    cube.data[0] = 7
    assert cube.data[1].max() == 1
    cube.data += 1
    assert cube.data.max() == 8
    with pytest.raises(GeometryError, match=r"shape \(2, 2\) do not fit the geometry, whose shape is \(3, 4, 6\)"):
        cube.data = xp.ones((2, 2))
    with pytest.raises(TypeError, match="give the unit separately"):
        cube.data = np.ones((3, 4, 6)) * u.m


def test_units(cube):
    assert cube.quantity.unit == "m2"
    assert np.shares_memory(cube.quantity, cube.data)
    np.testing.assert_allclose(cube.to_unit("cm2").data, cube.data * 1e4)
    cube.quantity = np.ones((3, 4, 6)) * u.s
    assert cube.unit == "s"
    with pytest.raises(UnitMismatchError, match="map has unit 's', which does not convert to 'TeV'"):
        cube.to_unit("TeV")
    with pytest.raises(AttributeError, match="unit"):
        cube.unit = "m"


def test_copies(anywhere):
    cube = anywhere
    other = cube.copy()
    other.data[0, 0, 0] = 100
    other.meta["a"] = 2
    assert cube.data[0, 0, 0] == 0
    assert cube.meta == {"a": 1}
    assert cube.copy(unit="s").unit == "s"
    assert cube.copy(dtype="float32").data.dtype == np.float32
    assert cube.copy(data=0.0).data.max() == 0
    assert cube.copy(geom=cube.geom.rename_axes("energy", "energy_true")).geom.axes.names == ["energy_true"]
    with pytest.raises(GeometryError, match="cannot change the shape"):
        cube.copy(geom=cube.geom.to_image())
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        cube.copy(colour=1)


def test_values_at_positions(anywhere):
    cube = anywhere
    lon, lat = cube.geom.pix_to_lonlat([2, 20], [3, 0])
    values = cube.get_by_coord({"lon": lon, "lat": lat, "energy": ENERGY.center[1]})
    assert_same(values, [float(cube.data[1, 3, 2]), np.nan])
    assert cube.get_by_coord((lon[:1], lat[:1], 100 * u.TeV), fill_value=-1.0) == -1
    cube.set_by_coord((lon[:1], lat[:1], ENERGY.center[2]), -3)
    assert cube.data[2, 3, 2] == -3
    mask = cube > 5 * u.m**2
    assert mask.get_by_coord((lon[:1], lat[:1], ENERGY.center[1])).dtype == bool
    assert_same(cube.get_by_idx(([1, 2], [0, 0], [0, 1])), host(cube)[[0, 1], [0, 0], [1, 2]])
    assert cube.get_by_coord({"skycoord": SkyCoord(0.1, 0.1, unit="deg").galactic, "energy": "5 TeV"}).shape == (1,)


def test_filling(anywhere):
    cube = anywhere
    cube.data[:] = 0
    cube.fill_by_idx(([1, 1, -1], [2, 2, 2], [0, 0, 0]))
    assert cube.data[0, 2, 1] == 2
    cube.fill_by_pix(([1.2, 99], [2.4, 1], [0, 0]), weights=np.array([0.5, 5]))
    assert cube.data[0, 2, 1] == 2.5
    assert cube.data.sum() == 2.5
    lon, lat = cube.geom.pix_to_lonlat([3.0], [1.0])
    cube.fill_by_coord((lon, lat, ENERGY.center[2:]), weights=[2e4] * u.cm**2)
    assert cube.data[2, 1, 3] == 2


def test_interpolation(anywhere):
    cube = anywhere
    coords = cube.geom.get_coord(sparse=True)
    assert_close(cube.interp_by_coord(coords), cube, rtol=1e-9, atol=1e-9)
    assert_close(cube.interp_by_pix((1.5, 2.0, 1.0)), cube.data[1, 2, 1:3].mean())
    assert cube.interp_by_pix((np.array([9.0]), np.array([0.0]), np.array([0.0])), fill_value=-1) == -1
    assert_close(cube.interp_by_pix((6.0, 0.0, 0.0)), 6.0)
    with pytest.raises(GeometryError, match="no coordinate for axis 'energy'"):
        cube.interp_by_coord({"lon": 0, "lat": 0})


def test_interp_to_geom(anywhere):
    cube = anywhere
    fine = cube.geom.upsample(2)
    assert cube.interp_to_geom(fine, fill_value=None).geom == fine
    counts = cube.copy(data=1.0).interp_to_geom(fine, preserve_counts=True, fill_value=None)
    assert_close(counts, 0.25, rtol=1e-4)
    mask = (cube > 30 * u.m**2).interp_to_geom(fine)
    assert mask.is_mask
    assert mask.data[2].all()
    with pytest.raises(GeometryError, match="first axes must agree"):
        cube.interp_to_geom(cube.geom.rename_axes("energy", "energy_true"), preserve_counts=True)


def test_coadd(anywhere):
    cube = anywhere
    total = Map.from_geom(cube.geom.pad(2), unit="cm2", dtype=float).to_device(cube.backend)
    total.coadd(cube)
    assert_close(total.data.sum(), cube.data.sum() * 1e4)
    assert_close(total.data[:, 2:-2, 2:-2], cube.data * 1e4)
    total.coadd(cube, weights=(cube < 0 * u.m**2))
    assert_close(total.data.sum(), cube.data.sum() * 1e4)


def test_is_allclose(anywhere):
    cube = anywhere
    assert cube.is_allclose(cube.to_unit("cm2"))
    assert not cube.is_allclose(cube.copy(unit="s"))
    assert not cube.is_allclose(cube * 1.1)
    assert not cube.is_allclose(cube.sum_over_axes())
    with pytest.raises(TypeError, match="cannot compare"):
        cube.is_allclose(3)


def test_as_array_and_text(cube):
    assert np.sqrt(cube).shape == (3, 4, 6)
    assert np.asarray(cube).dtype == float
    assert "unit  : m2" in str(cube)
    assert "<table>" in cube._repr_html_()
    assert cube.to_host().data is cube.data
    assert cube.to_device("numpy").data is cube.data


def test_bad_arguments():
    with pytest.raises(TypeError, match="unexpected keyword argument 'coordsys'"):
        Map.create(coordsys="GAL")
    with pytest.raises(GeometryError, match="unknown map_type 'hpx'"):
        Map.create(map_type="hpx")
    with pytest.raises(GeometryError, match="map_type 'wcs'"):
        WcsNDMap.create(map_type="wcs-sparse")
    with pytest.raises(BackendError, match="unknown backend 'tpu'"):
        Map.create(npix=3).to_device("tpu")


def test_no_property_changes_anything(cube):
    before = {key: id(value) for key, value in vars(cube).items()}
    for _ in range(2):
        for name in ("geom", "data", "unit", "quantity", "is_mask", "backend"):
            getattr(cube, name)
    assert {key: id(value) for key, value in vars(cube).items()} == before


def test_pickle_and_deep_copy(anywhere):
    cube = anywhere
    for again in (pickle.loads(pickle.dumps(cube)), copy.deepcopy(cube)):
        assert again.is_allclose(cube)
        assert again.geom == cube.geom
        assert not cube.backend.xp.shares_memory(again.data, cube.data)
        assert again.meta == cube.meta
