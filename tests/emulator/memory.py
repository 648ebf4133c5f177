"""Device memory: host memory with red zones around it, poisoned when new, counted while it lives.

`allocate` is what ``cupy.empty`` does. New memory is filled with NaN (or the largest integer), so that a value that was never
written shows in a result instead of being a friendly zero.
"""

import contextlib

import numpy as np

from .devices import NUMBER, current, require_process
from .errors import KernelError, OutOfMemoryError
from .guard import spend
from .settings import settings

__all__ = ["Buffer", "MemoryPointer", "MemoryPool", "PinnedMemoryPool", "allocate", "deliver_downloads", "measured_peak", "pin",
           "pinned_bytes", "poison", "postpone_download", "release_pinned"]  # fmt: skip

RED_ZONE = 512  # bytes on either side of an allocation
ALIGNMENT = 256
_RED = 0xA5


class _Ledger:
    """Bytes in use on each device, now and at most since `configure` last set the memory, and bytes of pinned host memory."""

    def __init__(self):
        self.used, self.peak = [0] * NUMBER, [0] * NUMBER
        self.pinned_in_flight, self.pinned_free = [], []


_ledger = _Ledger()


class Buffer:
    """One device allocation; it counts as used until the last array that looks at it is gone.

    Parameters
    ----------
    nbytes : int
    why : str
        The call that allocates, for messages.
    host : numpy.ndarray or None
        Memory that exists already (the result of a NumPy function); without it, new memory with red zones is made.
    """

    def __init__(self, nbytes, why, host=None):
        self.nbytes = 0  # so that __del__ is right when the next lines raise
        require_process()
        self.device = current.device
        used = _ledger.used[self.device]
        if nbytes > settings.memory_bytes - used:
            raise OutOfMemoryError(
                f"Out of memory allocating {nbytes:,} bytes (allocated so far: {used:,} bytes, limit: {settings.memory_bytes:,} bytes)."
            )
        spend("allocations", why, nbytes)
        self.nbytes = nbytes
        _ledger.used[self.device] += nbytes
        _ledger.peak[self.device] = max(_ledger.peak[self.device], _ledger.used[self.device])
        self._zones = None
        if host is None:
            raw = np.empty(nbytes + 2 * RED_ZONE + ALIGNMENT, np.uint8)
            start = RED_ZONE + (-(raw.ctypes.data + RED_ZONE)) % ALIGNMENT
            self._zones = raw[start - RED_ZONE : start], raw[start + nbytes : start + nbytes + RED_ZONE]
            for zone in self._zones:
                zone.fill(_RED)
            self.bytes = raw[start : start + nbytes]

    def __del__(self):
        if self.nbytes:
            _ledger.used[self.device] -= self.nbytes

    def check_red_zones(self, who):
        """Raise `KernelError` if something was written beside the allocation."""
        if self._zones is None:
            return
        for side, zone in zip(("before", "after"), self._zones, strict=True):
            hit = np.flatnonzero(zone != _RED)
            if len(hit):
                zone.fill(_RED)
                raise KernelError(f"{who}: OUT OF BOUNDS write of {len(hit)} bytes {side} an array of {self.nbytes} bytes (red zone)")


def allocate(shape, dtype, order, why):
    """New poisoned device memory.

    Returns
    -------
    array : numpy.ndarray
    buffer : Buffer
    """
    dtype = np.dtype(dtype)
    if dtype.kind in "OSUV" or dtype.hasobject:
        raise ValueError(f"Unsupported dtype {dtype}")
    shape = tuple(int(n) for n in shape) if np.iterable(shape) else (int(shape),)
    buffer = Buffer(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize, why)
    array = np.ndarray(shape, dtype, buffer.bytes, order="F" if order == "F" else "C")
    return poison(array), buffer


def poison(array):
    """Fill a NumPy array with NaN, or with the largest integer; returns it."""
    if array.dtype.kind in "fc":
        array.fill(np.nan)
    elif array.dtype.kind in "iu":
        array.fill(np.iinfo(array.dtype).max)
    elif array.dtype.kind == "b":
        array.fill(True)
    return array


@contextlib.contextmanager
def measured_peak():
    """Largest number of bytes in use on the current device inside a ``with`` block: a function that tells it."""
    device = current.device
    before, _ledger.peak[device] = _ledger.peak[device], _ledger.used[device]
    try:
        yield lambda: _ledger.peak[device]
    finally:
        _ledger.peak[device] = max(before, _ledger.peak[device])


# ---- pinned host memory: CuPy takes it for uploads of host arrays, and keeps it ------------------------------------------------
def pin(nbytes):
    """What ``cupy.asarray`` of a host array does: stage it in pinned memory that is busy until the next synchronisation is noticed."""
    release_pinned()
    _ledger.pinned_in_flight.append([int(nbytes), False])


def release_pinned():
    """Blocks whose copy has ended go to the free blocks of the pool; CuPy looks whenever it allocates pinned memory."""
    done = [entry for entry in _ledger.pinned_in_flight if entry[1]]
    _ledger.pinned_free += [nbytes for nbytes, _ in done]
    _ledger.pinned_in_flight = [entry for entry in _ledger.pinned_in_flight if not entry[1]]


def pinned_bytes():
    """Bytes of pinned host memory that are held, free blocks included."""
    return sum(_ledger.pinned_free) + sum(nbytes for nbytes, _ in _ledger.pinned_in_flight)


# ---- downloads that do not block: the host sees them only after the next synchronisation, as on a GPU --------------------
_postponed = []


def postpone_download(out, values):
    """Write `values` into `out` at the next synchronisation; until then `out` is poisoned."""
    _postponed.append((out, np.array(values)))
    poison(out)


def deliver_downloads():
    """Called by every synchronisation."""
    for entry in _ledger.pinned_in_flight:
        entry[1] = True
    while _postponed:
        out, values = _postponed.pop(0)
        out[...] = values


class MemoryPointer:
    """``array.data``: the address in ``ptr``."""

    def __init__(self, array, device):
        self._array = array
        self.ptr = array.__array_interface__["data"][0]
        self.device_id = device
        self.mem = self
        self.size = array.nbytes

    def __int__(self):
        return self.ptr


class MemoryPool:
    """``cupy.get_default_memory_pool()``: counts, but frees at once instead of keeping blocks."""

    def malloc(self, size):
        """The default allocator; what is allocated with it is not emulated."""
        raise NotImplementedError

    def used_bytes(self):
        return _ledger.used[current.device]

    def total_bytes(self):
        return _ledger.used[current.device]

    def free_bytes(self):
        return 0

    def n_free_blocks(self):
        return 0

    def free_all_blocks(self, stream=None):
        """Nothing is ever kept."""

    def get_limit(self):
        return settings.memory_bytes

    def set_limit(self, size=None, fraction=None):
        settings.memory_bytes = int(size if size is not None else (40 << 30) * (1.0 if fraction is None else fraction))


class PinnedMemoryPool:
    """``cupy.get_default_pinned_memory_pool()``."""

    def n_free_blocks(self):
        return len(_ledger.pinned_free)

    def free_all_blocks(self):
        _ledger.pinned_free.clear()
