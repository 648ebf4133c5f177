"""Fits on a device, of data on the host and of data on the device: the same minimum as on the host, for every kind of scene.

The device is emulated (`tests.emulator`), so this says that the code is right, not that a GPU ran it.
"""

import numpy as np
import pytest

import gpudl4
from benchmarks.cases import library
from benchmarks.pull_cases import CASES
from benchmarks.pulls import draw
from gpudl4.core.errors import MemoryLimitError
from gpudl4.likelihood import estimate_memory
from tests.factory import make_dataset


def only(dataset, *names):
    """A dataset with some of its models, the background among them."""
    dataset.models = [model for model in dataset.models if model.name in names or model.name.endswith("-bkg")]
    return dataset


def _point():
    dataset = only(make_dataset(), "point")
    dataset.models["point"].spatial_model.lon_0.value += 0.06
    return [dataset]


def _gauss():
    dataset = only(make_dataset(), "gauss")
    dataset.models["gauss"].spatial_model.sigma.value *= 1.3
    return [dataset]


def _two():
    dataset = make_dataset()
    dataset.models["point"].spectral_model.amplitude.value *= 1.4
    return [dataset]


def _beside_frozen():
    """A point that starts far off beside a frozen Gaussian: static counts, and a search for a better place."""
    dataset = make_dataset()
    dataset.models["gauss"].freeze()
    dataset.models["point"].spatial_model.lat_0.value -= 0.3
    return [dataset]


def _draft():
    """A shape so large that the first steps are made on merged pixels."""
    dataset = only(make_dataset(npix=(160, 154), n_true=3, counts="predicted"), "gauss")
    dataset.models["gauss"].spatial_model.sigma.value = 1.2
    dataset.models["gauss"].spatial_model.e.value = 0
    dataset.fake(random_state=3)
    dataset.models["gauss"].spectral_model.amplitude.value *= 1.1
    return [dataset]


def _several():
    datasets = [make_dataset(name="a"), make_dataset(name="b", reco_psf=True, random_state=7), make_dataset(name="c", npix=(22, 20))]
    shared = [model for model in datasets[0].models if model.name in ("point", "gauss")]
    for dataset in datasets:
        dataset.models = [*shared, dataset.models[-1]]
    return datasets


SCENES = {
    "one point": _point,
    "one Gaussian": _gauss,
    "two sources": _two,
    "beside a frozen one": _beside_frozen,
    "draft": _draft,
    "several datasets": _several,
}
_wanted = {}


@pytest.fixture(params=SCENES)
def scene(request):
    """Maker of a scene, and the fit of it on the host."""
    make = SCENES[request.param]
    if request.param not in _wanted:
        _wanted[request.param] = gpudl4.Fit(device="numpy").run(make())
    return make, _wanted[request.param]


@pytest.mark.parametrize("home", ["host data", "device data"])
def test_a_fit_ends_where_the_host_ends(scene, home, kernel_device):
    make, want = scene
    datasets = make()
    if home == "device data":
        datasets = [dataset.to_device(kernel_device) for dataset in datasets]
    result = gpudl4.Fit(device="cupy").run(datasets)
    assert result.backend == "cupy"
    assert want.success, want.message
    assert result.success, result.message
    assert result.total_stat == pytest.approx(want.total_stat, abs=1e-3)
    assert np.abs((result.values - want.values) / want.errors).max() < 0.01
    np.testing.assert_allclose(result.errors, want.errors, rtol=2e-3)


@pytest.mark.parametrize("home", ["host data", "device data"])
@pytest.mark.parametrize("kind", ["spectrum", "wstat", "fluxes", "cube-wstat"])
def test_other_kinds_of_datasets(kind, home, kernel_device):
    def drawn():
        return next(draw(CASES[kind], library("gpudl4"), np.random.default_rng(11)))[0]

    want = gpudl4.Fit(device="numpy").run(drawn())
    dataset = drawn().to_device(kernel_device) if home == "device data" else drawn()
    result = gpudl4.Fit(device="cupy").run(dataset)
    assert result.backend == "cupy"
    assert result.success
    assert result.total_stat == pytest.approx(want.total_stat, abs=1e-6)
    np.testing.assert_allclose(result.values, want.values, atol=1e-3 * want.errors.min(), rtol=1e-6)
    np.testing.assert_allclose(result.errors, want.errors, rtol=1e-5)


def test_draft_scene_is_one():
    assert gpudl4.compile(_draft(), backend="numpy", draft=True).is_draft


def test_profiles_of_host_data(kernel_device):
    datasets = _point()
    gpudl4.Fit(device="numpy").run(datasets)
    want = gpudl4.Fit(device="numpy").confidence(datasets, "point.amplitude")
    got = gpudl4.Fit(device="cupy").confidence(datasets, "point.amplitude")
    assert (got["errp"], got["errn"]) == pytest.approx((want["errp"], want["errn"]), rel=1e-4)


def test_a_fit_has_a_limit_of_memory():
    needed = estimate_memory(_point(), backend="numpy").total
    with pytest.raises(MemoryLimitError, match="memory_limit allows") as caught:
        gpudl4.Fit(memory_limit=needed - 1).run(_point())
    assert caught.value.needed == needed
    assert gpudl4.Fit(memory_limit=2 * needed).run(_point()).success
    with pytest.raises(ValueError, match="wanted a number of bytes"):
        gpudl4.Fit(memory_limit="much")


def test_a_draft_is_limited_as_what_follows_it():
    needed = estimate_memory(_draft(), backend="numpy").total
    assert estimate_memory(_draft(), backend="numpy", draft=True).total < 0.7 * needed
    with pytest.raises(MemoryLimitError):
        gpudl4.Fit(memory_limit=int(0.9 * needed)).run(_draft())
