"""Flux points of many datasets at once: against loops over datasets, points and models, on both backends, and what they cost a device."""

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from scipy.interpolate import make_interp_spline
from scipy.special import erfc

import gpudl4
from gpudl4.likelihood.flux_term import FluxData
from gpudl4.models import LogParabolaSpectralModel, Models, PowerLawSpectralModel, SkyModel
from gpudl4.stats import Chi2, Distrib, Profile
from tests import emulator
from tests.factory import make_dataset, make_models

UNIT, SCALE = u.Unit("cm-2 s-1 TeV-1"), 1e-12
NORMS = np.linspace(0.2, 4, 12)
# name, kind, energy of each point (a light curve has several of one energy, in any order), points that are masked
KINDS = [
    ("one", "chi2", [0, 1, 2, 3], [2]),
    ("two", "distrib", [2, 0, 1, 0, 0, 2, 1], []),
    ("three", "profile", [0, 1, 1], []),
    ("four", "chi2", [0, 1], [0, 1]),
    ("five", "distrib", [0, 1, 2, 3, 4], [1]),
    ("six", "profile", [3, 1, 0], []),
]


class Points:
    """A dataset of flux points as the likelihood sees it, and a slow statistic of its own."""

    def __init__(self, name, kind, where, masked, seed=0):
        rng, n = np.random.default_rng([seed, len(name), n_letters(name)]), len(where)
        self.name, self.kind, self.models = name, kind, None
        self.energy, self.where = np.geomspace(0.7, 20, max(where) + 1) * rng.uniform(0.9, 1.1), np.array(where)
        self.fitted = ~np.isin(np.arange(n), masked)
        self.data = 3 * SCALE * self.energy[self.where] ** -2.4 * rng.uniform(0.7, 1.3, n)
        self.errn, self.errp, self.limit = self.data * rng.uniform(0.1, 0.3, n), self.data * rng.uniform(0.1, 0.3, n), 1.5 * self.data
        self.is_ul = np.arange(n) % 3 == 2
        self.scans = ((NORMS - rng.uniform(0.7, 1.5, (n, 1))) / 0.2) ** 2 * (1 + 0.1 * NORMS)

    def flux_data(self):
        statistic = {
            "chi2": lambda: Chi2(self.data, self.errn),
            "distrib": lambda: Distrib(self.data, self.errn, self.errp, self.limit, self.is_ul),
            "profile": lambda: Profile(NORMS, self.scans, self.data),
        }[self.kind]()
        return FluxData(self.name, self.energy, self.where, self.fitted, statistic)

    def stat(self, models):
        """One point after the other."""
        total = 0.0
        for i in np.flatnonzero(self.fitted):
            own = [m for m in models if m.datasets_names is None or self.name in m.datasets_names]
            flux = sum(m.spectral_model(self.energy[self.where[i]] * u.TeV).to_value(UNIT) for m in own)
            if self.kind == "chi2":
                total += ((flux - self.data[i]) / self.errn[i]) ** 2
            elif self.kind == "profile":
                total += float(make_interp_spline(NORMS, self.scans[i], k=2)(flux / self.data[i]))
            elif self.is_ul[i]:
                total += 2 * np.log(erfc((self.limit[i] - flux) / self.limit[i]) / erfc(1.0))
            else:
                total += ((flux - self.data[i]) / (self.errp[i] if flux >= self.data[i] else self.errn[i])) ** 2
        return total


def n_letters(name):
    return sum(map(ord, name))


def make(kinds=KINDS):
    """Datasets of all kinds; one model in all of them, one in some that are no neighbours, a frozen one, and one in a single dataset."""
    spectrum = LogParabolaSpectralModel(alpha=2.4, beta=0.05, amplitude=1.6 * SCALE * UNIT, reference="2 TeV")
    models = Models(
        [
            SkyModel(spectrum, name="everywhere"),
            SkyModel(
                PowerLawSpectralModel(index=2.2, amplitude=0.4 * SCALE * UNIT),
                name="here-and-there",
                datasets_names=["one", "three", "six"],
            ),
            SkyModel(PowerLawSpectralModel(index=2.0, amplitude=0.1 * SCALE * UNIT), name="frozen"),
            SkyModel(PowerLawSpectralModel(index=2.7, amplitude=0.3 * SCALE * UNIT), name="alone", datasets_names=["five"]),
        ]
    )
    models["frozen"].freeze()
    return [Points(*kind) for kind in kinds], models


def moved(likelihood, seed=1, size=0.05):
    theta = likelihood.theta0
    return theta * (1 + size * np.random.default_rng(seed).normal(size=len(theta)))


def set_to(models, likelihood, theta):
    for parameter, value in zip(likelihood.parameters, theta, strict=True):
        parameter.value = value


@pytest.fixture
def compiled(kernel_backend):
    """Datasets, models, and their likelihood on each backend."""
    datasets, models = make()
    return datasets, models, gpudl4.compile(datasets, models, backend=kernel_backend.name)


def test_the_sum_is_that_of_a_loop(compiled):
    datasets, models, likelihood = compiled
    assert likelihood.n_bins == sum(one.fitted.sum() for one in datasets) == 20
    assert repr(likelihood).startswith("<Likelihood: 6 datasets, 20 bins")
    theta = moved(likelihood)
    value = likelihood.value(theta)
    assert likelihood.value_and_gradient(theta)[0] == value
    set_to(models, likelihood, theta)
    assert value == pytest.approx(sum(one.stat(models) for one in datasets), rel=1e-11)


def test_derivatives_are_differences(compiled):
    _, _, likelihood = compiled
    theta = moved(likelihood)
    gradient = likelihood.value_and_gradient(theta)[1]
    fisher, hessian = likelihood.second_derivatives(theta)
    for i, step in enumerate(1e-5 * np.abs(theta)):
        up, down = (theta + sign * step * (np.arange(len(theta)) == i) for sign in (1, -1))
        assert gradient[i] == pytest.approx((likelihood.value(up) - likelihood.value(down)) / (2 * step), rel=1e-6)
        row = (likelihood.value_and_gradient(up)[1] - likelihood.value_and_gradient(down)[1]) / (2 * step)
        scale = np.sqrt(np.abs(np.diag(hessian) * hessian[i, i]))
        np.testing.assert_allclose(hessian[i] / scale, row / scale, rtol=0, atol=2e-3)  # differences of the spectra's own slopes
    np.testing.assert_allclose(fisher, likelihood.fisher(theta), rtol=1e-12)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12)
    whitened = fisher / np.sqrt(np.outer(np.diag(fisher), np.diag(fisher)))
    assert np.linalg.eigvalsh(whitened).min() > -1e-12


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_device_says_what_the_host_says(kernel_device, dtype):
    """In any precision of the working arrays: points are double."""
    datasets, models = make()
    host, there = (gpudl4.compile(datasets, models, backend=name, dtype=dtype) for name in ("numpy", kernel_device.name))
    for seed in range(3):
        theta = moved(host, seed, 0.2)
        (value, slope), (again, other) = host.value_and_gradient(theta), there.value_and_gradient(theta)
        assert again == pytest.approx(value, rel=1e-13)
        np.testing.assert_allclose(other, slope, rtol=1e-11)
        for mine, its in zip(host.second_derivatives(theta), there.second_derivatives(theta), strict=True):
            np.testing.assert_allclose(its, mine, rtol=1e-9, atol=1e-12 * np.abs(mine).max())


def test_a_batch_and_the_same_bits_twice(compiled):
    _, _, likelihood = compiled
    thetas = np.array([moved(likelihood, seed) for seed in range(5)])
    stat, gradient = likelihood.evaluate(thetas)
    for i, theta in enumerate(thetas):
        value, slope = likelihood.value_and_gradient(theta)
        assert stat[i] == value
        np.testing.assert_array_equal(gradient[i], slope)
    np.testing.assert_array_equal(likelihood.evaluate(thetas)[1], gradient)


def test_datasets_add_up(compiled):
    datasets, models, likelihood = compiled
    theta, total = moved(likelihood), 0.0
    slopes = dict.fromkeys(likelihood.names, 0.0)
    for one in datasets:
        if not one.fitted.any():
            continue
        part = gpudl4.compile(one, models, backend=likelihood.backend)
        own = [likelihood.names.index(name) for name in part.names]
        value, slope = part.value_and_gradient(theta[own])
        total += value
        for name, more in zip(part.names, slope, strict=True):
            slopes[name] += more
    value, slope = likelihood.value_and_gradient(theta)
    assert value == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(slope, list(slopes.values()), rtol=1e-11)


@pytest.mark.parametrize("source", ["everywhere", "here-and-there", "alone"])
def test_one_source_alone(compiled, source):
    _, _, likelihood = compiled
    theta, step = likelihood.theta0, moved(likelihood)
    own = np.array([name.startswith(f"{source}.") for name in likelihood.names])
    local = likelihood.local(theta, source)
    other = np.where(own, step, theta)
    difference = likelihood.value(other) - likelihood.value(theta)
    assert local.value(other) - local.value(theta) == pytest.approx(difference, rel=1e-9)
    gradient = local.value_and_gradient(other)[1]
    np.testing.assert_allclose(gradient[own], likelihood.value_and_gradient(other)[1][own], rtol=1e-10)
    assert (gradient[~own] == 0).all()


def test_nothing_is_evaluated_where_no_point_is_fitted():
    """A spectrum that is infinite at an energy without a point does no harm."""
    points = Points("one", "chi2", [0, 1, 2], [1])
    points.energy[1] = 1.0
    model = SkyModel(PowerLawSpectralModel(index=2.4, amplitude=2 * SCALE * UNIT), name="m")
    evaluate = model.spectral_model.bind_evaluate

    def bind(energy):
        assert energy.tolist() == points.energy[[0, 2]].tolist()
        return evaluate(energy)

    model.spectral_model.bind_evaluate = bind
    likelihood = gpudl4.compile(points, [model])
    assert likelihood.value(likelihood.theta0) == pytest.approx(points.stat([model]))


def test_parameters_that_are_linked_between_datasets():
    datasets, _ = make([KINDS[0], KINDS[4]])
    first, second = (SkyModel(PowerLawSpectralModel(amplitude=2 * SCALE * UNIT), name=name) for name in "ab")
    first.datasets_names, second.datasets_names = ["one"], ["five"]
    second.spectral_model.index = first.spectral_model.index
    likelihood = gpudl4.compile(datasets, Models([first, second]))
    assert likelihood.names == ("a.index", "a.amplitude", "b.amplitude")
    gpudl4.assert_gradient(likelihood, moved(likelihood))


# ---- what it costs -------------------------------------------------------------------------------------------------------------------
def cost(likelihood):
    """Launches of value and gradient; raises where transfers go over the budget."""
    theta = moved(likelihood)
    with emulator.counting() as count, emulator.guard(uploads=1, downloads=1, synchronisations=1, allocations=0):
        likelihood.value_and_gradient(theta)
    assert (count.uploads, count.downloads) == (1, 1)
    assert count.bytes_down == 8 * (1 + len(likelihood.names))
    return count.launches


def test_launches_do_not_grow_with_datasets(kernel_device, limits):
    if limits is not emulator.guard:
        pytest.skip("a real GPU does not count")
    found = {}
    for number in (1, 4, 25):
        datasets = [Points(f"d{i}", "chi2" if i % 2 else "distrib", [0, 1, 2], []) for i in range(number)]
        model = SkyModel(PowerLawSpectralModel(amplitude=2 * SCALE * UNIT), name="m")
        likelihood = gpudl4.compile(datasets, [model], backend=kernel_device.name)
        found[number] = cost(likelihood)
        assert likelihood.value(likelihood.theta0) == pytest.approx(sum(one.stat([model]) for one in datasets), rel=1e-11)
    assert found == {1: 2, 4: 2, 25: 2}


def test_beside_counts_points_are_one_launch(kernel_device, limits):
    if limits is not emulator.guard:
        pytest.skip("a real GPU does not count")
    models = make_models()
    cube = make_dataset(models=None).to_device(kernel_device)
    points, _ = make()
    numbers = [cost(gpudl4.compile(datasets, models)) for datasets in ([cube], [cube, *points[:1]], [cube, *points])]
    assert numbers[1] == numbers[2] == numbers[0] + 1


@pytest.mark.parametrize("mode", emulator.MODES)
@pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))
def test_every_order_of_threads_and_every_check(mode):
    datasets, models = make()
    host = gpudl4.compile(datasets, models, backend="numpy")
    theta = moved(host)
    with emulator.installed(), emulator.mode(mode):
        there = gpudl4.compile(datasets, models, backend="cupy")
        assert there.value(theta) == pytest.approx(host.value(theta), rel=1e-13)
        np.testing.assert_allclose(there.value_and_gradient(theta)[1], host.value_and_gradient(theta)[1], rtol=1e-11)
        np.testing.assert_allclose(there.fisher(theta), host.fisher(theta), rtol=1e-10)


def test_spectra_are_evaluated_once_for_all_datasets():
    datasets = [Points(f"d{i}", "chi2", [0, 1, 2], []) for i in range(7)]
    model, calls = SkyModel(PowerLawSpectralModel(amplitude=2 * SCALE * UNIT), name="m"), []
    bind = model.spectral_model.bind_evaluate

    def counted(energy):
        bound = bind(energy)
        return SimpleNamespace(value_and_gradient=lambda values: calls.append(energy.shape) or bound.value_and_gradient(values))

    model.spectral_model.bind_evaluate = counted
    likelihood = gpudl4.compile(datasets, [model])
    likelihood.value_and_gradient(likelihood.theta0)
    assert calls == [(21,)]
    entries = likelihood.plan.evaluation.layout.tables.entries
    assert len(entries) == 1 + len(likelihood.names)  # the statistic, and one sum over all datasets for each parameter
