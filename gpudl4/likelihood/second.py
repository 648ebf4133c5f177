"""Second derivatives of the statistic: Fisher matrix, observed Hessian, and a cheaper metric for steering.

The Hessian is ``sum (d2 stat / d mu2) dmu dmu + sum (d stat / d mu) d2 mu``. The first sum (with the weight 2 n / mu^2 for Cash), and the
Fisher matrix with the weight that is expected (2 / mu), are products of derivative images (`derivatives.py`, kernels `fisher`). The second
is taken at fixed slope, where it is linear in flux and image: what it needs are the sums that the gradient makes anyway, and second
derivatives of the models' own small outputs, on the host.
"""

from types import SimpleNamespace

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import to_device, to_host

from .bands import Band
from .derivatives import DerivativeTables
from .fluxes import FluxDerivatives
from .spectra import SpectraDerivatives
from .transforms import make_transforms

__all__ = ["SecondOrder"]


class SecondOrder:
    """Second derivatives of an evaluation.

    Parameters
    ----------
    evaluation : Evaluation
    exact : bool
        If not, large shapes are thinned out (`metric`); there is no Hessian then.
    """

    def __init__(self, evaluation, exact):
        self._evaluation, self._engine = evaluation, evaluation.engine
        self._fluxes = FluxDerivatives(evaluation.fluxes, evaluation.layout.fluxes) if evaluation.fluxes.n_bins else None
        if not evaluation.terms:
            return
        backend = self._engine.backend
        self._spectra = SpectraDerivatives(evaluation)
        made = self._made = DerivativeTables(evaluation.layout, exact, on_host=backend.name == "numpy", leave_out=self._spectra.terms)
        self._tables = _moved(made.tables, backend)
        self._passes = [(_moved(one, backend), one) for one in made.passes]  # on the backend, and on the host for sizes
        self._bands = [
            Band(to_device(band.blocks, backend), [_moved(one, backend) for one in band.passes], band.n_jacobian) for band in made.bands
        ]
        self._starts = to_device(made.starts, backend)
        self._fisher = kernels.of(backend, "fisher", cube=self._engine.cube.name, real=self._engine.real.name)

    # ---- derivative images -----------------------------------------------------------------------------------------------------------
    def _prepare(self, buffers, with_mixed):
        """What derivative images are folded from, pass by pass, at the theta that the buffers hold.

        Parameters
        ----------
        buffers : Buffers
        with_mixed : bool
            Also sum them, folded with ``buffers.slope``, per true energy.

        Returns
        -------
        jacobian : real[1, n]
            For the derivative images of a band; made already where there is only one.
        made : list of tuple
            Per pass its templates and planes.
        mixed : float64[n_parts]
            On the host; zeros without `with_mixed`.
        """
        engine, t, d, made = self._engine, self._tables, self._engine.data, self._made
        xp, tables = engine.backend.xp, engine.tables
        images = _grown(buffers.images, made.n_images, xp)
        if len(made.tables.slope_items):
            engine.kernels.gauss.gauss_gradient(tables.shapes, t.slopes, t.slope_items, d.vectors, d.weights, buffers.params, images)
        parts = xp.zeros((1, max(made.n_parts, 1)))
        banded = len(made.bands) > 1
        jacobian = xp.empty((1, 0 if banded else made.n_jacobian), dtype=engine.real)
        new = xp.empty((1, max((one.n_templates for one in made.passes), default=0)), dtype=engine.real)
        transforms, kept = {}, []
        if made.shares_transforms:  # nothing of the prediction is left in them that anyone reads
            transforms[engine.layout.tables.groups.tobytes()] = buffers.transforms
        for number, (one, host) in enumerate(self._passes):
            if banded and not host.own_templates:
                new = xp.empty((1, host.n_templates), dtype=engine.real)
            templates = buffers.templates if host.own_templates else new
            planes = self._make_templates(one, host, buffers, images, templates, transforms)
            if banded:
                if len(host.load_items) and not self._renews_planes(host):
                    planes = planes.copy()
                kept.append((templates, planes))
            else:
                self._fold(self._bands[0], number, buffers, templates, planes, jacobian)
            if with_mixed:
                self._mix(one, host, buffers, images, templates, planes, parts)
        if engine.has.mix_items and any(len(host.load_items) for _, host in self._passes):
            buffers.at = None  # `mix` and `mix_pull` want the planes of the prediction
        return jacobian, kept, to_host(parts)[0]

    def _jacobians(self, buffers, jacobian, kept):
        """Yield bands and their derivative images, which the next one overwrites; arguments from `_prepare`."""
        if len(self._bands) == 1:
            yield self._bands[0], jacobian
            return
        size, xp = self._made.n_jacobian, self._engine.backend.xp
        spare = jacobian if buffers.transforms is None else buffers.transforms.spare
        jacobian = spare[:size].reshape(1, size) if spare.size >= size else xp.empty((1, size), dtype=self._engine.real)
        for band in self._bands:
            for number, (templates, planes) in enumerate(kept):
                self._fold(band, number, buffers, templates, planes, jacobian)
            yield band, jacobian

    def _renews_planes(self, host):
        """Whether each transform gives the planes a new array, as SciPy does with those of a single group."""
        return self._engine.backend.name == "numpy" and len(host.groups) == 1

    def _fold(self, band, number, buffers, templates, planes, jacobian):
        """Derivative images of one pass in a band."""
        e, d, pixels = self._engine, self._engine.data, self._tables.pixels
        (one, host), own = self._passes[number], band.passes[number]
        e.kernels.fold.fold(
            one.pieces, one.datasets, own.rows, own.fold_items, one.members, pixels, self._starts, d.edisp, d.reach, buffers.params,
            d.fixed, templates, d.template[:0], d.static[:0], jacobian,
        )  # fmt: skip
        if len(host.added_items):
            tables = e.tables if host.own_templates else one
            e.kernels.mix.mix(
                one.pieces, one.datasets, own.rows, tables.images, tables.groups, own.added_items, one.added_members, pixels, self._starts,
                d.exposure, d.edisp, d.reach, buffers.params, planes, jacobian,
            )  # fmt: skip

    def _make_templates(self, one, host, buffers, images, templates, transforms):
        """Templates of one pass; returns the planes behind the PSF."""
        engine, d = self._engine, self._engine.data
        k, tables = engine.kernels, engine.tables
        response = d.starts, d.exposure, d.edisp, d.reach, buffers.params
        f = buffers.transforms
        planes_out = f.planes_out if host.own_templates and f is not None else d.psf[:0]
        if len(host.load_items):
            key = host.groups.tobytes()
            if key not in transforms:
                transforms[key] = make_transforms(engine.backend, host.groups, 1, engine.real, engine.complex)
            f = transforms[key]
            k.fourier.load(tables.sources, one.images, one.groups, one.load_items, *response, images, f.planes_in)
            f.to_spectrum(inner=True)
            k.fourier.spread(tables.sources, one.images, one.groups, one.spread_items, 1, d.transfer, f.spectrum_in, f.spectrum_out)
            f.to_planes(inner=False)
            planes_out = f.planes_out
        if len(host.unload_items):
            k.fourier.unload(tables.sources, one.images, one.groups, one.unload_items, *response, images, planes_out, templates)
        if len(host.places):
            k.place.place(tables.sources, one.places, one.place_items, d.starts, d.psf, *response[1:], templates)
        return planes_out

    def _mix(self, one, host, buffers, images, templates, planes, parts):
        """Sums of the derivative images of one pass folded with the slope; `planes` are those behind the PSF."""
        e, d, tables = self._engine, self._engine.data, self._engine.tables
        response = d.starts, d.exposure, d.edisp, d.reach, buffers.params
        nothing = d.psf[:0]
        if len(host.mixed_items):
            e.kernels.fold.fold_pull(
                one.mixed_sources, tables.datasets, tables.rows, tables.images, tables.groups, one.mixed_items, *response, d.fixed,
                templates, buffers.slope, nothing, parts,
            )  # fmt: skip
        if len(host.mix_items):
            e.kernels.mix.mix_pull(
                tables.sources, tables.datasets, tables.rows, one.images, one.groups, one.mix_items, *response, buffers.slope, planes,
                nothing, parts,
            )  # fmt: skip
        if len(host.mixed_back_items):
            planes_in = nothing if buffers.transforms is None else buffers.transforms.planes_in
            e.kernels.fourier.back(
                tables.sources, tables.datasets, tables.rows, one.mixed_images, tables.groups, one.mixed_back_items, *response, images,
                buffers.slope, planes_in, e.backend.xp.empty_like(images), parts,
            )  # fmt: skip

    # ---- sums of products ------------------------------------------------------------------------------------------------------------
    def _products(self, buffers, prepared, weights, outside, states, dense):
        """``sum weights (d mu / d i)(d mu / d j)`` for several weights, list of array[P, P].

        Parameters
        ----------
        buffers : Buffers
        prepared : tuple
            From `_prepare`.
        weights : list of float64[N]
        outside : list of list
            For each weight, that sum for norms beyond the active region.
        states : list
        dense : array[N, P]
            Derivatives of spectrum terms.
        """
        out = [self._spectra.products(dense, own) for own in weights]
        if len(self._spectra.terms) == len(self._evaluation.terms):
            return out
        e, t, made = self._engine, self._tables, self._made
        xp, tables, starts = e.backend.xp, e.tables, e.data.starts
        backgrounds = any(term.background.indices for term in self._evaluation.terms)
        parts, squares = np.zeros((len(weights), max(made.n_parts, 1))), [None] * len(weights)
        for band, jacobian in self._jacobians(buffers, *prepared):
            for i, own in enumerate(weights):
                new = xp.zeros(max(made.n_parts, 1))
                self._fisher.products(tables.sources, tables.datasets, tables.rows, band.blocks, t.pairs, starts, own, jacobian[0], new)
                if backgrounds:
                    self._fisher.crosses(
                        tables.sources, tables.datasets, tables.rows, band.blocks, t.cross_ranges, starts, own, e.data.template,
                        jacobian[0], new,
                    )  # fmt: skip
                parts[i] += to_host(new)
        for i, own in enumerate(weights):
            squares = xp.zeros(len(e.layout.tables.rows))
            if backgrounds:
                self._fisher.squares(tables.rows, own, e.data.template, squares)
            self._add_products(out[i], parts[i], to_host(squares), outside[i], states)
        return out

    def _add_products(self, out, parts, squares, outside, states):
        """Put sums of products where they belong in a matrix of all parameters."""
        e, made = self._engine, self._made
        terms = self._evaluation.terms
        sources = [terms[d].sources[j] for d, j, _ in made.blocks]
        for first, second, part in made.pairs:
            rows, columns = sources[first].indices, sources[second].indices
            block = parts[part : part + len(rows) * len(columns)].reshape(len(rows), len(columns))
            _add_block(out, rows, columns, block, symmetric=first != second)
        for d, (term, state) in enumerate(zip(terms, states, strict=True)):
            indices = term.background.indices
            if not indices or d in self._spectra.terms:
                continue
            by_index = term.background.by_index(state.norm_gradient)
            first = int(e.layout.tables.datasets[d, 0])
            own = squares[first : first + term.shape[0]] + outside[d]
            _add_block(out, indices, indices, (by_index * own) @ by_index.T, symmetric=False)
            for (at, _, _), source, part in zip(made.blocks, sources, made.cross_parts, strict=True):
                if at == d:
                    cross = parts[part : part + len(source.indices) * term.shape[0]].reshape(len(source.indices), -1)
                    _add_block(out, source.indices, indices, cross @ by_index.T, symmetric=True)

    def _weights(self, buffers, write_over=False):
        """Expected and observed second derivative of the statistic per bin.

        They may write over slope and prediction, if nobody needs these any more: large maps need no new memory then.
        """
        engine = self._engine
        fits = write_over and buffers.on_host and buffers.slope.dtype == np.float64
        only_cash = not (engine.has.cash_weighted_items or engine.has.wstat_items)  # others read the prediction once more
        new = engine.backend.xp.empty
        expected = buffers.slope[0] if fits else new(engine.layout.n_bins)
        observed = buffers.mu[0] if fits and only_cash else new(engine.layout.n_bins)
        engine.weights(buffers, expected, observed)
        if fits:
            buffers.at = buffers.pulled = None
        return expected, observed

    def fisher(self, theta, buffers, cells=None):
        """Expected second derivatives, array[P, P]."""
        states = self._evaluation.predict(theta[np.newaxis], buffers, cells)
        out = self._of_fluxes(theta, buffers, states)[0]
        if self._evaluation.terms:
            *prepared, _ = self._prepare(buffers, with_mixed=False)
            outside = [weights[0] for weights in self._outside(states)]
            weights, dense = self._weights(buffers)[:1], self._spectra.jacobian(theta, states)
            out += self._products(buffers, prepared, weights, [outside], states, dense)[0]
        return out

    def _of_fluxes(self, theta, buffers, states):
        """What flux points add to the Fisher matrix and to the Hessian at fixed slope, two arrays[P, P]."""
        if self._fluxes is None:
            return np.zeros((2, len(theta), len(theta)))
        weights = self._fluxes.weights(self._engine, buffers)
        return [self._fluxes.products(states.fluxes, len(theta), own) for own in weights]

    def _outside(self, states):
        """Per term the second derivatives of its closed sums by the norm, two arrays[K]; a spectrum term has none."""
        terms = enumerate(zip(self._evaluation.terms, states, strict=True))
        return [(None, None) if i in self._spectra.terms else term.outside_weights(state.norm[0]) for i, (term, state) in terms]

    def both(self, theta, buffers, steps_of, cells=None):
        """Fisher matrix and Hessian; arguments as for `observed`, but steps from the Fisher matrix."""
        return self._observed(theta, buffers, steps_of, cells, with_expected=True)

    def observed(self, theta, buffers, steps_of, cells=None):
        """Hessian.

        Parameters
        ----------
        theta : array[P]
        buffers : Buffers
            For one parameter vector.
        steps_of : callable
            Steps of the differences of the models' own derivatives, array[P], from the part of the Hessian that has first derivatives only.
        cells : Cells, optional
        """
        return self._observed(theta, buffers, steps_of, cells, with_expected=False)[1]

    def _observed(self, theta, buffers, steps_of, cells, with_expected):
        """Fisher matrix, of flux points alone if that is not wanted, and Hessian."""
        states = self._evaluation.predict(theta[np.newaxis], buffers, cells)
        self._evaluation.pull(buffers)
        parts = to_host(buffers.parts)[0]
        fisher, hessian = self._of_fluxes(theta, buffers, states)
        if not self._evaluation.terms:
            if not with_expected and not np.all(np.diag(hessian) > 0):  # nothing was counted where a parameter acts: no scale for steps
                return self._observed(theta, buffers, steps_of, cells, with_expected=True)
            hessian += self._fluxes_curved(theta, parts, steps_of(fisher if with_expected else hessian.copy()))
            return fisher, hessian
        *prepared, mixed = self._prepare(buffers, with_mixed=True)
        buffers.pulled = None  # the transforms now hold derivative images, and the slope will be written over
        outside = list(zip(*self._outside(states), strict=True))
        dense, weights = self._spectra.jacobian(theta, states), self._weights(buffers, write_over=True)
        wanted = slice(None if with_expected else 1, None)
        products = self._products(buffers, prepared, weights[wanted], outside[wanted], states, dense)
        for matrix, own in zip((fisher, hessian)[wanted], products, strict=True):
            matrix += own
        if not with_expected and not np.all(np.diag(hessian) > 0):  # nothing was counted where a parameter acts: no scale for steps
            return self._observed(theta, buffers, steps_of, cells, with_expected=True)
        steps = steps_of(fisher if with_expected else hessian.copy())
        hessian += self._fluxes_curved(theta, parts, steps) + self._spectra.curvature(theta, parts, steps)
        for i, term in enumerate(self._evaluation.terms):
            for j, source in enumerate(() if i in self._spectra.terms else term.sources):
                held = None if cells is None else cells.held(term, source)
                pulled = self._pulled(i, j, source, parts, mixed, buffers)
                hessian += source.curvature(theta, held, pulled, steps)
            if term.background.pack is not None:
                by_norm = term.outside(states[i].norm)[1][0] + self._by_norm(i, parts)
                hessian += term.background.curvature(theta, by_norm, steps)
        return fisher, hessian

    def _fluxes_curved(self, theta, parts, steps):
        """What the curvature of spectra at flux points adds to the Hessian."""
        return 0.0 if self._fluxes is None else self._fluxes.curvature(theta, parts, steps)

    # ---- what curvature needs ---------------------------------------------------------------------------------------------------------
    def _pulled(self, i, j, source, parts, mixed, buffers):
        """Derivatives of the statistic by flux, weights and image of one source, on the host."""
        slots, n_true = self._evaluation.layout.slots[i][j], source.response.edisp.shape[0]
        if source.kind == "point":
            return SimpleNamespace(by_corner=parts[slots.part : slots.part + 4 * n_true].reshape(4, n_true))
        by_flux = parts[slots.part : slots.part + n_true * slots.chunks].reshape(n_true, -1).sum(axis=1)
        out = SimpleNamespace(by_flux=by_flux, by_image=None, mixed={})
        if source.kind == "image" and source.spatial_pack.is_free:
            size = source.box.ny * source.box.nx
            own = buffers.adjoint[0, slots.image : slots.image + size]
            out.by_image = to_host(own).astype(np.float64).reshape(source.box.shape)
            for slot in source.spatial_pack.slots:
                part, chunks = self._made.mixed[i, j, slot]
                out.mixed[slot] = mixed[part : part + n_true * chunks].reshape(n_true, -1).sum(axis=1)
        return out

    def _by_norm(self, i, parts):
        """Derivative of the statistic by the background's norms in the rows of bins, array[K]."""
        layout = self._evaluation.layout
        first = int(layout.tables.datasets[i, 0])
        ranges = layout.norm_parts[first : first + self._evaluation.terms[i].shape[0]]
        return np.array([parts[begin : begin + number].sum() for begin, number in ranges])


def _moved(tables, backend):
    """A namespace of tables with all arrays on a backend."""
    moved = {name: to_device(value, backend) if isinstance(value, np.ndarray) else value for name, value in vars(tables).items()}
    return SimpleNamespace(**moved)


def _grown(array, size, xp):
    """A larger copy of ``array[1, n]``, or the array itself if it is large enough."""
    if size == array.shape[1]:
        return array
    out = xp.empty((1, size), dtype=array.dtype)
    out[:, : array.shape[1]] = array
    return out


def _add_block(matrix, rows, columns, block, symmetric):
    """Add a block of second derivatives; `symmetric` adds its transpose as well."""
    np.add.at(matrix, np.ix_(rows, columns), block)
    if symmetric:
        np.add.at(matrix, np.ix_(columns, rows), block.T)
