"""Work of kernels counted from tables, and the tables printed from it."""

import json
import math

import numpy as np
import pytest

import gpudl4
from benchmarks import limits
from benchmarks.counts import COUNTED, Work, work
from benchmarks.fields import gaussian, make_dataset, points
from benchmarks.rates import COPIES
from benchmarks.spy import Spy, Unseen
from tests.factory import make_dataset as make_small_dataset

POINT_KERNELS = {"place.place", "fold.fold", "cash.cash", "place.place_pull", "contract.contract"}
RATES = {"copy": {1000: 2e9, 1_000_000: 1e9}, "flops": 1e9, "exp": 1e8, "log": 1e8}


@pytest.fixture(scope="module")
def seen():
    """Likelihood of a point and a round Gaussian, and a spy that saw one evaluation."""
    models = points(1, radius=0.1)
    models.append(gaussian("shape", 0.05, -0.05, sigma=0.06))
    likelihood = gpudl4.compile(make_dataset(40, 3, 5, models=models, seed=1), backend="numpy")
    with Spy(likelihood) as spy:
        Unseen(likelihood)()
    return likelihood, spy


def test_spy_leaves_no_trace(seen):
    likelihood, _ = seen
    kernels = likelihood.plan.evaluation.engine.kernels
    with Spy(likelihood) as spy:
        Unseen(likelihood)()
        assert likelihood.plan.evaluation.engine.kernels is not kernels
    assert likelihood.plan.evaluation.engine.kernels is kernels
    number = len(spy.seconds["fold.fold"])
    Unseen(likelihood)()
    assert len(spy.seconds["fold.fold"]) == number


def test_unseen_never_repeats(seen):
    likelihood, _ = seen
    value, gradient = Unseen(likelihood, "value"), Unseen(likelihood)
    with Spy(likelihood) as spy:
        for call in (value, gradient, value, gradient):
            call()
    assert len(spy.seconds["fold.fold"]) == 4
    stats, gradients = Unseen(likelihood, batch=3)()
    assert stats.shape == (3,)
    assert gradients.shape == (3, len(likelihood.names))


def test_every_kernel_of_an_evaluation_is_counted(seen):
    _, spy = seen
    assert set(spy.seconds) == set(COUNTED) - {"cash.cash_value", "mix.mix", "mix.mix_pull"}
    for name in spy.seconds:
        own = work(name, spy.arguments[name])
        assert own.bytes > 0
        assert own.operations >= 0


def test_mixed_planes_by_hand():
    likelihood = gpudl4.compile(make_dataset(160, 6, 20, models=[gaussian("shape", 0.0, 0.0, sigma=0.5)], seed=1), backend="numpy")
    (source,) = likelihood.plan.terms[0].sources
    assert source.is_mixed
    with Spy(likelihood) as spy:
        Unseen(likelihood)()
    n_true, pixels = source.response.edisp.shape[0], source.box.ny * source.box.nx
    bands = int((source.response.reach[n_true : 2 * n_true] - source.response.reach[:n_true]).sum())
    forward, back = (work(name, spy.arguments[name]) for name in ("mix.mix", "mix.mix_pull"))
    assert forward.bytes == pixels * (8 * source.rank + 4 * n_true + 2 * 8 * source.response.edisp.shape[1])
    assert forward.operations == pixels * (n_true * (2 * source.rank + 1) + 2 * bands)
    assert back.operations == forward.operations + pixels * n_true * (3 + 2 * source.rank)
    assert work("fold.fold", spy.arguments["fold.fold"]).operations == likelihood.plan.evaluation.layout.n_bins


def test_statistic_by_hand(seen):
    likelihood, spy = seen
    data = likelihood.plan.evaluation.data
    own = work("cash.cash", spy.arguments["cash.cash"])
    bins, filled = data.counts.size, np.count_nonzero((data.counts > 0) & (data.mask > 0))
    assert own.functions == {"log": filled}
    assert own.bytes == bins * (4 + 1 + 4 + 8 + 8)  # counts, mask, background; prediction, slope
    assert own.operations == 3 * np.count_nonzero(data.mask) + 5 * filled


def test_placed_point_by_hand(seen):
    likelihood, spy = seen
    source = next(s for s in likelihood.plan.terms[0].sources if s.kind == "point")
    height, width = source.support
    state = source.begin(likelihood.theta0[np.newaxis])
    y, x = (int(n) for n in state.corner[0, :2])
    rows, columns = (min(n, size - at) - max(0, -at) for n, size, at in zip((height, width), source.box.shape, (y, x), strict=True))
    own = work("place.place", spy.arguments["place.place"])
    assert own.operations == 5 * 8 * rows * columns  # four products, three sums, exposure
    assert own.bytes == 5 * (8 * (height + 1) * (width + 1) + 8 * height * width + 4 * rows * columns)


def test_folding_by_hand(seen):
    likelihood, spy = seen
    sources = likelihood.plan.terms[0].sources
    expected = likelihood.plan.evaluation.layout.n_bins
    for source, box in zip(sources, (None, sources[1].box), strict=True):
        n_true = source.response.edisp.shape[0]
        pairs = int((source.response.reach[n_true : 2 * n_true] - source.response.reach[:n_true]).sum())
        if box is None:
            pixels = work("place.place", spy.arguments["place.place"]).operations // 8 // n_true
        else:
            pixels = box.ny * box.nx
        expected += 2 * pairs * pixels
    assert work("fold.fold", spy.arguments["fold.fold"]).operations == expected


def test_transforms_and_spectra_by_hand(seen):
    likelihood, spy = seen
    ny, nx = likelihood.plan.terms[0].sources[1].padded
    half, planes = ny * (nx // 2 + 1), 5
    assert work("fft.to_planes out", spy.arguments["fft.to_planes out"]).operations == pytest.approx(
        2.5 * planes * ny * nx * math.log2(ny * nx)
    )
    spread, gather = (work(name, spy.arguments[name]) for name in ("fourier.spread", "fourier.gather"))
    assert spread.bytes == gather.bytes == 16 * (2 * planes + 1) * half
    assert (spread.operations, gather.operations) == (6 * planes * half, 8 * planes * half)


def test_psf_in_reconstructed_energy_is_counted():
    likelihood = gpudl4.compile(make_small_dataset(reco_psf=True), backend="numpy")
    with Spy(likelihood) as spy:
        Unseen(likelihood)()
        Unseen(likelihood, "value")()
    assert "cash.cash_value" in spy.seconds
    for name in set(spy.seconds) & set(COUNTED):
        assert work(name, spy.arguments[name]).bytes > 0
    assert set(spy.seconds) - set(COUNTED) == {"place.place_unfold"}  # a sum over energies, no pixels


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (Work(500, 10, {}), (500 / 2e9, "bytes")),
        (Work(5000, 10, {}), (5000 / 1e9, "bytes")),
        (Work(2_000_000, 10, {}), (2_000_000 / 1e9, "bytes")),  # larger than every copy
        (Work(8, 1000, {}), (1e-6, "operations")),
        (Work(8, 1000, {"log": 500, "exp": 0}), (6e-6, "functions")),
    ],
)
def test_least_time(own, expected):
    assert limits.least(own, RATES) == pytest.approx(expected)


def test_rates_of_more_threads_are_never_lower():
    slow = {"copy": {1000: 1e9, 1_000_000: 3e9}, "flops": 5e8, "exp": 2e8, "log": 1e7}
    assert limits.best_rates({1: RATES, 2: slow}, 1) == RATES
    assert limits.best_rates({1: RATES, 2: slow}, 2) == {"copy": {1000: 2e9, 1_000_000: 3e9}, "flops": 1e9, "exp": 2e8, "log": 1e8}


@pytest.mark.slow
def test_tiny_run(tmp_path, capsys):
    path = tmp_path / "limits.json"
    limits.main(["--cases", "simulated", "--pixels", "30", "--repeat", "2", "--quick", "--cores", "0", "--json", str(path)])
    record, out = json.loads(path.read_text(encoding="utf-8")), capsys.readouterr().out
    one = record["cases"]["simulated"]["1"]
    assert set(one) >= POINT_KERNELS
    assert all(own["median"] > 0 and own["limit"] > 0 for own in one.values())
    assert set(map(int, record["rates"]["1"]["copy"])) == {min(size, 2**22) for size in COPIES.values()}
    assert out.count("ms, one thread |") == 1


def test_missing_data_are_named(tmp_path, capsys):
    options = limits.parse(["--cases", "hawc", "--data", str(tmp_path)])
    assert limits.compiled("hawc", options) is None
    assert "hawc: left out, not found: hawc-crab/" in capsys.readouterr().out
