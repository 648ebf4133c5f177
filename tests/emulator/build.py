"""Compiles CUDA C with g++ into a shared library that the emulator can run. Results are kept in a folder of the system's
temporary directory, by a hash of everything that goes in; ``GPUDL4_EMULATOR_CACHE`` names another folder.
"""

import ctypes
import functools
import getpass
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .errors import KernelError

__all__ = ["Library", "build", "missing_requirement"]

_RUNTIME = Path(__file__).resolve().parent / "runtime"
_COMMON = ("-std=c++17", "-g1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wno-unknown-pragmas", "-Wno-attributes")
_FAST = ("-O2",)
# The thread sanitizer's pass only puts hooks around loads and stores (our own, see runtime/checks.cc). -O1: more would drop dead code
# together with the overflow in it.
_CHECK = ("-O1", "-fsanitize=thread", "-fsanitize=signed-integer-overflow,shift,integer-divide-by-zero,bounds,alignment")

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_KERNEL = re.compile(
    r"(template\s*<[^;{}]*?>\s*)?((?:extern\s+\"C\"\s+)?)__global__\s+(?:(?:static|void)\s+|__launch_bounds__\s*\(([^)]*)\)\s*)+(\w+)\s*\("
)
_BLOCK_OF_C = re.compile(r"extern\s+\"C\"\s*\{")
_DYNAMIC_SHARED = re.compile(
    r"extern\s+(?:(?:__align__|alignas)\s*\([^)]*\)\s*)?__shared__\s+(?:(?:__align__|alignas)\s*\([^)]*\)\s*)?([\w\s]+?)\s+(\w+)\s*\[\s*\]\s*;"
)


def missing_requirement():
    """Why kernels cannot be emulated here, or None if they can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"kernels are emulated on Linux x86-64 only, this is {platform.system()} {platform.machine()}"
    if shutil.which(_compiler()) is None:
        return f"kernels are emulated with g++, and there is no {_compiler()} here"
    return None


def _compiler():
    return os.environ.get("CXX", "g++")


def _cache_folder():
    named = os.environ.get("GPUDL4_EMULATOR_CACHE")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / f"gpudl4-emulator-{getpass.getuser()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _hash(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:24]


def _run(command):
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise KernelError("the kernel does not compile (g++):\n" + finished.stderr[-3000:])


class Library:
    """A compiled module.

    Attributes
    ----------
    path : pathlib.Path
    handle : ctypes.CDLL
    """

    def __init__(self, path):
        self.path = path
        self.handle = ctypes.CDLL(str(path))

    def with_lines(self, message):
        """Replace each ``[pc ...]`` of a runtime message by file and line."""
        return re.sub(r"\[pc ([0-9a-f]+)\]", lambda match: f"[{self._line_of(int(match.group(1), 16))}]", message)

    def _line_of(self, address):
        start = None
        for line in Path("/proc/self/maps").read_text().splitlines():
            if line.endswith(str(self.path)):
                start = int(line.split("-")[0], 16)
                break
        if start is None or shutil.which("addr2line") is None:
            return f"pc {address:x}"
        # A return address points behind the call; one byte less is still inside the line that made it.
        command = ["addr2line", "-e", str(self.path), hex(address - start - 1)]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        return found[0].rsplit("/", 1)[-1] if found else f"pc {address:x}"


@functools.cache
def _runtime_objects(compiler, folder):
    """The scheduler and the checks, compiled once for all modules."""
    header = (_RUNTIME / "emulator.h").read_bytes()
    objects = []
    for name in ("scheduler", "checks"):
        source = _RUNTIME / f"{name}.cc"
        target = folder / f"{name}-{_hash(header, source.read_bytes(), compiler, _COMMON)}.o"
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                made = Path(scratch) / "runtime.o"
                _run([compiler, *_COMMON, "-O2", "-c", str(source), "-o", str(made)])
                os.replace(made, target)  # atomic: another process may be doing the same
        objects.append(target)
    return objects


def _without_comments(code):
    return _COMMENT.sub(lambda match: "\n" * match.group().count("\n") or " ", code)


def kernels_in(code):
    """Names of the ``extern "C"`` kernels of a source, and the ``__launch_bounds__`` of all kernels that give a plain number."""
    bare = _without_comments(code)
    all_are_c = bool(_BLOCK_OF_C.search(bare))
    names, bounds = [], {}
    for template, linkage, bound, name in _KERNEL.findall(bare):
        if bound.split(",")[0].strip().isdigit():
            bounds[name] = int(bound.split(",")[0])
        if not template and (linkage or all_are_c) and name not in names:
            names.append(name)
    return names, bounds


def _translated(code):
    """The source as g++ can compile it: only ``extern __shared__ T name[];`` has no C++ form."""
    bare = _without_comments(code)
    for match in _DYNAMIC_SHARED.finditer(bare):
        before = bare[: match.start()]
        if before.count("{") == before.count("}"):
            raise KernelError(f"declare the dynamic shared memory {match.group(2)!r} inside the kernel: the emulator knows no other place")
    return _DYNAMIC_SHARED.sub(r"\1* \2 = (\1*)emu_dynamic_shared();", code)


def _compiler_options(options):
    """g++'s form of NVRTC options."""
    kept = []
    for option in options:
        if option.startswith(("-D", "-I", "-U")):
            kept.append(option)
        elif option.startswith(("--define-macro=", "--include-path=")):
            kept.append(("-D" if "macro" in option else "-I") + option.split("=", 1)[1])
        elif option.lstrip("-").startswith("std="):
            if option.split("=")[1] not in ("c++11", "c++14", "c++17"):
                raise KernelError(f"the emulator compiles C++17, not {option}")
        elif not option.lstrip("-").startswith(
            ("gpu-arch", "arch", "fmad", "use_fast_math", "lineinfo", "generate-line-info", "Xptxas", "ptxas")
        ):
            raise KernelError(f"unknown compiler option {option!r}")
    return kept


def _headers(options):
    """Contents of everything that an include path may bring in, so that the cache notices a change."""
    for option in options:
        if option.startswith("-I"):
            for path in sorted(Path(option[2:]).glob("*.*h")):
                yield path.read_bytes()


def build(code, options=(), exports=(), check=False):
    """Compile a module, or take it from the cache.

    Parameters
    ----------
    code : str
        CUDA C.
    options : tuple of str
        NVRTC options. Those that only concern the GPU's code generation are ignored, unknown ones refused.
    exports : sequence of (str, str)
        Identifier and C++ expression of template instances (``name_expressions``); ``extern "C"`` kernels are found by themselves.
    check : bool
        With the hooks of the checking mode.

    Returns
    -------
    Library

    Raises
    ------
    KernelError
        If the code does not compile, or nothing can be compiled here.
    """
    reason = missing_requirement()
    if reason:
        raise KernelError(reason)
    compiler, folder, flags = _compiler(), _cache_folder(), _compiler_options(options)
    header = _RUNTIME / "emu.h"
    runtime = _runtime_objects(compiler, folder)
    mode = _CHECK if check else _FAST
    key = _hash(
        "format 2",
        code,
        header.read_bytes(),
        *_headers(flags),
        [path.name for path in runtime],
        flags,
        list(exports),
        mode,
        _COMMON,
        compiler,
    )
    target = folder / f"module-{key}.so"
    if not target.exists():
        everything = [*exports, *((name, name) for name in kernels_in(code)[0])]
        glue = "\n".join(f"EMU_EXPORT({identifier}, ({expression}))" for identifier, expression in everything)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            source, object_file, made = (Path(scratch) / name for name in ("kernel.cu", "kernel.o", "kernel.so"))
            source.write_text(f'#line 1 "kernel.cu"\n{_translated(code)}\n{glue}\n')
            _run([compiler, *_COMMON, *mode, *flags, "-include", str(header), "-c", "-x", "c++", str(source), "-o", str(object_file)])
            _run([compiler, "-shared", "-Wl,-Bsymbolic", "-o", str(made), str(object_file), *map(str, runtime), "-lm"])
            os.replace(made, target)
    return Library(target)
