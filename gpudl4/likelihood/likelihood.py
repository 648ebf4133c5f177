"""`Likelihood`: the fit statistic of compiled datasets, its gradient and second derivatives at any theta. `compiler.compile` makes it."""

import threading
import warnings
from functools import cached_property

import numpy as np

from gpudl4.core.backend import backend_of, device_memory

from .cells import Cells, CellsOfBatch
from .coarse import original
from .memory import account
from .second import SecondOrder
from .terms import LocalTerm

__all__ = ["Likelihood"]


class Likelihood:
    """The fit statistic of compiled datasets as a function of theta, the free parameters in their own units.

    Threads may share it: each gets working arrays of its own, so their values are those of one thread to the bit, and memory grows with
    the number of threads. It is not pickled: processes compile it anew.

    Attributes
    ----------
    names : tuple of str
        ``model.parameter``.
    parameters : tuple of Parameter
        The same, as objects; only for writing results back.
    theta0 : float64 array[P]
        Values at compile time.
    bounds : float64 array[P, 2]
    backend : str
        Where it runs.
    """

    def __init__(self, plan, prior_constant=0.0, buffers=None):
        self.plan = plan
        self.names, self.parameters = plan.pack.names, plan.pack.parameters
        self.theta0, self.bounds = plan.pack.theta0.copy(), plan.bounds.copy()
        self.backend = plan.backend.name
        self._prior_constant = prior_constant
        self._second_orders = {}
        self._own = threading.local()  # working arrays of each thread, which go when it ends
        self._own.buffers = self.workspace(1, buffers)

    def __repr__(self):
        number = len(self.plan.terms) + len(self.plan.fluxes.terms)
        return f"<Likelihood: {number} datasets, {self.n_bins} bins, {len(self.names)} free parameters, {self.backend}>"

    @property
    def n_bins(self):
        """Number of bins and flux points in the fit mask of all datasets."""
        return sum(t.n_bins for t in self.plan.terms) + self.plan.fluxes.n_bins

    @cached_property
    def noise(self):
        """How far single precision may move a difference of the statistic, float; 0 in double precision, whose rounding hides nothing.

        A relative rounding e of a prediction mu moves the statistic by 2 (mu - n) e, and |mu - n| is about sqrt(mu) where the model is
        right. Four times the sum of that over bins holds for images that went through Fourier transforms as well, as was found by
        comparing fits of up to 1e10 counts with those in double precision.
        """
        if self.plan.dtype == np.float64:
            return 0.0
        counts = 0.0
        for term in self.plan.terms:
            where = backend_of(term.counts)
            with where.entered():
                counts += float(where.xp.where(term.mask, term.counts, 0).sum(dtype=np.float64))
        return 8.0 * float(np.finfo(self.plan.dtype).eps) * counts**0.5

    @property
    def memory(self):
        """Bytes by dataset and item, of the working arrays, and of second derivatives while they are made; print it to see a table."""
        evaluation = self.plan.evaluation
        on_device = any(backend_of(term.counts).name == "cupy" for term in self.plan.terms)
        return account(evaluation.layout, self.plan.backend, self.plan.dtype, on_device)

    def workspace(self, batch, earlier=None):
        """Working arrays for `batch` vectors, to be handed to `evaluate` by one thread at a time; those of `earlier` ones serve again."""
        with self.plan.backend.entered(), device_memory("the workspace of the likelihood"):
            return self.plan.evaluation.buffers(batch, earlier)

    @property
    def workspace_bytes(self):
        """Bytes of the working arrays for one parameter vector; those of a batch take as many times more."""
        return self._workspace().nbytes

    def _workspace(self):
        """The working arrays of this thread, made when it first asks, and again after `recompile` has handed them on."""
        if getattr(self._own, "buffers", None) is None:
            self._own.buffers = self.workspace(1)
        return self._own.buffers

    def __reduce_ex__(self, protocol):
        raise TypeError(
            "a Likelihood cannot be pickled or copied, for it holds compiled code and working arrays of this process: send datasets and "
            "models to the other process and call gpudl4.compile(datasets, models) there; threads may share one Likelihood"
        )

    def value(self, theta, cells=None):
        """Statistic at ``theta[P]``, float."""
        return float(self._run(self._thetas(theta), self._workspace(), False, cells)[0][0])

    def value_and_gradient(self, theta, cells=None):
        """Statistic and gradient at ``theta[P]``.

        Parameters
        ----------
        theta : array[P]
        cells : Cells, optional
            Pixel cells as `cells` returns them, to be held instead of the theta's own. With the cells held the function is smooth. Those of
            another likelihood serve as well: a source that they do not know has the cell of its place.

        Returns
        -------
        float, float64 array[P]
        """
        stat, gradient = self._run(self._thetas(theta), self._workspace(), True, cells)
        return float(stat[0]), gradient[0]

    def evaluate(self, thetas, workspace=None, cells=None):
        """Statistic[B] and gradient[B, P] at ``thetas[B, P]``, in the launches of one.

        Parameters
        ----------
        thetas : array[B, P]
        workspace : Buffers, optional
            From ``workspace(B)``; saves allocations where many batches of one size are evaluated.
        cells : sequence of Cells, optional
            Pixel cells to be held, one for each parameter vector, as for `value_and_gradient`.
        """
        thetas = np.ascontiguousarray(thetas, dtype=np.float64)
        if thetas.ndim != 2 or thetas.shape[1] != len(self.names):
            raise ValueError(f"thetas has shape {thetas.shape}, wanted (batch, {len(self.names)})")
        held = None if cells is None else CellsOfBatch(cells)
        return self._run(thetas, self.workspace(len(thetas)) if workspace is None else workspace, True, held)

    def _thetas(self, theta):
        theta = np.asarray(theta, dtype=np.float64)
        if theta.shape != (len(self.names),):
            raise ValueError(f"theta has shape {theta.shape}, wanted ({len(self.names)},): {', '.join(self.names)}")
        return theta[np.newaxis]

    def _run(self, thetas, workspace, want_gradient, cells):
        stat = np.full(len(thetas), self._prior_constant)
        gradient = np.zeros(thetas.shape) if want_gradient else None
        with self.plan.backend.entered():
            self.plan.evaluation.run(thetas, workspace, stat, gradient, cells)
        self.plan.priors.evaluate(thetas, stat, gradient)
        return stat, gradient

    def _second_order(self, exact):
        """Tables for second derivatives, made when they are first wanted."""
        exact = exact or not any(source.kind == "image" and source.is_large for term in self.plan.terms for source in term.sources)
        if exact not in self._second_orders:
            evaluation = self.plan.evaluation
            self._second_orders[exact] = SecondOrder(evaluation, exact)
        return self._second_orders[exact]

    def fisher(self, theta, cells=None):
        """Expected second derivative of the statistic, float64 array[P, P]; its covariance is ``2 inv(fisher)``."""
        return self._fisher(theta, cells, exact=True)

    def metric(self, theta, cells=None):
        """A cheaper, positive stand-in for `fisher`, array[P, P], for the steps of a minimiser."""
        return self._fisher(theta, cells, exact=False)

    def _fisher(self, theta, cells, exact):
        theta = self._thetas(theta)[0]
        with self.plan.backend.entered(), device_memory("second derivatives"):
            matrix = self._second_order(exact).fisher(theta, self._workspace(), cells)
        self.plan.priors.fisher(theta, matrix)
        return matrix

    def hessian(self, theta, cells=None):
        """Observed second derivative of the statistic in the given pixel cells, array[P, P]; its covariance is ``2 inv(hessian)``.

        Exact up to differences of the models' own first derivatives: neither the statistic nor its gradient is differenced.

        Parameters
        ----------
        theta : array[P]
        cells : Cells, optional
            Cells to hold; by default those of theta.
        """
        theta = self._thetas(theta)[0]
        cells = self.cells(theta) if cells is None else cells
        with self.plan.backend.entered(), device_memory("second derivatives"):
            hessian = self._second_order(True).observed(theta, self._workspace(), self._steps_at(theta), cells)
        self.plan.priors.fisher(theta, hessian)
        return hessian

    def second_derivatives(self, theta, cells=None):
        """`fisher` and `hessian` together, which costs a sixth more than one of them: two arrays[P, P]."""
        theta = self._thetas(theta)[0]
        cells = self.cells(theta) if cells is None else cells
        with self.plan.backend.entered(), device_memory("second derivatives"):
            fisher, hessian = self._second_order(True).both(theta, self._workspace(), self._steps_at(theta), cells)
        self.plan.priors.fisher(theta, hessian)
        return fisher, hessian

    def _steps_at(self, theta):
        """Steps of differences at theta: a hundredth of the errors that a matrix tells, which gets what priors add."""

        def steps(matrix):
            self.plan.priors.fisher(theta, matrix)
            diagonal = np.diag(matrix)
            found = 1e-2 * np.sqrt(2.0 / np.where(diagonal > 0, diagonal, np.inf))
            return np.minimum(found, np.maximum(0.1 * np.abs(theta), 1e-6))  # an error may be far larger than the range of a parameter

        return steps

    def local(self, theta, source, cells=None):
        """The likelihood of one source with everything else held at theta, up to a constant; cheap to evaluate.

        Parameters
        ----------
        theta : array[P]
        source : str
            Model name.
        cells : Cells, optional
            Pixel cells to be held for what stays, as for `value`.

        Returns
        -------
        Likelihood
            Of the same theta; only the source's parameters change it.
        """
        with self.plan.backend.entered():
            return self._local(self._thetas(theta), source, cells)

    def _local(self, theta, source, cells):
        plan, terms = self.plan, []
        states = plan.evaluation.predict(theta, self._workspace(), cells)
        for term, state, mu in zip(plan.terms, states, plan.evaluation.rows(self._workspace()), strict=True):
            terms += [LocalTerm(term, one, mu, state.norm[0]) for one in term.sources if one.name == source]
        alone = plan.with_terms(terms, plan.fluxes.alone(source, theta))
        if all(term.static is not None for term in terms):
            return Likelihood(alone)
        buffers = alone.evaluation.buffers(1)
        alone.evaluation.predict(theta, buffers)
        rows = alone.evaluation.rows(buffers)
        return Likelihood(alone.with_static([term.beside(own) for term, own in zip(terms, rows, strict=True)]))

    def cells(self, theta, held=None):
        """Pixel cells of the point sources.

        Parameters
        ----------
        theta : array[P]
        held : Cells, optional
            Of this or another likelihood: what they know is kept. By default every source is in the cell of its place at theta.

        Returns
        -------
        Cells
        """
        thetas = self._thetas(theta)
        points = ((term, source) for term in self.plan.terms for source in term.sources if source.kind == "point")
        own = ((term, source, None if held is None else held.held(term, source)) for term, source in points)
        return Cells((term, source, (source.cell(thetas) if cell is None else cell)[0]) for term, source, cell in own)

    def is_valid(self, theta):
        """Whether the IRFs, cutouts and samplings fixed at compile time still serve this theta."""
        theta = self._thetas(theta)[0]
        return all(term.is_valid(theta) for term in self.plan.terms)

    def npred(self, theta):
        """Predicted counts per dataset in its active region: list of (array[K, A], flat pixel index array[A]).

        Pixels are those of the exposure where that is larger than the counts.
        """
        evaluation = self.plan.evaluation
        with self.plan.backend.entered():
            buffers = evaluation.buffers(1)
            evaluation.predict(self._thetas(theta), buffers)
            return [(mu, term.region.pixels) for mu, term in zip(evaluation.rows(buffers), self.plan.terms, strict=True)]

    @property
    def is_draft(self):
        """Whether pixels were merged because ``draft=True`` was asked for."""
        return any(original(dataset) is not dataset for dataset in self.plan.datasets)

    def within(self, bounds):
        """The same with narrower bounds, array[P, 2], which `recompile` keeps."""
        options = {**self.plan.options, "within": bounds}
        buffers, self._own.buffers = getattr(self._own, "buffers", None), None
        return Likelihood(self.plan.at(self.plan.pack, options), self._prior_constant, buffers)

    def recompile(self, theta, draft=None):
        """The same datasets and models compiled at another theta: the parameters are set to it, and left there.

        Counts, background and exposure are those of this likelihood where no cutout has moved, even if a dataset was edited since; so are
        the instrument responses of sources that have not moved, unless a field was replaced by another object. All else is made anew, with
        the bits that `compile` would give.
        ``draft`` changes that option of `compile`.
        """
        from .compiler import compile_again

        for parameter, value in zip(self.parameters, self._thetas(theta)[0], strict=True):
            parameter.value = float(value)
        plan, buffers, self._own.buffers = self.plan, getattr(self._own, "buffers", None), None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what there was to say was said by the first compile
            options = plan.options if draft is None else {**plan.options, "draft": draft}
            return compile_again(list(plan.datasets), plan.models, plan.backend, plan, dtype=plan.dtype, buffers=buffers, **options)

    def unconstrained(self, theta):
        """Names of free parameters that no bin of any dataset depends on at this theta."""
        diagonal = np.diag(self.fisher(theta))
        return [name for name, value in zip(self.names, diagonal, strict=True) if not value > 0]
