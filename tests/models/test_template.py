"""`TemplateSpectralModel` against gammapy."""

import copy

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import ModelError
from gpudl4.models import Models, SkyModel, SpectralModel, TemplateSpectralModel
from tests.factory import get_library

ENERGY = [0.3, 1.0, 3.5, 9.0] * u.TeV
VALUES = [5e-11, 4e-12, 1e-13, 0.0] * u.Unit("cm-2 s-1 TeV-1")


def pair(energy=ENERGY, values=VALUES, **kwargs):
    models = [get_library(name).models.TemplateSpectralModel for name in ("gpudl4", "gammapy")]
    return [model(energy, values, **copy.deepcopy(kwargs)) for model in models]  # gammapy writes into the options


@pytest.mark.parametrize("kwargs", [{}, {"interp_kwargs": {"values_scale": "lin"}}])
@pytest.mark.parametrize("number", [1, 3, 4])
def test_values_and_integrals_are_gammapys(number, kwargs):
    if number == 1 and kwargs:
        pytest.skip("gammapy reads a single value on the log scale only")
    ours, theirs = pair(ENERGY[:number], VALUES[:number], **kwargs)
    at = np.geomspace(0.1, 30, 17) * u.TeV
    np.testing.assert_allclose(ours(at).to_value("cm-2 s-1 TeV-1"), theirs(at).to_value("cm-2 s-1 TeV-1"), rtol=1e-12, atol=1e-300)
    edges = [0.2, 0.5, 2, 5] * u.TeV
    for name in ("integral", "energy_flux"):
        mine, peer = (getattr(m, name)(edges[:-1], edges[1:]) for m in (ours, theirs))
        np.testing.assert_allclose(mine.to_value(peer.unit), peer.value, rtol=1e-10)


def test_units_of_energy_do_not_matter():
    ours = pair()[0]
    other = TemplateSpectralModel(ENERGY.to("GeV"), VALUES.to("cm-2 s-1 MeV-1"))
    at = [0.5, 2, 20] * u.TeV
    np.testing.assert_allclose(other(at.to("keV")).to_value("cm-2 s-1 TeV-1"), ours(at).to_value("cm-2 s-1 TeV-1"), rtol=1e-12)
    bound = other.bind_evaluate(at)
    np.testing.assert_allclose(bound.value(np.zeros((1, 0)))[0], ours(at).to_value("cm-2 s-1 TeV-1"), rtol=1e-12)
    assert bound.value_and_gradient(np.zeros((2, 0)))[1].shape == (2, 0, 3)


def test_models_files_go_both_ways(tmp_path):
    ours, theirs = pair()
    lib = get_library("gammapy").models
    Models([SkyModel(ours, name="t")]).write(tmp_path / "ours.yaml", write_covariance=False)
    lib.Models([lib.SkyModel(theirs, name="t")]).write(tmp_path / "theirs.yaml", write_covariance=False)
    at = [0.5, 2, 20] * u.TeV
    for back in (Models.read(tmp_path / "theirs.yaml"), lib.Models.read(tmp_path / "ours.yaml")):
        np.testing.assert_allclose(back["t"].spectral_model(at).value, ours(at).value, rtol=1e-12)
    assert isinstance(ours.copy(), SpectralModel)


@pytest.mark.parametrize(
    ("energy", "values", "kwargs", "text"),
    [
        (ENERGY[::-1], VALUES, {}, "increase strictly"),
        (ENERGY, VALUES[:2], {}, "one value per energy"),
        (ENERGY, VALUES, {"interp_kwargs": {"values_scale": "cubic"}}, "values_scale"),
        (ENERGY, VALUES, {"interp_kwargs": {"method": "nearest"}}, "values_scale"),
    ],
)
def test_bad_tables_are_refused(energy, values, kwargs, text):
    with pytest.raises(ModelError, match=text):
        TemplateSpectralModel(energy, values, **kwargs)


def test_a_bad_dict_is_refused():
    with pytest.raises(ModelError, match="needs 'energy' and 'values'"):
        TemplateSpectralModel.from_dict({"spectral": {"type": "template", "energy": {"data": [1, 2]}}})
