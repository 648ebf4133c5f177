"""Bytes, operations and elementary functions of each hot kernel, counted from the tables it is called with.

``work("fold.fold", arguments)`` gives a `Work`; the arguments are those of a real call, by name (`benchmarks.spy`).

* Bytes are the least that has to move: every array element that an item reads or writes counts once per call, whatever caches do.
* Operations are additions, multiplications and divisions in the innermost loops, counted by hand in the source of the kernel.
* Elementary functions (logarithm, exponential) are counted apart.

Small loops around the innermost ones are left out, so what is counted is less than what is done.
"""

import math
from dataclasses import dataclass

import numpy as np

from gpudl4.kernels import tables as t

__all__ = ["COUNTED", "Work", "work"]


@dataclass(frozen=True)
class Work:
    """What a call has to do.

    Attributes
    ----------
    bytes, operations : float
    functions : dict
        Elementary function ("exp" or "log") -> number of calls.
    """

    bytes: float
    operations: float
    functions: dict


def work(name, arguments):
    """Work of one call.

    Parameters
    ----------
    name : str
        ``stem.function``, one of `COUNTED`.
    arguments : dict
        Of a call, by name.
    """
    return COUNTED[name](**arguments)


# ---- a source on its pixels --------------------------------------------------------------------------------------------------------------
def _clipped(source, params):
    """Pixels (rows, columns) of a source's templates that lie in its box."""
    height, width = source[t.S_HEIGHT], source[t.S_WIDTH]
    if source[t.S_CORNER] < 0:
        return min(height, source[t.S_NY]), min(width, source[t.S_NX])
    row, column = (int(n) for n in params[source[t.S_CORNER] : source[t.S_CORNER] + 2])
    rows = min(height, source[t.S_NY] - row) - max(0, -row)
    columns = min(width, source[t.S_NX] - column) - max(0, -column)
    return max(rows, 0), max(columns, 0)


def _bands(source, reach):
    """Number of reconstructed bins that each true bin reaches, array[L]."""
    first, n_true = source[t.S_REACH], source[t.S_TRUE]
    return reach[first + n_true : first + 2 * n_true] - reach[first : first + n_true]


def _true_bands(source, reach):
    """Number of true bins that reach each reconstructed bin, array[K]."""
    low, n_reco = source[t.S_REACH] + 2 * source[t.S_TRUE], source[t.S_RECO]
    return reach[low + n_reco : low + 2 * n_reco] - reach[low : low + n_reco]


def _folds_per_pixel(source, reach):
    """Products of template and slope (or prediction) per pixel, all planes."""
    return int(source[t.S_PLANES]) if source[t.S_LAST] else int(_bands(source, reach).sum())


def _exposed(source):
    """Whether exposure is read on every pixel."""
    return source[t.S_EXPOSURE] >= 0 and not source[t.S_LAST]


# ---- cash --------------------------------------------------------------------------------------------------------------------------------
def _cash(counts, mask, mu, template, items, slope, **_):
    batch = mu.shape[0]
    bins, seen = int((items[:, t.C_END] - items[:, t.C_BEGIN]).sum()), int(np.count_nonzero(mask))
    filled = int(np.count_nonzero(counts[mask.astype(bool)] > 0))
    moved = bins * (counts.itemsize + mask.itemsize + (template.itemsize if template.size else 0) + mu.itemsize + slope.itemsize)
    return Work(batch * moved, batch * (3 * seen + 5 * filled), {"log": batch * filled})


def _cash_value(counts, mask, mu, items, **_):
    batch = mu.shape[0]
    bins, seen = int((items[:, t.C_END] - items[:, t.C_BEGIN]).sum()), int(np.count_nonzero(mask))
    filled = int(np.count_nonzero(counts[mask.astype(bool)] > 0))
    return Work(batch * bins * (counts.itemsize + mask.itemsize + mu.itemsize), batch * (seen + 2 * filled), {"log": batch * filled})


# ---- fold --------------------------------------------------------------------------------------------------------------------------------
def _fold(sources, rows, reach, params, templates, template, static, mu, **_):
    bins = int(rows[:, t.R_LENGTH].sum())
    moved = bins * (mu.itemsize + (template.itemsize if template.size else 0) + (static.itemsize if static.size else 0))
    operations = bins
    for source in sources[sources[:, t.S_MIXED] < 0]:
        height, width = _clipped(source, params[0])
        moved += height * width * source[t.S_PLANES] * templates.itemsize
        operations += height * width * _folds_per_pixel(source, reach) * (1 if source[t.S_LAST] else 2)
    return Work(mu.shape[0] * moved, mu.shape[0] * operations, {})


def _fold_pull(sources, datasets, images, groups, items, exposure, reach, templates, slope, field, **_):
    batch, moved, operations, pixels = slope.shape[0], 0, 0, {}
    for item in items:
        source = sources[item[t.W_WHAT]]
        width, plane = source[t.S_WIDTH], item[t.W_PLANE]
        size = (min(item[t.W_Y_END], source[t.S_HEIGHT]) - min(item[t.W_Y], source[t.S_HEIGHT])) * width
        pixels[source[t.S_DATASET]] = max(pixels.get(source[t.S_DATASET], 0), source[t.S_NY] * source[t.S_NX])
        operations += size * (0 if source[t.S_LAST] else 2 * int(_bands(source, reach)[plane]))
        if item[t.W_PART] >= 0:
            moved += size * templates.itemsize
            operations += 2 * size
        if item[t.W_FIELD] >= 0:
            nx = groups[images[item[t.W_FIELD], t.I_GROUP], t.F_NX]
            moved += (item[t.W_Y_END] - item[t.W_Y]) * nx * field.itemsize + (size * exposure.itemsize if _exposed(source) else 0)
            operations += size * (2 if _exposed(source) else 1)
    moved += sum(size * datasets[d, t.D_RECO] for d, size in pixels.items()) * slope.itemsize  # each bin once
    return Work(batch * moved, batch * operations, {})


# ---- planes that are mixed ---------------------------------------------------------------------------------------------------------------
def _mixed(sources, images, exposure, reach, planes):
    """Of each mixed source: pixels, rank, bytes of planes and exposure, operations that make templates and that fold them."""
    for source in sources[sources[:, t.S_MIXED] >= 0]:
        rank, n_true = int(images[source[t.S_MIXED], t.I_RANK]), int(source[t.S_TRUE])
        pixels, has_exposure = int(source[t.S_NY] * source[t.S_NX]), int(_exposed(source))
        moved = pixels * (rank * planes.itemsize + has_exposure * n_true * exposure.itemsize)
        yield source, pixels, rank, moved, pixels * n_true * (2 * rank + has_exposure), pixels * 2 * int(_bands(source, reach).sum())


def _mix(sources, images, exposure, reach, planes, mu, **_):
    moved = operations = 0
    for source, pixels, _, read, make, fold in _mixed(sources, images, exposure, reach, planes):
        moved += read + 2 * pixels * int(source[t.S_RECO]) * mu.itemsize
        operations += make + fold
    return Work(mu.shape[0] * moved, mu.shape[0] * operations, {})


def _mix_pull(sources, images, groups, exposure, reach, slope, planes, field, **_):
    moved = operations = 0
    for source, pixels, rank, read, make, fold in _mixed(sources, images, exposure, reach, planes):
        n_true = int(source[t.S_TRUE])
        group = groups[images[source[t.S_MIXED], t.I_GROUP]]
        moved += read + pixels * int(source[t.S_RECO]) * slope.itemsize + rank * int(group[t.F_NY] * group[t.F_NX]) * field.itemsize
        operations += make + fold + pixels * n_true * (3 + 2 * rank)
    return Work(slope.shape[0] * moved, slope.shape[0] * operations, {})


# ---- points ------------------------------------------------------------------------------------------------------------------------------
def _place(sources, places, psf, exposure, params, templates, **_):
    moved = operations = 0
    for place in places:
        source = sources[place[t.P_SOURCE]]
        planes, height, width = (int(source[c]) for c in (t.S_PLANES, t.S_HEIGHT, t.S_WIDTH))
        rows, columns = _clipped(source, params[0])
        moved += planes * ((height + 1) * (width + 1) * psf.itemsize + height * width * templates.itemsize)
        moved += planes * rows * columns * exposure.itemsize if _exposed(source) else 0
        operations += planes * rows * columns * (8 if _exposed(source) else 7)
    return Work(templates.shape[0] * moved, templates.shape[0] * operations, {})


def _place_pull(sources, places, psf, exposure, reach, params, slope, **_):
    moved = operations = 0
    for place in places:
        source = sources[place[t.P_SOURCE]]
        planes, height, width = (int(source[c]) for c in (t.S_PLANES, t.S_HEIGHT, t.S_WIDTH))
        rows, columns = _clipped(source, params[0])
        size = rows * columns
        moved += planes * (height + 1) * (width + 1) * psf.itemsize + size * source[t.S_RECO] * slope.itemsize
        moved += planes * size * exposure.itemsize if _exposed(source) else 0
        operations += size * (8 * planes + (0 if source[t.S_LAST] else 2 * _folds_per_pixel(source, reach)))
        operations += planes * size if _exposed(source) else 0
    return Work(slope.shape[0] * moved, slope.shape[0] * operations, {})


# ---- Fourier -----------------------------------------------------------------------------------------------------------------------------
def _plane_rows(items):
    return items[:, t.W_Y_END] - items[:, t.W_Y]


def _load(sources, images, groups, items, exposure, reach, params, image, planes_in, **_):
    moved = operations = 0
    for item, rows in zip(items, _plane_rows(items), strict=True):
        row = images[item[t.W_WHAT]]
        source, nx = sources[row[t.I_SOURCE]], groups[row[t.I_GROUP], t.F_NX]
        size = max(0, min(item[t.W_Y_END], source[t.S_NY]) - item[t.W_Y]) * source[t.S_NX]
        moved += rows * nx * planes_in.itemsize + size * image.itemsize
        if source[t.S_LAST]:
            band = int(_true_bands(source, reach)[item[t.W_PLANE]])
            moved += size * band * exposure.itemsize if source[t.S_EXPOSURE] >= 0 else 0
            operations += size * (2 * band + 1)
    return Work(image.shape[0] * moved, image.shape[0] * operations, {})


def _spectrum_sizes(images, groups, items):
    """Complex elements of each item."""
    half = groups[images[items[:, t.W_WHAT], t.I_GROUP], t.F_NX] // 2 + 1
    return _plane_rows(items) * half


def _spread(images, groups, items, batch, transfer, spectrum_in, spectrum_out, **_):
    out = int(_spectrum_sizes(images, groups, items).sum())
    return Work(batch * out * (transfer.itemsize + spectrum_out.itemsize) + spectrum_in.nbytes, batch * 6 * out, {})


def _gather(sources, images, groups, items, batch, transfer, spectrum_out, spectrum_in, **_):
    sizes = _spectrum_sizes(images, groups, items)
    owners = sources[images[items[:, t.W_WHAT], t.I_SOURCE]]
    read = int((sizes * np.where(owners[:, t.S_LAST] == 1, 1, images[items[:, t.W_WHAT], t.I_RANK])).sum())
    moved = read * (transfer.itemsize + spectrum_out.itemsize) + int(sizes.sum()) * spectrum_in.itemsize
    return Work(batch * moved, batch * 8 * read, {})


def _unload(sources, images, items, exposure, reach, image, planes_out, templates, **_):
    moved = operations = 0
    for item in items:
        row = images[item[t.W_WHAT]]
        source = sources[row[t.I_SOURCE]]
        size = (item[t.W_Y_END] - item[t.W_Y]) * row[t.I_WIDTH]
        moved += size * (templates.itemsize + (image.itemsize if row[t.I_GROUP] < 0 else planes_out.itemsize))
        moved += size * exposure.itemsize if _exposed(source) else 0
        operations += size * (1 + _exposed(source))
    return Work(image.shape[0] * moved, image.shape[0] * operations, {})


def _back(sources, images, items, exposure, reach, image, slope, planes_in, adjoint, **_):
    moved = operations = 0
    for item in items:
        row = images[item[t.W_WHAT]]
        source = sources[row[t.I_SOURCE]]
        size = int((item[t.W_Y_END] - item[t.W_Y]) * source[t.S_NX])
        alone = row[t.I_GROUP] >= 0 and not source[t.S_LAST]
        planes, n_true = (1 if alone else int(source[t.S_RECO])), int(source[t.S_TRUE])
        moved += size * (adjoint.itemsize + planes * (slope.itemsize if row[t.I_GROUP] < 0 else planes_in.itemsize))
        operations += size * (planes if row[t.I_GROUP] >= 0 else 0)
        if alone:
            continue
        has_exposure, sums = source[t.S_EXPOSURE] >= 0, item[t.W_PART] >= 0
        moved += size * (n_true * exposure.itemsize * has_exposure + image.itemsize * sums)
        operations += size * (2 * int(_bands(source, reach).sum()) + n_true * (2 + has_exposure + 2 * sums))
    return Work(image.shape[0] * moved, image.shape[0] * operations, {})


def _transform(transforms, inner):
    planes = transforms.planes_in if inner else transforms.planes_out
    spectrum = transforms.spectrum_in if inner else transforms.spectrum_out
    operations = 0.0
    for group in transforms._groups:
        size = group[t.F_NY] * group[t.F_NX]
        number = group[t.F_IN_PLANES] if inner else group[t.F_OUT_PLANES]
        operations += 2.5 * number * size * math.log2(size)  # the customary count for real numbers
    return Work(planes.nbytes + spectrum.nbytes, transforms._batch * operations, {})


# ---- Gaussians ---------------------------------------------------------------------------------------------------------------------------
ROUND, ELLIPSE = (11, 30), (45, 95)  # operations per subpixel of (image, pullback)


def _windows(shapes, params):
    """Of each Gaussian: pixels of its window, subpixels, operations per subpixel of image and pullback."""
    for shape in shapes:
        elongated = params[0, shape[t.G_PARAMETERS] + 3] != 0
        yield int(shape[t.G_HEIGHT] * shape[t.G_WIDTH]), int(shape[t.G_SUBPIXELS]), ELLIPSE if elongated else ROUND


def _gauss_image(shapes, weight, params, image, **_):
    moved = operations = exponentials = 0
    for pixels, n_sub, per in _windows(shapes, params):
        moved += pixels * (24 * n_sub + weight.itemsize)
        operations += pixels * (n_sub * per[0] + 2)
        exponentials += pixels * n_sub
    moved += int((shapes[:, t.G_NY] * shapes[:, t.G_NX]).sum()) * image.itemsize
    return Work(image.shape[0] * moved, image.shape[0] * operations, {"exp": image.shape[0] * exponentials})


def _gauss_pullback(shapes, items, weight, params, adjoint, **_):
    moved = operations = exponentials = 0
    for i in np.unique(items[:, t.W_WHAT]):
        for pixels, n_sub, per in _windows(shapes[i : i + 1], params):
            moved += pixels * (24 * n_sub + weight.itemsize + adjoint.itemsize)
            operations += pixels * (n_sub * per[1] + 11)
            exponentials += pixels * n_sub
    return Work(adjoint.shape[0] * moved, adjoint.shape[0] * operations, {"exp": adjoint.shape[0] * exponentials})


def _contract(entries, out, **_):
    sums = entries[:, t.E_N_U] * entries[:, t.E_N_V]
    added = int((sums * entries[:, t.E_CHUNKS]).sum())
    batch = out.shape[0]
    return Work(batch * 8 * (added + int(sums.sum()) + int(entries[:, t.E_N_U].sum())), batch * (added + 2 * int(sums.sum())), {})


COUNTED = {
    "gauss.gauss_image": _gauss_image,
    "fourier.load": _load,
    "fft.to_spectrum in": _transform,
    "fourier.spread": _spread,
    "fft.to_planes out": _transform,
    "fourier.unload": _unload,
    "place.place": _place,
    "fold.fold": _fold,
    "mix.mix": _mix,
    "cash.cash": _cash,
    "cash.cash_value": _cash_value,
    "place.place_pull": _place_pull,
    "fold.fold_pull": _fold_pull,
    "mix.mix_pull": _mix_pull,
    "fft.to_spectrum out": _transform,
    "fourier.gather": _gather,
    "fft.to_planes in": _transform,
    "fourier.back": _back,
    "gauss.gauss_pullback": _gauss_pullback,
    "contract.contract": _contract,
}
