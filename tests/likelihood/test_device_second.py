"""Datasets on a second device while the first one is current: everything is done where the data are, and ends there as on the host."""

import numpy as np
import pytest

import gpudl4
from gpudl4.core.backend import backend_of, get_backend
from gpudl4.core.errors import BackendError
from tests import emulator
from tests.factory import make_dataset

pytestmark = pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))


@pytest.fixture
def second():
    """Backend of the second device; the first one is current."""
    with emulator.installed() as cupy:
        with cupy.cuda.Device(1):
            backend = get_backend("cupy")
        yield backend


def moved(dataset, backend):
    """The dataset on a device that is not the current one."""
    out = dataset.to_device(backend)
    assert out.backend == backend
    assert backend.device != get_backend("cupy").device
    return out


def test_all_that_a_likelihood_does(second):
    dataset = make_dataset()
    dataset.models["gauss"].spatial_model.freeze()
    host, there = gpudl4.compile(dataset, backend="numpy"), gpudl4.compile(moved(dataset, second))
    assert there.plan.backend.device == "cuda:1"
    theta = host.theta0 * 1.001
    assert there.value(theta) == pytest.approx(host.value(theta), rel=1e-12)
    stat, gradient = there.value_and_gradient(theta)
    scale = np.sqrt(np.diag(host.fisher(theta)))
    np.testing.assert_allclose(gradient / scale, host.value_and_gradient(theta)[1] / scale, rtol=1e-9, atol=1e-9)
    assert there.evaluate(theta[np.newaxis], there.workspace(1))[0] == pytest.approx(stat, rel=1e-13)
    for name in ("fisher", "metric", "hessian"):
        got, want = getattr(there, name)(theta), getattr(host, name)(theta)
        np.testing.assert_allclose(got / np.outer(scale, scale), want / np.outer(scale, scale), rtol=1e-8, atol=1e-9)
    (mu, _), (want, _) = there.npred(theta)[0], host.npred(theta)[0]
    assert backend_of(mu).device == "cuda:1"
    np.testing.assert_allclose(mu.get(), want, rtol=1e-10)
    assert there.local(theta, "point").value(theta) == pytest.approx(host.local(theta, "point").value(theta), rel=1e-12)
    assert there.recompile(theta).value(theta) == pytest.approx(host.recompile(theta).value(theta), rel=1e-12)
    estimate = gpudl4.likelihood.estimate_memory(moved(dataset, second))
    assert {group: items for group, items in estimate.items() if group != "while compiling"} == there.memory


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_noise(second, dtype):
    dataset = make_dataset()
    want = gpudl4.compile(dataset, backend="numpy", dtype=dtype).noise
    assert gpudl4.compile(moved(dataset, second), dtype=dtype).noise == pytest.approx(want)


@pytest.mark.parametrize("options", [{}, {"reco_psf": True}], ids=["true PSF", "reco PSF"])
def test_a_whole_fit(second, options):
    def made():
        dataset = make_dataset(**options)
        dataset.models["point"].spatial_model.lon_0.value += 0.3
        return dataset

    want = gpudl4.Fit(device="numpy").run(made())
    result = gpudl4.Fit().run(moved(made(), second))
    assert result.backend == "cupy"
    assert result.success
    assert result.total_stat == pytest.approx(want.total_stat, abs=1e-3)
    assert np.abs((result.values - want.values) / want.errors).max() < 0.01


def test_what_a_dataset_says_of_itself(second):
    dataset = make_dataset()
    there = moved(dataset, second)
    assert there.stat_sum() == pytest.approx(dataset.stat_sum(), rel=1e-12)
    np.testing.assert_allclose(there.npred().data.get(), dataset.npred().data, rtol=1e-10, atol=1e-12)
    assert there.to_host().counts.data.tobytes() == dataset.counts.data.tobytes()


def test_two_devices_are_not_mixed(second):
    datasets = [make_dataset(name="a").to_device("cupy"), moved(make_dataset(name="b"), second)]
    with pytest.raises(BackendError, match=r"different devices \(cuda:0, cuda:1\): move all of them"):
        gpudl4.compile(datasets)


def test_host_data_go_to_the_device_that_is_current(second):
    with second.entered():
        likelihood = gpudl4.compile(make_dataset(), backend="cupy")
    assert likelihood.plan.backend.device == "cuda:1"
    host = gpudl4.compile(make_dataset(), backend="numpy")
    assert likelihood.value(host.theta0) == pytest.approx(host.value(host.theta0), rel=1e-12)
