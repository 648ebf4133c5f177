"""Look for sources where the counts are, before the minimiser walks and after it has arrived.

A source that starts beside its place sees no slope that leads there: its amplitude falls to zero first, and the fit ends in a minimum that
is none of interest. So each source that may move is compared with the counts around it, by correlating the excess over all other sources
with the source's own image (a matched filter). If another place within `REACH` explains far more than the present one, the source is put
there and the amplitudes are fitted anew. A source that already has the better part of what there is stays where it is.

The test statistic of a place is ``S ** 2 / V`` with the excess S under the source's image and its variance V, an approximation of
the drop of the fit statistic. It decides where to look; what is kept is decided by the statistic itself.
"""

from dataclasses import dataclass

import numpy as np

from gpudl4.core.backend import backend_of, to_device
from gpudl4.likelihood.build import models_of

from .qp import constrained_step
from .scoring import RIDGE, evaluate, metric_of
from .stretch import STRETCHED

__all__ = ["REACH", "Place", "better_places", "fit_fluxes", "put", "seek"]

REACH = 0.5  # deg; how far from where a source is its place is looked for
GAIN = 25.0  # test statistic that another place must add, five standard deviations
TIMES = 2.0  # and how many times that of the present place it must be
ROUNDS = 6  # of moving sources and fitting amplitudes before the minimiser starts
DIMMEST = 1e-2  # of its value that an amplitude may lose at a time, so that it stays positive while sources are looked for
FLUX_STEPS, FLUX_TOLERANCE = 5, 1.0  # Newton steps for amplitudes, and the decrease that is not worth another
NEAR = 1.5  # pixels that count as the present place
SAME = 0.3  # of the way to a new place; two places closer than that are one
SMALL = 1e-30  # instead of zero in a denominator


@dataclass(frozen=True)
class Place:
    """A better place for a source.

    Attributes
    ----------
    name : str
        Model name.
    theta : array[P]
        Parameters with the source there.
    gain : float
        Test statistic there minus that of the present place.
    distance : float
        Degrees between the two.
    direction : array[3]
        Unit vector (ICRS), to tell places from each other.
    """

    name: str
    theta: np.ndarray
    gain: float
    distance: float
    direction: np.ndarray


def seek(likelihood, theta, counter, watch=None):
    """Put sources where the counts are.

    Parameters
    ----------
    likelihood : Likelihood
    theta : array[P]
    counter : Counter
    watch : callable, optional
        Called with (theta, stat) after each move.

    Returns
    -------
    likelihood, theta
    """
    if not _movable(likelihood, theta):
        return likelihood, theta
    theta = fit_fluxes(likelihood, theta, counter, watch)
    for _ in range(ROUNDS):
        places = better_places(likelihood, theta)
        if not places:
            break
        likelihood, theta = put(likelihood, theta, places, counter)
        theta = fit_fluxes(likelihood, theta, counter, watch)
    return likelihood, theta


def put(likelihood, theta, places, counter):
    """theta with sources moved to their places, and a likelihood that serves there. Of places beside each other the best is taken."""
    taken, moved = [], theta.copy()
    for place in sorted(places, key=lambda one: -one.gain):
        if all(np.rad2deg(np.linalg.norm(place.direction - other)) > SAME * place.distance for other in taken):
            taken.append(place.direction)
            changed = place.theta != theta
            moved[changed] = place.theta[changed]
    if not likelihood.is_valid(moved):
        likelihood = likelihood.recompile(moved)
        counter.compiles += 1
    return likelihood, moved


def fit_fluxes(likelihood, theta, counter, watch=None):
    """theta with amplitudes and norms roughly fitted, amplitudes kept positive, all else held.

    The statistic is convex in them, so a few Newton steps do; the minimiser will go on from here.
    """
    free = np.flatnonzero([_is_flux(name) for name in likelihood.names])
    low, high = likelihood.bounds[free].T.copy()
    positive = theta[free] > 0
    low[positive] = np.maximum(low[positive], DIMMEST * theta[free][positive])
    cells = likelihood.cells(theta)
    stat, gradient = evaluate(likelihood, theta, cells, counter)
    for _ in range(FLUX_STEPS):
        step, promised = _flux_step(likelihood, theta, cells, gradient, free, (low, high), counter)
        while True:
            trial = theta.copy()
            trial[free] = np.clip(theta[free] + step, low, high)
            new_stat, new_gradient = evaluate(likelihood, trial, cells, counter)
            if new_stat < stat or promised < FLUX_TOLERANCE:
                break
            step, promised = step / 4, promised / 4
        if not new_stat < stat:
            break
        drop, theta, stat, gradient = stat - new_stat, trial, new_stat, new_gradient
        if watch is not None:
            watch(theta, stat)
        if drop < FLUX_TOLERANCE:
            break
    return theta


def _flux_step(likelihood, theta, cells, gradient, free, limits, counter):
    """Newton step within limits, and the decrease it promises."""
    curvature = metric_of(likelihood, theta, cells, counter)[np.ix_(free, free)]
    alive = np.diag(curvature) > 0
    step, matrix = np.zeros(len(free)), np.vstack([-np.eye(alive.sum()), np.eye(alive.sum())])
    room = np.concatenate([(theta[free] - limits[0])[alive], (limits[1] - theta[free])[alive]])
    own, slope = curvature[np.ix_(alive, alive)], gradient[free][alive]
    scale = 1.0 / np.sqrt(np.diag(own))
    own = own * np.outer(scale, scale) + RIDGE * np.eye(len(scale))
    limited = np.isfinite(room)
    white, _ = constrained_step(slope * scale, own, matrix[limited] * scale, np.maximum(room[limited], 0.0))
    step[alive] = white * scale
    return step, float(-(slope * scale) @ white - 0.5 * white @ own @ white)


def better_places(likelihood, theta, times=TIMES):
    """Places that explain far more counts than those where sources are, with everything else held.

    Parameters
    ----------
    likelihood : Likelihood
    theta : array[P]
    times : float
        How many times the test statistic of the present place a better one must have.

    Returns
    -------
    list of Place
        At most one per source.
    """
    out = []
    for name, indices in _movable(likelihood, theta).items():
        place = _best_place(likelihood, theta, name, indices, times)
        if place is not None:
            out.append(place)
    return out


def _is_flux(name):
    return name.rsplit(".", 1)[-1] in STRETCHED


def _movable(likelihood, theta):
    """Sources with a free position and a positive amplitude: model name -> indices of its longitude and latitude in theta."""
    out = {}
    for term in likelihood.plan.terms:
        for source in term.sources:
            own = {likelihood.names[i].rsplit(".", 1)[-1]: i for i in source.spatial_pack.indices}
            dim = [i for i in source.spectral_pack.indices if _is_flux(likelihood.names[i]) and not theta[i] > 0]
            if "lon_0" in own and "lat_0" in own and not dim:
                out[source.name] = own["lon_0"], own["lat_0"]
    return out


def _best_place(likelihood, theta, name, indices, times):
    """The best place for one source if it is far better than the present one, else None."""
    local = likelihood.local(theta, name)
    fluxes = [i for i in local.plan.terms[0].sources[0].spectral_pack.indices if _is_flux(likelihood.names[i])]
    best, at_best = None, (0.0, 0.0)
    for term, (mu, _) in zip(local.plan.terms, local.npred(theta), strict=True):
        sky = _Sky(likelihood, term, name, indices)
        here = sky.pixel(theta)
        there, at_here, at_there, brightness = _compare(*_statistic(term, mu - term.static), here, sky.reach)
        if at_there - at_here > at_best[1] - at_best[0]:
            best, at_best = (sky, here, there, brightness), (at_here, at_there)
    if best is None or at_best[1] < max(times * at_best[0], at_best[0] + GAIN):
        return None
    sky, here, there, brightness = best
    moved = sky.moved(theta, there)
    moved[fluxes] = np.clip(moved[fluxes] * brightness, *likelihood.bounds[fluxes].T)
    low, high = likelihood.bounds[list(indices)].T
    if np.any(moved[list(indices)] < low) or np.any(moved[list(indices)] > high):
        return None
    return Place(name, moved, float(at_best[1] - at_best[0]), sky.degrees(there - here), sky.direction(there))


class _Sky:
    """Pixels of one dataset's map and the sky, for the position of one source in theta.

    Parameters
    ----------
    likelihood : Likelihood
    term : DatasetTerm
    name : str
        Model name.
    indices : (int, int)
        Of longitude and latitude in theta.
    """

    def __init__(self, likelihood, term, name, indices):
        plan = likelihood.plan
        dataset = next(d for d in plan.datasets if d.name == term.name)
        self._geom, self._indices = dataset.counts.geom.to_image(), list(indices)
        self._frame = next(m.spatial_model.frame for m in models_of(dataset, plan.models) if m.name == name)
        self._degrees = np.array([likelihood.parameters[i].unit.to("deg") for i in indices])
        self._scale = float(self._geom.pixel_scales.deg.max())
        self.reach = REACH / self._scale

    def pixel(self, theta):
        """Column and row in the map, array[2]."""
        lon, lat = theta[self._indices] * self._degrees
        return np.array([float(np.squeeze(value)) for value in self._geom.lonlat_to_pix(lon, lat, self._frame)])

    def moved(self, theta, pixel):
        """theta with the source at a pixel; its longitude stays within half a turn of the old one."""
        lonlat = np.array([float(np.squeeze(value)) for value in self._geom.pix_to_lonlat(*pixel, self._frame)])
        old, out = theta[self._indices] * self._degrees, theta.copy()
        lonlat[0] = old[0] + (lonlat[0] - old[0] + 180.0) % 360.0 - 180.0
        out[self._indices] = lonlat / self._degrees
        return out

    def degrees(self, pixels):
        """Length of a step in pixels, in degrees."""
        return float(np.hypot(*pixels) * self._scale)

    def direction(self, pixel):
        """Unit vector (ICRS) of a pixel, array[3]."""
        lon, lat = (np.deg2rad(float(np.squeeze(value))) for value in self._geom.pix_to_lonlat(*pixel, "icrs"))
        return np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _statistic(term, own):
    """Test statistic of a source at each pixel of its box, and where its image has its maximum.

    Energies are added with the weights that are best for the whole box, so one image is correlated instead of one per energy. Counts under
    the source count half in the variance: without them single counts where nothing is expected would look like sources.

    Parameters
    ----------
    term : LocalTerm
        Of the source; ``static`` is the prediction of everything else.
    own : real[K, n]
        Predicted counts of the source.

    Returns
    -------
    test : real[ny, nx]
        For the source's image shifted by whole pixels such that its maximum lies on each pixel.
    brightness : real[ny, nx]
        How many times brighter than now the source would be there.
    peak : (int, int)
        Column and row of that maximum.
    """
    backend = backend_of(own)
    xp, fft, box = backend.xp, backend.fft, term.box
    mask = term.mask.astype(own.dtype)
    others = term.static * mask
    share = own.sum(axis=1) / xp.maximum(others.sum(axis=1) + own.sum(axis=1), SMALL)
    excess = (share[:, np.newaxis] * (term.counts * mask - others)).sum(axis=0).reshape(box.shape)
    variance = (share[:, np.newaxis] ** 2 * (term.counts * mask + others) * 0.5).sum(axis=0).reshape(box.shape)
    image = (share[:, np.newaxis] * own).sum(axis=0).reshape(box.shape)
    peak = int(image.argmax())
    highest = xp.maximum(image.max(), SMALL)
    image = image / highest
    padded = tuple(fft.next_fast_len(2 * n, real=True) for n in box.shape)

    def correlated(a, b):
        product = fft.rfft2(a, s=padded) * fft.rfft2(b, s=padded).conj()
        return fft.irfft2(product, s=padded)

    row, column = divmod(peak, box.nx)
    spread = [xp.roll(correlated(a, b), (row, column), axis=(0, 1))[: box.ny, : box.nx] for a, b in ((excess, image), (variance, image**2))]
    signal, noise = spread
    floor = SMALL + 1e-9 * noise.max()
    signal = xp.where(signal > 0, signal, 0.0)
    return signal**2 / xp.maximum(noise, floor), signal / xp.maximum(highest * (image**2).sum(), SMALL), (column, row)


def _compare(test, brightness, peak, here, reach):
    """The best place within reach.

    Parameters
    ----------
    test, brightness : real[ny, nx]
    peak : (int, int)
        Column and row for which the test statistic at a pixel means the source as it is.
    here : array[2]
        Column and row of the source.
    reach : float
        Pixels.

    Returns
    -------
    there : array[2]
        Column and row of the source in the best place.
    at_here, at_there : float
        Test statistics.
    times_brighter : float
    """
    xp = backend_of(test).xp
    y, x = np.mgrid[: test.shape[0], : test.shape[1]]
    distance = np.hypot(x - peak[0], y - peak[1])
    near, far = (to_device(distance <= r, backend_of(test)) for r in (NEAR, reach))
    at_here = float(xp.where(near, test, 0.0).max())
    inside = xp.where(far, test, 0.0)
    row, column = divmod(int(inside.argmax()), test.shape[1])
    return here + (column - peak[0], row - peak[1]), at_here, float(inside[row, column]), float(brightness[row, column])
