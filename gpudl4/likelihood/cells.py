"""`Cells`: in which pixel cell each point source is, or is to be held. A cell is found by its source, never by its number.

Compiling again may drop a source that has left the map, bring one back, or merge pixels; cells of one likelihood can therefore be handed
to any other. A source that they do not know, or know on other pixels, has the cell of its own position.
"""

import numpy as np

__all__ = ["Cells"]


def _key(term, source):
    """What a cell belongs to: a source by name, in a dataset by its number in the list of all, on a map of a certain size."""
    return term.number, source.map_shape, source.name


class Cells:
    """Pixel cells of point sources; immutable, compared by value.

    Parameters
    ----------
    found : iterable of (DatasetTerm, Source, (int, int))
        Dataset, source, and the cell's column and row.
    """

    __slots__ = ("_cells",)

    def __init__(self, found=()):
        self._cells = {_key(term, source): (int(cell[0]), int(cell[1])) for term, source, cell in found}

    def held(self, term, source):
        """Cell of a source in a dataset, int array[1, 2], or None if it is not known."""
        cell = self._cells.get(_key(term, source))
        return None if cell is None else np.array([cell])

    def updated(self, found):
        """The same with other cells for some sources; `found` as for a new one."""
        out = Cells(found)
        out._cells = {**self._cells, **out._cells}
        return out

    def __len__(self):
        return len(self._cells)

    def __eq__(self, other):
        return isinstance(other, Cells) and self._cells == other._cells

    def __hash__(self):
        return hash(frozenset(self._cells.items()))

    def __repr__(self):
        cells = (f"{name} {cell[0]}, {cell[1]} in dataset {number}" for (number, _, name), cell in self._cells.items())
        return f"<Cells: {'; '.join(cells)}>"
