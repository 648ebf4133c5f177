"""How many bytes a likelihood takes, item by item, and whether that is too much.

`account` counts them from the layout of the work tables and needs no arrays: `sketch.py` makes such a layout before anything is compiled.
``print(likelihood.memory)`` shows the list.
"""

import re
from types import SimpleNamespace

import numpy as np

from gpudl4.core.errors import MemoryLimitError
from gpudl4.kernels import tables as t

from .derivatives import DerivativeTables
from .evaluate import precision
from .lowrank import WORTH

__all__ = ["Memory", "account", "check_limit", "parse_limit", "readable"]

JOINT, WORK, SECOND, COMPILING = "all datasets", "workspace", "second derivatives", "while compiling"
UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
LIMIT = re.compile(r"\s*([0-9]+\.?[0-9]*(?:e[0-9]+)?)\s*([a-z]*)\s*", re.IGNORECASE)
SMALL = 1000  # bytes of an array of a bound shape that are not worth a word
SHOWN = 12  # items in a table; smaller ones are summed up


class Memory(dict):
    """Bytes by group and item, ``{group: {item: bytes}}``. Printed, it is a table with the largest items first.

    Groups are the datasets by name (their share of the active region, and what belongs to their sources), "all datasets" (arrays of
    several datasets laid behind each other), "workspace" (working arrays for one parameter vector), "second derivatives" (there while a
    Fisher matrix or a Hessian is made) and "while compiling" (the largest single source that is folded once and for all).
    """

    @property
    def total(self):
        """Bytes that are needed at one time."""
        sums = {group: sum(items.values()) for group, items in self.items()}
        compiling = sums.pop(COMPILING, 0)
        working = sums.pop(WORK, 0) + sums.pop(SECOND, 0)
        return sum(sums.values()) + max(compiling, working)

    def __str__(self):
        rows = sorted(((n, f"{group}: {item}") for group, items in self.items() for item, n in items.items() if n), reverse=True)
        lines = [f"{readable(n):>9}  {name}" for n, name in rows[:SHOWN]]
        if rest := rows[SHOWN:]:
            lines.append(f"{readable(sum(n for n, _ in rest)):>9}  {len(rest)} smaller ones")
        return "\n".join([*lines, f"{readable(self.total):>9}  at one time"])


def readable(number):
    """Bytes in a unit that suits them: ``"1.5 GB"``."""
    for unit in ("TB", "GB", "MB", "kB"):
        size = UNITS[unit.upper()]
        if number >= size:
            return f"{number / size:.3g} {unit}" if number < 999.5 * size else f"{number / size:.0f} {unit}"
    return f"{number} B"


def parse_limit(limit):
    """Bytes from a number, or from a text such as ``"2 GB"`` or ``"500 MiB"``.

    Raises
    ------
    ValueError
        If it is neither, or not positive.
    """
    if isinstance(limit, str):
        found = LIMIT.fullmatch(limit)
        unit = UNITS.get(found[2].upper() or "B") if found else None
        number = None if unit is None else float(found[1]) * unit
    else:
        number = limit if isinstance(limit, (int, float, np.integer, np.floating)) and not isinstance(limit, bool) else None
    if number is None or not 0 < number < np.inf:
        raise ValueError(f"memory_limit={limit!r}: wanted a number of bytes, or a text such as '2 GB' or '500 MiB'")
    return int(number)


def check_limit(memory, limit, dtype):
    """Refuse a likelihood that needs more memory than allowed.

    Raises
    ------
    MemoryLimitError
        With the list of what needs how much.
    """
    allowed = parse_limit(limit)
    if memory.total > allowed:
        raise MemoryLimitError(memory.total, allowed, str(memory), np.dtype(dtype).name)


def account(layout, backend, real, on_device=False, second=True, compiling=None):
    """Bytes by item of a likelihood with this layout.

    Parameters
    ----------
    layout : Layout
        Its terms may hold planned arrays instead of real ones.
    backend : Backend
        Where the likelihood runs.
    real : dtype
        Of working arrays.
    on_device : bool
        Whether the datasets live on a device; if not and the likelihood does, everything is copied.
    second : bool
        Whether second derivatives will be wanted.
    compiling : dict, optional
        Bytes that are needed for a while by sources that are folded once, by name.

    Returns
    -------
    Memory
    """
    on_host = backend.name == "numpy"
    types = SimpleNamespace(
        real=np.dtype(real), complex=np.result_type(real, np.complex64), cube=precision(layout.terms), moves=on_host == on_device
    )
    seen = set()
    memory = Memory({term.name: _dataset(term, seen) for term in layout.terms})
    memory[JOINT] = _joint(layout, types)
    memory[WORK] = _work(layout, types, on_host)
    if second:
        memory[SECOND] = _second(layout, types, on_host)
    if compiling:
        largest = max(compiling, key=compiling.get)
        memory[COMPILING] = {largest: compiling[largest]}
    return memory


def _dataset(term, seen):
    """What a dataset keeps: its share of the active region, and what belongs to its sources. ``seen`` holds arrays counted already."""

    def size(*arrays):
        new = [array for array in arrays if array is not None and id(array) not in seen]
        seen.update(id(array) for array in new)
        return sum(int(array.nbytes) for array in new)

    items = {"counts": size(term.counts), "background": size(term.template), "mask": size(term.mask), "exposure": size(term.exposure)}
    items.update({name: size(array) for name, array in term.extras.items()})
    if term.static is not None:
        items["frozen sources"] = size(term.static)
    for source in term.sources:
        name = f"source {source.name}"
        items[name] = size(source.response.psf, source.response.edisp, getattr(source, "psf", None))
        if source.kind == "fixed":
            items[f"{name}, templates"] = size(source.templates)
        elif source.kind == "image":
            items[f"{name}, PSF transfer functions"] = size(source.transfer)
        if directions := size(*_arrays(source.spatial)):
            items[f"{name}, directions"] = directions
    return items


def _arrays(bound):
    """Arrays that a bound shape keeps: directions of its pixels, and their weights."""
    if bound is None:  # a source in a region
        return []
    values = [part for value in vars(bound).values() for part in (value if isinstance(value, tuple) else (value,))]
    return [value for value in values if getattr(value, "nbytes", 0) > SMALL]


def _joint(layout, types):
    """Flat arrays of all datasets. A single array of the right type serves as it is; others are copied."""
    terms, sources = layout.terms, layout.sources
    n_bins = sum(sum(term.row_lengths) for term in terms)
    own = [source for source in sources if source.kind == "image"]
    gaussians = [source.spatial for source in own if source.is_gaussian]
    static = [term.static for term in terms]
    has_special = any(len(term.special_bins) for term in terms)
    flats = {
        "counts": ([term.counts for term in terms], types.cube),
        "background": ([term.template for term in terms], types.cube),
        "exposure": ([term.exposure for term in terms], types.cube),
        "templates": ([source.templates for source in sources if source.kind == "fixed"], types.real),
        "PSF kernels": ([source.psf for source in sources if source.kind == "point"], types.real),
        "PSF transfer functions": ([source.transfer for source in own], types.complex),
        "directions": ([spatial.vectors for spatial in gaussians], np.dtype(np.float64)),
    }
    items = {name: _laid(arrays, dtype, types.moves) for name, (arrays, dtype) in flats.items()}
    if has_special:  # bins behind the active region: the rows are put together anew
        items["counts"] = items["background"] = n_bins * types.cube.itemsize
    items["mask"] = n_bins  # one byte each, where the dataset has booleans
    for name in sorted({name for term in terms for name in term.extras}):
        own = [term.extras[name] for term in terms if name in term.extras]
        items[name] = sum(int(array.size) for array in own) * types.cube.itemsize if has_special else _laid(own, types.cube, types.moves)
    if any(array is not None for array in static):
        mixed = has_special or any(array is None for array in static)  # where there are none, they are 0
        items["frozen sources"] = n_bins * types.real.itemsize if mixed else _laid(static, types.real, types.moves)
    items["flux points"] = 8 * layout.flats["numbers"].size
    items["tables"] = _size_of_tables(layout.tables)
    return items


def _laid(arrays, dtype, moves):
    """Bytes of arrays laid behind each other; 0 where that is no new array."""
    unique = list({id(array): array for array in arrays if array is not None}.values())
    if not unique or (len(unique) == 1 and unique[0].dtype == dtype and not moves):
        return 0
    return sum(int(array.size) for array in unique) * dtype.itemsize


def _work(layout, types, on_host):
    """Working arrays for one parameter vector."""
    may_be_mixed = any(getattr(source, "is_planned", False) and source.may_be_mixed for source in layout.sources)
    # Planned are planes of all energies and no field beside them; a basis would have at most `WORTH` of them, and as large a field.
    keeps = 1 if len(layout.tables.mix_items) else may_be_mixed * (2 * WORTH - 1)
    planes, spectra, results = _transforms(layout.tables.groups, types, on_host, keeps)
    return {
        "predicted counts and slopes": 2 * layout.n_bins * types.real.itemsize,
        "templates": layout.templates.size * types.real.itemsize,
        "images": (2 * layout.images.size + layout.n_users) * types.real.itemsize,
        "planes of transforms": planes,
        "spectra of transforms": spectra,
        "results of transforms": results,
        "numbers of sources and partial sums": 8 * (layout.params.size + layout.parts.size),
    }


def _second(layout, types, on_host):
    """What second derivatives add."""
    made, size = DerivativeTables(layout, exact=True, on_host=on_host), types.real.itemsize
    groups = {one.groups.tobytes(): one.groups for one in made.passes}  # passes of the same shape share their transforms
    if made.shares_transforms:
        groups.pop(layout.tables.groups.tobytes(), None)
    planes, spectra, results = zip(*(_transforms(own, types, on_host) for own in groups.values()), strict=True) if groups else [(0,)] * 3
    copies = (made.n_images > layout.images.size) + any(len(one.mixed_back_items) for one in made.passes)
    return {
        "derivative images": made.n_jacobian * size if len(made.bands) == 1 or made.n_jacobian > _spare(layout) else 0,
        "templates": max((one.n_templates for one in made.passes), default=0) * size,
        "images": copies * made.n_images * size,
        "planes of transforms": sum(planes) + _kept(made, groups.values(), size),
        "spectra of transforms": sum(spectra),
        "results of transforms": max(results),
        "weights": _weights(layout, types, on_host),
        "tables": _size_of_tables(made.tables, *made.passes),
        "partial sums": 16 * made.n_parts,
    }


def _spare(layout):
    """Elements of the field that goes back through the PSF, where it has an array of its own: bands of derivative images use it."""
    groups = layout.tables.groups
    return int((groups[:, t.F_OUT_PLANES] * groups[:, t.F_NY] * groups[:, t.F_NX]).sum()) if len(layout.tables.mix_items) else 0


def _kept(made, own, size):
    """Where derivative images are made in bands, planes of all passes are there at one time; those of the groups `own` are counted."""
    if len(made.bands) == 1:
        return 0
    passes = [one.groups for one in made.passes if not one.own_templates]
    behind = [sum(int(g[t.F_OUT_PLANES] * g[t.F_NY] * g[t.F_NX]) for groups in some for g in groups) for some in (passes, own)]
    return (behind[0] - behind[1]) * size


def _weights(layout, types, on_host):
    """Weights of bins and flux points; on the host they write over slope and, for the Cash statistic, prediction."""
    only_cash = not (len(layout.tables.cash_weighted_items) or len(layout.tables.wstat_items))
    new = 2 if not on_host or types.real != np.float64 else 0 if only_cash else 1
    return 8 * new * layout.n_bins + 16 * len(layout.tables.points)


def _size_of_tables(*tables):
    return sum(table.nbytes for one in tables for table in vars(one).values() if isinstance(table, np.ndarray))


def _transforms(groups, types, on_host, keeps=0):
    """Bytes of planes, of spectra, and of what a transform makes anew before it is copied (SciPy, several groups: the largest result);
    `keeps` is how often the planes behind the PSF are there once more."""
    planes, spectra, results = [0, 0], [0, 0], [0]
    for group in groups:
        for i, number in enumerate((group[t.F_IN_PLANES], group[t.F_OUT_PLANES])):
            own = int(number * group[t.F_NY] * group[t.F_NX]) * types.real.itemsize
            half = int(number * group[t.F_NY] * (group[t.F_NX] // 2 + 1)) * types.complex.itemsize
            planes[i] += own
            spectra[i] += half
            results += [own, half]
    copied = on_host and len(groups) > 1
    return sum(planes) + round(keeps * planes[1]), sum(spectra), max(results) if copied else 0
