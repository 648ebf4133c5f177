import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import ModelError, UnitMismatchError
from gpudl4.maps import MapAxis, WcsGeom
from gpudl4.models import GaussianSpatialModel, Parameter, PointSpatialModel, SpatialModel


@pytest.fixture
def geom():
    return WcsGeom.create(skydir=(83.6, 22), binsz=0.05, npix=(41, 31), frame="icrs", proj="TAN")


def test_position_and_frames():
    model = PointSpatialModel(lon_0="83.6 deg", lat_0=0.4 * u.rad)
    assert model.frame == "icrs"
    assert model.position.ra.deg == pytest.approx(83.6)
    assert model.position_lonlat == (pytest.approx(np.deg2rad(83.6)), pytest.approx(0.4))
    position = SkyCoord(10, -5, unit="deg", frame="galactic")
    other = GaussianSpatialModel.from_position(position, sigma="0.2 deg")
    assert (other.frame, other.lon_0.value, other.sigma.value) == ("galactic", 10, 0.2)
    model.position = position
    assert model.position.separation(position).deg == pytest.approx(0, abs=1e-9)
    assert model.lat_0.unit == u.rad
    with pytest.raises(ModelError, match="unknown frame 'fk5' of PointSpatialModel: choose one of icrs, galactic"):
        PointSpatialModel(frame="fk5")


@pytest.mark.parametrize("e", [0, 0.7])
@pytest.mark.parametrize("sigma", ["0.3 deg", "0.02 deg", "0.004 deg"])
def test_gauss_integrates_to_one(geom, e, sigma):
    model = GaussianSpatialModel(lon_0="83.61 deg", lat_0="22.02 deg", sigma=sigma, e=e, phi="20 deg")
    flux = model.integrate_geom(geom)
    assert flux.data.shape == (31, 41)
    lost = 0.05 if sigma == "0.3 deg" else 2e-4
    assert flux.data.sum() == pytest.approx(1, abs=lost)


def test_gauss_shape():
    model = GaussianSpatialModel(lon_0="10 deg", lat_0="0 deg", sigma="2 deg", e=0.8, phi="90 deg")
    centre = model(10 * u.deg, 0 * u.deg)
    assert centre.unit == u.Unit("sr-1")
    east, north = (model([12, 10] * u.deg, [0, 1.2] * u.deg) / centre).value
    assert east == pytest.approx(np.exp(-0.5), rel=1e-9)  # major axis points east, 1 sigma
    assert north == pytest.approx(np.exp(-0.5), rel=1e-3)  # minor axis: sigma sqrt(1 - 0.64)
    assert model.evaluation_radius == 10 * u.deg
    assert model.evaluation_bin_size_min == 2 / 3 * u.deg
    turned = GaussianSpatialModel(lon_0="10 deg", lat_0="0 deg", sigma="2 deg", e=0.8, phi="-90 deg")
    assert turned(11 * u.deg, 1 * u.deg).value == pytest.approx(model(11 * u.deg, 1 * u.deg).value)
    assert GaussianSpatialModel.evaluate(0.1, 0, 0.1, 0, 0.2, 0, 0).unit == u.Unit("sr-1")


def test_point_is_bilinear(geom):
    lon, lat = geom.pix_to_lonlat(10.25, 20.5)
    model = PointSpatialModel(lon_0=lon * u.deg, lat_0=lat * u.deg)
    data = model.integrate_geom(geom).data
    np.testing.assert_allclose(data[20:22, 10:12], [[0.375, 0.125], [0.375, 0.125]], atol=1e-9)
    assert data.sum() == pytest.approx(1)
    rate = model.evaluate_geom(geom)
    assert (rate * geom.solid_angle()).to_value("").sum() == pytest.approx(1)
    lon, lat = geom.pix_to_lonlat(40.5, 0)
    edge = PointSpatialModel(lon_0=lon * u.deg, lat_0=lat * u.deg)
    assert edge.integrate_geom(geom).data.sum() == pytest.approx(0.5)
    outside = PointSpatialModel(lon_0="263 deg", lat_0="-22 deg")
    assert outside.integrate_geom(geom).data.sum() == 0
    with pytest.raises(ModelError, match="use bind_point"):
        model.bind_image(geom)


def test_cubes_repeat_the_image(geom):
    cube = geom.to_cube([MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3, name="energy_true")])
    for model in (
        GaussianSpatialModel(lon_0="83.6 deg", lat_0="22 deg", sigma="0.05 deg"),
        PointSpatialModel(lon_0="83.6 deg", lat_0="22 deg"),
    ):
        data = model.integrate_geom(cube).data
        assert data.shape == (3, 31, 41)
        np.testing.assert_array_equal(data[1], model.integrate_geom(geom).data)


def test_source_outside_the_map_is_evaluated_at_pixel_centres(geom):
    model = GaussianSpatialModel(lon_0="86 deg", lat_0="22 deg", sigma="0.05 deg")
    assert model.sampling(geom).factor == 1
    assert model.integrate_geom(geom).data.sum() < 1e-100


def test_oversampling_factor_can_be_given(geom):
    model = GaussianSpatialModel(lon_0="83.6 deg", lat_0="22 deg", sigma="0.05 deg")
    assert model.sampling(geom).factor == 3
    assert model.sampling(geom, 7).factor == 7
    fine, coarse = model.integrate_geom(geom, 20).data, model.integrate_geom(geom).data
    assert fine.sum() == pytest.approx(coarse.sum(), rel=1e-4)
    assert np.abs(fine - coarse).max() < 2e-2 * fine.max()
    model.sigma.value = 0
    assert model.sampling(geom).factor == 200


def test_regions():
    pytest.importorskip("regions")
    gauss = GaussianSpatialModel(sigma="2 deg", e=0.6, phi="30 deg")
    region = gauss.to_region(size_factor=2)
    assert (region.height, region.width, region.angle) == (8 * u.deg, 6.4 * u.deg, 30 * u.deg)
    assert gauss.evaluation_region.height == 20 * u.deg
    assert PointSpatialModel().to_region().center.ra.deg == 0


class DiskLikeSpatialModel(SpatialModel):
    """A user's model with a soft edge."""

    tag = "disk-like"
    lon_0 = Parameter("lon_0", "83.6 deg")
    lat_0 = Parameter("lat_0", "22 deg", min=-90, max=90)
    radius = Parameter("radius", "0.3 deg", min=0)

    @staticmethod
    def evaluate(lon, lat, lon_0, lat_0, radius):
        distance = np.hypot((lon - lon_0) * np.cos(lat_0), lat - lat_0)
        return np.exp(-((distance / radius).to_value("") ** 4)) / (radius**2 * 2.7842).to("sr")

    @property
    def evaluation_radius(self):
        return 2 * self.radius.quantity


def test_users_model(geom):
    model = DiskLikeSpatialModel()
    assert not model.is_energy_dependent
    assert model.integrate_geom(geom).data.sum() == pytest.approx(1, abs=2e-3)
    pytest.importorskip("regions")
    assert model.evaluation_region.radius == 0.6 * u.deg


def test_energy_dependent_model(geom):
    class Growing(SpatialModel):
        tag = "growing"
        size = Parameter("size", "0.1 deg")

        @staticmethod
        def evaluate(lon, lat, energy, size):
            return np.ones(lon.shape) * (energy / u.TeV).to_value("") / size.to("rad") ** 2

    cube = geom.to_cube([MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3, name="energy_true")])
    model = Growing()
    assert model.is_energy_dependent
    assert model.evaluate_geom(cube).shape == (3, 31, 41)
    assert model.integrate_geom(cube).data.shape == (3, 31, 41)
    with pytest.raises(ModelError, match="Growing depends on energy, which fits do not support yet"):
        model.bind_image(geom)
    with pytest.raises(ModelError, match="Growing depends on energy: pass `energy`"):
        model(1 * u.deg, 1 * u.deg)


def test_wrong_unit_of_a_users_model(geom):
    class Flat(SpatialModel):
        tag = "flat"

        @staticmethod
        def evaluate(lon, lat):
            return np.ones(lon.shape) / u.m

    with pytest.raises(UnitMismatchError, match="Flat: the value has unit '1 / m', a spatial model must give sr-1"):
        Flat().integrate_geom(geom)


def test_dict():
    model = GaussianSpatialModel(lon_0="3 deg", sigma="0.2 deg", frame="galactic")
    data = model.to_dict()
    assert list(data["spatial"]) == ["type", "frame", "parameters"]
    again = GaussianSpatialModel.from_dict(data)
    assert (again.frame, again.lon_0.value, again.sigma.value) == ("galactic", 3, 0.2)
    del data["spatial"]["frame"]
    assert GaussianSpatialModel.from_dict(data).frame == "icrs"


@pytest.mark.parametrize("correlation", [0.0, 0.9, -0.7])
def test_ellipse_of_the_position_holds_95_percent(correlation):
    pytest.importorskip("regions")
    model = PointSpatialModel(lon_0="40 deg", lat_0="60 deg", frame="icrs")
    lon_error, lat_error = 0.03, 0.01
    mixed = correlation * lon_error * lat_error
    model.covariance = np.array([[lon_error**2, mixed], [mixed, lat_error**2]])
    ellipse = model.position_error
    drawn = np.random.default_rng(2).multivariate_normal([40, 60], model.covariance.data, size=20000)
    wcs = WcsGeom.create(skydir=model.position, width=1, binsz=0.001, proj="TAN", frame="icrs").wcs
    inside = ellipse.contains(SkyCoord(*drawn.T, unit="deg"), wcs)
    assert inside.mean() == pytest.approx(0.95, abs=0.006)
    peer = pytest.importorskip("gammapy.modeling.models").PointSpatialModel(lon_0=40 * u.deg, lat_0=60 * u.deg, frame="icrs")
    peer.covariance = model.covariance.data
    for name in ("width", "height"):
        assert getattr(ellipse, name).to_value("deg") == pytest.approx(getattr(peer.position_error, name).to_value("deg"), rel=1e-6)


def test_no_errors_have_no_ellipse_and_no_ring():
    pytest.importorskip("regions")
    assert PointSpatialModel().position_error is None
    model = GaussianSpatialModel(sigma="0.3 deg", e=0.6)
    assert model.region_of_size_error() is None
    model.sigma.error, model.e.error = 0.02, 0.1
    wide = model.region_of_size_error()
    assert wide.inner_width.value == pytest.approx(2 * 0.28 * np.sqrt(1 - 0.7**2))
    assert wide.outer_width.value == pytest.approx(2 * 0.32 * np.sqrt(1 - 0.5**2))
    model.e.error = 0
    ring = model.region_of_size_error(2)
    assert (ring.inner_height.value, ring.outer_height.value) == pytest.approx((4 * 0.28, 4 * 0.32))
    peer = pytest.importorskip("gammapy.modeling.models").GaussianSpatialModel(sigma="0.3 deg", e=0.6)
    peer.sigma.error = 0.02
    other = peer._to_region_error(2)
    for name in ("inner_width", "outer_width", "inner_height", "outer_height", "angle"):
        assert getattr(ring, name).to_value("deg") == pytest.approx(getattr(other, name).to_value("deg"))
