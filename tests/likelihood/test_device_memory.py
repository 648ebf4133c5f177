"""Device memory: what is estimated is what the (emulated) device gives, "auto" looks at it before, and uploads leave no pinned memory."""

import gc
import warnings

import numpy as np
import pytest

import gpudl4
from gpudl4.core.errors import DeviceMemoryError, MemoryLimitError
from gpudl4.likelihood import bands, compile, compiler, estimate_memory, where
from tests import emulator
from tests.factory import make_dataset
from tests.likelihood.test_memory import SCENES, large

pytestmark = pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))


@pytest.fixture
def cp(monkeypatch):
    """The emulated CuPy, with the choice of the backend left open."""
    monkeypatch.delenv("GPUDL4_BACKEND", raising=False)
    with emulator.installed() as cupy:
        gc.collect()  # arrays of earlier tests
        yield cupy


def _used(cp):
    gc.collect()
    return cp.get_default_memory_pool().used_bytes()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("home", ["numpy", "cupy"])
@pytest.mark.parametrize("name", SCENES)
def test_estimate_is_the_peak_on_the_device(cp, name, home, dtype):
    scene = SCENES[name]()
    scene = scene if isinstance(scene, list) else [scene]
    if name == "two datasets":  # one group each: their planes have different shapes
        scene[1] = large("second", npix=(180, 150), reco_psf=True)
    datasets = [dataset.to_device(home) for dataset in scene]
    estimate, before = estimate_memory(datasets, backend="cupy", dtype=dtype), _used(cp)
    with emulator.measured_peak() as peak:
        likelihood = compile(datasets, backend="cupy", dtype=dtype)
        likelihood.value_and_gradient(likelihood.theta0)
        likelihood.hessian(likelihood.theta0)
        taken = peak() - before
    assert taken > 1e6
    if home == "cupy" and name == "fixed shapes":  # what is folded once is folded there; the estimate adds it to what lasts
        assert taken <= estimate.total < 1.3 * taken
    else:
        assert estimate.total == pytest.approx(taken, rel=0.05)
    assert {group: items for group, items in estimate.items() if group != "while compiling"} == likelihood.memory


def test_host_arrays_do_not_count(cp):
    memory = compile(make_dataset(), backend="cupy").memory
    assert memory["test"] == {}
    assert memory["workspace"]["work areas of transforms"] > 0
    assert compile(make_dataset(), backend="numpy").memory["workspace"]["work areas of transforms"] == 0


def test_limit_is_one_of_device_memory(cp):
    dataset = large()
    needed = estimate_memory(dataset, backend="cupy").total
    with pytest.raises(MemoryLimitError) as caught:
        compile(dataset, backend="cupy", memory_limit=needed - 1)
    assert caught.value.needed == needed
    with emulator.configure(memory_bytes=_used(cp) + int(1.05 * needed)):
        likelihood = compile(dataset, backend="cupy", memory_limit=needed)
        likelihood.hessian(likelihood.theta0)
    del likelihood
    with emulator.configure(memory_bytes=_used(cp) + int(0.9 * needed)), pytest.raises(DeviceMemoryError):
        compile(dataset, backend="cupy").second_derivatives(compile(dataset, backend="numpy").theta0)


def test_recompiling_minds_the_limit():
    dataset = large()
    limit = estimate_memory(dataset, backend="numpy").total
    likelihood = compile(dataset, backend="numpy", memory_limit=limit)
    theta = likelihood.theta0.copy()
    assert likelihood.recompile(theta).n_bins == likelihood.n_bins
    theta[likelihood.names.index("gauss.sigma")] *= 3
    wider = compile(dataset, backend="numpy").recompile(theta)
    assert wider.memory.total > limit
    with pytest.raises(MemoryLimitError):
        likelihood.recompile(theta)


# ---- the choice of "auto" ------------------------------------------------------------------------------------------------------------
def _anything_is_worth_a_gpu(monkeypatch):
    monkeypatch.setattr(where, "WORTH_A_GPU", 1)


def test_auto_goes_where_there_is_room(cp, monkeypatch):
    _anything_is_worth_a_gpu(monkeypatch)
    dataset = large()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compile(dataset).backend == "cupy"
        assert estimate_memory(dataset) == estimate_memory(dataset, backend="cupy")


def test_auto_says_why_it_stays(cp, monkeypatch):
    _anything_is_worth_a_gpu(monkeypatch)
    dataset = large()
    needed = estimate_memory(dataset, backend="cupy").total
    with (
        emulator.configure(memory_bytes=_used(cp) + needed),
        pytest.warns(UserWarning, match=r"computed on the host: it would take 2[\d.]+ MB on the GPU, where 2[\d.]+ MB are free") as caught,
    ):
        assert compile(dataset).backend == "numpy"
    assert caught[0].filename == __file__
    with emulator.configure(memory_bytes=_used(cp) + int(needed / where.ROOM) + 1):
        assert compile(dataset).backend == "cupy"
    with emulator.configure(memory_bytes=_used(cp) + 100_000), pytest.warns(UserWarning, match="computed on the host"):
        assert gpudl4.Fit().run(make_dataset()).backend == "numpy"


def test_a_draft_is_weighed_as_what_follows_it(cp, monkeypatch):
    _anything_is_worth_a_gpu(monkeypatch)
    dataset = large(npix=(160, 150))
    dataset.models["gauss"].spatial_model.sigma.value = 1.5
    draft, exact = (estimate_memory(dataset, backend="cupy", draft=is_draft).total for is_draft in (True, False))
    assert draft < 0.5 * exact
    with emulator.configure(memory_bytes=_used(cp) + 2 * draft), pytest.warns(UserWarning, match="computed on the host"):
        assert compile(dataset, draft=True).backend == "numpy"


def test_who_asks_for_the_device_is_not_second_guessed(cp, monkeypatch):
    _anything_is_worth_a_gpu(monkeypatch)
    monkeypatch.setattr(compiler, "estimate", lambda *args: pytest.fail("nobody asked for an estimate"))
    assert compile(make_dataset(), backend="cupy").backend == "cupy"
    assert compile(make_dataset(), backend="numpy").backend == "numpy"
    assert compile(make_dataset().to_device("cupy")).backend == "cupy"
    monkeypatch.setenv("GPUDL4_BACKEND", "cupy")
    assert compile(make_dataset()).backend == "cupy"


def test_memory_that_is_not_known_does_not_hold_auto_back(cp, monkeypatch):
    """Another allocator, such as RMM's, has memory that looks used."""
    _anything_is_worth_a_gpu(monkeypatch)
    monkeypatch.setattr(cp.cuda, "get_allocator", lambda: lambda size: None)
    monkeypatch.setattr(cp.cuda.runtime, "memGetInfo", lambda: (0, 40 << 30))
    assert compile(make_dataset()).backend == "cupy"


# ---- uploads and bands ---------------------------------------------------------------------------------------------------------------
def test_uploads_leave_no_pinned_memory(cp):
    before = emulator.pinned_bytes()
    likelihood = compile([make_dataset(name="a"), make_dataset(name="b", reco_psf=True)], backend="cupy")
    likelihood.value_and_gradient(likelihood.theta0)
    likelihood.hessian(likelihood.theta0)
    likelihood.local(likelihood.theta0, "point").value(likelihood.theta0)
    compile(make_dataset().to_device("cupy")).noise  # noqa: B018
    assert emulator.pinned_bytes() == before


def _smooth():
    """A large Gaussian that goes through few planes, and a point."""
    dataset = make_dataset(npix=(170, 160), n_true=12)
    model = dataset.models["gauss"].spatial_model
    model.sigma.value, model.e.value = 1.9, 0.3
    return dataset


@pytest.mark.parametrize("home", ["numpy", "cupy"])
def test_derivative_images_in_bands(cp, monkeypatch, home):
    dataset, found = _smooth().to_device(home), {}
    for band in (10**9, 100_000):
        monkeypatch.setattr(bands, "DEVICE_BAND", band)
        before = _used(cp)
        with emulator.measured_peak() as peak:
            likelihood = compile(dataset, backend="cupy")
            theta = likelihood.theta0
            stat, gradient = likelihood.value_and_gradient(theta)
            matrices = likelihood.second_derivatives(theta)
            taken = peak() - before
        assert likelihood.memory.total == pytest.approx(taken, rel=0.05)
        again = likelihood.value_and_gradient(theta)  # whose planes were taken away
        assert again[0] == stat
        np.testing.assert_array_equal(again[1], gradient)
        found[band] = len(likelihood._second_order(True)._made.bands), likelihood.memory["second derivatives"], matrices
        del likelihood
    (one, whole, want), (many, cut, got) = found.values()
    assert one == 1
    assert many > 4
    assert cut["derivative images"] < 0.3 * whole["derivative images"]
    scale = np.sqrt(np.diag(want[0]))
    for ours, other in zip(got, want, strict=True):
        np.testing.assert_allclose(ours / np.outer(scale, scale), other / np.outer(scale, scale), rtol=0, atol=1e-12)
