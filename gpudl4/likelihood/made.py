"""What one compile of a dataset has made, by the values it was made from, so that the next compile need not make it again.

A key holds everything that the answer depends on and that may differ between two compiles of the same fields: positions, widths,
weights. What is taken from an earlier compile therefore has the bits that a new one would have.
"""

import weakref

from .statistic import WSTAT, statistic_of

__all__ = ["Made"]

FIELDS = ("counts", "exposure", "background", "psf", "edisp", "mask_safe", "mask_fit")


class Made:
    """Parts of a compiled dataset.

    Parameters
    ----------
    dataset : dataset
        Its fields, as objects, are what all parts belong to.
    earlier : Made, optional
        Of an earlier compile; without effect if a field is another object now.
    """

    def __init__(self, dataset, earlier=None):
        # The background of an ON-OFF dataset is made anew whenever it is asked for; what is made here does not depend on it.
        names = [name for name in FIELDS if name != "background" or statistic_of(dataset) != WSTAT]
        fields = (getattr(dataset, name, None) for name in names)
        self._fields = tuple(None if field is None else weakref.ref(field) for field in fields)  # keeps no field in memory
        self._parts, self._earlier = {}, {}
        if earlier is not None and self._same_fields(earlier):
            self._earlier = earlier._parts

    def _same_fields(self, other):
        pairs = zip(self._fields, other._fields, strict=True)
        return all(a is b or (a is not None and b is not None and a() is not None and a() is b()) for a, b in pairs)

    def __len__(self):
        return len(self._parts)

    def __contains__(self, key):
        return key in self._parts or key in self._earlier

    def get(self, key, make):
        """The part with a key: of this compile, of the earlier one, or else what ``make()`` returns."""
        if key not in self._parts:
            self._parts[key] = self._earlier[key] if key in self._earlier else make()
        return self._parts[key]

    def close(self):
        """Let go of what only the earlier compile has used. To be called when everything has been asked for."""
        self._earlier = {}
