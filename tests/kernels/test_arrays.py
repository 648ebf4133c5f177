"""Where NumPy keeps what compiled code reads, and forms of arrays."""

import ctypes

import numpy as np
import pytest

from gpudl4.kernels._arrays import ARRAY, ITEMS, KIND, KIND_THAT_COUNTS, OFFSETS, TYPE, Form

CUBE = np.arange(24.0).reshape(2, 3, 4)
ARRAYS = [CUBE[:, ::-1], np.zeros(5, np.uint8), np.array(3), np.ones((2, 0), np.float32), np.broadcast_to(1.0, 3)]


def read(address, kind=ctypes.c_int64):
    return kind.from_address(address).value


@pytest.mark.parametrize("array", ARRAYS, ids=str)
def test_fields(array):
    where = id(array)
    assert read(where + TYPE) == ARRAY == id(type(array))
    assert read(where + OFFSETS["data"]) == array.__array_interface__["data"][0]
    assert read(where + OFFSETS["ndim"], ctypes.c_int32) == array.ndim
    for name in ("shape", "strides"):
        begin = read(where + OFFSETS[name]) if array.ndim else 0
        assert tuple(read(begin + 8 * i) for i in range(array.ndim)) == getattr(array, name)
    assert read(where + OFFSETS["dtype"]) == id(array.dtype)
    form = Form.of(array)
    assert read(where + OFFSETS["flags"], ctypes.c_int32) & form.flags_that_count == form.flags
    assert read(id(array.dtype) + KIND, ctypes.c_uint64) & KIND_THAT_COUNTS == form.kind


def test_items_of_a_tuple():
    items = np.ones(2), 3, "four"
    assert [read(id(items) + ITEMS + 8 * i) for i in range(3)] == [id(item) for item in items]


def test_forms_tell_everything_apart_that_code_depends_on():
    base = np.zeros((3, 4))
    frozen = base.copy()
    frozen.flags.writeable = False
    unaligned = np.frombuffer(bytes(97), np.uint8)[1:].view("float64").reshape(3, 4)
    others = [base.astype(t) for t in ("f4", "i8", "i4", "u1", "?", "longlong")] + [base.T, base[0], base[:, ::2], frozen, unaligned]
    forms = [Form.of(array) for array in (base, *others)]
    others.append(base.T)  # strided as base[:, ::2]: the same code
    assert len(set(forms)) == len(forms) - 1
    assert Form.of(base.T) == Form.of(base[:, ::2])


def test_kinds_differ():
    kinds = [Form(char, 1, True, True, True).kind for char in "fdlqiB?FDe"]
    assert len(set(kinds)) == len(kinds)


def test_numbers_are_never_written():
    frozen = np.array(1.0)
    frozen.flags.writeable = False
    assert Form.of(frozen) == Form.of(np.array(2.0))


def test_text():
    frozen = np.broadcast_to(np.float32(0), (2, 3))
    assert str(Form.of(np.zeros((2, 3)))) == "float64[:, :]"
    assert str(Form.of(frozen)) == "float32[:, :] strided read-only"
    assert str(Form.of(np.array(3))) == "int64"


def test_bytes_of_other_machines():
    with pytest.raises(TypeError, match=r"byte order of this machine, got dtype '>i4'"):
        Form.of(np.zeros(3, ">i4"))
