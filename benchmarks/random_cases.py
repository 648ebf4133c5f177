"""Random small fields with known truth, for `benchmarks/random_fields.py`: every kind of dataset and mixes of them.

``make(number)`` is the same field in every run. What is random: pixels (8 to 90 along a side) and their size, energies, PSF, energy
dispersion, masks, background, one to three sources (points, round and elliptical Gaussians, a quarter of them near an edge), their spectra,
their significance (4 to 100 standard deviations), which parameters are frozen or bounded, and the counts. As an observer would, weak
sources get simple models: curved spectra and free extensions begin at 12 standard deviations, ellipses and breaks at 25.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from scipy.optimize import brentq

from gpudl4.datasets import Datasets, FluxPointsDataset, MapDataset, MapDatasetOnOff, SpectrumDataset, SpectrumDatasetOnOff
from gpudl4.fluxes import FluxPoints
from gpudl4.irf import EDispKernelMap, PSFMap
from gpudl4.maps import Map, MapAxis, RegionGeom, WcsGeom
from gpudl4.models import (
    BrokenPowerLawSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    FoVBackgroundModel,
    GaussianSpatialModel,
    LogParabolaSpectralModel,
    Models,
    PointSpatialModel,
    PowerLaw2SpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)

__all__ = ["KINDS", "OFF", "Field", "make", "size_of"]

SEED = 20262
OFF = 0.1  # part by which starts are off; positions by so much of the source's width on the sky, times five
MAP, MAP_ON_OFF, SPECTRUM, SPECTRUM_ON_OFF, POINTS = "map", "map on-off", "spectrum", "spectrum on-off", "flux points"
KINDS = (  # field number i is of kind i modulo their number
    (MAP,), (SPECTRUM,), (MAP, MAP), (MAP_ON_OFF,), (MAP,), (POINTS,), (MAP, SPECTRUM), (MAP,), (SPECTRUM_ON_OFF,), (MAP,),
    (MAP, SPECTRUM_ON_OFF), (MAP_ON_OFF,), (MAP,), (SPECTRUM,), (MAP, MAP), (MAP, POINTS), (MAP,), (SPECTRUM_ON_OFF, POINTS),
    (MAP_ON_OFF, SPECTRUM), (MAP,),
)  # fmt: skip
SIGNIFICANCE = 4, 100  # of sources, in standard deviations
CURVED, COMPLEX = 12, 25  # from which on spectra are curved, and ellipses free
SIZES = (8, 20, 40, 60, 91)  # pixels along a side at which classes of size begin
CENTRE = SkyCoord(83.63, 22.01, unit="deg", frame="icrs")


@dataclass(frozen=True)
class Field:
    """One field.

    Attributes
    ----------
    number : int
    kind : tuple of str
        One of `KINDS`.
    size : int
        Pixels along a side; 1 without a map.
    datasets : Datasets
        With counts, and models at the truth.
    truth, start : dict
        ``{"model.parameter": value}`` of free parameters.
    """

    number: int
    kind: tuple
    size: int
    datasets: Datasets
    truth: dict
    start: dict

    def put(self, values, models=None):
        """Set free parameters of the models, by default the datasets' own."""
        models = self.datasets.models if models is None else models
        for name, value in values.items():
            model, parameter = name.rsplit(".", 1)
            models[model].parameters[parameter].value = value


def size_of(field):
    """Class of size: kind without and with a map, and the range of pixels."""
    if field.size == 1:
        return "no map"
    low = max(n for n in SIZES if n <= field.size)
    return f"{low} to {SIZES[SIZES.index(low) + 1] - 1} pixels, {len(field.kind)} dataset{'s' * (len(field.kind) > 1)}"


def make(number):
    """Field of a number."""
    rng, kind = np.random.default_rng([SEED, number]), KINDS[number % len(KINDS)]
    has_map = kind[0] in (MAP, MAP_ON_OFF)
    size = round(np.exp(rng.uniform(np.log(8), np.log(90.5)))) if has_map else 1
    sky = _Sky(rng, size)
    wanted = np.exp(rng.uniform(*np.log(SIGNIFICANCE), size=rng.integers(1, 4) if has_map else 1))
    in_region = has_map and kind[-1] in (SPECTRUM, SPECTRUM_ON_OFF)
    sources = [_source(rng, i, None if not has_map or (in_region and i == 0) else sky, sigma) for i, sigma in enumerate(wanted)]
    names = [f"{one} {i}".replace(" ", "-") for i, one in enumerate(kind)]
    for source in sources[1:] if in_region else ():  # the region is that of the first source
        source.datasets_names = names[:1]
    backgrounds = [_background(rng, name) for one, name in zip(kind, names, strict=True) if one == MAP]
    empty = [_EMPTY[one](rng, name, sky) for one, name in zip(kind, names, strict=True)]
    _brighten(rng, sources, wanted, empty)
    models = Models([*sources, *backgrounds])
    datasets = Datasets([_drawn(rng, *one, models) for one in empty])
    datasets.models = models
    _freeze(rng, sources, wanted, has_map)
    free = [(m, p) for m in models for p in m.parameters if not p.frozen]
    truth = {f"{m.name}.{p.name}": float(p.value) for m, p in free}
    return Field(number, kind, size, datasets, truth, _start(rng, sources, truth, sky))


class _Sky:
    """What datasets of a field share: pixels, and the width of the PSF."""

    def __init__(self, rng, size):
        self.binsz, self.psf = rng.uniform(0.02, 0.1), rng.uniform(0.03, 0.12)
        self.npix = size, max(8, round(size * rng.uniform(0.6, 1.0)))

    def geom(self, axes):
        """Geometry of a map."""
        return WcsGeom.create(npix=self.npix, binsz=self.binsz, skydir=CENTRE, frame="icrs", proj="TAN", axes=axes)

    @property
    def limits(self):
        """Least and largest longitude and latitude of starts, so that they are on the map, in degrees."""
        x, y = (np.array([0, n - 1]) for n in self.npix)
        lon, _ = self.geom(None).pix_to_lonlat(x, np.full(2, y.mean()), "icrs")
        _, lat = self.geom(None).pix_to_lonlat(np.full(2, x.mean()), y, "icrs")
        return (float(lon.min()), float(lat.min())), (float(lon.max()), float(lat.max()))

    def place(self, rng):
        """A place on the map, in one of four cases within two pixels of an edge; its longitude and latitude in degrees."""
        pixel = np.array([rng.uniform(0, n - 1) for n in self.npix])
        if rng.random() < 0.25:
            side = rng.integers(2)
            pixel[side] = rng.choice([0, self.npix[side] - 1]) + rng.uniform(-0.5, 2.0) * rng.choice([-1, 1])
            pixel[side] = np.clip(pixel[side], -0.4, self.npix[side] - 0.6)
        return [float(np.squeeze(value)) for value in self.geom(None).pix_to_lonlat(*pixel, "icrs")]


# ---- models ---------------------------------------------------------------------------------------------------------------------------
def _source(rng, i, sky, significance):
    """A source of amplitude 1e-12, with a model that its significance allows; in the middle without a sky."""
    lon, lat = (CENTRE.ra.deg, CENTRE.dec.deg) if sky is None else sky.place(rng)
    place = {"lon_0": lon * u.deg, "lat_0": lat * u.deg, "frame": "icrs"}
    if rng.random() < 0.6:
        spatial = PointSpatialModel(**place)
    else:
        spatial = GaussianSpatialModel(sigma=np.exp(rng.uniform(np.log(0.03), np.log(0.3))) * u.deg, **place)
        if significance > COMPLEX and rng.random() < 0.4:
            spatial.e.value, spatial.phi.value = rng.uniform(0.3, 0.8), rng.uniform(-80, 80)
            spatial.e.frozen = spatial.phi.frozen = False
    return SkyModel(spectral_model=_spectrum(rng, significance), spatial_model=spatial, name=f"source-{i}")


def _spectrum(rng, significance):
    index, amplitude = rng.uniform(1.7, 3.0), 1e-12 * u.Unit("cm-2 s-1 TeV-1")
    reference = rng.uniform(0.7, 3) * u.TeV
    kind = rng.choice(["power law", "integral", "cut-off", "parabola", "break"], p=(0.35, 0.15, 0.2, 0.2, 0.1))
    if kind == "integral":
        return PowerLaw2SpectralModel(index=index, amplitude=1e-12 * u.Unit("cm-2 s-1"), emin=0.5 * u.TeV, emax=20 * u.TeV)
    if kind == "power law" or significance < (COMPLEX if kind == "break" else CURVED):
        return PowerLawSpectralModel(index=index, amplitude=amplitude, reference=reference)
    if kind == "cut-off":
        cut = np.exp(rng.uniform(np.log(0.03), np.log(0.5))) / u.TeV
        return ExpCutoffPowerLawSpectralModel(index=index - 0.4, amplitude=amplitude, reference=reference, lambda_=cut)
    if kind == "parabola":
        return LogParabolaSpectralModel(alpha=index, beta=rng.uniform(0.02, 0.3), amplitude=amplitude, reference=reference)
    return BrokenPowerLawSpectralModel(index1=index - 0.3, index2=index + 0.5, amplitude=amplitude, ebreak=rng.uniform(0.8, 4) * u.TeV)


def _background(rng, name):
    spectral = PowerLawNormSpectralModel(norm=rng.uniform(0.8, 1.2))
    spectral.tilt.value, spectral.tilt.frozen = rng.uniform(-0.1, 0.1), bool(rng.random() < 0.7)
    return FoVBackgroundModel(dataset_name=name, spectral_model=spectral, name=f"{name}-bkg")


def _brighten(rng, sources, wanted, datasets):
    """Give sources the amplitudes that make them as significant as wanted, each alone; any between 1e-13 to 1e-11 for flux points."""
    for source, significance in zip(sources, wanted, strict=True):
        signal, background = [np.zeros(0)], [np.zeros(0)]
        for dataset, expected in datasets:
            if expected is not None:
                dataset.models = [source]
                inside = dataset.mask.data
                signal.append(dataset.npred_signal().data[inside])
                background.append(expected.data[inside].astype(float))
        signal, background = np.maximum(np.concatenate(signal), 0.0), np.concatenate(background)
        strength = _strength(signal, background, significance) if signal.sum() > 1e-3 else 10 ** rng.uniform(-1, 1)
        source.spectral_model.amplitude.value *= strength


def _strength(signal, background, significance):
    """Factor on the expected signal that makes it so significant, by the likelihood ratio of what is expected."""

    def excess(log):
        s = np.exp(log) * signal
        return np.sqrt(2 * max(np.sum((s + background) * np.log1p(s / background) - s), 0.0)) - significance

    return float(np.exp(brentq(excess, -20, 40)))


def _freeze(rng, sources, wanted, has_map):
    """Freeze positions and shapes that nothing tells, and some other parameters; bound some amplitudes."""
    for source, significance in zip(sources, wanted, strict=True):
        held = not has_map or rng.random() < 0.2
        for parameter in source.spatial_model.parameters:
            is_faint = parameter.name == "sigma" and significance < CURVED
            parameter.frozen = parameter.frozen or held or is_faint or bool(rng.random() < 0.08)
        for parameter in source.spectral_model.parameters:
            parameter.frozen = parameter.frozen or bool(rng.random() < 0.12)
        if rng.random() < 0.2:
            source.spectral_model.amplitude.min = 0
    if all(p.frozen for source in sources for p in source.parameters):
        sources[0].spectral_model.amplitude.frozen = False


def _start(rng, sources, truth, sky):
    """Start values: off by 10 %, up or down."""
    width = {}
    for source in sources:
        own = source.spatial_model.parameters["sigma"].value if "sigma" in source.spatial_model.parameters.names else 0.0
        width[source.name] = 5 * OFF * float(np.hypot(sky.psf, own))
    start = {}
    low, high = sky.limits
    for name, value in truth.items():
        model, parameter = name.rsplit(".", 1)
        by = rng.choice((-1.0, 1.0))
        if parameter in ("lon_0", "lat_0"):
            i = int(parameter == "lat_0")
            start[name] = float(np.clip(value + by * width[model] * rng.random(), min(low[i], value), max(high[i], value)))
        elif parameter == "phi":
            start[name] = value + by * 100 * OFF
        elif parameter == "tilt":
            start[name] = value + by * OFF
        else:
            start[name] = value * (1 + by * OFF)
    return start


# ---- datasets, and the background that is expected in them ---------------------------------------------------------------------------
def _axes(rng, low, high):
    n = int(rng.integers(low, high + 1))
    reco = MapAxis.from_energy_bounds("0.3 TeV", "30 TeV", nbin=n)
    return reco, MapAxis.from_energy_bounds("0.2 TeV", "50 TeV", nbin=int(n * rng.uniform(1.3, 2.2)) + 1, name="energy_true")


def _level(rng, reco, low, high):
    """Background counts per bin that fall with energy, array[K, 1, 1]."""
    return (np.exp(rng.uniform(np.log(low), np.log(high))) * (reco.center.value / 0.3) ** -1.5)[:, np.newaxis, np.newaxis]


def _filled(rng, dataset, reco, true, sky, with_psf):
    """Exposure, background, responses and mask of a dataset without them."""
    dataset.exposure.quantity = np.full(dataset.exposure.data.shape, rng.uniform(0.3, 3) * 4e13, dtype=np.float32) * u.Unit("cm2 s")
    dataset.psf = PSFMap.from_gauss(true, sigma=sky.psf * u.deg) if with_psf else None
    dataset.edisp = (
        EDispKernelMap.from_diagonal_response(reco, true)
        if rng.random() < 0.4
        else EDispKernelMap.from_gauss(reco, true, sigma=rng.uniform(0.05, 0.25), bias=0)
    )
    dataset.mask_safe.data[:] = True
    if rng.random() < 0.3:  # a field of view, or a threshold in energy
        if rng.random() < 0.5 and not dataset.counts.geom.is_region:
            image = dataset.counts.geom.to_image()
            dataset.mask_safe.data &= image.separation(CENTRE).deg < 0.45 * min(sky.npix) * sky.binsz
        else:
            dataset.mask_safe.data[0] = False
    return dataset


def _map(rng, name, sky):
    reco, true = _axes(rng, 3, 8)
    geom = sky.geom([reco])
    dataset = MapDataset.create(geom, energy_axis_true=true, name=name, binsz_irf=4 * sky.binsz)
    dataset.background = Map.from_geom(geom, data=(_level(rng, reco, 0.02, 5) * np.ones(geom.data_shape)).astype(np.float32))
    return _filled(rng, dataset, reco, true, sky, with_psf=True), dataset.background


def _spectrum_of_region(rng, name, sky):
    reco, true = _axes(rng, 8, 30)
    geom = RegionGeom.create(f"icrs;circle({CENTRE.ra.deg}, {CENTRE.dec.deg}, {rng.uniform(0.08, 0.3):.3f})", axes=[reco])
    dataset = SpectrumDataset.create(geom, energy_axis_true=true, name=name)
    dataset.background.data[:] = _level(rng, reco, 2, 200)
    return _filled(rng, dataset, reco, true, sky, with_psf=rng.random() < 0.5), dataset.background


def _map_on_off(rng, name, sky):
    dataset, background = _map(rng, name, sky)
    flat = dataset.counts.copy(data=np.ones(dataset.counts.data.shape, dtype=np.float32))
    out = MapDatasetOnOff.from_map_dataset(dataset, acceptance=flat, acceptance_off=flat * float(rng.integers(2, 11)), name=name)
    return out, background


def _spectrum_on_off(rng, name, sky):
    dataset, background = _spectrum_of_region(rng, name, sky)
    off = float(rng.integers(2, 11))
    out = SpectrumDatasetOnOff.from_spectrum_dataset(dataset=dataset, acceptance=1, acceptance_off=off, name=name)
    return out, background


def _points(rng, name, sky):
    energy = np.geomspace(0.4, 25, int(rng.integers(5, 20))) * u.TeV
    reference = PowerLawSpectralModel(index=2, amplitude="1e-12 cm-2 s-1 TeV-1")
    table = Table({"e_ref": energy, "dnde": reference(energy)}, meta={"SED_TYPE": "dnde"})
    table["dnde_err"] = rng.uniform(0.05, 0.4) * table["dnde"].quantity
    return FluxPointsDataset(data=FluxPoints.from_table(table, reference_model=reference), name=name), None


_EMPTY = {MAP: _map, MAP_ON_OFF: _map_on_off, SPECTRUM: _spectrum_of_region, SPECTRUM_ON_OFF: _spectrum_on_off, POINTS: _points}


def _drawn(rng, dataset, expected, models):
    """The dataset, whose background is expected to be that, with random counts or fluxes around what the models predict."""
    dataset.models = models
    if isinstance(dataset, FluxPointsDataset):
        return _drawn_points(rng, dataset, models)
    if isinstance(dataset, MapDatasetOnOff | SpectrumDatasetOnOff):
        dataset.fake(expected, random_state=rng)
    else:
        dataset.fake(random_state=rng)
    dataset.models = None
    return dataset


def _drawn_points(rng, dataset, models):
    """Flux points around the models' sum, with the relative errors they have."""
    table = dataset.data.to_table(sed_type="dnde")
    relative = (table["dnde_err"] / table["dnde"]).data
    expected = dataset.flux_pred().squeeze().to("cm-2 s-1 TeV-1")
    table = Table({"e_ref": table["e_ref"], "dnde": expected * (1 + relative * rng.normal(size=len(table)))}, meta={"SED_TYPE": "dnde"})
    table["dnde_err"] = relative * expected
    reference = PowerLawSpectralModel(index=2, amplitude="1e-12 cm-2 s-1 TeV-1")
    return FluxPointsDataset(data=FluxPoints.from_table(table, reference_model=reference), name=dataset.name)
