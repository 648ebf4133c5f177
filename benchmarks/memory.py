"""How much memory a process needs that reads a dataset and fits it, with gpudl4 and with gammapy.

::

    python benchmarks/memory.py                               # every case, both packages
    python benchmarks/memory.py --cases hawc --packages gpudl4 --items
    python benchmarks/memory.py --json bench-output/memory.json

Every number comes from a process of its own that does what a user's script does: import, read, fit. "peak" is its largest resident size,
"imports" that of a process which has only imported the same modules, "above" the difference. "own" is the size of the datasets' arrays.
The goal is `FACTOR` times these plus `ROOM` above the imports, and a peak below gammapy's; what misses it is marked with `!`.

Kernels are compiled before: a process of gpudl4 is run once without being measured, because compiling needs memory of its own. Libraries
of compiled code count with the pages that were touched, although processes share them (for gpudl4 70 MB of LLVM, which loads the
kernels). ``--items`` lists what the likelihood at the minimum holds.
"""

import argparse
import contextlib
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.cases import CASES, PACKAGES, attach, data_folder, library
from benchmarks.measure import finish, markdown, new_record, print_machine, quiet

DEFAULT = tuple(name for name in CASES if name != "cta-point-off")  # which differs from cta-point by its start alone
FACTOR, ROOM = 3, 100e6  # the goal: bytes per byte of the datasets, and bytes beside
FIELDS = ("counts", "exposure", "background", "psf", "edisp", "mask_safe", "mask_fit")
STATUS = Path("/proc/self/status")


def main(arguments=None):
    """Measure what was asked for, print a table, write the JSON file."""
    options = parse(arguments)
    if not STATUS.exists():
        raise SystemExit(f"this benchmark reads {STATUS}, which only Linux has")
    record = new_record()
    print_machine(record)
    record["cases"] = {}
    for name in options.cases:
        if missing := CASES[name].missing(options.data):
            print(f"{name}: left out, not found: {', '.join(missing)} (--data or GPUDL4_TEST_DATA names the folder)")
            continue
        record["cases"][name] = {package: measure(package, name, options.data) for package in options.packages}
    print(f"\nMB, peak resident size of read + fit; goal: above <= {FACTOR} own + {ROOM / 1e6:.0f}, peak below gammapy's\n")
    print(table(record["cases"]))
    if options.items:
        for name, case in record["cases"].items():
            if "gpudl4" in case:
                print(f"\n{name}, the likelihood at the minimum:\n{case['gpudl4']['items']}")
    finish(record, options.json)
    return record


def parse(arguments):
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="Peak memory of read + fit, gpudl4 and gammapy.")
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=DEFAULT, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--packages", nargs="+", choices=PACKAGES, default=PACKAGES)
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the real data")
    parser.add_argument("--items", action="store_true", help="also list what the likelihood holds")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    return parser.parse_args(arguments)


def table(cases):
    """The results as a markdown table, megabytes."""

    def number(value):
        return "-" if value is None else f"{value / 1e6:.0f}"

    rows = []
    for name, case in cases.items():
        ours, theirs = case.get("gpudl4", {}), case.get("gammapy", {})
        own = next(iter(case.values()))["own"]
        goal = FACTOR * own + ROOM
        above = None if not ours else ours["peak"] - ours["imports"]
        misses = [
            "above the goal" * (above is not None and above > goal),
            "above gammapy" * bool(ours and theirs and ours["peak"] > theirs["peak"]),
        ]
        verdict = ", ".join(word for word in misses if word)
        rows.append(
            (name, number(own), number(ours.get("imports")), number(ours.get("peak")), number(above), number(goal),
             number(theirs.get("imports")), number(theirs.get("peak")), f"! {verdict}" if verdict else "")
        )  # fmt: skip
    return markdown(("case", "own", "imports", "peak", "above", "goal", "gammapy: imports", "peak", ""), rows)


# ---- one measurement: two processes --------------------------------------------------------------------------------------------------
def measure(package, case, data):
    """Sizes in bytes of one package on one case, as a dict."""
    if package == "gpudl4":
        run("fit", package, case, str(data))  # compiles what has to be compiled
    fit = run("fit", package, case, str(data))
    return {**fit, "imports": run("imports", input=fit.pop("modules"))["resident"]}


def run(*words, input=None):
    """What a process of this file prints, as a dict."""
    command = [sys.executable, str(Path(__file__).resolve()), "--process", *words]
    on_host = {**os.environ, "GPUDL4_BACKEND": "numpy"}  # else an installed CuPy is imported (23 MB) to look for a GPU
    done = subprocess.run(command, input=json.dumps(input), env=on_host, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"measuring failed: {' '.join(words)}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def resident():
    """Resident size of this process and its largest one so far, in bytes."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text(encoding="ascii").splitlines())
    return tuple(1024 * int(lines[key].split()[0]) for key in ("VmRSS", "VmHWM"))


def own_bytes(dataset):
    """Bytes of all arrays of a dataset of either package."""
    total = 0
    for name in FIELDS:
        value = getattr(dataset, name)
        maps = [getattr(value, part, None) for part in ("psf_map", "edisp_map", "exposure_map")] if name in ("psf", "edisp") else [value]
        total += sum(map_.data.nbytes for map_ in maps if map_ is not None)
    return total


def process_fit(package, case, data):
    """Read and fit, as a user does; sizes on the way."""
    case, before = CASES[case], set(sys.modules)
    datasets = case.read(package, data)
    after_read = resident()
    attach(package, datasets, case.models(package, data))
    result = library(package).Fit().run(datasets)
    size, peak = resident()
    out = {
        "own": sum(own_bytes(dataset) for dataset in datasets),
        "after read": after_read[0],
        "peak of read": after_read[1],
        "after fit": size,
        "peak": peak,
        "stat": float(result.total_stat),
        "modules": [name for name in sys.modules if name not in before],
    }
    if package == "gpudl4":
        from gpudl4.likelihood import estimate_memory

        out["items"] = str(estimate_memory(datasets))
    return out


def process_imports(modules):
    """Resident size after importing modules and doing nothing with them."""
    for name in modules:
        with contextlib.suppress(Exception):  # made while running, not to be imported
            importlib.import_module(name)
    return {"resident": resident()[0]}


def process(words):
    """What runs in a process of its own; prints a dict."""
    with quiet():
        out = process_fit(*words[1:]) if words[0] == "fit" else process_imports(json.load(sys.stdin))
    print(json.dumps(out))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--process"]:
        process(sys.argv[2:])
    else:
        main()
