"""How smooth images are: their largest values and Laplacians, and what of their spectra lies in cells of modes.

For the choice of few PSF kernels in place of many (`gpudl4/likelihood/lowrank.py`). Host matters only.
"""

import math

import numpy as np

from ._compiled import prange
from ._sized import sized


@sized(lambda images, _: images.size)
def extremes(images, out):
    """Largest magnitudes of images and of their Laplacians, NaN left out.

    Parameters
    ----------
    images : float64[n, ny, nx]
    out : float64[n, ny, 2]
        Output per row; the Laplacian of the rows and columns at the border is not looked at.
    """
    n, ny, nx = images.shape
    for j in prange(n * ny):
        image, y = images[j // ny], j % ny
        row = image[y]
        above, below = image[max(y - 1, 0)], image[min(y + 1, ny - 1)]
        largest = bend = 0.0
        for x in range(nx):
            value = abs(row[x])
            largest = value if value > largest else largest
        if 0 < y < ny - 1:
            for x in range(1, nx - 1):
                value = abs(row[x - 1] + row[x + 1] + above[x] + below[x] - 4.0 * row[x])
                bend = value if value > bend else bend
        out[j // ny, y, 0], out[j // ny, y, 1] = largest, bend


@sized(lambda spectra, *_: 4 * spectra.size)
def gather_cells(spectra, rows, first, columns, times, out):
    """Sums of magnitudes of modes over cells.

    Parameters
    ----------
    spectra : complex128[n, ny, m]
    rows : int64[ny]
        Rows of modes, sorted by the row of cells they belong to.
    first : int64[cells_y + 1]
        Where the rows of each row of cells begin among them.
    columns : int64[m]
        Column of cells of each column of modes.
    times : float64[m]
        What the magnitudes are multiplied by.
    out : float64[n, cells_y, cells_x]
        Output.
    """
    n, n_rows, m = spectra.shape[0], out.shape[1], spectra.shape[2]
    for j in prange(n * n_rows):
        i, cell = j // n_rows, j % n_rows
        total = np.zeros(m)
        for r in range(first[cell], first[cell + 1]):
            row = spectra[i, rows[r]]
            for x in range(m):
                total[x] += math.sqrt(row[x].real * row[x].real + row[x].imag * row[x].imag)
        own = out[i, cell]
        own[:] = 0.0
        for x in range(m):
            own[columns[x]] += times[x] * total[x]
