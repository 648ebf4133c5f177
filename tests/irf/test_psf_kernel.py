"""The kernel array against a plain NumPy oracle, and the PSFKernel object."""

import astropy.units as u
import numpy as np
import pytest

from gpudl4 import kernels
from gpudl4.core.errors import GeometryError
from gpudl4.irf import PSFKernel, PSFMap, psf_kernel_array
from gpudl4.irf.psf_column import PSFColumn
from gpudl4.irf.psf_kernel import odd_npix
from gpudl4.kernels._numba import dispatcher
from gpudl4.maps import Map, MapAxis, RegionGeom, WcsGeom

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=4, name="energy_true")
RAD_AXES = {
    "edges": MapAxis.from_bounds(0, 0.66, nbin=66, unit="deg", name="rad"),
    "unequal edges": MapAxis.from_edges(np.linspace(0, 0.8, 40) ** 2, unit="deg", name="rad"),
    "nodes": MapAxis.from_nodes(np.linspace(0, 0.8, 40) ** 2, unit="deg", name="rad"),
    "log nodes": MapAxis.from_nodes(np.geomspace(1e-3, 0.7, 60), unit="deg", name="rad", interp="log"),
    "radian": MapAxis.from_bounds(0, 0.012, nbin=80, unit="rad", name="rad"),
}


def column_of(rad_axis, sigma=(0.1, 0.03, 0.07, 0.012)):
    psf = PSFMap.from_gauss(ENERGY, rad_axis, sigma * u.deg, geom=RegionGeom.create(None))
    return PSFColumn.from_map(psf.psf_map, "energy_true", 0.0, 0.0)


def oracle(column, geom, containment=0.999):
    """Every step one after the other, on geometries, with no shared work."""
    energies, rad_axis = geom.axes["energy_true"].center, column.rad_axis
    scale = geom.pixel_scales.max().to_value("deg")
    radius, radius_68 = column.containment_radius([containment, 0.68], energies)
    to_deg = rad_axis.unit.to("deg")
    geom = geom.to_odd_npix(max_radius=radius.max() * to_deg * u.deg)
    kernel = np.zeros(geom.data_shape)
    centre = kernel.shape[-1] // 2
    values = column.values[:, :, 0, 0]
    for plane, (r, r68) in enumerate(zip(radius * to_deg, radius_68 * to_deg, strict=True)):
        factor = int(min(np.ceil(12 / (2 * r68 / scale)), 4))
        half = int(np.ceil(2 * r / scale)) // 2
        cut = geom.to_image().to_odd_npix(max_radius=r * u.deg)
        separation = cut.upsample(factor).separation(geom.center_skydir)
        pixel = rad_axis.coord_to_pix(separation).reshape(separation.shape)
        low = np.clip(np.floor(pixel), 0, rad_axis.nbin - 2).astype(int)
        image = values[plane, low] * (1 - (pixel - low)) + values[plane, low + 1] * (pixel - low)
        image = np.clip(image, 0, None).reshape(2 * half + 1, factor, 2 * half + 1, factor).sum(axis=(1, 3))
        kernel[plane, centre - half : centre + half + 1, centre - half : centre + half + 1] = image / image.sum()
    return kernel


# on a log axis the separation of the central sub-pixel, which only the analytic projections give as an exact zero, would matter
CASES = [(axis, proj) for proj in ("CAR", "TAN", "SIN", "AIT") for axis in RAD_AXES if axis != "log nodes" or proj in ("CAR", "TAN")]


@pytest.mark.parametrize(("axis", "projection"), CASES)
def test_array_against_the_oracle(axis, projection):
    geom = WcsGeom.create(skydir=(83.6, 22.0), binsz=0.04, width=2, proj=projection, axes=[ENERGY])
    column = column_of(RAD_AXES[axis])
    kernel = psf_kernel_array(column, ENERGY.center, 0.04, projection=projection)
    expected = oracle(column, geom)
    assert kernel.shape == expected.shape
    assert np.abs(kernel - expected).max() < 1e-9 * expected.max()


def test_options():
    column = column_of(RAD_AXES["edges"])
    default = psf_kernel_array(column, ENERGY.center, 0.02)
    small = psf_kernel_array(column, ENERGY.center, 0.02, max_radius=0.1 * u.deg)
    assert small.shape == (4, 11, 11)
    assert small.sum(axis=(1, 2)) == pytest.approx(1)
    large = psf_kernel_array(column, ENERGY.center, 0.02, max_radius="1 deg")
    assert large.shape == (4, 101, 101)
    margin = (101 - default.shape[1]) // 2
    assert large[:, margin:-margin, margin:-margin] == pytest.approx(default)
    assert psf_kernel_array(column, ENERGY.center, 0.02, containment=0.9).shape[1] < default.shape[1]
    plain = psf_kernel_array(column, ENERGY.center, 0.02, precision_factor=1e-3)
    assert np.abs(plain - default).max() > 1e-3


@pytest.mark.parametrize(("radius", "expected"), [(0.0, 1), (0.009, 1), (0.0099, 1), (0.0101, 3), (0.02, 3), (0.1, 11), (0.1101, 13)])
def test_odd_npix(radius, expected):
    assert odd_npix(radius, 0.02) == expected


def test_twin_treats_negative_values_as_zero():
    twin = kernels.cpu("psf_kernel")
    kernel = np.zeros((1, 3, 3))
    separation = np.array([[0.0, 1.0], [1.0, 1.4]])
    twin.profile_to_pixels(separation, np.array([0.0, 1.0]), np.array([[1.0, 0.25]]), np.array([0]), np.array([1]), 1, True, kernel)
    assert kernel[0] == pytest.approx(np.array([[0, 0.25, 0], [0.25, 1, 0.25], [0, 0.25, 0]]))
    twin.normalise_planes(kernel)
    assert kernel.sum() == pytest.approx(1)
    empty = np.zeros((1, 3, 3))
    twin.normalise_planes(empty)
    assert not empty.any()
    hardly = np.full((1, 3, 3), 1e-320)  # the inverse of such a sum is infinite
    twin.normalise_planes(hardly)
    assert not hardly.any()


@pytest.mark.parametrize("seed", range(12))
def test_containment_radii_that_are_left_out_could_not_be_chosen(seed):
    """All fine radii looked at one by one give the same index, also where the PSF is negative or the axes are left."""
    rng, twin = np.random.default_rng(seed), kernels.cpu("psf_kernel")
    n_energy, n_rad, ny, nx = rng.integers(1, 4), rng.integers(2, 12), *rng.integers(1, 3, size=2)
    steps = rng.random((n_energy, n_rad, ny, nx)) * (rng.random((n_energy, n_rad, ny, nx)) > 0.4)
    if seed % 3 == 0:
        steps *= rng.choice([-1, 1], size=steps.shape)
    cumulative = np.cumsum(steps, axis=1)
    cumulative /= max(np.abs(cumulative).max(), 1e-3)
    energy_low, energy_weight = rng.integers(-1, max(n_energy - 1, 1), size=9), rng.uniform(-0.2, 1.2, size=9)
    pixel = np.linspace(-1, n_rad, 20 * n_rad)
    rad_low = np.clip(np.floor(pixel), 0, n_rad - 2).astype(np.int64)
    rad_weight = pixel - rad_low
    rad_low[(pixel < -0.5) | (pixel > n_rad - 0.5)] = -1
    lat, lon, fractions = *rng.random(2), np.array([0.999, 0.68, 0.1])
    index, containment = np.empty((3, 9), dtype=np.int64), dispatcher(twin._containment)
    twin.containment_radius_index(cumulative, energy_low, energy_weight, lat, lon, rad_low, rad_weight, 1.0, fractions, index)
    for p in range(9):
        known = (rad_low >= 0) & (energy_low[p] >= 0)
        value = np.zeros(pixel.size)
        for m in np.flatnonzero(known):
            value[m] = containment(cumulative, energy_low[p], energy_weight[p], lat, lon, rad_low[m], rad_weight[m])
        np.testing.assert_array_equal(index[:, p], np.abs(value - fractions[:, np.newaxis]).argmin(axis=1))


def test_kernel_object():
    geom = WcsGeom.create(npix=5, binsz=0.1, axes=[ENERGY])
    data = np.arange(100.0).reshape(4, 5, 5)
    data[2] = 0
    kernel = PSFKernel(Map.from_geom(geom, data=data))
    assert kernel.data.sum(axis=(1, 2)) == pytest.approx([1, 1, 0, 1])
    assert kernel.psf_kernel_map.geom == geom
    assert kernel.psf_kernel_map.data is kernel.data
    assert kernel.width.value == pytest.approx([0.5, 0.5])
    assert np.array_equal(PSFKernel(Map.from_geom(geom, data=data), normalize=False).data, data)
    assert kernel.slice_by_idx({"energy_true": slice(0, 2)}).data.shape == (2, 5, 5)
    assert "shape : (4, 5, 5)" in str(kernel)
    assert kernel._repr_html_().startswith("<pre>")
    with pytest.raises(GeometryError, match="WCS geometry"):
        PSFKernel(Map.from_geom(RegionGeom.create(None, axes=[ENERGY])))


def test_file_round_trip(tmp_path):
    geom = WcsGeom.create(npix=51, binsz=0.02, axes=[ENERGY])
    kernel = PSFKernel.from_gauss(geom, 0.1 * u.deg)
    kernel.write(tmp_path / "kernel.fits")
    assert PSFKernel.read(tmp_path / "kernel.fits").data == pytest.approx(kernel.data, abs=1e-12)


def test_from_gauss():
    geom = WcsGeom.create(npix=51, binsz=0.02, axes=[ENERGY])
    kernel = PSFKernel.from_gauss(geom, 0.1 * u.deg)
    assert kernel.data.shape == (4, 51, 51)
    assert np.ptp(kernel.data, axis=0).max() == 0
    offset = (np.arange(51) - 25) * 0.02
    assert np.sqrt((kernel.data[0].sum(axis=0) * offset**2).sum()) == pytest.approx(0.1, rel=2e-3)


def test_to_image():
    geom = WcsGeom.create(npix=21, binsz=0.02, axes=[ENERGY])
    kernel = PSFKernel(
        Map.from_geom(geom, data=psf_kernel_array(column_of(RAD_AXES["edges"]), ENERGY.center, 0.02, max_radius=0.2 * u.deg))
    )
    edges = ENERGY.edges.value
    weights = 1 / edges[:-1] - 1 / edges[1:]
    expected = np.tensordot(weights / weights.sum(), kernel.data, axes=1)
    image = kernel.to_image()
    assert image.data.shape == (1, 21, 21)
    assert image.data[0] == pytest.approx(expected)
    assert kernel.to_image(keepdims=False).data == pytest.approx(expected)
    one = kernel.to_image(exposure=[0, 0, 1, 0] * u.m**2 * u.s)
    assert one.data[0] == pytest.approx(kernel.data[2])
    with pytest.raises(GeometryError, match=r"exposure has shape \(2,\); one value per energy is wanted, \(4,\)"):
        kernel.to_image(exposure=[1, 2])
    with pytest.raises(GeometryError, match="no energy axis"):
        kernel.to_image(keepdims=False).to_image()
