"""Folding a map with an energy dispersion, and fit masks for the length of a block."""

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import GeometryError, UnitMismatchError
from gpudl4.datasets import Datasets, apply_edisp, set_and_restore_mask_fit, split_dataset
from gpudl4.datasets import utils as module
from gpudl4.irf import EDispKernel
from gpudl4.maps import LabelMapAxis, Map, MapAxis
from tests.arrays import assert_close, assert_same, host
from tests.datasets.makers import make_kind

TRUE = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=6, name="energy_true")
RECO = MapAxis.from_energy_bounds("2 TeV", "10 TeV", nbin=3)


def test_names_of_the_module():
    assert module.split_dataset is split_dataset
    assert module.apply_edisp is apply_edisp


def test_a_map_is_folded(backend):
    kernel = EDispKernel.from_gauss(energy_axis_true=TRUE, energy_axis=RECO, sigma=0.1, bias=0)
    models = LabelMapAxis(["a", "b"], name="models")
    cube = Map.create(npix=(4, 3), binsz=0.1, axes=[TRUE, models], dtype=float, unit="s")
    cube.data = np.arange(cube.data.size, dtype=float).reshape(cube.data.shape)
    folded = apply_edisp(cube.to_device(backend), kernel)
    assert folded.geom.axes.names == ["energy", "models"]
    assert folded.unit == "s"
    assert folded.backend == backend
    assert_close(folded, np.einsum("mtyx,tr->mryx", cube.data, kernel.pdf_matrix), rtol=1e-12)


def test_without_a_dispersion_the_axis_is_renamed():
    cube = Map.create(npix=3, axes=[TRUE], unit="s")
    cube.data += 2
    folded = apply_edisp(cube, None)
    assert folded.geom.axes["energy"].nbin == 6
    assert_same(folded, cube.data)


def test_maps_that_cannot_be_folded():
    kernel = EDispKernel.from_diagonal_response(TRUE, RECO)
    with pytest.raises(GeometryError, match=r"needs an axis 'energy_true', the map has: \['energy'\]"):
        apply_edisp(Map.create(npix=3, axes=[RECO]), kernel)
    with pytest.raises(GeometryError, match="the map has 3 true energies, the energy dispersion 6"):
        apply_edisp(Map.create(npix=3, axes=[RECO.copy(name="energy_true")]), kernel)


def test_masks_are_set_and_restored(backend):
    first, second = (make_kind("MapDataset", name=name).to_device(backend) for name in ("first", "second"))
    edges = first.counts.geom.axes["energy"].edges
    own = first.mask_fit = first.counts.geom.energy_mask(energy_max=edges[2]).to_device(backend)
    second.mask_fit = None
    inside = host(first.counts.geom.energy_mask(edges[1], edges[3]))
    with set_and_restore_mask_fit([first, second], energy_min=edges[1], energy_max=edges[3]) as chosen:
        assert isinstance(chosen, Datasets)
        assert chosen.names == ["first", "second"]
        assert_same(first.mask_fit, inside & host(own))
        assert_same(second.mask_fit, inside)
    assert_same(first.mask_fit, own)
    assert second.mask_fit is None
    with set_and_restore_mask_fit([first, second], energy_min=edges[2]) as chosen:
        assert chosen.names == ["second"]
    with set_and_restore_mask_fit([first], energy_min=edges[2], operator=None) as chosen:
        assert chosen.names == ["first"]


def test_masks_are_restored_after_an_error():
    dataset = make_kind("SpectrumDataset")
    before = dataset.mask_fit
    with pytest.raises(ZeroDivisionError), set_and_restore_mask_fit([dataset], energy_min=1 * u.TeV):
        raise ZeroDivisionError
    assert dataset.mask_fit is before
    with pytest.raises(UnitMismatchError), set_and_restore_mask_fit([dataset, dataset], energy_min=1 * u.m):
        pass
    assert dataset.mask_fit is before


@pytest.mark.peer
@pytest.mark.parametrize("options", [{"round_to_edge": True}, {"operator": np.logical_or}])
def test_masks_are_those_of_gammapy(options):
    utils = pytest.importorskip("gammapy.datasets.utils")
    masks = []
    for library, manager in (("gpudl4", set_and_restore_mask_fit), ("gammapy", utils.set_and_restore_mask_fit)):
        dataset = make_kind("MapDataset", library=library)
        with manager([dataset], mask_fit=dataset.counts > 0, energy_min=2 * u.TeV, **options):
            masks.append(host(dataset.mask_fit))
    assert_same(masks[0], masks[1])
