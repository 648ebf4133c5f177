"""Warnings on the command line: one plain line each, after the work they concern, each text once."""

import contextlib
import logging
import warnings

import click

__all__ = ["Notices", "collected_notices", "one_line"]


def one_line(text):
    """A text or an exception without line breaks and repeated blanks; an exception without a text says of which kind it is."""
    return " ".join(str(text).split()) or type(text).__name__


class Notices(logging.Handler):
    """Keeps warnings and log records until they are told."""

    def __init__(self, caught):
        super().__init__(logging.WARNING)
        self._caught, self._texts, self._told = caught, [], set()

    def emit(self, record):
        """Keep a log record."""
        self._texts.append(record.getMessage())

    def tell(self):
        """Print on stderr what came since the last time."""
        texts = [str(item.message) for item in self._caught if not issubclass(item.category, DeprecationWarning)] + self._texts
        self._caught.clear()
        self._texts.clear()
        for text in map(one_line, texts):
            if text not in self._told:
                self._told.add(text)
                click.echo(f"gpudl4: warning: {text}", err=True)


@contextlib.contextmanager
def collected_notices():
    """Hold back warnings while the block runs. Those of a block that raises are not told: its error is the message.

    Yields
    ------
    notices : Notices
        To tell them in between.
    """
    logger = logging.getLogger()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        notices = Notices(caught)
        logger.addHandler(notices)
        try:
            yield notices
            notices.tell()
        finally:
            logger.removeHandler(notices)
