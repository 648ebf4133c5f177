"""A likelihood compiled again at another theta has the bits of a new one, and makes again only what has changed."""

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.backend import to_host
from gpudl4.datasets import MapDatasetOnOff
from gpudl4.irf import PSFMap
from gpudl4.likelihood import compile
from tests.factory import make_dataset

KINDS = {
    "true-psf": {},
    "reco-psf": {"reco_psf": True},
    "migra": {"edisp": "migra"},
    "no-edisp": {"edisp": None},
    "no-mask": {"mask": False},
}
SOURCES = ["moving", "fixed", "frozen"]


def prepare(dataset, kind):
    """A second point beside the first one: free, with a free amplitude only, or frozen."""
    other = dataset.models["point"].copy(name="other")
    other.spatial_model.lon_0.value += 0.37
    if kind == "fixed":
        other.spatial_model.freeze()
        other.spectral_model.index.frozen = True
    elif kind == "frozen":
        other.freeze()
    dataset.models = [*dataset.models, other]
    return dataset


@pytest.fixture(params=KINDS)
def make(request, kernel_backend):
    return lambda kind: prepare(make_dataset(**KINDS[request.param]), kind).to_device(kernel_backend)


def bits(likelihood):
    """Bytes of value, gradient, second derivatives and predicted counts at theta0."""
    value, gradient = likelihood.value_and_gradient(likelihood.theta0)
    npred = [to_host(mu).tobytes() + pixels.tobytes() for mu, pixels in likelihood.npred(likelihood.theta0)]
    fisher, hessian = likelihood.second_derivatives(likelihood.theta0)
    return value, gradient.tobytes(), fisher.tobytes(), hessian.tobytes(), npred


def moved(likelihood, step):
    theta = likelihood.theta0.copy()
    for i, name in enumerate(likelihood.names):
        theta[i] += step if name.endswith(("lon_0", "lat_0")) else 0.1 * step * abs(theta[i])
    return theta


def points(likelihood, name):
    return [s for term in likelihood.plan.terms for s in term.sources if s.name == name]


@pytest.mark.parametrize("kind", SOURCES)
def test_bits_are_those_of_a_new_likelihood(make, kind):
    dataset = make(kind)
    likelihood = first = compile(dataset)
    before = bits(first)
    for step in (0.0, 0.02, 0.3):  # nothing moves, within the cutouts, beyond
        likelihood = likelihood.recompile(moved(first, step))
        assert bits(likelihood) == bits(compile(dataset))
    assert bits(likelihood.recompile(first.theta0)) == before
    assert bits(first) == before


@pytest.mark.parametrize("kind", SOURCES)
def test_what_has_not_moved_is_not_made_again(kind, monkeypatch):
    likelihood = compile(prepare(make_dataset(), kind), backend="numpy")
    still = {"moving": "point", "fixed": "other", "frozen": "point"}[kind]
    monkeypatch.setattr(PSFMap, "kernel_at", None)
    again = likelihood.recompile(likelihood.theta0)
    (old,), (new,) = points(likelihood, still), points(again, still)
    assert new.response is old.response
    if kind == "fixed":
        assert new.templates is old.templates
    for a, b in zip(likelihood.plan.terms, again.plan.terms, strict=True):
        assert b.counts is a.counts
        assert b.static is a.static
    assert again.plan.evaluation.data.edisp is likelihood.plan.evaluation.data.edisp


def test_other_theta_of_a_fixed_source():
    """Its spectrum is free: other values at compile time, the same templates."""
    dataset = prepare(make_dataset(), "fixed")
    likelihood = compile(dataset, backend="numpy")
    theta = likelihood.theta0.copy()
    theta[likelihood.names.index("other.amplitude")] *= 3
    again = likelihood.recompile(theta)
    assert points(again, "other")[0].templates is points(likelihood, "other")[0].templates
    assert bits(again) == bits(compile(dataset, backend="numpy"))


@pytest.mark.parametrize("name", ["lon_0", "lat_0", "amplitude", "index"])
def test_edited_parameters_of_a_frozen_source(name):
    dataset = prepare(make_dataset(), "frozen")
    likelihood = compile(dataset, backend="numpy")
    before = bits(likelihood)
    parameter = dataset.models["other"].parameters[name]
    parameter.value = parameter.value * 1.3
    again = likelihood.recompile(likelihood.theta0)
    assert bits(again) == bits(compile(dataset, backend="numpy"))
    assert bits(again) != before
    assert bits(likelihood) == before


def test_a_field_that_was_replaced():
    dataset = prepare(make_dataset(), "fixed")
    likelihood = compile(dataset, backend="numpy")
    before = bits(likelihood)
    psf = dataset.psf.psf_map.geom.axes
    dataset.psf = PSFMap.from_gauss(psf["energy_true"], rad_axis=psf["rad"], sigma=0.25 * u.deg, geom=dataset.counts.geom.to_image())
    again = likelihood.recompile(likelihood.theta0)
    assert bits(again) == bits(compile(dataset, backend="numpy"))
    assert bits(again) != before


def test_old_parts_are_let_go():
    """However often it is compiled again, only what the last compile needed is kept."""
    likelihood = compile(prepare(make_dataset(), "moving"), backend="numpy")
    number = len(likelihood.plan.terms[0].made)
    for step in (0.01, 0.02, 0.03):
        likelihood = likelihood.recompile(moved(likelihood, step))
    assert len(likelihood.plan.terms[0].made) == number


def test_sources_at_one_position_share_kernel_and_energy_dispersion():
    dataset = prepare(make_dataset(), "moving")
    dataset.models["other"].spatial_model.lon_0.value = dataset.models["point"].spatial_model.lon_0.value
    likelihood = compile(dataset, backend="numpy")
    (one,), (other,) = points(likelihood, "point"), points(likelihood, "other")
    assert one.response.psf is other.response.psf
    assert one.response.edisp is other.response.edisp


def test_positions_in_other_frames_and_units():
    """A position is read as plain numbers; it is that of the SkyCoord."""
    dataset = make_dataset()
    expected = compile(dataset, backend="numpy")
    point = dataset.models["point"].spatial_model
    place = {"point": point.position.icrs}
    assert np.isclose(
        compile(dataset, backend="numpy", irf_positions=place).value(expected.theta0), expected.value(expected.theta0), rtol=1e-12
    )
    lon, lat = point.lon_0.quantity, point.lat_0.quantity
    for shift, unit in ((0, "rad"), (360, "deg"), (-360, "deg")):
        point.lon_0.quantity, point.lat_0.quantity = (lon + shift * u.deg).to(unit), lat.to(unit)
        likelihood = compile(dataset, backend="numpy")
        assert np.isclose(likelihood.value(likelihood.theta0), expected.value(expected.theta0), rtol=1e-10)
        assert points(likelihood, "point")[0].box == points(expected, "point")[0].box


def test_parts_of_on_off_datasets_serve_again():
    """Their background is another object each time it is asked for, which must not look like a change."""
    dataset = prepare(make_dataset(), "moving")
    models = [model for model in dataset.models if model.name in ("point", "other")]
    ones = dataset.counts.copy(data=np.ones(dataset.counts.data.shape, dtype=np.float32))
    on_off = MapDatasetOnOff.from_map_dataset(dataset, acceptance=ones, acceptance_off=ones * 5)
    on_off.models = models
    likelihood = compile(on_off, backend="numpy")
    theta = likelihood.theta0.copy()
    theta[likelihood.names.index("point.lon_0")] += 0.01
    again = likelihood.recompile(theta)
    (before,), (after,) = points(likelihood, "other"), points(again, "other")
    assert after.response.psf is before.response.psf
    (before,), (after,) = points(likelihood, "point"), points(again, "point")
    assert after.response.psf is not before.response.psf
