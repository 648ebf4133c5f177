"""Look for sources where the counts are, before the minimiser walks and after it has arrived.

A source that starts beside its place sees no slope that leads there: its amplitude falls to zero first, and the fit ends in a minimum that
is none of interest. So each source that may move is compared with the counts around it, by correlating the excess over all other sources
with the source's own image (a matched filter). If another place within reach explains far more than the present one, the source is put
there and the amplitudes are fitted anew. A source that already has the better part of what there is stays where it is.

The test statistic of a place (`matched_filter.py`) decides where to look; what is kept is decided by the fit statistic itself.
"""

from dataclasses import dataclass

import numpy as np

from gpudl4.likelihood.build import models_of

from .fluxes import fit_fluxes, is_flux
from .matched_filter import SMALL, compare, matched_filter

__all__ = ["REACH", "Place", "better_places", "has_moved", "put", "seek"]

REACH = 0.5  # deg; how far from where a source is its place is looked for, by default
GAIN = 25.0  # test statistic that another place must add, five standard deviations
BETTER, TIMES = 1.2, 2.0  # and how many times that of the present place it must be: of a fit that has ended, and of a start
ROUNDS = 6  # of moving sources and fitting amplitudes before the minimiser starts
SAME = 0.3  # of the way to a new place; two places closer than that are one
MOST = 3  # datasets in which a source's place is looked for, those that see it best


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
    times : float
        Their ratio.
    distance : float
        Degrees between the two.
    direction : array[3]
        Unit vector (ICRS), to tell places from each other.
    """

    name: str
    theta: np.ndarray
    gain: float
    times: float
    distance: float
    direction: np.ndarray


def seek(likelihood, theta, counter, watch=None, reach=REACH):
    """Put sources where the counts are.

    Parameters
    ----------
    likelihood : Likelihood
    theta : array[P]
    counter : Counter
    watch : callable, optional
        Called with (theta, stat) after each move.
    reach : float
        How far from where a source is its place is looked for, in degrees.

    Returns
    -------
    likelihood, theta
    metric : array[P, P] or None
        Second derivatives there, if they are known.
    is_clear : bool
        Whether every source is, as far as one can see, in the best place within reach.
    """
    if not reach > 0 or not _movable(likelihood, theta):
        return likelihood, theta, None, True
    theta, metric = fit_fluxes(likelihood, theta, counter, watch)
    for _ in range(ROUNDS):
        places = better_places(likelihood, theta, reach)
        far_better = [place for place in places if place.times > TIMES]
        if not far_better:
            break
        likelihood, theta = put(likelihood, theta, far_better, counter)
        theta, metric = fit_fluxes(likelihood, theta, counter, watch)
    return likelihood, theta, metric, not places


def put(likelihood, theta, places, counter):
    """theta with sources moved to their places, and a likelihood that serves there. Of places beside each other the best is taken."""
    taken, moved = [], theta.copy()
    for place in sorted(places, key=lambda one: -one.gain):
        if all(np.rad2deg(np.linalg.norm(place.direction - other)) > SAME * place.distance for other in taken):
            taken.append(place.direction)
            changed = place.theta != theta
            moved[changed] = place.theta[changed]
            counter.moves[place.name] = counter.moves.get(place.name, 0.0) + place.distance
    if not likelihood.is_valid(moved):
        likelihood = likelihood.recompile(moved)
        counter.compiles += 1
    return likelihood, moved


def better_places(likelihood, theta, reach=REACH):
    """Places that explain more counts than those where sources are, with everything else held.

    Parameters
    ----------
    likelihood : Likelihood
    theta : array[P]
    reach : float
        In degrees.

    Returns
    -------
    list of Place
        At most one per source.
    """
    places = [_best_place(likelihood, theta, name, indices, reach) for name, indices in _movable(likelihood, theta).items()]
    return [place for place in places if place is not None]


def has_moved(likelihood, before, after, reach=REACH):
    """Whether a source has gone so far that a look around before does not hold any more."""
    for lon, lat in _movable(likelihood, after).values():
        to_degrees = likelihood.parameters[lat].unit.to("deg")
        north = (after[lat] - before[lat]) * to_degrees
        east = (after[lon] - before[lon]) * to_degrees * np.cos(np.deg2rad(after[lat] * to_degrees))
        if np.hypot(north, east) > reach / 10:
            return True
    return False


def _movable(likelihood, theta):
    """Sources with a free position and a positive amplitude: model name -> indices of its longitude and latitude in theta."""
    out = {}
    for term in likelihood.plan.terms:
        for source in term.sources:
            own = {likelihood.names[i].rsplit(".", 1)[-1]: i for i in source.spatial_pack.indices}
            dim = [i for i in source.spectral_pack.indices if is_flux(likelihood.names[i]) and not theta[i] > 0]
            if "lon_0" in own and "lat_0" in own and not dim:
                out[source.name] = own["lon_0"], own["lat_0"]
    return out


def _best_place(likelihood, theta, name, indices, reach):
    """The best place for one source if it is better than the present one, else None."""
    local = likelihood.local(theta, name)
    fluxes = [i for i in local.plan.terms[0].sources[0].spectral_pack.indices if is_flux(likelihood.names[i])]
    best, at_best = None, (0.0, 0.0)
    for term, own in _clearest(local, theta):
        sky = _Sky(likelihood, term, name, indices)
        here, pixels = sky.pixel(theta), reach / sky.scale
        there, at_here, at_there, brightness = compare(*matched_filter(term, own, pixels), here, pixels)
        if at_there - at_here > at_best[1] - at_best[0]:
            best, at_best = (sky, here, there, brightness), (at_here, at_there)
    if best is None or at_best[1] < max(BETTER * at_best[0], at_best[0] + GAIN):
        return None
    sky, here, there, brightness = best
    moved = sky.moved(theta, there)
    moved[fluxes] = np.clip(moved[fluxes] * brightness, *likelihood.bounds[fluxes].T)
    low, high = likelihood.bounds[list(indices)].T
    if np.any(moved[list(indices)] < low) or np.any(moved[list(indices)] > high):
        return None
    times = at_best[1] / max(at_best[0], SMALL)
    return Place(name, moved, float(at_best[1] - at_best[0]), float(times), sky.degrees(there - here), sky.direction(there))


def _clearest(local, theta):
    """The maps in which a source is seen best, and its predicted counts there: list of (term, real[K, n]).

    A spectrum has no pixels to look in: where a source is better placed, the maps of the same fit say.
    """
    out, maps = [], sum(_has_pixels(term) for term in local.plan.terms)
    for term, (mu, _) in zip(local.plan.terms, local.npred(theta), strict=True):
        if not _has_pixels(term):
            continue
        own = mu - term.static
        clear = float((own**2 / (mu + SMALL)).sum()) if maps > MOST else 0.0
        out.append((clear, term, own))
    return [(term, own) for _, term, own in sorted(out, key=lambda one: -one[0])[:MOST]]


def _has_pixels(term):
    """Whether a term is that of a map, not of one sky region."""
    return term.shape[1:] != (1, 1)


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

    Attributes
    ----------
    scale : float
        Degrees per pixel.
    """

    def __init__(self, likelihood, term, name, indices):
        plan = likelihood.plan
        dataset = next(d for d in plan.datasets if d.name == term.name)
        self._geom, self._indices = dataset.counts.geom.to_image(), list(indices)
        self._frame = next(m.spatial_model.frame for m in models_of(dataset, plan.models) if m.name == name)
        self._degrees = np.array([likelihood.parameters[i].unit.to("deg") for i in indices])
        self.scale = self._geom.largest_pixel_scale

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
        return float(np.hypot(*pixels) * self.scale)

    def direction(self, pixel):
        """Unit vector (ICRS) of a pixel, array[3]."""
        lon, lat = (np.deg2rad(float(np.squeeze(value))) for value in self._geom.pix_to_lonlat(*pixel, "icrs"))
        return np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
