"""What compiled kernels call is found, in the library of C and in Numba's extensions."""

import ctypes
import math
import os
import subprocess
import sys

import pytest

from gpudl4.kernels import _symbols
from gpudl4.kernels._symbols import address, extension
from tests.paths import ROOT

PROGRAM = """
import ctypes, sys
from gpudl4.kernels._symbols import address
print(ctypes.CFUNCTYPE(ctypes.c_int)(address("get_num_threads"))(), "numba" in sys.modules)
"""


def test_a_function_of_c():
    log = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(address("log"))
    assert log(10.0) == math.log(10.0)


def test_memory():
    allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t)(address("NRT_Allocate"))
    free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address("NRT_Free"))
    block = allocate(64)
    ctypes.memset(block, 7, 64)
    assert ctypes.string_at(block, 64) == b"\7" * 64
    free(block)


@pytest.mark.parametrize("name", ["nobody_has_this", "NRT_nobody_has_this", "numba_nobody_has_this"])
def test_unknown(name):
    with pytest.raises(LookupError, match="nobody_has_this"):
        address(name)


def test_unknown_extension():
    with pytest.raises(LookupError, match="this Numba has no np/ufunc/nothing"):
        extension("np/ufunc/nothing")


@pytest.mark.parametrize("layer", [None, "omp", "workqueue", "forksafe"])
@pytest.mark.parametrize("number", [None, "1", "3"])
def test_number_and_kind_of_threads(layer, number):
    chosen = {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": number}
    environment = {key: value for key, value in os.environ.items() if key not in chosen}
    environment |= {key: value for key, value in chosen.items() if value is not None}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    found, with_numba = done.stdout.split()
    assert int(found) == int(number or len(os.sched_getaffinity(0)))
    assert with_numba == "False"


def test_layers_are_numbas():
    assert {"omppool", "workqueue"} <= {"omppool", *_symbols.LAYERS.values()}
    for name in ("omppool", "workqueue"):
        assert extension(f"np/ufunc/{name}").parallel_for
