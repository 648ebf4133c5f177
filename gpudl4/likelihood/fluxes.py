"""Flux points of all datasets of a likelihood: predicted fluxes, their place in the work tables, second derivatives.

The prediction is the sum of the spectra at the reference energies, small numbers that the host makes once per model, for the points of all
datasets together. They go to the kernels with everything else that follows from theta; the kernels `flux_points` make statistic and slope
of every point, and `contract` multiplies the slopes by the derivatives of the spectra. So points cost one launch beside those of counts,
however many datasets there are, and no transfer.
"""

from types import SimpleNamespace

import numpy as np

from gpudl4.core.backend import to_host

from .source import second_differences

__all__ = ["FluxDerivatives", "Fluxes", "fill_points", "lay_points"]


class Fluxes:
    """Predicted fluxes at K energies: those of all datasets, one after the other.

    Parameters
    ----------
    terms : sequence of FluxTerm
    pack : Pack

    Attributes
    ----------
    terms : tuple of FluxTerm
    sources : list of FluxSource
        Those with free parameters.
    static : float64[K]
        Sum of the others.
    """

    def __init__(self, terms=(), pack=None):
        self.terms = tuple(terms)
        used, ends = {}, np.cumsum([0, *(len(term.energy) for term in self.terms)])
        for term, begin, end in zip(self.terms, ends[:-1], ends[1:], strict=True):
            for model in term.models if term.n_bins else ():
                used.setdefault(id(model), (model, []))[1].append((begin, end))
        self.static, self.sources = np.zeros(ends[-1]), []
        energy = np.concatenate([np.zeros(0), *(term.energy for term in self.terms)])
        for model, ranges in used.values():
            source = FluxSource(model, energy, ranges, pack)
            if source.pack.is_free:
                self.sources.append(source)
            else:
                self.static[source.at] += source.value_and_gradient(pack.theta0[np.newaxis])[0][0]

    @property
    def n_bins(self):
        """Number of points that are fitted."""
        return sum(term.n_bins for term in self.terms)

    def states(self, thetas):
        """Fluxes[B, K], and per source their derivatives by the model's own values, [B, P_model, K_source]."""
        flux, slopes = np.repeat(self.static[np.newaxis], len(thetas), axis=0), []
        for source in self.sources:
            value, slope = source.value_and_gradient(thetas)
            flux[:, source.at] += value
            slopes.append(slope)
        return SimpleNamespace(flux=flux, slopes=slopes)

    def alone(self, name, thetas):
        """The same as a function of one source, all others held at ``thetas[1, P]``; without points that it does not reach."""
        out = object.__new__(Fluxes)
        out.sources = [source for source in self.sources if source.name == name]
        out.static, out.terms = self.static.copy(), self.terms if out.sources else ()
        for source in self.sources:
            if source.name != name:
                out.static[source.at] += source.value_and_gradient(thetas)[0][0]
        return out


class FluxSource:
    """Spectrum of one model at the energies of the datasets on which it acts.

    Parameters
    ----------
    model : SkyModel
    energy : float64[K]
        Of all datasets, in TeV.
    ranges : list of (int, int)
        Which of them belong to its datasets.
    pack : Pack

    Attributes
    ----------
    at : slice or int array
        The same as an index.
    """

    def __init__(self, model, energy, ranges, pack):
        self.name, self.ranges = model.name, ranges
        index = np.concatenate([np.arange(*one) for one in ranges])
        self.at = slice(index[0], index[-1] + 1) if len(index) == index[-1] + 1 - index[0] else index
        self.spectral, self.pack = model.spectral_model.bind_evaluate(energy[self.at]), pack.sub(model.spectral_model.parameters)
        self.size, self.indices = len(index), sorted(set(self.pack.indices))

    def value_and_gradient(self, thetas):
        """Fluxes[B, K_source] and their derivatives by the model's own values, [B, P_model, K_source]."""
        return self.spectral.value_and_gradient(self.pack.values(thetas))


# ---- work tables ---------------------------------------------------------------------------------------------------------------------
def lay_points(fluxes, layout):
    """Add the points to the tables of a `Layout`.

    Returns
    -------
    slots : SimpleNamespace
        ``flux``: offset in params of the K fluxes; ``slopes``: per source a dict, free slot -> offset there of its derivatives; ``value``:
        offset in parts of the statistic of each point; ``slope``: per dataset offset and shape (energies, most points of one energy) of the
        slopes; ``energy``: number of the energy of each point.
    """
    n, size = fluxes.n_bins, len(fluxes.static)
    slots = SimpleNamespace(flux=layout.params.take(size), value=layout.parts.take(n), slope=[], energy=np.zeros(n, dtype=np.int64))
    slots.slopes = [{slot: layout.params.take(source.size) for slot in source.pack.slots} for source in fluxes.sources]
    if n:
        layout.entries[0].append((0, 1, 0, 1, slots.value, n))
    first, point, by_begin = 0, 0, {}
    for term in fluxes.terms:
        most = int(np.bincount(term.where).max(initial=0))
        part = layout.parts.take(len(term.energy) * most)
        by_begin[first] = part, most
        slots.slope.append((part, (len(term.energy), most)))
        if term.n_bins:
            slots.energy[point : point + term.n_bins] = first + term.where
            rows = _rows(term, layout.flats["numbers"].add(term.statistic.numbers), slots.flux + first, slots.value + point, part, most)
            layout.table("points").rows.extend(rows.tolist())
        first, point = first + len(term.energy), point + term.n_bins
    for source, slopes in zip(fluxes.sources, slots.slopes, strict=True):
        for slot, index in zip(source.pack.slots, source.pack.indices, strict=True):
            layout.entries[1 + index].extend(_entries(source, slopes[slot], by_begin))
    return slots


def _rows(term, numbers, flux, value, part, most):
    """Rows of the table of points of one dataset, int64[N, 7]."""
    order = np.argsort(term.where, kind="stable")
    ranks = np.empty(term.n_bins, dtype=np.int64)
    ranks[order] = np.arange(term.n_bins) - np.searchsorted(term.where[order], term.where[order])
    kind, first, begins, pieces = to_host(term.statistic.rows).T
    values = value + np.arange(term.n_bins)
    return np.stack([kind, flux + term.where, numbers + first, numbers + begins, pieces, values, part + most * term.where + ranks], axis=1)


def _entries(source, offset, by_begin):
    """Entries of the gradient of one parameter of a source; datasets that lie behind each other in all arrays share one."""
    out = []
    for begin, end in source.ranges:
        part, most = by_begin[begin]
        last = out[-1] if out else None
        if last and last[5] == most and last[4] + last[3] * most == part:
            out[-1] = (*last[:3], last[3] + end - begin, *last[4:])
        else:
            out.append((0, 1, offset, end - begin, part, most))
        offset += end - begin
    return out


def fill_points(slots, state, sources, params):
    """Write fluxes and their derivatives to ``params[B, n_params]``."""
    params[:, slots.flux : slots.flux + state.flux.shape[1]] = state.flux
    for source, own, slopes in zip(sources, slots.slopes, state.slopes, strict=True):
        for slot, offset in own.items():
            params[:, offset : offset + source.size] = slopes[:, slot]


# ---- second derivatives --------------------------------------------------------------------------------------------------------------
class FluxDerivatives:
    """Second derivatives of the statistic of flux points: sums over energies, on the host.

    Parameters
    ----------
    fluxes : Fluxes
    slots : SimpleNamespace
        See `lay_points`.
    """

    def __init__(self, fluxes, slots):
        self._fluxes, self._slots = fluxes, slots

    def weights(self, engine, buffers):
        """Second derivatives by the K fluxes, expected ones that are never negative, and observed ones, float64[2, K]."""
        weights = engine.backend.xp.empty((2, len(self._slots.energy)))
        engine.kernels.flux_points.flux_points_weights(
            engine.tables.points, engine.data.numbers, buffers.params[:1], weights[:1], weights[1:]
        )
        size = len(self._fluxes.static)
        return np.array([np.bincount(self._slots.energy, own, size) for own in to_host(weights)])

    def products(self, state, n_free, weights):
        """``sum_k weights[k] dflux[k] / di dflux[k] / dj``, array[P, P]."""
        jacobian = np.zeros((n_free, len(self._fluxes.static)))
        for source, slopes in zip(self._fluxes.sources, state.slopes, strict=True):
            for slot, index in zip(source.pack.slots, source.pack.indices, strict=True):
                jacobian[index, source.at] += slopes[0, slot]
        return (jacobian * weights) @ jacobian.T

    def curvature(self, theta, parts, steps):
        """``sum_k slope[k] d2 flux[k] / di dj``, array[P, P], from differences of the spectra's own derivatives.

        ``parts`` are the sums of the gradient, on the host.
        """
        out = np.zeros((len(theta), len(theta)))
        by_flux = [parts[part : part + k * most].reshape(k, most).sum(axis=1) for part, (k, most) in self._slots.slope]
        by_flux = np.concatenate([np.zeros(0), *by_flux])
        for source in self._fluxes.sources:
            own = by_flux[source.at]

            def gradient(points, source=source, own=own):
                found = np.zeros(points.shape)
                source.pack.scatter(np.einsum("bpk,k->bp", source.value_and_gradient(points)[1], own), found)
                return found

            out += second_differences(gradient, theta, steps, source.indices)
        return out
