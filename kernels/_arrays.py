"""How machine code sees NumPy arrays: `Form` says what it was compiled for, `OFFSETS` where an array keeps its numbers.

Compiled kernels take the addresses of array objects and read pointers and shapes off them, as every C extension does: the fields of
``PyArrayObject`` and the first ones of ``PyArray_Descr`` are part of NumPy's stable binary interface (NumPy C-API, "Python Types and
C-Structures"). So a call costs no Python per argument, and arrays of another kind than compiled for are noticed before they are touched.
"""

import ctypes
from typing import NamedTuple

import numpy as np

__all__ = ["ARRAY", "ITEMS", "KIND", "KIND_THAT_COUNTS", "OFFSETS", "TYPE", "Form"]

_HEAD = object.__basicsize__  # bytes before the fields of any object: reference count and type
_FIELDS = ("data", "ndim", "shape", "strides", "base", "dtype", "flags")  # each is given 8 bytes, ndim and flags are int32
OFFSETS = {name: _HEAD + 8 * i for i, name in enumerate(_FIELDS)}
TYPE = _HEAD - 8  # of any object: its type
ITEMS = tuple.__basicsize__  # in a tuple: the addresses of what is in it
ARRAY = id(np.ndarray)  # the type of all arrays that are taken: no subclasses, which may do other things with an index
KIND = _HEAD + 8  # in a dtype, behind its scalar type: the characters kind, type and byte order, a byte of flags, int32 number
KIND_THAT_COUNTS = 0xFFFFFFFF00FFFFFF  # without the byte of flags, which NumPy 1 and 2 use differently
CONTIGUOUS, ALIGNED, WRITEABLE = 0x1, 0x100, 0x400


class Form(NamedTuple):
    """What code depends on of an array.

    Attributes
    ----------
    char : str
        Of the type, as in `numpy.dtype.char`, which tells types apart that are alike.
    ndim : int
        0: a number.
    contiguous, aligned, writeable : bool
        Flags of the array, contiguous as in C; numbers are never written.
    """

    char: str
    ndim: int
    contiguous: bool
    aligned: bool
    writeable: bool

    @classmethod
    def of(cls, array):
        """Form of an array.

        Raises
        ------
        TypeError
            If its bytes are in the order of other machines.
        """
        if not array.dtype.isnative:
            raise TypeError(f"kernels take arrays in the byte order of this machine, got dtype {array.dtype.str!r}")
        flags = array.flags
        return cls(array.dtype.char, array.ndim, flags.c_contiguous, flags.aligned, flags.writeable and array.ndim > 0)

    @property
    def flags(self):
        """The bits `flags_that_count` of the array."""
        return CONTIGUOUS * self.contiguous | ALIGNED * self.aligned | WRITEABLE * self.writeable

    @property
    def flags_that_count(self):
        """Bits that must agree."""
        return CONTIGUOUS | ALIGNED | (WRITEABLE if self.ndim else 0)

    @property
    def kind(self):
        """What is in a dtype at `KIND`, as far as the bits `KIND_THAT_COUNTS` tell."""
        return ctypes.c_uint64.from_address(id(np.dtype(self.char)) + KIND).value & KIND_THAT_COUNTS

    def __str__(self):
        name = np.dtype(self.char).name + ("[" + ", ".join(":" * self.ndim) + "]" if self.ndim else "")
        marks = {"strided": not self.contiguous, "unaligned": not self.aligned, "read-only": self.ndim and not self.writeable}
        return " ".join([name, *(mark for mark, holds in marks.items() if holds)])
