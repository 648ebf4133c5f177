"""Time gammapy and gpudl4 side by side on real data: the same fits in one process, alternating.

::

    python benchmarks/run.py                    # every case, five runs each
    python benchmarks/run.py --quick            # one run each
    python benchmarks/run.py --cases hawc cta-point --repeat 3
    python benchmarks/run.py --packages gpudl4  # without gammapy

A run is ``Fit().run(datasets)`` with new models on datasets in memory, compilation included; compiled code of both packages is
warm, and the process has two cores. Columns: medians of the seconds, their ratio, what it is to be (goal) and has to be at least (least);
the statistic gammapy ends at, the same parameters evaluated anew by gammapy (new models: nothing remembered) and by gpudl4, the statistic
gpudl4 ends at; and two differences, each the largest of a value in units of its error: "as fitted" between the two fits, which may end in
different minima, and "refitted" after gammapy started from gpudl4's minimum (`benchmarks/parity.py`).
Beside it: one `stat_sum` on the CTA data, random starts, imports. Everything goes to a JSON file with the machine and the versions.
"""

import argparse
import gc
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.cases import CASES, PACKAGES, attach, data_folder, library, random_starts, set_values
from benchmarks.measure import finish, limit_cores, load, new_record, print_machine, quiet
from benchmarks.parity import refit

STAT_SUM_TARGET = 0.020  # s
GAMMAPY_STARTS = 3
IMPORTS = (
    ("import gpudl4", "gpudl4", 0.1),
    ("from gpudl4 import MapDataset, Fit", "gpudl4", 0.7),
    ("from gammapy.datasets import MapDataset; from gammapy.modeling import Fit", "gammapy", None),
)


def main(arguments=None):
    """Run what was asked for, print tables, write the JSON file."""
    options = parse(arguments)
    limit_cores(options.cores)
    with quiet():
        return run(options)


def run(options):
    """The record of all that was asked for."""
    packages = [p for p in options.packages if installed(p)]
    record = {**new_record(), "repeat": options.repeat, "fits": {}}
    print_machine(record)
    cases = [CASES[name] for name in options.cases]
    for case in [c for c in cases if c.missing(options.data)]:
        print(f"{case.name}: left out, not found: {', '.join(case.missing(options.data))} (--data or GPUDL4_TEST_DATA names the folder)")
    cases = [c for c in cases if not c.missing(options.data)]
    print_header()
    for case in cases:
        record["fits"][case.name] = row = time_case(case, packages, options)
        print(line(case, row), flush=True)
    if any(c.name.startswith("cta") for c in cases):
        record["stat_sum"] = time_stat_sum(packages, options)
        if options.starts:
            record["random starts"] = time_starts(packages, options)
    record["imports"] = time_imports(packages)
    finish(record, options.output)
    return record


def parse(arguments):
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="Time gammapy and gpudl4 side by side.")
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=tuple(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--packages", nargs="+", choices=PACKAGES, default=PACKAGES)
    parser.add_argument("--repeat", type=int, default=5, help="runs per case and package (default 5)")
    parser.add_argument("--starts", type=int, default=20, help="random starts of cta-point (default 20, 0 for none)")
    parser.add_argument("--quick", action="store_true", help="one run per case, five starts, no refit")
    parser.add_argument("--no-refit", action="store_true", help="do not let gammapy start from gpudl4's minimum")
    parser.add_argument("--cores", type=int, default=2, help="cores to use (default 2; 0: all)")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the real data")
    parser.add_argument("--output", type=Path, default=Path("bench-output/benchmark.json"), help="JSON file to write")
    options = parser.parse_args(arguments)
    if options.quick:
        options.repeat, options.starts, options.no_refit = 1, min(options.starts, 5), True
    return options


def installed(package):
    """Whether a package can be imported; says so if not."""
    if importlib.util.find_spec(package) is None:
        print(f"{package} is not installed: left out")
        return False
    return True


def fit(package, datasets, models):
    """One timed fit: seconds, result."""
    attach(package, datasets, models)
    tool = library(package).Fit()
    gc.collect()
    begun = time.perf_counter()
    result = tool.run(datasets)
    return time.perf_counter() - begun, result


def parameters_by_name(models):
    """``{"model.parameter": parameter}`` of the free parameters."""
    return {f"{m.name}.{p.name}": p for m in models for p in m.parameters if not p.frozen}


def time_case(case, packages, options):
    """Fit a case with every package in turn."""
    datasets = {p: case.read(p, options.data) for p in packages}
    for package in packages:  # compiles what is compiled at first use
        attach(package, datasets[package], case.models(package, options.data))
        if package == "gammapy":
            datasets[package].stat_sum()
        else:
            library(package).Fit().run(datasets[package])
    row = {p: {"seconds": []} for p in packages}
    row["load"], ours = load(), None
    for _ in range(options.repeat):
        for package in packages:
            models = case.models(package, options.data)
            seconds, result = fit(package, datasets[package], models)
            own = row[package]
            own["seconds"].append(seconds)
            own.update(summary(package, result, parameters_by_name(models)))
            ours = result if package == "gpudl4" else None
    for package in packages:
        row[package]["median"] = statistics.median(row[package]["seconds"])
    if len(packages) == 2:
        compare(case, row, datasets, options)
        if not options.no_refit:
            row["refitted"] = largest(refit(case, datasets["gammapy"], options.data, ours), ours.values, ours.errors)
    return row


def summary(package, result, parameters):
    """What a fit found, as plain numbers."""
    nfev = result.nfev if package == "gpudl4" else result.optimize_result.nfev
    return {
        "stat": float(result.total_stat),
        "success": bool(result.success),
        "nfev": int(nfev),
        "names": list(parameters),
        "values": [float(p.value) for p in parameters.values()],
        "errors": [float(p.error) for p in parameters.values()],
    }


def compare(case, row, datasets, options):
    """Add the ratio of times, gammapy's minimum evaluated anew by both packages, and the largest deviation."""
    from gpudl4.likelihood import compile

    ours, theirs = row["gpudl4"], row["gammapy"]
    row["ratio"] = theirs["median"] / ours["median"]
    there = dict(zip(theirs["names"], theirs["values"], strict=True))
    row["as fitted"] = largest([there[name] for name in ours["names"]], ours["values"], ours["errors"])
    for package in PACKAGES:
        attach(package, datasets[package], set_values(case.models(package, options.data), there))
    theirs["stat anew"] = float(datasets["gammapy"].stat_sum())
    likelihood = compile(datasets["gpudl4"])
    theirs["stat in gpudl4"] = likelihood.value(likelihood.theta0)


def largest(theirs, ours, errors):
    """Largest difference of two lists of values in units of errors."""
    return float(np.max(np.abs(np.subtract(theirs, ours)) / np.asarray(errors)))


COLUMNS = (  # heading, width, digits, where the number stands
    ("free", 4, 0, lambda case, row: case.n_free),
    ("gammapy s", 10, 2, lambda case, row: row["gammapy"]["median"]),
    ("gpudl4 s", 9, 3, lambda case, row: row["gpudl4"]["median"]),
    ("ratio", 7, 1, lambda case, row: row["ratio"]),
    ("goal", 5, 0, lambda case, row: case.goal),
    ("least", 6, 0, lambda case, row: case.minimum),
    ("gammapy stat", 13, 3, lambda case, row: row["gammapy"]["stat"]),
    ("anew", 13, 3, lambda case, row: row["gammapy"]["stat anew"]),
    ("in gpudl4", 13, 3, lambda case, row: row["gammapy"]["stat in gpudl4"]),
    ("gpudl4 stat", 13, 3, lambda case, row: row["gpudl4"]["stat"]),
    ("as fitted", 10, 3, lambda case, row: row["as fitted"]),
    ("refitted", 9, 3, lambda case, row: row["refitted"]),
)


def print_header():
    """Head of the table of fits."""
    print(f"\n{'case':14s}" + "".join(f" {heading:>{width}s}" for heading, width, _, _ in COLUMNS))


def line(case, row):
    """One line of the table; a dash where a number was not asked for."""
    out = f"{case.name:14s}"
    for _, width, digits, number in COLUMNS:
        try:
            value = number(case, row)
        except KeyError:
            value = None
        out += " " + ("-".rjust(width) if value is None else f"{value:{width}.{digits}f}")
    failed = [package for package in PACKAGES if package in row and not row[package]["success"]]
    return out + (f"  not converged: {', '.join(failed)}" if failed else "")


def time_stat_sum(packages, options, calls=15):
    """One statistic of cta-point: gpudl4 compiles at every call, gammapy remembers the last one."""
    case, out = CASES["cta-point"], {}
    for package in packages:
        datasets = case.read(package, options.data)
        models = attach(package, datasets, case.models(package, options.data))
        dataset, index = datasets[0], models[0].parameters["index"]
        dataset.stat_sum()
        seconds = []
        for i in range(calls):
            index.value = 2.3 + 0.001 * i  # gammapy answers from memory if nothing has changed
            begun = time.perf_counter()
            dataset.stat_sum()
            seconds.append(time.perf_counter() - begun)
        out[package] = statistics.median(seconds)
    print("\ndataset.stat_sum() on cta-point: " + ", ".join(f"{p} {1e3 * s:.1f} ms" for p, s in out.items()), end="")
    print(f" (target for gpudl4: {1e3 * STAT_SUM_TARGET:.0f} ms)")
    return out


def time_starts(packages, options):
    """Fits of cta-point from random starts: how far apart the minima are."""
    case, out = CASES["cta-point"], {}
    for package in packages:
        starts = random_starts(options.starts)[: GAMMAPY_STARTS if package == "gammapy" else None]
        datasets, stats, values, errors, seconds = case.read(package, options.data), [], [], [], []
        for start in starts:
            models = set_values(case.models(package, options.data), start)
            taken, result = fit(package, datasets, models)
            seconds.append(taken)
            stats.append(float(result.total_stat))
            values.append([p.value for p in parameters_by_name(models).values()])
            errors.append([p.error for p in parameters_by_name(models).values()])
        spread = float((np.ptp(values, axis=0) / np.median(errors, axis=0)).max())
        out[package] = {"starts": len(starts), "stats": stats, "largest spread in sigma": spread, "median": statistics.median(seconds)}
        print(
            f"cta-point from {len(starts)} random starts, {package}: statistic {min(stats):.4f} to {max(stats):.4f}, "
            f"values within {spread:.4f} sigma, {out[package]['median']:.2f} s each"
        )
    return out


def time_imports(packages, repeat=3):
    """Import times in a new process, the best of some, with compiled byte code, as packages have it that were installed."""
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        for statement, package, target in IMPORTS:
            if package not in packages:
                continue
            code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
            runs = [
                subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
                for _ in range(repeat + 1)
            ]
            out[statement] = min(float(run.stdout) for run in runs[1:])
            print(f"{statement}: {out[statement]:.2f} s" + (f" (target {target} s)" if target else ""))
    return out


if __name__ == "__main__":
    main()
