"""Spectra in OGIP files: gammapy reads the same from them, what we write comes back bit by bit, and odd or bad files are told apart."""

import io
import shutil
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from gpudl4.core.errors import DataFileError, DatasetError, OutputError
from gpudl4.core.gti import GTI
from gpudl4.io.ogip import guess_format, ogip_filenames, read_ogip, write_ogip
from gpudl4.irf import EDispKernel, EDispKernelMap, EDispMap
from gpudl4.maps import MapAxis, RegionGeom, RegionNDMap
from tests.paths import shared_data

JOINT = {"fact": ["stacked"], "fermi": ["obs0"], "magic": ["obs5029747", "obs5029748"], "veritas": ["obs54809", "obs57993"]}
JOINT["hess"] = ["obs23523", "obs23526", "obs23559", "obs23592"]
REAL = [f"joint-crab/{folder}/pha_{run}.fits" for folder, runs in JOINT.items() for run in runs]
REAL += ["pks2155-steady/pks2155-304_steady.fits.gz"]
REAL += [f"simulated/simulated_spectrum_dataset_{kind}.fits" for kind in ("PL", "ECPL")]
MAPS = ("counts", "counts_off", "acceptance", "acceptance_off", "mask_safe", "exposure")


def assert_same_map(ours, theirs, exact=True, rtol=1e-12):
    dtype = np.dtype(theirs.data.dtype).newbyteorder("=")
    assert ours.data.dtype == (np.float64 if dtype == np.int64 else dtype)  # integers as acceptance
    if exact:
        np.testing.assert_array_equal(ours.data, theirs.data)
        assert ours.unit == theirs.unit
    else:
        np.testing.assert_allclose(ours.data * ours.unit.to(theirs.unit), theirs.data, rtol=rtol)
    assert ours.geom.data_shape == theirs.geom.data_shape
    for axis, other in zip(ours.geom.axes, theirs.geom.axes, strict=True):
        assert (axis.name, axis.interp, axis.node_type) == (other.name, other.interp, other.node_type)
        np.testing.assert_allclose(axis.edges.to_value(other.unit), other.edges.value, rtol=1e-14 if exact else rtol)
        assert axis.unit == other.unit or not exact


def assert_same_fields(ours, theirs, exact=True):
    """Fields of `read_ogip` against another dict of fields, or the attributes of a dataset of gammapy."""
    get = theirs.get if isinstance(theirs, dict) else lambda key: getattr(theirs, key)
    assert ours["name"] == ("pha_stacked" if get("name").startswith("[") else get("name"))  # OBS_ID of many runs
    for key in MAPS:
        assert (ours.get(key) is None) == (get(key) is None), key
        if key in ours:
            assert_same_map(ours[key], get(key), exact)
    assert (ours.get("edisp") is None) == (get("edisp") is None)
    if "edisp" in ours:
        assert_same_map(ours["edisp"].edisp_map, get("edisp").edisp_map, exact)
        weight = get("edisp").exposure_map
        if weight.unit != get("exposure").unit:  # gammapy writes m2 s over the numbers, whatever they mean
            weight = type(weight)(geom=weight.geom, data=weight.data, unit=get("exposure").unit)
        assert_same_map(ours["edisp"].exposure_map, weight, exact)
    assert ours["exposure"].meta["livetime"] == get("exposure").meta["livetime"]
    assert (ours.get("gti") is None) == (get("gti") is None)
    if "gti" in ours:
        assert abs((ours["gti"].time_start - get("gti").time_start).to_value("s")).max() < 1e-6
        assert abs((ours["gti"].time_stop - get("gti").time_stop).to_value("s")).max() < 1e-6
    region, other = ours["counts"].geom.region, get("counts").geom.region
    assert (region is None) == (other is None)
    if region is not None:
        assert region.center.separation(other.center).to_value("arcsec") < 1e-6
        assert region.radius.to_value("deg") == pytest.approx(other.radius.to_value("deg"), rel=1e-9)


# real files


@pytest.mark.peer
@pytest.mark.parametrize("file", REAL)
def test_real_files_are_read_as_gammapy_reads_them(file, tmp_path):
    peer = pytest.importorskip("gammapy.datasets")
    path = shared_data(file)
    ours, theirs = read_ogip(path), peer.SpectrumDatasetOnOff.read(path, format="ogip")
    assert_same_fields(ours, theirs)
    for key in ("counts", "counts_off", "exposure"):
        meta, other = ours[key].meta, dict(getattr(theirs, key).meta)
        assert meta == {name: value for name, value in other.items() if name not in ("comments", "HISTORY")}
    write_ogip(ours, tmp_path / "ours.fits", checksum=True)
    assert_same_fields(ours, peer.SpectrumDatasetOnOff.read(tmp_path / "ours.fits", checksum=True))
    write_ogip(ours, tmp_path / "sherpa.fits", format="ogip-sherpa")
    assert_same_fields(ours, peer.SpectrumDatasetOnOff.read(tmp_path / "sherpa.fits"), exact=False)


@pytest.mark.parametrize("file", REAL)
def test_real_files_survive_a_round_trip(file, tmp_path):
    first = read_ogip(shared_data(file))
    for name in ("again.fits", "again.fits.gz"):
        write_ogip(first, tmp_path / name)
        assert_same_fields(read_ogip(tmp_path / name), first)
    write_ogip(first, tmp_path / "sherpa.fits", format="ogip-sherpa")
    second = read_ogip(tmp_path / "sherpa.fits")
    assert_same_fields(second, first, exact=False)
    assert second["counts"].geom.axes["energy"].unit == second["exposure"].geom.axes["energy_true"].unit == "keV"
    assert second["exposure"].unit == "cm2 s"


# made-up spectra


def make_fields(single=True, edisp="kernel", region="icrs;circle(83.63, 22.01, 0.2)"):
    """A spectrum of four channels and six true energies."""
    rng = np.random.RandomState(0)
    axis = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", nbin=4)
    axis_true = MapAxis.from_energy_bounds("0.3 TeV", "30 TeV", nbin=6, name="energy_true")
    dtype = "float32" if single else "float64"
    geom = RegionGeom.create(region, axes=[axis])
    geom_true = geom.to_image().to_cube([axis_true])

    def filled(data, geom=geom, **options):
        return RegionNDMap(geom, data=np.asarray(data).reshape(geom.data_shape), **options)

    fields = {
        "name": "made up",
        "counts": filled(rng.poisson(5, 4).astype(dtype)),
        "counts_off": filled(rng.poisson(20, 4).astype(dtype)),
        "acceptance": filled(np.ones(4, dtype=dtype)),
        "acceptance_off": filled(rng.uniform(3, 5, 4).astype(dtype)),
        "mask_safe": filled([False, True, True, True]),
        "exposure": filled(rng.uniform(1e9, 1e10, 6).astype(dtype), geom_true, unit="m2 s", meta={"livetime": 0.7 * u.h}),
        "gti": GTI.create([0, 2000] * u.s, [1800, 2720] * u.s, reference_time="2020-01-01"),
    }
    if edisp == "kernel":
        fields["edisp"] = EDispKernelMap.from_gauss(axis, axis_true, sigma=0.2, bias=0.03, geom=geom.to_image())
    if edisp == "migra":
        migra = MapAxis.from_bounds(0.2, 3, nbin=70, name="migra")
        fields["edisp"] = EDispMap.from_diagonal_response(axis_true, migra_axis=migra)
    return fields


@pytest.mark.parametrize("single", [True, False])
def test_made_up_spectra_survive(single, tmp_path):
    fields = make_fields(single)
    write_ogip(fields, tmp_path / "spectrum.fits")
    again = read_ogip(tmp_path / "spectrum.fits")
    assert again["name"] == "made up"
    for key in MAPS[:-1]:
        np.testing.assert_array_equal(again[key].data, fields[key].data, err_msg=key)
    # an exposure is area times live time: in double precision not every number is such a product
    np.testing.assert_array_max_ulp(again["exposure"].data, fields["exposure"].data.astype("float64"), 1)
    if single:
        np.testing.assert_array_equal(again["exposure"].data.astype("float32"), fields["exposure"].data)
    np.testing.assert_array_equal(again["edisp"].edisp_map.data, fields["edisp"].edisp_map.data)
    assert again["exposure"].meta["livetime"] == 2520 * u.s
    assert again["counts"].geom.region.radius.to_value("deg") == pytest.approx(0.2)
    for map_, name in ((again["counts"], "energy"), (again["exposure"], "energy_true")):
        np.testing.assert_array_equal(
            map_.geom.axes[name].edges, fields["counts" if name == "energy" else "exposure"].geom.axes[name].edges
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"spectrum{part}.fits" for part in ("", "_arf", "_bkg", "_rmf")]


@pytest.mark.peer
def test_files_of_gammapy_are_read(tmp_path):
    peer = pytest.importorskip("gammapy.datasets")
    theirs = peer.SpectrumDatasetOnOff.read(shared_data(REAL[1]))
    theirs.mask_safe.data[:5] = False
    theirs.write(tmp_path / "theirs.fits", format="ogip", checksum=True)
    ours = read_ogip(tmp_path / "theirs.fits", checksum=True)
    assert_same_fields(ours, peer.SpectrumDatasetOnOff.read(tmp_path / "theirs.fits", format="ogip"))
    assert not ours["mask_safe"].data[:5].any()


def test_counts_that_are_no_integers_keep_their_decimals(tmp_path):
    fields = make_fields()
    fields["counts"].data = fields["counts"].data + np.float32(0.25)
    write_ogip(fields, tmp_path / "asimov.fits")
    np.testing.assert_array_equal(read_ogip(tmp_path / "asimov.fits")["counts"].data, fields["counts"].data)
    with fits.open(tmp_path / "asimov.fits") as hdulist:
        assert hdulist["SPECTRUM"].columns["COUNTS"].format == "D"


def test_parts_may_be_missing(tmp_path):
    fields = make_fields(edisp=None, region=None)
    for key in ("counts_off", "acceptance_off", "mask_safe", "gti"):
        del fields[key]
    write_ogip(fields, tmp_path / "small.fits")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.fits", "small_arf.fits"]
    again = read_ogip(tmp_path / "small.fits", name="other")
    assert set(again) == {"name", "counts", "acceptance", "mask_safe", "exposure"}
    assert again["name"] == "other"
    assert again["mask_safe"].data.all()
    assert again["counts"].geom.region is None


def test_energy_dispersion_over_migration_is_written_as_matrix(tmp_path):
    fields = make_fields(edisp="migra")
    write_ogip(fields, tmp_path / "migra.fits")
    wanted = fields["edisp"].get_edisp_kernel(energy_axis=fields["counts"].geom.axes["energy"])
    kernel = read_ogip(tmp_path / "migra.fits")["edisp"].get_edisp_kernel()
    np.testing.assert_allclose(kernel.pdf_matrix, wanted.pdf_matrix, atol=1e-7)


def test_device_arrays_are_written(backend, tmp_path):
    fields = make_fields()
    moved = {key: value.to_device(backend) if hasattr(value, "to_device") else value for key, value in fields.items()}
    write_ogip(moved, tmp_path / "device.fits")
    np.testing.assert_array_equal(read_ogip(tmp_path / "device.fits")["counts"].data, fields["counts"].data)


def test_files_beside_a_file():
    assert ogip_filenames("folder/run.1.fits.gz")["ANCRFILE"] == "run.1_arf.fits.gz"
    assert ogip_filenames("run")["BACKFILE"] == "run_bkg"


def test_nothing_is_written_if_one_file_exists(tmp_path):
    (tmp_path / "s_rmf.fits").touch()
    with pytest.raises(OutputError, match=r"s_rmf.fits' exists already"):
        write_ogip(make_fields(), tmp_path / "s.fits")
    assert [p.name for p in tmp_path.iterdir()] == ["s_rmf.fits"]
    write_ogip(make_fields(), tmp_path / "s.fits", overwrite=True)
    assert guess_format(tmp_path / "s.fits") == "ogip"


def test_formats_are_told_apart(tmp_path):
    make_fields()["counts"].write(tmp_path / "gadf.fits", hdu="COUNTS")
    assert guess_format(tmp_path / "gadf.fits") == "gadf"
    write_ogip(make_fields(), tmp_path / "s.fits")
    with pytest.raises(DataFileError, match=r"neither an OGIP spectrum.*SPECRESP"):
        guess_format(tmp_path / "s_arf.fits")


# what a file may look like


@pytest.fixture
def folder(tmp_path):
    """Files of a spectrum, to be changed."""
    write_ogip(make_fields(), tmp_path / "s.fits")
    return tmp_path


def edit(folder, part, change, hdu="SPECTRUM"):
    """Change an HDU of one of the files; None removes it."""
    path = folder / f"s{part}.fits"
    hdulist = fits.open(io.BytesIO(path.read_bytes()))  # kept open: columns of varying length are read when they are needed
    if change is None:
        del hdulist[hdu]
    else:
        new = change(hdulist[hdu])
        if new is not None:
            hdulist[hdulist.index_of(hdu)] = new
    hdulist.writeto(path, overwrite=True)


def cards(**values):
    """Change that sets keywords, or removes those that are None."""

    def change(hdu):
        for key, value in values.items():
            if value is None:
                del hdu.header[key]
            else:
                hdu.header[key.replace("_", "-")] = value

    return change


def columns(**values):
    """Change that replaces or adds columns; None removes one."""

    def change(hdu):
        kept = [column for column in hdu.columns if column.name not in values]
        kept += [
            fits.Column(name, {"i": "I", "f": "D", "b": "L"}[np.asarray(value).dtype.kind], array=value)
            for name, value in values.items()
            if value is not None
        ]
        header = fits.Header([card for card in hdu.header.cards if not card.keyword.startswith(("TTYPE", "TFORM", "TUNIT", "TFIELDS"))])
        return fits.BinTableHDU.from_columns(kept, header=header, name=hdu.name)

    return change


def scale(*names, factor=1.0, unit=None):
    """Change that multiplies columns and sets their unit."""

    def change(hdu):
        for name in names:
            hdu.data[name] *= factor
            if unit is not None:
                hdu.columns[name].unit = unit

    return change


def test_keywords_stand_for_columns(folder):
    edit(folder, "", columns(BACKSCAL=None, QUALITY=None))
    edit(folder, "", cards(BACKSCAL=0.5, QUALITY=0))
    fields = read_ogip(folder / "s.fits")
    assert (fields["acceptance"].data == 0.5).all()
    assert fields["mask_safe"].data.all()


def test_any_quality_but_zero_is_unsafe(folder):
    edit(folder, "", columns(QUALITY=[0, 1, 2, 5]))
    assert read_ogip(folder / "s.fits")["mask_safe"].data.ravel().tolist() == [True, False, False, False]


def test_energies_of_channels_may_stand_in_the_response_only(folder):
    wanted = read_ogip(folder / "s.fits")["counts"].geom
    edit(folder, "", None, "EBOUNDS")
    edit(folder, "_bkg", None, "EBOUNDS")
    fields = read_ogip(folder / "s.fits")
    assert fields["counts"].geom == fields["counts_off"].geom == wanted


def test_grouping_is_not_applied(folder):
    edit(folder, "", columns(GROUPING=[1, -1, 1, 1]))
    with pytest.warns(UserWarning, match="grouping of channels is not applied"):
        fields = read_ogip(folder / "s.fits")
    assert fields["counts"].data.shape == (4, 1, 1)


def test_files_may_be_named_none(folder):
    edit(folder, "", cards(BACKFILE="NONE", RESPFILE=""))
    fields = read_ogip(folder / "s.fits")
    assert "counts_off" not in fields
    assert "edisp" not in fields


def test_files_beside_the_spectrum_come_first(folder, monkeypatch):
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(folder / "s_bkg.fits", elsewhere / "s_arf.fits")
    monkeypatch.chdir(elsewhere)
    assert read_ogip(folder / "s.fits")["exposure"].unit == "m2 s"


def test_name_of_a_file_without_identifier(folder):
    edit(folder, "", cards(OBS_ID=None))
    assert read_ogip(folder / "s.fits")["name"] == "s"


@pytest.mark.parametrize("fixed", [False, True])
def test_channels_may_count_from_one(folder, fixed):
    wanted = read_ogip(folder / "s.fits")["edisp"].edisp_map.data
    with fits.open(folder / "s_rmf.fits") as hdulist:
        if fixed:  # one group per row, columns of fixed size
            full = wanted[:, :, 0, 0].astype("f4")
            array = [fits.Column("N_GRP", "I", array=np.ones(6)), fits.Column("F_CHAN", "I", array=np.ones(6))]
            array += [fits.Column("N_CHAN", "I", array=np.full(6, 4)), fits.Column("MATRIX", "4E", array=full)]
            energies = [hdulist["MATRIX"].columns[name] for name in ("ENERG_LO", "ENERG_HI")]
            hdu = fits.BinTableHDU.from_columns([*energies, *array], name="MATRIX")
            hdulist["MATRIX"] = hdu
        else:
            for row in hdulist["MATRIX"].data["F_CHAN"]:
                row += 1
            hdulist["MATRIX"].header["TLMIN4"] = 1
        hdulist["EBOUNDS"].data["CHANNEL"] += 1
        hdulist.writeto(folder / "s_rmf.fits", overwrite=True)
    np.testing.assert_array_equal(read_ogip(folder / "s.fits")["edisp"].edisp_map.data, wanted)


def test_units_may_differ_between_files_and_columns(folder):
    wanted = read_ogip(folder / "s.fits")
    edit(folder, "_rmf", scale("ENERG_LO", "ENERG_HI", factor=1e9, unit="keV"), "MATRIX")
    edit(folder, "_bkg", scale("E_MIN", "E_MAX", factor=1e3, unit="GeV"), "EBOUNDS")
    edit(folder, "", scale("E_MAX", factor=1e6, unit="MeV"), "EBOUNDS")
    fields = read_ogip(folder / "s.fits")
    assert_same_fields(fields, wanted, exact=False)
    assert {str(fields[key].geom.axes[0].unit) for key in ("counts", "counts_off", "exposure")} == {"TeV"}
    assert fields["edisp"].edisp_map.geom.axes["energy_true"].unit == "TeV"


def test_scaling_of_areas_and_times(folder):
    """OGIP: predicted counts and acceptance of a channel are proportional to AREASCAL, those of the background to its exposure time."""
    before = read_ogip(folder / "s.fits")
    edit(folder, "", columns(AREASCAL=np.full(4, 0.5)))
    edit(folder, "_bkg", cards(EXPOSURE=2 * 2520.0))
    with pytest.warns(UserWarning, match="exposed for 5040 s.*2520 s and AREASCAL is not 1"):
        after = read_ogip(folder / "s.fits")
    np.testing.assert_allclose(after["acceptance"].data, 0.5 * before["acceptance"].data)
    np.testing.assert_allclose(after["acceptance_off"].data, 2 * before["acceptance_off"].data)
    np.testing.assert_allclose(after["exposure"].data, 0.5 * before["exposure"].data)
    np.testing.assert_array_equal(after["edisp"].edisp_map.data, before["edisp"].edisp_map.data)

    scaling = np.array([0.5, 1, 1, 0.25])
    edit(folder, "", columns(AREASCAL=scaling))
    with pytest.warns(UserWarning, match="AREASCAL"):
        after = read_ogip(folder / "s.fits")
    flux = np.arange(1, 7)[:, None]

    def predicted(fields):
        return (fields["exposure"].data[:, :, 0] * flux * fields["edisp"].edisp_map.data[:, :, 0, 0]).sum(axis=0)

    np.testing.assert_allclose(predicted(after), scaling * predicted(before), rtol=1e-6)
    np.testing.assert_allclose(after["acceptance"].data.ravel(), scaling * before["acceptance"].data.ravel())


def test_usual_files_give_no_warning(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_ogip(folder / "s.fits", checksum=True)


def test_scales_of_bad_channels_may_be_anything(folder):
    good = read_ogip(folder / "s.fits")["mask_safe"].data.ravel()
    quality, backscal = np.where(good, 0, 1), np.where(good, 1.0, np.nan)
    quality[-1], backscal[-1] = 5, -1.0
    edit(folder, "", columns(QUALITY=quality, BACKSCAL=backscal))
    np.testing.assert_array_equal(read_ogip(folder / "s.fits")["acceptance"].data.ravel(), backscal)


# bad files


def matrix(value):
    """A change of one value of an RMF."""

    def change(hdu):
        hdu.data["MATRIX"][2][0] = value
        return hdu

    return change


BAD = {
    "no ARF named": ("", cards(ANCRFILE=None), "SPECTRUM", "names no effective area"),
    "ARF missing": ("", cards(ANCRFILE="gone.fits"), "SPECTRUM", r"effective area \(ARF\) file 'gone.fits' \(ANCRFILE\)"),
    "RMF missing": ("", cards(RESPFILE="gone.fits"), "SPECTRUM", r"energy dispersion \(RMF\) file 'gone.fits' \(RESPFILE\)"),
    "BKG missing": ("", cards(BACKFILE="gone.fits"), "SPECTRUM", r"background file 'gone.fits' \(BACKFILE\)"),
    "unset variable": ("", cards(ANCRFILE="$NO_SUCH_VARIABLE/a.fits"), "SPECTRUM", "NO_SUCH_VARIABLE, which is not set"),
    "no spectrum": ("", None, "SPECTRUM", "HDU SPECTRUM was wanted, the file has: EBOUNDS, REGION, GTI"),
    "no exposure": ("", cards(EXPOSURE=None), "SPECTRUM", "EXPOSURE must give the live time"),
    "exposure zero": ("", cards(EXPOSURE=0.0), "SPECTRUM", "EXPOSURE must give the live time in seconds, got 0.0"),
    "channel count": ("", cards(DETCHANS=5), "SPECTRUM", "DETCHANS says 5 channels, but the table SPECTRUM has 4 rows"),
    "channels jump": ("", columns(CHANNEL=[0, 1, 3, 4]), "SPECTRUM", "CHANNEL must count up by one"),
    "no region size": ("", columns(BACKSCAL=None), "SPECTRUM", "there is no BACKSCAL"),
    "not Poissonian": ("", cards(POISSERR=False), "SPECTRUM", "errors are not Poissonian .POISSERR is false"),
    "net counts": ("", cards(HDUCLAS2="NET"), "SPECTRUM", "background is subtracted already"),
    "type II": ("", cards(HDUCLAS4="TYPE:II"), "SPECTRUM", "several spectra"),
    "rates": ("", columns(COUNTS=None, RATE=np.ones(4)), "SPECTRUM", "column RATE: it holds rates"),
    "area scaling": ("", columns(AREASCAL=[0.0, 1, 1, 1]), "SPECTRUM", "AREASCAL must be positive"),
    "area unknown": ("", columns(AREASCAL=[1, np.nan, 1, 1]), "SPECTRUM", "AREASCAL must be positive and finite, .* the first in row 1"),
    "area of background": ("_bkg", columns(AREASCAL=[1, 1, np.inf, 1]), "SPECTRUM", "s_bkg.*AREASCAL must be positive and finite"),
    "region infinite": (
        "",
        columns(BACKSCAL=[1.0, 1, np.inf, 1], QUALITY=[0, 0, 0, 0]),
        "SPECTRUM",
        "BACKSCAL is negative or not finite in 1",
    ),
    "region unknown": ("", columns(BACKSCAL=np.full(4, np.nan)), "SPECTRUM", "BACKSCAL is negative or not finite in . of 4 channels"),
    "region negative": ("_bkg", columns(BACKSCAL=np.full(4, -1.0)), "SPECTRUM", "s_bkg.*BACKSCAL is negative or not finite"),
    "matrix unknown": ("_rmf", matrix(np.nan), "MATRIX", "MATRIX holds negative or not finite values in 1 of 6 rows"),
    "matrix infinite": ("_rmf", matrix(np.inf), "MATRIX", "MATRIX holds negative or not finite values in 1 of 6 rows"),
    "matrix negative": ("_rmf", matrix(-0.1), "MATRIX", "MATRIX holds negative or not finite values in 1 of 6 rows"),
    "background channels": (
        "_bkg",
        lambda hdu: fits.BinTableHDU(hdu.data[:3], cut(hdu), name="SPECTRUM"),
        "SPECTRUM",
        "EBOUNDS has 4 .* has 3",
    ),
    "no unit": ("", scale("E_MIN", unit=""), "EBOUNDS", "column E_MIN has the unit ''; an energy unit"),
    "no energy": ("", scale("E_MAX", unit="cm"), "EBOUNDS", "column E_MAX has the unit 'cm'"),
    "descending": ("", scale("E_MIN", "E_MAX", factor=-1), "EBOUNDS", "energies must be positive and ascend"),
    "gaps": ("", scale("E_MAX", factor=0.9), "EBOUNDS", "bins must be adjacent"),
    "keV called TeV": ("_rmf", scale("ENERG_LO", "ENERG_HI", factor=1e9), "MATRIX", "factor 1e9, so one of the units is wrong .keV, MeV"),
    "TeV called keV": ("_arf", scale("ENERG_LO", "ENERG_HI", unit="keV"), "SPECRESP", "factor 1e9, so one of the units is wrong"),
    "background in keV": ("_bkg", scale("E_MIN", "E_MAX", factor=1e9), "EBOUNDS", "s_bkg.fits' has energies .* factor 1e9"),
    "other channels": ("_rmf", scale("E_MIN", "E_MAX", factor=1.3), "EBOUNDS", "both must have the same bins"),
    "no area": ("_arf", scale("SPECRESP", unit="TeV"), "SPECRESP", "effective area has the unit 'TeV'"),
    "no ARF table": ("_arf", None, "SPECRESP", "HDU SPECRESP was wanted"),
    "no matrix": ("_rmf", None, "MATRIX", "HDU MATRIX was wanted, the file has: EBOUNDS"),
    "matrix with area": (
        "_rmf",
        lambda hdu: setattr(hdu, "name", "SPECRESP MATRIX") or cards(HDUCLAS3="FULL")(hdu),
        "MATRIX",
        "includes the effective area",
    ),
    "matrix channels": ("_rmf", cards(DETCHANS=7), "MATRIX", "DETCHANS says 7 channels, but EBOUNDS has 4"),
    "matrix groups": ("_rmf", lambda hdu: hdu.data["N_GRP"].__iadd__(5) is None or None, "MATRIX", "names 6 groups"),
    "matrix start": ("_rmf", cards(TLMIN4=2), "MATRIX", "but the channels are 2 to 5"),
}


def cut(hdu):
    header = hdu.header.copy()
    header["DETCHANS"] = 3
    return header


@pytest.mark.parametrize("case", BAD)
def test_bad_files(case, folder):
    part, change, hdu, message = BAD[case]
    edit(folder, part, change, hdu)
    with pytest.raises(DataFileError, match=message) as error:
        read_ogip(folder / "s.fits")
    assert str(folder) in str(error.value) or "unset" in case


def test_errors_beside_the_counts(folder):
    """Without POISSERR, a column of errors tells."""
    counts = read_ogip(folder / "s.fits")["counts"].data.ravel()
    edit(folder, "", cards(POISSERR=None))
    edit(folder, "", columns(STAT_ERR=np.sqrt(counts).astype(float)))
    read_ogip(folder / "s.fits")
    edit(folder, "", columns(STAT_ERR=1.5 * np.sqrt(counts) + 1.0))
    with pytest.raises(DataFileError, match="STAT_ERR is not the root of the counts"):
        read_ogip(folder / "s.fits")
    edit(folder, "", columns(STAT_ERR=None, SYS_ERR=np.full(4, 0.1)))
    with pytest.warns(UserWarning, match="SYS_ERR"):
        read_ogip(folder / "s.fits")


def test_area_scaling_per_channel_needs_energy_dispersion(folder):
    edit(folder, "", columns(AREASCAL=[0.5, 1, 1, 1]))
    edit(folder, "", cards(RESPFILE="none"))
    with pytest.warns(UserWarning, match="AREASCAL"), pytest.raises(DataFileError, match="needs an energy dispersion"):
        read_ogip(folder / "s.fits")


def test_unknown_energies_of_channels(folder):
    edit(folder, "", None, "EBOUNDS")
    edit(folder, "", cards(RESPFILE="none"))
    with pytest.raises(DataFileError, match="energies of its channels are unknown"):
        read_ogip(folder / "s.fits")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acceptance_off": None}, "it has no acceptance_off"),
        ({"exposure": None, "name": None}, "it has no name, exposure"),
        ({"counts": EDispKernelMap}, "counts has the axes"),
    ],
)
def test_fields_that_do_not_fit(change, message, tmp_path):
    fields = make_fields() | change
    if fields["counts"] is EDispKernelMap:
        fields["counts"] = fields["edisp"].edisp_map
    with pytest.raises(DatasetError, match=message):
        write_ogip(fields, tmp_path / "s.fits")
    assert not list(tmp_path.iterdir())


def test_live_time_is_needed(tmp_path):
    fields = make_fields()
    for meta, message in (({}, "need the live time: set dataset.exposure.meta"), ({"livetime": 0 * u.s}, "must be positive")):
        fields["exposure"].meta = meta
        with pytest.raises(DatasetError, match=message):
            write_ogip(fields, tmp_path / "s.fits")
    with pytest.raises(DatasetError, match="unknown format 'ogip2'"):
        write_ogip(fields, tmp_path / "s.fits", format="ogip2")


def test_rows_of_zeros_and_several_groups_survive(tmp_path):
    fields = make_fields(edisp=None)
    axis, axis_true = fields["counts"].geom.axes["energy"], fields["exposure"].geom.axes["energy_true"]
    matrix = np.zeros((6, 4))
    matrix[1, [0, 2, 3]], matrix[3, 3], matrix[5] = (0.1, 0.2, 0.3), 1 / 3, 0.25
    fields["edisp"] = EDispKernelMap.from_edisp_kernel(EDispKernel([axis_true, axis], matrix), geom=fields["counts"].geom.to_image())
    write_ogip(fields, tmp_path / "s.fits")
    with fits.open(tmp_path / "s_rmf.fits") as hdulist:
        assert hdulist["MATRIX"].data["N_GRP"].tolist() == [1, 2, 1, 1, 1, 1]
        assert hdulist["MATRIX"].header["NUMELT"] == 8
    np.testing.assert_array_equal(read_ogip(tmp_path / "s.fits")["edisp"].edisp_map.data[:, :, 0, 0], matrix.astype("float32"))
