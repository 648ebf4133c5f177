"""What gammapy's fits cost if all datasets get their models at once, instead of one by one as the other benchmarks do it.

::

    python benchmarks/covariance.py
    python benchmarks/covariance.py --cases hawc --json bench-output/covariance.json

``datasets.models = models`` makes a gammapy `Datasets` assemble a covariance matrix whenever it asks for its models, at every call of the
statistic; ``dataset.models = models`` for each dataset does not, with the same result. `benchmarks.cases.attach` takes the second way, so
all ratios to gammapy are those of its better side. One fit each way, in turn, after a statistic of each that is not timed.
"""

import argparse
import gc
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.cases import CASES, attach, data_folder, library
from benchmarks.measure import finish, limit_cores, markdown, new_record, print_machine, quiet

DEFAULT = ("cta-point", "hawc", "fermi-many")


def main(arguments=None):
    """Measure what was asked for, print a table, write the JSON file."""
    options = parse(arguments)
    limit_cores(options.cores)
    record = {**new_record(), "cases": {}}
    print_machine(record)
    for name in options.cases:
        if missing := CASES[name].missing(options.data):
            print(f"{name}: left out, not found: {', '.join(missing)} (--data or GPUDL4_TEST_DATA names the folder)")
            continue
        with quiet():
            record["cases"][name] = measure(CASES[name], options.data)
    print(f"\nSeconds of a fit with gammapy\n\n{table(record['cases'])}")
    finish(record, options.json)
    return record


def parse(arguments):
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="gammapy's fits with models given to all datasets at once, and to one by one.")
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=DEFAULT, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--cores", type=int, default=2, help="cores to use (default 2; 0: all)")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the real data")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    return parser.parse_args(arguments)


def measure(case, data):
    """Seconds and statistic of a fit either way."""
    datasets, out = case.read("gammapy", data), {}
    for way in ("one by one", "at once"):
        for is_timed in (False, True):
            models = attach("gammapy", datasets, case.models("gammapy", data))
            if way == "at once":
                datasets.models = models
            if not is_timed:
                datasets.stat_sum()
        gc.collect()
        begun = time.perf_counter()
        result = library("gammapy").Fit().run(datasets)
        out[way] = {"seconds": time.perf_counter() - begun, "stat": float(result.total_stat), "free": case.n_free}
    return out


def table(cases):
    """The results as markdown."""
    rows = []
    for name, case in cases.items():
        ours, other = case["one by one"], case["at once"]
        rows.append((name, ours["free"], f"{ours['seconds']:.2f}", f"{other['seconds']:.2f}", f"{other['seconds'] / ours['seconds']:.2f}",
                     f"{abs(other['stat'] - ours['stat']):.1e}"))  # fmt: skip
    return markdown(("case", "free", "one by one", "at once", "times", "difference of the statistic"), rows)


if __name__ == "__main__":
    main()
