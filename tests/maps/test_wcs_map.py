"""WcsNDMap: cutouts, stacking, resampling, padding."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import GeometryError, UnitMismatchError
from gpudl4.maps import Map, MapAxis

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)


@pytest.fixture
def cube():
    m = Map.create(npix=(12, 8), binsz=0.1, axes=[ENERGY], dtype=float, unit="s", frame="galactic")
    m.data = np.arange(192.0).reshape(2, 8, 12)
    return m


def position(cube, x, y):
    return SkyCoord(*cube.geom.pix_to_lonlat(x, y), unit="deg", frame="galactic")


def test_cutout_copies(cube):
    part = cube.cutout(position(cube, 3, 4), 0.3, odd_npix=True)
    np.testing.assert_array_equal(part.data, cube.data[:, 3:6, 2:5])
    assert not np.shares_memory(part.data, cube.data)
    assert part.unit == "s"
    partial = cube.cutout(position(cube, 0, 0), 0.3, mode="partial", odd_npix=True)
    np.testing.assert_array_equal(partial.data[0], [[0, 0, 0], [0, 0, 1], [0, 12, 13]])


@pytest.mark.parametrize("size", [0.2, 0.3])
def test_cutout_of_even_size_lies_where_its_geometry_says(cube, size):
    for x, y in [(3.0, 4.0), (3.4, 4.6), (0.1, 7.0)]:
        part = cube.cutout(position(cube, x, y), size)
        lon, lat = part.geom.pix_to_lonlat(0, 0)
        pix = [round(float(p)) for p in cube.geom.lonlat_to_pix(lon, lat)]
        assert part.data[0, 0, 0] == cube.data[0, pix[1], pix[0]]


def test_stack_of_a_cutout(cube):
    total = Map.from_geom(cube.geom, unit="h", dtype=float)
    for mode in ("trim", "partial"):
        part = cube.cutout(position(cube, 0, 7), 0.4, mode=mode)
        total.stack(part)
    assert (total.data > 0).sum() == (total.data != 0).sum() > 0
    mask = total.data > 0
    np.testing.assert_allclose(total.data[mask], 2 * cube.data[mask] / 3600)


def test_stack_on_a_larger_map_and_off_it(cube):
    total = Map.from_geom(cube.geom.pad(3), unit="s", dtype=float)
    total.stack(cube)
    np.testing.assert_array_equal(total.data[:, 3:-3, 3:-3], cube.data)
    small = Map.from_geom(cube.geom.crop((4, 3)), unit="s", dtype=float)
    small.stack(cube)
    np.testing.assert_array_equal(small.data, cube.data[:, 3:-3, 4:-4])
    with pytest.raises(GeometryError, match="do not overlap"):
        cube.cutout(position(cube, 0, 0), 0.3).stack(cube.cutout(position(cube, 11, 7), 0.3))


def test_stack_weights_and_nan(cube):
    total = Map.from_geom(cube.geom, unit="s", dtype="float32")
    cube.data[0, 0, 0] = np.nan
    weights = Map.from_geom(cube.geom.to_image(), data=np.indices((8, 12))[1] < 6)
    total.stack(cube, weights=weights)
    assert total.data[0, 0, 0] == 0
    assert (total.data[..., 6:] == 0).all()
    np.testing.assert_array_equal(total.data[1, :, :6], cube.data[1, :, :6])
    assert total.data.dtype == np.float32
    total.stack(cube, nan_to_num=False)
    assert np.isnan(total.data[0, 0, 0])
    with pytest.raises(GeometryError, match="Incompatible spatial geoms between map and weights"):
        total.stack(cube, weights=weights.crop(1))


def test_stack_of_masks_and_counts(cube):
    counts = cube.copy(data=np.ones(cube.data.shape, dtype=int), unit="")
    total = counts.copy()
    total.stack(counts, weights=counts.copy(data=np.full(cube.data.shape, 0.5)))
    assert total.data.dtype == np.int64


def test_stack_errors(cube):
    other = Map.create(npix=(12, 8), binsz=0.11, axes=[ENERGY], frame="galactic", unit="s")
    with pytest.raises(GeometryError, match="Can only stack equivalent maps or cutout of the same map"):
        cube.stack(other)
    with pytest.raises(GeometryError, match="Can only stack"):
        cube.stack(cube.rename_axes("energy", "energy_true"))
    with pytest.raises(UnitMismatchError, match="map to stack has unit 'm'"):
        cube.stack(cube.copy(unit="m"))


def test_downsample(cube):
    small = cube.downsample(2)
    assert small.data.shape == (2, 4, 6)
    np.testing.assert_allclose(small.data.sum(), cube.data.sum())
    assert cube.downsample(1) is cube
    mean = cube.downsample(4, preserve_counts=False)
    np.testing.assert_allclose(mean.data[0, 0, 0], cube.data[0, :4, :4].mean())
    weights = cube.copy(data=np.zeros(cube.data.shape))
    assert cube.downsample(4, preserve_counts=False, weights=weights).data.max() == 0
    np.testing.assert_allclose(cube.downsample(2, axis_name="energy").data[0], cube.data.sum(axis=0))
    with pytest.raises(GeometryError, match="not divisible by 5"):
        cube.downsample(5)


def test_upsample(cube):
    fine = cube.upsample(3)
    np.testing.assert_allclose(fine.downsample(3).data, cube.data, rtol=1e-6)
    assert (cube.upsample(2, preserve_counts=False).data[:, ::2, ::2] == cube.data).all()
    assert cube.upsample(1) is cube
    smooth = cube.upsample(2, order=1, preserve_counts=False)
    np.testing.assert_allclose(np.diff(smooth.data[0, 6, 4:-4]), 0.5)


def test_pad_and_crop(cube):
    padded = cube.pad((2, 1), cval=5)
    assert padded.data.shape == (2, 10, 16)
    assert padded.data[0, 0, 0] == 5
    assert padded.crop((2, 1)).is_allclose(cube)
    edge = cube.pad(1, mode="edge")
    assert edge.data[0, 0, 0] == cube.data[0, 0, 0]
    beyond = cube.pad(1, mode="interp")
    np.testing.assert_allclose(beyond.data[0, 1:-1, 0], cube.data[0, :, 0] - 1, atol=1e-6)
    assert cube.crop("0.2 deg").data.shape == (2, 4, 8)
    assert cube.crop([0.1, 0.2] * u.deg).data.shape == (2, 4, 10)
    with pytest.raises(GeometryError, match="unknown pad mode"):
        cube.pad(1, mode="wrap")


def test_nearest_position_in_a_mask(cube):
    mask = Map.from_geom(cube.geom.to_image(), data=False)
    mask.data[2, 3] = mask.data[7, 11] = True
    found = mask.mask_nearest_position(position(cube, 1, 1))
    assert found.separation(position(cube, 3, 2)).deg < 1e-9
    with pytest.raises(GeometryError, match="boolean image"):
        cube.mask_nearest_position(found)
    mask.data[:] = False
    with pytest.raises(GeometryError, match="no pixel that is True"):
        mask.mask_nearest_position(found)
