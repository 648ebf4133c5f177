"""The double's arrays: what CuPy refuses is refused, what moves data is counted, the rest computes what NumPy computes."""

import copy
import pickle

import numpy as np
import pytest

from tests import emulator


@pytest.fixture
def x(cp):
    return cp.asarray(np.array([3.0, -1.0, 2.0, 0.5]))


@pytest.mark.parametrize(
    "operation",
    [
        lambda cp, x: x + np.ones(4),
        lambda cp, x: np.ones(4) * x,
        lambda cp, x: cp.where(np.ones(4) > 0, x, x),
        lambda cp, x: cp.maximum(x, [1, 2, 3, 4]),
        lambda cp, x: cp.add(x, np.ones(4)),
        lambda cp, x: x.__setitem__(slice(None), np.ones(4)),
        lambda cp, x: cp.concatenate([x, np.ones(4)]),
    ],
)
def test_host_operands_are_refused(cp, x, operation):
    with pytest.raises(TypeError, match="Unsupported type"):
        operation(cp, x)


def test_no_implicit_conversion(cp, x):
    for convert in (np.asarray, np.array, lambda v: np.linalg.norm(v, ord=3)):
        with pytest.raises(TypeError, match=r"Implicit conversion to a NumPy array is not allowed|no implementation found"):
            convert(x)
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        range(x[0])


def test_numpy_functions_dispatch_to_the_device(cp, x):
    assert isinstance(np.exp(x), cp.ndarray)
    assert isinstance(np.sum(x), cp.ndarray)
    assert isinstance(np.float64(2) * x, cp.ndarray)
    np.testing.assert_array_equal(np.exp(x).get(), np.exp(x.get()))


def test_numpy_only_keywords_are_refused(cp, x):
    with pytest.raises(TypeError, match="has no argument where"):
        cp.sum(x, where=x > 0)
    with pytest.raises(TypeError, match="has no argument initial"):
        x.sum(initial=1.0)
    with pytest.raises(TypeError, match="has no argument where"):
        cp.add(x, x, where=True)


def test_unknown_names_say_what_to_do(cp):
    with pytest.raises(AttributeError, match="the emulator's cupy has no 'histogramdd': add it"):
        cp.histogramdd  # noqa: B018 - the access itself is the test
    with pytest.raises(AttributeError, match=r"cupyx\.scipy\.ndimage has no 'rank_filter'"):
        emulator.cupyx.scipy.ndimage.rank_filter  # noqa: B018


@pytest.mark.parametrize(
    ("what", "operation"),
    [
        ("download .* via float", lambda cp, x: float(x.sum())),
        ("download .* via bool", lambda cp, x: bool(x.sum() > 0)),
        ("download .* via int", lambda cp, x: int(x[0])),
        ("download .* via format", lambda cp, x: f"{x.sum():.3f}"),
        ("download .* via str", lambda cp, x: str(x)),
        (r"download .* via \.get\(\)", lambda cp, x: x.get()),
        (r"download .* via \.item\(\)", lambda cp, x: x[0].item()),
        (r"download .* via bool\(x\)", lambda cp, x: min(x.sum(), 1.0)),
        (r"download .* via \.get\(\)", lambda cp, x: x.tolist()),
        (r"download .* via \.get\(\)", lambda cp, x: cp.asnumpy(x)),
        ("upload .* of 24 bytes via asarray", lambda cp, x: cp.asarray(np.ones(3))),
        (r"upload .* via \.set\(\)", lambda cp, x: x.set(np.ones(4))),
        ("upload .* via an index array", lambda cp, x: x[np.array([0, 1])]),
        ("synchronisation via indexing with a boolean mask", lambda cp, x: x[x > 0]),
        ("synchronisation via cupy.nonzero", lambda cp, x: cp.nonzero(x)),
        ("synchronisation via Stream.synchronize", lambda cp, x: cp.cuda.Stream.null.synchronize()),
    ],
)
def test_guard_refuses(cp, x, what, operation):
    with emulator.guard(), pytest.raises(emulator.TransferError, match=what):
        operation(cp, x)
    operation(cp, x)  # and outside it is allowed


def test_guard_allows_work_on_the_device(cp, x):
    mask = x > 0
    with emulator.guard():
        y = cp.where(mask, x, 0.0)
        y[mask] = 1.0
        y += x * 2
        total = y.sum()
    assert float(total) == pytest.approx(12.0)


def test_guard_with_a_budget(cp, x):
    with emulator.guard(downloads=1, synchronisations=1, allocations=0):
        assert x.get().sum() == 4.5
        with pytest.raises(emulator.TransferError, match=r"inside guard\(downloads=1\)"):
            x.get()
        with pytest.raises(emulator.TransferError, match=r"device allocation of 32 bytes via add inside guard\(allocations=0\)"):
            x + x
        cp.add(x, x, out=x)
    with emulator.guard(launches=1):
        cp.multiply(x, 2, out=x)
        with pytest.raises(emulator.TransferError, match=r"launch via multiply inside guard\(launches=1\)"):
            cp.multiply(x, 2, out=x)


def test_new_memory_is_poisoned(cp):
    assert np.isnan(cp.empty(3).get()).all()
    assert (cp.empty(3, np.int32).get() == np.iinfo(np.int32).max).all()


def test_views_share_memory_and_cost_nothing(cp, x):
    with emulator.counting() as count:
        view = x.reshape(2, 2).T[0]
        view[...] = 7.0
        same = x.astype(float, copy=False)
    assert count.allocations == 0
    assert same.data.ptr == x.data.ptr
    np.testing.assert_array_equal(x.get(), [7, -1, 7, 0.5])


def test_index_out_of_range(cp, x):
    with pytest.raises(IndexError, match="index out of range for an axis of 4: CuPy would wrap it around"):
        x[cp.asarray(np.array([7]))]
    np.testing.assert_array_equal(x[cp.asarray(np.array([3, 0]))].get(), [0.5, 3.0])


def test_set_wants_the_same_array(cp, x):
    with pytest.raises(TypeError, match=r"Only numpy\.ndarray"):
        x.set([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(TypeError, match="float32 array cannot be set to float64 array"):
        x.set(np.ones(4, np.float32))
    with pytest.raises(ValueError, match="Shape mismatch"):
        x.set(np.ones(3))


def test_downloads_that_do_not_block_arrive_at_the_next_synchronisation(cp, x):
    out = np.zeros(4)
    with emulator.counting() as count:
        x.get(out=out, blocking=False)
        assert np.isnan(out).all()
        x *= 0
        cp.cuda.Stream.null.synchronize()
    np.testing.assert_array_equal(out, [3, -1, 2, 0.5])
    assert (count.downloads, count.synchronisations) == (1, 1)


def test_out_of_memory(cp):
    with emulator.configure(memory_bytes=cp.get_default_memory_pool().used_bytes() + 1000):
        kept = cp.zeros(100)
        with pytest.raises(cp.cuda.memory.OutOfMemoryError, match="Out of memory allocating 800 bytes"):
            cp.zeros(100)
        free, total = cp.cuda.Device().mem_info
        assert (free, total) == (200, cp.get_default_memory_pool().get_limit())
        del kept
        cp.zeros(100)


def test_functions_compute_what_numpy_computes(cp, rng):
    host = rng.normal(size=(3, 4))
    device = cp.asarray(host)
    for function in (
        lambda xp, a: xp.where(a > 0, a, -a) ** 2,
        lambda xp, a: xp.clip(a, 0, 1).sum(axis=0),
        lambda xp, a: xp.concatenate([a, a * 2], axis=1),
        lambda xp, a: xp.moveaxis(a, 0, 1) @ a,
        lambda xp, a: xp.einsum("ij,ij->i", a, a),
        lambda xp, a: xp.cumsum(a, axis=1)[:, ::-1],
        lambda xp, a: xp.nansum(xp.log(a), axis=1),
        lambda xp, a: xp.pad(a, [(1, 1), (0, 0)]),
        lambda xp, a: 1 - a // 0.5,
        lambda xp, a: a.astype(xp.float32).mean(),
        lambda xp, a: xp.zeros_like(a) + xp.arange(4.0),
    ):
        with np.errstate(invalid="ignore"):
            expected = function(np, host)
        result = function(cp, device)
        assert isinstance(result, cp.ndarray)
        assert result.dtype == expected.dtype
        np.testing.assert_allclose(result.get(), expected, rtol=1e-6)


def test_copies_stay_on_the_device(cp, x):
    with emulator.guard():
        twins = copy.copy(x), copy.deepcopy({"x": x})["x"]
        for twin in twins:
            twin += 1.0
    np.testing.assert_array_equal(x.get(), [3, -1, 2, 0.5])
    np.testing.assert_array_equal(twins[1].get(), [4, 0, 3, 1.5])
    with emulator.counting() as count:
        again = pickle.loads(pickle.dumps(x))
    assert (count.downloads, count.uploads) == (1, 1)
    np.testing.assert_array_equal(again.get(), x.get())
