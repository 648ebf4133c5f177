"""What the comparisons with gammapy share: cases on real data, parameter points to evaluate them at, one way to evaluate both packages.

The fits themselves are defined in benchmarks/cases.py. gammapy's answer depends on what it evaluated before, so every evaluation
here starts from new models, and the background it keeps in the dataset is dropped.
"""

import contextlib
import functools
from dataclasses import dataclass, field

import numpy as np
import pytest

from benchmarks.cases import CASES, attach, library, set_values
from tests.paths import shared_data

__all__ = ["CASES", "POINTS", "Point", "cash_terms", "fresh", "gammapy_radii", "likelihood_of", "predictions", "read", "set_values"]


@functools.cache
def read(package, case_name):
    """Datasets of a case, read once per process; skips the test where the data are missing."""
    case = CASES[case_name]
    for name in case.files:
        shared_data(*name.split("/"))
    return case.read(package, shared_data())


@dataclass(frozen=True)
class Point:
    """A case at given parameters, possibly with more models (``extra(lib)`` gives a list of them) or without masks."""

    name: str
    case: str
    values: dict = field(default_factory=dict)
    extra: object = None
    whole_map: bool = False


def fresh(package, point):
    """(datasets, models) of a `Point` or case name with new models attached."""
    point = Point("start", point) if isinstance(point, str) else point
    datasets = read(package, point.case)
    lib = library(package)
    if point.whole_map:
        datasets = lib.Datasets([d.copy(name=d.name) for d in datasets])
        for dataset in datasets:
            dataset.mask_safe = None
    models = CASES[point.case].models(package, shared_data())
    if point.extra is not None:
        models = lib.Models([*models, *point.extra(lib)])
    set_values(models, point.values)
    attach(package, datasets, models)
    return datasets, models


def likelihood_of(point):
    """Compiled likelihood of gpudl4 for a `Point` or case name."""
    import gpudl4

    datasets, _ = fresh("gpudl4", point)
    return gpudl4.compile(datasets)


def predictions(datasets):
    """Predicted counts by dataset and part: ``{dataset: {part: array[K, ny, nx]}}`` with the models' names, "background" and "npred"."""
    out = {}
    for dataset in datasets:
        sources = [m.name for m in dataset.models if "fov-bkg" not in m.tag]
        parts = {name: dataset.npred_signal(model_names=[name]).data for name in sources}
        parts["background"] = dataset.npred_background().data
        parts["npred"] = dataset.npred().data
        out[dataset.name] = parts
    return out


def cash_terms(datasets):
    """Sum of the absolute values of the statistic's terms over all bins to fit: what a tolerance on the statistic refers to."""
    total = 0.0
    for dataset in datasets:
        mu = np.maximum(dataset.npred().data.astype(float), 1e-25)
        n = np.asarray(dataset.counts.data, dtype=float)
        terms = 2 * (mu + n * np.abs(np.log(mu)))
        total += terms.sum() if dataset.mask is None else terms[dataset.mask.data].sum()
    return total


@contextlib.contextmanager
def gammapy_radii():
    """Make gammapy take the radii of a PSF kernel at the kernel's own energies.

    `PSFMap.get_psf_kernel` of gammapy 2.1 computes the containment radii at the energies of the PSF map and pairs them with the
    energies of the kernel by index. That is right only where both axes are the same. With the Fermi-LAT files here they are not:
    a plane of the kernel is cut at the radius of another energy, or stays empty.
    """
    from gammapy.irf import PSFMap

    get_psf_kernel, containment_radius = PSFMap.get_psf_kernel, PSFMap.containment_radius
    kernel_energy = []

    def patched_kernel(self, geom, *args, **kwargs):
        kernel_energy.append(geom.axes[self.energy_name].center)
        try:
            return get_psf_kernel(self, geom, *args, **kwargs)
        finally:
            kernel_energy.pop()

    def patched_radius(self, fraction, energy_true=None, position=None, **kwargs):
        energy = kernel_energy[-1] if kernel_energy else energy_true
        return containment_radius(self, fraction, energy_true=energy, position=position, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PSFMap, "get_psf_kernel", patched_kernel)
        patch.setattr(PSFMap, "containment_radius", patched_radius)
        yield


def _gauss(name, lon, lat, sigma, e=0.0, phi=0.0, frame="galactic", amplitude="1e-11 cm-2 s-1 TeV-1"):
    """Builder of one Gaussian source; its ellipse is free if `e` is not 0."""

    def build(lib):
        spatial = lib.GaussianSpatialModel(lon_0=f"{lon} deg", lat_0=f"{lat} deg", sigma=f"{sigma} deg", e=e, phi=f"{phi} deg", frame=frame)
        spatial.e.frozen = spatial.phi.frozen = e == 0
        spectral = lib.PowerLawSpectralModel(index=2.2, amplitude=amplitude, reference="1 TeV")
        return [lib.SkyModel(spectral_model=spectral, spatial_model=spatial, name=name)]

    return build


def _point(name, lon, lat, frame="galactic", amplitude="1e-11 cm-2 s-1 TeV-1"):
    def build(lib):
        spatial = lib.PointSpatialModel(lon_0=f"{lon} deg", lat_0=f"{lat} deg", frame=frame)
        spectral = lib.LogParabolaSpectralModel(alpha=2.2, beta=0.05, amplitude=amplitude, reference="1 TeV")
        return [lib.SkyModel(spectral_model=spectral, spatial_model=spatial, name=name)]

    return build


def _both(*builders):
    return lambda lib: [model for build in builders for model in build(lib)]


POINTS = (
    Point("on the kink", "cta-point"),
    Point("off the kink", "cta-point-off"),
    Point("other spectrum", "cta-point", {"gc.index": 1.9, "gc.lambda_": 0.3, "gc.lon_0": -0.0321, "gc.lat_0": 0.0177}),
    Point("start", "cta-extended"),
    Point("wide", "cta-extended", {"extended.sigma": 0.5, "extended.lon_0": 0.907, "extended.lat_0": -0.096}),
    Point("oversampled twice", "cta-extended", {"extended.sigma": 0.037, "extended.lon_0": 0.913}),
    Point("oversampled four times", "cta-extended", {"extended.sigma": 0.0161, "extended.lat_0": 0.1234}),
    Point("ellipse", "cta-point-off", {}, _gauss("ellipse", 1.234, -0.321, 0.15, e=0.7, phi=35.0)),
    Point("oversampled ellipse", "cta-point-off", {}, _gauss("ellipse", -1.234, 0.321, 0.05, e=0.5, phi=-72.0)),
    Point(
        "icrs",
        "cta-point-off",
        {},
        _both(
            _gauss("gauss icrs", 266.9, -28.4, 0.12, e=0.4, phi=20.0, frame="icrs"),
            _point("point icrs", 266.1234, -29.4321, frame="icrs"),
        ),
    ),
    Point("start", "hawc"),
    Point("moved", "hawc", {"crab.lon_0": 83.587, "crab.lat_0": 22.041, "crab.alpha": 2.4, "crab.beta": 0.2}),
    Point("with a gaussian", "hawc", {}, _gauss("gauss", 84.3, 21.4, 0.12, e=0.6, phi=10.0, frame="icrs")),
    Point("start", "fermi-gc"),
    Point("moved", "fermi-gc", {"gc.lon_0": 359.983, "w30.lat_0": -0.1123, "j1809.index": 3.1, "fermi-gc-bkg.norm": 1.12}),
    Point("with a gaussian", "fermi-gc", {}, _gauss("gauss", 2.0, 1.0, 0.13, amplitude="1e-12 cm-2 s-1 TeV-1")),
    Point(
        "at the edge",
        "fermi-gc",
        {},
        _both(
            _point("corner", 9.9831, 4.9623, amplitude="1e-12 cm-2 s-1 TeV-1"),
            _point("on the last row", 0.3123, -4.9875, amplitude="1e-12 cm-2 s-1 TeV-1"),
            _point("just outside", 0.31, 5.0212, amplitude="1e-12 cm-2 s-1 TeV-1"),
            _gauss("half outside", -9.96, 0.2, 0.23, amplitude="1e-12 cm-2 s-1 TeV-1"),
            _gauss("centre outside", 1.3, -5.11, 0.2, amplitude="1e-12 cm-2 s-1 TeV-1"),
            _point("far outside", 30.0, 0.0),
        ),
        whole_map=True,
    ),
    Point("start", "fermi-crab"),
    Point("other spectrum", "fermi-crab", {"Crab Nebula.amplitude": 0.36, "Crab Nebula.alpha": 2.53, "Crab Nebula.beta": -0.02}),
)
