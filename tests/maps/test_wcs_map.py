"""WcsNDMap: cutouts, stacking, resampling, padding, on each backend."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import GeometryError, UnitMismatchError
from gpudl4.maps import Map, MapAxis
from tests.arrays import assert_close, assert_same, host

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)


@pytest.fixture
def cube(backend):
    m = Map.create(npix=(12, 8), binsz=0.1, axes=[ENERGY], dtype=float, unit="s", frame="galactic")
    m.data = np.arange(192.0).reshape(2, 8, 12)
    return m.to_device(backend)


def made(cube, geom, **options):
    """Map on the backend of the cube."""
    return Map.from_geom(geom, **options).to_device(cube.backend)


def position(cube, x, y):
    return SkyCoord(*cube.geom.pix_to_lonlat(x, y), unit="deg", frame="galactic")


def test_cutout_copies(cube):
    part = cube.cutout(position(cube, 3, 4), 0.3, odd_npix=True)
    assert_same(part.data, cube.data[:, 3:6, 2:5])
    assert not cube.backend.xp.shares_memory(part.data, cube.data)
    assert part.unit == "s"
    partial = cube.cutout(position(cube, 0, 0), 0.3, mode="partial", odd_npix=True)
    assert_same(partial.data[0], [[0, 0, 0], [0, 0, 1], [0, 12, 13]])


@pytest.mark.parametrize("size", [0.2, 0.3])
def test_cutout_of_even_size_lies_where_its_geometry_says(cube, size):
    for x, y in [(3.0, 4.0), (3.4, 4.6), (0.1, 7.0)]:
        part = cube.cutout(position(cube, x, y), size)
        lon, lat = part.geom.pix_to_lonlat(0, 0)
        pix = [round(float(p)) for p in cube.geom.lonlat_to_pix(lon, lat)]
        assert part.data[0, 0, 0] == cube.data[0, pix[1], pix[0]]


def test_stack_of_a_cutout(cube):
    total = made(cube, cube.geom, unit="h", dtype=float)
    for mode in ("trim", "partial"):
        part = cube.cutout(position(cube, 0, 7), 0.4, mode=mode)
        total.stack(part)
    assert (total.data > 0).sum() == (total.data != 0).sum() > 0
    mask = total.data > 0
    assert_close(total.data[mask], 2 * cube.data[mask] / 3600)


def test_stack_on_a_larger_map_and_off_it(cube):
    total = made(cube, cube.geom.pad(3), unit="s", dtype=float)
    total.stack(cube)
    assert_same(total.data[:, 3:-3, 3:-3], cube.data)
    small = made(cube, cube.geom.crop((4, 3)), unit="s", dtype=float)
    small.stack(cube)
    assert_same(small.data, cube.data[:, 3:-3, 4:-4])
    with pytest.raises(GeometryError, match="do not overlap"):
        cube.cutout(position(cube, 0, 0), 0.3).stack(cube.cutout(position(cube, 11, 7), 0.3))


def test_stack_weights_and_nan(cube):
    total = made(cube, cube.geom, unit="s", dtype="float32")
    cube.data[0, 0, 0] = np.nan
    weights = made(cube, cube.geom.to_image(), data=np.indices((8, 12))[1] < 6)
    total.stack(cube, weights=weights)
    assert total.data[0, 0, 0] == 0
    assert (total.data[..., 6:] == 0).all()
    assert_same(total.data[1, :, :6], cube.data[1, :, :6])
    assert total.data.dtype == np.float32
    total.stack(cube, nan_to_num=False)
    assert np.isnan(total.data[0, 0, 0])
    with pytest.raises(GeometryError, match="Incompatible spatial geoms between map and weights"):
        total.stack(cube, weights=weights.crop(1))


def test_stack_of_masks_and_counts(cube):
    counts = cube.copy(data=1, unit="")
    total = counts.copy()
    total.stack(counts, weights=counts.copy(data=0.5))
    assert total.data.dtype == float  # a sum of integers and halves
    assert total.data.min() == total.data.max() == 1.5
    total = counts.copy()
    total.stack(counts, weights=counts > 0)
    assert total.data.dtype == np.int64
    assert total.data.min() == total.data.max() == 2


def test_stack_errors(cube):
    other = Map.create(npix=(12, 8), binsz=0.11, axes=[ENERGY], frame="galactic", unit="s").to_device(cube.backend)
    with pytest.raises(GeometryError, match="Can only stack equivalent maps or cutout of the same map"):
        cube.stack(other)
    with pytest.raises(GeometryError, match="Can only stack"):
        cube.stack(cube.rename_axes("energy", "energy_true"))
    with pytest.raises(UnitMismatchError, match="map to stack has unit 'm'"):
        cube.stack(cube.copy(unit="m"))


def test_downsample(cube):
    small = cube.downsample(2)
    assert small.data.shape == (2, 4, 6)
    assert_close(small.data.sum(), cube.data.sum())
    assert cube.downsample(1) is cube
    mean = cube.downsample(4, preserve_counts=False)
    assert_close(mean.data[0, 0, 0], cube.data[0, :4, :4].mean())
    weights = cube.copy(data=0.0)
    assert cube.downsample(4, preserve_counts=False, weights=weights).data.max() == 0
    assert_close(cube.downsample(2, axis_name="energy").data[0], cube.data.sum(axis=0))
    with pytest.raises(GeometryError, match="not divisible by 5"):
        cube.downsample(5)


def test_upsample(cube):
    fine = cube.upsample(3)
    assert_close(fine.downsample(3).data, cube.data, rtol=1e-6)
    assert (cube.upsample(2, preserve_counts=False).data[:, ::2, ::2] == cube.data).all()
    assert cube.upsample(1) is cube
    smooth = cube.upsample(2, order=1, preserve_counts=False)
    assert_close(np.diff(host(smooth)[0, 6, 4:-4]), 0.5)


def test_pad_and_crop(cube):
    padded = cube.pad((2, 1), cval=5)
    assert padded.data.shape == (2, 10, 16)
    assert padded.data[0, 0, 0] == 5
    assert padded.crop((2, 1)).is_allclose(cube)
    edge = cube.pad(1, mode="edge")
    assert edge.data[0, 0, 0] == cube.data[0, 0, 0]
    beyond = cube.pad(1, mode="interp")
    assert_close(beyond.data[0, 1:-1, 0], cube.data[0, :, 0] - 1, atol=1e-6)
    assert cube.crop("0.2 deg").data.shape == (2, 4, 8)
    assert cube.crop([0.1, 0.2] * u.deg).data.shape == (2, 4, 10)
    with pytest.raises(GeometryError, match="unknown pad mode"):
        cube.pad(1, mode="wrap")


def test_nearest_position_in_a_mask(cube):
    mask = made(cube, cube.geom.to_image(), data=False)
    mask.data[2, 3] = mask.data[7, 11] = True
    found = mask.mask_nearest_position(position(cube, 1, 1))
    assert found.separation(position(cube, 3, 2)).deg < 1e-9
    with pytest.raises(GeometryError, match="boolean image"):
        cube.mask_nearest_position(found)
    mask.data[:] = False
    with pytest.raises(GeometryError, match="no pixel that is True"):
        mask.mask_nearest_position(found)
