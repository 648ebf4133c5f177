"""Tables for derivative images: d mu / d theta_i of every source on its box, made by the same kernels as the prediction itself.

A derivative image is a sum of *pieces*. A spectral parameter folds the source's own templates with the derivative of its flux; a position
or a shape folds templates made from derivatives of the four weights or of the image. Where the PSF acts last, the flux is part of the
templates, so spectral pieces need templates of their own too. Folding a piece is folding a source into a dataset whose only pixels are
the box.

New templates, or planes that stand for them, are made in *passes*, so that a few large shapes with many parameters need the memory of one
at a time and not of all. Where no templates are large, the images themselves are made in *bands* (`bands.py`). `DerivativeTables` extends
a `Layout`: its images come behind the layout's own, and params are the same.
"""

from types import SimpleNamespace

import numpy as np

from gpudl4.kernels import tables as t

from . import bands
from .bands import bands_of, whole
from .image_source import COARSE_STRIDE
from .items import fold_items, group_transforms, unload_items
from .layout import Counter, Table, row_items

__all__ = ["DerivativeTables"]

PASS = 2_000_000  # elements of new templates or planes of a pass; one that is larger on its own is a pass of its own


class DerivativeTables:
    """Tables for the derivative images of all sources of a layout.

    Parameters
    ----------
    layout : Layout
    exact : bool
        If not, large shapes are thinned out and go without PSF: good enough to steer a minimiser.
    on_host : bool
        Whether the Numba twins will run.
    leave_out : set of int
        Numbers of terms that are not wanted.

    Attributes
    ----------
    tables : SimpleNamespace
        int64 tables by name.
    passes : list of SimpleNamespace
        Tables of each pass; ``own_templates``: whether it folds the layout's templates or its own, of which there are ``n_templates``.
    bands : list of Band
        If there are several, all passes are made before the first band.
    starts : int64[...]
        Of the layout, and behind them those of the boxes.
    n_images, n_jacobian, n_parts : int
        Sizes; `n_jacobian` is that of the largest band.
    blocks : list of tuple
        Per source: term, the term's source number, block of derivative images.
    pairs : list of tuple
        First block, second block, offset of their products in parts.
    shares_transforms : bool
        Whether passes whose transforms are those of the layout may use its planes. Where the PSF acts last, sums with the slope read the
        planes of the pull afterwards.
    mixed : dict
        (term, source number, slot) -> (offset in parts, chunks) of the derivative by flux of a derivative image.
    """

    def __init__(self, layout, exact, on_host, leave_out=()):
        self._layout, self._exact, self._on_host = layout, exact, on_host
        self._tables = {"slopes": Table(3), "slope_items": Table(6), "blocks": Table(8), "pairs": Table(3)}
        self._own, self._open = _Pass(own_templates=True), []
        self._images, self._jacobian, self._parts = Counter(layout.images.size), Counter(), Counter()
        self._starts = [layout.flats["starts"].host()]
        self._n_starts = len(self._starts[0])
        self._pixels, self._n_pixels = [np.zeros(0, dtype=np.int64)], 0
        self.blocks, self.mixed = [], {}
        index = 0
        for d, term in enumerate(layout.terms):
            for j, source in enumerate(term.sources):
                if d not in leave_out:
                    self._lay_source(index, d, j, source)
                index += 1
        self._lay_pairs()
        self.cross_parts = self._take_crosses()
        self.starts = np.concatenate(self._starts)
        self.tables = SimpleNamespace(**{name: table.array() for name, table in self._tables.items()})
        self.tables.cross_ranges = np.array([*self.cross_parts, 0], dtype=np.int64)
        self.tables.pixels = np.concatenate(self._pixels)
        self.passes = [one.finished(self.starts, layout.sources, on_host) for one in (self._own, *self._open) if one.lengths]
        self.shares_transforms = not any(len(one.mixed_back_items) for one in self.passes)
        self.bands = self._bands()
        self.n_images, self.n_parts = self._images.size, self._parts.size
        self.n_jacobian = max(band.n_jacobian for band in self.bands)

    def _bands(self):
        """One band, or several where memory is short and what passes make can all be kept."""
        blocks, n_jacobian = self.tables.blocks, self._jacobian.size
        kept = sum(one.n_templates for one in self.passes)
        band, most = (bands.BAND, PASS) if self._on_host else (bands.DEVICE_BAND, bands.DEVICE_BAND)
        if self._exact and kept <= most:
            n_reco = np.array([self._layout.terms[d].shape[0] for d, _, _ in self.blocks])
            return bands_of(blocks, self.passes, n_jacobian, n_reco, band)
        return [whole(blocks, self.passes, n_jacobian)]

    def _lay_source(self, index, d, j, source):
        """Block, pseudo-datasets and pieces of one source."""
        layout = self._layout
        row, slots = layout.table("sources").rows[index], layout.slots[d][j]
        is_coarse = not self._exact and source.kind == "image" and source.is_large
        stride = COARSE_STRIDE if is_coarse else 1
        box = source.box.every(stride)
        n_reco, size = row[t.S_RECO], box.ny * box.nx
        first = self._jacobian.take(len(source.indices) * n_reco * size)
        self.blocks.append((d, j, self._tables["blocks"].add(index, first, len(source.indices), box.y0, box.x0, box.ny, box.nx, stride)))
        starts, self._n_starts = self._n_starts, self._n_starts + box.ny
        self._starts.append(np.arange(box.ny, dtype=np.int64) * box.nx)
        pixels, self._n_pixels = self._n_pixels, self._n_pixels + size
        self._pixels.append(np.arange(size, dtype=np.int64))
        first_slope = len(self._tables["slopes"].rows)
        on_box = {t.S_ROW: 0, t.S_COLUMN: 0, t.S_NY: box.ny, t.S_NX: box.nx, t.S_STARTS: starts}
        for i, theta_index in enumerate(source.indices):
            variations = _variations(source, slots, theta_index)
            needs_new = row[t.S_LAST] or is_coarse or any(weights is not None or image is not None for _, weights, image, _ in variations)
            planes = source.rank if source.is_mixed and self._exact else source.n_planes
            one = self._pass_for(planes * size * len(variations)) if needs_new else self._own
            own = len(one.tables["datasets"].rows)
            begin, first_row = len(one.tables["pieces"].rows), len(one.tables["rows"].rows)
            for k in range(n_reco):
                one.tables["rows"].add(first + (i * n_reco + k) * size, size)
            one.lengths.append([size] * n_reco)
            one.planes_of.append((len(self.blocks) - 1, i))
            for flux, weights, image, slot in variations:
                changes = {**on_box, t.S_DATASET: own, t.S_FLUX: flux}
                if image == "slope":
                    image = self._slope_image(source, slots, slot)
                if needs_new and source.is_mixed and self._exact:
                    changes |= {t.S_MIXED: self._image_of(one, index, slots.image if image is None else image, flux, 0, stride, box)}
                    if image is not None:
                        self.mixed[d, j, slot] = self._lay_sums(one, changes[t.S_MIXED], row, source)
                elif needs_new:
                    templates = self._templates_of(one, index, source, slots, flux, weights, image, box, stride)
                    changes |= {t.S_FIXED: 0, t.S_TEMPLATES: templates, t.S_MIXED: -1}
                    if is_coarse:
                        changes |= {t.S_HEIGHT: box.ny, t.S_WIDTH: box.nx}
                    if image is not None and self._exact:
                        self.mixed[d, j, slot] = self._lay_mixed(one, index, row, source, image, templates)
                one.tables["pieces"].add(*_changed(row, changes))
            one.tables["datasets"].add(first_row, n_reco, pixels, box.nx, size, -1, begin, len(one.tables["pieces"].rows))
        if (more := len(self._tables["slopes"].rows) - first_slope - 1) >= 0:  # all of this source's derivative images at once
            for y, y_end in row_items(source.box.ny, source.box.nx):
                self._tables["slope_items"].add(first_slope, more, y, y_end, -1, 1)

    def _pass_for(self, size):
        """The pass that new templates of some size go to."""
        if not self._open or (self._open[-1].size and self._open[-1].size + size > PASS):
            self._open.append(_Pass(own_templates=False))
        self._open[-1].size += size
        return self._open[-1]

    def _templates_of(self, one, index, source, slots, flux, weights, image, box, stride):
        """Offset of new templates: of a point with other weights or flux, or of another image or flux."""
        planes = source.n_planes
        if source.kind == "point":
            height, width = source.support
            templates = one.templates.take(planes * height * width)
            place = one.tables["places"].add(index, slots.weights if weights is None else weights, flux, templates, -1, -1)
            for plane in range(planes):
                one.tables["place_items"].add(place, plane, 0, height, -1, 1)
            return templates
        templates = one.templates.take(planes * box.ny * box.nx)
        new = self._image_of(one, index, slots.image if image is None else image, flux, templates, stride, box)
        one.tables["unload_items"].rows.extend(unload_items(new, planes, box.ny, box.nx))
        return templates

    def _image_of(self, one, index, image, flux, templates, stride, box):
        """Row in a pass of another image or flux of a source."""
        own = next(r for r in self._layout.table("images").rows if r[t.I_SOURCE] == index)
        new = {t.I_IMAGE: image, t.I_FLUX: flux, t.I_GROUP: -1, t.I_TEMPLATES: templates, t.I_STRIDE: stride}
        return one.tables["images"].add(*_changed(own, {**new, t.I_HEIGHT: box.ny, t.I_WIDTH: box.nx}))

    def _slope_image(self, source, slots, slot):
        """Offset in images of a derivative image."""
        if not source.is_gaussian:
            return slots.slopes[slot]
        image = self._images.take(source.box.ny * source.box.nx)
        self._tables["slopes"].add(slots.shape_row, slot, image)
        return image

    def _lay_mixed(self, one, index, row, source, image, templates):
        """Sums over pixels, per true bin, of a derivative image folded with the slope."""
        n_true, chunks = row[t.S_TRUE], row_items(source.box.ny, source.box.nx)
        part = self._parts.take(n_true * len(chunks))
        if row[t.S_LAST]:
            own = next(r for r in self._layout.table("images").rows if r[t.I_SOURCE] == index)
            new = one.tables["mixed_images"].add(*_changed(own, {t.I_IMAGE: image}))
            for c, (y, y_end) in enumerate(chunks):
                one.tables["mixed_back_items"].add(new, 0, y, y_end, part + c, len(chunks))
        else:
            new = one.tables["mixed_sources"].add(*_changed(row, {t.S_TEMPLATES: templates}))
            for plane in range(n_true):
                for c, (y, y_end) in enumerate(chunks):
                    one.tables["mixed_items"].add(new, plane, y, y_end, part + plane * len(chunks) + c, -1)
        return part, len(chunks)

    def _lay_sums(self, one, image, row, source):
        """The same for a source without templates."""
        n_true, chunks = row[t.S_TRUE], row_items(source.box.ny, source.box.nx)
        part = self._parts.take(n_true * len(chunks))
        for c, (y, y_end) in enumerate(chunks):
            one.tables["mix_items"].add(image, t.W_SUMS_ONLY, y, y_end, part + c, len(chunks))
        return part, len(chunks)

    def _lay_pairs(self):
        """Blocks of one dataset and one stride that overlap, each pair once, and each block with itself."""
        rows = self._tables["blocks"].rows
        boxes = [term.sources[j].box.every(rows[b][t.J_STRIDE]) for d, j, b in self.blocks for term in (self._layout.terms[d],)]
        self.pairs = []
        for first, (d, _, a) in enumerate(self.blocks):
            for second in range(first, len(self.blocks)):
                other, _, b = self.blocks[second]
                if other != d or rows[a][t.J_STRIDE] != rows[b][t.J_STRIDE] or boxes[first].intersection(boxes[second]) is None:
                    continue
                part = self._parts.take(rows[a][t.J_COUNT] * rows[b][t.J_COUNT])
                self._tables["pairs"].add(a, b, part)
                self.pairs.append((first, second, part))

    def _take_crosses(self):
        """Offsets in parts of the products of each block with the background, [n, K]."""
        sizes = [
            row[t.J_COUNT] * self._layout.terms[d].shape[0] for row, (d, _, _) in zip(self._tables["blocks"].rows, self.blocks, strict=True)
        ]
        return [self._parts.take(size) for size in sizes]


class _Pass:
    """Growing tables of one pass: templates to be made, and pieces that fold them."""

    def __init__(self, own_templates):
        self.own_templates, self.templates, self.lengths = own_templates, Counter(), []
        self.size, self.planes_of = 0, []  # what is made; block and number of the parameter, of each pseudo-dataset
        self.tables = {name: Table(columns) for name, columns in (
            ("pieces", 22), ("datasets", 8), ("rows", 2), ("places", 6), ("place_items", 6), ("images", 16), ("unload_items", 6),
            ("mixed_sources", 22), ("mixed_items", 6), ("mixed_images", 16), ("mixed_back_items", 6), ("mix_items", 6),
        )}  # fmt: skip

    def finished(self, starts, sources, on_host):
        """The tables as arrays."""
        transforms = group_transforms(self.tables["images"].rows, sources)
        out = SimpleNamespace(**{name: table.array() for name, table in self.tables.items()}, **transforms)
        vars(out).update(fold_items(out.datasets, out.pieces, starts, self.lengths, on_host))
        out.own_templates, out.n_templates = self.own_templates, self.templates.size
        number = np.array([len(lengths) for lengths in self.lengths])
        out.dataset_blocks, parameter = np.array(self.planes_of, dtype=np.int64).T
        out.row_blocks = np.repeat(out.dataset_blocks, number)
        out.row_planes = np.concatenate([p * n + np.arange(n) for p, n in zip(parameter, number, strict=True)])
        return out


def _variations(source, slots, index):
    """Ways in which one parameter changes a source: (flux, weights, image, slot), None for what stays as it is.

    ``flux`` and ``weights`` are offsets in params; ``image`` is "slope" for the derivative image of a slot.
    """
    out = []
    for slot, i in zip(source.spectral_pack.slots, source.spectral_pack.indices, strict=True):
        if i == index:
            out.append((slots.flux_slopes[slot], None, None, None))
    if source.kind == "fixed":
        return out
    for slot, i in zip(source.spatial_pack.slots, source.spatial_pack.indices, strict=True):
        if i == index:
            is_point = source.kind == "point"
            out.append((slots.flux, slots.weight_slopes[slot] if is_point else None, None if is_point else "slope", slot))
    return out


def _changed(row, changes):
    """A row of a table with some columns changed."""
    out = list(row)
    for column, value in changes.items():
        out[column] = value
    return out
