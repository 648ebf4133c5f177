"""The process that reads damaged files: one line in, ``SAMPLE SEED``, one line of JSON out. It may use little memory."""

import json
import os
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np

from gpudl4.core.errors import GPUDL4Error

from .mutate import mutated
from .samples import SAMPLES, contents, statistic

__all__ = ["main", "verdict_of"]

MEMORY = 4 * 2**30  # bytes of addresses
GOOD = ("same", "changed", "refused", "refused in use")


def same(first, second):
    """Whether two lists of arrays and texts are equal."""
    if len(first) != len(second):
        return False
    for a, b in zip(first, second, strict=True):
        if isinstance(a, str) or isinstance(b, str):
            if a != b:
                return False
        elif not np.array_equal(np.asarray(a), np.asarray(b), equal_nan=np.asarray(a).dtype.kind == "f"):
            return False
    return True


def _names(sample, folder):
    """Names one of which an error must have: the damaged file or the first one; if that is a list of files, any of them."""
    others = [file.name for file in folder.iterdir()] + ["etc/passwd", "/dev/zero"] if sample.kind == "yaml" else []
    return [sample.name, sample.start, *others]


def verdict_of(sample, folder, originals):
    """Verdict on a sample whose file in a folder is damaged, and the message or trace."""
    try:
        value = sample.read(folder / sample.start)
        found = contents(value)
    except GPUDL4Error as error:
        text = str(error)
        return ("refused" if any(name in text for name in _names(sample, folder)) else "no name"), text
    except MemoryError:
        return "memory", traceback.format_exc()
    except Exception as error:
        return f"foreign {type(error).__name__}", traceback.format_exc()
    if same(found, originals[sample.name]):
        return "same", ""
    try:
        numbers = statistic(value)
    except GPUDL4Error as error:
        return "refused in use", str(error)
    except MemoryError:
        return "memory", traceback.format_exc()
    except Exception as error:
        return f"foreign {type(error).__name__} in use", traceback.format_exc()
    return ("changed" if np.isfinite(numbers).all() else "not finite"), f"{numbers}"


def damage(sample, seed, good, folder):
    """Write a damaged copy of a sample and good copies of its neighbours; what was done comes back."""
    content, what = mutated((good / sample.name).read_bytes(), sample.kind, np.random.default_rng(seed))
    (folder / sample.name).write_bytes(content)
    return what


def main():
    """Answer lines until there are no more."""
    good = Path(sys.argv[1])
    keep = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    samples = {sample.name: sample for sample in SAMPLES}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    originals = {}
    for sample in SAMPLES:
        value = sample.read(good / sample.start)
        originals[sample.name] = contents(value)
        assert np.isfinite(statistic(value)).all()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        name, seed = line.split()
        with tempfile.TemporaryDirectory() as temporary:
            folder = keep or Path(temporary)
            shutil.copytree(good, folder, dirs_exist_ok=True)
            what = damage(samples[name], int(seed), good, folder)
            verdict, detail = verdict_of(samples[name], folder, originals)
        print(json.dumps([name, int(seed), what, verdict, detail]), file=answers, flush=True)


if __name__ == "__main__":
    main()
