"""The way of an image through its PSF: into padded planes, times the transfer function, out into templates, and back.

The transforms themselves are SciPy's or cuFFT's, one call for all planes of one shape. Cropped to the box, a circular convolution is
exact once half a PSF kernel fits beside it: what wraps around lands outside the crop. A convolved image begins at (OFFSET_Y, OFFSET_X) in
its plane; inverse transforms are not normalised, which `unload` and `back` make good.

PSF in true energy: one plane in (the image s), L planes out, ``T[l] = E[l] (PSF[l] * s)``; or fewer, N planes Q[n] * s behind N kernels, of
which the others are combinations, ``T[l] = E[l] sum_n V[l, n] (Q[n] * s)``.
PSF in reconstructed energy: K planes in, ``s W[k]`` with ``W[k] = sum_l R[l, k] F[l] E[l]``, K planes out, ``T[k] = PSF[k] * (s W[k])``.
Without a PSF (group -1) the templates are made straight from the image.

Backwards, ``q[k]`` is the slope carried back through the PSF of reconstructed bin k (without a PSF the slope itself)::

    d stat / d s = sum_l F[l] H[l]        d stat / d F[l] = sum over pixels of s H[l]        H[l] = E[l] sum_k R[l, k] q[k]
"""

import numpy as np

from ._compiled import compiled, prange
from ._sized import sized
from .tables import (
    D_ROW,
    DOT_BEGIN,
    DOT_END,
    DOT_GRADIENT,
    DOT_IMAGE,
    DOT_PART,
    F_IN,
    F_IN_PLANES,
    F_MODES,
    F_NX,
    F_NY,
    F_OUT,
    F_OUT_PLANES,
    F_SPECTRUM_IN,
    F_SPECTRUM_OUT,
    I_FIRST_IN,
    I_FIRST_OUT,
    I_FLUX,
    I_GROUP,
    I_HEIGHT,
    I_IMAGE,
    I_OFFSET_X,
    I_OFFSET_Y,
    I_RANK,
    I_SOURCE,
    I_STRIDE,
    I_TEMPLATES,
    I_TRANSFER,
    I_WIDTH,
    R_BEGIN,
    S_AREA,
    S_COLUMN,
    S_DATASET,
    S_EDISP,
    S_EXPOSURE,
    S_LAST,
    S_NX,
    S_NY,
    S_REACH,
    S_RECO,
    S_ROW,
    S_STARTS,
    S_TRUE,
    W_CHUNKS,
    W_PART,
    W_PLANE,
    W_WHAT,
    W_Y,
    W_Y_END,
)


@compiled(inline="always")
def _plane(batch, b, before, planes, plane, size):
    """First element of a plane of parameter vector b, in an array of the planes of all groups."""
    return batch * before + (b * planes + plane) * size


@compiled
def _seen(source, flux, k, y, starts, exposure, edisp, reach, params, out):
    """One row of W[k]: exposure folded through the energy dispersion."""
    n_true, n_reco = source[S_TRUE], source[S_RECO]
    low = source[S_REACH] + 2 * n_true
    out[:] = 0.0
    for l in range(reach[low + k], reach[low + n_reco + k]):
        c = edisp[source[S_EDISP] + l * n_reco + k] * params[flux + l]
        if source[S_EXPOSURE] < 0:
            for x in range(out.shape[0]):
                out[x] += c
        else:
            e = source[S_EXPOSURE] + l * source[S_AREA] + starts[source[S_STARTS] + y]
            row = exposure[e : e + out.shape[0]]
            for x in range(out.shape[0]):
                out[x] += c * row[x]


@sized(lambda *args: args[-1].size)
def load(sources, images, groups, items, starts, exposure, edisp, reach, params, image, planes_in):
    """Images into padded planes.

    Parameters
    ----------
    sources, images, groups : int64 tables
    items : int64[n, 6]
        Rows of the padded planes of images with a PSF.
    starts, exposure, edisp, reach, params
        As for `fold`.
    image : real[B, ...]
        Shares of shapes in pixels.
    planes_in : real[...]
        Output, zero beyond the boxes.
    """
    batch, n_items = image.shape[0], items.shape[0]
    for j in prange(batch * n_items):
        b, item = j // n_items, items[j % n_items]
        row, plane = images[item[W_WHAT]], item[W_PLANE]
        source, group = sources[row[I_SOURCE]], groups[row[I_GROUP]]
        ny, nx, width = group[F_NY], group[F_NX], source[S_NX]
        first = _plane(batch, b, group[F_IN], group[F_IN_PLANES], row[I_FIRST_IN] + plane, ny * nx)
        seen = np.empty(width)
        for y in range(item[W_Y], item[W_Y_END]):
            out = planes_in[first + y * nx : first + (y + 1) * nx]
            if y >= source[S_NY]:
                out[:] = 0.0
                continue
            s = image[b, row[I_IMAGE] + y * width : row[I_IMAGE] + (y + 1) * width]
            if source[S_LAST]:
                _seen(source, row[I_FLUX], plane, y, starts, exposure, edisp, reach, params[b], seen)
                for x in range(width):
                    out[x] = s[x] * seen[x]
            else:
                for x in range(width):
                    out[x] = s[x]
            out[width:] = 0.0


@sized(lambda *args: args[-1].size)
def spread(sources, images, groups, items, batch, transfer, spectrum_in, spectrum_out):
    """Spectra of images times transfer functions.

    Parameters
    ----------
    sources, images, groups : int64 tables
    items : int64[n, 6]
        Rows of the planes behind the PSF.
    batch : int
        Number of parameter vectors, B.
    transfer : complex[...]
    spectrum_in : complex[...]
        Of the planes before the PSF.
    spectrum_out : complex[...]
        Output, of the planes behind it.
    """
    n_items = items.shape[0]
    for j in prange(batch * n_items):
        b, item = j // n_items, items[j % n_items]
        row, plane = images[item[W_WHAT]], item[W_PLANE]
        group = groups[row[I_GROUP]]
        nx = group[F_NX] // 2 + 1
        size = group[F_NY] * nx
        plane_in = row[I_FIRST_IN] + (plane if sources[row[I_SOURCE], S_LAST] else 0)
        first_in = _plane(batch, b, group[F_SPECTRUM_IN], group[F_IN_PLANES], plane_in, size)
        first_out = _plane(batch, b, group[F_SPECTRUM_OUT], group[F_OUT_PLANES], row[I_FIRST_OUT] + plane, size)
        modes = group[F_MODES]
        t = row[I_TRANSFER] + plane * group[F_NY] * modes
        for y in range(item[W_Y], item[W_Y_END]):
            out = spectrum_out[first_out + y * nx : first_out + (y + 1) * nx]
            values, factors = spectrum_in[first_in + y * nx : first_in + y * nx + modes], transfer[t + y * modes : t + (y + 1) * modes]
            for x in range(modes):
                out[x] = np.complex128(values[x]) * np.complex128(factors[x])
            out[modes:] = 0.0


@sized(lambda *args: args[-1].size)
def unload(sources, images, groups, items, starts, exposure, edisp, reach, params, image, planes_out, templates):
    """Convolved planes, cropped and times exposure, into templates.

    Parameters
    ----------
    sources, images, groups : int64 tables
    items : int64[n, 6]
        Rows of templates of images whose planes are not mixed.
    starts, exposure, edisp, reach, params, image
        As for `load`.
    planes_out : real[...]
        Convolved planes, not normalised.
    templates : real[B, ...]
        Output.
    """
    batch, n_items = image.shape[0], items.shape[0]
    for j in prange(batch * n_items):
        b, item = j // n_items, items[j % n_items]
        row, plane = images[item[W_WHAT]], item[W_PLANE]
        source, group_index = sources[row[I_SOURCE]], row[I_GROUP]
        height, width, stride = row[I_HEIGHT], row[I_WIDTH], row[I_STRIDE]
        x0, y0 = -source[S_COLUMN] % stride, -source[S_ROW] % stride
        values = np.empty(source[S_NX])  # a row of T, before it is thinned out
        for i in range(item[W_Y], item[W_Y_END]):
            y = y0 + i * stride
            if group_index < 0:
                s = image[b, row[I_IMAGE] + y * source[S_NX] : row[I_IMAGE] + (y + 1) * source[S_NX]]
                if source[S_LAST]:
                    _seen(source, row[I_FLUX], plane, y, starts, exposure, edisp, reach, params[b], values)
                    for x in range(s.shape[0]):
                        values[x] *= s[x]
                else:
                    for x in range(s.shape[0]):
                        values[x] = s[x]
            else:
                group = groups[group_index]
                ny, nx = group[F_NY], group[F_NX]
                place = (y + row[I_OFFSET_Y]) * nx + row[I_OFFSET_X]
                first = _plane(batch, b, group[F_OUT], group[F_OUT_PLANES], row[I_FIRST_OUT], ny * nx) + place
                first += plane * ny * nx
                convolved, scale = planes_out[first : first + width], 1.0 / (ny * nx)
                for x in range(width):
                    values[x] = scale * convolved[x]
            t = row[I_TEMPLATES] + (plane * height + i) * width
            out = templates[b, t : t + width]
            exposed = not source[S_LAST] and source[S_EXPOSURE] >= 0
            e = source[S_EXPOSURE] + plane * source[S_AREA] + starts[source[S_STARTS] + y] if exposed else 0
            e_row = exposure[e : e + source[S_NX]]
            if exposed and stride == 1:
                for x in range(width):
                    out[x] = values[x] * e_row[x]
                continue
            for x in range(width):
                out[x] = values[x0 + x * stride] * (e_row[x0 + x * stride] if exposed else 1.0)


@sized(lambda *args: args[-2].size)
def gather(sources, images, groups, items, batch, transfer, spectrum_out, spectrum_in):
    """Adjoint of `spread`: ``sum_planes conj(transfer) spectrum_out``, plane by plane where the PSF acts last.

    Parameters
    ----------
    sources, images, groups : int64 tables
    items : int64[n, 6]
        Rows of the planes before the PSF.
    batch : int
        Number of parameter vectors, B.
    transfer, spectrum_out : complex[...]
    spectrum_in : complex[...]
        Output.
    """
    n_items = items.shape[0]
    for j in prange(batch * n_items):
        b, item = j // n_items, items[j % n_items]
        row, plane = images[item[W_WHAT]], item[W_PLANE]
        source, group = sources[row[I_SOURCE]], groups[row[I_GROUP]]
        nx = group[F_NX] // 2 + 1
        size = group[F_NY] * nx
        first_in = _plane(batch, b, group[F_SPECTRUM_IN], group[F_IN_PLANES], row[I_FIRST_IN] + plane, size)
        first_out = _plane(batch, b, group[F_SPECTRUM_OUT], group[F_OUT_PLANES], row[I_FIRST_OUT], size)
        end = plane + (1 if source[S_LAST] else row[I_RANK])  # plane is 0 where the PSF acts first
        modes = group[F_MODES]
        total = np.empty(modes, np.complex128)
        for y in range(item[W_Y], item[W_Y_END]):
            total[:] = 0.0
            for l in range(plane, end):
                o, t = first_out + l * size + y * nx, row[I_TRANSFER] + (l * group[F_NY] + y) * modes
                values, factors = spectrum_out[o : o + modes], transfer[t : t + modes]
                for x in range(modes):
                    total[x] += np.complex128(values[x]) * np.complex128(factors[x]).conjugate()
            out = spectrum_in[first_in + y * nx : first_in + (y + 1) * nx]
            out[:modes] = total
            out[modes:] = 0.0


@compiled
def _rolled(plane, ny, nx, y, offset_x, out):
    """One row of a plane that was not normalised, from column -offset_x on, which wraps around."""
    scale = 1.0 / (ny * nx)
    wrapped = min(offset_x, out.shape[0])
    row = plane[y * nx : (y + 1) * nx]
    end = row[nx - offset_x :]
    for x in range(wrapped):
        out[x] = scale * end[x]
    rest = out[wrapped:]
    for x in range(rest.shape[0]):
        rest[x] = scale * row[x]


@sized(lambda *args: args[-2].size * 16)
def back(sources, datasets, rows, images, groups, items, starts, exposure, edisp, reach, params, image, slope, planes_in, adjoint, parts):
    """The derivative of the statistic by each pixel of an image, and, where the PSF acts last, by the flux.

    Parameters
    ----------
    sources, datasets, rows, images, groups : int64 tables
    items : int64[n, 6]
        Rows of the boxes of images. Where sums are wanted, the sum for true bin l goes to ``part + l chunks``; the part must be -1
        where the PSF acts first, for then `fold_pull` has the sums.
    starts, exposure, edisp, reach, params, image
        As for `load`.
    slope : real[B, N]
        Needed for images without a PSF.
    planes_in : real[...]
        Slopes carried back through the PSF, not normalised.
    adjoint : real[B, ...]
        Output, in the layout of `image`.
    parts : float64[B, n_parts]
        Output.
    """
    batch, n_items = image.shape[0], items.shape[0]
    for j in prange(batch * n_items):
        b, item = j // n_items, items[j % n_items]
        row = images[item[W_WHAT]]
        source = sources[row[I_SOURCE]]
        width, n_true, n_reco, reach_of = source[S_NX], source[S_TRUE], source[S_RECO], source[S_REACH]
        n_planes = n_reco if row[I_GROUP] < 0 or source[S_LAST] else 1
        q, field, total = np.empty((n_planes, width)), np.empty(width), np.empty(width)
        sums = np.zeros(n_true)
        for y in range(item[W_Y], item[W_Y_END]):
            start = starts[source[S_STARTS] + y]
            for k in range(n_planes):
                if row[I_GROUP] < 0:
                    begin = rows[datasets[source[S_DATASET], D_ROW] + k, R_BEGIN] + start
                    for x in range(width):
                        q[k, x] = slope[b, begin + x]
                else:
                    group = groups[row[I_GROUP]]
                    ny, nx = group[F_NY], group[F_NX]
                    first = _plane(batch, b, group[F_IN], group[F_IN_PLANES], row[I_FIRST_IN] + k, ny * nx)
                    _rolled(planes_in[first : first + ny * nx], ny, nx, (y - row[I_OFFSET_Y]) % ny, row[I_OFFSET_X], q[k])
            begin = row[I_IMAGE] + y * width
            out, s = adjoint[b, begin : begin + width], image[b, begin : begin + width]
            if row[I_GROUP] >= 0 and not source[S_LAST]:  # exposure and flux were applied before the PSF
                out[:] = q[0]
                continue
            total[:] = 0.0
            for l in range(n_true):
                field[:] = 0.0
                for k in range(reach[reach_of + l], reach[reach_of + n_true + l]):
                    c = edisp[source[S_EDISP] + l * n_reco + k]
                    for x in range(width):
                        field[x] += c * q[k, x]
                if source[S_EXPOSURE] >= 0:
                    e = source[S_EXPOSURE] + l * source[S_AREA] + start
                    e_row = exposure[e : e + width]
                    for x in range(width):
                        field[x] *= e_row[x]
                flux = params[b, row[I_FLUX] + l]
                for x in range(width):
                    total[x] += flux * field[x]
                if item[W_PART] >= 0:
                    for x in range(width):
                        sums[l] += s[x] * field[x]
            out[:] = total
        if item[W_PART] >= 0:
            for l in range(n_true):
                parts[b, item[W_PART] + l * item[W_CHUNKS]] = sums[l]


@sized(lambda gradients, items, adjoint, parts: adjoint.size)
def dot(gradients, items, adjoint, parts):
    """Sums over pixels of `adjoint` times derivative images that came from the host.

    Parameters
    ----------
    gradients : real[B, ...]
        Derivative images.
    items : int64[n, 5]
        Runs of pixels.
    adjoint : real[B, ...]
    parts : float64[B, n_parts]
        Output.
    """
    n_items = items.shape[0]
    for j in prange(adjoint.shape[0] * n_items):
        b, item = j // n_items, items[j % n_items]
        total = 0.0
        for i in range(item[DOT_BEGIN], item[DOT_END]):
            total += np.float64(adjoint[b, item[DOT_IMAGE] + i]) * gradients[b, item[DOT_GRADIENT] + i]
        parts[b, item[DOT_PART]] = total
