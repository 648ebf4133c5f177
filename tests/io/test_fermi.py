"""Products of the Fermi tools, made up in the layout of the tools: gammapy reads the same from them, and bad files are told apart."""

import numpy as np
import pytest
from astropy.io import fits

from gpudl4.core.errors import DataFileError, DatasetError, GeometryError
from gpudl4.datasets import MapDataset
from gpudl4.io.fermi import read_fermi
from gpudl4.irf import EDispKernel, EDispKernelMap, EDispMap, PSFMap
from gpudl4.maps import Map

N_RECO, MARGIN = 4, 1
N_TRUE = N_RECO + 2 * MARGIN
PIX = (12, 10)
EDGES = np.geomspace(1e3, 1e5, N_TRUE + 1)  # MeV, of true energies; the inner ones are those of the counts


def cards(header, nx, ny):
    """Celestial cards, with the energy as a third axis, as the tools write them."""
    header.update({"CTYPE1": "GLON-CAR", "CRPIX1": (nx + 1) / 2, "CRVAL1": 0.0, "CDELT1": -0.5, "CUNIT1": "deg"})
    header.update({"CTYPE2": "GLAT-CAR", "CRPIX2": (ny + 1) / 2, "CRVAL2": 0.0, "CDELT2": 0.5, "CUNIT2": "deg"})
    header.update({"CTYPE3": "Energy", "CRPIX3": 1.0, "CRVAL3": 1000.0, "CDELT3": 500.0, "CUNIT3": "MeV"})


def gti_hdu():
    columns = [fits.Column(name, "D", unit="s", array=[time, time + 1000]) for name, time in (("START", 2.4e8), ("STOP", 2.4e8 + 900))]
    hdu = fits.BinTableHDU.from_columns(columns, name="GTI")
    hdu.header.update({"MJDREFI": 51910, "MJDREFF": 7.428703703703703e-4, "TIMESYS": "TT"})
    return hdu


def table(name, header=None, **columns):
    """Table of columns given as (format, unit, values)."""
    columns = [fits.Column(key, kind, unit=unit, array=values) for key, (kind, unit, values) in columns.items()]
    hdu = fits.BinTableHDU.from_columns(columns, name=name)
    hdu.header.update(header or {})
    return hdu


def make_files(folder):
    """Files of one component: ccube.fits, bexpcube.fits, psf.fits, drm.fits."""
    rng = np.random.RandomState(1)
    nx, ny = PIX
    reco = EDGES[MARGIN:-MARGIN] * 1e3  # keV, as gtbin writes it
    primary = fits.PrimaryHDU(rng.poisson(2, (N_RECO, ny, nx)).astype(">i4"))
    cards(primary.header, nx, ny)
    bounds = table("EBOUNDS", CHANNEL=("I", None, np.arange(1, N_RECO + 1)), E_MIN=("1E", "keV", reco[:-1]), E_MAX=("1E", "keV", reco[1:]))
    fits.HDUList([primary, bounds, gti_hdu()]).writeto(folder / "ccube.fits")

    nx, ny = 16, 14  # the exposure has its own pixels and its energies are nodes
    rise = np.linspace(0.5, 2, N_TRUE + 1)[:, None, None] * (1 + 0.01 * np.arange(nx) + 0.02 * np.arange(ny)[:, None])
    primary = fits.PrimaryHDU((1e11 * rise).astype(">f4"))
    cards(primary.header, nx, ny)
    primary.header["BUNIT"] = ""
    fits.HDUList([primary, table("ENERGIES", Energy=("1D", "MeV", EDGES)), gti_hdu()]).writeto(folder / "bexpcube.fits")

    theta = np.linspace(0, 5, 60)
    energies = np.geomspace(300, 3e5, 20)
    sigma = 0.8 * (energies / 1e3) ** -0.4
    psf = np.exp(-0.5 * (theta / sigma[:, None]) ** 2) / (2 * np.pi * np.deg2rad(sigma[:, None]) ** 2)
    columns = {"Energy": ("1D", "MeV", energies), "Exposure": ("1D", "cm2 s", 1e11 * np.sqrt(energies / 1e3)), "Psf": ("60D", "sr-1", psf)}
    fits.HDUList([fits.PrimaryHDU(), table("PSF", **columns), table("THETA", Theta=("1D", "deg", theta))]).writeto(folder / "psf.fits")

    matrix = np.exp(-0.5 * ((np.arange(N_RECO) + MARGIN - np.arange(N_TRUE)[:, None]) / 0.6) ** 2)
    matrix = (0.9 * matrix / matrix.sum(axis=1, keepdims=True)).astype("f4")
    energies = {"ENERG_LO": ("1E", "MeV", EDGES[:-1]), "ENERG_HI": ("1E", "MeV", EDGES[1:]), "N_GRP": ("I", None, np.ones(N_TRUE))}
    groups = {"F_CHAN": ("I", None, np.ones(N_TRUE)), "N_CHAN": ("I", None, np.full(N_TRUE, N_RECO))}
    drm = table("DRM", {"DETCHANS": N_RECO}, **energies, **groups, MATRIX=(f"{N_RECO}E", None, matrix))
    fits.HDUList([fits.PrimaryHDU(), drm, bounds.copy()]).writeto(folder / "drm.fits")
    return [folder / f"{name}.fits" for name in ("ccube", "bexpcube", "psf", "drm")]


@pytest.fixture
def files(tmp_path):
    return make_files(tmp_path)


def assert_same_map(ours, theirs, rtol=0.0):
    assert ours.data.shape == theirs.data.shape
    np.testing.assert_allclose(ours.data, theirs.data, rtol=rtol)
    assert ours.unit == theirs.unit
    for axis, other in zip(ours.geom.axes, theirs.geom.axes, strict=True):
        assert (axis.name, axis.node_type, axis.interp, axis.unit) == (other.name, other.node_type, other.interp, other.unit)
        np.testing.assert_allclose(axis.edges.value, other.edges.value, rtol=1e-13)
    assert ours.geom.frame == theirs.geom.frame


@pytest.mark.peer
def test_each_file_is_read_as_gammapy_reads_it(files):
    irf = pytest.importorskip("gammapy.irf")
    maps = pytest.importorskip("gammapy.maps")
    for file, name, kind in ((files[0], "energy", "edges"), (files[1], "energy_true", "center")):
        ours = Map.read(file)
        assert ours.geom.axes[name].node_type == kind
        assert_same_map(ours, maps.Map.read(file))
    assert Map.read(files[1]).unit == "cm2 s"
    ours, theirs = PSFMap.read(files[2], format="gtpsf"), irf.PSFMap.read(files[2], format="gtpsf")
    assert_same_map(ours.psf_map, theirs.psf_map)
    assert_same_map(ours.exposure_map, theirs.exposure_map)
    ours, theirs = EDispKernel.read(files[3], format="gtdrm"), irf.EDispKernel.read(files[3], format="gtdrm")
    np.testing.assert_array_equal(ours.pdf_matrix, theirs.pdf_matrix)
    assert ours.pdf_matrix.dtype == np.float32
    for name in ("energy", "energy_true"):
        np.testing.assert_allclose(ours.axes[name].edges.value, theirs.axes[name].edges.value, rtol=1e-13)
        assert ours.axes[name].unit == theirs.axes[name].unit == "MeV"
    ours, theirs = EDispKernelMap.read(files[3], format="gtdrm"), irf.EDispKernelMap.read(files[3], format="gtdrm")
    assert_same_map(ours.edisp_map, theirs.edisp_map)


@pytest.mark.peer
@pytest.mark.parametrize("edisp_bins", [0, 1])
def test_dataset_is_that_of_gammapy(files, edisp_bins):
    io = pytest.importorskip("gammapy.datasets.io")
    theirs = io.FermipyDatasetsReader.create_dataset(*files, edisp_bins=edisp_bins, name="fermi", gti_file=files[0])
    fields = read_fermi(*files, gti=files[0], edisp_bins=edisp_bins)
    ours = MapDataset(**fields, name="fermi")  # the fields belong together
    for name in ("counts", "background", "mask_safe"):
        assert_same_map(getattr(ours, name), getattr(theirs, name))
    assert_same_map(ours.exposure, theirs.exposure, rtol=1e-6)
    assert_same_map(ours.psf.psf_map, theirs.psf.psf_map, rtol=1e-6)
    assert_same_map(ours.psf.exposure_map, theirs.psf.exposure_map, rtol=1e-6)
    kernel = EDispKernel.read(files[3], format="gtdrm").pdf_matrix[:, slice(edisp_bins, N_RECO - edisp_bins)]
    np.testing.assert_array_equal(ours.edisp.edisp_map.data[:, :, 0, 0], kernel)
    # gammapy interpolates the matrix on its own bins, and rounding can lose the last one: 0 there
    theirs.edisp.edisp_map.data[theirs.edisp.edisp_map.data == 0] = ours.edisp.edisp_map.data[theirs.edisp.edisp_map.data == 0]
    assert_same_map(ours.edisp.edisp_map, theirs.edisp.edisp_map, rtol=1e-6)
    assert_same_map(ours.edisp.exposure_map, theirs.edisp.exposure_map, rtol=1e-6)
    assert ours.gti.time_sum.to_value("s") == pytest.approx(theirs.gti.time_sum.to_value("s"))
    assert ours.counts.geom.axes["energy"].nbin == N_RECO - 2 * edisp_bins


@pytest.mark.peer
def test_psf_is_written_for_gammapy(files, tmp_path):
    irf = pytest.importorskip("gammapy.irf")
    psf = PSFMap.read(files[2], format="gtpsf")
    psf.write(tmp_path / "again.fits", format="gtpsf", checksum=True)
    again = PSFMap.read(tmp_path / "again.fits", format="gtpsf", checksum=True)
    assert_same_map(again.psf_map, psf.psf_map)
    assert_same_map(again.exposure_map, psf.exposure_map)
    assert_same_map(again.psf_map, irf.PSFMap.read(tmp_path / "again.fits", format="gtpsf").psf_map)


def test_matrices_without_margins_and_units(files):
    """A DRM with as many channels as true energies; columns without unit are in MeV."""
    with fits.open(files[3]) as hdulist:
        full = np.eye(N_TRUE, dtype="f4")
        low, high = (hdulist["DRM"].data[name] for name in ("ENERG_LO", "ENERG_HI"))
        hdu = table("DRM", {"DETCHANS": N_TRUE}, ENERG_LO=("1E", None, low), ENERG_HI=("1E", None, high), MATRIX=(f"{N_TRUE}E", None, full))
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(files[3], overwrite=True)
    kernel = EDispKernel.read(files[3], format="gtdrm")
    np.testing.assert_array_equal(kernel.pdf_matrix, full)
    np.testing.assert_allclose(kernel.axes["energy"].edges.to_value("MeV"), EDGES, rtol=1e-6)


def changed(path, hdu, change):
    with fits.open(path) as hdulist:
        hdulist = fits.HDUList([each.copy() for each in hdulist])
    new = change(hdulist[hdu])
    if new is not None:
        hdulist[hdu] = new
    hdulist.writeto(path, overwrite=True)


def test_matrix_that_does_not_fit(files):
    changed(files[3], "DRM", lambda hdu: hdu.header.update(DETCHANS=N_RECO - 1))
    with pytest.raises(DataFileError, match=r"drm.fits': DETCHANS says 3 channels, the rows of MATRIX have 4 values"):
        EDispKernel.read(files[3], format="gtdrm")


def test_files_that_hold_something_else(files):
    with pytest.raises(DataFileError, match="HDU PSF was wanted, the file has: EBOUNDS, GTI"):
        PSFMap.read(files[0], format="gtpsf")
    with pytest.raises(DataFileError, match="HDU DRM was wanted"):
        EDispKernel.read(files[2], format="gtdrm")
    with pytest.raises(DataFileError, match="HDU MATRIX was wanted"):
        EDispKernel.read(files[2])
    with pytest.raises(GeometryError, match="unknown format 'x'"):
        EDispKernel.read(files[2], format="x")
    with pytest.raises(DatasetError, match="EDispMap has no file format 'gtpsf'"):
        EDispMap.read(files[2], format="gtpsf")
    with pytest.raises(DatasetError, match="holds the PSF in true energy at one position"):
        make_sky_psf().to_hdulist(format="gtpsf")


def make_sky_psf():
    from tests.factory import make_dataset

    return make_dataset(models=None).psf


def test_psf_table_with_another_shape(files):
    changed(files[2], "THETA", lambda hdu: table("THETA", Theta=("1D", "deg", np.arange(50.0))))
    with pytest.raises(DataFileError, match=r"Psf has the shape \(20, 60\), 20 energies and 50 angles"):
        PSFMap.read(files[2], format="gtpsf")


def test_files_of_different_analyses(files, tmp_path):
    ccube, bexpcube, psf, drm = files
    with pytest.raises(DataFileError, match="a cube with the one axis energy was wanted"):
        read_fermi(bexpcube, bexpcube, psf, drm)
    (tmp_path / "other").mkdir()
    other = make_files(tmp_path / "other")
    changed(other[0], "EBOUNDS", lambda hdu: [hdu.data[name].__imul__(2) for name in ("E_MIN", "E_MAX")] and None)
    with pytest.raises(DataFileError, match="both must have the same"):
        read_fermi(other[0], bexpcube, psf, drm)
    keep = slice(8, None)
    with fits.open(psf) as hdulist:
        columns = {
            name: (kind, None, hdulist["PSF"].data[name][keep]) for name, kind in (("Energy", "D"), ("Exposure", "D"), ("Psf", "60D"))
        }
        fits.HDUList([fits.PrimaryHDU(), table("PSF", **columns), hdulist["THETA"].copy()]).writeto(other[2], overwrite=True)
    with pytest.raises(DataFileError, match=r"has no PSF for all energies from 1468 to 6.813e\+04 MeV"):
        read_fermi(ccube, bexpcube, other[2], drm)
    with fits.open(bexpcube) as hdulist:
        primary = fits.PrimaryHDU(hdulist[0].data[:3], header=hdulist[0].header)
        fits.HDUList([primary, table("ENERGIES", Energy=("1D", "MeV", EDGES[:3])), gti_hdu()]).writeto(other[1], overwrite=True)
    with pytest.raises(DataFileError, match="has 3 energies, fewer than the 6"):
        read_fermi(ccube, other[1], psf, drm)
