"""From theta to statistic and gradient: the host's small numbers in, one pass of the kernels, the host's closed sums added.

`Evaluation` ties an `Engine` to its terms. It is immutable; buffers are handed in and remember which thetas they hold, so that value,
gradient and second derivatives at one place predict once. The answer never depends on that memory.
"""

import copy
from types import SimpleNamespace

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import to_device

from .data import Data, rows_of
from .engine import Engine
from .fluxes import Fluxes, fill_points
from .spectra import FluxRows
from .tables import Layout
from .terms import closed_sums

__all__ = ["Evaluation", "precision"]


def precision(terms):
    """Dtype in which counts, background and exposure are kept: that of the files, float32 only if all of them are."""
    arrays = [a for term in terms for a in (term.counts, term.template, term.exposure, *term.extras.values())]
    dtypes = [a.dtype for a in arrays if a is not None]
    return np.dtype(np.float32 if all(np.can_cast(dtype, np.float32) for dtype in dtypes) else np.float64)


class Evaluation:
    """The sum of the statistics of terms as a function of theta, on one backend.

    Parameters
    ----------
    terms : sequence of DatasetTerm
    n_free : int
        Length of theta.
    backend : Backend
    real : dtype
        Of working arrays.
    earlier : Evaluation, optional
        On the same backend; its flat arrays serve again where they hold the same.
    fluxes : Fluxes, optional
        Flux points.
    """

    def __init__(self, terms, n_free, backend, real, earlier=None, fluxes=None):
        self.terms, self.fluxes = tuple(terms), Fluxes() if fluxes is None else fluxes
        self._sums = np.concatenate([np.zeros((0, 8)), *(term.sums for term in self.terms)])
        self._has_closed = bool(np.delete(self._sums, kernels.cpu("background").N_BINS, axis=1).any())  # a spectrum has no such bin
        self._constant = sum(term.constant for term in self.terms)
        self.layout = Layout(self.terms, n_free, self.fluxes)
        self._flux_rows = FluxRows(self.terms, self.layout.slots)
        cube = precision(self.terms)
        self.data = Data(self.layout, backend, real, cube, None if earlier is None else (earlier.layout, earlier.data))
        self.engine = Engine(self.layout, self.data, backend, real, cube)

    def with_static(self, terms):
        """The same for terms that differ in nothing but their static counts: tables and all other arrays serve again."""
        out = copy.copy(self)
        flat = [term.flat_static for term in terms]
        backend, real = self.engine.backend, self.engine.real
        out.terms, out.data = tuple(terms), self.data.with_static(rows_of(backend, real, flat))
        out.engine = self.engine.with_data(out.data)
        return out

    def buffers(self, batch, earlier=None):
        """Working arrays for `batch` parameter vectors, with a memory of what they hold; arrays of `earlier` ones serve again."""
        buffers = self.engine.buffers(batch, earlier)
        buffers.at = buffers.states = buffers.pulled = None
        for plain, norm, term in zip(self._flux_rows.is_plain, self.layout.norms, self.terms, strict=True):
            if plain and norm >= 0:  # never written again
                buffers.host[:, norm : norm + term.shape[0]] = 1.0
        return buffers

    def states(self, thetas, cells=None):
        """What follows from thetas on the host: per term the norms of the background and the states of the sources."""
        out, known, ones = _States(), {}, {}
        out.rows = [source.begin(thetas, known=known) for source, _ in self._flux_rows.rows]
        for plain, term in zip(self._flux_rows.is_plain, self.terms, strict=True):
            if plain:
                if term.shape[0] not in ones:
                    ones[term.shape[0]] = SimpleNamespace(norm=np.ones((len(thetas), term.shape[0])), norm_gradient=None, sources=())
                out.append(ones[term.shape[0]])
                continue
            norm, norm_gradient = term.background.norm(thetas)
            held = (None if cells is None else cells.held(term, source) for source in term.sources)
            sources = [source.begin(thetas, cell, known) for source, cell in zip(term.sources, held, strict=True)]
            out.append(SimpleNamespace(norm=norm, norm_gradient=norm_gradient, sources=sources))
        out.fluxes = self.fluxes.states(thetas)
        return out

    def fill(self, states, buffers, with_gradient):
        """Write the states to the host's side of the buffers."""
        layout, params = self.layout, buffers.host
        for (source, slots), own in zip(self._flux_rows.rows, states.rows, strict=True):
            source.fill(own, slots, params)
        fill_points(layout.fluxes, states.fluxes, self.fluxes.sources, params)
        for i, (term, state) in enumerate(zip(self.terms, states, strict=True)):
            if self._flux_rows.is_plain[i]:
                continue
            if layout.norms[i] >= 0:
                params[:, layout.norms[i] : layout.norms[i] + term.shape[0]] = state.norm
            for slot, offset in layout.norm_slopes[i].items():
                params[:, offset : offset + term.shape[0]] = state.norm_gradient[:, slot]
            for source, own, slots in zip(term.sources, state.sources, layout.slots[i], strict=True):
                source.fill(own, slots, params)
                if id(source) in layout.users:
                    _fill_users(source, own, slots, buffers.users, with_gradient)

    def predict(self, thetas, buffers, cells=None, with_gradient=True):
        """Fill ``buffers.mu`` with predicted counts; returns the states."""
        at = thetas.tobytes(), cells, with_gradient and self.layout.n_users > 0
        if buffers.at == at:
            return buffers.states
        buffers.at = buffers.pulled = None
        states = self.states(thetas, cells)
        self.fill(states, buffers, with_gradient)
        buffers.upload(self.layout.n_users > 0)
        self.engine.predict(buffers)
        buffers.at, buffers.states = at, states
        return states

    def pull(self, buffers):
        """Slopes and partial sums of the gradient at the theta that the buffers hold, unless they are there already."""
        if buffers.pulled is None or buffers.pulled != buffers.at:
            self.engine.slopes(buffers)
            self.engine.pull(buffers)
            buffers.pulled = buffers.at

    def run(self, thetas, buffers, stat, gradient=None, cells=None):
        """Add the statistic to ``stat[B]`` and, if given, the gradient to ``gradient[B, P]``."""
        states = self.predict(thetas, buffers, cells, gradient is not None)
        if gradient is None:
            buffers.pulled = None  # its sums go where those of the gradient were
            self.engine.statistic(buffers)
        else:
            self.pull(buffers)
        out = self.engine.contract(buffers, gradient is not None)
        stat += out[:, 0]
        if gradient is not None:
            gradient += out[:, 1:]
        stat += self._constant
        if not self._has_closed:
            return
        value, by_norm = closed_sums(self._sums, np.concatenate([state.norm for state in states], axis=1))
        stat += value
        if gradient is None:
            return
        begin = 0
        for term, state in zip(self.terms, states, strict=True):
            end = begin + term.shape[0]
            if term.background.pack is not None:
                term.background.pack.scatter(np.einsum("bpk,bk->bp", state.norm_gradient, by_norm[:, begin:end]), gradient)
            begin = end

    def rows(self, buffers):
        """Predicted counts of the first parameter vector in each term's active region, list of real[K, A], maybe views."""
        out, begin = [], 0
        for term in self.terms:
            lengths = np.array(term.row_lengths)
            end = begin + int(lengths.sum())
            if end - begin == len(lengths) * term.region.size:  # no bins behind the pixels of a row
                out.append(buffers.mu[0, begin:end].reshape(len(lengths), -1))
            else:
                firsts = begin + np.cumsum(lengths) - lengths
                out.append(buffers.mu[0][to_device(firsts[:, np.newaxis] + np.arange(term.region.size), self.engine.backend)])
            begin = end
        return out

    @property
    def memory(self):
        """Bytes of the flat arrays by name."""
        return dict(self.data.nbytes)


class _States(list):
    """States of the terms; ``rows`` are those of the flux rows that spectrum terms share, ``fluxes`` those of flux points."""

    rows, fluxes = (), None


def _fill_users(source, state, slots, users, with_gradient):
    """Images that a user's model makes, and their derivative images."""
    size = source.box.ny * source.box.nx
    users[:, slots.image : slots.image + size] = source.spatial.image(state.values).reshape(len(users), size)
    if with_gradient and slots.slopes:
        gradient = source.spatial.gradient(state.values)
        for slot, offset in slots.slopes.items():
            users[:, offset : offset + size] = gradient[:, slot].reshape(len(users), size)
