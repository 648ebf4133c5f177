"""Numbers that a field of a dataset cannot mean are refused, or are zero with a warning; those that files of gammapy have stay legal."""

import functools
import warnings

import numpy as np
import pytest

from gpudl4.core.errors import DatasetError, GPUDL4Error
from gpudl4.datasets import MapDataset, MapDatasetOnOff
from gpudl4.datasets.fields import ON_OFF_FIELDS, TABLES, main_map
from gpudl4.datasets.numbers import RULES
from gpudl4.fit import Fit
from gpudl4.irf import EDispKernelMap, PSFMap
from tests.factory import make_dataset

BAD = (np.nan, np.inf, -np.inf, -1000.0, 1e35)


@functools.cache
def made(**options):
    return make_dataset(npix=(10, 8), n_true=4, models=None, **options)


def small(**options):
    """A small dataset that a test may change."""
    return made(**options).copy(name="test")


def dataset_with(name, place, value, **options):
    """Dataset one of whose responses has another value somewhere; the field is checked when it is set."""
    dataset = small(**options)
    response = getattr(dataset, name).copy()
    response._irf_map.data[place] = value
    setattr(dataset, name, response)
    return dataset


def test_every_field_has_a_rule():
    for table in TABLES.values():
        assert {field.numbers for field in table} <= set(RULES)
    assert {field.name: field.numbers for field in ON_OFF_FIELDS} == {
        "counts": "in mask",
        "counts_off": "in mask",
        "acceptance": "in mask",
        "acceptance_off": "in mask",
        "exposure": "exposure",
        "psf": "response",
        "edisp": "response",
        "mask_safe": "mask",
        "mask_fit": "mask",
        "gti": "ordered",
        "meta_table": "any",
    }


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("name", ["psf", "edisp"])
@pytest.mark.parametrize("place", [2, (1, 0), (2, 1, 1, 1), ...])
@pytest.mark.parametrize("options", [{}, {"reco_psf": True, "edisp": "migra"}])
def test_damaged_responses(name, value, place, options):
    if place is ... and np.isnan(value):
        pytest.skip("nothing is known of it, see below")
    with pytest.raises(DatasetError, match=f"field {name}: .* are NaN, infinite or negative where there is exposure"):
        dataset_with(name, place, value, **options)


@pytest.mark.parametrize("name", ["psf", "edisp"])
def test_responses_of_unknown_pixels_are_zero_there(name):
    """NaN in all values of a pixel, or where its exposure is zero, as masked parts of a field of view have it."""
    with pytest.warns(UserWarning, match=f"field {name}: .* values that are not finite, where there is no exposure, are taken as 0"):
        dataset = dataset_with(name, (slice(None), slice(None), 0, 1), np.nan)
    data = main_map(dataset._fields[name], getattr(dataset, name)).data
    assert (data[:, :, 0, 1] == 0).all()
    assert data[:, :, 1, 1].any()
    response = getattr(small(), name)
    response._irf_map.data[0, :, 1, 1] = np.nan
    response.exposure_map.data[...] = 1
    response.exposure_map.data[0, 0, 1, 1] = 0
    with pytest.warns(UserWarning, match="where there is no exposure"):
        setattr(dataset, name, response)
    assert (main_map(dataset._fields[name], getattr(dataset, name)).data[0, :, 1, 1] == 0).all()
    assert np.isnan(response._irf_map.data[0, :, 1, 1]).all()  # the user's own is not touched


@pytest.mark.parametrize("name", ["psf", "edisp"])
def test_zeros_and_rounding_are_legal(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = dataset_with(name, (0, slice(None), 1, 1), 0.0)
        response = getattr(dataset, name).copy()
        largest = response._irf_map.data.max()
        response._irf_map.data[1, 2, 0, 0] = -1e-9 * largest
        setattr(dataset, name, response)
        assert main_map(dataset._fields[name], getattr(dataset, name)).data[1, 2, 0, 0] < 0


@pytest.mark.parametrize("name", ["psf", "edisp"])
def test_exposures_of_responses(name):
    dataset = small()
    response = getattr(dataset, name).copy()
    response.exposure_map.data[1, 0, 0, 0] = np.nan
    with pytest.warns(UserWarning, match=f"field {name}: 1 values of its exposure are NaN and are taken as 0"):
        setattr(dataset, name, response)
    assert getattr(dataset, name).exposure_map.data[1, 0, 0, 0] == 0
    assert isinstance(getattr(dataset, name), PSFMap if name == "psf" else EDispKernelMap)
    for value in (np.inf, -1.0):
        response.exposure_map.data[1, 0, 0, 0] = value
        with pytest.raises(DatasetError, match="values of its exposure are infinite or negative"):
            setattr(dataset, name, response)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("name", ["mask_fit", "mask_safe"])
def test_masks_and_weights(name, value):
    dataset = small()
    mask = getattr(dataset, name)
    weights = mask.copy(data=mask.data.astype("float32"))
    setattr(dataset, name, weights)
    weights = weights.copy(data=np.where(mask.data, value, 0.0).astype("float32"))
    with pytest.raises(DatasetError, match="weights that are finite and not negative"):
        setattr(dataset, name, weights)


@pytest.mark.parametrize("name", ["psf", "edisp"])
@pytest.mark.parametrize("value", BAD)
def test_files_with_damaged_responses_are_named(tmp_path, name, value):
    dataset = small()
    getattr(dataset, name)._irf_map.data[2] = value
    dataset.write(tmp_path / "a.fits")
    with pytest.raises(DatasetError, match=r"a\.fits': dataset 'test', field"):
        MapDataset.read(tmp_path / "a.fits")
    lazy = MapDataset.read(tmp_path / "a.fits", lazy=True)
    with pytest.raises(DatasetError, match=r"a\.fits': dataset 'test', field"):
        getattr(lazy, name)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("name", ["acceptance", "acceptance_off", "counts_off"])
def test_off_data_count_inside_the_mask(name, value):
    plain = make_dataset(npix=(10, 8), n_true=4)
    off = plain.counts.copy(data=np.full(plain.counts.data.shape, 5.0))
    dataset = MapDatasetOnOff.from_map_dataset(plain, acceptance=1.0, acceptance_off=4.0, counts_off=off)
    dataset.models = plain.models[:1]
    expected = dataset.stat_sum()
    outside, inside = np.argwhere(~dataset.mask.data)[0], np.argwhere(dataset.mask.data)[0]
    for place, is_legal in ((outside, True), (inside, False)):
        field = getattr(dataset, name).copy()
        field.data = field.data.astype(float)
        field.data[tuple(place)] = value
        damaged = dataset.copy(name=dataset.name)
        damaged.models = dataset.models
        setattr(damaged, name, field)
        if is_legal:
            assert damaged.stat_sum() == expected
            continue
        for use in (damaged.stat_sum, lambda: Fit().run(damaged)):  # noqa: B023
            with pytest.raises(DatasetError, match=f"{name} must be .* finite inside the mask, but 1 of the bins"):
                use()


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in ("counts", "exposure") for value in (np.nan, np.inf, -1.0)] + [("background", np.nan)]
)
def test_what_a_fit_looks_at(name, value):
    dataset = make_dataset(npix=(10, 8), n_true=4)
    getattr(dataset, name).data[1, 4, 5] = value
    with pytest.raises(GPUDL4Error, match=name):
        dataset.stat_sum()


def test_exposures_that_overflow():
    dataset = small()
    exposure = dataset.exposure.copy(data=dataset.exposure.data.astype(float))
    exposure.data[0, 0, 0] = np.nan  # outside of the mask
    dataset.exposure = exposure
    for value in (1e308, np.inf):
        exposure.data[2, 0, 0] = value
        with pytest.raises(DatasetError, match=r"field exposure: 1 of \d+ values are above 1e\+30"):
            dataset.exposure = exposure
