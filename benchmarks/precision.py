"""How far the device and single precision move the statistic: printed for docs/parity.md.

::

    python benchmarks/precision.py             # CUDA kernels executed by the emulator of the test suite
    python benchmarks/precision.py --device gpu  # on a real GPU

For parameter vectors a few sigma around the start, the statistic on the device against the host (double precision), and the change of its
differences between these vectors with ``dtype="float32"``.
"""

import argparse
import contextlib
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import gpudl4
from benchmarks.cases import CASES, attach, data_folder


def main(arguments=None):
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=["cta-point", "hawc"], choices=list(CASES))
    parser.add_argument("--vectors", type=int, default=20, help="parameter vectors per case")
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--device", choices=["emulated", "gpu"], default="emulated")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    print("| case | statistic | its spread | device - host | float32 - float64, host | float32 - float64, device |")
    print("|---|---|---|---|---|---|")
    for name in options.cases:
        print("| " + " | ".join(row(CASES[name], options)) + " |", flush=True)


def row(case, options):
    """One line of the table, as texts."""
    datasets = case.read("gpudl4", options.data)
    attach("gpudl4", datasets, case.models("gpudl4", options.data))
    with _device(options.device):
        double = gpudl4.compile(datasets, backend="numpy")
        thetas = vectors(double, options.vectors)
        want = values(double, thetas)
        there = values(gpudl4.compile(datasets, backend="cupy"), thetas)
        single = {where: values(gpudl4.compile(datasets, backend=where, dtype="float32"), thetas) for where in ("numpy", "cupy")}
    changes = [np.abs((got - got[0]) - (want - want[0])).max() for got in single.values()]
    numbers = f"{want.mean():.0f}", f"{np.ptp(want):.0f}", f"{np.abs(there - want).max():.1e}"
    return (case.name, *numbers, *(f"{change:.1e}" for change in changes))


def vectors(likelihood, number):
    """Parameter vectors around the start, two sigma in each parameter."""
    sigma = np.sqrt(2 / np.diag(likelihood.fisher(likelihood.theta0)))
    return likelihood.theta0 + 2 * sigma * np.random.default_rng(11).normal(size=(number, len(sigma)))


def values(likelihood, thetas):
    """Statistic at each vector."""
    return np.array([likelihood.value(theta) for theta in thetas])


def _device(name):
    if name == "gpu":
        return contextlib.nullcontext()
    from tests import emulator

    return emulator.installed()


if __name__ == "__main__":
    main()
