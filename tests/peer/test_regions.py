"""Datasets of one sky region against gammapy at the same parameters: made-up ones with and without PSF, and the joint Crab spectra."""

import numpy as np
import pytest

pytest.importorskip("gammapy")

import gpudl4
from tests.regions import joint_crab, make_region_dataset, make_region_model

pytestmark = pytest.mark.peer

PLANE_TOLERANCE, STAT_TOLERANCE = 1e-6, 5e-9  # of the maximum, and of the sum of the absolute terms


def _terms(dataset):
    n, mu = dataset.counts.data.astype(float), np.maximum(dataset.npred().data, 1e-25)
    return float(2 * (np.abs(mu) + np.abs(n * np.log(mu))).sum())


def _agree(ours, theirs):
    found, expected = ours.npred().data, theirs.npred().data
    assert np.abs(found - expected).max() <= PLANE_TOLERANCE * np.abs(expected).max()
    assert abs(ours.stat_sum() - theirs.stat_sum()) <= STAT_TOLERANCE * _terms(ours)


CASES = [
    ("circle", False, None, 0.0),
    ("circle", False, "point", 0.1),
    ("circle", False, "point", 3.0),  # does not reach the region
    ("rectangle", False, "gauss", 0.1),
    ("none", False, "gauss", 0.1),
    ("circle", True, None, 0.0),
    ("circle", True, "point", 0.0),
    ("circle", True, "point", 0.15),
    ("circle", True, "gauss", 0.1),
    ("circle", True, "elongated", 0.1),
    ("ellipse", True, "point", 0.1),
    ("ellipse", True, "gauss", 0.0),
    ("ellipse", True, "elongated", 0.1),
    ("rectangle", True, "point", 0.1),
    ("rectangle", True, "gauss", 0.2),
]


@pytest.mark.parametrize(("region", "psf", "shape", "offset"), CASES)
def test_same_parameters(region, psf, shape, offset):
    options = {"region": region, "psf": psf, "edisp": "migra" if offset else "kernel"}
    expected = make_region_dataset(**options)
    expected.models = [make_region_model(shape, offset)]
    counts = np.random.RandomState(1).poisson(expected.npred().data)  # gammapy convolves in float32: far from the model that shows
    datasets = {}
    for library in ("gpudl4", "gammapy"):
        datasets[library] = make_region_dataset(counts=counts, library=library, **options)
        datasets[library].models = [make_region_model(shape, offset, library=library)]
    _agree(datasets["gpudl4"], datasets["gammapy"])


@pytest.mark.parametrize(("n_true", "n_reco"), [(1, 1), (7, 1)])
def test_one_energy_bin(n_true, n_reco):
    datasets = {}
    for library in ("gpudl4", "gammapy"):
        datasets[library] = make_region_dataset(n_true=n_true, n_reco=n_reco, edisp=None, library=library)
        datasets[library].models = [make_region_model("point", library=library)]
    _agree(datasets["gpudl4"], datasets["gammapy"])


def test_gammapy_loses_what_lies_beside_its_small_projection():
    """A region made without a map has a projection with an image of its bounding box, and gammapy forgets flux outside of it."""
    predicted = {}
    for library in ("gpudl4", "gammapy"):
        for wide in (True, False):
            dataset = make_region_dataset(region="ellipse", wide=wide, library=library)
            dataset.models = [make_region_model("gauss", 0.1, library=library)]
            predicted[library, wide] = dataset.npred_signal().data.sum()
    assert predicted["gpudl4", True] == pytest.approx(predicted["gammapy", True], rel=1e-6)
    assert predicted["gpudl4", False] == pytest.approx(predicted["gpudl4", True], rel=0.03)  # the pixels of 0.1 deg lie differently
    assert predicted["gammapy", False] < 0.93 * predicted["gpudl4", False]


def test_joint_crab_as_cash_datasets():
    from gammapy.datasets import Datasets
    from gammapy.modeling import Fit

    ours, theirs = joint_crab("gpudl4"), joint_crab("gammapy")
    assert len(ours) == len(theirs) >= 8
    models = {library: make_region_model(None, library=library) for library in ("gpudl4", "gammapy")}
    for model in models.values():
        model.spectral_model.amplitude.value, model.spectral_model.reference.value = 3.8e-11, 1.0
    for datasets, library in ((ours, "gpudl4"), (theirs, "gammapy")):
        for dataset in datasets:
            dataset.models = [models[library]]
    for one, other in zip(ours, theirs, strict=True):
        _agree(one, other)
    result = gpudl4.Fit().run(ours)
    assert result.success
    for name, value in zip(result.names, result.values, strict=True):
        models["gammapy"].parameters[name.split(".")[1]].value = value
    joint = Datasets(theirs)
    assert abs(joint.stat_sum() - result.total_stat) <= STAT_TOLERANCE * sum(_terms(one) for one in ours)
    Fit(optimize_opts={"tol": 1e-3}).run(joint)
    assert joint.stat_sum() > result.total_stat - 0.01
    for name, value, error in zip(result.names, result.values, result.errors, strict=True):
        parameter = models["gammapy"].parameters[name.split(".")[1]]
        assert abs(parameter.value - value) < 0.03 * error
        assert parameter.error == pytest.approx(error, rel=0.05)
