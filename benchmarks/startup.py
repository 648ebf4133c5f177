"""How long it takes until a new process has a result: compiled before, for the very first time, and twenty at once.

::

    python benchmarks/startup.py                     # one process, compiled and not
    python benchmarks/startup.py --processes 20      # also so many that start together where nothing is compiled
    python benchmarks/startup.py --warmup            # also how long `gpudl4 warmup` takes

A process imports gpudl4, reads a dataset, fits it and ends; this is the time from start to end. "nothing compiled" means an empty folder
for compiled code (``NUMBA_CACHE_DIR``). Of processes that start together, the times of the first and the last are shown, and then that of
one more, which must not compile anything.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.cases import CASES, data_folder
from benchmarks.measure import finish, markdown, new_record, print_machine

WARM, FIRST = 3, 40  # s, the goals
PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from benchmarks.cases import CASES, attach
from gpudl4 import Fit
case = CASES[{case!r}]
datasets = case.read("gpudl4", {data!r})
attach("gpudl4", datasets, case.models("gpudl4", {data!r}))
print(repr(Fit().run(datasets).total_stat))
"""


def main(arguments=None):
    """Measure what was asked for, print a table."""
    options = parse(arguments)
    record = new_record()
    print_machine(record)
    if missing := CASES[options.case].missing(options.data):
        raise SystemExit(f"{options.case}: not found: {', '.join(missing)} (--data or GPUDL4_TEST_DATA names the folder)")
    rows = record["rows"] = []

    def add(what, seconds, goal, lines, stats):
        rows.append({"what": what, "seconds": seconds, "goal": goal, "lines on stderr": lines, "stat": sorted(set(stats))})

    with tempfile.TemporaryDirectory() as folder:
        first = finished([start(options, folder)])
        add("nothing compiled", seconds_of(first), FIRST, *said(first))
        warm = [one for _ in range(options.repeat) for one in finished([start(options, folder)])]
        add(f"compiled, best of {options.repeat}", [min(seconds_of(warm))], WARM, *said(warm))
    if options.processes:
        with tempfile.TemporaryDirectory() as folder:
            many = finished([start(options, folder) for _ in range(options.processes)])
            add(f"{options.processes} at once, nothing compiled", seconds_of(many), None, *said(many))
            after = finished([start(options, folder)])
            add("one more", seconds_of(after), None, *said(after))
    if options.warmup:
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            command = [sys.executable, "-m", "gpudl4", "warmup", "--backend", "numpy"]
            subprocess.run(command, env={**os.environ, "NUMBA_CACHE_DIR": folder}, check=True, capture_output=True)
            add("gpudl4 warmup", [time.perf_counter() - begun], None, 0, [])
            after = finished([start(options, folder)])
            add("a fit after it", seconds_of(after), WARM, *said(after))
    print(f"\n{options.case}, seconds of a process that imports, reads and fits\n")
    print(markdown(("", "s", "goal", "lines on stderr", "statistics"), [line(row) for row in rows]))
    finish(record, options.json)
    return record


def parse(arguments):
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="Time from the start of a process to the end of a fit.")
    parser.add_argument("--case", choices=tuple(CASES), default="cta-point", help="what is fitted (default cta-point)")
    parser.add_argument("--processes", type=int, default=0, metavar="N", help="also start N at once where nothing is compiled")
    parser.add_argument("--warmup", action="store_true", help="also time `gpudl4 warmup` where nothing is compiled")
    parser.add_argument("--repeat", type=int, default=5, help="runs where everything is compiled (default 5)")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the real data")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    return parser.parse_args(arguments)


def start(options, folder):
    """Start a process; compiled code is kept in `folder`. Returns it and the time."""
    program = PROGRAM.format(root=str(Path(__file__).resolve().parent.parent), case=options.case, data=str(options.data))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, time.perf_counter()


def finished(started):
    """Wait for processes: list of (seconds, statistic, lines on stderr). What they write is less than a pipe holds."""
    waiting, out = list(started), []
    while waiting:
        for item in [item for item in waiting if item[0].poll() is not None]:
            process, begun = item
            seconds = time.perf_counter() - begun
            stdout, stderr = process.communicate()
            if process.returncode:
                raise RuntimeError(f"a process failed:\n{stderr}")
            out.append((seconds, float(stdout), len(stderr.splitlines())))
            waiting.remove(item)
        time.sleep(0.005)
    return out


def seconds_of(runs):
    """Seconds of the first and the last that ended."""
    seconds = sorted(seconds for seconds, _, _ in runs)
    return [seconds[0], seconds[-1]] if len(seconds) > 1 else seconds


def said(runs):
    """Largest number of lines on stderr, and all statistics."""
    return max(lines for _, _, lines in runs), [stat for _, stat, _ in runs]


def line(row):
    """A row of the table."""
    seconds = " to ".join(f"{value:.1f}" for value in row["seconds"])
    goal = "" if row["goal"] is None else f"{row['goal']}{' !' if row['seconds'][-1] > row['goal'] else ''}"
    return row["what"], seconds, goal, row["lines on stderr"], ", ".join(f"{stat:.6f}" for stat in row["stat"])


if __name__ == "__main__":
    main()
