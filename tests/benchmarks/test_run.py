"""The runner on a tiny case, with gpudl4 alone and side by side with gammapy."""

import json

import pytest

from benchmarks import run
from benchmarks.cases import CASES, FERMI_MANY, Case, data_folder
from tests.factory import make_dataset

HEADER = "case free gammapy s gpudl4 s ratio goal least gammapy stat anew in gpudl4 gpudl4 stat as fitted refitted"


def read(lib, folder):
    """A simulated dataset of the library."""
    return [make_dataset(models=None, library=lib.MapDataset.__module__.split(".")[0])]


def build(lib, folder):
    """A point with free amplitude and index, and a background."""
    spatial = lib.PointSpatialModel(lon_0="0.07 deg", lat_0="0.02 deg", frame="galactic")
    spatial.lon_0.frozen = spatial.lat_0.frozen = True
    spectral = lib.PowerLawSpectralModel(index=2.2, amplitude="3e-12 cm-2 s-1 TeV-1", reference="2 TeV")
    background = lib.FoVBackgroundModel(dataset_name="test", spectral_model=lib.PowerLawNormSpectralModel(norm=1.1))
    return [lib.SkyModel(spectral_model=spectral, spatial_model=spatial, name="point"), background]


@pytest.fixture
def tiny(monkeypatch):
    """A case that takes no files."""
    case = Case("tiny", (), read, build, 3, goal=100, minimum=50)
    monkeypatch.setitem(CASES, "tiny", case)
    return case


def test_gpudl4_alone(tiny, tmp_path, capsys):
    path = tmp_path / "benchmark.json"
    options = ["--cases", "tiny", "--packages", "gpudl4", "--repeat", "2", "--cores", "0", "--output", str(path)]
    run.main(options)
    out, row = capsys.readouterr().out, json.loads(path.read_text(encoding="utf-8"))["fits"]["tiny"]
    assert row["gpudl4"]["success"]
    assert len(row["gpudl4"]["seconds"]) == 2
    header, line = next((a, b) for a, b in zip(out.splitlines(), out.splitlines()[1:], strict=False) if a.startswith("case"))
    assert header.split() == HEADER.split()
    assert line.split() == ["tiny", "3", "-", f"{row['gpudl4']['median']:.3f}", "-", "100", "50", "-", "-", "-",
                            f"{row['gpudl4']['stat']:.3f}", "-", "-"]  # fmt: skip


@pytest.mark.peer
@pytest.mark.slow
def test_side_by_side(tiny, tmp_path, capsys):
    pytest.importorskip("gammapy")
    path = tmp_path / "benchmark.json"
    run.main(["--cases", "tiny", "--repeat", "1", "--cores", "0", "--output", str(path)])
    row = json.loads(path.read_text(encoding="utf-8"))["fits"]["tiny"]
    ours, theirs = row["gpudl4"], row["gammapy"]
    assert sorted(ours["names"]) == sorted(theirs["names"])
    assert row["ratio"] == theirs["median"] / ours["median"]
    assert ours["stat"] <= theirs["stat in gpudl4"] + 0.001
    assert theirs["stat anew"] == pytest.approx(theirs["stat"], abs=1e-3)
    assert row["as fitted"] < 0.1
    assert row["refitted"] < 0.03
    assert "import gpudl4" in capsys.readouterr().out


def test_missing_data_are_named(tmp_path, capsys):
    output = tmp_path / "benchmark.json"
    record = run.main(["--cases", "hawc", "--packages", "gpudl4", "--cores", "0", "--data", str(tmp_path), "--output", str(output)])
    assert record["fits"] == {}
    assert "hawc: left out, not found: hawc-crab/" in capsys.readouterr().out


def test_largest_difference():
    assert run.largest([1.0, 5.0], [1.5, 4.0], [1.0, 4.0]) == 0.5


def test_a_fit_that_did_not_converge_is_marked(tiny):
    row = {"gammapy": {"success": False}, "gpudl4": {"success": True, "median": 1.0, "stat": 2.0}}
    assert run.line(tiny, row).endswith("  not converged: gammapy")


def test_fermi_sources_lie_inside_the_mask():
    case = CASES["fermi-many"]
    if case.missing(data_folder()):
        pytest.skip(f"real data not found: {', '.join(case.missing(data_folder()))} (set GPUDL4_TEST_DATA)")
    from astropy.coordinates import SkyCoord

    dataset = case.read("gpudl4", data_folder())[0]
    lon, lat, _ = zip(*FERMI_MANY, strict=True)
    where = SkyCoord(list(lon), list(lat), unit="deg", frame="galactic")
    x, y = dataset.mask.geom.to_image().coord_to_pix(where)
    assert dataset.mask.data.all(axis=0)[y.round().astype(int), x.round().astype(int)].all()
    assert len(FERMI_MANY) == 20
    assert len(case.models("gpudl4").parameters.free_parameters) == case.n_free
