"""Damaged files of a fixed seed, see `tests.io.fuzz`, and that a campaign would notice a fault."""

from types import SimpleNamespace

import numpy as np
import pytest

from gpudl4.core.errors import DataFileError
from tests.io.fuzz import campaign
from tests.io.fuzz.child import GOOD, verdict_of
from tests.io.fuzz.mutate import mutated
from tests.io.fuzz.samples import SAMPLES, write_samples

SEED = 20261201
FILES = 200


def test_damaged_files_are_read_as_they_were_or_refused():
    counts, faults = campaign.run(SEED, FILES, seconds=40)
    assert faults == []
    verdicts = {verdict for _, verdict in counts}
    assert {"same", "changed", "refused"} <= verdicts <= set(GOOD)
    assert counts.total() > len(SAMPLES)


def test_every_kind_of_damage_changes_files_and_is_repeated_by_its_seed(tmp_path):
    write_samples(tmp_path)
    for sample in SAMPLES:
        content = (tmp_path / sample.name).read_bytes()
        outs = [mutated(content, sample.kind, np.random.default_rng(seed))[0] for seed in range(5)]
        assert sum(out != content for out in outs) >= 4
        assert outs[3] == mutated(content, sample.kind, np.random.default_rng(3))[0] or sample.name.endswith(".gz")


def raising(error):
    def read(path):
        raise error

    return read


@pytest.mark.parametrize(
    ("read", "verdict"),
    [
        (raising(KeyError("NAXIS1")), "foreign KeyError"),
        (raising(MemoryError()), "memory"),
        (raising(DataFileError("something is wrong")), "no name"),
        (raising(DataFileError("'folder/a.fits' is wrong")), "refused"),
        (lambda path: 1, "foreign AttributeError"),
    ],
)
def test_faults_are_told_from_refusals(tmp_path, read, verdict):
    sample = SimpleNamespace(name="a.fits", start="a.fits", kind="fits", read=read)
    assert verdict_of(sample, tmp_path, {"a.fits": []})[0] == verdict


def test_a_statistic_that_is_not_finite_is_a_fault(tmp_path):
    from gpudl4.datasets import FluxPointsDataset

    write_samples(tmp_path)
    dataset = FluxPointsDataset.read(tmp_path / "points.fits")
    dataset.stat_sum = lambda: np.nan
    sample = SimpleNamespace(name="points.fits", start="points.fits", kind="fits", read=lambda path: dataset)
    assert verdict_of(sample, tmp_path, {"points.fits": []})[0] == "not finite"


def test_a_reader_that_does_not_end_is_a_fault(monkeypatch):
    monkeypatch.setattr(campaign, "SECONDS", 0)
    counts, faults = campaign.run(SEED, 1, names=["gti.fits"])
    assert list(counts) == [("gti.fits", "hang")]
    assert faults[0][3] == "hang"
