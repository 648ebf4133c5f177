"""Fits of thousands of random small fields with known truth, of every kind of dataset and of mixes.

::

    python benchmarks/random_fields.py                             # 2000 fields, gpudl4 alone
    python benchmarks/random_fields.py --first 500 --number 300    # fields 500 to 799
    python benchmarks/random_fields.py --number 100 --gammapy 100  # the first 100, with gammapy beside it
    python benchmarks/random_fields.py --only 137                  # one of them again

`random_cases.py` makes field number i, the same in every run, and starts 10 % off the truth. A fit is at fault if it raises an exception;
if it says that it converged and its statistic is above that of the truth by more than 0.01 (``datasets.stat_sum()`` both times); if it does
not converge and names no parameter; or if it takes more than 20 times the median of its size, twice in a row. At least 98 % have to
converge. Fields at fault are listed.
"""

import argparse
import functools
import multiprocessing
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measure import finish, limit_cores, load, markdown, new_record, print_machine, quiet

ABOVE, WANTED, LONGEST = 0.01, 0.98, 20.0  # of the statistic; share that converges; times the median


def main(arguments=None):
    """Fit all fields, print tables and what is at fault, write the JSON file."""
    options = parse(arguments)
    if options.jobs == 1:
        limit_cores(options.cores)
    record = {**new_record(), "fits": {}}
    print_machine(record)
    numbers = options.only or list(range(options.first, options.first + options.number))
    tasks = {"gpudl4": numbers} | ({"gammapy": numbers[: options.gammapy]} if options.gammapy else {})
    for package, own in tasks.items():
        fits = run(own, package, options.jobs)
        record["fits"][package] = again(fits, package)
        print(f"\n## {package}, load {load()}\n\n{show(fits)}\n")
        print("\n".join(faults(fits)), flush=True)
    finish(record, options.json)
    return record


def parse(arguments):
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="Fits of random small fields with known truth.")
    parser.add_argument("--first", type=int, default=0, help="number of the first field (default 0)")
    parser.add_argument("--number", type=int, default=2000, help="number of fields (default 2000)")
    parser.add_argument("--only", type=int, nargs="+", metavar="I", help="these fields instead")
    parser.add_argument("--gammapy", type=int, default=0, metavar="N", help="the first N of them with gammapy as well (default 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with one thread (default 1)")
    parser.add_argument("--cores", type=int, default=1, help="cores to use with one process (default 1; 0: all)")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    return parser.parse_args(arguments)


def run(numbers, package, jobs):
    """One entry per field, in order."""
    call = functools.partial(fit, package=package)
    if jobs == 1:
        return [call(number) for number in numbers]
    one = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with mock.patch.dict(os.environ, one), ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(call, numbers, chunksize=4))


def again(fits, package):
    """Fits that took too long get the shorter of two times: something else may have run."""
    for one, times in zip(fits, _times_median(fits), strict=True):
        if times > LONGEST:
            one["seconds"] = min(one["seconds"], fit(one["field"], package)["seconds"])
    return fits


@functools.cache
def _warm(kind, package):
    """Fit another field of the kind first: kernels are loaded then."""
    from benchmarks.random_cases import KINDS, make

    _fit(make(KINDS.index(kind)), package)


def fit(number, package="gpudl4"):
    """Fit one field: what it is, how it ended, its statistic and that of the truth."""
    from benchmarks.random_cases import make, size_of

    with quiet():
        field = make(number)
        _warm(field.kind, package)
        out = {"field": number, "kind": " + ".join(field.kind), "size": size_of(field), "n_free": len(field.truth)}
        truth = field.datasets.stat_sum()
        return out | {"truth": truth} | _fit(field, package)


def _fit(field, package):
    field.put(field.start)
    datasets = field.datasets if package == "gpudl4" else _to_gammapy(field.datasets)
    begun = time.perf_counter()
    try:
        result = _library(package).Fit().run(datasets)
    except Exception as error:  # counted, and listed with its field
        seconds = time.perf_counter() - begun
        return {"seconds": seconds, "error": f"{type(error).__name__}: {error}", "success": False, "message": "", "blamed": [],
                "stat": float("inf"), "calls": 0}  # fmt: skip
    seconds = time.perf_counter() - begun
    if package != "gpudl4":  # its own statistic depends on what it evaluated before
        field.put({f"{m.name}.{p.name}": p.value for m in datasets.models for p in m.parameters if not p.frozen})
    said = " ".join([str(result.message), *getattr(result, "hints", ())])
    return {
        "seconds": seconds,
        "error": "",
        "success": bool(result.success),
        "message": said,
        "blamed": [name for name in field.truth if name in said],
        "stat": float(field.datasets.stat_sum()),
        "calls": int(result.nfev if package == "gpudl4" else result.optimize_result.nfev),
    }


def _library(package):
    from benchmarks.cases import library

    return library(package)


def _to_gammapy(datasets):
    """The datasets as those of gammapy, each with the models of its own: see `benchmarks.cases.attach`."""
    import gpudl4

    out = gpudl4.to_gammapy(datasets)
    models = out.models
    for dataset in out:
        dataset.models = models
    return out


def _times_median(fits):
    """How many times the median of its size each fit took."""
    by_size = {}
    for one in fits:
        by_size.setdefault(one["size"], []).append(one["seconds"])
    return [one["seconds"] / statistics.median(by_size[one["size"]]) for one in fits]


def is_above(one):
    """Whether a fit converged above the statistic of the truth."""
    return one["success"] and one["stat"] > one["truth"] + ABOVE


def show(fits):
    """Markdown table by size, and of all."""
    header = ("size", "fields", "exceptions", "not converged", "of these blame nothing", "above the truth", "median ms", "longest/median")
    groups = {size: [i for i, one in enumerate(fits) if one["size"] == size] for size in sorted({one["size"] for one in fits})}
    times, rows = _times_median(fits), []
    for title, members in {**groups, "all": range(len(fits))}.items():
        own = [fits[i] for i in members]
        failed = [one for one in own if not one["success"] and not one["error"]]
        median = f"{1e3 * statistics.median(one['seconds'] for one in own):.0f}"
        silent, died = sum(not one["blamed"] for one in failed), sum(bool(one["error"]) for one in own)
        rows.append((title, len(own), died, len(failed), silent, sum(map(is_above, own)), median, f"{max(times[i] for i in members):.1f}"))
    return markdown(header, rows)


def faults(fits):
    """Whether what is wanted holds, and a line about every field that is at fault or did not converge."""
    share = sum(one["success"] for one in fits) / len(fits)
    wrong = [one for one in fits if one["error"] or is_above(one)]
    silent = [one for one in fits if not one["success"] and not one["error"] and not one["blamed"]]
    slow = [one for one, times in zip(fits, _times_median(fits), strict=True) if times > LONGEST]
    verdict = "met" if share >= WANTED and not (wrong or silent or slow) else "not met"
    yield f"{100 * share:.1f} % converge (wanted: {100 * WANTED:.0f} %, and none at fault): {verdict}"
    for one in fits:
        if one["success"] and one not in wrong and one not in slow:
            continue
        title = one["error"] or ("above the truth" if is_above(one) else "took long" if one["success"] else "not converged")
        what = f"{one['kind']}, {one['size']}, {one['n_free']} parameters"
        ended = f"{one['stat'] - one['truth']:+.3f} against the truth, {one['seconds']:.2f} s, {one['calls']} calls"
        yield f"* {one['field']} ({what}): {title}, {ended}. {one['message']}"


if __name__ == "__main__":
    main()
