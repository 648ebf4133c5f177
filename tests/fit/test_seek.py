"""Sources that start beside their place are put where the counts are, and only then."""

import numpy as np
import pytest

from benchmarks.fields import background, gaussian, make_dataset, point
from gpudl4 import Fit
from gpudl4.core.errors import FitError
from gpudl4.fit.fluxes import fit_fluxes
from gpudl4.fit.scoring import Counter
from gpudl4.fit.seek import better_places, has_moved, put, seek
from gpudl4.likelihood import compile
from gpudl4.models import Models

PLACES = {"left": (0.42, 0.313), "right": (-0.377, -0.29)}
AMPLITUDES = {"left": 2e-12, "right": 1e-12}


def _models(offset=(0.0, 0.0), times=1.0, kind=point):
    sources = [
        kind(name, lon + offset[0], lat + offset[1], amplitude=times * AMPLITUDES[name], frozen=("index",))
        for name, (lon, lat) in PLACES.items()
    ]
    return Models([*sources, background()])


@pytest.fixture(scope="module")
def field():
    """Two point sources 1 degree apart on 100 x 100 pixels of 0.02 degrees, 5 energies."""
    return make_dataset(n_pixels=100, n_energy=5, n_true=8, models=_models(), seed=7)


def _start(field, **start):
    dataset = field.copy(name="field")
    dataset.models = _models(**start)
    return dataset


def _offsets(names, theta):
    """Degrees between sources and their places, by name."""
    values = dict(zip(names, theta, strict=True))
    return {
        name: float(np.hypot(values[f"{name}.lon_0"] - lon, values[f"{name}.lat_0"] - lat)) for name, (lon, lat) in PLACES.items()
    }  # the map is small and near the equator: no cosine


@pytest.mark.parametrize("times", [0.2, 5.0], ids=["dim", "bright"])
@pytest.mark.parametrize("offset", [(0.3, 0.0), (-0.2, 0.22), (0.02, -0.29)])
def test_sources_are_put_where_the_counts_are(field, offset, times):
    likelihood, counter = compile(_start(field, offset=offset, times=times)), Counter()
    likelihood, theta, metric, _ = seek(likelihood, likelihood.theta0, counter)
    offsets = _offsets(likelihood.names, theta)
    assert max(offsets.values()) < 0.03  # a pixel and a half
    assert likelihood.is_valid(theta)
    assert set(counter.moves) == set(PLACES)
    assert metric.shape == 2 * (len(theta),)
    for name, amplitude in AMPLITUDES.items():
        found = theta[likelihood.names.index(f"{name}.amplitude")]
        assert 0.5 * amplitude < found < 1.5 * amplitude


def test_sources_in_their_places_stay(field):
    likelihood, counter = compile(_start(field)), Counter()
    _, theta, _, is_clear = seek(likelihood, likelihood.theta0, counter)
    moved = [name for name, value, start in zip(likelihood.names, theta, likelihood.theta0, strict=True) if value != start]
    assert is_clear
    assert counter.moves == {}
    assert not [name for name in moved if name.endswith(("lon_0", "lat_0"))]


@pytest.mark.parametrize(("brighter", "moves"), [(1.5, False), (8.0, True)])
def test_only_a_far_brighter_neighbour_takes_a_source_away(brighter, moves):
    here, there = (0.1, 0.05), (0.38, -0.11)
    sources = [point("known", *here, amplitude=1e-12), point("unknown", *there, amplitude=brighter * 1e-12), background()]
    dataset = make_dataset(n_pixels=100, n_energy=5, n_true=8, models=Models(sources), seed=2)
    dataset.models = Models([sources[0], sources[2]])
    likelihood, counter = compile(dataset), Counter()
    _, theta, _, _ = seek(likelihood, likelihood.theta0, counter)
    values = dict(zip(likelihood.names, theta, strict=True))
    at = there if moves else here
    assert np.hypot(values["known.lon_0"] - at[0], values["known.lat_0"] - at[1]) < 0.03
    assert bool(counter.moves) == moves


def test_two_sources_do_not_take_one_place(field):
    dataset = field.copy(name="field")
    models = _models()
    for model in models[:2]:  # both start where the brighter one can be reached
        model.spatial_model.lon_0.value, model.spatial_model.lat_0.value = 0.25, 0.1
    models[1].spatial_model.lat_0.value = 0.05
    dataset.models = models
    likelihood = compile(dataset)
    theta = fit_fluxes(likelihood, likelihood.theta0, Counter())[0]
    places = better_places(likelihood, theta)
    _, moved = put(likelihood, theta, places, counter := Counter())
    assert len(places) == 2
    assert len(counter.moves) == 1
    assert sum(value != start for value, start in zip(moved, theta, strict=True)) == 3  # longitude, latitude, amplitude of one


def test_bounds_hold(field):
    dataset = _start(field, offset=(0.3, 0.0))
    for model in dataset.models[:2]:
        lon = model.spatial_model.lon_0
        lon.min, lon.max = lon.value - 0.1, lon.value + 0.1
    likelihood, counter = compile(dataset), Counter()
    _, theta, _, _ = seek(likelihood, likelihood.theta0, counter)
    low, high = likelihood.bounds.T
    assert np.all((theta >= low) & (theta <= high))
    assert counter.moves == {}


def test_nothing_to_look_for(field):
    dataset = _start(field, offset=(0.3, 0.0))
    for model in dataset.models[:2]:
        model.spatial_model.freeze()
    likelihood, counter = compile(dataset), Counter()
    other, theta, metric, is_clear = seek(likelihood, likelihood.theta0, counter)
    assert other is likelihood
    assert theta is likelihood.theta0
    assert metric is None
    assert is_clear
    assert counter.gradients == 0


def test_a_negative_amplitude_is_left_alone(field):
    dataset = _start(field, offset=(0.3, 0.0))
    for model in dataset.models[:2]:
        model.spectral_model.amplitude.value *= -0.01
    likelihood = compile(dataset)
    assert better_places(likelihood, likelihood.theta0) == []


def test_has_moved(field):
    likelihood = compile(_start(field))
    near, far = likelihood.theta0.copy(), likelihood.theta0.copy()
    near[likelihood.names.index("left.lat_0")] += 0.04
    far[likelihood.names.index("left.lat_0")] += 0.06
    assert not has_moved(likelihood, likelihood.theta0, near)
    assert has_moved(likelihood, likelihood.theta0, far)


def test_fit_finds_sources_and_says_so(field):
    dataset = _start(field, offset=(0.2, -0.22), times=0.2)
    result = Fit().run(dataset)
    assert result.success
    assert max(_offsets(result.names, result.values).values()) < 0.01
    assert sum("was put" in hint for hint in result.hints) == 2
    right = Fit().run(_start(field))
    assert result.total_stat == pytest.approx(right.total_stat, abs=1e-3)
    assert not any("was put" in hint for hint in right.hints)


def test_search_radius_zero_leaves_sources_where_they_start(field):
    dataset = _start(field, offset=(0.3, 0.0))
    result = Fit(search_radius="0 deg").run(dataset)
    assert not any("was put" in hint for hint in result.hints)
    assert result.total_stat > Fit().run(_start(field)).total_stat + 100


@pytest.mark.parametrize("radius", ["0.5", "-1 deg", "1 m", None, "far"])
def test_a_radius_that_is_no_angle(radius):
    with pytest.raises(FitError, match="search_radius="):
        Fit(search_radius=radius)


def test_extended_sources_are_found(field):
    models = Models([gaussian("blob", 0.213, -0.117, sigma=0.12, amplitude=4e-12), background()])
    dataset = make_dataset(n_pixels=100, n_energy=5, n_true=8, models=models, seed=3)
    truth = Fit().run(dataset)
    models = Models([gaussian("blob", 0.213 - 0.22, -0.117 + 0.2, sigma=0.36, amplitude=8e-13), background()])
    dataset.models = models
    result = Fit().run(dataset)
    assert result.success
    assert result.total_stat == pytest.approx(truth.total_stat, abs=1e-3)


def test_on_every_backend(field, kernel_backend):
    start = _start(field, offset=(0.25, 0.1), times=3.0)
    likelihood = compile(start, backend=kernel_backend.name)
    theta = fit_fluxes(likelihood, likelihood.theta0, Counter())[0]
    places = better_places(likelihood, theta)
    assert {place.name for place in places} == set(PLACES)
    for place in places:
        assert max(abs(_offsets(likelihood.names, place.theta)[place.name]), 0.0) < 0.03
        assert place.distance == pytest.approx(np.hypot(0.25, 0.1), abs=0.03)
        assert place.gain > 25
        assert place.times > 2
