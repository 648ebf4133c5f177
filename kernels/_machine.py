"""Put compiled kernels into memory without a compiler: `load` places an object file and connects what it calls.

Importing Numba and LLVM takes half a second and 120 MB, for machine code of a few MB that lies ready on disk. The files are ELF
relocatable objects for x86-64, compiled with the large code model: every reference is an absolute address of 64 bits, the only kind of
relocation there is (System V ABI, AMD64 supplement, section 4.4). Whatever else is found, and every other system, raises `CannotLoad`, and
LLVM loads the file as ever.

What kernels call stands in `_symbols`.
"""

import ctypes
import mmap
import platform
import struct
import sys

from . import _symbols

__all__ = ["CannotLoad", "Code", "load"]

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")  # name, type, flags, address, offset, size, link, info, alignment, size of an entry
SYMBOL = struct.Struct("<IBBHQQ")  # name, info, other, section, value, size
RELOCATION = struct.Struct("<QQq")  # offset, info, addend
ELF, RELOCATABLE, X86_64 = b"\x7fELF\x02\x01", 1, 62  # 64 bits, little-endian
NOBITS, RELA, SYMTAB = 8, 4, 2  # types of sections
WRITE, ALLOCATED, EXECUTABLE = 1, 2, 4  # flags of sections
UNDEFINED, ABSOLUTE, COMMON = 0, 0xFFF1, 0xFFF2  # sections of symbols that are in none
ADDRESS_64 = 1  # R_X86_64_64: symbol plus addend
UNWINDING = b".eh_frame"  # for debuggers and exceptions, of which there are none


class CannotLoad(Exception):
    """A file or a system that this loader does not know: let LLVM do it."""


class Code:
    """Machine code in memory.

    Parameters
    ----------
    memory : mmap.mmap
        Which holds it; it must live as long as the code is called.
    address : int
        Of the entry.
    """

    __slots__ = ("_memory", "address")

    def __init__(self, memory, address):
        self._memory, self.address = memory, address


def load(code, symbol):
    """Put an object file into memory.

    Parameters
    ----------
    code : bytes
    symbol : str
        Name of the function to be called.

    Returns
    -------
    Code

    Raises
    ------
    CannotLoad
        If the file or the system is not of the kind described above, or calls something that `_symbols` does not know.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise CannotLoad(f"no loader for {sys.platform} on {platform.machine()}")
    try:
        return _Object(code).load(symbol)
    except (struct.error, ValueError, OSError, LookupError) as error:
        raise CannotLoad(str(error)) from error


class _Object:
    """A relocatable object file."""

    def __init__(self, code):
        ident, kind, machine, _, _, _, begin, _, _, _, _, size, number, names = HEADER.unpack_from(code)
        if (ident[:6], kind, machine, size) != (ELF, RELOCATABLE, X86_64, SECTION.size):
            raise CannotLoad("not a relocatable object of 64 bits for x86-64")
        self._code = code
        self._sections = [SECTION.unpack_from(code, begin + i * size) for i in range(number)]
        self._names = [self._text(self._sections[names], section[0]) for section in self._sections]
        self._symbols = self._read_symbols()

    def _text(self, table, offset):
        """A zero-terminated name in a table of strings."""
        begin = table[4] + offset
        return self._code[begin : self._code.index(b"\0", begin)]

    def _read_symbols(self):
        (table,) = [section for section in self._sections if section[1] == SYMTAB] or [None]
        if table is None:
            raise CannotLoad("no symbols")
        strings = self._sections[table[6]]
        found = [SYMBOL.unpack_from(self._code, table[4] + i * SYMBOL.size) for i in range(table[5] // SYMBOL.size)]
        return [(self._text(strings, name), section, value, size) for name, _, _, section, value, size in found]

    def load(self, wanted):
        """Place, connect, and make what is to be executed executable."""
        places, executable, total = self._lay_out()
        memory = mmap.mmap(-1, total, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for i, (_, kind, _, _, offset, size, *_) in enumerate(self._sections):
            if i in places and kind != NOBITS:
                memory[places[i] : places[i] + size] = self._code[offset : offset + size]
        addresses = [self._address(symbol, places, base) for symbol in self._symbols]
        for section in self._sections:
            if section[1] == RELA and section[7] in places:
                self._connect(section, memory, places[section[7]], addresses)
        if ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(base), executable, mmap.PROT_READ | mmap.PROT_EXEC):
            raise CannotLoad(f"memory cannot be made executable (error {ctypes.get_errno()})")
        for (name, *_), address in zip(self._symbols, addresses, strict=True):
            if name == wanted.encode():
                return Code(memory, address)
        raise CannotLoad(f"no function {wanted!r}")

    def _lay_out(self):
        """Where each section and each variable outside of all goes, bytes of what is executed (it comes first), and bytes in all."""
        used = [i for i, section in enumerate(self._sections) if section[2] & ALLOCATED and self._names[i] != UNWINDING]
        run = [i for i in used if self._sections[i][2] & EXECUTABLE]
        if any(self._sections[i][2] & WRITE for i in run):
            raise CannotLoad("code that changes itself")
        places, end = {}, 0
        for i in run:
            places[i] = end = _aligned(end, self._sections[i][8])
            end += self._sections[i][5]
        executable = end = _aligned(end, mmap.PAGESIZE)
        for i in used:
            if i not in places:
                places[i] = end = _aligned(end, self._sections[i][8])
                end += self._sections[i][5]
        for name, section, alignment, size in self._symbols:
            if section == COMMON:
                places[name] = end = _aligned(end, alignment)
                end += size
        return places, executable, max(end, mmap.PAGESIZE)

    def _address(self, symbol, places, base):
        """Address of a symbol, or None if nothing that is loaded can need it."""
        name, section, value, _ = symbol
        if section == UNDEFINED:
            return _symbols.address(name.decode()) if name else 0
        if section == ABSOLUTE:
            return value
        if section == COMMON:
            return base + places[name]
        return base + places[section] + value if section in places else None

    def _connect(self, table, memory, place, addresses):
        """Write the addresses that one section needs into it."""
        for i in range(table[5] // RELOCATION.size):
            offset, info, addend = RELOCATION.unpack_from(self._code, table[4] + i * RELOCATION.size)
            kind, symbol = info & 0xFFFFFFFF, info >> 32
            if kind != ADDRESS_64 or addresses[symbol] is None:
                raise CannotLoad(f"relocation of kind {kind} to {self._symbols[symbol][0].decode()!r}")
            struct.pack_into("<Q", memory, place + offset, (addresses[symbol] + addend) % 2**64)


def _aligned(place, alignment):
    return -(-place // max(alignment, 1)) * max(alignment, 1)
