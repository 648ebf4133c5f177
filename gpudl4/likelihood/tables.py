"""Lay sources and datasets out as the work tables and flat arrays of `gpudl4.kernels`. Done once, when a likelihood is compiled.

The columns are named in `gpudl4.kernels.tables`. `Layout` holds the tables (NumPy, small), where each source's numbers stand, and the flat
arrays that `data.py` makes of them on the backend that computes.
"""

from types import SimpleNamespace

import numpy as np

from gpudl4.kernels import tables as t

from .fluxes import Fluxes, lay_points
from .items import group_transforms, unload_items
from .layout import Counter, Flat, Slots, Table, row_items
from .statistic import CASH, EXTRAS, WSTAT

__all__ = ["Layout"]

RUN = 4096  # bins of an item of the statistic


class Layout:
    """Tables of one likelihood.

    Parameters
    ----------
    terms : sequence of DatasetTerm
    n_free : int
        Length of theta.
    fluxes : Fluxes, optional
        Flux points.

    Attributes
    ----------
    tables : SimpleNamespace
        int64 tables by name.
    slots : list of list of Slots
        Per term and source.
    norms, norm_slopes : list
        Per term: offset in params of its background norms, and slot -> offset of their derivatives.
    users : dict
        Images that the host makes, by ``id(source)``: offset in images, and slot -> offset of their derivative images.
    sources : list of Source
        In the order of their table.
    norm_parts : list of (int, int)
        Per row of bins: offset and number in parts of its slopes by the norm of the background.
    fluxes : SimpleNamespace
        Where flux points have their numbers, see `lay_points`.
    flats : dict of Flat
        What `Data` is made of.
    """

    def __init__(self, terms, n_free, fluxes=None):
        self.terms, self.n_free = tuple(terms), n_free
        self.sources = [source for term in self.terms for source in term.sources]
        self.params, self.parts = Counter(1), Counter()  # params[0] is the constant 1
        self.templates, self.images, self.pixels = Counter(), Counter(), Counter()
        names = "exposure", "fixed", "psf", "edisp", "reach", "starts", "vectors", "weights", "transfer", "numbers"
        self.flats = {name: Flat() for name in names}
        self._tables = {
            "sources": Table(22),
            "datasets": Table(8),
            "rows": Table(2),
            "places": Table(6),
            "images": Table(16),
            "shapes": Table(11),
            "cash_items": Table(2),
            "cash_weighted_items": Table(5),
            "wstat_items": Table(5),
            "place_items": Table(6),
            "pull_items": Table(6),
            "mix_items": Table(6),
            "unload_items": Table(6),
            "back_items": Table(6),
            "shape_items": Table(6),
            "pullback_items": Table(6),
            "dot_items": Table(5),
            "points": Table(7),
        }
        self.entries = [[] for _ in range(n_free + 1)]
        self.slots, self.norms, self.norm_slopes, self._flux = [], [], [], {}
        self._first_row = 0
        self.users = self._lay_images_of_users()
        self._lay_rows()
        for d, term in enumerate(self.terms):
            self._lay_dataset(d, term)
        self.fluxes = lay_points(Fluxes() if fluxes is None else fluxes, self)
        transforms = group_transforms(self.table("images").rows, self.sources)
        self._write_fields(transforms["groups"])
        self.tables = SimpleNamespace(**{name: table.array() for name, table in self._tables.items()}, **transforms)
        self.tables.entries = np.array([e for es in self.entries for e in es], dtype=np.int64).reshape(-1, 6)
        self.tables.ranges = np.concatenate([[0], np.cumsum([len(es) for es in self.entries])]).astype(np.int64)

    def table(self, name):
        """A growing table by name."""
        return self._tables[name]

    def _lay_rows(self):
        """Rows of bins and the items of the statistics, whose sums come first in parts: of each its values, then its slopes by norms."""
        numbers = dict.fromkeys(EXTRAS, 0)
        for term in self.terms:
            numbers[term.statistic] += sum(-(-length // RUN) for length in term.row_lengths)
        value, norm = {}, {}
        for kind, number in numbers.items():
            value[kind], norm[kind] = self.parts.take(number), self.parts.take(0 if kind == WSTAT else number)
            if number:
                self.entries[0].append((0, 1, 0, 1, value[kind], number))
        rows, begin, beside, self.norm_parts = self.table("rows"), 0, dict.fromkeys(EXTRAS, 0), []
        for term in self.terms:
            kind = term.statistic
            items, lengths = self.table(f"{kind}_items"), term.row_lengths
            number, length = len(lengths), lengths[0] if lengths else 0
            if 0 < length <= RUN and lengths.count(length) == number:  # an item each, as in spectra: no loop
                begins = range(begin, begin + length * number, length)
                rows.rows.extend((first, length) for first in begins)
                self.norm_parts.extend((norm[kind] + i, 1) for i in range(number))
                if kind == CASH:
                    items.rows.extend((first, first + length) for first in begins)
                else:
                    items.rows.extend(
                        (first, first + length, beside[kind] + first - begin, value[kind] + i, norm[kind] + i)
                        for i, first in enumerate(begins)
                    )
                value[kind] += number
                norm[kind] += number
                beside[kind] += length * number
                begin += length * number
                continue
            for length in lengths:
                rows.add(begin, length)
                runs = [(a, min(a + RUN, begin + length)) for a in range(begin, begin + length, RUN)]
                self.norm_parts.append((norm[kind], len(runs)))
                for i, run in enumerate(runs):
                    items.add(*run, *(() if kind == CASH else (beside[kind] + i * RUN, value[kind] + i, norm[kind] + i)))
                value[kind] += len(runs)
                norm[kind] += len(runs)
                beside[kind] += length
                begin += length
        self.n_bins = begin

    def _lay_dataset(self, d, term):
        n_reco, area = term.counts.shape[0], term.region.size
        first_row, self._first_row = self._first_row, self._first_row + n_reco
        norm = self.params.take(n_reco) if term.has_template else -1
        self.norms.append(norm)
        pack = term.background.pack
        slopes = {} if pack is None else {slot: self.params.take(n_reco) for slot in pack.slots}
        self.norm_slopes.append(slopes)
        for slot, index in () if pack is None else zip(pack.slots, pack.indices, strict=True):
            for k in range(n_reco):
                first, number = self.norm_parts[first_row + k]
                self.entries[1 + index].append((0, 1, slopes[slot] + k, 1, first, number))
        exposure = -1 if term.exposure is None else self.flats["exposure"].add(term.exposure)
        begin = len(self.table("sources").rows)
        own = [self._lay_source(d, term, source, exposure) for source in term.sources]
        end = len(self.table("sources").rows)
        self.slots.append(own)
        pixels = self.pixels.take(area)
        self.table("datasets").add(first_row, n_reco, pixels, term.shape[-1], area, norm, begin, end)

    def _lay_source(self, d, term, source, exposure):
        response, box = source.response, source.box
        n_true, n_reco = response.edisp.shape
        free = source.spectral_pack.slots
        # sources of one spectrum in several datasets share their flux
        key = id(source.spectral), free, source.spectral_pack.indices, n_true, response.scale
        if key not in self._flux:
            self._flux[key] = self.params.take(n_true), {slot: self.params.take(n_true) for slot in free}
        slots = Slots(*self._flux[key])
        starts = term.region.starts(box)
        planes = source.n_planes
        height, width = box.shape
        corner = psf = mixed = -1
        fixed = templates = 0
        if source.kind == "fixed":
            templates, fixed = self.flats["fixed"].add(source.templates), 1
        elif source.is_mixed:
            mixed = len(self.table("images").rows)  # the next one
        else:
            if source.kind == "point":
                height, width = source.support
                slots.corner, slots.weights = self.params.take(4), self.params.take(4)
                slots.weight_slopes = {slot: self.params.take(4) for slot in source.spatial_pack.slots}
                corner, psf = slots.corner, self.flats["psf"].add(source.psf)
            templates = self.templates.take(planes * height * width)
        index = self.table("sources").add(
            d,
            int(response.psf_last),
            planes,
            n_true,
            n_reco,
            box.y0,
            box.x0,
            box.ny,
            box.nx,
            self.flats["starts"].add(starts),
            exposure if response.has_exposure else -1,
            term.region.size,
            self.flats["edisp"].add(response.edisp),
            self.flats["reach"].add(response.reach),
            slots.flux,
            fixed,
            templates,
            height,
            width,
            corner,
            psf,
            mixed,
        )
        if source.kind == "point":
            self._lay_point(index, source, slots, templates)
        elif source.kind == "image":
            self._lay_image(index, source, slots, templates)
        else:
            self._pull_templates(index, slots, planes, height, width)
            self._flux_entries(source, slots)
        return slots

    def _flux_entries(self, source, slots):
        for slot, i in zip(source.spectral_pack.slots, source.spectral_pack.indices, strict=True):
            self.entries[1 + i].append((0, 1, slots.flux_slopes[slot], source.response.edisp.shape[0], slots.part, slots.chunks))

    def _pull_templates(self, index, slots, planes, height, width):
        """Items that sum templates times q, each plane in the same number of chunks."""
        chunks = row_items(height, width)
        slots.part, slots.chunks = self.parts.take(planes * len(chunks)), len(chunks)
        self.table("pull_items").rows.extend(
            (index, plane, y, y_end, slots.part + plane * len(chunks) + c, -1)
            for plane in range(planes)
            for c, (y, y_end) in enumerate(chunks)
        )

    def _pull_mixed(self, row, source, slots, chunks):
        """Items that sum templates times q of all planes and write the fields behind the PSF, down to the last padded row."""
        slots.part, slots.chunks = self.parts.take(source.n_planes * len(chunks)), len(chunks)
        for c, (y, y_end) in enumerate(chunks):
            end = source.padded[0] if y_end == source.box.ny else y_end
            self.table("mix_items").add(row, 0, y, end, slots.part + c, len(chunks))

    def _lay_point(self, index, source, slots, templates):
        planes, n_true = source.n_planes, source.response.edisp.shape[0]
        parts = self.parts.take(4 * planes)
        unfolded = self.parts.take(4 * n_true) if source.response.psf_last else -1
        slots.part = unfolded if source.response.psf_last else parts
        row = self.table("places").add(index, slots.weights, slots.flux, templates, parts, unfolded)
        for plane in range(planes):
            self.table("place_items").add(row, plane, 0, source.support[0], -1, 1)
        for slot, i in zip(source.spectral_pack.slots, source.spectral_pack.indices, strict=True):
            self.entries[1 + i].append((slots.weights, 4, slots.flux_slopes[slot], n_true, slots.part, 1))
        for slot, i in zip(source.spatial_pack.slots, source.spatial_pack.indices, strict=True):
            self.entries[1 + i].append((slots.weight_slopes[slot], 4, slots.flux, n_true, slots.part, 1))

    def _lay_image(self, index, source, slots, templates):
        box, last = source.box, source.response.psf_last
        n_true = source.response.edisp.shape[0]
        if source.is_gaussian:
            slots.image, slots.shape = self.images.take(box.ny * box.nx), self.params.take(10)
        else:
            slots.image, slots.slopes = self.users[id(source)]
        transfer = self.flats["transfer"].add(source.transfer) if source.has_psf else 0
        half = source.response.psf.shape[1] // 2, source.response.psf.shape[2] // 2
        mixing = self.flats["edisp"].add(source.basis.mixing) if source.is_mixed else -1
        starts = self.table("sources").rows[index][t.S_STARTS]
        row = self.table("images").add(
            index, slots.image, slots.flux, -1, 0, 0, *half, transfer, templates, 1, box.ny, box.nx, source.rank, mixing, starts
        )
        if not source.is_mixed:
            self.table("unload_items").rows.extend(unload_items(row, source.n_planes, box.ny, box.nx))
        chunks = row_items(box.ny, box.nx)
        moves = source.spatial_pack.is_free
        if source.is_mixed:
            self._pull_mixed(row, source, slots, chunks)
        elif not last:
            self._pull_templates(index, slots, n_true, box.ny, box.nx)
        else:
            slots.part, slots.chunks = self.parts.take(n_true * len(chunks)), len(chunks)
        if moves or last:
            for c, (y, y_end) in enumerate(chunks):
                self.table("back_items").add(row, 0, y, y_end, slots.part + c if last else -1, len(chunks))
        self._flux_entries(source, slots)
        if source.is_gaussian:
            shape = self._lay_gaussian(source, slots)
            if moves:
                self._lay_gaussian_sums(shape, source, slots)
        else:
            self._lay_users_sums(source, slots)

    def _lay_gaussian(self, source, slots):
        row, column, height, width = source.spatial.window
        shape = self.table("shapes").add(
            slots.image,
            source.box.nx,
            source.box.ny,
            row,
            column,
            height,
            width,
            source.spatial.vectors.shape[1],
            self.flats["vectors"].add(source.spatial.vectors),
            self.flats["weights"].add(source.spatial.weights),
            slots.shape,
        )
        slots.shape_row = shape
        for y, y_end in row_items(source.box.ny, source.box.nx):
            self.table("shape_items").add(shape, 0, y, y_end, -1, 1)
        return shape

    def _lay_gaussian_sums(self, shape, source, slots):
        _, _, height, width = source.spatial.window
        chunks = row_items(height, width)
        part = self.parts.take(5 * len(chunks))
        for c, (y, y_end) in enumerate(chunks):
            self.table("pullback_items").add(shape, 0, y, y_end, part + c, len(chunks))
        for slot, i in zip(source.spatial_pack.slots, source.spatial_pack.indices, strict=True):
            self.entries[1 + i].append((0, 1, slots.shape + 5 + slot, 1, part + slot * len(chunks), len(chunks)))

    def _lay_users_sums(self, source, slots):
        size = source.box.ny * source.box.nx
        for slot, i in zip(source.spatial_pack.slots, source.spatial_pack.indices, strict=True):
            part = self.parts.take(-(-size // RUN))
            for c, begin in enumerate(range(0, size, RUN)):
                self.table("dot_items").add(slots.image, slots.slopes[slot], begin, min(begin + RUN, size), part + c)
            self.entries[1 + i].append((0, 1, 0, 1, part, -(-size // RUN)))

    def _lay_images_of_users(self):
        """Images and derivative images that the host makes, before all others, so that one upload brings them."""
        out = {}
        for source in self.sources:
            if source.kind == "image" and not source.is_gaussian:
                size = source.box.ny * source.box.nx
                out[id(source)] = self.images.take(size), {slot: self.images.take(size) for slot in source.spatial_pack.slots}
        self.n_users = self.images.size
        return out

    def _write_fields(self, groups):
        """Let the pull items of images with a PSF write the field that goes back through it, down to the last padded row."""
        pulls, fields = self.table("pull_items").rows, []
        for i, image in enumerate(self.table("images").rows):
            source = self.sources[image[t.I_SOURCE]]
            if image[t.I_GROUP] < 0:
                continue
            ny, nx = groups[image[t.I_GROUP]][t.F_NY : t.F_NX + 1]
            for j, item in enumerate(pulls):
                if item[t.W_WHAT] == image[t.I_SOURCE]:
                    end = int(ny) if item[t.W_Y_END] == source.box.ny else item[t.W_Y_END]
                    pulls[j] = (*item[: t.W_Y_END], end, item[t.W_PART], i)
            if source.response.psf_last:
                for plane in range(source.n_planes):
                    fields.extend((image[t.I_SOURCE], plane, y, y_end, -1, i) for y, y_end in row_items(int(ny), int(nx)))
        pulls.extend(fields)
