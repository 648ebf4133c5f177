"""A small made-up analysis for the tests of kernels that work on sources: plain objects, and the same as tables and flat arrays.

A test hands the tables and arrays of a `Scene` to a kernel and computes what it expects from the objects (`Dataset`, `Source`), pixel by
pixel on whole maps: the two share nothing but the numbers. Between the pieces of every flat array lies a gap of NaN, so that a wrong
offset shows; behind the last there is none, and the checking mode of the emulator sees who reads on.

The scene has three datasets of different size (one without background, one without sources), bins evaluated singly behind the active
ones, and sources of every kind: fixed and changing templates, PSF first and last, with and without exposure, boxes that overlap and
touch the map's edge, points whose templates stick out of the box on every side or lie far away.
"""

from dataclasses import dataclass, field

import numpy as np

__all__ = ["TYPES", "Dataset", "Scene", "Source", "full"]

TYPES = [("float64", "float64"), ("float32", "float64"), ("float32", "float32")]  # cube, real
BATCH = 3
COLUMNS, BINS = 128, 4  # of the items of `fold`


@dataclass
class Dataset:
    """One dataset.

    Attributes
    ----------
    shape : (int, int)
        Of the map.
    n_true, n_reco : int
    singles : list of int
        Per reconstructed bin, number of bins evaluated singly.
    has_background : bool
    exposure : array[L, ny, nx]
    norm : array[B, K] or None
    pixels : list of int
        Map index of each column of the active region.
    first_row : int
        Of its rows of bins.
    """

    shape: tuple
    n_true: int
    n_reco: int
    singles: list
    has_background: bool = True
    exposure: np.ndarray = None
    norm: np.ndarray = None
    pixels: list = None
    first_row: int = 0


@dataclass
class Source:
    """One source in one dataset.

    Attributes
    ----------
    dataset : int
    box : (int, int, int, int)
        First row and column, rows, columns.
    last, fixed, exposed : bool
        Whether the PSF acts last, the templates never change, there is an exposure.
    support : (int, int)
        Rows and columns of its templates.
    cells : list of (int, int), or None
        Of a point, per batch entry: the lower left of the four pixels, counted from the corner of the box.
    edisp : array[L, K]
    flux : array[B, L]
    templates : array[B, planes, height, width]
    psf : array[planes, height - 1, width - 1] or None
    weights : array[B, 4] or None
        Of a point on its four pixels; 0 on those beyond the box.
    """

    dataset: int
    box: tuple
    last: bool = False
    fixed: bool = False
    exposed: bool = True
    support: tuple = None
    cells: list = None
    edisp: np.ndarray = None
    flux: np.ndarray = None
    templates: np.ndarray = None
    psf: np.ndarray = None
    weights: np.ndarray = None

    @property
    def size(self):
        """Rows and columns of the templates."""
        return self.support or self.box[2:]

    @property
    def n_planes(self):
        """Reconstructed bins where the PSF acts last, true ones else."""
        return self.edisp.shape[1 if self.last else 0]

    def corner(self, b):
        """Row and column, in the box, of the first pixel of the templates."""
        if self.cells is None:
            return 0, 0
        (row, column), (height, width) = self.cells[b], self.support
        return row - (height - 1) // 2, column - (width - 1) // 2

    def in_map(self, b, i, j):
        """Row and column in the map of pixel (i, j) of the templates, or None beyond the box."""
        (row, column), (y0, x0, ny, nx) = self.corner(b), self.box
        y, x = row + i, column + j
        return (y0 + y, x0 + x) if 0 <= y < ny and 0 <= x < nx else None


def _datasets():
    return [
        Dataset((14, 17), n_true=5, n_reco=6, singles=[2, 0, 1, 0, 3, 0]),
        Dataset((9, 8), n_true=4, n_reco=3, singles=[0, 2, 0], has_background=False),
        Dataset((5, 6), n_true=2, n_reco=2, singles=[3, 1]),
    ]


def _sources():
    return {
        "wide": Source(0, (0, 0, 14, 15), fixed=True),
        "image": Source(0, (8, 10, 6, 7)),
        "point": Source(0, (3, 4, 7, 8), support=(6, 4), cells=[(0, 6), (6, -1), (3, 3)]),
        "last point": Source(0, (2, 9, 6, 8), last=True, support=(4, 6), cells=[(-1, 7), (5, -1), (10**6, -7)]),
        "last image": Source(0, (5, 2, 5, 6), last=True),
        "bare point": Source(1, (0, 0, 9, 8), exposed=False, support=(4, 4), cells=[(-1, -1), (8, 7), (4, 4)]),
        "bare fixed": Source(1, (2, 2, 4, 5), fixed=True, exposed=False),
        "bare image": Source(1, (3, 1, 5, 5), exposed=False),
        "bare last point": Source(1, (1, 0, 7, 5), last=True, exposed=False, support=(4, 4), cells=[(2, 3), (7, -2), (3, 0)]),
    }


# Where the energy dispersion is not 0: bands that are neither straight nor monotonic, with a hole in a range, a true bin that reaches
# nothing, a reconstructed one that is never reached, and ranges that end where the matrix ends.
_BANDS = {
    (5, 6): ["011001", "011100", "000000", "000110", "010011"],
    (4, 3): ["010", "011", "000", "011"],
}


def _reach(matrix):
    """first[L], last[L], low[K], high[K] of the non-zero elements; 0, 0 where there are none."""
    found = [[(np.flatnonzero(row)[0], np.flatnonzero(row)[-1] + 1) if row.any() else (0, 0) for row in m] for m in (matrix, matrix.T)]
    return np.concatenate([np.array(f).T.ravel() for f in found])


class _Flat:
    """Pieces of a flat array, or of one per batch entry, with a gap in front of each; reading behind the last is out of bounds."""

    def __init__(self, gap, *batch):
        self._gap, self._pieces, self._batch, self._size = np.full((*batch, 2), gap), [], batch, 0

    def add(self, piece):
        """Offset of a piece."""
        piece = np.asarray(piece).reshape(*self._batch, -1)
        self._pieces += [self._gap, piece]
        self._size += 2 + piece.shape[-1]
        return self._size - piece.shape[-1]

    def array(self, dtype):
        return np.concatenate(self._pieces, axis=-1).astype(dtype)


def full(shape, dtype="float64"):
    """An array of NaN, for a kernel to write to."""
    return np.full(shape, np.nan, dtype)


@dataclass
class Scene:
    """Everything together.

    Parameters
    ----------
    cube, real : str
        Types of the flat arrays. The objects hold float64 with the values that these types can hold.
    """

    cube: str = "float64"
    real: str = "float64"
    batch: int = BATCH
    datasets: list = field(default_factory=_datasets)
    named: dict = field(default_factory=_sources)

    def __post_init__(self):
        self._rng = np.random.default_rng(11)
        self._flats = {name: _Flat(np.nan) for name in ("exposure", "fixed", "psf", "edisp")}
        self._flats |= {name: _Flat(0) for name in ("starts", "reach")}
        self._params, self._templates = _Flat(np.nan, self.batch), _Flat(np.nan, self.batch)
        self._lay_rows()
        self._lay_datasets()
        self._lay_sources()
        self.exposure = self._flats["exposure"].array(self.cube)
        self.fixed, self.psf = (self._flats[name].array(self.real) for name in ("fixed", "psf"))
        self.edisp = self._flats["edisp"].array("float64")
        self.starts, self.reach = (self._flats[name].array("int64") for name in ("starts", "reach"))
        self._lay_fold()

    # ---- what kernels get ------------------------------------------------------------------------------------------------------------
    @property
    def types(self):
        """For `twins`."""
        return {"cube": self.cube, "real": self.real}

    @property
    def sources(self):
        """The sources, in the order of the table."""
        return list(self.named.values())

    def index(self, name):
        """Row of a source in the table."""
        return list(self.named).index(name)

    @property
    def params(self):
        """float64[B, n_params]."""
        return self._params.array("float64")

    @property
    def templates(self):
        """real[B, n_templates]: random, beyond the boxes as well."""
        return self._templates.array(self.real)

    def add_params(self, piece):
        """Offset of ``piece[B, ...]`` in params."""
        return self._params.add(piece)

    def add_templates(self, piece):
        """Offset of ``piece[B, planes, height, width]`` in templates."""
        return self._templates.add(piece)

    def random(self, *shape, dtype=None):
        """Numbers between 0.1 and 1 that the type can hold, as float64."""
        return self._rng.uniform(0.1, 1, shape).astype(dtype or self.real).astype(float)

    # ---- what oracles do -------------------------------------------------------------------------------------------------------------
    def rows_of(self, d):
        """Of a dataset: (first bin, columns of the active region, number of bins) of each row."""
        dataset = self.datasets[d]
        for begin, length in self.rows[dataset.first_row : dataset.first_row + dataset.n_reco]:
            yield begin, len(dataset.pixels), length

    def on_map(self, d, values):
        """``values[N]`` of all bins as array[K, ny, nx] of a dataset; NaN outside the active region."""
        dataset = self.datasets[d]
        out = full((dataset.n_reco, dataset.shape[0] * dataset.shape[1]))
        for k, (begin, area, _) in enumerate(self.rows_of(d)):
            out[k, dataset.pixels] = values[begin : begin + area]
        return out.reshape(-1, *dataset.shape)

    def pixels_of(self, source, b):
        """Pixels of a source's templates inside its box: (i, j, y, x), the last two in the map."""
        height, width = source.size
        for i in range(height):
            for j in range(width):
                at = source.in_map(b, i, j)
                if at is not None:
                    yield i, j, *at

    # ---- layout ----------------------------------------------------------------------------------------------------------------------
    def _lay_rows(self):
        rows, begin = [], 0
        for d, dataset in enumerate(self.datasets):
            dataset.first_row = len(rows)
            boxes = [s.box for s in self.sources if s.dataset == d]
            nx = dataset.shape[1]
            dataset.pixels = sorted({y * nx + x for y0, x0, h, w in boxes for y in range(y0, y0 + h) for x in range(x0, x0 + w)})
            for singles in dataset.singles:
                rows.append((begin, len(dataset.pixels) + singles))
                begin += rows[-1][1]
        self.rows, self.n_bins = np.array(rows), begin
        self.template, self.static = self.random(begin, dtype=self.cube).astype(self.cube), self.random(begin).astype(self.real)

    def _lay_datasets(self):
        self.pixels, table, source = _Flat(0), [], 0
        self._exposures = []
        for d, dataset in enumerate(self.datasets):
            dataset.exposure = self.random(dataset.n_true, *dataset.shape, dtype=self.cube)
            active = dataset.exposure.reshape(dataset.n_true, -1)[:, dataset.pixels]
            self._exposures.append(self._flats["exposure"].add(active))
            norm = -1
            if dataset.has_background:
                dataset.norm = self._rng.uniform(0.5, 2, (self.batch, dataset.n_reco))
                norm = self.add_params(dataset.norm)
            end = source + sum(s.dataset == d for s in self.sources)
            pixels = self.pixels.add(dataset.pixels)
            table.append((dataset.first_row, dataset.n_reco, pixels, dataset.shape[1], len(dataset.pixels), norm, source, end))
            source = end
        self.datasets_table = np.array(table)
        self.pixels = self.pixels.array("int64")

    def _lay_sources(self):
        table = []
        for source in self.sources:
            dataset = self.datasets[source.dataset]
            band = np.array([[int(c) for c in row] for row in _BANDS[dataset.n_true, dataset.n_reco]])
            source.edisp = band * self.random(*band.shape, dtype="float64")
            source.flux = self.random(self.batch, dataset.n_true, dtype="float64")
            source.templates = self.random(1 if source.fixed else self.batch, source.n_planes, *source.size)
            if source.fixed:
                templates = self._flats["fixed"].add(source.templates)
                source.templates = np.repeat(source.templates, self.batch, axis=0)
            else:
                templates = self.add_templates(source.templates)
            corner = psf = -1
            if source.cells is not None:
                corner = self.add_params([(*source.corner(b), *source.cells[b]) for b in range(self.batch)])
                psf = self._lay_point(source)
            y0, x0, ny, _ = source.box
            starts = [dataset.pixels.index(y * dataset.shape[1] + x0) for y in range(y0, y0 + ny)]
            table.append(
                (
                    source.dataset,
                    source.last,
                    source.n_planes,
                    dataset.n_true,
                    dataset.n_reco,
                    *source.box,
                    self._flats["starts"].add(starts),
                    self._exposures[source.dataset] if source.exposed else -1,
                    len(dataset.pixels),
                    self._flats["edisp"].add(source.edisp),
                    self._flats["reach"].add(_reach(source.edisp)),
                    self.add_params(source.flux),
                    source.fixed,
                    templates,
                    *source.size,
                    corner,
                    psf,
                    -1,
                )
            )
        self.sources_table = np.array(table, dtype=np.int64)

    def _lay_point(self, source):
        """Weights and kernels; returns the offset of the kernels."""
        height, width = source.support
        source.psf = self.random(source.n_planes, height - 1, width - 1)
        source.weights = self.random_weights(source)
        return self._flats["psf"].add(np.pad(source.psf, ((0, 0), (1, 1), (1, 1))))

    def random_weights(self, source):
        """Weights[B, 4] of a point; 0 on pixels beyond the box."""
        weights = self.random(self.batch, 4, dtype="float64")
        for b, (y, x) in enumerate(source.cells):
            for c in range(4):
                if not (0 <= y + c // 2 < source.box[2] and 0 <= x + c % 2 < source.box[3]):
                    weights[b, c] = 0
        return weights

    def _lay_fold(self):
        """Items and members of `fold`: blocks of columns with the sources whose box has a pixel there; then the bins behind."""
        items, members = [], []
        for d, dataset in enumerate(self.datasets):
            area, nx = len(dataset.pixels), dataset.shape[1]
            for begin in range(0, area, COLUMNS):
                end, first = min(begin + COLUMNS, area), len(members)
                at = [divmod(pixel, nx) for pixel in dataset.pixels[begin:end]]
                for i, s in enumerate(self.sources):
                    y0, x0, h, w = s.box
                    if s.dataset == d and any(y0 <= y < y0 + h and x0 <= x < x0 + w for y, x in at):
                        members.append(i)
                items += [(d, k, min(k + BINS, dataset.n_reco), begin, end, first, len(members)) for k in range(0, dataset.n_reco, BINS)]
            if d == 0:  # several rows in one item: the shorter ones end earlier
                most = area + max(dataset.singles)
                items += [(d, k, min(k + BINS, dataset.n_reco), area, most, 0, 0) for k in range(0, dataset.n_reco, BINS)]
            else:
                items += [(d, k, k + 1, area, area + n, 0, 0) for k, n in enumerate(dataset.singles)]
        self.fold_items, self.members = np.array(items), np.array(members)
