"""How each CUDA kernel is launched: grid, block, sizes and shared memory, from the arguments of the call.

A rule takes what its Numba twin takes and returns ``(grid, block, sizes, shared)``: two tuples of integers, the integers that the kernel
wants after its arguments (the Numba twin reads them off the shapes), and the bytes of dynamic shared memory. Rules look at shapes only:
they run at every launch. A 0 in the grid means that there is nothing to do, and nothing is launched.
"""

__all__ = ["RULES", "THREADS"]

THREADS = 256  # threads of a block, the same as in common.cuh
BLOCK = (THREADS,)
COLUMNS = (128,)  # threads of `fold`: columns of an item
UNFOLD = (64,)  # threads of `place_unfold`: there are few sums


def _blocks(n):
    """Blocks that hold one thread per element."""
    return -(-n // THREADS)


# ---- cash: one block per item and row of the batch; one thread per bin for the weights ----------------------------------------------
def _cash(counts, mask, mu, template, items, slope, parts):
    return (items.shape[0], mu.shape[0]), BLOCK, (mu.shape[1], parts.shape[1]), 0


def _cash_value(counts, mask, mu, items, parts):
    return (items.shape[0], mu.shape[0]), BLOCK, (mu.shape[1], parts.shape[1]), 0


def _cash_weights(counts, mask, mu, expected, observed):
    return (_blocks(mu.shape[1]),), BLOCK, (mu.shape[1],), 0


# ---- cash with weights, wstat: one block per item and row of the batch ------------------------------------------------------------------
def _weighted(counts, weight, mu, template, items, slope, parts):
    return (items.shape[0], mu.shape[0]), BLOCK, (mu.shape[1], parts.shape[1]), 0


def _weighted_value(counts, weight, mu, items, parts):
    return (items.shape[0], mu.shape[0]), BLOCK, (mu.shape[1], parts.shape[1]), 0


def _weighted_weights(counts, weight, mu, items, expected, observed):
    return (items.shape[0],), BLOCK, (), 0


def _wstat(counts, counts_off, alpha, mask, mu, items, slope, parts):
    return (items.shape[0], mu.shape[0]), BLOCK, (mu.shape[1], parts.shape[1]), 0


def _wstat_value(counts, counts_off, alpha, mask, mu, items, parts):
    return (items.shape[0], mu.shape[0]), BLOCK, (mu.shape[1], parts.shape[1]), 0


def _wstat_weights(counts, counts_off, alpha, mask, mu, items, expected, observed):
    return (items.shape[0],), BLOCK, (), 0


# ---- cstat: one block per item and row of the batch; flux points: one thread per point and row of the batch ------------------------------
def _cstat(counts, mask, mu, floor, items, slope, parts):
    return (items.shape[0], mu.shape[0]), BLOCK, (mu.shape[1], parts.shape[1]), 0


def _cstat_value(counts, mask, mu, floor, items, parts):
    return (items.shape[0], mu.shape[0]), BLOCK, (mu.shape[1], parts.shape[1]), 0


def _flux_points(points, numbers, params, parts):
    return (_blocks(points.shape[0]), params.shape[0]), BLOCK, (points.shape[0], params.shape[1], parts.shape[1]), 0


def _flux_points_weights(points, numbers, params, expected, observed):
    return (_blocks(points.shape[0]), params.shape[0]), BLOCK, (points.shape[0], params.shape[1]), 0


# ---- fold: gathered by one block of a thread per column for each item; transposed by one block per item ------------------------------
def _fold(sources, datasets, rows, items, members, pixels, starts, edisp, reach, params, fixed, templates, template, static, mu):
    sizes = params.shape[1], templates.shape[1], static.shape[0], mu.shape[1]
    return (items.shape[0], mu.shape[0]), COLUMNS, sizes, 0


def _fold_pull(
    sources, datasets, rows, images, groups, items, starts, exposure, edisp, reach, params, fixed, templates, slope, field, parts
):
    sizes = params.shape[1], templates.shape[1], slope.shape[1], parts.shape[1]
    return (items.shape[0], slope.shape[0]), BLOCK, sizes, 0


# ---- place: one block per item, one per place to unfold ------------------------------------------------------------------------------
def _place(sources, places, items, starts, psf, exposure, edisp, reach, params, templates):
    return (items.shape[0], templates.shape[0]), BLOCK, (params.shape[1], templates.shape[1]), 0


def _place_pull(sources, datasets, places, items, rows, starts, psf, exposure, edisp, reach, params, slope, parts):
    return (items.shape[0], slope.shape[0]), BLOCK, (params.shape[1], slope.shape[1], parts.shape[1]), 0


def _place_unfold(sources, places, starts, exposure, edisp, reach, params, parts):
    return (places.shape[0], parts.shape[0]), UNFOLD, (params.shape[1], parts.shape[1]), 0


# ---- contract: one block per output --------------------------------------------------------------------------------------------------
def _contract(entries, ranges, params, parts, out):
    return (out.shape[1], out.shape[0]), BLOCK, (params.shape[1], parts.shape[1]), 0


# ---- fisher: one block per sum, as far as shapes tell; each goes on in steps of the grid -----------------------------------------------
def _products(sources, datasets, rows, blocks, pairs, starts, weights, jacobian, parts):
    return (pairs.shape[0], 8, 8), BLOCK, (), 0


def _crosses(sources, datasets, rows, blocks, ranges, starts, weights, template, jacobian, parts):
    return (blocks.shape[0], 64), BLOCK, (), 0


def _squares(rows, weights, template, parts):
    return (rows.shape[0],), BLOCK, (), 0


# ---- fourier: one block per item and row of the batch ----------------------------------------------------------------------------------
def _load(sources, images, groups, items, starts, exposure, edisp, reach, params, image, planes_in):
    return (items.shape[0], image.shape[0]), BLOCK, (params.shape[1], image.shape[1]), 0


def _spread(sources, images, groups, items, batch, transfer, spectrum_in, spectrum_out):
    return (items.shape[0], batch), BLOCK, (), 0


def _unload(sources, images, groups, items, starts, exposure, edisp, reach, params, image, planes_out, templates):
    return (items.shape[0], image.shape[0]), BLOCK, (params.shape[1], image.shape[1], templates.shape[1]), 0


def _gather(sources, images, groups, items, batch, transfer, spectrum_out, spectrum_in):
    return (items.shape[0], batch), BLOCK, (), 0


def _back(sources, datasets, rows, images, groups, items, starts, exposure, edisp, reach, params, image, slope, planes_in, adjoint, parts):
    sizes = params.shape[1], image.shape[1], slope.shape[1], parts.shape[1]
    return (items.shape[0], image.shape[0]), BLOCK, sizes, 0


def _dot(gradients, items, adjoint, parts):
    return (items.shape[0], adjoint.shape[0]), BLOCK, (gradients.shape[1], adjoint.shape[1], parts.shape[1]), 0


# ---- gauss: one block per item and row of the batch ------------------------------------------------------------------------------------
def _gauss_image(shapes, items, vectors, weight, params, image):
    return (items.shape[0], image.shape[0]), BLOCK, (params.shape[1], image.shape[1]), 0


def _gauss_gradient(shapes, slopes, items, vectors, weight, params, image):
    return (items.shape[0], image.shape[0]), BLOCK, (params.shape[1], image.shape[1]), 0


def _gauss_pullback(shapes, items, vectors, weight, params, adjoint, parts):
    return (items.shape[0], adjoint.shape[0]), BLOCK, (params.shape[1], adjoint.shape[1], parts.shape[1]), 0


# ---- mix: as fold; transposed by one block per item and row of the batch -----------------------------------------------------------------
def _mix(sources, datasets, rows, images, groups, items, members, pixels, starts, exposure, edisp, reach, params, planes, mu):
    return (items.shape[0], mu.shape[0]), COLUMNS, (params.shape[1], mu.shape[1]), 0


def _mix_pull(sources, datasets, rows, images, groups, items, starts, exposure, edisp, reach, params, slope, planes, field, parts):
    return (items.shape[0], slope.shape[0]), BLOCK, (params.shape[1], slope.shape[1], parts.shape[1]), 0


RULES = {
    "cash": {"cash": _cash, "cash_value": _cash_value, "weights": _cash_weights},
    "cash_weighted": {"cash": _weighted, "cash_value": _weighted_value, "weights": _weighted_weights},
    "contract": {"contract": _contract},
    "cstat": {"cstat": _cstat, "cstat_value": _cstat_value},
    "fisher": {"products": _products, "crosses": _crosses, "squares": _squares},
    "flux_points": {"flux_points": _flux_points, "flux_points_value": _flux_points, "flux_points_weights": _flux_points_weights},
    "fold": {"fold": _fold, "fold_pull": _fold_pull},
    "fourier": {"load": _load, "spread": _spread, "unload": _unload, "gather": _gather, "back": _back, "dot": _dot},
    "gauss": {"gauss_image": _gauss_image, "gauss_gradient": _gauss_gradient, "gauss_pullback": _gauss_pullback},
    "mix": {"mix": _mix, "mix_pull": _mix_pull},
    "place": {"place": _place, "place_pull": _place_pull, "place_unfold": _place_unfold},
    "wstat": {"wstat": _wstat, "wstat_value": _wstat_value, "wstat_weights": _wstat_weights},
}
