"""Names of datasets in any letters: FITS headers hold ASCII only, and the names come back all the same."""

import pytest

from gpudl4.core.errors import DatasetError
from gpudl4.datasets import Datasets
from gpudl4.io.header_text import from_header, to_header
from tests.datasets.makers import KINDS, make_kind

NAME = "Größe-星 μ"


@pytest.mark.parametrize("kind", KINDS)
def test_files_keep_any_name(tmp_path, kind):
    dataset = make_kind(kind, name=NAME)
    dataset.write(tmp_path / "one.fits")
    assert type(dataset).read(tmp_path / "one.fits").name == NAME
    Datasets([dataset]).write(tmp_path / "all.yaml")
    assert Datasets.read(tmp_path / "all.yaml").names == [NAME]
    if kind == "SpectrumDatasetOnOff":
        dataset.write(tmp_path / "pha.fits", format="ogip")
        assert type(dataset).read(tmp_path / "pha.fits").name == NAME


def test_texts_of_tables_that_cannot_be_written_are_named(tmp_path):
    dataset = make_kind("MapDataset")
    dataset.meta_table["OBJECT"] = ["Größe"]
    with pytest.raises(DatasetError, match="meta_table holds the text 'Größe', but FITS tables hold ASCII only"):
        dataset.write(tmp_path / "one.fits")


@pytest.mark.parametrize("text", ["plain", NAME, "back\\slash", "a\\nb", "\U0001f52d"])
def test_header_texts(text):
    assert to_header(text).isascii()
    assert from_header(to_header(text)) == text
