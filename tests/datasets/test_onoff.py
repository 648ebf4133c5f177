"""ON-OFF datasets, on a map and on a region: background, statistic, simulation, conversions, bad input; on each backend."""

import numpy as np
import pytest

from gpudl4.core.errors import BackendError, DatasetError, GeometryError, ModelError, UnitMismatchError
from gpudl4.datasets import MapDataset, MapDatasetOnOff, SpectrumDataset, SpectrumDatasetOnOff
from gpudl4.maps import Map, RegionGeom
from tests.arrays import assert_close, assert_same, host
from tests.datasets.makers import assert_agree, make_kind
from tests.factory import make_geom

ON_OFF = ("MapDatasetOnOff", "SpectrumDatasetOnOff")


@pytest.fixture(params=ON_OFF)
def kind(request):
    return request.param


def test_background_and_excess(backend, kind):
    dataset = make_kind(kind).to_device(backend)
    alpha = host(dataset.acceptance) / host(dataset.acceptance_off)
    assert dataset.alpha.backend == backend
    assert_close(dataset.alpha, alpha, rtol=1e-6)
    assert_close(dataset.background, alpha * host(dataset.counts_off), rtol=1e-6)
    assert_close(dataset.excess, host(dataset.counts) - alpha * host(dataset.counts_off), rtol=1e-5, atol=1e-5)


def test_alpha_without_off_acceptance_is_that_of_gammapy(backend, kind):
    dataset = make_kind(kind).to_device(backend)
    dataset.acceptance_off.data[0] = 0
    dataset.acceptance.data[1] = dataset.acceptance_off.data[1] = 0
    alpha = host(dataset.alpha)
    assert (alpha[0] == np.finfo("float32").max).all()
    assert (alpha[1] == 0).all()


@pytest.mark.peer
def test_statistic_and_summary_agree_with_gammapy(backend, kind):
    pytest.importorskip("gammapy.datasets")
    ours, theirs = make_kind(kind, seed=1).to_device(backend), make_kind(kind, seed=1, library="gammapy")
    assert ours.stat_type == theirs.stat_type == "wstat"
    assert_close(ours.stat_array(), theirs.stat_array(), rtol=1e-5, atol=1e-5)
    assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-6)
    for name in ("alpha", "background", "excess"):
        assert_close(getattr(ours, name), getattr(theirs, name).data, rtol=1e-5, atol=1e-6)
    for name in ("npred_background", "npred_off", "npred"):
        wanted = getattr(theirs, name)().data
        assert_close(getattr(ours, name)(), wanted, rtol=1e-5, atol=1e-6)
    mine, other = ours.info_dict(), theirs.info_dict()
    for key in ("counts", "counts_off", "acceptance", "acceptance_off", "alpha", "background", "excess", "sqrt_ts", "npred_background"):
        assert float(mine[key]) == pytest.approx(float(other[key]), rel=1e-5), key
    for key in ("n_bins", "n_fit_bins", "name", "stat_type"):
        assert mine[key] == other[key], key
    assert float(mine["stat_sum"]) == pytest.approx(float(other["stat_sum"]), rel=1e-6)


@pytest.mark.peer
@pytest.mark.parametrize(("n_on", "n_off", "alpha"), [(5, 0, 0.1), (0, 0, 0.1), (0, 5, 0.1), (3, 7, 1e-3), (3, 7, 2.0)])
@pytest.mark.parametrize("mu_sig", [0.0, 2.5, 40.0, -0.2])
def test_wstat_agrees_with_gammapy(backend, n_on, n_off, alpha, mu_sig):
    peer = pytest.importorskip("gammapy.stats")
    from gpudl4.core.backend import to_device
    from gpudl4.stats import get_wstat_mu_bkg, wstat

    arrays = [np.array([float(value)]) for value in (n_on, n_off, alpha, mu_sig)]
    there = [to_device(array, backend) for array in arrays]
    with np.errstate(all="ignore"):
        assert_close(get_wstat_mu_bkg(*there), peer.get_wstat_mu_bkg(*arrays), rtol=1e-9, atol=1e-12)
        assert_close(wstat(*there), peer.wstat(*arrays), rtol=1e-9, atol=1e-9)


@pytest.mark.peer
def test_the_same_seed_gives_the_counts_of_gammapy(backend, kind):
    pytest.importorskip("gammapy.datasets")
    ours, theirs = make_kind(kind, seed=1).to_device(backend), make_kind(kind, seed=1, library="gammapy")
    ours.fake(ours.background, random_state=7)
    theirs.fake(theirs.background, random_state=7)
    assert_same(ours.counts, theirs.counts.data)
    assert_same(ours.counts_off, theirs.counts_off.data)
    assert ours.counts.backend == backend


def test_a_generator_simulates_too(kind):
    first, second = make_kind(kind), make_kind(kind)
    for dataset in (first, second):
        dataset.fake(dataset.background, random_state=np.random.default_rng(3))
    assert_same(first.counts, second.counts)
    before = first.counts_off.data.copy()
    first.fake(first.background, random_state=np.random.default_rng(4))
    assert (first.counts_off.data != before).any()


def test_asimov(kind):
    dataset = make_kind(kind)
    asimov = dataset.to_asimov()
    assert type(asimov) is type(dataset)
    assert asimov.name == dataset.name
    assert_close(asimov.counts, dataset.npred_background(), rtol=1e-6)
    assert_same(asimov.counts_off, dataset.counts_off)


def test_there_and_back(backend, kind):
    dataset = make_kind(kind).to_device(backend)
    cls = type(dataset)
    cash = dataset.to_map_dataset(name="cash")
    assert type(cash) is MapDataset
    assert cash.stat_type == "cash"
    assert_same(cash.background, dataset.background)
    back = cls.from_map_dataset(cash, dataset.acceptance, dataset.acceptance_off, name="back")
    assert_close(back.counts_off, dataset.counts_off, rtol=1e-6, atol=1e-6)
    assert_close(back.background, dataset.background, rtol=1e-6, atol=1e-6)
    scalar = cls.from_map_dataset(cash, 1, 4.0)
    assert float(host(scalar.alpha).ravel()[0]) == 0.25
    assert scalar.alpha.backend == backend


def test_spectra_there_and_back(backend):
    dataset = make_kind("SpectrumDatasetOnOff").to_device(backend)
    spectrum = dataset.to_spectrum_dataset(name="cash")
    assert type(spectrum) is SpectrumDataset
    assert spectrum.name == "cash"
    back = SpectrumDatasetOnOff.from_spectrum_dataset(spectrum, dataset.acceptance, dataset.acceptance_off, name="on-off")
    assert_agree(back, dataset.to_host(), tolerance=1e-6)


def test_empty_datasets(kind):
    geom = make_geom()
    if kind.startswith("Spectrum"):
        geom = RegionGeom.create("galactic;circle(0.4, -0.2, 0.2)", axes=list(geom.axes))
    cls = SpectrumDatasetOnOff if kind.startswith("Spectrum") else MapDatasetOnOff
    dataset = cls.create(geom, name="empty")
    assert dataset.name == "empty"
    assert not host(dataset.mask_safe).any()
    for name in ("counts", "counts_off", "acceptance", "acceptance_off"):
        assert getattr(dataset, name).data.shape == geom.data_shape
        assert not getattr(dataset, name).data.any()
    assert dataset.stat_sum() == 0
    assert (dataset.psf is None) == kind.startswith("Spectrum")
    assert len(dataset.gti) == 0
    assert "counts_off" in str(dataset)
    assert "Total counts_off" in dataset._repr_html_()


def test_masks_and_energies_are_those_of_any_dataset(kind):
    dataset = make_kind(kind, seed=1)
    assert_same(dataset.mask, dataset.mask_safe.data & dataset.mask_fit.data)
    low, high = dataset.energy_range_total
    assert low < high
    assert dataset.mask_image.data.shape == dataset.data_shape[-2:]
    copy = dataset.copy(name="copy")
    copy.counts_off.data[...] = 0
    assert dataset.counts_off.data.any()
    assert copy.name == "copy"


def test_what_cannot_be_fitted_is_refused_inside_the_mask_only(backend, kind):
    dataset = make_kind(kind).to_device(backend)
    where = (-1, 0, 0)  # outside: mask_fit leaves out the last energy of spectra, mask_safe the corner of maps
    dataset.acceptance_off.data[where] = 0
    dataset.counts_off.data[where] = -1
    assert np.isfinite(dataset.stat_sum())
    dataset.mask_safe = dataset.mask_fit = None
    with pytest.raises(DatasetError, match="'test': counts_off must be zero or positive and finite inside the mask, but 1 of the bins"):
        dataset.stat_sum()
    dataset.counts_off.data[where] = 1
    with pytest.raises(DatasetError, match="acceptance_off must be positive and finite inside the mask, but 1 of the bins"):
        dataset.stat_sum()


def test_missing_parts_are_named(kind):
    dataset = make_kind(kind)
    dataset.acceptance = None
    with pytest.raises(DatasetError, match=r"'test' has no acceptance, which alpha needs: set dataset\.acceptance"):
        _ = dataset.alpha
    with pytest.raises(DatasetError, match="has no acceptance, which the fit statistic needs"):
        dataset.stat_sum()
    dataset.counts_off = None
    assert dataset.background is None
    assert dataset.npred_background() is None
    with pytest.raises(DatasetError, match="has no counts_off and no acceptance, which the fit statistic needs"):
        dataset.stat_sum()


def test_wrong_parts_are_refused_at_the_door(kind):
    dataset = make_kind(kind)
    other = make_kind("SpectrumDatasetOnOff" if kind.startswith("Map") else "MapDatasetOnOff")
    with pytest.raises(GeometryError, match="acceptance is on a"):
        dataset.acceptance = other.acceptance
    with pytest.raises(GeometryError, match="counts_off has"):
        dataset.counts_off = dataset.counts_off.slice_by_idx({"energy": slice(0, 2)})
    with pytest.raises(UnitMismatchError):
        dataset.acceptance = dataset.acceptance.copy(unit="m2")
    with pytest.raises(DatasetError, match="Map was wanted, got ndarray"):
        dataset.acceptance_off = dataset.acceptance_off.data
    with pytest.raises((AttributeError, DatasetError)):
        dataset.background = dataset.background
    with pytest.raises(DatasetError, match="unknown stat_type 'cash'; known: wstat"):
        dataset.stat_type = "cash"


def test_spectra_need_a_region():
    dataset = make_kind("MapDataset")
    with pytest.raises(GeometryError, match="a SpectrumDataset is on a RegionGeom, but counts is on pixels"):
        SpectrumDataset(counts=dataset.counts)
    with pytest.raises(GeometryError, match="a SpectrumDataset needs a RegionGeom, got a WcsGeom"):
        SpectrumDataset.create(make_geom())


def test_backgrounds_do_not_move_between_devices(device):
    dataset = make_kind("SpectrumDatasetOnOff").to_device(device)
    with pytest.raises(BackendError, match="npred_background"):
        dataset.fake(dataset.to_host().background, random_state=0)
    with pytest.raises(BackendError, match="all fields must live on one device"):
        dataset.counts_off = dataset.counts_off.to_host()


def test_cash_spectra_without_models(backend):
    dataset = make_kind("SpectrumDataset", seed=1).to_device(backend)
    counts, background = host(dataset.counts), host(dataset.background).astype(float)
    terms = 2 * (background - counts * np.log(background))
    assert dataset.stat_sum() == pytest.approx(terms[host(dataset.mask)].sum(), rel=1e-12)
    assert_same(dataset.npred(), dataset.background)
    dataset.fake(random_state=3)
    assert_same(dataset.counts, np.random.RandomState(3).poisson(background.astype("float32").astype(float)).astype(float))


@pytest.mark.parametrize("kind", ["SpectrumDataset", "SpectrumDatasetOnOff"])
def test_spectra_predict(kind):
    """A power law through exposure and energy dispersion, against NumPy."""
    from gpudl4.models import PowerLawSpectralModel, SkyModel

    dataset = make_kind(kind, mask=False)
    model = SkyModel(PowerLawSpectralModel(index=2.5, amplitude="1e-11 cm-2 s-1 TeV-1"), name="source")
    dataset.models = [model]
    try:
        npred = dataset.npred_signal()
    except ModelError as error:
        pytest.skip(f"the likelihood does not predict for regions: {error}")
    edges = dataset.exposure.geom.axes["energy_true"].edges.to_value("TeV")
    flux = 1e-11 / 1.5 * (edges[:-1] ** -1.5 - edges[1:] ** -1.5)
    true = flux * dataset.exposure.to_unit("cm2 s").data[:, 0, 0]
    wanted = true @ dataset.edisp.get_edisp_kernel().pdf_matrix
    np.testing.assert_allclose(npred.data[:, 0, 0], wanted, rtol=1e-6)


def test_maps_with_off_counts_predict_and_profile():
    """Predicted signal of a map with off counts is that of a map with a background; the statistic follows from it."""
    from gpudl4.stats import wstat
    from tests.factory import make_models

    dataset = make_kind("MapDatasetOnOff")
    cash = dataset.to_map_dataset(name="test")
    models = make_models()[:2]
    dataset.models, cash.models = models, models
    signal = cash.npred_signal().data
    np.testing.assert_allclose(dataset.npred_signal().data, signal, rtol=1e-12)
    terms = wstat(dataset.counts.data, dataset.counts_off.data, dataset.alpha.data, signal)
    assert dataset.stat_sum() == pytest.approx(terms[dataset.mask.data].sum(), rel=1e-12)
    assert dataset.info_dict()["npred_signal"] == pytest.approx(signal[dataset.mask_safe.data].sum(), rel=1e-9)


def test_a_map_that_is_shared_is_not_changed_by_a_simulation(kind):
    dataset = make_kind(kind)
    counts = dataset.counts
    dataset.fake(dataset.background, random_state=0)
    assert dataset.counts is not counts
    assert isinstance(counts, Map)
