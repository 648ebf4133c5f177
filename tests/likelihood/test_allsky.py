"""Predicted counts on maps of the whole sky: all of a source, but for what lies beyond the end of the map, whatever the projection."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.datasets import MapDataset
from gpudl4.irf import PSFMap
from gpudl4.maps import Map, MapAxis, WcsGeom
from gpudl4.models import GaussianSpatialModel, PointSpatialModel, PowerLawSpectralModel, SkyModel
from tests.arrays import host

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=1)
TRUE = ENERGY.copy(name="energy_true")
SPECTRUM = PowerLawSpectralModel(index=2, amplitude="1e-9 cm-2 s-1 TeV-1")
EXPOSURE = 1e12
TOTAL = EXPOSURE * SPECTRUM.integral(1 * u.TeV, 10 * u.TeV).to_value("cm-2 s-1")
WHOLE = {"CAR": None, "AIT": None, "MOL": None, "ARC": (360, 360), "ZEA": (240, 240)}  # the whole sky, but for the corners of the last
PLACES = {
    "off the centre": (-80, 30),
    "at the edge": (175, 10),
    "on the edge": (180, 0),
    "on the other edge": (-180, -40),
    "at 0": (0.3, -5),
    "near a pole": (40, 80),
    "beside a pole": (179, -85),
}


def dataset(proj, binsz=2, psf=None, width=None, frame="galactic"):
    geom = WcsGeom.create(binsz=binsz, proj=proj, frame=frame, axes=[ENERGY], width=width)
    exposure = Map.from_geom(geom.to_image().to_cube([TRUE]), unit="cm2 s", data=EXPOSURE)
    counts, safe = Map.from_geom(geom, data=0.0), Map.from_geom(geom, data=True)
    response = (
        None
        if psf is None
        else PSFMap.from_gauss(TRUE, sigma=psf * u.deg, rad_axis=MapAxis.from_bounds(0, 6 * psf, 200, unit="deg", name="rad"))
    )
    return MapDataset(counts=counts, exposure=exposure, mask_safe=safe, psf=response, name="sky")


def predicted(data, model):
    """Share of the counts of a model that is predicted."""
    data.models = [SkyModel(spatial_model=model, spectral_model=SPECTRUM.copy())]
    return float(host(data.npred_signal()).sum()) / TOTAL


def gauss(place, sigma):
    return GaussianSpatialModel(lon_0=place[0] * u.deg, lat_0=place[1] * u.deg, sigma=sigma * u.deg, frame="galactic")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("proj", WHOLE)
def test_gaussians_are_whole(proj, place):
    data, model = dataset(proj, width=WHOLE[proj]), gauss(PLACES[place], 8)
    if proj == "ZEA" and abs(PLACES[place][0]) > 170:
        pytest.skip("the map ends before")
    assert predicted(data, model) == pytest.approx(1, abs=4e-3)
    assert model.integrate_geom(data.exposure.geom).data.sum() == pytest.approx(1, abs=4e-3)


def test_sources_across_the_edge_on_each_backend(kernel_backend):
    data = dataset("AIT", binsz=4).to_device(kernel_backend)
    assert predicted(data, gauss((180, 0), 10)) == pytest.approx(1, abs=4e-3)
    assert predicted(data, PointSpatialModel(lon_0="170 deg", lat_0="10 deg", frame="galactic")) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("proj", WHOLE)
def test_a_gaussian_at_a_pole_is_whole(proj):
    data, model = dataset(proj, width=WHOLE[proj]), gauss((0, 90), 8)
    assert predicted(data, model) == pytest.approx(1, abs=6e-3)


@pytest.mark.parametrize("proj", ["CAR", "AIT"])
def test_small_pixels_make_it_exact(proj):
    sums = [predicted(dataset(proj, binsz=binsz), gauss((40, 80), 8)) for binsz in (4, 1)]
    assert sums[1] == pytest.approx(1, abs=5e-4)
    assert abs(sums[1] - 1) <= abs(sums[0] - 1) + 1e-4


@pytest.mark.parametrize("proj", ["TAN", "SIN"])
def test_half_of_the_sky_is_seen(proj):
    """What lies beyond the horizon of the projection, or the end of the map, is lost and nothing else is."""
    data = dataset(proj, width=(180, 180))
    assert predicted(data, gauss((10, -20), 6)) == pytest.approx(1, abs=2e-3)
    assert predicted(data, gauss((180, 0), 6)) == pytest.approx(0, abs=1e-6)
    assert predicted(data, PointSpatialModel(lon_0="20 deg", lat_0="30 deg", frame="galactic")) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("psf", [None, 0.5, 3])
@pytest.mark.parametrize("proj", ["CAR", "AIT", "MOL", "ARC", "ZEA", "SIN", "TAN"])
def test_points_are_whole(proj, psf):
    data = dataset(proj, psf=psf)
    for lon, lat in ((0.3, -5), (40, 20), (-30, 40)):
        point = PointSpatialModel(lon_0=lon * u.deg, lat_0=lat * u.deg, frame="galactic")
        assert predicted(data, point) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("proj", ["CAR", "AIT", "MOL"])
def test_points_near_the_edge_are_whole(proj):
    for lon, lat in ((175, 10), (-175, -30)):
        point = PointSpatialModel(lon_0=lon * u.deg, lat_0=lat * u.deg, frame="galactic")
        assert predicted(dataset(proj), point) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("skydir", [(0, 0), (0, 60), (100, -75)])
def test_longitudes_far_from_the_equator_of_a_plate_carree_map(skydir):
    """Away from its equator a circle on the sky is a wide ellipse on the map; a window of the circle's width would cut it off."""
    geom = WcsGeom.create(npix=(500, 60), binsz=0.2, frame="galactic", skydir=(skydir[0], 0), refpix=(250.5, 30.5 - skydir[1] / 0.2))
    model = gauss(skydir, 0.5)
    assert model.integrate_geom(geom).data.sum() == pytest.approx(1, abs=2e-4)


def test_windows_of_ordinary_maps_are_gammapys():
    geom = WcsGeom.create(npix=100, binsz=0.05, proj="TAN", skydir=(83.6, 22))
    for lon, lat, radius in ((83.6, 22, 0.5), (84.9, 23.1, 0.7), (86.2, 22, 0.4)):
        slices = geom.cutout_slices((lon, lat), 2 * radius)["parent-slices"]
        assert geom.grown_slices(slices, (lon, lat), radius) == slices


@pytest.mark.parametrize("proj", WHOLE)
@pytest.mark.parametrize("place", PLACES)
def test_grown_windows_hold_the_disk(proj, place):
    geom = WcsGeom.create(binsz=3, proj=proj, width=WHOLE[proj])
    for radius in (5, 25, 60):
        slices = (
            geom.cutout_slices(PLACES[place], 2 * radius)["parent-slices"] if geom.contains(SkyCoord(*PLACES[place], unit="deg")) else None
        )
        if slices is None:
            continue
        inside = geom.separation(PLACES[place]).deg <= radius
        grown = geom.grown_slices(slices, PLACES[place], radius)
        inside[grown] = False
        y, x = np.nonzero(inside)
        rows, columns = grown
        margin = [1 + 0.06 * (part.stop - part.start) for part in grown]
        assert ((y >= rows.start - margin[0]) & (y < rows.stop + margin[0])).all()
        assert ((x >= columns.start - margin[1]) & (x < columns.stop + margin[1])).all()
