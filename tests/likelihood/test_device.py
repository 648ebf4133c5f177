"""The likelihood on a device: what an evaluation may cost there, and that it says the same as the host.

On the emulated device everything is counted: launches, library calls, transfers, synchronisations, allocations, bytes. The budget of
an evaluation is the promise of docs/architecture.md, and must not depend on how many sources or datasets there are.
"""

import gc
import warnings

import numpy as np
import pytest

import gpudl4
from gpudl4.core.errors import BackendError, DeviceMemoryError
from gpudl4.models import (
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)
from tests import emulator
from tests.factory import make_dataset

needs_emulator = pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))
KINDS = {"true-psf": {}, "reco-psf": {"reco_psf": True}, "migra": {"edisp": "migra"}, "no-edisp": {"edisp": None}}
LAUNCHES = 16
CALLS_PER_SHAPE = 4


def _points(number, name="test"):
    """Point sources all over the map, positions free, and the background of the dataset."""
    rng = np.random.default_rng(number)
    sources = [
        SkyModel(
            PowerLawSpectralModel(index=2.0, amplitude=f"{rng.uniform(1, 9):.3f}e-13 cm-2 s-1 TeV-1", reference="1 TeV"),
            PointSpatialModel(lon_0=f"{rng.uniform(-0.4, 1.2):.4f} deg", lat_0=f"{rng.uniform(-0.8, 0.4):.4f} deg", frame="galactic"),
            name=f"{name}-source-{i}",
        )
        for i in range(number)
    ]
    return [*sources, make_dataset(name=name).models[-1]]


def _random_thetas(likelihood, number):
    rng = np.random.default_rng(3)
    scale = np.where([n.endswith(("lon_0", "lat_0")) for n in likelihood.names], 0.1, 0.05 * np.abs(likelihood.theta0))
    return likelihood.theta0 + scale * rng.normal(size=(number, len(likelihood.theta0)))


def _terms(likelihood, theta):
    """Sum of the |terms| of the statistic on the host, the scale of its rounding."""
    total = 0.0
    for (npred, pixels), term in zip(likelihood.npred(theta), likelihood.plan.terms, strict=True):
        assert npred.shape[1] == len(pixels)
        n, m = term.counts.astype(float), np.maximum(npred, 1e-25)
        total += 2 * np.where(term.mask, np.abs(m) + np.abs(n * np.log(m)), 0).sum()
    return total


@needs_emulator
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradient_equal_the_host(kind):
    dataset = make_dataset(**KINDS[kind])
    host = gpudl4.compile(dataset, backend="numpy")
    with emulator.installed():
        device = gpudl4.compile(dataset, backend="cupy")
        assert device.backend == "cupy"
        for theta in _random_thetas(host, 20):
            want, slope = host.value_and_gradient(theta)
            value, gradient = device.value_and_gradient(theta)
            terms = _terms(host, theta)
            assert abs(value - want) < 1e-11 * terms
            assert device.value(theta) == pytest.approx(value, rel=1e-13)
            sigma = np.sqrt(2 / np.diag(host.fisher(theta)))
            assert np.all(np.abs(gradient - slope) * sigma < 1e-11 * terms)


@needs_emulator
@pytest.mark.parametrize("mode", emulator.MODES)
@pytest.mark.parametrize("kind", ["true-psf", "reco-psf"])
def test_every_order_of_threads_and_every_check(mode, kind):
    dataset = make_dataset(**KINDS[kind])
    host = gpudl4.compile(dataset, backend="numpy")
    theta = _random_thetas(host, 1)[0]
    want, slope = host.value_and_gradient(theta)
    fisher, hessian = host.second_derivatives(theta)
    scale = np.sqrt(np.diag(fisher))
    with emulator.installed(), emulator.mode(mode):
        device = gpudl4.compile(dataset, backend="cupy")
        value, gradient = device.value_and_gradient(theta)
        assert value == pytest.approx(want, rel=1e-12)
        np.testing.assert_allclose(gradient / scale, slope / scale, rtol=1e-10, atol=1e-9)
        for got, expected in zip(device.second_derivatives(theta), (fisher, hessian), strict=True):
            np.testing.assert_allclose(got / np.outer(scale, scale), expected / np.outer(scale, scale), rtol=1e-9, atol=1e-10)


@needs_emulator
@pytest.mark.parametrize("kind", ["true-psf", "reco-psf"])
def test_a_second_evaluation_gives_the_same_bits(kind, kernel_backend):
    likelihood = gpudl4.compile(make_dataset(**KINDS[kind]).to_device(kernel_backend))
    one, two = _random_thetas(likelihood, 2)
    first = likelihood.value_and_gradient(one)
    likelihood.value_and_gradient(two)
    again = likelihood.value_and_gradient(one)
    assert first[0] == again[0]
    np.testing.assert_array_equal(first[1], again[1])


def _cost(likelihood, theta):
    """What one evaluation of value and gradient costs; raises where it goes over the budget."""
    with emulator.counting() as count, emulator.guard(uploads=1, downloads=1, synchronisations=1, allocations=0):
        likelihood.value_and_gradient(theta)
    assert (count.uploads, count.downloads, count.synchronisations, count.allocations) == (1, 1, 1, 0)
    assert count.bytes_down == 8 * (1 + len(likelihood.names))
    return count.launches, count.api_calls


@needs_emulator
def test_the_budget_of_an_evaluation():
    with emulator.installed():
        for kind in KINDS.values():
            likelihood = gpudl4.compile(make_dataset(**kind), backend="cupy")  # a point and a Gaussian
            launches, calls = _cost(likelihood, _random_thetas(likelihood, 1)[0])
            assert 0 < launches <= LAUNCHES
            assert calls == CALLS_PER_SHAPE


@needs_emulator
def test_the_budget_does_not_grow_with_point_sources():
    dataset, costs = make_dataset(), {}
    with emulator.installed():
        for number in (1, 5, 40):
            dataset.models = _points(number)
            likelihood = gpudl4.compile(dataset, backend="cupy")
            assert len(likelihood.names) >= 4 * number
            costs[number] = _cost(likelihood, _random_thetas(likelihood, 1)[0])
    assert costs[1] == costs[5] == costs[40]
    assert costs[1][0] <= LAUNCHES
    assert costs[1][1] == 0  # points need no transforms


@needs_emulator
def test_the_budget_does_not_grow_with_datasets():
    costs = {}
    with emulator.installed():
        for number in (1, 10):
            datasets = [make_dataset(name=f"d{i}", random_state=i) for i in range(number)]
            shared = datasets[0].models[:2]
            for dataset in datasets:
                dataset.models = [*shared, dataset.models[-1]]
            likelihood = gpudl4.compile(datasets, backend="cupy")
            costs[number] = _cost(likelihood, _random_thetas(likelihood, 1)[0])
    assert costs[1] == costs[10]
    assert costs[1][1] == CALLS_PER_SHAPE


@needs_emulator
def test_the_budget_with_everything_at_once():
    """Both orders of the PSF, fixed shapes, points and shapes that move, two shapes of transforms: the worst case for launches."""
    first, second = make_dataset(name="a", models=None), make_dataset(name="b", reco_psf=True, models=None)
    gauss = SkyModel(
        PowerLawSpectralModel(amplitude="1e-12 cm-2 s-1 TeV-1"),
        GaussianSpatialModel(lon_0="0.5 deg", lat_0="-0.1 deg", sigma="0.1 deg", frame="galactic"),
        name="still",
    )
    gauss.spatial_model.freeze()
    models = [*make_dataset(name="a").models, gauss, make_dataset(name="b").models[-1]]
    host = None
    with emulator.installed():
        first.models = second.models = Models(models)
        host = gpudl4.compile([first, second], backend="numpy")
        likelihood = gpudl4.compile([first, second], backend="cupy")
        theta = _random_thetas(likelihood, 1)[0]
        shapes = len({source.padded for term in likelihood.plan.terms for source in term.sources if source.has_psf})
        launches, calls = _cost(likelihood, theta)
        assert launches <= LAUNCHES
        assert calls == CALLS_PER_SHAPE * shapes
        assert likelihood.value_and_gradient(theta)[0] == pytest.approx(host.value_and_gradient(theta)[0], rel=1e-12)


@needs_emulator
def test_a_batch_costs_what_one_vector_costs():
    dataset = make_dataset()
    with emulator.installed():
        likelihood = gpudl4.compile(dataset, backend="cupy")
        thetas = _random_thetas(likelihood, 5)
        workspace = likelihood.workspace(5)
        with emulator.counting() as count, emulator.guard(uploads=1, downloads=1, synchronisations=1, allocations=0):
            stat, gradient = likelihood.evaluate(thetas, workspace)
        assert count.launches <= LAUNCHES
        assert count.bytes_down == 8 * 5 * (1 + len(likelihood.names))
        for theta, s, g in zip(thetas, stat, gradient, strict=True):
            value, slope = likelihood.value_and_gradient(theta)
            assert s == pytest.approx(value, rel=1e-13)
            np.testing.assert_allclose(g, slope, rtol=1e-9, atol=1e-9 * np.abs(slope).max())


class _Blob(GaussianSpatialModel):
    """A user's shape: only `evaluate` is its own, so its images come from the host."""

    tag = ["TestBlob", "blob"]

    def bind_image(self, geom):
        from gpudl4.models.spatial.binding import NumericImageBinding

        return NumericImageBinding(self, geom, self.sampling(geom))


@needs_emulator
def test_a_users_model_adds_one_upload():
    dataset = make_dataset()
    gauss = dataset.models["gauss"]
    own = _Blob(**{p.name: p.quantity for p in gauss.spatial_model.parameters}, frame="galactic")
    for p in own.parameters:
        p.frozen = gauss.spatial_model.parameters[p.name].frozen
    gauss.spatial_model = own
    host = gpudl4.compile(dataset, backend="numpy")
    theta = _random_thetas(host, 1)[0]
    want, slope = host.value_and_gradient(theta)
    with emulator.installed():
        likelihood = gpudl4.compile(dataset, backend="cupy")
        with emulator.counting() as count, emulator.guard(uploads=2, downloads=1, synchronisations=1, allocations=0):
            value, gradient = likelihood.value_and_gradient(theta)
        assert count.uploads == 2
        assert count.launches <= LAUNCHES
        assert value == pytest.approx(want, rel=1e-12)
        np.testing.assert_allclose(gradient, slope, rtol=1e-9, atol=1e-9 * np.abs(slope).max())


@needs_emulator
def test_a_likelihood_of_device_data_equals_that_of_host_data():
    dataset = make_dataset()
    # a frozen source beside the others: static counts and bins that are evaluated singly
    dataset.models["gauss"].freeze()
    host = gpudl4.compile(dataset, backend="numpy")
    theta = _random_thetas(host, 1)[0]
    with emulator.installed():
        there = dataset.to_device("cupy")
        likelihood = gpudl4.compile(there)
        assert likelihood.backend == "cupy"
        assert len(likelihood.plan.terms[0].special_bins) > 0
        assert likelihood.value(theta) == pytest.approx(host.value(theta), rel=1e-12)
        np.testing.assert_allclose(likelihood.fisher(theta), host.fisher(theta), rtol=1e-9)
        assert likelihood.local(theta, "point").value(theta) == pytest.approx(host.local(theta, "point").value(theta), rel=1e-12)


@needs_emulator
@pytest.mark.parametrize("kind", ["true-psf", "reco-psf"])
def test_a_whole_fit_ends_where_the_host_ends(kind):
    here, there = make_dataset(**KINDS[kind]), make_dataset(**KINDS[kind])
    for dataset in (here, there):
        dataset.models["point"].spatial_model.lon_0.value += 0.07
        dataset.models["gauss"].spatial_model.sigma.value *= 1.3
    want = gpudl4.Fit().run(here)
    with emulator.installed():
        result = gpudl4.Fit().run(there.to_device("cupy"))
    assert result.success
    assert want.success
    assert result.total_stat == pytest.approx(want.total_stat, abs=1e-3)
    assert np.abs((result.values - want.values) / want.errors).max() < 0.01
    np.testing.assert_allclose(result.errors, want.errors, rtol=1e-3)


def test_backends_that_do_not_fit(device):
    dataset = make_dataset()
    there = make_dataset(name="other").to_device(device)
    with pytest.raises(BackendError, match="the datasets live on different devices"):
        gpudl4.compile([dataset, there])
    with pytest.raises(BackendError, match=r"the datasets live on a GPU: bring them back with datasets.to_host\(\)"):
        gpudl4.compile(there, backend="numpy")
    with pytest.raises(BackendError, match="unknown backend 'gpu'"):
        gpudl4.compile(dataset, backend="gpu")


@needs_emulator
def test_a_full_device_is_said_with_bytes_and_a_way_out():
    dataset = make_dataset()
    with emulator.installed() as cupy:
        gc.collect()
        used = cupy.get_default_memory_pool().used_bytes()  # arrays of earlier tests may be alive
        with emulator.configure(memory_bytes=used + 40_000), pytest.raises(DeviceMemoryError, match="float32") as caught:
            gpudl4.compile(dataset, backend="cupy")
    assert "the likelihood" in str(caught.value)


def test_auto_stays_on_the_host_for_small_data(monkeypatch):
    monkeypatch.delenv("GPUDL4_BACKEND", raising=False)
    with emulator.installed(), warnings.catch_warnings():
        assert gpudl4.compile(make_dataset(), backend="auto").backend == "numpy"
        monkeypatch.setenv("GPUDL4_BACKEND", "cupy")
        if emulator.missing_requirement() is None:
            assert gpudl4.compile(make_dataset(), backend="auto").backend == "cupy"
