"""Which of the two devices is current, and in which process CUDA was begun.

New memory lands on the current device. Array functions and kernels refuse arrays of the other one: hardware without peer access raises in
array functions, and in a kernel such a pointer is a wild one. In a process that was forked after the first call, every call fails.
"""

import os

from .errors import CUDARuntimeError, KernelError

__all__ = ["NUMBER", "begin_anew", "current", "require_here", "require_process"]

NUMBER = 2


class _Current:
    """State of the double: number of the current device, and the process that used one first."""

    device, process = 0, None


current = _Current()


def require_process():
    """Raise what CUDA raises in a process that was forked from one which had used it already."""
    if current.process is None:
        current.process = os.getpid()
    if current.process != os.getpid():
        raise CUDARuntimeError("cudaErrorInitializationError: initialization error")


def begin_anew():
    """Forget the process that used a device first: for a forked process that runs tests of its own, as if it had just been started."""
    current.device, current.process = 0, None


def require_here(buffers, who, is_kernel=False):
    """Raise if memory belongs to another device than the current one.

    Parameters
    ----------
    buffers : iterable of Buffer
    who : str
        Function or kernel, for the message.
    is_kernel : bool
        Whether CuPy would not notice it: the kernel would use a wild pointer.
    """
    for buffer in buffers:
        if buffer.device == current.device:
            continue
        where = f"The device where the array resides ({buffer.device}) is different from the current device ({current.device})."
        if is_kernel:
            raise KernelError(f"CUDA_ERROR_ILLEGAL_ADDRESS: {who} was given a foreign pointer. {where}")
        raise ValueError(f"{where} Peer access is unavailable between these devices. ({who})")
