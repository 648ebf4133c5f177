"""``gpudl4 warmup``: compile all kernels now, so that no fit has to."""

import itertools
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import click

from ..core.backend import get_backend
from ..core.errors import OutputError
from ..core.progress import Progress

__all__ = ["TYPES", "warmup"]

TYPES = tuple(itertools.product(("float32", "float64"), ("float64", "float32")))  # of data and of working arrays


@click.command()
@click.option(
    "--backend",
    type=click.Choice(["auto", "numpy", "cupy"]),
    default="auto",
    show_default=True,
    help="numpy: for the CPU only; cupy: for a GPU too, which must be there; auto: for a GPU too, if one can be used.",
)
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes that compile. Default: one per core, at most four.")
def warmup(backend, jobs):
    """Compile all kernels for this machine, so that no fit has to.

    Kernels are compiled when they are first called, which makes the first fit on a machine half a minute slower. This does it ahead, for
    every type of data, and says where the compiled code is kept. Run it once after an installation, or in the image of a container;
    many processes that start together then find what they need. What is there already is not compiled again.
    """
    device = get_backend(backend)
    begun = time.perf_counter()
    folder, total = _cache()
    click.echo(f"Compiling for the CPU; the code is kept in {folder}")
    with Progress("warmup", total=total * len(TYPES), enabled=True) as bar:
        compiled = _compile_for_cpu(bar, jobs or min(len(TYPES), _cores()))
    number = f"{compiled} functions compiled" if compiled else "nothing was left to do"
    click.echo(f"CPU: {number} ({time.perf_counter() - begun:.0f} s)")
    if device.name == "cupy":
        begun, modules = time.perf_counter(), _modules()
        click.echo("Compiling for the GPU; CuPy keeps the code in its own folder (CUPY_CACHE_DIR, else ~/.cupy/kernel_cache)")
        with Progress("warmup", total=len(modules), enabled=True) as bar:
            _compile_for_gpu(bar, modules)
        click.echo(f"GPU: {len(modules)} modules ({time.perf_counter() - begun:.0f} s)")
    return 0


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cache():
    """Folder of the compiled code, and the number of functions."""
    from .small_fits import functions

    found = functions()
    folder = next(iter(found.values())).files.folder
    if folder is None:
        raise OutputError(
            "compiled code cannot be kept here, as neither the folder of the package nor a cache folder of the user is writable: set the "
            "environment variable NUMBA_CACHE_DIR to a folder that is, and keep it set"
        )
    return folder, len(found)


def _compile_for_cpu(bar, jobs):
    """Run `small_fits` for every pair of types, in processes of their own; number of functions that were compiled."""
    lock, compiled = threading.Lock(), [0]

    def run(types):
        command = [sys.executable, "-m", "gpudl4.cli.small_fits", *types]
        told = set()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            lines = []
            for line in process.stdout:
                lines.append(line)
                what, _, name = line.rstrip("\n").partition(" ")
                if what not in ("compiled", "found"):
                    continue
                with lock:
                    compiled[0] += what == "compiled"
                    bar.update(name, step=int(name not in told))  # a function may be compiled for more than one signature
                told.add(name)
        if process.returncode:
            raise RuntimeError(f"compiling for {' and '.join(types)} failed:\n{''.join(lines)}")

    with ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(run, types) for types in TYPES]:
            done.result()
    return compiled[0]


def _modules():
    """Names and types of all CUDA modules."""
    from ..kernels.launches import RULES

    return list(itertools.product(sorted(RULES), TYPES))


def _compile_for_gpu(bar, modules):
    from .. import kernels

    for stem, (cube, real) in modules:
        kernels.cuda(stem, cube=cube, real=real)
        bar.update(f"{stem} ({cube}, {real})")
