"""Profiles of the fit statistic: asymmetric errors, scans and contours, with the other parameters fitted anew at each point.

They start from the models as they are, normally just fitted, and leave them as they were. IRFs are taken at the current positions.

All points of a profile are one batch. Each begins where the second derivatives at the minimum say that the other parameters go when some
are held elsewhere, and walks from there as any fit does (`scoring.descending`), in step with the others, so that the likelihood evaluates
them together. Point sources look into the neighbouring pixel cells at every point.
"""

from dataclasses import dataclass, replace

import numpy as np

from gpudl4.core.errors import FitError
from gpudl4.likelihood import compile

from .cells import moving_points
from .explore import explore
from .matrices import inverse, inverse_alive
from .scoring import Counter, descend, descending
from .settle import Curvature
from .start import start_of
from .stretch import Stretch

__all__ = ["PointOfScan", "Profiler"]

MAX_ROUNDS = 40  # of looking for the place where a profile has risen
CLOSE = 2e-3  # a Newton step that is smaller than this part of the way need not be looked at any more
FINE, UNSEEN = 1e-5, 1e-3  # decrease of the statistic that is left undone, and that is taken without looking, at a point of a profile
BATCH_BYTES = 2**28  # working arrays of a batch
SAFE = 0.2  # of the statistic, by which all other pixel cells have to lie above a minimum for points between to be trusted
FAR = 1.0  # a cell that seems to lie this far above is not looked at any closer
BEYOND = 0.1  # pixels, how far behind a border a neighbouring cell is entered


@dataclass(frozen=True)
class PointOfScan:
    """What was found at one point of a scan.

    Attributes
    ----------
    success : bool
        Whether the other parameters converged.
    total_stat : float
    names : tuple of str
        Free parameters as ``model.parameter``.
    values : float64 array[P]
    """

    success: bool
    total_stat: float
    names: tuple
    values: np.ndarray


class Profiler:
    """Profile statistic around the current minimum.

    Parameters
    ----------
    datasets : Datasets, list of datasets or dataset
    models : Models, optional
        Used instead of the datasets' own.
    device : str
        Where the likelihood runs.
    dtype : str
        Precision of predicted counts.
    memory_limit : int or str, optional
        See `gpudl4.compile`.
    """

    def __init__(self, datasets, models=None, device="auto", dtype="float64", memory_limit=None):
        self.likelihood = likelihood = compile(datasets, models, backend=device, dtype=dtype, memory_limit=memory_limit)
        self.counter = counter = Counter(compiles=1)
        theta = start_of(likelihood)
        curvature = Curvature.at(likelihood, theta, likelihood.cells(theta), counter)
        minimum = descend(likelihood, theta, likelihood.cells(theta), counter, metric=curvature.metric(None))
        minimum = explore(likelihood, minimum, counter)[0]
        if not curvature.serves(minimum):
            curvature = Curvature.at(likelihood, minimum.theta, minimum.cells, counter)
        self.best = replace(minimum, metric=curvature.metric(minimum.metric))
        self.errors = np.sqrt(2.0 * np.diag(inverse_alive(self.best.metric)))
        self._stretch = Stretch(likelihood.names, self.best.metric)

    def index(self, parameter):
        """Index in theta of a parameter, given as object, as "model.parameter", "model.spectral.parameter" or as a name that is unique.

        Raises
        ------
        FitError
            If it is not among the free parameters, or the name is not unique.
        """
        names = self.likelihood.names
        for i, own in enumerate(self.likelihood.parameters):
            if own is parameter or (isinstance(parameter, str) and parameter in (names[i], self.unique_name(i))):
                return i
        hits = [i for i, name in enumerate(names) if name.rsplit(".", 1)[-1] == parameter]
        if len(hits) == 1:
            return hits[0]
        given = parameter if isinstance(parameter, str) else getattr(parameter, "name", parameter)
        problem = "belongs to several models" if hits else "is not a free parameter"
        raise FitError(f"{given!r} {problem}; free parameters: {', '.join(names)}")

    def unique_name(self, index):
        """Name such as ``source.spectral.index`` of a parameter; a linked one has that of the first model that holds it."""
        own, plan = self.likelihood.parameters[index], self.likelihood.plan
        given = plan.models if plan.models is not None else [model for dataset in plan.datasets for model in dataset.models or ()]
        return next(
            f"{model.name}.{name}"
            for model in given
            for p, name in zip(model.parameters, model.parameters_unique_names, strict=True)
            if p is own
        )

    def error(self, index):
        """Error of a parameter from the second derivatives at the minimum.

        Raises
        ------
        FitError
            If no data constrain it.
        """
        if not np.isfinite(self.errors[index]):
            raise FitError(f"no data constrain {self.likelihood.names[index]}: its statistic has no profile")
        return self.errors[index]

    # ---- points of the profile -------------------------------------------------------------------------------------------------------
    def values(self, indices, values):
        """Statistic with some parameters at other values and the rest at the minimum, array[B] for ``values[B, S]``."""
        out = []
        for own in np.asarray(values, dtype=np.float64):
            theta = self.best.theta.copy()
            theta[list(indices)] = own
            self.counter.values += 1
            out.append(self.likelihood.value(theta))
        return np.array(out)

    def refit(self, indices, values, origins=None):
        """Minima of the statistic with some parameters held.

        Parameters
        ----------
        indices : sequence of int
        values : array[B, S]
            What they are held at, one row for each point.
        origins : list of array[P], optional
            Known minima of the profile, from which to begin; by default the best fit.

        Returns
        -------
        list of Minimum
        """
        indices = list(indices)
        values = np.asarray(values, dtype=np.float64).reshape(-1, len(indices))
        origins = [self.best.theta] * len(values) if origins is None else origins
        starts = [self._response(indices, own, origin) for own, origin in zip(values, origins, strict=True)]
        found, rest = [None] * len(values), list(range(len(values)))
        kept, likelihood = [parameter.value for parameter in self.likelihood.parameters], self.likelihood
        while True:
            inside = [i for i in rest if likelihood.is_valid(starts[i]) or (likelihood is not self.likelihood and i == rest[0])]
            minima = _in_step(likelihood, [self._walk(likelihood, starts[i], indices) for i in inside], self.counter)
            for i, minimum in zip(inside, self._all_looked_around(likelihood, minima, indices), strict=True):
                found[i] = minimum
            rest = [i for i in rest if i not in inside]
            if not rest:
                break
            likelihood = self.likelihood.recompile(starts[rest[0]])  # a source has left what was compiled for it
            self.counter.compiles += 1
        for parameter, value in zip(self.likelihood.parameters, kept, strict=True):
            parameter.value = value
        return found

    def _all_looked_around(self, likelihood, minima, indices):
        """The best of the minima near each of several; only the outermost points look around where that is enough.

        The statistic has about the same second derivatives in neighbouring pixel cells, so that the difference between the profiles of
        two cells is linear in what is held. If the cells of the best fit win clearly at the outermost points, they win between them.
        """
        if not minima or not moving_points(likelihood):
            return minima
        outer = _outermost(np.array([(one.theta[indices] - self.best.theta[indices]) / self.errors[indices] for one in minima]))
        found, is_clear = list(minima), all(one.cells == self.best.cells for one in minima)
        for i in outer:
            found[i], margin = self._looked_around(likelihood, minima[i], indices)
            is_clear &= found[i] is minima[i] and margin > SAFE
        if is_clear:
            return found
        return [one if i in outer else self._looked_around(likelihood, one, indices)[0] for i, one in enumerate(found)]

    def _response(self, indices, values, origin):
        """Where the parameters that are not held go, by the second derivatives at the best fit, from a minimum of the profile."""
        bounds, slope = self.likelihood.bounds, self._stretch.slope(self.best.theta)
        metric = self.best.metric * np.outer(slope, slope)
        theta = origin.copy()
        theta[indices] = values
        move = (self._stretch.to_u(theta) - self._stretch.to_u(origin))[indices]
        free = np.diag(metric) > 0
        free[indices] = False
        away = (origin <= bounds[:, 0]) | (origin >= bounds[:, 1])
        free &= ~away  # what a bound holds stays there at first
        if free.any():
            shift = -inverse(metric[np.ix_(free, free)]) @ metric[np.ix_(free, indices)] @ move
            u = self._stretch.to_u(origin)
            u[free] += shift
            moved = self._stretch.to_theta(u)
            theta[free] = np.where(np.isfinite(moved), moved, origin)[free]
            theta[free] = np.clip(theta, *bounds.T)[free]
        return theta

    def _held(self, theta, indices):
        bounds = self.likelihood.bounds.copy()
        bounds[indices] = theta[indices, np.newaxis]
        return bounds

    def _walk(self, likelihood, theta, indices, cells=None, give_up_above=np.inf):
        """A walk to the minimum near theta with some parameters held."""
        scale = self._stretch.slope(self.best.theta) / self._stretch.slope(theta)
        metric = self.best.metric * np.outer(scale, scale)  # constant by the coordinates of the minimiser
        options = {"tolerance": FINE, "leave": UNSEEN, "metric": metric, "bounds": self._held(theta, indices)}
        cells = likelihood.cells(theta) if cells is None else cells
        return descending(likelihood, theta, cells, self.counter, give_up_above=give_up_above, **options)

    def _looked_around(self, likelihood, minimum, indices):
        """The best minimum near one, over the pixel cells of all point sources, and how far above it the next seems to lie."""
        points, bounds, visited = moving_points(likelihood), self._held(minimum.theta, indices), {minimum.cells}
        minimum, margin = explore(likelihood, minimum, self.counter, bounds=bounds)
        while True:  # a source that is held in one direction moves along a line, on which the cells left and right are the next ones
            starts = [theta for theta in _beyond_borders(points, minimum, indices, bounds) if likelihood.is_valid(theta)]
            starts = {cells: theta for theta in starts if (cells := likelihood.cells(theta)) not in visited}
            visited.update(starts)
            limit = minimum.stat + FAR
            walks = [self._walk(likelihood, theta, indices, cells, limit) for cells, theta in starts.items()]
            others = [one for one in _in_step(likelihood, walks, self.counter) if one is not None]
            best = min(others, key=lambda one: one.stat, default=minimum)
            if best is minimum:
                return minimum, margin
            margin = min(margin, abs(best.stat - minimum.stat))
            if best.stat >= minimum.stat - FINE:
                return minimum, margin
            minimum = best

    # ---- where the profile has risen -------------------------------------------------------------------------------------------------
    def crossings(self, indices, rays, rise, reoptimize=True):
        """How far along rays from the best fit the profile has risen by `rise`.

        The root of the rise is nearly linear in the distance, and the profile's slope is the gradient of the statistic by the held
        parameters, so that a few Newton steps inside a bracket do. All rays are one batch.

        Parameters
        ----------
        indices : sequence of int
        rays : array[B, S]
            First guesses of the way, one for each direction.
        rise : float
        reoptimize : bool
            Fit the other parameters at each point.

        Returns
        -------
        scales : array[B]
            Factors of the rays; the way to the bound where a bound comes first; NaN where nothing was found.
        bounded : bool array[B]
            Whether a bound comes first.
        """
        indices, rays = list(indices), np.asarray(rays, dtype=np.float64)
        centre, root = self.best.theta[indices], np.sqrt(rise)
        room = self._room(centre, self.likelihood.bounds[indices], rays)
        bounded, scales = room <= 0, np.where(room <= 0, 0.0, np.nan)
        x, low, high = np.minimum(1.0, room), np.zeros(len(rays)), np.full(len(rays), np.inf)
        origins, open_ = [self.best.theta] * len(rays), ~bounded
        for _ in range(MAX_ROUNDS):
            which = np.flatnonzero(open_)
            if not len(which):
                break
            held = centre + x[which, np.newaxis] * rays[which]
            found = self._there(indices, held, [origins[i] for i in which], reoptimize)
            for i, (stat, gradient, theta) in zip(which, found, strict=True):
                origins[i] = theta
                above = stat - self.best.stat
                if not np.isfinite(above) or above >= rise:
                    high[i] = min(high[i], x[i])
                elif x[i] >= room[i]:
                    bounded[i], scales[i], open_[i] = True, room[i], False
                    continue
                else:
                    low[i] = max(low[i], x[i])
                slope = gradient[indices] @ rays[i]
                step = (root - np.sqrt(above)) * 2.0 * np.sqrt(above) / slope if above > 0 and slope > 0 else np.nan
                if abs(step) < CLOSE * x[i] or high[i] - low[i] < 1e-6 * high[i]:
                    scales[i], open_[i] = min(x[i] + (step if np.isfinite(step) else 0.0), room[i]), False
                    continue
                following = x[i] + step
                if not low[i] < following < high[i] or following > 4.0 * x[i]:
                    following = 0.5 * (low[i] + high[i]) if np.isfinite(high[i]) else 2.0 * x[i]
                x[i] = min(following, room[i])
        return scales, bounded

    def _there(self, indices, held, origins, reoptimize):
        """Statistic, gradient and theta at points of the profile, or of the statistic with nothing fitted anew."""
        if reoptimize:
            return [(one.stat, one.gradient, one.theta) for one in self.refit(indices, held, origins)]
        out = []
        for own in held:
            theta = self.best.theta.copy()
            theta[indices] = own
            self.counter.gradients += 1
            out.append((*self.likelihood.value_and_gradient(theta), self.best.theta))
        return out

    @staticmethod
    def _room(centre, bounds, rays):
        """How far along rays the bounds allow to go."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ways = np.where(rays > 0, (bounds[:, 1] - centre) / rays, np.where(rays < 0, (bounds[:, 0] - centre) / rays, np.inf))
        return ways.min(axis=1)

    def contour(self, first, second, rise, numpoints):
        """Points where the profile over two parameters has risen by `rise`.

        Each point lies on a ray from the best fit, in directions even in the units of the ellipse that the second derivatives tell.

        Returns
        -------
        points : array[numpoints, 2]
            NaN where none was found, on the bound where a bound comes first.
        found, bounded : bool array[numpoints]
        """
        pair = [first, second]
        errors = np.array([self.error(i) for i in pair])
        covariance = 2.0 * inverse_alive(self.best.metric)[np.ix_(pair, pair)]
        correlation = np.clip(covariance[0, 1] / (errors[0] * errors[1]), -0.9999, 0.9999)
        root = errors[:, np.newaxis] * np.array([[1.0, 0.0], [correlation, np.sqrt(1.0 - correlation**2)]])
        angle = 2 * np.pi * np.arange(numpoints) / numpoints
        rays = np.sqrt(rise) * np.stack([np.cos(angle), np.sin(angle)], axis=1) @ root.T
        scales, bounded = self.crossings(pair, rays, rise)
        return self.best.theta[pair] + scales[:, np.newaxis] * rays, np.isfinite(scales), bounded


def _in_step(likelihood, walks, counter):
    """Drive walks together, the likelihood evaluating as many at once as memory allows; their results."""
    results, places = [None] * len(walks), {i: next(walk) for i, walk in enumerate(walks)}
    width = max(1, int(BATCH_BYTES // max(likelihood.workspace_bytes, 1))) if len(walks) > 1 else 1
    workspaces = {}
    while places:
        for some in _pieces(list(places), width):
            counter.gradients += len(some)
            thetas, cells = np.array([places[i][0] for i in some]), [places[i][1] for i in some]
            if len(some) == 1:
                answers = [likelihood.value_and_gradient(thetas[0], cells[0])]
            else:
                if len(some) not in workspaces:
                    workspaces[len(some)] = likelihood.workspace(len(some))
                answers = list(zip(*likelihood.evaluate(thetas, workspaces[len(some)], cells), strict=True))
            for i, (stat, gradient) in zip(some, answers, strict=True):
                try:
                    places[i] = walks[i].send((float(stat), gradient))
                except StopIteration as end:
                    results[i] = end.value
                    del places[i]
    return results


def _outermost(places):
    """Numbers of the points that lie outermost in any of eight directions, for places[B, S] with S of 1 or 2."""
    if places.shape[1] == 1:
        ways = np.array([[1.0], [-1.0]])
    else:
        ways = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=np.float64)
    return sorted({int(i) for i in np.argmax(np.nan_to_num(places) @ ways.T, axis=0)}) if len(places) else []


def _pieces(items, size):
    return [items[begin : begin + size] for begin in range(0, len(items), size)]


def _beyond_borders(points, minimum, indices, bounds):
    """Starts just behind the two borders that a point source meets which is free in one direction only."""
    seen = set()
    for point in points:
        own = point.component.spatial_pack.indices
        free = [i for i in dict.fromkeys(own) if i not in indices and bounds[i, 0] < bounds[i, 1]]
        if own in seen or len(free) != 1:
            continue
        seen.add(own)
        xy, jacobian = point.pixel(minimum.theta)
        cell, way = point.cell(minimum.theta, minimum.cells), jacobian[:, free[0]]
        for direction in (way, -way):
            moves = np.abs(direction) > 1e-9 * np.abs(way).max()
            ahead = np.where(direction > 0, cell + 1 - xy, cell - xy)[moves] / direction[moves]
            theta = minimum.theta.copy()
            theta[free[0]] += (ahead.min() + BEYOND / np.abs(way).max()) * (1 if direction is way else -1)
            yield np.clip(theta, *bounds.T)
