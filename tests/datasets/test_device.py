"""Datasets whose arrays live on a device: everything a person does with one gives what it gives on the host, there."""

import copy
import pickle

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import BackendError, DeviceMemoryError
from gpudl4.datasets import Datasets, MapDataset
from gpudl4.datasets.fields import MAP_FIELDS, main_map
from gpudl4.maps import Map
from tests import emulator
from tests.arrays import assert_close, assert_same
from tests.factory import make_dataset, make_models

POSITION = SkyCoord(0.4, -0.2, unit="deg", frame="galactic")
KINDS = {
    "kernels": {},
    "reco psf": {"reco_psf": True},
    "migra": {"edisp": "migra"},
    "bare": {"edisp": None, "mask": False},
}


def arrays_of(dataset):
    """Name and map of each array of a dataset, exposures of responses included."""
    for field in MAP_FIELDS:
        value = getattr(dataset, field.name)
        if main_map(field, value) is not None:
            yield field.name, main_map(field, value)
            if getattr(value, "exposure_map", None) is not None:
                yield f"{field.name} exposure", value.exposure_map


def agree(there, here, device, rtol=0):
    """Same arrays as on the host, all on the device."""
    mine, other = dict(arrays_of(there)), dict(arrays_of(here))
    assert mine.keys() == other.keys()
    for name in mine:
        assert mine[name].backend == device, name
        assert mine[name].data.dtype == other[name].data.dtype, name
        assert_close(mine[name], other[name], rtol=rtol)


@pytest.fixture
def host():
    return make_dataset()


# ---- moving ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(device, kind):
    host = make_dataset(**KINDS[kind])
    there = host.to_device()
    assert there.backend == device
    assert host.backend.name == there.to_host().backend.name == "numpy"
    agree(there, host, device)
    for (name, back), (_, original) in zip(arrays_of(there.to_host()), arrays_of(host), strict=True):
        assert type(back.data) is np.ndarray, name
        assert_same(back, original)


def test_what_moves_and_what_is_kept(host, device):
    there = host.to_device(device)
    assert there.name == "test"
    assert there.models is host.models
    assert there.gti is host.gti
    assert there.exposure.meta == host.exposure.meta
    again = there.to_device("cupy")
    assert again.counts.data is there.counts.data
    assert again.psf.exposure_map.data is there.psf.exposure_map.data
    assert MapDataset().backend.name == "numpy"
    with pytest.raises(BackendError, match="unknown backend 'tpu'"):
        host.to_device("tpu")


def test_collections_move_together(device):
    datasets = Datasets([make_dataset(name="a"), make_dataset(name="b")])
    moved = datasets.to_device()
    assert moved.names == ["a", "b"]
    assert all(dataset.backend == device for dataset in moved)
    assert moved["a"].models["point"] is datasets["a"].models["point"]
    assert moved.to_host()["b"].backend.name == "numpy"
    assert moved.copy()["b"].backend == device
    agree(pickle.loads(pickle.dumps(moved))["a"], datasets["a"], device)


def test_too_little_memory_names_the_field(host):
    with emulator.installed() as cupy:
        nbytes = cupy.get_default_memory_pool().used_bytes() + host.counts.data.nbytes + 100
        with (
            emulator.configure(memory_bytes=nbytes),
            pytest.raises(DeviceMemoryError, match=r"for dataset 'test', field exposure: an array of shape \(5, 20, 24\)") as caught,
        ):
            host.to_device("cupy")
        assert caught.value.wanted == host.exposure.data.nbytes
        assert caught.value.free == 100
        assert "What helps: dtype='float32', a smaller region (dataset.cutout)" in str(caught.value)


# ---- views and parts ---------------------------------------------------------------------------------------------------------------

VIEWS = {
    "mask": lambda d: d.mask,
    "mask_image": lambda d: d.mask_image,
    "mask_safe_image": lambda d: d.mask_safe_image,
    "mask_fit_image": lambda d: d.mask_fit_image,
    "mask_safe_psf": lambda d: d.mask_safe_psf,
    "mask_safe_edisp": lambda d: d.mask_safe_edisp,
    "excess": lambda d: d.excess,
    "energy_range low": lambda d: d.energy_range[0],
    "energy_range high": lambda d: d.energy_range[1],
    "energy_range_safe": lambda d: d.energy_range_safe[0],
    "energy_range_fit": lambda d: d.energy_range_fit[1],
    "copy": lambda d: d.copy().background,
    "spectrum": lambda d: d.counts.get_spectrum(weights=d.mask),
}


@pytest.mark.parametrize("kind", KINDS)
def test_views(device, kind):
    host = make_dataset(**KINDS[kind])
    there = host.to_device(device)
    for name, view in VIEWS.items():
        got, wanted = view(there), view(host)
        assert (got is None) == (wanted is None), name
        if got is not None:
            assert got.backend == device, name
            assert got.data.dtype == wanted.data.dtype, name
            assert_close(got, wanted, rtol=1e-6)
    assert there.energy_range_total == host.energy_range_total
    assert there.geoms == host.geoms
    assert there.data_shape == host.data_shape


def test_masks_are_combined_without_transfers(host, device, limits):
    there = host.to_device(device)
    with limits():
        maps = there.mask, there.mask_image, there.excess, there.copy().counts
    assert all(data_map.backend == device for data_map in maps)


def test_cutouts_and_copies(host, device, limits):
    there = host.to_device(device)
    with limits():
        part = there.cutout(POSITION, width=1 * u.deg)
    agree(part, host.cutout(POSITION, width=1 * u.deg), device)
    agree(there.cutout(POSITION, 5 * u.deg, mode="partial"), host.cutout(POSITION, 5 * u.deg, mode="partial"), device)
    agree(there.copy(), host, device)
    agree(copy.deepcopy(there), host, device)
    part.counts.data[...] = 0
    agree(there, host, device)


# ---- stacking ----------------------------------------------------------------------------------------------------------------------


def pair(kind, move):
    options = {**KINDS[kind], "models": None}
    return [move(make_dataset(name=name, random_state=seed, **options)) for name, seed in (("a", 1), ("b", 2))]


@pytest.mark.parametrize("kind", ["kernels", "migra", "bare"])
def test_stacking(device, kind):
    (there, second), (here, other) = pair(kind, lambda d: d.to_device(device)), pair(kind, lambda d: d)
    for dataset in (second, other):
        dataset.exposure.data[0, :5] = np.nan
    there.stack(second)
    here.stack(other)
    agree(there, here, device, rtol=1e-6)
    there.stack(second.cutout(POSITION, 1 * u.deg))
    here.stack(other.cutout(POSITION, 1 * u.deg))
    agree(there, here, device, rtol=1e-6)
    assert there.exposure.meta == here.exposure.meta
    assert there.gti.time_sum == here.gti.time_sum


def test_stacking_makes_missing_masks_where_the_dataset_is(device):
    first, second = pair("kernels", lambda d: d.to_device(device))
    first.mask_fit = None
    first.stack(second)
    assert first.mask_fit.backend == device
    assert_same(first.mask_fit, second.mask_fit)


def test_stack_reduce_and_to_masked(device):
    hosts = Datasets(pair("kernels", lambda d: d))
    there = hosts.to_device(device)
    agree(there[0].to_masked(), hosts[0].to_masked(), device, rtol=1e-6)
    agree(there.stack_reduce(), hosts.stack_reduce(), device, rtol=1e-6)


# ---- predictions, and what is done with them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_predictions(kernel_device, kind):
    host = make_dataset(**KINDS[kind])
    there = host.to_device(kernel_device)
    for predict in (
        lambda d: d.npred(),
        lambda d: d.npred_background(),
        lambda d: d.npred_signal(),
        lambda d: d.npred_signal("gauss"),
        lambda d: d.npred_signal(stack=False),
    ):
        got, wanted = predict(there), predict(host)
        assert got.backend == kernel_device
        assert (got.geom, got.meta, got.data.dtype) == (wanted.geom, wanted.meta, wanted.data.dtype)
        assert_close(got, wanted, rtol=1e-9, atol=1e-12)
    assert there.stat_sum() == pytest.approx(host.stat_sum(), rel=1e-11)


@pytest.mark.parametrize("models", [None, "all"])
def test_residuals_and_statistic(kernel_device, models):
    host = make_dataset(models=models)
    there = host.to_device(kernel_device)
    for method in ("diff", "diff/model", "diff/sqrt(model)"):
        for smoothing in ({}, {"width": "0.15 deg"}):
            got = there.residuals(method, **smoothing)
            assert got.backend == kernel_device
            assert_close(got, host.residuals(method, **smoothing), rtol=1e-6, atol=1e-9)
    assert isinstance(there.stat_array(), kernel_device.xp.ndarray)
    assert_close(there.stat_array(), host.stat_array(), rtol=1e-9)
    assert there.stat_sum() == pytest.approx(host.stat_sum(), rel=1e-11)


def test_prediction_is_not_negative(kernel_device):
    host = make_dataset()
    host.models["gauss"].spectral_model.amplitude.value = -1e-9
    there = host.to_device(kernel_device)
    assert float(there.npred_signal().data.min()) < 0
    assert float(there.npred().data.min()) == 0
    assert_close(there.npred(), host.npred(), rtol=1e-9)


@pytest.mark.parametrize("models", [None, "all"])
def test_fake(kernel_device, models):
    host = make_dataset(models=models)
    there = host.to_device(kernel_device)
    for dataset in (there, host):
        dataset.fake(42)
    assert there.counts.backend == kernel_device
    assert_same(there.counts, host.counts)
    assert there.counts.data.dtype == np.float64


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("models", [None, "all"])
def test_summaries(kernel_device, kind, models):
    host = make_dataset(models=models, **KINDS[kind])
    there = host.to_device(kernel_device)
    for select in (True, False):
        mine, other = there.info_dict(select), host.info_dict(select)
        assert mine.keys() == other.keys()
        for key, value in other.items():
            if isinstance(value, str):
                assert mine[key] == value
            else:
                assert not isinstance(mine[key], kernel_device.xp.ndarray)
                assert u.isclose(mine[key], value, rtol=1e-6, equal_nan=True), key
    lines = str(host).splitlines()
    lines.insert(4, "  Device                          : cuda:0")
    assert str(there).splitlines() == lines
    assert "cuda:0" in there._repr_html_()
    assert there._repr_html_().count("<td") == host._repr_html_().count("<td") + 2
    assert "cuda:0" not in str(host)


def test_tables_of_collections(kernel_device):
    hosts = Datasets([make_dataset(name="a"), make_dataset(name="b", random_state=1)])
    there = hosts.to_device(kernel_device)
    for cumulative in (False, True):
        mine, other = there.info_table(cumulative), hosts.info_table(cumulative)
        assert mine.colnames == other.colnames
        for name in ("counts", "background", "excess", "npred", "exposure_max", "n_fit_bins"):
            np.testing.assert_allclose(u.Quantity(mine[name]).value, u.Quantity(other[name]).value, rtol=1e-6)
    assert there.contributes_to_stat.tolist() == [True, True]
    assert str(there) == str(hosts)
    assert there.stat_sum() == pytest.approx(hosts.stat_sum(), rel=1e-11)
    assert there.stat_sum_likelihood() == pytest.approx(hosts.stat_sum_likelihood(), rel=1e-11)
    assert len(there.gti) == 2
    assert there.meta_table.colnames == ["NAME", "TYPE"]


# ---- files -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_files(device, tmp_path, kind):
    host = make_dataset(**KINDS[kind])
    host.to_device(device).write(tmp_path / "a.fits")
    agree(MapDataset.read(tmp_path / "a.fits", backend="cupy"), host, device)
    for (name, mine), (_, other) in zip(arrays_of(MapDataset.read(tmp_path / "a.fits")), arrays_of(host), strict=True):
        assert type(mine.data) is np.ndarray, name
        assert_same(mine, other)


def test_lists_of_datasets(device, tmp_path):
    datasets = Datasets([make_dataset(name="a"), make_dataset(name="b")])
    models = make_models("a")
    datasets.models = models
    datasets.to_device(device).write(tmp_path / "d.yaml", filename_models=tmp_path / "m.yaml")
    again = Datasets.read(tmp_path / "d.yaml", filename_models=tmp_path / "m.yaml", backend=device)
    agree(again["b"], datasets["b"], device)
    assert again.models.names == models.names
    assert Datasets.read(tmp_path / "d.yaml")["a"].backend.name == "numpy"


def test_auto_means_a_gpu_that_works(device, tmp_path, monkeypatch):
    make_dataset().write(tmp_path / "a.fits")
    monkeypatch.delenv("GPUDL4_BACKEND", raising=False)
    assert MapDataset.read(tmp_path / "a.fits", backend="auto").backend == device
    monkeypatch.setenv("GPUDL4_BACKEND", "numpy")
    assert MapDataset.read(tmp_path / "a.fits", backend="auto").backend.name == "numpy"


def test_backend_is_checked_before_files_are_read(tmp_path):
    for reader in (MapDataset.read, Datasets.read):
        with pytest.raises(BackendError, match="unknown backend 'tpu'"):
            reader(tmp_path / "no such file", backend="tpu")


# ---- mixtures ----------------------------------------------------------------------------------------------------------------------


def test_mixed_fields_are_refused_at_the_door(host, device):
    there = host.to_device(device)
    message = r"dataset 'test': all fields must live on one device, got counts on cuda:0, background on cpu: move the new field"
    with pytest.raises(BackendError, match=message):
        there.background = host.background
    with pytest.raises(BackendError, match="got counts on cuda:0, psf on cpu"):
        there.psf = host.psf
    with pytest.raises(BackendError, match=r"dataset 'x': .* got counts on cpu, mask_fit on cuda:0"):
        MapDataset(counts=host.counts, mask_fit=there.mask_fit, name="x")
    assert there.background.backend == device
    there.mask_fit = Map.from_geom(host.counts.geom, data=True).to_device(device)
    assert there.mask_fit.backend == device


def test_mixed_stacking_is_refused_before_anything_changes(device):
    first, second = pair("kernels", lambda d: d)
    before = first.counts.data.copy()
    with pytest.raises(BackendError, match=r"dataset 'b' on cuda:0 cannot be stacked on 'a' on cpu: use to_device\(\) or to_host\(\)"):
        first.stack(second.to_device(device))
    with pytest.raises(BackendError, match="dataset 'b' on cpu cannot be stacked on 'a' on cuda:0"):
        first.to_device(device).stack(second)
    assert_same(first.counts, before)


def test_quantities_say_where_to_go(host, device):
    with pytest.raises(BackendError, match=r"quantity needs data on the host, but they are on cuda:0: call .to_host\(\) first"):
        host.to_device(device).exposure.quantity  # noqa: B018
