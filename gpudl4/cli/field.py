"""A simulated field: two gamma-ray sources near the Galactic centre, seen for 50 hours by an invented Cherenkov telescope array.

The array is a handful of formulas (effective area, point spread, energy resolution, residual background) with values in the range of
present-day instruments. `simulate_field` turns them into a `MapDataset`; `true_models` and `start_models` are what `gpudl4 demo`
simulates and where its fit starts.
"""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from ..core.gti import GTI
from ..datasets import MapDataset
from ..irf import EDispKernelMap, PSFMap
from ..maps import Map, MapAxis, WcsGeom
from ..models import (
    ExpCutoffPowerLawSpectralModel,
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)

__all__ = [
    "background_rate",
    "effective_area",
    "energy_resolution",
    "psf_sigma",
    "simulate_field",
    "start_models",
    "true_models",
]

DATASET_NAME = "galactic-centre"
LIVETIME = 50 * u.h
FIELD_RADIUS = 2.4  # deg; pixels farther from the pointing are not safe
POINTING = SkyCoord(0, 0, unit="deg", frame="galactic")

# name: (true value, start value) of every parameter that the fit has to find
POINT_SOURCE = {
    "lon_0": (359.944, 359.92),
    "lat_0": (-0.046, -0.02),
    "index": (2.1, 2.4),
    "amplitude": (2.6e-12, 2e-12),
    "lambda_": (0.09, 0.03),
}
EXTENDED_SOURCE = {
    "lon_0": (358.9, 358.94),
    "lat_0": (0.55, 0.5),
    "sigma": (0.22, 0.15),
    "index": (2.35, 2.0),
    "amplitude": (5.0e-12, 3.5e-12),
}
BACKGROUND = {"norm": (1.1, 1.0), "tilt": (0.05, 0.0)}


def effective_area(energy, offset):
    """Effective area in m2.

    ``2.5e6 m2 / (1 + (1.5 TeV / E)^1.2) * exp(-0.5 (offset / w)^2)`` with ``w = 2.5 deg (E / TeV)^0.1``.

    Parameters
    ----------
    energy : array
        True energy in TeV.
    offset : array
        Angle from the pointing in deg.
    """
    width = 2.5 * energy**0.1
    return 2.5e6 / (1 + (1.5 / energy) ** 1.2) * np.exp(-0.5 * (offset / width) ** 2)


def psf_sigma(energy, offset):
    """Width of the Gaussian point spread function in deg: ``hypot(0.02, 0.035 E^-0.5) * (1 + 0.04 offset^2)``, E in TeV, offset in deg."""
    return np.hypot(0.02, 0.035 * energy**-0.5) * (1 + 0.04 * offset**2)


def energy_resolution(energy):
    """Relative width of the reconstructed energy: ``0.07 + 0.05 E^-0.4``, E in TeV."""
    return 0.07 + 0.05 * energy**-0.4


def background_rate(energy_min, energy_max, offset):
    """Residual background between two reconstructed energies, in s-1 sr-1.

    The integral of ``20 (E / TeV)^-2.7 s-1 sr-1 TeV-1``, times the radial acceptance ``exp(-0.5 (offset / 2.2 deg)^2)``.
    """
    spectrum = 20 / 1.7 * (energy_min**-1.7 - energy_max**-1.7)
    return spectrum * np.exp(-0.5 * (offset / 2.2) ** 2)


def _offset(geom):
    """Angle between the pixel centres of an image geometry and the pointing, in deg, shape (lat, lon)."""
    return geom.to_image().separation(POINTING).deg


def _psf(axis, geom_irf):
    """Gaussian PSF on the grid of the responses, in sr-1, with axes (rad, energy_true)."""
    rad = MapAxis.from_bounds(0, 0.7, nbin=140, unit="deg", name="rad")
    geom = geom_irf.to_cube([rad, axis])
    sigma = np.deg2rad(psf_sigma(axis.center.to_value("TeV")[:, None, None, None], _offset(geom_irf)))
    distance = rad.center.to_value("rad")[:, None, None]
    values = np.exp(-0.5 * (distance / sigma) ** 2) / (2 * np.pi * sigma**2)
    return PSFMap(
        psf_map=Map.from_geom(geom, data=values.astype("float32"), unit="sr-1"),
        exposure_map=_exposure(geom.squash("rad")),
    )


def _exposure(geom):
    """Effective area times livetime in m2 s on a geometry whose last axis is energy_true."""
    energy = geom.axes["energy_true"].center.to_value("TeV")[:, None, None]
    values = effective_area(energy, _offset(geom)) * LIVETIME.to_value("s")
    return Map.from_geom(geom, data=values.reshape(geom.data_shape).astype("float32"), unit="m2 s")


def _models(which):
    """Models with the true values (which=0) or the start values (which=1) of `POINT_SOURCE`, `EXTENDED_SOURCE` and `BACKGROUND`."""
    point = SkyModel(
        name="point-source",
        spatial_model=PointSpatialModel(lon_0="0 deg", lat_0="0 deg", frame="galactic"),
        spectral_model=ExpCutoffPowerLawSpectralModel(reference="1 TeV"),
    )
    extended = SkyModel(
        name="extended-source",
        spatial_model=GaussianSpatialModel(lon_0="0 deg", lat_0="0 deg", sigma="0.1 deg", frame="galactic"),
        spectral_model=PowerLawSpectralModel(reference="1 TeV"),
    )
    background = FoVBackgroundModel(spectral_model=PowerLawNormSpectralModel(), dataset_name=DATASET_NAME)
    background.spectral_model.parameters["tilt"].frozen = False
    for model, values in ((point, POINT_SOURCE), (extended, EXTENDED_SOURCE), (background, BACKGROUND)):
        for name, pair in values.items():
            model.parameters[name].value = pair[which]
    return Models([point, extended, background])


def true_models():
    """The models that are simulated."""
    return _models(0)


def start_models():
    """The same models where the fit starts: positions 0.02 to 0.06 deg, indices 0.3 and fluxes 30 % away from the truth."""
    return _models(1)


def simulate_field(seed=42, n_pixels=250):
    """Simulate the observation.

    Parameters
    ----------
    seed : int
        Seed of the Poisson noise.
    n_pixels : int
        Width of the map in pixels of 0.02 deg.

    Returns
    -------
    dataset : MapDataset
        10 reconstructed energies (0.1 to 50 TeV), 20 true energies (0.05 to 100 TeV), `n_pixels` x `n_pixels` pixels, with the true
        models attached.
    """
    energy = MapAxis.from_energy_bounds("0.1 TeV", "50 TeV", nbin=10)
    energy_true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", nbin=20, name="energy_true")
    geom = WcsGeom.create(skydir=POINTING, npix=(n_pixels, n_pixels), binsz=0.02, frame="galactic", axes=[energy])
    geom_irf = WcsGeom.create(skydir=POINTING, width=n_pixels * 0.02 + 2, binsz=0.5, frame="galactic")

    offset = _offset(geom)
    edges = energy.edges.to_value("TeV")[:, None, None]
    rate = background_rate(edges[:-1], edges[1:], offset) * geom.to_image().solid_angle().to_value("sr")
    resolution = energy_resolution(energy_true.center.to_value("TeV"))

    dataset = MapDataset(
        name=DATASET_NAME,
        counts=Map.from_geom(geom),
        exposure=_exposure(geom.to_image().to_cube([energy_true])),
        background=Map.from_geom(geom, data=(rate * LIVETIME.to_value("s")).astype("float32")),
        psf=_psf(energy_true, geom_irf),
        edisp=EDispKernelMap.from_gauss(energy, energy_true, sigma=resolution, bias=0, geom=geom_irf),
        mask_safe=Map.from_geom(geom, data=np.broadcast_to(offset < FIELD_RADIUS, geom.data_shape).copy()),
        gti=GTI.create("0 s", LIVETIME, reference_time="2024-06-01"),
        models=true_models(),
    )
    dataset.fake(random_state=seed)
    return dataset
