"""How near each kernel comes to what the machine can do: bytes/s and flop/s beside a copy and a matrix product of the same run.

::

    python benchmarks/limits.py                            # cta-point, cta-extended and hawc
    python benchmarks/limits.py --cases simulated --json bench-output/limits.json

A case is compiled at its start and evaluated again and again; each kernel is timed where it stands in the evaluation, on one thread and
as it runs ("ms": with threads where they pay, which the other columns are about). What it has to do is counted from its tables
(`benchmarks/counts.py`). "limit" is the least time that the machine's own rates allow: bytes by the copy of the next larger size, or
operations by the matrix product plus logarithms and exponentials by a loop of these, whichever takes longer. "of limit" is that time
divided by the time taken. For kernels on n threads the rates are the best of those with up to n. A kernel whose data the step before left
in the cache can beat the copy.
"""

import argparse
import contextlib
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measure import finish, limit_cores, load, markdown, new_record, print_machine

DEFAULT = ("cta-point", "cta-extended", "hawc")
SIMULATED = "simulated"


def main(arguments=None):
    """Measure what was asked for, print tables, write the JSON file."""
    from benchmarks.rates import measure_rates

    options = parse(arguments)
    cores = limit_cores(options.cores)
    record = {**new_record(), "rates": {}, "cases": {}}
    print_machine(record)
    for threads in sorted({1, cores}):
        record["rates"][threads] = measure_rates(threads, options.quick)
    rates = {threads: best_rates(record["rates"], threads) for threads in record["rates"]}
    print(f"\n## The machine\n\n{show_rates(record['rates'])}", flush=True)
    for name in options.cases:
        likelihood = compiled(name, options)
        if likelihood is None:
            continue
        rows = {threads: measure(likelihood, threads, options.repeat) for threads in sorted({1, cores})}
        print(f"\n## {name}: {likelihood}, load {load()}")
        print(f"\n{show(rows, rates[cores])}", flush=True)
        record["cases"][name] = {
            threads: {kernel: as_dict(*own, rates[threads]) for kernel, own in row.items()} for threads, row in rows.items()
        }
    finish(record, options.json)
    return record


def parse(arguments):
    """Options of the command line."""
    from benchmarks.cases import CASES, data_folder

    parser = argparse.ArgumentParser(description="How near each kernel comes to what the machine can do.")
    known = (*CASES, SIMULATED)
    parser.add_argument("--cases", nargs="+", choices=known, default=DEFAULT, metavar="CASE", help=", ".join(known))
    parser.add_argument("--repeat", type=int, default=30, help="evaluations that are timed (default 30)")
    parser.add_argument("--pixels", type=int, default=250, help="width of the simulated field (default 250)")
    parser.add_argument("--cores", type=int, default=2, help="cores to use (default 2; 0: all)")
    parser.add_argument("--quick", action="store_true", help="small arrays for the machine's own rates")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the real data")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    return parser.parse_args(arguments)


def compiled(name, options):
    """Likelihood of a case on the host, or None, with a word, where its data are missing."""
    import gpudl4
    from benchmarks.cases import CASES, attach

    if name == SIMULATED:
        return gpudl4.compile(_simulated(options.pixels), backend="numpy")
    case = CASES[name]
    if case.missing(options.data):
        print(f"\n{name}: left out, not found: {', '.join(case.missing(options.data))} (--data or GPUDL4_TEST_DATA names the folder)")
        return None
    datasets = case.read("gpudl4", options.data)
    attach("gpudl4", datasets, case.models("gpudl4", options.data))
    return gpudl4.compile(datasets, backend="numpy")


def _simulated(pixels):
    """Three points and a Gaussian."""
    from benchmarks.fields import gaussian, make_dataset, points

    width = 0.02 * pixels
    models = points(3, radius=0.3 * width)
    models.append(gaussian("shape", 0.08 * width, -0.06 * width, sigma=0.03 * width))
    return [make_dataset(pixels, models=models, seed=1)]


@contextlib.contextmanager
def threads_limited(number):
    """Let kernels and Fourier transforms use at most so many threads."""
    import numba

    from gpudl4.likelihood import transforms

    before, workers = numba.get_num_threads(), transforms.WORKERS
    numba.set_num_threads(min(number, before))
    transforms.WORKERS = min(number, workers)
    try:
        yield
    finally:
        numba.set_num_threads(before)
        transforms.WORKERS = workers


def measure(likelihood, threads, repeat):
    """Median seconds and work of each kernel that is counted, in the order they run: ``{name: (seconds, Work)}``."""
    from benchmarks.counts import COUNTED, work
    from benchmarks.spy import Spy, Unseen

    call = Unseen(likelihood)
    with threads_limited(threads), Spy(likelihood) as spy:
        call()
        spy.clear()
        for _ in range(repeat):
            call()
    return {name: (statistics.median(spy.seconds[name]), work(name, spy.arguments[name])) for name in COUNTED if name in spy.seconds}


def best_rates(rates, threads):
    """The best of the rates with at most so many threads: on a busy machine two threads may do less than one."""
    allowed = [own for number, own in rates.items() if number <= threads]
    best = {name: max(own[name] for own in allowed) for name in ("flops", "exp", "log")}
    return {"copy": {size: max(own["copy"][size] for own in allowed) for size in allowed[0]["copy"]}, **best}


def least(own, rates):
    """Least time for a `Work`, and what limits it."""
    size = min((s for s in rates["copy"] if s >= own.bytes), default=max(rates["copy"]))
    by_bytes = own.bytes / rates["copy"][size]
    by_functions = sum(number / rates[name] for name, number in own.functions.items())
    by_operations = own.operations / rates["flops"] + by_functions
    if by_bytes > by_operations:
        return by_bytes, "bytes"
    return by_operations, "functions" if by_functions > by_operations / 2 else "operations"


def as_dict(seconds, own, rates):
    """A row as plain numbers."""
    limit, by = least(own, rates)
    return {"median": seconds, "bytes": float(own.bytes), "operations": float(own.operations), "functions": own.functions, "limit": limit,
            "limited by": by}  # fmt: skip


def show(rows, rates):
    """A case as markdown: how it runs, and the time on one thread beside it.

    Parameters
    ----------
    rows : dict
        By number of threads what `measure` gives.
    rates : dict
        With the largest number of threads.
    """
    header = ("kernel", "ms, one thread", "ms", "MB", "Mflop", "M log, exp", "GB/s", "Gflop/s", "limit ms", "by", "of limit")
    lines, most = [], max(rows)
    for name, (seconds, own) in rows[most].items():
        limit, by = least(own, rates)
        functions = sum(own.functions.values())
        lines.append(
            (name, f"{1e3 * rows[1][name][0]:.3f}", f"{1e3 * seconds:.3f}", f"{own.bytes / 1e6:.3g}",
             f"{own.operations / 1e6:.3g}", f"{functions / 1e6:.3g}",
             f"{own.bytes / seconds / 1e9:.2f}", f"{own.operations / seconds / 1e9:.2f}", f"{1e3 * limit:.3f}", by,
             f"{100 * limit / seconds:.0f} %")
        )  # fmt: skip
    return markdown(header, lines)


def show_rates(rates):
    """Rates of the machine as markdown."""
    sizes = next(iter(rates.values()))["copy"]
    header = ("threads", *(f"copy of {size / 2**20:g} MB, GB/s" for size in sizes), "matrix product, Gflop/s", "exp, G/s", "log, G/s")
    lines = [
        (threads, *(f"{rate / 1e9:.1f}" for rate in own["copy"].values()), *(f"{own[key] / 1e9:.2f}" for key in ("flops", "exp", "log")))
        for threads, own in rates.items()
    ]
    return markdown(header, lines)


if __name__ == "__main__":
    main()
