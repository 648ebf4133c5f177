"""The double against the installed CuPy: every name it offers exists there, every call these tests make binds there."""

import numpy as np
import pytest

from tests import emulator
from tests.emulator import parity


@pytest.fixture(scope="module")
def real():
    return pytest.importorskip("cupy", reason="needs a CuPy wheel (no GPU): pip install cupy-cuda13x")


def calls_of_a_typical_evaluation():
    with emulator.installed() as cp:
        emulator.clear_recorded_calls()
        x = cp.asarray(np.ones((4, 4)))
        y = cp.zeros_like(x, dtype=np.float32)
        cp.where(x > 0, x, y)
        cp.einsum("ij,j->i", x, x[0])
        cp.sum(x, axis=0, dtype=float, keepdims=True)
        cp.clip(x, 0, 1, out=x)
        x.sum(axis=0).astype(np.float32, copy=False).reshape(2, 2)
        x.get(out=np.empty((4, 4)), blocking=False)
        x.set(np.ones((4, 4)))
        fft = emulator.cupyx.scipy.fft
        plan = fft.get_fft_plan(x, axes=(0, 1), value_type="R2C")
        fft.rfft2(x, s=(4, 4), overwrite_x=True, plan=plan)
        cp.cuda.Stream().synchronize()
        return emulator.recorded_calls()


def test_names(real):
    assert parity.missing_names() == []


def test_calls(real):
    calls = calls_of_a_typical_evaluation()
    assert len(calls) > 15
    assert parity.unbindable(calls) == []


def test_a_call_that_cupy_refuses_is_found(real):
    calls = [
        emulator.Call("cupy.sum", 1, ("where",)),
        emulator.Call("cupy.ndarray.no_such_method", 0, ()),
        emulator.Call("cupy.sum", 1, ()),
    ]
    (keyword, why), (name, what) = parity.unbindable(calls)
    assert (keyword, name) == tuple(calls[:2])
    assert "where" in why
    assert what == "CuPy has no such name"


def test_signature_from_a_docstring():
    class Compiled:
        """f(self, str name, bool flag=False) -> int"""

        __signature__ = "not a signature"

    assert str(parity.signature(Compiled())) == "(self, name, flag=False)"


def test_signature_from_the_line_below():
    class Compiled:
        """RawKernel.__call__(self, grid, **kwargs)

        __call__(self, grid, \\*, shared_mem=0)

        Runs the kernel (once).
        """

        __signature__ = "not a signature"

    assert str(parity.signature(Compiled())) == "(self, grid, *, shared_mem=0)"


def test_a_wrong_keyword_of_a_launch_is_found(real):
    good, bad = (emulator.Call("cupy.RawKernel.__call__", 3, (name,)) for name in ("shared_mem", "shared"))
    assert [call for call, _ in parity.unbindable([good, bad])] == [bad]
