"""Fits of real DL4 data, written once for both packages: the cases that `benchmarks/run.py` times and `tests/peer` compares.

Every function takes the name of the package, "gammapy" or "gpudl4", and imports the same names from it. So the cases are also
examples of the promise that a script runs after that one word is replaced::

    case = CASES["cta-point"]
    datasets = case.read("gpudl4", folder)
    models = attach("gpudl4", datasets, case.models("gpudl4"))

The data are those of `GPUDL4_TEST_DATA` (see tests/paths.py): HAWC and Fermi-LAT public data as gammapy-data ships them, and
a stack of CTA 1DC simulations.
"""

import importlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np

__all__ = ["CASES", "PACKAGES", "Case", "attach", "data_folder", "library", "random_starts", "set_values"]

PACKAGES = ("gammapy", "gpudl4")
SUBPACKAGES = ("datasets", "maps", "irf", "modeling", "modeling.models")


def data_folder():
    """Folder of the real data: ``GPUDL4_TEST_DATA``, or ``shared/data`` beside the repository. It may not exist."""
    return Path(os.environ.get("GPUDL4_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def library(package):
    """Namespace with the public names of the package's subpackages ``datasets, maps, irf, modeling, modeling.models``."""
    names = {}
    for subpackage in SUBPACKAGES:
        module = importlib.import_module(f"{package}.{subpackage}")
        names |= {name: getattr(module, name) for name in module.__all__}
    return SimpleNamespace(**names)


@dataclass(frozen=True)
class Case:
    """One fit.

    Attributes
    ----------
    name : str
    files : tuple of str
        What has to exist in the data folder.
    reader : callable
        ``reader(lib, folder)`` gives a list of datasets without models.
    builder : callable
        ``builder(lib, folder)`` gives a list of new models at their start values.
    start : dict
        Start values that differ from the builder's, as ``{"model.parameter": value}`` in the parameter's own unit.
    n_free : int
        Number of free parameters.
    goal, minimum : float or None
        How many times faster than gammapy gpudl4 is to be, and has to be at least.
    """

    name: str
    files: tuple
    reader: object
    builder: object
    n_free: int
    start: dict = field(default_factory=dict)
    goal: float | None = None
    minimum: float | None = None

    def missing(self, folder):
        """Files that are not in the folder."""
        return [name for name in self.files if not (Path(folder) / name).exists()]

    def read(self, package, folder):
        """Datasets in memory, as the package's `Datasets`, without models."""
        lib = library(package)
        datasets = self.reader(lib, Path(folder))
        for dataset in datasets:  # gammapy reads lazily
            _ = dataset.counts, dataset.exposure, dataset.background, dataset.psf, dataset.edisp, dataset.mask
        return lib.Datasets(datasets)

    def models(self, package, folder=None):
        """New models at the start values, as the package's `Models`."""
        lib = library(package)
        models = lib.Models(self.builder(lib, Path(folder or data_folder())))
        return set_values(models, self.start)


def set_values(models, values):
    """Set parameters given as ``{"model.parameter": value}``; returns the models."""
    for name, value in values.items():
        model, parameter = name.rsplit(".", 1)
        models[model].parameters[parameter].value = value
    return models


def random_starts(number=20, seed=20260):
    """Start values around those of "cta-point": positions within 0.05 deg, amplitude within 30 %, index within 0.2.

    Returns
    -------
    list of dict
        For `set_values`. A shorter list is the beginning of a longer one.
    """
    rng = np.random.default_rng(seed)
    starts = []
    for _ in range(number):
        lon, lat, amplitude, index = rng.uniform(-1, 1, 4)
        starts.append(
            {
                "gc.lon_0": -0.05 + 0.05 * lon,
                "gc.lat_0": -0.05 + 0.05 * lat,
                "gc.amplitude": 2.8e-12 * (1 + 0.3 * amplitude),
                "gc.index": 2.3 + 0.2 * index,
            }
        )
    return starts


def attach(package, datasets, models):
    """Give models to datasets that may have had others before; returns the models.

    gammapy keeps the background of the last call in the dataset and never drops it, so that state is removed by hand: the comparison is
    between fresh objects. Its datasets get their models one by one: ``datasets.models = models`` would make gammapy assemble a covariance
    matrix at every call of the statistic, which takes three quarters of the time of a fit with twenty sources.
    """
    if package == "gammapy":
        datasets._covariance = None
        for dataset in datasets:
            dataset._background_cached = dataset._background_parameters_cached = None
            dataset.models = models
    else:
        datasets.models = models
    return models


def _background(lib, dataset, norm=1.0):
    spectral = lib.PowerLawNormSpectralModel(norm=norm)
    return lib.FoVBackgroundModel(dataset_name=dataset, spectral_model=spectral)


# CTA: three runs of the first data challenge on the Galactic centre, 400 x 500 pixels, 10 reconstructed and 20 true energies

CTA_FILE = "cta-1dc-gc/cta-gc-stacked.fits.gz"


def _read_cta(lib, folder):
    return [lib.MapDataset.read(folder / CTA_FILE, name="cta")]


def _cta_point(lib, folder):
    spatial = lib.PointSpatialModel(lon_0="-0.05 deg", lat_0="-0.05 deg", frame="galactic")
    spectral = lib.ExpCutoffPowerLawSpectralModel(index=2.3, amplitude="2.8e-12 cm-2 s-1 TeV-1", reference="1 TeV", lambda_="0.02 TeV-1")
    return [lib.SkyModel(spectral_model=spectral, spatial_model=spatial, name="gc"), _background(lib, "cta", 1.3)]


def _cta_extended(lib, folder):
    spatial = lib.GaussianSpatialModel(lon_0="0.9 deg", lat_0="0.1 deg", sigma="0.1 deg", frame="galactic")
    spectral = lib.PowerLawSpectralModel(index=2, amplitude="1e-12 cm-2 s-1 TeV-1", reference="1 TeV")
    return [*_cta_point(lib, folder), lib.SkyModel(spectral_model=spectral, spatial_model=spatial, name="extended")]


# HAWC: the Crab in five bins of shower size, fitted together; the PSF is in reconstructed energy

HAWC_YAML = "hawc-crab/HAWC_pass4_public_Crab.yaml"
HAWC_NAMES = tuple(f"nHit-{i}" for i in range(5, 10))


def _read_hawc(lib, folder):
    return list(lib.Datasets.read(folder / HAWC_YAML))


def _hawc(lib, folder):
    spatial = lib.PointSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg", frame="icrs")
    spectral = lib.LogParabolaSpectralModel(alpha=2.8, beta=0.1, amplitude="2.3e-13 cm-2 s-1 TeV-1", reference="7 TeV")
    crab = lib.SkyModel(spectral_model=spectral, spatial_model=spatial, name="crab")
    return [crab, *(_background(lib, name) for name in HAWC_NAMES)]


# Fermi-LAT, 3FHL energies: the Galactic centre with three point sources, and the Crab with the models that come with it

FERMI_GC_FILE = "fermi-3fhl-gc/fermi-3fhl-gc.fits.gz"
FERMI_GC_SOURCES = {  # name: l, b in deg, amplitude at 50 GeV in cm-2 s-1 TeV-1, index; bright 3FHL sources
    "gc": (359.96, -0.04, 2.5e-9, 2.5),
    "j1809": (7.37, -1.96, 3e-10, 3.8),
    "w30": (8.39, -0.09, 1.8e-9, 2.4),
}
# l, b in deg, amplitude at 50 GeV in cm-2 s-1 TeV-1 to one digit: the three above and the highest smoothed excesses over the background
# map inside the mask (|l| < 9, |b| < 4 deg); the faintest are consistent with zero
FERMI_MANY = (
    (359.96, -0.04, 4e-9), (7.38, -2.02, 2e-9), (8.38, -0.08, 1e-9), (5.98, -0.43, 1e-9), (6.53, -0.33, 1e-9),
    (356.32, 1.03, 5e-10), (3.78, 0.12, 4e-10), (3.83, 1.73, 3e-10), (2.38, 2.43, 2e-10), (358.48, -0.68, 3e-10),
    (357.43, 1.93, 2e-10), (359.23, -0.83, 3e-10), (7.12, -2.53, 1e-10), (5.33, -0.98, 2e-10), (0.88, -0.23, 3e-10),
    (2.18, 1.68, 2e-10), (6.33, -2.53, 1e-10), (353.48, -0.73, 7e-11), (356.18, -0.83, 1e-10), (358.23, 2.43, 1e-10),
)  # fmt: skip
FERMI_CRAB_YAML = "fermi-3fhl-crab/Fermi-LAT-3FHL_datasets.yaml"
FERMI_CRAB_MODELS = "fermi-3fhl-crab/Fermi-LAT-3FHL_models.yaml"


def _read_fermi_gc(lib, folder):
    return [lib.MapDataset.read(folder / FERMI_GC_FILE, name="fermi-gc")]


def _fermi_gc(lib, folder):
    models = []
    for name, (lon, lat, amplitude, index) in FERMI_GC_SOURCES.items():
        spatial = lib.PointSpatialModel(lon_0=f"{lon} deg", lat_0=f"{lat} deg", frame="galactic")
        spatial.lon_0.error = spatial.lat_0.error = 0.01  # gammapy's first step; without it MIGRAD throws the sources off the map
        spectral = lib.PowerLawSpectralModel(index=index, amplitude=f"{amplitude} cm-2 s-1 TeV-1", reference="50 GeV")
        models.append(lib.SkyModel(spectral_model=spectral, spatial_model=spatial, name=name))
    return [*models, _background(lib, "fermi-gc")]


def _fermi_many(lib, folder):
    models = []
    for i, (lon, lat, amplitude) in enumerate(FERMI_MANY):
        spatial = lib.PointSpatialModel(lon_0=f"{lon} deg", lat_0=f"{lat} deg", frame="galactic")
        spectral = lib.PowerLawSpectralModel(index=2.5, amplitude=f"{amplitude} cm-2 s-1 TeV-1", reference="50 GeV")
        for parameter in (spatial.lon_0, spatial.lat_0, spectral.index):
            parameter.frozen = True
        models.append(lib.SkyModel(spectral_model=spectral, spatial_model=spatial, name=f"source-{i}"))
    return [*models, _background(lib, "fermi-gc")]


def _read_fermi_crab(lib, folder):
    return list(lib.Datasets.read(folder / FERMI_CRAB_YAML))


def _fermi_crab(lib, folder):
    return lib.Models.read(folder / FERMI_CRAB_MODELS)


CASES = {
    case.name: case
    for case in (
        Case("cta-point", (CTA_FILE,), _read_cta, _cta_point, 6, goal=100, minimum=50),
        Case("cta-point-off", (CTA_FILE,), _read_cta, _cta_point, 6, start={"gc.lon_0": -0.053, "gc.lat_0": -0.047}),
        Case("cta-extended", (CTA_FILE,), _read_cta, _cta_extended, 11, goal=100, minimum=30),
        Case("hawc", (HAWC_YAML, *(f"hawc-crab/{name}.fits.gz" for name in HAWC_NAMES)), _read_hawc, _hawc, 10, goal=100, minimum=60),
        Case("fermi-gc", (FERMI_GC_FILE,), _read_fermi_gc, _fermi_gc, 13),
        Case("fermi-many", (FERMI_GC_FILE,), _read_fermi_gc, _fermi_many, 21, goal=100, minimum=60),
        Case("fermi-crab", (FERMI_CRAB_YAML, FERMI_CRAB_MODELS), _read_fermi_crab, _fermi_crab, 4),
    )
}
