"""Damage: one change of a file, drawn at random from those that disks, transfers, editors and other programs make."""

import gzip
import io
import warnings

import numpy as np
import yaml
from astropy.io import fits

__all__ = ["mutated"]

CARD, BLOCK = 80, 2880
VALUES = (np.nan, np.inf, -np.inf, -1.0, -1000.0, 1e308, 1e-320, 0.0, 1e30, -1e-30)
CARD_VALUES = (
    "-1",
    "0",
    "999999999",
    "9223372036854775807",
    "1E400",
    "NaN",
    "T",
    "'text'",
    "''",
    "1.5",
    "3",
    "",
    "(1, 2)",
    "'(10**7,10**7)'",
)
NODES = (
    None, [], {}, [1, 2], {"a": 1}, "text", "", -1, 0, 1e308, float("nan"), float("inf"), True, "../../../etc/passwd", "/dev/zero", "\0",
    10**40, [[[]]], "x" * 5000, b"bytes",
)  # fmt: skip
TOKENS = ("nan", "inf", "-inf", "-1", "1e308", "foo", "", "|", "1e999", "0x10")
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
)


def mutated(content, kind, rng):
    """Damaged content of a file, and what was done.

    Parameters
    ----------
    content : bytes
        Of the good file.
    kind : {"fits", "yaml", "text"}
        Format.
    rng : `numpy.random.Generator`
        Source of random numbers.

    Returns
    -------
    content : bytes
    what : str
    """
    packed = content.startswith(b"\x1f\x8b")
    change = rng.choice(MUTATORS[kind])
    if packed and rng.random() < 0.3:
        return _bytes(content, rng)
    plain = gzip.decompress(content) if packed else content
    try:
        out, what = change(plain, rng)
    except (ValueError, TypeError, IndexError, OSError):  # a library that will not write such a file
        out, what = _bytes(plain, rng)
    return (gzip.compress(out, 1) if packed else out), what


def _pick(values, rng):
    return values[int(rng.integers(len(values)))]


# ------------------------------------------------------------------------------------------------------------------------------ any file


def _bytes(content, rng):
    out = bytearray(content)
    place, how = int(rng.integers(len(out))), int(rng.integers(4))
    if how == 0:
        out[place] ^= 1 << int(rng.integers(8))
    elif how == 1:
        del out[place:]
    elif how == 2:
        out[place : place + 20] = rng.integers(0, 256, 20, dtype=np.uint8).tobytes()
    else:
        del out[place : place + int(rng.integers(1, 3000))]
    return bytes(out), f"bytes {how} at {place}"


# ---------------------------------------------------------------------------------------------------------------------------------- FITS


def _cards(content):
    """Places of all header cards with a value."""
    places, place = [], 0
    while place < len(content):
        if content[place : place + 8] not in (b"SIMPLE  ", b"XTENSION"):
            place += BLOCK
            continue
        while place < len(content) and content[place : place + 8] != b"END     ":
            places.append(place)
            place += CARD
        place = -(-(place + CARD) // BLOCK) * BLOCK
    return places


def _card(content, rng):
    out = bytearray(content)
    place, how = _pick(_cards(content), rng), int(rng.integers(7))
    card = bytes(out[place : place + CARD])
    if how == 0:
        out[place + int(rng.integers(CARD))] ^= 1 << int(rng.integers(8))
    elif how in (1, 2, 3):
        value = _pick(CARD_VALUES, rng)
        card = card[:8] + b"= " + value.encode().rjust(20) + b" " * 50
        out[place : place + CARD] = card[:CARD].ljust(CARD)
    elif how == 4:
        out[place : place + CARD] = b"COMMENT".ljust(CARD)
    elif how == 5:
        other = _pick(_cards(content), rng)
        out[place : place + 8] = out[other : other + 8]
    else:
        out[place : place + CARD] = rng.integers(0, 256, CARD, dtype=np.uint8).tobytes()
    return bytes(out), f"card {how}: {card[:30]!r}"


def _hdus(content):
    return fits.open(io.BytesIO(content), memmap=False)


def _written(hdus):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hdus.writeto(buffer, output_verify="ignore")
    return buffer.getvalue()


def _number(content, rng):
    """One value, one row, one plane or all values of an array."""
    hdus = _hdus(content)
    hdu = _pick([hdu for hdu in hdus if hdu.data is not None and len(hdu.data)], rng)
    name = ""
    if hdu.is_image:
        data = hdu.data
    else:
        name = _pick(hdu.columns.names, rng)
        data = hdu.data[name]
    if data.dtype.kind not in "iufb":
        return _bytes(content, rng)
    value, how = _pick(VALUES, rng), int(rng.integers(3))
    if data.dtype.kind in "iub":
        value = _pick([-1, 0, 99, 32767, -32768], rng) if data.dtype.kind == "i" else 1
    with np.errstate(all="ignore"):
        if how == 0:
            data[tuple(int(rng.integers(n)) for n in data.shape)] = value
        elif how == 1:
            data[int(rng.integers(len(data)))] = value
        else:
            data[...] = value
    return _written(hdus), f"number {how}: {hdu.name} {name} = {value}"


def _structure(content, rng):
    hdus = _hdus(content)
    tables = [number for number, hdu in enumerate(hdus) if isinstance(hdu, fits.BinTableHDU)]
    how = int(rng.integers(6)) if tables else int(rng.integers(2))
    number = int(rng.integers(1, len(hdus))) if len(hdus) > 1 else 0
    if how >= 2:
        number = _pick(tables, rng)
    hdu, what = hdus[number], ""
    if how == 0 and number:
        del hdus[number]
    elif how == 1:
        hdus.append(hdu.copy())
    elif how in (2, 3, 4):
        what = _pick(hdu.columns.names, rng)
        _change_column(hdus, number, what, how, rng)
    else:
        rows = int(rng.integers(len(hdu.data))) if len(hdu.data) else 0
        hdus[number] = fits.BinTableHDU(hdu.data[:rows], header=hdu.header, name=hdu.name)
        what = f"{rows} rows"
    return _written(hdus), f"structure {how}: {hdu.name} {what}"


def _change_column(hdus, number, name, how, rng):
    """A column is left out, gets another name, or another type."""
    hdu, columns = hdus[number], []
    for column in hdu.columns:
        if column.name != name:
            columns.append(column)
        elif how == 3:
            other = _pick([*hdu.columns.names, "X", ""], rng)
            columns.append(fits.Column(other or "Y", column.format, unit=column.unit, array=hdu.data[name]))
        elif how == 4:
            form = _pick(["8A", "K", "B", "L", "E", "2D"], rng)
            array = np.array([str(v)[:8] for v in hdu.data[name]]) if form == "8A" else np.ones((len(hdu.data), 2))[:, : 1 + (form == "2D")]
            columns.append(fits.Column(name, form, unit=_pick(["", "m", "nonsense", column.unit], rng), array=array.squeeze()))
    new = fits.BinTableHDU.from_columns(columns, name=hdu.name)
    for card in hdu.header.cards:
        if card.keyword not in new.header and not card.keyword.startswith(("TTYPE", "TFORM", "TUNIT", "TDIM")):
            new.header.append(card)
    hdus[number] = new


# ---------------------------------------------------------------------------------------------------------------------------------- YAML


def _nodes(data, path=()):
    found = []
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        found += [(*path, key), *_nodes(value, (*path, key))]
    return found


def _node(content, rng):
    data = yaml.safe_load(content)
    data.pop("checksum", None)
    path, how = _pick(_nodes(data), rng), int(rng.integers(5))
    parent = data
    for key in path[:-1]:
        parent = parent[key]
    value = None
    if how == 0:
        del parent[path[-1]]
    elif how == 1 and isinstance(parent, dict):
        parent[_pick(["name", "type", "value", "x", 3, None], rng)] = parent.pop(path[-1])
    else:
        value = _pick(NODES, rng)
        parent[path[-1]] = value
    return yaml.safe_dump(data, sort_keys=False).encode(), f"node {how}: {path} = {str(value)[:30]}"


def _bomb(content, rng):
    how = int(rng.integers(3))
    if how == 0:
        return BOMB.encode() + content, "bomb in front"
    if how == 1:
        return b"&a [*a]\n", "recursion"
    return content.replace(b": ", b": &x [*x, ", 1), "recursion in the middle"


# ---------------------------------------------------------------------------------------------------------------------------------- text


def _line(content, rng):
    lines, how = content.split(b"\n"), int(rng.integers(5))
    first, second = (int(rng.integers(len(lines))) for _ in range(2))
    if how == 0:
        del lines[first]
    elif how == 1:
        lines[first], lines[second] = lines[second], lines[first]
    elif how == 2:
        lines.insert(first, lines[second])
    else:
        words = lines[first].split(b" ")
        words[int(rng.integers(len(words)))] = _pick(TOKENS, rng).encode()
        lines[first] = b" ".join(words)
    return b"\n".join(lines), f"line {how}: {first}, {second}"


MUTATORS = {
    "fits": [_card, _card, _card, _number, _number, _number, _structure, _bytes],
    "yaml": [_node, _node, _node, _node, _line, _bytes, _bomb],
    "text": [_line, _line, _line, _bytes],
}
