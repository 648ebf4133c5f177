"""Many spectra at once: what sources of one spectrum in many datasets of one pixel share, and their second derivatives by dense products.

A *spectrum term* is a dataset of one pixel whose sources have fixed templates: all that depends on theta is then a flux per true energy. A
hundred such terms with one model hold one flux row between them (`FluxRows`), and their derivative images are so small that the tables of
`derivatives.py` would cost more than the products: `SpectraDerivatives` holds ``C[l, k] = T[l] R[l, k]`` of every source as one array and
makes ``d mu[k] / d theta_i = sum_l C[l, k] dF[l] / d theta_i`` of all of them in one product, on the host.
"""

import numpy as np

from gpudl4.core.backend import backend_of, to_device, to_host

__all__ = ["FluxRows", "SpectraDerivatives", "is_spectrum"]


def is_spectrum(term):
    """Whether a term is a spectrum term."""
    return (
        len(term.sources) > 0
        and term.region.size == 1
        and not len(term.special_bins)
        and all(source.kind == "fixed" for source in term.sources)
    )


def _key(source):
    return id(source.spectral), source.spectral_pack.indices, source.spectral_pack.slots


class FluxRows:
    """The different flux rows of spectrum terms.

    Parameters
    ----------
    terms : sequence of DatasetTerm
    slots : list of list of Slots
        Of the layout; sources with one row have the same offsets there.

    Attributes
    ----------
    is_plain : list of bool
        Per term, whether nothing else depends on theta: spectrum terms without a background model.
    rows : list of (Source, Slots)
        One for each row.
    """

    def __init__(self, terms, slots):
        self.is_plain = [term.background.pack is None and is_spectrum(term) for term in terms]
        rows = {}
        for plain, term, own in zip(self.is_plain, terms, slots, strict=True):
            for source, slot in zip(term.sources, own, strict=True) if plain else ():
                rows.setdefault(slot.flux, (source, slot))
        self.rows = list(rows.values())


class SpectraDerivatives:
    """First and second derivatives of the spectrum terms of an evaluation.

    Parameters
    ----------
    evaluation : Evaluation

    Attributes
    ----------
    terms : set of int
        Numbers of the spectrum terms.
    """

    def __init__(self, evaluation):
        layout, terms = evaluation.layout, evaluation.terms
        self._evaluation = evaluation
        self.terms = {i for i, term in enumerate(terms) if is_spectrum(term)}
        rows = layout.tables.rows
        bins, self._first, number = [np.zeros(0, dtype=np.int64)], {}, 0
        for i in sorted(self.terms):
            first, n_reco = int(layout.tables.datasets[i, 0]), terms[i].shape[0]
            bins.append(rows[first : first + n_reco, 0])
            self._first[i], number = number, number + n_reco
        self._bins, self._n_bins = np.concatenate(bins), number
        self._groups = self._grouped()

    def _grouped(self):
        """Sources with one flux row and one shape of C: list of (source, C[n, L, K], bins[n, K], parts[n, L])."""
        found = {}
        for i in sorted(self.terms):
            for source, slots in zip(self._evaluation.terms[i].sources, self._evaluation.layout.slots[i], strict=True):
                shape = source.response.edisp.shape
                found.setdefault((_key(source), source.response.scale, shape), []).append((source, self._first[i], slots.part))
        groups = []
        for (_, scale, (n_true, n_reco)), members in found.items():
            xp = backend_of(members[0][0].templates).xp
            templates = to_host(xp.concatenate([source.templates.reshape(-1) for source, _, _ in members])).reshape(len(members), n_true)
            matrices = np.stack([source.response.edisp for source, _, _ in members])
            firsts, parts = (np.array(column, dtype=np.int64)[:, np.newaxis] for column in list(zip(*members, strict=True))[1:])
            folded = scale * templates.astype(np.float64)[:, :, np.newaxis] * matrices
            groups.append((members[0][0], folded, firsts + np.arange(n_reco), parts + np.arange(n_true)))
        return groups

    def jacobian(self, theta, states):
        """Derivatives of the predicted counts in all bins of the spectrum terms, array[N, P]."""
        out = np.zeros((self._n_bins, len(theta)))
        for source, folded, bins, _ in self._groups:
            spectral, pack = source.spectral, source.spectral_pack
            slopes = spectral.value_and_gradient(pack.values(theta[np.newaxis]))[1][0][list(pack.slots)]
            by_slot = slopes @ folded  # [n, slots, K]
            for j, index in enumerate(pack.indices):
                out[:, index] += np.bincount(bins.ravel(), by_slot[:, j].ravel(), self._n_bins)
        for i in self.terms:
            background = self._evaluation.terms[i].background
            if not background.indices:
                continue
            at = slice(self._first[i], self._first[i] + self._evaluation.terms[i].shape[0])
            template = to_host(self._evaluation.terms[i].template).reshape(-1).astype(np.float64)
            out[at, list(background.indices)] += template[:, np.newaxis] * background.by_index(states[i].norm_gradient).T
        return out

    def products(self, jacobian, weights):
        """``J^T W J``, array[P, P], with the weights of all bins of the evaluation, wherever they are."""
        backend = backend_of(weights)
        own = to_host(backend.xp.take(weights, to_device(self._bins, backend)))
        return jacobian.T @ (own[:, np.newaxis] * jacobian)

    def curvature(self, theta, parts, steps):
        """``sum slope d2 mu / d i d j`` of all sources at fixed slope, array[P, P]; ``parts`` are the sums of the gradient on the host."""
        out = np.zeros((len(theta), len(theta)))
        for source, _, _, own in self._groups:
            out += source.second_flux(theta, parts[own].sum(axis=0), steps)
        return out
