"""Runs the kernel tests on every mutant: ``make mutate``, or ``python -m tests.kernels.mutants.run [file.cu ...]``.

A file ``<stem>.cu`` (or ``.cuh``) is tested by ``tests/kernels/test_<stem>.py``: first in the emulator's checking mode, where most mutants
end, then in the three orders of threads. Exit status 1 if a mutant survives that is not in `equivalent.EQUIVALENT`, or if something
listed there does not survive.
"""

import argparse
import contextlib
import importlib
import multiprocessing
import multiprocessing.connection
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ..cuda_source import FOLDER, read
from .equivalent import EQUIVALENT
from .make import mutants

__all__ = ["Outcome", "files", "judge", "run_tests", "tests_of"]

TESTS = Path(__file__).resolve().parents[1]
PASSES = ("check", "not numba and not check")  # selections of test ids, in this order
_OPTIONS = ("-x", "-q", "--no-header", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:tests.emulator.plugin")
_PATIENCE = 5.0, 20.0  # a mutant may take this many times as long as the original, plus seconds: a bound that is gone can mean for ever


@dataclass(frozen=True)
class Outcome:
    """What the tests said: ``result`` is "passed", "failed", "timeout" or "broken"; the log of the last pass; seconds."""

    result: str
    log: str
    seconds: float


def files():
    """Names of all sources in which something can be taken away."""
    names = sorted(path.name for pattern in ("*.cu", "*.cuh") for path in FOLDER.glob(pattern))
    return [name for name in names if mutants(name, read(name))]


def tests_of(file):
    """The test file of a source.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    path = TESTS / f"test_{Path(file).stem}.py"
    if not path.is_file():
        raise FileNotFoundError(f"{file} has no tests: {path}")
    return path


def _session(folder, path, log):
    """In a process of its own: run the tests with the kernels of another folder. Ends it with pytest's status; nothing selected is 0."""
    import pytest

    from gpudl4.kernels import _cuda
    from tests.emulator.devices import begin_anew

    _cuda.FOLDER = Path(folder)
    begin_anew()
    with open(log, "w", encoding="utf-8") as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        for selection in PASSES:
            status = int(pytest.main([*_OPTIONS, "-k", selection, str(path)]))
            if status not in (0, 5):
                break
        else:
            status = 0
    os._exit(status)


class _Run:
    """The tests of one source in a process of its own, with `text` in its place."""

    def __init__(self, file, text, seconds):
        self._scratch = tempfile.TemporaryDirectory()
        folder, self._log = Path(self._scratch.name) / "kernels", Path(self._scratch.name) / "log"
        folder.mkdir()
        for source in (*FOLDER.glob("*.cu"), *FOLDER.glob("*.cuh")):
            shutil.copy(source, folder)
        (folder / file).write_text(text, encoding="utf-8")
        # Forked: pytest, Numba and the emulator are imported already.
        self.process = multiprocessing.get_context("fork").Process(target=_session, args=(folder, tests_of(file), self._log))
        self._begin, self._seconds = time.perf_counter(), seconds
        self.process.start()

    def is_over(self):
        """True when the tests have ended or have taken too long."""
        return not self.process.is_alive() or time.perf_counter() - self._begin > self._seconds

    def outcome(self):
        """Outcome, once `is_over`."""
        took = time.perf_counter() - self._begin
        was_alive = self.process.is_alive()
        if was_alive:
            self.process.kill()
        self.process.join()
        status = self.process.exitcode
        said = self._log.read_text(encoding="utf-8") if self._log.exists() else ""
        self._scratch.cleanup()
        if was_alive:
            return Outcome("timeout", said, took)
        if "the kernel does not compile" in said:
            return Outcome("broken", said, took)
        # A negative status: the kernel took the process down with it.
        return Outcome({0: "passed", 1: "failed"}.get(status, "failed" if status < 0 else "broken"), said, took)


def run_tests(file, texts, seconds=600.0, workers=1):
    """Outcomes of the tests of a source, with each of `texts` in its place.

    Parameters
    ----------
    file : str
        Such as ``"cash.cu"``.
    texts : list of str
        What the kernels are compiled from.
    seconds : float
        Time after which a run is ended.
    workers : int
        Runs at the same time.

    Returns
    -------
    list of Outcome
    """
    outcomes, waiting, running = [None] * len(texts), list(enumerate(texts)), {}
    while waiting or running:
        while waiting and len(running) < workers:
            number, text = waiting.pop(0)
            running[number] = _Run(file, text, seconds)
        multiprocessing.connection.wait([run.process.sentinel for run in running.values()], timeout=1.0)
        for number in [number for number, run in running.items() if run.is_over()]:
            outcomes[number] = running.pop(number).outcome()
    return outcomes


def judge(made, outcomes):
    """Sentences about what is wrong.

    Parameters
    ----------
    made : list of Mutant
    outcomes : list of Outcome
        Of each of them.
    """
    wrong = []
    for mutant, outcome in zip(made, outcomes, strict=True):
        if outcome.result == "broken":
            wrong.append(f"does not run: {mutant}\n{outcome.log[-1500:]}")
        elif outcome.result == "passed" and mutant.key not in EQUIVALENT:
            wrong.append(f"SURVIVES: {mutant}\n    {mutant.key!r}")
        elif outcome.result != "passed" and mutant.key in EQUIVALENT:
            wrong.append(f"is listed as equivalent, and the tests notice it: {mutant}")
    return wrong


def _warm_up():
    """Import what every child needs, once."""
    for name in ("numba", "pytest", "hypothesis", "gpudl4.kernels", "tests.conftest", "tests.emulator"):
        importlib.import_module(name)


def _mutate(names, report, workers):
    """Run all mutants of some files; returns what is wrong."""
    wrong = []
    for name in names:
        (original,) = run_tests(name, [read(name)])
        if original.result != "passed":
            return [*wrong, f"the tests of {name} do not pass as it is:\n{original.log[-3000:]}"]
        made, begin = mutants(name, read(name)), time.perf_counter()
        outcomes = run_tests(name, [mutant.text for mutant in made], _PATIENCE[0] * original.seconds + _PATIENCE[1], workers)
        wrong += judge(made, outcomes)
        survivors = sum(outcome.result == "passed" for outcome in outcomes)
        report(f"{name}: {len(made)} mutants, {len(made) - survivors} noticed, {survivors} not ({time.perf_counter() - begin:.0f} s)")
    known = {mutant.key for name in names for mutant in mutants(name, read(name))}
    stale = [key for key in EQUIVALENT if key[0] in names and key not in known]
    return wrong + [f"is listed as equivalent, and there is no such mutant: {key!r}" for key in stale]


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description="Take away each barrier, check and atomic of the CUDA kernels; the tests must notice.")
    parser.add_argument("files", nargs="*", metavar="file.cu", help="only these (default: all)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes at the same time")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.files) - set(files()))
    if unknown:
        parser.error(f"no such source: {', '.join(unknown)}; there are {', '.join(files())}")
    from tests import emulator

    if emulator.missing_requirement():
        parser.error(emulator.missing_requirement())
    _warm_up()
    with tempfile.TemporaryDirectory() as cache:  # compiled mutants are of no use to anybody later
        os.environ["GPUDL4_EMULATOR_CACHE"] = cache
        wrong = _mutate(given.files or files(), lambda line: print(line, flush=True), given.workers)
    for sentence in wrong:
        print(sentence)
    print(f"{len(wrong)} problems" if wrong else "every mutant is noticed, or known to be equivalent")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
