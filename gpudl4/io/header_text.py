"""Texts in FITS headers, which hold ASCII only: other letters are written as Python's escapes, such as ``\\xdf``, and read back."""

import re

__all__ = ["from_header", "to_header"]

_ESCAPES = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}")


def to_header(text):
    """Text as a header can hold it."""
    return text.encode("ascii", "backslashreplace").decode("ascii")


def from_header(text):
    """Text that `to_header` wrote; any other text as it is."""
    return _ESCAPES.sub(lambda match: chr(int(match.group()[2:], 16)), text)
