"""FITS files of datasets: what we write gammapy reads, and the other way round, bit by bit."""

import functools

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from gpudl4.core.errors import DataFileError, GeometryError, UnitMismatchError
from gpudl4.datasets import MapDataset
from gpudl4.datasets.fields import MAP_FIELDS, main_map
from gpudl4.io.files import open_fits
from gpudl4.io.gadf import read_fields, write_fields
from tests.factory import make_dataset
from tests.paths import shared_data

REAL = [
    "hawc-crab/nHit-5.fits.gz",  # PSF in reconstructed energy, responses without exposure, 39250 intervals
    "fermi-3fhl-crab/Fermi-LAT-3FHL_data_Fermi-LAT.fits",  # axes by nodes, no interval, no name
    "fermi-3fhl-gc/fermi-3fhl-gc.fits.gz",  # integer counts, true energies by nodes, responses in a region, no GTI
    "cta-1dc-gc/cta-gc-stacked.fits.gz",
]


@functools.lru_cache(maxsize=1)
def read_real(file):
    return MapDataset.read(shared_data(file))


def maps_of(dataset):
    """Every map of a dataset by name, with those inside of the responses."""
    maps = {}
    for field in MAP_FIELDS:
        value = getattr(dataset, field.name)
        if value is None or field.kind in ("gti", "table"):
            continue
        maps[field.name] = main_map(field, value)
        if getattr(value, "exposure_map", None) is not None:
            maps[f"{field.name} exposure"] = value.exposure_map
    return maps


def assert_same_maps(ours, theirs):
    ours, theirs = maps_of(ours), maps_of(theirs)
    assert list(ours) == list(theirs)
    for name, mine in ours.items():
        other = theirs[name]
        assert mine.data.dtype == np.dtype(other.data.dtype).newbyteorder("="), name
        assert mine.data.dtype.isnative, name
        np.testing.assert_array_equal(mine.data, other.data, err_msg=name)
        assert mine.unit == other.unit, name
        assert mine.geom.axes.names == other.geom.axes.names, name
        for axis, other_axis in zip(mine.geom.axes, other.geom.axes, strict=True):
            assert (axis.node_type, axis.interp, axis.nbin) == (other_axis.node_type, other_axis.interp, other_axis.nbin), name
            np.testing.assert_allclose(axis.edges.value, other_axis.edges.value, rtol=1e-14, err_msg=f"{name} {axis.name}")
            assert axis.unit == other_axis.unit, name


def assert_same_times(ours, theirs):
    assert (ours.gti is None) == (theirs.gti is None)
    if ours.gti is not None and len(ours.gti):
        assert abs((ours.gti.time_start - theirs.gti.time_start).to_value("s")).max() < 1e-6
        assert abs((ours.gti.time_stop - theirs.gti.time_stop).to_value("s")).max() < 1e-6


@pytest.mark.parametrize("file", REAL)
def test_real_files_survive_a_round_trip(file, tmp_path):
    dataset = read_real(file)
    dataset.write(tmp_path / "again.fits")
    again = MapDataset.read(tmp_path / "again.fits")
    assert again.name == dataset.name
    assert_same_maps(again, dataset)
    assert_same_times(again, dataset)
    assert (again.meta_table is None) == (dataset.meta_table is None)


@pytest.mark.peer
@pytest.mark.parametrize("file", REAL)
def test_real_files_are_read_as_gammapy_reads_them(file, tmp_path):
    peer = pytest.importorskip("gammapy.datasets")
    dataset = read_real(file)
    dataset.write(tmp_path / "ours.fits")
    theirs = peer.MapDataset.read(shared_data(file))
    ours_by_them = peer.MapDataset.read(tmp_path / "ours.fits")
    for other in (theirs, ours_by_them):
        assert_same_maps(dataset, other)
        assert_same_times(dataset, other)
    assert ours_by_them.name == dataset.name
    livetime = theirs.exposure.meta.get("livetime")
    assert dataset.exposure.meta.get("livetime") == livetime
    assert ours_by_them.exposure.meta.get("livetime") == livetime


@pytest.mark.peer
@pytest.mark.parametrize(
    "options", [{}, {"reco_psf": True, "frame": "icrs", "proj": "TAN"}, {"edisp": "migra"}, {"edisp": None, "mask": False}]
)
def test_files_of_gammapy_are_read(options, tmp_path):
    pytest.importorskip("gammapy")
    theirs = make_dataset(library="gammapy", **options)
    theirs.write(tmp_path / "theirs.fits.gz", checksum=True)
    ours = MapDataset.read(tmp_path / "theirs.fits.gz", checksum=True)
    assert ours.name == "test"
    assert_same_maps(ours, theirs)
    assert_same_times(ours, theirs)


# what a file may look like


@pytest.fixture(scope="module")
def hdulist():
    return make_dataset(models=None).to_hdulist()


def changed(hdulist, **replaced):
    """Copy of a list of HDUs; None removes one, a function changes its copy or returns another."""
    out = fits.HDUList()
    for hdu in hdulist:
        if hdu.name in replaced and replaced[hdu.name] is None:
            continue
        new = hdu.copy()
        if hdu.name in replaced:
            new = replaced[hdu.name](new) or new
        out.append(new)
    return out


def renamed(hdu, names):
    """Table HDU with other names of columns and of the axes in its header."""
    table = Table.read(hdu)
    for old, new in names.items():
        table.rename_column(old, new)
    out = fits.BinTableHDU(table, name=hdu.name)
    for key in ("AXCOLS1", "AXCOLS2", "INTERP1", "INTERP2"):
        if key in hdu.header:
            out.header[key] = ",".join(names.get(name, name) for name in hdu.header[key].split(","))
    return out


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "float32"])
def test_masks_of_any_number_type(hdulist, dtype):
    def cast(hdu):
        hdu.data = hdu.data.astype(dtype)

    dataset = MapDataset.from_hdulist(changed(hdulist, MASK_SAFE=cast))
    assert dataset.mask_safe.data.dtype == bool
    np.testing.assert_array_equal(dataset.mask_safe.data, hdulist["MASK_SAFE"].data.astype(bool))


def test_responses_without_exposure(hdulist):
    names = ("PSF_EXPOSURE", "PSF_EXPOSURE_BANDS", "EDISP_EXPOSURE", "EDISP_EXPOSURE_BANDS")
    dataset = MapDataset.from_hdulist(changed(hdulist, **dict.fromkeys(names)))
    assert dataset.psf.exposure_map is None
    assert dataset.edisp.exposure_map is None


def test_old_exposure_axis_is_renamed(hdulist):
    def rename(hdu):
        return renamed(hdu, {"ENERGY_TRUE": "ENERGY", "ENERGY_TRUE_MIN": "E_MIN", "ENERGY_TRUE_MAX": "E_MAX"})

    def rename_image(hdu):
        hdu.header["AXCOLS1"] = "E_MIN,E_MAX"

    dataset = MapDataset.from_hdulist(changed(hdulist, EXPOSURE=rename_image, EXPOSURE_BANDS=rename))
    assert dataset.exposure.geom.axes.names == ["energy_true"]


def test_only_some_fields(hdulist):
    some = fits.HDUList([hdu for hdu in hdulist if hdu.name in ("PRIMARY", "BACKGROUND", "BACKGROUND_BANDS")])
    dataset = MapDataset.from_hdulist(some)
    assert dataset.counts is None
    assert dataset.background.data.shape == (3, 20, 24)


def test_headers_say_who_made_them(hdulist):
    assert hdulist[0].header["NAME"] == "test"
    for hdu in hdulist:
        assert hdu.header["CREATOR"].startswith("gpudl4 ")


def test_empty_table_of_fields_is_not_written():
    assert len(write_fields({}, MAP_FIELDS)) == 1


# bad input


def test_no_part_of_a_dataset():
    with pytest.raises(DataFileError, match=r"'a\.fits' holds no part of a dataset: HDUs named COUNTS, .* were wanted, it has EVENTS"):
        read_fields(fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(name="EVENTS")]), MAP_FIELDS, "'a.fits'")


@pytest.mark.parametrize(
    ("name", "bands"), [("COUNTS", "COUNTS_BANDS"), ("EXPOSURE", "EXPOSURE_BANDS"), ("PSF", "PSF_BANDS"), ("EDISP", "EDISP_EXPOSURE_BANDS")]
)
def test_missing_bands(hdulist, name, bands):
    with pytest.raises(DataFileError, match=rf"HDU {name}.* has its energies in HDU {bands}, which is missing; the file has COUNTS"):
        MapDataset.from_hdulist(changed(hdulist, **{bands: None}))


def test_cube_that_names_no_bands(hdulist):
    def forget(hdu):
        del hdu.header["BANDSHDU"]

    with pytest.raises(DataFileError, match="HDU COUNTS is a cube but names no table of its energies"):
        MapDataset.from_hdulist(changed(hdulist, COUNTS=forget))


def test_bands_without_the_needed_columns(hdulist):
    def spoil(hdu):
        out = renamed(hdu, {"E_MIN": "NONSENSE"})
        out.header["AXCOLS1"] = "E_MIN,E_MAX"
        return out

    with pytest.raises(DataFileError, match=r"COUNTS.*E_MIN"):
        MapDataset.from_hdulist(changed(hdulist, COUNTS_BANDS=spoil))


def test_bands_of_another_length(hdulist):
    def shorten(hdu):
        return fits.BinTableHDU(hdu.data[:2], header=hdu.header)

    with pytest.raises((DataFileError, GeometryError), match=r"COUNTS|shape"):
        MapDataset.from_hdulist(changed(hdulist, COUNTS_BANDS=shorten))


def test_counts_that_are_a_table_of_something_else(hdulist):
    parts = changed(hdulist, COUNTS=None)
    parts.append(fits.BinTableHDU.from_columns([fits.Column("X", "D", array=np.zeros(3))], name="COUNTS"))
    with pytest.raises(DataFileError, match="COUNTS"):
        MapDataset.from_hdulist(parts)


def test_unit_that_does_not_convert(hdulist, tmp_path):
    def unit(hdu):
        hdu.header["BUNIT"] = "TeV"

    changed(hdulist, EXPOSURE=unit).writeto(tmp_path / "a.fits")
    with pytest.raises(
        UnitMismatchError, match=r"a\.fits.*dataset 'test', field exposure has unit 'TeV', which does not convert to 'cm2 s'"
    ):
        MapDataset.read(tmp_path / "a.fits")


def test_psf_with_the_wrong_axes(hdulist):
    def swap(hdu):
        return renamed(hdu, {"RAD": "MIGRA", "RAD_MIN": "MIGRA_MIN", "RAD_MAX": "MIGRA_MAX"})

    with pytest.raises(GeometryError, match=r"PSF has the axes \['migra', 'energy_true'\]"):
        MapDataset.from_hdulist(changed(hdulist, PSF_BANDS=swap))


def test_energies_that_do_not_match(hdulist, tmp_path):
    def stretch(hdu):
        hdu.data = hdu.data.copy()
        for column in ("ENERGY", "E_MIN", "E_MAX"):
            hdu.data[column] = 2 * hdu.data[column]

    changed(hdulist, BACKGROUND_BANDS=stretch).writeto(tmp_path / "a.fits")
    with pytest.raises(
        GeometryError,
        match=r"a\.fits.*background has 3 bins in energy from 2 TeV to 20 TeV, but counts has 3 bins in energy from 1 TeV to 10 TeV",
    ):
        MapDataset.read(tmp_path / "a.fits")


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("suffix", ["fits", "fits.gz"])
def test_truncated_dataset(tmp_path, keep, suffix):
    path = tmp_path / f"a.{suffix}"
    make_dataset(models=None).write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataFileError, match=r"a\.fits.* is truncated"):
        MapDataset.read(path)


def test_gzip_is_decompressed_once(monkeypatch, tmp_path):
    """Reading through a gzip stream seeks back for every HDU and decompresses again; this used to cost eight times the time."""
    import zlib

    make_dataset(models=None).write(tmp_path / "a.fits.gz")
    calls = []
    original = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", lambda **options: calls.append(1) or original(**options))
    with open_fits(tmp_path / "a.fits.gz") as hdulist:
        assert sum(hdu.data is not None for hdu in hdulist) > 10
    assert len(calls) == 1
