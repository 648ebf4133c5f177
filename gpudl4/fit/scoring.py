"""Damped Fisher scoring inside bounds and pixel cells: the minimiser behind `Fit`.

Two stages. `approach` walks from any start towards the minimum and may cross cells. `descend` finds the minimum of one cell, where the
statistic is smooth; `explore.py` then looks into the neighbouring cells of every point source.

The metric of the steps begins as the Fisher matrix, which is positive definite and close to the second derivative, and learns the rest
from the gradients of the steps taken (BFGS). So most steps cost one gradient, and real data, where model and counts disagree, do not
slow it down. Steps are taken in the coordinates of `Stretch`, in which the valley of an amplitude and an index is straight.
"""

from dataclasses import dataclass, field

import numpy as np

from .cells import border_constraints, moving_points, off_rim, rim_constraints
from .matrices import convex, flattest, seen
from .qp import constrained_step
from .stretch import Stretch

__all__ = [
    "LONGEST_STEP",
    "RIDGE",
    "Counter",
    "Minimum",
    "approach",
    "descend",
    "descending",
    "evaluate",
    "leave_saddles",
    "metric_of",
]

MAX_STEPS, MAX_DESCENT = 60, 200  # of the approach, and of a descent: where data hardly constrain a direction, its valley is long
LONGEST_STEP = 2.0  # times the parameter's size
LONGEST_MOVE = 0.1  # of the width of its cutout, for the position of a shape
SHORT_OF_BOUND = 0.9  # of the way to a bound that one step of the approach may go
DAMPING_START, DAMPING_MIN, DAMPING_MAX = 1e-3, 1e-10, 1e8
FAR = 100.0  # a step that promises more than this leads where the metric has to be made anew
PATIENCE = 8  # steps of a descent after which its metric is the exact second derivative
RIGHT, SMALL = 0.1, 1e-3  # part of a promise by which a step may have missed it, and its damping, for the model to be called right
RIDGE = 1e-10  # relative; keeps degenerate Fisher matrices factorisable


@dataclass
class Counter:
    """How much work was done."""

    values: int = 0
    gradients: int = 0
    metrics: int = 0
    compiles: int = 0
    moves: dict = field(default_factory=dict)  # model name -> degrees over which it was put to another place
    trace: list = field(default_factory=list)


@dataclass(frozen=True)
class Minimum:
    """The minimum of one cell.

    Attributes
    ----------
    theta : array[P]
    stat : float
    start : float
        Statistic where the descent began.
    gradient : array[P]
    metric : array[P, P]
        Second derivative as the minimiser knows it.
    cells : Cells
    edm : float
        Decrease of the statistic that the quadratic model still promises.
    converged : bool
    at_bound : bool array[P]
        Parameters held back by their bounds.
    at_border : bool
        Whether a point source is held back by the border of its cell.
    """

    theta: np.ndarray
    stat: float
    start: float
    gradient: np.ndarray
    metric: np.ndarray
    cells: object
    edm: float
    converged: bool
    at_bound: np.ndarray
    at_border: bool


def evaluate(likelihood, theta, cells, counter):
    """Statistic and gradient, counted. A place that is tried may lie where models overflow: what is not finite is refused by who asked."""
    counter.gradients += 1
    with np.errstate(over="ignore", invalid="ignore"):
        stat, gradient = likelihood.value_and_gradient(theta, cells)
    return stat, gradient


def _finite(stat, gradient):
    return bool(np.isfinite(stat) and np.all(np.isfinite(gradient)))


def metric_of(likelihood, theta, cells, counter, otherwise=None):
    """The likelihood's metric; `otherwise` where it overflows."""
    counter.metrics += 1
    with np.errstate(all="ignore"):
        metric = seen(likelihood.metric(theta, cells), theta)
    return metric if np.all(np.isfinite(metric)) or otherwise is None else otherwise


def _curvature(likelihood, theta, cells, counter, stretch, slope, gradient, otherwise):
    """Exact second derivatives by u with downward curvatures turned upward; `otherwise` where they overflow."""
    counter.metrics += 1
    with np.errstate(all="ignore"):
        fisher, hessian = likelihood.second_derivatives(theta, cells)
        hessian = hessian * np.outer(slope, slope) + np.diag(gradient * stretch.bend(theta))
        found = convex(hessian, np.diag(seen(fisher, theta)) * slope**2)
    return otherwise if found is None else found


def _learn(metric, u, step, change):
    """BFGS update of the metric with a step that ended at u and the change of the gradient along it; unchanged if that is not convex."""
    curvature = step @ change
    image = metric @ step
    expected = step @ image
    if not curvature > 1e-3 * expected > 0:
        return metric
    return seen(metric + np.outer(change, change) / curvature - np.outer(image, image) / expected, u)


def _longest_moves(likelihood, theta):
    """How far the positions of shapes may go in one step, array[P]; infinite for all other parameters."""
    out = np.full(len(theta), np.inf)
    for term in likelihood.plan.terms:
        for source in term.sources:
            if source.kind != "image" or source.response.width is None:
                continue
            own = dict(zip(source.spatial_pack.indices, source.spatial_pack.slots, strict=True))
            names = {likelihood.names[i].rsplit(".", 1)[-1]: i for i in own}
            for name in {"lon_0", "lat_0"} & names.keys():
                i = names[name]
                width = source.response.width / likelihood.parameters[i].unit.to("deg")
                latitude = theta[names["lat_0"]] * likelihood.parameters[names["lat_0"]].unit.to("rad") if "lat_0" in names else 0.0
                stretched = 1.0 / max(np.cos(latitude), 0.1) if name == "lon_0" else 1.0
                out[i] = min(out[i], LONGEST_MOVE * width * stretched)
    return out


def is_gone(names, before, after):
    """Whether a model has ceased to act on the data: the gradient by all its parameters, once other than zero, is zero."""
    acts = {}
    for name, old, new in zip(names, before, after, strict=True):
        model = name.rsplit(".", 1)[0]
        then, now = acts.get(model, (False, False))
        acts[model] = then or old != 0, now or new != 0
    return any(then and not now for then, now in acts.values())


def _bound_constraints(theta, bounds, stretch, moves):
    """Rows ``matrix @ du <= limit`` for bounds and for the longest step, and which parameters the bounds hold: ``at(active)``.

    A parameter may move by twice its size in one step (by one unit if it is as good as zero), so that a direction the data hardly
    constrain cannot run to values where models overflow; the position of a shape by no more than ``moves[P]``.
    """
    n = len(theta)
    reach = np.minimum(np.where(stretch.is_zero(theta), 1.0, LONGEST_STEP * np.abs(theta)), moves)
    low, high = np.maximum(bounds[:, 0], theta - reach), np.minimum(bounds[:, 1], theta + reach)
    matrix = np.vstack([-np.eye(n), np.eye(n)])
    u = stretch.to_u(theta)
    limit = np.maximum(np.concatenate([u - stretch.to_u(low), stretch.to_u(high) - u]), 0.0)
    is_bound = np.concatenate([low == bounds[:, 0], high == bounds[:, 1]])

    def at(active):
        held = active[: 2 * n] & is_bound
        return held[:n] | held[n:]

    return matrix, limit, at


def _snapped(theta, held, bounds):
    """theta with the parameters held by a bound exactly on it."""
    low, high = bounds.T
    with np.errstate(invalid="ignore"):
        nearest = np.where(np.abs(theta - low) <= np.abs(high - theta), low, high)
    return np.where(held, nearest, theta)


def _step(gradient, metric, damping, constraints):
    """Step of the damped quadratic model in units of the parameters' errors: step, promised decrease, active constraints.

    Parameters without any curvature get no step.
    """
    diagonal = np.diag(metric).copy()
    dead = ~(diagonal > 0)
    scale = 1.0 / np.sqrt(np.where(dead, 1.0, diagonal))
    hessian = metric * np.outer(scale, scale)
    hessian[dead, :] = 0.0
    hessian[:, dead] = 0.0
    hessian[np.diag_indices_from(hessian)] = 1.0 + damping + RIDGE
    white = np.where(dead, 0.0, gradient * scale)
    matrix, limit = constraints
    ridge = RIDGE
    while True:
        try:
            step, active = constrained_step(white, hessian, matrix * scale, limit)
            break
        except np.linalg.LinAlgError:
            ridge *= 100
            hessian[np.diag_indices_from(hessian)] += ridge
    undamped = hessian - np.diag(np.full(len(white), damping))
    with np.errstate(over="ignore", invalid="ignore"):  # from a place where the statistic is all but infinite
        promised = -(white @ step + 0.5 * step @ undamped @ step)
    return np.where(dead, 0.0, step * scale), promised, active


def approach(likelihood, theta, counter, watch=None, largest_move=3.0, metric=None):
    """Walk towards the minimum, across cells, compiling anew whenever a source leaves what was compiled.

    Parameters
    ----------
    likelihood : Likelihood
    theta : array[P]
    counter : Counter
    watch : callable, optional
        Called with (theta, stat) after each accepted step.
    largest_move : float
        Pixels a point source may move in one step.
    metric : array[P, P], optional
        Second derivatives at theta, if they are known.

    Returns
    -------
    likelihood, theta, stat, metric
    """
    damping = DAMPING_START
    cells = likelihood.cells(theta)
    stat, gradient = evaluate(likelihood, theta, cells, counter)
    metric = metric_of(likelihood, theta, cells, counter) if metric is None else metric
    stretch = Stretch(likelihood.names, metric)
    slope = stretch.slope(theta)
    metric = metric * np.outer(slope, slope)  # by u, up to the last line
    for _ in range(MAX_STEPS):
        points = moving_points(likelihood)
        matrix, limit, _ = _bound_constraints(theta, likelihood.bounds, stretch, _longest_moves(likelihood, theta))
        jacobians = [point.pixel(theta)[1] for point in points]
        rim, rim_limit = rim_constraints(points, theta)
        matrix = np.vstack([matrix, *jacobians, *(-j for j in jacobians), rim])
        limit = np.concatenate([limit, np.full(4 * len(points), largest_move), rim_limit])
        # A bound may be a saddle (an ellipse that becomes a circle), so the approach stops short of it.
        limit[: 2 * len(theta)] *= SHORT_OF_BOUND
        step, promised, _ = _step(gradient * slope, metric, damping, (matrix, limit))
        if promised < 0.1:
            break
        trial = np.clip(stretch.to_theta(stretch.to_u(theta) + step), *likelihood.bounds.T)
        trial = np.clip(off_rim(points, trial), *likelihood.bounds.T)
        new_cells = likelihood.cells(trial)
        new_stat, new_gradient = evaluate(likelihood, trial, new_cells, counter)
        is_better = _finite(new_stat, new_gradient) and stat - new_stat > 1e-3 * promised
        after = likelihood
        if is_better and not likelihood.is_valid(trial):
            after = likelihood.recompile(trial)
            counter.compiles += 1
            new_cells = after.cells(trial)
            new_stat, new_gradient = evaluate(after, trial, new_cells, counter)
            is_better = _finite(new_stat, new_gradient)
        if is_better and not is_gone(likelihood.names, gradient, new_gradient):
            good = stat - new_stat > 0.5 * promised
            same = cells == new_cells
            new_slope = stretch.slope(trial)
            if same and after is likelihood:
                metric = _learn(
                    metric, stretch.to_u(trial), stretch.to_u(trial) - stretch.to_u(theta), new_gradient * new_slope - gradient * slope
                )
            likelihood, theta, stat, gradient, cells, slope = after, trial, new_stat, new_gradient, new_cells, new_slope
            damping = max(damping * (0.1 if good else 1.0), DAMPING_MIN)
            if promised > FAR or not good or not same:
                by_theta = metric_of(likelihood, theta, cells, counter, metric / np.outer(slope, slope))
                metric = by_theta * np.outer(slope, slope)
            if watch is not None:
                watch(theta, stat)
        else:
            damping = max(10.0 * damping, 1e-2)
            if damping > DAMPING_MAX:
                break
    return likelihood, theta, stat, metric / np.outer(slope, slope)


def descend(
    likelihood, theta, cells, counter, tolerance=1e-7, metric=None, give_up_above=np.inf, watch=None, bounds=None, leave=0.0, points=None
):
    """Minimum of the statistic in one cell.

    Parameters
    ----------
    likelihood : Likelihood
    theta : array[P]
        Start, in the cell.
    cells : Cells
        As `Likelihood.cells` returns them.
    counter : Counter
    tolerance : float
        Converged when the quadratic model promises a smaller decrease than this.
    metric : array[P, P], optional
        A metric from nearby, to begin with.
    give_up_above : float
        Return early if the model, trusted generously, cannot get below this statistic.
    watch : callable, optional
        Called with (theta, stat) after each accepted step.
    bounds : array[P, 2], optional
        Instead of the likelihood's; equal bounds hold a parameter, as profiles need it.
    leave : float, optional
        Where the model was right so far and promises less than this, its step is taken and not looked at: for those who evaluate at the
        minimum next in any case. Statistic and gradient are the model's then.
    points : list of MovingPoint, optional
        That are held in their cells, if the likelihood is a stand-in with parameters of its own.

    Returns
    -------
    Minimum or None
        None if given up.
    """
    walk = descending(likelihood, theta, cells, counter, tolerance, metric, give_up_above, watch, bounds, leave, points)
    place = next(walk)
    while True:
        try:
            place = walk.send(evaluate(likelihood, *place, counter))
        except StopIteration as end:
            return end.value


def descending(
    likelihood, theta, cells, counter, tolerance=1e-7, metric=None, give_up_above=np.inf, watch=None, bounds=None, leave=0.0, points=None
):
    """The walk of `descend` as a generator: yields (theta, cells), is sent statistic and gradient there, and returns what `descend` does.

    Who drives it evaluates, so that many walks can go in step and be evaluated as one batch.
    """
    moves = _longest_moves(likelihood, theta) if points is None else np.full(len(theta), np.inf)  # a stand-in has no shapes
    points = moving_points(likelihood) if points is None else points
    bounds = likelihood.bounds if bounds is None else bounds
    damping, poor, is_right, is_exact = DAMPING_MIN, 0, False, False
    stat, gradient = yield theta, cells
    start = stat
    if np.isfinite(give_up_above) and not _finite(stat, gradient):
        return None
    if metric is None:
        metric = metric_of(likelihood, theta, cells, counter)
    stretch = Stretch(likelihood.names, metric)
    slope = stretch.slope(theta)
    metric = metric * np.outer(slope, slope)  # by u, up to the last lines
    converged = False
    for number in range(MAX_DESCENT):
        if number >= PATIENCE and not is_exact:
            metric, is_exact = _curvature(likelihood, theta, cells, counter, stretch, slope, gradient, metric), True
        matrix, limit, at = _bound_constraints(theta, bounds, stretch, moves)
        borders, border_limit = border_constraints(points, theta, cells)
        constraints = np.vstack([matrix, borders]), np.concatenate([limit, border_limit])
        step, promised, active = _step(gradient * slope, metric, damping, constraints)
        if stat - 2.0 * promised > give_up_above:
            return None
        if promised < tolerance:
            converged = damping <= 1.0
            break
        trial = _snapped(np.clip(stretch.to_theta(stretch.to_u(theta) + step), *bounds.T), at(active), bounds)
        if promised < leave and is_right and not active.any():
            theta, stat, converged = trial, stat - promised, True
            gradient, slope = (gradient * slope + metric @ step) / stretch.slope(trial), stretch.slope(trial)
            break
        new_stat, new_gradient = yield trial, cells
        rounding = 1e-13 * abs(stat) + likelihood.noise
        decrease = stat - new_stat
        is_better = _finite(new_stat, new_gradient) and decrease > 0.1 * promised - rounding
        if is_better and not is_gone(likelihood.names, gradient, new_gradient):
            new_slope = stretch.slope(trial)
            metric = _learn(
                metric, stretch.to_u(trial), stretch.to_u(trial) - stretch.to_u(theta), new_gradient * new_slope - gradient * slope
            )
            theta, stat, gradient, slope = trial, new_stat, new_gradient, new_slope
            damping = max(damping * (0.1 if decrease > 0.9 * promised else 0.5 if decrease > 0.5 * promised else 1.0), DAMPING_MIN)
            poor = poor + 1 if abs(decrease - promised) > 0.5 * promised else 0
            is_exact = is_exact and abs(decrease - promised) < RIGHT * promised
            is_right = abs(decrease - promised) < RIGHT * promised and damping <= SMALL
            if number < PATIENCE and poor >= 2 and promised > 1e-3:
                by_theta = metric_of(likelihood, theta, cells, counter, metric / np.outer(slope, slope))
                metric, poor = by_theta * np.outer(slope, slope), 0
            if watch is not None:
                watch(theta, stat)
        elif promised < 100 * tolerance + rounding:
            converged = True  # what is left drowns in rounding
            break
        else:
            damping = max(5.0 * damping, min(flattest(metric), 1e-2))
            if damping > DAMPING_MAX:
                break
    at_border = bool(active[2 * len(theta) :].any())
    metric = metric / np.outer(slope, slope)
    return Minimum(theta, stat, start, gradient, metric, cells, promised, converged, at(active), at_border)


def leave_saddles(likelihood, minimum, counter, watch=None):
    """Push parameters off bounds where the statistic does not depend on them, and keep what is better.

    At zero eccentricity the derivative by the eccentricity vanishes whatever the data say; a minimiser that lands there stays.
    """
    for i, (low, high) in enumerate(likelihood.bounds):
        at = minimum.theta[i]
        room = (high - low) if np.isfinite(high - low) else max(abs(at), 1.0)
        on_bound = min(at - low, high - at) < 1e-6 * room
        if not on_bound or abs(minimum.gradient[i]) * room > 1e-3:
            continue
        curvature = np.diag(metric_of(likelihood, minimum.theta, minimum.cells, counter))
        start = minimum.theta.copy()
        start[i] = at + (0.3 if at - low < high - at else -0.3) * room
        others = [descend(likelihood, theta, minimum.cells, counter) for theta in _turned(likelihood, start, curvature)]
        best = min(others, key=lambda other: other.stat)
        if best.stat < minimum.stat - 1e-6:
            minimum = best
            if watch is not None:
                watch(minimum.theta, minimum.stat)
    return minimum


def _turned(likelihood, theta, curvature):
    """theta as it is, and with the parameters that had no meaning so far (the orientation of a circle) spread over their range."""
    low, high = likelihood.bounds.T
    span = np.where(np.isfinite(high - low), high - low, 0.0)
    loose = (span > 0) & (theta > low) & (theta < high) & (curvature * span**2 < 1e-6)
    for part in (0.0, 0.125, 0.25, 0.375) if loose.any() else (0.0,):
        other = theta.copy()
        other[loose] = low[loose] + (theta[loose] - low[loose] + part * span[loose]) % span[loose]
        yield other
