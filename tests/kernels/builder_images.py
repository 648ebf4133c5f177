"""A small world of images for the tests of `fourier`: work tables and flat arrays, and the same data image by image.

Two datasets, eleven images in two groups of transforms and without PSF; the PSF first or last, with and without exposure, thinned out,
two images of one source, and three whose planes are mixed from others, two of which overlap. Between the pieces of the flat arrays stands
NaN, as it does in the energy dispersion where `reach` says that nothing is: whoever reads a wrong place gets it.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from gpudl4.kernels import tables as t

__all__ = ["BATCH", "World"]

BATCH = 2
GAP = 3


@dataclass(frozen=True)
class Kind:
    """What an image is like: its dataset, whether the PSF acts last, its box (row, column, ny, nx), shape of the PSF and of the padded
    planes (None: no PSF), rows of an item of work, the image whose source it shares, and the number of kernels that stand for its PSF."""

    dataset: int
    last: int
    box: tuple
    exposure: bool
    psf: tuple | None = None
    padded: tuple | None = None
    stride: int = 1
    rows: int = 5
    source_of: int | None = None
    rank: int | None = None


KINDS = (
    Kind(0, 0, (3, 5, 11, 9), True, psf=(5, 3), padded=(15, 13)),
    Kind(0, 1, (8, 4, 13, 12), True, psf=(3, 5), padded=(19, 16), rows=17),  # items of more pixels than a block has threads
    Kind(1, 0, (1, 7, 9, 10), False, psf=(3, 3), padded=(15, 13), rows=4),
    Kind(1, 1, (2, 3, 10, 2), False, psf=(5, 7), padded=(15, 13)),  # half the PSF is wider than the box
    Kind(0, 0, (4, 5, 14, 16), True, stride=3, rows=2),
    Kind(1, 1, (5, 7, 8, 7), True, stride=3, rows=9),
    Kind(1, 0, (6, 6, 17, 17), False, rows=16),
    Kind(0, 0, (3, 5, 11, 9), True, psf=(5, 3), padded=(15, 13), source_of=0),
    Kind(0, 0, (5, 6, 12, 11), True, psf=(3, 5), padded=(19, 16), rows=7, rank=2),
    Kind(1, 0, (2, 6, 8, 9), False, psf=(5, 3), padded=(15, 13), rows=6, rank=10),  # more than a thread or a loop takes at once
    Kind(0, 0, (9, 3, 7, 8), True, psf=(3, 3), padded=(15, 13), rows=3, rank=3),
)
MAPS = ((24, 25), (23, 26))
N_TRUE, N_RECO = (4, 3), (3, 4)


class Flat:
    """Arrays laid behind each other, with gaps. With a batch, arrays are [B, ...] and so is the whole."""

    def __init__(self, gap, lead=()):
        self._gap, self._lead, self.size, self._parts = gap, lead, 0, []
        self.skip(GAP)

    def skip(self, number):
        """Offset of `number` places that hold the gap's value."""
        offset = self.size
        self._parts.append(np.full((*self._lead, number), self._gap))
        self.size += number
        return offset

    def add(self, array):
        """Offset of an array; a gap follows."""
        offset = self.size
        self._parts.append(array.reshape(*self._lead, -1))
        self.size += self._parts[-1].shape[-1]
        self.skip(GAP)
        return offset

    def array(self, dtype):
        """All of it."""
        return np.concatenate(self._parts, axis=-1).astype(dtype)


def dispersion(rng, n_true, n_reco, reverse=False):
    """A band R[L, K] with NaN beside it, and its `reach`; the first true bin reaches nothing. `reverse` turns the energies around."""
    l, k = np.arange(n_true)[:, np.newaxis], np.arange(n_reco)
    is_reached = (np.abs(k / n_reco - l / n_true) < 0.4) & (l > 0)
    is_reached = is_reached[:, ::-1] if reverse else is_reached
    spans = []
    for rows in (is_reached, is_reached.T):
        any_ = rows.any(axis=1)
        spans += [np.where(any_, rows.argmax(axis=1), 0), np.where(any_, rows.shape[1] - rows[:, ::-1].argmax(axis=1), 0)]
    return np.where(is_reached, rng.uniform(0.1, 1, is_reached.shape), np.nan), np.concatenate(spans)


class World:
    """The tables ``sources, datasets, rows, images, groups``, the flat arrays, and ``each``: what every image is made of.

    Parameters
    ----------
    cube, real : str
        Types of exposure and of working arrays.
    """

    def __init__(self, cube="float64", real="float64"):
        self._rng = np.random.default_rng(5)
        self.cube, self.real, self.complex = cube, real, np.result_type(real, np.complex64)
        self._flats = {name: Flat(np.nan) for name in ("exposure", "edisp", "transfer")}
        self._flats |= {name: Flat(-1) for name in ("reach", "starts")}
        self._flats |= {name: Flat(np.nan, (BATCH,)) for name in ("params", "image", "templates")}
        self._lay_datasets()
        self._lay_groups()
        self.each = []
        for kind in KINDS:
            self.each.append(self._image(kind))
        self.sources = np.array([one.source for one in self.each if one.kind.source_of is None])
        self.images = np.array([one.row for one in self.each])
        for name, dtype in (("exposure", cube), ("edisp", float), ("reach", int), ("starts", int), ("pixels", int)):
            setattr(self, name, self._flats[name].array(dtype))
        for name, dtype in (("transfer", self.complex), ("params", float), ("image", real), ("templates", real)):
            setattr(self, name, self._flats[name].array(dtype))

    def _lay_datasets(self):
        """Active regions, rows of bins, slope, and the exposure of every dataset."""
        self._starts, self._exposure, self.datasets, rows, begin = [], [], [], [], 0
        self._flats["pixels"] = Flat(-1)
        for d, (ny, nx) in enumerate(MAPS):
            left = self._rng.integers(0, 3, ny)
            length = nx - left - self._rng.integers(0, 2, ny)
            self._starts.append(np.cumsum(length) - length - left)  # of column 0, which may lie outside
            area = length.sum()
            exposure = self._rng.uniform(1, 2, (N_TRUE[d], area)).astype(self.cube)
            self._exposure.append((exposure, self._flats["exposure"].add(exposure)))
            pixels = np.concatenate([y * nx + left[y] + np.arange(length[y]) for y in range(ny)])
            self.datasets.append([len(rows), N_RECO[d], self._flats["pixels"].add(pixels), nx, area, -1, -1, -1])
            for k in range(N_RECO[d]):
                rows.append([begin, area + k + 2])  # the active region, then bins that are evaluated singly
                begin += area + k + 2
        self.datasets, self.rows = np.array(self.datasets), np.array(rows)
        self.slope = self._rng.normal(size=(BATCH, begin)).astype(self.real)

    def _lay_groups(self):
        """Groups of transforms; sets `first`, the first plane of every image (in, out)."""
        self._group_of, groups, self._first = {}, [], {}
        for i, kind in enumerate(KINDS):
            if kind.padded is not None:
                group = self._group_of.setdefault(kind.padded, len(groups))
                if group == len(groups):
                    groups.append([0, 0, 0, 0, *kind.padded, 0, 0, kind.padded[1] // 2 + 1])
                row, planes = groups[group], (N_RECO if kind.last else N_TRUE)[kind.dataset]
                self._first[i] = row[t.F_IN_PLANES], row[t.F_OUT_PLANES]
                row[t.F_IN_PLANES] += planes if kind.last else 1
                row[t.F_OUT_PLANES] += kind.rank or planes
        sizes = np.zeros(4, int)
        for row in groups:
            row[t.F_IN], row[t.F_OUT], row[t.F_SPECTRUM_IN], row[t.F_SPECTRUM_OUT] = sizes
            real, spectrum = row[t.F_NY] * row[t.F_NX], row[t.F_NY] * (row[t.F_NX] // 2 + 1)
            n_in, n_out = row[t.F_IN_PLANES], row[t.F_OUT_PLANES]
            sizes += [real * n_in, real * n_out, spectrum * n_in, spectrum * n_out]
        self.groups, self._sizes = np.array(groups), dict(zip(("in", "out", "spectrum_in", "spectrum_out"), sizes, strict=True))

    def leave_out(self, columns):
        """Count the last columns of all spectra as 0: some of the first group, more of each that follows."""
        self.groups[:, t.F_MODES] -= columns * (1 + np.arange(len(self.groups)))
        for one in self.each:
            if one.kind.psf is not None:
                modes = self.groups[self._group_of[one.kind.padded], t.F_MODES]
                at = one.row[t.I_TRANSFER]
                kept = one.transfer[..., :modes].ravel()
                self.transfer[at : at + one.transfer.size] = np.nan
                self.transfer[at : at + kept.size] = kept
                one.transfer = one.transfer.copy()
                one.transfer[..., modes:] = 0.0

    def _image(self, kind):
        """One image: its data, and its rows of `sources` and `images`."""
        i, d, (row, column, ny, nx) = len(self.each), kind.dataset, kind.box
        n_true, n_reco = N_TRUE[d], N_RECO[d]
        one = SimpleNamespace(kind=kind, ny=ny, nx=nx, planes=n_reco if kind.last else n_true, planes_in=n_reco if kind.last else 1)
        one.rank = kind.rank or one.planes
        if kind.source_of is None:
            starts = self._starts[d][row : row + ny] + column
            one.columns = starts[:, np.newaxis] + np.arange(nx)  # of the active region
            exposure, offset = self._exposure[d]
            edisp, reach = dispersion(self._rng, n_true, n_reco, reverse=kind.rank is not None and kind.exposure)
            one.edisp = np.nan_to_num(edisp)
            one.exposure = exposure[:, one.columns].astype(float) if kind.exposure else np.ones((n_true, ny, nx))
            one.source_index = sum(other.kind.source_of is None for other in self.each)
            one.source = self._source(kind, one.planes, self._flats["starts"].add(starts), offset if kind.exposure else -1)
            one.source[t.S_EDISP], one.source[t.S_REACH] = self._flats["edisp"].add(edisp), self._flats["reach"].add(reach)
        else:
            other = self.each[kind.source_of]
            one.source = other.source
            one.columns, one.edisp, one.exposure, one.source_index = other.columns, other.edisp, other.exposure, other.source_index
        one.image = self._rng.uniform(0.5, 1.5, (BATCH, ny, nx)).astype(self.real)
        one.flux = self._rng.uniform(1, 2, (BATCH, n_true))
        one.rows = np.arange(-row % kind.stride, ny, kind.stride)
        one.template_columns = np.arange(-column % kind.stride, nx, kind.stride)
        height, width = len(one.rows), len(one.template_columns)
        group, first, one.offset, transfer, mixing = -1, (-1, -1), (0, 0), -1, -1
        if kind.psf is not None:
            group, first, one.offset = self._group_of[kind.padded], self._first[i], (kind.psf[0] // 2, kind.psf[1] // 2)
            kernels = self._rng.random((one.rank, *kind.psf))
            one.transfer = np.fft.rfft2(kernels, s=kind.padded).astype(self.complex)
            transfer = self._flats["transfer"].add(one.transfer)
            if kind.rank:
                one.mixing = self._rng.normal(size=(one.planes, one.rank))
                mixing = self._flats["edisp"].add(one.mixing)
            else:
                one.mixing = np.eye(one.planes)
            one.psf = np.einsum("ln,nyx->lyx", one.mixing, kernels)
        templates = self._flats["templates"].skip(one.planes * height * width)
        self._flats["templates"].skip(GAP)
        image, flux = self._flats["image"].add(one.image), self._flats["params"].add(one.flux)
        one.row = [one.source_index, image, flux, group, *first, *one.offset, transfer, templates, kind.stride, height, width]
        one.row += [one.rank, mixing, one.source[t.S_STARTS]]
        if kind.source_of is None:
            one.source[t.S_FLUX] = flux
        if kind.rank:
            one.source[t.S_MIXED] = i
        return one

    def _source(self, kind, planes, starts, exposure):
        row = np.full(22, -1)
        row[t.S_DATASET], row[t.S_LAST], row[t.S_PLANES] = kind.dataset, kind.last, planes
        row[t.S_TRUE], row[t.S_RECO] = N_TRUE[kind.dataset], N_RECO[kind.dataset]
        row[t.S_ROW], row[t.S_COLUMN], row[t.S_NY], row[t.S_NX] = kind.box
        row[t.S_STARTS], row[t.S_EXPOSURE], row[t.S_AREA] = starts, exposure, self.datasets[kind.dataset, t.D_AREA]
        return row

    # ---- work ----------------------------------------------------------------------------------------------------------------------
    def items(self, images, rows, planes):
        """Items of work on some images, in a random order; the first item is empty, and one is left out.

        Parameters
        ----------
        images : iterable of int
        rows, planes : callable
            Number of rows and of planes, for an image of `each`.
        """
        items = []
        for i in images:
            one = self.each[i]
            for plane in range(planes(one)):
                items += [[i, plane, y, min(y + one.kind.rows, rows(one)), -1, 1] for y in range(0, rows(one), one.kind.rows)]
        items = self._rng.permutation(items)[1:]
        return np.concatenate([[[images[0], 0, 2, 2, -1, 1]], items])

    @property
    def mixed(self):
        """Indices of images whose planes are mixed."""
        return [i for i, one in enumerate(self.each) if one.kind.rank]

    @property
    def unmixed(self):
        """Indices of the others, which have templates."""
        return [i for i, one in enumerate(self.each) if not one.kind.rank]

    def mixture(self, planes, i, b, plane):
        """What would be a template of a mixed image: ``E[l] sum_n V[l, n] g[n]``."""
        one, (y, x) = self.each[i], self.each[i].offset
        full = sum(v * self.plane(planes, "out", i, b, n).astype(float) for n, v in enumerate(one.mixing[plane]))
        return full[y : y + one.ny, x : x + one.nx] / full.size * one.exposure[plane]

    @property
    def convolved(self):
        """Indices of images with a PSF."""
        return [i for i, one in enumerate(self.each) if one.kind.psf is not None]

    # ---- planes of transforms --------------------------------------------------------------------------------------------------------
    def empty(self, side):
        """Array for all planes of a side ("in", "out", "spectrum_in", "spectrum_out") that holds NaN."""
        return np.full(BATCH * self._sizes[side], np.nan, self.complex if "spectrum" in side else self.real)

    def noise(self, side):
        """As `empty`, with random numbers."""
        array = self.empty(side)
        array.real = self._rng.normal(size=array.size)
        if "spectrum" in side:
            array.imag = self._rng.normal(size=array.size)
        return array

    def plane(self, array, side, i, b, plane):
        """Plane of image i and parameter vector b, as a view [NY, NX] of the array of a side."""
        return self.by_group(array, side)[self.images[i, t.I_GROUP]][
            b, self.images[i, t.I_FIRST_IN if "in" in side else t.I_FIRST_OUT] + plane
        ]

    def by_group(self, array, side):
        """Views [B, planes, NY, NX] of the array of a side, one for each group of transforms."""
        views, begin = [], 0
        for row in self.groups:
            nx = row[t.F_NX] // 2 + 1 if "spectrum" in side else row[t.F_NX]
            shape = BATCH, row[t.F_IN_PLANES if "in" in side else t.F_OUT_PLANES], row[t.F_NY], nx
            views.append(array[begin : begin + np.prod(shape)].reshape(shape))
            begin += np.prod(shape)
        return views

    def template(self, array, i, b, plane):
        """Template of a plane, as a view [height, width] of ``templates[B, ...]``."""
        height, width, begin = self.images[i, t.I_HEIGHT], self.images[i, t.I_WIDTH], self.images[i, t.I_TEMPLATES]
        return array[b, begin : begin + self.each[i].planes * height * width].reshape(-1, height, width)[plane]

    def box(self, array, i, b):
        """An image, as a view [ny, nx] of ``image[B, ...]``."""
        begin, one = self.images[i, t.I_IMAGE], self.each[i]
        return array[b, begin : begin + one.ny * one.nx].reshape(one.ny, one.nx)
