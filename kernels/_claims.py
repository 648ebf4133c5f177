"""`Claims`: processes that want to compile the same function at the same time agree on one that does; the others wait for its file."""

import contextlib
import os
import time

try:
    import fcntl
except ImportError:  # no such locks on Windows: everyone compiles
    fcntl = None

__all__ = ["Claims"]

WAIT = 60.0  # s; a process that waited longer compiles, whatever the other does
PAUSE = 0.02  # s


class Claims:
    """Files that are locked while someone works on what they stand for. The system drops the locks of a process that ends.

    Parameters
    ----------
    wait : float
        Seconds to wait for others.
    """

    def __init__(self, wait=WAIT):
        self._wait, self._held = wait, {}

    def take(self, path, waiting=lambda: None):
        """Claim a path once nobody else does.

        Nothing is claimed where that is not possible (a folder without locks, or that cannot be written to) or if others take too long:
        a claim saves work, and no result depends on it.

        Parameters
        ----------
        path : pathlib.Path
            Of a file that has no other use.
        waiting : callable
            Called once if somebody else is at it.
        """
        if fcntl is None or path in self._held:
            return
        with contextlib.suppress(OSError):
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            if self._lock(lock, waiting):
                self._held[path] = lock
            else:
                os.close(lock)

    def _lock(self, lock, waiting):
        """Whether the lock could be had in time."""
        end, has_waited = time.monotonic() + self._wait, False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > end:
                    return False
            except OSError:  # a file system without locks
                return False
            if not has_waited:
                waiting()
                has_waited = True
            time.sleep(PAUSE)

    def drop(self, path):
        """Give a claim back, if there is one; the file goes, too."""
        lock = self._held.pop(path, None)
        if lock is not None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            os.close(lock)
