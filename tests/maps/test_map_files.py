"""Maps in FITS files: round trips and damaged input."""

import gzip

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from gpudl4.core.errors import DataFileError, GeometryError, OutputError
from gpudl4.maps import Map, MapAxis, RegionNDMap

ENERGY = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)
RAD = MapAxis.from_nodes([0, 0.1], name="rad", unit="deg")


@pytest.fixture
def cube():
    m = Map.create(npix=(6, 4), axes=[ENERGY], unit="cm2 s", meta={"livetime": 2 * u.h, "note": "5 stars", "number": 3})
    m.data = np.arange(72, dtype=np.float32).reshape(3, 4, 6)
    return m


@pytest.mark.parametrize("name", ["m.fits", "m.fits.gz"])
@pytest.mark.parametrize("hdu", [None, "COUNTS"])
def test_round_trip(cube, tmp_path, name, hdu):
    cube.write(tmp_path / name, hdu=hdu)
    back = Map.read(tmp_path / name, hdu=hdu)
    np.testing.assert_array_equal(back.data, cube.data)
    assert back.data.dtype == np.float32
    assert back.geom == cube.geom
    assert back.unit == cube.unit
    assert back.meta == cube.meta
    assert Map.read(tmp_path / name).geom == cube.geom


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "int64", "int16", "uint8"])
def test_types(cube, tmp_path, dtype):
    m = cube.copy(data=cube.data.astype(dtype))
    m.write(tmp_path / "m.fits")
    back = Map.read(tmp_path / "m.fits")
    assert back.data.dtype == dtype
    np.testing.assert_array_equal(back.data, m.data)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "float32"])
def test_masks_of_any_type(cube, dtype):
    hdus = cube.to_hdulist(hdu="MASK_SAFE")
    hdus["MASK_SAFE"].data = (cube.data > 30).astype(dtype)
    back = Map.from_hdulist(hdus, hdu="MASK_SAFE")
    assert back.is_mask
    np.testing.assert_array_equal(back.data, cube.data > 30)
    assert not Map.from_hdulist(cube.to_hdulist(hdu="COUNTS"), hdu="COUNTS").is_mask


def test_masks_are_written_as_integers(cube):
    hdus = (cube > 3 * cube.unit).to_hdulist(hdu="mask_fit")
    assert hdus["MASK_FIT"].header["BITPIX"] == 64


def test_several_axes_and_images(tmp_path):
    m = Map.create(npix=2, axes=[RAD, ENERGY], dtype=float)
    m.data[:] = np.random.default_rng(0).uniform(size=m.data.shape)
    for part in (m, m.sum_over_axes(keepdims=False), m.slice_by_idx({"energy": 0})):
        part.write(tmp_path / "m.fits", overwrite=True)
        assert Map.read(tmp_path / "m.fits").is_allclose(part)
    hdus = m.to_hdulist(hdu="psf")
    assert [hdu.name for hdu in hdus] == ["PRIMARY", "PSF", "PSF_BANDS"]
    assert hdus["PSF"].header["BANDSHDU"] == "PSF_BANDS"


def test_sparse(cube, tmp_path):
    cube.data[cube.data < 60] = 0
    for m in (cube, cube.get_image_by_idx((2,))):
        m.write(tmp_path / "m.fits", sparse=True, overwrite=True)
        np.testing.assert_array_equal(Map.read(tmp_path / "m.fits").data, m.data)
    with pytest.raises(GeometryError, match="cannot be the PRIMARY HDU"):
        cube.to_hdulist(hdu="PRIMARY", sparse=True)


@pytest.mark.parametrize("format", ["fgst-ccube", "fgst-template"])
def test_fermi_formats(cube, tmp_path, format):
    m = cube.copy(unit="" if format == "fgst-ccube" else "cm-2 s-1 MeV-1 sr-1")
    if format == "fgst-template":
        axis = MapAxis.from_nodes([10, 100, 1000], name="energy_true", unit="MeV", interp="log")
        m = Map.from_geom(m.geom.to_image().to_cube([axis]), data=m.data, unit=m.unit)
    m.write(tmp_path / "m.fits", format=format)
    back = Map.read(tmp_path / "m.fits")
    assert back.geom == m.geom
    assert back.unit == m.unit
    with pytest.raises(GeometryError, match="needs one energy axis"):
        m.sum_over_axes(keepdims=False).to_hdulist(format=format)


def test_templates_without_a_unit():
    axis = MapAxis.from_nodes([10, 100], name="energy_true", unit="MeV", interp="log")
    m = Map.create(npix=2, axes=[axis])
    hdus = m.to_hdulist(format="fgst-template")
    assert Map.from_hdulist(hdus).unit == "cm-2 s-1 MeV-1 sr-1"
    hdus.append(fits.BinTableHDU(name="GTI"))
    assert Map.from_hdulist(hdus).unit == "cm2 s"


def test_counts_and_photons_are_no_units(cube):
    hdus = cube.to_hdulist()
    for text, wanted in [("ct", ""), ("ph cm-2 s-1", "cm-2 s-1"), ("count", "")]:
        hdus[0].header["BUNIT"] = text
        assert Map.from_hdulist(hdus).unit == wanted


@pytest.mark.parametrize("text", ["None", "Count", "counts", "photons", "significance", "SIGMA", "Events"])
def test_words_for_numbers_are_no_units(cube, text):
    hdus = cube.to_hdulist()
    hdus[0].header["BUNIT"] = text
    with pytest.warns(UserWarning, match=f"BUNIT = '{text}' is no unit of the FITS standard; it is read as that of plain numbers"):
        assert Map.from_hdulist(hdus).unit == ""


def test_words_beside_units(cube):
    hdus = cube.to_hdulist()
    hdus[0].header["BUNIT"] = "photons cm-2 s-1"
    with pytest.warns(UserWarning, match="BUNIT = 'photons cm-2 s-1'"):
        assert Map.from_hdulist(hdus).unit == "cm-2 s-1"


@pytest.mark.parametrize("text", ["furlong", "number of counts", 5])
def test_an_unknown_unit_can_be_given(cube, tmp_path, text):
    hdus = cube.to_hdulist()
    hdus[0].header["BUNIT"] = text
    hdus.writeto(tmp_path / "m.fits")
    problem = f"the unit BUNIT = '{text}' is unknown" if isinstance(text, str) else f"BUNIT must be the text of a unit, got {text}"
    with pytest.raises(DataFileError, match=rf"m.fits': .*{problem}: say what it is, Map.read\(..., unit=...\)"):
        Map.read(tmp_path / "m.fits")
    assert Map.read(tmp_path / "m.fits", unit="cm2 s").unit == "cm2 s"
    spectrum = RegionNDMap.create("icrs;circle(83, 22, 1)", axes=[MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)])
    spectrum.write(tmp_path / "r.fits")
    assert Map.read(tmp_path / "r.fits", unit="s").unit == RegionNDMap.read(tmp_path / "r.fits", unit="s").unit == "s"


def test_output_that_exists(cube, tmp_path):
    cube.write(tmp_path / "m.fits")
    with pytest.raises(OutputError, match="exists already"):
        cube.write(tmp_path / "m.fits")
    (cube * 2).write(tmp_path / "m.fits", overwrite=True)
    assert Map.read(tmp_path / "m.fits").data.max() == 142


def test_environment_variables(cube, tmp_path, monkeypatch):
    monkeypatch.setenv("GPUDL4_FOLDER", str(tmp_path))
    cube.write("$GPUDL4_FOLDER/m.fits")
    assert Map.read("$GPUDL4_FOLDER/m.fits").geom == cube.geom


@pytest.mark.parametrize("name", ["m.fits", "m.fits.gz"])
def test_truncated_files(cube, tmp_path, name):
    cube.write(tmp_path / name, hdu="COUNTS")
    content = (tmp_path / name).read_bytes()
    plain = gzip.decompress(content) if name.endswith("gz") else content
    for length in (0, 10, 1000, 3000, 8000):
        if length < len(content):
            (tmp_path / name).write_bytes(content[:length])
            with pytest.raises(DataFileError, match=name):
                Map.read(tmp_path / name)
    for length in (3000, 8000, len(plain) - 2880):
        (tmp_path / name).write_bytes(gzip.compress(plain[:length]) if name.endswith("gz") else plain[:length])
        with pytest.raises(DataFileError, match=name):
            Map.read(tmp_path / name, hdu="COUNTS")


def test_files_that_are_no_maps(tmp_path, cube):
    path = tmp_path / "m.fits"
    with pytest.raises(DataFileError, match=r"m\.fits' does not exist"):
        Map.read(path)
    path.write_text("SIMPLE is not enough")
    with pytest.raises(DataFileError, match=r"m\.fits' is not a FITS file"):
        Map.read(path)
    fits.HDUList([fits.PrimaryHDU()]).writeto(path, overwrite=True)
    with pytest.raises(DataFileError, match="holds no data"):
        Map.read(path)
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("A", "J", array=[1])])]).writeto(path, overwrite=True)
    with pytest.raises(DataFileError, match=r"m\.fits.*neither a sky image nor a region map"):
        Map.read(path)
    cube.write(path, hdu="COUNTS", overwrite=True)
    with pytest.raises(DataFileError, match=r"m\.fits.*no HDU 'BACKGROUND'; the file has: PRIMARY, COUNTS, COUNTS_BANDS"):
        Map.read(path, hdu="BACKGROUND")


def broken(cube, change):
    hdus = cube.to_hdulist(hdu="COUNTS")
    change(hdus)
    return hdus


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda hdus: hdus.pop(), "no HDU 'COUNTS_BANDS'"),
        (lambda hdus: hdus["COUNTS"].header.pop("BANDSHDU"), "holds data of shape"),
        (lambda hdus: hdus["COUNTS"].header.set("WCSSHAPE", "(7,4,3)"), r"describe \(3, 4, 7\)"),
        (lambda hdus: hdus["COUNTS"].header.set("BUNIT", "furlong"), "BUNIT = 'furlong' is unknown"),
        (lambda hdus: hdus["COUNTS"].header.set("META", "{"), "META is not valid JSON"),
        (lambda hdus: hdus["COUNTS"].header.set("PIXTYPE", "HEALPIX"), "HEALPix map, which cannot be read"),
        (lambda hdus: setattr(hdus["COUNTS"], "data", np.zeros((2, 4, 6))), r"data of shape \(2, 4, 6\)"),
        (lambda hdus: setattr(hdus["COUNTS"], "data", None), "holds no data"),
        (lambda hdus: hdus["COUNTS_BANDS"].header.set("INTERP1", "cubic"), "unknown interp 'cubic'"),
    ],
)
@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_parts_that_do_not_fit(cube, change, message):
    with pytest.raises(DataFileError, match=message):
        Map.from_hdulist(broken(cube, change), hdu="COUNTS")


def test_bad_sparse_tables(cube):
    hdus = cube.to_hdulist(sparse=True)
    hdus["SKYMAP"].data["PIX"][0] = 99
    with pytest.raises(DataFileError, match="a pixel lies outside"):
        Map.from_hdulist(hdus, hdu="SKYMAP")
    hdus["SKYMAP"].columns.change_name("VALUE", "V")
    with pytest.raises(DataFileError, match="columns PIX and VALUE are needed"):
        Map.from_hdulist(hdus, hdu="SKYMAP", map_type="wcs")


def test_unknown_options(cube):
    with pytest.raises(GeometryError, match="unknown map format 'fits'"):
        Map.from_hdulist(cube.to_hdulist(), format="fits")
    with pytest.raises(GeometryError, match="unknown map_type 'hpx'"):
        Map.from_hdulist(cube.to_hdulist(), map_type="hpx")
    with pytest.raises(GeometryError, match="cannot be written in format 'x'"):
        cube.to_hdulist(format="x")
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        cube.write("m.fits", colour="red")
