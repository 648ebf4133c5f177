"""Every kind of file that the library reads: `gpudl4 info` tells what is in it, and `gpudl4 fit` takes it if it is a dataset."""

import json

import astropy.units as u
import numpy as np
import pytest
from regions import CircleSkyRegion

from gpudl4.cli.reading import kind_of
from gpudl4.core.errors import DataFileError
from gpudl4.datasets import FluxPointsDataset, MapDatasetOnOff, SpectrumDatasetOnOff
from gpudl4.fluxes import FluxPoints
from gpudl4.models import Models, PowerLawSpectralModel, SkyModel
from tests.factory import make_dataset


def flux_points():
    """Flux points of a power law, 3 % off."""
    from astropy.table import Table

    energy = np.geomspace(1, 10, 4) * u.TeV
    dnde = PowerLawSpectralModel(index=2, amplitude="1e-12 cm-2 s-1 TeV-1")(energy)
    table = Table({"e_ref": energy, "dnde": 1.03 * dnde, "dnde_err": 0.1 * dnde}, meta={"SED_TYPE": "dnde"})
    return FluxPoints.from_table(table)


NO_REFERENCE = "gpudl4: warning: no reference_model given: fluxes are converted with a power law of index 2"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folder with a file of every kind."""
    folder = tmp_path_factory.mktemp("files")
    cube = make_dataset()
    cube.mask_safe = cube.mask_fit = None
    cube.write(folder / "MapDataset.fits")
    on_off = MapDatasetOnOff.from_map_dataset(cube, acceptance=1, acceptance_off=2, counts_off=cube.background, name="onoff")
    on_off.write(folder / "MapDatasetOnOff.fits")
    spectrum = cube.to_spectrum_dataset(CircleSkyRegion(cube.counts.geom.center_skydir, 0.5 * u.deg), name="spectrum")
    spectrum.write(folder / "SpectrumDataset.fits.gz")
    off = SpectrumDatasetOnOff.from_map_dataset(spectrum, acceptance=1, acceptance_off=2, name="spectrum-onoff")
    off.write(folder / "SpectrumDatasetOnOff.fits")
    off.exposure.meta["livetime"] = 1 * u.h
    off.write(folder / "pha.fits", format="ogip")
    points = FluxPointsDataset(data=flux_points(), name="points")
    for suffix in ("fits", "ecsv"):
        points.write(folder / f"FluxPointsDataset.{suffix}")
    points.data.write(folder / "points.fits")
    cube.psf.write(folder / "PSF.fits")
    cube.edisp.write(folder / "EDISP.fits")
    cube.gti.write(folder / "GTI.fits")
    cube.counts.write(folder / "Map.fits")
    cube.counts.write(folder / "sparse.fits", sparse=True)
    spectrum.counts.write(folder / "region.fits")
    Models([SkyModel(name="source", spectral_model=PowerLawSpectralModel())]).write(folder / "source.yaml")
    return folder


@pytest.mark.parametrize(
    ("name", "kind", "heading", "line"),
    [
        ("MapDataset.fits", "MapDataset", "MapDataset test", "24 x 20 pixels of 0.1 deg"),
        ("MapDatasetOnOff.fits", "MapDatasetOnOff", "MapDatasetOnOff onoff", "acceptance_off  2 to 2, sum 2880"),
        ("SpectrumDataset.fits.gz", "SpectrumDataset", "SpectrumDataset", "CircleSkyRegion, galactic, centre 0.4000 -0.2000 deg"),
        ("SpectrumDatasetOnOff.fits", "SpectrumDatasetOnOff", "SpectrumDatasetOnOff", "acceptance_off  2 to 2, sum 6"),
        ("pha.fits", "SpectrumDatasetOnOff", "SpectrumDatasetOnOff spectrum-onoff", "edisp           EDispKernelMap"),
        ("pha_arf.fits", "ARF", "RegionNDMap", "energy_true  5 bins, 0.5 to 20 TeV"),
        ("pha_rmf.fits", "RMF", "EDispKernel", "energy       3 bins, 1 to 10 TeV"),
        ("FluxPointsDataset.fits", "FluxPointsDataset", "FluxPointsDataset FluxPointsDataset", "4 of 4 can be fitted, statistic chi2"),
        ("FluxPointsDataset.ecsv", "FluxPointsDataset", "FluxPointsDataset FluxPointsDataset", "e_ref"),
        ("points.fits", "FluxPointsDataset", "FluxPointsDataset points", "4 of 4 can be fitted"),
        ("PSF.fits", "PSF", "PSFMap", "rad"),
        ("EDISP.fits", "EDISP", "EDispKernelMap", "energy_true  5 bins"),
        ("GTI.fits", "GTI", "GTI", "1.000 h in 2 intervals"),
        ("Map.fits", "Map", "WcsNDMap", "3 bins, 1 to 10 TeV"),
        ("sparse.fits", "Map", "WcsNDMap", "3 bins, 1 to 10 TeV"),
        ("region.fits", "Map", "RegionNDMap", "CircleSkyRegion"),
        ("source.yaml", "models", "1 models, 2 free parameters", "amplitude"),
    ],
)
def test_info(command, files, name, kind, heading, line):
    assert kind_of(files / name) == kind
    code, out, err = command("info", files / name)
    assert (code, err) == (0, [NO_REFERENCE] * ("oints" in name))
    assert out.startswith(heading)
    assert line in out


def test_garbage_is_no_kind(tmp_path):
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(DataFileError, match="is not a FITS file"):
        kind_of(tmp_path / "a.txt")
    with pytest.raises(DataFileError, match="does not exist"):
        kind_of(tmp_path / "b.yaml")


@pytest.mark.parametrize("name", ["SpectrumDataset.fits.gz", "pha.fits", "FluxPointsDataset.ecsv", "points.fits"])
def test_fit_of_one_dataset(command, files, tmp_path, name):
    pytest.importorskip("matplotlib")
    code, out, err = command("fit", files / name, files / "source.yaml", "-o", tmp_path / "out")
    assert (code, err) == (0, [NO_REFERENCE] * ("oints" in name))
    assert "Read 1 dataset" in out
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    pictures = {"source_spectra.png", "flux_points.png" if "oints" in name else "spectrum.png"}
    assert {file for file in record["files"] if file.endswith(".png")} == pictures
    inputs = {row["path"].rpartition("/")[2] for row in record["inputs"]}
    assert inputs >= {name, "source.yaml"}
    assert ({"pha_arf.fits", "pha_rmf.fits", "pha_bkg.fits"} <= inputs) == (name == "pha.fits")
    if "oints" in name:
        (amplitude,) = [row["value"] for row in record["parameters"] if row["name"] == "source.amplitude"]
        assert amplitude == pytest.approx(1.03e-12, rel=1e-5)


def test_fit_of_one_cube_takes_its_name_from_the_file(command, field, tmp_path):
    code, out, err = command("fit", field / "test.fits", field / "models.yaml", "-o", tmp_path / "out", "--no-plots")
    assert (code, err) == (0, [])
    assert f"Read 1 dataset from {field / 'test.fits'}: test" in out
    assert "test-bkg.norm" in out


def test_fit_of_what_is_no_dataset(command, files, tmp_path):
    for name, text in (
        ("Map.fits", "holds no dataset (but Map)"),
        ("PSF.fits", "holds no dataset (but PSF)"),
        ("source.yaml", "models file"),
    ):
        code, _, err = command("fit", files / name, files / "source.yaml", "-o", tmp_path / "out")
        assert (code, len(err)) == (2, 1)
        assert text in err[0]
    assert list(tmp_path.iterdir()) == []
