"""Profiles of the fit statistic: asymmetric errors, scans and contours, with the other parameters fitted anew at each point.

They start from the models as they are, normally just fitted, and leave them as they were. IRFs are taken at the current positions.
"""

import numpy as np

from gpudl4.core.errors import FitError
from gpudl4.likelihood import compile

from .explore import explore
from .scoring import Counter, descend

__all__ = ["Profiler"]

MAX_BRACKETS = 30


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
        self.likelihood = compile(datasets, models, backend=device, dtype=dtype, memory_limit=memory_limit)
        self.counter = Counter(compiles=1)
        theta = np.clip(self.likelihood.theta0, *self.likelihood.bounds.T)
        self.best = self._fit(theta, self.likelihood.bounds, None)

    def index(self, parameter):
        """Index in theta of a parameter, given as object, as "model.parameter" or as a name that is unique.

        Raises
        ------
        FitError
            If it is not among the free parameters, or the name is not unique.
        """
        for i, (name, own) in enumerate(zip(self.likelihood.names, self.likelihood.parameters, strict=True)):
            if own is parameter or name == parameter:
                return i
        hits = [i for i, name in enumerate(self.likelihood.names) if name.rsplit(".", 1)[-1] == parameter]
        if len(hits) == 1:
            return hits[0]
        given = parameter if isinstance(parameter, str) else getattr(parameter, "name", parameter)
        problem = "belongs to several models" if hits else "is not a free parameter"
        raise FitError(f"{given!r} {problem}; free parameters: {', '.join(self.likelihood.names)}")

    def _fit(self, theta, bounds, metric):
        likelihood = self.likelihood
        minimum = descend(likelihood, theta, likelihood.cells(theta), self.counter, metric=metric, bounds=bounds)
        return explore(likelihood, minimum, self.counter, bounds=bounds)[0]

    def at(self, indices, values, reoptimize=True, start=None):
        """Minimum of the statistic with some parameters held.

        Parameters
        ----------
        indices : sequence of int
        values : sequence of float
        reoptimize : bool
            False leaves the other parameters where they are.
        start : array[P], optional
            Where to begin; by default the best fit.

        Returns
        -------
        float, array[P]
            Statistic and theta.
        """
        theta = (self.best.theta if start is None else start).copy()
        theta[list(indices)] = values
        if not reoptimize:
            self.counter.values += 1
            return self.likelihood.value(theta), theta
        bounds = self.likelihood.bounds.copy()
        bounds[list(indices)] = np.asarray(values, dtype=np.float64)[:, np.newaxis]
        minimum = self._fit(theta, bounds, self.best.metric)
        return minimum.stat, minimum.theta

    def crossing(self, index, direction, rise, step, reoptimize=True):
        """Distance from the best value at which the profile has risen by `rise`; NaN if a bound comes first.

        Parameters
        ----------
        index : int
        direction : {-1, 1}
        rise : float
        step : float
            First guess of the distance.
        reoptimize : bool
        """
        from scipy.optimize import brentq

        best, low_high = self.best.theta[index], self.likelihood.bounds[index]
        room = (low_high[1] - best) if direction > 0 else (best - low_high[0])
        state = {"start": None}

        def excess(distance):
            stat, theta = self.at([index], [best + direction * distance], reoptimize, state["start"])
            state["start"] = theta
            return stat - self.best.stat - rise

        low, high = 0.0, min(step, room)
        for _ in range(MAX_BRACKETS):
            if excess(high) >= 0:
                break
            if high >= room:
                return np.nan
            low, high = high, min(2.0 * high, room)
        else:
            return np.nan
        state["start"] = None
        return brentq(excess, low, high, xtol=1e-4 * high, rtol=1e-6) if high > 0 else np.nan

    def contour(self, first, second, rise, numpoints):
        """Points where the profile over two parameters has risen by `rise`.

        Each point is found along a ray from the best fit, in directions even in the units of the Fisher ellipse.

        Returns
        -------
        array[numpoints, 2], bool
            Points, and whether all were found.
        """
        from scipy.optimize import brentq

        pair = [first, second]
        inverse = np.linalg.pinv(self.best.metric / 2.0, hermitian=True)
        root = np.linalg.cholesky(inverse[np.ix_(pair, pair)])
        centre, radius = self.best.theta[pair], np.sqrt(rise)
        points, found = [], True
        for angle in 2 * np.pi * np.arange(numpoints) / numpoints:
            ray = radius * root @ np.array([np.cos(angle), np.sin(angle)])

            def excess(scale, ray=ray):
                return self.at(pair, centre + scale * ray)[0] - self.best.stat - rise

            high = 1.0
            while excess(high) < 0 and high < 64:
                high *= 1.5
            ok = excess(high) >= 0
            found &= ok
            points.append(centre + (brentq(excess, 0.0, high, xtol=1e-3) if ok else np.nan) * ray)
        return np.array(points), found
