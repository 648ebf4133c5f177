"""What this machine can do, measured: bytes/s of a copy, flop/s of a matrix product, exponentials and logarithms per second.

`measure_rates(threads)` runs this file in a process of its own, because the number of threads of a linear-algebra library is fixed when it
is loaded. As a script it prints the same numbers as JSON::

    python benchmarks/rates.py --threads 1
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["COPIES", "measure_rates"]

COPIES = {"256 kB": 2**18, "4 MB": 2**22, "256 MB": 2**28}  # bytes moved by one copy, read and written
MATRIX = 1024
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def measure_rates(threads, quick=False):
    """Rates with a number of threads.

    Parameters
    ----------
    threads : int
    quick : bool
        Small arrays, for tests.

    Returns
    -------
    dict
        ``copy``: bytes/s, read and written, by bytes moved; ``flops``, ``exp``, ``log``: per second.
    """
    environment = {**os.environ, **{name: str(threads) for name in VARIABLES}}
    command = [sys.executable, str(Path(__file__).resolve()), "--threads", str(threads), *(["--quick"] if quick else [])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    out = json.loads(done.stdout)
    return {**out, "copy": {int(size): rate for size, rate in out["copy"].items()}}


def _best(call, seconds):
    """Shortest time of a call, repeated for some seconds."""
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begun)
    return best


def _here(threads, quick):
    import math

    import numba as nb
    import numpy as np

    blocks = max(threads, 1)

    @nb.njit(parallel=threads > 1)
    def copy(a, b, times):
        n = a.shape[0] // blocks
        for block in nb.prange(blocks):
            for _ in range(times):
                for i in range(block * n, (block + 1) * n):
                    b[i] = a[i]

    @nb.njit(parallel=threads > 1)
    def exponentials(a, sums):
        n = a.shape[0] // blocks
        for block in nb.prange(blocks):
            total = 0.0
            for i in range(block * n, (block + 1) * n):
                total += math.exp(a[i])
            sums[block] = total

    @nb.njit(parallel=threads > 1)
    def logarithms(a, sums):
        n = a.shape[0] // blocks
        for block in nb.prange(blocks):
            total = 0.0
            for i in range(block * n, (block + 1) * n):
                total += math.log(a[i])
            sums[block] = total

    spend = 0.05 if quick else 0.5
    out = {"threads": threads, "copy": {}}
    for moved in COPIES.values():
        moved = min(moved, 2**22) if quick else moved
        source, target = np.random.default_rng(0).random(moved // 16), np.empty(moved // 16)
        times = max(1, 2**24 // moved)  # small copies several times, so that starting threads costs nothing
        out["copy"][str(moved)] = moved * times / _best(lambda s=source, t=target, n=times: copy(s, t, n), spend)
    n = 128 if quick else MATRIX
    a, b, c = np.random.default_rng(1).random((2, n, n))[0], np.eye(n), np.empty((n, n))
    out["flops"] = 2.0 * n**3 / _best(lambda: np.dot(a, b, out=c), spend)
    numbers, sums = np.random.default_rng(2).random(2**16) + 0.1, np.zeros(blocks)
    out["exp"] = len(numbers) / _best(lambda: exponentials(numbers, sums), spend)
    out["log"] = len(numbers) / _best(lambda: logarithms(numbers, sums), spend)
    return out


def main(arguments=None):
    """Print the rates as JSON."""
    parser = argparse.ArgumentParser(description="What this machine can do, as JSON.")
    parser.add_argument("--threads", type=int, default=1, help="threads of the loops (those of the matrix product: environment)")
    parser.add_argument("--quick", action="store_true", help="small arrays")
    options = parser.parse_args(arguments)
    print(json.dumps(_here(options.threads, options.quick)))


if __name__ == "__main__":
    main()
