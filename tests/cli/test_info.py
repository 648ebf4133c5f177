"""``gpudl4 info`` on every kind of file."""

import numpy as np

from gpudl4.maps import Map
from tests.factory import make_geom


def test_dataset(command, field):
    code, out, err = command("info", field / "test.fits")
    assert (code, err) == (0, [])
    assert out.startswith("MapDataset test\n---")
    assert "24 x 20 pixels of 0.1 deg, CAR, galactic, centre 0.4000 -0.2000 deg" in out
    assert "3 bins, 1 to 10 TeV" in out
    assert "5 bins, 0.5 to 20 TeV" in out
    for text in ("PSFMap", "EDispKernelMap", "1.000 h in 2 intervals", "mask_safe", "of 1440 bins"):
        assert text in out


def test_datasets_list(command, field):
    code, out, err = command("info", field / "datasets.yaml")
    assert (code, err) == (0, [])
    assert "1 dataset\n" in out
    assert "MapDataset test" in out


def test_models(command, field):
    code, out, err = command("info", field / "models.yaml")
    assert (code, err) == (0, [])
    assert out.startswith("3 models, 10 free parameters")
    rows = [line.split() for line in out.splitlines()]
    assert ["point", "SkyModel", "index", "2.2"] in [row[:4] for row in rows]
    assert any(row[:3] == ["gauss", "SkyModel", "lambda_"] and row[-1] == "frozen" for row in rows)


def test_plain_map(command, tmp_path):
    Map.from_geom(make_geom(), data=np.full((3, 20, 24), 2.5, dtype="float32"), unit="m2 s").write(tmp_path / "map.fits")
    code, out, err = command("info", tmp_path / "map.fits")
    assert (code, err) == (0, [])
    assert "WcsNDMap" in out
    assert "2.5 to 2.5 m2 s, sum 3600" in out


def test_other_yaml_and_garbage(command, tmp_path):
    (tmp_path / "a.yaml").write_text("colour: red\n")
    code, out, err = command("info", tmp_path / "a.yaml")
    assert (code, out, len(err)) == (2, "", 1)
    assert "neither a list of datasets (key 'datasets') nor of models (key 'components')" in err[0]
    (tmp_path / "a.fits").write_text("no FITS")
    code, out, err = command("info", tmp_path / "a.fits")
    assert (code, out, len(err)) == (2, "", 1)
    assert "a.fits" in err[0]
