"""Fields that are read when they are first used: equal to those read at once, checked, and nothing is read before."""

import numpy as np
import pytest
from astropy.io import fits

from gpudl4.core.errors import DataFileError, GeometryError
from gpudl4.datasets import Datasets, MapDataset
from gpudl4.datasets.fields import MAP_FIELDS, main_map
from gpudl4.io import lazy
from gpudl4.io.files import open_fits
from tests.factory import make_dataset


@pytest.fixture
def opened(monkeypatch):
    """Fields in the order in which they are read."""
    names = []
    real = lazy.read_fields

    def spy(hdulist, rows, filename):
        names.extend(row.name for row in rows)
        return real(hdulist, rows, filename)

    monkeypatch.setattr(lazy, "read_fields", spy)
    return names


@pytest.mark.parametrize("suffix", ["fits", "fits.gz"])
def test_fields_are_those_read_at_once(suffix, tmp_path):
    path = tmp_path / f"d.{suffix}"
    make_dataset(models=None).write(path)
    whole, parts = MapDataset.read(path), MapDataset.read(path, lazy=True)
    assert parts.name == whole.name == "test"
    for field in MAP_FIELDS:
        mine, other = getattr(parts, field.name), getattr(whole, field.name)
        assert type(mine) is type(other)
        if main_map(field, other) is not None:
            np.testing.assert_array_equal(main_map(field, mine).data, main_map(field, other).data)
    assert parts.meta.creation.creator == whole.meta.creation.creator


def test_only_what_is_used_is_read(tmp_path, opened):
    make_dataset(models=None).write(tmp_path / "d.fits")
    dataset = MapDataset.read(tmp_path / "d.fits", lazy=True)
    assert opened == []
    first = dataset.counts
    assert dataset.counts is first
    assert dataset.meta_table is None
    assert opened == ["counts"]
    assert dataset._values.loaded == ["counts"]
    assert dataset.mask_safe.data.any()
    assert opened == ["counts", "mask_safe"]


def test_a_compressed_file_is_opened_once(tmp_path, opened):
    make_dataset(models=None).write(tmp_path / "d.fits.gz")
    dataset = MapDataset.read(tmp_path / "d.fits.gz", lazy=True)
    assert dataset.counts is not None
    count = len(opened)
    assert dataset.exposure is not None
    assert len(opened) == count


def test_without_keeping(tmp_path, opened):
    make_dataset(models=None).write(tmp_path / "d.fits")
    dataset = MapDataset.read(tmp_path / "d.fits", lazy=True, cache=False)
    np.testing.assert_array_equal(dataset.counts.data, dataset.counts.data)
    assert opened == ["counts", "counts"]


def test_everything_works_on_it(tmp_path):
    dataset = make_dataset()
    dataset.write(tmp_path / "d.fits")
    again = MapDataset.read(tmp_path / "d.fits", lazy=True)
    again.models = dataset.models
    assert again.stat_sum() == dataset.stat_sum()
    assert again.copy().counts.data.sum() == dataset.counts.data.sum()
    again.counts = again.counts * 2
    again.write(tmp_path / "twice.fits")
    assert MapDataset.read(tmp_path / "twice.fits").counts.data.sum() == 2 * dataset.counts.data.sum()


def test_datasets_are_read_lazily(tmp_path, opened):
    datasets = Datasets([make_dataset("a"), make_dataset("b", models=None)])
    datasets.write(tmp_path / "d.yaml", tmp_path / "m.yaml")
    again = Datasets.read(tmp_path / "d.yaml", lazy=True)
    assert again.names == ["a", "b"]
    assert opened == []
    assert again["b"].counts.data.sum() == datasets["b"].counts.data.sum()
    assert opened == ["counts"]


def test_a_device_gets_all_at_once(device, tmp_path, opened):
    make_dataset(models=None).write(tmp_path / "d.fits")
    dataset = MapDataset.read(tmp_path / "d.fits", lazy=True, backend=device)
    assert dataset.counts.backend.device == device.device
    assert opened == []


def test_fields_that_do_not_belong_together(tmp_path):
    dataset, other = make_dataset(models=None), make_dataset(models=None, npix=(22, 20))
    hdulist = dataset.to_hdulist()
    hdulist["BACKGROUND"] = next(hdu for hdu in other.to_hdulist() if hdu.name == "BACKGROUND")
    fits.HDUList(hdulist).writeto(tmp_path / "d.fits")
    dataset = MapDataset.read(tmp_path / "d.fits", lazy=True)
    assert dataset.counts.geom.data_shape == (3, 20, 24)
    with pytest.raises(GeometryError, match=r"d.fits': dataset 'test': background has shape \(3, 20, 22\), but counts has"):
        dataset.background  # noqa: B018


def test_bad_files_are_told_at_once_or_when_they_are_used(tmp_path):
    with pytest.raises(DataFileError, match="does not exist"):
        MapDataset.read(tmp_path / "gone.fits", lazy=True)
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "empty.fits")
    with pytest.raises(DataFileError, match="holds no part of a dataset"):
        MapDataset.read(tmp_path / "empty.fits", lazy=True)
    make_dataset(models=None).write(tmp_path / "d.fits")
    dataset = MapDataset.read(tmp_path / "d.fits", lazy=True)
    (tmp_path / "d.fits").unlink()
    with pytest.raises(DataFileError, match=r"d.fits' does not exist"):
        dataset.counts  # noqa: B018


def test_fields_are_fixed(tmp_path):
    make_dataset(models=None).write(tmp_path / "d.fits")
    with open_fits(tmp_path / "d.fits") as hdulist:
        present = [hdu.name for hdu in hdulist]
    fields = lazy.LazyFields(tmp_path / "d.fits", MAP_FIELDS, present, lambda name, value, held: value)
    assert list(fields) == [field.name for field in MAP_FIELDS]
    assert len(fields) == len(MAP_FIELDS)
    with pytest.raises(KeyError):
        fields["nothing"]
    with pytest.raises(TypeError, match="are fixed"):
        del fields["counts"]
