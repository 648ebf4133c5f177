"""Stacking, on each backend."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from gpudl4.core.errors import DatasetError, GeometryError
from gpudl4.datasets import Datasets, MapDataset
from gpudl4.datasets.stack import hstack_columns
from tests.arrays import assert_close, assert_same, host
from tests.factory import make_dataset


@pytest.fixture
def make(backend):
    """`make_dataset` without models, on each backend."""
    return lambda **options: make_dataset(models=None, **options).to_device(backend)


def test_only_the_other_is_masked(make):
    first, second = make(counts=1), make(counts=2, name="second")
    exposure = host(first.exposure).copy()
    safe = host(second.mask_safe)
    first.stack(second)
    assert_same(first.counts, np.where(safe, 3, 1))
    assert_close(first.exposure, exposure * (1 + safe.any(axis=0)), rtol=1e-6)
    assert first.exposure.meta["livetime"] == 7200 * u.s
    assert len(first.gti) == 2
    assert_same(first.mask_safe, safe)


def test_background_model_is_baked_in_once(kernel_backend):
    first, second = (make_dataset(name=name).to_device(kernel_backend) for name in ("test", "second"))
    expected = first.npred_background().data + second.npred_background().data * second.mask_safe.data
    first.stack(second)
    assert_close(first.npred_background(), expected, rtol=1e-5)
    assert first.models.names == ["point", "gauss"]


def test_stack_of_a_cutout(make):
    whole = make(counts=1)
    stacked = MapDataset.from_geoms(**whole.geoms).to_device(whole.backend)
    part = whole.cutout(SkyCoord(0.4, -0.2, unit="deg", frame="galactic"), width=1 * u.deg)
    stacked.stack(part)
    inside = np.zeros((20, 24), dtype=bool)
    inside[5:15, 7:17] = True
    assert_same(stacked.counts, (inside & host(whole.mask_safe)).astype("float32"))


def test_to_masked(make):
    dataset = make()
    masked = dataset.to_masked(name="masked")
    assert masked.name == "masked"
    assert_same(masked.counts, host(dataset.counts) * host(dataset.mask_safe))
    assert_same(masked.mask_safe, dataset.mask_safe)
    assert_same(masked.mask_fit, dataset.mask_fit)


def test_nan_counts_as_zero(make):
    first, second = make(), make(name="second")
    second.counts.data[:, 10, 10] = np.nan
    second.exposure.data[:, 10, 10] = np.nan
    counts, exposure = first.counts.data[:, 10, 10].copy(), first.exposure.data[:, 10, 10].copy()
    first.stack(second)
    assert_same(first.counts.data[:, 10, 10], counts)
    assert_same(first.exposure.data[:, 10, 10], exposure)


def test_what_cannot_be_stacked_is_refused_before_anything_changes(make):
    first, second = make(), make(name="second", edisp="migra")
    counts = first.counts.data.copy()
    with pytest.raises(
        DatasetError, match="'test' and 'second' cannot be stacked: edisp is a EDispKernelMap in one and a EDispMap in the other"
    ):
        first.stack(second)
    assert_same(first.counts, counts)
    reco = make(reco_psf=True)
    with pytest.raises(DatasetError, match="psf is in reconstructed energy"):
        reco.stack(make(reco_psf=True))
    first.edisp.exposure_map = None
    with pytest.raises(DatasetError, match="edisp has no exposure map, which would weight it; set it to None"):
        first.stack(make())


def test_other_geometry(make):
    with pytest.raises(GeometryError, match=r"geom|align|stack"):
        make().stack(make(frame="icrs"))


def test_columns_side_by_side():
    first, second = Table({"OBS_ID": [[1, 2]], "A": [["x"]]}), Table({"OBS_ID": [[3]], "B": [[1]]})
    stacked = hstack_columns(first, second)
    assert stacked.colnames == ["OBS_ID"]
    assert stacked["OBS_ID"].data.tolist() == [[1, 2, 3]]


@pytest.mark.peer
@pytest.mark.parametrize("edisp", ["kernel", "migra"])
def test_stacking_agrees_with_gammapy(backend, edisp):
    peer = pytest.importorskip("gammapy.datasets")

    def stack(library, gather):
        options = {"models": None, "edisp": edisp, "library": library}
        first = make_dataset(name="first", **options)
        second = make_dataset(name="second", random_state=1, **options)
        second.exposure.data *= 0.5
        second.psf.exposure_map.data *= 0.5
        second.psf.psf_map.data[:, :20] *= 2
        second.edisp.exposure_map.data *= 3
        second.mask_safe.data[:, :, 12:] = False
        second.mask_safe.data[1, :5] = False
        return gather([first, second]).stack_reduce(name="stacked")

    ours, theirs = stack("gpudl4", lambda pair: Datasets(pair).to_device(backend)), stack("gammapy", peer.Datasets)
    assert ours.backend == backend
    ours = ours.to_host()
    for name in ("counts", "exposure", "background", "mask_safe", "mask_fit"):
        np.testing.assert_allclose(getattr(ours, name).data, getattr(theirs, name).data, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(ours.psf.psf_map.data, theirs.psf.psf_map.data, rtol=1e-5)
    np.testing.assert_allclose(ours.edisp.edisp_map.data, theirs.edisp.edisp_map.data, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(ours.edisp.exposure_map.data, theirs.edisp.exposure_map.data, rtol=1e-6)
    assert ours.gti.time_sum.to_value("s") == pytest.approx(theirs.gti.time_sum.to_value("s"))
