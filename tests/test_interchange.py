"""Datasets of gammapy and of gpudl4 become each other in memory, with models; both predict the same counts."""

import builtins
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time

import gpudl4
import gpudl4.datasets
from gpudl4.core.errors import DatasetError, MissingLibraryError, ModelError
from gpudl4.interchange import MODULES, _models, _value
from tests.factory import get_library, make_dataset
from tests.paths import shared_data

pytestmark = pytest.mark.peer
peer = pytest.importorskip("gammapy.datasets")


def assert_same_map(ours, theirs):
    assert ours.data.dtype == np.dtype(theirs.data.dtype).newbyteorder("=")
    np.testing.assert_array_equal(ours.data, theirs.data)
    assert ours.unit == theirs.unit
    assert ours.geom.frame == theirs.geom.frame
    for axis, other in zip(ours.geom.axes, theirs.geom.axes, strict=True):
        assert (axis.name, axis.interp, axis.node_type, axis.nbin) == (other.name, other.interp, other.node_type, other.nbin)
        np.testing.assert_allclose(axis.edges.to_value(other.unit), other.edges.value, rtol=1e-14)
    if theirs.geom.is_region:
        assert ours.geom.region is theirs.geom.region
    else:
        for mine, other in zip(ours.geom.to_image().get_coord(), theirs.geom.to_image().get_coord(), strict=True):
            np.testing.assert_allclose(u.Quantity(mine).value, u.Quantity(other).value, atol=1e-10)


def assert_same_dataset(ours, theirs):
    """Every field of a map dataset."""
    assert ours.name == theirs.name
    for key in ("counts", "exposure", "background", "mask_safe", "mask_fit"):
        assert (getattr(ours, key) is None) == (getattr(theirs, key) is None), key
        if getattr(ours, key) is not None:
            assert_same_map(getattr(ours, key), getattr(theirs, key))
    for key in ("psf", "edisp"):
        mine, other = getattr(ours, key), getattr(theirs, key)
        assert type(mine).__name__ == type(other).__name__
        if mine is not None:
            assert_same_map(getattr(mine, f"{key}_map"), getattr(other, f"{key}_map"))
            assert (mine.exposure_map is None) == (other.exposure_map is None)
            if mine.exposure_map is not None:
                assert_same_map(mine.exposure_map, other.exposure_map)
    assert ours.exposure.meta == theirs.exposure.meta
    assert (ours.gti is None) == (theirs.gti is None)
    if ours.gti is not None and len(ours.gti.table):
        assert abs((ours.gti.time_start - theirs.gti.time_start).to_value("s")).max() < 1e-6
    assert (ours.meta_table is None) == (theirs.meta_table is None)
    if ours.meta_table is not None:
        assert ours.meta_table.colnames == theirs.meta_table.colnames


def source(library, lon, lat, frame, reference="1 TeV", amplitude="3e-12 cm-2 s-1 TeV-1"):
    m = get_library(library).models
    return m.Models(
        [
            m.SkyModel(
                spectral_model=m.LogParabolaSpectralModel(amplitude=amplitude, reference=reference, alpha=2.3, beta=0.1),
                spatial_model=m.PointSpatialModel(lon_0=lon * u.deg, lat_0=lat * u.deg, frame=frame),
                name="source",
            )
        ]
    )


# kinds of made-up datasets


@pytest.mark.parametrize(
    "options", [{}, {"reco_psf": True, "frame": "icrs", "proj": "TAN"}, {"edisp": "migra"}, {"edisp": None, "mask": False}]
)
def test_made_up_datasets(options):
    theirs = make_dataset(library="gammapy", **options)
    theirs.meta_table = Table({"TELESCOP": ["X"], "OBS_ID": [3]})
    ours = gpudl4.from_gammapy(theirs)
    assert_same_dataset(ours, theirs)
    assert ours.models.names == theirs.models.names
    npred = theirs.npred().data
    np.testing.assert_allclose(ours.npred().data, npred, atol=1e-6 * npred.max())
    assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-6)
    back = gpudl4.to_gammapy(ours)
    assert type(back) is peer.MapDataset
    assert_same_dataset(back, theirs)
    np.testing.assert_array_equal(back.npred().data, npred)


def test_what_was_converted_is_independent():
    theirs = make_dataset(library="gammapy")
    ours = gpudl4.from_gammapy(theirs)
    ours.counts.data += 1
    ours.models["point"].spectral_model.index.value = 3
    ours.exposure.meta["livetime"] *= 2
    assert theirs.counts.data.sum() == ours.counts.data.sum() - ours.counts.data.size
    assert theirs.models["point"].spectral_model.index.value == 2.2
    assert theirs.exposure.meta["livetime"] == 3600 * u.s


def test_parameters_links_and_covariance_come_along():
    theirs = peer.Datasets([make_dataset("a", library="gammapy", models=None), make_dataset("b", library="gammapy", models=None)])
    m = get_library("gammapy").models
    first, second = source("gammapy", 0.1, 0, "galactic")[0], source("gammapy", 0.5, 0, "galactic")[0].copy(name="second")
    models = m.Models([first, second, m.FoVBackgroundModel(dataset_name="b", name="b-bkg")])
    models[1].spectral_model.alpha = models[0].spectral_model.alpha
    models[0].spectral_model.beta.min, models[0].spectral_model.beta.frozen = -1, True
    models[0].datasets_names = ["a"]
    variances = np.arange(1.0, len(models.parameters) + 1) ** 2
    variances[8] = 0  # a linked parameter has the row of its first place, as after a fit
    models.covariance = np.diag(variances)
    theirs.models = models
    ours = gpudl4.from_gammapy(theirs)
    back = gpudl4.to_gammapy(ours)
    for datasets in (ours, back):
        assert datasets.names == ["a", "b"]
        assert datasets.models.names == theirs.models.names
        alpha, other = (datasets.models[name].spectral_model.alpha for name in ("source", "second"))
        assert alpha is other
        beta = datasets.models["source"].spectral_model.beta
        assert (beta.min, beta.frozen) == (-1, True)
        assert alpha.error == theirs.models["source"].spectral_model.alpha.error > 0
        assert datasets[1].models.names == ["second", "b-bkg"]
        np.testing.assert_allclose(datasets.models.covariance.data, theirs.models.covariance.data)
    assert type(ours) is gpudl4.Datasets
    assert type(back) is peer.Datasets


def test_lists_and_data_alone():
    theirs = [make_dataset(name, library="gammapy") for name in ("a", "b")]
    ours = gpudl4.from_gammapy(theirs, models=False)
    assert ours.names == ["a", "b"]
    assert not ours.models


def test_device_arrays_come_to_the_host(device):
    ours = make_dataset()
    back = gpudl4.to_gammapy(ours.to_device(device))
    np.testing.assert_array_equal(back.counts.data, ours.counts.data)
    assert back.psf.psf_map.data.dtype == ours.psf.psf_map.data.dtype


def test_empty_intervals():
    theirs = make_dataset(library="gammapy", models=None)
    theirs.gti = theirs.gti.select_time(Time(["2000-01-01", "2000-01-02"]))
    ours = gpudl4.from_gammapy(theirs)
    assert len(ours.gti) == 0
    assert len(gpudl4.to_gammapy(ours).gti.table) == 0


# real data


REAL = {
    "hawc-crab/nHit-5.fits.gz": (83.63, 22.01, "icrs", "7 TeV", "2.3e-13 cm-2 s-1 TeV-1", 1e-6),
    "cta-1dc-gc/cta-gc-stacked.fits.gz": (-0.05, -0.05, "galactic", "1 TeV", "2.8e-12 cm-2 s-1 TeV-1", 1e-6),
    # PSF kernels are cut at other energies in gammapy, see docs/migration.md
    "fermi-3fhl-gc/fermi-3fhl-gc.fits.gz": (0.0, 0.0, "galactic", "0.1 TeV", "1e-10 cm-2 s-1 TeV-1", 1e-3),
}


@pytest.mark.parametrize("file", REAL)
def test_real_datasets(file):
    lon, lat, frame, reference, amplitude, tolerance = REAL[file]
    theirs = peer.MapDataset.read(shared_data(file), name="real")
    if file.startswith("cta"):
        theirs = theirs.cutout(theirs.counts.geom.center_skydir, width="2 deg", name="real")
    assert_same_dataset(gpudl4.from_gammapy(theirs), theirs)
    theirs.models = source("gammapy", lon, lat, frame, reference, amplitude)
    ours = gpudl4.from_gammapy(theirs)
    npred = theirs.npred_signal().data
    assert npred.max() > 0
    planes = slice(0, -1 if file.startswith("fermi") else None)  # gammapy's kernel of the last energy is empty
    np.testing.assert_allclose(ours.npred_signal().data[planes], npred[planes], atol=tolerance * npred.max())
    assert_same_dataset(gpudl4.to_gammapy(ours), theirs)


def spectra(kind):
    if not hasattr(gpudl4.datasets, kind):
        pytest.skip(f"gpudl4 has no {kind} yet")
    files = ["joint-crab/hess/pha_obs23523.fits", "joint-crab/magic/pha_obs5029747.fits"]
    theirs = peer.Datasets([peer.SpectrumDatasetOnOff.read(shared_data(file)) for file in files])
    m = get_library("gammapy").models
    model = m.LogParabolaSpectralModel(amplitude="3.8e-11 cm-2 s-1 TeV-1", reference="1 TeV", alpha=2.5, beta=0.1)
    theirs.models = m.Models([m.SkyModel(model, name="crab")])
    return theirs


def test_spectra():
    theirs = spectra("SpectrumDatasetOnOff")
    ours = gpudl4.from_gammapy(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        for key in ("counts", "counts_off", "acceptance", "acceptance_off", "mask_safe"):
            assert_same_map(getattr(mine, key), getattr(other, key))
        npred = other.npred_signal().data
        np.testing.assert_allclose(mine.npred_signal().data, npred, atol=1e-6 * npred.max())
        assert mine.stat_sum() == pytest.approx(other.stat_sum(), rel=1e-6)
    for back, other in zip(gpudl4.to_gammapy(ours), theirs, strict=True):
        np.testing.assert_array_equal(back.acceptance_off.data, other.acceptance_off.data)
        assert back.stat_sum() == pytest.approx(other.stat_sum(), rel=1e-12)


@pytest.mark.parametrize("file", ["crab_hess_fp.fits", "pks2155_hess_lc.fits"])
def test_flux_points(file):
    if not hasattr(gpudl4.datasets, "FluxPointsDataset"):
        pytest.skip("gpudl4 has no FluxPointsDataset yet")
    estimators = pytest.importorskip("gammapy.estimators")
    m = get_library("gammapy").models
    form = {"format": "lightcurve"} if "_lc" in file else {"reference_model": m.PowerLawSpectralModel(amplitude="4e-11 cm-2 s-1 TeV-1")}
    points = estimators.FluxPoints.read(shared_data("flux-points", file), **form)
    theirs = peer.FluxPointsDataset(data=points, name="points", meta_table=Table({"TELESCOP": ["HESS"]}))
    ours = gpudl4.from_gammapy(theirs)
    back = gpudl4.to_gammapy(ours)
    for dataset in (ours, back):
        assert dataset.name == "points"
        for name in points.available_quantities:
            np.testing.assert_array_equal(dataset.data._data[name].data, points._data[name].data, err_msg=name)
            assert dataset.data._data[name].geom.axes.names == points._data[name].geom.axes.names
        np.testing.assert_allclose(dataset.data.dnde.quantity, points.dnde.quantity, rtol=1e-12)
        np.testing.assert_array_equal(dataset.mask_safe.data, theirs.mask_safe.data)
    assert type(back.data) is estimators.FluxPoints
    if "_lc" not in file:
        model = m.SkyModel(m.PowerLawSpectralModel(index=2.5, amplitude="4e-11 cm-2 s-1 TeV-1"), name="crab")
        theirs.models = [model]
        assert gpudl4.from_gammapy(theirs).stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-9)


# kinds without a class, and bad input


def test_other_kinds_are_found_by_name_and_filled_by_argument(monkeypatch):
    class SpectrumDatasetOnOff:
        def __init__(self, models=None, counts=None, counts_off=None, acceptance=None, exposure=None, mask_safe=None, name=None):
            self.fields = {"counts": counts, "counts_off": counts_off, "acceptance": acceptance, "exposure": exposure, "name": name}

    theirs = peer.SpectrumDatasetOnOff.read(shared_data("pks2155-steady/pks2155-304_steady.fits.gz"))
    monkeypatch.setattr(gpudl4.datasets, "SpectrumDatasetOnOff", SpectrumDatasetOnOff, raising=False)
    fields = gpudl4.from_gammapy(theirs).fields
    assert fields.pop("name") == "stacked"
    for key, value in fields.items():
        assert_same_map(value, getattr(theirs, key))


def test_kinds_that_are_not_there(monkeypatch):
    class Strange(peer.MapDataset):
        pass

    with pytest.raises(DatasetError, match="dataset 'x': gpudl4 has no Strange"):
        gpudl4.from_gammapy(Strange(name="x"))


@pytest.mark.parametrize("given", [3, [], [3], None])
def test_something_else_is_given(given):
    with pytest.raises(DatasetError, match=r"a dataset, Datasets or a list of datasets of gammapy was wanted, got builtins."):
        gpudl4.from_gammapy(given)
    with pytest.raises(DatasetError, match="of gpudl4 was wanted"):
        gpudl4.to_gammapy(given)


def test_the_wrong_direction():
    with pytest.raises(DatasetError, match=r"of gpudl4 was wanted, got gammapy\.datasets\.map\.MapDataset"):
        gpudl4.to_gammapy(make_dataset(library="gammapy", models=None))


def test_models_without_counterpart():
    theirs = make_dataset(library="gammapy", models=None)
    m = get_library("gammapy").models
    theirs.models = [m.SkyModel(m.PowerLawSpectralModel(), name="odd")]
    dict_ = theirs.models.to_dict
    theirs.models.__dict__["to_dict"] = lambda **options: {"components": [dict_(**options)["components"][0] | {"type": "OddModel"}]}
    holder = SimpleNamespace(to_dict=theirs.models.to_dict, covariance=theirs.models.covariance)
    with pytest.raises(ModelError, match=r"cannot be converted: .*OddModel.*models=False"):
        _models(holder, SimpleNamespace(name="gpudl4", modules=MODULES["gpudl4"]))


def test_geometries_that_cannot_be_converted():
    maps = get_library("gammapy").maps
    axis = maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)
    sizes = np.array([4, 8])
    geom = maps.WcsGeom(maps.WcsGeom.create(npix=8, binsz=0.1).wcs, npix=(sizes, sizes), cdelt=(0.8 / sizes, 0.8 / sizes), axes=[axis])
    theirs = SimpleNamespace(geom=geom, unit="", data=np.zeros((2, 8, 8)), meta={})
    with pytest.raises(DatasetError, match="the map has another pixel size at each energy"):
        _value(theirs, SimpleNamespace(name="gpudl4", modules=MODULES["gpudl4"]), "dataset 'x', field counts")


def test_without_gammapy(monkeypatch):
    real = builtins.__import__

    def refusing(name, *args, **options):
        if name.split(".")[0] == "gammapy":
            raise ModuleNotFoundError("No module named 'gammapy'", name="gammapy")
        return real(name, *args, **options)

    dataset = make_dataset(models=None)
    monkeypatch.setattr(builtins, "__import__", refusing)
    for function in (gpudl4.from_gammapy, gpudl4.to_gammapy):
        with pytest.raises(MissingLibraryError, match="pip install gammapy"):
            function(dataset)
