"""The product of a map with a matrix along an axis."""

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import BackendError, GeometryError
from gpudl4.maps import Map, MapAxis, RegionNDMap
from tests.arrays import assert_close

TRUE = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3, name="energy_true")
ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
RAD = MapAxis.from_bounds(0, 1, 4, name="rad", unit="deg")


def pair(backend, axes, other, unit="s"):
    rng = np.random.default_rng(0)
    m = Map.create(npix=(3, 2), axes=axes, dtype=float, unit=unit)
    m.data = rng.uniform(size=m.data.shape)
    matrix = RegionNDMap.create(None, axes=other, dtype=float)
    matrix.data = rng.uniform(size=matrix.data.shape)
    return m.to_device(backend), matrix.to_device(backend)


def test_folding_with_energy_dispersion(backend):
    m, matrix = pair(backend, [TRUE], [ENERGY, TRUE])
    out = m.dot(matrix)
    assert out.geom.axes.names == ["energy"]
    assert out.backend == backend
    wanted = np.einsum("tyx,te->eyx", m.to_host().data, matrix.to_host().data[..., 0, 0])
    assert_close(out, wanted)
    assert_close(m @ matrix, wanted)


def test_the_new_axes_stand_where_the_common_one_stood(backend):
    m, matrix = pair(backend, [RAD, TRUE], [ENERGY, RAD, MapAxis.from_edges([0, 1, 2, 3, 4, 5], name="x")])
    out = m.dot(matrix)
    assert out.geom.axes.names == ["energy", "x", "energy_true"]
    assert_close(out, np.einsum("tryx,nre->tneyx", m.to_host().data, matrix.to_host().data[..., 0, 0]))
    only = matrix.slice_by_idx({"energy": 0, "x": 0})
    assert_close(m.dot(only), np.einsum("tryx,r->tyx", m.to_host().data, only.to_host().data[..., 0, 0]))


def test_units_multiply(backend):
    m, matrix = pair(backend, [TRUE], [ENERGY, TRUE])
    assert m.dot(matrix.copy(unit="m")).unit == u.s * u.m


def test_maps_that_do_not_fit(backend):
    m, matrix = pair(backend, [RAD, TRUE], [ENERGY, TRUE])
    with pytest.raises(TypeError, match="RegionNDMap, got: WcsNDMap"):
        m.dot(m)
    with pytest.raises(GeometryError, match="one axis in common"):
        m.dot(matrix.rename_axes("energy_true", "other"))
    with pytest.raises(GeometryError, match="one axis in common"):
        m.dot(RegionNDMap.create(None, axes=[RAD, TRUE]).to_device(backend))
    with pytest.raises(GeometryError, match="bins of axis 'energy_true' differ"):
        m.dot(matrix.pad(1, axis_name="energy_true"))


def test_backends_are_not_mixed(device):
    m, matrix = pair(device, [TRUE], [ENERGY, TRUE])
    with pytest.raises(BackendError, match="different devices"):
        m.dot(matrix.to_host())
