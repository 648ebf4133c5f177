"""Fields and starting values for `benchmarks/robustness.py`: the fits that have to succeed from far away.

A `Trial` is a fit with known answers; ``trial.start(i)`` gives the i-th start, the same in every run, so that one that failed can be looked
at again. Models and datasets are made for gammapy and gpudl4 alike.
"""

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.cases import CASES, library, set_values

__all__ = ["AMPLITUDE", "DISTANCE", "EXTENSION", "INDEX", "TRIALS", "Trial", "new_models", "simulated"]

DISTANCE = 0.3  # degrees off in position
AMPLITUDE = 5.0  # factor up or down
EXTENSION = 3.0  # factor up or down
INDEX = 0.5  # up or down
SEED = 20261


@dataclass(frozen=True)
class Trial:
    """One field, its models, and where their parameters belong.

    Attributes
    ----------
    name : str
    reader : callable
        ``reader(package, folder)`` gives the package's datasets.
    builder : callable
        ``builder(package)`` gives new models at (or near) the right values.
    files : tuple of str
        What has to exist in the data folder.
    """

    name: str
    reader: object
    builder: object
    files: tuple = ()

    def missing(self, folder):
        """Files that are not in the folder."""
        return [name for name in self.files if not (Path(folder) / name).exists()]

    def start(self, i, centre, inside=False):
        """Start values number i.

        Parameters
        ----------
        i : int
        centre : dict
            ``{"model.parameter": value}`` of the free parameters where they belong.
        inside : bool
            Anywhere within the limits instead of on them.

        Returns
        -------
        dict
            For `set_values`. Norms of backgrounds stay.
        """
        rng = np.random.default_rng([SEED, i])
        start = dict(centre)
        for source in dict.fromkeys(name.rsplit(".", 1)[0] for name in centre if name.endswith(".lon_0")):
            angle, reach = 2 * np.pi * rng.random(), DISTANCE * (np.sqrt(rng.random()) if inside else 1.0)
            lat = start[f"{source}.lat_0"]
            start[f"{source}.lon_0"] += reach * np.cos(angle) / np.cos(np.deg2rad(lat))
            start[f"{source}.lat_0"] += reach * np.sin(angle)
        for name in centre:
            by = rng.uniform(-1, 1) if inside else rng.choice((-1.0, 1.0))
            kind = name.rsplit(".", 1)[1]
            if kind == "amplitude":
                start[name] *= AMPLITUDE**by
            elif kind == "sigma":
                start[name] *= EXTENSION**by
            elif kind in ("index", "alpha"):
                start[name] += INDEX * by
        return {name: float(value) for name, value in start.items()}


def _case(name):
    """Trial from a case on real data."""
    case = CASES[name]
    return Trial(name, lambda package, folder: case.read(package, folder), lambda package: case.models(package), case.files)


# Simulated fields: l, b in degrees, sigma in degrees (None for a point), amplitude at 1 TeV in cm-2 s-1 TeV-1, index
FIELDS = {
    "simulated-1": ((0.123, -0.071, None, 2e-12, 2.2),),
    "simulated-3": ((-0.613, 0.437, None, 2e-12, 2.1), (0.731, 0.283, None, 1e-12, 2.5), (0.087, -0.691, 0.15, 4e-12, 2.3)),
    "simulated-8": (
        (-1.213, 1.137, None, 2e-12, 2.1),
        (0.031, 1.283, None, 1e-12, 2.5),
        (1.287, 1.191, 0.15, 4e-12, 2.3),
        (-1.153, -0.061, 0.2, 5e-12, 2.2),
        (0.113, 0.069, None, 3e-12, 2.0),
        (1.191, -0.113, None, 1e-12, 2.4),
        (-0.613, -1.237, None, 1.5e-12, 2.6),
        (0.673, -1.213, 0.1, 3e-12, 2.1),
    ),
}


def _models(name, package):
    lib = library(package)
    models = []
    for i, (lon, lat, sigma, amplitude, index) in enumerate(FIELDS[name]):
        place = {"lon_0": f"{lon} deg", "lat_0": f"{lat} deg", "frame": "galactic"}
        spatial = lib.PointSpatialModel(**place) if sigma is None else lib.GaussianSpatialModel(sigma=f"{sigma} deg", **place)
        spectral = lib.PowerLawSpectralModel(index=index, amplitude=f"{amplitude} cm-2 s-1 TeV-1", reference="1 TeV")
        models.append(lib.SkyModel(spectral_model=spectral, spatial_model=spatial, name=f"source-{i}"))
    norm = lib.PowerLawNormSpectralModel()
    return lib.Models([*models, lib.FoVBackgroundModel(dataset_name="field", spectral_model=norm, name="field-bkg")])


@functools.cache
def _field(name, n_pixels):
    from benchmarks.fields import make_dataset

    dataset = make_dataset(n_pixels, models=_models(name, "gpudl4"), seed=SEED)
    dataset.models = None
    return dataset


def _read_field(name, n_pixels, package, folder):
    """The simulated dataset; gammapy reads it from a file that gpudl4 writes."""
    lib, dataset = library(package), _field(name, n_pixels)
    if package == "gpudl4":
        return lib.Datasets([dataset.copy(name="field")])
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "field.fits"
        dataset.write(path)
        other = lib.MapDataset.read(path, name="field")
        for field in ("counts", "exposure", "background", "psf", "edisp", "mask_safe"):
            getattr(other, field)  # gammapy reads lazily
    return lib.Datasets([other])


def simulated(name, n_pixels=250):
    """Trial on one of `FIELDS`, drawn on a map of `n_pixels` x `n_pixels`."""
    return Trial(name, functools.partial(_read_field, name, n_pixels), functools.partial(_models, name))


def new_models(trial, package, values):
    """New models of a trial at given values."""
    return set_values(trial.builder(package), values)


TRIALS = {trial.name: trial for trial in (_case("cta-point"), _case("cta-extended"), *map(simulated, FIELDS))}
