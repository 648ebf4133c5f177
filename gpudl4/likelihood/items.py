"""Items of work that several tables share: blocks of bins to fold, rows of templates, groups of Fourier transforms.

What the columns mean is said in `gpudl4.kernels.tables`.
"""

import numpy as np

from gpudl4.kernels import tables as t

from .layout import Table, row_items
from .transforms import aligned

__all__ = ["fold_items", "group_transforms", "unload_items"]

COLUMNS, BINS = 128, 4  # of a block of threads that folds: columns of the active region, reconstructed bins
HOST_COLUMNS = 8192  # the same on a CPU, with all reconstructed bins


def unload_items(row, planes, height, width):
    """Items that make the templates of an image."""
    return [(row, plane, y, y_end, -1, 1) for plane in range(planes) for y, y_end in row_items(height, width)]


def group_transforms(images, sources):
    """Sort the images with a PSF into groups of one padded shape and one number of modes.

    Parameters
    ----------
    images : list of tuple
        Rows of the table of images; their group and first planes are set.
    sources : list of Source
        In the order of the table of sources.

    Returns
    -------
    dict of int64 table
        ``groups`` (one row of zeros if there is none) and ``load_items``, ``spread_items``, ``gather_items``.
    """
    shapes, planes = {}, []
    for i, image in enumerate(images):
        source = sources[image[t.I_SOURCE]]
        if not source.has_psf or image[t.I_STRIDE] > 1:
            continue
        group = shapes.setdefault((*source.padded, source.modes), len(shapes))
        if group == len(planes):
            planes.append((0, 0))
        n_in, n_out = planes[group]
        images[i] = (*image[: t.I_GROUP], group, n_in, n_out, *image[t.I_FIRST_OUT + 1 :])
        planes[group] = n_in + _planes_in(source), n_out + image[t.I_RANK]
    groups, begin = [], [0, 0, 0, 0]
    for (ny, nx, modes), (n_in, n_out) in zip(shapes, planes, strict=True):
        groups.append((begin[0], n_in, begin[1], n_out, ny, nx, begin[2], begin[3], modes))
        half = ny * (nx // 2 + 1)
        taken = n_in * ny * nx, n_out * ny * nx, n_in * half, n_out * half
        begin = [aligned(first + size) for first, size in zip(begin, taken, strict=True)]
    load, spread, gather = Table(6), Table(6), Table(6)
    for i, image in enumerate(images):
        if image[t.I_GROUP] < 0:
            continue
        source, (ny, nx) = sources[image[t.I_SOURCE]], groups[image[t.I_GROUP]][t.F_NY : t.F_NX + 1]
        for plane in range(_planes_in(source)):
            for y, y_end in row_items(ny, nx):
                load.add(i, plane, y, y_end, -1, 1)
            for y, y_end in row_items(ny, nx // 2 + 1):
                gather.add(i, plane, y, y_end, -1, 1)
        for plane in range(image[t.I_RANK]):
            for y, y_end in row_items(ny, nx // 2 + 1):
                spread.add(i, plane, y, y_end, -1, 1)
    return {
        "groups": np.array(groups or [(0,) * 9], dtype=np.int64),
        "load_items": load.array(),
        "spread_items": spread.array(),
        "gather_items": gather.array(),
    }


def _planes_in(source):
    """Planes of an image before the PSF."""
    return source.n_planes if source.response.psf_last else 1


def fold_items(datasets, sources, starts, row_lengths, on_host):
    """Blocks of bins for `fold` and `mix`, and the sources that can reach each.

    Parameters
    ----------
    datasets, sources : int64 tables
    starts : int64[...]
    row_lengths : list of list of int
        Bins of each row of each dataset.
    on_host : bool
        All energies of many columns for the Numba twin, a few energies of a few columns for the CUDA twin.

    Returns
    -------
    dict of int64 table
        ``fold_items``, ``members``: all bins, with the sources that have templates; ``added_items``, ``added_members``: those blocks that
        sources without any reach. See `gpudl4.kernels.tables`.
    """
    columns = HOST_COLUMNS if on_host else COLUMNS
    items, members, added, added_members = [], [], [], []
    for d, dataset in enumerate(datasets):
        area, n_reco = int(dataset[t.D_AREA]), int(dataset[t.D_RECO])
        bins = n_reco if on_host else BINS
        tiles = [[] for _ in range(-(-area // columns))]
        for c in range(dataset[t.D_SOURCES], dataset[t.D_SOURCES_END]):
            if len(tiles) == 1:
                tiles[0].append(c)
                continue
            row = sources[c]
            begin = starts[row[t.S_STARTS] : row[t.S_STARTS] + row[t.S_NY]]
            reached = np.zeros(len(tiles) + 1, dtype=np.int64)  # +1 where a row enters a tile, -1 behind its last
            np.add.at(reached, begin // columns, 1)
            np.add.at(reached, (begin + row[t.S_NX] - 1) // columns + 1, -1)
            for tile in np.flatnonzero(np.cumsum(reached)[:-1]):
                tiles[tile].append(c)
        for tile, own in enumerate(tiles):
            ends = tile * columns, min((tile + 1) * columns, area)
            first, first_added = len(members), len(added_members)
            members.extend(c for c in own if sources[c][t.S_MIXED] < 0)
            added_members.extend(c for c in own if sources[c][t.S_MIXED] >= 0)
            items.extend((d, k, min(k + bins, n_reco), *ends, first, len(members)) for k in range(0, n_reco, bins))
            if len(added_members) > first_added:
                reached = first_added, len(added_members)
                added.extend((d, k, min(k + bins, n_reco), *ends, *reached) for k in range(0, n_reco, bins))
        if (longest := max(row_lengths[d])) > area:
            items.extend((d, k, min(k + bins, n_reco), a, min(a + columns, longest), 0, 0)
                         for a in range(area, longest, columns) for k in range(0, n_reco, bins))  # fmt: skip
    return {
        "fold_items": np.array(items, dtype=np.int64).reshape(-1, 7),
        "members": np.array(members, dtype=np.int64),
        "added_items": np.array(added, dtype=np.int64).reshape(-1, 7),
        "added_members": np.array(added_members, dtype=np.int64),
    }
