"""A source's image slid over the excess around it: how much would each place explain?

The test statistic of a place is ``S ** 2 / V`` with the excess S under the image and its variance V, an approximation of the drop of the
fit statistic. All arrays stay on the backend where the likelihood runs; a few numbers come back.
"""

import numpy as np

from gpudl4.core.backend import backend_of, to_device

__all__ = ["NEAR", "SMALL", "compare", "matched_filter"]

NEAR = 1.5  # pixels that count as the present place
SMALL = 1e-30  # instead of zero in a denominator


def matched_filter(term, own, reach):
    """Test statistic of a source at each pixel of its box, and where its image has its maximum.

    Energies are added with the weights that are best for the whole box, so one image is correlated instead of one per energy. Counts under
    the source count half in the variance: without them single counts where nothing is expected would look like sources.

    Parameters
    ----------
    term : LocalTerm
        Of the source; ``static`` is the prediction of everything else.
    own : real[K, n]
        Predicted counts of the source.
    reach : float
        Pixels from the present place up to which the result is wanted; what lies beyond is not right.

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
    counts, mask = to_device(term.counts, backend), to_device(term.mask, backend).astype(own.dtype)
    others = term.static * mask
    share = own.sum(axis=1) / xp.maximum(others.sum(axis=1) + own.sum(axis=1), SMALL)
    excess = (share[:, np.newaxis] * (counts * mask - others)).sum(axis=0).reshape(box.shape)
    variance = (share[:, np.newaxis] ** 2 * (counts * mask + others) * 0.5).sum(axis=0).reshape(box.shape)
    image = (share[:, np.newaxis] * own).sum(axis=0).reshape(box.shape)
    peak = int(image.argmax())
    highest = xp.maximum(image.max(), SMALL)
    image = image / highest
    padded = tuple(fft.next_fast_len(n + int(np.ceil(reach)), real=True) for n in box.shape)
    spectra = fft.rfft2(xp.stack([excess, variance, image, image**2]), s=padded)
    row, column = divmod(peak, box.nx)
    correlated = fft.irfft2(spectra[:2] * spectra[2:].conj(), s=padded)
    signal, noise = xp.roll(correlated, (row, column), axis=(1, 2))[:, : box.ny, : box.nx]
    floor = SMALL + 1e-9 * noise.max()
    signal = xp.where(signal > 0, signal, 0.0)
    return signal**2 / xp.maximum(noise, floor), signal / xp.maximum(highest * (image**2).sum(), SMALL), (column, row)


def compare(test, brightness, peak, here, reach):
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
