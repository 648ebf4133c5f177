"""Standard output and error of the command line: what cannot be written to them never ends a command."""

import contextlib
import sys

__all__ = ["Stream", "forgiving_streams"]


class Stream:
    """A text stream whose errors are kept instead of raised. Characters that its encoding lacks become escapes.

    Parameters
    ----------
    stream : file object or None
        Where texts go; None if it was closed before the start.

    Attributes
    ----------
    lost : Exception or None
        Why something could not be written.
    """

    def __init__(self, stream):
        self._stream, self.lost = stream, None

    def _try(self, call, *args):
        try:
            if self._stream is None:
                raise ValueError("it is closed")
            return call(*args)
        except (OSError, ValueError) as error:
            self.lost = self.lost or error
            return None

    def write(self, text):
        """Write a text; its length."""
        if not isinstance(text, str):
            raise TypeError(f"a text was wanted, got {type(text).__name__}")
        self._try(self._write, text)
        return len(text)

    def _write(self, text):
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))

    def flush(self):
        """Write what is still held back."""
        self._try(lambda: self._stream.flush())

    def isatty(self):
        """Whether it is a terminal."""
        return bool(self._try(lambda: self._stream.isatty()))

    def fileno(self):
        """Number of the open file."""
        if self._stream is None:
            raise OSError("the stream is closed")
        return self._stream.fileno()

    def writable(self):
        """Always."""
        return True

    @property
    def encoding(self):
        """Of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self):
        """Nothing is refused."""
        return "backslashreplace"

    @property
    def closed(self):
        """Never, as far as callers are concerned."""
        return False

    @property
    def reason(self):
        """Why something could not be written, in a few words; empty if all was."""
        return "" if self.lost is None else str(getattr(self.lost, "strerror", None) or self.lost)


@contextlib.contextmanager
def forgiving_streams():
    """Put a `Stream` in the place of either standard stream while the block runs.

    Yields
    ------
    out : Stream
        Standard output.
    """
    before = sys.stdout, sys.stderr
    out = Stream(sys.stdout)
    sys.stdout, sys.stderr = out, Stream(sys.stderr)
    try:
        yield out
    finally:
        out.flush()
        sys.stdout, sys.stderr = before
