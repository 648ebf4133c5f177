"""The loader of object files: code, constants, variables and calls end where they belong, and what it does not know it leaves to LLVM."""

import ctypes
import math
import platform
import struct
import sys

import pytest
from llvmlite import binding

from gpudl4.kernels import _machine
from gpudl4.kernels._machine import CannotLoad, load

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the loader is for Linux on x86-64; elsewhere LLVM loads"
)
FUNCTION = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
CODE = """
@scale = internal constant [3 x double] [double 1.0, double 10.0, double 100.0]
@pointer = internal constant double* getelementptr ([3 x double], [3 x double]* @scale, i64 0, i64 2)
@counter = internal global double 5.0
@zeros = internal global [1000 x double] zeroinitializer, align 64
@shared = common global i8* null, align 16

declare double @log(double)

define double @wanted(double %x) {
  %where = load double*, double** @pointer
  %factor = load volatile double, double* %where
  %n = load volatile double, double* @counter
  %next = fadd double %n, 1.0
  store volatile double %next, double* @counter
  %last = getelementptr [1000 x double], [1000 x double]* @zeros, i64 0, i64 999
  %zero = load volatile double, double* %last
  store volatile double %x, double* %last
  store volatile i8* null, i8** @shared
  %l = call double @log(double %x)
  %a = fmul double %l, %factor
  %b = fadd double %a, %next
  %c = fadd double %b, %zero
  %d = call double @other(double %c)
  ret double %d
}

define internal double @other(double %x) noinline {
  %y = fadd double %x, 0.25
  ret double %y
}
"""
UNKNOWN = """
declare double @nobody_has_this(double)
define double @wanted(double %x) {
  %y = call double @nobody_has_this(double %x)
  ret double %y
}
"""


def compile_to_object(text, codemodel="large", triple=None):
    """An object file from LLVM's assembly."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    target = binding.Target.from_triple(triple or binding.get_process_triple())
    machine = target.create_target_machine(codemodel=codemodel, reloc="static")
    return machine.emit_object(binding.parse_assembly(text))


@pytest.fixture(scope="module")
def code():
    return compile_to_object(CODE)


def test_constants_variables_and_calls(code):
    loaded = load(code, "wanted")
    function = FUNCTION(loaded.address)
    assert function(2.0) == 100.0 * math.log(2.0) + 6.0 + 0.0 + 0.25
    assert function(3.0) == 100.0 * math.log(3.0) + 7.0 + 2.0 + 0.25  # what it wrote is still there


def test_every_copy_has_variables_of_its_own(code):
    first, second = load(code, "wanted"), load(code, "wanted")
    assert FUNCTION(first.address)(1.0) == FUNCTION(second.address)(1.0) == 6.25


def test_code_cannot_be_written_and_data_cannot_be_executed(code):
    loaded = load(code, "wanted")
    with open("/proc/self/maps") as maps:
        (rights,) = [
            line.split()[1] for line in maps if int(line.split("-")[0], 16) <= loaded.address < int(line.split()[0].split("-")[1], 16)
        ]
    assert rights.startswith("r-x")


@pytest.mark.parametrize("change", ["empty", "short", "other kind", "other machine", "other bits"])
def test_files_of_another_kind(code, change):
    data = bytearray(code)
    if change == "other kind":
        struct.pack_into("<H", data, 16, 3)
    elif change == "other machine":
        struct.pack_into("<H", data, 18, 183)
    elif change == "other bits":
        data[4] = 1
    data = {"empty": b"", "short": data[:200]}.get(change, data)
    with pytest.raises(CannotLoad):
        load(bytes(data), "wanted")


def test_other_relocations():
    """Code of the small model refers to its data by distances of 32 bits."""
    with pytest.raises(CannotLoad, match=r"relocation of kind \d+ to"):
        load(compile_to_object(CODE, codemodel="small"), "wanted")


def test_another_processor_and_another_system(code, monkeypatch):
    monkeypatch.setattr(_machine.platform, "machine", lambda: "aarch64")
    with pytest.raises(CannotLoad, match=r"no loader for linux on aarch64"):
        load(code, "wanted")
    monkeypatch.setattr(_machine.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(_machine.sys, "platform", "darwin")
    with pytest.raises(CannotLoad, match=r"no loader for darwin"):
        load(code, "wanted")


def test_calls_that_nobody_knows():
    with pytest.raises(CannotLoad, match=r"kernels call nobody_has_this, which is unknown here"):
        load(compile_to_object(UNKNOWN), "wanted")


def test_no_such_function(code):
    with pytest.raises(CannotLoad, match=r"no function 'missing'"):
        load(code, "missing")


def test_systems_that_allow_no_new_code(code, monkeypatch):
    """Hardened systems refuse to make memory executable."""

    class Refuses:
        def mprotect(self, *_):
            return -1

    monkeypatch.setattr(_machine.ctypes, "CDLL", lambda *_, **__: Refuses())
    monkeypatch.setattr(_machine._symbols, "address", lambda name: 1)
    with pytest.raises(CannotLoad, match=r"memory cannot be made executable"):
        load(code, "wanted")
