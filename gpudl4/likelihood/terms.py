"""The statistic of one dataset as a function of theta: a sum over the active region plus closed sums for all other bins.

A `DatasetTerm` is immutable. `evaluate` fills the buffers of a `TermWorkspace`, adds the statistic to ``stat[B]`` and the gradient to
``gradient[B, P]``.
"""

from types import SimpleNamespace

import numpy as np

from gpudl4 import kernels
from gpudl4.core.errors import DatasetError

from .component import second_differences
from .region import ActiveRegion

__all__ = ["Background", "DatasetTerm", "PriorTerm"]


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

    def jacobian(self, theta):
        """Derivatives of the norm by the theta of `indices`, array[P_free, K]."""
        rows = np.zeros((len(self.indices), self._n))
        if self.pack is not None:
            _, derivative = self.norm(theta[np.newaxis])
            for slot, index in zip(self.pack.slots, self.pack.indices, strict=True):
                rows[self.indices.index(index)] += derivative[0, slot]
        return rows

    def curvature(self, theta, by_norm, steps):
        """``sum_k by_norm[k] d2 g_k / d i d j``, array[P, P]."""

        def gradient(point):
            out = np.zeros((1, len(point)))
            self.pack.scatter(np.einsum("bpk,k->bp", self.norm(point[np.newaxis])[1], by_norm), out)
            return out[0]

        return second_differences(gradient, theta, steps, set(self.indices))


class DatasetTerm:
    """Cash statistic of one dataset.

    Parameters
    ----------
    name : str
        Dataset name.
    counts, template : array[K, ny, nx]
        Observed counts and background before its norm.
    mask : bool array[K, ny, nx]
    static : float64 array[K, ny, nx] or None
        Counts of frozen sources.
    background : Background
    components : list of Component
        Sources with free parameters.
    """

    def __init__(self, name, counts, template, mask, static, background, components):
        self.name, self.background, self.components = name, background, tuple(components)
        self.shape = counts.shape
        self.region = ActiveRegion([c.box for c in components], counts.shape[-2:])
        self.starts = tuple(self.region.starts(c.box) for c in components)
        self.counts = self.region.take(counts)
        self.template = self.region.take(template)
        self.mask = self.region.take(mask).view(np.uint8)
        none = np.zeros((counts.shape[0], 0, 0))
        self.static = np.zeros((counts.shape[0], 0)) if static is None else self.region.take(static)
        self._sum_outside(counts, template, none if static is None else static, mask)

    def _sum_outside(self, counts, template, static, mask):
        """Closed sums, bins to be evaluated singly, and the check of values inside the mask."""
        kernel = kernels.cpu("background")
        active = self.region.image()
        sums = np.zeros((counts.shape[0], kernel.N_SUMS))
        special = np.zeros(counts.shape[0], dtype=np.int64)
        kernel.outside_sums(counts, template, static, mask, active, sums, special)
        for column, what, wish in (
            (kernel.BAD_COUNTS, "counts", "NaN, infinite or negative"),
            (kernel.BAD_TEMPLATE, "background", "NaN or infinite"),
        ):
            if bad := int(sums[:, column].sum()):
                raise DatasetError(
                    f"dataset '{self.name}': {what} are {wish} in {bad} bins inside the fit mask; exclude them with mask_safe or mask_fit"
                )
        self.sums = sums
        self.n_bins = int(sums[:, kernel.N_BINS].sum())
        n_special = int(special.sum())
        self.special_bins = np.zeros(n_special, dtype=np.int64)
        self.special_values = np.zeros((n_special, 3))
        if n_special:
            kernel.special_bins(counts, template, static, mask, active, self.special_bins, self.special_values)

    @property
    def indices(self):
        """Indices of theta that can change this term."""
        return tuple(sorted(set(self.background.indices).union(*(c.indices for c in self.components))))

    @property
    def memory(self):
        """Bytes by item."""
        arrays = {"counts": self.counts, "background": self.template, "mask": self.mask, "static": self.static}
        out = {key: a.nbytes for key, a in arrays.items()}
        out["special bins"] = self.special_bins.nbytes + self.special_values.nbytes
        out.update({f"source {c.name}": c.nbytes for c in self.components})
        return out

    def workspace(self, batch):
        """Buffers for `batch` parameter vectors."""
        shape = (batch, self.shape[0], self.region.size)
        return SimpleNamespace(
            mu=np.empty(shape),
            slope=np.empty(shape),
            value=np.zeros(batch),
            parts=tuple(c.workspace(batch) for c in self.components),
            at=None,  # thetas and cells that `mu` holds, so that value, gradient and metric at one place predict once
            predicted=None,
        )

    def predict(self, thetas, workspace, cells=None):
        """Fill ``workspace.mu`` with the predicted counts in the active region; returns what the gradient needs later."""
        at = thetas.tobytes(), None if cells is None else tuple(None if c is None else c.tobytes() for c in cells)
        if workspace.at == at:
            return workspace.predicted
        workspace.at = None
        norm, norm_gradient = self.background.norm(thetas)
        kernels.cpu("background").fill(self.template, norm, self.static, workspace.mu)
        states = []
        for i, component in enumerate(self.components):
            state = component.begin(thetas, None if cells is None else cells[i])
            component.add(state, workspace.parts[i], self.starts[i], workspace.mu)
            states.append(state)
        workspace.at, workspace.predicted = at, SimpleNamespace(norm=norm, norm_gradient=norm_gradient, states=states)
        return workspace.predicted

    def evaluate(self, thetas, workspace, stat, gradient=None, cells=None):
        """Add the statistic to ``stat[B]`` and, if given, the gradient to ``gradient[B, P]``.

        ``cells`` holds pixel cells per component (int array[B, 2] or None each).
        """
        predicted = self.predict(thetas, workspace, cells)
        cash = kernels.cpu("cash")
        if gradient is None:
            cash.cash_value(self.counts, self.mask, workspace.mu, workspace.value)
            stat += workspace.value
            stat += self._outside(predicted.norm)[0]
            return
        cash.cash(self.counts, self.mask, workspace.mu, workspace.value, workspace.slope)
        stat += workspace.value
        for i, component in enumerate(self.components):
            component.pull(predicted.states[i], workspace.parts[i], self.starts[i], workspace.slope, gradient)
        outside, by_norm = self._outside(predicted.norm)
        stat += outside
        if self.background.pack is not None:
            kernels.cpu("background").pull(self.template, workspace.slope, by_norm)
            self.background.pack.scatter(np.einsum("bpk,bk->bp", predicted.norm_gradient, by_norm), gradient)

    def _outside(self, norm):
        """Statistic of all bins outside the active region, array[B], and its derivative by the norm, array[B, K]."""
        kernel, floor = kernels.cpu("background"), kernels.cpu("cash").FLOOR
        s = self.sums
        sum_b, sum_n = s[:, kernel.SUM_TEMPLATE], s[:, kernel.SUM_COUNTS]
        positive = norm > 0
        log = np.log(np.where(positive, norm, 1.0))
        value = np.where(
            positive,
            norm * sum_b - s[:, kernel.SUM_COUNTS_LOG] - log * sum_n,
            -sum_n * np.log(floor),  # a norm <= 0 puts every such bin on the floor
        )
        value = value + s[:, kernel.EMPTY_BINS] * floor - s[:, kernel.EMPTY_COUNTS] * np.log(floor)
        by_norm = np.where(positive, sum_b - sum_n / np.where(positive, norm, 1.0), 0.0)
        stat = 2.0 * value.sum(axis=1)
        by_norm = 2.0 * by_norm
        if len(self.special_bins):
            n, template, static = self.special_values.T
            mu = norm[:, self.special_bins] * template + static
            counts, mask = n[np.newaxis], np.ones((1, len(n)), dtype=np.uint8)
            single, slope = np.empty(len(mu)), np.empty((len(mu), 1, len(n)))
            kernels.cpu("cash").cash(counts, mask, mu[:, np.newaxis], single, slope)
            stat = stat + single
            for row, r in zip(by_norm, slope[:, 0], strict=True):
                row += np.bincount(self.special_bins, weights=r * template, minlength=len(row))
        return stat, by_norm

    def second_order(self, theta, workspace, cells=None, exact=True):
        """What Fisher matrix and Hessian are made of at one theta: predicted counts, norms, Jacobian images.

        ``exact=False`` allows cheaper Jacobian images, good enough to steer a minimiser; each comes with the stride of its pixels.
        """
        predicted = self.predict(theta[np.newaxis], workspace, cells)
        jacobians = [
            c.jacobian(theta, None if cells is None else cells[i], exact, workspace.parts[i]) for i, c in enumerate(self.components)
        ]
        return SimpleNamespace(mu=workspace.mu[0], norm=predicted.norm[0], jacobians=jacobians, rows=self.background.jacobian(theta))

    def fisher(self, parts, matrix):
        """Add the expected second derivative of the statistic, 2 sum (d mu/d i)(d mu/d j) / mu, to ``matrix[P, P]``."""
        kernel = kernels.cpu("background")
        use = (self.mask != 0) & (parts.mu > kernels.cpu("cash").FLOOR)
        weight = np.where(use, 2.0, 0.0) / np.where(use, parts.mu, 1.0)
        positive = parts.norm > 0
        outside = np.where(positive, 2.0 * self.sums[:, kernel.SUM_TEMPLATE] / np.where(positive, parts.norm, 1.0), 0.0)
        if len(self.special_bins):
            mu, _, template = self._special(parts.norm)
            outside += np.bincount(self.special_bins, 2.0 * template**2 / np.where(mu > 0, mu, np.inf), minlength=len(outside))
        self._add_products(parts, weight, outside, matrix)

    def hessian(self, theta, parts, matrix, steps, workspace, cells=None):
        """Add the observed second derivative of the statistic to ``matrix[P, P]``.

        It is sum (2 n / mu^2)(d mu/d i)(d mu/d j) + sum (d stat/d mu) d2 mu/d i d j; the second sum is taken at fixed slope, where it
        needs only second derivatives of spectra, shapes and norms (`Component.curvature`).
        """
        kernel, cash = kernels.cpu("background"), kernels.cpu("cash")
        use = (self.mask != 0) & (parts.mu > cash.FLOOR)
        weight = np.where(use, 2.0 * self.counts, 0.0) / np.where(use, parts.mu, 1.0) ** 2
        positive = parts.norm > 0
        safe = np.where(positive, parts.norm, 1.0)
        outside = np.where(positive, 2.0 * self.sums[:, kernel.SUM_COUNTS] / safe**2, 0.0)
        if len(self.special_bins):
            mu, counts, template = self._special(parts.norm)
            outside += np.bincount(self.special_bins, 2.0 * counts * (template / np.where(mu > 0, mu, np.inf)) ** 2, minlength=len(outside))
        self._add_products(parts, weight, outside, matrix)
        cash.cash(self.counts, self.mask, workspace.mu, workspace.value, workspace.slope)
        for i, component in enumerate(self.components):
            matrix += component.curvature(theta, None if cells is None else cells[i], self.starts[i], workspace.slope, steps)
        if self.background.pack is not None:
            by_norm = self._outside(parts.norm[np.newaxis])[1]
            kernel.pull(self.template, workspace.slope, by_norm)
            matrix += self.background.curvature(theta, by_norm[0], steps)

    def _special(self, norm):
        """Prediction, counts and template of the bins that are evaluated singly."""
        counts, template, static = self.special_values.T
        return norm[self.special_bins] * template + static, counts, template

    def _add_products(self, parts, weight, outside, matrix):
        """Add sum weight (d mu/d i)(d mu/d j); ``outside[K]`` is that sum for the background norm beyond the active region."""
        weighted, jacobians = [], []
        for component, start, (jacobian, stride) in zip(self.components, self.starts, parts.jacobians, strict=True):
            jacobians.append(jacobian)
            weighted.append(jacobian * weight[:, _pixels(component.box, start, stride)])
        for i, (first, (_, stride)) in enumerate(zip(self.components, parts.jacobians, strict=True)):
            for j in range(i, len(self.components)):
                second = self.components[j]
                common = first.box.every(stride).intersection(second.box.every(stride))
                if common is None or parts.jacobians[j][1] != stride:
                    continue
                a = weighted[i][(..., *common.within(first.box.every(stride)))].reshape(len(first.indices), -1)
                b = jacobians[j][(..., *common.within(second.box.every(stride)))].reshape(len(second.indices), -1)
                _add_block(matrix, first.indices, second.indices, stride**2 * (a @ b.T), symmetric=i != j)
        if not len(parts.rows):
            return
        indices = self.background.indices
        own = (self.template.astype(np.float64) ** 2 * weight).sum(axis=1) + outside
        _add_block(matrix, indices, indices, (parts.rows * own) @ parts.rows.T, symmetric=False)
        for component, start, w, (_, stride) in zip(self.components, self.starts, weighted, parts.jacobians, strict=True):
            cross = stride**2 * np.einsum("pkyx,kyx->pk", w, self.template[:, _pixels(component.box, start, stride)])
            _add_block(matrix, component.indices, indices, cross @ parts.rows.T, symmetric=True)

    def local(self, theta, part, workspace):
        """The same term with everything but one source held at theta, on that source's box only: cheap to evaluate.

        Its statistic differs from the full one by a constant.
        """
        component, start = self.components[part], self.starts[part]
        self.predict(theta[np.newaxis], workspace)
        own = np.zeros_like(workspace.mu)
        component.add(component.begin(theta[np.newaxis]), workspace.parts[part], start, own)
        pixel = (start[:, np.newaxis] + np.arange(component.box.nx)).ravel()
        out = object.__new__(DatasetTerm)
        out.__dict__.update(self.__dict__)
        out.components, out.background = (component,), Background(self.shape[0])
        out.region = ActiveRegion([component.box], self.shape[-2:])
        out.starts = (out.region.starts(component.box),)
        out.counts, out.mask = self.counts[:, pixel], self.mask[:, pixel]
        out.template, out.static = np.zeros_like(out.counts), (workspace.mu - own)[0][:, pixel]
        out.sums, out.special_bins, out.special_values = np.zeros_like(self.sums), self.special_bins[:0], self.special_values[:0]
        return out

    def cells(self, thetas):
        """Pixel cells per component: int array[B, 2] for points, None for others."""
        return [c.cell(thetas) if hasattr(c, "cell") else None for c in self.components]

    def is_valid(self, theta):
        """Whether all cutouts still serve this theta."""
        return all(c.is_valid(theta) for c in self.components)

    def npred(self, theta, cells=None):
        """Predicted counts in the active region, array[K, A] (columns as in ``region.pixels``)."""
        workspace = self.workspace(1)
        self.predict(theta[np.newaxis], workspace, cells)
        return workspace.mu[0]


def _pixels(box, start, stride):
    """Columns of the active region that hold every `stride`-th row and column of a box, int array[ny, nx]."""
    rows, columns = box.sampled(stride)
    return start[rows, np.newaxis] + np.arange(box.nx)[columns]


def _add_block(matrix, rows, columns, block, symmetric):
    """Add a block of second derivatives; `symmetric` adds its transpose as well."""
    np.add.at(matrix, np.ix_(rows, columns), block)
    if symmetric:
        np.add.at(matrix, np.ix_(columns, rows), block.T)


class PriorTerm:
    """Sum of the priors of free parameters, -2 ln p each."""

    def __init__(self, priors):
        self._priors = tuple(priors)

    def evaluate(self, thetas, stat, gradient=None):
        """Add value and gradient."""
        for index, prior, times in self._priors:
            for b, theta in enumerate(thetas):
                value, slope = prior.value_and_gradient(theta[index])
                stat[b] += times * value
                if gradient is not None:
                    gradient[b, index] += times * slope

    def fisher(self, theta, matrix):
        """Add the second derivatives where they are positive."""
        for index, prior, times in self._priors:
            curvature = prior.second_derivative(theta[index])
            if np.isfinite(curvature) and curvature > 0:
                matrix[index, index] += times * curvature
