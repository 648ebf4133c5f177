"""Small kernels that the emulator's own tests run, and spoil: `module` compiles one, with text replaced where a bug is planted."""

from pathlib import Path

import pytest

from tests import emulator

__all__ = ["module", "needs_compiler", "source"]

_REASON = emulator.missing_requirement()
needs_compiler = pytest.mark.skipif(_REASON is not None, reason=_REASON or "")


def source(name, *replacements):
    """Text of ``name.cu``; each replacement is a pair (old, new), and the old text must be there exactly once.

    Raises
    ------
    ValueError
        If it is not, so that a planted bug cannot silently go missing when a sample is edited.
    """
    code = (Path(__file__).parent / f"{name}.cu").read_text()
    for old, new in replacements:
        if code.count(old) != 1:
            raise ValueError(f"{old!r} occurs {code.count(old)} times in {name}.cu")
        code = code.replace(old, new)
    return code


def module(name, *replacements, **options):
    """``RawModule`` of a sample."""
    return emulator.cupy.RawModule(code=source(name, *replacements), options=("--std=c++17",), **options)
