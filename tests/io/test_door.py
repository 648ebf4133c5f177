"""Whatever a user names as an input: pipes, devices, bombs, other people's files. One clear error, none of the content."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from gpudl4.core.errors import DataFileError, DatasetError, GPUDL4Error
from gpudl4.core.gti import GTI
from gpudl4.core.reading import brief, excerpt, reading
from gpudl4.datasets import Datasets, FluxPointsDataset, MapDataset, SpectrumDatasetOnOff
from gpudl4.estimators import FluxPoints
from gpudl4.io import fits_input
from gpudl4.io.covariance import read_covariance
from gpudl4.io.files import open_fits, read_yaml
from gpudl4.irf import EDispKernel, EDispMap, PSFMap
from gpudl4.maps import Map, Maps, RegionNDMap
from gpudl4.models import Models

READERS = [
    MapDataset.read,
    SpectrumDatasetOnOff.read,
    FluxPointsDataset.read,
    FluxPoints.read,
    Datasets.read,
    Models.read,
    Map.read,
    Maps.read,
    RegionNDMap.read,
    PSFMap.read,
    EDispMap.read,
    EDispKernel.read,
    GTI.read,
    lambda path: read_covariance(path, ["a"]),
]
SECRET = "root:x:0:0:secret:/root:/bin/bash\nuser:y:7:7:hidden:/home:/bin/sh\n"


@pytest.mark.parametrize("read", READERS)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.fits")
    with pytest.raises(DataFileError, match=r"pipe\.fits' is a pipe or a device"):
        read(tmp_path / "pipe.fits")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["/dev/zero", "/dev/full"])
def test_a_device_is_refused(read, name):
    if not Path(name).exists():
        pytest.skip(f"no {name} here")
    with pytest.raises(DataFileError, match=f"'{name}' is a pipe or a device"):
        read(name)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_names_that_no_file_can_have(read, name):
    with pytest.raises(GPUDL4Error, match=r"cannot be read|does not exist"):
        read(name)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("content", [SECRET, f"- {SECRET}", SECRET.replace(":", ": "), f"%ECSV 1.0\n{SECRET}", "secret: root\nhidden: x"])
def test_nothing_of_a_foreign_file_is_shown(tmp_path, read, content):
    (tmp_path / "passwords").write_text(content)
    with pytest.raises(GPUDL4Error, match="passwords") as caught:
        read(tmp_path / "passwords")
    message = str(caught.value).replace(str(tmp_path), "")
    assert not [word for word in ("root", "secret", "hidden", "bash") if word in message]


def test_files_that_a_yaml_file_names_are_not_shown(tmp_path):
    (tmp_path / "passwords").write_text(SECRET)
    (tmp_path / "d.yaml").write_text("datasets: [{name: a, type: MapDataset, filename: ../x/../passwords}]".replace("../x/../", ""))
    with pytest.raises(DataFileError, match="passwords' is not a FITS file, it looks like text") as caught:
        Datasets.read(tmp_path / "d.yaml")
    assert "secret" not in str(caught.value)


def test_gzip_of_something_else_is_not_decompressed_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(fits_input, "FIRST", 10_000)
    (tmp_path / "bomb.fits.gz").write_bytes(gzip.compress(bytes(50_000_000)))
    taken = []
    original = fits_input.check_magic
    monkeypatch.setattr(fits_input, "check_magic", lambda stream, where: taken.append(stream.seek(0, 2)) or original(stream, where))
    with pytest.raises(DataFileError, match=r"bomb\.fits\.gz' is not a FITS file"):
        open_fits(tmp_path / "bomb.fits.gz")
    assert taken == [10_000]


def test_gzip_of_a_small_file_and_endless_zeros(tmp_path, monkeypatch):
    monkeypatch.setattr(fits_input, "FIRST", 10_000)
    monkeypatch.setattr(fits_input, "MOST", 1_000_000)
    header = fits.PrimaryHDU().header.tostring().encode()
    (tmp_path / "bomb.fits.gz").write_bytes(gzip.compress(header + bytes(50_000_000)))
    with pytest.raises(DataFileError, match=r"becomes more than [0-9,]* bytes when it is decompressed.*gunzip"):
        open_fits(tmp_path / "bomb.fits.gz")


def test_large_gzip_files_are_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(fits_input, "FIRST", 10_000)
    data = np.random.default_rng(1).normal(size=(50, 60, 70))
    hdus = fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(plane, name=f"P{number}") for number, plane in enumerate(data))])
    hdus.writeto(tmp_path / "a.fits")
    content = (tmp_path / "a.fits").read_bytes()
    (tmp_path / "one.fits.gz").write_bytes(gzip.compress(content, 1))
    pieces = [content[start : start + 100_000] for start in range(0, len(content), 100_000)]
    (tmp_path / "members.fits.gz").write_bytes(b"".join(gzip.compress(piece, 1) for piece in pieces) + bytes(7))
    for name in ("one.fits.gz", "members.fits.gz"):
        with open_fits(tmp_path / name) as hdulist:
            np.testing.assert_array_equal([hdu.data for hdu in hdulist[1:]], data)


def test_yaml_of_any_size(tmp_path):
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(10**10)  # no block of the disk is used
    with pytest.raises(DataFileError, match=r"a\.yaml' has more than 16,777,216 bytes"):
        read_yaml(tmp_path / "a.yaml")


# the context


@pytest.mark.parametrize(
    "error", [KeyError("NAXIS1"), TypeError("list"), AssertionError(), RecursionError("deep"), fits.VerifyError("card\nx")]
)
def test_foreign_errors_get_the_name(error):
    with (
        pytest.raises(DataFileError, match=f"^'a.fits' cannot be read, it may be damaged .{type(error).__name__}") as caught,
        reading("'a.fits'"),
    ):
        raise error
    assert caught.value.__cause__ is error
    assert "\n" not in str(caught.value)


def test_own_errors_keep_their_class_and_get_the_name_once():
    with pytest.raises(DatasetError, match=r"^'a\.fits': HDU PSF: bad$"), reading("'a.fits'"), reading("HDU PSF"):
        raise DatasetError("bad")
    with pytest.raises(DatasetError, match=r"^'a\.fits' is bad$"), reading("'a.fits'"):
        raise DatasetError("'a.fits' is bad")


@pytest.mark.parametrize("error", [MemoryError("much"), UserWarning("mind"), KeyboardInterrupt(), GPUDL4Error("device")])
def test_what_says_nothing_about_the_file_passes(error):
    with pytest.raises(type(error)) as caught, reading("'a.fits'"):
        raise error
    assert caught.value is error


def test_excerpts_are_short_and_printable():
    assert excerpt("Größe\n\x1b[0m") == r"'Größe\n\x1b[0m'"
    assert len(excerpt("x" * 10**6)) <= 60
    assert excerpt([1, 2]) == "a list of 2"
    assert excerpt(10**5000) == "a int"
    assert excerpt(1.5) == "1.5"
    assert brief(ValueError("a\x00b  c\nd")) == "ValueError: a?b c"
    assert len(brief(ValueError("x" * 10**6))) == 160


def test_messages_are_not_longer_than_anybody_reads():
    with pytest.raises(DatasetError) as caught, reading("'a.fits'"):
        raise DatasetError("x" * 10**6)
    assert len(str(caught.value)) == 1000
    assert str(caught.value).startswith("'a.fits': xxx")
