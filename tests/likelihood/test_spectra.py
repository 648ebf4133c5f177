"""Many spectra of one shape: shared fluxes, dense second derivatives, a cost on the device that does not depend on their number."""

import numpy as np
import pytest

import gpudl4
from gpudl4.likelihood import assert_gradient, compile
from gpudl4.models import FoVBackgroundModel
from tests import emulator
from tests.factory import make_dataset
from tests.regions import make_region_dataset, make_region_model

needs_emulator = pytest.mark.skipif(emulator.missing_requirement() is not None, reason=str(emulator.missing_requirement()))


def _spectra(number, with_background=False, first=0, **kwargs):
    datasets = [make_region_dataset(name=f"d{i}", seed=i, psf=False, **kwargs) for i in range(first, first + number)]
    model = make_region_model(None)
    for dataset in datasets:
        dataset.models = [model, FoVBackgroundModel(dataset_name=dataset.name)] if with_background else [model]
    return datasets


def _close(one, other):
    scale = np.sqrt(np.diag(other))
    np.testing.assert_allclose(one / np.outer(scale, scale), other / np.outer(scale, scale), rtol=1e-9, atol=1e-10)


def test_sources_of_one_spectrum_share_their_flux():
    likelihood = compile(_spectra(5))
    layout = likelihood.plan.evaluation.layout
    assert len({own[0].flux for own in layout.slots}) == 1
    assert len(likelihood.plan.evaluation._flux_rows.rows) == 1
    several = compile([*_spectra(3), *_spectra(2, first=3, n_true=9)])  # other energies, another model
    assert len(several.plan.evaluation._flux_rows.rows) == 2


@pytest.mark.parametrize("with_background", [False, True])
def test_a_joint_likelihood_is_the_sum_of_its_parts(kernel_backend, with_background):
    datasets = [*_spectra(4, with_background), *_spectra(2, with_background, first=4, n_true=9, n_reco=4)]
    for i, dataset in enumerate(datasets):
        if i >= 4:
            dataset.models = [datasets[0].models[0], *list(dataset.models)[1:]]
    here = [dataset.to_device(kernel_backend) for dataset in datasets]
    for one, dataset in zip(here, datasets, strict=True):
        one.models = dataset.models
    joint = compile(here)
    theta = joint.theta0 * 1.02
    stat, gradient = joint.value_and_gradient(theta)
    fisher, hessian = joint.second_derivatives(theta)
    want_stat, want_gradient, want = 0.0, np.zeros(len(theta)), [np.zeros((len(theta), len(theta))) for _ in range(2)]
    for dataset in here:
        alone = compile(dataset)
        own = np.array([joint.names.index(name) for name in alone.names])
        value, slope = alone.value_and_gradient(theta[own])
        want_stat += value
        want_gradient[own] += slope
        for total, part in zip(want, alone.second_derivatives(theta[own]), strict=True):
            total[np.ix_(own, own)] += part
    assert stat == pytest.approx(want_stat, rel=1e-12)
    np.testing.assert_allclose(gradient, want_gradient, rtol=1e-9)
    _close(fisher, want[0])
    np.testing.assert_allclose(hessian, want[1], rtol=1e-4, atol=1e-6 * np.abs(want[1]).max())  # steps of differences differ
    assert_gradient(joint, theta, rtol=1e-6)


@pytest.mark.parametrize("with_background", [False, True])
def test_dense_second_derivatives_equal_those_of_the_tables(kernel_backend, with_background, monkeypatch):
    def made():
        datasets = []
        for dataset in _spectra(3, with_background):
            datasets.append(dataset.to_device(kernel_backend))
            datasets[-1].models = dataset.models
        return compile(datasets)

    dense = made()
    theta = dense.theta0 * 1.03
    want = dense.second_derivatives(theta)
    monkeypatch.setattr("gpudl4.likelihood.spectra.is_spectrum", lambda term: False)
    tables = made()
    assert len(tables._second_order(True)._spectra.terms) == 0
    assert len(dense._second_order(True)._spectra.terms) == 3
    for got, expected in zip(tables.second_derivatives(theta), want, strict=True):
        _close(got, expected)
    assert tables.value(theta) == pytest.approx(dense.value(theta), rel=1e-13)


def test_cubes_and_spectra_together(kernel_backend):
    cube = make_dataset(name="cube")
    spectra = _spectra(3)
    shared = cube.models["point"]
    datasets = [cube.to_device(kernel_backend), *(d.to_device(kernel_backend) for d in spectra)]
    datasets[0].models = cube.models
    for dataset in datasets[1:]:
        dataset.models = [gpudl4.models.SkyModel(shared.spectral_model, name="same spectrum")]
    joint = compile(datasets)
    parts = [compile(dataset) for dataset in datasets]
    theta = joint.theta0.copy()

    def of(part):
        return np.array([joint.parameters.index(p) for p in part.parameters])

    fisher, hessian = joint.second_derivatives(theta)
    want = np.zeros_like(fisher)
    for part in parts:
        want[np.ix_(of(part), of(part))] += part.fisher(theta[of(part)])
    assert joint.value(theta) == pytest.approx(sum(part.value(theta[of(part)]) for part in parts), rel=1e-12)
    _close(fisher, want)
    assert np.all(np.isfinite(hessian))


@needs_emulator
def test_launches_do_not_depend_on_the_number_of_spectra():
    costs = {}
    for number in (1, 40):
        with emulator.installed():
            likelihood = compile(_spectra(number), backend="cupy")
            with emulator.counting() as count, emulator.guard(uploads=1, downloads=1, synchronisations=1, allocations=0):
                likelihood.value_and_gradient(likelihood.theta0 * 1.01)
            with emulator.counting() as second:
                likelihood.second_derivatives(likelihood.theta0)
        costs[number] = count.launches, count.api_calls, second.launches
    assert costs[1][:2] == costs[40][:2]
    assert costs[40][0] <= 6


def test_a_fit_compiles_once_and_ends_where_a_fit_of_one_stack_would():
    datasets = _spectra(20, n_true=40, n_reco=20)
    model = datasets[0].models[0]
    for dataset in datasets:
        dataset.models = [model]
    truth = model.parameters.value.copy()
    for dataset in datasets:
        dataset.counts = dataset.counts.copy(data=dataset.npred().data.copy())
    model.spectral_model.amplitude.value *= 1.4
    model.spectral_model.alpha.value += 0.3
    result = gpudl4.Fit().run(datasets)
    assert result.success
    assert result.ngrad <= 20
    np.testing.assert_allclose(model.parameters.value, truth, rtol=1e-3)


@needs_emulator
def test_launches_of_a_hundred_on_off_spectra_are_those_of_two():
    from benchmarks.cases import library
    from benchmarks.spectra import START, made_up, source

    lib, costs, found = library("gpudl4"), {}, {}
    for number in (2, 100):
        datasets = made_up(number)(lib)
        datasets.models = source(lib, START)
        host = compile(datasets, backend="numpy")
        found[number] = [host.value_and_gradient(host.theta0 * 1.01)]
        with emulator.installed():
            likelihood = compile(datasets, backend="cupy")
            with emulator.counting() as count, emulator.guard(uploads=1, downloads=1, synchronisations=1, allocations=0):
                found[number].append(likelihood.value_and_gradient(likelihood.theta0 * 1.01))
        costs[number] = count.launches, count.api_calls
    assert costs[2] == costs[100]
    for (stat, gradient), (device_stat, device_gradient) in found.values():
        assert device_stat == pytest.approx(stat, rel=1e-12)
        np.testing.assert_allclose(device_gradient, gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max())
