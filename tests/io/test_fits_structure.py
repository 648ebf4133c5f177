"""Headers that promise what the file does not hold are refused before anything is made of them."""

import io

import numpy as np
import pytest
from astropy.io import fits

from gpudl4.core.errors import DataFileError
from gpudl4.io.files import open_fits
from gpudl4.io.fits_structure import check_structure, parts_of


def content():
    table = fits.BinTableHDU.from_columns(
        [fits.Column("A", "D", array=np.arange(5.0)), fits.Column("B", "PJ()", array=[[1], [2, 3]] * 2 + [[]])]
    )
    image = fits.ImageHDU(np.ones((3, 4), dtype="float32"), name="IMAGE")
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), image, table]).writeto(buffer)
    return buffer.getvalue()


def with_card(data, hdu, key, value):
    """The file with another value in the first card of that key in an HDU."""
    start = data.index(b"XTENSION", 0 if hdu == 1 else data.index(b"XTENSION") + 1) if hdu else 0
    place = data.index(key.encode().ljust(8) + b"=", start)
    return data[:place] + f"{key:8s}= {value:>20}".encode().ljust(80) + data[place + 80 :]


def test_parts_are_those_that_astropy_finds():
    data = content()
    parts = list(parts_of(io.BytesIO(data), len(data), "f"))
    hdus = fits.open(io.BytesIO(data))
    assert [part.name for part in parts] == ["", "IMAGE", ""]
    assert [part.data for part in parts] == [hdu.fileinfo()["datLoc"] for hdu in hdus]
    assert [part.size for part in parts] == [hdu.size for hdu in hdus]
    assert parts[-1].end == len(data)


@pytest.mark.parametrize(
    ("hdu", "key", "value", "message"),
    [
        (0, "NAXIS", "999999999", "NAXIS = '999999999'; a whole number from 0 to 32"),
        (1, "NAXIS", "-1", "NAXIS = '-1'"),
        (1, "NAXIS", "3", "has no keyword NAXIS3"),
        (1, "NAXIS1", "4000000000", r"HDU 1 \(IMAGE\) lacks \d+ bytes"),
        (1, "NAXIS1", "4.0", "NAXIS1 = '4.0'"),
        (1, "BITPIX", "33", "BITPIX = '33'"),
        (1, "PCOUNT", "-8", "PCOUNT = '-8'; a whole number not below 0"),
        (1, "PCOUNT", "99999999", "lacks"),
        (1, "GCOUNT", "9", "GCOUNT = '9'; a whole number 1 was wanted"),
        (2, "TFIELDS", "1000000000", "TFIELDS"),
        (2, "TFIELDS", "1", "columns of 8 bytes, but rows of 16"),
        (2, "NAXIS2", "99999999999999", "lacks"),
        (2, "TFORM1", "'999999999999D'", "describes columns of"),
        (2, "TFORM1", "'Z'", "the format of a column was wanted"),
    ],
)
def test_sizes_that_cannot_be(tmp_path, hdu, key, value, message):
    (tmp_path / "a.fits").write_bytes(with_card(content(), hdu, key, value))
    with pytest.raises(DataFileError, match=rf"a\.fits'.*{message}"):
        open_fits(tmp_path / "a.fits")


def test_first_of_two_cards_counts_and_remarks_may_hold_anything():
    data = content()
    place = data.index(b"END     ")
    card = "COMMENT Größe NAXIS = 999".encode("latin-1").ljust(80)
    data = data[:place] + card + b"NAXIS   =            999999999".ljust(80) + b"END".ljust(80) + data[place + 240 :]
    check_structure(io.BytesIO(data), len(data), "f")


def test_zeros_at_the_end_are_harmless_and_anything_else_is_not(tmp_path):
    (tmp_path / "a.fits").write_bytes(content() + bytes(2880))
    with open_fits(tmp_path / "a.fits") as hdulist:
        assert len(hdulist) == 3
    (tmp_path / "a.fits").write_bytes(content() + b"x" * 2880)
    with pytest.raises(DataFileError, match="damaged after HDU 2"):
        open_fits(tmp_path / "a.fits")
