"""One source alone on its box, with no data: its templates or its predicted counts at fixed parameters.

Used at compile time for frozen sources and for shapes that never change, and for ``npred`` of a single model.
"""

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import backend_of, to_device

from .evaluate import Evaluation
from .region import ActiveRegion, Box
from .source import FixedSource
from .terms import Background, DatasetTerm

__all__ = ["counts_of", "fixed", "fixed_points", "points_key"]


class _LoneTerm(DatasetTerm):
    """A term of some sources and no data."""

    has_template = False

    def __init__(self, sources, exposure, n_reco):
        self.extras = {}
        xp, map_shape = backend_of(exposure).xp, sources[0].map_shape
        self.name, self.number, self.shape = sources[0].name, 0, (n_reco, *map_shape)
        self.background, self.sources = Background(n_reco), tuple(sources)
        self.region = ActiveRegion([source.box for source in sources], map_shape)
        self.exposure = self.region.take(exposure) if any(source.response.has_exposure for source in sources) else None
        if self.exposure is not None:
            self.exposure = xp.where(self.exposure >= 0, self.exposure, xp.zeros((), dtype=self.exposure.dtype))
        self.counts = self.template = self.mask = xp.zeros((n_reco, self.region.size), dtype=np.float32)
        self.static = None
        self.sums = np.zeros((n_reco, kernels.cpu("background").N_SUMS))
        self.special_bins, self.special_values = np.zeros(0, dtype=np.int64), np.zeros((0, 3))


def _evaluated(sources, exposure, theta, real):
    """Evaluation and buffers of sources alone, and their states; no theta index matters, as nothing is differentiated."""
    term = _LoneTerm(sources, exposure, sources[0].response.edisp.shape[1])
    evaluation = Evaluation([term], len(theta), backend_of(exposure), real)
    buffers = evaluation.buffers(1)
    return evaluation, buffers, evaluation.states(theta[np.newaxis])


def counts_of(source, exposure, theta, into):
    """Add the predicted counts of a source to a map.

    Parameters
    ----------
    source : PointSource, ImageSource or RegionSource
    exposure : array[L, ny, nx]
        On the backend where the work is to be done.
    theta : float64 array[P]
    into : float64 array[K, ny, nx]
        On the same backend; changed in place.
    """
    if source.kind == "fixed":  # of one pixel: no kernels are needed
        flux = source.flux(theta[np.newaxis])[0][0]
        matrix = to_device(np.ascontiguousarray((source.response.edisp * flux[:, np.newaxis]).T), backend_of(source.templates))
        into += (matrix @ source.templates.reshape(len(flux), -1)).reshape(into.shape)
        return
    evaluation, buffers, states = _evaluated([source], exposure, theta, np.float64)
    evaluation.fill(states, buffers, False)
    buffers.upload(evaluation.layout.n_users > 0)
    evaluation.engine.predict(buffers)
    rows, columns = source.box.slices
    into[:, rows, columns] += buffers.mu[0].reshape(-1, *source.box.shape)


def fixed(source, exposure, theta, real):
    """`FixedSource` of a shape that does not depend on theta.

    Parameters
    ----------
    source : ImageSource
    exposure, theta
        As for `counts_of`.
    real : dtype
        Of the templates.
    """
    evaluation, buffers, states = _evaluated([source], exposure, theta, real)
    evaluation.fill(states, buffers, False)
    buffers.upload(evaluation.layout.n_users > 0)
    evaluation.engine.make_templates(buffers)
    return FixedSource(source, buffers.templates.reshape(source.n_planes, *source.box.shape), source.box)


def fixed_points(sources, exposure, theta, real, made):
    """`FixedSource` of each of some points that do not move, with one pass of the kernels for all.

    Parameters
    ----------
    sources : list of PointSource
        Of one dataset, with a PSF in true energy.
    exposure, theta, real
        As for `fixed`.
    made : Made
        Templates of an earlier compile of the dataset.
    """
    real = np.dtype(real)
    begun = {id(source): source.begin(theta[np.newaxis]) for source in sources}
    keys = [("templates", real.name, *_point_key(source, begun[id(source)])) for source in sources]
    new = {key: source for key, source in zip(keys, sources, strict=True) if key not in made}
    templates = dict(zip(new, _point_templates(list(new.values()), exposure, theta, real), strict=True)) if new else {}
    parts = [made.get(key, lambda s=source, k=key: (s.response, *templates[k])) for key, source in zip(keys, sources, strict=True)]
    return [FixedSource(source, array, box) for source, (_, array, box) in zip(sources, parts, strict=True)]


def _point_templates(sources, exposure, theta, real):
    """Per point its templates, real[L, ny, nx], and the box they fill."""
    evaluation, buffers, states = _evaluated(sources, exposure, theta, real)
    evaluation.fill(states, buffers, False)
    buffers.upload(False)
    evaluation.engine.make_templates(buffers)
    flat, begin, end, out = buffers.templates[0], 0, 0, []
    for source, state in zip(sources, states[0].sources, strict=True):
        size = source.n_planes * source.support[0] * source.support[1]
        templates = flat[begin : begin + size].reshape(source.n_planes, *source.support)
        begin += size
        row, column = (int(n) for n in state.corner[0, :2])
        height, width = source.support
        box = Box(row + source.box.y0, column + source.box.x0, height, width).intersection(source.box)
        if box is None:  # placed beside its cutout: nothing of it is on the map
            box, part = Box(source.box.y0, source.box.x0, 1, 1), 0.0
        else:
            y, x = box.y0 - source.box.y0 - row, box.x0 - source.box.x0 - column
            part = templates[:, y : y + box.ny, x : x + box.nx].copy()
        # What is left of each moves up behind the one before: all of them lie in one piece, which serves the kernels as it is.
        own = flat[end : end + source.n_planes * box.ny * box.nx].reshape(source.n_planes, box.ny, box.nx)
        own[...] = part
        end += own.size
        out.append((own, box))
    return out


def _point_key(source, state):
    """All that the templates of a point depend on, the response by its identity."""
    return id(source.response), state.corner.tobytes(), state.weight.tobytes()


def points_key(sources, theta):
    """All that the counts of frozen points and sources in regions depend on, () for none; None if one of the sources is a shape.

    Responses stand in it by identity: compare it with keys of likelihoods that still hold theirs.
    """
    if any(source.kind == "image" for source in sources):
        return None
    states = [source.begin(theta[np.newaxis]) for source in sources]
    keys = [_point_key if source.kind == "point" else _region_key for source in sources]
    return tuple((*key(source, state), state.flux.tobytes()) for key, source, state in zip(keys, sources, states, strict=True))


def _region_key(source, state):
    """All that the counts of a source in a region depend on beside its flux."""
    return id(source.templates), id(source.response.edisp)
