"""Fields of a dataset file that are read when they are first used.

`LazyFields` stands where a dataset keeps its dict of values: a list of many datasets can be looked at, by name, metadata or one field,
without reading all of their arrays.
"""

from collections.abc import MutableMapping

from gpudl4.core.reading import reading

from .files import GZIP_MAGIC, expand_path, open_fits
from .gadf import read_fields

__all__ = ["LazyFields"]


class LazyFields(MutableMapping):
    """Field name to value or None; a value is read, checked and kept at its first use.

    A compressed file is read whole at the first use of any field, because it must be decompressed whole.

    Parameters
    ----------
    filename : str or pathlib.Path
        File in the GADF format; it must stay where it is until its fields are read.
    table : sequence of rows
        Rows with ``name``, ``kind`` and ``hdu``, as for `gpudl4.io.gadf.read_fields`.
    present : collection of str
        Names of the HDUs that the file has.
    check : callable
        ``check(name, value, held)`` gives the value to keep; `held` are the fields read so far.
    cache : bool
        Keep what was read; else it is read again at each use.
    """

    def __init__(self, filename, table, present, check, cache=True):
        self._path, self._table, self._check, self._cache = expand_path(filename).absolute(), tuple(table), check, cache
        with self._path.open("rb") as file:
            self._packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        self._held = {row.name: None for row in self._table if row.hdu not in present}

    def __getitem__(self, name):
        if name in self._held:
            return self._held[name]
        wanted = [row for row in self._table if row.name == name]
        if not wanted:
            raise KeyError(name)
        if self._packed:
            wanted = [row for row in self._table if row.name not in self._held]
        values = self._read(wanted)
        if self._cache or self._packed:
            self._held |= values
        return values[name]

    def _read(self, rows):
        with open_fits(self._path) as hdulist:
            read = read_fields(hdulist, rows, f"'{self._path}'")
        values = {}
        for name, value in read.items():
            with reading(f"'{self._path}'"):
                values[name] = self._check(name, value, {**self._held, **values})
        return values

    def __setitem__(self, name, value):
        self._held[name] = value

    def __delitem__(self, name):
        raise TypeError("the fields of a dataset are fixed; set one to None")

    def __iter__(self):
        return iter([row.name for row in self._table])

    def __len__(self):
        return len(self._table)

    @property
    def loaded(self):
        """Names of the fields that are in memory."""
        return [name for name, value in self._held.items() if value is not None]
