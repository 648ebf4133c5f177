"""How many fits from far away reach the best minimum, and whether the others say that they failed.

::

    python benchmarks/robustness.py                              # every trial, 100 starts each, gpudl4 alone
    python benchmarks/robustness.py --starts 20 --gammapy 5      # the first 20, and the first 5 of them with gammapy
    python benchmarks/robustness.py --trials cta-extended --only 7 12   # two of them again

Start i is the same in every run: every source 0.3 deg from its place in a random direction, amplitudes a factor 5, extensions a factor 3
and indices 0.5 up or down (`--inside`: anywhere within these). "Its place" is the minimum that a fit from the right values finds; cut-off
energies and norms begin there. A start reaches the best if its statistic is within 0.1 of the lowest of the whole run, gammapy's fits
included; all final parameters are evaluated by gpudl4, compiled anew at each. A start that does not has to say ``success=False``: one
that says True is counted as "wrong and sure". Every start that missed the best is printed with all it takes to replay it.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measure import finish, limit_cores, load, markdown, new_record, print_machine, quiet

CLOSE = 0.1  # of the statistic
WANTED = 0.95  # share of starts


def main(arguments=None):
    """Fit from all starts, print a table and the failures, write the JSON file."""
    from benchmarks.starts import TRIALS

    options = parse(arguments)
    limit_cores(options.cores)
    record = {**new_record(), "inside": options.inside, "trials": {}}
    print_machine(record)
    for name in options.trials:
        trial = TRIALS[name]
        if trial.missing(options.data):
            print(f"\n{name}: left out, not found: {', '.join(trial.missing(options.data))} (--data or GPUDL4_TEST_DATA names the folder)")
            continue
        with quiet():
            record["trials"][name] = own = run(trial, options)
        print(f"\n## {name}, load {load()}\n\n{show(own)}\n")
        print("\n".join(failures(name, own, options)), flush=True)
    finish(record, options.json)
    return record


def parse(arguments):
    """Options of the command line."""
    from benchmarks.cases import data_folder
    from benchmarks.starts import TRIALS

    parser = argparse.ArgumentParser(description="How many fits from far away reach the best minimum.")
    parser.add_argument("--trials", nargs="+", choices=tuple(TRIALS), default=tuple(TRIALS), metavar="TRIAL", help=", ".join(TRIALS))
    parser.add_argument("--starts", type=int, default=100, help="number of starts (default 100)")
    parser.add_argument("--only", type=int, nargs="+", metavar="I", help="these starts instead of the first ones")
    parser.add_argument("--gammapy", type=int, default=0, metavar="N", help="the first N of them with gammapy as well (default 0)")
    parser.add_argument("--inside", action="store_true", help="starts anywhere within the limits instead of on them")
    parser.add_argument("--cores", type=int, default=2, help="cores to use (default 2; 0: all)")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the real data")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    return parser.parse_args(arguments)


def run(trial, options):
    """All fits of a trial: where they belong, and one entry per fit and package."""
    numbers = options.only if options.only is not None else range(options.starts)
    datasets = {"gpudl4": trial.reader("gpudl4", options.data)}
    if options.gammapy:
        datasets["gammapy"] = trial.reader("gammapy", options.data)
    home = fit(trial, "gpudl4", datasets, {})
    centre = home["values"]
    out = {"home": home, "fits": {package: [] for package in datasets}}
    for package, own in out["fits"].items():
        for i in list(numbers)[: options.gammapy if package == "gammapy" else None]:
            start = trial.start(i, centre, options.inside)
            own.append({"start": i, "from": start, **fit(trial, package, datasets, start)})
    everything = [home, *(one for own in out["fits"].values() for one in own)]
    out["best"] = min(one["stat"] for one in everything)
    return out


def fit(trial, package, datasets, start):
    """One fit: seconds, success, message, final values, and their statistic in gpudl4."""
    from benchmarks.cases import attach, library
    from benchmarks.starts import new_models

    models = new_models(trial, package, start)
    attach(package, datasets[package], models)
    begun = time.perf_counter()
    try:
        result = library(package).Fit().run(datasets[package])
    except Exception as error:  # a fit that dies is a failure like others, to be listed with its start
        return {"seconds": time.perf_counter() - begun, "success": False, "message": f"{type(error).__name__}: {error}", "values": start,
                "stat": float("inf"), "own stat": float("inf"), "calls": 0}  # fmt: skip
    seconds = time.perf_counter() - begun
    values = {f"{m.name}.{p.name}": float(p.value) for m in models for p in m.parameters if not p.frozen}
    return {
        "seconds": seconds,
        "success": bool(result.success),
        "message": str(result.message),
        "values": values,
        "stat": judge(trial, datasets["gpudl4"], values),
        "own stat": float(result.total_stat),
        "calls": int(result.nfev if package == "gpudl4" else result.optimize_result.nfev),
    }


def judge(trial, datasets, values):
    """Statistic of parameter values in gpudl4, compiled at them; infinite if they cannot be compiled."""
    import gpudl4
    from benchmarks.cases import attach
    from benchmarks.starts import new_models
    from gpudl4.core.errors import GPUDL4Error

    attach("gpudl4", datasets, new_models(trial, "gpudl4", values))
    try:
        likelihood = gpudl4.compile(datasets)
    except GPUDL4Error:
        return float("inf")
    return likelihood.value(likelihood.theta0)


def sort(fits, best):
    """Fits as (reached, reached but unsure, failed and says so, wrong and sure)."""
    reached = [one for one in fits if one["stat"] <= best + CLOSE]
    missed = [one for one in fits if one not in reached]
    return (
        [one for one in reached if one["success"]],
        [one for one in reached if not one["success"]],
        [one for one in missed if not one["success"]],
        [one for one in missed if one["success"]],
    )


def show(own):
    """One line per package as markdown."""
    header = ("package", "starts", "reach the best", "of these unsure", "fail and say so", "wrong and sure", "lowest", "median s", "calls")
    lines = []
    for package, fits in own["fits"].items():
        sure, unsure, failed, wrong = sort(fits, own["best"])
        lowest = min((one["stat"] for one in fits), default=float("nan"))
        lines.append(
            (package, len(fits), len(sure) + len(unsure), len(unsure), len(failed), len(wrong), f"{lowest:.3f}",
             f"{statistics.median(one['seconds'] for one in fits):.3f}", f"{statistics.median(one['calls'] for one in fits):.0f}")
        )  # fmt: skip
    return markdown(header, lines)


def failures(name, own, options):
    """Lines about every start that did not reach the best or was not sure of it, with what replays it."""
    for package, fits in own["fits"].items():
        sure, unsure, failed, wrong = sort(fits, own["best"])
        if package == "gpudl4":
            share = (len(sure) + len(unsure)) / len(fits)
            verdict = "met" if share >= WANTED and not wrong else "not met"
            yield f"gpudl4: {100 * share:.0f} % reach the best (wanted: {100 * WANTED:.0f} %, the rest unsuccessful): {verdict}"
        for title, group in (("unsure", unsure), ("fails", failed), ("wrong and sure", wrong)):
            for one in group:
                yield f"* {package}, start {one['start']}, {title}, {one['stat'] - own['best']:+.3f}: {one['message']}"
                yield f"  from {_values(one['from'])}"
                yield f"  to   {_values(one['values'])}"
                inside = " --inside" if options.inside else ""
                yield f"  replay: python benchmarks/robustness.py --trials {name} --only {one['start']}{inside}"


def _values(values):
    return ", ".join(f"{name} {value:.5g}" for name, value in values.items())


if __name__ == "__main__":
    main()
