"""Simulated fields for benchmarks, in memory and of any size: the invented telescope of `gpudl4 demo` looks at any models.

>>> dataset = make_dataset(n_pixels=250, n_true=20)              # counts are 0
>>> dataset = make_dataset(models=points(3), seed=1)             # counts are drawn from the models
"""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from gpudl4.cli.field import background_rate, effective_area, energy_resolution, psf_sigma
from gpudl4.core.gti import GTI
from gpudl4.datasets import MapDataset
from gpudl4.irf import EDispKernelMap, PSFMap
from gpudl4.maps import Map, MapAxis, WcsGeom
from gpudl4.models import (
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)

__all__ = ["background", "gaussian", "make_dataset", "point", "points"]

POINTING = SkyCoord(0, 0, unit="deg", frame="galactic")
LIVETIME = 20 * u.h
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def make_dataset(n_pixels=250, n_energy=10, n_true=20, binsz=0.02, name="field", models=None, seed=None):
    """A square field around the pointing.

    Parameters
    ----------
    n_pixels : int
        Width in pixels of `binsz` degrees.
    n_energy, n_true : int
        Number of reconstructed (0.1 to 50 TeV) and true energies (0.05 to 100 TeV).
    models : Models, optional
        Attached to the dataset.
    seed : int, optional
        Draw counts from the models; without it counts are 0.
    """
    energy = MapAxis.from_energy_bounds("0.1 TeV", "50 TeV", nbin=n_energy)
    energy_true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", nbin=n_true, name="energy_true")
    geom = WcsGeom.create(skydir=POINTING, npix=(n_pixels, n_pixels), binsz=binsz, frame="galactic", axes=[energy])
    geom_irf = WcsGeom.create(skydir=POINTING, width=n_pixels * binsz + 2, binsz=0.5, frame="galactic")
    offset = geom.to_image().separation(POINTING).deg
    edges = energy.edges.to_value("TeV")[:, None, None]
    rate = background_rate(edges[:-1], edges[1:], offset) * geom.to_image().solid_angle().to_value("sr")
    dataset = MapDataset(
        name=name,
        counts=Map.from_geom(geom),
        exposure=_exposure(geom.to_image().to_cube([energy_true]), offset),
        background=Map.from_geom(geom, data=(rate * LIVETIME.to_value("s")).astype("float32")),
        psf=_psf(energy_true, geom_irf),
        edisp=EDispKernelMap.from_gauss(
            energy, energy_true, sigma=energy_resolution(energy_true.center.to_value("TeV")), bias=0, geom=geom_irf
        ),
        mask_safe=Map.from_geom(geom, data=np.ones(geom.data_shape, dtype=bool)),
        gti=GTI.create("0 s", LIVETIME, reference_time="2024-06-01"),
        models=models,
    )
    if seed is not None:
        dataset.fake(random_state=seed)
        dataset.counts.data = dataset.counts.data.astype("float32")  # as files hold them
    return dataset


def _exposure(geom, offset):
    energy = geom.axes["energy_true"].center.to_value("TeV")[:, None, None]
    values = effective_area(energy, offset) * LIVETIME.to_value("s")
    return Map.from_geom(geom, data=values.reshape(geom.data_shape).astype("float32"), unit="m2 s")


def _psf(axis, geom_irf):
    rad = MapAxis.from_bounds(0, 0.7, nbin=140, unit="deg", name="rad")
    offset = geom_irf.separation(POINTING).deg
    sigma = np.deg2rad(psf_sigma(axis.center.to_value("TeV")[:, None, None, None], offset))
    distance = rad.center.to_value("rad")[:, None, None]
    values = np.exp(-0.5 * (distance / sigma) ** 2) / (2 * np.pi * sigma**2)
    geom = geom_irf.to_cube([rad, axis])
    return PSFMap(
        psf_map=Map.from_geom(geom, data=values.astype("float32"), unit="sr-1"), exposure_map=_exposure(geom.squash("rad"), offset)
    )


def point(name, lon, lat, amplitude=2e-12, index=2.2, frozen=()):
    """A point source with a power law at 1 TeV; `frozen` names parameters that are not free."""
    return _model(name, PointSpatialModel(lon_0=lon * u.deg, lat_0=lat * u.deg, frame="galactic"), amplitude, index, frozen)


def gaussian(name, lon, lat, sigma=0.2, amplitude=5e-12, index=2.3, frozen=()):
    """A round Gaussian source with a power law at 1 TeV."""
    spatial = GaussianSpatialModel(lon_0=lon * u.deg, lat_0=lat * u.deg, sigma=sigma * u.deg, frame="galactic")
    return _model(name, spatial, amplitude, index, frozen)


def _model(name, spatial, amplitude, index, frozen):
    spectral = PowerLawSpectralModel(index=index, amplitude=amplitude * u.Unit("cm-2 s-1 TeV-1"), reference="1 TeV")
    model = SkyModel(spectral_model=spectral, spatial_model=spatial, name=name)
    for parameter in frozen:
        model.parameters[parameter].frozen = True
    return model


def background(dataset_name="field"):
    """A background with a free norm."""
    return FoVBackgroundModel(spectral_model=PowerLawNormSpectralModel(), dataset_name=dataset_name, name=f"{dataset_name}-bkg")


def points(number, radius=1.8, frozen=(), dataset_names=("field",)):
    """Point sources evenly spread over a disk of `radius` degrees, and a background for each dataset.

    No source sits on a pixel centre or a border, so that tiny steps stay in one cell.
    """
    models = []
    for i in range(number):
        r, angle = radius * np.sqrt((i + 0.3) / number), i * GOLDEN_ANGLE
        models.append(point(f"source-{i}", r * np.cos(angle) + 0.0031, r * np.sin(angle) - 0.0043, frozen=frozen))
    return Models([*models, *(background(name) for name in dataset_names)])
