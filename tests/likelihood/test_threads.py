"""A likelihood shared by threads gives the values of one thread, to the bit; and it does not go to other processes."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gpudl4
from benchmarks.fields import background, gaussian, make_dataset, point
from gpudl4.likelihood.likelihood import Likelihood
from gpudl4.models import Models, SkyModel
from tests.likelihood.test_memory import UsersGaussian

KINDS = ("value", "value_and_gradient", "fisher", "hessian", "local")


def _scene():
    """A point that moves, a Gaussian, a user's shape and a background."""
    spatial = UsersGaussian(lon_0="-0.31 deg", lat_0="0.12 deg", sigma="0.1 deg", frame="galactic")
    spatial.lon_0.frozen = spatial.lat_0.frozen = True
    users = SkyModel(spectral_model=point("x", 0, 0).spectral_model, spatial_model=spatial, name="users")
    models = [point("moves", 0.113, -0.217), gaussian("shape", 0.2, 0.3, sigma=0.11), users, background()]
    return make_dataset(n_pixels=24, n_energy=2, n_true=3, models=Models(models), seed=1)


def _ask(likelihood, kind, theta):
    if kind == "local":
        return np.append(*reversed(likelihood.local(theta, "moves").value_and_gradient(theta)))
    found = getattr(likelihood, kind)(theta)
    return np.append(found[1], found[0]) if isinstance(found, tuple) else np.asarray(found)


@pytest.mark.parametrize("n_threads", [2, 4])
@pytest.mark.parametrize("shared", ["likelihood", "plan"])
def test_threads_give_the_bits_of_one(kernel_backend, n_threads, shared):
    likelihood = gpudl4.compile(_scene(), backend=kernel_backend.name)
    rng = np.random.default_rng(3)
    jobs = [(KINDS[i % len(KINDS)], likelihood.theta0 * (1 + 0.02 * rng.normal(size=len(likelihood.names)))) for i in range(15)]
    alone = [_ask(likelihood, *job) for job in jobs]
    own = [likelihood if shared == "likelihood" else Likelihood(likelihood.plan) for _ in range(n_threads)]
    with ThreadPoolExecutor(n_threads) as pool:
        many = range(len(jobs) if kernel_backend.name == "cupy" else 8 * len(jobs))  # an emulated device is slow
        found = list(pool.map(lambda i: _ask(own[i % n_threads], *jobs[i % len(jobs)]), many))
    for i, got in enumerate(found):
        np.testing.assert_array_equal(got, alone[i % len(jobs)])


def test_threads_after_a_recompile():
    """`recompile` hands the working arrays of one thread on; those of others stay."""
    first = gpudl4.compile(_scene(), backend="numpy")
    theta = first.theta0 * 1.01
    want = first.value(theta)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(first.value, theta).result() == want
        second = first.recompile(first.theta0)
        values = [pool.submit(one.value, theta) for one in (first, second) for _ in range(3)]
        assert {value.result() for value in values} == {want} == {first.value(theta), second.value(theta)}


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_stays_in_its_process(way):
    likelihood = gpudl4.compile(make_dataset(n_pixels=12, n_energy=2, n_true=3, models=Models([background()]), seed=1))
    with pytest.raises(TypeError, match=r"cannot be pickled.*gpudl4.compile\(datasets, models\)"):
        way(likelihood)
