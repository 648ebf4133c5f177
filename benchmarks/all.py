"""Run every benchmark whose table stands in the documents, one after the other, and keep what they print.

::

    python benchmarks/all.py                     # all but robustness, which takes as long as all others together
    python benchmarks/all.py --only memory limits
    python benchmarks/all.py --robustness

Each runner is a process of its own and prints to the terminal as usual; its output goes to ``bench-output/NAME.txt`` too, with the command
in the first line, and its JSON record to ``bench-output/NAME.json``. A runner that fails does not keep the others from running; the exit
status says so at the end. Nothing else should run on the machine meanwhile.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNNERS = {  # in the order of docs/performance.md: words behind "python benchmarks/"
    "run": ("run.py", "--repeat", "3", "--output", "{json}"),
    "spectra": ("spectra.py", "--json", "{json}"),
    "covariance": ("covariance.py", "--json", "{json}"),
    "scaling": ("scaling.py", "--json", "{json}"),
    "limits": ("limits.py", "--json", "{json}"),
    "startup": ("startup.py", "--processes", "20", "--warmup", "--json", "{json}"),
    "precision": ("precision.py",),
    "memory": ("memory.py", "--json", "{json}"),
}
LONG = {"robustness": ("robustness.py", "--json", "{json}")}


def main(arguments=None):
    """Run what was asked for; 1 if a runner failed, else 0."""
    options = parse(arguments)
    wanted = {**RUNNERS, **(LONG if options.robustness else {})}
    options.folder.mkdir(parents=True, exist_ok=True)
    failed = {}
    for name in options.only or wanted:
        begun = time.perf_counter()
        words = [word.format(json=options.folder / f"{name}.json") for word in (RUNNERS | LONG)[name]]
        if status := keep(words, options.folder / f"{name}.txt"):
            failed[name] = status
        print(f"({name}: {time.perf_counter() - begun:.0f} s)\n", flush=True)
    if failed:
        print("failed: " + ", ".join(f"{name} (exit status {status})" for name, status in failed.items()), file=sys.stderr)
    return int(bool(failed))


def parse(arguments):
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="Run every benchmark and keep what it prints.")
    parser.add_argument("--only", nargs="+", choices=(*RUNNERS, *LONG), metavar="NAME", help=", ".join((*RUNNERS, *LONG)))
    parser.add_argument("--robustness", action="store_true", help="also the fits from many starts, which take long")
    parser.add_argument("--folder", type=Path, default=Path("bench-output"), help="where to keep the output (default bench-output)")
    return parser.parse_args(arguments)


def keep(words, path):
    """Run a benchmark; what it prints goes to the terminal and to a file. Returns its exit status."""
    command = f"python benchmarks/{' '.join(words)}"
    print(f"$ {command}", flush=True)
    program = [sys.executable, str(ROOT / "benchmarks" / words[0]), *words[1:]]
    with (
        path.open("w", encoding="utf-8") as file,
        subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8") as process,
    ):
        file.write(f"$ {command}\n")
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
