"""How the time of one evaluation grows: with the map, sources, datasets, energies, free parameters and the batch.

::

    python benchmarks/scaling.py                       # every table
    python benchmarks/scaling.py --tables area sources
    python benchmarks/scaling.py --json bench-output/scaling.json

Simulated fields in memory, gpudl4 alone, no files. An evaluation is `value_and_gradient` at parameters that were not evaluated before. The
rows of a table are timed in turn, so that what else the machine does hits all of them alike; on a busy machine the minimum says more
than the median. "power" is the exponent p of time ~ size^p from the row before (of minima): 1 is linear, above `SUPERLINEAR` it is marked
with `!` and the part that grew is named. "host" is what is left without kernels and Fourier transforms: Python, spectra, small sums.
"""

import argparse
import itertools
import math
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measure import alternate, finish, limit_cores, markdown, milliseconds, new_record, print_machine

SUPERLINEAR = 1.1
SPECTRUM_ONLY = ("lon_0", "lat_0")  # frozen: the source stays where it is


@dataclass
class Row:
    """One line of a table.

    Attributes
    ----------
    size : int
        What is varied.
    likelihood : Likelihood
    compiled : float
        Seconds the compilation took.
    batch : int or None
        Parameter vectors per call.
    """

    size: int
    likelihood: object
    compiled: float
    batch: int | None = None
    seconds: list = field(default_factory=list)
    values: list = field(default_factory=list)
    parts: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """One question.

    Attributes
    ----------
    title, what : str
        Heading, and name of the first column.
    sizes : tuple of int
    build : callable
        ``build(size, scale)`` gives the datasets; `scale` makes maps smaller for tests.
    goal : callable
        ``goal(rows)`` gives sentences that compare with what is wanted.
    """

    title: str
    what: str
    sizes: tuple
    build: object
    goal: object = lambda rows: []
    is_batch: bool = False


# ---- the fields ------------------------------------------------------------------------------------------------------------------------
def _field(models, n_pixels=250, **options):
    from benchmarks.fields import make_dataset

    return [make_dataset(n_pixels=n_pixels, models=models, seed=1, **options)]


def _area(size, scale):
    from benchmarks.fields import gaussian, points

    n_pixels = round(250 * scale * math.sqrt(size))
    models = points(3, radius=1.5 * scale)
    models.append(gaussian("shape", 0.4 * scale, -0.3 * scale, sigma=0.15 * scale))
    return _field(models, n_pixels, n_true=20 if scale == 1 else 6)


def _sources(frozen):
    def build(size, scale):
        from benchmarks.fields import points

        return _field(points(size, radius=2.0 * scale, frozen=frozen), round(250 * scale), n_true=20 if scale == 1 else 6)

    return build


def _datasets(size, scale):
    from benchmarks.fields import make_dataset, points

    names = [f"field-{i}" for i in range(size)]
    models = points(1, radius=0.1, dataset_names=names)
    pixels = round(60 * scale)
    return [make_dataset(pixels, 6, 12 if scale == 1 else 4, 0.04, name, models, seed=i) for i, name in enumerate(names)]


def _true_bins(size, scale):
    from benchmarks.fields import gaussian, points

    models = points(3, radius=1.5 * scale)
    models.append(gaussian("shape", 0.4 * scale, -0.3 * scale, sigma=0.15 * scale))
    return _field(models, round(250 * scale), n_true=size)


def _parameters(size, scale):
    from benchmarks.fields import points

    models = points(10, radius=2.0 * scale)
    for parameter in [p for model in models for p in model.parameters if not p.frozen][size:]:
        parameter.frozen = True
    return _field(models, round(250 * scale), n_true=20 if scale == 1 else 6)


def _batch(size, scale):
    from benchmarks.fields import points

    return _field(points(3, radius=1.5 * scale), round(250 * scale), n_true=20 if scale == 1 else 6)


# ---- what is wanted --------------------------------------------------------------------------------------------------------------------
def _wants_flat(rows):
    for before, after in itertools.pairwise(rows):
        ratio = min(after.seconds) / min(before.seconds)
        yield f"{after.size / before.size:g} times the area: {ratio:.2f} times the time (wanted: at most 1.1)"


def _wants_linear(rows):
    if len(rows) > 1:
        first, last = rows[0], rows[-1]
        each = (min(last.seconds) - min(first.seconds)) / (last.size - first.size)
        yield f"{1e3 * each:.3g} ms for each one more; slope of log time against log number {_slope(rows):.2f} (wanted: at most 1)"


def _wants_cheap_gradients(rows):
    last = rows[-1]
    ratio = min(last.seconds) / min(last.values)
    yield f"{last.size} parameters: value and gradient take {ratio:.2f} times the value alone (wanted: at most 3)"


TABLES = {
    "area": Table("Area of the map, 3 points and a Gaussian", "area", (1, 4, 16), _area, _wants_flat),
    "sources": Table("Point sources, all free", "sources", (1, 5, 20, 80), _sources(()), _wants_linear),
    "spectra": Table("Point sources, positions frozen", "sources", (1, 5, 20, 80), _sources(SPECTRUM_ONLY), _wants_linear),
    "datasets": Table("Datasets, one point and own backgrounds", "datasets", (1, 10, 100), _datasets, _wants_linear),
    "true-bins": Table("True energies, 3 points and a Gaussian", "true bins", (10, 20, 40, 80), _true_bins, _wants_linear),
    "parameters": Table("Free parameters of 10 points", "parameters", (1, 5, 10, 20, 40), _parameters, _wants_cheap_gradients),
    "batch": Table("Parameter vectors per call, 3 points", "batch", (1, 2, 4, 8, 16), _batch, _wants_linear, is_batch=True),
}


def main(arguments=None):
    """Measure what was asked for, print tables, write the JSON file."""
    options = parse(arguments)
    limit_cores(options.cores)
    record = {**new_record(), "tables": {}}
    print_machine(record)
    for name in options.tables:
        table = TABLES[name]
        rows = measure(table, options)
        print(f"\n## {table.title}\n\n{show(table, rows)}\n")
        remarks = [*table.goal(rows), *superlinear(table, rows)]
        print("\n".join(f"* {remark}" for remark in remarks), flush=True)
        record["tables"][name] = {"title": table.title, "rows": [as_dict(row) for row in rows], "remarks": remarks}
    finish(record, options.json)
    return record


def parse(arguments):
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="How the time of one evaluation grows.")
    parser.add_argument("--tables", nargs="+", choices=tuple(TABLES), default=tuple(TABLES), metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--seconds", type=float, default=1.0, help="time to spend on each row (default 1)")
    parser.add_argument("--largest", type=int, help="leave out rows larger than this")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the maps, below 1 for a quick look (default 1)")
    parser.add_argument("--cores", type=int, default=2, help="cores to use (default 2; 0: all)")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    return parser.parse_args(arguments)


def measure(table, options):
    """Compile the rows of a table and time them in turn."""
    from benchmarks.spy import Unseen

    sizes = [s for s in table.sizes if options.largest is None or s <= options.largest]
    rows = [_compiled(table, size, options.scale) for size in sizes]
    calls = {row.size: Unseen(row.likelihood, batch=row.batch) for row in rows}
    calls |= {(row.size, "value"): Unseen(row.likelihood, "value") for row in rows if not table.is_batch}
    seconds = alternate(calls, options.seconds)
    for row in rows:
        row.seconds, row.values = seconds[row.size], seconds.get((row.size, "value"), [])
        row.parts = parts_of(row.likelihood, calls[row.size])
    return rows


def _compiled(table, size, scale):
    import gpudl4

    datasets = table.build(size, scale)
    begun = time.perf_counter()
    likelihood = gpudl4.compile(datasets, backend="numpy")
    return Row(size, likelihood, time.perf_counter() - begun, size if table.is_batch else None)


def parts_of(likelihood, call, calls=7):
    """Median seconds of each kernel in one evaluation, and what is left for the host: ``{name: seconds}``."""
    from benchmarks.spy import Spy

    sums, rest = [], []
    with Spy(likelihood) as spy:
        for _ in range(calls):
            spy.clear()
            begun = time.perf_counter()
            call()
            total = time.perf_counter() - begun
            sums.append({name: sum(own) for name, own in spy.seconds.items()})
            rest.append(total - sum(sums[-1].values()))
    return {"host": statistics.median(rest), **{name: statistics.median(own[name] for own in sums) for name in sums[0]}}


def _power(before, after):
    return math.log(min(after.seconds) / min(before.seconds)) / math.log(after.size / before.size)


def _slope(rows):
    """Slope of the straight line through log time against log size."""
    sizes, times = ([math.log(x) for x in own] for own in zip(*((row.size, min(row.seconds)) for row in rows), strict=True))
    return statistics.linear_regression(sizes, times).slope


def show(table, rows):
    """A table as markdown."""
    header = [table.what, "free", "bins", "ms, median (min)", "power", "value alone, ms", "host ms", "largest parts, ms", "compile s"]
    if table.is_batch:
        header[5] = "ms per vector"
    lines = []
    for i, row in enumerate(rows):
        power = "" if i == 0 else f"{_power(rows[i - 1], row):.2f}" + ("!" if _power(rows[i - 1], row) > SUPERLINEAR else "")
        middle = f"{1e3 * min(row.seconds) / row.size:.3g}" if table.is_batch else milliseconds(row.values)
        kernels = sorted(((s, name) for name, s in row.parts.items() if name != "host"), reverse=True)[:3]
        largest = ", ".join(f"{name} {1e3 * s:.3g}" for s, name in kernels)
        lines.append(
            (row.size, len(row.likelihood.names), row.likelihood.plan.evaluation.layout.n_bins, milliseconds(row.seconds), power, middle,
             f"{1e3 * row.parts['host']:.3g}", largest, f"{row.compiled:.3g}")
        )  # fmt: skip
    return markdown(header, lines)


def superlinear(table, rows):
    """Sentences about rows where the time grows faster than the size, and the part that grew most."""
    for before, after in itertools.pairwise(rows):
        power = _power(before, after)
        if power <= SUPERLINEAR:
            continue
        factor = after.size / before.size
        excess = {name: s - factor * before.parts.get(name, 0.0) for name, s in after.parts.items()}
        name = max(excess, key=excess.get)
        yield (
            f"superlinear from {before.size} to {after.size} {table.what} (power {power:.2f}): {name} takes "
            f"{1e3 * before.parts.get(name, 0.0):.3g} ms, then {1e3 * after.parts[name]:.3g} ms"
        )


def as_dict(row):
    """A row as plain numbers."""
    return {
        "size": row.size,
        "free": len(row.likelihood.names),
        "bins": int(row.likelihood.plan.evaluation.layout.n_bins),
        "compile": row.compiled,
        "median": statistics.median(row.seconds),
        "minimum": min(row.seconds),
        "calls": len(row.seconds),
        "value median": statistics.median(row.values) if row.values else None,
        "value minimum": min(row.values) if row.values else None,
        "parts": row.parts,
    }


if __name__ == "__main__":
    main()
