"""Spectra in the flavour of sherpa, read by sherpa, and what sherpa writes, read here; left out where sherpa is not installed."""

import numpy as np
import pytest

from gpudl4.datasets import SpectrumDatasetOnOff
from gpudl4.models import PowerLawSpectralModel, SkyModel
from tests.paths import shared_data

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore"),  # sherpa warns of optional parts of its own that are missing
]


@pytest.fixture
def ui():
    return pytest.importorskip("sherpa.astro.ui", reason="sherpa is not installed", exc_type=ImportError)


@pytest.mark.parametrize("name", ["hess/pha_obs23523", "magic/pha_obs5029747"])
def test_sherpa_and_gpudl4_read_each_other(ui, name, tmp_path):
    ours = SpectrumDatasetOnOff.read(shared_data("joint-crab", f"{name}.fits"))
    ours.write(tmp_path / "s.fits", format="ogip-sherpa")
    ui.clean()
    ui.load_pha(str(tmp_path / "s.fits"))
    theirs = ui.get_data()
    background, arf, rmf = theirs.get_background(), theirs.get_arf(), theirs.get_rmf()
    assert np.array_equal(theirs.counts, ours.counts.data.ravel())
    assert np.array_equal(background.counts, ours.counts_off.data.ravel())
    ratio = theirs.get_background_scale(group=False)
    np.testing.assert_allclose(np.broadcast_to(ratio, theirs.counts.shape)[ours.mask_safe.data.ravel()], _alpha(ours), rtol=1e-6)
    assert np.array_equal(theirs.quality == 0, ours.mask_safe.data.ravel())
    livetime = ours.exposure.meta["livetime"]
    assert theirs.exposure == pytest.approx(livetime.to_value("s"), rel=1e-12)
    area = (ours.exposure.quantity / livetime).to_value("cm2").ravel()
    np.testing.assert_allclose(arf.specresp, area, rtol=1e-6)
    edges = ours.exposure.geom.axes["energy_true"].edges.to_value("keV")
    np.testing.assert_allclose(np.append(arf.energ_lo, arf.energ_hi[-1]), edges, rtol=1e-12)
    matrix = ours.edisp.get_edisp_kernel().pdf_matrix
    for i, row in enumerate(np.eye(len(matrix))):
        np.testing.assert_allclose(rmf.apply_rmf(row), matrix[i], rtol=1e-6, atol=0)

    ours.models = [SkyModel(PowerLawSpectralModel(index=2.4, amplitude="3e-11 cm-2 s-1 TeV-1"))]
    source = ui.powlaw1d("source")
    source.gamma, source.ref, source.ampl = 2.4, 1e9, 3e-20  # at 1e9 keV, in cm-2 s-1 keV-1
    ui.set_source(source)
    np.testing.assert_allclose(theirs.eval_model(ui.get_model()), ours.npred_signal().data.ravel(), rtol=1e-6)

    ui.save_pha(1, str(tmp_path / "back.fits"), ascii=False)
    back = SpectrumDatasetOnOff.read(tmp_path / "back.fits")
    for field in ("counts", "counts_off", "acceptance", "acceptance_off", "mask_safe", "exposure"):
        np.testing.assert_allclose(getattr(back, field).data, getattr(ours, field).data, rtol=1e-6)
    assert back.name == ours.name


def _alpha(dataset):
    return (dataset.acceptance.data / dataset.acceptance_off.data)[dataset.mask_safe.data]
