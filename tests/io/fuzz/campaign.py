"""A campaign: damaged files are read by a child process, with limits of time and memory; what it says, or does not say, is counted."""

import argparse
import collections
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from .child import GOOD
from .samples import SAMPLES, write_samples

__all__ = ["main", "run"]

SECONDS = 120  # for one file; a good one takes a tenth of a second, but a new type of number may compile kernels first
START = 300  # for the child to read and use all good files, which may compile kernels
ROOT = Path(__file__).resolve().parents[3]


class Child:
    """The reading process, and a thread that waits for its answers."""

    def __init__(self, good, keep=None):
        command = [sys.executable, "-m", "tests.io.fuzz.child", str(good), *([str(keep)] if keep else [])]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._log = Path(good).with_suffix(".log")
        with self._log.open("w") as log:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)
        self._lines = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        if self._next(START) != "ready":
            raise RuntimeError(f"the reading process does not start: {self._tail()}")

    def _listen(self):
        for line in self._process.stdout:
            self._lines.put(line.strip())
        self._lines.put(None)

    def _next(self, seconds):
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            return "late"

    def _tail(self):
        """End of what the process has written elsewhere."""
        return self._log.read_text(errors="replace")[-2000:]

    def judge(self, name, seed):
        """Answer for one damaged file: name, seed, what was done, verdict, message."""
        try:
            print(name, seed, file=self._process.stdin, flush=True)
            answer = self._next(SECONDS)
        except BrokenPipeError:
            answer = None
        if answer is None or answer == "late":
            log = self._tail()
            self.close()
            return [name, seed, "?", "hang" if answer == "late" else "crash", log]
        return json.loads(answer)

    @property
    def is_alive(self):
        """Whether it can be asked."""
        return self._process.poll() is None

    def close(self):
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            stream.close()


def run(seed=0, number=None, seconds=None, names=None, keep=None, seeds=None, tell=None):
    """Damage and read files until a number or a time is reached.

    Parameters
    ----------
    seed : int
        The files of a campaign follow from it.
    number : int, optional
        Files.
    seconds : float, optional
        Time; at least one of the two.
    names : list of str, optional
        Samples, by default all.
    keep : pathlib.Path, optional
        Folder that gets the last damaged file and its neighbours.
    seeds : list of int, optional
        These damages instead of random ones.
    tell : callable, optional
        Called with each answer that is a fault.

    Returns
    -------
    counts : collections.Counter
        Files by sample and verdict.
    faults : list
        Answers whose verdict is a fault.
    """
    rng, end = random.Random(seed), None if seconds is None else time.monotonic() + seconds
    names = names or [sample.name for sample in SAMPLES]
    counts, faults, child, done = collections.Counter(), [], None, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "good"
        folder.mkdir()
        write_samples(folder)
        try:
            while (number is None or done < number) and (end is None or time.monotonic() < end):
                if child is None or not child.is_alive:
                    child = Child(folder, keep)
                    end = None if seconds is None else max(end, time.monotonic() + 1)
                name = names[done % len(names)]
                answer = child.judge(name, seeds[done] if seeds else rng.getrandbits(40))
                done += 1
                counts[name, answer[3]] += 1
                if answer[3] not in GOOD:
                    faults.append(answer)
                    if tell is not None:
                        tell(answer)
        finally:
            if child is not None and child.is_alive:
                child.close()
    return counts, faults


def _show(answer):
    name, seed, what, verdict, detail = answer
    print(f"\nFAULT {verdict}   --only {name}:{seed}   {what}\n{detail}", flush=True)


def main(arguments=None):
    """Run a campaign from the command line; the exit code is 1 if there are faults."""
    parser = argparse.ArgumentParser(prog="python -m tests.io.fuzz", description="Read damaged files and count what comes of it.")
    parser.add_argument("--number", type=int, help="files to damage")
    parser.add_argument("--hours", type=float, help="time to spend")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(30), help="repeats a campaign (random by default)")
    parser.add_argument("--samples", nargs="+", metavar="NAME", help="only these files")
    parser.add_argument("--only", metavar="NAME:SEED", help="one damage again, as a fault names it")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the last damaged file here")
    options = parser.parse_args(arguments)
    if options.only:
        name, seed = options.only.split(":")
        counts, faults = run(names=[name], seeds=[int(seed)], number=1, keep=options.keep, tell=_show)
    else:
        seconds = None if options.hours is None else 3600 * options.hours
        number = 1000 if options.number is None and seconds is None else options.number
        print(f"seed {options.seed}", flush=True)
        counts, faults = run(options.seed, number, seconds, options.samples, options.keep, tell=_show)
    for name in sorted({name for name, _ in counts}):
        print(f"{name:24s}", ", ".join(f"{verdict} {count}" for (other, verdict), count in sorted(counts.items()) if other == name))
    print(f"\n{sum(counts.values())} files, {len(faults)} faults")
    sys.exit(1 if faults else 0)
