"""Transforms of every kind of dataset: against gammapy, against invariants, on each backend."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import DatasetError, GeometryError
from gpudl4.datasets import Datasets, SpectrumDataset, SpectrumDatasetOnOff, split_dataset
from gpudl4.maps import MapAxis
from tests.arrays import assert_close, assert_same, host
from tests.datasets.makers import KINDS, assert_agree, exact_masks, make_kind
from tests.factory import get_library

CENTRE = SkyCoord(0.4, -0.2, unit="deg", frame="galactic")


def axis_of(lib, dataset, groups):
    edges = dataset.counts.geom.axes["energy"].edges
    return lib.maps.MapAxis.from_energy_edges(edges[groups], name="energy")


VERBS = {
    "cutout": lambda d, lib: d.cutout(CENTRE, width=(1.3 * u.deg, 0.9 * u.deg)),
    "pad": lambda d, lib: d.pad(2),
    "downsample sky": lambda d, lib: d.downsample(4),
    "downsample energy": lambda d, lib: d.downsample(d.counts.data.shape[0] // 2 if d.counts.geom.is_region else 3, axis_name="energy"),
    "slice_by_idx": lambda d, lib: d.slice_by_idx({"energy": slice(1, 3)}),
    "slice_by_energy": lambda d, lib: d.slice_by_energy(2 * u.TeV, 11 * u.TeV),
    "resample_energy_axis": lambda d, lib: d.resample_energy_axis(axis_of(lib, d, [0, 2, 3])),
    "to_image": lambda d, lib: d.to_image(),
    "to_masked": lambda d, lib: d.to_masked(),
    "copy": lambda d, lib: d.copy(),
}
FOR_PIXELS = ("cutout", "pad", "downsample sky")


def cases():
    for kind in KINDS:
        for verb in VERBS:
            if kind.startswith("Spectrum") and verb in FOR_PIXELS:
                continue
            if kind == "MapDatasetOnOff" and verb == "pad":  # not in gammapy
                continue
            yield pytest.param(kind, verb, id=f"{kind}-{verb}")


@pytest.mark.peer
@pytest.mark.parametrize("edisp", ["kernel", "migra"])
@pytest.mark.parametrize(("kind", "verb"), list(cases()))
def test_agrees_with_gammapy(backend, kind, verb, edisp):
    pytest.importorskip("gammapy.datasets")
    ours = make_kind(kind, seed=2, edisp=edisp).to_device(backend)
    theirs = make_kind(kind, seed=2, edisp=edisp, library="gammapy")
    if edisp == "migra" and verb == "to_masked" and kind.startswith("Spectrum"):
        pytest.skip("gammapy cannot stack spectra with energy dispersion over migra")
    if edisp == "migra" and verb == "downsample energy":
        pytest.skip("gammapy looks for reconstructed energies in energy dispersion over migra")
    with np.errstate(invalid="ignore", divide="ignore"), exact_masks():
        result, wanted = VERBS[verb](ours, get_library()), VERBS[verb](theirs, get_library("gammapy"))
    assert result.backend == backend
    assert type(result).__name__ == type(wanted).__name__ == kind
    assert_agree(result, wanted, skip=("acceptance_off",))
    if "OnOff" in kind:
        # Without off counts gammapy has no off acceptance (NaN); alpha is defined here all the same.
        mine, other = host(result.acceptance_off), wanted.acceptance_off.data
        known = np.isfinite(other)
        assert known.any()
        np.testing.assert_allclose(mine[known], other[known], rtol=2e-6)
        assert np.isfinite(mine).all()
    assert len(result.gti) == len(ours.gti)


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore:Mean of empty slice")  # by gammapy, where a mask leaves nothing
@pytest.mark.parametrize("correction", [False, True])
@pytest.mark.parametrize("kind", KINDS[:2])
def test_spectrum_of_a_region_agrees_with_gammapy(backend, kind, correction):
    pytest.importorskip("gammapy.datasets")
    from regions import CircleSkyRegion

    region = CircleSkyRegion(CENTRE, 0.3 * u.deg)
    ours, theirs = make_kind(kind, seed=1).to_device(backend), make_kind(kind, seed=1, library="gammapy")
    for dataset in (ours, theirs):
        dataset.mask_safe.data[...] = True
        dataset.mask_safe.data[0] = False
        dataset.mask_fit.data[...] = True
    result = ours.to_spectrum_dataset(region, containment_correction=correction, name="spectrum")
    with np.errstate(invalid="ignore", divide="ignore"):
        wanted = theirs.to_spectrum_dataset(region, containment_correction=correction, name="spectrum")
    assert result.name == "spectrum"
    assert type(result) is (SpectrumDatasetOnOff if "OnOff" in kind else SpectrumDataset)
    assert result.backend == backend
    assert result.psf is None
    if "OnOff" in kind:
        wanted.acceptance.data = np.nan_to_num(wanted.acceptance.data)
    assert_agree(result, wanted, tolerance=2e-6)
    if "OnOff" not in kind:
        region_map, peer = ours.to_region_map_dataset(region), theirs.to_region_map_dataset(region)
        assert_agree(region_map, peer)
        assert region_map.psf is not None


@pytest.mark.parametrize("kind", ["MapDatasetOnOff", "SpectrumDatasetOnOff"])
@pytest.mark.parametrize("verb", ["downsample energy", "resample_energy_axis", "to_image", "downsample sky"])
def test_merging_conserves_counts_background_and_excess(backend, kind, verb):
    if kind.startswith("Spectrum") and verb == "downsample sky":
        pytest.skip("a spectrum has no pixels")
    dataset = make_kind(kind, seed=2).to_device(backend)
    merged = VERBS[verb](dataset, get_library())
    safe = host(dataset.mask_safe)
    groups = [0, 2, 3] if verb == "resample_energy_axis" else [0, safe.shape[0]]
    inside = np.zeros(safe.shape, dtype=bool)
    inside[groups[0] : groups[-1]] = True
    for name in ("counts", "counts_off", "background"):
        before, after = host(getattr(dataset, name)), host(getattr(merged, name))
        assert after.sum(dtype=float) == pytest.approx(before[safe & inside].sum(dtype=float), rel=1e-5), name


def test_ratio_without_off_counts_is_that_of_the_acceptances(backend):
    dataset = make_kind("SpectrumDatasetOnOff").to_device(backend)
    dataset.counts_off.data[...] = 0
    image = dataset.to_image()
    acceptance, off = (host(m).sum(dtype=float) for m in (dataset.acceptance, dataset.acceptance_off))
    assert float(host(image.alpha)[0, 0, 0]) == pytest.approx(acceptance / off, rel=1e-6)
    assert host(image.background)[0, 0, 0] == 0


def test_padding_adds_masked_pixels_only(backend):
    dataset = make_kind("MapDatasetOnOff").to_device(backend)
    padded = dataset.pad((3, 1))
    assert padded.data_shape == (3, 22, 30)
    assert host(padded.counts).sum() == host(dataset.counts).sum()
    assert host(padded.mask).sum() == host(dataset.mask).sum()
    assert padded.stat_sum() == pytest.approx(dataset.stat_sum(), rel=1e-12)
    assert_same(padded.psf.psf_map, dataset.psf.psf_map)


def test_disjoint_slices_make_up_the_whole(backend):
    dataset = make_kind("SpectrumDatasetOnOff", seed=1).to_device(backend)
    parts = [dataset.slice_by_idx({"energy": slice(0, 2)}), dataset.slice_by_idx({"energy": slice(2, 4)})]
    assert sum(part.stat_sum() for part in parts) == pytest.approx(dataset.stat_sum(), rel=1e-12)
    before = host(dataset.counts).copy()
    parts[0].counts.data[...] = 0  # a slice is independent of the whole
    assert_same(dataset.counts, before)


def test_bad_slices():
    dataset = make_kind("SpectrumDataset")
    with pytest.raises(GeometryError, match=r"keeps all its axes: give slice\(1, 1 \+ 1\) instead of 1 for 'energy'"):
        dataset.slice_by_idx({"energy": 1})
    with pytest.raises(GeometryError, match="has no axis 'rad'; it has energy, energy_true"):
        dataset.slice_by_idx({"rad": slice(0, 2)})
    with pytest.raises(GeometryError):
        dataset.slice_by_energy(20 * u.TeV, 30 * u.TeV)
    with pytest.raises(GeometryError, match="no axis 'rad' to downsample; it has energy, energy_true"):
        dataset.downsample(2, axis_name="rad")


def test_regions_that_do_not_work():
    from regions import CircleSkyRegion, RectangleSkyRegion

    dataset = make_kind("MapDataset")
    outside = CircleSkyRegion(SkyCoord(1.6, -0.2, unit="deg", frame="galactic"), 0.3 * u.deg)
    with pytest.raises(GeometryError, match="region is not inside the map of dataset 'test'"):
        dataset.to_spectrum_dataset(outside)
    with pytest.raises(GeometryError, match="name a region"):
        dataset.to_region_map_dataset(None)
    split = CircleSkyRegion(SkyCoord(0.8, -0.2, unit="deg", frame="galactic"), 0.3 * u.deg)
    with pytest.raises(GeometryError, match="mask of dataset 'test' differs between pixels of the region"):
        dataset.to_spectrum_dataset(split)
    rectangle = RectangleSkyRegion(CENTRE, 0.3 * u.deg, 0.3 * u.deg)
    with pytest.raises(DatasetError, match="needs a CircleSkyRegion, got a RectangleSkyRegion"):
        dataset.to_spectrum_dataset(rectangle, containment_correction=True)
    dataset.psf = None
    with pytest.raises(DatasetError, match="no PSF in true energy"):
        dataset.to_spectrum_dataset(CircleSkyRegion(CENTRE, 0.3 * u.deg), containment_correction=True)


@pytest.mark.parametrize("kind", KINDS[2:])
def test_what_a_spectrum_cannot_do(kind):
    dataset = make_kind(kind)
    for verb in ("cutout", "pad", "plot_residuals_spatial"):
        with pytest.raises(NotImplementedError, match=f"'test' is a {kind}, which has no pixels"):
            getattr(dataset, verb)(2)
    with pytest.raises((NotImplementedError, GeometryError, DatasetError)):
        split_dataset(dataset, 1 * u.deg, 0.1 * u.deg)


def test_a_psf_in_reconstructed_energy_does_not_follow_groups_of_energies():
    from tests.factory import make_dataset

    dataset = make_dataset(models=None, reco_psf=True)
    with pytest.raises(GeometryError, match="PSF in reconstructed energy cannot follow"):
        dataset.to_image()
    assert dataset.slice_by_idx({"energy": slice(0, 2)}).psf.psf_map.data.shape[0] == 2


@pytest.mark.peer
def test_pieces_agree_with_gammapy_and_cover_the_field(backend):
    peer = pytest.importorskip("gammapy.datasets.utils")
    ours, theirs = make_kind("MapDataset").to_device(backend), make_kind("MapDataset", library="gammapy")
    pieces = split_dataset(ours, width=0.85 * u.deg, margin=0.2 * u.deg)
    wanted = peer.split_dataset(theirs, width=0.85 * u.deg, margin=0.2 * u.deg)
    assert isinstance(pieces, Datasets)
    mine = {piece.counts.geom.center_skydir.to_string(precision=3): piece for piece in pieces}
    for other in wanted:  # gammapy has fewer: some pixels at the border are in no piece
        assert_agree(mine[other.counts.geom.center_skydir.to_string(precision=3)], other)
    assert sum(int(host(piece.mask_fit).sum()) for piece in pieces) == int(host(ours.mask_fit).sum())
    with pytest.raises(DatasetError, match="margin must be less than half of the width"):
        split_dataset(ours, width=0.85 * u.deg, margin=0.43 * u.deg)


def test_kernels_instead_of_migration(backend):
    dataset = make_kind("MapDataset", edisp="migra").to_device(backend)
    converted = dataset.to_edisp_kernels(name="kernels")
    assert converted.edisp.tag == "edisp_kernel_map"
    assert converted.counts is dataset.counts
    wanted = dataset.edisp.get_edisp_kernel(dataset.counts.geom.axes["energy"], position=CENTRE).pdf_matrix
    assert_close(converted.edisp.get_edisp_kernel(CENTRE).pdf_matrix, wanted, rtol=1e-6)


def test_edges_of_a_group_are_rounded():
    dataset = make_kind("SpectrumDataset")
    image = dataset.resample_energy_axis(MapAxis.from_energy_edges([1.01, 9.9] * u.TeV, name="energy"))
    assert image.counts.data.sum() == dataset.counts.data.sum()
