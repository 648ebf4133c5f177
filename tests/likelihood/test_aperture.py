"""Datasets of one sky region: what a region sees of a shape, exact derivatives, fits, one energy bin, host and device."""

import warnings

import astropy.units as u
import numpy as np
import pytest

import gpudl4
from gpudl4.core.backend import to_host
from gpudl4.core.errors import DatasetError, ModelError
from gpudl4.irf import EDispKernelMap
from gpudl4.likelihood import assert_gradient, compile
from gpudl4.likelihood.aperture import _correlated
from tests import emulator, oracle
from tests.factory import make_dataset
from tests.regions import make_region_dataset, make_region_model

needs_emulator = pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))
LAUNCHES = 16


def test_correlation_equals_loops():
    rng = np.random.default_rng(0)
    image, kernel = rng.uniform(size=(5, 7)), rng.uniform(size=(9, 9))
    shape = rng.uniform(size=(5, 7))
    want = (image * oracle.convolve_same(shape, kernel)).sum()
    assert (_correlated(image, kernel[np.newaxis])[0] * shape).sum() == pytest.approx(want, rel=1e-12)


def test_without_psf_all_of_the_flux_is_seen(kernel_backend):
    dataset = make_region_dataset(psf=False).to_device(kernel_backend)
    predicted = {}
    for shape in (None, "point", "gauss"):
        dataset.models = [make_region_model(shape)]
        predicted[shape] = to_host(dataset.npred_signal().data)
    spectrum, geom = make_region_model(None).spectral_model, dataset.exposure.geom
    edges = geom.axes["energy_true"].edges
    flux = spectrum.integral(edges[:-1], edges[1:]).to_value("cm-2 s-1")
    exposure = to_host(dataset.exposure.data).ravel().astype(float) * 1e4
    edisp = dataset.edisp.get_edisp_kernel(energy_axis=dataset.counts.geom.axes["energy"]).pdf_matrix
    for counts in predicted.values():
        np.testing.assert_allclose(counts.ravel(), (flux * exposure) @ edisp, rtol=1e-12)


def test_no_region_at_all():
    dataset, other = make_region_dataset(region="none", psf=False), make_region_dataset(psf=False)
    dataset.models = other.models = [make_region_model("point")]
    np.testing.assert_array_equal(dataset.npred().data, other.npred().data)
    with pytest.warns(UserWarning, match="no data constrain"):
        assert gpudl4.Fit().run(dataset).unconstrained == ("source.lon_0", "source.lat_0")
    dataset.models["source"].spatial_model.freeze()
    assert gpudl4.Fit().run(dataset).success


@pytest.mark.parametrize("region", ["circle", "ellipse"])
@pytest.mark.parametrize(("shape", "offset"), [("point", 0.0), ("point", 0.05), ("gauss", 0.0), ("gauss", 0.1)])
def test_flux_outside_of_a_region_without_psf_is_told(region, shape, offset):
    """The share against Monte Carlo: where a source's photons fall."""
    dataset = make_region_dataset(region=region, psf=False)
    model = make_region_model(shape, offset=offset)
    dataset.models = [model]
    sigma = model.spatial_model.sigma.quantity.to_value("deg") if shape == "gauss" else 0.0
    rng, position = np.random.default_rng(1), model.spatial_model.position
    where = position.spherical_offsets_by(*(sigma * rng.normal(size=(2, 20000)) * u.deg))
    geom = dataset.counts.geom
    inside = geom.region.contains(where, geom.wcs).mean()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        likelihood = compile(dataset)
        likelihood.recompile(likelihood.theta0)
    told = [str(one.message) for one in caught if "no PSF" in str(one.message)]
    if inside == 1:
        assert told == []
    else:
        assert len(told) == 1
        assert "'test'" in told[0]
        assert "'source'" in told[0]
        share = float(told[0].split("though ")[1].split(" %")[0]) / 100
        assert share == pytest.approx(inside, abs=0.02)


def test_a_shape_without_effect_has_gradient_zero(kernel_backend):
    for psf in (False, True):  # without a PSF nothing of a shape matters, in a circle a point counts as central
        dataset = make_region_dataset(psf=psf).to_device(kernel_backend)
        dataset.models = [make_region_model("point", offset=0.05)]
        likelihood = compile(dataset)
        _, gradient = likelihood.value_and_gradient(likelihood.theta0)
        slopes = dict(zip(likelihood.names, gradient, strict=True))
        assert slopes["source.lon_0"] == slopes["source.lat_0"] == 0.0
        assert all(slopes[f"source.{name}"] != 0 for name in ("amplitude", "alpha", "beta"))
        assert_gradient(likelihood, likelihood.theta0, rtol=1e-6)
        assert set(likelihood.unconstrained(likelihood.theta0)) == {"source.lon_0", "source.lat_0"}


@pytest.mark.parametrize("shape", ["point", "gauss", "elongated"])
def test_gradient_of_shapes_seen_through_a_psf(kernel_backend, shape):
    dataset = make_region_dataset(region="ellipse").to_device(kernel_backend)
    dataset.models = [make_region_model(shape, offset=0.11)]
    for parameter in dataset.models.parameters:
        parameter.frozen = parameter.name == "reference"
    likelihood = compile(dataset)
    _, gradient = likelihood.value_and_gradient(likelihood.theta0)
    round_ones = {"source.e", "source.phi"} if shape == "gauss" else set()  # a circle has no orientation
    assert {name for name, slope in zip(likelihood.names, gradient, strict=True) if slope == 0} == round_ones
    assert_gradient(likelihood, likelihood.theta0, rtol=1e-6)


@pytest.mark.parametrize("shape", ["point", "gauss"])
def test_hessian_is_the_slope_of_the_gradient(shape):
    dataset = make_region_dataset(region="ellipse")
    dataset.models = [make_region_model(shape, offset=0.11)]
    likelihood = compile(dataset)
    theta, fisher = likelihood.theta0, likelihood.fisher(likelihood.theta0)
    step = 1e-3 * np.sqrt(2 / np.diag(fisher))
    step = np.minimum(step, 1e-3 * np.maximum(np.abs(theta), 1e-30))
    numeric = []
    for i, h in enumerate(step):
        e = np.zeros(len(theta))
        e[i] = h
        numeric.append((likelihood.value_and_gradient(theta + e)[1] - likelihood.value_and_gradient(theta - e)[1]) / (2 * h))
    scale = np.sqrt(np.diag(fisher))
    deviation = (likelihood.hessian(theta) - np.array(numeric)) / np.outer(scale, scale)
    assert np.abs(deviation).max() < 1e-3


def test_the_share_equals_the_slow_sum():
    dataset = make_region_dataset(region="rectangle")
    model = make_region_model("gauss", offset=0.1)
    dataset.models = [model]
    region = dataset.counts.geom.region
    image = dataset.exposure.geom.to_image().to_wcs_geom(width_min="4 deg")
    kernel = dataset.psf.get_psf_kernel(geom=image.to_cube(dataset.exposure.geom.axes), position=model.position).data
    weights = image.region_weights([region], oversampling_factor=10).data
    shape = model.spatial_model.integrate_geom(image).data
    share = np.array([(weights * oracle.convolve_same(shape, plane)).sum() for plane in kernel])
    edges = dataset.exposure.geom.axes["energy_true"].edges
    flux = model.spectral_model.integral(edges[:-1], edges[1:]).to_value("cm-2 s-1")
    edisp = dataset.edisp.get_edisp_kernel(energy_axis=dataset.counts.geom.axes["energy"]).pdf_matrix
    want = (flux * share * dataset.exposure.data.ravel() * 1e4) @ edisp
    np.testing.assert_allclose(dataset.npred_signal().data.ravel(), want, rtol=2e-6)  # the image ends 5 sigma from the source


def test_a_small_projection_loses_nothing():
    """Flux that lies outside the pixels around a region and is spread into it counts, whatever image the projection has."""
    predicted = []
    for wide in (True, False):
        dataset = make_region_dataset(region="ellipse", wide=wide, binsz_wcs="0.02 deg")
        dataset.models = [make_region_model("gauss", offset=0.1)]
        predicted.append(dataset.npred_signal().data.sum())
    assert predicted[1] == pytest.approx(predicted[0], rel=2e-3)  # the pixels lie differently


def test_containment_of_a_point_in_a_circle():
    dataset, model = make_region_dataset(edisp=None, n_true=6), make_region_model("point")
    dataset.models = [model]
    axis = dataset.exposure.geom.axes["energy_true"]
    fraction = dataset.psf.containment(dataset.counts.geom.region.radius, axis.center).value
    seen = dataset.npred_signal().data
    dataset.psf = None
    dataset.exposure = dataset.exposure * fraction.reshape(-1, 1, 1)
    np.testing.assert_allclose(seen, dataset.npred_signal().data, rtol=1e-6)
    model.apply_irf = {"psf": False}
    dataset = make_region_dataset(edisp=None, n_true=6)
    dataset.models = [model]
    assert dataset.npred_signal().data.sum() > seen.sum()


def test_models_that_do_not_reach_the_region():
    dataset = make_region_dataset(psf=False)
    dataset.models = [make_region_model("gauss", offset=3.0), make_region_model(None, name="other")]
    with pytest.warns(UserWarning, match="model 'source' lies outside"):
        likelihood = compile(dataset)
    assert all(np.isfinite(likelihood.value_and_gradient(likelihood.theta0)[1]))
    assert likelihood.value_and_gradient(likelihood.theta0)[1][likelihood.names.index("source.amplitude")] == 0


def test_psf_in_reconstructed_energy():
    dataset, model = make_region_dataset(psf="reco", region="circle"), make_region_model("point")
    dataset.models = [model]
    axis = dataset.counts.geom.axes["energy"]
    seen, fraction = dataset.npred_signal().data, dataset.psf.containment(dataset.counts.geom.region.radius, axis.center).value
    dataset.psf = None
    np.testing.assert_allclose(seen, dataset.npred_signal().data * fraction.reshape(-1, 1, 1), rtol=1e-12)
    dataset = make_region_dataset(psf="reco", region="ellipse")
    dataset.models = [model]
    with pytest.raises(ModelError, match="freeze them"):
        dataset.npred()
    model.spatial_model.freeze()
    assert 0 < dataset.npred_signal().data.sum() < seen.sum() / fraction.min()


def test_frozen_sources_are_folded_once(kernel_backend):
    dataset = make_region_dataset().to_device(kernel_backend)
    free, frozen = make_region_model("point"), make_region_model("gauss", name="frozen")
    dataset.models = [free, frozen]
    want = compile(dataset)
    value = want.value(want.theta0)
    frozen.freeze()
    likelihood = compile(dataset)
    assert likelihood.value(likelihood.theta0) == pytest.approx(value, rel=1e-12)
    assert len(likelihood.plan.terms[0].sources) == 1


@pytest.mark.parametrize("n_reco", [1, 6])
@pytest.mark.parametrize("shape", [None, "gauss"])
def test_a_fit(shape, n_reco):
    dataset = make_region_dataset(region="ellipse", n_reco=n_reco, counts=np.zeros(n_reco))
    model = make_region_model(shape)
    dataset.models = [model]
    if model.spatial_model is not None:
        model.spatial_model.freeze()
    model.spectral_model.alpha.frozen = model.spectral_model.beta.frozen = n_reco == 1
    dataset.counts = dataset.counts.copy(data=dataset.npred().data.copy())
    truth = model.parameters.value.copy()
    model.spectral_model.amplitude.value *= 1.5
    result = gpudl4.Fit().run(dataset)
    assert result.success
    np.testing.assert_allclose(model.parameters.value, truth, rtol=2e-3)
    assert np.all(result.errors > 0)


def test_an_image_of_one_energy_bin_is_fitted():
    cube = make_dataset(n_true=4)
    fields = {name: getattr(cube, name).sum_over_axes(keepdims=True) for name in ("counts", "background")}
    axis = fields["counts"].geom.axes["energy"]
    axis_true, mask = cube.exposure.geom.axes["energy_true"], cube.mask_image
    geom = cube.edisp.edisp_map.geom.to_image()
    dataset = gpudl4.MapDataset(
        **fields,
        exposure=cube.exposure,
        psf=cube.psf,
        edisp=EDispKernelMap.from_gauss(axis, axis_true, sigma=0.15, bias=0.02, geom=geom),
        mask_fit=mask.to_cube([axis]),
        models=[m for m in cube.models if m.name != "test-bkg"],
    )
    assert dataset.counts.data.shape[0] == 1
    for model in dataset.models:
        model.spectral_model.freeze()
        model.spectral_model.amplitude.frozen = False
    result = gpudl4.Fit().run(dataset)
    assert result.success
    assert_gradient(compile(dataset), compile(dataset).theta0 + 1e-3 * result.errors, rtol=1e-5)
    truth = {model.name: model.spectral_model.amplitude for model in make_dataset().models if model.name != "test-bkg"}
    for model in dataset.models:
        amplitude = model.spectral_model.amplitude
        assert abs(amplitude.value - truth[model.name].value) < 5 * amplitude.error + 0.5 * truth[model.name].value


def test_the_position_of_a_shape_can_be_fitted():
    dataset, model = make_region_dataset(region="ellipse"), make_region_model("gauss", offset=0.1)
    dataset.models = [model]
    counts = dataset.npred().data.copy() * 100
    dataset.counts = dataset.counts.copy(data=counts)
    dataset.background = dataset.background * 100
    dataset.exposure = dataset.exposure * 100
    model.spectral_model.freeze()
    model.spatial_model.freeze()
    model.spatial_model.sigma.frozen = False
    model.spatial_model.sigma.quantity = 0.15 * u.deg
    result = gpudl4.Fit().run(dataset)
    assert result.success
    assert model.spatial_model.sigma.value == pytest.approx(0.12, abs=3e-3)


@needs_emulator
def test_the_device_says_the_same_within_the_budget():
    costs = {}
    for number in (1, 7):
        datasets, model = [make_region_dataset(name=f"d{i}", seed=i, region="ellipse") for i in range(number)], make_region_model("gauss")
        for dataset in datasets:
            dataset.models = [model]
        host = compile(datasets, backend="numpy")
        theta = host.theta0 * 1.01
        want, slope = host.value_and_gradient(theta)
        with emulator.installed():
            device = compile(datasets, backend="cupy")
            with emulator.counting() as count, emulator.guard(uploads=1, downloads=1, synchronisations=1, allocations=0):
                value, gradient = device.value_and_gradient(theta)
            assert value == pytest.approx(want, rel=1e-12)
            np.testing.assert_allclose(gradient, slope, rtol=1e-9, atol=1e-9 * np.abs(slope).max())
            np.testing.assert_allclose(device.hessian(theta), host.hessian(theta), rtol=1e-6, atol=1e-9 * np.abs(host.hessian(theta)).max())
        costs[number] = count.launches, count.api_calls
    assert costs[1] == costs[7]
    assert costs[1][0] <= LAUNCHES
    assert costs[1][1] == 0


def test_bad_input():
    dataset = make_region_dataset()
    dataset.models = [make_region_model("point")]
    exposure = dataset.exposure
    dataset.exposure = None
    with pytest.raises(DatasetError, match="no exposure"):
        compile(dataset)
    bad = exposure.copy()
    bad.data[2] = np.nan
    dataset.exposure = bad
    with pytest.raises(DatasetError, match="exposure is NaN or negative"):
        compile(dataset)
