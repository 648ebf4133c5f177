"""The statistic of one dataset: what is summed over the active region, and closed sums for all other bins.

A `DatasetTerm` holds what a dataset brings to a likelihood and never changes. The bins of the active region, and single bins outside it
that follow no closed formula, go through the kernels (`engine.py`); the rest of the map costs three sums per energy, on the host.
"""

import copy

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import backend_of, to_device

from .outside import outside_sums, outside_wstat
from .region import ActiveRegion
from .source import second_differences
from .statistic import CASH, WSTAT

__all__ = ["Background", "DatasetTerm", "LocalTerm", "PriorTerm", "closed_sums"]


def closed_sums(sums, norm):
    """Statistic of all bins that follow the background alone.

    Parameters
    ----------
    sums : float64[K, 8]
        See `gpudl4.kernels.background`; rows of several datasets may stand behind each other.
    norm : float64[B, K]

    Returns
    -------
    stat : float64[B]
    by_norm : float64[B, K]
        Its derivative.
    """
    kernel, floor = kernels.cpu("background"), kernels.cpu("cash").FLOOR
    sum_b, sum_n = sums[:, kernel.SUM_TEMPLATE], sums[:, kernel.SUM_COUNTS]
    positive = norm > 0
    safe = np.where(positive, norm, 1.0)
    value = np.where(
        positive,
        norm * sum_b - sums[:, kernel.SUM_COUNTS_LOG] - np.log(safe) * sum_n,
        -sum_n * np.log(floor),  # a norm <= 0 puts every such bin on the floor
    )
    value = value + sums[:, kernel.EMPTY_BINS] * floor - sums[:, kernel.EMPTY_COUNTS] * np.log(floor)
    return 2.0 * value.sum(axis=1), 2.0 * np.where(positive, sum_b - sum_n / safe, 0.0)


class Background:
    """Norm of a background template per reconstructed bin: bound norm spectrum, or 1 where there is no background model."""

    def __init__(self, n_energy, bound=None, pack=None):
        self._n, self._bound, self.pack = n_energy, bound, pack

    @property
    def indices(self):
        """Indices of theta the norm depends on."""
        return () if self.pack is None else tuple(sorted(set(self.pack.indices)))

    def norm(self, thetas):
        """``g[B, K]`` and its derivatives ``dg[B, P_model, K]`` (None without a model)."""
        if self._bound is None:
            return np.ones((len(thetas), self._n)), None
        return self._bound.value_and_gradient(self.pack.values(thetas))

    def by_index(self, norm_gradient):
        """Derivatives of the norm by the theta of `indices`, array[P_free, K], from ``dg[1, P_model, K]``."""
        rows = np.zeros((len(self.indices), self._n))
        for slot, index in zip(self.pack.slots, self.pack.indices, strict=True):
            rows[self.indices.index(index)] += norm_gradient[0, slot]
        return rows

    def curvature(self, theta, by_norm, steps):
        """``sum_k by_norm[k] d2 g_k / d i d j``, array[P, P]."""

        def gradient(points):
            out = np.zeros(points.shape)
            self.pack.scatter(np.einsum("bpk,k->bp", self.norm(points)[1], by_norm), out)
            return out

        return second_differences(gradient, theta, steps, set(self.indices))


class DatasetTerm:
    """Statistic of one dataset.

    Parameters
    ----------
    name : str
        Dataset name.
    number : int
        Of the dataset in the list of all.
    counts, template : array[K, ny, nx]
        Observed counts and background before its norm, on any backend.
    mask : bool array[K, ny, nx]
    static : float64 array[K, ny, nx] or None
        Counts of frozen sources.
    exposure : array[L, ny, nx] or None
        Bad values count as 0.
    background : Background
    sources : list of Source
        Those with free parameters.
    made : Made, optional
        Parts that the next compile of the dataset may use again.
    frozen_key : tuple, optional
        What `static` follows from, see `alone.points_key`; None if that is not known.
    statistic : str, optional
        One of `statistic.EXTRAS`.
    extras : dict, optional
        What it needs beside counts and prediction: name -> array[K, ny, nx].
    borrow : bool
        Whether arrays may serve as they are, instead of copies, where sources reach the whole map.

    Attributes
    ----------
    region : ActiveRegion
        The A pixels that sources can reach.
    special_bins, special_values
        Reconstructed bin int64[S], and counts, template and static counts float64[S, 3], of bins outside it that are evaluated singly.
    sums : float64[K, 8]
        Closed sums over all others, see `kernels.background`.
    constant : float
        Statistic of bins outside it that no parameter changes: all those of an ON-OFF dataset.
    n_bins : int
        Bins in the fit mask.
    """

    has_template, statistic, constant = True, CASH, 0.0

    def __init__(
        self,
        name,
        number,
        counts,
        template,
        mask,
        static,
        exposure,
        background,
        sources,
        made=None,
        frozen_key=None,
        statistic=CASH,
        extras=None,
        borrow=False,
    ):
        self.made, self._frozen_key = made, frozen_key
        self.statistic, extras = statistic, extras or {}
        self.name, self.number, self.background, self.sources = name, number, background, tuple(sources)
        self.shape = counts.shape
        self.region = ActiveRegion([source.box for source in sources], counts.shape[-2:])
        self.counts, self.template, self.mask = (self.region.take(a, borrow) for a in (counts, template, mask))
        self.static = None if static is None else self.region.take(static, borrow)
        self.exposure = None if exposure is None else _without_bad(self.region.take(exposure, borrow))
        self.extras = {key: self.region.take(array, borrow) for key, array in extras.items()}
        if statistic == WSTAT:
            outside = outside_wstat(name, counts, extras["counts_off"], extras["alpha"], static, mask, self.region.image())
            self.has_template, self.constant = False, outside.constant
        else:
            outside = outside_sums(name, counts, template, static, mask, self.region.image(), extras.get("weight"))
        self.sums, self.special_bins, self.special_values = outside.sums, outside.bins, outside.values
        self.n_bins = int(self.sums[:, kernels.cpu("background").N_BINS].sum())

    def serves(self, sources, frozen_key):
        """Whether other sources need the same pixels beside the same static counts: then all arrays can be used again."""
        needs_exposure = any(source.response.has_exposure for source in sources if source.kind != "fixed")
        same = [source.box for source in self.sources] == [source.box for source in sources]
        return same and frozen_key is not None and frozen_key == self._frozen_key and needs_exposure == (self.exposure is not None)

    def with_sources(self, background, sources, made):
        """The same data with other sources on the same boxes."""
        out = copy.copy(self)
        out.background, out.sources, out.made = background, tuple(sources), made
        return out

    @property
    def memory(self):
        """Bytes by item."""
        arrays = {"counts": self.counts, "background": self.template, "mask": self.mask, "static": self.static, "exposure": self.exposure}
        arrays.update(self.extras)
        out = {key: 0 if a is None else a.nbytes for key, a in arrays.items()}
        out["special bins"] = self.special_bins.nbytes + self.special_values.nbytes
        out.update({f"source {s.name}": s.nbytes for s in self.sources})
        return out

    # ---- rows of bins: the active region's pixels, then the special bins of that energy ---------------------------------------------
    @property
    def row_lengths(self):
        """Number of bins per row, K integers."""
        special = np.bincount(self.special_bins, minlength=self.shape[0])
        return [self.region.size + int(n) for n in special]

    @property
    def flat_counts(self):
        """Counts, row by row."""
        return self._flat(self.counts, 0)

    @property
    def flat_template(self):
        """Background before its norm, row by row."""
        return self._flat(self.template, 1)

    @property
    def flat_static(self):
        """Counts of frozen sources, row by row; zeros where there are none."""
        xp = _namespace(self.counts)
        return self._flat(xp.zeros(self.counts.shape) if self.static is None else self.static, 2)

    def flat_extra(self, name):
        """What the statistic needs beside counts and prediction, row by row."""
        return self._flat(self.extras[name], 3)

    @property
    def flat_mask(self):
        """Mask as bytes, row by row."""
        xp = _namespace(self.counts)
        flat = self.mask.astype(xp.uint8)
        if not len(self.special_bins):
            return flat.ravel()
        return xp.concatenate([_joined(row, np.ones(n - len(row), np.uint8)) for row, n in zip(flat, self.row_lengths, strict=True)])

    def _flat(self, array, column):
        if not len(self.special_bins):
            return array.ravel()
        own = [self.special_values[self.special_bins == k, column].astype(array.dtype) for k in range(len(array))]
        return _namespace(array).concatenate([_joined(row, special) for row, special in zip(array, own, strict=True)])

    # ---- the host's share -----------------------------------------------------------------------------------------------------------
    def outside(self, norm):
        """Statistic of the closed sums, array[B], and its derivative by the norm, array[B, K]."""
        return closed_sums(self.sums, norm)

    def outside_weights(self, norm):
        """Second derivatives of the closed sums by the norm, expected and observed, two arrays[K]."""
        kernel = kernels.cpu("background")
        positive = norm > 0
        safe = np.where(positive, norm, 1.0)
        expected = np.where(positive, 2.0 * self.sums[:, kernel.SUM_TEMPLATE] / safe, 0.0)
        return expected, np.where(positive, 2.0 * self.sums[:, kernel.SUM_COUNTS] / safe**2, 0.0)

    def is_valid(self, theta):
        """Whether all cutouts still serve this theta."""
        return all(s.is_valid(theta) for s in self.sources)


class LocalTerm(DatasetTerm):
    """One source of a term on its box, with everything else as static counts; with several sources in the term `beside` provides them.

    Parameters
    ----------
    term : DatasetTerm
    source : Source
    mu : real[K, A]
        Predicted counts in the term's active region.
    norm : float64[K]
        Norm of the background.
    """

    has_template = False

    def __init__(self, term, source, mu, norm):
        pixel = (term.region.starts(source.box)[:, np.newaxis] + np.arange(source.box.nx)).ravel()
        pixel = None if len(pixel) == term.region.size else pixel  # a box that is the whole region keeps its columns in their order
        self.name, self.number, self.shape, self.statistic = term.name, term.number, term.shape, term.statistic
        self.extras = {name: _columns(array, pixel) for name, array in term.extras.items()}
        self.background, self.sources = Background(term.shape[0]), (source,)
        self.region, self.box = ActiveRegion([source.box], term.shape[-2:]), source.box
        self.counts, self.mask = _columns(term.counts, pixel), _columns(term.mask, pixel)
        self.template = _columns(term.template, pixel)  # its norm counts as 0
        self.exposure = None if term.exposure is None else _columns(term.exposure, pixel)
        self.static, self._mu = None, _columns(mu, pixel)
        if len(term.sources) == 1:  # everything else is known without the source's own counts
            where = backend_of(mu)  # where the prediction is made: the data may be on the host
            static = 0 if term.static is None else to_device(_columns(term.static, pixel), where)
            static = to_device(norm[:, np.newaxis], where) * to_device(self.template, where) + static
            self.static = static.astype(mu.dtype, copy=False)
        self.sums = np.zeros_like(term.sums)
        self.special_bins, self.special_values, self.n_bins = term.special_bins[:0], term.special_values[:0], int(self.mask.sum())
        if not len(term.special_values):  # the same objects: data made of them can be shared
            self.special_bins, self.special_values = term.special_bins, term.special_values

    def beside(self, own):
        """The same term with all that is not this source's own ``real[K, n]`` counts as static counts."""
        out = copy.copy(self)
        out.static = self._mu - own
        return out


def _columns(array, pixel):
    """Some columns of array[K, A], wherever it lives; all of them, shared, if `pixel` is None."""
    if pixel is None:
        return array
    backend = backend_of(array)
    return backend.xp.take(array, to_device(pixel, backend), axis=1)  # contiguous, unlike what an index returns


def _namespace(array):
    return backend_of(array).xp


def _joined(row, special):
    """A row of an array and, behind it, values from the host."""
    xp = _namespace(row)
    return xp.concatenate([row, to_device(special, backend_of(row))]) if len(special) else row


def _without_bad(exposure):
    """Exposure with NaN and negative values at 0; those inside the fit mask were refused before."""
    xp = _namespace(exposure)
    bad = ~(exposure >= 0)
    return xp.where(bad, xp.zeros((), dtype=exposure.dtype), exposure) if bool(bad.any()) else exposure


class PriorTerm:
    """Sum of the priors of free parameters, -2 ln p each."""

    def __init__(self, priors):
        self._priors = tuple(priors)

    def evaluate(self, thetas, stat, gradient=None):
        """Add value and gradient."""
        for index, prior in self._priors:
            for b, theta in enumerate(thetas):
                value, slope = prior.value_and_gradient(theta[index])
                stat[b] += value
                if gradient is not None:
                    gradient[b, index] += slope

    def fisher(self, theta, matrix):
        """Add the second derivatives where they are positive."""
        for index, prior in self._priors:
            curvature = prior.second_derivative(theta[index])
            if np.isfinite(curvature) and curvature > 0:
                matrix[index, index] += curvature
