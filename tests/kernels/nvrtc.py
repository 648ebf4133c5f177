"""Compiles the .cu files for real GPUs, with NVRTC. No GPU and no driver are needed, only the wheels of CuPy and of NVRTC.

``python -m tests.kernels.nvrtc`` writes docs/cuda-resources.md.
"""

import functools
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from gpudl4.kernels import _cuda

from . import cuda_source

__all__ = ["ARCHITECTURES", "TABLE", "TYPES", "CompileError", "Resources", "compile_code", "compile_stem", "missing_requirement", "table"]

ARCHITECTURES = (75, 80, 86, 90, 100)  # T4 and RTX 20; A100; RTX 30; H100; B100. CUDA 13 compiles for nothing older
TYPES = (("float64", "float64"), ("float32", "float64"), ("float32", "float32"))  # cube, real
TABLE = Path(__file__).resolve().parents[2] / "docs" / "cuda-resources.md"

# What CuPy adds to the options that it is given.
_CUPY_OPTIONS = ("-ftz=true", "--device-as-default-execution-space")

# Per multiprocessor: threads, blocks, bytes of shared memory. All have 65536 registers, given out to warps in units of 256.
_LIMITS = {75: (1024, 16, 65536), 80: (2048, 32, 167936), 86: (1536, 16, 102400), 90: (2048, 32, 233472), 100: (2048, 32, 233472)}
_REGISTERS, _REGISTER_UNIT, _WARP, _SCHEDULERS = 65536, 256, 32, 4
_SHARED_PER_BLOCK = 1024  # kept by the system, on everything newer than 75

_FUNCTION = re.compile(
    r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
    r".*?Used (\d+) registers([^\n]*)",
    re.DOTALL,
)


class CompileError(Exception):
    """NVRTC does not compile a source; the message is its log."""


@dataclass(frozen=True)
class Resources:
    """What a compiled kernel needs: registers per thread, bytes of stack and of spills per thread, bytes of static shared memory."""

    registers: int
    stack: int
    spills: int
    shared: int

    def occupancy(self, architecture, threads):
        """Share of a multiprocessor's threads that can be resident, in blocks of `threads` (theoretical; without dynamic memory)."""
        most_threads, most_blocks, shared = _LIMITS[architecture]
        warps = -(-threads // _WARP)
        per_warp = -(-self.registers * _WARP // _REGISTER_UNIT) * _REGISTER_UNIT
        resident_warps = _REGISTERS // _SCHEDULERS // per_warp * _SCHEDULERS
        per_block = self.shared + (_SHARED_PER_BLOCK if architecture > 75 else 0)
        by_shared = shared // per_block if self.shared else most_blocks
        blocks = min(most_blocks, most_threads // threads, resident_warps // warps, by_shared)
        return blocks * threads / most_threads


def missing_requirement():
    """Why nothing can be compiled here, or None."""
    try:
        _nvrtc().getVersion()
    except Exception as error:  # the wheels are missing, or only CuPy's: each raises its own class
        return f"needs the wheels cupy-cuda13x and nvidia-cuda-nvrtc (no GPU): {str(error).splitlines()[0]}"
    return None


def _nvrtc():
    from cupy_backends.cuda.libs import nvrtc

    return nvrtc


def version():
    """NVRTC's version, such as ``"13.5"``."""
    return ".".join(map(str, _nvrtc().getVersion()))


def compile_code(code, options, architecture):
    """Compile a source.

    Parameters
    ----------
    code : str
    options : tuple of str
        As given to CuPy.
    architecture : int
        80 for ``sm_80``.

    Returns
    -------
    kernels : dict
        Name to `Resources`.
    warnings : list of str
        Lines of the log that warn.

    Raises
    ------
    CompileError
    """
    nvrtc = _nvrtc()
    program = nvrtc.createProgram(code, "kernel.cu", (), ())
    try:
        nvrtc.compileProgram(program, (f"--gpu-architecture=sm_{architecture}", "-Xptxas=-v", *_CUPY_OPTIONS, *options))
        log = nvrtc.getProgramLog(program)
    except nvrtc.NVRTCError:
        raise CompileError(f"sm_{architecture}:\n{nvrtc.getProgramLog(program)}") from None
    finally:
        nvrtc.destroyProgram(program)
    kernels = {}
    for name, stack, stores, loads, registers, rest in _FUNCTION.findall(log):
        shared = re.search(r"(\d+) bytes smem", rest)
        kernels[name] = Resources(int(registers), int(stack), int(stores) + int(loads), int(shared[1]) if shared else 0)
    return kernels, [line for line in log.splitlines() if "warning" in line.lower()]


@functools.cache
def compile_stem(stem, cube, real, architecture):
    """`compile_code` for a shipped file, once."""
    return compile_code(_cuda.source(stem), _cuda.options(cube, real), architecture)


def _row(stem, name, threads):
    """One line of the table: the worst of the three pairs of types."""
    cells, shared = [], 0
    for architecture in ARCHITECTURES:
        found = [compile_stem(stem, cube, real, architecture)[0][name] for cube, real in TYPES]
        registers, occupancy = max(r.registers for r in found), min(r.occupancy(architecture, threads) for r in found)
        shared = max(shared, *(r.shared for r in found))
        cells.append(f"{registers} ({occupancy:.0%})")
    return f"| `{stem}.{name}` | {threads} | {shared} | {' | '.join(cells)} |"


def table():
    """Text of docs/cuda-resources.md."""
    architectures = " | ".join(f"sm_{a}" for a in ARCHITECTURES)
    rows = [
        _row(stem, name, threads)
        for stem in cuda_source.cuda_stems()
        for name, (threads, _) in cuda_source.kernels_of(cuda_source.read(f"{stem}.cu")).items()
    ]
    return f"""# What the CUDA kernels need

Written by `make kernels-table`, which compiles every kernel with NVRTC {version()}. Compiled only: none of these numbers was measured
on a GPU.

Per architecture: registers of a thread, and in brackets the theoretical occupancy (the share of a multiprocessor's threads that can be
resident at the same time, in blocks as large as a kernel allows). Both are the worst of the pairs of types
cube/real = {", ".join("/".join(types) for types in TYPES)}.
No kernel spills a register. Shared memory is in bytes per block.

| kernel | threads | shared memory | {architectures} |
|---|---|---|{"---|" * len(ARCHITECTURES)}
{chr(10).join(rows)}
"""


if __name__ == "__main__":
    reason = missing_requirement()
    if reason:
        sys.exit(reason)
    TABLE.write_text(table(), encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"))
