"""What the device was made to do: launches, library calls, transfers, synchronisations, allocations, bytes.

`counting` counts inside a ``with`` block. The numbers are exact and free of noise, so a test can hold them as integers.
"""

import contextlib
from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Counters", "KernelRun", "active_counters", "counting"]


@dataclass(frozen=True)
class KernelRun:
    """One launch of a raw kernel. Byte counts, atomics and sectors are known in the checking mode only (0 otherwise).

    Attributes
    ----------
    name : str
    grid, block : tuple of int
    shared_bytes : int
        Dynamic shared memory asked for.
    threads, blocks, barriers, warp_syncs : int
        Executed; ``barriers`` counts block-wide releases, ``warp_syncs`` warp-wide ones (each shuffle is one).
    reads, writes, atomics, shared_accesses : int
        Number of accesses by single threads; the first three to global memory.
    bytes_read, bytes_written, bytes_atomic : int
        Bytes asked for in global memory, before any cache.
    footprint : int
        Bytes of all array arguments: what a perfect cache would have to move at most.
    sampled_bytes, sampled_sector_bytes : int
        Bytes asked for by the sampled blocks, and the bytes of the 32-byte sectors these requests touch.
    """

    name: str
    grid: tuple
    block: tuple
    shared_bytes: int
    footprint: int
    threads: int
    blocks: int
    barriers: int
    warp_syncs: int
    bytes_read: int
    bytes_written: int
    bytes_atomic: int
    reads: int
    writes: int
    atomics: int
    shared_accesses: int
    sampled_bytes: int
    sampled_sector_bytes: int

    @property
    def coalescing(self):
        """Share of the moved sectors that was asked for: 1 is perfectly coalesced, NaN if nothing was sampled."""
        return self.sampled_bytes / self.sampled_sector_bytes if self.sampled_sector_bytes else float("nan")


@dataclass
class Counters:
    """Totals of what the device did.

    Attributes
    ----------
    launches : int
        Kernel launches: raw kernels and array functions.
    launches_by_name : collections.Counter
        The same by name, raw kernels as ``"raw:name"``.
    api_calls : int
        Calls of a library that launches by itself (cuFFT: making a plan, executing one).
    api_calls_by_name : collections.Counter
    uploads, downloads : int
        Copies host to device and back.
    bytes_up, bytes_down : int
    synchronisations : int
        Times that the host waited for the device. Every blocking download is one.
    allocations, bytes_allocated : int
    graph_launches : int
        Replays of a captured graph; the nodes inside count as launches only when they are captured.
    bytes_read, bytes_written : int
        By array functions, and by raw kernels in the checking mode.
    runs : list of KernelRun
    """

    launches: int = 0
    launches_by_name: Counter = field(default_factory=Counter)
    api_calls: int = 0
    api_calls_by_name: Counter = field(default_factory=Counter)
    uploads: int = 0
    downloads: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    synchronisations: int = 0
    allocations: int = 0
    bytes_allocated: int = 0
    graph_launches: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    runs: list = field(default_factory=list)

    def runs_of(self, name):
        """Runs of one raw kernel, in order."""
        return [run for run in self.runs if run.name == name]

    def totals(self):
        """The integers as a dictionary, for comparing two evaluations or printing."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}


active_counters = []


@contextlib.contextmanager
def counting():
    """Count what the device does inside the block.

    Yields
    ------
    Counters
        Grows while the block runs and keeps its values afterwards. Blocks nest.
    """
    counters = Counters()
    active_counters.append(counters)
    try:
        yield counters
    finally:
        active_counters.remove(counters)
