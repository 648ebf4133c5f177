"""What profiles and confidence limits cost beside a fit.

::

    python benchmarks/profiles.py
    python benchmarks/profiles.py --cases hawc --json bench-output/profiles.json

A profile has 11 points from two errors below to two errors above the best value, all other parameters fitted anew at each. Of all free
parameters one of each name is profiled, and the mean is printed. The fit is that of the benchmarks, from their start; compiling the kernels
is not timed.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.cases import CASES, attach, data_folder, library
from benchmarks.measure import finish, limit_cores, markdown, new_record, print_machine, quiet

DEFAULT = ("cta-point", "hawc", "fermi-gc")


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
    print(f"\nSeconds of a fit, and of scans in fits\n\n{table(record['cases'])}")
    finish(record, options.json)
    return record


def parse(arguments):
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="Profiles of 11 points and confidence limits beside a fit.")
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=DEFAULT, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--cores", type=int, default=2, help="cores to use (default 2; 0: all)")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the real data")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    return parser.parse_args(arguments)


def measure(case, data):
    """Seconds of a fit, and mean seconds of a profile, of limits, of a contour of 10 points."""
    fit, datasets = library("gpudl4").Fit(), case.read("gpudl4", data)
    seconds = []
    for _ in range(3):
        models = attach("gpudl4", datasets, case.models("gpudl4", data))
        taken, result = timed(lambda: fit.run(datasets))
        seconds.append(taken)
    parameters = {p.name: p for p in models.parameters.free_unique_parameters if np.isfinite(p.error) and p.error > 0}
    out = {"free": len(result.names), "fit": min(seconds[1:]), "profile": [], "confidence": []}
    for p in parameters.values():
        out["profile"].append(timed(lambda p=p: fit.stat_profile(datasets, p, reoptimize=True))[0])
        out["confidence"].append(timed(lambda p=p: fit.confidence(datasets, p))[0])
    first, second = list(parameters.values())[:2]
    out["contour"] = timed(lambda: fit.stat_contour(datasets, first, second))[0]
    return out


def timed(function):
    """Seconds of a call, and what it returned."""
    begun = time.perf_counter()
    result = function()
    return time.perf_counter() - begun, result


def table(cases):
    """The results as markdown."""
    rows = []
    for name, case in cases.items():
        in_fits = (np.mean(case["profile"]), np.mean(case["confidence"]), case["contour"])
        rows.append((name, case["free"], f"{case['fit']:.2f}", *(f"{seconds / case['fit']:.1f}" for seconds in in_fits)))
    return markdown(("case", "free", "fit, s", "profile of 11 points", "confidence", "contour of 10 points"), rows)


if __name__ == "__main__":
    main()
