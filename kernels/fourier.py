"""Products in Fourier space: an image with every plane of a PSF, and the transpose summed over the planes.

The FFTs around them are SciPy's; these two kernels touch each complex number once where NumPy would write temporaries of the cube's size.
"""

import numba as nb

from ._sized import sized


@sized(lambda spectrum, transfer, out: out.size)
def spread(spectrum, transfer, out):
    """``out[b, l, y, x] = spectrum[b, 0 or l, y, x] transfer[l, y, x]``."""
    batch, planes, ny, nx = out.shape
    for i in nb.prange(batch * planes):
        b, l = i // planes, i % planes
        image = spectrum[b, l if spectrum.shape[1] > 1 else 0]
        for y in range(ny):
            for x in range(nx):
                out[b, l, y, x] = image[y, x] * transfer[l, y, x]


@sized(lambda field, transfer, out: field.size)
def gather(field, transfer, out):
    """``out[b, 0, y, x] = sum_l conj(transfer[l, y, x]) field[b, l, y, x]``, or plane by plane if `out` has all planes."""
    batch, planes, ny, nx = field.shape
    separate = out.shape[1] > 1
    for y in nb.prange(ny):
        for b in range(batch):
            if not separate:
                for x in range(nx):
                    out[b, 0, y, x] = 0.0
            for l in range(planes):
                for x in range(nx):
                    value = field[b, l, y, x] * transfer[l, y, x].conjugate()
                    if separate:
                        out[b, l, y, x] = value
                    else:
                        out[b, 0, y, x] += value
