"""Whatever joins datasets or their bins, for any counts: counts and predictions are conserved, order and grouping do not matter."""

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudl4.datasets import Datasets, MapDataset
from gpudl4.irf import EDispKernelMap, PSFMap
from gpudl4.maps import Map, MapAxis, WcsGeom
from gpudl4.models import GaussianSpatialModel, PowerLawSpectralModel, SkyModel
from tests.arrays import assert_close, host
from tests.datasets.makers import KINDS, make_kind

FEW = settings(max_examples=6, deadline=None)
SEEDS = st.integers(0, 4)
TYPES = ["uint8", "int16", "int32", "float32"]


def inside(dataset, field="counts"):
    """Sum of a field inside mask_safe, in double precision."""
    values = host(getattr(dataset, field)).astype(float)
    return float(np.where(host(dataset.mask_safe), values, 0).sum() if dataset.mask_safe is not None else values.sum())


def with_counts(kind, dtype, value, seed=0):
    dataset = make_kind(kind, seed=seed, name=f"{kind}-{seed}")
    for field in ("counts", "counts_off"):
        if field in dataset._fields:
            setattr(dataset, field, dataset.counts.copy(data=np.full(dataset.counts.data.shape, value, dtype=dtype)))
    return dataset


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_counts_of_any_type_are_conserved(backend, kind, dtype):
    value = 200 if dtype == "uint8" else 30000
    dataset = with_counts(kind, dtype, value).to_device(backend)
    wanted = inside(dataset)
    joined = [dataset.to_image(), dataset.downsample(dataset.counts.geom.axes["energy"].nbin, axis_name="energy"), dataset.to_masked()]
    if not dataset.counts.geom.is_region:
        joined.append(dataset.downsample(4))
    for result in joined:
        assert float(host(result.counts).sum(dtype=float)) == pytest.approx(wanted, rel=1e-6)
        if "counts_off" in dataset._fields:
            assert float(host(result.counts_off).sum(dtype=float)) == pytest.approx(inside(dataset, "counts_off"), rel=1e-6)
    assert dataset.info_dict()["counts"] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32"])
@pytest.mark.parametrize("kind", KINDS)
def test_stacks_of_integers_do_not_wrap(backend, kind, dtype):
    value = 200 if dtype == "uint8" else 30000
    dataset = with_counts(kind, dtype, value).to_device(backend)
    total = dataset.copy(name="total")
    for _ in range(3):
        total.stack(dataset)
    wanted = value * (1 + 3 * (host(dataset.mask_safe) if dataset.mask_safe is not None else np.ones((), bool)))
    assert_close(total.counts, np.broadcast_to(wanted, dataset.counts.data.shape), rtol=1e-12)
    assert total.counts.data.dtype == np.int64


def test_excess_of_unsigned_counts():
    dataset = with_counts("MapDataset", "uint8", 3)
    dataset.background = dataset.counts.copy(data=np.full(dataset.counts.data.shape, 5, dtype="uint8"))
    assert (dataset.excess.data == -2).all()


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(seeds=st.permutations([0, 1, 2]))
def test_order_and_grouping_of_stacks_do_not_matter(kind, seeds):
    runs = {seed: make_kind(kind, seed=seed, name=f"run{seed}") for seed in (0, 1, 2)}
    wanted = Datasets([runs[seed] for seed in (0, 1, 2)]).stack_reduce(name="all")
    other = Datasets([runs[seed] for seed in seeds]).stack_reduce(name="other")
    first = Datasets([runs[seed] for seed in seeds[:2]]).stack_reduce(name="pair")
    grouped = Datasets([first, runs[seeds[2]]]).stack_reduce(name="grouped")
    fields = ["counts", "exposure"] + (["counts_off", "acceptance"] if "counts_off" in wanted._fields else ["background"])
    for result in (other, grouped):
        for name in fields:
            if getattr(wanted, name) is not None:
                scale = np.abs(host(getattr(wanted, name))).max()
                assert_close(getattr(result, name), getattr(wanted, name), rtol=1e-5, atol=1e-6 * scale)
        assert (host(result.mask_safe) == host(wanted.mask_safe)).all()
    assert_close(other.edisp.edisp_map, wanted.edisp.edisp_map, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wholly_masked_adds_nothing(kind):
    dataset, other = make_kind(kind, seed=0), make_kind(kind, seed=1)
    total = dataset.copy(name="total")
    before = host(total.counts).copy()
    other.mask_safe = other.counts.copy(data=np.zeros(other.counts.data.shape, dtype=bool), unit="")
    total.stack(other)
    assert_close(total.counts, before, rtol=0)
    assert_close(total.exposure, dataset.exposure, rtol=0)
    nothing = other.to_image()
    assert not host(nothing.counts).any()
    assert not host(nothing.mask_safe).any()


def field_with_responses(nbin):
    """Dataset whose responses and exposure vary with energy and not on the sky; `nbin` true energies."""
    energy = MapAxis.from_energy_bounds("1 TeV", "100 TeV", nbin=4)
    true = MapAxis.from_energy_bounds("1 TeV", "100 TeV", nbin=nbin, name="energy_true")
    geom = WcsGeom.create(npix=60, binsz=0.05, axes=[energy], proj="TAN")
    image = WcsGeom.create(npix=2, binsz=2)
    falling = np.linspace(3, 1, nbin)[:, np.newaxis, np.newaxis]
    exposure = Map.from_geom(geom.to_image().to_cube([true]), data=1e12 * falling * np.ones((60, 60)), unit="cm2 s")
    psf = PSFMap.from_gauss(true, sigma=np.linspace(0.12, 0.06, nbin) * u.deg, geom=image)
    edisp = EDispKernelMap.from_gauss(energy, true, sigma=0.15, bias=0, geom=image)
    for irf in (psf, edisp):
        irf.exposure_map.data = np.broadcast_to(falling[:, np.newaxis], irf.exposure_map.data.shape).astype("float32").copy()
    return MapDataset(counts=Map.from_geom(geom, data=0.0), exposure=exposure, psf=psf, edisp=edisp, name="field")


def test_merged_true_energies_conserve_predicted_counts(kernel_backend):
    """With equal fluxes in the bins that are merged (index 1 in logarithmic bins), and up to how a PSF kernel is made, exactly."""
    dataset = field_with_responses(12)
    model = SkyModel(
        spectral_model=PowerLawSpectralModel(index=1, amplitude="1e-10 cm-2 s-1 TeV-1"),
        spatial_model=GaussianSpatialModel(sigma="0.2 deg"),
        name="source",
    )
    merged = dataset.downsample(2, axis_name="energy_true")
    assert merged.exposure.data.shape[0] == 6
    assert merged.psf.psf_map.data.shape[0] == merged.edisp.edisp_map.data.shape[0] == 6
    assert_close(merged.counts, dataset.counts)
    predictions = []
    for each in (dataset, merged):
        each = each.to_device(kernel_backend)
        each.models = [model]
        predictions.append(host(each.npred_signal()).astype(float))
    assert_close(predictions[1].sum(axis=(1, 2)), predictions[0].sum(axis=(1, 2)), rtol=1e-3)
    assert_close(predictions[1], predictions[0], rtol=0, atol=0.01 * predictions[0].max())


@pytest.mark.parametrize("kind", KINDS)
def test_other_axes_leave_the_rest_alone(kind):
    dataset = make_kind(kind, seed=1)
    number = dataset.exposure.data.shape[0]
    merged = dataset.downsample(number, axis_name="energy_true")
    for name in ("counts", "background", "counts_off", "acceptance", "acceptance_off", "mask_safe"):
        if dataset._values.get(name) is not None:
            assert_close(getattr(merged, name), getattr(dataset, name), rtol=0)
    assert_close(merged.exposure, host(dataset.exposure).astype(float).mean(axis=0, keepdims=True), rtol=1e-6)
