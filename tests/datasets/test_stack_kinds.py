"""Stacking of many runs of each kind: against gammapy, against invariants, on each backend, and what it may cost."""

import tracemalloc
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import DatasetError, GeometryError
from gpudl4.core.gti import GTI
from gpudl4.datasets import Datasets, MapDataset, SpectrumDataset, SpectrumDatasetOnOff, stack_datasets
from gpudl4.maps import Map, MapAxis, RegionGeom
from gpudl4.models import Models, PointSpatialModel, PowerLawSpectralModel, SkyModel
from tests.arrays import assert_close, assert_same, host
from tests.datasets.makers import KINDS, assert_agree, exact_masks, make_kind
from tests.paths import shared_data

SEEDS = (0, 1, 2, 3)


def runs(kind, library="gpudl4", edisp="kernel"):
    return [make_kind(kind, name=f"run-{seed}", seed=seed, library=library, edisp=edisp) for seed in SEEDS]


@pytest.mark.peer
@pytest.mark.parametrize("edisp", ["kernel", "migra"])
@pytest.mark.parametrize("kind", KINDS)
def test_four_runs_agree_with_gammapy(backend, kind, edisp):
    peer = pytest.importorskip("gammapy.datasets")
    if edisp == "migra" and kind.startswith("Spectrum"):
        pytest.skip("gammapy cannot stack spectra with energy dispersion over migra")
    ours = Datasets(runs(kind, edisp=edisp)).to_device(backend).stack_reduce(name="stacked")
    with exact_masks(), np.errstate(invalid="ignore", divide="ignore"):
        theirs = peer.Datasets(runs(kind, "gammapy", edisp)).stack_reduce(name="stacked")
    assert ours.backend == backend
    assert ours.name == "stacked"
    assert_agree(ours, theirs)
    assert ours.exposure.meta["livetime"] == theirs.exposure.meta["livetime"]
    assert ours.gti.time_sum.to_value("s") == pytest.approx(theirs.gti.time_sum.to_value("s"), rel=1e-9)
    assert ours.meta_table["OBS_ID"].data.tolist() == theirs.meta_table["OBS_ID"].data.tolist() == [["0", "1", "2", "3"]]


@pytest.mark.peer
@pytest.mark.parametrize("kind", KINDS[:2])
def test_cutouts_on_an_empty_dataset_agree_with_gammapy(backend, kind):
    pytest.importorskip("gammapy.datasets")
    centres = [SkyCoord(lon, -0.33, unit="deg", frame="galactic") for lon in (0.1, 0.47, 0.9)]

    def stack(library, move=lambda dataset: dataset):
        datasets = [move(dataset) for dataset in runs(kind, library)]
        stacked = type(datasets[0]).from_geoms(**datasets[0].geoms, name="stacked")
        stacked = move(stacked)
        for dataset, centre in zip(datasets, centres, strict=False):
            stacked.stack(dataset.cutout(centre, width=1.5 * u.deg))
        return stacked

    ours = stack("gpudl4", lambda dataset: dataset.to_device(backend))
    with exact_masks(), np.errstate(invalid="ignore", divide="ignore"):
        theirs = stack("gammapy")
    # The mask_fit of gammapy's result would have the geometry of the first cutout.
    assert_agree(ours, theirs, skip=("mask_fit",))


@pytest.mark.peer
def test_gammapy_lets_rounding_carry_a_threshold_to_the_next_energy():
    pytest.importorskip("gammapy.datasets")
    ours, theirs = make_kind("MapDataset", seed=2), make_kind("MapDataset", seed=2, library="gammapy")
    safe = ours.mask_safe.data
    exact = host(ours.mask_safe_edisp)[0]
    assert not safe[0, :, :8].any()
    assert not exact[0, :, :2].any()
    assert theirs.mask_safe_edisp.data[..., 0, :, :2].any()


@pytest.mark.parametrize("kind", KINDS)
def test_one_after_the_other_is_all_at_once(backend, kind):
    datasets = Datasets(runs(kind)).to_device(backend)
    before = datasets.copy()
    at_once = datasets.stack_reduce()
    for dataset, copy in zip(datasets, before, strict=True):
        assert_agree(dataset, copy.to_host(), tolerance=0)
    step_by_step = datasets[0].to_masked()
    for dataset in datasets[1:]:
        step_by_step.stack(dataset)
    assert_agree(at_once, step_by_step.to_host(), tolerance=2e-6)
    assert len(at_once.gti) == len(step_by_step.gti)
    one_by_one = stack_datasets((dataset for dataset in datasets), name="lazy")
    assert one_by_one.name == "lazy"
    assert_agree(one_by_one, at_once.to_host(), tolerance=0)


@pytest.mark.parametrize("kind", ["MapDatasetOnOff", "SpectrumDatasetOnOff"])
def test_background_and_excess_are_conserved(backend, kind):
    datasets = Datasets(runs(kind)).to_device(backend)
    stacked = datasets.stack_reduce()
    for name in ("counts", "counts_off", "background", "acceptance"):
        total = sum(host(getattr(d, name)).astype(float) * host(d.mask_safe) for d in datasets)
        assert_close(getattr(stacked, name), total, rtol=1e-5, atol=1e-5)
    stacked.check_for_fit()
    assert np.isfinite(stacked.stat_sum())


def test_ratio_without_any_off_counts(backend):
    first, second = (make_kind("SpectrumDatasetOnOff", seed=seed, mask=False).to_device(backend) for seed in (0, 1))
    for dataset in (first, second):
        dataset.counts_off.data[...] = 0
    stacked = Datasets([first.copy(), second.copy()]).stack_reduce()
    on, off = (sum(host(getattr(d, name)).sum(dtype=float) for d in (first, second)) for name in ("acceptance", "acceptance_off"))
    assert_close(stacked.alpha, np.full(stacked.data_shape, on / off), rtol=1e-5)
    assert not host(stacked.background).any()


def test_incomplete_on_off_datasets_are_refused():
    first, second = (make_kind("MapDatasetOnOff", name=name) for name in ("first", "second"))
    second.acceptance_off = None
    second.counts_off = None
    with pytest.raises(DatasetError, match="'second' cannot be stacked: it has no counts_off and no acceptance_off"):
        first.stack(second)
    second.mask_safe.data[...] = False
    before = first.copy()
    first.stack(second)
    assert_same(first.counts_off, before.counts_off)
    assert_close(first.background, before.background, rtol=1e-6)


def test_kinds_do_not_mix():
    with pytest.raises(DatasetError, match=r"MapDatasetOnOff and cannot be stacked on 'test', a MapDataset: stack its to_map_dataset\(\)"):
        make_kind("MapDataset").stack(make_kind("MapDatasetOnOff"))
    with pytest.raises(DatasetError, match=r"a SpectrumDataset: stack its to_spectrum_dataset\(\)"):
        make_kind("SpectrumDataset").stack(make_kind("SpectrumDatasetOnOff"))
    with pytest.raises(DatasetError, match=r"'the argument' is a int and cannot be stacked on 'test', a MapDataset$"):
        make_kind("MapDataset").stack(5)
    with pytest.raises(DatasetError, match="at least one dataset"):
        stack_datasets([])
    with pytest.raises(GeometryError, match="equivalent maps or cutout"):
        make_kind("SpectrumDataset").stack(make_kind("SpectrumDataset", n_reco=5))
    first = make_kind("SpectrumDataset")
    counts = first.counts.data.copy()
    with pytest.raises(GeometryError):
        first.stack(make_kind("SpectrumDataset", n_true=7))  # counts fit, the rest does not
    assert_same(first.counts, counts)


def test_livetimes_keep_their_unit():
    first, second = make_kind("SpectrumDataset"), make_kind("SpectrumDataset", name="other")
    first.exposure.meta, second.exposure.meta = {"livetime": 2 * u.h}, {"livetime": 30 * u.min}
    stacked = Datasets([first, second]).stack_reduce()
    assert stacked.exposure.meta["livetime"] == 2.5 * u.h
    assert stacked.exposure.meta["livetime"].unit == "h"
    assert Datasets([first, second]).info_table(cumulative=True)["livetime"].unit == "h"


def test_two_instruments_are_warned_of():
    first, second = make_kind("SpectrumDataset"), make_kind("SpectrumDataset", name="other")
    second.meta_table["TELESCOP"] = ["VERITAS"]
    with pytest.warns(UserWarning, match=r"'other' is of another instrument \(TELESCOP VERITAS\) than what it is stacked on \(CTA\)"):
        Datasets([first, second]).stack_reduce()


def test_a_response_that_counts_nothing_is_warned_of():
    first, second = make_kind("SpectrumDataset"), make_kind("SpectrumDataset", name="other")
    second.edisp.exposure_map.data[...] = 0
    with pytest.warns(UserWarning, match="'other': the exposure map of its edisp is zero, so that its edisp counts nothing in the stack"):
        first.stack(second)
    first.edisp, second.edisp.exposure_map = None, None
    first.stack(second)  # what the first has not is not looked at
    empty = MapDataset.create(make_kind("MapDataset").counts.geom, name="empty")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        empty.stack(empty.copy())


def test_intervals_may_be_missing_on_both_sides(backend):
    first, second = (make_kind("SpectrumDataset", name=name).to_device(backend) for name in "ab")
    first.gti = second.gti = GTI.from_time_intervals([])
    first.stack(second)
    assert len(first.gti) == 0
    third = make_kind("SpectrumDataset").to_device(backend)
    first.stack(third)
    assert len(first.gti) == 1


def test_a_masked_run_adds_nothing_but_its_intervals(backend):
    first, second = (make_kind("MapDataset", name=name, seed=seed).to_device(backend) for name, seed in (("a", 0), ("b", 1)))
    second.mask_safe.data[...] = False
    copy = first.copy()
    first.stack(second)
    assert_agree(first, copy.to_host(), tolerance=1e-7, skip=("mask_fit",))
    assert first.exposure.meta["livetime"] == copy.exposure.meta["livetime"]


# ---- predicted counts --------------------------------------------------------------------------------------------------------------


def observed(name, threshold, sigma, edisp="kernel"):
    """Run with exposure, energy dispersion and a threshold of its own, and no PSF."""
    dataset = make_kind("MapDataset", name=name, seed=0, psf=False, mask=False, edisp=edisp)
    axis, axis_true = dataset.counts.geom.axes["energy"], dataset.exposure.geom.axes["energy_true"]
    if edisp == "kernel":
        from gpudl4.irf import EDispKernelMap

        dataset.edisp = EDispKernelMap.from_gauss(axis, axis_true, sigma=sigma, bias=0, geom=dataset.edisp.edisp_map.geom)
    exposure = dataset.exposure.data * 0 + (np.arange(1, axis_true.nbin + 1) ** (10 * sigma)).reshape(-1, 1, 1)
    dataset.exposure.data = exposure.astype("float32") * np.float32(1e10)
    dataset.edisp.exposure_map.data[...] = dataset.exposure.data[:, :1, :1][:, np.newaxis]
    safe = np.ones(dataset.counts.data.shape, dtype=bool)
    safe[:threshold] = False
    dataset.mask_safe = Map.from_geom(dataset.counts.geom, data=safe)
    return dataset


def point():
    return Models(
        [
            SkyModel(
                PowerLawSpectralModel(index=2.3, amplitude="5e-11 cm-2 s-1 TeV-1"),
                PointSpatialModel(lon_0="0.43 deg", lat_0="-0.21 deg", frame="galactic"),
                name="point",
            )
        ]
    )


def npred_of(dataset, weights=None):
    dataset.models = point()
    npred = dataset.npred_signal()
    return npred.data if weights is None else npred.data * weights.data


def test_predicted_counts_are_conserved_with_different_thresholds():
    datasets = [observed(f"run-{n}", threshold=n, sigma=0.1 + 0.1 * n) for n in range(3)]
    stacked = Datasets(datasets).stack_reduce()
    total = sum(npred_of(dataset, dataset.mask_safe) for dataset in datasets)
    np.testing.assert_allclose(npred_of(stacked), total, rtol=1e-5, atol=1e-6 * total.max())
    assert total.sum() > 100


def test_maps_over_migra_lose_the_thresholds_and_kernels_keep_them():
    datasets = [observed(f"run-{n}", threshold=n, sigma=0.1, edisp="migra") for n in range(3)]
    total = sum(npred_of(dataset, dataset.mask_safe) for dataset in datasets)
    lost = npred_of(Datasets(datasets).stack_reduce())
    kept = npred_of(Datasets(datasets).stack_reduce(edisp_kernels=True))
    np.testing.assert_allclose(kept, total, rtol=1e-5, atol=1e-6 * total.max())
    assert lost[0].sum() > 2 * total[0].sum()


# ---- costs -------------------------------------------------------------------------------------------------------------------------


def test_stacking_allocates_little_beside_the_result():
    axis = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=12)
    from gpudl4.maps import WcsGeom

    geom = WcsGeom.create(npix=(120, 120), binsz=0.05, axes=[axis])
    dataset = MapDataset.create(geom, name="run")
    dataset.mask_safe.data[...] = True
    dataset.counts.data[...] = 1
    for exposure in (dataset.exposure, dataset.psf.exposure_map, dataset.edisp.exposure_map):
        exposure.data[...] = 1
    one = sum(m.data.nbytes for m in (dataset.counts, dataset.background, dataset.exposure, dataset.mask_safe))
    one += dataset.psf.psf_map.data.nbytes + dataset.edisp.edisp_map.data.nbytes
    MapDataset.create(geom).stack(dataset)  # kernels take memory when they are loaded, once
    stacked = MapDataset.create(geom)
    tracemalloc.start()
    stacked.stack(dataset)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * one, (peak, one)
    assert stacked.counts.data.sum() == dataset.counts.data.sum()


def test_stacking_on_the_device_stays_there(device, limits):
    first, second = (make_kind("MapDataset", seed=seed).to_device() for seed in (0, 1))
    with limits(uploads=60, downloads=40, synchronisations=80):
        first.stack(second)
    assert first.backend == device


def test_spectra_without_a_region(backend):
    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3)
    empty = SpectrumDataset.create(RegionGeom.create(None, axes=[axis])).to_device(backend)
    run = SpectrumDataset.create(RegionGeom.create(None, axes=[axis])).to_device(backend)
    run.counts.data[...] = 2
    run.mask_safe.data[1:] = True
    empty.stack(run)
    assert host(empty.counts).ravel().tolist() == [0, 2, 2]


# ---- real data ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.peer
def test_cutouts_of_cta_data_agree_with_gammapy():
    """Four overlapping runs with thresholds of their own, cut out of the Galactic centre data and stacked on the whole field."""
    peer = pytest.importorskip("gammapy.datasets")
    path = shared_data("cta-1dc-gc", "cta-gc-stacked.fits.gz")

    def stack(cls):
        whole = cls.read(path, name="whole")
        if not isinstance(whole, MapDataset):
            whole = whole.copy(name="whole")  # read all of it now
        stacked = cls.from_geoms(**whole.geoms, name="stacked", gti=whole.gti)
        for number, (lon, lat) in enumerate(((0.63, 0.42), (-0.91, 0.37), (-0.27, -0.66), (0.11, 0.08))):
            run = whole.cutout(SkyCoord(lon, lat, unit="deg", frame="galactic"), width=(4.3 * u.deg, 3.1 * u.deg))
            safe = np.ones(run.counts.data.shape, dtype=bool)
            safe[:number] = False
            safe[:, :, : 7 * number] = False
            run.mask_safe = type(run.counts).from_geom(run.counts.geom, data=safe)
            run.exposure.data = run.exposure.data * np.float32(1 + number)
            for irf in (run.psf, run.edisp):
                irf.exposure_map.data = irf.exposure_map.data * np.float32(1 + number)
            stacked.stack(run)
        return stacked

    ours = stack(MapDataset)
    with exact_masks(), np.errstate(invalid="ignore", divide="ignore"):
        theirs = stack(peer.MapDataset)
    assert_agree(ours, theirs)
    assert ours.counts.data.sum() > 1e4


@pytest.mark.peer
def test_crab_runs_of_hess_agree_with_gammapy(tmp_path):
    """The four runs of the joint Crab analysis, which differ in thresholds, off counts and energy dispersion."""
    peer = pytest.importorskip("gammapy.datasets")
    folder = shared_data("joint-crab", "hess")
    theirs = peer.Datasets([peer.SpectrumDatasetOnOff.read(path) for path in sorted(folder.glob("pha_obs*.fits"))])
    ours = Datasets()
    for dataset in theirs:
        dataset.write(tmp_path / f"{dataset.name}.fits", format="gadf")
        ours.append(SpectrumDatasetOnOff.read(tmp_path / f"{dataset.name}.fits", format="gadf"))
    assert len(ours) == 4
    with np.errstate(invalid="ignore", divide="ignore"):
        stacked, wanted = ours.stack_reduce(name="hess"), theirs.stack_reduce(name="hess")
    assert_agree(stacked, wanted)
    assert stacked.stat_sum() == pytest.approx(wanted.stat_sum(), rel=1e-6)
    assert stacked.info_dict()["sqrt_ts"] == pytest.approx(wanted.info_dict()["sqrt_ts"], rel=1e-6)
    image = stacked.to_image()
    assert image.info_dict()["excess"] == pytest.approx(stacked.info_dict()["excess"], rel=1e-5)
