"""Do the errors mean what they say? Simulate, fit, look at pulls and coverage, for every kind of dataset.

::

    python benchmarks/pulls.py                               # 2000 fits of each kind, some minutes
    python benchmarks/pulls.py --cases spectrum wstat --number 500
    python benchmarks/pulls.py --json bench-output/pulls.json

Each case (`benchmarks/pull_cases.py`) draws datasets from known parameters (`dataset.fake` with a NumPy Generator) and fits them from there
with `gpudl4.Fit`. A pull is (fitted value - truth) / fitted error: its mean should be 0 and its width 1, and 68.3 and 95.4 % of the
intervals of 1 and 2 errors should hold the truth. The numbers behind ± are what so many fits cannot tell apart from that; ``!`` marks what
is off by more than three of them. The bias is that of the median of the fitted values. For wstat the column "predicted" has the mean of the
pulls that follows from the derivative of the statistic at the truth (`benchmarks/wstat_bias.py`), without any fit.
"""

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from tqdm import tqdm

from benchmarks.cases import library
from benchmarks.measure import finish, markdown, new_record, print_machine, quiet
from benchmarks.pull_cases import CASES
from benchmarks.wstat_bias import predict

EXPECTED = {1: 0.6827, 2: 0.9545}  # of a normal distribution within so many standard deviations
SURPRISE = 3.0  # standard deviations beyond which a row is marked


# ---- fits ----------------------------------------------------------------------------------------------------------------------------
def draw(case, lib, rng):
    """Simulated data of a case without end: one dataset with the true models, and the expected background of its off counts or None."""
    dataset = case.build(lib)
    background = None if case.background is None else case.background(lib).background
    truth = [(p, p.value) for model in dataset.models for p in model.parameters]
    while True:
        for parameter, value in truth:
            parameter.value = value
        dataset.fake(rng) if background is None else dataset.fake(background, rng)
        yield dataset, background


def free_parameters(datasets):
    """Free parameters of all datasets by name, each once."""
    found = {}
    for model in (model for dataset in datasets for model in dataset.models):
        found |= {p: f"{model.name.removeprefix('data-')}.{p.name}" for p in model.parameters if not p.frozen and p not in found}
    return {name: p for p, name in found.items()}


def simulate(case, number, seed=0, progress=True):
    """Fit `number` simulated datasets.

    Returns
    -------
    dict
        ``pulls`` {parameter: list}, ``bias`` {parameter: median of fitted value / truth - 1}, ``failed`` fits, ``empty``, the mean
        share of fitted bins without off counts (None without any), and ``predicted`` {parameter: mean of the pulls} for wstat.
    """
    lib, pulls, ratios, failed, empty = library("gpudl4"), {}, {}, 0, []
    drawn = draw(case, lib, np.random.default_rng(seed))
    for _ in tqdm(range(number), desc=case.name, disable=not (progress and sys.stderr.isatty())):
        datasets = case.datasets(lib, *next(drawn))
        if (off := getattr(datasets[0], "counts_off", None)) is not None:
            empty.append(float((off.data == 0)[datasets[0].mask.data].mean()))
        free = free_parameters(datasets)
        truth = {name: p.value for name, p in free.items()}
        result = lib.Fit(search_radius="0 deg", dtype=case.dtype).run(datasets)
        if not result.success:
            failed += 1
            continue
        for name, parameter in free.items():
            pulls.setdefault(name, []).append((parameter.value - truth[name]) / parameter.error)
            ratios.setdefault(name, []).append(parameter.value / truth[name] if truth[name] else np.nan)
    bias = {name: float(np.median(values)) - 1 for name, values in ratios.items()}
    predicted = {name: mean for name, (mean, _) in predict(case, lib).items()}
    return {"pulls": pulls, "bias": bias, "failed": failed, "empty": float(np.mean(empty)) if empty else None, "predicted": predicted}


def summary(pulls):
    """Mean, width and coverage of pulls, with the errors that so many independent normal numbers would have."""
    pulls = np.asarray(pulls, dtype=float)
    n = len(pulls)
    out = {"n": n, "mean": (pulls.mean(), 1 / math.sqrt(n)), "width": (pulls.std(ddof=1), 1 / math.sqrt(2 * n))}
    for sigma, share in EXPECTED.items():
        out[f"within {sigma}"] = (float((np.abs(pulls) <= sigma).mean()), math.sqrt(share * (1 - share) / n))
    return out


def surprises(numbers):
    """Names of the entries of a summary that are off by more than `SURPRISE` errors."""
    wanted = {"mean": 0.0, "width": 1.0, **{f"within {sigma}": share for sigma, share in EXPECTED.items()}}
    return [name for name, value in wanted.items() if abs(numbers[name][0] - value) > SURPRISE * numbers[name][1]]


def table(results):
    """All parameters of all cases as a markdown table."""
    rows = []
    for name, result in results.items():
        empty = "" if result["empty"] is None else f"{100 * result['empty']:.0f}"
        for parameter, pulls in result["pulls"].items():
            numbers = summary(pulls)
            odd = surprises(numbers)
            predicted = f"{result['predicted'][parameter]:.3f}" if parameter in result["predicted"] else ""
            bias = f"{100 * result['bias'][parameter]:.1f}" if math.isfinite(result["bias"][parameter]) else ""

            def cell(key, scale=1.0, form=".3f", numbers=numbers, odd=odd):
                value, error = numbers[key]
                return f"{value * scale:{form}} ± {error * scale:{form}}{' !' * (key in odd)}"

            rows.append(
                (CASES[name].text, empty, parameter, f"{numbers['n']}", f"{result['failed']}", bias, predicted, cell("mean"),
                 cell("width"), cell("within 1", 100, ".1f"), cell("within 2", 100, ".1f"))
            )  # fmt: skip
    header = [
        "dataset",
        "no off, %",
        "parameter",
        "fits",
        "failed",
        "bias, %",
        "predicted",
        "mean of pulls",
        "width",
        "within 1 error, %",
        "within 2, %",
    ]
    return markdown(header, rows)


def main(arguments=None):
    """Simulate and fit, print a table."""
    parser = argparse.ArgumentParser(description="Pulls and coverage of fits of simulated datasets.")
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=tuple(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--number", type=int, default=2000, help="fits per case (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="JSON file to write")
    options = parser.parse_args(arguments)
    record = new_record()
    print_machine(record)
    with quiet():
        record["results"] = {name: simulate(CASES[name], options.number, options.seed) for name in options.cases}
    print(f"\nexpected: mean 0, width 1, {100 * EXPECTED[1]:.1f} % and {100 * EXPECTED[2]:.1f} %\n")
    print(table(record["results"]))
    finish(record, options.json)
    return record


if __name__ == "__main__":
    main()
