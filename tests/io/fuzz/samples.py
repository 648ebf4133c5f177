"""Small good files of every format, and how each is read, compared and used."""

from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np

from gpudl4.core.gti import GTI
from gpudl4.core.reading import reading
from gpudl4.datasets import Datasets, FluxPointsDataset, MapDataset, SpectrumDataset, SpectrumDatasetOnOff
from gpudl4.estimators import FluxPoints
from gpudl4.io.fermi import read_fermi
from gpudl4.irf import EDispKernel
from gpudl4.maps import Map, MapAxis, Maps, RegionNDMap, WcsGeom
from gpudl4.models import Models, PowerLawSpectralModel, SkyModel
from tests.factory import make_dataset, make_models
from tests.io.test_fermi import make_files

__all__ = ["SAMPLES", "write_samples"]


@dataclass(frozen=True)
class Sample:
    """A file that is damaged.

    Attributes
    ----------
    name : str
        File that is damaged.
    read : callable
        ``read(path)`` gives what is in it; `path` is the first file to open, which need not be the damaged one.
    start : str
        Name of the file to open.
    """

    name: str
    read: object
    start: str

    @property
    def kind(self):
        """Which mutators apply: "fits", "yaml" or "text"."""
        suffixes = Path(self.name).suffixes
        return "fits" if ".fits" in suffixes else "yaml" if ".yaml" in suffixes else "text"


def _dataset(path):
    return MapDataset.read(path, name="test")


def _spectrum(path):
    return SpectrumDatasetOnOff.read(path, name="test")


def _flux_points(path):
    return FluxPointsDataset.read(path, name="test")


def _fermi(path):
    fields = read_fermi(*(path.with_name(f"{name}.fits") for name in ("ccube", "bexpcube", "psf", "drm")))
    with reading(f"'{path}'"):  # a dataset that is put together names no file
        return MapDataset(**fields, name="test")


def _datasets(path):
    return Datasets.read(path, path.with_name("models.yaml"))


SAMPLES = [
    Sample("map.fits", _dataset, "map.fits"),
    Sample("reco.fits.gz", _dataset, "reco.fits.gz"),
    Sample("lazy.fits", lambda path: MapDataset.read(path, name="test", lazy=True), "lazy.fits"),
    Sample("region.fits", lambda path: SpectrumDataset.read(path, name="test"), "region.fits"),
    Sample("onoff.fits", _spectrum, "onoff.fits"),
    Sample("pha.fits", _spectrum, "pha.fits"),
    Sample("pha_arf.fits", _spectrum, "pha.fits"),
    Sample("pha_rmf.fits", _spectrum, "pha.fits"),
    Sample("pha_bkg.fits", _spectrum, "pha.fits"),
    Sample("rmf.fits", EDispKernel.read, "rmf.fits"),
    Sample("sparse.fits", Map.read, "sparse.fits"),
    *(Sample(f"{name}.fits", _fermi, "ccube.fits") for name in ("ccube", "bexpcube", "psf", "drm")),
    Sample("maps.fits", Maps.read, "maps.fits"),
    Sample("regionmap.fits", Map.read, "regionmap.fits"),
    Sample("gti.fits", GTI.read, "gti.fits"),
    Sample("points.fits", _flux_points, "points.fits"),
    Sample("points.ecsv", _flux_points, "points.ecsv"),
    Sample("curve.fits", FluxPoints.read, "curve.fits"),
    Sample("datasets.yaml", _datasets, "datasets.yaml"),
    Sample("models.yaml", Models.read, "models.yaml"),
    Sample("models_covariance.dat", Models.read, "models.yaml"),
]


def write_samples(folder):
    """Write all files into an empty folder."""
    dataset = make_dataset(npix=(12, 10), n_true=4)
    dataset.meta_table = _meta_table()
    dataset.write(folder / "map.fits")
    dataset.write(folder / "lazy.fits", checksum=True)
    make_dataset(npix=(12, 10), n_true=4, reco_psf=True, edisp="migra", models=None).write(folder / "reco.fits.gz")
    _write_spectra(make_dataset(npix=(12, 10), n_true=4, mask=False, models=None), folder)
    dataset.edisp.get_edisp_kernel(energy_axis=dataset.counts.geom.axes["energy"]).write(folder / "rmf.fits")
    geom = WcsGeom.create(npix=(6, 5), binsz=0.2, axes=[MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)])
    data = np.zeros(geom.data_shape)
    data[:, 2:4, 1:3] = 3.5
    Map.from_geom(geom, data=data, unit="s").write(folder / "sparse.fits", sparse=True)
    Maps(counts=dataset.counts, background=dataset.background).write(folder / "maps.fits")
    make_files(folder)
    dataset.counts.to_region_nd_map().write(folder / "regionmap.fits")
    dataset.gti.write(folder / "gti.fits")
    _write_points(folder)
    models = make_models()
    for number, parameter in enumerate(models.parameters):
        parameter.error = 0.1 * (number + 1)
    matrix = models.covariance.data
    matrix[0, 1] = matrix[1, 0] = 0.3 * np.sqrt(matrix[0, 0] * matrix[1, 1])
    models.covariance = matrix
    models.write(folder / "models.yaml")
    (folder / "datasets.yaml").write_text(
        "datasets:\n-   name: test\n    type: MapDataset\n    filename: map.fits\n-   name: points\n    type: FluxPointsDataset\n"
        "    filename: points.fits\n",
        encoding="utf-8",
    )


def _meta_table():
    from astropy.table import Table

    return Table({"OBS_ID": [1, 2], "TELESCOP": ["cta", "cta"]})


def _write_spectra(dataset, folder):
    from regions import CircleSkyRegion

    region = CircleSkyRegion(dataset.counts.geom.center_skydir, 0.3 * u.deg)
    spectrum = dataset.to_spectrum_dataset(region, containment_correction=False)
    spectrum.write(folder / "region.fits")
    counts_off = spectrum.counts.copy(data=np.round(6 * spectrum.background.data))
    on_off = SpectrumDatasetOnOff.from_spectrum_dataset(spectrum, acceptance=1.0, acceptance_off=6.0, counts_off=counts_off, name="test")
    on_off.write(folder / "onoff.fits")
    on_off.write(folder / "pha.fits", format="ogip")


def _write_points(folder):
    from astropy.table import Table

    edges = np.geomspace(1, 10, 5) * u.TeV
    flux = 3e-12 * np.sqrt(edges[:-1] * edges[1:]).value ** -2.3
    columns = {"e_min": edges[:-1], "e_max": edges[1:], "e_ref": np.sqrt(edges[:-1] * edges[1:])}
    columns |= {"dnde": flux * u.Unit("cm-2 s-1 TeV-1"), "dnde_err": 0.2 * flux * u.Unit("cm-2 s-1 TeV-1")}
    points = FluxPoints.from_table(Table(columns, meta={"SED_TYPE": "dnde"}), reference_model=PowerLawSpectralModel())
    FluxPointsDataset(data=points, name="test").write(folder / "points.fits")
    FluxPointsDataset(data=points, name="test").write(folder / "points.ecsv")
    table = Table({"time_min": [55000.0, 55001.0], "time_max": [55000.5, 55001.5]})
    for name, values in columns.items():
        table[name] = np.stack([values.value, values.value]) * values.unit
    table.meta = {"SED_TYPE": "dnde", "MJDREFI": 0, "MJDREFF": 0.0, "TIMESYS": "utc", "TIMEUNIT": "d"}
    FluxPoints.from_table(table, reference_model=PowerLawSpectralModel()).write(folder / "curve.fits")


def contents(value):
    """What is in an object that was read, as a list of arrays and texts that can be compared."""
    if isinstance(value, Datasets):
        return [part for dataset in value for part in contents(dataset)]
    if isinstance(value, Maps):
        return [*value, *(part for map_ in value.values() for part in contents(map_))]
    if isinstance(value, FluxPointsDataset):
        return [*_maps_of(value.data), value.mask]
    if isinstance(value, FluxPoints):
        return _maps_of(value)
    if isinstance(value, GTI):
        return [value.met_start.value, value.met_stop.value, value.time_ref.mjd]
    if isinstance(value, EDispKernel):
        return [value.pdf_matrix, *(axis.edges.value for axis in value.axes)]
    if isinstance(value, Models):
        return [value.covariance.data, str(value.to_dict(full_output=True))]
    if isinstance(value, Map | RegionNDMap):
        return [value.data, str(value.unit), str(value.geom), *(str(axis.center) for axis in value.geom.axes)]
    parts = []
    for name in value._fields:
        field = getattr(value, name) if name != "background" or value.tag[-5:] != "OnOff" else None
        for part in (field, getattr(field, "exposure_map", None)):
            part = getattr(part, "psf_map", None) or getattr(part, "edisp_map", None) or part
            if isinstance(part, Map | RegionNDMap | GTI):
                parts += contents(part)
    return parts


def _maps_of(points):
    return [values for name in points.available_quantities for values in contents(getattr(points, name))]


def statistic(value):
    """Statistics and predictions of what was read, a list of numbers; empty for what has none."""
    if isinstance(value, Datasets):
        return [float(value.stat_sum())]
    if isinstance(value, FluxPoints):
        return []
    if isinstance(value, FluxPointsDataset):
        value.models = [SkyModel(spectral_model=PowerLawSpectralModel(index=2.2, amplitude="3e-12 cm-2 s-1 TeV-1"), name="pl")]
        return [float(value.stat_sum())]
    if isinstance(value, MapDataset):
        is_region = value.counts is not None and value.counts.geom.is_region
        value.models = make_models()[:1] if is_region else make_models()
        return [float(value.stat_sum()), float(value.npred_signal().data.sum())]
    if isinstance(value, GTI):
        return [float(value.time_sum.value)]
    if isinstance(value, Models):
        return [float(np.abs(value.covariance.data).sum())]
    return []
