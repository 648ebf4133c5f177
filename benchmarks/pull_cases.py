"""The datasets whose pulls `benchmarks/pulls.py` looks at, with the models that are true.

Every function takes `lib`, the names of one package (`benchmarks.cases.library`), so that gammapy can fit the same data.
"""

from dataclasses import dataclass
from functools import partial

import astropy.units as u
import numpy as np

__all__ = ["CASES", "Case", "group_edges", "grouped", "with_background_model"]

FEW = 0.25  # expected background counts in the first bin, so low that most off counts are zero
WEAK = {"nbin": 60, "background": 1.3, "strength": 0.05}  # a weak source in many bins, of which two thirds have no off counts
AREA_OFF = 4  # acceptance of the off region of spectra, that of the on region being 1
ENOUGH = 5  # off counts of a group of bins
RING = {"background": 60.0, "strength": 3.0, "npix": 15, "binsz": 0.1, "acceptance_off": 10}  # tens to hundreds of off counts in most bins
CLEAR = {"background": 0.3, "strength": 3.0, "npix": 9, "binsz": 0.2, "radius": 0.35}  # few off counts, few weak bins


@dataclass(frozen=True)
class Case:
    """One kind of fit.

    Attributes
    ----------
    name, text : str
    build : callable
        ``build(lib)`` gives a dataset with the true models.
    background : callable, optional
        ``background(lib)`` gives a dataset with the expected background that off counts are drawn from.
    prepare : callable, optional
        ``prepare(lib, dataset, background)`` makes of a drawn dataset the list of those that are fitted.
    dtype : str
        Precision of the likelihood.
    """

    name: str
    text: str
    build: object
    background: object = None
    prepare: object = None
    dtype: str = "float64"

    def datasets(self, lib, dataset, background):
        """What is fitted of a drawn dataset, a list."""
        return [dataset] if self.prepare is None else self.prepare(lib, dataset, background)


# ---- datasets ------------------------------------------------------------------------------------------------------------------------
def axes(lib, nbin=12):
    """Reconstructed and true energies."""
    reco = lib.MapAxis.from_energy_bounds("0.3 TeV", "30 TeV", nbin=nbin)
    return reco, lib.MapAxis.from_energy_bounds("0.2 TeV", "50 TeV", nbin=2 * nbin, name="energy_true")


def power_law(lib, spatial=None, strength=1.0):
    """The source of all cases."""
    spectrum = lib.PowerLawSpectralModel(index=2.3, amplitude=strength * 3e-12 * u.Unit("cm-2 s-1 TeV-1"), reference="1.5 TeV")
    return lib.SkyModel(spectral_model=spectrum, spatial_model=spatial, name="source")


def falling(reco, first):
    """Counts that fall with energy from `first` in the first bin, array[K, 1, 1]."""
    return (first * (reco.center.value / 0.3) ** -1.5)[:, np.newaxis, np.newaxis]


def spectrum(lib, nbin=12, background=60.0, strength=1.0):
    """A `SpectrumDataset`; with the defaults it has hundreds of counts of source and background."""
    reco, true = axes(lib, nbin)
    geom = lib.RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", axes=[reco])
    dataset = lib.SpectrumDataset.create(geom, energy_axis_true=true, name="data")
    dataset.exposure.quantity = np.full(dataset.exposure.data.shape, 4e13) * u.Unit("cm2 s")
    dataset.background.data[:] = falling(reco, background)
    dataset.mask_safe.data[:] = True
    dataset.models = [power_law(lib, strength=strength)]
    return dataset


def on_off(lib, **options):
    """A `SpectrumDatasetOnOff` with the options of `spectrum`."""
    dataset = spectrum(lib, **options)
    out = lib.SpectrumDatasetOnOff.from_spectrum_dataset(dataset=dataset, acceptance=1, acceptance_off=AREA_OFF, name="data")
    out.models = list(dataset.models)
    return out


def cube(lib, background=0.6, strength=1.0, npix=30, binsz=0.05, radius=None):
    """A `MapDataset` with a point source at a fixed place in its middle and a free background, fitted within `radius` deg or as a whole."""
    from astropy.coordinates import SkyCoord

    reco, true = axes(lib, nbin=6)
    centre = SkyCoord(83.63, 22.01, unit="deg", frame="icrs")
    geom = lib.WcsGeom.create(npix=(npix, npix), binsz=binsz, skydir=centre, frame="icrs", proj="TAN", axes=[reco])
    dataset = lib.MapDataset.create(geom, energy_axis_true=true, name="data", binsz_irf=0.5)
    dataset.exposure.quantity = np.full(dataset.exposure.data.shape, 4e13, dtype=np.float32) * u.Unit("cm2 s")
    dataset.psf = lib.PSFMap.from_gauss(true, sigma=0.08 * u.deg)
    level = falling(reco, background) * np.ones(dataset.counts.data.shape)
    dataset.background = lib.Map.from_geom(geom, data=level.astype(np.float32))
    dataset.mask_safe.data[:] = True
    if radius is not None:
        near = geom.to_image().separation(centre).deg < radius
        dataset.mask_fit = lib.Map.from_geom(geom, data=np.broadcast_to(near, geom.data_shape).copy())
    point = lib.PointSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg", frame="icrs")
    point.lon_0.frozen = point.lat_0.frozen = True
    dataset.models = [power_law(lib, point, strength), lib.FoVBackgroundModel(dataset_name="data")]
    return dataset


def cube_on_off(lib, acceptance_off=5, **options):
    """A `MapDatasetOnOff` of the same sky, with the options of `cube`."""
    dataset = cube(lib, **options)
    flat = dataset.counts.copy(data=np.ones(dataset.counts.data.shape, dtype=np.float32))
    out = lib.MapDatasetOnOff.from_map_dataset(dataset, acceptance=flat, acceptance_off=flat * acceptance_off, name="data")
    out.mask_fit = dataset.mask_fit
    out.models = [dataset.models["source"]]
    return out


def flux_points(lib):
    """A `FluxPointsDataset` with errors of 15 %."""
    from astropy.table import Table

    from gpudl4.estimators import FluxPoints

    energy = np.geomspace(0.5, 20, 10) * u.TeV
    model = power_law(lib)
    table = Table({"e_ref": energy, "dnde": model.spectral_model(energy)}, meta={"SED_TYPE": "dnde"})
    table["dnde_err"] = 0.15 * table["dnde"].quantity
    return lib.FluxPointsDataset(data=FluxPoints.from_table(table, reference_model=model.spectral_model), models=[model], name="data")


# ---- what to do with few off counts --------------------------------------------------------------------------------------------------
def group_edges(dataset, least=ENOUGH):
    """Edges of groups of energies with at least so many off counts each, in the mean of the pixels; the rest joins the last group."""
    edges, off = dataset.counts.geom.axes["energy"].edges, dataset.counts_off.data.mean(axis=(1, 2))
    cuts, total = [0], 0.0
    for i, counts in enumerate(off, start=1):
        total += counts
        if total >= least:
            cuts.append(i)
            total = 0.0
    return edges[[*(cuts[:-1] if len(cuts) > 1 else cuts), len(off)]]


def grouped(lib, dataset, background, factor=1):
    """The dataset with so many pixels merged along each side, and energies grouped until each has off counts enough."""
    out = dataset if factor == 1 else dataset.downsample(factor, name="data")
    out = out.resample_energy_axis(lib.MapAxis.from_energy_edges(group_edges(out), name="energy"), name="data")
    out.models = list(dataset.models)
    return [out]


def with_background_model(lib, dataset, background):
    """On and off counts as two spectra with one background model, whose norm and slope are free."""
    on = lib.SpectrumDataset(
        counts=dataset.counts, exposure=dataset.exposure, edisp=dataset.edisp, background=background, mask_safe=dataset.mask_safe, name="on"
    )
    off = lib.SpectrumDataset(counts=dataset.counts_off, background=background * AREA_OFF, mask_safe=dataset.mask_safe, name="off")
    shape = lib.PowerLawNormSpectralModel()
    shape.tilt.frozen = False
    models = [lib.FoVBackgroundModel(dataset_name=name, spectral_model=shape, name=name) for name in ("on", "off")]
    on.models, off.models = [*dataset.models, models[0]], [models[1]]
    return [on, off]


def _weak(name, text, prepare=None):
    """A case of the weak source with off counts."""
    return Case(name, text, lambda lib: on_off(lib, **WEAK), lambda lib: spectrum(lib, **WEAK), prepare)


def _cube(name, text, prepare=None, acceptance_off=5, **options):
    """Cases of ON-OFF cubes in single and in double precision."""
    make = {
        "build": lambda lib: cube_on_off(lib, acceptance_off=acceptance_off, **options),
        "background": lambda lib: cube(lib, **options),
        "prepare": prepare,
    }
    yield Case(name, f"{text}, float32", **make, dtype="float32")
    yield Case(f"{name}-double", f"{text}, float64", **make)


CASES = {
    case.name: case
    for case in (
        Case("spectrum", "SpectrumDataset, cash", spectrum),
        Case("wstat", "SpectrumDatasetOnOff, wstat", on_off, spectrum),
        Case(
            "sparse",
            "SpectrumDatasetOnOff, few off counts",
            lambda lib: on_off(lib, background=FEW),
            lambda lib: spectrum(lib, background=FEW),
        ),
        _weak("weak", "weak source, wstat, 60 bins"),
        _weak("weak-grouped", "the same, grouped bins", grouped),
        _weak("weak-model", "the same, background model", with_background_model),
        Case("weak-known", "the same, known background", lambda lib: spectrum(lib, **WEAK)),
        Case("cube", "MapDataset, cash, float32", cube, dtype="float32"),
        Case("cube-double", "MapDataset, cash, float64", cube),
        *_cube("cube-ring", "MapDatasetOnOff, many off counts", **RING),
        *_cube("cube-clear", "MapDatasetOnOff, strong source", **CLEAR),
        *_cube("cube-wstat", "MapDatasetOnOff, wstat, 5400 bins", background=20.0),
        *_cube("cube-wstat-grouped", "the same, grouped energies", grouped, background=20.0),
        *_cube("cube-sparse", "MapDatasetOnOff, few off counts", background=0.6),
        *_cube("cube-sparse-grouped", "the same, grouped and merged", partial(grouped, factor=15), background=0.6),
        Case("fluxes", "FluxPointsDataset, chi2", flux_points),
    )
}
