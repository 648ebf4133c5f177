"""`Data`: the flat arrays that a layout's tables point into (counts, exposure, PSF kernels and so on), on the backend that computes."""

import copy
from types import SimpleNamespace

import numpy as np

from .layout import Flat
from .statistic import EXTRAS

__all__ = ["Data", "rows_of"]


class Data:
    """The flat arrays of a layout on a backend.

    Parameters
    ----------
    layout : Layout
    backend : Backend
    real : dtype
        Of working arrays.
    cube : dtype
        Of counts, template and exposure.
    earlier : (Layout, Data), optional
        Of another likelihood on the same backend: where it was made of the very same arrays, its flat arrays serve again.
    """

    def __init__(self, layout, backend, real, cube, earlier=None):
        types = {"exposure": cube, "fixed": real, "psf": real, "edisp": np.float64, "reach": np.int64, "starts": np.int64,
                 "vectors": np.float64, "weights": np.float64, "transfer": np.result_type(real, np.complex64),
                 "numbers": np.float64}  # fmt: skip
        before, data = earlier or (None, None)
        for name, dtype in types.items():
            again = data is not None and layout.flats[name].same_as(before.flats[name]) and getattr(data, name).dtype == dtype
            setattr(self, name, getattr(data, name) if again else layout.flats[name].array(backend, dtype))
        terms = layout.terms
        if data is not None and data.template.dtype == cube and _same_rows(terms, before.terms):
            self.counts, self.mask, self.template, self.extras = data.counts, data.mask, data.template, data.extras
        else:
            self.counts = rows_of(backend, cube, [term.flat_counts for term in terms])
            self.mask = rows_of(backend, np.uint8, [term.flat_mask for term in terms])
            self.template = rows_of(backend, cube, [term.flat_template for term in terms])
            self.extras = SimpleNamespace(
                **{
                    name: rows_of(backend, cube, [term.flat_extra(name) for term in terms if term.statistic == kind])
                    for kind, names in EXTRAS.items()
                    for name in names
                }
            )
        has_static = any(term.static is not None for term in terms)
        self.static = rows_of(backend, real, [term.flat_static for term in terms] if has_static else [])

    def with_static(self, static):
        """The same with other static counts, a flat array."""
        out = copy.copy(self)
        out.static = static
        return out

    @property
    def nbytes(self):
        """Bytes by item."""
        return {name: getattr(self, name).nbytes for name in self._made_of if getattr(self, name).nbytes}


def _same_rows(terms, others):
    """Whether two lists of terms hold the very same counts, masks and templates."""
    names = "counts", "mask", "template", "special_bins", "special_values"
    pairs = list(zip(terms, others, strict=False))
    same = len(terms) == len(others) and all(getattr(a, name) is getattr(b, name) for a, b in pairs for name in names)
    return same and all(a.statistic == b.statistic and all(a.extras[name] is b.extras[name] for name in a.extras) for a, b in pairs)


def rows_of(backend, dtype, arrays):
    """Rows of bins of several terms behind each other, on a backend."""
    flat = Flat()
    for array in arrays:
        flat.add(array)
    return flat.array(backend, dtype)
