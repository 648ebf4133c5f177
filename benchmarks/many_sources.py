"""How long a fit of many sources takes: all positions, amplitudes and indices free, from starts 10 % off.

::

    python benchmarks/many_sources.py                        # 25, 50 and 75 sources: 101 to 301 free parameters
    python benchmarks/many_sources.py --sources 10 --degenerate

Point sources on a grid half a degree wide, with 4 free parameters each, and a background. "above truth" is the statistic found minus
that at the truth, negative for a good fit. `--degenerate` adds five sources at one place, which no data can tell from each other: the fit
has to end soon and name them. Matrices of hundreds of parameters go through LAPACK; on a machine whose cores are all busy its threads
wait for each other, and ``OPENBLAS_NUM_THREADS=1`` makes such fits several times faster.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measure import finish, limit_cores, load, markdown, new_record, print_machine


def main(arguments=None):
    """Measure what was asked for, print a table, write the JSON file."""
    options = parse(arguments)
    limit_cores(options.cores)
    record = {**new_record(), "rows": []}
    print_machine(record)
    fields = [(f"{n} apart", many(n)) for n in options.sources]
    if options.degenerate:
        fields.append(("5 at one place", degenerate()))
    for name, (dataset, truth) in fields:
        record["rows"].append(measure(name, dataset, truth))
    header = ("sources", "free", "seconds", "CPU s", "gradients", "Fisher", "compiled", "success", "above truth", "load")
    print("\n" + markdown(header, [tuple(row.values()) for row in record["rows"]]), flush=True)
    finish(record, options.json)
    return record


def parse(arguments):
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="How long a fit of many sources takes.")
    parser.add_argument("--sources", nargs="+", type=int, default=(25, 50, 75), help="numbers of sources (default 25 50 75)")
    parser.add_argument("--degenerate", action="store_true", help="also five sources at one place")
    parser.add_argument("--cores", type=int, default=2, help="cores to use (default 2; 0: all)")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    return parser.parse_args(arguments)


def many(number, seed=3, **options):
    """A field of so many point sources with starts 10 % off, and the statistic at the truth."""
    from benchmarks.fields import background, make_dataset, point
    from gpudl4.models import Models

    rng, side = np.random.default_rng(seed), int(np.ceil(np.sqrt(number)))
    pixels, models = 50 + 29 * side, []
    for i in range(number):
        lon, lat = (0.018 * pixels * ((k + 0.5) / side - 0.5) + rng.uniform(-0.05, 0.05) for k in (i % side, i // side))
        models.append(point(f"s{i}", lon, lat, amplitude=1e-12 * rng.uniform(0.5, 3)))
    options = {"n_energy": 8, "n_true": 12, **options}
    dataset = make_dataset(n_pixels=pixels, models=Models([*models, background()]), seed=seed, **options)
    truth = dataset.stat_sum()
    for model in models:
        model.spectral_model.amplitude.value *= rng.uniform(0.9, 1.1)
        model.spectral_model.index.value += rng.uniform(-0.1, 0.1)
        model.spatial_model.lon_0.value += rng.uniform(-0.02, 0.02)
        model.spatial_model.lat_0.value += rng.uniform(-0.02, 0.02)
    return dataset, truth


def degenerate(**options):
    """A field of one source, and five in its place; with the statistic at the truth."""
    from benchmarks.fields import background, make_dataset, point
    from gpudl4.models import Models

    truth = Models([point("true", 0.031, -0.043, amplitude=3e-12), background()])
    dataset = make_dataset(models=truth, seed=2, **{"n_pixels": 60, "n_energy": 5, "n_true": 8, **options})
    stat = dataset.stat_sum()
    dataset.models = Models([*(point(f"s{i}", 0.031, -0.043, amplitude=6e-13) for i in range(5)), background()])
    return dataset, stat


def measure(name, dataset, truth):
    """One fit as a row."""
    from gpudl4 import Fit

    begun, used = time.perf_counter(), time.process_time()
    result = Fit().run(dataset)
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    return {"sources": name, "free": len(result.names), "seconds": f"{seconds:.1f}", "CPU": f"{used:.1f}", "gradients": result.ngrad,
            "Fisher": result.n_fisher, "compiled": result.n_compile, "success": str(result.success),
            "above truth": f"{result.total_stat - truth:.1f}", "load": load()}  # fmt: skip


if __name__ == "__main__":
    main()
