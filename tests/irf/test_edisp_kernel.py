"""Energy-dispersion matrices: from migra densities, from overlaps, and their moments."""

import astropy.units as u
import numpy as np
import pytest

from gpudl4.core.backend import to_device, to_host
from gpudl4.core.errors import BackendError, GeometryError, UnitMismatchError
from gpudl4.irf import EDispKernel
from gpudl4.irf.edisp_kernel import migra_to_matrix, overlap_fraction
from gpudl4.maps import MapAxis

TRUE = MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", nbin=12, name="energy_true")
RECO = MapAxis.from_energy_bounds("300 GeV", "30000 GeV", nbin=6)
MIGRA = MapAxis.from_bounds(0.2, 5, nbin=160, name="migra")


def test_overlap_of_bins():
    matrix = overlap_fraction(RECO, TRUE)
    assert matrix.shape == (12, 6)
    for row, low, high in zip(matrix, TRUE.edges.value[:-1], TRUE.edges.value[1:], strict=True):
        inside = max(0, min(high, 30) - max(low, 0.3)) / (high - low)
        assert row.sum() == pytest.approx(inside)
    same = overlap_fraction(TRUE.copy(name="energy"), TRUE)
    assert same == pytest.approx(np.eye(12))


def test_migra_to_matrix_against_a_loop(backend):
    rng = np.random.default_rng(0)
    density = rng.uniform(0, 1, (12, 160)) * np.exp(-0.5 * ((MIGRA.center.value - 1) / 0.2) ** 2)
    matrix = to_host(migra_to_matrix(to_device(density, backend), MIGRA, RECO, TRUE))
    edges = MIGRA.edges.value
    for row, centre in enumerate(TRUE.center.value):
        cumulative = np.append(0, np.cumsum(density[row] * np.diff(edges)))
        values = np.interp(RECO.edges.to_value("TeV") / centre, edges, cumulative)
        expected = np.diff(values)
        expected[expected < 1e-8] = 0
        assert matrix[row] == pytest.approx(expected, abs=1e-14)


def test_migra_to_matrix_keeps_pixels_apart():
    density = np.zeros((12, 160, 2, 3))
    density[:, 26] = 1 / MIGRA.bin_width.value[0]
    density[:, 26, 1, 2] *= 0.5
    density[0, 0, 0, 0] = np.nan
    matrix = migra_to_matrix(density, MIGRA, RECO, TRUE)
    assert matrix.shape == (12, 6, 2, 3)
    assert matrix[..., 1, 2] == pytest.approx(0.5 * matrix[..., 1, 1])
    assert np.isfinite(matrix).all()


def test_small_and_negative_values_are_removed():
    density = np.zeros((1, 160))
    density[0, 26], density[0, 40] = 1e-7, -1.0
    true = MapAxis.from_energy_edges([0.9, 1.1] * u.TeV, name="energy_true")
    assert not migra_to_matrix(density, MIGRA, RECO, true).any()


def test_diagonal_response():
    kernel = EDispKernel.from_diagonal_response(TRUE)
    assert kernel.pdf_matrix == pytest.approx(np.eye(12))
    assert kernel.axes.names == ["energy_true", "energy"]
    assert kernel.axes["energy"] == TRUE.copy(name="energy")
    assert EDispKernel.from_diagonal_response(energy_axis=RECO, energy_axis_true=TRUE).data.shape == (12, 6)


def test_gauss():
    kernel = EDispKernel.from_gauss(TRUE, TRUE.copy(name="energy"), sigma=0.1, bias=0.05)
    assert kernel.data[4:8].sum(axis=1) == pytest.approx(1, abs=1e-6)
    fine = EDispKernel.from_gauss(TRUE, MapAxis.from_energy_bounds("0.01 TeV", "1000 TeV", nbin=600), sigma=0.1, bias=0.05)
    energy = [1, 20] * u.TeV
    assert fine.get_bias(energy).value == pytest.approx(0.05, abs=3e-3)
    assert fine.get_resolution(energy).value == pytest.approx(0.1, abs=3e-3)
    centre = TRUE.center[TRUE.coord_to_idx(energy)]
    assert fine.get_mean(energy).to_value("TeV") == pytest.approx(1.05 * centre.to_value("TeV"), rel=3e-3)
    per_energy = EDispKernel.from_gauss(TRUE, RECO, sigma=np.linspace(0.1, 0.3, 12), bias=np.zeros(12))
    assert per_energy.data.shape == (12, 6)


def test_moments_of_empty_rows():
    kernel = EDispKernel([TRUE, RECO], 0.0)
    assert kernel.get_mean([1] * u.TeV) == 0 * u.TeV
    assert np.isnan(kernel.get_resolution([1] * u.TeV)).all()
    with pytest.raises(GeometryError, match="true energies outside of"):
        kernel.get_mean([1000] * u.TeV)


def test_to_image():
    kernel = EDispKernel.from_gauss(TRUE, RECO, sigma=0.2, bias=0)
    assert kernel.to_image().data[:, 0] == pytest.approx(kernel.data.sum(axis=1))
    edges = RECO.edges
    image = kernel.to_image(edges[1], edges[4])
    assert image.data[:, 0] == pytest.approx(kernel.data[:, 1:4].sum(axis=1))
    assert image.axes["energy"].nbin == 1
    assert kernel.pdf_in_safe_range(None, None) == pytest.approx(kernel.data)


def test_copy_and_text():
    kernel = EDispKernel.from_diagonal_response(TRUE)
    clone = kernel.copy()
    clone.data[...] = 0
    assert kernel.data.any()
    assert "axes  : ['energy_true', 'energy']" in str(kernel)
    assert kernel._repr_html_().startswith("<pre>EDispKernel")


def test_bad_input():
    with pytest.raises(GeometryError, match=r"needs the axes \['energy_true', 'energy'\], in this order, got: \['energy', 'energy_true'\]"):
        EDispKernel([RECO, TRUE])
    with pytest.raises(GeometryError, match=r"needs data of shape \(12, 6\) \(energy_true, energy\), got: \(6, 12\)"):
        EDispKernel([TRUE, RECO], np.zeros((6, 12)))
    with pytest.raises(UnitMismatchError, match="reconstructed energy axis has unit 'm'"):
        overlap_fraction(MapAxis.from_edges([1, 2], unit="m", name="energy"), TRUE)


def test_matrices_live_on_the_host(device):
    with pytest.raises(BackendError, match="the matrix of an EDispKernel: an array on cpu was wanted, got a CuPy array on cuda:0"):
        EDispKernel([TRUE, RECO], device.xp.zeros((12, 6)))


def test_who_made_a_matrix_stands_in_all_headers(tmp_path):
    from gpudl4.datasets.metadata import CreatorMetaData

    kernel = EDispKernel.from_gauss(TRUE, RECO, sigma=0.2, bias=0)
    creation = CreatorMetaData(creator="my code", date="2026-01-01", origin="me")
    for hdu in kernel.to_hdulist(creation=creation):
        assert (hdu.header["CREATOR"], hdu.header["ORIGIN"]) == ("my code", "me")
    kernel.write(tmp_path / "rmf.fits", creation=creation)
    assert np.array_equal(EDispKernel.read(tmp_path / "rmf.fits").pdf_matrix, kernel.pdf_matrix)
