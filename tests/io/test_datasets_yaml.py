import pytest
import yaml

from gpudl4.core.errors import DataFileError, OutputError
from gpudl4.io.datasets_yaml import read_entries, write_entries
from tests.paths import shared_data

TYPES = ("MapDataset",)


def entry(**changes):
    row = {"name": "crab", "type": "MapDataset", "filename": "crab.fits"}
    row.update(changes)
    return {key: value for key, value in row.items() if value is not None}


@pytest.fixture
def write(tmp_path):
    (tmp_path / "crab.fits").touch()

    def write(content):
        path = tmp_path / "a_datasets.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return write


def test_entries_are_found_beside_the_yaml_file(write, tmp_path):
    path = write({"datasets": [entry(), entry(name="other")]})
    assert read_entries(path, TYPES) == [
        {"name": "crab", "type": "MapDataset", "filename": tmp_path / "crab.fits"},
        {"name": "other", "type": "MapDataset", "filename": tmp_path / "crab.fits"},
    ]


def test_entries_are_found_in_the_working_folder(write, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "far.fits").touch()
    path = write({"datasets": [entry(filename="far.fits")]})
    monkeypatch.chdir(tmp_path / "data")
    assert read_entries(path, TYPES)[0]["filename"].resolve() == tmp_path / "data" / "far.fits"


def test_environment_variable_in_a_file_name(write, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_SKY", str(tmp_path))
    path = write({"datasets": [entry(filename="$SOME_SKY/crab.fits")]})
    assert read_entries(path, TYPES)[0]["filename"] == tmp_path / "crab.fits"
    monkeypatch.delenv("SOME_SKY")
    with pytest.raises(DataFileError, match=r"dataset 1 \('crab'\): .* environment variable SOME_SKY, which is not set"):
        read_entries(path, TYPES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"datasets": [entry(filename=None)]}, r"dataset 1 \('crab'\): no filename is given"),
        ({"datasets": [entry(), entry(name=None)]}, "dataset 2: no name is given"),
        ({"datasets": [entry(type=None)]}, "no type is given"),
        ({"datasets": [entry(name=23523)]}, "name must be a string, got 23523; put it in quotes"),
        ({"datasets": [entry(type="MapDatasets")]}, r"type 'MapDatasets' of 'crab\.fits' is unknown; types that can be read: MapDataset"),
        (
            {"datasets": [entry(type="SpectrumDatasetOnOff", filename="pha_obs1.fits")]},
            r"type 'SpectrumDatasetOnOff' of 'pha_obs1\.fits' cannot be read by this version",
        ),
        ({"datasets": [entry(type="FluxPointsDataset")]}, "type 'FluxPointsDataset' .* cannot be read by this version"),
        ({"datasets": [entry(type="MapDatasetOnOff")]}, "type 'MapDatasetOnOff' .* cannot be read by this version"),
        ({"datasets": [entry(type="SpectrumDataset")]}, "type 'SpectrumDataset' .* cannot be read by this version"),
        ({"datasets": [entry(filename="gone.fits")]}, r"file 'gone\.fits' was not found in '.*' nor in the working folder"),
        ({"datasets": [entry(filename="/gone/a.fits")]}, r"file '/gone/a\.fits' was not found"),
        ({"datasets": [entry(), entry()]}, "the name 'crab' appears twice"),
        ({"datasets": []}, "'datasets' must be a list of at least one entry"),
        ({"datasets": {"name": "crab"}}, "'datasets' must be a list"),
        ({"datasets": ["crab.fits"]}, r"dataset 1: a mapping with name, type, filename was wanted, got 'crab\.fits'"),
        ({"components": []}, "has no key 'datasets'; it has 'components', so it is a models file"),
        ({"sources": []}, "has no key 'datasets', so it is no list of datasets"),
        ("", "is empty; a YAML mapping was wanted"),
        ("datasets: [", "does not parse as YAML"),
    ],
)
def test_bad_files(write, content, message):
    with pytest.raises(DataFileError, match=message):
        read_entries(write(content), TYPES)


def test_unknown_keys_warn(write):
    path = write({"datasets": [entry(likelihood="cash")]})
    with pytest.warns(UserWarning, match=r"dataset 1 \('crab'\): keys without a meaning here are ignored: likelihood"):
        read_entries(path, TYPES)


def test_round_trip_with_checksum(tmp_path):
    (tmp_path / "crab.fits").touch()
    path = tmp_path / "a_datasets.yaml"
    write_entries([entry(filename=str(tmp_path / "crab.fits"))], path)
    assert yaml.safe_load(path.read_text())["datasets"] == [entry()]
    assert read_entries(path, TYPES)[0]["filename"] == tmp_path / "crab.fits"
    path.write_text(path.read_text().replace("name: crab\n", "name: grab\n"))
    with pytest.warns(UserWarning, match="Checksum verification failed"):
        read_entries(path, TYPES)


def test_existing_file_is_kept(tmp_path):
    path = tmp_path / "a_datasets.yaml"
    path.write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        write_entries([entry()], path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("hawc-crab/HAWC_pass4_public_Crab.yaml", ["nHit-5", "nHit-6", "nHit-7", "nHit-8", "nHit-9"]),
        ("fermi-3fhl-crab/Fermi-LAT-3FHL_datasets.yaml", ["Fermi-LAT"]),
    ],
)
def test_real_files(file, names):
    assert [row["name"] for row in read_entries(shared_data(file), TYPES)] == names


@pytest.mark.parametrize("filename", ["gone.fits", "$NOT_SET_HERE/a.fits"])
def test_missing_files_are_caught_as_in_python(write, filename, monkeypatch):
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    path = write({"datasets": [entry(filename=filename)]})
    with pytest.raises(FileNotFoundError, match=r"dataset 1 \('crab'\)"):
        read_entries(path, TYPES)
