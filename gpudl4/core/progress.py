"""Progress for long work: a tqdm bar on a terminal, one plain line now and then elsewhere (batch logs)."""

import sys
import time

__all__ = ["Progress"]


class Progress:
    """Counts steps of a task of unknown or known length.

    Parameters
    ----------
    label : str
        What is being done.
    total : int, optional
        Number of steps, if known.
    enabled : bool
        False keeps it silent.
    """

    def __init__(self, label, total=None, enabled=False):
        self.label, self.total, self.enabled = label, total, enabled
        self._bar, self._last = None, time.monotonic()
        if enabled and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=label, mininterval=0.5)

    def update(self, note="", step=1):
        """Advance by `step` and show `note`."""
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(step)
        elif self.enabled and time.monotonic() - self._last > 5:
            self._last = time.monotonic()
            print(f"{self.label}: {note}", file=sys.stderr, flush=True)

    def close(self):
        """Finish the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
