"""Merged pixels and bins of responses: containments and probabilities stay what they are, means are weighted by exposure."""

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.errors import GeometryError
from gpudl4.irf import EDispKernelMap, EDispMap, PSFMap, RecoPSFMap
from gpudl4.maps import Map, MapAxis, RegionGeom, WcsGeom
from tests.arrays import assert_close, host

TRUE = MapAxis.from_energy_bounds("1 TeV", "100 TeV", nbin=6, name="energy_true")
RECO = MapAxis.from_energy_bounds("1 TeV", "100 TeV", nbin=4)
RAD = MapAxis.from_bounds(0, 0.6, 30, unit="deg", name="rad")
MIGRA = MapAxis.from_bounds(0.2, 5, 96, name="migra")
IMAGE = WcsGeom.create(npix=(6, 4), binsz=0.5)
SIGMA = [0.1, 0.09, 0.08, 0.07, 0.06, 0.05] * u.deg


def with_exposure(irf, seed=1):
    """The response with a random exposure, and the exposure as an array of the number of dimensions of the response."""
    rng = np.random.default_rng(seed)
    irf.exposure_map.data = rng.uniform(0.1, 10, irf.exposure_map.data.shape).astype("float32")
    return irf, irf.exposure_map.data.astype(float)


def psf(**kwargs):
    return PSFMap.from_gauss(TRUE, rad_axis=RAD, sigma=SIGMA, geom=IMAGE, **kwargs)


def kernels():
    return EDispKernelMap.from_gauss(RECO, TRUE, sigma=0.2, bias=0, geom=IMAGE)


def migra():
    edisp = EDispMap.from_geom(IMAGE.to_cube([MIGRA, TRUE]))
    density = np.exp(-0.5 * ((MIGRA.center - 1) / 0.2) ** 2)
    density /= (density * MIGRA.bin_width).sum()
    edisp.edisp_map.data = np.broadcast_to(np.asarray(density)[:, np.newaxis, np.newaxis], edisp.edisp_map.data.shape).copy()
    return edisp


MAKERS = {"psf": psf, "kernels": kernels, "migra": migra}


@pytest.mark.parametrize("name", MAKERS)
def test_true_energies_are_averaged_with_the_exposure(backend, name):
    irf, exposure = with_exposure(MAKERS[name]())
    values = irf._irf_map.data.astype(float)
    merged = irf.to_device(backend).downsample(3, axis_name="energy_true")
    wanted = (values * exposure).reshape(2, 3, *values.shape[1:]).sum(axis=1) / exposure.reshape(2, 3, *exposure.shape[1:]).sum(axis=1)
    assert_close(merged._irf_map, wanted, rtol=1e-6)
    assert_close(merged.exposure_map, exposure.reshape(2, 3, *exposure.shape[1:]).mean(axis=1), rtol=1e-6)


@pytest.mark.parametrize("name", MAKERS)
def test_pixels_are_averaged_with_the_exposure(backend, name):
    irf, exposure = with_exposure(MAKERS[name]())
    irf.exposure_map.data[..., 0, 0] = 0  # where nothing is known, nothing counts
    exposure[..., 0, 0] = 0
    irf._irf_map.data[..., 0, 0] = 0
    merged = irf.to_device(backend).downsample(2)
    blocks = (irf._irf_map.data * exposure).reshape(*irf._irf_map.data.shape[:-2], 2, 2, 3, 2).sum(axis=(-3, -1))
    assert_close(merged._irf_map, blocks / exposure.reshape(*exposure.shape[:-2], 2, 2, 3, 2).sum(axis=(-3, -1)), rtol=1e-6)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("known", [True, False])
def test_a_response_without_exposure_is_averaged_equally(name, known):
    irf = MAKERS[name]()
    values = irf._irf_map.data.astype(float)
    irf = type(irf)(irf._irf_map, irf.exposure_map.copy(data=0.0) if known else None)
    assert_close(irf.downsample(2, axis_name="energy_true")._irf_map, 0.5 * (values[::2] + values[1::2]), rtol=1e-6)


def test_rings_keep_their_containment(backend):
    irf, _ = with_exposure(psf())
    merged = irf.to_device(backend).downsample(3, axis_name="rad")
    position, edges = IMAGE.center_skydir, merged.psf_map.geom.axes["rad"].edges[1:]
    for energy in TRUE.center:
        wanted, got = (m.containment(edges, energy, position=position) for m in (irf, merged.to_host()))
        assert_close(u.Quantity(got).value, u.Quantity(wanted).value, rtol=1e-6)
        assert np.max(u.Quantity(got).value) < 1.01
    assert_close(merged.exposure_map, irf.exposure_map)


def test_containment_of_merged_energies_lies_between():
    irf, _ = with_exposure(psf())
    merged = irf.downsample(2, axis_name="energy_true")
    rad = np.linspace(0.02, 0.6, 8) * u.deg
    for low, high, energy in zip(TRUE.center[::2], TRUE.center[1::2], merged.psf_map.geom.axes["energy_true"].center, strict=True):
        first, second, between = (np.ravel(u.Quantity(m.containment(rad, e))) for m, e in ((irf, low), (irf, high), (merged, energy)))
        assert (between >= np.minimum(first, second) - 1e-6).all()
        assert (between <= np.maximum(first, second) + 1e-6).all()


def test_rows_of_energy_dispersion_keep_their_sum(backend):
    irf, _ = with_exposure(kernels())
    rows = host(irf.edisp_map).sum(axis=1)
    there = irf.to_device(backend)
    reco = there.downsample(2, axis_name="energy")
    assert_close(host(reco.edisp_map).sum(axis=1), rows, rtol=1e-6)
    true = host(there.downsample(2, axis_name="energy_true").edisp_map).sum(axis=1)
    assert (true <= np.maximum(rows[::2], rows[1::2]) * (1 + 1e-6)).all()
    assert (true >= np.minimum(rows[::2], rows[1::2]) * (1 - 1e-6)).all()


def test_migrations_stay_densities(backend):
    irf, _ = with_exposure(migra())
    merged = irf.to_device(backend).downsample(4, axis_name="migra")
    width = merged.edisp_map.geom.axes["migra"].bin_width.value
    assert_close((host(merged.edisp_map) * width[:, np.newaxis, np.newaxis]).sum(axis=1), 1, rtol=1e-5)


def test_what_cannot_be_merged():
    with pytest.raises(GeometryError, match="EDispKernelMap has no axis 'rad' to downsample; it has energy, energy_true"):
        kernels().downsample(2, axis_name="rad")
    reco = RecoPSFMap(Map.from_geom(IMAGE.to_cube([RAD, RECO]), unit="sr-1"))
    with pytest.raises(GeometryError, match="RecoPSFMap cannot be downsampled in reconstructed energy"):
        reco.downsample(2, axis_name="energy")
    one = EDispKernelMap.from_gauss(RECO, TRUE, sigma=0.2, bias=0, geom=RegionGeom.create("icrs;circle(0, 0, 1)"))
    with pytest.raises(GeometryError, match="EDispKernelMap of a region has no pixels to merge: name one of the axes"):
        one.downsample(2)
    assert one.downsample(2, axis_name="energy_true").edisp_map.data.shape[0] == 3
