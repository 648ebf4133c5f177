"""Calls that between them use every compiled kernel, on a map of a few pixels: what ``gpudl4 warmup`` runs.

Numba compiles a function for the types it is called with. `run_all` evaluates small likelihoods with every kind of source, so that the
types are those of real fits; `compile_threaded` then compiles the variants with threads, which only large data would call.
``python -m gpudl4.cli.small_fits CUBE REAL`` does both for one pair of types and prints a line for every function.
"""

import sys
import warnings
from types import SimpleNamespace

import astropy.units as u
import numpy as np

from gpudl4 import kernels

from ..irf import RecoPSFMap
from ..likelihood import compile
from ..likelihood.flux_term import FluxData
from ..maps import MapAxis
from ..models import (
    FoVBackgroundModel,
    GaussianSpatialModel,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SpatialModel,
    SpectralModel,
)
from ..models.parameter import Parameter
from ..stats import Chi2, cstat_slope, cstat_sum
from .field import DATASET_NAME, simulate_field

__all__ = ["compile_threaded", "functions", "run_all"]

N_PIXELS = 12
N_PIXELS_LARGE = 160  # a Gaussian across a map of this size goes through the PSF in few planes
THREADS = ", threads"  # behind the name of a variant with threads


class _UsersShape(SpatialModel):
    """A shape that is not built in, to go the way of users' models."""

    tag = "warmup-shape"
    lon_0 = Parameter("lon_0", "0 deg")
    lat_0 = Parameter("lat_0", "0 deg")
    radius = Parameter("radius", "0.05 deg")

    @property
    def evaluation_radius(self):
        return 2 * self.radius.quantity

    @staticmethod
    def evaluate(lon, lat, lon_0, lat_0, radius):
        far = np.hypot((lon - lon_0).to_value("deg") % 360, (lat - lat_0).to_value("deg")) > radius.to_value("deg")
        return u.Quantity(np.where(far, 0.0, 1.0 / (np.pi * radius.to_value("rad") ** 2)), "sr-1")


class _UsersSpectrum(SpectralModel):
    """A spectrum that is not built in."""

    tag = "warmup-spectrum"
    amplitude = Parameter("amplitude", "1e-12 cm-2 s-1 TeV-1")

    @staticmethod
    def evaluate(energy, amplitude):
        return amplitude * (energy / u.TeV).to_value("") ** -2.0


def _sources(moving):
    """One source of each kind with a free spectrum, and a frozen one; those that do not move are where the others are."""
    shapes = {
        "point": PointSpatialModel(lon_0="0 deg", lat_0="0 deg", frame="galactic"),
        "gauss": GaussianSpatialModel(lon_0="0 deg", lat_0="0 deg", sigma="0.03 deg", frame="galactic"),
        "users": _UsersShape(frame="galactic"),
    }
    sources = []
    for name, shape in shapes.items():
        spectrum = _UsersSpectrum() if name == "users" else PowerLawSpectralModel(amplitude="1e-12 cm-2 s-1 TeV-1")
        if not moving:
            shape.freeze()
        sources.append(SkyModel(name=name, spatial_model=shape, spectral_model=spectrum))
    frozen = SkyModel(name="frozen", spatial_model=shapes["point"].copy(), spectral_model=PowerLawSpectralModel())
    frozen.freeze()
    return [*sources, frozen]


def _background():
    return FoVBackgroundModel(spectral_model=PowerLawNormSpectralModel(), dataset_name=DATASET_NAME)


def _dataset(counts, background, exposure, reco_psf=False, n_pixels=N_PIXELS):
    """A small field in the given dtypes. The two PSFs have radii of different spacing, which NumPy hands on in different ways."""
    dataset = simulate_field(1, n_pixels)
    for name, dtype in (("counts", counts), ("background", background), ("exposure", exposure)):
        field = getattr(dataset, name)
        setattr(dataset, name, field.copy(data=field.data.astype(dtype)))
    if reco_psf:
        rad = MapAxis.from_nodes(np.linspace(0.001, 0.2, 20), interp="sqrt", unit="deg", name="rad")
        dataset.psf = RecoPSFMap.from_gauss(dataset.counts.geom.axes["energy"], rad_axis=rad, sigma=0.03 * u.deg)
    return dataset


def _with_statistic(dataset, stat_type):
    """A dataset as the likelihood sees one of another statistic: ON-OFF with its background as off counts, or with weights."""
    fields = {name: getattr(dataset, name) for name in ("name", "counts", "background", "exposure", "psf", "edisp", "mask", "mask_safe")}
    ones = dataset.counts.copy(data=np.ones_like(dataset.background.data))
    if stat_type == "wstat":
        fields.update(background=None, counts_off=dataset.counts.copy(data=np.rint(dataset.background.data)), alpha=ones)
    mask_fit = dataset.mask_fit if stat_type == "wstat" else ones
    return SimpleNamespace(**fields, mask_fit=mask_fit, models=_sources(True), stat_type=stat_type)


def _flux_points():
    """A dataset of one flux point, as the likelihood sees it."""
    one = np.ones(1)
    data = FluxData("points", one, np.zeros(1, dtype=np.int64), np.ones(1, dtype=bool), Chi2(1e-12 * one, 1e-13 * one))
    source = SkyModel(name="point", spectral_model=PowerLawSpectralModel())
    return SimpleNamespace(name="points", models=[source], flux_data=lambda: data)


def _evaluate(likelihood):
    """Everything that a fit asks of a likelihood."""
    theta = likelihood.theta0
    likelihood.value(theta)
    likelihood.value_and_gradient(theta)
    likelihood.metric(theta)
    likelihood.second_derivatives(theta)
    likelihood.is_valid(theta)
    likelihood.local(theta, "point").value_and_gradient(theta)


def _stack(dtype):
    """Add, multiply and divide rows, as stacking does with masks and with factors."""
    rows, values = kernels.cpu("rows"), np.ones(4, dtype=dtype)
    at, shape = np.zeros(4, dtype=np.int64), np.array([1, 1, 1, 4], dtype=np.int64)
    for weights in (np.ones(4, dtype=np.uint8), values):
        rows.add_rows(np.ones(4, dtype=dtype), at, values, at, weights, at, shape)
    rows.multiply_rows(np.ones(4, dtype=dtype), at, values, at, shape)
    rows.divide_rows(np.ones(4, dtype=dtype), at, values, at, shape)
    rows.mean_rows(np.ones(4, dtype=dtype), at, values, at, values, at, values, at, values, at, shape)


def run_all(cube, real):
    """Call every kernel that works on data of a type.

    Parameters
    ----------
    cube : {"float32", "float64"}
        Type of counts, background and exposure.
    real : {"float32", "float64"}
        Type of working arrays.
    """
    options = {"backend": "numpy", "dtype": real}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for reco_psf in (False, True):
            dataset = _dataset(cube, cube, cube, reco_psf)
            for moving in (True, False):
                dataset.models = [*_sources(moving), _background()]
                _evaluate(compile(dataset, **options))
        for stat_type in ("wstat", "cash_weighted"):
            _evaluate(compile(_with_statistic(_dataset(cube, cube, cube), stat_type), **options))
        dataset = _dataset(cube, cube, cube, n_pixels=N_PIXELS_LARGE)
        wide = GaussianSpatialModel(lon_0="0 deg", lat_0="0 deg", sigma="0.4 deg", frame="galactic")
        dataset.models = [SkyModel(name="wide", spatial_model=wide, spectral_model=PowerLawSpectralModel())]
        likelihood = compile(dataset, **options)
        likelihood.value_and_gradient(likelihood.theta0)
        _compile_serial()  # it is large enough for threads; with few energies it would not be
        # Bins outside of all sources are summed in the types of the file, which need not agree; a frozen source makes some of them special.
        for counts in {"float32": ("float32", "int32"), "float64": ("float64",)}[cube]:
            for background in ("float32", "float64"):
                dataset = _dataset(counts, background, cube)
                dataset.models = [_sources(False)[-1], _background()]
                compile(dataset, **options)
        _evaluate(compile(_flux_points(), **options))
        cstat_sum(np.ones(4), np.ones(4))
        cstat_slope(np.ones(4), np.ones(4))
        _stack(np.dtype(cube))
        edges = [1.0, 10.0] * u.TeV
        _UsersSpectrum().bind_integral(edges[:1], edges[1:]).value(np.array([[1e-12]]))


def functions():
    """Kernels, as ``{"stem.name": kernel}``; what is only called by others is left out."""
    found = {}
    for stem in kernels.stems():
        for name, value in vars(kernels.cpu(stem)).items():
            if getattr(value, "__module__", "") != f"gpudl4.kernels.{stem}":
                continue
            if hasattr(value, "parallel"):
                found[f"{stem}.{name}"], found[f"{stem}.{name}{THREADS}"] = value.serial, value.parallel
            elif hasattr(value, "forms") and not name.startswith("_"):
                found[f"{stem}.{name}"] = value
    return found


def _compile_serial():
    """Compile the variants without threads for the types that those with threads have been called with."""
    found = functions()
    for name, function in found.items():
        if name.endswith(THREADS):
            serial = found[name.removesuffix(THREADS)]
            for forms in set(function.forms) - set(serial.forms):
                serial.prepare(forms)


def compile_threaded():
    """Compile the variants with threads for the types that the others have been compiled for."""
    found = functions()
    for name, function in found.items():
        if name.endswith(THREADS):
            for forms in list(found[name.removesuffix(THREADS)].forms):
                function.prepare(forms)


def main(cube, real):
    """Compile everything for a pair of types; print ``compiled NAME`` or ``found NAME`` for every function as soon as it is known."""
    from ..kernels._compiled import quiet, watched

    names, told = {id(kernel): name for name, kernel in functions().items()}, set()

    def tell(what, name):
        told.add(name)
        print(what, name, flush=True)

    with watched(lambda kernel: tell("compiled", names[id(kernel)])), quiet():
        run_all(cube, real)
        compile_threaded()
    for name in sorted(set(names.values()) - told):
        tell("found", name)


if __name__ == "__main__":
    main(*sys.argv[1:])
