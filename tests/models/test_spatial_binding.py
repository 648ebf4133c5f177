"""The engine's view of shapes: images against `integrate_geom`, derivatives against differences."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import ModelError
from gpudl4.maps import WcsGeom
from gpudl4.models import GaussianSpatialModel, PointSpatialModel

from .numeric import derivative, relative_error
from .test_spatial import DiskLikeSpatialModel

CRAB = SkyCoord(83.6, 22.0, unit="deg", frame="icrs")
GEOMS = [("icrs", "TAN"), ("galactic", "CAR"), ("galactic", "TAN"), ("icrs", "CAR")]


def make_geom(frame="icrs", proj="TAN", npix=(41, 31), binsz=0.05, position=CRAB):
    centre = position.transform_to(frame)
    return WcsGeom.create(skydir=(centre.data.lon.deg, centre.data.lat.deg), binsz=binsz, npix=npix, frame=frame, proj=proj)


def offset_position(frame):
    return SkyCoord(83.75, 22.13, unit="deg").transform_to(frame)


def assert_image_derivatives(bound, values, steps, skip=(), tolerance=1e-7):
    gradient = bound.gradient(values)
    weight = np.random.default_rng(0).normal(size=bound.image(values).shape)
    pulled = bound.pullback(values, weight)
    want = np.einsum("bpyx,byx->bp", gradient, weight)
    np.testing.assert_allclose(pulled, want, rtol=1e-10, atol=1e-12 * np.abs(want).max())
    for row, point in enumerate(values):
        for p, step in enumerate(steps):
            if p in skip:
                continue
            numeric = derivative(lambda x: bound.image(x[np.newaxis])[0], point, p, step)
            assert relative_error(gradient[row, p], numeric) < tolerance, p


@pytest.mark.parametrize("model_frame", ["icrs", "galactic"])
@pytest.mark.parametrize(("frame", "proj"), GEOMS)
def test_point(frame, proj, model_frame):
    geom = make_geom(frame, proj)
    model = PointSpatialModel.from_position(offset_position(model_frame))
    bound = model.bind_point(geom)
    values = np.repeat(model.parameters.value[np.newaxis], 3, axis=0)
    values[1:] += np.random.default_rng(1).normal(scale=0.2, size=(2, 2))
    xy, dxy = bound.position(values)
    assert xy.shape == (3, 2)
    for row, (lon, lat) in enumerate(values):
        pixel = SkyCoord(lon, lat, unit="deg", frame=model_frame).to_pixel(geom.wcs)
        np.testing.assert_allclose(xy[row], pixel, atol=1e-10)
        for p in range(2):
            numeric = derivative(lambda x: bound.position(x[np.newaxis])[0][0], values[row], p, 1e-3)
            np.testing.assert_allclose(dxy[row, :, p], numeric, atol=1e-8 * np.abs(dxy[row]).max())


def test_point_in_radian():
    geom = make_geom()
    a = PointSpatialModel(lon_0="83.7 deg", lat_0="22.1 deg")
    b = PointSpatialModel(lon_0=a.lon_0.quantity.to("rad"), lat_0=a.lat_0.quantity.to("arcmin"))
    (xy, dxy), (xy_b, dxy_b) = (m.bind_point(geom).position(m.parameters.value[np.newaxis]) for m in (a, b))
    np.testing.assert_allclose(xy, xy_b, atol=1e-9)
    np.testing.assert_allclose(dxy_b, dxy * [np.rad2deg(1), 1 / 60], rtol=1e-9)


def test_point_keeps_all_digits_in_its_own_frame():
    geom = WcsGeom.create(skydir=(0, 0), npix=(11, 11), binsz=0.02, frame="galactic")
    model = PointSpatialModel(lon_0="-0.04 deg", lat_0="0.04 deg", frame="galactic")
    xy = model.bind_point(geom).position(model.parameters.value[np.newaxis])[0][0]
    assert tuple(xy) == tuple(float(c) for c in model.position.to_pixel(geom.wcs))


def test_point_near_and_at_the_pole():
    geom = WcsGeom.create(skydir=(0, 90), npix=(21, 21), binsz=0.1, frame="icrs", proj="TAN")
    bound = PointSpatialModel().bind_point(geom)
    values = np.array([[40.0, 89.9999], [200.0, 89.5]])
    xy, dxy = bound.position(values)
    for row in range(2):
        for p, step in ((0, 1e-2), (1, 1e-5)):
            numeric = derivative(lambda x: bound.position(x[np.newaxis])[0][0], values[row], p, step)
            np.testing.assert_allclose(dxy[row, :, p], numeric, rtol=1e-6, atol=1e-9)
    xy, dxy = bound.position(np.array([[0.0, 90.0]]))
    np.testing.assert_allclose(xy, [[10, 10]], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(dxy[0], axis=0), [0, 10], atol=1e-6)


def test_point_at_the_seam_of_an_all_sky_map():
    geom = WcsGeom.create(npix=(360, 180), binsz=1, frame="icrs", proj="CAR")
    bound = PointSpatialModel().bind_point(geom)
    for lon in (180.0, 179.9999, -179.9999):
        _, dxy = bound.position(np.array([[lon, 20.0]]))
        np.testing.assert_allclose(dxy[0], [[-1, 0], [0, 1]], atol=1e-7)


def test_point_behind_the_tangent_plane_is_nan():
    xy, _ = PointSpatialModel().bind_point(make_geom()).position(np.array([[263.6, -22.0]]))
    assert np.isnan(xy).all()


GAUSSIANS = [
    pytest.param(0.3, 0, 0, 1, id="one sample per pixel"),
    pytest.param(0.3, 0.6, 40, 1, id="elongated"),
    pytest.param(0.04, 0, 0, 4, id="oversampled"),
    pytest.param(0.06, 0.9, -130, 3, id="oversampled, elongated"),
    pytest.param(0.006, 0, 0, 25, id="much smaller than a pixel"),
]


@pytest.mark.parametrize(("sigma", "e", "phi", "factor"), GAUSSIANS)
@pytest.mark.parametrize(
    ("frame", "proj", "model_frame"), [("icrs", "TAN", "galactic"), ("galactic", "CAR", "icrs"), ("icrs", "CAR", "icrs")]
)
def test_gauss(sigma, e, phi, factor, frame, proj, model_frame):
    geom = make_geom(frame, proj)
    model = GaussianSpatialModel.from_position(offset_position(model_frame), sigma=sigma * u.deg, e=e, phi=phi * u.deg)
    bound = model.bind_image(geom)
    assert bound.sampling.factor == factor
    values = np.repeat(model.parameters.value[np.newaxis], 2, axis=0)
    values[1] *= [1.0001, 1.0003, 1.02, 0.98, 1.1]
    image = bound.image(values)
    assert image.shape == (2, 31, 41)
    np.testing.assert_allclose(image[0], model.integrate_geom(geom).data, atol=1e-11 * image.max())
    steps = 1e-3 * sigma, 1e-3 * sigma, 1e-3 * sigma, 1e-4, 1e-2
    assert_image_derivatives(bound, values, steps, skip=(3, 4) if e == 0 else ())


def test_gauss_units_of_the_parameters():
    geom = make_geom()
    a = GaussianSpatialModel(lon_0="83.7 deg", lat_0="22.1 deg", sigma="0.2 deg", e=0.5, phi="30 deg")
    b = GaussianSpatialModel(lon_0="83.7 deg", lat_0="22.1 deg", sigma="12 arcmin", e=0.5, phi=np.pi / 6 * u.rad)
    bound = [m.bind_image(geom) for m in (a, b)]
    values = [m.parameters.value[np.newaxis] for m in (a, b)]
    np.testing.assert_allclose(bound[0].image(values[0]), bound[1].image(values[1]), rtol=1e-10)
    slopes = [one.gradient(v) for one, v in zip(bound, values, strict=True)]
    factor = np.array([1, 1, 1 / 60, 1, np.rad2deg(1)])[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(slopes[1], slopes[0] * factor, rtol=1e-8, atol=1e-12)


def test_gauss_longitude_wraps():
    geom = WcsGeom.create(skydir=(0, 0), npix=(31, 21), binsz=0.1, frame="galactic")
    model = GaussianSpatialModel(lon_0="0.05 deg", sigma="0.3 deg", frame="galactic")
    bound = model.bind_image(geom)
    values = np.repeat(model.parameters.value[np.newaxis], 2, axis=0)
    values[1, 0] += 360
    np.testing.assert_allclose(bound.image(values)[1], bound.image(values)[0], rtol=1e-10)
    np.testing.assert_allclose(bound.gradient(values)[1], bound.gradient(values)[0], rtol=1e-8, atol=1e-12)


def test_pixels_without_sky_hold_nothing():
    geom = WcsGeom.create(npix=(90, 50), binsz=4, frame="galactic", proj="AIT")
    model = GaussianSpatialModel(sigma="60 deg", frame="galactic")
    bound = model.bind_image(geom)
    image = bound.image(model.parameters.value[np.newaxis])[0]
    assert image[0, 0] == 0
    assert np.all(np.isfinite(bound.gradient(model.parameters.value[np.newaxis])))
    assert image.sum() == pytest.approx(1, abs=5e-2)


def test_window_is_fixed_and_validity_follows():
    geom = make_geom(npix=(81, 81), binsz=0.02)
    model = GaussianSpatialModel(lon_0="83.6 deg", lat_0="22 deg", sigma="0.05 deg")
    bound = model.bind_image(geom)
    values = model.parameters.value
    assert bound.sampling.factor == 2
    assert (bound.sampling.rows, bound.sampling.columns) == (slice(28, 53), slice(28, 53))
    assert bound.is_valid(values[np.newaxis])

    def moved(lon=0.0, lat=0.0, sigma=1.0):
        return np.array([[values[0] + lon, values[1] + lat, values[2] * sigma, 0, 0]])

    assert bound.is_valid(moved(lat=0.018))
    assert not bound.is_valid(moved(lat=0.06))
    assert not bound.is_valid(moved(lon=-0.1))
    assert bound.is_valid(moved(sigma=0.9))  # smaller, same factor: the window is more than enough
    assert not bound.is_valid(moved(sigma=0.5))  # another factor
    assert not bound.is_valid(moved(sigma=1.3))
    assert not bound.is_valid(np.concatenate([moved(), moved(sigma=3)]))
    outside = bound.image(values[np.newaxis])[0].copy()
    outside[bound.sampling.rows, bound.sampling.columns] = 0
    assert np.all(outside == 0)


def test_one_sample_per_pixel_stays_valid_where_the_source_goes():
    geom = make_geom()
    model = GaussianSpatialModel(lon_0="83.6 deg", lat_0="22 deg", sigma="0.3 deg")
    bound = model.bind_image(geom)
    assert bound.is_valid(np.array([[83.9, 22.3, 0.4, 0, 0]]))
    assert not bound.is_valid(np.array([[83.9, 22.3, 0.1, 0, 0]]))


def test_bound_image_is_a_snapshot():
    geom = make_geom()
    for model in (GaussianSpatialModel(lon_0="83.6 deg", lat_0="22 deg", sigma="0.1 deg"), DiskLikeSpatialModel()):
        values = model.parameters.value[np.newaxis]
        bound = model.bind_image(geom)
        before = bound.image(values)
        model.lon_0.quantity = "0.3 rad"
        model.frame = "galactic"
        np.testing.assert_array_equal(bound.image(values), before)
        with pytest.raises(ModelError, match=r"values of shape \[B, "):
            bound.image(np.ones(3))


def test_users_model_by_differences():
    geom = make_geom()
    model = DiskLikeSpatialModel()
    bound = model.bind_image(geom)
    values = np.repeat(model.parameters.value[np.newaxis], 2, axis=0)
    values[1] *= [1.0002, 1.0004, 1.1]
    np.testing.assert_allclose(bound.image(values)[0], model.integrate_geom(geom).data, atol=1e-12)
    assert_image_derivatives(bound, values, (1e-3, 1e-3, 1e-3))
    assert bound.is_valid(values)


def test_users_model_with_oversampling():
    class Fine(DiskLikeSpatialModel):
        tag = "fine"

        @property
        def evaluation_bin_size_min(self):
            return self.radius.quantity / 10

    geom = make_geom()
    model = Fine(radius="0.2 deg")
    bound = model.bind_image(geom)
    assert bound.sampling.factor == 3
    values = model.parameters.value[np.newaxis]
    np.testing.assert_allclose(bound.image(values)[0], model.integrate_geom(geom).data, atol=1e-12)
    assert_image_derivatives(bound, values, (1e-3, 1e-3, 1e-3))
    assert not bound.is_valid(values * [1, 1, 0.5])


def test_users_model_with_its_own_integration():
    class Rounded(DiskLikeSpatialModel):
        tag = "rounded"

        def evaluate_geom(self, geom):
            return 2 * super().evaluate_geom(geom)

    class OwnGauss(GaussianSpatialModel):
        tag = "own-gauss"

        @staticmethod
        def evaluate(lon, lat, lon_0, lat_0, sigma, e, phi):
            return 3 * GaussianSpatialModel.evaluate(lon, lat, lon_0, lat_0, sigma, e, phi)

    geom = make_geom()
    values = DiskLikeSpatialModel().parameters.value[np.newaxis]
    np.testing.assert_allclose(Rounded().bind_image(geom).image(values), 2 * DiskLikeSpatialModel().bind_image(geom).image(values))
    arguments = {"lon_0": "83.6 deg", "lat_0": "22 deg", "sigma": "0.1 deg"}
    values = GaussianSpatialModel(**arguments).parameters.value[np.newaxis]
    bound = OwnGauss(**arguments).bind_image(geom)
    np.testing.assert_allclose(bound.image(values), 3 * GaussianSpatialModel(**arguments).bind_image(geom).image(values), rtol=1e-9)
    assert_image_derivatives(bound, values, (1e-3, 1e-3, 1e-3), tolerance=1e-6)
