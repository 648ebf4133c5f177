"""What stands in the .cu and .cuh files: kernels with their parameters, constants, columns of tables. For the tests of this folder."""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FOLDER", "Parameter", "constants", "cuda_stems", "enumerators", "kernels_of", "read", "without_comments"]

FOLDER = Path(__file__).resolve().parents[2] / "kernels"

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+__launch_bounds__\((\d+)(?:,\s*\d+)?\)\s*(\w+)\s*\(([^)]*)\)\s*\{')
_CONSTANT = re.compile(r"^constexpr\s+(?:double|int|long long|unsigned)\s+(\w+)\s*=\s*([^;]+);", re.MULTILINE)
_ENUM = re.compile(r"\benum\s+\w*\s*\{([^}]*)\}")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: ``type`` as written, without ``__restrict__``, and ``name``."""

    type: str
    name: str


def cuda_stems():
    """Sorted stems that have a .cu file."""
    return sorted(path.stem for path in FOLDER.glob("*.cu"))


def read(name):
    """Text of a file in the kernels folder."""
    return (FOLDER / name).read_text(encoding="utf-8")


def without_comments(text):
    """The same text with every comment blanked: lines and columns stay where they are."""
    return _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def kernels_of(text):
    """Kernels of a source.

    Returns
    -------
    dict
        Name to (threads in ``__launch_bounds__``, list of `Parameter`).

    Raises
    ------
    ValueError
        If there is a kernel whose head is written in another way than docs/kernels.md asks for.
    """
    bare = without_comments(text)
    found = {}
    for threads, name, inside in _KERNEL.findall(bare):
        parameters = []
        for piece in inside.split(","):
            kind, parameter = re.fullmatch(r"\s*(.*?[\s*])(\w+)\s*", re.sub(r"\s+", " ", piece)).groups()
            parameters.append(Parameter(re.sub(r"\s+", " ", kind.replace("__restrict__", "")).replace(" *", "*").strip(), parameter))
        found[name] = int(threads), parameters
    n_kernels = len(re.findall(r"\b__global__\b", bare))
    if len(found) != n_kernels:
        raise ValueError(
            f'{n_kernels} kernels, but {len(found)} are written as: extern "C" __global__ void __launch_bounds__(256) name(...)'
        )
    return found


def constants(text):
    """Values of the ``constexpr`` numbers at file level, by name. Only literals: no arithmetic."""
    found = {}
    for name, value in _CONSTANT.findall(without_comments(text)):
        value = value.strip().rstrip("u")
        found[name] = int(value, 0) if re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)", value) else float(value)
    return found


def enumerators(text):
    """Values of all enumerators of a header, by name."""
    found = {}
    for inside in _ENUM.findall(without_comments(text)):
        value = -1
        for piece in inside.split(","):
            name, _, given = piece.partition("=")
            if name.strip():
                value = int(given) if given else value + 1
                found[name.strip()] = value
    return found
