"""PSF on the pixels of a map: containment radii, and radial profiles summed over sub-pixels and normalised.

These run once per source and compile, not per evaluation; nothing here depends on model parameters, so there is no batch axis.
"""

import numpy as np

from ._compiled import compiled

SMALLEST = float(np.finfo(np.float64).tiny)  # of sums; the inverse of a smaller one is infinite
LOOK = 16  # every so many fine radii are looked at first, to know which intervals cannot hold the nearest one


@compiled
def _containment(cumulative, e0, energy_weight, lat_weight, lon_weight, r0, rad_weight):
    """Multilinear interpolation of `cumulative` between the nodes e0, r0 and the next ones."""
    n_energy, n_rad, ny, nx = cumulative.shape
    n_e = 2 if n_energy > 1 else 1
    value = 0.0
    for e in range(n_e):
        w_e = 1.0
        if n_e == 2:
            w_e = energy_weight if e else 1.0 - energy_weight
        for r in range(min(2, n_rad)):
            w_r = w_e * (rad_weight if r else 1.0 - rad_weight)
            for y in range(ny):
                w_y = w_r
                if ny == 2:
                    w_y = w_r * (lat_weight if y else 1.0 - lat_weight)
                for x in range(nx):
                    w_x = w_y
                    if nx == 2:
                        w_x = w_y * (lon_weight if x else 1.0 - lon_weight)
                    value += cumulative[e0 + e, r0 + r, y, x] * w_x
    return value


@compiled
def containment_radius_index(cumulative, energy_low, energy_weight, lat_weight, lon_weight, rad_low, rad_weight, scale, fractions, index):
    """Index of the fine radius whose containment is nearest to each fraction; the first of equals.

    The containment is the multilinear interpolation of `cumulative` in energy, radius, latitude and longitude. Where the PSF integrates to
    less than the fraction, the containment is flat at large radii and rounding decides which radius is "nearest". The terms are therefore
    multiplied and added in the order of `scipy.interpolate.RegularGridInterpolator`, which gammapy uses, so that both pick the same one.

    Between two rad nodes the containment lies between its values there, so that most intervals cannot hold the nearest radius. Their fine
    radii are left out, with a margin far above rounding: what is left out could not have been chosen.

    Parameters
    ----------
    cumulative : float64 array[E, R, ny, nx]
        Containment up to the outer edge of each rad bin; ny and nx are 1 or 2. A single energy is not interpolated.
    energy_low : int64 array[P]
        Lower energy node of each point; -1 for a point without data, whose containment is 0 everywhere.
    energy_weight : float64 array[P]
        Weight of the upper energy node.
    lat_weight, lon_weight : float
        Weight of the upper row and column.
    rad_low : int64 array[M]
        Lower rad node of each fine radius; -1 outside of the axis, where the containment is 0.
    rad_weight : float64 array[M]
        Weight of the upper rad node.
    scale : float
        Factor from the unit of `cumulative` to 1.
    fractions : float64 array[F]
    index : int64 array[F, P]
        Output.
    """
    n_rad = cumulative.shape[1]
    node = np.empty(n_rad)  # containment at the rad nodes
    best = np.empty(fractions.size)
    limit = np.empty(fractions.size)  # a radius farther from the fraction than this cannot be nearest
    for p in range(energy_low.size):
        best[:] = np.inf
        limit[:] = np.inf
        index[:, p] = 0
        e0, w_e = energy_low[p], energy_weight[p]
        margin = 0.0
        skips = e0 >= 0 and n_rad > 1
        if skips:
            for r in range(n_rad):
                r0 = min(r, n_rad - 2)
                node[r] = _containment(cumulative, e0, w_e, lat_weight, lon_weight, r0, float(r - r0)) * scale
                margin = max(margin, 1e-9 * abs(node[r]))
            for m in range(0, rad_low.size, LOOK):
                if rad_low[m] >= 0:
                    value = _containment(cumulative, e0, w_e, lat_weight, lon_weight, rad_low[m], rad_weight[m]) * scale
                    for f in range(fractions.size):
                        limit[f] = min(limit[f], abs(value - fractions[f]))
        for m in range(rad_low.size):
            r0 = rad_low[m]
            value = 0.0
            if e0 >= 0 and r0 >= 0:
                if skips and 0.0 <= rad_weight[m] <= 1.0:
                    low, high = min(node[r0], node[r0 + 1]) - margin, max(node[r0], node[r0 + 1]) + margin
                    possible = False
                    for f in range(fractions.size):
                        least = max(low - fractions[f], fractions[f] - high)
                        possible = possible or (least < best[f] and least <= limit[f])
                    if not possible:
                        continue
                value = _containment(cumulative, e0, w_e, lat_weight, lon_weight, r0, rad_weight[m]) * scale
            for f in range(fractions.size):
                distance = abs(value - fractions[f])
                if distance < best[f]:
                    best[f] = distance
                    index[f, p] = m


@compiled
def _locate(nodes, x, start):
    """Interval of increasing `nodes` that holds x, found by walking from `start`; the outer intervals are open."""
    i = start
    last = nodes.size - 2
    while i < last and x >= nodes[i + 1]:
        i += 1
    while i > 0 and x < nodes[i]:
        i -= 1
    return i


@compiled
def profile_to_pixels(separation, nodes, profiles, planes, half, factor, quadrant, kernel):
    """Sum radial profiles over the sub-pixels of each kernel pixel; negative values count as 0.

    Parameters
    ----------
    separation : float64 array[S, S]
        Angular separation of the sub-pixel centres from the kernel's centre, on the scale of `nodes`. With `quadrant`, of the pixels from
        the centre to the upper right corner, S = (h + 1) factor; else of all pixels, S = (2 h + 1) factor.
    nodes : float64 array[N]
        Increasing.
    profiles : float64 array[L, N]
        Values at the nodes; linear between and beyond them.
    planes : int64 array[G]
        Planes of `profiles` and `kernel` to fill.
    half : int64 array[L]
        Half width of each plane in pixels; outside of it the kernel is 0.
    factor : int
        Sub-pixels per pixel and direction.
    quadrant : bool
        Whether the separations are symmetric to both axes.
    kernel : float64 array[L, n, n]
        Changed in place, n odd; must hold zeros.
    """
    n_pix = separation.shape[0] // factor
    centre = kernel.shape[1] // 2
    origin = 0 if quadrant else n_pix // 2
    sub = factor * factor
    low = np.empty(sub, dtype=np.int64)
    weight = np.empty(sub)
    interval = 0
    for py in range(n_pix):
        dy = py - origin
        for px in range(n_pix):
            dx = px - origin
            reach = max(abs(dy), abs(dx))
            for sy in range(factor):
                for sx in range(factor):
                    x = separation[py * factor + sy, px * factor + sx]
                    interval = _locate(nodes, x, interval)
                    s = sy * factor + sx
                    low[s] = interval
                    weight[s] = (x - nodes[interval]) / (nodes[interval + 1] - nodes[interval])
            for plane in planes:
                if half[plane] < reach:
                    continue
                profile = profiles[plane]
                total = 0.0
                for s in range(sub):
                    value = profile[low[s]] * (1.0 - weight[s]) + profile[low[s] + 1] * weight[s]
                    if value > 0.0:
                        total += value
                kernel[plane, centre + dy, centre + dx] = total
                if quadrant:
                    kernel[plane, centre - dy, centre + dx] = total
                    kernel[plane, centre + dy, centre - dx] = total
                    kernel[plane, centre - dy, centre - dx] = total


@compiled
def normalise_planes(kernel):
    """Divide each plane of array[L, n, n] by its sum, in place; planes that sum to 0, or to less than a normal number, become 0."""
    for plane in range(kernel.shape[0]):
        total = 0.0
        for y in range(kernel.shape[1]):
            for x in range(kernel.shape[2]):
                total += kernel[plane, y, x]
        scale = 1.0 / total if total >= SMALLEST else 0.0
        for y in range(kernel.shape[1]):
            for x in range(kernel.shape[2]):
                kernel[plane, y, x] *= scale
