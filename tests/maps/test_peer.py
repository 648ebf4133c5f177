"""Axes, sky geometries and maps against gammapy, at the same inputs."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

import gpudl4.maps as ours
from tests.paths import shared_data

peer = pytest.importorskip("gammapy.maps")
pytestmark = pytest.mark.peer

NODES = {"lin": [-1, 0, 0.5, 2, 7], "log": [0.1, 0.3, 1, 20.0, 100], "sqrt": [0, 1, 4, 10, 30.0]}
GEOMS = {
    "tan": {"skydir": (83.63, 22.01), "width": (3, 2), "binsz": 0.05, "proj": "TAN"},
    "car-galactic": {"skydir": (0.3, -0.1), "width": (4, 3), "binsz": 0.02, "frame": "galactic"},
    "tan-rotated-frame": {
        "skydir": SkyCoord(83.6, 22, unit="deg"),
        "npix": (31, 40),
        "binsz": (0.1, 0.07),
        "frame": "galactic",
        "proj": "TAN",
    },
    "ait-allsky": {"binsz": 5.0, "proj": "AIT", "frame": "galactic"},
    "car-high-latitude": {"skydir": (120, 50), "width": 20, "binsz": 0.5},
    "car-allsky": {"binsz": 10},
    "text-sizes": {"skydir": (10, 60), "width": "10 deg", "binsz": "15 arcmin", "proj": "SIN", "frame": "galactic"},
}
FILES = [
    ("cta-1dc-gc", "cta-gc-stacked.fits.gz"),
    ("fermi-3fhl-crab", "Fermi-LAT-3FHL_data_Fermi-LAT.fits"),
    ("fermi-3fhl-crab", "Fermi-LAT-3FHL_iem.fits"),
    ("fermi-3fhl-gc", "fermi-3fhl-gc.fits.gz"),
    ("fermi-3fhl-gc", "gll_iem_v06_gc.fits.gz"),
    ("hawc-crab", "nHit-7.fits.gz"),
]


def close(a, b, rtol=1e-12, atol=1e-12):
    """Assert that two quantities or arrays agree, units included."""
    if hasattr(a, "unit"):
        assert a.unit == b.unit
        a, b = a.value, b.value
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


@pytest.fixture(params=GEOMS, scope="module")
def geoms(request):
    """The same sky geometry from both packages."""
    return peer.WcsGeom.create(**GEOMS[request.param]), ours.WcsGeom.create(**GEOMS[request.param])


def cubes(dtype=float, unit="", seed=0, **kwargs):
    """The same random map with an energy axis from both packages."""
    kwargs = {"skydir": (0.3, -0.1), "npix": (24, 18), "binsz": 0.1, "frame": "galactic"} | kwargs
    data = np.random.default_rng(seed).uniform(0, 10, (3, 18, 24)).astype(dtype)
    out = []
    for package in (peer, ours):
        axis = package.MapAxis.from_energy_bounds("0.5 TeV", "50 TeV", 3)
        out.append(package.Map.from_geom(package.WcsGeom.create(axes=[axis], **kwargs), data=data.copy(), unit=unit))
    return out


@pytest.mark.parametrize("node_type", ["edges", "center"])
@pytest.mark.parametrize("interp", NODES)
class TestAxis:
    def axes(self, interp, node_type):
        return [p.MapAxis(NODES[interp], interp=interp, name="x", node_type=node_type, unit="TeV") for p in (peer, ours)]

    def test_bins(self, interp, node_type):
        a, b = self.axes(interp, node_type)
        for what in ("edges", "center", "bin_width", "bounds", "edges_min", "edges_max"):
            close(getattr(a, what), getattr(b, what))
        assert a.nbin == b.nbin
        assert a.as_plot_scale == b.as_plot_scale
        assert a.as_plot_labels == b.as_plot_labels

    def test_transforms(self, interp, node_type):
        a, b = self.axes(interp, node_type)
        rng = np.random.default_rng(1)
        x, pix = rng.uniform(0, 120, 60), rng.uniform(-1, 6, 60)
        close(a.coord_to_pix(x), b.coord_to_pix(x))
        close(a.coord_to_pix(x * u.GeV), b.coord_to_pix(x * u.GeV))
        close(a.pix_to_coord(pix), b.pix_to_coord(pix))
        np.testing.assert_array_equal(a.coord_to_idx(x), b.coord_to_idx(x))
        np.testing.assert_array_equal(a.coord_to_idx(x, clip=True), b.coord_to_idx(x, clip=True))
        close(a.round(x, clip=True), b.round(x, clip=True))

    @pytest.mark.parametrize(
        "change",
        [("upsample", 3), ("squash",), ("slice", slice(1, 3)), ("slice", slice(1, -1)), ("downsample", 3, False), ("rename", "y")],
    )
    def test_changes(self, interp, node_type, change):
        a, b = (getattr(axis, change[0])(*change[1:]) for axis in self.axes(interp, node_type))
        close(a.edges, b.edges)
        assert (a.node_type, a.interp, a.name, a.unit) == (b.node_type, b.interp, b.name, b.unit)


@pytest.mark.parametrize("node_type", ["edges", "center"])
@pytest.mark.parametrize("interp", ["lin", "log"])  # gammapy cannot pad a sqrt axis that begins at 0
def test_pad(interp, node_type):
    a, b = (p.MapAxis(NODES[interp], interp=interp, name="x", node_type=node_type).pad((1, 2)) for p in (peer, ours))
    close(a.edges, b.edges)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("0.1 TeV", "10 TeV", 5), {"per_decade": True}),
        ((0.1, 12, 5), {"unit": "TeV", "per_decade": True, "strict_bounds": False}),
        ((0.1, 12, 5), {"unit": "TeV", "per_decade": True, "name": "energy_true"}),
        (("30 GeV", "5 TeV", 7), {"node_type": "center"}),
    ],
)
def test_energy_bounds(args, kwargs):
    a, b = (p.MapAxis.from_energy_bounds(*args, **kwargs) for p in (peer, ours))
    close(a.edges, b.edges)
    assert (a.name, a.node_type) == (b.name, b.node_type)


def test_group_table_and_resample():
    edges = [0.5, 5, 40] * u.TeV
    axes = [p.MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", 9) for p in (peer, ours)]
    a, b = (axis.group_table(edges) for axis in axes)
    for name in ("group_idx", "idx_min", "idx_max", "bin_type"):
        assert list(a[name]) == list(b[name])
    close(a["energy_min"].quantity, b["energy_min"].quantity)
    close(a["energy_max"].quantity, b["energy_max"].quantity)
    a, b = (p.MapAxes([axis]).resample(p.MapAxis.from_energy_edges(edges)) for p, axis in zip((peer, ours), axes, strict=True))
    close(a["energy"].edges, b["energy"].edges)


class TestWcsGeom:
    def test_header(self, geoms):
        a, b = (dict(geom.to_header()) for geom in geoms)
        assert a == b

    def test_numbers(self, geoms):
        a, b = geoms
        if not a.is_allsky:  # of large and sheared pixels gammapy's areas are wrong, see test_sphere
            close(a.solid_angle(), b.solid_angle(), rtol=1e-11, atol=0)
        close(a.pixel_scales, b.pixel_scales)
        close(a.width, b.width)
        assert a.center_skydir.separation(b.center_skydir).deg < 1e-10
        assert a.is_allsky == b.is_allsky
        assert a.data_shape == b.data_shape
        assert a.center_pix == b.center_pix
        position = SkyCoord(1, 2, unit="deg")
        close(a.separation(position).deg, b.separation(position).deg, atol=1e-10)

    @pytest.mark.parametrize("frame", ["icrs", "galactic"])
    @pytest.mark.parametrize("mode", ["center", "edges"])
    def test_coord(self, geoms, frame, mode):
        a, b = (geom.get_coord(frame=frame, mode=mode) for geom in geoms)
        np.testing.assert_array_equal(np.isnan(a.lon), np.isnan(b.lon))
        delta = np.abs(a.lon.value - b.lon.value)
        np.testing.assert_allclose(np.nan_to_num(np.minimum(delta, 360 - delta)), 0, atol=1e-11)
        close(a.lat, b.lat, atol=1e-12)

    def test_pixels(self, geoms):
        a, b = geoms
        sky = SkyCoord(*np.random.default_rng(2).uniform(-60, 60, (2, 40)), unit="deg")
        close(np.array(a.coord_to_pix(sky)), np.array(b.coord_to_pix(sky)), atol=1e-9)
        np.testing.assert_array_equal(a.coord_to_idx(sky), b.coord_to_idx(sky))
        np.testing.assert_array_equal(a.contains(sky), b.contains(sky))
        close(np.array(a.get_pix()), np.array(b.get_pix()))
        np.testing.assert_array_equal(a.get_idx(flat=True), b.get_idx(flat=True))

    def test_related_geometries(self, geoms):
        for change in (
            lambda g: g.to_odd_npix(max_radius=1.2 * u.deg),
            lambda g: g.to_odd_npix(),
            lambda g: g.to_even_npix(),
            lambda g: g.to_binsz(0.33 if g.npix[0] < 1000 else 7),
            lambda g: g.upsample(2),
            lambda g: g.upsample(2).downsample(2),
            lambda g: g.crop((2, 3)),
            lambda g: g.pad((2, 3), axis_name=None),
        ):
            a, b = (change(geom) for geom in geoms)
            assert a.data_shape == b.data_shape
            assert a.wcs.wcs.compare(b.wcs.wcs, cmp=1, tolerance=1e-9)

    def test_from_aligned(self, geoms):
        center = geoms[0].center_skydir.directional_offset_by(40 * u.deg, 1.3 * geoms[0].pixel_scales[0])
        for width in (7 * geoms[0].pixel_scales.deg[0], 4.2 * geoms[0].pixel_scales.deg[0]):
            a, b = (type(geom).from_aligned(geom, center, width) for geom in geoms)
            assert a.data_shape == b.data_shape
            np.testing.assert_allclose(a.wcs.wcs.crpix, b.wcs.wcs.crpix)

    @pytest.mark.parametrize("geoms", [name for name in GEOMS if "allsky" not in name], indirect=True)
    @pytest.mark.parametrize("odd_npix", [True, False])
    @pytest.mark.parametrize("mode", ["trim", "partial", "strict"])
    def test_cutout(self, geoms, mode, odd_npix):
        from astropy.nddata.utils import NoOverlapError, PartialOverlapError

        a, b = geoms
        rng = np.random.default_rng(3)
        nx, ny = int(a.npix[0][0]), int(a.npix[1][0])
        outcomes = set()
        for number in range(60):
            x, y = rng.uniform(-4, nx + 3), rng.uniform(-4, ny + 3)
            if number % 3 == 0:
                x, y = round(x), round(y)
            position = SkyCoord.from_pixel(x, y, a.wcs)
            width = tuple(rng.uniform(0.5, 12, 2) * a.pixel_scales.deg)
            try:
                wanted = a.cutout(position, width, mode=mode, odd_npix=odd_npix)
            except (NoOverlapError, PartialOverlapError) as error:
                outcomes.add(type(error).__name__)
                with pytest.raises(ours.wcs.GeometryError, match="cutout covers pixels"):
                    b.cutout(position, width, mode=mode, odd_npix=odd_npix)
                continue
            outcomes.add("cutout")
            got = b.cutout(position, width, mode=mode, odd_npix=odd_npix)
            assert wanted.data_shape == got.data_shape
            np.testing.assert_allclose(wanted.wcs.wcs.crpix, got.wcs.wcs.crpix)
            slices = b.cutout_slices(position, width, mode=mode, odd_npix=odd_npix)
            shape = tuple(s.stop - s.start for s in slices["cutout-slices"])
            assert shape == tuple(s.stop - s.start for s in slices["parent-slices"])
            assert (shape == got.data_shape) or mode == "partial"
        assert outcomes >= {"cutout", "NoOverlapError"}

    def test_min_npix(self, geoms):
        a, b = (geom.cutout(geom.center_skydir, 0.1 * geom.pixel_scales[0], min_npix=3) for geom in geoms)
        assert a.data_shape == b.data_shape

    def test_region_mask(self, geoms):
        from regions import CircleSkyRegion, PointSkyRegion

        a, b = geoms
        size = a.pixel_scales[1]
        circle = CircleSkyRegion(a.center_skydir, 3.3 * size)
        point = PointSkyRegion(SkyCoord.from_pixel(2.3, 4.0, a.wcs))
        if not np.isfinite(point.center.data.lon):
            point = PointSkyRegion(a.center_skydir)
        for regions in ([circle], [circle, point], point):
            np.testing.assert_array_equal(a.region_mask(regions).data, b.region_mask(regions).data)
        np.testing.assert_array_equal(a.region_mask([circle], inside=False).data, b.region_mask([circle], inside=False).data)
        if not a.is_allsky:
            close(a.region_weights([circle]).data, b.region_weights([circle]).data)
            np.testing.assert_array_equal(a.boundary_mask(2.2 * size).data, b.boundary_mask(2.2 * size).data)

    def test_equality(self, geoms):
        a, b = (geom.cutout(geom.center_skydir, 9 * geom.pixel_scales[0]) for geom in geoms)
        assert geoms[0].is_aligned(a)
        assert geoms[1].is_aligned(b)
        assert geoms[1] != b
        assert geoms[1] == ours.WcsGeom(geoms[0].wcs, geoms[0].npix)


class TestMap:
    def points(self, number=200):
        rng = np.random.default_rng(4)
        return {
            "lon": rng.uniform(-1.2, 1.8, number) * u.deg,
            "lat": rng.uniform(-1.2, 1.0, number) * u.deg,
            "energy": rng.uniform(0.3, 80, number) * u.TeV,
        }

    @pytest.mark.parametrize("values_scale", ["lin", "log", "sqrt"])
    @pytest.mark.parametrize("method", ["linear", "nearest"])
    @pytest.mark.parametrize("fill_value", [None, 0.0, 3.0])
    def test_interp(self, method, fill_value, values_scale):
        a, b = cubes()
        for m in (a, b):
            m.data[1, 3, 4] = np.nan
            m.data[0, 5] = 0
        options = {"method": method, "fill_value": fill_value, "values_scale": values_scale}
        close(a.interp_by_coord(self.points(), **options), b.interp_by_coord(self.points(), **options), rtol=1e-10)

    def test_interp_float32_log(self):
        a, b = cubes(dtype=np.float32)
        for m in (a, b):
            m.data[0] = 0
        options = {"values_scale": "log"}
        close(a.interp_by_coord(self.points(), **options), b.interp_by_coord(self.points(), **options), rtol=1e-5)

    def test_interp_broadcast_and_frame(self):
        a, b = cubes()
        coords = {"skycoord": SkyCoord(266.3, -29.1, unit="deg"), "energy": [[1], [2], [30]] * u.TeV}
        close(a.interp_by_coord(coords), b.interp_by_coord(coords))
        image = [m.sum_over_axes(keepdims=True) for m in (a, b)]
        close(*(m.interp_by_coord(self.points()) for m in image), rtol=1e-10)

    def test_get_set_fill(self):
        a, b = cubes()
        close(a.get_by_coord(self.points()), b.get_by_coord(self.points()))
        close(a.get_by_pix(([1.2, 50], [3.7, 1], [0, 1])), b.get_by_pix(([1.2, 50], [3.7, 1], [0, 1])))
        weights = np.random.default_rng(5).uniform(size=200)
        for m in (a, b):
            m.fill_by_coord(self.points(), weights=weights)
            m.fill_by_coord(self.points())
            m.set_by_pix(([1.2], [3.7], [0]), 7)
            m.set_by_idx(([2], [3], [0]), 8)
        close(a.data, b.data)

    def test_interp_to_geom(self):
        a, b = cubes()
        target = {"skydir": (0.5, 0), "npix": (20, 25), "binsz": 0.13, "frame": "galactic", "proj": "TAN"}
        for options in ({}, {"fill_value": None}, {"preserve_counts": True}, {"method": "nearest"}):
            x, y = (
                m.interp_to_geom(p.WcsGeom.create(axes=m.geom.axes, **target), **options) for p, m in zip((peer, ours), (a, b), strict=True)
            )
            close(x.data, y.data, rtol=1e-10)
        x, y = ((m > 5).interp_to_geom(p.WcsGeom.create(axes=m.geom.axes, **target)) for p, m in zip((peer, ours), (a, b), strict=True))
        np.testing.assert_array_equal(x.data, y.data)
        assert y.data.dtype == bool

    @pytest.mark.parametrize("mode", ["trim", "partial"])
    def test_cutout_and_stack(self, mode):
        a, b = cubes(unit="m2 s")
        for x, y, width in [(3.3, 4.2, 0.7), (0.2, 0.4, 0.9), (22.8, 16.9, (0.5, 0.8)), (10, 8, 30)]:
            position = SkyCoord.from_pixel(x, y, a.geom.wcs)
            p, q = (m.cutout(position, width, mode=mode) for m in (a, b))
            close(p.data, q.data)
            for m, part in ((a, p), (b, q)):
                part.data[..., 0, 0] = np.nan
                part = part.to_unit("cm2 s")
                m.stack(part)
            close(a.data, b.data)

    def test_stack_weights(self):
        a, b = cubes(dtype=np.float32)
        for m, p in ((a, peer), (b, ours)):
            weights = p.Map.from_geom(m.geom, data=m.data > 5)
            m.stack(m.copy(), weights=weights)
            image = p.Map.from_geom(m.geom.to_image(), data=m.data[0] > 5)
            m.stack(m.copy(), weights=image)
        close(a.data, b.data)
        assert a.data.dtype == b.data.dtype

    @pytest.mark.parametrize("preserve_counts", [True, False])
    def test_downsample_upsample(self, preserve_counts):
        a, b = cubes()
        options = {"preserve_counts": preserve_counts}
        for m in (a, b) if preserve_counts else ():  # gammapy takes NaN as 0 in a mean
            m.data[0, 0, 0] = np.nan
        for change in (
            lambda m: m.downsample(3, **options),
            lambda m: m.downsample(3, axis_name="energy", **options),
            lambda m: m.downsample(2, weights=m < 5, **options),
            lambda m: (m < 5).downsample(2, **options),
            lambda m: m.upsample(2, axis_name="energy", **options),
        ):
            x, y = change(a), change(b)
            close(x.data, y.data, rtol=1e-10)
            assert x.data.dtype == y.data.dtype
            close(x.geom.axes[0].edges, y.geom.axes[0].edges)
        for factor, order in ((3, 0), (2, 1)):
            a, b = cubes()
            x, y = (m.upsample(factor, order=order, **options) for m in (a, b))
            if preserve_counts:  # gammapy loses or wins what the area of a pixel and the sum of its parts differ by
                parts = ours.Map.from_geom(y.geom.to_image(), data=y.geom.to_image().solid_angle().value)
                kept = parts.downsample(factor).data / b.geom.to_image().solid_angle().value
                y.data = y.data * kept.repeat(factor, axis=0).repeat(factor, axis=1)
            close(x.data, y.data, rtol=1e-10)
            assert x.data.dtype == y.data.dtype

    def test_convolve(self):
        a, b = cubes()
        kernel = np.random.default_rng(6).uniform(size=(5, 7))
        for method in ("fft", "direct"):
            close(a.convolve(kernel, method=method).data, b.convolve(kernel, method=method).data, rtol=1e-6)
        cube = np.random.default_rng(7).uniform(size=(3, 5, 7))
        close(a.convolve(cube).data, b.convolve(cube).data, rtol=1e-6)
        even = kernel[:4, :6]
        for method in ("fft", "direct"):
            close(a.convolve(even).data, b.convolve(even, method=method).data, rtol=1e-6)

    def test_smooth(self):
        a, b = cubes(dtype=np.float32)
        for width in (1.3, 0.25 * u.deg, "0.4 deg", 3):
            for kernel in ("gauss", "disk", "box"):
                x, y = (m.smooth(width, kernel=kernel) for m in (a, b))
                close(x.data, y.data, rtol=1e-10)
                assert y.data.dtype == x.data.dtype

    def test_binary(self):
        a, b = (m < 9 for m in cubes())
        for width in (0.15 * u.deg, 0.25 * u.deg):
            for kernel in ("disk", "box"):
                for use_fft in (True, False):
                    options = {"kernel": kernel, "use_fft": use_fft}
                    np.testing.assert_array_equal(
                        a.binary_erode(width, kernel=kernel, use_fft=False).data, b.binary_erode(width, **options).data
                    )
                    np.testing.assert_array_equal(
                        (~a).binary_dilate(width, kernel=kernel, use_fft=False).data, (~b).binary_dilate(width, **options).data
                    )

    def test_along_axes(self):
        a, b = cubes(unit="TeV-1")
        for m in (a, b):
            m.data[1, 2, 3] = np.nan
        for change in (
            lambda m: m.sum_over_axes(),
            lambda m: m.sum_over_axes(keepdims=False),
            lambda m: (m * (1 * u.TeV) > 5).reduce_over_axes(func=np.logical_or),
            lambda m: (m * (1 * u.TeV) > 5).sum_over_axes(),
            lambda m: m.cumsum("energy"),
            lambda m: m.slice_by_idx({"energy": slice(1, 3)}),
            lambda m: m.slice_by_idx({"energy": 1}),
            lambda m: m.get_image_by_coord({"energy": "2 TeV"}),
            lambda m: m.pad(2),
            lambda m: m.pad((1, 2), axis_name="energy", mode="edge"),
            lambda m: m.crop((2, 3)),
            lambda m: m.to_unit("GeV-1"),
        ):
            x, y = change(a), change(b)
            assert x.data.shape == y.data.shape
            assert x.data.dtype == y.data.dtype
            assert x.unit == y.unit
            close(x.data, y.data, rtol=1e-12)
            for axis_a, axis_b in zip(x.geom.axes, y.geom.axes, strict=True):
                close(axis_a.edges, axis_b.edges)

    def test_integral_and_normalize(self):
        a, b = cubes()
        coords = self.points(20)
        close(a.integral("energy", coords), b.integral("energy", coords), rtol=1e-10)
        for m in (a, b):
            m.data[:, 0, 0] = 0
            m.normalize("energy")
        close(a.data, b.data)
        assert a.unit == b.unit

    def test_resample_axis(self):
        a, b = cubes()
        for ufunc in (np.add, np.logical_or):
            x, y = (
                (m if ufunc is np.add else m > 8).resample_axis(p.MapAxis.from_energy_edges([0.4, 12, 60] * u.TeV), ufunc=ufunc)
                for p, m in zip((peer, ours), (a, b), strict=True)
            )
            close(x.data.astype(float), y.data.astype(float))
            close(x.geom.axes[0].edges, y.geom.axes[0].edges)

    def test_arithmetic(self):
        a, b = cubes(unit="m2", dtype=np.float32)
        for change in (
            lambda m: m + 10 * u.cm**2,
            lambda m: m - m.to_unit("cm2") / 2,
            lambda m: m * 2.0,
            lambda m: m * m,
            lambda m: m / (2 * u.s),
            lambda m: m > 3 * u.m**2,
        ):
            x, y = change(a), change(b)
            close(x.data, y.data, rtol=1e-6)
            assert x.data.dtype == y.data.dtype
            assert x.unit == y.unit or y.is_mask

    def test_region_maps(self):
        from regions import CircleSkyRegion

        a, b = cubes(unit="s")
        circle = CircleSkyRegion(SkyCoord(0.2, 0.1, unit="deg", frame="galactic"), 0.33 * u.deg)
        point = SkyCoord(0.2, 0.1, unit="deg", frame="galactic")
        for options in (
            {"region": circle},
            {"region": circle, "func": np.mean},
            {},
            {"region": point},
            {"region": point, "method": "linear"},
        ):
            x, y = (m.to_region_nd_map(**options) for m in (a, b))
            assert x.data.shape == y.data.shape
            close(x.data, y.data, rtol=1e-6)
            assert x.unit == y.unit
            close(x.geom.width, y.geom.width, atol=1e-9)
            assert x.geom.center_skydir.separation(y.geom.center_skydir).deg < 1e-9
            if options.get("region") is circle:
                close(x.geom.solid_angle(), y.geom.solid_angle())
                close(x.geom.to_wcs_geom().wcs.wcs.crpix, y.geom.to_wcs_geom().wcs.wcs.crpix)
        x, y = (m.to_region_nd_map(circle, weights=m > 3 * u.s) for m in (a, b))
        close(x.data, y.data, rtol=1e-6)
        x, y = (m.get_spectrum(circle) for m in (a, b))
        close(x.interp_by_coord({"energy": [1, 3] * u.TeV}), y.interp_by_coord({"energy": [1, 3] * u.TeV}))


def map_hdus(path):
    """Names of the HDUs of a file that hold maps."""
    with fits.open(path) as hdulist:
        names = [hdu.name for hdu in hdulist if hdu.header.get("NAXIS", 0) > 0]
    return [name for name in names if not name.endswith(("_BANDS", "_REGION")) and name not in ("GTI", "META_TABLE", "ENERGIES")]


@pytest.mark.parametrize("parts", FILES, ids=lambda parts: parts[1])
def test_files_both_ways(parts, tmp_path):
    """Every map of the real files: read as gammapy reads it, and gammapy reads what is written."""
    path = shared_data(*parts)
    for name in map_hdus(path):
        b, target = ours.Map.read(path, hdu=name), tmp_path / "map.fits"
        read = peer.RegionNDMap.read if b.geom.is_region else peer.Map.read
        a = read(path, hdu=name)
        same(a, b)
        b.write(target, overwrite=True, hdu=name)
        same(read(target, hdu=name), b)
        a.write(target, overwrite=True, hdu=name)
        same(a, ours.Map.read(target, hdu=name))


def same(a, b):
    """Assert that a map of gammapy and one of ours agree."""
    assert type(a).__name__ == type(b).__name__
    assert a.data.shape == b.data.shape
    assert a.data.dtype.newbyteorder("=") == b.data.dtype
    np.testing.assert_array_equal(a.data, b.data)
    assert a.unit == b.unit
    assert a.geom.axes.names == b.geom.axes.names
    for x, y in zip(a.geom.axes, b.geom.axes, strict=True):
        close(x.edges, y.edges, rtol=1e-9)
        assert (x.node_type, x.interp) == (y.node_type, y.interp)
    if not b.geom.is_region:
        assert a.geom.wcs.wcs.compare(b.geom.wcs.wcs, cmp=1, tolerance=1e-9)
        assert {k: str(v) for k, v in a.meta.items()} == {k: str(v) for k, v in b.meta.items()}


def test_region_file_with_region(tmp_path):
    from regions import CircleSkyRegion

    circle = CircleSkyRegion(SkyCoord(83.6, 22, unit="deg"), 0.3 * u.deg)
    maps = []
    for package in (peer, ours):
        axis = package.MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)
        maps.append(package.RegionNDMap.create(circle, axes=[axis], data=np.arange(3.0).reshape(3, 1, 1), unit="s"))
    for number, (writer, package) in enumerate(zip(maps, (ours, peer), strict=True)):
        path = tmp_path / f"{number}.fits"
        writer.write(path, hdu="COUNTS")
        back = package.RegionNDMap.read(path, hdu="COUNTS") if package is peer else package.Map.read(path, hdu="COUNTS")
        np.testing.assert_array_equal(back.data, writer.data)
        assert back.geom.region.center.separation(circle.center).deg < 1e-6
        assert abs(back.geom.region.radius.deg - 0.3) < 1e-6
        assert back.unit == "s"


def test_sparse(tmp_path):
    a, b = cubes()
    for m in (a, b):
        m.data[m.data < 9] = 0
        m.data = np.round(m.data)
    a.write(tmp_path / "a.fits", sparse=True)
    np.testing.assert_array_equal(ours.Map.read(tmp_path / "a.fits", hdu="SKYMAP").data, a.data)
    b.write(tmp_path / "b.fits", sparse=True)
    np.testing.assert_array_equal(peer.Map.read(tmp_path / "b.fits", hdu="SKYMAP").data, b.data)
