"""Warnings on the command line: one plain line each, after the work they concern, each text once."""

import contextlib
import logging
import warnings

import click

__all__ = ["collected_warnings"]


class _Collector(logging.Handler):
    """Keeps the texts of log records."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


@contextlib.contextmanager
def collected_warnings():
    """Hold back warnings while the block runs; print them on stderr at its end, but not if it raises: then its error is the message."""
    collector, logger = _Collector(), logging.getLogger("gpudl4")
    logger.addHandler(collector)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            yield
    finally:
        logger.removeHandler(collector)
    texts = [str(item.message) for item in caught if not issubclass(item.category, DeprecationWarning)]
    for text in dict.fromkeys(" ".join(text.split()) for text in texts + collector.texts):
        click.echo(f"gpudl4: warning: {text}", err=True)
