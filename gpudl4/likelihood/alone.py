"""One source alone on its box, with no data: its templates or its predicted counts at fixed parameters.

Used at compile time for frozen sources and for shapes that never change, and for ``npred`` of a single model.
"""

import numpy as np

from gpudl4 import kernels
from gpudl4.core.backend import backend_of, to_device

from .evaluate import Evaluation
from .region import ActiveRegion
from .source import FixedSource
from .terms import Background, DatasetTerm

__all__ = ["counts_of", "fixed"]


class _LoneTerm(DatasetTerm):
    """A term of one source and no data."""

    has_template = False

    def __init__(self, source, exposure, n_reco):
        xp = backend_of(exposure).xp
        self.name, self.shape = source.name, (n_reco, *source.map_shape)
        self.background, self.sources = Background(n_reco), (source,)
        self.region = ActiveRegion([source.box], source.map_shape)
        self.exposure = self.region.take(exposure) if source.response.has_exposure else None
        if self.exposure is not None:
            self.exposure = xp.where(self.exposure >= 0, self.exposure, xp.zeros((), dtype=self.exposure.dtype))
        self.counts = self.template = self.mask = xp.zeros((n_reco, self.region.size), dtype=np.float32)
        self.static = None
        self.sums = np.zeros((n_reco, kernels.cpu("background").N_SUMS))
        self.special_bins, self.special_values = np.zeros(0, dtype=np.int64), np.zeros((0, 3))


def _evaluated(source, exposure, theta, real):
    """Evaluation and filled buffers of one source alone; no theta index matters, as nothing is differentiated."""
    term = _LoneTerm(source, exposure, source.response.edisp.shape[1])
    evaluation = Evaluation([term], len(theta), backend_of(exposure), real)
    buffers = evaluation.buffers(1)
    return evaluation, buffers, evaluation.states(theta[np.newaxis])


def counts_of(source, exposure, theta, into):
    """Add the predicted counts of a source to a map.

    Parameters
    ----------
    source : PointSource or ImageSource
    exposure : array[L, ny, nx]
        On the backend where the work is to be done.
    theta : float64 array[P]
    into : float64 array[K, ny, nx]
        On the same backend; changed in place.
    """
    evaluation, buffers, states = _evaluated(source, exposure, theta, np.float64)
    evaluation.fill(states, buffers, False)
    buffers.upload(evaluation.layout.n_users > 0)
    evaluation.engine.predict(buffers)
    rows, columns = source.box.slices
    into[:, rows, columns] += buffers.mu[0].reshape(-1, *source.box.shape)


def fixed(source, exposure, theta, real):
    """`FixedSource` of a source whose shape does not depend on theta.

    Parameters
    ----------
    source, exposure, theta
        As for `counts_of`.
    real : dtype
        Of the templates.
    """
    if source.kind == "point":
        return _fixed_point(source, exposure, theta, real)
    evaluation, buffers, states = _evaluated(source, exposure, theta, real)
    evaluation.fill(states, buffers, False)
    buffers.upload(evaluation.layout.n_users > 0)
    evaluation.engine.make_templates(buffers)
    return FixedSource(source, buffers.templates.reshape(source.n_planes, *source.box.shape), source.box)


def _fixed_point(source, exposure, theta, real):
    """Four shifted kernels times exposure, without tables: a fit may have many points that stay where they are."""
    backend, box = backend_of(exposure), source.placed_box(theta)
    if box is None:  # placed beside its cutout: nothing of it is on the map
        nothing = backend.xp.zeros((source.n_planes, 1, 1), dtype=real)
        return FixedSource(source, nothing, type(source.box)(source.box.y0, source.box.x0, 1, 1))
    state = source.begin(theta[np.newaxis])
    row, column = (int(n) for n in state.corner[0, :2])
    y, x = box.y0 - source.box.y0 - row, box.x0 - source.box.x0 - column
    templates = sum(
        weight * source.psf[:, y + 1 - j : y + 1 - j + box.ny, x + 1 - i : x + 1 - i + box.nx]
        for weight, (j, i) in zip(state.weight[0], ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True)
    )
    templates = to_device(templates, backend)
    if source.response.has_exposure:
        seen = exposure[(slice(None), *box.slices)]
        templates = templates * backend.xp.where(seen >= 0, seen, 0)
    return FixedSource(source, templates.astype(real, copy=False), box)
