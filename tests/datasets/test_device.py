"""Datasets whose arrays live on a device, on a double of CuPy that refuses to mix with NumPy arrays."""

import sys
import types

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gpudl4.core.errors import BackendError
from gpudl4.datasets import Datasets, MapDataset
from gpudl4.datasets.fields import MAP_FIELDS, main_map
from tests.factory import make_dataset


class DeviceArray(np.ndarray):
    """A NumPy array that behaves as if it lay on a device."""

    def get(self):
        return np.array(self.view(np.ndarray))

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        refuse_mixture(ufunc.__name__, [*inputs, *kwargs.values()])
        plain = [x.view(np.ndarray) if isinstance(x, DeviceArray) else x for x in inputs]
        kwargs = {key: x.view(np.ndarray) if isinstance(x, DeviceArray) else x for key, x in kwargs.items()}
        if out is not None:
            kwargs["out"] = tuple(x.view(np.ndarray) for x in out)
            getattr(ufunc, method)(*plain, **kwargs)
            return out[0]
        return on_device(getattr(ufunc, method)(*plain, **kwargs))

    def __array_function__(self, func, types, args, kwargs):
        refuse_mixture(func.__name__, [*args, *kwargs.values()])
        return on_device(super().__array_function__(func, types, args, kwargs))


def refuse_mixture(name, values):
    for value in values:
        if type(value) is np.ndarray and value.ndim:
            raise TypeError(f"{name}: a NumPy array was mixed with device arrays")
        if isinstance(value, tuple | list):
            refuse_mixture(name, value)


def on_device(value):
    if isinstance(value, tuple):
        return tuple(on_device(x) for x in value)
    return np.asarray(value).view(DeviceArray) if isinstance(value, np.ndarray | np.generic) else value


class FakeCuPy(types.ModuleType):
    ndarray = DeviceArray
    cuda = types.SimpleNamespace(Device=lambda: types.SimpleNamespace(id=0))

    def __getattr__(self, name):
        function = getattr(np, name)
        if not callable(function) or isinstance(function, type):
            return function

        def call(*args, **kwargs):
            return on_device(function(*args, **kwargs))

        return call

    @staticmethod
    def asarray(value, dtype=None):
        return np.array(value, dtype=dtype).view(DeviceArray)


@pytest.fixture
def device(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", FakeCuPy("cupy"))


@pytest.fixture
def dataset(device):
    return make_dataset().to_device("cupy")


def maps_of(dataset):
    for field in MAP_FIELDS:
        data_map = main_map(field, getattr(dataset, field.name))
        if data_map is not None:
            yield field.name, data_map


def test_to_device_and_back(dataset):
    host = make_dataset()
    assert dataset.name == "test"
    assert dataset.models.names == host.models.names
    for name, data_map in maps_of(dataset):
        assert isinstance(data_map.data, DeviceArray), name
    assert isinstance(dataset.edisp.exposure_map.data, DeviceArray)
    for (name, back), (_, original) in zip(maps_of(dataset.to_host()), maps_of(host), strict=True):
        assert type(back.data) is np.ndarray, name
        np.testing.assert_array_equal(back.data, original.data, err_msg=name)
    assert len(dataset.gti) == 2


def test_masks_and_copies_stay_on_the_device(dataset):
    position = SkyCoord(0.4, -0.2, unit="deg", frame="galactic")
    for data_map in (
        dataset.mask,
        dataset.mask_image,
        dataset.mask_safe_image,
        dataset.mask_safe_psf,
        dataset.excess,
        *dataset.energy_range,
        dataset.copy().counts,
        dataset.cutout(position, width=1 * u.deg).psf.psf_map,
    ):
        assert isinstance(data_map.data, DeviceArray)
    host = make_dataset()
    np.testing.assert_array_equal(dataset.mask_image.data.get(), host.mask_image.data)
    np.testing.assert_array_equal(dataset.energy_range[0].data.get(), host.energy_range[0].data)
    assert dataset.energy_range_total == host.energy_range_total


def test_stacking_on_the_device(device):
    def stacked(move):
        datasets = [make_dataset(name=name, models=None, random_state=seed) for name, seed in (("a", 1), ("b", 2))]
        first, second = (move(dataset) for dataset in datasets)
        first.stack(second)
        return first.to_host()

    there, here = stacked(lambda d: d.to_device("cupy")), stacked(lambda d: d)
    for (name, mine), (_, other) in zip(maps_of(there), maps_of(here), strict=True):
        np.testing.assert_array_equal(mine.data, other.data, err_msg=name)


def test_predictions_say_that_they_need_the_host(dataset):
    for verb in (dataset.npred, dataset.npred_background, dataset.npred_signal, dataset.stat_sum, dataset.stat_array, dataset.fake):
        with pytest.raises(BackendError, match=r"to_host\(\)"):
            verb()
    assert "to_host()" in str(dataset)


def test_files_are_written_from_the_host(dataset, tmp_path):
    dataset.write(tmp_path / "a.fits")
    again = MapDataset.read(tmp_path / "a.fits", backend="cupy")
    assert isinstance(again.counts.data, DeviceArray)
    np.testing.assert_array_equal(again.counts.data.get(), dataset.counts.data.get())


def test_collections_move_together(dataset):
    datasets = Datasets([make_dataset(name="a"), make_dataset(name="b")])
    moved = datasets.to_device("cupy")
    assert moved.names == ["a", "b"]
    assert all(isinstance(d.counts.data, DeviceArray) for d in moved)
    assert moved["a"].models["point"] is datasets["a"].models["point"]
    assert type(moved.to_host()["b"].counts.data) is np.ndarray


def test_mixed_assignment_is_refused_by_arithmetic(dataset):
    dataset.background = make_dataset().background
    with pytest.raises(BackendError, match="mixed"):
        dataset.excess  # noqa: B018
