"""A small synthetic field for tests: `make_dataset` gives a `MapDataset` of 24 x 20 pixels with a point source, a Gaussian and background.

The names of gpudl4 are those of gammapy, so the same lines make the same field in either library: ``make_dataset(library="gammapy")`` is
the oracle's view of ``make_dataset()``, equal bin by bin. Everything is deterministic.

>>> dataset = make_dataset()                        # true-energy PSF, energy dispersion kernels, counts drawn from the models
>>> dataset = make_dataset(reco_psf=True)           # PSF in reconstructed energy
>>> dataset = make_dataset(edisp="migra")           # energy dispersion over migration
>>> dataset = make_dataset(models=None, counts=0)   # no models, empty counts
"""

import importlib
from types import SimpleNamespace

import astropy.units as u
import numpy as np

__all__ = ["get_library", "make_dataset", "make_geom", "make_models"]

CENTRE = {"galactic": (0.4, -0.2), "icrs": (83.63, 22.01)}
# counts per energy, pixels from the centre, widths in pixels: about what the models predict, and not computed by either library
SOURCES = (
    ((670, 330, 150), 3.33, 2.17, (1.81, 1.58, 1.35)),
    ((370, 200, 90), -4.0, -1.79, (2.44, 2.28, 2.12)),
)
MODULES = {
    "gpudl4": {
        "maps": "gpudl4.maps",
        "irf": "gpudl4.irf",
        "models": "gpudl4.models",
        "datasets": "gpudl4.datasets",
        "data": "gpudl4.core.gti",
    },
    "gammapy": {
        "maps": "gammapy.maps",
        "irf": "gammapy.irf",
        "models": "gammapy.modeling.models",
        "datasets": "gammapy.datasets",
        "data": "gammapy.data",
    },
}


def get_library(name="gpudl4"):
    """Modules of a library by role: maps, irf, models, datasets, data."""
    return SimpleNamespace(**{role: importlib.import_module(module) for role, module in MODULES[name].items()})


def make_geom(npix=(24, 20), binsz=0.1, frame="galactic", proj="CAR", library="gpudl4"):
    """Counts geometry: three bins from 1 to 10 TeV, centred on (0.4, -0.2) deg in the galactic frame, the Crab in icrs."""
    maps = get_library(library).maps
    axis = maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3, name="energy")
    return maps.WcsGeom.create(skydir=CENTRE[frame], npix=npix, binsz=binsz, frame=frame, proj=proj, axes=[axis])


def make_models(name="test", frame="galactic", library="gpudl4"):
    """Models of the field: "point" (power law), "gauss" (elliptical, exponential cutoff), "{name}-bkg" (norm and tilt).

    Free: lon_0, lat_0, index, amplitude of the point; lon_0, lat_0, sigma, index, amplitude of the Gaussian; norm of the background.
    """
    m = get_library(library).models
    lon, lat = CENTRE[frame]
    point = m.SkyModel(
        spectral_model=m.PowerLawSpectralModel(index=2.2, amplitude="3e-12 cm-2 s-1 TeV-1", reference="2 TeV"),
        spatial_model=m.PointSpatialModel(lon_0=(lon - 0.33) * u.deg, lat_0=(lat + 0.22) * u.deg, frame=frame),
        name="point",
    )
    gauss = m.SkyModel(
        spectral_model=m.ExpCutoffPowerLawSpectralModel(
            index=1.8, amplitude="8e-12 cm-2 s-1 TeV-1", reference="1 TeV", lambda_="0.1 TeV-1"
        ),
        spatial_model=m.GaussianSpatialModel(
            lon_0=(lon + 0.41) * u.deg, lat_0=(lat - 0.17) * u.deg, sigma="0.18 deg", e=0.5, phi="30 deg", frame=frame
        ),
        name="gauss",
    )
    gauss.spectral_model.lambda_.frozen = True
    background = m.FoVBackgroundModel(
        spectral_model=m.PowerLawNormSpectralModel(norm=1.1, tilt=0.05), dataset_name=name, name=f"{name}-bkg"
    )
    return m.Models([point, gauss, background])


def _psf(lib, geom_image, axis, axis_true, reco):
    axis = axis if reco else axis_true
    sigma = np.linspace(0.2, 0.1, axis.nbin) * u.deg
    rad_axis = lib.maps.MapAxis.from_bounds(0, 0.9, nbin=90, node_type="edges", name="rad", unit="deg")
    if reco:
        return lib.irf.RecoPSFMap.from_gauss(axis, rad_axis=rad_axis, sigma=sigma, geom=geom_image)
    return lib.irf.PSFMap.from_gauss(axis, rad_axis=rad_axis, sigma=sigma, geom=geom_image)


def _edisp(lib, geom_image, axis, axis_true, kind):
    if kind == "kernel":
        return lib.irf.EDispKernelMap.from_gauss(axis, axis_true, sigma=0.15, bias=0.02, geom=geom_image)
    migra = lib.maps.MapAxis.from_bounds(0.2, 3, nbin=140, node_type="edges", name="migra")
    geom = geom_image.to_cube([migra, axis_true])
    shape = np.exp(-0.5 * ((migra.center.value - 1.02) / 0.15) ** 2)
    shape /= (shape * migra.bin_width.value).sum()
    data = np.broadcast_to(shape[np.newaxis, :, np.newaxis, np.newaxis], geom.data_shape).copy()
    exposure = lib.maps.Map.from_geom(geom.squash("migra"), data=np.ones(geom.squash("migra").data_shape), unit="m2 s")
    return lib.irf.EDispMap(lib.maps.Map.from_geom(geom, data=data, unit=""), exposure)


def make_dataset(
    name="test",
    counts="random",
    models="all",
    reco_psf=False,
    edisp="kernel",
    mask=True,
    frame="galactic",
    proj="CAR",
    npix=(24, 20),
    n_true=5,
    random_state=42,
    library="gpudl4",
):
    """Synthetic dataset; about 3300 counts, 1500 of them background.

    Parameters
    ----------
    name : str
        Name of the dataset; the background model is named after it.
    counts : {"random", "predicted"} or number
        Poisson counts, counts equal to the prediction rounded to integers, or a constant. The first two come from a dumb prediction of
        this file (background and two blobs), not from a library, so both libraries get the same.
    models : "all" or None
        `make_models`, or none.
    reco_psf : bool
        PSF in reconstructed energy.
    edisp : {"kernel", "migra", None}
        Kind of energy dispersion.
    mask : bool
        With mask_safe (without a border of two pixels, and without the lowest energy in the left third) and mask_fit (without the lower
        left corner); or none.
    frame : {"galactic", "icrs"}
        Frame of geometry and models.
    proj, npix
        Projection and size of the map.
    n_true : int
        Number of true energies.
    random_state : int
        Seed of the Poisson counts.
    library : {"gpudl4", "gammapy"}
        Whose classes.
    """
    lib = get_library(library)
    geom = make_geom(npix=npix, frame=frame, proj=proj, library=library)
    axis = geom.axes["energy"]
    axis_true = lib.maps.MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", nbin=n_true, name="energy_true")
    image = geom.to_image()
    nx, ny = npix
    y, x = np.mgrid[:ny, :nx]
    x, y = x - (nx - 1) / 2, y - (ny - 1) / 2

    gradient = 1 + 0.4 * x / nx - 0.3 * y / ny
    rise = np.linspace(0.7, 1.3, axis_true.nbin)
    exposure = lib.maps.Map.from_geom(
        image.to_cube([axis_true]), data=(1.2e10 * rise[:, None, None] * gradient).astype("float32"), unit="m2 s"
    )
    exposure.meta = {"livetime": 3600 * u.s}
    fall = np.array([2.2, 0.7, 0.3])[:, None, None]
    background = (fall * (1 - 0.5 * (x / nx) ** 2 - 0.7 * (y / ny) ** 2 + 0.1 * x / nx)).astype("float32")

    dumb = 1.1 * background.astype(float)
    for totals, x0, y0, widths in SOURCES:
        for plane, total, width in zip(dumb, totals, widths, strict=True):
            plane += total / (2 * np.pi * width**2) * np.exp(-0.5 * ((x - x0) ** 2 + (y - y0) ** 2) / width**2)
    if counts == "random":
        data = np.random.RandomState(random_state).poisson(dumb)
    elif counts == "predicted":
        data = np.rint(dumb)
    else:
        data = np.full(dumb.shape, counts)

    geom_irf = image.to_binsz(binsz=0.5)
    fields = {
        "counts": lib.maps.Map.from_geom(geom, data=data.astype("float32"), unit=""),
        "background": lib.maps.Map.from_geom(geom, data=background, unit=""),
        "exposure": exposure,
        "psf": _psf(lib, geom_irf, axis, axis_true, reco_psf),
        "edisp": None if edisp is None else _edisp(lib, geom_irf, axis, axis_true, edisp),
        "gti": lib.data.GTI.create([0, 2000] * u.s, [1800, 3800] * u.s, reference_time="2020-01-01"),
    }
    if mask:
        safe = np.zeros(geom.data_shape, dtype=bool)
        safe[:, 2:-2, 2:-2] = True
        safe[0, :, : nx // 3] = False
        fit = np.ones(geom.data_shape, dtype=bool)
        fit[:, : ny // 4, : nx // 4] = False
        fields["mask_safe"] = lib.maps.Map.from_geom(geom, data=safe)
        fields["mask_fit"] = lib.maps.Map.from_geom(geom, data=fit)
    dataset = lib.datasets.MapDataset(**fields, name=name)
    if models == "all":
        dataset.models = make_models(name, frame, library)
    return dataset
