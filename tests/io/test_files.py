import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits

from gpudl4.core.errors import DataFileError, MissingFileError, OutputError
from gpudl4.io import files


@pytest.fixture
def cube():
    data = np.arange(24, dtype="float32").reshape(2, 3, 4)
    return fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, name="COUNTS")])


@pytest.fixture
def cube_bytes(cube, tmp_path):
    cube.writeto(tmp_path / "plain.fits")
    return (tmp_path / "plain.fits").read_bytes()


# paths


def test_environment_variables_are_expanded(monkeypatch):
    monkeypatch.setenv("SOME_DATA", "/data/sky")
    assert files.expand_path("$SOME_DATA/a.fits") == Path("/data/sky/a.fits")
    assert files.expand_path(Path("${SOME_DATA}/a.fits")) == Path("/data/sky/a.fits")
    assert files.expand_path("~/a.fits") == Path.home() / "a.fits"


@pytest.mark.parametrize("name", ["$NOT_SET_HERE/a.fits", "x/${NOT_SET_HERE}.fits"])
def test_unset_variable_is_named(name, monkeypatch):
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    with pytest.raises(FileNotFoundError, match="environment variable NOT_SET_HERE, which is not set"):
        files.expand_path(name)


@pytest.mark.parametrize("name", [None, ""])
def test_no_file_name(name):
    with pytest.raises(DataFileError, match="no file name was given"):
        files.expand_path(name)


def test_digest_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"gamma")
    assert files.file_digest(tmp_path / "a") == hashlib.sha256(b"gamma").hexdigest()
    with pytest.raises(DataFileError, match="does not exist"):
        files.file_digest(tmp_path / "b")


# FITS in


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
def test_fits_round_trip(cube, tmp_path, name):
    files.write_fits(cube, tmp_path / "new" / name)
    with files.open_fits(tmp_path / "new" / name) as hdulist:
        data = hdulist["COUNTS"].data
    np.testing.assert_array_equal(data, cube["COUNTS"].data)
    assert os.listdir(tmp_path / "new") == [name]


def test_gzip_is_recognised_by_content_not_name(cube_bytes, tmp_path):
    (tmp_path / "a.fits").write_bytes(gzip.compress(cube_bytes))
    with files.open_fits(tmp_path / "a.fits") as hdulist:
        assert hdulist["COUNTS"].data.sum() == 276


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"file '.*nothing\.fits' does not exist"):
        files.open_fits(tmp_path / "nothing.fits")


def test_folder_instead_of_file(tmp_path):
    with pytest.raises(DataFileError, match="is a folder; a FITS file was wanted"):
        files.open_fits(tmp_path)


def test_empty_file(tmp_path):
    (tmp_path / "a.fits").touch()
    with pytest.raises(DataFileError, match=r"is empty \(0 bytes\); a FITS file was wanted"):
        files.open_fits(tmp_path / "a.fits")


@pytest.mark.parametrize("content", [b"datasets:\n- name: a\n", gzip.compress(b"not fits at all", mtime=0)])
def test_file_that_is_not_fits(tmp_path, content):
    (tmp_path / "a.fits").write_bytes(content)
    with pytest.raises(DataFileError, match=r"is not a FITS file, it looks like text: it does not start with 'SIMPLE  ='"):
        files.open_fits(tmp_path / "a.fits")


@pytest.mark.parametrize("keep", [5900, 5000, 3500, 2000, 20])
def test_truncated_fits(cube_bytes, tmp_path, keep):
    (tmp_path / "a.fits").write_bytes(cube_bytes[: min(keep, 5760 + 24 * 4 - 1)])
    with pytest.raises(DataFileError, match="truncated"):
        files.open_fits(tmp_path / "a.fits")


def test_truncated_gzip(cube_bytes, tmp_path):
    packed = gzip.compress(cube_bytes)
    (tmp_path / "a.fits.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataFileError, match="truncated or damaged: its gzip data"):
        files.open_fits(tmp_path / "a.fits.gz")


def test_missing_padding_at_the_end_is_harmless(cube_bytes, tmp_path):
    (tmp_path / "a.fits").write_bytes(cube_bytes[: 5760 + 24 * 4])
    with files.open_fits(tmp_path / "a.fits") as hdulist:
        assert hdulist["COUNTS"].data.sum() == 276


def test_checksum_mismatch_warns_with_the_file(cube, tmp_path):
    files.write_fits(cube, tmp_path / "a.fits", checksum=True)
    raw = bytearray((tmp_path / "a.fits").read_bytes())
    raw[5760 + 8] ^= 1
    (tmp_path / "a.fits").write_bytes(raw)
    with (
        pytest.warns(UserWarning, match=r"a\.fits: (Checksum|Datasum) verification failed"),
        files.open_fits(tmp_path / "a.fits", checksum=True),
    ):
        pass


# outputs


def test_existing_output_is_kept(cube, tmp_path):
    (tmp_path / "a.fits").write_text("precious")
    with pytest.raises(OutputError, match="exists already: pass overwrite=True"):
        files.write_fits(cube, tmp_path / "a.fits")
    assert (tmp_path / "a.fits").read_text() == "precious"
    files.write_fits(cube, tmp_path / "a.fits", overwrite=True)
    with files.open_fits(tmp_path / "a.fits") as hdulist:
        assert len(hdulist) == 2


def test_nothing_half_written_is_left(tmp_path):
    (tmp_path / "old.txt").write_text("old")

    def fails():
        with files.atomic_open(tmp_path / "old.txt", overwrite=True) as file:
            file.write("new, but then")
            raise RuntimeError("the disk of dreams is full")

    with pytest.raises(RuntimeError, match="full"):
        fails()
    assert os.listdir(tmp_path) == ["old.txt"]
    assert (tmp_path / "old.txt").read_text() == "old"


def test_disk_error_while_writing_becomes_an_output_error(tmp_path):
    def fails():
        with files.atomic_open(tmp_path / "a.txt"):
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"cannot write '.*a\.txt': No space left on device"):
        fails()
    assert os.listdir(tmp_path) == []


def test_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OutputError, match=r"cannot write '.*a\.yaml': Permission denied"):
        files.write_yaml({}, tmp_path / "a.yaml")


def test_folder_name_taken_by_a_file(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="cannot write"):
        files.write_yaml({}, tmp_path / "out" / "a.yaml")


def test_output_is_a_folder(tmp_path):
    with pytest.raises(OutputError, match="is a folder; a file name was wanted"):
        files.check_output(tmp_path, overwrite=True)


def test_a_device_is_not_replaced(tmp_path):
    with pytest.raises(OutputError, match="is no regular file"):
        files.check_output("/dev/null", overwrite=True)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="is no regular file"):
        files.write_yaml({}, tmp_path / "pipe", overwrite=True)


def test_two_writers_of_one_file(tmp_path, monkeypatch):
    def write(text, meanwhile=lambda: None):
        with files.atomic_open(tmp_path / "a.txt") as file:
            file.write(text)
            meanwhile()

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    for links in (True, False):
        if not links:
            monkeypatch.setattr(os, "link", refuse)
        with pytest.raises(OutputError, match="exists already"):
            write("slow", lambda: write("fast"))
        assert (tmp_path / "a.txt").read_text() == "fast"
        assert os.listdir(tmp_path) == ["a.txt"]
        (tmp_path / "a.txt").unlink()


def test_links_are_followed(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to("deep/real")
    for text in ("one", "two"):
        with files.atomic_open(tmp_path / "link", overwrite=text == "two") as file:
            file.write(text)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "deep" / "real").read_text() == text
    with pytest.raises(OutputError, match="exists already"):
        files.check_output(tmp_path / "link")


def test_permissions_stay(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(0o640)
    with files.atomic_open(tmp_path / "a", overwrite=True):
        pass
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_names_as_long_as_the_system_allows(tmp_path):
    with files.atomic_open(tmp_path / ("a" * 255)) as file:
        file.write("x")
    with pytest.raises(OutputError, match="File name too long"):
        files.write_yaml({}, tmp_path / ("a" * 256))
    with pytest.raises(OutputError, match="null character"):
        files.write_yaml({}, tmp_path / "a\0b")
    assert os.listdir(tmp_path) == ["a" * 255]


def test_home_of_nobody():
    with pytest.raises(MissingFileError, match="begins with a home folder, and whose that is is not known here"):
        files.expand_path("~nobody-of-that-name/a.fits")


def test_mode_is_checked(tmp_path):
    with pytest.raises(ValueError, match="mode must be 'w' or 'wb', got 'a'"), files.atomic_open(tmp_path / "a", "a"):
        pass


# YAML


def test_yaml_round_trip(tmp_path):
    files.write_yaml({"datasets": [{"name": "Größe", "value": 1.5e-12}]}, tmp_path / "a.yaml")
    data = files.read_yaml(tmp_path / "a.yaml")
    assert data["datasets"] == [{"name": "Größe", "value": 1.5e-12}]
    assert data["metadata"]["creator"].startswith("gpudl4 ")
    assert "checksum" not in data


def test_changed_yaml_warns(tmp_path):
    files.write_yaml({"norm": 1}, tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text((tmp_path / "a.yaml").read_text().replace("norm: 1", "norm: 2"))
    with pytest.warns(UserWarning, match="Checksum verification failed"):
        assert files.read_yaml(tmp_path / "a.yaml")["norm"] == 2
    assert files.read_yaml(tmp_path / "a.yaml", checksum=False)["norm"] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; a YAML mapping was wanted"),
        (b"# only a remark\n", "is empty; a YAML mapping was wanted"),
        (b"a: [1, 2", "does not parse as YAML: .*line 1"),
        (b"a: \xff\xfe", "does not parse as YAML"),
        (b"a: !!python/object:os.system {}", "does not parse as YAML: could not determine a constructor"),
        (b"- 1\n- 2\n", "holds a list; a YAML mapping"),
        (b"SIMPLE  = T", "is a FITS file; a YAML file was wanted"),
        (gzip.compress(b"a: 1", mtime=0), "is a gzip file; a YAML file was wanted"),
    ],
)
def test_bad_yaml(tmp_path, content, message):
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(DataFileError, match=message):
        files.read_yaml(tmp_path / "a.yaml")


@pytest.mark.peer
def test_checksums_are_those_of_gammapy(tmp_path):
    peer = pytest.importorskip("gammapy.utils.scripts")
    data = {"datasets": [{"name": "a b", "value": 0.1, "note": "x" * 100, "none": None}]}
    files.write_yaml(data, tmp_path / "ours.yaml")
    assert peer.read_yaml(tmp_path / "ours.yaml", checksum=True)["datasets"] == data["datasets"]
    peer.write_yaml(peer.to_yaml(data), tmp_path / "theirs.yaml", checksum=True)
    assert files.read_yaml(tmp_path / "theirs.yaml")["datasets"] == data["datasets"]
    assert yaml.safe_load((tmp_path / "theirs.yaml").read_text())["checksum"]
