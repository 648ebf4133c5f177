"""Operations of sky maps that leave their pixels, or join maps, against gammapy, on every backend."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from regions import (
    CircleAnnulusSkyRegion,
    CirclePixelRegion,
    CircleSkyRegion,
    PixCoord,
    PointPixelRegion,
    PointSkyRegion,
    RectangleSkyRegion,
)

import gpudl4.maps as ours
from gpudl4.core.backend import to_host

peer = pytest.importorskip("gammapy.maps")
pytestmark = pytest.mark.peer

CENTER = SkyCoord(0.3, -0.1, unit="deg", frame="galactic")
REGIONS = {
    "circle": CircleSkyRegion(CENTER, 0.43 * u.deg),
    "annulus": CircleAnnulusSkyRegion(CENTER.icrs, 0.2 * u.deg, 0.5 * u.deg),
    "rectangle": RectangleSkyRegion(SkyCoord(0.1, 0.2, unit="deg", frame="galactic"), 0.5 * u.deg, 0.3 * u.deg, 40 * u.deg),
    "at-the-border": CircleSkyRegion(SkyCoord(1.3, 0.5, unit="deg", frame="galactic"), 0.43 * u.deg),
    "point": PointSkyRegion(CENTER),
}


def close(a, b, rtol=1e-12, atol=1e-12):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def cubes(backend=None, dtype=float, unit="m2", axes=True, seed=0, **options):
    """The same random map from both packages, ours on a backend."""
    options = {"skydir": CENTER, "npix": (24, 18), "binsz": 0.1, "frame": "galactic"} | options
    out = []
    for package in (peer, ours):
        rad = package.MapAxis.from_bounds(0, 3, 2, name="rad", unit="deg")
        energy = package.MapAxis.from_energy_bounds("0.5 TeV", "50 TeV", 4)
        geom = package.WcsGeom.create(axes=[rad, energy] if axes else None, **options)
        data = np.random.default_rng(seed).uniform(0, 10, geom.data_shape).astype(dtype)
        out.append(package.Map.from_geom(geom, data=data, unit=unit))
    return out[0], out[1] if backend is None else out[1].to_device(backend)


def same(a, b, rtol=1e-12, dtype=True):
    """Assert that a map of gammapy and one of ours agree in geometry, type, unit and values."""
    data = to_host(b.data)
    assert type(a).__name__ == type(b).__name__
    assert a.geom.axes.names == b.geom.axes.names
    for x, y in zip(a.geom.axes, b.geom.axes, strict=True):
        close(x.edges.to_value(y.unit), y.edges.value)
        assert (x.interp, x.node_type) == (y.interp, y.node_type)
    assert a.unit == b.unit or b.is_mask
    assert not dtype or a.data.dtype == data.dtype
    close(a.data, data, rtol=rtol)
    if not b.geom.is_region:
        assert a.geom.wcs.wcs.compare(b.geom.wcs.wcs, cmp=1, tolerance=1e-9)


TARGETS = {
    "finer": {"skydir": CENTER, "npix": (31, 17), "binsz": 0.07, "frame": "galactic", "proj": "TAN"},
    "coarser": {"skydir": CENTER.icrs, "npix": (8, 9), "binsz": 0.23, "frame": "icrs"},
    "shifted": {"skydir": SkyCoord(1, 0.5, unit="deg", frame="galactic"), "npix": (14, 19), "binsz": 0.1, "frame": "galactic"},
}


def target(package, name, axes=None):
    if name == "region":
        return package.RegionGeom.create(REGIONS["circle"], axes=axes)
    return package.WcsGeom.create(axes=axes, **TARGETS[name])


@pytest.mark.parametrize("name", [*TARGETS, "region"])
@pytest.mark.parametrize("preserve_counts", [True, False])
class TestOtherPixels:
    def test_resample(self, name, preserve_counts, backend):
        a, b = cubes(backend)
        x, y = (m.resample(target(p, name, m.geom.axes), preserve_counts=preserve_counts) for p, m in ((peer, a), (ours, b)))
        same(x, y, rtol=1e-6, dtype=False)  # gammapy's are float32
        assert y.backend == backend

    def test_reproject(self, name, preserve_counts, backend):
        a, b = cubes(backend)
        x, y = (m.reproject_to_geom(target(p, name), preserve_counts, precision_factor=4) for p, m in ((peer, a), (ours, b)))
        same(x, y, rtol=2e-6, dtype=False)
        if name != "region":
            a, b = cubes(backend, axes=False)
            axis = [p.MapAxis.from_energy_bounds("0.5 TeV", "50 TeV", 1) for p in (peer, ours)]
            x, y = (
                m.to_cube([ax]).reproject_by_image(target(p, name), preserve_counts, precision_factor=3)
                for p, m, ax in zip((peer, ours), (a, b), axis, strict=True)
            )
            close(x.data, to_host(y.data), rtol=2e-6)
            assert y.unit == "m2"  # gammapy loses it


def test_resample_with_weights(backend):
    a, b = cubes(backend)
    weights = np.random.default_rng(3).uniform(size=a.data.shape)
    x = a.resample(target(peer, "coarser", a.geom.axes), weights=weights)
    y = b.resample(target(ours, "coarser", b.geom.axes), weights=ours.Map.from_geom(b.geom, data=weights).to_device(backend))
    same(x, y, rtol=1e-6, dtype=False)


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("frame", ["galactic", "icrs"])
def test_sample_coord(seed, frame, backend):
    a, b = cubes(backend, frame=frame)
    x, y = (m.sample_coord(200, random_state=seed) for m in (a, b))
    assert (x.axis_names, x.frame) == (y.axis_names, y.frame)
    for name in x.axis_names:
        close(u.Quantity(x[name]).value, u.Quantity(y[name]).value, rtol=1e-10)


@pytest.mark.parametrize("dtype", [float, "float32"])
@pytest.mark.parametrize("extra", [0, 1, 2])
@pytest.mark.parametrize("name", ["rad", "energy"])
def test_dot(name, extra, dtype, backend):
    a, b = cubes(backend, dtype=dtype)
    out = []
    for p, m in ((peer, a), (ours, b)):
        axes = [m.geom.axes[name]]
        if extra:
            axes.append(p.MapAxis.from_edges([0, 1, 2, 3.0], name="x"))
        if extra == 2:
            axes.insert(0, p.MapAxis.from_edges([0, 1, 2.0], name="y"))
        matrix = p.RegionNDMap.create(None, axes=axes, dtype=dtype)
        matrix.data = np.random.default_rng(4).uniform(size=matrix.data.shape).astype(dtype)
        matrix = matrix if p is peer else matrix.to_device(backend)
        out.append((m.dot(matrix), m @ matrix))
    for x, y in zip(*out, strict=True):
        same(x, y, rtol=1e-12 if dtype is float else 1e-6)
    assert out[1][0].backend == backend


@pytest.mark.parametrize("name", REGIONS)
class TestRegions:
    def test_cutout_and_mask(self, name, backend):
        a, b = cubes(backend)
        (x, mask), (y, our_mask) = (m.cutout_and_mask_region(REGIONS[name]) for m in (a, b))
        same(x, y)
        np.testing.assert_array_equal(mask.data, to_host(our_mask.data))

    @pytest.mark.parametrize("func", [np.nansum, np.mean, np.max, np.median])
    def test_to_region_nd_map(self, name, func, backend):
        a, b = cubes(backend, dtype="float32")
        x, y = (m.to_region_nd_map(REGIONS[name], func=func) for m in (a, b))
        same(x, y, rtol=1e-6)
        for weight in (lambda m: m > 3 * u.m**2, lambda m: m / (7 * u.m**2)):
            x, y = (m.to_region_nd_map(REGIONS[name], func=np.nansum, weights=weight(m)) for m in (a, b))
            same(x, y, rtol=1e-6)

    def test_mask_contains_region(self, name, backend):
        a, b = cubes(backend, axes=False)
        for threshold in (0, 5, 9.9, 20):
            masks = [m > threshold * u.m**2 for m in (a, b)]
            assert bool(masks[0].mask_contains_region(REGIONS[name])) == masks[1].mask_contains_region(REGIONS[name])

    def test_histogram(self, name, backend):
        a, b = cubes(backend)
        if name == "point":
            return  # refused
        for density in (True, False):
            x, y = (m.to_region_nd_map_histogram(REGIONS[name], density=density) for m in (a, b))
            same(x, y)
            x, y = (
                m.to_region_nd_map_histogram(
                    REGIONS[name], bins_axis=p.MapAxis.from_edges([1e4, 2e4, 5e4], unit="cm2", name="value"), density=density
                )
                for p, m in ((peer, a), (ours, b))
            )
            same(x, y)

    def test_region_mask(self, name):
        a, b = cubes()
        x, y = (m.geom.to_image().region_mask(REGIONS[name], inside=False) for m in (a, b))
        np.testing.assert_array_equal(x.data, y.data)
        x, y = (m.geom.to_image().region_weights([REGIONS[name]], oversampling_factor=5) for m in (a, b))
        close(x.data, y.data)


def test_mask_contains_pixel_regions(backend):
    a, b = (m > 5 * u.m**2 for m in cubes(backend, axes=False))
    for region in (CirclePixelRegion(PixCoord(7.2, 9.3), 3.1), CirclePixelRegion(PixCoord(7.5, 9.5), 0.6)):
        assert bool(a.mask_contains_region(region)) == b.mask_contains_region(region)
    for x, y in [(3, 4), (3.4, 4.6), (11.2, 9.9), (0, 0), (23.2, 17.1)]:
        point = PointPixelRegion(PixCoord(x, y))
        assert bool(a.mask_contains_region(point)) == b.mask_contains_region(point)
    assert not b.mask_contains_region(PointPixelRegion(PixCoord(100, 100)))


def test_histogram_of_the_map_and_with_nan(backend):
    a, b = cubes(backend, unit="")
    same(*(m.to_region_nd_map_histogram(nbin=7) for m in (a, b)))
    a.data[0, 0, 3, 3], b.data[0, 0, 3, 3] = np.nan, np.nan
    bins = [p.MapAxis.from_edges([0, 5, 10], name="value") for p in (peer, ours)]
    same(*(m.to_region_nd_map_histogram(bins_axis=axis) for m, axis in zip((a, b), bins, strict=True)))


OPERATIONS = {
    "cumsum": lambda p, m: m.cumsum("energy"),
    "cumsum-rad": lambda p, m: m.cumsum("rad"),
    "reduce": lambda p, m: m.reduce("energy", func=np.multiply),
    "reduce-weights": lambda p, m: m.reduce("energy", weights=m > 3 * u.m**2),
    "reduce-all": lambda p, m: (m > 1 * u.m**2).reduce_over_axes(func=np.logical_and, axes_names=["rad"], keepdims=True),
    "reduce-xor": lambda p, m: (m > 1 * u.m**2).reduce_over_axes(func=np.logical_or, keepdims=False),
    "pad-constant": lambda p, m: m.pad((2, 1)),  # gammapy pads with 0 whatever the mode
    "pad-axis": lambda p, m: m.pad((1, 2), axis_name="energy", mode="edge"),
    "pad-rad": lambda p, m: m.pad(1, axis_name="energy", cval=2),
    "crop": lambda p, m: m.crop((2, 3)),
    "crop-angle": lambda p, m: m.crop(0.21 * u.deg),
    "upsample-linear": lambda p, m: m.upsample(2, order=1, preserve_counts=False),
    "upsample-axis-linear": lambda p, m: m.upsample(2, order=1, axis_name="energy"),
    "downsample-weights": lambda p, m: m.downsample(3, preserve_counts=False, weights=m > 3 * u.m**2),
    "downsample-factors": lambda p, m: m.downsample(2, weights=m / (7 * u.m**2)),
    "downsample-rad": lambda p, m: m.downsample(2, axis_name="rad", preserve_counts=False),
    "resample": lambda p, m: m.resample_axis(p.MapAxis.from_energy_edges([0.5, 5, 50] * u.TeV)),
    "resample-part": lambda p, m: m.resample_axis(p.MapAxis.from_energy_edges([1.6, 15] * u.TeV)),
    "resample-weights": lambda p, m: m.resample_axis(p.MapAxis.from_energy_edges([0.5, 5, 50] * u.TeV), weights=m > 3 * u.m**2),
    "resample-mask": lambda p, m: (m > 9 * u.m**2).resample_axis(p.MapAxis.from_energy_edges([0.5, 5, 50] * u.TeV), ufunc=np.logical_or),
    "rename": lambda p, m: m.rename_axes(["energy", "rad"], ["energy_true", "theta"]),
    "to_cube": lambda p, m: m.to_cube([p.MapAxis.from_edges([0, 1], name="x"), p.MapAxis.from_edges([0, 2], name="y")]),
    "split": lambda p, m: p.Map.from_stack(m.split_by_axis("energy"), axis=m.geom.axes["energy"]),
    "from_stack": lambda p, m: p.Map.from_stack([m.slice_by_idx({"energy": slice(a, b)}) for a, b in ((0, 1), (1, 4))], axis_name="energy"),
    "iter": lambda p, m: list(m.iter_by_image(keepdims=True))[3],
    "iter-flat": lambda p, m: list(m.iter_by_image())[3],
    "iter-axis": lambda p, m: list(m.iter_by_axis("rad", keepdims=True))[1],
    "image-pix": lambda p, m: m.get_image_by_pix((0.7, 2.2)),
    "image-idx": lambda p, m: m.get_image_by_idx((1, 3)),
    "region": lambda p, m: m.get_spectrum(REGIONS["circle"], weights=m > 2 * u.m**2),
    "to_geom": lambda p, m: m.interp_to_geom(target(p, "finer", m.geom.axes), preserve_counts=True),
    "to_region": lambda p, m: m.interp_to_geom(p.RegionGeom.create(REGIONS["circle"], axes=m.geom.axes)),
    "cutout-odd": lambda p, m: m.cutout(CENTER, (0.5 * u.deg, 0.8 * u.deg), odd_npix=True),
    "cutout-min": lambda p, m: m.cutout(CENTER, 0.01 * u.deg, min_npix=3),
    "integers": lambda p, m: (m / (1 * u.m**2) > 3).sum_over_axes(),
}


@pytest.mark.parametrize("dtype", [float, "float32"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name, dtype, backend):
    a, b = cubes(backend, dtype=dtype)
    x, y = OPERATIONS[name](peer, a), OPERATIONS[name](ours, b)
    assert y.backend == backend
    same(x, y, rtol=1e-10 if dtype is float else 2e-6)


def test_nan_in_resampled_bins(backend):
    a, b = cubes(backend)
    for m in (a, b):
        m.data[1, 1, 3, 3] = np.nan
    same(*(m.resample_axis(p.MapAxis.from_energy_edges([0.5, 5, 50] * u.TeV)) for p, m in ((peer, a), (ours, b))))


def test_reorder_axes(backend):
    a, b = cubes(backend, unit="")  # gammapy loses the unit
    same(*(m.reorder_axes(["energy", "rad"]) for m in (a, b)))


def test_coadd(backend):
    a, b = cubes(backend)
    parts = cubes(backend, seed=5, skydir=SkyCoord(1, 0.2, unit="deg", frame="galactic"), unit="cm2")
    for m, part in zip((a, b), parts, strict=True):
        m.coadd(part)
    same(a, b)


def test_mask_nearest_position(backend):
    a, b = (m > 9 * u.m**2 for m in cubes(backend, axes=False))
    for lon, lat in [(0.3, 0.2), (1, 1), (-0.5, -0.6)]:
        position = SkyCoord(lon, lat, unit="deg", frame="galactic")
        x, y = (m.mask_nearest_position(position) for m in (a, b))
        assert x.separation(y).deg < 1e-9


def test_geometry_masks():
    a, b = (m.geom for m in cubes())
    for make in (
        lambda g: g.energy_mask(1.7 * u.TeV, 40 * u.TeV),
        lambda g: g.energy_mask(1.7 * u.TeV, 40 * u.TeV, round_to_edge=True),
        lambda g: g.create_mask("rad", 1 * u.deg, None),
        lambda g: g.boundary_mask(0.22 * u.deg),
    ):
        same(make(a), make(b))
    # gammapy swaps lon and lat here
    same(a.boundary_mask((0.4, 0.22) * u.deg), b.boundary_mask((0.22, 0.4) * u.deg))
    close(a.binary_structure((0.4, 0.2) * u.deg, kernel="box"), b.binary_structure((0.2, 0.4) * u.deg, kernel="box"))
    close(a.binary_structure(0.2 * u.deg), b.binary_structure(0.2 * u.deg))


def test_geometry_positions():
    a, b = (m.geom for m in cubes())
    for x, y in zip(a.footprint, b.footprint, strict=True):
        assert x.separation(y).deg < 1e-9
    for x, y in zip(a.get_idx(), b.get_idx(), strict=True):
        np.testing.assert_array_equal(x, y)


def test_geometry_in_files():
    a, b = cubes()
    hdus = a.to_hdulist(hdu="X")
    for options in ({}, {"hdu": "X"}, {"hdu": "X", "hdu_bands": "X_BANDS"}):
        x, y = (p.WcsGeom.from_hdulist(hdus, **options) for p in (peer, ours))
        assert x.data_shape == y.data_shape
        assert y == b.geom
