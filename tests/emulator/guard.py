"""The one place through which every launch, transfer, synchronisation and allocation passes; `guard` sets limits there.

With ``with guard():`` around a piece of code any transfer or synchronisation raises where it happens, with the line that did it
in the traceback. Budgets are integers: ``guard(downloads=1, synchronisations=1, allocations=0)``.
"""

import contextlib

from .counters import active_counters
from .devices import require_process
from .errors import EmulatorError, TransferError

__all__ = ["capture", "guard", "spend"]

_LIMITED = ("uploads", "downloads", "synchronisations", "allocations", "launches", "api_calls")
_BYTES = {"uploads": "bytes_up", "downloads": "bytes_down", "allocations": "bytes_allocated"}
_BY_NAME = {"launches": "launches_by_name", "api_calls": "api_calls_by_name"}
_SINGULAR = {
    "uploads": "upload to the device",
    "downloads": "download from the device",
    "synchronisations": "synchronisation",
    "allocations": "device allocation",
    "launches": "launch",
    "api_calls": "library call",
}


class _Capture:
    """State of stream capture: `nodes` is a list of callables while a graph is being captured, else None."""

    nodes = None

    @property
    def active(self):
        return self.nodes is not None


capture = _Capture()
_guards = []


@contextlib.contextmanager
def guard(uploads=0, downloads=0, synchronisations=0, allocations=None, launches=None, api_calls=None):
    """Limit what may happen on the device inside a ``with`` block.

    Parameters
    ----------
    uploads, downloads, synchronisations : int or None
        Largest number allowed; by default none at all. None means no limit.
    allocations, launches, api_calls : int or None
        The same, by default without limit.

    Raises
    ------
    TransferError
        Inside the block, at the operation that is one too many.
    """
    limits = (uploads, downloads, synchronisations, allocations, launches, api_calls)
    entry = {name: [limit, 0] for name, limit in zip(_LIMITED, limits, strict=True) if limit is not None}
    _guards.append(entry)
    try:
        yield
    finally:
        _guards[:] = [other for other in _guards if other is not entry]


def spend(what, why, nbytes=0, number=1):
    """Count an operation and refuse it where a guard or a running capture forbids it.

    Parameters
    ----------
    what : str
        Name of a counter: "uploads", "downloads", "synchronisations", "allocations", "launches", "api_calls".
    why : str
        The call that caused it, for messages.
    nbytes : int
        Bytes moved or allocated.
    number : int
        How many at once.
    """
    require_process()
    if capture.active and what in ("uploads", "downloads", "synchronisations", "allocations"):
        raise EmulatorError(
            f"cudaErrorStreamCaptureUnsupported: {_SINGULAR[what]} ({why}) during graph capture; move it out or give out= a buffer"
        )
    for entry in _guards:
        if what in entry:
            limit, used = entry[what]
            if used + number > limit:
                size = f" of {nbytes} bytes" if nbytes else ""
                raise TransferError(f"{_SINGULAR[what]}{size} via {why} inside guard({what}={limit})")
            entry[what][1] = used + number
    for counters in active_counters:
        setattr(counters, what, getattr(counters, what) + number)
        if what in _BYTES:
            setattr(counters, _BYTES[what], getattr(counters, _BYTES[what]) + int(nbytes))
        elif what in _BY_NAME:
            getattr(counters, _BY_NAME[what])[why] += number
