import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import DatasetError, GeometryError, UnitMismatchError
from gpudl4.datasets import MapDataset
from gpudl4.datasets.fields import MAP_FIELDS, check_agreement, field_table, main_map
from gpudl4.irf import EDispKernelMap, PSFMap
from gpudl4.maps import Map, MapAxis
from tests.factory import make_dataset, make_geom


@pytest.fixture(scope="module")
def dataset():
    return make_dataset(models=None)


def fields_of(dataset, **changes):
    return {**{field.name: getattr(dataset, field.name) for field in MAP_FIELDS}, **changes}


def test_table_names_every_field_of_the_constructor_once():
    names = [field.name for field in field_table("MapDataset")]
    assert names == ["counts", "exposure", "background", "psf", "edisp", "mask_safe", "mask_fit", "gti", "meta_table"]
    assert all(isinstance(getattr(MapDataset, name), type(MapDataset.counts)) for name in names)
    assert len({field.hdu for field in MAP_FIELDS}) == len(MAP_FIELDS)


def test_main_map(dataset):
    by_name = {field.name: field for field in MAP_FIELDS}
    assert main_map(by_name["psf"], dataset.psf) is dataset.psf.psf_map
    assert main_map(by_name["counts"], dataset.counts) is dataset.counts
    assert main_map(by_name["gti"], dataset.gti) is None


def test_array_instead_of_a_map():
    with pytest.raises(DatasetError, match=r"dataset 'a', field counts: Map was wanted, got ndarray; wrap the array: Map\.from_geom"):
        MapDataset(counts=np.zeros((3, 20, 24)), name="a")


def test_kernel_instead_of_a_map_of_kernels(dataset):
    kernel = dataset.edisp.get_edisp_kernel(energy_axis=dataset.counts.geom.axes["energy"])
    with pytest.raises(
        DatasetError, match="field edisp: EDispMap or EDispKernelMap was wanted, got EDispKernel; EDispKernel belongs to one position"
    ):
        MapDataset(edisp=kernel)


@pytest.mark.parametrize("name", ["gti", "meta_table", "psf"])
def test_wrong_class(name):
    with pytest.raises(DatasetError, match=f"dataset 'a', field {name}: .* was wanted, got str"):
        MapDataset(**{name: "something"}, name="a")


def test_wrong_axes(dataset):
    with pytest.raises(GeometryError, match=r"field counts: axes \['energy_true'\] were given, \['energy'\] were wanted"):
        MapDataset(counts=dataset.exposure)
    with pytest.raises(GeometryError, match=r"field exposure: axes \['energy'\] were given, \['energy_true'\] were wanted"):
        MapDataset(exposure=dataset.counts)


def test_map_without_energies(dataset):
    with pytest.raises(GeometryError, match=r"field mask_safe: axes \[\] were given"):
        MapDataset(mask_safe=dataset.mask_safe_image)


@pytest.mark.parametrize(("name", "unit", "wanted"), [("exposure", "TeV", "cm2 s"), ("counts", "m2", ""), ("background", "s-1", "")])
def test_unit_that_does_not_convert(dataset, name, unit, wanted):
    value = getattr(dataset, name).copy(unit=unit)
    with pytest.raises(
        UnitMismatchError, match=f"dataset 'a', field {name} has unit '{u.Unit(unit)}', which does not convert to '{wanted}'"
    ):
        MapDataset(**{name: value}, name="a")


def test_unit_that_converts_is_kept(dataset):
    exposure = dataset.exposure.to_unit("cm2 h")
    assert MapDataset(exposure=exposure).exposure.unit == "cm2 h"


def test_masks_become_boolean(dataset):
    mask = dataset.mask_safe.copy(data=dataset.mask_safe.data.astype(int))
    assert MapDataset(mask_safe=mask).mask_safe.data.dtype == bool
    assert mask.data.dtype == int


def test_energy_axes_that_do_not_match(dataset):
    axis = MapAxis.from_energy_bounds("2 TeV", "10 TeV", nbin=3)
    other = Map.from_geom(dataset.counts.geom.to_image().to_cube([axis]))
    with pytest.raises(
        GeometryError,
        match="dataset 'a': background has 3 bins in energy from 2 TeV to 10 TeV, but counts has 3 bins in energy from 1 TeV to 10 TeV",
    ):
        MapDataset(counts=dataset.counts, background=other, name="a")


def test_shapes_that_do_not_match(dataset):
    other = Map.from_geom(make_geom(npix=(10, 20)), dtype=bool)
    with pytest.raises(GeometryError, match=r"mask_fit has shape \(3, 20, 10\), but counts has \(3, 20, 24\); both must have one geometry"):
        MapDataset(counts=dataset.counts, mask_fit=other)


def test_skies_that_do_not_match(dataset):
    exposure = make_dataset(models=None, frame="icrs").exposure
    with pytest.raises(GeometryError, match="exposure and counts have the same shape but lie differently on the sky"):
        MapDataset(counts=dataset.counts, exposure=exposure)


def test_edisp_needs_the_true_energies_of_the_exposure(dataset):
    axis_true = MapAxis.from_energy_bounds("0.3 TeV", "30 TeV", nbin=6, name="energy_true")
    edisp = EDispKernelMap.from_gauss(dataset.counts.geom.axes["energy"], axis_true, sigma=0.1, bias=0)
    with pytest.raises(GeometryError, match=r"edisp has 6 bins in energy_true from 0.3 TeV to 30 TeV, but exposure has 5 bins"):
        MapDataset(counts=dataset.counts, exposure=dataset.exposure, edisp=edisp)


def test_edisp_kernels_need_the_energies_of_the_counts(dataset):
    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=4)
    edisp = EDispKernelMap.from_gauss(axis, dataset.exposure.geom.axes["energy_true"], sigma=0.1, bias=0)
    with pytest.raises(GeometryError, match=r"edisp has 4 bins in energy .*, but counts has 3 bins in energy"):
        MapDataset(counts=dataset.counts, edisp=edisp)


def test_psf_in_true_energy_may_have_its_own_energies(dataset):
    axis_true = MapAxis.from_energy_bounds("0.3 TeV", "30 TeV", nbin=6, name="energy_true")
    psf = PSFMap.from_gauss(axis_true, sigma=0.1 * u.deg)
    assert MapDataset(counts=dataset.counts, exposure=dataset.exposure, psf=psf).psf is psf


def test_axes_agree_up_to_single_precision_and_units(dataset):
    edges = dataset.exposure.geom.axes["energy_true"].edges
    axis_true = MapAxis.from_energy_edges(edges.to("GeV").astype("float32"), name="energy_true")
    edisp = EDispKernelMap.from_gauss(dataset.counts.geom.axes["energy"], axis_true, sigma=0.1, bias=0)
    check_agreement(fields_of(dataset, edisp=edisp), "a")


def test_assignment_is_checked_too():
    dataset = make_dataset(models=None, name="a")
    with pytest.raises(DatasetError, match="dataset 'a', field mask_fit: Map was wanted, got ndarray"):
        dataset.mask_fit = np.ones((3, 20, 24), dtype=bool)
    with pytest.raises(GeometryError, match=r"dataset 'a': .* shape"):
        dataset.mask_fit = Map.from_geom(make_geom(npix=(10, 20)), dtype=bool)
    assert dataset.mask_fit.data.shape == (3, 20, 24)
    dataset.mask_fit = None
    assert dataset.mask_fit is None


def test_numbers_are_no_mask_of_safe_data(dataset):
    """Zeros and ones are; anything else may be weights, which have their place in mask_fit."""
    other = dataset.copy(name="other")
    numbers = other.counts.copy(data=np.where(other.counts.data > 0, 2.5, 0.0))
    with pytest.raises(DatasetError, match="field mask_safe: a mask was wanted, got numbers other than 0 and 1"):
        other.mask_safe = numbers
    other.mask_safe = numbers.copy(data=(numbers.data > 0).astype(float))
    assert other.mask_safe.data.dtype == bool
