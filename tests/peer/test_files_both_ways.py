"""Files from one package to the other: datasets, models and covariance written by one, read by the other, the same statistic."""

import pytest

pytest.importorskip("gammapy")

import numpy as np

from .cases import cash_terms, fresh, gammapy_radii, library

pytestmark = pytest.mark.peer


def write(datasets, models, folder):
    """Write everything with a covariance that can be recognised; returns the two file names."""
    errors = np.array([0.0 if p.frozen else 0.1 * abs(p.value) for p in models.parameters])
    models.covariance = np.diag(errors**2)
    names = folder / "datasets.yaml", folder / "models.yaml"
    datasets.write(names[0], filename_models=names[1])
    return names


@pytest.mark.parametrize("name", ["cta-extended", "hawc", "fermi-gc", "fermi-crab"])
@pytest.mark.parametrize(("writer", "reader"), [("gpudl4", "gammapy"), ("gammapy", "gpudl4")])
def test_statistic_survives(name, writer, reader, tmp_path):
    with gammapy_radii():
        datasets, models = fresh(writer, name)
        expected = datasets.stat_sum()
        files = write(datasets, models, tmp_path)
        found = library(reader).Datasets.read(files[0], filename_models=files[1])
        assert [d.name for d in found] == [d.name for d in datasets]
        stat = found.stat_sum()
    ours = found if reader == "gpudl4" else datasets
    assert abs(stat - expected) <= 5e-9 * cash_terms(ours)
    assert list(found.models.names) == list(models.names)
    for old, new in zip(models.parameters, found.models.parameters, strict=True):
        assert (new.name, new.frozen) == (old.name, old.frozen)
        assert new.value == pytest.approx(old.value, rel=1e-12)
        assert new.error == pytest.approx(old.error, rel=1e-5)
        assert new.unit == old.unit


@pytest.mark.parametrize(("writer", "reader"), [("gpudl4", "gammapy"), ("gammapy", "gpudl4")])
def test_fields_survive(writer, reader, tmp_path):
    datasets, _ = fresh(writer, "hawc")
    dataset = datasets[0]
    dataset.write(tmp_path / "one.fits")
    found = library(reader).MapDataset.read(tmp_path / "one.fits")
    for field in ("counts", "exposure", "background", "mask_safe"):
        old, new = getattr(dataset, field), getattr(found, field)
        assert str(new.unit) == str(old.unit)
        assert new.data.dtype.kind == old.data.dtype.kind
        np.testing.assert_array_equal(new.data, old.data)
    np.testing.assert_array_equal(found.psf.psf_map.data, dataset.psf.psf_map.data)
    np.testing.assert_array_equal(found.edisp.edisp_map.data, dataset.edisp.edisp_map.data)
    assert found.gti.time_sum.to_value("s") == pytest.approx(dataset.gti.time_sum.to_value("s"), rel=1e-9)


@pytest.mark.parametrize("format", ["gadf", "ogip"])
def test_mask_of_a_spectrum_stays_boolean(format, tmp_path):
    from gammapy.datasets import SpectrumDatasetOnOff as Peer

    from gpudl4.datasets import SpectrumDatasetOnOff
    from tests.paths import shared_data

    ours = SpectrumDatasetOnOff.read(shared_data("joint-crab", "hess", "pha_obs23523.fits"))
    ours.write(tmp_path / "spectrum.fits", format=format)
    theirs = Peer.read(tmp_path / "spectrum.fits", format=format)
    assert theirs.mask_safe.data.dtype == bool
    assert theirs.stat_sum() == pytest.approx(ours.stat_sum(), rel=1e-9)
    assert ours.stat_sum() > 100
