"""Region geometries and region maps against gammapy, at the same inputs, on every backend."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from regions import (
    CircleAnnulusSkyRegion,
    CircleSkyRegion,
    EllipseSkyRegion,
    PointSkyRegion,
    PolygonSkyRegion,
    RectangleSkyRegion,
)

import gpudl4.maps as ours
from gpudl4.core.backend import to_host
from tests.paths import shared_data

peer = pytest.importorskip("gammapy.maps")
pytestmark = pytest.mark.peer

CENTER = SkyCoord(83.63, 22.01, unit="deg")
CIRCLE = CircleSkyRegion(CENTER, 0.33 * u.deg)
REGIONS = {
    "circle": CIRCLE,
    "small": CircleSkyRegion(CENTER, 0.03 * u.deg),
    "galactic": CircleSkyRegion(CENTER.galactic, 0.33 * u.deg),
    "rectangle": RectangleSkyRegion(CENTER, 0.4 * u.deg, 0.7 * u.deg, 30 * u.deg),
    "ellipse": EllipseSkyRegion(CENTER, 0.4 * u.deg, 0.7 * u.deg, 130 * u.deg),
    "annulus": CircleAnnulusSkyRegion(CENTER, 0.3 * u.deg, 0.6 * u.deg),
    "point": PointSkyRegion(CENTER),
    "text": "galactic;circle(10.5, -3.2, 0.5)",
    "none": None,
}
WITH_REGION = [name for name in REGIONS if name != "none"]


def close(a, b, rtol=1e-12, atol=1e-12):
    """Assert that two quantities or arrays agree, units included."""
    if hasattr(a, "unit"):
        assert a.unit == b.unit
        a, b = a.value, b.value
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def both(function):
    """A function of the package, called for gammapy and for ours."""
    return function(peer), function(ours)


def axes_of(package):
    return [package.MapAxis.from_bounds(0, 3, 4, name="rad", unit="deg"), package.MapAxis.from_energy_bounds("1 TeV", "10 TeV", 6)]


def geom_pair(name, **options):
    return both(lambda p: p.RegionGeom.create(REGIONS[name], axes=axes_of(p), **options))


def map_pair(name="circle", axes=axes_of, dtype=float, unit="s", seed=0, **options):
    def make(package):
        m = package.RegionNDMap.create(REGIONS[name], axes=axes(package), dtype=dtype, unit=unit, **options)
        m.data = np.random.default_rng(seed).uniform(0.1, 10, m.data.shape).astype(m.data.dtype)
        return m

    return both(make)


def energy(package):
    return [package.MapAxis.from_energy_bounds("1 TeV", "10 TeV", 6)]


def same_geom(a, b):
    assert a.data_shape == b.data_shape
    assert a.axes.names == b.axes.names
    for x, y in zip(a.axes, b.axes, strict=True):
        close(x.edges, y.edges)
        assert (x.interp, x.node_type) == (y.interp, y.node_type)


def same(a, b, rtol=1e-12):
    """Assert that a map of gammapy and one of ours, anywhere, agree in shape, type, unit and values."""
    same_geom(a.geom, b.geom)
    data = to_host(b.data)
    assert a.unit == b.unit or b.is_mask  # gammapy keeps the unit of what was compared
    assert a.data.dtype.newbyteorder("=") == data.dtype
    close(a.data, data, rtol=rtol)


@pytest.mark.parametrize("name", WITH_REGION)
class TestGeometry:
    def test_numbers(self, name):
        a, b = geom_pair(name)
        same_geom(a, b)
        assert (a.frame, a.npix, a.ndim, a.center_pix) == (b.frame, b.npix, b.ndim, b.center_pix)
        assert bool(a.is_all_point_sky_regions) == b.is_all_point_sky_regions
        assert (a.is_region, a.is_image, a.is_flat, a.has_energy_axis, a.axes_names) == (
            b.is_region,
            b.is_image,
            b.is_flat,
            b.has_energy_axis,
            b.axes_names,
        )
        close(a.width, b.width, atol=1e-9)
        close(a.binsz_wcs, b.binsz_wcs)
        assert a.center_skydir.separation(b.center_skydir).deg < 1e-10
        assert a.wcs.wcs.compare(b.wcs.wcs, cmp=1, tolerance=1e-9)
        close(a.separation(CENTER).deg, b.separation(CENTER).deg, atol=1e-9)
        if name != "point":  # gammapy finds no area of a point
            close(a.solid_angle(), b.solid_angle(), atol=0, rtol=1e-10)
            close(a.bin_volume(), b.bin_volume(), atol=0, rtol=1e-10)

    def test_coordinates(self, name):
        a, b = geom_pair(name)
        for options in ({}, {"mode": "edges", "axis_name": "energy"}, {"frame": "galactic"}):
            x, y = (g.get_coord(**options) for g in (a, b))
            for axis in ("lon", "lat", "rad", "energy"):
                close(u.Quantity(x[axis]).value, u.Quantity(y[axis]).value, atol=1e-9)  # gammapy's lon and lat have no unit here
        points = {
            "lon": np.random.default_rng(1).uniform(83, 84.3, 50) * u.deg,
            "lat": np.random.default_rng(2).uniform(21.5, 22.5, 50) * u.deg,
            "rad": 1.1 * u.deg,
            "energy": [[0.5], [2], [30]] * u.TeV,
        }
        if a.frame == "galactic":
            sky = SkyCoord(points.pop("lon"), points.pop("lat"))
            points["skycoord"] = sky
        np.testing.assert_array_equal(a.contains(points), b.contains(points))
        for x, y in zip(a.coord_to_pix(dict(points)), b.coord_to_pix(dict(points)), strict=True):
            np.testing.assert_allclose(*np.broadcast_arrays(x, y, subok=False)[:2])
        for x, y in zip(a.coord_to_idx(dict(points)), b.coord_to_idx(dict(points)), strict=True):
            np.testing.assert_array_equal(x, y)
        pix = np.random.default_rng(3).uniform(-5, 20, (2, 30))
        np.testing.assert_array_equal(a.contains_wcs_pix(pix), b.contains_wcs_pix(pix))

    def test_sky_geometry(self, name):
        a, b = geom_pair(name)
        for options in ({}, {"width_min": 1.3}, {"width_min": 1.3 * u.deg}):
            x, y = a.to_wcs_geom(**options), b.to_wcs_geom(**options, mode="trim")
            assert x.data_shape == y.data_shape
            assert x.wcs.wcs.compare(y.wcs.wcs, cmp=1, tolerance=1e-9)
        a, b = (g.to_binsz_wcs("0.07 deg") for g in (a, b))
        close(a.binsz_wcs, b.binsz_wcs)
        close(a.width, b.width, atol=1e-9)

    @pytest.mark.parametrize("factor", [3, 10])
    def test_weights(self, name, factor):
        a, b = geom_pair(name)
        if name == "point" or b.to_wcs_geom().data_shape[-2:] == (1, 1):  # gammapy cannot do this with axes
            a, b = a.to_image(), b.to_image()
        (coords, weights), (our_coords, our_weights) = (g.get_wcs_coord_and_weights(factor=factor) for g in (a, b))
        close(weights, our_weights)
        for axis in coords.axis_names:
            close(u.Quantity(coords[axis]), u.Quantity(our_coords[axis]), atol=1e-9)

    @pytest.mark.parametrize(
        "change",
        [
            lambda p, g: g.to_image(),
            lambda p, g: g.to_image().to_cube(energy(p)),
            lambda p, g: g.squash("energy"),
            lambda p, g: g.drop("rad"),
            lambda p, g: g.upsample(3, "energy"),
            lambda p, g: g.downsample(2, "energy"),
            lambda p, g: g.pad((1, 2), "energy"),
            lambda p, g: g.slice_by_idx({"energy": slice(1, 3)}),
            lambda p, g: g.slice_by_idx({"energy": slice(1, 3), "rad": 0}),
            lambda p, g: g.rename_axes(["energy", "rad"], ["energy_true", "theta"]),
            lambda p, g: g.as_energy_true,
            lambda p, g: g.resample_axis(p.MapAxis.from_energy_edges([0.5, 2, 20] * u.TeV)),
            lambda p, g: g.replace_axis(p.MapAxis.from_energy_edges([0.5, 2, 20] * u.TeV)),
            lambda p, g: g.copy(axes=energy(p)),
            lambda p, g: g.to_binsz(0.3),
        ],
    )
    def test_related(self, name, change):
        a, b = (change(p, g) for p, g in zip((peer, ours), geom_pair(name), strict=True))
        same_geom(a, b)
        close(a.width, b.width, atol=1e-9)

    def test_masks(self, name):
        a, b = geom_pair(name)
        for options in (
            {"energy_min": 1.4 * u.TeV, "energy_max": 8 * u.TeV},
            {"energy_min": 1.4 * u.TeV, "round_to_edge": True},
            {"energy_max": 8 * u.TeV, "round_to_edge": True},
        ):
            np.testing.assert_array_equal(a.energy_mask(**options).data, b.energy_mask(**options).data)
        x, y = (g.create_mask("rad", 0.7 * u.deg, 2.9 * u.deg) for g in (a, b))
        same(x, y)

    def test_files(self, name):
        for format, axes in (("gadf", axes_of), ("ogip", energy), ("ogip-sherpa", energy)):
            a, b = both(lambda p, axes=axes: p.RegionGeom.create(REGIONS[name], axes=axes(p)))
            names = {"hdu_bands": "X_BANDS", "hdu_region": "X_REGION"}
            x, y = (g.to_hdulist(format=format, **names) for g in (a, b))
            assert [hdu.name for hdu in x] == [hdu.name for hdu in y]
            kind = format.removesuffix("-sherpa")
            back = ours.RegionGeom.from_hdulist(x, format=kind, hdu="X")
            theirs = peer.RegionGeom.from_hdulist(y, format=kind, hdu="X")
            same_geom(theirs, back)
            same_geom(peer.RegionGeom.from_hdulist(x, format=kind, hdu="X"), back)
            assert theirs.center_skydir.separation(back.center_skydir).deg < 1e-9
            assert back.center_skydir.separation(b.center_skydir).deg < 1e-6
            close(theirs.width, back.width, atol=1e-9)
            assert back.wcs.array_shape == b.wcs.array_shape  # gammapy swaps the two when it reads


def test_unions_and_lists():
    second = CircleSkyRegion(SkyCoord(84.5, 22.3, unit="deg"), 0.2 * u.deg)
    wcs = peer.WcsGeom.create(skydir=CENTER, width=5, binsz=0.05).wcs
    a, b = both(lambda p: p.RegionGeom.from_regions([CIRCLE, second], axes=axes_of(p), wcs=wcs))
    close(a.width, b.width, atol=1e-9)
    close(a.solid_angle(), b.solid_angle(), rtol=1e-2)  # gammapy makes the fine pixels around a centre it finds by minimising roughly
    assert a.center_skydir.separation(b.center_skydir).deg < 1e-9
    (coords, weights), (our_coords, our_weights) = (g.get_wcs_coord_and_weights() for g in (a, b))
    close(weights, our_weights)
    close(coords.lon, our_coords.lon)
    a, b = both(lambda p: [p.RegionGeom.create(region, wcs=wcs) for region in (CIRCLE, second)])
    a[0].union(a[1])
    united = b[0].union(b[1])
    close(a[0].width, united.width, atol=1e-9)
    points = SkyCoord(*np.random.default_rng(5).uniform([[83], [21]], [[85], [23]], (2, 100)), unit="deg")
    np.testing.assert_array_equal(a[0].contains(points), united.contains(points))
    assert b[0].region is CIRCLE
    polygon = PolygonSkyRegion(SkyCoord([83, 84, 83.5], [22, 22, 23], unit="deg"))
    a, b = both(lambda p: p.RegionGeom.create(polygon, wcs=wcs))
    close(a.width, b.width, atol=1e-9)
    close(a.solid_angle(), b.solid_angle(), rtol=1e-10)


AXIS_OPERATIONS = {
    "add": lambda p, m: m + m * 2,
    "unit": lambda p, m: m + 1 * u.min,
    "multiply": lambda p, m: m * m,
    "divide": lambda p, m: m / (3 * u.m),
    "subtract": lambda p, m: m - m / 2,
    "compare": lambda p, m: m > 3 * u.s,
    "logic": lambda p, m: ~(m > 3 * u.s) | (m > 5 * u.s) & (m < 9 * u.s) ^ (m >= 8 * u.s),
    "sum": lambda p, m: m.sum_over_axes(),
    "sum-rad": lambda p, m: m.sum_over_axes(["rad"], keepdims=False),
    "sum-weights": lambda p, m: m.sum_over_axes(["rad"], weights=m > 3 * u.s),
    "reduce": lambda p, m: m.reduce("energy", func=np.multiply),
    "reduce-mask": lambda p, m: (m > 3 * u.s).reduce_over_axes(func=np.logical_or, keepdims=True),
    "cumsum": lambda p, m: m.cumsum("energy"),
    "cumsum-rad": lambda p, m: m.cumsum("rad"),
    "slice": lambda p, m: m.slice_by_idx({"energy": slice(1, 4), "rad": 2}),
    "downsample": lambda p, m: m.downsample(2, axis_name="energy"),
    "downsample-first": lambda p, m: m.downsample(2),
    "downsample-mean": lambda p, m: m.downsample(3, axis_name="energy", preserve_counts=False),
    "downsample-mask": lambda p, m: (m > 3 * u.s).downsample(2, axis_name="energy"),
    "downsample-weights": lambda p, m: m.downsample(2, axis_name="energy", weights=m > 3 * u.s),
    "upsample": lambda p, m: m.upsample(3, axis_name="energy"),
    "upsample-first": lambda p, m: m.upsample(2, preserve_counts=False),
    "resample": lambda p, m: m.resample_axis(p.MapAxis.from_energy_edges([0.5, 2, 20] * u.TeV)),
    "resample-weights": lambda p, m: m.resample_axis(p.MapAxis.from_energy_edges([0.5, 2, 20] * u.TeV), weights=m > 3 * u.s),
    "resample-mask": lambda p, m: (m > 9 * u.s).resample_axis(p.MapAxis.from_energy_edges([0.5, 2, 20] * u.TeV), ufunc=np.logical_or),
    "pad": lambda p, m: m.pad((1, 2), axis_name="energy", cval=3),
    "pad-edge": lambda p, m: m.pad(1, axis_name="rad", mode="edge"),
    "rename": lambda p, m: m.rename_axes(["energy"], ["energy_true"]),
    "to_unit": lambda p, m: m.to_unit("min"),
    "to_cube": lambda p, m: m.to_cube([p.MapAxis.from_edges([0, 1], name="x")]),
    "image": lambda p, m: m.get_image_by_coord({"energy": "2 TeV", "rad": "1 deg"}),
    "iterate-axis": lambda p, m: list(m.iter_by_axis("energy"))[3],
    "split": lambda p, m: p.Map.from_stack(m.split_by_axis("energy"), axis=m.geom.axes["energy"]),
    "stack-axis": lambda p, m: p.Map.from_stack([m.slice_by_idx({"energy": slice(a, b)}) for a, b in ((0, 2), (2, 6))], axis_name="energy"),
    "to_geom": lambda p, m: m.interp_to_geom(p.RegionGeom.create(CIRCLE, axes=[m.geom.axes["rad"], energy(p)[0].upsample(2)])),
    "itself": lambda p, m: m.get_spectrum().to_region_nd_map().cutout(),
}


@pytest.mark.parametrize("dtype", [float, "float32"])
@pytest.mark.parametrize("name", AXIS_OPERATIONS)
def test_operations(name, dtype, backend):
    a, b = map_pair(dtype=dtype)
    x = AXIS_OPERATIONS[name](peer, a)
    y = AXIS_OPERATIONS[name](ours, b.to_device(backend))
    assert y.backend == backend
    same(x, y, rtol=1e-12 if dtype is float else 3e-6)


def test_values(backend):
    a, b = map_pair()
    b = b.to_device(backend)
    coords = {"energy": [0.3, 2, 7, 30] * u.TeV, "rad": 1.2 * u.deg}
    sky = {"skycoord": SkyCoord([83.63, 83.7, 90, 83.6], [22, 22.1, 22, 21], unit="deg")}
    for method in ("linear", "nearest"):
        for scale in ("lin", "log", "sqrt"):
            for fill_value in (None, 0.0) if scale != "log" else (None,):  # gammapy fills with the exponential of the value
                options = {"method": method, "values_scale": scale, "fill_value": fill_value}
                close(a.interp_by_coord(dict(coords), **options), to_host(b.interp_by_coord(dict(coords), **options)), rtol=1e-10)
    close(a.interp_by_coord(coords | sky), to_host(b.interp_by_coord(coords | sky)))
    close(a.get_by_coord(coords | sky), to_host(b.get_by_coord(coords | sky)))
    close(a.integral("energy", dict(coords)), u.Quantity(to_host(b.to_host().integral("energy", dict(coords)))))
    points = {"skycoord": SkyCoord(np.full(100, 83.63), np.full(100, 22.01), unit="deg")}
    points |= {"energy": np.random.default_rng(7).uniform(0.5, 20, 100) * u.TeV, "rad": np.random.default_rng(8).uniform(0, 3, 100) * u.deg}
    weights = np.random.default_rng(9).uniform(size=100)
    for m in (a, b):
        m.fill_by_coord(dict(points), weights=weights)
        m.fill_by_coord(dict(points))
    close(a.data, to_host(b.data))
    for m in (a, b):
        m.set_by_idx((0, 0, 1, 2), 5.0)
        m.set_by_coord({"skycoord": CENTER, "energy": 2 * u.TeV, "rad": 1.2 * u.deg}, 6.0)
        m.normalize("rad")
    same(a, b)


def test_statistic_profiles(backend):
    norm = np.array([0, 0.3, 1, 1.5, 4])
    out = []
    for p in (peer, ours):
        axes = [p.MapAxis.from_nodes(norm, name="norm", interp="lin"), p.MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)]
        m = p.RegionNDMap.create(None, axes=axes, dtype=float)
        m.data[..., 0, 0] = [4 * (norm - 1) ** 2, (norm - 3) ** 2 + norm]
        m.data[1, 4] = np.nan
        out.append(m)
    coords = {"norm": np.linspace(-1, 5, 31)[:, np.newaxis], "energy": [2, 3, 8] * u.TeV}
    for method in ("linear", "nearest"):
        options = {"values_scale": "stat-profile", "method": method}
        close(out[0].interp_by_coord(dict(coords), **options), to_host(out[1].to_device(backend).interp_by_coord(dict(coords), **options)))
    got = to_host(out[1].to_device(backend).interp_by_coord({"norm": [0.5, 2], "energy": 1.2 * u.TeV}, values_scale="stat-profile"))
    assert got.shape == (2,)


def test_no_region(backend):
    a, b = map_pair("none")
    b = b.to_device(backend)
    coords = {"energy": [0.3, 2, 7, 30] * u.TeV, "rad": 1.2 * u.deg}
    close(a.interp_by_coord(dict(coords)), to_host(b.interp_by_coord(dict(coords))))
    same(a.upsample(2, axis_name="energy"), b.upsample(2, axis_name="energy"))
    same(a.resample_axis(peer.MapAxis.from_energy_edges([1, 10] * u.TeV)), b.resample_axis(ours.MapAxis.from_energy_edges([1, 10] * u.TeV)))


@pytest.mark.parametrize("dtype", ["float32", float, int])
def test_stack(dtype, backend):
    a, b = map_pair(dtype=dtype)
    for p, m in ((peer, a), (ours, b)):
        other = p.RegionNDMap.from_geom(m.geom, data=m.data.astype(float), unit="min")
        if dtype is not int:  # gammapy turns NaN into the smallest integer
            other.data[0, 0] = np.nan
        if p is ours:
            m, other = m.to_device(backend), other.to_device(backend)
        weights = other > 0.02 * u.min
        m.stack(other, weights=weights)
        if p is ours:
            b = m
    if dtype is int:  # gammapy cuts the decimals off
        before = map_pair(dtype=dtype)[1].data
        a.data = before + 60.0 * before * (before > 0.02)
    same(a, b, rtol=1e-6 if dtype == "float32" else 1e-12)


def test_sample_coord():
    a, b = map_pair()
    x, y = (m.sample_coord(50, random_state=4) for m in (a, b))
    assert x.axis_names == y.axis_names
    for name in x.axis_names:
        close(u.Quantity(x[name]), u.Quantity(y[name]), atol=1e-9)


@pytest.mark.parametrize("name", ["circle", "point", "none"])
def test_gadf_files(name, tmp_path):
    a, b = map_pair(name, dtype="float32", meta=None)
    a.write(tmp_path / "a.fits", hdu="counts")
    b.write(tmp_path / "b.fits", hdu="counts")
    for path in ("a.fits", "b.fits"):
        x, y = (p.RegionNDMap.read(tmp_path / path, hdu="COUNTS") for p in (peer, ours))
        same(x, y)
        close(x.data, a.data)
        assert (x.geom.region is None) == (y.geom.region is None)
        same(peer.Map.read(tmp_path / path, hdu="COUNTS", map_type="region", format="gadf"), ours.Map.read(tmp_path / path, hdu="COUNTS"))
    same_table(a.to_table(), b.to_table())


def same_table(a, b):
    assert a.colnames == b.colnames
    for name in a.colnames:
        assert str(a[name].unit or "") == str(b[name].unit or "")
        assert a[name].dtype == b[name].dtype
        close(np.asarray(a[name]), np.asarray(b[name]))
    assert {key.upper(): value for key, value in a.meta.items()} == {key.upper(): value for key, value in b.meta.items()}


def test_ogip_spectrum(tmp_path):
    a, b = map_pair(axes=energy, unit="", dtype="float32")
    for m in (a, b):
        m.data[:, 0, 0] = [0, 3, np.nan, 7, 2, 1]
        m.meta["telescop"] = "HESS"
    same_table(a.to_table("ogip"), b.to_table("ogip"))
    a.write(tmp_path / "a.fits", format="ogip")
    for format in ("ogip", "ogip-sherpa"):  # gammapy fails to write the second
        b.write(tmp_path / "b.fits", format=format, overwrite=True)
        for path in ("a.fits", "b.fits"):
            x, y = (p.RegionNDMap.read(tmp_path / path, format="ogip") for p in (peer, ours))
            same(x, y)
            assert y.meta == dict(x.meta)
            assert y.meta["TELESCOP"] == "HESS"
            assert x.geom.region is not None
        assert y.geom.axes[0].unit == ("keV" if "sherpa" in format else "TeV")
    same(peer.Map.from_hdulist(a.to_hdulist("ogip"), map_type="region", format="ogip"), ours.Map.read(tmp_path / "a.fits", format="ogip"))


@pytest.mark.parametrize("format", ["ogip-arf", "ogip-arf-sherpa"])
def test_ogip_area(format, tmp_path):
    a, b = map_pair(axes=lambda p: [energy(p)[0].copy(name="energy_true")], unit="m2")
    same_table(a.to_table(format), b.to_table(format))
    for number, m in enumerate((a, b)):
        m.write(tmp_path / f"{number}.fits", format=format)
        x, y = (p.RegionNDMap.read(tmp_path / f"{number}.fits", format="ogip-arf") for p in (peer, ours))
        same(x, y)
        assert y.meta == dict(x.meta)
        assert y.unit == ("cm2" if "sherpa" in format else "m2")


REAL = {
    "fact": ("joint-crab", "fact"),
    "fermi": ("joint-crab", "fermi"),
    "hess": ("joint-crab", "hess"),
    "magic": ("joint-crab", "magic"),
    "veritas": ("joint-crab", "veritas"),
    "pks2155": ("pks2155-steady",),
    "simulated": ("simulated",),
}


@pytest.mark.parametrize("name", REAL)
def test_real_ogip_files(name, tmp_path):
    """Spectra, background and effective area of real files: every column, the region, the keywords; and what is written again."""
    number = 0
    for path in sorted(shared_data(*REAL[name]).glob("*.fits*")):
        with fits.open(path) as hdulist:
            names = [hdu.name for hdu in hdulist]
        if "SPECTRUM" in names and "EBOUNDS" in names:
            kind, columns = "ogip", ("COUNTS", "QUALITY", "BACKSCAL")
        elif "SPECRESP" in names:
            kind, columns = "ogip-arf", ("SPECRESP",)
        else:
            continue
        number += 1
        for column in columns:
            x, y = (p.RegionNDMap.read(path, format=kind, ogip_column=column) for p in (peer, ours))
            same(x, y)
            assert y.meta == {key: value for key, value in x.meta.items() if key not in ("COMMENT", "HISTORY", "comments")}
            assert (x.geom.region is None) == (y.geom.region is None)
            if y.geom.region is not None:
                assert x.geom.center_skydir.separation(y.geom.center_skydir).deg < 1e-9
                close(x.geom.solid_angle(), y.geom.solid_angle(), rtol=1e-9)
        m = ours.RegionNDMap.read(path, format=kind)
        m.write(tmp_path / "m.fits", format=kind, overwrite=True)
        same(peer.RegionNDMap.read(tmp_path / "m.fits", format=kind), m)
    assert number >= 3


def test_columns_of_flux_point_tables():
    table = Table(
        {
            "e_ref": [1.5, 3.5] * u.TeV,
            "e_min": [1.0, 2] * u.TeV,
            "e_max": [2.0, 5] * u.TeV,
            "norm": [1.0, 1.2],
            "dnde": [1e-12, 2e-13] * u.Unit("cm-2 s-1 TeV-1"),
            "norm_scan": [[0.5, 1, 2]] * 2,
            "stat_scan": [[3.0, 1, 4], [1, 5, 9]],
            "counts": [[1, 2], [3, 4]],
        }
    )
    for column in ("norm", "dnde", "stat_scan", "counts"):
        same(*both(lambda p, column=column: p.RegionNDMap.from_table(table, format="gadf-sed", colname=column)))
    del table["e_min"]
    same(*both(lambda p: p.RegionNDMap.from_table(table, format="gadf-sed", colname="norm")))
