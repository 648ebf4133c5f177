"""Files of every kind of dataset: gpudl4 to gammapy to gpudl4, bit by bit, one by one and listed in YAML."""

import numpy as np
import pytest

from gpudl4.core.errors import DataFileError, OutputError
from gpudl4.datasets import DATASET_REGISTRY, Datasets
from gpudl4.datasets.fields import field_table, main_map
from tests.arrays import host
from tests.datasets.makers import KINDS, make_kind


def assert_identical(read, written):
    assert type(read).__name__ == type(written).__name__
    for field in field_table(written.tag):
        mine, other = getattr(read, field.name), getattr(written, field.name)
        if field.kind == "gti":
            assert mine.time_sum.to_value("s") == pytest.approx(other.time_sum.to_value("s"))
            continue
        if field.kind == "table":
            assert mine.colnames == other.colnames
            continue
        assert (mine is None) == (other is None), field.name
        if mine is None:
            continue
        pairs = [(main_map(field, mine), main_map(field, other))]
        if field.kind in ("psf", "edisp"):
            pairs.append((mine.exposure_map, other.exposure_map))
        for one, two in pairs:
            data, wanted = host(one.data), host(two.data)
            assert data.dtype.newbyteorder("=") == wanted.dtype.newbyteorder("="), field.name
            assert np.array_equal(data, wanted), field.name
            assert one.geom.axes.names == list(two.geom.axes.names), field.name
            assert str(one.unit) == str(two.unit), field.name


@pytest.mark.parametrize("edisp", ["kernel", "migra"])
@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(tmp_path, kind, edisp):
    dataset = make_kind(kind, seed=1, edisp=edisp, name="first run")
    dataset.write(tmp_path / "a.fits")
    read = DATASET_REGISTRY.get_cls(kind).read(tmp_path / "a.fits", format="gadf")
    assert read.name == "first run"
    assert_identical(read, dataset)
    with pytest.raises(OutputError):
        dataset.write(tmp_path / "a.fits")


@pytest.mark.peer
@pytest.mark.parametrize("edisp", ["kernel", "migra"])
@pytest.mark.parametrize("kind", KINDS)
def test_through_gammapy_bit_by_bit(tmp_path, kind, edisp):
    peer = pytest.importorskip("gammapy.datasets")
    dataset = make_kind(kind, seed=1, edisp=edisp, name="run")
    dataset.write(tmp_path / "ours.fits", checksum=True)
    theirs = getattr(peer, kind).read(tmp_path / "ours.fits")
    assert theirs.name == "run"
    for field in field_table(kind):
        if field.name in ("gti", "meta_table"):
            continue
        mine, other = dataset._values[field.name], getattr(theirs, field.name)
        assert (mine is None) == (other is None), field.name
        if mine is not None:
            assert np.array_equal(main_map(field, mine).data, main_map(field, other).data), field.name
    theirs.write(tmp_path / "theirs.fits", overwrite=True)
    assert_identical(DATASET_REGISTRY.get_cls(kind).read(tmp_path / "theirs.fits", format="gadf"), dataset)


def test_lists_of_any_mix(tmp_path):
    kinds = KINDS
    try:
        import gpudl4.io.ogip  # noqa: F401
    except ImportError:
        kinds = KINDS[:3]
    datasets = Datasets([make_kind(kind, name=f"{kind} 1", seed=1) for kind in kinds])
    datasets.write(tmp_path / "all.yaml")
    read = Datasets.read(tmp_path / "all.yaml")
    assert read.names == datasets.names
    for one, two in zip(read, datasets, strict=True):
        assert_identical(one, two)
        assert one.stat_sum() == pytest.approx(two.stat_sum(), rel=1e-12)


@pytest.mark.peer
def test_lists_are_read_by_gammapy(tmp_path):
    peer = pytest.importorskip("gammapy.datasets")
    datasets = Datasets([make_kind(kind, name=kind, seed=1) for kind in KINDS])
    datasets.write(tmp_path / "all.yaml")
    theirs = peer.Datasets.read(tmp_path / "all.yaml", lazy=False)
    assert [dataset.tag for dataset in theirs] == list(KINDS)
    for one, two in zip(theirs, datasets, strict=True):
        assert one.counts.data.sum() == two.counts.data.sum()


def test_a_file_of_another_kind_is_refused(tmp_path):
    make_kind("MapDataset").write(tmp_path / "map.fits")
    with pytest.raises(Exception, match="is on a RegionGeom, but counts is on pixels") as error:
        DATASET_REGISTRY.get_cls("SpectrumDataset").read(tmp_path / "map.fits")
    assert "map.fits" in str(error.value)
    with pytest.raises(DataFileError):
        DATASET_REGISTRY.get_cls("MapDatasetOnOff").read(tmp_path / "missing.fits")
