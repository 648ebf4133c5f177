"""Many datasets of any kind: groups that are stacked, selections, joint sums, pictures of what is there."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time

from gpudl4.core.errors import DatasetError, GeometryError
from gpudl4.core.gti import GTI
from gpudl4.datasets import Datasets, SpectrumDataset, SpectrumDatasetOnOff
from tests.arrays import assert_same
from tests.datasets.makers import KINDS, assert_agree, make_kind


@pytest.fixture
def runs():
    datasets = Datasets([make_kind("SpectrumDatasetOnOff", name=f"run-{seed}", seed=seed) for seed in range(4)])
    for number, dataset in enumerate(datasets):
        dataset.meta_table["TELESCOP"] = ["CTA-N" if number % 2 else "CTA-S"]
        dataset.meta_table["ZEN_PNT"] = [10.0 * number]
    return datasets


def test_groups_by_a_column(runs):
    groups = runs.group_by("TELESCOP")
    assert list(groups) == ["CTA-S", "CTA-N"]
    assert groups["CTA-N"].names == ["run-1", "run-3"]
    assert "2 groups" in str(groups)
    assert list(runs.group_by("telescope")) == list(groups)
    assert list(runs.group_by("type")) == ["SpectrumDatasetOnOff"]


def test_groups_by_a_function_are_stacked(runs):
    for dataset in runs:
        dataset.meta_table["TELESCOP"] = ["CTA"]
    stacked = runs.group_by(lambda dataset: dataset.meta_table["ZEN_PNT"][0] > 15).stack_reduce(name="high-{}")
    assert stacked.names == ["high-False", "high-True"]
    assert_agree(stacked[0], runs[:2].stack_reduce(), tolerance=0)
    assert sum(d.counts.data.sum() for d in stacked) == sum((d.counts.data * d.mask_safe.data).sum() for d in runs)


def test_groups_need_what_they_are_grouped_by(runs):
    with pytest.raises(DatasetError, match="'run-0' has no column 'MUONEFF' to group it by; it has TELESCOP, OBS_ID, ZEN_PNT"):
        runs.group_by("MUONEFF")
    runs[0].meta_table = None
    with pytest.raises(DatasetError, match="it has no table of metadata"):
        runs.group_by("ZEN_PNT")
    with pytest.raises(DatasetError, match="values that can be compared"):
        runs.group_by(lambda dataset: [1, 2])


def test_a_joint_statistic_is_the_sum(runs):
    cube = make_kind("MapDataset", name="cube")
    mixed = runs + cube
    assert mixed.stat_sum() == pytest.approx(sum(dataset.stat_sum() for dataset in mixed), rel=1e-12)
    assert not mixed.is_all_same_type
    assert runs.is_all_same_type
    assert runs.is_all_same_shape
    assert runs.is_all_same_energy_shape
    assert runs.energy_axes_are_aligned
    with pytest.raises(DatasetError, match="all of one kind"):
        mixed.stack_reduce()


def test_names_are_unique(runs):
    with pytest.raises(DatasetError, match="two datasets are named 'run-1'"):
        runs.append(make_kind("SpectrumDataset", name="run-1"))
    with pytest.raises(DatasetError, match="two datasets are named 'run-1'"):
        Datasets([runs["run-1"], runs["run-1"]])


@pytest.mark.peer
@pytest.mark.parametrize("kind", KINDS)
def test_cumulative_table_agrees_with_gammapy(kind):
    peer = pytest.importorskip("gammapy.datasets")

    def table(cls, library):
        datasets = cls([make_kind(kind, name=f"run-{seed}", seed=seed, library=library) for seed in range(3)])
        with np.errstate(invalid="ignore", divide="ignore"):
            return datasets.info_table(), datasets.info_table(cumulative=True)

    for ours, theirs in zip(table(Datasets, "gpudl4"), table(peer.Datasets, "gammapy"), strict=True):
        assert len(ours) == 3
        for column in ("counts", "background", "excess", "sqrt_ts", "n_bins", "n_fit_bins", "counts_off", "alpha"):
            if column in theirs.colnames:
                np.testing.assert_allclose(np.array(ours[column], float), np.array(theirs[column], float), rtol=1e-4, err_msg=column)
        np.testing.assert_allclose(u.Quantity(ours["livetime"]).to_value("s"), u.Quantity(theirs["livetime"]).to_value("s"))


def test_selection_in_time(runs):
    start = Time("2020-01-01", scale="utc")
    chosen = runs.select_time(start + 4000 * u.s, start + 11000 * u.s)
    assert chosen.names == ["run-1", "run-2"]
    assert chosen[0] is runs["run-1"]
    assert runs.select_time(start + 5000 * u.s, start + 6000 * u.s, atol=1 * u.s).names == ["run-1"]
    assert runs.select_time("2020-01-01 01:06:40", "2020-01-01T03:03:20").names == ["run-1", "run-2"]
    runs[0].gti = GTI.from_time_intervals([])
    runs[1].gti = None
    assert runs.select_time(start - 1 * u.d, start + 1 * u.d).names == ["run-2", "run-3"]


def test_slices_in_energy(runs):
    short = make_kind("SpectrumDataset", name="short").slice_by_energy(1 * u.TeV, 2 * u.TeV, name="short")
    sliced = (runs + short).slice_by_energy(3 * u.TeV, 10 * u.TeV)
    assert sliced.names == runs.names
    assert {dataset.data_shape[0] for dataset in sliced} == {2}
    low, high = sliced.energy_ranges
    assert (low < 4 * u.TeV).all()
    assert (high == 10 * u.TeV).all()


def test_spectra_of_a_region():
    from regions import CircleSkyRegion

    region = CircleSkyRegion(SkyCoord(0.4, -0.2, unit="deg", frame="galactic"), 0.2 * u.deg)
    datasets = Datasets([make_kind(kind, name=kind, psf=False) for kind in KINDS[:2]])
    spectra = datasets.to_spectrum_datasets(region)
    assert spectra.names == datasets.names
    assert [type(spectrum) for spectrum in spectra] == [SpectrumDataset, SpectrumDatasetOnOff]
    with pytest.raises(GeometryError):
        datasets.to_spectrum_datasets(CircleSkyRegion(SkyCoord(9, 9, unit="deg"), 1 * u.deg))


def test_joint_metadata(runs):
    table = runs.meta_table
    assert table["NAME"].tolist() == runs.names
    assert table["ZEN_PNT"].tolist() == [0, 10, 20, 30]
    assert len(runs.gti) == 4
    copies = runs.copy()
    copies[0].counts.data[...] = 0
    assert runs[0].counts.data.any()
    assert_same(copies[1].counts, runs[1].counts)
    asimov = runs.to_asimov()
    assert asimov.names == runs.names
