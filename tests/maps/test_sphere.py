"""Spherical geometry on plain arrays."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.maps import WcsGeom
from gpudl4.maps.sphere import circle, pixel_solid_angle, separation


def test_separation_agrees_with_astropy():
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-3, 3, (2, 100)), rng.uniform(-1.5, 1.5, (2, 100))
    a, b = (SkyCoord(x, y, unit="rad") for x, y in zip(lon, lat, strict=True))
    np.testing.assert_allclose(separation(lon[0], lat[0], lon[1], lat[1]), a.separation(b).rad, rtol=1e-12)
    assert separation(0.1, 0.2, 0.1, 0.2) == 0
    np.testing.assert_allclose(separation(0, 0, np.pi, 0), np.pi)


def test_solid_angle_near_the_exact_value():
    lon, lat = np.meshgrid(np.arange(5) * 0.1, 60 + np.arange(8) * 0.1)
    exact = np.deg2rad(0.1) * np.diff(np.sin(np.deg2rad(lat[:, 0])))
    np.testing.assert_allclose(pixel_solid_angle(lon, lat), np.repeat(exact[:, np.newaxis], 4, axis=1), rtol=1e-6)


def test_shortcut_for_equal_columns_changes_nothing():
    lon, lat = np.meshgrid(359.9 + np.arange(6) * 0.05, np.arange(4) * 0.05)
    lon = lon % 360
    shortcut = pixel_solid_angle(lon, lat)
    bent = lat.copy()
    bent[0, 0] += 1e-12
    np.testing.assert_allclose(pixel_solid_angle(lon, bent), shortcut, rtol=1e-8)


@pytest.mark.parametrize(("binsz", "precision"), [(5, 3e-3), (2, 1e-3), (1, 5e-4)])
@pytest.mark.parametrize("proj", ["CAR", "AIT", "MOL", "ARC", "ZEA"])
def test_whole_sky(proj, binsz, precision):
    geom = WcsGeom.create(binsz=binsz, proj=proj, width=None if proj in ("CAR", "AIT", "MOL") else (360, 360))
    angle = geom.solid_angle()
    assert angle.unit == "sr"
    assert (angle.value >= 0).all()
    np.testing.assert_allclose(angle.value.sum(), 4 * np.pi, rtol=6e-3 if proj == "ZEA" else precision)


def test_half_of_the_sky():
    geom = WcsGeom.create(binsz=2, proj="SIN")
    assert geom.solid_angle().value.sum() == pytest.approx(2 * np.pi, rel=4e-2)  # at the limb the solid angle of a pixel has no bound


@pytest.mark.parametrize("proj", ["CAR", "TAN", "AIT", "MOL", "ARC", "SIN", "ZEA"])
@pytest.mark.parametrize("skydir", [(0, 0), (83, 60)])
def test_pixels_against_sums_over_small_parts(proj, skydir):
    """A tenth of a pixel is bounded by great circles as well as by straight lines; what makes the difference is the pixel's own size."""
    geom = WcsGeom.create(npix=(60, 40), binsz=2, proj=proj, skydir=skydir, frame="galactic")
    whole, parts = geom.solid_angle().value, geom.upsample(10).solid_angle().value
    sums = parts.reshape(40, 10, 60, 10).sum(axis=(1, 3))
    inside = np.isfinite(geom.get_coord(mode="edges").lon.value)
    inside = inside[:-1, :-1] & inside[1:, :-1] & inside[:-1, 1:] & inside[1:, 1:] & (sums < 1.2 * np.median(sums[sums > 0]))
    assert inside.mean() > 0.5
    np.testing.assert_allclose(whole[inside], sums[inside], rtol=3e-3)
    np.testing.assert_allclose(whole[inside].sum(), sums[inside].sum(), rtol=5e-4)


def test_equal_area_projections():
    """Pixels of equal-area projections that lie wholly on the sky have one solid angle, (pi / 180)^2 per square degree."""
    for proj in ("AIT", "MOL", "ZEA"):
        geom = WcsGeom.create(binsz=1, proj=proj)
        lat = geom.get_coord().lat.value
        angle = geom.solid_angle().value[np.isfinite(lat) & (np.abs(lat) < 60)] / np.deg2rad(1) ** 2
        assert np.median(angle) == pytest.approx(1, rel=1e-4)
        assert np.percentile(np.abs(angle - 1), 95) < 5e-3


def test_pixels_beyond_the_sky_have_no_area():
    geom = WcsGeom.create(binsz=5, proj="AIT")
    angle = geom.solid_angle().value
    assert angle[0, 0] == 0
    beyond = np.isnan(geom.get_coord(mode="edges").lon.value)
    beyond = beyond[:-1, :-1] & beyond[1:, :-1] & beyond[:-1, 1:] & beyond[1:, 1:]
    assert (angle[beyond] == 0).all()
    assert np.isfinite(geom.bin_volume()).all()


def test_circle():
    for lon, lat in ((10, 20), (0, 90), (200, -89.9)):
        around = circle(lon, lat, 5, 32)
        np.testing.assert_allclose(separation(*np.deg2rad([lon, lat]), *np.deg2rad(around)), np.deg2rad(5), rtol=1e-12)
