"""What every benchmark needs: the machine and its load, timings that survive a busy machine, markdown tables, JSON files.

Use it in a new benchmark like this::

    limit_cores(2)
    print_machine(record := new_record())
    seconds = alternate({"small": small, "large": large})
    print(markdown(("size", "ms"), [(name, milliseconds(s)) for name, s in seconds.items()]))
    finish(record, path)
"""

import contextlib
import gc
import importlib.metadata
import json
import logging
import os
import platform
import statistics
import sys
import time
import warnings
from pathlib import Path

__all__ = [
    "alternate",
    "finish",
    "limit_cores",
    "load",
    "machine",
    "markdown",
    "milliseconds",
    "new_record",
    "print_machine",
    "quiet",
    "versions",
]

PACKAGES = ("gpudl4", "gammapy", "numpy", "scipy", "numba", "iminuit", "astropy")
BUSY = 0.5  # load per core above which times are not to be trusted


def limit_cores(number):
    """Let this process run on at most `number` cores; 0 leaves it as it is.

    To be called before Numba is imported, which counts its threads once. Returns the number of cores the process may use.
    """
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count()
    allowed = sorted(os.sched_getaffinity(0))
    if 0 < number < len(allowed):
        os.sched_setaffinity(0, allowed[:number])
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def quiet():
    """No warnings and no log messages below errors: gammapy writes many, a fit that fails may write as many as it likes."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def load():
    """Average number of processes that wanted to run in the last minute, or None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def machine():
    """Kind of machine: processor, cores and those this process may use, and the load; no names."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    used = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": cpu, "cores": os.cpu_count(), "cores used": used, "system": platform.system(), "load before": load()}


def versions():
    """Versions of Python and of the packages that matter; None for one that is not installed."""
    out = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            out[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            out[name] = None
    return out


def new_record():
    """The beginning of a JSON record: machine and versions."""
    return {"machine": machine(), "versions": versions()}


def print_machine(record):
    """One line about machine, load and versions, and a warning if something else is running."""
    own = record["machine"]
    names = ", ".join(f"{name} {version}" for name, version in record["versions"].items() if version is not None)
    print(f"{own['cpu']}, {own['cores used']} of {own['cores']} cores, load {own['load before']} before; {names}")
    if (own["load before"] or 0) > BUSY * own["cores"]:
        print("The machine is busy with something else: times will be too long, and those of threaded work more so.")


def alternate(calls, seconds=0.5, least=7, most=1000, burst=5):
    """Time calls in turn, so that what else the machine does hits all of them alike.

    A turn is one call that fills the caches and is not timed, and `burst` that are, as calls follow each other in a fit.

    Parameters
    ----------
    calls : dict of callable
        Every one is called once before all others are, so that what compiles at first use is compiled.
    seconds : float
        Time to spend on each, as far as `least` and `most` calls allow.

    Returns
    -------
    dict of list of float
        Seconds of each call.
    """
    taken = {name: [] for name in calls}
    for call in calls.values():
        call()
    gc.collect()
    wanted = set(calls)
    while wanted:
        for name in [n for n in calls if n in wanted]:
            own = taken[name]
            calls[name]()
            for _ in range(burst):
                begun = time.perf_counter()
                calls[name]()
                own.append(time.perf_counter() - begun)
            if len(own) >= most or (len(own) >= least and sum(own) >= seconds):
                wanted.discard(name)
    return taken


def milliseconds(seconds):
    """``median (minimum)`` of a list of seconds, in milliseconds, as text."""
    return f"{1e3 * statistics.median(seconds):.3g} ({1e3 * min(seconds):.3g})"


def markdown(header, rows):
    """A markdown table as text; cells are padded, numbers to the right."""
    table = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    right = [len(rows) > 0 and all(_is_number(row[i]) for row in table[1:]) for i in range(len(header))]

    def line(cells):
        padded = (cell.rjust(w) if to_right else cell.ljust(w) for cell, w, to_right in zip(cells, widths, right, strict=True))
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + (":" if to_right else "-") for w, to_right in zip(widths, right, strict=True)) + "|"
    return "\n".join([line(table[0]), rule, *map(line, table[1:])])


def _is_number(cell):
    return not cell.strip("0123456789.,+-*%() einfa")


def finish(record, path):
    """Note the load afterwards, and write the record as JSON if a path is given."""
    record["machine"]["load after"] = load()
    record["command"] = " ".join(Path(word).name if i == 0 else word for i, word in enumerate(sys.argv))
    print(f"\nload {record['machine']['load after']} after")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(f"written: {path}")
