"""Energy dispersion against gammapy: matrices on the real files, migra maps, stacking and files."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

import gpudl4.irf
import gpudl4.maps
from gpudl4.irf import EDispKernel, EDispKernelMap, EDispMap
from gpudl4.maps import Map, MapAxis, WcsGeom
from tests.irf.cases import FILES, ours, positions, theirs

gammapy_irf = pytest.importorskip("gammapy.irf")
gammapy_maps = pytest.importorskip("gammapy.maps")
pytestmark = pytest.mark.peer


def axes(axis_class):
    true = axis_class.from_energy_bounds("0.1 TeV", "100 TeV", nbin=12, name="energy_true")
    reco = axis_class.from_energy_bounds("300 GeV", "30000 GeV", nbin=7, name="energy")
    migra = axis_class.from_bounds(0.2, 5, nbin=48, name="migra", node_type="edges")
    return true, reco, migra


@pytest.mark.parametrize("name", FILES)
def test_kernel_on_real_files(name):
    mine, peer = ours(name), theirs(name)
    for position in [*positions(mine.geom, number=5), None]:
        kernel = mine.edisp.get_edisp_kernel(position=position)
        expected = peer.edisp.get_edisp_kernel(position=position)
        assert np.array_equal(kernel.pdf_matrix, expected.pdf_matrix), position
        assert kernel.axes.names == expected.axes.names


def migra_maps(seed=0):
    rng = np.random.default_rng(seed)
    out = []
    data = None
    for axis_class, geom_class, map_class, edisp_class in (
        (MapAxis, WcsGeom, Map, EDispMap),
        (gammapy_maps.MapAxis, gammapy_maps.WcsGeom, gammapy_maps.Map, gammapy_irf.EDispMap),
    ):
        true, reco, migra = axes(axis_class)
        geom = geom_class.create(skydir=(83.6, 22), npix=(5, 4), binsz=0.7, axes=[migra, true])
        if data is None:
            centre = migra.center.value.reshape(1, -1, 1, 1)
            bias = 0.05 * rng.normal(size=(12, 1, 4, 5))
            data = np.exp(-0.5 * ((centre - 1 - bias) / 0.2) ** 2) / 0.5
            exposure = rng.uniform(1, 2, (12, 1, 4, 5))
        exposure_map = map_class.from_geom(geom.squash("migra"), data=exposure.copy(), unit="m2 s")
        out.append((edisp_class(map_class.from_geom(geom, data=data.copy(), unit=""), exposure_map), reco))
    return out


def test_migra_map():
    (mine, reco), (peer, peer_reco) = migra_maps()
    for position in positions(mine.edisp_map.geom, number=4, radius=1 * u.deg):
        kernel = mine.get_edisp_kernel(reco, position=position)
        expected = peer.get_edisp_kernel(peer_reco, position=position)
        np.testing.assert_allclose(kernel.pdf_matrix, expected.pdf_matrix, rtol=0, atol=1e-13)
    kernel_map, expected = mine.to_edisp_kernel_map(reco), peer.to_edisp_kernel_map(peer_reco)
    np.testing.assert_allclose(kernel_map.edisp_map.data, expected.edisp_map.data, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(kernel_map.exposure_map.data, expected.exposure_map.data)
    assert kernel_map.exposure_map.geom.axes.names == expected.exposure_map.geom.axes.names


def test_diagonal_responses():
    true, reco, migra = axes(MapAxis)
    peer_true, peer_reco, peer_migra = axes(gammapy_maps.MapAxis)
    expected = gammapy_irf.EDispKernel.from_diagonal_response(peer_true, peer_reco)
    np.testing.assert_allclose(EDispKernel.from_diagonal_response(true, reco).pdf_matrix, expected.pdf_matrix, rtol=0, atol=1e-14)
    kernel_map = EDispKernelMap.from_diagonal_response(reco, true)
    expected = gammapy_irf.EDispKernelMap.from_diagonal_response(peer_reco, peer_true)
    np.testing.assert_allclose(kernel_map.edisp_map.data, expected.edisp_map.data, rtol=0, atol=1e-7)
    assert kernel_map.edisp_map.data.dtype == expected.edisp_map.data.dtype
    for arguments, peer_arguments in (((true,), (peer_true,)), ((true, migra), (peer_true, peer_migra))):
        edisp, expected = EDispMap.from_diagonal_response(*arguments), gammapy_irf.EDispMap.from_diagonal_response(*peer_arguments)
        np.testing.assert_allclose(edisp.edisp_map.data, expected.edisp_map.data, rtol=1e-9)
        assert edisp.exposure_map.unit == expected.exposure_map.unit


def test_gauss_and_moments():
    true, reco, _ = axes(MapAxis)
    peer_true, peer_reco, _ = axes(gammapy_maps.MapAxis)
    sigma = np.linspace(0.1, 0.3, 12)
    kernel = EDispKernel.from_gauss(true, reco, sigma=sigma, bias=0)
    expected = gammapy_irf.EDispKernel.from_gauss(peer_true, peer_reco, sigma=sigma[:, np.newaxis, np.newaxis].T, bias=0)
    np.testing.assert_allclose(kernel.pdf_matrix, expected.pdf_matrix, rtol=0, atol=1e-12)
    kernel = EDispKernel.from_gauss(true, reco, sigma=0.2, bias=0.1)
    expected = gammapy_irf.EDispKernel.from_gauss(peer_true, peer_reco, sigma=0.2, bias=0.1)
    np.testing.assert_allclose(kernel.pdf_matrix, expected.pdf_matrix, rtol=0, atol=1e-12)
    energy = [0.5, 1, 7] * u.TeV
    for method in ("get_mean", "get_bias", "get_resolution"):
        value, peer_value = getattr(kernel, method)(energy), getattr(expected, method)(energy)
        np.testing.assert_allclose(value.to_value(peer_value.unit), peer_value.value, rtol=1e-9, err_msg=method)
    np.testing.assert_allclose(kernel.to_image().data, expected.to_image().data, atol=1e-12)


@pytest.mark.parametrize("name", ["cta", "hawc-5", "fermi-gc"])
def test_fits_both_ways(name, tmp_path):
    mine, peer = ours(name).edisp, theirs(name).edisp
    mine.write(tmp_path / "ours.fits")
    peer.write(tmp_path / "theirs.fits")
    back = gammapy_irf.EDispKernelMap.read(tmp_path / "ours.fits")
    again = EDispMap.read(tmp_path / "theirs.fits")
    assert type(again) is type(mine)
    for first, second in ((back, peer), (again, mine)):
        np.testing.assert_array_equal(first.edisp_map.data, second.edisp_map.data)
        assert first.edisp_map.geom.axes == second.edisp_map.geom.axes
        assert (first.exposure_map is None) == (second.exposure_map is None)


def test_migra_fits_both_ways(tmp_path):
    (mine, _), (peer, _) = migra_maps()
    mine.write(tmp_path / "ours.fits")
    peer.write(tmp_path / "theirs.fits")
    np.testing.assert_array_equal(gammapy_irf.EDispMap.read(tmp_path / "ours.fits").edisp_map.data, peer.edisp_map.data)
    back = EDispMap.read(tmp_path / "theirs.fits")
    assert type(back) is EDispMap
    np.testing.assert_array_equal(back.edisp_map.data, mine.edisp_map.data)
    np.testing.assert_array_equal(back.exposure_map.data, mine.exposure_map.data)


def stacked(module_maps, module_irf, with_mask):
    """Two PSF and two energy-dispersion maps, the second ones cut out, stacked."""
    map_class, geom_class = module_maps.Map, module_maps.WcsGeom
    true, reco, _ = axes(module_maps.MapAxis)
    rng = np.random.default_rng(3)
    image = geom_class.create(skydir=(83.6, 22), npix=(8, 6), binsz=0.5)
    position = SkyCoord(84.2, 22.3, unit="deg")
    results = []
    for kind in ("psf", "edisp"):
        if kind == "psf":
            first, second = (module_irf.PSFMap.from_gauss(true, sigma=s * u.deg, geom=image) for s in (0.1, 0.2))
        else:
            first, second = (module_irf.EDispKernelMap.from_gauss(reco, true, sigma=s, bias=0, geom=image) for s in (0.1, 0.3))
        for irf in (first, second):
            irf.exposure_map.data = rng.uniform(1, 2, irf.exposure_map.data.shape)
        second = second.cutout(position, 1.5 * u.deg)
        weights = None
        if with_mask:
            geom = second.psf_map.geom.to_image() if kind == "psf" else second.edisp_map.geom.to_image().to_cube([reco])
            weights = map_class.from_geom(geom, data=np.random.default_rng(4).uniform(size=geom.data_shape) > 0.4)
        first.stack(second, weights=weights)
        results.append((first.psf_map if kind == "psf" else first.edisp_map).data)
        results.append(first.exposure_map.data)
    return results


@pytest.mark.parametrize("with_mask", [False, True])
def test_stack(with_mask):
    mine = stacked(gpudl4.maps, gpudl4.irf, with_mask)
    expected = stacked(gammapy_maps, gammapy_irf, with_mask)
    for value, peer_value in zip(mine, expected, strict=True):
        np.testing.assert_allclose(value, peer_value, rtol=1e-6, atol=1e-7 * np.max(peer_value))
