"""Memory of a likelihood: counted from tables, the same before and after compiling, equal to the arrays that are there, and limited."""

import tracemalloc

import numpy as np
import pytest

import gpudl4
from gpudl4.core.errors import DatasetError, GPUDL4Error, MemoryLimitError
from gpudl4.likelihood import compile, estimate_memory
from gpudl4.likelihood.memory import Memory, parse_limit, readable
from gpudl4.models import GaussianSpatialModel
from tests.factory import make_dataset


class UsersGaussian(GaussianSpatialModel):
    """A shape that is not the built-in one: its images are made on the host."""

    @staticmethod
    def evaluate(lon, lat, **parameters):
        return GaussianSpatialModel.evaluate(lon, lat, **parameters)


def large(name="test", npix=(120, 100), **options):
    """A field whose arrays are large beside the objects that hold them."""
    dataset = make_dataset(name=name, npix=npix, **options)
    dataset.models["gauss"].spatial_model.sigma.value = 0.8
    return dataset


def two_datasets():
    """Two datasets of different type with common sources."""
    first, second = large("first"), large("second", npix=(100, 90), reco_psf=True)
    first.counts = first.counts.copy(data=first.counts.data.astype(np.float64))
    models = [m for m in first.models if m.name in ("point", "gauss")]
    for dataset in (first, second):
        dataset.models = models
    return [first, second]


def fixed_shapes():
    """Sources with a free spectrum only, and a frozen one."""
    dataset = large()
    for name in ("point", "gauss"):
        dataset.models[name].spatial_model.freeze()
    still = dataset.models["point"].copy(name="still")
    still.freeze()
    dataset.models = [*dataset.models, still]
    return dataset


def users_shape():
    """A shape that is not built in."""
    dataset = large()
    own = dataset.models["gauss"].spatial_model
    dataset.models["gauss"].spatial_model = UsersGaussian(
        lon_0=own.lon_0.quantity, lat_0=own.lat_0.quantity, sigma="0.5 deg", frame=own.frame
    )
    return dataset


SCENES = {
    "true PSF": lambda: large(),
    "reco PSF": lambda: large(reco_psf=True),
    "two datasets": two_datasets,
    "fixed shapes": fixed_shapes,
    "user's shape": users_shape,
}


@pytest.fixture(params=SCENES, scope="module")
def scene(request):
    return SCENES[request.param]()


def held(likelihood):
    """Bytes of all NumPy arrays that a likelihood and its workspace hold, each piece of memory once."""
    found, seen, wanted = {}, set(), [likelihood.plan.terms, vars(likelihood.plan.evaluation.data), likelihood._workspace()]
    tables = [vars(likelihood.plan.evaluation.layout.tables)]
    for start in (wanted, tables):
        while start:
            value = start.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, np.ndarray):
                while isinstance(value.base, np.ndarray):
                    value = value.base
                found[value.__array_interface__["data"][0]] = value.nbytes
            elif isinstance(value, dict):
                start.extend(value.values())
            elif isinstance(value, (list, tuple)):
                start.extend(value)
            elif type(value).__module__.startswith("gpudl4") and not hasattr(value, "xp"):
                start.extend(getattr(value, "__dict__", {}).values())
    return sum(found.values())


def counted(memory, *groups):
    return sum(sum(memory.get(group, {}).values()) for group in groups)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_estimate_is_what_a_compiled_likelihood_says(scene, dtype):
    expected = compile(scene, backend="numpy", dtype=dtype).memory
    estimate = estimate_memory(scene, backend="numpy", dtype=dtype)
    assert expected.total > 1e6
    assert {group: items for group, items in estimate.items() if group != "while compiling"} == expected


@pytest.mark.parametrize("draft", [False, True])
def test_estimate_of_a_draft(draft):
    dataset = large(npix=(200, 180))
    dataset.models["gauss"].spatial_model.sigma.value = 2
    expected = compile(dataset, backend="numpy", draft=draft)
    assert expected.is_draft == draft
    estimate, memory = estimate_memory(dataset, backend="numpy", draft=draft), expected.memory
    few = [source for source in expected.plan.terms[0].sources if getattr(source, "basis", None) is not None]
    assert len(few) == (not draft)
    if draft:
        assert estimate == memory
    else:  # how few planes serve a large Gaussian is not known before it is looked at
        assert set(estimate) == set(memory)
        assert all(estimate[group][item] >= bytes_ for group, items in memory.items() for item, bytes_ in items.items())
        assert memory.total < estimate.total < 1.6 * memory.total


def test_estimate_where_special_bins_are_few():
    """Bins that need an evaluation of their own are found by looking at values, which an estimate does not do."""
    dataset = large()
    lone = dataset.models["point"].copy(name="lone")
    lone.spatial_model.lon_0.value += 0.9
    lone.freeze()
    dataset.models["point"].freeze()
    dataset.models["gauss"].freeze()
    dataset.models = [*dataset.models, lone]
    likelihood = compile(dataset, backend="numpy")
    assert len(likelihood.plan.terms[0].special_bins) > 0
    estimate = estimate_memory(dataset, backend="numpy")
    assert counted(estimate, "test") <= counted(likelihood.memory, "test")


def test_on_a_device(kernel_device):
    host = make_dataset()
    assert estimate_memory(host, backend=kernel_device) == compile(host, backend=kernel_device).memory
    device = host.to_device(kernel_device)
    there = compile(device)
    assert estimate_memory(device) == there.memory
    assert there.memory["workspace"]["results of transforms"] == 0
    assert there.memory["all datasets"]["exposure"] == 0  # one dataset that is there already
    assert compile(host, backend=kernel_device).memory["all datasets"]["exposure"] > 0


def test_counts_what_is_there(scene):
    likelihood = compile(scene, backend="numpy")
    likelihood.value_and_gradient(likelihood.theta0)
    memory = likelihood.memory
    names = {term.name for term in likelihood.plan.terms}
    lasting = counted(memory, *names, "all datasets", "workspace") - memory["workspace"]["results of transforms"]
    assert held(likelihood) == pytest.approx(lasting, rel=0.05)


def test_second_derivatives_take_what_was_said(scene):
    tracemalloc.start()  # from the beginning: arrays of the likelihood are replaced while they are made
    try:
        likelihood = compile(scene, backend="numpy")
        likelihood.hessian(likelihood.theta0)  # tables are made
        likelihood.value_and_gradient(likelihood.theta0)
        items = likelihood.memory["second derivatives"]
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        likelihood.hessian(likelihood.theta0)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    unlisted = 80_000  # at most: steps of the models' own differences, the same for a map of any size
    assert peak == pytest.approx(sum(items.values()) - items["tables"] + unlisted / 2, rel=0.08, abs=unlisted / 2)


# ---- the limit -----------------------------------------------------------------------------------------------------------------------
def test_limit_refuses_with_the_list(scene):
    needed = estimate_memory(scene, backend="numpy").total
    with pytest.raises(MemoryLimitError, match="memory_limit allows") as caught:
        compile(scene, backend="numpy", memory_limit=needed - 1)
    assert isinstance(caught.value, (GPUDL4Error, MemoryError))
    assert (caught.value.needed, caught.value.allowed) == (needed, needed - 1)
    text = str(caught.value)
    assert str(estimate_memory(scene, backend="numpy")) in text
    assert "What helps: dtype='float32', a smaller region" in text
    assert compile(scene, backend="numpy", memory_limit=needed).n_bins > 0


def test_limit_advises_single_precision_only_once(scene):
    with pytest.raises(MemoryLimitError) as caught:
        compile(scene, backend="numpy", dtype="float32", memory_limit="1 kB")
    assert "float32" not in str(caught.value)


def test_limit_refuses_before_anything_large_is_made():
    dataset = large(npix=(400, 400))
    dataset.models["gauss"].spatial_model.sigma.value = 4
    needed = estimate_memory(dataset, backend="numpy").total  # also loads what is loaded once
    tracemalloc.start()
    try:
        with pytest.raises(MemoryLimitError):
            compile(dataset, backend="numpy", memory_limit=needed // 2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert needed > 100e6
    assert peak < 0.1 * needed


@pytest.mark.parametrize(
    ("given", "expected"),
    [(1000, 1000), (1.5e9, 1_500_000_000), ("2 GB", 2_000_000_000), ("500MiB", 500 * 2**20), ("1e6", 1_000_000), (" 1.5 kb ", 1500)],
)
def test_limits_that_are_understood(given, expected):
    assert parse_limit(given) == expected


@pytest.mark.parametrize("given", ["", "GB", "2 pounds", "-1 GB", 0, -5, float("nan"), float("inf"), True, [1], "1.2.3 MB"])
def test_limits_that_are_not(given):
    with pytest.raises(ValueError, match="wanted a number of bytes"):
        parse_limit(given)


# ---- the table -----------------------------------------------------------------------------------------------------------------------
def test_table_has_the_largest_first():
    memory = Memory(one={f"item {i}": i * 1000 for i in range(30)}, workspace={"big": 5_000_000, "none": 0})
    lines = str(memory).splitlines()
    assert lines[0] == "     5 MB  workspace: big"
    assert lines[1] == "    29 kB  one: item 29"
    assert lines[-2].endswith("18 smaller ones")
    assert lines[-1] == "  5.43 MB  at one time"
    assert "none" not in str(memory)


def test_total_counts_what_is_there_at_one_time():
    memory = Memory({"one": {"a": 10}, "workspace": {"b": 5}, "second derivatives": {"c": 7}, "while compiling": {"d": 11}})
    assert memory.total == 22
    memory["while compiling"]["d"] = 13
    assert memory.total == 23


@pytest.mark.parametrize(("number", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (123_456_789, "123 MB"), (4e12, "4 TB")])
def test_readable(number, text):
    assert readable(number) == text


def test_the_front_door_takes_the_limit():
    with pytest.raises(MemoryLimitError):
        gpudl4.compile(make_dataset(), memory_limit="100 kB")


def test_what_cannot_be_compiled_is_said_by_compile():
    dataset = make_dataset()
    dataset.mask_fit = dataset.mask_fit.copy(data=np.zeros_like(dataset.mask_fit.data))
    with pytest.raises(DatasetError, match="no bin to fit in 'test'"):
        compile(dataset, memory_limit="1 GB")


def test_a_warning_comes_once():
    dataset = make_dataset()
    dataset.models["point"].spatial_model.lat_0.value = 5
    with pytest.warns(UserWarning, match="lies outside the fit mask") as caught:
        compile(dataset, memory_limit="1 GB")
    assert len([w for w in caught if "lies outside the fit mask" in str(w.message)]) == 1
