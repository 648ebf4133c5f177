"""Attributes of fluxes: all of them exist, are documented, and follow from the norm."""

import numpy as np
import pytest

from gpudl4.estimators import FluxMaps, FluxPoints
from gpudl4.models import LogParabolaSpectralModel
from tests.fluxes.sed import make_table


@pytest.fixture
def points():
    return FluxPoints.from_table(make_table(), reference_model=LogParabolaSpectralModel(alpha=2.2, beta=0.1))


@pytest.mark.parametrize("suffix", ["", "_err", "_errn", "_errp", "_ul"])
def test_fluxes_are_the_norm_times_the_reference(points, suffix):
    model, energy, edges = points.reference_spectral_model, points.energy_ref, points.energy_axis.edges
    expected = {
        "dnde": model(energy),
        "e2dnde": model(energy) * energy**2,
        "flux": model.integral(edges[:-1], edges[1:]),
        "eflux": model.energy_flux(edges[:-1], edges[1:]),
    }
    norm = getattr(points, f"norm{suffix}").data[:, 0, 0]
    for sed_type, reference in expected.items():
        found = getattr(points, sed_type + suffix).quantity[:, 0, 0]
        np.testing.assert_allclose(found.to_value(reference.unit), norm * reference.value, rtol=1e-12)
        assert getattr(FluxMaps, sed_type + suffix).__doc__


def test_attributes_cannot_be_set_by_accident(points):
    for name in ("norm", "dnde", "flux_err", "norm_ul", "ts", "energy_ref"):
        with pytest.raises(AttributeError):
            setattr(points, name, None)
    names = [name for name in dir(FluxMaps) if not name.startswith("_")]
    assert len(names) > 80
    assert all(getattr(FluxMaps, name).__doc__ for name in names)


def test_reading_an_attribute_changes_nothing(points):
    before = {name: one.data.copy() for name, one in points._data.items()}
    for name in dir(points):
        getattr(points, name, None)
    assert list(points._data) == list(before)
    for name, data in before.items():
        np.testing.assert_array_equal(points._data[name].data, data)
