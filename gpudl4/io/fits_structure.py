"""How a FITS file is laid out: its HDUs, found by reading the headers alone, before any library makes arrays of what they announce.

A header is a promise of sizes. `check_structure` compares it with the length of the file, so that damage shows as such instead of as an
endless loop or a request for more memory than there is. FITS standard 4.0, https://fits.gsfc.nasa.gov/fits_standard.html
"""

import re
from dataclasses import dataclass

from gpudl4.core.errors import DataFileError
from gpudl4.core.reading import excerpt

__all__ = ["BLOCK", "Part", "check_structure", "parts_of"]

BLOCK = 2880
CARD = 80
AHEAD = 4  # blocks that are read at once; headers of maps have two or three
NUMBER = re.compile(r"[+-]?\d{1,19}(?!\S)")
TFORM = re.compile(r"(\d{0,18})([LXBIJKAEDCMPQ])")
WIDTHS = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
LIMITS = {
    "NAXIS": (0, 32),
    "PCOUNT": (0, None),
    "GCOUNT": (1, 1),
    "TFIELDS": (0, 999),
    "WCSAXES": (0, 32),
    "A_ORDER": (0, 20),
    "B_ORDER": (0, 20),
    "AP_ORDER": (0, 20),
    "BP_ORDER": (0, 20),
}
"""Whole numbers that a header may give; libraries make arrays of these sizes. NAXIS may be 999, but arrays have not more axes."""
MOST_PER_BYTE = 10_000  # pixels of a compressed image


@dataclass(frozen=True)
class Part:
    """An HDU: number, name, where its header starts, where its data start and how many bytes they have."""

    number: int
    name: str
    header: int
    data: int
    size: int

    @property
    def end(self):
        """Where the next HDU starts."""
        return self.data + -(-self.size // BLOCK) * BLOCK

    def __str__(self):
        return f"HDU {self.number} ({self.name or 'no name'})"


def check_structure(stream, size, where):
    """Check that all HDUs of a file are whole and that their sizes are those that their headers say.

    Parameters
    ----------
    stream : binary file object
        File, read here and there.
    size : int
        Its length in bytes.
    where : str
        Its name, for messages.

    Raises
    ------
    DataFileError
        If a header is no header or lacks its end, a size is missing or impossible, or data are cut off.
    """
    for part in parts_of(stream, size, where):
        if part.data + part.size > size:
            missing = part.data + part.size - size
            raise DataFileError(f"{where} is truncated or damaged: {part} lacks {missing} bytes: copy it again")


def parts_of(stream, size, where):
    """Iterate over the HDUs of a file; see `check_structure`."""
    start, number = 0, 0
    while start < size:
        part = _part(stream, size, where, start, number)
        if part is None:
            return
        yield part
        start, number = part.end, number + 1


def _part(stream, size, where, start, number):
    """HDU whose header starts somewhere; None if nothing but zeros are left."""
    stream.seek(start)
    text = stream.read(AHEAD * BLOCK)
    if number and not text.startswith(b"XTENSION"):
        rest = text
        while rest and not rest.strip(b"\0"):
            rest = stream.read(AHEAD * BLOCK)
        if not rest:
            return None
        raise DataFileError(f"{where} is truncated or damaged after HDU {number - 1}: what follows is not a FITS header")
    while (end := _end(text)) is None:
        more = stream.read(AHEAD * BLOCK)
        if not more:
            raise DataFileError(f"{where} is truncated or damaged: the header of HDU {number} has no end")
        text += more
    cards = _cards(text[:end].decode("latin-1"))  # remarks hold what their writers liked
    name = cards.get("EXTNAME", "").split("'")[1].strip() if cards.get("EXTNAME", "").count("'") > 1 else ""
    data = start + -(-(end + CARD) // BLOCK) * BLOCK
    part = Part(number, name, start, data, 0)
    return Part(number, name, start, data, _size_of_data(cards, f"{where}: the header of {part}"))


def _end(text):
    """Where the card END starts; None if there is none."""
    place = -1
    while (place := text.find(b"END     ", place + 1)) >= 0:
        if place % CARD == 0:
            return place
    return None


def _cards(text):
    """Values of the cards as they stand, without comments where that matters not; the first of several counts."""
    cards = {}
    for place in range(0, len(text), CARD):
        if text[place + 8 : place + 10] == "= ":
            cards.setdefault(text[place : place + 8].rstrip(), text[place + 10 : place + CARD])
    return cards


def _whole(cards, key, where, default=None):
    """A whole number within its limits."""
    if key not in cards:
        if default is None:
            raise DataFileError(f"{where} has no keyword {key}")
        return default
    found = NUMBER.match(cards[key].partition("/")[0].strip())
    low, high = LIMITS.get(key, (0, None))
    if found is None or int(found[0]) < low or (high is not None and int(found[0]) > high):
        wanted = f"not below {low}" if high is None else f"{low}" if low == high else f"from {low} to {high}"
        raise DataFileError(f"{where} says {key} = {excerpt(cards[key].strip(), 30)}; a whole number {wanted} was wanted")
    return int(found[0])


def _size_of_data(cards, where):
    kind = cards.get("XTENSION", "'IMAGE'").split("'")[1:2]
    bits = NUMBER.match(cards.get("BITPIX", "").strip())
    if bits is None or int(bits[0]) not in (8, 16, 32, 64, -32, -64):
        raise DataFileError(f"{where} says BITPIX = {excerpt(cards.get('BITPIX', '').strip(), 30)}; 8, 16, 32, 64, -32 or -64 was wanted")
    number = _whole(cards, "NAXIS", where)
    shape = [_whole(cards, f"NAXIS{axis}", where) for axis in range(1, number + 1)]
    if shape and shape[0] == 0 and cards.get("GROUPS", "").strip().startswith("T"):
        raise DataFileError(f"{where} announces random groups, which are not read")
    for key in LIMITS:
        _whole(cards, key, where, default=1)
    values = 1 if shape else 0
    for length in shape:
        values *= length
    if kind and kind[0].strip() == "BINTABLE":
        _check_columns(cards, shape, where)
    return abs(int(bits[0])) // 8 * (values + _whole(cards, "PCOUNT", where, default=0))


def _check_columns(cards, shape, where):
    """The columns of a table must fill its rows."""
    if len(shape) != 2:
        raise DataFileError(f"{where} says that a table has {len(shape)} axes; 2 were wanted")
    width = 0
    for column in range(1, _whole(cards, "TFIELDS", where) + 1):
        form = TFORM.match(cards.get(f"TFORM{column}", "").strip().strip("'").strip())
        if form is None:
            given = excerpt(cards.get(f"TFORM{column}", "").strip(), 30)
            raise DataFileError(f"{where} says TFORM{column} = {given}; the format of a column was wanted")
        repeat = int(form[1] or 1)
        width += -(-repeat // 8) if form[2] == "X" else repeat * WIDTHS[form[2]]
    if width != shape[0]:
        raise DataFileError(f"{where} describes columns of {width} bytes, but rows of {shape[0]} (NAXIS1)")
    if any(key.startswith("ZNAXIS") for key in cards):
        _check_tiles(cards, shape, where)


def _check_tiles(cards, shape, where):
    """A compressed image in a table: no tile has more than a few thousand values for each of its bytes."""
    values = 1
    for axis in range(1, _whole(cards, "ZNAXIS", where) + 1):
        values *= _whole(cards, f"ZNAXIS{axis}", where)
    packed = shape[0] * shape[1] + _whole(cards, "PCOUNT", where, default=0)
    if values > MOST_PER_BYTE * packed:
        raise DataFileError(f"{where} announces a compressed image of {values} pixels in {packed} bytes")
