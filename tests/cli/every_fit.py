"""Fits of every kind, and what they compile beyond what ``gpudl4 warmup`` has: ``python -m tests.cli.every_fit``."""

import os
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import Table
from regions import CircleSkyRegion

from gpudl4.cli.small_fits import THREADS, functions, run_all
from gpudl4.datasets import Datasets, FluxPointsDataset, MapDataset, MapDatasetOnOff, SpectrumDatasetOnOff
from gpudl4.fit import Fit
from gpudl4.fluxes import FluxPoints
from gpudl4.irf import PSFMap
from gpudl4.maps import Map, MapAxis
from gpudl4.models import (
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)
from tests.factory import make_dataset
from tests.paths import ROOT

DATA = Path(os.environ.get("GPUDL4_TEST_DATA", ROOT.parent / "shared" / "data"))
REGION_RADIUS = 0.3 * u.deg


def source(spectrum=PowerLawSpectralModel, **arguments):
    return SkyModel(name="source", spectral_model=spectrum(**arguments))


def with_psf(interp):
    """A cube whose PSF has radii of another spacing."""
    dataset = make_dataset()
    rad = MapAxis.from_bounds(0.001, 0.5, nbin=30, unit="deg", name="rad", interp=interp)
    dataset.psf = PSFMap.from_gauss(dataset.exposure.geom.axes["energy_true"], rad_axis=rad, sigma=0.05 * u.deg)
    return dataset


def spectra():
    """Spectra with and without off counts."""
    cube = make_dataset()
    cube.mask_safe = cube.mask_fit = None
    spectrum = cube.to_spectrum_dataset(CircleSkyRegion(cube.counts.geom.center_skydir, REGION_RADIUS), name="spectrum")
    spectrum.models = [source()]
    on_off = SpectrumDatasetOnOff.from_map_dataset(spectrum, acceptance=1, acceptance_off=2, name="on-off")
    on_off.models = [source(ExpCutoffPowerLawSpectralModel)]
    return spectrum, on_off


def points():
    energy = np.geomspace(1, 10, 4) * u.TeV
    dnde = PowerLawSpectralModel()(energy)
    table = Table({"e_ref": energy, "dnde": dnde, "dnde_err": 0.1 * dnde}, meta={"SED_TYPE": "dnde"})
    dataset = FluxPointsDataset(data=FluxPoints.from_table(table), name="points")
    dataset.models = [source(LogParabolaSpectralModel)]
    return dataset


def made():
    """Datasets with models, each by the name of its kind."""
    yield "cube", make_dataset()
    yield "cube, reconstructed PSF", make_dataset(reco_psf=True)
    for interp in ("lin", "log", "sqrt"):
        yield f"cube, {interp} radii", with_psf(interp)
    cube = make_dataset()
    on_off = MapDatasetOnOff.from_map_dataset(cube, acceptance=1, acceptance_off=2, counts_off=cube.background, name="test")
    on_off.models = [model for model in cube.models if isinstance(model, SkyModel)]
    yield "cube with off counts", on_off
    fields = {name: getattr(cube, name) for name in ("name", "counts", "background", "exposure", "psf", "edisp", "models")}
    weights = Map.from_geom(cube.counts.geom, data=np.full(cube.counts.data.shape, 0.5))
    yield "weights", MapDataset(**fields, mask_fit=weights, stat_type="cash_weighted")
    spectrum, on_off = spectra()
    yield "spectrum", spectrum
    yield "spectrum with off counts", on_off
    yield "flux points", points()
    joint = Datasets([*spectra(), points()])
    joint.models = [source()]
    yield "joint", joint


def real():
    """Public data, where they are."""
    if not DATA.exists():
        return
    fermi = Datasets.read(DATA / "fermi-3fhl-crab" / "Fermi-LAT-3FHL_datasets.yaml")
    fermi.models = Models.read(DATA / "fermi-3fhl-crab" / "Fermi-LAT-3FHL_models.yaml")
    yield "Fermi", fermi
    hawc = MapDataset.read(DATA / "hawc-crab" / "nHit-9.fits.gz")
    crab = PointSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg", frame="icrs")
    spectrum = LogParabolaSpectralModel(amplitude="2.3e-13 cm-2 s-1 TeV-1", reference="7 TeV", alpha=2.8, beta=0.1)
    hawc.models = [SkyModel(name="crab", spatial_model=crab, spectral_model=spectrum)]
    yield "HAWC", hawc
    hess = SpectrumDatasetOnOff.read(DATA / "joint-crab" / "hess" / "pha_obs23523.fits")
    hess.models = [source()]
    yield "H.E.S.S.", hess
    fluxes = FluxPointsDataset.read(DATA / "flux-points" / "crab_hess_fp.fits")
    fluxes.models = [source()]
    yield "H.E.S.S. flux points", fluxes


def main():
    """Print ``KIND: FUNCTION FORMS`` for whatever a fit compiles anew, and the number of fits."""
    warnings.simplefilter("ignore")
    for cube in ("float32", "float64"):
        run_all(cube, "float64")
    known = {name: set(function.forms) for name, function in functions().items()}
    number = 0
    for kind, dataset in [*made(), *real()]:
        Fit().run(dataset)
        number += 1
        for name, function in functions().items():
            # what is compiled for one thread is compiled for threads in the end
            for forms in set(function.forms) - known[name] - known[name.removesuffix(THREADS)]:
                print(f"{kind}: {name} {forms}")
                known[name].add(forms)
    print(number)


if __name__ == "__main__":
    main()
