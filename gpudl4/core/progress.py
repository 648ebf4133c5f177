"""Progress for long work: a tqdm bar on a terminal; elsewhere, as in the log of a batch job, a plain line once a minute."""

import contextlib
import sys
import threading
import time

__all__ = ["PAUSE", "Progress"]

PAUSE = 60.0  # s between lines


class Progress:
    """Counts steps of a task of unknown or known length.

    Lines come from a thread, also while one step takes long, so that a log shows that the work goes on.

    Parameters
    ----------
    label : str
        What is being done.
    total : int, optional
        Number of steps, if known.
    enabled : bool
        False keeps it silent.
    pause : float
        Seconds between lines.
    """

    def __init__(self, label, total=None, enabled=False, pause=PAUSE):
        self.label, self.total, self.enabled = label, total, enabled
        self._note, self._steps, self._begun = "", 0, time.monotonic()
        self._bar, self._ended = None, threading.Event()
        if enabled and _is_terminal(sys.stderr):
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=label, mininterval=0.5)
        elif enabled:
            threading.Thread(target=self._speak, args=(pause,), name=f"progress of {label}", daemon=True).start()

    def update(self, note="", step=1):
        """Advance by `step` and show `note`."""
        self._note, self._steps = note, self._steps + step
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(step)

    def _speak(self, pause):
        while not self._ended.wait(pause):
            done = f"{self._steps} of {self.total}" if self.total else f"{self._steps} steps"
            line = f"{self.label}: {(time.monotonic() - self._begun) / 60:.0f} min, {done}" + (f", {self._note}" if self._note else "")
            with contextlib.suppress(OSError, ValueError):  # a log that is full or closed
                if sys.stderr is not None:
                    print(line, file=sys.stderr, flush=True)

    def close(self):
        """Finish the bar; no more lines."""
        self._ended.set()
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _is_terminal(stream):
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False
