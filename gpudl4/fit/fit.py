"""`Fit`: find the parameters that minimise the statistic of one or many datasets, and their errors.

::

    result = Fit().run(datasets)

The way of a fit: compile; put sources that start beside their place where the counts are; damped Fisher-scoring steps with exact
gradients to the minimum of one pixel cell; a look into the neighbouring cells of every point source; compile again at the minimum until
the statistic stays; MIGRAD as an independent judge; errors from the observed Hessian. The models carry the values and errors afterwards.
The result depends on datasets, models and start values only.
"""

import time
import warnings

import astropy.units as u
import numpy as np

from gpudl4.core.errors import FitError
from gpudl4.core.progress import Progress
from gpudl4.core.sealed import Sealed
from gpudl4.likelihood import compile
from gpudl4.likelihood.memory import parse_limit

from .advice import hints, moves
from .cells import kinks, moving_points, off_rim
from .certify import NOTHING, Verdict, certify
from .degenerate import degenerate
from .edges import held_on_data
from .fluxes import fit_fluxes
from .matrices import condition_number, inverse, is_positive, seen
from .profile import PointOfScan, Profiler
from .result import FitResult
from .scoring import Counter, approach
from .seek import better_places, has_moved, put, seek
from .settle import RECOMPILE_TOLERANCE, Curvature, settle, standing
from .start import start_of

__all__ = ["Fit"]

MAX_MOVES = 3  # of sources to better places, once a minimum is found
WORTH_MOVING = 0.1  # of the statistic; a better place has to lower it by more
SECOND_OPINIONS, LOWER = 4, 0.01  # times that MIGRAD is asked, as long as it finds a statistic that is lower by more
COVARIANCES = ("hessian", "fisher")
DTYPES = ("float64", "float32")
MINUIT_OPTIONS = ("tol", "strategy", "print_level")


class Fit(Sealed):
    """Fits models to datasets.

    Parameters
    ----------
    backend : {"minuit"}
        Fisher scoring certified by MIGRAD. The name is gammapy's default.
    optimize_opts : dict, optional
        ``tol``, ``strategy`` and ``print_level`` for MIGRAD.
    covariance : {"hessian", "fisher"}
        Where errors come from. The observed Hessian is the default; the Fisher matrix is cheaper and differs by a few percent on real data.
    store_trace : bool
        Keep the accepted steps in ``result.trace``.
    progress : bool
        Show progress: a bar on a terminal, a line now and then elsewhere.
    device : {"auto", "numpy", "cupy"}
        Where the likelihood runs, see `gpudl4.compile`; ``result.backend`` says where it ran.
    dtype : {"float64", "float32"}
        Precision of predicted counts, see `gpudl4.compile`. "float32" saves memory; sums, parameters and errors stay double, but the
        statistic is rounded (`Likelihood.noise`): compare statistics of fits of one precision only.
    memory_limit : int or str, optional
        Bytes, or a text such as ``"2 GB"``, that the likelihood may take beside the datasets, see `gpudl4.compile`.
    search_radius : `~astropy.units.Quantity` or str
        A source with a free position that starts beside its place is put where it explains far more counts, if that is not farther away
        than this. "0 deg" leaves sources where they start and lets the minimiser alone move them. A source never crosses the bounds of its
        position.

    Examples
    --------
    >>> from gpudl4 import Datasets, Fit
    >>> datasets = Datasets.read("datasets.yaml", filename_models="models.yaml")  # doctest: +SKIP
    >>> result = Fit().run(datasets)  # doctest: +SKIP
    """

    def __init__(self, backend="minuit", optimize_opts=None, covariance="hessian", store_trace=False, progress=False, device="auto",
                 search_radius="0.5 deg", dtype="float64", memory_limit=None):  # fmt: skip
        if backend != "minuit":
            raise FitError(f"fit backend {backend!r} is not known: choose 'minuit' (Fisher scoring certified by MIGRAD)")
        if covariance not in COVARIANCES:
            raise FitError(f"covariance {covariance!r} is not known: choose one of {', '.join(COVARIANCES)}")
        unknown = set(optimize_opts or {}) - set(MINUIT_OPTIONS)
        if unknown:
            raise FitError(f"unknown optimize_opts {sorted(unknown)}: known are {', '.join(MINUIT_OPTIONS)}")
        if dtype not in DTYPES:
            raise FitError(f"dtype {dtype!r} is not known: choose one of {', '.join(DTYPES)}")
        self.backend, self.covariance_from, self.dtype = backend, covariance, dtype
        self.optimize_opts, self.store_trace, self.progress = dict(optimize_opts or {}), store_trace, progress
        self.device, self.search_radius = device, _angle(search_radius)
        self.memory_limit = None if memory_limit is None else parse_limit(memory_limit)

    def run(self, datasets, models=None):
        """Minimise and compute the covariance.

        Parameters
        ----------
        datasets : Datasets, list of datasets or dataset
        models : Models, optional
            Used instead of the datasets' own models.

        Returns
        -------
        FitResult

        Raises
        ------
        FitError
            If no parameter is free.
        DatasetError, ModelError
            If datasets or models cannot be compiled; the message names the part.
        MemoryLimitError
            If the likelihood would take more than ``memory_limit``, at the start or where a fit compiles it anew.
        """
        return self._run(datasets, models, with_covariance=True)

    def optimize(self, datasets, models=None):
        """Minimise only; the result has no covariance."""
        return self._run(datasets, models, with_covariance=False)

    def confidence(self, datasets, parameter, sigma=1, reoptimize=True):
        """Asymmetric error from the profile of the statistic (like MINOS).

        Parameters
        ----------
        datasets : Datasets, list of datasets or dataset
            With models at their best fit.
        parameter : Parameter or str
            The object, ``"model.parameter"``, or a name that is unique.
        sigma : float
            The statistic rises by ``sigma ** 2``.
        reoptimize : bool
            Fit the other parameters at each point.

        Returns
        -------
        dict
            ``errp``, ``errn`` (positive; NaN where a bound comes first); ``bounded``, the names of those that a bound cuts off;
            ``success``, whether each side has an end or a bound; ``nfev``; ``stat``.
        """
        profiler = Profiler(datasets, device=self.device, dtype=self.dtype, memory_limit=self.memory_limit)
        index = profiler.index(parameter)
        step = sigma * profiler.error(index)
        scales, bounded = profiler.crossings([index], [[step], [-step]], sigma**2, reoptimize)
        errp, errn = (float(x) for x in np.where(bounded, np.nan, scales * step))
        sides = tuple(name for name, cut in zip(("errp", "errn"), bounded, strict=True) if cut)
        success = bool(np.all(np.isfinite(scales)))
        return {"errp": errp, "errn": errn, "bounded": sides, "nfev": profiler.counter.values + profiler.counter.gradients,
                "success": success, "stat": profiler.best.stat}  # fmt: skip

    def stat_profile(self, datasets, parameter, reoptimize=False):
        """Statistic at the parameter's ``scan_values``; all points are one batch, started from the second derivatives at the minimum.

        Parameters
        ----------
        datasets : Datasets, list of datasets or dataset
            With models at their best fit.
        parameter : Parameter or str
            As for `confidence`.
        reoptimize : bool
            Fit the other parameters at each point.

        Returns
        -------
        dict
            ``{model}.{spectral or spatial}.{parameter}_scan``: values; ``stat_scan``: statistic; ``fit_results``: list of `PointOfScan`,
            what was found at each point, empty if nothing was fitted anew.
        """
        profiler = Profiler(datasets, device=self.device, dtype=self.dtype, memory_limit=self.memory_limit)
        index = profiler.index(parameter)
        values = np.asarray(profiler.likelihood.parameters[index].scan_values, dtype=np.float64)
        stat, results = _scan(profiler, [index], values[:, np.newaxis], reoptimize)
        return {f"{profiler.unique_name(index)}_scan": values, "stat_scan": stat, "fit_results": list(results)}

    def stat_surface(self, datasets, x, y, reoptimize=False):
        """Statistic on the grid of the ``scan_values`` of two parameters; see `stat_profile`.

        Returns
        -------
        dict
            Two ``..._scan``: values of x and y; ``stat_scan``: array[x, y]; ``fit_results``: array[x, y] of `PointOfScan`, or an empty
            list.
        """
        profiler = Profiler(datasets, device=self.device, dtype=self.dtype, memory_limit=self.memory_limit)
        pair = _pair(profiler, x, y)
        xs, ys = (np.asarray(profiler.likelihood.parameters[i].scan_values, dtype=np.float64) for i in pair)
        stat, results = _scan(profiler, pair, np.array([(a, b) for a in xs for b in ys]), reoptimize)
        shape = len(xs), len(ys)
        keys = [f"{profiler.unique_name(i)}_scan" for i in pair]
        return {keys[0]: xs, keys[1]: ys, "stat_scan": stat.reshape(shape), "fit_results": results.reshape(shape) if reoptimize else []}

    def stat_contour(self, datasets, x, y, numpoints=10, sigma=1):
        """Contour of two parameters where the profiled statistic has risen by ``sigma ** 2``.

        Returns
        -------
        dict
            ``{model}.{spectral or spatial}.{parameter}`` of x and y: coordinates of the points; ``bounded``: boolean array, which of them
            lie on a bound instead, where the statistic has risen by less; ``success``, whether all were found.
        """
        profiler = Profiler(datasets, device=self.device, dtype=self.dtype, memory_limit=self.memory_limit)
        pair = _pair(profiler, x, y)
        points, found, bounded = profiler.contour(*pair, float(sigma) ** 2, numpoints)
        first, second = (profiler.unique_name(i) for i in pair)
        return {first: points[:, 0], second: points[:, 1], "bounded": bounded, "success": bool(found.all())}

    def _run(self, datasets, models, with_covariance):
        begun = time.perf_counter()
        counter = Counter(compiles=1)
        with Progress("fit", enabled=self.progress) as bar:

            def watch(theta, stat):
                bar.update(f"stat {stat:.3f}")
                if self.store_trace:
                    counter.trace.append({"total_stat": stat, **dict(zip(likelihood.names, theta, strict=True))})

            likelihood = compile(datasets, models, backend=self.device, dtype=self.dtype, draft=True, borrow=True,
                                 memory_limit=self.memory_limit)  # fmt: skip
            if not likelihood.names:
                raise FitError("no parameter is free: unfreeze at least one, e.g. model.parameters['amplitude'].frozen = False")
            start = np.clip(likelihood.theta0, *likelihood.bounds.T)
            found = self._minimise(likelihood, counter, watch)
            for _ in range(SECOND_OPINIONS):
                likelihood, minimum, settled, hessian, verdict = self._judged(*found, counter)
                if (
                    not verdict.stat < minimum.stat - (LOWER if verdict.valid else NOTHING) - likelihood.noise
                    or degenerate(minimum.metric).any()
                ):
                    break  # along a direction that the data leave open there is always another place
                found = settle(likelihood, np.clip(verdict.theta, *likelihood.bounds.T), None, counter, watch)
            likelihood, total = self._compiled_at(likelihood, minimum, counter)
            is_sure = minimum.converged and settled and verdict.valid and not degenerate(minimum.metric).any()
            if not is_sure:  # a fit that fails leaves the models no worse than it found them
                before = likelihood.recompile(start, draft=False)
                counter.compiles += 1
                if not total <= before.value(start) + LOWER:
                    likelihood, minimum = before, standing(before, start, counter)
                    hessian, total = Curvature.at(likelihood, start, minimum.cells, counter).hessian, minimum.stat
                else:
                    likelihood = before.recompile(minimum.theta)
                    counter.compiles += 1
            covariance = self._covariance(likelihood, minimum, hessian) if with_covariance else None
        result = self._result(likelihood, minimum, verdict, settled, covariance, counter, total, time.perf_counter() - begun)
        _set_errors(result, likelihood)
        return result

    @staticmethod
    def _compiled_at(likelihood, minimum, counter):
        """The likelihood compiled at the minimum, and its statistic there, which is that of the datasets."""
        compiled_here = np.array_equal(likelihood.theta0, minimum.theta)
        if compiled_here and minimum.cells == likelihood.cells(minimum.theta):
            return likelihood, minimum.stat
        likelihood = likelihood if compiled_here else likelihood.recompile(minimum.theta)
        counter.compiles += not compiled_here
        return likelihood, likelihood.value(minimum.theta)

    def _judged(self, likelihood, minimum, settled, curvature, counter):
        """The same with the Hessian of the minimum instead of its curvature, and MIGRAD's verdict."""
        if not curvature.serves(minimum):
            curvature = Curvature.at(likelihood, minimum.theta, minimum.cells, counter)
        hessian = curvature.hessian
        if minimum.converged and np.all(np.isfinite(hessian)):
            verdict = certify(likelihood, minimum, counter, hessian, **self.optimize_opts)
        else:
            why = "not asked, as the second derivatives are not finite here"
            verdict = Verdict(False, minimum.edm, minimum.theta, minimum.stat, 0, why)
        return likelihood, minimum, settled, hessian, verdict

    def _minimise(self, likelihood, counter, watch):
        """Put sources where the counts are, walk to a minimum, look for better places once more, settle.

        Returns
        -------
        likelihood, minimum, settled, curvature
        """
        theta, reach = start_of(likelihood), self.search_radius.to_value("deg")
        likelihood, theta = held_on_data(likelihood, theta), np.clip(off_rim(moving_points(likelihood), theta), *likelihood.bounds.T)
        as_given = likelihood, theta
        likelihood, before, metric, is_clear = seek(likelihood, theta, counter, watch, reach)
        found = approach(likelihood, before, counter, watch, metric=metric)
        if counter.moves:  # a weak source beside a bright one may explain more there, and be missed where it was
            other = approach(*as_given, counter)
            if other[2] < found[2]:
                found, before, is_clear, counter.moves = other, as_given[1], True, {}
        for _ in range(MAX_MOVES):
            likelihood, theta, stat, _ = found
            if not reach > 0 or (is_clear and not has_moved(likelihood, before, theta, reach)):
                break
            places = better_places(likelihood, theta, reach)
            if not places:
                break
            known = dict(counter.moves)
            other, theta = put(likelihood, theta, places, counter)
            theta, metric = fit_fluxes(other, theta, counter)
            other = approach(other, theta, counter, metric=metric)
            if not other[2] < stat - WORTH_MOVING:
                counter.moves = known
                break
            found = other
        likelihood, theta, _, metric = found
        return settle(likelihood, theta, metric, counter, watch)

    def _covariance(self, likelihood, minimum, hessian):
        """Covariance matrix, and what it was made from. Positions on a kink take their rows from the Fisher matrix."""
        at_kink = kinks(moving_points(likelihood), minimum.theta, minimum.cells) if minimum.at_border else []
        if not len(at_kink) and not is_positive(hessian):  # it may fall beyond a bound
            at_kink = np.flatnonzero(minimum.at_bound)
        if self.covariance_from == "hessian" and not len(at_kink) and is_positive(hessian):
            return 2.0 * inverse(hessian), "hessian"
        with np.errstate(all="ignore"):  # a failed fit may end where models overflow
            fisher = seen(likelihood.fisher(minimum.theta, minimum.cells), minimum.theta)
        fisher = fisher if np.all(np.isfinite(fisher)) else minimum.metric
        alive = np.diag(fisher) > 0
        matrix, kind = fisher, "fisher"
        if self.covariance_from == "hessian":
            hessian = hessian.copy()
            hessian[at_kink, :] = fisher[at_kink, :]
            hessian[:, at_kink] = fisher[:, at_kink]
            if is_positive(hessian[np.ix_(alive, alive)]):
                matrix, kind = hessian, "hessian"
        covariance = np.full(matrix.shape, np.nan)
        covariance[np.ix_(alive, alive)] = 2.0 * inverse(matrix[np.ix_(alive, alive)])
        return covariance, kind

    def _result(self, likelihood, minimum, verdict, settled, covariance, counter, total, wall_time):
        names = likelihood.names
        matrix, kind = covariance if covariance is not None else (None, "none")
        errors = np.full(len(names), np.nan) if matrix is None else np.sqrt(np.where(np.diag(matrix) > 0, np.diag(matrix), np.nan))
        alive, tied = (np.diag(minimum.metric) > 0) | minimum.at_bound, degenerate(_beside(minimum.metric, minimum.at_bound))
        errors[tied] = np.nan
        if matrix is not None and tied.any():
            matrix = np.where(tied | tied[:, np.newaxis], np.nan, matrix)
        reasons, dead = [], ", ".join(n for n, ok in zip(names, alive, strict=True) if not ok)
        if dead:
            reasons.append(f"no data constrain {dead}: freeze them")
            warnings.warn(f"no data constrain the free parameter(s) {dead}: freeze them", stacklevel=4)
        if tied.any():
            several = ", ".join(n for n, one in zip(names, tied, strict=True) if one)
            reasons.append(f"the data determine only combinations of {several}: freeze or link some of them, or leave out a source")
        if matrix is not None and (loose := alive & ~tied & ~minimum.at_bound & ~np.isfinite(errors)).any():
            reasons.append(f"errors are not finite: {', '.join(n for n, one in zip(names, loose, strict=True) if one)}")
        unconstrained = tuple(n for n, ok, one in zip(names, alive, tied, strict=True) if one or not ok)
        if not minimum.converged:
            reasons.append("the minimiser stopped before it converged")
        if not settled:
            reasons.append(f"the statistic still moved by more than {RECOMPILE_TOLERANCE} when the IRFs were taken at the minimum")
        if minimum.converged and not verdict.valid:
            reasons.append(f"MIGRAD: {verdict.message or 'no valid minimum'}")
        if verdict.stat < minimum.stat - LOWER - likelihood.noise:
            reasons.append(f"MIGRAD found a statistic lower by {minimum.stat - verdict.stat:.3g}")
        at_kinks = kinks(moving_points(likelihood), minimum.theta, minimum.cells) if minimum.at_border else []
        success = not reasons
        at_bounds = tuple(n for n, at in zip(names, minimum.at_bound, strict=True) if at)
        models = _models(likelihood.plan)
        return FitResult(
            success=success,
            message="converged" if success else "; ".join(reasons),
            total_stat=total,
            names=names,
            values=minimum.theta.copy(),
            errors=errors,
            covariance_matrix=matrix,
            covariance_kind=kind,
            models=models,
            parameters=models.parameters,
            nfev=counter.values + counter.gradients,
            ngrad=counter.gradients,
            n_fisher=counter.metrics,
            n_compile=counter.compiles,
            edm=max(minimum.edm, 0.0) if minimum.converged else max(verdict.edm, minimum.edm),
            condition_number=condition_number(minimum.metric),
            at_bounds=at_bounds,
            at_kinks=tuple(names[i] for i in at_kinks),
            unconstrained=unconstrained,
            bounds=likelihood.bounds.copy(),
            backend=likelihood.backend,
            wall_time=wall_time,
            hints=hints(names, minimum, at_bounds, likelihood.parameters, success) + moves(counter),
            units=tuple(str(p.unit) for p in likelihood.parameters),
            trace=counter.trace,
            dtype=likelihood.plan.dtype.name,
        )


def _beside(matrix, held):
    """The matrix with rows and columns 0 for parameters that are held."""
    return np.where(held | held[:, np.newaxis], 0.0, matrix)


def _angle(value):
    """An angle that is not negative, as a quantity."""
    try:
        angle = u.Quantity(value).to("deg")
    except (TypeError, u.UnitConversionError) as error:
        raise FitError(f"search_radius={value!r} is no angle: give one such as '0.5 deg', or '0 deg' to search nowhere") from error
    if not angle >= 0:
        raise FitError(f"search_radius={value!r} is negative: give an angle such as '0.5 deg', or '0 deg' to search nowhere")
    return angle


def _pair(profiler, x, y):
    """Indices of two different parameters."""
    pair = [profiler.index(x), profiler.index(y)]
    if pair[0] == pair[1]:
        raise FitError(f"x and y are one parameter, {profiler.likelihood.names[pair[0]]}: give two different ones")
    return pair


def _scan(profiler, indices, values, reoptimize):
    """Statistic at points of a scan, and what was found there, array[B] of `PointOfScan` or an empty one."""
    if not reoptimize:
        return profiler.values(indices, values), np.empty(0, dtype=object)
    minima, names = profiler.refit(indices, values), profiler.likelihood.names
    results = np.empty(len(minima), dtype=object)
    results[:] = [PointOfScan(bool(one.converged), float(one.stat), names, one.theta) for one in minima]
    return np.array([one.stat for one in minima]), results


def _models(plan):
    """The models of a fit as one `Models`: those given, or the datasets' own without repetitions."""
    from gpudl4.models import Models

    given = plan.models if plan.models is not None else [m for dataset in plan.datasets for m in dataset.models or []]
    return given if isinstance(given, Models) else Models(list({id(m): m for m in given}.values()))


def _set_errors(result, likelihood):
    """Write the covariance into the models; every parameter's error follows."""
    if result.covariance_matrix is None:
        return
    models = result.models
    parameters = list(models.parameters)
    where = [next((i for i, p in enumerate(likelihood.parameters) if p is q), None) for q in parameters]
    full = np.zeros((len(parameters), len(parameters)))
    rows = [i for i, w in enumerate(where) if w is not None]
    columns = [where[i] for i in rows]
    full[np.ix_(rows, rows)] = result.covariance_matrix[np.ix_(columns, columns)]
    models.covariance = full
