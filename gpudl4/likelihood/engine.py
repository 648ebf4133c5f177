"""Run the kernels over the tables of a layout: predicted counts, statistic, gradient. The same lines on every backend.

`Engine` is immutable; `Buffers` hold what one evaluation of B parameter vectors writes. On a device an evaluation costs one upload
(params), one download ([statistic, gradient]) and a number of launches that does not depend on how many sources and datasets there are.
"""

import copy
from types import SimpleNamespace

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import to_device

from .items import fold_items
from .transforms import make_transforms

__all__ = ["Buffers", "Engine"]

STEMS = ("cash", "contract", "fold", "fourier", "gauss", "mix", "place")
RARE = {"cash_weighted": "cash_weighted_items", "wstat": "wstat_items", "flux_points": "points"}  # only where that table has rows


class Buffers:
    """Working arrays for `batch` parameter vectors.

    Parameters
    ----------
    engine : Engine
    batch : int
    earlier : Buffers, optional
        That nobody uses any more: arrays of the same size serve again, for new memory costs time and is more memory.

    Attributes
    ----------
    host : float64[B, n_params]
        Where the host writes fluxes, weights and norms.
    params : float64[B, n_params]
        The same on the backend.
    mu, slope : real[B, N]
    templates, images, adjoint : real[B, ...]
    parts, out : float64[B, ...]
    transforms : Transforms or None
    """

    def __init__(self, engine, batch, earlier=None):
        xp, layout, real = engine.backend.xp, engine.layout, engine.real

        def make(name, size, dtype):
            old = getattr(earlier, name, None)
            serves = isinstance(old, xp.ndarray) and old.shape == (batch, size) and old.dtype == dtype
            return old if serves else xp.empty((batch, size), dtype=dtype)

        self.batch, self.on_host = batch, engine.backend.name == "numpy"
        self.host = np.zeros((batch, layout.params.size))
        self.host[:, 0] = 1.0
        self.params = self.host if self.on_host else xp.zeros((batch, layout.params.size))
        self.mu, self.slope = make("mu", layout.n_bins, real), make("slope", layout.n_bins, real)
        self.templates = make("templates", layout.templates.size, real)
        self.images, self.adjoint = make("images", layout.images.size, real), make("adjoint", layout.images.size, real)
        self.parts = xp.zeros((batch, layout.parts.size))
        self.out = xp.zeros((batch, layout.n_free + 1))
        self.users = np.zeros((batch, layout.n_users), dtype=real)
        old = getattr(earlier, "transforms", None)
        wanted = engine.backend, layout.tables.groups, batch, real, engine.complex, engine.has.mix_items
        again = None if old is None else old.again(*wanted)
        self.transforms = make_transforms(*wanted) if again is None else again

    def upload(self, with_users):
        """Bring the host's numbers to the backend; the images of user's models are a second upload."""
        if not self.on_host:
            self.params.set(self.host)
        if with_users:
            for b in range(self.batch):
                own = self.images[b, : self.users.shape[1]]
                if self.on_host:
                    own[:] = self.users[b]
                else:
                    own.set(self.users[b])

    @property
    def nbytes(self):
        """Bytes of the working arrays."""
        arrays = (self.params, self.mu, self.slope, self.templates, self.images, self.adjoint, self.parts)
        return sum(a.nbytes for a in arrays) + (0 if self.transforms is None else self.transforms.nbytes)


class Engine:
    """Kernels, tables and data of one likelihood on one backend.

    Parameters
    ----------
    layout : Layout
    data : Data
    backend : Backend
    real, cube : dtype
        Of working arrays and of counts, background and exposure.
    """

    def __init__(self, layout, data, backend, real, cube):
        self.layout, self.data, self.backend = layout, data, backend
        self.real, self.cube = np.dtype(real), np.dtype(cube)
        self.complex = np.result_type(real, np.complex64)
        tables = dict(vars(layout.tables))
        stems = [*(STEMS if layout.terms else ("contract",)), *(stem for stem, table in RARE.items() if len(tables[table]))]
        self.kernels = SimpleNamespace(**{s: kernels.of(backend, s, cube=self.cube.name, real=self.real.name) for s in stems})
        on_host = backend.name == "numpy"
        lengths = [term.row_lengths for term in layout.terms]
        starts = layout.flats["starts"].host()
        tables |= fold_items(tables["datasets"], tables["sources"], starts, lengths, on_host)
        pixels = [] if on_host else [term.region.pixels for term in layout.terms]
        tables["pixels"] = np.concatenate([np.zeros(0, dtype=np.int64), *pixels])
        self.tables = SimpleNamespace(**{name: to_device(table, backend) for name, table in tables.items()})
        self.has = SimpleNamespace(
            **{name: len(tables[name]) > 0 for name in ("cash_items", "cash_weighted_items", "wstat_items", "shape_items", "load_items",
                                                        "unload_items", "places", "pull_items", "mix_items", "back_items", "pullback_items",
                                                        "dot_items", "fold_items", "points")},
            last_points=bool(len(tables["places"]) and (tables["places"][:, -1] >= 0).any()),
        )  # fmt: skip

    def with_data(self, data):
        """The same kernel calls on other data of the same layout."""
        out = copy.copy(self)
        out.data = data
        return out

    def buffers(self, batch, earlier=None):
        """Working arrays for `batch` parameter vectors."""
        return Buffers(self, batch, earlier)

    def predict(self, buffers):
        """Templates and predicted counts from the numbers in ``buffers.params``."""
        if not self.has.fold_items:
            return
        self.make_templates(buffers)
        t, d, b, k = self.tables, self.data, buffers, self.kernels
        k.fold.fold(
            t.sources, t.datasets, t.rows, t.fold_items, t.members, t.pixels, d.starts, d.edisp, d.reach, b.params, d.fixed, b.templates,
            d.template, d.static, b.mu,
        )  # fmt: skip
        if self.has.mix_items:
            k.mix.mix(
                t.sources, t.datasets, t.rows, t.images, t.groups, t.added_items, t.added_members, t.pixels, d.starts, d.exposure, d.edisp,
                d.reach, b.params, b.transforms.planes_out, b.mu,
            )  # fmt: skip

    def make_templates(self, buffers):
        """Shapes, points and their way through the PSF."""
        t, d, b, k = self.tables, self.data, buffers, self.kernels
        if self.has.shape_items:
            k.gauss.gauss_image(t.shapes, t.shape_items, d.vectors, d.weights, b.params, b.images)
        response = d.starts, d.exposure, d.edisp, d.reach, b.params
        planes_out = d.psf[:0]
        if self.has.load_items:
            f = b.transforms
            k.fourier.load(t.sources, t.images, t.groups, t.load_items, *response, b.images, f.planes_in)
            f.to_spectrum(inner=True)
            k.fourier.spread(t.sources, t.images, t.groups, t.spread_items, b.batch, d.transfer, f.spectrum_in, f.spectrum_out)
            f.to_planes(inner=False)
            planes_out = f.planes_out
        if self.has.unload_items:
            k.fourier.unload(t.sources, t.images, t.groups, t.unload_items, *response, b.images, planes_out, b.templates)
        if self.has.places:
            k.place.place(t.sources, t.places, t.place_items, d.starts, d.psf, *response[1:], b.templates)

    def statistic(self, buffers):
        """Partial sums of the statistic alone."""
        d, b, t, k = self.data, buffers, self.tables, self.kernels
        if self.has.cash_items:
            k.cash.cash_value(d.counts, d.mask, b.mu, t.cash_items, b.parts)
        if self.has.cash_weighted_items:
            k.cash_weighted.cash_value(d.counts, d.extras.weight, b.mu, t.cash_weighted_items, b.parts)
        if self.has.wstat_items:
            k.wstat.wstat_value(d.counts, d.extras.counts_off, d.extras.alpha, d.mask, b.mu, t.wstat_items, b.parts)
        if self.has.points:
            k.flux_points.flux_points_value(t.points, d.numbers, b.params, b.parts)

    def slopes(self, buffers):
        """Partial sums of the statistic, its slope, and the derivatives by background norms."""
        d, b, t, k = self.data, buffers, self.tables, self.kernels
        if self.has.cash_items:
            k.cash.cash(d.counts, d.mask, b.mu, d.template, t.cash_items, b.slope, b.parts)
        if self.has.cash_weighted_items:
            k.cash_weighted.cash(d.counts, d.extras.weight, b.mu, d.template, t.cash_weighted_items, b.slope, b.parts)
        if self.has.wstat_items:
            k.wstat.wstat(d.counts, d.extras.counts_off, d.extras.alpha, d.mask, b.mu, t.wstat_items, b.slope, b.parts)
        if self.has.points:
            k.flux_points.flux_points(t.points, d.numbers, b.params, b.parts)

    def weights(self, buffers, expected, observed):
        """Expected and observed second derivatives of the statistic by the prediction, two float64[N] on the backend."""
        d, t, k, mu = self.data, self.tables, self.kernels, buffers.mu
        k.cash.weights(d.counts, d.mask, mu, expected, observed)  # of all bins; those of other statistics are written again
        if self.has.cash_weighted_items:
            k.cash_weighted.weights(d.counts, d.extras.weight, mu, t.cash_weighted_items, expected, observed)
        if self.has.wstat_items:
            k.wstat.wstat_weights(d.counts, d.extras.counts_off, d.extras.alpha, d.mask, mu, t.wstat_items, expected, observed)

    def pull(self, buffers):
        """Partial sums of the gradient from the slope."""
        t, d, b, k = self.tables, self.data, buffers, self.kernels
        response = d.starts, d.exposure, d.edisp, d.reach, b.params
        if self.has.places:
            k.place.place_pull(t.sources, t.datasets, t.places, t.place_items, t.rows, d.starts, d.psf, *response[1:], b.slope, b.parts)
        if self.has.last_points:
            k.place.place_unfold(t.sources, t.places, *response, b.parts)
        f = b.transforms
        field, planes_in = (d.psf[:0], d.psf[:0]) if f is None else (f.field, f.planes_in)
        if self.has.pull_items:
            k.fold.fold_pull(
                t.sources, t.datasets, t.rows, t.images, t.groups, t.pull_items, *response, d.fixed, b.templates, b.slope, field, b.parts,
            )  # fmt: skip
        if self.has.mix_items:
            k.mix.mix_pull(t.sources, t.datasets, t.rows, t.images, t.groups, t.mix_items, *response, b.slope, f.planes_out, field, b.parts)
        if self.has.load_items:
            f.to_spectrum(inner=False)
            k.fourier.gather(t.sources, t.images, t.groups, t.gather_items, b.batch, d.transfer, f.spectrum_out, f.spectrum_in)
            f.to_planes(inner=True)
            planes_in = f.planes_in
        if self.has.back_items:
            k.fourier.back(
                t.sources, t.datasets, t.rows, t.images, t.groups, t.back_items, *response, b.images, b.slope, planes_in, b.adjoint, b.parts
            )
        if self.has.pullback_items:
            k.gauss.gauss_pullback(t.shapes, t.pullback_items, d.vectors, d.weights, b.params, b.adjoint, b.parts)
        if self.has.dot_items:
            k.fourier.dot(b.images, t.dot_items, b.adjoint, b.parts)

    def contract(self, buffers, with_gradient):
        """Statistic and gradient on the host, float64[B, 1 + P] or [B, 1]."""
        b, t = buffers, self.tables
        if with_gradient:
            self.kernels.contract.contract(t.entries, t.ranges, b.params, b.parts, b.out)
            return b.out.copy() if b.on_host else b.out.get()
        out = b.out[:, :1] if b.on_host else b.out.ravel()[: b.batch].reshape(b.batch, 1)
        out = np.ascontiguousarray(out) if b.on_host else out
        self.kernels.contract.contract(t.entries, t.ranges[:2], b.params, b.parts, out)
        return out if b.on_host else out.get()
